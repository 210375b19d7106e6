//! The SQL value `gt`: genotypes of one variant over its visible blocks.
//!
//! Where a block has hidden samples its row is encoded anew from the visible ones, so that the bytes of a cell hold
//! nothing about anybody else.
//!
//! A block without a row is one byte, the default call, and readers take the row's `alt_index`. Where a variant is of
//! several records, another one's ALT may have another number there: such a block says so in a row of its own.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewBuilder};
use genokura_core::codec::cell::CellWriter;
use genokura_core::codec::{DefaultCall, GenotypeRow, RecordEncoder, write_default};
use genokura_core::genotype::ALLELE_MAX;

use crate::dataset::{BlockView, DatasetView};
use crate::error::{Error, Result};
use crate::members::{BlockCalls, Member, Members};

/// Makes cells; keeps its buffers from one to the next.
pub(crate) struct CellBuilder<'a> {
    view: &'a DatasetView,
    /// Which blocks of the view the cells tell of.
    blocks: &'a [bool],
    encoder: RecordEncoder,
    cell: Vec<u8>,
    blob: Vec<u8>,
    text: Vec<u8>,
}

impl<'a> CellBuilder<'a> {
    pub(crate) fn new(view: &'a DatasetView, blocks: &'a [bool]) -> Self {
        let (cell, blob, text) = Default::default();
        Self {
            view,
            blocks,
            encoder: RecordEncoder::new(),
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
        for group in groups {
            if self.cell(members, group)? {
                cells.try_append_value(&self.cell)?;
            } else {
                cells.append_null();
            }
        }
        Ok(Arc::new(cells.finish()))
    }

    /// Writes one cell; false when no sample of the variant is visible.
    fn cell(&mut self, members: &Members, group: usize) -> Result<bool> {
        let mut parts: Vec<(u32, &Member, usize)> = Vec::new();
        let mut visible = false;
        for member in members.of(group) {
            for place in member.blocks.clone() {
                let Some(ordinal) = self.view.blocks.get(place).and_then(|b| b.ordinal) else {
                    continue;
                };
                visible = true;
                if self.blocks.get(place) == Some(&true) {
                    parts.push((ordinal, member, place));
                }
            }
        }
        if !visible {
            return Ok(false);
        }
        parts.sort_unstable_by_key(|(ordinal, ..)| *ordinal);
        let n_parts = u32::try_from(parts.len())
            .map_err(|_| Error::Internal("a variant with too many blocks".into()))?;
        let several = members.of(group).len() > 1;
        self.cell.clear();
        let mut writer = CellWriter::begin(&mut self.cell, self.view.directory.id, n_parts);
        for (ordinal, member, place) in parts {
            let Some(block) = self.view.blocks.get(place) else {
                continue;
            };
            match members.calls(member, place)? {
                BlockCalls::Default(default) => {
                    self.blob.clear();
                    if several && member.alt_index > 1 {
                        let n_samples = block.visible.count_ones();
                        write_default(n_samples, default, member.alt_index, &mut self.blob);
                    }
                    if self.blob.is_empty() {
                        writer.part_default(ordinal, default);
                    } else {
                        writer.part_blob(ordinal, &self.blob);
                    }
                }
                BlockCalls::Row(_, bytes) if block.sees_all() => writer.part_blob(ordinal, bytes),
                BlockCalls::Row(row, _) => {
                    self.blob.clear();
                    let scratch = (&mut self.encoder, &mut self.blob, &mut self.text);
                    if visible_blob(&row, block, member.default, scratch)? {
                        writer.part_blob(ordinal, &self.blob);
                    } else {
                        writer.part_default(ordinal, member.default);
                    }
                }
            }
        }
        Ok(true)
    }
}

/// Encodes the visible samples of a row; false when all of them have the default call.
fn visible_blob(
    row: &GenotypeRow<'_>,
    block: &BlockView,
    default: DefaultCall,
    (encoder, blob, text): (&mut RecordEncoder, &mut Vec<u8>, &mut Vec<u8>),
) -> Result<bool> {
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
        None => Ok(!encoder.finish(row.alt_index(), blob).is_default),
    }
}
