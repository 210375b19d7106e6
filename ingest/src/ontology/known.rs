//! The ids of HPO that a lake knows: what phenotypes are looked up in while they are loaded.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::AsArray as _;
use arrow::datatypes::Schema;
use futures::TryStreamExt as _;
use genokura_core::contig::suggest;
use genokura_storage::{FileReader, Lake, ReadPlan, TableId};

use crate::error::Result;
use crate::progress::CancelFlag;

/// The column of phenotypes in every table that has them.
pub(crate) const HPO_COLUMN: &str = "hpo_id";

/// Ids of terms, alternative ones too.
#[derive(Debug)]
pub(crate) struct KnownTerms(HashSet<String>);

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
        let (Ok(term), Ok(others)) = (
            table.schema.field_with_name("term"),
            table.schema.field_with_name("alt_ids"),
        ) else {
            return Ok(None);
        };
        let schema = Arc::new(Schema::new(vec![term.clone(), others.clone()]));
        let mut terms = HashSet::new();
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
                terms.extend(all.map(str::to_owned));
            }
        }
        Ok(Some(Self(terms)))
    }

    /// Why an id cannot stand: HPO does not know it. Ids of other vocabularies are not judged.
    pub(crate) fn fault(&self, id: &str) -> Option<String> {
        if !id.starts_with("HP:") || self.0.contains(id) {
            return None;
        }
        let mut all: Vec<&str> = self.0.iter().map(String::as_str).collect();
        all.sort_unstable();
        let near = suggest(id, &all).map(|near| format!("; did you mean \"{near}\"?"));
        Some(format!(
            "kb.hpo_terms knows no term \"{id}\"{}",
            near.unwrap_or_else(|| "; load the release of HPO that has it".to_owned())
        ))
    }
}
