//! COMMENT on tables and views of the session, on their columns, indexes and constraints.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::sequence::shape;
use super::{Relation, TempTable};
use crate::session::statement::temp::{Commented, Name};
use crate::session::{Outcome, Session, statement};
use crate::sqlstate::{ServerError, undefined_table};

/// What is said of a relation and of its parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Comments {
    pub(super) relation: Option<String>,
    /// By the places of the columns.
    pub(super) columns: BTreeMap<usize, String>,
    /// By the names of indexes.
    pub(super) indexes: BTreeMap<String, String>,
    /// By the names of constraints.
    pub(super) constraints: BTreeMap<String, String>,
}

impl Comments {
    /// The same of a relation without this column.
    pub(super) fn without(&self, column: usize) -> Comments {
        let columns = self.columns.iter().filter(|(at, _)| **at != column);
        let columns = columns.map(|(at, text)| (at - usize::from(*at > column), text.clone()));
        Comments {
            columns: columns.collect(),
            ..self.clone()
        }
    }
}

/// Says something, or nothing any more: what is said as `''` is nothing, as in PostgreSQL.
fn say<K: Ord>(said: &mut BTreeMap<K, String>, of: K, text: Option<&str>) {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => said.insert(of, text.to_owned()),
        None => said.remove(&of),
    };
}

impl Session {
    /// Runs COMMENT.
    ///
    /// # Errors
    /// 42P01 and its like for what is not there, 25006 for what is of the lake.
    pub(super) async fn comment(
        &mut self,
        on: &Commented,
        text: Option<&str>,
    ) -> Result<Outcome, ServerError> {
        match on {
            Commented::Relation { name, kind } => {
                let relation = self.commented(name).await?;
                let fits = match &relation {
                    Relation::Table(_) => *kind == "TABLE",
                    Relation::View(_) => *kind == "VIEW",
                    Relation::Sequence(_) => false,
                };
                if !fits {
                    let what = kind.to_lowercase();
                    let text = format!("\"{}\" is not a {what}", name.name);
                    return Err(ServerError::new("42809", text));
                }
                let text = text.filter(|text| !text.is_empty()).map(str::to_owned);
                self.say_of(&name.name, relation, |said| said.relation = text);
            }
            Commented::Column { name, column } => {
                let relation = self.commented(name).await?;
                let schema = match &relation {
                    Relation::Table(table) => Arc::clone(&table.schema),
                    Relation::View(view) => Arc::clone(&view.schema),
                    Relation::Sequence(_) => shape(),
                };
                let at = schema.index_of(column).map_err(|_| {
                    let relation = &name.name;
                    let text =
                        format!("column \"{column}\" of relation \"{relation}\" does not exist");
                    ServerError::new("42703", text)
                })?;
                self.say_of(&name.name, relation, |said| {
                    say(&mut said.columns, at, text);
                });
            }
            Commented::Index(name) => {
                let table = self.temporary.index(&name.name).map(|(table, _)| table);
                let table = table.filter(|_| self.may_be_own(name)).map(str::to_owned);
                let Some(table) = table else {
                    if self.is_in_lake(name).await? {
                        return Err(statement::read_only("COMMENT"));
                    }
                    return Err(undefined_table(&name.name).nowhere());
                };
                if let Some(relation) = self.temporary.get(&table).cloned() {
                    self.say_of(&table, relation, |said| {
                        say(&mut said.indexes, name.name.clone(), text);
                    });
                }
            }
            Commented::Constraint { table, name } => {
                let relation = self.commented(table).await?;
                let known = match &relation {
                    Relation::Table(table) => table.rules.has_constraint(name),
                    _ => false,
                };
                if !known {
                    let table = &table.name;
                    let text =
                        format!("constraint \"{name}\" for table \"{table}\" does not exist");
                    return Err(ServerError::new("42704", text));
                }
                self.say_of(&table.name, relation, |said| {
                    say(&mut said.constraints, name.clone(), text);
                });
            }
        }
        Ok(Outcome::done("COMMENT"))
    }

    /// The relation of the session that a comment is about.
    async fn commented(&mut self, name: &Name) -> Result<Relation, ServerError> {
        let own = self.temporary.get(&name.name).cloned();
        match own.filter(|_| self.may_be_own(name)) {
            Some(relation) => Ok(relation),
            None if self.is_in_lake(name).await? => Err(statement::read_only("COMMENT")),
            None => Err(self.unknown(name).nowhere()),
        }
    }

    fn say_of(&mut self, name: &str, relation: Relation, say: impl FnOnce(&mut Comments)) {
        let next = match relation {
            Relation::Table(table) => {
                let mut next = TempTable::clone(&table);
                say(&mut next.comments);
                Relation::Table(Arc::new(next))
            }
            Relation::View(view) => {
                let mut next = super::TempView::clone(&view);
                say(&mut next.comments);
                Relation::View(Arc::new(next))
            }
            // Nothing is shown of what is said of a sequence.
            sequence @ Relation::Sequence(_) => sequence,
        };
        self.put(name, next);
    }
}
