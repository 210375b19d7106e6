//! INSERT and DELETE.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem, SetExpr};

use super::conflict::Upsert;
use super::fill::Origin;
use super::found::Wanted;
use super::insert::{check_assignable, check_width, targets, typed};
use super::returning::Told;
use super::sequence::GeneratedKind;
use super::{Piece, Relation, TempTable};
use crate::session::plan::Planned;
use crate::session::statement::temp::{Overriding, TempCommand};
use crate::session::{Outcome, Session, params, placed, statement};
use crate::sqlstate::ServerError;

impl Session {
    pub(super) async fn insert(
        &mut self,
        command: &TempCommand,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        let TempCommand::Insert {
            name,
            columns,
            source,
            overriding,
            conflict,
            alias,
            with: _,
            returning,
        } = command
        else {
            return Err(ServerError::internal("an INSERT that is none"));
        };
        let source = source.as_deref();
        let table = self.target(name, "INSERT").await?;
        self.check_told(command, arguments).await?;
        let targets = targets(&table, &name.name, columns)?;
        let planned = match source {
            None => {
                // One row, none of whose columns goes anywhere.
                let query = statement::query_text("SELECT NULL")?;
                self.plan(&query, &[]).await?
            }
            Some(source) => {
                let mut source = ast::Statement::Query(Box::new(source.clone()));
                let values = arguments.iter().cloned().enumerate();
                let values = values.map(|(n, value)| (n + 1, value)).collect();
                params::substitute(&mut source, &values, false)?;
                if let ast::Statement::Query(source) = &mut source {
                    typed(source, &table, &targets, &self.settings.text_style())?;
                    self.assign_cells(source, &table, &targets).await?;
                }
                self.plan(&source, &[]).await?
            }
        };
        may_give(&table, &targets, source, *overriding)?;
        let width = source.map_or(0, |_| planned.columns().len());
        if let Some(source) = source {
            check_width(width, source, &targets, columns)?;
        }
        let mut origins = Vec::with_capacity(table.schema.fields().len());
        for (at, field) in table.schema.fields().iter().enumerate() {
            let given = targets.iter().position(|target| *target == at);
            let given = given.filter(|_| !is_left_out(&table, at, *overriding));
            origins.push(match given.filter(|given| *given < width) {
                Some(given) => {
                    let from = planned.columns()[given].pg_type;
                    check_assignable(from, &planned, given, field).map_err(|error| {
                        let source = source.map(|source| &source.body);
                        error.place(source.and_then(|body| placed::column_place(body, given)))
                    })?;
                    Origin::Column(given, from)
                }
                None => self.default_of(&table, at).await?,
            });
        }
        let arrangement = self.arrangement(&name.name, &table.schema, origins);
        let (pieces, rows) = self.fill(planned, arrangement).await?;
        let before = self.temporary.clone();
        let (pieces, rows) = match conflict {
            None => {
                self.extend(&name.name, &table, pieces.clone()).await?;
                (pieces, rows)
            }
            Some(conflict) => {
                let called = alias.as_deref().unwrap_or(&name.name);
                let upsert = Upsert {
                    name: &name.name,
                    called,
                    conflict,
                    arguments,
                };
                self.upsert(upsert, &table, pieces).await?
            }
        };
        let told = Told {
            name: &name.name,
            alias: alias.as_deref(),
            items: returning.as_deref(),
            beside: &[],
            arguments,
        };
        let tag = format!("INSERT 0 {rows}");
        self.changed_told(told, before, &table, &pieces, tag).await
    }

    pub(super) async fn extend(
        &mut self,
        name: &str,
        table: &TempTable,
        pieces: Vec<Arc<Piece>>,
    ) -> Result<(), ServerError> {
        if table.cohort {
            return self
                .set_cohort(name, table.pieces.iter().chain(&pieces))
                .await;
        }
        self.admit(name, table, &pieces).await?;
        let memory = self.memory().await?;
        let table = table.extended(pieces, &memory)?;
        self.put(name, Relation::Table(Arc::new(table)));
        Ok(())
    }

