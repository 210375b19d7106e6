//! UPDATE and DELETE: the rows of a table that one query finds, by their numbers.
//!
//! ```text
//! UPDATE t SET a = x FROM b WHERE …   ─►   SELECT x AS a, t.c, t.number, b.* FROM "the rows" AS t, b WHERE …
//!                                            └── the new row ──┘      └── kept for RETURNING
//! ```
//! A row that is found with several rows of FROM or USING is changed once, by the first of them. What is not found stays
//! where it is; changed rows follow it.

use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::{filter_record_batch, interleave_record_batch, not};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::sql::sqlparser::ast::{self, Expr};

use super::beside::{self, Beside};
use super::fill::{Origin, PIECE_ROWS};
use super::insert::{check_assignable, set_targets};
use super::over::{ROWS, quoted};
use super::{Piece, Relation, TempState, TempTable, schema_name};
use crate::pg_types::PgType;
use crate::session::plan::{PlanContext, Planned};
use crate::session::statement::temp::{ONE_ROW, TempCommand};
use crate::session::{Session, placed, statement};
use crate::sqlstate::ServerError;

/// The column of the number of a row.
pub(super) const NUMBER: &str = "\u{1}number";

/// What UPDATE and DELETE say of the rows that they are about.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) name: &'a str,
    pub(super) alias: Option<&'a str>,
    /// The queries before the statement.
    pub(super) with: Option<&'a ast::With>,
    /// What UPDATE sets; None: a DELETE.
    pub(super) set: Option<&'a [(String, Expr)]>,
    /// FROM and USING.
    pub(super) beside: &'a [ast::TableWithJoins],
    pub(super) condition: Option<&'a Expr>,
    /// Whether RETURNING tells of what stands in FROM and USING.
    pub(super) told: bool,
}

/// The rows that were found.
pub(super) struct Found {
    /// Their numbers, each once, from the least.
    pub(super) numbers: Vec<usize>,
    /// What UPDATE makes of them.
    pub(super) changed: Vec<Arc<Piece>>,
    /// What stands beside them, for RETURNING.
    pub(super) beside: Vec<Beside>,
    /// The memory of the numbers.
    _held: MemoryReservation,
}

impl<'a> Wanted<'a> {
    /// What a command says; None for another one.
    pub(super) fn of(command: &'a TempCommand) -> Option<Wanted<'a>> {
        match command {
            TempCommand::Delete {
                name,
                alias,
                with,
                beside,
                condition,
                returning,
            } => Some(Wanted {
                name: &name.name,
                alias: alias.as_deref(),
                with: with.as_ref(),
                set: None,
                beside,
                condition: condition.as_deref(),
                told: returning.is_some() && !beside.is_empty(),
            }),
            TempCommand::Update {
                name,
                alias,
                with,
                set,
                beside,
                condition,
                returning,
            } => Some(Wanted {
                name: &name.name,
                alias: alias.as_deref(),
                with: with.as_ref(),
                set: Some(set),
                beside,
                condition: condition.as_deref(),
                told: returning.is_some() && !beside.is_empty(),
            }),
            _ => None,
        }
    }

    /// What the statement calls the table.
    pub(super) fn called(&self) -> &'a str {
        self.alias.unwrap_or(self.name)
    }

    /// Whether SET gives several columns the values of one row.
    fn sets_rows(&self) -> bool {
        let mut values = self.set.unwrap_or_default().iter();
        values.any(|(_, value)| {
            let Expr::Subquery(query) = value else {
                return false;
            };
            let ast::SetExpr::Select(select) = query.body.as_ref() else {
                return false;
            };
            let mut from = select.from.iter().map(|from| &from.relation);
            from.any(|factor| {
                matches!(factor, ast::TableFactor::Derived { alias: Some(alias), .. }
                    if alias.name.value == ONE_ROW)
            })
        })
    }
}

impl Session {
    /// The query of the rows that are found.
    ///
    /// # Errors
    /// What is wrong with the columns that are set, and 0A000.
    pub(super) fn found_query(
        &self,
        wanted: Wanted<'_>,
        table: &TempTable,
    ) -> Result<Box<ast::Statement>, ServerError> {
        let own = quoted(&schema_name(self.options.pid));
        let (called, number) = (quoted(wanted.called()), quoted(NUMBER));
        let from = format!("{called}.{number} FROM {own}.{} AS {called}", quoted(ROWS));
        let mut query = match wanted.set {
            Some(set) => {
                let from = format!(", {from}");
                self.changed_of(table, wanted.name, &called, set, wanted.condition, &from)?
            }
            None => statement::query_with(&format!("SELECT {from}"), |select| {
                select.selection = wanted.condition.cloned();
            })?,
        };
        if let ast::Statement::Query(query) = query.as_mut() {
            query.with = wanted.with.cloned();
            if let ast::SetExpr::Select(select) = query.body.as_mut() {
                select.from.extend(wanted.beside.iter().cloned());
                if wanted.told {
                    select.projection.extend(beside::items(wanted.beside)?);
                }
            }
        }
        Ok(query)
    }

