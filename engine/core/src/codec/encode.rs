//! Encode: from the calls of one record in one block to the blob of each of its ALTs.

use crate::codec::set::{write_haps, write_samples};
use crate::codec::{AlleleCounts, BLOCK_SAMPLES_MAX, DefaultCall, Head, MISSING};
use crate::codec::{exceptions, other, varint};
use crate::error::{Error, Result};
use crate::genotype::Scan;

/// What [`RecordEncoder::finish`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedRow {
    /// Counts of the row.
    pub counts: AlleleCounts,
    /// True when every sample has the default call: nothing was written, the row may be dropped.
    pub is_default: bool,
}

/// Builds the rows of one record for one block, all ALTs at once; reused from record to record, so
/// that no call allocates.
///
/// # Examples
/// ```
/// use genokura_core::codec::{DefaultCall, GenotypeRow, RecordEncoder};
/// let mut encoder = RecordEncoder::new();
/// encoder.begin(4, 1, DefaultCall::Unphased);
/// encoder.diploid(1, 0, 1, false);
/// encoder.call(3, b"./1")?;
/// let mut blob = Vec::new();
/// let row = encoder.finish(1, &mut blob);
/// assert_eq!((row.counts.ac, row.counts.an), (2, 7));
/// assert_eq!(GenotypeRow::parse(&blob)?.dosage(1), Some(1));
/// # Ok::<(), genokura_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct RecordEncoder {
    n_samples: u32,
    n_alts: u16,
    default: DefaultCall,
    /// `plain[phased]`: a fully called diploid call of this phasing is named by its ALTs alone.
    plain: [bool; 2],
    /// The least sample that may come next, and the end of those that may come.
    next: u32,
    limit: u32,
    /// Haplotype << 16 | allele number, for every called allele that is not REF.
    alts: Vec<u64>,
    /// Samples that are missing where the default is called, or called where it is missing.
    missing: Vec<u32>,
    /// Diploid samples of the other phasing than the default.
    phase: Vec<u32>,
    /// Samples of the other ploidy than the default.
    ploidy: Vec<u32>,
    exceptions: Vec<u8>,
    n_exceptions: u32,
    /// The sample after the last exception.
    exceptions_next: u32,
    carriers: Vec<u32>,
    others: Vec<u32>,
    other_alleles: Vec<u16>,
    scratch: Vec<u8>,
}

impl RecordEncoder {
    /// An empty encoder; call [`RecordEncoder::begin`] before anything else.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a record with `n_alts` ALT alleles in a block of `n_samples`, at most
    /// [`BLOCK_SAMPLES_MAX`]. Under [`DefaultCall::None`] no sample may have a call.
    pub fn begin(&mut self, n_samples: u32, n_alts: u16, default: DefaultCall) {
        debug_assert!(n_samples <= BLOCK_SAMPLES_MAX);
        self.n_samples = n_samples.min(BLOCK_SAMPLES_MAX);
        self.n_alts = n_alts;
        self.default = default;
        self.plain = [
            default == DefaultCall::Unphased,
            default == DefaultCall::Phased,
        ];
        self.next = 0;
        self.limit = match default {
            DefaultCall::None => 0,
            _ => self.n_samples,
        };
        self.n_exceptions = 0;
        self.exceptions_next = 0;
        self.alts.clear();
        self.missing.clear();
        self.phase.clear();
        self.ploidy.clear();
        self.exceptions.clear();
    }

    /// A diploid call without prefix; [`MISSING`] is `.`.
    ///
    /// Samples ascend and lie in the block (checked in debug builds; in release a sample that does
    /// not is left out). Those never mentioned have the default call, which may be mentioned too.
    #[inline]
    pub fn diploid(&mut self, sample: u32, a: u16, b: u16, phased: bool) {
        if !self.accept(sample) {
            return;
        }
        if self.plain[usize::from(phased)] && a != MISSING && b != MISSING {
            self.push(2 * sample, a);
            self.push(2 * sample + 1, b);
        } else {
            self.diploid_rare(sample, a, b, phased);
        }
    }

    /// Up to sixteen diploid calls of the default's phasing from `sample` on: bit `2 * i + h` of
    /// `haps` tells that allele `h` of sample `sample + i` is ALT 1; a sample without bits has the
    /// default call. Only under a diploid default that is called; samples as in
    /// [`RecordEncoder::diploid`].
    #[inline]
    pub fn carriers_of_alt_1(&mut self, sample: u32, mut haps: u32) {
        debug_assert!(
            self.plain.contains(&true),
            "the default is called and diploid"
        );
        let last = sample + (31 - haps.leading_zeros().min(31)) / 2;
        if haps == 0 || !self.accept(sample) || last >= self.limit {
            return;
        }
        self.next = last + 1;
        while haps != 0 {
            let hap = 2 * sample + haps.trailing_zeros();
            haps &= haps - 1;
            self.alts.push(u64::from(hap) << 16 | 1);
        }
    }

