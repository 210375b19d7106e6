//! The letters that say how a pattern is read.

use crate::error::{Error, Wrong};

/// Which syntax a pattern has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Syntax {
    /// PostgreSQL's own.
    #[default]
    Advanced,
    /// That of egrep.
    Extended,
    /// That of grep.
    Basic,
    /// Every character is itself.
    Literal,
}

/// How a pattern is read, and how much of what it matches is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a letter of its own")]
pub struct Flags {
    pub(crate) syntax: Syntax,
    pub(crate) insensitive: bool,
    /// Blanks and comments in a pattern are none of it.
    pub(crate) expanded: bool,
    /// `.` and `[^` match no new line.
    pub(crate) stops: bool,
    /// `^` and `$` match at lines.
    pub(crate) anchors: bool,
    /// All matches, not the first alone.
    pub global: bool,
}

impl Flags {
    /// Those of the operators `~` and `~*`.
    #[must_use]
    pub fn of_operator(insensitive: bool) -> Self {
        Self {
            insensitive,
            ..Self::default()
        }
    }

    /// Those that say how the pattern is read.
    #[must_use]
    pub fn of_pattern(self) -> Self {
        Self {
            global: false,
            ..self
        }
    }

    /// Reads the flags of a function.
    ///
    /// # Errors
    /// 22023 for a letter that is none.
    pub fn read(letters: &str) -> Result<Self, Error> {
        let mut flags = Self::default();
        for letter in letters.chars() {
            if letter == 'g' {
                flags.global = true;
            } else if letter == 'e' {
                // What PostgreSQL makes of it: the other patterns of POSIX are had by `(?e)` alone.
                flags.syntax = Syntax::Basic;
            } else if !flags.take(letter) {
                let text = format!("invalid regular expression option: \"{letter}\"");
                return Err(Error::new("22023", text));
            }
        }
        Ok(flags)
    }

    /// Reads the flags of a function that finds one match.
    ///
    /// # Errors
    /// 22023 for a letter that is none, and for `g`.
    pub fn of_one(function: &str, letters: &str) -> Result<Self, Error> {
        let flags = Self::read(letters)?;
        if !flags.global {
            return Ok(flags);
        }
        let text = format!("{function}() does not support the \"global\" option");
        let error = Error::new("22023", text);
        Err(match function {
            "regexp_match" => error.hint("Use the regexp_matches function instead."),
            _ => error,
        })
    }

    /// Takes a letter; `false` where it is none of those that a pattern may begin with as well.
    pub(crate) fn take(&mut self, letter: char) -> bool {
        match letter {
            'b' => self.syntax = Syntax::Basic,
            'c' => self.insensitive = false,
            'e' => self.syntax = Syntax::Extended,
            'i' => self.insensitive = true,
            'm' | 'n' => (self.stops, self.anchors) = (true, true),
            'p' => (self.stops, self.anchors) = (true, false),
            'q' => self.syntax = Syntax::Literal,
            's' => (self.stops, self.anchors) = (false, false),
            't' => self.expanded = false,
            'w' => (self.stops, self.anchors) = (false, true),
            'x' => self.expanded = true,
            _ => return false,
        }
        true
    }

    /// Whether the letters of a function may stand together.
    pub(crate) fn check(self) -> Result<(), Wrong> {
        match self.syntax == Syntax::Literal && (self.expanded || self.stops || self.anchors) {
            true => Err(Wrong::Argument),
            false => Ok(()),
        }
    }

    /// A literal knows nothing of lines and comments.
    pub(crate) fn literal(&mut self) {
        self.syntax = Syntax::Literal;
        (self.expanded, self.stops, self.anchors) = (false, false, false);
    }
}
