//! Calls are counted by sample below a join, instead of being joined one by one.
//!
//! ```text
//! before   Aggregate: groupBy=[person.sex], aggr=[count(*)]
//!            Inner Join: carriers.sample_id = person.sample_id
//!              TableScan: carriers
//!              TableScan: person
//! after    Projection: person.sex, count(*)
//!            Aggregate: groupBy=[person.sex], aggr=[sum(partial)]
//!              Inner Join: carriers.sample_id = person.sample_id
//!                Aggregate: groupBy=[carriers.sample_id], aggr=[count(*) AS partial]
//!                  TableScan: carriers
//!                TableScan: person
//! ```
//! The inner aggregation is counted on packed genotypes ([`super::count_calls`]): tens of thousands of rows are joined
//! instead of tens of millions.
//!
//! It holds because all calls of a sample meet the same rows of the other side, each of them as often: a count is the
//! sum of the counts of samples, a sum the sum of sums. What does not heed how often a row comes (min, max, DISTINCT)
//! may be of the other side, too.

use std::sync::Arc;

use datafusion::catalog::default_table_source::source_as_provider;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, JoinType, Result};
use datafusion::functions::expr_fn::coalesce;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{Aggregate, Expr, Join, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use genokura_exec::is_of_calls;

/// The rule.
#[derive(Debug)]
pub(crate) struct CountBelowJoin;

impl OptimizerRule for CountBelowJoin {
    fn name(&self) -> &'static str {
        "count_below_join"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let counted = match &plan {
            LogicalPlan::Aggregate(aggregate) => count_below(aggregate)?,
            _ => None,
        };
        Ok(match counted {
            Some(counted) => Transformed::yes(counted),
            None => Transformed::no(plan),
        })
    }
}

fn count_below(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Some((join, side)) = join_of(aggregate) else {
        return Ok(None);
    };
    let calls = side.of(join);
    let key = side.key(join);
    let grouped = aggregate.group_expr.iter();
    if !grouped
        .clone()
        .all(|e| matches!(e, Expr::Column(c) if *c == key || !calls.schema().has_column(c)))
    {
        return Ok(None);
    }
    let parts = aggregate.aggr_expr.iter().enumerate();
    let parts = parts.map(|(place, aggr)| Part::of(aggr, place, calls.schema(), &key));
    let Some(parts) = parts.collect::<Option<Vec<Part>>>() else {
        return Ok(None);
    };
    if parts.iter().all(|part| part.below.is_none()) {
        return Ok(None);
    }
    let below = parts.iter().filter_map(|part| part.below.clone());
    let counted = LogicalPlan::Aggregate(Aggregate::try_new(
        Arc::clone(calls),
        vec![Expr::Column(key)],
        below.collect(),
    )?);
    let joined = side.replaced(join, counted)?;
    let above = parts.iter().map(|part| part.above.clone());
    let summed = Aggregate::try_new(
        Arc::new(joined),
        aggregate.group_expr.clone(),
        above.collect(),
    )?;
    // Names and types as they were.
    let fields = summed.schema.iter().zip(aggregate.schema.iter());
    let groups = aggregate.group_expr.len();
    let columns = fields.enumerate().map(|(place, (have, want))| {
        let column = Expr::Column(Column::from(have));
        let Some(part) = place.checked_sub(groups).and_then(|place| parts.get(place)) else {
            return column;
        };
        // A sum of sums of numerics has more digits than the sum.
        let column = match have.1.data_type() == want.1.data_type() {
            true => column,
            false => cast(column, want.1.data_type().clone()),
        };
        let value = match part.zero {
            true => coalesce(vec![column, lit(0_i64)]),
            false => column,
        };
        value.alias_qualified(want.0.cloned(), want.1.name())
    });
    let columns: Vec<Expr> = columns.collect();
    let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(summed))
        .project(columns)?
        .build()?;
    let same = plan
        .schema()
        .logically_equivalent_names_and_types(&aggregate.schema);
    Ok(same.then_some(plan))
}

/// The side of a join that calls are on.
#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

impl Side {
    fn of(self, join: &Join) -> &Arc<LogicalPlan> {
        match self {
            Self::Left => &join.left,
            Self::Right => &join.right,
        }
    }

    /// The column of this side that is joined on.
    fn key(self, join: &Join) -> Column {
        let on = join.on.first().map(|(left, right)| match self {
            Self::Left => left,
            Self::Right => right,
        });
        let column = on.and_then(|on| on.column_refs().into_iter().next().cloned());
        column.unwrap_or_else(|| Column::from_name(""))
    }

