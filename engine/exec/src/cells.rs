//! The SQL value `gt`: genotypes of one variant over its visible blocks.
//!
//! Where a block has hidden samples its row is encoded anew from the visible ones, so that the bytes of a cell hold
//! nothing about anybody else.
//!
//! Variants of one record each in which everybody has the same default call, and only such, share one cell in a batch:
//! most variants of a cohort are such in the blocks of a few samples. Where a statement needs only some samples, a row
//! that does not name them counts as none.
//!
//! A block without a row is one byte, the default call, and readers take the row's `alt_index`. Where a variant is of
//! several records, another one's ALT may have another number there: such a block says so in a row of its own.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use arrow::buffer::Buffer;
use genokura_core::codec::cell::CellWriter;
use genokura_core::codec::{DefaultCall, GenotypeRow, RecordEncoder, write_default};
use genokura_core::genotype::ALLELE_MAX;

use crate::dataset::{BlockView, DatasetView};
use crate::error::{Error, Result};
use crate::members::Members;

/// Makes cells; keeps its buffers from one to the next.
pub(crate) struct CellBuilder<'a> {
    view: &'a DatasetView,
    /// Which blocks of the view the cells tell of.
    blocks: &'a [bool],
    /// Per block the samples whose calls are needed; `None`: all.
    samples: Option<&'a [Vec<u32>]>,
    /// Cells of variants without a row.
    shared: Vec<SharedCell>,
    encoder: RecordEncoder,
    parts: Vec<Part>,
    cell: Vec<u8>,
    blob: Vec<u8>,
    text: Vec<u8>,
}

/// One block of a cell.
struct Part {
    ordinal: u32,
    /// Place of the member among those of the variant.
    member: usize,
    /// Place of the block in the view.
    block: usize,
}

/// The cell of variants in which nobody has another call than the default.
struct SharedCell {
    default: DefaultCall,
    blocks: Range<usize>,
    /// Where its bytes are: the buffer of the column, and their number.
    buffer: u32,
    length: u32,
}

impl<'a> CellBuilder<'a> {
    pub(crate) fn new(
        view: &'a DatasetView,
        blocks: &'a [bool],
        samples: Option<&'a [Vec<u32>]>,
    ) -> Self {
        let (cell, blob, text, shared, parts) = Default::default();
        Self {
            view,
            blocks,
            samples,
            shared,
            encoder: RecordEncoder::new(),
            parts,
            cell,
            blob,
            text,
        }
    }

    /// The cells of some variants; NULL for one without visible samples.
    pub(crate) fn column(
        &mut self,
        members: &Members,
        groups: impl Iterator<Item = usize>,
    ) -> Result<ArrayRef> {
        let mut cells = BinaryViewBuilder::new();
        let told = self.told(members)?;
        for group in groups {
            let plain = match members.of(group) {
                [member] if told.get(group) == Some(&false) => Some(member),
                _ => None,
            };
            let shared = plain.and_then(|member| {
                let mut shared = self.shared.iter();
                shared.find(|s| s.default == member.default && s.blocks == member.blocks)
            });
            if let Some(shared) = shared {
                cells.try_append_view(shared.buffer, 0, shared.length)?;
                continue;
            }
            if !self.cell(members, group, told.get(group) != Some(&false))? {
                cells.append_null();
                continue;
            }
            match plain {
                None => cells.try_append_value(&self.cell)?,
                Some(member) => {
                    let length = u32::try_from(self.cell.len())
                        .map_err(|_| Error::Internal("a genotype cell of 4 GiB".into()))?;
                    let buffer = cells.append_block(Buffer::from(self.cell.as_slice()));
                    cells.try_append_view(buffer, 0, length)?;
                    self.shared.push(SharedCell {
                        default: member.default,
                        blocks: member.blocks.clone(),
                        buffer,
                        length,
                    });
                }
            }
        }
        self.shared.clear();
        Ok(Arc::new(cells.finish()))
    }

    /// Of each variant whether a stored row tells of a sample that is needed.
    fn told(&self, members: &Members) -> Result<Vec<bool>> {
        let mut told = vec![false; members.len()];
        for (number, (member, block)) in members.stored_places().enumerate() {
            let Some(member) = members.all().get(member) else {
                continue;
            };
            if self.blocks.get(block) != Some(&true) || told.get(member.group) != Some(&false) {
                continue;
            }
            told[member.group] = match self.samples.and_then(|samples| samples.get(block)) {
                None => true,
                Some(samples) => {
                    let row = members.stored_row(number, member, block)?;
                    row.is_some_and(|row| samples.iter().any(|sample| row.names(*sample)))
                }
            };
        }
        Ok(told)
    }

