//! ALTER TABLE: each alteration makes the next table, and all of them are done or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{self, Expr, Ident, SelectItem};

use super::assign;
use super::define::field_of;
use super::fill::Origin;
use super::rules::{Index, IndexKey, Part, columns_of};
use super::run::notice;
use super::sequence::GeneratedKind;
use super::{Piece, Relation, Sequence, TempState, TempTable};
use crate::pg_types::PgType;
use crate::session::rewrite::folded;
use crate::session::statement::temp::{Alteration, ColumnDef, Name, RuleDef};
use crate::session::{Outcome, Session};
use crate::sqlstate::{Object, ServerError};

/// A table on its way to be another one.
struct Altered {
    name: String,
    table: TempTable,
    /// What the client is told of.
    skipped: Vec<(&'static str, String)>,
    /// Sequences of new columns.
    sequences: Vec<(String, Arc<Sequence>)>,
    /// Sequences of columns that are gone.
    gone: BTreeSet<String>,
}

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
                let checked = self.check_defaults(&altered.table).await;
                checked.map_err(ServerError::nowhere)
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
                added.map_err(ServerError::nowhere)
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
        let checked = self.check_defaults(&table).await;
        checked.map_err(ServerError::nowhere)?;
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
        if self.check_defaults(&next).await.is_err() {
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

/// What was skipped, in one.
fn notice_of(skipped: Vec<(&'static str, String)>) -> Option<ServerError> {
    let code = skipped.first()?.0;
    let texts: Vec<String> = skipped.into_iter().map(|(_, text)| text).collect();
    Some(notice(code, texts.join("; ")))
}

impl Altered {
    /// Tells of something that is left as it is.
    fn skip(&mut self, code: &'static str, text: &str) {
        self.skipped.push((code, format!("{text}, skipping")));
    }

    /// Where a column stands.
    ///
    /// # Errors
    /// 42703.
    fn column(&self, column: &str) -> Result<usize, ServerError> {
        self.table.schema.index_of(column).map_err(|_| {
            let relation = &self.name;
            let text = format!("column \"{column}\" of relation \"{relation}\" does not exist");
            ServerError::new("42703", text)
        })
    }

    /// # Errors
    /// 42601 for an identity column.
    fn is_no_identity(&self, at: usize, column: &str) -> Result<(), ServerError> {
        let generated = self.table.generated.get(&at);
        match generated.is_some_and(|of| of.kind != GeneratedKind::Serial) {
            false => Ok(()),
            true => {
                let relation = &self.name;
                let text =
                    format!("column \"{column}\" of relation \"{relation}\" is an identity column");
                Err(ServerError::syntax(text, None))
            }
        }
    }

    fn set_not_null(&mut self, at: usize, set: bool) -> Result<(), ServerError> {
        let fields = plain_fields(&self.table.schema).into_iter().enumerate();
        let fields = fields.map(|(place, field)| match place == at {
            true => field.with_nullable(!set),
            false => field,
        });
        self.table.schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        if !set {
            return self.close();
        }
        Ok(())
    }

    /// Lets the rows be of the schema of the table.
    fn close(&mut self) -> Result<(), ServerError> {
        let (schema, table) = (Arc::clone(&self.table.schema), &mut self.table);
        for piece in &mut table.pieces {
            if piece.batch.schema_ref() != &schema {
                let rows = piece.batch.num_rows();
                let shaped = batch(&schema, piece.batch.columns().to_vec(), rows)?;
                *piece = Arc::new(piece.reshaped(shaped));
            }
        }
        Ok(())
    }

    /// Takes a column out, with the constraints and indexes that name it.
    fn drop_column(&mut self, at: usize) -> Result<(), ServerError> {
        let table = &mut self.table;
        let schema = Arc::clone(&table.schema);
        let names = |expr: &Expr| columns_of(expr, &schema).contains(&at);
        table.rules.checks.retain(|check| !names(&check.condition));
        let uses = |index: &Index| {
            index.columns().contains(&at)
                || index.include.contains(&at)
                || index.condition.as_ref().is_some_and(names)
                || index.keys.iter().any(|key| match &key.part {
                    Part::Expression(expr) => names(expr),
                    Part::Column(_) => false,
                })
        };
        table.rules.indexes.retain(|index| !uses(index));
        for index in &mut table.rules.indexes {
            index.without(at);
        }
        table.comments = table.comments.without(at);
        if let Some(generated) = table.generated.remove(&at) {
            self.gone.insert(generated.sequence);
        }
        let next = |(place, generated)| (place - usize::from(place > at), generated);
        table.generated = std::mem::take(&mut table.generated)
            .into_iter()
            .map(next)
            .collect();
        let mut fields = plain_fields(&schema);
        if at < fields.len() {
            fields.remove(at);
        }
        if at < table.defaults.len() {
            table.defaults.remove(at);
        }
        table.schema = Arc::new(Schema::new(fields));
        for piece in &mut table.pieces {
            let rows = piece.batch.num_rows();
            let mut arrays = piece.batch.columns().to_vec();
            if at < arrays.len() {
                arrays.remove(at);
            }
            *piece = Arc::new(piece.reshaped(batch(&table.schema, arrays, rows)?));
        }
        Ok(())
    }

    fn drop_rule(&mut self, name: &str) -> Result<(), ServerError> {
        let rules = &mut self.table.rules;
        if !rules.has_constraint(name) {
            return Err(self.no_rule(name));
        }
        rules.checks.retain(|check| check.name != name);
        rules
            .indexes
            .retain(|index| !(index.is_constraint() && index.name == name));
        Ok(())
    }

    /// 42704.
    fn no_rule(&self, name: &str) -> ServerError {
        let relation = &self.name;
        let text = format!("constraint \"{name}\" of relation \"{relation}\" does not exist");
        ServerError::new("42704", text)
    }

    fn rename_column(&mut self, column: &str, to: &str) -> Result<(), ServerError> {
        let at = self.column(column).map_err(|_| {
            // As PostgreSQL says it of RENAME alone.
            ServerError::new("42703", format!("column \"{column}\" does not exist"))
        })?;
        if self.table.schema.index_of(to).is_ok() {
            let relation = &self.name;
            let text = format!("column \"{to}\" of relation \"{relation}\" already exists");
            return Err(ServerError::new("42701", text));
        }
        let fields = plain_fields(&self.table.schema).into_iter().enumerate();
        let fields = fields.map(|(place, field)| match place == at {
            true => field.with_name(to),
            false => field,
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        for check in &mut self.table.rules.checks {
            renamed(&mut check.condition, column, to);
        }
        for index in &mut self.table.rules.indexes {
            for key in &mut index.keys {
                if let Part::Expression(expr) = &mut key.part {
                    renamed(expr, column, to);
                }
            }
            if let Some(condition) = &mut index.condition {
                renamed(condition, column, to);
            }
        }
        self.table.schema = schema;
        self.close()
    }

    fn rename_rule(&mut self, name: &str, to: &str, taken: bool) -> Result<(), ServerError> {
        let relation = self.name.clone();
        let rules = &mut self.table.rules;
        if !rules.has_constraint(name) {
            let text = format!("constraint \"{name}\" for table \"{relation}\" does not exist");
            return Err(ServerError::new("42704", text));
        }
        if rules.has_constraint(to) {
            let text = format!("constraint \"{to}\" for relation \"{relation}\" already exists");
            return Err(ServerError::new("42710", text));
        }
        if let Some(at) = rules.checks.iter().position(|check| check.name == name) {
            let mut check = rules.checks.remove(at);
            to.clone_into(&mut check.name);
            rules.add_check(check);
            return Ok(());
        }
        if taken {
            let text = format!("relation \"{to}\" already exists");
            return Err(ServerError::new("42P07", text));
        }
        for index in rules.indexes.iter_mut().filter(|index| index.name == name) {
            to.clone_into(&mut index.name);
        }
        Ok(())
    }
}

impl Index {
    /// Its columns after one that it has not was taken out of the table.
    fn without(&mut self, column: usize) {
        let next = |at: usize| at - usize::from(at > column);
        for key in &mut self.keys {
            if let IndexKey {
                part: Part::Column(at),
                ..
            } = key
            {
                *at = next(*at);
            }
        }
        for at in &mut self.include {
            *at = next(*at);
        }
    }
}

/// A column of another name in an expression.
fn renamed(expr: &mut Expr, column: &str, to: &str) {
    let _: std::ops::ControlFlow<()> = ast::visit_expressions_mut(expr, |part| {
        let name = match part {
            Expr::Identifier(name) => Some(name),
            Expr::CompoundIdentifier(names) => names.last_mut(),
            _ => None,
        };
        if let Some(name) = name.filter(|name| folded(name) == column) {
            *name = Ident::with_quote('"', to);
        }
        std::ops::ControlFlow::Continue(())
    });
}

fn plain_fields(schema: &SchemaRef) -> Vec<Field> {
    schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect()
}

/// A schema whose columns may all be NULL.
fn open(schema: &SchemaRef) -> SchemaRef {
    let fields = plain_fields(schema).into_iter();
    let fields = fields.map(|field| field.with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn batch(
    schema: &SchemaRef,
    arrays: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, ServerError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        arrays,
        &options,
    )?)
}
