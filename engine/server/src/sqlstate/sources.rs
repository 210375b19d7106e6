//! Errors of the engine's libraries, sorted into SQLSTATEs by their kind.

use arrow::error::ArrowError;
use datafusion::common::{Column, DataFusionError, SchemaError};
use tokio::task::JoinError;

use super::planner::plan_error;
use super::slips::{meant_columns, slip_of};
use super::values::{cast_error, execution_error, field_overflow};
use super::{ServerError, dumps, first_of, from_parser, stored, wording};

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
            ArrowError::OffsetOverflowError(bytes) => too_long_at_once(&bytes.to_string()),
            ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text)
                if text.contains("ffset overflow") =>
            {
                too_long_at_once(&text)
            }
            ArrowError::ComputeError(text) if text.contains("verflow") => {
                ServerError::new("22003", "value out of range").detail(text)
            }
            ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text)
                if text.contains("to store in a Decimal") =>
            {
                field_overflow(&text)
            }
            ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
                let known = wording::told(&text);
                known.unwrap_or_else(|| ServerError::new("22000", text))
            }
            ArrowError::ExternalError(source) => match source.downcast::<DataFusionError>() {
                Ok(inner) => ServerError::from(*inner),
                Err(source) => from_source(source),
            },
            ArrowError::NotYetImplemented(text) => ServerError::unsupported(text),
            ArrowError::IoError(text, cause) => io_error(&text, &cause),
            ArrowError::ParquetError(text) => ServerError::of_file("58030", text),
            other => ServerError::internal(other.to_string()),
        }
    }
}

/// Values that no array has room for.
fn too_long_at_once(text: &str) -> ServerError {
    ServerError::new("54000", "out of memory")
        .detail(format!("Values are too long to be made at once: {text}"))
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
            DataFusionError::Plan(text) if shows_plan(&text) => planned_wrongly(),
            DataFusionError::Plan(text) => plan_error(&text),
            DataFusionError::NotImplemented(text) => {
                let known = wording::told(&text);
                known.unwrap_or_else(|| ServerError::unsupported(dumps::without(text)))
            }
            DataFusionError::Configuration(text) => ServerError::new("22023", text),
            DataFusionError::ResourcesExhausted(text) => out_of_memory(&text),
            DataFusionError::Execution(text) => execution_error(&text),
            DataFusionError::External(source) => from_source(source),
            DataFusionError::ExecutionJoin(_) => bug(),
            other => {
                stored::of_reading(&other).unwrap_or_else(|| unexpected(other.strip_backtrace()))
            }
        }
    }
}

/// Whether an error of the planner shows its plan, which tells of files, counters and columns that whoever asked may not
/// see.
fn shows_plan(text: &str) -> bool {
    text.contains("Exec: ") || text.contains("Exec\"") || text.contains(".parquet")
}

fn unexpected(text: String) -> ServerError {
    match shows_plan(&text) {
        true => planned_wrongly(),
        false => ServerError::internal(text),
    }
}

/// A task that fell: what it said may hold data, and helps nobody.
fn bug() -> ServerError {
    ServerError::internal("the query ran into a bug of the server")
}

fn planned_wrongly() -> ServerError {
    ServerError::internal("the planner made a plan for the statement that it then refused")
        .hint("Compute keys of windows and aggregates in a subquery first. This is a bug worth telling of.")
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
    if source.is::<JoinError>() {
        return bug();
    }
    match source.downcast::<ArrowError>() {
        Ok(error) => ServerError::from(*error),
        Err(source) => {
            if let Some(error) = stored::of_source(source.as_ref()) {
                return error;
            }
            let text = with_causes(source.as_ref());
            stored::of_text("58000", text)
        }
    }
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
pub(super) fn from_shared(error: &DataFusionError) -> ServerError {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(text) => out_of_memory(text),
        DataFusionError::Plan(text) if shows_plan(text) => planned_wrongly(),
        DataFusionError::Plan(text) => plan_error(text),
        DataFusionError::Execution(text) => execution_error(text),
        DataFusionError::NotImplemented(text) => {
            ServerError::unsupported(dumps::without(text.clone()))
        }
        DataFusionError::SchemaError(inner, _) => schema_error(inner),
        DataFusionError::External(source) => from_shared_source(source.as_ref()),
        DataFusionError::ArrowError(inner, _) => from_shared_arrow(inner),
        DataFusionError::ExecutionJoin(_) => bug(),
        other => stored::of_reading(other).unwrap_or_else(|| unexpected(other.strip_backtrace())),
    }
}

