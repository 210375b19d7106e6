//! Constants in quotes beside arrays: `a = '{1,2}'`, `coalesce(a, '{}')`, `SELECT a UNION SELECT '{}'`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr::{Alias, Case};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::type_union_coercion;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, Operator, Projection,
    ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Union, Volatility,
    cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::told::Item;
use super::{dimensions, failed, innermost};
use crate::pg_input::ColumnInput;
use crate::pg_types::PgType;
use crate::pgwire::encode::TextStyle;

/// Functions that give one of their arguments.
pub(in crate::semantics) const ONE_OF: [&str; 4] = ["coalesce", "greatest", "least", "nullif"];

pub(super) fn install(context: &SessionContext) {
    let state = context.state();
    for name in ONE_OF {
        if let Some(inner) = state.scalar_functions().get(name) {
            let inner = Arc::clone(inner);
            context.register_udf(ScalarUDF::new_from_impl(OneOf {
                inner,
                signature: Signature::user_defined(Volatility::Immutable),
            }));
        }
    }
    let planner = context
        .state_ref()
        .write()
        .register_expr_planner(Arc::new(Comparisons));
    if let Err(error) = planner {
        tracing::error!(%error, "a session without comparisons of arrays and constants");
    }
    // The planner's own puts an item to an array.
    crate::semantics::ask_first(context, Arc::new(NoArray));
}

/// The array that a constant in quotes is beside one of this field; `None` for anything else.
///
/// # Errors
/// 22P02 for a text that is no array, or has an item that its type does not have.
pub(in crate::semantics) fn read(constant: &Expr, beside: &Field) -> Result<Option<Expr>> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = constant else {
        return Ok(None);
    };
    // Instants would need the zone of the session.
    let zoned = matches!(
        innermost(beside.data_type()),
        DataType::Timestamp(_, Some(_))
    );
    if beside.data_type().is_decimal()
        && let Some(value) = crate::semantics::numeric(text)
    {
        return Ok(Some(Expr::Literal(value, None)));
    }
    if is_plain(beside.data_type()) {
        return Ok(Some(cast(constant.clone(), beside.data_type().clone())));
    }
    // Values are compared by their text: it has to be the one that they are kept as.
    let kind = PgType::of_field(beside);
    if is_kind(kind) {
        let text = crate::pg_input::kept_text(text, kind).map_err(failed)?;
        return Ok(Some(Expr::Literal(ScalarValue::Utf8(Some(text)), None)));
    }
    if dimensions(beside.data_type()) == 0 || zoned {
        return Ok(None);
    }
    let field = Field::new("constant", beside.data_type().clone(), true)
        .with_metadata(beside.metadata().clone());
    let read = || {
        let mut input = ColumnInput::new(&field)?;
        input.text(text, &TextStyle::default())?;
        input.finish()
    };
    let array = read().map_err(|error| match text.trim_start().starts_with('{') {
        true => failed(error),
        false => failed(error.hint("To look for an item of a list: \"value = ANY (list)\".")),
    })?;
    let value = ScalarValue::try_from_array(&array, 0)?;
    Ok(Some(Expr::Literal(value, None)))
}

/// Whether constants in quotes are read as values of this type where one type is wanted of several.
fn is_plain(data_type: &DataType) -> bool {
    data_type.is_numeric()
        || matches!(
            data_type,
            DataType::Boolean | DataType::Date32 | DataType::Interval(IntervalUnit::MonthDayNano)
        )
}

fn is_constant(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

/// What constants in quotes are that stand among values of these fields: arrays, or plain values.
fn wanted<'a>(fields: impl Iterator<Item = &'a FieldRef> + Clone) -> Option<FieldRef> {
    let array = fields
        .clone()
        .find(|field| dimensions(field.data_type()) > 0);
    if let Some(array) = array {
        return Some(Arc::clone(array));
    }
    let mut kinds = fields.clone().filter(|field| !field.data_type().is_null());
    if let Some(first) = kinds.next() {
        let kind = PgType::of_field(first);
        if is_kind(kind) && kinds.all(|field| PgType::of_field(field) == kind) {
            return Some(Arc::clone(first));
        }
    }
    let mut types = fields
        .map(|field| field.data_type())
        .filter(|data_type| !data_type.is_null());
    let first = types.next()?.clone();
    let common = types.try_fold(first, |known, other| type_union_coercion(&known, other))?;
    is_plain(&common).then(|| Arc::new(Field::new("constant", common, true)))
}

