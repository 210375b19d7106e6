//! What DataFusion computes otherwise than PostgreSQL, mended in the plans of sessions.
//!
//! - A fraction that becomes an integer is rounded, not cut off: `2.7::int` is 3.
//! - Whole numbers that leave their type are an error (22003), not another number: `ac * an` of integers.
//! - A float divided by zero is an error (22012), and so is one that becomes infinite (22003), outside of conditions;
//!   a function of floats where it has no result ([`mathematics`]), and behind what keeps it from there ([`guards`]).
//! - `x = ANY (array)` is NULL where nothing matches and the array has a NULL.
//! - What becomes text is printed as results are: `{1,2}`, `10000000000`.
//! - Sums, quotients and dates have PostgreSQL's types ([`settle`]).
//! - What is made of small whole constants is told as integer ([`integers`]), constants with a point are numeric and floats
//!   beside floats ([`numerics`]).
//! - Arrays of any dimensions are one type ([`arrays`]), and dates are no numbers ([`mismatch`]).
//! - Times are those of the session's zone, and intervals compare by their length ([`clock`]).
//!
//! The rule runs after types are settled. A sum or difference with a small constant stays as it is, so that scans and
//! joins still recognise `pos + 1000`.

mod all_rows;
mod any_equal;
mod arrays;
mod bits;
mod by_keys;
mod byte_strings;
mod bytes;
mod checked;
mod clock;
mod distinct_counts;
mod extremes;
mod finite_sums;
mod floats;
mod frames;
mod guards;
mod integers;
mod json_order;
mod json_scalars;
mod key;
mod key_columns;
mod letters;
mod markers;
mod mathematics;
mod mismatch;
mod no_rows;
mod nth;
mod numerics;
mod octets;
mod one_row;
mod patterns;
mod place;
mod room;
mod rounded;
mod row_at;
mod sort_keys;
mod text;
mod texts_joined;
mod told_like;
mod types;
mod whole_frames;
mod wrapped;

use checked::Mode;
use place::{Place, is_condition};
use room::stays;

pub(crate) use arrays::{Bound, Item, SLICE, SUBSCRIPT, innermost, says_nothing};
pub(crate) use clock::{age_between, convert};
pub(crate) use floats::{nearest, out_of_range};
pub(crate) use integers::{of_columns, parameters, told};
pub(crate) use letters::cased;
pub(crate) use markers::{COLLATED, OVERLAPS, RANGED, without_markers};
pub(crate) use no_rows::without_rows;
pub(crate) use nth::NO_ROW;
pub(crate) use numerics::{Planned, literal as numeric, numerics_of_floats, operands};
pub(crate) use row_at::{HAS_ROW_AT, ROW_AT};
pub(crate) use told_like::{TOLD_LIKE, told_alike};
pub(crate) use types::{settle, settle_analysed, settle_early};
pub(crate) use wrapped::{as_inner, signed_as_inner};

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator, Union,
};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

/// Makes a session compute as PostgreSQL does.
pub(crate) fn install(context: &SessionContext) {
    clock::install(context);
    extremes::install(context);
    arrays::install(context);
    mismatch::install(context);
    mathematics::install(context);
    texts_joined::install(context);
    row_at::install(context);
    letters::install(context);
    byte_strings::install(context);
    told_like::install(context);
    markers::install(context);
    nth::install(context);
    distinct_counts::install(context);
    patterns::install(context);
    ask_first(context, Arc::new(crate::evaluated::Subscripts));
    for length in [octets::Length::in_octets(), octets::Length::in_bits()] {
        context.register_udf(datafusion::logical_expr::ScalarUDF::new_from_impl(length));
    }
    // Where a column stands in the statement tells where an error of it is.
    let state = context.state_ref();
    let mut state = state.write();
    state.config_mut().options_mut().sql_parser.collect_spans = true;
    drop(state);
    context.add_analyzer_rule(Arc::new(PostgresSemantics));
    context.add_optimizer_rule(Arc::new(PlainConditions));
    context.add_optimizer_rule(Arc::new(sort_keys::KeysOnce));
    context.add_optimizer_rule(Arc::new(key_columns::KeyColumns));
}

