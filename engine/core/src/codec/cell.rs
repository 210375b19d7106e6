//! Cell: the SQL value `gt`, the genotypes of one variant row over all sample blocks.
//!
//! # Layout
//! ```text
//! +---------+--------------+---------+~~~~~~+~~~~~~+
//! | version | directory id | n_parts | part | part | …
//! | 1 byte  | u64 LE       | varint  |      |      |
//! +---------+--------------+---------+~~~~~~+~~~~~~+
//! part = varint block ordinal, kind byte, then
//!        kind 0: one byte, the default call of all samples of the block
//!        kind 1: varint length, genotype blob (see `codec`)
//! ```
//! Block ordinals count the blocks of the sample directory and ascend. A cell holds nothing about
//! the samples themselves: the directory of its id names them, in the process that made the cell.

use crate::codec::varint::{self, Reader};
use crate::codec::{DefaultCall, GenotypeRow};
use crate::error::{Error, Result};

const VERSION: u8 = 1;
const KIND_DEFAULT: u8 = 0;
const KIND_BLOB: u8 = 1;

/// Writes one cell. The caller writes as many parts as it announced, block ordinals ascending.
///
/// # Examples
/// ```
/// use genokura_core::codec::DefaultCall;
/// use genokura_core::codec::cell::{Cell, CellWriter};
/// let mut bytes = Vec::new();
/// let mut writer = CellWriter::begin(&mut bytes, 7, 1);
/// writer.part_default(0, DefaultCall::Unphased);
/// let cell = Cell::parse(&bytes)?;
/// assert_eq!((cell.directory_id(), cell.n_parts()), (7, 1));
/// # Ok::<(), genokura_core::Error>(())
/// ```
#[derive(Debug)]
pub struct CellWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> CellWriter<'a> {
    /// Appends the head of a cell with `n_parts` parts to `out`.
    pub fn begin(out: &'a mut Vec<u8>, directory_id: u64, n_parts: u32) -> Self {
        out.push(VERSION);
        out.extend_from_slice(&directory_id.to_le_bytes());
        varint::write(n_parts, out);
        Self { out }
    }

    /// A block whose row is `blob`.
    pub fn part_blob(&mut self, ordinal: u32, blob: &[u8]) {
        varint::write(ordinal, self.out);
        self.out.push(KIND_BLOB);
        varint::write_len(blob.len(), self.out);
        self.out.extend_from_slice(blob);
    }

    /// A block without a row: all its samples have the default call.
    pub fn part_default(&mut self, ordinal: u32, default: DefaultCall) {
        varint::write(ordinal, self.out);
        self.out.push(KIND_DEFAULT);
        self.out.push(default as u8);
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
    n_parts: u32,
    parts: Reader<'a>,
    checked: bool,
}

