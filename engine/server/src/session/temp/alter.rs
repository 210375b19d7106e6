//! ALTER TABLE: each alteration makes the next table, and all of them are done or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem};

use super::altered::{Altered, batch, notice_of, open, plain_fields};
use super::assign;
use super::define::field_of;
use super::fill::Origin;
use super::run::notice;
use super::{Piece, Relation, TempState, TempTable};
use crate::pg_types::PgType;
use crate::session::statement::temp::{Alteration, ColumnDef, Name, RuleDef};
use crate::session::{Outcome, Session};
use crate::sqlstate::{Object, ServerError};

impl Session {
    /// Runs ALTER TABLE.
    ///
    /// # Errors
    /// What PostgreSQL says; 25006 for a table of the lake.
    pub(super) async fn alter_table(
        &mut self,
        name: &Name,
        if_exists: bool,
        alterations: &[Alteration],
    ) -> Result<Outcome, ServerError> {
        let is_own = self.is_temporary(name);
        if if_exists && !is_own && !self.is_in_lake(name).await? {
            let text = format!("relation \"{}\" does not exist, skipping", name.name);
            return Ok(Outcome::Done {
                tag: "ALTER TABLE".to_owned(),
                warning: Some(notice("00000", text)),
            });
        }
        let table = self.target(name, "ALTER TABLE").await;
        let table = table.map_err(ServerError::nowhere)?;
        if table.cohort {
            let text = "ALTER TABLE of a cohort is not supported";
            return Err(ServerError::unsupported(text));
        }
        let mut altered = Altered {
            name: name.name.clone(),
            table: TempTable::clone(&table),
            skipped: Vec::new(),
            sequences: Vec::new(),
            gone: BTreeSet::new(),
        };
        for alteration in alterations {
            self.may_alter(&altered.name, alteration)?;
            self.alter(&mut altered, alteration).await?;
        }
        let Altered {
            name: next,
            table,
            skipped,
            sequences,
            gone,
        } = altered;
        if !gone.is_empty() {
            self.set_temporary(self.temporary.without(&gone));
        }
        for (name, sequence) in sequences {
            self.put(&name, Relation::Sequence(sequence));
        }
        if next != name.name {
            self.rename(&name.name, &next);
        }
        self.put(&next, Relation::Table(Arc::new(table)));
        Ok(Outcome::Done {
            tag: "ALTER TABLE".to_owned(),
            warning: notice_of(skipped),
        })
    }

    /// Refuses to change columns of a table that a view reads: it was made of those that there were.
    fn may_alter(&self, name: &str, alteration: &Alteration) -> Result<(), ServerError> {
        let changes = matches!(
            alteration,
            Alteration::AddColumn { .. }
                | Alteration::DropColumn { .. }
                | Alteration::RenameColumn { .. }
                | Alteration::Rename(_)
                | Alteration::Type { .. }
        );
        let readers = self.temporary.readers(&BTreeSet::from([name.to_owned()]));
        match readers.first().filter(|_| changes) {
            None => Ok(()),
            Some(view) => {
                let text = format!("cannot alter columns of table \"{name}\", which a view reads");
                Err(ServerError::unsupported(text)
                    .detail(format!("view {view} depends on table {name}"))
                    .hint("Drop the view first, and make it again."))
            }
        }
    }

