//! DECLARE, FETCH and MOVE, read from tokens.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::TokenCursor;
use super::{Statement, query};
use crate::sqlstate::ServerError;

type Read<T> = Result<T, ServerError>;

/// How a cursor was declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CursorOptions {
    /// BINARY: values are sent in binary.
    pub binary: bool,
    /// SCROLL: it goes backward, too.
    pub scroll: bool,
    /// WITH HOLD: it outlives the transaction.
    pub hold: bool,
}

/// Which rows FETCH gives and MOVE counts, and where the cursor stands then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// This many rows from the position on; 0: the current row again.
    Forward(u64),
    /// This many rows before the position, the nearest first; 0: the current row again.
    Backward(u64),
    /// All rows after the position.
    AllForward,
    /// All rows before the position, the nearest first.
    AllBackward,
    /// The row of this number; counted from the end when negative.
    Absolute(i64),
    /// The row that is so far from the current one.
    Relative(i64),
}

impl Fetch {
    /// A negative number of rows turns around.
    fn of(backward: bool, number: i64) -> Fetch {
        match backward != (number < 0) {
            true => Fetch::Backward(number.unsigned_abs()),
            false => Fetch::Forward(number.unsigned_abs()),
        }
    }
}

pub(super) fn declare(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let name = cursor.identifier()?;
    let mut options = CursorOptions::default();
    let (mut no_scroll, mut insensitive, mut asensitive) = (false, false, false);
    while !cursor.accept("CURSOR") {
        match cursor.peek_word().as_deref() {
            Some("BINARY") => options.binary = true,
            Some("SCROLL") => options.scroll = true,
            Some("INSENSITIVE") => insensitive = true,
            Some("ASENSITIVE") => asensitive = true,
            Some("NO") => {
                cursor.next();
                if cursor.peek_word().as_deref() != Some("SCROLL") {
                    return Err(cursor.syntax_error());
                }
                no_scroll = true;
            }
            _ => return Err(cursor.syntax_error()),
        }
        cursor.next();
    }
    if cursor.accept("WITH") {
        cursor.expect_word("HOLD")?;
        options.hold = true;
    } else if cursor.accept("WITHOUT") {
        cursor.expect_word("HOLD")?;
    }
    cursor.expect_word("FOR")?;
    let query = query(cursor)?;
    let both = match (options.scroll && no_scroll, insensitive && asensitive) {
        (true, _) => Some("SCROLL and NO SCROLL"),
        (_, true) => Some("ASENSITIVE and INSENSITIVE"),
        _ => None,
    };
    Ok(match both {
        Some(both) => {
            let text = format!("cannot specify both {both}");
            Statement::Refused(ServerError::new("42P11", text))
        }
        None => Statement::Declare {
            name,
            options,
            query,
            text: cursor.sql().into(),
        },
    })
}

pub(super) fn fetch(cursor: &mut TokenCursor<'_>, skip: bool) -> Read<Statement> {
    let start = cursor.place();
    let is_word = cursor.peek_word().is_some();
    let mut rows = rows(cursor)?;
    if is_word && cursor.at_end() {
        // A cursor may be called as a direction is.
        cursor.back_to(start);
        rows = Fetch::Forward(1);
    }
    let _ = cursor.accept("FROM") || cursor.accept("IN");
    let name = cursor.identifier()?;
    Ok(Statement::Fetch { name, rows, skip })
}

