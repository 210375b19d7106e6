//! The Parquet files of a stored table as DataFusion reads them, but for filters that can fail.
//!
//! The Parquet reader judges filters of its own row by row, and what fails there comes back as text: an SQLSTATE and a
//! hint would be lost, and a value be spoken of that another condition leaves out. Such filters stay with the
//! `FilterExec` above the scan, which gives errors as they are; comparisons, which cannot fail, reach the files. So do not
//! those of floats that NaN may meet: bounds of row groups leave it out.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileOpener, FileScanConfig, FileSource, ParquetSource,
};
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, NegativeExpr};
use datafusion::physical_expr::projection::ProjectionExprs;
use datafusion::physical_expr::{
    EquivalenceProperties, HigherOrderFunctionExpr, PhysicalExpr, PhysicalSortExpr,
    ScalarFunctionExpr,
};
use datafusion::physical_plan::filter_pushdown::{FilterPushdownPropagation, PushedDown};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion::physical_plan::{DisplayFormatType, SortOrderPushdownResult};
use datafusion_datasource::morsel::Morselizer;
use object_store::ObjectStore;

use crate::nan::meets_nan;

/// Files of a stored table.
#[derive(Clone)]
pub(crate) struct LakeFiles(Arc<dyn FileSource>);

impl LakeFiles {
    pub(crate) fn new(source: ParquetSource) -> Self {
        Self(Arc::new(source))
    }

    fn again(source: Arc<dyn FileSource>) -> Arc<dyn FileSource> {
        Arc::new(Self(source))
    }
}

impl FileSource for LakeFiles {
    fn create_file_opener(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> DfResult<Arc<dyn FileOpener>> {
        self.0
            .create_file_opener(object_store, base_config, partition)
    }

    fn create_morselizer(
        &self,
        object_store: Arc<dyn ObjectStore>,
        base_config: &FileScanConfig,
        partition: usize,
    ) -> DfResult<Box<dyn Morselizer>> {
        self.0
            .create_morselizer(object_store, base_config, partition)
    }

    fn table_schema(&self) -> &TableSchema {
        self.0.table_schema()
    }

    fn with_batch_size(&self, batch_size: usize) -> Arc<dyn FileSource> {
        Self::again(self.0.with_batch_size(batch_size))
    }

    fn filter(&self) -> Option<Arc<dyn PhysicalExpr>> {
        self.0.filter()
    }

    fn projection(&self) -> Option<&ProjectionExprs> {
        self.0.projection()
    }

    fn metrics(&self) -> &ExecutionPlanMetricsSet {
        self.0.metrics()
    }

    fn file_type(&self) -> &str {
        self.0.file_type()
    }

    fn fmt_extra(&self, t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_extra(t, f)
    }

    fn supports_repartitioning(&self) -> bool {
        self.0.supports_repartitioning()
    }

    fn try_pushdown_filters(
        &self,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn FileSource>>> {
        let schema = self.0.table_schema().table_schema();
        let stays = |filter| can_fail(filter, schema) || meets_nan(filter, schema);
        let fails: Vec<bool> = filters.iter().map(stays).collect();
        let safe = filters.into_iter().zip(&fails);
        let safe = safe.filter(|(_, fails)| !**fails).map(|(filter, _)| filter);
        let pushed = self.0.try_pushdown_filters(safe.collect(), config)?;
        let mut judged = pushed.filters.into_iter();
        let all = fails.into_iter().map(|fails| match fails {
            true => PushedDown::No,
            false => judged.next().unwrap_or(PushedDown::No),
        });
        Ok(FilterPushdownPropagation {
            filters: all.collect(),
            updated_node: pushed.updated_node.map(Self::again),
        })
    }

    fn try_pushdown_sort(
        &self,
        order: &[PhysicalSortExpr],
        eq_properties: &EquivalenceProperties,
    ) -> DfResult<SortOrderPushdownResult<Arc<dyn FileSource>>> {
        use SortOrderPushdownResult::{Exact, Inexact, Unsupported};
        let pushed = self.0.try_pushdown_sort(order, eq_properties)?;
        Ok(match pushed {
            Exact { inner } => Exact {
                inner: Self::again(inner),
            },
            Inexact { inner } => Inexact {
                inner: Self::again(inner),
            },
            Unsupported => Unsupported,
        })
    }

    fn reorder_files(&self, files: Vec<PartitionedFile>) -> Vec<PartitionedFile> {
        self.0.reorder_files(files)
    }

    fn try_pushdown_projection(
        &self,
        projection: &ProjectionExprs,
    ) -> DfResult<Option<Arc<dyn FileSource>>> {
        let pushed = self.0.try_pushdown_projection(projection)?;
        Ok(pushed.map(Self::again))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        self.0.apply_expressions(f)
    }
}

/// Whether a filter over these columns can fail: anything but comparisons, tests for NULL, lists, patterns of LIKE,
/// what connects them, and conversions that keep every value.
fn can_fail(filter: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let found = filter.exists(|part| Ok(fails_itself(part, schema)));
    found.unwrap_or(true)
}

fn fails_itself(part: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    if let Some(binary) = part.downcast_ref::<BinaryExpr>() {
        return !is_safe(*binary.op());
    }
    if let Some(cast) = part.downcast_ref::<CastExpr>() {
        let from = cast.expr().data_type(schema);
        return !from.is_ok_and(|from| keeps_all(&from, cast.cast_type()));
    }
    part.downcast_ref::<ScalarFunctionExpr>().is_some()
        || part.downcast_ref::<HigherOrderFunctionExpr>().is_some()
        || part.downcast_ref::<NegativeExpr>().is_some()
}

fn is_safe(op: Operator) -> bool {
    use Operator::{And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq, Or};
    matches!(
        op,
        And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom
    )
}

/// Whether every value of a type has one of another.
fn keeps_all(from: &DataType, to: &DataType) -> bool {
    use DataType::{Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Utf8, Utf8View};
    let whole = |data_type: &DataType| match data_type {
        Int8 => Some(1),
        Int16 => Some(2),
        Int32 => Some(4),
        Int64 => Some(8),
        _ => None,
    };
    let text = |data_type: &DataType| matches!(data_type, Utf8 | LargeUtf8 | Utf8View);
    match (whole(from), whole(to)) {
        _ if from == to => true,
        (Some(from), Some(to)) => from <= to,
        (Some(_), None) => matches!(to, Float32 | Float64),
        _ => (from == &Float32 && to == &Float64) || (text(from) && text(to)),
    }
}
