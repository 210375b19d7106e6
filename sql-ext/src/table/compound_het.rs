//! `compound_het(dataset [, child, father, mother] [, condition [, genes]])`: two hits in one gene, in trans.
//!
//! Candidates are collected per trio and gene; the pairs are made while the result is taken:
//! ```text
//! transmission  one hit from the father alone, the other from the mother alone
//! genotype      both hits are the two alleles of one record: 1/2
//! phase         both calls are phased in one phase set, the ALTs on different haplotypes
//! de_novo       one hit from one parent alone, the other from nobody: in trans or not, nobody knows
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, SchemaRef};
use datafusion::common::{Column, JoinType, Result as DfResult};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlanBuilder, ident, lit};
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::codec::CallRef;
use genokura_core::inheritance::carries;
use genokura_core::sex::{Sex, Zone};

use super::arguments::{Arguments, CHILD, CONDITION, DATASET, FATHER_IF_ANY, MOTHER_IF_ANY};
use super::family::{Trios, of, text, trios_of};
use super::fold::{Batches, Fold, FoldExec};
use super::genes::{self, Genes};
use super::source::{Variants, table};
use super::{Call, TableDefinition, column, nullable};
use crate::doc::{Chapter, FunctionDoc, optional};
use crate::trio::PlacedCall;

pub(super) const DEFINITION: TableDefinition = TableDefinition {
    doc: FunctionDoc {
        name: "compound_het",
        chapter: Chapter::Family,
        arguments: &[
            DATASET,
            CHILD,
            FATHER_IF_ANY,
            MOTHER_IF_ANY,
            CONDITION,
            optional(
                "genes",
                "text",
                "A region table of genes as `schema.table`, with `contig`, `pos`, `end_pos` and `name`; `kb.genes` when \
                 left out.",
            ),
        ],
        returns: "TABLE (family_id text, child text, gene text, contig text, pos1 integer, ref1 text, alt1 text, gt1 text, \
                  from1 text, pos2 integer, ref2 text, alt2 text, gt2 text, from2 text, evidence text)",
        summary: "Pairs of different alleles of one gene that a child has in trans.",
        details: &[
            "Hits are ALTs for which the child is heterozygous (whole, diploid, `1/2` in the rows of both) in a gene, on \
             autosomes, in the pseudoautosomal regions and, for daughters, on X. `from` says who has the ALT: `father`, \
             `mother`, `both`, `de_novo` (neither) or `unknown` (a missing call leaves it open).",
            "`evidence`, the first that fits: `transmission`, one hit from the father alone and the other from the mother \
             alone; `genotype`, the two alleles of one record; `phase`, both calls phased in one phase set (PS; without \
             PS, on the contig, as VCF 4.5 has it) with the ALTs on different haplotypes; `de_novo`, one inherited from one \
             parent alone and the other from neither, whose haplotype nobody knows. Two hits from the same parent alone, or \
             phased onto one haplotype, are in cis and left out.",
            "Missing calls: a hit is `unknown` where a parent's call is missing in part or whole and names no copy, which is \
             everywhere for a parent whom the dataset lacks. Then `genotype` and `phase` alone tell, so that a child without \
             either parent (`NULL, NULL`) is asked by its phase. A call of the child that is missing in part is no hit.",
            "All pairs are given, so give a condition: a child has thousands of common hits. In a gene table with a column \
             `feature` only its genes are read. Trios are named or taken from the \
             pedigree, as in `de_novo`: every child with a parent in the dataset.",
        ],
        example: "SELECT child, gene, pos1, alt1, pos2, alt2, evidence\n\
                  FROM compound_het('cohort', 'GK0003', 'GK0001', 'GK0002', 'af < 0.01') ORDER BY gene, pos1, pos2;",
    },
    columns: &[
        nullable(
            "family_id",
            DataType::Utf8,
            "Family, where the pedigree names one",
        ),
        column("child", DataType::Utf8, "Sample of the child"),
        column("gene", DataType::Utf8, "Gene"),
        column("contig", DataType::Utf8, "Contig"),
        column(
            "pos1",
            DataType::Int32,
            "Position of the first hit, 1-based",
        ),
        column("ref1", DataType::Utf8, "Normalised REF of the first hit"),
        column("alt1", DataType::Utf8, "Normalised ALT of the first hit"),
        column(
            "gt1",
            DataType::Utf8,
            "Genotype of the child at the first hit",
        ),
        column(
            "from1",
            DataType::Utf8,
            "Who has the first hit: father, mother, both, de_novo or unknown",
        ),
        column(
            "pos2",
            DataType::Int32,
            "Position of the second hit, 1-based",
        ),
        column("ref2", DataType::Utf8, "Normalised REF of the second hit"),
        column("alt2", DataType::Utf8, "Normalised ALT of the second hit"),
        column(
            "gt2",
            DataType::Utf8,
            "Genotype of the child at the second hit",
        ),
        column(
            "from2",
            DataType::Utf8,
            "Who has the second hit: father, mother, both, de_novo or unknown",
        ),
        column(
            "evidence",
            DataType::Utf8,
            "Why they are in trans: transmission, genotype, phase or de_novo",
        ),
    ],
    arguments: Arguments::of_family_and_genes,
    plan: |call, state| Box::pin(plan(call, state)),
};

