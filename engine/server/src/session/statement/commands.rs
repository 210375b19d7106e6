//! PostgreSQL's session commands, read from tokens.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{self, Expr};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan, Whitespace};

use genokura_sql_ext::dialect::Bounded;

use super::cursor::TokenCursor;
use super::{Explaining, Parsed, Statement, query_of, query_statement, query_text, read_only};
use crate::sqlstate::{ServerError, from_parser};

type Read<T> = Result<T, ServerError>;

/// The value of SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// SET name TO DEFAULT.
    Default,
    /// The value as SHOW prints it.
    Text(String),
}

/// The format of COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Tab-separated with backslash escapes.
    Text,
    /// Comma-separated with quotes.
    Csv,
    /// PGCOPY.
    Binary,
}

/// What the first line of COPY in text or csv is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    /// A row.
    #[default]
    None,
    /// The names of the columns.
    Line,
    /// The names of the columns, which must be those of the table.
    Match,
}

/// Format and options of COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Format.
    pub format: CopyFormat,
    /// What the first line holds.
    pub header: CopyHeader,
    /// Between fields.
    pub delimiter: u8,
    /// What a NULL is printed as.
    pub null: String,
    /// Quote of csv.
    pub quote: u8,
    /// Escape of the quote in csv.
    pub escape: u8,
    /// Columns quoted in every row, `*` for all (csv).
    pub force_quote: Vec<String>,
    /// Columns where a quoted value may be NULL (csv, COPY FROM).
    pub force_null: Vec<String>,
    /// Columns where no value is NULL (csv, COPY FROM).
    pub force_not_null: Vec<String>,
}

/// Reads one statement; the caller checks that nothing is left.
pub(super) fn read(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    if cursor.peek() == Some(&Token::LParen) {
        return query_statement(cursor);
    }
    let Some(word) = cursor.peek_word() else {
        return Err(cursor.syntax_error());
    };
    match word.as_str() {
        "SELECT" | "WITH" | "VALUES" => return query_statement(cursor),
        "TABLE" => return table(cursor),
        _ => {}
    }
    let unknown = cursor.syntax_error();
    cursor.next();
    if let Some(command) = super::rights::read(&word, cursor)? {
        return Ok(Statement::Rights(command));
    }
    if let Some(command) = super::cohort::read(&word, cursor)? {
        return Ok(command);
    }
    if let Some(command) = super::temp::read(&word, cursor)? {
        return Ok(command);
    }
    Ok(match word.as_str() {
        "EXPLAIN" => explain(cursor)?,
        "SET" => set(cursor)?,
        "SHOW" => Statement::Show(parameter_name(cursor)?),
        "RESET" => {
            let name = parameter_name(cursor)?;
            Statement::Reset((name != "all").then_some(name))
        }
        "DISCARD" => discard(cursor)?,
        "BEGIN" => {
            transaction_word(cursor);
            let read_write = transaction_modes(cursor)?;
            Statement::Begin {
                tag: "BEGIN",
                read_write,
            }
        }
        "START" => {
            cursor.expect_word("TRANSACTION")?;
            let read_write = transaction_modes(cursor)?;
            Statement::Begin {
                tag: "START TRANSACTION",
                read_write,
            }
        }
        "COMMIT" | "END" => {
            if cursor.accept("PREPARED") {
                return refuse(
                    cursor,
                    ServerError::unsupported("two-phase commit is not supported"),
                );
            }
            transaction_word(cursor);
            Statement::Commit {
                chain: chain(cursor)?,
            }
        }
        "ROLLBACK" | "ABORT" => rollback(cursor)?,
        "SAVEPOINT" => Statement::Savepoint(cursor.identifier()?),
        "RELEASE" => {
            cursor.accept("SAVEPOINT");
            Statement::Release(cursor.identifier()?)
        }
        "PREPARE" => prepare(cursor)?,
        "EXECUTE" => execute(cursor)?,
        "DEALLOCATE" => {
            cursor.accept("PREPARE");
            Statement::Deallocate(name_or_all(cursor)?)
        }
        "DECLARE" => super::fetch::declare(cursor)?,
        "FETCH" => super::fetch::fetch(cursor, false)?,
        "MOVE" => super::fetch::fetch(cursor, true)?,
        "CLOSE" => Statement::Close(name_or_all(cursor)?),
        "COPY" => copy(cursor)?,
        "LISTEN" => no_effect(cursor, "LISTEN"),
        "UNLISTEN" => no_effect(cursor, "UNLISTEN"),
        "NOTIFY" => no_effect(cursor, "NOTIFY"),
        "LOCK" => refuse(
            cursor,
            ServerError::unsupported("LOCK TABLE is not supported"),
        )?,
        "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "TRUNCATE" | "CREATE" | "DROP" | "ALTER"
        | "COMMENT" | "REINDEX" | "CLUSTER" | "REFRESH" | "SECURITY" | "IMPORT" => {
            let object = cursor.peek_word().filter(|_| ddl(&word));
            let what = object.map_or(word.clone(), |object| format!("{word} {object}"));
            refuse(cursor, read_only(&what))?
        }
        "VACUUM" | "ANALYZE" | "CHECKPOINT" | "CALL" | "DO" | "LOAD" => refuse(
            cursor,
            ServerError::unsupported(format!("{word} is not supported")),
        )?,
        _ => return Err(unknown),
    })
}

