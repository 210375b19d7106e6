//! Cuts an input into chunks that workers can inflate and parse on their own.
//!
//! ```text
//! BGZF   | block | block | block | ...      a chunk = whole blocks, inflated by the worker
//! gzip   members, inflated here             a chunk = a stretch of text
//! plain  text                               a chunk = a stretch of text
//! ```
//! Chunks do not respect lines: [`TailChain`] hands the partial line at the end of a chunk to the
//! worker of the next one. The last chunk of an input is empty and says so.

use std::collections::HashMap;
use std::io::Read;

use libdeflater::Decompressor;
use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};
use crate::source::{Container, RawInput};

/// Inflated bytes per chunk, the default. A chunk fits the second-level cache with its neighbours.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// Longest line, in bytes; beyond it the input is no VCF.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 29;
/// An empty block: what a complete BGZF file ends with.
const BGZF_HEADER_BYTES: usize = 18;
/// Text of one block at most.
const BGZF_TEXT_MAX: usize = 1 << 16;

/// A stretch of one input.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// Number in its input, from 0.
    pub(crate) seq: u64,
    /// BGZF blocks, or text.
    pub(crate) bytes: Vec<u8>,
    /// Whether `bytes` are BGZF blocks.
    pub(crate) is_bgzf: bool,
    /// Bytes of text in it.
    pub(crate) text_bytes: usize,
    /// Offset of its first byte in the input as it lies in the store.
    pub(crate) offset: u64,
    /// Offset of its first byte in the text.
    pub(crate) text_offset: u64,
    /// The input is over; the chunk holds nothing.
    pub(crate) is_last: bool,
}

/// Reads an input chunk by chunk.
pub(crate) struct ChunkReader {
    number: u32,
    input: Inner,
    chunk_bytes: usize,
    seq: u64,
    text_offset: u64,
    ended: bool,
    last_block_bytes: usize,
}

enum Inner {
    Plain(RawInput),
    Bgzf(RawInput),
    Gzip(Box<flate2::bufread::MultiGzDecoder<std::io::BufReader<RawInput>>>),
}

