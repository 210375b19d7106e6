//! Parameters `$1, $2, …`: their types, and their values as constants in the syntax tree.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{Buf, Bytes};
use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DataType, ExactNumberInfo, Expr, TimezoneInfo,
    UnaryOperator, Value,
};

use super::rewrite::cast;
use super::{kinds, rewrite};
use crate::calendar::{self, DAY, SECOND};
use crate::pg_input::{self, Inet};
use crate::pg_types::{PgType, oid};
use crate::pgwire::encode::Format;
use crate::sqlstate::ServerError;

pub(crate) use common::common_types;

/// The number of parameters of a statement: the largest `n` of `$n`.
pub(crate) fn count(statement: &ast::Statement) -> usize {
    let mut most = 0;
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        most = most.max(placeholder(expr).unwrap_or(0));
        ControlFlow::Continue(())
    });
    most
}

/// `n` of the placeholder `$n`.
pub(super) fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Types that the statement itself gives by `$n::type`, `CAST($n AS type)`, LIMIT or OFFSET, by standing where a truth
/// value does, and as arguments of PostgreSQL's functions.
pub(crate) fn cast_types(statement: &ast::Statement) -> BTreeMap<usize, PgType> {
    let mut bounds = Bounds(BTreeMap::new());
    let _: ControlFlow<()> = ast::Visit::visit(statement, &mut bounds);
    let mut types = bounds.0;
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        if let Expr::Cast {
            expr, data_type, ..
        } = expr
            && let Some(number) = placeholder(expr)
            && let Some(pg_type) = type_of_sql(data_type)
        {
            types.entry(number).or_insert(pg_type);
        }
        for (number, pg_type) in types_within(expr) {
            types.entry(number).or_insert(pg_type);
        }
        ControlFlow::Continue(())
    });
    types
}

/// The types that parameters right within an expression have by their place in it.
fn types_within(expr: &Expr) -> Vec<(usize, PgType)> {
    let truths: Vec<&Expr> = match expr {
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => vec![expr],
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And | BinaryOperator::Or,
            right,
        } => vec![left, right],
        Expr::Case {
            operand: None,
            conditions,
            ..
        } => conditions.iter().map(|case| &case.condition).collect(),
        Expr::Function(function) if function.name.0.len() == 1 => {
            return argument_types_of(function);
        }
        _ => return Vec::new(),
    };
    let numbers = truths.into_iter().filter_map(placeholder);
    numbers.map(|number| (number, PgType::BOOL)).collect()
}

fn argument_types_of(function: &ast::Function) -> Vec<(usize, PgType)> {
    let arguments = rewrite::call_arguments(function);
    if !arguments.iter().any(|arg| placeholder(arg).is_some()) {
        return Vec::new();
    }
    let given: Vec<u32> = arguments
        .iter()
        .map(|arg| match arg {
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) if digits.parse::<i32>().is_ok() => oid::INT4,
                Value::Number(..) => oid::NUMERIC,
                Value::Boolean(_) => oid::BOOL,
                _ => oid::UNKNOWN,
            },
            Expr::Cast { data_type, .. } => {
                type_of_sql(data_type).map_or(oid::UNKNOWN, |pg_type| pg_type.oid)
            }
            _ => oid::UNKNOWN,
        })
        .collect();
    let name = rewrite::function_name(function);
    let types = crate::pg_catalog::argument_types(&name, &given).unwrap_or_default();
    arguments
        .iter()
        .zip(types)
        .filter_map(|(arg, ty)| Some((placeholder(arg)?, PgType::scalar(ty?)?)))
        .collect()
}

/// Collects parameters of LIMIT, OFFSET and FETCH FIRST, of conditions, and of functions in FROM.
struct Bounds(BTreeMap<usize, PgType>);