impl<'a> Cell<'a> {
    /// Reads and checks a cell with all its rows.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes are not a cell of this version, or hold a blob that is not.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let corrupt = |reason| move || Error::corrupt("genotype cell", reason);
        let cell = Self::open(bytes)?;
        let mut reader = cell.parts;
        let mut next = 0;
        for _ in 0..cell.n_parts {
            let (ordinal, _) = part(&mut reader, true)?;
            if ordinal < next {
                return Err(corrupt("blocks do not ascend")());
            }
            next = ordinal
                .checked_add(1)
                .ok_or_else(corrupt("block ordinal"))?;
        }
        if !reader.is_empty() {
            return Err(corrupt("bytes after the end")());
        }
        Ok(Self {
            checked: true,
            ..cell
        })
    }

    /// Reads the head of a cell only; [`Cell::find`] reads and checks the part it is asked for.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the bytes do not begin as a cell of this version.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let corrupt = |reason| move || Error::corrupt("genotype cell", reason);
        let mut parts = Reader::new(bytes);
        if parts.byte() != Some(VERSION) {
            return Err(corrupt("unknown version")());
        }
        let directory_id = parts.u64_le().ok_or_else(corrupt("directory id"))?;
        let n_parts = parts.varint().ok_or_else(corrupt("number of parts"))?;
        Ok(Self {
            directory_id,
            n_parts,
            parts,
            checked: false,
        })
    }

    /// The parts whose block ordinal is `wanted`, with the ordinal, checked as they are read; the others are
    /// skipped unread.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when a wanted part, or what has to be skipped before it, is damaged; nothing comes after.
    pub fn parts_where(
        &self,
        wanted: impl Fn(u32) -> bool,
    ) -> impl Iterator<Item = Result<(u32, Part<'a>)>> {
        let (mut reader, check) = (self.parts, !self.checked);
        let mut left = self.n_parts;
        std::iter::from_fn(move || {
            while left > 0 {
                left -= 1;
                match skip_unless(&mut reader, &wanted) {
                    Ok(false) => {}
                    Ok(true) => {
                        let found = part(&mut reader, check);
                        left = if found.is_err() { 0 } else { left };
                        return Some(found);
                    }
                    Err(error) => {
                        left = 0;
                        return Some(Err(error));
                    }
                }
            }
            None
        })
    }

    /// The first part whose block ordinal is `wanted`, as [`Cell::parts_where`] reads it.
    ///
    /// # Errors
    /// As [`Cell::parts_where`].
    pub fn find(&self, wanted: impl Fn(u32) -> bool) -> Result<Option<(u32, Part<'a>)>> {
        self.parts_where(wanted).next().transpose()
    }

    /// Calls `f` with the row of each wanted block, ordinals ascending. Blocks in which everybody has the default
    /// call have none: nobody carries the ALT there.
    ///
    /// # Errors
    /// [`Error::Corrupt`] at the first damaged part, after `f` has seen those before it.
    pub fn for_each_row(
        &self,
        wanted: impl Fn(u32) -> bool,
        mut f: impl FnMut(u32, &GenotypeRow<'a>),
    ) -> Result<()> {
        let corrupt = |reason| move || Error::corrupt("genotype cell", reason);
        let mut reader = self.parts;
        for _ in 0..self.n_parts {
            let ordinal = reader.varint().ok_or_else(corrupt("block ordinal"))?;
            match reader.byte() {
                Some(KIND_DEFAULT) => {
                    let default = reader.byte().and_then(DefaultCall::from_u8);
                    default.ok_or_else(corrupt("default call"))?;
                }
                Some(KIND_BLOB) => {
                    let blob = reader.prefixed().ok_or_else(corrupt("length of a blob"))?;
                    if wanted(ordinal) {
                        f(ordinal, &GenotypeRow::read(blob, !self.checked)?);
                    }
                }
                _ => return Err(corrupt("kind of a part")()),
            }
        }
        Ok(())
    }

    /// Id of the sample directory that names the samples of the blocks.
    #[must_use]
    pub fn directory_id(&self) -> u64 {
        self.directory_id
    }

    /// How many parts there are.
    #[must_use]
    pub fn n_parts(&self) -> u32 {
        self.n_parts
    }

    /// Block ordinal in the directory and content of each part, ordinals ascending. A damaged part of a cell that
    /// was only [opened](Cell::open) ends them.
    pub fn parts(&self) -> impl Iterator<Item = (u32, Part<'a>)> + use<'a> {
        let (mut reader, check) = (self.parts, !self.checked);
        (0..self.n_parts).map_while(move |_| part(&mut reader, check).ok())
    }
}

/// Skips a part, unless it is wanted: then the reader stays before it and the answer is true.
fn skip_unless(reader: &mut Reader<'_>, wanted: impl Fn(u32) -> bool) -> Result<bool> {
    let corrupt = |reason| move || Error::corrupt("genotype cell", reason);
    let mut ahead = *reader;
    let ordinal = ahead.varint().ok_or_else(corrupt("block ordinal"))?;
    if wanted(ordinal) {
        return Ok(true);
    }
    let end = match ahead.byte() {
        Some(KIND_DEFAULT) => ahead.byte().map(|_| ()),
        Some(KIND_BLOB) => ahead.prefixed().map(|_| ()),
        _ => None,
    };
    end.ok_or_else(corrupt("kind of a part"))?;
    *reader = ahead;
    Ok(false)
}

fn part<'a>(reader: &mut Reader<'a>, check: bool) -> Result<(u32, Part<'a>)> {
    let corrupt = |reason| move || Error::corrupt("genotype cell", reason);
    let ordinal = reader.varint().ok_or_else(corrupt("block ordinal"))?;
    let part = match reader.byte() {
        Some(KIND_DEFAULT) => reader
            .byte()
            .and_then(DefaultCall::from_u8)
            .map(Part::Default)
            .ok_or_else(corrupt("default call"))?,
        Some(KIND_BLOB) => {
            let blob = reader.prefixed().ok_or_else(corrupt("length of a blob"))?;
            Part::Row(GenotypeRow::read(blob, check)?)
        }
        _ => return Err(corrupt("kind of a part")()),
    };
    Ok((ordinal, part))
}

