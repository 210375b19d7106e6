//! PostgreSQL's types and their constants as the planner's.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, DataType, Expr, ObjectName, Spanned as _};

use super::calls::call_of;
use super::intervals;
use super::literals::{cast, constant_number, number, string_literal};
use super::names::{last_part, strip_pg_catalog};
use crate::clock::Clock;
use crate::pg_input;
use crate::pg_types::{FREE_SCALE, PgType, oid};
use crate::pgwire::encode::Format;
use crate::semantics::{self, COLLATED};
use crate::session::placed::end;
use crate::session::typed::Types;
use crate::session::{kinds, modified, params};
use crate::sqlstate::{Place, ServerError};

pub(in crate::session) fn is_reg_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Regclass => true,
        DataType::Custom(name, _) => {
            let name = last_part(name);
            name.starts_with("reg") || matches!(name.as_str(), "oid" | "xid" | "aclitem")
        }
        _ => false,
    }
}

/// Whether this is a call of a function that tells what a text is.
pub(super) fn is_kind(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => kinds::named(&last_part(&function.name)).is_some(),
        Expr::Nested(inner) => is_kind(inner),
        _ => false,
    }
}

/// Whether this is text, or arrays of it.
pub(super) fn is_text(data_type: &DataType) -> bool {
    let pg_type = params::type_of_sql(data_type);
    let item = pg_type.map(|pg_type| pg_type.element().unwrap_or(pg_type));
    matches!(item, Some(PgType::TEXT | PgType::VARCHAR))
}

/// A value that is cast to a type which is a text to the planner: any is printed for a name; of an integer a "char" is
/// the byte.
pub(super) fn for_kind(data_type: &DataType, value: Expr) -> Expr {
    if let (DataType::Array(_), true) = (data_type, is_nothing(&value)) {
        return cast(value, modified::with_items(data_type, &DataType::Text));
    }
    if string_literal(&value).is_some() || is_kind(&value) || is_nothing(&value) {
        return value;
    }
    match params::type_of_sql(data_type) {
        Some(PgType::NAME) => cast(value, DataType::Text),
        Some(PgType::CHAR) if (Types { parameters: None }).of(&value) == Some(oid::INT4) => {
            cast(value, DataType::Integer(None))
        }
        _ => value,
    }
}

/// Numbers with fewer characters fit every type that they may be given.
pub(super) const LONG_DIGITS: usize = 76;

/// A constant that PostgreSQL reads by the rules of its type, and the planner by its own; None for what stays a cast.
pub(super) fn typed_constant(
    value: &Expr,
    data_type: &DataType,
) -> Result<Option<Expr>, ServerError> {
    if let Some(text) = string_literal(value)
        && let Some(constant) = intervals::cast_constant(text, data_type)?
    {
        return Ok(Some(constant));
    }
    let Some(pg_type) = params::type_of_sql(data_type) else {
        return Ok(None);
    };
    let mut data_type = data_type;
    while let DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        data_type = element;
    }
    let bare = matches!(
        data_type,
        DataType::Numeric(ast::ExactNumberInfo::None)
            | DataType::Decimal(ast::ExactNumberInfo::None)
    );
    if let (Some(digits), true) = (constant_number(value), bare) {
        return params::numeric(digits).map(Some);
    }
    let Some(text) = string_literal(value) else {
        return Ok(None);
    };
    let read = |pg_type| {
        let text = bytes::Bytes::from(text.to_owned());
        params::constant(Some(&text), Format::Text, pg_type)
    };
    Ok(match pg_type.element().unwrap_or(pg_type) {
        // The digits that the type asks for are the planner's to keep.
        PgType::NUMERIC if !bare => {
            read(pg_type)?;
            None
        }
        PgType::INTERVAL | PgType::NUMERIC => Some(read(pg_type)?),
        _ if pg_type.element().is_some() => Some(read(pg_type)?),
        _ => None,
    })
}

