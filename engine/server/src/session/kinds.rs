//! Types that are text to the engine and more to PostgreSQL: json, jsonb, uuid, inet, name and "char".
//!
//! ```text
//! '{"b": 1, "a": 2}'::jsonb   ─►   as_jsonb('{"b": 1, "a": 2}')   ─►   {"a": 2, "b": 1}, a text column told as jsonb
//! ```
//! The functions read each value as the type's input function does and say in the metadata of their field what it is;
//! what they gave once they take again as it is.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast;

use crate::pg_input::{self, Inet};
use crate::pg_types::PgType;
use crate::semantics::{Item, innermost};
use crate::sqlstate::ServerError;

/// The types, each with the function that makes its values.
const KINDS: [(PgType, &str); 7] = [
    (PgType::JSON, "as_json"),
    (PgType::JSONB, "as_jsonb"),
    (PgType::UUID, "as_uuid"),
    (PgType::INET, "as_inet"),
    (PgType::NAME, "as_name"),
    (PgType::CHAR, "as_char"),
    // What they are cast to text by.
    (PgType::TEXT, AS_TEXT),
];
/// Takes away what a text is told as.
pub(super) const AS_TEXT: &str = "as_text";

/// Adds the functions to a session.
pub(super) fn register(context: &SessionContext) {
    for (pg_type, name) in KINDS {
        context.register_udf(ScalarUDF::from(AsKind {
            pg_type,
            name,
            signature: Signature::user_defined(Volatility::Immutable),
        }));
    }
}

/// The function that makes values of a type.
pub(super) fn function_of(pg_type: PgType) -> Option<&'static str> {
    let element = pg_type.element().unwrap_or(pg_type);
    let kind = KINDS
        .iter()
        .find(|(known, _)| *known == element && *known != PgType::TEXT);
    kind.map(|(_, function)| *function)
}

/// The function of this name, when it is one of these.
pub(super) fn named(name: &str) -> Option<&'static str> {
    let kind = KINDS.iter().find(|(_, function)| *function == name);
    kind.map(|(_, function)| *function)
}

/// The type of what one of these functions gives.
pub(super) fn type_of_call(name: &str) -> Option<PgType> {
    let kind = KINDS.iter().find(|(_, function)| *function == name);
    kind.map(|(pg_type, _)| *pg_type)
}

/// The function that makes values of a type as SQL writes it.
pub(super) fn function_of_sql(data_type: &ast::DataType) -> Option<&'static str> {
    super::params::type_of_sql(data_type).and_then(function_of)
}

/// What is cast to text is told as text; `None` for any other expression.
pub(crate) fn plain_text(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::Cast(cast) = expr else {
        return None;
    };
    let is_text = |data_type: &DataType| {
        matches!(
            data_type,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
    };
    let to = cast.field.data_type();
    if crate::pg_types::dimensions(to) > 0 {
        // What their items are cast to text from, the planner forgets.
        let (_, field) = cast.expr.to_field(schema).ok()?;
        let told = is_text(innermost(to)) && Item::of(&field).is_some();
        let same = field.data_type() == to;
        return (told && same).then(|| told_as(PgType::TEXT, cast.expr.as_ref().clone()))?;
    }
    if !is_text(to) {
        return None;
    }
    let (_, field) = cast.expr.to_field(schema).ok()?;
    let told = PgType::of_field(&field);
    if function_of(told).is_none() && !matches!(told, PgType::VARCHAR | PgType::BPCHAR) {
        return None;
    }
    let value = match is_text(field.data_type()) {
        true => cast.expr.as_ref().clone(),
        false => expr.clone(),
    };
    told_as(PgType::TEXT, value)
}

/// Values told as one of these types; `None` for any other type.
pub(crate) fn told_as(pg_type: PgType, values: Expr) -> Option<Expr> {
    let (pg_type, name) = *KINDS.iter().find(|(known, _)| *known == pg_type)?;
    let function = ScalarUDF::from(AsKind {
        pg_type,
        name,
        signature: Signature::user_defined(Volatility::Immutable),
    });
    let call = ScalarFunction::new_udf(Arc::new(function), vec![values]);
    Some(Expr::ScalarFunction(call))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsKind {
    pg_type: PgType,
    name: &'static str,
    signature: Signature,
}

/// Text in place of the items of arrays of any depth.
pub(super) fn text_in(data_type: &DataType) -> DataType {
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new_list_field(
                text_in(item.data_type()),
                true,
            )))
        }
        _ => DataType::Utf8,
    }
}

