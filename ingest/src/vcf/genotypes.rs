//! Sample columns of one record: GT to the codec's rows, other FORMAT keys to array blobs.
//!
//! Two roads give the same rows. A line whose FORMAT is `GT` and whose columns are all four bytes
//! wide (`0|1` and a tab) is compared 64 bytes at a time with the record's default call, so that
//! only calls that differ cost anything; every other line is cut into columns and subfields.

use genokura_core::codec::array::{ArrayEncoder, ArrayKind, ArrayRow, Relation, base_of};
use genokura_core::codec::{AlleleCounts, DefaultCall, MISSING, RecordEncoder};
use genokura_core::genotype::Genotype;
use genokura_core::schema::{FieldDef, FieldType, Number};

use super::Bad;
use super::info::rule;
use crate::open::UNDECLARED_KEYS_MAX;
use crate::plan::{InputPlan, Layout, floats_hold};
use crate::tally::{CallClass, Noted};

/// Calls that are looked at to choose the record's default.
const PROBES: usize = 15;

/// The bits of two calls in which `0` and `1` differ.
const ALLELE_BITS: u64 = 0x0001_0001_0001_0001;

/// The [`ALLELE_BITS`] of a word side by side: alleles a and b of the first call, then of the second.
#[inline]
fn gather(word: u64) -> u32 {
    const SHIFTS: u64 = 1 << 48 | 1 << 33 | 1 << 18 | 1 << 3;
    ((word & ALLELE_BITS).wrapping_mul(SHIFTS) >> 48) as u32 & 0xf
}

/// A blob of one ALT in one block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GenotypeCell {
    pub(crate) alt_index: u16,
    /// Index in the blocks of the input.
    pub(crate) block: usize,
    pub(crate) counts: AlleleCounts,
    /// Bytes `from..to` of [`Genotypes::bytes`].
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// A blob of one FORMAT key in one block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FormatCell {
    pub(crate) block: usize,
    /// Column number among the FORMAT columns.
    pub(crate) column: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// The encoded sample columns of one record; reused from record to record.
#[derive(Debug, Default)]
pub(crate) struct Genotypes {
    pub(crate) default: DefaultCall,
    /// Counts by ALT; one entry for a record without ALT.
    pub(crate) counts: Vec<AlleleCounts>,
    pub(crate) cells: Vec<GenotypeCell>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) format_cells: Vec<FormatCell>,
    pub(crate) format_bytes: Vec<u8>,
    /// Calls that differ from the default.
    pub(crate) noted: Vec<Noted>,
    /// (FORMAT column, rule) of values that do not fit.
    pub(crate) issues: Vec<(usize, &'static str)>,
    pub(crate) n_empty: u64,
    pub(crate) n_undeclared: u64,
    /// Calls that name an allele the record does not have; kept as they are.
    pub(crate) n_out_of_range: u64,
    keys: Keys,
    starts: Vec<usize>,
    encoder: RecordEncoder,
    arrays: Vec<ArrayEncoder>,
}

/// A parsed FORMAT column; records in a row mostly have the same.
#[derive(Debug, Default)]
struct Keys {
    text: String,
    gt: Option<usize>,
    /// FORMAT column of each key; `None` for GT and for keys nobody declared.
    columns: Vec<Option<usize>>,
    n_undeclared: u64,
}

impl Keys {
    fn parse(text: &str, layout: &Layout) -> Result<Self, Bad> {
        let mut keys = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        if text == "." {
            return Ok(keys);
        }
        let names: Vec<&str> = text.split(':').collect();
        for (i, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(Bad::new(
                    "bad_format",
                    format!("FORMAT {text:?} has an empty key"),
                ));
            }
            if names[..i].contains(name) {
                let message = format!("FORMAT has the key {name} twice");
                return Err(Bad::new("duplicate_format_key", message));
            }
            let column = layout.format_index.get(*name).copied();
            if *name == "GT" {
                keys.gt = Some(i);
            } else if column.is_none() {
                keys.n_undeclared += 1;
            }
            keys.columns.push(column);
        }
        Ok(keys)
    }

    /// FORMAT is GT and nothing else.
    fn is_gt_only(&self) -> bool {
        self.gt == Some(0) && self.columns.len() == 1
    }
}

