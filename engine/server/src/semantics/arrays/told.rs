//! What arrays of texts are told as, and what stands in them: the planner knows a text where PostgreSQL has a uuid, and
//! forgets in what it makes of columns what they say of themselves.
//!
//! ```text
//! us || u, array_agg(u), ARRAY[u]    ─►   told_of(us || u, 'uuid', -1)     PostgreSQL's anyarray of anyelement
//! unnest(us)                         ─►   told_of(unnest(us), 'uuid', -1)
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, Expr, ExprSchemable as _,
    GroupsAccumulator, LogicalPlan, ReturnFieldArgs, ReversedUDAF, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};

use super::dimensions;
use crate::pg_types::{PgType, TYPMOD, modifier_of_field};
use crate::semantics::text::is_text;
use crate::semantics::wrapped::as_inner;

/// Functions that put arrays together, and whether what is no array among their arguments is an item.
const MADE: [(&str, bool); 14] = [
    ("array_append", true),
    ("array_concat", false),
    ("array_distinct", false),
    ("array_or_empty", false),
    ("array_prepend", true),
    ("array_remove", false),
    ("array_remove_all", false),
    ("array_replace", true),
    ("array_replace_all", true),
    ("array_resize", false),
    ("array_reverse", false),
    ("array_sort", false),
    ("make_array", true),
    ("trim_array", false),
];

/// Gives a context the aggregate whose arrays say what their items are.
pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    if let Some(inner) = state.aggregate_functions().get("array_agg") {
        let inner = Arc::clone(inner);
        context.register_udaf(AggregateUDF::new_from_impl(Gathered { inner }));
    }
}

/// What values are told as, where they are texts to the planner: the type of an item, and its modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) pg_type: PgType,
    pub(crate) modifier: i32,
}

impl Item {
    /// What a value is, or the items of it; `None` for what is no text, or a text and no more.
    pub(crate) fn of(field: &Field) -> Option<Item> {
        if !is_text(super::innermost(field.data_type())) {
            return None;
        }
        let told = PgType::of_field(field);
        let pg_type = told.element().unwrap_or(told);
        if pg_type == PgType::TEXT {
            return None;
        }
        Some(Item {
            pg_type,
            modifier: modifier_of_field(field),
        })
    }

    /// Without its modifier, which what is put together has not: blanks at the end of `char(n)` are told by it.
    fn of_any(self) -> Item {
        match self.pg_type {
            PgType::BPCHAR => self,
            pg_type => Item {
                pg_type,
                modifier: -1,
            },
        }
    }

    fn metadata(self) -> HashMap<String, String> {
        let mut metadata = HashMap::new();
        metadata.insert("pg_type".to_owned(), self.pg_type.sql_name().to_owned());
        if self.modifier >= 0 {
            metadata.insert(TYPMOD.to_owned(), self.modifier.to_string());
        }
        metadata
    }

    /// Texts read as such values.
    pub(super) fn reads(self, texts: Expr) -> Expr {
        let read = crate::session::told_as(self.pg_type, texts.clone());
        read.unwrap_or_else(|| self.of_any().tells(texts))
    }

    /// Values told so.
    pub(crate) fn tells(self, values: Expr) -> Expr {
        let function = ScalarUDF::new_from_impl(ToldOf(Signature::any(3, Volatility::Immutable)));
        let name = ScalarValue::Utf8(Some(self.pg_type.sql_name().to_owned()));
        let modifier = ScalarValue::Int64(Some(self.modifier.into()));
        let told = vec![
            values,
            Expr::Literal(name, None),
            Expr::Literal(modifier, None),
        ];
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), told))
    }
}

/// A call that makes an array, told by what it is made of; `None` for any other expression.
pub(in crate::semantics) fn told(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let Expr::ScalarFunction(call) = expr else {
        return None;
    };
    let (_, of_items) = MADE.iter().find(|(name, _)| *name == call.func.name())?;
    let (_, made) = expr.to_field(schema).ok()?;
    if dimensions(made.data_type()) == 0 || Item::of(&made).is_some() {
        return None;
    }
    let mut found: Option<Item> = None;
    for arg in &call.args {
        let (_, field) = arg.to_field(schema).ok()?;
        let array = dimensions(field.data_type()) > 0;
        if !(array || *of_items) || says_nothing(arg, &field) {
            continue;
        }
        let item = match call.func.name() {
            "make_array" => Item::of(&field)?,
            _ => Item::of(&field)?.of_any(),
        };
        match found {
            None => found = Some(item),
            Some(known) if known == item => {}
            Some(known) if known.pg_type == item.pg_type => {
                found = Some(Item {
                    modifier: -1,
                    ..known
                });
            }
            Some(_) => return None,
        }
    }
    found.map(|item| item.tells(expr.clone()))
}

