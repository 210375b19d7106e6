//! What PostgreSQL's functions do with the matches in a text. Places of texts are counted in characters, from 1.

use crate::error::Error;
use crate::exec::Span;
use crate::regex::{Matcher, Regex, Text};

/// Bytes of a value that is made.
pub const MOST_BYTES: usize = 256 << 20;

type Result<T> = std::result::Result<T, Error>;
/// The groups of a match: the whole of it where the pattern has none.
type Groups<'t> = Vec<Option<&'t str>>;

/// The byte at which a character begins; `None` behind the end.
fn byte_of(text: &str, start: usize) -> Option<usize> {
    let skipped = start.saturating_sub(1);
    if text.is_ascii() {
        return (skipped <= text.len()).then_some(skipped);
    }
    let places = text.char_indices().map(|(at, _)| at);
    places.chain([text.len()]).nth(skipped)
}

/// Goes through the matches from a byte on: where nothing matches, the next begins a character later.
fn each<E: From<Error>>(
    text: &mut Text<'_>,
    from: usize,
    groups: bool,
    mut sees: impl FnMut(&Text<'_>, Span) -> std::result::Result<bool, E>,
) -> std::result::Result<(), E> {
    let mut from = from;
    while let Some((start, end)) = text.find(from, groups)? {
        if !sees(text, (start, end))? {
            return Ok(());
        }
        from = match start == end {
            true => text.after(end),
            false => end,
        };
    }
    Ok(())
}

/// `regexp_match`.
///
/// # Errors
/// Where it was stopped, or would take too long.
pub fn first_match<'t>(
    regex: &Regex,
    text: &'t str,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Groups<'t>>> {
    let mut found = matches(&mut regex.matcher(stop), text, false)?;
    Ok(found.pop())
}

/// `regexp_matches`: the groups of the first match, or of all.
///
/// # Errors
/// Where it was stopped, or would take too long; 54000 where there are too many.
pub fn matches<'t>(
    matcher: &mut Matcher<'_>,
    text: &'t str,
    global: bool,
) -> Result<Vec<Groups<'t>>> {
    let (mut all, mut size) = (Vec::new(), 0_usize);
    each_match(matcher, text, global, |groups| {
        size += groups.len() * 16 + 24;
        if size > MOST_BYTES {
            return Err(Error::too_large());
        }
        all.push(groups);
        Ok(())
    })?;
    Ok(all)
}

/// The groups of the first match, or of all, one match after another.
///
/// # Errors
/// Where it was stopped, or would take too long, and what is told of one.
pub fn each_match<'t, E: From<Error>>(
    matcher: &mut Matcher<'_>,
    text: &'t str,
    global: bool,
    mut sees: impl FnMut(Groups<'t>) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let of = matcher.regex().groups();
    let slice = |span: Option<Span>| span.and_then(|(from, to)| text.get(from..to));
    let mut found = matcher.text(text);
    each(&mut found, 0, of > 0, |found, span| {
        let groups: Groups<'t> = match of {
            0 => vec![slice(Some(span))],
            of => (1..=of).map(|group| slice(found.group(group))).collect(),
        };
        sees(groups)?;
        Ok(global)
    })
}

/// `substring(text FROM pattern)`: the first group, or the match where there is none.
///
/// # Errors
/// Where it was stopped, or would take too long.
pub fn substring<'t>(matcher: &mut Matcher<'_>, text: &'t str) -> Result<Option<&'t str>> {
    let has_groups = matcher.regex().groups() > 0;
    let mut found = matcher.text(text);
    let Some(whole) = found.find(0, has_groups)? else {
        return Ok(None);
    };
    let span = match has_groups {
        true => found.group(1),
        false => Some(whole),
    };
    Ok(span.and_then(|(from, to)| text.get(from..to)))
}

/// The texts between matches, as `regexp_split_to_array` has them: where nothing matches there is no border at an end of
/// the text, nor right behind another match.
///
/// # Errors
/// Where it was stopped, or would take too long; 54000 where there are too many.
pub fn split<'t>(matcher: &mut Matcher<'_>, text: &'t str) -> Result<Vec<&'t str>> {
    let mut parts = Vec::new();
    each_part(matcher, text, |part| {
        if parts.len() > MOST_BYTES / 16 {
            return Err(Error::too_large());
        }
        parts.push(part);
        Ok(())
    })?;
    Ok(parts)
}

/// The same, one after another.
///
/// # Errors
/// Where it was stopped, or would take too long, and what is told of one.
pub fn each_part<'t, E: From<Error>>(
    matcher: &mut Matcher<'_>,
    text: &'t str,
    mut sees: impl FnMut(&'t str) -> std::result::Result<(), E>,
) -> std::result::Result<(), E> {
    let (mut from, mut last) = (0, 0);
    let mut found = matcher.text(text);
    each(&mut found, 0, false, |_, (start, end)| {
        if start < text.len() && end > last {
            sees(text.get(from..start).unwrap_or_default())?;
            from = end;
        }
        last = end;
        Ok::<bool, E>(true)
    })?;
    sees(text.get(from..).unwrap_or_default())
}

/// `regexp_count` from a character on.
///
/// # Errors
/// Where it was stopped, or would take too long.
pub fn count(matcher: &mut Matcher<'_>, text: &str, start: usize) -> Result<usize> {
    let Some(from) = byte_of(text, start) else {
        return Ok(0);
    };
    let mut times = 0;
    let mut found = matcher.text(text);
    each(&mut found, from, false, |_, _| {
        times += 1;
        Ok::<bool, Error>(true)
    })?;
    Ok(times)
}

