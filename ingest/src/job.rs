//! The VCF job: plans, reads, writes, commits.
//!
//! 1. Inputs whose content has landed before are found by size and digest: a no-op.
//! 2. Headers are read and the job's columns, contigs and sample blocks are fixed.
//! 3. A pass reads every input once ([`crate::pass`]). It assumes sorted records and known keys;
//!    when it meets something else it begins anew with that assumption dropped.
//! 4. Counts are checked (read = stored + quarantined) and everything is committed at once.
//!
//! Before step 4 nothing is visible, whatever happens.

mod fields;
mod rows;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use genokura_core::annotation::is_annotation;
use genokura_core::contig::{Assembly, usual_name};
use genokura_storage::{
    Batch, Block, CommitOutcome, DatasetState, InputRecord, Lake, LakeChange, LakeSnapshot,
};

use crate::again::{Check, Meetings};
use crate::assemble::{Contigs, Output, Restart};
use crate::assembly::{self, Given, Held};
use crate::error::{Error, Result};
use crate::header::repair as header_repair;
use crate::inflate::CHUNK_BYTES;
use crate::normalise::Fasta;
use crate::open::{Opened, SCAN_BYTES, open};
use crate::pass::{self, PassDone, PassInput, PassPlan};
use crate::plan::{BLOCKS_MAX, BlockPlan, InputPlan, Layout, Whole, block_sizes};
use crate::progress::{CancelFlag, Progress};
use crate::report::{IngestReport, InputReport};
use crate::source::{Source, resolve};
use crate::tally::{Counts, repair};
use crate::vcf::annotation_cells::Width;
use crate::write::{Written, changes, write_all, write_table};
use fields::{Fields, Redefined, differing_annotations, partly_annotated};
use rows::{headers_rows, samples_rows};

/// Bases an allele may move left before the job has to begin anew, with a reference.
const HOLD_BACK: i32 = 1_000;
/// Largest batch number: block ids are `batch << 12 | k` in 32 bits.
const BATCH_MAX: u32 = (1 << 19) - 1;
/// Batches between assembler and writer.
const OUTPUTS: usize = 4;

/// Loads VCF and BCF inputs into one dataset as one batch.
pub struct VcfJob {
    /// The lake to write to.
    pub lake: Arc<Lake>,
    /// Name of the dataset; it is made if the lake has none of that name.
    pub dataset: String,
    /// Paths, globs, URLs or `-` (stdin, spooled to a temporary file), in order.
    pub inputs: Vec<String>,
    /// FASTA to left-align by, path or URL; its index is `<path>.fai` or is made.
    pub reference: Option<String>,
    /// Name of the assembly, such as `GRCh38`; otherwise told by the contig lengths.
    pub assembly: Option<String>,
    /// Refuse the job at the first record or header line that the default would mend, keep as text
    /// or quarantine.
    pub strict: bool,
    /// Take a sample again at a variant at which the dataset has it (a normal that several tumours share): the rows
    /// stay apart, and sums over rows count the sample as often as it is called. Otherwise such a job is refused.
    pub repeated_samples: bool,
    /// Worker threads; 0 counts as 1. A reader and an assembler come on top, both mostly idle.
    pub threads: usize,
    /// Bound of the memory for rows under way, in bytes; at least 128 MiB are used.
    pub memory_bytes: usize,
    /// Where the job tells how far it is.
    pub progress: Arc<dyn Progress>,
    /// How the caller stops the job.
    pub cancel: CancelFlag,
}

impl VcfJob {
    /// Runs the job to its end.
    ///
    /// # Errors
    /// The lake is unchanged after any error. See [`Error`]; under `strict` the first refused
    /// record is [`Error::Refused`].
    pub async fn run(self) -> Result<IngestReport> {
        self.run_with(CHUNK_BYTES).await
    }

    /// The same for rows that become those of another table, whose assembly is known.
    pub(crate) async fn run_onto(self, held: Option<Held>) -> Result<IngestReport> {
        self.run_as(CHUNK_BYTES, held).await
    }

