//! SELECT: output columns and their names, grouping, ordering.

use datafusion::sql::sqlparser::ast;

use super::grouping::{check_distinct, check_distinct_on, check_groups, sets_of};
use super::places::Place;
use super::{Binder, Scope, direction, fold, ordinal, sort_keys};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{
    Distinct, Expr, Kind, Origin, OutputColumn, Rel, Select, SortKey, children,
};
use crate::pg_catalog::resolve::Freedom;
use crate::pg_catalog::value::Value;
use crate::pg_types::oid;

impl Binder<'_> {
    /// Binds a SELECT with the ORDER BY of the query it is the body of.
    pub(super) fn select(
        &mut self,
        select: &ast::Select,
        order_by: Vec<&ast::OrderByExpr>,
    ) -> Result<(Select, Vec<OutputColumn>)> {
        self.scopes.push(Scope {
            named_windows: select.named_window.clone(),
            ..Scope::default()
        });
        let bound = self.nested(|b| b.select_in_scope(select, &order_by));
        self.scopes.pop();
        bound
    }

    /// `TABLE name`.
    pub(super) fn table_command(
        &mut self,
        name: ast::ObjectName,
    ) -> Result<(Select, Vec<OutputColumn>)> {
        self.scopes.push(Scope::default());
        let bound = self.table(&name, None).and_then(|from| {
            let (outputs, columns) = self.wildcard(None)?.into_iter().unzip();
            let slots = self.scope()?.slots;
            Ok((plain_select(from, slots, outputs), columns))
        });
        self.scopes.pop();
        bound
    }

    fn select_in_scope(
        &mut self,
        select: &ast::Select,
        order_by: &[&ast::OrderByExpr],
    ) -> Result<(Select, Vec<OutputColumn>)> {
        if select.into.is_some() || select.qualify.is_some() || select.top.is_some() {
            return Err(CatalogError::unsupported("this form of SELECT"));
        }
        let mut from = self.bind_from(&select.from)?;
        let mut filters = Vec::new();
        if let Some(selection) = &select.selection {
            let condition = self.placed(Place::Where, |b| b.condition(selection, "WHERE"))?;
            for conjunct in super::from::conjuncts(condition) {
                filters.extend(super::from::push_filter(&mut from, conjunct));
            }
        }
        let mut from = super::order::ordered(from);
        from.finish();
        let (mut outputs, columns) = self.projection(&select.projection)?;
        let group_by = self.placed(Place::GroupBy, |b| {
            b.group_by(&select.group_by, &select.projection, &mut outputs, &columns)
        })?;
        let having = match &select.having {
            Some(having) => Some(self.placed(Place::Having, |b| b.condition(having, "HAVING"))?),
            None => None,
        };
        let distinct = match &select.distinct {
            None | Some(ast::Distinct::All) => Distinct::No,
            Some(ast::Distinct::Distinct) => Distinct::All,
            Some(ast::Distinct::On(exprs)) => Distinct::On(
                exprs
                    .iter()
                    .map(|e| self.output_reference(e, &outputs, &columns))
                    .collect::<Result<_>>()?,
            ),
        };
        let mut order = Vec::new();
        for key in order_by {
            let expr = self.output_reference(&key.expr, &outputs, &columns)?;
            order.push(SortKey {
                expr,
                direction: direction(&key.options),
            });
        }
        let mut scope = std::mem::take(self.scope()?);
        let group_by = match (group_by, scope.aggregates.is_empty() && having.is_none()) {
            (Some(keys), _) => Some(keys),
            (None, false) => Some(Vec::new()),
            (None, true) => None,
        };
        let set_returning = std::mem::take(&mut scope.set_returning);
        let bound = Select {
            from,
            slots: scope.slots,
            filters,
            grouped_sets: sets_of(group_by.as_deref().unwrap_or_default(), &set_returning),
            group_by,
            having,
            aggregates: std::mem::take(&mut scope.aggregates),
            windows: std::mem::take(&mut scope.windows),
            set_returning,
            outputs,
            distinct,
            order,
        };
        check(&scope, &bound, select, order_by)?;
        Ok((bound, columns))
    }

    fn projection(&mut self, items: &[ast::SelectItem]) -> Result<(Vec<Expr>, Vec<OutputColumn>)> {
        let mut out = Vec::new();
        for item in items {
            match item {
                ast::SelectItem::UnnamedExpr(ast::Expr::CompoundFieldAccess {
                    root,
                    access_chain,
                }) if is_star(access_chain) => out.extend(self.spread_record(root)?),
                ast::SelectItem::UnnamedExpr(expr) => {
                    let name = column_name(expr);
                    out.push(named(self.expr(expr)?, name));
                }
                ast::SelectItem::ExprWithAlias { expr, alias } => {
                    let name = fold(alias);
                    out.push(named(self.expr(expr)?, name));
                }
                ast::SelectItem::Wildcard(_) => out.extend(self.wildcard(None)?),
                ast::SelectItem::QualifiedWildcard(
                    ast::SelectItemQualifiedWildcardKind::ObjectName(name),
                    _,
                ) => out.extend(self.wildcard(Some(name))?),
                ast::SelectItem::QualifiedWildcard(
                    ast::SelectItemQualifiedWildcardKind::Expr(expr),
                    _,
                ) => out.extend(self.spread_record(expr)?),
                other => return Err(CatalogError::unsupported(format!("{other}"))),
            }
        }
        for (expr, column) in &mut out {
            column.origin = self.origin(expr);
        }
        Ok(out.into_iter().unzip())
    }

    /// The column of a relation that a plain reference shows.
    fn origin(&self, expr: &Expr) -> Option<Origin> {
        let Kind::Column { depth, slot, col } = expr.kind else {
            return None;
        };
        let scope = self.scopes.iter().rev().nth(depth)?;
        let item = scope.items.iter().find(|item| item.slot == slot)?;
        item.columns.get(col)?.origin
    }

    /// `(row).*`
    fn spread_record(&mut self, expr: &ast::Expr) -> Result<Vec<(Expr, OutputColumn)>> {
        let record = self.expr(expr)?;
        let fields = record.fields.clone().ok_or_else(|| {
            CatalogError::new(
                "42809",
                format!(
                    "column notation .* applied to type {}, which is not a composite type",
                    self.model.type_name(record.ty)
                ),
            )
        })?;
        Ok(fields
            .iter()
            .enumerate()
            .map(|(index, (name, ty))| {
                named(
                    Expr::new(
                        Kind::Field {
                            input: Box::new(record.clone()),
                            index,
                        },
                        *ty,
                    ),
                    name.clone(),
                )
            })
            .collect())
    }

    fn wildcard(
        &mut self,
        qualifier: Option<&ast::ObjectName>,
    ) -> Result<Vec<(Expr, OutputColumn)>> {
        let database = self.model.database.clone();
        let parts = match qualifier {
            Some(name) => super::name_parts(name, &database)?,
            None => Vec::new(),
        };
        let mut found = false;
        let mut out = Vec::new();
        for (depth, scope) in self.scopes.iter().rev().enumerate() {
            if scope.hidden || (qualifier.is_none() && depth > 0) {
                continue;
            }
            for item in &scope.items {
                let wanted = match parts.as_slice() {
                    [] => true,
                    [alias] => item.alias == *alias,
                    [schema, alias] => item.alias == *alias && item.schema.as_ref() == Some(schema),
                    _ => false,
                };
                if !wanted {
                    continue;
                }
                found = true;
                for (col, column) in item.columns.iter().enumerate() {
                    if qualifier.is_none() && column.merged {
                        continue;
                    }
                    let expr = Expr {
                        kind: Kind::Column {
                            depth,
                            slot: item.slot,
                            col,
                        },
                        ty: column.ty,
                        typmod: column.typmod,
                        fields: column.fields.clone(),
                    };
                    out.push(named(expr, column.name.clone()));
                }
            }
            if found {
                break;
            }
        }
        if !found {
            return Err(match qualifier {
                Some(name) => CatalogError::new(
                    "42P01",
                    format!("missing FROM-clause entry for table \"{name}\""),
                ),
                None => {
                    CatalogError::new("42601", "SELECT * with no tables specified is not valid")
                }
            });
        }
        Ok(out)
    }

    fn group_by(
        &mut self,
        clause: &ast::GroupByExpr,
        projection: &[ast::SelectItem],
        outputs: &mut [Expr],
        columns: &[OutputColumn],
    ) -> Result<Option<Vec<Expr>>> {
        let exprs = match clause {
            ast::GroupByExpr::Expressions(exprs, modifiers) if modifiers.is_empty() => exprs,
            _ => return Err(CatalogError::unsupported("this GROUP BY")),
        };
        if exprs.is_empty() {
            return Ok(None);
        }
        let aliases: Vec<Option<String>> = projection
            .iter()
            .map(|i| match i {
                ast::SelectItem::ExprWithAlias { alias, .. } => Some(fold(alias)),
                _ => None,
            })
            .collect();
        let mut keys = Vec::new();
        for expr in exprs {
            let key = match expr {
                ast::Expr::Value(v) => match &v.value {
                    ast::Value::Number(n, _) => {
                        outputs[ordinal(n, columns.len()).map_err(|_| {
                            CatalogError::new(
                                "42P10",
                                format!("GROUP BY position {n} is not in select list"),
                            )
                        })?]
                        .clone()
                    }
                    _ => self.expr(expr)?,
                },
                ast::Expr::Identifier(ident) => match self.expr(expr) {
                    Ok(bound) => bound,
                    Err(error) => {
                        let name = fold(ident);
                        match aliases.iter().position(|a| a.as_ref() == Some(&name)) {
                            Some(i) if i < outputs.len() => outputs[i].clone(),
                            _ => return Err(error),
                        }
                    }
                },
                ast::Expr::Rollup(_) | ast::Expr::Cube(_) | ast::Expr::GroupingSets(_) => {
                    return Err(CatalogError::unsupported("GROUPING SETS"));
                }
                _ => self.expr(expr)?,
            };
            // An output that is referred to may be computed from the groups.
            match computed_late(&key) {
                Some(Kind::Aggregate(_)) => Place::GroupBy.aggregate()?,
                Some(_) => Place::GroupBy.window()?,
                None => {}
            }
            keys.push(key);
        }
        Ok(Some(keys))
    }

    /// An ORDER BY or DISTINCT ON item: position, output name, or expression.
    fn output_reference(
        &mut self,
        expr: &ast::Expr,
        outputs: &[Expr],
        columns: &[OutputColumn],
    ) -> Result<Expr> {
        let at = match expr {
            ast::Expr::Identifier(ident) => {
                let name = fold(ident);
                columns.iter().position(|c| c.name == name)
            }
            ast::Expr::Value(v) => match &v.value {
                ast::Value::Number(n, _) => Some(ordinal(n, columns.len())?),
                _ => None,
            },
            _ => None,
        };
        let bound = match at {
            Some(i) => outputs[i].clone(),
            None => self.expr(expr)?,
        };
        if bound.ty == oid::UNKNOWN {
            self.coerce(bound, oid::TEXT, Freedom::Implicit)
        } else {
            Ok(bound)
        }
    }

    /// Sort keys of a window or an aggregate.
    pub(super) fn keys(&mut self, order: &[ast::OrderByExpr]) -> Result<Vec<SortKey>> {
        sort_keys(self, order)
    }
}

