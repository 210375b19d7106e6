//! Where an operator ends and a sign begins: `pos>-100` is `pos > -100`.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

/// Characters by which PostgreSQL lets an operator end in a sign (`@-`).
const ENDS_IN_SIGN: &[char] = &['~', '!', '@', '#', '%', '^', '&', '|', '`', '?'];

/// The tokens, of which no operator ends in a sign that PostgreSQL reads apart from it.
pub(super) fn apart(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if !tokens.iter().any(|token| operator(&token.token).is_some()) {
        return tokens;
    }
    let mut read = Vec::with_capacity(tokens.len() + 1);
    for token in tokens {
        let Some(text) = operator(&token.token) else {
            read.push(token);
            continue;
        };
        let alone = text.trim_end_matches(['+', '-']);
        // An operator of signs alone keeps the first.
        let alone = if alone.is_empty() { &text[..1] } else { alone };
        let Ok(parts) = Tokenizer::new(&PostgreSqlDialect {}, alone).tokenize() else {
            read.push(token);
            continue;
        };
        let signs = text[alone.len()..].chars().map(|sign| match sign {
            '+' => Token::Plus,
            _ => Token::Minus,
        });
        let mut at = token.span.start;
        for part in parts.into_iter().chain(signs) {
            let long = u64::try_from(part.to_string().chars().count()).unwrap_or(0);
            let end = Location::new(at.line, at.column + long);
            read.push(TokenWithSpan::new(part, Span::new(at, end)));
            at = end;
        }
    }
    read
}

/// The text of an operator with a sign at its end that is none of it.
fn operator(token: &Token) -> Option<&str> {
    let Token::CustomBinaryOperator(text) = token else {
        return None;
    };
    (text.ends_with(['+', '-']) && !text.contains(ENDS_IN_SIGN)).then_some(text)
}