impl ChunkReader {
    pub(crate) fn new(number: u32, input: RawInput, chunk_bytes: usize) -> Result<Self> {
        if let Some(what) = input.foreign() {
            let reason = format!("this is {what}; VCF (plain, gzip, bgzip) and BCF are read");
            return Err(Error::Format {
                input: number,
                reason,
            });
        }
        let input = match input.container() {
            Container::Plain => Inner::Plain(input),
            Container::Bgzf => Inner::Bgzf(input),
            Container::Gzip => {
                let buffered = std::io::BufReader::with_capacity(64 << 10, input);
                Inner::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(buffered)))
            }
        };
        Ok(Self {
            number,
            input,
            chunk_bytes,
            seq: 0,
            text_offset: 0,
            ended: false,
            last_block_bytes: 0,
        })
    }

    /// Bytes taken from the store so far.
    pub(crate) fn offset(&self) -> u64 {
        match &self.input {
            Inner::Plain(input) | Inner::Bgzf(input) => input.offset(),
            Inner::Gzip(decoder) => decoder.get_ref().get_ref().offset(),
        }
    }

    /// The next chunk into `bytes` (cleared, reused); `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for an input that is damaged or cut off.
    pub(crate) fn next(&mut self, mut bytes: Vec<u8>) -> Result<Option<Chunk>> {
        if self.ended {
            return Ok(None);
        }
        bytes.clear();
        let offset = self.offset();
        let is_bgzf = matches!(self.input, Inner::Bgzf(_));
        let text_bytes = if is_bgzf {
            self.take_blocks(&mut bytes)?
        } else {
            self.take_text(&mut bytes)?
        };
        let is_last = bytes.is_empty();
        self.ended = is_last;
        let chunk = Chunk {
            seq: self.seq,
            bytes,
            is_bgzf,
            text_bytes,
            offset,
            text_offset: self.text_offset,
            is_last,
        };
        self.seq += 1;
        self.text_offset += text_bytes as u64;
        Ok(Some(chunk))
    }

    /// The digest of the input; call after the last chunk.
    pub(crate) fn finish_digest(self) -> String {
        match self.input {
            Inner::Plain(input) | Inner::Bgzf(input) => input.finish_digest(),
            Inner::Gzip(decoder) => decoder.into_inner().into_inner().finish_digest(),
        }
    }

    fn take_text(&mut self, out: &mut Vec<u8>) -> Result<usize> {
        match &mut self.input {
            Inner::Plain(input) => input.take(self.chunk_bytes, out),
            Inner::Gzip(decoder) => {
                let limit = self.chunk_bytes as u64;
                let taken = decoder.by_ref().take(limit).read_to_end(out);
                taken.map_err(|e| Error::Corrupt {
                    input: self.number,
                    offset: decoder.get_ref().get_ref().offset(),
                    reason: format!("the gzip data are damaged or cut off ({e})"),
                })
            }
            Inner::Bgzf(_) => Err(Error::Internal("BGZF read as text".to_owned())),
        }
    }

    fn take_blocks(&mut self, out: &mut Vec<u8>) -> Result<usize> {
        let Inner::Bgzf(input) = &mut self.input else {
            return Err(Error::Internal("text read as BGZF".to_owned()));
        };
        let mut text_bytes = 0;
        while text_bytes < self.chunk_bytes && out.len() < self.chunk_bytes {
            let start = out.len();
            let offset = input.offset();
            let corrupt = |reason: &str| Error::Corrupt {
                input: self.number,
                offset,
                reason: reason.to_owned(),
            };
            match input.take(BGZF_HEADER_BYTES, out)? {
                0 if self.last_block_bytes == 0 => break,
                0 => {
                    return Err(corrupt(
                        "the BGZF end-of-file block is missing: the file is cut off",
                    ));
                }
                BGZF_HEADER_BYTES => {}
                _ => return Err(corrupt("a BGZF block header is cut off")),
            }
            let size = block_size(&out[start..])
                .ok_or_else(|| corrupt("there is no BGZF block where one must begin"))?;
            let rest = size - BGZF_HEADER_BYTES;
            if input.take(rest, out)? < rest {
                return Err(corrupt("a BGZF block is cut off"));
            }
            self.last_block_bytes = inflated_size(&out[start..]);
            if self.last_block_bytes > BGZF_TEXT_MAX {
                return Err(corrupt("a BGZF block claims more than 64 KiB of text"));
            }
            text_bytes += self.last_block_bytes;
        }
        Ok(text_bytes)
    }
}

/// Size of a block by its header; `None` when it is no BGZF block.
fn block_size(block: &[u8]) -> Option<usize> {
    let is_block =
        block.get(..4)? == [0x1f, 0x8b, 8, 4] && block.get(12..16)? == [b'B', b'C', 2, 0];
    let size = usize::from(u16::from_le_bytes([*block.get(16)?, *block.get(17)?])) + 1;
    (is_block && size >= BGZF_HEADER_BYTES + 8).then_some(size)
}

/// The ISIZE of a whole block.
fn inflated_size(block: &[u8]) -> usize {
    block
        .last_chunk::<4>()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
}

/// Bytes that libdeflate wants to see beyond a block, and to have room for beyond its text: without
/// them it goes on byte by byte, and a block of genotypes (some 300:1) is all end.
const SLACK_BYTES: usize = 512;