/// Divisions and functions of floats that were moved into conditions no longer fail: a condition that came from above is
/// asked about rows that the ones beside it leave out.
#[derive(Debug)]
struct PlainConditions;

impl OptimizerRule for PlainConditions {
    fn name(&self) -> &'static str {
        "plain_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !is_condition(&plan) {
            return Ok(Transformed::no(plan));
        }
        plan.map_expressions(|expr| {
            expr.transform_up(|part| {
                let plain = guards::quiet(&part, &[Mode::Fails]);
                let plain = plain.or_else(|| crate::session::plain_characters(&part));
                Ok(match plain {
                    Some(plain) => Transformed::yes(plain),
                    None => Transformed::no(part),
                })
            })
        })
    }
}

/// A plan whose values PostgreSQL takes as well, with constants beside arrays read and told for what they are: before
/// types are settled.
///
/// # Errors
/// 42846, 42883 and 42804 for values that have no cast, operator or type in common; 22P02 for a text that is no array.
pub(crate) fn read(plan: LogicalPlan) -> Result<LogicalPlan> {
    mismatch::check(&plan)?;
    let plan = numerics::settle(plan)?;
    walked(plan, |node| {
        if let LogicalPlan::Union(union) = &node {
            return Ok(match arrays::constants::united(union)? {
                Some(union) => Transformed::yes(union),
                None => Transformed::no(node),
            });
        }
        let failed: RefCell<Option<DataFusionError>> = RefCell::new(None);
        // Rules that make windows of the order of a subquery come before the last one.
        let node = by_keys::sorted(node);
        let sorted = node.transformed;
        let node = arrays::told::unnested(node.data)?;
        let was_sorted = sorted || node.transformed;
        let mut read = with_expressions(node.data, |expr, schema| {
            let read = arrays::constants::settled(expr, schema);
            let read = read.unwrap_or_else(|error| {
                failed.borrow_mut().get_or_insert(error);
                None
            });
            // What has its constants read is told as what it gives then.
            let told = |read: Expr| crate::session::chosen(&read, schema).unwrap_or(read);
            read.map(told)
                .or_else(|| arrays::order::extreme(expr, schema))
                .or_else(|| crate::session::plain_text(expr, schema))
                .or_else(|| bytes::read(expr, schema))
                .or_else(|| bytes::length(expr, schema))
                .or_else(|| json_scalars::looked_at(expr, schema))
                .or_else(|| {
                    let bounded = whole_frames::bounded(expr)?;
                    Some(frames::sliding(&bounded, schema).unwrap_or(bounded))
                })
                .or_else(|| frames::sliding(expr, schema))
                .or_else(|| texts_joined::unordered(expr))
                .or_else(|| by_keys::windowed(expr, schema))
                .or_else(|| told_like::told_value(expr))
                .or_else(|| arrays::told::told(expr, schema))
                .or_else(|| crate::evaluated::subscripted(expr, schema))
                .or_else(|| crate::session::chosen(expr, schema))
        })?;
        read.transformed |= was_sorted;
        match failed.into_inner() {
            Some(error) => Err(error),
            None => Ok(read),
        }
    })
}

/// A plan whose nodes are what a step makes of them, those below first: whatever stands above a changed type has other
/// types as well.
fn walked(
    plan: LogicalPlan,
    step: impl Fn(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
) -> Result<LogicalPlan> {
    let changed = Cell::new(false);
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = step(node)?;
        changed.set(changed.get() || node.transformed);
        match changed.get() {
            true => node.map_data(|node| match node {
                LogicalPlan::Union(union) => {
                    Union::try_new_with_loose_types(union.inputs).map(LogicalPlan::Union)
                }
                node => node.recompute_schema(),
            }),
            false => Ok(node),
        }
    })?;
    Ok(plan.data)
}