fn from_shared_source(source: &(dyn std::error::Error + Send + Sync + 'static)) -> ServerError {
    if source.is::<JoinError>() {
        return bug();
    }
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
    if let Some(error) = stored::of_source(source) {
        return error;
    }
    let text = with_causes(source);
    stored::of_text("58000", text)
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
        ArrowError::IoError(text, cause) => return io_error(text, cause),
        ArrowError::ParquetError(text) => return ServerError::of_file("58030", text.clone()),
        ArrowError::ExternalError(source) => return from_shared_source(source.as_ref()),
        other => return ServerError::new("22000", other.to_string()),
    };
    ServerError::from(again)
}

/// The text of an error and of what caused it, where it says more.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
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
fn io_error(text: &str, cause: &std::io::Error) -> ServerError {
    if text.contains("max_temp_directory_size") {
        return out_of_memory(text);
    }
    if cause.kind() == std::io::ErrorKind::StorageFull {
        return stored::disk_full(text.to_owned());
    }
    ServerError::of_file("58030", text)
}

fn out_of_memory(text: &str) -> ServerError {
    let disk = text.contains("isk") && text.contains("spill") || text.contains("temp_directory");
    let (code, message) = if disk {
        ("53100", "disk full")
    } else {
        ("53200", "out of memory")
    };
    ServerError::new(code, message)
        .detail(of_oneself(text))
        .for_admins(text.to_owned())
        .hint("Select fewer columns, samples or a smaller region, or raise the memory limit.")
}

/// What the one who asked for memory is told: not who else holds how much of it.
fn of_oneself(text: &str) -> String {
    const ASKED: &str = "Failed to allocate additional ";
    let asked = match text.find(ASKED) {
        Some(at) => text.get(at..).unwrap_or_default(),
        None => first_of(text, " with top memory consumers"),
    };
    first_of(asked, " - ").to_owned()
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

/// 42P01 for a column of a relation that FROM does not name.
fn missing_relation(table: &str, valid: &[Column]) -> ServerError {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

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

    #[test]
    fn who_else_holds_memory_is_told_to_nobody_but_admins() {
        let text = "Additional allocation failed for r5 with top memory consumers (across reservations) as:\n  \
                    portals and cursors#0(can spill: false) consumed 300.0 KB, peak 1024.0 B.\nError: Failed to \
                    allocate additional 150.0 B for r5 with 0.0 B already allocated for this reservation - 5.0 B \
                    remain available for the total memory pool: greedy(used: 95.0 B, pool_size: 100.0 B)";
        let error = ServerError::from(DataFusionError::ResourcesExhausted(text.to_owned()));
        let own = "Failed to allocate additional 150.0 B for r5 with 0.0 B already allocated for this reservation";
        assert_eq!(error.detail_text(), Some(own));
        assert_eq!(error.in_full().detail_text(), Some(text));
    }

    #[test]
    fn no_error_shows_a_plan() {
        let plan = "Plan: [\"SortExec: expr=[secret@1 ASC]\", \"DataSourceExec: file_groups={1 group: \
                    [[lake/clin/part-1.parquet]]}\"] does not satisfy order requirements: [secret@1 NA]";
        let errors = || {
            [
                DataFusionError::Plan(plan.to_owned()),
                DataFusionError::Internal(plan.to_owned()),
            ]
        };
        let shared = errors().map(|error| DataFusionError::Shared(Arc::new(error)));
        for error in errors().into_iter().chain(shared) {
            let error = ServerError::from(error);
            assert_eq!(error.code(), "XX000");
            let told = format!("{error:?}");
            for word in ["secret", "parquet", "SortExec"] {
                assert!(!told.contains(word), "{told}");
            }
        }
    }
}