impl Genotypes {
    /// Encodes the sample columns `samples` (tab separated, without line end).
    pub(crate) fn encode(
        &mut self,
        format: &str,
        samples: &[u8],
        n_alts: u16,
        layout: &Layout,
        input: &InputPlan,
    ) -> Result<(), Bad> {
        self.clear(n_alts);
        if self.keys.text != format || self.keys.columns.is_empty() {
            self.keys = Keys::parse(format, layout)?;
        }
        self.n_undeclared = self.keys.n_undeclared;
        if self.n_undeclared > 0 && layout.keys_are_final && !layout.strict {
            let message = format!(
                "FORMAT {format:?} has a key beyond the {UNDECLARED_KEYS_MAX} undeclared ones that \
                 an input may have; declare the keys in the header"
            );
            return Err(Bad::new("too_many_undeclared_keys", message));
        }
        if self.keys.is_gt_only() && self.encode_fixed(samples, n_alts, input) {
            return Ok(());
        }
        self.clear(n_alts);
        self.encode_general(samples, n_alts, layout, input)
    }

    /// A record of an input without samples, or without FORMAT.
    pub(crate) fn encode_nothing(&mut self, n_alts: u16) {
        self.clear(n_alts);
        self.n_undeclared = 0;
    }

    fn clear(&mut self, n_alts: u16) {
        self.default = DefaultCall::None;
        self.counts.clear();
        self.counts
            .resize(usize::from(n_alts.max(1)), AlleleCounts::default());
        self.cells.clear();
        self.bytes.clear();
        self.format_cells.clear();
        self.format_bytes.clear();
        self.noted.clear();
        self.issues.clear();
        self.n_empty = 0;
        self.n_out_of_range = 0;
    }

    // -- the fast road ---------------------------------------------------------------------------

    /// False when the line is not of the fixed shape (or is wrong); nothing of it counts then.
    fn encode_fixed(&mut self, samples: &[u8], n_alts: u16, input: &InputPlan) -> bool {
        let n = input.n_samples as usize;
        if n == 0 || samples.len() != 4 * n - 1 {
            return false;
        }
        self.default = default_call(n, |i| Some(&samples[4 * i..4 * i + 3]));
        let mut from = 0;
        for (k, block) in input.blocks.iter().enumerate() {
            let to = (from + 4 * block.n_samples as usize).min(samples.len());
            self.encoder.begin(block.n_samples, n_alts, self.default);
            let first = u32::try_from(from / 4).unwrap_or(u32::MAX);
            if !self.scan_fixed(&samples[from..to], first, n_alts) {
                return false;
            }
            self.finish_block(k, n_alts);
            from = to;
        }
        true
    }

    /// Columns of four bytes, of which only the last may lack its tab.
    fn scan_fixed(&mut self, bytes: &[u8], first: u32, n_alts: u16) -> bool {
        let text = self.default.text().as_bytes();
        let lane = match *text {
            [a, s, b] => [a, s, b, b'\t'],
            _ => [0; 4],
        };
        let pattern = u64::from_le_bytes([
            lane[0], lane[1], lane[2], lane[3], lane[0], lane[1], lane[2], lane[3],
        ]);
        let is_ref = lane[0] == b'0' && lane[2] == b'0' && n_alts > 0;
        let mut sample = 0;
        let (wide, rest) = bytes.as_chunks::<64>();
        for chunk in wide {
            let words = chunk.as_chunks::<8>().0;
            let diff = words
                .iter()
                .fold(0, |d, w| d | (u64::from_le_bytes(*w) ^ pattern));
            if diff == 0 {
                // All of them have the default call.
            } else if diff & !ALLELE_BITS == 0 && is_ref {
                self.alt_1_calls(sample, first, words, pattern);
            } else {
                for (i, call) in (sample..).zip(chunk.as_chunks::<4>().0) {
                    if *call != lane && !self.fixed_call(i, first, *call, n_alts) {
                        return false;
                    }
                }
            }
            sample += 16;
        }
        let (calls, last) = rest.as_chunks::<4>();
        for call in calls {
            if *call != lane && !self.fixed_call(sample, first, *call, n_alts) {
                return false;
            }
            sample += 1;
        }
        match *last {
            [] => true,
            [a, s, b] => {
                let call = [a, s, b, b'\t'];
                call == lane || self.fixed_call(sample, first, call, n_alts)
            }
            _ => false,
        }
    }

