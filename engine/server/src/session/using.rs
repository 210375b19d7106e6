//! Joins `USING` columns and `NATURAL` ones, as `ON` with what PostgreSQL calls the merged columns.
//!
//! ```text
//! SELECT *, id FROM a FULL JOIN b USING (id) WHERE id > 3
//!   ─►  SELECT coalesce(a.id, b.id) AS id, a.x, b.y, coalesce(a.id, b.id) AS id
//!       FROM a FULL JOIN b ON a.id = b.id WHERE coalesce(a.id, b.id) > 3
//! ```
//! A merged column is the left one, of a right join the right one, and of a full join whichever is there. The planner
//! takes the left one always, and finds the name ambiguous in WHERE. `*` begins with the merged columns.
//!
//! SELECTs are done one after another, the innermost first, since what a relation is called by the columns of is found
//! by planning it ([`super::whole_rows`] does so too).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, VisitMut as _, VisitorMut,
};

use super::plan::PlanContext;
use super::rewrite::{self, call_of, folded};
use super::whole_rows::{columns_of, every_column_of, relation, set_columns};
use crate::sqlstate::ServerError;

/// Makes joins `ON` of those by names.
///
/// # Errors
/// 42703 for a column that a side does not have, 42702 for one that it has twice, 0A000 where the columns of an outer
/// join cannot be known, and what planning a relation fails with.
pub(super) async fn merged(
    context: &PlanContext,
    statement: &mut ast::Statement,
) -> Result<(), ServerError> {
    loop {
        let mut first = First::default();
        let _: ControlFlow<()> = statement.visit(&mut first);
        let Some(asked) = first.asked else {
            return Ok(());
        };
        let mut known = BTreeMap::new();
        for (name, relation) in asked {
            if let Some(columns) = columns(context, &name, relation).await? {
                known.insert(name, columns);
            }
        }
        let mut merge = Merge {
            known: &known,
            done: false,
        };
        if let ControlFlow::Break(error) = statement.visit(&mut merge) {
            return Err(error);
        }
    }
}

/// A relation, and the `WITH` around it.
struct Asked {
    factor: TableFactor,
    withs: Vec<Option<ast::With>>,
}

/// The columns of a relation; `None` when they are known only beside others.
async fn columns(
    context: &PlanContext,
    name: &str,
    asked: Asked,
) -> Result<Option<Vec<String>>, ServerError> {
    if let TableFactor::Derived { lateral: true, .. } = &asked.factor {
        return Ok(listed(&asked.factor));
    }
    if let TableFactor::Table {
        name,
        alias,
        args: None,
        ..
    } = &asked.factor
        && alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
        && let [schema, table] = name.0.as_slice()
        && let (Some(schema), Some(table)) = (schema.as_ident(), table.as_ident())
    {
        let table = TableReference::partial(folded(schema), folded(table));
        let provider = context.context.table_provider(table).await?;
        let fields = provider.schema();
        let names = fields.fields().iter().map(|field| field.name().clone());
        return Ok(Some(names.collect()));
    }
    let query = every_column_of(&asked.withs, &asked.factor)?;
    match columns_of(context, query).await {
        Ok(columns) => Ok(Some(columns)),
        // A set of what is beside it.
        Err(error) => match set_columns(name, &asked.factor) {
            Some(columns) => Ok(Some(columns)),
            None => Err(error),
        },
    }
}

/// The columns of a query that reads those before it, as far as its list names them.
fn listed(factor: &TableFactor) -> Option<Vec<String>> {
    let TableFactor::Derived {
        subquery, alias, ..
    } = factor
    else {
        return None;
    };
    let SetExpr::Select(select) = subquery.body.as_ref() else {
        return None;
    };
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {
            Some(rewrite::item_name(item).unwrap_or_else(|| "?column?".to_owned()))
        }
        _ => None,
    };
    let own = select.projection.iter().map(name);
    let own = own.collect::<Option<Vec<String>>>()?;
    let given = alias.iter().flat_map(|alias| &alias.columns);
    let given: Vec<String> = given.map(|column| folded(&column.name)).collect();
    let rest = own.into_iter().skip(given.len());
    Some(given.iter().cloned().chain(rest).collect())
}

