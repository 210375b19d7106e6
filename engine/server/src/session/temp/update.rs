//! UPDATE: the rows that the condition leaves, and those that it finds with their new values, are the next table.
//!
//! Both are queries over the table as it was, so that the condition is asked twice. One that answers otherwise then, as
//! with `random()`, would lose rows or have them twice: it is refused.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem};

use super::change::asked_again;
use super::fill::Origin;
use super::insert::{check_assignable, set_targets, type_cell};
use super::over::quoted;
use super::returning::Told;
use super::{Relation, TempTable, schema_name};
use crate::session::statement::temp::TempCommand;
use crate::session::{Outcome, Session, placed, statement, written};
use crate::sqlstate::ServerError;

impl Session {
    /// Runs UPDATE.
    ///
    /// # Errors
    /// As PostgreSQL reports them; 0A000 for a condition that changes from one evaluation to the next.
    pub(super) async fn update(
        &mut self,
        command: &TempCommand,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        let TempCommand::Update {
            name,
            alias,
            set,
            condition,
            returning,
        } = command
        else {
            return Err(ServerError::internal("an UPDATE that is none"));
        };
        let (alias, condition) = (alias.as_deref(), condition.as_deref());
        let table = self.target(name, "UPDATE").await?;
        self.check_told(command, arguments).await?;
        let context = self.plan_context().await?.context;
        written::check_in(&context, "UPDATE", set.iter().map(|(_, value)| value))?;
        let query = self.changed(&table, &name.name, alias, set, condition)?;
        let planned = self.plan(&query, arguments).await?;
        let touched = set_targets(&table, &name.name, set)?;
        let mut origins = Vec::with_capacity(table.schema.fields().len());
        for (at, column) in planned.columns().iter().enumerate() {
            if touched.contains(&at) {
                let assigned =
                    check_assignable(column.pg_type, &planned, at, table.schema.field(at));
                assigned.map_err(|error| {
                    let named = table.schema.field(at).name();
                    let value = set.iter().find(|(column, _)| column == named);
                    error.place(value.and_then(|(_, value)| placed::start(value)))
                })?;
            }
            origins.push(Origin::Column(at, column.pg_type));
        }
        let arrangement = self.arrangement(&name.name, &table.schema, origins);
        let (changed, rows) = self.fill(planned, arrangement).await?;
        let (mut pieces, kept) = match condition {
            None => (Vec::new(), 0),
            Some(condition) => {
                let query = self.kept(&name.name, alias, condition)?;
                let planned = self.plan(&query, arguments).await?;
                if planned.is_volatile()? {
                    return Err(asked_again("UPDATE"));
                }
                self.fill_same(&name.name, &table, planned).await?
            }
        };
        if u64::try_from(table.rows()).ok() != kept.checked_add(rows) {
            return Err(asked_again("UPDATE"));
        }
        let told = Told {
            name: &name.name,
            alias,
            items: returning.as_deref(),
            arguments,
        };
        let tag = format!("UPDATE {rows}");
        let before = self.temporary.clone();
        pieces.extend(changed.iter().cloned());
        if table.cohort {
            self.set_cohort(&name.name, pieces.iter()).await?;
        } else {
            self.check_rows(&name.name, &table, &changed).await?;
            let next = table.with_pieces(pieces);
            self.admit_changed(&name.name, &next, &touched).await?;
            self.put(&name.name, Relation::Table(Arc::new(next)));
        }
        self.changed_told(told, before, &table, &changed, tag).await
    }

    /// The query of the rows that an UPDATE changes, as they are after it.
    pub(super) fn changed(
        &self,
        table: &TempTable,
        name: &str,
        alias: Option<&str>,
        set: &[(String, Expr)],
        condition: Option<&Expr>,
    ) -> Result<Box<ast::Statement>, ServerError> {
        let own = quoted(&schema_name(self.options.pid));
        let called = quoted(alias.unwrap_or(name));
        let from = format!(" FROM {own}.{} AS {called}", quoted(name));
        self.changed_of(table, name, &called, set, condition, &from)
    }

    /// As [`Session::changed`], of rows that come `from` elsewhere; what it says beside the columns follows them.
    pub(super) fn changed_of(
        &self,
        table: &TempTable,
        name: &str,
        called: &str,
        set: &[(String, Expr)],
        condition: Option<&Expr>,
        from: &str,
    ) -> Result<Box<ast::Statement>, ServerError> {
        let targets = set_targets(table, name, set)?;
        let mut sql = String::from("SELECT ");
        // What is of the statement keeps its place in it.
        let mut values = Vec::new();
        for (at, field) in table.schema.fields().iter().enumerate() {
            if at > 0 {
                sql.push_str(", ");
            }
            let column = quoted(field.name());
            // Writing to a String cannot fail.
            let _ = match targets.iter().position(|target| *target == at) {
                None => write!(sql, "{called}.{column}"),
                Some(place) => {
                    let Some((_, value)) = set.get(place) else {
                        return Err(ServerError::internal("a column without a value"));
                    };
                    let mut value = value.clone();
                    let default = table.defaults.get(at).and_then(Option::as_ref);
                    type_cell(
                        &mut value,
                        field,
                        Some(default),
                        &self.settings.text_style(),
                    )?;
                    values.push((at, value));
                    write!(sql, "NULL AS {column}")
                }
            };
        }
        sql.push_str(from);
        statement::query_with(&sql, |select| {
            select.selection = condition.cloned();
            for (at, value) in values {
                if let Some(SelectItem::ExprWithAlias { expr, .. }) = select.projection.get_mut(at)
                {
                    *expr = Expr::Nested(Box::new(value));
                }
            }
        })
    }
}
