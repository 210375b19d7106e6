//! One pass over the inputs of a job: reader, workers, assembler.
//!
//! ```text
//! reader ──chunks──> worker 1..n ──parsed chunks──> assembler ──batches──> writer (async)
//!   └── waits for credit: a bounded number of chunks between it and the assembler
//! ```
//! Everything that comes out (rows, ids, line numbers, which error is told) follows the order of
//! chunks, so it does not depend on threads or on where chunks are cut.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::{Condvar, Mutex};

use crate::assemble::{Assembler, Contigs, Output, RecordRows, Restart};
use crate::bcf::Decoder;
use crate::encode::{ChunkBuilder, ParsedChunk, RecordEnd};
use crate::error::{Error, Result};
use crate::header::Header;
use crate::inflate::{Chunk, ChunkReader, Inflater, LINE_BYTES_MAX, TailChain};
use crate::normalise::{Fasta, Genome};
use crate::open::UndeclaredKey;
use crate::plan::{InputPlan, Layout};
use crate::progress::{CancelFlag, Progress};
use crate::quarantine::{Quarantine, Refusal};
use crate::sorter::Sorter;
use crate::source::Source;
use crate::tally::{Counts, SampleCounts, repair};
use crate::vcf::RecordParser;
use crate::vcf::annotation_cells::Misfit;

/// Chunks under way per worker.
const CHUNKS_PER_WORKER: usize = 4;
/// Chunks under way at least. The assembler stops for some ten milliseconds where a window of blobs is
/// put together or the writer compresses a row group; two workers parse a dozen chunks meanwhile.
const CHUNKS_MIN: usize = 48;

/// Everything a pass needs.
pub(crate) struct PassPlan {
    pub(crate) layout: Arc<Layout>,
    pub(crate) inputs: Vec<PassInput>,
    pub(crate) contigs: Contigs,
    pub(crate) batch: u32,
    pub(crate) fasta: Option<Arc<Fasta>>,
    pub(crate) threads: usize,
    pub(crate) memory_bytes: usize,
    pub(crate) chunk_bytes: usize,
    /// Sort the records instead of relying on their order.
    pub(crate) sort: bool,
    pub(crate) hold_back: i32,
    /// Undeclared keys have been searched for in the whole inputs already.
    pub(crate) keys_are_final: bool,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) cancel: CancelFlag,
    pub(crate) handle: tokio::runtime::Handle,
}

/// One input of a pass.
pub(crate) struct PassInput {
    pub(crate) source: Arc<Source>,
    pub(crate) plan: Arc<InputPlan>,
    pub(crate) header: Arc<Header>,
    /// Annotations that no header line declares.
    pub(crate) undeclared: Vec<UndeclaredKey>,
    pub(crate) is_bcf: bool,
    pub(crate) records_from: u64,
    pub(crate) header_lines: u64,
}

/// What became of one input.
#[derive(Debug)]
pub(crate) struct InputDone {
    pub(crate) digest: String,
    pub(crate) records: u64,
    pub(crate) quarantined: u64,
    pub(crate) samples: SampleCounts,
    /// The first entries of annotations that do not fit the Format.
    pub(crate) misfits: Vec<Misfit>,
}

/// What a whole pass found.
#[derive(Debug)]
pub(crate) struct PassDone {
    pub(crate) inputs: Vec<InputDone>,
    pub(crate) counts: Counts,
    pub(crate) contigs: Contigs,
    pub(crate) rows: u64,
    pub(crate) records_stored: u64,
    pub(crate) quarantined: BTreeMap<String, u64>,
}