    /// Sixteen calls of which each allele is 0 or 1 and the separator that of the default.
    #[inline]
    fn alt_1_calls(&mut self, sample: u32, first: u32, words: &[[u8; 8]], pattern: u64) {
        let mut haps = 0_u32;
        for (i, word) in words.iter().enumerate() {
            haps |= gather(u64::from_le_bytes(*word) ^ pattern) << (4 * i);
        }
        self.encoder.carriers_of_alt_1(sample, haps);
        let mut carriers = (haps | haps >> 1) & 0x5555_5555;
        while carriers != 0 {
            let place = carriers.trailing_zeros();
            carriers &= carriers - 1;
            let class = if haps >> place & 3 == 3 {
                CallClass::HomAlt
            } else {
                CallClass::Het
            };
            self.noted.push(Noted {
                sample: first + sample + place / 2,
                class: Some(class),
                alts: [1, MISSING],
            });
        }
    }

    #[inline]
    fn fixed_call(&mut self, sample: u32, first: u32, call: [u8; 4], n_alts: u16) -> bool {
        let [a, separator, b, tab] = call;
        let (Some(a), Some(b)) = (digit(a), digit(b)) else {
            return false;
        };
        let in_range = |x: u16| x <= n_alts || x == MISSING;
        if tab != b'\t' || !matches!(separator, b'|' | b'/') || !in_range(a) || !in_range(b) {
            return false;
        }
        self.encoder.diploid(sample, a, b, separator == b'|');
        self.noted.push(Noted::of_pair(first + sample, a, b));
        true
    }

    fn finish_block(&mut self, block: usize, n_alts: u16) {
        let alts = if n_alts == 0 { 0..=0 } else { 1..=n_alts };
        for (alt_index, total) in alts.zip(&mut self.counts) {
            let from = self.bytes.len();
            let row = self.encoder.finish(alt_index, &mut self.bytes);
            *total += row.counts;
            if !row.is_default {
                let (counts, to) = (row.counts, self.bytes.len());
                self.cells.push(GenotypeCell {
                    alt_index,
                    block,
                    counts,
                    from,
                    to,
                });
            }
        }
    }

    // -- the general road ------------------------------------------------------------------------

    fn encode_general(
        &mut self,
        samples: &[u8],
        n_alts: u16,
        layout: &Layout,
        input: &InputPlan,
    ) -> Result<(), Bad> {
        self.find_columns(samples, input.n_samples)?;
        if let Some(gt) = self.keys.gt {
            self.encode_gt(samples, gt, n_alts, input)?;
        }
        if !self.keys.is_gt_only() || memchr::memchr(b':', samples).is_some() {
            self.encode_arrays(samples, n_alts, layout, input)?;
        }
        Ok(())
    }

    /// Fills `starts`: where each column begins, and one past the end.
    fn find_columns(&mut self, samples: &[u8], n_samples: u32) -> Result<(), Bad> {
        self.starts.clear();
        self.starts.push(0);
        self.starts
            .extend(memchr::memchr_iter(b'\t', samples).map(|i| i + 1));
        let found = self.starts.len();
        if found != n_samples as usize {
            let message = format!("the record has {found} sample columns, the header {n_samples}");
            return Err(Bad::new("sample_count", message));
        }
        self.starts.push(samples.len() + 1);
        Ok(())
    }

