//! The header of an export: the lines of the inputs as they stood, or, of several inputs, merged.
//!
//! One input gives its lines in their order. Of several, a line that stands in more than one is
//! written once; of lines that define the same ID the first counts, unless its Number or Type is
//! not the dataset's own, which the log then says; contigs come in the order of the dataset, which
//! is that of the records. `##fileformat` is the highest. `IDX` attributes of BCF headers are
//! dropped: they are numbered anew.

use std::collections::{BTreeSet, HashMap, HashSet};

use genokura_core::schema::{FieldDef, Number};
use genokura_exec::records::HeaderLine;
use genokura_storage::DatasetState;

/// Meta lines of an export, without `#CHROM`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) lines: Vec<Line>,
    /// What was decided between conflicting definitions.
    pub(crate) remarks: Vec<String>,
}

/// One meta line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// `INFO`, `contig`, …
    pub(crate) key: String,
    pub(crate) id: Option<String>,
    pub(crate) text: String,
}

impl Line {
    fn of(line: &HeaderLine) -> Self {
        Self {
            key: line.key.clone(),
            id: line.id.clone(),
            text: without_idx(&line.text),
        }
    }
}

impl Header {
    /// The header of a dataset. `shows`: whether the session may see an INFO or FORMAT key.
    pub(crate) fn of(
        lines: &[HeaderLine],
        state: &DatasetState,
        shows: impl Fn(&str, &str) -> bool,
    ) -> Self {
        let is_meta = |line: &&HeaderLine| {
            let id = line.id.as_deref().unwrap_or("");
            line.key != "CHROM" && !line.text.starts_with("#CHROM") && shows(&line.key, id)
        };
        let lines: Vec<&HeaderLine> = lines.iter().filter(is_meta).collect();
        let inputs: BTreeSet<(i32, i32)> = lines.iter().map(|line| line.input).collect();
        if inputs.len() <= 1 {
            return Self {
                lines: lines.into_iter().map(Line::of).collect(),
                remarks: Vec::new(),
            };
        }
        Merge::new(state).lines(&lines)
    }

    /// The text of the header. `samples`: the columns after FORMAT; without any there is no FORMAT.
    pub(crate) fn text(&self, samples: &[String]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in &self.lines {
            out.extend_from_slice(line.text.as_bytes());
            out.push(b'\n');
        }
        out.extend_from_slice(b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO");
        if !samples.is_empty() {
            out.extend_from_slice(b"\tFORMAT");
        }
        for sample in samples {
            out.push(b'\t');
            out.extend_from_slice(sample.as_bytes());
        }
        out.push(b'\n');
        out
    }

    /// Adds a line after the others of its kind, unless its ID is declared.
    pub(crate) fn declare(&mut self, key: &str, id: &str, text: String) {
        let is_declared = |line: &Line| line.key == key && line.id.as_deref() == Some(id);
        if self.lines.iter().any(is_declared) {
            return;
        }
        self.lines.push(Line {
            key: key.to_owned(),
            id: Some(id.to_owned()),
            text,
        });
    }

    /// Declares AC and AN, which the records of some samples get.
    pub(crate) fn declare_counts(&mut self) {
        let ac = "##INFO=<ID=AC,Number=A,Type=Integer,Description=\"Allele count in genotypes\">";
        let an = "##INFO=<ID=AN,Number=1,Type=Integer,\
                  Description=\"Total number of alleles in called genotypes\">";
        self.declare("INFO", "AC", ac.to_owned());
        self.declare("INFO", "AN", an.to_owned());
    }
}

/// Lines of several inputs on their way to one header.
struct Merge<'a> {
    state: &'a DatasetState,
    header: Header,
    seen: HashSet<String>,
    /// Place of the line of a kind and ID.
    defined: HashMap<(String, String), usize>,
}

impl<'a> Merge<'a> {
    fn new(state: &'a DatasetState) -> Self {
        Self {
            state,
            header: Header::default(),
            seen: HashSet::new(),
            defined: HashMap::new(),
        }
    }

