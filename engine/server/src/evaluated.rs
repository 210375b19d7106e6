//! Functions of PostgreSQL that the planner does not have, computed by the catalog evaluator for queries over the lake.
//!
//! ```text
//! SELECT format('%s:%s', contig, pos) FROM variants
//!   arguments: text, text, integer  ─►  the overload that PostgreSQL chooses  ─►  one call a row
//! ```
//! What the evaluator answers alone it answers over a table in the same way. A function that gives a set gives an array
//! here, which the session unnests. It is slower than a function of columns, and so only for what there is no other of.

mod operators;
mod values;

use operators::Operators;
pub(crate) use operators::{Subscripts, subscripted};

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray as _};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};

use crate::made::Made;
use crate::pg_catalog::{
    Aggregated, Call, CatalogError, CatalogModel, SessionInfo, decimals_of, function_named,
};
use crate::pg_types::{PgType, oid};
use crate::pgwire::encode::TextStyle;
use crate::sqlstate::ServerError;

/// The functions: none of these knows the session or a table.
const FUNCTIONS: [&str; 40] = [
    "array_fill",
    "array_lower",
    "array_to_json",
    "array_upper",
    "div",
    "format",
    "get_bit",
    "get_byte",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_extract_path",
    "json_extract_path_text",
    "json_object",
    "json_strip_nulls",
    "json_typeof",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_pretty",
    "jsonb_strip_nulls",
    "jsonb_typeof",
    "min_scale",
    "mod",
    "num_nonnulls",
    "num_nulls",
    "parse_ident",
    "pg_size_bytes",
    "pg_size_pretty",
    "pg_typeof",
    "quote_ident",
    "quote_literal",
    "quote_nullable",
    "regexp_split_to_array",
    "regexp_substr",
    "row_to_json",
    "scale",
    "sign",
];
/// More of them.
const MORE: [&str; 19] = [
    "bit_count",
    "convert",
    "convert_from",
    "convert_to",
    "hashtext",
    "hashtextextended",
    "jsonb_insert",
    "jsonb_set",
    "like_escape",
    "pg_column_size",
    "set_bit",
    "set_byte",
    "similar_to_escape",
    "to_json",
    "to_jsonb",
    "to_number",
    "trim_array",
    "trim_scale",
    "width_bucket",
];
/// Those that the planner has too, and answers otherwise, or that are written in its way: called by a name of their own.
const OTHERWISE: [&str; 9] = [
    "array_dims",
    "array_length",
    "array_ndims",
    "chr",
    "decode",
    "encode",
    "substring",
    "to_char",
    "to_hex",
];
/// Digits behind the point of numbers that a pattern of a column reads.
const MOST_DECIMALS: i8 = 16;
/// What their names begin with.
pub(crate) const AS_POSTGRES: &str = "pg_";
/// Those that give a set: called by a name of their own, which tells that an array of its rows is meant.
const SETS: [&str; 10] = [
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_object_keys",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_object_keys",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
];
/// Those that give a set of rows of a name and a value: called by a name for each of the two columns.
const PAIRS: [(&str, u32); 4] = [
    ("json_each", oid::JSON),
    ("json_each_text", oid::TEXT),
    ("jsonb_each", oid::JSONB),
    ("jsonb_each_text", oid::TEXT),
];
/// The columns of such rows.
const OF_PAIRS: [&str; 2] = ["key", "value"];
/// What the name of a function begins with that asks the catalog of a session.
const ASKED: &str = "pg_asked_";
/// What the name of a function begins with that gives the rows of a set as an array.
pub(crate) const ARRAY_OF: &str = "array_of_";

/// Adds the functions and operators to a session.
///
/// # Errors
/// When the session takes no planner of expressions.
pub(crate) fn register(context: &mut SessionContext) -> Result<()> {
    let own = Aggregated::ALL
        .iter()
        .map(|own| (own.name(), Callee::Own(*own)));
    let known = FUNCTIONS.iter().chain(&MORE);
    let known = known.map(|name| ((*name).to_owned(), Callee::Function(name)));
    let otherwise = OTHERWISE
        .iter()
        .map(|name| (format!("{AS_POSTGRES}{name}"), Callee::Function(name)));
    let sets = SETS
        .iter()
        .map(|name| (format!("{ARRAY_OF}{name}"), Callee::Function(name)));
    let pairs = PAIRS.iter().flat_map(|(name, value)| {
        let types = [oid::TEXT, *value];
        let columns = OF_PAIRS.iter().zip(types).enumerate();
        columns
            .map(|(at, (column, ty))| (column_function(name, column), Callee::Column(name, at, ty)))
    });
    let sets = sets.chain(pairs);
    for (name, callee) in known.chain(sets).chain(otherwise).chain(own) {
        let function = Arc::new(ScalarUDF::from(Evaluated::of(name, callee)));
        context.register_udf(function)?;
    }
    let state = context.state();
    if let Some(series) = state.scalar_functions().get("generate_series") {
        let series = series
            .as_ref()
            .clone()
            .with_aliases(["array_of_generate_series"]);
        context.register_udf(Arc::new(series))?;
    }
    context.register_expr_planner(Arc::new(Operators))
}

