//! `x = ANY (array)`: NULL, not false, where nothing matches and the array has a NULL; false of an array without items,
//! whatever is looked for.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

/// The function that the planner makes of `= ANY`.
const ANY: &str = "array_has";

/// The call that gives NULL; `None` for another function, and for a constant array that has items and no NULL.
pub(super) fn with_null(call: &ScalarFunction) -> Option<Expr> {
    if call.func.name() != ANY {
        return None;
    }
    if let Some(Expr::Literal(ScalarValue::List(list), _)) = call.args.first()
        && list.values().null_count() == 0
        && list
            .iter()
            .all(|items| items.is_none_or(|items| !items.is_empty()))
    {
        return None;
    }
    let function = AnyEqual {
        inner: Arc::clone(&call.func),
        signature: Signature::any(2, Volatility::Immutable),
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    let call = ScalarFunction::new_udf(function, call.args.clone());
    Some(Expr::ScalarFunction(call))
}

/// Whether every `= ANY` of a condition stands below AND and OR alone, where NULL leaves a row out as false does.
pub(super) fn decides_alone(condition: &Expr) -> bool {
    let is_any =
        |part: &Expr| matches!(part, Expr::ScalarFunction(call) if call.func.name() == ANY);
    match condition {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::And | Operator::Or,
            right,
        }) => decides_alone(left) && decides_alone(right),
        Expr::ScalarFunction(call) if is_any(condition) => {
            let mut args = call.args.iter();
            args.all(|arg| arg.exists(|part| Ok(is_any(part))).is_ok_and(|has| !has))
        }
        other => other.exists(|part| Ok(is_any(part))).is_ok_and(|has| !has),
    }
}

#[derive(Debug)]
struct AnyEqual {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl PartialEq for AnyEqual {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for AnyEqual {}

impl Hash for AnyEqual {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.name().hash(state);
    }
}

impl ScalarUDFImpl for AnyEqual {
    fn name(&self) -> &'static str {
        "any_equal"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let constant = args
            .args
            .iter()
            .all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let Some(lists) = args.args.first().cloned() else {
            return self.inner.invoke_with_args(args);
        };
        let found = self.inner.invoke_with_args(args)?;
        let rows = if constant { 1 } else { rows };
        let (found, lists) = (found.into_array(rows)?, lists.into_array(rows)?);
        let made = open(found.as_boolean(), &lists);
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?),
            false => ColumnarValue::Array(Arc::new(made)),
        })
    }
}

/// What was found: NULL where a list without the value has a NULL, and not found where it has nothing.
fn open(found: &BooleanArray, lists: &ArrayRef) -> BooleanArray {
    let items = |row: usize| match lists.data_type() {
        DataType::List(_) => Some(lists.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(lists.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(lists.as_fixed_size_list().value(row)),
        _ => None,
    };
    let known = found.iter().enumerate().map(|(row, found)| {
        let items = match found {
            Some(true) => None,
            _ => lists.is_valid(row).then(|| items(row)).flatten(),
        };
        match items {
            Some(items) if items.is_empty() => Some(false),
            Some(items) if items.null_count() > 0 => None,
            _ => found,
        }
    });
    known.collect()
}
