//! Columns of the site table that records are made of, typed once per batch.

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Int8Array, Int16Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray,
};
use arrow::datatypes::{Float32Type, Int8Type, Int16Type, Int32Type, Int64Type};

use crate::error::Result;
use crate::records::Fields;
use crate::source::column;

/// Columns that are read beside those of INFO keys.
pub(crate) const RECORD_COLUMNS: [&str; 18] = [
    "vid",
    "record",
    "contig",
    "pos",
    "vcf_pos",
    "vcf_ref",
    "vcf_alts",
    "alt_index",
    "ids",
    "qual",
    "filters",
    "gt_default",
    "info_order",
    "info_raw",
    "format_keys",
    "block_from",
    "block_to",
    "source",
];

/// Rows of the site table.
#[derive(Debug)]
pub struct SiteBatch {
    pub(crate) vid: Int64Array,
    pub(crate) record: Int64Array,
    pub(crate) contig: StringArray,
    pub(crate) pos: Int32Array,
    pub(crate) vcf_pos: Int32Array,
    pub(crate) vcf_ref: StringArray,
    pub(crate) vcf_alts: ListArray,
    pub(crate) alt_index: Int16Array,
    pub(crate) ids: ListArray,
    pub(crate) qual: Float32Array,
    pub(crate) filters: ListArray,
    pub(crate) gt_default: Int8Array,
    pub(crate) info_order: StringArray,
    pub(crate) info_raw: StringArray,
    pub(crate) format_keys: StringArray,
    pub(crate) block_from: Int32Array,
    pub(crate) block_to: Int32Array,
    pub(crate) source: Int32Array,
    /// Per INFO field of the dataset its column; `None` where the session may not see it.
    pub(crate) info: Vec<Option<ArrayRef>>,
}

impl SiteBatch {
    pub(crate) fn of(batch: &RecordBatch, fields: &Fields) -> Result<Self> {
        let text = |name| Ok::<_, crate::error::Error>(column(batch, name)?.as_string::<i32>());
        let int =
            |name| Ok::<_, crate::error::Error>(column(batch, name)?.as_primitive::<Int32Type>());
        let list = |name| Ok::<_, crate::error::Error>(column(batch, name)?.as_list::<i32>());
        let info = fields.info.iter().map(|field| {
            let found = field
                .is_visible
                .then(|| batch.column_by_name(&field.def.column));
            found.flatten().cloned()
        });
        Ok(Self {
            vid: column(batch, "vid")?.as_primitive::<Int64Type>().clone(),
            record: column(batch, "record")?.as_primitive::<Int64Type>().clone(),
            contig: text("contig")?.clone(),
            pos: int("pos")?.clone(),
            vcf_pos: int("vcf_pos")?.clone(),
            vcf_ref: text("vcf_ref")?.clone(),
            vcf_alts: list("vcf_alts")?.clone(),
            alt_index: column(batch, "alt_index")?
                .as_primitive::<Int16Type>()
                .clone(),
            ids: list("ids")?.clone(),
            qual: column(batch, "qual")?.as_primitive::<Float32Type>().clone(),
            filters: list("filters")?.clone(),
            gt_default: column(batch, "gt_default")?
                .as_primitive::<Int8Type>()
                .clone(),
            info_order: text("info_order")?.clone(),
            info_raw: text("info_raw")?.clone(),
            format_keys: text("format_keys")?.clone(),
            block_from: int("block_from")?.clone(),
            block_to: int("block_to")?.clone(),
            source: int("source")?.clone(),
            info: info.collect(),
        })
    }

    /// The sample blocks of a row, first and last; `None` without samples.
    pub(crate) fn blocks(&self, row: usize) -> Option<(i32, i32)> {
        (self.block_from.is_valid(row) && self.block_to.is_valid(row))
            .then(|| (self.block_from.value(row), self.block_to.value(row)))
    }

    /// The ALT alleles of the record as they stood, as one comparable value.
    pub(crate) fn alts(&self, row: usize) -> Option<ArrayRef> {
        self.vcf_alts
            .is_valid(row)
            .then(|| self.vcf_alts.value(row))
    }
}
