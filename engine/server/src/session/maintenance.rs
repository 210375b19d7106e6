//! ANALYZE and VACUUM: temporary tables lie in memory and have no statistics that anybody plans by, so that there is
//! nothing to do; those of the lake are not the session's to maintain, which PostgreSQL says in a warning.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;

use super::plan::{self, PlanContext};
use super::statement::maintenance::{Maintained, Maintenance};
use super::statement::temp::is_temp_schema;
use super::temp::Relation;
use super::{Outcome, Session, statement};
use crate::sqlstate::{ServerError, Severity};

impl Session {
    pub(super) async fn maintain(&mut self, command: &Maintenance) -> Result<Outcome, ServerError> {
        if command.tag == "VACUUM" {
            self.must_be_last("VACUUM")?;
        }
        let mut warning = None;
        if !command.tables.is_empty() {
            let context = self.plan_context().await?;
            for table in &command.tables {
                let found = check(&context, command.tag, table)?;
                warning = warning.or(found);
            }
        }
        Ok(Outcome::Done {
            tag: command.tag.to_owned(),
            warning,
        })
    }
}

/// Finds a table; what is not the session's is skipped with a warning.
fn check(
    context: &PlanContext,
    tag: &str,
    table: &Maintained,
) -> Result<Option<ServerError>, ServerError> {
    let parsed = statement::parse(&format!("SELECT * FROM {}", table.name))?.pop();
    let Some(statement::Statement::Query(mut query)) = parsed.map(|parsed| parsed.statement) else {
        return Err(ServerError::internal("a table without a name"));
    };
    plan::resolve(context, &mut query).map_err(ServerError::nowhere)?;
    let verb = tag.to_lowercase();
    let skipping = |name: &str, text: String| {
        let warning = ServerError::new("01000", text.replace("{}", name));
        Ok(Some(warning.severity(Severity::Warning)))
    };
    let mut parts: Vec<String> = Vec::new();
    let _: ControlFlow<()> = ast::visit_relations(&*query, |name| {
        let idents = name.0.iter().filter_map(|part| part.as_ident());
        parts = idents.map(|ident| ident.value.clone()).collect();
        ControlFlow::Break(())
    });
    let last = table.name.rsplit('.').next().unwrap_or_default();
    let shown = last.trim_matches('"');
    let temporary = match parts.as_slice() {
        [schema, name] if is_temp_schema(schema) => context.temporary.get(name),
        _ => context.temporary.get(shown),
    };
    match temporary {
        Some(Relation::Table(known)) => {
            let missing = table
                .columns
                .iter()
                .find(|column| known.schema.field_with_name(column).is_err());
            match missing {
                None => Ok(None),
                Some(column) => {
                    let text =
                        format!("column \"{column}\" of relation \"{shown}\" does not exist");
                    Err(ServerError::new("42703", text))
                }
            }
        }
        Some(Relation::View(_) | Relation::Sequence(_)) => skipping(
            shown,
            format!("skipping \"{{}}\" --- cannot {verb} non-tables or special system tables"),
        ),
        None => skipping(
            shown,
            format!("permission denied to {verb} \"{{}}\", skipping it"),
        ),
    }
}