/// Reads all inputs once. `Ok(Err(_))`: the pass has to begin anew.
pub(crate) fn run(
    plan: &PassPlan,
    emit: &mut dyn FnMut(Output) -> Result<()>,
) -> Result<Result<PassDone, Restart>> {
    let emit = std::cell::RefCell::new(emit);
    let mut to_assembler = |output: Output| (emit.borrow_mut())(output);
    let window_bytes = (plan.memory_bytes / 8).clamp(16 << 20, 256 << 20);
    let mut assembler = Assembler::new(
        &plan.layout,
        plan.contigs.clone(),
        plan.batch,
        plan.hold_back,
        window_bytes,
        &mut to_assembler,
    );
    let mut sorter = plan.sort.then(|| Sorter::new(plan.memory_bytes / 4));
    let mut quarantine = Quarantine::new(plan.batch);
    let mut done = Vec::new();
    let mut counts = Counts::default();
    let mut n_records = 0;
    for input in &plan.inputs {
        let mut state = InputState::new(plan, input, n_records);
        let mut to_quarantine = |output: Output| (emit.borrow_mut())(output);
        let mut take = |chunk: ParsedChunk| {
            state.chunk(
                chunk,
                &mut assembler,
                sorter.as_mut(),
                &mut quarantine,
                &mut to_quarantine,
            )
        };
        let outcome = run_input(plan, input, &mut take)?;
        if let Some(restart) = outcome.restart {
            return Ok(Err(restart));
        }
        n_records = state.n_records_total;
        counts.add(outcome.counts);
        counts.repair(repair::CONTIG_UNDECLARED, state.n_undeclared_contig);
        done.push(InputDone {
            digest: outcome.digest,
            records: state.n_lines - outcome.n_blank,
            quarantined: state.n_refused,
            samples: outcome.samples,
            misfits: std::mem::take(&mut state.misfits),
        });
    }
    if let Some(sorter) = sorter {
        let mut restart = None;
        sorter.merge(|record| {
            plan.cancel.check()?;
            if restart.is_none() {
                restart = assembler.record(record)?;
            }
            Ok(())
        })?;
        if let Some(restart) = restart {
            return Ok(Err(restart));
        }
    }
    assembler.finish()?;
    let (rows, records_stored) = (assembler.n_rows(), assembler.n_records());
    let contigs = std::mem::take(&mut assembler.contigs);
    drop(assembler);
    let quarantined = quarantine.finish(&mut |output| (emit.borrow_mut())(output))?;
    Ok(Ok(PassDone {
        inputs: done,
        counts,
        contigs,
        rows,
        records_stored,
        quarantined,
    }))
}

/// The assembler's view of one input.
struct InputState<'a> {
    plan: &'a PassPlan,
    input: &'a PassInput,
    n_lines: u64,
    n_refused: u64,
    n_undeclared_contig: u64,
    n_records_total: u64,
    last: (u32, i32),
    misfits: Vec<Misfit>,
}

impl<'a> InputState<'a> {
    fn new(plan: &'a PassPlan, input: &'a PassInput, n_records_total: u64) -> Self {
        Self {
            plan,
            input,
            n_lines: 0,
            n_refused: 0,
            n_undeclared_contig: 0,
            n_records_total,
            last: (0, i32::MIN),
            misfits: Vec::new(),
        }
    }

    fn chunk(
        &mut self,
        chunk: ParsedChunk,
        assembler: &mut Assembler<'_>,
        mut sorter: Option<&mut Sorter>,
        quarantine: &mut Quarantine,
        emit: &mut dyn FnMut(Output) -> Result<()>,
    ) -> Result<Option<Restart>> {
        self.plan.cancel.check()?;
        if chunk.undeclared && !self.plan.keys_are_final && !self.plan.layout.strict {
            return Ok(Some(Restart::UndeclaredKey));
        }
        let first_line = self.input.header_lines + self.n_lines + 1;
        for mut misfit in chunk.misfits {
            misfit.line += first_line;
            misfit.keep(&mut self.misfits);
        }
        let mut ranks = vec![None; chunk.contigs.len()];
        let mut start = RecordEnd::default();
        let mut refusals = chunk.refusals.into_iter().peekable();
        for (i, end) in chunk.records.iter().enumerate() {
            let contig = end.contig as usize;
            let rank = *ranks[contig]
                .get_or_insert_with(|| assembler.contigs.rank(&chunk.contigs[contig]));
            self.n_undeclared_contig += u64::from(!self.input.declares(&chunk.contigs[contig]));
            let record = RecordRows::between(rank, start, *end, &chunk.rows);
            start = *end;
            if self.plan.layout.strict {
                if let Some(first) = refusals.peek().filter(|r| r.line <= i as u64) {
                    return Err(refused(first.clone(), first_line));
                }
                self.check_order(&chunk.contigs[contig], &record, first_line + i as u64)?;
            }
            match &mut sorter {
                Some(sorter) => sorter.push(record),
                None => {
                    if let Some(restart) = assembler.record(&record)? {
                        return Ok(Some(restart));
                    }
                }
            }
        }
        if let Some(sorter) = sorter {
            sorter.end_chunk(chunk.rows.bytes())?;
        }
        for mut refusal in refusals {
            if self.plan.layout.strict {
                return Err(refused(refusal, first_line));
            }
            refusal.line += first_line;
            self.n_refused += 1;
            quarantine.push(self.input.plan.source, refusal, emit)?;
        }
        self.n_lines += chunk.n_lines;
        self.n_records_total += chunk.records.len() as u64;
        self.plan.progress.records(self.n_records_total);
        Ok(None)
    }

