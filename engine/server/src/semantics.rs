//! What DataFusion computes otherwise than PostgreSQL, mended in the plans of sessions.
//!
//! - A fraction that becomes an integer is rounded, not cut off: `2.7::int` is 3.
//! - Whole numbers that leave their type are an error (22003), not another number: `ac * an` of integers.
//! - A float divided by zero is an error (22012), and so is one that becomes infinite (22003), outside of conditions.
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

mod any_equal;
mod arrays;
mod checked;
mod clock;
mod extremes;
mod floats;
mod guards;
mod integers;
mod json_order;
mod json_scalars;
mod mismatch;
mod numerics;
mod rounded;
mod text;
mod types;

pub(crate) use arrays::{Bound, SLICE, SUBSCRIPT};
pub(crate) use clock::convert;
pub(crate) use floats::{nearest, out_of_range};
pub(crate) use integers::{of_columns, parameters, told};
pub(crate) use numerics::{Planned, literal as numeric, operands};
pub(crate) use types::{settle, settle_analysed, settle_early};

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
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
    // Where a column stands in the statement tells where an error of it is.
    let state = context.state_ref();
    let mut state = state.write();
    state.config_mut().options_mut().sql_parser.collect_spans = true;
    drop(state);
    context.add_analyzer_rule(Arc::new(PostgresSemantics));
    context.add_optimizer_rule(Arc::new(PlainConditions));
}

/// Divisions of floats that were moved into conditions are as plain as those that are written there: a condition that
/// came from above is asked about rows that the ones beside it leave out.
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
                let plain = checked::plain_division(&part);
                let plain = plain.or_else(|| crate::session::plain_characters(&part));
                Ok(match plain {
                    Some(plain) => Transformed::yes(plain),
                    None => Transformed::no(part),
                })
            })
        })
    }
}

fn is_condition(node: &LogicalPlan) -> bool {
    matches!(
        node,
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) | LogicalPlan::TableScan(_)
    )
}

