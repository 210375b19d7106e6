//! One VCF record: text line to checked fields and encoded genotypes.
//!
//! Nothing of a record reaches the columns before all of it is checked, so a refused record leaves
//! no trace but its entry in the quarantine.

pub(crate) mod annotation_cells;
pub(crate) mod genotypes;
pub(crate) mod info;
mod strict;

use std::borrow::Cow;
use std::sync::Arc;

use genokura_core::allele::{AlleleKind, is_plain_bases};
use genokura_core::variant::{self, ReferenceBases, VariantType};

use crate::encode::ChunkBuilder;
use crate::normalise::Genome;
use crate::plan::{InputPlan, Layout};
use crate::quarantine::{Refusal, TEXT_BYTES_MAX};
use crate::tally::{Counts, SampleCounts, Substitution, repair};
use annotation_cells::Misfit;
use genotypes::Genotypes;
use info::Info;

/// Most ALT alleles of a record: `alt_index` is 16 bits wide.
const ALTS_MAX: usize = 32_767;

/// Why a record is refused.
#[derive(Debug)]
pub(crate) struct Bad {
    pub(crate) rule: &'static str,
    pub(crate) message: String,
}

impl Bad {
    pub(crate) fn new(rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            rule,
            message: message.into(),
        }
    }
}

/// The fixed columns of a record.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    pub(crate) contig: &'a str,
    pub(crate) pos: i32,
    /// `None` for `.`.
    pub(crate) id: Option<&'a str>,
    /// `.` when the record does not say it.
    pub(crate) reference: &'a str,
    /// Without `.`.
    pub(crate) alts: Vec<&'a str>,
    pub(crate) qual: Option<f32>,
    pub(crate) filter: Option<&'a str>,
    pub(crate) info: &'a str,
    pub(crate) format: Option<&'a str>,
}

/// One ALT (or the lack of one) in its shortest form.
#[derive(Debug)]
pub(crate) struct Allele<'a> {
    pub(crate) pos: i32,
    pub(crate) end_pos: i32,
    pub(crate) reference: Cow<'a, [u8]>,
    /// `None` when ALT is `.`.
    pub(crate) alternate: Option<Cow<'a, [u8]>>,
    pub(crate) kind: VariantType,
}

/// Parses the lines of one input into columns. One per worker.
pub(crate) struct RecordParser {
    layout: Arc<Layout>,
    input: Arc<InputPlan>,
    genome: Option<Genome>,
    info: Info,
    genotypes: Genotypes,
    pub(crate) counts: Counts,
    pub(crate) samples: SampleCounts,
    /// Scratch: count and kind of each ALT of a record.
    alts: Vec<(i32, Substitution)>,
}

/// The columns of a line, cut but not checked.
struct Line<'a> {
    columns: [&'a [u8]; 8],
    /// What follows the tab after INFO.
    rest: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    fn cut(line: &'a [u8]) -> Result<Self, Bad> {
        let mut columns = [&line[..0]; 8];
        let mut rest = Some(line);
        for (found, column) in columns.iter_mut().enumerate() {
            let Some(text) = rest else {
                let message = format!(
                    "the line has {found} columns, a record at least 8 \
                                       separated by tabs"
                );
                return Err(Bad::new("too_few_columns", message));
            };
            match memchr::memchr(b'\t', text) {
                Some(tab) => (*column, rest) = (&text[..tab], Some(&text[tab + 1..])),
                None => (*column, rest) = (text, None),
            }
        }
        Ok(Self { columns, rest })
    }
}

impl RecordParser {
    pub(crate) fn new(layout: Arc<Layout>, input: Arc<InputPlan>, genome: Option<Genome>) -> Self {
        let samples = SampleCounts::new(input.n_samples);
        Self {
            layout,
            genome,
            info: Info::new(input.whole.info.clone()),
            genotypes: Genotypes::default(),
            input,
            counts: Counts::default(),
            samples,
            alts: Vec::new(),
        }
    }

    /// Parses one line (without `\n`); `number`: its 0-based place in the chunk.
    pub(crate) fn line(&mut self, line: &[u8], number: u64, out: &mut ChunkBuilder) {
        let line = match line {
            [bare @ .., b'\r'] => {
                self.counts.repair(repair::CRLF, 1);
                bare
            }
            _ => line,
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            if self.layout.strict {
                let bad = Bad::new("blank_line", "a blank line stands among the records");
                return out.refuse(self.refusal(line, number, bad));
            }
            self.counts.repair(repair::BLANK_LINE, 1);
            return;
        }
        if let Err(bad) = self.record(line, number, out) {
            out.refuse(self.refusal(line, number, bad));
        }
    }

