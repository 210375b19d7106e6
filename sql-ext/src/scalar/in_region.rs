//! `in_region(contig, pos, end_pos, region)`: the span shares a base with the region.
//!
//! With a literal region it is rewritten to comparisons, which prune partitions, files, row groups and pages:
//!
//! ```text
//! before  in_region(contig, pos, end_pos, 'chr22:20,000,000-20,100,000')
//! after   contig IN ('chr22', '22') AND pos <= 20100000 AND end_pos >= 20000000
//! ```

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{Expr, ScalarFunctionArgs, lit};
use genokura_core::region::Region;

use super::{Definition, types};
use crate::contigs::names;
use crate::doc::{Chapter, FunctionDoc, argument};
use crate::error::{Error, Result};
use crate::genotypes::text_argument;

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "in_region",
        chapter: Chapter::Regions,
        arguments: &[
            argument("contig", "text", "Contig of the span."),
            argument("pos", "integer", "First base of the span, 1-based."),
            argument("end_pos", "integer", "Last base of the span, included."),
            argument(
                "region",
                "text",
                "`chr22`, `chr22:100`, `chr22:20,000,000-20,100,000` or `chr22:100-`: 1-based, both \
                 ends included; a name that holds `:` stands in braces, `{HLA-A*01:01}:5-9`.",
            ),
        ],
        returns: "boolean",
        summary: "Whether a span shares at least one base with a region.",
        details: &[
            "Rewritten to comparisons of `contig`, `pos` and `end_pos` when the region is a literal, \
             so that a scan reads only the files, row groups and pages that can hold the region.",
            "A human primary contig is found under both of its usual names: `22:100-200` and \
             `chr22:100-200` are the same region (`chrM`, `M` and `MT` likewise). Every other name is \
             taken as it stands. A literal region on a contig that the dataset does not have is an error (22023).",
            "A NULL argument gives NULL, unless another comparison already says no. A text that is \
             not a region is an error (22023).",
        ],
        example: "SELECT contig, pos, ref, alt FROM cohort.variants\n\
                  WHERE in_region(contig, pos, end_pos, 'chr7:117,480,025-117,668,665');",
    },
    coerce: types::span_and_region,
    returns: || DataType::Boolean,
    invoke,
    simplify: Some(simplify),
};

/// A region with every name its contig may have.
struct Wanted {
    contigs: Vec<String>,
    start: i64,
    end: i64,
}

impl Wanted {
    fn parse(text: &str) -> Result<Self> {
        let region: Region = text.parse().map_err(Error::Region)?;
        let interval = region.interval_or_all();
        let (start, end) = (interval.start().get().into(), interval.end().get().into());
        Ok(Self {
            contigs: names(region.contig),
            start,
            end,
        })
    }

    fn holds(&self, contig: Option<&str>, pos: Option<i64>, end_pos: Option<i64>) -> Option<bool> {
        let parts = [
            contig.map(|contig| self.contigs.iter().any(|name| name == contig)),
            pos.map(|pos| pos <= self.end),
            end_pos.map(|end_pos| end_pos >= self.start),
        ];
        all_of(&parts)
    }
}

/// SQL's AND: false wins over NULL, NULL over true.
fn all_of(parts: &[Option<bool>]) -> Option<bool> {
    if parts.contains(&Some(false)) {
        return Some(false);
    }
    if parts.contains(&None) {
        None
    } else {
        Some(true)
    }
}

fn simplify(args: Vec<Expr>, info: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
    let [
        contig,
        pos,
        end_pos,
        Expr::Literal(ScalarValue::Utf8(Some(region)), _),
    ] = &args[..]
    else {
        return Ok(ExprSimplifyResult::Original(args));
    };
    let wanted = Wanted::parse(region)?;
    let contigs = wanted
        .contigs
        .iter()
        .map(|name| lit(name.as_str()))
        .collect();
    let before_end = pos
        .clone()
        .lt_eq(position(wanted.end, &info.get_data_type(pos)?));
    let after_start = end_pos
        .clone()
        .gt_eq(position(wanted.start, &info.get_data_type(end_pos)?));
    let all = contig
        .clone()
        .in_list(contigs, false)
        .and(before_end)
        .and(after_start);
    Ok(ExprSimplifyResult::Simplified(all))
}

/// A literal of the column's own type; positions always fit `integer`.
fn position(value: i64, data_type: &DataType) -> Expr {
    match (data_type, i32::try_from(value)) {
        (DataType::Int32, Ok(value)) => lit(value),
        _ => lit(value),
    }
}

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    let contigs = text_argument(args, 0)?;
    let regions = text_argument(args, 3)?;
    let number = |index: usize| -> DfResult<ArrayRef> {
        Ok(cast(
            &args.args[index].to_array(args.number_rows)?,
            &DataType::Int64,
        )?)
    };
    let (pos, end_pos) = (number(1)?, number(2)?);
    let (pos, end_pos) = (
        pos.as_primitive::<Int64Type>(),
        end_pos.as_primitive::<Int64Type>(),
    );
    let mut wanted: Option<(String, Wanted)> = None;
    let mut values = Vec::with_capacity(args.number_rows);
    for row in 0..args.number_rows {
        let Some(text) = regions.get(row) else {
            values.push(None);
            continue;
        };
        if wanted.as_ref().is_none_or(|(held, _)| held != text) {
            wanted = Some((text.to_owned(), Wanted::parse(text)?));
        }
        let at = |array: &Int64Array| array.is_valid(row).then(|| array.value(row));
        let held = wanted.as_ref().map(|(_, wanted)| wanted);
        values.push(held.and_then(|w| w.holds(contigs.get(row), at(pos), at(end_pos))));
    }
    Ok(Arc::new(BooleanArray::from(values)))
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_primary_has_two_names_and_the_mitochondrion_three() {
        for (given, expected) in [
            ("chr22", vec!["chr22", "22"]),
            ("X", vec!["X", "chrX"]),
            ("MT", vec!["MT", "chrM", "M"]),
            ("chrUn_KI270302v1", vec!["chrUn_KI270302v1"]),
        ] {
            assert_eq!(names(given.to_owned()), expected);
        }
    }
}
