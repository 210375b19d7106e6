//! A pattern as tokens. What a character means depends on the syntax, and on whether it stands in brackets or bounds.

use crate::classes::Class;
use crate::error::Wrong;
use crate::flags::{Flags, Syntax};

/// What a pattern is made of. Characters are numbers: an escape may name one that no text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// Nothing was read yet.
    Nothing,
    End,
    Plain(u32),
    Either,
    /// `*`, `+` and `?`, and whether they take as much as they can.
    Star(bool),
    Plus(bool),
    Question(bool),
    Bound,
    Digit(u32),
    Comma,
    BoundEnd(bool),
    /// A group, and whether it is captured.
    Open(bool),
    Around {
        ahead: bool,
        negative: bool,
    },
    Close,
    /// Brackets, and whether they name what is meant or what is not.
    Bracket(bool),
    BracketEnd,
    Range,
    Collating,
    Equivalence,
    Named,
    NamedEnd,
    Dot,
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    WordStart,
    WordEnd,
    Boundary,
    NoBoundary,
    Class(Class),
    NoClass(Class),
    Backreference(usize),
}

/// Where a character stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Pattern,
    Bound,
    Bracket,
    /// Between `[.`, `[=` or `[:` and its end.
    Element(char),
}

/// Reads tokens, one ahead of the parser.
pub(crate) struct Lexer {
    chars: Vec<char>,
    at: usize,
    pub(crate) flags: Flags,
    place: Place,
    pub(crate) token: Token,
    last: Token,
    /// Groups that were opened so far, which tell references back from characters.
    pub(crate) groups: usize,
}

impl Lexer {
    /// Reads what a pattern begins with, and the first token.
    pub(crate) fn new(pattern: &str, flags: Flags) -> Result<Self, Wrong> {
        flags.check()?;
        let mut lexer = Self {
            chars: pattern.chars().collect(),
            at: 0,
            flags,
            place: Place::Pattern,
            token: Token::Nothing,
            last: Token::Nothing,
            groups: 0,
        };
        lexer.prefixes()?;
        lexer.next()?;
        Ok(lexer)
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let is = self.peek(0) == Some(c);
        self.at += usize::from(is);
        is
    }

    fn take(&mut self) -> Option<char> {
        let c = self.peek(0);
        self.at += usize::from(c.is_some());
        c
    }

    fn is_advanced(&self) -> bool {
        self.flags.syntax == Syntax::Advanced
    }

    /// `***:`, `***=` and `(?letters)`.
    fn prefixes(&mut self) -> Result<(), Wrong> {
        if self.flags.syntax == Syntax::Literal {
            return Ok(());
        }
        if (0..3).all(|at| self.peek(at) == Some('*'))
            && let Some(director) = self.peek(3)
        {
            self.at += 4;
            match director {
                '?' => return Err(Wrong::Version),
                '=' => {
                    self.flags.literal();
                    return Ok(());
                }
                ':' => self.flags.syntax = Syntax::Advanced,
                _ => return Err(Wrong::Operand),
            }
        }
        let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
        if !self.is_advanced()
            || self.peek(0) != Some('(')
            || self.peek(1) != Some('?')
            || !is_letter(self.peek(2))
        {
            return Ok(());
        }
        self.at += 2;
        while let Some(letter) = self.peek(0).filter(char::is_ascii_alphabetic) {
            self.at += 1;
            if !self.flags.take(letter) {
                return Err(Wrong::Option);
            }
        }
        if !self.eat(')') {
            return Err(Wrong::Option);
        }
        if self.flags.syntax == Syntax::Literal {
            self.flags.literal();
        }
        Ok(())
    }

    /// Blanks and comments.
    fn skip(&mut self) {
        loop {
            while matches!(self.peek(0), Some(' ' | '\t'..='\r')) {
                self.at += 1;
            }
            if self.peek(0) != Some('#') {
                return;
            }
            while self.peek(0).is_some_and(|c| c != '\n') {
                self.at += 1;
            }
        }
    }

