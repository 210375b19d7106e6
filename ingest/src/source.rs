//! Inputs of a job: local paths, globs, object URLs and `-` (stdin), read once from front to back.
//!
//! Every byte that is read goes through the digest of the input. Stdin is spooled to a temporary
//! file first (as it comes, compressed), since a job may have to read its inputs twice.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use genokura_storage::digest::ContentDigest;
use genokura_storage::location::Location;
use object_store::ObjectStoreExt as _;

use crate::error::{Error, Result};

/// Bytes asked from the system at once.
const READ_BYTES: usize = 256 << 10;
/// Bytes per checksum of an uncompressed input, see [`Digester::Checksums`].
const CHECKSUM_BYTES: usize = 64 << 10;

/// One input of a job.
#[derive(Debug)]
pub(crate) struct Source {
    /// Number in the job, 1-based.
    pub(crate) number: u32,
    /// File name without its folders, kept as provenance in the lake; never in a message.
    pub(crate) name: String,
    /// Size in bytes as it lies in the store.
    pub(crate) size: u64,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Spool(tempfile::TempPath),
    Object(Location),
}

/// Opens the inputs in order: globs become their files by name, stdin a temporary file.
///
/// # Errors
/// [`Error::Request`] for no input or a glob without match, [`Error::Read`] for an input that is
/// not there.
pub(crate) async fn resolve(inputs: &[String]) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    for input in inputs {
        for text in expand(input)? {
            let number = u32::try_from(sources.len() + 1)
                .map_err(|_| Error::Request("more than 4 billion inputs".to_owned()))?;
            sources.push(Source::open(number, &text, input).await?);
        }
    }
    if sources.is_empty() {
        return Err(Error::Request(
            "no input; name at least one file, URL or -".to_owned(),
        ));
    }
    Ok(sources)
}

/// The files a glob stands for, or the text itself when it is none (or is itself a file).
fn expand(input: &str) -> Result<Vec<String>> {
    let is_pattern = input.contains(['*', '?', '[']) && !input.contains("://");
    if !is_pattern || std::path::Path::new(input).exists() {
        return Ok(vec![input.to_owned()]);
    }
    let paths = glob::glob(input)
        .map_err(|e| Error::Request(format!("{input:?} is no pattern of file names: {e}")))?;
    let mut files: Vec<String> = paths
        .filter_map(|path| path.ok().and_then(|p| p.to_str().map(str::to_owned)))
        .collect();
    files.sort();
    if files.is_empty() {
        return Err(Error::Request(format!("no file matches {input:?}")));
    }
    Ok(files)
}

impl Source {
    /// `typed` is what the user named it by, which messages may show.
    async fn open(number: u32, text: &str, typed: &str) -> Result<Self> {
        if text == "-" {
            return tokio::task::spawn_blocking(move || Self::spool(number))
                .await
                .map_err(|e| Error::Internal(e.to_string()))?;
        }
        let read = |e: &dyn std::fmt::Display| Error::Read {
            input: number,
            reason: format!("{typed}: {e}"),
        };
        let location = Location::parse(text)?;
        let name = location.path.filename().unwrap_or("input").to_owned();
        if let Some(path) = location.local_path() {
            let meta = std::fs::metadata(&path).map_err(|e| read(&e))?;
            if meta.is_dir() {
                let reason = "this is a directory; name its files, for example with dir/*.vcf.gz";
                return Err(Error::Read {
                    input: number,
                    reason: reason.to_owned(),
                });
            }
            // A pipe has no size and cannot be read twice.
            if !meta.is_file() {
                let mut file = File::open(&path).map_err(|e| read(&e))?;
                return Self::spool_from(number, &mut file);
            }
            return Ok(Self {
                number,
                name,
                size: meta.len(),
                place: Place::File(path),
            });
        }
        let meta = location
            .store
            .head(&location.path)
            .await
            .map_err(|e| read(&e))?;
        Ok(Self {
            number,
            name,
            size: meta.size,
            place: Place::Object(location),
        })
    }

    fn spool(number: u32) -> Result<Self> {
        Self::spool_from(number, &mut io::stdin().lock())
    }

