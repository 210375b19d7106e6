//! Errors as PostgreSQL reports them: SQLSTATE, message, detail, hint and position.
//!
//! [`ServerError`] is the one error type of the server and of the embedded SQL engine. Errors of
//! DataFusion and Arrow are sorted into SQLSTATEs here and nowhere else.

mod about;
mod place;
mod wording;

pub(crate) use about::{About, Construct};
pub(crate) use place::Place;

use arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
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
}

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

    /// Fills in the position: line and column when known, else the first mention of the identifier the error is about.
    #[must_use]
    pub fn locate(mut self, sql: &str) -> ServerError {
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

/// The name among `known` that a name of SQL is a slip of: one letter of a short one, more of a long one.
pub fn slip_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.chars().count() {
        ..=3 => return None,
        4..=7 => 1,
        _ => 2,
    };
    let distances = known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate));
    let near = distances.filter(|(distance, _)| *distance <= limit);
    near.min().map(|(_, candidate)| candidate)
}

/// The name among `known` that `name` is most likely a slip of, for a hint.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + name.chars().count() / 4;
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

impl From<ArrowError> for ServerError {
    fn from(error: ArrowError) -> ServerError {
        match error {
            ArrowError::DivideByZero => ServerError::new("22012", "division by zero"),
            ArrowError::ArithmeticOverflow(text) => {
                ServerError::new("22003", "value out of range").detail(text)
            }
            ArrowError::CastError(text) => cast_error(&text),
            ArrowError::ParseError(text) => ServerError::new("22007", text),
            ArrowError::MemoryError(text) => out_of_memory(&text),
            ArrowError::ComputeError(text) if text.contains("verflow") => {
                ServerError::new("22003", "value out of range").detail(text)
            }
            ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text)
                if text.contains("to store in a Decimal") =>
            {
                field_overflow(&text)
            }
            ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
                let known = regex_error(&text).or_else(|| wording::told(&text));
                known.unwrap_or_else(|| ServerError::new("22000", text))
            }
            ArrowError::ExternalError(source) => match source.downcast::<DataFusionError>() {
                Ok(inner) => ServerError::from(*inner),
                Err(source) => from_source(source),
            },
            ArrowError::NotYetImplemented(text) => ServerError::unsupported(text),
            ArrowError::IoError(text, _) => io_error(&text),
            other => ServerError::internal(other.to_string()),
        }
    }
}

impl From<DataFusionError> for ServerError {
    fn from(error: DataFusionError) -> ServerError {
        match error {
            DataFusionError::Context(_, inner) => ServerError::from(*inner),
            DataFusionError::Diagnostic(diagnostic, inner) => {
                wording::diagnosed(&diagnostic.message).unwrap_or_else(|| ServerError::from(*inner))
            }
            DataFusionError::Collection(mut errors) if !errors.is_empty() => {
                ServerError::from(errors.swap_remove(0))
            }
            DataFusionError::Shared(inner) => from_shared(&inner),
            DataFusionError::ArrowError(inner, _) => ServerError::from(*inner),
            DataFusionError::SQL(inner, _) => from_parser(&inner, ""),
            DataFusionError::SchemaError(inner, _) => schema_error(&inner),
            DataFusionError::Plan(text) => plan_error(&text),
            DataFusionError::NotImplemented(text) => {
                wording::told(&text).unwrap_or_else(|| ServerError::unsupported(text))
            }
            DataFusionError::Configuration(text) => ServerError::new("22023", text),
            DataFusionError::ResourcesExhausted(text) => out_of_memory(&text),
            DataFusionError::Execution(text) => execution_error(&text),
            DataFusionError::External(source) => from_source(source),
            DataFusionError::IoError(inner) => ServerError::new("58030", inner.to_string()),
            DataFusionError::ObjectStore(inner) => ServerError::new("58030", inner.to_string()),
            DataFusionError::ParquetError(inner) => ServerError::new("58030", inner.to_string()),
            other => ServerError::internal(other.strip_backtrace()),
        }
    }
}

