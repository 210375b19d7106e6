//! Genotype codec: the genotypes of one ALT allele in one sample block as one blob.
//!
//! A blob says what differs from the *default call*, the call that most samples of the record have.
//! A block in which nobody differs has no row at all.
//!
//! # Layout
//! ```text
//! +---------+--------+--------+-----------+-----------+
//! | version | forms  | class  | n_samples | alt_index |
//! | 1 byte  | 1 byte | 1 byte | varint    | varint    |
//! +---------+--------+--------+-----------+-----------+
//! +~~~~~~~~~~+~~~~~~~~~+~~~~~~~+~~~~~~~~+~~~~~~~+~~~~~~~~~~~~+
//! | carriers | missing | phase | ploidy | other | exceptions |   each only when not empty
//! +~~~~~~~~~~+~~~~~~~~~+~~~~~~~+~~~~~~~~+~~~~~~~+~~~~~~~~~~~~+
//! version   1
//! forms     bits 0-1 carriers, 2-3 missing, 4-5 phase, 6-7 ploidy: 0 empty, 1 list, 2 bits
//! class     bits 0-2 default call, 3-4 form of other, 5 other has one allele number for all,
//!           6 exceptions follow, 7 zero
//! list      varint bytes, then ascending numbers as varint gaps (the first as it is, then
//!           number - previous - 1)
//! bits      of samples: one plane of ceil(n_samples / 8) bytes, sample 0 in the lowest bit of
//!           byte 0; of haplotypes: two planes, haplotypes 0 of all samples, then haplotypes 1
//! ```
//! Sections, each over samples (`s`) or haplotypes (`2 s + h`, where `h` is the place in the text;
//! a haploid call has `h = 0` only):
//!
//! - *carriers*, haplotypes: this ALT stands there.
//! - *missing*, samples: `./.`, `.|.` or `.`; when the default is missing, the called ones instead.
//! - *phase*, samples: diploid calls of the other phasing than the default's (a haploid default
//!   counts as `/`). Homozygous calls too: `1|1` and `1/1` differ.
//! - *ploidy*, samples: haploid calls; when the default is haploid, the diploid ones instead.
//! - *other*, haplotypes: another ALT stands there. After the set one varint allele number for all,
//!   or a varint length and a varint for each in the order of haplotypes.
//! - *exceptions*: a varint length, then for each varint gap, varint length, text. Half calls,
//!   polyploid calls and prefixes. A sample here is in no other section.
//!
//! # Invariants
//! No haplotype is in two sections; a missing sample has none in any; a list is used when it is not
//! larger than the bits. [`GenotypeRow::parse`] checks all that could make a reader go astray
//! (lengths, order, bounds, texts); counts of bytes that break the invariants are merely wrong.
//!
//! # Worked example
//! Samples `0/0 0/1 ./. 1|1 0/2 1` under default `0/0`, the row of ALT 1: haplotypes 3, 6, 7 and 10
//! carry it. With 6 samples a plane has one byte: smaller than any list of samples, while a list of
//! one haplotype ties with two planes and wins:
//! ```text
//! 01          version
//! aa          carriers bits, missing bits, phase bits, ploidy bits
//! 29          default 0/0 (1), other list (1 << 3), one allele number (1 << 5)
//! 06 01       6 samples, ALT 1
//! 28 0a       carriers: haplotype 0 of samples 3 and 5; haplotype 1 of samples 1 and 3
//! 04          missing: sample 2
//! 08          phase: sample 3
//! 20          ploidy: sample 5
//! 01 09 02    other: 1 byte of list, haplotype 9 (sample 4, second), is allele 2
//! ```

pub mod array;
pub mod cell;
pub mod counted;
mod encode;
mod exceptions;
mod histogram;
mod kernels;
mod mask;
mod other;
mod row;
mod set;
mod sparse;
mod varint;

pub use encode::{EncodedRow, RecordEncoder};
pub use histogram::{DosageCounts, SampleCounts};
pub use mask::SampleMask;
pub use row::{CallRef, CallsOf, GenotypeRow};

use crate::codec::set::Form;
use crate::codec::varint::Reader;
use crate::genotype::{CallClass, Tally};

/// Most samples of one block; a blob that claims more is refused.
pub const BLOCK_SAMPLES_MAX: u32 = 1 << 20;

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
    /// Every class, each at the place of its number.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Unphased,
        Self::Phased,
        Self::Haploid,
        Self::Missing,
        Self::MissingPhased,
        Self::MissingHaploid,
    ];

    /// Its number in column `gt_default`, which is its place in [`DefaultCall::ALL`].
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The class of a number of column `gt_default`; `None` for any other number.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
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

    /// The class of the call; `None` for [`DefaultCall::None`].
    #[must_use]
    pub fn class(self) -> Option<CallClass> {
        match self {
            Self::None => None,
            call if call.is_missing() => Some(CallClass::Missing),
            _ => Some(CallClass::HomRef),
        }
    }

    fn is_missing(self) -> bool {
        use DefaultCall::{Missing, MissingHaploid, MissingPhased};
        matches!(self, Missing | MissingPhased | MissingHaploid)
    }

    fn is_haploid(self) -> bool {
        matches!(self, Self::Haploid | Self::MissingHaploid)
    }

    fn is_phased(self) -> bool {
        matches!(self, Self::Phased | Self::MissingPhased)
    }
}