    async fn alter(
        &mut self,
        altered: &mut Altered,
        alteration: &Alteration,
    ) -> Result<(), ServerError> {
        match alteration {
            Alteration::AddColumn {
                column,
                if_not_exists,
            } => self.add_column(altered, column, *if_not_exists).await,
            Alteration::DropColumn { column, if_exists } => {
                match altered.column(column) {
                    Ok(at) => altered.drop_column(at)?,
                    Err(error) if *if_exists => altered.skip("00000", &error.to_string()),
                    Err(error) => return Err(error),
                }
                Ok(())
            }
            Alteration::Type {
                column,
                data_type,
                using,
            } => {
                let column = ColumnDef {
                    name: column.clone(),
                    data_type: data_type.clone(),
                    not_null: None,
                    default: None,
                    rules: Vec::new(),
                    generated: None,
                    contradicts: None,
                };
                self.change_type(altered, &column, using.as_deref()).await
            }
            Alteration::Default { column, value } => {
                let at = altered.column(column)?;
                altered.is_no_identity(at, column)?;
                // A serial column is one with a default; its sequence stays.
                if let Some(default) = altered.table.defaults.get_mut(at) {
                    *default = value.as_deref().cloned();
                }
                let checked = self
                    .check_defaults(&altered.table, &altered.sequences)
                    .await;
                checked.map_err(ServerError::unplaced)
            }
            Alteration::NotNull { column, set } => {
                let at = altered.column(column)?;
                let primary = altered.table.rules.primary();
                if !set && primary.is_some_and(|key| key.columns().contains(&at)) {
                    let text = format!("column \"{column}\" is in a primary key");
                    return Err(ServerError::new("42P16", text));
                }
                if !set {
                    altered.is_no_identity(at, column)?;
                }
                altered.set_not_null(at, *set)?;
                self.no_nulls(altered, at)
            }
            Alteration::AddRule(rule) => {
                let added = self.add_rule_to_rows(altered, rule).await;
                added.map_err(ServerError::unplaced)
            }
            Alteration::DropRule { name, if_exists } => {
                match altered.drop_rule(name) {
                    Ok(()) => {}
                    Err(error) if *if_exists => altered.skip("00000", &error.to_string()),
                    Err(error) => return Err(error),
                }
                Ok(())
            }
            Alteration::Rename(to) => {
                if self.is_taken(to, &altered.name, &altered.table) {
                    let text = format!("relation \"{to}\" already exists");
                    return Err(ServerError::new("42P07", text));
                }
                altered.name.clone_from(to);
                Ok(())
            }
            Alteration::RenameColumn { column, to } => altered.rename_column(column, to),
            Alteration::RenameRule { name, to } => {
                let taken = self.is_taken(to, &altered.name, &altered.table);
                altered.rename_rule(name, to, taken)
            }
        }
    }

    /// A table under another name.
    fn rename(&mut self, from: &str, to: &str) {
        if let Some(relation) = self.temporary.get(from).cloned() {
            let gone = BTreeSet::from([from.to_owned()]);
            let next = self.temporary.without(&gone).with(to, relation);
            self.set_temporary(next);
        }
    }

    async fn add_column(
        &mut self,
        altered: &mut Altered,
        column: &ColumnDef,
        if_not_exists: bool,
    ) -> Result<(), ServerError> {
        if altered.table.schema.index_of(&column.name).is_ok() {
            let (name, relation) = (&column.name, &altered.name);
            let text = format!("column \"{name}\" of relation \"{relation}\" already exists");
            if !if_not_exists {
                return Err(ServerError::new("42701", text));
            }
            altered.skip("42701", &text);
            return Ok(());
        }
        let field = field_of(column)?;
        let table = &mut altered.table;
        let at = table.schema.fields().len();
        let mut fields: Vec<Field> = plain_fields(&table.schema);
        fields.push(field);
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let before = table.pieces.clone();
        *table = TempTable {
            schema: Arc::clone(&schema),
            ..table.clone()
        };
        table.defaults.push(column.default.clone());
        if let Some(def) = &column.generated {
            let (name, table) = (&altered.name, &mut altered.table);
            let made = self.add_sequence(name, table, at, def, &altered.sequences)?;
            altered.sequences.push(made);
        }
        let mut beside = self.temporary.clone();
        for (name, sequence) in &altered.sequences {
            beside = beside.with(name, Relation::Sequence(Arc::clone(sequence)));
        }
        let table = altered.table.clone();
        let checked = self.check_defaults(&table, &altered.sequences).await;
        checked.map_err(ServerError::unplaced)?;
        let context = self.context_over(beside).await?;
        let origin = self.default_in(context, &table, at).await?;
        let (memory, assigning) = (self.memory().await?, self.assigning());
        let mut pieces = Vec::with_capacity(before.len());
        for piece in &before {
            let rows = piece.batch.num_rows();
            let mut arrays = piece.batch.columns().to_vec();
            let values = origin.values(&piece.batch)?;
            arrays.push(assign::assign(
                &values,
                origin.pg_type(),
                schema.field(at),
                &assigning,
            )?);
            let open = open(&schema);
            let batch = batch(&open, arrays, rows)?;
            pieces.push(Arc::new(Piece::held(batch, &memory)?));
        }
        altered.table.pieces = pieces;
        self.no_nulls(altered, at)?;
        altered.close()?;
        for rule in &column.rules {
            self.add_rule_to_rows(altered, rule).await?;
        }
        Ok(())
    }

    /// Refuses NULL in a column that has none, and lets its rows be of the table's schema.
    ///
    /// # Errors
    /// 23502.
    fn no_nulls(&self, altered: &Altered, at: usize) -> Result<(), ServerError> {
        let field = altered.table.schema.field(at);
        let has = |piece: &Arc<Piece>| {
            let column = piece.batch.columns().get(at);
            column.is_some_and(|column| column.logical_null_count() > 0)
        };
        if field.is_nullable() || !altered.table.pieces.iter().any(has) {
            return Ok(());
        }
        let (column, relation) = (field.name(), &altered.name);
        let text = format!("column \"{column}\" of relation \"{relation}\" contains null values");
        let object: Object = self.object(relation, Some(column), None);
        Err(ServerError::new("23502", text).of_object(object))
    }

