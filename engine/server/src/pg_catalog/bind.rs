//! Binds a parsed catalog query: resolves names, overloads and types, and places predicates where they cost least.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast;

use super::error::{CatalogError, Result};
use super::model::{CatalogModel, SessionInfo};
use super::plan::{Aggregate, Subquery};
use super::plan::{
    Body, Cte, Direction, Expr, Fields, Kind, Origin, OutputColumn, Query, SetOp, SortKey, Window,
};
use super::resolve::{self, Freedom};
use super::value::{Value, base_type};
use crate::pg_types::oid;
use grouping::Seen;
use places::Place;

mod calls;
mod columns;
mod expr;
mod from;
mod grouping;
mod order;
mod places;
mod select;
mod subqueries;

/// A column of a FROM item.
#[derive(Clone, Debug)]
pub(super) struct ItemColumn {
    pub(super) name: String,
    pub(super) ty: u32,
    pub(super) typmod: i32,
    pub(super) fields: Option<Fields>,
    pub(super) origin: Option<Origin>,
    /// Merged away by USING: reachable by qualified name only.
    pub(super) merged: bool,
}

/// A FROM item in scope.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) alias: String,
    pub(super) schema: Option<String>,
    pub(super) slot: usize,
    pub(super) columns: Vec<ItemColumn>,
    /// OID of the relation, for the system columns.
    pub(super) relation: Option<u32>,
    /// A function returning a scalar: the item's name means its value.
    pub(super) scalar: bool,
}

/// A CTE in scope.
#[derive(Clone, Debug)]
pub(super) struct CteInfo {
    pub(super) name: String,
    pub(super) columns: Vec<OutputColumn>,
}

/// One frame: a query's CTEs or a select's FROM items.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) items: Vec<Item>,
    pub(super) ctes: Vec<CteInfo>,
    /// FROM items are out of sight: a sub-select in FROM without LATERAL is being bound.
    pub(super) hidden: bool,
    pub(super) slots: usize,
    pub(super) aggregates: Vec<Aggregate>,
    pub(super) windows: Vec<Window>,
    pub(super) set_returning: Vec<Expr>,
    pub(super) named_windows: Vec<ast::NamedWindowDefinition>,
    /// What is being bound.
    pub(super) place: Place,
    pub(super) seen: Vec<Seen>,
}

/// Binds one statement.
pub(crate) struct Binder<'a> {
    pub(super) model: &'a CatalogModel,
    pub(super) session: &'a SessionInfo,
    pub(super) scopes: Vec<Scope>,
    pub(super) params: Vec<u32>,
    subqueries: usize,
    depth: usize,
}

const MAX_NESTING: usize = 200;

impl<'a> Binder<'a> {
    /// `declared` are parameter types the client stated (0 or missing = to be inferred).
    pub(crate) fn new(model: &'a CatalogModel, session: &'a SessionInfo, declared: &[u32]) -> Self {
        let params = declared
            .iter()
            .map(|t| if *t == 0 { oid::UNKNOWN } else { *t })
            .collect();
        Self {
            model,
            session,
            scopes: Vec::new(),
            params,
            subqueries: 0,
            depth: 0,
        }
    }

    /// Binds the statement's query; output columns still unknown become text.
    pub(crate) fn statement(&mut self, query: &ast::Query) -> Result<Query> {
        let bound = self.query(query)?;
        self.typed(bound)
    }

    /// A query whose columns of no type are text.
    pub(super) fn typed(&mut self, mut query: Query) -> Result<Query> {
        let types = query.columns.iter().map(|column| match column.ty {
            oid::UNKNOWN => oid::TEXT,
            known => known,
        });
        let types: Vec<u32> = types.collect();
        self.coerce_query(&mut query, &types)?;
        Ok(query)
    }

    /// Parameter types as inferred; what nothing decides is text.
    pub(crate) fn parameter_types(&self) -> Vec<u32> {
        self.params
            .iter()
            .map(|t| if *t == oid::UNKNOWN { oid::TEXT } else { *t })
            .collect()
    }