    fn encode_gt(
        &mut self,
        samples: &[u8],
        gt: usize,
        n_alts: u16,
        input: &InputPlan,
    ) -> Result<(), Bad> {
        let starts = std::mem::take(&mut self.starts);
        let column = |i: usize| &samples[starts[i]..starts[i + 1] - 1];
        let n = input.n_samples as usize;
        self.default = default_call(n, |i| subfield(column(i), gt));
        let mut first = 0;
        let mut outcome = Ok(());
        'blocks: for (k, block) in input.blocks.iter().enumerate() {
            self.encoder.begin(block.n_samples, n_alts, self.default);
            for sample in 0..block.n_samples {
                let text = subfield(column((first + sample) as usize), gt).unwrap_or(b".");
                outcome = self.call(sample, first, text, n_alts);
                if outcome.is_err() {
                    break 'blocks;
                }
            }
            self.finish_block(k, n_alts);
            first += block.n_samples;
        }
        self.starts = starts;
        outcome
    }

    fn call(&mut self, sample: u32, first: u32, text: &[u8], n_alts: u16) -> Result<(), Bad> {
        if text == self.default.text().as_bytes() {
            return Ok(());
        }
        let in_range = |x: u16| x <= n_alts || x == MISSING;
        let noted = match *text {
            [a] => digit(a).map(|a| (a, a, None)),
            [a, s @ (b'|' | b'/'), b] => match (digit(a), digit(b)) {
                (Some(a), Some(b)) => Some((a, b, Some(s == b'|'))),
                _ => None,
            },
            _ => None,
        };
        let sample_number = first + sample;
        match noted {
            Some((a, b, phased)) if in_range(a) && in_range(b) => {
                match phased {
                    Some(phased) => self.encoder.diploid(sample, a, b, phased),
                    None => self.encoder.haploid(sample, a),
                }
                self.noted.push(Noted::of_pair(sample_number, a, b));
                Ok(())
            }
            _ => self.long_call(sample, sample_number, text, n_alts),
        }
    }

    /// Any other genotype text: long allele numbers, other ploidies, prefixes, and what is wrong.
    fn long_call(&mut self, sample: u32, number: u32, text: &[u8], n_alts: u16) -> Result<(), Bad> {
        let column = u64::from(number) + 10;
        let shown = String::from_utf8_lossy(&text[..text.len().min(32)]).into_owned();
        let genotype = Genotype::parse(text).map_err(|e| {
            let message = format!("GT {shown:?} in column {column} is no genotype: {e}");
            Bad::new("bad_genotype", message)
        })?;
        let is_out_of_range = genotype.alleles.iter().flatten().any(|a| *a > n_alts);
        self.n_out_of_range += u64::from(is_out_of_range);
        self.encoder.call(sample, text).map_err(|e| {
            Bad::new(
                "bad_genotype",
                format!("GT {shown:?} in column {column}: {e}"),
            )
        })?;
        self.note(number, &genotype);
        Ok(())
    }

    fn note(&mut self, sample: u32, genotype: &Genotype) {
        let allele = |i: usize| genotype.alleles.get(i).map(|a| a.unwrap_or(MISSING));
        let first = allele(0).unwrap_or(MISSING);
        let alike = genotype
            .alleles
            .iter()
            .all(|a| a.unwrap_or(MISSING) == first);
        let class = if genotype.is_missing() {
            CallClass::Missing
        } else if alike && first == 0 {
            CallClass::HomRef
        } else if alike {
            CallClass::HomAlt
        } else {
            CallClass::Het
        };
        let mut distinct: Vec<u16> = genotype.alleles.iter().flatten().copied().collect();
        distinct.sort_unstable();
        distinct.dedup();
        distinct.retain(|a| *a != 0);
        let mut pairs = distinct.chunks(2);
        let pair = pairs.next().unwrap_or(&[]);
        let at = |pair: &[u16], i: usize| pair.get(i).copied().unwrap_or(MISSING);
        self.noted.push(Noted {
            sample,
            class: Some(class),
            alts: [at(pair, 0), at(pair, 1)],
        });
        for pair in pairs {
            self.noted.push(Noted {
                sample,
                class: None,
                alts: [at(pair, 0), at(pair, 1)],
            });
        }
    }

    fn encode_arrays(
        &mut self,
        samples: &[u8],
        n_alts: u16,
        layout: &Layout,
        input: &InputPlan,
    ) -> Result<(), Bad> {
        let starts = std::mem::take(&mut self.starts);
        let keys = std::mem::take(&mut self.keys);
        let rows = Rows {
            samples,
            starts: &starts,
            keys: &keys,
            n_alts,
        };
        let mut first = 0;
        let mut outcome = Ok(());
        for (k, block) in input.blocks.iter().enumerate() {
            let samples = first..first + block.n_samples as usize;
            outcome = self.array_block(&rows, k, samples, layout, input);
            if outcome.is_err() {
                break;
            }
            first += block.n_samples as usize;
        }
        self.starts = starts;
        self.keys = keys;
        outcome
    }

    fn array_block(
        &mut self,
        rows: &Rows<'_>,
        block: usize,
        samples: std::ops::Range<usize>,
        layout: &Layout,
        input: &InputPlan,
    ) -> Result<(), Bad> {
        let n_keys = rows.keys.columns.len();
        let n_samples = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        self.arrays
            .resize_with(n_keys.max(self.arrays.len()), ArrayEncoder::new);
        let mut as_text = vec![false; n_keys];
        for (encoder, column) in self.arrays.iter_mut().zip(&rows.keys.columns) {
            if let Some(column) = column {
                encoder.begin(kind_of(&layout.format[*column]), n_samples);
            }
        }
        for (i, sample) in (0..n_samples).zip(samples.clone()) {
            let mut fields = 0;
            let text = rows.column(sample);
            let ploidy = rows
                .keys
                .gt
                .and_then(|gt| subfield(text, gt))
                .and_then(ploidy);
            for (key, value) in text.split(|b| *b == b':').enumerate() {
                fields = key + 1;
                let Some(Some(column)) = rows.keys.columns.get(key) else {
                    continue;
                };
                if value.is_empty() {
                    self.n_empty += u64::from(text.contains(&b':') || n_keys > 1);
                    continue;
                }
                if value == b"." {
                    continue;
                }
                let field = &layout.format[*column];
                let whole = input.whole.format.get(*column) == Some(&true);
                let fits = match whole && !floats_hold(value) {
                    true => Err(rule::FLOAT_DIGITS),
                    false => fits(field, value, rows.n_alts, ploidy),
                };
                if let Err(rule) = fits {
                    self.issues.push((*column, rule));
                    as_text[key] = true;
                }
                if !self.arrays[key].push_text(i, value) && fits.is_ok() {
                    self.issues.push((*column, misfit(field)));
                }
            }
            if fields > n_keys && !(n_keys == 0 && text == b".") {
                let message = format!(
                    "column {} has {fields} values, FORMAT {:?} has {n_keys} keys",
                    sample + 10,
                    rows.keys.text
                );
                return Err(Bad::new("too_many_format_values", message));
            }
        }
        for (key, _) in as_text.iter().enumerate().filter(|(_, as_text)| **as_text) {
            self.push_as_text(rows, key, samples.clone());
        }
        self.finish_arrays(rows.keys, block, layout);
        Ok(())
    }

    /// Blobs of all keys: first of those that stand alone, since others may be relative to them.
    fn finish_arrays(&mut self, keys: &Keys, block: usize, layout: &Layout) {
        let first = self.format_cells.len();
        for relative in [false, true] {
            for (encoder, column) in self.arrays.iter_mut().zip(&keys.columns) {
                let Some(column) = *column else { continue };
                let base = base_of(&layout.format[column].key);
                if base.is_some() != relative {
                    continue;
                }
                let base = base.and_then(|(key, relation)| {
                    let place = *layout.format_index.get(key)?;
                    let cells = self.format_cells[first..].iter();
                    let cell = cells.clone().find(|cell| cell.column == place)?;
                    Some((relation, *cell))
                });
                let from = self.format_bytes.len();
                if finish_array(encoder, base, &mut self.format_bytes) {
                    self.format_cells.push(FormatCell {
                        block,
                        column,
                        from,
                        to: self.format_bytes.len(),
                    });
                }
            }
        }
    }

    /// Encodes a key again as raw text: some of its values contradict their declaration.
    fn push_as_text(&mut self, rows: &Rows<'_>, key: usize, samples: std::ops::Range<usize>) {
        let n_samples = u32::try_from(samples.len()).unwrap_or(u32::MAX);
        let encoder = &mut self.arrays[key];
        encoder.begin(ArrayKind::Text, n_samples);
        for (i, sample) in (0..n_samples).zip(samples) {
            if let Some(value) = subfield(rows.column(sample), key)
                && value != b"."
                && !value.is_empty()
            {
                encoder.push_text(i, value);
            }
        }
    }
}