/// The columns that the expressions of a node are over.
pub(crate) fn input_schema(node: &LogicalPlan) -> DFSchema {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    if let LogicalPlan::TableScan(scan) = node {
        schema.merge(&scan.projected_schema);
    }
    schema
}

/// A constant expression as PostgreSQL reads it: for those that no plan holds.
///
/// # Errors
/// What changing an expression fails with.
pub(crate) fn constant(expr: Expr) -> Result<Expr> {
    let schema = DFSchema::empty();
    let place = Place {
        is_condition: false,
        is_positive: false,
        mode: Mode::Fails,
    };
    let changed = expr.transform_up(|part| {
        Ok(match mended(&part, &schema, place) {
            Some(better) => Transformed::yes(better),
            None => Transformed::no(part),
        })
    })?;
    Ok(changed.data)
}

#[derive(Debug)]
struct PostgresSemantics;

impl AnalyzerRule for PostgresSemantics {
    fn name(&self) -> &'static str {
        "postgres_semantics"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(node)?;
        all_rows::kept(plan.data)
    }
}

fn node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let node = arrays::order::joined(node).transform_data(one_row::kept)?;
    let was_joined = node.transformed;
    let node = by_keys::sorted(node.data).data;
    let place = Place::of(&node);
    let guarded = guards::guarded(node)?;
    let was_guarded = guarded.transformed;
    let mut changed = with_expressions(guarded.data, |expr, schema| mended(expr, schema, place))?;
    changed.transformed |= was_guarded || was_joined;
    let changed = match changed.transformed {
        true => changed.map_data(LogicalPlan::recompute_schema)?,
        false => changed,
    };
    // Last, since it may put a node below, whose expressions are not looked at again.
    changed.map_data(clock::grouped)
}

/// The types that a function takes arguments as, by the planner's own rules.
fn coerced<F: UDFCoercionExt>(function: &F, types: &[DataType]) -> Result<Vec<DataType>> {
    let fields: Vec<FieldRef> = types
        .iter()
        .map(|data_type| Arc::new(Field::new("arg", data_type.clone(), true)))
        .collect();
    let coerced = fields_with_udf(&fields, function)?;
    let types = coerced.iter().map(|field| field.data_type().clone());
    Ok(types.collect())
}

/// Has a planner of expressions asked before those that a context has.
fn ask_first(context: &SessionContext, planner: Arc<dyn ExprPlanner>) {
    let state = context.state_ref();
    let mut state = state.write();
    let others = state.expr_planners().iter().cloned();
    let planners = std::iter::once(planner).chain(others).collect();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    *state = builder.with_expr_planners(planners).build();
}

/// A node whose expressions are what `better` makes of them and of their parts, under the names that they had.
fn with_expressions(
    node: LogicalPlan,
    better: impl Fn(&Expr, &DFSchema) -> Option<Expr>,
) -> Result<Transformed<LogicalPlan>> {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    let names = NamePreserver::new(&node);
    node.map_expressions(|expr| {
        // Names of long constants cost more than looking first.
        if !expr.exists(|part| Ok(better(part, &schema).is_some()))? {
            return Ok(Transformed::no(expr));
        }
        let name = names.save(&expr);
        let changed = expr.transform_up(|part| {
            Ok(match better(&part, &schema) {
                Some(better) => Transformed::yes(better),
                None => Transformed::no(part),
            })
        })?;
        Ok(changed.update_data(|expr| name.restore(expr)))
    })
}