fn ddl(word: &str) -> bool {
    matches!(word, "CREATE" | "DROP" | "ALTER" | "REFRESH")
}

fn refuse(cursor: &mut TokenCursor<'_>, error: ServerError) -> Read<Statement> {
    cursor.take_rest();
    Ok(Statement::Refused(error))
}

fn no_effect(cursor: &mut TokenCursor<'_>, tag: &'static str) -> Statement {
    cursor.take_rest();
    Statement::NoEffect(tag)
}

fn table(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    cursor.next();
    let start = cursor.place();
    object_name(cursor)?;
    let goes_on = cursor.peek_word().is_some_and(|word| {
        matches!(
            word.as_str(),
            "ORDER" | "LIMIT" | "OFFSET" | "FETCH" | "UNION" | "EXCEPT" | "INTERSECT"
        )
    });
    cursor.back_to(start);
    if !goes_on {
        return Ok(Statement::Query(table_query(cursor)?));
    }
    let select = ["SELECT", "*", "FROM"].map(|word| TokenWithSpan {
        token: match word {
            "*" => Token::Mul,
            word => Token::make_keyword(word),
        },
        span: Span::empty(),
    });
    let mut tokens = Vec::new();
    for token in select {
        tokens.push(token);
        tokens.push(TokenWithSpan {
            token: Token::Whitespace(Whitespace::Space),
            span: Span::empty(),
        });
    }
    tokens.extend_from_slice(cursor.take_rest());
    Ok(Statement::Query(query_of(&tokens, cursor.sql())?))
}

/// What TABLE and a name stand for.
fn table_query(cursor: &mut TokenCursor<'_>) -> Read<Box<ast::Statement>> {
    let name = object_name(cursor)?;
    query_text(&format!("SELECT * FROM {name}"))
}

/// A qualified name, quoted so that it reads back the same.
fn object_name(cursor: &mut TokenCursor<'_>) -> Read<String> {
    let mut name = quote_identifier(&cursor.identifier()?);
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&quote_identifier(&cursor.identifier()?));
    }
    Ok(name)
}

fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn explain(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let mut how = Explaining::default();
    if cursor.peek() == Some(&Token::LParen) && explain_options_follow(cursor) {
        let options = cursor.take_parenthesised()?;
        let mut options = TokenCursor::new(options, cursor.sql());
        while !options.at_end() {
            let position = options.syntax_error().position();
            let name = options.identifier()?;
            let value = if options.at_end() || options.peek() == Some(&Token::Comma) {
                "true".to_owned()
            } else {
                option_text(&mut options)?
            };
            let on = !matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "0");
            match name.as_str() {
                "analyze" => how.analyze = on,
                "verbose" => how.verbose = on,
                "format" => match value.to_ascii_lowercase().as_str() {
                    "text" => how.json = false,
                    "json" => how.json = true,
                    "xml" | "yaml" => {
                        return Err(ServerError::unsupported(format!("EXPLAIN format {value}")));
                    }
                    other => {
                        let text = format!(
                            "unrecognized value for EXPLAIN option \"format\": \"{other}\""
                        );
                        return Err(ServerError::new("22023", text).at_position(position));
                    }
                },
                "costs" | "settings" | "generic_plan" | "buffers" | "serialize" | "wal"
                | "timing" | "summary" | "memory" => {}
                other => {
                    let text = format!("unrecognized EXPLAIN option \"{other}\"");
                    return Err(ServerError::syntax(text, position));
                }
            }
            options.accept_token(&Token::Comma);
        }
    } else {
        how.analyze = cursor.accept("ANALYZE") || cursor.accept("ANALYSE");
        how.verbose = cursor.accept("VERBOSE");
    }
    Ok(match read(cursor)? {
        Statement::Query(query) | Statement::Declare { query, .. } => {
            Statement::Explain { how, query }
        }
        Statement::Refused(error) => Statement::Refused(error),
        _ => return Err(ServerError::syntax("EXPLAIN takes a query", None)),
    })
}

/// `EXPLAIN (ANALYZE) …` against `EXPLAIN (SELECT …)`.
fn explain_options_follow(cursor: &mut TokenCursor<'_>) -> bool {
    let mut ahead = TokenCursor::new(&[], "");
    std::mem::swap(&mut ahead, cursor);
    let (rest, sql) = (ahead.take_rest(), ahead.sql());
    *cursor = TokenCursor::new(rest, sql);
    let mut look = TokenCursor::new(rest, sql);
    look.next();
    !matches!(
        look.peek_word().as_deref(),
        Some("SELECT" | "WITH" | "VALUES" | "TABLE") | None
    )
}

fn set(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let local = cursor.accept("LOCAL");
    let session = !local && cursor.accept("SESSION");
    if session && cursor.accept("CHARACTERISTICS") {
        cursor.expect_word("AS")?;
        cursor.expect_word("TRANSACTION")?;
        return Ok(Statement::TransactionModes {
            read_write: transaction_modes(cursor)?,
        });
    }
    if session && cursor.accept("AUTHORIZATION") {
        return role(cursor, "session_authorization");
    }
    if cursor.accept("TRANSACTION") {
        if cursor.accept("SNAPSHOT") {
            let error = ServerError::unsupported("exported snapshots are not supported");
            return refuse(cursor, error);
        }
        return Ok(Statement::TransactionModes {
            read_write: transaction_modes(cursor)?,
        });
    }
    if cursor.accept("ROLE") {
        return role(cursor, "role");
    }
    if cursor.accept("TIME") {
        cursor.expect_word("ZONE")?;
        let value = match cursor.peek_word().as_deref() {
            Some("LOCAL" | "DEFAULT") => {
                cursor.next();
                SetValue::Default
            }
            _ => SetValue::Text(set_value(cursor)?),
        };
        return Ok(Statement::Set {
            name: "timezone".to_owned(),
            value,
            local,
        });
    }
    if cursor.accept("NAMES") {
        let value = SetValue::Text(set_value(cursor)?);
        return Ok(Statement::Set {
            name: "client_encoding".to_owned(),
            value,
            local,
        });
    }
    if cursor.accept("SCHEMA") {
        let value = SetValue::Text(quote_identifier(&cursor.string()?));
        return Ok(Statement::Set {
            name: "search_path".to_owned(),
            value,
            local,
        });
    }
    let name = dotted_name(cursor)?;
    if !cursor.accept_token(&Token::Eq) {
        cursor.expect_word("TO")?;
    }
    if cursor.accept("DEFAULT") {
        return Ok(Statement::Set {
            name,
            value: SetValue::Default,
            local,
        });
    }
    let list = name == "search_path";
    let mut text = list_item(cursor, list)?;
    while cursor.accept_token(&Token::Comma) {
        text.push_str(", ");
        text.push_str(&list_item(cursor, list)?);
    }
    Ok(Statement::Set {
        name,
        value: SetValue::Text(text),
        local,
    })
}

