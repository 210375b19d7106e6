//! The header of an export: the lines of the inputs as they stood, or, of several inputs, merged.
//!
//! One input gives its lines in their order. Of several, a line that stands in more than one is
//! written once; of lines that define the same ID the first counts; contigs come in the order of the
//! dataset, which is that of the records. `##fileformat` is the highest. `IDX` attributes of BCF
//! headers are dropped: they are numbered anew.
//!
//! Where inputs, or an input and the dataset, define an INFO or FORMAT key with other Numbers or
//! Types, the first line is written with those under which every value reads ([`widest`]), and the
//! log says so:
//! ```text
//! input 1  Number=1,Type=Integer  5        Number=A,Type=Integer  3,4     Number=1,Type=Flag
//! input 2  Number=1,Type=Float    0.5      Number=1,Type=Integer  7       Number=1,Type=Integer  9
//! export   Number=1,Type=Float             Number=.,Type=Integer          Number=.,Type=String
//! ```

use std::collections::{BTreeSet, HashMap, HashSet};

use genokura_core::schema::{FieldDef, FieldType, Number, widest};
use genokura_exec::records::HeaderLine;
use genokura_storage::DatasetState;

use crate::dictionary::declaration;

/// Meta lines of an export, without `#CHROM`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) lines: Vec<Line>,
    /// Keys that inputs define in several ways.
    pub(crate) widened: Vec<Widened>,
}

/// A key that inputs define in several ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Widened {
    /// `INFO` or `FORMAT`.
    pub(crate) kind: String,
    pub(crate) id: String,
    /// The definitions, each once: the dataset's, then those of the inputs.
    found: Vec<(Number, FieldType)>,
    /// What the header says.
    written: (Number, FieldType),
}

impl Widened {
    /// Whether whole numbers are read as floats.
    pub(crate) fn reads_integers_as_floats(&self) -> bool {
        let has_integers = self.found.iter().any(|(_, ty)| *ty == FieldType::Integer);
        self.written.1 == FieldType::Float && has_integers
    }

    /// A sentence for the log.
    pub(crate) fn remark(&self) -> String {
        let found: Vec<String> = self.found.iter().map(described).collect();
        format!(
            "{} {} is defined as {}; the header of the export says {}, under which all values read",
            self.kind,
            self.id,
            found.join(" and as "),
            described(&self.written)
        )
    }
}

