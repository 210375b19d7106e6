//! Names to tables: the catalog of one snapshot as one access context sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::memory::MemorySchemaProvider;
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::error::Result as DfResult;
use genokura_storage::{LakeSnapshot, TableId, TableSnapshot};
use tokio::sync::OnceCell;

use crate::access::AccessContext;
use crate::cohorts::{self, COHORTS, CohortsTable, OWN_SCHEMA};
use crate::effects::{EFFECTS, EffectsTable, has_annotations};
use crate::error::Result;
use crate::plain::{PlainTable, headers_table, samples_table};
use crate::session::{DEFAULT_SCHEMA, Engine};
use crate::spec::{CallKind, ScanKind};
use crate::table::DatasetTable;
use crate::visible_rows::{
    FAMILY, RowKeys, SAMPLE, VisibleKeys, key_column, names_relatives, visible_families,
    visible_persons, visible_samples,
};

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
    people: Arc<People>,
}

/// Who a session with hidden samples may see, read when the first table asks.
#[derive(Debug, Default)]
struct People {
    persons: OnceCell<Arc<BTreeSet<String>>>,
    families: OnceCell<Arc<BTreeSet<String>>>,
    /// Persons and samples.
    named: OnceCell<Arc<BTreeSet<String>>>,
}

impl LakeCatalog {
    pub(crate) fn new(
        engine: Arc<Engine>,
        snapshot: Arc<LakeSnapshot>,
        access: AccessContext,
    ) -> Self {
        let access = access.owning(snapshot.cohorts());
        Self {
            engine,
            snapshot,
            access,
            public: Arc::default(),
            people: Arc::default(),
        }
    }

    /// Schemas with a table that the session may read, and those whose use it was given. The others are absent.
    fn names(&self) -> BTreeSet<&str> {
        let datasets = self.snapshot.datasets().map(|(name, _)| name);
        let plain = self.snapshot.tables().map(|id| id.schema.as_str());
        let names: BTreeSet<&str> = datasets.chain(plain).chain([OWN_SCHEMA]).collect();
        names.into_iter().filter(|name| self.shows(name)).collect()
    }

    /// Whether a schema exists for the session.
    fn shows(&self, name: &str) -> bool {
        let is_there = || {
            let mut plain = self.snapshot.tables();
            self.snapshot.dataset(name).is_some() || plain.any(|id| id.schema == name)
        };
        !self.schema_of(name).tables().is_empty() || (self.access.was_given(name) && is_there())
    }

    fn schema_of(&self, name: &str) -> LakeSchema {
        LakeSchema {
            engine: Arc::clone(&self.engine),
            snapshot: Arc::clone(&self.snapshot),
            access: self.access.clone(),
            people: Arc::clone(&self.people),
            name: name.to_owned(),
        }
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names = self.names();
        names.insert(DEFAULT_SCHEMA);
        names.into_iter().map(str::to_owned).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let schema = self.schema_of(name);
        if name == DEFAULT_SCHEMA {
            let own = Arc::clone(&self.public);
            return Some(Arc::new(DefaultSchema { own, lake: schema }));
        }
        self.shows(name).then(|| Arc::new(schema) as _)
    }
}

/// The schema of unqualified names: what the session registers itself, and behind it the cohorts of the lake.
#[derive(Debug)]
struct DefaultSchema {
    own: Arc<MemorySchemaProvider>,
    lake: LakeSchema,
}

#[async_trait]
impl SchemaProvider for DefaultSchema {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.own.table_names();
        let of_lake = self.lake.table_names().into_iter();
        names.extend(of_lake.filter(|name| !self.own.table_exist(name)));
        names
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        match self.own.table(name).await? {
            Some(table) => Ok(Some(table)),
            None => self.lake.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.own.table_exist(name) || self.lake.table_exist(name)
    }

    fn register_table(
        &self,
        name: String,
        table: Arc<dyn TableProvider>,
    ) -> DfResult<Option<Arc<dyn TableProvider>>> {
        self.own.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        self.own.deregister_table(name)
    }
}

/// One schema: the tables of a dataset, plain tables, or both.
#[derive(Debug)]
struct LakeSchema {
    engine: Arc<Engine>,
    snapshot: Arc<LakeSnapshot>,
    access: AccessContext,
    people: Arc<People>,
    name: String,
}

