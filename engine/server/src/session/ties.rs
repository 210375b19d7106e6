//! `FETCH FIRST n ROWS WITH TIES`: rows as far as the rank of the last that is wanted goes.
//!
//! ```text
//! SELECT x FROM t ORDER BY y FETCH FIRST 2 ROWS WITH TIES
//!   ─►  SELECT x FROM t QUALIFY rank() OVER (ORDER BY y) <= 2 ORDER BY y
//! SELECT DISTINCT x, y FROM t ORDER BY y FETCH …
//!   ─►  SELECT c1 AS x, c2 AS y FROM (SELECT DISTINCT x, y FROM t) AS r(c1, c2) QUALIFY … ORDER BY c2
//! ```

use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, OrderByExpr, Query, SelectItem, SetExpr, TableAliasColumnDef, TableFactor,
    Value,
};

use super::rewrite::{every_column, first_select, folded, item_name};
use crate::sqlstate::ServerError;

/// `ORDER BY x FETCH FIRST n ROWS WITH TIES` keeps the rows of the first n ranks, as QUALIFY says it.
///
/// # Errors
/// 42601 without ORDER BY; 0A000 where ORDER BY names what is no column of a list with a wildcard.
pub(super) fn as_ranks(query: &mut Query) -> Result<(), ServerError> {
    let Some(fetch) = query
        .fetch
        .as_ref()
        .filter(|fetch| fetch.with_ties && !fetch.percent)
    else {
        return Ok(());
    };
    let one = || Expr::value(Value::Number("1".to_owned(), false));
    let most = fetch.quantity.clone().unwrap_or_else(one);
    let offset = match &query.limit_clause {
        None => None,
        Some(ast::LimitClause::LimitOffset {
            limit: None,
            offset,
            ..
        }) => offset.as_ref().map(|offset| offset.value.clone()),
        Some(_) => {
            let text = "multiple LIMIT clauses not allowed";
            return Err(ServerError::syntax(text, None));
        }
    };
    let order = match query.order_by.as_ref().map(|order| &order.kind) {
        Some(ast::OrderByKind::Expressions(order)) if !order.is_empty() => order.clone(),
        _ => {
            let text = "WITH TIES cannot be specified without ORDER BY clause";
            return Err(ServerError::syntax(text, None));
        }
    };
    let order = match is_plain(&query.body) {
        true => order,
        false => {
            let order = into_relation(query, order)?;
            if let Some(by) = &mut query.order_by {
                by.kind = ast::OrderByKind::Expressions(order.clone());
            }
            order
        }
    };
    let refused = || ServerError::unsupported("WITH TIES in the order of what is no column");
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(refused());
    };
    let order: Option<Vec<_>> = order
        .into_iter()
        .map(|by| {
            let expr = written(&by.expr, &select.projection)?;
            Some(OrderByExpr { expr, ..by })
        })
        .collect();
    let order = order.ok_or_else(refused)?;
    let window = |name: &str| {
        let spec = ast::WindowSpec {
            window_name: None,
            partition_by: Vec::new(),
            order_by: order.clone(),
            window_frame: None,
        };
        let mut call = super::rewrite::function_of(Ident::new(name).into(), Vec::new());
        call.over = Some(ast::WindowType::WindowSpec(spec));
        Box::new(Expr::Function(call))
    };
    let binary = |left, op, right| Expr::BinaryOp { left, op, right };
    let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
    let last = match &offset {
        None => nested(&most),
        Some(offset) => {
            let sum = binary(nested(&most), ast::BinaryOperator::Plus, nested(offset));
            nested(&sum)
        }
    };
    let among = binary(window("rank"), ast::BinaryOperator::LtEq, last);
    select.qualify = Some(match &offset {
        None => among,
        Some(offset) => {
            let behind = binary(
                window("row_number"),
                ast::BinaryOperator::Gt,
                nested(offset),
            );
            binary(Box::new(among), ast::BinaryOperator::And, Box::new(behind))
        }
    });
    query.fetch = None;
    query.limit_clause = None;
    Ok(())
}