    pub(super) fn scope(&mut self) -> Result<&mut Scope> {
        self.scopes
            .last_mut()
            .ok_or_else(|| CatalogError::new("XX000", "no scope"))
    }

    pub(super) fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_NESTING {
            return Err(CatalogError::new("54001", "statement is nested too deeply")
                .hint("Split the statement."));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    pub(super) fn subquery(&mut self, query: &ast::Query) -> Result<Subquery> {
        let bound = self.query(query)?;
        let bound = self.typed(bound)?;
        let mut correlated = false;
        super::plan::query_references(&bound, 1, &mut |_| correlated = true);
        self.subqueries += 1;
        Ok(Subquery {
            query: bound,
            correlated,
            id: self.subqueries,
        })
    }

    /// Binds a query; columns may still be of unknown type (the caller decides).
    pub(super) fn query(&mut self, query: &ast::Query) -> Result<Query> {
        self.nested(|b| b.query_inner(query))
    }

    fn query_inner(&mut self, query: &ast::Query) -> Result<Query> {
        self.scopes.push(Scope::default());
        let bound = self.query_in_scope(query);
        self.scopes.pop();
        bound
    }

    fn query_in_scope(&mut self, query: &ast::Query) -> Result<Query> {
        let ctes = match &query.with {
            Some(with) => self.with(with)?,
            None => Vec::new(),
        };
        let order_by = order_expressions(query.order_by.as_ref())?;
        let (body, columns, order) = if let ast::SetExpr::Select(select) = query.body.as_ref() {
            let (select, columns) = self.select(select, order_by)?;
            (Body::Select(Box::new(select)), columns, Vec::new())
        } else {
            let (mut body, mut columns) = self.body(&query.body)?;
            let types: Vec<u32> = columns
                .iter()
                .map(|c| {
                    if c.ty == oid::UNKNOWN {
                        oid::TEXT
                    } else {
                        c.ty
                    }
                })
                .collect();
            self.coerce_body(&mut body, &types)?;
            columns.iter_mut().zip(&types).for_each(|(c, t)| c.ty = *t);
            let order = order_by
                .iter()
                .map(|o| output_order(o, &columns))
                .collect::<Result<_>>()?;
            (body, columns, order)
        };
        let (limit, offset) = self.limits(query)?;
        if query
            .fetch
            .as_ref()
            .is_some_and(|f| f.with_ties || f.percent)
        {
            return Err(CatalogError::unsupported("FETCH WITH TIES"));
        }
        Ok(Query {
            ctes,
            body,
            order,
            limit,
            offset,
            columns,
        })
    }

    fn limits(&mut self, query: &ast::Query) -> Result<(Option<Expr>, Option<Expr>)> {
        let (mut limit, offset) = match &query.limit_clause {
            Some(ast::LimitClause::LimitOffset { limit, offset, .. }) => {
                (limit.as_ref(), offset.as_ref().map(|o| &o.value))
            }
            Some(ast::LimitClause::OffsetCommaLimit { offset, limit }) => {
                (Some(limit), Some(offset))
            }
            None => (None, None),
        };
        let one = ast::Expr::value(ast::Value::Number("1".to_owned(), false));
        if let Some(fetch) = &query.fetch {
            limit = Some(fetch.quantity.as_ref().unwrap_or(&one));
        }
        let mut bind = |e: Option<&ast::Expr>, place: Place| -> Result<Option<Expr>> {
            match e {
                Some(ast::Expr::Identifier(i)) if i.value.eq_ignore_ascii_case("all") => Ok(None),
                Some(e) => {
                    let bound = self.placed(place, |b| b.expr(e))?;
                    Ok(Some(self.coerce(bound, oid::INT8, Freedom::Implicit)?))
                }
                None => Ok(None),
            }
        };
        Ok((bind(limit, Place::Limit)?, bind(offset, Place::Offset)?))
    }

    fn with(&mut self, with: &ast::With) -> Result<Vec<Cte>> {
        let mut ctes = Vec::new();
        for cte in &with.cte_tables {
            let name = fold(&cte.alias.name);
            let recursive_union = match cte.query.body.as_ref() {
                ast::SetExpr::SetOperation {
                    op: ast::SetOperator::Union,
                    left,
                    right,
                    set_quantifier,
                } if with.recursive && cte.query.with.is_none() => {
                    Some((left, right, *set_quantifier))
                }
                _ => None,
            };
            let refers_to_itself = with.recursive && mentions(&cte.query, &name);
            if let (true, Some((left, right, quantifier))) = (refers_to_itself, recursive_union) {
                let query = self.recursive_cte(&name, cte, left, right, quantifier)?;
                ctes.push(Cte {
                    query,
                    recursive: true,
                });
            } else {
                let mut query = self.query(&cte.query)?;
                let types: Vec<u32> = query
                    .columns
                    .iter()
                    .map(|c| {
                        if c.ty == oid::UNKNOWN {
                            oid::TEXT
                        } else {
                            c.ty
                        }
                    })
                    .collect();
                self.coerce_query(&mut query, &types)?;
                let columns = renamed(&query.columns, &cte.alias, &name)?;
                self.scope()?.ctes.push(CteInfo { name, columns });
                ctes.push(Cte {
                    query,
                    recursive: false,
                });
            }
        }
        Ok(ctes)
    }

    fn recursive_cte(
        &mut self,
        name: &str,
        cte: &ast::Cte,
        left: &ast::SetExpr,
        right: &ast::SetExpr,
        quantifier: ast::SetQuantifier,
    ) -> Result<Query> {
        // The CTE's query has a frame of its own, below the one that will hold its name.
        self.scopes.push(Scope::default());
        let start = self.body(left);
        self.scopes.pop();
        let (mut start, columns) = start?;
        let types: Vec<u32> = columns
            .iter()
            .map(|c| {
                if c.ty == oid::UNKNOWN {
                    oid::TEXT
                } else {
                    c.ty
                }
            })
            .collect();
        self.coerce_body(&mut start, &types)?;
        let mut columns = columns;
        for (column, ty) in columns.iter_mut().zip(&types) {
            column.ty = *ty;
            column.origin = None;
        }
        let renamed = renamed(&columns, &cte.alias, name)?;
        self.scope()?.ctes.push(CteInfo {
            name: name.to_owned(),
            columns: renamed,
        });
        self.scopes.push(Scope::default());
        let step = self.body(right);
        self.scopes.pop();
        let (mut step, step_columns) = step?;
        if step_columns.len() != columns.len() {
            return Err(CatalogError::new(
                "42601",
                "each UNION query must have the same number of columns",
            ));
        }
        self.coerce_body(&mut step, &types)?;
        let all = quantifier == ast::SetQuantifier::All;
        let body = Body::Set {
            op: SetOp::Union,
            all,
            left: Box::new(start),
            right: Box::new(step),
        };
        Ok(Query {
            ctes: Vec::new(),
            body,
            order: Vec::new(),
            limit: None,
            offset: None,
            columns,
        })
    }

    pub(super) fn body(&mut self, body: &ast::SetExpr) -> Result<(Body, Vec<OutputColumn>)> {
        self.nested(|b| b.body_inner(body))
    }

    fn body_inner(&mut self, body: &ast::SetExpr) -> Result<(Body, Vec<OutputColumn>)> {
        match body {
            ast::SetExpr::Select(select) => {
                let (select, columns) = self.select(select, Vec::new())?;
                Ok((Body::Select(Box::new(select)), columns))
            }
            ast::SetExpr::Query(query) => {
                let query = self.query(query)?;
                let columns = query.columns.clone();
                Ok((Body::Query(Box::new(query)), columns))
            }
            ast::SetExpr::Values(values) => self.values(values),
            ast::SetExpr::SetOperation {
                op,
                set_quantifier,
                left,
                right,
            } => self.set_operation(*op, *set_quantifier, left, right),
            ast::SetExpr::Table(table) => {
                let mut name = Vec::new();
                name.extend(table.schema_name.as_deref().map(ast::Ident::new));
                name.extend(table.table_name.as_deref().map(ast::Ident::new));
                let (select, columns) = self.table_command(ast::ObjectName::from(name))?;
                Ok((Body::Select(Box::new(select)), columns))
            }
            other => Err(CatalogError::unsupported(format!("{other}"))),
        }
    }

    fn values(&mut self, values: &ast::Values) -> Result<(Body, Vec<OutputColumn>)> {
        let mut rows = Vec::new();
        for row in &values.rows {
            rows.push(
                row.content
                    .iter()
                    .map(|e| self.placed(Place::Values, |b| b.expr(e)))
                    .collect::<Result<Vec<_>>>()?,
            );
        }
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|r| r.len() != width) {
            return Err(CatalogError::new(
                "42601",
                "VALUES lists must all be the same length",
            ));
        }
        let mut columns = Vec::new();
        for i in 0..width {
            let types: Vec<u32> = rows.iter().map(|r| r[i].ty).collect();
            let ty = if types.iter().all(|t| *t == oid::UNKNOWN) {
                oid::UNKNOWN
            } else {
                self.common(&types, "VALUES")?
            };
            for row in &mut rows {
                let taken =
                    std::mem::replace(&mut row[i], Expr::constant(Value::Null, oid::UNKNOWN));
                row[i] = if ty == oid::UNKNOWN {
                    taken
                } else {
                    self.coerce(taken, ty, Freedom::Implicit)?
                };
            }
            columns.push(OutputColumn {
                name: format!("column{}", i + 1),
                ty,
                typmod: -1,
                fields: None,
                origin: None,
            });
        }
        Ok((Body::Values(rows), columns))
    }