    /// Writes one cell, of stored rows or as if there were none; false when no sample of the variant is visible.
    fn cell(&mut self, members: &Members, group: usize, stored: bool) -> Result<bool> {
        let of_variant = members.of(group);
        self.parts.clear();
        let mut visible = false;
        for (number, member) in of_variant.iter().enumerate() {
            for block in member.blocks.clone() {
                let Some(ordinal) = self.view.blocks.get(block).and_then(|b| b.ordinal) else {
                    continue;
                };
                visible = true;
                if self.blocks.get(block) == Some(&true) {
                    self.parts.push(Part {
                        ordinal,
                        member: number,
                        block,
                    });
                }
            }
        }
        if !visible {
            return Ok(false);
        }
        self.parts.sort_unstable_by_key(|part| part.ordinal);
        let n_parts = u32::try_from(self.parts.len())
            .map_err(|_| Error::Internal("a variant with too many blocks".into()))?;
        let several = of_variant.len() > 1;
        self.cell.clear();
        let mut writer = CellWriter::begin(&mut self.cell, self.view.directory.id, n_parts);
        for part in &self.parts {
            let (Some(member), Some(block)) = (
                of_variant.get(part.member),
                self.view.blocks.get(part.block),
            ) else {
                continue;
            };
            let place = (part.ordinal, several, member.alt_index);
            let stored = match stored {
                true => members.stored(member, part.block),
                false => None,
            };
            let Some(stored) = stored else {
                default_part(&mut writer, block, member.default, place, &mut self.blob);
                continue;
            };
            let row = members.read_row(stored, member, part.block)?;
            if block.sees_all() {
                writer.part_blob(part.ordinal, stored.bytes());
                continue;
            }
            self.blob.clear();
            let scratch = (&mut self.encoder, &mut self.blob, &mut self.text);
            match visible_blob(&row, block, scratch)? {
                None => writer.part_blob(part.ordinal, &self.blob),
                Some(default) => {
                    default_part(&mut writer, block, default, place, &mut self.blob);
                }
            }
        }
        Ok(true)
    }
}

/// A block whose visible samples all have the default call.
fn default_part(
    writer: &mut CellWriter<'_>,
    block: &BlockView,
    default: DefaultCall,
    (ordinal, several, alt_index): (u32, bool, u16),
    blob: &mut Vec<u8>,
) {
    blob.clear();
    if several && alt_index > 1 {
        write_default(block.visible.count_ones(), default, alt_index, blob);
    }
    if blob.is_empty() {
        writer.part_default(ordinal, default);
    } else {
        writer.part_blob(ordinal, blob);
    }
}

/// The default call that is commonest among the visible samples: the record's own was chosen among all of them, and
/// would tell of the others. Of equally common ones the first; where nobody has one, the plainest.
fn visible_default(row: &GenotypeRow<'_>, block: &BlockView, text: &mut Vec<u8>) -> DefaultCall {
    let mut counts = [0u32; 8];
    let mut calls = false;
    row.for_each_call(Some(&block.visible), |_, call| {
        text.clear();
        call.write_text(text);
        calls |= !text.is_empty();
        if let Some(default) = DefaultCall::of_text(text) {
            counts[usize::from(default as u8 & 7)] += 1;
        }
    });
    if !calls {
        return DefaultCall::None;
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    let first = counts.iter().position(|n| *n == most && most > 0);
    let number = first.and_then(|number| u8::try_from(number).ok());
    number
        .and_then(DefaultCall::from_u8)
        .unwrap_or(DefaultCall::Unphased)
}

/// Encodes the visible samples of a row; gives their call when all of them have the default one.
fn visible_blob(
    row: &GenotypeRow<'_>,
    block: &BlockView,
    (encoder, blob, text): (&mut RecordEncoder, &mut Vec<u8>, &mut Vec<u8>),
) -> Result<Option<DefaultCall>> {
    let default = visible_default(row, block, text);
    encoder.begin(block.visible.count_ones(), ALLELE_MAX, default);
    let mut next = 0u32;
    let mut failed = None;
    row.for_each_call(Some(&block.visible), |_, call| {
        text.clear();
        call.write_text(text);
        if !text.is_empty()
            && let Err(error) = encoder.call(next, text)
        {
            failed.get_or_insert(error);
        }
        next += 1;
    });
    match failed {
        Some(error) => Err(Error::Internal(format!(
            "a stored call cannot be encoded: {error}"
        ))),
        None => {
            let encoded = encoder.finish(row.alt_index(), blob);
            Ok(encoded.is_default.then_some(default))
        }
    }
}
