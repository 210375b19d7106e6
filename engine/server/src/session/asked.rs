//! Types of the arguments of calls that only the planner knows: the statement is planned with a function in their place
//! that says what it is given.
//!
//! That happens where a call has a constant that hangs on the type of a column, `power(af, '2')`, and for parameters that
//! nothing else tells the type of.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Value,
};

use super::plan::{self, PlanContext};
use super::rewrite;
use super::rewrite::untyped::{Start, start_of};
use crate::pg_types::{PgType, oid};

/// What calls are given, by where they begin; `UNKNOWN` for what the planner does not know either.
pub(super) async fn types(
    context: &PlanContext,
    mut statement: ast::Statement,
    open: &[Start],
) -> BTreeMap<Start, Vec<u32>> {
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut statement, |expr| {
        if let Expr::Function(function) = expr
            && let Some(start) = start_of(&function.name)
            && let Some(number) = open.iter().position(|known| *known == start)
            && let FunctionArguments::List(list) = &mut function.args
        {
            let number = Expr::value(Value::Number(number.to_string(), false));
            let number = FunctionArg::Unnamed(FunctionArgExpr::Expr(number));
            list.args.insert(0, number);
            function.name = ObjectName::from(vec![Ident::with_quote('"', NAME)]);
        }
        ControlFlow::Continue(())
    });
    let places = told(context, statement, NAME).await.into_iter();
    places
        .filter_map(|(number, types)| Some((*open.get(number)?, types)))
        .collect()
}

/// What the planner tells of the calls of a function of this name, by their numbers.
async fn told(
    context: &PlanContext,
    statement: ast::Statement,
    name: &'static str,
) -> BTreeMap<usize, Vec<u32>> {
    let told = Told::default();
    let session = SessionContext::new_with_state(context.context.state());
    session.register_udf(ScalarUDF::new_from_impl(Asked {
        told: Arc::clone(&told),
        signature: Signature::variadic_any(Volatility::Immutable),
        name,
    }));
    let context = PlanContext {
        context: session,
        ..context.clone()
    };
    // Whatever it ends with, what was told is right.
    let (Ok(_) | Err(_)) = Box::pin(plan::logical_of(&context, statement, &[], false)).await;
    match told.lock() {
        Ok(told) => told.clone(),
        Err(poisoned) => poisoned.into_inner().clone(),
    }
}

/// The types of the arguments of those calls of [`call`] that the planner came to, by their numbers.
pub(super) async fn beside(
    context: &PlanContext,
    statement: ast::Statement,
) -> BTreeMap<usize, u32> {
    let first = told(context, statement, BESIDE).await.into_iter();
    first
        .filter_map(|(number, types)| Some((number, *types.first()?)))
        .collect()
}

/// An expression as the argument of a function that gives it back and says what its type is.
pub(super) fn call(number: usize, expr: Expr) -> Expr {
    let number = Expr::value(Value::Number(number.to_string(), false));
    let arguments = [number, expr].map(|part| FunctionArg::Unnamed(FunctionArgExpr::Expr(part)));
    let name = ObjectName::from(vec![Ident::with_quote('"', BESIDE)]);
    Expr::Function(rewrite::function_of(name, arguments.into()))
}

/// The names of the functions: of one in the place of a call, and of one around what stands beside a parameter.
const NAME: &str = "asked with";
const BESIDE: &str = "asked beside";

type Told = Arc<Mutex<BTreeMap<usize, Vec<u32>>>>;

#[derive(Debug)]
struct Asked {
    told: Told,
    signature: Signature,
    name: &'static str,
}

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.told, &other.told) && self.name == other.name
    }
}

impl Eq for Asked {}

impl std::hash::Hash for Asked {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let given = types.get(1).filter(|_| self.name == BESIDE);
        Ok(given.cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let number = match args.scalar_arguments.first() {
            Some(Some(ScalarValue::Int64(Some(number)))) => usize::try_from(*number).ok(),
            _ => None,
        };
        let types = args
            .arg_fields
            .iter()
            .skip(1)
            .map(|field| match field.data_type() {
                DataType::Null => oid::UNKNOWN,
                _ => PgType::of_field(field).oid,
            });
        if let (Some(number), Ok(mut told)) = (number, self.told.lock()) {
            told.insert(number, types.collect());
        }
        match args.arg_fields.get(1) {
            Some(given) if self.name == BESIDE => Ok(Arc::clone(given)),
            _ => Ok(Arc::new(Field::new(NAME, DataType::Null, true))),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let text = "a plan that was made to ask for types".to_owned();
        Err(DataFusionError::Internal(text))
    }
}
