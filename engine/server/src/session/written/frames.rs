//! Frames of windows, which the parser takes whatever their ends are.

use datafusion::sql::sqlparser::ast::{WindowFrameBound, WindowSpec};

use crate::session::placed::start;
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
