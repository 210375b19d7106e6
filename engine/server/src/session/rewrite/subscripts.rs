//! Subscripts of arrays, which the planner takes one by one and PostgreSQL all together.

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Subscript};

use super::calls::call_of;
use super::literals::{string_literal, text};
use crate::semantics::{Bound, SLICE, SUBSCRIPT};

/// A call for the subscripts of an expression; `None` when it has none that are PostgreSQL's.
pub(super) fn respell(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    let begin = chain
        .iter()
        .position(|access| matches!(access, AccessExpr::Subscript(_)))?;
    let (names, rest) = chain.split_at(begin);
    let subscripts: Vec<&Subscript> = rest
        .iter()
        .map_while(|access| match access {
            AccessExpr::Subscript(subscript) => Some(subscript),
            AccessExpr::Dot(_) => None,
        })
        .collect();
    let is_key = |subscript: &&Subscript| match subscript {
        // Of a map or a row, by name.
        Subscript::Index { index } => string_literal(index).is_some(),
        Subscript::Slice { stride, .. } => stride.is_some(),
    };
    if subscripts.iter().any(is_key) {
        return None;
    }
    let array = named(root, names)?;
    let call = match subscripts
        .iter()
        .any(|subscript| matches!(subscript, Subscript::Slice { .. }))
    {
        false => {
            let places = subscripts.iter().filter_map(|subscript| match subscript {
                Subscript::Index { index } => Some(index.clone()),
                Subscript::Slice { .. } => None,
            });
            call_of(SUBSCRIPT, std::iter::once(array).chain(places).collect())
        }
        true => slice(array, &subscripts),
    };
    let after = rest.get(subscripts.len()..).unwrap_or_default();
    Some(match after {
        [] => call,
        _ => Expr::CompoundFieldAccess {
            root: Box::new(call),
            access_chain: after.to_vec(),
        },
    })
}

fn slice(array: Expr, subscripts: &[&Subscript]) -> Expr {
    let mut bounds = String::new();
    let mut numbers = Vec::new();
    for subscript in subscripts {
        let (bound, lower, upper) = match subscript {
            Subscript::Index { index } => (Bound::Upper, None, Some(index)),
            Subscript::Slice {
                lower_bound,
                upper_bound,
                ..
            } => {
                let bound = match (lower_bound, upper_bound) {
                    (Some(_), Some(_)) => Bound::Both,
                    (Some(_), None) => Bound::Lower,
                    (None, Some(_)) => Bound::Upper,
                    (None, None) => Bound::Neither,
                };
                (bound, lower_bound.as_ref(), upper_bound.as_ref())
            }
        };
        bounds.push(bound.letter());
        numbers.extend(lower.into_iter().chain(upper).cloned());
    }
    let arguments = [array, text(&bounds)].into_iter().chain(numbers);
    call_of(SLICE, arguments.collect())
}

/// What is subscripted: an expression, or a column with the names before it.
fn named(root: &Expr, names: &[AccessExpr]) -> Option<Expr> {
    if names.is_empty() {
        return Some(root.clone());
    }
    let mut whole = match root {
        Expr::Identifier(name) => vec![name.clone()],
        Expr::CompoundIdentifier(names) => names.clone(),
        _ => return None,
    };
    for name in names {
        match name {
            AccessExpr::Dot(Expr::Identifier(name)) => whole.push(name.clone()),
            _ => return None,
        }
    }
    Some(Expr::CompoundIdentifier(whole))
}