fn rows(cursor: &mut TokenCursor<'_>) -> Read<Fetch> {
    let word = cursor.peek_word().unwrap_or_default();
    let fixed = match word.as_str() {
        "NEXT" => Fetch::Forward(1),
        "PRIOR" => Fetch::Backward(1),
        "FIRST" => Fetch::Absolute(1),
        "LAST" => Fetch::Absolute(-1),
        "ALL" => Fetch::AllForward,
        "ABSOLUTE" | "RELATIVE" => {
            cursor.next();
            if cursor.at_end() {
                return Ok(Fetch::Forward(1));
            }
            let Some(number) = number(cursor)? else {
                return Err(cursor.syntax_error());
            };
            return Ok(match word.as_str() {
                "ABSOLUTE" => Fetch::Absolute(number),
                _ => Fetch::Relative(number),
            });
        }
        "FORWARD" | "BACKWARD" => {
            cursor.next();
            let backward = word == "BACKWARD";
            if cursor.accept("ALL") {
                return Ok(match backward {
                    true => Fetch::AllBackward,
                    false => Fetch::AllForward,
                });
            }
            let number = number(cursor)?.unwrap_or(1);
            return Ok(Fetch::of(backward, number));
        }
        _ => return Ok(Fetch::of(false, number(cursor)?.unwrap_or(1))),
    };
    cursor.next();
    Ok(fixed)
}

/// A number with or without a sign; None where there is none.
fn number(cursor: &mut TokenCursor<'_>) -> Read<Option<i64>> {
    let negative = cursor.accept_token(&Token::Minus);
    let signed = negative || cursor.accept_token(&Token::Plus);
    let Some(Token::Number(digits, _)) = cursor.peek() else {
        return match signed {
            true => Err(cursor.syntax_error()),
            false => Ok(None),
        };
    };
    // PostgreSQL's grammar takes integers.
    let number: i32 = digits.parse().map_err(|_| cursor.syntax_error())?;
    cursor.next();
    let number = i64::from(number);
    Ok(Some(if negative { -number } else { number }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn one(sql: &str) -> Statement {
        super::super::parse(sql).unwrap().remove(0).statement
    }

    #[test]
    fn every_direction_is_read() {
        for (sql, expected) in [
            ("fetch c", Fetch::Forward(1)),
            ("fetch from c", Fetch::Forward(1)),
            ("fetch next", Fetch::Forward(1)),
            ("fetch absolute", Fetch::Forward(1)),
            ("fetch next c", Fetch::Forward(1)),
            ("fetch prior in c", Fetch::Backward(1)),
            ("fetch first from c", Fetch::Absolute(1)),
            ("fetch last c", Fetch::Absolute(-1)),
            ("fetch +3 from c", Fetch::Forward(3)),
            ("fetch -3 from c", Fetch::Backward(3)),
            ("fetch all from c", Fetch::AllForward),
            ("fetch forward c", Fetch::Forward(1)),
            ("fetch forward 0 in c", Fetch::Forward(0)),
            ("fetch backward c", Fetch::Backward(1)),
            ("fetch backward -2 from c", Fetch::Forward(2)),
            ("fetch backward all c", Fetch::AllBackward),
            ("move absolute -2 in c", Fetch::Absolute(-2)),
            ("move relative 7 c", Fetch::Relative(7)),
        ] {
            let Statement::Fetch { rows, skip, .. } = one(sql) else {
                panic!("{sql}")
            };
            assert_eq!((rows, skip), (expected, sql.starts_with("move")), "{sql}");
        }
        for wrong in [
            "fetch absolute c",
            "fetch 3000000000 c",
            "fetch - c",
            "fetch 1.5 c",
        ] {
            let error = super::super::parse(wrong).unwrap_err();
            assert_eq!(error.code(), "42601", "{wrong}");
        }
    }

    #[test]
    fn a_cursor_is_declared_with_options_that_go_together() {
        let options = |sql: &str| match one(sql) {
            Statement::Declare { options, .. } => options,
            other => panic!("{sql}: {other:?}"),
        };
        let scroll = options("declare c binary insensitive scroll cursor with hold for select 1");
        assert!(scroll.binary && scroll.scroll && scroll.hold);
        let plain = options("declare c no scroll cursor without hold for select 1");
        assert_eq!(plain, CursorOptions::default());
        for both in [
            "declare c scroll no scroll cursor for select 1",
            "declare c insensitive asensitive cursor for select 1",
        ] {
            assert!(matches!(one(both), Statement::Refused(error) if error.code() == "42P11"));
        }
    }
}
