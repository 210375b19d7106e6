//! `gt_hwe_p(gt [, cohort])`: exact test of Hardy-Weinberg proportions.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::ScalarFunctionArgs;
use genokura_core::codec::{CallsOf, DefaultCall, GenotypeRow, SampleMask};

use super::{Definition, types};
use crate::doc::{COHORT, COHORT_RULE, Chapter, FunctionDoc, GT};
use crate::error::Result;
use crate::genotypes::{CohortRow, per_cohort};

pub(super) const DEFINITION: Definition = Definition {
    doc: FunctionDoc {
        name: "gt_hwe_p",
        chapter: Chapter::Cohort,
        arguments: &[GT, COHORT],
        returns: "double precision",
        summary: "P-value of the exact test for Hardy-Weinberg proportions of the row's ALT allele.",
        details: &[
            "Source: Wigginton, Cutler, Abecasis, Am. J. Hum. Genet. 76:887-893 (2005): the sum of \
             the probabilities of all heterozygote counts that are at most as likely as the one seen, \
             given the allele counts; ties (within a relative 1e-9) are in; no mid-p correction. 1 \
             when nobody carries the ALT.",
            "Diploid genotypes with both alleles called are tested, as the ALT against every other \
             allele. Haploid, polyploid and (half) missing calls are left out, so on the X the test is \
             over females. NULL when no genotype is left. Relatives are not left out: give a cohort of \
             unrelated people.",
            COHORT_RULE,
        ],
        example: "SELECT contig, pos, ref, alt, gt_hwe_p(gt) FROM cohort.variants\n\
                  WHERE ac > 20 ORDER BY gt_hwe_p(gt) LIMIT 10;",
    },
    coerce: types::gt_and_cohort,
    returns: || DataType::Float64,
    invoke,
    simplify: None,
};

fn invoke(args: &ScalarFunctionArgs) -> DfResult<ArrayRef> {
    Ok(Arc::new(Float64Array::from(per_cohort(args, |row| {
        Ok(Diploids::of(row)?.p_value())
    })?)))
}

/// Diploid, wholly called genotypes by their copies of the ALT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Diploids {
    none: u32,
    het: u32,
    hom: u32,
}

impl Diploids {
    pub(super) fn of(row: &CohortRow<'_, '_>) -> Result<Self> {
        let mut total = Self::default();
        for block in row.blocks() {
            let block = block?;
            total.add(&block.calls, block.mask);
        }
        Ok(total)
    }

    /// 1 - observed / expected heterozygotes; None when none are expected.
    pub(super) fn inbreeding(self) -> Option<f64> {
        let genotypes = f64::from(self.none + self.het + self.hom);
        let alt = f64::from(2 * self.hom + self.het);
        let other = f64::from(2 * self.none + self.het);
        let expected = alt * other / (2.0 * genotypes);
        (expected > 0.0).then(|| 1.0 - f64::from(self.het) / expected)
    }

    /// Counts everybody by the default call first; then those whose call may be another one move.
    fn add(&mut self, calls: &GenotypeRow<'_>, members: Option<&SampleMask>) {
        let by_default = u32::from(matches!(
            calls.default_call(),
            DefaultCall::Unphased | DefaultCall::Phased
        ));
        self.none += by_default * members.map_or(calls.n_samples(), SampleMask::count_ones);
        calls.for_each_call_of(CallsOf::Unlike, members, |_, call| {
            self.none -= by_default;
            let tally = call.tally();
            match (tally.ploidy, tally.called, tally.copies) {
                (2, 2, 0) => self.none += 1,
                (2, 2, 1) => self.het += 1,
                (2, 2, 2) => self.hom += 1,
                _ => {}
            }
        });
    }

    /// None without a genotype.
    fn p_value(self) -> Option<f64> {
        let genotypes = self.none + self.het + self.hom;
        (genotypes > 0).then(|| {
            let rare = (2 * self.hom + self.het).min(2 * self.none + self.het);
            hwe_exact(self.het, rare, genotypes)
        })
    }
}

