//! Operators and patterns that the planner spells otherwise.

use datafusion::sql::sqlparser::ast::{self, BinaryOperator, DataType, Expr, UnaryOperator, Value};

use super::calls::{call_arguments, call_of};
use super::literals::{cast, constant_number, number, string_literal};
use super::names::last_part;
use crate::pg_catalog::is_of_numbers;
use crate::pg_types::PgType;
use crate::session::{arrays, params};
use crate::sqlstate::ServerError;

/// Makes an operator, or a call with a pattern, one of the planner's.
///
/// # Errors
/// 22P02 for a text that is no array.
pub(super) fn respell(expr: &mut Expr) -> Result<(), ServerError> {
    let made = match expr {
        Expr::BinaryOp { left, op, right } => match op {
            BinaryOperator::PGOverlap => {
                let (left, right) = (side(left)?, side(right)?);
                Some(call_of("array_has_any", vec![left, right]))
            }
            BinaryOperator::AtArrow | BinaryOperator::ArrowAt => {
                **left = side(left)?;
                **right = side(right)?;
                None
            }
            BinaryOperator::PGStartsWith => {
                let args = vec![left.as_ref().clone(), right.as_ref().clone()];
                Some(call_of("starts_with", args))
            }
            _ => None,
        },
        // To the planner the items that are NULL are not there.
        Expr::AnyOp {
            compare_op, right, ..
        } if is_of_order(compare_op) && is_of_items(right) => {
            let null = || Expr::value(Value::Null);
            let has_null = call_of("array_position", vec![right.as_ref().clone(), null()]);
            let unknown = Expr::BinaryOp {
                left: Box::new(Expr::IsNotNull(Box::new(has_null))),
                op: BinaryOperator::And,
                right: Box::new(cast(null(), DataType::Boolean)),
            };
            Some(Expr::Nested(Box::new(Expr::BinaryOp {
                left: Box::new(expr.clone()),
                op: BinaryOperator::Or,
                right: Box::new(unknown),
            })))
        }
        Expr::UnaryOp { op, expr: operand } => {
            let name = match op {
                UnaryOperator::PGAbs => Some("abs"),
                UnaryOperator::PGSquareRoot => Some("sqrt"),
                UnaryOperator::PGCubeRoot => Some("cbrt"),
                _ => None,
            };
            match op {
                UnaryOperator::BitwiseNot => Some(Expr::Nested(Box::new(Expr::BinaryOp {
                    left: Box::new(number(-1)),
                    op: BinaryOperator::Minus,
                    right: operand.clone(),
                }))),
                _ => name.map(|name| call_of(name, vec![operand.as_ref().clone()])),
            }
        }
        Expr::Substring {
            expr: whole,
            substring_from: Some(from),
            substring_for: None,
            ..
        } if string_literal(from).is_some() => {
            let args = vec![whole.as_ref().clone(), from.as_ref().clone()];
            Some(call_of("pg_substring", args))
        }
        // Of its arguments the last one tells the pattern of SIMILAR TO from places.
        Expr::Substring {
            expr: whole,
            substring_from: Some(from),
            substring_for: Some(escape),
            ..
        } if string_literal(escape).is_some() => {
            let args = vec![
                whole.as_ref().clone(),
                from.as_ref().clone(),
                escape.as_ref().clone(),
            ];
            Some(call_of("pg_substring", args))
        }
        // The planner wants a type in common at once, which a constant and an array do not have.
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right)
            if [&left, &right].into_iter().any(|side| is_array_text(side)) =>
        {
            let (array, constant) = match is_array_text(left) {
                true => (right.clone(), left.clone()),
                false => (left.clone(), right.clone()),
            };
            let distinct = matches!(expr, Expr::IsDistinctFrom(..));
            let (is_null, junction, op) = match distinct {
                true => (
                    Expr::IsNull(array.clone()),
                    BinaryOperator::Or,
                    BinaryOperator::NotEq,
                ),
                false => (
                    Expr::IsNotNull(array.clone()),
                    BinaryOperator::And,
                    BinaryOperator::Eq,
                ),
            };
            let compared = Expr::BinaryOp {
                left: array,
                op,
                right: constant,
            };
            let both = Expr::BinaryOp {
                left: Box::new(is_null),
                op: junction,
                right: Box::new(compared),
            };
            Some(Expr::Nested(Box::new(both)))
        }
        Expr::Function(function) if is_empty_count(function) => {
            let text = "count(*) must be used to call a parameterless aggregate function";
            return Err(ServerError::new("42809", text).near("count"));
        }
        // No form of SUBSTRING, but a call with too few arguments.
        Expr::Substring {
            expr: whole,
            substring_from: None,
            substring_for: None,
            shorthand,
            ..
        } => {
            let name = if *shorthand { "substr" } else { "substring" };
            return Err(too_few(name, whole));
        }
        Expr::Function(function) if function.over.is_none() && is_window(function) => {
            let name = last_part(&function.name);
            let text = format!("window function {name} requires an OVER clause");
            return Err(ServerError::new("42809", text).near(name));
        }
        Expr::Function(function) => {
            let name = last_part(&function.name);
            let arguments = call_arguments(function);
            if matches!(name.as_str(), "substring" | "substr")
                && let [whole, from] = arguments.as_slice()
                && string_literal(from).is_some()
            {
                let args = vec![(*whole).clone(), (*from).clone()];
                Some(call_of("pg_substring", args))
            } else if name == "to_char"
                && let [number, pattern] = arguments.as_slice()
                && string_literal(pattern).is_some_and(is_of_numbers)
            {
                let args = vec![(*number).clone(), (*pattern).clone()];
                Some(call_of("pg_to_char", args))
            } else if name == "array_length"
                && let [array, dimension] = arguments.as_slice()
                && constant_number(dimension) != Some("1")
            {
                // The planner's looks for the first row of an empty array of arrays.
                let args = vec![(*array).clone(), (*dimension).clone()];
                Some(call_of("pg_array_length", args))
            } else if name == "array_cat"
                && let [left, right] = arguments.as_slice()
                && (is_null(left) || is_null(right))
            {
                // To the operator no array is none; the function takes it for an item.
                let (left, right) = (nested(left), nested(right));
                let op = BinaryOperator::StringConcat;
                Some(Expr::Nested(Box::new(Expr::BinaryOp { left, op, right })))
            } else if matches!(name.as_str(), "array_position" | "cardinality")
                && !arguments.is_empty()
            {
                // The planner counts without a sign.
                let place = Expr::Function(function.clone());
                Some(cast(place, DataType::Integer(None)))
            } else if name == "array_positions" && arguments.len() == 2 {
                let places = Expr::Function(function.clone());
                let item = Box::new(DataType::Integer(None));
                let item = ast::ArrayElemTypeDef::SquareBracket(item, None);
                Some(cast(places, DataType::Array(item)))
            } else if name == "array_length" && arguments.len() == 2 {
                // An empty array has no dimensions.
                let length = Expr::Function(function.clone());
                let length = cast(length, DataType::Integer(None));
                Some(call_of("nullif", vec![length, number(0)]))
            } else {
                None
            }
        }
        Expr::Cast {
            expr: value,
            data_type: outer @ DataType::Array(_),
            ..
        } => match value.as_mut() {
            // PostgreSQL's types of arrays say nothing of their depth.
            Expr::Cast {
                data_type: inner, ..
            } if depth(inner) > depth(outer) => {
                let deeper = depth(inner) - depth(outer);
                for _ in 0..deeper {
                    let item = Box::new(outer.clone());
                    *outer = DataType::Array(ast::ArrayElemTypeDef::SquareBracket(item, None));
                }
                None
            }
            // Each item is rounded as it would be alone.
            Expr::Array(array) => {
                if let DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) = outer
                    && is_whole(element)
                {
                    for item in &mut array.elem {
                        if !matches!(item, Expr::Array(_)) {
                            *item = cast(item.clone(), element.as_ref().clone());
                        }
                    }
                }
                None
            }
            _ => None,
        },
        _ => None,
    };
    if let Some(made) = made {
        *expr = made;
    }
    Ok(())
}