/// Inflates chunks into a buffer that is reused.
pub(crate) struct Inflater {
    decompressor: Decompressor,
    text: Vec<u8>,
    /// The last blocks of a chunk with slack behind them.
    padded: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            decompressor: Decompressor::new(),
            text: Vec::new(),
            padded: Vec::new(),
        }
    }

    /// The text of a chunk; checks size and CRC of every block.
    pub(crate) fn text<'a>(&'a mut self, input: u32, chunk: &'a Chunk) -> Result<&'a [u8]> {
        if !chunk.is_bgzf {
            return Ok(&chunk.bytes);
        }
        let room = chunk.text_bytes + SLACK_BYTES;
        if self.text.len() < room {
            self.text.resize(room, 0);
        }
        let (mut from, mut to) = (0, 0);
        while from < chunk.bytes.len() {
            let corrupt = |reason: &str| Error::Corrupt {
                input,
                offset: chunk.offset + from as u64,
                reason: reason.to_owned(),
            };
            let size = block_size(&chunk.bytes[from..]).unwrap_or(usize::MAX);
            let block = from
                .checked_add(size)
                .and_then(|end| chunk.bytes.get(from..end))
                .ok_or_else(|| corrupt("a BGZF block is cut off"))?;
            let (data_at, footer) = parts(block)
                .ok_or_else(|| corrupt("the header of a BGZF block is longer than the block"))?;
            if to + footer.text_bytes > chunk.text_bytes {
                return Err(corrupt("a BGZF block is damaged (size)"));
            }
            let data = if from + size + SLACK_BYTES <= chunk.bytes.len() {
                &chunk.bytes[from + data_at..]
            } else {
                self.padded.clear();
                self.padded.extend_from_slice(&block[data_at..]);
                self.padded.resize(block.len() + SLACK_BYTES, 0);
                &self.padded
            };
            let got = self
                .decompressor
                .deflate_decompress(data, &mut self.text[to..])
                .map_err(|_| corrupt("a BGZF block is damaged (data)"))?;
            if got != footer.text_bytes {
                return Err(corrupt("a BGZF block is damaged (size)"));
            }
            if libdeflater::crc32(&self.text[to..to + got]) != footer.crc {
                return Err(corrupt("a BGZF block is damaged (CRC)"));
            }
            from += size;
            to += got;
        }
        Ok(&self.text[..to])
    }
}

/// The last eight bytes of a block.
struct Footer {
    crc: u32,
    text_bytes: usize,
}

/// Where the data of a whole block begin, and its footer.
fn parts(block: &[u8]) -> Option<(usize, Footer)> {
    let data_at = 12 + usize::from(u16::from_le_bytes([*block.get(10)?, *block.get(11)?]));
    let (rest, footer) = block.split_last_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *footer;
    let footer = Footer {
        crc: u32::from_le_bytes([a, b, c, d]),
        text_bytes: u32::from_le_bytes([e, f, g, h]) as usize,
    };
    (data_at <= rest.len()).then_some((data_at, footer))
}

/// Hands the partial line at the end of each chunk to the worker of the next one.
///
/// A worker deposits right after inflating, before it parses, so nobody waits for a parser. Chunks
/// are taken in order, hence the worker of the chunk before always exists. A worker that fails
/// deposits nothing but word of it, so that exactly the chunks after it fail too.
#[derive(Default)]
pub(crate) struct TailChain {
    slots: Mutex<HashMap<u64, Option<Vec<u8>>>>,
    filled: Condvar,
}

impl TailChain {
    /// Leaves the partial line before chunk `seq`; `None` when the chunk before it has failed.
    pub(crate) fn put(&self, seq: u64, tail: Option<Vec<u8>>) {
        self.slots.lock().insert(seq, tail);
        self.filled.notify_all();
    }

    /// Waits for the partial line before chunk `seq`.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when an earlier chunk has failed.
    pub(crate) fn take(&self, seq: u64) -> Result<Vec<u8>> {
        if seq == 0 {
            return Ok(Vec::new());
        }
        let mut slots = self.slots.lock();
        loop {
            match slots.remove(&seq) {
                Some(Some(tail)) => return Ok(tail),
                Some(None) => return Err(Error::Cancelled),
                None => self.filled.wait(&mut slots),
            }
        }
    }
}
