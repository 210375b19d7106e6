//! An immutable version of the lake and of its tables; time travel.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use genokura_core::contig::{canonical_key, common_spelling, names_contigs};
use genokura_core::schema::{CONTIG_LIKE_KEY, CONTIG_SPELLING_KEY, UNUSUAL_CONTIGS_KEY};

use crate::delta::DeltaTable;
use crate::error::Result;
use crate::lake::Lake;
use crate::manifest::{DataFile, ScalarStat, TableId};
use crate::state::{DatasetState, LakeState};

/// The lake at one version. It never changes; holding it keeps nothing locked.
#[derive(Clone, Debug)]
pub struct LakeSnapshot {
    /// Version of the lake commit; `None` for a lake without commits.
    pub version: Option<u64>,
    /// What that commit says.
    pub state: Arc<LakeState>,
    lake: Lake,
}

impl LakeSnapshot {
    pub(crate) fn new(lake: Lake, version: Option<u64>, state: Arc<LakeState>) -> Self {
        Self {
            version,
            state,
            lake,
        }
    }

    /// The lake that this is a version of.
    #[must_use]
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Datasets by name, sorted.
    pub fn datasets(&self) -> impl Iterator<Item = (&str, &DatasetState)> {
        self.state
            .datasets
            .iter()
            .map(|(name, state)| (name.as_str(), state))
    }

    /// One dataset.
    #[must_use]
    pub fn dataset(&self, name: &str) -> Option<&DatasetState> {
        self.state.datasets.get(name)
    }

    /// Physical tables, sorted by schema and table.
    pub fn tables(&self) -> impl Iterator<Item = &TableId> {
        self.state.tables.keys()
    }

    /// The version of a table that belongs to this lake version; `None` if there was none.
    /// Read once per Delta version and kept.
    ///
    /// # Errors
    /// [`Error::Delta`](crate::Error::Delta) when its log cannot be read.
    pub async fn table(&self, id: &TableId) -> Result<Option<Arc<TableSnapshot>>> {
        let Some(pin) = self.state.tables.get(id) else {
            return Ok(None);
        };
        let key = (id.clone(), pin.delta_version);
        if let Some(table) = self.lake.cached_table(&key) {
            return Ok(Some(table));
        }
        let table = DeltaTable::of(&self.lake, id)
            .snapshot_at(pin.delta_version)
            .await?;
        let table = Arc::new(table);
        self.lake.cache_table(key, Arc::clone(&table));
        Ok(Some(table))
    }
}

/// A table at one Delta version.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    /// The table.
    pub id: TableId,
    /// Its Delta version.
    pub delta_version: u64,
    /// All columns, every one nullable; partition columns are among them and are not in the files.
    /// Field metadata `comment` and what else the writer gave is kept.
    pub schema: SchemaRef,
    /// Names of the partition columns.
    pub partition_columns: Vec<String>,
    /// Files in order of path.
    pub files: Vec<DataFile>,
}

impl TableSnapshot {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Whether its column `alt` holds symbolic alleles, as far as the bounds of the files tell: `<` comes before all bases.
    #[must_use]
    pub fn has_symbolic_alleles(&self) -> bool {
        let mut bounds = self.files.iter().filter_map(|file| {
            let stats = file.stats.column("alt")?;
            stats.min.as_ref()
        });
        bounds.any(|min| matches!(min, ScalarStat::Text(text) if text.starts_with('<')))
    }

    /// How a column of contigs spells the human primaries, as it told when rows were written, or, of tables that are older,
    /// as far as the bounds of the files tell: in a table of several spellings, the first and the last name are of
    /// different ones. A column that only its name says to hold contigs must have primaries as all bounds. `None` for
    /// other columns and where nothing tells.
    #[must_use]
    pub fn contig_spelling(&self, column: &str) -> Option<&str> {
        if !names_contigs(column) {
            return None;
        }
        let of_bounds = || match column {
            "contig" => common_spelling(self.bounds(column)),
            _ => self.spelling_of_bounds(column),
        };
        self.told(column, CONTIG_SPELLING_KEY).or_else(of_bounds)
    }

    /// How a column that is not called as contigs are spells human primaries, where half of its names are such, or, in
    /// tables that are older, all bounds of its files.
    #[must_use]
    pub fn contig_like(&self, column: &str) -> Option<&str> {
        if names_contigs(column) {
            return None;
        }
        let told = self.told(column, CONTIG_LIKE_KEY);
        told.or_else(|| self.spelling_of_bounds(column))
    }

    fn told(&self, column: &str, key: &str) -> Option<&str> {
        let field = self.schema.field_with_name(column).ok()?;
        field.metadata().get(key).map(String::as_str)
    }

    fn spelling_of_bounds(&self, column: &str) -> Option<&str> {
        let mut bounds = self.bounds(column);
        if bounds.any(|name| canonical_key(name).is_none()) {
            return None;
        }
        common_spelling(self.bounds(column))
    }

    /// The names in a column of contigs that other tables do not use for a human contig (`chr01`, `chrMT`), one a line, as
    /// they were seen when rows were written; `None` where that is not known.
    #[must_use]
    pub fn unusual_contigs(&self, column: &str) -> Option<&str> {
        self.told(column, UNUSUAL_CONTIGS_KEY)
    }

    /// The first and the last text in a column of each file, where known.
    fn bounds(&self, column: &str) -> impl Iterator<Item = &str> {
        let bounds = self.files.iter().filter_map(move |file| {
            let stats = file.stats.column(column)?;
            Some([stats.min.as_ref(), stats.max.as_ref()])
        });
        bounds.flatten().filter_map(|bound| match bound {
            Some(ScalarStat::Text(name)) => Some(name.as_str()),
            _ => None,
        })
    }
}
