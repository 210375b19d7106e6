//! `coverage(regions, others)`: how much of each region other spans cover.

use datafusion::arrow::datatypes::DataType;

use super::arguments::{OTHERS, REGIONS};
use super::{SpanDefinition, Takes, covering, merged};
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
            "The figures of `bedtools coverage`. A table is given by schema and name; the query of an argument names \
             its tables with their schemas.",
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
    plan: |call, state| {
        Box::pin(async move {
            let (a, b) = (call.spans(state, 0).await?, call.spans(state, 1).await?);
            call.statement(state, &statement(&a, &b)).await
        })
    },
};

fn statement(a: &str, b: &str) -> String {
    // Spans are counted as they are, bases in their union: one join with both.
    let union = merged(&covering(b), 0);
    let both = format!(
        "(SELECT contig, pos, end_pos, 1 AS single FROM {b} AS b UNION ALL \
         SELECT contig, pos, end_pos, 0 AS single FROM {union} AS united)"
    );
    let shared = "CASE WHEN b.single = 0 THEN CASE WHEN a.end_pos < b.end_pos THEN a.end_pos ELSE b.end_pos END - \
                  CASE WHEN a.pos > b.pos THEN a.pos ELSE b.pos END + 1 ELSE 0 END";
    format!(
        "SELECT contig, pos, end_pos, n_overlaps, covered_bp, \
         CAST(covered_bp AS DOUBLE PRECISION) / CAST(nullif(end_pos - pos + 1, 0) AS DOUBLE PRECISION) AS covered FROM \
         (SELECT a.id, a.contig, a.pos, a.end_pos, coalesce(sum(b.single), 0) AS n_overlaps, \
         coalesce(sum({shared}), 0) AS covered_bp FROM \
         (SELECT contig, pos, end_pos, row_number() OVER () AS id FROM {a} AS a) AS a LEFT JOIN {both} AS b \
         ON a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos \
         GROUP BY a.id, a.contig, a.pos, a.end_pos) AS counted"
    )
}
