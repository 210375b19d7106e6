//! How deep the syntax tree of a statement becomes, told from its tokens.
//!
//! Trees are parsed, rewritten, planned and dropped by functions that call themselves, and a stack that overflows ends
//! the process with everybody's sessions. The parser counts parentheses; a chain `a || b || c …` makes a tree as deep as
//! the chain is long without one. So a statement is measured before it is parsed:
//!
//! ```text
//! a AND b OR c + d + e OR f(g OR h)       2 OR, beside them at most 1 AND and 2 others, and inside of f( ) 1 more
//! ```
//! The measure is never below the depth of what the parser makes: an operator that is taken for two, or that stands
//! beside the deepest branch and not in it, is counted all the same. Commas, and words behind which no expression goes
//! on, begin again.

use datafusion::common::{DFSchema, Result as DfResult, not_impl_err, plan_err};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::sql::parser::{DFParser, DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::dialect::Bounded;
use crate::error::{Error, Result};
use crate::repeated;

/// The deepest statement. Threads that plan statements have [`STACK_BYTES`] of stack: 32 KiB for each step.
pub const STEPS_MAX: usize = 2_000;
/// Bytes of a name; PostgreSQL cuts them at 63.
pub const NAME_BYTES_MAX: usize = 1_024;
/// One word in a row, of which the parser reads some by functions that call themselves: `INTERVAL INTERVAL INTERVAL '1 day'`.
const WORDS_MAX: usize = 200;
/// Steps of one `+ - * / %`. The planner asks for the type of the whole branch at each of them, three times over: a chain
/// of 200 takes it seconds, one of 2,000 would take it an hour.
const ARITHMETIC: usize = 10;
/// Functions around one another, and brackets. The planner asks for the types of arguments again at each of them, and
/// again for each time that it is asked itself: its time doubles with a function more.
pub const CALLS_MAX: usize = 14;
/// Rows around one another: a comparison of rows asks for the columns of both one by one, and `<` twice for each.
const ROWS_MAX: usize = 8;
/// Casts, BETWEEN, LIKE and SIMILAR around one another, with the functions that they are in and around: as for [`CALLS_MAX`].
pub(crate) const CASTS_MAX: usize = 16;
/// Texts of SQL within one another, which functions are given.
const TEXTS_MAX: usize = 3;
/// The stack that threads need which parse, plan and drop statements.
pub const STACK_BYTES: usize = 64 << 20;

/// Bounds the depth of the syntax tree that these tokens make, and the length of names: whoever tells what a name may have
/// been meant to be compares it with all there are, letter by letter.
///
/// # Errors
/// [`Error::TooDeep`] beyond [`STEPS_MAX`] and [`CALLS_MAX`], [`Error::LongName`] beyond [`NAME_BYTES_MAX`].
pub fn check<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Result<()> {
    let mut levels = Levels::default();
    for token in tokens {
        if let Token::Word(word) = token
            && word.value.len() > NAME_BYTES_MAX
        {
            return Err(Error::LongName(word.value.len()));
        }
        levels.read(token);
        let casts = levels.now.calls + levels.now.height;
        if levels.deepest() > STEPS_MAX
            || levels.now.calls > CALLS_MAX
            || levels.now.rows > ROWS_MAX
            || casts > CASTS_MAX
            || levels.words > WORDS_MAX
        {
            return Err(Error::TooDeep);
        }
    }
    Ok(())
}

/// Parses a text that a function was given.
///
/// # Errors
/// [`Error::TooDeep`], [`Error::Repeated`], and what the parser says.
pub(crate) fn parsed(state: &SessionState, sql: &str) -> DfResult<Statement> {
    check_text(sql)?;
    let dialect = Bounded::of(sql.len());
    let mut statements = parser(state, sql, &dialect)?.parse_statements()?;
    match (statements.pop_front(), statements.pop_front()) {
        (Some(statement), None) => {
            if let Statement::Statement(statement) = &statement {
                repeated::check(statement)?;
            }
            Ok(statement)
        }
        (None, _) => plan_err!("No SQL statements were provided in the query string"),
        _ => not_impl_err!("The context currently only supports a single SQL statement"),
    }
}

/// The statements of a text that a function was given; None when it is no SQL, which is the function's to refuse.
///
/// # Errors
/// [`Error::TooDeep`] and [`Error::LongName`].
pub fn statements(sql: &str) -> Result<Option<Vec<ast::Statement>>> {
    check_text(sql)?;
    let dialect = Bounded::of(sql.len());
    let parsed = Parser::new(&dialect)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements());
    Ok(parsed.ok())
}

