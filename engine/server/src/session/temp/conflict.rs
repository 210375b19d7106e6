//! ON CONFLICT: new rows whose keys are there already are left out, or change the rows that have them.
//!
//! ```text
//! proposed rows ─► key is there? ─ no ──► inserted, at the end of the table
//!                       └─ yes ─ DO NOTHING
//!                                DO UPDATE: a query over pairs  "the rows" AS t JOIN "excluded" AS excluded  by number
//!                                           ─► changed rows, each in the place of the old one
//! ```
//! A changed row keeps its place, so that unique indexes whose columns it does not change know it still.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{
    concat_batches, filter_record_batch, interleave_record_batch, take_record_batch,
};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::sql::sqlparser::ast::{self, Expr};

use super::enforce::{Fate, RowAt};
use super::fill::Origin;
use super::found::{NUMBER, numbered};
use super::insert::{check_assignable, set_targets};
use super::keys::Keys;
use super::over::{ROWS, quoted};
use super::rules::Index;
use super::{Piece, Relation, TempState, TempTable, schema_name};
use crate::session::plan::PlanContext;
use crate::session::statement::temp::{Arbiter, Conflict, OnUpdate, TempCommand};
use crate::session::{Session, placed, written};
use crate::sqlstate::ServerError;

/// The name of the proposed rows that are not inserted.
const EXCLUDED: &str = "\u{1}excluded";

/// An INSERT with ON CONFLICT.
pub(super) struct Upsert<'a> {
    pub(super) name: &'a str,
    /// What the statement calls the table.
    pub(super) called: &'a str,
    pub(super) conflict: &'a Conflict,
    pub(super) arguments: &'a [Expr],
}

/// Rows that are changed: those that are there, in which the proposed ones found their keys.
struct Pair {
    /// The number of the proposed row.
    number: usize,
    proposed: RowAt,
    /// The number of the row that is there.
    there: usize,
}

