//! The lake: one object-store URL and everything below it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use lru::LruCache;
use object_store::path::Path;
use object_store::{ObjectStore, PutMode, PutOptions, PutPayload};
use parking_lot::Mutex;
use url::Url;
use uuid::Uuid;

use crate::commit::LakeCommit;
use crate::error::{Error, Result};
use crate::layout::{self, Layout};
use crate::location::Location;
use crate::manifest::TableId;
use crate::snapshot::{LakeSnapshot, TableSnapshot};
use crate::state::LakeState;

/// Table versions kept in memory per lake.
const TABLES_CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(511);

/// How many lake commits are fetched at once.
const LOG_FETCHES: usize = 16;

/// A lake. Cheap to clone; all clones share caches.
#[derive(Clone, Debug)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    layout: Layout,
    newest: Mutex<Option<Arc<LakeSnapshotParts>>>,
    tables: Mutex<LruCache<(TableId, u64), Arc<TableSnapshot>>>,
}

/// A snapshot without the lake in it, so that the cache is no cycle.
#[derive(Debug)]
struct LakeSnapshotParts {
    version: u64,
    /// Of its commit.
    id: String,
    state: Arc<LakeState>,
}

impl Lake {
    /// Opens a lake that exists.
    ///
    /// # Errors
    /// [`Error::NoLake`] when there is none; it says how to make one. [`Error::Location`] for a
    /// URL that no store serves.
    pub async fn open(url: &str) -> Result<Self> {
        let lake = Self::open_or_create(url).await?;
        if lake.snapshot().await?.version.is_none() {
            return Err(Error::NoLake {
                url: url.to_owned(),
            });
        }
        Ok(lake)
    }

