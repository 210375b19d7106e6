//! Which aggregations can be counted on packed genotypes.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int16Array, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, Literal, is_not_null, lit,
};
use datafusion::physical_expr::utils::{collect_columns, conjunction, split_conjunction};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

use super::beside::Beside;
use super::weights::Rows;
use super::{CallCountExec, Count, Counting, Dosages, Extreme, Groups, MEAN_OF_INTEGERS, Measure};
use crate::bare_rows::BareRowsExec;
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
            let node = first_phase(aggregate, names)
                .or_else(|| first_phase_beside(aggregate))
                .filter(|node| same_columns(&node.schema(), &schema));
            node.map(|node| in_order_of(node, aggregate)).transpose()
        }
        AggregateMode::Single | AggregateMode::SinglePartitioned => two_phases(aggregate),
        _ => Ok(None),
    }
}

/// The node in the order of the aggregation that it stands for, on which the plan above may rely.
///
/// Groups of variants come as the scan reads variants, which is what the aggregation's order came from. Whatever else it
/// is in order of is sorted.
fn in_order_of(node: CallCountExec, aggregate: &AggregateExec) -> DfResult<Arc<dyn ExecutionPlan>> {
    let given = aggregate.properties().equivalence_properties();
    let of_variant = |sort: &PhysicalSortExpr| {
        let columns = collect_columns(&sort.expr);
        let mut places = columns.iter().map(Column::index);
        !places.any(|place| node.counting.keys.contains(&place))
    };
    let mut orders = given.oeq_class().iter();
    let kept = !is_sorted_below(aggregate.input())
        && matches!(node.counting.groups, Groups::Variants(_))
        && orders.all(|order| order.iter().all(of_variant));
    if kept {
        return Ok(Arc::new(node.with_equivalences(given.clone())?));
    }
    let mut constants = given.clone();
    constants.clear_orderings();
    let node: Arc<dyn ExecutionPlan> = Arc::new(node.with_equivalences(constants)?);
    Ok(match aggregate.properties().output_ordering() {
        None => node,
        Some(order) => {
            Arc::new(SortExec::new(order.clone(), node).with_preserve_partitioning(true))
        }
    })
}

