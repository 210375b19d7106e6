//! OBO 1.2 and 1.4: the terms of a file, read by line.
//!
//! - Only `[Term]` stanzas; `[Typedef]` and `[Instance]` are passed over.
//! - A line is `tag: value {modifiers} ! comment`; both ends may be absent. `\` escapes as the format has it: `\n` a line
//!   break, `\t` a tab, `\W` a space, any other character itself.
//! - `def` and `synonym` are the text within the quotes.
//! - Tags that are not listed here are passed over: what a term is to others is `is_a` alone.

use std::io::{BufRead, BufReader, Read};

use genokura_core::ontology::Term;

use crate::error::{Error, Result};
use crate::progress::CancelFlag;

/// Longest line, in bytes.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Lines between two looks at the cancel flag.
const LINES_PER_CHECK: u64 = 4_096;

/// What the file says of a term besides its place in the ontology.
#[derive(Debug, Default)]
pub(super) struct Stanza {
    /// Line of `[Term]`.
    pub(super) line: u64,
    pub(super) term: Term,
    pub(super) name: Option<String>,
    pub(super) definition: Option<String>,
    pub(super) comment: Option<String>,
    pub(super) synonyms: Vec<String>,
    pub(super) xrefs: Vec<String>,
    /// All of `replaced_by`.
    pub(super) replacements: Vec<String>,
    pub(super) consider: Vec<String>,
}

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Obo {
    /// `data-version` of the header.
    pub(super) release: Option<String>,
    pub(super) stanzas: Vec<Stanza>,
}

pub(super) fn fault(line: u64, rule: &'static str, message: impl Into<String>) -> Error {
    Error::Line {
        input: 1,
        line,
        rule,
        message: message.into(),
    }
}

/// Which part of the file a line belongs to.
#[derive(PartialEq)]
enum Part {
    Header,
    Term,
    Other,
}

/// Reads a file.
///
/// # Errors
/// [`Error::Format`] for what is no OBO, [`Error::Line`] for a line that breaks its rules.
pub(super) fn read(input: impl Read, cancel: &CancelFlag) -> Result<Obo> {
    let mut input = BufReader::with_capacity(1 << 18, input);
    let mut obo = Obo::default();
    let (mut part, mut number, mut is_obo) = (Part::Header, 0, false);
    let mut bytes = Vec::new();
    while next_line(&mut input, &mut bytes, &mut number)? {
        if number.is_multiple_of(LINES_PER_CHECK) {
            cancel.check()?;
        }
        let line = std::str::from_utf8(&bytes)
            .map_err(|_| fault(number, "utf8", "not UTF-8; convert the file"))?
            .trim_start_matches('\u{feff}')
            .trim();
        if line.is_empty() || line.starts_with('!') {
            continue;
        }
        if line.starts_with('[') {
            end(&obo)?;
            part = if line == "[Term]" {
                let stanza = Stanza {
                    line: number,
                    ..Stanza::default()
                };
                obo.stanzas.push(stanza);
                Part::Term
            } else {
                Part::Other
            };
            continue;
        }
        if part == Part::Other {
            continue;
        }
        let Some((tag, value)) = line.split_once(':') else {
            let header = part == Part::Header && !is_obo;
            return Err(if header { no_obo() } else { no_tag(number) });
        };
        let value = value.trim();
        match (&part, obo.stanzas.last_mut()) {
            (Part::Term, Some(stanza)) => add(stanza, tag, value, number)?,
            _ if tag == "format-version" => is_obo = known_version(value, number)?,
            _ if tag == "data-version" => obo.release = Some(value.to_owned()),
            _ => {}
        }
    }
    end(&obo)?;
    if !is_obo || obo.stanzas.is_empty() {
        return Err(no_obo());
    }
    Ok(obo)
}

