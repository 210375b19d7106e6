//! The stored form of an array blob: where the values of a sample are, and their bits.

use super::{ArrayKind, MISSING_F32, MISSING_I32, PLANES, ROWS, Relation, SAME, SUMS_EVERY, Width};
use crate::codec::kernels;
use crate::codec::set::plane_len;
use crate::codec::varint::Reader;

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

/// How the values lie.
#[derive(Debug, Clone, Copy)]
enum Layout<'a> {
    /// Version 1: sample by sample.
    Rows { counts: Counts<'a>, width: Width },
    /// Version 2: value by value; a width code for each.
    Planes { widths: &'a [u8] },
}

/// Where the values of a stored sample are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its number among the stored ones.
    stored: usize,
    /// Version 1: index of its first value.
    start: usize,
    /// How many values it has.
    pub(super) count: usize,
}

/// A checked blob, without its base.
#[derive(Debug, Clone, Copy)]
pub(super) struct Body<'a> {
    kind: ArrayKind,
    relation: Relation,
    n_samples: u32,
    presence: Option<&'a [u8]>,
    n_stored: usize,
    layout: Layout<'a>,
    values: &'a [u8],
    escapes: &'a [u8],
}

impl<'a> Body<'a> {
    /// Reads and checks; an error tells what is wrong.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let mut reader = Reader::new(bytes);
        let body = match reader.byte() {
            Some(ROWS) => Self::parse_rows(&mut reader)?,
            Some(PLANES) => Self::parse_planes(&mut reader)?,
            _ => return Err("unknown version"),
        };
        if reader.is_empty() {
            Ok(body)
        } else {
            Err("bytes after the end")
        }
    }

    fn parse_rows(reader: &mut Reader<'a>) -> Result<Self, &'static str> {
        let form = reader.byte().filter(|form| form >> 6 == 0);
        let form = form.ok_or("unknown form")?;
        let kind = kind_of_rows(form).ok_or("unknown kind")?;
        let width = Width::from_bits(form >> 2).ok_or("unknown width")?;
        let (n_samples, presence, n_stored) = read_samples(reader, form)?;
        let (counts, n_values) = match form >> 4 & 1 {
            0 => read_fixed(reader, n_stored),
            _ => read_each(reader, n_stored),
        }
        .ok_or("counts")?;
        let bytes = n_values.checked_mul(width.bytes());
        let values = bytes.and_then(|bytes| reader.take(bytes)).ok_or("values")?;
        let is_narrow = kind == ArrayKind::Integer && width != Width::Four;
        let escapes = match is_narrow {
            true => read_escapes(reader, n_values).ok_or("escapes")?,
            false => &[],
        };
        Ok(Self {
            kind,
            relation: Relation::Alone,
            n_samples,
            presence,
            n_stored,
            layout: Layout::Rows { counts, width },
            values,
            escapes,
        })
    }

    fn parse_planes(reader: &mut Reader<'a>) -> Result<Self, &'static str> {
        let form = reader.byte().filter(|form| form >> 2 & 7 == 0);
        let form = form.ok_or("unknown form")?;
        let kind = match form & 3 {
            0 => ArrayKind::Integer,
            1 => ArrayKind::Float,
            _ => return Err("unknown kind"),
        };
        let relation = match (form >> 6, kind) {
            (0, _) => Relation::Alone,
            (1, ArrayKind::Integer) => Relation::RestOfBase,
            (2, ArrayKind::Integer) => Relation::AboveBase,
            _ => return Err("unknown relation"),
        };
        let (n_samples, presence, n_stored) = read_samples(reader, form)?;
        let n_values = reader.varint().filter(|n| *n > 0).ok_or("counts")? as usize;
        let widths = reader.take(n_values).ok_or("widths")?;
        let mut bytes = 0_usize;
        for width in widths {
            let is_known = *width <= SAME && (kind == ArrayKind::Integer || *width >= 2);
            let plane = is_known.then(|| bytes_of_plane(*width, n_stored)).flatten();
            let plane = plane.ok_or("unknown width")?;
            bytes = bytes.checked_add(plane).ok_or("values")?;
        }
        let values = reader.take(bytes).ok_or("values")?;
        let n_cells = n_stored.checked_mul(n_values).ok_or("values")?;
        let escapes = read_escapes(reader, n_cells).ok_or("escapes")?;
        Ok(Self {
            kind,
            relation,
            n_samples,
            presence,
            n_stored,
            layout: Layout::Planes { widths },
            values,
            escapes,
        })
    }

    pub(super) fn kind(&self) -> ArrayKind {
        self.kind
    }

    pub(super) fn relation(&self) -> Relation {
        self.relation
    }

    pub(super) fn n_samples(&self) -> u32 {
        self.n_samples
    }

    /// Stands alone and has one whole number for each sample.
    pub(super) fn is_base(&self) -> bool {
        let is_scalar = match self.layout {
            Layout::Rows { counts, .. } => matches!(counts, Counts::Fixed(1)),
            Layout::Planes { widths } => widths.len() == 1,
        };
        is_scalar && self.kind == ArrayKind::Integer && self.relation == Relation::Alone
    }

    /// The value of a sample of a base; `None` when it has none.
    pub(super) fn scalar(&self, sample: u32) -> Option<i32> {
        super::integer(self.first(self.place(sample)?))
    }

    /// The place of a sample; an absent one may also show as one missing value or as none.
    #[inline]
    pub(super) fn place(&self, sample: u32) -> Option<Place> {
        if sample >= self.n_samples {
            return None;
        }
        let stored = match self.presence {
            None => sample,
            Some(plane) if kernels::bit(plane, sample) => kernels::rank(plane, sample),
            Some(_) => return None,
        } as usize;
        let (start, count) = match self.layout {
            Layout::Planes { widths } => (stored, widths.len()),
            Layout::Rows { counts, .. } => match counts {
                Counts::Fixed(count) => (stored * count, count),
                Counts::Each {
                    sums,
                    counts,
                    width,
                } => each_span(sums, counts, width, stored),
            },
        };
        Some(Place {
            stored,
            start,
            count,
        })
    }

    /// A single missing number is how an absent sample is stored without a presence plane.
    pub(super) fn is_lone_missing(&self, place: Place) -> bool {
        self.kind != ArrayKind::Text && self.first(place) == self.missing()
    }

    fn missing(&self) -> u32 {
        match self.kind {
            ArrayKind::Float => MISSING_F32,
            _ => MISSING_I32.cast_unsigned(),
        }
    }

    pub(super) fn text(&self, place: Place) -> &'a [u8] {
        let range = place.start..place.start + place.count;
        self.values.get(range).unwrap_or_default()
    }

    /// Bits of the first number of a stored sample.
    #[inline]
    pub(super) fn first(&self, place: Place) -> u32 {
        match self.layout {
            Layout::Rows { width, .. } => self.row_cell(width, place.start),
            Layout::Planes { widths } => {
                let width = widths.first().copied().unwrap_or(SAME);
                self.plane_cell(width, 0, 0, place.stored)
            }
        }
    }

    /// Bits of each number of a stored sample, as they are stored.
    #[inline]
    pub(super) fn each(&self, place: Place, mut f: impl FnMut(u32)) {
        match self.layout {
            Layout::Rows { width, .. } => {
                for index in place.start..place.start + place.count {
                    f(self.row_cell(width, index));
                }
            }
            Layout::Planes { widths } => {
                let mut offset = 0;
                for (k, width) in widths.iter().enumerate() {
                    f(self.plane_cell(*width, offset, k, place.stored));
                    offset += bytes_of_plane(*width, self.n_stored).unwrap_or(0);
                }
            }
        }
    }

    #[inline]
    fn row_cell(&self, width: Width, index: usize) -> u32 {
        let bits = match width {
            Width::One => self.values.get(index).map(|v| self.one(*v, index)),
            Width::Two => chunk(self.values, index).map(|v| self.two(v, index)),
            Width::Four => chunk(self.values, index).map(u32::from_le_bytes),
        };
        bits.unwrap_or_else(|| self.missing())
    }

    /// Value `k` of a stored sample; its plane begins at `offset`.
    #[inline]
    fn plane_cell(&self, width: u8, offset: usize, k: usize, stored: usize) -> u32 {
        let plane = self.values.get(offset..).unwrap_or_default();
        let byte = |b: usize| plane.get(b * self.n_stored + stored).copied().unwrap_or(0);
        let index = k * self.n_stored + stored;
        match width {
            0 => self.one(byte(0), index),
            1 => self.two([byte(0), byte(1)], index),
            2 => u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]),
            _ => self.escaped(index).unwrap_or_else(|| {
                chunk(plane, 0).map_or_else(|| self.missing(), u32::from_le_bytes)
            }),
        }
    }

    #[inline]
    fn one(&self, code: u8, index: usize) -> u32 {
        match code {
            0xff => MISSING_I32.cast_unsigned(),
            0xfe => self.escaped_or_missing(index),
            value => u32::from(value),
        }
    }

    #[inline]
    fn two(&self, code: [u8; 2], index: usize) -> u32 {
        match i16::from_le_bytes(code) {
            i16::MIN => MISSING_I32.cast_unsigned(),
            value if value == i16::MIN + 1 => self.escaped_or_missing(index),
            value => i32::from(value).cast_unsigned(),
        }
    }

    #[cold]
    fn escaped_or_missing(&self, index: usize) -> u32 {
        self.escaped(index).unwrap_or_else(|| self.missing())
    }

    fn escaped(&self, index: usize) -> Option<u32> {
        let (entries, _) = self.escapes.as_chunks::<8>();
        let key = |entry: &[u8; 8]| chunk::<4>(entry, 0).map_or(0, u32::from_le_bytes) as usize;
        let at = entries.binary_search_by_key(&index, key).ok()?;
        chunk(&entries[at], 1).map(u32::from_le_bytes)
    }
}

fn kind_of_rows(form: u8) -> Option<ArrayKind> {
    match (form & 3, form >> 2 & 3) {
        (0, _) => Some(ArrayKind::Integer),
        (1, 2) => Some(ArrayKind::Float),
        (2, 0) => Some(ArrayKind::Text),
        _ => None,
    }
}

/// Bytes of one plane.
fn bytes_of_plane(width: u8, n_stored: usize) -> Option<usize> {
    match width {
        0..=2 => n_stored.checked_mul(1 << width),
        _ => Some(4),
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

type Samples<'a> = (u32, Option<&'a [u8]>, usize);

/// Size of the block, presence plane, number of stored samples.
fn read_samples<'a>(reader: &mut Reader<'a>, form: u8) -> Result<Samples<'a>, &'static str> {
    let n_samples = reader.varint().ok_or("number of samples")?;
    let presence = match form >> 5 & 1 {
        0 => None,
        _ => Some(read_presence(reader, n_samples).ok_or("presence")?),
    };
    let n_stored = presence.map_or(n_samples, kernels::count) as usize;
    Ok((n_samples, presence, n_stored))
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
