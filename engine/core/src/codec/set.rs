//! Sets of samples (list or bitmap) and of haplotypes (list or two bit planes).
//!
//! Haplotype `2 * sample + h` is allele `h` (0 or 1) of a sample's call; a haploid call has only
//! `h = 0`. The writer takes the smaller form; a tie goes to the list.

use crate::codec::kernels;
use crate::codec::mask::SampleMask;
use crate::codec::sparse::{self, Iter, List};
use crate::codec::varint::{self, Reader};

/// Up to so many bytes a list is short.
const SHORT_LIST_BYTES: usize = 32;

/// How a set is stored; two bits of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    Empty = 0,
    List = 1,
    Bits = 2,
}

impl Form {
    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::Empty),
            1 => Some(Self::List),
            2 => Some(Self::Bits),
            _ => None,
        }
    }
}

/// Bytes of one bit plane of a block.
pub(crate) fn plane_len(n_samples: u32) -> usize {
    (n_samples as usize).div_ceil(8)
}

/// True when no bit at or above `n_samples` is set.
fn tail_is_clear(plane: &[u8], n_samples: u32) -> bool {
    let used = n_samples % 8;
    used == 0 || plane.last().is_none_or(|byte| byte >> used == 0)
}

#[inline]
fn read_plane<'a>(reader: &mut Reader<'a>, n_samples: u32) -> Option<&'a [u8]> {
    let plane = reader.take(plane_len(n_samples))?;
    tail_is_clear(plane, n_samples).then_some(plane)
}

#[inline]
fn read_list<'a>(reader: &mut Reader<'a>, limit: u32, check: bool) -> Option<List<'a>> {
    let bytes = reader.prefixed()?;
    if check {
        List::parse(bytes, limit)
    } else {
        Some(List::trusted(bytes))
    }
}

