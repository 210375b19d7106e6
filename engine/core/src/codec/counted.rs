//! Counted cell: counts of some cohorts in the place of the genotypes of a row.
//!
//! Where a statement only counts, a scan gives counts away instead of genotypes: nothing is copied and nothing read
//! twice. A counted cell stands in the same column as a [cell](crate::codec::cell) and tells itself apart by its
//! version. It names its cohorts by a number made of their names, so that a function which asks for another cohort
//! is refused rather than given a wrong number.
//!
//! # Layout
//! ```text
//! +---------+-----------+~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~+
//! | version | n_cohorts | id u64 | ac | an | n_het | n_hom_alt | n_missing | genotypes (i32 each) | …      |
//! | 1 byte  | 1 byte    |                                                                                 |
//! +---------+-----------+~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~+
//! ```

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::{AddAssign, Sub};

use crate::codec::set::Form;
use crate::codec::varint::Reader;
use crate::codec::{AlleleCounts, DefaultCall, GenotypeRow, Head, SampleMask};
use crate::error::{Error, Result};

const VERSION: u8 = 2;
const HEAD_BYTES: usize = 2;
const COHORT_BYTES: usize = 32;

/// Cohorts of one cell at most.
pub const COHORTS_MAX: usize = 255;

/// Number of a cohort in counted cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CohortId(u64);

impl CohortId {
    /// Everybody.
    pub const ALL: Self = Self(0);

    /// The number of a set of samples; order and repeats do not matter.
    #[must_use]
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        Self(hasher.finish().max(1))
    }
}

/// Counts of one row over a cohort.
///
/// # Missing calls
/// As in [`AlleleCounts`]; `genotypes` counts samples whose record has GT, called or missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CohortCounts {
    /// Alleles and genotypes by class.
    pub alleles: AlleleCounts,
    /// Samples that have a genotype, called or missing.
    pub genotypes: i32,
}

impl CohortCounts {
    /// Counts of a row over all of its samples or those of a mask of its size.
    #[must_use]
    pub fn of(row: &GenotypeRow<'_>, mask: Option<&SampleMask>) -> Self {
        let alleles = mask.map_or_else(|| row.counts(), |mask| row.counts_in(mask));
        let has_gt = row.default_call() != DefaultCall::None;
        let genotypes = if has_gt { alleles.n_samples } else { 0 };
        Self { alleles, genotypes }
    }

    /// [`CohortCounts::of`] of the commonest kind of row, straight from bytes that [`GenotypeRow::parse`] accepted
    /// before: a list of the carriers among diploid calls, and nothing else. `None` for every other kind, and for
    /// a mask of another size.
    ///
    /// # Cost
    /// One pass over the list; no row is made.
    #[inline]
    #[must_use]
    pub fn of_listed(bytes: &[u8], mask: &SampleMask) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let head = Head::read(&mut reader)?;
        let n = reader.varint()?;
        reader.varint_u16()?;
        let diploid = matches!(head.default, DefaultCall::Unphased | DefaultCall::Phased);
        let listed = head.has_carriers_only() && head.carriers == Form::List;
        if !diploid || !listed || n != mask.n_samples() {
            return None;
        }
        let mut gaps = Reader::new(reader.prefixed()?);
        let (mut copies, mut pairs, mut next) = (0, 0, 0u32);
        while !gaps.is_empty() {
            let gap = gaps.varint()?;
            let hap = next.wrapping_add(gap);
            next = hap.wrapping_add(1);
            let member = i32::from(mask.contains(hap >> 1));
            copies += member;
            // The second haplotype right after another one: that is the first of the same sample.
            pairs += member & i32::from(gap == 0 && hap & 1 == 1);
        }
        let members = i32::try_from(mask.count_ones()).ok()?;
        let alleles = AlleleCounts {
            ac: copies,
            an: 2 * members,
            n_het: copies - 2 * pairs,
            n_hom_alt: pairs,
            n_missing: 0,
            n_samples: members,
        };
        Some(Self {
            alleles,
            genotypes: members,
        })
    }
}

impl AddAssign for CohortCounts {
    fn add_assign(&mut self, other: Self) {
        self.alleles += other.alleles;
        self.genotypes = self.genotypes.saturating_add(other.genotypes);
    }
}

/// What is left of counts without counts that are part of them.
impl Sub for CohortCounts {
    type Output = Self;

    fn sub(self, part: Self) -> Self {
        Self {
            alleles: self.alleles - part.alleles,
            genotypes: self.genotypes.saturating_sub(part.genotypes),
        }
    }
}

/// Appends the head of a counted cell; as many cohorts follow.
pub fn write_head(n_cohorts: u8, out: &mut Vec<u8>) {
    out.extend([VERSION, n_cohorts]);
}

