//! Which aggregations can be counted on packed genotypes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int16Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result as DfResult;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

use super::{CallCountExec, Count, Counting, Dosages, Groups, Measure};
use crate::choice::{DOSAGE_TYPE, Keep};
use crate::scan::{DatasetScanExec, table_name};
use crate::spec::ScanKind;

/// Columns of a variant that calls may be grouped by.
const VARIANT_COLUMNS: [&str; 5] = ["contig", "pos", "end_pos", "ref", "alt"];

/// The plan that counts on packed genotypes what `aggregate` counts on rows of `calls` or `carriers`; `None` for an
/// aggregation that does anything else.
///
/// # Errors
/// When DataFusion refuses the second phase of an aggregation of one phase.
pub fn count_on_packed(aggregate: &AggregateExec) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    if aggregate.limit_options().is_some() {
        return Ok(None);
    }
    match aggregate.mode() {
        AggregateMode::Partial => {
            let schema = aggregate.schema();
            let names = schema.fields().iter().map(|f| f.name().clone()).collect();
            Ok(first_phase(aggregate, names)
                .filter(|node| same_columns(&node.schema(), &schema))
                .map(|node| Arc::new(node) as Arc<dyn ExecutionPlan>))
        }
        AggregateMode::Single | AggregateMode::SinglePartitioned => two_phases(aggregate),
        _ => Ok(None),
    }
}

/// One aggregation of one phase as two.
fn two_phases(aggregate: &AggregateExec) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    let partial = AggregateExec::try_new(
        AggregateMode::Partial,
        aggregate.group_expr().clone(),
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        Arc::clone(aggregate.input()),
        aggregate.input_schema(),
    )?;
    let Some(first) = count_on_packed(&partial)? else {
        return Ok(None);
    };
    let first = match first.properties().output_partitioning().partition_count() {
        1 => first,
        _ => Arc::new(CoalescePartitionsExec::new(first)),
    };
    let second = AggregateExec::try_new(
        AggregateMode::Final,
        aggregate.group_expr().as_final(),
        aggregate.aggr_expr().to_vec(),
        vec![None; aggregate.aggr_expr().len()],
        first,
        aggregate.input_schema(),
    )?;
    let same = same_columns(&second.schema(), &aggregate.schema());
    Ok(same.then(|| Arc::new(second) as Arc<dyn ExecutionPlan>))
}

/// Names and types agree; a column that can be NULL for us can be so there.
fn same_columns(ours: &Schema, theirs: &Schema) -> bool {
    let same = |a: &Field, b: &Field| {
        a.name() == b.name()
            && a.data_type() == b.data_type()
            && (b.is_nullable() || !a.is_nullable())
    };
    ours.fields().len() == theirs.fields().len()
        && ours
            .fields()
            .iter()
            .zip(theirs.fields())
            .all(|(a, b)| same(a, b))
}

fn plain(name: &str) -> Given {
    Given {
        name: name.to_owned(),
        widened: false,
    }
}

fn first_phase(aggregate: &AggregateExec, names: Vec<String>) -> Option<CallCountExec> {
    let (scan, columns) = scan_below(aggregate.input())?;
    let choice = scan.choice()?;
    let takes_all =
        choice.rest().is_empty() && scan.spec.limit.is_none() && scan.dynamic.is_empty();
    if !takes_all || aggregate.group_expr().has_grouping_set() {
        return None;
    }
    let input = Input { scan, columns };
    let groups = input.groups(aggregate)?;
    let filters = aggregate.filter_expr().iter();
    let measures = aggregate.aggr_expr().iter().zip(filters);
    let measures = measures
        .map(|(aggregate, filter)| input.measure(aggregate, filter.as_ref()))
        .collect::<Option<Vec<_>>>()?;
    let counting = Counting {
        groups,
        measures,
        names,
    };
    CallCountExec::new(scan, counting).ok()
}

/// A column of the rows that an aggregation takes.
#[derive(Clone)]
struct Given {
    /// The scan's name of it.
    name: String,
    /// Cast to a wider number on the way.
    widened: bool,
}

/// The column of an expression over `columns`: one of them as it is, or widened.
fn given(expr: &Arc<dyn PhysicalExpr>, columns: &[Given]) -> Option<Given> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return columns.get(column.index()).cloned();
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    let inner = given(cast.expr(), columns)?;
    let wider = matches!(
        cast.cast_type(),
        DataType::Int32 | DataType::Int64 | DataType::Float64
    );
    (wider && inner.name == "dosage").then_some(Given {
        widened: true,
        ..inner
    })
}

