//! Joins `USING` columns and `NATURAL` ones, as `ON` with what PostgreSQL calls the merged columns.
//!
//! ```text
//! SELECT *, id FROM a FULL JOIN b USING (id) WHERE id > 3
//!   ─►  SELECT coalesce(a.id, b.id) AS id, a.x, b.y, coalesce(a.id, b.id) AS id
//!       FROM a FULL JOIN b ON a.id = b.id WHERE coalesce(a.id, b.id) > 3
//! ```
//! A merged column is the left one, of a right join the right one, and of a full join whichever is there. The planner
//! takes the left one always, and finds the name ambiguous in WHERE. `*` begins with the merged columns. `USING (id) AS j`
//! calls them `j.id` too.
//!
//! SELECTs are done one after another, the innermost first, since what a relation is called by the columns of is found
//! by planning it ([`super::whole_rows`] does so too).

mod columns;
mod relations;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator,
    OrderByKind, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableWithJoins, VisitMut as _, VisitorMut,
};

use super::params;
use super::plan::PlanContext;
use super::rewrite::{self, call_of, folded};
use super::statement::joins::name_of_join;
use crate::pg_types::PgType;
use crate::sqlstate::ServerError;
use columns::{Column, Replace, bare, merged_column, whole};
pub(super) use relations::{Asked, columns as columns_of_relation, named};
use relations::{First, Types, columns, factors_of};

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
        let Some(asked) = first.asked.take() else {
            return Ok(());
        };
        let mut known = BTreeMap::new();
        let mut types = Types::new();
        for (name, relation) in asked {
            if let Some(columns) = columns(context, &name, relation, &mut types).await? {
                known.insert(name, columns);
            }
        }
        let mut within = BTreeMap::new();
        for (text, relation) in first.within {
            // What cannot be planned alone has names that are not known, and stays as it is written.
            let found = columns(context, &relation.name, relation.asked, &mut Types::new()).await;
            if let Ok(Some(columns)) = found {
                within.insert(text, columns);
            }
        }
        let mut merge = Merge {
            known: &known,
            types: &types,
            within: &within,
            done: false,
        };
        if let ControlFlow::Break(error) = statement.visit(&mut merge) {
            return Err(error);
        }
    }
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
        // Two of its columns may have one name.
        TableFactor::NestedJoin {
            table_with_joins,
            alias: Some(_),
        } if of_tables(table_with_joins) => true,
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => has_names(std::slice::from_ref(table_with_joins)),
        _ => false,
    }
}

/// Whether all that is joined are tables by their names, whose columns are known.
fn of_tables(tables: &TableWithJoins) -> bool {
    let mut factors = Vec::new();
    factors_of(tables, &mut factors);
    let is_table = |factor: &TableFactor| matches!(factor, TableFactor::Table { args: None, .. });
    factors.into_iter().all(is_table)
}

fn names_columns(join: &Join) -> bool {
    let constraint = constraint(&join.join_operator);
    constraint.is_some_and(|c| matches!(c, JoinConstraint::Using(_) | JoinConstraint::Natural))
}

/// What a join says of the rows that meet.
pub(super) fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
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

/// Rewrites the SELECT that [`First`] found.
struct Merge<'a> {
    /// Columns of its relations.
    known: &'a BTreeMap<String, Vec<String>>,
    /// Their types, as far as they are known.
    types: &'a Types,
    /// Columns of relations of its subqueries.
    within: &'a BTreeMap<String, Vec<String>>,
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
                if let Some(place) = listed_twice(&key.expr, &select.projection) {
                    key.expr = Expr::value(ast::Value::Number(place.to_string(), false));
                    continue;
                }
                let of_list =
                    matches!(&key.expr, Expr::Identifier(name) if listed.contains(&folded(name)));
                if !of_list && let Err(error) = self.replace(&mut key.expr, &columns) {
                    return ControlFlow::Break(error)?;
                }
            }
        }
        ControlFlow::Continue(())
    }
}