impl ScalarUDFImpl for AsKind {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [
                DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Null
                | DataType::Dictionary(..),
            ] => Ok(vec![DataType::Utf8]),
            [list @ (DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))] => {
                Ok(vec![text_in(list)])
            }
            // The planner's own integers are wider.
            [DataType::Int32 | DataType::Int64] if self.pg_type == PgType::CHAR => {
                Ok(vec![DataType::Int64])
            }
            [other] => {
                let (from, to) = (PgType::of_arrow(other).sql_name(), self.pg_type.sql_name());
                let text = format!("cannot cast type {from} to {to}");
                Err(DataFusionError::External(Box::new(ServerError::new(
                    "42846", text,
                ))))
            }
            _ => Err(DataFusionError::Plan(format!(
                "{} takes one text",
                self.name
            ))),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().map_or(DataType::Utf8, text_in))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let kind = ("pg_type".to_owned(), self.pg_type.sql_name().to_owned());
        let field = Field::new(self.name, self.return_type(&types)?, true);
        Ok(Arc::new(field.with_metadata([kind].into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = ColumnarValue::values_to_arrays(&args.args)?;
        let [values] = values.as_slice() else {
            return Err(DataFusionError::Internal(format!(
                "{} takes one text",
                self.name
            )));
        };
        let from = args.arg_fields.first().map(|field| PgType::of_field(field));
        // The text of an address says how many bits tell its network.
        let in_full = self.pg_type == PgType::TEXT && from == Some(PgType::INET);
        let values = self.read(values)?;
        Ok(ColumnarValue::Array(match in_full {
            true => addresses_in_full(&values),
            false => values,
        }))
    }
}

fn addresses_in_full(values: &ArrayRef) -> ArrayRef {
    let Some(texts) = values.as_string_opt::<i32>() else {
        return Arc::clone(values);
    };
    let in_full = texts.iter().map(|text| {
        let text = text?;
        Some(Inet::parse(text).map_or_else(|| text.to_owned(), Inet::in_full))
    });
    Arc::new(in_full.collect::<StringArray>())
}

/// "char"s of the bytes that integers say.
fn of_bytes(bytes: &Int64Array) -> Result<ArrayRef> {
    let read = bytes.iter().map(|byte| {
        let of = |byte| match i8::try_from(byte) {
            Ok(byte) => Ok(pg_input::char_of_byte(byte.cast_unsigned())),
            Err(_) => Err(ServerError::new("22003", "\"char\" out of range")),
        };
        byte.map(of).transpose()
    });
    let read: std::result::Result<StringArray, ServerError> = read.collect();
    let read = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
    Ok(Arc::new(read))
}

impl AsKind {
    fn read(&self, values: &ArrayRef) -> Result<ArrayRef> {
        if let Some(bytes) = values.as_primitive_opt::<Int64Type>() {
            return of_bytes(bytes);
        }
        if let Some(list) = values.as_list_opt::<i32>() {
            let items = self.read(list.values())?;
            return Ok(Arc::new(ListArray::try_new(
                Arc::new(Field::new_list_field(items.data_type().clone(), true)),
                list.offsets().clone(),
                items,
                list.nulls().cloned(),
            )?));
        }
        let texts = cast(values, &DataType::Utf8)?;
        let read = texts.as_string::<i32>().iter().map(|text| {
            text.map(|text| pg_input::kept_text(text, self.pg_type))
                .transpose()
        });
        let read: std::result::Result<StringArray, ServerError> = read.collect();
        let read = read.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Arc::new(read))
    }
}