fn from_source(source: Box<dyn std::error::Error + Send + Sync>) -> ServerError {
    let source = match source.downcast::<ServerError>() {
        Ok(error) => return *error,
        Err(source) => source,
    };
    let source = match source.downcast::<DataFusionError>() {
        Ok(error) => return ServerError::from(*error),
        Err(source) => source,
    };
    if let Some(error) = source.downcast_ref::<genokura_sql_ext::Error>() {
        return function_error(error);
    }
    match source.downcast::<ArrowError>() {
        Ok(error) => ServerError::from(*error),
        Err(source) => {
            let text = with_causes(source.as_ref());
            regex_error(&text).unwrap_or_else(|| ServerError::new("58000", text))
        }
    }
}

/// 2201B for a text that is no regular expression, with what the parser says of it.
fn regex_error(text: &str) -> Option<ServerError> {
    let is_of_parser =
        text.contains("regex parse error") || text.contains("Regular expression did not compile");
    is_of_parser.then(|| {
        let reason = text
            .rsplit_once("error: ")
            .map_or(text, |(_, reason)| reason);
        let reason = first_of(reason, "\n").trim_end_matches([')', ' ']);
        let reason = wording::of_regex(reason);
        ServerError::new("2201B", format!("invalid regular expression: {reason}"))
    })
}

/// An error of a genomic function knows its SQLSTATE and hint.
pub(crate) fn function_error(error: &genokura_sql_ext::Error) -> ServerError {
    let told = ServerError::new(error.sqlstate(), error.to_string());
    match error.hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}

/// A shared error cannot be taken apart by value: the variants that matter are read by reference.
fn from_shared(error: &DataFusionError) -> ServerError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(text) => out_of_memory(text),
        DataFusionError::Plan(text) => plan_error(text),
        DataFusionError::Execution(text) => execution_error(text),
        DataFusionError::NotImplemented(text) => ServerError::unsupported(text.clone()),
        DataFusionError::SchemaError(inner, _) => schema_error(inner),
        DataFusionError::External(source) => from_shared_source(source.as_ref()),
        DataFusionError::ArrowError(inner, _) => from_shared_arrow(inner),
        other => ServerError::internal(other.strip_backtrace()),
    }
}

