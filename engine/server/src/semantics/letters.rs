//! `upper`, `lower` and `initcap` letter by letter, as PostgreSQL has them: `ß` has no upper letter of its own and stays,
//! where the planner writes `SS`.

use std::sync::Arc;

use datafusion::arrow::array::{Array as _, ArrayRef, AsArray as _, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// Gives a context the functions.
pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    for case in [Case::Upper, Case::Lower, Case::Initial] {
        if let Some(inner) = state.scalar_functions().get(case.function()) {
            let inner = Arc::clone(inner);
            context.register_udf(ScalarUDF::new_from_impl(Letters { inner, case }));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Case {
    Upper,
    Lower,
    Initial,
}

impl Case {
    fn function(self) -> &'static str {
        match self {
            Case::Upper => "upper",
            Case::Lower => "lower",
            Case::Initial => "initcap",
        }
    }

    fn of(self, text: &str) -> String {
        let mut within = false;
        let changed = text.chars().map(|letter| {
            let changed = match self {
                Case::Upper => upper(letter),
                Case::Initial if !within => upper(letter),
                Case::Lower | Case::Initial => lower(letter),
            };
            within = letter.is_alphanumeric();
            changed
        });
        changed.collect()
    }
}

/// What a function of letters makes of a text.
pub(crate) fn cased(function: &str, text: &str) -> String {
    match function {
        "upper" => Case::Upper.of(text),
        "lower" => Case::Lower.of(text),
        _ => Case::Initial.of(text),
    }
}

/// The upper letter of one; itself where that would be several.
fn upper(letter: char) -> char {
    let mut all = letter.to_uppercase();
    match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

/// The lower letter of one, without marks that would stand behind it.
fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

/// The planner's function, which is faster for plain letters.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Letters {
    inner: Arc<ScalarUDF>,
    case: Case,
}

impl ScalarUDFImpl for Letters {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(texts) = args.args.first() else {
            return self.inner.invoke_with_args(args);
        };
        let single = matches!(texts, ColumnarValue::Scalar(_));
        let texts = texts.to_array(if single { 1 } else { args.number_rows })?;
        let plain: ArrayRef = match texts.data_type() {
            DataType::Utf8 => Arc::clone(&texts),
            _ => cast(&texts, &DataType::Utf8)?,
        };
        let plain = plain.as_string::<i32>();
        if plain.is_ascii() {
            return self.inner.invoke_with_args(args);
        }
        let changed: StringArray = plain
            .iter()
            .map(|text| text.map(|text| self.case.of(text)))
            .collect();
        let changed = cast(&changed, args.return_field.data_type())?;
        Ok(match single {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&changed, 0)?),
            false => ColumnarValue::Array(changed),
        })
    }
}