    fn spool_from(number: u32, from: &mut dyn Read) -> Result<Self> {
        let mut file = tempfile::NamedTempFile::new().map_err(Error::Spill)?;
        let size = io::copy(from, &mut file).map_err(|e| Error::Read {
            input: number,
            reason: e.to_string(),
        })?;
        file.flush().map_err(Error::Spill)?;
        let place = Place::Spool(file.into_temp_path());
        Ok(Self {
            number,
            name: "-".to_owned(),
            size,
            place,
        })
    }

    /// Starts to read from the first byte. Blocking; `handle` drives an object store's requests.
    pub(crate) fn read(&self, handle: &tokio::runtime::Handle) -> Result<RawInput> {
        let failed = |e: io::Error| Error::Read {
            input: self.number,
            reason: e.to_string(),
        };
        let reader: Box<dyn Read + Send> = match &self.place {
            Place::File(path) => Box::new(File::open(path).map_err(failed)?),
            Place::Spool(path) => Box::new(File::open(path).map_err(failed)?),
            Place::Object(location) => Box::new(ObjectReader::start(location, handle)),
        };
        RawInput::new(self.number, reader)
    }

    /// Digest of the whole input, read for this alone.
    pub(crate) fn digest(
        &self,
        handle: &tokio::runtime::Handle,
        stop: &dyn Fn() -> bool,
    ) -> Result<String> {
        let mut input = self.read(handle)?;
        while !input.fill_more()? {
            if stop() {
                return Err(Error::Cancelled);
            }
            input.clear();
        }
        Ok(input.finish_digest())
    }
}

/// Streams an object; a task of the runtime fetches ahead, at most four pieces.
struct ObjectReader {
    pieces: tokio::sync::mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
}

impl ObjectReader {
    fn start(location: &Location, handle: &tokio::runtime::Handle) -> Self {
        let (sender, pieces) = tokio::sync::mpsc::channel(4);
        let (store, path) = (Arc::clone(&location.store), location.path.clone());
        handle.spawn(async move {
            let stream = match store.get(&path).await {
                Ok(found) => found.into_stream(),
                Err(e) => {
                    let _ = sender.send(Err(io::Error::other(e))).await;
                    return;
                }
            };
            futures::pin_mut!(stream);
            while let Some(piece) = stream.next().await {
                let failed = piece.is_err();
                if sender.send(piece.map_err(io::Error::other)).await.is_err() || failed {
                    return;
                }
            }
        });
        Self {
            pieces,
            current: Bytes::new(),
        }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.pieces.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.current = piece?,
            }
        }
        let n = out.len().min(self.current.len());
        self.current.copy_to_slice(&mut out[..n]);
        Ok(n)
    }
}

/// What the first bytes of an input say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Container {
    /// Not compressed.
    Plain,
    /// Blocked gzip.
    Bgzf,
    /// Other gzip, one or many members.
    Gzip,
}

/// The bytes of an input as they lie in the store, buffered and digested.
pub(crate) struct RawInput {
    number: u32,
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    taken: usize,
    filled: usize,
    offset: u64,
    eof: bool,
    digester: Digester,
}

impl RawInput {
    fn new(number: u32, reader: Box<dyn Read + Send>) -> Result<Self> {
        let mut input = Self {
            number,
            reader,
            buffer: vec![0; READ_BYTES],
            taken: 0,
            filled: 0,
            offset: 0,
            eof: false,
            digester: Digester::Whole(ContentDigest::new()),
        };
        input.refill(64)?;
        if input.available().is_empty() {
            let reason = "the input is empty (0 bytes); is the copy complete?".to_owned();
            return Err(Error::Format {
                input: number,
                reason,
            });
        }
        let head = input.available().to_vec();
        if input.container() == Container::Plain {
            input.digester = Digester::Checksums {
                list: ContentDigest::new(),
                open: crc32fast::Hasher::new(),
                len: 0,
            };
            input.digester.update(&head);
        } else {
            input.digester = Digester::Whole(ContentDigest::new());
            input.digester.update(&head);
        }
        Ok(input)
    }

    /// What the input is, by its first bytes. Valid before anything is taken.
    pub(crate) fn container(&self) -> Container {
        match self.available() {
            bytes @ [0x1f, 0x8b, 8, flags, ..] if flags & 4 != 0 && is_bgzf_field(bytes) => {
                Container::Bgzf
            }
            [0x1f, 0x8b, ..] => Container::Gzip,
            _ => Container::Plain,
        }
    }

