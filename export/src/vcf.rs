//! Records as lines of a VCF.

use std::collections::HashMap;
use std::sync::Arc;

use genokura_core::codec::array::ArrayRow;
use genokura_exec::records::{LoadedRecords, Part, RecordView, Selection};

use crate::calls::CallColumn;
use crate::error::Result;
use crate::index::Span;
use crate::site::write_site;

/// FORMAT of a record: the keys in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    /// The column as text.
    pub(crate) text: String,
    /// Keys but GT, with their place.
    pub(crate) arrays: Vec<(usize, String)>,
    /// Place of GT.
    pub(crate) gt: Option<usize>,
    pub(crate) n: usize,
}

impl Keys {
    /// The keys of all stored records of a record, each once, those of the first one first.
    pub(crate) fn of(record: &RecordView<'_>, shows: impl Fn(&str) -> bool) -> Self {
        let mut names: Vec<&str> = Vec::new();
        for keys in record.format_keys().flatten().filter(|keys| *keys != ".") {
            for key in keys.split(':') {
                if !names.contains(&key) && shows(key) {
                    names.push(key);
                }
            }
        }
        // GT stands first wherever a merged record has it.
        if record.format_keys().count() > 1
            && let Some(at) = names.iter().position(|key| *key == "GT")
        {
            let gt = names.remove(at);
            names.insert(0, gt);
        }
        let arrays = names.iter().enumerate().filter(|(_, key)| **key != "GT");
        Self {
            text: match names.is_empty() {
                true => ".".to_owned(),
                false => names.join(":"),
            },
            arrays: arrays.map(|(i, key)| (i, (*key).to_owned())).collect(),
            gt: names.iter().position(|key| *key == "GT"),
            n: names.len(),
        }
    }
}

/// Which block and sample of it stands in each column of a record.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    of: Vec<(u32, u32)>,
}

/// No block has the column.
const NOBODY: (u32, u32) = (u32::MAX, 0);

impl Owners {
    pub(crate) fn fill(&mut self, parts: &[Part<'_>], n_columns: usize) {
        self.of.clear();
        self.of.resize(n_columns, NOBODY);
        for (number, part) in (0u32..).zip(parts) {
            for sample in 0..part.n_samples {
                if let Some(owner) = part.slots.column(sample).and_then(|c| self.of.get_mut(c)) {
                    *owner = (number, sample);
                }
            }
        }
    }

    /// Part and sample of each column; `None` for a sample without the record.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Option<(usize, u32)>> {
        self.of
            .iter()
            .map(|owner| (*owner != NOBODY).then_some((owner.0 as usize, owner.1)))
    }
}

/// Writes records; one per worker, its buffers are kept.
pub(crate) struct LineWriter {
    selection: Arc<Selection>,
    genotypes: bool,
    recount: bool,
    calls: CallColumn,
    owners: Owners,
    ac: Vec<i32>,
    keys: HashMap<Vec<Option<String>>, Arc<Keys>>,
    last: Option<(Option<String>, Arc<Keys>)>,
}

/// Distinct FORMAT columns kept in parsed form.
const KEYS_KEPT: usize = 1_024;

impl LineWriter {
    /// `recount`: AC and AN are those of the selected samples.
    pub(crate) fn new(selection: Arc<Selection>, genotypes: bool, recount: bool) -> Self {
        Self {
            selection,
            genotypes,
            recount,
            calls: CallColumn::default(),
            owners: Owners::default(),
            ac: Vec::new(),
            keys: HashMap::new(),
            last: None,
        }
    }

    /// Appends the lines of some records, and tells where each lies.
    pub(crate) fn write(
        &mut self,
        group: &LoadedRecords,
        range: std::ops::Range<usize>,
        out: &mut Vec<u8>,
        spans: &mut Vec<Span>,
    ) -> Result<()> {
        for record in range.filter_map(|i| group.get(i)) {
            let start = out.len();
            self.line(&record, out)?;
            spans.push(Span::of(&record, start));
        }
        Ok(())
    }

    fn line(&mut self, record: &RecordView<'_>, out: &mut Vec<u8>) -> Result<()> {
        let n_columns = self.selection.names().len();
        if n_columns == 0 || !self.genotypes {
            write_site(record, None, out);
            out.push(b'\n');
            return Ok(());
        }
        let keys = self.keys_of(record);
        if keys.gt.is_some() {
            self.calls.fill(record, n_columns)?;
        }
        if self.recount && keys.gt.is_some() {
            let an = self.calls.count(record.n_alts(), &mut self.ac);
            write_site(record, Some((&self.ac, an)), out);
        } else {
            write_site(record, None, out);
        }
        out.push(b'\t');
        out.extend_from_slice(keys.text.as_bytes());
        match (keys.gt, keys.n) {
            (Some(_), 1) => self.calls.write(out),
            (None, 0) => (0..n_columns).for_each(|_| out.extend_from_slice(b"\t.")),
            _ => self.cells(record, &keys, out)?,
        }
        out.push(b'\n');
        Ok(())
    }

    /// FORMAT of a record, parsed once per text.
    pub(crate) fn keys_of(&mut self, record: &RecordView<'_>) -> Arc<Keys> {
        let mut texts = record.format_keys();
        let (first, second) = (texts.next().flatten(), texts.next());
        if second.is_none()
            && let Some((text, keys)) = &self.last
            && text.as_deref() == first
        {
            return Arc::clone(keys);
        }
        let shows = |key: &str| record.shows_format(key);
        let texts: Vec<_> = record.format_keys().map(|t| t.map(str::to_owned)).collect();
        if self.keys.len() > KEYS_KEPT {
            self.keys.clear();
        }
        let keys = self.keys.entry(texts);
        let keys = Arc::clone(keys.or_insert_with(|| Arc::new(Keys::of(record, shows))));
        if second.is_none() {
            self.last = Some((first.map(str::to_owned), Arc::clone(&keys)));
        }
        keys
    }

    /// The sample columns of a record with more keys than GT.
    fn cells(&mut self, record: &RecordView<'_>, keys: &Keys, out: &mut Vec<u8>) -> Result<()> {
        let parts: Vec<Part<'_>> = record.parts().collect::<Result<_, _>>()?;
        self.owners.fill(&parts, self.selection.names().len());
        // Arrays of part p and key k stand at p * arrays + k.
        let mut arrays: Vec<Option<ArrayRow<'_>>> = Vec::with_capacity(parts.len() * keys.n);
        for part in &parts {
            for (_, key) in &keys.arrays {
                arrays.push(part.array(key)?);
            }
        }
        let per_part = keys.arrays.len();
        let mut calls = self.calls.iter();
        for owner in self.owners.iter() {
            let call = match keys.gt {
                Some(_) => calls.next(),
                None => None,
            };
            let own = owner.and_then(|(part, sample)| {
                let arrays = arrays.get(part * per_part..(part + 1) * per_part)?;
                Some((arrays, sample))
            });
            let mut array = 0;
            for place in 0..keys.n {
                out.push(if place == 0 { b'\t' } else { b':' });
                if keys.gt == Some(place) {
                    out.extend_from_slice(call.unwrap_or(b"."));
                    continue;
                }
                match own.and_then(|(arrays, sample)| Some((arrays.get(array)?.as_ref()?, sample)))
                {
                    Some((values, sample)) => values.write_text(sample, out),
                    None => out.push(b'.'),
                }
                array += 1;
            }
        }
        Ok(())
    }
}
