//! A set of records of a dataset by their ids: one bit per record of each batch.

use std::collections::BTreeMap;

use crate::predicate::{Comparison, Literal, Predicate};

/// Bits below the batch in a record id.
const ORDINAL_BITS: u32 = 40;
/// Runs of ids that a pruning predicate names per batch at most.
const RUNS_MAX: usize = 32;
/// Ids between two runs that are joined at first; doubled until [`RUNS_MAX`] suffices.
const GAP_MIN: u64 = 4_096;

/// Records by id. Ids of a batch are dense, so a set costs one bit for each record of its batches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSet {
    batches: BTreeMap<i64, Vec<u64>>,
}

impl RecordSet {
    /// Adds a record.
    pub fn insert(&mut self, id: i64) {
        let (batch, word, bit) = place(id);
        let words = self.batches.entry(batch).or_default();
        if word >= words.len() {
            words.resize(word + 1, 0);
        }
        words[word] |= 1 << bit;
    }

    /// True when the record is in the set.
    #[must_use]
    pub fn contains(&self, id: i64) -> bool {
        let (batch, word, bit) = place(id);
        let words = self.batches.get(&batch).and_then(|words| words.get(word));
        words.is_some_and(|word| word >> bit & 1 == 1)
    }

    /// Number of records.
    #[must_use]
    pub fn len(&self) -> u64 {
        let words = self.batches.values().flatten();
        words.map(|word| u64::from(word.count_ones())).sum()
    }

    /// True when no record is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds the records of another set.
    pub fn extend(&mut self, other: &Self) {
        for (batch, more) in &other.batches {
            let words = self.batches.entry(*batch).or_default();
            if words.len() < more.len() {
                words.resize(more.len(), 0);
            }
            for (word, more) in words.iter_mut().zip(more) {
                *word |= more;
            }
        }
    }

    /// Leaves the records that the other set has too.
    pub fn retain(&mut self, other: &Self) {
        for (batch, words) in &mut self.batches {
            let kept = other.batches.get(batch).map_or(&[][..], Vec::as_slice);
            words.truncate(kept.len());
            for (word, kept) in words.iter_mut().zip(kept) {
                *word &= kept;
            }
        }
    }

    /// A filter on the column `record` that every record of the set passes: for pruning, since other
    /// records between them pass as well.
    pub(crate) fn hull(&self) -> Predicate {
        let mut ranges = Vec::new();
        for (batch, words) in &self.batches {
            for (first, last) in runs(words) {
                let id = |ordinal: u64| batch << ORDINAL_BITS | ordinal.cast_signed();
                ranges.push(Predicate::And(vec![
                    compare(Comparison::GtEq, id(first)),
                    compare(Comparison::LtEq, id(last)),
                ]));
            }
        }
        match ranges.len() {
            0 => compare(Comparison::Lt, 0),
            _ => Predicate::Or(ranges),
        }
    }
}

fn compare(op: Comparison, id: i64) -> Predicate {
    Predicate::Compare {
        column: "record".to_owned(),
        op,
        value: Literal::Int64(id),
    }
}

fn place(id: i64) -> (i64, usize, u32) {
    let ordinal = id.cast_unsigned() & ((1 << ORDINAL_BITS) - 1);
    let word = usize::try_from(ordinal / 64).unwrap_or(usize::MAX);
    let bit = u32::try_from(ordinal % 64).unwrap_or_default();
    (id >> ORDINAL_BITS, word, bit)
}

/// First and last ordinals of runs with small gaps between them.
fn runs(words: &[u64]) -> Vec<(u64, u64)> {
    let mut gap = GAP_MIN;
    loop {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (word, base) in words.iter().zip((0u64..).step_by(64)) {
            if *word == 0 {
                continue;
            }
            let first = base + u64::from(word.trailing_zeros());
            let last = base + 63 - u64::from(word.leading_zeros());
            match runs.last_mut() {
                Some((_, end)) if first - *end <= gap => *end = last,
                _ => runs.push((first, last)),
            }
        }
        if runs.len() <= RUNS_MAX {
            return runs;
        }
        gap *= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[i64]) -> RecordSet {
        let mut set = RecordSet::default();
        ids.iter().for_each(|id| set.insert(*id));
        set
    }

    #[test]
    fn sets_of_two_batches_are_joined_and_cut() {
        let second = 1 << ORDINAL_BITS;
        let mut a = set(&[0, 63, 64, second + 5]);
        let b = set(&[63, second + 5, second + 200]);
        assert!(a.contains(64) && !a.contains(65) && a.contains(second + 5));
        assert_eq!(a.len(), 4);
        a.retain(&b);
        assert_eq!(a.len(), 2);
        a.extend(&b);
        assert_eq!(a, b);
        assert!(set(&[]).is_empty());
    }

    #[test]
    fn a_hull_names_few_runs_and_leaves_nothing_out() {
        let mut scattered = RecordSet::default();
        (0..500).for_each(|i| scattered.insert(i * 10_000));
        let all: Vec<(u64, u64)> = scattered.batches.values().flat_map(|w| runs(w)).collect();
        assert!(!all.is_empty() && all.len() <= RUNS_MAX, "{all:?}");
        for id in 0u64..500 {
            let id = id * 10_000;
            assert!(all.iter().any(|(from, to)| (*from..=*to).contains(&id)));
        }
        assert_eq!(runs(&[0b110, 0, 1 << 63]), [(1, 191)]);
    }
}
