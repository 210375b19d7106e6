//! `ONLY t`, which says that tables that inherit from it are left out: there are none, and the parser knows no such word.
//!
//! ```text
//! FROM ONLY t, ONLY (u)   ──►  FROM t, u
//! ```

use std::borrow::Cow;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{is_space, is_word};

/// What a table may stand behind.
const BEFORE: [&str; 6] = ["FROM", "JOIN", "UPDATE", "TABLE", "TRUNCATE", "USING"];

/// The tokens without that word.
pub(super) fn left_out(tokens: Cow<'_, [TokenWithSpan]>) -> Cow<'_, [TokenWithSpan]> {
    if !tokens.iter().any(|token| is_word(&token.token, &["ONLY"])) {
        return tokens;
    }
    let said = tokens.iter().enumerate();
    let said: Vec<(usize, &Token)> = said
        .map(|(place, token)| (place, &token.token))
        .filter(|(_, token)| !is_space(token))
        .collect();
    let mut left: Vec<usize> = Vec::new();
    for (at, (place, token)) in said.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| said.get(at));
        let of_table = before.is_some_and(|(_, before)| {
            is_word(before, &BEFORE) || matches!(before, Token::Comma | Token::LParen)
        });
        if !of_table || !is_word(token, &["ONLY"]) {
            continue;
        }
        match said.get(at + 1) {
            Some((_, Token::Word(_))) => left.push(*place),
            Some((open, Token::LParen)) => {
                let name = said.iter().skip(at + 2);
                let mut behind =
                    name.skip_while(|(_, token)| matches!(token, Token::Word(_) | Token::Period));
                if let Some((close, Token::RParen)) = behind.next() {
                    left.extend([*place, *open, *close]);
                }
            }
            _ => {}
        }
    }
    if left.is_empty() {
        return tokens;
    }
    let kept = tokens.iter().enumerate();
    let kept = kept.filter(|(place, _)| !left.contains(place));
    Cow::Owned(kept.map(|(_, token)| token.clone()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    use super::*;

    #[test]
    fn the_word_goes_before_tables_alone() {
        for (sql, read) in [
            (
                "SELECT 1 FROM ONLY a, ONLY (b.c) x",
                "SELECT 1 FROM  a,  b.c x",
            ),
            ("DELETE FROM ONLY a USING ONLY b", "DELETE FROM  a USING  b"),
            ("FETCH FIRST 1 ROWS ONLY", "FETCH FIRST 1 ROWS ONLY"),
            ("SET TRANSACTION READ ONLY", "SET TRANSACTION READ ONLY"),
            (
                "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY",
                "BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY",
            ),
            (
                "SELECT \"only\" FROM \"only\"",
                "SELECT \"only\" FROM \"only\"",
            ),
        ] {
            let mut tokens = Tokenizer::new(&PostgreSqlDialect {}, sql);
            let tokens = tokens.tokenize_with_location().unwrap();
            let text: String = left_out(Cow::Owned(tokens))
                .iter()
                .map(|token| token.token.to_string())
                .collect();
            assert_eq!(text, read);
        }
    }
}