    /// Under `--strict` the records of one input must be in order.
    fn check_order(&mut self, contig: &str, record: &RecordRows, line: u64) -> Result<()> {
        let place = (record.rank, record.vcf_pos);
        if place < self.last {
            let refusal = Refusal {
                input: self.input.plan.number(),
                line,
                contig: Some(contig.to_owned()),
                pos: Some(record.vcf_pos.to_string()),
                rule: repair::UNSORTED,
                message: "the record comes after one that it should precede; sort the file"
                    .to_owned(),
                text: String::new(),
            };
            return Err(Error::Refused(Box::new(refusal)));
        }
        self.last = place;
        Ok(())
    }
}

fn refused(mut refusal: Refusal, first_line: u64) -> Error {
    refusal.line += first_line;
    Error::Refused(Box::new(refusal))
}

impl PassInput {
    fn declares(&self, contig: &str) -> bool {
        self.header.contigs.iter().any(|c| c.name == contig)
    }
}

/// What the threads of one input leave behind.
struct Outcome {
    digest: String,
    counts: Counts,
    n_blank: u64,
    samples: SampleCounts,
    restart: Option<Restart>,
}

type Parsed = (u64, Result<ParsedChunk>);

/// Bounds the chunks between the reader and the assembler.
struct Credits {
    left: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Credits {
    fn new(n: usize) -> Self {
        Self {
            left: Mutex::new((n, false)),
            changed: Condvar::new(),
        }
    }

    /// Waits for a credit; false when the pass is over.
    fn take(&self) -> bool {
        let mut left = self.left.lock();
        while left.0 == 0 && !left.1 {
            self.changed.wait(&mut left);
        }
        left.0 = left.0.saturating_sub(1);
        !left.1
    }

    fn give(&self) {
        self.left.lock().0 += 1;
        self.changed.notify_one();
    }

    fn close(&self) {
        self.left.lock().1 = true;
        self.changed.notify_all();
    }
}

/// What the threads of one input share.
struct Shared<'a> {
    plan: &'a PassPlan,
    input: &'a PassInput,
    credits: Credits,
    tails: TailChain,
    chunks: Mutex<Receiver<Chunk>>,
    buffers: Mutex<Vec<Vec<u8>>>,
}

