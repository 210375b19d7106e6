//! The long-format Parquet that DuckDB and stock DataFusion are given; see `long_table.py`.

use std::path::{Path, PathBuf};

use crate::RunArgs;
use crate::measure;

/// The directory of the tables; made unless it is there. `cohort` lists names, a line each.
///
/// # Errors
/// When Python fails.
pub(crate) fn tables(args: &RunArgs, cohort: &Path) -> anyhow::Result<PathBuf> {
    let directory = args.scratch.join("long");
    if !directory.join("carriers.parquet").exists() {
        measure::output(&format!(
            "{} {} {} {} {}",
            args.python.display(),
            concat!(env!("CARGO_MANIFEST_DIR"), "/long_table.py"),
            args.cohort.display(),
            cohort.display(),
            directory.display()
        ))?;
    }
    Ok(directory)
}
