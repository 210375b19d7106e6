//! Lake commits: the one place where a change of the lake becomes visible.
//!
//! # The rule
//! A lake is the newest object in `_genokura/commits`. It holds the whole state: which Delta
//! version of every table belongs to it, and what is known of every dataset. Readers follow only
//! those pins. A writer therefore (1) writes files, (2) commits a Delta version of each table it
//! touches, (3) puts lake commit `N` if it is absent. Before step 3 nobody sees anything.
//!
//! # Orphans
//! A writer may die after step 2. Its Delta version stays in the log, and later versions build on
//! it. So that its rows never appear, no Delta version is ever "the previous one plus mine".
//! It is always made so that
//!
//! ```text
//! files(new Delta version) = files(version pinned by the newest lake commit) + my files
//! ```
//!
//! whatever stands in between: files of the tip that the newest lake commit does not pin are
//! removed in the same Delta transaction, pinned files that the tip lacks are added again, and
//! the schema is put right likewise. The Delta log needs no mark of who is alive: a writer that
//! is alive and lost its files this way finds at step 3 that lake commit `N` exists, reads what
//! it pins, and makes a Delta version anew by the same rule, with its files added again.
//!
//! ```text
//!            Delta log of T                       lake commits
//!            v4 {a}                               6: T=v4
//! A: +b      v5 {a,b}
//! B: +c      v6 {a,c}    (b is not pinned: out)
//! A lands                                         7: T=v5 {a,b}    fine: v5 = v4 + b
//! B at 7: taken; pin of T is v5 now
//! B: +c      v7 {a,b,c}                           8: T=v7
//! ```
//!
//! A table whose pin did not move between two attempts keeps the Delta version made before, so
//! writers of different tables only race for the number of the lake commit. Each lost race means
//! that somebody else landed, so the lake as a whole always moves on.
//!
//! Readers of Delta tables from outside (Spark, DuckDB, polars) see the tip of a Delta log: until
//! the next commit to that table it may hold rows of a dead writer, or lack the rows of a writer
//! that landed while another was between steps 2 and 3 and died there. `lake verify` reports a
//! tip that differs from its pin.
//!
//! # Conflicts
//! Appends never conflict logically. Conflicts are: replacing a table that somebody else changed,
//! appending to one that somebody else replaced, and the cases of
//! [`DatasetState::merge`](crate::state::DatasetState::merge).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use object_store::{ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::cohort::cohort_table;
use crate::delta::DeltaTable;
use crate::error::{Error, Result};
use crate::lake::Lake;
use crate::layout;
use crate::manifest::{NewFile, TableId};
use crate::snapshot::LakeSnapshot;
use crate::state::{CohortState, DatasetState, LakeState, TablePin};

/// The newest format of lake commits that this code reads. It writes the lowest one that says all there is: 2 for a
/// lake with cohorts, which an older program would lose, 1 for every other.
pub const FORMAT: u32 = 2;

/// How often a commit is tried while other writers land first.
const ATTEMPTS_MAX: u32 = 200;

/// One version of the lake: what changed and the whole state after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LakeCommit {
    /// Format of this object; see [`FORMAT`].
    pub format: u32,
    /// Version of the lake, from 0.
    pub version: u64,
    /// Tells this commit from every other, so that a writer knows its own.
    pub id: String,
    /// When it was made, RFC 3339 in UTC.
    pub timestamp: String,
    /// Program and version that made it.
    pub engine: String,
    /// What was done, such as `ingest vcf`.
    pub operation: String,
    /// The dataset it changed, if any.
    pub dataset: Option<String>,
    /// What it did to each table.
    pub changes: Vec<TableChanged>,
    /// Free details of the operation.
    pub details: serde_json::Value,
    /// The lake after it.
    pub state: LakeState,
}

/// What a lake commit did to one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChanged {
    /// The table.
    pub table: TableId,
    /// Its Delta version since then.
    pub delta_version: u64,
    /// Files added.
    pub files: u64,
    /// Rows added.
    pub rows: u64,
    /// True when the rows before were dropped.
    pub replaced: bool,
}

/// A change of the lake, to be committed as a whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct LakeChange {
    /// What is done, such as `ingest vcf`; for the log.
    pub operation: String,
    /// A dataset's new state, made from the state in the snapshot the change is based on.
    pub dataset: Option<(String, DatasetState)>,
    /// Tables to change; each at most once.
    pub tables: Vec<TableChange>,
    /// Cohorts: what is said of each from now on; `None` takes one away with its table. The table of a cohort that
    /// stays is among `tables`.
    pub cohorts: BTreeMap<String, Option<CohortState>>,
    /// Free details for the log.
    pub details: serde_json::Value,
}