    pub(super) async fn delete(
        &mut self,
        command: &TempCommand,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        let TempCommand::Delete {
            name,
            alias,
            returning,
            ..
        } = command
        else {
            return Err(ServerError::internal("a DELETE that is none"));
        };
        let wanted =
            Wanted::of(command).ok_or_else(|| ServerError::internal("a DELETE of no rows"))?;
        let table = self.target(name, "DELETE").await?;
        self.check_told(command, arguments).await?;
        let plain = wanted.condition.is_none() && wanted.beside.is_empty();
        let memory = self.memory().await?;
        let (rows, left, gone, beside) = if plain && wanted.with.is_none() {
            (table.rows(), Vec::new(), table.pieces.clone(), Vec::new())
        } else {
            let found = self.found(wanted, &table, arguments).await?;
            let told = returning.is_some();
            let (left, gone) = table.parted(&found.numbers, &memory, told)?;
            (found.numbers.len(), left, gone, found.beside)
        };
        let told = Told {
            name: &name.name,
            alias: alias.as_deref(),
            items: returning.as_deref(),
            beside: &beside,
            arguments,
        };
        let tag = format!("DELETE {rows}");
        let before = self.temporary.clone();
        let left = table.with_pieces(left);
        self.put(&name.name, Relation::Table(Arc::new(left)));
        self.changed_told(told, before, &table, &gone, tag).await
    }

    /// Runs a query of rows of a table, which stay what they are.
    pub(super) async fn fill_same(
        &mut self,
        name: &str,
        table: &TempTable,
        planned: Planned,
    ) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        let types = planned.columns().iter().map(|column| column.pg_type);
        let origins = types.enumerate().map(|(at, from)| Origin::Column(at, from));
        let origins = origins.collect();
        let arrangement = self.arrangement(name, &table.schema, origins);
        self.fill(planned, arrangement).await
    }
}

/// Whether values for a column are left out, and its sequence gives others.
fn is_left_out(table: &TempTable, at: usize, overriding: Option<Overriding>) -> bool {
    let generated = table.generated.get(&at);
    overriding == Some(Overriding::User)
        && generated.is_some_and(|of| of.kind != GeneratedKind::Serial)
}

/// Refuses values for columns that their sequences alone fill.
///
/// # Errors
/// 428C9.
fn may_give(
    table: &TempTable,
    targets: &[usize],
    source: Option<&ast::Query>,
    overriding: Option<Overriding>,
) -> Result<(), ServerError> {
    let Some(source) = source.filter(|_| overriding.is_none()) else {
        return Ok(());
    };
    let always = targets.iter().enumerate().filter(|(_, at)| {
        let generated = table.generated.get(at);
        generated.is_some_and(|of| of.kind == GeneratedKind::Always)
    });
    for (place, at) in always {
        let gives = match source.body.as_ref() {
            SetExpr::Values(values) => values.rows.iter().any(|row| {
                let cell = row.content.get(place);
                cell.is_some_and(|cell| !is_default(cell))
            }),
            SetExpr::Select(select) => {
                select.projection.len() > place
                    || select.projection.iter().any(|item| {
                        !matches!(
                            item,
                            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
                        )
                    })
            }
            _ => true,
        };
        if gives {
            let column = table.schema.field(*at).name();
            let text = format!("cannot insert a non-DEFAULT value into column \"{column}\"");
            return Err(
                always_generated(text, column).hint("Use OVERRIDING SYSTEM VALUE to override.")
            );
        }
    }
    Ok(())
}

/// Whether a value is the word DEFAULT.
pub(super) fn is_default(cell: &Expr) -> bool {
    matches!(cell, Expr::Identifier(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("default"))
}

/// 428C9.
pub(super) fn always_generated(text: String, column: &str) -> ServerError {
    let detail = format!("Column \"{column}\" is an identity column defined as GENERATED ALWAYS.");
    ServerError::new("428C9", text).detail(detail)
}
