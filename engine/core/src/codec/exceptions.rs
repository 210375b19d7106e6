//! Exceptions: calls that are neither regular diploid nor regular haploid, as sample and text.
//!
//! Half calls (`./1`), polyploid calls (`0/0/1`) and calls with a phasing prefix (`/0|1`). Each is a
//! varint gap (as in a list, see `sparse`), a varint length and the text.

use crate::codec::varint::{self, Reader};
use crate::genotype::{Scan, Tally};

/// A checked section.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exceptions<'a> {
    bytes: &'a [u8],
}

impl<'a> Exceptions<'a> {
    pub(crate) const EMPTY: Exceptions<'static> = Exceptions { bytes: &[] };

    /// The section in `bytes`; `None` unless samples are below `n_samples` and texts are genotypes.
    pub(crate) fn parse(bytes: &'a [u8], n_samples: u32) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut next = 0u64;
        while !reader.is_empty() {
            let sample = next + u64::from(reader.varint()?);
            if sample >= u64::from(n_samples) || !is_genotype(reader.prefixed()?) {
                return None;
            }
            next = sample + 1;
        }
        (next > 0).then_some(Self { bytes })
    }

    /// The section in bytes that were checked, or just written.
    pub(crate) fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sample and text of each, samples ascending.
    pub(crate) fn iter(&self) -> Iter<'a> {
        Iter {
            reader: Reader::new(self.bytes),
            next: 0,
        }
    }

    pub(crate) fn find(&self, sample: u32) -> Option<&'a [u8]> {
        let near = self.iter().find(|(s, _)| *s >= sample);
        near.filter(|(s, _)| *s == sample).map(|(_, text)| text)
    }
}

fn is_genotype(text: &[u8]) -> bool {
    let mut scan = Scan::new(text);
    loop {
        match scan.next() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

/// Counts the alleles of a text that was checked.
pub(crate) fn tally(text: &[u8], alt: u16) -> Tally {
    let mut tally = Tally::default();
    let mut scan = Scan::new(text);
    while let Ok(Some((_, allele))) = scan.next() {
        tally.add(allele, alt);
    }
    tally
}

/// [`crate::genotype::Genotype::is_phased`] of a text that was checked.
pub(crate) fn is_phased(text: &[u8]) -> bool {
    let mut scan = Scan::new(text);
    let mut first = !scan.has_prefix;
    while let Ok(Some((phased, _))) = scan.next() {
        if !phased && !first {
            return false;
        }
        first = false;
    }
    true
}

/// Appends one exception; `next` is the sample after the one before (0 at first).
pub(crate) fn write(next: u32, sample: u32, text: &[u8], out: &mut Vec<u8>) {
    varint::write(sample - next, out);
    varint::write_len(text.len(), out);
    out.extend_from_slice(text);
}

/// Exceptions of a section, samples ascending.
#[derive(Debug, Clone)]
pub(crate) struct Iter<'a> {
    reader: Reader<'a>,
    next: u32,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let sample = self.next.wrapping_add(self.reader.varint()?);
        self.next = sample.wrapping_add(1);
        Some((sample, self.reader.prefixed()?))
    }
}
