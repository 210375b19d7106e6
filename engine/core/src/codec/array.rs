//! Array blob: the values of one FORMAT key of one record in one sample block.
//!
//! # Layout, version 2: numbers, as many for each sample
//! ```text
//! +---------+---------+-----------+~~~~~~~~~~+----------+--------+~~~~~~~~+~~~~~~~~~+
//! | version | form    | n_samples | presence | n_values | widths | planes | escapes |
//! | 1 byte  | 1 byte  | varint    |          | varint   |        |        |         |
//! +---------+---------+-----------+~~~~~~~~~~+----------+--------+~~~~~~~~+~~~~~~~~~+
//! form      bits 0-1 kind: 0 Integer, 1 Float
//!           bits 2-4 zero
//!           bit  5   there is a presence plane
//!           bits 6-7 relation: 0 alone, 1 rest of the base, 2 above the base
//! presence  one bit for each sample, sample 0 in the lowest bit of byte 0; stored samples only
//!           below. Without it every sample is stored.
//! n_values  values of each stored sample, at least 1
//! widths    a byte for each value: 0 u8, 1 i16, 2 i32 or f32, 3 nearly all the same
//! planes    the first value of all stored samples, then the second, ...; of a wider value first the
//!           lowest byte of all samples, then the next. Width 3: the value itself, 4 bytes
//! escapes   varint n, then n times (index u32 LE, value 4 bytes), indexes ascending; index =
//!           number of the value x stored samples + number of the stored sample
//! ```
//! # Layout, version 1: texts, and numbers that differ in count from sample to sample
//! ```text
//! +---------+---------+-----------+~~~~~~~~~~+~~~~~~~~+~~~~~~~~+~~~~~~~~~+
//! | version | form    | n_samples | presence | counts | values | escapes |
//! | 1 byte  | 1 byte  | varint    |          |        |        |         |
//! +---------+---------+-----------+~~~~~~~~~~+~~~~~~~~+~~~~~~~~+~~~~~~~~~+
//! form      bits 0-1 kind: 0 Integer, 1 Float, 2 Text
//!           bits 2-3 width of a value: 0 u8, 1 i16, 2 i32 or f32
//!           bit  4   counts differ from sample to sample
//!           bit  5   there is a presence plane
//!           bits 6-7 zero
//! counts    same for all: varint count. Different: for every 64th stored sample the number of
//!           values before it (u32 LE), then the count of each stored sample (varint width: one byte
//!           0, 1 or 2 for u8, u16, u32 LE, then the counts).
//! values    all values of the stored samples, one after the other, little-endian
//! escapes   Integer of width u8 or i16: varint n, then n times (index of the value u32 LE, value
//!           i32 LE), indexes ascending
//! ```
//! Codes of integers: u8 `255` is missing (`.`) and `254` escaped; i16 `-32768` is missing and
//! `-32767` escaped; i32 `-2147483648` is missing. Floats: `0x7f800001` (as in BCF) is missing, any
//! other NaN reads `nan`. A text is its bytes, its count their number.
//!
//! # Relations
//! Depths of alleles nearly add up to the depth, and likelihoods nearly repeat the quality: such a blob
//! is stored relative to that of its *base* ([`base_of`]) for the same record and block, when that takes
//! fewer bits. With `b` the base's value of the sample (0 when it has none):
//!
//! - rest: first value = `b` - sum of the others - what is stored (others that are missing count 0)
//! - above: second value = `b` + what is stored
//!
//! in arithmetic modulo 2^32. A missing value is stored as missing.
//!
//! # Absent
//! `.` alone, an empty text and a dropped trailing field are one and the same: absent. `.,.` are two
//! missing values. A sample is absent when it is not in the presence plane, or when its count is 0,
//! or, for numbers where all counts are 1, when its value is missing.
//!
//! # Worked example
//! AD `12,0 . 300,5` of three samples: integers, two each, the second absent.
//! ```text
//! 02 20 03                  version, Integer with a presence plane, 3 samples
//! 05                        presence: samples 0 and 2
//! 02 01 00                  two values each, the first in i16, the second in u8
//! 0c 2c 00 01               12 and 300: low bytes, high bytes
//! 00 05                     0, 5
//! 00                        no escapes
//! ```

use std::io::Write as _;