/// Appends a blob, relative to the one of its base key where there is one; false when all is absent.
fn finish_array(
    encoder: &mut ArrayEncoder,
    base: Option<(Relation, FormatCell)>,
    bytes: &mut Vec<u8>,
) -> bool {
    let Some((relation, cell)) = base else {
        return encoder.finish(bytes);
    };
    // The base lies in the bytes that grow: the blob is made behind them and joined.
    let mut own = Vec::new();
    let is_written = match ArrayRow::parse(&bytes[cell.from..cell.to]) {
        Ok(row) => encoder.finish_given(relation, &row, &mut own),
        Err(_) => encoder.finish(&mut own),
    };
    bytes.append(&mut own);
    is_written
}

/// The sample columns of one record, cut.
struct Rows<'a> {
    samples: &'a [u8],
    starts: &'a [usize],
    keys: &'a Keys,
    n_alts: u16,
}

impl<'a> Rows<'a> {
    fn column(&self, sample: usize) -> &'a [u8] {
        &self.samples[self.starts[sample]..self.starts[sample + 1] - 1]
    }
}

fn digit(byte: u8) -> Option<u16> {
    match byte {
        b'0'..=b'9' => Some(u16::from(byte - b'0')),
        b'.' => Some(MISSING),
        _ => None,
    }
}