fn run_input(
    plan: &PassPlan,
    input: &PassInput,
    take: &mut dyn FnMut(ParsedChunk) -> Result<Option<Restart>>,
) -> Result<Outcome> {
    let threads = plan.threads.max(1);
    let genome = || plan.fasta.as_ref().map(Genome::open).transpose();
    let genomes: Vec<Option<Genome>> = (0..threads).map(|_| genome()).collect::<Result<_>>()?;
    let (to_workers, chunks) = channel();
    let (to_assembler, parsed) = channel();
    let shared = Shared {
        plan,
        input,
        credits: Credits::new((threads * CHUNKS_PER_WORKER).max(CHUNKS_MIN)),
        tails: TailChain::default(),
        chunks: Mutex::new(chunks),
        buffers: Mutex::default(),
    };
    let shared = &shared;
    std::thread::scope(|scope| {
        let from_reader = to_assembler.clone();
        let reader = scope.spawn(move || read(shared, &to_workers, &from_reader));
        let workers: Vec<_> = genomes
            .into_iter()
            .map(|genome| {
                let to_assembler = to_assembler.clone();
                scope.spawn(move || work(shared, genome, &to_assembler))
            })
            .collect();
        drop(to_assembler);
        let taken = in_order(&parsed, &shared.credits, take);
        // Stops the reader; the workers end when the queue is empty.
        shared.credits.close();
        drop(parsed);
        let digest = reader.join().map_err(|_| panicked("reader"))?;
        let mut outcome = Outcome {
            digest: String::new(),
            counts: Counts::default(),
            n_blank: 0,
            samples: SampleCounts::new(input.plan.n_samples),
            restart: None,
        };
        for worker in workers {
            let (counts, samples) = worker.join().map_err(|_| panicked("worker"))?;
            outcome.samples.add(samples);
            outcome.counts.add(counts);
        }
        outcome.n_blank = outcome
            .counts
            .repairs
            .get(repair::BLANK_LINE)
            .copied()
            .unwrap_or(0);
        outcome.restart = taken?;
        if outcome.restart.is_none() {
            outcome.digest = digest
                .ok_or_else(|| Error::Internal("an input was not read to its end".to_owned()))?;
        }
        Ok(outcome)
    })
}

fn panicked(who: &str) -> Error {
    Error::Internal(format!("a {who} thread panicked"))
}

/// Feeds `take` the chunks in order.
fn in_order(
    parsed: &Receiver<Parsed>,
    credits: &Credits,
    take: &mut dyn FnMut(ParsedChunk) -> Result<Option<Restart>>,
) -> Result<Option<Restart>> {
    let mut early: BTreeMap<u64, Result<ParsedChunk>> = BTreeMap::new();
    let mut next = 0;
    for (seq, chunk) in parsed {
        early.insert(seq, chunk);
        while let Some(chunk) = early.remove(&next) {
            if let Some(restart) = take(chunk?)? {
                return Ok(Some(restart));
            }
            credits.give();
            next += 1;
        }
    }
    if early.is_empty() {
        Ok(None)
    } else {
        Err(Error::Internal(
            "a chunk was lost between the threads".to_owned(),
        ))
    }
}

/// The reader thread; returns the digest when it came to the end of the input.
fn read(
    shared: &Shared<'_>,
    to_workers: &Sender<Chunk>,
    to_assembler: &Sender<Parsed>,
) -> Option<String> {
    let mut seq = 0;
    match read_chunks(shared, to_workers, &mut seq) {
        Ok(digest) => digest,
        Err(error) => {
            let _ = to_assembler.send((seq, Err(error)));
            None
        }
    }
}

fn read_chunks(
    shared: &Shared<'_>,
    to_workers: &Sender<Chunk>,
    seq: &mut u64,
) -> Result<Option<String>> {
    let (plan, source) = (shared.plan, &shared.input.source);
    let total = plan.inputs.iter().map(|i| i.source.size).sum();
    let before: u64 = plan
        .inputs
        .iter()
        .map(|i| &i.source)
        .filter(|s| s.number < source.number)
        .map(|s| s.size)
        .sum();
    let reader = ChunkReader::new(source.number, source.read(&plan.handle)?, plan.chunk_bytes)?;
    let mut chunks = if shared.input.is_bcf {
        Chunks::Bcf(Box::new(BcfCutter::new(
            reader,
            source.number,
            shared.input.records_from,
        )))
    } else {
        Chunks::Text(Box::new(reader))
    };
    loop {
        if !shared.credits.take() {
            return Ok(None);
        }
        plan.cancel.check()?;
        let buffer = shared.buffers.lock().pop().unwrap_or_default();
        let Some(chunk) = chunks.next(buffer)? else {
            break;
        };
        *seq = chunk.seq + 1;
        plan.progress
            .bytes(before + chunks.reader().offset(), Some(total));
        if to_workers.send(chunk).is_err() {
            return Ok(None);
        }
    }
    Ok(Some(chunks.finish_digest()))
}

