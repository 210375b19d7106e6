//! `a || b || c` of texts as one call: its length is known before it is made, and each part is copied once.

use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, LargeStringArray, LargeStringBuilder, StringArray,
    StringBuilder, StringViewArray, StringViewBuilder, new_null_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable as _, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// What the function is called.
pub(super) const NAME: &str = "||";

/// The function.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Joined {
        signature: Signature::variadic_any(Volatility::Immutable),
    }))
}

/// The parts of a chain of `||` whose values are texts of one type; `None` for any other expression.
pub(super) fn parts(expr: &Expr, schema: &DFSchema) -> Option<Vec<Expr>> {
    let Expr::BinaryExpr(BinaryExpr {
        op: Operator::StringConcat,
        ..
    }) = expr
    else {
        return None;
    };
    let (mut open, mut parts) = (vec![expr], Vec::new());
    while let Some(part) = open.pop() {
        match part {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::StringConcat,
                right,
            }) => open.extend([right.as_ref(), left.as_ref()]),
            part => parts.push(part),
        }
    }
    let mut types = parts.iter().map(|part| part.get_type(schema).ok());
    let first = types.next().flatten()?;
    let is_text = matches!(
        first,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    );
    let alike = is_text && types.all(|of| of.as_ref() == Some(&first));
    alike.then(|| parts.into_iter().cloned().collect())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &'static str {
        NAME
    }

    /// As the operator shows itself.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let parts = args.iter().map(|part| part.schema_name().to_string());
        Ok(parts.collect::<Vec<_>>().join(" || "))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let fields = args.arg_fields;
        let types: Vec<DataType> = fields.iter().map(|f| f.data_type().clone()).collect();
        let nullable = fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(
            NAME,
            self.return_type(&types)?,
            nullable,
        )))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let single = args
            .args
            .iter()
            .all(|part| matches!(part, ColumnarValue::Scalar(_)));
        let rows = if single { 1 } else { args.number_rows };
        let joined = joined(&args.args, rows, args.return_field.data_type())?;
        Ok(match single {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?),
            false => ColumnarValue::Array(joined),
        })
    }
}

/// The texts of one part.
enum Part<'a> {
    Same(&'a str),
    Short(&'a StringArray),
    Long(&'a LargeStringArray),
    View(&'a StringViewArray),
}

impl<'a> Part<'a> {
    /// `None` for NULL in all rows.
    fn of(value: &'a ColumnarValue) -> Result<Option<Part<'a>>> {
        let of = |part| Ok(Some(part));
        match value {
            ColumnarValue::Scalar(value) => match value.try_as_str() {
                Some(text) => Ok(text.map(Part::Same)),
                None => no_text(&value.data_type()),
            },
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => of(Part::Short(array.as_string())),
                DataType::LargeUtf8 => of(Part::Long(array.as_string())),
                DataType::Utf8View => of(Part::View(array.as_string_view())),
                other => no_text(other),
            },
        }
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Part::Same(_) => None,
            Part::Short(texts) => texts.nulls(),
            Part::Long(texts) => texts.nulls(),
            Part::View(texts) => texts.nulls(),
        }
    }

    fn text(&self, row: usize) -> &str {
        match self {
            Part::Same(text) => text,
            Part::Short(texts) => texts.value(row),
            Part::Long(texts) => texts.value(row),
            Part::View(texts) => texts.value(row),
        }
    }
}

fn no_text<T>(of: &DataType) -> Result<T> {
    let text = format!("|| of {of}");
    Err(DataFusionError::Internal(text))
}

fn joined(values: &[ColumnarValue], rows: usize, to: &DataType) -> Result<ArrayRef> {
    let mut parts = Vec::with_capacity(values.len());
    for value in values {
        match Part::of(value)? {
            Some(part) => parts.push(part),
            None => return Ok(new_null_array(to, rows)),
        }
    }
    let nulls = parts.iter().fold(None, |nulls, part| {
        NullBuffer::union(nulls.as_ref(), part.nulls())
    });
    let is_null = |row| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let mut bytes = 0_usize;
    for row in (0..rows).filter(|row| !is_null(*row)) {
        bytes += parts.iter().map(|part| part.text(row).len()).sum::<usize>();
    }
    if i32::try_from(bytes).is_err() && *to != DataType::LargeUtf8 {
        return Err(super::too_much(bytes));
    }
    macro_rules! texts {
        ($builder:expr) => {{
            let mut texts = $builder;
            for row in 0..rows {
                if is_null(row) {
                    texts.append_null();
                    continue;
                }
                for part in &parts {
                    let written = texts.write_str(part.text(row));
                    written.map_err(|_| super::too_much(bytes))?;
                }
                texts.append_value("");
            }
            Arc::new(texts.finish()) as ArrayRef
        }};
    }
    Ok(match to {
        DataType::LargeUtf8 => texts!(LargeStringBuilder::with_capacity(rows, bytes)),
        DataType::Utf8View => {
            let mut texts = StringViewBuilder::with_capacity(rows);
            let mut text = String::new();
            for row in 0..rows {
                if is_null(row) {
                    texts.append_null();
                    continue;
                }
                text.clear();
                for part in &parts {
                    text.push_str(part.text(row));
                }
                texts.try_append_value(&text)?;
            }
            Arc::new(texts.finish())
        }
        _ => texts!(StringBuilder::with_capacity(rows, bytes)),
    })
}