/// A set of samples.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SampleSet<'a> {
    Empty,
    List(List<'a>),
    Bits(&'a [u8]),
}

impl<'a> SampleSet<'a> {
    #[inline]
    pub(crate) fn read(
        reader: &mut Reader<'a>,
        form: Form,
        n_samples: u32,
        check: bool,
    ) -> Option<Self> {
        Some(match form {
            Form::Empty => Self::Empty,
            Form::List => Self::List(read_list(reader, n_samples, check)?),
            Form::Bits => Self::Bits(read_plane(reader, n_samples)?),
        })
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    pub(crate) fn contains(&self, sample: u32) -> bool {
        match self {
            Self::Empty => false,
            Self::List(list) => list.contains(sample),
            Self::Bits(plane) => kernels::bit(plane, sample),
        }
    }

    /// Samples of the set, all of them or those of the mask.
    #[inline]
    pub(crate) fn count(&self, mask: Option<&SampleMask>) -> u32 {
        match (self, mask) {
            (Self::Empty, _) => 0,
            (Self::List(list), None) => list.len(),
            (Self::List(list), Some(mask)) => {
                let mut n = 0;
                list.for_each(|sample| n += u32::from(mask.contains(sample)));
                n
            }
            (Self::Bits(plane), None) => kernels::count(plane),
            (Self::Bits(plane), Some(mask)) => kernels::count_in(plane, mask.words()),
        }
    }

    /// Calls `f` with each sample of the set, ascending.
    #[inline]
    pub(crate) fn for_each(&self, mut f: impl FnMut(u32)) {
        match *self {
            Self::Empty => {}
            Self::List(list) => list.for_each(f),
            Self::Bits(plane) => {
                for (base, word) in (0u32..).step_by(64).zip(kernels::words(plane)) {
                    kernels::for_each_bit(word, base, &mut f);
                }
            }
        }
    }

    pub(crate) fn words(&self) -> SampleWords<'a> {
        match *self {
            Self::Empty => SampleWords::Empty,
            Self::List(list) => SampleWords::List(ListWords::new(list)),
            Self::Bits(plane) => SampleWords::Bits(plane),
        }
    }
}

/// Writes a set of samples, ascending, and tells its form.
pub(crate) fn write_samples(samples: &[u32], n_samples: u32, out: &mut Vec<u8>) -> Form {
    let plane = plane_len(n_samples);
    if samples.is_empty() {
        return Form::Empty;
    }
    if write_list_up_to(samples, plane, out) {
        return Form::List;
    }
    let base = out.len();
    out.resize(base + plane, 0);
    for sample in samples {
        out[base + *sample as usize / 8] |= 1 << (sample % 8);
    }
    Form::Bits
}

/// Writes a set of haplotypes, ascending, and tells its form.
pub(crate) fn write_haps(haps: &[u32], n_samples: u32, out: &mut Vec<u8>) -> Form {
    let plane = plane_len(n_samples);
    if haps.is_empty() {
        return Form::Empty;
    }
    if write_list_up_to(haps, 2 * plane, out) {
        return Form::List;
    }
    let base = out.len();
    out.resize(base + 2 * plane, 0);
    let planes = &mut out[base..];
    for hap in haps {
        let at = (hap & 1) as usize * plane + (hap >> 4) as usize;
        planes[at] |= 1 << (hap >> 1 & 7);
    }
    Form::Bits
}

/// Writes the list unless it would take more than `max` bytes.
fn write_list_up_to(numbers: &[u32], max: usize, out: &mut Vec<u8>) -> bool {
    if numbers.len() >= max {
        return false;
    }
    let bytes = sparse::encoded_len(numbers);
    let head = u32::try_from(bytes).map_or(5, varint::len);
    if bytes + head > max {
        return false;
    }
    varint::write_len(bytes, out);
    sparse::encode(numbers, out);
    true
}

/// A set of haplotypes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum HapSet<'a> {
    Empty,
    List(List<'a>),
    Bits(&'a [u8], &'a [u8]),
}

impl<'a> HapSet<'a> {
    #[inline]
    pub(crate) fn read(
        reader: &mut Reader<'a>,
        form: Form,
        n_samples: u32,
        check: bool,
    ) -> Option<Self> {
        Some(match form {
            Form::Empty => Self::Empty,
            Form::List => Self::List(read_list(reader, n_samples.checked_mul(2)?, check)?),
            Form::Bits => {
                let first = read_plane(reader, n_samples)?;
                Self::Bits(first, read_plane(reader, n_samples)?)
            }
        })
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// True for a list so short that looking for each of its samples costs less than reading planes.
    pub(crate) fn is_short_list(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::List(list) => list.bytes_len() <= SHORT_LIST_BYTES,
            Self::Bits(..) => false,
        }
    }

    /// Haplotypes of the set (copies) and samples with both of theirs in it (pairs).
    #[inline]
    pub(crate) fn count(&self, mask: Option<&SampleMask>) -> (u32, u32) {
        match (self, mask) {
            (Self::Empty, _) => (0, 0),
            (Self::List(list), None) => count_list(list, |_| true),
            (Self::List(list), Some(mask)) => count_list(list, |s| mask.contains(s)),
            (Self::Bits(a, b), None) => kernels::count_pair(a, b),
            (Self::Bits(a, b), Some(mask)) => kernels::count_pair_in(a, b, mask.words()),
        }
    }

    /// Whether haplotypes 0 and 1 of a sample are in the set.
    pub(crate) fn of_sample(&self, sample: u32) -> (bool, bool) {
        match self {
            Self::Empty => (false, false),
            Self::Bits(a, b) => (kernels::bit(a, sample), kernels::bit(b, sample)),
            Self::List(list) => {
                let mut near = list.iter().skip_while(|hap| hap >> 1 < sample);
                match near.next() {
                    Some(hap) if hap == 2 * sample => (true, near.next() == Some(hap + 1)),
                    Some(hap) => (false, hap == 2 * sample + 1),
                    None => (false, false),
                }
            }
        }
    }

    /// How many haplotypes of the set come before those of `sample`.
    pub(crate) fn rank(&self, sample: u32) -> usize {
        match self {
            Self::Empty => 0,
            Self::Bits(a, b) => (kernels::rank(a, sample) + kernels::rank(b, sample)) as usize,
            Self::List(list) => list.iter().take_while(|hap| hap >> 1 < sample).count(),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        match self {
            Self::Empty => 0,
            Self::List(list) => list.len(),
            Self::Bits(a, b) => kernels::count(a) + kernels::count(b),
        }
    }

    /// Calls `f` with each sample of the set and how many of its haplotypes are in it.
    #[inline]
    pub(crate) fn for_each_sample(&self, mut f: impl FnMut(u32, u8)) {
        match self {
            Self::Empty => {}
            Self::List(list) => {
                let mut haps = list.iter();
                let mut ahead = haps.next();
                while let Some(hap) = ahead {
                    ahead = haps.next();
                    let both = hap & 1 == 0 && ahead == Some(hap + 1);
                    if both {
                        ahead = haps.next();
                    }
                    f(hap >> 1, 1 + u8::from(both));
                }
            }
            Self::Bits(a, b) => {
                let words = kernels::words(a).zip(kernels::words(b));
                for (base, (a, b)) in (0u32..).step_by(64).zip(words) {
                    let both = a & b;
                    kernels::for_each_bit(a | b, base, |sample| {
                        let extra = both >> (sample % 64) & 1;
                        f(sample, 1 + u8::from(extra == 1));
                    });
                }
            }
        }
    }

    pub(crate) fn words(&self) -> HapWords<'a> {
        match *self {
            Self::Empty => HapWords::Empty,
            Self::List(list) => HapWords::List(list.iter().peekable()),
            Self::Bits(a, b) => HapWords::Bits(a, b),
        }
    }
}

#[inline]
fn count_list(haps: &List<'_>, keep: impl Fn(u32) -> bool) -> (u32, u32) {
    let (mut copies, mut pairs) = (0, 0);
    let mut previous = u32::MAX;
    haps.for_each(|hap| {
        let kept = u32::from(keep(hap >> 1));
        copies += kept;
        pairs += kept & hap & u32::from(previous == hap.wrapping_sub(1));
        previous = hap;
    });
    (copies, pairs)
}

/// A list read as words, which are asked for in order.
#[derive(Debug)]
pub(crate) struct ListWords<'a>(std::iter::Peekable<Iter<'a>>);

