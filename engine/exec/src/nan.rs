//! Filters of floats and NaN, which is greater than all of them and which bounds of row groups and pages leave out.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode as _;
use datafusion::datasource::physical_plan::parquet::PagePruningAccessPlanFilter;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, DynamicFilterPhysicalExpr, InListExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};

/// What of a filter the pages of files can judge.
pub(crate) fn judged_by_pages(
    filter: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> PagePruningAccessPlanFilter {
    let parts = split_conjunction(filter).into_iter();
    let safe = parts
        .filter(|part| !meets_nan(part, schema))
        .map(Arc::clone);
    PagePruningAccessPlanFilter::new(&conjunction(safe), Arc::clone(schema))
}

/// Whether a filter must not be judged by bounds: NaN may be greater than a float,
/// or unequal. A filter that is filled in later may be of any kind.
pub(crate) fn meets_nan(filter: &Arc<dyn PhysicalExpr>, schema: &Schema) -> bool {
    let is_float = |part: &Arc<dyn PhysicalExpr>| {
        let of = part.data_type(schema);
        of.is_ok_and(|data_type| data_type.is_floating())
    };
    let found = filter.exists(|part| {
        if let Some(binary) = part.downcast_ref::<BinaryExpr>() {
            let plain = binary
                .right()
                .downcast_ref::<Literal>()
                .is_some_and(|right| f64_of(right.value()).is_some_and(f64::is_finite));
            let below = matches!(
                binary.op(),
                Operator::Lt | Operator::LtEq | Operator::Eq | Operator::IsNotDistinctFrom
            );
            let floats = is_float(binary.left()) || is_float(binary.right());
            return Ok(floats && !(plain && below));
        }
        let later = part.downcast_ref::<DynamicFilterPhysicalExpr>().is_some();
        let listed = part.downcast_ref::<InListExpr>().is_some();
        let negated = part.downcast_ref::<NotExpr>().is_some();
        let mut children = part.children().into_iter();
        Ok(match negated {
            // The opposite of what bounds tell.
            true => part.exists(|part| Ok(is_float(part)))?,
            false => (later || listed) && children.any(is_float),
        })
    });
    found.unwrap_or(true)
}

fn f64_of(value: &ScalarValue) -> Option<f64> {
    match value {
        ScalarValue::Float64(value) => *value,
        ScalarValue::Float32(value) => value.map(f64::from),
        _ => None,
    }
}
