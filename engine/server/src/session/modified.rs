//! `varchar(n)`, `char(n)` and times of fewer digits: what a cast to them cuts or rounds is told with that type.
//!
//! ```text
//! x::varchar(3)     ─►   as_varchar(x::text, 7)           a text of three characters, told as varchar with modifier 7
//! x::timestamp(1)   ─►   as_digits(x::timestamp, 1)       rounded to a tenth of a second
//! ```
//! A `char(n)` is kept without the blanks at its end, as PostgreSQL compares and counts it; results have them again.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use arrow::compute::cast as cast_array;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast;

use super::{digits, kinds, rewrite};
use crate::pg_types::{PgType, TYPMOD, modifier_of_field};
use crate::semantics::Item;

const AS_VARCHAR: &str = "as_varchar";
const AS_BPCHAR: &str = "as_bpchar";
const AS_DIGITS: &str = "as_digits";
/// A value as it is, under another name to the planner, which forgets casts in names.
pub(super) const SAME: &str = "same_value";
/// What the length of a text is more in its modifier.
const HEADER: i64 = 4;
/// Digits of a microsecond: all that a time has.
const ALL_DIGITS: u64 = 6;
/// The fields of an interval, all of them, in the upper half of its modifier.
const ALL_FIELDS: i64 = 0x7fff << 16;

/// Adds the functions to a session.
pub(super) fn register(context: &SessionContext) {
    for name in [AS_VARCHAR, AS_BPCHAR, AS_DIGITS, SAME] {
        context.register_udf(ScalarUDF::from(Modified::named(name)));
    }
}

/// Makes a cast to one of these types a call. That of a constant to `varchar` without a length stays: it is a text,
/// which scans compare with.
pub(super) fn respell(expr: &mut ast::Expr) {
    let called = match expr {
        ast::Expr::Cast {
            expr: value,
            data_type,
            ..
        } => match characters(data_type) {
            Some((_, -1))
                if matches!(value.as_ref(), ast::Expr::Value(_))
                    && !matches!(data_type, ast::DataType::Array(_)) =>
            {
                None
            }
            Some(_) => told(expr),
            None => fewer_digits(data_type).map(|(plain, modifier)| {
                let value = rewrite::cast(value.as_ref().clone(), plain);
                rewrite::call_of(AS_DIGITS, vec![value, number(modifier)])
            }),
        },
        ast::Expr::TypedString(typed) => fewer_digits(&typed.data_type).map(|(plain, modifier)| {
            typed.data_type = plain;
            let value = ast::Expr::TypedString(typed.clone());
            rewrite::call_of(AS_DIGITS, vec![value, number(modifier)])
        }),
        _ => None,
    };
    if let Some(called) = called {
        *expr = called;
    }
}

/// A cast to `varchar` or `char` as a call, whatever it casts: for columns of results.
pub(super) fn told(expr: &ast::Expr) -> Option<ast::Expr> {
    let ast::Expr::Cast {
        expr: value,
        data_type,
        ..
    } = expr
    else {
        return None;
    };
    let (function, modifier) = characters(data_type)?;
    let text = with_items(data_type, &ast::DataType::Text);
    let text = rewrite::cast(value.as_ref().clone(), text);
    Some(rewrite::call_of(function, vec![text, number(modifier)]))
}

/// The type with another one in the place of the items of arrays, or of itself.
pub(super) fn with_items(data_type: &ast::DataType, item: &ast::DataType) -> ast::DataType {
    match data_type {
        ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(of, _)) => {
            let of = Box::new(with_items(of, item));
            ast::DataType::Array(ast::ArrayElemTypeDef::SquareBracket(of, None))
        }
        _ => item.clone(),
    }
}

fn number(value: i64) -> ast::Expr {
    let digits = ast::Expr::value(ast::Value::Number(value.unsigned_abs().to_string(), false));
    match value < 0 {
        true => ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr: Box::new(digits),
        },
        false => digits,
    }
}

/// The function that makes values of a type of text, or arrays of them, and the type's modifier.
fn characters(data_type: &ast::DataType) -> Option<(&'static str, i64)> {
    use ast::DataType as Sql;
    let (function, length, default) = match data_type {
        Sql::Varchar(length)
        | Sql::CharacterVarying(length)
        | Sql::CharVarying(length)
        | Sql::Nvarchar(length) => (AS_VARCHAR, length, -1),
        Sql::Char(length) | Sql::Character(length) => (AS_BPCHAR, length, 1 + HEADER),
        Sql::Array(ast::ArrayElemTypeDef::SquareBracket(item, _)) => return characters(item),
        _ => return None,
    };
    let modifier = match length {
        None => default,
        // A length of 0 is refused elsewhere.
        Some(ast::CharacterLength::IntegerLength { length, .. }) if *length > 0 => {
            i64::try_from(*length).ok()?.checked_add(HEADER)?
        }
        Some(_) => return None,
    };
    Some((function, modifier))
}

