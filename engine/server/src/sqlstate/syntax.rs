//! Errors of the parser, with their place in the statement.

use datafusion::sql::sqlparser::parser::ParserError;

use super::{ServerError, between, place};

/// A syntax error of the parser, with the position in `sql`.
pub fn from_parser(error: &ParserError, sql: &str) -> ServerError {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return ServerError::new("54001", "statement is nested too deeply");
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let position = line_and_column(text).and_then(|(line, column)| offset_of(sql, line, column));
    let body = text.split(" at Line:").next().unwrap_or(text);
    if let Some(error) = unterminated(body, position, sql) {
        return error;
    }
    if body.contains("hex digit in escaped unicode string") {
        let before = sql.chars().take(position.unwrap_or_default());
        let escapes = before.enumerate().filter(|(_, c)| *c == '\\');
        let escape = escapes.last().map(|(at, _)| at + 1);
        let error = ServerError::syntax("invalid Unicode escape", escape.or(position));
        return error.hint("Unicode escapes must be \\XXXX or \\+XXXXXX.");
    }
    if body.starts_with("expected OUTER, SEMI, ANTI or JOIN") || body.starts_with("Expected OUTER")
    {
        return place::not_joined(sql).map_or_else(
            || ServerError::syntax(body.to_owned(), position),
            |(word, at)| {
                ServerError::syntax(format!("syntax error at or near \"{word}\""), Some(at))
            },
        );
    }
    if body.starts_with("No infix parser for token Word(")
        && let Some(word) = between(body, "value: \"", "\"")
    {
        return ServerError::syntax(format!("syntax error at or near \"{word}\""), position);
    }
    match body.split_once("found: ") {
        Some((_, "EOF")) => ServerError::syntax(
            "syntax error at end of input",
            Some(sql.chars().count() + 1),
        ),
        Some((expected, found)) => {
            let position = position.map(|position| place::backward(sql, position, found));
            let error =
                ServerError::syntax(format!("syntax error at or near \"{found}\""), position);
            let expected = expected
                .trim_start_matches("Expected: ")
                .trim_start_matches("Expected ")
                .trim_end_matches(", ");
            error.detail(format!("Expected {expected}."))
        }
        None => ServerError::syntax(body.to_owned(), position),
    }
}

/// What the text ends in the middle of.
fn unterminated(body: &str, position: Option<usize>, sql: &str) -> Option<ServerError> {
    let (what, opening) = if body.contains("Unterminated string literal")
        || body.contains("Unterminated encoded string literal")
    {
        ("quoted string", None)
    } else if body.starts_with("Expected close delimiter") {
        ("quoted identifier", None)
    } else if body.contains("while in a multi-line comment") {
        ("/* comment", place::opening(sql, "/*"))
    } else if body.contains("Unterminated dollar-quoted") {
        ("dollar-quoted string", place::opening(sql, "$"))
    } else {
        return None;
    };
    let position = opening.or(position)?;
    let rest: String = sql.chars().skip(position.checked_sub(1)?).collect();
    let text = format!("unterminated {what} at or near \"{rest}\"");
    Some(ServerError::syntax(text, Some(position)))
}

fn line_and_column(text: &str) -> Option<(usize, usize)> {
    let line = between(text, "Line: ", ",")?.parse().ok()?;
    let rest = text.split_once("Column: ")?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line, digits.parse().ok()?))
}

/// 1-based character offset of a 1-based line and column.
pub(crate) fn offset_of(sql: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize = sql
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(|l| l.chars().count())
        .sum();
    Some(before + column)
}
