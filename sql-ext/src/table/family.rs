//! Trios over the rows of a dataset: their calls in each row, and the scans that keep the rows a rule fits.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, Float64Array, Float64Builder, Int32Array,
    Int32Builder, RecordBatch, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, SchemaRef};
use datafusion::common::{DataFusionError, Result as DfResult};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::codec::cell::Cell;
use genokura_core::codec::{CallRef, GenotypeRow};
use genokura_core::contig::Assembly;
use genokura_core::sex::{Sex, Zone};
use genokura_exec::SampleDirectory;

use super::fold::Batches;
use super::map::{Map, MapExec};
use super::pedigree::{Trio, trios};
use super::source::Variants;
use super::{Call, ResultColumn, column, nullable};
use crate::error::{Error, Result};
use crate::genotypes::{Place, places, row_of};
use crate::trio::PlacedCall;

/// Trios with the places of their members in a directory.
#[derive(Debug)]
pub(super) struct Trios {
    pub(super) directory: Arc<SampleDirectory>,
    pub(super) assembly: Option<Assembly>,
    pub(super) trios: Vec<Trio>,
    /// Child, father and mother of each trio.
    places: Vec<[Vec<Place>; 3]>,
    /// Blocks that hold any of them.
    wanted: Vec<bool>,
}

impl Trios {
    pub(super) fn new(
        directory: Arc<SampleDirectory>,
        assembly: Option<Assembly>,
        trios: Vec<Trio>,
    ) -> Result<Self> {
        let mut wanted = vec![false; directory.blocks.len()];
        let mut all = Vec::with_capacity(trios.len());
        // One that the dataset lacks has no place, and no call anywhere.
        let parent = |name: &Option<String>| match name {
            Some(name) => places(&directory, name),
            None => Ok(Vec::new()),
        };
        for trio in &trios {
            let of_trio = [
                places(&directory, &trio.child)?,
                parent(&trio.father)?,
                parent(&trio.mother)?,
            ];
            for place in of_trio.iter().flatten() {
                if let Some(block) = wanted.get_mut(place.ordinal as usize) {
                    *block = true;
                }
            }
            all.push(of_trio);
        }
        Ok(Self {
            directory,
            assembly,
            trios,
            places: all,
            wanted,
        })
    }

    pub(super) fn zone(&self, contig: &str, pos: i32) -> Option<Zone> {
        Zone::of(self.assembly, contig, u32::try_from(pos).unwrap_or(0))
    }

    /// The wanted blocks of a cell.
    pub(super) fn blocks<'a>(&self, cell: &'a [u8]) -> Result<Blocks<'a>> {
        let cell = Cell::open(cell).map_err(Error::Genotype)?;
        if cell.directory_id() != self.directory.id {
            return Err(Error::Internal("a genotype of other samples than planned"));
        }
        let mut rows = vec![None; self.wanted.len()];
        let is_wanted = |ordinal: u32| self.wanted.get(ordinal as usize) == Some(&true);
        for part in cell.parts_where(is_wanted) {
            let (ordinal, part) = part.map_err(Error::Genotype)?;
            if let Some(row) = rows.get_mut(ordinal as usize) {
                *row = Some(row_of(&self.directory, ordinal, part)?);
            }
        }
        Ok(Blocks(rows))
    }

    /// The calls of child, father and mother of a trio.
    pub(super) fn calls<'a>(&self, trio: usize, blocks: &Blocks<'a>) -> [PlacedCall<'a>; 3] {
        match self.places.get(trio) {
            Some(places) => places.each_ref().map(|places| blocks.call(places)),
            None => [None; 3],
        }
    }
}

/// Blocks of one cell, by ordinal.
pub(super) struct Blocks<'a>(Vec<Option<GenotypeRow<'a>>>);

impl<'a> Blocks<'a> {
    fn row(&self, place: &Place) -> Option<&GenotypeRow<'a>> {
        self.0.get(place.ordinal as usize)?.as_ref()
    }

    fn call(&self, places: &[Place]) -> PlacedCall<'a> {
        let place = places.iter().find(|place| self.row(place).is_some())?;
        let call = self.row(place)?.call(place.position)?;
        call.has_gt().then_some((call, place.batch))
    }
}

/// The text of a call; empty without one.
pub(super) fn text(call: PlacedCall<'_>) -> Option<String> {
    let mut text = Vec::with_capacity(3);
    call?.0.write_text(&mut text);
    String::from_utf8(text).ok()
}

/// A column of a batch.
pub(super) fn of<'a>(batch: &'a RecordBatch, name: &str) -> DfResult<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| DataFusionError::from(Error::Internal("a column was not read")))
}

/// Columns that the scans of this module read.
const READ: [&str; 6] = ["contig", "pos", "ref", "alt", "af", "gt"];

/// What the scans of this module give.
pub(super) const COLUMNS: [ResultColumn; 10] = [
    nullable(
        "family_id",
        super::DataType::Utf8,
        "Family, where the pedigree names one",
    ),
    column("child", super::DataType::Utf8, "Sample of the child"),
    column("contig", super::DataType::Utf8, "Contig"),
    column("pos", super::DataType::Int32, "Position, 1-based"),
    column("ref", super::DataType::Utf8, "Normalised REF"),
    column("alt", super::DataType::Utf8, "Normalised ALT"),
    nullable(
        "af",
        super::DataType::Float64,
        "Frequency of the ALT in the dataset",
    ),
    nullable("child_gt", super::DataType::Utf8, "Genotype of the child"),
    nullable("father_gt", super::DataType::Utf8, "Genotype of the father"),
    nullable("mother_gt", super::DataType::Utf8, "Genotype of the mother"),
];

