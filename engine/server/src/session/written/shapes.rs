//! Calls, names and lists of a shape that PostgreSQL's grammar does not have, or that mean nothing: `nullif(1)`,
//! `'1'::int(3)`, `SELECT *` of no table, an ORDER BY that names two columns.

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArguments, Ident, ObjectNamePart, Select, SelectItem,
    SetExpr, Spanned as _,
};

use super::named;
use crate::pg_catalog::{Apart, apart};
use crate::pg_types::PgType;
use crate::session::placed::{end, of_ident, start};
use crate::session::rewrite::{self, folded};
use crate::session::typed::Types;
use crate::sqlstate::{Place, ServerError};

fn near(sign: &str, place: Option<Place>) -> ServerError {
    let text = format!("syntax error at or near \"{sign}\"");
    ServerError::syntax(text, None).place(place)
}

/// Refuses calls of what is no function but a form of its own with another number of arguments.
///
/// # Errors
/// 42601.
pub(super) fn call(function: &Function) -> Result<(), ServerError> {
    let [
        ObjectNamePart::Identifier(Ident {
            value,
            quote_style: None,
            ..
        }),
    ] = function.name.0.as_slice()
    else {
        return Ok(());
    };
    if !matches!(&function.args, FunctionArguments::List(list) if list.clauses.is_empty()) {
        return Ok(());
    }
    let arguments = rewrite::call_arguments(function);
    let open = || named(function).map(|place| place.next(&["("]));
    let comma_before = |argument: &Expr| start(argument).map(|place| place.last(&[","]));
    let refused = match (value.to_ascii_lowercase().as_str(), arguments.as_slice()) {
        ("coalesce" | "greatest" | "least" | "nullif", []) => {
            (")", named(function).map(|place| place.next(&[")"])))
        }
        ("nullif", [one]) => (")", end(one).map(|place| place.next(&[")"]))),
        ("nullif", [_, _, third, ..]) => (",", comma_before(third)),
        (
            "current_date" | "current_user" | "session_user" | "user" | "current_catalog",
            [_, ..],
        ) => ("(", open()),
        (
            "current_timestamp" | "current_time" | "localtimestamp" | "localtime",
            [_, second, ..],
        ) => (",", comma_before(second)),
        _ => return Ok(()),
    };
    Err(near(refused.0, refused.1))
}

/// Functions of windows that aggregates are kept as here.
pub(super) fn is_of_windows(name: &str) -> bool {
    matches!(name, "first_value" | "last_value" | "nth_value")
}

/// Refuses a type with a modifier that it does not have.
///
/// # Errors
/// 42601.
pub(super) fn cast(value: &Expr, data_type: &DataType) -> Result<(), ServerError> {
    match data_type {
        DataType::Int(Some(_))
        | DataType::Integer(Some(_))
        | DataType::BigInt(Some(_))
        | DataType::SmallInt(Some(_)) => Err(near("(", end(value).map(|place| place.next(&["("])))),
        _ => Ok(()),
    }
}

/// Refuses a name of more parts than a column of a table has.
///
/// # Errors
/// 42601.
pub(super) fn names(names: &[Ident]) -> Result<(), ServerError> {
    match names {
        [first, _, _, _, _, ..] => {
            let all: Vec<String> = names.iter().map(folded).collect();
            let text = format!(
                "improper qualified name (too many dotted names): {}",
                all.join(".")
            );
            Err(ServerError::syntax(text, None).place(of_ident(first)))
        }
        _ => Ok(()),
    }
}

/// Refuses `SELECT *` of no table.
///
/// # Errors
/// 42601.
pub(super) fn select(select: &Select) -> Result<(), ServerError> {
    let all = select
        .projection
        .iter()
        .find(|item| matches!(item, SelectItem::Wildcard(_)));
    match all {
        Some(item) if select.from.is_empty() => {
            let at = item.span().start;
            let text = "SELECT * with no tables specified is not valid";
            Err(ServerError::syntax(text, None).place(Some(Place::at(at.line, at.column))))
        }
        _ => Ok(()),
    }
}

/// Refuses an ORDER BY that names two columns of a query which are not the same.
///
/// # Errors
/// 42702.
pub(super) fn unique(by: &Expr, body: &SetExpr) -> Result<(), ServerError> {
    let (Expr::Identifier(name), SetExpr::Select(select)) = (by, body) else {
        return Ok(());
    };
    let wanted = folded(name);
    let mut meant = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => (folded(alias) == wanted).then_some(expr),
        SelectItem::UnnamedExpr(expr @ Expr::Identifier(name)) => {
            (folded(name) == wanted).then_some(expr)
        }
        _ => None,
    });
    let Some(first) = meant.next() else {
        return Ok(());
    };
    let first = rewrite::bare(first, true);
    match meant.any(|other| rewrite::bare(other, true) != first) {
        true => {
            let text = format!("ORDER BY \"{wanted}\" is ambiguous");
            Err(ServerError::new("42702", text).place(of_ident(name)))
        }
        false => Ok(()),
    }
}

/// Refuses values of a column of VALUES that have no type in common.
///
/// # Errors
/// 42804.
pub(super) fn alike<'e>(column: impl Iterator<Item = &'e Expr>) -> Result<(), ServerError> {
    let column: Vec<&Expr> = column.collect();
    let types = Types { parameters: None };
    let types: Vec<Option<u32>> = column.iter().map(|cell| types.of(cell)).collect();
    match apart(&types) {
        Some(Apart::Unmatched { at, known, other }) => {
            let name = |ty: u32| PgType::of_oid(ty).sql_name();
            let (known, other) = (name(known), name(other));
            let text = format!("VALUES types {known} and {other} cannot be matched");
            let place = column.get(at).and_then(|cell| start(cell));
            Err(ServerError::new("42804", text).place(place))
        }
        _ => Ok(()),
    }
}
