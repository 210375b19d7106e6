//! Statements about the session's own tables and views, read from tokens.

mod alter;
mod changes;
mod columns;
mod generated;
mod indexes;
mod sets;
mod with;

use datafusion::sql::sqlparser::ast::{self, ObjectName};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::copy_options::CopyOptions;
use super::cursor::TokenCursor;
use super::{Statement, query, query_of};
use crate::sqlstate::ServerError;
pub use alter::{Alteration, Commented};
pub use changes::{Arbiter, Conflict, OnUpdate, Overriding};
pub use columns::{ColumnDef, Element, KeyDef, LikeDef, Rule, RuleDef};
pub use generated::{GeneratedDef, SequenceDef};
pub use indexes::{IndexDef, KeyPart};
pub(crate) use sets::ONE_ROW;
pub(super) use with::read as read_with;

type Read<T> = Result<T, ServerError>;

/// A name as it was written: maybe a schema, and the last part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The schema; None: found along the search path.
    pub schema: Option<String>,
    /// The relation.
    pub name: String,
}

/// What happens to a temporary table when a transaction commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCommit {
    /// Nothing.
    #[default]
    PreserveRows,
    /// It is emptied.
    DeleteRows,
    /// It goes away.
    Drop,
}

/// A table or a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table.
    Table,
    /// A view.
    View,
    /// A cohort of the session.
    Cohort,
    /// A sequence of a column.
    Sequence,
}

impl Kind {
    /// As SQL calls it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Table => "TABLE",
            Kind::View => "VIEW",
            Kind::Cohort => "COHORT",
            Kind::Sequence => "SEQUENCE",
        }
    }
}

/// A statement about the session's own tables and views.
#[derive(Clone, Debug)]
pub enum TempCommand {
    /// CREATE TEMP TABLE name (columns).
    Create {
        /// The new table.
        name: Name,
        /// One that is there already is left as it is.
        if_not_exists: bool,
        /// Its columns and constraints, in the order written.
        elements: Vec<Element>,
        /// What a commit does to it.
        on_commit: OnCommit,
    },
    /// CREATE TEMP TABLE name AS query, and SELECT … INTO TEMP name.
    CreateAs {
        /// The new table.
        name: Name,
        /// One that is there already is left as it is.
        if_not_exists: bool,
        /// Names of the first columns; the rest have those of the query.
        columns: Vec<String>,
        /// What a commit does to it.
        on_commit: OnCommit,
        /// WITH NO DATA: the columns only.
        with_data: bool,
        /// The query.
        query: Box<ast::Statement>,
    },
    /// CREATE TEMP TABLE name AS EXECUTE statement.
    CreateAsExecute {
        /// What is made of its query.
        create: Box<TempCommand>,
        /// The prepared statement.
        statement: String,
        /// Constant expressions.
        arguments: Vec<ast::Expr>,
    },
    /// CREATE TEMP VIEW name AS query.
    CreateView {
        /// The new view.
        name: Name,
        /// A view of that name is replaced.
        or_replace: bool,
        /// Names of the first columns.
        columns: Vec<String>,
        /// The query.
        query: Box<ast::Statement>,
    },
    /// INSERT INTO name (columns) query.
    Insert {
        /// The table.
        name: Name,
        /// The columns that get values; empty: all, in order.
        columns: Vec<String>,
        /// VALUES or a query; None: DEFAULT VALUES.
        source: Option<Box<ast::Query>>,
        /// OVERRIDING SYSTEM VALUE, or USER VALUE.
        overriding: Option<Overriding>,
        /// What happens where a row is there already; None: an error.
        conflict: Option<Box<Conflict>>,
        /// How RETURNING and ON CONFLICT call the table.
        alias: Option<String>,
        /// The queries before it, which the query reads already.
        with: Option<ast::With>,
        /// What is told of the new rows.
        returning: Option<Vec<ast::SelectItem>>,
    },
    /// DELETE FROM name WHERE condition.
    Delete {
        /// The table.
        name: Name,
        /// How the condition calls it.
        alias: Option<String>,
        /// The queries before it.
        with: Option<ast::With>,
        /// USING: what else the condition is over.
        beside: Vec<ast::TableWithJoins>,
        /// None: every row.
        condition: Option<Box<ast::Expr>>,
        /// What is told of the rows that are gone.
        returning: Option<Vec<ast::SelectItem>>,
    },
    /// UPDATE name SET columns WHERE condition.
    Update {
        /// The table.
        name: Name,
        /// How the expressions call it.
        alias: Option<String>,
        /// The queries before it.
        with: Option<ast::With>,
        /// Columns and what they are set to, in the order written.
        set: Vec<(String, ast::Expr)>,
        /// FROM: what else the expressions are over.
        beside: Vec<ast::TableWithJoins>,
        /// None: every row.
        condition: Option<Box<ast::Expr>>,
        /// What is told of the rows as they are then.
        returning: Option<Vec<ast::SelectItem>>,
    },
    /// DROP TABLE or DROP VIEW.
    Drop {
        /// Tables or views.
        kind: Kind,
        /// Which.
        names: Vec<Name>,
        /// One that is not there is told of and no error.
        if_exists: bool,
        /// Views that read them go as well.
        cascade: bool,
    },
    /// CREATE INDEX.
    CreateIndex(Box<IndexDef>),
    /// DROP INDEX.
    DropIndex {
        /// Which.
        names: Vec<Name>,
        /// One that is not there is told of and no error.
        if_exists: bool,
    },
    /// ALTER TABLE.
    Alter {
        /// The table.
        name: Name,
        /// One that is not there is told of and no error.
        if_exists: bool,
        /// What is done to it, in order.
        alterations: Vec<Alteration>,
    },
    /// COMMENT.
    Comment {
        /// What it is about.
        on: Commented,
        /// None: there is none from then on.
        text: Option<String>,
    },
    /// TRUNCATE names.
    Truncate {
        /// Which.
        names: Vec<Name>,
        /// RESTART IDENTITY.
        restart: bool,
    },
    /// COPY name (columns) FROM STDIN WHERE condition.
    CopyFrom {
        /// The table.
        name: Name,
        /// The columns that the data has; empty: all, in order.
        columns: Vec<String>,
        /// Format and its options.
        options: CopyOptions,
        /// The rows that go into the table; None: all.
        condition: Option<Box<ast::Expr>>,
    },
}

