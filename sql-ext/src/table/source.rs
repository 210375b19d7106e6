//! What table functions read: `variants` of a dataset, restricted, and other tables of the catalog.

use std::sync::Arc;

use datafusion::catalog::{CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::{DFSchema, DataFusionError, Result as DfResult};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::region::Region;
use genokura_exec::{CATALOG, DatasetInfo, dataset_info};

use crate::contigs::names;
use crate::depth;
use crate::error::{Error, Result};
use crate::nearest::nearest;
use crate::rules::contig_names::origin::Origin;

/// The schema of a dataset.
///
/// # Errors
/// [`Error::UnknownDataset`] with the nearest name.
pub(super) fn dataset_schema(
    catalogs: &Arc<dyn CatalogProviderList>,
    dataset: &str,
) -> Result<Arc<dyn SchemaProvider>> {
    let catalog = catalogs
        .catalog(CATALOG)
        .ok_or(Error::Internal("a session without a catalog"))?;
    let is_dataset = |schema: &Arc<dyn SchemaProvider>| schema.table_exist("variants");
    if let Some(found) = catalog.schema(dataset).filter(is_dataset) {
        return Ok(found);
    }
    let known: Vec<String> = catalog
        .schema_names()
        .into_iter()
        .filter(|name| catalog.schema(name).as_ref().is_some_and(is_dataset))
        .collect();
    Err(Error::UnknownDataset {
        name: dataset.to_owned(),
        nearest: nearest(dataset, known.iter().map(String::as_str)),
    })
}

/// Where the contigs of a dataset come from, which its variants tell.
pub(super) async fn contigs(state: &SessionState, dataset: &str) -> DfResult<Option<Vec<Origin>>> {
    let variants = dataset_schema(state.catalog_list(), dataset)?
        .table("variants")
        .await?;
    Ok(variants.map(|table| vec![Origin::of_column(table, "contig")]))
}

/// A table by schema and name, if the catalog has it.
pub(super) async fn table(
    state: &SessionState,
    schema: &str,
    name: &str,
) -> DfResult<Option<Arc<dyn TableProvider>>> {
    let catalog = state.catalog_list().catalog(CATALOG);
    let Some(schema) = catalog.and_then(|catalog| catalog.schema(schema)) else {
        return Ok(None);
    };
    if !schema.table_exist(name) {
        return Ok(None);
    }
    schema.table(name).await
}

/// `variants` of a dataset.
pub(super) struct Variants {
    pub(super) info: DatasetInfo,
    provider: Arc<dyn TableProvider>,
}

impl Variants {
    pub(super) async fn of(state: &SessionState, dataset: &str) -> DfResult<Self> {
        let schema = dataset_schema(state.catalog_list(), dataset)?;
        let provider = schema.table("variants").await?;
        let provider = provider.ok_or_else(|| internal("a dataset without variants"))?;
        let info = dataset_info(provider.as_ref())
            .ok_or_else(|| internal("variants of a table that is no dataset"))?;
        Ok(Self { info, provider })
    }

    /// A plan of these columns of the rows that a condition and the function itself let through.
    pub(super) async fn plan(
        &self,
        state: &SessionState,
        columns: &[&str],
        condition: Option<&str>,
        own: Option<Expr>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let plan = self.rows(state, condition, own)?;
        let plan = plan
            .project(columns.iter().map(|name| ident(*name)))?
            .build()?;
        state.create_physical_plan(&plan).await
    }

    /// The same before columns are chosen.
    pub(super) fn rows(
        &self,
        state: &SessionState,
        condition: Option<&str>,
        own: Option<Expr>,
    ) -> DfResult<LogicalPlanBuilder> {
        let source = provider_as_source(Arc::clone(&self.provider));
        let mut plan = LogicalPlanBuilder::scan("variants", source, None)?;
        if let Some(text) = condition {
            let filter = self.condition(state, text, plan.schema())?;
            plan = plan.filter(filter)?;
        }
        match own {
            Some(own) => plan.filter(own),
            None => Ok(plan),
        }
    }

    /// A text as a condition: a region, or an expression over the columns.
    fn condition(&self, state: &SessionState, text: &str, schema: &DFSchema) -> DfResult<Expr> {
        if is_expression(text) || schema.has_column_with_unqualified_name(text) {
            return depth::parsed_condition(state, text, schema);
        }
        let region = Region::parse_with(text, &self.info.contigs).map_err(Error::Region)?;
        Ok(self.in_region(&region)?)
    }

    fn in_region(&self, region: &Region) -> Result<Expr> {
        let contigs = self.contigs(&region.contig)?;
        let interval = region.interval_or_all();
        let position = |pos: u32| lit(i32::try_from(pos).unwrap_or(i32::MAX));
        Ok(one_of(&contigs)
            .and(ident("pos").lt_eq(position(interval.end().get())))
            .and(ident("end_pos").gt_eq(position(interval.start().get()))))
    }

    /// The contigs of the dataset that a name means.
    fn contigs(&self, name: &str) -> Result<Vec<String>> {
        let wanted = names(name.to_owned());
        let known = &self.info.contigs;
        let found: Vec<String> = known
            .iter()
            .filter(|c| wanted.contains(c))
            .cloned()
            .collect();
        if found.is_empty() {
            return Err(Error::UnknownContig {
                name: name.to_owned(),
                nearest: nearest(name, known.iter().map(String::as_str)),
            });
        }
        Ok(found)
    }

    /// The condition that rows are of one human primary, under whatever name; false when the dataset has none.
    pub(super) fn on_primary(&self, key: &str) -> Expr {
        let is_it = |name: &&String| genokura_core::contig::canonical_key(name) == Some(key);
        let found: Vec<String> = self.info.contigs.iter().filter(is_it).cloned().collect();
        one_of(&found)
    }
}

fn one_of(contigs: &[String]) -> Expr {
    ident("contig").in_list(contigs.iter().map(|c| lit(c.as_str())).collect(), false)
}

/// Whether a text has what every condition has but a column alone, and no region: white space, quotes, brackets, a
/// comparison.
fn is_expression(text: &str) -> bool {
    text.contains(|c: char| c.is_whitespace() || "\"'()<>=!".contains(c))
}

fn internal(what: &'static str) -> DataFusionError {
    Error::Internal(what).into()
}
