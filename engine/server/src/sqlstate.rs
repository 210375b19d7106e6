//! Errors as PostgreSQL reports them: SQLSTATE, message, detail, hint and position.
//!
//! [`ServerError`] is the one error type of the server and of the embedded SQL engine. Errors of
//! DataFusion and Arrow are sorted into SQLSTATEs here and nowhere else.

mod about;
mod dumps;
mod place;
mod planner;
mod slips;
mod sources;
mod stored;
mod syntax;
mod type_names;
mod values;
mod wording;

pub(crate) use about::{About, Construct};
pub(crate) use place::{Place, limit_before};
use planner::NAMED_ALIKE;
pub use slips::{nearest, slip_of};
pub(crate) use sources::function_error;
pub use syntax::from_parser;
pub(crate) use syntax::offset_of;

use pgwire::error::ErrorInfo;

/// How bad an error is for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The statement failed; the session goes on.
    Error,
    /// The session ends.
    Fatal,
    /// No failure: the client is warned.
    Warning,
    /// No failure: the client is told something.
    Notice,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Warning => "WARNING",
            Severity::Notice => "NOTICE",
        }
    }
}

/// What went wrong, in PostgreSQL's terms. One pointer wide.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct ServerError(Box<Report>);

#[derive(Clone, Debug)]
struct Report {
    severity: Severity,
    code: &'static str,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    /// What was being done, as the line of a file that is read.
    context: Option<String>,
    position: Option<usize>,
    /// Identifier to look for in the statement text when the position is not known yet.
    near: Option<String>,
    /// Where in the statement text when the position is not known yet.
    place: Option<Place>,
    /// What of the statement when only the plan is known yet.
    about: Option<About>,
    /// The table, column or constraint that it is about.
    object: Option<Object>,
    /// It has no place, whatever the statement says.
    unplaced: bool,
    /// What only the log and admins are told.
    cause: Option<stored::Cause>,
}

/// What of the database an error is about, for programs that read errors by their fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) schema: String,
    pub(crate) table: String,
    pub(crate) column: Option<String>,
    pub(crate) constraint: Option<String>,
}

/// What is said of a token until its text is known.
const UNEXPECTED: &str = "syntax error";

impl ServerError {
    /// An error with this SQLSTATE and primary message.
    pub fn new(code: &'static str, message: impl Into<String>) -> ServerError {
        ServerError(Box::new(Report {
            severity: Severity::Error,
            code,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
            position: None,
            near: None,
            place: None,
            about: None,
            object: None,
            unplaced: false,
            cause: None,
        }))
    }

    /// XX000: a bug of ours.
    pub fn internal(message: impl Into<String>) -> ServerError {
        ServerError::new("XX000", message)
    }

    /// 0A000: valid SQL that this server does not do.
    pub fn unsupported(message: impl Into<String>) -> ServerError {
        ServerError::new("0A000", message)
    }

    /// 08P01: the client broke the protocol.
    pub fn protocol(message: impl Into<String>) -> ServerError {
        ServerError::new("08P01", message)
    }

    /// 42601 at a 1-based character position.
    pub fn syntax(message: impl Into<String>, position: Option<usize>) -> ServerError {
        let mut error = ServerError::new("42601", message);
        error.0.position = position;
        error
    }

    /// 42601 at a token, which is named once the text is known.
    pub(crate) fn unexpected(place: Place) -> ServerError {
        ServerError::syntax(UNEXPECTED, None).place(Some(place))
    }

    /// 57014: the statement was stopped; `reason` completes "canceling statement due to".
    pub fn canceled(reason: &str) -> ServerError {
        ServerError::new("57014", format!("canceling statement due to {reason}"))
    }

