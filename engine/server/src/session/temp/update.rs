//! UPDATE: the rows that are not found, and those that are with their new values, are the next table.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem};

use super::found::Wanted;
use super::insert::{set_targets, type_cell};
use super::over::quoted;
use super::returning::Told;
use super::{Relation, TempTable};
use crate::session::statement::temp::TempCommand;
use crate::session::{Outcome, Session, statement, written};
use crate::sqlstate::ServerError;

impl Session {
    /// Runs UPDATE.
    ///
    /// # Errors
    /// As PostgreSQL reports them.
    pub(super) async fn update(
        &mut self,
        command: &TempCommand,
        arguments: &[Expr],
    ) -> Result<Outcome, ServerError> {
        let TempCommand::Update {
            name,
            alias,
            set,
            returning,
            ..
        } = command
        else {
            return Err(ServerError::internal("an UPDATE that is none"));
        };
        let wanted =
            Wanted::of(command).ok_or_else(|| ServerError::internal("an UPDATE of no rows"))?;
        let table = self.target(name, "UPDATE").await?;
        self.check_told(command, arguments).await?;
        let context = self.plan_context().await?.context;
        written::check_in(&context, "UPDATE", set.iter().map(|(_, value)| value))?;
        let found = self.found(wanted, &table, arguments).await?;
        let told = Told {
            name: &name.name,
            alias: alias.as_deref(),
            items: returning.as_deref(),
            beside: &found.beside,
            arguments,
        };
        let tag = format!("UPDATE {}", found.numbers.len());
        let before = self.temporary.clone();
        let memory = self.memory().await?;
        let (mut pieces, _) = table.parted(&found.numbers, &memory, false)?;
        pieces.extend(found.changed.iter().cloned());
        if table.cohort {
            self.set_cohort(&name.name, pieces.iter()).await?;
        } else {
            self.check_rows(&name.name, &table, &found.changed).await?;
            let touched = set_targets(&table, &name.name, set)?;
            let next = table.with_pieces(pieces);
            self.admit_changed(&name.name, &next, &touched).await?;
            self.put(&name.name, Relation::Table(Arc::new(next)));
        }
        self.changed_told(told, before, &table, &found.changed, tag)
            .await
    }

    /// The query of changed rows of a table, which come `from` elsewhere; what that says beside the columns follows them.
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
