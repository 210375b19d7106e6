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
        roles: Vec<Grantee>,
    },
    /// GRANT and REVOKE of USAGE and CREATE ON SCHEMA.
    Schemas {
        /// GRANT; else REVOKE.
        give: bool,
        /// USAGE.
        usage: bool,
        /// CREATE: in the schema public to keep cohorts in the lake.
        create: bool,
        /// On what.
        schemas: Vec<String>,
        /// To or from whom.
        roles: Vec<Grantee>,
    },
    /// REVOKE of rights that nobody has here, such as INSERT.
    Nothing,
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

/// To or from whom a right goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grantee {
    /// CURRENT_USER, CURRENT_ROLE, SESSION_USER.
    Current,
    /// A role; `public` is every role.
    Role(String),
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
        "GRANT" => rights(cursor, true)?,
        "REVOKE" => {
            if cursor.accept("GRANT") {
                return Err(ServerError::unsupported("grant options are not supported"));
            }
            rights(cursor, false)?
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

/// Rights that PostgreSQL gives on tables; of these SELECT is to be had here.
const ON_TABLES: [&str; 7] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
];
/// Rights on schemas.
const ON_SCHEMAS: [&str; 2] = ["USAGE", "CREATE"];
/// Rights on what has none of its own here.
const ON_OTHERS: [&str; 6] = ["CONNECT", "TEMPORARY", "TEMP", "EXECUTE", "SET", "ALTER"];

/// A right, and the columns that it is on.
struct Right {
    name: String,
    columns: Option<BTreeSet<String>>,
}

fn rights(cursor: &mut TokenCursor<'_>, give: bool) -> Result<RightsCommand, ServerError> {
    let rights = list(cursor, right)?;
    if ["TO", "FROM"].iter().any(|word| cursor.accept(word)) {
        let text = "roles have no members";
        return Err(ServerError::unsupported(text).hint(
            "GRANT … TO PUBLIC gives a right to every role; a statement may name several roles.",
        ));
    }
    for right in &rights {
        let name = right.name.as_str();
        let known = ["ALL"]
            .iter()
            .chain(&ON_TABLES)
            .chain(&ON_SCHEMAS)
            .chain(&ON_OTHERS);
        if !known.into_iter().any(|known| *known == name) {
            let text = format!("unrecognized privilege type \"{}\"", name.to_lowercase());
            return Err(ServerError::new("42601", text));
        }
    }
    cursor.expect_word("ON")?;
    if cursor.accept("SCHEMA") {
        return schemas(cursor, give, &rights);
    }
    if ["DATABASE", "FUNCTION", "SEQUENCE"]
        .iter()
        .any(|kind| cursor.peek_word().as_deref() == Some(kind))
    {
        let text = "rights are given on tables, columns and schemas";
        return Err(ServerError::unsupported(text));
    }
    tables(cursor, give, rights)
}

/// A right, with ALL as one.
fn right(cursor: &mut TokenCursor<'_>) -> Result<Right, ServerError> {
    let name = cursor.identifier()?.to_ascii_uppercase();
    if name == "ALL" {
        cursor.accept("PRIVILEGES");
    }
    let mut columns = None;
    if cursor.accept_token(&Token::LParen) {
        columns = Some(list(cursor, TokenCursor::identifier)?.into_iter().collect());
        cursor.expect(&Token::RParen)?;
    }
    Ok(Right { name, columns })
}

/// Rights on tables, from what they are on.
fn tables(
    cursor: &mut TokenCursor<'_>,
    give: bool,
    rights: Vec<Right>,
) -> Result<RightsCommand, ServerError> {
    for right in &rights {
        fits(right, &ON_TABLES, "relation")?;
        if give && !["ALL", "SELECT"].contains(&right.name.as_str()) {
            return Err(no_such_right());
        }
    }
    let on = if cursor.accept("ALL") {
        cursor.expect_word("TABLES")?;
        cursor.expect_word("IN")?;
        cursor.expect_word("SCHEMA")?;
        let schemas = list(cursor, TokenCursor::identifier)?;
        schemas.into_iter().map(Object::Schema).collect()
    } else {
        cursor.accept("TABLE");
        list(cursor, object)?
    };
    let roles = to_roles(cursor, give)?;
    // Of a right on columns and one on the table, the one on the table says all.
    let mut reads = rights
        .into_iter()
        .filter(|right| ["ALL", "SELECT"].contains(&right.name.as_str()))
        .map(|right| right.columns);
    let Some(first) = reads.next() else {
        return Ok(RightsCommand::Nothing);
    };
    let columns = reads.fold(first, |all, more| {
        let (mut all, more) = (all?, more?);
        all.extend(more);
        Some(all)
    });
    Ok(RightsCommand::Tables {
        give,
        columns,
        on,
        roles,
    })
}

/// Rights on schemas, from their names on.
fn schemas(
    cursor: &mut TokenCursor<'_>,
    give: bool,
    rights: &[Right],
) -> Result<RightsCommand, ServerError> {
    for right in rights {
        fits(right, &ON_SCHEMAS, "schema")?;
        if right.columns.is_some() {
            let text = "column privileges are only valid for relations";
            return Err(ServerError::new("0LP01", text));
        }
    }
    let has = |name: &str| rights.iter().any(|right| right.name == name);
    let schemas = list(cursor, TokenCursor::identifier)?;
    let of_cohorts = |schema: &String| schema == genokura_storage::COHORT_SCHEMA;
    if give && has("CREATE") && !schemas.iter().all(of_cohorts) {
        return Err(no_such_right());
    }
    Ok(RightsCommand::Schemas {
        give,
        usage: has("USAGE") || has("ALL"),
        create: has("CREATE") || has("ALL"),
        schemas,
        roles: to_roles(cursor, give)?,
    })
}

/// 0LP01 for a right that there is on something else.
fn fits(right: &Right, known: &[&str], what: &str) -> Result<(), ServerError> {
    let name = right.name.as_str();
    match name == "ALL" || known.contains(&name) {
        true => Ok(()),
        false => {
            // Sequences are relations, too, and may be used.
            let what = match (name, what) {
                ("USAGE", "relation") => "table",
                _ => what,
            };
            let text = format!("invalid privilege type {name} for {what}");
            Err(ServerError::new("0LP01", text))
        }
    }
}

fn no_such_right() -> ServerError {
    ServerError::unsupported(
        "the rights that can be given are SELECT on tables and columns, USAGE on schemas, and CREATE ON SCHEMA public",
    )
    .hint("SQL reads the lake; CREATE ON SCHEMA public lets a role keep cohorts in it.")
}

/// TO or FROM roles, to the end.
fn to_roles(cursor: &mut TokenCursor<'_>, give: bool) -> Result<Vec<Grantee>, ServerError> {
    cursor.expect_word(if give { "TO" } else { "FROM" })?;
    let roles = list(cursor, grantee)?;
    if cursor.accept("WITH") {
        return Err(ServerError::unsupported("grant options are not supported"));
    }
    if !give {
        let _ = cursor.accept("CASCADE") || cursor.accept("RESTRICT");
    }
    Ok(roles)
}

fn grantee(cursor: &mut TokenCursor<'_>) -> Result<Grantee, ServerError> {
    let _ = cursor.accept("GROUP");
    let current = ["CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"];
    if current.iter().any(|word| cursor.accept(word)) {
        return Ok(Grantee::Current);
    }
    cursor.identifier().map(Grantee::Role)
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
