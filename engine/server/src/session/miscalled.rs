//! Functions that there are not, or not for such arguments: told with the types of the arguments and by the name that
//! the statement has, which the planner knows no more.
//!
//! The statement is planned again with a function in place of those that may be meant, which says what it is given.
//! That happens after an error only.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Spanned as _,
    TableFactor, Value, Visit as _, Visitor,
};

use super::placed::of_ident;
use super::plan::{self, PlanContext};
use super::{params, rewrite, spelling};
use crate::pg_types::PgType;
use crate::sqlstate::{Construct, NO_FUNCTION, NO_OPERATOR, Place, ServerError};

/// The error of a plan, when it is about a function, with the types of its arguments.
pub(super) async fn told(
    context: &PlanContext,
    statement: &ast::Statement,
    error: ServerError,
) -> ServerError {
    let message = error.to_string();
    let Some(call) = message
        .strip_prefix("function ")
        .filter(|_| error.code() == "42883")
    else {
        return error;
    };
    let name = call.split(['(', ' ']).next().unwrap_or_default();
    let state = context.context.state();
    let about = error.what().cloned();
    let called = calls(statement, name, &state);
    // The innermost with all of the columns that the error is about.
    let within = |call: &&ast::Function| match about.as_ref().and_then(|about| about.columns) {
        Some((first, last)) => {
            let span = call.span();
            (span.start.line, span.start.column) <= first
                && last <= (span.end.line, span.end.column)
        }
        None => true,
    };
    let with_columns = about.as_ref().is_some_and(|about| about.columns.is_some());
    let found = match with_columns {
        true => called.iter().rev().find(within),
        false => None,
    };
    let Some(first) = found.or_else(|| called.first()) else {
        if let Some(error) = of_operator(statement, name, &message, &error) {
            return error;
        }
        return match special(statement, name) {
            Some((called, place)) => {
                // The part of a time is a word to PostgreSQL.
                let message = message.replacen(name, called, 1);
                let message = message.replacen("extract(text,", "extract(unknown,", 1);
                let message = message.replacen("timezone(text,", "timezone(unknown,", 1);
                let hint = error.hint_text().unwrap_or(NO_FUNCTION).to_owned();
                error.reworded(message).hint(hint).place(place)
            }
            None => in_from(statement, name, error),
        };
    };
    let written = rewrite::function_name(first);
    if let ast::FunctionArguments::List(list) = &first.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)] = list.args.as_slice()
    {
        let text = format!("function {written}() does not exist");
        return error.reworded(text).place(place(first));
    }
    if matches!(name, "coalesce" | "greatest" | "least")
        && let Some(unmatched) = unmatched(name, &message, first)
    {
        return unmatched;
    }
    if about.is_some_and(|about| about.construct == Construct::Call) {
        return error
            .reworded(as_written(&message.replacen(name, &written, 1), first))
            .place(place(first));
    }
    let is_scalar = |call: &ast::Function| {
        let name = rewrite::function_name(call);
        call.over.is_none()
            && call.filter.is_none()
            && !state.aggregate_functions().contains_key(&name)
    };
    if called.iter().all(is_scalar)
        && let Some(found) = told_again(context, statement, &written, state).await
    {
        return match error.hint_text() {
            Some(hint) if hint.starts_with("Perhaps") => found.hint(hint),
            _ => found,
        }
        .place(place(first));
    }
    // An aggregate knows its types already.
    error
        .reworded(message.replacen(name, &written, 1))
        .place(place(first))
}

