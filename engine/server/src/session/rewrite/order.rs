//! ORDER BY and HAVING as PostgreSQL reads them: a bare name to sort by is first that of a column of the result, and a name
//! within an expression, or in HAVING, is that of a column of FROM. The planner takes any for the column of the result.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, OrderBy, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, TableFactor,
    Value,
};

use super::alike::bare;
use super::names::folded;
use super::output::item_name;
use super::sets;
use crate::session::placed::start;
use crate::sqlstate::ServerError;

/// Makes the names of ORDER BY and HAVING mean what they mean to PostgreSQL.
///
/// ```text
/// SELECT x::int FROM t ORDER BY x          ─►  … ORDER BY 1
/// SELECT -x AS x FROM t ORDER BY abs(x)    ─►  SELECT -x AS "column 1" FROM t ORDER BY abs(x)
/// SELECT y AS x … GROUP BY x, y HAVING x   ─►  SELECT y AS "column 1" … GROUP BY x, y HAVING x
/// ```
/// Clients are told the names of the outermost query as they were written. Those of an inner one are given back by a
/// query around it, where LIMIT makes the order count or HAVING names them.
///
/// # Errors
/// When that query cannot be made.
pub(super) fn as_read(query: &mut Query, is_outermost: bool) -> Result<(), ServerError> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let mut none = Vec::new();
    let order = match &mut query.order_by {
        Some(OrderBy {
            kind: OrderByKind::Expressions(order),
            ..
        }) => order,
        _ => &mut none,
    };
    let items = &mut select.projection;
    let names: Vec<Option<String>> = items.iter().map(item_name).collect();
    let has_wildcard = names.iter().any(Option::is_none);
    let computed = |place: usize| match items.get(place) {
        Some(SelectItem::UnnamedExpr(expr)) => column_of(expr).is_none(),
        _ => false,
    };
    if !has_wildcard {
        by_place(order, &names, computed);
        if select.distinct.is_some() {
            as_listed(order, items);
        }
    }
    let placed = places(order);
    let placed: Vec<usize> = placed
        .into_iter()
        .filter(|place| computed(*place))
        .collect();
    if is_outermost && !has_wildcard && is_grouped(&select.group_by) {
        // What is computed of groups is not found again by its place but by its name.
        placed.into_iter().for_each(|place| rename(items, place));
    }
    let mut within = names_within(order);
    let of_groups = names_of(select.having.iter());
    within.extend(of_groups.iter().cloned());
    let hides = hiding(items, &names, &within);
    if hides.is_empty() {
        return Ok(());
    }
    if is_outermost {
        if !has_wildcard {
            by_place(order, &names, |place| hides.contains(&place));
        }
        for place in hides {
            rename(items, place);
        }
        return Ok(());
    }
    let counts = query.limit_clause.is_some()
        || query.fetch.is_some()
        || hides.iter().any(|place| {
            let name = names.get(*place).and_then(Option::as_ref);
            name.is_some_and(|name| of_groups.contains(name))
        });
    if has_wildcard || !counts {
        return Ok(());
    }
    by_place(order, &names, |_| true);
    let mut shown = Vec::new();
    for (place, name) in names.iter().enumerate() {
        rename(items, place);
        let name = Ident::with_quote('"', name.clone().unwrap_or_default());
        shown.push(SelectItem::ExprWithAlias {
            expr: Expr::Identifier(called(place)),
            alias: name,
        });
    }
    let mut around = sets::query("SELECT 1 FROM (SELECT 1) AS ordered")?;
    if let SetExpr::Select(outer) = around.body.as_mut() {
        outer.projection = shown;
        if let Some(from) = outer.from.first_mut()
            && let TableFactor::Derived { subquery, .. } = &mut from.relation
        {
            std::mem::swap(subquery.as_mut(), query);
        }
    }
    *query = around;
    Ok(())
}

/// What is sorted by is one of the columns, however it is written.
fn as_listed(order: &mut [OrderByExpr], items: &[SelectItem]) {
    let listed: Vec<Option<String>> = items
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                column_of(expr).is_none().then(|| bare(expr, false))
            }
            _ => None,
        })
        .collect();
    for by in order {
        if matches!(by.expr, Expr::Value(_)) || column_of(&by.expr).is_some() {
            continue;
        }
        let same = Some(bare(&by.expr, false));
        if let Some(place) = listed.iter().position(|item| *item == same) {
            by.expr = Expr::value(Value::Number((place + 1).to_string(), false));
        }
    }
}

