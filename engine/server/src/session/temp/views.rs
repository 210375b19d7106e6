//! CREATE TEMP VIEW.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast;

use super::comments::Comments;
use super::define::columns_of;
use super::{Relation, TempView};
use crate::pg_types::PgType;
use crate::session::statement::joins::as_written;
use crate::session::statement::temp::Name;
use crate::session::{Outcome, Session, rewrite, statement};
use crate::sqlstate::ServerError;

/// Refuses another query of a view without the columns that it has.
///
/// # Errors
/// 42P16.
fn may_replace(old: &Schema, new: &[Field]) -> Result<(), ServerError> {
    if new.len() < old.fields().len() {
        return Err(ServerError::new("42P16", "cannot drop columns from view"));
    }
    for (old, new) in old.fields().iter().zip(new) {
        if old.name() != new.name() {
            let (old, new) = (old.name(), new.name());
            let text = format!("cannot change name of view column \"{old}\" to \"{new}\"");
            return Err(ServerError::new("42P16", text).hint(
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
            ));
        }
        let (from, to) = (PgType::of_field(old), PgType::of_field(new));
        if from != to {
            let text = format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name(),
                from.sql_name(),
                to.sql_name()
            );
            return Err(ServerError::new("42P16", text));
        }
    }
    Ok(())
}

impl Session {
    pub(super) async fn create_view(
        &mut self,
        name: &Name,
        or_replace: bool,
        columns: &[String],
        query: &ast::Statement,
    ) -> Result<Outcome, ServerError> {
        let there = self.temporary.get(&name.name);
        if or_replace && matches!(there, Some(Relation::Table(_))) {
            let text = format!("\"{}\" is not a view", name.name);
            return Err(ServerError::new("42809", text));
        }
        if there.is_none() || !or_replace {
            self.new_name(name, false, "CREATE VIEW")?;
        }
        let planned = self.plan(query, &[]).await?;
        let (fields, _) = columns_of(&planned, columns)?;
        if let Some(Relation::View(view)) = self.temporary.get(&name.name) {
            may_replace(&view.schema, &fields)?;
        }
        let context = self.plan_context().await?;
        let mut resolved = query.clone();
        let path = context.info.relation_path();
        rewrite::resolve(&mut resolved, &context.context, &path, &context.temporary)?;
        let ast::Statement::Query(resolved) = resolved else {
            return Err(ServerError::internal("a view of no query"));
        };
        let definition = as_written(&format!("{resolved};"));
        let held = self.memory_of_view(&name.name, definition.len())?;
        let view = TempView {
            definition,
            query: *resolved,
            schema: Arc::new(Schema::new(fields)),
            reads: self.reads(query),
            comments: Comments::default(),
            held: held.map(Arc::new),
        };
        self.put(&name.name, Relation::View(Arc::new(view)));
        Ok(Outcome::done("CREATE VIEW"))
    }

    /// The temporary relations that a query names.
    fn reads(&self, query: &ast::Statement) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let _: std::ops::ControlFlow<()> = ast::visit_relations(query, |name| {
            if let Ok(name) = statement::temp::name_of(name)
                && self.may_be_own(&name)
                && self.temporary.get(&name.name).is_some()
            {
                found.insert(name.name);
            }
            std::ops::ControlFlow::Continue(())
        });
        found
    }
}
