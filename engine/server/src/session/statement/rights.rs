//! GRANT, REVOKE and the statements about roles, read from tokens.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::TokenCursor;
use crate::sqlstate::ServerError;

/// A change of rights or roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RightsCommand {
    /// GRANT and REVOKE of SELECT.
    Tables {
        /// GRANT; else REVOKE.
        give: bool,
        /// Only these columns; None: all.
        columns: Option<BTreeSet<String>>,
        /// On what.
        on: Vec<Object>,
        /// To or from whom.
        roles: Vec<String>,
    },
    /// GRANT and REVOKE of CREATE ON SCHEMA public: to keep cohorts in the lake.
    Cohorts {
        /// GRANT; else REVOKE.
        give: bool,
        /// To or from whom.
        roles: Vec<String>,
    },
    /// CREATE ROLE, CREATE USER.
    Create(String, RoleOptions),
    /// ALTER ROLE, ALTER USER.
    Alter(String, RoleOptions),
    /// DROP ROLE, DROP USER.
    Drop {
        /// The roles.
        names: Vec<String>,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// DROP OWNED BY: the cohorts of roles, and their rights.
    DropOwned(Vec<String>),
    /// REASSIGN OWNED BY: the cohorts of roles become another's.
    ReassignOwned {
        /// Whose.
        from: Vec<String>,
        /// Who gets them.
        to: String,
    },
}

/// What a right is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A table, with its schema when that was written.
    Table(Option<String>, String),
    /// ALL TABLES IN SCHEMA.
    Schema(String),
}

/// Options of CREATE and ALTER ROLE.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleOptions {
    /// PASSWORD: stored keys in text form; `Some(None)` for NULL.
    pub password: Option<Option<String>>,
    /// SUPERUSER or NOSUPERUSER.
    pub admin: Option<bool>,
    /// CONNECTION LIMIT; `Some(None)` for -1.
    pub connections: Option<Option<usize>>,
}

/// Reads a statement about rights whose first word was `word`; None when it is about something else.
pub(super) fn read(
    word: &str,
    cursor: &mut TokenCursor<'_>,
) -> Result<Option<RightsCommand>, ServerError> {
    Ok(Some(match word {
        "GRANT" => tables(cursor, true)?,
        "REVOKE" => {
            if cursor.accept("GRANT") {
                return Err(ServerError::unsupported("grant options are not supported"));
            }
            tables(cursor, false)?
        }
        "REASSIGN" => {
            cursor.expect_word("OWNED")?;
            cursor.expect_word("BY")?;
            let from = list(cursor, role)?;
            cursor.expect_word("TO")?;
            RightsCommand::ReassignOwned {
                from,
                to: role(cursor)?,
            }
        }
        "DROP" if cursor.peek_word().as_deref() == Some("OWNED") => {
            cursor.next();
            cursor.expect_word("BY")?;
            let roles = list(cursor, role)?;
            let _ = cursor.accept("CASCADE") || cursor.accept("RESTRICT");
            RightsCommand::DropOwned(roles)
        }
        "CREATE" | "ALTER" | "DROP" => {
            let about_roles = matches!(cursor.peek_word().as_deref(), Some("ROLE" | "USER"));
            if !about_roles {
                return Ok(None);
            }
            cursor.next();
            if word == "DROP" {
                let if_exists = cursor.accept("IF");
                if if_exists {
                    cursor.expect_word("EXISTS")?;
                }
                let names = list(cursor, role)?;
                return Ok(Some(RightsCommand::Drop { names, if_exists }));
            }
            let name = role(cursor)?;
            let options = options(cursor)?;
            match word {
                "CREATE" => RightsCommand::Create(name, options),
                _ => RightsCommand::Alter(name, options),
            }
        }
        _ => return Ok(None),
    }))
}

fn tables(cursor: &mut TokenCursor<'_>, give: bool) -> Result<RightsCommand, ServerError> {
    if cursor.accept("CREATE") {
        return cohorts(cursor, give);
    }
    if cursor.accept("ALL") {
        cursor.accept("PRIVILEGES");
    } else if !cursor.accept("SELECT") {
        return Err(no_such_right());
    }
    let mut columns = None;
    if cursor.accept_token(&Token::LParen) {
        columns = Some(list(cursor, TokenCursor::identifier)?.into_iter().collect());
        cursor.expect(&Token::RParen)?;
    }
    if cursor.accept_token(&Token::Comma) {
        return Err(no_such_right());
    }
    cursor.expect_word("ON")?;
    let on = if cursor.accept("ALL") {
        cursor.expect_word("TABLES")?;
        cursor.expect_word("IN")?;
        cursor.expect_word("SCHEMA")?;
        let schemas = list(cursor, TokenCursor::identifier)?;
        schemas.into_iter().map(Object::Schema).collect()
    } else if ["SCHEMA", "DATABASE", "FUNCTION", "SEQUENCE"]
        .iter()
        .any(|kind| cursor.peek_word().as_deref() == Some(kind))
    {
        let text = "rights are given on tables and columns";
        return Err(ServerError::unsupported(text)
            .hint(
            "A schema is usable as soon as one of its tables may be read; GRANT SELECT ON ALL TABLES \
             IN SCHEMA … also covers tables to come.",
        ));
    } else {
        cursor.accept("TABLE");
        list(cursor, object)?
    };
    let roles = to_roles(cursor, give)?;
    Ok(RightsCommand::Tables {
        give,
        columns,
        on,
        roles,
    })
}