/// NULL, or an array of no items.
fn is_nothing(value: &Expr) -> bool {
    match value {
        Expr::Value(value) => value.value == ast::Value::Null,
        Expr::Array(array) => array.elem.is_empty(),
        Expr::Nested(inner) => is_nothing(inner),
        _ => false,
    }
}

/// Lets casts to `numeric` without digits be to a type that is known for it: the planner has 38 digits for them, 10 behind
/// the point. NULL has none, nor has an array of no items.
pub(super) fn free_numerics<N: ast::VisitMut>(node: &mut N) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(node, |expr| {
        if let Expr::Cast {
            expr: value,
            data_type,
            ..
        } = expr
            && !is_nothing(value)
        {
            let mut data_type = data_type;
            while let DataType::Array(
                ast::ArrayElemTypeDef::SquareBracket(element, _)
                | ast::ArrayElemTypeDef::AngleBracket(element),
            ) = data_type
            {
                data_type = element;
            }
            let digits = match data_type {
                DataType::Numeric(digits) | DataType::Decimal(digits) | DataType::Dec(digits) => {
                    *digits
                }
                _ => return ControlFlow::Continue(()),
            };
            *data_type = DataType::Numeric(match digits {
                ast::ExactNumberInfo::None => {
                    ast::ExactNumberInfo::PrecisionAndScale(76, FREE_SCALE.into())
                }
                written => written,
            });
        }
        ControlFlow::Continue(())
    });
}