    /// Reads the next token.
    pub(crate) fn next(&mut self) -> Result<(), Wrong> {
        self.last = self.token;
        loop {
            if self.flags.expanded && matches!(self.place, Place::Pattern | Place::Bound) {
                self.skip();
            }
            let Some(c) = self.take() else {
                self.token = Token::End;
                return match self.place {
                    Place::Pattern => Ok(()),
                    Place::Bound => Err(Wrong::Braces),
                    Place::Bracket | Place::Element(_) => Err(Wrong::Brackets),
                };
            };
            let read = match (self.place, self.flags.syntax) {
                (Place::Bound, _) => Some(self.in_bound(c)?),
                (Place::Bracket, _) => Some(self.in_bracket(c)?),
                (Place::Element(mark), _) => {
                    let ends = c == mark && self.eat(']');
                    Some(match ends {
                        true => {
                            self.place = Place::Bracket;
                            Token::NamedEnd
                        }
                        false => Token::Plain(u32::from(c)),
                    })
                }
                (Place::Pattern, Syntax::Literal) => Some(Token::Plain(u32::from(c))),
                (Place::Pattern, Syntax::Basic) => Some(self.basic(c)?),
                (Place::Pattern, _) => self.extended(c)?,
            };
            // A comment is no token.
            if let Some(token) = read {
                self.token = token;
                return Ok(());
            }
        }
    }

    fn in_bound(&mut self, c: char) -> Result<Token, Wrong> {
        let is_basic = self.flags.syntax == Syntax::Basic;
        Ok(match c {
            '0'..='9' => Token::Digit(c.to_digit(10).unwrap_or(0)),
            ',' => Token::Comma,
            '}' if !is_basic => {
                self.place = Place::Pattern;
                Token::BoundEnd(!(self.is_advanced() && self.eat('?')))
            }
            '\\' if is_basic && self.eat('}') => {
                self.place = Place::Pattern;
                Token::BoundEnd(true)
            }
            _ => return Err(Wrong::Repetition),
        })
    }

    fn in_bracket(&mut self, c: char) -> Result<Token, Wrong> {
        let is_first = matches!(self.last, Token::Bracket(_));
        Ok(match c {
            ']' if !is_first => {
                self.place = Place::Pattern;
                Token::BracketEnd
            }
            '\\' if self.is_advanced() => {
                let token = self.escape()?;
                match token {
                    Token::Plain(_) | Token::Class(_) | Token::NoClass(_) => token,
                    _ => return Err(Wrong::Escape),
                }
            }
            '-' if !is_first && self.peek(0) != Some(']') => Token::Range,
            '[' => {
                let token = match self.peek(0) {
                    None => return Err(Wrong::Brackets),
                    Some('.') => Token::Collating,
                    Some('=') => Token::Equivalence,
                    Some(':') => Token::Named,
                    Some(_) => return Ok(Token::Plain(u32::from(c))),
                };
                self.place = Place::Element(self.take().unwrap_or('.'));
                token
            }
            c => Token::Plain(u32::from(c)),
        })
    }

    /// `[[:<:]]` and `[[:>:]]`, or the begin of brackets.
    fn bracket(&mut self) -> Token {
        for (written, token) in [("[:<:]]", Token::WordStart), ("[:>:]]", Token::WordEnd)] {
            let mut chars = written.chars().enumerate();
            if chars.all(|(at, c)| self.peek(at) == Some(c)) {
                self.at += written.len();
                return token;
            }
        }
        self.place = Place::Bracket;
        Token::Bracket(!self.eat('^'))
    }

    fn extended(&mut self, c: char) -> Result<Option<Token>, Wrong> {
        let fewest = |lexer: &mut Self| lexer.is_advanced() && lexer.eat('?');
        Ok(Some(match c {
            '|' => Token::Either,
            '*' => Token::Star(!fewest(self)),
            '+' => Token::Plus(!fewest(self)),
            '?' => Token::Question(!fewest(self)),
            '{' => {
                if self.flags.expanded {
                    self.skip();
                }
                match self.peek(0).is_some_and(|c| c.is_ascii_digit()) {
                    true => {
                        self.place = Place::Bound;
                        Token::Bound
                    }
                    false => Token::Plain(u32::from(c)),
                }
            }
            '(' if self.is_advanced() && self.eat('?') => return self.special_group(),
            '(' => Token::Open(true),
            ')' => Token::Close,
            '[' => self.bracket(),
            '.' => Token::Dot,
            '^' => Token::LineStart,
            '$' => Token::LineEnd,
            '\\' if self.is_advanced() => self.escape()?,
            '\\' => Token::Plain(u32::from(self.take().ok_or(Wrong::Escape)?)),
            c => Token::Plain(u32::from(c)),
        }))
    }

