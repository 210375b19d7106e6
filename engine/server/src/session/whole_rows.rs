//! A whole row by the name of its relation: `count(c.*)`, `c IS NULL`, `json_agg(c)`.
//!
//! ```text
//! FROM a LEFT JOIN c ON …   count(c.*)      ─►  count(CASE WHEN c.id IS NOT NULL OR c.x IS NOT NULL THEN 1 END)
//!                           c.* IS NULL     ─►  c.id IS NULL AND c.x IS NULL
//! FROM c                    row_to_json(c)  ─►  row_to_json(whole_row('id', c.id, 'x', c.x))
//!                           SELECT c        ─►  SELECT whole_row('id', c.id, 'x', c.x)
//! ```
//! The planner has no such value; the columns of the relation are asked for where a statement names one. A row of NULLs
//! alone counts as none beside an outer join: that is how a row without a partner looks.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
    Value, VisitMut as _, VisitorMut,
};

use super::plan::PlanContext;
use super::{rewrite, whole_row};
use crate::sqlstate::ServerError;

/// Functions that take a row.
const OF_ROWS: [&str; 9] = [
    "array_agg",
    "count",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "row_to_json",
    "to_json",
    "to_jsonb",
];

/// Replaces whole rows of relations by what the planner knows.
///
/// # Errors
/// What planning a relation fails with.
pub(super) async fn replaced(
    context: &PlanContext,
    statement: &mut ast::Statement,
) -> Result<(), ServerError> {
    let mut finder = Rows::default();
    let _: ControlFlow<()> = statement.visit(&mut finder);
    if finder.asked.is_empty() {
        return Ok(());
    }
    let mut known = BTreeMap::new();
    for (key, asked) in std::mem::take(&mut finder.asked) {
        let columns = match asked {
            Asked::Known(columns) => columns,
            Asked::Query(query) => columns_of(context, *query).await?,
        };
        known.insert(key, columns);
    }
    let mut rows = Rows {
        known: Some(known),
        ..Rows::default()
    };
    let _: ControlFlow<()> = statement.visit(&mut rows);
    Ok(())
}

/// The names of the columns that a query has.
///
/// # Errors
/// What planning it fails with.
pub(super) async fn columns_of(
    context: &PlanContext,
    query: Query,
) -> Result<Vec<String>, ServerError> {
    let mut statement = ast::Statement::Query(Box::new(query));
    rewrite::to_datafusion(&mut statement, &context.info)?;
    let state = context.context.state();
    let statement = DfStatement::Statement(Box::new(statement));
    let plan = state.statement_to_plan(statement).await?;
    let names = plan.schema().fields().iter().map(|field| field.name());
    // What a statement keeps beside the columns is none of the row.
    let names = names.filter(|name| !name.starts_with('\u{1}'));
    Ok(names.cloned().collect())
}

/// Goes over a statement twice: to find what is asked for, and to replace it.
#[derive(Default)]
struct Rows {
    withs: Vec<Option<ast::With>>,
    /// What relations are asked for, by their text.
    asked: BTreeMap<String, Asked>,
    /// Their columns, on the second way.
    known: Option<BTreeMap<String, Vec<String>>>,
}

/// How the columns of a relation are found.
enum Asked {
    Known(Vec<String>),
    Query(Box<Query>),
}

/// A relation of a FROM by its name.
struct Relation {
    factor: TableFactor,
    /// Whether a join fills it up with NULL.
    filled: bool,
}

impl VisitorMut for Rows {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.withs.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.withs.pop();
        let _ = query;
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let relations = relations(&select.from);
        if relations.is_empty() {
            return ControlFlow::Continue(());
        }
        // FROM has queries of its own, which were visited.
        let mut parts: Vec<&mut Expr> = Vec::new();
        for item in &mut select.projection {
            self.look_at_item(item, &relations);
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                parts.push(expr);
            }
        }
        parts.extend(select.selection.iter_mut().chain(select.having.iter_mut()));
        for part in parts {
            let _: ControlFlow<()> = ast::visit_expressions_mut(part, |expr| {
                self.look(expr, &relations);
                ControlFlow::Continue(())
            });
        }
        ControlFlow::Continue(())
    }
}