/// The message of a call with the types that its constants have as they are written: what the function takes them for was
/// put on them.
fn as_written(message: &str, call: &ast::Function) -> String {
    let types = message.split_once('(').and_then(|(name, rest)| {
        let (types, rest) = rest.split_once(") does not exist")?;
        Some((name, types.split(", ").collect::<Vec<_>>(), rest))
    });
    let Some((name, types, rest)) = types else {
        return message.to_owned();
    };
    let arguments = rewrite::call_arguments(call);
    if arguments.len() != types.len() {
        return message.to_owned();
    }
    let told = types.iter().zip(arguments).map(|(told, argument)| {
        let constant =
            matches!(argument, Expr::Value(value) if !matches!(value.value, Value::Placeholder(_)));
        let argument = FunctionArg::Unnamed(FunctionArgExpr::Expr(argument.clone()));
        type_of(&argument).filter(|_| constant).unwrap_or(told)
    });
    let told: Vec<&str> = told.collect();
    format!("{name}({}) does not exist{rest}", told.join(", "))
}

fn place(function: &ast::Function) -> Option<Place> {
    let first = function.name.0.first().and_then(ObjectNamePart::as_ident);
    first.and_then(of_ident)
}

/// Functions with words between their arguments, which PostgreSQL calls by their schema.
fn special(statement: &ast::Statement, name: &str) -> Option<(&'static str, Option<Place>)> {
    let mut found = None;
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        let called = match (expr, name) {
            (Expr::Trim { .. }, "btrim") => "pg_catalog.btrim",
            (Expr::Trim { .. }, "ltrim") => "pg_catalog.ltrim",
            (Expr::Trim { .. }, "rtrim") => "pg_catalog.rtrim",
            (
                Expr::Substring {
                    special: false,
                    substring_from: Some(_),
                    ..
                },
                "substr" | "substring",
            ) => "pg_catalog.substring",
            (Expr::Substring { shorthand, .. }, "substr" | "substring") => match shorthand {
                true => "substr",
                false => "substring",
            },
            (Expr::Overlay { .. }, "overlay") => "pg_catalog.overlay",
            (
                Expr::BinaryOp {
                    left,
                    op: ast::BinaryOperator::Overlaps,
                    ..
                },
                "overlaps",
            ) => {
                let place = super::placed::end(left).map(|place| place.next(&["OVERLAPS"]));
                found = Some(("pg_catalog.overlaps", place));
                return ControlFlow::Break(());
            }
            (Expr::Extract { .. }, "extract") => "pg_catalog.extract",
            (Expr::Position { .. }, "strpos") => "pg_catalog.position",
            (Expr::AtTimeZone { timestamp, .. }, "timezone") => {
                let place = super::placed::end(timestamp).map(|place| place.next(&["AT"]));
                found = Some(("pg_catalog.timezone", place));
                return ControlFlow::Break(());
            }
            _ => return ControlFlow::Continue(()),
        };
        found = Some((called, super::placed::start(expr)));
        ControlFlow::Break(())
    });
    found
}