impl ast::Visitor for Bounds {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        let mut found = Vec::new();
        if let Some(ast::LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            found.extend(limit.as_ref());
            found.extend(offset.as_ref().map(|offset| &offset.value));
        }
        found.extend(
            query
                .fetch
                .as_ref()
                .and_then(|fetch| fetch.quantity.as_ref()),
        );
        let numbers = found.into_iter().filter_map(placeholder);
        self.0.extend(numbers.map(|number| (number, PgType::INT8)));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<()> {
        let conditions = select.selection.iter().chain(select.having.iter());
        let numbers = conditions.filter_map(placeholder);
        self.0.extend(numbers.map(|number| (number, PgType::BOOL)));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &ast::TableFactor) -> ControlFlow<()> {
        let ast::TableFactor::Table {
            name,
            args: Some(args),
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let function = rewrite::function_of(name.clone(), args.args.clone());
        self.0.extend(argument_types_of(&function));
        ControlFlow::Continue(())
    }
}

/// Turns `x op ANY ($n)` into `x op $n`, so that the planner infers the element type; returns the
/// numbers it did that for, and whether the statement is another now. An operator of two arrays becomes their
/// equality in the same way, and so do values of which one is given: `coalesce(x, $n)`, `CASE … THEN x ELSE $n END`.
pub(crate) fn any_as_equal(statement: &mut ast::Statement) -> (BTreeSet<usize>, bool) {
    let mut arrays = BTreeSet::new();
    let mut changed = false;
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        if let Expr::BinaryOp { left, op, right } = expr
            && matches!(
                op,
                BinaryOperator::PGOverlap | BinaryOperator::AtArrow | BinaryOperator::ArrowAt
            )
            && (placeholder(left).is_some() || placeholder(right).is_some())
        {
            *op = BinaryOperator::Eq;
            changed = true;
        }
        if let Some(equal) = one_of_as_equal(expr) {
            *expr = equal;
            changed = true;
        }
        if let Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        }
        | Expr::AllOp {
            left,
            compare_op,
            right,
        } = expr
            && let Some(number) = placeholder(unnested(right))
        {
            arrays.insert(number);
            let right = Box::new(unnested(right).clone());
            *expr = Expr::BinaryOp {
                left: left.clone(),
                op: compare_op.clone(),
                right,
            };
        }
        ControlFlow::Continue(())
    });
    changed |= !arrays.is_empty();
    (arrays, changed)
}

/// A choice with parameters among its values as the equality of these with another one, beside the conditions of a
/// CASE; `None` for any other expression.
fn one_of_as_equal(expr: &Expr) -> Option<Expr> {
    let (values, conditions): (Vec<&Expr>, Vec<&Expr>) = match expr {
        Expr::Function(function) if function.name.0.len() == 1 => {
            let name = rewrite::function_name(function);
            let chooses = matches!(name.as_str(), "coalesce" | "greatest" | "least" | "nullif");
            let values = rewrite::call_arguments(function);
            (chooses.then_some(values)?, Vec::new())
        }
        Expr::Case {
            operand: None,
            conditions,
            else_result,
            ..
        } => {
            let results = conditions.iter().map(|case| &case.result);
            let results = results.chain(else_result.as_deref());
            let conditions = conditions.iter().map(|case| &case.condition);
            (results.collect(), conditions.collect())
        }
        _ => return None,
    };
    let (open, given): (Vec<&Expr>, Vec<&Expr>) = values
        .into_iter()
        .partition(|value| placeholder(unnested(value)).is_some());
    // What has no type itself gives none, and of several the planner would have to find a common one.
    let mut given = given.into_iter().filter(|value| {
        let bare = unnested(value);
        !matches!(bare, Expr::Value(value) if !matches!(value.value, Value::Number(..)))
    });
    let (Some(given), None) = (given.next(), given.next()) else {
        return None;
    };
    let nested = |expr: &Expr| Box::new(Expr::Nested(Box::new(expr.clone())));
    let equal = open.into_iter().map(|open| Expr::BinaryOp {
        left: nested(given),
        op: BinaryOperator::Eq,
        right: nested(open),
    });
    let equal: Vec<Expr> = equal.collect();
    if equal.is_empty() {
        return None;
    }
    let all = conditions.into_iter().cloned().chain(equal);
    let all = all.reduce(|left, right| Expr::BinaryOp {
        left: nested(&left),
        op: BinaryOperator::And,
        right: nested(&right),
    });
    all.map(|all| Expr::Nested(Box::new(all)))
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// The PostgreSQL type of a type written in SQL.
pub(crate) fn type_of_sql(data_type: &DataType) -> Option<PgType> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        return type_of_sql(element).map(PgType::array);
    }
    Some(match data_type {
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            PgType::TIMESTAMPTZ
        }
        DataType::Timestamp(..) => PgType::TIMESTAMP,
        DataType::Time(..) => PgType::TIME,
        DataType::Regclass => PgType::REGCLASS,
        other => {
            let text = other.to_string().to_ascii_lowercase();
            let plain = text.split('(').next().unwrap_or(&text).trim();
            PgType::named(plain.trim_start_matches("pg_catalog."))?
        }
    })
}