    /// [`VcfJob::run`] with chunks of another size, for tests that chunks do not matter.
    pub(crate) async fn run_with(self, chunk_bytes: usize) -> Result<IngestReport> {
        self.run_as(chunk_bytes, None).await
    }

    async fn run_as(self, chunk_bytes: usize, held: Option<Held>) -> Result<IngestReport> {
        let started = Instant::now();
        let sources: Vec<_> = resolve(&self.inputs)
            .await?
            .into_iter()
            .map(Arc::new)
            .collect();
        let base = self.lake.snapshot().await?;
        if let Some(mut report) = self.landed(&base, &sources).await? {
            report.seconds = started.elapsed().as_secs_f64();
            return Ok(report);
        }
        let fasta = match &self.reference {
            Some(reference) => Some(Fasta::open(reference).await?),
            None => None,
        };
        let mut mode = Mode {
            sort: false,
            hold_back: fasta.as_ref().map_or(0, |_| HOLD_BACK),
            scan: SCAN_BYTES,
        };
        let mut opened = self.open_all(&sources, mode.scan).await?;
        let known = base.dataset(&self.dataset).cloned().unwrap_or_default();
        let given = Given {
            dataset: &self.dataset,
            named: self.assembly.as_deref(),
            reference: fasta.as_deref().and_then(Fasta::assembly),
        };
        let assembly = assembly::of_job(&given, &known, &opened, held)?;
        let meetings = self.meetings(&base, &opened, &BTreeSet::new()).await?;
        let batch = self.reserve().await?;
        let mut is_told = false;
        let (plan, done, written, unsorted) = loop {
            let final_keys = mode.keys_are_final();
            let mut plan = self.plan(&base, &sources, &opened, batch, final_keys)?;
            let lengths = plan.contigs.list.iter();
            let lengths = lengths.map(|c| (c.name.as_str(), c.length));
            plan.state.assembly = assembly.clone().or_else(|| {
                let detected = Assembly::detect(lengths);
                detected.map(|assembly| assembly.as_str().to_owned())
            });
            for key in plan.redefined.iter().filter(|_| !is_told) {
                self.progress.message(&key.message());
            }
            is_told = true;
            let check = meetings.check(&base).await?;
            let pass = self.pass(&plan, &mode, fasta.clone(), chunk_bytes, check);
            match pass.await? {
                Ok((done, (written, n_otherwise))) => {
                    self.tell_otherwise(n_otherwise);
                    break (plan, done, written, mode.sort);
                }
                Err(Restart::UndeclaredKey) => {
                    mode.scan = u64::MAX;
                    opened = self.open_all(&sources, mode.scan).await?;
                }
                Err(Restart::Unsorted) => mode.sort = true,
                Err(Restart::HoldBack) => mode.widen(),
            }
            self.progress.message(mode.describe());
        };
        let mut report = self.account(&plan, &done, &sources)?;
        if unsorted {
            report.repairs.push((repair::UNSORTED.to_owned(), 1));
        }
        self.meets_nobody_new(&base, &opened, &report).await?;
        let report = self.commit(&base, plan, done, written, report).await?;
        Ok(IngestReport {
            seconds: started.elapsed().as_secs_f64(),
            ..report
        })
    }

