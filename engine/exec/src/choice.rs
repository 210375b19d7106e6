//! Which calls a scan of `calls` or `carriers` makes rows of, decided before a blob is fetched.
//!
//! A filter on `sample_id` alone is judged once per sample and becomes a mask for each block; a filter on `dosage`
//! alone is judged once per dosage and becomes a table. Both may take any form that the scan takes. What is left
//! over is judged on finished rows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int16Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use genokura_core::codec::{DefaultCall, DosageCounts, GenotypeRow, SampleMask};

use crate::dataset::{BlockView, DatasetView, HIDDEN};
use crate::error::Result;
use crate::predicate::Predicate;
use crate::pruning::bind;
use crate::scan::table_name;
use crate::source::evaluate;
use crate::spec::{CallKind, ScanKind, ScanSpec};
use crate::table::Stages;

/// Columns that are made of genotypes.
const CALL_COLUMNS: [&str; 3] = ["gt", "dosage", "phased"];

/// Which samples and which of their calls a scan makes rows of.
#[derive(Debug)]
pub(crate) struct Choice {
    /// Per block of the dataset the chosen visible samples; `None` when there are none.
    masks: Vec<Option<SampleMask>>,
    keep: Keep,
    /// Filters that only a finished row can be judged by.
    rest: Vec<Predicate>,
    /// Whether the default call may pass those of them on `gt`, `dosage` and `phased`, by its number.
    defaults: [bool; DefaultCall::ALL.len()],
    /// Genotypes are read at all.
    genotypes: bool,
    /// No sample is hidden from who asks: numbers of blocks may be told.
    sees_all: bool,
}

