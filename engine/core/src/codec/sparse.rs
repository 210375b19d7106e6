//! Sparse: an ascending list of numbers as gaps.
//!
//! The first number is stored as it is, each further one as `number - previous - 1`, all varints.
//! A list cannot hold a number twice, whatever its bytes are.

use crate::codec::varint::{self, Reader};

/// A checked list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List<'a> {
    bytes: &'a [u8],
    /// Every gap is known to be one byte.
    short: bool,
}

impl<'a> List<'a> {
    /// The list in `bytes`; `None` unless it has numbers, all of them below `limit`.
    #[inline]
    pub(crate) fn parse(bytes: &'a [u8], limit: u32) -> Option<Self> {
        let short = bytes.iter().fold(0, |all, byte| all | byte) < 0x80;
        let list = Self { bytes, short };
        let last = list.last()?;
        (last < u64::from(limit)).then_some(list)
    }

    /// The list in bytes that were checked before.
    pub(crate) fn trusted(bytes: &'a [u8]) -> Self {
        let short = false;
        Self { bytes, short }
    }

    #[inline]
    fn last(&self) -> Option<u64> {
        if self.bytes.is_empty() {
            return None;
        }
        if self.short {
            // No sum of 16 bits overflows: 256 gaps are below 2^15.
            let sum = |gaps: &[u8]| gaps.iter().map(|gap| u16::from(*gap)).sum::<u16>();
            let gaps: u64 = self
                .bytes
                .chunks(256)
                .map(|gaps| u64::from(sum(gaps)))
                .sum();
            return Some(gaps + self.bytes.len() as u64 - 1);
        }
        let mut reader = Reader::new(self.bytes);
        let mut next = 0u64;
        while !reader.is_empty() {
            next += u64::from(reader.varint()?) + 1;
        }
        Some(next - 1)
    }

    pub(crate) fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// How many numbers there are: each has one byte without the high bit.
    pub(crate) fn len(&self) -> u32 {
        let ends = self.bytes.iter().map(|byte| u64::from(byte >> 7 ^ 1));
        u32::try_from(ends.sum::<u64>()).unwrap_or(u32::MAX)
    }

    pub(crate) fn iter(&self) -> Iter<'a> {
        Iter {
            reader: Reader::new(self.bytes),
            next: 0,
        }
    }

    /// Calls `f` with each number, ascending.
    ///
    /// # Cost
    /// Where every gap is one byte, as in the lists of common alleles, an addition for each number.
    #[inline]
    pub(crate) fn for_each(&self, mut f: impl FnMut(u32)) {
        let mut bytes = self.bytes;
        let mut next = 0u32;
        if self.short {
            for gap in bytes {
                let number = next.wrapping_add(u32::from(*gap));
                next = number.wrapping_add(1);
                f(number);
            }
            return;
        }
        loop {
            let short = bytes.iter().take_while(|byte| **byte < 0x80).count();
            let (gaps, rest) = bytes.split_at(short);
            for gap in gaps {
                let number = next.wrapping_add(u32::from(*gap));
                next = number.wrapping_add(1);
                f(number);
            }
            let mut reader = Reader::new(rest);
            let Some(gap) = reader.varint() else {
                return;
            };
            let number = next.wrapping_add(gap);
            next = number.wrapping_add(1);
            f(number);
            bytes = reader.rest();
        }
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        self.iter().find(|n| *n >= number) == Some(number)
    }
}

/// Numbers of a list, ascending.
#[derive(Debug, Clone)]
pub(crate) struct Iter<'a> {
    reader: Reader<'a>,
    next: u32,
}

impl Iterator for Iter<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        let gap = self.reader.varint()?;
        let number = self.next.wrapping_add(gap);
        self.next = number.wrapping_add(1);
        Some(number)
    }
}

/// Bytes of the list of `numbers`, which ascend.
pub(crate) fn encoded_len(numbers: &[u32]) -> usize {
    let mut next = 0;
    let mut bytes = 0;
    for number in numbers {
        bytes += varint::len(number - next);
        next = number + 1;
    }
    bytes
}

/// Appends the list of `numbers`, which ascend.
pub(crate) fn encode(numbers: &[u32], out: &mut Vec<u8>) {
    let mut next = 0;
    for number in numbers {
        varint::write(number - next, out);
        next = number + 1;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_round_trip(set in prop::collection::btree_set(0u32..100_000, 1..200)) {
            let numbers: Vec<u32> = set.into_iter().collect();
            let mut bytes = Vec::new();
            encode(&numbers, &mut bytes);
            prop_assert_eq!(bytes.len(), encoded_len(&numbers));
            let last = *numbers.last().unwrap();
            prop_assert!(List::parse(&bytes, last).is_none());
            let list = List::parse(&bytes, last + 1).unwrap();
            prop_assert_eq!(list.len() as usize, numbers.len());
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), numbers.clone());
            let mut visited = Vec::new();
            list.for_each(|number| visited.push(number));
            prop_assert_eq!(visited, numbers.clone());
            prop_assert!(numbers.iter().all(|n| list.contains(*n)));
            prop_assert_eq!(list.contains(50_000), numbers.contains(&50_000));
        }

        #[test]
        fn what_parses_stays_below_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..30), limit in 0u32..5000) {
            if let Some(list) = List::parse(&bytes, limit) {
                let numbers: Vec<u32> = list.iter().collect();
                prop_assert!(numbers.is_sorted_by(|a, b| a < b));
                prop_assert!(numbers.iter().all(|n| *n < limit));
                prop_assert_eq!(numbers.len(), list.len() as usize);
            }
        }
    }
}
