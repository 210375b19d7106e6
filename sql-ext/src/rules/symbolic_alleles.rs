//! Warns of joins by equal alleles of tables that both hold symbolic ones: `<DEL>` of fifty bases and of three million are
//! equal in contig, pos, ref and alt, and differ in `end_pos`.
//!
//! Tables tell in the metadata of their column `alt` (`SYMBOLIC_KEY`). Nothing is told of a statement that speaks of
//! `end_pos` or of the kind of alleles in a condition: whoever does knows. Nor of two tables of one dataset, whose rows are
//! the same alleles.

use datafusion::common::Result as DfResult;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, Join, LogicalPlan};

use super::contig_names::origin::{Origin, origins};
use crate::warnings::{Warning, Warnings};

/// Columns of which a condition speaks that knows of lengths.
const KNOWING: [&str; 3] = ["end_pos", "alt", "variant_type"];

/// Warns of the joins of an optimised plan.
///
/// # Errors
/// None of its own.
pub(super) fn warn(plan: &LogicalPlan, options: &ConfigOptions) -> DfResult<()> {
    let (mut found, mut knows) = (false, false);
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Join(join) => {
                knows |= join.filter.as_ref().is_some_and(speaks);
                found |= joins_symbolic(join);
            }
            LogicalPlan::Filter(filter) => knows |= speaks(&filter.predicate),
            LogicalPlan::TableScan(scan) => knows |= scan.filters.iter().any(speaks),
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if found && !knows {
        Warnings::add(options, || {
            Warning {
            text: "symbolic alleles (<DEL>) of different lengths are equal in contig, pos, ref and alt, and both tables \
                   of the join have some"
                .to_owned(),
            hint: "Join by end_pos as well, as in USING (contig, pos, end_pos, ref, alt).".to_owned(),
        }
        });
    }
    Ok(())
}

fn speaks(condition: &Expr) -> bool {
    let columns = condition.column_refs();
    columns.iter().any(|c| KNOWING.contains(&c.name.as_str()))
}

/// Whether a join is by contig and alleles, not by where they end, of two tables with symbolic ones.
fn joins_symbolic(join: &Join) -> bool {
    let column = |expr: &Expr, input: &LogicalPlan| match origins(expr, input)?.as_slice() {
        [
            Origin::Column {
                column, symbolic, ..
            },
        ] => Some((column.clone(), symbolic.clone())),
        _ => None,
    };
    let (mut by_contig, mut by_alleles) = (false, false);
    for (left, right) in &join.on {
        let ends = |expr: &Expr| expr.column_refs().iter().any(|c| c.name == "end_pos");
        if ends(left) || ends(right) {
            return false;
        }
        let sides = column(left, &join.left).zip(column(right, &join.right));
        let Some(((one, of_left), (other, of_right))) = sides else {
            continue;
        };
        by_contig |= one == "contig" && other == "contig";
        let symbolic = of_left.zip(of_right);
        by_alleles |= symbolic.is_some_and(|(left, right)| left != right);
    }
    by_contig && by_alleles
}
