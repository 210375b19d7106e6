//! Typed values of BCF: a descriptor byte (`length << 4 | type`), then the items.
//!
//! | type | item | missing | end of vector |
//! |---|---|---|---|
//! | 0 | none | | |
//! | 1 | i8 | 0x80 | 0x81 |
//! | 2 | i16 | 0x8000 | 0x8001 |
//! | 3 | i32 | 0x80000000 | 0x80000001 |
//! | 5 | f32 | 0x7F800001 | 0x7F800002 |
//! | 7 | char | | NUL |
//!
//! Length 15 in the descriptor: the length follows as a typed integer.

use std::io::Write as _;

use super::{BadRecord, unwritable, write_f32};

/// Bits of a missing float.
pub(super) const FLOAT_MISSING: u32 = 0x7F80_0001;
const FLOAT_END: u32 = 0x7F80_0002;
/// The byte htslib writes for a missing string.
const CHAR_MISSING: u8 = 7;

/// What the items of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    Int8,
    Int16,
    Int32,
    Float,
    Char,
}

impl Kind {
    fn of(tag: u8) -> Result<Self, BadRecord> {
        Ok(match tag {
            0 => Self::Missing,
            1 => Self::Int8,
            2 => Self::Int16,
            3 => Self::Int32,
            5 => Self::Float,
            7 => Self::Char,
            _ => {
                return Err(BadRecord::new(
                    "bcf-type",
                    format!("BCF 2.2 has no type {tag}"),
                ));
            }
        })
    }

    fn size(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Int8 | Self::Char => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::Float => 4,
        }
    }

    pub(super) fn is_integer(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16 | Self::Int32)
    }
}

/// One item of an integer vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Value(i32),
    Missing,
    End,
}

impl Item {
    /// `None` at the end of the vector, else the value if it is not missing.
    #[expect(clippy::option_option, reason = "made for map_while")]
    pub(super) fn value_or_end(self) -> Option<Option<i32>> {
        match self {
            Self::Value(value) => Some(Some(value)),
            Self::Missing => Some(None),
            Self::End => None,
        }
    }

    fn of(value: i32, min: i32) -> Self {
        match value.wrapping_sub(min) {
            0 => Self::Missing,
            1 => Self::End,
            _ => Self::Value(value),
        }
    }
}

/// Reads from the front of some bytes, never beyond them.
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], BadRecord> {
        match self.rest.split_at_checked(n) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(overrun(n, self.rest.len())),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => Err(overrun(N, self.rest.len())),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32, BadRecord> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, BadRecord> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// Kind and length of the value that follows.
    fn descriptor(&mut self) -> Result<(Kind, usize), BadRecord> {
        let [byte] = self.array::<1>()?;
        let kind = Kind::of(byte & 0x0f)?;
        match byte >> 4 {
            15 => Ok((kind, self.long_length()?)),
            length => Ok((kind, usize::from(length))),
        }
    }

    fn long_length(&mut self) -> Result<usize, BadRecord> {
        let [byte] = self.array::<1>()?;
        let kind = Kind::of(byte & 0x0f)?;
        let wrong = || {
            BadRecord::new(
                "bcf-length",
                "the length of a vector is not a positive integer",
            )
        };
        if byte >> 4 != 1 || !kind.is_integer() {
            return Err(wrong());
        }
        let value = Typed {
            kind,
            len: 1,
            bytes: self.take(kind.size())?,
        };
        usize::try_from(value.scalar("length")?).map_err(|_| wrong())
    }

    pub(super) fn typed(&mut self) -> Result<Typed<'a>, BadRecord> {
        let (kind, len) = self.descriptor()?;
        let bytes = self.take(bytes_of(kind, len, 1)?)?;
        Ok(Typed { kind, len, bytes })
    }

    /// The values of one FORMAT key: one descriptor, then `samples` vectors of that shape.
    pub(super) fn typed_block(&mut self, samples: usize) -> Result<Block<'a>, BadRecord> {
        let (kind, len) = self.descriptor()?;
        let bytes = self.take(bytes_of(kind, len, samples)?)?;
        Ok(Block { kind, len, bytes })
    }
}

fn bytes_of(kind: Kind, len: usize, times: usize) -> Result<usize, BadRecord> {
    let items = len
        .checked_mul(times)
        .and_then(|n| n.checked_mul(kind.size()));
    items.ok_or_else(|| BadRecord::new("bcf-length", "the length of a vector overflows"))
}

fn overrun(wanted: usize, left: usize) -> BadRecord {
    BadRecord::new(
        "bcf-truncated",
        format!("{wanted} bytes are claimed where {left} are left"),
    )
}

