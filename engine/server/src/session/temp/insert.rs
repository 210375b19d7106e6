//! INSERT and UPDATE: which columns get values, and constants that take the types of the columns they go to.

use std::collections::BTreeSet;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem, SetExpr, Value};

use super::change::{always_generated, is_default};
use super::define::once_each;
use super::sequence::GeneratedKind;
use super::{TempTable, assign};
use crate::pg_input::ColumnInput;
use crate::pg_types::PgType;
use crate::pgwire::encode::{Cells, Format, TextStyle};
use crate::session::plan::Planned;
use crate::session::{kinds, params, placed, rewrite};
use crate::sqlstate::{Place, ServerError, slip_of};

/// The columns that get values, as places in the table.
pub(super) fn targets(
    table: &TempTable,
    name: &str,
    columns: &[String],
) -> Result<Vec<usize>, ServerError> {
    if columns.is_empty() {
        return Ok((0..table.schema.fields().len()).collect());
    }
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    once_each(&names).map_err(|error| {
        let mut seen = BTreeSet::new();
        let twice = names.iter().find(|name| !seen.insert(**name));
        error.place(twice.map(|name| Place::second(name)))
    })?;
    let columns = columns.iter();
    columns.map(|column| place(table, name, column)).collect()
}

/// Where a column stands in a table.
fn place(table: &TempTable, name: &str, column: &str) -> Result<usize, ServerError> {
    table.schema.index_of(column).map_err(|_| {
        let text = format!("column \"{column}\" of relation \"{name}\" does not exist");
        let error = ServerError::new("42703", text).near(column);
        let known = table
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str());
        match slip_of(column, known) {
            Some(known) => error.hint(format!("Perhaps you meant the column \"{known}\".")),
            None => error,
        }
    })
}

/// Refuses a query of more columns than get values, or of fewer than are named.
///
/// # Errors
/// 42601.
pub(super) fn check_width(
    width: usize,
    source: &ast::Query,
    targets: &[usize],
    named: &[String],
) -> Result<(), ServerError> {
    if width > targets.len() {
        let text = "INSERT has more expressions than target columns";
        let place = placed::column_place(&source.body, targets.len());
        return Err(ServerError::syntax(text, None).place(place));
    }
    match named.get(width) {
        None => Ok(()),
        Some(column) => {
            let text = "INSERT has more target columns than expressions";
            Err(ServerError::syntax(text, None).near(column))
        }
    }
}

/// The columns that UPDATE sets, as places in the table.
pub(super) fn set_targets(
    table: &TempTable,
    name: &str,
    set: &[(String, Expr)],
) -> Result<Vec<usize>, ServerError> {
    let mut seen = BTreeSet::new();
    if let Some((column, _)) = set.iter().find(|(column, _)| !seen.insert(column)) {
        let text = format!("multiple assignments to same column \"{column}\"");
        return Err(ServerError::syntax(text, None));
    }
    let mut places = Vec::with_capacity(set.len());
    for (column, value) in set {
        let at = place(table, name, column)?;
        let generated = table.generated.get(&at);
        let always = generated.is_some_and(|of| of.kind == GeneratedKind::Always);
        if always && !is_default(value) {
            let text = format!("column \"{column}\" can only be updated to DEFAULT");
            return Err(always_generated(text, column));
        }
        places.push(at);
    }
    Ok(places)
}

/// 42804 when values of a query cannot be stored in a column.
pub(super) fn check_assignable(
    from: PgType,
    planned: &Planned,
    at: usize,
    field: &Field,
) -> Result<(), ServerError> {
    let to = PgType::of_field(field);
    if assign::assignable(from, to) || planned.data_type(at) == DataType::Null {
        return Ok(());
    }
    Err(of_other_type(from, to, field).near(field.name()))
}

/// 42804: a value of a type that is not assigned to that of its column.
pub(super) fn of_other_type(from: PgType, to: PgType, field: &Field) -> ServerError {
    let text = format!(
        "column \"{}\" is of type {} but expression is of type {}",
        field.name(),
        to.sql_name(),
        from.sql_name()
    );
    let hint = "You will need to rewrite or cast the expression.";
    ServerError::new("42804", text).hint(hint)
}

