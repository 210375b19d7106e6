//! Casts that are written as calls: `float8(x)` is `x::float8`, where PostgreSQL has no other function of that name.

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, Function, FunctionArguments, ObjectNamePart, TimezoneInfo,
};

use super::calls::call_arguments;
use super::literals::cast;

/// Makes a call by the name of a type a cast to it.
pub(super) fn respell(expr: &mut Expr) {
    let Expr::Function(function) = expr else {
        return;
    };
    if let (Some(to), [value]) = (type_called(function), call_arguments(function).as_slice()) {
        *expr = cast((*value).clone(), to);
    }
}

/// The type whose name a plain call of one argument has.
fn type_called(function: &Function) -> Option<DataType> {
    let name = match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => name,
        [
            ObjectNamePart::Identifier(schema),
            ObjectNamePart::Identifier(name),
        ] if schema.value.eq_ignore_ascii_case("pg_catalog") => name,
        _ => return None,
    };
    let plain = match &function.args {
        FunctionArguments::List(list) => {
            list.duplicate_treatment.is_none() && list.clauses.is_empty()
        }
        _ => false,
    };
    if !plain
        || function.over.is_some()
        || function.filter.is_some()
        || !function.within_group.is_empty()
    {
        return None;
    }
    let quoted = name.quote_style.is_some();
    let lower = match quoted {
        true => name.value.clone(),
        false => name.value.to_ascii_lowercase(),
    };
    Some(match lower.as_str() {
        "bool" => DataType::Boolean,
        "int2" => DataType::SmallInt(None),
        "int4" => DataType::Integer(None),
        "int8" => DataType::BigInt(None),
        "float4" => DataType::Real,
        "float8" => DataType::DoublePrecision,
        "text" => DataType::Text,
        "date" => DataType::Date,
        "timestamptz" => DataType::Timestamp(None, TimezoneInfo::WithTimeZone),
        // Without quotes they begin a type.
        "varchar" if quoted => DataType::Varchar(None),
        "time" if quoted => DataType::Time(None, TimezoneInfo::None),
        "timestamp" if quoted => DataType::Timestamp(None, TimezoneInfo::None),
        "interval" if quoted => DataType::Interval {
            fields: None,
            precision: None,
        },
        "uuid" => DataType::Uuid,
        "json" => DataType::JSON,
        "jsonb" => DataType::JSONB,
        "inet" => DataType::Custom(ast::Ident::new("inet").into(), Vec::new()),
        _ => return None,
    })
}
