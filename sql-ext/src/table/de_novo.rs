//! `de_novo(dataset [, child, father, mother] [, condition])`: what children carry and nobody handed down.

use genokura_core::codec::CallRef;
use genokura_core::inheritance;
use genokura_core::sex::{Sex, Zone};

use super::TableDefinition;
use super::arguments::{Arguments, CHILD, CONDITION, DATASET, FATHER_IF_ANY, MOTHER_IF_ANY};
use super::family::{COLUMNS, scan};
use crate::doc::{Chapter, FunctionDoc};

pub(super) const DEFINITION: TableDefinition = TableDefinition {
    doc: FunctionDoc {
        name: "de_novo",
        chapter: Chapter::Family,
        arguments: &[DATASET, CHILD, FATHER_IF_ANY, MOTHER_IF_ANY, CONDITION],
        returns: "TABLE (family_id text, child text, contig text, pos integer, ref text, alt text, af double precision, \
                  child_gt text, father_gt text, mother_gt text)",
        summary: "Candidates of de novo variants: alleles that a child carries and those who hand down the place do not.",
        details: &[
            "The rule of `gt_is_de_novo` with the place, the child's sex from the pedigree and the assembly of the \
             dataset: the mother alone is asked for a son's X outside of the pseudoautosomal regions and for the \
             mitochondrial genome, the father alone for Y. Rows where a missing call leaves it open are left out. On X \
             and Y of a dataset without a known assembly nothing is told.",
            "Of a parent whom the dataset lacks every call is missing: a son and his mother tell of his X and his \
             mitochondrial genome, a son and his father of Y.",
            "Without a trio, every child of the pedigree with a parent in the dataset: `clin.pedigree` when \
             it is there (`genokura ingest pedigree`), else `clin.person` with `sample_id`, `father_id` and `mother_id` \
             (persons or samples), `sex` and `family_id`.",
            "Genotypes only, no depth and no quality: give a condition.",
        ],
        example: "SELECT * FROM de_novo('cohort', 'ac = 1') ORDER BY child, contig, pos;",
    },
    columns: &COLUMNS,
    arguments: Arguments::of_family_of_one,
    plan: |call, state| Box::pin(scan(call, state, "de novo", rule, |_| None)),
};

fn rule(zone: Zone, sex: Sex, [child, father, mother]: [Option<CallRef<'_>>; 3]) -> bool {
    inheritance::de_novo(zone, sex, child, father, mother) == Some(true)
}
