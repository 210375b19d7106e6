//! What of a statement an error is about, as the planner's expressions tell it: they have forgotten where they stood.

use datafusion::common::Location;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::logical_expr::Expr;

/// A part of a construct of the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// The construct.
    pub(crate) construct: Construct,
    /// From the first to the last column that it names; `None` where it names none that is known.
    pub(crate) columns: Option<((u64, u64), (u64, u64))>,
}

/// What in the statement is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Construct {
    /// An operator, by its sign; `IN`, `BETWEEN` and the like compare by one.
    Operator(String),
    /// A call of the function that the error names, with the types of its arguments.
    Call,
    /// A subscript of an array.
    Subscript,
    /// An argument of a function, by its place from 0.
    Argument(&'static str, usize),
    /// A result of CASE: that of ELSE is the first, if there is one.
    CaseResult(usize),
    /// An item of an array that is written out.
    Item(usize),
    /// What stands beside AND or OR, or within FILTER.
    Condition,
    /// A column of a query behind UNION, INTERSECT or EXCEPT, by its place from 0.
    SetColumn(usize),
}

impl About {
    /// A construct that is made of these expressions.
    pub(crate) fn new<'a>(
        construct: Construct,
        parts: impl IntoIterator<Item = &'a Expr>,
    ) -> About {
        let mut columns: Option<((u64, u64), (u64, u64))> = None;
        for part in parts {
            let _ = part.apply(|part| {
                let span = match part {
                    Expr::Column(column) => column.spans.first(),
                    _ => None,
                };
                if let Some(span) = span {
                    let place = |location: Location| (location.line, location.column);
                    let (start, end) = (place(span.start), place(span.end));
                    columns = Some(match columns {
                        Some((first, last)) => (first.min(start), last.max(end)),
                        None => (start, end),
                    });
                }
                Ok(TreeNodeRecursion::Continue)
            });
        }
        About { construct, columns }
    }
}
