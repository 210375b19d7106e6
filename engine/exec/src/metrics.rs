//! Counters that scans report, and the store wrapper that counts bytes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder,
};
use futures::stream::BoxStream;
use genokura_storage::Lake;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};

use crate::spec::PruneReport;

/// Counters of one partition of a scan.
#[derive(Clone, Debug)]
pub(crate) struct ScanMetrics {
    pub(crate) baseline: BaselineMetrics,
    /// Rows of the site table that left the Parquet reader.
    pub(crate) rows_read: Count,
    /// Row groups that were ruled out when a file was opened, by what a join above had learnt.
    pub(crate) row_groups_pruned: Count,
    /// Pages of filtered columns that the page index was asked about.
    pub(crate) pages_total: Count,
    /// Pages that it ruled out.
    pub(crate) pages_pruned: Count,
    /// Rows of the genotype table that were read.
    pub(crate) genotype_rows: Count,
    /// Rows of the format table that were read.
    pub(crate) format_rows: Count,
    bytes: Count,
}

impl ScanMetrics {
    pub(crate) fn new(set: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name| MetricBuilder::new(set).counter(name, partition);
        Self {
            baseline: BaselineMetrics::new(set, partition),
            rows_read: counter("site_rows_read"),
            row_groups_pruned: counter("dynamic_row_groups_pruned"),
            pages_total: counter("pages_total"),
            pages_pruned: counter("pages_pruned"),
            genotype_rows: counter("genotype_rows_read"),
            format_rows: counter("format_rows_read"),
            bytes: counter("bytes_scanned"),
        }
    }

    /// The lake's store, counting the bytes read from it.
    pub(crate) fn store(&self, lake: &Lake) -> Arc<dyn ObjectStore> {
        Arc::new(CountingStore {
            inner: lake.store(),
            bytes: self.bytes.clone(),
        })
    }
}

/// Reports what planning pruned.
pub(crate) fn report_pruned(set: &ExecutionPlanMetricsSet, report: &PruneReport) {
    let counters = [
        ("files_total", report.files_total),
        (
            "files_pruned",
            report.files_total.saturating_sub(report.files),
        ),
        ("row_groups_total", report.row_groups_total),
        (
            "row_groups_pruned",
            report.row_groups_total.saturating_sub(report.row_groups),
        ),
    ];
    for (name, value) in counters {
        MetricBuilder::new(set).global_counter(name).add(value);
    }
}

/// A store that counts the bytes that leave it.
#[derive(Debug)]
struct CountingStore {
    inner: Arc<dyn ObjectStore>,
    bytes: Count,
}

impl fmt::Display for CountingStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX)
}

#[async_trait]
impl ObjectStore for CountingStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        let result = self.inner.get_opts(location, options).await?;
        self.bytes.add(length(&result.range));
        Ok(result)
    }

    async fn get_ranges(
        &self,
        location: &Path,
        ranges: &[Range<u64>],
    ) -> object_store::Result<Vec<Bytes>> {
        let bytes = self.inner.get_ranges(location, ranges).await?;
        self.bytes.add(bytes.iter().map(Bytes::len).sum());
        Ok(bytes)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