/// Rows of a batch of the result.
const BATCH_ROWS: usize = 8_192;
const READ: [&str; 8] = [
    "contig", "pos", "end_pos", "ref", "alt", "vcf_pos", "vcf_ref", "gt",
];
/// The child of a row and its phase set, where the dataset has phase sets.
const PHASED_CHILD: &str = "phased_child";
const PHASE_SET: &str = "ps";

async fn plan(call: &Call, state: &SessionState) -> DfResult<Arc<dyn ExecutionPlan>> {
    let (variants, trios) = trios_of(call, state).await?;
    let name = call.arguments.genes.as_deref().unwrap_or(genes::DEFAULT);
    let genes = Genes::read(state, name).await?;
    let rows = candidates(call, state, &variants, &trios).await?;
    let mut of_child: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, trio) in trios.trios.iter().enumerate() {
        of_child.entry(trio.child.clone()).or_default().push(at);
    }
    let fold = CompoundHet {
        trios: Arc::new(trios),
        genes: Arc::new(genes),
        of_child,
        schema: Arc::clone(&call.schema),
    };
    Ok(Arc::new(FoldExec::new(fold, rows, &call.schema)))
}

/// The rows of `variants`; in a dataset with phase sets once for each child that carries the ALT, with its PS.
async fn candidates(
    call: &Call,
    state: &SessionState,
    variants: &Variants,
    trios: &Trios,
) -> DfResult<Arc<dyn ExecutionPlan>> {
    let condition = call.arguments.condition.as_deref();
    let carriers = table(state, &call.arguments.dataset, "carriers").await?;
    let carriers = carriers.filter(|t| t.schema().field_with_name(PHASE_SET).is_ok());
    let Some(carriers) = carriers else {
        return variants.plan(state, &READ, condition, None).await;
    };
    let children: Vec<_> = trios
        .trios
        .iter()
        .map(|trio| lit(trio.child.as_str()))
        .collect();
    const KEY: [&str; 4] = ["contig", "pos", "ref", "alt"];
    let own = LogicalPlanBuilder::scan("carriers", provider_as_source(carriers), None)?
        .filter(ident("sample_id").in_list(children, false))?
        .project(
            KEY.map(|key| ident(key).alias(format!("carried_{key}")))
                .into_iter()
                .chain([ident("sample_id").alias(PHASED_CHILD), ident(PHASE_SET)]),
        )?
        .alias("carried")?
        .build()?;
    let keys = |prefix: &str| {
        KEY.map(|key| Column::from_name(format!("{prefix}{key}")))
            .to_vec()
    };
    let columns = READ.iter().chain(&[PHASED_CHILD, PHASE_SET]);
    let plan = variants
        .rows(state, condition, None)?
        .project(READ.map(ident))?
        .join(own, JoinType::Inner, (keys(""), keys("carried_")), None)?
        .project(columns.map(|name| ident(*name)))?
        .build()?;
    state.create_physical_plan(&plan).await
}

struct CompoundHet {
    trios: Arc<Trios>,
    genes: Arc<Genes>,
    /// The trios of each child.
    of_child: HashMap<String, Vec<usize>>,
    schema: SchemaRef,
}

impl fmt::Debug for CompoundHet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompoundHet")
    }
}