/// Which match is asked for, from which character on, and which group of it.
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    /// The character from which on matches count.
    pub start: usize,
    /// The number of the match.
    pub nth: usize,
    /// The group; 0 for the whole match.
    pub group: usize,
}

/// What was found: its text, and the characters at which it begins and behind which it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'t> {
    /// The text.
    pub text: &'t str,
    /// The number of its first character.
    pub first: usize,
    /// The number of the character behind it.
    pub behind: usize,
}

/// `regexp_substr` and `regexp_instr`.
///
/// # Errors
/// Where it was stopped, or would take too long.
pub fn instance<'t>(
    matcher: &mut Matcher<'_>,
    text: &'t str,
    which: Instance,
) -> Result<Option<Place<'t>>> {
    let of = matcher.regex().groups();
    // A pattern without groups has one for the whole match.
    let (with_groups, group) = match (of, which.group) {
        (0, 1) => (false, 0),
        (of, group) if group > of => return Ok(None),
        (_, group) => (group > 0, group),
    };
    let Some(from) = byte_of(text, which.start) else {
        return Ok(None);
    };
    let (mut times, mut span) = (0, None);
    let mut found = matcher.text(text);
    each(&mut found, from, with_groups, |text, whole| {
        times += 1;
        if times == which.nth {
            span = match group {
                0 => Some(whole),
                group => text.group(group),
            };
        }
        Ok::<bool, Error>(times < which.nth)
    })?;
    let chars = |to: usize| text.get(..to).map_or(0, |before| before.chars().count());
    Ok(span.map(|(from, to)| Place {
        text: text.get(from..to).unwrap_or_default(),
        first: chars(from) + 1,
        behind: chars(to) + 1,
    }))
}

/// What matches are replaced with.
#[derive(Clone, Debug)]
pub struct Replacement {
    parts: Vec<Part>,
    needs_groups: bool,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// Reads a replacement: `\1` to `\9` are groups, `\&` the match, `\\` a backslash, and all else itself.
    #[must_use]
    pub fn new(written: &str) -> Self {
        let (mut parts, mut text) = (Vec::new(), String::new());
        let mut chars = written.chars().peekable();
        while let Some(c) = chars.next() {
            let group = match (c, chars.peek()) {
                ('\\', Some('&')) => Some(0),
                ('\\', Some(digit @ '1'..='9')) => {
                    digit.to_digit(10).and_then(|d| usize::try_from(d).ok())
                }
                ('\\', Some('\\')) => {
                    chars.next();
                    None
                }
                _ => None,
            };
            match group {
                Some(group) => {
                    chars.next();
                    parts.push(Part::Text(std::mem::take(&mut text)));
                    parts.push(Part::Group(group));
                }
                None => text.push(c),
            }
        }
        parts.push(Part::Text(text));
        let needs_groups = parts
            .iter()
            .any(|part| matches!(part, Part::Group(group) if *group > 0));
        Self {
            parts,
            needs_groups,
        }
    }

    /// What stands in the place of a match, part by part.
    fn each(&self, text: &Text<'_>, whole: Span, mut put: impl FnMut(&str)) {
        for part in &self.parts {
            match part {
                Part::Text(text) => put(text),
                Part::Group(0) => put(text.slice(whole)),
                Part::Group(group) => {
                    if let Some(span) = text.group(*group) {
                        put(text.slice(span));
                    }
                }
            }
        }
    }
}

/// `regexp_replace`: the n-th match from a character on, or all of them where n is 0.
///
/// # Errors
/// Where it was stopped, or would take too long; 54000 for a text that is too large.
pub fn replace(
    matcher: &mut Matcher<'_>,
    text: &str,
    replacement: &Replacement,
    start: usize,
    nth: usize,
) -> Result<String> {
    let mut out = String::new();
    replaced(matcher, text, replacement, (start, nth), |part| {
        out.push_str(part);
        match out.len() > MOST_BYTES {
            true => Err(Error::too_large()),
            false => Ok(()),
        }
    })?;
    Ok(out)
}

/// The bytes that [`replace`] makes; those it has counted when they are more than `most`.
///
/// # Errors
/// Where it was stopped, or would take too long.
pub fn replaced_bytes(
    matcher: &mut Matcher<'_>,
    text: &str,
    replacement: &Replacement,
    (start, nth): (usize, usize),
    most: usize,
) -> Result<usize> {
    let mut bytes = 0_usize;
    let counted = replaced(matcher, text, replacement, (start, nth), |part| {
        bytes = bytes.saturating_add(part.len());
        match bytes > most {
            true => Err(Error::too_large()),
            false => Ok(()),
        }
    });
    match counted {
        Err(error) if bytes <= most => Err(error),
        _ => Ok(bytes),
    }
}

/// What `regexp_replace` makes, part by part.
fn replaced(
    matcher: &mut Matcher<'_>,
    text: &str,
    replacement: &Replacement,
    (start, nth): (usize, usize),
    mut put: impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let Some(from) = byte_of(text, start) else {
        return put(text);
    };
    let (mut copied, mut times) = (0, 0);
    let needs_groups = replacement.needs_groups && matcher.regex().groups() > 0;
    let mut found = matcher.text(text);
    each(&mut found, from, needs_groups, |found, (start, end)| {
        times += 1;
        if nth > 0 && times < nth {
            return Ok(true);
        }
        put(text.get(copied..start).unwrap_or_default())?;
        let mut told = Ok(());
        replacement.each(found, (start, end), |part| {
            if told.is_ok() {
                told = put(part);
            }
        });
        copied = end;
        told.map(|()| nth == 0)
    })?;
    put(text.get(copied..).unwrap_or_default())
}
