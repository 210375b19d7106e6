//! Query strings to statements: splitting at `;` and PostgreSQL's session commands.
//!
//! Queries go to sqlparser; session commands (SET, BEGIN, FETCH, COPY …) are read here from the
//! same tokens. The list of statement kinds is an allow-list: whatever is not read here and is
//! no query is refused before planning.

pub mod cohort;
mod commands;
mod copy;
mod copy_options;
mod cursor;
mod escapes;
mod exclusions;
mod explain;
mod fetch;
mod grouping_items;
pub(crate) mod joins;
pub(super) mod long_lists;
pub mod maintenance;
mod no_columns;
mod only;
mod operators;
mod patterns;
mod prepared;
mod records;
mod respelled;
pub mod rights;
pub(crate) mod rows_from;
mod set;
mod set_parentheses;
mod signs;
mod similar;
pub mod temp;
mod transaction;
mod trims;
mod values;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{
    Span, Token, TokenWithSpan, Tokenizer, Whitespace, Word,
};

use genokura_sql_ext::depth;
use genokura_sql_ext::dialect::Bounded;

use super::rewrite::escapes_of_parameters;
use super::work::Work;
use crate::sqlstate::{ServerError, from_parser, function_error, offset_of};
pub(super) use copy_options::is_encoding;
pub use copy_options::{CopyFormat, CopyHeader, CopyOptions};
use cursor::TokenCursor;
pub use fetch::{CursorOptions, Fetch};
pub use set::SetValue;
pub use transaction::Modes;

/// One statement of a query string.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// What to do.
    pub statement: Statement,
    /// The whole query string, which error positions refer to.
    pub text: std::sync::Arc<str>,
}

/// What EXPLAIN tells, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Explaining {
    /// Run the query and report what happened.
    pub analyze: bool,
    /// Every plan with its details.
    pub verbose: bool,
    /// FORMAT JSON.
    pub json: bool,
}

/// A statement the session knows how to run.
#[derive(Clone, Debug)]
pub enum Statement {
    /// SELECT, VALUES, TABLE, WITH.
    Query(Box<ast::Statement>),
    /// EXPLAIN of a query.
    Explain {
        /// Its options.
        how: Explaining,
        /// The query.
        query: Box<ast::Statement>,
    },
    /// EXPLAIN EXECUTE name (arguments).
    ExplainExecute {
        /// Its options.
        how: Explaining,
        /// Statement name.
        name: String,
        /// Constant expressions.
        arguments: Vec<ast::Expr>,
    },
    /// SET [LOCAL] name = value.
    Set {
        /// Parameter name, lower case.
        name: String,
        /// The new value.
        value: SetValue,
        /// Only until the end of the transaction.
        local: bool,
    },
    /// SHOW name; `all` for every parameter.
    Show(String),
    /// RESET name; None for ALL.
    Reset(Option<String>),
    /// DISCARD ALL | PLANS | TEMP | SEQUENCES, upper case.
    Discard(String),
    /// BEGIN, START TRANSACTION.
    Begin {
        /// The command tag.
        tag: &'static str,
        /// What is said of it.
        modes: Modes,
    },
    /// COMMIT, END.
    Commit {
        /// Start the next transaction at once.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// Start the next transaction at once.
        chain: bool,
    },
    /// SAVEPOINT name.
    Savepoint(String),
    /// ROLLBACK TO SAVEPOINT name.
    RollbackTo(String),
    /// RELEASE SAVEPOINT name.
    Release(String),
    /// SET TRANSACTION and SET SESSION CHARACTERISTICS.
    TransactionModes {
        /// What is said.
        modes: Modes,
        /// Of the transactions to come.
        of_session: bool,
    },
    /// PREPARE name (types) AS query.
    Prepare {
        /// Statement name.
        name: String,
        /// Declared parameter types, in SQL.
        types: Vec<String>,
        /// What is prepared.
        statement: Box<Parsed>,
    },
    /// EXECUTE name (arguments).
    Execute {
        /// Statement name.
        name: String,
        /// Constant expressions.
        arguments: Vec<ast::Expr>,
    },
    /// DEALLOCATE name; None for ALL.
    Deallocate(Option<String>),
    /// DECLARE name CURSOR FOR query.
    Declare {
        /// Cursor name.
        name: String,
        /// BINARY, SCROLL, WITH HOLD.
        options: CursorOptions,
        /// The query.
        query: Box<ast::Statement>,
        /// The query string that DECLARE is in, which `pg_cursors` shows.
        text: std::sync::Arc<str>,
    },
    /// FETCH or MOVE.
    Fetch {
        /// Cursor name.
        name: String,
        /// Which rows.
        rows: Fetch,
        /// MOVE: count the rows, send none.
        skip: bool,
    },
    /// CLOSE name; None for ALL.
    Close(Option<String>),
    /// COPY … TO STDOUT.
    Copy {
        /// The rows to copy.
        query: Box<ast::Statement>,
        /// The table whose columns are copied, unless a query says what.
        table: Option<String>,
        /// Format and its options.
        options: CopyOptions,
    },
    /// GRANT, REVOKE, CREATE, ALTER and DROP ROLE.
    Rights(rights::RightsCommand),
    /// Named sets of samples.
    Cohort(Box<cohort::CohortCommand>),
    /// Tables and views of the session.
    Temp(Box<temp::TempCommand>),
    /// ANALYZE and VACUUM.
    Maintain(maintenance::Maintenance),
    /// LISTEN to a channel.
    Listen(String),
    /// UNLISTEN; None for all channels.
    Unlisten(Option<String>),
    /// NOTIFY channel, payload.
    Notify(String, String),
    /// Known to PostgreSQL and refused here, with the reason.
    Refused(ServerError),
}

