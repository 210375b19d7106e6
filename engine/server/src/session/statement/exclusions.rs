//! `EXCLUDE …` at the end of the frame of a window, which the parser does not know: `EXCLUDE NO OTHERS` says nothing, and
//! the others are not supported.

use std::borrow::Cow;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_space, is_word};
use crate::sqlstate::ServerError;

/// The tokens without `EXCLUDE NO OTHERS`, and the error of another exclusion.
pub(super) fn read<'a>(
    tokens: Cow<'a, [TokenWithSpan]>,
    sql: &str,
) -> (Cow<'a, [TokenWithSpan]>, Option<ServerError>) {
    let is_exclude = |token: &TokenWithSpan| is_word(&token.token, &["EXCLUDE"]);
    if !tokens.iter().any(is_exclude) {
        return (tokens, None);
    }
    let words = tokens.iter().enumerate();
    let words: Vec<(usize, &TokenWithSpan)> =
        words.filter(|(_, token)| !is_space(&token.token)).collect();
    let mut nothing = Vec::new();
    for quad in words.windows(4) {
        let [(_, before), (place, exclude), (_, what), (end, others)] = quad else {
            continue;
        };
        let of_frame = is_word(&before.token, &["ROW", "PRECEDING", "FOLLOWING"]);
        if !of_frame || !is_exclude(exclude) {
            continue;
        }
        let is_known = match &others.token {
            Token::RParen => is_word(&what.token, &["GROUP", "TIES"]),
            others => is_word(&what.token, &["CURRENT"]) && is_word(others, &["ROW"]),
        };
        if is_known {
            let text = "EXCLUDE in the frame of a window is not supported";
            let start = exclude.span.start;
            let error = ServerError::new("0A000", text).at(start.line, start.column);
            return (tokens, Some(error.locate(sql)));
        }
        if is_word(&what.token, &["NO"]) && is_word(&others.token, &["OTHERS"]) {
            nothing.push(*place..=*end);
        }
    }
    if nothing.is_empty() {
        return (tokens, None);
    }
    let kept = tokens.iter().enumerate();
    let kept = kept.filter(|(place, _)| !nothing.iter().any(|part| part.contains(place)));
    (
        Cow::Owned(kept.map(|(_, token)| token.clone()).collect()),
        None,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::parse;

    #[test]
    fn an_exclusion_that_leaves_rows_out_is_refused_by_name() {
        for exclusion in ["CURRENT ROW", "group", "TIES"] {
            let frame = format!("rows BETWEEN 1 PRECEDING AND 1 FOLLOWING exclude {exclusion}");
            let sql = format!("SELECT sum(i) OVER (ORDER BY i {frame}) FROM t");
            let error = parse(&sql).unwrap_err();
            assert_eq!(error.code(), "0A000");
            assert_eq!(error.position(), sql.find("exclude").map(|at| at + 1));
        }
        let frame = "ROWS 1 PRECEDING EXCLUDE NO OTHERS";
        assert!(parse(&format!("SELECT sum(i) OVER ({frame}) FROM t")).is_ok());
    }
}
