//! A cursor over the tokens of one statement, white space skipped.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::is_space;
use crate::sqlstate::{Place, ServerError, limit_before, offset_of};

/// Where we are in the tokens of one statement.
pub(super) struct TokenCursor<'a> {
    tokens: &'a [TokenWithSpan],
    at: usize,
    sql: &'a str,
}

impl<'a> TokenCursor<'a> {
    pub(super) fn new(tokens: &'a [TokenWithSpan], sql: &'a str) -> TokenCursor<'a> {
        TokenCursor { tokens, at: 0, sql }
    }

    pub(super) fn sql(&self) -> &'a str {
        self.sql
    }

    /// Where the cursor is, to come back to.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Goes back to where it was.
    pub(super) fn back_to(&mut self, place: usize) {
        self.at = place;
    }

    fn skip_space(&mut self) {
        while self
            .tokens
            .get(self.at)
            .is_some_and(|token| is_space(&token.token))
        {
            self.at += 1;
        }
    }

    /// The next token, not taken.
    pub(super) fn peek(&mut self) -> Option<&'a Token> {
        self.skip_space();
        self.tokens.get(self.at).map(|token| &token.token)
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Where the next token stands in the statement.
    pub(super) fn spot(&mut self) -> Option<Place> {
        self.skip_space();
        let start = self.tokens.get(self.at)?.span.start;
        Some(Place::at(start.line, start.column))
    }

    /// Takes all that is left.
    pub(super) fn take_rest(&mut self) -> &'a [TokenWithSpan] {
        self.skip_space();
        let rest = self.tokens.get(self.at..).unwrap_or_default();
        self.at = self.tokens.len();
        rest
    }

    /// Takes the tokens inside a pair of parentheses whose opening one is next.
    pub(super) fn take_parenthesised(&mut self) -> Result<&'a [TokenWithSpan], ServerError> {
        self.expect(&Token::LParen)?;
        let start = self.at;
        let mut depth = 1_usize;
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            match token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(self.tokens.get(start..self.at - 1).unwrap_or_default());
            }
        }
        Err(self.syntax_error())
    }

    /// The next token as an unquoted word, upper case.
    pub(super) fn peek_word(&mut self) -> Option<String> {
        match self.peek()? {
            Token::Word(word) if word.quote_style.is_none() => {
                Some(word.value.to_ascii_uppercase())
            }
            _ => None,
        }
    }

    /// Takes the next token when it is this unquoted word.
    pub(super) fn accept(&mut self, word: &str) -> bool {
        let found = self.peek_word().is_some_and(|next| next == word);
        self.at += usize::from(found);
        found
    }

    /// Takes the next token when it is `token`.
    pub(super) fn accept_token(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), ServerError> {
        if self.accept(word) {
            Ok(())
        } else {
            Err(self.syntax_error())
        }
    }

    pub(super) fn expect(&mut self, token: &Token) -> Result<(), ServerError> {
        if self.accept_token(token) {
            Ok(())
        } else {
            Err(self.syntax_error())
        }
    }

    /// Takes an identifier, folded to lower case unless quoted.
    pub(super) fn identifier(&mut self) -> Result<String, ServerError> {
        match self.peek() {
            Some(Token::Word(word)) => {
                self.at += 1;
                Ok(match word.quote_style {
                    Some(_) => word.value.clone(),
                    None => word.value.to_ascii_lowercase(),
                })
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// Takes a string constant.
    pub(super) fn string(&mut self) -> Result<String, ServerError> {
        match self.peek() {
            Some(Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text)) => {
                self.at += 1;
                Ok(text.clone())
            }
            _ => Err(self.syntax_error()),
        }
    }

    /// "syntax error at or near" the next token.
    pub(super) fn syntax_error(&mut self) -> ServerError {
        self.skip_space();
        match self.tokens.get(self.at) {
            Some(token) => near(token, self.sql),
            None => ServerError::syntax(
                "syntax error at end of input",
                Some(self.sql.chars().count() + 1),
            ),
        }
    }
}

/// "syntax error at or near" a token.
pub(super) fn near(token: &TokenWithSpan, sql: &str) -> ServerError {
    let start = token.span.start;
    let position = usize::try_from(start.line)
        .ok()
        .zip(usize::try_from(start.column).ok())
        .and_then(|(line, column)| offset_of(sql, line, column));
    if token.token == Token::Comma
        && let Some(limit) = position.and_then(|position| limit_before(sql, position))
    {
        let error = ServerError::syntax("LIMIT #,# syntax is not supported", Some(limit));
        return error.hint("Use separate LIMIT and OFFSET clauses.");
    }
    ServerError::syntax(
        format!("syntax error at or near \"{}\"", token.token),
        position,
    )
}
