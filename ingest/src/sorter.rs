//! Records in any order to records in order: sorted runs in temporary files, merged.
//!
//! Chunks gather up to a bound of memory; their records are then sorted and written as a run, a
//! sequence of small pieces. The merge holds one piece per run, so its memory is the number of
//! runs times [`PIECE_BYTES`].
//!
//! ```text
//! piece = 4 frames (u32 length, Arrow IPC stream): records | sites | genotypes | formats
//! records: rank, vcf_pos, source, ordinal (u64), ends of the record in the other three, n_alt
//! ```
//! Runs are private to the job and deleted with it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, UInt16Type, UInt32Type, UInt64Type};
use arrow_array::{Int32Array, RecordBatch, UInt16Array, UInt32Array, UInt64Array};

use crate::assemble::RecordRows;
use crate::encode::{RecordEnd, Rows};
use crate::error::{Error, Result};

/// Records of a piece end when their rows hold about so many bytes.
const PIECE_BYTES: usize = 1 << 20;
/// Records of a piece at most.
const PIECE_RECORDS: usize = 8_192;

/// Order of records.
type Key = (u32, i32, u64);

struct Held {
    key: Key,
    record: RecordRows,
}

/// Sorts records, spilling to temporary files.
pub(crate) struct Sorter {
    memory_bytes: usize,
    held: Vec<Held>,
    held_bytes: usize,
    ordinal: u64,
    runs: Vec<File>,
}

impl Sorter {
    pub(crate) fn new(memory_bytes: usize) -> Self {
        Self {
            memory_bytes,
            held: Vec::new(),
            held_bytes: 0,
            ordinal: 0,
            runs: Vec::new(),
        }
    }

    /// Takes a record; records of equal place stay in the order they come.
    pub(crate) fn push(&mut self, record: RecordRows) {
        let key = (record.rank, record.vcf_pos, self.ordinal);
        self.ordinal += 1;
        self.held.push(Held { key, record });
    }

    /// Says that the records pushed since the last call share rows of `bytes`; may spill.
    pub(crate) fn end_chunk(&mut self, bytes: usize) -> Result<()> {
        self.held_bytes += bytes;
        if self.held_bytes >= self.memory_bytes {
            self.spill()
        } else {
            Ok(())
        }
    }

    /// All records in order.
    pub(crate) fn merge(mut self, mut each: impl FnMut(&RecordRows) -> Result<()>) -> Result<()> {
        self.held.sort_unstable_by_key(|h| h.key);
        if self.runs.is_empty() {
            return self.held.iter().try_for_each(|held| each(&held.record));
        }
        self.spill()?;
        let mut runs = Vec::new();
        for mut file in std::mem::take(&mut self.runs) {
            file.seek(SeekFrom::Start(0)).map_err(Error::Spill)?;
            runs.push(Run {
                file: BufReader::with_capacity(64 << 10, file),
                piece: Vec::new().into_iter(),
            });
        }
        let mut heads = BinaryHeap::new();
        let mut records: Vec<Option<RecordRows>> = Vec::new();
        for (i, run) in runs.iter_mut().enumerate() {
            let head = run.next()?;
            heads.extend(head.as_ref().map(|h| Reverse((h.key, i))));
            records.push(head.map(|h| h.record));
        }
        while let Some(Reverse((_, i))) = heads.pop() {
            if let Some(record) = records[i].take() {
                each(&record)?;
            }
            if let Some(head) = runs[i].next()? {
                heads.push(Reverse((head.key, i)));
                records[i] = Some(head.record);
            }
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        self.held_bytes = 0;
        self.held.sort_unstable_by_key(|h| h.key);
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        let mut out = BufWriter::new(tempfile::tempfile().map_err(Error::Spill)?);
        for piece in cut(&held) {
            write_piece(piece, &mut out)?;
        }
        let file = out.into_inner().map_err(|e| Error::Spill(e.into_error()))?;
        self.runs.push(file);
        Ok(())
    }
}

/// Cuts records into pieces by the share each has in the bytes of its chunk.
fn cut(held: &[Held]) -> Vec<&[Held]> {
    let mut pieces = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, h) in held.iter().enumerate() {
        let n_sites = h.record.rows.sites.num_rows().max(1);
        bytes += h.record.rows.bytes() * h.record.sites.len() / n_sites;
        if bytes >= PIECE_BYTES || i + 1 - start >= PIECE_RECORDS {
            pieces.push(&held[start..=i]);
            (start, bytes) = (i + 1, 0);
        }
    }
    if start < held.len() {
        pieces.push(&held[start..]);
    }
    pieces
}

/// Where rows of the piece come from: the chunks and (chunk, row) of each table.
#[derive(Default)]
struct Picks {
    chunks: Vec<Arc<Rows>>,
    places: std::collections::HashMap<u64, usize>,
    sites: Vec<(usize, usize)>,
    genotypes: Vec<(usize, usize)>,
    formats: Vec<(usize, usize)>,
    alts: Vec<u16>,
}

impl Picks {
    fn push(&mut self, record: &RecordRows) {
        let chunks = &mut self.chunks;
        let chunk = *self.places.entry(record.rows.id).or_insert_with(|| {
            chunks.push(Arc::clone(&record.rows));
            chunks.len() - 1
        });
        self.sites
            .extend(record.sites.clone().map(|row| (chunk, row)));
        self.genotypes
            .extend(record.genotypes.clone().map(|row| (chunk, row)));
        self.formats
            .extend(record.formats.clone().map(|row| (chunk, row)));
        self.alts
            .extend_from_slice(&record.rows.genotype_alts[record.genotypes.clone()]);
    }

