//! Rows compared with rows, column by column: a NULL in one of them leaves open what the others do not settle.
//!
//! ```text
//! (a, b) <> (1, NULL)   ─►   a <> 1 OR b <> NULL
//! (a, b) < (c, d)       ─►   a < c OR a = c AND b < d
//! ```
//! To the planner a row is one value, and NULL equals NULL in it.

mod long_lists;
mod subqueries;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, AccessExpr, BinaryOperator, Expr, Value};

pub(super) use subqueries::memberships;

use super::calls::{call_arguments, call_of, is_call_of};
use super::literals::cast;
use super::names::folded;
use crate::semantics::OVERLAPS;
use crate::session::params::placeholder;
use crate::session::placed::start;
use crate::sqlstate::{NO_OPERATOR, ServerError};

/// Rows of a list that are compared one by one.
const LISTED_MAX: usize = 500;

/// Makes `(a, b) OVERLAPS (c, d)` a call.
///
/// # Errors
/// 42601 for a row of other than two.
pub(super) fn overlaps(expr: &mut Expr) -> Result<(), ServerError> {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::Overlaps,
        right,
    } = expr
    else {
        return Ok(());
    };
    let pair = |side: &Expr, which: &str| {
        let pair = items(side).unwrap_or_default();
        let text = format!("wrong number of parameters on {which} side of OVERLAPS expression");
        match pair.len() {
            2 => Ok(pair),
            _ => Err(ServerError::syntax(text, None).place(start(side))),
        }
    };
    let mut times = pair(left, "left")?;
    times.extend(pair(right, "right")?);
    *expr = call_of(OVERLAPS, times);
    Ok(())
}

/// Makes a comparison of rows one of their columns.
///
/// # Errors
/// 42601 for rows of different lengths.
pub(super) fn columnwise(expr: &mut Expr) -> Result<(), ServerError> {
    let made = match expr {
        Expr::BinaryOp { left, op, right } => match (items(left), items(right)) {
            (Some(left), Some(right)) => compared(&left, op, &right)?,
            (Some(_), None) => {
                no_row(right, op, |of| format!("record {op} {of}"))?;
                None
            }
            (None, Some(_)) => {
                no_row(left, op, |of| format!("{of} {op} record"))?;
                None
            }
            (None, None) => None,
        },
        Expr::IsDistinctFrom(left, right) => distinct(left, right, false)?,
        Expr::IsNotDistinctFrom(left, right) => distinct(left, right, true)?,
        Expr::IsNull(row) => items(row).and_then(|row| {
            let parts = row.into_iter().map(|item| Expr::IsNull(Box::new(item)));
            joined(parts.collect(), &BinaryOperator::And)
        }),
        Expr::IsNotNull(row) => items(row).and_then(|row| {
            let parts = row.into_iter().map(|item| Expr::IsNotNull(Box::new(item)));
            joined(parts.collect(), &BinaryOperator::And)
        }),
        Expr::Between {
            expr: row,
            negated,
            low,
            high,
        } => match (items(row), items(low), items(high)) {
            (Some(row), Some(low), Some(high)) => {
                let from = compared(&row, &BinaryOperator::GtEq, &low)?;
                let to = compared(&row, &BinaryOperator::LtEq, &high)?;
                let both = from
                    .zip(to)
                    .and_then(|(from, to)| joined(vec![from, to], &BinaryOperator::And));
                both.map(|both| if *negated { not(both) } else { both })
            }
            _ => None,
        },
        Expr::InList {
            expr: row,
            list,
            negated,
        } => match (items(row), rows_of(list)) {
            (Some(row), Some(rows)) if rows.len() <= LISTED_MAX => among(&row, &rows, *negated)?,
            (Some(row), Some(rows)) => Some(long_lists::among(&row, rows, *negated)?),
            (Some(_), None) => {
                let op = match negated {
                    true => BinaryOperator::NotEq,
                    false => BinaryOperator::Eq,
                };
                for item in list.iter() {
                    no_row(item, &op, |of| format!("record {op} {of}"))?;
                }
                None
            }
            (None, _) => None,
        },
        Expr::InSubquery { .. } | Expr::AnyOp { .. } | Expr::AllOp { .. } => {
            subqueries::answer(expr)?
        }
        _ => None,
    };
    if let Some(made) = made {
        *expr = made;
    }
    Ok(())
}

