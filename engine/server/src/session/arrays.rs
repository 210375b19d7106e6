//! Constants of array types: `'{a,b}'::text[]` becomes `ARRAY[…]` and `= ANY ('{a,b}')` becomes `IN`, which DataFusion
//! plans.
//!
//! DataFusion would take the text as the only element of an array. Of a text that is no constant it does, so that cast
//! is refused.

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::tree_node::{
    Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion,
};
use datafusion::common::{DFSchema, Result as DfResult};
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::{Expr as Logical, ExprSchemable as _, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DataType, Expr, Value,
};

use super::rewrite::cast;
use crate::pg_catalog::parse_array;
use crate::semantics::input_schema;
use crate::sqlstate::ServerError;

/// What stands for an expression that has the text of an array; `None` for any other.
///
/// # Errors
/// 22P02 for a text that is no array.
pub(super) fn constant(expr: &Expr) -> Result<Option<Expr>, ServerError> {
    match expr {
        Expr::Cast {
            expr: value,
            data_type: data_type @ DataType::Array(_),
            ..
        } => match text(value) {
            Some(text) => array(text, Some(data_type)).map(Some),
            None => Ok(None),
        },
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => match text(right) {
            Some(text) => among(left, compare_op, text, expr, false).map(Some),
            None => Ok(None),
        },
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => match text(right) {
            Some(text) => among(left, compare_op, text, expr, true).map(Some),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// The array of a text that stands beside another array: of whole numbers if all of its items are.
///
/// # Errors
/// 22P02 for a text that is no array.
pub(super) fn untyped(text: &str) -> Result<Expr, ServerError> {
    array(text, None)
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        Expr::Nested(expr) => text(expr),
        _ => None,
    }
}

/// A comparison with any or all items of a text: `IN` gives them the type of the other side.
fn among(
    left: &Expr,
    operator: &BinaryOperator,
    text: &str,
    whole: &Expr,
    all: bool,
) -> Result<Expr, ServerError> {
    let negated = match operator {
        BinaryOperator::Eq if !all => false,
        BinaryOperator::NotEq if all => true,
        _ => {
            let items = Box::new(array(text, None)?);
            let mut whole = whole.clone();
            if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = &mut whole {
                *right = items;
            }
            return Ok(whole);
        }
    };
    let (_, items) = parse_array(text, ',').map_err(ServerError::from)?;
    if items.is_empty() {
        return Ok(Expr::value(Value::Boolean(negated)));
    }
    let item =
        |item: Option<String>| Expr::value(item.map_or(Value::Null, Value::SingleQuotedString));
    Ok(Expr::InList {
        expr: Box::new(left.clone()),
        list: items.into_iter().map(item).collect(),
        negated,
    })
}

/// The array of a text: of a type, or of what its items look like.
fn array(text: &str, data_type: Option<&DataType>) -> Result<Expr, ServerError> {
    let (dims, items) = parse_array(text, ',').map_err(ServerError::from)?;
    let lengths: Vec<usize> = dims
        .iter()
        .map(|(length, _)| usize::try_from(*length).unwrap_or(0))
        .collect();
    // Beside ANY and ALL the other side has the type.
    let whole = |item: &Option<String>| match item {
        Some(item) => item.parse::<i64>().is_ok_and(|n| n.to_string() == *item),
        None => true,
    };
    let numbers = data_type.is_none() && items.iter().all(whole);
    let mut items = items.into_iter().map(|item| match item {
        Some(item) if numbers => Expr::value(Value::Number(item, false)),
        Some(item) => Expr::value(Value::SingleQuotedString(item)),
        None => Expr::value(Value::Null),
    });
    let nested = nested(&lengths, &mut items);
    let Some(data_type) = data_type else {
        return Ok(match lengths.is_empty() {
            true => cast(nested, wrapped(DataType::Text, 1)),
            false => nested,
        });
    };
    let mut element = data_type;
    while let DataType::Array(
        ArrayElemTypeDef::SquareBracket(inner, _)
        | ArrayElemTypeDef::AngleBracket(inner)
        | ArrayElemTypeDef::Parenthesis(inner),
    ) = element
    {
        element = inner;
    }
    Ok(cast(nested, wrapped(element.clone(), lengths.len().max(1))))
}

/// An array of any depth of a type: PostgreSQL's array types say nothing of their depth.
fn wrapped(element: DataType, depth: usize) -> DataType {
    (0..depth).fold(element, |inner, _| {
        DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(inner), None))
    })
}