impl Choice {
    pub(crate) fn of(spec: &ScanSpec, view: &DatasetView) -> Result<Self> {
        let masked = view.masked(table_name(spec.kind));
        let open = |column: &str| !masked.contains(column);
        let only =
            |filter: &Predicate, column: &str| open(column) && filter.only_columns(|c| c == column);
        let stages = Stages::of(spec.kind, &spec.filters, &masked);
        let (mut samples, mut dosages, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for filter in conjuncts(stages.last) {
            if only(&filter, "sample_id") {
                samples.push(filter);
            } else if only(&filter, "dosage") {
                dosages.push(filter);
            } else {
                rest.push(filter);
            }
        }
        let mut keep = Keep::of(&dosages)?;
        if spec.kind == ScanKind::Calls(CallKind::Carriers) {
            keep = keep.and(&Keep::carriers());
        }
        let chosen = chosen_samples(&samples, view)?;
        let needed = columns_needed(spec, &rest);
        let genotypes =
            !keep.is_all() || CALL_COLUMNS.iter().any(|c| needed.contains(c) && open(c));
        let of_calls = |filter: &&Predicate| {
            filter.only_columns(|column| CALL_COLUMNS.contains(&column) && open(column))
        };
        let of_calls: Vec<Predicate> = rest.iter().filter(of_calls).cloned().collect();
        Ok(Self {
            masks: masks(view, chosen.as_ref()),
            keep,
            defaults: passing_defaults(&of_calls)?,
            genotypes,
            rest,
            sees_all: view.sees_all,
        })
    }

    /// The same choice among fewer samples: those that are true in `left`, by index in the directory.
    pub(crate) fn among(&self, left: &[bool], view: &DatasetView) -> Self {
        let narrowed = self.masks.iter().zip(&view.blocks).map(|(mask, block)| {
            let mask = mask.as_ref()?;
            let is_left = |sample: &u32| {
                let index = block.directory_index.get(*sample as usize).copied();
                left.get(index.unwrap_or(HIDDEN) as usize) == Some(&true)
            };
            let mask = SampleMask::from_indices(block.n_samples, mask.iter().filter(is_left));
            (mask.count_ones() > 0).then_some(mask)
        });
        Self {
            masks: narrowed.collect(),
            keep: self.keep.clone(),
            defaults: self.defaults,
            rest: self.rest.clone(),
            genotypes: self.genotypes,
            sees_all: self.sees_all,
        }
    }

    /// Samples of which rows may be made.
    pub(crate) fn n_samples(&self) -> u64 {
        let masks = self.masks.iter().flatten();
        masks.map(|mask| u64::from(mask.count_ones())).sum()
    }

    /// True when every sample of every block is chosen.
    pub(crate) fn is_every_sample(&self) -> bool {
        let all = |mask: &Option<SampleMask>| mask.as_ref().is_some_and(SampleMask::is_all);
        self.masks.iter().all(all)
    }

    pub(crate) fn mask(&self, block: usize) -> Option<&SampleMask> {
        self.masks.get(block)?.as_ref()
    }

    /// Per block whether any of its samples is chosen.
    pub(crate) fn blocks(&self) -> Vec<bool> {
        self.masks.iter().map(Option::is_some).collect()
    }

    pub(crate) fn keep(&self) -> &Keep {
        &self.keep
    }

    /// Whether a call that is the default one of its record may satisfy the filters.
    #[inline]
    pub(crate) fn keeps_default(&self, default: DefaultCall) -> bool {
        let passes = self.defaults.get(usize::from(default.number()));
        passes == Some(&true) && self.keep.keeps(dosage_of(default))
    }

    /// Only samples that carry the ALT can satisfy the filters.
    pub(crate) fn carriers(&self) -> bool {
        self.keep.is_of_carriers()
    }

    pub(crate) fn reads_genotypes(&self) -> bool {
        self.genotypes
    }

    pub(crate) fn rest(&self) -> &[Predicate] {
        &self.rest
    }

    /// Columns of the result and of the filters that are judged on finished rows.
    pub(crate) fn columns_needed<'a>(&'a self, spec: &'a ScanSpec) -> BTreeSet<&'a str> {
        columns_needed(spec, &self.rest)
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sees_all {
            let (chosen, blocks) = (self.masks.iter().flatten().count(), self.masks.len());
            write!(f, "blocks={chosen}/{blocks}, ")?;
        }
        write!(f, "calls_per_variant<={}", self.n_samples())?;
        if self.carriers() {
            write!(f, ", carriers only")?;
        }
        Ok(())
    }
}

fn columns_needed<'a>(spec: &'a ScanSpec, rest: &'a [Predicate]) -> BTreeSet<&'a str> {
    let mut needed: BTreeSet<&str> = spec.columns.iter().map(String::as_str).collect();
    rest.iter()
        .for_each(|filter| filter.collect_columns(&mut needed));
    needed
}

/// The filters with every AND at the top taken apart.
fn conjuncts(filters: Vec<Predicate>) -> Vec<Predicate> {
    let parts = |filter| match filter {
        Predicate::And(parts) => conjuncts(parts),
        single => vec![single],
    };
    filters.into_iter().flat_map(parts).collect()
}

/// Dosage of a default call.
pub(crate) fn dosage_of(default: DefaultCall) -> Option<u8> {
    GenotypeRow::of_default(1, default).dosage(0)
}

/// Of each default call whether it passes filters on [`CALL_COLUMNS`], judged once: most calls are such.
fn passing_defaults(filters: &[Predicate]) -> Result<[bool; DefaultCall::ALL.len()]> {
    let field =
        |(name, column): (&str, &ArrayRef)| Field::new(name, column.data_type().clone(), true);
    let has_gt = |default: DefaultCall| default != DefaultCall::None;
    let all = DefaultCall::ALL.into_iter();
    let texts: StringArray = all.clone().map(|d| has_gt(d).then(|| d.text())).collect();
    let dosages: Int16Array = all.clone().map(|d| dosage_of(d).map(i16::from)).collect();
    let phased: BooleanArray = all.map(|d| has_gt(d).then(|| is_phased(d))).collect();
    let columns: [ArrayRef; 3] = [Arc::new(texts), Arc::new(dosages), Arc::new(phased)];
    let fields: Vec<Field> = CALL_COLUMNS.into_iter().zip(&columns).map(field).collect();
    let schema = Arc::new(Schema::new(fields));
    let Some(filter) = bind(filters, &schema)? else {
        return Ok([true; DefaultCall::ALL.len()]);
    };
    let batch = RecordBatch::try_new(schema, columns.to_vec())?;
    let kept = evaluate(&filter, &batch)?;
    Ok(std::array::from_fn(|number| passes(&kept, number)))
}

fn is_phased(default: DefaultCall) -> bool {
    let row = GenotypeRow::of_default(1, default);
    row.call(0).is_some_and(|call| call.phased())
}

/// Whether each visible sample, by index in the directory, is chosen; `None`: all are.
fn chosen_samples(filters: &[Predicate], view: &DatasetView) -> Result<Option<BooleanArray>> {
    judge(filters, "sample_id", Arc::clone(view.directory.names()))
}

/// Judges filters on one column by its values; `None` without filters.
pub(crate) fn judge(
    filters: &[Predicate],
    column: &str,
    values: ArrayRef,
) -> Result<Option<BooleanArray>> {
    let field = Field::new(column, values.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let Some(filter) = bind(filters, &schema)? else {
        return Ok(None);
    };
    let batch = RecordBatch::try_new(schema, vec![values])?;
    Ok(Some(evaluate(&filter, &batch)?))
}

/// True where a filter says so; NULL is no.
pub(crate) fn passes(keep: &BooleanArray, row: usize) -> bool {
    keep.is_valid(row) && keep.value(row)
}

fn masks(view: &DatasetView, chosen: Option<&BooleanArray>) -> Vec<Option<SampleMask>> {
    let Some(chosen) = chosen else {
        let visible = |block: &BlockView| block.ordinal.map(|_| block.visible.clone());
        return view.blocks.iter().map(visible).collect();
    };
    masks_of(view, |sample| passes(chosen, sample as usize))
}

/// The visible samples of each block that are chosen by their place in the directory; `None` where there is none.
pub(crate) fn masks_of(
    view: &DatasetView,
    chosen: impl Fn(u32) -> bool,
) -> Vec<Option<SampleMask>> {
    let is_chosen = |sample: u32| sample != HIDDEN && chosen(sample);
    let mask = |block: &BlockView| {
        let places = (0u32..).zip(block.directory_index.iter());
        let places = places.filter(|(_, sample)| is_chosen(**sample));
        let mask = SampleMask::from_indices(block.n_samples, places.map(|(i, _)| i));
        (mask.count_ones() > 0).then_some(mask)
    };
    view.blocks.iter().map(mask).collect()
}

/// Which dosages are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    /// Calls without any called allele, and those of records without GT.
    null: bool,
    copies: [bool; 256],
}

impl Keep {
    /// Every call.
    pub(crate) fn all() -> Self {
        Self {
            null: true,
            copies: [true; 256],
        }
    }

