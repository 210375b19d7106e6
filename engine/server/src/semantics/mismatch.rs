//! Values that have no operator, no cast and no common type in PostgreSQL, where the planner has one: to it a date is the
//! number of days since 1970, and a text beside a number is read as one.

mod alike;
mod classes;
mod expressions;
mod operands;
mod refusals;
mod signatures;
mod texts;
mod told;

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{
    DataFusionError, JoinConstraint, JoinType, NullEquality, Result, SchemaError,
};
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan};

use super::arrays::innermost;
use crate::pg_types::{PgType, dimensions};
use crate::sqlstate::{About, Construct, ServerError};
pub(super) use classes::unlike;
use classes::{Class, is_text};
use expressions::checked;
pub(super) use operands::install;
pub(super) use refusals::refused;
use refusals::{matched, missing, name};
use told::Told;

/// Refuses casts, comparisons and alternatives of values that have none.
///
/// # Errors
/// 42846, 42883, 42804.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    let looked = plan.apply_with_subqueries(|node| {
        let schema = super::input_schema(node);
        let told = Told::of(node);
        match node {
            LogicalPlan::Union(union) => {
                let queries: Vec<&LogicalPlan> = union.inputs.iter().map(AsRef::as_ref).collect();
                for at in 0..union.schema.fields().len() {
                    side_by_side("UNION", &queries, at)?;
                }
            }
            LogicalPlan::RecursiveQuery(query) => {
                let queries = [query.static_term.as_ref(), query.recursive_term.as_ref()];
                for at in 0..query.static_term.schema().fields().len() {
                    if let Some((wrong, error)) = alike::of_queries("UNION", &queries, at) {
                        let column = queries.get(wrong).and_then(|query| column(query, at));
                        let about = About::new(Construct::SetColumn(at), column);
                        return Err(refused(error.about(about)));
                    }
                }
            }
            LogicalPlan::Join(join) => match join.join_type {
                JoinType::LeftSemi if join.null_equality == NullEquality::NullEqualsNull => {
                    of_join("INTERSECT", join)?;
                }
                JoinType::LeftAnti if join.null_equality == NullEquality::NullEqualsNull => {
                    of_join("EXCEPT", join)?;
                }
                _ => {
                    for (left, right) in &join.on {
                        joined(left, right, join)?;
                        let of = |expr: &Expr, plan: &LogicalPlan| Class::of(expr, plan.schema());
                        if let (Some(l), Some(r)) = (of(left, &join.left), of(right, &join.right))
                            && l.unlike(r)
                        {
                            let left = name(left, join.left.schema());
                            let right = name(right, join.right.schema());
                            if join.join_constraint == JoinConstraint::Using {
                                let text = format!(
                                    "JOIN/USING types {left} and {right} cannot be matched"
                                );
                                return Err(refused(ServerError::new("42804", text)));
                            }
                            return Err(refused(missing(&format!("{left} = {right}"))));
                        }
                    }
                }
            },
            _ => {}
        }
        // The planner looks for these columns later, when a statement is prepared already.
        let is_condition = matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if is_condition
                    && let Expr::Column(column) = part
                    && !schema.has_column(column)
                {
                    let error = SchemaError::FieldNotFound {
                        field: Box::new(column.clone()),
                        valid_fields: schema.columns(),
                    };
                    return Err(DataFusionError::SchemaError(
                        Box::new(error),
                        Box::new(None),
                    ));
                }
                signatures::checked(part, &schema, &told)?;
                alike::checked(part, &told)?;
                checked(part, &schema)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    looked.map(|_| ())
}

/// The type of an expression of a node; `None` where nothing tells.
pub(super) fn type_in(node: &LogicalPlan, expr: &Expr) -> Option<u32> {
    Told::of(node).type_of(expr)
}

/// Refuses a call of a node that PostgreSQL has no function for.
///
/// # Errors
/// 42883.
pub(super) fn check_call(node: &LogicalPlan, call: &Expr) -> Result<()> {
    signatures::checked(call, &super::input_schema(node), &Told::of(node))
}

/// Refuses a join by values that no operator compares.
///
/// # Errors
/// 42883; 42804 of USING.
fn joined(left: &Expr, right: &Expr, join: &Join) -> Result<()> {
    let of = |side: &Expr, plan: &Arc<LogicalPlan>| Told::Inputs(vec![plan.as_ref()]).type_of(side);
    let (Some(l), Some(r)) = (of(left, &join.left), of(right, &join.right)) else {
        return Ok(());
    };
    match signatures::there(l, "=", r) {
        Ok(()) => Ok(()),
        Err(_) if join.join_constraint == JoinConstraint::Using => {
            let name = |ty: u32| PgType::of_oid(ty).sql_name();
            let text = format!(
                "JOIN/USING types {} and {} cannot be matched",
                name(l),
                name(r)
            );
            Err(refused(ServerError::new("42804", text)))
        }
        Err(operation) => Err(refused(missing(&operation))),
    }
}