/// The error about an operator that the planner has as a function, when the statement has one such operator.
fn of_operator(
    statement: &ast::Statement,
    name: &str,
    message: &str,
    error: &ServerError,
) -> Option<ServerError> {
    use ast::{BinaryOperator as Op, UnaryOperator as Sign};
    let mut found = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        match expr {
            Expr::BinaryOp { left, op, .. }
                if matches!(
                    (op, name),
                    (Op::PGExp, "power")
                        | (Op::PGStartsWith, "starts_with")
                        | (Op::PGOverlap, "array_has_any")
                        | (
                            Op::StringConcat,
                            "array_append" | "array_prepend" | "array_concat" | "array_cat"
                        )
                ) =>
            {
                let sign = op.to_string();
                let place = super::placed::end(left).map(|place| place.next(&[&sign]));
                found.push((sign, place));
            }
            Expr::UnaryOp { op, .. }
                if matches!(
                    (op, name),
                    (Sign::PGAbs, "abs")
                        | (Sign::PGSquareRoot, "sqrt")
                        | (Sign::PGCubeRoot, "cbrt")
                ) =>
            {
                found.push((op.to_string(), super::placed::start(expr)));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let [(sign, place)] = found.as_slice() else {
        return None;
    };
    let types = message.split_once('(')?.1.split_once(')')?.0;
    let types: Vec<&str> = types.split(", ").collect();
    let (operation, hint) = match types.as_slice() {
        [one] => (format!("{sign} {one}"), NO_PREFIX_OPERATOR),
        [left, right] => (format!("{left} {sign} {right}"), NO_OPERATOR),
        _ => return None,
    };
    let text = format!("operator does not exist: {operation}");
    Some(error.clone().reworded(text).hint(hint).place(place.clone()))
}

/// What PostgreSQL advises about an operator of one value.
const NO_PREFIX_OPERATOR: &str = "No operator matches the given name and argument type. You might need to add an explicit type cast.";

/// Values of which one is to be given, and which have no type in common: that is no matter of the function.
fn unmatched(name: &str, message: &str, call: &ast::Function) -> Option<ServerError> {
    let types = message.split_once('(')?.1.split_once(')')?.0;
    let types: Vec<&str> = types.split(", ").collect();
    let first = types.iter().position(|of| *of != "unknown")?;
    let known = types.get(first)?;
    let other = types
        .iter()
        .skip(first)
        .position(|of| of != known && *of != "unknown")?
        + first;
    let text = format!(
        "{} types {known} and {} cannot be matched",
        name.to_ascii_uppercase(),
        types.get(other)?
    );
    let arguments = rewrite::call_arguments(call);
    let place = arguments
        .get(other)
        .and_then(|arg| super::placed::start(arg));
    Some(ServerError::new("42804", text).place(place))
}

/// The calls that the planner may call by this name.
fn calls(statement: &ast::Statement, name: &str, state: &SessionState) -> Vec<ast::Function> {
    let means = |written: &str| {
        let planned = spelling::planned_name(written);
        let scalar = state.scalar_functions().get(planned);
        let aggregate = state.aggregate_functions().get(planned);
        planned == name
            || written == name
            || scalar.is_some_and(|known| known.name() == name)
            || aggregate.is_some_and(|known| known.name() == name)
    };
    let mut found = Vec::new();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        if let Expr::Function(function) = expr
            && means(&rewrite::function_name(function))
        {
            found.push(function.clone());
        }
        ControlFlow::Continue(())
    });
    found
}

/// What the calls of this name are refused for; `None` when the plan says nothing of them.
async fn told_again(
    context: &PlanContext,
    statement: &ast::Statement,
    name: &str,
    state: SessionState,
) -> Option<ServerError> {
    let planned = spelling::planned_name(name);
    let inner = state.scalar_functions().get(planned).map(Arc::clone);
    let session = SessionContext::new_with_state(state);
    session.register_udf(ScalarUDF::new_from_impl(Called {
        name: name.to_owned(),
        inner,
        signature: Signature::one_of(
            vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
            Volatility::Immutable,
        ),
    }));
    let mut again = statement.clone();
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut again, |expr| {
        if let Expr::Function(function) = expr
            && rewrite::function_name(function) == name
        {
            function.name = ObjectName::from(vec![Ident::with_quote('"', CALLED)]);
        }
        ControlFlow::Continue(())
    });
    let context = PlanContext {
        context: session,
        ..context.clone()
    };
    plan::resolve(&context, &mut again).ok()?;
    let error = Box::pin(plan::logical(&context, again, &[])).await.err()?;
    (error.code() == "42883" && error.to_string().starts_with("function ")).then_some(error)
}

/// The name of a function that says what it is given.
const CALLED: &str = "called with";

#[derive(Debug)]
struct Called {
    /// As the statement has it.
    name: String,
    /// What it is called for; `None` when there is no such function.
    inner: Option<Arc<ScalarUDF>>,
    signature: Signature,
}