/// Subfield `key` of a sample column; `None` when trailing fields were dropped.
fn subfield(column: &[u8], key: usize) -> Option<&[u8]> {
    column.split(|b| *b == b':').nth(key)
}

/// The commonest of the probed calls that a default can be; ties go to the first seen.
fn default_call<'a>(n: usize, call: impl Fn(usize) -> Option<&'a [u8]>) -> DefaultCall {
    let mut votes = [0_u32; 7];
    let mut best = DefaultCall::None;
    let last = n.saturating_sub(1);
    for probe in 0..PROBES.min(n) {
        let i = if n <= PROBES {
            probe
        } else {
            probe * last / (PROBES - 1)
        };
        if let Some(found) = call(i).and_then(DefaultCall::of_text) {
            votes[found as usize] += 1;
            if votes[found as usize] > votes[best as usize] {
                best = found;
            }
        }
    }
    if best == DefaultCall::None {
        fallback_default(call(0))
    } else {
        best
    }
}

/// No probe is reference or missing: the reference call of the same shape as the first one.
fn fallback_default(first: Option<&[u8]>) -> DefaultCall {
    match first {
        Some(text) if text.contains(&b'|') => DefaultCall::Phased,
        Some(text) if !text.contains(&b'/') && text.len() == 1 => DefaultCall::Haploid,
        _ => DefaultCall::Unphased,
    }
}

