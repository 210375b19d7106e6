//! Genotype codec: the genotypes of one ALT allele in one sample block as one blob.

pub mod array;
pub mod cell;

use crate::error::Result;
use crate::genotype::Genotype;

/// Allele number that stands for `.` in [`RecordEncoder::diploid`].
pub const MISSING: u16 = u16::MAX;

/// The call that every sample has that a row does not name; column `gt_default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum DefaultCall {
    /// The record has no GT.
    #[default]
    None = 0,
    /// `0/0`
    Unphased = 1,
    /// `0|0`
    Phased = 2,
    /// `0`
    Haploid = 3,
    /// `./.`
    Missing = 4,
    /// `.|.`
    MissingPhased = 5,
    /// `.`
    MissingHaploid = 6,
}

impl DefaultCall {
    /// The class of a number of column `gt_default`; `None` for any other number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Unphased,
            2 => Self::Phased,
            3 => Self::Haploid,
            4 => Self::Missing,
            5 => Self::MissingPhased,
            6 => Self::MissingHaploid,
            _ => return None,
        })
    }

    /// The class whose text is `gt`, if any; what a record's commonest call may become.
    #[must_use]
    pub fn of_text(gt: &[u8]) -> Option<Self> {
        Some(match gt {
            b"0/0" => Self::Unphased,
            b"0|0" => Self::Phased,
            b"0" => Self::Haploid,
            b"./." => Self::Missing,
            b".|." => Self::MissingPhased,
            b"." => Self::MissingHaploid,
            _ => return None,
        })
    }

    /// The text of the call; empty for [`DefaultCall::None`].
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Unphased => "0/0",
            Self::Phased => "0|0",
            Self::Haploid => "0",
            Self::Missing => "./.",
            Self::MissingPhased => ".|.",
            Self::MissingHaploid => ".",
        }
    }
}

/// Counts over samples of one ALT allele.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlleleCounts {
    /// Called copies of the ALT.
    pub ac: i32,
    /// Called alleles; a half call adds one.
    pub an: i32,
    /// Genotypes with every allele called, some but not all of them the ALT.
    pub n_het: i32,
    /// Genotypes with every allele called and all of them the ALT; haploid included.
    pub n_hom_alt: i32,
    /// Genotypes with any allele missing.
    pub n_missing: i32,
    /// Samples counted, also those of a record without GT.
    pub n_samples: i32,
}

impl std::ops::Add for AlleleCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            ac: self.ac.saturating_add(other.ac),
            an: self.an.saturating_add(other.an),
            n_het: self.n_het.saturating_add(other.n_het),
            n_hom_alt: self.n_hom_alt.saturating_add(other.n_hom_alt),
            n_missing: self.n_missing.saturating_add(other.n_missing),
            n_samples: self.n_samples.saturating_add(other.n_samples),
        }
    }
}

impl std::ops::AddAssign for AlleleCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// What [`RecordEncoder::finish`] wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncodedRow {
    /// Counts of the row.
    pub counts: AlleleCounts,
    /// True when every sample has the default call: nothing was written, the row may be dropped.
    pub is_default: bool,
}

/// Builds the rows of one record for one block, all ALTs at once; reused from record to record.
#[derive(Debug, Default)]
pub struct RecordEncoder {}

impl RecordEncoder {
    /// An empty encoder; call [`RecordEncoder::begin`] before anything else.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a record with `n_alts` ALT alleles in a block of `n_samples`.
    pub fn begin(&mut self, n_samples: u32, n_alts: u16, default: DefaultCall) {
        let _ = (n_samples, n_alts, default);
    }

    /// A diploid call without prefix; [`MISSING`] is `.`. Samples ascend; those never mentioned
    /// have the default call, which may be mentioned too.
    #[inline]
    pub fn diploid(&mut self, sample: u32, a: u16, b: u16, phased: bool) {
        let _ = (sample, a, b, phased);
    }

    /// A haploid call without prefix; [`MISSING`] is `.`.
    #[inline]
    pub fn haploid(&mut self, sample: u32, a: u16) {
        let _ = (sample, a);
    }

    /// Any genotype text.
    ///
    /// # Errors
    /// The text is no genotype, names an allele above `n_alts`, or samples do not ascend.
    pub fn call(&mut self, sample: u32, text: &[u8]) -> Result<()> {
        let _ = (sample, text);
        Ok(())
    }