    fn lines(mut self, lines: &[&HeaderLine]) -> Header {
        let versions = lines.iter().filter(|line| line.key == "fileformat");
        let highest = versions.map(|line| line.text.as_str()).max();
        let first = highest.unwrap_or("##fileformat=VCFv4.3");
        self.push("fileformat", None, first.to_owned());
        for line in lines.iter().filter(|line| line.key != "fileformat") {
            match (line.key.as_str(), &line.id) {
                ("contig", Some(_)) => self.contigs(lines),
                (_, Some(id)) => self.defines(line, id),
                (_, None) => {
                    if self.seen.insert(line.text.clone()) {
                        self.push(&line.key, None, line.text.clone());
                    }
                }
            }
        }
        self.header
    }

    fn push(&mut self, key: &str, id: Option<&str>, text: String) {
        self.header.lines.push(Line {
            key: key.to_owned(),
            id: id.map(str::to_owned),
            text: without_idx(&text),
        });
    }

    /// All contig lines, where the first one stands.
    fn contigs(&mut self, lines: &[&HeaderLine]) {
        if !self.seen.insert("contig".to_owned()) {
            return;
        }
        let mut texts: HashMap<&str, &str> = HashMap::new();
        for line in lines.iter().filter(|line| line.key == "contig") {
            if let Some(id) = &line.id {
                texts.entry(id).or_insert(&line.text);
            }
        }
        for contig in &self.state.contigs {
            let text = match (texts.get(contig.name.as_str()), contig.length) {
                (Some(text), _) => (*text).to_owned(),
                (None, Some(length)) => format!("##contig=<ID={},length={length}>", contig.name),
                (None, None) => format!("##contig=<ID={}>", contig.name),
            };
            self.push("contig", Some(&contig.name), text);
        }
    }

    fn defines(&mut self, line: &HeaderLine, id: &str) {
        let place = (line.key.clone(), id.to_owned());
        let own = match line.key.as_str() {
            "INFO" => self.state.info.iter().find(|field| field.key == id),
            "FORMAT" => self.state.format.iter().find(|field| field.key == id),
            _ => None,
        };
        let agrees = own.is_none_or(|own| defines_alike(&line.text, own));
        match self.defined.get(&place).copied() {
            None => {
                self.defined.insert(place, self.header.lines.len());
                self.push(&line.key, Some(id), line.text.clone());
                if !agrees {
                    self.conflict(line, id);
                }
            }
            Some(at) => {
                let first = &mut self.header.lines[at].text;
                let first_agrees = own.is_none_or(|own| defines_alike(first, own));
                if agrees && !first_agrees {
                    *first = without_idx(&line.text);
                }
                if agrees != first_agrees {
                    self.conflict(line, id);
                }
            }
        }
    }

    fn conflict(&mut self, line: &HeaderLine, id: &str) {
        let remark = format!(
            "{} {id} is defined in several ways; the dataset's own Number and Type stand",
            line.key
        );
        if !self.header.remarks.contains(&remark) {
            self.header.remarks.push(remark);
        }
    }
}

fn defines_alike(text: &str, own: &FieldDef) -> bool {
    attribute(text, "Type").as_deref() == Some(own.ty.as_str())
        && attribute(text, "Number").and_then(|n| Number::parse(&n)) == Some(own.number)
}

/// The attributes of `##KEY=<…>` with the bytes each takes, outside of quotes.
fn attributes(text: &str) -> Vec<(&str, std::ops::Range<usize>)> {
    let Some(open) = text.find("=<") else {
        return Vec::new();
    };
    let (mut start, mut quoted, mut escaped) = (open + 2, false, false);
    let mut found = Vec::new();
    for (at, byte) in text.bytes().enumerate().skip(open + 2) {
        match byte {
            b'\\' if quoted => escaped = !escaped,
            b'"' if !escaped => quoted = !quoted,
            b',' | b'>' if !quoted => {
                if let Some((name, _)) = text[start..at].split_once('=') {
                    found.push((name.trim(), start..at));
                }
                start = at + 1;
            }
            _ => escaped = false,
        }
    }
    found
}

