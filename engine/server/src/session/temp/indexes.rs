//! CREATE INDEX and DROP INDEX. A unique index is asked of every new row; another one stands in the catalog, and no plan
//! reads it.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Expr, SelectItem};

use super::create::query_in;
use super::keys::{SharedKeys, has_keys};
use super::rules::{Index, IndexKey, IndexKind, Part, chosen_name, placeless};
use super::run::notice;
use super::{Relation, TempState, TempTable};
use crate::pg_catalog::{OperatorClassOf, operator_class};
use crate::pg_types::PgType;
use crate::session::rewrite::{folded, function_name};
use crate::session::statement::temp::{IndexDef, KeyPart, Name};
use crate::session::{Outcome, Session, placed, statement, written};
use crate::sqlstate::ServerError;

impl Session {
    /// Runs CREATE INDEX.
    ///
    /// # Errors
    /// What is wrong with its definition; 23505 when rows have one key that may not.
    pub(super) async fn create_index(&mut self, def: &IndexDef) -> Result<Outcome, ServerError> {
        let name = &def.table;
        let table = self.target(name, "CREATE INDEX").await;
        let table = table.map_err(ServerError::nowhere)?;
        if table.cohort {
            let text = "CREATE INDEX on a cohort: its samples are there once each";
            return Err(ServerError::unsupported(text));
        }
        let method = method_of(def)?;
        let mut keys = Vec::with_capacity(def.keys.len());
        for part in &def.keys {
            keys.push(self.key_of(&name.name, &table, def, method, part).await?);
        }
        let place = |column: &String| {
            table.schema.index_of(column).map_err(|_| {
                let text = format!("column \"{column}\" does not exist");
                ServerError::new("42703", text)
            })
        };
        let include = def.include.iter().map(place);
        let include = include.collect::<Result<Vec<usize>, _>>()?;
        if let Some(condition) = &def.condition {
            let what = ("index predicates", "index predicate");
            let found = self.type_over(&name.name, &table, condition, what).await?;
            if found != PgType::BOOL {
                let found = found.sql_name();
                let text = format!("argument of WHERE must be type boolean, not type {found}");
                let place = placed::start(condition);
                return Err(ServerError::new("42804", text).place(place));
            }
        }
        let plain = keys.iter().all(|key| matches!(key.part, Part::Column(_)));
        if def.unique && !(plain && def.condition.is_none()) {
            let text = "unique indexes on expressions or with WHERE are not supported";
            return Err(ServerError::unsupported(text)
                .hint("Keep the expression in a column, with a unique index on that."));
        }
        let taken = |made: &str| self.temporary.has_name(made);
        let named = match &def.name {
            Some(named) if taken(named) => {
                let text = format!("relation \"{named}\" already exists");
                if !def.if_not_exists {
                    return Err(ServerError::new("42P07", text));
                }
                return Ok(Outcome::Done {
                    tag: "CREATE INDEX".to_owned(),
                    warning: Some(notice("42P07", format!("{text}, skipping"))),
                });
            }
            Some(named) => named.clone(),
            None => {
                let called = called_by(&table, &keys, &include);
                chosen_name(&name.name, Some(&called), "idx", taken)
            }
        };
        let index = Index {
            name: named,
            kind: match def.unique {
                true => IndexKind::Unique,
                false => IndexKind::Plain,
            },
            method: method.to_owned(),
            keys,
            include,
            nulls_equal: def.nulls_equal,
            condition: def.condition.as_ref().map(placeless).transpose()?,
            set: SharedKeys::default(),
        };
        let mut next = TempTable::clone(&table);
        next.rules.indexes.push(index);
        self.admit_index(&name.name, &next).await?;
        self.put(&name.name, Relation::Table(Arc::new(next)));
        Ok(Outcome::done("CREATE INDEX"))
    }

    /// Refuses the last index of a table when it is unique and two rows have one key.
    ///
    /// # Errors
    /// 23505.
    pub(super) async fn admit_index(
        &mut self,
        name: &str,
        table: &TempTable,
    ) -> Result<(), ServerError> {
        let Some(index) = table.rules.indexes.last().filter(|index| index.is_unique()) else {
            return Ok(());
        };
        let mut only = table.clone();
        only.rules.indexes = vec![index.clone()];
        let Some(clash) = self.add_keys(&only, &[], &only.pieces).await? else {
            return Ok(());
        };
        let (index, key) = self.clashing_key(&only, &only.pieces, &clash)?;
        let text = format!("could not create unique index \"{index}\"");
        let error = ServerError::new("23505", text).detail(format!("{key} is duplicated."));
        Err(error.of_object(self.object(name, None, Some(&index))))
    }

