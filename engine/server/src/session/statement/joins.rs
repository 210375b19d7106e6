//! Joins as PostgreSQL's grammar has them, in tokens: which condition belongs to which JOIN, and where one is missing.
//!
//! ```text
//! a JOIN b JOIN c ON x ON y      ─►  a JOIN (b JOIN c ON x) ON y
//! a JOIN b WHERE z               ─►  syntax error at or near "WHERE"
//! a JOIN b USING (id) AS j       ─►  a JOIN b USING (id, "\0j")
//! ```
//! The parser gives a condition to the JOIN that stands next to it, takes a JOIN without one for a cross join, and has no
//! name for a join by columns. A name with a zero byte can be no name of SQL.

use std::borrow::Cow;

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::is_space;
use crate::sqlstate::{ServerError, offset_of};

/// What the name of a join begins with among the columns that it is by.
const NAMED: char = '\0';

/// The tokens of a statement with its joins as the parser reads them, and the error of a JOIN without a condition.
pub(super) fn read<'a>(
    tokens: &'a [TokenWithSpan],
    sql: &str,
) -> (Cow<'a, [TokenWithSpan]>, Option<ServerError>) {
    let is_join = |token: &TokenWithSpan| keyword(&token.token) == Some(Keyword::JOIN);
    if !tokens.iter().any(is_join) {
        return (Cow::Borrowed(tokens), None);
    }
    let mut joins = Joins::default();
    let kept = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !is_space(&token.token));
    for (place, token) in kept {
        if joins.take(place, &token.token) {
            return (Cow::Borrowed(tokens), Some(super::cursor::near(token, sql)));
        }
    }
    let mut frames = joins.frames.iter().chain([&joins.current]);
    if frames.any(|frame| !frame.pending.is_empty()) {
        return (Cow::Borrowed(tokens), Some(at_end(tokens, sql)));
    }
    (Cow::Owned(edited(tokens, joins.edits)), None)
}

/// The name of a join, where it is one and no column.
pub(crate) fn name_of_join(column: &str) -> Option<&str> {
    column.strip_prefix(NAMED)
}

/// The text of a query with the names of its joins as they are written.
pub(in crate::session) fn as_written(text: &str) -> String {
    let mut parts = text.split(", \"\0");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("\")") {
            Some((name, rest)) => out.push_str(&format!(") AS \"{name}\"{rest}")),
            None => out.push_str(part),
        }
    }
    out
}

/// What stands at a level of parentheses.
#[derive(Default)]
struct Frame {
    /// Tables are listed here.
    in_from: bool,
    /// It holds the columns of USING.
    of_using: bool,
    /// JOINs that wait for their condition.
    pending: Vec<Pending>,
    /// A word before JOIN says that it has no condition.
    without: bool,
}

struct Pending {
    /// Where its right side begins.
    start: usize,
    /// The right side is a join of its own.
    nested: bool,
}

/// A change of the tokens before one of them.
enum Edit {
    Insert(usize, Token),
    Drop(usize),
}

#[derive(Default)]
struct Joins {
    frames: Vec<Frame>,
    current: Frame,
    before: Option<Token>,
    /// Where USING closed, and its AS right behind.
    closed: Option<usize>,
    named: Option<(usize, usize)>,
    edits: Vec<Edit>,
}

impl Joins {
    /// Whether the token stands where a condition must.
    fn take(&mut self, place: usize, token: &Token) -> bool {
        let word = match &self.before {
            // A column of that name.
            Some(Token::Period) => None,
            _ => keyword(token),
        };
        let closed = self.closed.take();
        let named = self.named.take();
        let missing = match (token, word) {
            (Token::LParen, _) => {
                self.open();
                false
            }
            (Token::RParen, _) => {
                let missing = !self.current.pending.is_empty();
                if self.current.of_using {
                    self.closed = Some(place);
                }
                self.current = self.frames.pop().unwrap_or_default();
                missing
            }
            (Token::Comma, _) => !self.current.pending.is_empty(),
            (_, Some(Keyword::AS)) => {
                self.named = closed.map(|closed| (closed, place));
                false
            }
            (Token::Word(name), _) if named.is_some() => {
                if let Some((closed, marked)) = named {
                    let given = match name.quote_style {
                        Some(_) => name.value.clone(),
                        None => name.value.to_ascii_lowercase(),
                    };
                    let name = Token::make_word(&format!("{NAMED}{given}"), Some('"'));
                    self.edits.push(Edit::Insert(closed, Token::Comma));
                    self.edits.push(Edit::Insert(closed, name));
                    self.edits.push(Edit::Drop(marked));
                    self.edits.push(Edit::Drop(place));
                }
                false
            }
            (_, Some(word)) => self.word(place, word),
            _ => false,
        };
        self.before = Some(token.clone());
        missing
    }

    fn open(&mut self) {
        let before = self.before.as_ref().and_then(keyword);
        let first = matches!(before, Some(Keyword::FROM | Keyword::JOIN))
            || matches!(self.before, Some(Token::LParen | Token::Comma));
        let inner = Frame {
            in_from: self.current.in_from && first,
            of_using: self.current.in_from && before == Some(Keyword::USING),
            ..Frame::default()
        };
        let outer = std::mem::replace(&mut self.current, inner);
        self.frames.push(outer);
    }

