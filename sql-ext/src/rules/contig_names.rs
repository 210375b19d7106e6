//! Refuses joins of contigs that two tables spell in different ways (`1` and `chr1`): no row would match, and nobody
//! would be told.
//!
//! Tables say in the metadata of their column `contig` how they spell the human primaries (`CONTIG_SPELLING_KEY`).
//! That goes along with the column through projections and subqueries; the result of a function has none. The rule runs last, when comparisons of every spelling have become the keys of
//! joins. It changes nothing.

use datafusion::arrow::datatypes::Field;
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, ExprSchemable as _, Join, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use genokura_core::schema::CONTIG_SPELLING_KEY;

use crate::error::Error;

/// The rule.
#[derive(Debug)]
pub(crate) struct ContigNames;

impl OptimizerRule for ContigNames {
    fn name(&self) -> &'static str {
        "contig_names"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> DfResult<Transformed<LogicalPlan>> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::Join(join) = node {
                check(join)?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Transformed::no(plan))
    }
}

fn check(join: &Join) -> DfResult<()> {
    for (left, right) in &join.on {
        let (left, right) = (spelling(left, &join.left)?, spelling(right, &join.right)?);
        if let (Some(left), Some(right)) = (left, right)
            && left != right
        {
            return Err(Error::ContigNames { left, right }.into());
        }
    }
    Ok(())
}

/// What a key says of how its contigs are spelled. Below a union every table must say the same.
fn spelling(key: &Expr, input: &LogicalPlan) -> DfResult<Option<String>> {
    let (_, field) = key.to_field(input.schema())?;
    spelling_of(&field, input)
}

/// The same of a column of a plan.
pub(crate) fn spelling_of(field: &Field, input: &LogicalPlan) -> DfResult<Option<String>> {
    let Some(told) = field.metadata().get(CONTIG_SPELLING_KEY) else {
        return Ok(None);
    };
    let (mut unites, mut agree) = (false, true);
    input.apply(|node| {
        unites |= matches!(node, LogicalPlan::Union(_));
        if let LogicalPlan::TableScan(scan) = node {
            let source = scan.source.schema();
            let mut spellings = source.fields().iter();
            agree &= spellings.all(|field| {
                let of_table = field.metadata().get(CONTIG_SPELLING_KEY);
                of_table.is_none_or(|spelling| spelling == told)
            });
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((agree || !unites).then(|| told.clone()))
}
