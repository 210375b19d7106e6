//! LIKE: the columns of another relation in the definition of a table, and what else it is to have of it.

use arrow::datatypes::Field;
use datafusion::sql::sqlparser::ast::Expr;

use super::comments::Comments;
use super::define::columns_of;
use super::over::quoted;
use super::rules::{Check, Index, IndexKind};
use super::sequence::GeneratedKind;
use super::{Relation, TempTable};
use crate::session::statement::temp::{GeneratedDef, KeyDef, LikeDef, Rule, RuleDef, SequenceDef};
use crate::session::{Session, statement};
use crate::sqlstate::ServerError;

/// A table on its way.
#[derive(Default)]
pub(super) struct Made {
    pub(super) fields: Vec<Field>,
    pub(super) defaults: Vec<Option<Expr>>,
    pub(super) generated: Vec<(usize, GeneratedDef)>,
    pub(super) rules: Vec<RuleDef>,
    /// Checks that another table has.
    pub(super) checks: Vec<Check>,
    /// Indexes that another table has, which get names of their own.
    pub(super) indexes: Vec<Index>,
    pub(super) comments: Comments,
}

impl Made {
    /// Adds a column.
    pub(super) fn add(
        &mut self,
        field: Field,
        default: Option<Expr>,
        generated: Option<GeneratedDef>,
    ) {
        if let Some(generated) = generated {
            self.generated.push((self.fields.len(), generated));
        }
        self.fields.push(field);
        self.defaults.push(default);
    }
}

impl Session {
    /// Adds what LIKE says.
    ///
    /// # Errors
    /// 42P01 for a relation that is not there.
    pub(super) async fn add_like(
        &mut self,
        made: &mut Made,
        like: &LikeDef,
    ) -> Result<(), ServerError> {
        let own = self.temporary.get(&like.name.name).cloned();
        if let Some(Relation::Table(table)) = own.filter(|_| self.may_be_own(&like.name)) {
            return of_table(made, like, &table);
        }
        let name = quoted(&like.name.name);
        let name = match &like.name.schema {
            Some(schema) => format!("{}.{name}", quoted(schema)),
            None => name,
        };
        let query = statement::query_text(&format!("SELECT * FROM {name}"))?;
        let planned = self.plan(&query, &[]).await;
        let planned = planned.map_err(|error| match error.code() {
            "42P01" => self.unknown(&like.name),
            _ => error,
        })?;
        let (fields, _) = columns_of(&planned, &[])?;
        for (at, field) in fields.into_iter().enumerate() {
            let nullable = planned.is_nullable(at);
            made.add(field.with_nullable(nullable), None, None);
        }
        Ok(())
    }
}

fn of_table(made: &mut Made, like: &LikeDef, table: &TempTable) -> Result<(), ServerError> {
    let first = made.fields.len();
    for (at, field) in table.schema.fields().iter().enumerate() {
        let generated = table.generated.get(&at);
        let is_identity = generated.is_some_and(|of| of.kind != GeneratedKind::Serial);
        let default = table.defaults.get(at).cloned().flatten();
        let default = default.filter(|_| like.defaults && !is_identity);
        let identity = generated.filter(|_| like.identity && is_identity);
        let identity = identity.map(|of| GeneratedDef {
            always: Some(of.kind == GeneratedKind::Always),
            sequence: SequenceDef::default(),
        });
        made.add(field.as_ref().clone(), default, identity);
        if let Some(text) = table.comments.columns.get(&at).filter(|_| like.comments) {
            made.comments.columns.insert(first + at, text.clone());
        }
    }
    if like.constraints {
        made.checks.extend(table.rules.checks.iter().cloned());
        for check in table.rules.checks.iter().filter(|_| like.comments) {
            if let Some(text) = table.comments.constraints.get(&check.name) {
                let said = &mut made.comments.constraints;
                said.insert(check.name.clone(), text.clone());
            }
        }
    }
    if like.indexes {
        for index in &table.rules.indexes {
            match index.is_constraint() {
                true => made.rules.push(of_constraint(index, table)),
                false => made.indexes.push(index.shifted(first)),
            }
        }
    }
    Ok(())
}

/// The constraint that makes an index as this one is.
fn of_constraint(index: &Index, table: &TempTable) -> RuleDef {
    let fields = table.schema.fields();
    let name = |at: &usize| fields.get(*at).map(|field| field.name().clone());
    let key = KeyDef {
        columns: index.columns().iter().filter_map(name).collect(),
        include: index.include.iter().filter_map(name).collect(),
        nulls_equal: index.nulls_equal,
    };
    RuleDef {
        name: None,
        rule: match index.kind {
            IndexKind::Primary => Rule::Primary(key),
            _ => Rule::Unique(key),
        },
        place: None,
    }
}
