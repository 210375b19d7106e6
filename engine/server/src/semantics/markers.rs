//! What a statement says of an expression that depends on its type, carried to the plan as a call around it: the types are
//! known there.
//!
//! ```text
//! t COLLATE "C"                                   ─►   collated(t, line, column)                  ─►   t
//! ORDER BY d RANGE interval '1 day' PRECEDING     ─►   ORDER BY ranged(d, type of the interval, …)   ─►   d::timestamp
//! (a, b) OVERLAPS (c, d)                          ─►   overlaps(a, b, c, d)                          ─►   a < d AND …
//! ```

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable as _, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, binary_expr, cast, lit,
    when,
};

use super::mismatch::{check_call, refused, type_in};
use crate::pg_input;
use crate::pg_types::{PgType, oid};
use crate::sqlstate::{Place, ServerError};

/// The function of an expression with COLLATE, and of the line and the column where it ends.
pub(crate) const COLLATED: &str = "collated";
/// The function of what rows are sorted by, of the type and the text of a distance, and of the line and the column of it.
pub(crate) const RANGED: &str = "ranged";

/// The function of two spans of time, each with its start and its end or length.
pub(crate) const OVERLAPS: &str = "overlaps";

/// Gives a context the functions.
pub(super) fn install(context: &SessionContext) {
    for (name, arguments) in [(COLLATED, 3), (RANGED, 5), (OVERLAPS, 4)] {
        context.register_udf(ScalarUDF::new_from_impl(Marker {
            name,
            signature: Signature::any(arguments, Volatility::Immutable),
        }));
    }
}