/// One of the functions that the planner has too, as PostgreSQL answers it.
pub(crate) fn otherwise(name: &'static str) -> ScalarUDF {
    ScalarUDF::from(Evaluated::of(
        format!("{AS_POSTGRES}{name}"),
        Callee::Function(name),
    ))
}

/// Whether a function is computed here.
pub(crate) fn is_own(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<Evaluated>().is_some()
}

/// The name that a function has in PostgreSQL.
pub(crate) fn planned_from(name: &str) -> &str {
    let otherwise = name.strip_prefix(AS_POSTGRES);
    let otherwise = otherwise.filter(|name| OTHERWISE.contains(name));
    otherwise
        .or_else(|| name.strip_prefix(ARRAY_OF))
        .unwrap_or(name)
}

/// Whether a function is one of these.
pub(crate) fn is_evaluated(name: &str) -> bool {
    FUNCTIONS.contains(&name) || MORE.contains(&name) || is_set(name)
}

/// Whether a function gives a set and is one of these.
pub(crate) fn is_set(name: &str) -> bool {
    SETS.contains(&name)
}

/// The function that gives a column of the rows of a set as an array.
fn column_function(name: &str, column: &str) -> String {
    format!("{ARRAY_OF}{name} {column}")
}

/// The columns that the rows of a set have, each with the function that gives it as an array; `None` for a set of values
/// and for any other function.
pub(crate) fn pairs(name: &str) -> Option<[(&'static str, String); 2]> {
    let known = PAIRS.iter().any(|(known, _)| *known == name);
    known.then(|| OF_PAIRS.map(|column| (column, column_function(name, column))))
}

/// What is called: a function of PostgreSQL, an operator, or what finishes an aggregate over an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Callee {
    Function(&'static str),
    /// A column of the rows of a set, by its place, and its type.
    Column(&'static str, usize, u32),
    Operator(&'static str),
    Own(Aggregated),
}

/// The catalog that a function asks, and the session that asks it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) model: Arc<CatalogModel>,
    pub(crate) session: Arc<SessionInfo>,
}

impl Known {
    fn places(&self) -> (usize, usize) {
        let place = Arc::as_ptr(&self.model).addr();
        (place, Arc::as_ptr(&self.session).addr())
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.places() == other.places()
    }
}

impl Eq for Known {}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.places().hash(state);
    }
}