fn list_item(cursor: &mut TokenCursor<'_>, identifiers: bool) -> Read<String> {
    let quoted = matches!(cursor.peek(), Some(Token::Word(word)) if word.quote_style.is_some());
    let text = set_value(cursor)?;
    let plain = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    Ok(if identifiers && quoted && !plain {
        quote_identifier(&text)
    } else {
        text
    })
}

fn role(cursor: &mut TokenCursor<'_>, name: &str) -> Read<Statement> {
    let value = match cursor.peek_word().as_deref() {
        Some("NONE" | "DEFAULT") => {
            cursor.next();
            SetValue::Default
        }
        _ => SetValue::Text(set_value(cursor)?),
    };
    Ok(Statement::Set {
        name: name.to_owned(),
        value,
        local: false,
    })
}

/// One value of SET: a string, a number or a word.
fn set_value(cursor: &mut TokenCursor<'_>) -> Read<String> {
    let negative = cursor.accept_token(&Token::Minus);
    match cursor.peek() {
        Some(Token::SingleQuotedString(_) | Token::EscapedStringLiteral(_)) if !negative => {
            cursor.string()
        }
        Some(Token::Number(digits, _)) => {
            cursor.next();
            Ok(if negative {
                format!("-{digits}")
            } else {
                digits.clone()
            })
        }
        Some(Token::Word(_)) if !negative => cursor.identifier(),
        _ => Err(cursor.syntax_error()),
    }
}

fn dotted_name(cursor: &mut TokenCursor<'_>) -> Read<String> {
    let mut name = cursor.identifier()?.to_ascii_lowercase();
    while cursor.accept_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.identifier()?.to_ascii_lowercase());
    }
    Ok(name)
}

/// The parameter name of SHOW and RESET.
fn parameter_name(cursor: &mut TokenCursor<'_>) -> Read<String> {
    if cursor.accept("TIME") {
        cursor.expect_word("ZONE")?;
        return Ok("timezone".to_owned());
    }
    if cursor.accept("TRANSACTION") {
        cursor.expect_word("ISOLATION")?;
        cursor.expect_word("LEVEL")?;
        return Ok("transaction_isolation".to_owned());
    }
    let name = dotted_name(cursor)?;
    if name == "session" && cursor.accept("AUTHORIZATION") {
        return Ok("session_authorization".to_owned());
    }
    Ok(name)
}

fn discard(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    match cursor.peek_word().as_deref() {
        Some(what @ ("ALL" | "PLANS" | "TEMP" | "TEMPORARY" | "SEQUENCES")) => {
            let what = what.replace("TEMPORARY", "TEMP");
            cursor.next();
            Ok(Statement::Discard(what))
        }
        _ => Err(cursor.syntax_error()),
    }
}

fn transaction_word(cursor: &mut TokenCursor<'_>) {
    let _ = cursor.accept("WORK") || cursor.accept("TRANSACTION");
}

/// Reads transaction modes; true when READ WRITE is among them.
fn transaction_modes(cursor: &mut TokenCursor<'_>) -> Read<bool> {
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

fn chain(cursor: &mut TokenCursor<'_>) -> Read<bool> {
    if !cursor.accept("AND") {
        return Ok(false);
    }
    let no = cursor.accept("NO");
    cursor.expect_word("CHAIN")?;
    Ok(!no)
}

fn rollback(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    transaction_word(cursor);
    if cursor.accept("TO") {
        cursor.accept("SAVEPOINT");
        return Ok(Statement::RollbackTo(cursor.identifier()?));
    }
    Ok(Statement::Rollback {
        chain: chain(cursor)?,
    })
}

fn name_or_all(cursor: &mut TokenCursor<'_>) -> Read<Option<String>> {
    if cursor.accept("ALL") {
        Ok(None)
    } else {
        cursor.identifier().map(Some)
    }
}

fn prepare(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    if cursor.accept("TRANSACTION") {
        return refuse(
            cursor,
            ServerError::unsupported("two-phase commit is not supported"),
        );
    }
    let name = cursor.identifier()?;
    let mut types = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        types = types_of_parameters(cursor.take_parenthesised()?);
    }
    cursor.expect_word("AS")?;
    let moves = [
        "CLOSE",
        "DEALLOCATE",
        "DECLARE",
        "EXECUTE",
        "FETCH",
        "MOVE",
        "PREPARE",
    ];
    if cursor
        .peek_word()
        .is_some_and(|word| moves.contains(&word.as_str()))
    {
        return Err(cursor.syntax_error());
    }
    let statement = read(cursor)?;
    let text = cursor.sql().into();
    Ok(Statement::Prepare {
        name,
        types,
        statement: Box::new(Parsed { statement, text }),
    })
}

