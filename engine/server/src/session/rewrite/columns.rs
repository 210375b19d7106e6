//! Columns of SELECTs as the planner takes them: named, of PostgreSQL's types, each name once.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, DataType, Expr, Ident, Query, Select, SelectItem, SetExpr, UnaryOperator,
    VisitMut, VisitorMut,
};

use super::calls::{call_argument_mut, call_of, is_call_of};
use super::literals::{cast, constant_number};
use super::names::folded;
use super::output::{column_name, item_name};
use crate::session::placed::width;
use crate::session::{modified, params};
use crate::sqlstate::ServerError;

/// Gives queries without columns behind EXCEPT and INTERSECT one, which the planner compares rows by, and takes it away
/// from what they give together.
///
/// # Errors
/// Never; the signature follows the parser's.
pub(super) fn none_in_sets(query: &mut Query) -> Result<(), ServerError> {
    if width(&query.body) != Some(0) || !is_compared(&query.body) {
        return Ok(());
    }
    give_one(&mut query.body);
    let (mut inner, outer) = (super::every_column()?, super::every_column()?);
    let SetExpr::Select(mut select) = *outer.body else {
        return Ok(());
    };
    std::mem::swap(&mut inner.body, &mut query.body);
    if let Some(from) = select.from.first_mut() {
        from.relation = ast::TableFactor::Derived {
            lateral: false,
            subquery: Box::new(inner),
            alias: Some(ast::TableAlias {
                explicit: true,
                name: Ident::with_quote('"', "rows"),
                columns: Vec::new(),
                at: None,
            }),
            sample: None,
        };
    }
    select.projection = Vec::new();
    *query.body = SetExpr::Select(select);
    Ok(())
}

/// Whether a query compares the rows of others.
fn is_compared(body: &SetExpr) -> bool {
    match body {
        SetExpr::SetOperation {
            op, left, right, ..
        } => *op != ast::SetOperator::Union || is_compared(left) || is_compared(right),
        SetExpr::Query(query) => is_compared(&query.body),
        _ => false,
    }
}

fn give_one(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            select.projection = vec![SelectItem::ExprWithAlias {
                expr: super::literals::boolean(true),
                alias: Ident::with_quote('"', "row"),
            }];
        }
        SetExpr::SetOperation { left, right, .. } => {
            give_one(left);
            give_one(right);
        }
        SetExpr::Query(query) => give_one(&mut query.body),
        _ => {}
    }
}

/// The SELECT that a query's columns are named by, unless it is a query of its own.
pub(super) fn naming(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::SetOperation { left, .. } => naming(left),
        _ => None,
    }
}

/// Gives unnamed expressions of a subquery the names PostgreSQL gives them, where unique.
pub(super) fn name_inner_columns(select: &mut Select) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for item in &select.projection {
        if let Some(name) = item_name(item) {
            *taken.entry(name).or_default() += 1;
        }
    }
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        let name = column_name(expr);
        if name != "?column?" && taken.get(&name) == Some(&1) {
            let alias = Ident::with_quote('"', name);
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        }
    }
}

/// Names the only column of a subquery in FROM that has no name as PostgreSQL shows it.
pub(super) fn name_unnamed(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let is_unnamed = |item: &&mut SelectItem| matches!(&**item, SelectItem::UnnamedExpr(expr) if column_name(expr) == "?column?");
    let mut unnamed = select.projection.iter_mut().filter(is_unnamed);
    if let (Some(item), None) = (unnamed.next(), unnamed.next())
        && let SelectItem::UnnamedExpr(expr) = item
    {
        let alias = Ident::with_quote('"', "?column?");
        *item = SelectItem::ExprWithAlias {
            expr: expr.clone(),
            alias,
        };
    }
}

/// Names the columns of the outer row that a LATERAL query lists: the planner calls them by where they come from.
pub(super) fn name_outer_columns(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(_)) = item {
            let alias = Ident::with_quote('"', column_name(expr));
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        }
    }
}

