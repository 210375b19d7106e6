//! `interval_overlaps(contig1, start1, end1, contig2, start2, end2)`: two spans share a base.
//!
//! Always rewritten to the three comparisons it stands for, so that scans prune and joins see an interval join:
//!
//! ```text
//! before  interval_overlaps(v.contig, v.pos, v.end_pos, g.contig, g.pos, g.end_pos)
//! after   v.contig = g.contig AND v.pos <= g.end_pos AND g.pos <= v.end_pos
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::and_kleene;
use datafusion::arrow::compute::kernels::cmp::{eq, lt_eq};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::common::utils::take_function_args;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ScalarFunctionArgs};

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, argument};

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "interval_overlaps",
        chapter: Chapter::Regions,
        arguments: &[
            argument("contig1", "text", "Contig of the first span."),
            argument(
                "start1",
                "integer",
                "First base of the first span, 1-based.",
            ),
            argument("end1", "integer", "Last base of the first span, included."),
            argument("contig2", "text", "Contig of the second span."),
            argument(
                "start2",
                "integer",
                "First base of the second span, 1-based.",
            ),
            argument("end2", "integer", "Last base of the second span, included."),
        ],
        returns: "boolean",
        summary: "Whether two spans of the same contig share at least one base.",
        details: &[
            "Closed intervals: sharing one base is an overlap. A span that ends before it starts \
             is compared as it stands.",
            "Rewritten to `contig1 = contig2 AND start1 <= end2 AND start2 <= end1`: contig names \
             are compared as they stand (a pair that can never be equal, as `1` in a table of `chr1`, is refused), and a NULL argument gives NULL unless another comparison \
             already says no.",
        ],
        example: "SELECT g.name, count(*) FROM cohort.variants v JOIN kb.genes g\n\
                  ON interval_overlaps(v.contig, v.pos, v.end_pos, g.contig, g.pos, g.end_pos)\n\
                  WHERE g.feature = 'gene' GROUP BY g.name;",
    },
    coerce: types::two_spans,
    returns: || DataType::Boolean,
    invoke,
    simplify: Some(simplify),
};

fn simplify(args: Vec<Expr>, _info: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
    let [c1, s1, e1, c2, s2, e2] = take_function_args(DEFINITION.doc.name, args)?;
    Ok(ExprSimplifyResult::Simplified(
        c1.eq(c2).and(s1.lt_eq(e2)).and(s2.lt_eq(e1)),
    ))
}

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let arrays: Vec<ArrayRef> = args
        .args
        .iter()
        .map(|arg| arg.to_array(args.number_rows))
        .collect::<DfResult<_>>()?;
    let [c1, s1, e1, c2, s2, e2] = take_function_args(DEFINITION.doc.name, arrays)?;
    let same = eq(c1.as_string::<i32>(), c2.as_string::<i32>())?;
    let overlap = and_kleene(&lt_eq(&s1, &e2)?, &lt_eq(&s2, &e1)?)?;
    Ok(Arc::new(and_kleene(&same, &overlap)?))
}
