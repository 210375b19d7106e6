//! Rows that a SCROLL cursor has read: the last ones in memory, the others in spill files.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::spill_file::SpillFile;

use crate::session::rows::Rows;
use crate::sqlstate::ServerError;

/// Bytes of rows in memory before they are spilled: a cursor lives long, and sorts of its own plan want memory, too.
const MEMORY_BYTES: usize = 16 << 20;

/// All rows up to the last that was read, in batches.
pub(super) struct Kept {
    chunks: Vec<Chunk>,
    rows: u64,
    /// Chunks before this one are in files.
    spilled: usize,
    /// None: rows that were in memory before anybody asked, as those of the system catalog.
    room: Option<Room>,
    /// The chunk that was last read from a file.
    last_read: Option<(usize, RecordBatch)>,
}

/// Where rows may be kept: memory and files of the statement.
struct Room {
    runtime: Arc<RuntimeEnv>,
    memory: MemoryReservation,
}

struct Chunk {
    /// Number of its first row, from 1.
    first: u64,
    rows: usize,
    place: Place,
}

enum Place {
    Memory(RecordBatch),
    /// A stream of Arrow IPC with one batch.
    File {
        file: Arc<dyn SpillFile>,
        offset: u64,
        length: u64,
    },
}

impl Kept {
    /// Nothing yet, in the memory and spill files that the plan of `rows` has.
    pub(super) fn in_room_of(rows: &Rows) -> Kept {
        let room = rows.runtime.as_ref().map(|runtime| Room {
            memory: MemoryConsumer::new("rows of a SCROLL cursor")
                .with_can_spill(true)
                .register(&runtime.memory_pool),
            runtime: Arc::clone(runtime),
        });
        Kept {
            chunks: Vec::new(),
            rows: 0,
            spilled: 0,
            room,
            last_read: None,
        }
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Keeps the next rows.
    ///
    /// # Errors
    /// 53200 and 53100 when neither memory nor spill files have room for them.
    pub(super) fn keep(&mut self, batch: RecordBatch) -> Result<(), ServerError> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let fits = match &self.room {
            None => true,
            Some(room) => room.takes(&batch)?,
        };
        self.chunks.push(Chunk {
            first: self.rows + 1,
            rows,
            place: Place::Memory(batch),
        });
        self.rows += rows as u64;
        match fits {
            true => Ok(()),
            false => self.spill(),
        }
    }

    /// Writes what is in memory to a file.
    fn spill(&mut self) -> Result<(), ServerError> {
        let Some(room) = &self.room else {
            return Ok(());
        };
        let disk = &room.runtime.disk_manager;
        let file = disk.create_tmp_file("keeping the rows of a SCROLL cursor")?;
        let mut writer = file.open_writer()?;
        let mut offset = 0;
        for chunk in self.chunks.iter_mut().skip(self.spilled) {
            let Place::Memory(batch) = &chunk.place else {
                continue;
            };
            let bytes = encoded(batch)?;
            let written = writer.write_all(&bytes);
            written.map_err(|error| ServerError::from(arrow::error::ArrowError::from(error)))?;
            let length = bytes.len() as u64;
            chunk.place = Place::File {
                file: Arc::clone(&file),
                offset,
                length,
            };
            offset += length;
        }
        writer.finish()?;
        self.spilled = self.chunks.len();
        room.memory.free();
        Ok(())
    }

    /// The chunk that holds a row, and the row's place in it.
    pub(super) fn chunk_of(&self, row: u64) -> Result<(usize, usize), ServerError> {
        let after = self.chunks.partition_point(|chunk| chunk.first <= row);
        let found = after
            .checked_sub(1)
            .and_then(|at| self.chunks.get(at).map(|chunk| (at, chunk)));
        let place = found.and_then(|(at, chunk)| {
            let place = usize::try_from(row.checked_sub(chunk.first)?).ok()?;
            (place < chunk.rows).then_some((at, place))
        });
        place.ok_or_else(|| ServerError::internal("a row that no cursor has read"))
    }

    pub(super) fn chunk_rows(&self, chunk: usize) -> usize {
        self.chunks.get(chunk).map_or(0, |chunk| chunk.rows)
    }