    /// A part of a key.
    async fn key_of(
        &mut self,
        name: &str,
        table: &TempTable,
        def: &IndexDef,
        method: &str,
        part: &KeyPart,
    ) -> Result<IndexKey, ServerError> {
        let (of, pg_type) = match &part.expr {
            Expr::Identifier(column) => {
                let column = folded(column);
                let at = table.schema.index_of(&column).map_err(|_| {
                    let text = format!("column \"{column}\" does not exist");
                    ServerError::new("42703", text)
                })?;
                (Part::Column(at), PgType::of_field(table.schema.field(at)))
            }
            expr => {
                let what = ("index expressions", "index expression");
                let found = self.type_over(name, table, expr, what).await?;
                (Part::Expression(Box::new(placeless(expr)?)), found)
            }
        };
        let (class_oid, is_default) = class_of(method, part.class.as_deref(), pg_type)?;
        if def.unique {
            has_keys(pg_type)?;
        }
        if method != "btree" && (part.descending.is_some() || part.nulls_first.is_some()) {
            let what = match part.descending {
                Some(_) => "ASC/DESC",
                None => "NULLS FIRST/LAST",
            };
            let text = format!("access method \"{method}\" does not support {what} options");
            return Err(ServerError::unsupported(text));
        }
        let descending = part.descending.unwrap_or(false);
        Ok(IndexKey {
            part: of,
            descending,
            nulls_first: part.nulls_first.unwrap_or(descending),
            class: part.class.clone().filter(|_| !is_default),
            class_oid,
            pg_type,
        })
    }

    /// The type of an expression over the rows of a table; `what` is where it stands, in the plural and alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) async fn type_over(
        &mut self,
        name: &str,
        table: &TempTable,
        expr: &Expr,
        (places, what): (&str, &str),
    ) -> Result<PgType, ServerError> {
        let context = self.plan_context().await?.context;
        written::check_in(&context, places, std::iter::once(expr))?;
        if let Some(place) = query_in(expr) {
            let text = format!("cannot use subquery in {what}");
            return Err(ServerError::unsupported(text).place(place));
        }
        let item = SelectItem::UnnamedExpr(expr.clone());
        let query = self.over_rows(name, vec![item])?;
        let context = self
            .context_over_rows(TempState::default(), table, &[])
            .await?;
        let planned = self.plan_in(context, *query).await?;
        if planned.is_volatile()? && what != "check constraint" {
            let text = format!("functions in {what} must be marked IMMUTABLE");
            return Err(ServerError::new("42P17", text));
        }
        let first = planned.columns().first();
        Ok(first.map_or(PgType::TEXT, |column| column.pg_type))
    }

    /// Runs DROP INDEX.
    ///
    /// # Errors
    /// 42704 for one that is not there, 2BP01 for that of a constraint, 42809 for what is none.
    pub(super) async fn drop_indexes(
        &mut self,
        names: &[Name],
        if_exists: bool,
    ) -> Result<Outcome, ServerError> {
        let mut dropped = BTreeSet::new();
        let mut skipped = Vec::new();
        for name in names {
            let now = self.temporary.clone();
            let owned = now.index(&name.name);
            match owned.filter(|_| self.may_be_own(name)) {
                Some((table, index)) if index.is_constraint() => {
                    let index = &index.name;
                    let text = format!(
                        "cannot drop index {index} because constraint {index} on table {table} requires it"
                    );
                    let hint = format!("You can drop constraint {index} on table {table} instead.");
                    return Err(ServerError::new("2BP01", text).hint(hint));
                }
                Some((table, _)) => {
                    dropped.insert((table.to_owned(), name.name.clone()));
                }
                None if self.is_temporary(name) => {
                    let kind = match self.temporary.get(&name.name) {
                        Some(Relation::View(_)) => "VIEW",
                        Some(Relation::Sequence(_)) => "SEQUENCE",
                        _ => "TABLE",
                    };
                    let text = format!("\"{}\" is not an index", name.name);
                    let hint = format!("Use DROP {kind} to remove a {}.", kind.to_lowercase());
                    return Err(ServerError::new("42809", text).hint(hint));
                }
                None if self.is_in_lake(name).await? => {
                    return Err(statement::read_only("DROP INDEX"));
                }
                None => {
                    let text = format!("index \"{}\" does not exist", name.name);
                    if !if_exists {
                        return Err(ServerError::new("42704", text));
                    }
                    skipped.push(format!("{text}, skipping"));
                }
            }
        }
        for (table, index) in dropped {
            if let Some(Relation::Table(known)) = self.temporary.get(&table) {
                let mut next = TempTable::clone(known);
                next.rules.indexes.retain(|known| known.name != index);
                self.put(&table, Relation::Table(Arc::new(next)));
            }
        }
        Ok(Outcome::Done {
            tag: "DROP INDEX".to_owned(),
            warning: (!skipped.is_empty()).then(|| notice("00000", skipped.join("; "))),
        })
    }
}

