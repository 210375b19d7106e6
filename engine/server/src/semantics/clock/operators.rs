//! Operators of times, chosen by the types of what they stand between.
//!
//! Those that give another type than the planner would are planned here ([`Times`]); comparisons keep their type and
//! are settled before ([`settled`]) and after ([`comparable`]) the planner has found common types.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, Between, Case, InList, WindowFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable as _, Operator, WindowFunctionDefinition, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{
    LOCAL, SPAN, TIME, instant_type, is_date, is_instant, is_local, is_number, is_span, is_text,
    is_time, shift, spans, sums,
};

/// Plans the operators.
#[derive(Debug)]
pub(super) struct Times;

impl ExprPlanner for Times {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        Ok(match planned(&expr, schema) {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(expr),
        })
    }
}

/// The operation; `None` when it is the planner's. What names a column of an outer query may have no type here.
fn planned(expr: &RawBinaryExpr, schema: &DFSchema) -> Option<Expr> {
    let op = match expr.op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        _ => return None,
    };
    let of = |side: &Expr| side.get_type(schema).ok();
    let (left, right) = (&expr.left, &expr.right);
    operated(left, &of(left)?, op, right, &of(right)?)
}

fn operated(left: &Expr, l: &DataType, op: Operator, right: &Expr, r: &DataType) -> Option<Expr> {
    let stamp = |side: &DataType| is_local(side) || is_instant(side);
    let minus = op == Operator::Minus;
    let to = |side: &Expr, data_type: DataType| cast(side.clone(), data_type);
    // Text that is no constant is no operand of PostgreSQL's either.
    let text = |side: &Expr, of: &DataType| is_text(of) && matches!(side, Expr::Literal(..));
    Some(match (l, op, r) {
        (l, Operator::Minus, r)
            if (stamp(l) && (stamp(r) || is_date(r))) || (is_date(l) && stamp(r)) =>
        {
            shift::between(left.clone(), right.clone())
        }
        (l, Operator::Minus, r) if stamp(l) && text(right, r) => {
            shift::between(left.clone(), to(right, kept(l)))
        }
        // Days between two dates are an integer.
        (DataType::Date32, Operator::Minus, r) if is_date(r) || text(right, r) => {
            let right = to(right, DataType::Date32);
            let days =
                Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), op, Box::new(right)));
            cast(days, DataType::Int32)
        }
        (l, Operator::Plus | Operator::Minus, r) if stamp(l) && is_span(r) => {
            shift::shifted(left.clone(), minus, right.clone())
        }
        (l, Operator::Plus, r) if stamp(l) && text(right, r) => {
            shift::shifted(left.clone(), false, to(right, SPAN))
        }
        (l, Operator::Plus | Operator::Minus, r) if is_date(l) && is_span(r) => {
            shift::shifted(to(left, LOCAL), minus, right.clone())
        }
        (l, Operator::Plus, r) if is_span(l) && (stamp(r) || is_date(r)) => {
            operated(right, r, op, left, l)?
        }
        (l, Operator::Plus, r) if is_date(l) && is_time(r) => shift::shifted(
            to(left, LOCAL),
            false,
            super::convert::cast(right.clone(), &SPAN),
        ),
        (l, Operator::Plus, r) if is_time(l) && is_date(r) => operated(right, r, op, left, l)?,
        (l, Operator::Plus | Operator::Minus, r) if is_time(l) && is_span(r) => {
            shift::time_of_day(left.clone(), minus, right.clone())
        }
        (l, Operator::Plus, r) if is_span(l) && is_time(r) => operated(right, r, op, left, l)?,
        (l, Operator::Minus, r) if is_time(l) && is_time(r) => {
            let span = |side: &Expr| super::convert::cast(side.clone(), &SPAN);
            spans::sum(span(left), true, span(right))
        }
        (l, Operator::Plus | Operator::Minus, r) if is_span(l) && is_span(r) => {
            spans::sum(left.clone(), minus, right.clone())
        }
        (l, Operator::Plus | Operator::Minus, r) if is_span(l) && text(right, r) => {
            spans::sum(left.clone(), minus, to(right, SPAN))
        }
        (l, Operator::Multiply | Operator::Divide, r) if is_span(l) && is_number(r) => {
            spans::product(left.clone(), op == Operator::Divide, right.clone())
        }
        (l, Operator::Multiply, r) if is_number(l) && is_span(r) => {
            spans::product(right.clone(), false, left.clone())
        }
        _ => return None,
    })
}

