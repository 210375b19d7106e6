//! Tables of one name in a FROM: `one.variants JOIN two.variants USING (pos)`.
//!
//! ```text
//! SELECT one.samples.sex FROM one.samples JOIN two.samples USING (sample_id)
//!   ─►  SELECT "one.samples".sex FROM one.samples AS "one.samples" JOIN two.samples AS "two.samples" USING (sample_id)
//! ```
//! The planner, and what comes before it, tell relations by the last part of their names and take the first of it. So
//! each gets a name of its own, and the name that they share is ambiguous, as PostgreSQL has it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Select,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins,
    VisitMut as _, VisitorMut,
};

use super::rewrite::{folded, last_part};
use super::statement::temp::is_temp_schema;
use crate::sqlstate::ServerError;

/// Gives tables of one name in a FROM names of their own.
///
/// # Errors
/// 42712 for a name that is there twice, 42P09 for a column of one that means several tables.
pub(super) fn told_apart(statement: &mut ast::Statement) -> Result<(), ServerError> {
    match statement.visit(&mut Apart::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// What the names of a FROM mean.
#[derive(Default)]
struct Scope {
    /// Whether the name means one relation.
    single: BTreeMap<String, bool>,
    /// Tables by schema and name, with the name that they got.
    tables: BTreeMap<(String, String), Option<Ident>>,
}

impl Scope {
    fn of(from: &mut [TableWithJoins]) -> Result<Scope, ServerError> {
        let mut scope = Scope::default();
        let visible = scope.namespace(from)?;
        for named in visible {
            let single = scope.single.entry(named.name).or_insert(true);
            *single = *single && !named.shared;
        }
        Ok(scope)
    }

    /// The relations that expressions beside these tables can name.
    fn namespace(&mut self, from: &mut [TableWithJoins]) -> Result<Vec<Named>, ServerError> {
        let mut factors = Vec::new();
        for tables in from {
            self.factors(tables, &mut factors)?;
        }
        let mut here: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        for (named, _) in &factors {
            let schemas = here.entry(named.name.clone()).or_default();
            let distinct = named.schema.is_some() && !schemas.contains(&named.schema);
            if !schemas.is_empty() && (!distinct || schemas.contains(&None)) {
                let text = format!("table name \"{}\" specified more than once", named.name);
                return Err(ServerError::new("42712", text));
            }
            schemas.push(named.schema.clone());
        }
        let mut visible = Vec::with_capacity(factors.len());
        for (mut named, factor) in factors {
            named.shared = here.get(&named.name).is_some_and(|all| all.len() > 1);
            if let Some(schema) = &named.schema {
                let key = (schema.clone(), named.name.clone());
                let own = named.shared.then(|| {
                    let own = Ident::with_quote('"', format!("{schema}.{}", named.name));
                    call(factor, &own);
                    own
                });
                self.tables.insert(key, own);
            }
            visible.push(named);
        }
        Ok(visible)
    }

    fn factors<'a>(
        &mut self,
        tables: &'a mut TableWithJoins,
        found: &mut Vec<(Named, &'a mut TableFactor)>,
    ) -> Result<(), ServerError> {
        let joined = tables.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut tables.relation).chain(joined) {
            match factor {
                TableFactor::NestedJoin {
                    table_with_joins,
                    alias: None,
                } => self.factors(table_with_joins, found)?,
                factor => {
                    // What is within it has no name outside.
                    if let TableFactor::NestedJoin {
                        table_with_joins, ..
                    } = factor
                    {
                        self.namespace(std::slice::from_mut(table_with_joins.as_mut()))?;
                    }
                    found.extend(named(factor).map(|named| (named, factor)));
                }
            }
        }
        Ok(())
    }

    fn table(&self, schema: &str, table: &str) -> Option<(&(String, String), &Option<Ident>)> {
        let of = |(own, name): &(String, String)| {
            // pg_temp is the session's own, whatever its number.
            name == table && (own == schema || schema == "pg_temp" && is_temp_schema(own))
        };
        self.tables.iter().find(|(key, _)| of(key))
    }
}

/// A relation of a FROM.
struct Named {
    /// Of a table without an alias.
    schema: Option<String>,
    name: String,
    /// Whether another has the name.
    shared: bool,
}

/// What a relation of a FROM is called, where it was given a name.
pub(super) fn alias_of(factor: &TableFactor) -> Option<&TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias.as_ref(),
        _ => None,
    }
}