/// Appends the counts of one cohort.
pub fn write_cohort(id: CohortId, counts: &CohortCounts, out: &mut Vec<u8>) {
    let c = &counts.alleles;
    out.extend(id.0.to_le_bytes());
    for count in [
        c.ac,
        c.an,
        c.n_het,
        c.n_hom_alt,
        c.n_missing,
        counts.genotypes,
    ] {
        out.extend(count.to_le_bytes());
    }
}

/// True for the bytes of a counted cell, false for those of genotypes.
#[must_use]
pub fn is_counted(bytes: &[u8]) -> bool {
    bytes.first() == Some(&VERSION)
}

/// The counts of a cohort in a counted cell. `n_samples` is not stored and left 0.
///
/// # Errors
/// [`Error::Corrupt`] when the bytes are no counted cell, or one without this cohort.
///
/// # Examples
/// ```
/// use genokura_core::codec::counted::{CohortCounts, CohortId, counts_of, write_cohort, write_head};
/// let id = CohortId::of(["B", "A", "B"]);
/// assert_eq!(id, CohortId::of(["A", "B"]));
/// let mut cell = Vec::new();
/// write_head(1, &mut cell);
/// write_cohort(id, &CohortCounts::default(), &mut cell);
/// assert_eq!(counts_of(&cell, id)?, CohortCounts::default());
/// assert!(counts_of(&cell, CohortId::ALL).is_err());
/// # Ok::<(), genokura_core::Error>(())
/// ```
pub fn counts_of(bytes: &[u8], id: CohortId) -> Result<CohortCounts> {
    let corrupt = |reason| Error::corrupt("counted genotype cell", reason);
    let (head, cohorts) = bytes
        .split_at_checked(HEAD_BYTES)
        .ok_or_else(|| corrupt("head"))?;
    if head[0] != VERSION {
        return Err(corrupt("unknown version"));
    }
    if cohorts.len() != usize::from(head[1]) * COHORT_BYTES {
        return Err(corrupt("length"));
    }
    let wanted = id.0.to_le_bytes();
    let mut cohorts = cohorts.chunks_exact(COHORT_BYTES);
    let cohort = cohorts.find(|cohort| cohort.starts_with(&wanted));
    let cohort = cohort.ok_or_else(|| corrupt("it counts other cohorts"))?;
    let mut numbers = cohort[8..].chunks_exact(4).map(|bytes| {
        let bytes = bytes.first_chunk().copied().unwrap_or_default();
        i32::from_le_bytes(bytes)
    });
    let mut next = || numbers.next().unwrap_or_default();
    let alleles = AlleleCounts {
        ac: next(),
        an: next(),
        n_het: next(),
        n_hom_alt: next(),
        n_missing: next(),
        n_samples: 0,
    };
    Ok(CohortCounts {
        alleles,
        genotypes: next(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn counts(base: i32) -> CohortCounts {
        CohortCounts {
            alleles: AlleleCounts {
                ac: base,
                an: base + 1,
                n_het: base + 2,
                n_hom_alt: base + 3,
                n_missing: base + 4,
                n_samples: 0,
            },
            genotypes: base + 5,
        }
    }

    #[test]
    fn golden_bytes() {
        let mut cell = Vec::new();
        write_head(1, &mut cell);
        write_cohort(CohortId::ALL, &counts(1), &mut cell);
        let mut expected = vec![2, 1];
        expected.extend([0; 8]);
        expected.extend((1..=6u8).flat_map(|n| [n, 0, 0, 0]));
        assert_eq!(cell, expected);
        assert!(is_counted(&cell));
    }

    #[test]
    fn each_cohort_has_its_own_counts_and_damage_is_told() {
        let ids = [CohortId::ALL, CohortId::of(["A"]), CohortId::of(["B"])];
        let mut cell = Vec::new();
        write_head(3, &mut cell);
        for (id, base) in ids.into_iter().zip([10, 20, 30]) {
            write_cohort(id, &counts(base), &mut cell);
        }
        for (id, base) in ids.into_iter().zip([10, 20, 30]) {
            assert_eq!(counts_of(&cell, id).unwrap(), counts(base));
        }
        assert!(counts_of(&cell, CohortId::of(["A", "B"])).is_err());
        for end in 0..cell.len() {
            assert!(counts_of(&cell[..end], ids[0]).is_err(), "{end}");
        }
        cell[0] = 1;
        assert!(counts_of(&cell, ids[0]).is_err());
    }

    #[test]
    fn a_part_can_be_taken_back() {
        let mut sum = counts(7);
        sum += counts(3);
        assert_eq!(sum - counts(3), counts(7));
    }
}
