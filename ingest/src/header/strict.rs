//! What a strict reader refuses in a header that the tolerant one takes: one check per kind of
//! meta line, each violation with its line and rule.

use genokura_core::schema::{FieldType, Number};

use super::meta::{Attribute, Value};
use super::{Header, MetaLine, Violation};

/// Adds the violations that single meta lines show by themselves.
pub(super) fn check(header: &mut Header) {
    let mut found = Checker {
        version: header.version,
        line: 0,
        violations: Vec::new(),
    };
    for line in &header.lines {
        found.line = line.line;
        found.meta_line(line);
    }
    header.strict_violations.append(&mut found.violations);
}

struct Checker {
    version: Option<(u32, u32)>,
    line: u32,
    violations: Vec<Violation>,
}

impl Checker {
    fn meta_line(&mut self, line: &MetaLine) {
        match line.key.as_str() {
            "INFO" | "FORMAT" => self.field(&line.key, &line.value),
            "FILTER" => self.filter(&line.value),
            "ALT" => self.alt(&line.value),
            "contig" => self.contig(&line.value),
            "META" => self.meta(&line.value),
            "SAMPLE" => self.sample(&line.value),
            "PEDIGREE" => self.pedigree(&line.value),
            "assembly" => self.url("assembly", line.value.text()),
            "pedigreeDB" => self.pedigree_db(&line.value),
            _ => {}
        }
    }

    fn refuse(&mut self, rule: &'static str, message: impl Into<String>) {
        self.violations.push(Violation {
            line: self.line,
            rule,
            message: message.into(),
        });
    }

    /// Whether the file keeps to VCF 4.`minor` or later; an unknown version does.
    fn since(&self, minor: u32) -> bool {
        self.version.is_none_or(|(_, have)| have >= minor)
    }

    fn field(&mut self, key: &str, value: &Value) {
        self.order(key, value, &["ID", "Number", "Type", "Description"]);
        self.description(key, value, true);
        if let Some(id) = value.get("ID") {
            self.field_id(key, id);
        }
        if key == "INFO" && value.get("Number") == Some("P") {
            self.refuse(
                "number-p-in-info",
                "Number=P depends on a sample's ploidy; INFO has none",
            );
        }
    }

    fn field_id(&mut self, key: &str, id: &str) {
        let mut bytes = id.bytes();
        let first = bytes
            .next()
            .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let rest = bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
        if !(first && rest || id == "1000G") && self.since(3) {
            let message = format!(
                "{key} ID {id:?} must be letters, digits, \"_\" and \".\", the first no digit"
            );
            self.refuse("key-name", message);
        }
    }

    fn filter(&mut self, value: &Value) {
        self.require_id("FILTER", value);
        self.description("FILTER", value, false);
        let is_bad = |id: &&str| *id == "0" || id.contains([' ', ';', ',']);
        if let Some(id) = value.get("ID").filter(is_bad) {
            let message =
                format!("FILTER ID {id:?} may not be 0 nor hold space, comma or semicolon");
            self.refuse("filter-name", message);
        }
    }

    fn alt(&mut self, value: &Value) {
        self.require_id("ALT", value);
        self.description("ALT", value, false);
        let Some(id) = value.get("ID") else { return };
        if id.contains([',', '<', '>', ' ', '\t']) {
            self.refuse(
                "alt-name",
                format!("ALT ID {id:?} may not hold comma, space or angle brackets"),
            );
        } else if !is_known_alt(id) {
            let message = format!(
                "ALT ID {id:?} must begin with DEL, INS, DUP, INV, CNV or BND, or be an IUPAC code, \"*\" or NON_REF"
            );
            self.refuse("alt-prefix", message);
        }
        if let Some(number) = value
            .get("Number")
            .filter(|number| Number::parse(number).is_none())
        {
            self.refuse(
                "alt-number",
                format!("ALT {id:?}: VCF has no Number {number:?}"),
            );
        }
    }

    fn contig(&mut self, value: &Value) {
        self.require_id("contig", value);
        let Some(id) = value.get("ID") else { return };
        if !is_contig_name(id) {
            let message = format!(
                "contig ID {id:?} holds a character that contig names may not have (section 1.4.7)"
            );
            self.refuse("contig-name", message);
        }
    }

