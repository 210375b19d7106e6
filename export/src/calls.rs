//! The GT column of one record over all selected samples.
//!
//! Most calls of a record are one default call. The column is laid out as cells of equal width, a tab
//! and a call, filled by copying a repeated pattern; only calls that differ are put over it, and
//! those of another width stand aside with their column:
//! ```text
//! pattern  \t0|0\t0|0\t0|0\t0|0\t0|0 ...
//! cells    \t0|0\t0|1\t0|0\t0|0\t0|0 ...     odd: (3, "1")  the fourth sample is haploid
//! ```

use genokura_core::codec::DefaultCall;
use genokura_exec::records::{Calls, Part, RecordView};

use crate::error::Result;

/// The call of a sample that does not have the record.
const ABSENT: &str = "./.";

/// Cells of a record; reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct CallColumn {
    n_columns: usize,
    /// Bytes of a cell without its tab.
    width: usize,
    /// `n_columns` times a tab and `width` bytes.
    cells: Vec<u8>,
    /// Cells that stand aside: column, and place in `odd_text`. Ascending.
    odd: Vec<(usize, std::ops::Range<usize>)>,
    odd_text: Vec<u8>,
    patterns: Patterns,
    scratch: Vec<u8>,
}

/// Default calls repeated, by text.
#[derive(Debug, Default)]
struct Patterns {
    known: Vec<(&'static str, Vec<u8>)>,
}

impl Patterns {
    fn of(&mut self, text: &'static str, n: usize) -> &[u8] {
        let at = match self.known.iter().position(|(known, _)| *known == text) {
            Some(at) => at,
            None => {
                self.known.push((text, Vec::new()));
                self.known.len() - 1
            }
        };
        let cell = text.len() + 1;
        let pattern = &mut self.known[at].1;
        while pattern.len() < n * cell {
            pattern.push(b'\t');
            pattern.extend_from_slice(text.as_bytes());
        }
        &pattern[..n * cell]
    }
}

fn text_of(default: DefaultCall) -> &'static str {
    match default {
        DefaultCall::None => ABSENT,
        known => known.text(),
    }
}

fn default_of(calls: &Calls<'_>) -> DefaultCall {
    match calls {
        Calls::Default(default) => *default,
        Calls::Row(row) => row.default_call(),
    }
}

impl CallColumn {
    /// Takes the calls of a record.
    pub(crate) fn fill(&mut self, record: &RecordView<'_>, n_columns: usize) -> Result<()> {
        self.n_columns = n_columns;
        self.cells.clear();
        self.odd.clear();
        self.odd_text.clear();
        let mut is_first = true;
        for part in record.parts() {
            let part = part?;
            if is_first {
                is_first = false;
                let whole = part.slots.n_selected() == n_columns;
                let filler = match whole {
                    true => text_of(default_of(&part.calls)),
                    false => ABSENT,
                };
                self.begin(filler);
            }
            self.part(&part);
        }
        if is_first {
            self.begin(ABSENT);
        }
        self.odd.sort_by_key(|(column, _)| *column);
        // A call stands after the default that it takes the place of.
        self.odd.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1.clone();
            }
            same
        });
        Ok(())
    }

    fn begin(&mut self, filler: &'static str) {
        self.width = filler.len();
        let pattern = self.patterns.of(filler, self.n_columns);
        self.cells.extend_from_slice(pattern);
    }

    fn part(&mut self, part: &Part<'_>) {
        let text = text_of(default_of(&part.calls));
        // Over default calls that stand aside, the others must stand aside as well: the later counts.
        let aside = text.len() != self.width;
        match part.slots.run() {
            Some(first) if !aside => {
                let n = part.n_samples as usize;
                let cell = self.width + 1;
                let pattern = self.patterns.of(text, n);
                self.cells[first * cell..(first + n) * cell].copy_from_slice(pattern);
            }
            _ => {
                for sample in 0..part.n_samples {
                    if let Some(column) = part.slots.column(sample) {
                        self.put(column, text.as_bytes(), aside);
                    }
                }
            }
        }
        let Calls::Row(row) = &part.calls else { return };
        let mut scratch = std::mem::take(&mut self.scratch);
        row.for_each_difference(|sample, call| {
            if let Some(column) = part.slots.column(sample) {
                scratch.clear();
                call.write_text(&mut scratch);
                self.put(column, &scratch, aside);
            }
        });
        self.scratch = scratch;
    }

    #[inline]
    fn put(&mut self, column: usize, text: &[u8], aside: bool) {
        if text.len() == self.width && !aside {
            let at = column * (self.width + 1) + 1;
            self.cells[at..at + text.len()].copy_from_slice(text);
            return;
        }
        let start = self.odd_text.len();
        self.odd_text.extend_from_slice(text);
        self.odd.push((column, start..self.odd_text.len()));
    }

    /// Appends every cell with its tab.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let cell = self.width + 1;
        let mut from = 0;
        for (column, range) in &self.odd {
            out.extend_from_slice(&self.cells[from * cell..column * cell]);
            out.push(b'\t');
            out.extend_from_slice(&self.odd_text[range.clone()]);
            from = column + 1;
        }
        out.extend_from_slice(&self.cells[from * cell..]);
    }

    /// The calls by column.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut odd = self.odd.iter().peekable();
        let cell = self.width + 1;
        (0..self.n_columns).map(move |column| match odd.next_if(|(at, _)| *at == column) {
            Some((_, range)) => &self.odd_text[range.clone()],
            None => &self.cells[column * cell + 1..(column + 1) * cell],
        })
    }

    /// Called copies of each ALT, and of all alleles: INFO AC and AN.
    pub(crate) fn count(&self, n_alts: usize, ac: &mut Vec<i32>) -> i32 {
        ac.clear();
        ac.resize(n_alts, 0);
        let mut an = 0;
        for call in self.iter() {
            for allele in call.split(|b| matches!(b, b'/' | b'|')) {
                let Some(number) = allele_number(allele) else {
                    continue;
                };
                an += 1;
                if let Some(count) = number.checked_sub(1).and_then(|i| ac.get_mut(i)) {
                    *count += 1;
                }
            }
        }
        an
    }
}

/// The number of a called allele; `None` for `.` and for what stands before a leading separator.
pub(crate) fn allele_number(text: &[u8]) -> Option<usize> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0usize, |n, byte| {
        byte.is_ascii_digit()
            .then(|| n * 10 + usize::from(byte - b'0'))
    })
}