/// The next line with those that it goes on in, each ending in one backslash.
fn next_line(input: &mut impl BufRead, bytes: &mut Vec<u8>, number: &mut u64) -> Result<bool> {
    bytes.clear();
    loop {
        let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', bytes);
        let read = read.map_err(|e| fault(*number + 1, "text", format!("cannot be read: {e}")))?;
        if read == 0 {
            return Ok(!bytes.is_empty());
        }
        *number += 1;
        if bytes.len() as u64 >= LINE_BYTES_MAX {
            return Err(fault(
                *number,
                "line-length",
                "the line is longer than 16 MiB",
            ));
        }
        while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            bytes.pop();
        }
        let slashes = bytes.iter().rev().take_while(|b| **b == b'\\').count();
        if slashes % 2 == 0 {
            return Ok(true);
        }
        bytes.pop();
    }
}

fn no_obo() -> Error {
    let reason =
        "no OBO file: it has no format-version and no [Term]; of HPO, hp.obo is the file to load";
    Error::Format {
        input: 1,
        reason: reason.to_owned(),
    }
}

fn no_tag(line: u64) -> Error {
    fault(
        line,
        "obo-tag",
        "the line has no tag; expected \"tag: value\"",
    )
}

fn known_version(version: &str, line: u64) -> Result<bool> {
    if matches!(version, "1.0" | "1.2" | "1.4") {
        return Ok(true);
    }
    let message = format!("format-version {version:?} is not read; 1.2 and 1.4 are");
    Err(fault(line, "obo-version", message))
}

/// Checks the stanza that ends here.
fn end(obo: &Obo) -> Result<()> {
    let nameless = obo.stanzas.last().filter(|s| s.term.id.is_empty());
    match nameless {
        Some(stanza) => Err(fault(stanza.line, "obo-id", "the term has no id")),
        None => Ok(()),
    }
}

fn add(stanza: &mut Stanza, tag: &str, value: &str, line: u64) -> Result<()> {
    let plain = || plain(value, tag, line);
    match tag {
        "id" => {
            if !stanza.term.id.is_empty() {
                return Err(fault(line, "obo-id", "the term has an id already"));
            }
            stanza.term.id = plain()?;
        }
        "name" => stanza.name = Some(plain()?),
        "comment" => stanza.comment = Some(plain()?),
        "def" => stanza.definition = Some(quoted(value, tag, line)?),
        "synonym" => stanza.synonyms.push(quoted(value, tag, line)?),
        "xref" => stanza.xrefs.push(plain()?),
        "alt_id" => stanza.term.alt_ids.push(plain()?),
        "is_a" => stanza.term.parents.push(plain()?),
        "replaced_by" => stanza.replacements.push(plain()?),
        "consider" => stanza.consider.push(plain()?),
        "is_obsolete" => stanza.term.is_obsolete = plain()? == "true",
        _ => {}
    }
    Ok(())
}

/// A value without modifiers and comment.
fn plain(value: &str, tag: &str, line: u64) -> Result<String> {
    let whole = matches!(tag, "name" | "comment");
    let (mut text, mut chars) = (String::new(), value.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(unescaped)),
            '!' | '{' if !whole && (text.is_empty() || text.ends_with(' ')) => break,
            c => text.push(c),
        }
    }
    let text = text.trim().to_owned();
    if text.is_empty() {
        let message = format!("{tag} has no value");
        return Err(fault(line, "obo-value", message));
    }
    // An xref may have a description in quotes behind it.
    Ok(match (tag, text.split_once(" \"")) {
        ("xref", Some((xref, _))) => xref.to_owned(),
        _ => text,
    })
}

/// The text within the quotes at the front of a value.
fn quoted(value: &str, tag: &str, line: u64) -> Result<String> {
    let fault = || {
        let message = format!("{tag} has no text within quotes");
        fault(line, "obo-quotes", message)
    };
    let (mut text, mut chars) = (
        String::new(),
        value.strip_prefix('"').ok_or_else(fault)?.chars(),
    );
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next().map(unescaped)),
            '"' => return Ok(text),
            c => text.push(c),
        }
    }
    Err(fault())
}