/// Replaces every placeholder by the expression of its number (1-based).
///
/// # Errors
/// 42P02 for a number that has no value.
pub(crate) fn substitute(
    statement: &mut ast::Statement,
    values: &BTreeMap<usize, Expr>,
    leave_unknown: bool,
) -> Result<(), ServerError> {
    let flow = ast::visit_expressions_mut(statement, |expr| {
        let Some(number) = placeholder(expr) else {
            return ControlFlow::Continue(());
        };
        match values.get(&number) {
            Some(value) => *expr = value.clone(),
            None if leave_unknown => {}
            None => {
                let text = format!("there is no parameter ${number}");
                let error = ServerError::new("42P02", text);
                return ControlFlow::Break(error.place(super::placed::start(expr)));
            }
        }
        ControlFlow::Continue(())
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The SQL type of a PostgreSQL type; text for types DataFusion lacks.
pub(crate) fn sql_type(pg_type: PgType) -> DataType {
    if let Some(element) = pg_type.element() {
        let element = Box::new(sql_type(element));
        return DataType::Array(ArrayElemTypeDef::SquareBracket(element, None));
    }
    match pg_type {
        PgType::BOOL => DataType::Boolean,
        PgType::INT2 => DataType::SmallInt(None),
        PgType::INT4 => DataType::Integer(None),
        PgType::INT8 | PgType::OID => DataType::BigInt(None),
        PgType::FLOAT4 => DataType::Real,
        PgType::FLOAT8 => DataType::DoublePrecision,
        PgType::NUMERIC => DataType::Numeric(ExactNumberInfo::None),
        PgType::BYTEA => DataType::Bytea,
        PgType::DATE => DataType::Date,
        PgType::TIME => DataType::Time(None, TimezoneInfo::None),
        PgType::TIMESTAMP => DataType::Timestamp(Some(6), TimezoneInfo::None),
        PgType::TIMESTAMPTZ => DataType::Timestamp(Some(6), TimezoneInfo::Tz),
        PgType::INTERVAL => DataType::Interval {
            fields: None,
            precision: None,
        },
        _ => DataType::Text,
    }
}

/// A NULL of a type: stands for a parameter whose value is not known yet.
pub(crate) fn null_of(pg_type: PgType) -> Expr {
    match kinds::function_of(pg_type) {
        Some(_) if pg_type.element().is_none() => kind_cast(Expr::value(Value::Null), pg_type),
        _ => cast(Expr::value(Value::Null), sql_type(pg_type)),
    }
}

/// The value of a Bind message as a constant expression.
///
/// # Errors
/// 22P02 and 22P03 when the bytes are no value of the type.
pub(crate) fn constant(
    value: Option<&Bytes>,
    format: Format,
    pg_type: PgType,
) -> Result<Expr, ServerError> {
    let Some(value) = value else {
        return Ok(null_of(pg_type));
    };
    match format {
        Format::Text => {
            let text = std::str::from_utf8(value).map_err(|_| {
                ServerError::new("22021", "invalid byte sequence for encoding \"UTF8\"")
            })?;
            of_text(text, pg_type)
        }
        Format::Binary => of_binary(value.clone(), pg_type),
    }
}

fn of_text(text: &str, pg_type: PgType) -> Result<Expr, ServerError> {
    let invalid = || {
        let name = pg_type.sql_name();
        ServerError::new(
            "22P02",
            format!("invalid input syntax for type {name}: \"{text}\""),
        )
    };
    if let Some(element) = pg_type.element() {
        let (dims, items) = crate::pg_catalog::parse_array(text, ',')?;
        let dims = dims
            .iter()
            .map(|(length, _)| usize::try_from(*length).unwrap_or(0));
        let items = items.into_iter().map(|item| match item {
            Some(item) => of_text(&item, element),
            None => Ok(null_of(element)),
        });
        let items = items.collect::<Result<Vec<_>, _>>()?;
        return Ok(array(&dims.collect::<Vec<_>>(), items, pg_type));
    }
    Ok(match pg_type {
        PgType::BOOL => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Expr::value(Value::Boolean(true)),
            "f" | "false" | "n" | "no" | "off" | "0" => Expr::value(Value::Boolean(false)),
            _ => return Err(invalid()),
        },
        PgType::INT2 => integer(whole::<i16>(text, pg_type)?.into(), pg_type),
        PgType::INT4 => integer(whole::<i32>(text, pg_type)?.into(), pg_type),
        PgType::INT8 | PgType::OID => integer(whole(text, pg_type)?, pg_type),
        PgType::FLOAT4 | PgType::FLOAT8 => {
            let value = text.trim().parse::<f64>().map_err(|_| invalid())?;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "asks whether it is too large"
            )]
            let narrow = pg_type == PgType::FLOAT4 && (value as f32).is_infinite();
            let spelled = text.to_ascii_lowercase().contains("inf");
            if (narrow || value.is_infinite()) && !spelled {
                let name = pg_type.sql_name();
                let text = format!("\"{}\" is out of range for type {name}", text.trim());
                return Err(ServerError::new("22003", text));
            }
            cast(string(text.trim()), sql_type(pg_type))
        }
        PgType::NUMERIC => numeric(text)?,
        PgType::BYTEA => bytes(&bytea_of_text(text)?),
        PgType::INTERVAL => interval(pg_input::interval(text)?),
        // What it means depends on the session's clock, which the planner knows.
        PgType::DATE | PgType::TIME | PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            pg_input::check_time(text, pg_type)?;
            cast(string(text), sql_type(pg_type))
        }
        PgType::JSON | PgType::JSONB | PgType::UUID | PgType::INET => {
            kind(&pg_input::kept_text(text, pg_type)?, pg_type)
        }
        _ => string(text),
    })
}