    /// Opens a lake; where there is none it begins with the first commit. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Location`] for a URL that no store serves.
    #[expect(
        clippy::unused_async,
        reason = "part of the interface; stores may need a request here"
    )]
    pub async fn open_or_create(url: &str) -> Result<Self> {
        Ok(Self::at(Location::parse(url)?))
    }

    /// A new lake in memory that nobody else can name.
    #[must_use]
    pub fn memory() -> Self {
        let name = Uuid::new_v4().simple();
        let url = format!("memory://{name}/");
        #[expect(
            clippy::expect_used,
            reason = "the URL is built of plain letters and digits"
        )]
        let url = Url::parse(&url).expect("a valid URL");
        let store = Arc::new(object_store::memory::InMemory::new());
        Self::at(Location {
            url,
            store,
            path: Path::default(),
        })
    }

    /// A lake at a location that is at hand, whatever its store is. Writes nothing.
    #[must_use]
    pub fn at(mut location: Location) -> Self {
        if !location.url.path().ends_with('/') {
            let path = format!("{}/", location.url.path());
            location.url.set_path(&path);
        }
        let layout = Layout::new(location.path.clone());
        let tables = Mutex::new(LruCache::new(TABLES_CACHED));
        Self {
            inner: Arc::new(Inner {
                location,
                layout,
                newest: Mutex::default(),
                tables,
            }),
        }
    }

    /// The object store; paths in it are those of [`Lake::layout`] and of every
    /// [`DataFile`](crate::manifest::DataFile).
    #[must_use]
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner.location.store)
    }

    pub(crate) fn store_ref(&self) -> &Arc<dyn ObjectStore> {
        &self.inner.location.store
    }

    /// The URL, with a slash at its end.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.inner.location.url
    }

    /// Where the lake keeps what.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.inner.layout
    }

    /// URL of the root of a table, with a slash at its end.
    #[must_use]
    pub fn table_url(&self, id: &TableId) -> Url {
        let mut url = self.inner.location.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments
                .pop_if_empty()
                .push(&id.schema)
                .push(&id.table)
                .push("");
        }
        url
    }

    /// The newest version. Costs one small request when nothing has changed since the last call.
    ///
    /// # Errors
    /// What the object store reports, and lake commits that cannot be read.
    pub async fn snapshot(&self) -> Result<Arc<LakeSnapshot>> {
        let known = self.inner.newest.lock().clone();
        let mut newest = match known {
            Some(parts) => parts,
            None => match self.newest_listed().await? {
                Some(version) => self.remember(self.read_commit(version).await?),
                None => return Ok(Arc::new(self.snapshot_of(None, Arc::default()))),
            },
        };
        loop {
            match self.read_commit(newest.version + 1).await {
                Ok(commit) => newest = self.remember(commit),
                Err(Error::Missing { .. }) => break,
                Err(other) => return Err(other),
            }
        }
        Ok(Arc::new(self.snapshot_of(
            Some(newest.version),
            Arc::clone(&newest.state),
        )))
    }

    /// An older version (time travel). Its files stay until they are vacuumed.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no such version.
    pub async fn snapshot_at(&self, version: u64) -> Result<Arc<LakeSnapshot>> {
        let commit = self.read_commit(version).await?;
        Ok(Arc::new(
            self.snapshot_of(Some(version), Arc::new(commit.state)),
        ))
    }

    /// All lake commits, oldest first.
    ///
    /// # Errors
    /// What the object store reports, and lake commits that cannot be read.
    pub async fn log(&self) -> Result<Vec<LakeCommit>> {
        let Some(newest) = self.snapshot().await?.version else {
            return Ok(Vec::new());
        };
        futures::stream::iter(0..=newest)
            .map(|version| self.read_commit(version))
            .buffered(LOG_FETCHES)
            .try_collect()
            .await
    }

    /// Takes a batch number of `dataset` that nobody has had. Numbers begin at 0; a number that is
    /// taken and never landed leaves a harmless gap.
    ///
    /// # Errors
    /// [`Error::Name`] for an impossible dataset name; what the object store reports.
    pub async fn reserve_batch(&self, dataset: &str) -> Result<u32> {
        layout::check_name("dataset", dataset)?;
        let mut batch = self.first_free_batch(dataset).await?;
        loop {
            let path = self.layout().batch(dataset, batch);
            let options = PutOptions {
                mode: PutMode::Create,
                ..PutOptions::default()
            };
            match self
                .store_ref()
                .put_opts(&path, PutPayload::default(), options)
                .await
            {
                Ok(_) => return Ok(batch),
                Err(
                    object_store::Error::AlreadyExists { .. }
                    | object_store::Error::Precondition { .. },
                ) => batch += 1,
                Err(other) => return Err(other.into()),
            }
        }
    }

    async fn first_free_batch(&self, dataset: &str) -> Result<u32> {
        let folder = self.layout().batches(dataset);
        let mut reserved = self.store_ref().list(Some(&folder));
        let mut free = 0;
        while let Some(object) = reserved.try_next().await? {
            let number = object
                .location
                .filename()
                .and_then(|name| name.parse::<u32>().ok());
            free = free.max(number.map_or(0, |n| n + 1));
        }
        let snapshot = self.snapshot().await?;
        let landed = snapshot
            .dataset(dataset)
            .into_iter()
            .flat_map(|d| &d.batches);
        Ok(landed.map(|b| b.batch + 1).fold(free, u32::max))
    }

    async fn newest_listed(&self) -> Result<Option<u64>> {
        let folder = self.layout().commits();
        let mut commits = self.store_ref().list(Some(&folder));
        let mut newest = None;
        while let Some(object) = commits.try_next().await? {
            newest = newest.max(Layout::version_of(&object.location));
        }
        Ok(newest)
    }

    fn remember(&self, commit: LakeCommit) -> Arc<LakeSnapshotParts> {
        let parts = Arc::new(LakeSnapshotParts {
            version: commit.version,
            id: commit.id,
            state: Arc::new(commit.state),
        });
        let mut newest = self.inner.newest.lock();
        if newest
            .as_ref()
            .is_none_or(|known| known.version < parts.version)
        {
            *newest = Some(Arc::clone(&parts));
        }
        parts
    }

    /// That the lake is still the one that was read: a backup may have been put in its place meanwhile, with fewer
    /// commits or others.
    ///
    /// # Errors
    /// [`Error::Replaced`] when the newest commit that is known is not there, or is another one.
    pub(crate) async fn check_unreplaced(&self) -> Result<()> {
        let Some(known) = self.inner.newest.lock().clone() else {
            return Ok(());
        };
        match self.read_commit(known.version).await {
            Ok(commit) if commit.id == known.id => Ok(()),
            Ok(_) | Err(Error::Missing { .. }) => Err(Error::Replaced {
                version: known.version,
            }),
            Err(other) => Err(other),
        }
    }

    pub(crate) fn adopt(&self, commit: LakeCommit) -> Arc<LakeSnapshot> {
        let parts = self.remember(commit);
        Arc::new(self.snapshot_of(Some(parts.version), Arc::clone(&parts.state)))
    }

    fn snapshot_of(&self, version: Option<u64>, state: Arc<LakeState>) -> LakeSnapshot {
        LakeSnapshot::new(self.clone(), version, state)
    }

    pub(crate) fn cached_table(&self, key: &(TableId, u64)) -> Option<Arc<TableSnapshot>> {
        self.inner.tables.lock().get(key).cloned()
    }

    pub(crate) fn cache_table(&self, key: (TableId, u64), table: Arc<TableSnapshot>) {
        self.inner.tables.lock().put(key, table);
    }
}