impl<'a> ListWords<'a> {
    fn new(list: List<'a>) -> Self {
        Self(list.iter().peekable())
    }

    fn word(&mut self, index: u32) -> u64 {
        let mut word = 0;
        while let Some(sample) = self.0.next_if(|sample| sample / 64 <= index) {
            word |= 1 << (sample % 64);
        }
        word
    }
}

/// A set of samples read as words of 64 samples, asked for in order from 0.
#[derive(Debug)]
pub(crate) enum SampleWords<'a> {
    Empty,
    List(ListWords<'a>),
    Bits(&'a [u8]),
}

impl SampleWords<'_> {
    pub(crate) fn word(&mut self, index: u32) -> u64 {
        match self {
            Self::Empty => 0,
            Self::List(list) => list.word(index),
            Self::Bits(plane) => kernels::word(plane, index as usize),
        }
    }
}

/// A set of haplotypes read as pairs of words of 64 samples, asked for in order from 0.
#[derive(Debug)]
pub(crate) enum HapWords<'a> {
    Empty,
    List(std::iter::Peekable<Iter<'a>>),
    Bits(&'a [u8], &'a [u8]),
}

impl HapWords<'_> {
    pub(crate) fn words(&mut self, index: u32) -> (u64, u64) {
        match self {
            Self::Empty => (0, 0),
            Self::Bits(a, b) => {
                let index = index as usize;
                (kernels::word(a, index), kernels::word(b, index))
            }
            Self::List(list) => {
                let mut words = [0, 0];
                while let Some(hap) = list.next_if(|hap| hap / 128 <= index) {
                    words[(hap & 1) as usize] |= 1 << (hap >> 1 & 63);
                }
                (words[0], words[1])
            }
        }
    }
}