/// What the constants in quotes among some expressions are, by the others.
fn of_others(parts: &[&Expr], schema: &DFSchema) -> Option<FieldRef> {
    if !parts.iter().any(|part| is_constant(part)) {
        return None;
    }
    let others = parts.iter().filter(|part| !is_constant(part));
    let fields: Option<Vec<FieldRef>> = others
        .map(|part| part.to_field(schema).ok().map(|(_, field)| field))
        .collect();
    wanted(fields?.iter())
}

/// The field of an expression that is an array.
fn array(expr: &Expr, schema: &DFSchema) -> Option<FieldRef> {
    let (_, field) = expr.to_field(schema).ok()?;
    let reads = dimensions(field.data_type()) > 0 || is_kind(PgType::of_field(&field));
    reads.then_some(field)
}

/// Whether values of a type are texts that are compared as they are kept.
fn is_kind(pg_type: PgType) -> bool {
    matches!(pg_type, PgType::UUID | PgType::JSONB)
}

/// Whether values of a type are texts that are told as it.
fn is_told(pg_type: PgType) -> bool {
    is_kind(pg_type) || matches!(pg_type, PgType::JSON | PgType::INET)
}

#[derive(Debug)]
struct Comparisons;

impl ExprPlanner for Comparisons {
    fn plan_binary_op(
        &self,
        mut expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let compares = matches!(
            expr.op,
            BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
        );
        if compares {
            if let Some(field) = array(&expr.left, schema)
                && let Some(read) = read(&expr.right, &field)?
            {
                expr.right = read;
            } else if let Some(field) = array(&expr.right, schema)
                && let Some(read) = read(&expr.left, &field)?
            {
                expr.left = read;
            }
        }
        Ok(PlannerResult::Original(expr))
    }
}

/// `array || NULL`: no array is put to one, where the planner takes NULL for an item.
#[derive(Debug)]
struct NoArray;

impl ExprPlanner for NoArray {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let is_null = |side: &Expr| matches!(side, Expr::Literal(ScalarValue::Null, _));
        let is_array = |side: &Expr| {
            let data_type = side.get_type(schema);
            data_type.is_ok_and(|data_type| dimensions(&data_type) > 0)
        };
        Ok(match (is_null(&expr.left), is_null(&expr.right)) {
            (false, true) if is_array(&expr.left) => PlannerResult::Planned(expr.left),
            (true, false) if is_array(&expr.right) => PlannerResult::Planned(expr.right),
            _ => PlannerResult::Original(expr),
        })
    }
}

/// What an expression should be before common types are found; `None` when it is right.
///
/// # Errors
/// As [`read`].
pub(in crate::semantics) fn settled(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let read_as = |field: Option<FieldRef>, parts: &[&Expr]| -> Result<Option<Vec<Expr>>> {
        let Some(field) = field else {
            return Ok(None);
        };
        let mut any = false;
        let read = parts.iter().map(|part| {
            let read = read(part, &field)?.map(|read| match Item::of(&field) {
                Some(item) => item.reads(read),
                None => read,
            });
            any |= read.is_some();
            Ok(read.unwrap_or_else(|| Expr::clone(part)))
        });
        let read = read.collect::<Result<Vec<_>>>()?;
        Ok(any.then_some(read))
    };
    let better = |parts: &[&Expr]| {
        let field = parts.iter().find_map(|part| array(part, schema));
        read_as(field, parts)
    };
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if matches!(op, Operator::IsDistinctFrom | Operator::IsNotDistinctFrom) =>
        {
            let Some(sides) = better(&[left, right])? else {
                return Ok(None);
            };
            Ok(<[Expr; 2]>::try_from(sides).ok().map(|[left, right]| {
                Expr::BinaryExpr(BinaryExpr::new(Box::new(left), *op, Box::new(right)))
            }))
        }
        Expr::InList(list) => {
            // Thousands of items are of the type of the value, whatever they look like.
            let field = array(&list.expr, schema);
            let items: Vec<&Expr> = list.list.iter().collect();
            Ok(read_as(field, &items)?.map(|items| {
                let mut changed = list.clone();
                changed.list = items;
                Expr::InList(changed)
            }))
        }
        Expr::Between(between) => {
            let parts = better(&[&between.expr, &between.low, &between.high])?;
            let parts = parts.and_then(|parts| <[Expr; 3]>::try_from(parts).ok());
            Ok(parts.map(|[value, low, high]| {
                let mut changed = between.clone();
                (*changed.expr, *changed.low, *changed.high) = (value, low, high);
                Expr::Between(changed)
            }))
        }
        Expr::ScalarFunction(call) if ONE_OF.contains(&call.func.name()) => {
            let parts: Vec<&Expr> = call.args.iter().collect();
            Ok(read_as(of_others(&parts, schema), &parts)?.map(|args| {
                let mut changed = call.clone();
                changed.args = args;
                Expr::ScalarFunction(changed)
            }))
        }
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results: Vec<&Expr> = results.chain(case.else_expr.as_deref()).collect();
            Ok(
                read_as(of_others(&results, schema), &results)?.and_then(|results| {
                    let mut results = results.into_iter();
                    let mut when_then_expr = Vec::with_capacity(case.when_then_expr.len());
                    for (when, _) in &case.when_then_expr {
                        when_then_expr.push((when.clone(), Box::new(results.next()?)));
                    }
                    Some(Expr::Case(Case {
                        expr: case.expr.clone(),
                        when_then_expr,
                        else_expr: results.next().map(Box::new),
                    }))
                }),
            )
        }
        _ => Ok(None),
    }
}