/// Parses a condition that a function was given, over columns.
///
/// # Errors
/// [`Error::TooDeep`], and what the parser and the planner say.
pub(crate) fn parsed_condition(
    state: &SessionState,
    sql: &str,
    columns: &DFSchema,
) -> DfResult<Expr> {
    check_text(sql)?;
    let dialect = Bounded::of(sql.len());
    let parsed = parser(state, sql, &dialect)?.parse_into_expr()?;
    state.create_logical_expr_from_sql_expr(parsed, columns)
}

/// What is no text of SQL is the parser's to refuse.
fn check_text(sql: &str) -> Result<()> {
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else {
        return Ok(());
    };
    check(&tokens)?;
    check_texts(&tokens, 1)
}

/// Bounds texts within texts, which functions plan within one another: `merge_regions('SELECT … FROM cluster(''SELECT …'')')`.
fn check_texts(tokens: &[Token], depth: usize) -> Result<()> {
    for token in tokens {
        let text = match token {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text)
            | Token::NationalStringLiteral(text) => text.as_str(),
            Token::DollarQuotedString(constant) => constant.value.as_str(),
            _ => continue,
        };
        // What calls no function, or gives it no text, goes no deeper.
        if !(text.contains('(') && text.contains(['\'', '$'])) {
            continue;
        }
        if let Ok(within) = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize() {
            if depth >= TEXTS_MAX {
                return Err(Error::TooDeep);
            }
            check_texts(&within, depth + 1)?;
        }
    }
    Ok(())
}

fn parser<'a>(state: &SessionState, sql: &'a str, dialect: &'a Bounded) -> DfResult<DFParser<'a>> {
    let nesting = state.config().options().sql_parser.recursion_limit.get();
    DFParserBuilder::new(sql)
        .with_dialect(dialect)
        .with_recursion_limit(nesting)
        .build()
}

/// What one pair of parentheses, or of CASE and END, holds.
#[derive(Default)]
struct Level {
    /// What is outside of it.
    outside: usize,
    is_case: bool,
    /// Calls of functions, and brackets, that it is in.
    calls: usize,
    /// What a function is called with, and not a row.
    is_call: bool,
    /// A token stood in it.
    has_begun: bool,
    /// It is a query, whose list is no row.
    is_query: bool,
    /// A comma stands in it.
    has_comma: bool,
    /// Rows around one another in it: `(1, (2, 3))` are two in what holds them.
    rows: usize,
    /// Calls, casts, BETWEEN and LIKE around one another in the operand that stood last, in the expression since the last AND
    /// or OR, and in all of it.
    height: usize,
    height_of_part: usize,
    height_max: usize,
    /// UNION, EXCEPT, INTERSECT and JOIN.
    of_rows: usize,
    ors: usize,
    ands: usize,
    others: usize,
    ands_max: usize,
    others_max: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.outside + self.of_rows + self.ors + self.ands_max + self.others_max + 1
    }

    /// Another expression begins.
    fn begin(&mut self) {
        *self = Self {
            outside: self.outside,
            is_case: self.is_case,
            calls: self.calls,
            is_call: self.is_call,
            has_begun: self.has_begun,
            is_query: self.is_query,
            has_comma: self.has_comma,
            rows: self.rows,
            of_rows: self.of_rows,
            height_max: self.height_max,
            ..Self::default()
        };
    }

    /// Another call, cast, BETWEEN or LIKE stands around operands of this height.
    fn higher(&mut self, around: usize) {
        self.height = around + 1;
        self.height_of_part = self.height_of_part.max(self.height);
        self.height_max = self.height_max.max(self.height);
    }

    fn or(&mut self) {
        self.height_of_part = 0;
        self.ors += 1;
        (self.ands, self.others) = (0, 0);
    }

    fn and(&mut self) {
        self.height_of_part = 0;
        self.ands += 1;
        self.ands_max = self.ands_max.max(self.ands);
        self.others = 0;
    }

    fn other(&mut self) {
        self.others += 1;
        self.others_max = self.others_max.max(self.others);
    }

    fn arithmetic(&mut self) {
        self.others += ARITHMETIC - 1;
        self.other();
    }
}