/// Refuses a constant that is cast to a type which is text to the planner, and has no such value, and types that no
/// value has.
///
/// # Errors
/// 22P02; 22023 for `varchar(0)` and `numeric(0)`.
pub(super) fn read_kind(expr: &Expr) -> Result<(), ServerError> {
    let (value, data_type) = match expr {
        Expr::Cast {
            expr, data_type, ..
        } => (string_literal(expr), data_type),
        Expr::TypedString(typed) => match &typed.value.value {
            ast::Value::SingleQuotedString(text) => (Some(text.as_str()), &typed.data_type),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let kind = params::type_of_sql(data_type).filter(|pg_type| pg_type.element().is_none());
    match (value, kind) {
        (Some(text), Some(pg_type)) if kinds::function_of(pg_type).is_some() => {
            pg_input::kept_text(text, pg_type).map(drop)
        }
        _ => Ok(()),
    }
}

/// Refuses modifiers of a type that no value has: before the value is looked at.
///
/// # Errors
/// 22023 for `varchar(0)` and `numeric(0)`.
pub(super) fn modifiers(expr: &Expr) -> Result<(), ServerError> {
    let data_type = match expr {
        Expr::Cast { data_type, .. } => data_type,
        Expr::TypedString(typed) => &typed.data_type,
        _ => return Ok(()),
    };
    if let DataType::Varchar(Some(length))
    | DataType::CharacterVarying(Some(length))
    | DataType::CharVarying(Some(length))
    | DataType::Character(Some(length))
    | DataType::Char(Some(length)) = data_type
        && let ast::CharacterLength::IntegerLength { length, .. } = length
        && !(1..=LONGEST_TEXT).contains(length)
    {
        let is_char = matches!(data_type, DataType::Character(_) | DataType::Char(_));
        let name = if is_char { "char" } else { "varchar" };
        let text = match length {
            0 => format!("length for type {name} must be at least 1"),
            _ => format!("length for type {name} cannot exceed {LONGEST_TEXT}"),
        };
        let word = data_type.to_string();
        let place = end_of_value(expr).map(|place| place.next(&[word_of(&word)]));
        return Err(ServerError::new("22023", text).place(place));
    }
    if let DataType::Numeric(digits) | DataType::Decimal(digits) = data_type
        && let ast::ExactNumberInfo::Precision(precision)
        | ast::ExactNumberInfo::PrecisionAndScale(precision, _) = digits
        && !(1..=1000).contains(precision)
    {
        let text = format!("NUMERIC precision {precision} must be between 1 and 1000");
        let word = data_type.to_string();
        let place = end_of_value(expr).map(|place| place.next(&[word_of(&word)]));
        return Err(ServerError::new("22023", text).place(place));
    }
    if let DataType::Numeric(digits) | DataType::Decimal(digits) = data_type
        && let ast::ExactNumberInfo::PrecisionAndScale(_, scale) = digits
        && !(-MOST_DIGITS..=MOST_DIGITS).contains(scale)
    {
        let text = format!("NUMERIC scale {scale} must be between -1000 and 1000");
        let word = data_type.to_string();
        let place = end_of_value(expr).map(|place| place.next(&[word_of(&word)]));
        return Err(ServerError::new("22023", text).place(place));
    }
    Ok(())
}

/// The greatest length that a type of text may have.
const LONGEST_TEXT: u64 = 10_485_760;
/// The most digits behind the point that numeric may have, and in front of it that are zero.
const MOST_DIGITS: i64 = 1000;

fn word_of(data_type: &str) -> &str {
    data_type.split(['(', ' ']).next().unwrap_or(data_type)
}

fn end_of_value(expr: &Expr) -> Option<Place> {
    match expr {
        Expr::Cast { expr, .. } => end(expr),
        _ => None,
    }
}

/// Whether a number is one that the planner would take for infinity.
pub(super) fn is_infinite(digits: &str) -> bool {
    digits.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// Refuses a whole number of more digits than any integer has that is cast to an integer.
///
/// # Errors
/// 22003.
pub(super) fn check_integer(expr: &Expr) -> Result<(), ServerError> {
    let Expr::Cast {
        expr: value,
        data_type,
        ..
    } = expr
    else {
        return Ok(());
    };
    let pg_type = params::type_of_sql(data_type);
    match (constant_number(value), pg_type) {
        (Some(digits), Some(pg_type @ (PgType::INT2 | PgType::INT4 | PgType::INT8)))
            if digits.bytes().all(|digit| digit.is_ascii_digit())
                && digits.parse::<i64>().is_err()
                && digits.parse::<u64>() != Ok(i64::MIN.unsigned_abs()) =>
        {
            let text = format!("{} out of range", pg_type.sql_name());
            Err(ServerError::new("22003", text))
        }
        _ => Ok(()),
    }
}

/// Refuses a number that is cast to a float type which does not have it.
///
/// # Errors
/// 22003.
pub(super) fn check_float(expr: &Expr) -> Result<(), ServerError> {
    let Expr::Cast {
        expr: value,
        data_type,
        ..
    } = expr
    else {
        return Ok(());
    };
    let pg_type = params::type_of_sql(data_type);
    match (constant_number(value), pg_type) {
        (Some(digits), Some(pg_type @ (PgType::FLOAT4 | PgType::FLOAT8)))
            if leaves_float(digits, pg_type) =>
        {
            let number = pg_input::plain_decimal(digits)?;
            Err(semantics::out_of_range(&number, pg_type))
        }
        _ => Ok(()),
    }
}

/// Whether a float type has no such number: it is too large, or so small that only zero is left.
fn leaves_float(digits: &str, pg_type: PgType) -> bool {
    let (size, least) = match pg_type {
        PgType::FLOAT4 => match digits.parse::<f32>() {
            Ok(number) => (f64::from(number), number == 0.0),
            Err(_) => return false,
        },
        _ => match digits.parse::<f64>() {
            Ok(number) => (number, number == 0.0),
            Err(_) => return false,
        },
    };
    let mantissa = digits.split(['e', 'E']).next().unwrap_or(digits);
    size.is_infinite() || (least && mantissa.contains(|digit: char| matches!(digit, '1'..='9')))
}

/// An expression without its collation: text is compared by its bytes, which is what these collations do.
///
/// # Errors
/// 42704 for a collation that there is not, 42804 for a constant of a type that has none.
pub(super) fn collated(
    expr: &Expr,
    collation: &ObjectName,
    places: &mut BTreeMap<String, [u64; 2]>,
) -> Result<Expr, ServerError> {
    let told = Types { parameters: None }.of(expr);
    let told = told.map(PgType::of_oid).filter(|told| {
        let item = told.element().unwrap_or(*told);
        !matches!(
            item,
            PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR | PgType::NAME | PgType::UNKNOWN
        )
    });
    if let Some(told) = told {
        let text = format!("collations are not supported by type {}", told.sql_name());
        let place = end(expr).map(|place| place.next(&["COLLATE"]));
        return Err(ServerError::new("42804", text).place(place));
    }
    match last_part(collation).as_str() {
        "C" | "POSIX" | "default" | "ucs_basic" | "C.utf8" | "C.UTF-8" => Ok(match expr {
            Expr::Value(_) => expr.clone(),
            // The planner knows what else there is.
            expr => {
                let end = expr.span().end;
                let place = places.entry(expr.to_string());
                let place = place.or_insert([end.line, end.column]);
                let [line, column] = place.map(|at| number(i64::try_from(at).unwrap_or(0)));
                call_of(COLLATED, vec![expr.clone(), line, column])
            }
        }),
        other => Err(ServerError::new(
            "42704",
            format!("collation \"{other}\" for encoding \"UTF8\" does not exist"),
        )
        .hint("Text is compared by its bytes: use the collation \"C\".")
        .near(other)),
    }
}

/// A bytea literal from its text.
pub(super) fn bytea(text: &str) -> Result<Expr, ServerError> {
    params::bytea_of_text(text).map(|bytes| params::bytes(&bytes))
}

/// Digits of the widest decimal that sums are still made of.
const DECIMAL_DIGITS: u64 = 38;
/// Digits of the widest decimal.
const WIDEST_DIGITS: u64 = 76;

/// Writes out what the clock adds to a constant of a time, for those who read it without the clock.
///
/// # Errors
/// 22007 and 22008 for a text that is no time.
pub(super) fn plain_time(
    value: &mut ast::Value,
    data_type: &DataType,
    clock: &Clock,
) -> Result<(), ServerError> {
    let ast::Value::SingleQuotedString(text) = value else {
        return Ok(());
    };
    // Digits behind the second are the type's to round.
    let pg_type = match data_type {
        DataType::Date => PgType::DATE,
        DataType::Timestamp(..) => match params::type_of_sql(data_type) {
            Some(pg_type) => pg_type,
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    if let Some(plain) = pg_input::absolute(text, pg_type, clock)? {
        *text = plain;
    }
    Ok(())
}

/// Types of PostgreSQL that are text to DataFusion, and numbers wider than its own.
pub(super) fn plain_type(data_type: &mut DataType) {
    match data_type {
        DataType::Custom(name, _) => {
            strip_pg_catalog(name);
            let known = match last_part(name).as_str() {
                "name" | "char" | "citext" | "xml" | "cstring" | "unknown" => DataType::Text,
                "int2" => DataType::SmallInt(None),
                "int4" => DataType::Integer(None),
                "int8" => DataType::BigInt(None),
                "float4" => DataType::Real,
                "float8" => DataType::DoublePrecision,
                "bool" => DataType::Boolean,
                "bpchar" | "varchar" | "text" => DataType::Text,
                _ => return,
            };
            *data_type = known;
        }
        DataType::JSON | DataType::JSONB | DataType::Uuid => *data_type = DataType::Text,
        // Times have microseconds.
        DataType::Timestamp(precision @ None, _) => *precision = Some(6),
        DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) => plain_type(element),
        // To PostgreSQL a float is double precision, unless it asks for 24 binary digits or fewer.
        DataType::Float(ast::ExactNumberInfo::Precision(digits)) if *digits <= 24 => {
            *data_type = DataType::Real;
        }
        DataType::Float(_) => *data_type = DataType::DoublePrecision,
        // Wider than any number here has digits: PostgreSQL's numeric(1000) asks for no more than "all of them".
        DataType::Numeric(ast::ExactNumberInfo::PrecisionAndScale(precision, _))
        | DataType::Numeric(ast::ExactNumberInfo::Precision(precision))
            if *precision > WIDEST_DIGITS =>
        {
            *precision = DECIMAL_DIGITS;
        }
        _ => {}
    }
}
