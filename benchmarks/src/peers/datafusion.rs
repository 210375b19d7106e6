//! Stock DataFusion over the long-format Parquet, warm in this process, two partitions.

use std::path::Path;
use std::time::Instant;

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

/// The name in reports.
pub(crate) const LONG: &str = "DataFusion (warm)";

/// Seconds of each repetition, after one to warm; the rows are collected as Arrow.
///
/// # Errors
/// When the statement fails.
pub(crate) fn seconds(directory: &Path, sql: &str, repetitions: usize) -> anyhow::Result<Vec<f64>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let context = context(directory).await?;
        let sql = sql.trim().trim_end_matches(';');
        let mut seconds = Vec::new();
        for repetition in 0..=repetitions {
            let started = Instant::now();
            context.sql(sql).await?.collect().await?;
            if repetition > 0 {
                seconds.push(started.elapsed().as_secs_f64());
            }
        }
        Ok(seconds)
    })
}

/// Rows of a statement, tab separated.
///
/// # Errors
/// When the statement fails.
pub(crate) fn answer(directory: &Path, sql: &str) -> anyhow::Result<String> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let batches = runtime.block_on(async {
        let context = context(directory).await?;
        let sql = sql.trim().trim_end_matches(';');
        anyhow::Ok(context.sql(sql).await?.collect().await?)
    })?;
    let mut text = String::new();
    for batch in batches {
        let options = FormatOptions::default();
        let columns = batch.columns().iter();
        let columns: Vec<ArrayFormatter<'_>> = columns
            .map(|column| ArrayFormatter::try_new(column, &options))
            .collect::<Result<_, _>>()?;
        for row in 0..batch.num_rows() {
            let values = columns.iter().map(|column| column.value(row).to_string());
            text.push_str(&values.collect::<Vec<_>>().join("\t"));
            text.push('\n');
        }
    }
    Ok(text)
}

async fn context(directory: &Path) -> anyhow::Result<SessionContext> {
    let config = SessionConfig::new().with_target_partitions(2);
    let context = SessionContext::new_with_config(config);
    for name in ["carriers", "cohort", "samples"] {
        let path = directory.join(format!("{name}.parquet"));
        let path = path.to_string_lossy().into_owned();
        context
            .register_parquet(name, path, ParquetReadOptions::default())
            .await?;
    }
    Ok(context)
}
