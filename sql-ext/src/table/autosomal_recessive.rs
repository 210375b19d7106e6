//! `autosomal_recessive(dataset [, child, father, mother] [, condition])`: homozygous children of two carriers.

use genokura_core::codec::CallRef;
use genokura_core::sex::{Sex, Zone};

use super::TableDefinition;
use super::arguments::{Arguments, CHILD, CONDITION, DATASET, FATHER, MOTHER};
use super::family::{COLUMNS, scan};
use crate::doc::{Chapter, FunctionDoc};

pub(super) const DEFINITION: TableDefinition = TableDefinition {
    doc: FunctionDoc {
        name: "autosomal_recessive",
        chapter: Chapter::Family,
        arguments: &[DATASET, CHILD, FATHER, MOTHER, CONDITION],
        returns: "TABLE (family_id text, child text, contig text, pos integer, ref text, alt text, af double precision, \
                  child_gt text, father_gt text, mother_gt text)",
        summary: "Alleles that a child has twice and each parent once.",
        details: &[
            "The child is homozygous for the ALT, father and mother are heterozygous for it (with REF or another ALT). \
             All three must be called whole. On autosomes and in the pseudoautosomal regions of X and Y.",
            "Trios are named or taken from the pedigree, as in `de_novo`. Two different alleles of one gene: \
             `compound_het`.",
        ],
        example: "SELECT * FROM autosomal_recessive('cohort', 'af < 0.05') ORDER BY child, contig, pos;",
    },
    columns: &COLUMNS,
    arguments: Arguments::of_family,
    plan: |call, state| Box::pin(scan(call, state, "autosomal recessive", rule, |_| None)),
};

fn rule(zone: Zone, _: Sex, [child, father, mother]: [Option<CallRef<'_>>; 3]) -> bool {
    let is_het = |call: Option<CallRef<'_>>| call.is_some_and(|call| call.tally().is_het());
    let is_homozygous = child.is_some_and(|call| {
        let tally = call.tally();
        tally.ploidy == 2 && tally.is_hom_alt()
    });
    zone == Zone::Autosomal && is_homozygous && is_het(father) && is_het(mother)
}