/// An integer from its text: 22P02 for what is none, 22003 for one that the type has not.
fn whole<T: TryFrom<i128>>(text: &str, pg_type: PgType) -> Result<T, ServerError> {
    let name = pg_type.sql_name();
    let value: i128 = text.trim().parse().map_err(|_| {
        let text = format!("invalid input syntax for type {name}: \"{text}\"");
        ServerError::new("22P02", text)
    })?;
    T::try_from(value).map_err(|_| {
        let text = format!("value \"{text}\" is out of range for type {name}");
        ServerError::new("22003", text)
    })
}

/// A constant of a type that is kept as text.
fn kind(text: &str, pg_type: PgType) -> Expr {
    kind_cast(string(text), pg_type)
}

fn kind_cast(value: Expr, pg_type: PgType) -> Expr {
    let data_type = match pg_type {
        PgType::JSON => DataType::JSON,
        PgType::JSONB => DataType::JSONB,
        PgType::INET => DataType::Custom(ast::Ident::new("inet").into(), Vec::new()),
        _ => DataType::Uuid,
    };
    cast(value, data_type)
}

/// An interval as a constant that the planner reads back as it is.
pub(crate) fn interval(value: IntervalMonthDayNano) -> Expr {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = value;
    // PostgreSQL's are of whole microseconds.
    let micros = nanoseconds / 1_000;
    let text = format!("{months} months {days} days {micros} microseconds");
    cast(string(&text), sql_type(PgType::INTERVAL))
}