/// Refuses what groups and DISTINCT have no one value of.
fn check(
    scope: &Scope,
    bound: &Select,
    select: &ast::Select,
    order_by: &[&ast::OrderByExpr],
) -> Result<()> {
    let on = match &bound.distinct {
        Distinct::On(on) => on.as_slice(),
        Distinct::No | Distinct::All => &[],
    };
    check_groups(scope, bound, on)?;
    match (&bound.distinct, &select.distinct) {
        (Distinct::All, _) => check_distinct(&bound.outputs, &bound.order, order_by),
        (Distinct::On(on), Some(ast::Distinct::On(written))) => {
            check_distinct_on(on, written, &bound.order, order_by)
        }
        _ => Ok(()),
    }
}

/// The aggregate or window among what an expression is made of.
fn computed_late(expr: &Expr) -> Option<&Kind> {
    if matches!(expr.kind, Kind::Aggregate(_) | Kind::Window(_)) {
        return Some(&expr.kind);
    }
    let mut found = None;
    children(expr, &mut |part| {
        found = found.or_else(|| computed_late(part))
    });
    found
}

fn plain_select(from: Rel, slots: usize, outputs: Vec<Expr>) -> Select {
    Select {
        from,
        slots,
        filters: Vec::new(),
        group_by: None,
        having: None,
        aggregates: Vec::new(),
        windows: Vec::new(),
        set_returning: Vec::new(),
        grouped_sets: Vec::new(),
        outputs,
        distinct: Distinct::No,
        order: Vec::new(),
    }
}

