//! The ids of HPO that a lake knows: what phenotypes are looked up in while they are loaded.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Schema;
use futures::TryStreamExt as _;
use genokura_core::contig::suggest;
use genokura_storage::{FileReader, Lake, ReadPlan, TableId};

use crate::error::Result;
use crate::progress::CancelFlag;
use crate::report::IngestReport;

/// The column of phenotypes in every table that has them.
pub(crate) const HPO_COLUMN: &str = "hpo_id";

/// How many phenotypes have been met whose terms are obsolete with nothing in their place.
pub(crate) type Met = Arc<AtomicU64>;

/// Tells of such phenotypes in the report of a job.
pub(crate) fn note_obsolete(report: &mut IngestReport, met: Option<&Met>) {
    let count = met.map_or(0, |met| met.load(Ordering::Relaxed));
    if count > 0 {
        report.repairs.push(("obsolete-term".to_owned(), count));
    }
}

/// Ids of terms, alternative ones too.
#[derive(Debug, Default)]
pub(crate) struct KnownTerms {
    all: HashSet<String>,
    /// Those that nothing replaces.
    obsolete: HashSet<String>,
    met: Met,
}

impl KnownTerms {
    /// Those of HPO; `None` in a lake without it.
    ///
    /// # Errors
    /// What reading `kb.hpo_terms` fails with.
    pub(crate) async fn of_hpo(lake: &Arc<Lake>, cancel: &CancelFlag) -> Result<Option<Self>> {
        let snapshot = lake.snapshot().await?;
        let Some(table) = snapshot.table(&TableId::new("kb", "hpo_terms")).await? else {
            return Ok(None);
        };
        let names = ["term", "alt_ids", "is_obsolete", "resolves_to"];
        let fields = names.map(|name| table.schema.field_with_name(name).ok().cloned());
        let fields: Vec<_> = fields.into_iter().flatten().collect();
        if fields.len() != names.len() {
            return Ok(None);
        }
        let schema = Arc::new(Schema::new(fields));
        let mut terms = Self::default();
        for file in &table.files {
            let reader = FileReader::open(lake, file).await?;
            let mut batches = reader.read(ReadPlan::of(Arc::clone(&schema)))?;
            while let Some(batch) = batches.try_next().await? {
                cancel.check()?;
                let names = batch.column(0).as_string_opt::<i32>();
                let others = batch.column(1).as_list_opt::<i32>();
                let others = others.and_then(|lists| lists.values().as_string_opt::<i32>());
                let all = names
                    .into_iter()
                    .chain(others)
                    .flat_map(|names| names.iter().flatten());
                terms.all.extend(all.map(str::to_owned));
                let is_obsolete = batch.column(2).as_boolean_opt();
                let replaced = batch.column(3);
                for (row, name) in names.into_iter().flatten().enumerate() {
                    let gone =
                        is_obsolete.is_some_and(|gone| gone.is_valid(row) && gone.value(row));
                    if gone && replaced.is_null(row) {
                        terms.obsolete.extend(name.map(str::to_owned));
                    }
                }
            }
        }
        Ok(Some(terms))
    }

    /// Counts phenotypes whose terms are obsolete with nothing in their place, as [`fault`](Self::fault) meets them.
    pub(crate) fn obsolete_met(&self) -> Met {
        Arc::clone(&self.met)
    }

    /// Why an id cannot stand: HPO does not know it. Ids of other vocabularies are not judged; an id is of HPO when it
    /// begins with `HP` and `:` or `_`, in any case.
    pub(crate) fn fault(&self, id: &str) -> Option<String> {
        if self.all.contains(id) {
            if self.obsolete.contains(id) {
                self.met.fetch_add(1, Ordering::Relaxed);
            }
            return None;
        }
        let usual = format!("HP:{}", of_hpo(id)?);
        let mut all: Vec<&str> = self.all.iter().map(String::as_str).collect();
        all.sort_unstable();
        let near = self.all.get(&usual).map(String::as_str);
        let near = near.or_else(|| suggest(&usual, &all));
        let near = near.map(|near| format!("; did you mean \"{near}\"?"));
        Some(format!(
            "kb.hpo_terms knows no term \"{id}\"{}",
            near.unwrap_or_else(|| "; load the release of HPO that has it".to_owned())
        ))
    }
}

/// What stands behind `HP:` in an id that means HPO.
fn of_hpo(id: &str) -> Option<&str> {
    let id = id.trim();
    let is_hpo = matches!(id.as_bytes(), [b'H' | b'h', b'P' | b'p', b':' | b'_', ..]);
    Some(id.get(3..).filter(|_| is_hpo)?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_hpo_in_any_case() {
        let terms = KnownTerms {
            all: ["HP:0001250", "HP:0000057"].map(str::to_owned).into(),
            obsolete: ["HP:0000057".to_owned()].into(),
            met: Met::default(),
        };
        for (id, near) in [
            ("HP:0001250", None),
            ("HP:0000057", None),
            ("OMIM:1", None),
            ("HPO", None),
            ("hp:0001250", Some("HP:0001250")),
            ("HP_0001250", Some("HP:0001250")),
            (" HP:0001250", Some("HP:0001250")),
            ("Hp:00012500", Some("HP:0001250")),
        ] {
            let fault = terms.fault(id);
            assert_eq!(fault.is_some(), near.is_some(), "{id}");
            if let (Some(fault), Some(near)) = (fault, near) {
                let told = format!("no term \"{id}\"; did you mean \"{near}\"?");
                assert!(fault.contains(&told), "{fault}");
            }
        }
        let mut report = IngestReport::default();
        note_obsolete(&mut report, Some(&terms.obsolete_met()));
        assert_eq!(report.repairs, [("obsolete-term".to_owned(), 1)]);
    }
}
