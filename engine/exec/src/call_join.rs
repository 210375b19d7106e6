//! Calls joined with the variants that they are calls of, made where site rows are read.
//!
//! `FROM variants v JOIN carriers c USING (contig, pos, ref, alt) WHERE v.af < 0.001` is how one asks for rare
//! carriers. Both sides come from the same site rows, so nothing is to be looked up: the filters on variants are
//! judged on site rows before genotypes are read, and their columns stand beside the calls that are made.
//! ```text
//! before   HashJoinExec: on=[contig, pos, ref, alt]     after   CallScanExec: variants=[af < 0.001]
//!            VariantScanExec: filters=[af < 0.001]
//!            CallScanExec
//! ```
//! A file may hold one allele twice. Then each call of either row meets both variants, as in any join; rows of one
//! place (contig and position) therefore stay together, see [`places`].

pub(crate) mod places;
mod recognise;

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;

use arrow::array::{Array as _, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{and, is_not_null};
use arrow::datatypes::{Field, FieldRef, Int32Type};

use crate::choice::passes;
use crate::dataset::DatasetView;
use crate::error::{Error, Result};
use crate::source::{SiteRows, column};
use crate::spec::{ScanKind, VariantSide};
use crate::table::sql_schema;
use crate::variants::SiteColumns;

pub use recognise::join_on_sites;

/// The columns that a variant and its calls are joined by.
pub(crate) const JOIN_KEY: [&str; 4] = ["contig", "pos", "ref", "alt"];

/// Rows of a place up to which its alleles are compared one with another.
const COMPARED_MAX: usize = 8;

/// The name that a column of variants has among those of calls.
pub(crate) fn name_beside(column: &str) -> String {
    format!("variants.{column}")
}

/// The columns of variants that a joined scan gives, by the names that they have there.
pub(crate) fn fields_beside(side: &VariantSide, view: &DatasetView) -> Result<Vec<FieldRef>> {
    let variants = sql_schema(ScanKind::Variants, view);
    let field = |name: &String| {
        let field = variants.field_with_name(name);
        let field = field.map_err(|_| Error::Plan(format!("column {name} does not exist")))?;
        Ok(Field::clone(field).with_name(name_beside(name)).into())
    };
    side.columns.iter().map(field).collect()
}

/// Joins site rows, as those of calls, with themselves, as variants.
pub(crate) struct SiteJoin {
    variants: SiteColumns,
    fields: Vec<FieldRef>,
    once: bool,
}

impl SiteJoin {
    pub(crate) fn new(side: &VariantSide, view: &DatasetView) -> Result<Self> {
        Ok(Self {
            variants: SiteColumns::new(&side.columns, &side.filters, view)?,
            fields: fields_beside(side, view)?,
            once: side.once,
        })
    }

    /// Site rows of which calls are made, the columns of their variants beside them. Rows of one place come together.
    ///
    /// A row that meets several variants stands in as many of the pieces.
    pub(crate) fn join(&self, rows: SiteRows) -> Result<VecDeque<SiteRows>> {
        let identity = rows.identity()?;
        // An allele that is NULL equals none.
        let mut keep = is_not_null(column(&identity, "alt")?)?;
        if let Some(judged) = self.variants.keep(&rows)? {
            keep = and(&keep, &judged)?;
        }
        let twins = Twins::of(&identity)?;
        let Some(twins) = twins else {
            let rows = rows.filter(&keep)?;
            let piece = self.with_variants(rows, None)?;
            return Ok(piece.into_iter().collect());
        };
        let mut pieces = VecDeque::new();
        for pairs in twins.pieces(&keep, self.once) {
            let (calls, variants): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
            let of_calls = rows.take(&calls)?;
            let of_variants = rows.take(&variants)?;
            pieces.extend(self.with_variants(of_calls, Some(of_variants))?);
        }
        Ok(pieces)
    }

    /// Rows with the columns of `variants`, or of the variants that they are themselves.
    fn with_variants(
        &self,
        rows: SiteRows,
        variants: Option<SiteRows>,
    ) -> Result<Option<SiteRows>> {
        if rows.len() == 0 {
            return Ok(None);
        }
        if self.fields.is_empty() {
            return Ok(Some(rows));
        }
        let columns = self.variants.batch(variants.as_ref().unwrap_or(&rows))?;
        rows.with_columns(&self.fields, columns.columns()).map(Some)
    }
}

/// Alleles that stand in several rows of a batch.
struct Twins {
    /// Rows of one place each, in order.
    places: Vec<Range<usize>>,
    /// Of each row the first row of its place with the same allele.
    first: Vec<u32>,
}

impl Twins {
    /// `None` when every allele stands in one row only, as nearly always.
    fn of(identity: &RecordBatch) -> Result<Option<Self>> {
        let contig = column(identity, "contig")?.as_string::<i32>();
        let pos = column(identity, "pos")?.as_primitive::<Int32Type>();
        let reference = column(identity, "ref")?.as_string::<i32>();
        let alt = column(identity, "alt")?.as_string::<i32>();
        let rows = identity.num_rows();
        let mut places: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for row in 1..=rows {
            let same = row < rows
                && pos.value(row) == pos.value(start)
                && contig.value(row) == contig.value(start);
            if !same {
                places.push(start..row);
                start = row;
            }
        }
        let twins = places.iter().any(|place| repeats(place, reference, alt));
        if !twins {
            return Ok(None);
        }
        let mut first = Vec::with_capacity(rows);
        for place in &places {
            let mut known = HashMap::new();
            for row in place.clone() {
                let allele = (reference.value(row), allele(alt, row));
                let number = u32::try_from(row).unwrap_or(u32::MAX);
                first.push(*known.entry(allele).or_insert(number));
            }
        }
        Ok(Some(Self { places, first }))
    }

    /// Pairs of a row, of which calls are made, and a variant that it meets, in the order of the rows; a new piece
    /// begins where a row comes again.
    fn pieces(&self, keep: &BooleanArray, once: bool) -> Vec<Vec<(u32, u32)>> {
        let mut pieces: Vec<Vec<(u32, u32)>> = vec![Vec::new()];
        for place in &self.places {
            for row in place.clone() {
                let is_met = |variant: &usize| {
                    passes(keep, *variant) && self.first[*variant] == self.first[row]
                };
                let met = place.clone().filter(is_met);
                let met = met.take(if once { 1 } else { usize::MAX });
                for (nth, variant) in met.enumerate() {
                    if nth > 0 {
                        pieces.push(Vec::new());
                    }
                    let number = |row: usize| u32::try_from(row).unwrap_or(u32::MAX);
                    if let Some(piece) = pieces.last_mut() {
                        piece.push((number(row), number(variant)));
                    }
                }
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

/// Whether an allele stands in several rows of a place.
fn repeats(place: &Range<usize>, reference: &StringArray, alt: &StringArray) -> bool {
    let of = |row: usize| (reference.value(row), allele(alt, row));
    if place.len() <= COMPARED_MAX {
        let earlier = |row: usize| place.start..row;
        return place
            .clone()
            .any(|row| earlier(row).any(|other| of(other) == of(row)));
    }
    let alleles: HashSet<_> = place.clone().map(of).collect();
    alleles.len() < place.len()
}

fn allele(alt: &StringArray, row: usize) -> Option<&str> {
    alt.is_valid(row).then(|| alt.value(row))
}

#[cfg(test)]
mod tests;
