//! The header of a VCF (4.0 to 4.5) or BCF: meta lines and the #CHROM line, read tolerantly.
//!
//! Every meta line is kept verbatim. What the specification forbids but the world writes is
//! repaired under a named rule ([`repair`]) and counted; what a strict reader must refuse stands in
//! [`Header::strict_violations`] with its line; what no reader can make sense of is an error.

mod fields;
mod meta;
mod reserved;
mod strict;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use genokura_core::annotation::{AnnotationFormat, is_annotation};
use genokura_core::schema::{FieldDef, FieldType, Number};

use crate::error::{Error, Result};

pub use fields::{Clash, FieldKind, Merged, merge_fields, undeclared_field};
pub use meta::{Attribute, Value};
pub use reserved::{Reserved, reserved_format, reserved_info};

/// Longest header that is read, in bytes: 31,000 sample names fit a hundred times over.
pub const HEADER_BYTES_MAX: usize = 256 << 20;

/// Names of the repair rules, as they appear in reports.
pub mod repair {
    /// The same ID is declared twice; the first declaration counts.
    pub const DUPLICATE_ID: &str = "duplicate-id";
    /// INFO or FORMAT without Type or Number; read as String, Number `.`.
    pub const MISSING_TYPE: &str = "missing-type-or-number";
    /// A Type that VCF does not know; the reserved type of the key counts, else String.
    pub const UNKNOWN_TYPE: &str = "unknown-type";
    /// A Number that VCF does not know, or 0 for a type that is no Flag; read as `.`.
    pub const UNKNOWN_NUMBER: &str = "unknown-number";
    /// A Flag with a Number other than 0, or a FORMAT Flag; read as Number 0 or as String.
    pub const FLAG_NUMBER: &str = "flag-number";
    /// A reserved key is declared with another Number or Type than the specification gives it; the
    /// declaration counts.
    pub const RESERVED_REDEFINED: &str = "reserved-key-redefined";
    /// Annotations of several features (CSQ, ANN, BCSQ) are declared with a Number; read with Number `.`.
    pub const ANNOTATION_NUMBER: &str = "annotation-number";
    /// The Description of annotations has no Format, so that nobody knows what they are; kept, and not taken apart.
    pub const ANNOTATION_WITHOUT_FORMAT: &str = "annotation-without-format";
    /// The Format of annotations is another one than that of the dataset; each input is read by its own.
    pub const ANNOTATION_FORMAT_DIFFERS: &str = "annotation-format-differs";
    /// The Description has no quotes.
    pub const UNQUOTED_DESCRIPTION: &str = "unquoted-description";
    /// A quoted value has no closing quote, or holds a bare quote.
    pub const BROKEN_QUOTES: &str = "broken-quotes";
    /// `##KEY=<…` without the closing bracket.
    pub const MISSING_BRACKET: &str = "missing-bracket";
    /// A structured line without ID; kept as text only.
    pub const MISSING_ID: &str = "missing-id";
    /// A `##` line that is not key=value; kept as text only.
    pub const NOT_KEY_VALUE: &str = "not-key-value";
    /// No `##fileformat` line, or one that names no version; read as VCF 4.x.
    pub const UNKNOWN_VERSION: &str = "unknown-version";
    /// Lines end with CR LF.
    pub const CRLF: &str = "crlf";
    /// A byte order mark stands before the first line.
    pub const BYTE_ORDER_MARK: &str = "byte-order-mark";
    /// Bytes that are not UTF-8; read as Latin-1.
    pub const NOT_UTF8: &str = "not-utf8";
    /// An empty line among the meta lines.
    pub const BLANK_LINE: &str = "blank-line";
    /// Two keys differ in case or punctuation only; the later column got a numbered name.
    pub const COLUMN_COLLISION: &str = "column-collision";
    /// Empty columns at the end of the #CHROM line.
    pub const TRAILING_TAB: &str = "trailing-tab";
    /// A contig length that is not a number; the length is unknown.
    pub const CONTIG_LENGTH: &str = "contig-length";
    /// An IDX attribute that is not a number or is taken; dictionary order counts.
    pub const BAD_IDX: &str = "bad-idx";
}

