//! Texts of arrays taken apart: `{1,2}`, `{{a,"b c"},{NULL,d}}`, `[0:1]={1,2}`.

use super::error::{CatalogError, Result};

/// Dimensions (length, lower bound) and elements.
pub(crate) type ParsedArray = (Vec<(i32, i32)>, Vec<Option<String>>);

/// PostgreSQL's arrays have no more dimensions.
const DEEPEST: usize = 6;

/// What is wrong with the text of an array, in PostgreSQL's words.
const BEGIN: &str = "Array value must start with \"{\" or dimension information.";
const END: &str = "Unexpected end of input.";
const ELEMENT: &str = "Unexpected array element.";
const JUNK: &str = "Junk after closing right brace.";
const SUB_ARRAYS: &str = "Multidimensional arrays must have sub-arrays with matching dimensions.";
const DECLARED: &str = "Specified array dimensions do not match array contents.";

/// Reads the text of an array: elements as text (`None` = NULL) with their dimensions.
///
/// # Errors
/// 22P02 for a text that is no array, 2202E and 54000 for dimensions that there are not.
pub(crate) fn parse_array(text: &str, delimiter: char) -> Result<ParsedArray> {
    let (declared, body) = declared(text)?;
    let (body, fault) = match &declared {
        Some(_) => (body, "Array contents must start with \"{\"."),
        None => (body, BEGIN),
    };
    if !body.starts_with('{') {
        return Err(malformed(text, fault));
    }
    let mut reader = Reader {
        rest: body.chars(),
        delimiter,
        state: State::Begin,
        counts: Vec::new(),
        lengths: Vec::new(),
        depth_of_items: None,
        items: Vec::new(),
    };
    // PostgreSQL shows what stands behind the dimensions.
    reader.read().map_err(|fault| match fault {
        Fault::Text(detail) => malformed(body, &detail),
        Fault::Depth(depth) => too_deep(depth),
    })?;
    let found = match reader.items.is_empty() {
        true => Vec::new(),
        false => reader.lengths,
    };
    let count = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let Some(declared) = declared else {
        let dims = found
            .into_iter()
            .map(|length| (count(length.unwrap_or(0)), 1));
        return Ok((dims.collect(), reader.items));
    };
    let found = found
        .into_iter()
        .map(|length| i64::from(count(length.unwrap_or(0))));
    if !found.eq(declared.iter().map(|bounds| bounds.length())) {
        return Err(malformed(text, DECLARED));
    }
    let mut dims = Vec::with_capacity(declared.len());
    for bounds in declared {
        let length = i32::try_from(bounds.length()).unwrap_or(i32::MAX);
        // Behind the last item there is a subscript still.
        if bounds.lower.checked_add(length).is_none() {
            let message = format!("array lower bound is too large: {}", bounds.lower);
            return Err(CatalogError::new("54000", message));
        }
        dims.push((length, bounds.lower));
    }
    Ok((dims, reader.items))
}

/// 22P02 with what is wrong.
fn malformed(text: &str, detail: &str) -> CatalogError {
    let message = format!("malformed array literal: \"{text}\"");
    CatalogError::new("22P02", message).detail(detail)
}

fn too_deep(depth: usize) -> CatalogError {
    let message =
        format!("number of array dimensions ({depth}) exceeds the maximum allowed ({DEEPEST})");
    CatalogError::new("54000", message)
}

/// The first and the last subscript of a dimension.
struct Bounds {
    lower: i32,
    upper: i32,
}

impl Bounds {
    fn length(&self) -> i64 {
        i64::from(self.upper) - i64::from(self.lower) + 1
    }
}

/// White space between the parts of an array.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// The dimensions that stand before an array, and what follows them: `[1:2][0:1]={…}`.
fn declared(text: &str) -> Result<(Option<Vec<Bounds>>, &str)> {
    let mut all: Vec<Bounds> = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while let Some(inner) = rest.strip_prefix('[') {
        if all.len() == DEEPEST {
            return Err(too_deep(DEEPEST + 1));
        }
        let (first, after) = subscript(inner).ok_or_else(|| {
            malformed(
                text,
                "\"[\" must introduce explicitly-specified array dimensions.",
            )
        })?;
        let (lower, upper, after) = match after.strip_prefix(':') {
            Some(after) => {
                let (last, after) = subscript(after)
                    .ok_or_else(|| malformed(text, "Missing array dimension value."))?;
                (first, last, after)
            }
            None => (1, first, after),
        };
        let after = after
            .strip_prefix(']')
            .ok_or_else(|| malformed(text, "Missing \"]\" after array dimensions."))?;
        if upper < lower {
            let message = "upper bound cannot be less than lower bound";
            return Err(CatalogError::new("2202E", message));
        }
        all.push(Bounds { lower, upper });
        rest = after.trim_start_matches(is_space);
    }
    if all.is_empty() {
        return Ok((None, rest));
    }
    let body = rest
        .strip_prefix('=')
        .ok_or_else(|| malformed(text, "Missing \"=\" after array dimensions."))?;
    Ok((Some(all), body.trim_start_matches(is_space)))
}

