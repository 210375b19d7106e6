//! Founder haplotypes: a coalescent tree per stretch of sites.
//!
//! A stretch of some twenty neighbouring sites shares one Kingman tree over all founder haplotypes, drawn
//! under exponential growth so that the site-frequency spectrum is rare-heavy. A mutation falls on a branch
//! with probability proportional to its length and is carried by the leaves below it. Leaves are kept in
//! tree order, so the leaves below a branch are a range:
//!
//! ```text
//!        ┌────┴────┐            order:  h7 h2 h9 h0        branch = [start, end)
//!     ┌──┴──┐   ┌──┴──┐
//!     h7    h2  h9    h0        the next stretch reuses the order after some leaves changed place,
//! ```                           so neighbouring stretches are in linkage disequilibrium, distant ones not.

use crate::random::Random;

/// Growth in coalescent units: 100 makes about 40 % of the sites of 400 haplotypes singletons.
const GROWTH: f64 = 100.0;

/// One branch of the tree: its leaves and the running total of branch lengths up to and including it.
struct Branch {
    start: usize,
    end: usize,
    length_so_far: f64,
}

/// The tree of one stretch.
pub(crate) struct Tree {
    branches: Vec<Branch>,
    order: Vec<u32>,
}

impl Tree {
    pub(crate) fn new(haplotypes: u32, random: &mut Random) -> Self {
        let mut order: Vec<u32> = (0..haplotypes).collect();
        swap_leaves(&mut order, haplotypes as usize, random);
        let branches = branches(order.len(), random);
        Self { branches, order }
    }

    /// The tree of the next stretch: one leaf in `keep` changes its place.
    pub(crate) fn step(self, keep: usize, random: &mut Random) -> Self {
        let mut order = self.order;
        let swaps = order.len() / keep;
        swap_leaves(&mut order, swaps, random);
        let branches = branches(order.len(), random);
        Self { branches, order }
    }

    /// The founder haplotypes that carry a new mutation; never none, never all.
    pub(crate) fn mutation(&self, random: &mut Random) -> &[u32] {
        let total = self
            .branches
            .last()
            .map_or(0.0, |branch| branch.length_so_far);
        let point = random.unit() * total;
        let index = self
            .branches
            .partition_point(|branch| branch.length_so_far <= point);
        match self.branches.get(index) {
            Some(branch) => &self.order[branch.start..branch.end],
            None => &self.order[..self.order.len().min(1)],
        }
    }
}

fn swap_leaves(order: &mut [u32], swaps: usize, random: &mut Random) {
    for _ in 0..swaps {
        let (a, b) = (random.below(order.len()), random.below(order.len()));
        order.swap(a, b);
    }
}

/// Merges random neighbours until one lineage is left; the shape is Kingman's.
fn branches(leaves: usize, random: &mut Random) -> Vec<Branch> {
    let mut lineages = Lineages::new(leaves);
    let mut branches = Vec::with_capacity(leaves * 2);
    let (mut kingman_time, mut total) = (0.0, 0.0);
    while lineages.count() > 1 {
        let k = lineages.count_f64();
        kingman_time += random.exponential() / (k * (k - 1.0) / 2.0);
        let now = (GROWTH * kingman_time).ln_1p() / GROWTH;
        for merged in lineages.merge(now, random) {
            total += now - merged.born;
            branches.push(Branch {
                start: merged.start,
                end: merged.end,
                length_so_far: total,
            });
        }
    }
    branches
}

#[derive(Clone, Copy)]
struct Lineage {
    start: usize,
    end: usize,
    born: f64,
}

/// The lineages alive, as a chain of neighbours with constant-time random choice.
struct Lineages {
    /// Indexed by the lineage's first leaf.
    at: Vec<Lineage>,
    /// First leaves of the lineages that have a right neighbour.
    mergeable: Vec<usize>,
    /// Where a first leaf stands in `mergeable`.
    place: Vec<usize>,
}

impl Lineages {
    fn new(leaves: usize) -> Self {
        let at = (0..leaves)
            .map(|leaf| Lineage {
                start: leaf,
                end: leaf + 1,
                born: 0.0,
            })
            .collect();
        let mergeable: Vec<usize> = (0..leaves.saturating_sub(1)).collect();
        Self {
            at,
            place: (0..leaves).collect(),
            mergeable,
        }
    }

    fn count(&self) -> usize {
        self.mergeable.len() + 1
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "haplotype counts are far below 2^53"
    )]
    fn count_f64(&self) -> f64 {
        self.count() as f64
    }

    /// Joins a random lineage with its right neighbour; returns the two that ended.
    fn merge(&mut self, now: f64, random: &mut Random) -> [Lineage; 2] {
        let left_start = self.mergeable[random.below(self.mergeable.len())];
        let left = self.at[left_start];
        let right = self.at[left.end];
        self.at[left_start] = Lineage {
            start: left.start,
            end: right.end,
            born: now,
        };
        let last = right.end == self.at.len();
        self.forget(if last { left_start } else { right.start });
        [left, right]
    }

    fn forget(&mut self, start: usize) {
        let place = self.place[start];
        self.mergeable.swap_remove(place);
        if let Some(moved) = self.mergeable.get(place) {
            self.place[*moved] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spectrum_is_rare_heavy_and_no_mutation_is_fixed() {
        let mut random = Random::new(1, 2);
        let mut sizes = Vec::new();
        for _ in 0..60 {
            let tree = Tree::new(400, &mut random);
            sizes.extend((0..20).map(|_| tree.mutation(&mut random).len()));
        }
        assert!(sizes.iter().all(|n| (1..400).contains(n)));
        let singletons = sizes.iter().filter(|n| **n == 1).count();
        let common = sizes.iter().filter(|n| **n > 20).count();
        assert!(
            singletons * 10 > sizes.len() * 3,
            "{singletons} of {}",
            sizes.len()
        );
        assert!(common * 20 > sizes.len(), "{common} of {}", sizes.len());
    }

    #[test]
    fn every_branch_is_a_range_of_leaves() {
        let branches = branches(50, &mut Random::new(5, 5));
        assert_eq!(branches.len(), 2 * 50 - 2);
        assert!(branches.iter().all(|b| b.start < b.end && b.end <= 50));
        assert!(branches.is_sorted_by_key(|b| b.length_so_far));
    }
}
