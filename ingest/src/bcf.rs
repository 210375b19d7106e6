//! BCF 2.1 and 2.2 records as VCF lines, so that one record parser serves both formats.
//!
//! ```text
//! file    "BCF" 2 minor | length u32 | header text (NUL padded) | record record …
//! record  shared bytes u32 | individual bytes u32 | shared part | individual part
//! ```
//! Works on an uncompressed stream that comes in arbitrary pieces: [`file_header`] and
//! [`split_records`] say how much of it is whole. Lengths are checked against the bytes at hand
//! before anything is allocated or read: damaged input gives a [`BadRecord`], never a panic.
//!
//! Floats print so that they parse back to the same `f32` (the payload of a NaN aside). Trailing
//! missing sub-fields are printed, as bcftools does.

mod typed;

#[cfg(test)]
mod tests;

use std::io::Write as _;

use crate::error::{Error, Result};
use crate::header::Header;

use typed::{Cursor, Kind, Typed};

/// Largest record that is read, in bytes: 31,000 samples with wide FORMAT stay far below.
pub const RECORD_BYTES_MAX: u64 = 1 << 30;

/// Bytes of a record's two length fields.
const LENGTHS_BYTES: usize = 8;

/// A record that cannot be decoded; the caller knows its ordinal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (rule {rule})")]
pub struct BadRecord {
    /// Stable name of the rule.
    pub rule: &'static str,
    /// What is wrong, with the field.
    pub message: String,
}

impl BadRecord {
    fn new(rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            rule,
            message: message.into(),
        }
    }

    /// The refusal of this record for the quarantine; `ordinal` is 1-based.
    #[must_use]
    pub fn into_refusal(self, input: u32, ordinal: u64) -> crate::quarantine::Refusal {
        crate::quarantine::Refusal {
            input,
            line: ordinal,
            contig: None,
            pos: None,
            rule: self.rule,
            message: self.message,
            text: String::new(),
        }
    }
}

/// Whether an uncompressed stream begins like a BCF 2 file.
#[must_use]
pub fn is_bcf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BCF\x02")
}

/// The header text at the front of a BCF stream and the offset of the first record; `None` when
/// more bytes are needed.
///
/// # Errors
/// [`Error::Header`] for another BCF version or a header longer than
/// [`HEADER_BYTES_MAX`](crate::header::HEADER_BYTES_MAX).
pub fn file_header(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let refuse = |rule, message: String| Error::Header {
        input: 0,
        line: 1,
        rule,
        message,
    };
    let Some((magic, rest)) = bytes.split_at_checked(5) else {
        return Ok(None);
    };
    if !is_bcf(magic) || !(1..=2).contains(&magic[4]) {
        let message = "not BCF 2.1 or 2.2; convert it with bcftools view -Ob".to_owned();
        return Err(refuse("bcf-version", message));
    }
    let Some((length, rest)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > crate::header::HEADER_BYTES_MAX {
        return Err(refuse(
            "bcf-header-length",
            format!("the header claims {length} bytes"),
        ));
    }
    let Some(text) = rest.get(..length) else {
        return Ok(None);
    };
    let end = memchr::memchr(0, text).unwrap_or(length);
    Ok(Some((&text[..end], 9 + length)))
}

/// Splits `bytes`, which begin with a record, into whole records and the rest.
///
/// # Errors
/// [`BadRecord`] when a length cannot be that of a record; nothing after it can be found.
pub fn split_records(bytes: &[u8]) -> Result<(&[u8], &[u8]), BadRecord> {
    let mut whole = 0;
    while let Some(length) = record_length(&bytes[whole..])? {
        match whole.checked_add(length) {
            Some(end) if end <= bytes.len() => whole = end,
            _ => break,
        }
    }
    Ok(bytes.split_at(whole))
}

/// The records in `bytes` one by one, each with its length fields.
pub fn records(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], BadRecord>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match record_length(rest) {
            Ok(Some(length)) if length <= rest.len() => {
                let (record, after) = rest.split_at(length);
                rest = after;
                Some(Ok(record))
            }
            other => {
                rest = &[];
                let cut = BadRecord::new("bcf-truncated", "the input ends within a record");
                Some(Err(other.err().unwrap_or(cut)))
            }
        }
    })
}