/// Splits a query string into its statements; empty statements are left out.
///
/// # Errors
/// 42601 with the position in `sql`, 54001 for what nests too deeply. Nothing of the string may run then, as in
/// PostgreSQL.
pub fn parse(sql: &str) -> Result<Vec<Parsed>, ServerError> {
    let tokens = tokenize(sql)?;
    let text: std::sync::Arc<str> = sql.into();
    tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(|token| !is_space(&token.token)))
        .map(|tokens| {
            let statement = statement(tokens, sql)?;
            Ok(Parsed {
                statement,
                text: std::sync::Arc::clone(&text),
            })
        })
        .collect()
}

/// Bytes of a query string that is parsed while its client may cancel.
const LONG_TEXT: usize = 4 << 10;

/// As [`parse`]; a long string is parsed by another thread, so that the caller stays awake.
///
/// # Errors
/// As [`parse`].
pub(crate) async fn parse_beside(work: Work, sql: &str) -> Result<Vec<Parsed>, ServerError> {
    if sql.len() < LONG_TEXT {
        return parse(sql);
    }
    let sql = sql.to_owned();
    work.run(Box::pin(async move { parse(&sql) })).await
}

fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, ServerError> {
    let readable = escapes::read(sql)?;
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, &readable)
        .tokenize_with_location()
        .map(signs::apart)
        .map(operators::plain)
        .map(plain_strings)
        .map(respelled::respelled)
        .map(long_lists::folded)
        .map(rows_from::named)
        .map_err(|error| from_parser(&error.into(), sql))?;
    depth::check(tokens.iter().map(|token| &token.token))
        .map_err(|error| function_error(&error))?;
    numbers_end(&tokens, sql)?;
    Ok(tokens)
}

/// Refuses a number that runs into a name, which the parser takes for a column of that name.
///
/// # Errors
/// 42601.
fn numbers_end(tokens: &[TokenWithSpan], sql: &str) -> Result<(), ServerError> {
    let mut pairs = tokens.windows(2);
    let junk = pairs.find_map(|pair| match pair {
        [number, word]
            if matches!(number.token, Token::Number(..) | Token::HexStringLiteral(_))
                && matches!(&word.token, Token::Word(word) if word.quote_style.is_none())
                && number.span.start != word.span.start =>
        {
            Some((number, word))
        }
        _ => None,
    });
    let Some((number, word)) = junk else {
        return Ok(());
    };
    let offset = |line: u64, column: u64| {
        let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
        offset_of(sql, line, column)
    };
    let start = offset(number.span.start.line, number.span.start.column);
    let end = offset(word.span.start.line, word.span.start.column);
    let digits = match (start, end) {
        (Some(start), Some(end)) => sql
            .chars()
            .skip(start.saturating_sub(1))
            .take(end.saturating_sub(start))
            .collect(),
        _ => number.token.to_string(),
    };
    let text = format!(
        "trailing junk after numeric literal at or near \"{digits}{}\"",
        word.token
    );
    Err(ServerError::syntax(text, start))
}