/// Reads CREATE, ALTER, COMMENT, DROP, INSERT, UPDATE, DELETE and TRUNCATE from the first word on; what cannot be about a temporary object is
/// left unread.
pub(super) fn read(word: &str, cursor: &mut TokenCursor<'_>) -> Read<Option<Statement>> {
    let command = match word {
        "CREATE" => return create(cursor),
        "INSERT" => changes::insert(cursor)?,
        "UPDATE" => changes::update(cursor)?,
        "DELETE" => changes::delete(cursor)?,
        "TRUNCATE" => truncate(cursor)?,
        "DROP" | "ALTER" | "COMMENT" => {
            let start = cursor.place();
            let command = match word {
                "DROP" => drop_objects(cursor)?,
                "ALTER" => alter::alter(cursor)?,
                _ => alter::comment(cursor)?,
            };
            match command {
                Some(command) => command,
                None => {
                    cursor.back_to(start);
                    return Ok(None);
                }
            }
        }
        _ => return Ok(None),
    };
    Ok(Some(Statement::Temp(Box::new(command))))
}

/// SELECT … INTO TEMP name as CREATE TEMP TABLE name AS SELECT …; None for a query without INTO.
pub(super) fn select_into(statement: &mut ast::Statement) -> Read<Option<Name>> {
    let ast::Statement::Query(query) = statement else {
        return Ok(None);
    };
    let ast::SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(None);
    };
    let Some(into) = &select.into else {
        return Ok(None);
    };
    let name = name_of(&into.name)?;
    if !into.temporary && !name.schema.as_deref().is_some_and(is_temp_schema) {
        return Ok(None);
    }
    select.into = None;
    Ok(Some(name))
}

/// The name that a text is, as in `nextval('name')`.
///
/// # Errors
/// 42602 for what is none.
pub(crate) fn name_of_text(text: &str) -> Read<Name> {
    let invalid = || ServerError::new("42602", "invalid name syntax");
    let tokens = super::tokenize(text).map_err(|_| invalid())?;
    let mut cursor = TokenCursor::new(&tokens, text);
    let found = name(&mut cursor).map_err(|_| invalid())?;
    match cursor.at_end() {
        true => Ok(found),
        false => Err(invalid()),
    }
}

/// A name of one or two parts, or of three with the database first.
pub(super) fn name(cursor: &mut TokenCursor<'_>) -> Read<Name> {
    let mut parts = vec![cursor.identifier()?];
    while cursor.accept_token(&Token::Period) {
        parts.push(cursor.identifier()?);
    }
    of_parts(parts)
}

