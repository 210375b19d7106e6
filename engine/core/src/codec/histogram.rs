//! Histogram: how many calls have which dosage, counted on encoded rows.
//!
//! [`DosageCounts`] counts the samples of one row; [`SampleCounts`] counts the rows of each sample over many rows
//! of one block. Neither decodes a call: a row tells which samples differ from its default call.
//!
//! # Counting planes
//! A plane of a common allele holds one bit a sample. Adding it to 64 counters at once is adding one bit to a
//! number that is stored bit by bit in eight words (the lowest bit of all 64 counters in the first):
//! ```text
//! carry = word;  for each of the eight: (bits, carry) = (bits ^ carry, bits & carry)
//! ```
//! After 255 planes the eight words are added to plain counters, long before they could overflow.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use crate::codec::set::HapSet;
use crate::codec::{DefaultCall, GenotypeRow, SampleMask, exceptions, kernels};

/// How many calls have which dosage of one ALT allele.
///
/// # Missing calls
/// `null` counts calls without any called allele, and all calls of a record without GT; the half call `./1` has
/// dosage 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DosageCounts {
    /// No allele is called.
    pub null: u64,
    /// No copy of the ALT, at least one allele called.
    pub zero: u64,
    /// One copy.
    pub one: u64,
    /// Two copies.
    pub two: u64,
    /// More copies, of polyploid calls.
    pub more: BTreeMap<u8, u64>,
}

impl DosageCounts {
    /// Counts one call of this dosage; `None` is a call without any called allele.
    pub fn add(&mut self, dosage: Option<u8>) {
        self.add_calls(dosage, 1);
    }

    /// Counts `n` calls of this dosage.
    #[inline]
    pub fn add_calls(&mut self, dosage: Option<u8>, n: u64) {
        match dosage {
            None => self.null += n,
            Some(0) => self.zero += n,
            Some(1) => self.one += n,
            Some(2) => self.two += n,
            Some(more) => *self.more.entry(more).or_default() += n,
        }
    }

    /// Takes `n` calls of this dosage away; what is not there is not taken.
    #[inline]
    pub fn take_calls(&mut self, dosage: Option<u8>, n: u64) {
        let count = match dosage {
            None => &mut self.null,
            Some(0) => &mut self.zero,
            Some(1) => &mut self.one,
            Some(2) => &mut self.two,
            Some(more) => match self.more.get_mut(&more) {
                Some(count) => count,
                None => return,
            },
        };
        *count = count.saturating_sub(n);
    }

    /// Adds other counts to these.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        self.null += other.null;
        self.zero += other.zero;
        self.one += other.one;
        self.two += other.two;
        for (&dosage, n) in &other.more {
            *self.more.entry(dosage).or_default() += n;
        }
    }

    /// The calls of one dosage alone.
    #[must_use]
    pub fn of_dosage(&self, dosage: Option<u8>) -> Self {
        let mut only = Self::default();
        for (_, n) in self.iter().filter(|(known, _)| *known == dosage) {
            only.add_calls(dosage, n);
        }
        only
    }

    /// Every dosage that occurs and its number of calls.
    pub fn iter(&self) -> impl Iterator<Item = (Option<u8>, u64)> + '_ {
        let regular = [
            (None, self.null),
            (Some(0), self.zero),
            (Some(1), self.one),
            (Some(2), self.two),
        ];
        let more = self.more.iter().map(|(&dosage, &n)| (Some(dosage), n));
        regular.into_iter().chain(more).filter(|(_, n)| *n > 0)
    }
}

impl AddAssign for DosageCounts {
    fn add_assign(&mut self, other: Self) {
        self.merge(&other);
    }
}

/// What is left of counts without counts that are part of them.
impl Sub for DosageCounts {
    type Output = Self;

    fn sub(mut self, part: Self) -> Self {
        self.null = self.null.saturating_sub(part.null);
        self.zero = self.zero.saturating_sub(part.zero);
        self.one = self.one.saturating_sub(part.one);
        self.two = self.two.saturating_sub(part.two);
        for (dosage, n) in part.more {
            if let Some(left) = self.more.get_mut(&dosage) {
                *left = left.saturating_sub(n);
            }
        }
        self.more.retain(|_, n| *n > 0);
        self
    }
}

