//! Changes of one base, row by row.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::allele::Substitution;

use crate::genotypes::text_argument;

/// Whether each change is of this kind; None for one that is no change of one base, and for NULL.
pub(crate) fn per_change(args: &ScalarFunctionArgs, wanted: Substitution) -> DfResult<ArrayRef> {
    let (reference, alternate) = (text_argument(args, 0)?, text_argument(args, 1)?);
    let value = |row| {
        let (r, a) = (reference.get(row)?, alternate.get(row)?);
        match Substitution::of(r.as_bytes(), a.as_bytes()) {
            Substitution::Other => None,
            kind => Some(kind == wanted),
        }
    };
    let values: BooleanArray = (0..args.number_rows).map(value).collect();
    Ok(Arc::new(values))
}
