//! CREATE TEMP TABLE: columns, their defaults, and the constraints of the table.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast::{self, Expr};

use super::assign;
use super::define::{field_of, once_each};
use super::fill::Origin;
use super::indexes::{called_by, class_of};
use super::keys::{SharedKeys, has_keys};
use super::like::Made;
use super::rules::{Check, Index, IndexKey, IndexKind, Rules, chosen_name, columns_of, placeless};
use super::sequence::{self, Generated, GeneratedKind, Sequence};
use super::{Relation, TempTable};
use crate::pg_types::PgType;
use crate::session::statement::temp::{Element, GeneratedDef, KeyDef, OnCommit, Rule, RuleDef};
use crate::session::{Session, placed};
use crate::sqlstate::{Place, ServerError};

impl Session {
    /// Runs CREATE TABLE.
    ///
    /// # Errors
    /// What is wrong with its definition.
    pub(super) async fn create_table(
        &mut self,
        name: &str,
        elements: &[Element],
        on_commit: OnCommit,
    ) -> Result<(), ServerError> {
        let mut made = Made::default();
        for element in elements {
            match element {
                Element::Column(column) => {
                    column.check(name)?;
                    let field = field_of(column)?;
                    made.add(field, column.default.clone(), column.generated.clone());
                    made.rules.extend(column.rules.iter().cloned());
                }
                Element::Rule(rule) => made.rules.push(rule.clone()),
                Element::Like(like) => self.add_like(&mut made, like).await?,
            }
        }
        let names: Vec<&str> = made
            .fields
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        once_each(&names)?;
        let mut table = TempTable {
            schema: Arc::new(Schema::new(made.fields)),
            defaults: made.defaults,
            on_commit,
            cohort: false,
            pieces: Vec::new(),
            rules: Rules::default(),
            comments: made.comments,
            generated: BTreeMap::new(),
        };
        let mut sequences = Vec::new();
        for (at, def) in made.generated {
            let added = self.add_sequence(name, &mut table, at, &def, &sequences)?;
            sequences.push(added);
        }
        self.check_defaults(&table, &sequences).await?;
        let (first, others): (Vec<RuleDef>, Vec<RuleDef>) = made
            .rules
            .into_iter()
            .partition(|def| matches!(def.rule, Rule::Primary(_)));
        if let Some(second) = first.get(1) {
            return Err(several_primary(name).place(second.place.clone()));
        }
        for rule in first.iter().chain(&others) {
            self.add_rule(name, &mut table, rule).await?;
        }
        for check in made.checks {
            table.rules.add_check(check);
        }
        for index in made.indexes {
            let taken = |made: &str| self.is_taken(made, name, &table);
            let called = called_by(&table, &index.keys, &index.include);
            let named = chosen_name(name, Some(&called), "idx", taken);
            table.rules.indexes.push(Index {
                name: named,
                ..index
            });
        }
        for (sequence, made) in sequences {
            self.put(&sequence, Relation::Sequence(made));
        }
        self.put(name, Relation::Table(Arc::new(table)));
        Ok(())
    }

    /// Makes the sequence of a column; its name and itself.
    pub(super) fn add_sequence(
        &self,
        name: &str,
        table: &mut TempTable,
        at: usize,
        def: &GeneratedDef,
        beside: &[(String, Arc<Sequence>)],
    ) -> Result<(String, Arc<Sequence>), ServerError> {
        let field = table.schema.field(at);
        let pg_type = PgType::of_field(field);
        if !matches!(pg_type, PgType::INT2 | PgType::INT4 | PgType::INT8) {
            let text = "identity column type must be smallint, integer, or bigint";
            return Err(ServerError::new("22023", text));
        }
        let taken = |made: &str| {
            self.is_taken(made, name, table) || beside.iter().any(|(other, _)| other == made)
        };
        let made = chosen_name(name, Some(field.name()), "seq", taken);
        let sequence = Sequence::new(pg_type, &def.sequence)?;
        if let Some(default) = table.defaults.get_mut(at) {
            *default = Some(sequence::default_of(&made)?);
        }
        let kind = match def.always {
            None => GeneratedKind::Serial,
            Some(true) => GeneratedKind::Always,
            Some(false) => GeneratedKind::ByDefault,
        };
        let generated = Generated {
            sequence: made.clone(),
            kind,
        };
        table.generated.insert(at, generated);
        Ok((made, Arc::new(sequence)))
    }

    /// A default that is no value of its column is told of when the column is made, with its sequence.
    pub(super) async fn check_defaults(
        &mut self,
        table: &TempTable,
        sequences: &[(String, Arc<Sequence>)],
    ) -> Result<(), ServerError> {
        let mut beside = self.temporary.clone();
        for (name, sequence) in sequences {
            beside = beside.with(name, Relation::Sequence(Arc::clone(sequence)));
        }
        for at in 0..table.defaults.len() {
            let origin = match table.generated.contains_key(&at) {
                true => {
                    let context = self.context_over(beside.clone()).await?;
                    self.default_in(context, table, at).await?
                }
                false => self.default_of(table, at).await?,
            };
            if let Origin::Constant(value, from) = origin
                && let Some(field) = table.schema.fields().get(at)
            {
                assign::assign(&value, from, field, &self.assigning())?;
            }
        }
        Ok(())
    }

