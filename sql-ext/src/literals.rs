//! Text array literals as one constant: a cohort of thousands of names is one node of a plan, not thousands.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};

/// Plans `ARRAY['a', 'b']` as a constant.
#[derive(Debug)]
pub(crate) struct TextArrays;

impl ExprPlanner for TextArrays {
    fn plan_array_literal(
        &self,
        exprs: Vec<Expr>,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let text = |expr: &Expr| match expr {
            Expr::Literal(value @ ScalarValue::Utf8(Some(_)), None) => Some(value.clone()),
            _ => None,
        };
        let values: Option<Vec<ScalarValue>> = exprs.iter().map(text).collect();
        Ok(match values {
            Some(values) if !values.is_empty() => {
                let list = ScalarValue::new_list_nullable(&values, &DataType::Utf8);
                let list = ScalarValue::List(Arc::clone(&list));
                PlannerResult::Planned(Expr::Literal(list, None))
            }
            _ => PlannerResult::Original(exprs),
        })
    }
}
