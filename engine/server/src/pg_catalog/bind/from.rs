//! FROM clauses: tables, CTEs, sub-selects, functions and joins, and where predicates are applied.

use datafusion::sql::sqlparser::ast;

use super::places::Place;
use super::{Binder, Item, ItemColumn, fold, name_parts, renamed};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::gives_values;
use crate::pg_catalog::plan::{
    Expr, FunctionCall, Join, JoinKind, Kind, OutputColumn, Reference, Rel, Scan, Source,
    references, source_references,
};
use crate::pg_catalog::resolve::Freedom;
use crate::pg_types::oid;
use crate::session::statement::joins::name_of_join;

impl Binder<'_> {
    /// Binds the FROM list into the current scope.
    pub(super) fn bind_from(&mut self, from: &[ast::TableWithJoins]) -> Result<Rel> {
        let mut rel = Rel::Unit;
        for item in from {
            let next = self.table_with_joins(item)?;
            rel = match rel {
                Rel::Unit => next,
                left => joined(left, next, JoinKind::Inner, Vec::new()),
            };
        }
        Ok(rel)
    }

    fn table_with_joins(&mut self, item: &ast::TableWithJoins) -> Result<Rel> {
        let first = self.scope()?.items.len();
        let mut rel = self.table_factor(&item.relation)?;
        for join in &item.joins {
            let middle = self.scope()?.items.len();
            let right = self.table_factor(&join.relation)?;
            rel = self.join(rel, right, &join.join_operator, first, middle)?;
        }
        Ok(rel)
    }

    fn join(
        &mut self,
        left: Rel,
        right: Rel,
        operator: &ast::JoinOperator,
        first: usize,
        middle: usize,
    ) -> Result<Rel> {
        use ast::JoinOperator as J;
        let (kind, swap, constraint) = match operator {
            J::Join(c) | J::Inner(c) | J::CrossJoin(c) => (JoinKind::Inner, false, c),
            J::Left(c) | J::LeftOuter(c) => (JoinKind::Left, false, c),
            J::Right(c) | J::RightOuter(c) => (JoinKind::Left, true, c),
            J::FullOuter(c) => (JoinKind::Full, false, c),
            other => return Err(CatalogError::unsupported(format!("join {other:?}"))),
        };
        let conditions = match constraint {
            ast::JoinConstraint::On(on) => {
                conjuncts(self.placed(Place::Join, |b| b.condition(on, "JOIN/ON"))?)
            }
            ast::JoinConstraint::Using(names) => {
                let names = names
                    .iter()
                    .map(|n| name_parts(n, &self.model.database).map(|p| p.join(".")))
                    .collect::<Result<Vec<_>>>()?;
                if names.iter().any(|name| name_of_join(name).is_some()) {
                    let what = "the name of a join by columns";
                    return Err(CatalogError::unsupported(what));
                }
                self.using(&names, first, middle, swap)?
            }
            ast::JoinConstraint::Natural => {
                let items = &self.scope()?.items;
                let names: Vec<String> = items[first..middle]
                    .iter()
                    .flat_map(|i| &i.columns)
                    .filter(|c| {
                        !c.merged
                            && items[middle..]
                                .iter()
                                .flat_map(|i| &i.columns)
                                .any(|o| o.name == c.name)
                    })
                    .map(|c| c.name.clone())
                    .collect();
                self.using(&names, first, middle, swap)?
            }
            ast::JoinConstraint::None => Vec::new(),
        };
        Ok(if swap {
            joined(right, left, kind, conditions)
        } else {
            joined(left, right, kind, conditions)
        })
    }

    /// Equalities of USING columns; the side that may be missing hides its column.
    fn using(
        &mut self,
        names: &[String],
        first: usize,
        middle: usize,
        swap: bool,
    ) -> Result<Vec<Expr>> {
        let mut conditions = Vec::new();
        for name in names {
            let scope = self.scope()?;
            let find = |items: &[Item], base: usize| {
                items.iter().enumerate().find_map(|(i, item)| {
                    item.columns
                        .iter()
                        .position(|c| c.name == *name && !c.merged)
                        .map(|c| (base + i, c))
                })
            };
            let missing = |side: &str| {
                CatalogError::new(
                    "42703",
                    format!(
                        "column \"{name}\" specified in USING clause does not exist in {side} table"
                    ),
                )
            };
            let left = find(&scope.items[first..middle], first).ok_or_else(|| missing("left"))?;
            let right = find(&scope.items[middle..], middle).ok_or_else(|| missing("right"))?;
            let expr = |(item, col): (usize, usize)| {
                let column = &scope.items[item].columns[col];
                Expr {
                    kind: Kind::Column {
                        depth: 0,
                        slot: scope.items[item].slot,
                        col,
                    },
                    ty: column.ty,
                    typmod: column.typmod,
                    fields: None,
                }
            };
            let (l, r) = (expr(left), expr(right));
            let hidden = if swap { left } else { right };
            scope.items[hidden.0].columns[hidden.1].merged = true;
            conditions.push(self.operator("=", Some(l), r)?);
        }
        Ok(conditions)
    }

    fn new_slot(&mut self) -> Result<usize> {
        let scope = self.scope()?;
        scope.slots += 1;
        Ok(scope.slots - 1)
    }

    fn add(
        &mut self,
        source: Source,
        columns: Vec<OutputColumn>,
        alias: String,
        schema: Option<String>,
        relation: Option<u32>,
        scalar: bool,
    ) -> Result<Rel> {
        let slot = self.new_slot()?;
        let mut lateral = false;
        source_references(&source, 0, &mut |Reference { depth, slot, .. }| {
            lateral |= depth == 0 && slot.is_some()
        });
        let columns = columns
            .into_iter()
            .map(|c| ItemColumn {
                name: c.name,
                ty: c.ty,
                typmod: c.typmod,
                fields: c.fields,
                origin: c.origin,
                merged: false,
            })
            .collect();
        let scope = self.scope()?;
        if scope
            .items
            .iter()
            .any(|i| i.alias == alias && i.schema == schema)
        {
            return Err(CatalogError::new(
                "42712",
                format!("table name \"{alias}\" specified more than once"),
            ));
        }
        scope.items.push(Item {
            alias,
            schema,
            slot,
            columns,
            relation,
            scalar,
        });
        Ok(Rel::Scan(Scan {
            slot,
            source,
            lateral,
            probe: None,
            probed: None,
            filters: Vec::new(),
        }))
    }

    fn table_factor(&mut self, factor: &ast::TableFactor) -> Result<Rel> {
        self.nested(|b| b.table_factor_inner(factor))
    }

    fn table_factor_inner(&mut self, factor: &ast::TableFactor) -> Result<Rel> {
        match factor {
            ast::TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => self.table(name, alias.as_ref()),
            ast::TableFactor::Table {
                name,
                alias,
                args: Some(args),
                with_ordinality,
                ..
            } => self.function_item(name, &args.args, *with_ordinality, alias.as_ref()),
            ast::TableFactor::Function {
                name,
                args,
                with_ordinality,
                alias,
                ..
            } => self.function_item(name, args, *with_ordinality, alias.as_ref()),
            ast::TableFactor::UNNEST {
                alias,
                array_exprs,
                with_ordinality,
                ..
            } => {
                let mut calls = Vec::new();
                for array in array_exprs {
                    let array = self.placed(Place::FromFunction, |b| b.expr(array))?;
                    calls.push(self.call("unnest", vec![array], false)?);
                }
                self.functions(calls, "unnest", *with_ordinality, alias.as_ref())
            }
            ast::TableFactor::Derived {
                lateral,
                subquery,
                alias,
                ..
            } => self.derived(*lateral, subquery, alias.as_ref()),
            ast::TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => self.table_with_joins(table_with_joins),
            ast::TableFactor::TableFunction { expr, alias } => {
                let bound = self.expr(expr)?;
                self.functions(vec![bound], "table", false, alias.as_ref())
            }
            other => Err(CatalogError::unsupported(format!("FROM item {other}"))),
        }
    }

    pub(super) fn table(
        &mut self,
        name: &ast::ObjectName,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Rel> {
        let parts = name_parts(name, &self.model.database)?;
        let (schema, table) = match parts.as_slice() {
            [table] => (None, table.clone()),
            [schema, table] => (Some(schema.clone()), table.clone()),
            _ => {
                return Err(CatalogError::new(
                    "42601",
                    format!("improper qualified name (too many dotted names): {name}"),
                ));
            }
        };
        let shown = alias.map_or_else(|| table.clone(), |a| fold(&a.name));
        if schema.is_none()
            && let Some((depth, index)) = self.find_cte(&table)
        {
            let columns = self.scopes[self.scopes.len() - 1 - depth].ctes[index]
                .columns
                .clone();
            let columns = apply_alias(columns, alias, &shown)?;
            return self.add(
                Source::Cte { depth, index },
                columns,
                shown,
                None,
                None,
                false,
            );
        }
        let relation = self
            .model
            .find_relation(schema.as_deref(), &table, &self.session.search_path)
            .ok_or_else(|| {
                let error = CatalogError::new(
                    "42P01",
                    format!("relation \"{}\" does not exist", parts.join(".")),
                );
                match name.0.first() {
                    Some(ast::ObjectNamePart::Identifier(ident)) => error.at(ident.span),
                    _ => error,
                }
            })?;
        let columns = relation
            .columns
            .iter()
            .zip(1..)
            .map(|(c, number)| OutputColumn {
                name: c.name.clone(),
                ty: c.ty,
                typmod: c.typmod,
                fields: None,
                origin: Some((relation.oid, number)),
            })
            .collect();
        let columns = apply_alias(columns, alias, &shown)?;
        let schema = alias.is_none().then(|| relation.schema.clone());
        let oid = relation.oid;
        self.add(Source::Table(oid), columns, shown, schema, Some(oid), false)
    }

    fn derived(
        &mut self,
        lateral: bool,
        subquery: &ast::Query,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Rel> {
        let before = std::mem::replace(&mut self.scope()?.hidden, !lateral);
        let bound = self.query(subquery);
        self.scope()?.hidden = before;
        let query = self.typed(bound?)?;
        let shown = alias.map_or_else(
            || {
                format!(
                    "unnamed_subquery_{}",
                    self.scopes.last().map_or(0, |s| s.slots)
                )
            },
            |a| fold(&a.name),
        );
        let columns = apply_alias(query.columns.clone(), alias, &shown)?;
        self.add(
            Source::Query(Box::new(query)),
            columns,
            shown,
            None,
            None,
            false,
        )
    }

    fn function_item(
        &mut self,
        name: &ast::ObjectName,
        args: &[ast::FunctionArg],
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Rel> {
        let parts = name_parts(name, &self.model.database)?;
        let last = parts.last().cloned().unwrap_or_default();
        if last == "rows from" || last == "rows" {
            return Err(CatalogError::unsupported("ROWS FROM"));
        }
        let mut bound = Vec::new();
        for arg in args {
            match arg {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(e))
                | ast::FunctionArg::Named {
                    arg: ast::FunctionArgExpr::Expr(e),
                    ..
                } => bound.push(self.placed(Place::FromFunction, |b| b.expr(e))?),
                other => return Err(CatalogError::unsupported(format!("argument {other}"))),
            }
        }
        // unnest with several arrays is the parallel form.
        let calls = if last == "unnest" && bound.len() > 1 {
            bound
                .into_iter()
                .map(|a| self.call("unnest", vec![a], false))
                .collect::<Result<Vec<_>>>()?
        } else {
            vec![self.qualified_call(&parts, bound, false)?]
        };
        self.functions(calls, &last, ordinality, alias)
    }

    fn functions(
        &mut self,
        calls: Vec<Expr>,
        name: &str,
        ordinality: bool,
        alias: Option<&ast::TableAlias>,
    ) -> Result<Rel> {
        let shown = alias.map_or_else(|| name.to_owned(), |a| fold(&a.name));
        let mut columns: Vec<OutputColumn> = Vec::new();
        let mut bound = Vec::new();
        let only = calls.len() == 1;
        let mut scalar = false;
        for call in calls {
            match call.fields.clone() {
                Some(fields) => {
                    columns.extend(fields.iter().map(|(n, t)| OutputColumn {
                        name: n.clone(),
                        ty: *t,
                        typmod: -1,
                        fields: None,
                        origin: None,
                    }));
                    bound.push(FunctionCall {
                        width: fields.len(),
                        spread: true,
                        expr: call,
                    });
                }
                None => {
                    scalar = only;
                    let column = if gives_values(name) {
                        "value".to_owned()
                    } else if only && alias.is_some() {
                        shown.clone()
                    } else {
                        name.to_owned()
                    };
                    columns.push(OutputColumn {
                        name: column,
                        ty: call.ty,
                        typmod: -1,
                        fields: None,
                        origin: None,
                    });
                    bound.push(FunctionCall {
                        width: 1,
                        spread: false,
                        expr: call,
                    });
                }
            }
        }
        if ordinality {
            columns.push(OutputColumn {
                name: "ordinality".to_owned(),
                ty: oid::INT8,
                typmod: -1,
                fields: None,
                origin: None,
            });
        }
        let columns = apply_alias(columns, alias, &shown)?;
        self.add(
            Source::Functions {
                calls: bound,
                ordinality,
            },
            columns,
            shown,
            None,
            None,
            scalar,
        )
    }

    pub(super) fn operator(&mut self, name: &str, left: Option<Expr>, right: Expr) -> Result<Expr> {
        let chosen =
            crate::pg_catalog::resolve::operator(name, left.as_ref().map(|l| l.ty), right.ty);
        let Some((_, signature)) = chosen else {
            return Err(self.no_operator(name, left.as_ref(), &right));
        };
        let mut args = Vec::new();
        for (arg, ty) in left.into_iter().chain([right]).zip(&signature.arguments) {
            args.push(self.coerce(arg, *ty, Freedom::Implicit)?);
        }
        Ok(Expr::new(
            Kind::Operator {
                name: name.to_owned(),
                args,
            },
            signature.result,
        ))
    }

    fn no_operator(&self, name: &str, left: Option<&Expr>, right: &Expr) -> CatalogError {
        let shown = match left {
            Some(l) => format!(
                "{} {name} {}",
                self.model.type_name(l.ty),
                self.model.type_name(right.ty)
            ),
            None => format!("{name} {}", self.model.type_name(right.ty)),
        };
        CatalogError::new("42883", format!("operator does not exist: {shown}"))
            .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
    }
}

fn apply_alias(
    columns: Vec<OutputColumn>,
    alias: Option<&ast::TableAlias>,
    name: &str,
) -> Result<Vec<OutputColumn>> {
    match alias {
        Some(alias) => renamed(&columns, alias, name),
        None => Ok(columns),
    }
}

/// Splits a condition at its ANDs.
pub(super) fn conjuncts(expr: Expr) -> Vec<Expr> {
    match expr.kind {
        Kind::And(a, b) => {
            let mut out = conjuncts(*a);
            out.extend(conjuncts(*b));
            out
        }
        kind => vec![Expr { kind, ..expr }],
    }
}

pub(super) fn own_slots(expr: &Expr) -> Vec<usize> {
    let mut slots = Vec::new();
    references(expr, 0, &mut |Reference { depth, slot, .. }| {
        if depth == 0
            && let Some(slot) = slot
            && !slots.contains(&slot)
        {
            slots.push(slot);
        }
    });
    slots
}

pub(super) fn within(slots: &[usize], rel: &Rel) -> bool {
    let mut own = Vec::new();
    rel.slots(&mut own);
    slots.iter().all(|s| own.contains(s))
}

/// Whether evaluating it early or more often could be noticed.
pub(super) fn movable(expr: &Expr) -> bool {
    let mut ok = match &expr.kind {
        Kind::Call { function, .. } => function.volatility != 'v',
        Kind::Aggregate(_) | Kind::Window(_) | Kind::SetReturning(_) => false,
        _ => true,
    };
    crate::pg_catalog::plan::children(expr, &mut |e| ok &= movable(e));
    ok
}

pub(super) fn joined(left: Rel, right: Rel, kind: JoinKind, conditions: Vec<Expr>) -> Rel {
    let mut join = Join {
        left,
        right,
        kind,
        on: Vec::new(),
        filters: Vec::new(),
        lateral: false,
        hash: None,
    };
    for condition in conditions {
        place_condition(&mut join, condition);
    }
    Rel::Join(Box::new(join))
}

/// Puts a join condition where it filters earliest.
fn place_condition(join: &mut Join, condition: Expr) {
    let slots = own_slots(&condition);
    if movable(&condition) {
        // The right side of an inner or left join may be filtered by ON, even with what the left side gives.
        if join.kind != JoinKind::Full && within(&slots, &join.right) {
            return push(&mut join.right, condition);
        }
        if join.kind == JoinKind::Inner && within(&slots, &join.left) {
            return push(&mut join.left, condition);
        }
        if join.kind != JoinKind::Full
            && let Rel::Scan(scan) = &mut join.right
            && scan.probe.is_none()
            && matches!(scan.source, Source::Table(_))
            && let Some(probe) = as_probe(&condition, scan.slot)
        {
            scan.probe = Some(probe);
            scan.probed = Some(condition);
            scan.lateral = true;
            return;
        }
    }
    if join.hash.is_none()
        && let Some((a, b)) = equality(&condition)
    {
        let (sa, sb) = (own_slots(a), own_slots(b));
        if !sa.is_empty() && !sb.is_empty() {
            if within(&sa, &join.left) && within(&sb, &join.right) {
                join.hash = Some((a.clone(), b.clone()));
                return;
            }
            if within(&sb, &join.left) && within(&sa, &join.right) {
                join.hash = Some((b.clone(), a.clone()));
                return;
            }
        }
    }
    join.on.push(condition);
}

/// Both sides of `a = b` when equal keys mean equal values.
pub(super) fn equality(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match &expr.kind {
        Kind::Operator { name, args } if name == "=" => match args.as_slice() {
            [a, b] if a.ty != oid::BPCHAR => Some((a, b)),
            _ => None,
        },
        _ => None,
    }
}

/// `slot.column = expression without the slot`.
pub(super) fn as_probe(expr: &Expr, slot: usize) -> Option<(usize, Expr)> {
    let (a, b) = equality(expr)?;
    let column = |e: &Expr| match &e.kind {
        Kind::Column {
            depth: 0,
            slot: s,
            col,
        } if *s == slot => Some(*col),
        _ => None,
    };
    if let Some(col) = column(a)
        && !own_slots(b).contains(&slot)
    {
        return Some((col, b.clone()));
    }
    match column(b) {
        Some(col) if !own_slots(a).contains(&slot) => Some((col, a.clone())),
        _ => None,
    }
}

/// Applies a WHERE conjunct as far down as it may go.
pub(super) fn push(rel: &mut Rel, condition: Expr) {
    match rel {
        Rel::Unit => {}
        Rel::Scan(scan) => {
            if scan.probe.is_none()
                && matches!(scan.source, Source::Table(_))
                && let Some(probe) = as_probe(&condition, scan.slot)
            {
                let mut sibling = false;
                references(&probe.1, 0, &mut |Reference { depth, slot, .. }| {
                    sibling |= depth == 0 && slot.is_some()
                });
                scan.lateral |= sibling;
                scan.probe = Some(probe);
                scan.probed = Some(condition);
            } else {
                scan.filters.push(condition);
            }
        }
        Rel::Join(join) => {
            let slots = own_slots(&condition);
            if slots.is_empty() || !movable(&condition) {
                join.filters.push(condition);
            } else if join.kind != JoinKind::Full && within(&slots, &join.left) {
                push(&mut join.left, condition);
            } else if join.kind == JoinKind::Inner {
                place_condition(join, condition);
            } else {
                join.filters.push(condition);
            }
        }
    }
}

/// Applies a WHERE conjunct to a FROM clause, or hands it back when there is none.
pub(super) fn push_filter(rel: &mut Rel, condition: Expr) -> Option<Expr> {
    if matches!(rel, Rel::Unit) || own_slots(&condition).is_empty() || !movable(&condition) {
        return Some(condition);
    }
    push(rel, condition);
    None
}