impl Rows {
    fn look(&mut self, expr: &mut Expr, relations: &BTreeMap<String, Relation>) {
        match expr {
            Expr::Function(function) => {
                let name = rewrite::function_name(function);
                if !OF_ROWS.contains(&name.as_str()) {
                    return;
                }
                let FunctionArguments::List(list) = &mut function.args else {
                    return;
                };
                let distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
                for arg in &mut list.args {
                    let FunctionArg::Unnamed(arg) = arg else {
                        continue;
                    };
                    let Some((relation, whole)) = named_argument(arg, relations) else {
                        continue;
                    };
                    let Some(columns) = self.columns(&relation, whole, relations) else {
                        continue;
                    };
                    let made = match (name.as_str(), relations.get(&relation)) {
                        ("count", Some(Relation { filled: false, .. })) if !distinct => {
                            *arg = FunctionArgExpr::Wildcard;
                            continue;
                        }
                        ("count", _) if !distinct => where_any(&relation, &columns, one()),
                        (_, Some(Relation { filled: true, .. })) => {
                            where_any(&relation, &columns, structure(&relation, &columns))
                        }
                        _ => structure(&relation, &columns),
                    };
                    *arg = FunctionArgExpr::Expr(made);
                }
            }
            Expr::IsNull(row) => {
                if let Some((relation, columns)) = self.row(row, relations) {
                    *expr = all(&relation, &columns, Expr::IsNull);
                }
            }
            Expr::IsNotNull(row) => {
                if let Some((relation, columns)) = self.row(row, relations) {
                    *expr = all(&relation, &columns, Expr::IsNotNull);
                }
            }
            _ => {}
        }
    }

    /// A row as a column.
    fn look_at_item(&mut self, item: &mut SelectItem, relations: &BTreeMap<String, Relation>) {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = &*item
        else {
            return;
        };
        let name = match expr {
            Expr::Identifier(name) => name.clone(),
            Expr::QualifiedWildcard(name, _) => {
                match name.0.last().and_then(|name| name.as_ident()) {
                    Some(name) => name.clone(),
                    None => return,
                }
            }
            _ => return,
        };
        let Some((relation, columns)) = self.row(expr, relations) else {
            return;
        };
        let row = structure(&relation, &columns);
        let row = match relations.get(&relation) {
            Some(Relation { filled: true, .. }) => where_any(&relation, &columns, row),
            _ => row,
        };
        match item {
            SelectItem::ExprWithAlias { expr, .. } => *expr = row,
            item => {
                *item = SelectItem::ExprWithAlias {
                    expr: row,
                    alias: name,
                };
            }
        }
    }

    fn row(
        &mut self,
        row: &Expr,
        relations: &BTreeMap<String, Relation>,
    ) -> Option<(String, Vec<String>)> {
        let (relation, whole) = match row {
            Expr::Identifier(name) => (rewrite::folded(name), false),
            Expr::QualifiedWildcard(name, _) => (single(name)?, true),
            _ => return None,
        };
        let columns = self.columns(&relation, whole, relations)?;
        Some((relation, columns))
    }

    /// The columns of a relation; `None` when there is none of the name, when a column has the name that does not say
    /// that the `whole` row is meant, and on the first way, which asks for them.
    fn columns(
        &mut self,
        name: &str,
        whole: bool,
        relations: &BTreeMap<String, Relation>,
    ) -> Option<Vec<String>> {
        if !relations.contains_key(name) {
            return None;
        }
        match &self.known {
            None => {
                for (name, relation) in relations {
                    let asked = match set_columns(name, &relation.factor) {
                        Some(columns) => Some(Asked::Known(columns)),
                        None => every_column_of(&self.withs, &relation.factor)
                            .ok()
                            .map(Box::new)
                            .map(Asked::Query),
                    };
                    if let Some(asked) = asked {
                        self.asked.insert(key(name, relation), asked);
                    }
                }
                None
            }
            Some(known) => {
                let of = |(name, relation): (&String, &Relation)| known.get(&key(name, relation));
                let mut every = relations.iter().filter_map(of).flatten();
                if !whole && every.any(|column| column == name) {
                    return None;
                }
                known.get(&key(name, relations.get(name)?)).cloned()
            }
        }
    }
}

/// Every column of a relation that stands within these `WITH`.
///
/// # Errors
/// Never; the signature follows the parser's.
pub(super) fn every_column_of(
    withs: &[Option<ast::With>],
    factor: &TableFactor,
) -> Result<Query, ServerError> {
    let mut withs = withs.iter().flatten();
    let with = withs.next().map(|first| {
        let mut all = first.clone();
        for with in withs {
            all.recursive |= with.recursive;
            all.cte_tables.extend(with.cte_tables.iter().cloned());
        }
        all
    });
    let mut query = rewrite::every_column()?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins {
            relation: factor.clone(),
            joins: Vec::new(),
        }];
    }
    query.with = with;
    Ok(query)
}

