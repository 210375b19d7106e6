//! Functions of one value that give bytes. Most are keys, which compare as PostgreSQL compares the values that they are
//! made of: comparisons, joins and sorts go by them where the planner has another order.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Between, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The function of a value that gives its key.
#[derive(Debug)]
pub(super) struct Key {
    name: &'static str,
    signature: Signature,
    made: fn(&ArrayRef) -> Result<BinaryArray>,
}

impl Key {
    /// A function of this name whose keys `made` gives.
    pub(super) fn function(
        name: &'static str,
        made: fn(&ArrayRef) -> Result<BinaryArray>,
    ) -> Arc<ScalarUDF> {
        let signature = Signature::any(1, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Key {
            name,
            signature,
            made,
        }))
    }
}

/// The key of a value.
pub(super) fn call(key: &Arc<ScalarUDF>, value: Expr) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(key), vec![value]))
}

/// BETWEEN of what is compared by keys.
pub(super) fn between_keys(between: &Between, key: fn(Expr) -> Expr) -> Expr {
    let part = |part: &Expr| Box::new(key(part.clone()));
    Expr::Between(Between {
        expr: part(&between.expr),
        negated: between.negated,
        low: part(&between.low),
        high: part(&between.high),
    })
}

// Addresses of functions do not tell them apart; their names do.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Key {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else {
            return Err(DataFusionError::Internal("a key of no value".to_owned()));
        };
        Ok(ColumnarValue::Array(Arc::new((self.made)(array)?)))
    }
}