/// `U&'d\0061ta'` and `$$data$$` were read by the tokenizer: they are string constants as any other.
fn plain_strings(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for token in &mut tokens {
        let text = match &mut token.token {
            Token::UnicodeStringLiteral(text) => text,
            Token::DollarQuotedString(constant) => &mut constant.value,
            _ => continue,
        };
        token.token = Token::SingleQuotedString(std::mem::take(text));
    }
    tokens
}

fn is_space(token: &Token) -> bool {
    matches!(
        token,
        Token::Whitespace(
            Whitespace::Space
                | Whitespace::Newline
                | Whitespace::Tab
                | Whitespace::SingleLineComment { .. }
                | Whitespace::MultiLineComment(_)
        )
    )
}

/// Whether a token is one of some words, in any case and without quotes.
fn is_word(token: &Token, words: &[&str]) -> bool {
    let Token::Word(Word {
        value,
        quote_style: None,
        ..
    }) = token
    else {
        return false;
    };
    words.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// Reads one statement from its tokens.
fn statement(tokens: &[TokenWithSpan], sql: &str) -> Result<Statement, ServerError> {
    let (tokens, missing) = joins::read(tokens, sql);
    let tokens = only::left_out(trims::of_blanks(patterns::as_operators(tokens)));
    let tokens = set_parentheses::as_queries(tokens);
    let tokens = similar::as_arguments(tokens);
    let (tokens, excluded) = exclusions::read(tokens, sql);
    let missing = missing.or(excluded);
    let mut cursor = TokenCursor::new(&tokens, sql);
    let statement = commands::read(&mut cursor).and_then(|statement| match cursor.at_end() {
        true => Ok(statement),
        false => Err(cursor.syntax_error()),
    });
    match (statement, missing) {
        // The first error is told.
        (Err(error), Some(missing))
            if error.position().is_some() && error.position() < missing.position() =>
        {
            Err(error)
        }
        (_, Some(missing)) => Err(missing),
        (statement, None) => statement,
    }
}

/// Parses the rest of the cursor as a query that only reads.
fn query(cursor: &mut TokenCursor<'_>) -> Result<Box<ast::Statement>, ServerError> {
    let rest = cursor.take_rest();
    query_of(rest, cursor.sql())
}

fn query_of(tokens: &[TokenWithSpan], sql: &str) -> Result<Box<ast::Statement>, ServerError> {
    let query = parsed_query(tokens, sql)?;
    only_reads(&query)?;
    Ok(query)
}

fn parsed_query(tokens: &[TokenWithSpan], sql: &str) -> Result<Box<ast::Statement>, ServerError> {
    let dialect = Bounded::of(sql.len());
    let tokens = grouping_items::wrapped(grouping_items::flat(named_stars(tokens)));
    let tokens = values::tables(no_columns::with_source(tokens));
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    let query = parser
        .parse_query()
        .map_err(|error| from_parser(&error, sql))?;
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let taken = parser.next_token();
        let behind = parser.peek_token();
        let is_clause = matches!(&taken.token, Token::Word(word)
            if matches!(word.keyword, Keyword::ORDER | Keyword::GROUP));
        let by = matches!(&behind.token, Token::Word(word) if word.keyword == Keyword::BY);
        // ORDER and GROUP are wanted here, and BY behind them.
        return Err(match (is_clause && !by, &behind.token) {
            (true, Token::EOF) => ServerError::syntax(
                "syntax error at end of input",
                Some(sql.chars().count() + 1),
            ),
            (true, _) => cursor::near(&behind, sql),
            (false, _) => cursor::near(&next, sql),
        });
    }
    let mut query = ast::Statement::Query(query);
    bare_functions(&mut query);
    escapes_of_parameters(&mut query);
    values::selected(&mut query);
    records::selected(&mut query).map_err(|error| error.locate(sql))?;
    Ok(Box::new(query))
}

/// `(row).*` with the star as a name, which no name in SQL can be: the parser has no other place for it.
fn named_stars(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let mut named = tokens.to_vec();
    let star = |three: &[TokenWithSpan]| {
        let kinds = three.iter().map(|token| &token.token);
        kinds.eq([&Token::RParen, &Token::Period, &Token::Mul])
    };
    let places = tokens.windows(3).enumerate();
    for (place, _) in places.filter(|(_, three)| star(three)) {
        if let Some(star) = named.get_mut(place + 2) {
            star.token = Token::make_word("*", None);
        }
    }
    named
}

