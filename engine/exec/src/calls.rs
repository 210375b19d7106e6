//! Skeleton.
use std::sync::Arc;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use crate::dataset::DatasetView;
use crate::error::Error;
use crate::spec::CallKind;
#[derive(Debug)]
pub(crate) struct CallsTable { schema: SchemaRef }
impl CallsTable {
    pub(crate) fn new(view: Arc<DatasetView>, _kind: CallKind) -> Self {
        Self { schema: genokura_core::schema::calls_schema(&view.data.state.format) }
    }
}
#[async_trait]
impl TableProvider for CallsTable {
    fn schema(&self) -> SchemaRef { Arc::clone(&self.schema) }
    fn table_type(&self) -> TableType { TableType::Base }
    async fn scan(&self, _: &dyn Session, _: Option<&Vec<usize>>, _: &[Expr], _: Option<usize>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Err(Error::Internal("the scan has not landed yet".into()).into())
    }
}
