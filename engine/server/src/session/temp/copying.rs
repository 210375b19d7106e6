//! COPY FROM STDIN: what it fills, and the rows that come of it.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Expr};

use super::copy::{CopyColumns, CopyIn};
use super::fill::Filling;
use super::insert::targets;
use super::over::quoted;
use super::{Piece, Relation, TempTable, schema_name};
use crate::session::statement::temp::Name;
use crate::session::statement::{self, CopyOptions};
use crate::session::{Outcome, Session};
use crate::sqlstate::ServerError;

impl Session {
    /// The table that COPY FROM fills: a temporary one, or a cohort of the lake that is the session's to write.
    async fn copy_target(&mut self, name: &Name) -> Result<CopyTarget, ServerError> {
        if !self.is_temporary(name) && self.is_kept_cohort(name).await? {
            return Ok(CopyTarget::Cohort);
        }
        let table = self.target(name, "COPY FROM").await?;
        Ok(CopyTarget::Table(table))
    }

    pub(super) async fn copy_from(
        &mut self,
        name: &Name,
        columns: &[String],
        options: &CopyOptions,
        condition: Option<&Expr>,
    ) -> Result<Outcome, ServerError> {
        let table = self.copy_target(name).await;
        let table = match table.map_err(ServerError::nowhere)? {
            CopyTarget::Table(table) => table,
            CopyTarget::Cohort if condition.is_some() => {
                let text = "COPY … FROM STDIN WHERE into a cohort of the lake";
                return Err(ServerError::unsupported(text).hint(
                    "COPY into a temporary table, then INSERT INTO the cohort SELECT … WHERE.",
                ));
            }
            CopyTarget::Cohort => Arc::new(TempTable::of_samples()),
        };
        let condition = match condition {
            Some(condition) => {
                let query = self.chosen(&name.name, condition)?;
                // What is wrong with it is told before any row comes.
                self.plan(&query, &[]).await?;
                Some(query)
            }
            None => None,
        };
        let targets = targets(&table, &name.name, columns).map_err(ServerError::nowhere)?;
        let mut others = Vec::new();
        for at in 0..table.schema.fields().len() {
            if !targets.contains(&at) {
                others.push((at, self.default_of(&table, at).await?));
            }
        }
        let memory = self.memory().await?;
        let filling = Filling::new(Arc::clone(&table.schema), memory);
        let style = self.settings.text_style();
        let copy = CopyIn::new(
            name,
            self.target_of(&name.name),
            &table,
            CopyColumns {
                given: targets,
                others,
            },
            filling,
            options,
            style,
        )?;
        Ok(Outcome::CopyIn(Box::new(copy.of(condition))))
    }

    /// The end of a COPY FROM: its rows are in the table.
    ///
    /// # Errors
    /// What the last of them fail with.
    pub(crate) async fn copied(&mut self, copy: CopyIn) -> Result<u64, ServerError> {
        let name = copy.name().clone();
        let condition = copy.condition();
        let (pieces, rows) = copy.finish()?;
        match self.copy_target(&name).await? {
            CopyTarget::Table(table) => {
                let (pieces, rows) = match condition {
                    Some(query) => self.filtered(&name.name, &table, pieces, &query).await?,
                    None => (pieces, rows),
                };
                self.extend(&name.name, &table, pieces).await?;
                Ok(rows)
            }
            CopyTarget::Cohort => {
                self.extend_kept_cohort(&name.name, pieces).await?;
                Ok(rows)
            }
        }
    }

    /// The rows of these pieces that a query over the table finds, as if they were all that the table holds.
    async fn filtered(
        &mut self,
        name: &str,
        table: &TempTable,
        pieces: Vec<Arc<Piece>>,
        query: &ast::Statement,
    ) -> Result<(Vec<Arc<Piece>>, u64), ServerError> {
        let only = Relation::Table(Arc::new(table.with_pieces(pieces)));
        let context = self.context_over(self.temporary.with(name, only)).await?;
        let planned = self.plan_in(context, query.clone()).await?;
        self.fill_same(name, table, planned).await
    }

    /// The query of the rows of a table for which a condition is true.
    fn chosen(&self, table: &str, condition: &Expr) -> Result<Box<ast::Statement>, ServerError> {
        let (own, table) = (quoted(&schema_name(self.options.pid)), quoted(table));
        statement::query_text(&format!("SELECT * FROM {own}.{table} WHERE {condition}"))
    }
}

/// What COPY FROM fills.
enum CopyTarget {
    /// A temporary table.
    Table(Arc<TempTable>),
    /// A cohort of the lake.
    Cohort,
}