/// A function that asks the catalog, by a name of its own: the planner keeps it for one statement.
pub(crate) fn asked(name: &str, known: Known) -> Option<ScalarUDF> {
    let function = function_named(name)?;
    Some(ScalarUDF::from(Evaluated {
        known: Some(known),
        signature: Signature::one_of(
            vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
            Volatility::Stable,
        ),
        ..Evaluated::of(format!("{ASKED}{name}"), Callee::Function(function))
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Evaluated {
    name: String,
    callee: Callee,
    signature: Signature,
    /// None: the function knows no session and no table.
    known: Option<Known>,
}

impl Evaluated {
    fn of(name: String, callee: Callee) -> Self {
        Self {
            name,
            callee,
            signature: Signature::one_of(
                vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
                Volatility::Immutable,
            ),
            known: None,
        }
    }

    fn chosen(&self, fields: &[FieldRef], constants: &[Option<&ScalarValue>]) -> Result<Call> {
        let readings = readings(fields, constants);
        let chosen = match self.callee {
            Callee::Function(name) => Call::choose(name, &readings),
            Callee::Column(name, at, ty) => {
                Call::choose(name, &readings).map(|call| call.of_column(at, ty))
            }
            Callee::Operator(name) => Call::operator(name, &readings),
            Callee::Own(own) => Call::finish(own, &readings),
        };
        chosen.map_err(failed)
    }
}

fn failed(error: CatalogError) -> DataFusionError {
    DataFusionError::External(Box::new(ServerError::from(error)))
}

/// What arguments may be taken for, the plainest first. To PostgreSQL a small whole constant is an integer, one with a
/// point is numeric, and one in quotes is of no type yet; what is computed of integers is bigint here only.
fn readings(fields: &[FieldRef], constants: &[Option<&ScalarValue>]) -> Vec<Vec<u32>> {
    let plain: Vec<u32> = fields
        .iter()
        .map(|field| match field.data_type() {
            DataType::Null => oid::UNKNOWN,
            _ => PgType::of_field(field).oid,
        })
        .collect();
    let constant = |at: usize| constants.get(at).copied().flatten();
    let written: Vec<u32> = plain
        .iter()
        .enumerate()
        .map(|(at, ty)| match (ty, constant(at)) {
            (&oid::INT8, Some(ScalarValue::Int64(Some(value))))
                if i32::try_from(*value).is_ok() =>
            {
                oid::INT4
            }
            (ty, _) => *ty,
        })
        .collect();
    let untyped = |types: &[u32]| -> Vec<u32> {
        let types = types.iter().enumerate();
        types
            .map(|(at, ty)| match (ty, constant(at)) {
                (&oid::TEXT, Some(_)) => oid::UNKNOWN,
                (ty, _) => *ty,
            })
            .collect()
    };
    let narrow = |types: &[u32]| -> Vec<u32> {
        let narrowed = types.iter().map(|ty| match *ty {
            oid::INT8 => oid::INT4,
            oid::INT8_ARRAY => oid::INT4_ARRAY,
            oid::FLOAT8 => oid::NUMERIC,
            ty => ty,
        });
        narrowed.collect()
    };
    let mut readings = vec![written.clone(), untyped(&written), plain.clone()];
    readings.extend([
        untyped(&plain),
        narrow(&written),
        untyped(&narrow(&written)),
    ]);
    readings.dedup();
    readings
}

impl ScalarUDFImpl for Evaluated {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> = types
            .iter()
            .map(|ty| Arc::new(Field::new("", ty.clone(), true)))
            .collect();
        Ok(self.field(&fields, &[])?.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.field(args.arg_fields, args.scalar_arguments)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constants: Vec<Option<&ScalarValue>> = args
            .args
            .iter()
            .map(|value| match value {
                ColumnarValue::Scalar(value) => Some(value),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let call = self.chosen(&args.arg_fields, &constants)?;
        // A result of constants is one, whatever the number of rows.
        let single = constants.iter().all(Option::is_some);
        let rows = if single { 1 } else { args.number_rows };
        let columns: Vec<(ArrayRef, u32)> = args
            .args
            .iter()
            .zip(call.given())
            .map(|(value, ty)| Ok((value.to_array(rows)?, *ty)))
            .collect::<Result<_>>()?;
        let readers = columns
            .iter()
            .map(|(array, ty)| values::Reader::new(array, *ty))
            .collect::<std::result::Result<Vec<_>, ServerError>>();
        let readers = readers.map_err(|error| DataFusionError::External(Box::new(error)))?;
        let given =
            (0..rows).map(|row| Ok(readers.iter().map(|reader| reader.value(row)).collect()));
        let style = TextStyle::of(&args.config_options);
        let known = self.known.as_ref();
        let known = known.map(|known| (known.model.as_ref(), known.session.as_ref()));
        let memory = Made::within(&args.config_options).pool();
        let results = call.rows(given, style, known, memory).map_err(failed)?;
        let made = values::array(&results, args.return_field.data_type(), &style);
        let made = made.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(match (single, made.as_list_opt::<i32>()) {
            (false, _) => ColumnarValue::Array(made),
            // What its items are told as is kept.
            (true, Some(list)) => ColumnarValue::Scalar(ScalarValue::List(Arc::new(list.clone()))),
            (true, None) => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
        })
    }
}

impl Evaluated {
    /// The field of the result.
    fn field(&self, fields: &[FieldRef], constants: &[Option<&ScalarValue>]) -> Result<FieldRef> {
        let call = self.chosen(fields, constants)?;
        let digits = match self.callee {
            Callee::Function("div" | "sign") => 0,
            // As many as the pattern has.
            Callee::Function("to_number") => match constants.get(1).copied().flatten() {
                Some(ScalarValue::Utf8(Some(pattern))) => {
                    i8::try_from(decimals_of(pattern)).unwrap_or(MOST_DECIMALS)
                }
                _ => MOST_DECIMALS,
            }
            .min(MOST_DECIMALS),
            _ => values::digits(fields),
        };
        let data_type = values::data_type(call.result(), digits);
        let mut metadata = HashMap::new();
        if let oid::JSON | oid::JSONB = call.result() {
            let name = PgType::scalar(call.result()).map_or("text", PgType::sql_name);
            metadata.insert("pg_type".to_owned(), name.to_owned());
        }
        let data_type = match call.is_set() {
            true => {
                let item = Field::new_list_field(data_type, true);
                DataType::List(Arc::new(item.with_metadata(metadata.clone())))
            }
            false => data_type,
        };
        let field = Field::new(&self.name, data_type, true);
        if call.result() == oid::NUMERIC {
            metadata.insert(crate::pg_types::ANY_SCALE.to_owned(), String::new());
        }
        Ok(Arc::new(field.with_metadata(metadata)))
    }
}
