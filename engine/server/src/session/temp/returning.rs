//! RETURNING: what a statement tells of the rows that it wrote or removed.
//!
//! As in PostgreSQL all of it is computed when the statement runs, however many rows its client asks for at a time.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem};

use super::beside::{self, Beside};
use super::found::{Wanted, numbered};
use super::over::{ROWS, quoted};
use super::{Piece, Relation, TempState, TempTable, schema_name};
use crate::pg_types::PgType;
use crate::pgwire::column::Column;
use crate::session::plan::{PlanContext, Planned};
use crate::session::statement::temp::{Name, TempCommand};
use crate::session::template::Analysis;
use crate::session::{Outcome, Session, written};
use crate::sqlstate::ServerError;

/// The rows that a statement tells of.
pub(super) struct Told<'a> {
    /// The table.
    pub(super) name: &'a str,
    /// What the statement calls it.
    pub(super) alias: Option<&'a str>,
    /// What it tells; None: nothing.
    pub(super) items: Option<&'a [SelectItem]>,
    /// What was found beside the rows, in FROM or USING.
    pub(super) beside: &'a [Beside],
    /// The values of its parameters.
    pub(super) arguments: &'a [Expr],
}

/// The table of a command with RETURNING, what it is called, and what is told.
fn of_command(command: &TempCommand) -> Option<(&Name, Option<&str>, &[SelectItem])> {
    let (name, alias, items) = match command {
        TempCommand::Insert {
            name,
            alias,
            returning,
            ..
        }
        | TempCommand::Delete {
            name,
            alias,
            returning,
            ..
        }
        | TempCommand::Update {
            name,
            alias,
            returning,
            ..
        } => (name, alias, returning),
        _ => return None,
    };
    Some((name, alias.as_deref(), items.as_deref()?))
}

impl Session {
    /// What a statement answers that wrote these rows: `tag` says how many they were. What else is read for it is as it
    /// was `before`.
    ///
    /// # Errors
    /// What RETURNING fails with.
    pub(super) async fn changed_told(
        &mut self,
        told: Told<'_>,
        before: TempState,
        table: &TempTable,
        pieces: &[Arc<Piece>],
        tag: String,
    ) -> Result<Outcome, ServerError> {
        let Some(items) = told.items else {
            return Ok(Outcome::done(&tag));
        };
        self.may_tell(table, items).await?;
        let called = told.alias.unwrap_or(told.name);
        let query = self.told_of(called, table, told.beside, items)?;
        let context = self.context_of_told(before, table, pieces, told.beside);
        let context = context.await?;
        let oids = self.oids_of_rows(&context, told.name).await?;
        let mut planned = self.plan_over(context, &query, told.arguments).await?;
        let (Planned::Lake { columns, .. } | Planned::Ready { columns, .. }) = &mut planned;
        of_table(columns, oids);
        Ok(Outcome::Rows {
            rows: self.kept_rows(planned).await?,
            tag: tag.into(),
            counted: false,
            formats: None,
        })
    }