/// One `##` line, verbatim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaLine {
    /// Line in the input, 1-based.
    pub line: u32,
    /// What stands between `##` and the first `=`; `CHROM` for the #CHROM line, empty when the
    /// line is not key=value.
    pub key: String,
    /// The ID attribute of a structured line.
    pub id: Option<String>,
    /// The whole line without its line end.
    pub text: String,
    /// The parsed right-hand side.
    pub value: Value,
}

/// A contig of the header, in order of declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderContig {
    /// Name as records use it.
    pub name: String,
    /// Declared length in bases.
    pub length: Option<u64>,
}

/// A FILTER or ALT declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The ID.
    pub id: String,
    /// The Description, empty when missing.
    pub description: String,
}

/// One use of a repair rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Line in the input, 1-based.
    pub line: u32,
    /// One of the names in [`repair`].
    pub rule: &'static str,
    /// What was found and how it is read.
    pub message: String,
}

/// Something a strict reader refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Line in the input, 1-based.
    pub line: u32,
    /// Stable name of the rule.
    pub rule: &'static str,
    /// What is wrong and what the specification asks for.
    pub message: String,
}

/// A parsed header.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Major and minor number of `##fileformat=VCFv4.x`; `None` when unknown.
    pub version: Option<(u32, u32)>,
    /// Contigs in order of declaration, each name once.
    pub contigs: Vec<HeaderContig>,
    /// INFO definitions in order of declaration, each key once.
    pub info: Vec<FieldDef>,
    /// FORMAT definitions in order of declaration (GT included), each key once.
    pub format: Vec<FieldDef>,
    /// FILTER declarations, each ID once.
    pub filters: Vec<Described>,
    /// ALT declarations, each ID once.
    pub alts: Vec<Described>,
    /// Sample names in column order.
    pub samples: Vec<String>,
    /// Whether the #CHROM line has a FORMAT column.
    pub has_format: bool,
    /// Every meta line and the #CHROM line, in order.
    pub lines: Vec<MetaLine>,
    /// Uses of repair rules, in line order.
    pub repairs: Vec<Repair>,
    /// What `--strict` refuses, in line order.
    pub strict_violations: Vec<Violation>,
}

/// Where the header ends in a stream of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderEnd {
    /// The header is not over; more bytes are needed.
    More,
    /// The header is `bytes[..n]`. It includes the first line that does not begin with `##`,
    /// whatever that line is: [`Header::parse`] judges it.
    At(usize),
}

/// Finds the end of the header in `bytes`, which begin at the start of the input.
///
/// `eof`: no more bytes follow. `scanned`: how many bytes an earlier call has looked at in vain
/// (0 at first); the scan restarts at the line that holds this offset.
#[must_use]
pub fn find_header_end(bytes: &[u8], scanned: usize, eof: bool) -> HeaderEnd {
    let from = scanned.min(bytes.len());
    let mut start = memchr::memrchr(b'\n', &bytes[..from]).map_or(0, |i| i + 1);
    while start < bytes.len() {
        let stop = memchr::memchr(b'\n', &bytes[start..]).map(|i| start + i + 1);
        let line = &bytes[start..stop.unwrap_or(bytes.len())];
        match stop {
            None if !eof => return HeaderEnd::More,
            _ if !continues_header(line, start == 0) => return HeaderEnd::At(start + line.len()),
            _ => start += line.len(),
        }
    }
    if eof {
        HeaderEnd::At(bytes.len())
    } else {
        HeaderEnd::More
    }
}