fn from_shared_source(source: &(dyn std::error::Error + Send + Sync + 'static)) -> ServerError {
    if let Some(error) = source.downcast_ref::<ServerError>() {
        return error.clone();
    }
    if let Some(error) = source.downcast_ref::<DataFusionError>() {
        return from_shared(error);
    }
    if let Some(error) = source.downcast_ref::<genokura_sql_ext::Error>() {
        return function_error(error);
    }
    if let Some(error) = source.downcast_ref::<ArrowError>() {
        return from_shared_arrow(error);
    }
    let text = with_causes(source);
    regex_error(&text).unwrap_or_else(|| ServerError::new("58000", text))
}

fn from_shared_arrow(error: &ArrowError) -> ServerError {
    // What holds no other error can be made anew, and is then sorted as one that is not shared.
    let text = String::clone;
    let again = match error {
        ArrowError::DivideByZero => ArrowError::DivideByZero,
        ArrowError::ArithmeticOverflow(told) => ArrowError::ArithmeticOverflow(text(told)),
        ArrowError::CastError(told) => ArrowError::CastError(text(told)),
        ArrowError::ParseError(told) => ArrowError::ParseError(text(told)),
        ArrowError::MemoryError(told) => ArrowError::MemoryError(text(told)),
        ArrowError::ComputeError(told) => ArrowError::ComputeError(text(told)),
        ArrowError::InvalidArgumentError(told) => ArrowError::InvalidArgumentError(text(told)),
        ArrowError::NotYetImplemented(told) => ArrowError::NotYetImplemented(text(told)),
        ArrowError::IoError(text, _) => return io_error(text),
        ArrowError::ExternalError(source) => return from_shared_source(source.as_ref()),
        other => return ServerError::new("22000", other.to_string()),
    };
    ServerError::from(again)
}

/// The text of an error and of what caused it, where it says more.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// A spill file that may not grow comes as an error of writing it.
fn io_error(text: &str) -> ServerError {
    if text.contains("max_temp_directory_size") {
        return out_of_memory(text);
    }
    ServerError::new("58030", text.to_owned())
}

fn out_of_memory(text: &str) -> ServerError {
    let disk = text.contains("isk") && text.contains("spill") || text.contains("temp_directory");
    let (code, message) = if disk {
        ("53100", "disk full")
    } else {
        ("53200", "out of memory")
    };
    ServerError::new(code, message)
        .detail(text.to_owned())
        .hint("Select fewer columns, samples or a smaller region, or raise the memory limit.")
}

fn schema_error(error: &SchemaError) -> ServerError {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let relation = field.relation.as_ref().map(|r| r.table().to_owned());
            // A relation of which no column is there is none of the statement's.
            let of_relation = |table: &String| {
                let mut known = valid_fields.iter().filter_map(|f| f.relation.as_ref());
                known.any(|r| r.table() == table)
            };
            if let Some(table) = relation.as_ref().filter(|table| !of_relation(table)) {
                return missing_relation(table, valid_fields);
            }
            let message = match &relation {
                Some(table) => format!("column {table}.{} does not exist", field.name),
                None => format!("column \"{}\" does not exist", field.name),
            };
            let error = ServerError::new("42703", message).near(field.name.clone());
            match meant_columns(field, valid_fields).as_slice() {
                [one] => error.hint(format!(
                    "Perhaps you meant to reference the column \"{one}\"."
                )),
                [one, other] => error.hint(format!(
                    "Perhaps you meant to reference the column \"{one}\" or the column \"{other}\"."
                )),
                _ => error,
            }
        }
        SchemaError::AmbiguousReference { field } => ServerError::new(
            "42702",
            format!("column reference \"{}\" is ambiguous", field.name),
        )
        .near(field.name.clone()),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => ServerError::new(
            "42701",
            format!("column \"{name}\" specified more than once"),
        )
        .near(name.clone()),
    }
}

/// The columns that a name is most likely a slip of, as PostgreSQL finds them: no more than three letters away and half
/// of the name, two at most, and none where more are as near.
fn meant_columns(
    field: &datafusion::common::Column,
    valid: &[datafusion::common::Column],
) -> Vec<String> {
    let name = field.name.as_str();
    let mut least = 4;
    let mut found: Vec<String> = Vec::new();
    for column in valid {
        let of_table = match (&field.relation, &column.relation) {
            (Some(asked), Some(known)) => strsim::levenshtein(asked.table(), known.table()),
            _ => 0,
        };
        let of_name = strsim::levenshtein(&column.name, name);
        if of_table > least || of_name > name.len() / 2 {
            continue;
        }
        let distance = of_table + of_name;
        let shown = match &column.relation {
            Some(table) => format!("{}.{}", table.table(), column.name),
            None => column.name.clone(),
        };
        if distance < least {
            least = distance;
            found = vec![shown];
        } else if distance == least {
            found.push(shown);
        }
    }
    if least > 3 || found.len() > 2 {
        return Vec::new();
    }
    found
}

/// 42P01 for a column of a relation that FROM does not name.
fn missing_relation(table: &str, valid: &[datafusion::common::Column]) -> ServerError {
    let known: std::collections::BTreeSet<&str> = valid
        .iter()
        .filter_map(|f| f.relation.as_ref().map(|r| r.table()))
        .collect();
    let text = format!("missing FROM-clause entry for table \"{table}\"");
    let error = ServerError::new("42P01", text).near(table);
    match slip_of(table, known) {
        Some(one) => error.hint(format!(
            "Perhaps you meant to reference the table \"{one}\"."
        )),
        None => error,
    }
}

