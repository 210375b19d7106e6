//! `x_linked(dataset [, child, father, mother] [, condition])`: what sons have on their X from a carrier mother.

use genokura_core::codec::CallRef;
use genokura_core::sex::{Sex, Zone};

use super::TableDefinition;
use super::arguments::{Arguments, CHILD, CONDITION, DATASET, FATHER_IF_ANY, MOTHER};
use super::family::{COLUMNS, scan};
use crate::doc::{Chapter, FunctionDoc};

pub(super) const DEFINITION: TableDefinition = TableDefinition {
    doc: FunctionDoc {
        name: "x_linked",
        chapter: Chapter::Family,
        arguments: &[DATASET, CHILD, FATHER_IF_ANY, MOTHER, CONDITION],
        returns: "TABLE (family_id text, child text, contig text, pos integer, ref text, alt text, af double precision, \
                  child_gt text, father_gt text, mother_gt text)",
        summary: "Alleles on a son's X that his mother carries on one of hers.",
        details: &[
            "Outside of the pseudoautosomal regions of X. The son is hemizygous for the ALT: a haploid `1`, or `1/1` \
             where the caller wrote two; his mother is heterozygous. His father hands down no X: he is shown where the \
             dataset has him, and need not be there.",
            "A son is a child whom the pedigree calls male, or of unknown sex with a haploid call. Nothing is told \
             when the assembly of the dataset is not known. Without names, every son of the pedigree whose mother is \
             in the dataset. A row where the call of either of them is missing, in part or whole, is left out.",
            "Pseudoautosomal regions: GRCh37 X:60,001-2,699,520 and 154,931,044-155,260,560; GRCh38 X:10,001-2,781,479 \
             and 155,701,383-156,030,895 (Genome Reference Consortium); T2T-CHM13v2.0 X:1-2,394,410 and \
             153,925,835-154,259,566 (T2T consortium).",
        ],
        example: "SELECT * FROM x_linked('cohort', 'af < 0.01') ORDER BY child, pos;",
    },
    columns: &COLUMNS,
    arguments: Arguments::of_family_of_mother,
    plan: |call, state| {
        Box::pin(scan(call, state, "X-linked", rule, |variants| {
            Some(variants.on_primary("X"))
        }))
    },
};

fn rule(zone: Zone, sex: Sex, [son, _, mother]: [Option<CallRef<'_>>; 3]) -> bool {
    let is_hemizygous = son.is_some_and(|call| {
        let tally = call.tally();
        let is_son = sex == Sex::Male || (sex == Sex::Unknown && tally.ploidy == 1);
        is_son && tally.ploidy <= 2 && tally.is_hom_alt()
    });
    zone == Zone::X && is_hemizygous && mother.is_some_and(|call| call.tally().is_het())
}