impl LakeChange {
    /// Tables that go away.
    fn dropped(&self) -> impl Iterator<Item = TableId> + '_ {
        let gone = self.cohorts.iter().filter(|(_, state)| state.is_none());
        gone.map(|(name, _)| cohort_table(name))
    }
}

/// A change of one table.
#[derive(Clone, Debug)]
pub struct TableChange {
    /// The table; it is made if it does not exist.
    pub id: TableId,
    /// Columns of the rows. Columns the table lacks are added to it (NULL in its older rows);
    /// columns of the table that are absent here are NULL in the new rows.
    /// Partition columns may be left out.
    pub schema: SchemaRef,
    /// Empty, or `["pos_bin"]`.
    pub partition_columns: Vec<String>,
    /// Files to add.
    pub add: Vec<NewFile>,
    /// Drop all rows and columns that were there before.
    pub replace: bool,
}

/// How an attempt to commit ended.
#[derive(Debug)]
pub enum CommitOutcome {
    /// It is visible; this is the lake with it.
    Committed(Arc<LakeSnapshot>),
    /// It cannot be merged with what landed meanwhile. Nothing is visible. Plan again from a
    /// new snapshot.
    Conflict {
        /// The lake version that it collides with.
        version: u64,
        /// Why, for people.
        reason: String,
    },
}

/// A Delta version made in an earlier attempt, with the pin it builds on.
type Made = HashMap<TableId, (Option<TablePin>, u64)>;

enum Merged {
    State(Option<DatasetState>),
    Conflict(String),
}

impl Lake {
    /// Commits `change`, which was planned on `base`: Delta versions first, then the lake commit.
    ///
    /// When others landed in between and the changes do not collide it rebases and tries again.
    /// When the future is dropped before it ends, nothing or everything is visible.
    ///
    /// # Errors
    /// [`Error::ColumnType`] and [`Error::UnsupportedType`] for rows that do not fit the table,
    /// [`Error::Contended`] after many lost races, [`Error::Replaced`] when the lake is not the one that was read, and what the object store reports.
    pub async fn commit(&self, base: &LakeSnapshot, change: LakeChange) -> Result<CommitOutcome> {
        check(&change)?;
        let mut made = Made::new();
        let id = Uuid::new_v4().to_string();
        for attempt in 0..ATTEMPTS_MAX {
            let head = self.snapshot().await?;
            self.check_unreplaced().await?;
            if let Some(outcome) = self.collision(base, &head, &change).await? {
                return Ok(outcome);
            }
            let dataset = match merge_dataset(base, &head, &change) {
                Merged::State(state) => state,
                Merged::Conflict(reason) => {
                    return Ok(CommitOutcome::Conflict {
                        version: head.version.unwrap_or_default(),
                        reason,
                    });
                }
            };
            for table in &change.tables {
                self.make_delta_version(&head, table, &mut made).await?;
            }
            let commit = record(&head, &change, dataset, &made, &id);
            if self.put_commit(&commit).await? {
                return Ok(CommitOutcome::Committed(self.adopt(commit)));
            }
            pause(attempt).await;
        }
        Err(Error::Contended {
            what: "the lake".to_owned(),
            attempts: ATTEMPTS_MAX,
        })
    }

    async fn make_delta_version(
        &self,
        head: &LakeSnapshot,
        change: &TableChange,
        made: &mut Made,
    ) -> Result<()> {
        let pin = head.state.tables.get(&change.id).copied();
        if made.get(&change.id).is_some_and(|(basis, _)| *basis == pin) {
            return Ok(());
        }
        let pinned = head.table(&change.id).await?;
        let version = DeltaTable::of(self, &change.id)
            .commit(pinned, change)
            .await?;
        made.insert(change.id.clone(), (pin, version));
        Ok(())
    }

    /// A collision of `change` with what landed after `base`, if there is one.
    async fn collision(
        &self,
        base: &LakeSnapshot,
        head: &LakeSnapshot,
        change: &LakeChange,
    ) -> Result<Option<CommitOutcome>> {
        let pins = |id: &TableId| [base, head].map(|at| at.state.tables.get(id));
        if let Some(id) = change.dropped().find(|id| pins(id)[0] != pins(id)[1]) {
            return Ok(Some(CommitOutcome::Conflict {
                version: head.version.unwrap_or_default(),
                reason: format!("table {id} was changed by another writer"),
            }));
        }
        let moved: Vec<&TableChange> = change
            .tables
            .iter()
            .filter(|t| pins(&t.id)[0] != pins(&t.id)[1])
            .collect();
        if moved.is_empty() {
            return Ok(None);
        }
        let first = base.version.map_or(0, |v| v + 1);
        for version in first..=head.version.unwrap_or_default() {
            let landed = self.read_commit(version).await?;
            for changed in &landed.changes {
                let Some(table) = moved.iter().find(|t| t.id == changed.table) else {
                    continue;
                };
                if table.replace || changed.replaced {
                    let reason = format!("table {} was changed by another writer", table.id);
                    return Ok(Some(CommitOutcome::Conflict { version, reason }));
                }
            }
        }
        Ok(None)
    }