/// Chunks of text, or of whole BCF records.
enum Chunks {
    Text(Box<ChunkReader>),
    Bcf(Box<BcfCutter>),
}

impl Chunks {
    fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Chunk>> {
        match self {
            Self::Text(reader) => reader.next(buffer),
            Self::Bcf(cutter) => cutter.next(buffer),
        }
    }

    fn reader(&self) -> &ChunkReader {
        match self {
            Self::Text(reader) => reader,
            Self::Bcf(cutter) => &cutter.reader,
        }
    }

    fn finish_digest(self) -> String {
        match self {
            Self::Text(reader) => reader.finish_digest(),
            Self::Bcf(cutter) => cutter.reader.finish_digest(),
        }
    }
}

/// Cuts inflated BCF into chunks of whole records: only one who starts at the front can tell
/// where a record begins.
struct BcfCutter {
    reader: ChunkReader,
    inflater: Inflater,
    number: u32,
    skip: u64,
    carry: Vec<u8>,
    buffer: Vec<u8>,
    seq: u64,
    ended: bool,
}

impl BcfCutter {
    fn new(reader: ChunkReader, number: u32, records_from: u64) -> Self {
        Self {
            reader,
            inflater: Inflater::new(),
            number,
            skip: records_from,
            carry: Vec::new(),
            buffer: Vec::new(),
            seq: 0,
            ended: false,
        }
    }

    fn next(&mut self, mut out: Vec<u8>) -> Result<Option<Chunk>> {
        out.clear();
        while !self.ended && out.is_empty() {
            let chunk = self.reader.next(std::mem::take(&mut self.buffer))?;
            let Some(chunk) = chunk else { break };
            let text = self.inflater.text(self.number, &chunk)?;
            let skip = usize::try_from(self.skip)
                .unwrap_or(usize::MAX)
                .min(text.len());
            self.skip -= skip as u64;
            self.carry.extend_from_slice(&text[skip..]);
            self.ended = chunk.is_last;
            self.buffer = chunk.bytes;
            let whole =
                whole_records(&self.carry).ok_or_else(|| self.corrupt("a record is too long"))?;
            out.extend(self.carry.drain(..whole));
        }
        if out.is_empty() {
            return if self.carry.is_empty() {
                Ok(None)
            } else {
                Err(self.corrupt("the last record is cut off"))
            };
        }
        let text_bytes = out.len();
        let chunk = Chunk {
            seq: self.seq,
            bytes: out,
            text_bytes,
            ..Chunk::default()
        };
        self.seq += 1;
        Ok(Some(chunk))
    }

    fn corrupt(&self, reason: &str) -> Error {
        let reason = format!("BCF: {reason}");
        Error::Corrupt {
            input: self.number,
            offset: self.reader.offset(),
            reason,
        }
    }
}

/// Size of the BCF record at the start of `bytes`; `None` when its length is not there yet.
fn record_size(bytes: &[u8]) -> Option<usize> {
    let word = |at: usize| {
        let bytes = bytes.get(at..at + 4)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes) as usize)
    };
    Some(8 + word(0)? + word(4)?)
}

/// Bytes of the whole records at the start of `bytes`; `None` for a record beyond the bound.
fn whole_records(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(size) = record_size(&bytes[at..]) {
        if size > LINE_BYTES_MAX {
            return None;
        }
        if at + size > bytes.len() {
            break;
        }
        at += size;
    }
    Some(at)
}

