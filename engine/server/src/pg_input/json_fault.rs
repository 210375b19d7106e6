//! What is wrong with a text that is no JSON, in PostgreSQL's words.

/// The detail of the error; `None` when nothing is found to be wrong here.
pub(super) fn detail(text: &str) -> Option<String> {
    let mut reader = Reader { rest: text };
    let found = reader.value(0).and_then(|()| match reader.next()? {
        None => Ok(()),
        Some(token) => Err(expected("end of input", token)),
    });
    found.err()
}

/// How deep values are looked into.
const DEEPEST: usize = 100;
const ENDED: &str = "The input string ended unexpectedly.";

struct Reader<'a> {
    rest: &'a str,
}

type Found<T> = Result<T, String>;

fn expected(what: &str, found: &str) -> String {
    format!("Expected {what}, but found \"{found}\".")
}

fn invalid(token: &str) -> String {
    format!("Token \"{token}\" is invalid.")
}

impl<'a> Reader<'a> {
    /// The next token, taken; `None` at the end.
    fn next(&mut self) -> Found<Option<&'a str>> {
        let token = self.peek()?;
        if let Some(token) = token {
            self.rest = self.rest.get(token.len()..).unwrap_or_default();
        }
        Ok(token)
    }

    fn peek(&mut self) -> Found<Option<&'a str>> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let rest = self.rest;
        let Some(first) = rest.chars().next() else {
            return Ok(None);
        };
        let to = |end: usize| rest.get(..end).unwrap_or(rest);
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
        let token = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => to(1),
            '"' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, c)| {
                    let ends = *c == '"' && !escaped;
                    escaped = *c == '\\' && !escaped;
                    ends
                });
                match end {
                    Some((end, _)) => to(end + 1),
                    None => return Err(invalid(rest)),
                }
            }
            '-' | '0'..='9' => {
                let length = rest.find(|c| !is_word(c) && !matches!(c, '-' | '+' | '.'));
                let token = to(length.unwrap_or(rest.len()));
                match serde_json::from_str::<serde_json::Number>(token) {
                    Ok(_) => token,
                    Err(_) => return Err(invalid(token)),
                }
            }
            _ => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let token = to(length.max(first.len_utf8()));
                match token {
                    "true" | "false" | "null" => token,
                    _ => return Err(invalid(token)),
                }
            }
        };
        Ok(Some(token))
    }

    fn value(&mut self, depth: usize) -> Found<()> {
        if depth > DEEPEST {
            return Ok(());
        }
        match self.next()? {
            None => Err(ENDED.to_owned()),
            Some("{") => self.object(depth),
            Some("[") => self.array(depth),
            Some(token @ ("}" | "]" | "," | ":")) => Err(expected("JSON value", token)),
            Some(_) => Ok(()),
        }
    }

    fn array(&mut self, depth: usize) -> Found<()> {
        match self.peek()? {
            None => return Err(ENDED.to_owned()),
            Some("]") => {
                self.next()?;
                return Ok(());
            }
            Some(_) => {}
        }
        loop {
            self.value(depth + 1)?;
            match self.next()? {
                Some(",") => {}
                Some("]") => return Ok(()),
                Some(token) => return Err(expected("\",\" or \"]\"", token)),
                None => return Err(ENDED.to_owned()),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Found<()> {
        if self.peek()? == Some("}") {
            self.next()?;
            return Ok(());
        }
        let mut key = "string or \"}\"";
        loop {
            match self.next()? {
                None => return Err(ENDED.to_owned()),
                Some(token) if token.starts_with('"') => {}
                Some(token) => return Err(expected(key, token)),
            }
            match self.next()? {
                None => return Err(ENDED.to_owned()),
                Some(":") => {}
                Some(token) => return Err(expected("\":\"", token)),
            }
            self.value(depth + 1)?;
            match self.next()? {
                Some(",") => key = "string",
                Some("}") => return Ok(()),
                Some(token) => return Err(expected("\",\" or \"}\"", token)),
                None => return Err(ENDED.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_as_postgresql_tells_them() {
        for (text, told) in [
            ("x", "Token \"x\" is invalid."),
            ("", ENDED),
            ("{\"a\":}", "Expected JSON value, but found \"}\"."),
            ("{\"a\":1", ENDED),
            ("[1,2", ENDED),
            ("[1 2]", "Expected \",\" or \"]\", but found \"2\"."),
            ("{a:1}", "Token \"a\" is invalid."),
            ("{1:1}", "Expected string or \"}\", but found \"1\"."),
            ("{\"a\" 1}", "Expected \":\", but found \"1\"."),
            ("1 2", "Expected end of input, but found \"2\"."),
            ("\"abc", "Token \"\"abc\" is invalid."),
            ("01", "Token \"01\" is invalid."),
        ] {
            assert_eq!(detail(text).as_deref(), Some(told), "{text}");
        }
        assert_eq!(detail("{\"a\": [1, true, null]}"), None);
    }
}