/// Bytes of the record at the front, lengths included; `None` when its lengths are not yet there.
fn record_length(bytes: &[u8]) -> Result<Option<usize>, BadRecord> {
    let Some((shared, rest)) = bytes.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let Some((individual, _)) = rest.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let total = u64::from(u32::from_le_bytes(*shared)) + u64::from(u32::from_le_bytes(*individual));
    if total > RECORD_BYTES_MAX {
        let message = format!("a record claims {total} bytes; the stream is damaged");
        return Err(BadRecord::new("bcf-record-length", message));
    }
    usize::try_from(total)
        .map(|total| Some(total + LENGTHS_BYTES))
        .map_err(|_| BadRecord::new("bcf-record-length", "the record does not fit in memory"))
}

/// Decodes the records of one input.
#[derive(Debug, Clone)]
pub struct Decoder {
    strings: Vec<Option<String>>,
    contigs: Vec<Option<String>>,
    samples: usize,
    explicit_phase: bool,
}

impl Decoder {
    /// A decoder for records under this header.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self {
            strings: header.bcf_strings(),
            contigs: header.bcf_contigs(),
            samples: header.samples.len(),
            explicit_phase: header.version.is_some_and(|version| version >= (4, 4)),
        }
    }

    /// Appends the VCF line of one record (with its length fields) to `out`, without line end.
    ///
    /// # Errors
    /// [`BadRecord`]; `out` is then as it was.
    pub fn decode(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), BadRecord> {
        let start = out.len();
        self.write_line(record, out)
            .inspect_err(|_| out.truncate(start))
    }

    fn write_line(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), BadRecord> {
        let mut lengths = Cursor::new(record);
        let shared = lengths.u32()? as usize;
        let individual = lengths.u32()? as usize;
        let mut shared = Cursor::new(lengths.take(shared)?);
        let mut individual = Cursor::new(lengths.take(individual)?);
        let counts = self.write_site(&mut shared, out)?;
        self.write_samples(&mut individual, counts, out)
    }

    /// The eight fixed columns; gives the number of FORMAT keys and samples.
    fn write_site(&self, site: &mut Cursor<'_>, out: &mut Vec<u8>) -> Result<Counts, BadRecord> {
        let contig = site.i32()?;
        let pos = site.i32()?;
        let _rlen = site.i32()?;
        let qual = site.u32()?;
        let alleles_info = site.u32()?;
        let format_samples = site.u32()?;
        out.extend_from_slice(entry(&self.contigs, i64::from(contig), "contig")?.as_bytes());
        if pos < -1 {
            return Err(BadRecord::new(
                "bcf-position",
                format!("POS {pos} (0-based) is negative"),
            ));
        }
        write!(out, "\t{}\t", i64::from(pos) + 1).map_err(unwritable)?;
        site.typed()?.write_text("ID", out)?;
        out.push(b'\t');
        write_alleles(site, alleles_info >> 16, out)?;
        out.push(b'\t');
        match qual {
            typed::FLOAT_MISSING => out.push(b'.'),
            bits => write_f32(f32::from_bits(bits), out),
        }
        out.push(b'\t');
        self.write_filters(&site.typed()?, out)?;
        out.push(b'\t');
        self.write_info(site, alleles_info & 0xffff, out)?;
        Ok(Counts {
            keys: (format_samples >> 24) as usize,
            samples: (format_samples & 0xff_ffff) as usize,
        })
    }

    fn write_filters(&self, filters: &Typed<'_>, out: &mut Vec<u8>) -> Result<(), BadRecord> {
        let start = out.len();
        for index in filters
            .integers("FILTER")?
            .map_while(typed::Item::value_or_end)
        {
            if out.len() > start {
                out.push(b';');
            }
            let index = index.map_or(-1, i64::from);
            out.extend_from_slice(entry(&self.strings, index, "FILTER")?.as_bytes());
        }
        if out.len() == start {
            out.push(b'.');
        }
        Ok(())
    }

    fn write_info(
        &self,
        site: &mut Cursor<'_>,
        keys: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), BadRecord> {
        for i in 0..keys {
            if i > 0 {
                out.push(b';');
            }
            let key = entry(&self.strings, site.typed()?.scalar("INFO key")?, "INFO key")?;
            out.extend_from_slice(key.as_bytes());
            let value = site.typed()?;
            if value.kind != Kind::Missing && value.len > 0 {
                out.push(b'=');
                value.write_values(key, out)?;
            }
        }
        if keys == 0 {
            out.push(b'.');
        }
        Ok(())
    }

    fn write_samples(
        &self,
        individual: &mut Cursor<'_>,
        counts: Counts,
        out: &mut Vec<u8>,
    ) -> Result<(), BadRecord> {
        if counts.samples != self.samples {
            let message = format!(
                "the record has {} samples, the header {}",
                counts.samples, self.samples
            );
            return Err(BadRecord::new("bcf-sample-count", message));
        }
        if counts.samples == 0 {
            return Ok(());
        }
        let columns = self.format_columns(individual, counts)?;
        write_format_keys(&columns, out);
        for sample in 0..counts.samples {
            out.push(b'\t');
            self.write_sample(&columns, sample, out)?;
        }
        Ok(())
    }

    fn format_columns<'a, 'b: 'a>(
        &'a self,
        individual: &mut Cursor<'b>,
        counts: Counts,
    ) -> Result<Vec<FormatColumn<'a>>, BadRecord> {
        let mut columns = Vec::with_capacity(counts.keys);
        for _ in 0..counts.keys {
            let key = entry(
                &self.strings,
                individual.typed()?.scalar("FORMAT key")?,
                "FORMAT key",
            )?;
            let values = individual.typed_block(counts.samples)?;
            columns.push(FormatColumn { key, values });
        }
        Ok(columns)
    }

    fn write_sample(
        &self,
        columns: &[FormatColumn<'_>],
        sample: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), BadRecord> {
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                out.push(b':');
            }
            let value = column.values.of_sample(sample)?;
            if column.key == "GT" && value.kind.is_integer() {
                write_genotype(&value, self.explicit_phase, out)?;
            } else {
                value.write_values(column.key, out)?;
            }
        }
        if columns.is_empty() {
            out.push(b'.');
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Counts {
    keys: usize,
    samples: usize,
}

struct FormatColumn<'a> {
    key: &'a str,
    values: typed::Block<'a>,
}