    /// The report of a no-op when every input has landed before.
    async fn landed(
        &self,
        base: &LakeSnapshot,
        sources: &[Arc<Source>],
    ) -> Result<Option<IngestReport>> {
        let Some(dataset) = base.dataset(&self.dataset) else {
            return Ok(None);
        };
        let sizes: Vec<u64> = dataset
            .batches
            .iter()
            .flat_map(|b| &b.inputs)
            .map(|i| i.size)
            .collect();
        let handle = tokio::runtime::Handle::current();
        let mut inputs = Vec::new();
        for source in sources.iter().filter(|s| sizes.contains(&s.size)) {
            let (source, handle, cancel) =
                (Arc::clone(source), handle.clone(), self.cancel.clone());
            let (number, size) = (source.number, source.size);
            let digest = move || source.digest(&handle, &|| cancel.is_cancelled());
            let digest = blocking(digest).await?;
            if dataset.has_input(&digest) {
                inputs.push(InputReport {
                    input: number,
                    digest,
                    size,
                    ..InputReport::default()
                });
            }
        }
        if inputs.is_empty() {
            return Ok(None);
        }
        if inputs.len() < sources.len() {
            let numbers: Vec<String> = inputs.iter().map(|i| i.input.to_string()).collect();
            let message = format!(
                "input(s) {} have landed in dataset {:?} before; leave them out",
                numbers.join(", "),
                self.dataset
            );
            return Err(Error::Request(message));
        }
        Ok(Some(IngestReport {
            bytes: inputs.iter().map(|i| i.size).sum(),
            inputs,
            already_done: true,
            lake_version: base.version,
            ..IngestReport::default()
        }))
    }

    /// Which inputs share samples with each other and with what the dataset holds, batches `known` aside.
    async fn meetings(
        &self,
        base: &LakeSnapshot,
        opened: &[Opened],
        known: &BTreeSet<u32>,
    ) -> Result<Meetings> {
        if self.repeated_samples {
            return Ok(Meetings::default());
        }
        let samples: Vec<&[String]> = opened.iter().map(|i| i.header.samples.as_slice()).collect();
        Meetings::of(base, &self.dataset, &samples, known).await
    }

    /// What landed in the dataset since the job began was not compared with: it must hold no sample of the job.
    async fn meets_nobody_new(
        &self,
        base: &LakeSnapshot,
        opened: &[Opened],
        report: &IngestReport,
    ) -> Result<()> {
        let head = self.lake.snapshot().await?;
        let batches = |snapshot: &LakeSnapshot| -> BTreeSet<u32> {
            let dataset = snapshot.dataset(&self.dataset);
            dataset
                .into_iter()
                .flat_map(|d| &d.batches)
                .map(|b| b.batch)
                .collect()
        };
        let known = batches(base);
        let Some(version) = head.version.filter(|_| batches(&head) != known) else {
            return Ok(());
        };
        // The very same job, run twice at once, is told of by the commit.
        let dataset = head.dataset(&self.dataset);
        let has = |input: &InputReport| dataset.is_some_and(|d| d.has_input(&input.digest));
        if report.inputs.iter().any(has) {
            return Ok(());
        }
        match self.meetings(&head, opened, &known).await?.n_samples() {
            0 => Ok(()),
            n => Err(Error::Conflict {
                version,
                reason: format!("it brought {n} samples of this job"),
            }),
        }
    }

    fn tell_otherwise(&self, n: u64) {
        if n > 0 {
            self.progress.message(&format!(
                "at {n} positions a sample of this job has other alleles from an earlier batch; both stand"
            ));
        }
    }

    async fn reserve(&self) -> Result<u32> {
        let batch = self.lake.reserve_batch(&self.dataset).await?;
        if batch > BATCH_MAX {
            return Err(Error::Request(format!(
                "the dataset has {BATCH_MAX} batches; compact it first"
            )));
        }
        Ok(batch)
    }

    /// First look at every input.
    async fn open_all(&self, sources: &[Arc<Source>], scan_bytes: u64) -> Result<Vec<Opened>> {
        let scan_bytes = if self.strict { 0 } else { scan_bytes };
        let handle = tokio::runtime::Handle::current();
        let (sources, cancel) = (sources.to_vec(), self.cancel.clone());
        let look = move || {
            sources
                .iter()
                .map(|s| open(s, &handle, scan_bytes, &cancel))
                .collect()
        };
        let opened: Vec<Opened> = blocking(look).await?;
        if self.strict {
            for (number, input) in (1..).zip(&opened) {
                refuse_violations(number, input)?;
            }
        }
        Ok(opened)
    }

