//! The schema of a session's temporary relations, laid over the catalog of its snapshot.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProviderList, SchemaProvider, Session,
    TableProvider,
};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::{MemTable, TableType};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

use super::{Relation, TempState, TempView, sequence};
use crate::session::DATABASE;

/// The context, with the temporary relations of a session in the schema `name`.
pub(in crate::session) fn with_temporary(
    context: &SessionContext,
    name: &str,
    temporary: &TempState,
) -> SessionContext {
    let state = context.state();
    let catalogs = MemoryCatalogProviderList::new();
    for known in state.catalog_list().catalog_names() {
        let Some(catalog) = state.catalog_list().catalog(&known) else {
            continue;
        };
        let catalog = match known == DATABASE {
            true => Arc::new(Overlay {
                lake: catalog,
                name: name.to_owned(),
                schema: Arc::new(TempSchema(temporary.clone())),
            }),
            false => catalog,
        };
        catalogs.register_catalog(known, catalog);
    }
    let builder = SessionStateBuilder::new_from_existing(state);
    let state = builder.with_catalog_list(Arc::new(catalogs)).build();
    let context = SessionContext::new_with_state(state);
    sequence::register(&context, temporary);
    context
}

struct Overlay {
    lake: Arc<dyn CatalogProvider>,
    name: String,
    schema: Arc<TempSchema>,
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl CatalogProvider for Overlay {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.lake.schema_names();
        names.push(self.name.clone());
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == self.name {
            return Some(Arc::clone(&self.schema) as _);
        }
        self.lake.schema(name)
    }
}

struct TempSchema(TempState);

impl std::fmt::Debug for TempSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TempSchema")
    }
}

#[async_trait]
impl SchemaProvider for TempSchema {
    fn table_names(&self) -> Vec<String> {
        self.0.relations.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(match self.0.get(name) {
            None => None,
            Some(Relation::Table(table)) => {
                let batches = table.pieces.iter().map(|piece| piece.batch.clone());
                let batches = vec![batches.collect()];
                let table = MemTable::try_new(Arc::clone(&table.schema), batches)?;
                Some(Arc::new(table))
            }
            Some(Relation::Sequence(sequence)) => {
                let row = sequence.row();
                let row = row.map_err(|error| DataFusionError::External(Box::new(error)))?;
                Some(Arc::new(MemTable::try_new(row.schema(), vec![vec![row]])?))
            }
            Some(Relation::View(view)) => Some(Arc::new(ViewShape(Arc::clone(view)))),
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.get(name).is_some()
    }
}

/// What the system catalog shows of a view; statements read its query instead.
struct ViewShape(Arc<TempView>);

impl std::fmt::Debug for ViewShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ViewShape")
    }
}

#[async_trait]
impl TableProvider for ViewShape {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    fn get_table_definition(&self) -> Option<&str> {
        Some(&self.0.definition)
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        _projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        datafusion::common::not_impl_err!("a temporary view as the argument of a table function")
    }
}
