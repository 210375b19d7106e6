//! COPY, read from tokens; its options are in [`super::copy_options`].

use datafusion::sql::sqlparser::ast::{self, Expr};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Token;

use genokura_sql_ext::dialect::Bounded;

use super::commands::{Read, object_name, quote_identifier, refuse, table_query};
use super::copy_options::{Way, copy_options};
use super::cursor::TokenCursor;
use super::{Statement, query_of, query_text};
use crate::sqlstate::{ServerError, from_parser};

pub(super) fn copy(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let mut table = None;
    let query = if cursor.peek() == Some(&Token::LParen) {
        let inner = cursor.take_parenthesised()?;
        let mut inner_cursor = TokenCursor::new(inner, cursor.sql());
        match inner_cursor.accept("TABLE") {
            true => {
                let query = table_query(&mut inner_cursor)?;
                if !inner_cursor.at_end() {
                    return Err(inner_cursor.syntax_error());
                }
                query
            }
            false => query_of(inner, cursor.sql())?,
        }
    } else {
        let start = cursor.place();
        let name = super::temp::name(cursor)?;
        let columns = super::temp::column_list(cursor)?;
        if cursor.accept("FROM") {
            return copy_from(cursor, name, columns);
        }
        table = Some(name.name);
        cursor.back_to(start);
        copy_table(cursor)?
    };
    cursor.expect_word("TO")?;
    if cursor.at_end() {
        return Err(cursor.syntax_error());
    }
    if !cursor.accept("STDOUT") && !cursor.accept("STDIN") {
        let error = ServerError::new("42501", "permission denied to COPY to a file or program")
            .hint("Use COPY … TO STDOUT, or psql's \\copy command.");
        return refuse(cursor, error);
    }
    Ok(Statement::Copy {
        query,
        table,
        options: copy_options(cursor, Way::To)?,
    })
}

fn copy_from(
    cursor: &mut TokenCursor<'_>,
    name: super::temp::Name,
    columns: Vec<String>,
) -> Read<Statement> {
    if !cursor.accept("STDIN") && !cursor.accept("STDOUT") {
        let error = ServerError::new("42501", "permission denied to COPY from a file or program")
            .hint("Use COPY … FROM STDIN, or psql's \\copy command.");
        return refuse(cursor, error);
    }
    let options = copy_options(cursor, Way::From)?;
    let condition = match cursor.accept("WHERE") {
        true => Some(copy_condition(cursor)?),
        false => None,
    };
    let command = super::temp::TempCommand::CopyFrom {
        name,
        columns,
        options,
        condition,
    };
    Ok(Statement::Temp(Box::new(command)))
}

/// Which of the rows that come go into the table.
fn copy_condition(cursor: &mut TokenCursor<'_>) -> Read<Box<Expr>> {
    let sql = cursor.sql();
    let dialect = Bounded::of(sql.len());
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(cursor.take_rest().to_vec());
    let condition = parser
        .parse_expr()
        .map_err(|error| from_parser(&error, sql))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        return Err(super::cursor::near(&next, sql));
    }
    let reads = ast::visit_expressions(&condition, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            std::ops::ControlFlow::Break(())
        }
        _ => std::ops::ControlFlow::Continue(()),
    });
    match reads.is_break() {
        true => {
            let text = "cannot use subquery in COPY FROM WHERE condition";
            Err(ServerError::new("0A000", text))
        }
        false => Ok(Box::new(condition)),
    }
}

fn copy_table(cursor: &mut TokenCursor<'_>) -> Read<Box<ast::Statement>> {
    let name = object_name(cursor)?;
    let mut columns: Vec<String> = Vec::new();
    if cursor.accept_token(&Token::LParen) {
        loop {
            let column = cursor.identifier()?;
            let quoted = quote_identifier(&column);
            if columns.contains(&quoted) {
                let text = format!("column \"{column}\" specified more than once");
                return Err(ServerError::new("42701", text));
            }
            columns.push(quoted);
            if !cursor.accept_token(&Token::Comma) {
                break;
            }
        }
        cursor.expect(&Token::RParen)?;
    }
    let list = if columns.is_empty() {
        "*".to_owned()
    } else {
        columns.join(", ")
    };
    query_text(&format!("SELECT {list} FROM {name}"))
}