    /// Calls with at least one copy.
    pub(crate) fn carriers() -> Self {
        let mut copies = [true; 256];
        copies[0] = false;
        Self {
            null: false,
            copies,
        }
    }

    /// What filters on `dosage` leave.
    pub(crate) fn of(filters: &[Predicate]) -> Result<Self> {
        let dosages: Int16Array = [None].into_iter().chain((0..256).map(Some)).collect();
        Ok(match judge(filters, "dosage", Arc::new(dosages))? {
            None => Self::all(),
            Some(kept) => Self::from_judged(&kept),
        })
    }

    /// Of a judgement on NULL and then 0 to 255 copies.
    pub(crate) fn from_judged(kept: &BooleanArray) -> Self {
        Self {
            null: passes(kept, 0),
            copies: std::array::from_fn(|dosage| passes(kept, dosage + 1)),
        }
    }

    /// What both keep.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            null: self.null && other.null,
            copies: std::array::from_fn(|d| self.copies[d] && other.copies[d]),
        }
    }

    pub(crate) fn is_all(&self) -> bool {
        *self == Self::all()
    }

    /// True when nothing but carriers is kept.
    pub(crate) fn is_of_carriers(&self) -> bool {
        !self.null && !self.copies[0]
    }

    /// True when exactly the carriers are kept.
    pub(crate) fn is_carriers(&self) -> bool {
        *self == Self::carriers()
    }

    #[inline]
    pub(crate) fn keeps(&self, dosage: Option<u8>) -> bool {
        dosage.map_or(self.null, |copies| self.copies[usize::from(copies)])
    }

    /// The calls that are kept, and the sum of their dosages.
    pub(crate) fn count(&self, counts: &DosageCounts) -> Kept {
        let mut kept = Kept::default();
        for (dosage, n) in counts.iter().filter(|(dosage, _)| self.keeps(*dosage)) {
            kept.calls += n;
            if let Some(copies) = dosage {
                kept.with_dosage += n;
                kept.copies += n * u64::from(copies);
                kept.dosage = hull(kept.dosage, Some((copies, copies)));
            }
        }
        kept
    }
}