/// Whether an operator compares two values.
pub(in crate::semantics) fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// The type that constants are read as, which stand beside a value of this one.
fn kept(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        other if is_time(other) => TIME,
        other => other.clone(),
    }
}

/// What a side of a comparison should be beside a value of a type; `None` when it is.
///
/// A constant is read as that type, a date or a timestamp beside an instant is one by the clocks of the session. The
/// column stays as it is stored, so that scans prune.
fn beside(side: &Expr, of: &DataType, other: &DataType) -> Option<Expr> {
    let timed =
        is_local(other) || is_instant(other) || is_date(other) || is_time(other) || is_span(other);
    if matches!(side, Expr::Literal(..)) && is_text(of) && timed {
        return Some(cast(side.clone(), kept(other)));
    }
    match (of, other) {
        (of, other) if is_instant(other) && (is_date(of) || is_local(of)) => {
            Some(cast(side.clone(), instant_type()))
        }
        (of, other) if is_local(other) && is_date(of) => Some(cast(side.clone(), LOCAL)),
        _ => None,
    }
}

/// What each of some expressions should be, one of which is the result; `None` when they are right.
///
/// Of times that are given together an instant tells how the others are taken.
fn alike(all: &[&Expr], of: impl Fn(&Expr) -> Option<DataType>) -> Option<Vec<Option<Expr>>> {
    let types: Vec<DataType> = all.iter().map(|expr| of(expr)).collect::<Option<_>>()?;
    let first = types.iter().find(|of| is_instant(of));
    let first = first.or_else(|| types.iter().find(|of| is_local(of)))?;
    let better = all.iter().zip(&types);
    let better: Vec<Option<Expr>> = better.map(|(expr, of)| beside(expr, of, first)).collect();
    better.iter().any(Option::is_some).then_some(better)
}