impl GenotypeRow<'_> {
    /// Counts the samples, all of them or those of a mask of the block's size, by dosage.
    #[must_use]
    pub fn dosage_counts(&self, mask: Option<&SampleMask>) -> DosageCounts {
        let n = mask.map_or(self.n_samples(), SampleMask::count_ones);
        let mut counts = DosageCounts::default();
        if self.default_call() == DefaultCall::None {
            counts.null = u64::from(n);
            return counts;
        }
        let mut regular = n;
        for (sample, text) in self.exceptions().iter() {
            if mask.is_none_or(|mask| mask.contains(sample)) {
                counts.add(exceptions::tally(text, self.alt_index()).dosage());
                regular = regular.saturating_sub(1);
            }
        }
        let (copies, pairs) = self.carriers().count(mask);
        let unlike = self.missing().count(mask);
        let null = if self.default_call().is_missing() {
            regular.saturating_sub(unlike)
        } else {
            unlike
        };
        let one = copies.saturating_sub(2 * pairs);
        counts.null += u64::from(null);
        counts.one += u64::from(one);
        counts.two += u64::from(pairs);
        counts.zero += u64::from(regular.saturating_sub(null + one + pairs));
        counts
    }

    /// Calls `f` with samples, the dosage that they were taken to have, and the one that they have.
    ///
    /// At first all are taken to have that of the default call. A sample may come twice, the second time from where
    /// the first led; one that does not come has the default call's dosage.
    ///
    /// # Cost
    /// That of the lists; of bits that are set for bit planes.
    pub fn for_each_dosage_change(&self, mut f: impl FnMut(u32, Option<u8>, Option<u8>)) {
        if self.default_call() == DefaultCall::None {
            return;
        }
        let missing_default = self.default_call().is_missing();
        let (default, unlike) = match missing_default {
            true => (None, Some(0)),
            false => (Some(0), None),
        };
        if !self.names_carriers_only() {
            self.missing().for_each(|sample| f(sample, default, unlike));
            for (sample, text) in self.exceptions().iter() {
                let dosage = exceptions::tally(text, self.alt_index()).dosage();
                f(sample, default, dosage);
            }
        }
        self.carriers()
            .for_each_sample(|sample, copies| f(sample, Some(0), Some(copies)));
    }
}

/// For each sample of a block, how many rows have which dosage.
///
/// # Cost
/// A row costs its lists, or some twenty instructions for 64 samples of a plane.
///
/// # Examples
/// ```
/// use genokura_core::codec::{DefaultCall, GenotypeRow, SampleCounts};
/// let mut counts = SampleCounts::new(3);
/// counts.add(&GenotypeRow::of_default(3, DefaultCall::Unphased));
/// assert_eq!(counts.of(2).zero, 1);
/// ```
#[derive(Debug, Clone)]
pub struct SampleCounts {
    n_samples: u32,
    rows: u64,
    /// Rows under which a sample that is not named has no called allele.
    null_rows: u64,
    /// Named missing, less named called under a missing default.
    null_named: Vec<i64>,
    one: PlaneCounter,
    two: PlaneCounter,
    more: BTreeMap<(u32, u8), u64>,
}

impl SampleCounts {
    /// No rows yet, for a block of `n_samples`.
    #[must_use]
    pub fn new(n_samples: u32) -> Self {
        Self {
            n_samples,
            rows: 0,
            null_rows: 0,
            null_named: vec![0; n_samples as usize],
            one: PlaneCounter::new(n_samples),
            two: PlaneCounter::new(n_samples),
            more: BTreeMap::new(),
        }
    }

