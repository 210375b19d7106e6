//! `count_overlaps(regions, others)`: how many other spans each region overlaps.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;

use super::arguments::{OTHERS, REGIONS};
use super::overlaps::Overlaps;
use super::{SpanDefinition, Takes, beside};
use crate::doc::{Chapter, FunctionDoc};
use crate::table::column;

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "count_overlaps",
        chapter: Chapter::Regions,
        arguments: &[REGIONS, OTHERS],
        returns: "TABLE (contig text, pos integer, end_pos integer, n_overlaps bigint)",
        summary: "How many other spans each region shares a base with.",
        details: &[
            "A row for each region, also for those that overlap nothing, and for each copy of a region. Rows without \
             contig, `pos` or `end_pos`, and spans that end before they start, are left out, but for the points \
             between two bases (`end_pos = pos - 1`), which those overlap that hold both.",
            "The counts of `bedtools intersect -c`. Names of tables are read as in FROM.",
        ],
        example: "SELECT * FROM count_overlaps('kb.genes', 'SELECT * FROM cohort.variants WHERE af < 0.01');",
    },
    columns: &[
        column("contig", DataType::Utf8, "Contig"),
        column("pos", DataType::Int32, "First base, 1-based"),
        column("end_pos", DataType::Int32, "Last base, included"),
        column(
            "n_overlaps",
            DataType::Int64,
            "Other spans that share a base with it",
        ),
    ],
    takes: Takes {
        texts: 2,
        numbers: (0, 0),
        word: false,
        expected: "takes (regions, others): texts that are constants",
    },
    plan: |call, state| Box::pin(beside::plan(call, state, Arc::new(Overlaps::Count))),
};
