//! `complement(regions, dataset)`: what of a dataset's contigs no region covers.

use datafusion::arrow::datatypes::DataType;
use genokura_core::contig::common_spelling;

use super::arguments::REGIONS;
use super::windows::contigs;
use super::{
    SpanDefinition, Takes, covering, merged, same_spelling, spelling, subtracted, warn_beside,
};
use crate::doc::{Chapter, FunctionDoc};
use crate::table::arguments::DATASET;
use crate::table::{column, source};

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "complement",
        chapter: Chapter::Regions,
        arguments: &[REGIONS, DATASET],
        returns: "TABLE (contig text, pos integer, end_pos integer)",
        summary: "The stretches of a dataset's contigs that no region covers.",
        details: &[
            "Contigs and lengths are those of the dataset's headers, or of its assembly. A contig without a region is one stretch; one \
             whose length is not known is left out; regions of contigs that the dataset lacks count nowhere. Contig \
             names are compared as they stand.",
            "The stretches of `bedtools complement`. Names of tables are read as in FROM.",
        ],
        example: "SELECT * FROM complement('kb.genes', 'cohort') ORDER BY end_pos - pos DESC LIMIT 10;",
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
        expected: "takes (regions, dataset): texts that are constants",
    },
    plan: |call, state| {
        Box::pin(async move {
            let regions = call.spans(state, 0).await?;
            let contigs = contigs(call, state, 1).await?;
            let names = contigs.iter().map(|(name, _)| name.as_str());
            let spelled = spelling(state, &regions).await?;
            same_spelling(spelled.as_deref(), common_spelling(names))?;
            if let Some(dataset) = call.arguments.texts.get(1) {
                let of_dataset = Box::pin(source::contigs(state, dataset))
                    .await?
                    .unwrap_or_default();
                Box::pin(warn_beside(state, &regions, &of_dataset)).await?;
            }
            let row = |(name, length): &(String, i64)| {
                format!(
                    "('{}', CAST(1 AS BIGINT), CAST({length} AS BIGINT))",
                    name.replace('\'', "''")
                )
            };
            let rows: Vec<String> = contigs.iter().map(row).collect();
            let whole = format!(
                "(SELECT * FROM (VALUES {}) AS whole (contig, pos, end_pos))",
                rows.join(", ")
            );
            let parts = subtracted(&whole, &merged(&covering(&regions), 0));
            let sql = format!("SELECT contig, pos, end_pos FROM {parts} AS parts");
            call.statement(state, &sql).await
        })
    },
};
