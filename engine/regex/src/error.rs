//! What may be wrong with a regular expression, and with what is asked of it.

use std::fmt;

/// An error with its SQLSTATE and the words that PostgreSQL has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Five characters.
    pub sqlstate: &'static str,
    /// The message.
    pub message: String,
    /// What may be done about it.
    pub hint: Option<&'static str>,
}

impl Error {
    pub(crate) fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            sqlstate,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What was stopped before it came to an end.
    pub(crate) fn stopped() -> Self {
        Self::new("57014", "canceling statement due to user request")
    }

    /// What would take too long to tell.
    pub(crate) fn too_long() -> Self {
        Self::new(
            "54000",
            "regular expression failed: too many steps for this text",
        )
    }

    /// A value larger than any may be.
    pub(crate) fn too_large() -> Self {
        Self::new("54000", "result of regular expression is too large")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Argument,
    Backreference,
    Braces,
    Brackets,
    Class,
    Collation,
    Complex,
    Escape,
    Operand,
    Option,
    Parentheses,
    Range,
    Repetition,
    Version,
}

impl From<Wrong> for Error {
    fn from(wrong: Wrong) -> Self {
        let text = match wrong {
            Wrong::Argument => "invalid argument to regex function",
            Wrong::Backreference => "invalid backreference number",
            Wrong::Braces => "braces {} not balanced",
            Wrong::Brackets => "brackets [] not balanced",
            Wrong::Class => "invalid character class",
            Wrong::Collation => "invalid collating element",
            Wrong::Complex => "regular expression is too complex",
            Wrong::Escape => "invalid escape \\ sequence",
            Wrong::Operand => "quantifier operand invalid",
            Wrong::Option => "invalid embedded option",
            Wrong::Parentheses => "parentheses () not balanced",
            Wrong::Range => "invalid character range",
            Wrong::Repetition => "invalid repetition count(s)",
            Wrong::Version => "invalid regexp (reg version 0.8)",
        };
        Self::new("2201B", format!("invalid regular expression: {text}"))
    }
}