impl PartialEq for Called {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Called {}

impl std::hash::Hash for Called {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Called {
    fn name(&self) -> &str {
        CALLED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Null)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let given: Vec<FieldRef> = args.arg_fields.to_vec();
        if let Some(inner) = &self.inner
            && let Ok(fields) = fields_with_udf(&given, inner.as_ref())
        {
            let found = inner.return_field_from_args(ReturnFieldArgs {
                arg_fields: &fields,
                scalar_arguments: args.scalar_arguments,
            });
            if found.is_ok() {
                return found;
            }
        }
        if let ("unnest", [list]) = (self.name.as_str(), given.as_slice())
            && let DataType::List(item) = list.data_type()
        {
            return Ok(Arc::clone(item));
        }
        let types = given.iter().zip(args.scalar_arguments);
        let types: Vec<&str> = types.map(|(field, value)| shown(field, *value)).collect();
        let text = format!(
            "function {}({}) does not exist",
            self.name,
            types.join(", ")
        );
        let error = ServerError::new("42883", text).hint(NO_FUNCTION);
        Err(DataFusionError::External(Box::new(error)))
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Internal(
            "a plan that was made for its error".to_owned(),
        ))
    }
}

/// What PostgreSQL calls the type of an argument.
fn shown(field: &Field, value: Option<&ScalarValue>) -> &'static str {
    match value {
        Some(ScalarValue::Int64(Some(value))) if i32::try_from(*value).is_ok() => {
            PgType::INT4.sql_name()
        }
        Some(ScalarValue::Float64(Some(_))) => PgType::NUMERIC.sql_name(),
        Some(ScalarValue::Utf8(_)) | Some(ScalarValue::Null) => PgType::UNKNOWN.sql_name(),
        _ => PgType::of_field(field).sql_name(),
    }
}

/// The error about a function in FROM, with the types of its arguments where they are constants.
fn in_from(statement: &ast::Statement, name: &str, error: ServerError) -> ServerError {
    let mut found = InFrom { name, call: None };
    let _: ControlFlow<()> = statement.visit(&mut found);
    let Some((function, args)) = found.call else {
        return error;
    };
    let place = function
        .0
        .first()
        .and_then(ObjectNamePart::as_ident)
        .and_then(of_ident);
    let types: Option<Vec<&str>> = args.iter().map(type_of).collect();
    match types {
        Some(types) if !error.to_string().contains('(') => {
            let text = format!("function {name}({}) does not exist", types.join(", "));
            let hint = error.hint_text().unwrap_or(NO_FUNCTION).to_owned();
            error.reworded(text).hint(hint).place(place)
        }
        _ => error.place(place),
    }
}

struct InFrom<'a> {
    name: &'a str,
    call: Option<(ObjectName, Vec<FunctionArg>)>,
}

impl Visitor for InFrom<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let (name, args) = match factor {
            TableFactor::Table {
                name,
                args: Some(args),
                ..
            } => (name, &args.args),
            TableFactor::Function { name, args, .. } => (name, args),
            TableFactor::UNNEST { array_exprs, .. } if self.name == "unnest" => {
                let args = array_exprs.iter().cloned();
                let args = args.map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
                let name = ObjectName::from(vec![Ident::new("unnest")]);
                self.call = Some((name, args.collect()));
                return ControlFlow::Break(());
            }
            _ => return ControlFlow::Continue(()),
        };
        if rewrite::last_part(name) == self.name {
            self.call = Some((name.clone(), args.clone()));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The type of a constant or a cast as PostgreSQL calls it; `None` for anything else.
pub(super) fn type_of(arg: &FunctionArg) -> Option<&'static str> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
        return None;
    };
    let pg_type = match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.parse::<i32>().is_ok() => PgType::INT4,
            Value::Number(digits, _) if digits.parse::<i64>().is_ok() => PgType::INT8,
            Value::Number(..) => PgType::NUMERIC,
            Value::Boolean(_) => PgType::BOOL,
            _ => PgType::UNKNOWN,
        },
        Expr::Cast { data_type, .. } => params::type_of_sql(data_type)?,
        _ => return None,
    };
    Some(pg_type.sql_name())
}