    /// Adds a constraint to a table; its rows are not looked at.
    ///
    /// # Errors
    /// What is wrong with the constraint.
    pub(super) async fn add_rule(
        &mut self,
        name: &str,
        table: &mut TempTable,
        def: &RuleDef,
    ) -> Result<(), ServerError> {
        if let Some(named) = &def.name
            && table.rules.has_constraint(named)
        {
            let is_new = self.temporary.get(name).is_none();
            let text = match &def.rule {
                Rule::Check(_) if is_new => {
                    format!("check constraint \"{named}\" already exists")
                }
                _ => format!("constraint \"{named}\" for relation \"{name}\" already exists"),
            };
            return Err(ServerError::new("42710", text));
        }
        match &def.rule {
            Rule::Check(condition) => {
                self.check_condition(name, table, condition).await?;
                let columns = columns_of(condition, &table.schema);
                let only = match columns.len() {
                    1 => columns
                        .first()
                        .and_then(|at| table.schema.fields().get(*at)),
                    _ => None,
                };
                let only = only.map(|field| field.name().as_str());
                let taken = |made: &str| table.rules.has_constraint(made);
                let made = || chosen_name(name, only, "check", taken);
                table.rules.add_check(Check {
                    name: def.name.clone().unwrap_or_else(made),
                    condition: placeless(condition)?,
                });
            }
            Rule::Primary(key) => {
                if table.rules.primary().is_some() {
                    return Err(several_primary(name));
                }
                let index = self.index_of_key(name, table, def, key, IndexKind::Primary)?;
                let columns = index.columns();
                let fields = table.schema.fields().iter().enumerate();
                let fields = fields.map(|(at, field)| {
                    let nullable = field.is_nullable() && !columns.contains(&at);
                    field.as_ref().clone().with_nullable(nullable)
                });
                let fields: Vec<Field> = fields.collect();
                table.schema = Arc::new(Schema::new(fields));
                // It is asked before those that the table has, as PostgreSQL does of a new table.
                table.rules.indexes.push(index);
            }
            Rule::Unique(key) => {
                let kind = IndexKind::UniqueConstraint;
                let index = self.index_of_key(name, table, def, key, kind)?;
                table.rules.indexes.push(index);
            }
        }
        Ok(())
    }

    /// The index of a constraint.
    fn index_of_key(
        &self,
        name: &str,
        table: &TempTable,
        def: &RuleDef,
        key: &KeyDef,
        kind: IndexKind,
    ) -> Result<Index, ServerError> {
        let what = match kind {
            IndexKind::Primary => "primary key",
            _ => "unique",
        };
        let place = |column: &String| {
            table.schema.index_of(column).map_err(|_| {
                let text = format!("column \"{column}\" named in key does not exist");
                ServerError::new("42703", text).place(def.place.clone())
            })
        };
        let mut columns = Vec::with_capacity(key.columns.len());
        let mut keys = Vec::with_capacity(key.columns.len());
        for column in &key.columns {
            let at = place(column)?;
            if columns.contains(&at) {
                let text = format!("column \"{column}\" appears twice in {what} constraint");
                return Err(ServerError::new("42701", text).place(def.place.clone()));
            }
            let pg_type = PgType::of_field(table.schema.field(at));
            let (class, _) = class_of("btree", None, pg_type)?;
            has_keys(pg_type)?;
            columns.push(at);
            keys.push(IndexKey::column(at, class, pg_type));
        }
        let include = key
            .include
            .iter()
            .map(place)
            .collect::<Result<Vec<_>, _>>()?;
        let taken = |made: &str| self.is_taken(made, name, table);
        let named = match (&def.name, kind) {
            (Some(named), _) => {
                if taken(named) {
                    let text = format!("relation \"{named}\" already exists");
                    return Err(ServerError::new("42P07", text));
                }
                named.clone()
            }
            (None, IndexKind::Primary) => chosen_name(name, None, "pkey", taken),
            (None, _) => {
                let all = key.columns.iter().chain(&key.include);
                let all: Vec<&str> = all.map(String::as_str).collect();
                chosen_name(name, Some(&all.join("_")), "key", taken)
            }
        };
        Ok(Index {
            name: named,
            kind,
            method: "btree".to_owned(),
            keys,
            include,
            nulls_equal: key.nulls_equal,
            condition: None,
            set: SharedKeys::default(),
        })
    }

    /// Whether a relation of the session has this name; `table`, called `own`, is not among them as it is now.
    pub(super) fn is_taken(&self, name: &str, own: &str, table: &TempTable) -> bool {
        let has = |table: &TempTable| table.rules.indexes.iter().any(|index| index.name == name);
        name == own
            || has(table)
            || self.temporary.get(name).is_some()
            || self.temporary.relations.iter().any(|(other, relation)| {
                matches!(relation, Relation::Table(table) if other != own && has(table))
            })
    }

    /// Refuses a condition of CHECK that is none.
    async fn check_condition(
        &mut self,
        name: &str,
        table: &TempTable,
        condition: &Expr,
    ) -> Result<(), ServerError> {
        let what = ("check constraints", "check constraint");
        match self.type_over(name, table, condition, what).await? {
            PgType::BOOL => Ok(()),
            other => {
                let text = format!(
                    "argument of CHECK must be type boolean, not type {}",
                    other.sql_name()
                );
                Err(ServerError::new("42804", text).place(placed::start(condition)))
            }
        }
    }
}

/// Whether there is a query in an expression, and where.
pub(super) fn query_in(expr: &Expr) -> Option<Option<Place>> {
    let flow = ast::visit_expressions(expr, |part| {
        let query = matches!(
            part,
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. }
        );
        match query {
            true => std::ops::ControlFlow::Break(placed::start(part)),
            false => std::ops::ControlFlow::Continue(()),
        }
    });
    match flow {
        std::ops::ControlFlow::Break(place) => Some(place),
        std::ops::ControlFlow::Continue(()) => None,
    }
}

/// 42P16.
fn several_primary(table: &str) -> ServerError {
    let text = format!("multiple primary keys for table \"{table}\" are not allowed");
    ServerError::new("42P16", text)
}
