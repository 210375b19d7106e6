//! Errors of files: what a client is told of them, and what the log and admins are.
//!
//! Where a lake lies, what its files are called and why one cannot be read is the business of who runs the server. A
//! role is told which of its tables cannot be read; where it may not read that table either, that the lake cannot.

use std::error::Error as StdError;
use std::io::ErrorKind;

use datafusion::common::DataFusionError;
use genokura_storage::Error as Storage;
use genokura_storage::layout;

use super::ServerError;
use super::sources::{from_shared, with_causes};
use crate::roles::Authorised;

/// Tables of a dataset that SQL shows under other names.
const PHYSICAL: [&str; 3] = ["site", "genotype", "format"];

/// What is behind an error and not everybody's to know.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    /// Place and reason.
    text: String,
    /// The schema and table whose file it is.
    table: Option<(String, String)>,
    /// Whoever runs the server must learn of it.
    logged: bool,
}

impl ServerError {
    /// An error of a file of the lake or of the server: `text` is its place and reason.
    #[must_use]
    pub(crate) fn of_file(code: &'static str, text: impl Into<String>) -> ServerError {
        let text = text.into();
        let table = table_of(&text);
        ServerError::of_table(code, text, table)
    }

    fn of_table(code: &'static str, text: String, table: Option<(String, String)>) -> ServerError {
        let message = match text.contains(".parquet") || table.is_some() {
            true => "a file of the lake cannot be read",
            false => "a file of the server cannot be read or written",
        };
        let mut error = ServerError::new(code, message);
        error.0.cause = Some(Cause {
            text,
            table,
            logged: true,
        });
        error
    }

    /// The error of the lake.
    #[must_use]
    pub(crate) fn of_storage(code: &'static str, error: &Storage) -> ServerError {
        let text = with_causes(error);
        match error {
            Storage::Name { .. }
            | Storage::ColumnType { .. }
            | Storage::Assembly { .. }
            | Storage::UnsupportedType { .. }
            | Storage::Contended { .. }
            | Storage::Replaced { .. } => ServerError::new(code, text),
            Storage::Delta { table, .. } => {
                let table = (table.schema.clone(), table.table.clone());
                ServerError::of_table(code, text, Some(table))
            }
            _ => {
                let error = ServerError::of_file(code, text);
                error.reworded("a file of the lake cannot be read")
            }
        }
    }

    /// 58030 of a change that the lake did not take.
    #[must_use]
    pub(crate) fn of_writing(error: &Storage) -> ServerError {
        let mut told = ServerError::of_storage("58030", error);
        if let Some(cause) = &mut told.0.cause {
            cause.table = None;
            told.0.message = "the lake cannot be written".to_owned();
        }
        told
    }

    /// The error of the engine.
    #[must_use]
    pub(crate) fn of_engine(code: &'static str, error: &genokura_exec::Error) -> ServerError {
        use genokura_exec::Error as Engine;
        match error {
            Engine::Storage(inner) => ServerError::of_storage(code, inner),
            Engine::DataFusion(inner) => from_shared(inner),
            Engine::Damaged { table, .. } => {
                let names = table.split_once('/').and_then(named);
                let error = ServerError::of_table(code, error.to_string(), names);
                error.reworded("a file of the lake cannot be read")
            }
            other => ServerError::new(code, other.to_string()),
        }
    }

    /// The same error with a detail that admins are told in place of its own.
    #[must_use]
    pub(super) fn for_admins(mut self, text: String) -> ServerError {
        self.0.cause = Some(Cause {
            text,
            table: None,
            logged: false,
        });
        self
    }

    /// What the log is told of the error: place and reason of what whoever runs the server must mend.
    pub(crate) fn logged_cause(&self) -> Option<&str> {
        let cause = self.0.cause.as_ref().filter(|cause| cause.logged)?;
        Some(&cause.text)
    }

    /// Whether more is known than everybody is told.
    pub(crate) fn has_cause(&self) -> bool {
        self.0.cause.is_some()
    }

    /// The same error with all that is known of it, for the lake's owner.
    #[must_use]
    pub fn in_full(mut self) -> ServerError {
        if let Some(cause) = self.0.cause.take() {
            if let Some((schema, table)) = &cause.table {
                self.0.message = message(schema, table);
            }
            self.0.detail = Some(cause.text);
        }
        self
    }

    /// The same error as a role may be told of it.
    #[must_use]
    pub(crate) fn told_to(self, who: &Authorised) -> ServerError {
        if who.is_admin() {
            return self.in_full();
        }
        let mut told = self;
        let Some(cause) = told.0.cause.take() else {
            return told;
        };
        if let Some((schema, table)) = &cause.table {
            let of_dataset = PHYSICAL.contains(&table.as_str());
            let shown = match of_dataset {
                true => who.access.reaches(schema) && !who.access.closes(schema),
                false => who.access.columns(schema, table).is_some(),
            };
            if shown {
                told.0.message = message(schema, table);
            }
        }
        told
    }
}

