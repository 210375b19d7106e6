//! Temporary tables and views: those of one session, in memory, gone with it.
//!
//! A [`TempState`] is what the session has at one moment. It is never changed in place: a statement makes the next one,
//! so that BEGIN, SAVEPOINT and the start of a query string keep theirs by a reference, and going back costs nothing.
//!
//! ```text
//! TempState ─► name ─► TempTable { schema, pieces } ─► Piece { batch, reservation }   shared by the states that have it
//!                  └─► TempView  { query, schema }
//! ```
//! Rows are held under a reservation in the engine's memory pool until no state and no running statement reads them.
//! They come through the scans of the session alone: a temporary table holds nothing that its owner could not read.
//! When the rights of a role change, its temporary tables go away as its prepared statements do.

mod alter;
mod altered;
mod analyse;
mod assign;
mod beside;
mod cells;
mod change;
mod cohort;
mod comments;
mod conflict;
mod copy;
mod copying;
mod create;
mod define;
mod drops;
mod enforce;
mod facts;
mod fill;
mod found;
mod gather;
mod indexes;
mod insert;
mod keys;
mod like;
mod over;
mod returning;
mod rules;
mod run;
mod schema;
mod sequence;
mod shown;
mod update;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::sql::sqlparser::ast;

use super::memory::SessionMemory;
use super::statement::temp::OnCommit;
use crate::sqlstate::ServerError;
use comments::Comments;
pub use copy::CopyIn;
use rules::Rules;
pub(super) use schema::with_temporary;
use sequence::{Generated, Lately};
pub(super) use sequence::{Sequence, named_by_text, register};

/// The temporary relations of a session at one moment.
#[derive(Clone, Default)]
pub(super) struct TempState {
    relations: Arc<BTreeMap<String, Relation>>,
    /// The sequence that was asked last.
    lately: Lately,
}

/// A temporary relation.
#[derive(Clone)]
pub(super) enum Relation {
    Table(Arc<TempTable>),
    View(Arc<TempView>),
    /// Of a serial or identity column.
    Sequence(Arc<Sequence>),
}

/// A temporary table.
#[derive(Clone)]
pub(super) struct TempTable {
    pub(super) schema: SchemaRef,
    /// What a column gets where no value is given, in the order of the columns.
    pub(super) defaults: Vec<Option<ast::Expr>>,
    pub(super) on_commit: OnCommit,
    /// It holds samples, every one once.
    pub(super) cohort: bool,
    pub(super) pieces: Vec<Arc<Piece>>,
    /// What it asks of its rows, and its indexes.
    rules: Rules,
    comments: Comments,
    /// The columns that sequences fill, by their places.
    generated: BTreeMap<usize, Generated>,
}

/// Some rows of a table, and the memory they hold.
pub(super) struct Piece {
    pub(super) batch: RecordBatch,
    bytes: usize,
    held: Arc<MemoryReservation>,
}

/// A temporary view.
#[derive(Clone)]
pub(super) struct TempView {
    /// Its query; names are qualified.
    pub(super) query: ast::Query,
    /// Its columns when it was made.
    pub(super) schema: SchemaRef,
    /// The query as text.
    pub(super) definition: String,
    /// The temporary relations that it reads.
    pub(super) reads: BTreeSet<String>,
    comments: Comments,
    /// What this takes of the session's memory.
    #[expect(dead_code, reason = "given back when the view goes")]
    held: Option<Arc<MemoryReservation>>,
}