/// What an expression should be before common types are found; `None` when it is right.
pub(crate) fn settled(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let of = |side: &Expr| side.get_type(schema).ok();
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            let (l, r) = (of(left)?, of(right)?);
            let (better_left, better_right) = (beside(left, &l, &r), beside(right, &r, &l));
            if better_left.is_none() && better_right.is_none() {
                return None;
            }
            let side = |better: Option<Expr>, known: &Expr| better.unwrap_or_else(|| known.clone());
            Some(Expr::BinaryExpr(BinaryExpr::new(
                Box::new(side(better_left, left)),
                *op,
                Box::new(side(better_right, right)),
            )))
        }
        Expr::Between(between) => {
            let value = of(&between.expr)?;
            let low = beside(&between.low, &of(&between.low)?, &value);
            let high = beside(&between.high, &of(&between.high)?, &value);
            if low.is_none() && high.is_none() {
                return None;
            }
            let side = |better: Option<Expr>, known: &Expr| {
                Box::new(better.unwrap_or_else(|| known.clone()))
            };
            Some(Expr::Between(Between {
                expr: between.expr.clone(),
                negated: between.negated,
                low: side(low, &between.low),
                high: side(high, &between.high),
            }))
        }
        Expr::InList(list) => {
            let value = of(&list.expr)?;
            let better: Vec<Option<Expr>> = list
                .list
                .iter()
                .map(|item| beside(item, &of(item)?, &value))
                .collect();
            if better.iter().all(Option::is_none) {
                return None;
            }
            let items = list.list.iter().zip(better);
            let items = items.map(|(item, better)| better.unwrap_or_else(|| item.clone()));
            Some(Expr::InList(InList {
                expr: list.expr.clone(),
                list: items.collect(),
                negated: list.negated,
            }))
        }
        Expr::ScalarFunction(call)
            if matches!(
                call.func.name(),
                "coalesce" | "nullif" | "greatest" | "least" | "nvl"
            ) =>
        {
            let better = alike(&call.args.iter().collect::<Vec<_>>(), of)?;
            let mut call = call.clone();
            for (arg, better) in call.args.iter_mut().zip(better) {
                if let Some(better) = better {
                    *arg = better;
                }
            }
            Some(Expr::ScalarFunction(call))
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results: Vec<&Expr> = results.chain(case.else_expr.as_deref()).collect();
            let better = alike(&results, of)?;
            let mut better = results.iter().zip(better);
            let mut next = || {
                let (known, better) = better.next()?;
                Some(Box::new(better.unwrap_or_else(|| Expr::clone(known))))
            };
            let mut when_then_expr = Vec::with_capacity(case.when_then_expr.len());
            for (when, _) in &case.when_then_expr {
                when_then_expr.push((when.clone(), next()?));
            }
            Some(Expr::Case(Case {
                expr: case.expr.clone(),
                when_then_expr,
                else_expr: next(),
            }))
        }
        // Intervals of one length are one.
        Expr::AggregateFunction(aggregate)
            if aggregate.params.distinct && aggregate.func.name() == "count" =>
        {
            let [arg] = aggregate.params.args.as_slice() else {
                return None;
            };
            if !is_span(&of(arg)?) {
                return None;
            }
            let mut changed = aggregate.clone();
            changed.params.args = vec![spans::key(arg.clone())];
            Some(Expr::AggregateFunction(changed))
        }
        Expr::AggregateFunction(aggregate) => {
            let arg = aggregate.params.args.first()?;
            let func = sums::extreme(aggregate.func.name(), &of(arg)?)?;
            let params = aggregate.params.clone();
            Some(Expr::AggregateFunction(AggregateFunction { func, params }))
        }
        Expr::WindowFunction(window) => {
            let arg = window.params.args.first()?;
            let func = sums::extreme(window.fun.name(), &of(arg)?)?;
            let mut changed = WindowFunction::clone(window);
            changed.fun = WindowFunctionDefinition::AggregateUDF(func);
            Some(Expr::WindowFunction(Box::new(changed)))
        }
        _ => None,
    }
}

/// What an expression should be after common types are found: intervals are compared by their length.
pub(crate) fn comparable(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let of = |side: &Expr| side.get_type(schema).ok();
    let span = |side: &Expr| of(side).is_some_and(|of| is_span(&of));
    let key = |side: &Expr| Box::new(spans::key(side.clone()));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if compares(*op) && span(left) && span(right) =>
        {
            Some(Expr::BinaryExpr(BinaryExpr::new(
                key(left),
                *op,
                key(right),
            )))
        }
        Expr::Between(between) if span(&between.expr) => Some(Expr::Between(Between {
            expr: key(&between.expr),
            negated: between.negated,
            low: key(&between.low),
            high: key(&between.high),
        })),
        Expr::InList(list) if span(&list.expr) => Some(Expr::InList(InList {
            expr: key(&list.expr),
            list: list
                .list
                .iter()
                .map(|item| spans::key(item.clone()))
                .collect(),
            negated: list.negated,
        })),
        Expr::ScalarFunction(call) if !call.args.is_empty() && call.args.iter().all(span) => {
            let greatest = match call.func.name() {
                "greatest" => true,
                "least" => false,
                _ => return None,
            };
            Some(spans::extreme(greatest, call.args.clone()))
        }
        _ => None,
    }
}
