//! `sample_qc(dataset [, condition])`: quality of every sample, counted on packed genotypes.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{DataType, Int16Type, Int32Type, SchemaRef};
use datafusion::common::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::allele::Substitution;
use genokura_core::codec::GenotypeRow;
use genokura_core::codec::cell::{Cell, Part};
use genokura_core::genotype::CallClass;
use genokura_exec::SampleDirectory;

use super::arguments::{Arguments, CONDITION, DATASET};
use super::family::of;
use super::fold::{Batches, Fold, FoldExec};
use super::source::Variants;
use super::{Call, TableDefinition, column, nullable};
use crate::doc::{Argument, Chapter, FunctionDoc};
use crate::error::Error;
use crate::genotypes::row_of;

pub(super) const DEFINITION: TableDefinition = TableDefinition {
    doc: FunctionDoc {
        name: "sample_qc",
        chapter: Chapter::Samples,
        arguments: &[
            DATASET,
            Argument {
                description: "A region (`chr22:20,000,000-21,000,000`) or a condition over columns of `variants` \
                              (`af < 0.01`); all of the dataset when left out.",
                ..CONDITION
            },
        ],
        returns: "TABLE (sample_id text, n_called bigint, n_hom_ref bigint, n_het bigint, n_hom_alt bigint, n_missing \
                  bigint, call_rate double precision, n_singleton bigint, n_private bigint, n_ts bigint, n_tv bigint, \
                  ti_tv double precision, het_hom_ratio double precision, n_snv bigint, n_ins bigint, n_del bigint, \
                  n_other bigint)",
        summary: "Quality counts of every visible sample.",
        details: &[
            "Counted per record (through the row of its first ALT; a condition that drops that row drops the record): \
             `n_hom_ref`, `n_het` (any two different alleles, `1/2` too), `n_hom_alt`, a haploid call being homozygous; \
             `n_missing`, any allele missing; `n_called` is the sum of the first three, `call_rate` = n_called / \
             (n_called + n_missing). Records without GT, and samples that a record has no data for, count nowhere.",
            "Counted per ALT that the sample carries, once however many copies: `n_singleton`, the only copy among the \
             visible samples (AC = 1); `n_private`, nobody else carries it; `n_ts` and `n_tv`, transitions and \
             transversions; `n_snv`, `n_ins`, `n_del` by `variant_type`, `n_other` the rest (MNV, complex, `*`, symbolic). A \
             half call that shows the ALT carries it.",
            "`ti_tv` = n_ts / n_tv, `het_hom_ratio` = n_het / n_hom_alt; NULL for a divisor of 0.",
            "On records with one ALT that is a SNV, diploid: nRefHom, nNonRefHom, nHets, nTransitions, nTransversions and \
             nMissing of PSC in `bcftools stats -s -`, whose nSingletons is `n_private`.",
        ],
        example: "SELECT sample_id, call_rate, ti_tv, het_hom_ratio FROM sample_qc('cohort')\n\
                  ORDER BY call_rate LIMIT 10;",
    },
    columns: &[
        column("sample_id", DataType::Utf8, "Sample"),
        column(
            "n_called",
            DataType::Int64,
            "Genotypes with every allele called",
        ),
        column("n_hom_ref", DataType::Int64, "Genotypes of REF alone"),
        column("n_het", DataType::Int64, "Genotypes of different alleles"),
        column("n_hom_alt", DataType::Int64, "Genotypes of one ALT alone"),
        column(
            "n_missing",
            DataType::Int64,
            "Genotypes with any allele missing",
        ),
        nullable(
            "call_rate",
            DataType::Float64,
            "n_called / (n_called + n_missing)",
        ),
        column(
            "n_singleton",
            DataType::Int64,
            "ALTs of which the sample has the only copy",
        ),
        column(
            "n_private",
            DataType::Int64,
            "ALTs that nobody else carries",
        ),
        column("n_ts", DataType::Int64, "Transitions carried"),
        column("n_tv", DataType::Int64, "Transversions carried"),
        nullable("ti_tv", DataType::Float64, "n_ts / n_tv"),
        nullable("het_hom_ratio", DataType::Float64, "n_het / n_hom_alt"),
        column("n_snv", DataType::Int64, "SNVs carried"),
        column("n_ins", DataType::Int64, "Insertions carried"),
        column("n_del", DataType::Int64, "Deletions carried"),
        column("n_other", DataType::Int64, "Other ALTs carried"),
    ],
    arguments: Arguments::of_dataset,
    plan: |call, state| Box::pin(plan(call, state)),
};

