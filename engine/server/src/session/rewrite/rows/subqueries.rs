//! Rows compared with those of a subquery.
//!
//! ```text
//! WHERE (a, b) IN (SELECT …)   ─►  WHERE EXISTS (SELECT 1 FROM (…) AS r(c1, c2) WHERE c1 = a AND c2 = b)
//! SELECT (a, b) IN (SELECT …)  ─►  SELECT CASE WHEN EXISTS (… WHERE c1 = a AND c2 = b) THEN true
//!                                              WHEN EXISTS (… WHERE (c1 = a AND c2 = b) IS NULL) THEN NULL
//!                                              ELSE false END
//! ```
//! Among the conditions of WHERE NULL and false are one.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Ident, Query, Select, SelectItem, SetExpr, TableFactor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::super::literals::boolean;
use super::{compared, items, not, unknown};
use crate::sqlstate::ServerError;

/// What the rows of the subquery and their columns are called: as nothing that a row may name.
const ROWS: &str = "rows of the subquery";

/// A row that is compared with those of a subquery.
struct Compared<'a> {
    row: Vec<Expr>,
    op: BinaryOperator,
    subquery: &'a Query,
    /// With all of them, and not with any.
    all: bool,
}

impl<'a> Compared<'a> {
    fn of(expr: &'a Expr) -> Option<Self> {
        let (row, op, subquery, all) = match expr {
            Expr::InSubquery {
                expr: row,
                subquery,
                negated,
            } => {
                let op = match negated {
                    true => BinaryOperator::NotEq,
                    false => BinaryOperator::Eq,
                };
                (row, op, subquery.as_ref(), *negated)
            }
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => (left, compare_op.clone(), query(right)?, false),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => (left, compare_op.clone(), query(right)?, true),
            _ => return None,
        };
        let row = items(row)?;
        Some(Self {
            row,
            op,
            subquery,
            all,
        })
    }

    /// Whether the subquery has a row of which this comparison is so.
    fn exists(
        &self,
        op: &BinaryOperator,
        is: impl Fn(Box<Expr>) -> Expr,
    ) -> Result<Expr, ServerError> {
        exists(&self.row, op, self.subquery, is)
    }

    /// The comparison as a value.
    fn value(&self) -> Result<Expr, ServerError> {
        let settling = match self.all {
            true => opposite(&self.op),
            false => self.op.clone(),
        };
        let settled = self.exists(&settling, |compared| *compared)?;
        let open = self.exists(&self.op, Expr::IsNull)?;
        let when = |condition, result| ast::CaseWhen { condition, result };
        Ok(Expr::Case {
            case_token: AttachedToken::empty(),
            end_token: AttachedToken::empty(),
            operand: None,
            conditions: vec![when(settled, boolean(!self.all)), when(open, unknown())],
            else_result: Some(Box::new(boolean(self.all))),
        })
    }

    /// The comparison where NULL is as good as false.
    fn condition(&self) -> Result<Expr, ServerError> {
        match self.all {
            // A row that a NULL leaves open counts, where none may be.
            true => self.exists(&self.op, Expr::IsNotTrue).map(not),
            false => self.exists(&self.op, |compared| *compared),
        }
    }
}

/// The comparison that is true where this one is false.
fn opposite(op: &BinaryOperator) -> BinaryOperator {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    match op {
        Eq => NotEq,
        NotEq => Eq,
        Lt => GtEq,
        GtEq => Lt,
        Gt => LtEq,
        LtEq => Gt,
        other => other.clone(),
    }
}

fn query(expr: &Expr) -> Option<&Query> {
    match expr {
        Expr::Nested(inner) => query(inner),
        Expr::Subquery(query) => Some(query),
        _ => None,
    }
}

/// Makes a comparison of a row with those of a subquery a value of three.
///
/// # Errors
/// 42601 for a subquery of another width.
pub(super) fn answer(expr: &Expr) -> Result<Option<Expr>, ServerError> {
    Compared::of(expr)
        .map(|compared| compared.value())
        .transpose()
}

