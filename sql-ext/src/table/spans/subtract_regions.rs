//! `subtract_regions(regions, others)`: the parts of regions that other spans leave.

use datafusion::arrow::datatypes::DataType;

use super::arguments::{OTHERS, REGIONS};
use super::{SpanDefinition, Takes, covering, merged, subtracted};
use crate::doc::{Chapter, FunctionDoc};
use crate::table::column;

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "subtract_regions",
        chapter: Chapter::Regions,
        arguments: &[REGIONS, OTHERS],
        returns: "TABLE (contig text, pos integer, end_pos integer)",
        summary: "The parts of regions that no other span covers.",
        details: &[
            "A region that is cut in the middle gives two rows, one that is covered whole gives none. Regions that \
             overlap one another are not joined: each gives its own parts.",
            "The parts of `bedtools subtract`. Names of tables are read as in FROM.",
        ],
        example: "SELECT * FROM subtract_regions('kb.targets', 'kb.genes') ORDER BY contig, pos;",
    },
    columns: &[
        column("contig", DataType::Utf8, "Contig"),
        column("pos", DataType::Int32, "First base, 1-based"),
        column("end_pos", DataType::Int32, "Last base, included"),
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
            let parts = subtracted(&a, &merged(&covering(&b), 0));
            let sql = format!(
                "SELECT contig, pos, end_pos FROM \
                 (SELECT contig, pos, end_pos, unnest(range(copies)) AS copy FROM {parts} AS parts) AS copied"
            );
            call.statement(state, &sql).await
        })
    },
};
