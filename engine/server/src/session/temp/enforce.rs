//! Constraints: new rows of a table are looked at before they are in it.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use bytes::BytesMut;
use datafusion::sql::sqlparser::ast::{Ident, SelectItem};
use futures::TryStreamExt as _;

use super::keys::{Keys, SharedKeys};
use super::rules::Index;
use super::{Piece, TempState, TempTable, schema_name};
use crate::pg_types::{PgType, modifier_of_field};
use crate::pgwire::encode::{Cells, TextStyle};
use crate::session::{Session, with_blanks};
use crate::sqlstate::{Object, ServerError};

/// Bytes of a value that an error shows.
const SHOWN_BYTES: usize = 64;

/// A row among pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowAt {
    pub(super) piece: usize,
    pub(super) row: usize,
}

impl RowAt {
    /// The row of this number among all of the pieces.
    pub(super) fn of(number: usize, pieces: &[Arc<Piece>]) -> RowAt {
        let mut row = number;
        for (piece, held) in pieces.iter().enumerate() {
            let rows = held.batch.num_rows();
            if row < rows {
                return RowAt { piece, row };
            }
            row -= rows;
        }
        RowAt {
            piece: pieces.len(),
            row,
        }
    }
}

/// What becomes of a proposed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is inserted.
    New,
    /// The row of this number has its key: one of the table, or one that was proposed before.
    There(usize),
}

/// A unique index to add keys to.
#[derive(Clone)]
struct Unique {
    columns: Vec<usize>,
    nulls_equal: bool,
    set: SharedKeys,
}

/// A key that two rows have: of which index, and the later row.
pub(super) struct Clash {
    /// Its place among the unique indexes.
    index: usize,
    at: RowAt,
}

impl Session {
    /// Refuses rows that may not be added to a table. The unique indexes know them then.
    ///
    /// # Errors
    /// 23514 and 23505.
    pub(super) async fn admit(
        &mut self,
        name: &str,
        table: &TempTable,
        pieces: &[Arc<Piece>],
    ) -> Result<(), ServerError> {
        self.check_rows(name, table, pieces).await?;
        let clash = self.add_keys(table, &table.pieces, pieces).await?;
        match clash {
            None => Ok(()),
            Some(clash) => Err(self.duplicate(name, table, pieces, &clash)?),
        }
    }

    /// Refuses the rows of a changed table of which two have one key.
    ///
    /// # Errors
    /// 23505.
    pub(super) async fn admit_changed(
        &mut self,
        name: &str,
        table: &TempTable,
        changed: &[usize],
    ) -> Result<(), ServerError> {
        let touches = |index: &Index| index.columns().iter().any(|at| changed.contains(at));
        if !table.rules.unique().any(touches) {
            return Ok(());
        }
        match self.add_keys(table, &[], &table.pieces).await? {
            None => Ok(()),
            Some(clash) => Err(self.duplicate(name, table, &table.pieces, &clash)?),
        }
    }

    /// Refuses rows that a CHECK is false of.
    ///
    /// # Errors
    /// 23514.
    pub(super) async fn check_rows(
        &mut self,
        name: &str,
        table: &TempTable,
        pieces: &[Arc<Piece>],
    ) -> Result<(), ServerError> {
        let Some((check, number)) = self.first_refused(name, table, pieces).await? else {
            return Ok(());
        };
        let check = table.rules.checks.get(check);
        let check = check.map_or("", |check| check.name.as_str());
        let text = format!("new row for relation \"{name}\" violates check constraint \"{check}\"");
        let at = RowAt::of(number, pieces);
        let batch = pieces.get(at.piece).map(|piece| &piece.batch);
        let shown = batch.map(|batch| row_text(batch, at.row, &self.settings.text_style()));
        let error = ServerError::new("23514", text).detail(format!(
            "Failing row contains ({}).",
            shown.transpose()?.unwrap_or_default()
        ));
        Err(error.of_object(self.object(name, None, Some(check))))
    }

    /// The first row that a CHECK is false of: which check, and the number of the row.
    pub(super) async fn first_refused(
        &mut self,
        name: &str,
        table: &TempTable,
        pieces: &[Arc<Piece>],
    ) -> Result<Option<(usize, usize)>, ServerError> {
        if table.rules.checks.is_empty() || pieces.is_empty() {
            return Ok(None);
        }
        let checks = table.rules.checks.iter().enumerate();
        let items = checks.map(|(at, check)| SelectItem::ExprWithAlias {
            expr: check.condition.clone(),
            alias: Ident::new(format!("c{at}")),
        });
        let query = self.over_rows(name, items.collect())?;
        let context = self
            .context_over_rows(TempState::default(), table, pieces)
            .await?;
        let planned = self.plan_in(context, *query).await;
        let rows = self.start(planned.map_err(ServerError::nowhere)?).await?;
        let stop = rows.stop.clone();
        let guard = stop.guard();
        let found = self.spawn(async move {
            let mut batches = rows.into_stream();
            let mut before = 0_usize;
            while let Some(batch) = batches.try_next().await? {
                if let Some((check, row)) = first_false(&batch) {
                    return Ok(Some((check, before + row)));
                }
                before += batch.num_rows();
                tokio::task::yield_now().await;
            }
            Ok(None)
        });
        let found = found.await;
        guard.disarm();
        found.map_err(ServerError::nowhere)
    }