/// Whether a line is a meta line or blank, so that the header goes on after it.
fn continues_header(line: &[u8], first: bool) -> bool {
    let line = if first {
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    } else {
        line
    };
    line.starts_with(b"##") || line.iter().all(|b| b.is_ascii_whitespace())
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

const CHROM_COLUMNS: [&str; 9] = [
    "#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT",
];

impl Header {
    /// Reads a header: every byte up to and including the #CHROM line.
    ///
    /// # Errors
    /// [`Error::Header`] with the line (1-based) for what no reader can take: not a VCF at all, no
    /// or a broken #CHROM line, an empty `##fileformat`, the same sample name twice, a line among
    /// the meta lines that is none.
    pub fn parse(text: &[u8]) -> Result<Self> {
        Parser::default().parse(text)
    }

    /// The definition of an INFO key as declared; `None` when it is not declared.
    #[must_use]
    pub fn info_field(&self, key: &str) -> Option<&FieldDef> {
        self.info.iter().find(|field| field.key == key)
    }

    /// The definition of a FORMAT key as declared; `None` when it is not declared.
    #[must_use]
    pub fn format_field(&self, key: &str) -> Option<&FieldDef> {
        self.format.iter().find(|field| field.key == key)
    }

    /// Counts of the repairs by rule, in order of first use.
    #[must_use]
    pub fn repair_counts(&self) -> Vec<(String, u64)> {
        let mut counts: Vec<(String, u64)> = Vec::new();
        for repair in &self.repairs {
            match counts.iter_mut().find(|(rule, _)| rule == repair.rule) {
                Some((_, n)) => *n += 1,
                None => counts.push((repair.rule.to_owned(), 1)),
            }
        }
        counts
    }

    /// The dictionary of strings of a BCF with this header: FILTER, INFO and FORMAT IDs by index.
    ///
    /// `PASS` is 0 whether declared or not; an IDX attribute gives the index, else IDs are numbered
    /// in order of appearance, one number per ID whatever its kind. Gaps are `None`.
    #[must_use]
    pub fn bcf_strings(&self) -> Vec<Option<String>> {
        let mut dictionary = Dictionary::default();
        dictionary.put("PASS", Some(0));
        self.fill_dictionary(&mut dictionary, &["FILTER", "INFO", "FORMAT"]);
        dictionary.entries
    }

    /// The dictionary of contigs of a BCF with this header, by index. Gaps are `None`.
    #[must_use]
    pub fn bcf_contigs(&self) -> Vec<Option<String>> {
        let mut dictionary = Dictionary::default();
        self.fill_dictionary(&mut dictionary, &["contig"]);
        dictionary.entries
    }

    fn fill_dictionary(&self, dictionary: &mut Dictionary, keys: &[&str]) {
        for line in &self.lines {
            if let (true, Some(id)) = (keys.contains(&line.key.as_str()), &line.id) {
                let index = line.value.get("IDX").and_then(|text| text.parse().ok());
                dictionary.put(id, index);
            }
        }
    }
}

/// A BCF dictionary in the making.
#[derive(Default)]
struct Dictionary {
    entries: Vec<Option<String>>,
    known: HashSet<String>,
}

/// Largest index an IDX attribute may name; htslib itself keeps dictionaries far smaller.
const IDX_MAX: usize = 1 << 20;

impl Dictionary {
    fn put(&mut self, id: &str, index: Option<usize>) {
        if !self.known.insert(id.to_owned()) {
            return;
        }
        let index = index
            .filter(|&i| i <= IDX_MAX && self.is_free(i))
            .unwrap_or(self.entries.len());
        if index >= self.entries.len() {
            self.entries.resize(index + 1, None);
        }
        self.entries[index] = Some(id.to_owned());
    }

    fn is_free(&self, index: usize) -> bool {
        self.entries.get(index).is_none_or(Option::is_none)
    }
}

#[derive(Default)]
struct Parser {
    header: Header,
    seen: HashMap<(&'static str, String), u32>,
    crlf: bool,
    latin1: bool,
}

impl Parser {
    fn parse(mut self, text: &[u8]) -> Result<Header> {
        let body = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if body.len() != text.len() {
            self.repair(
                1,
                repair::BYTE_ORDER_MARK,
                "a byte order mark before the first line is ignored",
            );
        }
        let mut number = 0;
        for raw in body.split_inclusive(|&b| b == b'\n') {
            number += 1;
            let line = self.decode(number, raw);
            if line.starts_with("##") {
                self.meta_line(number, line)?;
            } else if line.trim().is_empty() {
                self.repair(
                    number,
                    repair::BLANK_LINE,
                    "an empty line among the meta lines is ignored",
                );
            } else if line.starts_with('#') {
                self.chrom_line(number, line)?;
                return Ok(self.finish());
            } else {
                return Err(self.not_meta(number, &line));
            }
        }
        let message = "the header ends without a #CHROM line; is the file cut off?";
        Err(refuse(number.max(1), "no-chrom-line", message.to_owned()))
    }

    /// The line as text without its line end.
    fn decode(&mut self, number: u32, raw: &[u8]) -> String {
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        let bare = line.strip_suffix(b"\r").unwrap_or(line);
        if bare.len() != line.len() && !self.crlf {
            self.crlf = true;
            self.repair(
                number,
                repair::CRLF,
                "lines end with CR LF; the CR is dropped",
            );
        }
        match std::str::from_utf8(bare) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                if !self.latin1 {
                    self.latin1 = true;
                    self.repair(
                        number,
                        repair::NOT_UTF8,
                        "bytes that are not UTF-8 are read as Latin-1",
                    );
                    self.violate(number, "not-utf8", "the line is not UTF-8".to_owned());
                }
                bare.iter().map(|&b| char::from(b)).collect()
            }
        }
    }

    /// The error for a line that begins neither with `#` nor is blank.
    fn not_meta(&self, number: u32, line: &str) -> Error {
        let shown: String = line.chars().take(40).collect();
        match self.header.lines.last() {
            None => refuse(
                number,
                "not-vcf",
                format!("a VCF begins with \"##fileformat=VCFv4.x\", this input with {shown:?}"),
            ),
            Some(last) if last.value.is_open() => refuse(
                number,
                "line-break",
                format!(
                    "line {} opens a quoted value and does not close it: a Description may not hold \
                     a line break; join the two lines",
                    last.line
                ),
            ),
            Some(_) => refuse(
                number,
                "not-meta-line",
                format!(
                    "{shown:?} stands among the meta lines but does not begin with \"##\"; remove it, \
                     or add the #CHROM line if this is the first record"
                ),
            ),
        }
    }

    fn meta_line(&mut self, number: u32, text: String) -> Result<()> {
        let parsed = meta::parse(&text);
        for (rule, message) in &parsed.repairs {
            self.repair(number, rule, message.clone());
            self.violate(number, rule, message.clone());
        }
        if parsed.key == "fileformat" {
            self.fileformat(number, &parsed.value)?;
        }
        self.structured(number, parsed.key, &parsed.value);
        let id = parsed.value.get("ID").map(str::to_owned);
        let key = parsed.key.to_owned();
        self.header.lines.push(MetaLine {
            line: number,
            key,
            id,
            value: parsed.value,
            text,
        });
        Ok(())
    }

    fn fileformat(&mut self, number: u32, value: &Value) -> Result<()> {
        let text = value.text().unwrap_or_default().trim();
        if text.is_empty() {
            let message = "##fileformat names no format; write ##fileformat=VCFv4.5 or whichever the file keeps to";
            return Err(refuse(number, "empty-fileformat", message.to_owned()));
        }
        let version = parse_version(text);
        if self.header.version.is_some() {
            self.repair(
                number,
                repair::DUPLICATE_ID,
                "a second ##fileformat line is ignored",
            );
            self.violate(
                number,
                repair::DUPLICATE_ID,
                "a second ##fileformat line".to_owned(),
            );
        } else if version.is_none_or(|(major, _)| major != 4) {
            let message = format!("##fileformat={text} is not VCF 4.0 to 4.5; read as VCF 4.5");
            self.violate(number, repair::UNKNOWN_VERSION, message.clone());
            self.repair(number, repair::UNKNOWN_VERSION, message);
        } else {
            self.header.version = version;
        }
        if number != 1 {
            let message = "##fileformat must be the first line".to_owned();
            self.violate(number, "fileformat-not-first", message);
        }
        Ok(())
    }

    fn structured(&mut self, number: u32, key: &str, value: &Value) {
        let Some(kind) = kind_of(key) else { return };
        let Some(id) = value
            .get("ID")
            .map(str::to_owned)
            .filter(|id| !id.is_empty())
        else {
            return self.without_id(number, key, value);
        };
        if let Some(first) = self.seen.get(&(kind, id.clone())) {
            let message =
                format!("{key} {id:?} is declared again (first on line {first}); the first counts");
            self.violate(number, repair::DUPLICATE_ID, message.clone());
            return self.repair(number, repair::DUPLICATE_ID, message);
        }
        self.seen.insert((kind, id.clone()), number);
        match kind {
            "INFO" => self.field(number, FieldKind::Info, &id, value),
            "FORMAT" => self.field(number, FieldKind::Format, &id, value),
            "contig" => self.contig(number, id, value),
            "FILTER" => self.header.filters.push(described(id, value)),
            _ => self.header.alts.push(described(id, value)),
        }
    }

    fn without_id(&mut self, number: u32, key: &str, value: &Value) {
        if value.is_structured() || key != "contig" {
            let message = format!("##{key} without an ID declares nothing; kept as text");
            self.repair(number, repair::MISSING_ID, message);
        }
    }

    fn contig(&mut self, number: u32, name: String, value: &Value) {
        let declared = value.get("length").map(|text| text.trim().parse::<u64>());
        if let Some(Err(_)) = declared {
            let message =
                format!("the length of contig {name:?} is not a number; taken as unknown");
            self.violate(number, repair::CONTIG_LENGTH, message.clone());
            self.repair(number, repair::CONTIG_LENGTH, message);
        }
        let length = declared.and_then(Result::ok);
        self.header.contigs.push(HeaderContig { name, length });
    }

    fn field(&mut self, number: u32, kind: FieldKind, id: &str, value: &Value) {
        let (count, ty) = self.number_and_type(number, kind, id, value);
        self.compare_reserved(number, kind, id, count, ty);
        let description = value.get("Description").unwrap_or_default().to_owned();
        let count = match kind == FieldKind::Info && is_annotation(id) {
            true => self.annotation(number, id, (count, ty), &description),
            false => count,
        };
        let column = self.free_column(number, kind, id);
        let field = FieldDef {
            key: id.to_owned(),
            column,
            number: count,
            ty,
            description,
        };
        match kind {
            FieldKind::Info => self.header.info.push(field),
            FieldKind::Format => self.header.format.push(field),
        }
    }

    /// The Number of annotations: as many entries as there are alleles and features. Notes where their Format is absent.
    fn annotation(
        &mut self,
        line: u32,
        id: &str,
        (count, ty): (Number, FieldType),
        description: &str,
    ) -> Number {
        if AnnotationFormat::parse(id, description).is_none() {
            let message = format!(
                "INFO {id:?} has no \"Format: …\" in its Description; its subfields have no names"
            );
            self.violate(line, repair::ANNOTATION_WITHOUT_FORMAT, message.clone());
            self.repair(line, repair::ANNOTATION_WITHOUT_FORMAT, message);
        }
        if ty != FieldType::String || count == Number::Unknown {
            return count;
        }
        let message =
            format!("INFO {id:?} has an entry for each allele and feature; read with Number \".\"");
        self.repair(line, repair::ANNOTATION_NUMBER, message);
        Number::Unknown
    }

    fn free_column(&mut self, number: u32, kind: FieldKind, id: &str) -> String {
        let taken = match kind {
            FieldKind::Info => &self.header.info,
            FieldKind::Format => &self.header.format,
        };
        let (column, collides) = fields::free_column_name(kind, id, taken);
        if collides {
            let message = format!(
                "{} {id:?} differs from an earlier key in case or punctuation only; its column is {column}",
                kind.as_str()
            );
            self.repair(number, repair::COLUMN_COLLISION, message);
        }
        column
    }

    /// Number and Type of a declaration, repaired to something the columns can hold.
    fn number_and_type(
        &mut self,
        line: u32,
        kind: FieldKind,
        id: &str,
        value: &Value,
    ) -> (Number, FieldType) {
        let (Some(number), Some(ty)) = (value.get("Number"), value.get("Type")) else {
            let message = format!(
                "{} {id:?} has no Type or no Number; read as String, Number \".\"",
                kind.as_str()
            );
            self.violate(line, repair::MISSING_TYPE, message.clone());
            self.repair(line, repair::MISSING_TYPE, message);
            return (Number::Unknown, FieldType::String);
        };
        let ty = match FieldType::parse(ty) {
            Some(known) => known,
            None => self.unknown_type(line, kind, id, ty),
        };
        let number = match Number::parse(number) {
            Some(known) => known,
            None => self.unknown_number(line, kind, id, number),
        };
        self.fit_flag(line, kind, id, number, ty)
    }

    fn unknown_type(&mut self, line: u32, kind: FieldKind, id: &str, text: &str) -> FieldType {
        let ty = kind
            .reserved(id)
            .map_or(FieldType::String, |reserved| reserved.ty);
        let message = format!(
            "{} {id:?}: VCF has no Type {text:?}; read as {ty:?}",
            kind.as_str()
        );
        self.violate(line, repair::UNKNOWN_TYPE, message.clone());
        self.repair(line, repair::UNKNOWN_TYPE, message);
        ty
    }

    fn unknown_number(&mut self, line: u32, kind: FieldKind, id: &str, text: &str) -> Number {
        let message = format!(
            "{} {id:?}: VCF has no Number {text:?}; read as \".\"",
            kind.as_str()
        );
        self.violate(line, repair::UNKNOWN_NUMBER, message.clone());
        self.repair(line, repair::UNKNOWN_NUMBER, message);
        Number::Unknown
    }

    /// Makes Flag and Number 0 agree: a Flag has Number 0 and stands in INFO only.
    fn fit_flag(
        &mut self,
        line: u32,
        kind: FieldKind,
        id: &str,
        number: Number,
        ty: FieldType,
    ) -> (Number, FieldType) {
        let zero = number == Number::Count(0);
        let (rule, fitted) = match (kind, ty) {
            (FieldKind::Format, FieldType::Flag) => {
                (repair::FLAG_NUMBER, (Number::Unknown, FieldType::String))
            }
            (_, FieldType::Flag) if !zero => {
                (repair::FLAG_NUMBER, (Number::Count(0), FieldType::Flag))
            }
            (_, FieldType::Flag) => return (number, ty),
            _ if zero => (repair::UNKNOWN_NUMBER, (Number::Unknown, ty)),
            _ => return (number, ty),
        };
        let message = format!(
            "{} {id:?}: a Flag stands in INFO and has Number 0, another Type has not; read as {:?}, Number {:?}",
            kind.as_str(),
            fitted.1,
            fitted.0
        );
        self.violate(line, rule, message.clone());
        self.repair(line, rule, message);
        fitted
    }

    fn compare_reserved(
        &mut self,
        line: u32,
        kind: FieldKind,
        id: &str,
        number: Number,
        ty: FieldType,
    ) {
        let Some(reserved) = kind.reserved(id) else {
            return;
        };
        if !reserved.binds(self.header.version) || (reserved.number == number && reserved.ty == ty)
        {
            return;
        }
        let message = format!(
            "{} {id:?} is declared {ty:?}, Number {number:?}; the specification has {:?}, Number {:?}; the declaration counts",
            kind.as_str(),
            reserved.ty,
            reserved.number
        );
        self.violate(line, repair::RESERVED_REDEFINED, message.clone());
        self.repair(line, repair::RESERVED_REDEFINED, message);
    }

    fn chrom_line(&mut self, number: u32, text: String) -> Result<()> {
        let mut columns: Vec<&str> = text.split('\t').collect();
        while columns.len() > CHROM_COLUMNS.len() && columns.last() == Some(&"") {
            columns.pop();
            self.repair(
                number,
                repair::TRAILING_TAB,
                "an empty column at the end of the #CHROM line is ignored",
            );
        }
        check_chrom_columns(number, &columns)?;
        self.header.has_format = columns.len() >= CHROM_COLUMNS.len();
        self.header.samples = columns
            .iter()
            .skip(CHROM_COLUMNS.len())
            .map(|&s| s.to_owned())
            .collect();
        check_sample_names(number, &self.header.samples)?;
        let (key, id, value) = ("CHROM".to_owned(), None, Value::Text(String::new()));
        self.header.lines.push(MetaLine {
            line: number,
            key,
            id,
            value,
            text,
        });
        Ok(())
    }

    fn finish(mut self) -> Header {
        let declared = self
            .header
            .lines
            .iter()
            .any(|line| line.key == "fileformat");
        if !declared {
            let message = "no ##fileformat line; read as VCF 4.5";
            self.repair(1, repair::UNKNOWN_VERSION, message);
            self.violate(1, repair::UNKNOWN_VERSION, message.to_owned());
        }
        strict::check(&mut self.header);
        self.header.repairs.sort_by_key(|repair| repair.line);
        self.header
            .strict_violations
            .sort_by_key(|violation| violation.line);
        self.header
    }

    fn repair(&mut self, line: u32, rule: &'static str, message: impl Into<String>) {
        self.header.repairs.push(Repair {
            line,
            rule,
            message: message.into(),
        });
    }

    fn violate(&mut self, line: u32, rule: &'static str, message: String) {
        self.header.strict_violations.push(Violation {
            line,
            rule,
            message,
        });
    }
}