/// What a function or an operator is refused for by the types it is given, as PostgreSQL says it.
fn wrong_types(text: &str) -> Option<ServerError> {
    if let Some(own) = between(
        text,
        "coercion failed with: External error: ",
        " No function matches",
    ) {
        let code = match own.starts_with("cannot cast type ") {
            true => "42846",
            false => "42883",
        };
        return Some(ServerError::new(code, own.trim_end_matches('.')));
    }
    let hint = |what: &str| {
        format!(
            "No {what} matches the given name and argument types. You might need to add explicit type casts."
        )
    };
    if let Some(call) = between(text, "given name and argument types '", "'") {
        let (name, arguments) = call.strip_suffix(')')?.split_once('(')?;
        let arguments: Vec<String> = arrow_types(arguments).map(type_name).collect();
        let of_arrays = match name {
            "array_has_any" => Some("&&"),
            "array_has_all" => Some("@>"),
            _ => None,
        };
        if let (Some(op), [left, right]) = (of_arrays, arguments.as_slice()) {
            let text = format!("operator does not exist: {left} {op} {right}");
            return Some(ServerError::new("42883", text).hint(NO_OPERATOR));
        }
        if name == "array_has" {
            let text = "op ANY/ALL (array) requires array on right side";
            return Some(ServerError::new("42809", text));
        }
        if name == "make_array"
            && let Some(first) = arguments.first()
            && let Some(other) = arguments.iter().find(|other| *other != first)
        {
            let text = format!("ARRAY types {first} and {other} cannot be matched");
            return Some(ServerError::new("42804", text));
        }
        let message = format!("function {name}({}) does not exist", arguments.join(", "));
        return Some(
            ServerError::new("42883", message)
                .hint(hint("function"))
                .near(name),
        );
    }
    let inferred = text.split_once("Cannot infer common ");
    let compared = inferred.and_then(|(_, rest)| rest.split_once("operation "));
    let calculated = between(
        text,
        "Cannot coerce arithmetic expression ",
        " to valid types",
    );
    let operation = compared.map(|(_, operation)| operation).or(calculated)?;
    let words: Vec<&str> = split_top(operation.trim(), ' ').collect();
    let (left, op, right) = match words.as_slice() {
        [left, "IS", .., "FROM", "Boolean"] => {
            let found = type_name(left);
            let text = format!("argument of IS TRUE must be type boolean, not type {found}");
            return Some(ServerError::new("42804", text));
        }
        [left, "IS", .., "FROM", right] => (*left, "=", *right),
        [left, op, right, ..] => (*left, *op, *right),
        _ => return None,
    };
    // PostgreSQL adds an integer, an interval and a time to a date: a constant may be any of them.
    if let ("Date32", "+", "Utf8") = (left, op, right) {
        let text = "operator is not unique: date + unknown";
        return Some(ServerError::new("42725", text).hint(
            "Could not choose a best candidate operator. You might need to add explicit type casts.",
        ));
    }
    let (left, right) = (type_name(left), type_name(right));
    let message = format!("operator does not exist: {left} {op} {right}");
    let hint = match (left.strip_suffix("[]"), op) {
        (Some(_), "=") => "To look for an item of a list: \"value = ANY (list)\".".to_owned(),
        _ => hint("operator"),
    };
    Some(ServerError::new("42883", message).hint(hint))
}

/// The types of a list of Arrow's.
fn arrow_types(list: &str) -> impl Iterator<Item = &str> {
    split_top(list, ',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
}

/// Parts of a text between separators that stand in no parentheses.
fn split_top(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == separator && depth == 0
    })
}

/// What the planner says of two expressions that it names alike.
const NAMED_ALIKE: &str = "Projections require unique expression names";