fn kind_of(field: &FieldDef) -> ArrayKind {
    match field.ty {
        FieldType::Integer => ArrayKind::Integer,
        FieldType::Float => ArrayKind::Float,
        _ => ArrayKind::Text,
    }
}

fn misfit(field: &FieldDef) -> &'static str {
    if field.ty == FieldType::Integer {
        rule::NOT_INTEGER
    } else {
        rule::NOT_FLOAT
    }
}

/// Alleles of a genotype text; `None` for `.`, whose ploidy is open.
fn ploidy(gt: &[u8]) -> Option<usize> {
    if gt == b"." {
        return None;
    }
    let gt = gt
        .strip_prefix(b"/")
        .or(gt.strip_prefix(b"|"))
        .unwrap_or(gt);
    Some(1 + gt.iter().filter(|b| matches!(b, b'/' | b'|')).count())
}

/// Whether a value has as many items as its Number asks for, and a character is one character.
fn fits(
    field: &FieldDef,
    value: &[u8],
    n_alts: u16,
    ploidy: Option<usize>,
) -> Result<(), &'static str> {
    let is_short_text = field.ty == FieldType::Character && field.number == Number::Count(1);
    if is_short_text && std::str::from_utf8(value).map_or(0, |t| t.chars().count()) != 1 {
        return Err(rule::NOT_CHARACTER);
    }
    let n_alts = usize::from(n_alts);
    let expected = match field.number {
        Number::Count(n) => n as usize,
        Number::A if n_alts > 0 => n_alts,
        Number::R => n_alts + 1,
        Number::G => return fits_genotypes(value, n_alts, ploidy),
        _ => return Ok(()),
    };
    if n_items(value) == expected {
        Ok(())
    } else {
        Err(rule::NUMBER)
    }
}

fn fits_genotypes(value: &[u8], n_alts: usize, ploidy: Option<usize>) -> Result<(), &'static str> {
    let items = n_items(value);
    let fits = match ploidy {
        Some(ploidy) => n_genotypes(n_alts, ploidy) == items,
        None => (1..=2).any(|ploidy| n_genotypes(n_alts, ploidy) == items),
    };
    if fits { Ok(()) } else { Err(rule::NUMBER) }
}

fn n_items(value: &[u8]) -> usize {
    1 + memchr::memchr_iter(b',', value).count()
}