/// A subscript, and what follows it; one beyond those that there are is the last of them.
fn subscript(text: &str) -> Option<(i32, &str)> {
    let signed = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-');
    let end = text.find(|c| !signed(c)).unwrap_or(text.len());
    let (said, rest) = text.split_at(end);
    if said.is_empty() {
        return None;
    }
    let digits = said.strip_prefix(['+', '-']).unwrap_or(said);
    let end = digits.find(|c: char| !c.is_ascii_digit());
    let digits = digits.get(..end.unwrap_or(digits.len())).unwrap_or("");
    let last = if said.starts_with('-') {
        i32::MIN
    } else {
        i32::MAX
    };
    let number = match digits {
        "" => 0,
        digits if said.starts_with('-') => format!("-{digits}").parse().unwrap_or(last),
        digits => digits.parse().unwrap_or(last),
    };
    Some((number, rest))
}

/// What was read last.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Begin,
    /// `{`.
    Open,
    /// An item, whole.
    Item,
    /// The delimiter behind an item.
    AfterItem,
    /// `}`.
    Closed,
    /// The delimiter behind `}`.
    AfterClosed,
}

enum Fault {
    Text(String),
    /// More dimensions than there may be.
    Depth(usize),
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        Fault::Text(text.to_owned())
    }
}

struct Reader<'a> {
    rest: std::str::Chars<'a>,
    delimiter: char,
    state: State,
    /// What stands within the braces that are open.
    counts: Vec<usize>,
    /// What stands within braces of every depth, once some are closed.
    lengths: Vec<Option<usize>>,
    /// The depth that all items are at.
    depth_of_items: Option<usize>,
    items: Vec<Option<String>>,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Fault> {
        loop {
            let c = self.rest.next().ok_or(END)?;
            match c {
                c if is_space(c) => {}
                '{' => self.open()?,
                '}' => {
                    self.close()?;
                    if self.counts.is_empty() {
                        break;
                    }
                }
                c if c == self.delimiter => {
                    self.state = match self.state {
                        State::Item => State::AfterItem,
                        State::Closed => State::AfterClosed,
                        _ => return Err(unexpected(c)),
                    };
                }
                c => self.item(c)?,
            }
        }
        match self.rest.as_str().trim_start_matches(is_space) {
            "" => Ok(()),
            _ => Err(JUNK.into()),
        }
    }

    fn open(&mut self) -> Result<(), Fault> {
        if !matches!(self.state, State::Begin | State::Open | State::AfterClosed) {
            return Err(unexpected('{'));
        }
        if self.counts.len() == DEEPEST {
            return Err(Fault::Depth(DEEPEST + 1));
        }
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        self.counts.push(0);
        self.state = State::Open;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let depth = self.counts.len();
        // Only the whole array may be empty.
        let empty = self.state == State::Open && depth == 1;
        if !matches!(self.state, State::Item | State::Closed) && !empty {
            return Err(unexpected('}'));
        }
        let count = self.counts.pop().unwrap_or(0);
        if self.lengths.len() < depth {
            self.lengths.resize(depth, None);
        }
        if let Some(length) = self.lengths.get_mut(depth - 1)
            && *length.get_or_insert(count) != count
        {
            return Err(SUB_ARRAYS.into());
        }
        self.state = State::Closed;
        Ok(())
    }

    /// Reads the item that begins with this character.
    fn item(&mut self, first: char) -> Result<(), Fault> {
        if !matches!(self.state, State::Open | State::AfterItem) {
            return Err(match first {
                '\\' => unexpected(first),
                _ => ELEMENT.into(),
            });
        }
        let depth = self.counts.len();
        let item = match first {
            '"' => Some(self.quoted()?),
            first => self.bare(first)?,
        };
        if *self.depth_of_items.get_or_insert(depth) != depth {
            return Err(SUB_ARRAYS.into());
        }
        if let Some(count) = self.counts.last_mut() {
            *count += 1;
        }
        self.items.push(item);
        self.state = State::Item;
        Ok(())
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        let mut out = String::new();
        loop {
            match self.rest.next().ok_or(END)? {
                '"' => return Ok(out),
                '\\' => out.push(self.rest.next().ok_or(END)?),
                c => out.push(c),
            }
        }
    }

    /// An item without quotes, whose white space at the end is none of it; NULL unless something of it is escaped.
    fn bare(&mut self, first: char) -> Result<Option<String>, Fault> {
        let (mut out, mut kept, mut escaped) = (String::new(), 0, false);
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\\' => {
                    out.push(self.rest.next().ok_or(END)?);
                    escaped = true;
                    kept = out.len();
                }
                '"' => return Err(ELEMENT.into()),
                c => {
                    out.push(c);
                    kept = if is_space(c) { kept } else { out.len() };
                }
            }
            let ends = |c: &char| matches!(c, '{' | '}') || *c == self.delimiter;
            next = self.rest.clone().next().filter(|c| !ends(c));
            if next.is_some() {
                self.rest.next();
            }
        }
        out.truncate(kept);
        Ok((escaped || !out.eq_ignore_ascii_case("null")).then_some(out))
    }
}