/// Probability of a heterozygote count at most as likely as `observed`, given `rare` copies of the rarer allele.
///
/// The likelihoods of neighbouring counts (two apart) have a simple ratio; starting at the likeliest count with 1
/// and walking both ways keeps every term in range.
fn hwe_exact(observed: u32, rare: u32, genotypes: u32) -> f64 {
    let (n, rare_f) = (f64::from(genotypes), f64::from(rare));
    let middle = likeliest(rare, genotypes);
    let mut below = Vec::new();
    let (mut het, mut term) = (middle, 1.0);
    while het >= 2 {
        let h = f64::from(het);
        let homs = ((rare_f - h) / 2.0, n - (rare_f + h) / 2.0);
        term *= h * (h - 1.0) / (4.0 * (homs.0 + 1.0) * (homs.1 + 1.0));
        het -= 2;
        below.push((het, term));
    }
    let mut terms = below;
    terms.push((middle, 1.0));
    (het, term) = (middle, 1.0);
    while het + 2 <= rare {
        let h = f64::from(het);
        let homs = ((rare_f - h) / 2.0, n - (rare_f + h) / 2.0);
        term *= 4.0 * homs.0 * homs.1 / ((h + 2.0) * (h + 1.0));
        het += 2;
        terms.push((het, term));
    }
    let of_observed = terms
        .iter()
        .find(|(het, _)| *het == observed)
        .map_or(0.0, |(_, term)| *term);
    let limit = of_observed * (1.0 + 1e-9);
    let total: f64 = terms.iter().map(|(_, term)| term).sum();
    let tail: f64 = terms
        .iter()
        .map(|(_, term)| *term)
        .filter(|term| *term <= limit)
        .sum();
    (tail / total).min(1.0)
}

/// A count near the mode with the parity of the allele count.
fn likeliest(rare: u32, genotypes: u32) -> u32 {
    let (rare_wide, alleles) = (u64::from(rare), 2 * u64::from(genotypes));
    let expected = rare_wide * (alleles - rare_wide) / alleles.max(1);
    let expected = u32::try_from(expected).unwrap_or(rare).min(rare);
    if expected % 2 == rare % 2 {
        expected
    } else if expected < rare {
        expected + 1
    } else {
        expected - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in logarithms of factorials: slow and plain.
    fn by_definition(het: u32, rare: u32, genotypes: u32) -> f64 {
        let ln_factorial = |n: u32| (1..=n).map(|i| f64::from(i).ln()).sum::<f64>();
        let probability = |het: u32| {
            let hom = (rare - het) / 2;
            let none = genotypes - het - hom;
            let ln = f64::from(het) * 2.0_f64.ln() + ln_factorial(genotypes)
                - ln_factorial(het)
                - ln_factorial(hom)
                - ln_factorial(none)
                + ln_factorial(rare)
                + ln_factorial(2 * genotypes - rare)
                - ln_factorial(2 * genotypes);
            ln.exp()
        };
        let seen = probability(het);
        let all = (0..=rare)
            .filter(|het| het % 2 == rare % 2)
            .map(probability);
        all.filter(|p| *p <= seen * (1.0 + 1e-9)).sum()
    }

    #[test]
    fn the_test_equals_its_definition() {
        for genotypes in 1..40 {
            for rare in 0..=genotypes {
                for het in (0..=rare).filter(|het| het % 2 == rare % 2) {
                    let (fast, slow) = (
                        hwe_exact(het, rare, genotypes),
                        by_definition(het, rare, genotypes),
                    );
                    assert!(
                        (fast - slow).abs() < 1e-9,
                        "{het} {rare} {genotypes}: {fast} {slow}"
                    );
                }
            }
        }
    }

    #[test]
    fn published_and_boundary_values() {
        // none, het, hom, p
        for (none, het, hom, p) in [
            (79, 21, 0, 0.593_645), // Wigginton 2005, table 1: 100 people, 21 rare alleles
            (84, 11, 5, 0.000_919),
            (1469, 138, 5, 0.382_519),
            (0, 10, 0, 0.006_906), // everybody heterozygous
            (0, 0, 1, 1.0),
            (10, 0, 0, 1.0),
        ] {
            let value = Diploids { none, het, hom }.p_value().unwrap_or(-1.0);
            assert!((value - p).abs() < 1e-5, "{none}/{het}/{hom}: {value}");
        }
        assert_eq!(Diploids::default().p_value(), None);
    }

    #[test]
    fn inbreeding_is_what_heterozygotes_lack() {
        // none, het, hom, F
        for (none, het, hom, f) in [
            (1, 2, 1, Some(0.0)),
            (2, 0, 2, Some(1.0)),
            (0, 4, 0, Some(-1.0)),
            (298, 489, 213, Some(1.0 - 489.0 * 2000.0 / (1085.0 * 915.0))),
            (5, 0, 0, None),
            (0, 0, 5, None),
            (0, 0, 0, None),
        ] {
            let got = Diploids { none, het, hom }.inbreeding();
            let close = got.zip(f).is_none_or(|(a, b)| (a - b).abs() < 1e-12);
            assert!(
                close && got.is_some() == f.is_some(),
                "{none}/{het}/{hom}: {got:?}"
            );
        }
    }

    #[test]
    fn a_large_cohort_keeps_its_digits() {
        let p = Diploids {
            none: 15_000,
            het: 12_000,
            hom: 4_000,
        }
        .p_value()
        .unwrap_or(-1.0);
        assert!((0.0..1e-50).contains(&p), "{p}");
    }
}