impl Merge<'_> {
    fn replacing<'a>(&'a self, columns: &'a [Column]) -> Replace<'a> {
        Replace {
            columns,
            within: self.within,
            own: Vec::new(),
        }
    }

    /// # Errors
    /// 42702 for a name that two columns have.
    fn replace(&self, expr: &mut Expr, columns: &[Column]) -> Result<(), ServerError> {
        match expr.visit(&mut self.replacing(columns)) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(error),
        }
    }

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
                    items.extend(bare(&columns).map(Column::item));
                }
                SelectItem::Wildcard(_) if !all_known => {
                    let what =
                        "* of USING or NATURAL beside a relation whose columns are not known";
                    return Err(ServerError::unsupported(what.to_owned()).hint(
                        "Name the columns, or give the relation a name and names of columns.",
                    ));
                }
                SelectItem::QualifiedWildcard(
                    SelectItemQualifiedWildcardKind::ObjectName(name),
                    options,
                ) => {
                    let relation = match name.0.as_slice() {
                        [name] => name.as_ident().map(folded),
                        _ => None,
                    };
                    let known = relation.and_then(|relation| whole(&columns, &relation));
                    match known {
                        Some(known) => items.extend(known.into_iter().map(Column::item)),
                        None => items.push(SelectItem::QualifiedWildcard(
                            SelectItemQualifiedWildcardKind::ObjectName(name),
                            options,
                        )),
                    }
                }
                SelectItem::UnnamedExpr(mut expr) => {
                    items.push(match merged_column(&columns, &expr) {
                        Some(column) => column.item(),
                        None => {
                            self.replace(&mut expr, &columns)?;
                            SelectItem::UnnamedExpr(expr)
                        }
                    });
                }
                SelectItem::ExprWithAlias { mut expr, alias } => {
                    self.replace(&mut expr, &columns)?;
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
            self.replace(part, &columns)?;
        }
        if let GroupByExpr::Expressions(keys, _) = &mut select.group_by {
            for key in keys {
                self.replace(key, &columns)?;
            }
        }
        if let Some(ast::Distinct::On(keys)) = &mut select.distinct {
            for key in keys {
                self.replace(key, &columns)?;
            }
        }
        for window in &mut select.named_window {
            if let ControlFlow::Break(error) = window.visit(&mut self.replacing(&columns)) {
                return Err(error);
            }
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
                    let columns = joined(left, right, on, outer)?;
                    if !by_names
                        && let Some(JoinConstraint::On(condition)) =
                            constraint_mut(&mut join.join_operator)
                    {
                        self.replace(condition, &columns)?;
                    }
                    Some(columns)
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
                    of: self.types.get(&(name.clone(), column.clone())).copied(),
                    merged: false,
                    join: None,
                };
                columns.iter().map(of).collect()
            }));
        };
        let columns = self.tables(table_with_joins)?;
        let (Some(alias), Some(inner)) = (alias.clone(), &columns) else {
            return Ok(columns);
        };
        let inner: Vec<Column> = bare(inner).cloned().collect();
        let given = alias.columns.iter().map(|column| folded(&column.name));
        let own = inner.iter().map(|column| column.name.clone());
        let names: Vec<String> = given.clone().chain(own.skip(given.len())).collect();
        // A name that two have says neither, and `*` both.
        let doubled = |name: &String| names.iter().filter(|other| *other == name).count() > 1;
        let unique = |(number, name): (usize, &String)| match doubled(name) {
            true => format!("{name} {}", number + 1),
            false => name.clone(),
        };
        let unique: Vec<String> = names.iter().enumerate().map(unique).collect();
        let table = std::mem::take(&mut table_with_joins.joins);
        let tables = TableWithJoins {
            relation: table_with_joins.relation.clone(),
            joins: table,
        };
        *factor = derived(tables, &inner, &unique, &alias)?;
        let of = |(name, unique): (String, String)| Column {
            value: Expr::CompoundIdentifier(vec![alias.name.clone(), quoted(&unique)]),
            name,
            of: None,
            merged: false,
            join: None,
        };
        Ok(Some(names.into_iter().zip(unique).map(of).collect()))
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
            let in_right = |name: &String| bare(&right).any(|column| column.name == *name);
            let names = bare(&left).map(|column| column.name.clone());
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
            return Ok(columns);
        }
    };
    let (join, names): (Vec<String>, Vec<String>) = names
        .into_iter()
        .partition(|name| name_of_join(name).is_some());
    let join = join.first().and_then(|name| name_of_join(name));
    let mut columns = Vec::with_capacity(left.len() + right.len());
    let mut of_join = Vec::new();
    let mut on: Option<Expr> = None;
    for name in &names {
        let (l, r) = (one(&left, name, "left")?, one(&right, name, "right")?);
        let of = l.of.zip(r.of).and_then(|(l, r)| in_common(l, r));
        let value = match outer {
            Outer::No => as_of(l, of),
            Outer::Right => as_of(r, of),
            Outer::Full => call_of("coalesce", vec![l.value.clone(), r.value.clone()]),
        };
        let equal = binary(l.value.clone(), BinaryOperator::Eq, r.value.clone());
        on = Some(match on {
            Some(on) => binary(on, BinaryOperator::And, equal),
            None => equal,
        });
        let merged = Column {
            name: name.clone(),
            value,
            of,
            merged: true,
            join: None,
        };
        of_join.extend(join.map(|join| Column {
            join: Some(join.to_owned()),
            ..merged.clone()
        }));
        columns.push(merged);
    }
    let rest = left.into_iter().chain(right);
    columns.extend(rest.filter(|column| column.join.is_some() || !names.contains(&column.name)));
    columns.extend(of_join);
    if let Some(constraint) = constraint {
        let always = || Expr::value(ast::Value::Boolean(true));
        *constraint = JoinConstraint::On(on.unwrap_or_else(always));
    }
    Ok(columns)
}

/// The place in a list of the column that a name says, where several of it have the name and are the same.
fn listed_twice(key: &Expr, list: &[SelectItem]) -> Option<usize> {
    let Expr::Identifier(name) = key else {
        return None;
    };
    let name = folded(name);
    let mut found: Option<(usize, &SelectItem)> = None;
    let mut same = 0;
    for (place, item) in (1..).zip(list) {
        // How many columns stand before it is not known behind a `*`.
        let named = match item {
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {
                rewrite::item_name(item).as_ref() == Some(&name)
            }
            _ => return None,
        };
        match found {
            _ if !named => {}
            None => found = Some((place, item)),
            Some((_, first)) if first == item => same += 1,
            Some(_) => return None,
        }
    }
    found.filter(|_| same > 0).map(|(place, _)| place)
}

/// The type that a merged column of two types has; `None` where that is not plain.
fn in_common(left: PgType, right: PgType) -> Option<PgType> {
    let is_text = |of: PgType| matches!(of, PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR);
    match is_text(left) && is_text(right) {
        // Each becomes the other: the first one stays.
        true => Some(left),
        false => rewrite::wider(left, right),
    }
}

/// A column as one of another type, where it has another.
fn as_of(column: &Column, of: Option<PgType>) -> Expr {
    match of.filter(|of| Some(*of) != column.of) {
        Some(of) => rewrite::cast(column.value.clone(), params::sql_type(of)),
        None => column.value.clone(),
    }
}

fn one<'a>(columns: &'a [Column], name: &str, side: &str) -> Result<&'a Column, ServerError> {
    let mut found = bare(columns).filter(|column| column.name == name);
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