impl Session {
    /// Inserts rows, or does with them what ON CONFLICT says; the rows that were inserted or changed, in the order in
    /// which they were proposed, and how many they are.
    ///
    /// # Errors
    /// 42P10 without a fitting index, 21000 for a row that is changed twice, and what constraints refuse.
    pub(super) async fn upsert(
        &mut self,
        upsert: Upsert<'_>,
        table: &TempTable,
        proposed: Vec<Arc<Piece>>,
    ) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        if table.cohort {
            return Err(of_cohort());
        }
        let name = upsert.name;
        let arbiters = arbiters(table, name, upsert.conflict)?;
        if let Some(update) = &upsert.conflict.update {
            self.check_update(table, name, update).await?;
        }
        self.check_rows(name, table, &proposed).await?;
        let (fates, clash) = self.sort_rows(table, &arbiters, &proposed).await?;
        if let Some(clash) = clash {
            return Err(self.duplicate(name, table, &proposed, &clash)?);
        }
        let memory = self.memory().await?;
        let mut inserted = Vec::new();
        let mut numbers = Vec::new();
        let mut pairs = Vec::new();
        let mut number = 0;
        for (at, piece) in proposed.iter().enumerate() {
            let mut chosen = Vec::with_capacity(piece.batch.num_rows());
            for row in 0..piece.batch.num_rows() {
                let fate = fates.get(number).copied().unwrap_or(Fate::New);
                chosen.push(fate == Fate::New);
                match fate {
                    Fate::New => numbers.push(number),
                    Fate::There(there) => pairs.push(Pair {
                        number,
                        proposed: RowAt { piece: at, row },
                        there,
                    }),
                }
                number += 1;
            }
            let kept = filter_record_batch(&piece.batch, &BooleanArray::from(chosen))?;
            if kept.num_rows() > 0 {
                inserted.push(Arc::new(Piece::held(kept, &memory)?));
            }
        }
        let known = table.rows();
        let next = table.extended(inserted.clone(), &memory)?;
        let Some(update) = &upsert.conflict.update else {
            self.put(name, Relation::Table(Arc::new(next)));
            let rows = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
            return Ok((inserted, rows));
        };
        if pairs.iter().any(|pair| pair.there >= known) {
            return Err(twice());
        }
        let changed = self.changed_pairs(&upsert, update, table, &proposed, &pairs);
        let Some((changed, changed_numbers)) = changed.await? else {
            self.put(name, Relation::Table(Arc::new(next)));
            let rows = u64::try_from(numbers.len()).unwrap_or(u64::MAX);
            return Ok((inserted, rows));
        };
        let there = places_of(&pairs, &changed_numbers)?;
        self.check_batch(name, table, &changed).await?;
        let next = self.replaced(name, table, next, &changed, &there).await?;
        self.put(name, Relation::Table(Arc::new(next)));
        let rows = numbers.len() + changed_numbers.len();
        let told = in_order(&inserted, &numbers, &changed, &changed_numbers)?;
        let told = vec![Arc::new(Piece::held(told, &memory)?)];
        Ok((told, u64::try_from(rows).unwrap_or(u64::MAX)))
    }

    async fn check_update(
        &mut self,
        table: &TempTable,
        name: &str,
        update: &OnUpdate,
    ) -> Result<(), ServerError> {
        set_targets(table, name, &update.set)?;
        let context = self.plan_context().await?.context;
        let values = update.set.iter().map(|(_, value)| value);
        written::check_in(&context, "UPDATE", values)?;
        written::check_in(&context, "WHERE", update.condition.iter())
    }

    /// The query of DO UPDATE: the changed rows, each with the number of the proposed one.
    fn changed_query(
        &self,
        table: &TempTable,
        name: &str,
        called: &str,
        update: &OnUpdate,
    ) -> Result<Box<ast::Statement>, ServerError> {
        let own = quoted(&schema_name(self.options.pid));
        let (called, number) = (quoted(called), quoted(NUMBER));
        let from = format!(
            ", {called}.{number} FROM {own}.{} AS {called} JOIN {own}.{} AS excluded \
             ON {called}.{number} = excluded.{number} ORDER BY {called}.{number}",
            quoted(ROWS),
            quoted(EXCLUDED),
        );
        self.changed_of(
            table,
            name,
            &called,
            &update.set,
            update.condition.as_ref(),
            &from,
        )
    }

    /// The context of that query.
    async fn context_of_pairs(
        &mut self,
        table: &TempTable,
        rows: Option<(RecordBatch, RecordBatch)>,
    ) -> Result<PlanContext, ServerError> {
        let memory = self.memory().await?;
        let schema = numbered(&table.schema);
        let (there, excluded) = match rows {
            None => (Vec::new(), Vec::new()),
            Some((there, excluded)) => (
                vec![Arc::new(Piece::held(there, &memory)?)],
                vec![Arc::new(Piece::held(excluded, &memory)?)],
            ),
        };
        let shape = TempTable {
            schema,
            ..table.clone()
        };
        let relation = |pieces| Relation::Table(Arc::new(shape.with_pieces(pieces)));
        let beside: TempState = self.temporary.clone();
        let beside = beside.with(ROWS, relation(there));
        self.context_in_order(beside.with(EXCLUDED, relation(excluded)))
            .await
    }

    /// The query of DO UPDATE and its context, for the types of parameters; None for another statement.
    pub(super) async fn conflict_query(
        &mut self,
        command: &TempCommand,
    ) -> Result<Option<(Box<ast::Statement>, PlanContext)>, ServerError> {
        let TempCommand::Insert {
            name,
            alias,
            conflict: Some(conflict),
            ..
        } = command
        else {
            return Ok(None);
        };
        let table = self.target(name, "INSERT").await?;
        if table.cohort {
            return Err(of_cohort());
        }
        arbiters(&table, &name.name, conflict)?;
        let Some(update) = &conflict.update else {
            return Ok(None);
        };
        self.check_update(&table, &name.name, update).await?;
        let called = alias.as_deref().unwrap_or(&name.name);
        let query = self.changed_query(&table, &name.name, called, update)?;
        let context = self.context_of_pairs(&table, None).await?;
        Ok(Some((query, context)))
    }

    /// The rows that DO UPDATE makes of pairs, and the numbers of the proposed ones; None when it changes nothing.
    async fn changed_pairs(
        &mut self,
        upsert: &Upsert<'_>,
        update: &OnUpdate,
        table: &TempTable,
        proposed: &[Arc<Piece>],
        pairs: &[Pair],
    ) -> Result<Option<(RecordBatch, Vec<usize>)>, ServerError> {
        let name = upsert.name;
        let query = self.changed_query(table, name, upsert.called, update)?;
        let schema = numbered(&table.schema);
        let rows = match pairs.is_empty() {
            true => None,
            false => Some((
                rows_of(&table.pieces, pairs, &schema, |pair| {
                    RowAt::of(pair.there, &table.pieces)
                })?,
                rows_of(proposed, pairs, &schema, |pair| pair.proposed)?,
            )),
        };
        let context = self.context_of_pairs(table, rows).await?;
        let planned = self.plan_over(context, &query, upsert.arguments).await?;
        let touched = set_targets(table, name, &update.set)?;
        let mut origins = Vec::with_capacity(schema.fields().len());
        for (at, column) in planned.columns().iter().enumerate() {
            if touched.contains(&at) {
                let field = table.schema.field(at);
                let assigned = check_assignable(column.pg_type, &planned, at, field);
                assigned.map_err(|error| {
                    let value = update.set.iter().find(|(set, _)| set == field.name());
                    error.place(value.and_then(|(_, value)| placed::start(value)))
                })?;
            }
            origins.push(Origin::Column(at, column.pg_type));
        }
        if pairs.is_empty() {
            return Ok(None);
        }
        let arrangement = self.arrangement(name, &schema, origins);
        let (pieces, _) = self.fill(planned, arrangement).await?;
        let batches = pieces.iter().map(|piece| &piece.batch);
        let all = concat_batches(&schema, batches)?;
        if all.num_rows() == 0 {
            return Ok(None);
        }
        let last = schema.fields().len() - 1;
        let numbers = all.column(last).as_primitive::<Int64Type>();
        let numbers = numbers.values().iter();
        let numbers = numbers.filter_map(|number| usize::try_from(*number).ok());
        let columns: Vec<usize> = (0..last).collect();
        let changed = all.project(&columns)?;
        let changed = RecordBatch::try_new(Arc::clone(&table.schema), changed.columns().to_vec())?;
        Ok(Some((changed, numbers.collect())))
    }

    /// Refuses changed rows that a CHECK is false of.
    async fn check_batch(
        &mut self,
        name: &str,
        table: &TempTable,
        rows: &RecordBatch,
    ) -> Result<(), ServerError> {
        let memory = self.memory().await?;
        let piece = Arc::new(Piece::held(rows.clone(), &memory)?);
        self.check_rows(name, table, &[piece]).await
    }

    /// The table with changed rows in the place of those that are there.
    async fn replaced(
        &mut self,
        name: &str,
        table: &TempTable,
        mut next: TempTable,
        changed: &RecordBatch,
        there: &[usize],
    ) -> Result<TempTable, ServerError> {
        let memory = self.memory().await?;
        let new: BTreeMap<usize, usize> = there.iter().copied().zip(0..).collect();
        let mut first = 0;
        for piece in &mut next.pieces {
            let rows = piece.batch.num_rows();
            if new.range(first..first + rows).next().is_some() {
                let places = (0..rows).map(|row| match new.get(&(first + row)) {
                    Some(other) => (1, *other),
                    None => (0, row),
                });
                let places: Vec<(usize, usize)> = places.collect();
                let batch = interleave_record_batch(&[&piece.batch, changed], &places)?;
                *piece = Arc::new(Piece::held(batch, &memory)?);
            }
            first += rows;
        }
        let mut same = true;
        for index in table.rules.unique() {
            same &= same_keys(index, changed, there)?;
        }
        if same {
            return Ok(next);
        }
        let next = next.with_pieces(next.pieces.clone());
        match self.add_keys(&next, &[], &next.pieces).await? {
            None => Ok(next),
            Some(clash) => Err(self.duplicate(name, &next, &next.pieces, &clash)?),
        }
    }
}

