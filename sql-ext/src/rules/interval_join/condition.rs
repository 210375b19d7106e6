//! The overlap that a condition speaks of.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{JoinSide, Result};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExprRef, ScalarFunctionExpr};
use genokura_exec::{IntervalCondition, SpanExprs};

use super::Sides;
use super::region::{RegionPart, part_of};

/// What is found of a condition.
pub(super) struct Overlap {
    /// Keys beside those of the join.
    pub(super) keys: Vec<(PhysicalExprRef, PhysicalExprRef)>,
    pub(super) left: SpanExprs,
    pub(super) right: SpanExprs,
    pub(super) start_open: bool,
    pub(super) end_open: bool,
    /// The parts of the condition that are said by it, by number.
    pub(super) used: BTreeSet<usize>,
}

/// A comparison between the sides: a place of the left one, a place of the right one.
struct Comparison {
    part: usize,
    left: PhysicalExprRef,
    right: PhysicalExprRef,
    open: bool,
    /// How many of the places are called like positions.
    likeness: usize,
}

/// The overlap that the parts of a condition speak of together, if they do.
pub(super) fn overlap(parts: &[&PhysicalExprRef], sides: &Sides<'_>) -> Result<Option<Overlap>> {
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for (number, part) in parts.iter().enumerate() {
        match comparison(number, part, sides)? {
            Some((Operator::LtEq, comparison)) => starts.push(comparison),
            Some((_, comparison)) => ends.push(comparison),
            None => {}
        }
    }
    // The first of equals is the one that was written first.
    let best = |all: Vec<Comparison>| all.into_iter().rev().max_by_key(|c| c.likeness);
    let (Some(start), Some(end)) = (best(starts), best(ends)) else {
        return region(parts, sides);
    };
    Ok(Some(Overlap {
        keys: Vec::new(),
        left: SpanExprs {
            start: start.left,
            end: end.left,
        },
        right: SpanExprs {
            start: end.right,
            end: start.right,
        },
        start_open: start.open,
        end_open: end.open,
        used: BTreeSet::from([start.part, end.part]),
    }))
}

/// A part as a comparison between the sides: `<=` when it says that the left place is not behind the right, `>=` when
/// it says the opposite.
fn comparison(
    part: usize,
    expr: &PhysicalExprRef,
    sides: &Sides<'_>,
) -> Result<Option<(Operator, Comparison)>> {
    let Some(binary) = expr.downcast_ref::<BinaryExpr>() else {
        return Ok(None);
    };
    let (mut op, mut left, mut right) = (*binary.op(), binary.left(), binary.right());
    match (sides.side_of(left), sides.side_of(right)) {
        (Some(JoinSide::Left), Some(JoinSide::Right)) => {}
        (Some(JoinSide::Right), Some(JoinSide::Left)) => {
            (left, right) = (right, left);
            let Some(swapped) = op.swap() else {
                return Ok(None);
            };
            op = swapped;
        }
        _ => return Ok(None),
    }
    let (op, open) = match op {
        Operator::LtEq | Operator::Lt => (Operator::LtEq, op == Operator::Lt),
        Operator::GtEq | Operator::Gt => (Operator::GtEq, op == Operator::Gt),
        _ => return Ok(None),
    };
    if !is_place(left) || !is_place(right) {
        return Ok(None);
    }
    let left = bare(sides.moved(left, JoinSide::Left)?, sides.left)?;
    let right = bare(sides.moved(right, JoinSide::Right)?, sides.right)?;
    let (left_type, right_type) = (left.data_type(sides.left)?, right.data_type(sides.right)?);
    if !IntervalCondition::comparable(&left_type, &right_type) {
        return Ok(None);
    }
    let likeness = usize::from(is_called_position(&left)) + usize::from(is_called_position(&right));
    Ok(Some((
        op,
        Comparison {
            part,
            left,
            right,
            open,
            likeness,
        },
    )))
}