/// Reads a condition as it stands in WHERE, to the end of the text.
///
/// # Errors
/// 42601 where it is none, or more than one.
pub fn condition(text: &str) -> Result<(), ServerError> {
    let tokens = tokenize(text)?;
    let dialect = Bounded::of(text.len());
    let mut parser = Parser::new(&dialect).with_tokens_with_locations(tokens);
    parser
        .parse_expr()
        .map_err(|error| from_parser(&error, text))?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(()),
        _ => Err(cursor::near(&next, text)),
    }
}

/// A query, or SELECT … INTO TEMP.
fn query_statement(cursor: &mut TokenCursor<'_>) -> Result<Statement, ServerError> {
    let tokens = cursor.take_rest();
    let mut query = parsed_query(tokens, cursor.sql())?;
    let into = temp::select_into(&mut query)?;
    only_reads(&query)?;
    Ok(match into {
        None => Statement::Query(query),
        Some(name) => Statement::Temp(Box::new(temp::TempCommand::CreateAs {
            name,
            if_not_exists: false,
            columns: Vec::new(),
            on_commit: temp::OnCommit::default(),
            with_data: true,
            query,
        })),
    })
}

/// The query that a text is which no client sent: nothing of it has a place.
///
/// # Errors
/// 42601.
pub(crate) fn query_text(sql: &str) -> Result<Box<ast::Statement>, ServerError> {
    let mut tokens = tokenize(sql)?;
    for token in &mut tokens {
        token.span = Span::empty();
    }
    query_of(&tokens, sql)
}

/// As [`query_text`], with parts that are of the statement.
///
/// # Errors
/// As [`query_text`].
pub(crate) fn query_with(
    sql: &str,
    put: impl FnOnce(&mut ast::Select),
) -> Result<Box<ast::Statement>, ServerError> {
    let mut statement = query_text(sql)?;
    if let ast::Statement::Query(query) = statement.as_mut()
        && let ast::SetExpr::Select(select) = query.body.as_mut()
    {
        put(select);
    }
    bare_functions(&mut statement);
    escapes_of_parameters(&mut statement);
    Ok(statement)
}

fn only_reads(query: &ast::Statement) -> Result<(), ServerError> {
    let ast::Statement::Query(query) = query else {
        return Ok(());
    };
    let changes = |body: &ast::SetExpr| {
        matches!(
            body,
            ast::SetExpr::Insert(_)
                | ast::SetExpr::Update(_)
                | ast::SetExpr::Delete(_)
                | ast::SetExpr::Merge(_)
        )
    };
    let mut queries = query.with.iter().flat_map(|with| &with.cte_tables);
    if queries.any(|cte| changes(&cte.query.body)) {
        let text = "data-modifying statements in WITH are not supported";
        let hint = "Run them one after another, in a transaction: what RETURNING tells of goes into a temporary table.";
        return Err(ServerError::unsupported(text).hint(hint));
    }
    match query.body.writes() {
        true => Err(read_only("a data-modifying statement")),
        false => Ok(()),
    }
}

/// Reserved words that are functions without parentheses; the parser knows the others itself.
fn bare_functions(query: &mut ast::Statement) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(query, |expr| {
        if let ast::Expr::Identifier(word) = expr
            && word.quote_style.is_none()
            && ["current_schema", "current_role"]
                .iter()
                .any(|known| word.value.eq_ignore_ascii_case(known))
        {
            *expr = ast::Expr::Function(ast::Function {
                name: ast::ObjectName::from(vec![word.clone()]),
                uses_odbc_syntax: false,
                parameters: ast::FunctionArguments::None,
                args: ast::FunctionArguments::None,
                null_treatment: None,
                filter: None,
                over: None,
                within_group: Vec::new(),
            });
        }
        ControlFlow::Continue(())
    });
}

/// 25006: the lake is read through SQL, never written.
pub(crate) fn read_only(what: &str) -> ServerError {
    ServerError::new(
        "25006",
        format!("cannot execute {what} in a read-only transaction"),
    )
    .hint("SQL only reads the lake; data comes in with \"genokura ingest\". Tables of your own: CREATE TEMP TABLE.")
}

/// Whether a query changes something.
fn writes(query: &ast::Query) -> bool {
    query.body.writes()
}

trait Writes {
    fn writes(&self) -> bool;
}