    /// Adds a constraint that the rows must keep to already.
    async fn add_rule_to_rows(
        &mut self,
        altered: &mut Altered,
        rule: &RuleDef,
    ) -> Result<(), ServerError> {
        let (checks, indexes) = (
            altered.table.rules.checks.len(),
            altered.table.rules.indexes.len(),
        );
        let name = altered.name.clone();
        self.add_rule(&name, &mut altered.table, rule).await?;
        for at in 0..altered.table.schema.fields().len() {
            self.no_nulls(altered, at)?;
        }
        altered.close()?;
        if altered.table.rules.checks.len() > checks {
            self.check_all(altered).await?;
        }
        match altered.table.rules.indexes.len() > indexes {
            true => self.admit_index(&name, &altered.table).await,
            false => Ok(()),
        }
    }

    /// Refuses rows of a table that a CHECK is false of.
    async fn check_all(&mut self, altered: &Altered) -> Result<(), ServerError> {
        let (name, table) = (&altered.name, &altered.table);
        let refused = self.first_refused(name, table, &table.pieces).await?;
        let check = refused.and_then(|(check, _)| table.rules.checks.get(check));
        let Some(check) = check else { return Ok(()) };
        let check = &check.name;
        let text =
            format!("check constraint \"{check}\" of relation \"{name}\" is violated by some row");
        let object = self.object(name, None, Some(check));
        Err(ServerError::new("23514", text).of_object(object))
    }

    async fn change_type(
        &mut self,
        altered: &mut Altered,
        column: &ColumnDef,
        using: Option<&Expr>,
    ) -> Result<(), ServerError> {
        let at = altered.column(&column.name)?;
        let table = altered.table.clone();
        let old = table.schema.field(at).clone();
        let field = field_of(column)?.with_nullable(old.is_nullable());
        let (from, to) = (PgType::of_field(&old), PgType::of_field(&field));
        let automatic = |subject: &str| {
            let to = to.sql_name();
            let text = format!("{subject} cannot be cast automatically to type {to}");
            ServerError::new("42804", text)
        };
        if using.is_none() && !assign::assignable(from, to) {
            let name = &column.name;
            let hint = format!(
                "You might need to specify \"USING {name}::{}\".",
                to.sql_name()
            );
            return Err(automatic(&format!("column \"{name}\"")).hint(hint));
        }
        let mut fields = plain_fields(&table.schema);
        if let Some(slot) = fields.get_mut(at) {
            *slot = field.clone();
        }
        let mut next = TempTable {
            schema: Arc::new(Schema::new(fields)),
            pieces: Vec::new(),
            rules: table.rules.anew(),
            ..table.clone()
        };
        if self
            .check_defaults(&next, &altered.sequences)
            .await
            .is_err()
        {
            return Err(automatic(&format!(
                "default for column \"{}\"",
                column.name
            )));
        }
        let items = table.schema.fields().iter().enumerate();
        let items = items.map(|(place, field)| {
            let own = Expr::Identifier(Ident::with_quote('"', field.name()));
            let expr = match using {
                Some(using) if place == at => using.clone(),
                _ => own,
            };
            let alias = Ident::with_quote('"', format!("c{place}"));
            SelectItem::ExprWithAlias { expr, alias }
        });
        let query = self.over_rows(&altered.name, items.collect())?;
        let context = self
            .context_over_rows(TempState::default(), &table, &table.pieces)
            .await?;
        let planned = self.plan_in(context, *query).await?;
        let made = planned.columns().get(at).map_or(to, |made| made.pg_type);
        if using.is_some() && !assign::assignable(made, to) {
            let subject = format!("result of USING clause for column \"{}\"", column.name);
            let hint = "You might need to add an explicit cast.";
            return Err(automatic(&subject).hint(hint));
        }
        let types = planned.columns().iter().map(|column| column.pg_type);
        let origins = types.enumerate().map(|(at, from)| Origin::Column(at, from));
        let origins = origins.collect();
        let arrangement = self.arrangement(&altered.name, &next.schema, origins);
        (next.pieces, _) = self.fill(planned, arrangement).await?;
        altered.table = next;
        self.check_all(altered).await?;
        for index in altered.table.rules.indexes.clone() {
            let mut only = altered.table.clone();
            only.rules.indexes = vec![index];
            self.admit_index(&altered.name, &only).await?;
        }
        Ok(())
    }
}
