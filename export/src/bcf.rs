//! Records as BCF 2.2, as `bcftools view -Ob` would write the VCF of the same records.
//!
//! ```text
//! record  shared bytes u32 | individual bytes u32
//! shared  CHROM i32 | POS i32 (0-based) | rlen i32 | QUAL f32 | n_info u16 | n_allele u16
//!         n_sample u24 | n_fmt u8 | ID | REF | ALT … | FILTER | INFO key, value …
//! indiv.  FORMAT key | type of a value | values of all samples …
//! ```
//! A value is typed by the header: what does not fit its declared Type is read as htslib reads it
//! (the number it begins with, else missing) and counted. A whole number beyond 32 bits is missing.

use std::sync::Arc;

use genokura_core::codec::array::{ArrayKind, ArrayRow};
use genokura_exec::records::{LoadedRecords, Part, RecordView, Selection};

use crate::calls::CallColumn;
use crate::dictionary::{Dictionary, Type};
use crate::error::{Error, Result};
use crate::index::Span;
use crate::site::write_site;
use crate::typed::{self, Numbers};
use crate::vcf::{Keys, LineWriter, Owners};

/// Writes records; one per worker, its buffers are kept.
pub(crate) struct BcfWriter {
    dictionary: Arc<Dictionary>,
    selection: Arc<Selection>,
    genotypes: bool,
    recount: bool,
    /// Parses FORMAT columns once.
    keys: LineWriter,
    calls: CallColumn,
    owners: Owners,
    ac: Vec<i32>,
    site: Vec<u8>,
    numbers: Numbers,
    texts: Vec<u8>,
    lengths: Vec<usize>,
    /// Values that do not fit their declared type.
    pub(crate) n_misfits: u64,
}

impl BcfWriter {
    pub(crate) fn new(
        dictionary: Arc<Dictionary>,
        selection: Arc<Selection>,
        genotypes: bool,
        recount: bool,
    ) -> Self {
        Self {
            keys: LineWriter::new(Arc::clone(&selection), genotypes, recount),
            dictionary,
            selection,
            genotypes,
            recount,
            calls: CallColumn::default(),
            owners: Owners::default(),
            ac: Vec::new(),
            site: Vec::new(),
            numbers: Numbers::default(),
            texts: Vec::new(),
            lengths: Vec::new(),
            n_misfits: 0,
        }
    }

    /// Appends some records, and tells where each lies.
    pub(crate) fn write(
        &mut self,
        group: &LoadedRecords,
        range: std::ops::Range<usize>,
        out: &mut Vec<u8>,
        spans: &mut Vec<Span>,
    ) -> Result<()> {
        for record in range.filter_map(|i| group.get(i)) {
            let mut span = Span::of(&record, out.len());
            let chrom = self.dictionary.contig(record.contig())?;
            span.rank = chrom;
            self.record(&record, &span, out)?;
            spans.push(span);
        }
        Ok(())
    }

    fn record(&mut self, record: &RecordView<'_>, span: &Span, out: &mut Vec<u8>) -> Result<()> {
        let n_columns = self.selection.names().len();
        let with_samples = self.genotypes && n_columns > 0;
        let keys = self.keys.keys_of(record);
        let has_gt = with_samples && keys.gt.is_some();
        if has_gt {
            self.calls.fill(record, n_columns)?;
        }
        self.site.clear();
        let mut site = std::mem::take(&mut self.site);
        if has_gt && self.recount {
            let an = self.calls.count(record.n_alts(), &mut self.ac);
            write_site(record, Some((&self.ac, an)), &mut site);
        } else {
            write_site(record, None, &mut site);
        }
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        let shared = out.len();
        self.shared(record, span, &site, out)?;
        self.site = site;
        let individual = out.len();
        let n_formats = match with_samples {
            true => self.individual(record, &keys, n_columns, out)?,
            false => 0,
        };
        let n_samples = if with_samples { n_columns } else { 0 };
        let too_many = |what: &str, n: usize| {
            Error::Request(format!(
                "BCF cannot hold {n} {what} in one record; export VCF"
            ))
        };
        if n_samples >= 1 << 24 {
            return Err(too_many("samples", n_samples));
        }
        let n_formats = u8::try_from(n_formats).map_err(|_| too_many("FORMAT keys", n_formats))?;
        let counts = u32::from(n_formats) << 24 | u32::try_from(n_samples).unwrap_or(0);
        out[shared + 20..shared + 24].copy_from_slice(&counts.to_le_bytes());
        let length = |n: usize| u32::try_from(n).map_err(|_| too_many("bytes", n));
        let shared_len = length(individual - shared)?;
        let individual_len = length(out.len() - individual)?;
        out[start..start + 4].copy_from_slice(&shared_len.to_le_bytes());
        out[start + 4..start + 8].copy_from_slice(&individual_len.to_le_bytes());
        Ok(())
    }

