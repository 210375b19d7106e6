//! The table functions on spans: what of a table of regions, or of a query, touches, covers or misses another.
//!
//! Each is a statement over its inputs, planned in the session of the caller: scans prune and hide what they always do,
//! overlaps are interval joins, sorts spill. What looks regions up among others has an operator, [`beside`], and
//! [`windows`] are made.

pub(crate) mod arguments;
mod beside;
mod cluster;
mod complement;
mod count_overlaps;
mod coverage;
mod cursor;
mod merge_regions;
mod nearest;
mod overlaps;
mod subtract_regions;
mod windows;

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

use super::arguments::DATASET;
use super::{CallOf, ContigsOf, Definition, Planned, ResultColumn, schema_of, source};
use crate::depth;
use crate::doc::FunctionDoc;
use crate::error::Error;
use crate::rules::contig_names::{assemblies_met, origin, unusual};
use arguments::Arguments;

/// Every function of this module, in the order of the reference.
pub(crate) static DEFINITIONS: [SpanDefinition; 8] = [
    nearest::DEFINITION,
    count_overlaps::DEFINITION,
    coverage::DEFINITION,
    merge_regions::DEFINITION,
    cluster::DEFINITION,
    subtract_regions::DEFINITION,
    complement::DEFINITION,
    windows::DEFINITION,
];

/// The places, from 0, of the arguments of a function that say where spans are read from.
pub(crate) fn sources(function: &str) -> Vec<usize> {
    let known = DEFINITIONS.iter().find(|known| known.doc.name == function);
    let named = [arguments::REGIONS.name, arguments::OTHERS.name];
    let arguments = known
        .into_iter()
        .flat_map(|known| known.doc.arguments.iter());
    let places = arguments.enumerate();
    let of_spans = places.filter(|(_, argument)| named.contains(&argument.name));
    of_spans.map(|(place, _)| place).collect()
}

/// The columns of a function of this module.
pub(super) fn columns_of(function: &str) -> Option<SchemaRef> {
    let mut known = DEFINITIONS.iter();
    let known = known.find(|known| known.doc.name == function)?;
    Some(all_nullable(&schema_of(known.columns)))
}

/// What a file of this module defines.
pub(crate) struct SpanDefinition {
    pub(crate) doc: FunctionDoc,
    pub(crate) columns: &'static [ResultColumn],
    /// Texts before the numbers, numbers at least and at most, and what they are.
    pub(crate) takes: Takes,
    /// The plan that makes the rows.
    pub(crate) plan: for<'a> fn(&'a Call, &'a SessionState) -> Planned<'a>,
}

/// The arguments that a function takes.
pub(crate) struct Takes {
    /// Sources of spans and names of datasets.
    pub(crate) texts: usize,
    /// Numbers: required, and at most.
    pub(crate) numbers: (usize, usize),
    /// A word may follow.
    pub(crate) word: bool,
    pub(crate) expected: &'static str,
}

/// A definition in DataFusion's form.
pub(crate) struct Function(pub(crate) &'static SpanDefinition);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Function").field(&self.0.doc.name).finish()
    }
}

impl TableFunctionImpl for Function {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> DfResult<Arc<dyn TableProvider>> {
        let definition = self.0;
        Ok(Arc::new(Call {
            definition,
            arguments: Arguments::of(definition, &super::constants(&args)?)?,
            schema: all_nullable(&schema_of(definition.columns)),
        }))
    }
}

/// A call of a function of [`DEFINITIONS`].
pub(crate) type Call = CallOf<SpanDefinition>;

impl Definition for SpanDefinition {
    type Arguments = Arguments;

    fn name(&self) -> &'static str {
        self.doc.name
    }

    fn plan<'a>(&self, call: &'a Call, state: &'a SessionState) -> Planned<'a> {
        (self.plan)(call, state)
    }

    /// Results have the contigs of the first argument.
    fn contigs<'a>(&self, call: &'a Call, state: &'a SessionState) -> ContigsOf<'a> {
        let first = self.doc.arguments.first();
        let of_dataset = first.is_some_and(|argument| argument.name == DATASET.name);
        Box::pin(async move {
            match call.arguments.texts.first() {
                Some(dataset) if of_dataset => source::contigs(state, dataset).await,
                _ => origins(state, &call.spans(state, 0).await?).await,
            }
        })
    }
}

