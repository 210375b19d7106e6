//! Array blob: the values of one FORMAT key of one record in one sample block.
//!
//! # Layout
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
//! presence  one bit for each sample, sample 0 in the lowest bit of byte 0; stored samples only
//!           below. Without it every sample is stored.
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
//! # Absent
//! `.` alone, an empty text and a dropped trailing field are one and the same: absent. `.,.` are two
//! missing values. A sample is absent when it is not in the presence plane, or when its count is 0,
//! or, for numbers where all counts are 1, when its value is missing.
//!
//! # Worked example
//! AD `12,0 . 300,5` of three samples: integers, two each, the second absent.
//! ```text
//! 01 24 03                  version, Integer in i16 with a presence plane, 3 samples
//! 05                        presence: samples 0 and 2
//! 02                        two values each
//! 0c 00 00 00 2c 01 05 00   12, 0, 300, 5
//! 00                        no escapes
//! ```

use std::io::Write as _;

use crate::codec::kernels;
use crate::codec::set::plane_len;
use crate::codec::varint::{self, Reader};
use crate::error::{Error, Result};

const VERSION: u8 = 1;
/// Samples between two sums of counts.
const SUMS_EVERY: usize = 64;
/// Missing integer in memory and at width i32.
const MISSING_I32: i32 = i32::MIN;
/// Integers below are reserved by BCF and do not fit.
const LEAST_I32: i32 = i32::MIN + 8;
/// Missing float, the bits BCF has for it.
const MISSING_F32: u32 = 0x7f80_0001;
const NAN_F32: u32 = 0x7fc0_0000;

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

fn write_integer(value: i32, out: &mut Vec<u8>) {
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

/// Builds the blob of one key x record x block; reused from record to record.
///
/// # Examples
/// ```
/// use genokura_core::codec::array::{ArrayEncoder, ArrayKind, ArrayRow, ArrayValue};
/// let mut encoder = ArrayEncoder::new();
/// encoder.begin(ArrayKind::Integer, 3);
/// assert!(encoder.push_text(0, b"12,."));
/// let mut blob = Vec::new();
/// assert!(encoder.finish(&mut blob));
/// let row = ArrayRow::parse(&blob)?;
/// assert_eq!(row.values(0), ArrayValue::Integers(vec![Some(12), None]));
/// assert_eq!(row.values(1), ArrayValue::Absent);
/// # Ok::<(), genokura_core::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ArrayEncoder {
    kind: ArrayKind,
    n_samples: u32,
    /// Count of values of each sample so far; 0 is absent.
    counts: Vec<u32>,
    /// Bits of all numbers so far.
    numbers: Vec<u32>,
    /// Bytes of all texts so far.
    texts: Vec<u8>,
    present: Vec<u8>,
}

impl ArrayEncoder {
    /// An empty encoder; call [`ArrayEncoder::begin`] before anything else.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a blob for `n_samples` samples.
    pub fn begin(&mut self, kind: ArrayKind, n_samples: u32) {
        self.kind = kind;
        self.n_samples = n_samples;
        self.counts.clear();
        self.numbers.clear();
        self.texts.clear();
    }

    /// The text of a sample; samples ascend (checked in debug builds; in release one that does not
    /// is left out), those never mentioned, `.` and the empty text are absent.
    ///
    /// False when the text does not fit the kind: the whole blob then falls back to
    /// [`ArrayKind::Text`], with the values so far as text.
    pub fn push_text(&mut self, sample: u32, text: &[u8]) -> bool {
        let index = sample as usize;
        let in_order = index >= self.counts.len() && sample < self.n_samples;
        debug_assert!(in_order, "samples ascend and lie in the block");
        if !in_order || text.is_empty() || text == b"." {
            return true;
        }
        self.counts.resize(index, 0);
        let before = self.numbers.len();
        let fits = match self.kind {
            ArrayKind::Integer => self.push_integers(text),
            ArrayKind::Float => self.push_floats(text),
            ArrayKind::Text => {
                self.texts.extend_from_slice(text);
                self.counts.push(len_u32(text.len()));
                return true;
            }
        };
        if fits {
            self.counts.push(len_u32(self.numbers.len() - before));
        } else {
            self.numbers.truncate(before);
            self.fall_back();
            self.texts.extend_from_slice(text);
            self.counts.push(len_u32(text.len()));
        }
        fits
    }

