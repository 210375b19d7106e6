//! `mendel_errors(dataset [, child, father, mother] [, condition])`: how many records of each trio cannot be.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::datatypes::{DataType, Int16Type, Int32Type, SchemaRef};
use datafusion::common::Result as DfResult;
use datafusion::execution::SessionState;
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::inheritance::{WholeCall, mendel_error};

use super::arguments::{Arguments, CHILD, CONDITION, DATASET, FATHER, MOTHER};
use super::family::{Trios, of, trios_of};
use super::fold::{Batches, Fold, FoldExec};
use super::{Call, TableDefinition, column, nullable};
use crate::doc::{Chapter, FunctionDoc};
use crate::trio::PlacedCall;

pub(super) const DEFINITION: TableDefinition = TableDefinition {
    doc: FunctionDoc {
        name: "mendel_errors",
        chapter: Chapter::Family,
        arguments: &[DATASET, CHILD, FATHER, MOTHER, CONDITION],
        returns: "TABLE (family_id text, child text, father text, mother text, sex text, n_ok bigint, n_errors bigint, \
                  n_skipped bigint, error_rate double precision)",
        summary: "Mendelian consistency of each trio: records that fit, that cannot be, and that tell nothing.",
        details: &[
            "The rule of `gt_is_mendel_error` with the place, the child's sex and the assembly of the dataset. Each \
             record of the source counts once, through the row of its first ALT, with its whole genotypes; a condition that \
             drops that row drops the record.",
            "`n_skipped`: no verdict because of a (half) missing call, no data, a ploidy that does not fit, or a place \
             nobody is asked about. `error_rate` = n_errors / (n_ok + n_errors), NULL without any.",
            "On autosomes `n_errors` equals nBad of `bcftools +mendelian -m c`; nOK there counts as well what fits \
             beside a missing parent, which is skipped here. Trios are named or taken from the pedigree, as in `de_novo`.",
        ],
        example: "SELECT child, n_errors, error_rate FROM mendel_errors('cohort') ORDER BY error_rate DESC;",
    },
    columns: &[
        nullable(
            "family_id",
            DataType::Utf8,
            "Family, where the pedigree names one",
        ),
        column("child", DataType::Utf8, "Sample of the child"),
        column("father", DataType::Utf8, "Sample of the father"),
        column("mother", DataType::Utf8, "Sample of the mother"),
        column(
            "sex",
            DataType::Utf8,
            "Sex of the child: male, female or unknown",
        ),
        column("n_ok", DataType::Int64, "Records whose genotypes fit"),
        column(
            "n_errors",
            DataType::Int64,
            "Records whose genotypes cannot be",
        ),
        column(
            "n_skipped",
            DataType::Int64,
            "Records that cannot be judged",
        ),
        nullable(
            "error_rate",
            DataType::Float64,
            "n_errors / (n_ok + n_errors)",
        ),
    ],
    arguments: Arguments::of_family,
    plan: |call, state| Box::pin(plan(call, state)),
};

const READ: [&str; 4] = ["contig", "pos", "alt_index", "gt"];

async fn plan(call: &Call, state: &SessionState) -> DfResult<Arc<dyn ExecutionPlan>> {
    let (variants, trios) = trios_of(call, state).await?;
    let condition = call.arguments.condition.as_deref();
    let rows = variants.plan(state, &READ, condition, None).await?;
    let fold = Mendel {
        trios,
        schema: Arc::clone(&call.schema),
    };
    Ok(Arc::new(FoldExec::new(fold, rows, &call.schema)))
}

struct Mendel {
    trios: Trios,
    schema: SchemaRef,
}

impl fmt::Debug for Mendel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mendel")
    }
}

/// Records of one trio.
#[derive(Clone, Copy, Debug, Default)]
struct Verdicts {
    ok: i64,
    errors: i64,
    skipped: i64,
}

/// Whether a row is that of the first ALT of the trio's record: by the calls, which know their own record where
/// several batches share a row, else by the row.
fn is_first_alt(calls: &[PlacedCall<'_>; 3], alt_index: i16) -> bool {
    let numbers = calls.iter().flatten().map(|(call, _)| call.alt_index());
    let first = numbers.filter(|number| *number > 0).min();
    first.map_or(alt_index <= 1, |number| number == 1)
}

impl Fold for Mendel {
    type State = Vec<Verdicts>;

    fn title(&self) -> String {
        format!("Mendelian errors, trios={}", self.trios.trios.len())
    }

    fn start(&self) -> Self::State {
        vec![Verdicts::default(); self.trios.trios.len()]
    }

    fn bytes(&self, state: &Self::State) -> usize {
        size_of::<Verdicts>() * state.len()
    }

    fn add(&self, state: &mut Self::State, batch: &RecordBatch) -> DfResult<()> {
        let contig = of(batch, "contig")?.as_string::<i32>();
        let pos = of(batch, "pos")?.as_primitive::<Int32Type>();
        let alt_index = of(batch, "alt_index")?.as_primitive::<Int16Type>();
        let gt = of(batch, "gt")?.as_binary_view();
        for row in 0..batch.num_rows() {
            if gt.is_null(row) {
                // Nobody has data here.
                if alt_index.value(row) <= 1 {
                    state.iter_mut().for_each(|verdicts| verdicts.skipped += 1);
                }
                continue;
            }
            let blocks = self.trios.blocks(gt.value(row))?;
            let zone = self.trios.zone(contig.value(row), pos.value(row));
            for (at, (trio, verdicts)) in self.trios.trios.iter().zip(&mut *state).enumerate() {
                let calls = self.trios.calls(at, &blocks);
                if !is_first_alt(&calls, alt_index.value(row)) {
                    continue;
                }
                let [child, father, mother] =
                    calls.map(|call| call.and_then(|(call, batch)| WholeCall::of(&call, batch)));
                let error =
                    zone.and_then(|zone| mendel_error(zone, trio.sex, child, father, mother));
                match error {
                    Some(false) => verdicts.ok += 1,
                    Some(true) => verdicts.errors += 1,
                    None => verdicts.skipped += 1,
                }
            }
        }
        Ok(())
    }

    fn merge(&self, into: &mut Self::State, other: Self::State) {
        for (sum, more) in into.iter_mut().zip(other) {
            sum.ok += more.ok;
            sum.errors += more.errors;
            sum.skipped += more.skipped;
        }
    }

    fn finish(&self, state: Self::State) -> DfResult<Batches> {
        let trios = &self.trios.trios;
        let text = |value: fn(&super::pedigree::Trio) -> Option<&str>| -> ArrayRef {
            Arc::new(trios.iter().map(value).collect::<StringArray>())
        };
        let number = |value: fn(&Verdicts) -> i64| -> ArrayRef {
            Arc::new(state.iter().map(value).map(Some).collect::<Int64Array>())
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "counts of records are far below 2^53"
        )]
        let rate = |v: &Verdicts| {
            let judged = v.ok + v.errors;
            (judged > 0).then(|| v.errors as f64 / judged as f64)
        };
        let columns = vec![
            text(|trio| trio.family.as_deref()),
            text(|trio| Some(&trio.child)),
            text(|trio| trio.father.as_deref()),
            text(|trio| trio.mother.as_deref()),
            text(|trio| Some(trio.sex.as_str())),
            number(|v| v.ok),
            number(|v| v.errors),
            number(|v| v.skipped),
            Arc::new(state.iter().map(rate).collect::<Float64Array>()),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        Ok(Box::new(std::iter::once(Ok(batch))))
    }
}
