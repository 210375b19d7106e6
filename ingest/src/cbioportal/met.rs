//! Samples and patients that files speak of and the clinical files do not list: their rows join nothing there.

use std::collections::HashMap;
use std::sync::Arc;

use super::file::{File, Part};
use super::tables::Listed;

/// A file, and the line of a table.
type Place = (Arc<str>, Option<u64>);

/// Where each was met first, by kind and name.
#[derive(Default)]
pub(super) struct Met(HashMap<&'static str, HashMap<String, Place>>);

impl Met {
    /// A sample or patient of a row.
    pub(super) fn of_row(&mut self, kind: &'static str, name: &str, file: &Arc<str>, line: u64) {
        self.meet(kind, name, || (Arc::clone(file), Some(line)));
    }

    /// The samples of a matrix.
    pub(super) fn of_matrix(&mut self, file: &File) {
        let name: Arc<str> = Arc::from(file.name.as_str());
        for part in &file.parts {
            if let Part::Sample(sample) = part {
                self.meet("sample", sample, || (Arc::clone(&name), None));
            }
        }
    }

    fn meet(&mut self, kind: &'static str, name: &str, place: impl FnOnce() -> Place) {
        let of_kind = self.0.entry(kind).or_default();
        if !of_kind.contains_key(name) {
            of_kind.insert(name.to_owned(), place());
        }
    }

    /// What to say, where the study lists any of their kind: how many, and where the first of them is.
    pub(super) fn notes(&self, listed: &Listed) -> Vec<String> {
        let note = |kind: &'static str| {
            let lists = listed.keys().any(|(of, _)| *of == kind);
            let met = self.0.get(kind).into_iter().flatten();
            let unlisted =
                met.filter(|(name, _)| lists && !listed.contains_key(&(kind, (*name).clone())));
            let mut places: Vec<&Place> = unlisted.map(|(_, place)| place).collect();
            places.sort();
            let (file, line) = places.first()?;
            let at = line.map_or_else(String::new, |line| format!(", line {line}"));
            Some(format!(
                "{} {kind}s of this study are in no clinical file and join no row there; the first is in {file}{at}",
                places.len()
            ))
        };
        ["patient", "sample"].into_iter().filter_map(note).collect()
    }
}
