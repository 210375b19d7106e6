//! Rows of the tables `samples` and `headers` of a job.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use genokura_core::schema::{headers_schema, samples_schema};

use super::Plan;
use crate::error::Result;
use crate::pass::{PassDone, PassInput};
use crate::tally::SampleCounts;
use crate::write::empty;

/// The samples table: one row per sample and block, counts of all inputs that share the block.
pub(super) fn samples_rows(plan: &Plan, done: &PassDone) -> Result<RecordBatch> {
    let mut by_block: HashMap<i32, usize> = HashMap::new();
    let mut lists: Vec<(&PassInput, SampleCounts)> = Vec::new();
    for (input, result) in plan.inputs.iter().zip(&done.inputs) {
        let Some(first) = input.plan.blocks.first() else {
            continue;
        };
        match by_block.get(&first.block) {
            Some(list) => lists[*list].1.add(result.samples.clone()),
            None => {
                by_block.insert(first.block, lists.len());
                lists.push((input, result.samples.clone()));
            }
        }
    }
    if lists.is_empty() {
        return Ok(empty("samples"));
    }
    let batch = i32::try_from(plan.batch).unwrap_or(i32::MAX);
    let mut names = Vec::new();
    let mut places: [Vec<i32>; 4] = Default::default();
    let mut counts: [Vec<i64>; 8] = Default::default();
    for (input, totals) in &lists {
        let places_of = input.plan.blocks.iter().flat_map(|b| {
            (0..i32::try_from(b.n_samples).unwrap_or(i32::MAX)).map(|index| (b.block, index))
        });
        for (i, (name, (block, index))) in input.header.samples.iter().zip(places_of).enumerate() {
            names.push(name.as_str());
            push_row(&mut places, [batch, input.plan.source, block, index]);
            let t = totals.totals(i);
            let n_called = t.n_hom_ref + t.n_het + t.n_hom_alt;
            let row = [
                n_called,
                t.n_hom_ref,
                t.n_het,
                t.n_hom_alt,
                t.n_missing,
                t.n_singleton,
                t.n_ts,
                t.n_tv,
            ];
            push_row(&mut counts, row);
        }
    }
    let n = names.len();
    let mut columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(names))];
    columns.extend(places.map(|c| Arc::new(Int32Array::from(c)) as ArrayRef));
    columns.extend(counts.map(|c| Arc::new(Int64Array::from(c)) as ArrayRef));
    columns.push(Arc::new(StringArray::new_null(n)));
    Ok(RecordBatch::try_new(samples_schema(), columns)?)
}

fn push_row<T: Copy, const N: usize>(columns: &mut [Vec<T>; N], row: [T; N]) {
    for (column, value) in columns.iter_mut().zip(row) {
        column.push(value);
    }
}

/// Every meta line of every input, in order.
pub(super) fn headers_rows(plan: &Plan) -> Result<RecordBatch> {
    let batch = i32::try_from(plan.batch).unwrap_or(i32::MAX);
    let sources = plan.inputs.iter();
    let lines: Vec<_> = sources
        .flat_map(|i| i.header.lines.iter().map(|l| (i.plan.source, l)))
        .collect();
    let lines = || lines.iter().copied();
    let line = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_iter_values(lines().map(|_| batch))),
        Arc::new(Int32Array::from_iter_values(
            lines().map(|(source, _)| source),
        )),
        Arc::new(Int32Array::from_iter_values(
            lines().map(|(_, l)| line(l.line)),
        )),
        Arc::new(StringArray::from_iter_values(
            lines().map(|(_, l)| l.key.as_str()),
        )),
        Arc::new(StringArray::from_iter(
            lines().map(|(_, l)| l.id.as_deref()),
        )),
        Arc::new(StringArray::from_iter_values(
            lines().map(|(_, l)| l.text.as_str()),
        )),
    ];
    Ok(RecordBatch::try_new(headers_schema(), columns)?)
}