fn of_binary(mut value: Bytes, pg_type: PgType) -> Result<Expr, ServerError> {
    let bad = || {
        let name = pg_type.sql_name();
        ServerError::new(
            "22P03",
            format!("incorrect binary data format of type {name}"),
        )
    };
    if let Some(element) = pg_type.element() {
        return binary_array(value, element, pg_type);
    }
    let want = |length: usize| {
        if value.len() == length {
            Ok(())
        } else {
            Err(bad())
        }
    };
    Ok(match pg_type {
        PgType::BOOL => {
            want(1)?;
            Expr::value(Value::Boolean(value.get_u8() != 0))
        }
        PgType::INT2 => {
            want(2)?;
            integer(value.get_i16().into(), pg_type)
        }
        PgType::INT4 => {
            want(4)?;
            integer(value.get_i32().into(), pg_type)
        }
        PgType::INT8 => {
            want(8)?;
            integer(value.get_i64(), pg_type)
        }
        PgType::OID => {
            want(4)?;
            integer(value.get_u32().into(), pg_type)
        }
        PgType::FLOAT4 => {
            want(4)?;
            cast(
                string(&float_text(value.get_f32().into())),
                sql_type(pg_type),
            )
        }
        PgType::FLOAT8 => {
            want(8)?;
            cast(string(&float_text(value.get_f64())), sql_type(pg_type))
        }
        PgType::NUMERIC => {
            let text = numeric_text(value).ok_or_else(bad)?;
            numeric(&text)?
        }
        PgType::BYTEA => bytes(&value),
        PgType::DATE => {
            want(4)?;
            let days = i64::from(value.get_i32()) + 10_957;
            let text = match days - 10_957 {
                edge if edge == i64::from(i32::MAX) => "infinity".to_owned(),
                edge if edge == i64::from(i32::MIN) => "-infinity".to_owned(),
                _ => day_text(days),
            };
            cast(string(&text), DataType::Date)
        }
        PgType::TIME => {
            want(8)?;
            let micros = value.get_i64();
            let time = chrono::DateTime::from_timestamp_micros(micros);
            let time = time.filter(|_| (0..86_400_000_000).contains(&micros));
            let time = time.ok_or_else(|| ServerError::new("22008", "time out of range"))?;
            cast(
                string(&time.format("%H:%M:%S%.6f").to_string()),
                sql_type(pg_type),
            )
        }
        PgType::TIMESTAMP | PgType::TIMESTAMPTZ => {
            want(8)?;
            let text = match value.get_i64() {
                i64::MAX => "infinity".to_owned(),
                i64::MIN => "-infinity".to_owned(),
                micros => {
                    let micros = micros.checked_add(946_684_800_000_000).ok_or_else(bad)?;
                    let (day, of_day) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
                    let (seconds, rest) = (of_day / SECOND, of_day % SECOND);
                    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
                    let clock = format!("{hours:02}:{minutes:02}:{:02}.{rest:06}", seconds % 60);
                    let zone = if pg_type == PgType::TIMESTAMPTZ {
                        "+00"
                    } else {
                        ""
                    };
                    format!("{clock}{zone} {}", day_text(day))
                }
            };
            cast(string(&text), sql_type(pg_type))
        }
        PgType::INTERVAL => {
            want(16)?;
            let (micros, days, months) = (value.get_i64(), value.get_i32(), value.get_i32());
            let nanoseconds = micros.checked_mul(1_000);
            let nanoseconds =
                nanoseconds.ok_or_else(|| ServerError::new("22008", "interval out of range"))?;
            interval(IntervalMonthDayNano::new(months, days, nanoseconds))
        }
        PgType::UUID => {
            want(16)?;
            let id = uuid::Uuid::from_slice(&value).map_err(|_| bad())?;
            kind(&id.to_string(), pg_type)
        }
        PgType::INET => kind(&Inet::receive(&value).ok_or_else(bad)?.to_string(), pg_type),
        PgType::JSON => {
            let text = std::str::from_utf8(&value).map_err(|_| bad())?;
            kind(&pg_input::kept_text(text, pg_type)?, pg_type)
        }
        PgType::JSONB => {
            let text = value.get(1..).ok_or_else(bad)?;
            let text = std::str::from_utf8(text).map_err(|_| bad())?;
            kind(&pg_input::kept_text(text, pg_type)?, pg_type)
        }
        _ => string(std::str::from_utf8(&value).map_err(|_| bad())?),
    })
}