/// The plan without such calls.
///
/// # Errors
/// 42804 for COLLATE of what is no text; 0A000 for a distance that there is not for such values, 22007 and 22P02 for one
/// that is none; 42883 for OVERLAPS of what are no times.
pub(crate) fn without_markers(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut any = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Some((value, name, said)) = marked(part) {
                    any = true;
                    if name == OVERLAPS {
                        check_call(node, part)?;
                        return Ok(TreeNodeRecursion::Continue);
                    }
                    let told = type_in(node, value).map(PgType::of_oid);
                    match (told, name) {
                        (None, _) => {}
                        (Some(told), COLLATED) => collated(told, said)?,
                        (Some(told), _) => ranged(told, said)?,
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    match any {
        true => super::walked(plan, |node| super::with_expressions(node, alone)),
        false => Ok(plan),
    }
}

/// The expression that a call is around.
fn alone(expr: &Expr, schema: &DFSchema) -> Option<Expr> {
    let (value, name, rest) = marked(expr)?;
    if let (OVERLAPS, [end, other, last]) = (name, rest) {
        return overlap([value, end, other, last], schema);
    }
    // Days are counted in timestamps, as the distances are intervals.
    let is_date = || matches!(value.get_type(schema), Ok(DataType::Date32));
    Some(match name == RANGED && is_date() {
        true => cast(
            value.clone(),
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
        false => value.clone(),
    })
}

/// An expression, the call that is around it, and what else that has.
fn marked(expr: &Expr) -> Option<(&Expr, &str, &[Expr])> {
    match expr {
        Expr::ScalarFunction(call) if matches!(call.func.name(), COLLATED | RANGED | OVERLAPS) => {
            let (value, said) = call.args.split_first()?;
            Some((value, call.func.name(), said))
        }
        _ => None,
    }
}

/// Whether two spans of time have a moment in common: true, false, or NULL where an end that is not known decides.
fn overlap(args: [&Expr; 4], schema: &DFSchema) -> Option<Expr> {
    let time = |expr: &Expr| match expr.get_type(schema) {
        Ok(DataType::Date32) => cast(
            expr.clone(),
            DataType::Timestamp(TimeUnit::Microsecond, None),
        ),
        _ => expr.clone(),
    };
    let [first, end, other, last] = args;
    let span = |start: &Expr, end: &Expr| -> Option<[Expr; 2]> {
        let start = time(start);
        let end = match end.get_type(schema) {
            Ok(DataType::Interval(_)) => binary_expr(start.clone(), Operator::Plus, end.clone()),
            _ => time(end),
        };
        let turned = end.clone().lt(start.clone());
        let known = start.clone().is_not_null().and(end.clone().is_not_null());
        let mut begins = when(start.clone().is_null().or(turned.clone()), end.clone());
        let ends = when(turned, start.clone()).when(known, end).end().ok()?;
        Some([begins.otherwise(start).ok()?, ends])
    };
    let [start, end] = span(first, end)?;
    let [other, last] = span(other, last)?;
    let both = end.clone().is_not_null().and(last.clone().is_not_null());
    // The later one begins before the earlier one ends.
    let later = |start: &Expr, last: &Expr| {
        let mut cases = when(start.clone().lt(last.clone()), lit(true));
        cases.when(both.clone(), lit(false)).end().ok()
    };
    when(start.clone().gt(other.clone()), later(&start, &last)?)
        .when(start.clone().lt(other.clone()), later(&other, &end)?)
        .when(start.eq(other).and(both.clone()), lit(true))
        .end()
        .ok()
}

fn number(expr: &Expr) -> Option<u64> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// The place of which the line and the column are said.
fn place(line: &Expr, column: &Expr) -> Option<Place> {
    let place = number(line).filter(|line| *line > 0).zip(number(column));
    place.map(|(line, column)| Place::at(line, column))
}

fn collated(told: PgType, said: &[Expr]) -> Result<()> {
    let item = told.element().unwrap_or(told);
    if matches!(
        item.oid,
        oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME | oid::UNKNOWN
    ) {
        return Ok(());
    }
    let place = match said {
        [line, column] => place(line, column).map(|place| place.next(&["COLLATE"])),
        _ => None,
    };
    let text = format!("collations are not supported by type {}", told.sql_name());
    Err(refused(ServerError::new("42804", text).place(place)))
}

fn ranged(told: PgType, said: &[Expr]) -> Result<()> {
    let [distance, written, line, column] = said else {
        return Ok(());
    };
    let Some(distance) = number(distance).and_then(|distance| u32::try_from(distance).ok()) else {
        return Ok(());
    };
    let place = place(line, column);
    let fail = |error: ServerError| Err(refused(error.place(place.clone())));
    let what = "RANGE with offset PRECEDING/FOLLOWING is not supported for column type";
    let is_whole = |ty: u32| matches!(ty, oid::INT2 | oid::INT4 | oid::INT8);
    let fits = match told.oid {
        oid::INT2 | oid::INT4 | oid::INT8 => is_whole(distance),
        oid::FLOAT4 | oid::FLOAT8 => {
            is_whole(distance) || matches!(distance, oid::NUMERIC | oid::FLOAT4 | oid::FLOAT8)
        }
        oid::NUMERIC => is_whole(distance) || distance == oid::NUMERIC,
        oid::DATE | oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TIME | oid::INTERVAL => {
            distance == oid::INTERVAL
        }
        _ => {
            let text = format!("{what} {}", told.sql_name());
            return fail(ServerError::new("0A000", text));
        }
    };
    let Expr::Literal(ScalarValue::Utf8(Some(written)), _) = written else {
        return Ok(());
    };
    let of_days = || {
        let span = pg_input::interval(written);
        span.is_ok_and(|span| span.months != 0 || span.days != 0)
    };
    let unknown = fits || distance == oid::UNKNOWN;
    if unknown
        && match told.oid {
            oid::TIME | oid::INTERVAL => true,
            // Days of a zone are not all as long.
            oid::TIMESTAMPTZ => of_days(),
            _ => false,
        }
    {
        let text = format!(
            "windows in the order of {} with RANGE of values",
            told.sql_name()
        );
        return fail(ServerError::unsupported(text));
    }
    if distance == oid::UNKNOWN {
        return match untyped(told, written) {
            Ok(()) => Ok(()),
            Err(error) => fail(error),
        };
    }
    match fits {
        true => Ok(()),
        false => {
            let distance = PgType::of_oid(distance).sql_name();
            let text = format!("{what} {} and offset type {distance}", told.sql_name());
            let hint = "Cast the offset value to an appropriate type.";
            fail(ServerError::new("0A000", text).hint(hint))
        }
    }
}

/// Whether a constant in quotes is a distance of such values.
fn untyped(told: PgType, written: &str) -> std::result::Result<(), ServerError> {
    let is = match told.oid {
        oid::INT2 | oid::INT4 | oid::INT8 => written.trim().parse::<i64>().is_ok(),
        oid::FLOAT4 | oid::FLOAT8 | oid::NUMERIC => written.trim().parse::<f64>().is_ok(),
        _ => return pg_input::interval(written).map(drop),
    };
    let read = match told.oid {
        oid::FLOAT4 => PgType::FLOAT8,
        _ => told,
    };
    match is {
        true => Ok(()),
        false => {
            let text = format!(
                "invalid input syntax for type {}: \"{written}\"",
                read.sql_name()
            );
            Err(ServerError::new("22P02", text))
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Marker {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for Marker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        if self.name == OVERLAPS {
            return Ok(DataType::Boolean);
        }
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.name == OVERLAPS {
            return Ok(Arc::new(Field::new(self.name, DataType::Boolean, true)));
        }
        let field = args.arg_fields.first().map(Arc::clone);
        field.ok_or_else(unplanned)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(unplanned())
    }
}

fn unplanned() -> DataFusionError {
    DataFusionError::Internal("what is said of a type was planned to its end".to_owned())
}