/// The scan of calls that gives the rows of a plan as they are, and its columns.
fn scan_below(plan: &Arc<dyn ExecutionPlan>) -> Option<(&DatasetScanExec, Vec<Given>)> {
    if let Some(scan) = plan.downcast_ref::<DatasetScanExec>() {
        return matches!(scan.spec.kind, ScanKind::Calls(_)).then(|| {
            (
                scan,
                scan.spec.columns.iter().map(|name| plain(name)).collect(),
            )
        });
    }
    if let Some(cooperative) = plan.downcast_ref::<CooperativeExec>() {
        return scan_below(cooperative.input());
    }
    if let Some(coalesce) = plan.downcast_ref::<CoalescePartitionsExec>() {
        return coalesce
            .fetch()
            .is_none()
            .then(|| scan_below(coalesce.input()))?;
    }
    if let Some(repartition) = plan.downcast_ref::<RepartitionExec>() {
        let dealt = matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_));
        return dealt.then(|| scan_below(repartition.input()))?;
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let (scan, below) = scan_below(projection.input())?;
    let columns = projection.expr().iter();
    let columns = columns
        .map(|expr| given(&expr.expr, &below))
        .collect::<Option<_>>()?;
    Some((scan, columns))
}

/// The rows that an aggregation takes.
struct Input<'a> {
    scan: &'a DatasetScanExec,
    columns: Vec<Given>,
}

impl Input<'_> {
    /// The column that an expression is, widened or not; `None` for a masked one.
    fn any_column(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Given> {
        let given = given(expr, &self.columns)?;
        let spec = &self.scan.spec;
        let mut masked = spec.access.masked(&spec.dataset, table_name(spec.kind));
        (!masked.any(|masked| masked == given.name)).then_some(given)
    }

    /// The column that an expression is, as the scan gives it.
    fn column(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<String> {
        self.any_column(expr)
            .filter(|given| !given.widened)
            .map(|given| given.name)
    }

    fn groups(&self, aggregate: &AggregateExec) -> Option<Groups> {
        let exprs = aggregate.group_expr().expr();
        let columns: Vec<String> = exprs
            .iter()
            .map(|(expr, _)| self.column(expr))
            .collect::<Option<_>>()?;
        if columns.is_empty() {
            return Some(Groups::All);
        }
        if columns.iter().all(|c| *c == "sample_id") {
            return Some(Groups::Samples(columns.len()));
        }
        if columns.iter().all(|c| *c == "dosage") {
            return Some(Groups::Dosages(columns.len()));
        }
        let of_variant = columns
            .iter()
            .all(|c| VARIANT_COLUMNS.contains(&c.as_str()));
        of_variant.then_some(Groups::Variants(columns))
    }

    fn measure(
        &self,
        aggregate: &AggregateFunctionExpr,
        filter: Option<&Arc<dyn PhysicalExpr>>,
    ) -> Option<Measure> {
        if aggregate.is_distinct() || !aggregate.order_bys().is_empty() {
            return None;
        }
        let arguments = aggregate.expressions();
        let [argument] = arguments.as_slice() else {
            return None;
        };
        let count = match aggregate.fun().name() {
            "count" => self.counted(argument)?,
            "sum" if self.is_dosage(argument) => Count::Copies,
            "avg" if self.is_dosage(argument) => Count::MeanCopies,
            _ => return None,
        };
        let filter = match filter {
            None => None,
            Some(filter) => Some(Dosages::of(&self.judge(filter)?)),
        };
        Some(Measure { count, filter })
    }

    fn counted(&self, argument: &Arc<dyn PhysicalExpr>) -> Option<Count> {
        if let Some(literal) = argument.downcast_ref::<Literal>() {
            return (!literal.value().is_null()).then_some(Count::Calls);
        }
        let name = self.any_column(argument)?.name;
        if name == "dosage" {
            return Some(Count::WithDosage);
        }
        let schema = self.scan.schema();
        let field = schema.field_with_name(&name).ok()?;
        (!field.is_nullable()).then_some(Count::Calls)
    }

    /// Column `dosage`, widened or not.
    fn is_dosage(&self, expr: &Arc<dyn PhysicalExpr>) -> bool {
        self.any_column(expr)
            .is_some_and(|given| given.name == "dosage")
    }

    /// Judges a filter that looks at `dosage` alone by every dosage there is.
    fn judge(&self, filter: &Arc<dyn PhysicalExpr>) -> Option<Keep> {
        let mut columns = collect_columns(filter).into_iter();
        let column = columns.next()?;
        let expr: Arc<dyn PhysicalExpr> = Arc::new(column.clone());
        if columns.next().is_some() || self.column(&expr)? != "dosage" {
            return None;
        }
        let dosages: Int16Array = [None].into_iter().chain((0..256).map(Some)).collect();
        let rows = dosages.len();
        let dosages: ArrayRef = Arc::new(dosages);
        let (mut fields, mut arrays) = (Vec::new(), Vec::new());
        for index in 0..=column.index() {
            fields.push(Field::new(format!("c{index}"), DOSAGE_TYPE, true));
            arrays.push(match index == column.index() {
                true => Arc::clone(&dosages),
                false => new_null_array(&DOSAGE_TYPE, rows),
            });
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).ok()?;
        let judged = filter.evaluate(&batch).ok()?.into_array(rows).ok()?;
        judged.as_boolean_opt().map(Keep::from_judged)
    }
}
