//! `windows(dataset, size [, step])`: the contigs of a dataset in windows.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::memory::{LazyBatchGenerator, LazyMemoryExec};
use parking_lot::RwLock;

use super::super::source::dataset_schema;
use super::{Call, SpanDefinition, Takes};
use crate::doc::{Argument, Chapter, FunctionDoc, argument, optional};
use crate::error::Error;
use crate::table::arguments::DATASET;
use crate::table::column;

const SIZE: Argument = argument("size", "integer", "Bases of a window; at least 1.");
const STEP: Argument = optional(
    "step",
    "integer",
    "Bases from one window's start to the next; the size when left out. At least 1.",
);

pub(super) const DEFINITION: SpanDefinition = SpanDefinition {
    doc: FunctionDoc {
        name: "windows",
        chapter: Chapter::Regions,
        arguments: &[DATASET, SIZE, STEP],
        returns: "TABLE (contig text, pos integer, end_pos integer)",
        summary: "Windows along the contigs of a dataset.",
        details: &[
            "From the first base of each contig on, in the order of the dataset; the last windows of a contig end with \
             it and may be shorter. Contigs and lengths are those of the dataset's headers, or of its assembly; a \
             contig whose length neither tells is left out.",
            "The windows of `bedtools makewindows -w -s`. They are made as they are read.",
        ],
        example: "SELECT w.contig, w.pos, count(v.pos) FROM windows('cohort', 1000000) w\n\
                  LEFT JOIN cohort.variants v ON v.contig = w.contig AND v.pos BETWEEN w.pos AND w.end_pos\n\
                  GROUP BY w.contig, w.pos;",
    },
    columns: &[
        column("contig", DataType::Utf8, "Contig"),
        column("pos", DataType::Int32, "First base, 1-based"),
        column("end_pos", DataType::Int32, "Last base, included"),
    ],
    takes: Takes {
        texts: 1,
        numbers: (1, 2),
        word: false,
        expected: "takes (dataset, size [, step]): a text and numbers of at least 1 that are constants",
    },
    plan: |call, state| Box::pin(plan(call, state)),
};

async fn plan(call: &Call, state: &SessionState) -> DfResult<Arc<dyn ExecutionPlan>> {
    let contigs = contigs(call, state, 0).await?;
    let [size, step] = call.sizes()?;
    let generator = Windows {
        schema: Arc::clone(&call.schema),
        contigs,
        size,
        step,
        batch_size: state.config().batch_size().max(1),
        contig: 0,
        pos: 1,
    };
    let generator: Arc<RwLock<dyn LazyBatchGenerator>> = Arc::new(RwLock::new(generator));
    let exec = LazyMemoryExec::try_new(Arc::clone(&call.schema), vec![generator])?;
    Ok(Arc::new(exec))
}

impl Call {
    /// Size and step.
    fn sizes(&self) -> DfResult<[i64; 2]> {
        let numbers = &self.arguments.numbers;
        let size = numbers.first().copied().unwrap_or_default();
        let step = numbers.get(1).copied().unwrap_or(size);
        match numbers.iter().find(|number| **number < 1) {
            None => Ok([size, step]),
            Some(number) => Err(Error::Argument {
                function: DEFINITION.doc.name,
                expected: DEFINITION.takes.expected,
                got: number.to_string(),
            }
            .into()),
        }
    }
}

/// The contigs of the dataset that an argument names, with their lengths.
pub(super) async fn contigs(
    call: &Call,
    state: &SessionState,
    text: usize,
) -> DfResult<Vec<(String, i64)>> {
    let dataset = call.arguments.texts.get(text);
    let dataset = dataset.ok_or(Error::Internal("a function without its argument"))?;
    let schema = dataset_schema(state.catalog_list(), dataset)?;
    let variants = schema.table("variants").await?;
    let info = variants.as_deref().and_then(genokura_exec::dataset_info);
    let info = info.ok_or(Error::Internal("variants of a table that is no dataset"))?;
    let assembly = info.assembly;
    let named = info.contigs.into_iter().zip(info.contig_lengths);
    let known = named.filter_map(|(name, length)| {
        let length = length.or_else(|| Some(assembly?.length_bp(&name)?.into()));
        Some((name, i64::try_from(length?).ok()?))
    });
    let known: Vec<_> = known.filter(|(_, length)| *length > 0).collect();
    match known.is_empty() {
        true => Err(Error::NoContigLengths(dataset.clone()).into()),
        false => Ok(known),
    }
}

/// Windows that are still to come.
#[derive(Clone, Debug)]
struct Windows {
    schema: SchemaRef,
    contigs: Vec<(String, i64)>,
    size: i64,
    step: i64,
    batch_size: usize,
    contig: usize,
    pos: i64,
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "windows: contigs={}, size={}, step={}",
            self.contigs.len(),
            self.size,
            self.step
        )
    }
}

impl LazyBatchGenerator for Windows {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn generate_next_batch(&mut self) -> DfResult<Option<RecordBatch>> {
        let (mut contigs, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        while starts.len() < self.batch_size {
            let Some((contig, length)) = self.contigs.get(self.contig) else {
                break;
            };
            if self.pos > *length {
                (self.contig, self.pos) = (self.contig + 1, 1);
                continue;
            }
            let end = (*length).min(self.pos.saturating_add(self.size - 1));
            let (Ok(start), Ok(end)) = (i32::try_from(self.pos), i32::try_from(end)) else {
                return Err(Error::Internal("a contig longer than positions go").into());
            };
            contigs.push(contig.as_str());
            starts.push(start);
            ends.push(end);
            self.pos = self.pos.saturating_add(self.step);
        }
        if starts.is_empty() {
            return Ok(None);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(contigs)),
            Arc::new(Int32Array::from(starts)),
            Arc::new(Int32Array::from(ends)),
        ];
        Ok(Some(RecordBatch::try_new(
            Arc::clone(&self.schema),
            columns,
        )?))
    }

    fn reset_state(&self) -> Arc<RwLock<dyn LazyBatchGenerator>> {
        Arc::new(RwLock::new(Self {
            contig: 0,
            pos: 1,
            ..self.clone()
        }))
    }
}
