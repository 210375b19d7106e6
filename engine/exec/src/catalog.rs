//! Names to tables: the catalog of one snapshot as one access context sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::memory::MemorySchemaProvider;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result as DfResult;
use genokura_storage::{LakeSnapshot, TableId};

use crate::access::AccessContext;
use crate::error::Result;
use crate::plain::{PlainTable, headers_table, samples_table};
use crate::session::{DEFAULT_SCHEMA, Engine};
use crate::spec::{CallKind, ScanKind};
use crate::table::DatasetTable;

/// Physical tables of a dataset; SQL shows what is made of them.
const PHYSICAL: [&str; 6] = [
    "site",
    "genotype",
    "format",
    "samples",
    "headers",
    "quarantine",
];
/// What every dataset shows.
const SHOWN: [&str; 5] = ["variants", "calls", "carriers", "samples", "headers"];
/// Refused records; shown when there are any and no sample is hidden, because they hold raw genotypes.
const QUARANTINE: &str = "quarantine";

#[derive(Debug)]
pub(crate) struct LakeCatalog {
    engine: Arc<Engine>,
    snapshot: Arc<LakeSnapshot>,
    access: AccessContext,
    public: Arc<MemorySchemaProvider>,
}

impl LakeCatalog {
    pub(crate) fn new(
        engine: Arc<Engine>,
        snapshot: Arc<LakeSnapshot>,
        access: AccessContext,
    ) -> Self {
        Self {
            engine,
            snapshot,
            access,
            public: Arc::default(),
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        let datasets = self.snapshot.datasets().map(|(name, _)| name);
        let plain = self.snapshot.tables().map(|id| id.schema.as_str());
        datasets.chain(plain).collect()
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.names();
        names.insert(DEFAULT_SCHEMA);
        names.into_iter().map(str::to_owned).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if self.names().contains(name) {
            return Some(Arc::new(LakeSchema {
                engine: Arc::clone(&self.engine),
                snapshot: Arc::clone(&self.snapshot),
                access: self.access.clone(),
                name: name.to_owned(),
            }));
        }
        (name == DEFAULT_SCHEMA).then(|| Arc::clone(&self.public) as _)
    }
}

/// One schema: the tables of a dataset, plain tables, or both.
#[derive(Debug)]
struct LakeSchema {
    engine: Arc<Engine>,
    snapshot: Arc<LakeSnapshot>,
    access: AccessContext,
    name: String,
}

impl LakeSchema {
    fn is_dataset(&self) -> bool {
        self.snapshot.dataset(&self.name).is_some()
    }

    /// Tables that are shown as they are stored.
    fn plain(&self) -> impl Iterator<Item = &str> {
        let tables = self.snapshot.tables().filter(|id| id.schema == self.name);
        let dataset = self.is_dataset();
        let hides_samples = !self.access.sees_all_samples();
        tables.map(|id| id.table.as_str()).filter(move |table| {
            !dataset || (*table == QUARANTINE && !hides_samples) || !PHYSICAL.contains(table)
        })
    }

    async fn provider(&self, table: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.is_dataset() && SHOWN.contains(&table) {
            return self.of_dataset(table).await;
        }
        if !self.plain().any(|name| name == table) {
            return Ok(None);
        }
        let stored = self
            .snapshot
            .table(&TableId::new(&self.name, table))
            .await?;
        Ok(stored.map(|stored| Arc::new(PlainTable::new(stored, &self.access)) as _))
    }

    async fn of_dataset(&self, table: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let view = self
            .engine
            .view(&self.snapshot, &self.name, &self.access)
            .await?;
        let Some(view) = view else { return Ok(None) };
        let scanned = |kind| Arc::new(DatasetTable::new(Arc::clone(&view), kind));
        Ok(Some(match table {
            "variants" => scanned(ScanKind::Variants),
            "calls" => scanned(ScanKind::Calls(CallKind::Calls)),
            "carriers" => scanned(ScanKind::Calls(CallKind::Carriers)),
            "samples" => samples_table(&view)?,
            "headers" => headers_table(&view).await?,
            _ => return Ok(None),
        }))
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let shown: &[&str] = if self.is_dataset() { &SHOWN } else { &[] };
        let mut names: BTreeSet<&str> = shown.iter().copied().collect();
        names.extend(self.plain());
        names.into_iter().map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.provider(name).await?)
    }

    fn table_exist(&self, name: &str) -> bool {
        (self.is_dataset() && SHOWN.contains(&name)) || self.plain().any(|plain| plain == name)
    }
}