    /// What stands behind `(?`; `None` for a comment.
    fn special_group(&mut self) -> Result<Option<Token>, Wrong> {
        let around = |ahead, negative| Ok(Some(Token::Around { ahead, negative }));
        match self.take() {
            Some(':') => Ok(Some(Token::Open(false))),
            Some('#') => {
                while self.take().is_some_and(|c| c != ')') {}
                Ok(None)
            }
            Some('=') => around(true, false),
            Some('!') => around(true, true),
            Some('<') => match self.take() {
                Some('=') => around(false, false),
                Some('!') => around(false, true),
                _ => Err(Wrong::Operand),
            },
            _ => Err(Wrong::Operand),
        }
    }

    fn basic(&mut self, c: char) -> Result<Token, Wrong> {
        let is_first = matches!(self.last, Token::Nothing | Token::Open(_));
        let plain = |c: char| Token::Plain(u32::from(c));
        Ok(match c {
            '*' if is_first || self.last == Token::LineStart => plain(c),
            '*' => Token::Star(true),
            '[' => self.bracket(),
            '.' => Token::Dot,
            '^' if is_first => Token::LineStart,
            '$' => {
                if self.flags.expanded {
                    self.skip();
                }
                let closes = self.peek(0) == Some('\\') && self.peek(1) == Some(')');
                match self.peek(0).is_none() || closes {
                    true => Token::LineEnd,
                    false => plain(c),
                }
            }
            '\\' => match self.take().ok_or(Wrong::Escape)? {
                '{' => {
                    self.place = Place::Bound;
                    Token::Bound
                }
                '(' => Token::Open(true),
                ')' => Token::Close,
                '<' => Token::WordStart,
                '>' => Token::WordEnd,
                c @ '1'..='9' => Token::Backreference(digit(c, 10).unwrap_or(0)),
                c => plain(c),
            },
            c => plain(c),
        })
    }

    /// What a backslash and the characters behind it mean.
    fn escape(&mut self) -> Result<Token, Wrong> {
        let c = self.take().ok_or(Wrong::Escape)?;
        if !c.is_ascii_alphanumeric() {
            return Ok(Token::Plain(u32::from(c)));
        }
        Ok(match c {
            'a' => Token::Plain(7),
            'A' => Token::TextStart,
            'b' => Token::Plain(8),
            'B' => Token::Plain(u32::from('\\')),
            'c' => Token::Plain(u32::from(self.take().ok_or(Wrong::Escape)?) & 0o37),
            'd' => Token::Class(Class::Digit),
            'D' => Token::NoClass(Class::Digit),
            'e' => Token::Plain(0o33),
            'f' => Token::Plain(0xC),
            'm' => Token::WordStart,
            'M' => Token::WordEnd,
            'n' => Token::Plain(0xA),
            'r' => Token::Plain(0xD),
            's' => Token::Class(Class::Space),
            'S' => Token::NoClass(Class::Space),
            't' => Token::Plain(9),
            'u' => Token::Plain(self.digits(16, 4, 4)?),
            'U' => Token::Plain(self.digits(16, 8, 8)?),
            'v' => Token::Plain(0xB),
            'w' => Token::Class(Class::Word),
            'W' => Token::NoClass(Class::Word),
            'x' => Token::Plain(self.digits(16, 1, 255)?),
            'y' => Token::Boundary,
            'Y' => Token::NoBoundary,
            'Z' => Token::TextEnd,
            '0'..='9' => self.number(c)?,
            _ => return Err(Wrong::Escape),
        })
    }

    /// A reference to a group, or a character in octal digits.
    fn number(&mut self, first: char) -> Result<Token, Wrong> {
        let behind = self.at;
        self.at -= 1;
        if first != '0' {
            let number = self.digits(10, 1, 255)?;
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            if self.at == behind || (number > 0 && number <= self.groups) {
                return Ok(Token::Backreference(number));
            }
            self.at = behind - 1;
        }
        let mut code = self.digits(8, 1, 3)?;
        if code > 0xFF {
            // One digit too many.
            self.at -= 1;
            code >>= 3;
        }
        Ok(Token::Plain(code))
    }

    fn digits(&mut self, base: u32, least: usize, most: usize) -> Result<u32, Wrong> {
        let (mut code, mut count) = (0_u32, 0);
        while count < most
            && let Some(digit) = self.peek(0).and_then(|c| c.to_digit(base))
        {
            code = code.wrapping_mul(base).wrapping_add(digit);
            self.at += 1;
            count += 1;
        }
        match count < least || code > 0x7FFF_FFFE {
            true => Err(Wrong::Escape),
            false => Ok(code),
        }
    }
}

fn digit(c: char, base: u32) -> Option<usize> {
    c.to_digit(base)
        .and_then(|digit| usize::try_from(digit).ok())
}
