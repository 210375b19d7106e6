//! `gt_text(gt, sample)`: the genotype as the VCF had it.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::codec::CallRef;

use super::{Definition, types};
use crate::doc::{Chapter, FunctionDoc, GT, PER_SAMPLE_RULE, SAMPLE};
use crate::genotypes::per_sample;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_text",
        chapter: Chapter::OneSample,
        arguments: &[GT, SAMPLE],
        returns: "text",
        summary: "The genotype of a sample as the VCF had it: `0/1`, `1|0`, `./.`, `1`.",
        details: &[
            "Allele numbers are those of the record, not of the row: in a multi-allelic record `1/2` reads the \
             same in the rows of both ALT alleles.",
            PER_SAMPLE_RULE,
        ],
        example: "SELECT contig, pos, alt, gt_text(gt, 'GK0003') FROM cohort.variants WHERE pos = 117559590;",
    },
    coerce: types::gt_and_sample,
    returns: || DataType::Utf8,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(StringArray::from(per_sample(args, text)?)))
}

/// Genotype text is ASCII.
fn text(call: CallRef<'_>) -> Option<String> {
    let mut text = Vec::with_capacity(3);
    call.write_text(&mut text);
    String::from_utf8(text).ok()
}