/// Who has the ALT of a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Father,
    Mother,
    Both,
    DeNovo,
    Unknown,
}

impl Origin {
    fn of(father: Option<CallRef<'_>>, mother: Option<CallRef<'_>>) -> Self {
        match (father.and_then(carries), mother.and_then(carries)) {
            (Some(true), Some(false)) => Self::Father,
            (Some(false), Some(true)) => Self::Mother,
            (Some(true), Some(true)) => Self::Both,
            (Some(false), Some(false)) => Self::DeNovo,
            _ => Self::Unknown,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Father => "father",
            Self::Mother => "mother",
            Self::Both => "both",
            Self::DeNovo => "de_novo",
            Self::Unknown => "unknown",
        }
    }
}

/// On which haplotype of which phase set an ALT is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Phase {
    set: Option<i32>,
    haplotype: usize,
}

/// A heterozygous ALT of a child in a gene.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Hit {
    contig: String,
    pos: i32,
    reference: String,
    alt: String,
    gt: String,
    from: Origin,
    phase: Option<Phase>,
    /// Position and REF of the record as it stood.
    record: (i32, String),
    /// The call has no REF: its other allele is another ALT of the record.
    is_all_alt: bool,
}

impl Hit {
    fn of(
        calls: [PlacedCall<'_>; 3],
        zone: Zone,
        sex: Sex,
        phase_set: Option<i32>,
    ) -> Option<Self> {
        let [child, father, mother] = calls;
        let call = child?.0;
        let tally = call.tally();
        let paired = zone == Zone::Autosomal || (zone == Zone::X && sex == Sex::Female);
        if !paired || tally.ploidy != 2 || !tally.is_het() {
            return None;
        }
        let own = Some(call.alt_index());
        let haplotype = call.alleles().position(|allele| allele == own)?;
        Some(Self {
            contig: String::new(),
            pos: 0,
            reference: String::new(),
            alt: String::new(),
            gt: text(child)?,
            from: Origin::of(father.map(|(call, _)| call), mother.map(|(call, _)| call)),
            phase: call.phased().then_some(Phase {
                set: phase_set,
                haplotype,
            }),
            record: (0, String::new()),
            is_all_alt: call.alleles().all(|allele| allele != Some(0)),
        })
    }

    fn bytes(&self) -> usize {
        let texts = [
            &self.contig,
            &self.reference,
            &self.alt,
            &self.gt,
            &self.record.1,
        ];
        size_of::<Self>() + texts.iter().map(|text| text.capacity()).sum::<usize>()
    }

    /// Why two hits are in trans; None when they are not, or nobody can tell.
    fn in_trans(&self, other: &Self) -> Option<&'static str> {
        use Origin::{DeNovo, Father, Mother};
        if self.contig != other.contig
            || (self.pos, &self.reference, &self.alt) == (other.pos, &other.reference, &other.alt)
        {
            return None;
        }
        match (self.from, other.from) {
            (Father, Mother) | (Mother, Father) => return Some("transmission"),
            (Father, Father) | (Mother, Mother) => return None,
            _ => {}
        }
        let one_record = self.record == other.record && self.gt == other.gt;
        if one_record && self.is_all_alt && other.is_all_alt {
            return Some("genotype");
        }
        if let (Some(a), Some(b)) = (self.phase, other.phase)
            && a.set == b.set
        {
            return (a.haplotype != b.haplotype).then_some("phase");
        }
        match (self.from, other.from) {
            (DeNovo, Father | Mother) | (Father | Mother, DeNovo) => Some("de_novo"),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Hits {
    /// Hits by trio and gene.
    groups: BTreeMap<(usize, usize), Vec<Hit>>,
    bytes: usize,
}

impl Fold for CompoundHet {
    type State = Hits;

    fn title(&self) -> String {
        format!(
            "compound heterozygous, trios={}, genes={}",
            self.trios.trios.len(),
            self.genes.names.len()
        )
    }

    fn start(&self) -> Hits {
        Hits::default()
    }

    fn bytes(&self, state: &Hits) -> usize {
        state.bytes
    }

    fn add(&self, state: &mut Hits, batch: &RecordBatch) -> DfResult<()> {
        let texts = |name| {
            Ok::<_, datafusion::common::DataFusionError>(of(batch, name)?.as_string::<i32>())
        };
        let (contig, reference, alt) = (texts("contig")?, texts("ref")?, texts("alt")?);
        let vcf_ref = texts("vcf_ref")?;
        let numbers = |name| {
            Ok::<_, datafusion::common::DataFusionError>(
                of(batch, name)?.as_primitive::<Int32Type>(),
            )
        };
        let (pos, end_pos, vcf_pos) = (numbers("pos")?, numbers("end_pos")?, numbers("vcf_pos")?);
        let gt = of(batch, "gt")?.as_binary_view();
        let phase = PhaseSets::of(batch)?;
        let all: Vec<usize> = (0..self.trios.trios.len()).collect();
        for row in (0..batch.num_rows()).filter(|row| gt.is_valid(*row)) {
            let (start, end) = (pos.value(row), end_pos.value(row));
            let genes = self
                .genes
                .touching(contig.value(row), start.into(), end.into());
            let zone = self.trios.zone(contig.value(row), start);
            let (Some(zone), false) = (zone, genes.is_empty()) else {
                continue;
            };
            let blocks = self.trios.blocks(gt.value(row))?;
            let (asked, phase_set) = match &phase {
                None => (&all[..], None),
                Some(phase) => (
                    self.of_child
                        .get(phase.child.value(row))
                        .map_or(&[][..], Vec::as_slice),
                    phase.set(row),
                ),
            };
            for &trio in asked {
                let calls = self.trios.calls(trio, &blocks);
                let sex = self.trios.trios[trio].sex;
                let Some(hit) = Hit::of(calls, zone, sex, phase_set) else {
                    continue;
                };
                let hit = Hit {
                    contig: contig.value(row).to_owned(),
                    pos: start,
                    reference: reference.value(row).to_owned(),
                    alt: alt.value(row).to_owned(),
                    record: (vcf_pos.value(row), vcf_ref.value(row).to_owned()),
                    ..hit
                };
                for gene in &genes {
                    state.bytes += hit.bytes();
                    state
                        .groups
                        .entry((trio, *gene))
                        .or_default()
                        .push(hit.clone());
                }
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Hits, other: Hits) {
        into.bytes += other.bytes;
        for (group, hits) in other.groups {
            into.groups.entry(group).or_default().extend(hits);
        }
    }

    fn finish(&self, state: Hits) -> DfResult<Batches> {
        let groups = state.groups.into_iter().map(|((trio, gene), mut hits)| {
            hits.sort_unstable();
            hits.dedup();
            Arc::new(Group { trio, gene, hits })
        });
        let mut pairs = groups.flat_map(Group::pairs);
        let (trios, genes) = (Arc::clone(&self.trios), Arc::clone(&self.genes));
        let schema = Arc::clone(&self.schema);
        Ok(Box::new(std::iter::from_fn(move || {
            let some: Vec<Pair> = pairs.by_ref().take(BATCH_ROWS).collect();
            (!some.is_empty()).then(|| batch_of(&some, &trios, &genes, &schema))
        })))
    }
}

/// The columns that tell of phase sets.
struct PhaseSets<'a> {
    child: &'a StringArray,
    sets: ArrayRef,
}

impl<'a> PhaseSets<'a> {
    fn of(batch: &'a RecordBatch) -> DfResult<Option<Self>> {
        let Some(child) = batch.column_by_name(PHASED_CHILD) else {
            return Ok(None);
        };
        Ok(Some(Self {
            child: child.as_string(),
            sets: cast(of(batch, PHASE_SET)?, &DataType::Int32)?,
        }))
    }

    fn set(&self, row: usize) -> Option<i32> {
        let sets = self.sets.as_primitive::<Int32Type>();
        sets.is_valid(row).then(|| sets.value(row))
    }
}

/// The hits of one trio in one gene.
struct Group {
    trio: usize,
    gene: usize,
    hits: Vec<Hit>,
}

/// Two hits of a group by their places.
struct Pair {
    group: Arc<Group>,
    first: usize,
    second: usize,
    evidence: &'static str,
}

impl Group {
    fn pairs(self: Arc<Self>) -> impl Iterator<Item = Pair> + Send {
        let n = self.hits.len();
        let places =
            (0..n).flat_map(move |first| (first + 1..n).map(move |second| (first, second)));
        places.filter_map(move |(first, second)| {
            let evidence = self.hits[first].in_trans(&self.hits[second])?;
            Some(Pair {
                group: Arc::clone(&self),
                first,
                second,
                evidence,
            })
        })
    }
}

impl Pair {
    fn hits(&self) -> [&Hit; 2] {
        [&self.group.hits[self.first], &self.group.hits[self.second]]
    }
}

fn batch_of(
    pairs: &[Pair],
    trios: &Trios,
    genes: &Genes,
    schema: &SchemaRef,
) -> DfResult<RecordBatch> {
    let texts = |value: &dyn Fn(&Pair) -> Option<String>| -> ArrayRef {
        Arc::new(pairs.iter().map(value).collect::<StringArray>())
    };
    let of_hit = |at: usize, value: fn(&Hit) -> &str| -> ArrayRef {
        let values = pairs.iter().map(|pair| Some(value(pair.hits()[at])));
        Arc::new(values.collect::<StringArray>())
    };
    let pos = |at: usize| -> ArrayRef {
        let values = pairs.iter().map(|pair| Some(pair.hits()[at].pos));
        Arc::new(values.collect::<Int32Array>())
    };
    let mut columns = vec![
        texts(&|pair| trios.trios[pair.group.trio].family.clone()),
        texts(&|pair| Some(trios.trios[pair.group.trio].child.clone())),
        texts(&|pair| genes.names.get(pair.group.gene).cloned()),
        of_hit(0, |hit| &hit.contig),
    ];
    for at in [0, 1] {
        columns.push(pos(at));
        columns.push(of_hit(at, |hit| &hit.reference));
        columns.push(of_hit(at, |hit| &hit.alt));
        columns.push(of_hit(at, |hit| &hit.gt));
        columns.push(of_hit(at, |hit| hit.from.as_str()));
    }
    columns.push(texts(&|pair| Some(pair.evidence.to_owned())));
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(pos: i32, from: Origin, phase: Option<(Option<i32>, usize)>) -> Hit {
        Hit {
            contig: "chr1".to_owned(),
            pos,
            reference: "A".to_owned(),
            alt: "C".to_owned(),
            gt: "0/1".to_owned(),
            from,
            phase: phase.map(|(set, haplotype)| Phase { set, haplotype }),
            record: (pos, "A".to_owned()),
            is_all_alt: false,
        }
    }

    #[test]
    fn pairs_are_in_trans_by_transmission_then_phase() {
        use Origin::{Both, DeNovo, Father, Mother, Unknown};
        let phased = |haplotype| Some((None, haplotype));
        let in_set = |set, haplotype| Some((Some(set), haplotype));
        for (a, b, expected) in [
            ((Father, None), (Mother, None), Some("transmission")),
            ((Father, None), (Father, None), None),
            (
                (Father, phased(0)),
                (Mother, phased(0)),
                Some("transmission"),
            ),
            ((Both, phased(0)), (Both, phased(1)), Some("phase")),
            ((Both, phased(0)), (Mother, phased(0)), None),
            (
                (Unknown, in_set(7, 0)),
                (Unknown, in_set(7, 1)),
                Some("phase"),
            ),
            ((Unknown, in_set(7, 0)), (Unknown, in_set(8, 1)), None),
            ((DeNovo, None), (Father, None), Some("de_novo")),
            ((DeNovo, phased(0)), (Father, phased(0)), None),
            ((DeNovo, None), (DeNovo, None), None),
            ((DeNovo, None), (Both, None), None),
            ((Unknown, None), (Father, None), None),
        ] {
            let (first, second) = (hit(1, a.0, a.1), hit(2, b.0, b.1));
            assert_eq!(first.in_trans(&second), expected, "{a:?} {b:?}");
            assert_eq!(second.in_trans(&first), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn two_alleles_of_one_record_are_in_trans() {
        let first = Hit {
            gt: "1/2".to_owned(),
            is_all_alt: true,
            ..hit(5, Origin::Unknown, None)
        };
        let second = Hit {
            alt: "G".to_owned(),
            ..first.clone()
        };
        assert_eq!(first.in_trans(&second), Some("genotype"));
        assert_eq!(first.in_trans(&first.clone()), None);
    }
}
