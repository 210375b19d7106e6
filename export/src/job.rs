//! The export job: reads groups of records, writes them on all cores, in order.
//!
//! ```text
//! reader (one group ahead) ──parts of about a megabyte──> worker 1..n ──> output, in order
//!                                                         lines, BGZF      offsets for the index
//! ```
//! At most two groups and two parts a worker are in memory.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use genokura_exec::records::{LoadedRecords, RecordReader, RecordSet, Records, Selection};
use parking_lot::Mutex;

use crate::bcf::BcfWriter;
use crate::bgzf::{self, Blocks, Deflater};
use crate::dictionary::Dictionary;
use crate::error::{Error, Result};
use crate::header::Header;
use crate::index::{Indexer, Kind, Span};
use crate::long;
use crate::plink::{self, BedWriter, FamilyMember};
use crate::sink::{Sink, Target};
use crate::vcf::LineWriter;

/// Text of a part, roughly.
const PART_BYTES: usize = 1 << 20;
/// Records of a part at most.
const PART_RECORDS_MAX: usize = 2_048;
/// Text of a sample's FORMAT value, as a guess.
const VALUE_BYTES: usize = 6;
/// Deflate level, as bcftools has it.
pub const LEVEL_DEFAULT: u8 = 6;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// VCF as text.
    Vcf,
    /// VCF in BGZF blocks, with an index beside it.
    VcfGz,
    /// BCF 2.2 in BGZF blocks, with an index beside it.
    Bcf,
    /// PLINK 1: the output is the `.bed`, or its name without that; `.bim` and `.fam` stand beside it.
    Bed,
}

/// Receives the progress of an export.
pub trait Progress: Send + Sync {
    /// Records written so far, and how many there will be if that is known.
    fn records(&self, done: u64, total: Option<u64>);
    /// A sentence for the log.
    fn message(&self, text: &str);
}

/// Progress that nobody looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn records(&self, _: u64, _: Option<u64>) {}
    fn message(&self, _: &str) {}
}

/// What an export wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExportReport {
    /// Records.
    pub records: u64,
    /// Columns of samples.
    pub samples: u64,
    /// Values that do not fit their declared Type, which BCF holds as htslib reads them; calls of more
    /// than two alleles, which PLINK 1 cannot hold.
    pub misfits: u64,
    /// Bytes of the output, without its index.
    pub bytes: u64,
    /// Suffix of the index that stands beside the output.
    pub index: Option<&'static str>,
    /// Seconds from begin to end.
    pub seconds: f64,
}

/// Writes records to one output.
pub struct ExportJob {
    /// The dataset as the caller may see it.
    pub records: Arc<Records>,
    /// The records to write; `None`: all.
    pub wanted: Option<RecordSet>,
    /// The samples to write.
    pub selection: Arc<Selection>,
    /// The samples were chosen: INFO/AC and AN are counted over them, as `bcftools view -s` does.
    pub recount: bool,
    /// Write calls and FORMAT at all.
    pub genotypes: bool,
    /// What is written.
    pub format: Format,
    /// What is known of families and sexes, by sample; a `.fam` tells it.
    pub members: HashMap<String, FamilyMember>,
    /// A path, an object URL, or `-`.
    pub output: String,
    /// Replace an output that is there.
    pub force: bool,
    /// Deflate level, 0 to 12.
    pub level: u8,
    /// Threads that write and compress.
    pub threads: usize,
    /// Where the job tells how far it is.
    pub progress: Arc<dyn Progress>,
}