impl LakeSchema {
    /// Whether this is a dataset with annotations.
    fn has_effects(&self) -> bool {
        let dataset = self.snapshot.dataset(&self.name);
        dataset.is_some_and(has_annotations)
    }

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

    /// The tables that the session may read. One that it may not read is not there at all.
    fn tables(&self) -> BTreeSet<&str> {
        let shown: &[&str] = if self.is_dataset() { &SHOWN } else { &[] };
        let effects = self.has_effects().then_some(EFFECTS);
        let names = shown.iter().copied().chain(effects).chain(self.plain());
        let readable = |table: &&str| self.access.columns(&self.name, table).is_some();
        let mut names: BTreeSet<&str> = names.filter(readable).collect();
        if self.name == OWN_SCHEMA && cohorts::shown(&self.snapshot, &self.access) {
            names.insert(COHORTS);
        }
        names
    }

    /// Which rows of a plain table the session may see; `None`: all.
    async fn visible_keys(&self, table: &TableSnapshot) -> Result<Option<VisibleKeys>> {
        let Some(samples) = visible_samples(&self.access) else {
            return Ok(None);
        };
        let rows = match key_column(&table.schema) {
            None => None,
            Some(column) => {
                let keys = match column {
                    SAMPLE => Arc::new(samples.clone()),
                    FAMILY => self.families(&samples).await?,
                    _ => self.persons(&samples).await?,
                };
                Some(RowKeys { column, keys })
            }
        };
        let relatives = match names_relatives(&table.schema) {
            true => Some(self.named(&samples).await?),
            false => None,
        };
        let hides = rows.is_some() || relatives.is_some();
        Ok(hides.then_some(VisibleKeys { rows, relatives }))
    }

    async fn persons(&self, samples: &BTreeSet<String>) -> Result<Arc<BTreeSet<String>>> {
        let (lake, snapshot) = (self.engine.lake(), &self.snapshot);
        let read = || async {
            let persons = visible_persons(lake, snapshot, samples).await;
            persons.map(Arc::new)
        };
        let persons = self.people.persons.get_or_try_init(read).await?;
        Ok(Arc::clone(persons))
    }

    async fn families(&self, samples: &BTreeSet<String>) -> Result<Arc<BTreeSet<String>>> {
        let persons = self.persons(samples).await?;
        let (lake, snapshot) = (self.engine.lake(), &self.snapshot);
        let read = || async {
            let families = visible_families(lake, snapshot, samples, &persons).await;
            families.map(Arc::new)
        };
        let families = self.people.families.get_or_try_init(read).await?;
        Ok(Arc::clone(families))
    }

    /// Whom cells about relatives may name: pedigrees name persons or samples there.
    async fn named(&self, samples: &BTreeSet<String>) -> Result<Arc<BTreeSet<String>>> {
        let persons = self.persons(samples).await?;
        let both = || async { Arc::new(samples.union(&persons).cloned().collect()) };
        Ok(Arc::clone(self.people.named.get_or_init(both).await))
    }

    async fn provider(&self, table: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if !self.tables().contains(table) {
            return Ok(None);
        }
        if self.is_dataset() && (table == EFFECTS || SHOWN.contains(&table)) {
            return self.of_dataset(table).await;
        }
        if self.name == OWN_SCHEMA && table == COHORTS {
            let (engine, snapshot) = (Arc::clone(&self.engine), Arc::clone(&self.snapshot));
            let table = CohortsTable::new(engine, snapshot, self.access.clone());
            return Ok(Some(Arc::new(table)));
        }
        let stored = self
            .snapshot
            .table(&TableId::new(&self.name, table))
            .await?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let visible = self.visible_keys(&stored).await?;
        let table = PlainTable::new(stored, &self.access).with_visible(visible);
        Ok(Some(Arc::new(table)))
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
            EFFECTS => Arc::new(EffectsTable::new(view).await?),
            _ => return Ok(None),
        }))
    }
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables().into_iter().map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> DfResult<Option<Arc<dyn TableProvider>>> {
        Ok(self.provider(name).await?)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables().contains(name)
    }
}
