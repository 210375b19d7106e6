//! Where in a statement an error is, found again by what it says: the planner forgets it.
//!
//! A place is told only where the statement has one that fits: `1 + s + 2` has two operators, either of which may be
//! meant.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use super::{between, find_word, offset_of};
use crate::pg_types::PgType;

/// A place in the text of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// 1-based.
    line: u64,
    column: u64,
    toward: Toward,
}

/// Which token is meant, seen from a line and column.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Toward {
    /// The one there.
    Here,
    /// The first of these from there on.
    Next(Vec<String>),
    /// The one behind the first of these from there on.
    Behind(Vec<String>),
    /// The last of these before it.
    Last(Vec<String>),
    /// The second name of this kind in the statement.
    Second(String),
}

impl Place {
    /// This line and column.
    pub(crate) fn at(line: u64, column: u64) -> Place {
        Place {
            line,
            column,
            toward: Toward::Here,
        }
    }

    /// The line and the column, when nothing is looked for from there.
    pub(crate) fn here(&self) -> Option<(u64, u64)> {
        matches!(self.toward, Toward::Here).then_some((self.line, self.column))
    }

    /// The second place where a name stands.
    pub(crate) fn second(name: &str) -> Place {
        Place {
            toward: Toward::Second(name.to_owned()),
            ..Place::at(1, 1)
        }
    }

    /// The first of these words or signs from there on.
    pub(crate) fn next(self, tokens: &[&str]) -> Place {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        Place {
            toward: Toward::Next(tokens),
            ..self
        }
    }

    /// What stands behind the first of these words or signs from there on.
    pub(crate) fn behind(self, tokens: &[&str]) -> Place {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        Place {
            toward: Toward::Behind(tokens),
            ..self
        }
    }

    /// The last of these words or signs before it; what was sought already is what it was.
    pub(crate) fn last(self, tokens: &[&str]) -> Place {
        let tokens = tokens.iter().map(|token| (*token).to_owned()).collect();
        match self.toward {
            Toward::Here => Place {
                toward: Toward::Last(tokens),
                ..self
            },
            _ => self,
        }
    }

    /// The 1-based character position in the text; `None` where the token is not there.
    pub(super) fn in_text(&self, sql: &str) -> Option<usize> {
        let here = |line: u64, column: u64| {
            let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
            offset_of(sql, line, column)
        };
        let wanted = match &self.toward {
            Toward::Here => return here(self.line, self.column),
            Toward::Second(name) => {
                let tokens = tokens(sql);
                let second = tokens
                    .iter()
                    .filter(|token| is_word(&token.token, name))
                    .nth(1);
                return place(sql, second?);
            }
            Toward::Next(wanted) | Toward::Behind(wanted) | Toward::Last(wanted) => wanted,
        };
        let tokens = tokens(sql);
        let is = |token: &&TokenWithSpan| {
            let text = token.token.to_string();
            wanted.iter().any(|wanted| match wanted.as_str() {
                "<>" => token.token == Token::Neq,
                wanted => text.eq_ignore_ascii_case(wanted),
            })
        };
        let start = |token: &TokenWithSpan| (token.span.start.line, token.span.start.column);
        let from = (self.line, self.column);
        let found = match &self.toward {
            Toward::Last(_) => tokens
                .iter()
                .rev()
                .filter(|token| start(token) < from)
                .find(is),
            Toward::Behind(_) => {
                let mut later = tokens.iter().filter(|token| start(token) >= from);
                later.find(is).and_then(|_| later.next())
            }
            _ => tokens.iter().filter(|token| start(token) >= from).find(is),
        };
        let (line, column) = start(found?);
        here(line, column)
    }
}

/// The token at a 1-based character position, as it is written.
pub(super) fn token_at(sql: &str, position: usize) -> Option<String> {
    let tokens = tokens(sql);
    let found = tokens
        .iter()
        .find(|token| place(sql, token) == Some(position))?;
    Some(found.token.to_string())
}