    /// Adds the keys of rows that follow others to the unique indexes of a table; the first that is there already.
    pub(super) async fn add_keys(
        &mut self,
        table: &TempTable,
        before: &[Arc<Piece>],
        pieces: &[Arc<Piece>],
    ) -> Result<Option<Clash>, ServerError> {
        let unique = uniques(table);
        if unique.is_empty() {
            return Ok(None);
        }
        let memory = self.memory().await?;
        let (before, pieces) = (before.to_vec(), pieces.to_vec());
        self.spawn(async move {
            let rows = before.iter().map(|piece| piece.batch.num_rows()).sum();
            for index in &unique {
                know(index, &before, rows).await?;
            }
            let clash = add(&unique, &pieces).await?;
            for index in &unique {
                let mut set = index.set.lock();
                if clash.is_some() {
                    set.truncate(rows);
                }
                set.hold(&memory)?;
            }
            Ok(clash)
        })
        .await
    }

    /// What becomes of each proposed row, where those that have a key in an index of `arbiters` are no errors. The
    /// unique indexes know the new ones then.
    ///
    /// # Errors
    /// 53200.
    pub(super) async fn sort_rows(
        &mut self,
        table: &TempTable,
        arbiters: &[usize],
        pieces: &[Arc<Piece>],
    ) -> Result<(Vec<Fate>, Option<Clash>), ServerError> {
        let unique = uniques(table);
        let memory = self.memory().await?;
        let (before, pieces) = (table.pieces.clone(), pieces.to_vec());
        let arbiters = arbiters.to_vec();
        self.spawn(async move {
            let rows = before.iter().map(|piece| piece.batch.num_rows()).sum();
            for index in &unique {
                know(index, &before, rows).await?;
            }
            let (fates, clash) = sort(&unique, &arbiters, &pieces).await?;
            for index in &unique {
                let mut set = index.set.lock();
                if clash.is_some() {
                    set.truncate(rows);
                }
                set.hold(&memory)?;
            }
            Ok((fates, clash))
        })
        .await
    }

    /// 23505 for a key that two rows have.
    pub(super) fn duplicate(
        &self,
        name: &str,
        table: &TempTable,
        pieces: &[Arc<Piece>],
        clash: &Clash,
    ) -> Result<ServerError, ServerError> {
        let index = table.rules.unique().nth(clash.index);
        let index = index.ok_or_else(|| ServerError::internal("a key of no index"))?;
        let text = format!(
            "duplicate key value violates unique constraint \"{}\"",
            index.name
        );
        let key = self.key_text(table, index, pieces, clash.at)?;
        let error = ServerError::new("23505", text).detail(format!("{key} already exists."));
        Ok(error.of_object(self.object(name, None, Some(&index.name))))
    }

    /// The key of a clash as errors show it, and its index.
    pub(super) fn clashing_key(
        &self,
        table: &TempTable,
        pieces: &[Arc<Piece>],
        clash: &Clash,
    ) -> Result<(String, String), ServerError> {
        let index = table.rules.unique().nth(clash.index);
        let index = index.ok_or_else(|| ServerError::internal("a key of no index"))?;
        let key = self.key_text(table, index, pieces, clash.at)?;
        Ok((index.name.clone(), key))
    }

    /// `Key (a, b)=(1, x)`.
    fn key_text(
        &self,
        table: &TempTable,
        index: &Index,
        pieces: &[Arc<Piece>],
        at: RowAt,
    ) -> Result<String, ServerError> {
        let columns = index.columns();
        let fields = table.schema.fields();
        let names = columns.iter().filter_map(|at| fields.get(*at));
        let names: Vec<&str> = names.map(|field| field.name().as_str()).collect();
        let batch = pieces.get(at.piece).map(|piece| &piece.batch);
        let batch = batch.ok_or_else(|| ServerError::internal("a key of no row"))?;
        let key = batch.project(&columns)?;
        let values = values(&key, at.row, &self.settings.text_style(), usize::MAX)?;
        Ok(format!("Key ({})=({values})", names.join(", ")))
    }

    /// What an error is about.
    pub(super) fn object(
        &self,
        table: &str,
        column: Option<&str>,
        constraint: Option<&str>,
    ) -> Object {
        Object {
            schema: schema_name(self.options.pid),
            table: table.to_owned(),
            column: column.map(str::to_owned),
            constraint: constraint.map(str::to_owned),
        }
    }
}