    /// The name of a format this job does not read, by its first bytes.
    pub(crate) fn foreign(&self) -> Option<&'static str> {
        Some(match self.available() {
            [0x28, 0xb5, 0x2f, 0xfd, ..] => "compressed with zstd; decompress it first",
            [b'B', b'Z', b'h', ..] => "compressed with bzip2; decompress it first",
            [0xfd, b'7', b'z', b'X', b'Z', ..] => "compressed with xz; decompress it first",
            [b'P', b'K', 3, 4, ..] => "a zip archive; unpack it first",
            [b'P', b'A', b'R', b'1', ..] => "Parquet; use ingest table",
            [b'C', b'R', b'A', b'M', ..] => "CRAM, which holds reads and no variants",
            _ => return None,
        })
    }

    fn available(&self) -> &[u8] {
        &self.buffer[self.taken..self.filled]
    }

    /// Offset of the next byte to be taken.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends up to `n` bytes to `out`; fewer only at the end of the input.
    pub(crate) fn take(&mut self, n: usize, out: &mut Vec<u8>) -> Result<usize> {
        let mut left = n;
        while left > 0 {
            if self.taken == self.filled && self.fill_more()? {
                break;
            }
            let step = left.min(self.filled - self.taken);
            out.extend_from_slice(&self.buffer[self.taken..self.taken + step]);
            self.advance(step);
            left -= step;
        }
        Ok(n - left)
    }

    fn advance(&mut self, n: usize) {
        self.taken += n;
        self.offset += n as u64;
    }

    fn clear(&mut self) {
        self.advance(self.filled - self.taken);
    }

    /// Reads on when everything is taken; true at the end of the input.
    fn fill_more(&mut self) -> Result<bool> {
        if self.taken < self.filled {
            return Ok(false);
        }
        (self.taken, self.filled) = (0, 0);
        self.refill(1)?;
        let fresh = &self.buffer[..self.filled];
        self.digester.update(fresh);
        Ok(self.filled == 0)
    }

    fn refill(&mut self, at_least: usize) -> Result<()> {
        while !self.eof && self.filled < at_least {
            match self.reader.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.eof = true,
                Ok(n) => self.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    return Err(Error::Read {
                        input: self.number,
                        reason: e.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The digest of all bytes read; call at the end of the input.
    pub(crate) fn finish_digest(self) -> String {
        self.digester.finish()
    }
}

impl Read for RawInput {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.filled && self.fill_more().map_err(io::Error::other)? {
            return Ok(0);
        }
        let n = out.len().min(self.filled - self.taken);
        out[..n].copy_from_slice(&self.buffer[self.taken..self.taken + n]);
        self.advance(n);
        Ok(n)
    }
}

/// Digest of an input. Compressed inputs: SHA-256 of their bytes. Plain text, which can be 300
/// times as long: SHA-256 over the CRC-32 of every 64 KiB, since SHA-256 itself (0.4 GB/s without
/// its instructions) would cost more than parsing; it guards against mistakes, not against forgery.
enum Digester {
    Whole(ContentDigest),
    Checksums {
        list: ContentDigest,
        open: crc32fast::Hasher,
        len: usize,
    },
}

impl Digester {
    fn update(&mut self, mut bytes: &[u8]) {
        match self {
            Self::Whole(digest) => digest.update(bytes),
            Self::Checksums { list, open, len } => {
                while !bytes.is_empty() {
                    let step = bytes.len().min(CHECKSUM_BYTES - *len);
                    open.update(&bytes[..step]);
                    *len += step;
                    bytes = &bytes[step..];
                    if *len == CHECKSUM_BYTES {
                        list.update(&std::mem::take(open).finalize().to_le_bytes());
                        *len = 0;
                    }
                }
            }
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Whole(digest) => digest.finish(),
            Self::Checksums {
                mut list,
                open,
                len,
            } => {
                list.update(&open.finalize().to_le_bytes());
                list.update(&(len as u64).to_le_bytes());
                list.finish().replacen("sha256", "sha256-crc32", 1)
            }
        }
    }
}

/// Whether the first extra field of a gzip member is the one of BGZF.
fn is_bgzf_field(member: &[u8]) -> bool {
    member.get(12..14) == Some(b"BC")
}