    /// The line that the input ends with without a newline.
    pub(crate) fn last_line(&mut self, line: &[u8], out: &mut ChunkBuilder) {
        if self.layout.strict {
            let bad = Bad::new(
                "no_final_newline",
                "the last line has no newline; is the file cut off?",
            );
            out.refuse(self.refusal(line, 0, bad));
            return;
        }
        self.counts.repair(repair::NO_FINAL_NEWLINE, 1);
        self.line(line, 0, out);
    }

    /// Refuses a record that could not be turned into a line.
    pub(crate) fn refuse(
        &self,
        rule: &'static str,
        message: String,
        number: u64,
        out: &mut ChunkBuilder,
    ) {
        out.refuse(self.refusal(b"", number, Bad::new(rule, message)));
    }

    fn refusal(&self, line: &[u8], number: u64, bad: Bad) -> Refusal {
        let mut columns = line.split(|b| *b == b'\t');
        let mut column = || {
            let text = columns.next()?;
            Some(String::from_utf8_lossy(&text[..text.len().min(256)]).into_owned())
        };
        let (contig, pos) = (column(), column());
        let text = String::from_utf8_lossy(&line[..line.len().min(TEXT_BYTES_MAX)]).into_owned();
        Refusal {
            input: self.input.number(),
            line: number,
            contig: contig.filter(|_| pos.is_some()),
            pos,
            rule: bad.rule,
            message: bad.message,
            text,
        }
    }

    fn record(&mut self, line: &[u8], number: u64, out: &mut ChunkBuilder) -> Result<(), Bad> {
        if line.starts_with(b"#") {
            return Err(Bad::new(
                "header_line_in_body",
                "a header line stands after the first record",
            ));
        }
        let cut = Line::cut(line)?;
        let (format, samples) = self.sample_columns(&cut)?;
        let fields = fields(&cut.columns, format)?;
        let n_alts = u16::try_from(fields.alts.len()).unwrap_or(u16::MAX);
        match (fields.format, samples) {
            (Some(format), Some(samples)) => {
                self.genotypes
                    .encode(format, samples, n_alts, &self.layout, &self.input)?;
            }
            _ => self.genotypes.encode_nothing(n_alts),
        }
        let layout = Arc::clone(&self.layout);
        let index = |key: &str| layout.info_index.get(key).copied();
        self.info
            .parse(fields.info, &layout.info, index, fields.alts.len());
        let n_mismatches = self.counts.issues.len();
        let alleles = self.alleles(&fields);
        self.strict(&fields, samples, n_mismatches)?;
        self.count(&fields, &alleles);
        self.cells(fields.info, number, out)?;
        out.undeclared |= self.info.n_undeclared + self.genotypes.n_undeclared > 0;
        out.record(&fields, &alleles, &self.info, &self.genotypes, &self.input);
        Ok(())
    }

    /// Counts entries of annotations whose cells are not those of the Format; `--strict` refuses the first.
    fn cells(&mut self, info: &str, number: u64, out: &mut ChunkBuilder) -> Result<(), Bad> {
        if self.input.annotations.is_empty() {
            return Ok(());
        }
        let (count, first) = Misfit::of(&self.input.annotations, &self.info, info);
        let Some(mut first) = first else {
            return Ok(());
        };
        if self.layout.strict {
            return Err(Bad::new(annotation_cells::RULE, first.message()));
        }
        self.counts.repair(annotation_cells::RULE, count);
        first.line = number;
        out.misfit(first);
        Ok(())
    }

