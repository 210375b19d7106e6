//! Rows of queries on their way to be kept: defaults of columns, and the memory that they may fill.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use futures::TryStreamExt as _;

use super::fill::{Arrangement, Filling, Origin, Target};
use super::insert::{check_assignable, type_cell};
use super::{Piece, TempTable, assign, schema_name};
use crate::pg_types::PgType;
use crate::roles::RoleLimits;
use crate::session::memory::{SessionMemory, all_of};
use crate::session::plan::{PlanContext, Planned};
use crate::session::{Session, statement};
use crate::sqlstate::ServerError;

impl Session {
    /// What a column gets where no value is given.
    pub(super) async fn default_of(
        &mut self,
        table: &TempTable,
        at: usize,
    ) -> Result<Origin, ServerError> {
        if table.defaults.get(at).is_none_or(Option::is_none) {
            return Ok(nothing());
        }
        let context = self.plan_context().await?;
        self.default_in(context, table, at).await
    }

    /// As [`Session::default_of`], computed in a context.
    pub(super) async fn default_in(
        &mut self,
        context: PlanContext,
        table: &TempTable,
        at: usize,
    ) -> Result<Origin, ServerError> {
        let default = table.defaults.get(at).and_then(Option::as_ref);
        let Some((default, field)) = default.zip(table.schema.fields().get(at)) else {
            return Ok(nothing());
        };
        let mut value = default.clone();
        type_cell(&mut value, field, None, &self.settings.text_style())?;
        let query = statement::query_text(&format!("SELECT {value}"))?;
        let planned = self.plan_in(context, *query).await?;
        let from = planned
            .columns()
            .first()
            .map_or(PgType::TEXT, |column| column.pg_type);
        check_assignable(from, &planned, 0, field)?;
        if planned.is_volatile()?
            && let Planned::Lake { plan, context, .. } = &planned
        {
            let (plan, state) = (Arc::clone(plan), context.context.state());
            let physical = self.spawn(async move { Ok(state.create_physical_plan(&plan).await?) });
            if let Some(expr) = projected(&physical.await?) {
                return Ok(Origin::Each(expr, from));
            }
        }
        let rows = self.start(planned).await?;
        let batches = self.spawn(async move { rows.into_stream().try_collect::<Vec<_>>().await });
        let batches = batches.await?;
        let value = batches.first().and_then(|batch| batch.columns().first());
        let value = value.ok_or_else(|| ServerError::internal("a default without a value"))?;
        Ok(Origin::Constant(Arc::clone(value), from))
    }

    pub(super) fn assigning(&self) -> assign::Session {
        assign::Session {
            style: self.settings.text_style(),
        }
    }

    /// A table of the session, as errors name it.
    pub(super) fn target_of(&self, table: &str) -> Target {
        Target {
            schema: schema_name(self.options.pid),
            table: table.to_owned(),
        }
    }

    pub(super) fn arrangement(
        &self,
        table: &str,
        schema: &SchemaRef,
        origins: Vec<Origin>,
    ) -> Arrangement {
        Arrangement {
            target: self.target_of(table),
            schema: Arc::clone(schema),
            origins,
            session: self.assigning(),
        }
    }

    /// The memory that a statement may fill.
    pub(super) async fn memory(&mut self) -> Result<SessionMemory, ServerError> {
        let context = self.plan_context().await?;
        let pool = &context.context.runtime_env().memory_pool;
        let memory = self
            .kept_memory
            .get_or_insert_with(|| SessionMemory::new(pool));
        Ok(memory.at_most(context.memory_limit, all_of(pool)))
    }

    /// Runs a query and keeps its rows.
    pub(super) async fn fill(
        &mut self,
        planned: Planned,
        arrangement: Arrangement,
    ) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        let filling = Filling::new(Arc::clone(&arrangement.schema), self.memory().await?);
        let filled = self.gather(planned, arrangement, filling, Filling::push);
        filled.await?.finish()
    }

    /// Runs a query and has its rows taken as a table would keep them.
    pub(super) async fn gather<T: Send + 'static>(
        &mut self,
        planned: Planned,
        arrangement: Arrangement,
        mut taken: T,
        take: impl Fn(&mut T, RecordBatch) -> Result<(), ServerError> + Send + 'static,
    ) -> Result<T, ServerError> {
        let rows = self.start(planned).await?;
        // The limit of rows is on what leaves the server.
        let limits = self
            .authorised
            .as_ref()
            .map(crate::roles::Authorised::limits)
            .unwrap_or_default();
        let rows = rows
            .under(RoleLimits {
                rows: None,
                ..limits
            })
            .await;
        let guard = rows.stop.guard();
        let gathered = self.spawn(async move {
            let mut batches = rows.into_stream();
            while let Some(batch) = batches.try_next().await? {
                take(&mut taken, arrangement.apply(&batch)?)?;
                tokio::task::yield_now().await;
            }
            Ok(taken)
        });
        let gathered = gathered.await;
        guard.disarm();
        gathered
    }
}

/// NULL, where there is no default.
fn nothing() -> Origin {
    let null = arrow::array::new_null_array(&DataType::Null, 1);
    Origin::Constant(null, PgType::TEXT)
}

/// The expression of `SELECT expression`.
fn projected(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn PhysicalExpr>> {
    match plan.downcast_ref::<ProjectionExec>() {
        Some(projection) => Some(Arc::clone(&projection.expr().first()?.expr)),
        None => projected(plan.children().first()?),
    }
}