/// Whether rows are sorted anywhere below: their order is not the scan's then.
fn is_sorted_below(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<SortExec>() || plan.children().into_iter().any(is_sorted_below)
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

/// A column of calls as it is.
pub(super) fn plain(name: &str) -> Given {
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
    let input = Input {
        scan,
        columns: Columns::Calls(columns),
    };
    let groups = input.groups(aggregate)?;
    let filters = aggregate.filter_expr().iter();
    let measures = aggregate.aggr_expr().iter().zip(filters);
    let measures = measures
        .map(|(aggregate, filter)| Some(input.measure(aggregate, filter.as_ref())?.0))
        .collect::<Option<Vec<_>>>()?;
    let counting = Counting {
        groups,
        keys: Vec::new(),
        measures,
        names,
    };
    // Samples and dosages are added up over variants.
    let by_place = matches!(counting.groups, Groups::All | Groups::Variants(_));
    if counting.reads_places() && !by_place {
        return None;
    }
    CallCountExec::new(scan, counting).ok()
}

/// [`first_phase`] over calls that are joined with tables of samples.
fn first_phase_beside(aggregate: &AggregateExec) -> Option<CallCountExec> {
    if aggregate.group_expr().has_grouping_set() {
        return None;
    }
    let ways = Beside::of(aggregate.input());
    ways.into_iter()
        .find_map(|way| counted_beside(aggregate, &way))
}

fn counted_beside(aggregate: &AggregateExec, beside: &Beside<'_>) -> Option<CallCountExec> {
    let schema = aggregate.schema();
    let names = schema.fields().iter().map(|f| f.name().clone()).collect();
    let input = Input {
        scan: beside.scan,
        columns: Columns::Beside(beside),
    };
    let (mut own, mut keys, mut fields) = (Vec::new(), Vec::new(), Vec::new());
    let mut exprs = vec![beside.sample()];
    for (place, (expr, name)) in aggregate.group_expr().expr().iter().enumerate() {
        if beside.is_known_of_sample(expr) {
            keys.push(place);
            fields.push(schema.fields().get(place).cloned()?);
            exprs.push(ProjectionExpr::new(Arc::clone(expr), name.clone()));
        } else {
            own.push(input.column(expr)?);
        }
    }
    let groups = grouped_by(own, false)?;
    let mut filters: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    let mut measures = Vec::new();
    let given = aggregate.aggr_expr().iter().zip(aggregate.filter_expr());
    for (aggregate, filter) in given {
        let (measure, of_sample) = input.measure(aggregate, filter.as_ref())?;
        let place = of_sample.map(|filter| {
            let known = filters.iter().position(|known| known == &filter);
            known.unwrap_or_else(|| {
                filters.push(filter);
                filters.len() - 1
            })
        });
        measures.push(Measure {
            of_samples: place,
            ..measure
        });
    }
    for (place, filter) in filters.iter().enumerate() {
        exprs.push(ProjectionExpr::new(
            Arc::clone(filter),
            format!("filter_{place}"),
        ));
    }
    let rows: Arc<dyn ExecutionPlan> =
        Arc::new(ProjectionExec::try_new(exprs, Arc::clone(&beside.plan)).ok()?);
    let rows = match rows.properties().output_partitioning().partition_count() {
        1 => rows,
        _ => Arc::new(CoalescePartitionsExec::new(rows)),
    };
    let counting = Counting {
        groups,
        keys,
        measures,
        names,
    };
    if counting.reads_places() && !matches!(counting.groups, Groups::Variants(_)) {
        return None;
    }
    let rows = Rows::new(rows, fields, filters.len());
    CallCountExec::over(beside.scan, counting, Some(rows)).ok()
}

/// Groups by columns of calls; of samples only where there is nothing else that tells them.
fn grouped_by(columns: Vec<String>, samples: bool) -> Option<Groups> {
    if columns.is_empty() {
        return Some(Groups::All);
    }
    if samples && columns.iter().all(|c| *c == "sample_id") {
        return Some(Groups::Samples(columns.len()));
    }
    if columns.iter().all(|c| *c == "dosage") {
        return Some(Groups::Dosages(columns.len()));
    }
    let of_variant = |c: &String| VARIANT_COLUMNS.contains(&c.as_str());
    columns
        .iter()
        .all(of_variant)
        .then_some(Groups::Variants(columns))
}

/// A column of the rows that an aggregation takes.
#[derive(Clone)]
pub(super) struct Given {
    /// The scan's name of it.
    name: String,
    /// Cast to a wider number on the way.
    widened: bool,
}

/// The column of an expression, one of `columns` as it is or widened.
pub(super) fn given(
    expr: &Arc<dyn PhysicalExpr>,
    columns: impl Fn(usize) -> Option<Given>,
) -> Option<Given> {
    if let Some(column) = expr.downcast_ref::<Column>() {
        return columns(column.index());
    }
    let cast = expr.downcast_ref::<CastExpr>()?;
    let inner = given(cast.expr(), columns)?;
    (is_wider(cast.cast_type()) && inner.name == "dosage").then_some(Given {
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
    if let Some(bare) = plan.downcast_ref::<BareRowsExec>() {
        return scan_below(bare.input());
    }
    if let Some(coalesce) = plan.downcast_ref::<CoalescePartitionsExec>() {
        return coalesce
            .fetch()
            .is_none()
            .then(|| scan_below(coalesce.input()))?;
    }
    if let Some(sort) = plan.downcast_ref::<SortExec>() {
        return sort.fetch().is_none().then(|| scan_below(sort.input()))?;
    }
    if let Some(repartition) = plan.downcast_ref::<RepartitionExec>() {
        let dealt = matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_));
        return dealt.then(|| scan_below(repartition.input()))?;
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let (scan, below) = scan_below(projection.input())?;
    let columns = projection.expr().iter();
    let columns = columns
        .map(|expr| given(&expr.expr, |place| below.get(place).cloned()))
        .collect::<Option<_>>()?;
    Some((scan, columns))
}

/// What an aggregate takes, if that is one value and every row counts.
fn argument_of(aggregate: &AggregateFunctionExpr) -> Option<Arc<dyn PhysicalExpr>> {
    if aggregate.is_distinct() || !aggregate.order_bys().is_empty() {
        return None;
    }
    match aggregate.expressions().as_slice() {
        [argument] => Some(Arc::clone(argument)),
        _ => None,
    }
}

/// `CASE WHEN when THEN then END`, or with `ELSE 0`.
struct Case {
    when: Arc<dyn PhysicalExpr>,
    then: Arc<dyn PhysicalExpr>,
    or_zero: bool,
}

impl Case {
    /// Also of `CASE value WHEN what THEN then END` and of `CASE WHEN unless THEN 0 ELSE then END`.
    fn of(expr: &Arc<dyn PhysicalExpr>) -> Option<Self> {
        let expr = match expr.downcast_ref::<CastExpr>() {
            Some(cast) if is_wider(cast.cast_type()) => cast.expr(),
            _ => expr,
        };
        let case = expr.downcast_ref::<CaseExpr>()?;
        let [(when, then)] = case.when_then_expr() else {
            return None;
        };
        let binary = |left, op, right| -> Arc<dyn PhysicalExpr> {
            Arc::new(BinaryExpr::new(left, op, right))
        };
        let when = match case.expr() {
            None => Arc::clone(when),
            Some(value) => binary(Arc::clone(value), Operator::Eq, Arc::clone(when)),
        };
        let otherwise = case.else_expr().cloned();
        let (when, then, otherwise) = match otherwise {
            Some(otherwise) if adds_nothing(then).is_some() => {
                let known = lit(true);
                let unless = binary(when, Operator::IsDistinctFrom, known);
                (unless, otherwise, Some(Arc::clone(then)))
            }
            otherwise => (when, Arc::clone(then), otherwise),
        };
        let or_zero = match otherwise {
            None => false,
            Some(otherwise) => adds_nothing(&otherwise)?,
        };
        Some(Self {
            when,
            then,
            or_zero,
        })
    }
}

/// Whether a constant is 0 (true) or NULL (false); `None` for whatever else is added.
fn adds_nothing(expr: &Arc<dyn PhysicalExpr>) -> Option<bool> {
    let value = expr.downcast_ref::<Literal>()?.value();
    if value.is_null() {
        return Some(false);
    }
    (ScalarValue::new_zero(&value.data_type()).ok()? == *value).then_some(true)
}

/// Numbers that hold every dosage.
fn is_wider(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int32 | DataType::Int64 | DataType::Float64
    ) || *data_type == MEAN_OF_INTEGERS
}

/// What holds of every row.
fn is_true(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let literal = expr.downcast_ref::<Literal>();
    literal.is_some_and(|literal| *literal.value() == ScalarValue::Boolean(Some(true)))
}

/// The whole number 1.
fn is_one(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let literal = expr.downcast_ref::<Literal>();
    literal.is_some_and(|literal| *literal.value() == ScalarValue::Int64(Some(1)))
}

/// The rows that an aggregation takes.
struct Input<'a> {
    scan: &'a DatasetScanExec,
    columns: Columns<'a>,
}

