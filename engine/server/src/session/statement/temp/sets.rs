//! SET of UPDATE and of ON CONFLICT DO UPDATE: columns and what they are set to.
//!
//! ```text
//! SET (a, b) = (1, 2)            ──►  a = 1, b = 2          ROW (1, 2) alike
//! SET (a, b) = (SELECT x, y …)   ──►  a = (SELECT c1 FROM (SELECT x, y …) AS r (c1, c2)),  b = (SELECT c2 …)
//! ```

use datafusion::sql::sqlparser::ast::{self, Expr, ObjectName, SelectItem, SetExpr};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::super::cursor::TokenCursor;
use super::super::{is_space, is_word, query_text};
use super::{Read, folded};
use crate::session::rewrite::last_part;
use crate::sqlstate::ServerError;

/// The name of a row that gives several columns their values.
pub(crate) const ONE_ROW: &str = "\u{1}row";

/// The columns that SET names, and their values.
pub(super) fn sets(assignments: Vec<ast::Assignment>) -> Read<Vec<(String, Expr)>> {
    let mut set = Vec::new();
    for assignment in assignments {
        match assignment.target {
            ast::AssignmentTarget::ColumnName(column) => {
                set.push((assigned(&column)?, assignment.value));
            }
            ast::AssignmentTarget::Tuple(columns) => {
                let names = columns.iter().map(assigned).collect::<Read<Vec<_>>>()?;
                let values = values(assignment.value, names.len())?;
                if names.len() != values.len() {
                    return Err(not_as_many());
                }
                set.extend(names.into_iter().zip(values));
            }
        }
    }
    Ok(set)
}

/// The values that several columns are set to.
fn values(value: Expr, columns: usize) -> Read<Vec<Expr>> {
    match value {
        Expr::Tuple(values) => Ok(values),
        Expr::Nested(value) if matches!(*value, Expr::Subquery(_)) => values(*value, columns),
        Expr::Nested(value) => Ok(vec![*value]),
        Expr::Subquery(query) => of_one_row(&query, columns),
        Expr::Function(call) if last_part(&call.name) == "row" => {
            let ast::FunctionArguments::List(list) = call.args else {
                return Ok(Vec::new());
            };
            let args = list.args.into_iter();
            let args = args.map(|arg| match arg {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(arg)) => Ok(arg),
                _ => Err(not_several()),
            });
            args.collect()
        }
        _ => Err(not_several()),
    }
}

/// The columns of a query of one row, each a query of its own.
fn of_one_row(query: &ast::Query, columns: usize) -> Read<Vec<Expr>> {
    match width(&query.body) {
        None => {
            let text = "SET of several columns from a query takes columns that are written out";
            return Err(ServerError::unsupported(text)
                .hint("Name the columns of the query instead of writing *."));
        }
        Some(width) if width != columns => return Err(not_as_many()),
        Some(_) => {}
    }
    let names = (0..columns).map(|at| format!("c{at}"));
    let names: Vec<String> = names.collect();
    let of = |name: &String| {
        let listed = names.join(", ");
        let sql = format!("SELECT {name} FROM (SELECT 1) AS \"{ONE_ROW}\" ({listed})");
        let ast::Statement::Query(mut made) = *query_text(&sql)? else {
            return Err(not_several());
        };
        if let SetExpr::Select(select) = made.body.as_mut()
            && let Some(from) = select.from.first_mut()
            && let ast::TableFactor::Derived { subquery, .. } = &mut from.relation
        {
            **subquery = query.clone();
        }
        Ok(Expr::Subquery(made))
    };
    names.iter().map(of).collect()
}

/// How many columns a query has; None where that is not written out.
fn width(body: &SetExpr) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let plain = |item: &SelectItem| {
                matches!(
                    item,
                    SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
                )
            };
            if let ([SelectItem::Wildcard(_)], [from]) =
                (select.projection.as_slice(), select.from.as_slice())
                && let ast::TableFactor::Derived { subquery, .. } = &from.relation
                && matches!(subquery.body.as_ref(), SetExpr::Values(_))
            {
                return width(&subquery.body);
            }
            let all = select.projection.iter().all(plain);
            all.then_some(select.projection.len())
        }
        SetExpr::Query(query) => width(&query.body),
        SetExpr::SetOperation { left, .. } => width(left),
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        _ => None,
    }
}

fn not_as_many() -> ServerError {
    let text = "number of columns does not match number of values";
    ServerError::syntax(text, None)
}

fn not_several() -> ServerError {
    let text = "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression";
    ServerError::unsupported(text)
}

/// The column that is set.
fn assigned(column: &ObjectName) -> Read<String> {
    match column.0.as_slice() {
        [part] => part
            .as_ident()
            .map(folded)
            .ok_or_else(|| ServerError::syntax("UPDATE sets columns", None)),
        _ => Err(
            ServerError::unsupported("UPDATE of parts of a column is not supported")
                .hint("The columns after SET have no table name before them."),
        ),
    }
}

/// Refuses `SET a[1] = …`, which the parser does not know.
///
/// # Errors
/// 0A000.
pub(super) fn whole_columns(cursor: &mut TokenCursor<'_>) -> Read<()> {
    let start = cursor.place();
    let said = cursor.take_rest().iter().map(|token| &token.token);
    let said: Vec<&Token> = said.filter(|token| !is_space(token)).collect();
    cursor.back_to(start);
    let mut depth = 0_usize;
    let mut sets = false;
    for three in said.windows(3) {
        let [before, name, next] = three else {
            continue;
        };
        match before {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > 0 {
            continue;
        }
        let set = is_word(before, &["SET"]);
        sets = (sets || set) && !is_word(before, &["FROM", "WHERE", "RETURNING"]);
        let item = matches!(next, Token::LBracket) && matches!(name, Token::Word(_));
        if sets && item && (set || **before == Token::Comma) {
            let text = "UPDATE of an item of an array is not supported";
            return Err(ServerError::unsupported(text).hint("Set the whole array."));
        }
    }
    Ok(())
}