    /// A haploid call without prefix; [`MISSING`] is `.`. Samples as in
    /// [`RecordEncoder::diploid`].
    #[inline]
    pub fn haploid(&mut self, sample: u32, a: u16) {
        if !self.accept(sample) {
            return;
        }
        if !self.default.is_haploid() {
            self.ploidy.push(sample);
        }
        if self.default.is_missing() != (a == MISSING) {
            self.missing.push(sample);
        }
        if a != MISSING {
            self.push(2 * sample, a);
        }
    }

    /// Any genotype text. Samples as in [`RecordEncoder::diploid`].
    ///
    /// An allele number above `n_alts` is kept as it is: it counts as called (AN) and for no ALT,
    /// so that a record whose GT contradicts its ALT column still reads back.
    ///
    /// # Errors
    /// The text is no genotype ([`Error::Genotype`]), or the sample does not ascend or is outside
    /// of the block ([`Error::SampleIndex`]). The call is then not part of the row.
    pub fn call(&mut self, sample: u32, text: &[u8]) -> Result<()> {
        if sample < self.next || sample >= self.limit {
            return Err(Error::SampleIndex {
                sample,
                n_samples: self.n_samples,
            });
        }
        let mut alleles = [MISSING; 2];
        let mut phased = false;
        let mut n = 0;
        let mut scan = Scan::new(text);
        while let Some((separator, allele)) = scan.next()? {
            if let Some(slot) = alleles.get_mut(n) {
                *slot = allele.unwrap_or(MISSING);
            }
            phased = separator;
            n += 1;
        }
        match (n, scan.has_prefix) {
            (1, false) => self.haploid(sample, alleles[0]),
            (2, false) => self.diploid(sample, alleles[0], alleles[1], phased),
            _ => {
                self.next = sample + 1;
                self.push_exception(sample, text);
            }
        }
        Ok(())
    }

    /// Appends the blob of ALT `alt_index` to `out` (1-based; 0 for a record whose ALT is `.`).
    pub fn finish(&mut self, alt_index: u16, out: &mut Vec<u8>) -> EncodedRow {
        debug_assert!(alt_index <= self.n_alts);
        self.split(alt_index);
        let counts = self.counts(alt_index);
        let is_default = self.is_default();
        if !is_default {
            self.write(alt_index, out);
        }
        EncodedRow { counts, is_default }
    }

    #[inline]
    fn accept(&mut self, sample: u32) -> bool {
        let in_order = sample >= self.next && sample < self.limit;
        debug_assert!(in_order, "samples ascend and lie in the block");
        if in_order {
            self.next = sample + 1;
        }
        in_order
    }

    #[inline]
    fn push(&mut self, hap: u32, allele: u16) {
        if allele != 0 {
            self.alts.push(u64::from(hap) << 16 | u64::from(allele));
        }
    }

    #[cold]
    fn push_half_call(&mut self, sample: u32, alleles: [u16; 2], phased: bool) {
        let mut text = Vec::with_capacity(8);
        let [a, b] = alleles.map(|allele| (allele != MISSING).then_some(allele));
        crate::genotype::write_allele(a, &mut text);
        text.push(crate::genotype::separator(phased));
        crate::genotype::write_allele(b, &mut text);
        self.push_exception(sample, &text);
    }

    fn push_exception(&mut self, sample: u32, text: &[u8]) {
        exceptions::write(self.exceptions_next, sample, text, &mut self.exceptions);
        self.exceptions_next = sample + 1;
        self.n_exceptions += 1;
    }

    fn diploid_rare(&mut self, sample: u32, a: u16, b: u16, phased: bool) {
        let is_missing = a == MISSING && b == MISSING;
        if !is_missing && (a == MISSING || b == MISSING) {
            return self.push_half_call(sample, [a, b], phased);
        }
        if self.default.is_haploid() {
            self.ploidy.push(sample);
        }
        if phased != self.default.is_phased() {
            self.phase.push(sample);
        }
        if self.default.is_missing() != is_missing {
            self.missing.push(sample);
        }
        if !is_missing {
            self.push(2 * sample, a);
            self.push(2 * sample + 1, b);
        }
    }

    /// Splits the alternate alleles into those of the row and the others.
    fn split(&mut self, alt_index: u16) {
        self.carriers.clear();
        self.others.clear();
        self.other_alleles.clear();
        let wanted = u64::from(alt_index);
        for alt in &self.alts {
            let (hap, allele) = unpack(*alt);
            if alt & 0xffff == wanted {
                self.carriers.push(hap);
            } else {
                self.others.push(hap);
                self.other_alleles.push(allele);
            }
        }
    }