    /// Appends the blob; false when every sample is absent and nothing was written.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> bool {
        self.counts.resize(self.n_samples as usize, 0);
        let Some(first) = self.counts.iter().copied().find(|count| *count > 0) else {
            return false;
        };
        let n_absent = self.counts.iter().filter(|count| **count == 0).count();
        let is_fixed = self
            .counts
            .iter()
            .all(|count| *count == 0 || *count == first);
        let (width, n_escapes) = self.width();
        let scalar = is_fixed && first == 1 && self.kind != ArrayKind::Text;
        let plane = plane_len(self.n_samples);
        let has_plane = n_absent > 0 && (!scalar || n_absent * width.bytes() > plane);
        out.push(VERSION);
        out.push(
            self.kind as u8
                | (width as u8) << 2
                | u8::from(!is_fixed) << 4
                | u8::from(has_plane) << 5,
        );
        varint::write(self.n_samples, out);
        if has_plane {
            self.write_presence(plane, out);
        } else if scalar {
            self.fill_absent();
        }
        if is_fixed {
            varint::write(first, out);
        } else {
            self.write_counts(out);
        }
        self.write_values(width, n_escapes, out);
        true
    }

    fn push_integers(&mut self, text: &[u8]) -> bool {
        for value in text.split(|byte| *byte == b',') {
            let value = match value {
                b"." => Some(MISSING_I32),
                value => parse_integer(value),
            };
            match value {
                Some(value) => self.numbers.push(value.cast_unsigned()),
                None => return false,
            }
        }
        true
    }

    fn push_floats(&mut self, text: &[u8]) -> bool {
        for value in text.split(|byte| *byte == b',') {
            let bits = match value {
                b"." => Some(MISSING_F32),
                value => parse_float(value).map(|v| if v.is_nan() { NAN_F32 } else { v.to_bits() }),
            };
            match bits {
                Some(bits) => self.numbers.push(bits),
                None => return false,
            }
        }
        true
    }

    /// Turns the numbers so far into texts.
    fn fall_back(&mut self) {
        let mut at = 0;
        for count in &mut self.counts {
            let numbers = &self.numbers[at..at + *count as usize];
            at += *count as usize;
            let before = self.texts.len();
            for (i, bits) in numbers.iter().enumerate() {
                if i > 0 {
                    self.texts.push(b',');
                }
                write_number(self.kind, *bits, &mut self.texts);
            }
            *count = len_u32(self.texts.len() - before);
        }
        self.numbers.clear();
        self.kind = ArrayKind::Text;
    }

    /// The width that takes the fewest bytes, and how many integers need an escape there.
    fn width(&self) -> (Width, usize) {
        match self.kind {
            ArrayKind::Text => return (Width::One, 0),
            ArrayKind::Float => return (Width::Four, 0),
            ArrayKind::Integer => {}
        }
        let escapes = |fits: fn(i32) -> bool| {
            let values = self.numbers.iter().map(|bits| bits.cast_signed());
            values.filter(|v| *v != MISSING_I32 && !fits(*v)).count()
        };
        let (one, two) = (escapes(fits_one), escapes(fits_two));
        let n = self.numbers.len();
        let costs = [
            (n + 8 * one, Width::One, one),
            (2 * n + 8 * two, Width::Two, two),
            (4 * n, Width::Four, 0),
        ];
        let best = costs.into_iter().min_by_key(|(bytes, _, _)| *bytes);
        best.map_or((Width::Four, 0), |(_, width, escapes)| (width, escapes))
    }

    fn write_presence(&mut self, plane: usize, out: &mut Vec<u8>) {
        self.present.clear();
        self.present.resize(plane, 0);
        for (sample, _) in self.counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            self.present[sample / 8] |= 1 << (sample % 8);
        }
        out.extend_from_slice(&self.present);
        self.counts.retain(|count| *count > 0);
    }

    /// Gives each absent sample one missing value.
    fn fill_absent(&mut self) {
        let missing = match self.kind {
            ArrayKind::Float => MISSING_F32,
            _ => MISSING_I32.cast_unsigned(),
        };
        let mut given = self.numbers.iter().copied();
        let filled = self.counts.iter().map(|count| match count {
            0 => missing,
            _ => given.next().unwrap_or(missing),
        });
        self.numbers = filled.collect();
    }

    fn write_counts(&self, out: &mut Vec<u8>) {
        let mut sum = 0u32;
        for group in self.counts.chunks(SUMS_EVERY) {
            out.extend_from_slice(&sum.to_le_bytes());
            sum = group
                .iter()
                .fold(sum, |sum, count| sum.saturating_add(*count));
        }
        let most = self.counts.iter().copied().max().unwrap_or(0);
        let width = match most {
            0..=0xff => Width::One,
            0x100..=0xffff => Width::Two,
            _ => Width::Four,
        };
        out.push(width as u8);
        for count in &self.counts {
            out.extend_from_slice(&count.to_le_bytes()[..width.bytes()]);
        }
    }

    fn write_values(&self, width: Width, n_escapes: usize, out: &mut Vec<u8>) {
        if self.kind == ArrayKind::Text {
            out.extend_from_slice(&self.texts);
            return;
        }
        let (fits, missing, escape): (fn(i32) -> bool, u32, u32) = match width {
            Width::One => (fits_one, 0xff, 0xfe),
            Width::Two => (fits_two, 0x8000, 0x8001),
            Width::Four => {
                for bits in &self.numbers {
                    out.extend_from_slice(&bits.to_le_bytes());
                }
                return;
            }
        };
        out.reserve(self.numbers.len() * width.bytes());
        for bits in &self.numbers {
            let code = match bits.cast_signed() {
                MISSING_I32 => missing,
                value if fits(value) => *bits,
                _ => escape,
            };
            out.extend_from_slice(&code.to_le_bytes()[..width.bytes()]);
        }
        varint::write_len(n_escapes, out);
        if n_escapes > 0 {
            for (index, bits) in (0u32..).zip(&self.numbers) {
                let value = bits.cast_signed();
                if value != MISSING_I32 && !fits(value) {
                    out.extend_from_slice(&index.to_le_bytes());
                    out.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
    }
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

/// How many values the stored samples have.
#[derive(Debug, Clone, Copy)]
enum Counts<'a> {
    Fixed(usize),
    Each {
        sums: &'a [u8],
        counts: &'a [u8],
        width: Width,
    },
}

/// Borrowed view of one blob.
#[derive(Debug, Clone, Copy)]
pub struct ArrayRow<'a> {
    kind: ArrayKind,
    width: Width,
    n_samples: u32,
    presence: Option<&'a [u8]>,
    counts: Counts<'a>,
    values: &'a [u8],
    escapes: &'a [u8],
}

impl<'a> ArrayRow<'a> {
    /// Reads and checks a blob. Whatever parses can be read without panic.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are not a blob of this version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let corrupt = |reason| move || Error::corrupt("FORMAT array blob", reason);
        let mut reader = Reader::new(bytes);
        if reader.byte() != Some(VERSION) {
            return Err(corrupt("unknown version")());
        }
        let form = reader.byte().filter(|form| form >> 6 == 0);
        let form = form.ok_or_else(corrupt("unknown form"))?;
        let kind = kind_of(form).ok_or_else(corrupt("unknown kind"))?;
        let width = Width::from_bits(form >> 2).ok_or_else(corrupt("unknown width"))?;
        let n_samples = reader.varint().ok_or_else(corrupt("number of samples"))?;
        let presence = match form >> 5 & 1 {
            0 => None,
            _ => Some(read_presence(&mut reader, n_samples).ok_or_else(corrupt("presence"))?),
        };
        let stored = presence.map_or(n_samples, kernels::count) as usize;
        let (counts, n_values) = match form >> 4 & 1 {
            0 => read_fixed(&mut reader, stored),
            _ => read_each(&mut reader, stored),
        }
        .ok_or_else(corrupt("counts"))?;
        let bytes = n_values.checked_mul(width.bytes());
        let values = bytes.and_then(|bytes| reader.take(bytes));
        let values = values.ok_or_else(corrupt("values"))?;
        let is_narrow = kind == ArrayKind::Integer && width != Width::Four;
        let escapes = match is_narrow {
            true => read_escapes(&mut reader, n_values).ok_or_else(corrupt("escapes"))?,
            false => &[],
        };
        if !reader.is_empty() {
            return Err(corrupt("bytes after the end")());
        }
        Ok(Self {
            kind,
            width,
            n_samples,
            presence,
            counts,
            values,
            escapes,
        })
    }

    /// How the values are stored; [`ArrayKind::Text`] also for a key of another type whose texts
    /// did not fit.
    #[must_use]
    pub fn kind(&self) -> ArrayKind {
        self.kind
    }

    /// Size of the block.
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        self.n_samples
    }

    /// Values of a sample; absent for one outside of the block.
    #[must_use]
    pub fn values(&self, sample: u32) -> ArrayValue<'a> {
        let Some((start, count)) = self.span(sample) else {
            return ArrayValue::Absent;
        };
        match self.kind {
            ArrayKind::Text => ArrayValue::Text(self.text(start, count)),
            ArrayKind::Integer => {
                ArrayValue::Integers((start..start + count).map(|i| self.integer(i)).collect())
            }
            ArrayKind::Float => {
                ArrayValue::Floats((start..start + count).map(|i| self.float(i)).collect())
            }
        }
    }

    /// Calls `f` with each whole number of a sample and gives their count: 0 when the sample is
    /// absent or the blob does not hold whole numbers. Nothing is allocated.
    pub fn for_each_integer(&self, sample: u32, f: impl FnMut(Option<i32>)) -> usize {
        match self.span(sample) {
            Some((start, count)) if self.kind == ArrayKind::Integer => {
                (start..start + count).map(|i| self.integer(i)).for_each(f);
                count
            }
            _ => 0,
        }
    }

    /// Calls `f` with each float of a sample and gives their count, as
    /// [`ArrayRow::for_each_integer`] does.
    pub fn for_each_float(&self, sample: u32, f: impl FnMut(Option<f32>)) -> usize {
        match self.span(sample) {
            Some((start, count)) if self.kind == ArrayKind::Float => {
                (start..start + count).map(|i| self.float(i)).for_each(f);
                count
            }
            _ => 0,
        }
    }

    /// The value of a sample that has exactly one whole number; else `None`.
    #[inline]
    #[must_use]
    pub fn integer_scalar(&self, sample: u32) -> Option<i32> {
        match self.place(sample)? {
            (start, 1) if self.kind == ArrayKind::Integer => self.integer(start),
            _ => None,
        }
    }

    /// The value of a sample that has exactly one float; else `None`.
    #[inline]
    #[must_use]
    pub fn float_scalar(&self, sample: u32) -> Option<f32> {
        match self.place(sample)? {
            (start, 1) if self.kind == ArrayKind::Float => self.float(start),
            _ => None,
        }
    }

    /// Appends the text of a sample as VCF has it; `.` when absent.
    pub fn write_text(&self, sample: u32, out: &mut Vec<u8>) {
        let Some((start, count)) = self.span(sample) else {
            out.push(b'.');
            return;
        };
        if self.kind == ArrayKind::Text {
            out.extend_from_slice(self.text(start, count));
            return;
        }
        for index in start..start + count {
            if index > start {
                out.push(b',');
            }
            match (self.kind, self.integer(index)) {
                (ArrayKind::Float, _) => match self.float(index) {
                    None => out.push(b'.'),
                    Some(value) => write_float(value, out),
                },
                (_, None) => out.push(b'.'),
                (_, Some(value)) => write_integer(value, out),
            }
        }
    }

    /// Index of the first value of a sample and how many it has; `None` when it is absent.
    fn span(&self, sample: u32) -> Option<(usize, usize)> {
        let (start, count) = self.place(sample)?;
        let is_absent = count == 0 || count == 1 && self.is_lone_missing(start);
        (!is_absent).then_some((start, count))
    }

    /// [`ArrayRow::span`], but an absent sample may also show as one missing value or as none.
    #[inline]
    fn place(&self, sample: u32) -> Option<(usize, usize)> {
        if sample >= self.n_samples {
            return None;
        }
        let stored = match self.presence {
            None => sample,
            Some(plane) if kernels::bit(plane, sample) => kernels::rank(plane, sample),
            Some(_) => return None,
        } as usize;
        Some(match self.counts {
            Counts::Fixed(count) => (stored * count, count),
            Counts::Each {
                sums,
                counts,
                width,
            } => each_span(sums, counts, width, stored),
        })
    }

    /// A single missing number is how an absent sample is stored without a presence plane.
    fn is_lone_missing(&self, index: usize) -> bool {
        match self.kind {
            ArrayKind::Text => false,
            ArrayKind::Integer => self.integer(index).is_none(),
            ArrayKind::Float => self.float(index).is_none(),
        }
    }

    fn text(&self, start: usize, len: usize) -> &'a [u8] {
        self.values.get(start..start + len).unwrap_or_default()
    }

    #[inline]
    fn integer(&self, index: usize) -> Option<i32> {
        match self.width {
            Width::One => match *self.values.get(index)? {
                0xff => None,
                0xfe => self.escaped(index),
                value => Some(i32::from(value)),
            },
            Width::Two => match i16::from_le_bytes(chunk(self.values, index)?) {
                i16::MIN => None,
                value if value == i16::MIN + 1 => self.escaped(index),
                value => Some(i32::from(value)),
            },
            Width::Four => {
                let value = i32::from_le_bytes(chunk(self.values, index)?);
                (value != MISSING_I32).then_some(value)
            }
        }
    }

    fn float(&self, index: usize) -> Option<f32> {
        let bits = u32::from_le_bytes(chunk(self.values, index)?);
        (bits != MISSING_F32).then_some(f32::from_bits(bits))
    }

    #[cold]
    fn escaped(&self, index: usize) -> Option<i32> {
        let (entries, _) = self.escapes.as_chunks::<8>();
        let key = |entry: &[u8; 8]| chunk::<4>(entry, 0).map_or(0, u32::from_le_bytes) as usize;
        let at = entries.binary_search_by_key(&index, key).ok()?;
        chunk(&entries[at], 1).map(i32::from_le_bytes)
    }
}