    /// FORMAT and the text of the sample columns, as far as the header has them.
    fn sample_columns<'a>(
        &self,
        line: &Line<'a>,
    ) -> Result<(Option<&'a str>, Option<&'a [u8]>), Bad> {
        let wrong = |found: usize| {
            let n = self.input.n_samples;
            let message = format!("the record has {found} sample columns, the header {n}");
            Bad::new("sample_count", message)
        };
        let Some(rest) = line.rest else {
            return if self.input.n_samples == 0 {
                Ok((None, None))
            } else {
                Err(wrong(0))
            };
        };
        let (format, samples) = match memchr::memchr(b'\t', rest) {
            Some(tab) => (&rest[..tab], Some(&rest[tab + 1..])),
            None => (rest, None),
        };
        let format = utf8(format, "FORMAT")?;
        match (samples, self.input.n_samples) {
            (None, 0) if self.input.has_format || format.is_empty() => Ok((Some(format), None)),
            (None, 0) => Err(Bad::new(
                "too_many_columns",
                "the record has a FORMAT column, the header has none",
            )),
            (None, _) => Err(wrong(0)),
            (Some(samples), 0) => Err(wrong(1 + memchr::memchr_iter(b'\t', samples).count())),
            (Some(samples), _) => {
                if format != "GT" {
                    utf8(samples, "a sample column")?;
                }
                Ok((Some(format), Some(samples)))
            }
        }
    }

    fn alleles<'a>(&mut self, fields: &Fields<'a>) -> Vec<Allele<'a>> {
        let integer = |range: Option<(usize, usize)>, i: usize| -> Option<i64> {
            let (from, to) = range?;
            let items: Vec<&str> = fields.info.get(from..to)?.split(',').collect();
            items
                .get(i)
                .or(items.last().filter(|_| items.len() == 1))?
                .parse()
                .ok()
        };
        let (end, svlen) = (self.info.end, self.info.svlen);
        let reference = fields.reference.as_bytes();
        if fields.alts.is_empty() {
            let last = variant::end_pos(
                fields.pos,
                reference,
                b".",
                integer(svlen, 0),
                integer(end, 0),
            );
            let reference = variant::upper_case(Cow::Borrowed(reference));
            let pos = fields.pos;
            return vec![Allele {
                pos,
                end_pos: last,
                reference,
                alternate: None,
                kind: VariantType::Ref,
            }];
        }
        let genome = self.genome.as_ref();
        let genome = genome.filter(|_| fields.pos > 0 && fields.reference != ".");
        let genome = genome.filter(|genome| {
            let rule = match genome.matches(fields.contig, fields.pos, reference) {
                Some(true) => return true,
                Some(false) => "ref_mismatch",
                None => "contig_not_in_reference",
            };
            self.counts.issue("REF", rule, 1);
            false
        });
        let shape = |(i, alt): (usize, &&'a str)| {
            let alt = alt.as_bytes();
            let genome = genome.map(|genome| genome as &dyn ReferenceBases);
            let short = match genome {
                Some(genome) => {
                    variant::left_align(fields.contig, fields.pos, reference, alt, genome)
                }
                None => variant::trim(fields.pos, reference, alt),
            };
            let (svlen, end) = (integer(svlen, i), integer(end, 0));
            Allele {
                pos: short.pos,
                end_pos: variant::end_pos(
                    short.pos,
                    &short.reference,
                    &short.alternate,
                    svlen,
                    end,
                ),
                kind: kind_of(fields.reference, fields.alts[i], &short),
                reference: variant::upper_case(short.reference),
                alternate: Some(variant::upper_case(short.alternate)),
            }
        };
        fields.alts.iter().enumerate().map(shape).collect()
    }

    /// Under `--strict`, the first thing that the default would mend or keep as text refuses.
    fn strict(
        &self,
        fields: &Fields<'_>,
        samples: Option<&[u8]>,
        n_issues_before: usize,
    ) -> Result<(), Bad> {
        if !self.layout.strict {
            return Ok(());
        }
        let misfit = |kind: &str, key: &str, rule| {
            Bad::new(
                rule,
                format!("{kind}/{key} does not fit its declared Number and Type"),
            )
        };
        if let Some((field, rule)) = self.info.issues.first() {
            return Err(misfit("INFO", &self.layout.info[*field].key, rule));
        }
        if let Some((field, rule)) = self.genotypes.issues.first() {
            return Err(misfit("FORMAT", &self.layout.format[*field].key, rule));
        }
        if self.info.n_undeclared + self.genotypes.n_undeclared > 0 {
            return Err(Bad::new(
                "undeclared_key",
                "INFO or FORMAT has a key that the header does not declare",
            ));
        }
        if self.info.n_empty > 0 {
            return Err(Bad::new("empty_info_entry", "INFO has an empty entry"));
        }
        if self.counts.issues.len() > n_issues_before {
            return Err(Bad::new(
                "ref_mismatch",
                "REF does not match the reference sequence",
            ));
        }
        if let Some(filter) = undeclared_filter(fields, &self.input) {
            return Err(Bad::new(
                "undeclared_filter",
                format!("FILTER {filter:?} is not declared"),
            ));
        }
        if self.genotypes.n_out_of_range > 0 {
            return Err(Bad::new(
                "genotype_allele_out_of_range",
                format!(
                    "a GT names an allele above the {} of ALT",
                    fields.alts.len()
                ),
            ));
        }
        if let Some(rule) = odd_quality(fields.qual) {
            return Err(Bad::new(rule, "QUAL must be a finite number from 0"));
        }
        strict_alleles(fields)?;
        strict::check(fields, samples, self.input.version)
    }

    /// Counts what the fixed columns and GT say against the specification and is kept as it is.
    fn count_oddities(&mut self, fields: &Fields<'_>) {
        if fields.reference == "." {
            self.counts.repair(repair::REF_MISSING, 1);
        } else if !is_acgtn(fields.reference) {
            self.counts.issue("REF", "ambiguous_base", 1);
        }
        let unknown = fields.alts.iter().filter(|alt| is_unknown_letters(alt));
        let n_unknown = unknown.count() as u64;
        self.counts.issue("ALT", "not_bases", n_unknown);
        if let Some(rule) = odd_quality(fields.qual) {
            self.counts.issue("QUAL", rule, 1);
        }
        let n = self.genotypes.n_out_of_range;
        self.counts
            .issue("FORMAT/GT", "genotype_allele_out_of_range", n);
    }

    fn count(&mut self, fields: &Fields<'_>, alleles: &[Allele<'_>]) {
        for (field, rule) in &self.info.issues {
            self.counts
                .issue(&format!("INFO/{}", self.layout.info[*field].key), rule, 1);
        }
        for (field, rule) in &self.genotypes.issues {
            self.counts.issue(
                &format!("FORMAT/{}", self.layout.format[*field].key),
                rule,
                1,
            );
        }
        self.count_oddities(fields);
        self.counts.repair(repair::EMPTY_INFO, self.info.n_empty);
        self.counts
            .repair(repair::EMPTY_SAMPLE_VALUE, self.genotypes.n_empty);
        if undeclared_filter(fields, &self.input).is_some() {
            self.counts.repair(repair::UNDECLARED_FILTER, 1);
        }
        let substitution = |allele: &Allele<'_>| match &allele.alternate {
            Some(alternate) => Substitution::of(&allele.reference, alternate),
            None => Substitution::Other,
        };
        let genotypes = &self.genotypes;
        self.alts.clear();
        let counted = alleles.iter().zip(&genotypes.counts);
        self.alts
            .extend(counted.map(|(allele, counts)| (counts.ac, substitution(allele))));
        self.samples
            .record(genotypes.default, &genotypes.noted, &self.alts);
    }
}

