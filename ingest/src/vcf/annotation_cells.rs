//! Entries of annotations that have more or fewer cells than the header's Format has names.
//!
//! A cell beyond the names belongs to none, and one that is lost moves those behind it: what is read of such an entry may be
//! the value of another subfield. Empty cells at the end say nothing. `bcftools csq` leaves out the cells at the end that
//! have nothing to say, and is not asked for all.

use genokura_core::annotation::{AnnotationFormat, is_annotation};
use genokura_core::schema::FieldDef;

use super::info::{Info, Slot};
use crate::header::Header;

/// The rule by which they are counted.
pub(crate) const RULE: &str = "annotation-cells";
/// Kinds of misfits that are told of, with the first of each.
const TOLD_MAX: usize = 8;

/// How many cells an entry of one annotation has, by the header of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Width {
    field: usize,
    key: String,
    names: usize,
    /// Whether the program writes all of them.
    all: bool,
}

/// An entry that has another number of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// The line, from 0 within a chunk until the pass has filled it in.
    pub(crate) line: u64,
    key: String,
    cells: usize,
    names: usize,
}

impl Width {
    /// Those of an input, whose INFO keys have these places.
    pub(crate) fn of(header: &Header, place: impl Fn(&str) -> Option<usize>) -> Vec<Self> {
        let annotations = header.info.iter().filter(|field| is_annotation(&field.key));
        let width = |field: &FieldDef| {
            let format = AnnotationFormat::parse(&field.key, &field.description)?;
            Some(Self {
                field: place(&field.key)?,
                key: field.key.clone(),
                names: format.subfields.len(),
                all: field.key != "BCSQ",
            })
        };
        annotations.filter_map(width).collect()
    }

    /// The number of cells of an entry, when it is another one.
    fn misfit(&self, entry: &str) -> Option<usize> {
        let filled = entry.trim_end_matches('|').split('|').count();
        let cells = entry.split('|').count();
        if filled > self.names {
            return Some(filled);
        }
        (self.all && cells < self.names).then_some(cells)
    }
}

impl Misfit {
    /// How many entries of a record do not fit, and the first of them.
    pub(crate) fn of(widths: &[Width], info: &Info, text: &str) -> (u64, Option<Self>) {
        let (mut count, mut first) = (0, None);
        for width in widths {
            let Some(Slot::Values(from, to)) = info.slots.get(width.field) else {
                continue;
            };
            let ranges = info.texts.get(*from..*to).unwrap_or_default();
            for entry in ranges.iter().flatten() {
                let cells = text.get(entry.0..entry.1).and_then(|e| width.misfit(e));
                let Some(cells) = cells else { continue };
                count += 1;
                first.get_or_insert_with(|| Self {
                    line: 0,
                    key: width.key.clone(),
                    cells,
                    names: width.names,
                });
            }
        }
        (count, first)
    }

    /// Adds it to those that are told of, when it is the first of its kind.
    pub(crate) fn keep(self, told: &mut Vec<Self>) {
        let same = |other: &Self| {
            other.key == self.key && (other.cells > other.names) == (self.cells > self.names)
        };
        if told.len() < TOLD_MAX && !told.iter().any(same) {
            told.push(self);
        }
    }

    /// What is wrong.
    pub(crate) fn message(&self) -> String {
        let Self {
            key, cells, names, ..
        } = self;
        let (more, read) = match cells > names {
            true => ("more", "what stands beyond belongs to none of them"),
            false => ("fewer", "the last have no value"),
        };
        format!(
            "an entry of INFO {key:?} has {cells} cells, {more} than the {names} names of the header's Format: {read}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_beside_names() {
        let width = |all| Width {
            field: 0,
            key: String::new(),
            names: 3,
            all,
        };
        for (entry, of_all, of_some) in [
            ("G|x|y", None, None),
            ("G||", None, None),
            ("||", None, None),
            ("G|x|y|", None, None),
            ("G|x|y||z", Some(5), Some(5)),
            ("G|x|y|z||", Some(4), Some(4)),
            ("G|x", Some(2), None),
            ("@100", Some(1), None),
        ] {
            assert_eq!(width(true).misfit(entry), of_all, "{entry}");
            assert_eq!(width(false).misfit(entry), of_some, "{entry}");
        }
    }
}
