//! Builds array blobs from the texts of a record's samples.

use super::{
    ArrayKind, ArrayRow, LEAST_I32, MISSING_F32, MISSING_I32, NAN_F32, PLANES, ROWS, Relation,
    SAME, SUMS_EVERY, Width, fits_one, fits_two, integer, len_u32, parse_float, parse_integer,
    write_number,
};
use crate::codec::set::plane_len;
use crate::codec::varint;

/// Bytes of an escaped value: its index and itself.
const ESCAPE_BYTES: usize = 8;

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
    /// What a relation would store for each sample that has values.
    related: Vec<i32>,
    plans: Vec<Plan>,
}

/// How one plane is written.
#[derive(Debug, Clone, Copy)]
struct Plan {
    width: u8,
    /// The value of a plane of width [`SAME`].
    same: u32,
    n_escapes: usize,
}

impl Plan {
    fn is_escaped(self, bits: u32) -> bool {
        let value = bits.cast_signed();
        match self.width {
            0 => value != MISSING_I32 && !fits_one(value),
            1 => value != MISSING_I32 && !fits_two(value),
            2 => false,
            _ => bits != self.same,
        }
    }
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
        self.write(None, out)
    }

    /// As [`ArrayEncoder::finish`], stored relative to the blob of the base key of the same record
    /// and block where that takes fewer bits: it is then read with [`ArrayRow::parse_given`].
    ///
    /// A base of another block size, or without one whole number for each sample, is not used.
    pub fn finish_given(
        &mut self,
        relation: Relation,
        base: &ArrayRow<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let fits = base.n_samples() == self.n_samples && base.body.is_base();
        self.write(fits.then_some((relation, base)), out)
    }

    fn write(&mut self, base: Option<(Relation, &ArrayRow<'_>)>, out: &mut Vec<u8>) -> bool {
        self.counts.resize(self.n_samples as usize, 0);
        let Some(first) = self.counts.iter().copied().find(|count| *count > 0) else {
            return false;
        };
        let n_absent = self.counts.iter().filter(|count| **count == 0).count();
        let is_fixed = self
            .counts
            .iter()
            .all(|count| *count == 0 || *count == first);
        if is_fixed && self.kind != ArrayKind::Text {
            self.write_planes(first, n_absent, base, out);
        } else {
            self.write_rows(is_fixed.then_some(first), n_absent, out);
        }
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

    // -- version 2 -------------------------------------------------------------------------------

    fn write_planes(
        &mut self,
        count: u32,
        n_absent: usize,
        base: Option<(Relation, &ArrayRow<'_>)>,
        out: &mut Vec<u8>,
    ) {
        let relation = base.map_or(Relation::Alone, |(relation, base)| {
            self.relate(relation, base, count as usize)
        });
        let plane = plane_len(self.n_samples);
        let has_plane = n_absent > 0 && (count > 1 || n_absent > plane);
        out.push(PLANES);
        out.push(self.kind as u8 | u8::from(has_plane) << 5 | (relation as u8) << 6);
        varint::write(self.n_samples, out);
        if has_plane {
            self.write_presence(plane, out);
        } else if n_absent > 0 {
            self.fill_absent();
        }
        varint::write(count, out);
        let count = count as usize;
        self.plans.clear();
        for k in 0..count {
            let plan = self.plan(k, count);
            self.plans.push(plan);
            out.push(plan.width);
        }
        for (k, plan) in self.plans.iter().enumerate() {
            self.write_plane(k, count, *plan, out);
        }
        self.write_plane_escapes(count, out);
    }

    /// Replaces the related value of each sample by what is stored of it, if that takes fewer bits.
    fn relate(&mut self, relation: Relation, base: &ArrayRow<'_>, count: usize) -> Relation {
        let k = match relation {
            Relation::Alone => return relation,
            Relation::RestOfBase => 0,
            Relation::AboveBase => 1,
        };
        if k >= count || self.kind != ArrayKind::Integer {
            return Relation::Alone;
        }
        self.related.clear();
        let (mut bits_alone, mut bits_related) = (0, 0);
        let samples = (0..).zip(&self.counts).filter(|(_, count)| **count > 0);
        for ((sample, _), values) in samples.zip(self.numbers.chunks_exact(count)) {
            let Some(value) = integer(values[k]) else {
                self.related.push(MISSING_I32);
                continue;
            };
            let from = base.integer_scalar(sample).unwrap_or(0);
            let stored = match relation {
                Relation::RestOfBase => values[1..]
                    .iter()
                    .filter_map(|bits| integer(*bits))
                    .fold(from.wrapping_sub(value), i32::wrapping_sub),
                _ => value.wrapping_sub(from),
            };
            if stored < LEAST_I32 {
                return Relation::Alone;
            }
            bits_alone += bits_of(value);
            bits_related += bits_of(stored);
            self.related.push(stored);
        }
        if bits_related >= bits_alone {
            return Relation::Alone;
        }
        for (values, stored) in self.numbers.chunks_exact_mut(count).zip(&self.related) {
            values[k] = stored.cast_unsigned();
        }
        relation
    }

    /// Value `k` of every stored sample.
    fn plane(&self, k: usize, count: usize) -> impl Iterator<Item = u32> + Clone + '_ {
        self.numbers.iter().skip(k).step_by(count).copied()
    }

    /// The form of a plane that takes the fewest bytes; a plane of nearly one value must take half of
    /// any other, since what compresses the blobs sees to a long run as well.
    fn plan(&self, k: usize, count: usize) -> Plan {
        let n = self.numbers.len() / count;
        let (mut same, mut votes) = (0_u32, 0_usize);
        let (mut wide, mut very_wide) = (0, 0);
        for bits in self.plane(k, count) {
            match votes {
                0 => (same, votes) = (bits, 1),
                _ if bits == same => votes += 1,
                _ => votes -= 1,
            }
            let value = bits.cast_signed();
            wide += usize::from(value != MISSING_I32 && !fits_one(value));
            very_wide += usize::from(value != MISSING_I32 && !fits_two(value));
        }
        let plan = |width, n_escapes| Plan {
            width,
            same,
            n_escapes,
        };
        let (bytes, best) = if self.kind == ArrayKind::Float {
            (4 * n, plan(2, 0))
        } else {
            let forms = [
                (n + ESCAPE_BYTES * wide, plan(0, wide)),
                (2 * n + ESCAPE_BYTES * very_wide, plan(1, very_wide)),
                (4 * n, plan(2, 0)),
            ];
            let best = forms.into_iter().min_by_key(|(bytes, _)| *bytes);
            best.unwrap_or((4 * n, plan(2, 0)))
        };
        // Without a large majority the vote is not worth a second look.
        if votes <= n / 2 {
            return best;
        }
        let others = self.plane(k, count).filter(|bits| *bits != same).count();
        if 2 * (4 + ESCAPE_BYTES * others) <= bytes {
            plan(SAME, others)
        } else {
            best
        }
    }

    fn write_plane(&self, k: usize, count: usize, plan: Plan, out: &mut Vec<u8>) {
        let (missing, escape) = match plan.width {
            0 => (0xff, 0xfe),
            1 => (0x8000, 0x8001),
            2 => (0, 0),
            _ => return out.extend_from_slice(&plan.same.to_le_bytes()),
        };
        let code = |bits: u32| match bits.cast_signed() {
            _ if plan.width == 2 => bits,
            MISSING_I32 => missing,
            _ if plan.n_escapes > 0 && plan.is_escaped(bits) => escape,
            _ => bits,
        };
        for byte in 0..1 << plan.width {
            out.extend(
                self.plane(k, count)
                    .map(|bits| code(bits).to_le_bytes()[byte]),
            );
        }
    }

    fn write_plane_escapes(&self, count: usize, out: &mut Vec<u8>) {
        let n_stored = self.numbers.len() / count;
        varint::write_len(self.plans.iter().map(|plan| plan.n_escapes).sum(), out);
        for (k, plan) in self.plans.iter().enumerate() {
            if plan.n_escapes == 0 {
                continue;
            }
            for (stored, bits) in self.plane(k, count).enumerate() {
                if plan.is_escaped(bits) {
                    let index = len_u32(k * n_stored + stored);
                    out.extend_from_slice(&index.to_le_bytes());
                    out.extend_from_slice(&bits.to_le_bytes());
                }
            }
        }
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

    // -- version 1 -------------------------------------------------------------------------------

    /// `count` when it is the same for all.
    fn write_rows(&mut self, count: Option<u32>, n_absent: usize, out: &mut Vec<u8>) {
        let (width, n_escapes) = self.width();
        let has_plane = n_absent > 0;
        out.push(ROWS);
        out.push(
            self.kind as u8
                | (width as u8) << 2
                | u8::from(count.is_none()) << 4
                | u8::from(has_plane) << 5,
        );
        varint::write(self.n_samples, out);
        if has_plane {
            self.write_presence(plane_len(self.n_samples), out);
        }
        match count {
            Some(count) => varint::write(count, out),
            None => self.write_counts(out),
        }
        self.write_values(width, n_escapes, out);
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

/// Bits that a number needs, its sign among them.
fn bits_of(value: i32) -> u64 {
    let zigzag = (value << 1) ^ (value >> 31);
    u64::from(32 - zigzag.leading_zeros())
}