    /// The context of that query, and the memory of the numbers.
    pub(super) async fn context_of_found(
        &mut self,
        table: &TempTable,
        in_order: bool,
    ) -> Result<(PlanContext, MemoryReservation), ServerError> {
        let memory = self.memory().await?;
        let bytes = table.rows().saturating_mul(size_of::<i64>());
        let held = memory.take("temporary tables", bytes)?;
        let schema = numbered(&table.schema);
        let mut first = 0_i64;
        let mut pieces = Vec::with_capacity(table.pieces.len());
        for piece in &table.pieces {
            let rows = i64::try_from(piece.batch.num_rows()).unwrap_or(i64::MAX);
            let numbers = Int64Array::from_iter_values(first..first.saturating_add(rows));
            first = first.saturating_add(rows);
            let mut columns = piece.batch.columns().to_vec();
            columns.push(Arc::new(numbers));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            pieces.push(Arc::new(piece.reshaped(batch)));
        }
        let shape = TempTable {
            schema,
            ..table.clone()
        };
        let rows = Relation::Table(Arc::new(shape.with_pieces(pieces)));
        let now: TempState = self.temporary.clone();
        let context = match in_order {
            true => self.context_in_order(now.with(ROWS, rows)).await?,
            false => self.context_over(now.with(ROWS, rows)).await?,
        };
        Ok((context, held))
    }

    /// Finds the rows that a statement is about.
    ///
    /// # Errors
    /// What the query fails with, and what its values are refused with by their columns.
    pub(super) async fn found(
        &mut self,
        wanted: Wanted<'_>,
        table: &TempTable,
        arguments: &[Expr],
    ) -> Result<Found, ServerError> {
        let query = self.found_query(wanted, table)?;
        // The columns of one row come from queries that must agree on it.
        let of_rows = wanted.sets_rows();
        let (context, held) = self.context_of_found(table, of_rows).await?;
        let planned = self.plan_over(context.clone(), &query, arguments);
        let planned = planned.await?;
        if of_rows && planned.is_volatile()? {
            let text = "SET of several columns from a query of values that change is not supported";
            return Err(ServerError::unsupported(text)
                .hint("Keep the query's rows in a temporary table first."));
        }
        let (schema, origins) = shape(wanted, table, &planned)?;
        let width = wanted.set.map_or(0, |_| table.schema.fields().len());
        let told = self.beside(wanted, &query, &context, arguments, width + 1);
        let told = told.await?;
        let fields = schema.fields().iter().cloned();
        let all = told.iter().map(|told| Arc::new(told.field(&planned)));
        let all: SchemaRef = Arc::new(Schema::new(fields.chain(all).collect::<Vec<_>>()));
        let beside = told.iter();
        let beside = beside.map(|told| Origin::Column(told.column, PgType::RECORD));
        let origins = origins.into_iter().chain(beside).collect();
        let arrangement = self.arrangement(wanted.name, &all, origins);
        let (pieces, _) = self.fill(planned, arrangement).await?;
        let places = places(&pieces, width)?;
        let (memory, session) = (self.memory().await?, self.assigning());
        let sorted = places.is_sorted();
        let moved = match sorted {
            true => None,
            false => {
                let bytes = places
                    .rows
                    .len()
                    .saturating_mul(size_of::<(usize, RowPlace)>());
                Some(memory.take("temporary tables", bytes)?)
            }
        };
        let places = places.in_order();
        let rows = match sorted {
            true => pieces.iter().map(|piece| piece.batch.clone()).collect(),
            false => rows_at(&pieces, &places)?,
        };
        drop(moved);
        let mut changed = Vec::new();
        for (at, batch) in rows.iter().enumerate().filter(|_| wanted.set.is_some()) {
            let columns = batch.columns().get(..width).unwrap_or_default().to_vec();
            let batch = RecordBatch::try_new(Arc::clone(&table.schema), columns)?;
            let same = pieces.get(at).filter(|_| sorted);
            changed.push(Arc::new(match same {
                Some(piece) => piece.reshaped(batch),
                None => Piece::held(batch, &memory)?,
            }));
        }
        let mut beside = Vec::with_capacity(told.len());
        for (column, told) in (width + 1..).zip(told) {
            beside.push(told.filled(&rows, column, &memory, &session)?);
        }
        Ok(Found {
            numbers: places.into_iter().map(|(number, _)| number).collect(),
            changed,
            beside,
            _held: held,
        })
    }
}

