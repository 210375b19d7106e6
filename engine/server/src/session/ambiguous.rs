//! A name in a subquery that two of its own relations have a column of, and that a relation around it has, too: it is
//! ambiguous.
//!
//! ```text
//! SELECT (SELECT count(*) FROM b, c WHERE id = 1) FROM a      and a, b and c have a column id
//! ```
//! The planner takes what it cannot tell apart within for the column around. So plans are looked at for such columns, and
//! only where there is one the statement is walked through, with the columns of its relations.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::common::Result as PlanResult;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr as PlanExpr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    self, Distinct, Expr, GroupByExpr, Ident, JoinConstraint, OrderByKind, Query, Select,
    SelectItem, SetExpr, TableFactor, TableWithJoins, Visit as _, Visitor,
};

use super::placed::start;
use super::plan::PlanContext;
use super::rewrite::{folded, item_name};
use super::using::{Asked, columns_of_relation, constraint, named};
use crate::sqlstate::ServerError;

/// Whether a statement has names alone in a query within another one.
pub(super) fn may_be(statement: &ast::Statement) -> bool {
    let mut bare = Bare::default();
    let _: ControlFlow<()> = statement.visit(&mut bare);
    !bare.names.is_empty()
}

/// Looks for ambiguous names in a statement whose joins have no merged columns any more.
///
/// # Errors
/// 42702.
pub(super) async fn check(
    context: &PlanContext,
    statement: &ast::Statement,
    plan: &LogicalPlan,
) -> Result<(), ServerError> {
    let mut bare = Bare::default();
    let _: ControlFlow<()> = statement.visit(&mut bare);
    let mut wanted = outer_names(plan)?;
    wanted.retain(|name| bare.names.contains(name));
    let ast::Statement::Query(query) = statement else {
        return Ok(());
    };
    if wanted.is_empty() || !is_doubled(plan, &wanted)? {
        return Ok(());
    }
    let mut walk = Walk {
        wanted,
        ..Walk::default()
    };
    // The first way finds what is to be asked for.
    walk.query(query, &[])?;
    for (key, (name, asked)) in std::mem::take(&mut walk.asked) {
        let columns = columns_of_relation(context, &name, asked, &mut BTreeMap::new()).await;
        let scope = columns.ok().flatten().map(|columns| {
            let mut counts = BTreeMap::new();
            for column in columns {
                *counts.entry(column).or_insert(0) += 1;
            }
            counts
        });
        walk.known.insert(key, scope);
    }
    walk.query(query, &[])
}