impl TempState {
    pub(super) fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// Whether both are the same state.
    pub(super) fn is(&self, other: &TempState) -> bool {
        Arc::ptr_eq(&self.relations, &other.relations)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// Whether a relation or an index has this name.
    fn has_name(&self, name: &str) -> bool {
        let has_index = |relation: &Relation| match relation {
            Relation::Table(table) => table.rules.indexes.iter().any(|index| index.name == name),
            _ => false,
        };
        self.relations.contains_key(name) || self.relations.values().any(has_index)
    }

    fn with(&self, name: &str, relation: Relation) -> TempState {
        let mut next = BTreeMap::clone(&self.relations);
        next.insert(name.to_owned(), relation);
        TempState {
            relations: Arc::new(next),
            lately: Arc::clone(&self.lately),
        }
    }

    fn without(&self, names: &BTreeSet<String>) -> TempState {
        let mut next = BTreeMap::clone(&self.relations);
        next.retain(|name, _| !names.contains(name));
        TempState {
            relations: Arc::new(next),
            lately: Arc::clone(&self.lately),
        }
    }

    /// The views that read any of these relations, directly or through others.
    fn readers(&self, of: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = of.clone();
        loop {
            let before = found.len();
            for (name, relation) in self.relations.iter() {
                if let Relation::View(view) = relation
                    && view.reads.iter().any(|read| found.contains(read))
                {
                    found.insert(name.clone());
                }
            }
            if found.len() == before {
                return found.difference(of).cloned().collect();
            }
        }
    }

    /// The sequences of the columns of these tables.
    fn owned(&self, tables: &BTreeSet<String>) -> BTreeSet<String> {
        let tables = tables.iter().filter_map(|name| match self.get(name) {
            Some(Relation::Table(table)) => Some(table),
            _ => None,
        });
        let all = tables.flat_map(|table| table.generated.values());
        all.map(|generated| generated.sequence.clone()).collect()
    }

    /// The state after a commit: ON COMMIT DROP and ON COMMIT DELETE ROWS are done.
    pub(super) fn committed(&self) -> TempState {
        let table = |relation: &Relation| match relation {
            Relation::Table(table) => Some(Arc::clone(table)),
            _ => None,
        };
        let dropped: BTreeSet<String> = self
            .relations
            .iter()
            .filter(|(_, relation)| {
                table(relation).is_some_and(|table| table.on_commit == OnCommit::Drop)
            })
            .map(|(name, _)| name.clone())
            .collect();
        let emptied: Vec<(String, TempTable)> = self
            .relations
            .iter()
            .filter_map(|(name, relation)| Some((name.clone(), table(relation)?)))
            .filter(|(_, table)| {
                table.on_commit == OnCommit::DeleteRows && !table.pieces.is_empty()
            })
            .map(|(name, table)| (name, table.with_pieces(Vec::new())))
            .collect();
        if dropped.is_empty() && emptied.is_empty() {
            return self.clone();
        }
        let mut gone = self.readers(&dropped);
        gone.extend(self.owned(&dropped));
        gone.extend(dropped);
        let mut next = self.without(&gone);
        for (name, table) in emptied {
            next = next.with(&name, Relation::Table(Arc::new(table)));
        }
        next
    }
}

impl TempTable {
    /// The table with other rows; no unique index knows them.
    fn with_pieces(&self, pieces: Vec<Arc<Piece>>) -> TempTable {
        TempTable {
            pieces,
            rules: self.rules.anew(),
            ..self.clone()
        }
    }

    fn rows(&self) -> usize {
        self.pieces.iter().map(|piece| piece.batch.num_rows()).sum()
    }
}

impl Piece {
    /// The same memory with the rows in another shape, which takes no more.
    fn reshaped(&self, batch: RecordBatch) -> Piece {
        Piece {
            batch,
            bytes: self.bytes,
            held: Arc::clone(&self.held),
        }
    }

    /// Rows with their memory reserved.
    ///
    /// # Errors
    /// 53200 when the session may not hold so much, or the engine has no more.
    fn held(batch: RecordBatch, memory: &SessionMemory) -> Result<Piece, ServerError> {
        let bytes = batch.get_array_memory_size();
        let held = memory.take("temporary tables", bytes).map_err(|error| {
            error.hint("Keep fewer rows or columns, or DROP tables that are not needed any more.")
        })?;
        Ok(Piece {
            batch,
            bytes,
            held: Arc::new(held),
        })
    }
}

/// The schema of the temporary relations of the session with this process id.
pub(super) fn schema_name(pid: i32) -> String {
    format!("pg_temp_{pid}")
}
