//! Values that have no operator, no cast and no common type in PostgreSQL, where the planner has one: to it a date is the
//! number of days since 1970.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::FunctionRegistry as _;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, LogicalPlan, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::arrays::constants::ONE_OF;
use crate::pg_types::PgType;
use crate::sqlstate::ServerError;

/// Refuses operators of values that have none, before the planner looks for a common type.
pub(super) fn install(context: &SessionContext) {
    let planner = context
        .state_ref()
        .write()
        .register_expr_planner(std::sync::Arc::new(Operands));
    if let Err(error) = planner {
        tracing::error!(%error, "a session that compares dates with numbers");
    }
}

#[derive(Debug)]
struct Operands;

impl ExprPlanner for Operands {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        // The type of a chain of conditions is asked of every link: long ones would be looked at again for each.
        let there: fn(Class, &BinaryOperator, Class) -> bool = match expr.op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => |l, _, r| !l.unlike(r),
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => arithmetic,
            BinaryOperator::StringConcat => |l, _, r| {
                l == Class::Text || r == Class::Text || l == Class::Bytes && r == Class::Bytes
            },
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (left, right) = (
            Class::of(&expr.left, schema),
            Class::of(&expr.right, schema),
        );
        let (Some(l), Some(r)) = (left, right) else {
            return Ok(PlannerResult::Original(expr));
        };
        match there(l, &expr.op, r) {
            true => Ok(PlannerResult::Original(expr)),
            false => Err(no_operator(
                &expr.left,
                &expr.op.to_string(),
                &expr.right,
                schema,
            )),
        }
    }
}

/// What operators there are between values of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Number,
    Text,
    Bool,
    Bytes,
    Date,
    Stamp,
    Time,
    Span,
}

impl Class {
    /// `None` for what fits anything, as NULL and constants in quotes, and for arrays and rows.
    fn of(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        match expr {
            Expr::Literal(value, _) if value.is_null() || is_text(&value.data_type()) => None,
            Expr::Placeholder(_) => None,
            Expr::Alias(alias) => Self::of(&alias.expr, schema),
            _ => Self::of_type(&expr.get_type(schema).ok()?),
        }
    }

    fn of_type(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Class::Bool,
            data_type if data_type.is_numeric() => Class::Number,
            data_type if is_text(data_type) => Class::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Class::Bytes,
            DataType::Date32 | DataType::Date64 => Class::Date,
            DataType::Timestamp(..) => Class::Stamp,
            DataType::Time32(_) | DataType::Time64(_) => Class::Time,
            DataType::Interval(_) => Class::Span,
            _ => return None,
        })
    }

    fn is_time(self) -> bool {
        matches!(self, Class::Date | Class::Stamp | Class::Time | Class::Span)
    }

    /// Whether one is a time and the other a number or a truth value: nothing compares the two.
    fn unlike(self, other: Self) -> bool {
        let plain = |class: Self| matches!(class, Class::Number | Class::Bool);
        (self.is_time() && plain(other)) || (plain(self) && other.is_time())
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Whether some types are those of a time and of a number.
pub(super) fn unlike(types: &[DataType]) -> bool {
    let classes: Vec<Class> = types.iter().filter_map(Class::of_type).collect();
    let mut pairs = classes.iter().enumerate();
    pairs.any(|(at, one)| classes.iter().skip(at).any(|other| one.unlike(*other)))
}

fn arithmetic(l: Class, op: &BinaryOperator, r: Class) -> bool {
    use Class::{Bool, Bytes, Date, Number, Span, Stamp, Text, Time};
    let (plus, minus) = (
        matches!(op, BinaryOperator::Plus),
        matches!(op, BinaryOperator::Minus),
    );
    match (l, r) {
        (Number, Number) => true,
        (Text | Bool | Bytes, _) | (_, Text | Bool | Bytes) => false,
        (Date, Number) => plus || minus,
        (Number, Date) => plus,
        (Span, Number) => matches!(op, BinaryOperator::Multiply | BinaryOperator::Divide),
        (Number, Span) => matches!(op, BinaryOperator::Multiply),
        (Date | Stamp, Date | Stamp) | (Time, Time) => minus,
        (Date | Stamp | Time | Span, Span) => plus || minus,
        (Span, Date | Stamp | Time) | (Date, Time) | (Time, Date) => plus,
        _ => false,
    }
}

/// Refuses casts, comparisons and alternatives of values that have none.
///
/// # Errors
/// 42846, 42883, 42804.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    let looked = plan.apply_with_subqueries(|node| {
        let schema = super::input_schema(node);
        if let LogicalPlan::Union(union) = node {
            for at in 0..union.schema.fields().len() {
                let types = union.inputs.iter().filter_map(|input| {
                    let field = input.schema().fields().get(at)?;
                    Some((Class::of_type(field.data_type())?, PgType::of_field(field)))
                });
                let types = types.map(|(class, of)| (class, of.sql_name().to_owned()));
                matched("UNION", types)?;
            }
        }
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                checked(part, &schema)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    looked.map(|_| ())
}