impl std::fmt::Debug for ExportJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportJob")
            .field("output", &self.output)
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl ExportJob {
    /// Runs the job to its end. Dropped before, it leaves nothing under the final name.
    ///
    /// # Errors
    /// See [`Error`]; the output is then not there.
    pub async fn run(self) -> Result<ExportReport> {
        let started = Instant::now();
        if self.format == Format::Bed {
            return self.run_bed(started).await;
        }
        let target = Target::parse(&self.output)?;
        if !self.force {
            target.must_be_new().await?;
        }
        if self.format != Format::Vcf {
            target.must_not_be_terminal()?;
        }
        let mut sink = target.open().await?;
        let mut report = ExportReport::default();
        let indexed = match self.write(&mut sink, &mut report).await {
            Ok(indexed) => indexed,
            Err(error) => {
                sink.abort().await;
                return Err(error);
            }
        };
        if let (Some((indexer, names)), false) = (indexed, matches!(target, Target::Stdout)) {
            let index = indexer.finish(&names.iter().map(String::as_str).collect::<Vec<_>>());
            // An index of an older file must not stand beside a new one, not even for a moment.
            let beside = target.with_suffix(&format!(".{}", index.extension))?;
            let mut deflater = Deflater::new(LEVEL_DEFAULT)?;
            let mut of_index = beside.open().await?;
            of_index
                .write(&deflater.blocks(&index.bytes)?.bytes)
                .await?;
            of_index.write(&bgzf::END).await?;
            of_index.finish().await?;
            report.index = Some(index.extension);
        }
        sink.finish().await?;
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    /// Writes `.bed`, `.bim` and `.fam`.
    async fn run_bed(self, started: Instant) -> Result<ExportReport> {
        let prefix = self.output.strip_suffix(".bed").unwrap_or(&self.output);
        let prefix = Target::parse(prefix)?;
        if matches!(prefix, Target::Stdout) || !self.genotypes {
            let message = "a PLINK file set is three files with genotypes; name them by -o PREFIX";
            return Err(Error::Request(message.to_owned()));
        }
        if let Some(name) = plink::unfit(self.selection.names()) {
            return Err(Error::Request(format!(
                "a PLINK file set cannot hold the sample {name:?}: PLINK splits lines at white space; leave it out \
                 (--samples), or export vcf"
            )));
        }
        if let Some(name) = plink::unfit_family(self.selection.names(), &self.members) {
            return Err(Error::Request(format!(
                "a PLINK file set cannot hold the family {name:?}: PLINK splits lines at white space; name another \
                 pedigree (--pedigree), or none"
            )));
        }
        let mut sinks = Vec::new();
        for suffix in [".bed", ".bim", ".fam"] {
            let target = prefix.with_suffix(suffix)?;
            if !self.force {
                target.must_be_new().await?;
            }
            sinks.push(target.open().await?);
        }
        let samples = self.selection.names();
        let mut report = ExportReport {
            samples: samples.len() as u64,
            ..ExportReport::default()
        };
        let written = self.write_bed(&mut sinks, &mut report).await;
        for sink in sinks {
            match &written {
                Ok(()) => sink.finish().await?,
                Err(_) => sink.abort().await,
            }
        }
        written?;
        report.seconds = started.elapsed().as_secs_f64();
        Ok(report)
    }

    async fn write_bed(&self, sinks: &mut [Sink], report: &mut ExportReport) -> Result<()> {
        let [bed, bim, fam] = sinks else {
            return Err(Error::Internal("a file set has three files".into()));
        };
        bed.write(&plink::BED_MAGIC).await?;
        fam.write(&plink::fam(self.selection.names(), &self.members))
            .await?;
        report.bytes = plink::BED_MAGIC.len() as u64;
        let total = self.total();
        let mut parts = self.parts(None).await?;
        while let Some(part) = parts.next().await {
            let part = part?;
            bed.write(part.bytes()).await?;
            bim.write(&part.beside).await?;
            report.bytes += part.bytes().len() as u64;
            report.records += part.records;
            report.misfits += part.misfits;
            self.progress.records(report.records, Some(total));
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        match &self.wanted {
            Some(set) => set.len(),
            None => self.stored(),
        }
    }

    /// Writes the output; gives its index and the names of the contigs in it.
    async fn write(
        &self,
        sink: &mut Sink,
        report: &mut ExportReport,
    ) -> Result<Option<(Indexer, Vec<String>)>> {
        let samples = self.selection.names();
        let samples = if self.genotypes { samples } else { &[] };
        report.samples = samples.len() as u64;
        let mut header = self.header(samples).await?;
        let dictionary = match self.format {
            Format::Bcf => Some(Arc::new(self.dictionary(&mut header).await?)),
            Format::Vcf | Format::VcfGz | Format::Bed => None,
        };
        let mut text = header.text(samples);
        let (mut indexer, names) = match (self.format, &dictionary) {
            (Format::Vcf, _) => (None, Vec::new()),
            (_, Some(dictionary)) => {
                text = bcf_header(&text)?;
                (Some(Indexer::new(Kind::Bcf)), dictionary.contig_names())
            }
            (_, None) => {
                let contigs = self.records.state().contigs.iter();
                let names = contigs.map(|contig| contig.name.as_str()).collect();
                (Some(Indexer::new(Kind::Vcf)), names)
            }
        };
        let names = names.into_iter().map(str::to_owned).collect();
        if self.format != Format::Vcf {
            text = Deflater::new(self.level)?.blocks(&text)?.bytes;
        }
        sink.write(&text).await?;
        let mut position = text.len() as u64;
        let total = self.total();
        let mut parts = self.parts(dictionary).await?;
        while let Some(part) = parts.next().await {
            let part = part?;
            sink.write(part.bytes()).await?;
            if let (Some(indexer), Body::Blocks(blocks)) = (&mut indexer, &part.body) {
                part.index(blocks, position, indexer);
            }
            position += part.bytes().len() as u64;
            report.records += part.records;
            report.misfits += part.misfits;
            self.progress.records(report.records, Some(total));
        }
        if self.format != Format::Vcf {
            sink.write(&bgzf::END).await?;
            position += bgzf::END.len() as u64;
        }
        report.bytes = position;
        Ok(indexer.map(|indexer| (indexer, names)))
    }

    async fn dictionary(&self, header: &mut Header) -> Result<Dictionary> {
        let filters = self.records.filters_used().await?;
        let shows = |kind: &str, id: &str| self.records.shows(kind, id);
        Dictionary::of(header, self.records.state(), &filters, shows)
    }

    async fn header(&self, samples: &[String]) -> Result<Header> {
        let lines = self.records.headers().await?;
        let shows = |kind: &str, id: &str| self.records.shows(kind, id);
        let mut header = Header::of(&lines, self.records.state(), shows);
        if self.recount && !samples.is_empty() {
            header.declare_counts();
        }
        let doubtful = header.widened.iter();
        let doubtful = doubtful.filter(|key| key.reads_integers_as_floats());
        let doubtful: Vec<(String, String)> = doubtful
            .map(|key| (key.kind.clone(), key.id.clone()))
            .filter(|(kind, _)| kind != "FORMAT" || self.genotypes)
            .collect();
        for (kind, id) in self.long_numbers(doubtful).await? {
            header.widen_to_text(&kind, &id);
        }
        for key in &header.widened {
            self.progress.message(&key.remark());
        }
        Ok(header)
    }

    /// Those of some keys of which some record to be written holds a whole number that readers of a
    /// float do not give back. Reads the records once more, when there are such keys.
    async fn long_numbers(&self, keys: Vec<(String, String)>) -> Result<Vec<(String, String)>> {
        if keys.is_empty() {
            return Ok(keys);
        }
        let genotypes = self.genotypes && keys.iter().any(|(kind, _)| kind == "FORMAT");
        let selection = Arc::clone(&self.selection);
        let reader = self.records.read(self.wanted.clone(), selection, genotypes);
        let mut groups = groups(reader.await?);
        let mut open = keys;
        let mut found = Vec::new();
        while let Some(group) = groups.next().await {
            let group = group?;
            let asked = open;
            let task = tokio::task::spawn_blocking(move || long::numbers(&group, asked));
            let joined = task.await;
            let (long, rest) =
                joined.map_err(|e| Error::Internal(format!("a reader ended: {e}")))??;
            found.extend(long);
            open = rest;
            if open.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// Records of the dataset, some of which may become one.
    fn stored(&self) -> u64 {
        let inputs = self
            .records
            .state()
            .batches
            .iter()
            .flat_map(|batch| &batch.inputs);
        inputs
            .map(|input| input.records.saturating_sub(input.quarantined))
            .sum()
    }

    /// Written parts in order.
    async fn parts(
        &self,
        dictionary: Option<Arc<Dictionary>>,
    ) -> Result<BoxStream<'static, Result<Written>>> {
        let reader = self.records.read(
            self.wanted.clone(),
            Arc::clone(&self.selection),
            self.genotypes,
        );
        let groups = groups(reader.await?);
        let samples = if self.genotypes {
            self.selection.names().len()
        } else {
            0
        };
        let keys = self.records.state().format.len().max(1);
        let record_bytes = 256 + samples * VALUE_BYTES * keys;
        let records = (PART_BYTES / record_bytes).clamp(1, PART_RECORDS_MAX);
        let workers = Arc::new(Workers {
            selection: Arc::clone(&self.selection),
            genotypes: self.genotypes,
            recount: self.recount,
            level: matches!(self.format, Format::VcfGz | Format::Bcf).then_some(self.level),
            format: self.format,
            dictionary,
            idle: Mutex::default(),
        });
        let ranges = groups.flat_map(move |group| stream::iter(cut(group, records)));
        let written = ranges.map(move |piece| {
            let workers = Arc::clone(&workers);
            async move {
                let (group, range) = piece?;
                let task = tokio::task::spawn_blocking(move || workers.write(&group, range));
                task.await
                    .map_err(|e| Error::Internal(format!("a writer ended: {e}")))?
            }
        });
        Ok(written.buffered(2 * self.threads.max(1)).boxed())
    }
}

/// Magic, length and NUL around the text of a header.
fn bcf_header(text: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(text.len() + 1);
    let length = length.map_err(|_| Error::Request("the header is too large for BCF".into()))?;
    let mut out = b"BCF\x02\x02".to_vec();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text);
    out.push(0);
    Ok(out)
}

type Group = Arc<LoadedRecords>;

/// Groups of records, the next one under way while one is written.
fn groups(reader: RecordReader) -> BoxStream<'static, Result<Group>> {
    let load = |mut reader: RecordReader| {
        tokio::spawn(async move {
            let group = reader.next().await;
            (group, reader)
        })
    };
    let first = Some(load(reader));
    let stream = stream::unfold(first, move |task| async move {
        let (group, reader) = match task?.await {
            Ok(done) => done,
            Err(e) => return Some((Err(Error::Internal(format!("a reader ended: {e}"))), None)),
        };
        match group {
            Ok(Some(group)) => Some((Ok(Arc::new(group)), Some(load(reader)))),
            Ok(None) => None,
            Err(error) => Some((Err(error.into()), None)),
        }
    });
    stream.boxed()
}

fn cut(group: Result<Group>, records: usize) -> Vec<Result<(Group, Range<usize>)>> {
    let group = match group {
        Ok(group) => group,
        Err(error) => return vec![Err(error)],
    };
    let starts = (0..group.len()).step_by(records);
    let range = |start: usize| start..(start + records).min(group.len());
    starts
        .map(|start| Ok((Arc::clone(&group), range(start))))
        .collect()
}

/// What the workers of a job share.
struct Workers {
    selection: Arc<Selection>,
    genotypes: bool,
    recount: bool,
    level: Option<u8>,
    format: Format,
    /// Of a BCF.
    dictionary: Option<Arc<Dictionary>>,
    idle: Mutex<Vec<Worker>>,
}

/// What turns records into bytes.
#[expect(clippy::large_enum_variant, reason = "one a core")]
enum Writer {
    Vcf(LineWriter),
    Bcf(BcfWriter),
    Bed(BedWriter),
}

/// Buffers of one worker.
struct Worker {
    writer: Writer,
    deflater: Option<Deflater>,
    text: Vec<u8>,
}

impl Workers {
    fn write(&self, group: &LoadedRecords, range: Range<usize>) -> Result<Written> {
        let idle = self.idle.lock().pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => self.worker()?,
        };
        let mut spans = Vec::with_capacity(range.len());
        worker.text.clear();
        let mut beside = Vec::new();
        let mut records = range.len() as u64;
        let misfits = match &mut worker.writer {
            Writer::Bed(variants) => {
                records = variants.write(group, range, &mut worker.text, &mut beside)?;
                std::mem::take(&mut variants.n_lost)
            }
            Writer::Vcf(lines) => {
                lines.write(group, range, &mut worker.text, &mut spans)?;
                0
            }
            Writer::Bcf(values) => {
                values.write(group, range, &mut worker.text, &mut spans)?;
                std::mem::take(&mut values.n_misfits)
            }
        };
        let text_len = worker.text.len();
        let body = match &mut worker.deflater {
            Some(deflater) => Body::Blocks(deflater.blocks(&worker.text)?),
            None => Body::Text(std::mem::take(&mut worker.text)),
        };
        self.idle.lock().push(worker);
        Ok(Written {
            body,
            spans,
            text_len,
            misfits,
            records,
            beside,
        })
    }

    fn worker(&self) -> Result<Worker> {
        let selection = Arc::clone(&self.selection);
        let (genotypes, recount) = (self.genotypes, self.recount);
        Ok(Worker {
            writer: match &self.dictionary {
                None if self.format == Format::Bed => Writer::Bed(BedWriter::new(selection)),
                None => Writer::Vcf(LineWriter::new(selection, genotypes, recount)),
                Some(dictionary) => {
                    let dictionary = Arc::clone(dictionary);
                    Writer::Bcf(BcfWriter::new(dictionary, selection, genotypes, recount))
                }
            },
            deflater: self.level.map(Deflater::new).transpose()?,
            text: Vec::new(),
        })
    }
}

enum Body {
    Text(Vec<u8>),
    Blocks(Blocks),
}

/// A part of the output.
struct Written {
    body: Body,
    spans: Vec<Span>,
    text_len: usize,
    misfits: u64,
    records: u64,
    /// What goes to the second file of a set.
    beside: Vec<u8>,
}

impl Written {
    fn bytes(&self) -> &[u8] {
        match &self.body {
            Body::Text(text) => text,
            Body::Blocks(blocks) => &blocks.bytes,
        }
    }

    fn index(&self, blocks: &Blocks, position: u64, indexer: &mut Indexer) {
        let ends = self.spans.iter().skip(1).map(|span| span.offset);
        let ends = ends.chain(std::iter::once(self.text_len));
        for (span, end) in self.spans.iter().zip(ends) {
            let from = blocks.virtual_offset(span.offset, position);
            indexer.add(span, from, blocks.virtual_offset(end, position));
        }
    }
}