impl Call {
    /// The spans that an argument names, as a subquery of `contig`, `pos` and `end_pos`: those that have all three, and
    /// are a stretch of bases or the point between two (`end_pos = pos - 1`). A position that is no `integer` is an error:
    /// results could not tell it.
    async fn spans(&self, state: &SessionState, text: usize) -> DfResult<String> {
        let source = self.arguments.texts.get(text);
        let source = source.ok_or(Error::Internal("a function without its argument"))?;
        let from = arguments::source(state, self.definition.doc.name, source).await?;
        Ok(format!(
            "(SELECT contig, CAST(pos AS BIGINT) AS pos, CAST(end_pos AS BIGINT) AS end_pos FROM \
             (SELECT CAST(contig AS VARCHAR) AS contig, CAST(pos AS INTEGER) AS pos, CAST(end_pos AS INTEGER) AS end_pos FROM {from}) AS spans \
             WHERE contig IS NOT NULL AND CAST(pos AS BIGINT) <= CAST(end_pos AS BIGINT) + 1)"
        ))
    }

    /// The distance that a function is asked for.
    fn distance(&self) -> DfResult<i64> {
        let distance = self.arguments.numbers.first().copied().unwrap_or_default();
        if (0..=i64::from(i32::MAX)).contains(&distance) {
            return Ok(distance);
        }
        Err(Error::Argument {
            function: self.definition.doc.name,
            expected: "takes a distance of 0 or more",
            got: distance.to_string(),
        }
        .into())
    }

    /// The plan of a statement whose columns are those of the result.
    async fn statement(&self, state: &SessionState, sql: &str) -> DfResult<Arc<dyn ExecutionPlan>> {
        let plan = self.query(state, sql).await?;
        declared(plan, &self.schema)
    }

    /// The plan of a statement whatever its columns.
    async fn query(&self, state: &SessionState, sql: &str) -> DfResult<Arc<dyn ExecutionPlan>> {
        let plan = logical(state, sql).await?;
        state.create_physical_plan(&plan).await
    }
}

/// The same rows with the columns as they are declared: types and comments.
pub(super) fn declared(
    plan: Arc<dyn ExecutionPlan>,
    schema: &SchemaRef,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let columns = schema.fields().iter().enumerate().map(|(place, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), place));
        let cast = CastExpr::new_with_target_field(column, Arc::clone(field), None);
        (
            Arc::new(cast) as Arc<dyn PhysicalExpr>,
            field.name().clone(),
        )
    });
    Ok(Arc::new(ProjectionExec::try_new(columns, plan)?))
}

/// How spans spell contigs, if their tables tell.
async fn spelling(state: &SessionState, spans: &str) -> DfResult<Option<String>> {
    match origins(state, spans).await? {
        Some(origins) => origin::spelling(&origins, state).await,
        None => Ok(None),
    }
}

/// Where the contigs of spans come from, if that is known.
async fn origins(state: &SessionState, spans: &str) -> DfResult<Option<Vec<origin::Origin>>> {
    let plan = logical(state, &format!("SELECT contig FROM {spans} AS spans")).await?;
    let contig = plan.schema().columns().into_iter().next();
    let contig = contig.ok_or(Error::Internal("a statement without columns"))?;
    match origin::origins(&Expr::Column(contig), &plan) {
        Some(origins) => Ok(Some(Box::pin(origin::followed(origins, state)).await?)),
        None => Ok(None),
    }
}

/// Warns where spans of two assemblies are looked up in each other, or contigs under unusual names.
async fn warn_of_contigs(state: &SessionState, left: &str, right: &str) -> DfResult<()> {
    match origins(state, right).await? {
        Some(right) => warn_beside(state, left, &right).await,
        None => Ok(()),
    }
}

/// The same of spans that are looked up among other contigs.
async fn warn_beside(state: &SessionState, spans: &str, others: &[origin::Origin]) -> DfResult<()> {
    if let Some(of_spans) = origins(state, spans).await? {
        assemblies_met(&of_spans, others, state.config_options());
        unusual::warn(&of_spans, others, state).await?;
    }
    Ok(())
}

/// Contigs are compared by name, as in a join.
fn same_spelling(left: Option<&str>, right: Option<&str>) -> DfResult<()> {
    match (left, right) {
        (Some(left), Some(right)) if left != right => Err(Error::ContigNames {
            left: left.to_owned(),
            right: right.to_owned(),
        }
        .into()),
        _ => Ok(()),
    }
}