fn message(schema: &str, table: &str) -> String {
    match PHYSICAL.contains(&table) {
        true => format!("a file of dataset {schema} cannot be read"),
        false => format!("a file of table {schema}.{table} cannot be read"),
    }
}

/// An error that came in a box of the engine's libraries, when it is one of the lake or the engine.
pub(super) fn of_source(source: &(dyn StdError + Send + Sync + 'static)) -> Option<ServerError> {
    /// What has no code of its own.
    const CODE: &str = "58000";
    if let Some(error) = source.downcast_ref::<genokura_exec::Error>() {
        return Some(ServerError::of_engine(CODE, error));
    }
    if let Some(error) = source.downcast_ref::<Storage>() {
        return Some(ServerError::of_storage(CODE, error));
    }
    None
}

/// An error of which only the text is known: it may name a file.
pub(super) fn of_text(code: &'static str, text: String) -> ServerError {
    match table_of(&text) {
        Some(table) => ServerError::of_table(code, text, Some(table)),
        None => ServerError::new(code, text),
    }
}

/// An error of reading a file, by reference.
pub(super) fn of_reading(error: &DataFusionError) -> Option<ServerError> {
    let text = match error {
        DataFusionError::IoError(inner) if inner.kind() == ErrorKind::StorageFull => {
            return Some(disk_full(inner.to_string()));
        }
        DataFusionError::IoError(inner) => inner.to_string(),
        DataFusionError::ObjectStore(inner) => inner.to_string(),
        DataFusionError::ParquetError(inner) => inner.to_string(),
        _ => return None,
    };
    Some(ServerError::of_file("58030", text))
}

/// 53100: files that a statement spills to fill their disk.
pub(super) fn disk_full(text: String) -> ServerError {
    let told = ServerError::of_file("53100", text);
    told.reworded("could not write a temporary file: no space left on device")
}

/// The schema and table of the file that a text names by its path: `…/lab/genotype/pos_bin=chr1:0/part-1.parquet`.
fn table_of(text: &str) -> Option<(String, String)> {
    let file = |at: usize| text.get(..at)?.rsplit_once('/').map(|(dir, _)| dir);
    let log = || text.get(..text.find("/_delta_log")?);
    let dir = text.find(".parquet").and_then(file).or_else(log)?;
    let mut parts = dir.rsplit(['/', ' ', '"']);
    let table = parts.by_ref().find(|part| !part.contains('='))?;
    named((parts.next()?, table))
}

/// Names that can be those of a table.
fn named((schema, table): (&str, &str)) -> Option<(String, String)> {
    let fits = |name| layout::check_name("table", name).is_ok();
    (fits(schema) && fits(table)).then(|| (schema.to_owned(), table.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_file_is_found_in_its_path() {
        let of = |schema: &str, table: &str| Some((schema.to_owned(), table.to_owned()));
        for (text, table) in [
            (
                "Parquet error: Failed to fetch metadata for file a/b/lake/kb/panel/part-00.parquet: Object Store error",
                of("kb", "panel"),
            ),
            (
                "Object at location /data/my lake/lab.v2/site/pos_bin=chr1:0/part-1.parquet not found",
                of("lab.v2", "site"),
            ),
            (
                "/lake/kb/panel/_delta_log/0000.json is damaged",
                of("kb", "panel"),
            ),
            ("/lake/_genokura/commits/1.json is missing", None),
            ("/tmp/spill/x: no space left", None),
            ("panel.parquet", None),
        ] {
            assert_eq!(table_of(text), table, "{text}");
        }
    }

    #[test]
    fn a_full_disk_is_told_as_one() {
        use arrow::error::ArrowError;
        let full = || std::io::Error::from(ErrorKind::StorageFull);
        let of_arrow = || ArrowError::from(full());
        for error in [
            ServerError::from(of_arrow()),
            ServerError::from(DataFusionError::from(of_arrow())),
            ServerError::from(DataFusionError::IoError(full())),
            from_shared(&DataFusionError::from(of_arrow())),
            from_shared(&DataFusionError::IoError(full())),
        ] {
            assert_eq!(error.code(), "53100");
            assert!(error.to_string().ends_with("no space left on device"));
            assert!(error.logged_cause().is_some());
        }
    }

    #[test]
    fn no_place_is_told_to_whom_it_is_not() {
        let error = || ServerError::of_file("58030", "/data/lake/kb/panel/part-1.parquet: is cut");
        assert_eq!(error().to_string(), "a file of the lake cannot be read");
        assert_eq!(error().detail_text(), None);
        let full = error().told_to(&Authorised::owner("o"));
        assert_eq!(full.to_string(), "a file of table kb.panel cannot be read");
        assert!(
            full.detail_text()
                .is_some_and(|text| text.contains("/data/lake"))
        );
    }
}