/// Appends the blob of a row in which every sample has the default call. Tables leave such rows out; a cell holds one
/// where readers must learn which ALT of its record the row is of. Nothing for [`DefaultCall::None`].
pub fn write_default(n_samples: u32, default: DefaultCall, alt_index: u16, out: &mut Vec<u8>) {
    if default == DefaultCall::None {
        return;
    }
    let head = Head {
        default,
        carriers: Form::Empty,
        missing: Form::Empty,
        phase: Form::Empty,
        ploidy: Form::Empty,
        other: Form::Empty,
        other_is_uniform: false,
        has_exceptions: false,
    };
    out.extend_from_slice(&head.to_bytes());
    varint::write(n_samples, out);
    varint::write(u32::from(alt_index), out);
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

impl AlleleCounts {
    fn of(ac: u32, an: u32, n_het: u32, n_hom_alt: u32, n_missing: u32) -> Self {
        let int = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        Self {
            ac: int(ac),
            an: int(an),
            n_het: int(n_het),
            n_hom_alt: int(n_hom_alt),
            n_missing: int(n_missing),
            n_samples: 0,
        }
    }

    /// Adds one genotype to all counts but `n_samples`.
    pub fn add_tally(&mut self, tally: Tally) {
        self.ac += i32::from(tally.copies);
        self.an += i32::from(tally.called);
        self.n_het += i32::from(tally.is_het());
        self.n_hom_alt += i32::from(tally.is_hom_alt());
        self.n_missing += i32::from(tally.is_missing());
    }
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

/// What is left of counts without counts that are part of them.
impl std::ops::Sub for AlleleCounts {
    type Output = Self;

    fn sub(self, part: Self) -> Self {
        Self {
            ac: self.ac.saturating_sub(part.ac),
            an: self.an.saturating_sub(part.an),
            n_het: self.n_het.saturating_sub(part.n_het),
            n_hom_alt: self.n_hom_alt.saturating_sub(part.n_hom_alt),
            n_missing: self.n_missing.saturating_sub(part.n_missing),
            n_samples: self.n_samples.saturating_sub(part.n_samples),
        }
    }
}

impl std::ops::AddAssign for AlleleCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Version, forms and class: the first three bytes.
struct Head {
    default: DefaultCall,
    carriers: Form,
    missing: Form,
    phase: Form,
    ploidy: Form,
    other: Form,
    other_is_uniform: bool,
    has_exceptions: bool,
}

impl Head {
    const VERSION: u8 = 1;

    fn to_bytes(&self) -> [u8; 3] {
        let forms = self.carriers as u8
            | (self.missing as u8) << 2
            | (self.phase as u8) << 4
            | (self.ploidy as u8) << 6;
        let class = self.default as u8
            | (self.other as u8) << 3
            | u8::from(self.other_is_uniform) << 5
            | u8::from(self.has_exceptions) << 6;
        [Self::VERSION, forms, class]
    }

    #[inline]
    fn has_carriers_only(&self) -> bool {
        let forms = [self.missing, self.phase, self.ploidy, self.other];
        let empty = forms.iter().all(|form| *form == Form::Empty);
        empty && !self.other_is_uniform && !self.has_exceptions
    }

    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if reader.byte()? != Self::VERSION {
            return None;
        }
        let forms = reader.byte()?;
        let class = reader.byte()?;
        let default = DefaultCall::from_u8(class & 7)?;
        if class >> 7 != 0 || default == DefaultCall::None {
            return None;
        }
        Some(Self {
            default,
            carriers: Form::from_bits(forms)?,
            missing: Form::from_bits(forms >> 2)?,
            phase: Form::from_bits(forms >> 4)?,
            ploidy: Form::from_bits(forms >> 6)?,
            other: Form::from_bits(class >> 3)?,
            other_is_uniform: class >> 5 & 1 == 1,
            has_exceptions: class >> 6 & 1 == 1,
        })
    }
}

/// Reads whatever a blob holds through every public reader: the body of the fuzz target, which the
/// tests drive as well. Returns whether the bytes parsed.
#[doc(hidden)]
pub fn drive_genotype_row(bytes: &[u8]) -> bool {
    let Ok(row) = GenotypeRow::parse(bytes) else {
        return false;
    };
    let n = row.n_samples();
    let half = SampleMask::from_indices(n, (0..n).step_by(2));
    let mut text = Vec::new();
    let _ = (row.counts(), row.counts_in(&half));
    row.for_each_carrier(|sample, dosage| {
        let _ = (sample, dosage);
    });
    row.for_each_call(Some(&half), |_, call| {
        let _ = (call.dosage(), call.phased(), call.is_missing());
        text.clear();
        call.write_text(&mut text);
    });
    for sample in (0..n).step_by((n as usize / 16).max(1)) {
        let _ = (row.dosage(sample), row.genotype(sample));
    }
    true
}

#[cfg(test)]
mod tests;
