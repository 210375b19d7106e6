//! Columns of VALUES, whose constants without a type have that of the others, as PostgreSQL finds it.
//!
//! ```text
//! VALUES (1), (NULL), ('2')             ─►   VALUES (1), (NULL::integer), ('2'::integer)
//! VALUES (date '2024-01-01'), ('…')     ─►   VALUES (date '2024-01-01'), ('…'::date)
//! ```
//! Columns with a cell whose type is not written stay as they are: the planner finds one.

use datafusion::sql::sqlparser::ast::{self, Expr, UnaryOperator, Value};

use super::literals::cast;
use crate::pg_types::PgType;
use crate::session::params;

/// Gives the constants of VALUES their types.
pub(super) fn typed(values: &mut ast::Values) {
    let width = values.rows.iter().map(|row| row.content.len()).min();
    for column in 0..width.unwrap_or(0) {
        let cells = values.rows.iter().map(|row| row.content.get(column));
        let Some(common) = common(cells.flatten()) else {
            continue;
        };
        for row in &mut values.rows {
            if let Some(cell) = row.content.get_mut(column)
                && is_unknown(cell)
            {
                *cell = cast(cell.clone(), params::sql_type(common));
            }
        }
    }
}

/// The type of a column with constants of none; `None` where there are no such, or nothing tells.
fn common<'c>(cells: impl Iterator<Item = &'c Expr>) -> Option<PgType> {
    let (mut any, mut known) = (false, None);
    for cell in cells {
        if is_unknown(cell) {
            any = true;
            continue;
        }
        let of = type_of(cell)?;
        known = Some(match known {
            None => of,
            Some(known) => wider(known, of)?,
        });
    }
    // What is text to the engine is told later.
    let plain = |known: &PgType| {
        *known != PgType::TEXT && params::type_of_sql(&params::sql_type(*known)) == Some(*known)
    };
    known.filter(|known| any && plain(known))
}

fn is_unknown(cell: &Expr) -> bool {
    match cell {
        Expr::Nested(inner) => is_unknown(inner),
        Expr::Value(value) => matches!(
            value.value,
            Value::Null | Value::SingleQuotedString(_) | Value::EscapedStringLiteral(_)
        ),
        _ => false,
    }
}

/// The type of a cell, where it is written.
fn type_of(cell: &Expr) -> Option<PgType> {
    match cell {
        Expr::Nested(inner) => type_of(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Minus | UnaryOperator::Plus,
            expr,
        } => type_of(expr),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(match digits.parse::<i64>() {
                Ok(whole) if i32::try_from(whole).is_ok() => PgType::INT4,
                Ok(_) => PgType::INT8,
                Err(_) => PgType::NUMERIC,
            }),
            Value::Boolean(_) => Some(PgType::BOOL),
            _ => None,
        },
        Expr::Cast { data_type, .. } => params::type_of_sql(data_type),
        Expr::Interval(_) => Some(PgType::INTERVAL),
        Expr::TypedString(typed) => params::type_of_sql(&typed.data_type),
        Expr::Array(array) => {
            let items = array.elem.iter().filter(|item| !is_unknown(item));
            let mut types = items.map(type_of);
            let first = types.next()??;
            let common = types.try_fold(first, |known, of| wider(known, of?))?;
            (common.element().is_none()).then(|| common.array())
        }
        _ => None,
    }
}

/// The one of two types that the other becomes; `None` where that is not plain.
pub(in crate::session) fn wider(one: PgType, other: PgType) -> Option<PgType> {
    const NUMBERS: [PgType; 6] = [
        PgType::INT2,
        PgType::INT4,
        PgType::INT8,
        PgType::NUMERIC,
        PgType::FLOAT4,
        PgType::FLOAT8,
    ];
    const TIMES: [PgType; 3] = [PgType::DATE, PgType::TIMESTAMP, PgType::TIMESTAMPTZ];
    if one == other {
        return Some(one);
    }
    [NUMBERS.as_slice(), TIMES.as_slice()]
        .into_iter()
        .find_map(|among| {
            let place = |of: PgType| among.iter().position(|known| *known == of);
            let widest = place(one)?.max(place(other)?);
            among.get(widest).copied()
        })
}