fn no_such_right() -> ServerError {
    ServerError::unsupported(
        "the rights that can be given are SELECT on tables and columns, and CREATE ON SCHEMA public",
    )
    .hint("SQL reads the lake; CREATE ON SCHEMA public lets a role keep cohorts in it.")
}

/// CREATE ON SCHEMA public, from ON on.
fn cohorts(cursor: &mut TokenCursor<'_>, give: bool) -> Result<RightsCommand, ServerError> {
    cursor.expect_word("ON")?;
    let schema = match cursor.accept("SCHEMA") {
        true => list(cursor, TokenCursor::identifier)?,
        false => return Err(no_such_right()),
    };
    if schema != [genokura_storage::COHORT_SCHEMA] {
        return Err(no_such_right());
    }
    let roles = to_roles(cursor, give)?;
    Ok(RightsCommand::Cohorts { give, roles })
}

/// TO or FROM roles, to the end.
fn to_roles(cursor: &mut TokenCursor<'_>, give: bool) -> Result<Vec<String>, ServerError> {
    cursor.expect_word(if give { "TO" } else { "FROM" })?;
    let roles = list(cursor, role)?;
    if cursor.accept("WITH") {
        return Err(ServerError::unsupported("grant options are not supported"));
    }
    if !give {
        let _ = cursor.accept("CASCADE") || cursor.accept("RESTRICT");
    }
    Ok(roles)
}

fn object(cursor: &mut TokenCursor<'_>) -> Result<Object, ServerError> {
    let first = cursor.identifier()?;
    if !cursor.accept_token(&Token::Period) {
        return Ok(Object::Table(None, first));
    }
    let second = cursor.identifier()?;
    if first == super::super::DATABASE && cursor.accept_token(&Token::Period) {
        return Ok(Object::Table(Some(second), cursor.identifier()?));
    }
    Ok(Object::Table(Some(first), second))
}

fn role(cursor: &mut TokenCursor<'_>) -> Result<String, ServerError> {
    let _ = cursor.accept("GROUP");
    cursor.identifier()
}

fn options(cursor: &mut TokenCursor<'_>) -> Result<RoleOptions, ServerError> {
    cursor.accept("WITH");
    let mut options = RoleOptions::default();
    while !cursor.at_end() {
        match cursor.peek_word().as_deref() {
            Some("SUPERUSER") => options.admin = Some(true),
            Some("NOSUPERUSER") => options.admin = Some(false),
            Some(
                "LOGIN" | "INHERIT" | "NOCREATEDB" | "NOCREATEROLE" | "NOREPLICATION"
                | "NOBYPASSRLS" | "ENCRYPTED",
            ) => {}
            Some("PASSWORD") => {
                cursor.next();
                options.password = Some(match cursor.accept("NULL") {
                    true => None,
                    false => Some(cursor.string()?),
                });
                continue;
            }
            Some("CONNECTION") => {
                cursor.next();
                cursor.expect_word("LIMIT")?;
                options.connections = Some(connections(cursor)?);
                continue;
            }
            Some(other) => {
                let text = format!("role option {other} is not supported");
                return Err(ServerError::unsupported(text));
            }
            None => return Err(cursor.syntax_error()),
        }
        cursor.next();
    }
    Ok(options)
}

fn connections(cursor: &mut TokenCursor<'_>) -> Result<Option<usize>, ServerError> {
    let unlimited = cursor.accept_token(&Token::Minus);
    let Some(Token::Number(digits, _)) = cursor.peek() else {
        return Err(cursor.syntax_error());
    };
    let number = digits.parse();
    cursor.next();
    match number {
        Ok(_) if unlimited => Ok(None),
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(ServerError::new("22023", "invalid connection limit")),
    }
}

fn list<'a, T>(
    cursor: &mut TokenCursor<'a>,
    one: impl Fn(&mut TokenCursor<'a>) -> Result<T, ServerError>,
) -> Result<Vec<T>, ServerError> {
    let mut found = vec![one(cursor)?];
    while cursor.accept_token(&Token::Comma) {
        found.push(one(cursor)?);
    }
    Ok(found)
}
