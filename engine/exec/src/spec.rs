//! A scan as plain data: what a plan node is made of, and its bytes on the wire to another process.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::access::AccessContext;
use crate::counting::Counting;
use crate::error::{Error, Result};
use crate::predicate::Predicate;

/// Version of the byte form; a reader refuses every other.
const FORMAT: u32 = 5;

/// Which rows a scan of calls makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallKind {
    /// Every sample of the rows' blocks.
    Calls,
    /// Samples with at least one copy of the ALT.
    Carriers,
}

/// Which table a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScanKind {
    /// `variants`
    Variants,
    /// `variants` with one more column, `records`: see [`crate::records`]
    Records,
    /// `calls` or `carriers`
    Calls(CallKind),
}

/// What column `gt` of a scan tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GtOf {
    /// The calls of all samples.
    #[default]
    All,
    /// The calls of these samples, and perhaps of others.
    Samples(Vec<String>),
    /// Counts over some cohorts, each a list of names or, without one, everybody: see
    /// [`genokura_core::codec::counted`].
    Counts(Vec<Option<Vec<String>>>),
}

/// The side of `variants` in a scan of calls that are joined with their variants: see [`crate::join_on_sites`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantSide {
    /// Columns of the result, as SQL names them; they come after those of the calls.
    pub columns: Vec<String>,
    /// Filters, all of which the variant of a call satisfies.
    pub filters: Vec<Predicate>,
    /// A call comes once, however many variants it meets.
    pub once: bool,
}

/// Everything that defines a scan. Two processes with the same spec give the same rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanSpec {
    /// Version of the lake that is read; `None` for a lake without commits.
    pub version: Option<u64>,
    /// The dataset.
    pub dataset: String,
    /// The table.
    pub kind: ScanKind,
    /// Who asks and what they may see.
    pub access: AccessContext,
    /// Columns of the result in order, as SQL names them.
    pub columns: Vec<String>,
    /// What column `gt` tells of.
    pub gt: GtOf,
    /// Filters, all of which a row of the result satisfies.
    pub filters: Vec<Predicate>,
    /// The variants that calls are joined with.
    pub variants: Option<VariantSide>,
    /// Rows of the result at most, of each partition and of all together.
    pub limit: Option<usize>,
    /// Calls of later variants come first, where nothing stands against it: an order that is quick, not promised.
    pub backward: bool,
    /// The work, per partition.
    pub partitions: Vec<Vec<Unit>>,
    /// What planning left out.
    pub pruned: PruneReport,
}

/// A piece of work: rows of the site table that are read together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Sorted streams of rows. More than one, or `merge`: they are merged by position.
    pub streams: Vec<Vec<FilePart>>,
    /// True when rows of the streams may be one variant.
    pub merge: bool,
    /// Only rows with `start <= pos < end`; units of one stretch of the genome split it by position.
    pub positions: Option<(i32, i32)>,
}

/// Row groups of one site file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// Place of the file in the table's list of files at this version.
    pub file: usize,
    /// Row groups in rising order with the rows of each that are read, `start..end`.
    pub row_groups: Vec<(usize, usize, usize)>,
}

impl FilePart {
    /// Rows to read before anything else is pruned.
    pub fn rows(&self) -> usize {
        self.row_groups
            .iter()
            .map(|(_, start, end)| end.saturating_sub(*start))
            .sum()
    }
}

/// What planning saw and left out; shown by EXPLAIN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PruneReport {
    /// Partitions (contig and position bin) of the table.
    pub bins_total: usize,
    /// Partitions that are read.
    pub bins: usize,
    /// Files of the table.
    pub files_total: usize,
    /// Files that are read.
    pub files: usize,
    /// Row groups of the files that are read.
    pub row_groups_total: usize,
    /// Row groups that are read.
    pub row_groups: usize,
    /// Rows of these row groups.
    pub rows: u64,
    /// True when every row of them is a row of its own: nothing merges.
    pub rows_exact: bool,
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    format: u32,
    spec: ScanSpec,
    /// What is counted, by a node that counts instead of making rows.
    counting: Option<Counting>,
}

impl ScanSpec {
    /// The byte form.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be written, which does not happen.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.to_bytes_with(None)
    }

    /// The byte form of a node that counts what the scan would give.
    pub(crate) fn to_bytes_with(&self, counting: Option<&Counting>) -> Result<Vec<u8>> {
        let envelope = Envelope {
            format: FORMAT,
            spec: self.clone(),
            counting: counting.cloned(),
        };
        serde_json::to_vec(&envelope).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Reads the byte form.
    ///
    /// # Errors
    /// [`Error::Plan`] for bytes of another version or of something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_with(bytes).map(|(spec, _)| spec)
    }

    /// Reads the byte form of a scan or of a node that counts.
    pub(crate) fn from_bytes_with(bytes: &[u8]) -> Result<(Self, Option<Counting>)> {
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|e| Error::Plan(e.to_string()))?;
        if envelope.format != FORMAT {
            return Err(Error::Plan(format!(
                "its format is {}, not {FORMAT}",
                envelope.format
            )));
        }
        Ok((envelope.spec, envelope.counting))
    }

    /// Every column that the result or a filter names.
    pub(crate) fn columns_needed(&self) -> BTreeSet<&str> {
        let mut needed: BTreeSet<&str> = self.columns.iter().map(String::as_str).collect();
        for filter in &self.filters {
            filter.collect_columns(&mut needed);
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::access::MaskedColumn;
    use crate::predicate::{Comparison, Literal};

    #[test]
    fn a_spec_survives_its_bytes() {
        let masked = MaskedColumn {
            schema: "c".into(),
            table: "variants".into(),
            column: "qual".into(),
        };
        let spec = ScanSpec {
            version: Some(7),
            dataset: "cohort".into(),
            kind: ScanKind::Calls(CallKind::Carriers),
            access: AccessContext::only("r", [("cohort".into(), ["S1".into()].into())])
                .with_masked([masked]),
            columns: vec!["pos".into(), "sample_id".into()],
            gt: GtOf::Counts(vec![None, Some(vec!["S1".into()])]),
            filters: vec![
                Predicate::Compare {
                    column: "af".into(),
                    op: Comparison::Lt,
                    value: Literal::Float64Bits(0.1f64.to_bits()),
                },
                Predicate::Not(Box::new(Predicate::IsNull {
                    column: "alt".into(),
                    negated: true,
                })),
            ],
            variants: Some(VariantSide {
                columns: vec!["qual".into()],
                filters: Vec::new(),
                once: true,
            }),
            limit: Some(3),
            backward: true,
            partitions: vec![vec![Unit {
                streams: vec![vec![FilePart {
                    file: 2,
                    row_groups: vec![(0, 0, 9), (3, 4, 5)],
                }]],
                merge: true,
                positions: Some((1, 100)),
            }]],
            pruned: PruneReport {
                files_total: 4,
                files: 1,
                ..PruneReport::default()
            },
        };
        assert_eq!(
            ScanSpec::from_bytes(&spec.to_bytes().unwrap()).unwrap(),
            spec
        );
        assert!(matches!(ScanSpec::from_bytes(b"{}"), Err(Error::Plan(_))));
        let needed: Vec<_> = spec.columns_needed().into_iter().collect();
        assert_eq!(needed, ["af", "alt", "pos", "sample_id"]);
    }
}
