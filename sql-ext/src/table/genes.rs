//! Genes by place: which ones a span touches.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result as DfResult;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlanBuilder, ident, lit};
use datafusion::physical_plan::collect;
use genokura_core::contig::canonical_key;

use super::family::of;
use super::source::table;
use crate::error::Error;

/// The table that is read when none is named.
pub(super) const DEFAULT: &str = "kb.genes";

/// Named spans, found by overlap; both ends included.
#[derive(Debug, Default)]
pub(super) struct Genes {
    /// Names, each once, in order.
    pub(super) names: Vec<String>,
    contigs: HashMap<String, Spans>,
}

/// Spans of one contig by rising start.
#[derive(Debug, Default)]
struct Spans {
    spans: Vec<Span>,
    /// For each span the greatest end of it and of all before it.
    reach: Vec<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    start: i64,
    end: i64,
    name: usize,
}

/// The plain name of a human primary, else the name as it stands.
fn key(contig: &str) -> &str {
    canonical_key(contig).unwrap_or(contig)
}

impl Genes {
    /// Reads a region table: the rows of feature `gene` where it has features, else all. Rows without a name are left
    /// out; rows of one name are one gene.
    pub(super) async fn read(state: &SessionState, name: &str) -> DfResult<Self> {
        let found = match name.split_once('.') {
            Some((schema, name)) => table(state, schema, name).await?,
            None => None,
        };
        let provider = found.ok_or_else(|| Error::NoGenes(name.to_owned()))?;
        let schema = provider.schema();
        for column in ["contig", "pos", "end_pos", "name"] {
            if schema.field_with_name(column).is_err() {
                let table = name.to_owned();
                return Err(Error::NoColumn { table, column }.into());
            }
        }
        let source = provider_as_source(provider);
        let mut plan = LogicalPlanBuilder::scan("genes", source, None)?;
        if schema.field_with_name("feature").is_ok() {
            let is_gene = ident("feature").eq(lit("gene"));
            plan = plan.filter(is_gene.or(ident("feature").is_null()))?;
        }
        let columns = ["contig", "pos", "end_pos", "name"].map(ident);
        let plan = plan.project(columns)?.build()?;
        let plan = state.create_physical_plan(&plan).await?;
        let mut rows = Vec::new();
        for batch in collect(plan, state.task_ctx()).await? {
            rows_of(&batch, &mut rows)?;
        }
        Ok(Self::of(rows))
    }

    /// Genes of (contig, start, end, name).
    fn of(rows: Vec<(String, i64, i64, String)>) -> Self {
        let mut names: Vec<String> = rows.iter().map(|(.., name)| name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let mut contigs: HashMap<String, Spans> = HashMap::new();
        for (contig, start, end, name) in rows {
            let Ok(name) = names.binary_search(&name) else {
                continue;
            };
            let spans = contigs.entry(key(&contig).to_owned()).or_default();
            spans.spans.push(Span { start, end, name });
        }
        for of_contig in contigs.values_mut() {
            of_contig.spans.sort_unstable();
            let mut reach = i64::MIN;
            for span in &of_contig.spans {
                reach = reach.max(span.end);
                of_contig.reach.push(reach);
            }
        }
        Self { names, contigs }
    }

    /// The genes, by place in `names`, that share a base with a span; each once, in order.
    pub(super) fn touching(&self, contig: &str, start: i64, end: i64) -> Vec<usize> {
        let Some(Spans { spans, reach }) = self.contigs.get(key(contig)) else {
            return Vec::new();
        };
        let before = spans.partition_point(|span| span.start <= end);
        let mut found: Vec<usize> = (0..before)
            .rev()
            .take_while(|at| reach[*at] >= start)
            .filter(|at| spans[*at].end >= start)
            .map(|at| spans[at].name)
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn rows_of(batch: &RecordBatch, rows: &mut Vec<(String, i64, i64, String)>) -> DfResult<()> {
    let texts = |name| cast(of(batch, name)?, &DataType::Utf8).map_err(Into::into);
    let numbers = |name| cast(of(batch, name)?, &DataType::Int64).map_err(Into::into);
    let columns: [DfResult<_>; 4] = [
        texts("contig"),
        numbers("pos"),
        numbers("end_pos"),
        texts("name"),
    ];
    let [contig, pos, end_pos, name] = columns;
    let (contig, pos, end_pos, name) = (contig?, pos?, end_pos?, name?);
    let whole = |row: &usize| {
        [&contig, &pos, &end_pos, &name]
            .iter()
            .all(|column| column.is_valid(*row))
    };
    for row in (0..batch.num_rows()).filter(whole) {
        rows.push((
            contig.as_string::<i32>().value(row).to_owned(),
            pos.as_primitive::<Int64Type>().value(row),
            end_pos.as_primitive::<Int64Type>().value(row),
            name.as_string::<i32>().value(row).to_owned(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_that_share_a_base_are_found() {
        let row =
            |contig: &str, start, end, name: &str| (contig.to_owned(), start, end, name.to_owned());
        let genes = Genes::of(vec![
            row("chr1", 10, 1000, "LONG"),
            row("chr1", 20, 30, "SHORT"),
            row("chr1", 40, 50, "SHORT"),
            row("1", 60, 70, "ALIAS"),
            row("HLA", 5, 6, "OTHER"),
        ]);
        let named = |contig, start, end| {
            let found = genes.touching(contig, start, end);
            found
                .iter()
                .map(|at| genes.names[*at].as_str())
                .collect::<Vec<_>>()
                .join(",")
        };
        for (contig, start, end, expected) in [
            ("chr1", 9, 9, ""),
            ("chr1", 10, 10, "LONG"),
            ("chr1", 30, 40, "LONG,SHORT"),
            ("chr1", 31, 39, "LONG"),
            ("chr1", 60, 60, "ALIAS,LONG"),
            ("1", 1000, 2000, "LONG"),
            ("chr1", 1001, 2000, ""),
            ("chr2", 10, 20, ""),
            ("HLA", 6, 6, "OTHER"),
        ] {
            assert_eq!(
                named(contig, start, end),
                expected,
                "{contig}:{start}-{end}"
            );
        }
    }
}