/// A day since 1970 as its type prints it.
fn day_text(day: i64) -> String {
    let (year, month, day) = calendar::civil(day);
    match year > 0 {
        true => format!("{year:04}-{month:02}-{day:02}"),
        false => format!("{:04}-{month:02}-{day:02} BC", 1 - year),
    }
}

fn binary_array(mut value: Bytes, element: PgType, pg_type: PgType) -> Result<Expr, ServerError> {
    let bad = || ServerError::new("22P03", "incorrect binary data format of an array");
    if value.len() < 12 {
        return Err(bad());
    }
    let (dimensions, _flags, _oid) = (value.get_i32(), value.get_i32(), value.get_u32());
    let dimensions = usize::try_from(dimensions)
        .ok()
        .filter(|n| *n <= DIMENSIONS_MAX);
    let dimensions = dimensions.ok_or_else(|| {
        let text =
            format!("number of array dimensions exceeds the maximum allowed ({DIMENSIONS_MAX})");
        ServerError::new("54000", text)
    })?;
    let mut dims = Vec::with_capacity(dimensions);
    let mut total = usize::from(dimensions > 0);
    for _ in 0..dimensions {
        if value.len() < 8 {
            return Err(bad());
        }
        let (length, _lower) = (value.get_i32(), value.get_i32());
        let length = usize::try_from(length).map_err(|_| bad())?;
        total = total.checked_mul(length).ok_or_else(bad)?;
        dims.push(length);
    }
    // Every item has at least its length.
    if total > value.len() / 4 {
        return Err(bad());
    }
    let mut items = Vec::with_capacity(total);
    for _ in 0..total {
        if value.len() < 4 {
            return Err(bad());
        }
        match value.get_i32() {
            -1 => items.push(null_of(element)),
            size => match usize::try_from(size) {
                Ok(size) if size <= value.len() => {
                    items.push(of_binary(value.split_to(size), element)?);
                }
                _ => return Err(bad()),
            },
        }
    }
    if !value.is_empty() {
        return Err(bad());
    }
    Ok(array(&dims, items, pg_type))
}

/// The most dimensions of an array, as in PostgreSQL.
const DIMENSIONS_MAX: usize = 6;

/// An array of these dimensions, none of them for one without items.
fn array(dims: &[usize], items: Vec<Expr>, pg_type: PgType) -> Expr {
    let mut data_type = sql_type(pg_type);
    for _ in 1..dims.len() {
        data_type = DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(data_type), None));
    }
    let function = pg_type.element().and_then(kinds::function_of);
    let mut items: Vec<Expr> = match function {
        // The function reads the texts of the whole array.
        Some(_) => items.into_iter().map(uncast).collect(),
        None => items,
    };
    // The last dimension is the innermost.
    for length in dims.iter().skip(1).rev() {
        let mut rest = items.into_iter();
        let mut rows = Vec::new();
        loop {
            let elem: Vec<Expr> = rest.by_ref().take((*length).max(1)).collect();
            if elem.is_empty() {
                break;
            }
            rows.push(Expr::Array(ast::Array { elem, named: true }));
        }
        items = rows;
    }
    if pg_type.element() == Some(PgType::NUMERIC)
        && let Some(digits) = digits_of(&items)
    {
        data_type = with_digits(data_type, digits);
    }
    let elem = items;
    let made = cast(Expr::Array(ast::Array { elem, named: true }), data_type);
    match function {
        Some(function) => rewrite::call(function, made),
        None => made,
    }
}