/// The 1-based character position of what an error with this SQLSTATE and message is about.
pub(super) fn of_message(sql: &str, code: &str, message: &str) -> Option<usize> {
    let operation = message
        .strip_prefix("operator does not exist: ")
        .or_else(|| message.strip_prefix("operator is not unique: "));
    if let Some(operation) = operation {
        return operator(sql, operation);
    }
    if let Some(types) = message.strip_prefix("cannot cast type ") {
        let to = types.split_once(" to ").map_or("", |(_, to)| to);
        return cast(sql).or_else(|| cast_to(sql, to));
    }
    if let Some(call) = message.strip_prefix("function ")
        && (message.ends_with(" does not exist") || message.ends_with(" is not unique"))
    {
        return find_word(sql, call.split(['(', ' ']).next()?);
    }
    if let Some(what) = between(message, "argument of ", " must be type ") {
        let keyword = what.rsplit(['/', ' ']).next()?;
        return match keyword {
            "WHERE" | "ON" | "HAVING" | "NOT" | "WHEN" | "LIMIT" | "OFFSET" => after(sql, keyword),
            _ => None,
        };
    }
    if let Some(number) = between(message, " position ", " is not in select list") {
        let is_number =
            |token: &Token| matches!(token, Token::Number(digits, _) if digits == number);
        return only(sql, is_number);
    }
    let of_value = matches!(code, "22P02" | "22003" | "22007" | "22008" | "22023");
    // What is read while a statement runs has no place in it.
    let is_late = message.starts_with("unrecognized privilege type")
        || message.starts_with("unit \"")
        || message.starts_with("invalid value \"") && message.contains("\" for \"");
    if is_late {
        return None;
    }
    if of_value && message.contains('"') {
        let (_, text) = message.split_once('"')?;
        let (text, _) = text.rsplit_once('"')?;
        return literal(sql, text);
    }
    match message {
        "argument of LIMIT must not contain variables" => after(sql, "LIMIT"),
        "each UNION query must have the same number of columns" => after_select_of(sql, "UNION"),
        "each EXCEPT query must have the same number of columns" => after_select_of(sql, "EXCEPT"),
        "each INTERSECT query must have the same number of columns" => {
            after_select_of(sql, "INTERSECT")
        }
        _ if matches!(code, "42P01" | "42704") => {
            let name = between(message, "\"", "\"")?;
            object(sql, name)
        }
        _ => None,
    }
}

/// Signs that may open something which are looked at.
const OPENINGS: usize = 16;

/// The 1-based character position of the sign that opens what a text ends within.
pub(super) fn opening(sql: &str, sign: &str) -> Option<usize> {
    // Whatever stands before it can be read.
    let mut opens = sql.match_indices(sign).map(|(at, _)| at).take(OPENINGS);
    let first = opens.find(|at| {
        let before = sql.get(..*at).unwrap_or_default();
        Tokenizer::new(&PostgreSqlDialect {}, before)
            .tokenize()
            .is_ok()
    })?;
    Some(sql.get(..first)?.chars().count() + 1)
}

/// The position of a token that the parser points behind: it is there, or stands before.
pub(super) fn backward(sql: &str, position: usize, found: &str) -> usize {
    let length = found.chars().count();
    let text: Vec<char> = sql.chars().collect();
    let same = |start: usize| {
        let here = text.get(start..start + length);
        here.is_some_and(|here| here.iter().collect::<String>().eq_ignore_ascii_case(found))
    };
    let start = position.saturating_sub(1);
    if length == 0 || same(start) {
        return position;
    }
    let before = (start.saturating_sub(64)..start).rev();
    before
        .into_iter()
        .find(|start| same(*start))
        .map_or(position, |start| start + 1)
}

/// What stands behind LEFT, RIGHT or FULL and is no JOIN, and its position.
pub(super) fn not_joined(sql: &str) -> Option<(String, usize)> {
    let tokens = tokens(sql);
    let is = |token: &TokenWithSpan, words: &[&str]| {
        words.iter().any(|word| is_word(&token.token, word))
    };
    let mut pairs = tokens.windows(2);
    pairs.find_map(|pair| match pair {
        [side, next] if is(side, &["LEFT", "RIGHT", "FULL"]) && !is(next, &["OUTER", "JOIN"]) => {
            Some((next.token.to_string(), place(sql, next)?))
        }
        _ => None,
    })
}

fn tokens(sql: &str) -> Vec<TokenWithSpan> {
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize_with_location();
    // What cannot be read has an error with a place of its own.
    let mut tokens = tokens.unwrap_or_default();
    tokens.retain(|token| {
        !matches!(
            token.token,
            Token::Whitespace(
                Whitespace::Space
                    | Whitespace::Tab
                    | Whitespace::Newline
                    | Whitespace::SingleLineComment { .. }
                    | Whitespace::MultiLineComment(_)
            )
        )
    });
    tokens
}

