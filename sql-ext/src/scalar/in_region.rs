//! `in_region(contig, pos, end_pos, region)`: the span shares a base with the region.
//!
//! With a literal region it is rewritten to comparisons, which prune partitions, files, row groups and pages:
//!
//! ```text
//! before  in_region(contig, pos, end_pos, 'chr22:20,000,000-20,100,000')
//! after   contig IN ('chr22', '22') AND pos <= 20100000 AND end_pos >= 20000000
//! ```
//! A text that may be the name of a contig as well as a span of another ([`Region::readings`]) becomes both, joined by
//! OR: rows tell which contig there is. Where the contigs of a dataset are known, the rule `contig_constants` has
//! put the one that is meant in braces before.

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
                 ends included.",
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
            "A name may hold `:`: `HLA-A*01:01:01:01` and `HLA-A*01:01:01:01:5-9` mean that contig where there is one, as \
             in samtools and tabix, and `{HLA-A*01:01:01:01}:5-9` means it always. A literal that is the name of one \
             contig of the dataset and a span of another is an error (22023); braces tell which is meant. Beside a table \
             that is no dataset, and in a column of regions, such a text finds what it can mean.",
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

/// What a text can mean.
fn parse(text: &str) -> Result<Vec<Wanted>> {
    let readings = Region::readings(text).map_err(Error::Region)?;
    Ok(readings.into_iter().map(Wanted::of).collect())
}

impl Wanted {
    fn of(region: Region) -> Self {
        let interval = region.interval_or_all();
        let (start, end) = (interval.start().get().into(), interval.end().get().into());
        Self {
            contigs: names(region.contig),
            start,
            end,
        }
    }

    /// The same as comparisons.
    fn condition(
        &self,
        [contig, pos, end_pos]: [&Expr; 3],
        info: &SimplifyContext,
    ) -> DfResult<Expr> {
        let contigs = self.contigs.iter().map(|name| lit(name.as_str())).collect();
        let before_end = pos
            .clone()
            .lt_eq(position(self.end, &info.get_data_type(pos)?));
        let after_start = end_pos
            .clone()
            .gt_eq(position(self.start, &info.get_data_type(end_pos)?));
        let on_contig = contig.clone().in_list(contigs, false);
        Ok(on_contig.and(before_end).and(after_start))
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

/// SQL's OR: true wins over NULL, NULL over false.
fn any_of(parts: &[Option<bool>]) -> Option<bool> {
    if parts.contains(&Some(true)) {
        return Some(true);
    }
    if parts.contains(&None) {
        None
    } else {
        Some(false)
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
    let wanted = parse(region)?;
    let conditions = wanted
        .iter()
        .map(|wanted| wanted.condition([contig, pos, end_pos], info));
    let any = conditions
        .reduce(|one, other| Ok(one?.or(other?)))
        .unwrap_or_else(|| Ok(lit(false)))?;
    Ok(ExprSimplifyResult::Simplified(any))
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
    let mut wanted: Option<(String, Vec<Wanted>)> = None;
    let mut values = Vec::with_capacity(args.number_rows);
    for row in 0..args.number_rows {
        let Some(text) = regions.get(row) else {
            values.push(None);
            continue;
        };
        if wanted.as_ref().is_none_or(|(held, _)| held != text) {
            wanted = Some((text.to_owned(), parse(text)?));
        }
        let at = |array: &Int64Array| array.is_valid(row).then(|| array.value(row));
        let held = wanted.iter().flat_map(|(_, wanted)| wanted);
        let held = held.map(|w| w.holds(contigs.get(row), at(pos), at(end_pos)));
        values.push(any_of(&held.collect::<Vec<_>>()));
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