/// Whether rows have the keys in an index that those in their places have.
fn same_keys(index: &Index, changed: &RecordBatch, there: &[usize]) -> Result<bool, ServerError> {
    let keys = Keys::of(changed, &index.columns(), index.nulls_equal)?;
    let set = index.set.lock();
    Ok(there.iter().enumerate().all(|(row, there)| {
        let key = keys.get(row);
        key.map_or(set.is_without(*there), |key| set.find(key) == Some(*there))
    }))
}

/// The places in the table of the rows that were changed.
///
/// # Errors
/// 21000 for one that was changed twice.
fn places_of(pairs: &[Pair], numbers: &[usize]) -> Result<Vec<usize>, ServerError> {
    let by_number: BTreeMap<usize, usize> =
        pairs.iter().map(|pair| (pair.number, pair.there)).collect();
    let mut seen = BTreeSet::new();
    let mut places = Vec::with_capacity(numbers.len());
    for number in numbers {
        let place = by_number.get(number).copied();
        let place = place.ok_or_else(|| ServerError::internal("a changed row of no pair"))?;
        if !seen.insert(place) {
            return Err(twice());
        }
        places.push(place);
    }
    Ok(places)
}

/// The unique indexes that ON CONFLICT asks, by their places among the unique ones.
///
/// # Errors
/// 42P10 when there is none of those columns, 42704 for a constraint that there is not.
fn arbiters(table: &TempTable, name: &str, conflict: &Conflict) -> Result<Vec<usize>, ServerError> {
    let unique = table.rules.unique().enumerate();
    match &conflict.target {
        None => Ok(unique.map(|(at, _)| at).collect()),
        Some(Arbiter::Constraint(wanted)) => {
            let mut found = unique.filter(|(_, index)| index.is_constraint());
            match found.find(|(_, index)| index.name == *wanted) {
                Some((at, _)) => Ok(vec![at]),
                None => {
                    let text =
                        format!("constraint \"{wanted}\" for table \"{name}\" does not exist");
                    Err(ServerError::new("42704", text))
                }
            }
        }
        Some(Arbiter::Columns(columns)) => {
            let mut wanted = BTreeSet::new();
            for column in columns {
                let at = table.schema.index_of(column).map_err(|_| {
                    let text = format!("column \"{column}\" does not exist");
                    ServerError::new("42703", text).place(conflict.place.clone())
                })?;
                wanted.insert(at);
            }
            let of = |index: &Index| index.columns().into_iter().collect::<BTreeSet<_>>();
            let found: Vec<usize> = unique
                .filter(|(_, index)| of(index) == wanted)
                .map(|(at, _)| at)
                .collect();
            match found.is_empty() {
                false => Ok(found),
                true => Err(ServerError::new(
                    "42P10",
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification",
                )),
            }
        }
    }
}