fn unescaped(c: char) -> char {
    match c {
        'n' => '\n',
        't' => '\t',
        'W' => ' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read_text(text: &str) -> Result<Obo> {
        read(text.as_bytes(), &CancelFlag::new())
    }

    #[test]
    fn a_term_is_read_as_it_stands() {
        let text = "\u{feff}format-version: 1.2\r\ndata-version: r1\r\n! c\r\n\r\n[Term]\r\nid: X:1\r\n\
            name: A {b} ! c\r\ndef: \"Says \\\"no\\\".\\nTwice.\" [PMID:1] {source=\"x\"}\r\n\
            synonym: \"other\" EXACT layperson [] \r\nxref: UMLS:C1 \"desc\"\r\nalt_id: X:9\r\n\
            is_a: X:0 {is_inferred=\"true\"} ! root\r\nunknown: 5\r\n[Typedef]\r\nid: part_of\r\nname\r\n\
            [Term]\r\nid: X:0\r\nname: long \\\r\nname\r\nis_obsolete: true\r\nreplaced_by: X:1\r\nconsider: X:2";
        let obo = read_text(text).unwrap();
        assert_eq!(obo.release.as_deref(), Some("r1"));
        assert_eq!(obo.stanzas.len(), 2, "terms, and no other stanza");
        let (a, b) = (&obo.stanzas[0], &obo.stanzas[1]);
        assert_eq!((a.term.id.as_str(), a.line), ("X:1", 5));
        assert_eq!(a.name.as_deref(), Some("A {b} ! c"));
        assert_eq!(a.definition.as_deref(), Some("Says \"no\".\nTwice."));
        assert_eq!(
            (a.synonyms.as_slice(), a.xrefs.as_slice()),
            (&["other".to_owned()][..], &["UMLS:C1".to_owned()][..])
        );
        assert_eq!(
            (a.term.parents.as_slice(), a.term.alt_ids.as_slice()),
            (&["X:0".to_owned()][..], &["X:9".to_owned()][..])
        );
        assert_eq!(b.name.as_deref(), Some("long name"));
        assert!(b.term.is_obsolete);
        assert_eq!(
            (b.replacements.as_slice(), b.consider.as_slice()),
            (&["X:1".to_owned()][..], &["X:2".to_owned()][..])
        );
    }

    #[test]
    fn what_is_no_obo_is_refused_with_its_line() {
        for text in [
            "",
            "<rdf:RDF>\n",
            "{\"graphs\": []}",
            "format-version: 1.2\n",
            "id\tname\n",
        ] {
            assert!(
                matches!(read_text(text), Err(Error::Format { .. })),
                "{text}"
            );
        }
        for (text, line, rule) in [
            ("format-version: 2.0\n", 1, "obo-version"),
            (
                "format-version: 1.2\n[Term]\nname: x\n[Term]\nid: A\n",
                2,
                "obo-id",
            ),
            ("format-version: 1.2\n[Term]\nid: A\nid: B\n", 4, "obo-id"),
            (
                "format-version: 1.2\n[Term]\nid: A\nis_a: ! root\n",
                4,
                "obo-value",
            ),
            (
                "format-version: 1.2\n[Term]\nid: A\ndef: none\n",
                4,
                "obo-quotes",
            ),
            (
                "format-version: 1.2\n[Term]\nid: A\nsynonym: \"open\n",
                4,
                "obo-quotes",
            ),
            (
                "format-version: 1.2\n[Term]\nid: A\nnonsense\n",
                4,
                "obo-tag",
            ),
        ] {
            match read_text(text).unwrap_err() {
                Error::Line {
                    line: at,
                    rule: broken,
                    ..
                } => assert_eq!((at, broken), (line, rule), "{text}"),
                other => unreachable!("{text}: {other}"),
            }
        }
    }
}