fn nested(lengths: &[usize], items: &mut impl Iterator<Item = Expr>) -> Expr {
    let elem = match lengths {
        [] => Vec::new(),
        [length] => items.take(*length).collect(),
        [length, inner @ ..] => (0..*length).map(|_| nested(inner, items)).collect(),
    };
    Expr::Array(ast::Array { elem, named: true })
}

/// Refuses casts to arrays of text that is no constant.
///
/// # Errors
/// 0A000.
pub(super) fn check(plan: &LogicalPlan) -> Result<(), ServerError> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        let schema = input_schema(node);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= is_text_to_array(expr, &schema);
                Ok(match found {
                    true => TreeNodeRecursion::Stop,
                    false => TreeNodeRecursion::Continue,
                })
            })
        })
    })?;
    match found {
        false => Ok(()),
        true => Err(ServerError::unsupported(
            "a cast of text that is not a constant to an array type".to_owned(),
        )
        .hint("Use string_to_array(text, ',').")),
    }
}

/// Casts of arrays of arrays keep their dimensions: `int[]` is the type of arrays of any depth, and the planner's is of one.
///
/// # Errors
/// What making a plan fails with.
pub(super) fn deepened(plan: LogicalPlan) -> DfResult<LogicalPlan> {
    let mut any = false;
    plan.apply_with_subqueries(|node| {
        let schema = input_schema(node);
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                any |= deeper(expr, &schema).is_some();
                Ok(match any {
                    true => TreeNodeRecursion::Stop,
                    false => TreeNodeRecursion::Continue,
                })
            })
        })
    })?;
    if !any {
        return Ok(plan);
    }
    plan.transform_up_with_subqueries(|node| {
        let schema = input_schema(&node);
        let changed = node.map_expressions(|expr| {
            expr.transform_up(|expr| {
                Ok(match deeper(&expr, &schema) {
                    Some(cast) => Transformed::yes(cast),
                    None => Transformed::no(expr),
                })
            })
        })?;
        changed.map_data(LogicalPlan::recompute_schema)
    })
    .data()
}

/// The cast of an array of arrays to a type of arrays, as deep as it is; `None` for any other expression.
fn deeper(expr: &Logical, schema: &DFSchema) -> Option<Logical> {
    let Logical::Cast(cast) = expr else {
        return None;
    };
    let from = cast.expr.get_type(schema).ok()?;
    let (deep, to) = (dimensions(&from), cast.field.data_type());
    let given = dimensions(to);
    if given == 0 || deep <= given {
        return None;
    }
    let wrap = |item: ArrowType, _| ArrowType::new_list(item, true);
    let to = (given..deep).fold(to.clone(), wrap);
    let field = cast.field.as_ref().clone().with_data_type(to);
    Some(Logical::Cast(Cast {
        expr: cast.expr.clone(),
        field: field.into(),
    }))
}

fn dimensions(data_type: &ArrowType) -> usize {
    match data_type {
        ArrowType::List(item) | ArrowType::LargeList(item) | ArrowType::FixedSizeList(item, _) => {
            1 + dimensions(item.data_type())
        }
        _ => 0,
    }
}

fn is_text_to_array(expr: &Logical, schema: &DFSchema) -> bool {
    let Logical::Cast(Cast { expr, field }) = expr else {
        return false;
    };
    let is_array = matches!(
        field.data_type(),
        ArrowType::List(_) | ArrowType::LargeList(_) | ArrowType::FixedSizeList(..)
    );
    let is_text = |ty| {
        matches!(
            ty,
            ArrowType::Utf8 | ArrowType::LargeUtf8 | ArrowType::Utf8View
        )
    };
    // What names a column of an outer query has no type here.
    is_array && expr.get_type(schema).is_ok_and(is_text)
}