fn place(sql: &str, token: &TokenWithSpan) -> Option<usize> {
    let line = usize::try_from(token.span.start.line).ok()?;
    let column = usize::try_from(token.span.start.column).ok()?;
    offset_of(sql, line, column)
}

/// The place of the only token of this kind.
fn only(sql: &str, is: impl Fn(&Token) -> bool) -> Option<usize> {
    let tokens = tokens(sql);
    let mut found = tokens.iter().filter(|token| is(&token.token));
    match (found.next(), found.next()) {
        (Some(one), None) => place(sql, one),
        _ => None,
    }
}

fn is_word(token: &Token, word: &str) -> bool {
    matches!(token, Token::Word(known) if known.value.eq_ignore_ascii_case(word))
}

/// The place of what stands behind the only one of a keyword.
fn after(sql: &str, keyword: &str) -> Option<usize> {
    let tokens = tokens(sql);
    let mut places = tokens.iter().enumerate();
    let (at, _) = places.find(|(_, token)| is_word(&token.token, keyword))?;
    match places.any(|(_, token)| is_word(&token.token, keyword)) {
        true => None,
        false => place(sql, tokens.get(at + 1)?),
    }
}

/// The place of the only constant in quotes that is read as the name of an object: `'x'::regclass`.
fn object(sql: &str, name: &str) -> Option<usize> {
    let tokens = tokens(sql);
    let mut found = tokens.windows(3).filter(|three| match three {
        [name_token, cast, kind] => {
            matches!(&name_token.token, Token::SingleQuotedString(text) if text == name)
                && cast.token == Token::DoubleColon
                && kind
                    .token
                    .to_string()
                    .to_ascii_lowercase()
                    .starts_with("reg")
        }
        _ => false,
    });
    match (found.next(), found.next()) {
        (Some([one, ..]), None) => place(sql, one),
        _ => None,
    }
}

/// The place of what is selected by the only query behind a UNION, EXCEPT or INTERSECT.
fn after_select_of(sql: &str, keyword: &str) -> Option<usize> {
    let tokens = tokens(sql);
    let is = |at: usize, word: &str| {
        tokens
            .get(at)
            .is_some_and(|token| is_word(&token.token, word))
    };
    let mut unions = (0..tokens.len()).filter(|at| is(*at, keyword));
    let (at, None) = (unions.next()?, unions.next()) else {
        return None;
    };
    let mut next = at + 1;
    while is(next, "ALL") || is(next, "DISTINCT") || is(next, "SELECT") {
        next += 1;
    }
    place(sql, tokens.get(next)?)
}

/// The place of an operator between, or before, the types that it was tried with.
fn operator(sql: &str, operation: &str) -> Option<usize> {
    let op = operation.split(' ').find(|word| {
        !word.is_empty() && !word.contains(|c: char| c.is_alphanumeric() || "[]()\",".contains(c))
    })?;
    let same = |token: &Token| match op {
        "<>" => matches!(token, Token::Neq),
        _ => token.to_string() == op,
    };
    let spelled: &[&str] = match op {
        "=" => &["IN", "IS", "ANY", "ALL", "NULLIF"],
        ">=" | "<=" => &["BETWEEN"],
        _ => &[],
    };
    let any = |is: &dyn Fn(&Token) -> bool| tokens(sql).iter().any(|token| is(&token.token));
    match any(&same) {
        true => only(sql, same),
        false => only(sql, |token| spelled.iter().any(|word| is_word(token, word))),
    }
}

/// The place of the only cast.
fn cast(sql: &str) -> Option<usize> {
    only(sql, |token| {
        matches!(token, Token::DoubleColon) || is_word(token, "CAST")
    })
}

/// The place of a LIMIT, its number and the comma at a position being all that is behind it.
pub(crate) fn limit_before(sql: &str, comma: usize) -> Option<usize> {
    let tokens = tokens(sql);
    let mut last = tokens.windows(3).filter(|last| match last {
        [_, _, token] => place(sql, token) == Some(comma),
        _ => false,
    });
    match last.next()? {
        [limit, _, _] if is_word(&limit.token, "LIMIT") => place(sql, limit),
        _ => None,
    }
}

