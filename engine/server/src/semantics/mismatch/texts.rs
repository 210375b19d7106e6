//! Functions of texts that are given something else: the planner makes texts of numbers, dates and truth values for
//! them, which PostgreSQL does not.

use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;

use super::refusals::{no_function, type_of};
use crate::pg_types::PgType;

/// Functions as the planner calls them, with the arguments that are texts.
const FUNCTIONS: [(&str, &[usize]); 25] = [
    ("ascii", &[0]),
    ("btrim", &[0, 1]),
    ("character_length", &[0]),
    ("concat_ws", &[0]),
    ("initcap", &[0]),
    ("left", &[0]),
    ("lower", &[0]),
    ("lpad", &[0, 2]),
    ("ltrim", &[0, 1]),
    ("md5", &[0]),
    ("overlay", &[0, 1]),
    ("regexp_count", &[0, 1]),
    ("regexp_like", &[0, 1]),
    ("regexp_match", &[0, 1]),
    ("regexp_replace", &[0, 1, 2]),
    ("repeat", &[0]),
    ("replace", &[0, 1, 2]),
    ("reverse", &[0]),
    ("right", &[0]),
    ("rpad", &[0, 2]),
    ("rtrim", &[0, 1]),
    ("split_part", &[0, 1]),
    ("starts_with", &[0, 1]),
    ("translate", &[0, 1, 2]),
    ("upper", &[0]),
];

/// # Errors
/// 42883 for a call of one of these with what is no text.
pub(super) fn texts(call: &ScalarFunction, schema: &DFSchema) -> Result<()> {
    let name = call.func.name();
    let Some((_, places)) = FUNCTIONS.iter().find(|(known, _)| *known == name) else {
        return Ok(());
    };
    let mut given = places.iter().filter_map(|at| call.args.get(*at));
    match given.all(|arg| may_be_text(arg, schema)) {
        true => Ok(()),
        false => Err(no_function(name, &call.args, schema)),
    }
}

fn may_be_text(arg: &Expr, schema: &DFSchema) -> bool {
    let pg_type = type_of(arg, schema);
    // What is kept as text, as jsonb and uuid, may have been cast to text: the planner tells the same of it.
    let other = matches!(
        pg_type,
        PgType::BOOL
            | PgType::INT2
            | PgType::INT4
            | PgType::INT8
            | PgType::FLOAT4
            | PgType::FLOAT8
            | PgType::NUMERIC
            | PgType::DATE
            | PgType::TIME
            | PgType::TIMESTAMP
            | PgType::TIMESTAMPTZ
            | PgType::INTERVAL
    );
    !other && pg_type.element().is_none()
}