#[derive(Default)]
struct Levels {
    outer: Vec<Level>,
    now: Level,
    /// Whether an operand stood last. Elsewhere a word is an operand, whatever it means to SQL: `1 + where + 1`.
    after_operand: bool,
    /// Whether a word stood last that a parenthesis makes a function.
    after_name: bool,
    /// How often the last word stood in a row.
    words: usize,
    last_word: Option<Keyword>,
}

impl Levels {
    fn deepest(&self) -> usize {
        self.now.depth()
    }

    fn read(&mut self, token: &Token) {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            return;
        }
        self.measure(token);
        self.after_name = is_name(token);
        let word = match token {
            // Each NOT is a step.
            Token::Word(word) => Some(word.keyword).filter(|word| *word != Keyword::NOT),
            _ => None,
        };
        self.words = match word.is_some() && word == self.last_word {
            true => self.words + 1,
            false => 0,
        };
        self.last_word = word;
    }

    fn measure(&mut self, token: &Token) {
        let begins = !std::mem::replace(&mut self.now.has_begun, true);
        self.now.is_query |= begins && is_query(token);
        match token {
            Token::SemiColon => *self = Self::default(),
            Token::Comma => {
                self.now.has_comma = true;
                self.now.begin();
                self.after_operand = false;
            }
            Token::LParen => {
                let is_call = self.after_name;
                self.open(false);
                self.now.is_call = is_call;
                self.now.calls += usize::from(is_call);
            }
            Token::LBracket | Token::LBrace => {
                // A subscript.
                self.now.other();
                self.open(false);
                self.now.calls += 1;
            }
            Token::RParen | Token::RBracket | Token::RBrace => self.close(),
            Token::Word(word) if word.quote_style.is_none() => self.word(word.keyword),
            // A word behind it names a column, whatever it means elsewhere.
            Token::Period => self.after_operand = false,
            // SELECT *, count(*).
            Token::Mul if !self.after_operand => self.after_operand = true,
            Token::Word(_)
            | Token::Number(..)
            | Token::Char(_)
            | Token::Placeholder(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_) => self.after_operand = true,
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::Mod => {
                self.operator(Level::arithmetic);
            }
            Token::DoubleColon => {
                let around = self.now.height;
                self.operator(Level::other);
                self.now.higher(around);
            }
            _ => self.operator(Level::other),
        }
    }

    fn operator(&mut self, count: fn(&mut Level)) {
        count(&mut self.now);
        self.now.height = 0;
        self.after_operand = false;
    }

    fn word(&mut self, keyword: Keyword) {
        match keyword {
            Keyword::OR => self.operator(Level::or),
            Keyword::AND => self.operator(Level::and),
            Keyword::BETWEEN | Keyword::LIKE | Keyword::ILIKE | Keyword::SIMILAR => {
                let around = self.now.height_of_part;
                self.operator(Level::other);
                self.now.higher(around);
            }
            // It is read by a function that calls itself.
            Keyword::INTERVAL if !self.after_operand => self.operator(Level::other),
            Keyword::NOT
            | Keyword::IS
            | Keyword::NOTNULL
            | Keyword::IN
            | Keyword::OVERLAPS
            | Keyword::OPERATOR
            | Keyword::COLLATE
            | Keyword::AT
            | Keyword::XOR
            | Keyword::DIV
            | Keyword::REGEXP
            | Keyword::RLIKE
            | Keyword::MEMBER => self.operator(Level::other),
            Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN => {
                self.now.of_rows += 1;
                self.begin_again();
            }
            Keyword::WHERE | Keyword::ON | Keyword::HAVING => self.begin_again(),
            Keyword::WHEN | Keyword::THEN | Keyword::ELSE if self.now.is_case => {
                if self.after_operand {
                    self.now.begin();
                }
                self.after_operand = false;
            }
            Keyword::CASE if !self.after_operand => self.open(true),
            Keyword::END if self.after_operand && self.now.is_case => {
                self.close();
            }
            // An expression begins, or goes on: IS DISTINCT FROM.
            Keyword::DISTINCT | Keyword::SELECT | Keyword::BY | Keyword::RETURNING => {
                self.after_operand = false;
            }
            _ => self.after_operand = true,
        }
    }

    fn begin_again(&mut self) {
        if self.after_operand {
            self.now.begin();
        }
        self.after_operand = !self.after_operand;
    }

    fn open(&mut self, is_case: bool) {
        let inside = Level {
            outside: self.now.depth(),
            is_case,
            calls: self.now.calls,
            ..Level::default()
        };
        self.outer.push(std::mem::replace(&mut self.now, inside));
        self.after_operand = false;
    }

    fn close(&mut self) {
        let inside = std::mem::replace(&mut self.now, self.outer.pop().unwrap_or_default());
        let is_row = inside.has_comma && !inside.is_call && !inside.is_query;
        self.now.rows = self.now.rows.max(inside.rows + usize::from(is_row));
        match inside.is_call {
            true => self.now.higher(inside.height_max),
            false => {
                self.now.height = inside.height_max;
                self.now.height_of_part = self.now.height_of_part.max(inside.height_max);
                self.now.height_max = self.now.height_max.max(inside.height_max);
            }
        }
        self.after_operand = true;
    }
}