/// Lets the parts of a UNION whose HAVING names columns that their own results hide be queries of their own, to be read
/// as such.
///
/// # Errors
/// When such a query cannot be made.
pub(super) fn parts_as_queries(body: &mut SetExpr) -> Result<(), ServerError> {
    match body {
        SetExpr::SetOperation { left, right, .. } => {
            for part in [left, right] {
                let hides = match part.as_ref() {
                    SetExpr::Select(select) => {
                        let names: Vec<_> = select.projection.iter().map(item_name).collect();
                        let within = names_of(select.having.iter());
                        !hiding(&select.projection, &names, &within).is_empty()
                    }
                    _ => false,
                };
                if hides {
                    let mut query = sets::query("SELECT 1")?;
                    std::mem::swap(&mut query.body, part);
                    **part = SetExpr::Query(Box::new(query));
                } else {
                    parts_as_queries(part)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The columns of a result that have the name of another column which is named within expressions.
fn hiding(items: &[SelectItem], names: &[Option<String>], within: &BTreeSet<String>) -> Vec<usize> {
    let hides = |(place, item): (usize, &SelectItem)| {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            return None;
        };
        let name = names.get(place)?.as_ref()?;
        (within.contains(name) && column_of(expr).as_ref() != Some(name)).then_some(place)
    };
    items.iter().enumerate().filter_map(hides).collect()
}

/// A bare name that one column alone has, by the place of the column, of those that `chosen` says.
fn by_place(order: &mut [OrderByExpr], names: &[Option<String>], chosen: impl Fn(usize) -> bool) {
    for by in order {
        let Expr::Identifier(name) = &by.expr else {
            continue;
        };
        let name = Some(folded(name));
        let mut places = (0..names.len()).filter(|place| names.get(*place) == Some(&name));
        if let (Some(place), None) = (places.next(), places.next())
            && chosen(place)
        {
            by.expr = Expr::value(Value::Number((place + 1).to_string(), false));
        }
    }
}

fn is_grouped(groups: &ast::GroupByExpr) -> bool {
    match groups {
        ast::GroupByExpr::All(_) => true,
        ast::GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    }
}

/// The columns that ORDER BY counts.
fn places(order: &[OrderByExpr]) -> Vec<usize> {
    let places = order.iter().filter_map(|by| match &by.expr {
        Expr::Value(value) => match &value.value {
            Value::Number(number, _) => number.parse::<usize>().ok()?.checked_sub(1),
            _ => None,
        },
        _ => None,
    });
    places.collect()
}

/// Columns that DISTINCT ON counts, as what they are of: the planner takes the number for a constant.
///
/// # Errors
/// 42P10 for a number that no column of the list has.
pub(super) fn places_in_distinct(select: &mut ast::Select) -> Result<(), ServerError> {
    let Some(ast::Distinct::On(keys)) = &mut select.distinct else {
        return Ok(());
    };
    let items = &select.projection;
    // What stands behind a star is counted by its columns.
    let counted = items.iter().take_while(|item| {
        matches!(
            item,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
        )
    });
    let counted: Vec<&SelectItem> = counted.collect();
    for key in keys {
        let Expr::Value(value) = &*key else {
            continue;
        };
        let Value::Number(number, _) = &value.value else {
            continue;
        };
        let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        match place.and_then(|place| counted.get(place)) {
            Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
                *key = expr.clone();
            }
            _ if counted.len() < items.len() => {}
            _ => {
                let text = format!("DISTINCT ON position {number} is not in select list");
                return Err(ServerError::new("42P10", text).place(start(key)));
            }
        }
    }
    Ok(())
}

/// Columns that grouping sets count, as what they are of: the planner reads numbers at the top of GROUP BY only.
pub(super) fn places_in_sets(select: &mut ast::Select) {
    let items = select.projection.clone();
    if items.iter().any(|item| item_name(item).is_none()) {
        return;
    }
    let ast::GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
        return;
    };
    for group in groups {
        let (Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets)) = group else {
            continue;
        };
        for part in sets.iter_mut().flatten() {
            let Expr::Value(value) = part else {
                continue;
            };
            let Value::Number(number, _) = &value.value else {
                continue;
            };
            let place = number.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            if let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) =
                place.and_then(|place| items.get(place))
            {
                *part = expr.clone();
            }
        }
    }
}

/// Names of columns in whatever is more than a bare name.
fn names_within(order: &[OrderByExpr]) -> BTreeSet<String> {
    let computed = order.iter().map(|by| &by.expr);
    names_of(computed.filter(|expr| !matches!(expr, Expr::Identifier(_))))
}

/// Names of columns in expressions.
fn names_of<'e>(exprs: impl Iterator<Item = &'e Expr>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for expr in exprs {
        let _: ControlFlow<()> = ast::visit_expressions(expr, |part| {
            names.extend(column_of(part));
            ControlFlow::Continue(())
        });
    }
    names
}

/// The name of a column that stands as it is.
fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

/// What the planner calls a column of the result whose own name stands for another.
fn called(place: usize) -> Ident {
    Ident::with_quote('"', format!("column {}", place + 1))
}

fn rename(items: &mut [SelectItem], place: usize) {
    let Some(item) = items.get_mut(place) else {
        return;
    };
    if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias: called(place),
        };
    }
}
