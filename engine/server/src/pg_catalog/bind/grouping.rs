//! What a SELECT with groups, DISTINCT or both may show and sort by.
//!
//! ```text
//! SELECT c.oid, c.relname, count(*) FROM pg_class c JOIN pg_attribute a … GROUP BY c.oid
//!                └ of the one row that the primary key names: may stand beside the key
//! ```

use datafusion::sql::sqlparser::ast::{self, Spanned as _};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::{Binder, Scope};
use crate::pg_catalog::builtin::builtin;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{
    Expr, Kind, Reference, Select, SortKey, Subquery, children, query_references,
};

/// A column of the frame that no group has one value of.
struct Loose {
    slot: usize,
    /// None: the whole row.
    column: Option<usize>,
    /// In a subquery.
    inside: bool,
}

/// The groups of a SELECT.
struct Groups<'s> {
    keys: &'s [Expr],
    select: &'s Select,
    /// FROM items of which a group has one row: their primary key is among the keys.
    whole: Vec<usize>,
}

impl Groups<'_> {
    /// Refuses an expression that has several values in a group.
    fn check(&self, expr: &Expr) -> Result<(), Loose> {
        if self.keys.contains(expr) {
            return Ok(());
        }
        match &expr.kind {
            Kind::Column {
                depth: 0,
                slot,
                col,
            } => self.known(*slot, Some(*col), false),
            Kind::WholeRow { depth: 0, slot } => self.known(*slot, None, false),
            Kind::Aggregate(_) => Ok(()),
            Kind::Window(i) => {
                let Some(window) = self.select.windows.get(*i) else {
                    return Ok(());
                };
                let call = &window.call;
                let sorted = call.order.iter().chain(&window.order);
                let mut parts = call
                    .args
                    .iter()
                    .chain(&call.filter)
                    .chain(&window.partition)
                    .chain(sorted.map(|key| &key.expr));
                parts.try_for_each(|part| self.check(part))
            }
            Kind::SetReturning(i) => match self.select.set_returning.get(*i) {
                Some(set) => self.parts(set),
                None => Ok(()),
            },
            Kind::Exists(query) | Kind::Scalar(query) | Kind::ArraySubquery(query) => {
                self.subquery(query)
            }
            Kind::InSubquery { left, subquery, .. } => {
                left.iter().try_for_each(|part| self.check(part))?;
                self.subquery(subquery)
            }
            _ => self.parts(expr),
        }
    }

    fn parts(&self, expr: &Expr) -> Result<(), Loose> {
        let mut result = Ok(());
        children(expr, &mut |part| {
            if result.is_ok() {
                result = self.check(part);
            }
        });
        result
    }

    fn subquery(&self, subquery: &Subquery) -> Result<(), Loose> {
        let mut result = Ok(());
        query_references(&subquery.query, 1, &mut |reference: Reference| {
            if result.is_ok()
                && reference.depth == 0
                && let Some(slot) = reference.slot
            {
                result = self.known(slot, reference.column, true);
            }
        });
        result
    }

    fn known(&self, slot: usize, column: Option<usize>, inside: bool) -> Result<(), Loose> {
        let is_key = |key: &Expr| match (&key.kind, column) {
            (
                Kind::Column {
                    depth: 0,
                    slot: s,
                    col,
                },
                Some(column),
            ) => *s == slot && *col == column,
            (Kind::WholeRow { depth: 0, slot: s }, None) => *s == slot,
            _ => false,
        };
        match self.whole.contains(&slot) || self.keys.iter().any(is_key) {
            true => Ok(()),
            false => Err(Loose {
                slot,
                column,
                inside,
            }),
        }
    }
}

/// The FROM items whose primary key is among the keys of the groups.
fn whole_items(scope: &Scope, keys: &[Expr]) -> Vec<usize> {
    let is_key = |slot: usize, column: usize| {
        keys.iter().any(|key| {
            matches!(key.kind, Kind::Column { depth: 0, slot: s, col } if s == slot && col == column)
        })
    };
    let items = scope.items.iter().filter(|item| {
        let Some(primary) = item.relation.and_then(|oid| builtin().primary_key(oid)) else {
            return false;
        };
        primary.iter().all(|column| is_key(item.slot, *column))
    });
    items.map(|item| item.slot).collect()
}

/// The sets that the keys of groups take their values from.
pub(super) fn sets_of(keys: &[Expr], sets: &[Expr]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open: Vec<&Expr> = keys.iter().collect();
    while let Some(expr) = open.pop() {
        if let Kind::SetReturning(i) = expr.kind
            && !found.contains(&i)
        {
            found.push(i);
            open.extend(sets.get(i));
        }
        children(expr, &mut |part| open.push(part));
    }
    found.sort_unstable();
    found
}