    /// 25P02: the transaction failed earlier.
    #[must_use]
    pub fn aborted() -> ServerError {
        ServerError::new(
            "25P02",
            "current transaction is aborted, commands ignored until end of transaction block",
        )
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> ServerError {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with a detail line.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> ServerError {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same error with what was being done.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> ServerError {
        self.0.context = Some(context.into());
        self
    }

    /// The same error with what was being done around what its context says.
    #[must_use]
    pub(crate) fn within(mut self, outer: String) -> ServerError {
        self.0.context = Some(match self.0.context.take() {
            Some(inner) => format!("{inner}\n{outer}"),
            None => outer,
        });
        self
    }

    /// Whether the client is told something, and no more.
    pub(crate) fn is_notice(&self) -> bool {
        self.0.severity == Severity::Notice
    }

    /// Whether the client is warned.
    pub(crate) fn is_warning(&self) -> bool {
        self.0.severity == Severity::Warning
    }

    /// The same error with another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> ServerError {
        self.0.severity = severity;
        self
    }

    /// The same error; [`ServerError::locate`] will point at this identifier.
    #[must_use]
    pub fn near(mut self, identifier: impl Into<String>) -> ServerError {
        self.0.near = Some(identifier.into());
        self
    }

    /// The same error; [`ServerError::locate`] will point at this 1-based line and column.
    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> ServerError {
        self.0.place = Some(Place::at(line, column));
        self
    }

    /// The same error; [`ServerError::locate`] will point at this place, unless there is one already.
    #[must_use]
    pub(crate) fn place(mut self, place: Option<Place>) -> ServerError {
        if self.0.position.is_none() && self.0.place.is_none() {
            self.0.place = place;
        }
        self
    }

    /// The same error at a 1-based character position.
    #[must_use]
    pub(crate) fn at_position(mut self, position: Option<usize>) -> ServerError {
        self.0.position = position;
        self
    }

    /// The same error, whose place the statement tells by this.
    #[must_use]
    pub(crate) fn about(mut self, about: About) -> ServerError {
        self.0.about = Some(about);
        self
    }

    /// What of the statement the error is about, where it has no place yet.
    pub(crate) fn what(&self) -> Option<&About> {
        let report = &self.0;
        let open = report.position.is_none() && report.place.is_none();
        report.about.as_ref().filter(|_| open)
    }

    /// The same error, which is about a table or a part of one.
    #[must_use]
    pub(crate) fn of_object(mut self, object: Object) -> ServerError {
        self.0.object = Some(object);
        self
    }

    /// The same error about a column of a table that a command names, which PostgreSQL gives no place.
    #[must_use]
    pub(crate) fn of_relation(self, table: &str) -> ServerError {
        let column = between(&self.0.message, "column \"", "\" does not exist");
        match column.filter(|_| self.0.code == "42703") {
            Some(column) => {
                let text = format!("column \"{column}\" of relation \"{table}\" does not exist");
                ServerError::new("42703", text)
            }
            None => self,
        }
    }

    /// The same error in other words.
    #[must_use]
    pub(crate) fn reworded(mut self, message: impl Into<String>) -> ServerError {
        self.0.message = message.into();
        self
    }

    /// Whether nothing is known of where in the statement the error is.
    pub(crate) fn is_nowhere(&self) -> bool {
        let report = &self.0;
        report.position.is_none() && report.place.is_none()
    }

    /// The same without a place in the statement: it is about a text in it.
    #[must_use]
    pub fn without_place(mut self) -> ServerError {
        self.0.place = None;
        self
    }

    /// The same without a place in the statement, where PostgreSQL tells none.
    #[must_use]
    pub(crate) fn nowhere(mut self) -> ServerError {
        self.0.place = None;
        self.0.near = None;
        self
    }

    /// The same, which is told without a place even where its words are those of a constant.
    #[must_use]
    pub(crate) fn unplaced(mut self) -> ServerError {
        self.0.unplaced = true;
        self.nowhere()
    }

    /// Fills in the position: line and column when known, else the first mention of the identifier the error is about.
    #[must_use]
    pub fn locate(mut self, sql: &str) -> ServerError {
        if self.0.unplaced {
            self.0.position = None;
            return self;
        }
        if let Some(place) = self.0.place.take() {
            self.0.position = place.in_text(sql);
        }
        // A statement that was written anew has other places.
        let length = sql.chars().count() + 1;
        self.0.position = self.0.position.filter(|position| *position <= length);
        if self.0.position.is_none()
            && let Some(near) = &self.0.near
        {
            self.0.position = find_word(sql, near);
        }
        let is_column = matches!(self.0.code, "42703" | "42702" | "42803");
        self.0.position = match self.0.position {
            Some(position) if is_column => Some(place::whole_name(sql, position)),
            None => place::of_message(sql, self.0.code, &self.0.message),
            known => known,
        };
        if self.0.message == UNEXPECTED
            && let Some(position) = self.0.position
            && let Some(token) = place::token_at(sql, position)
        {
            self.0.message = format!("syntax error at or near \"{token}\"");
        }
        self
    }

    /// As [`ServerError::locate`], of an error that came late: only a constant of the statement has a place then.
    #[must_use]
    pub fn locate_value(self, sql: &str) -> ServerError {
        match self.0.code {
            "22P02" | "22003" | "22007" | "22008" if self.0.near.is_none() => self.locate(sql),
            _ => self,
        }
    }

    /// The SQLSTATE.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// Whether the planner refused two expressions of a list because it names them alike.
    pub(crate) fn is_of_names_alike(&self) -> bool {
        self.0.code == "42701" && self.0.message.contains(NAMED_ALIKE)
    }

    /// The hint, when there is one.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The detail, when there is one.
    #[must_use]
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// 1-based character position in the query string, when known.
    #[must_use]
    pub fn position(&self) -> Option<usize> {
        self.0.position
    }

    /// Whether the session must end.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.0.severity == Severity::Fatal
    }

    /// The fields of ErrorResponse or NoticeResponse.
    #[must_use]
    pub fn to_error_info(&self) -> ErrorInfo {
        let report = &self.0;
        let mut info = ErrorInfo::new(
            report.severity.name().to_owned(),
            report.code.to_owned(),
            report.message.clone(),
        );
        info.severity_nonlocalized = Some(report.severity.name().to_owned());
        info.detail = report.detail.clone();
        info.hint = report.hint.clone();
        info.where_context = report.context.clone();
        info.position = report.position.map(|p| p.to_string());
        if let Some(object) = &report.object {
            info.schema = Some(object.schema.clone());
            info.table = Some(object.table.clone());
            info.column = object.column.clone();
            info.constraint = object.constraint.clone();
        }
        info
    }
}

/// 1-based character position of `word` as a whole word in `sql`, ignoring ASCII case.
fn find_word(sql: &str, word: &str) -> Option<usize> {
    if word.is_empty() {
        return None;
    }
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    let lower = sql.to_ascii_lowercase();
    let word = word.to_ascii_lowercase();
    let mut from = 0;
    while let Some(found) = lower.get(from..)?.find(&word) {
        let (start, end) = (from + found, from + found + word.len());
        let before = lower.get(..start)?.chars().next_back();
        let after = lower.get(end..)?.chars().next();
        if !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word) {
            return Some(lower.get(..start)?.chars().count() + 1);
        }
        from = end;
    }
    None
}

/// What PostgreSQL says beside a function that there is not.
pub(crate) const NO_FUNCTION: &str = "No function matches the given name and argument types. You might need to add explicit type casts.";
/// What it says beside an operator.
pub(crate) const NO_OPERATOR: &str = "No operator matches the given name and argument types. You might need to add explicit type casts.";

/// 42P01 for an unqualified or qualified name as the user wrote it.
#[must_use]
pub fn undefined_table(name: &str) -> ServerError {
    let last = name.rsplit('.').next().unwrap_or(name).to_owned();
    ServerError::new("42P01", format!("relation \"{name}\" does not exist")).near(last)
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let rest = text.split_once(open)?.1;
    rest.split_once(close).map(|(inner, _)| inner)
}

fn first_of<'a>(text: &'a str, stop: &str) -> &'a str {
    text.split(stop).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_by_character_position() {
        assert_eq!(find_word("select posn, pos from t", "pos"), Some(14));
        assert_eq!(find_word("select 'é', nope", "nope"), Some(13));
        assert_eq!(find_word("select 1", "nope"), None);
    }
}