fn named(factor: &TableFactor) -> Option<Named> {
    let (schema, name) = match (alias_of(factor), factor) {
        (Some(alias), _) => (None, folded(&alias.name)),
        (
            None,
            TableFactor::Table {
                name, args: None, ..
            },
        ) => match name.0.as_slice() {
            [_] => (None, last_part(name)),
            // Copies of system relations are in a catalog of their own.
            [.., schema, _] => (schema.as_ident().map(folded), last_part(name)),
            [] => return None,
        },
        _ => return None,
    };
    Some(Named {
        schema,
        name,
        shared: false,
    })
}

fn call(factor: &mut TableFactor, name: &Ident) {
    if let TableFactor::Table { alias, .. } = factor {
        *alias = Some(TableAlias {
            explicit: true,
            name: name.clone(),
            columns: Vec::new(),
            at: None,
        });
    }
}

/// The scopes around an expression, the innermost last.
#[derive(Default)]
struct Apart {
    scopes: Vec<Scope>,
}

impl Apart {
    fn enter(&mut self, from: &mut [TableWithJoins]) -> ControlFlow<ServerError> {
        match Scope::of(from) {
            Ok(scope) => {
                self.scopes.push(scope);
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    /// What a relation is called by now: its new name, or the same parts.
    ///
    /// # Errors
    /// 42P09 for a name of several.
    fn spelled(&self, parts: &[Ident]) -> Result<Option<Vec<Ident>>, ServerError> {
        for scope in self.scopes.iter().rev() {
            match parts {
                [name] => match scope.single.get(&folded(name)) {
                    Some(true) => return Ok(None),
                    Some(false) => {
                        let start = name.span.start;
                        let text = format!("table reference \"{}\" is ambiguous", folded(name));
                        let error = ServerError::new("42P09", text);
                        return Err(match start.line {
                            0 => error,
                            line => error.at(line, start.column),
                        });
                    }
                    None => {}
                },
                [schema, table] => {
                    if let Some((key, own)) = scope.table(&folded(schema), &folded(table)) {
                        return Ok(match own {
                            Some(own) => Some(vec![own.clone()]),
                            None if folded(schema) == key.0 => None,
                            None => Some(vec![Ident::with_quote('"', &key.0), table.clone()]),
                        });
                    }
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    fn respell(&self, name: &mut ObjectName) -> Result<(), ServerError> {
        let parts: Option<Vec<Ident>> = name.0.iter().map(|p| p.as_ident().cloned()).collect();
        if let Some(parts) = parts
            && let Some(spelled) = self.spelled(&parts)?
        {
            *name = ObjectName::from(spelled);
        }
        Ok(())
    }

    fn expression(&self, expr: &mut Expr) -> Result<(), ServerError> {
        match expr {
            Expr::CompoundIdentifier(parts) => {
                if let Some((column, relation)) = parts.split_last()
                    && let Some(mut spelled) = self.spelled(relation)?
                {
                    spelled.push(column.clone());
                    *parts = spelled;
                }
                Ok(())
            }
            Expr::QualifiedWildcard(name, _) => self.respell(name),
            Expr::Function(function) => {
                let FunctionArguments::List(list) = &mut function.args else {
                    return Ok(());
                };
                for arg in &mut list.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) = arg {
                        self.respell(name)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn flow(done: Result<(), ServerError>) -> ControlFlow<ServerError> {
    match done {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl VisitorMut for Apart {
    type Break = ServerError;

    /// ORDER BY stands outside of the SELECT whose tables it names.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        match query.body.as_mut() {
            SetExpr::Select(select) => self.enter(&mut select.from),
            _ => self.enter(&mut []),
        }
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<ServerError> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<ServerError> {
        if let ControlFlow::Break(error) = self.enter(&mut select.from) {
            return ControlFlow::Break(error);
        }
        let done = select
            .projection
            .iter_mut()
            .try_for_each(|item| match item {
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => self.respell(name),
                _ => Ok(()),
            });
        flow(done)
    }

    fn post_visit_select(&mut self, _select: &mut Select) -> ControlFlow<ServerError> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        flow(self.expression(expr))
    }
}