fn kind_of(form: u8) -> Option<ArrayKind> {
    match (form & 3, form >> 2 & 3) {
        (0, _) => Some(ArrayKind::Integer),
        (1, 2) => Some(ArrayKind::Float),
        (2, 0) => Some(ArrayKind::Text),
        _ => None,
    }
}

/// Element `index` of consecutive little-endian numbers of `N` bytes.
#[inline]
fn chunk<const N: usize>(bytes: &[u8], index: usize) -> Option<[u8; N]> {
    bytes
        .get(index.checked_mul(N)?..)?
        .first_chunk::<N>()
        .copied()
}

fn read_presence<'a>(reader: &mut Reader<'a>, n_samples: u32) -> Option<&'a [u8]> {
    let plane = reader.take(plane_len(n_samples))?;
    let used = n_samples % 8;
    let is_clear = used == 0 || plane.last().is_none_or(|byte| byte >> used == 0);
    is_clear.then_some(plane)
}

fn read_fixed<'a>(reader: &mut Reader<'a>, stored: usize) -> Option<(Counts<'a>, usize)> {
    let count = reader.varint()? as usize;
    let n_values = stored.checked_mul(count)?;
    (count > 0).then_some((Counts::Fixed(count), n_values))
}

fn read_each<'a>(reader: &mut Reader<'a>, stored: usize) -> Option<(Counts<'a>, usize)> {
    let sums = reader.take(stored.div_ceil(SUMS_EVERY).checked_mul(4)?)?;
    let width = reader.byte()?;
    let width = Width::from_bits(width).filter(|w| *w as u8 == width)?;
    let counts = reader.take(stored.checked_mul(width.bytes())?)?;
    let mut total = 0usize;
    for (group, sum) in counts
        .chunks(SUMS_EVERY * width.bytes())
        .zip(sums.as_chunks::<4>().0)
    {
        if total != u32::from_le_bytes(*sum) as usize {
            return None;
        }
        for index in 0..group.len() / width.bytes() {
            total = total.checked_add(count_at(group, width, index))?;
        }
    }
    let each = Counts::Each {
        sums,
        counts,
        width,
    };
    Some((each, total))
}

