//! What the build side tells the scan of the probe side: where spans lie.
//!
//! ```text
//! contig = 'chr7' AND (pos <= 117668665 AND end_pos >= 117480025 OR …) OR contig = 'chr13' AND (…)
//! ```
//! Spans that touch are one stretch, and where there are many stretches, those with the smallest gaps between them are
//! joined until few are left: the scan compares each row group, each page and each row with them (see [`Stretches`]). A row of the probe
//! side that matches any span lies in a stretch; the join judges every row all the same.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal, lit};

use super::build::Chunk;
use super::condition::IntervalCondition;
use super::stretches::{Group, Stretches, joined};
use crate::error::Result;

/// Stretches that a scan is told of at most.
const STRETCHES_MAX: usize = 128;

type Expr = Arc<dyn PhysicalExpr>;

/// Stretches of one group.
struct Outline<'a> {
    key: &'a [ScalarValue],
    stretches: Vec<(i64, i64)>,
}

/// The filter of rows of the probe side, and how many stretches it tells of; `None` when it can tell nothing.
pub(super) fn filter(
    condition: &IntervalCondition,
    probe: &Schema,
    chunk: &Chunk,
) -> Result<Option<(Expr, usize)>> {
    let (start, end) = (bare(&condition.right.start), bare(&condition.right.end));
    let keys: Vec<&Expr> = condition.keys.iter().map(|(_, right)| right).collect();
    let groups = chunk.keys.len();
    let named = chunk.keys.named();
    let mut outlines: Vec<Outline<'_>> = if named.len() == groups {
        let each = named.iter().enumerate();
        each.map(|(group, key)| Outline {
            key,
            stretches: chunk.index.outline(group),
        })
        .collect()
    } else {
        // Too many keys to name: where spans of any key lie.
        let mut all: Vec<_> = (0..groups)
            .flat_map(|group| chunk.index.outline(group))
            .collect();
        all.sort_unstable();
        vec![Outline {
            key: &[],
            stretches: joined(all.into_iter()),
        }]
    };
    outlines.retain(|outline| !outline.stretches.is_empty());
    reduce(&mut outlines);
    let stretches = outlines.iter().map(|outline| outline.stretches.len()).sum();
    let searched = is_searched(&start, &end, probe)?;
    let mut groups = Vec::new();
    let mut any: Option<Expr> = None;
    for outline in &outlines {
        let mut all: Option<Expr> = None;
        for (key, value) in keys.iter().zip(outline.key) {
            // A key that is no column of the scan's own type cannot be judged there.
            if key.downcast_ref::<Column>().is_some() && key.data_type(probe)? == value.data_type()
            {
                let value = Arc::new(Literal::new(value.clone()));
                all = both(all, Operator::And, binary(key, Operator::Eq, value));
            }
        }
        if searched {
            groups.push(Group {
                key: all,
                start: Arc::clone(&start),
                end: Arc::clone(&end),
                stretches: outline.stretches.clone(),
            });
            continue;
        }
        let mut within: Option<Expr> = None;
        for (first, last) in &outline.stretches {
            let before = bound(&start, probe, Operator::LtEq, *last)?;
            let after = bound(&end, probe, Operator::GtEq, *first)?;
            let stretch = match (before, after) {
                (Some(before), Some(after)) => binary(&before, Operator::And, after),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => lit(true),
            };
            within = both(within, Operator::Or, stretch);
        }
        let Some(within) = within else { continue };
        let Some(outline) = both(all, Operator::And, within) else {
            continue;
        };
        any = both(any, Operator::Or, outline);
    }
    let filter = match searched {
        true => Arc::new(Stretches::new(groups)),
        false => any.unwrap_or_else(|| lit(false)),
    };
    Ok(Some((filter, stretches)))
}

/// Whether both ends of a row are columns of one integer type.
fn is_searched(start: &Expr, end: &Expr, probe: &Schema) -> Result<bool> {
    if start.downcast_ref::<Column>().is_none() || end.downcast_ref::<Column>().is_none() {
        return Ok(false);
    }
    let (start, end) = (start.data_type(probe)?, end.data_type(probe)?);
    Ok(start == end && matches!(start, DataType::Int32 | DataType::Int64))
}

fn binary(left: &Expr, op: Operator, right: Expr) -> Expr {
    Arc::new(BinaryExpr::new(Arc::clone(left), op, right))
}

fn both(left: Option<Expr>, op: Operator, right: Expr) -> Option<Expr> {
    Some(match left {
        Some(left) => binary(&left, op, right),
        None => right,
    })
}

/// The expression below casts to wider integers, which keep every comparison.
fn bare(expr: &Expr) -> Expr {
    let mut expr = Arc::clone(expr);
    while let Some(cast) = expr.downcast_ref::<CastExpr>() {
        if *cast.cast_type() != DataType::Int64 {
            break;
        }
        expr = Arc::clone(cast.expr());
    }
    expr
}

/// `expr op value` in the type of a column; `None` when it is no column of integers, or the comparison is always true.
fn bound(expr: &Expr, probe: &Schema, op: Operator, value: i64) -> Result<Option<Expr>> {
    if expr.downcast_ref::<Column>().is_none() {
        return Ok(None);
    }
    let always = match op {
        Operator::LtEq => value >= i64::from(i32::MAX),
        _ => value <= i64::from(i32::MIN),
    };
    let literal = match expr.data_type(probe)? {
        DataType::Int32 if always => return Ok(None),
        // Beyond the other end of the type nothing matches.
        DataType::Int32 => match i32::try_from(value) {
            Ok(value) => ScalarValue::Int32(Some(value)),
            Err(_) => return Ok(Some(lit(false))),
        },
        DataType::Int64 => ScalarValue::Int64(Some(value)),
        _ => return Ok(None),
    };
    Ok(Some(binary(expr, op, Arc::new(Literal::new(literal)))))
}

/// Joins stretches over the smallest gaps until there are no more than [`STRETCHES_MAX`], or one of each group.
fn reduce(outlines: &mut [Outline<'_>]) {
    let count: usize = outlines.iter().map(|outline| outline.stretches.len()).sum();
    let Some(excess) = count
        .checked_sub(STRETCHES_MAX)
        .filter(|excess| *excess > 0)
    else {
        return;
    };
    let gap = |pair: &[(i64, i64)]| pair[0].1.abs_diff(pair[1].0);
    let gaps = outlines
        .iter()
        .flat_map(|outline| outline.stretches.windows(2).map(gap));
    let mut gaps: Vec<u64> = gaps.collect();
    if gaps.is_empty() {
        return;
    }
    let place = (excess - 1).min(gaps.len() - 1);
    let (_, widest, _) = gaps.select_nth_unstable(place);
    let widest = *widest;
    for outline in outlines {
        let mut kept: Vec<(i64, i64)> = Vec::new();
        for &(start, end) in &outline.stretches {
            match kept.last_mut() {
                Some((_, last)) if last.abs_diff(start) <= widest => *last = (*last).max(end),
                _ => kept.push((start, end)),
            }
        }
        outline.stretches = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_gaps_are_closed_first() {
        let spaced: Vec<(i64, i64)> = (0..200i64).map(|i| (i * i * 10, i * i * 10 + 3)).collect();
        let mut outlines = [Outline {
            key: &[],
            stretches: spaced,
        }];
        reduce(&mut outlines);
        let left = &outlines[0].stretches;
        assert_eq!(left.len(), STRETCHES_MAX);
        assert_eq!((left[0].0, left[127].1), (0, 199 * 199 * 10 + 3));
        assert!(left.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }
}
