//! Functions, types and clauses that DataFusion spells otherwise than PostgreSQL.

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Value,
};

use crate::evaluated::AS_POSTGRES;
use crate::sqlstate::ServerError;

/// Names whose PostgreSQL meaning DataFusion has under another.
const NAMES: [(&str, &str); 10] = [
    ("array_dims", "pg_array_dims"),
    ("array_ndims", "pg_array_ndims"),
    ("chr", "pg_chr"),
    ("decode", "pg_decode"),
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
    // The planner writes hexadecimal digits only as PostgreSQL does.
    if let ("encode", FunctionArguments::List(list)) = (lower.as_str(), &function.args)
        && let [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(format))] = list.args.as_slice()
        && super::rewrite::string_literal(format) != Some("hex")
    {
        name.value = format!("{AS_POSTGRES}{lower}");
    }
    ordered(function)
}

/// Puts the arguments of a call that have names where they belong.
///
/// # Errors
/// As [`function`].
pub(super) fn ordered(function: &mut Function) -> Result<(), ServerError> {
    let [ast::ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
        return Ok(());
    };
    let lower = name.value.to_ascii_lowercase();
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