    fn plan(
        &self,
        base: &LakeSnapshot,
        sources: &[Arc<Source>],
        opened: &[Opened],
        batch: u32,
        keys_are_final: bool,
    ) -> Result<Plan> {
        let known = base.dataset(&self.dataset).cloned().unwrap_or_default();
        let mut counts = Counts::default();
        let differing = differing_annotations(&known, opened);
        if let Some(first) = differing.first().filter(|_| self.strict) {
            return Err(first.refused());
        }
        let differ = differing.len() as u64;
        counts.repair(header_repair::ANNOTATION_FORMAT_DIFFERS, differ);
        let fields = Fields::merge(&known, opened, &mut counts);
        let mut layout = Layout::new(fields.info.clone(), &fields.format, self.strict);
        layout.keys_are_final = keys_are_final;
        let contigs = declare_contigs(&known, opened)?;
        let mut blocks = SampleBlocks::new(batch);
        let mut filters = known.filters.clone();
        let mut inputs = Vec::new();
        for ((source, input), number) in sources.iter().zip(opened).zip(0..) {
            let header = &input.header;
            counts.repair(repair::NO_FINAL_NEWLINE, u64::from(input.lacks_newline));
            for filter in header.filters.iter().filter(|f| f.id != "PASS") {
                if !filters.contains(&filter.id) {
                    filters.push(filter.id.clone());
                }
            }
            inputs.push(PassInput {
                source: Arc::clone(source),
                plan: Arc::new(InputPlan {
                    source: number,
                    n_samples: count32(header.samples.len())?,
                    has_format: header.has_format,
                    version: header.version,
                    blocks: blocks.of(&header.samples)?,
                    filters: header.filters.iter().map(|f| f.id.clone()).collect(),
                    whole: Whole::of(&layout, header),
                    annotations: Width::of(header, |key| layout.info_index.get(key).copied()),
                }),
                header: Arc::new(header.clone()),
                undeclared: input
                    .info_keys
                    .iter()
                    .filter(|found| is_annotation(&found.key))
                    .cloned()
                    .collect(),
                is_bcf: input.is_bcf,
                records_from: input.records_from,
                header_lines: input.header_lines,
            });
        }
        let reference = self.reference(&known)?;
        let state = DatasetState {
            assembly: known.assembly.clone(),
            reference,
            contigs: contigs.list.clone(),
            info: fields.info,
            format: fields.format,
            filters,
            blocks: known
                .blocks
                .iter()
                .copied()
                .chain(blocks.all.iter().copied())
                .collect(),
            batches: known.batches.clone(),
        };
        Ok(Plan {
            batch,
            inputs,
            layout: Arc::new(layout),
            contigs,
            state,
            counts,
            redefined: fields.redefined,
            notes: partly_annotated(&known, opened),
        })
    }

    /// The name of the reference that the dataset's alleles are left-aligned by.
    fn reference(&self, known: &DatasetState) -> Result<Option<String>> {
        let file_name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        let mine = self.reference.as_ref().map(file_name);
        if known.batches.is_empty() || known.reference == mine {
            return Ok(mine);
        }
        let named =
            |name: &Option<String>| name.clone().unwrap_or_else(|| "no reference".to_owned());
        Err(Error::Request(format!(
            "dataset {:?} is left-aligned by {}, this job by {}; alleles would not match",
            self.dataset,
            named(&known.reference),
            named(&mine)
        )))
    }