/// Refuses outputs and keys of a sort that a group has several values of.
pub(super) fn check_groups(scope: &Scope, select: &Select, distinct_on: &[Expr]) -> Result<()> {
    let Some(keys) = &select.group_by else {
        return Ok(());
    };
    let groups = Groups {
        keys,
        select,
        whole: whole_items(scope, keys),
    };
    let sorted = select.order.iter().map(|key| &key.expr);
    let mut shown = select.outputs.iter().chain(&select.having);
    let mut shown = shown.by_ref().chain(sorted).chain(distinct_on);
    shown
        .try_for_each(|expr| groups.check(expr))
        .map_err(|loose| ungrouped(scope, &loose))
}

fn ungrouped(scope: &Scope, loose: &Loose) -> CatalogError {
    let item = scope.items.iter().find(|item| item.slot == loose.slot);
    let name = item.map_or_else(String::new, |item| {
        let column = loose.column.and_then(|column| item.columns.get(column));
        format!(
            "{}.{}",
            item.alias,
            column.map_or("*", |column| column.name.as_str())
        )
    });
    let text = match loose.inside {
        true => format!("subquery uses ungrouped column \"{name}\" from outer query"),
        false => format!(
            "column \"{name}\" must appear in the GROUP BY clause or be used in an aggregate function"
        ),
    };
    let found = scope
        .seen
        .iter()
        .find(|seen| seen.slot == loose.slot && Some(seen.column) == loose.column);
    CatalogError::new("42803", text).at(found.map_or_else(Span::empty, |seen| seen.span))
}

/// Where a column was named in a place that is computed from groups.
#[derive(Clone, Copy, Debug)]
pub(in crate::pg_catalog) struct Seen {
    pub(super) slot: usize,
    pub(super) column: usize,
    pub(super) span: Span,
}

/// Refuses a DISTINCT that is sorted by what it does not show.
pub(super) fn check_distinct(
    outputs: &[Expr],
    order: &[SortKey],
    order_by: &[&ast::OrderByExpr],
) -> Result<()> {
    let mut keys = order.iter().zip(order_by);
    let hidden = keys.find(|(key, _)| !shows(outputs, &key.expr));
    match hidden {
        None => Ok(()),
        Some((_, written)) => Err(CatalogError::new(
            "42P10",
            "for SELECT DISTINCT, ORDER BY expressions must appear in select list",
        )
        .at(written.expr.span())),
    }
}

/// Whether an output is such an expression; one of no type is sorted as a text.
fn shows(outputs: &[Expr], expr: &Expr) -> bool {
    let constant = matches!(expr.kind, Kind::Const(_) | Kind::Param(_));
    constant || outputs.contains(expr)
}

/// Refuses a DISTINCT ON whose rows are not sorted by its own expressions first.
pub(super) fn check_distinct_on(
    on: &[Expr],
    written: &[ast::Expr],
    order: &[SortKey],
    order_by: &[&ast::OrderByExpr],
) -> Result<()> {
    let error = |at: Span| {
        CatalogError::new(
            "42P10",
            "SELECT DISTINCT ON expressions must match initial ORDER BY expressions",
        )
        .at(at)
    };
    let first_other = order.iter().position(|key| !on.contains(&key.expr));
    let Some(first_other) = first_other else {
        return Ok(());
    };
    let (led, rest) = order.split_at(first_other);
    let led_by = |expr: &Expr| led.iter().any(|key| key.expr == *expr);
    for (key, sort) in rest.iter().zip(order_by.iter().skip(first_other)) {
        if on.contains(&key.expr) && !led_by(&key.expr) {
            return Err(error(sort.expr.span()));
        }
    }
    match on.iter().zip(written).find(|(expr, _)| !led_by(expr)) {
        Some((_, written)) => Err(error(written.span())),
        None => Ok(()),
    }
}

impl Binder<'_> {
    /// Notes where a column was named, for the message that a group has several values of it.
    pub(super) fn see(&mut self, expr: &Expr, span: Span) {
        let Kind::Column { depth, slot, col } = expr.kind else {
            return;
        };
        if let Some(scope) = self.scopes.iter_mut().rev().nth(depth)
            && (depth > 0 || scope.place.is_of_groups())
        {
            let (column, seen) = (col, &mut scope.seen);
            seen.push(Seen { slot, column, span });
        }
    }
}