fn has_names(from: &[TableWithJoins]) -> bool {
    from.iter().any(|tables| {
        let factors = tables.joins.iter().map(|join| &join.relation);
        let mut factors = std::iter::once(&tables.relation).chain(factors);
        tables.joins.iter().any(names_columns) || factors.any(nested_has_names)
    })
}

fn nested_has_names(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => has_names(std::slice::from_ref(table_with_joins)),
        _ => false,
    }
}

fn names_columns(join: &Join) -> bool {
    let constraint = constraint(&join.join_operator);
    constraint.is_some_and(|c| matches!(c, JoinConstraint::Using(_) | JoinConstraint::Natural))
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

fn constraint_mut(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

/// The SELECTs of a body, without those of queries in it.
fn selects<'a>(body: &'a mut SetExpr, found: &mut Vec<&'a mut Select>) {
    match body {
        SetExpr::Select(select) => found.push(select),
        SetExpr::SetOperation { left, right, .. } => {
            selects(left, found);
            selects(right, found);
        }
        _ => {}
    }
}

/// Finds the first SELECT with such joins, the innermost first.
#[derive(Default)]
struct First {
    withs: Vec<Option<ast::With>>,
    asked: Option<Vec<(String, Asked)>>,
}

impl VisitorMut for First {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.withs.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut here = Vec::new();
        selects(&mut query.body, &mut here);
        if let Some(select) = here.into_iter().find(|select| has_names(&select.from)) {
            let mut factors = Vec::new();
            for tables in &select.from {
                factors_of(tables, &mut factors);
            }
            let asked = factors.into_iter().filter_map(|factor| {
                let (name, factor) = named(factor)?;
                let withs = self.withs.clone();
                Some((name, Asked { factor, withs }))
            });
            self.asked = Some(asked.collect());
            return ControlFlow::Break(());
        }
        self.withs.pop();
        ControlFlow::Continue(())
    }
}

fn factors_of<'a>(tables: &'a TableWithJoins, found: &mut Vec<&'a TableFactor>) {
    let joined = tables.joins.iter().map(|join| &join.relation);
    for factor in std::iter::once(&tables.relation).chain(joined) {
        match factor {
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => factors_of(table_with_joins, found),
            factor => found.push(factor),
        }
    }
}

/// A relation by its name, a LATERAL one too.
fn named(factor: &TableFactor) -> Option<(String, TableFactor)> {
    match factor {
        TableFactor::Derived {
            lateral: true,
            alias: Some(alias),
            ..
        } => Some((folded(&alias.name), factor.clone())),
        factor => relation(factor),
    }
}

/// A column of FROM.
#[derive(Clone)]
struct Column {
    name: String,
    value: Expr,
    /// Made of several, so that its name alone says it.
    merged: bool,
}

impl Column {
    /// The column as an item of a list.
    fn item(&self) -> SelectItem {
        let expr = self.value.clone();
        match &self.value {
            Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(expr),
            _ => SelectItem::ExprWithAlias {
                expr,
                alias: quoted(&self.name),
            },
        }
    }
}

/// The one column of a name, where the name alone says a merged one.
fn merged_column<'a>(columns: &'a [Column], name: &Ident) -> Option<&'a Column> {
    let name = folded(name);
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) if column.merged => Some(column),
        _ => None,
    }
}

/// Rewrites the SELECT that [`First`] found.
struct Merge<'a> {
    /// Columns of its relations.
    known: &'a BTreeMap<String, Vec<String>>,
    done: bool,
}

