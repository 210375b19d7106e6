//! What a job knows before it reads a record: fields, samples and blocks, contigs.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use genokura_core::schema::{FieldDef, FieldType, format_schema, genotype_schema, site_schema};

use crate::header::Header;
use crate::vcf::annotation_cells::Width;

/// Samples per block of a large cohort.
pub(crate) const BLOCK_SAMPLES: u32 = 4096;
/// A batch of at most so many samples is one block.
pub(crate) const SINGLE_BLOCK_SAMPLES: u32 = 8192;
/// Blocks of one batch: the block id is `batch << 12 | k`.
pub(crate) const BLOCKS_MAX: usize = 1 << 12;

/// Columns of a job, shared by its workers.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) info: Vec<FieldDef>,
    pub(crate) info_index: HashMap<String, usize>,
    /// FORMAT keys without GT, in the order of the columns of the format table.
    pub(crate) format: Vec<FieldDef>,
    pub(crate) format_index: HashMap<String, usize>,
    pub(crate) strict: bool,
    /// The inputs were searched whole: a key that is still unknown gets no column any more.
    pub(crate) keys_are_final: bool,
    /// Site table without vid and record.
    pub(crate) site: SchemaRef,
    /// Genotype table without vid.
    pub(crate) genotype: SchemaRef,
    /// Format table without record.
    pub(crate) format_schema: SchemaRef,
}

impl Layout {
    /// `format` may hold GT, which has no column.
    pub(crate) fn new(info: Vec<FieldDef>, format: &[FieldDef], strict: bool) -> Self {
        let format: Vec<FieldDef> = format.iter().filter(|f| f.key != "GT").cloned().collect();
        let index = |fields: &[FieldDef]| {
            fields
                .iter()
                .enumerate()
                .map(|(i, f)| (f.key.clone(), i))
                .collect::<HashMap<_, _>>()
        };
        Self {
            info_index: index(&info),
            format_index: index(&format),
            site: without_first(&site_schema(&info), 2),
            genotype: without_first(&genotype_schema(), 1),
            format_schema: without_first(&format_schema(&format), 1),
            info,
            format,
            strict,
            keys_are_final: false,
        }
    }
}

/// A schema without its first columns, the ids, which only the assembler knows.
fn without_first(schema: &Schema, n: usize) -> SchemaRef {
    Arc::new(Schema::new(schema.fields()[n..].to_vec()))
}

/// One block of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockPlan {
    /// Block id in the dataset.
    pub(crate) block: i32,
    pub(crate) n_samples: u32,
}

/// One input, as its header describes it.
#[derive(Debug)]
pub(crate) struct InputPlan {
    /// Number of the input in the batch, 0-based (column `source`).
    pub(crate) source: i32,
    pub(crate) n_samples: u32,
    pub(crate) has_format: bool,
    /// Version in `##fileformat`; `None` when it is unknown.
    pub(crate) version: Option<(u32, u32)>,
    pub(crate) blocks: Vec<BlockPlan>,
    /// FILTER names declared.
    pub(crate) filters: Vec<String>,
    /// Columns of floats that the input declares as whole numbers.
    pub(crate) whole: Whole,
    /// How many cells the entries of its annotations have.
    pub(crate) annotations: Vec<Width>,
}

/// Columns of floats whose values an input declares as whole numbers: one that a float does not hold
/// exactly is kept as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Whole {
    /// By INFO column of the layout; a column beyond the end is none.
    pub(crate) info: Vec<bool>,
    /// By FORMAT column of the layout.
    pub(crate) format: Vec<bool>,
}

impl Whole {
    pub(crate) fn of(layout: &Layout, header: &Header) -> Self {
        let whole = |fields: &[FieldDef], declared: &[FieldDef]| -> Vec<bool> {
            let is_whole = |field: &FieldDef| {
                let mut declared = declared.iter();
                let here = declared.find(|declared| declared.key == field.key);
                let is_integer = here.is_some_and(|here| here.ty == FieldType::Integer);
                field.ty == FieldType::Float && is_integer
            };
            fields.iter().map(is_whole).collect()
        };
        Self {
            info: whole(&layout.info, &header.info),
            format: whole(&layout.format, &header.format),
        }
    }
}

/// Whether every whole number of a value (items by commas) is the same as a 32-bit float.
pub(crate) fn floats_hold(value: &[u8]) -> bool {
    value.split(|b| *b == b',').all(|item| {
        let number = std::str::from_utf8(item)
            .ok()
            .and_then(|item| item.parse::<i64>().ok());
        number.is_none_or(|number| number.unsigned_abs() <= 1 << f32::MANTISSA_DIGITS)
    })
}

impl InputPlan {
    /// Number of the input as messages name it, 1-based.
    pub(crate) fn number(&self) -> u32 {
        self.source.unsigned_abs() + 1
    }
}

/// Cuts `n_samples` into the sizes of their blocks.
pub(crate) fn block_sizes(n_samples: u32) -> Vec<u32> {
    if n_samples <= SINGLE_BLOCK_SAMPLES {
        return if n_samples == 0 {
            Vec::new()
        } else {
            vec![n_samples]
        };
    }
    let full = n_samples / BLOCK_SAMPLES;
    let rest = n_samples % BLOCK_SAMPLES;
    let mut sizes = vec![BLOCK_SAMPLES; full as usize];
    if rest > 0 {
        sizes.push(rest);
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_4096_beyond_8192_samples() {
        for (n, sizes) in [
            (0, vec![]),
            (1, vec![1]),
            (8192, vec![8192]),
            (8193, vec![4096, 4096, 1]),
            (31_078, vec![4096, 4096, 4096, 4096, 4096, 4096, 4096, 2406]),
        ] {
            assert_eq!(block_sizes(n), sizes, "{n}");
        }
    }
}