/// Whether an argument takes the type of the others: a constant in quotes, NULL and an array of nothing.
pub(crate) fn says_nothing(arg: &Expr, field: &Field) -> bool {
    let constant = matches!(
        arg,
        Expr::Literal(ScalarValue::Utf8(_) | ScalarValue::Null, None)
    );
    constant || super::innermost(field.data_type()).is_null()
}

/// The columns of a list over rows of arrays, told as the items of these are.
///
/// # Errors
/// What changing a plan fails with.
pub(in crate::semantics) fn unnested(
    node: LogicalPlan,
) -> Result<datafusion::common::tree_node::Transformed<LogicalPlan>> {
    use datafusion::common::tree_node::Transformed;
    let LogicalPlan::Projection(projection) = &node else {
        return Ok(Transformed::no(node));
    };
    let LogicalPlan::Unnest(unnest) = projection.input.as_ref() else {
        return Ok(Transformed::no(node));
    };
    let below = unnest.input.schema();
    let columns = unnest.schema.columns().into_iter();
    let columns = columns.zip(&unnest.dependency_indices);
    let told = columns.filter_map(|(column, at)| {
        let is_list = unnest.list_type_columns.iter().any(|(list, _)| list == at);
        let field = below.fields().get(*at).filter(|_| is_list)?;
        Some((column, Item::of(field)?.of_any()))
    });
    let told: HashMap<Column, Item> = told.collect();
    if told.is_empty() {
        return Ok(Transformed::no(node));
    }
    crate::semantics::with_expressions(node, |expr, _| match expr {
        Expr::Column(column) => Some(told.get(column)?.tells(expr.clone())),
        _ => None,
    })
}

/// Values as they are, told as another type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToldOf(Signature);

impl ScalarUDFImpl for ToldOf {
    fn name(&self) -> &'static str {
        "told_of"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let values = args.arg_fields.first();
        let data_type = values.map_or(DataType::Null, |field| field.data_type().clone());
        let field = Field::new(self.name(), data_type, true);
        let [
            _,
            Some(ScalarValue::Utf8(Some(name))),
            Some(ScalarValue::Int64(Some(modifier))),
        ] = args.scalar_arguments
        else {
            return Err(DataFusionError::Internal("a type that is none".to_owned()));
        };
        let item = PgType::named(name).map(|pg_type| Item {
            pg_type,
            modifier: i32::try_from(*modifier).unwrap_or(-1),
        });
        let metadata = item.map(Item::metadata).unwrap_or_default();
        Ok(Arc::new(field.with_metadata(metadata)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args.into_iter().next();
        values.ok_or_else(|| DataFusionError::Internal("no values".to_owned()))
    }
}

/// `array_agg`, whose arrays are told by what they gather.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Gathered {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Gathered {
    as_inner!();

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let made = self.inner.return_field(fields)?;
        let item = fields.first().and_then(|field| Item::of(field));
        Ok(match item {
            Some(item) => {
                let metadata = item.of_any().metadata();
                Arc::new(made.as_ref().clone().with_metadata(metadata))
            }
            None => made,
        })
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn with_beneficial_ordering(
        self: Arc<Self>,
        beneficial: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let inner = self.inner.as_ref().clone();
        let sorted = inner.with_beneficial_ordering(beneficial)?;
        Ok(sorted.map(|inner| {
            let inner = Arc::new(inner);
            Arc::new(Gathered { inner }) as Arc<dyn AggregateUDFImpl>
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(inner) => {
                let reversed = AggregateUDF::new_from_impl(Gathered { inner });
                ReversedUDAF::Reversed(Arc::new(reversed))
            }
            other => other,
        }
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }
}