/// A worker thread; returns its counts.
fn work(
    shared: &Shared<'_>,
    genome: Option<Genome>,
    to_assembler: &Sender<Parsed>,
) -> (Counts, SampleCounts) {
    let layout = &shared.plan.layout;
    let mut worker = Worker {
        parser: RecordParser::new(Arc::clone(layout), Arc::clone(&shared.input.plan), genome),
        builder: ChunkBuilder::new(Arc::clone(layout)),
        inflater: Inflater::new(),
        decoder: None,
        line: Vec::new(),
    };
    loop {
        let chunk = match shared.chunks.lock().recv() {
            Ok(chunk) => chunk,
            Err(_) => break,
        };
        let seq = chunk.seq;
        // A panic must not leave the next worker waiting for a tail.
        let work = || worker.chunk(shared, &chunk);
        let parsed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(panicked("worker")));
        if parsed.is_err() {
            shared.tails.put(seq + 1, None);
        }
        shared.buffers.lock().push(chunk.bytes);
        let _ = to_assembler.send((seq, parsed));
    }
    (worker.parser.counts, worker.parser.samples)
}

struct Worker {
    parser: RecordParser,
    builder: ChunkBuilder,
    inflater: Inflater,
    decoder: Option<Decoder>,
    line: Vec<u8>,
}

impl Worker {
    fn chunk(&mut self, shared: &Shared<'_>, chunk: &Chunk) -> Result<ParsedChunk> {
        if shared.input.is_bcf {
            self.bcf_chunk(shared, chunk)
        } else {
            self.text_chunk(shared, chunk)
        }
    }

    fn text_chunk(&mut self, shared: &Shared<'_>, chunk: &Chunk) -> Result<ParsedChunk> {
        let Self {
            parser,
            builder,
            inflater,
            ..
        } = self;
        let text = inflater.text(shared.input.source.number, chunk)?;
        let header_left = shared.input.records_from.saturating_sub(chunk.text_offset);
        let text = &text[usize::try_from(header_left)
            .unwrap_or(usize::MAX)
            .min(text.len())..];
        if chunk.is_last {
            return last_line(parser, builder, shared, chunk.seq);
        }
        let Some(last) = memchr::memrchr(b'\n', text) else {
            let mut tail = shared.tails.take(chunk.seq)?;
            tail.extend_from_slice(text);
            if tail.len() > LINE_BYTES_MAX {
                let reason =
                    format!("a line is longer than {LINE_BYTES_MAX} bytes; is this a VCF?");
                return Err(Error::Format {
                    input: shared.input.source.number,
                    reason,
                });
            }
            shared.tails.put(chunk.seq + 1, Some(tail));
            return builder.finish(0);
        };
        shared
            .tails
            .put(chunk.seq + 1, Some(text[last + 1..].to_vec()));
        let mut first = shared.tails.take(chunk.seq)?;
        let (mut n_lines, mut from) = (0, 0);
        for end in memchr::memchr_iter(b'\n', &text[..=last]) {
            if first.is_empty() {
                parser.line(&text[from..end], n_lines, builder);
            } else {
                first.extend_from_slice(&text[from..end]);
                parser.line(&first, n_lines, builder);
                first.clear();
            }
            n_lines += 1;
            from = end + 1;
        }
        builder.finish(n_lines)
    }

    fn bcf_chunk(&mut self, shared: &Shared<'_>, chunk: &Chunk) -> Result<ParsedChunk> {
        let decoder = self
            .decoder
            .get_or_insert_with(|| Decoder::new(&shared.input.header));
        let mut n_records = 0;
        let mut rest = &chunk.bytes[..];
        while let Some(size) = record_size(rest) {
            let (record, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            self.line.clear();
            match decoder.decode(record, &mut self.line) {
                Ok(()) => self.parser.line(&self.line, n_records, &mut self.builder),
                Err(bad) => self
                    .parser
                    .refuse(bad.rule, bad.message, n_records, &mut self.builder),
            }
            n_records += 1;
        }
        self.builder.finish(n_records)
    }
}

/// The line that the input ends with, when no newline follows it.
fn last_line(
    parser: &mut RecordParser,
    builder: &mut ChunkBuilder,
    shared: &Shared<'_>,
    seq: u64,
) -> Result<ParsedChunk> {
    let line = shared.tails.take(seq)?;
    if line.is_empty() {
        return builder.finish(0);
    }
    parser.last_line(&line, builder);
    builder.finish(1)
}
