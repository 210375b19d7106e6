//! The dictionaries of a BCF: numbers of FILTER, INFO and FORMAT IDs and of contigs, and the header
//! that says them.
//!
//! Every line of these kinds gets an `IDX`, so that all readers number alike; a second line of an ID
//! is left out, as htslib reads it. What records use and no line declares is declared as htslib does
//! while it reads a VCF: Number 1, Type String, Description "Dummy". A line whose brackets or quotes
//! are broken is written anew from what the dataset made of it.

use std::collections::{BTreeSet, HashMap};

use genokura_core::schema::FieldDef;
use genokura_storage::DatasetState;

use crate::error::{Error, Result};
use crate::header::{Header, Line, attribute};

/// How the values of a key are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Integer,
    Float,
    /// String, Character, and Flag, which has no value unless it is wrong.
    Text,
}

/// Numbers of IDs and contigs.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    strings: HashMap<String, i32>,
    info: HashMap<String, (i32, Type)>,
    format: HashMap<String, (i32, Type)>,
    contigs: HashMap<String, usize>,
    contig_names: Vec<String>,
}

impl Dictionary {
    /// Completes a header for BCF and numbers what it declares.
    pub(crate) fn of(
        header: &mut Header,
        state: &DatasetState,
        filters: &BTreeSet<String>,
        shows: impl Fn(&str, &str) -> bool,
    ) -> Result<Self> {
        header.mend(state);
        for field in state.info.iter().filter(|field| shows("INFO", &field.key)) {
            header.declare("INFO", &field.key, dummy("INFO", &field.key));
        }
        for field in state
            .format
            .iter()
            .filter(|field| shows("FORMAT", &field.key))
        {
            header.declare("FORMAT", &field.key, dummy("FORMAT", &field.key));
        }
        if shows("FORMAT", "GT") {
            header.declare("FORMAT", "GT", dummy("FORMAT", "GT"));
        }
        for filter in filters.iter().filter(|filter| *filter != "PASS") {
            let text = format!("##FILTER=<ID={filter},Description=\"Dummy\">");
            header.declare("FILTER", filter, text);
        }
        for contig in &state.contigs {
            let text = format!("##contig=<ID={}>", contig.name);
            header.declare("contig", &contig.name, text);
        }
        let mut dictionary = Self::default();
        dictionary.strings.insert("PASS".to_owned(), 0);
        let mut lines = Vec::with_capacity(header.lines.len());
        for line in header.lines.drain(..) {
            lines.extend(dictionary.number(line)?);
        }
        header.lines = lines;
        Ok(dictionary)
    }

    /// Gives a line its IDX; `None` for a second line of an ID.
    fn number(&mut self, mut line: Line) -> Result<Option<Line>> {
        let Some(id) = line.id.clone() else {
            return Ok(Some(line));
        };
        let index = match line.key.as_str() {
            "contig" => {
                if self.contigs.contains_key(&id) {
                    return Ok(None);
                }
                let index = self.contig_names.len();
                self.contigs.insert(id.clone(), index);
                self.contig_names.push(id);
                index
            }
            "FILTER" | "INFO" | "FORMAT" => {
                let next = i32::try_from(self.strings.len());
                let next = next.map_err(|_| Error::Request("too many header lines".into()))?;
                let number = *self.strings.entry(id.clone()).or_insert(next);
                let kind = match line.key.as_str() {
                    "INFO" => Some(&mut self.info),
                    "FORMAT" => Some(&mut self.format),
                    _ => None,
                };
                if let Some(kind) = kind {
                    if kind.contains_key(&id) {
                        return Ok(None);
                    }
                    kind.insert(id, (number, type_of(&line.text)));
                }
                usize::try_from(number).unwrap_or(0)
            }
            _ => return Ok(Some(line)),
        };
        if let Some(open) = line.text.strip_suffix('>') {
            line.text = format!("{open},IDX={index}>");
        }
        Ok(Some(line))
    }

    /// Names of contigs by number.
    pub(crate) fn contig_names(&self) -> Vec<&str> {
        self.contig_names.iter().map(String::as_str).collect()
    }

    pub(crate) fn contig(&self, name: &str) -> Result<usize> {
        self.contigs
            .get(name)
            .copied()
            .ok_or_else(|| undeclared("contig", name))
    }

    pub(crate) fn string(&self, id: &str) -> Result<i32> {
        self.strings
            .get(id)
            .copied()
            .ok_or_else(|| undeclared("FILTER", id))
    }

    pub(crate) fn info(&self, key: &str) -> Result<(i32, Type)> {
        self.info
            .get(key)
            .copied()
            .ok_or_else(|| undeclared("INFO", key))
    }

    pub(crate) fn format(&self, key: &str) -> Result<(i32, Type)> {
        self.format
            .get(key)
            .copied()
            .ok_or_else(|| undeclared("FORMAT", key))
    }
}

fn undeclared(kind: &str, id: &str) -> Error {
    Error::Internal(format!("{kind} {id} has no number"))
}

fn dummy(kind: &str, key: &str) -> String {
    format!("##{kind}=<ID={key},Number=1,Type=String,Description=\"Dummy\">")
}

fn type_of(text: &str) -> Type {
    match attribute(text, "Type").as_deref() {
        Some("Integer") => Type::Integer,
        Some("Float") => Type::Float,
        _ => Type::Text,
    }
}

impl Header {
    /// Writes lines anew that a reader of BCF could not take its IDX from.
    fn mend(&mut self, state: &DatasetState) {
        for line in &mut self.lines {
            let Some(id) = line.id.clone() else { continue };
            let fields = match line.key.as_str() {
                "INFO" => Some(&state.info),
                "FORMAT" => Some(&state.format),
                "FILTER" | "contig" => None,
                _ => continue,
            };
            let has_id = attribute(&line.text, "ID").as_ref() == Some(&id);
            let is_open = !line.text.ends_with('>') || !has_id;
            if let Some(fields) = fields {
                let field = fields.iter().find(|field| field.key == id);
                if is_open {
                    line.text = match field {
                        Some(field) => declaration(&line.key, field),
                        None => dummy(&line.key, &id),
                    };
                }
            } else if is_open {
                line.text = match line.key.as_str() {
                    "FILTER" => format!("##FILTER=<ID={id},Description=\"\">"),
                    _ => format!("##contig=<ID={id}>"),
                };
            }
        }
    }
}

/// The line that defines a field.
pub(crate) fn declaration(kind: &str, field: &FieldDef) -> String {
    let number = field.number;
    let description = field.description.replace('\\', "\\\\").replace('"', "\\\"");
    let (key, ty) = (&field.key, field.ty.as_str());
    format!("##{kind}=<ID={key},Number={number},Type={ty},Description=\"{description}\">")
}