    /// The rows of a chunk.
    ///
    /// # Errors
    /// 58030 when its file cannot be read.
    pub(super) fn read(&mut self, at: usize) -> Result<RecordBatch, ServerError> {
        if let Some((known, batch)) = &self.last_read
            && *known == at
        {
            return Ok(batch.clone());
        }
        let place = self.chunks.get(at).map(|chunk| &chunk.place);
        let batch = match place {
            Some(Place::Memory(batch)) => return Ok(batch.clone()),
            Some(Place::File {
                file,
                offset,
                length,
            }) => decoded(file.as_ref(), *offset, *length)?,
            None => return Err(ServerError::internal("a row that no cursor has read")),
        };
        self.last_read = Some((at, batch.clone()));
        Ok(batch)
    }
}

impl Room {
    /// Whether the batch has room in memory; false when it has to go to a file.
    fn takes(&self, batch: &RecordBatch) -> Result<bool, ServerError> {
        let bytes = get_record_batch_memory_size(batch);
        let spills = self.runtime.disk_manager.tmp_files_enabled();
        if spills && self.memory.size() + bytes > MEMORY_BYTES {
            return Ok(false);
        }
        match self.memory.try_grow(bytes) {
            Ok(()) => Ok(true),
            Err(_) if spills => Ok(false),
            Err(error) => Err(ServerError::from(error)),
        }
    }
}

fn encoded(batch: &RecordBatch) -> Result<Vec<u8>, ServerError> {
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

fn decoded(file: &dyn SpillFile, offset: u64, length: u64) -> Result<RecordBatch, ServerError> {
    let path = file
        .path()
        .ok_or_else(|| ServerError::internal("a spill file that is no file"))?;
    let mut file = File::open(path).map_err(DataFusionError::IoError)?;
    file.seek(SeekFrom::Start(offset))
        .map_err(DataFusionError::IoError)?;
    let mut batches = StreamReader::try_new(BufReader::new(file.take(length)), None)?;
    let batch = batches.next().transpose()?;
    batch.ok_or_else(|| ServerError::new("58030", "a spill file ends before its rows"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;

    use super::super::super::stop::Stop;
    use super::*;

    fn batch(from: i64) -> RecordBatch {
        let numbers = Int64Array::from_iter_values(from..from + 100);
        let texts = StringArray::from_iter_values(
            (from..from + 100).map(|n| "x".repeat(50) + &n.to_string()),
        );
        RecordBatch::try_from_iter([("n", Arc::new(numbers) as _), ("t", Arc::new(texts) as _)])
            .unwrap()
    }

    fn kept(memory: usize, disk: DiskManagerBuilder) -> (Kept, Arc<RuntimeEnv>) {
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(GreedyMemoryPool::new(memory)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .unwrap();
        let mut rows = Rows::of_batches(Vec::new(), Vec::new());
        rows.stop = Stop::default();
        rows.runtime = Some(Arc::clone(&runtime));
        (Kept::in_room_of(&rows), runtime)
    }

    #[test]
    fn rows_that_do_not_fit_into_memory_are_read_back_from_files() {
        let (mut kept, runtime) = kept(30_000, DiskManagerBuilder::default());
        for from in 0..50 {
            kept.keep(batch(from * 100)).unwrap();
            assert!(runtime.memory_pool.reserved() <= 30_000);
        }
        assert!(runtime.disk_manager.used_disk_space() > 100_000);
        assert_eq!(kept.rows(), 5_000);
        for row in [1_u64, 100, 101, 2_500, 4_999, 5_000, 1] {
            let (chunk, place) = kept.chunk_of(row).unwrap();
            let batch = kept.read(chunk).unwrap();
            let number = batch.column(0).as_primitive::<Int64Type>().value(place);
            assert_eq!(number.unsigned_abs() + 1, row);
        }
        assert!(kept.chunk_of(5_001).is_err() && kept.chunk_of(0).is_err());
        drop(kept);
        assert_eq!(runtime.memory_pool.reserved(), 0);
        assert_eq!(runtime.disk_manager.used_disk_space(), 0);
    }

    #[test]
    fn limits_of_memory_and_spill_files_hold() {
        let fills = |mut kept: Kept| {
            let all = (0..50).try_for_each(|from| kept.keep(batch(from * 100)));
            all.unwrap_err().code().to_owned()
        };
        let none = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        assert_eq!(fills(kept(30_000, none).0), "53200");
        let little = DiskManagerBuilder::default().with_max_temp_directory_size(20_000);
        assert_eq!(fills(kept(30_000, little).0), "53100");
    }
}