fn checked(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let class = |expr: &Expr| Class::of(expr, schema);
    let told = |expr: &Expr| Some((class(expr)?, name(expr, schema)));
    match expr {
        Expr::Cast(cast) => {
            let (Some(from), Some(to)) =
                (class(&cast.expr), Class::of_type(cast.field.data_type()))
            else {
                return Ok(());
            };
            match from.unlike(to) {
                false => Ok(()),
                true => {
                    let from = name(&cast.expr, schema);
                    let to = PgType::of_field(&cast.field).sql_name();
                    let text = format!("cannot cast type {from} to {to}");
                    Err(refused(ServerError::new("42846", text)))
                }
            }
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom,
            right,
        }) => compared(left, "=", right, schema),
        Expr::Between(between) => {
            compared(&between.expr, ">=", &between.low, schema)?;
            compared(&between.expr, "<=", &between.high, schema)
        }
        Expr::InList(list) => list
            .list
            .iter()
            .try_for_each(|item| compared(&list.expr, "=", item, schema)),
        Expr::InSubquery(within) => {
            let field = within.subquery.subquery.schema().fields().first();
            let other = field.and_then(|field| {
                let of = Class::of_type(field.data_type())?;
                Some((of, PgType::of_field(field).sql_name()))
            });
            match (class(&within.expr), other) {
                (Some(l), Some((r, right))) if l.unlike(r) => {
                    let left = name(&within.expr, schema);
                    Err(missing(&format!("{left} = {right}")))
                }
                _ => Ok(()),
            }
        }
        Expr::SetComparison(compared) => {
            let field = compared.subquery.subquery.schema().fields().first();
            let other = field.and_then(|field| {
                let of = Class::of_type(field.data_type())?;
                Some((of, PgType::of_field(field).sql_name()))
            });
            match (class(&compared.expr), other) {
                (Some(l), Some((r, right)))
                    if l.unlike(r) || (l == Class::Text) != (r == Class::Text) =>
                {
                    let left = name(&compared.expr, schema);
                    Err(missing(&format!("{left} {} {right}", compared.op)))
                }
                _ => Ok(()),
            }
        }
        Expr::AggregateFunction(aggregate) => {
            if let Some(filter) = &aggregate.params.filter {
                boolean("FILTER", filter, schema)?;
            }
            let args = &aggregate.params.args;
            let takes = match (aggregate.func.name(), args.as_slice()) {
                ("min" | "max", [arg]) => class(arg) != Some(Class::Bool),
                ("count", args) => args.len() < 2,
                _ => true,
            };
            match takes {
                true => Ok(()),
                false => Err(no_function(aggregate.func.name(), args, schema)),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "character_length" => {
            match call.args.first().and_then(class) {
                None | Some(Class::Text | Class::Bytes) => Ok(()),
                Some(_) => Err(no_function("length", &call.args, schema)),
            }
        }
        Expr::ScalarFunction(call) if ONE_OF.contains(&call.func.name()) => {
            let args = call.args.as_slice();
            if let ("nullif", [left, right]) = (call.func.name(), args) {
                compared(left, "=", right, schema)?;
                return match text_beside(args, schema) {
                    true => Err(no_operator(left, "=", right, schema)),
                    false => Ok(()),
                };
            }
            let place = call.func.name().to_ascii_uppercase();
            matched(&place, args.iter().filter_map(told))?;
            match (text_beside(args, schema), args) {
                (true, [first, rest @ ..]) => {
                    let first = name(first, schema);
                    let rest = rest.iter().map(|arg| name(arg, schema));
                    let other = rest.into_iter().find(|other| *other != first);
                    let other = other.unwrap_or_else(|| first.clone());
                    let text = format!("{place} types {first} and {other} cannot be matched");
                    Err(refused(ServerError::new("42804", text)))
                }
                _ => Ok(()),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "make_array" => {
            matched("ARRAY", call.args.iter().filter_map(told))
        }
        // PostgreSQL begins with ELSE.
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results = case.else_expr.as_deref().into_iter().chain(results);
            matched("CASE", results.filter_map(told))?;
            let mut conditions = case.when_then_expr.iter();
            let Some(value) = &case.expr else {
                return conditions.try_for_each(|(when, _)| boolean("CASE/WHEN", when, schema));
            };
            conditions.try_for_each(|(when, _)| compared(value, "=", when, schema))
        }
        _ => Ok(()),
    }
}

/// Whether a text that is no constant is among values that are none: it would be read as one of them.
fn text_beside(args: &[Expr], schema: &DFSchema) -> bool {
    let is_text = |arg: &Expr| Class::of(arg, schema) == Some(Class::Text);
    let is_other = |arg: &Expr| match Class::of(arg, schema) {
        Some(class) => class.is_time() || class == Class::Bool,
        None => arg
            .get_type(schema)
            .is_ok_and(|data_type| super::arrays::dimensions(&data_type) > 0),
    };
    args.iter().any(is_text) && args.iter().any(is_other)
}

/// # Errors
/// 42804 for a condition that is none.
fn boolean(place: &str, condition: &Expr, schema: &DFSchema) -> Result<()> {
    match Class::of(condition, schema) {
        None | Some(Class::Bool) => Ok(()),
        Some(_) => {
            let found = name(condition, schema);
            let text = format!("argument of {place} must be type boolean, not type {found}");
            Err(refused(ServerError::new("42804", text)))
        }
    }
}

fn no_function(function: &str, args: &[Expr], schema: &DFSchema) -> DataFusionError {
    let types: Vec<String> = args.iter().map(|arg| name(arg, schema)).collect();
    let text = format!("function {function}({}) does not exist", types.join(", "));
    refused(ServerError::new("42883", text).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    ))
}

/// # Errors
/// 42804 when one of the types, which have to become one, is a time and another a number.
fn matched(place: &str, mut types: impl Iterator<Item = (Class, String)>) -> Result<()> {
    let Some((first, known)) = types.next() else {
        return Ok(());
    };
    match types.find(|(class, _)| first.unlike(*class)) {
        Some((_, other)) => {
            let text = format!("{place} types {known} and {other} cannot be matched");
            Err(refused(ServerError::new("42804", text)))
        }
        None => Ok(()),
    }
}

/// # Errors
/// 42883 when one is a time and the other a number.
fn compared(left: &Expr, op: &str, right: &Expr, schema: &DFSchema) -> Result<()> {
    match (Class::of(left, schema), Class::of(right, schema)) {
        (Some(l), Some(r)) if l.unlike(r) => Err(no_operator(left, op, right, schema)),
        _ => Ok(()),
    }
}

fn no_operator(left: &Expr, op: &str, right: &Expr, schema: &DFSchema) -> DataFusionError {
    missing(&format!(
        "{} {op} {}",
        name(left, schema),
        name(right, schema)
    ))
}

fn missing(operation: &str) -> DataFusionError {
    let error = ServerError::new("42883", format!("operator does not exist: {operation}"));
    refused(error.hint(
        "No operator matches the given name and argument types. You might need to add explicit type casts.",
    ))
}

/// What PostgreSQL calls the type of an expression: a small whole constant is an integer, one with a point numeric.
fn name(expr: &Expr, schema: &DFSchema) -> String {
    let expr = match expr {
        Expr::Alias(alias) => alias.expr.as_ref(),
        other => other,
    };
    let value = match expr {
        Expr::Negative(inner) => inner.as_ref(),
        other => other,
    };
    let pg_type = match value {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) if i32::try_from(*value).is_ok() => {
            PgType::INT4
        }
        Expr::Literal(ScalarValue::Float64(Some(_)), _) => PgType::NUMERIC,
        Expr::Literal(value, _) if value.is_null() || is_text(&value.data_type()) => {
            PgType::UNKNOWN
        }
        _ => match expr.to_field(schema) {
            Ok((_, field)) => PgType::of_field(&field),
            Err(_) => PgType::UNKNOWN,
        },
    };
    pg_type.sql_name().to_owned()
}

fn refused(error: ServerError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