/// A UNION whose constants in quotes are arrays where another part of it has arrays; `None` when it is right.
///
/// # Errors
/// As [`read`].
pub(in crate::semantics) fn united(union: &Union) -> Result<Option<LogicalPlan>> {
    let constant = |input: &LogicalPlan, at: usize| match input {
        LogicalPlan::Projection(projection) => match projection.expr.get(at) {
            Some(Expr::Alias(Alias { expr, .. })) => is_constant(expr),
            Some(expr) => is_constant(expr),
            None => false,
        },
        _ => false,
    };
    let arrays: Vec<Option<FieldRef>> = (0..union.schema.fields().len())
        .map(|at| {
            let mut inputs = union.inputs.iter();
            if !inputs.any(|input| constant(input, at)) {
                return None;
            }
            let typed = union.inputs.iter().filter(|input| !constant(input, at));
            wanted(typed.filter_map(|input| input.schema().fields().get(at)))
        })
        .collect();
    if arrays.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut any = false;
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let LogicalPlan::Projection(projection) = input.as_ref() else {
            inputs.push(Arc::clone(input));
            continue;
        };
        let mut exprs = projection.expr.clone();
        let mut changed = false;
        for (expr, field) in exprs.iter_mut().zip(&arrays) {
            let Some(field) = field else { continue };
            let name = expr.schema_name().to_string();
            let constant = match &*expr {
                Expr::Alias(Alias { expr, .. }) => expr,
                other => other,
            };
            if let Some(read) = read(constant, field)? {
                *expr = read.alias(name);
                changed = true;
            }
        }
        any |= changed;
        inputs.push(match changed {
            true => {
                let projection = Projection::try_new(exprs, Arc::clone(&projection.input))?;
                Arc::new(LogicalPlan::Projection(projection))
            }
            false => Arc::clone(input),
        });
    }
    match any {
        true => {
            Union::try_new_with_loose_types(inputs).map(|union| Some(LogicalPlan::Union(union)))
        }
        false => Ok(None),
    }
}

/// A function that gives one of its arguments, of which constants beside arrays wait for [`settled`], and what has no
/// type in common with another for [`super::super::mismatch`].
#[derive(Debug, PartialEq, Eq, Hash)]
struct OneOf {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for OneOf {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let waits = |one: &DataType| {
            dimensions(one) > 0 || (is_plain(one) && !one.is_numeric()) || one.is_temporal()
        };
        let later = types.iter().any(waits) && types.contains(&DataType::Utf8);
        if later || super::super::mismatch::unlike(types) {
            return Ok(types.to_vec());
        }
        crate::semantics::coerced(self.inner.as_ref(), types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        // A constant in quotes is of any type; NULLIF gives its first argument.
        let given = match self.name() {
            "nullif" => 1,
            _ => args.arg_fields.len(),
        };
        let fields = args.arg_fields.iter().zip(args.scalar_arguments);
        let mut told = fields
            .take(given)
            .filter(|(field, constant)| constant.is_none() && !field.data_type().is_null());
        let first = told.next().map(|(field, _)| Arc::clone(field));
        let kind = first.filter(|first| {
            let kind = PgType::of_field(first);
            is_told(kind) && told.all(|(field, _)| PgType::of_field(field) == kind)
        });
        let field = self.inner.return_field_from_args(args)?;
        Ok(match kind {
            Some(kind) if kind.data_type() == field.data_type() => {
                let metadata = kind.metadata().clone();
                Arc::new(field.as_ref().clone().with_metadata(metadata))
            }
            _ => field,
        })
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }
}