    fn replaced(self, join: &Join, plan: LogicalPlan) -> Result<LogicalPlan> {
        let plan = Arc::new(plan);
        let (left, right) = match self {
            Self::Left => (plan, Arc::clone(&join.right)),
            Self::Right => (Arc::clone(&join.left), plan),
        };
        Ok(LogicalPlan::Join(Join::try_new(
            left,
            right,
            join.on.clone(),
            None,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?))
    }
}

/// The join below an aggregation of which one side is calls joined by their sample alone.
fn join_of(aggregate: &Aggregate) -> Option<(&Join, Side)> {
    let mut input = aggregate.input.as_ref();
    if let LogicalPlan::Projection(projection) = input
        && projection.expr.iter().all(|e| matches!(e, Expr::Column(_)))
    {
        input = projection.input.as_ref();
    }
    let LogicalPlan::Join(join) = input else {
        return None;
    };
    let [(left, right)] = join.on.as_slice() else {
        return None;
    };
    if join.filter.is_some() {
        return None;
    }
    let sides: &[Side] = match join.join_type {
        JoinType::Inner => &[Side::Left, Side::Right],
        JoinType::LeftSemi | JoinType::LeftAnti => &[Side::Left],
        JoinType::RightSemi | JoinType::RightAnti => &[Side::Right],
        _ => return None,
    };
    let of_calls = |side: &Side| {
        let key = match side {
            Side::Left => left,
            Side::Right => right,
        };
        let columns = key.column_refs();
        let by_sample = columns.len() == 1 && columns.iter().all(|c| c.name == "sample_id");
        by_sample && is_calls(side.of(join))
    };
    let mut matching = sides.iter().filter(|side| of_calls(side));
    match (matching.next(), matching.next()) {
        (Some(side), None) => Some((join, *side)),
        _ => None,
    }
}

/// Whether rows are those of `calls` or `carriers`, filtered or not.
fn is_calls(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = source_as_provider(&scan.source);
            scan.fetch.is_none() && table.is_ok_and(|table| is_of_calls(table.as_ref()))
        }
        LogicalPlan::SubqueryAlias(alias) => is_calls(&alias.input),
        LogicalPlan::Projection(projection) => {
            projection.expr.iter().all(|e| matches!(e, Expr::Column(_)))
                && is_calls(&projection.input)
        }
        _ => false,
    }
}

/// One aggregate in two: below the join by sample, above it over what the join left.
struct Part {
    /// None: nothing below is needed.
    below: Option<Expr>,
    above: Expr,
    /// NULL above is 0.
    zero: bool,
}

impl Part {
    fn of(expr: &Expr, place: usize, calls: &DFSchema, key: &Column) -> Option<Self> {
        let bare = match expr {
            Expr::Alias(alias) => alias.expr.as_ref(),
            bare => bare,
        };
        let Expr::AggregateFunction(aggr) = bare else {
            return None;
        };
        let AggregateFunctionParams {
            args,
            distinct,
            filter,
            order_by,
            ..
        } = &aggr.params;
        let of_calls = |e: &Expr| {
            let mut columns = e.column_refs().into_iter();
            columns.any(|c| calls.has_column(c) && c != key)
        };
        let name = aggr.func.name();
        let mut given = args.iter().chain(filter.as_deref());
        if !order_by.is_empty() {
            return None;
        }
        // How often a row comes does not matter to these, and the key comes through.
        if (*distinct || matches!(name, "min" | "max")) && !given.clone().any(of_calls) {
            return Some(Self {
                below: None,
                above: expr.clone(),
                zero: false,
            });
        }
        let all_of_calls = given.all(|e| {
            let mut columns = e.column_refs().into_iter();
            columns.all(|c| calls.has_column(c)) && !e.is_volatile()
        });
        if *distinct || !all_of_calls {
            return None;
        }
        let partial = format!("__partial_{place}");
        let column = Expr::Column(Column::from_name(&partial));
        let over = match name {
            "count" | "sum" => sum_udaf(),
            "min" | "max" => Arc::clone(&aggr.func),
            _ => return None,
        };
        let over = Expr::AggregateFunction(AggregateFunction::new_udf(
            over,
            vec![column],
            false,
            None,
            Vec::new(),
            None,
        ));
        Some(Self {
            below: Some(bare.clone().alias(partial)),
            above: over,
            zero: name == "count",
        })
    }
}