/// The columns of a set: those of its alias, or one of its name.
pub(super) fn set_columns(name: &str, factor: &TableFactor) -> Option<Vec<String>> {
    let alias = match factor {
        TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::Table {
            alias,
            args: Some(_),
            ..
        } => alias,
        _ => return None,
    };
    let columns = alias.iter().flat_map(|alias| &alias.columns);
    let columns: Vec<String> = columns
        .map(|column| rewrite::folded(&column.name))
        .collect();
    Some(match columns.is_empty() {
        true => vec![name.to_owned()],
        false => columns,
    })
}

fn key(name: &str, relation: &Relation) -> String {
    format!("{name} {}", relation.factor)
}

fn single(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(rewrite::folded),
        _ => None,
    }
}

/// The relation that an argument names.
fn named_argument(
    arg: &FunctionArgExpr,
    relations: &BTreeMap<String, Relation>,
) -> Option<(String, bool)> {
    let (name, whole) = match arg {
        FunctionArgExpr::Expr(Expr::Identifier(name)) => (rewrite::folded(name), false),
        FunctionArgExpr::Expr(Expr::QualifiedWildcard(name, _))
        | FunctionArgExpr::QualifiedWildcard(name) => (single(name)?, true),
        _ => return None,
    };
    relations.contains_key(&name).then_some((name, whole))
}

/// The relations of a FROM by the names that expressions call them.
fn relations(from: &[TableWithJoins]) -> BTreeMap<String, Relation> {
    let mut found: BTreeMap<String, Relation> = BTreeMap::new();
    for tables in from {
        let mut here = Vec::new();
        here.extend(beside(&tables.relation, false));
        for join in &tables.joins {
            let (left, right) = match &join.join_operator {
                JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (false, true),
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (true, false),
                JoinOperator::FullOuter(_) => (true, true),
                _ => (false, false),
            };
            for (_, relation) in &mut here {
                let relation: &mut Relation = relation;
                relation.filled |= left;
            }
            here.extend(beside(&join.relation, right));
        }
        found.extend(here);
    }
    found
}

fn beside(factor: &TableFactor, filled: bool) -> Option<(String, Relation)> {
    let (name, factor) = relation(factor)?;
    Some((name, Relation { factor, filled }))
}

/// A relation as it stands alone, and what expressions call it; `None` without a name or when it reads what is beside.
pub(super) fn relation(factor: &TableFactor) -> Option<(String, TableFactor)> {
    let alias = match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } => alias.as_ref(),
        _ => return None,
    };
    let name = match (alias, factor) {
        (Some(alias), _) => rewrite::folded(&alias.name),
        (None, TableFactor::Table { name, .. }) => {
            name.0.last()?.as_ident().map(rewrite::folded)?
        }
        _ => return None,
    };
    let mut factor = factor.clone();
    // What it reads from beside has no names alone.
    if let TableFactor::Derived { lateral: true, .. } = factor {
        return None;
    }
    if let TableFactor::Derived { lateral, .. } = &mut factor {
        *lateral = false;
    }
    Some((name, factor))
}

fn one() -> Expr {
    Expr::value(Value::Number("1".to_owned(), false))
}

fn column(relation: &str, name: &str) -> Expr {
    let part = |name: &str| Ident::with_quote('"', name);
    Expr::CompoundIdentifier(vec![part(relation), part(name)])
}

fn joined(parts: impl Iterator<Item = Expr>, op: &BinaryOperator) -> Expr {
    let all = parts.reduce(|left, right| Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    });
    let none = || Expr::value(Value::Boolean(matches!(op, BinaryOperator::And)));
    Expr::Nested(Box::new(all.unwrap_or_else(none)))
}

fn all(relation: &str, columns: &[String], test: fn(Box<Expr>) -> Expr) -> Expr {
    let parts = columns
        .iter()
        .map(|name| test(Box::new(column(relation, name))));
    joined(parts, &BinaryOperator::And)
}

/// A value where any column of a row has one.
fn where_any(relation: &str, columns: &[String], value: Expr) -> Expr {
    let parts = columns
        .iter()
        .map(|name| Expr::IsNotNull(Box::new(column(relation, name))));
    rewrite::where_true(joined(parts, &BinaryOperator::Or), value)
}

fn structure(relation: &str, columns: &[String]) -> Expr {
    let fields = columns
        .iter()
        .flat_map(|name| [rewrite::text(name), column(relation, name)]);
    rewrite::call_of(whole_row::NAME, fields.collect())
}