    async fn pass(
        &self,
        plan: &Plan,
        mode: &Mode,
        fasta: Option<Arc<Fasta>>,
        chunk_bytes: usize,
        check: Option<Check<'_>>,
    ) -> Result<Result<(PassDone, (Written, u64)), Restart>> {
        let pass_plan = PassPlan {
            layout: Arc::clone(&plan.layout),
            inputs: plan.inputs.iter().map(PassInput::share).collect(),
            contigs: plan.contigs.clone(),
            batch: plan.batch,
            fasta,
            threads: self.threads.max(1),
            memory_bytes: self.memory_bytes.max(128 << 20),
            chunk_bytes,
            sort: mode.sort,
            hold_back: mode.hold_back,
            keys_are_final: mode.keys_are_final(),
            progress: Arc::clone(&self.progress),
            cancel: self.cancel.clone(),
            handle: tokio::runtime::Handle::current(),
        };
        let (to_writer, outputs) = tokio::sync::mpsc::channel(OUTPUTS);
        let aborted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&aborted);
        let read = blocking(move || {
            let mut emit = |output: Output| {
                to_writer
                    .blocking_send(output)
                    .map_err(|_| Error::Internal("the writer stopped".to_owned()))
            };
            let outcome = pass::run(&pass_plan, &mut emit);
            flag.store(!matches!(outcome, Ok(Ok(_))), Ordering::Release);
            drop(to_writer);
            outcome
        });
        let write = write_all(
            &self.lake,
            &self.dataset,
            &plan.layout,
            outputs,
            &aborted,
            check,
        );
        let (read, written) = tokio::join!(read, write);
        // When the writer fails the reader only knows that it is gone.
        let written = written?;
        Ok(read?.map(|done| (done, written)))
    }

    /// The report so far, after the checks that hold for every job.
    fn account(
        &self,
        plan: &Plan,
        done: &PassDone,
        sources: &[Arc<Source>],
    ) -> Result<IngestReport> {
        let mut inputs = Vec::new();
        for (source, (input, result)) in sources.iter().zip(plan.inputs.iter().zip(&done.inputs)) {
            let same = inputs
                .iter()
                .find(|i: &&InputReport| i.digest == result.digest);
            if let Some(same) = same {
                let message = format!(
                    "inputs {} and {} are the same; leave one out",
                    same.input, source.number
                );
                return Err(Error::Request(message));
            }
            inputs.push(InputReport {
                input: source.number,
                digest: result.digest.clone(),
                size: source.size,
                records: result.records,
                quarantined: result.quarantined,
                samples: u64::from(input.plan.n_samples),
            });
        }
        let mut counts = plan.counts.clone();
        for input in &plan.inputs {
            for (rule, n) in input.header.repair_counts() {
                counts.repair(&rule, n);
            }
        }
        counts.add(done.counts.clone());
        let notes = notes(plan, done);
        for note in &notes {
            self.progress.message(note);
        }
        let report = IngestReport {
            batch: Some(plan.batch),
            records_read: inputs.iter().map(|i| i.records).sum(),
            records_stored: done.records_stored,
            records_quarantined: inputs.iter().map(|i| i.quarantined).sum(),
            rows: done.rows,
            samples: distinct_samples(&plan.inputs),
            repairs: counts.repairs.into_iter().collect(),
            notes,
            typed_issues: counts
                .issues
                .into_iter()
                .map(|((key, rule), n)| (key, rule.to_owned(), n))
                .collect(),
            quarantined: done.quarantined.clone().into_iter().collect(),
            bytes: inputs.iter().map(|i| i.size).sum(),
            inputs,
            ..IngestReport::default()
        };
        let rules: u64 = report.quarantined.iter().map(|(_, n)| n).sum();
        if !report.is_conserved() || rules != report.records_quarantined {
            return Err(Error::Internal(format!(
                "{} records were read, but {} stored and {} quarantined ({rules} by rule); \
                 nothing was committed",
                report.records_read, report.records_stored, report.records_quarantined
            )));
        }
        Ok(report)
    }

    async fn commit(
        &self,
        base: &LakeSnapshot,
        plan: Plan,
        done: PassDone,
        written: Written,
        mut report: IngestReport,
    ) -> Result<IngestReport> {
        self.cancel.check()?;
        let mut tables = changes(&self.dataset, &plan.layout, written);
        let samples = samples_rows(&plan, &done)?;
        tables.push(write_table(&self.lake, &self.dataset, "samples", &samples).await?);
        let headers = headers_rows(&plan)?;
        tables.push(write_table(&self.lake, &self.dataset, "headers", &headers).await?);
        let mut state = plan.state;
        state.contigs = done.contigs.list;
        state.batches.push(Batch {
            batch: plan.batch,
            inputs: report
                .inputs
                .iter()
                .zip(&plan.inputs)
                .map(input_record)
                .collect(),
            rows: done.rows,
        });
        let details = serde_json::to_value(&report).map_err(|e| Error::Internal(e.to_string()))?;
        let change = LakeChange {
            operation: "ingest vcf".to_owned(),
            dataset: Some((self.dataset.clone(), state)),
            tables,
            details,
            ..LakeChange::default()
        };
        self.cancel.check()?;
        match self.lake.commit(base, change).await? {
            CommitOutcome::Committed(snapshot) => {
                report.lake_version = snapshot.version;
                Ok(report)
            }
            CommitOutcome::Conflict { version, reason } => {
                self.collided(version, reason, report).await
            }
        }
    }

    /// Somebody landed in between. If it was this very job, run twice at once, all is well.
    async fn collided(
        &self,
        version: u64,
        reason: String,
        report: IngestReport,
    ) -> Result<IngestReport> {
        let head = self.lake.snapshot().await?;
        let is_landed = head.dataset(&self.dataset).is_some_and(|dataset| {
            report
                .inputs
                .iter()
                .all(|input| dataset.has_input(&input.digest))
        });
        if !is_landed {
            return Err(Error::Conflict { version, reason });
        }
        Ok(IngestReport {
            inputs: report.inputs,
            bytes: report.bytes,
            already_done: true,
            lake_version: head.version,
            ..IngestReport::default()
        })
    }
}

