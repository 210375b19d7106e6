//! Aggregates that are a function of all their values in order: made of `array_agg`.
//!
//! ```text
//! json_agg(x ORDER BY y)   ─►  json_agg_of_array(array_agg(to_json(x) ORDER BY y))
//! percentile_disc(0.5) WITHIN GROUP (ORDER BY x)
//!   ─►  percentile_disc_of_array(array_agg(x ORDER BY x) FILTER (WHERE x IS NOT NULL), 0.5)
//! ```

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, ObjectName, Value,
};

use super::calls::{call_arguments, call_of, is_call_of};
use super::names::last_part;
use crate::pg_catalog::Aggregated;
use crate::session::whole_row;

/// Makes such an aggregate what the planner has.
pub(super) fn respell(expr: &mut Expr) {
    let Expr::Function(function) = &*expr else {
        return;
    };
    if function.name.0.len() != 1 {
        return;
    }
    let name = last_part(&function.name);
    let arguments: Vec<Expr> = call_arguments(function).into_iter().cloned().collect();
    let Some(own) = Aggregated::named(&name) else {
        return;
    };
    let sorted = function.within_group.first();
    let made = match (own, arguments.as_slice(), sorted) {
        (Aggregated::Json, [value], None) => {
            let json = call_of("to_json", vec![value.clone()]);
            let array = array_of(function, &json);
            let is_row = matches!(value, Expr::Tuple(_))
                || matches!(value, Expr::Function(call)
                    if is_call_of(call, "row") || is_call_of(call, whole_row::NAME));
            let rows = if is_row { Aggregated::JsonRows } else { own };
            *expr = call_of(&rows.name(), vec![array]);
            return;
        }
        (Aggregated::Jsonb, [value], None) => {
            vec![array_of(
                function,
                &call_of("to_jsonb", vec![value.clone()]),
            )]
        }
        (Aggregated::JsonObject | Aggregated::JsonbObject, [name, value], None) => {
            let json = call_of("to_json", vec![value.clone()]);
            vec![array_of(function, name), array_of(function, &json)]
        }
        (Aggregated::Mode, [], Some(order)) => vec![sorted_array(function, order)],
        (Aggregated::PercentileDisc, [fraction], Some(order)) => {
            vec![sorted_array(function, order), fraction.clone()]
        }
        // Of one fraction the planner has it.
        (Aggregated::PercentileCont, [fractions @ Expr::Array(_)], Some(order)) => {
            vec![sorted_array(function, order), fractions.clone()]
        }
        _ => return,
    };
    *expr = call_of(&own.name(), made);
}

/// Constants within an aggregate's ORDER BY sort nothing; the planner counts columns by their numbers.
pub(super) fn without_constants(expr: &mut Expr) {
    let Expr::Function(Function {
        args: FunctionArguments::List(list),
        ..
    }) = expr
    else {
        return;
    };
    let is_distinct = list.duplicate_treatment == Some(ast::DuplicateTreatment::Distinct);
    let values: Vec<String> = list.args.iter().map(ToString::to_string).collect();
    for clause in &mut list.clauses {
        let FunctionArgumentClause::OrderBy(order) = clause else {
            continue;
        };
        // Of distinct values they are looked for among the arguments.
        order.retain(|by| {
            let is_constant = matches!(by.expr, Expr::Value(_));
            !is_constant || is_distinct && !values.contains(&by.expr.to_string())
        });
    }
    list.clauses.retain(
        |clause| !matches!(clause, FunctionArgumentClause::OrderBy(order) if order.is_empty()),
    );
}

/// `array_agg` of a value with the order, filter and window of an aggregate.
fn array_of(function: &Function, value: &Expr) -> Expr {
    let mut made = function.clone();
    made.name = ObjectName::from(vec![Ident::new("array_agg")]);
    if let FunctionArguments::List(list) = &mut made.args {
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(value.clone()))];
    }
    Expr::Function(made)
}

/// `array_agg` of what an ordered-set aggregate sorts: NULL takes no part.
fn sorted_array(function: &Function, order: &ast::OrderByExpr) -> Expr {
    let known = Expr::IsNotNull(Box::new(Expr::Nested(Box::new(order.expr.clone()))));
    let filter = match &function.filter {
        Some(filter) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(filter.clone())),
            op: BinaryOperator::And,
            right: Box::new(known),
        },
        None => known,
    };
    let mut made = function.clone();
    made.name = ObjectName::from(vec![Ident::new("array_agg")]);
    made.within_group = Vec::new();
    made.filter = Some(Box::new(filter));
    let value = FunctionArg::Unnamed(FunctionArgExpr::Expr(order.expr.clone()));
    made.args = FunctionArguments::List(ast::FunctionArgumentList {
        duplicate_treatment: None,
        args: vec![value],
        clauses: vec![FunctionArgumentClause::OrderBy(vec![order.clone()])],
    });
    Expr::Function(made)
}

/// Aggregates that are asked of a value and of what it is cast to.
const OF_A_VALUE: [&str; 16] = [
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "count",
    "max",
    "min",
    "stddev",
    "stddev_pop",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
];

/// Tells `sum(x)` from `sum(x::int)`, which the planner names alike and then refuses beside one another: the second
/// spelling is asked `FILTER (WHERE true)`, the third twice so.
pub(super) fn told_apart(statement: &mut ast::Statement) {
    let mut spellings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        if is_of_a_value(expr) {
            let known = spellings.entry(without_casts(expr)).or_default();
            let spelling = expr.to_string();
            if !known.contains(&spelling) {
                known.push(spelling);
            }
        }
        ControlFlow::Continue(())
    });
    spellings.retain(|_, known| known.len() > 1);
    if spellings.is_empty() {
        return;
    }
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        if is_of_a_value(expr) {
            let known = spellings.get(&without_casts(expr));
            let spelling = expr.to_string();
            let place = known.and_then(|known| known.iter().position(|text| *text == spelling));
            if let Expr::Function(function) = expr {
                for _ in 0..place.unwrap_or(0) {
                    let always = Expr::value(Value::Boolean(true));
                    function.filter = Some(Box::new(match function.filter.take() {
                        None => always,
                        Some(filter) => Expr::BinaryOp {
                            left: Box::new(Expr::Nested(filter)),
                            op: BinaryOperator::And,
                            right: Box::new(always),
                        },
                    }));
                }
            }
        }
        ControlFlow::Continue(())
    });
}

fn is_of_a_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function)
        if OF_A_VALUE.contains(&last_part(&function.name).to_ascii_lowercase().as_str()))
}

/// The text of an aggregate as the planner names it.
fn without_casts(aggregate: &Expr) -> String {
    let mut bare = aggregate.clone();
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut bare, |expr| {
        while let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
            *expr = inner.as_ref().clone();
        }
        ControlFlow::Continue(())
    });
    bare.to_string()
}