use crate::error::{Error, Result};

use body::{Body, Place};

mod body;
mod encoder;

pub use encoder::ArrayEncoder;

/// Version: numbers in planes.
const PLANES: u8 = 2;
/// Version: texts, and numbers sample by sample.
const ROWS: u8 = 1;
/// Samples between two sums of counts.
const SUMS_EVERY: usize = 64;
/// Missing integer in memory and at width i32.
const MISSING_I32: i32 = i32::MIN;
/// Integers below are reserved by BCF and do not fit.
const LEAST_I32: i32 = i32::MIN + 8;
/// Missing float, the bits BCF has for it.
const MISSING_F32: u32 = 0x7f80_0001;
const NAN_F32: u32 = 0x7fc0_0000;
/// Width code of a plane whose samples nearly all have one value.
const SAME: u8 = 3;

/// How the values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum ArrayKind {
    /// Whole numbers.
    Integer = 0,
    /// 32-bit floats.
    Float = 1,
    /// One raw text for each sample, commas included (String, Character, and the fall back).
    #[default]
    Text = 2,
}

/// How a blob is stored relative to the blob of its base key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Relation {
    /// It stands alone.
    #[default]
    Alone = 0,
    /// The first value is what the others leave of the base's value, less what is stored.
    RestOfBase = 1,
    /// The second value is the base's value and what is stored.
    AboveBase = 2,
}

/// The FORMAT key whose blob of the same record and block one must have to read `key`, and the relation
/// that its blobs may be in: depths of alleles (AD) to the depth (DP), likelihoods (PL) to the
/// quality (GQ).
///
/// Whether a given blob is in that relation is its own choice.
#[must_use]
pub fn base_of(key: &str) -> Option<(&'static str, Relation)> {
    match key {
        "AD" => Some(("DP", Relation::RestOfBase)),
        "PL" => Some(("GQ", Relation::AboveBase)),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Width {
    One = 0,
    Two = 1,
    Four = 2,
}

impl Width {
    fn from_bits(bits: u8) -> Option<Self> {
        match bits & 3 {
            0 => Some(Self::One),
            1 => Some(Self::Two),
            2 => Some(Self::Four),
            _ => None,
        }
    }

    fn bytes(self) -> usize {
        1 << self as u8
    }
}

/// Parses a VCF integer strictly: an optional `-` and digits, within what BCF allows.
///
/// `12x`, the empty text, `+5` and `1e3` are not integers.
#[must_use]
pub fn parse_integer(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    let value = i32::try_from(if negative { -value } else { value }).ok()?;
    (value >= LEAST_I32).then_some(value)
}

/// Parses a VCF float strictly, rounded once to the nearest f32; `nan`, `inf` and `infinity` in any
/// case and with a sign. A finite number beyond f32 is not one.
#[must_use]
pub fn parse_float(text: &[u8]) -> Option<f32> {
    let value: f32 = std::str::from_utf8(text).ok()?.parse().ok()?;
    let has_digits = text.iter().any(u8::is_ascii_digit);
    (!value.is_infinite() || !has_digits).then_some(value)
}

/// Appends the shortest text that reads back as the same f32; `nan`, `inf` and `-inf` for the rest.
pub fn write_float(value: f32, out: &mut Vec<u8>) {
    let magnitude = value.abs();
    let result = if value.is_nan() {
        write!(out, "nan")
    } else if magnitude != 0.0 && magnitude.is_finite() && !(1e-4..1e16).contains(&magnitude) {
        write!(out, "{value:e}")
    } else {
        write!(out, "{value}")
    };
    debug_assert!(result.is_ok(), "a Vec takes all bytes");
}

/// Appends a whole number as decimal text.
pub fn write_integer(value: i32, out: &mut Vec<u8>) {
    let mut digits = [0u8; 11];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10).to_le_bytes()[0];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    out.extend_from_slice(&digits[at..]);
}

/// The values of one sample.
#[derive(Debug, Clone, PartialEq)]
pub enum ArrayValue<'a> {
    /// `.`, or the trailing field was dropped.
    Absent,
    /// Whole numbers, `None` where `.` stands.
    Integers(Vec<Option<i32>>),
    /// Floats, `None` where `.` stands.
    Floats(Vec<Option<f32>>),
    /// Raw text.
    Text(&'a [u8]),
}

fn fits_one(value: i32) -> bool {
    (0..=0xfd).contains(&value)
}

fn fits_two(value: i32) -> bool {
    (-0x7ffe..=0x7fff).contains(&value)
}

fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn write_number(kind: ArrayKind, bits: u32, out: &mut Vec<u8>) {
    match kind {
        ArrayKind::Float if bits == MISSING_F32 => out.push(b'.'),
        ArrayKind::Float => write_float(f32::from_bits(bits), out),
        _ if bits.cast_signed() == MISSING_I32 => out.push(b'.'),
        _ => write_integer(bits.cast_signed(), out),
    }
}

/// Borrowed view of one blob, and of its base when it is stored relative to one.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRow<'a> {
    body: Body<'a>,
    base: Option<Body<'a>>,
}