    /// Appends the blob of ALT `alt_index` (1-based; 0 for a record whose ALT is `.`) to `out`.
    pub fn finish(&mut self, alt_index: u16, out: &mut Vec<u8>) -> EncodedRow {
        let _ = (alt_index, out);
        todo!()
    }
}

/// A set of samples of one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleMask {
    words: Vec<u64>,
    n_samples: u32,
    ones: u32,
}

impl SampleMask {
    /// Every one of `n_samples`.
    #[must_use]
    pub fn all(n_samples: u32) -> Self {
        Self::from_indices(n_samples, 0..n_samples)
    }

    /// The samples of `indices` (0-based, any order); those outside of the block are left out.
    #[must_use]
    pub fn from_indices(n_samples: u32, indices: impl IntoIterator<Item = u32>) -> Self {
        let mut words = vec![0u64; (n_samples as usize).div_ceil(64)];
        for index in indices.into_iter().filter(|i| *i < n_samples) {
            words[index as usize / 64] |= 1 << (index % 64);
        }
        let ones = words.iter().map(|w| w.count_ones()).sum();
        Self {
            words,
            n_samples,
            ones,
        }
    }

    /// True when the sample is in the set.
    #[must_use]
    pub fn contains(&self, sample: u32) -> bool {
        self.words
            .get(sample as usize / 64)
            .is_some_and(|word| word >> (sample % 64) & 1 == 1)
    }

    /// How many samples are in the set.
    #[must_use]
    pub fn count_ones(&self) -> u32 {
        self.ones
    }

    /// Size of the block.
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        self.n_samples
    }
}

/// Borrowed view of one blob.
#[derive(Debug, Clone, Copy)]
pub struct GenotypeRow<'a> {
    n_samples: u32,
    bytes: &'a [u8],
}

impl<'a> GenotypeRow<'a> {
    /// Reads and checks a blob.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when the bytes are not a blob of this version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Ok(Self {
            n_samples: 0,
            bytes,
        })
    }

    /// The row that is absent from the table: every sample has the default call.
    #[must_use]
    pub fn of_default(n_samples: u32, default: DefaultCall) -> GenotypeRow<'static> {
        let _ = default;
        GenotypeRow {
            n_samples,
            bytes: &[],
        }
    }

    /// Size of the block.
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        self.n_samples
    }

    /// Which ALT of the record the row is about, 1-based.
    #[must_use]
    pub fn alt_index(&self) -> u16 {
        let _ = self.bytes;
        0
    }

    /// The call of the samples that the row does not name.
    #[must_use]
    pub fn default_call(&self) -> DefaultCall {
        todo!()
    }

    /// Counts over all samples.
    #[must_use]
    pub fn counts(&self) -> AlleleCounts {
        todo!()
    }

    /// Counts over the samples of `mask`.
    #[must_use]
    pub fn counts_in(&self, mask: &SampleMask) -> AlleleCounts {
        let _ = mask;
        todo!()
    }

    /// Copies of the ALT; `None` when no allele is called or there is no such sample.
    #[must_use]
    pub fn dosage(&self, sample: u32) -> Option<u8> {
        let _ = sample;
        todo!()
    }

    /// The genotype; `None` without GT or without such a sample.
    #[must_use]
    pub fn genotype(&self, sample: u32) -> Option<Genotype> {
        let _ = sample;
        todo!()
    }

    /// Calls `f` with each sample that carries the ALT and its dosage, samples ascending.
    pub fn for_each_carrier(&self, f: impl FnMut(u32, u8)) {
        let _ = f;
        todo!()
    }

    /// Calls `f` with every sample (of `mask`), ascending.
    pub fn for_each_call(&self, mask: Option<&SampleMask>, f: impl FnMut(u32, CallRef<'_>)) {
        let _ = (mask, f);
        todo!()
    }
}

/// One call of a row.
#[derive(Debug, Clone, Copy)]
pub struct CallRef<'a> {
    text: &'a [u8],
}

impl CallRef<'_> {
    /// True when the record has GT at all.
    #[must_use]
    pub fn has_gt(&self) -> bool {
        !self.text.is_empty()
    }

    /// Copies of the ALT; `None` when no allele is called.
    #[must_use]
    pub fn dosage(&self) -> Option<u8> {
        todo!()
    }

    /// True when every allele is phased; see [`Genotype::is_phased`]. False without GT.
    #[must_use]
    pub fn phased(&self) -> bool {
        todo!()
    }

    /// Appends the text of the call; nothing without GT.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.text);
    }
}