/// The text of an item; NULL says that it is one, as the rows of an array of arrays must have one type.
fn uncast(item: Expr) -> Expr {
    match item {
        Expr::Cast { expr, .. } => match *expr {
            Expr::Value(value) if value.value == Value::Null => {
                cast(Expr::Value(value), DataType::Text)
            }
            text => text,
        },
        other => other,
    }
}

/// The digits that numbers of an array have at most.
fn digits_of(items: &[Expr]) -> Option<ExactNumberInfo> {
    let (mut before, mut after) = (0, 0);
    for item in items {
        match item {
            Expr::Array(inner) => match digits_of(&inner.elem)? {
                ExactNumberInfo::PrecisionAndScale(precision, scale) => {
                    before = before.max(i64::try_from(precision).ok()? - scale);
                    after = after.max(scale);
                }
                _ => return None,
            },
            Expr::Cast {
                data_type: DataType::Numeric(ExactNumberInfo::PrecisionAndScale(precision, scale)),
                ..
            } => {
                before = before.max(i64::try_from(*precision).ok()? - scale);
                after = after.max(*scale);
            }
            _ => {}
        }
    }
    let precision = u64::try_from(before + after).ok()?.max(1);
    let fits = usize::try_from(precision).is_ok_and(|p| p <= NUMERIC_DIGITS_MAX);
    fits.then_some(ExactNumberInfo::PrecisionAndScale(precision, after))
}

fn with_digits(data_type: DataType, digits: ExactNumberInfo) -> DataType {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, size)) => {
            let item = Box::new(with_digits(*item, digits));
            DataType::Array(ArrayElemTypeDef::SquareBracket(item, size))
        }
        _ => DataType::Numeric(digits),
    }
}

fn string(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

/// The bytes that a bytea literal stands for: hex digits after `\x`, else characters, of which `\\` is a backslash
/// and `\ooo` a byte in octal.
///
/// # Errors
/// 22P02 and 22023 in PostgreSQL's words.
pub(crate) fn bytea_of_text(text: &str) -> Result<Vec<u8>, ServerError> {
    if let Some(hex) = text.strip_prefix("\\x") {
        return hex_bytes(hex);
    }
    let invalid = || ServerError::new("22P02", "invalid input syntax for type bytea");
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
        } else if let Some(tail) = rest.strip_prefix(b"\\") {
            out.push(b'\\');
            rest = tail;
        } else {
            let (digits, tail) = rest.split_at_checked(3).ok_or_else(invalid)?;
            let digits = std::str::from_utf8(digits).map_err(|_| invalid())?;
            out.push(u8::from_str_radix(digits, 8).map_err(|_| invalid())?);
            rest = tail;
        }
    }
    Ok(out)
}

fn hex_bytes(hex: &str) -> Result<Vec<u8>, ServerError> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let nibble = |digit: char| {
        let value = digit
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok());
        value.ok_or_else(|| {
            ServerError::new("22023", format!("invalid hexadecimal digit: \"{digit}\""))
        })
    };
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Ok(nibble(*high)? << 4 | nibble(*low)?),
        _ => Err(ServerError::new(
            "22023",
            "invalid hexadecimal data: odd number of digits",
        )),
    });
    pairs.collect()
}

pub(super) fn bytes(value: &[u8]) -> Expr {
    let hex = value.iter().map(|byte| format!("{byte:02x}")).collect();
    Expr::value(Value::HexStringLiteral(hex))
}

/// int8 stays bare, as LIMIT wants it; the narrower types are cast.
fn integer(value: i64, pg_type: PgType) -> Expr {
    let digits = Expr::value(Value::Number(value.unsigned_abs().to_string(), false));
    let signed = match value < 0 {
        true => Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr: Box::new(digits),
        },
        false => digits,
    };
    // Without it a small constant would be an integer.
    cast(signed, sql_type(pg_type))
}

fn float_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    value.to_string()
}

/// Digits of the widest number.
const NUMERIC_DIGITS_MAX: usize = 76;