impl TempState {
    /// The index of this name, and the name of its table.
    pub(super) fn index(&self, name: &str) -> Option<(&str, &Index)> {
        self.relations.iter().find_map(|(table, relation)| {
            let Relation::Table(known) = relation else {
                return None;
            };
            let mut indexes = known.rules.indexes.iter();
            let index = indexes.find(|index| index.name == name)?;
            Some((table.as_str(), index))
        })
    }
}

/// What the name of an index says of its key.
pub(super) fn called_by(table: &TempTable, keys: &[IndexKey], include: &[usize]) -> String {
    let fields = table.schema.fields();
    let name = |at: &usize| fields.get(*at).map_or("", |field| field.name()).to_owned();
    let parts = keys.iter().map(|key| match &key.part {
        Part::Column(at) => name(at),
        Part::Expression(expr) => match expr.as_ref() {
            Expr::Function(function) => function_name(function),
            Expr::Cast { expr, .. } => match expr.as_ref() {
                Expr::Identifier(column) => folded(column),
                _ => "expr".to_owned(),
            },
            _ => "expr".to_owned(),
        },
    });
    let all: Vec<String> = parts.chain(include.iter().map(name)).collect();
    all.join("_")
}

/// The method of an index, which can do what is asked of it.
fn method_of(def: &IndexDef) -> Result<&str, ServerError> {
    let method = def.method.as_deref().unwrap_or("btree");
    let refused = |what: &str| {
        let text = format!("access method \"{method}\" does not support {what}");
        Err(ServerError::unsupported(text))
    };
    match method {
        "btree" => {}
        "hash" | "gin" | "gist" | "brin" | "spgist" if def.unique => {
            return refused("unique indexes");
        }
        "hash" | "gin" | "brin" if !def.include.is_empty() => return refused("included columns"),
        "hash" | "spgist" if def.keys.len() > 1 => return refused("multicolumn indexes"),
        "hash" | "gin" | "gist" | "brin" | "spgist" => {}
        _ => {
            let text = format!("access method \"{method}\" does not exist");
            return Err(ServerError::new("42704", text));
        }
    }
    Ok(method)
}

/// The operator class of a part of a key, and whether it is the default.
///
/// # Errors
/// 42704 for one that there is not, 42804 for one of another type.
pub(super) fn class_of(
    method: &str,
    named: Option<&str>,
    pg_type: PgType,
) -> Result<(u32, bool), ServerError> {
    let type_name = pg_type.sql_name();
    match (operator_class(method, named, pg_type.oid), named) {
        (OperatorClassOf::Found(oid, is_default), _) => Ok((oid, is_default)),
        (OperatorClassOf::OfOther, named) => {
            let class = named.unwrap_or_default();
            let text = format!("operator class \"{class}\" does not accept data type {type_name}");
            Err(ServerError::new("42804", text))
        }
        (OperatorClassOf::Unknown, Some(class)) => {
            let text =
                format!("operator class \"{class}\" does not exist for access method \"{method}\"");
            Err(ServerError::new("42704", text))
        }
        (OperatorClassOf::Unknown, None) => {
            let text = format!(
                "data type {type_name} has no default operator class for access method \"{method}\""
            );
            Err(ServerError::new("42704", text).hint(
                "You must specify an operator class for the index or define a default operator class for the data type.",
            ))
        }
    }
}