/// In the outermost SELECTs, makes integer constants int4, decimal ones numeric, and repeated names unique to the
/// planner; [`super::output_names`] gives clients the names they asked for.
pub(super) fn top_level(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                {
                    constant_type(expr);
                }
            }
            unique_columns(select);
        }
        SetExpr::Query(query) => top_level(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            top_level(left);
            top_level(right);
        }
        _ => {}
    }
}

fn constant_type(expr: &mut Expr) {
    match expr {
        Expr::Tuple(items) => {
            items.iter_mut().for_each(constant_type);
            *expr = call_of("row", std::mem::take(items));
            return;
        }
        Expr::Array(array) => return array.elem.iter_mut().for_each(constant_type),
        Expr::Nested(inner) => return constant_type(inner),
        Expr::Function(function) if is_call_of(function, "row") => {
            let mut place = 0;
            while let Some(argument) = call_argument_mut(function, place) {
                constant_type(argument);
                place += 1;
            }
            return;
        }
        _ => {}
    }
    let digits = match &*expr {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => constant_number(expr),
        other => constant_number(other),
    };
    let Some(digits) = digits else {
        return;
    };
    if digits.parse::<i32>().is_ok() {
        *expr = cast(expr.clone(), DataType::Integer(None));
    } else if digits.parse::<i64>().is_err() {
        let sign = if matches!(expr, Expr::UnaryOp { .. }) {
            "-"
        } else {
            ""
        };
        // One that is too long was refused before.
        if let Ok(exact) = params::numeric(&format!("{sign}{digits}")) {
            *expr = exact;
        }
    }
}

fn unique_columns(select: &mut Select) {
    let wild = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    let any_wild = select.projection.iter().any(wild);
    let names: Vec<_> = select.projection.iter().map(item_name).collect();
    let mut seen = BTreeSet::new();
    for (number, item) in select.projection.iter_mut().enumerate() {
        let key = match &*item {
            SelectItem::UnnamedExpr(expr) => planner_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            _ => continue,
        };
        // A column may be among those that an asterisk stands for.
        let repeated =
            any_wild && matches!(&*item, SelectItem::UnnamedExpr(expr) if is_column(expr));
        // The planner calls a subquery by its own column, which then cannot be told from another of that name.
        let alike = || names.iter().filter(|name| **name == names[number]).count() > 1;
        let called_alike = match &*item {
            SelectItem::UnnamedExpr(expr) => is_subquery(expr) && (any_wild || alike()),
            // ORDER BY its place would find the others too.
            SelectItem::ExprWithAlias { .. } => alike(),
            _ => false,
        };
        if seen.insert(key) && !repeated && !called_alike {
            continue;
        }
        let unique = Ident::with_quote('"', format!("column {}", number + 1));
        match item {
            SelectItem::UnnamedExpr(expr) => {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: unique,
                };
            }
            SelectItem::ExprWithAlias { alias, .. } => *alias = unique,
            _ => {}
        }
    }
}

/// Gives expressions of a list names of their own: the planner names `2 * x` and `x * 2` alike, and refuses two of one
/// name.
pub(in crate::session) fn told_apart(statement: &mut ast::Statement) {
    let _ = VisitMut::visit(statement, &mut ToldApart);
}

struct ToldApart;

impl VisitorMut for ToldApart {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut taken = BTreeSet::new();
        for (number, item) in select.projection.iter_mut().enumerate() {
            let SelectItem::UnnamedExpr(expr) = &*item else {
                continue;
            };
            let name = column_name(expr);
            let name = match name != "?column?" && taken.insert(name.clone()) {
                true => name,
                false => format!("column {}", number + 1),
            };
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('"', name),
            };
        }
        ControlFlow::Continue(())
    }
}