/// The value of an attribute of a structured line.
pub(crate) fn attribute(text: &str, name: &str) -> Option<String> {
    let (_, range) = attributes(text)
        .into_iter()
        .find(|(found, _)| *found == name)?;
    let value = text[range].split_once('=')?.1.trim();
    Some(value.trim_matches('"').to_owned())
}

/// A structured line without its IDX.
fn without_idx(text: &str) -> String {
    let Some((_, range)) = attributes(text)
        .into_iter()
        .find(|(name, _)| *name == "IDX")
    else {
        return text.to_owned();
    };
    let before = text[..range.start].strip_suffix(',');
    match before {
        Some(before) => format!("{before}{}", &text[range.end..]),
        None => format!(
            "{}{}",
            &text[..range.start],
            text[range.end..].trim_start_matches(',')
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(input: i32, line: i32, key: &str, id: Option<&str>, text: &str) -> HeaderLine {
        HeaderLine {
            input: (input, 0),
            line,
            key: key.to_owned(),
            id: id.map(str::to_owned),
            text: text.to_owned(),
        }
    }

    #[test]
    fn attributes_are_found_outside_of_quotes() {
        let text = "##INFO=<ID=A,Number=1,Type=Float,Description=\"a, IDX=3, \\\"b\\\"\",IDX=7>";
        assert_eq!(attribute(text, "Type").as_deref(), Some("Float"));
        assert_eq!(attribute(text, "IDX").as_deref(), Some("7"));
        let bare = "##INFO=<ID=A,Number=1,Type=Float,Description=\"a, IDX=3, \\\"b\\\"\">";
        assert_eq!(without_idx(text), bare);
        assert_eq!(without_idx(bare), bare);
        assert_eq!(without_idx("##contig=<IDX=1,ID=c>"), "##contig=<ID=c>");
        assert_eq!(without_idx("##note"), "##note");
    }

    #[test]
    fn lines_of_several_inputs_are_merged() {
        let x = |ty: &str| format!("##INFO=<ID=X,Number=1,Type={ty},Description=\"x\">");
        let lines = [
            line(0, 1, "fileformat", None, "##fileformat=VCFv4.2"),
            line(0, 2, "contig", Some("2"), "##contig=<ID=2,length=5>"),
            line(0, 3, "INFO", Some("X"), &x("Integer")),
            line(0, 4, "source", None, "##source=a"),
            line(1, 1, "fileformat", None, "##fileformat=VCFv4.3"),
            line(1, 2, "INFO", Some("X"), &x("String")),
            line(1, 3, "contig", Some("1"), "##contig=<ID=1>"),
            line(1, 4, "source", None, "##source=a"),
            line(1, 5, "source", None, "##source=b"),
        ];
        let field = FieldDef::new(
            "info_",
            "X",
            Number::Count(1),
            genokura_core::schema::FieldType::String,
            "x",
        );
        let contig = |name: &str, length| genokura_storage::Contig {
            name: name.to_owned(),
            length,
        };
        let state = DatasetState {
            contigs: vec![
                contig("2", Some(5)),
                contig("1", None),
                contig("3", Some(9)),
            ],
            info: vec![field],
            ..DatasetState::default()
        };
        let header = Header::of(&lines, &state, |_, _| true);
        let texts: Vec<&str> = header.lines.iter().map(|l| l.text.as_str()).collect();
        let x = x("String");
        assert_eq!(
            texts,
            [
                "##fileformat=VCFv4.3",
                "##contig=<ID=2,length=5>",
                "##contig=<ID=1>",
                "##contig=<ID=3,length=9>",
                &x,
                "##source=a",
                "##source=b",
            ]
        );
        assert_eq!(header.remarks.len(), 1);
        let first: Vec<HeaderLine> = lines[..4].to_vec();
        let single = Header::of(&first, &state, |kind, id| (kind, id) != ("INFO", "X"));
        let texts: Vec<&str> = single.lines.iter().map(|l| l.text.as_str()).collect();
        let expected = [
            "##fileformat=VCFv4.2",
            "##contig=<ID=2,length=5>",
            "##source=a",
        ];
        assert_eq!(texts, expected);
    }
}