/// Whether a list has so many rows that they are looked up, with parameters among them: which of these are NULL changes
/// the plan.
pub(in crate::session) fn waits_for_values(statement: &ast::Statement) -> bool {
    let is_parameter = |item: &Expr| placeholder(item).is_some();
    let waits = ast::visit_expressions(statement, |expr| match expr {
        Expr::InList { list, .. }
            if list.len() > LISTED_MAX
                && list
                    .iter()
                    .filter_map(items)
                    .any(|row| row.iter().any(is_parameter)) =>
        {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    waits.is_break()
}

/// The first row of a long list, beside the row that is looked up in it, with the parameters that stand in the same
/// column as each parameter of it.
pub(in crate::session) fn first_of_long(expr: &Expr) -> Option<(Expr, Vec<(usize, usize)>)> {
    let Expr::InList {
        expr: row, list, ..
    } = expr
    else {
        return None;
    };
    if list.len() <= LISTED_MAX {
        return None;
    }
    let (row, rows) = (items(row)?, rows_of(list)?);
    let first = rows.first()?;
    let mut alike = Vec::new();
    for other in rows.iter().skip(1) {
        for (item, other) in first.iter().zip(other) {
            alike.extend(placeholder(item).zip(placeholder(other)));
        }
    }
    let equal = compared(&row, &BinaryOperator::Eq, first).ok().flatten()?;
    Some((equal, alike))
}

/// A column of a row that is written out in parentheses: `(ROW(a, b)).f2` is b.
///
/// # Errors
/// 42703 for one that it does not have.
pub(super) fn column(root: &Expr, chain: &[AccessExpr]) -> Result<Option<Expr>, ServerError> {
    let (Expr::Nested(row), [AccessExpr::Dot(Expr::Identifier(name))]) = (root, chain) else {
        return Ok(None);
    };
    let Some(items) = items(row) else {
        return Ok(None);
    };
    let named = folded(name);
    let place = named
        .strip_prefix('f')
        .and_then(|number| number.parse::<usize>().ok());
    let item = place.and_then(|place| items.get(place.checked_sub(1)?));
    match item {
        Some(item) => Ok(Some(nested(item.clone()))),
        None => {
            let text = format!("could not identify column \"{named}\" in record data type");
            Err(ServerError::new("42703", text).place(start(row)))
        }
    }
}

/// Refuses a constant that a row is compared with.
///
/// # Errors
/// 42883, and 0A000 for a constant in quotes, which PostgreSQL reads as a row of no known type.
fn no_row(
    other: &Expr,
    op: &BinaryOperator,
    told: impl Fn(&str) -> String,
) -> Result<(), ServerError> {
    let compares = matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    );
    let Expr::Value(value) = other else {
        return Ok(());
    };
    let of = match &value.value {
        _ if !compares => return Ok(()),
        Value::Number(digits, _) if digits.parse::<i32>().is_ok() => "integer",
        Value::Number(digits, _) if digits.parse::<i64>().is_ok() => "bigint",
        Value::Number(..) => "numeric",
        Value::Boolean(_) => "boolean",
        Value::SingleQuotedString(_) => {
            let text = "input of anonymous composite types is not implemented";
            return Err(ServerError::new("0A000", text).place(start(other)));
        }
        _ => return Ok(()),
    };
    let text = format!("operator does not exist: {}", told(of));
    Err(ServerError::new("42883", text).hint(NO_OPERATOR))
}

/// The columns of a row that is written out.
fn items(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(items) if items.len() > 1 => Some(items.clone()),
        Expr::Nested(inner) => items(inner),
        Expr::Function(function) if is_call_of(function, "row") => {
            let items: Vec<Expr> = call_arguments(function).into_iter().cloned().collect();
            (!items.is_empty()).then_some(items)
        }
        _ => None,
    }
}

fn nested(expr: Expr) -> Expr {
    match expr {
        simple @ (Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Value(_)
        | Expr::Nested(_)
        | Expr::Function(_)
        | Expr::Cast { .. }) => simple,
        other => Expr::Nested(Box::new(other)),
    }
}

fn binary(left: Expr, op: &BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(nested(left)),
        op: op.clone(),
        right: Box::new(nested(right)),
    }
}

/// NULL, of `boolean`.
fn unknown() -> Expr {
    cast(Expr::value(Value::Null), ast::DataType::Boolean)
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp {
        op: ast::UnaryOperator::Not,
        expr: Box::new(nested(expr)),
    }
}

