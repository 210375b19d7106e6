//! How deep a statement may nest, told by its tokens, before anything walks its tree.
//!
//! The parser bounds parentheses and subqueries itself. A chain of operators (`a AND b AND …`) is as deep a tree as it is
//! long, and the planner's time grows with the cube of a chain of sums and doubles with each function around another: a
//! statement of a few hundred bytes would keep a processor for hours, and nothing inside of the planner can be stopped.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use crate::sqlstate::ServerError;

/// Parentheses and brackets around one another; the parser takes fewer.
const PARENTHESES: usize = 250;
/// Functions around one another.
const CALLS: usize = 14;
/// Operators on values of one expression, those around it counted.
const OPERATORS: usize = 200;
/// ANDs and ORs of one condition, those around it counted.
const CONDITIONS: usize = 2_000;
/// SELECTs of one statement that UNION, INTERSECT or EXCEPT join.
const SELECTS: usize = 500;
/// Dimensions of an array, as in PostgreSQL.
const DIMENSIONS: usize = 6;

/// What is open at a token: a parenthesis or a bracket, and the statement itself.
#[derive(Clone, Copy, Default)]
struct Open {
    /// A function's.
    is_call: bool,
    /// An array's.
    is_array: bool,
    /// Operators since it began, or since the last comma or clause in it.
    operators: usize,
    conditions: usize,
}

/// Refuses a statement that nests deeper than can be planned in a bounded time.
///
/// # Errors
/// 54001, and 54000 for an array of too many dimensions.
pub(super) fn check(tokens: &[TokenWithSpan]) -> Result<(), ServerError> {
    let mut open = vec![Open::default()];
    let mut selects = 0;
    let mut before: Option<&Token> = None;
    let spaces = |token: &&TokenWithSpan| !matches!(token.token, Token::Whitespace(_));
    for TokenWithSpan { token, .. } in tokens.iter().filter(spaces) {
        match token {
            Token::LParen => open.push(Open {
                is_call: before.is_some_and(is_name),
                ..Open::default()
            }),
            Token::LBracket => {
                let inside = open.last().is_some_and(|open| open.is_array);
                let begins = matches!(before, None | Some(Token::LBracket | Token::Comma));
                let is_array = before.is_some_and(is_array) || (inside && begins);
                open.push(Open {
                    is_array,
                    ..Open::default()
                });
            }
            Token::RParen | Token::RBracket => {
                if open.len() > 1 {
                    open.pop();
                }
            }
            Token::SemiColon => {
                open.truncate(1);
                open.iter_mut().for_each(Open::begin);
                selects = 0;
            }
            Token::Comma => open.last_mut().into_iter().for_each(Open::begin),
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR => {
                    open.last_mut().into_iter().for_each(|o| o.conditions += 1);
                }
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => selects += 1,
                Keyword::SELECT
                | Keyword::FROM
                | Keyword::WHERE
                | Keyword::GROUP
                | Keyword::HAVING
                | Keyword::ORDER
                | Keyword::LIMIT => open.last_mut().into_iter().for_each(Open::begin),
                _ => {}
            },
            token if is_operator(token) => {
                open.last_mut().into_iter().for_each(|o| o.operators += 1);
            }
            _ => {}
        }
        if open.len() > PARENTHESES {
            return Err(too_deep(format!(
                "At most {PARENTHESES} parentheses stand around one another."
            )));
        }
        let count = |is: fn(&Open) -> bool| open.iter().filter(|open| is(open)).count();
        if matches!(token, Token::LBracket) && count(|open| open.is_array) > DIMENSIONS {
            let dimensions = DIMENSIONS + 1;
            return Err(ServerError::new(
                "54000",
                format!(
                    "number of array dimensions ({dimensions}) exceeds the maximum allowed ({DIMENSIONS})"
                ),
            ));
        }
        if matches!(token, Token::LParen) && count(|open| open.is_call) > CALLS {
            return Err(too_deep(format!(
                "At most {CALLS} functions stand around one another."
            )));
        }
        if open.iter().map(|open| open.operators).sum::<usize>() > OPERATORS {
            return Err(too_deep(format!(
                "An expression has {OPERATORS} operators at most."
            )));
        }
        if open.iter().map(|open| open.conditions).sum::<usize>() > CONDITIONS {
            return Err(too_deep(format!(
                "A condition has {CONDITIONS} ANDs and ORs at most."
            )));
        }
        if selects > SELECTS {
            return Err(too_deep(format!(
                "A statement joins {SELECTS} SELECTs at most."
            )));
        }
        before = Some(token);
    }
    Ok(())
}

