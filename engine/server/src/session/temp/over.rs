//! Expressions over rows that are in no table yet, or in none any more: what RETURNING and CHECK are computed over.
//!
//! The rows are a relation for one query, under a name that no client can write; the query calls it as its statement
//! calls the table. All else that the query reads is as the statement found it.
//!
//! ```text
//! INSERT INTO t … RETURNING a + 1   ─►   SELECT a + 1 FROM "the rows" AS t
//! ```

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem};
use futures::TryStreamExt as _;

use super::{Piece, Relation, TempState, TempTable, schema_name};
use crate::roles::RoleLimits;
use crate::session::plan::{PlanContext, Planned};
use crate::session::rows::Rows;
use crate::session::{Session, catalog, statement};
use crate::sqlstate::ServerError;

/// The name of the rows.
pub(super) const ROWS: &str = "\u{1}rows";

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Session {
    /// A query over the rows, which it calls by this name.
    ///
    /// # Errors
    /// None that a client can make.
    pub(super) fn over_rows(
        &self,
        called: &str,
        items: Vec<SelectItem>,
    ) -> Result<Box<ast::Statement>, ServerError> {
        let own = quoted(&schema_name(self.options.pid));
        let sql = format!("SELECT 1 FROM {own}.{} AS {}", quoted(ROWS), quoted(called));
        statement::query_with(&sql, |select| select.projection = items)
    }

    /// The context for queries over these rows of a table, which come in their order, beside other relations.
    pub(super) async fn context_over_rows(
        &mut self,
        beside: TempState,
        table: &TempTable,
        pieces: &[Arc<Piece>],
    ) -> Result<PlanContext, ServerError> {
        let rows = Relation::Table(Arc::new(table.with_pieces(pieces.to_vec())));
        let with_rows = beside.with(ROWS, rows);
        self.context_in_order(with_rows).await
    }

    /// The context for queries whose rows come in the order of the tables that they read.
    pub(super) async fn context_in_order(
        &mut self,
        temporary: TempState,
    ) -> Result<PlanContext, ServerError> {
        let context = self.context_over(temporary).await?;
        let state = context.context.state();
        let config = state.config().clone().with_target_partitions(1);
        let builder = SessionStateBuilder::new_from_existing(state).with_config(config);
        Ok(PlanContext {
            context: SessionContext::new_with_state(builder.build()),
            ..context
        })
    }

    /// Plans a query over the rows. Their columns are told as those of the table.
    ///
    /// # Errors
    /// What is wrong with the query.
    pub(super) async fn plan_over(
        &mut self,
        context: PlanContext,
        query: &ast::Statement,
        arguments: &[Expr],
    ) -> Result<Planned, ServerError> {
        let query = self.with_arguments(query, arguments)?;
        self.plan_in(context, query).await
    }

    /// The OIDs of the rows and of the table that they are of.
    pub(super) async fn oids_of_rows(
        &mut self,
        context: &PlanContext,
        table: &str,
    ) -> Result<(Option<u32>, Option<u32>), ServerError> {
        let schema = schema_name(self.options.pid);
        let rows = catalog::relation_oids(context).get(&schema, ROWS);
        let now = self.plan_context().await?;
        Ok((rows, catalog::relation_oids(&now).get(&schema, table)))
    }

    /// Runs a query to its end; its rows wait in memory.
    ///
    /// # Errors
    /// What the query fails with, and 53200.
    pub(super) async fn kept_rows(&mut self, planned: Planned) -> Result<Rows, ServerError> {
        let columns: Arc<[_]> = planned.columns().into();
        let memory = self.memory().await?;
        let rows = self.start(planned).await?;
        let limits = rows.limits().await;
        // The limit of rows is on what leaves the server.
        let rows = rows
            .under(RoleLimits {
                rows: None,
                ..limits
            })
            .await;
        let stop = rows.stop.clone();
        let guard = stop.guard();
        let kept = self.spawn(async move {
            let mut batches = rows.into_stream();
            let mut pieces = Vec::new();
            while let Some(batch) = batches.try_next().await? {
                pieces.push(Piece::held(batch, &memory)?);
                tokio::task::yield_now().await;
            }
            Ok(pieces)
        });
        let kept = kept.await;
        guard.disarm();
        let pieces = kept?.into_iter().map(|piece| Ok(piece.batch.clone()));
        let rows = Rows::of_results(columns, futures::stream::iter(pieces), stop);
        Ok(rows.under(limits).await)
    }
}