fn plan_error(text: &str) -> ServerError {
    let text = first_of(text, "\n\nbacktrace");
    if let Some(error) = wording::told(text).or_else(|| wrong_types(text)) {
        return error;
    }
    if let Some(table) = between(text, "table '", "' not found") {
        return undefined_table(table.rsplit('.').next().unwrap_or(table));
    }
    if let Some(name) = between(text, "Invalid function '", "'") {
        let error = ServerError::new("42883", format!("function {name} does not exist")).near(name);
        return match between(text, "Did you mean '", "'") {
            Some(similar) if slip_of(name, [similar]).is_some() => {
                error.hint(format!("Perhaps you meant the function \"{similar}\"."))
            }
            _ => error.hint(NO_FUNCTION),
        };
    }
    if let Some(name) = between(text, "table function '", "' not found") {
        return ServerError::new("42883", format!("function {name} does not exist")).near(name);
    }
    let no_match = text.contains("No function matches")
        || text.contains("does not support zero arg")
        || text.contains("function failed: ")
        || text.contains("Failed to coerce arguments");
    if let Some(name) = between(text, "Invalid qualifier ", "\n")
        .or_else(|| text.split_once("Invalid qualifier ").map(|(_, name)| name))
    {
        let name = name
            .rsplit('.')
            .next()
            .unwrap_or(name)
            .trim()
            .trim_matches('"');
        let text = format!("missing FROM-clause entry for table \"{name}\"");
        return ServerError::new("42P01", text).near(name);
    }
    let code = if no_match {
        "42883"
    } else if text.contains("must be in GROUP BY") || text.contains("aggregate function") {
        "42803"
    } else if text.contains("ambiguous") {
        "42702"
    } else if text.contains(NAMED_ALIKE) {
        "42701"
    } else if text.contains("common argument type")
        || text.contains("Cannot coerce")
        || text.contains("Unsupported CAST")
        || text.contains("type_coercion")
    {
        "42804"
    } else if text.contains("laceholder") {
        "42P18"
    } else {
        "42000"
    };
    ServerError::new(code, text.to_owned())
}

/// 42P01 for an unqualified or qualified name as the user wrote it.
#[must_use]
pub fn undefined_table(name: &str) -> ServerError {
    let last = name.rsplit('.').next().unwrap_or(name).to_owned();
    ServerError::new("42P01", format!("relation \"{name}\" does not exist")).near(last)
}

fn execution_error(text: &str) -> ServerError {
    let text = first_of(text, "\n\nbacktrace");
    if text.to_ascii_lowercase().contains("divide by zero") {
        return ServerError::new("22012", "division by zero");
    }
    if text.contains("Cannot cast") {
        return cast_error(text);
    }
    if let Some(error) = regex_error(text) {
        return error;
    }
    if text.contains("to store in a Decimal") {
        return field_overflow(text);
    }
    if let Some(error) = wording::told(text) {
        return error;
    }
    if text.contains("scalar subquery") || text.contains("more than one row") {
        return ServerError::new("21000", text.to_owned());
    }
    ServerError::new("22000", text.to_owned())
}

/// 22003 for a number that its column has no room for. Arrow: `123.46 is too large to store in a Decimal128 of precision
/// 4. Max is 99.99`.
fn field_overflow(text: &str) -> ServerError {
    let error = ServerError::new("22003", "numeric field overflow");
    let precision = between(text, " of precision ", ".").and_then(|p| p.parse::<usize>().ok());
    let greatest = text
        .rsplit_once(" is ")
        .map(|(_, greatest)| greatest.trim());
    let (Some(precision), Some(greatest)) = (precision, greatest) else {
        return error.detail(text.to_owned());
    };
    let fraction = greatest
        .split_once('.')
        .map_or("", |(_, fraction)| fraction);
    let digits = fraction.chars().take_while(char::is_ascii_digit).count();
    let whole = precision.saturating_sub(digits);
    let bound = match whole {
        0 => "1".to_owned(),
        whole => format!("10^{whole}"),
    };
    error.detail(format!(
        "A field with precision {precision}, scale {digits} must round to an absolute value less than {bound}."
    ))
}