/// The place of the only `::` to a type.
fn cast_to(sql: &str, to: &str) -> Option<usize> {
    let tokens = tokens(sql);
    let is_to = |token: &TokenWithSpan| match &token.token {
        Token::Word(word) => {
            let named = PgType::named(&word.value.to_ascii_lowercase());
            named.is_some_and(|named| named.sql_name() == to)
        }
        _ => false,
    };
    let mut found = tokens.windows(2).filter_map(|pair| match pair {
        [sign, word] if sign.token == Token::DoubleColon && is_to(word) => Some(sign),
        _ => None,
    });
    match (found.next(), found.next()) {
        (Some(sign), None) => place(sql, sign),
        _ => None,
    }
}

/// The place of the only constant in quotes that is a text, or has it as one of its items.
fn literal(sql: &str, text: &str) -> Option<usize> {
    let quoted = |token: &Token| match token {
        Token::SingleQuotedString(known) | Token::EscapedStringLiteral(known) => {
            Some(known.clone())
        }
        Token::DollarQuotedString(known) => Some(known.value.clone()),
        _ => None,
    };
    let same = only(sql, |token| {
        quoted(token).is_some_and(|known| known == text)
    });
    let is_in = |token: &Token| {
        quoted(token).is_some_and(|known| {
            known != text && known.starts_with('{') && !text.is_empty() && known.contains(text)
        })
    };
    let any = tokens(sql)
        .iter()
        .any(|token| quoted(&token.token).is_some_and(|known| known == text));
    match any {
        true => same,
        false => only(sql, is_in),
    }
}

/// The place of the whole name that a position is within: PostgreSQL points at the first of its parts.
pub(super) fn whole_name(sql: &str, position: usize) -> usize {
    let before: Vec<char> = sql.chars().take(position.saturating_sub(1)).collect();
    let mut start = before.len();
    while start > 1 && before.get(start - 1) == Some(&'.') {
        let mut at = start - 1;
        let quoted = before.get(at - 1) == Some(&'"');
        if quoted {
            at -= 1;
            while at > 0 && before.get(at - 1) != Some(&'"') {
                at -= 1;
            }
            at = at.saturating_sub(1);
        } else {
            while at > 0
                && before
                    .get(at - 1)
                    .is_some_and(|c| c.is_alphanumeric() || *c == '_')
            {
                at -= 1;
            }
        }
        if at + 1 == start {
            break;
        }
        start = at;
    }
    start + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_by_what_an_error_says() {
        for (sql, code, message, place) in [
            (
                "SELECT s + 1 FROM a",
                "42883",
                "operator does not exist: text + integer",
                Some(10),
            ),
            (
                "SELECT s + 1 + 2",
                "42883",
                "operator does not exist: text + integer",
                None,
            ),
            (
                "SELECT -s FROM a",
                "42883",
                "operator does not exist: - text",
                Some(8),
            ),
            (
                "SELECT d\n = 1",
                "42883",
                "operator does not exist: date = integer",
                Some(11),
            ),
            (
                "SELECT d IN (1)",
                "42883",
                "operator does not exist: date = integer",
                Some(10),
            ),
            (
                "SELECT d::int",
                "42846",
                "cannot cast type date to integer",
                Some(9),
            ),
            (
                "SELECT 'é', 'abc'::int",
                "22P02",
                "invalid input syntax for type integer: \"abc\"",
                Some(13),
            ),
            (
                "SELECT 'a' = 1, 'a'",
                "22P02",
                "invalid input syntax for type integer: \"a\"",
                None,
            ),
            (
                "SELECT '{1,a}'::int[]",
                "22P02",
                "invalid input syntax for type integer: \"a\"",
                Some(8),
            ),
            (
                "SELECT * FROM a WHERE x",
                "42804",
                "argument of WHERE must be type boolean, not type integer",
                Some(23),
            ),
            (
                "SELECT 1, 2 UNION SELECT 1",
                "42601",
                "each UNION query must have the same number of columns",
                Some(26),
            ),
            (
                "SELECT x FROM a ORDER BY 2",
                "42P10",
                "ORDER BY position 2 is not in select list",
                Some(26),
            ),
        ] {
            assert_eq!(of_message(sql, code, message), place, "{sql}");
        }
    }

    #[test]
    fn a_place_in_a_name_is_that_of_the_name() {
        assert_eq!(whole_name("SELECT a.nope FROM a", 10), 8);
        assert_eq!(whole_name("SELECT \"a b\".nope", 14), 8);
        assert_eq!(whole_name("SELECT nope", 8), 8);
    }
}