/// Unordered genotypes of `n_alts + 1` alleles: binomial(n_alts + ploidy, ploidy).
fn n_genotypes(n_alts: usize, ploidy: usize) -> usize {
    (1..=ploidy).fold(1, |n: usize, i| n.saturating_mul(n_alts + i) / i)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use genokura_core::codec::GenotypeRow;
    use proptest::prelude::*;

    use super::*;
    use crate::plan::BlockPlan;

    fn input(blocks: &[u32]) -> InputPlan {
        let plan = |(block, n_samples): (i32, &u32)| BlockPlan {
            block,
            n_samples: *n_samples,
        };
        InputPlan {
            source: 0,
            n_samples: blocks.iter().sum(),
            has_format: true,
            version: None,
            blocks: (0..).zip(blocks).map(plan).collect(),
            filters: Vec::new(),
            annotations: Vec::new(),
            whole: Default::default(),
        }
    }

    fn layout() -> Layout {
        Layout::new(Vec::new(), &[], false)
    }

    /// Everything of a record but the scratch.
    fn outcome(g: &Genotypes) -> String {
        let cells: Vec<_> = g
            .cells
            .iter()
            .map(|c| (c.alt_index, c.block, c.counts, &g.bytes[c.from..c.to]))
            .collect();
        let noted: Vec<_> = g
            .noted
            .iter()
            .map(|n| (n.sample, n.class, n.alts))
            .collect();
        format!("{:?} {:?} {cells:?} {noted:?}", g.default, g.counts)
    }

    fn calls() -> impl Strategy<Value = Vec<String>> {
        let rare = prop_oneof![
            40 => Just("0|0"), 10 => Just("0/0"), 2 => Just("./."), 1 => Just("0|1"), 1 => Just("1|2"),
            1 => Just("2/2"), 1 => Just("./1"), 1 => Just(".|."), 1 => Just("3/0"),
        ];
        let even = prop_oneof![Just("0|0"), Just("0|1"), Just("1/1"), Just("./.")];
        let of = |call: BoxedStrategy<&'static str>| {
            prop::collection::vec(call.prop_map(str::to_owned), 1..300)
        };
        prop_oneof![of(rare.boxed()), of(even.boxed())]
    }

    proptest! {
        /// The fast road, the general road and the texts agree.
        #[test]
        fn both_roads_give_the_same_rows(calls in calls(), cut in 0_u32..200) {
            let n = u32::try_from(calls.len()).unwrap();
            let cut = cut.min(n - 1);
            let input = input(if cut == 0 { vec![n] } else { vec![cut, n - cut] }.as_slice());
            let text = calls.join("\t");
            let (layout, n_alts) = (layout(), 3);
            let (mut fast, mut general) = (Genotypes::default(), Genotypes::default());
            fast.encode("GT", text.as_bytes(), n_alts, &layout, &input).unwrap();
            general.clear(n_alts);
            general.keys = Keys::parse("GT", &layout).unwrap();
            general.encode_general(text.as_bytes(), n_alts, &layout, &input).unwrap();
            prop_assert_eq!(outcome(&fast), outcome(&general));
            for cell in fast.cells.iter().filter(|c| c.block == 0) {
                let row = GenotypeRow::parse(&fast.bytes[cell.from..cell.to]).unwrap();
                for i in 0..input.blocks[0].n_samples {
                    let mut written = Vec::new();
                    row.genotype(i).unwrap().write_to(&mut written);
                    prop_assert_eq!(written, calls[i as usize].as_bytes());
                }
            }
        }

        /// A line of the fixed shape that is wrong is refused by the general road, never taken.
        #[test]
        fn a_wrong_byte_is_never_taken(at in 0_usize..399, byte in any::<u8>()) {
            let input = input(&[100]);
            let mut text = ["0|0"; 100].join("\t").into_bytes();
            text[at] = byte;
            let mut g = Genotypes::default();
            let outcome = g.encode("GT", &text, 1, &layout(), &input);
            let is_call = |call: &[u8]| matches!(call, [b'0' | b'1' | b'.', b'|' | b'/', b'0' | b'1' | b'.']);
            let columns: Vec<&[u8]> = text.split(|b| *b == b'\t').collect();
            let right = columns.len() == 100 && columns.iter().all(|c| is_call(c));
            prop_assert_eq!(outcome.is_ok() && g.n_out_of_range == 0, right);
        }
    }

    #[test]
    fn number_of_genotypes() {
        for (n_alts, ploidy, n) in [
            (0, 2, 1),
            (1, 1, 2),
            (1, 2, 3),
            (2, 2, 6),
            (1, 3, 4),
            (2, 3, 10),
        ] {
            assert_eq!(n_genotypes(n_alts, ploidy), n);
        }
    }

    #[test]
    fn the_default_is_the_commonest_probe() {
        for (calls, expected) in [
            (vec!["0/0", "0|0", "0|0"], DefaultCall::Phased),
            (vec!["0/1"], DefaultCall::Unphased),
            (vec!["1|1"], DefaultCall::Phased),
            (vec!["1"], DefaultCall::Haploid),
            (vec!["./.", "0/1"], DefaultCall::Missing),
        ] {
            let call = |i: usize| calls.get(i).map(|c: &&str| c.as_bytes());
            assert_eq!(default_call(calls.len(), call), expected, "{calls:?}");
        }
    }
}