/// A word that a query begins with.
fn is_query(token: &Token) -> bool {
    let Token::Word(word) = token else {
        return false;
    };
    matches!(
        word.keyword,
        Keyword::SELECT | Keyword::WITH | Keyword::VALUES
    )
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn is_bounded(sql: &str) -> bool {
        let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql)
            .tokenize()
            .unwrap();
        check(&tokens).is_ok()
    }

    /// Whether a chain of 1,900 links is taken and one of 2,100 is not.
    fn is_counted(first: &str, link: &str, last: &str) -> bool {
        let sql = |n: usize| format!("{first}{}{last}", link.repeat(n));
        is_bounded(&sql(STEPS_MAX - 100)) && !is_bounded(&sql(STEPS_MAX + 100))
    }

    #[test]
    fn texts_within_texts_are_counted() {
        let nested = |depth: usize| {
            (0..depth).fold("select 'x(''y'')'".to_owned(), |text, at| {
                format!("select f($a{at}${text}$a{at}$)")
            })
        };
        assert!(check_text(&nested(TEXTS_MAX - 2)).is_ok());
        assert!(check_text(&nested(TEXTS_MAX)).is_err());
        assert!(check_text(&nested(800)).is_err());
        // What is no query in a text does not count.
        let plain = "select f('a (b) ''c'' (d)', '{\"a\": [\"(\"]}', 'it''s')";
        assert!(check_text(plain).is_ok());
    }

    #[test]
    fn casts_are_counted_that_stand_around_one_another() {
        let around = |count: usize| {
            [
                format!("select a{}", "::int".repeat(count)),
                format!("select {}a{}", "(".repeat(count), ")::int".repeat(count)),
                format!(
                    "select {}a{}",
                    "(".repeat(count),
                    " between 0 and 1)".repeat(count)
                ),
                format!(
                    "select {}a{}",
                    "(".repeat(count),
                    " like any (array['a']))".repeat(count)
                ),
                format!(
                    "select {}a{}",
                    "case when ".repeat(count),
                    " similar to 'a' then 'b' end".repeat(count)
                ),
            ]
        };
        assert!(around(CASTS_MAX).iter().all(|sql| check_text(sql).is_ok()));
        assert!(
            around(CASTS_MAX + 1)
                .iter()
                .all(|sql| check_text(sql).is_err())
        );
        for beside in [
            format!("select {}1", "a::int::text, ".repeat(1_000)),
            format!("select {}1", "(a::int)::text || ".repeat(400)),
            format!(
                "select a where {}true",
                "a::int between 0 and 1 and ".repeat(500)
            ),
            format!("select a where {}true", "a || b like 'c' or ".repeat(500)),
        ] {
            assert!(check_text(&beside).is_ok(), "{beside}");
        }
        let within = "f(".repeat(10) + "a" + &"::int".repeat(7) + &")".repeat(10);
        assert!(check_text(&within).is_err());
        let rows = |count: usize| {
            let (open, close) = ("((".repeat(count), ", 1) < (true, 2))".repeat(count));
            format!("select {open}a{close}")
        };
        assert!(check_text(&rows(ROWS_MAX)).is_ok());
        assert!(check_text(&rows(ROWS_MAX + 1)).is_err());
        let (open, close) = ("(select a, b from ".repeat(50), ") as q".repeat(50));
        assert!(check_text(&format!("select a, b from {open}t{close}")).is_ok());
    }

    #[test]
    fn a_chain_is_as_deep_as_it_is_long() {
        for (first, link, last) in [
            ("select ", "1 || ", "1"),
            ("select 'a'", " || 'b'", ""),
            ("select a", "[1]", ""),
            ("select a", " is null", ""),
            ("select a", " is distinct from b", ""),
            ("select ", "where || ", "1"),
            ("select ", "end || ", "1"),
            ("select ", "case when a then b else c end || ", "1"),
            ("select ", "case when end > 1 then b end || ", "1"),
            ("select ", "f(a, b) || ", "1"),
            ("select ", "f(a) within group (order by b) || ", "1"),
            ("select ", "(a, b || c) || ", "1"),
            ("select ", "count(*) filter (where a or b) || ", "1"),
            (
                "select ",
                "(select 1 from t where a union select 2) || ",
                "1",
            ),
            ("select a from t where ", "a and ", "b"),
            ("select a from t where ", "a = 1 or ", "b"),
            ("select a from t where ", "a <> 1 and ", "b is not null"),
            ("select a from t where ", "(a = 1 and b = 2) or ", "b"),
            ("select a from t where ", "where = 1 and ", "b"),
            ("select a", " union select a", ""),
            ("select *", " union select *", ""),
            (
                "select a from t where b",
                " except select a from t where b",
                "",
            ),
            ("select a from t", " join t on a = b", ""),
            ("select ", "a.where || ", "1"),
            ("select ", "case when a.end then b end || ", "1"),
            ("select ", "case when then then b end || ", "1"),
            ("select 1 ", "union all select t.* from t ", ""),
            ("", "(", ""),
        ] {
            assert!(is_counted(first, link, last), "{first}{link}{last}");
        }
        // Two steps a link.
        for link in ["not not ", "a[1] || ", "a at time zone 'b' || "] {
            let sql = |n: usize| format!("select {}a", link.repeat(n));
            assert!(is_bounded(&sql(STEPS_MAX / 2 - 10)) && !is_bounded(&sql(STEPS_MAX / 2 + 10)));
        }
        for link in ["1 + ", "a * ", "- "] {
            let sql = |n: usize| format!("select {}a", link.repeat(n));
            let most = STEPS_MAX / ARITHMETIC;
            assert!(
                is_bounded(&sql(most - 10)) && !is_bounded(&sql(most + 10)),
                "{link}"
            );
        }
    }

    #[test]
    fn names_are_short() {
        let sql = |bytes: usize| format!("select \"{}\"", "x".repeat(bytes));
        assert!(is_bounded(&sql(NAME_BYTES_MAX)));
        assert!(!is_bounded(&sql(NAME_BYTES_MAX + 1)));
        assert!(is_bounded(&format!("select '{}'", "x".repeat(5_000))));
    }

    #[test]
    fn words_stand_in_a_row_to_a_bound() {
        for word in ["interval ", "explain "] {
            assert!(
                is_bounded(&format!("select {}1", word.repeat(50))),
                "{word}"
            );
            assert!(
                !is_bounded(&format!("select {}1", word.repeat(WORDS_MAX + 2))),
                "{word}"
            );
        }
    }

    #[test]
    fn functions_stand_around_one_another_to_a_bound() {
        for (open, close) in [
            ("f(", ")"),
            ("f(1, ", ")"),
            ("array[", "]"),
            ("cast(", " as int)"),
        ] {
            let sql = |n: usize| format!("select {}1{}", open.repeat(n), close.repeat(n));
            assert!(is_bounded(&sql(CALLS_MAX)), "{open}");
            assert!(!is_bounded(&sql(CALLS_MAX + 1)), "{open}");
        }
        for link in [
            "f(1), ",
            "f(1) || ",
            "(f(a)), ",
            "a in (1) or ",
            "case when f(1) then 2 end, ",
        ] {
            assert!(
                is_bounded(&format!("select {}1", link.repeat(100))),
                "{link}"
            );
        }
    }

    #[test]
    fn a_list_is_not_deep() {
        for (first, link, last) in [
            ("select ", "a + b, ", "c"),
            ("select 1 where a in (", "'x', ", "'y')"),
            ("insert into t values ", "(1, -2, 'x'), ", "(1, 2, 'y')"),
            ("select case ", "when a = 1 or b then c + d ", "else 2 end"),
            ("", "select 1 + 2 where a or b; ", "select 3"),
            ("select a from t order by case ", "when b then c ", "end"),
            ("select ", "f(a + b) || c[1], ", "c"),
        ] {
            assert!(is_bounded(&format!("{first}{}{last}", link.repeat(10_000))));
        }
    }
}