fn named(expr: Expr, name: String) -> (Expr, OutputColumn) {
    let column = OutputColumn {
        name,
        ty: expr.ty,
        typmod: expr.typmod,
        fields: expr.fields.clone(),
        origin: None,
    };
    (expr, column)
}

/// The name PostgreSQL gives an output column without an alias.
pub(crate) fn column_name(expr: &ast::Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name and whether it is a strong one (a cast's type name is weak).
fn figure(expr: &ast::Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        ast::Expr::Identifier(ident) => Some((fold(ident), true)),
        ast::Expr::CompoundIdentifier(parts) => parts.last().map(|p| (fold(p), true)),
        ast::Expr::CompoundFieldAccess { root, access_chain } => access_chain
            .iter()
            .rev()
            .find_map(|a| match a {
                ast::AccessExpr::Dot(e) => figure(e),
                ast::AccessExpr::Subscript(_) => None,
            })
            .or_else(|| figure(root)),
        ast::Expr::JsonAccess { value, .. } => figure(value),
        ast::Expr::Nested(inner) | ast::Expr::Collate { expr: inner, .. } => figure(inner),
        ast::Expr::Function(function) => {
            let name = function.name.0.last().map(|p| match p {
                ast::ObjectNamePart::Identifier(i) => fold(i),
                ast::ObjectNamePart::Function(f) => fold(&f.name),
            })?;
            match name.as_str() {
                "array" => strong("array"),
                _ => Some((name, true)),
            }
        }
        ast::Expr::Cast {
            expr, data_type, ..
        } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            _ => Some((type_label(data_type), false)),
        },
        ast::Expr::TypedString(t) => Some((type_label(&t.data_type), false)),
        ast::Expr::Interval(_) => Some(("interval".to_owned(), false)),
        ast::Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        ast::Expr::Array(_) => strong("array"),
        ast::Expr::Exists { .. } => strong("exists"),
        ast::Expr::Subquery(query) => subquery_name(&query.body),
        ast::Expr::Extract { .. } => strong("extract"),
        ast::Expr::Substring { shorthand, .. } => {
            strong(if *shorthand { "substr" } else { "substring" })
        }
        ast::Expr::Position { .. } => strong("position"),
        ast::Expr::Overlay { .. } => strong("overlay"),
        ast::Expr::Ceil { .. } => strong("ceil"),
        ast::Expr::Floor { .. } => strong("floor"),
        ast::Expr::AtTimeZone { .. } => strong("timezone"),
        ast::Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        ast::Expr::Tuple(_) => strong("row"),
        _ => None,
    }
}

