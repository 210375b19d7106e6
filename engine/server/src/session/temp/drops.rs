//! DROP of tables, views and cohorts of the session.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Relation;
use super::run::notice;
use super::sequence::GeneratedKind;
use crate::session::statement::temp::{Kind, Name, is_temp_schema};
use crate::session::{DATABASE, Outcome, Session, statement};
use crate::sqlstate::ServerError;

impl Session {
    /// Takes sequences from the columns that they fill, or refuses to.
    ///
    /// # Errors
    /// 2BP01.
    fn free_sequences(
        &mut self,
        dropped: &BTreeSet<String>,
        cascade: bool,
    ) -> Result<(), ServerError> {
        let now = self.temporary.clone();
        for (name, relation) in now.relations.iter() {
            let Relation::Table(table) = relation else {
                continue;
            };
            let owned = table.generated.iter();
            let owned = owned.filter(|(_, of)| dropped.contains(&of.sequence));
            let mut next = super::TempTable::clone(table);
            for (at, of) in owned {
                let (sequence, column) = (&of.sequence, table.schema.field(*at).name());
                if of.kind != GeneratedKind::Serial {
                    let text = format!(
                        "cannot drop sequence {sequence} because column {column} of table {name} requires it"
                    );
                    let hint = format!("You can drop column {column} of table {name} instead.");
                    return Err(ServerError::new("2BP01", text).hint(hint));
                }
                if !cascade {
                    let text = format!(
                        "cannot drop sequence {sequence} because other objects depend on it"
                    );
                    return Err(ServerError::new("2BP01", text)
                        .detail(format!(
                            "default value for column {column} of table {name} depends on sequence {sequence}"
                        ))
                        .hint("Use DROP ... CASCADE to drop the dependent objects too."));
                }
                next.generated.remove(at);
                if let Some(default) = next.defaults.get_mut(*at) {
                    *default = None;
                }
            }
            if next.generated.len() < table.generated.len() {
                self.put(name, Relation::Table(Arc::new(next)));
            }
        }
        Ok(())
    }

    /// Runs TRUNCATE.
    ///
    /// # Errors
    /// As [`Session::target`].
    pub(super) async fn truncate(
        &mut self,
        names: &[Name],
        restart: bool,
    ) -> Result<Outcome, ServerError> {
        for name in names {
            let table = self.target(name, "TRUNCATE TABLE").await;
            let table = table.map_err(ServerError::nowhere)?;
            let empty = table.with_pieces(Vec::new());
            self.put(&name.name, Relation::Table(Arc::new(empty)));
            let sequences = table.generated.values().filter(|_| restart);
            for generated in sequences {
                let known = self.temporary.get(&generated.sequence);
                if let Some(Relation::Sequence(sequence)) = known {
                    let next = Arc::new(sequence.restarted());
                    self.put(&generated.sequence, Relation::Sequence(next));
                }
            }
        }
        Ok(Outcome::done("TRUNCATE TABLE"))
    }

    /// The schema of a name, when there is none of it.
    async fn absent_schema(&mut self, name: &Name) -> Result<Option<String>, ServerError> {
        let Some(schema) = name.schema.clone() else {
            return Ok(None);
        };
        if is_temp_schema(&schema)
            || ["pg_catalog", "information_schema"].contains(&schema.as_str())
        {
            return Ok(None);
        }
        let context = self.plan_context().await?;
        let catalog = context.context.catalog(DATABASE);
        let there = catalog.is_some_and(|catalog| catalog.schema(&schema).is_some());
        Ok((!there).then_some(schema))
    }

    pub(super) async fn drop_relations(
        &mut self,
        kind: Kind,
        names: &[Name],
        if_exists: bool,
        cascade: bool,
    ) -> Result<Outcome, ServerError> {
        let word = kind.word().to_ascii_lowercase();
        let mut dropped = BTreeSet::new();
        let mut skipped = Vec::new();
        for name in names {
            let own = self.temporary.get(&name.name);
            let own = own
                .filter(|_| self.may_be_own(name))
                .map(|relation| match relation {
                    Relation::Table(table) if table.cohort => Kind::Cohort,
                    Relation::Table(_) => Kind::Table,
                    Relation::View(_) => Kind::View,
                    Relation::Sequence(_) => Kind::Sequence,
                });
            match own {
                Some(own) if own == kind => {
                    dropped.insert(name.name.clone());
                }
                Some(other) => {
                    let text = format!("\"{}\" is not a {word}", name.name);
                    let other = other.word();
                    let hint = format!("Use DROP {other} to remove a {}.", other.to_lowercase());
                    return Err(ServerError::new("42809", text).hint(hint));
                }
                None if self.may_be_own(name) && self.temporary.index(&name.name).is_some() => {
                    let text = format!("\"{}\" is not a {word}", name.name);
                    let hint = "Use DROP INDEX to remove an index.";
                    return Err(ServerError::new("42809", text).hint(hint));
                }
                None if self.is_in_lake(name).await? => {
                    return Err(statement::read_only(&format!("DROP {}", kind.word())));
                }
                None => {
                    let absent = self.absent_schema(name).await?;
                    let (code, text) = match absent {
                        Some(schema) => ("3F000", format!("schema \"{schema}\" does not exist")),
                        None => ("42P01", format!("{word} \"{}\" does not exist", name.name)),
                    };
                    if !if_exists {
                        return Err(ServerError::new(code, text));
                    }
                    skipped.push(format!("{text}, skipping"));
                }
            }
        }
        if kind == Kind::Sequence {
            self.free_sequences(&dropped, cascade)?;
        }
        let mut readers = self.temporary.readers(&dropped);
        if let Some(view) = readers.first().filter(|_| !cascade) {
            let of = dropped.first().map_or("", String::as_str);
            let text = format!("cannot drop {word} {of} because other objects depend on it");
            return Err(ServerError::new("2BP01", text)
                .detail(format!("view {view} depends on {word} {of}"))
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        let cascades = readers
            .iter()
            .map(|view| format!("drop cascades to view {view}"));
        skipped.extend(cascades);
        readers.extend(self.temporary.owned(&dropped));
        readers.extend(dropped);
        if !readers.is_empty() {
            self.set_temporary(self.temporary.without(&readers));
        }
        let told = (!skipped.is_empty()).then(|| notice("00000", skipped.join("; ")));
        Ok(Outcome::Done {
            tag: format!("DROP {}", kind.word()),
            warning: told,
        })
    }
}