    fn meta(&mut self, value: &Value) {
        self.order("META", value, &["ID", "Number", "Type", "Values"]);
        if value
            .get("Type")
            .is_some_and(|ty| FieldType::parse(ty).is_none())
        {
            self.refuse(
                "meta-type",
                "META: Type must be one of the types of VCF, in practice String",
            );
        }
        if value
            .get("Number")
            .is_some_and(|n| Number::parse(n).is_none())
        {
            self.refuse(
                "meta-number",
                "META: Number must be a Number of VCF, in practice \".\"",
            );
        }
    }

    fn sample(&mut self, value: &Value) {
        self.require_id("SAMPLE", value);
        if value.get("ID").is_some_and(|id| id.contains(',')) {
            self.refuse(
                "sample-id",
                "SAMPLE: an ID without quotes may not hold a comma",
            );
        }
    }

    /// `ID` comes first since VCF 4.3; names of people hold no punctuation that separates fields.
    fn pedigree(&mut self, value: &Value) {
        if self.since(3) {
            self.require_id("PEDIGREE", value);
        }
        let is_broken = |a: &Attribute| a.value.contains([':', ';', ',', '<', '>', '"']);
        if value.attributes().iter().any(is_broken) {
            self.refuse(
                "pedigree-value",
                "PEDIGREE: values may not hold : ; , < > or quotes",
            );
        }
    }

    fn pedigree_db(&mut self, value: &Value) {
        let inner = value
            .text()
            .and_then(|text| text.trim().strip_prefix('<')?.strip_suffix('>'));
        match inner {
            Some(url) => self.url("pedigreeDB", Some(url)),
            None => self.refuse("url", "pedigreeDB must be <URL>"),
        }
    }

    fn url(&mut self, key: &str, text: Option<&str>) {
        if !text.is_some_and(|text| is_url(text.trim())) {
            self.refuse("url", format!("{key} must be a URL with a host, or a path"));
        }
    }

    fn require_id(&mut self, key: &str, value: &Value) {
        if value
            .attributes()
            .first()
            .is_none_or(|a| a.name != "ID" || a.value.is_empty())
        {
            self.refuse(
                "id-first",
                format!("{key}: ID must be there and come first"),
            );
        }
    }

    fn order(&mut self, key: &str, value: &Value, names: &[&str]) {
        let found: Vec<&str> = value
            .attributes()
            .iter()
            .map(|a| a.name.as_str())
            .take(names.len())
            .collect();
        if found != names {
            self.refuse(
                "attribute-order",
                format!(
                    "{key}: attributes must be {}, in this order",
                    names.join(", ")
                ),
            );
        }
    }

    fn description(&mut self, key: &str, value: &Value, required: bool) {
        match value.attributes().iter().find(|a| a.name == "Description") {
            None if required => {
                self.refuse("no-description", format!("{key}: Description is missing"))
            }
            Some(a) if !a.quoted => {
                self.refuse(
                    "unquoted-description",
                    format!("{key}: Description must stand in double quotes"),
                );
            }
            _ => {}
        }
    }
}

/// The symbolic alleles that VCF names, with any subtype, and IUPAC codes.
fn is_known_alt(id: &str) -> bool {
    let prefix = id.split(':').next().unwrap_or(id);
    matches!(
        prefix,
        "DEL" | "INS" | "DUP" | "INV" | "CNV" | "BND" | "NON_REF" | "*"
    ) || (id.len() == 1 && id.bytes().all(|b| b"RYSWKMBDHVNX".contains(&b)))
}

/// Section 1.4.7, with `*` inside a name only for HLA alleles (`HLA-A*01:01`).
fn is_contig_name(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&+./:;?@^_|~-*=".contains(&b);
    let first = id.bytes().next().is_some_and(|b| b != b'*' && b != b'=');
    first && id.bytes().all(allowed) && (!id.contains('*') || id.starts_with("HLA-"))
}

/// A file path, or a URL whose host is a name or a dotted address.
fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else {
        return !text.is_empty();
    };
    let host = rest.split(['/', ':', '?']).next().unwrap_or("");
    let named = host.contains('.') || host.bytes().any(|b| b.is_ascii_alphabetic());
    let known = scheme
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b));
    !scheme.is_empty() && known && (scheme == "file" || named)
}