/// The values of one FORMAT key over all samples.
pub(super) struct Block<'a> {
    kind: Kind,
    len: usize,
    bytes: &'a [u8],
}

impl<'a> Block<'a> {
    pub(super) fn of_sample(&self, sample: usize) -> Result<Typed<'a>, BadRecord> {
        let size = self.len * self.kind.size();
        let bytes = self.bytes.get(sample * size..(sample + 1) * size);
        let bytes = bytes.ok_or_else(|| overrun(size, 0))?;
        Ok(Typed {
            kind: self.kind,
            len: self.len,
            bytes,
        })
    }
}

/// One typed value; `bytes` holds exactly its items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Typed<'a> {
    pub(super) kind: Kind,
    pub(super) len: usize,
    pub(super) bytes: &'a [u8],
}

impl<'a> Typed<'a> {
    /// The items of an integer vector; none for the missing type.
    pub(super) fn integers(
        &self,
        what: &str,
    ) -> Result<impl Iterator<Item = Item> + 'a, BadRecord> {
        if !self.kind.is_integer() && self.kind != Kind::Missing {
            return Err(BadRecord::new(
                "bcf-type",
                format!("{what} is not of an integer type"),
            ));
        }
        let kind = self.kind;
        Ok(self
            .bytes
            .chunks_exact(kind.size().max(1))
            .map(move |item| integer(kind, item)))
    }

    /// The one integer of a scalar.
    pub(super) fn scalar(&self, what: &str) -> Result<i64, BadRecord> {
        let mut items = self.integers(what)?;
        match (items.next(), items.next()) {
            (Some(Item::Value(value)), None) => Ok(i64::from(value)),
            _ => Err(BadRecord::new(
                "bcf-type",
                format!("{what} is not one integer"),
            )),
        }
    }

    /// A string column: the characters up to the first NUL, `.` when there are none.
    pub(super) fn write_text(&self, what: &str, out: &mut Vec<u8>) -> Result<(), BadRecord> {
        if self.kind != Kind::Char && self.len > 0 && self.kind != Kind::Missing {
            return Err(BadRecord::new(
                "bcf-type",
                format!("{what} is not a string"),
            ));
        }
        write_characters(self.bytes, what, out)
    }

    /// Any value as the VCF text of an INFO or FORMAT field.
    pub(super) fn write_values(&self, what: &str, out: &mut Vec<u8>) -> Result<(), BadRecord> {
        match self.kind {
            Kind::Char => return write_characters(self.bytes, what, out),
            Kind::Missing => out.push(b'.'),
            Kind::Float => self.write_floats(out),
            _ => self.write_integers(what, out)?,
        }
        Ok(())
    }

    fn write_integers(&self, what: &str, out: &mut Vec<u8>) -> Result<(), BadRecord> {
        let start = out.len();
        for item in self.integers(what)?.map_while(Item::value_or_end) {
            if out.len() > start {
                out.push(b',');
            }
            match item {
                Some(value) => write!(out, "{value}").map_err(unwritable)?,
                None => out.push(b'.'),
            }
        }
        if out.len() == start {
            out.push(b'.');
        }
        Ok(())
    }

    fn write_floats(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let bits = self
            .bytes
            .chunks_exact(4)
            .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        for bits in bits.take_while(|&bits| bits != FLOAT_END) {
            if out.len() > start {
                out.push(b',');
            }
            match bits {
                FLOAT_MISSING => out.push(b'.'),
                bits => write_f32(f32::from_bits(bits), out),
            }
        }
        if out.len() == start {
            out.push(b'.');
        }
    }
}

fn integer(kind: Kind, item: &[u8]) -> Item {
    match (kind, item) {
        (Kind::Int8, &[a]) => Item::of(i32::from(a.cast_signed()), i32::from(i8::MIN)),
        (Kind::Int16, &[a, b]) => {
            Item::of(i32::from(i16::from_le_bytes([a, b])), i32::from(i16::MIN))
        }
        (Kind::Int32, &[a, b, c, d]) => Item::of(i32::from_le_bytes([a, b, c, d]), i32::MIN),
        _ => Item::End,
    }
}

/// Characters up to the first NUL. A tab or line break would tear the line apart.
fn write_characters(bytes: &[u8], what: &str, out: &mut Vec<u8>) -> Result<(), BadRecord> {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    let text = &bytes[..end];
    if memchr::memchr3(b'\t', b'\n', b'\r', text).is_some() {
        let message = format!("{what} holds a tab or a line break");
        return Err(BadRecord::new("bcf-text", message));
    }
    if text.is_empty() {
        out.push(b'.');
    }
    out.extend(
        text.iter()
            .map(|&b| if b == CHAR_MISSING { b'.' } else { b }),
    );
    Ok(())
}