impl<'a> ArrayRow<'a> {
    /// Reads and checks a blob that stands alone. Whatever parses can be read without panic.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are no blob of a known version, or one that needs its base.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Self::parse_given(bytes, None)
    }

    /// Reads and checks a blob with that of its base key ([`base_of`]) for the same record and block;
    /// `None` where the base has no blob. A base that is not needed is not looked at.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are no blob of a known version, or when the base is needed and
    /// is not there, is of another block size or has not one whole number for each sample.
    pub fn parse_given(bytes: &'a [u8], base: Option<&'a [u8]>) -> Result<Self> {
        let corrupt = |reason| Error::corrupt("FORMAT array blob", reason);
        let body = Body::parse(bytes).map_err(corrupt)?;
        if body.relation() == Relation::Alone {
            return Ok(Self { body, base: None });
        }
        let base = base.ok_or(corrupt(
            "it is relative to another key's blob, which is not there",
        ))?;
        let base = Body::parse(base).map_err(corrupt)?;
        if base.n_samples() != body.n_samples() || !base.is_base() {
            return Err(corrupt("it does not fit the blob that it is relative to"));
        }
        let base = Some(base);
        Ok(Self { body, base })
    }

    /// How the values are stored; [`ArrayKind::Text`] also for a key of another type whose texts
    /// did not fit.
    #[must_use]
    pub fn kind(&self) -> ArrayKind {
        self.body.kind()
    }

    /// Whether the blob is stored relative to another one.
    #[must_use]
    pub fn relation(&self) -> Relation {
        self.body.relation()
    }

    /// Size of the block.
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        self.body.n_samples()
    }

    /// Values of a sample; absent for one outside of the block.
    #[must_use]
    pub fn values(&self, sample: u32) -> ArrayValue<'a> {
        let Some(place) = self.present(sample) else {
            return ArrayValue::Absent;
        };
        match self.kind() {
            ArrayKind::Text => ArrayValue::Text(self.body.text(place)),
            ArrayKind::Integer => {
                let mut values = Vec::with_capacity(place.count);
                self.each(sample, place, |bits| values.push(integer(bits)));
                ArrayValue::Integers(values)
            }
            ArrayKind::Float => {
                let mut values = Vec::with_capacity(place.count);
                self.each(sample, place, |bits| values.push(float(bits)));
                ArrayValue::Floats(values)
            }
        }
    }

    /// Calls `f` with each whole number of a sample and gives their count: 0 when the sample is
    /// absent or the blob does not hold whole numbers. Nothing is allocated.
    pub fn for_each_integer(&self, sample: u32, mut f: impl FnMut(Option<i32>)) -> usize {
        match self.present(sample) {
            Some(place) if self.kind() == ArrayKind::Integer => {
                self.each(sample, place, |bits| f(integer(bits)));
                place.count
            }
            _ => 0,
        }
    }

    /// Calls `f` with each float of a sample and gives their count, as
    /// [`ArrayRow::for_each_integer`] does.
    pub fn for_each_float(&self, sample: u32, mut f: impl FnMut(Option<f32>)) -> usize {
        match self.present(sample) {
            Some(place) if self.kind() == ArrayKind::Float => {
                self.each(sample, place, |bits| f(float(bits)));
                place.count
            }
            _ => 0,
        }
    }

    /// The value of a sample that has exactly one whole number; else `None`.
    #[inline]
    #[must_use]
    pub fn integer_scalar(&self, sample: u32) -> Option<i32> {
        self.scalar(sample, ArrayKind::Integer).and_then(integer)
    }

    /// The value of a sample that has exactly one float; else `None`.
    #[inline]
    #[must_use]
    pub fn float_scalar(&self, sample: u32) -> Option<f32> {
        self.scalar(sample, ArrayKind::Float).and_then(float)
    }

    /// Appends the text of a sample as VCF has it; `.` when absent.
    pub fn write_text(&self, sample: u32, out: &mut Vec<u8>) {
        let Some(place) = self.present(sample) else {
            out.push(b'.');
            return;
        };
        if self.kind() == ArrayKind::Text {
            out.extend_from_slice(self.body.text(place));
            return;
        }
        let start = out.len();
        self.each(sample, place, |bits| {
            if out.len() > start {
                out.push(b',');
            }
            write_number(self.kind(), bits, out);
        });
    }

    #[inline]
    fn scalar(&self, sample: u32, kind: ArrayKind) -> Option<u32> {
        let place = self.body.place(sample)?;
        if place.count != 1 || self.kind() != kind {
            return None;
        }
        Some(match self.base {
            None => self.body.first(place),
            Some(_) => {
                let mut value = MISSING_I32.cast_unsigned();
                self.each(sample, place, |bits| value = bits);
                value
            }
        })
    }

    /// Where the values of a sample are; `None` when it is absent.
    fn present(&self, sample: u32) -> Option<Place> {
        let place = self.body.place(sample)?;
        let is_absent = place.count == 0 || place.count == 1 && self.body.is_lone_missing(place);
        (!is_absent).then_some(place)
    }

    /// The bits of each number of a sample.
    fn each(&self, sample: u32, place: Place, mut f: impl FnMut(u32)) {
        let base = || {
            let value = self.base.and_then(|base| base.scalar(sample));
            value.unwrap_or(0)
        };
        match self.relation() {
            Relation::Alone => self.body.each(place, f),
            Relation::RestOfBase => {
                let mut rest = base();
                let mut index = 0_usize;
                self.body.each(place, |bits| {
                    if index > 0 {
                        rest = rest.wrapping_sub(integer(bits).unwrap_or(0));
                    }
                    index += 1;
                });
                index = 0;
                self.body.each(place, |bits| {
                    f(match integer(bits) {
                        Some(less) if index == 0 => rest.wrapping_sub(less).cast_unsigned(),
                        _ => bits,
                    });
                    index += 1;
                });
            }
            Relation::AboveBase => {
                let mut index = 0_usize;
                self.body.each(place, |bits| {
                    f(match integer(bits) {
                        Some(more) if index == 1 => base().wrapping_add(more).cast_unsigned(),
                        _ => bits,
                    });
                    index += 1;
                });
            }
        }
    }
}