    /// Size of the block.
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        self.n_samples
    }

    /// Rows counted so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Counts `rows` rows in which every sample has this call.
    pub fn add_default(&mut self, default: DefaultCall, rows: u64) {
        self.rows += rows;
        if default.is_missing() || default == DefaultCall::None {
            self.null_rows += rows;
        }
    }

    /// Counts a row, whose block has the size given to [`SampleCounts::new`] (what is beyond is left out).
    #[inline]
    pub fn add(&mut self, row: &GenotypeRow<'_>) {
        let default = row.default_call();
        self.add_default(default, 1);
        if default == DefaultCall::None {
            return;
        }
        self.add_carriers(row);
        if row.names_carriers_only() {
            return;
        }
        let step = if default.is_missing() { -1 } else { 1 };
        row.missing()
            .for_each(|sample| self.shift_null(sample, step));
        for (sample, text) in row.exceptions().iter() {
            if default.is_missing() {
                self.shift_null(sample, -1);
            }
            match exceptions::tally(text, row.alt_index()).dosage() {
                None => self.shift_null(sample, 1),
                Some(0) => {}
                Some(1) => self.one.add_one(sample),
                Some(2) => self.two.add_one(sample),
                Some(more) => *self.more.entry((sample, more)).or_default() += 1,
            }
        }
    }

    #[inline]
    fn add_carriers(&mut self, row: &GenotypeRow<'_>) {
        match row.carriers() {
            HapSet::Bits(a, b) => {
                let words = || kernels::words(a).zip(kernels::words(b));
                self.one.add_plane(words().map(|(a, b)| a ^ b));
                self.two.add_plane(words().map(|(a, b)| a & b));
            }
            HapSet::Empty => {}
            HapSet::List(list) => {
                let mut previous = u32::MAX;
                list.for_each(|hap| {
                    let sample = hap >> 1;
                    if hap & 1 == 1 && previous == hap - 1 {
                        self.one.take_one(sample);
                        self.two.add_one(sample);
                    } else {
                        self.one.add_one(sample);
                    }
                    previous = hap;
                });
            }
        }
    }

    fn shift_null(&mut self, sample: u32, step: i64) {
        if let Some(null) = self.null_named.get_mut(sample as usize) {
            *null += step;
        }
    }

    /// The counts of one sample; zeros for one beyond the block.
    #[must_use]
    pub fn of(&self, sample: u32) -> DosageCounts {
        let Some(named) = self.null_named.get(sample as usize) else {
            return DosageCounts::default();
        };
        let null = self.null_rows.saturating_add_signed(*named);
        let (one, two) = (self.one.total(sample), self.two.total(sample));
        let more: BTreeMap<u8, u64> = self
            .more
            .range((sample, 0)..=(sample, u8::MAX))
            .map(|((_, dosage), n)| (*dosage, *n))
            .collect();
        let other = null + one + two + more.values().sum::<u64>();
        DosageCounts {
            null,
            zero: self.rows.saturating_sub(other),
            one,
            two,
            more,
        }
    }
}

/// Planes that the bit-by-bit counters take before they are emptied.
const PLANES_MAX: u32 = 255;

/// One counter a sample, to which whole planes are added at once.
#[derive(Debug, Clone)]
struct PlaneCounter {
    totals: Vec<u64>,
    /// Bits 0 to 7 of 64 counters.
    bits: Vec<[u64; 8]>,
    planes: u32,
}

impl PlaneCounter {
    fn new(n_samples: u32) -> Self {
        Self {
            totals: vec![0; n_samples as usize],
            bits: vec![[0; 8]; (n_samples as usize).div_ceil(64)],
            planes: 0,
        }
    }

    #[inline]
    fn add_one(&mut self, sample: u32) {
        if let Some(total) = self.totals.get_mut(sample as usize) {
            *total += 1;
        }
    }

    /// Takes back what was added just before.
    #[inline]
    fn take_one(&mut self, sample: u32) {
        if let Some(total) = self.totals.get_mut(sample as usize) {
            *total -= 1;
        }
    }

    #[inline]
    fn add_plane(&mut self, words: impl Iterator<Item = u64>) {
        if self.planes == PLANES_MAX {
            self.empty();
        }
        self.planes += 1;
        for (bits, word) in self.bits.iter_mut().zip(words) {
            let mut carry = word;
            for bit in bits {
                let next = *bit & carry;
                *bit ^= carry;
                carry = next;
            }
        }
    }

    fn empty(&mut self) {
        for (totals, bits) in self.totals.chunks_mut(64).zip(&mut self.bits) {
            for (at, total) in totals.iter_mut().enumerate() {
                *total += held(bits, at);
            }
            *bits = [0; 8];
        }
        self.planes = 0;
    }

    fn total(&self, sample: u32) -> u64 {
        let at = sample as usize;
        let counted = self.totals.get(at).copied().unwrap_or(0);
        counted + self.bits.get(at / 64).map_or(0, |bits| held(bits, at % 64))
    }
}

