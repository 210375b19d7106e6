//! The columns of functions that give sets: the arrays that they are before they are unnested.
//!
//! ```text
//! jsonb_each(x)                 ─►   "array_of_jsonb_each key"(x), "array_of_jsonb_each value"(x)
//! ROWS FROM (f(x), unnest(y))   ─►   array_of_f(x), y
//! ```

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName,
};

use super::calls::call_of;
use super::names::last_part;
use super::sets::{SERIES, UNNEST, VALUE};
use crate::evaluated::{ARRAY_OF, is_set, pairs};
use crate::pg_catalog::gives_values;
use crate::session::statement::rows_from::ROWS_FROM;

/// A column of a set in FROM, before it is unnested.
pub(super) struct SetColumn {
    pub(super) array: Expr,
    pub(super) name: String,
    /// The function that it is of.
    pub(super) of: String,
}

/// The arguments of a call that are expressions without names; `None` where others are among them.
fn plain_arguments(args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let plain = args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect()
}

/// The arrays of a call of a function that gives a set; `None` for any other function.
pub(super) fn calls(name: &ObjectName, args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let columns = columns_of(name, args)?;
    Some(columns.into_iter().map(|column| column.array).collect())
}

/// The columns of a call of a function that gives a set; `None` for any other function.
pub(super) fn columns_of(name: &ObjectName, args: &[FunctionArg]) -> Option<Vec<SetColumn>> {
    let lower = last_part(name);
    if name.0.len() != 1 {
        return None;
    }
    let args = plain_arguments(args)?;
    if lower == ROWS_FROM {
        return args
            .iter()
            .map(columns_beside)
            .collect::<Option<Vec<_>>>()
            .map(|all| all.into_iter().flatten().collect());
    }
    let column = |array: Expr, name: &str| SetColumn {
        array,
        name: name.to_owned(),
        of: lower.clone(),
    };
    if lower == UNNEST {
        return Some(
            args.into_iter()
                .map(|array| column(array, UNNEST))
                .collect(),
        );
    }
    if let Some(pairs) = pairs(&lower) {
        let pairs = pairs.into_iter();
        return Some(
            pairs
                .map(|(name, function)| column(call_of(&function, args.clone()), name))
                .collect(),
        );
    }
    if lower != SERIES && !is_set(&lower) {
        return None;
    }
    let array = call_of(&format!("{ARRAY_OF}{lower}"), args);
    let name = if gives_values(&lower) { VALUE } else { &lower };
    Some(vec![column(array, name)])
}

/// The columns of one of the functions of ROWS FROM: that of a function which gives no set is in the first row alone.
fn columns_beside(expr: &Expr) -> Option<Vec<SetColumn>> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let name = last_part(&function.name);
    Some(columns_of(&function.name, &list.args).unwrap_or_else(|| {
        vec![SetColumn {
            array: call_of("make_array", vec![expr.clone()]),
            of: name.clone(),
            name,
        }]
    }))
}