    fn word(&mut self, place: usize, word: Keyword) -> bool {
        let frame = &mut self.current;
        match word {
            Keyword::FROM => frame.in_from = true,
            Keyword::NATURAL | Keyword::CROSS => frame.without = true,
            Keyword::JOIN if frame.in_from => {
                if let Some(outer) = frame.pending.last_mut() {
                    outer.nested = true;
                }
                if !std::mem::take(&mut frame.without) {
                    frame.pending.push(Pending {
                        start: place + 1,
                        nested: false,
                    });
                }
            }
            Keyword::ON | Keyword::USING => {
                if let Some(join) = frame.pending.pop()
                    && join.nested
                {
                    self.edits.push(Edit::Insert(join.start, Token::LParen));
                    self.edits.push(Edit::Insert(place, Token::RParen));
                }
            }
            Keyword::WHERE
            | Keyword::GROUP
            | Keyword::HAVING
            | Keyword::WINDOW
            | Keyword::ORDER
            | Keyword::LIMIT
            | Keyword::OFFSET
            | Keyword::FETCH
            | Keyword::FOR
            | Keyword::UNION
            | Keyword::INTERSECT
            | Keyword::EXCEPT => {
                let missing = !frame.pending.is_empty();
                frame.in_from = false;
                return missing;
            }
            _ => {}
        }
        false
    }
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(Word {
            quote_style: None,
            keyword,
            ..
        }) => Some(*keyword),
        _ => None,
    }
}

/// The error of a statement that ends where a condition must stand.
fn at_end(tokens: &[TokenWithSpan], sql: &str) -> ServerError {
    let end = tokens.last().map(|token| token.span.end);
    let end = end.and_then(|end| {
        let (line, column) = (usize::try_from(end.line), usize::try_from(end.column));
        offset_of(sql, line.ok()?, column.ok()?)
    });
    match end {
        // Positions count from one.
        Some(position) if sql.chars().nth(position.saturating_sub(1)) == Some(';') => {
            ServerError::syntax("syntax error at or near \";\"", Some(position))
        }
        _ => ServerError::syntax(
            "syntax error at end of input",
            Some(sql.chars().count() + 1),
        ),
    }
}

fn edited(tokens: &[TokenWithSpan], mut edits: Vec<Edit>) -> Vec<TokenWithSpan> {
    let place = |edit: &Edit| match edit {
        Edit::Insert(place, _) | Edit::Drop(place) => *place,
    };
    edits.sort_by_key(place);
    let mut edits = edits.into_iter().peekable();
    let mut out = Vec::with_capacity(tokens.len() + edits.len());
    for (number, token) in tokens.iter().enumerate() {
        let mut kept = true;
        while let Some(edit) = edits.next_if(|edit| place(edit) == number) {
            match edit {
                Edit::Insert(_, made) => out.push(TokenWithSpan {
                    token: made,
                    span: token.span,
                }),
                Edit::Drop(_) => kept = false,
            }
        }
        if kept {
            out.push(token.clone());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::parse;
    use super::*;

    #[test]
    fn a_join_has_its_condition_where_postgresql_reads_it() {
        let spelled = |sql: &str| {
            let tokens = super::super::tokenize(sql).unwrap();
            let (tokens, missing) = read(&tokens, sql);
            assert!(missing.is_none(), "{sql}");
            tokens
                .iter()
                .map(|token| token.token.to_string())
                .collect::<String>()
        };
        for (sql, read) in [
            (
                "select 1 from a join b join c on x on y",
                "select 1 from a join( b join c on x )on y",
            ),
            (
                "select 1 from a left join b cross join c using (x)",
                "select 1 from a left join( b cross join c )using (x)",
            ),
            (
                "select 1 from a natural join b join c on x join d on y",
                "select 1 from a natural join b join c on x join d on y",
            ),
            (
                "select 1 from (a join b using (x) as j) where exists (select from c join d on z)",
                "select 1 from (a join b using (x,\"\0j\")  ) where exists (select from c join d on z)",
            ),
        ] {
            assert_eq!(spelled(sql), read, "{sql}");
        }
    }

    #[test]
    fn the_name_of_a_join_is_written_behind_its_columns() {
        let written = as_written("a JOIN b USING(x, \"\0j\") JOIN c USING(y, \"\0k\")");
        assert_eq!(
            written,
            "a JOIN b USING(x) AS \"j\" JOIN c USING(y) AS \"k\""
        );
    }

    #[test]
    fn a_join_without_a_condition_is_refused_where_it_must_stand() {
        for (sql, position) in [
            ("select 1 from a join b", 23),
            ("select 1 from a join b ; select 2", 24),
            ("select 1 from a left join b where x", 29),
            ("select 1 from (a full join b) c", 29),
            ("select 1 from a join b, c", 23),
            ("select 1 from a join b on x join c union select 2", 36),
            ("select 1 from a join b join c on x", 35),
            (
                "explain select 1 from (select 2 from a right join b order by 1) c",
                53,
            ),
            // The first error is told.
            ("selec 1 from a join b", 1),
        ] {
            let error = parse(sql).unwrap_err();
            assert_eq!(
                (error.code(), error.position()),
                ("42601", Some(position)),
                "{sql}"
            );
        }
        for sql in [
            "select a.join, 1 as join from a",
            "select extract(year from d) from t cross join u",
        ] {
            assert!(parse(sql).is_ok(), "{sql}");
        }
    }
}