/// One row of each pair, with the number of the pair.
fn rows_of(
    pieces: &[Arc<Piece>],
    pairs: &[Pair],
    schema: &SchemaRef,
    place: impl Fn(&Pair) -> RowAt,
) -> Result<RecordBatch, ServerError> {
    let batches: Vec<&RecordBatch> = pieces.iter().map(|piece| &piece.batch).collect();
    let places = pairs.iter().map(|pair| {
        let at = place(pair);
        (at.piece, at.row)
    });
    let places: Vec<(usize, usize)> = places.collect();
    let rows = interleave_record_batch(&batches, &places)?;
    let numbers = pairs.iter().map(|pair| i64::try_from(pair.number).ok());
    let numbers: Int64Array = numbers.collect();
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(numbers));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Inserted and changed rows, in the order of their numbers.
fn in_order(
    inserted: &[Arc<Piece>],
    numbers: &[usize],
    changed: &RecordBatch,
    changed_numbers: &[usize],
) -> Result<RecordBatch, ServerError> {
    let schema = changed.schema();
    let batches = inserted.iter().map(|piece| &piece.batch);
    let all = concat_batches(&schema, batches.chain([changed]))?;
    let mut order: Vec<(usize, usize)> = numbers
        .iter()
        .chain(changed_numbers)
        .copied()
        .zip(0..)
        .collect();
    order.sort_unstable();
    let order = order.into_iter();
    let order = order.filter_map(|(_, at)| u32::try_from(at).ok());
    let order = UInt32Array::from_iter_values(order);
    if order.len() != all.num_rows() {
        return Err(ServerError::new(
            "54000",
            "too many rows are told of at once",
        ));
    }
    Ok(take_record_batch(&all, &order)?)
}

/// 0A000.
fn of_cohort() -> ServerError {
    ServerError::unsupported("ON CONFLICT of the samples of a cohort is not supported")
        .hint("A sample that is there already stays there once.")
}

/// 21000.
fn twice() -> ServerError {
    let text = "ON CONFLICT DO UPDATE command cannot affect row a second time";
    ServerError::new("21000", text).hint(
        "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.",
    )
}