    fn set_operation(
        &mut self,
        op: ast::SetOperator,
        quantifier: ast::SetQuantifier,
        left: &ast::SetExpr,
        right: &ast::SetExpr,
    ) -> Result<(Body, Vec<OutputColumn>)> {
        let (op, name) = match op {
            ast::SetOperator::Union => (SetOp::Union, "UNION"),
            ast::SetOperator::Intersect => (SetOp::Intersect, "INTERSECT"),
            ast::SetOperator::Except | ast::SetOperator::Minus => (SetOp::Except, "EXCEPT"),
        };
        let (mut left, mut columns) = self.body(left)?;
        let (mut right, others) = self.body(right)?;
        if columns.len() != others.len() {
            return Err(CatalogError::new(
                "42601",
                format!("each {name} query must have the same number of columns"),
            ));
        }
        for (column, other) in columns.iter_mut().zip(&others) {
            column.ty = self.common(&[column.ty, other.ty], name)?;
            // Rows of two queries are of neither's table.
            column.origin = None;
            if column.typmod != other.typmod {
                column.typmod = -1;
            }
        }
        let types: Vec<u32> = columns.iter().map(|c| c.ty).collect();
        self.coerce_body(&mut left, &types)?;
        self.coerce_body(&mut right, &types)?;
        Ok((
            Body::Set {
                op,
                all: quantifier == ast::SetQuantifier::All,
                left: Box::new(left),
                right: Box::new(right),
            },
            columns,
        ))
    }

