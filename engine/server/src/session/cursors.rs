//! Cursors: DECLARE, FETCH and MOVE.
//!
//! A cursor is a portal that SQL names. One that was declared with SCROLL keeps what it has read and goes both ways;
//! every other reads its plan forward and keeps nothing.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast;

use super::portal::{Portal, PortalFacts};
use super::rows::Rows;
use super::scroll::Scroll;
use super::statement::{CursorOptions, Fetch};
use super::{Outcome, Session};
use crate::clock::Clock;
use crate::pgwire::encode::Format;
use crate::sqlstate::ServerError;

/// The rows of a cursor.
pub(super) enum Cursor {
    Forward(Rows),
    Scroll(Scroll),
}

/// What a FETCH of a cursor that only goes forward takes.
enum Ahead {
    /// Rows after so many that are passed over, at most so many.
    Rows(u64, Option<u64>),
    /// No row, and the cursor stays.
    Nothing,
    /// No row, and the cursor stays; MOVE counts the row that it stands on.
    Here,
}

impl Session {
    pub(super) async fn declare(
        &mut self,
        name: &str,
        options: CursorOptions,
        query: &ast::Statement,
        arguments: &[ast::Expr],
        text: &Arc<str>,
    ) -> Result<Outcome, ServerError> {
        if !self.in_block() && !options.hold {
            return Err(ServerError::new(
                "25P01",
                "DECLARE CURSOR can only be used in transaction blocks",
            ));
        }
        if self.portals.contains_key(name) {
            return Err(ServerError::new(
                "42P03",
                format!("cursor \"{name}\" already exists"),
            ));
        }
        let held = self.memory_of_portal(name, 0)?;
        let planned = self.plan(query, arguments).await?;
        let width = planned.columns().len();
        let rows = self.start(planned).await?;
        let cursor = match options.scroll {
            true => Cursor::Scroll(Scroll::over(rows).await),
            false => Cursor::Forward(rows),
        };
        let format = match options.binary {
            true => Format::Binary,
            false => Format::Text,
        };
        let facts = PortalFacts {
            name: name.to_owned(),
            statement: Arc::clone(text),
            options,
            created: Clock::read(),
        };
        self.open_portal(Portal::cursor(cursor, vec![format; width], facts).holding(held));
        Ok(Outcome::done("DECLARE CURSOR"))
    }

    pub(super) async fn fetch(
        &mut self,
        name: &str,
        which: Fetch,
        skip: bool,
    ) -> Result<Outcome, ServerError> {
        let (cursor, formats) = self.cursor(name).await?;
        let rows = match cursor {
            Cursor::Scroll(scroll) if skip => return Ok(passed(scroll.pass(which))),
            Cursor::Scroll(scroll) => scroll.fetch(which),
            Cursor::Forward(rows) => match ahead(&rows, which, skip).await {
                Ok(Ahead::Rows(passed, limit)) => rows.after(passed, limit),
                Ok(Ahead::Nothing) if skip => return Ok(Outcome::done("MOVE 0")),
                Ok(Ahead::Here) => return Ok(Outcome::done("MOVE 1")),
                Ok(Ahead::Nothing) => rows.limited(Some(0)),
                Err(error) => {
                    // As in PostgreSQL, whose executor may have been half-way.
                    self.break_portal(name);
                    return Err(error);
                }
            },
        };
        if skip {
            return Ok(passed(rows));
        }
        Ok(Outcome::Rows {
            rows,
            tag: "FETCH".into(),
            counted: true,
            formats: Some(formats),
        })
    }
}

fn passed(rows: Rows) -> Outcome {
    Outcome::Skip {
        rows,
        tag: "MOVE".into(),
    }
}

/// Where a FETCH leads that must not go back.
///
/// # Errors
/// 55000 when it would.
async fn ahead(rows: &Rows, which: Fetch, skip: bool) -> Result<Ahead, ServerError> {
    let place = rows.place().await;
    let is_at_start = place.given == 0 && !place.ended;
    let is_on_row = place.given > 0 && !place.ended;
    let row = place.given + u64::from(place.ended);
    Ok(match which {
        Fetch::AllForward => Ahead::Rows(0, None),
        Fetch::Forward(count) if count > 0 => Ahead::Rows(0, Some(count)),
        Fetch::Relative(distance) if distance > 0 => {
            Ahead::Rows(distance.unsigned_abs() - 1, Some(1))
        }
        Fetch::Forward(0) | Fetch::Relative(0) if !is_on_row => Ahead::Nothing,
        Fetch::Backward(0) if skip && !is_on_row => Ahead::Nothing,
        Fetch::Forward(0) | Fetch::Backward(0) | Fetch::Relative(0) if skip => Ahead::Here,
        Fetch::Absolute(0) if is_at_start => Ahead::Nothing,
        Fetch::AllBackward if is_at_start && skip => Ahead::Nothing,
        Fetch::Absolute(target) if target > 0 && target.unsigned_abs() > row => {
            Ahead::Rows(target.unsigned_abs() - row - 1, Some(1))
        }
        _ => {
            let hint = "Declare it with SCROLL option to enable backward scan.";
            return Err(ServerError::new("55000", "cursor can only scan forward").hint(hint));
        }
    })
}