    fn is_default(&self) -> bool {
        self.alts.is_empty()
            && self.missing.is_empty()
            && self.phase.is_empty()
            && self.ploidy.is_empty()
            && self.exceptions.is_empty()
    }

    fn write(&mut self, alt_index: u16, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 3]);
        varint::write(self.n_samples, out);
        varint::write(u32::from(alt_index), out);
        let n = self.n_samples;
        let carriers = write_haps(&self.carriers, n, out);
        let missing = write_samples(&self.missing, n, out);
        let phase = write_samples(&self.phase, n, out);
        let ploidy = write_samples(&self.ploidy, n, out);
        let (other, other_is_uniform) =
            other::write(&self.others, &self.other_alleles, n, &mut self.scratch, out);
        if !self.exceptions.is_empty() {
            varint::write_len(self.exceptions.len(), out);
            out.extend_from_slice(&self.exceptions);
        }
        let head = Head {
            default: self.default,
            carriers,
            missing,
            phase,
            ploidy,
            other,
            other_is_uniform,
            has_exceptions: !self.exceptions.is_empty(),
        };
        out[start..start + 3].copy_from_slice(&head.to_bytes());
    }

    fn counts(&self, alt_index: u16) -> AlleleCounts {
        let n_pairs = pairs(&self.carriers);
        let n_carriers = len(&self.carriers);
        let (haploid_called, haploid_hom) = self.haploid_counts();
        let regular = self.n_samples - self.n_exceptions;
        let n_missing = if self.default.is_missing() {
            regular - len(&self.missing)
        } else {
            len(&self.missing)
        };
        let called = match self.default {
            DefaultCall::None => 0,
            _ => regular - n_missing,
        };
        let mut counts = AlleleCounts::of(
            n_carriers,
            2 * called - haploid_called.min(called),
            n_carriers - 2 * n_pairs - haploid_hom,
            n_pairs + haploid_hom,
            n_missing,
        );
        for (_, text) in exceptions::Exceptions::trusted(&self.exceptions).iter() {
            counts.add_tally(exceptions::tally(text, alt_index));
        }
        counts.n_samples = i32::try_from(self.n_samples).unwrap_or(i32::MAX);
        counts
    }

    /// Called haploid samples, and those of them that carry the ALT.
    fn haploid_counts(&self) -> (u32, u32) {
        let default_haploid = self.default.is_haploid();
        if self.ploidy.is_empty() && !default_haploid {
            return (0, 0);
        }
        let samples = self.carriers.iter().map(|hap| hap >> 1);
        let mut unlike = Ascending::new(&self.ploidy);
        let mut n_hom = 0;
        let mut previous = u32::MAX;
        for sample in samples {
            let is_haploid = unlike.has(sample) != default_haploid;
            n_hom += u32::from(is_haploid && sample != previous);
            previous = sample;
        }
        let mut unlike = Ascending::new(&self.ploidy);
        let both = self.missing.iter().filter(|s| unlike.has(**s)).count();
        let both = u32::try_from(both).unwrap_or(u32::MAX);
        let regular = self.n_samples - self.n_exceptions;
        let (missing, unlike) = (len(&self.missing), len(&self.ploidy));
        // `missing` holds the called ones under a missing default, `ploidy` the diploid ones under
        // a haploid default: each of the four cases counts called haploids.
        let called = match (self.default.is_missing(), default_haploid) {
            (false, false) => unlike - both,
            (true, false) => both,
            (false, true) => regular + both - missing - unlike,
            (true, true) => missing - both,
        };
        (called, n_hom)
    }
}

/// Whether ascending numbers are in an ascending list.
struct Ascending<'a>(&'a [u32]);

impl<'a> Ascending<'a> {
    fn new(list: &'a [u32]) -> Self {
        Self(list)
    }

    fn has(&mut self, number: u32) -> bool {
        while let Some((first, rest)) = self.0.split_first() {
            if *first >= number {
                return *first == number;
            }
            self.0 = rest;
        }
        false
    }
}

fn unpack(alt: u64) -> (u32, u16) {
    let [a0, a1, h0, h1, h2, h3, _, _] = alt.to_le_bytes();
    (
        u32::from_le_bytes([h0, h1, h2, h3]),
        u16::from_le_bytes([a0, a1]),
    )
}

fn len(list: &[u32]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

/// Samples with both haplotypes in an ascending list.
fn pairs(haps: &[u32]) -> u32 {
    let neighbours = haps.iter().zip(haps.get(1..).unwrap_or_default());
    neighbours.map(|(a, b)| u32::from(b ^ a == 1)).sum()
}