    pub(super) fn common(&self, types: &[u32], what: &str) -> Result<u32> {
        resolve::common_type(types).ok_or_else(|| {
            let mut names: Vec<String> = types
                .iter()
                .filter(|t| **t != oid::UNKNOWN)
                .map(|t| self.model.type_name(*t))
                .collect();
            names.dedup();
            CatalogError::new(
                "42804",
                format!(
                    "{what} types {} and {} cannot be matched",
                    names.first().map_or("unknown", String::as_str),
                    names.get(1).map_or("unknown", String::as_str)
                ),
            )
        })
    }

    pub(super) fn coerce_query(&mut self, query: &mut Query, types: &[u32]) -> Result<()> {
        self.coerce_body(&mut query.body, types)?;
        for (column, ty) in query.columns.iter_mut().zip(types) {
            if column.ty != *ty {
                column.ty = *ty;
                column.typmod = -1;
            }
        }
        Ok(())
    }

    /// Makes a body give the wanted column types.
    fn coerce_body(&mut self, body: &mut Body, types: &[u32]) -> Result<()> {
        match body {
            Body::Select(select) => {
                for (expr, ty) in select.outputs.iter_mut().zip(types) {
                    self.coerce_in_place(expr, *ty)?;
                }
            }
            Body::Values(rows) => {
                for row in rows {
                    for (expr, ty) in row.iter_mut().zip(types) {
                        self.coerce_in_place(expr, *ty)?;
                    }
                }
            }
            Body::Query(query) => self.coerce_query(query, types)?,
            Body::Set { left, right, .. } => {
                self.coerce_body(left, types)?;
                self.coerce_body(right, types)?;
            }
        }
        Ok(())
    }