/// The kinds of meta line that declare something of their own by ID.
fn kind_of(key: &str) -> Option<&'static str> {
    ["INFO", "FORMAT", "contig", "FILTER", "ALT"]
        .into_iter()
        .find(|&kind| kind == key)
}

fn described(id: String, value: &Value) -> Described {
    Described {
        id,
        description: value.get("Description").unwrap_or_default().to_owned(),
    }
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.strip_prefix("VCFv")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn check_chrom_columns(line: u32, columns: &[&str]) -> Result<()> {
    if columns.len() < 8 && columns[0].split_whitespace().count() >= 8 {
        let message =
            "the #CHROM line is separated by spaces; columns are separated by single tabs";
        return Err(refuse(line, "chrom-line", message.to_owned()));
    }
    for (i, name) in CHROM_COLUMNS.iter().enumerate() {
        match columns.get(i) {
            None if i == 8 => {}
            None => {
                let message = format!(
                    "the #CHROM line has {} columns, at least 8 are needed; {name} is missing",
                    columns.len()
                );
                return Err(refuse(line, "chrom-line", message));
            }
            Some(found) if found == name => {}
            Some(found) => {
                let shown: String = found.chars().take(40).collect();
                let message = format!(
                    "column {} of the #CHROM line must be {name}, not {shown:?}",
                    i + 1
                );
                return Err(refuse(line, "chrom-line", message));
            }
        }
    }
    Ok(())
}

/// Sample names identify people within a dataset: none may be empty or occur twice. The message
/// gives column numbers, since names stay in the data.
fn check_sample_names(line: u32, samples: &[String]) -> Result<()> {
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(samples.len());
    for (i, name) in samples.iter().enumerate() {
        let column = i + 10;
        if name.is_empty() {
            let message =
                format!("column {column} of the #CHROM line is empty; every sample needs a name");
            return Err(refuse(line, "empty-sample-name", message));
        }
        if let Some(first) = seen.insert(name, column) {
            let message = format!(
                "columns {first} and {column} of the #CHROM line name the same sample; rename one (bcftools reheader -s)"
            );
            return Err(refuse(line, "duplicate-sample", message));
        }
    }
    Ok(())
}

fn refuse(line: u32, rule: &'static str, message: String) -> Error {
    Error::Header {
        input: 0,
        line: u64::from(line),
        rule,
        message,
    }
}
