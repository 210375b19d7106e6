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

use super::arguments::{Arguments, Named, Needs};
use super::source::table;
use crate::error::Error;
use crate::genotypes::unknown;

/// A child and its parents, all of them samples of the dataset; a parent that is not is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trio {
    pub(super) family: Option<String>,
    pub(super) child: String,
    pub(super) father: Option<String>,
    pub(super) mother: Option<String>,
    pub(super) sex: Sex,
}

/// One person of a pedigree.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Name of the family.
    pub family: Option<String>,
    /// The person's sample.
    pub sample: String,
    /// Sample of the father, which a dataset may not have.
    pub father: Option<String>,
    /// Sample of the mother, which a dataset may not have.
    pub mother: Option<String>,
    /// Sex.
    pub sex: Sex,
}

/// The people of a table of the lake, ordered by family and sample, each sample once; `None` without the table.
///
/// # Errors
/// [`Error::NoColumn`] when the table lacks `sample_id`, `father_id` or `mother_id`, and what reading it reports.
pub async fn pedigree(
    state: &SessionState,
    schema: &str,
    name: &str,
) -> DfResult<Option<Vec<Member>>> {
    let Some(provider) = table(state, schema, name).await? else {
        return Ok(None);
    };
    let members = read(state, &format!("{schema}.{name}"), &provider).await?;
    Ok(Some(in_order(members)))
}

fn in_order(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_by(|a, b| (&a.family, &a.sample).cmp(&(&b.family, &b.sample)));
    members.dedup_by(|a, b| a.sample == b.sample);
    members
}

/// The trios that a call is about: the one it names, else every child of the pedigree that the dataset holds with as many
/// parents as the function needs, one at least.
pub(super) async fn trios(
    state: &SessionState,
    arguments: &Arguments,
    directory: &SampleDirectory,
) -> DfResult<Vec<Trio>> {
    let members = members(state).await?;
    if let Some(named) = &arguments.family {
        let names = [
            Some(&named.child),
            named.father.as_ref(),
            named.mother.as_ref(),
        ];
        for name in names.into_iter().flatten() {
            if directory.index_of(name).is_none() {
                return Err(unknown(directory, name).into());
            }
        }
        let Named {
            child,
            father,
            mother,
        } = named.clone();
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
    let is_there = |name: &String| directory.index_of(name).is_some();
    let trio = |member: Member| {
        let (father, mother) = (
            member.father.filter(is_there),
            member.mother.filter(is_there),
        );
        let has = |needs: Needs| needs.are_met(father.is_some(), mother.is_some());
        let is_asked = is_there(&member.sample) && has(Needs::Either) && has(arguments.needs);
        is_asked.then_some(Trio {
            family: member.family,
            child: member.sample,
            father,
            mother,
            sex: member.sex,
        })
    };
    Ok(members.into_iter().filter_map(trio).collect())
}

/// Everybody, ordered by family and sample; None without any pedigree.
async fn members(state: &SessionState) -> DfResult<Option<Vec<Member>>> {
    if let Some(members) = pedigree(state, "clin", "pedigree").await? {
        return Ok(Some(members));
    }
    match table(state, "clin", "person").await? {
        Some(person) if has(&person, "father_id") && has(&person, "mother_id") => {
            Ok(Some(in_order(read(state, "clin.person", &person).await?)))
        }
        _ => Ok(None),
    }
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