fn integer(bits: u32) -> Option<i32> {
    let value = bits.cast_signed();
    (value != MISSING_I32).then_some(value)
}

fn float(bits: u32) -> Option<f32> {
    (bits != MISSING_F32).then_some(f32::from_bits(bits))
}

/// Reads whatever a blob holds through every public reader: the body of the fuzz target, which the
/// tests drive as well. The bytes are also read as relative to themselves and to a plain base.
/// Returns whether they parsed alone.
#[doc(hidden)]
pub fn drive_array_row(bytes: &[u8]) -> bool {
    let mut base = ArrayEncoder::new();
    let mut plain = Vec::new();
    if let Ok(body) = Body::parse(bytes) {
        base.begin(ArrayKind::Integer, body.n_samples().min(1 << 20));
        base.push_text(0, b"30");
        base.finish(&mut plain);
    }
    for base in [bytes, &plain] {
        if let Ok(row) = ArrayRow::parse_given(bytes, Some(base)) {
            drive(&row);
        }
    }
    ArrayRow::parse(bytes).is_ok()
}

fn drive(row: &ArrayRow<'_>) {
    let mut text = Vec::new();
    let n = row.n_samples();
    for sample in (0..n).step_by((n as usize / 64).max(1)) {
        text.clear();
        let _ = (row.values(sample), row.integer_scalar(sample));
        let _ = row.float_scalar(sample);
        row.write_text(sample, &mut text);
    }
}

#[cfg(test)]
mod tests;