    /// What RETURNING of a command has for parameters and for columns; None for a command without.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn analyse_told(
        &mut self,
        command: &TempCommand,
        beside: &[Beside],
        declared: &[PgType],
    ) -> Result<Option<Analysis>, ServerError> {
        let Some((name, alias, items)) = of_command(command) else {
            return Ok(None);
        };
        let what = match command {
            TempCommand::Insert { .. } => "INSERT",
            TempCommand::Delete { .. } => "DELETE",
            _ => "UPDATE",
        };
        let table = self.target(name, what).await?;
        self.may_tell(&table, items).await?;
        let query = self.told_of(alias.unwrap_or(&name.name), &table, beside, items)?;
        let now = self.temporary.clone();
        let context = self.context_of_told(now, &table, &[], beside).await?;
        let oids = self.oids_of_rows(&context, &name.name).await?;
        let mut analysis = self.analyse_in(context, &query, declared).await?;
        if let Some(columns) = &mut analysis.columns {
            of_table(columns, oids);
        }
        Ok(Some(analysis))
    }

    /// Refuses a command with a RETURNING or ON CONFLICT that nothing can be told by, before it writes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn check_told(
        &mut self,
        command: &TempCommand,
        arguments: &[Expr],
    ) -> Result<(), ServerError> {
        if let Some((query, context)) = self.conflict_query(command).await? {
            self.plan_over(context, &query, arguments).await?;
        }
        let Some((name, alias, items)) = of_command(command) else {
            return Ok(());
        };
        if Wanted::of(command).is_some_and(|wanted| wanted.told) {
            // It is planned before the table is written, when the rows are known.
            return Ok(());
        }
        let Some(Relation::Table(table)) = self.temporary.get(&name.name).cloned() else {
            return Ok(());
        };
        self.may_tell(&table, items).await?;
        let query = self.over_rows(alias.unwrap_or(&name.name), items.to_vec())?;
        let now = self.temporary.clone();
        let context = self.context_over_rows(now, &table, &[]).await?;
        self.plan_over(context, &query, arguments).await.map(drop)
    }

    /// The query of RETURNING over the rows and what was found beside them.
    fn told_of(
        &self,
        called: &str,
        table: &TempTable,
        beside: &[Beside],
        items: &[SelectItem],
    ) -> Result<Box<ast::Statement>, ServerError> {
        if beside.is_empty() {
            return self.over_rows(called, items.to_vec());
        }
        let own = quoted(&schema_name(self.options.pid));
        beside::told_query(&own, called, table, beside, items)
    }

    /// The context of that query.
    async fn context_of_told(
        &mut self,
        before: TempState,
        table: &TempTable,
        pieces: &[Arc<Piece>],
        beside: &[Beside],
    ) -> Result<PlanContext, ServerError> {
        if beside.is_empty() {
            return self.context_over_rows(before, table, pieces).await;
        }
        let schema = numbered(&table.schema);
        let batches: Vec<RecordBatch> = pieces.iter().map(|piece| piece.batch.clone()).collect();
        let mut rows = Vec::with_capacity(pieces.len());
        for (piece, numbers) in pieces.iter().zip(beside::numbers(&batches)) {
            let mut columns = piece.batch.columns().to_vec();
            columns.push(Arc::new(numbers));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            rows.push(Arc::new(piece.reshaped(batch)));
        }
        let shape = TempTable {
            schema,
            ..table.clone()
        };
        let rows = Relation::Table(Arc::new(shape.with_pieces(rows)));
        let mut state = before.with(ROWS, rows);
        for (at, relation) in beside.iter().enumerate() {
            let kept = Relation::Table(Arc::new(relation.table(table)));
            state = state.with(&beside::name_of(at), kept);
        }
        self.context_in_order(state).await
    }

    /// The query of RETURNING, for its parameters.
    pub(super) fn told_query(
        &self,
        command: &TempCommand,
    ) -> Result<Option<Box<ast::Statement>>, ServerError> {
        let Some((name, alias, items)) = of_command(command) else {
            return Ok(None);
        };
        let query = self.over_rows(alias.unwrap_or(&name.name), items.to_vec())?;
        Ok(Some(query))
    }

    /// Refuses what may not stand in RETURNING.
    ///
    /// # Errors
    /// 42803, 42P20 and 0A000.
    async fn may_tell(
        &mut self,
        table: &TempTable,
        items: &[SelectItem],
    ) -> Result<(), ServerError> {
        if table.cohort {
            let text = "RETURNING of the samples of a cohort is not supported";
            return Err(ServerError::unsupported(text).hint("Ask the cohort by a SELECT."));
        }
        let context = self.plan_context().await?.context;
        let exprs = items.iter().filter_map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            _ => None,
        });
        written::check_in(&context, "RETURNING", exprs)
    }
}

/// Columns of the rows are those of the table.
fn of_table(columns: &mut [Column], (rows, table): (Option<u32>, Option<u32>)) {
    let Some((rows, table)) = rows.zip(table) else {
        return;
    };
    for column in columns {
        match column.table_oid == rows {
            true => column.table_oid = table,
            // What stands beside the rows is kept apart from where it came from.
            false => (column.table_oid, column.attnum) = (0, 0),
        }
    }
}