fn of_parts(mut parts: Vec<String>) -> Read<Name> {
    let last = parts.pop().unwrap_or_default();
    let schema = parts.pop();
    let database = parts.pop();
    if database.is_some_and(|name| name != crate::session::DATABASE) || !parts.is_empty() {
        return Err(ServerError::unsupported(
            "cross-database references are not implemented",
        ));
    }
    Ok(Name { schema, name: last })
}

/// The name that an identifier of the syntax tree is.
///
/// # Errors
/// 0A000 for a name of another database.
pub(crate) fn name_of(object: &ObjectName) -> Read<Name> {
    let parts = object.0.iter().map(|part| {
        part.as_ident()
            .map(folded)
            .ok_or_else(|| ServerError::unsupported(format!("the name {object} is not supported")))
    });
    of_parts(parts.collect::<Read<_>>()?)
}

fn folded(ident: &ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

fn create(cursor: &mut TokenCursor<'_>) -> Read<Option<Statement>> {
    if let Some(command) = indexes::create(cursor)? {
        return Ok(Some(Statement::Temp(Box::new(command))));
    }
    let start = cursor.place();
    let or_replace = cursor.accept("OR") && cursor.accept("REPLACE");
    let _ = cursor.accept("LOCAL") || cursor.accept("GLOBAL");
    let temporary = cursor.accept("TEMP") || cursor.accept("TEMPORARY");
    let table = !or_replace && cursor.accept("TABLE");
    if !table && !cursor.accept("VIEW") {
        cursor.back_to(start);
        return Ok(None);
    }
    let if_not_exists = cursor.accept("IF");
    if if_not_exists {
        cursor.expect_word("NOT")?;
        cursor.expect_word("EXISTS")?;
    }
    let name = name(cursor)?;
    // A table of the lake comes by ingest; whatever else it says is not looked at.
    if !temporary && !name.schema.as_deref().is_some_and(is_temp_schema) {
        cursor.back_to(start);
        return Ok(None);
    }
    let command = match table {
        true => create_table(cursor, name, if_not_exists)?,
        false => create_view(cursor, name, or_replace)?,
    };
    Ok(Some(Statement::Temp(Box::new(command))))
}

/// Whether a schema is that of temporary objects, of this session or another.
pub(crate) fn is_temp_schema(schema: &str) -> bool {
    schema == "pg_temp" || schema.starts_with("pg_temp_")
}

fn create_table(
    cursor: &mut TokenCursor<'_>,
    name: Name,
    if_not_exists: bool,
) -> Read<TempCommand> {
    let mut definitions = None;
    if cursor.peek() == Some(&Token::LParen) {
        definitions = Some(cursor.take_parenthesised()?);
    } else if cursor.peek_word().as_deref() == Some("OF") {
        return Err(ServerError::unsupported(
            "tables of a type are not supported",
        ));
    }
    if cursor.accept("WITH") {
        // Storage parameters are PostgreSQL's own: there are no pages to fill here.
        cursor.take_parenthesised()?;
    } else if cursor.accept("WITHOUT") {
        cursor.expect_word("OIDS")?;
    }
    let on_commit = on_commit(cursor)?;
    if cursor.accept("AS") {
        let columns = match definitions {
            Some(tokens) => identifiers(&mut TokenCursor::new(tokens, cursor.sql()))?,
            None => Vec::new(),
        };
        let mut executed = None;
        let (query, with_data) = match cursor.accept("EXECUTE") {
            false => query_with_data(cursor)?,
            true => {
                executed = Some(super::prepared::execute(cursor)?);
                (super::query_text("SELECT")?, with_data(cursor)?)
            }
        };
        let create = TempCommand::CreateAs {
            name,
            if_not_exists,
            columns,
            on_commit,
            with_data,
            query,
        };
        return Ok(match executed {
            Some(Statement::Execute { name, arguments }) => TempCommand::CreateAsExecute {
                create: Box::new(create),
                statement: name,
                arguments,
            },
            _ => create,
        });
    }
    let Some(definitions) = definitions else {
        return Err(cursor.syntax_error());
    };
    Ok(TempCommand::Create {
        name,
        if_not_exists,
        elements: columns::elements(definitions, cursor.sql())?,
        on_commit,
    })
}

/// WITH DATA or WITH NO DATA, behind EXECUTE.
fn with_data(cursor: &mut TokenCursor<'_>) -> Read<bool> {
    if !cursor.accept("WITH") {
        return Ok(true);
    }
    let none = cursor.accept("NO");
    cursor.expect_word("DATA")?;
    Ok(!none)
}

/// The query of CREATE TABLE AS, and whether it is to be run.
fn query_with_data(cursor: &mut TokenCursor<'_>) -> Read<(Box<ast::Statement>, bool)> {
    let rest = cursor.take_rest();
    let words: Vec<(usize, String)> = rest
        .iter()
        .enumerate()
        .filter(|(_, token)| !super::is_space(&token.token))
        .map(|(at, token)| (at, token.token.to_string().to_ascii_uppercase()))
        .collect();
    let tail: Vec<&str> = words
        .iter()
        .rev()
        .take(3)
        .map(|(_, word)| word.as_str())
        .collect();
    let (cut, with_data) = match tail.as_slice() {
        ["DATA", "NO", "WITH"] => (3, false),
        ["DATA", "WITH", ..] => (2, true),
        _ => (0, true),
    };
    let end = match cut {
        0 => rest.len(),
        cut => words
            .get(words.len() - cut)
            .map_or(rest.len(), |(at, _)| *at),
    };
    let tokens = rest.get(..end).unwrap_or_default();
    Ok((query_of(tokens, cursor.sql())?, with_data))
}

fn on_commit(cursor: &mut TokenCursor<'_>) -> Read<OnCommit> {
    if !cursor.accept("ON") {
        return Ok(OnCommit::PreserveRows);
    }
    cursor.expect_word("COMMIT")?;
    if cursor.accept("DROP") {
        return Ok(OnCommit::Drop);
    }
    let delete = cursor.accept("DELETE");
    if !delete {
        cursor.expect_word("PRESERVE")?;
    }
    cursor.expect_word("ROWS")?;
    Ok(match delete {
        true => OnCommit::DeleteRows,
        false => OnCommit::PreserveRows,
    })
}

fn identifiers(cursor: &mut TokenCursor<'_>) -> Read<Vec<String>> {
    let mut names = vec![cursor.identifier()?];
    while cursor.accept_token(&Token::Comma) {
        names.push(cursor.identifier()?);
    }
    if !cursor.at_end() {
        return Err(cursor.syntax_error());
    }
    Ok(names)
}

/// A list of columns in parentheses, when there is one.
pub(super) fn column_list(cursor: &mut TokenCursor<'_>) -> Read<Vec<String>> {
    if cursor.peek() != Some(&Token::LParen) {
        return Ok(Vec::new());
    }
    let inner = cursor.take_parenthesised()?;
    identifiers(&mut TokenCursor::new(inner, cursor.sql()))
}

/// Splits at commas outside of parentheses and brackets.
fn split_top(tokens: &[TokenWithSpan]) -> Vec<&[TokenWithSpan]> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.saturating_sub(1),
            Token::Comma if depth == 0 => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

fn create_view(cursor: &mut TokenCursor<'_>, name: Name, or_replace: bool) -> Read<TempCommand> {
    let columns = column_list(cursor)?;
    cursor.expect_word("AS")?;
    Ok(TempCommand::CreateView {
        name,
        or_replace,
        columns,
        query: query(cursor)?,
    })
}

fn drop_objects(cursor: &mut TokenCursor<'_>) -> Read<Option<TempCommand>> {
    let kind = if cursor.accept("TABLE") {
        Kind::Table
    } else if cursor.accept("VIEW") {
        Kind::View
    } else if cursor.accept("SEQUENCE") {
        Kind::Sequence
    } else if cursor.accept("INDEX") {
        return indexes::drop_indexes(cursor).map(Some);
    } else {
        return Ok(None);
    };
    let if_exists = cursor.accept("IF");
    if if_exists {
        cursor.expect_word("EXISTS")?;
    }
    let names = names(cursor)?;
    let cascade = cursor.accept("CASCADE");
    if !cascade {
        cursor.accept("RESTRICT");
    }
    Ok(Some(TempCommand::Drop {
        kind,
        names,
        if_exists,
        cascade,
    }))
}

pub(super) fn names(cursor: &mut TokenCursor<'_>) -> Read<Vec<Name>> {
    let mut names = vec![name(cursor)?];
    while cursor.accept_token(&Token::Comma) {
        names.push(name(cursor)?);
    }
    Ok(names)
}

fn truncate(cursor: &mut TokenCursor<'_>) -> Read<TempCommand> {
    cursor.accept("TABLE");
    let names = names(cursor)?;
    let restart = cursor.accept("RESTART");
    if restart || cursor.accept("CONTINUE") {
        cursor.expect_word("IDENTITY")?;
    }
    let _ = cursor.accept("CASCADE") || cursor.accept("RESTRICT");
    Ok(TempCommand::Truncate { names, restart })
}