fn subquery_name(body: &ast::SetExpr) -> Option<(String, bool)> {
    match body {
        ast::SetExpr::Select(select) => match select.projection.first()? {
            ast::SelectItem::UnnamedExpr(e) => figure(e),
            ast::SelectItem::ExprWithAlias { alias, .. } => Some((fold(alias), true)),
            _ => None,
        },
        ast::SetExpr::Query(query) => subquery_name(&query.body),
        ast::SetExpr::Values(_) => Some(("column1".to_owned(), true)),
        _ => None,
    }
}

/// The internal name of a cast's target type.
fn type_label(data_type: &ast::DataType) -> String {
    let text = data_type.to_string();
    match crate::pg_catalog::convert::builtin_type(&text) {
        Some((ty, _)) => {
            let info = crate::pg_catalog::builtin::builtin().type_of(ty);
            info.map_or(text, |t| t.name.trim_start_matches('_').to_owned())
        }
        None => text
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .trim_matches('"')
            .to_owned(),
    }
}

pub(super) fn null() -> Expr {
    Expr::constant(Value::Null, oid::UNKNOWN)
}

/// The `.*` of `(row).*`; as the session reads statements, the star is a name that is not quoted.
fn is_star(access_chain: &[ast::AccessExpr]) -> bool {
    match access_chain {
        [ast::AccessExpr::Dot(ast::Expr::Wildcard(_))] => true,
        [ast::AccessExpr::Dot(ast::Expr::Identifier(name))] => {
            name.value == "*" && name.quote_style.is_none()
        }
        _ => false,
    }
}