/// The number that bit `at` of eight words stands for.
fn held(bits: &[u64; 8], at: usize) -> u64 {
    bits.iter()
        .rev()
        .fold(0, |number, word| number << 1 | (word >> at & 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec::RecordEncoder;
    use proptest::prelude::*;

    const TEXTS: [&str; 14] = [
        "0/0",
        "0|0",
        "0/1",
        "1|0",
        "1|1",
        "1/1",
        "./.",
        ".|.",
        "0",
        "1",
        ".",
        "./1",
        "0/1/1/1",
        "1/1/1/1/1",
    ];

    fn defaults() -> impl Strategy<Value = DefaultCall> {
        (1u8..=6).prop_map(|n| DefaultCall::from_u8(n).unwrap())
    }

    /// Blob of calls by their place in [`TEXTS`]; `None` is the default call.
    fn blob(n: u32, default: DefaultCall, calls: &[Option<usize>]) -> Vec<u8> {
        let mut encoder = RecordEncoder::new();
        encoder.begin(n, 1, default);
        for (sample, call) in (0..n).zip(calls) {
            if let Some(call) = call {
                encoder.call(sample, TEXTS[*call].as_bytes()).unwrap();
            }
        }
        let mut bytes = Vec::new();
        encoder.finish(1, &mut bytes);
        bytes
    }

    fn row_strategy(n: usize) -> impl Strategy<Value = (DefaultCall, Vec<Option<usize>>)> {
        let rare = prop::option::weighted(0.1, 0..TEXTS.len());
        let common = prop::option::weighted(0.9, 0..8usize);
        let calls = prop_oneof![
            prop::collection::vec(rare, n),
            prop::collection::vec(common, n)
        ];
        (defaults(), calls)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn counts_are_those_of_single_calls(
            rows in prop::collection::vec(row_strategy(150), 1..8),
            repeats in 1usize..80,
            chosen in prop::collection::btree_set(0u32..150, 0..150),
        ) {
            let n = 150;
            let blobs: Vec<_> = rows.iter().map(|(d, calls)| blob(n, *d, calls)).collect();
            let mask = SampleMask::from_indices(n, chosen.iter().copied());
            let mut fast = SampleCounts::new(n);
            let mut slow = vec![DosageCounts::default(); n as usize];
            for bytes in blobs.iter().cycle().take(blobs.len() * repeats) {
                let row = GenotypeRow::parse(bytes).unwrap();
                fast.add(&row);
                row.for_each_call(None, |sample, call| slow[sample as usize].add(call.dosage()));
                let (mut all, mut some) = (DosageCounts::default(), DosageCounts::default());
                row.for_each_call(None, |_, call| all.add(call.dosage()));
                row.for_each_call(Some(&mask), |_, call| some.add(call.dosage()));
                prop_assert_eq!(row.dosage_counts(None), all);
                let mut changed = vec![GenotypeRow::of_default(1, row.default_call()).dosage(0); n as usize];
                row.for_each_dosage_change(|sample, from, to| {
                    let dosage = &mut changed[sample as usize];
                    assert_eq!(*dosage, from, "{sample}");
                    *dosage = to;
                });
                row.for_each_call(None, |sample, call| {
                    assert_eq!(changed[sample as usize], call.dosage(), "{sample}");
                });
                prop_assert_eq!(row.dosage_counts(Some(&mask)), some);
            }
            fast.add_default(DefaultCall::None, 2);
            fast.add_default(DefaultCall::Phased, 3);
            for (sample, slow) in (0u32..).zip(&mut slow) {
                slow.null += 2;
                slow.zero += 3;
                prop_assert_eq!(&fast.of(sample), &*slow);
            }
        }
    }

    #[test]
    fn planes_are_counted_beyond_what_the_bits_hold() {
        let calls = vec![Some(4); 100];
        let bytes = blob(100, DefaultCall::Phased, &calls);
        let row = GenotypeRow::parse(&bytes).unwrap();
        let mut counts = SampleCounts::new(100);
        for _ in 0..1000 {
            counts.add(&row);
        }
        assert_eq!((counts.of(99).two, counts.of(0).zero), (1000, 0));
        assert_eq!(counts.of(100), DosageCounts::default());
    }

    #[test]
    fn counts_add_up() {
        let mut counts = DosageCounts::default();
        for dosage in [None, Some(0), Some(1), Some(2), Some(5), Some(5)] {
            counts.add(dosage);
        }
        let mut twice = counts.clone();
        twice += counts.clone();
        assert_eq!(twice.clone() - counts.clone(), counts);
        let seen: Vec<_> = twice.iter().collect();
        assert_eq!(
            seen,
            [
                (None, 2),
                (Some(0), 2),
                (Some(1), 2),
                (Some(2), 2),
                (Some(5), 4)
            ]
        );
    }
}