    fn coerce_in_place(&mut self, expr: &mut Expr, ty: u32) -> Result<()> {
        if expr.ty != ty {
            let taken = std::mem::replace(expr, Expr::constant(Value::Null, ty));
            *expr = self.coerce(taken, ty, Freedom::Implicit)?;
        }
        Ok(())
    }

    /// Coerces an expression to a type; constants and parameters of unknown type are read as that type.
    pub(super) fn coerce(&mut self, mut expr: Expr, to: u32, freedom: Freedom) -> Result<Expr> {
        if expr.ty == to || matches!(to, oid::ANY) || resolve::is_polymorphic(to) {
            return Ok(expr);
        }
        if expr.ty == oid::UNKNOWN {
            match &expr.kind {
                Kind::Const(Value::Null) => {
                    return Ok(Expr::constant(Value::Null, to));
                }
                Kind::Const(Value::Text(text)) => {
                    let value = super::convert::input(self.model, self.session, text, to)?;
                    return Ok(Expr::constant(value, to));
                }
                Kind::Param(i) => {
                    let i = *i;
                    if self.params[i] == oid::UNKNOWN {
                        self.params[i] = to;
                    }
                    expr.ty = self.params[i];
                    return self.coerce(expr, to, freedom);
                }
                _ => {
                    return Ok(Expr::new(
                        Kind::Cast {
                            input: Box::new(Expr {
                                ty: oid::TEXT,
                                ..expr
                            }),
                            explicit: true,
                        },
                        to,
                    ));
                }
            }
        }
        if !resolve::can_coerce(expr.ty, to, freedom) {
            let verb = if freedom == Freedom::Explicit {
                "cannot cast type"
            } else {
                "cannot convert type"
            };
            return Err(CatalogError::new(
                "42846",
                format!(
                    "{verb} {} to {}",
                    self.model.type_name(expr.ty),
                    self.model.type_name(to)
                ),
            ));
        }
        let fields = expr.fields.clone();
        if base_type(expr.ty) == base_type(to) {
            expr.ty = to;
            return Ok(expr);
        }
        Ok(Expr {
            kind: Kind::Cast {
                input: Box::new(expr),
                explicit: freedom == Freedom::Explicit,
            },
            ty: to,
            typmod: -1,
            fields,
        })
    }

    pub(super) fn condition(&mut self, expr: &ast::Expr, clause: &str) -> Result<Expr> {
        let bound = self.expr(expr)?;
        self.boolean(bound, clause)
    }

    pub(super) fn boolean(&mut self, bound: Expr, clause: &str) -> Result<Expr> {
        if bound.ty == oid::UNKNOWN || bound.ty == oid::BOOL || base_type(bound.ty) == oid::BOOL {
            return self.coerce(bound, oid::BOOL, Freedom::Implicit);
        }
        Err(CatalogError::new(
            "42804",
            format!(
                "argument of {clause} must be type boolean, not type {}",
                self.model.type_name(bound.ty)
            ),
        ))
    }

    /// Position of a CTE: frames up and index.
    pub(super) fn find_cte(&self, name: &str) -> Option<(usize, usize)> {
        self.scopes.iter().rev().enumerate().find_map(|(depth, s)| {
            s.ctes
                .iter()
                .rposition(|c| c.name == name)
                .map(|i| (depth, i))
        })
    }
}

fn order_expressions(order: Option<&ast::OrderBy>) -> Result<Vec<&ast::OrderByExpr>> {
    match order.map(|o| &o.kind) {
        None => Ok(Vec::new()),
        Some(ast::OrderByKind::Expressions(list)) => Ok(list.iter().collect()),
        Some(ast::OrderByKind::All(_)) => Err(CatalogError::unsupported("ORDER BY ALL")),
    }
}