    fn rows(&self) -> Result<Rows> {
        let pick = |table: fn(&Rows) -> &RecordBatch, picks: &[(usize, usize)]| {
            let batches: Vec<&RecordBatch> = self.chunks.iter().map(|rows| table(rows)).collect();
            interleave_record_batch(&batches, picks).map_err(Error::from)
        };
        Rows::new(
            pick(|rows| &rows.sites, &self.sites)?,
            pick(|rows| &rows.genotypes, &self.genotypes)?,
            self.alts.clone(),
            pick(|rows| &rows.formats, &self.formats)?,
        )
    }

    fn end(&self, vcf_pos: i32) -> RecordEnd {
        let n = |picks: &[(usize, usize)]| u32::try_from(picks.len()).unwrap_or(u32::MAX);
        RecordEnd {
            contig: 0,
            vcf_pos,
            sites: n(&self.sites),
            genotypes: n(&self.genotypes),
            formats: n(&self.formats),
        }
    }
}

fn write_piece(held: &[Held], out: &mut impl Write) -> Result<()> {
    let mut picks = Picks::default();
    let mut ends = Vec::with_capacity(held.len());
    for h in held {
        picks.push(&h.record);
        ends.push((h.key, picks.end(h.record.vcf_pos)));
    }
    let rows = picks.rows()?;
    let alts = UInt16Array::from(picks.alts);
    let alts = RecordBatch::try_from_iter([("alt", Arc::new(alts) as _)])?;
    for batch in [
        &records_batch(&ends)?,
        &rows.sites,
        &rows.genotypes,
        &rows.formats,
        &alts,
    ] {
        write_frame(batch, out)?;
    }
    Ok(())
}

fn records_batch(ends: &[(Key, RecordEnd)]) -> Result<RecordBatch> {
    let fields = vec![
        Field::new("rank", DataType::UInt32, false),
        Field::new("ordinal", DataType::UInt64, false),
        Field::new("vcf_pos", DataType::Int32, false),
        Field::new("sites", DataType::UInt32, false),
        Field::new("genotypes", DataType::UInt32, false),
        Field::new("formats", DataType::UInt32, false),
    ];
    let ends_of =
        |f: fn(&RecordEnd) -> u32| UInt32Array::from_iter_values(ends.iter().map(|e| f(&e.1)));
    let columns: Vec<arrow_array::ArrayRef> = vec![
        Arc::new(UInt32Array::from_iter_values(ends.iter().map(|e| e.0.0))),
        Arc::new(UInt64Array::from_iter_values(ends.iter().map(|e| e.0.2))),
        Arc::new(Int32Array::from_iter_values(ends.iter().map(|e| e.0.1))),
        Arc::new(ends_of(|e| e.sites)),
        Arc::new(ends_of(|e| e.genotypes)),
        Arc::new(ends_of(|e| e.formats)),
    ];
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

fn write_frame(batch: &RecordBatch, out: &mut impl Write) -> Result<()> {
    let mut stream = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    stream.write(batch)?;
    stream.finish()?;
    let bytes = stream.into_inner()?;
    let length = u32::try_from(bytes.len())
        .map_err(|_| Error::Internal("a spilled piece is larger than 4 GiB".to_owned()))?;
    out.write_all(&length.to_le_bytes()).map_err(Error::Spill)?;
    out.write_all(&bytes).map_err(Error::Spill)
}

/// A run as it is read back.
struct Run {
    file: BufReader<File>,
    piece: std::vec::IntoIter<Held>,
}

impl Run {
    fn next(&mut self) -> Result<Option<Held>> {
        loop {
            if let Some(held) = self.piece.next() {
                return Ok(Some(held));
            }
            let Some(records) = read_frame(&mut self.file, true)? else {
                return Ok(None);
            };
            self.piece = self.read_piece(&records)?.into_iter();
        }
    }

    fn read_piece(&mut self, records: &RecordBatch) -> Result<Vec<Held>> {
        let mut table = || {
            let frame = read_frame(&mut self.file, false)?;
            frame.ok_or_else(|| Error::Internal("a spilled run is cut off".to_owned()))
        };
        let (sites, genotypes, formats, alts) = (table()?, table()?, table()?, table()?);
        let genotype_alts = alts
            .column(0)
            .as_primitive::<UInt16Type>()
            .values()
            .to_vec();
        let rows = Arc::new(Rows::new(sites, genotypes, genotype_alts, formats)?);
        let u32s = |i: usize| records.column(i).as_primitive::<UInt32Type>();
        let (ranks, ordinals) = (u32s(0), records.column(1).as_primitive::<UInt64Type>());
        let vcf_pos = records.column(2).as_primitive::<Int32Type>();
        let mut start = RecordEnd::default();
        let mut held = Vec::with_capacity(records.num_rows());
        for i in 0..records.num_rows() {
            let end = RecordEnd {
                contig: 0,
                vcf_pos: vcf_pos.value(i),
                sites: u32s(3).value(i),
                genotypes: u32s(4).value(i),
                formats: u32s(5).value(i),
            };
            let rank = ranks.value(i);
            let record = RecordRows::between(rank, start, end, &rows);
            held.push(Held {
                key: (rank, end.vcf_pos, ordinals.value(i)),
                record,
            });
            start = end;
        }
        Ok(held)
    }
}

fn read_frame(file: &mut impl Read, may_end: bool) -> Result<Option<RecordBatch>> {
    let mut length = [0; 4];
    match file.read_exact(&mut length) {
        Err(e) if may_end && e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other.map_err(Error::Spill)?,
    }
    let mut bytes = vec![0; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut bytes).map_err(Error::Spill)?;
    let mut stream = StreamReader::try_new(&bytes[..], None)?;
    let batch = stream.next().transpose()?;
    Ok(Some(batch.unwrap_or_else(|| {
        RecordBatch::new_empty(stream.schema())
    })))
}