impl Open {
    /// Another expression begins.
    fn begin(&mut self) {
        (self.operators, self.conditions) = (0, 0);
    }
}

fn too_deep(detail: String) -> ServerError {
    ServerError::new("54001", "statement is nested too deeply")
        .detail(detail)
        .hint("Compute parts of it in WITH or in a temporary table; lists of values: IN (…), VALUES or a join.")
}

/// A word that a parenthesis makes a function.
fn is_name(token: &Token) -> bool {
    let Token::Word(word) = token else {
        return false;
    };
    !matches!(
        word.keyword,
        Keyword::SELECT
            | Keyword::FROM
            | Keyword::WHERE
            | Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IN
            | Keyword::EXISTS
            | Keyword::ANY
            | Keyword::ALL
            | Keyword::SOME
            | Keyword::AS
            | Keyword::ON
            | Keyword::USING
            | Keyword::JOIN
            | Keyword::VALUES
            | Keyword::UNION
            | Keyword::INTERSECT
            | Keyword::EXCEPT
            | Keyword::BY
            | Keyword::HAVING
            | Keyword::WHEN
            | Keyword::THEN
            | Keyword::ELSE
            | Keyword::CASE
            | Keyword::OVER
            | Keyword::FILTER
            | Keyword::LATERAL
            | Keyword::DISTINCT
            | Keyword::MATERIALIZED
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::BETWEEN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::IS
    )
}

fn is_array(token: &Token) -> bool {
    matches!(
        token,
        Token::Word(Word {
            keyword: Keyword::ARRAY,
            ..
        })
    )
}

fn is_operator(token: &Token) -> bool {
    matches!(
        token,
        Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::Caret
            | Token::StringConcat
            | Token::Arrow
            | Token::LongArrow
            | Token::DoubleColon
            | Token::Pipe
            | Token::Ampersand
            | Token::Sharp
            | Token::ShiftLeft
            | Token::ShiftRight
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::dialect::Postgres;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn state(sql: &str) -> Option<String> {
        let mut tokens = Tokenizer::new(&Postgres, sql);
        let tokens = tokens.tokenize_with_location().unwrap();
        check(&tokens).err().map(|error| error.code().to_owned())
    }

    #[test]
    fn what_nests_too_deeply_is_refused_and_what_is_merely_long_is_not() {
        let calls = |n: usize| format!("SELECT {}1{}", "abs(".repeat(n), ")".repeat(n));
        let arrays = |n: usize| format!("SELECT {}1{}", "array[".repeat(n), "]".repeat(n));
        let bare = |n: usize| format!("SELECT array{}1{}", "[".repeat(n), "]".repeat(n));
        let chain = |what: &str, n: usize| format!("SELECT 1 {}", format!("{what} ").repeat(n));
        for (sql, expected) in [
            (calls(CALLS), None),
            (calls(CALLS + 1), Some("54001")),
            (arrays(6), None),
            (arrays(7), Some("54000")),
            (bare(6), None),
            (bare(7), Some("54000")),
            (chain("+ 1", OPERATORS), None),
            (chain("+ 1", OPERATORS + 1), Some("54001")),
            (chain("+ (1", OPERATORS + 1), Some("54001")),
            (chain("AND true", CONDITIONS), None),
            (chain("OR true", CONDITIONS + 1), Some("54001")),
            (chain("UNION ALL SELECT 1", SELECTS), None),
            (chain("EXCEPT SELECT 1", SELECTS + 1), Some("54001")),
            // Lists and statements one after the other.
            (chain(", 1 + 2", 10_000), None),
            (chain("; SELECT 1 + 1", 1_000), None),
            (
                format!("SELECT x IN ({}1)", "'a'::text, ".repeat(5_000)),
                None,
            ),
            (format!("SELECT {}1", "f(1), ".repeat(1_000)), None),
        ] {
            let short = sql.get(..40).unwrap_or(&sql);
            assert_eq!(state(&sql).as_deref(), expected, "{short}");
        }
    }
}