/// Counts of kept calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) calls: u64,
    /// Those whose dosage is not NULL.
    pub(crate) with_dosage: u64,
    /// Sum of their dosages.
    pub(crate) copies: u64,
    /// The least and the greatest of their dosages.
    pub(crate) dosage: Option<(u8, u8)>,
    /// The least and the greatest POS of their variants, where it is asked for.
    pub(crate) pos: Option<(i32, i32)>,
    /// The same of their ends.
    pub(crate) end_pos: Option<(i32, i32)>,
}

impl Kept {
    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.with_dosage += other.with_dosage;
        self.copies += other.copies;
        self.dosage = hull(self.dosage, other.dosage);
        self.pos = hull(self.pos, other.pos);
        self.end_pos = hull(self.end_pos, other.end_pos);
    }
}

/// The least and the greatest of two stretches.
fn hull<T: Ord>(one: Option<(T, T)>, other: Option<(T, T)>) -> Option<(T, T)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

/// The type of column `dosage`.
pub(crate) const DOSAGE_TYPE: DataType = DataType::Int16;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::predicate::{Comparison, Literal};

    fn dosage(op: Comparison, value: i16) -> Predicate {
        Predicate::Compare {
            column: "dosage".into(),
            op,
            value: Literal::Int16(value),
        }
    }

    #[test]
    fn filters_on_dosage_become_a_table() {
        let greater = Keep::of(&[dosage(Comparison::Gt, 0)]).unwrap();
        assert!(greater.is_carriers() && greater.is_of_carriers());
        let odd = Predicate::Or(vec![
            dosage(Comparison::Eq, 1),
            Predicate::IsNull {
                column: "dosage".into(),
                negated: false,
            },
        ]);
        let odd = Keep::of(&[odd]).unwrap();
        let kept: Vec<_> = [None, Some(0), Some(1), Some(2), Some(255)]
            .map(|d| odd.keeps(d))
            .into();
        assert_eq!(kept, [true, false, true, false, false]);
        assert!(Keep::of(&[]).unwrap().is_all());
        assert!(!odd.is_of_carriers());
    }

    #[test]
    fn counts_of_what_is_kept() {
        let counts = DosageCounts {
            null: 3,
            zero: 5,
            one: 7,
            two: 2,
            more: [(4, 1)].into(),
        };
        let kept = |keep: Keep| {
            let kept = keep.count(&counts);
            (kept.calls, kept.with_dosage, kept.copies)
        };
        assert_eq!(kept(Keep::all()), (18, 15, 15));
        assert_eq!(kept(Keep::carriers()), (10, 10, 15));
    }
}
