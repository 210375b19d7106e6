//! States of groups of samples: what calls have added to their slots becomes rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int16Array, UInt32Array};
use arrow::compute::take;
use genokura_core::codec::DosageCounts;

use super::super::tally::{Open, Tally};
use super::super::{Counting, Groups, Measure};
use super::{CountRows, Group};
use crate::choice::Keep;
use crate::error::Result;
use crate::source::column;

impl CountRows {
    /// Adds variants to the sums of groups of samples, until there are enough groups for a batch.
    pub(super) fn count_tally(&mut self, mut open: Open) -> Result<()> {
        let context = Arc::clone(&self.context);
        let _timer = context.metrics.baseline.elapsed_compute().timer();
        let Some(tally) = &mut self.tally else {
            return Ok(());
        };
        let carriers_only = self.choice.carriers();
        let columns = match &self.counting.groups {
            Groups::Variants(columns) => columns,
            _ => {
                for variant in 0..open.rows.len() {
                    tally.add(&open.members, variant, carriers_only)?;
                }
                return Ok(());
            }
        };
        let places = match self.counting.reads_places() {
            true => Some(open.rows.identity()?),
            false => None,
        };
        let (mut variants, mut numbers, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        while open.next < open.rows.len() && groups.len() < self.batch_size {
            tally.add(&open.members, open.next, carriers_only)?;
            for number in tally.groups() {
                let mut group = group_of(tally.of(number), &self.base, &self.keeps, &self.counting);
                if group.base.calls > 0 {
                    if let Some(identity) = &places {
                        group.stands_at(identity, open.next)?;
                    }
                    variants.push(u32::try_from(open.next).unwrap_or(u32::MAX));
                    numbers.push(u32::try_from(number).unwrap_or(u32::MAX));
                    groups.push(group);
                }
            }
            tally.clear();
            open.next += 1;
        }
        if !groups.is_empty() {
            let identity = open.rows.identity()?;
            let variants = UInt32Array::from(variants);
            let own = columns
                .iter()
                .map(|name| Ok(take(column(&identity, name)?, &variants, None)?))
                .collect::<Result<Vec<ArrayRef>>>()?;
            let keys = keys_of(tally, numbers)?;
            let columns = self.counting.in_order(own, keys);
            self.push(columns, &groups)?;
        }
        if open.next < open.rows.len() {
            self.open = Some(open);
        }
        Ok(())
    }

    /// The groups of samples, of all calls or by their dosage.
    pub(super) fn finish_tally(&mut self, tally: &Tally) -> Result<()> {
        let group = |sums: &[DosageCounts]| group_of(sums, &self.base, &self.keeps, &self.counting);
        let by_dosage = match self.counting.groups {
            Groups::Dosages(columns) => columns,
            _ => 0,
        };
        let without_key = self.counting.keys.is_empty() && by_dosage == 0;
        let (mut numbers, mut dosages, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..tally.weights.groups {
            let sums = tally.of(number);
            if by_dosage == 0 {
                let group = group(sums);
                if group.base.calls > 0 || without_key {
                    numbers.push(u32::try_from(number).unwrap_or(u32::MAX));
                    groups.push(group);
                }
                continue;
            }
            let of_all = sums.first().into_iter().flat_map(DosageCounts::iter);
            for (dosage, _) in of_all.filter(|(dosage, _)| self.base.keeps(*dosage)) {
                let of_one = sums.iter().map(|sum| sum.of_dosage(dosage));
                groups.push(group(&of_one.collect::<Vec<_>>()));
                numbers.push(u32::try_from(number).unwrap_or(u32::MAX));
                dosages.push(dosage.map(i16::from));
            }
        }
        let size = self.batch_size;
        for (place, groups) in groups.chunks(size).enumerate() {
            let at = place * size..place * size + groups.len();
            let numbers = numbers.get(at.clone()).unwrap_or_default().to_vec();
            let dosages: Int16Array = dosages.get(at).unwrap_or_default().to_vec().into();
            let dosages: ArrayRef = Arc::new(dosages);
            let keys = keys_of(tally, numbers)?;
            let columns = self.counting.in_order(vec![dosages; by_dosage], keys);
            self.push(columns, groups)?;
        }
        Ok(())
    }
}

/// The counts of a group of samples, whose sums are those of all calls and then those that each filter leaves.
fn group_of(sums: &[DosageCounts], base: &Keep, keeps: &[Keep], counting: &Counting) -> Group {
    let count = |keep: &Keep, place: usize| sums.get(place).map(|sum| keep.count(sum));
    let measure = |(measure, keep): (&Measure, &Keep)| {
        let place = measure.of_samples.map_or(0, |filter| 1 + filter);
        count(keep, place).unwrap_or_default()
    };
    Group {
        base: count(base, 0).unwrap_or_default(),
        measures: counting.measures.iter().zip(keeps).map(measure).collect(),
    }
}

/// The keys of groups of samples.
fn keys_of(tally: &Tally, groups: Vec<u32>) -> Result<Vec<ArrayRef>> {
    let groups = UInt32Array::from(groups);
    let keys = tally.weights.keys.iter();
    keys.map(|key| Ok(take(key, &groups, None)?)).collect()
}