fn unexpected(c: char) -> Fault {
    Fault::Text(format!("Unexpected \"{c}\" character."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn arrays_are_read_as_postgresql_reads_them() {
        let read = |text: &str| parse_array(text, ',').unwrap();
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read(" { } "), (vec![], vec![]));
        assert_eq!(
            read("{ a b ,\"c\\\"d\",null,\\null,a\\ }"),
            (
                vec![(5, 1)],
                vec![some("a b"), some("c\"d"), None, some("null"), some("a ")]
            )
        );
        assert_eq!(
            read("{{1},{2}}"),
            (vec![(2, 1), (1, 1)], vec![some("1"), some("2")])
        );
        assert_eq!(read("[0:1] [2]={{1,2},{3,4}}").0, vec![(2, 0), (2, 1)]);
        assert_eq!(
            read("[2147483646:2147483646]={1}").0,
            vec![(1, 2_147_483_646)]
        );
    }

    #[test]
    fn texts_that_are_no_arrays_are_told_as_postgresql_tells_them() {
        for (text, detail) in [
            ("", BEGIN),
            ("a", BEGIN),
            ("}{", BEGIN),
            ("{", END),
            ("{a", END),
            ("{\"a", END),
            ("{a\\", END),
            ("{{}}", "Unexpected \"}\" character."),
            ("{{},{1}}", "Unexpected \"}\" character."),
            ("{{1},{}}", "Unexpected \"}\" character."),
            ("{a,}", "Unexpected \"}\" character."),
            ("{1, }", "Unexpected \"}\" character."),
            ("{,a}", "Unexpected \",\" character."),
            ("{a,,b}", "Unexpected \",\" character."),
            ("{NULL,y,{}}", "Unexpected \"{\" character."),
            ("{1,{2}}", "Unexpected \"{\" character."),
            ("{{1}{2}}", "Unexpected \"{\" character."),
            ("{{1},2}", ELEMENT),
            ("{a\"b\"}", ELEMENT),
            ("{\"a\"b}", ELEMENT),
            ("{\"a\"\"b\"}", ELEMENT),
            ("{{1,2},{3}}", SUB_ARRAYS),
            ("{{{1}},{2}}", SUB_ARRAYS),
            ("{a}b", JUNK),
            ("{}}", JUNK),
            ("[1:2]={1}", DECLARED),
            ("[1:2]={{1,2}}", DECLARED),
            ("[1:1]={}", DECLARED),
            ("[1:2]{1,2}", "Missing \"=\" after array dimensions."),
            ("[1:2={1}", "Missing \"]\" after array dimensions."),
            ("[1:]={1}", "Missing array dimension value."),
        ] {
            let error = parse_array(text, ',').unwrap_err();
            assert_eq!(error.sqlstate, "22P02", "{text}");
            assert_eq!(error.detail.as_deref(), Some(detail), "{text}");
        }
        for (text, code) in [
            ("[2147483647:2147483647]={1}", "54000"),
            ("{{{{{{{1}}}}}}}", "54000"),
            ("[2:1]={1}", "2202E"),
        ] {
            assert_eq!(parse_array(text, ',').unwrap_err().sqlstate, code, "{text}");
        }
    }
}
