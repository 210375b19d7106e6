//! What stands behind BEGIN, COMMIT, ROLLBACK and SET TRANSACTION, read from tokens.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::Statement;
use super::commands::Read;
use super::cursor::TokenCursor;

pub(super) fn optional_word(cursor: &mut TokenCursor<'_>) {
    let _ = cursor.accept("WORK") || cursor.accept("TRANSACTION");
}

/// Reads transaction modes; true when READ WRITE is among them.
pub(super) fn modes(cursor: &mut TokenCursor<'_>) -> Read<bool> {
    let mut read_write = false;
    while !cursor.at_end() {
        cursor.accept_token(&Token::Comma);
        if cursor.accept("ISOLATION") {
            cursor.expect_word("LEVEL")?;
            let known = cursor.accept("SERIALIZABLE")
                || (cursor.accept("REPEATABLE") && cursor.accept("READ"))
                || (cursor.accept("READ")
                    && (cursor.accept("COMMITTED") || cursor.accept("UNCOMMITTED")));
            if !known {
                return Err(cursor.syntax_error());
            }
        } else if cursor.accept("READ") {
            read_write = cursor.accept("WRITE");
            if !read_write {
                cursor.expect_word("ONLY")?;
            }
        } else {
            cursor.accept("NOT");
            cursor.expect_word("DEFERRABLE")?;
        }
    }
    Ok(read_write)
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