/// What an item of ORDER BY means, by the columns that it may name or count.
fn written(by: &Expr, columns: &[SelectItem]) -> Option<Expr> {
    if let Expr::Value(value) = by
        && let Value::Number(place, _) = &value.value
    {
        let front = columns.get(..place.parse().ok()?)?;
        return match front.last()? {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                let wild = |item: &SelectItem| {
                    matches!(
                        item,
                        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
                    )
                };
                (!front.iter().any(wild)).then(|| expr.clone())
            }
            _ => None,
        };
    }
    let Expr::Identifier(name) = by else {
        return Some(by.clone());
    };
    let named = columns.iter().find_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if folded(alias) == folded(name) => {
            Some(expr.clone())
        }
        _ => None,
    });
    Some(named.unwrap_or_else(|| by.clone()))
}

/// Whether the rows that are ranked are those of the SELECT before its columns are made.
fn is_plain(body: &SetExpr) -> bool {
    matches!(body, SetExpr::Select(select) if select.distinct.is_none() && select.qualify.is_none())
}

/// Makes the body of a query a relation that its rows are selected from; gives the order by columns of it.
fn into_relation(
    query: &mut Query,
    order: Vec<OrderByExpr>,
) -> Result<Vec<OrderByExpr>, ServerError> {
    let refused = || ServerError::unsupported("WITH TIES in the order of what is no column");
    let select = first_select(&query.body).ok_or_else(refused)?;
    if let Some(ast::Distinct::On(_)) = select.distinct {
        return Err(ServerError::unsupported("WITH TIES of a DISTINCT ON"));
    }
    let items = select.projection.clone();
    let distinct = matches!(query.body.as_ref(), SetExpr::Select(_));
    let names: Option<Vec<String>> = items.iter().map(item_name).collect();
    let quoted = |name: &str| Ident::with_quote('"', name);
    let called = |at: usize| match &names {
        Some(_) => quoted(&format!("column {at} of them")),
        None => quoted(&items.get(at).and_then(item_name).unwrap_or_default()),
    };
    let ordered = order.into_iter().map(|by| {
        let place = place(&by.expr, &items, distinct);
        let expr = match (place, &by.expr) {
            (Some(at), _) => Expr::Identifier(called(at)),
            // One that the wildcard stands for.
            (None, Expr::Identifier(_)) if names.is_none() => by.expr.clone(),
            _ => return Err(refused()),
        };
        Ok(OrderByExpr { expr, ..by })
    });
    let ordered = ordered.collect::<Result<_, ServerError>>()?;
    // The body goes into the relation of what takes its place.
    let mut inner = every_column()?;
    std::mem::swap(&mut inner.body, &mut query.body);
    let SetExpr::Select(outer) = query.body.as_mut() else {
        return Err(ServerError::internal("a SELECT that is none"));
    };
    let columns = names.iter().flatten().enumerate();
    let columns = columns.map(|(at, _)| TableAliasColumnDef {
        name: called(at),
        data_type: None,
    });
    let alias = ast::TableAlias {
        explicit: true,
        name: quoted("rows in order"),
        columns: columns.collect(),
        at: None,
    };
    if let Some(from) = outer.from.first_mut() {
        from.relation = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(inner),
            alias: Some(alias),
            sample: None,
        };
    }
    if let Some(names) = &names {
        let items = names.iter().enumerate();
        outer.projection = items
            .map(|(at, name)| SelectItem::ExprWithAlias {
                expr: Expr::Identifier(called(at)),
                alias: quoted(name),
            })
            .collect();
    }
    Ok(ordered)
}

/// Which item of a list, all before it being no wildcard, an expression of ORDER BY means.
fn place(by: &Expr, items: &[SelectItem], distinct: bool) -> Option<usize> {
    if let Expr::Value(value) = by
        && let Value::Number(number, _) = &value.value
    {
        let at = number.parse::<usize>().ok()?.checked_sub(1)?;
        let front = items.get(..=at)?;
        return front
            .iter()
            .all(|item| item_name(item).is_some())
            .then_some(at);
    }
    let named = match by {
        Expr::Identifier(name) => items
            .iter()
            .position(|item| item_name(item) == Some(folded(name))),
        _ => None,
    };
    let same = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } if expr == by);
    named.or_else(|| distinct.then(|| items.iter().position(same)).flatten())
}