impl Writes for ast::SetExpr {
    fn writes(&self) -> bool {
        match self {
            ast::SetExpr::Select(select) => select.into.is_some(),
            ast::SetExpr::Query(query) => query.body.writes(),
            ast::SetExpr::SetOperation { left, right, .. } => left.writes() || right.writes(),
            ast::SetExpr::Values(_) | ast::SetExpr::Table(_) => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn one(sql: &str) -> Statement {
        parse(sql).unwrap().remove(0).statement
    }

    #[test]
    fn strings_are_split_at_semicolons_outside_quotes() {
        assert_eq!(parse("select ';' ; ; select 2 -- ;\n").unwrap().len(), 2);
        assert!(parse(" ; -- nothing\n").unwrap().is_empty());
    }

    #[test]
    fn session_commands_are_read() {
        assert!(matches!(
            one("begin isolation level read uncommitted, read only"),
            Statement::Begin {
                tag: "BEGIN",
                modes: Modes {
                    isolation: Some("read uncommitted"),
                    read_only: Some(true),
                    deferrable: None
                }
            }
        ));
        assert!(matches!(one("rollback to savepoint s"), Statement::RollbackTo(s) if s == "s"));
        assert!(matches!(one("SET SESSION search_path TO a, \"B\""),
            Statement::Set { name, value: SetValue::Text(v), local: false }
                if name == "search_path" && v == "a, \"B\""));
        assert!(matches!(one("set time zone 'Asia/Tokyo'"),
            Statement::Set { name, value: SetValue::Text(v), .. } if name == "timezone" && v == "Asia/Tokyo"));
        assert!(matches!(one("show transaction isolation level"),
            Statement::Show(name) if name == "transaction_isolation"));
        assert!(matches!(one("discard all"), Statement::Discard(what) if what == "ALL"));
        assert!(matches!(one("prepare p (int, text) as select $1, $2"),
            Statement::Prepare { types, .. } if types == ["int", "text"]));
        assert!(matches!(one("close all"), Statement::Close(None)));
    }

    #[test]
    fn copy_takes_both_spellings() {
        let options = |sql: &str| match one(sql) {
            Statement::Copy { options, .. } => options,
            other => panic!("{other:?}"),
        };
        assert_eq!(options("copy t to stdout").format, CopyFormat::Text);
        assert_eq!(
            options("copy (select 1) to stdout with binary").format,
            CopyFormat::Binary
        );
        assert_eq!(
            options("copy t (a, b) to stdout (format \"binary\")").format,
            CopyFormat::Binary
        );
        let csv = options("copy t to stdout with csv header delimiter ';' null 'NA'");
        assert_eq!(
            (csv.format, csv.header, csv.delimiter),
            (CopyFormat::Csv, CopyHeader::Line, b';')
        );
        assert_eq!(csv.null, "NA");
        assert_eq!(
            options("copy t to stdout with (format csv, header true)").header,
            CopyHeader::Line
        );
    }

    #[test]
    fn an_option_of_copy_is_given_once() {
        for (sql, position) in [
            (
                "copy (select 1) to stdout (format csv, header, format text)",
                48,
            ),
            ("copy (select 1) to stdout csv null 'x' csv", 40),
            ("copy (select 1) to stdout csv null 'x' null as 'y'", 40),
            (
                "copy (select 1 a) to stdout csv force quote a force quote a",
                47,
            ),
        ] {
            let error = parse(sql).unwrap_err();
            assert_eq!(
                (error.code(), error.position()),
                ("42601", Some(position)),
                "{sql}"
            );
        }
    }

    #[test]
    fn writes_and_files_are_refused() {
        for (sql, code) in [
            ("create table t (a int)", "25006"),
            ("drop function t", "25006"),
            (
                "create external table x stored as csv location '/etc/passwd'",
                "25006",
            ),
            ("copy t to '/tmp/x'", "42501"),
            ("copy t from '/tmp/x'", "42501"),
        ] {
            match one(sql) {
                Statement::Refused(error) => assert_eq!(error.code(), code, "{sql}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
        assert_eq!(parse("select 1 into t").unwrap_err().code(), "25006");
    }

    #[test]
    fn syntax_errors_have_a_position() {
        let error = parse("select 1;\nselect 2 from (select").unwrap_err();
        assert_eq!(error.code(), "42601");
        assert!(error.position().is_some());
        let error = parse("selec 1").unwrap_err();
        assert_eq!(
            (error.position(), error.to_string().as_str()),
            (Some(1), "syntax error at or near \"selec\"")
        );
        assert_eq!(parse("begin nonsense").unwrap_err().position(), Some(7));
    }
}
