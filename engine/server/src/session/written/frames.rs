//! Frames of windows, which the parser takes whatever their ends are.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, UnaryOperator, Value, WindowFrameBound, WindowFrameUnits, WindowSpec,
};

use crate::session::placed::start;
use crate::session::rewrite;
use crate::sqlstate::{Place, ServerError};

/// Refuses a frame whose end comes before its start.
///
/// # Errors
/// 42P20, at the end that is wrong; `call` is what the window stands behind.
pub(super) fn check(spec: &WindowSpec, call: Option<Place>) -> Result<(), ServerError> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let Some(frame) = &spec.window_frame else {
        return Ok(());
    };
    let starting = (Some(&frame.start_bound), "starting");
    let ending = (frame.end_bound.as_ref(), "ending");
    for (bound, which) in [starting, ending] {
        if let Some(Preceding(Some(rows)) | Following(Some(rows))) = bound {
            offset(rows, frame.units, which)?;
        }
    }
    let (first, last) = (&frame.start_bound, frame.end_bound.as_ref());
    let (text, wrong) = match (first, last) {
        (Following(None), _) => ("frame start cannot be UNBOUNDED FOLLOWING", first),
        (Following(Some(_)), None) => (
            "frame starting from following row cannot end with current row",
            first,
        ),
        (_, Some(last @ Preceding(None))) => ("frame end cannot be UNBOUNDED PRECEDING", last),
        (CurrentRow, Some(last @ Preceding(Some(_)))) => (
            "frame starting from current row cannot have preceding rows",
            last,
        ),
        (Following(Some(_)), Some(last @ (Preceding(Some(_)) | CurrentRow))) => (
            "frame starting from following row cannot have preceding rows",
            last,
        ),
        _ => return Ok(()),
    };
    let place = match wrong {
        Preceding(Some(rows)) | Following(Some(rows)) => start(rows),
        CurrentRow => call.map(|call| call.next(&["CURRENT"])),
        Preceding(None) | Following(None) => call.map(|call| call.next(&["UNBOUNDED"])),
    };
    Err(ServerError::new("42P20", text).place(place))
}

/// Refuses a distance of a frame that is none.
fn offset(rows: &Expr, units: WindowFrameUnits, which: &str) -> Result<(), ServerError> {
    let units = match units {
        WindowFrameUnits::Rows => "ROWS",
        WindowFrameUnits::Groups => "GROUPS",
        WindowFrameUnits::Range => "RANGE",
    };
    let of_values = units == "RANGE";
    let names = ast::visit_expressions(rows, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let (code, text) = match rows {
        _ if names.is_break() => (
            "42P10",
            format!("argument of {units} must not contain variables"),
        ),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } if rewrite::constant(expr).is_some() => {
            if of_values {
                let text = "invalid preceding or following size in window function";
                return Err(ServerError::new("22013", text));
            }
            let text = format!("frame {which} offset must not be negative");
            return Err(ServerError::new("22013", text));
        }
        Expr::Value(value) if !of_values => match &value.value {
            Value::SingleQuotedString(text) if text.trim().parse::<i64>().is_err() => (
                "22P02",
                format!("invalid input syntax for type bigint: \"{text}\""),
            ),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    Err(ServerError::new(code, text).place(start(rows)))
}