/// Arrow: `Cannot cast string 'x' to value of Int32 type`, `Cannot cast value 'x' to value of Boolean type`,
/// `Can't cast value 300 to type Int8`.
fn cast_error(text: &str) -> ServerError {
    let value = between(text, "string '", "' to value")
        .or_else(|| between(text, "string '", "'"))
        .or_else(|| between(text, "cast value '", "' to value"));
    let target = between(text, "to value of ", " type")
        .or_else(|| between(text, "to type ", "\n"))
        .or_else(|| text.rsplit_once("to type ").map(|(_, t)| t));
    match (value, target.map(|t| pg_name(t.trim()))) {
        (Some(value), Some(target)) => {
            let code = match target.as_str() {
                "date" | "timestamp" => "22007",
                _ => "22P02",
            };
            if matches!(target.as_str(), "smallint" | "integer" | "bigint") && is_whole(value) {
                let text = format!("value \"{value}\" is out of range for type {target}");
                return ServerError::new("22003", text);
            }
            let text = format!("invalid input syntax for type {target}: \"{value}\"");
            ServerError::new(code, text)
        }
        (None, Some(target)) if text.contains("cast value") => {
            ServerError::new("22003", format!("{target} out of range"))
        }
        _ => ServerError::new("22P02", text.to_owned()),
    }
}

/// Whether a text is that of a whole number, which its type has no room for when it is refused.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// The whole name of a type, where [`pg_name`] has the short one that messages about values have.
fn type_name(arrow: &str) -> String {
    match arrow {
        stamp if stamp.starts_with("Timestamp") => {
            match stamp.contains("Some(") || stamp.contains(", \"") {
                true => "timestamp with time zone",
                false => "timestamp without time zone",
            }
            .to_owned()
        }
        time if time.starts_with("Time") => "time without time zone".to_owned(),
        other => pg_name(other),
    }
}

fn pg_name(arrow: &str) -> String {
    let item = arrow
        .strip_prefix("List(")
        .and_then(|of| of.strip_suffix(')'));
    if let Some(item) = item {
        // `Field { data_type: Utf8, … }`, `non-null Utf8` or the type alone.
        let item = item.rsplit(' ').next().unwrap_or(item);
        return format!("{}[]", pg_name(item));
    }
    match arrow {
        "Utf8" | "LargeUtf8" | "Utf8View" => "text",
        "Null" => "unknown",
        "Binary" | "LargeBinary" | "BinaryView" => "bytea",
        "Int8" | "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "Float32" => "real",
        "Float64" => "double precision",
        "Boolean" => "boolean",
        "Date32" | "Date64" => "date",
        other if other.starts_with("Struct") => "record",
        other if other.starts_with("Timestamp") => "timestamp",
        other if other.starts_with("Decimal") => "numeric",
        other if other.starts_with("Interval") => "interval",
        other if other.starts_with("Time") => "time",
        other => return other.to_owned(),
    }
    .to_owned()
}

/// A syntax error of the parser, with the position in `sql`.
pub fn from_parser(error: &ParserError, sql: &str) -> ServerError {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return ServerError::new("54001", "statement is nested too deeply");
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let position = line_and_column(text).and_then(|(line, column)| offset_of(sql, line, column));
    let body = text.split(" at Line:").next().unwrap_or(text);
    if let Some(error) = unterminated(body, position, sql) {
        return error;
    }
    if body.contains("hex digit in escaped unicode string") {
        let before = sql.chars().take(position.unwrap_or_default());
        let escapes = before.enumerate().filter(|(_, c)| *c == '\\');
        let escape = escapes.last().map(|(at, _)| at + 1);
        let error = ServerError::syntax("invalid Unicode escape", escape.or(position));
        return error.hint("Unicode escapes must be \\XXXX or \\+XXXXXX.");
    }
    if body.starts_with("expected OUTER, SEMI, ANTI or JOIN") || body.starts_with("Expected OUTER")
    {
        return place::not_joined(sql).map_or_else(
            || ServerError::syntax(body.to_owned(), position),
            |(word, at)| {
                ServerError::syntax(format!("syntax error at or near \"{word}\""), Some(at))
            },
        );
    }
    match body.split_once("found: ") {
        Some((_, "EOF")) => ServerError::syntax(
            "syntax error at end of input",
            Some(sql.chars().count() + 1),
        ),
        Some((expected, found)) => {
            let position = position.map(|position| place::backward(sql, position, found));
            let error =
                ServerError::syntax(format!("syntax error at or near \"{found}\""), position);
            let expected = expected
                .trim_start_matches("Expected: ")
                .trim_start_matches("Expected ")
                .trim_end_matches(", ");
            error.detail(format!("Expected {expected}."))
        }
        None => ServerError::syntax(body.to_owned(), position),
    }
}