/// The unique indexes of a table, to add keys to.
fn uniques(table: &TempTable) -> Vec<Unique> {
    let unique = table.rules.unique().map(|index| Unique {
        columns: index.columns(),
        nulls_equal: index.nulls_equal,
        set: Arc::clone(&index.set),
    });
    unique.collect()
}

/// What becomes of each row, up to the first that has a key which it may not.
async fn sort(
    unique: &[Unique],
    arbiters: &[usize],
    pieces: &[Arc<Piece>],
) -> Result<(Vec<Fate>, Option<Clash>), ServerError> {
    let mut fates = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        let keys = unique
            .iter()
            .map(|index| Keys::of(&piece.batch, &index.columns, index.nulls_equal))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..piece.batch.num_rows() {
            let there = arbiters.iter().find_map(|at| {
                let key = keys.get(*at)?.get(row)?;
                unique.get(*at)?.set.lock().find(key)
            });
            if let Some(there) = there {
                fates.push(Fate::There(there));
                continue;
            }
            for (index, (of, keys)) in unique.iter().zip(&keys).enumerate() {
                if of.set.lock().push(keys.get(row)).is_err() {
                    let at = RowAt { piece: number, row };
                    return Ok((fates, Some(Clash { index, at })));
                }
            }
            fates.push(Fate::New);
        }
        tokio::task::yield_now().await;
    }
    Ok((fates, None))
}

/// The first row that any column is false in, and which.
fn first_false(batch: &RecordBatch) -> Option<(usize, usize)> {
    let columns = batch.columns().iter().enumerate();
    let first = columns.filter_map(|(at, column)| {
        // A condition that is NULL for all rows.
        if *column.data_type() != DataType::Boolean {
            return None;
        }
        let truths = column.as_boolean();
        let row = (0..truths.len()).find(|row| truths.is_valid(*row) && !truths.value(*row));
        row.map(|row| (row, at))
    });
    first.min().map(|(row, at)| (at, row))
}

/// Lets an index know these rows, of which there are so many, and none after them.
async fn know(index: &Unique, pieces: &[Arc<Piece>], rows: usize) -> Result<(), ServerError> {
    index.set.lock().truncate(rows);
    let mut first = 0;
    for piece in pieces {
        let here = piece.batch.num_rows();
        let known = index.set.lock().rows();
        if known < first + here {
            let keys = Keys::of(&piece.batch, &index.columns, index.nulls_equal)?;
            let mut set = index.set.lock();
            for row in known.saturating_sub(first)..here {
                let added = set.push(keys.get(row));
                added.map_err(|_| ServerError::internal("a unique index of equal keys"))?;
            }
        }
        first += here;
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Adds the keys of rows, up to the first that is there already.
async fn add(unique: &[Unique], pieces: &[Arc<Piece>]) -> Result<Option<Clash>, ServerError> {
    for (number, piece) in pieces.iter().enumerate() {
        let keys = unique
            .iter()
            .map(|index| Keys::of(&piece.batch, &index.columns, index.nulls_equal))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..piece.batch.num_rows() {
            for (at, (index, keys)) in unique.iter().zip(&keys).enumerate() {
                if index.set.lock().push(keys.get(row)).is_err() {
                    let at_row = RowAt { piece: number, row };
                    return Ok(Some(Clash {
                        index: at,
                        at: at_row,
                    }));
                }
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(None)
}

/// The values of a row as errors show them: long ones are cut.
///
/// # Errors
/// Never for rows of a table.
pub(super) fn row_text(
    batch: &RecordBatch,
    row: usize,
    style: &TextStyle,
) -> Result<String, ServerError> {
    values(batch, row, style, SHOWN_BYTES)
}

fn values(
    batch: &RecordBatch,
    row: usize,
    style: &TextStyle,
    most: usize,
) -> Result<String, ServerError> {
    let mut shown = Vec::with_capacity(batch.num_columns());
    let mut text = BytesMut::new();
    let columns = batch.columns().iter().zip(batch.schema_ref().fields());
    // What a statement keeps beside the columns is none of the row.
    for (array, field) in columns.filter(|(_, field)| !field.name().starts_with('\u{1}')) {
        let pg_type = PgType::of_field(field);
        let one = array.slice(row, 1);
        let one = match pg_type == PgType::BPCHAR {
            true => with_blanks(&one, modifier_of_field(field))?,
            false => one,
        };
        let cells = Cells::new(&one, pg_type)?;
        if cells.is_null(0) {
            shown.push("null".to_owned());
            continue;
        }
        text.clear();
        cells.text(0, style, &mut text)?;
        let whole = String::from_utf8_lossy(&text);
        let mut end = most.min(whole.len());
        while !whole.is_char_boundary(end) {
            end -= 1;
        }
        let cut = whole.get(..end).unwrap_or_default();
        shown.push(match end < whole.len() {
            true => format!("{cut}..."),
            false => cut.to_owned(),
        });
    }
    Ok(shown.join(", "))
}
