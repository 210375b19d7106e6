//! A table on its way through ALTER TABLE: columns and constraints that come, go, and get other names.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatchOptions};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{self, Expr, Ident};

use super::rules::{Index, IndexKey, Part, columns_of};
use super::run::notice;
use super::sequence::GeneratedKind;
use super::{Sequence, TempTable};
use crate::session::rewrite::folded;
use crate::sqlstate::ServerError;

/// A table on its way to be another one.
pub(super) struct Altered {
    pub(super) name: String,
    pub(super) table: TempTable,
    /// What the client is told of.
    pub(super) skipped: Vec<(&'static str, String)>,
    /// Sequences of new columns.
    pub(super) sequences: Vec<(String, Arc<Sequence>)>,
    /// Sequences of columns that are gone.
    pub(super) gone: BTreeSet<String>,
}

/// What was skipped, in one.
pub(super) fn notice_of(skipped: Vec<(&'static str, String)>) -> Option<ServerError> {
    let code = skipped.first()?.0;
    let texts: Vec<String> = skipped.into_iter().map(|(_, text)| text).collect();
    Some(notice(code, texts.join("; ")))
}

impl Altered {
    /// Tells of something that is left as it is.
    pub(super) fn skip(&mut self, code: &'static str, text: &str) {
        self.skipped.push((code, format!("{text}, skipping")));
    }

    /// Where a column stands.
    ///
    /// # Errors
    /// 42703.
    pub(super) fn column(&self, column: &str) -> Result<usize, ServerError> {
        self.table.schema.index_of(column).map_err(|_| {
            let relation = &self.name;
            let text = format!("column \"{column}\" of relation \"{relation}\" does not exist");
            ServerError::new("42703", text)
        })
    }

    /// # Errors
    /// 42601 for an identity column.
    pub(super) fn is_no_identity(&self, at: usize, column: &str) -> Result<(), ServerError> {
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

    pub(super) fn set_not_null(&mut self, at: usize, set: bool) -> Result<(), ServerError> {
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
    pub(super) fn close(&mut self) -> Result<(), ServerError> {
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
    pub(super) fn drop_column(&mut self, at: usize) -> Result<(), ServerError> {
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

    pub(super) fn drop_rule(&mut self, name: &str) -> Result<(), ServerError> {
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

    pub(super) fn rename_column(&mut self, column: &str, to: &str) -> Result<(), ServerError> {
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

    pub(super) fn rename_rule(
        &mut self,
        name: &str,
        to: &str,
        taken: bool,
    ) -> Result<(), ServerError> {
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

pub(super) fn plain_fields(schema: &SchemaRef) -> Vec<Field> {
    schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .collect()
}

/// A schema whose columns may all be NULL.
pub(super) fn open(schema: &SchemaRef) -> SchemaRef {
    let fields = plain_fields(schema).into_iter();
    let fields = fields.map(|field| field.with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

pub(super) fn batch(
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