/// A plan whose values PostgreSQL takes as well, with constants beside arrays read and told for what they are: before
/// types are settled.
///
/// # Errors
/// 42846, 42883 and 42804 for values that have no cast, operator or type in common; 22P02 for a text that is no array.
pub(crate) fn read(plan: LogicalPlan) -> Result<LogicalPlan> {
    mismatch::check(&plan)?;
    let plan = numerics::settle(plan)?;
    let changed = Cell::new(false);
    let plan = plan.transform_up_with_subqueries(|node| {
        let node = match &node {
            LogicalPlan::Union(union) => match arrays::constants::united(union)? {
                Some(union) => Transformed::yes(union),
                None => Transformed::no(node),
            },
            _ => {
                let failed: RefCell<Option<DataFusionError>> = RefCell::new(None);
                let read = with_expressions(node, |expr, schema| {
                    let read = arrays::constants::settled(expr, schema);
                    let read = read.unwrap_or_else(|error| {
                        failed.borrow_mut().get_or_insert(error);
                        None
                    });
                    read.or_else(|| arrays::order::extreme(expr, schema))
                        .or_else(|| crate::session::plain_text(expr, schema))
                        .or_else(|| json_scalars::looked_at(expr, schema))
                        .or_else(|| crate::session::chosen(expr, schema))
                })?;
                if let Some(error) = failed.into_inner() {
                    return Err(error);
                }
                read
            }
        };
        changed.set(changed.get() || node.transformed);
        // Whatever stands above a changed type has other types as well.
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
        plan.transform_up_with_subqueries(node)
            .map(|plan| plan.data)
    }
}

fn node(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let node = arrays::order::joined(node);
    let was_joined = node.transformed;
    let node = sorted(node.data)?;
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

/// Where an expression stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Among conditions, where an infinite number is compared as it is.
    is_condition: bool,
    /// Among conditions in which every `= ANY` stands below AND and OR alone: an unknown may be false there.
    is_positive: bool,
}

impl Place {
    fn of(node: &LogicalPlan) -> Self {
        let is_condition = is_condition(node);
        let mut is_positive = is_condition;
        let looked = node.apply_expressions(|expr| {
            is_positive = is_positive && any_equal::decides_alone(expr);
            Ok(TreeNodeRecursion::Continue)
        });
        Self {
            is_condition,
            is_positive: is_positive && looked.is_ok(),
        }
    }
}

/// Intervals are sorted by their length, arrays with NULL as the greatest item, jsonb by its kinds and what it holds.
fn sorted(node: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Sort(mut sort) = node else {
        return Ok(node);
    };
    for by in &mut sort.expr {
        if matches!(
            by.expr.get_type(sort.input.schema()),
            Ok(DataType::Interval(_))
        ) {
            by.expr = clock::key(by.expr.clone());
            continue;
        }
        let schema = sort.input.schema();
        let key = arrays::order::sorted(&by.expr, schema);
        if let Some(key) = key.or_else(|| json_order::sorted(&by.expr, schema)) {
            by.expr = key;
        }
    }
    Ok(LogicalPlan::Sort(sort))
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
        Expr::ScalarFunction(call) if !place.is_positive => any_equal::with_null(call),
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
            if from.is_floating() {
                if from != other {
                    return None;
                }
                if !place.is_condition && may_leave(*op, left, right) {
                    return Some(checked::call(*op, left, right));
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
/// A float is multiplied, which gives a NaN no sign.
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
    let Expr::BinaryExpr(BinaryExpr {
        op: Operator::BitwiseAnd | Operator::BitwiseOr,
        ..
    }) = value
    else {
        return None;
    };
    let zero = ScalarValue::new_zero(&value.get_type(schema).ok()?).ok()?;
    let zero = Box::new(Expr::Literal(zero, None));
    let value = Box::new(value.clone());
    Some(Expr::BinaryExpr(BinaryExpr::new(
        zero,
        Operator::Minus,
        value,
    )))
}

/// No column of a lake comes near the greatest float: with a factor below this its product is one.
const PLAIN: f64 = 1e100;

/// Whether a quotient or product of floats may be none: divided by what may be zero, or greater than any.
fn may_leave(op: Operator, left: &Expr, right: &Expr) -> bool {
    match (op, size_of(left), size_of(right)) {
        (Operator::Divide, _, Some(right)) => right < 1.0 / PLAIN,
        (Operator::Multiply, None, Some(factor)) | (Operator::Multiply, Some(factor), None) => {
            factor > PLAIN
        }
        (Operator::Divide | Operator::Multiply, ..) => true,
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

/// Whether a result stays in its type whatever the columns hold, or all but surely so.
fn stays(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> bool {
    let (Some(a), Some(b)) = (bits(left, schema), bits(right, schema)) else {
        return false;
    };
    let room = match left.get_type(schema) {
        Ok(DataType::Int8) => 7,
        Ok(DataType::Int16) => 15,
        Ok(DataType::Int32) => 31,
        _ => 63,
    };
    let needed = match op {
        Operator::Multiply => a + b,
        _ => a.max(b) + 1,
    };
    // A column of bigint is not within 2^31 of its end.
    let small = |literal: &Expr, bits: u32, other: &Expr| {
        is_constant(literal) && bits <= 31 && !is_constant(other) && op != Operator::Multiply
    };
    needed <= room || (room == 63 && (small(left, a, right) || small(right, b, left)))
}

fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(..) => true,
        Expr::Cast(cast) => is_constant(&cast.expr),
        Expr::Negative(expr) => is_constant(expr),
        _ => false,
    }
}

/// Binary digits of the greatest size that an integer may have.
fn bits(expr: &Expr, schema: &DFSchema) -> Option<u32> {
    let of_value = |value: i64| i64::BITS - value.unsigned_abs().leading_zeros();
    match expr {
        Expr::Literal(value, _) => match value {
            ScalarValue::Int8(Some(value)) => Some(of_value(i64::from(*value))),
            ScalarValue::Int16(Some(value)) => Some(of_value(i64::from(*value))),
            ScalarValue::Int32(Some(value)) => Some(of_value(i64::from(*value))),
            ScalarValue::Int64(Some(value)) => Some(of_value(*value)),
            value if value.is_null() => Some(0),
            _ => None,
        },
        Expr::Negative(expr) => bits(expr, schema),
        Expr::Cast(cast) => match bits(&cast.expr, schema) {
            Some(bits) => Some(bits),
            None => of_type(&expr.get_type(schema).ok()?),
        },
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (a, b) = (bits(left, schema)?, bits(right, schema)?);
            let most = of_type(&expr.get_type(schema).ok()?)?;
            match op {
                Operator::Plus | Operator::Minus => Some(most.min(a.max(b) + 1)),
                Operator::Multiply => Some(most.min(a + b)),
                _ => Some(most),
            }
        }
        _ => of_type(&expr.get_type(schema).ok()?),
    }
}

fn of_type(data_type: &DataType) -> Option<u32> {
    Some(match data_type {
        DataType::Int8 => 7,
        DataType::UInt8 => 8,
        DataType::Int16 => 15,
        DataType::UInt16 => 16,
        DataType::Int32 => 31,
        DataType::UInt32 => 32,
        DataType::Int64 => 63,
        _ => return None,
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