/// The types of a list, without their modifiers: parameters have none.
fn types_of_parameters(tokens: &[TokenWithSpan]) -> Vec<String> {
    let mut types = vec![String::new()];
    let mut depth = 0_usize;
    for token in tokens {
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            Token::Comma => types.push(String::new()),
            other => {
                if let Some(last) = types.last_mut() {
                    last.push_str(&other.to_string().to_ascii_lowercase());
                }
            }
        }
    }
    let words = |text: &String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    types.iter().map(words).collect()
}

fn execute(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
    let name = cursor.identifier()?;
    let mut arguments = Vec::new();
    if cursor.peek() == Some(&Token::LParen) {
        let inner = cursor.take_parenthesised()?;
        let dialect = Bounded::of(cursor.sql().len());
        let mut parser = Parser::new(&dialect).with_tokens_with_locations(inner.to_vec());
        let parsed: Result<Vec<Expr>, _> = parser.parse_comma_separated(Parser::parse_expr);
        arguments = parsed.map_err(|error| from_parser(&error, cursor.sql()))?;
    }
    Ok(Statement::Execute { name, arguments })
}

fn copy(cursor: &mut TokenCursor<'_>) -> Read<Statement> {
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
    if !cursor.accept("STDOUT") && !cursor.accept("STDIN") {
        let error = ServerError::new("42501", "permission denied to COPY to a file or program")
            .hint("Use COPY … TO STDOUT, or psql's \\copy command.");
        return refuse(cursor, error);
    }
    Ok(Statement::Copy {
        query,
        table,
        options: copy_options(cursor)?,
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
    let options = copy_options(cursor)?;
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
    let mut columns = Vec::new();
    if cursor.accept_token(&Token::LParen) {
        loop {
            columns.push(quote_identifier(&cursor.identifier()?));
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

/// Options as written; the defaults of the rest depend on the format.
#[derive(Default)]
struct CopyWritten {
    format: Option<CopyFormat>,
    header: CopyHeader,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Vec<String>,
    force_null: Vec<String>,
    force_not_null: Vec<String>,
    /// The options that were read.
    given: BTreeSet<&'static str>,
}

/// The option that the words of an option stand for; `None` for one that may be repeated, or is none.
fn copy_option_of(words: &str) -> Option<&'static str> {
    Some(match words {
        "FORMAT" | "BINARY" | "CSV" => "format",
        "HEADER" => "header",
        "FREEZE" => "freeze",
        "DELIMITER" | "DELIMITERS" => "delimiter",
        "NULL" => "null",
        "QUOTE" => "quote",
        "ESCAPE" => "escape",
        "ENCODING" => "encoding",
        "FORCE_QUOTE" => "force_quote",
        "FORCE_NULL" => "force_null",
        "FORCE_NOT_NULL" => "force_not_null",
        _ => return None,
    })
}

impl CopyWritten {
    /// Takes note of an option that begins at a position.
    fn once(&mut self, words: &str, position: Option<usize>) -> Read<()> {
        match copy_option_of(words) {
            Some(option) if !self.given.insert(option) => {
                let text = "conflicting or redundant options";
                Err(ServerError::syntax(text, position))
            }
            _ => Ok(()),
        }
    }
}

fn copy_options(cursor: &mut TokenCursor<'_>) -> Read<CopyOptions> {
    cursor.accept("WITH");
    let mut written = CopyWritten::default();
    if cursor.peek() == Some(&Token::LParen) {
        let inner = cursor.take_parenthesised()?;
        let mut inner = TokenCursor::new(inner, cursor.sql());
        while !inner.at_end() {
            copy_option(&mut inner, &mut written)?;
            if !inner.at_end() {
                inner.expect(&Token::Comma)?;
            }
        }
    } else {
        while !cursor.at_end() && cursor.peek_word().as_deref() != Some("WHERE") {
            legacy_copy_option(cursor, &mut written)?;
        }
    }
    written.finish()
}

fn copy_option(cursor: &mut TokenCursor<'_>, written: &mut CopyWritten) -> Read<()> {
    let position = cursor.syntax_error().position();
    let name = cursor.identifier()?.to_ascii_lowercase();
    written.once(&name.to_ascii_uppercase(), position)?;
    match name.as_str() {
        "format" => {
            let format = copy_format(&option_text(cursor)?);
            written.format = Some(format.map_err(|error| error.at_position(position))?);
        }
        "header" => {
            let bare = cursor.at_end() || cursor.peek() == Some(&Token::Comma);
            let value = if bare {
                "true".to_owned()
            } else {
                option_text(cursor)?
            };
            written.header = match value.to_ascii_lowercase().as_str() {
                "true" | "on" | "1" => CopyHeader::Line,
                "match" => CopyHeader::Match,
                "false" | "off" | "0" => CopyHeader::None,
                _ => {
                    let text = "header requires a Boolean value or \"match\"";
                    return Err(ServerError::syntax(text, None));
                }
            };
        }
        "delimiter" => written.delimiter = Some(cursor.string()?),
        "null" => written.null = Some(cursor.string()?),
        "quote" => written.quote = Some(cursor.string()?),
        "escape" => written.escape = Some(cursor.string()?),
        "force_quote" => written.force_quote = columns_or_all(cursor)?,
        "force_null" => written.force_null = columns_or_all(cursor)?,
        "force_not_null" => written.force_not_null = columns_or_all(cursor)?,
        // Rows are not frozen here: there is nothing to wait for.
        "freeze" => {
            if !cursor.at_end() && cursor.peek() != Some(&Token::Comma) {
                option_text(cursor)?;
            }
        }
        "encoding" => encoding(&cursor.string()?)?,
        other => {
            let text = format!("option \"{other}\" not recognized");
            return Err(ServerError::syntax(text, position));
        }
    }
    Ok(())
}

fn legacy_copy_option(cursor: &mut TokenCursor<'_>, written: &mut CopyWritten) -> Read<()> {
    let Some(word) = cursor.peek_word() else {
        return Err(cursor.syntax_error());
    };
    let unknown = cursor.syntax_error();
    cursor.next();
    written.once(&word, unknown.position())?;
    match word.as_str() {
        "BINARY" => written.format = Some(CopyFormat::Binary),
        "CSV" => written.format = Some(CopyFormat::Csv),
        "HEADER" => written.header = CopyHeader::Line,
        "FREEZE" => {}
        "DELIMITER" | "DELIMITERS" | "NULL" | "QUOTE" | "ESCAPE" => {
            cursor.accept("AS");
            let value = Some(cursor.string()?);
            match word.as_str() {
                "NULL" => written.null = value,
                "QUOTE" => written.quote = value,
                "ESCAPE" => written.escape = value,
                _ => written.delimiter = value,
            }
        }
        "ENCODING" => encoding(&cursor.string()?)?,
        "FORCE" => {
            let option = if cursor.accept("NOT") {
                cursor.expect_word("NULL")?;
                "FORCE_NOT_NULL"
            } else if cursor.accept("NULL") {
                "FORCE_NULL"
            } else {
                cursor.expect_word("QUOTE")?;
                "FORCE_QUOTE"
            };
            written.once(option, unknown.position())?;
            let forced = match option {
                "FORCE_NOT_NULL" => &mut written.force_not_null,
                "FORCE_NULL" => &mut written.force_null,
                _ => &mut written.force_quote,
            };
            loop {
                let all = cursor.accept_token(&Token::Mul);
                forced.push(if all {
                    "*".to_owned()
                } else {
                    cursor.identifier()?
                });
                if !cursor.accept_token(&Token::Comma) {
                    break;
                }
            }
        }
        _ => return Err(unknown),
    }
    Ok(())
}

fn columns_or_all(cursor: &mut TokenCursor<'_>) -> Read<Vec<String>> {
    if cursor.accept_token(&Token::Mul) {
        return Ok(vec!["*".to_owned()]);
    }
    let inner = cursor.take_parenthesised()?;
    let mut inner = TokenCursor::new(inner, cursor.sql());
    let mut columns = vec![inner.identifier()?];
    while inner.accept_token(&Token::Comma) {
        columns.push(inner.identifier()?);
    }
    Ok(columns)
}

fn option_text(cursor: &mut TokenCursor<'_>) -> Read<String> {
    set_value(cursor)
}

fn encoding(name: &str) -> Read<()> {
    if matches!(
        name.to_ascii_lowercase().replace('-', "").as_str(),
        "utf8" | "unicode"
    ) {
        return Ok(());
    }
    Err(ServerError::unsupported(format!(
        "encoding \"{name}\" is not supported; use UTF8"
    )))
}

fn copy_format(name: &str) -> Read<CopyFormat> {
    match name.to_ascii_lowercase().as_str() {
        "text" => Ok(CopyFormat::Text),
        "csv" => Ok(CopyFormat::Csv),
        "binary" => Ok(CopyFormat::Binary),
        other => Err(ServerError::new(
            "22023",
            format!("COPY format \"{other}\" not recognized"),
        )),
    }
}

impl CopyWritten {
    fn finish(self) -> Read<CopyOptions> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let csv = format == CopyFormat::Csv;
        if format == CopyFormat::Binary {
            let what = match (&self.delimiter, &self.null) {
                (Some(_), _) => "cannot specify DELIMITER in BINARY mode",
                (None, Some(_)) => "cannot specify NULL in BINARY mode",
                (None, None) if self.header != CopyHeader::None => {
                    let text = "cannot specify HEADER in BINARY mode";
                    return Err(ServerError::unsupported(text));
                }
                (None, None) => "",
            };
            if !what.is_empty() {
                return Err(ServerError::syntax(what, None));
            }
        }
        let csv_only = [
            (self.quote.is_some(), "quote"),
            (self.escape.is_some(), "escape"),
            (!self.force_quote.is_empty(), "force quote"),
            (!self.force_not_null.is_empty(), "force not null"),
            (!self.force_null.is_empty(), "force null"),
        ];
        if let Some((_, what)) = csv_only.iter().find(|(given, _)| *given && !csv) {
            let text = format!("COPY {what} available only in CSV mode");
            return Err(ServerError::unsupported(text));
        }
        let delimiter = one_byte("delimiter", self.delimiter, if csv { b',' } else { b'\t' })?;
        let quote = one_byte("quote", self.quote, b'"')?;
        let escape = one_byte("escape", self.escape, quote)?;
        let null = self
            .null
            .unwrap_or_else(|| if csv { String::new() } else { "\\N".to_owned() });
        if csv && delimiter == quote {
            return Err(ServerError::new(
                "22023",
                "COPY delimiter and quote must be different",
            ));
        }
        Ok(CopyOptions {
            format,
            header: self.header,
            delimiter,
            null,
            quote,
            escape,
            force_quote: self.force_quote,
            force_null: self.force_null,
            force_not_null: self.force_not_null,
        })
    }
}

fn one_byte(what: &str, text: Option<String>, default: u8) -> Read<u8> {
    match text.as_deref().map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) if !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        Some(_) => Err(ServerError::unsupported(format!(
            "COPY {what} must be a single one-byte character"
        ))),
    }
}
