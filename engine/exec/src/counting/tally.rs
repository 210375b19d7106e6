//! Sums of slots: each call of a variant adds to the slots of its sample, as often as it counts there.

use std::sync::Arc;

use genokura_core::codec::{DosageCounts, GenotypeRow};

use super::weights::Weights;
use crate::error::Result;
use crate::members::Members;
use crate::source::SiteRows;

/// Variants whose calls are counted.
pub(super) struct Open {
    pub(super) rows: SiteRows,
    pub(super) members: Members,
    /// The variant that comes next.
    pub(super) next: usize,
}

/// The sums of all slots.
pub(super) struct Tally {
    pub(super) weights: Arc<Weights>,
    sums: Vec<DosageCounts>,
    touched: Vec<u32>,
    is_touched: Vec<bool>,
}

impl Tally {
    pub(super) fn new(weights: Arc<Weights>) -> Self {
        let slots = weights.slots();
        Self {
            sums: vec![DosageCounts::default(); slots],
            touched: Vec::new(),
            is_touched: vec![false; slots],
            weights,
        }
    }

    /// Adds the calls of a variant.
    ///
    /// # Cost
    /// A block costs its slots, which `carriers_only` spares; a call that differs from the default one costs the
    /// weights of its sample.
    pub(super) fn add(
        &mut self,
        members: &Members,
        variant: usize,
        carriers_only: bool,
    ) -> Result<()> {
        let weights = Arc::clone(&self.weights);
        for member in members.of(variant) {
            for block in member.blocks.clone() {
                let totals = weights.totals(block);
                if totals.is_empty() {
                    continue;
                }
                let row = match members.stored(member, block) {
                    Some(stored) => members.read_row(stored, member, block)?,
                    None if carriers_only => continue,
                    None => GenotypeRow::of_default(1, member.default),
                };
                if !carriers_only {
                    let default = GenotypeRow::of_default(1, row.default_call()).dosage(0);
                    for (slot, weight) in totals {
                        self.sum(*slot, |sum| sum.add_calls(default, *weight));
                    }
                }
                row.for_each_dosage_change(|sample, from, to| {
                    for (slot, weight) in weights.of(block, sample) {
                        self.sum(*slot, |sum| {
                            sum.take_calls(from, *weight);
                            sum.add_calls(to, *weight);
                        });
                    }
                });
            }
        }
        Ok(())
    }

    #[inline]
    fn sum(&mut self, slot: u32, change: impl FnOnce(&mut DosageCounts)) {
        let place = slot as usize;
        if let (Some(sum), Some(is_touched)) =
            (self.sums.get_mut(place), self.is_touched.get_mut(place))
        {
            change(sum);
            if !*is_touched {
                *is_touched = true;
                self.touched.push(slot);
            }
        }
    }

    /// The sums of a group, of all its calls and then of those that each filter leaves.
    pub(super) fn of(&self, group: usize) -> &[DosageCounts] {
        let slots = self.weights.slots_per_group;
        let of_group = group * slots..(group + 1) * slots;
        self.sums.get(of_group).unwrap_or_default()
    }

    /// The groups that something was added to, in rising order.
    pub(super) fn groups(&self) -> Vec<usize> {
        let slots = self.weights.slots_per_group;
        let groups = self.touched.iter().map(|slot| *slot as usize / slots);
        let mut groups: Vec<usize> = groups.collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    /// All sums are nothing again.
    pub(super) fn clear(&mut self) {
        for slot in self.touched.drain(..) {
            if let Some(sum) = self.sums.get_mut(slot as usize) {
                *sum = DosageCounts::default();
            }
            if let Some(is_touched) = self.is_touched.get_mut(slot as usize) {
                *is_touched = false;
            }
        }
    }
}