/// Runs blocking work off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await;
    outcome.map_err(|e| Error::Internal(format!("a background task ended early: {e}")))?
}

/// What a pass may rely on.
struct Mode {
    sort: bool,
    hold_back: i32,
    scan: u64,
}

impl Mode {
    /// Whether every input was searched whole for undeclared keys.
    fn keys_are_final(&self) -> bool {
        self.scan == u64::MAX
    }

    fn widen(&mut self) {
        self.hold_back = if self.hold_back < 1 << 20 {
            1 << 20
        } else {
            i32::MAX
        };
    }

    fn describe(&self) -> &'static str {
        match (self.sort, self.scan == u64::MAX) {
            (true, _) => "the records are not sorted; reading again to sort them",
            (false, true) => "the records use keys that the header does not declare; reading again",
            (false, false) => "an allele moved far to the left; reading again with more room",
        }
    }
}

/// A job that is ready to read.
struct Plan {
    batch: u32,
    inputs: Vec<PassInput>,
    layout: Arc<Layout>,
    contigs: Contigs,
    /// State of the dataset but for this batch and contigs yet to be met.
    state: DatasetState,
    counts: Counts,
    /// Keys that inputs declare otherwise than the dataset.
    redefined: Vec<Redefined>,
    /// What of the inputs may not be what was meant, before they are read.
    notes: Vec<String>,
}

impl PassInput {
    fn share(&self) -> Self {
        Self {
            source: Arc::clone(&self.source),
            plan: Arc::clone(&self.plan),
            header: Arc::clone(&self.header),
            undeclared: self.undeclared.clone(),
            is_bcf: self.is_bcf,
            records_from: self.records_from,
            header_lines: self.header_lines,
        }
    }
}

fn refuse_violations(number: u32, opened: &Opened) -> Result<()> {
    if opened.lacks_newline {
        let message = "the #CHROM line has no newline; is the file cut off?".to_owned();
        let (line, rule) = (opened.header_lines + 1, "no-final-newline");
        return Err(Error::Header {
            input: number,
            line,
            rule,
            message,
        });
    }
    let Some(first) = opened.header.strict_violations.first() else {
        return Ok(());
    };
    let message = first.message.clone();
    Err(Error::Header {
        input: number,
        line: u64::from(first.line),
        rule: first.rule,
        message,
    })
}

fn count32(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::Request("more than 4 billion samples".to_owned()))
}