/// Whether a row is one of those looked for, for one trio.
pub(super) type Rule = fn(Zone, Sex, [Option<CallRef<'_>>; 3]) -> bool;

/// A plan of the rows that a rule keeps.
pub(super) async fn scan(
    call: &Call,
    state: &SessionState,
    title: &'static str,
    rule: Rule,
    own: impl FnOnce(&Variants) -> Option<Expr>,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let (variants, trios) = trios_of(call, state).await?;
    let condition = call.arguments.condition.as_deref();
    let own = own(&variants);
    let rows = variants.plan(state, &READ, condition, own).await?;
    let kept = Kept {
        title,
        rule,
        trios,
        schema: Arc::clone(&call.schema),
    };
    Ok(Arc::new(MapExec::new(kept, rows, &call.schema)))
}

/// `variants` of a call, and its trios.
pub(super) async fn trios_of(call: &Call, state: &SessionState) -> DfResult<(Variants, Trios)> {
    let variants = Variants::of(state, &call.arguments.dataset).await?;
    let directory = Arc::clone(&variants.info.directory);
    let found = trios(state, &call.arguments, &directory).await?;
    let trios = Trios::new(directory, variants.info.assembly, found)?;
    Ok((variants, trios))
}

/// The rows and trios that a rule keeps.
struct Kept {
    title: &'static str,
    rule: Rule,
    trios: Trios,
    schema: SchemaRef,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kept").field(&self.title).finish()
    }
}

impl Map for Kept {
    fn title(&self) -> String {
        format!("{}, trios={}", self.title, self.trios.trios.len())
    }

    fn map(&self, batch: &RecordBatch) -> DfResult<Batches> {
        let read = Read::of(batch)?;
        let mut found = Found::default();
        for row in 0..batch.num_rows() {
            if read.gt.is_null(row) {
                continue;
            }
            let Some(zone) = self.trios.zone(read.contig.value(row), read.pos.value(row)) else {
                continue;
            };
            let blocks = self.trios.blocks(read.gt.value(row))?;
            for (at, trio) in self.trios.trios.iter().enumerate() {
                let calls = self.trios.calls(at, &blocks);
                if (self.rule)(zone, trio.sex, calls.map(|call| call.map(|(call, _)| call))) {
                    found.add(&read, row, trio, calls);
                }
            }
        }
        let batch = found.batch(&self.schema)?;
        Ok(Box::new(
            (batch.num_rows() > 0).then_some(Ok(batch)).into_iter(),
        ))
    }
}

/// The columns of a batch of [`READ`].
struct Read<'a> {
    contig: &'a StringArray,
    pos: &'a Int32Array,
    reference: &'a StringArray,
    alt: &'a StringArray,
    af: &'a Float64Array,
    gt: &'a BinaryViewArray,
}

impl<'a> Read<'a> {
    fn of(batch: &'a RecordBatch) -> DfResult<Self> {
        Ok(Self {
            contig: of(batch, "contig")?.as_string(),
            pos: of(batch, "pos")?.as_primitive::<Int32Type>(),
            reference: of(batch, "ref")?.as_string(),
            alt: of(batch, "alt")?.as_string(),
            af: of(batch, "af")?.as_primitive::<Float64Type>(),
            gt: of(batch, "gt")?.as_binary_view(),
        })
    }
}

/// Rows of the result in the making.
#[derive(Default)]
struct Found {
    texts: [StringBuilder; 5],
    gts: [StringBuilder; 3],
    pos: Int32Builder,
    af: Float64Builder,
}

impl Found {
    fn add(&mut self, read: &Read<'_>, row: usize, trio: &Trio, calls: [PlacedCall<'_>; 3]) {
        let [family, child, contig, reference, alt] = &mut self.texts;
        family.append_option(trio.family.as_deref());
        child.append_value(&trio.child);
        contig.append_value(read.contig.value(row));
        reference.append_value(read.reference.value(row));
        alt.append_value(read.alt.value(row));
        self.pos.append_value(read.pos.value(row));
        self.af
            .append_option(read.af.is_valid(row).then(|| read.af.value(row)));
        for (gt, call) in self.gts.iter_mut().zip(calls) {
            gt.append_option(text(call));
        }
    }

    fn batch(mut self, schema: &SchemaRef) -> DfResult<RecordBatch> {
        let [family, child, contig, reference, alt] = self
            .texts
            .each_mut()
            .map(|text| Arc::new(text.finish()) as ArrayRef);
        let [child_gt, father_gt, mother_gt] = self
            .gts
            .each_mut()
            .map(|text| Arc::new(text.finish()) as ArrayRef);
        let columns = vec![
            family,
            child,
            contig,
            Arc::new(self.pos.finish()),
            reference,
            alt,
            Arc::new(self.af.finish()),
            child_gt,
            father_gt,
            mother_gt,
        ];
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}