/// Whether a function is of windows and of nothing else.
fn is_window(function: &ast::Function) -> bool {
    matches!(
        last_part(&function.name).as_str(),
        "cume_dist"
            | "dense_rank"
            | "lag"
            | "lead"
            | "ntile"
            | "percent_rank"
            | "rank"
            | "row_number"
    ) && function.within_group.is_empty()
}

/// `count()`
fn is_empty_count(function: &ast::Function) -> bool {
    last_part(&function.name) == "count"
        && matches!(&function.args, ast::FunctionArguments::List(list) if list.args.is_empty())
}

fn is_of_order(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// Whether an array beside ANY may have items that are NULL: no subquery, and no text that is read as one later.
fn is_of_items(array: &Expr) -> bool {
    match array {
        Expr::Nested(inner) => is_of_items(inner),
        Expr::Subquery(_) | Expr::Value(_) => false,
        Expr::Array(array) => array
            .elem
            .iter()
            .any(|item| !matches!(item, Expr::Value(value) if value.value != Value::Null)),
        _ => true,
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Value::Null)
}

fn nested(expr: &Expr) -> Box<Expr> {
    Box::new(Expr::Nested(Box::new(expr.clone())))
}

/// Whether a constant may be meant as an array.
fn is_array_text(expr: &Expr) -> bool {
    string_literal(expr).is_some_and(|text| {
        let text = text.trim();
        text.starts_with('{') && text.ends_with('}') && !text.contains(':')
    })
}

fn too_few(name: &str, argument: &Expr) -> ServerError {
    let found = match argument {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.contains('.') => "numeric",
            Value::Number(..) => "integer",
            Value::Boolean(_) => "boolean",
            _ => "unknown",
        },
        _ => "text",
    };
    let text = format!("function {name}({found}) does not exist");
    ServerError::new("42883", text).near(name).hint(
        "No function matches the given name and argument types. You might need to add explicit type casts.",
    )
}

fn depth(data_type: &DataType) -> usize {
    match data_type {
        DataType::Array(ast::ArrayElemTypeDef::SquareBracket(item, _)) => 1 + depth(item),
        _ => 0,
    }
}

fn is_whole(data_type: &DataType) -> bool {
    let pg_type = params::type_of_sql(data_type);
    matches!(pg_type, Some(PgType::INT2 | PgType::INT4 | PgType::INT8))
}

/// An operand of an operator of arrays: a text is the text of one.
fn side(expr: &Expr) -> Result<Expr, ServerError> {
    let is_array = |text: &&str| text.trim_start().starts_with('{') && !text.contains(':');
    match string_literal(expr).filter(is_array) {
        Some(text) => arrays::untyped(text),
        None => Ok(expr.clone()),
    }
}
