//! Cell: the SQL value `gt`, the genotypes of one variant row over all sample blocks.

use crate::codec::{DefaultCall, GenotypeRow};
use crate::error::Result;

/// Writes one cell; parts come with ascending block ordinals.
#[derive(Debug)]
pub struct CellWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> CellWriter<'a> {
    /// Appends the head of a cell with `n_parts` parts to `out`.
    pub fn begin(out: &'a mut Vec<u8>, directory_id: u64, n_parts: u32) -> Self {
        let _ = (directory_id, n_parts);
        Self { out }
    }

    /// A block whose row is `blob`.
    pub fn part_blob(&mut self, ordinal: u32, blob: &[u8]) {
        let _ = ordinal;
        self.out.extend_from_slice(blob);
    }

    /// A block without a row: all its samples have the default call.
    pub fn part_default(&mut self, ordinal: u32, default: DefaultCall) {
        let _ = (ordinal, default);
    }
}

/// What a cell holds for one block.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// All samples of the block have this call. The directory knows how many they are.
    Default(DefaultCall),
    /// The block's row.
    Row(GenotypeRow<'a>),
}

/// Borrowed view of one cell.
#[derive(Debug, Clone, Copy)]
pub struct Cell<'a> {
    directory_id: u64,
    parts: &'a [u8],
}

impl<'a> Cell<'a> {
    /// Reads and checks a cell.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when the bytes are not a cell of this version.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        Ok(Self {
            directory_id: 0,
            parts: bytes,
        })
    }

    /// Id of the sample directory that names the samples of the blocks.
    #[must_use]
    pub fn directory_id(&self) -> u64 {
        self.directory_id
    }

    /// Block ordinal in the directory and content of each part, in written order.
    pub fn parts(&self) -> impl Iterator<Item = (u32, Part<'a>)> + use<'a> {
        let _ = self.parts;
        std::iter::empty()
    }
}