/// Makes calls of casts in GROUP BY that the planner takes for another expression of it, `x::int` beside `x`, there and
/// in the rest of the query.
pub(super) fn groups_told_apart(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let ast::GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
        return;
    };
    let mut alike: Vec<(Expr, Expr)> = Vec::new();
    let mut written = groups.clone();
    for group in &mut written {
        let place = constant_number(group).and_then(|digits| digits.parse::<usize>().ok());
        let item = place.and_then(|place| select.projection.get(place.checked_sub(1)?));
        if let Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item {
            *group = expr.clone();
        }
    }
    let named: Vec<(String, &Expr)> = written.iter().map(|e| (planner_name(e), e)).collect();
    for (place, (name, group)) in named.iter().enumerate() {
        let known = |group: &Expr| alike.iter().any(|(named, _)| named == group);
        if !matches!(group, Expr::Cast { .. }) || known(group) {
            continue;
        }
        // Others of the name that keep it: what is no cast, wherever it stands, and the first of casts alone.
        let mut others = named
            .iter()
            .enumerate()
            .filter(|(_, (other, _))| other == name);
        let keeps = others.any(|(at, (_, other))| {
            other != group && (!matches!(other, Expr::Cast { .. }) || at < place)
        });
        if keeps {
            // Each has another name: the planner leaves out the casts of it.
            let before = alike
                .iter()
                .filter(|(other, _)| planner_name(other) == *name);
            let like = (0..=before.count()).fold(Expr::clone(group), |like, _| {
                call_of(modified::SAME, vec![like])
            });
            alike.push((Expr::clone(group), like));
        }
    }
    let mut parts: Vec<&Expr> = Vec::new();
    for group in groups.iter() {
        if let Expr::Rollup(sets) | Expr::Cube(sets) | Expr::GroupingSets(sets) = group {
            for part in sets.iter().flatten() {
                // One may be in several sets.
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
        }
    }
    let mut known: BTreeSet<String> = named.iter().map(|(name, _)| name.clone()).collect();
    for part in parts {
        if !known.insert(planner_name(part)) && matches!(part, Expr::Cast { .. }) {
            let like = call_of(modified::SAME, vec![part.clone()]);
            alike.push((part.clone(), like));
        }
    }
    if alike.is_empty() {
        return;
    }
    *groups = written;
    for (named, like) in &alike {
        replace(&mut select.projection, named, like);
        replace(&mut select.group_by, named, like);
        replace(&mut select.having, named, like);
        replace(&mut query.order_by, named, like);
    }
}

/// Puts an expression in the place of another.
fn replace(within: &mut impl VisitMut, named: &Expr, like: &Expr) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(within, |expr| {
        if expr == named {
            *expr = like.clone();
        }
        ControlFlow::Continue(())
    });
}

fn is_subquery(expr: &Expr) -> bool {
    match expr {
        Expr::Subquery(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_subquery(expr),
        _ => false,
    }
}

fn is_column(expr: &Expr) -> bool {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_column(expr),
        _ => false,
    }
}

/// What the planner tells an unnamed expression by: without casts and parentheses, and every subquery the same.
fn planner_name(expr: &Expr) -> String {
    let mut named = expr.clone();
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut named, |part| {
        while let Expr::Cast { expr, .. } | Expr::Nested(expr) = part {
            *part = std::mem::replace(expr, Expr::Identifier(Ident::new("moved")));
        }
        if let Expr::TypedString(typed) = part {
            *part = Expr::Value(typed.value.clone());
        }
        if let Expr::BinaryOp {
            left,
            op: BinaryOperator::PGExp,
            right,
        } = part
        {
            *part = call_of("power", vec![left.as_ref().clone(), right.as_ref().clone()]);
        }
        match part {
            Expr::Subquery(_) => *part = Expr::Identifier(Ident::new("subquery")),
            Expr::Exists { .. } => *part = Expr::Identifier(Ident::new("exists")),
            Expr::InSubquery { negated, .. } => {
                let name = if *negated {
                    "not in subquery"
                } else {
                    "in subquery"
                };
                *part = Expr::Identifier(Ident::new(name));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    named.to_string().replace('"', "").to_ascii_lowercase()
}