impl VisitorMut for Merge<'_> {
    type Break = ServerError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        if self.done {
            return ControlFlow::Continue(());
        }
        let mut here = Vec::new();
        selects(&mut query.body, &mut here);
        let Some(select) = here.into_iter().find(|select| has_names(&select.from)) else {
            return ControlFlow::Continue(());
        };
        self.done = true;
        let columns = match self.select(select) {
            Ok(columns) => columns,
            Err(error) => return ControlFlow::Break(error),
        };
        let SetExpr::Select(select) = query.body.as_ref() else {
            return ControlFlow::Continue(());
        };
        let listed: Vec<String> = select
            .projection
            .iter()
            .filter_map(rewrite::item_name)
            .collect();
        if let Some(order) = &mut query.order_by
            && let OrderByKind::Expressions(keys) = &mut order.kind
        {
            for key in keys {
                // A name of the list comes first.
                let of_list =
                    matches!(&key.expr, Expr::Identifier(name) if listed.contains(&folded(name)));
                if !of_list {
                    replace(&mut key.expr, &columns);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Merge<'_> {
    /// Rewrites a SELECT; the columns of its FROM.
    fn select(&self, select: &mut Select) -> Result<Vec<Column>, ServerError> {
        let (mut columns, mut all_known) = (Vec::new(), true);
        for tables in &mut select.from {
            match self.tables(tables)? {
                Some(more) => columns.extend(more),
                None => all_known = false,
            }
        }
        let mut items = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(options) if all_known && is_plain(&options) => {
                    items.extend(columns.iter().map(Column::item));
                }
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                    items.push(match merged_column(&columns, &name) {
                        Some(column) => column.item(),
                        None => SelectItem::UnnamedExpr(Expr::Identifier(name)),
                    });
                }
                SelectItem::UnnamedExpr(mut expr) => {
                    replace(&mut expr, &columns);
                    items.push(SelectItem::UnnamedExpr(expr));
                }
                SelectItem::ExprWithAlias { mut expr, alias } => {
                    replace(&mut expr, &columns);
                    items.push(SelectItem::ExprWithAlias { expr, alias });
                }
                item => items.push(item),
            }
        }
        select.projection = items;
        let parts = [
            &mut select.selection,
            &mut select.having,
            &mut select.qualify,
        ];
        for part in parts.into_iter().flatten() {
            replace(part, &columns);
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for key in keys {
                replace(key, &columns);
            }
        }
        if let Some(ast::Distinct::On(keys)) = &mut select.distinct {
            for key in keys {
                replace(key, &columns);
            }
        }
        for window in &mut select.named_window {
            let _: ControlFlow<()> = window.visit(&mut Replace {
                columns: &columns,
                depth: 0,
            });
        }
        Ok(columns)
    }

    /// Rewrites the joins of an item of FROM; its columns, `None` when they are not known.
    fn tables(&self, tables: &mut TableWithJoins) -> Result<Option<Vec<Column>>, ServerError> {
        let mut left = self.factor(&mut tables.relation)?;
        for join in &mut tables.joins {
            let right = self.factor(&mut join.relation)?;
            let outer = match join.join_operator {
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) => Outer::Right,
                JoinOperator::FullOuter(_) => Outer::Full,
                _ => Outer::No,
            };
            let by_names = names_columns(join);
            left = match (left, right) {
                (Some(left), Some(right)) => {
                    let on = constraint_mut(&mut join.join_operator);
                    Some(joined(left, right, on, outer)?)
                }
                _ if by_names => {
                    let what = "USING or NATURAL beside a relation without a name or a LATERAL one";
                    return Err(ServerError::unsupported(what.to_owned())
                        .hint("Give the relation a name, and write the condition with ON."));
                }
                _ => None,
            };
        }
        Ok(left)
    }

    fn factor(&self, factor: &mut TableFactor) -> Result<Option<Vec<Column>>, ServerError> {
        let TableFactor::NestedJoin {
            table_with_joins,
            alias,
        } = factor
        else {
            let Some((name, _)) = named(factor) else {
                return Ok(None);
            };
            let columns = self.known.get(&name);
            return Ok(columns.map(|columns| {
                let of = |column: &String| Column {
                    name: column.clone(),
                    value: Expr::CompoundIdentifier(vec![quoted(&name), quoted(column)]),
                    merged: false,
                };
                columns.iter().map(of).collect()
            }));
        };
        let named = has_names(std::slice::from_ref(table_with_joins));
        let columns = self.tables(table_with_joins)?;
        let (Some(alias), Some(inner)) = (alias.clone(), &columns) else {
            return Ok(columns);
        };
        let given = alias.columns.iter().map(|column| folded(&column.name));
        let own = inner.iter().map(|column| column.name.clone());
        let names: Vec<String> = given.clone().chain(own.skip(given.len())).collect();
        if named {
            let table = std::mem::take(&mut table_with_joins.joins);
            let tables = TableWithJoins {
                relation: table_with_joins.relation.clone(),
                joins: table,
            };
            *factor = derived(tables, inner, &names, &alias)?;
        }
        let of = |name: String| Column {
            value: Expr::CompoundIdentifier(vec![alias.name.clone(), quoted(&name)]),
            name,
            merged: false,
        };
        Ok(Some(names.into_iter().map(of).collect()))
    }
}

