//! Calls of functions: made, and taken apart.

use datafusion::sql::sqlparser::ast::{
    self, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName,
};

use super::literals::constant;
use super::names::{last_part, object_name};

/// Whether this is a call of the function of this name.
pub(in crate::session) fn is_call_of(function: &Function, name: &str) -> bool {
    function.name.0.len() == 1 && last_part(&function.name) == name
}

/// The arguments of a call; none when one has a name or is a wildcard.
pub(in crate::session) fn call_arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    let plain = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    plain.collect::<Option<_>>().unwrap_or_default()
}

/// One of the arguments of a call.
pub(in crate::session) fn call_argument_mut(
    function: &mut Function,
    place: usize,
) -> Option<&mut Expr> {
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    match list.args.get_mut(place)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// A call of a function with one argument.
pub(in crate::session) fn call(name: &str, argument: Expr) -> Expr {
    call_of(name, vec![argument])
}

pub(in crate::session) fn call_of(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(function_of(object_name(&[name]), arguments.collect()))
}

/// A call of a function by its name and arguments.
pub(in crate::session) fn function_of(name: ObjectName, arguments: Vec<FunctionArg>) -> Function {
    Function {
        name,
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments,
            clauses: Vec::new(),
        }),
        null_treatment: None,
        filter: None,
        over: None,
        within_group: Vec::new(),
    }
}

/// The constant arguments of a call as text; None for one that is no constant or NULL.
pub(super) fn arguments(function: &Function) -> Vec<Option<String>> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(expr),
            _ => None,
        })
        .collect()
}