/// A type of times with fewer digits than all: the type with all of them, and its modifier.
fn fewer_digits(data_type: &ast::DataType) -> Option<(ast::DataType, i64)> {
    use ast::DataType as Sql;
    let (plain, digits, base) = match data_type {
        Sql::Timestamp(Some(digits), zone) => (Sql::Timestamp(None, *zone), *digits, 0),
        Sql::Time(Some(digits), zone) => (Sql::Time(None, *zone), *digits, 0),
        Sql::Interval {
            fields: None,
            precision: Some(digits),
        } => {
            let plain = Sql::Interval {
                fields: None,
                precision: None,
            };
            (plain, *digits, ALL_FIELDS)
        }
        _ => return None,
    };
    let fewer = i64::try_from(digits).ok().filter(|_| digits < ALL_DIGITS)?;
    Some((plain, base + fewer))
}

/// Makes every row of a column of VALUES of one type that is text to the engine, where one of them is.
pub(super) fn values_alike(values: &mut ast::Values) {
    let width = values.rows.iter().map(|row| row.content.len()).min();
    for column in 0..width.unwrap_or(0) {
        let cells = values.rows.iter().map(|row| row.content.get(column));
        let kinds: Vec<_> = cells.map(|cell| cell.and_then(kind_of_call)).collect();
        let Some(first) = kinds.iter().flatten().next().cloned() else {
            continue;
        };
        if kinds.iter().all(|kind| kind.as_ref() == Some(&first)) {
            continue;
        }
        let (function, modifier) = first;
        let mut typed = kinds.iter().flatten();
        let fits = typed.all(|(other, _)| *other == function)
            && values.rows.iter().zip(&kinds).all(|(row, kind)| {
                let constant = matches!(row.content.get(column), Some(ast::Expr::Value(_)));
                kind.is_some() || constant
            });
        for (row, kind) in values.rows.iter_mut().zip(&kinds) {
            let Some(cell) = row.content.get_mut(column) else {
                continue;
            };
            let value = cell.clone();
            *cell = match (fits, modifier.is_some()) {
                (true, true) => rewrite::call_of(&function, vec![value, number(-1)]),
                (true, false) if kind.is_some() => value,
                (true, false) => rewrite::call(&function, value),
                (false, _) => rewrite::call(kinds::AS_TEXT, value),
            };
        }
    }
}

/// The function that makes a value of a type that is text to the engine, and its modifier.
fn kind_of_call(expr: &ast::Expr) -> Option<(String, Option<String>)> {
    match expr {
        ast::Expr::Nested(inner) => kind_of_call(inner),
        ast::Expr::Function(function) => {
            let name = rewrite::last_part(&function.name);
            let arguments = rewrite::call_arguments(function);
            match [AS_VARCHAR, AS_BPCHAR].contains(&name.as_str()) {
                true => Some((name, arguments.get(1).map(ToString::to_string))),
                false => kinds::named(&name).map(|kind| (kind.to_owned(), None)),
            }
        }
        _ => None,
    }
}

/// The type that a function tells a text as; `None` for any other function.
pub(crate) fn told_by(function: &str) -> Option<PgType> {
    match function {
        AS_VARCHAR => Some(PgType::VARCHAR),
        AS_BPCHAR => Some(PgType::BPCHAR),
        _ => kinds::type_of_call(function),
    }
}

/// A CASE or `coalesce` whose values are of one of the types that are text to the engine is of that type, too.
pub(crate) fn chosen(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (values, always) = match expr {
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, result)| result);
            let all = results.chain(&case.else_expr).map(AsRef::as_ref);
            (all.collect::<Vec<&Expr>>(), case.else_expr.is_some())
        }
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "coalesce" | "greatest" | "least") =>
        {
            (call.args.iter().collect(), true)
        }
        Expr::ScalarFunction(call) if call.func.name() == "nullif" => {
            (call.args.first().into_iter().collect(), true)
        }
        _ => return None,
    };
    let mut found: Option<(PgType, i32)> = None;
    let mut alike = always;
    for value in values {
        // A constant in quotes is of any type.
        if let Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, None) = value {
            alike = false;
            continue;
        }
        let (_, field) = value.to_field(schema).ok()?;
        if crate::semantics::says_nothing(value, &field) {
            alike = false;
            continue;
        }
        let here = PgType::of_field(&field);
        let modifier = modifier_of_field(&field);
        match found {
            None => found = Some((here, modifier)),
            Some((told, known)) if told == here => alike &= known == modifier,
            Some(_) => return None,
        }
    }
    let (told, modifier) = found?;
    let modifier = if alike { modifier } else { -1 };
    if let Some(pg_type) = told.element() {
        let told = (pg_type != PgType::TEXT && is_text_to_planner(pg_type)).then_some(pg_type)?;
        return Some(
            Item {
                pg_type: told,
                modifier,
            }
            .tells(expr.clone()),
        );
    }
    let name = match told {
        PgType::VARCHAR => AS_VARCHAR,
        PgType::BPCHAR => AS_BPCHAR,
        PgType::TEXT => return None,
        told => return kinds::told_as(told, expr.clone()),
    };
    let modifier = Expr::Literal(ScalarValue::Int64(Some(modifier.into())), None);
    let function = Arc::new(ScalarUDF::from(Modified::named(name)));
    let call = ScalarFunction::new_udf(function, vec![expr.clone(), modifier]);
    Some(Expr::ScalarFunction(call))
}