/// What an expression should be; `None` when it is right. What names a column of an outer query has no type here and
/// stays.
fn mended(expr: &Expr, schema: &DFSchema, place: Place) -> Option<Expr> {
    if let Some(comparable) = clock::comparable(expr, schema) {
        return Some(comparable);
    }
    if let Some(comparable) = arrays::order::comparable(expr, schema) {
        return Some(comparable);
    }
    if let Some(comparable) = json_order::comparable(expr, schema) {
        return Some(comparable);
    }
    match expr {
        Expr::ScalarFunction(call) if mathematics::mode(call) == Some(Mode::Fails) => {
            mathematics::in_mode(call, place.mode)
        }
        Expr::ScalarFunction(call) if call.func.name() == "round" && call.args.len() == 1 => {
            let arg = call.args.first()?;
            let from = arg.get_type(schema).ok()?;
            from.is_floating().then(|| rounded::rounded(arg, &from))?
        }
        Expr::ScalarFunction(call) => {
            let items = arrays::items::compared(call);
            items.or_else(|| any_equal::with_null(call).filter(|_| !place.is_positive))
        }
        Expr::AggregateFunction(aggregate) => guards::filtered(aggregate),
        Expr::Case(case) => guards::branches(case, schema).ok().flatten(),
        Expr::Cast(Cast { expr: value, field }) => {
            let from = value.get_type(schema).ok()?;
            match field.data_type() {
                to if to.is_integer() => {
                    let value = rounded::rounded(value, &from)?;
                    Some(recast(value, field))
                }
                DataType::List(item) if item.data_type().is_integer() => {
                    let value = rounded::items(value, &from)?;
                    Some(recast(value, field))
                }
                DataType::List(item) if text::is_text(item.data_type()) => {
                    let texts = text::printed_items(value, &from)?;
                    Some(recast(texts, field))
                }
                to @ (DataType::Float32 | DataType::Float64) => {
                    numerics::constant(value, to).or_else(|| floats::read(value, &from, to))
                }
                DataType::Binary | DataType::BinaryView => bytes::read(expr, schema),
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                    let value = text::printed(value, &from)?;
                    Some(recast(value, field))
                }
                // The planner's own cast of a stored date is as good, and scans see through it.
                to if matches!(**value, Expr::Column(_)) && is_plain_stamp(&from, to) => None,
                to if clock::converts(&from, to) => Some(clock::cast(value.as_ref().clone(), to)),
                _ => None,
            }
        }
        Expr::InList(among) => floats::with_both_zeros(among),
        Expr::Negative(value) => negated(value, schema),
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let asked = guards::behind(left, *op, right, place.is_condition);
            asked.ok().flatten()
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::BitwiseXor,
            right,
        }) => bits::apart(left, right, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let arithmetic = matches!(
                op,
                Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide
            );
            if !arithmetic {
                return None;
            }
            let of = |side: &Expr| side.get_type(schema).ok();
            let (from, other) = (of(left)?, of(right)?);
            if from.is_decimal() && *op == Operator::Divide {
                return numerics::quotients::rounded(left, right, schema);
            }
            if from.is_floating() {
                if from != other {
                    return None;
                }
                let checks = match place.mode {
                    Mode::Fails => true,
                    Mode::FailsHere => *op == Operator::Divide,
                    Mode::Quiet => false,
                };
                if checks && may_leave(*op, left, right, &from) {
                    return Some(checked::in_mode(place.mode, *op, left, right));
                }
                return makes_nan(*op, left, right).then(|| checked::quiet(*op, left, right));
            }
            if *op == Operator::Divide
                || from != other
                || !from.is_signed_integer()
                || stays(left, *op, right, schema)
            {
                return None;
            }
            Some(checked::call(*op, left, right))
        }
        _ => None,
    }
}

/// What negates a number whose bits were put together: the planner would take the minus for the complement of its bits.
/// A float is multiplied, which gives a NaN no sign. The least integer has no negative.
fn negated(value: &Expr, schema: &DFSchema) -> Option<Expr> {
    let of_floats = match value.get_type(schema).ok()? {
        _ if matches!(value, Expr::Literal(..)) => None,
        DataType::Float64 => Some(ScalarValue::Float64(Some(-1.0))),
        DataType::Float32 => Some(ScalarValue::Float32(Some(-1.0))),
        _ => None,
    };
    if let Some(factor) = of_floats {
        let factor = Expr::Literal(factor, None);
        return Some(Expr::BinaryExpr(BinaryExpr::new(
            Box::new(value.clone()),
            Operator::Multiply,
            Box::new(factor),
        )));
    }
    let of = value.get_type(schema).ok()?;
    let is_put_together = matches!(
        value,
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::BitwiseAnd | Operator::BitwiseOr,
            ..
        })
    );
    let is_constant = matches!(value, Expr::Literal(..));
    if !is_put_together && (is_constant || !of.is_signed_integer()) {
        return None;
    }
    let zero = Expr::Literal(ScalarValue::new_zero(&of).ok()?, None);
    Some(checked::call(Operator::Minus, &zero, value))
}

