//! Other: haplotypes that carry another ALT of the record than the row's.
//!
//! They have dosage 0 in this row, but `0/2` must read back as `0/2`. A set of haplotypes, then the
//! allele number of all of them (when they agree), or of each in the order of haplotypes.

use crate::codec::set::{Form, HapSet, write_haps};
use crate::codec::varint::{self, Reader};
use crate::genotype::ALLELE_MAX;

/// A checked section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Other<'a> {
    pub(crate) haps: HapSet<'a>,
    alleles: Alleles<'a>,
}

/// Allele numbers in the order of the haplotypes.
#[derive(Debug, Clone)]
pub(crate) struct Alleles<'a> {
    uniform: u16,
    each: Option<Reader<'a>>,
}

impl Copy for Alleles<'_> {}

impl<'a> Other<'a> {
    pub(crate) const EMPTY: Other<'static> = Other {
        haps: HapSet::Empty,
        alleles: Alleles {
            uniform: 0,
            each: None,
        },
    };

    pub(crate) fn read(
        reader: &mut Reader<'a>,
        form: Form,
        is_uniform: bool,
        n_samples: u32,
        check: bool,
    ) -> Option<Self> {
        if form == Form::Empty {
            return (!is_uniform).then_some(Self::EMPTY);
        }
        let haps = HapSet::read(reader, form, n_samples, check)?;
        let alleles = if is_uniform {
            Alleles {
                uniform: allele(reader)?,
                each: None,
            }
        } else {
            let bytes = reader.prefixed()?;
            if check && !is_allele_list(bytes, haps.len()) {
                return None;
            }
            Alleles {
                uniform: 0,
                each: Some(Reader::new(bytes)),
            }
        };
        Some(Self { haps, alleles })
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.haps.is_empty()
    }

    /// Alleles of haplotypes 0 and 1 of a sample, 0 where they are not in this section.
    pub(crate) fn of_sample(&self, sample: u32) -> (u16, u16) {
        if self.haps.is_empty() {
            return (0, 0);
        }
        let (first, second) = self.haps.of_sample(sample);
        if !first && !second {
            return (0, 0);
        }
        let mut alleles = self.alleles();
        if alleles.each.is_some() {
            for _ in 0..self.haps.rank(sample) {
                alleles.next();
            }
        }
        let a = if first { alleles.next() } else { 0 };
        let b = if second { alleles.next() } else { 0 };
        (a, b)
    }

    pub(crate) fn alleles(&self) -> Alleles<'a> {
        self.alleles
    }
}

impl Alleles<'_> {
    /// Allele of the next haplotype.
    pub(crate) fn next(&mut self) -> u16 {
        match &mut self.each {
            None => self.uniform,
            Some(reader) => reader.varint_u16().unwrap_or(0),
        }
    }
}

fn allele(reader: &mut Reader<'_>) -> Option<u16> {
    let allele = reader.varint_u16()?;
    (allele != 0 && allele <= ALLELE_MAX).then_some(allele)
}

fn is_allele_list(bytes: &[u8], n: u32) -> bool {
    let mut reader = Reader::new(bytes);
    (0..n).all(|_| allele(&mut reader).is_some()) && reader.is_empty()
}

/// Writes the section of haplotypes `haps` with their `alleles`; its form and whether all agree.
pub(crate) fn write(
    haps: &[u32],
    alleles: &[u16],
    n_samples: u32,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> (Form, bool) {
    let form = write_haps(haps, n_samples, out);
    let Some(first) = alleles.first() else {
        return (form, false);
    };
    if alleles.iter().all(|allele| allele == first) {
        varint::write(u32::from(*first), out);
        return (form, true);
    }
    scratch.clear();
    for allele in alleles {
        varint::write(u32::from(*allele), scratch);
    }
    varint::write_len(scratch.len(), out);
    out.extend_from_slice(scratch);
    (form, false)
}