fn read_escapes<'a>(reader: &mut Reader<'a>, n_values: usize) -> Option<&'a [u8]> {
    let n = reader.varint()? as usize;
    let bytes = reader.take(n.checked_mul(8)?)?;
    let mut entries = Reader::new(bytes);
    let mut next = 0;
    for _ in 0..n {
        let index = entries.u32_le()? as usize;
        entries.u32_le()?;
        if index < next || index >= n_values {
            return None;
        }
        next = index + 1;
    }
    Some(bytes)
}

fn count_at(counts: &[u8], width: Width, index: usize) -> usize {
    match width {
        Width::One => counts.get(index).map_or(0, |c| usize::from(*c)),
        Width::Two => chunk(counts, index).map_or(0, |c| usize::from(u16::from_le_bytes(c))),
        Width::Four => chunk(counts, index).map_or(0, |c| u32::from_le_bytes(c) as usize),
    }
}

fn each_span(sums: &[u8], counts: &[u8], width: Width, stored: usize) -> (usize, usize) {
    let group = stored / SUMS_EVERY;
    let sum = chunk(sums, group).map_or(0, u32::from_le_bytes) as usize;
    let before = group * SUMS_EVERY..stored;
    let start = before.fold(sum, |sum, index| sum + count_at(counts, width, index));
    (start, count_at(counts, width, stored))
}

/// Reads whatever a blob holds through every public reader: the body of the fuzz target, which the
/// tests drive as well. Returns whether the bytes parsed.
#[doc(hidden)]
pub fn drive_array_row(bytes: &[u8]) -> bool {
    let Ok(row) = ArrayRow::parse(bytes) else {
        return false;
    };
    let mut text = Vec::new();
    let n = row.n_samples();
    for sample in (0..n).step_by((n as usize / 64).max(1)) {
        text.clear();
        let _ = (row.values(sample), row.integer_scalar(sample));
        let _ = row.float_scalar(sample);
        row.write_text(sample, &mut text);
    }
    true
}

#[cfg(test)]
mod tests;