/// Whether values of a type are texts to the planner.
fn is_text_to_planner(pg_type: PgType) -> bool {
    kinds::function_of(pg_type).is_some() || matches!(pg_type, PgType::VARCHAR | PgType::BPCHAR)
}

/// The text that a `varchar` without a length is: for conditions, where nobody is told of it and scans compare texts.
pub(crate) fn plain_characters(expr: &Expr) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    match call.args.as_slice() {
        [text, Expr::Literal(ScalarValue::Int64(Some(-1)), _)]
            if call.func.name() == AS_VARCHAR =>
        {
            Some(text.clone())
        }
        _ => None,
    }
}

/// Values of `char(n)`, or arrays of them, with the blanks that they end with.
pub(crate) fn with_blanks(values: &ArrayRef, modifier: i32) -> Result<ArrayRef> {
    let length = i64::from(modifier) - HEADER;
    let width = usize::try_from(length).unwrap_or(0);
    if let Some(list) = values.as_list_opt::<i32>() {
        let items = with_blanks(list.values(), modifier)?;
        let item = Field::new_list_field(items.data_type().clone(), true);
        return Ok(Arc::new(ListArray::try_new(
            Arc::new(item),
            list.offsets().clone(),
            items,
            list.nulls().cloned(),
        )?));
    }
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Ok(Arc::clone(values));
    };
    let padded = texts.iter().map(|text| Some(format!("{:<width$}", text?)));
    Ok(Arc::new(padded.collect::<StringArray>()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Modified {
    name: &'static str,
    signature: Signature,
}

impl Modified {
    fn named(name: &'static str) -> Modified {
        Modified {
            name,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }

    fn wrong(&self) -> DataFusionError {
        DataFusionError::Plan(format!("{} takes a value and a modifier", self.name))
    }
}

impl ScalarUDFImpl for Modified {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let value = match types {
            [value] if self.name == SAME => return Ok(vec![value.clone()]),
            [value, _] => value,
            _ => return Err(self.wrong()),
        };
        let value = match value {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            other => kinds::text_in(other),
        };
        Ok(vec![value, DataType::Int64])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(|| self.wrong())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let value = args.arg_fields.first().ok_or_else(|| self.wrong())?;
        if self.name == SAME {
            return Ok(Arc::clone(value));
        }
        let told = match self.name {
            AS_VARCHAR => Some(PgType::VARCHAR),
            AS_BPCHAR => Some(PgType::BPCHAR),
            _ => None,
        };
        let mut metadata = HashMap::new();
        if let Some(told) = told {
            metadata.insert("pg_type".to_owned(), told.sql_name().to_owned());
        }
        if let Some(Some(ScalarValue::Int64(Some(modifier)))) = args.scalar_arguments.get(1) {
            metadata.insert(TYPMOD.to_owned(), modifier.to_string());
        }
        let field = Field::new(self.name, value.data_type().clone(), true);
        Ok(Arc::new(field.with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let ([value], SAME) = (args.args.as_slice(), self.name) {
            return Ok(value.clone());
        }
        let [
            value,
            ColumnarValue::Scalar(ScalarValue::Int64(Some(modifier))),
        ] = args.args.as_slice()
        else {
            return Err(self.wrong());
        };
        let values = value.to_array(args.number_rows)?;
        if self.name == AS_DIGITS {
            let modifier = i32::try_from(*modifier).unwrap_or(-1);
            let rounded = digits::rounded(values, modifier);
            let rounded = rounded.map_err(|error| DataFusionError::External(Box::new(error)))?;
            return Ok(ColumnarValue::Array(rounded));
        }
        let most = usize::try_from(modifier - HEADER).unwrap_or(usize::MAX);
        self.cut(&values, most).map(ColumnarValue::Array)
    }
}

impl Modified {
    /// Texts, or arrays of them, with so many characters at most.
    fn cut(&self, values: &ArrayRef, most: usize) -> Result<ArrayRef> {
        if let Some(list) = values.as_list_opt::<i32>() {
            let items = self.cut(list.values(), most)?;
            let item = Field::new_list_field(items.data_type().clone(), true);
            return Ok(Arc::new(ListArray::try_new(
                Arc::new(item),
                list.offsets().clone(),
                items,
                list.nulls().cloned(),
            )?));
        }
        let texts = cast_array(values, &DataType::Utf8)?;
        let cut = texts.as_string::<i32>().iter().map(|text| {
            let text = text?;
            let end = text
                .char_indices()
                .nth(most)
                .map_or(text.len(), |(at, _)| at);
            let kept = text.get(..end).unwrap_or(text);
            Some(match self.name {
                AS_BPCHAR => kept.trim_end_matches(' '),
                _ => kept,
            })
        });
        Ok(Arc::new(cut.collect::<StringArray>()))
    }
}