/// Makes comparisons of rows with those of a subquery an EXISTS among the conditions of WHERE and of joins.
///
/// # Errors
/// 42601 for a subquery of another width; 0A000 for one among the conditions of a full join.
pub(in crate::session::rewrite) fn memberships(select: &mut Select) -> Result<(), ServerError> {
    for join in select.from.iter_mut().flat_map(|from| &mut from.joins) {
        let is_full = matches!(join.join_operator, ast::JoinOperator::FullOuter(_));
        let Some(condition) = condition_of(join) else {
            continue;
        };
        if is_full && compares(condition) {
            let text = "a row compared with a subquery among the conditions of a full join";
            return Err(ServerError::unsupported(text));
        }
        member(condition)?;
    }
    match &mut select.selection {
        Some(condition) => member(condition),
        None => Ok(()),
    }
}

/// What ON says of a join.
fn condition_of(join: &mut ast::Join) -> Option<&mut Expr> {
    use ast::JoinOperator::{FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    match &mut join.join_operator {
        Join(on) | Inner(on) | Left(on) | LeftOuter(on) | Right(on) | RightOuter(on)
        | FullOuter(on) => match on {
            ast::JoinConstraint::On(condition) => Some(condition),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a row is compared with a subquery in a condition.
fn compares(condition: &Expr) -> bool {
    match condition {
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => compares(inner),
        Expr::BinaryOp { left, right, .. } => compares(left) || compares(right),
        other => Compared::of(other).is_some(),
    }
}

fn member(condition: &mut Expr) -> Result<(), ServerError> {
    match condition {
        Expr::Nested(inner) => member(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And | BinaryOperator::Or,
            right,
        } => {
            member(left)?;
            member(right)
        }
        Expr::UnaryOp {
            op: ast::UnaryOperator::Not,
            expr,
        } => {
            let mut inner = expr.as_mut();
            while let Expr::Nested(within) = inner {
                inner = within;
            }
            let Expr::InSubquery {
                expr: row,
                subquery,
                negated,
            } = inner
            else {
                return Ok(());
            };
            let mut other = Expr::InSubquery {
                expr: row.clone(),
                subquery: subquery.clone(),
                negated: !*negated,
            };
            if items(row).is_some() {
                member(&mut other)?;
                *condition = other;
            }
            Ok(())
        }
        _ => {
            let compared = Compared::of(condition).map(|compared| compared.condition());
            if let Some(made) = compared.transpose()? {
                *condition = made;
            }
            Ok(())
        }
    }
}

fn exists(
    row: &[Expr],
    op: &BinaryOperator,
    subquery: &Query,
    is: impl Fn(Box<Expr>) -> Expr,
) -> Result<Expr, ServerError> {
    if let SetExpr::Select(select) = subquery.body.as_ref() {
        let plain = |item: &SelectItem| {
            matches!(
                item,
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
            )
        };
        let width = select.projection.len();
        if select.projection.iter().all(plain) && width != row.len() {
            let word = if width < row.len() { "few" } else { "many" };
            return Err(ServerError::new(
                "42601",
                format!("subquery has too {word} columns"),
            ));
        }
    }
    let names: Vec<String> = (1..=row.len())
        .map(|number| format!("column {number} of them"))
        .collect();
    let template = format!(
        "EXISTS (SELECT 1 FROM (SELECT 1) AS \"{ROWS}\"(\"{}\"))",
        names.join("\", \"")
    );
    let internal = || ServerError::internal("the form of a row among rows does not parse");
    let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(&template);
    let mut made = parsed
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|_| internal())?;
    let columns: Vec<Expr> = names
        .iter()
        .map(|name| {
            let parts = [ROWS, name].map(|part| Ident::with_quote('"', part));
            Expr::CompoundIdentifier(parts.to_vec())
        })
        .collect();
    let compared = compared(row, op, &columns)?.ok_or_else(|| {
        let text = format!("operator {op} of rows and a subquery");
        ServerError::unsupported(text)
    })?;
    let Expr::Exists {
        subquery: outer, ..
    } = &mut made
    else {
        return Err(internal());
    };
    let SetExpr::Select(select) = outer.body.as_mut() else {
        return Err(internal());
    };
    select.selection = Some(is(Box::new(compared)));
    match select.from.first_mut().map(|from| &mut from.relation) {
        Some(TableFactor::Derived {
            subquery: inner, ..
        }) => **inner = subquery.clone(),
        _ => return Err(internal()),
    }
    Ok(made)
}