    /// CHROM to INFO; n_sample and n_fmt are left open.
    fn shared(
        &mut self,
        record: &RecordView<'_>,
        span: &Span,
        site: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let site = std::str::from_utf8(site).map_err(|_| Error::Internal("not UTF-8".into()))?;
        let columns: Vec<&str> = site.split('\t').collect();
        let [_, _, id, reference, alts, _, filters, info] = columns[..] else {
            return Err(Error::Internal("a record has not eight columns".into()));
        };
        let int = |n: i64| i32::try_from(n).unwrap_or(i32::MAX).to_le_bytes();
        let at = out.len();
        out.extend_from_slice(&int(i64::try_from(span.rank).unwrap_or(-1)));
        out.extend_from_slice(&(record.pos() - 1).to_le_bytes());
        let length = i64::from(span.end) - i64::from(record.pos()) + 1;
        out.extend_from_slice(&int(length.max(0)));
        let qual = record.qual().map_or(typed::FLOAT_MISSING, f32::to_bits);
        out.extend_from_slice(&qual.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        match id {
            "." => typed::descriptor(0, typed::CHAR, out),
            id => typed::text(id.as_bytes(), out),
        }
        typed::text(reference.as_bytes(), out);
        let mut n_alleles = 1usize;
        for alt in alts.split(',').filter(|_| alts != ".") {
            typed::text(alt.as_bytes(), out);
            n_alleles += 1;
        }
        match filters {
            "." => typed::descriptor(0, typed::NULL, out),
            filters => {
                let ids = filters
                    .split(';')
                    .map(|filter| self.dictionary.string(filter));
                let ids = ids.collect::<Result<Vec<i32>>>()?;
                typed::integers(&ids, ids.len(), out);
            }
        }
        let mut n_info = 0usize;
        for entry in info.split(';').filter(|_| info != ".") {
            self.info_entry(entry, out)?;
            n_info += 1;
        }
        let n_info = u16::try_from(n_info);
        let n_alleles = u16::try_from(n_alleles);
        let (Ok(n_info), Ok(n_alleles)) = (n_info, n_alleles) else {
            return Err(Error::Request(
                "BCF cannot hold more than 65,535 INFO entries or alleles; export VCF".into(),
            ));
        };
        out[at + 16..at + 18].copy_from_slice(&n_info.to_le_bytes());
        out[at + 18..at + 20].copy_from_slice(&n_alleles.to_le_bytes());
        Ok(())
    }

    fn info_entry(&mut self, entry: &str, out: &mut Vec<u8>) -> Result<()> {
        let (key, value) = match entry.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (entry, None),
        };
        let (id, ty) = self.dictionary.info(key)?;
        typed::integers(&[id], 1, out);
        let Some(value) = value else {
            typed::descriptor(0, typed::NULL, out);
            return Ok(());
        };
        match ty {
            Type::Text => typed::text(value.as_bytes(), out),
            Type::Integer => {
                self.numbers.clear();
                self.n_misfits += self.numbers.push_integers(value.as_bytes());
                self.numbers.write_integers(out);
            }
            Type::Float => {
                self.numbers.clear();
                self.n_misfits += self.numbers.push_floats(value.as_bytes());
                self.numbers.write_floats(out);
            }
        }
        Ok(())
    }

    /// The FORMAT columns; gives their number.
    fn individual(
        &mut self,
        record: &RecordView<'_>,
        keys: &Keys,
        n_columns: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        let parts: Vec<Part<'_>> = match keys.arrays.is_empty() {
            true => Vec::new(),
            false => record.parts().collect::<Result<_, _>>()?,
        };
        if !keys.arrays.is_empty() {
            self.owners.fill(&parts, n_columns);
        }
        let mut arrays = keys.arrays.iter();
        for place in 0..keys.n {
            if keys.gt == Some(place) {
                let (id, _) = self.dictionary.format("GT")?;
                typed::integers(&[id], 1, out);
                self.genotypes(out);
            } else if let Some((_, key)) = arrays.next() {
                let (id, ty) = self.dictionary.format(key)?;
                typed::integers(&[id], 1, out);
                let rows = parts.iter().map(|part| part.array(key));
                let rows: Vec<Option<ArrayRow<'_>>> = rows.collect::<Result<_, _>>()?;
                self.column(&rows, ty, out);
            }
        }
        Ok(keys.n)
    }

    fn genotypes(&mut self, out: &mut Vec<u8>) {
        self.numbers.clear();
        for call in self.calls.iter() {
            self.numbers.push_genotype(call);
        }
        self.numbers.write_integers(out);
    }

    fn column(&mut self, rows: &[Option<ArrayRow<'_>>], ty: Type, out: &mut Vec<u8>) {
        self.numbers.clear();
        self.texts.clear();
        self.lengths.clear();
        for owner in self.owners.iter() {
            let row = owner.and_then(|(part, sample)| Some((rows.get(part)?.as_ref()?, sample)));
            match (ty, row) {
                (Type::Text, Some((row, sample))) => {
                    let before = self.texts.len();
                    row.write_text(sample, &mut self.texts);
                    self.lengths.push(self.texts.len() - before);
                }
                (Type::Text, None) => {
                    self.texts.push(b'.');
                    self.lengths.push(1);
                }
                (_, None) => self.numbers.push_missing(ty == Type::Float),
                (Type::Integer, Some((row, sample))) if row.kind() == ArrayKind::Integer => {
                    let numbers = &mut self.numbers;
                    let n = row.for_each_integer(sample, |value| numbers.push_integer(value));
                    numbers.end_sample(n, false);
                }
                (Type::Float, Some((row, sample))) if row.kind() == ArrayKind::Float => {
                    let numbers = &mut self.numbers;
                    let n = row.for_each_float(sample, |value| numbers.push_float(value));
                    numbers.end_sample(n, true);
                }
                (_, Some((row, sample))) => {
                    self.texts.clear();
                    row.write_text(sample, &mut self.texts);
                    self.n_misfits += match ty {
                        Type::Integer => self.numbers.push_integers(&self.texts),
                        _ => self.numbers.push_floats(&self.texts),
                    };
                }
            }
        }
        match ty {
            Type::Text => typed::padded_texts(&self.texts, &self.lengths, out),
            Type::Integer => self.numbers.write_integers(out),
            Type::Float => self.numbers.write_floats(out),
        }
    }
}