/// Its columns.
enum Columns<'a> {
    Calls(Vec<Given>),
    Beside(&'a Beside<'a>),
}

impl Input<'_> {
    /// The column that an expression is, widened or not; `None` for a masked one.
    fn any_column(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<Given> {
        let given = match &self.columns {
            Columns::Calls(columns) => given(expr, |place| columns.get(place).cloned()),
            Columns::Beside(beside) => beside.call(expr),
        }?;
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
        grouped_by(columns, true)
    }

    /// A measure, and what its filter asks of samples.
    ///
    /// `sum(CASE WHEN f THEN x END)` is `sum(x) FILTER (WHERE f)`, with ELSE 0 what is left out adds nothing.
    fn measure(
        &self,
        aggregate: &AggregateFunctionExpr,
        filter: Option<&Arc<dyn PhysicalExpr>>,
    ) -> Option<(Measure, Option<Arc<dyn PhysicalExpr>>)> {
        let name = aggregate.fun().name();
        let mut argument = argument_of(aggregate)?;
        let mut parts: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut or_zero = false;
        if let Some(case) = Case::of(&argument) {
            or_zero = case.or_zero;
            if or_zero && (name != "sum" || filter.is_some()) {
                return None;
            }
            argument = case.then;
            parts.extend(split_conjunction(&case.when).into_iter().cloned());
        }
        parts.extend(filter.into_iter().flat_map(split_conjunction).cloned());
        parts.retain(|part| !is_true(part));
        let of_sample = |expr: &Arc<dyn PhysicalExpr>| match &self.columns {
            Columns::Calls(_) => false,
            Columns::Beside(beside) => beside.is_known_of_sample(expr),
        };
        let (mut of_samples, of_calls): (Vec<_>, Vec<_>) = parts.into_iter().partition(of_sample);
        let count = match name {
            "count" => match self.counted(&argument) {
                Some(count) => count,
                // What is the same for all calls of a sample counts all of them or none.
                None if of_sample(&argument) => {
                    of_samples.push(is_not_null(argument).ok()?);
                    Count::Calls
                }
                None => return None,
            },
            "sum" if self.is_dosage(&argument) => Count::Copies,
            "sum" if is_one(&argument) => Count::SumOfOnes,
            "avg" if self.is_dosage(&argument) => match aggregate.field().data_type() {
                DataType::Float64 => Count::MeanCopies,
                _ => Count::ExactMeanCopies,
            },
            "min" => Count::Least(self.extreme(&argument)?),
            "max" => Count::Greatest(self.extreme(&argument)?),
            _ => return None,
        };
        let keep = of_calls.iter().map(|part| self.judge(part));
        let keep = keep.collect::<Option<Vec<Keep>>>()?;
        let keep = keep.into_iter().reduce(|all, part| all.and(&part));
        let measure = Measure {
            count,
            filter: keep.as_ref().map(Dosages::of),
            of_samples: None,
            or_zero,
        };
        let of_samples = (!of_samples.is_empty()).then(|| conjunction(of_samples));
        Some((measure, of_samples))
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

    /// The column of which the least or the greatest is known where calls are counted.
    fn extreme(&self, argument: &Arc<dyn PhysicalExpr>) -> Option<Extreme> {
        let name = self.column(argument)?;
        Extreme::ALL.into_iter().find(|of| of.column() == name)
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
        if columns.next().is_some() || self.column(&expr)? != "dosage" || is_volatile(filter) {
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