fn utf8<'a>(text: &'a [u8], column: &str) -> Result<&'a str, Bad> {
    std::str::from_utf8(text).map_err(|_| {
        let message =
            format!("{column} holds bytes that are not UTF-8; convert the file (Latin-1?)");
        Bad::new("bad_utf8", message)
    })
}

fn fields<'a>(columns: &[&'a [u8]; 8], format: Option<&'a str>) -> Result<Fields<'a>, Bad> {
    let contig = utf8(columns[0], "CHROM")?;
    if contig.is_empty() || contig.contains(char::is_whitespace) {
        return Err(Bad::new(
            "bad_contig",
            "CHROM is empty or holds white space",
        ));
    }
    let reference = utf8(columns[3], "REF")?;
    if reference != "." && !is_plain_bases(reference.as_bytes()) {
        let message = format!("REF {:?} is not made of bases", shown(reference));
        return Err(Bad::new("bad_ref", message));
    }
    let present = |text: &'a str| (text != "." && !text.is_empty()).then_some(text);
    Ok(Fields {
        contig,
        pos: position(columns[1])?,
        id: present(utf8(columns[2], "ID")?),
        reference,
        alts: alts(utf8(columns[4], "ALT")?)?,
        qual: quality(utf8(columns[5], "QUAL")?)?,
        filter: present(utf8(columns[6], "FILTER")?),
        info: utf8(columns[7], "INFO")?,
        format,
    })
}

fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

fn position(text: &[u8]) -> Result<i32, Bad> {
    let text = utf8(text, "POS")?;
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        let message = format!("POS {:?} is not a whole number from 0", shown(text));
        return Err(Bad::new("bad_position", message));
    }
    text.parse().map_err(|_| {
        let message = format!("POS {} is above 2147483647", shown(text));
        Bad::new("position_out_of_range", message)
    })
}

