//! Grouping sets within grouping sets and lists within ROLLUP and CUBE, which the planner does not read, as the sets that
//! they are of.
//!
//! ```text
//! ROLLUP ((a, b), c)                  ─►   GROUPING SETS ((a, b, c), (a, b), ())
//! GROUPING SETS (ROLLUP (a, b), (c))  ─►   GROUPING SETS ((a, b), (a), (), (c))
//! ```

use datafusion::sql::sqlparser::ast::{self, Expr};

use super::calls::{call_arguments, is_call_of};
use crate::sqlstate::ServerError;

/// Sets of one GROUP BY: PostgreSQL has no more.
const SETS_MAX: usize = 4096;
/// Columns of one CUBE.
const CUBE_MAX: usize = 12;

/// Makes of such sets what they are of.
///
/// # Errors
/// 54011 for more sets than there may be.
pub(super) fn flattened(select: &mut ast::Select) -> Result<(), ServerError> {
    let ast::GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
        return Ok(());
    };
    // The set of no columns is that of all rows; beside others it adds nothing.
    let is_nothing = |group: &Expr| matches!(group, Expr::Tuple(items) if items.is_empty());
    if groups.iter().any(is_nothing) {
        groups.retain(|group| !is_nothing(group));
        if groups.is_empty() {
            groups.push(Expr::GroupingSets(vec![Vec::new()]));
        }
    }
    for group in groups {
        let is_deep = match &*group {
            Expr::Rollup(items) | Expr::Cube(items) => items.iter().any(|item| item.len() != 1),
            Expr::GroupingSets(sets) => sets.iter().any(|set| within(set).is_some()),
            _ => false,
        };
        if is_deep {
            *group = Expr::GroupingSets(sets_of(group)?);
        }
    }
    Ok(())
}

/// ROLLUP or CUBE in place of a set, which the parser takes for a call of a function.
fn within(set: &[Expr]) -> Option<Expr> {
    let [Expr::Function(call)] = set else {
        return None;
    };
    let items = || {
        let items = call_arguments(call).into_iter().map(|item| match item {
            Expr::Tuple(list) => list.clone(),
            Expr::Nested(inner) => vec![inner.as_ref().clone()],
            other => vec![other.clone()],
        });
        items.collect()
    };
    if is_call_of(call, "rollup") {
        return Some(Expr::Rollup(items()));
    }
    is_call_of(call, "cube").then(|| Expr::Cube(items()))
}

/// The sets that an item of GROUP BY stands for.
fn sets_of(group: &Expr) -> Result<Vec<Vec<Expr>>, ServerError> {
    let sets = match group {
        Expr::Rollup(items) => (0..=items.len())
            .rev()
            .map(|length| items.iter().take(length).flatten().cloned().collect())
            .collect(),
        Expr::Cube(items) if items.len() > CUBE_MAX => {
            let text = format!("CUBE is limited to {CUBE_MAX} elements");
            return Err(ServerError::new("54011", text));
        }
        Expr::Cube(items) => (0..1usize << items.len())
            .map(|left_out| {
                let kept = items.iter().enumerate();
                let kept = kept.filter(|(at, _)| left_out >> at & 1 == 0);
                kept.flat_map(|(_, item)| item.iter().cloned()).collect()
            })
            .collect(),
        Expr::GroupingSets(sets) => {
            let mut all = Vec::with_capacity(sets.len());
            for set in sets {
                match within(set) {
                    Some(inner) => all.extend(sets_of(&inner)?),
                    None => all.push(set.clone()),
                }
            }
            all
        }
        other => vec![vec![other.clone()]],
    };
    match sets.len() > SETS_MAX {
        true => {
            let text = format!("too many grouping sets present (maximum {SETS_MAX})");
            Err(ServerError::new("54001", text))
        }
        false => Ok(sets),
    }
}