fn joined(parts: Vec<Expr>, op: &BinaryOperator) -> Option<Expr> {
    let all = parts.into_iter().reduce(|left, right| {
        // What is joined by the same operator already needs no parentheses.
        let left = match left {
            Expr::BinaryOp { op: ref own, .. } if own == op => left,
            other => nested(other),
        };
        Expr::BinaryOp {
            left: Box::new(left),
            op: op.clone(),
            right: Box::new(nested(right)),
        }
    });
    all.map(|all| Expr::Nested(Box::new(all)))
}

fn unequal(left: usize, right: usize) -> Result<(), ServerError> {
    match left == right {
        true => Ok(()),
        false => Err(ServerError::new(
            "42601",
            "unequal number of entries in row expressions",
        )),
    }
}

fn compared(
    left: &[Expr],
    op: &BinaryOperator,
    right: &[Expr],
) -> Result<Option<Expr>, ServerError> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    if !matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq) {
        return Ok(None);
    }
    unequal(left.len(), right.len())?;
    let pairs = || left.iter().zip(right);
    let each = |op: &BinaryOperator| {
        let parts = pairs().map(|(left, right)| binary(left.clone(), op, right.clone()));
        parts.collect::<Vec<_>>()
    };
    let strict = match op {
        Eq => return Ok(joined(each(op), &And)),
        NotEq => return Ok(joined(each(op), &Or)),
        Lt | LtEq => Lt,
        _ => Gt,
    };
    let mut all: Option<Expr> = None;
    for (left, right) in pairs().rev() {
        all = Some(match all {
            None => binary(left.clone(), op, right.clone()),
            Some(rest) => {
                let same = binary(left.clone(), &Eq, right.clone());
                let same = Expr::BinaryOp {
                    left: Box::new(nested(same)),
                    op: And,
                    right: Box::new(nested(rest)),
                };
                binary(binary(left.clone(), &strict, right.clone()), &Or, same)
            }
        });
    }
    Ok(all.map(|all| Expr::Nested(Box::new(all))))
}

fn distinct(left: &Expr, right: &Expr, negated: bool) -> Result<Option<Expr>, ServerError> {
    let (Some(left), Some(right)) = (items(left), items(right)) else {
        return Ok(None);
    };
    unequal(left.len(), right.len())?;
    let parts = left.into_iter().zip(right).map(|(left, right)| {
        let (left, right) = (Box::new(nested(left)), Box::new(nested(right)));
        match negated {
            true => Expr::IsNotDistinctFrom(left, right),
            false => Expr::IsDistinctFrom(left, right),
        }
    });
    let op = match negated {
        true => BinaryOperator::And,
        false => BinaryOperator::Or,
    };
    Ok(joined(parts.collect(), &op))
}

/// The rows of a list, when all of it are written out.
fn rows_of(list: &[Expr]) -> Option<Vec<Vec<Expr>>> {
    list.iter().map(items).collect()
}

fn among(row: &[Expr], rows: &[Vec<Expr>], negated: bool) -> Result<Option<Expr>, ServerError> {
    let (op, with) = match negated {
        false => (BinaryOperator::Eq, BinaryOperator::Or),
        true => (BinaryOperator::NotEq, BinaryOperator::And),
    };
    let mut parts = Vec::with_capacity(rows.len());
    for other in rows {
        parts.extend(compared(row, &op, other)?);
    }
    Ok(joined(parts, &with))
}

/// `-2 ^ 2` is 4: a sign binds closer than a power.
pub(super) fn signed_power(expr: &mut Expr) {
    let Expr::UnaryOp {
        op: ast::UnaryOperator::Minus,
        expr: power,
    } = expr
    else {
        return;
    };
    let mut base = power.as_mut();
    let mut is_power = false;
    while let Expr::BinaryOp {
        left,
        op: BinaryOperator::PGExp,
        ..
    } = base
    {
        base = left.as_mut();
        is_power = true;
    }
    if !is_power {
        return;
    }
    let inner = std::mem::replace(base, Expr::value(Value::Null));
    *base = Expr::UnaryOp {
        op: ast::UnaryOperator::Minus,
        expr: Box::new(inner),
    };
    let power = std::mem::replace(power.as_mut(), Expr::value(Value::Null));
    *expr = power;
}