/// The names of columns that subqueries take from around.
fn outer_names(plan: &LogicalPlan) -> PlanResult<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let PlanExpr::OuterReferenceColumn(_, column) = part {
                    names.insert(column.name.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(names)
}

/// Whether rows somewhere in a plan have two columns of one of these names.
fn is_doubled(plan: &LogicalPlan, names: &BTreeSet<String>) -> PlanResult<bool> {
    let mut doubled = false;
    plan.apply_with_subqueries(|node| {
        let mut seen = BTreeSet::new();
        let fields = node.schema().fields().iter();
        let mut named = fields.filter(|field| names.contains(field.name()));
        doubled = named.any(|field| !seen.insert(field.name()));
        Ok(match doubled {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(doubled)
}

/// Names alone within queries of queries.
#[derive(Default)]
struct Bare {
    depth: usize,
    names: BTreeSet<String>,
}

impl Visitor for Bare {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && self.depth > 1
        {
            self.names.insert(folded(name));
        }
        ControlFlow::Continue(())
    }
}

/// How many columns of each name the relations of a query have; `None` when they are not known.
type Scope = Option<BTreeMap<String, usize>>;

fn both(left: &Scope, right: &Scope) -> Scope {
    let (left, right) = (left.as_ref()?, right.as_ref()?);
    let mut all = left.clone();
    for (name, count) in right {
        *all.entry(name.clone()).or_insert(0) += count;
    }
    Some(all)
}

fn within(around: &[Scope], scope: &Scope) -> Vec<Scope> {
    around.iter().chain([scope]).cloned().collect()
}

/// Goes over a statement twice: to find which relations are to be asked for, and with what they have.
#[derive(Default)]
struct Walk {
    /// The names that are looked for.
    wanted: BTreeSet<String>,
    withs: Vec<Option<ast::With>>,
    known: BTreeMap<String, Scope>,
    asked: BTreeMap<String, (String, Asked)>,
}

impl Walk {
    fn query(&mut self, query: &Query, around: &[Scope]) -> Result<(), ServerError> {
        if let Some(with) = &query.with {
            // Each sees those before it, and all when one may be its own.
            for table in &with.cte_tables {
                self.withs.push(Some(with.clone()));
                let looked = self.query(&table.query, around);
                self.withs.pop();
                looked?;
            }
        }
        self.withs.push(query.with.clone());
        let looked = self.body_and_order(query, around);
        self.withs.pop();
        looked
    }

    fn body_and_order(&mut self, query: &Query, around: &[Scope]) -> Result<(), ServerError> {
        let SetExpr::Select(select) = query.body.as_ref() else {
            return self.body(&query.body, around);
        };
        let scopes = self.select(select, around)?;
        let listed: Vec<String> = select.projection.iter().filter_map(item_name).collect();
        if let Some(order_by) = &query.order_by
            && let OrderByKind::Expressions(keys) = &order_by.kind
        {
            for key in keys {
                self.key(&key.expr, &scopes, &listed)?;
            }
        }
        Ok(())
    }

    fn body(&mut self, body: &SetExpr, around: &[Scope]) -> Result<(), ServerError> {
        match body {
            SetExpr::Select(select) => self.select(select, around).map(drop),
            SetExpr::Query(query) => self.query(query, around),
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left, around)?;
                self.body(right, around)
            }
            SetExpr::Values(values) => {
                let mut cells = values.rows.iter().flat_map(|row| &row.content);
                cells.try_for_each(|cell| self.expr(cell, around))
            }
            _ => Ok(()),
        }
    }

    /// Looks at a SELECT, and gives what its names may mean.
    fn select(&mut self, select: &Select, around: &[Scope]) -> Result<Vec<Scope>, ServerError> {
        let mut from = Some(BTreeMap::new());
        for tables in &select.from {
            let own = self.tables(tables, around, &from)?;
            from = both(&from, &own);
        }
        let scopes = within(around, &from);
        let listed: Vec<String> = select.projection.iter().filter_map(item_name).collect();
        if let Some(Distinct::On(keys)) = &select.distinct {
            for key in keys {
                self.key(key, &scopes, &listed)?;
            }
        }
        for item in &select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                self.expr(expr, &scopes)?;
            }
        }
        for condition in select.selection.iter().chain(&select.having) {
            self.expr(condition, &scopes)?;
        }
        if let GroupByExpr::Expressions(keys, _) = &select.group_by {
            // A column comes before what the list calls so.
            let is_column = |name: &String| match &from {
                Some(counts) => counts.contains_key(name),
                None => false,
            };
            let listed: Vec<String> = listed.into_iter().filter(|n| !is_column(n)).collect();
            for key in keys {
                self.key(key, &scopes, &listed)?;
            }
        }
        Ok(scopes)
    }

    /// Something to sort or group by, which may be a name of the list.
    fn key(&mut self, key: &Expr, scopes: &[Scope], listed: &[String]) -> Result<(), ServerError> {
        match key {
            Expr::Identifier(name) if listed.contains(&folded(name)) => Ok(()),
            key => self.expr(key, scopes),
        }
    }

    /// What joined relations have together.
    fn tables(
        &mut self,
        tables: &TableWithJoins,
        around: &[Scope],
        before: &Scope,
    ) -> Result<Scope, ServerError> {
        let mut own = self.factor(&tables.relation, around, before)?;
        for join in &tables.joins {
            let right = self.factor(&join.relation, around, &both(before, &own))?;
            own = both(&own, &right);
            if let Some(JoinConstraint::On(condition)) = constraint(&join.join_operator) {
                self.expr(condition, &within(around, &own))?;
            }
        }
        Ok(own)
    }

    fn factor(
        &mut self,
        factor: &TableFactor,
        around: &[Scope],
        before: &Scope,
    ) -> Result<Scope, ServerError> {
        match factor {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => return self.tables(table_with_joins, around, before),
            TableFactor::Derived {
                lateral: true,
                subquery,
                ..
            } => self.query(subquery, &within(around, before))?,
            TableFactor::Derived { subquery, .. } => self.query(subquery, around)?,
            _ => {}
        }
        let Some((name, factor)) = named(factor) else {
            return Ok(None);
        };
        let withs = self.withs.iter().flatten().map(ToString::to_string);
        let key = format!("{} {factor}", withs.collect::<String>());
        if let Some(scope) = self.known.get(&key) {
            return Ok(scope.clone());
        }
        let asked = Asked::new(factor, self.withs.clone());
        self.asked.insert(key, (name, asked));
        Ok(None)
    }

    fn expr(&mut self, expr: &Expr, scopes: &[Scope]) -> Result<(), ServerError> {
        let mut names = Names {
            walk: self,
            scopes,
            depth: 0,
        };
        match expr.visit(&mut names) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => Ok(()),
        }
    }

    /// 42702 for a name that two columns of the first query around that knows it have.
    fn name(&self, name: &Ident, scopes: &[Scope]) -> Result<(), ServerError> {
        let folded = folded(name);
        if !self.wanted.contains(&folded) {
            return Ok(());
        }
        for scope in scopes.iter().rev() {
            let Some(counts) = scope else {
                return Ok(());
            };
            match counts.get(&folded) {
                None => {}
                Some(1) => return Ok(()),
                Some(_) => {
                    let text = format!("column reference \"{folded}\" is ambiguous");
                    let place = start(&Expr::Identifier(name.clone()));
                    return Err(ServerError::new("42702", text).place(place));
                }
            }
        }
        Ok(())
    }
}

/// The names of an expression, and the queries in it.
struct Names<'a> {
    walk: &'a mut Walk,
    scopes: &'a [Scope],
    depth: usize,
}

impl Visitor for Names<'_> {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<ServerError> {
        self.depth += 1;
        if self.depth == 1
            && let Err(error) = self.walk.query(query, self.scopes)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<ServerError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<ServerError> {
        if let Expr::Identifier(name) = expr
            && self.depth == 0
            && let Err(error) = self.walk.name(name, self.scopes)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}