fn described((number, ty): &(Number, FieldType)) -> String {
    format!("{}, Number {number}", ty.as_str())
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
                widened: Vec::new(),
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

    /// Makes text of a widened key: some whole number would not read back from a float.
    pub(crate) fn widen_to_text(&mut self, kind: &str, id: &str) {
        let mut widened = self.widened.iter_mut();
        let Some(key) = widened.find(|key| key.kind == kind && key.id == id) else {
            return;
        };
        key.written.1 = FieldType::String;
        let mut lines = self.lines.iter_mut();
        let line = lines.find(|line| line.key == kind && line.id.as_deref() == Some(id));
        if let Some(line) = line {
            line.text = defined_as(&line.text, kind, id, key.written);
        }
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
    /// Kinds and IDs that have their line.
    defined: HashSet<(String, String)>,
}

impl<'a> Merge<'a> {
    fn new(state: &'a DatasetState) -> Self {
        Self {
            state,
            header: Header::default(),
            seen: HashSet::new(),
            defined: HashSet::new(),
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
                (_, Some(id)) => self.defines(line, id, lines),
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

    /// The first line of an ID counts, with the Number and Type that all definitions ask for.
    fn defines(&mut self, line: &HeaderLine, id: &str, lines: &[&HeaderLine]) {
        if !self.defined.insert((line.key.clone(), id.to_owned())) {
            return;
        }
        let found = self.definitions(&line.key, id, lines);
        let written = found.iter().copied().reduce(widest);
        let text = match written.filter(|_| found.len() > 1) {
            Some(written) => {
                self.header.widened.push(Widened {
                    kind: line.key.clone(),
                    id: id.to_owned(),
                    found,
                    written,
                });
                defined_as(&line.text, &line.key, id, written)
            }
            None => line.text.clone(),
        };
        self.push(&line.key, Some(id), text);
    }

    /// The ways in which the dataset and its inputs define an INFO or FORMAT key, each once.
    fn definitions(&self, kind: &str, id: &str, lines: &[&HeaderLine]) -> Vec<(Number, FieldType)> {
        let fields = match kind {
            "INFO" => &self.state.info,
            // Whatever a header says of GT, every reader takes it for one text.
            "FORMAT" if id != "GT" => &self.state.format,
            _ => return Vec::new(),
        };
        let own = fields.iter().find(|field| field.key == id);
        let mut found: Vec<_> = own.map(|own| (own.number, own.ty)).into_iter().collect();
        let of_id = |line: &&&HeaderLine| line.key == kind && line.id.as_deref() == Some(id);
        for line in lines.iter().filter(of_id) {
            let definition = definition(&line.text);
            if !found.contains(&definition) {
                found.push(definition);
            }
        }
        found
    }
}

/// Number and Type of a line as readers take them: what they do not know is any number of texts.
fn definition(text: &str) -> (Number, FieldType) {
    let ty = attribute(text, "Type").and_then(|ty| FieldType::parse(&ty));
    let ty = ty.unwrap_or(FieldType::String);
    let number = attribute(text, "Number").and_then(|number| Number::parse(&number));
    match ty {
        FieldType::Flag => (Number::Count(0), ty),
        _ => (number.unwrap_or(Number::Unknown), ty),
    }
}

/// The line of an INFO or FORMAT key with another Number and Type.
fn defined_as(text: &str, kind: &str, id: &str, written: (Number, FieldType)) -> String {
    let place = |wanted: &str| {
        let mut found = attributes(text).into_iter();
        found.find(|(name, _)| *name == wanted).map(|(_, at)| at)
    };
    let (Some(number), Some(ty)) = (place("Number"), place("Type")) else {
        let description = attribute(text, "Description").unwrap_or_default();
        return declaration(
            kind,
            &FieldDef::new("", id, written.0, written.1, &description),
        );
    };
    let mut parts = [
        (number, format!("Number={}", written.0)),
        (ty, format!("Type={}", written.1.as_str())),
    ];
    parts.sort_by_key(|(at, _)| at.start);
    let mut out = String::with_capacity(text.len() + 8);
    let mut from = 0;
    for (at, new) in parts {
        out.push_str(&text[from..at.start]);
        out.push_str(&new);
        from = at.end;
    }
    out.push_str(&text[from..]);
    out
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
    fn a_line_gets_another_number_and_type() {
        let written = (Number::Unknown, FieldType::Float);
        for (text, expected) in [
            (
                "##INFO=<ID=X,Number=1,Type=Integer,Description=\"Type=x, Number=y\",Source=\"s\">",
                "##INFO=<ID=X,Number=.,Type=Float,Description=\"Type=x, Number=y\",Source=\"s\">",
            ),
            (
                "##INFO=<ID=X,Type=Integer,Number=A>",
                "##INFO=<ID=X,Type=Float,Number=.>",
            ),
            (
                "##INFO=<ID=X,Type=Integer,Description=\"d\">",
                "##INFO=<ID=X,Number=.,Type=Float,Description=\"d\">",
            ),
        ] {
            assert_eq!(defined_as(text, "INFO", "X", written), expected);
        }
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
        let field = FieldDef::new("info_", "X", Number::Count(1), FieldType::String, "x");
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
        let [widened] = &header.widened[..] else {
            panic!("{:?}", header.widened);
        };
        let said = "INFO X is defined as String, Number 1 and as Integer, Number 1; the header of the \
                    export says String, Number 1, under which all values read";
        assert_eq!(widened.remark(), said);
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