/// In the order of the table, so that the scan gives them as they are.
const READ: [&str; 6] = ["ref", "alt", "alt_index", "variant_type", "ac", "gt"];

async fn plan(call: &Call, state: &SessionState) -> DfResult<Arc<dyn ExecutionPlan>> {
    let variants = Variants::of(state, &call.arguments.dataset).await?;
    let condition = call.arguments.condition.as_deref();
    let rows = variants.plan(state, &READ, condition, None).await?;
    let fold = SampleQc {
        directory: variants.info.directory,
        schema: Arc::clone(&call.schema),
    };
    Ok(Arc::new(FoldExec::new(fold, rows, &call.schema)))
}

struct SampleQc {
    directory: Arc<SampleDirectory>,
    schema: SchemaRef,
}

impl fmt::Debug for SampleQc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SampleQc")
    }
}

/// Counters of a sample: genotypes by class beyond what the defaults say, then carried ALTs by these.
type Counters = [i64; 11];
const SINGLETON: usize = 4;
const PRIVATE: usize = 5;
const TRANSITION: usize = 6;
const TRANSVERSION: usize = 7;
/// A SNV that is neither, such as one to `N`.
const OTHER_SNV: usize = 8;
const INSERTION: usize = 9;
const DELETION: usize = 10;

struct Counted {
    /// Per sample of the directory.
    samples: Vec<Counters>,
    /// Of each sample, carried ALTs of any other kind.
    other: Vec<i64>,
    /// Per block: records by the class of their default call.
    defaults: Vec<[i64; 4]>,
}

/// What a row adds to those who carry its ALT.
struct Kind {
    counter: Option<usize>,
    ac: i32,
}

impl Fold for SampleQc {
    type State = Counted;

    fn title(&self) -> String {
        format!("sample QC, samples={}", self.directory.samples.len())
    }

    fn start(&self) -> Counted {
        let samples = self.directory.samples.len();
        Counted {
            samples: vec![[0; 11]; samples],
            other: vec![0; samples],
            defaults: vec![[0; 4]; self.directory.blocks.len()],
        }
    }

    fn bytes(&self, state: &Counted) -> usize {
        state.samples.len() * (size_of::<Counters>() + size_of::<i64>())
    }