/// The same columns, each of which may be NULL: a plan of expressions seldom knows that it never is.
fn all_nullable(schema: &SchemaRef) -> SchemaRef {
    let nullable = |field: &FieldRef| field.as_ref().clone().with_nullable(true);
    Arc::new(Schema::new(
        schema.fields().iter().map(nullable).collect::<Vec<_>>(),
    ))
}

/// The plan of a statement that only reads.
pub(super) async fn logical(state: &SessionState, sql: &str) -> DfResult<LogicalPlan> {
    let statement = depth::parsed(state, sql)?;
    let plan = state.statement_to_plan(statement).await?;
    let reads = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    reads.verify_plan(&plan)?;
    Ok(plan)
}

/// Spans with the number of their cluster: a cluster begins where a span starts more than `distance` bases behind the
/// last base of all before it. Columns `contig, pos, end_pos, cluster`; clusters are numbered within their contig.
fn clustered(spans: &str, distance: i64) -> String {
    format!(
        "(SELECT contig, pos, end_pos, sum(begins) OVER (PARTITION BY contig ORDER BY pos, end_pos \
         ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS cluster FROM \
         (SELECT contig, pos, end_pos, CASE WHEN pos - {distance} - 1 <= max(end_pos) OVER (PARTITION BY contig \
         ORDER BY pos, end_pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) THEN 0 ELSE 1 END AS begins \
         FROM {spans} AS spans) AS begun)"
    )
}

/// The spans that hold a base: points between two bases cover nothing.
fn covering(spans: &str) -> String {
    format!("(SELECT contig, pos, end_pos FROM {spans} AS spans WHERE pos <= end_pos)")
}

/// Spans that touch as one. Columns `contig, pos, end_pos, n_regions`.
fn merged(spans: &str, distance: i64) -> String {
    let clustered = clustered(spans, distance);
    format!(
        "(SELECT contig, min(pos) AS pos, max(end_pos) AS end_pos, count(*) AS n_regions \
         FROM {clustered} AS clustered GROUP BY contig, cluster)"
    )
}

/// The parts of spans that other spans, which hold a base each and must not overlap one another, leave. Columns
/// `contig, pos, end_pos, copies`. `a` is read twice.
fn subtracted(a: &str, others: &str) -> String {
    // A copy of a span loses the same bases as the span: copies are counted, not told apart.
    let wholes = format!(
        "(SELECT contig, pos, end_pos, count(*) AS copies FROM {a} AS a GROUP BY contig, pos, end_pos)"
    );
    let cut = format!(
        "(SELECT w.contig, w.pos, w.end_pos, w.copies, o.pos AS cut_pos, o.end_pos AS cut_end FROM {wholes} AS w \
         LEFT JOIN {others} AS o ON w.contig = o.contig AND w.pos <= o.end_pos AND w.end_pos >= o.pos)"
    );
    // The part before each cut, and the part behind the last.
    let before = format!(
        "SELECT contig, copies, coalesce(lag(cut_end) OVER (PARTITION BY contig, pos, end_pos ORDER BY cut_pos) + 1, \
         pos) AS pos, coalesce(cut_pos - 1, end_pos) AS end_pos, cut_pos IS NULL AS is_whole FROM {cut} AS cut"
    );
    let behind = format!(
        "SELECT contig, max(copies) AS copies, max(cut_end) + 1 AS pos, end_pos, false AS is_whole FROM {cut} AS cut \
         WHERE cut_end IS NOT NULL GROUP BY contig, pos, end_pos"
    );
    format!(
        "(SELECT contig, pos, end_pos, copies FROM ({before} UNION ALL {behind}) AS parts \
         WHERE pos <= end_pos OR is_whole)"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use datafusion::execution::context::SessionContext;

    use super::logical;

    #[tokio::test]
    async fn what_is_planned_only_reads() {
        let state = SessionContext::new().state();
        for sql in [
            "CREATE TABLE t AS SELECT 1",
            "DROP TABLE IF EXISTS t",
            "SET a.b = 1",
        ] {
            let error = logical(&state, sql).await.expect_err(sql).to_string();
            assert!(error.contains("not supported"), "{sql}: {error}");
        }
        assert!(logical(&state, "SELECT 1").await.is_ok());
    }
}
