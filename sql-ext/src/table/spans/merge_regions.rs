//! `merge_regions(regions [, distance])`: regions that touch as one.

use datafusion::arrow::datatypes::DataType;

use super::arguments::REGIONS;
use super::{SpanDefinition, Takes, merged};
use crate::doc::{Argument, Chapter, FunctionDoc, optional};
use crate::table::column;

/// How far regions may lie apart that are one.
pub(super) const DISTANCE: Argument = optional(
    "distance",
    "integer",
    "Bases that may lie between two regions that are taken together; 0 when left out: those that overlap or are \
     neighbours.",
);

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "merge_regions",
        chapter: Chapter::Regions,
        arguments: &[REGIONS, DISTANCE],
        returns: "TABLE (contig text, pos integer, end_pos integer, n_regions bigint)",
        summary: "Regions that overlap or touch, as one each.",
        details: &[
            "`5-8` and `9-12` are neighbours and become `5-12`; with distance 2, `5-8` and `11-12` do too. `n_regions` \
             says how many were taken together.",
            "The regions of `bedtools merge -d`. Names of tables are read as in FROM.",
        ],
        example: "SELECT sum(end_pos - pos + 1) AS bases FROM merge_regions('kb.genes');",
    },
    columns: &[
        column("contig", DataType::Utf8, "Contig"),
        column("pos", DataType::Int32, "First base, 1-based"),
        column("end_pos", DataType::Int32, "Last base, included"),
        column("n_regions", DataType::Int64, "Regions that it is made of"),
    ],
    takes: Takes {
        texts: 1,
        numbers: (0, 1),
        word: false,
        expected: "takes (regions [, distance]): a text and a number that are constants",
    },
    plan: |call, state| {
        Box::pin(async move {
            let merged = merged(&call.spans(state, 0).await?, call.distance()?);
            let sql = format!(
                "SELECT contig, pos, end_pos, n_regions \
                 FROM {merged} AS merged"
            );
            call.statement(state, &sql).await
        })
    },
};