/// Whether an expression may be evaluated once for each row instead of once for each pair: a column, literals, casts,
/// sums and differences.
fn is_place(expr: &PhysicalExprRef) -> bool {
    if expr.downcast_ref::<Column>().is_some() || expr.downcast_ref::<Literal>().is_some() {
        return true;
    }
    if let Some(cast) = expr.downcast_ref::<CastExpr>() {
        return is_place(cast.expr());
    }
    let binary = expr.downcast_ref::<BinaryExpr>();
    binary.is_some_and(|binary| {
        matches!(binary.op(), Operator::Plus | Operator::Minus)
            && is_place(binary.left())
            && is_place(binary.right())
    })
}

/// The expression below casts to wider integers: the join compares all of them alike.
fn bare(expr: PhysicalExprRef, schema: &Schema) -> Result<PhysicalExprRef> {
    let mut expr = expr;
    while let Some(cast) = expr.downcast_ref::<CastExpr>() {
        let (from, to) = (cast.expr().data_type(schema)?, cast.cast_type());
        let widens = match (bits(&from), bits(to)) {
            (Some((from_bits, from_signed)), Some((to_bits, to_signed))) => {
                to_bits > from_bits && (to_signed || !from_signed)
                    || (to_bits, to_signed) == (from_bits, from_signed)
            }
            _ => false,
        };
        if !widens {
            break;
        }
        expr = Arc::clone(cast.expr());
    }
    Ok(expr)
}

/// Width of an integer, and whether it is signed.
fn bits(data_type: &DataType) -> Option<(u8, bool)> {
    Some(match data_type {
        DataType::Int8 => (8, true),
        DataType::Int16 => (16, true),
        DataType::Int32 => (32, true),
        DataType::Int64 => (64, true),
        DataType::UInt8 => (8, false),
        DataType::UInt16 => (16, false),
        DataType::UInt32 => (32, false),
        _ => return None,
    })
}

/// Whether the columns of a place are called as positions usually are.
fn is_called_position(expr: &PhysicalExprRef) -> bool {
    let called = |column: &Column| {
        let name = column.name().to_ascii_lowercase();
        ["pos", "start", "end", "begin", "stop"]
            .iter()
            .any(|word| name.contains(word))
    };
    collect_columns(expr).iter().any(called)
}

/// `in_region` of columns of one side with a region of the other.
fn region(parts: &[&PhysicalExprRef], sides: &Sides<'_>) -> Result<Option<Overlap>> {
    for part in parts {
        let Some(call) = part.downcast_ref::<ScalarFunctionExpr>() else {
            continue;
        };
        let (true, [contig, pos, end_pos, region]) = (call.name() == "in_region", call.args())
        else {
            continue;
        };
        let Some(of_region) = sides.side_of(region) else {
            continue;
        };
        let of_rows = of_region.negate();
        let rows = [contig, pos, end_pos];
        if !rows.iter().all(|expr| sides.side_of(expr) == Some(of_rows)) {
            continue;
        }
        if !is_place(pos) || !is_place(end_pos) {
            continue;
        }
        let row = |expr| sides.moved(expr, of_rows);
        let place = |expr| bare(row(expr)?, sides.schema(of_rows));
        let (pos, end_pos) = (place(pos)?, place(end_pos)?);
        let supported = |expr: &PhysicalExprRef| -> Result<bool> {
            let data_type = expr.data_type(sides.schema(of_rows))?;
            Ok(IntervalCondition::comparable(&data_type, &DataType::Int64))
        };
        if !supported(&pos)? || !supported(&end_pos)? {
            continue;
        }
        let row_key = part_of(RegionPart::Primary, row(contig)?);
        let region = sides.moved(region, of_region)?;
        let of = |part| part_of(part, Arc::clone(&region));
        let rows = SpanExprs {
            start: pos,
            end: end_pos,
        };
        let regions = SpanExprs {
            start: of(RegionPart::Start),
            end: of(RegionPart::End),
        };
        let swap = of_rows == JoinSide::Right;
        let keys = (row_key, of(RegionPart::Contig));
        let keys = if swap { (keys.1, keys.0) } else { keys };
        let (left, right) = if swap {
            (regions, rows)
        } else {
            (rows, regions)
        };
        // The key is weaker than the names that `in_region` takes: it stays as the filter.
        return Ok(Some(Overlap {
            keys: vec![keys],
            left,
            right,
            start_open: false,
            end_open: false,
            used: BTreeSet::new(),
        }));
    }
    Ok(None)
}
