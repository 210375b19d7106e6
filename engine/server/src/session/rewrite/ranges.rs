//! Frames of windows by a distance of values: `RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW`.
//!
//! ```text
//! ORDER BY d RANGE '1 day' PRECEDING   ─►   ORDER BY ranged(d, …) RANGE INTERVAL '0 months 1 days …' PRECEDING
//! ```
//! The planner has the distance as a text, which it reads as the type of what rows are sorted by. What that is, it says
//! of the key ([`crate::semantics::without_markers`]).
//!
//! `nth_value` of a place that no row has fails with the first row.

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Value, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec,
};
use datafusion::sql::sqlparser::ast::{NamedWindowExpr, Select, UnaryOperator, WindowType};

use super::calls::{call_argument_mut, call_arguments, call_of, is_call_of};
use super::literals::{number, string_literal, text};
use crate::pg_input;
use crate::pg_types::oid;
use crate::semantics::{NO_ROW, RANGED};
use crate::session::placed::{of_constant, start};
use crate::session::typed::Types;

/// Says of the windows that a SELECT names what their frames are told by.
pub(super) fn mark_named(select: &mut Select) {
    for window in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
            mark(spec);
        }
    }
}

/// Makes `nth_value` of a place before the first row fail when there are rows.
pub(super) fn no_row(function: &mut ast::Function) {
    let is_before = |place: &Expr| match place {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => super::constant(expr).is_some(),
        place => {
            let place = super::constant(place).and_then(|place| place.trim().parse::<i64>().ok());
            place.is_some_and(|place| place < 1)
        }
    };
    let arguments = call_arguments(function);
    let (true, [value, place]) = (function.over.is_some(), arguments.as_slice()) else {
        return;
    };
    if !is_call_of(function, "nth_value") || !is_before(place) {
        return;
    }
    let value = call_of(NO_ROW, vec![(*value).clone()]);
    for (at, argument) in [value, number(1)].into_iter().enumerate() {
        if let Some(place) = call_argument_mut(function, at) {
            *place = argument;
        }
    }
}

/// The same of the window of a call.
pub(super) fn mark_own(function: &mut ast::Function) {
    if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
        mark(spec);
    }
}

/// Makes the distances of the windows that a SELECT names what the planner reads.
pub(super) fn finish_named(select: &mut Select) {
    for window in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &mut window.1 {
            finish(spec);
        }
    }
}

/// The same of the window of a call.
pub(super) fn finish_own(function: &mut ast::Function) {
    if let Some(WindowType::WindowSpec(spec)) = &mut function.over {
        finish(spec);
    }
}

fn distances(frame: &mut WindowFrame) -> impl Iterator<Item = &mut Expr> {
    let bounds = [Some(&mut frame.start_bound), frame.end_bound.as_mut()];
    bounds
        .into_iter()
        .flatten()
        .filter_map(|bound| match bound {
            WindowFrameBound::Preceding(Some(rows)) | WindowFrameBound::Following(Some(rows)) => {
                Some(rows.as_mut())
            }
            _ => None,
        })
}

fn mark(spec: &mut WindowSpec) {
    let Some(frame) = &mut spec.window_frame else {
        return;
    };
    let ([key], WindowFrameUnits::Range) = (spec.order_by.as_mut_slice(), frame.units) else {
        return;
    };
    for distance in distances(frame) {
        let Some(told) = (Types { parameters: None }).of(distance) else {
            continue;
        };
        let place = match &*distance {
            Expr::Interval(interval) => start(&interval.value),
            other => of_constant(other),
        };
        let place = place.and_then(|place| place.here());
        let (line, column) = place.unwrap_or_default();
        let written = string_literal(distance).unwrap_or_default().to_owned();
        let span = match told {
            oid::INTERVAL => constant(distance),
            oid::UNKNOWN if written.parse::<f64>().is_err() => pg_input::interval(&written).ok(),
            _ => None,
        };
        let written = span.map_or(written, plain);
        let arguments = vec![
            key.expr.clone(),
            number(told.into()),
            text(&written),
            number(i64::try_from(line).unwrap_or_default()),
            number(i64::try_from(column).unwrap_or_default()),
        ];
        key.expr = call_of(RANGED, arguments);
        if span.is_some() {
            *distance = text(&written);
        }
    }
}

/// The interval that a constant is; what is none, or cannot be read, is told of by others.
fn constant(expr: &Expr) -> Option<IntervalMonthDayNano> {
    let written = match expr {
        Expr::Interval(interval) => return super::intervals::span(interval),
        Expr::Cast { expr, .. } => string_literal(expr)?.to_owned(),
        Expr::TypedString(typed) => typed.value.value.clone().into_string()?,
        _ => return None,
    };
    pg_input::interval(&written).ok()
}

/// An interval as the planner reads one, whatever the styles of the session are.
fn plain(span: IntervalMonthDayNano) -> String {
    format!(
        "{} months {} days {} nanoseconds",
        span.months, span.days, span.nanoseconds
    )
}

fn finish(spec: &mut WindowSpec) {
    let Some(frame) = &mut spec.window_frame else {
        return;
    };
    if frame.units != WindowFrameUnits::Range {
        return;
    }
    for distance in distances(frame) {
        if let Expr::Value(value) = &*distance
            && let Value::SingleQuotedString(_) = &value.value
        {
            *distance = Expr::Interval(ast::Interval {
                value: Box::new(distance.clone()),
                leading_field: None,
                leading_precision: None,
                last_field: None,
                fractional_seconds_precision: None,
            });
        }
    }
}