/// `(SELECT columns FROM tables) AS alias (names)`.
fn derived(
    tables: TableWithJoins,
    columns: &[Column],
    names: &[String],
    alias: &TableAlias,
) -> Result<TableFactor, ServerError> {
    let mut query = rewrite::every_column()?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![tables];
        let items = columns
            .iter()
            .enumerate()
            .map(|(number, column)| SelectItem::ExprWithAlias {
                expr: column.value.clone(),
                alias: Ident::new(format!("c{number}")),
            });
        select.projection = items.collect();
    }
    let columns = names.iter().map(|name| TableAliasColumnDef {
        name: quoted(name),
        data_type: None,
    });
    Ok(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(TableAlias {
            columns: columns.collect(),
            ..alias.clone()
        }),
        sample: None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outer {
    No,
    Right,
    Full,
}

/// The columns of a join, whose condition becomes one that the planner reads.
fn joined(
    left: Vec<Column>,
    right: Vec<Column>,
    constraint: Option<&mut JoinConstraint>,
    outer: Outer,
) -> Result<Vec<Column>, ServerError> {
    let both = |left: &[Column], right: &[Column]| [left, right].concat();
    let names: Vec<String> = match &constraint {
        Some(JoinConstraint::Using(names)) => names.iter().map(rewrite::last_part).collect(),
        Some(JoinConstraint::Natural) => {
            let in_right = |name: &String| right.iter().any(|column| column.name == *name);
            let names = left.iter().map(|column| column.name.clone());
            let mut found: Vec<String> = Vec::new();
            for name in names.filter(in_right) {
                if !found.contains(&name) {
                    found.push(name);
                }
            }
            found
        }
        _ => {
            let columns = both(&left, &right);
            if let Some(JoinConstraint::On(condition)) = constraint {
                replace(condition, &columns);
            }
            return Ok(columns);
        }
    };
    let mut columns = Vec::with_capacity(left.len() + right.len());
    let mut on: Option<Expr> = None;
    for name in &names {
        let (l, r) = (one(&left, name, "left")?, one(&right, name, "right")?);
        let value = match outer {
            Outer::No => l.value.clone(),
            Outer::Right => r.value.clone(),
            Outer::Full => call_of("coalesce", vec![l.value.clone(), r.value.clone()]),
        };
        let equal = binary(l.value.clone(), BinaryOperator::Eq, r.value.clone());
        on = Some(match on {
            Some(on) => binary(on, BinaryOperator::And, equal),
            None => equal,
        });
        columns.push(Column {
            name: name.clone(),
            value,
            merged: true,
        });
    }
    let rest = left.into_iter().chain(right);
    columns.extend(rest.filter(|column| !names.contains(&column.name)));
    if let Some(constraint) = constraint {
        let always = || Expr::value(ast::Value::Boolean(true));
        *constraint = JoinConstraint::On(on.unwrap_or_else(always));
    }
    Ok(columns)
}

fn one<'a>(columns: &'a [Column], name: &str, side: &str) -> Result<&'a Column, ServerError> {
    let mut found = columns.iter().filter(|column| column.name == name);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (None, _) => {
            let text = format!(
                "column \"{name}\" specified in USING clause does not exist in {side} table"
            );
            Err(ServerError::new("42703", text))
        }
        (Some(_), Some(_)) => {
            let text =
                format!("common column name \"{name}\" appears more than once in {side} table");
            Err(ServerError::new("42702", text))
        }
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

fn is_plain(options: &ast::WildcardAdditionalOptions) -> bool {
    options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_rename.is_none()
        && options.opt_replace.is_none()
        && options.opt_ilike.is_none()
}

/// Puts what merged columns are in the place of their names.
fn replace(expr: &mut Expr, columns: &[Column]) {
    let _: ControlFlow<()> = expr.visit(&mut Replace { columns, depth: 0 });
}

struct Replace<'a> {
    columns: &'a [Column],
    /// Queries around, whose own columns may have the name.
    depth: usize,
}

impl VisitorMut for Replace<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        if let Expr::Identifier(name) = expr
            && let Some(column) = merged_column(self.columns, name)
        {
            *expr = column.value.clone();
        }
        ControlFlow::Continue(())
    }
}
