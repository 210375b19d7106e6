//! Parameters among the arguments of a function whose other arguments only the planner knows the types of:
//! `gcd(pos, $1)`. The function that PostgreSQL chooses tells.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, Value};

use super::{null_of, placeholder, substitute};
use crate::pg_catalog::{self, Taken};
use crate::pg_types::{PgType, oid};
use crate::session::plan::{self, PlanContext};
use crate::session::rewrite::untyped::{Start, start_of};
use crate::session::{asked, rewrite};
use crate::sqlstate::ServerError;

/// A call with parameters of no type.
struct Call {
    name: String,
    /// Which of its arguments are such parameters.
    parameters: Vec<Option<usize>>,
}

/// Finds types of parameters that have none, by the functions that they are given to.
///
/// # Errors
/// As [`plan::resolve`].
pub(in crate::session) async fn called(
    context: &PlanContext,
    query: &ast::Statement,
    known: &mut [Option<PgType>],
) -> Result<(), ServerError> {
    let calls = calls(query, known);
    if calls.is_empty() {
        return Ok(());
    }
    let values: BTreeMap<usize, Expr> = (1..)
        .zip(known.iter())
        .map(|(number, known)| match known {
            Some(known) => (number, null_of(*known)),
            None => (number, Expr::value(Value::Null)),
        })
        .collect();
    let mut statement = query.clone();
    substitute(&mut statement, &values, false)?;
    plan::resolve(context, &mut statement)?;
    let starts: Vec<Start> = calls.keys().copied().collect();
    let told = Box::pin(asked::types(context, statement, &starts)).await;
    for (start, types) in told {
        let Some(call) = calls.get(&start) else {
            continue;
        };
        let parameters = call.parameters.iter();
        let given = types.iter().zip(parameters.clone());
        let given: Vec<Option<u32>> = given
            .map(|(known, parameter)| match parameter {
                Some(_) => Some(oid::UNKNOWN),
                None => Some(*known),
            })
            .collect();
        let Taken::As { arguments, .. } = pg_catalog::taken(&call.name, &given) else {
            continue;
        };
        for (number, taken) in parameters.zip(arguments) {
            let slot = number.and_then(|number| known.get_mut(number.checked_sub(1)?));
            let taken = taken.map(PgType::of_oid);
            if let (Some(slot @ None), Some(taken)) = (slot, taken)
                && (PgType::scalar(taken.oid).is_some() || taken.element().is_some())
            {
                *slot = Some(taken);
            }
        }
    }
    Ok(())
}

fn calls(query: &ast::Statement, known: &[Option<PgType>]) -> BTreeMap<Start, Call> {
    let is_open = |number: &usize| {
        let slot = number.checked_sub(1).and_then(|at| known.get(at));
        slot.is_some_and(Option::is_none)
    };
    let mut calls = BTreeMap::new();
    let _: ControlFlow<()> = ast::visit_expressions(query, |expr| {
        if let Expr::Function(function) = expr
            && let Some(start) = start_of(&function.name)
        {
            let arguments = rewrite::call_arguments(function);
            let parameters: Vec<Option<usize>> = arguments
                .iter()
                .map(|argument| placeholder(argument).filter(is_open))
                .collect();
            if parameters.iter().any(Option::is_some) {
                let name = rewrite::function_name(function);
                calls.insert(start, Call { name, parameters });
            }
        }
        ControlFlow::Continue(())
    });
    calls
}