/// Refuses columns of queries side by side that have no type in common.
///
/// # Errors
/// 42804.
fn side_by_side(place: &str, queries: &[&LogicalPlan], at: usize) -> Result<()> {
    if let Some((wrong, error)) = alike::of_queries(place, queries, at) {
        let column = queries.get(wrong).and_then(|query| column(query, at));
        return Err(refused(
            error.about(About::new(Construct::SetColumn(at), column)),
        ));
    }
    let types = queries.iter().map(|query| {
        let field = query.schema().fields().get(at)?;
        let class = Class::of_type(field.data_type()).filter(|_| !is_unknown(query, at))?;
        Some((class, PgType::of_field(field).sql_name().to_owned()))
    });
    let types: Vec<Option<(Class, String)>> = types.collect();
    let foreign = of_arrays(place, queries, at);
    foreign
        .and_then(|()| matched(place, types.into_iter()))
        .map_err(|(wrong, error)| {
            let column = queries.get(wrong).and_then(|query| column(query, at));
            let about = About::new(Construct::SetColumn(at), column);
            refused(error.about(about))
        })
}

/// An array and what is none have no type in common, nor have those of items that have none.
fn of_arrays(
    place: &str,
    queries: &[&LogicalPlan],
    at: usize,
) -> std::result::Result<(), (usize, ServerError)> {
    let known = queries.iter().enumerate().filter_map(|(number, query)| {
        let field = query.schema().fields().get(at)?;
        let known = !field.data_type().is_null() && !is_unknown(query, at);
        known.then_some((number, field))
    });
    let mut known = known.peekable();
    let Some((_, first)) = known.peek().copied() else {
        return Ok(());
    };
    let is_array = |field: &FieldRef| dimensions(field.data_type()) > 0;
    let class = |field: &FieldRef| Class::of_type(innermost(field.data_type()));
    let foreign = known.find(|(_, other)| {
        let items = (is_array(first) && is_array(other)).then(|| (class(first), class(other)));
        match items {
            Some((Some(one), Some(other))) => one.is_foreign(other),
            Some(_) => false,
            None => is_array(first) != is_array(other),
        }
    });
    match foreign {
        Some((number, other)) => {
            let name = |field: &FieldRef| PgType::of_field(field).sql_name();
            let (first_name, other_name) = (name(first), name(other));
            let error = match is_array(first) && is_array(other) {
                true => {
                    let text =
                        format!("{place} could not convert type {other_name} to {first_name}");
                    ServerError::new("42846", text)
                }
                false => {
                    let text =
                        format!("{place} types {first_name} and {other_name} cannot be matched");
                    ServerError::new("42804", text)
                }
            };
            Err((number, error))
        }
        None => Ok(()),
    }
}

fn of_join(place: &str, join: &Join) -> Result<()> {
    (0..join.on.len()).try_for_each(|at| side_by_side(place, &[&join.left, &join.right], at))
}

/// What a query shows as its column at this place, where it says so itself.
fn column(query: &LogicalPlan, at: usize) -> Option<&Expr> {
    match query {
        LogicalPlan::Projection(projection) => match projection.expr.get(at)? {
            Expr::Alias(alias) => Some(&alias.expr),
            other => Some(other),
        },
        LogicalPlan::Distinct(Distinct::All(input)) => column(input, at),
        LogicalPlan::Sort(sort) => column(&sort.input, at),
        LogicalPlan::Limit(limit) => column(&limit.input, at),
        LogicalPlan::Union(union) => column(union.inputs.first()?, at),
        _ => None,
    }
}

/// Whether a column of a query is a constant that has no type of its own.
fn is_unknown(query: &LogicalPlan, at: usize) -> bool {
    match query {
        LogicalPlan::Projection(projection) => match projection.expr.get(at) {
            Some(Expr::Alias(alias)) => is_untyped(&alias.expr),
            Some(other) => is_untyped(other),
            None => false,
        },
        LogicalPlan::Distinct(Distinct::All(input)) => is_unknown(input, at),
        LogicalPlan::Sort(sort) => is_unknown(&sort.input, at),
        LogicalPlan::Limit(limit) => is_unknown(&limit.input, at),
        LogicalPlan::SubqueryAlias(alias) => matches!(alias.input.as_ref(), LogicalPlan::Values(_)),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| is_unknown(input, at)),
        LogicalPlan::Values(_) => true,
        _ => false,
    }
}

fn is_untyped(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null() || is_text(&value.data_type()),
        Expr::Placeholder(_) => true,
        _ => false,
    }
}