fn declare_contigs(known: &DatasetState, opened: &[Opened]) -> Result<Contigs> {
    let mut contigs = Contigs::new(known.contigs.clone());
    for (number, input) in (1..).zip(opened) {
        for contig in &input.header.contigs {
            let rank = contigs.rank(&contig.name) as usize;
            let length = contigs.list[rank].length;
            if let (Some(a), Some(b)) = (length, contig.length)
                && a != b
            {
                let line = input
                    .header
                    .lines
                    .iter()
                    .find(|l| l.id.as_ref() == Some(&contig.name));
                let message = format!(
                    "contig {:?} has length {b} here and {a} before; is this another assembly?",
                    contig.name
                );
                let line = line.map_or(0, |l| u64::from(l.line));
                return Err(Error::Header {
                    input: number,
                    line,
                    rule: "contig-length-differs",
                    message,
                });
            }
            contigs.declare(&contig.name, contig.length);
        }
    }
    Ok(contigs)
}

/// Gives sample lists their blocks; equal lists share them.
struct SampleBlocks {
    batch: u32,
    by_list: HashMap<Vec<String>, Vec<BlockPlan>>,
    all: Vec<Block>,
}

impl SampleBlocks {
    fn new(batch: u32) -> Self {
        Self {
            batch,
            by_list: HashMap::new(),
            all: Vec::new(),
        }
    }

    fn of(&mut self, samples: &[String]) -> Result<Vec<BlockPlan>> {
        if let Some(blocks) = self.by_list.get(samples) {
            return Ok(blocks.clone());
        }
        let mut blocks = Vec::new();
        for n_samples in block_sizes(count32(samples.len())?) {
            let k = self.all.len();
            if k >= BLOCKS_MAX {
                let message =
                    format!("more than {BLOCKS_MAX} sample blocks in one job; split the inputs");
                return Err(Error::Request(message));
            }
            let block = i32::try_from((self.batch as usize) << 12 | k).unwrap_or(i32::MAX);
            blocks.push(BlockPlan { block, n_samples });
            self.all.push(Block { block, n_samples });
        }
        self.by_list.insert(samples.to_vec(), blocks.clone());
        Ok(blocks)
    }
}

/// What of the inputs is kept and may not be what was meant, each with its place.
fn notes(plan: &Plan, done: &PassDone) -> Vec<String> {
    let mut notes = plan.notes.clone();
    for (number, (input, result)) in (1..).zip(plan.inputs.iter().zip(&done.inputs)) {
        let header = input.header.repairs.iter();
        let nameless = header.filter(|r| r.rule == header_repair::ANNOTATION_WITHOUT_FORMAT);
        notes.extend(
            nameless.map(|found| format!("input {number}, line {}: {}", found.line, found.message)),
        );
        notes.extend(input.undeclared.iter().map(|found| {
            format!(
                "input {number}, line {}: INFO {} is declared in no header line, so that nobody knows what its subfields are: \
                 add its ##INFO line with their Format, and it has rows in variant_effects",
                found.line, found.key
            )
        }));
        let mut contigs = input.header.contigs.iter();
        let odd = contigs.find_map(|c| Some((&c.name, usual_name(&c.name)?)));
        notes.extend(odd.map(|(name, usual)| {
            format!(
                "input {number}: contig {name:?}: if that is the human contig that others call {usual:?}, it is equal to \
                 none of theirs"
            )
        }));
        let misfits = result.misfits.iter();
        notes.extend(
            misfits
                .map(|found| format!("input {number}, line {}: {}", found.line, found.message())),
        );
    }
    notes
}

fn distinct_samples(inputs: &[PassInput]) -> u64 {
    let names = inputs.iter().flat_map(|i| &i.header.samples);
    names.collect::<std::collections::HashSet<_>>().len() as u64
}

fn input_record((report, input): (&InputReport, &PassInput)) -> InputRecord {
    InputRecord {
        digest: report.digest.clone(),
        size: report.size,
        records: report.records,
        quarantined: report.quarantined,
        name: input.source.name.clone(),
    }
}

#[cfg(test)]
mod tests;
