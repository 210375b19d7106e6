//! Functions, types and clauses that DataFusion spells otherwise than PostgreSQL.

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Value,
};

use crate::sqlstate::ServerError;

/// Names whose PostgreSQL meaning DataFusion has under another.
const NAMES: [(&str, &str); 9] = [
    ("array_dims", "pg_array_dims"),
    ("array_ndims", "pg_array_ndims"),
    ("chr", "pg_chr"),
    ("to_hex", "pg_to_hex"),
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("ceiling", "ceil"),
    ("every", "bool_and"),
    ("variance", "var_samp"),
];

/// What DataFusion calls the function of this name.
pub(super) fn planned_name(name: &str) -> &str {
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map_or(name, |(_, planned)| planned)
}

/// Makes a call one of DataFusion's.
///
/// # Errors
/// 42883 for an argument of a name that the function does not have.
pub(super) fn function(function: &mut Function) -> Result<(), ServerError> {
    let [ast::ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() else {
        return Ok(());
    };
    let lower = name.value.to_ascii_lowercase();
    if let Some((_, known)) = NAMES.iter().find(|(known, _)| *known == lower) {
        name.value = (*known).to_owned();
    }
    let Some((_, parameters)) = NAMED.iter().find(|(known, _)| *known == lower) else {
        return Ok(());
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return Ok(());
    };
    in_order(&lower, parameters, &mut list.args)
}

/// Functions whose arguments may have names.
const NAMED: [(&str, &[&str]); 5] = [
    (
        "make_interval",
        &["years", "months", "weeks", "days", "hours", "mins", "secs"],
    ),
    ("make_date", &["year", "month", "day"]),
    ("make_time", &["hour", "min", "sec"]),
    (
        "make_timestamp",
        &["year", "month", "mday", "hour", "min", "sec"],
    ),
    (
        "make_timestamptz",
        &["year", "month", "mday", "hour", "min", "sec", "timezone"],
    ),
];

/// Puts arguments that have names where they belong; numbers that are not given are 0.
fn in_order(
    function: &str,
    parameters: &[&str],
    args: &mut Vec<FunctionArg>,
) -> Result<(), ServerError> {
    let is_named = |arg: &FunctionArg| !matches!(arg, FunctionArg::Unnamed(_));
    if !args.iter().any(is_named) {
        return Ok(());
    }
    let unknown = |name: &str| {
        let message = format!("function {function}({name} => …) does not exist");
        let hint = format!("Its arguments are {}.", parameters.join(", "));
        ServerError::new("42883", message).hint(hint)
    };
    let mut placed: Vec<Option<FunctionArgExpr>> = vec![None; parameters.len()];
    for (at, arg) in std::mem::take(args).into_iter().enumerate() {
        let (at, value) = match arg {
            FunctionArg::Unnamed(value) => (at, value),
            FunctionArg::Named {
                name: Ident { value, .. },
                arg,
                ..
            }
            | FunctionArg::ExprNamed {
                name: Expr::Identifier(Ident { value, .. }),
                arg,
                ..
            } => {
                let name = value.to_ascii_lowercase();
                let at = parameters.iter().position(|known| *known == name);
                (at.ok_or_else(|| unknown(&name))?, arg)
            }
            FunctionArg::ExprNamed { name, .. } => return Err(unknown(&name.to_string())),
        };
        match placed.get_mut(at) {
            Some(place @ None) => *place = Some(value),
            _ => {
                return Err(ServerError::syntax(
                    "an argument is given twice or too much",
                    None,
                ));
            }
        }
    }
    while placed.last().is_some_and(Option::is_none) {
        placed.pop();
    }
    let zero = || FunctionArgExpr::Expr(Expr::value(Value::Number("0".to_owned(), false)));
    let all = placed.into_iter();
    *args = all
        .map(|value| FunctionArg::Unnamed(value.unwrap_or_else(zero)))
        .collect();
    Ok(())
}

/// `FETCH FIRST n ROWS ONLY` is `LIMIT n`.
pub(super) fn fetch_as_limit(query: &mut Query) {
    let plain = query
        .fetch
        .as_ref()
        .is_some_and(|fetch| !fetch.with_ties && !fetch.percent);
    let free = match &query.limit_clause {
        None => true,
        Some(ast::LimitClause::LimitOffset {
            limit, limit_by, ..
        }) => limit.is_none() && limit_by.is_empty(),
        Some(_) => false,
    };
    if !plain || !free {
        return;
    }
    let Some(fetch) = query.fetch.take() else {
        return;
    };
    let one = || Expr::value(Value::Number("1".to_owned(), false));
    let rows = Some(fetch.quantity.unwrap_or_else(one));
    match &mut query.limit_clause {
        Some(ast::LimitClause::LimitOffset { limit, .. }) => *limit = rows,
        clause => {
            *clause = Some(ast::LimitClause::LimitOffset {
                limit: rows,
                offset: None,
                limit_by: Vec::new(),
            });
        }
    }
}

/// `ORDER BY x FETCH FIRST n ROWS WITH TIES` keeps the rows of the first n ranks, as QUALIFY says it.
///
/// # Errors
/// 42601 without ORDER BY; 0A000 over what is no plain SELECT.
pub(super) fn ties_as_ranks(query: &mut Query) -> Result<(), ServerError> {
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
    let refused = || ServerError::unsupported("WITH TIES over other than a plain SELECT");
    let ast::SetExpr::Select(select) = query.body.as_mut() else {
        return Err(refused());
    };
    if select.distinct.is_some() || select.qualify.is_some() {
        return Err(refused());
    }
    let order: Option<Vec<_>> = order
        .into_iter()
        .map(|by| {
            let expr = written(&by.expr, &select.projection)?;
            Some(ast::OrderByExpr { expr, ..by })
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
fn written(by: &Expr, columns: &[ast::SelectItem]) -> Option<Expr> {
    if let Expr::Value(value) = by
        && let Value::Number(place, _) = &value.value
    {
        let front = columns.get(..place.parse().ok()?)?;
        return match front.last()? {
            ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. } => {
                let wild = |item: &ast::SelectItem| {
                    matches!(
                        item,
                        ast::SelectItem::Wildcard(_) | ast::SelectItem::QualifiedWildcard(..)
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
        ast::SelectItem::ExprWithAlias { expr, alias }
            if super::rewrite::folded(alias) == super::rewrite::folded(name) =>
        {
            Some(expr.clone())
        }
        _ => None,
    });
    Some(named.unwrap_or_else(|| by.clone()))
}

/// `text SIMILAR TO pattern`: the whole text, by a regular expression.
///
/// # Errors
/// 0A000 for a pattern that is no constant, 22025 and 2201B for a bad one.
pub(super) fn similar(
    text: &Expr,
    negated: bool,
    pattern: &Expr,
    escape: Option<Value>,
) -> Result<Expr, ServerError> {
    let Some(pattern) = super::rewrite::string_literal(pattern) else {
        return Err(ServerError::new(
            "0A000",
            "SIMILAR TO takes a pattern that is a constant here",
        ));
    };
    let escape = match escape.and_then(Value::into_string) {
        None => Some('\\'),
        Some(escape) => escape.chars().next(),
    };
    let regex = crate::pg_catalog::pattern_regex(pattern, escape, true)?;
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(text.clone()))),
        op: match negated {
            true => ast::BinaryOperator::PGRegexNotMatch,
            false => ast::BinaryOperator::PGRegexMatch,
        },
        right: Box::new(super::rewrite::text(&format!("(?s){regex}"))),
    })))
}