/// Reads whatever a cell holds: the body of the fuzz target, which the tests drive as well. Returns
/// whether the bytes parsed.
#[doc(hidden)]
pub fn drive_cell(bytes: &[u8]) -> bool {
    if let Ok(cell) = Cell::open(bytes) {
        for ordinal in [0, 1, 200] {
            if let Ok(Some((_, Part::Row(row)))) = cell.find(|at| at == ordinal) {
                let _ = (row.counts(), row.genotype(0));
            }
        }
        let _ = cell.for_each_row(|_| true, |_, row| drop((row.counts(), row.genotype(0))));
    }
    let Ok(cell) = Cell::parse(bytes) else {
        return false;
    };
    for (_, part) in cell.parts() {
        if let Part::Row(row) = part {
            let _ = (row.counts(), row.genotype(0));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec::RecordEncoder;
    use proptest::prelude::*;

    fn singleton(n_samples: u32, sample: u32) -> Vec<u8> {
        let mut encoder = RecordEncoder::new();
        encoder.begin(n_samples, 1, DefaultCall::Unphased);
        encoder.diploid(sample, 0, 1, false);
        let mut blob = Vec::new();
        encoder.finish(1, &mut blob);
        blob
    }

    fn cell() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = CellWriter::begin(&mut bytes, 0x0102, 3);
        writer.part_default(0, DefaultCall::Phased);
        writer.part_blob(1, &singleton(100, 7));
        writer.part_default(200, DefaultCall::None);
        bytes
    }

    #[test]
    fn golden_bytes() {
        let mut expected = vec![1, 2, 1, 0, 0, 0, 0, 0, 0, 3];
        expected.extend([0, 0, 2]);
        expected.extend([1, 1, 7, 0x01, 0x01, 0x01, 100, 0x01, 0x01, 0x0f]);
        expected.extend([0xc8, 0x01, 0, 0]);
        assert_eq!(cell(), expected);
    }

    #[test]
    fn parts_come_back() {
        let bytes = cell();
        let cell = Cell::parse(&bytes).unwrap();
        assert_eq!(cell.directory_id(), 0x0102);
        let parts: Vec<_> = cell.parts().collect();
        assert!(matches!(parts[0], (0, Part::Default(DefaultCall::Phased))));
        assert!(matches!(&parts[1], (1, Part::Row(row)) if row.dosage(7) == Some(1)));
        assert!(matches!(parts[2], (200, Part::Default(DefaultCall::None))));
        assert_eq!(parts.len(), 3);
        let found = Cell::open(&bytes).unwrap().find(|at| at == 200).unwrap();
        assert!(matches!(
            found,
            Some((200, Part::Default(DefaultCall::None)))
        ));
        let found = cell.find(|at| at > 0).unwrap();
        assert!(matches!(found, Some((1, Part::Row(row))) if row.dosage(7) == Some(1)));
        assert!(cell.find(|at| at == 2).unwrap().is_none());
        let mut rows = Vec::new();
        let opened = Cell::open(&bytes).unwrap();
        let visit = |at, row: &GenotypeRow<'_>| rows.push((at, row.dosage(7)));
        opened.for_each_row(|at| at > 0, visit).unwrap();
        assert_eq!(rows, [(1, Some(1))]);
        opened.for_each_row(|at| at > 1, |_, _| panic!()).unwrap();
    }

    proptest! {
        #[test]
        fn damaged_cells_never_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index, random in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = cell();
            prop_assert!(Cell::parse(&bytes[..cut.index(bytes.len())]).is_err());
            let at = at.index(bytes.len());
            bytes[at] ^= byte;
            for bytes in [&bytes, &random] {
                drive_cell(bytes);
                if let Ok(cell) = Cell::parse(bytes) {
                    prop_assert_eq!(u32::try_from(cell.parts().count()), Ok(cell.n_parts()));
                }
            }
        }
    }
}