    /// Puts a lake commit; false when another one has its number.
    async fn put_commit(&self, commit: &LakeCommit) -> Result<bool> {
        let path = self.layout().commit(commit.version);
        let text = serde_json::to_vec_pretty(commit).map_err(|e| Error::json(&path, e))?;
        let options = PutOptions {
            mode: PutMode::Create,
            ..PutOptions::default()
        };
        match self
            .store_ref()
            .put_opts(&path, PutPayload::from(text), options)
            .await
        {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => {
                // A request that was retried below us may have collided with itself.
                Ok(self.read_commit(commit.version).await?.id == commit.id)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Reads lake commit `version`.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none.
    pub async fn read_commit(&self, version: u64) -> Result<LakeCommit> {
        let path = self.layout().commit(version);
        let bytes = self.store_ref().get(&path).await?.bytes().await?;
        LakeCommit::parse(&bytes, &path)
    }
}

impl LakeCommit {
    pub(crate) fn parse(bytes: &[u8], path: &object_store::path::Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|e| Error::json(path, e))?;
        if head.format > FORMAT {
            let path = path.to_string();
            return Err(Error::NewerFormat {
                path,
                found: head.format,
                known: FORMAT,
            });
        }
        serde_json::from_slice(bytes).map_err(|e| Error::json(path, e))
    }
}

fn check(change: &LakeChange) -> Result<()> {
    if let Some((name, _)) = &change.dataset {
        layout::check_name("dataset", name)?;
    }
    for (i, table) in change.tables.iter().enumerate() {
        table.id.check()?;
        if change.tables[..i].iter().any(|t| t.id == table.id) {
            return Err(Error::Internal(format!(
                "table {} is in the change twice",
                table.id
            )));
        }
    }
    Ok(())
}

fn merge_dataset(base: &LakeSnapshot, head: &LakeSnapshot, change: &LakeChange) -> Merged {
    let Some((name, mine)) = &change.dataset else {
        return Merged::State(None);
    };
    match DatasetState::merge(base.dataset(name), mine, head.dataset(name)) {
        Ok(state) => Merged::State(Some(state)),
        Err(reason) => Merged::Conflict(format!("dataset {name}: {reason}")),
    }
}

fn record(
    head: &LakeSnapshot,
    change: &LakeChange,
    dataset: Option<DatasetState>,
    made: &Made,
    id: &str,
) -> LakeCommit {
    let mut state = LakeState::clone(&head.state);
    let mut changes = Vec::with_capacity(change.tables.len());
    for table in &change.tables {
        let Some(&(_, delta_version)) = made.get(&table.id) else {
            continue;
        };
        state
            .tables
            .insert(table.id.clone(), TablePin { delta_version });
        changes.push(TableChanged {
            table: table.id.clone(),
            delta_version,
            files: table.add.len() as u64,
            rows: table.add.iter().map(|file| file.rows).sum(),
            replaced: table.replace,
        });
    }
    for table in change.dropped() {
        if let Some(pin) = state.tables.remove(&table) {
            changes.push(TableChanged {
                table,
                delta_version: pin.delta_version,
                files: 0,
                rows: 0,
                replaced: true,
            });
        }
    }
    for (name, cohort) in &change.cohorts {
        match cohort {
            Some(cohort) => state.cohorts.insert(name.clone(), cohort.clone()),
            None => state.cohorts.remove(name),
        };
    }
    let name = change.dataset.as_ref().map(|(name, _)| name.clone());
    if let (Some(name), Some(dataset)) = (&name, dataset) {
        state.datasets.insert(name.clone(), dataset);
    }
    LakeCommit {
        format: if state.cohorts.is_empty() { 1 } else { FORMAT },
        version: head.version.map_or(0, |v| v + 1),
        id: id.to_owned(),
        timestamp: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        engine: crate::ENGINE.to_owned(),
        operation: change.operation.clone(),
        dataset: name,
        changes,
        details: change.details.clone(),
        state,
    }
}

/// Waits a little and unevenly, longer with every lost race, so that racing writers spread out.
pub(crate) async fn pause(attempt: u32) {
    let spread = u64::from(Uuid::new_v4().as_bytes()[0]);
    let ms = u64::from(attempt.min(10)) * 5 + spread * u64::from(attempt.min(10) + 1) / 32;
    tokio::time::sleep(Duration::from_millis(ms)).await;
}