/// What the text ends in the middle of.
fn unterminated(body: &str, position: Option<usize>, sql: &str) -> Option<ServerError> {
    let (what, opening) = if body.contains("Unterminated string literal")
        || body.contains("Unterminated encoded string literal")
    {
        ("quoted string", None)
    } else if body.starts_with("Expected close delimiter") {
        ("quoted identifier", None)
    } else if body.contains("while in a multi-line comment") {
        ("/* comment", place::opening(sql, "/*"))
    } else if body.contains("Unterminated dollar-quoted") {
        ("dollar-quoted string", place::opening(sql, "$"))
    } else {
        return None;
    };
    let position = opening.or(position)?;
    let rest: String = sql.chars().skip(position.checked_sub(1)?).collect();
    let text = format!("unterminated {what} at or near \"{rest}\"");
    Some(ServerError::syntax(text, Some(position)))
}

fn line_and_column(text: &str) -> Option<(usize, usize)> {
    let line = between(text, "Line: ", ",")?.parse().ok()?;
    let rest = text.split_once("Column: ")?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line, digits.parse().ok()?))
}

/// 1-based character offset of a 1-based line and column.
pub(crate) fn offset_of(sql: &str, line: usize, column: usize) -> Option<usize> {
    let before: usize = sql
        .split_inclusive('\n')
        .take(line.checked_sub(1)?)
        .map(|l| l.chars().count())
        .sum();
    Some(before + column)
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

    #[test]
    fn near_misses_are_suggested() {
        assert_eq!(nearest("contgi", ["contig", "pos"]), Some("contig"));
        assert_eq!(nearest("xyz", ["contig", "pos"]), None);
        assert_eq!(slip_of("lenght", ["length", "left"]), Some("length"));
        assert_eq!(
            slip_of("statement_timeouts", ["statement_timeout"]),
            Some("statement_timeout")
        );
        for (name, known) in [
            ("nope", "now"),
            ("nope", "role"),
            ("r", "a"),
            ("vars", "calls"),
        ] {
            assert_eq!(slip_of(name, [known]), None, "{name}");
        }
    }

    #[test]
    fn columns_are_suggested_as_postgresql_does() {
        let column =
            |table: &str, name: &str| datafusion::common::Column::new(Some(table.to_owned()), name);
        let known = [
            column("a", "id"),
            column("a", "pos"),
            column("b", "id"),
            column("b", "ref"),
        ];
        let meant = |table: Option<&str>, name: &str| {
            let asked = datafusion::common::Column::new(table.map(str::to_owned), name);
            meant_columns(&asked, &known)
        };
        assert_eq!(meant(None, "posn"), ["a.pos"]);
        assert_eq!(meant(None, "idd"), ["a.id", "b.id"]);
        assert_eq!(meant(Some("b"), "idd"), ["b.id"]);
        assert!(meant(None, "x").is_empty());
        assert!(meant(None, "genotype").is_empty());
    }

    #[test]
    fn errors_take_their_sqlstate() {
        let table = [
            (
                DataFusionError::Plan("table 'g.public.nope' not found".into()),
                "42P01",
            ),
            (
                DataFusionError::Plan("Invalid function 'foo'.\nDid you mean 'floor'?".into()),
                "42883",
            ),
            (
                DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None),
                "22012",
            ),
            (DataFusionError::ResourcesExhausted("no".into()), "53200"),
            (DataFusionError::NotImplemented("no".into()), "0A000"),
            (
                DataFusionError::ArrowError(
                    Box::new(ArrowError::CastError(
                        "Cannot cast string 'x' to value of Int32 type".into(),
                    )),
                    None,
                ),
                "22P02",
            ),
        ];
        for (error, code) in table {
            assert_eq!(ServerError::from(error).code(), code);
        }
    }
}
