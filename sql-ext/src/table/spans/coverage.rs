//! `coverage(regions, others)`: how much of each region other spans cover.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;

use super::arguments::{OTHERS, REGIONS};
use super::overlaps::Overlaps;
use super::{SpanDefinition, Takes, beside};
use crate::doc::{Chapter, FunctionDoc};
use crate::table::{column, nullable};

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "coverage",
        chapter: Chapter::Regions,
        arguments: &[REGIONS, OTHERS],
        returns: "TABLE (contig text, pos integer, end_pos integer, n_overlaps bigint, covered_bp bigint, covered \
                  double precision)",
        summary: "How many bases of each region other spans cover.",
        details: &[
            "`n_overlaps` counts the other spans that share a base with the region, `covered_bp` its bases that lie in \
             at least one of them, each once; `covered` is their share, 0 to 1. A row for each region and each copy \
             of it.",
            "The figures of `bedtools coverage`. Names of tables are read as in FROM.",
        ],
        example: "SELECT * FROM coverage('kb.genes', 'kb.targets') WHERE covered < 0.9;",
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
        column(
            "covered_bp",
            DataType::Int64,
            "Bases that lie in any of them",
        ),
        nullable(
            "covered",
            DataType::Float64,
            "covered_bp / (end_pos - pos + 1); NULL for a point between two bases",
        ),
    ],
    takes: Takes {
        texts: 2,
        numbers: (0, 0),
        word: false,
        expected: "takes (regions, others): texts that are constants",
    },
    plan: |call, state| Box::pin(beside::plan(call, state, Arc::new(Overlaps::Coverage))),
};