fn write_format_keys(columns: &[FormatColumn<'_>], out: &mut Vec<u8>) {
    out.push(b'\t');
    for (i, column) in columns.iter().enumerate() {
        if i > 0 {
            out.push(b':');
        }
        out.extend_from_slice(column.key.as_bytes());
    }
    if columns.is_empty() {
        out.push(b'.');
    }
}

fn write_alleles(site: &mut Cursor<'_>, alleles: u32, out: &mut Vec<u8>) -> Result<(), BadRecord> {
    for i in 0..alleles {
        out.extend_from_slice(match i {
            0 => b"",
            1 => b"\t",
            _ => b",",
        });
        site.typed()?
            .write_text(if i == 0 { "REF" } else { "ALT" }, out)?;
    }
    out.extend_from_slice(match alleles {
        0 => b".\t.",
        1 => b"\t.",
        _ => b"",
    });
    Ok(())
}

/// A genotype: allele `a` as `(a + 1) << 1 | phased`. Before VCF 4.4 the bit of the first allele
/// says nothing; since then it is written out where leaving it out would mean another phase. A
/// clear bit before phased alleles is what older writers leave, so it is not written out.
fn write_genotype(value: &Typed<'_>, explicit: bool, out: &mut Vec<u8>) -> Result<(), BadRecord> {
    let mut alleles = 0;
    let start = out.len();
    let (mut first_phased, mut all_phased) = (false, true);
    for code in value.integers("GT")?.map_while(typed::Item::value_or_end) {
        let code = code.unwrap_or(0);
        let phased = code & 1 == 1;
        if alleles == 0 {
            first_phased = phased;
        } else {
            all_phased &= phased;
            out.push(if phased { b'|' } else { b'/' });
        }
        match code >> 1 {
            0 => out.push(b'.'),
            allele if allele > 0 => write!(out, "{}", allele - 1).map_err(unwritable)?,
            _ => {
                return Err(BadRecord::new(
                    "bcf-genotype",
                    format!("GT code {code} is negative"),
                ));
            }
        }
        alleles += 1;
    }
    if alleles == 0 {
        out.push(b'.');
    }
    if explicit && first_phased && !all_phased {
        out.insert(start, b'|');
    }
    Ok(())
}

fn entry<'a>(
    dictionary: &'a [Option<String>],
    index: i64,
    what: &str,
) -> Result<&'a str, BadRecord> {
    let found = usize::try_from(index)
        .ok()
        .and_then(|i| dictionary.get(i)?.as_deref());
    found.ok_or_else(|| {
        let message = format!("{what} number {index} is not in the dictionary of the header");
        BadRecord::new("bcf-dictionary", message)
    })
}

/// Prints a float with the fewest digits that parse back to it.
pub fn write_f32(value: f32, out: &mut Vec<u8>) {
    let size = value.abs();
    let plain = size == 0.0 || (1e-5..1e15).contains(&size) || !value.is_finite();
    // Writing to a Vec cannot fail.
    let _ = if plain {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
}

#[expect(clippy::needless_pass_by_value, reason = "shape of map_err")]
fn unwritable(error: std::io::Error) -> BadRecord {
    BadRecord::new("internal", error.to_string())
}
