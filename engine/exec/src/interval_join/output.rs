//! Rows of the output made of pairs of rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use datafusion::common::JoinSide;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::joins::utils::{ColumnIndex, JoinFilter};

use super::index::{NO_ROW, Pairs};
use crate::error::{Error, Result};
use crate::source::evaluate;

/// Where columns of the output come from.
#[derive(Clone, Debug)]
pub(super) struct Output {
    schema: SchemaRef,
    columns: Vec<ColumnIndex>,
    filter: Option<Filter>,
    /// Columns of the left side that the output and the filter need, and no others: batches of the build side hold
    /// these.
    pub(super) kept: Vec<usize>,
}

/// What else must hold of a pair.
#[derive(Clone, Debug)]
struct Filter {
    expr: Arc<dyn PhysicalExpr>,
    schema: SchemaRef,
    columns: Vec<ColumnIndex>,
}

/// One side of the pairs: a batch and the row of it in each pair.
struct Picked<'a> {
    batch: &'a RecordBatch,
    rows: UInt32Array,
}

impl Picked<'_> {
    fn column(&self, index: usize) -> Result<ArrayRef> {
        let Some(column) = self.batch.columns().get(index) else {
            return Err(Error::Internal("a join lost a column".into()));
        };
        if column.is_empty() || self.rows.null_count() == self.rows.len() {
            return Ok(new_null_array(column.data_type(), self.rows.len()));
        }
        Ok(take(column, &self.rows, None)?)
    }
}

/// Rows as an array to take by; NULL where there is no row.
fn rows_array(rows: Vec<u32>, may_lack: bool) -> UInt32Array {
    let nulls = may_lack.then(|| {
        let valid: BooleanBuffer = rows.iter().map(|row| *row != NO_ROW).collect();
        NullBuffer::new(valid)
    });
    UInt32Array::new(
        ScalarBuffer::from(rows),
        nulls.filter(|nulls| nulls.null_count() > 0),
    )
}

impl Output {
    pub(super) fn new(
        schema: SchemaRef,
        columns: Vec<ColumnIndex>,
        filter: Option<&JoinFilter>,
    ) -> Self {
        let of_filter = filter
            .into_iter()
            .flat_map(|filter| filter.column_indices());
        let is_left = |column: &&ColumnIndex| column.side == JoinSide::Left;
        let all = columns.iter().chain(of_filter);
        let kept: BTreeSet<usize> = all.filter(is_left).map(|column| column.index).collect();
        let kept: Vec<usize> = kept.into_iter().collect();
        let moved = |column: &ColumnIndex| match column.side {
            JoinSide::Left => ColumnIndex {
                index: kept.binary_search(&column.index).unwrap_or_default(),
                side: JoinSide::Left,
            },
            _ => column.clone(),
        };
        Self {
            schema,
            columns: columns.iter().map(moved).collect(),
            filter: filter.map(|filter| Filter {
                expr: Arc::clone(filter.expression()),
                schema: Arc::clone(filter.schema()),
                columns: filter.column_indices().iter().map(moved).collect(),
            }),
            kept,
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Every pair that matches counts, and nothing of it is shown.
    pub(super) fn only_counts(&self) -> bool {
        self.columns.is_empty() && self.filter.is_none()
    }

    pub(super) fn filters(&self) -> bool {
        self.filter.is_some()
    }

    /// Leaves the pairs of which the filter is true.
    pub(super) fn judge(
        &self,
        build: &RecordBatch,
        probe: &RecordBatch,
        pairs: &mut Pairs,
    ) -> Result<()> {
        let Some(filter) = self.filter.as_ref().filter(|_| pairs.len() > 0) else {
            return Ok(());
        };
        let build = Picked {
            batch: build,
            rows: pairs.build.clone().into(),
        };
        let probe = Picked {
            batch: probe,
            rows: pairs.probe.clone().into(),
        };
        let batch = assemble(&filter.schema, &filter.columns, &build, &probe, None)?;
        let keep = evaluate(&filter.expr, &batch)?;
        let is_kept = |row: usize| keep.is_valid(row) && keep.value(row);
        for rows in [&mut pairs.build, &mut pairs.probe] {
            let mut row = 0;
            rows.retain(|_| {
                row += 1;
                is_kept(row - 1)
            });
        }
        Ok(())
    }

    /// Rows of pairs; either side may lack a row.
    pub(super) fn pairs(
        &self,
        build: &RecordBatch,
        probe: &RecordBatch,
        pairs: &mut Pairs,
        may_lack: bool,
    ) -> Result<RecordBatch> {
        let rows = |rows: &mut Vec<u32>| {
            let room = Vec::with_capacity(rows.capacity());
            rows_array(std::mem::replace(rows, room), may_lack)
        };
        let build = Picked {
            batch: build,
            rows: rows(&mut pairs.build),
        };
        let probe = Picked {
            batch: probe,
            rows: rows(&mut pairs.probe),
        };
        assemble(&self.schema, &self.columns, &build, &probe, None)
    }

    /// Rows of one side alone, with the mark where there is one; the other side is NULL.
    pub(super) fn one_side(
        &self,
        side: JoinSide,
        batch: &RecordBatch,
        rows: Vec<u32>,
        mark: Option<BooleanArray>,
    ) -> Result<RecordBatch> {
        let own = Picked {
            batch,
            rows: rows.into(),
        };
        let column = |(place, column): (usize, &ColumnIndex)| match column.side {
            JoinSide::None => mark_column(mark.as_ref()),
            of if of == side => own.column(column.index),
            _ => Ok(new_null_array(
                self.schema.field(place).data_type(),
                own.rows.len(),
            )),
        };
        let columns = self.columns.iter().enumerate().map(column);
        finish(
            &self.schema,
            columns.collect::<Result<_>>()?,
            own.rows.len(),
        )
    }
}

fn mark_column(mark: Option<&BooleanArray>) -> Result<ArrayRef> {
    match mark {
        Some(mark) => Ok(Arc::new(mark.clone())),
        None => Err(Error::Internal(
            "a join without a mark is asked for it".into(),
        )),
    }
}

fn assemble(
    schema: &SchemaRef,
    columns: &[ColumnIndex],
    build: &Picked<'_>,
    probe: &Picked<'_>,
    mark: Option<&BooleanArray>,
) -> Result<RecordBatch> {
    let column = |column: &ColumnIndex| match column.side {
        JoinSide::Left => build.column(column.index),
        JoinSide::Right => probe.column(column.index),
        JoinSide::None => mark_column(mark),
    };
    let arrays = columns.iter().map(column).collect::<Result<_>>()?;
    finish(schema, arrays, build.rows.len())
}

fn finish(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// A batch of no columns.
pub(super) fn counted(schema: &SchemaRef, rows: usize) -> Result<RecordBatch> {
    finish(schema, Vec::new(), rows)
}