fn alts(text: &str) -> Result<Vec<&str>, Bad> {
    if text == "." {
        return Ok(Vec::new());
    }
    let alts: Vec<&str> = text.split(',').collect();
    if alts.len() > ALTS_MAX {
        return Err(Bad::new(
            "bad_alt",
            format!("{} ALT alleles; at most {ALTS_MAX}", alts.len()),
        ));
    }
    for alt in &alts {
        let is_allele = match AlleleKind::of(alt.as_bytes()) {
            AlleleKind::Missing => false,
            AlleleKind::Symbolic => alt.starts_with('<') && alt.ends_with('>'),
            _ => true,
        };
        if !is_allele {
            let message = format!(
                "ALT {:?} is neither bases, *, <ID> nor a breakend",
                shown(alt)
            );
            return Err(Bad::new("bad_alt", message));
        }
    }
    Ok(alts)
}

fn quality(text: &str) -> Result<Option<f32>, Bad> {
    let bad = |what: &str| Bad::new("bad_qual", format!("QUAL {:?} {what}", shown(text)));
    match info::float(text) {
        Ok(Some(value)) if value.is_nan() => Err(bad("is not a number")),
        Ok(value) => Ok(value),
        Err(info::rule::FLOAT_RANGE) => Err(bad("does not fit 32 bits")),
        Err(_) => Err(bad("is not a number")),
    }
}

/// What is odd about a QUAL that is kept as it is.
fn odd_quality(qual: Option<f32>) -> Option<&'static str> {
    match qual {
        Some(value) if value < 0.0 => Some("negative_qual"),
        Some(value) if value.is_infinite() => Some("infinite_qual"),
        _ => None,
    }
}

/// Whether ALT is letters that are no IUPAC codes. Such an allele is kept and has no known type.
fn is_unknown_letters(alt: &str) -> bool {
    AlleleKind::of(alt.as_bytes()) == AlleleKind::Bases && !is_plain_bases(alt.as_bytes())
}

/// The type of an allele; one that cannot be compared with REF base by base is symbolic.
fn kind_of(reference: &str, alt: &str, short: &variant::Normalized<'_>) -> VariantType {
    let is_bases = AlleleKind::of(alt.as_bytes()) == AlleleKind::Bases;
    if is_bases && (reference == "." || is_unknown_letters(alt)) {
        return VariantType::Symbolic;
    }
    variant::variant_type(&short.reference, &short.alternate)
}

fn undeclared_filter<'a>(fields: &Fields<'a>, input: &InputPlan) -> Option<&'a str> {
    let known = |name: &str| name == "PASS" || input.filters.iter().any(|f| f == name);
    fields.filter?.split(';').find(|name| !known(name))
}

fn is_acgtn(bases: &str) -> bool {
    bases
        .bytes()
        .all(|b| matches!(b.to_ascii_uppercase(), b'A' | b'C' | b'G' | b'T' | b'N'))
}

/// What only a strict reader minds in the fixed columns.
fn strict_alleles(fields: &Fields<'_>) -> Result<(), Bad> {
    if fields.reference == "." {
        return Err(Bad::new("ref_missing", "REF is \".\"; it must name bases"));
    }
    if !is_acgtn(fields.reference) {
        return Err(Bad::new(
            "ambiguous_base",
            "REF holds letters other than A, C, G, T and N",
        ));
    }
    for (i, alt) in fields.alts.iter().enumerate() {
        let kind = AlleleKind::of(alt.as_bytes());
        let inner = alt.trim_matches(['<', '>']);
        let is_wrong = match kind {
            AlleleKind::Bases => !is_acgtn(alt),
            AlleleKind::Symbolic => inner.contains(['<', '>', ' ']),
            _ => alt.contains(' '),
        };
        if is_wrong {
            return Err(Bad::new(
                "bad_alt",
                format!("ALT {:?} is not as the specification has it", shown(alt)),
            ));
        }
        if fields.alts[..i].contains(alt) && kind == AlleleKind::Bases {
            return Err(Bad::new(
                "duplicate_alt",
                format!("ALT {:?} stands twice", shown(alt)),
            ));
        }
        if kind == AlleleKind::Bases && alt.eq_ignore_ascii_case(fields.reference) {
            return Err(Bad::new("alt_is_ref", "ALT is the same as REF"));
        }
    }
    if fields
        .id
        .is_some_and(|id| id.split(';').any(|i| i.is_empty() || i.contains(' ')))
    {
        return Err(Bad::new("bad_id", "ID has an empty or blank item"));
    }
    if let Some(filter) = fields.filter
        && filter
            .split(';')
            .any(|f| f.is_empty() || f == "0" || f.contains(' '))
    {
        return Err(Bad::new(
            "bad_filter",
            format!("FILTER {:?} is not allowed", shown(filter)),
        ));
    }
    Ok(())
}