pub(super) fn direction(options: &ast::OrderByOptions) -> Direction {
    let descending = options.asc == Some(false);
    Direction {
        descending,
        nulls_first: options.nulls_first.unwrap_or(descending),
    }
}

fn output_order(order: &ast::OrderByExpr, columns: &[OutputColumn]) -> Result<(usize, Direction)> {
    let bad = || {
        CatalogError::new("0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause")
            .hint("Only result column names can be used, not expressions or functions.")
    };
    let at = match &order.expr {
        ast::Expr::Identifier(ident) => columns
            .iter()
            .position(|c| c.name == fold(ident))
            .ok_or_else(bad)?,
        ast::Expr::Value(v) => match &v.value {
            ast::Value::Number(n, _) => ordinal(n, columns.len())?,
            _ => return Err(bad()),
        },
        _ => return Err(bad()),
    };
    Ok((at, direction(&order.options)))
}

pub(super) fn ordinal(text: &str, width: usize) -> Result<usize> {
    text.parse::<usize>()
        .ok()
        .filter(|n| (1..=width).contains(n))
        .map(|n| n - 1)
        .ok_or_else(|| {
            CatalogError::new(
                "42P10",
                format!("ORDER BY position {text} is not in select list"),
            )
        })
}

/// An identifier as PostgreSQL folds it.
pub(crate) fn fold(ident: &ast::Ident) -> String {
    if ident.quote_style.is_some() {
        ident.value.clone()
    } else {
        ident.value.to_lowercase()
    }
}

/// The parts of a dotted name, folded; the database name in front is dropped.
pub(crate) fn name_parts(name: &ast::ObjectName, database: &str) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    for part in &name.0 {
        match part {
            ast::ObjectNamePart::Identifier(ident) => parts.push(fold(ident)),
            ast::ObjectNamePart::Function(_) => {
                return Err(CatalogError::unsupported(format!("name {name}")));
            }
        }
    }
    if parts.len() == 3 {
        if parts[0] != database {
            return Err(CatalogError::new(
                "0A000",
                format!(
                    "cross-database references are not implemented: \"{}\"",
                    parts.join(".")
                ),
            ));
        }
        parts.remove(0);
    }
    Ok(parts)
}

pub(super) fn renamed(
    columns: &[OutputColumn],
    alias: &ast::TableAlias,
    name: &str,
) -> Result<Vec<OutputColumn>> {
    if alias.columns.len() > columns.len() {
        return Err(CatalogError::new(
            "42P10",
            format!(
                "table \"{name}\" has {} columns available but {} columns specified",
                columns.len(),
                alias.columns.len()
            ),
        ));
    }
    let mut columns = columns.to_vec();
    for (column, alias) in columns.iter_mut().zip(&alias.columns) {
        column.name = fold(&alias.name);
    }
    Ok(columns)
}

/// Whether a query names a relation `name` anywhere.
fn mentions(query: &ast::Query, name: &str) -> bool {
    let mut found = HashSet::new();
    let _ = ast::visit_relations(query, |relation| {
        if let [ast::ObjectNamePart::Identifier(ident)] = relation.0.as_slice() {
            found.insert(fold(ident));
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
    found.contains(name)
}

/// Sort keys of an aggregate or a window.
pub(super) fn sort_keys(
    binder: &mut Binder<'_>,
    order: &[ast::OrderByExpr],
) -> Result<Vec<SortKey>> {
    order
        .iter()
        .map(|o| {
            let bound = binder.expr(&o.expr)?;
            let expr = if bound.ty == oid::UNKNOWN {
                binder.coerce(bound, oid::TEXT, Freedom::Implicit)?
            } else {
                bound
            };
            Ok(SortKey {
                expr,
                direction: direction(&o.options),
            })
        })
        .collect()
}

pub(super) fn record_fields(names: Vec<(String, u32)>) -> Option<Fields> {
    Some(Arc::new(names))
}
