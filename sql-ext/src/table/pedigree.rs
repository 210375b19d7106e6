//! Pedigrees: who is whose parent, from `clin.pedigree` or `clin.person`.
//!
//! `clin.pedigree` (what `genokura ingest pedigree` makes of a PED file) names samples. Without it `clin.person` is
//! read: its `father_id` and `mother_id` are persons (`person_id`) or samples (`sample_id`). Either way a family, a sex and
//! an affection are taken where there is a column for them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::TableProvider;
use datafusion::common::Result as DfResult;
use datafusion::datasource::provider_as_source;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{LogicalPlanBuilder, ident};
use datafusion::physical_plan::collect;
use genokura_core::sex::Sex;
use genokura_exec::SampleDirectory;

use super::arguments::Arguments;
use super::source::table;
use crate::error::Error;
use crate::genotypes::unknown;

/// A child and its parents, all of them samples of the dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trio {
    pub(super) family: Option<String>,
    pub(super) child: String,
    pub(super) father: String,
    pub(super) mother: String,
    pub(super) sex: Sex,
}

/// One person of a pedigree.
#[derive(Clone, Debug, Default)]
struct Member {
    family: Option<String>,
    sample: String,
    father: Option<String>,
    mother: Option<String>,
    sex: Sex,
}

/// The trios that a call is about: the one it names, else every one of the pedigree that the dataset holds.
pub(super) async fn trios(
    state: &SessionState,
    arguments: &Arguments,
    directory: &SampleDirectory,
) -> DfResult<Vec<Trio>> {
    let members = members(state).await?;
    if let Some(names) = &arguments.trio {
        for name in names {
            if directory.index_of(name).is_none() {
                return Err(unknown(directory, name).into());
            }
        }
        let [child, father, mother] = names.clone();
        let members = members.unwrap_or_default();
        let known = members.into_iter().find(|member| member.sample == child);
        let known = known.unwrap_or_default();
        return Ok(vec![Trio {
            family: known.family,
            sex: known.sex,
            child,
            father,
            mother,
        }]);
    }
    let members = members.ok_or(Error::NoPedigree)?;
    let mut trios: Vec<Trio> = members.into_iter().filter_map(trio).collect();
    trios.retain(|trio| {
        let of_trio = [&trio.child, &trio.father, &trio.mother];
        of_trio
            .iter()
            .all(|name| directory.index_of(name).is_some())
    });
    Ok(trios)
}

fn trio(member: Member) -> Option<Trio> {
    Some(Trio {
        family: member.family,
        child: member.sample,
        father: member.father?,
        mother: member.mother?,
        sex: member.sex,
    })
}

/// Everybody, ordered by family and sample; None without any pedigree.
async fn members(state: &SessionState) -> DfResult<Option<Vec<Member>>> {
    let mut members = match table(state, "clin", "pedigree").await? {
        Some(pedigree) => read(state, "clin.pedigree", &pedigree).await?,
        None => match table(state, "clin", "person").await? {
            Some(person) if has(&person, "father_id") && has(&person, "mother_id") => {
                read(state, "clin.person", &person).await?
            }
            _ => return Ok(None),
        },
    };
    members.sort_by(|a, b| (&a.family, &a.sample).cmp(&(&b.family, &b.sample)));
    members.dedup_by(|a, b| a.sample == b.sample);
    Ok(Some(members))
}

fn has(table: &Arc<dyn TableProvider>, column: &str) -> bool {
    table.schema().field_with_name(column).is_ok()
}

/// Columns of a pedigree; the optional ones may be absent.
const COLUMNS: [&str; 6] = [
    "sample_id",
    "father_id",
    "mother_id",
    "family_id",
    "sex",
    "person_id",
];
const REQUIRED: usize = 3;

async fn read(
    state: &SessionState,
    name: &str,
    provider: &Arc<dyn TableProvider>,
) -> DfResult<Vec<Member>> {
    for column in &COLUMNS[..REQUIRED] {
        if !has(provider, column) {
            let table = name.to_owned();
            return Err(Error::NoColumn { table, column }.into());
        }
    }
    let columns: Vec<&str> = COLUMNS
        .into_iter()
        .filter(|column| has(provider, column))
        .collect();
    let source = provider_as_source(Arc::clone(provider));
    let plan = LogicalPlanBuilder::scan("pedigree", source, None)?
        .project(columns.iter().map(|column| ident(*column)))?
        .build()?;
    let plan = state.create_physical_plan(&plan).await?;
    let batches = collect(plan, state.task_ctx()).await?;
    let mut rows = Vec::new();
    for batch in &batches {
        rows_of(batch, &mut rows)?;
    }
    Ok(by_sample(rows))
}

/// A row as text, in the order of [`COLUMNS`].
type Row = [Option<String>; COLUMNS.len()];

fn rows_of(batch: &RecordBatch, rows: &mut Vec<Row>) -> DfResult<()> {
    let start = rows.len();
    rows.resize(start + batch.num_rows(), Row::default());
    for (place, name) in COLUMNS.iter().enumerate() {
        let Some(column) = batch.column_by_name(name) else {
            continue;
        };
        let texts = cast(column, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>();
        for (row, values) in rows[start..].iter_mut().enumerate() {
            let text = texts.is_valid(row).then(|| texts.value(row));
            values[place] = text.filter(|text| !text.is_empty()).map(str::to_owned);
        }
    }
    Ok(())
}

/// Parents as samples: one that is a person's id stands for that person's sample.
fn by_sample(rows: Vec<Row>) -> Vec<Member> {
    let mut sample_of: HashMap<String, String> = HashMap::new();
    for [sample, _, _, _, _, person] in &rows {
        if let (Some(sample), Some(person)) = (sample, person) {
            sample_of
                .entry(person.clone())
                .or_insert_with(|| sample.clone());
        }
    }
    let parent = |id: Option<String>| id.map(|id| sample_of.get(&id).cloned().unwrap_or(id));
    let member = |[sample, father, mother, family, sex, _]: Row| {
        Some(Member {
            family,
            sample: sample?,
            father: parent(father),
            mother: parent(mother),
            sex: sex.as_deref().map_or(Sex::Unknown, Sex::of_text),
        })
    };
    rows.into_iter().filter_map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: [&str; 6]) -> Row {
        values.map(|value| (!value.is_empty()).then(|| value.to_owned()))
    }

    #[test]
    fn parents_are_persons_or_samples() {
        let members = by_sample(vec![
            row(["S1", "", "", "F", "male", "P1"]),
            row(["S2", "", "", "F", "2", "P2"]),
            row(["S3", "P1", "S2", "F", "", "P3"]),
            row(["", "P1", "P2", "F", "", "P4"]),
        ]);
        assert_eq!(members.len(), 3);
        let child = &members[2];
        assert_eq!(child.father.as_deref(), Some("S1"));
        assert_eq!(child.mother.as_deref(), Some("S2"));
        assert_eq!(
            members.iter().map(|m| m.sex).collect::<Vec<_>>(),
            [Sex::Male, Sex::Female, Sex::Unknown]
        );
    }
}
