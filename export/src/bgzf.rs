//! BGZF: gzip members of at most 64 KiB, each with its compressed length in a header field.

use libdeflater::{CompressionLvl, Compressor, Crc};

use crate::error::{Error, Result};

/// Uncompressed bytes of a block, as htslib cuts them.
pub(crate) const BLOCK_BYTES: usize = 0xff00;
/// Header and trailer of a member.
const HEADER_BYTES: usize = 18;
const TRAILER_BYTES: usize = 8;

/// The empty block that ends a file.
pub(crate) const END: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, 0x42, 0x43, 0x02, 0, 0x1b, 0, 0x03, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
];

/// Whole blocks of a file and where each begins.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    pub(crate) bytes: Vec<u8>,
    /// Offsets of the blocks in `bytes`; block `i` holds the text from `i * BLOCK_BYTES` on.
    starts: Vec<usize>,
    text_len: usize,
}

impl Blocks {
    /// Virtual offset of a byte of the text in a file whose bytes before these blocks are `before`.
    /// The end of the text is the begin of what follows.
    pub(crate) fn virtual_offset(&self, offset: usize, before: u64) -> u64 {
        let within = (offset % BLOCK_BYTES) as u64;
        match self.starts.get(offset / BLOCK_BYTES) {
            Some(start) if offset < self.text_len => (before + *start as u64) << 16 | within,
            _ => (before + self.bytes.len() as u64) << 16,
        }
    }
}

/// Compresses texts; one per worker.
pub(crate) struct Deflater {
    compressor: Compressor,
    scratch: Vec<u8>,
}

impl Deflater {
    /// `level`: 0 (stored) to 12.
    pub(crate) fn new(level: u8) -> Result<Self> {
        let level = CompressionLvl::new(i32::from(level))
            .map_err(|_| Error::Request(format!("compression level {level} is not 0 to 12")))?;
        Ok(Self {
            compressor: Compressor::new(level),
            scratch: Vec::new(),
        })
    }

    /// A text as blocks.
    pub(crate) fn blocks(&mut self, text: &[u8]) -> Result<Blocks> {
        let mut blocks = Blocks {
            bytes: Vec::with_capacity(text.len() / 4 + 1_024),
            starts: Vec::with_capacity(text.len() / BLOCK_BYTES + 1),
            text_len: text.len(),
        };
        for block in text.chunks(BLOCK_BYTES) {
            blocks.starts.push(blocks.bytes.len());
            self.block(block, &mut blocks.bytes)?;
        }
        Ok(blocks)
    }

    fn block(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let bound = self.compressor.deflate_compress_bound(text.len());
        self.scratch.resize(bound, 0);
        let compressed = self.compressor.deflate_compress(text, &mut self.scratch);
        let mut length = compressed.map_err(|e| Error::Internal(format!("deflate: {e}")))?;
        if length + HEADER_BYTES + TRAILER_BYTES > 1 << 16 {
            length = self.store(text);
        }
        let size = length + HEADER_BYTES + TRAILER_BYTES - 1;
        let size =
            u16::try_from(size).map_err(|_| Error::Internal("a BGZF block is too large".into()))?;
        out.extend_from_slice(&END[..16]);
        out.extend_from_slice(&size.to_le_bytes());
        out.extend_from_slice(&self.scratch[..length]);
        let mut crc = Crc::new();
        crc.update(text);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        Ok(())
    }

    /// One stored deflate block: what no level makes smaller.
    fn store(&mut self, text: &[u8]) -> usize {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.scratch.clear();
        self.scratch.push(1);
        self.scratch.extend_from_slice(&length.to_le_bytes());
        self.scratch.extend_from_slice(&(!length).to_le_bytes());
        self.scratch.extend_from_slice(text);
        self.scratch.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Read as _;

    use super::*;

    fn inflated(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        flate2::read::MultiGzDecoder::new(bytes)
            .read_to_end(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn blocks_inflate_to_the_text_and_offsets_point_into_it() {
        let mut seed = 7u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_le_bytes()[3]
        };
        for length in [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 77] {
            let text: Vec<u8> = (0..length).map(|_| noise()).collect();
            let blocks = Deflater::new(6).unwrap().blocks(&text).unwrap();
            let mut file = blocks.bytes.clone();
            file.extend_from_slice(&END);
            assert_eq!(inflated(&file), text);
            for offset in [0, length / 2, length.saturating_sub(1)] {
                if offset >= length {
                    continue;
                }
                let place = blocks.virtual_offset(offset, 0);
                let block = usize::try_from(place >> 16).unwrap();
                let within = usize::try_from(place & 0xffff).unwrap();
                assert_eq!(inflated(&file[block..])[within], text[offset]);
            }
            let end = blocks.virtual_offset(length, 5);
            assert_eq!(end, (blocks.bytes.len() as u64 + 5) << 16);
        }
    }
}
