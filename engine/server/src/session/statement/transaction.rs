//! What stands behind BEGIN, COMMIT, ROLLBACK and SET TRANSACTION, read from tokens.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::Statement;
use super::commands::Read;
use super::cursor::TokenCursor;

pub(super) fn optional_word(cursor: &mut TokenCursor<'_>) {
    let _ = cursor.accept("WORK") || cursor.accept("TRANSACTION");
}

/// What is said of a transaction; the last word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// ISOLATION LEVEL, in lower case.
    pub isolation: Option<&'static str>,
    /// READ ONLY, or READ WRITE.
    pub read_only: Option<bool>,
    /// DEFERRABLE or not.
    pub deferrable: Option<bool>,
}

/// Reads transaction modes.
pub(super) fn modes(cursor: &mut TokenCursor<'_>) -> Read<Modes> {
    let mut modes = Modes::default();
    while !cursor.at_end() {
        cursor.accept_token(&Token::Comma);
        if cursor.accept("ISOLATION") {
            cursor.expect_word("LEVEL")?;
            let level = if cursor.accept("SERIALIZABLE") {
                "serializable"
            } else if cursor.accept("REPEATABLE") && cursor.accept("READ") {
                "repeatable read"
            } else if cursor.accept("READ") {
                match cursor.accept("COMMITTED") {
                    true => "read committed",
                    false => {
                        cursor.expect_word("UNCOMMITTED")?;
                        "read uncommitted"
                    }
                }
            } else {
                return Err(cursor.syntax_error());
            };
            modes.isolation = Some(level);
        } else if cursor.accept("READ") {
            let read_write = cursor.accept("WRITE");
            if !read_write {
                cursor.expect_word("ONLY")?;
            }
            modes.read_only = Some(!read_write);
        } else {
            let not = cursor.accept("NOT");
            cursor.expect_word("DEFERRABLE")?;
            modes.deferrable = Some(!not);
        }
    }
    Ok(modes)
}

pub(super) fn chain(cursor: &mut TokenCursor<'_>) -> Read<bool> {
    if !cursor.accept("AND") {
        return Ok(false);
    }
    let no = cursor.accept("NO");
    cursor.expect_word("CHAIN")?;
    Ok(!no)
}

pub(super) fn rollback(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    optional_word(cursor);
    if cursor.accept("TO") {
        cursor.accept("SAVEPOINT");
        return Ok(Statement::RollbackTo(cursor.identifier()?));
    }
    Ok(Statement::Rollback {
        chain: chain(cursor)?,
    })
}