/// The schema of the rows that are found, up to their numbers, and where their values come from.
fn shape(
    wanted: Wanted<'_>,
    table: &TempTable,
    planned: &Planned,
) -> Result<(SchemaRef, Vec<Origin>), ServerError> {
    let Some(set) = wanted.set else {
        let number = Arc::new(Schema::new(vec![number()]));
        let from = planned.columns().first().map(|column| column.pg_type);
        let from = from.ok_or_else(|| ServerError::internal("rows without numbers"))?;
        return Ok((number, vec![Origin::Column(0, from)]));
    };
    let touched = set_targets(table, wanted.name, set)?;
    let schema = numbered(&table.schema);
    let mut origins = Vec::with_capacity(schema.fields().len());
    let columns = planned.columns().iter().take(schema.fields().len());
    for (at, column) in columns.enumerate() {
        if touched.contains(&at) {
            let field = table.schema.field(at);
            let assigned = check_assignable(column.pg_type, planned, at, field);
            assigned.map_err(|error| {
                let value = set.iter().find(|(column, _)| column == field.name());
                error.place(value.and_then(|(_, value)| placed::start(value)))
            })?;
        }
        origins.push(Origin::Column(at, column.pg_type));
    }
    Ok((schema, origins))
}

fn number() -> Field {
    Field::new(NUMBER, DataType::Int64, false)
}

/// The schema of rows with their numbers.
pub(super) fn numbered(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone());
    Arc::new(Schema::new(fields.chain([number()]).collect::<Vec<_>>()))
}

/// A row among pieces: which, and the row in it.
type RowPlace = (usize, usize);

/// The rows of a query and the numbers that they have, as they came.
struct Places {
    rows: Vec<(usize, RowPlace)>,
}

/// The numbers of rows, which this column has.
fn places(pieces: &[Arc<Piece>], column: usize) -> Result<Places, ServerError> {
    let mut rows: Vec<(usize, RowPlace)> = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        let numbers = piece.batch.columns().get(column);
        let numbers = numbers.and_then(|numbers| numbers.as_primitive_opt::<Int64Type>());
        let numbers = numbers.ok_or_else(|| ServerError::internal("rows without numbers"))?;
        for (row, number) in numbers.values().iter().enumerate() {
            let number = usize::try_from(*number);
            let number = number.map_err(|_| ServerError::internal("a row below the first"))?;
            rows.push((number, (at, row)));
        }
    }
    Ok(Places { rows })
}

impl Places {
    /// Whether they are in order, each once.
    fn is_sorted(&self) -> bool {
        let mut pairs = self.rows.windows(2);
        pairs.all(|pair| matches!(pair, [(one, _), (next, _)] if one < next))
    }

    /// Each number once, from the least, with the first row that has it.
    fn in_order(mut self) -> Vec<(usize, RowPlace)> {
        self.rows.sort_unstable();
        self.rows.dedup_by_key(|(number, _)| *number);
        self.rows
    }
}

/// The rows at these places.
fn rows_at(
    pieces: &[Arc<Piece>],
    places: &[(usize, RowPlace)],
) -> Result<Vec<RecordBatch>, ServerError> {
    let batches: Vec<&RecordBatch> = pieces.iter().map(|piece| &piece.batch).collect();
    let chunks = places.chunks(PIECE_ROWS);
    let rows = chunks.map(|chunk| {
        let places: Vec<RowPlace> = chunk.iter().map(|(_, place)| *place).collect();
        Ok(interleave_record_batch(&batches, &places)?)
    });
    rows.collect()
}

/// Rows of a table.
type Pieces = Vec<Arc<Piece>>;

impl TempTable {
    /// Its rows without those of these numbers, which come from the least; and those.
    ///
    /// # Errors
    /// 53200 when they do not fit beside each other.
    pub(super) fn parted(
        &self,
        numbers: &[usize],
        memory: &crate::session::memory::SessionMemory,
        with_gone: bool,
    ) -> Result<(Pieces, Pieces), ServerError> {
        let (mut left, mut gone) = (Vec::with_capacity(self.pieces.len()), Vec::new());
        let mut numbers = numbers.iter().copied().peekable();
        let mut first = 0;
        for piece in &self.pieces {
            let rows = piece.batch.num_rows();
            let mut stays = vec![true; rows];
            let mut found = 0;
            while let Some(number) = numbers.next_if(|number| *number < first + rows) {
                if let Some(stays) = stays.get_mut(number - first) {
                    *stays = false;
                    found += 1;
                }
            }
            first += rows;
            if found == 0 {
                left.push(Arc::clone(piece));
                continue;
            }
            if found == rows {
                if with_gone {
                    gone.push(Arc::clone(piece));
                }
                continue;
            }
            let stays = BooleanArray::from(stays);
            let kept = filter_record_batch(&piece.batch, &stays)?;
            left.push(Arc::new(Piece::held(kept, memory)?));
            if with_gone {
                let taken = filter_record_batch(&piece.batch, &not(&stays)?)?;
                gone.push(Arc::new(Piece::held(taken, memory)?));
            }
        }
        Ok((left, gone))
    }
}