/// A decimal of exactly the digits of `text`.
///
/// # Errors
/// 22P02 for what is no number; 22003 for one of more than 76 digits, for NaN and for infinity.
pub(crate) fn numeric(text: &str) -> Result<Expr, ServerError> {
    let word = text
        .trim()
        .trim_start_matches(['+', '-'])
        .to_ascii_lowercase();
    if matches!(word.as_str(), "nan" | "inf" | "infinity") {
        let text = format!("numeric has no {} here", text.trim());
        return Err(ServerError::new("22003", text).hint("double precision has it."));
    }
    let plain = pg_input::plain_decimal(text)?;
    let digits = plain.strip_prefix('-').unwrap_or(&plain);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let scale = fraction.len();
    let precision = (whole.trim_start_matches('0').len() + scale).max(1);
    let info = match (u64::try_from(precision), i64::try_from(scale)) {
        (Ok(precision), Ok(scale)) if precision <= NUMERIC_DIGITS_MAX as u64 => {
            ExactNumberInfo::PrecisionAndScale(precision, scale)
        }
        _ => {
            let detail = format!("A numeric has at most {NUMERIC_DIGITS_MAX} digits here.");
            return Err(ServerError::new("22003", "value overflows numeric format").detail(detail));
        }
    };
    Ok(cast(string(&plain), DataType::Numeric(info)))
}

/// The decimal text of a binary numeric.
pub(crate) fn numeric_text(mut value: Bytes) -> Option<String> {
    if value.len() < 8 {
        return None;
    }
    let groups = usize::try_from(value.get_i16()).ok()?;
    let weight = i32::from(value.get_i16());
    let sign = value.get_u16();
    let scale = usize::try_from(value.get_i16()).ok()?;
    if value.len() != groups * 2 {
        return None;
    }
    if sign == 0xC000 {
        return Some("NaN".to_owned());
    }
    let digits: Vec<i16> = (0..groups).map(|_| value.get_i16()).collect();
    let group = |at: i32| -> i16 {
        usize::try_from(at)
            .ok()
            .and_then(|at| digits.get(at))
            .copied()
            .unwrap_or(0)
    };
    let mut text = String::new();
    for at in 0..=weight.max(0) {
        text.push_str(&format!("{:04}", if weight < 0 { 0 } else { group(at) }));
    }
    let mut fraction = String::new();
    let mut at = weight + 1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(at)));
        at += 1;
    }
    fraction.truncate(scale);
    let whole = text.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let minus = if sign == 0x4000 { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    Some(format!("{minus}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn binary_numerics_read_back() {
        let table: [(&[i16], &str); 4] = [
            (&[2, 0, 0, 2, 123, 4500], "123.45"),
            (&[1, -1, 0, 4, 5], "0.0005"),
            (&[1, 1, 0x4000, 0, 1], "-10000"),
            (&[0, 0, 0, 0], "0"),
        ];
        for (words, text) in table {
            let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
            assert_eq!(numeric_text(bytes.into()).unwrap(), text);
        }
    }

    #[test]
    fn bytea_literals_read_as_in_postgresql() {
        let table: [(&str, &[u8]); 4] = [
            ("\\x00fF", &[0, 255]),
            ("\\x 01 02", &[1, 2]),
            ("a\\\\b\\000", b"a\\b\0"),
            ("", b""),
        ];
        for (text, bytes) in table {
            assert_eq!(bytea_of_text(text).unwrap(), bytes, "{text}");
        }
        for (text, code) in [("\\x0", "22023"), ("\\x0g", "22023"), ("\\9", "22P02")] {
            assert_eq!(bytea_of_text(text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn bad_values_are_refused_by_type() {
        let text = Bytes::from_static(b"x");
        let error = constant(Some(&text), Format::Text, PgType::INT4).unwrap_err();
        assert_eq!(error.code(), "22P02");
        let error = constant(Some(&text), Format::Binary, PgType::INT4).unwrap_err();
        assert_eq!(error.code(), "22P03");
    }
}