/// Gives the constants of an INSERT that have no type of their own those of the columns they go to, and DEFAULT its
/// value.
pub(super) fn typed(
    query: &mut ast::Query,
    table: &TempTable,
    targets: &[usize],
    style: &TextStyle,
) -> Result<(), ServerError> {
    match query.body.as_mut() {
        SetExpr::Values(values) => {
            for row in &mut values.rows {
                for (cell, at) in row.content.iter_mut().zip(targets) {
                    let default = table.defaults.get(*at).and_then(Option::as_ref);
                    type_cell(cell, table.schema.field(*at), Some(default), style)?;
                }
            }
        }
        SetExpr::Select(select) => {
            for (item, at) in select.projection.iter_mut().zip(targets) {
                match item {
                    SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                        type_cell(expr, table.schema.field(*at), None, style)?;
                    }
                    // Where later columns come from is not known before names are.
                    _ => break,
                }
            }
        }
        SetExpr::Query(query) => typed(query, table, targets, style)?,
        _ => {}
    }
    Ok(())
}

pub(super) fn type_cell(
    cell: &mut Expr,
    field: &Field,
    default: Option<Option<&Expr>>,
    style: &TextStyle,
) -> Result<(), ServerError> {
    if let (Expr::Identifier(word), Some(default)) = (&*cell, default)
        && word.quote_style.is_none()
        && word.value.eq_ignore_ascii_case("default")
    {
        *cell = default.cloned().unwrap_or(Expr::value(Value::Null));
    }
    while let Expr::Nested(inner) = cell
        && is_constant(inner)
    {
        *cell = inner.as_ref().clone();
    }
    let negative = match &*cell {
        Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => Some(expr.as_ref()),
        _ => None,
    };
    let constant = match negative.unwrap_or(cell) {
        Expr::Value(value) => &value.value,
        _ => return Ok(()),
    };
    let pg_type = PgType::of_field(field);
    match constant {
        // The rows of VALUES have one type: as numbers of digits they would have as many as fit all of them.
        Value::Number(digits, _) if matches!(pg_type, PgType::FLOAT4 | PgType::FLOAT8) => {
            let sign = if negative.is_some() { "-" } else { "" };
            *cell = constant_of(&format!("{sign}{digits}"), field, style)?;
        }
        Value::Number(digits, _) if pg_type == PgType::NUMERIC || digits.contains('.') => {
            let sign = if negative.is_some() { "-" } else { "" };
            *cell = params::numeric(&format!("{sign}{digits}"))?;
        }
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text)
            if negative.is_none() =>
        {
            *cell = constant_of(text, field, style)?;
        }
        Value::Null if negative.is_none() => {
            *cell = as_of(cell.clone(), field);
        }
        // As deep as its value is, which is looked at when it is stored.
        Value::Placeholder(_) if negative.is_none() => {
            *cell = rewrite::cast(cell.clone(), params::told_type(pg_type));
        }
        _ => {}
    }
    Ok(())
}

/// Whether an expression is a constant or a parameter, in parentheses or not.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_constant(inner),
        Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => matches!(expr.as_ref(), Expr::Value(_)),
        Expr::Value(_) => true,
        _ => false,
    }
}

/// A value as one of a column, as deep as its arrays are: the rows of VALUES must have one type.
pub(super) fn as_of(none: Expr, field: &Field) -> Expr {
    let pg_type = PgType::of_field(field);
    let mut sql_type = params::sql_type(pg_type);
    for _ in 1..crate::pg_types::dimensions(field.data_type()) {
        let item = Box::new(sql_type);
        sql_type = ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(item, None));
    }
    let none = rewrite::cast(none, sql_type);
    match kinds::function_of(pg_type) {
        Some(function) => rewrite::call(function, none),
        None => none,
    }
}

/// A constant of a column's type from its text, which is read as COPY reads it.
fn constant_of(text: &str, field: &Field, style: &TextStyle) -> Result<Expr, ServerError> {
    let pg_type = PgType::of_field(field);
    let mut column = ColumnInput::new(field)?;
    column.text(text, style)?;
    let time = matches!(
        pg_type,
        PgType::DATE | PgType::TIME | PgType::TIMESTAMP | PgType::TIMESTAMPTZ | PgType::INTERVAL
    );
    if pg_type.element().is_some() && crate::pg_catalog::parse_array(text, ',')?.1.is_empty() {
        let none = Expr::Array(ast::Array {
            elem: Vec::new(),
            named: true,
        });
        return Ok(as_of(none, field));
    }
    if !time {
        let text = bytes::Bytes::from(text.to_owned());
        return params::constant(Some(&text), Format::Text, pg_type);
    }
    // The planner reads fewer spellings of times than PostgreSQL.
    let cells = Cells::new(&column.finish()?, pg_type)?;
    let mut value = bytes::BytesMut::new();
    cells.binary(0, &mut value)?;
    params::constant(Some(&value.freeze()), Format::Binary, pg_type)
}