/// Whether an operation on floats may have no result: divided by what may be zero, greater than any, or less than any.
fn may_leave(op: Operator, left: &Expr, right: &Expr, of: &DataType) -> bool {
    let sizes = [size_of(left), size_of(right)];
    // What is added to the greatest float and does not change it.
    let small = match of {
        DataType::Float32 => 1e30,
        _ => 1e290,
    };
    let is_one = |size: &Option<f64>| *size == Some(1.0);
    match op {
        Operator::Plus | Operator::Minus => !sizes.iter().flatten().any(|size| *size < small),
        Operator::Multiply => !sizes.iter().any(is_one),
        Operator::Divide => !sizes.last().is_some_and(is_one),
        _ => false,
    }
}

/// Whether an operation on floats that are none may give NaN: infinity less infinity, or times zero; zero by zero.
fn makes_nan(op: Operator, left: &Expr, right: &Expr) -> bool {
    let plain = |side: &Expr| size_of(side).is_some_and(|size| size.is_finite() && size > 0.0);
    match op {
        Operator::Divide => !plain(right),
        _ => !plain(left) && !plain(right),
    }
}

/// How far a constant is from zero.
fn size_of(side: &Expr) -> Option<f64> {
    match side {
        Expr::Cast(cast) => size_of(&cast.expr),
        Expr::Literal(ScalarValue::Float64(Some(value)), _) => Some(value.abs()),
        Expr::Literal(ScalarValue::Float32(Some(value)), _) => Some(f64::from(value.abs())),
        #[expect(clippy::cast_precision_loss, reason = "zero or not, great or not")]
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(value.unsigned_abs() as f64),
        _ => None,
    }
}

fn is_plain_stamp(from: &DataType, to: &DataType) -> bool {
    matches!((from, to), (DataType::Date32, DataType::Timestamp(_, None)))
}

fn recast(value: Expr, field: &FieldRef) -> Expr {
    Expr::Cast(Cast {
        expr: Box::new(value),
        field: Arc::clone(field),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::logical_expr::{LogicalPlanBuilder, cast, col, lit};

    fn stays_in_type(expr: Expr) -> bool {
        let fields = [("pos", DataType::Int32), ("n", DataType::Int64)];
        let fields = fields.map(|(name, ty)| Field::new(name, ty, true));
        let schema = DFSchema::try_from(Schema::new(fields.to_vec())).unwrap();
        let none = LogicalPlanBuilder::empty(false).build().unwrap();
        mended(&expr, &schema, Place::of(&none)).is_none()
    }

    #[test]
    fn arithmetic_is_checked_where_it_could_leave_its_type() {
        let long = |name: &str| cast(col(name), DataType::Int64);
        assert!(stays_in_type(long("pos") + lit(1000i64)));
        assert!(stays_in_type(long("pos") * long("pos")));
        assert!(stays_in_type(col("n") - lit(1i64)));
        assert!(!stays_in_type(col("pos") * col("pos")));
        assert!(!stays_in_type(col("pos") + col("pos")));
        assert!(!stays_in_type(col("n") + col("n")));
        assert!(!stays_in_type(col("n") * lit(2i64)));
        assert!(!stays_in_type(lit(i64::MAX) + lit(1i64)));
        assert!(stays_in_type(lit(7i64) * lit(6i64)));
    }
}