    fn add(&self, state: &mut Counted, batch: &RecordBatch) -> DfResult<()> {
        let [reference, alt, kinds] = [
            of(batch, "ref")?,
            of(batch, "alt")?,
            of(batch, "variant_type")?,
        ]
        .map(|column| column.as_string::<i32>());
        let alt_index = of(batch, "alt_index")?.as_primitive::<Int16Type>();
        let ac = of(batch, "ac")?.as_primitive::<Int32Type>();
        let gt = of(batch, "gt")?.as_binary_view();
        for row in (0..batch.num_rows()).filter(|row| gt.is_valid(*row)) {
            let kind = Kind {
                counter: counter_of(kinds.value(row), reference.value(row), alt.value(row)),
                ac: ac.value(row),
            };
            let cell = Cell::open(gt.value(row)).map_err(Error::Genotype)?;
            if cell.directory_id() != self.directory.id {
                return Err(Error::Internal("a genotype of other samples than planned").into());
            }
            for part in cell.parts_where(|_| true) {
                let (ordinal, part) = part.map_err(Error::Genotype)?;
                let number = match &part {
                    Part::Row(row) if row.alt_index() > 0 => row.alt_index().cast_signed(),
                    _ => alt_index.value(row),
                };
                let calls = row_of(&self.directory, ordinal, part)?;
                self.add_block(state, ordinal as usize, &calls, number <= 1, &kind);
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Counted, other: Counted) {
        for (sums, more) in into.samples.iter_mut().zip(other.samples) {
            sums.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        }
        for (sums, more) in into.defaults.iter_mut().zip(other.defaults) {
            sums.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        }
        into.other
            .iter_mut()
            .zip(other.other)
            .for_each(|(sum, more)| *sum += more);
    }

    fn finish(&self, mut state: Counted) -> DfResult<Batches> {
        for (block, defaults) in self.directory.blocks.iter().zip(&state.defaults) {
            for sample in block.samples.iter() {
                if let Some(counters) = state.samples.get_mut(*sample as usize) {
                    counters
                        .iter_mut()
                        .zip(defaults)
                        .for_each(|(sum, more)| *sum += more);
                }
            }
        }
        let batch = self.batch(&state)?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}

impl SampleQc {
    fn add_block(
        &self,
        state: &mut Counted,
        ordinal: usize,
        calls: &GenotypeRow<'_>,
        is_first: bool,
        kind: &Kind,
    ) {
        let Some(block) = self.directory.blocks.get(ordinal) else {
            return;
        };
        let Some(default) = calls.default_call().class() else {
            return;
        };
        if is_first && let Some(defaults) = state.defaults.get_mut(ordinal) {
            defaults[default as usize] += 1;
        }
        calls.for_each_unlike(|position, class, dosage| {
            let Some(&sample) = block.samples.get(position as usize) else {
                return;
            };
            let Some(counters) = state.samples.get_mut(sample as usize) else {
                return;
            };
            if is_first && class != default {
                counters[default as usize] -= 1;
                counters[class as usize] += 1;
            }
            if dosage > 0 {
                counters[SINGLETON] += i64::from(kind.ac == 1);
                counters[PRIVATE] += i64::from(kind.ac == i32::from(dosage));
                match kind.counter {
                    Some(counter) => counters[counter] += 1,
                    None => state.other[sample as usize] += 1,
                }
            }
        });
    }

    fn batch(&self, state: &Counted) -> DfResult<RecordBatch> {
        let count = |value: &dyn Fn(&Counters) -> i64| -> ArrayRef {
            let values = state.samples.iter().map(value);
            Arc::new(values.map(Some).collect::<Int64Array>())
        };
        let ratio = |value: &dyn Fn(&Counters) -> Option<f64>| -> ArrayRef {
            Arc::new(state.samples.iter().map(value).collect::<Float64Array>())
        };
        let at = |place: usize| move |c: &Counters| c[place];
        let [hom_ref, het, hom_alt, missing] = [
            CallClass::HomRef as usize,
            CallClass::Het as usize,
            CallClass::HomAlt as usize,
            CallClass::Missing as usize,
        ];
        let called = move |c: &Counters| c[hom_ref] + c[het] + c[hom_alt];
        let columns = vec![
            Arc::new(
                self.directory
                    .samples
                    .iter()
                    .map(Some)
                    .collect::<StringArray>(),
            ) as ArrayRef,
            count(&called),
            count(&at(hom_ref)),
            count(&at(het)),
            count(&at(hom_alt)),
            count(&at(missing)),
            ratio(&|c| divided(called(c), called(c) + c[missing])),
            count(&at(SINGLETON)),
            count(&at(PRIVATE)),
            count(&at(TRANSITION)),
            count(&at(TRANSVERSION)),
            ratio(&|c| divided(c[TRANSITION], c[TRANSVERSION])),
            ratio(&|c| divided(c[het], c[hom_alt])),
            count(&|c| c[TRANSITION] + c[TRANSVERSION] + c[OTHER_SNV]),
            count(&at(INSERTION)),
            count(&at(DELETION)),
            Arc::new(Int64Array::from(state.other.clone())),
        ];
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }
}

fn counter_of(variant_type: &str, reference: &str, alt: &str) -> Option<usize> {
    match variant_type {
        "SNV" => Some(
            match Substitution::of(reference.as_bytes(), alt.as_bytes()) {
                Substitution::Transition => TRANSITION,
                Substitution::Transversion => TRANSVERSION,
                Substitution::Other => OTHER_SNV,
            },
        ),
        "INS" => Some(INSERTION),
        "DEL" => Some(DELETION),
        _ => None,
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of records are far below 2^53"
)]
fn divided(count: i64, by: i64) -> Option<f64> {
    (by > 0).then(|| count as f64 / by as f64)
}
