//! Who asks and what they may see. The scan applies it before any other operator sees a row.
//!
//! A session that may not see every sample gets counts over the samples it may see, and genotype cells, calls and
//! sample rows without the others. A site where no sample is visible keeps its row with zero counts: which positions
//! vary is a property of the call set, who carries them is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The access context of a session. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessContext {
    /// The name under which the session acts; for plans and audit.
    pub principal: String,
    /// The samples whose genotypes and counts the session may see.
    pub visible: SampleVisibility,
    /// Columns that read as NULL.
    #[serde(with = "shared")]
    pub masked_columns: Arc<BTreeSet<MaskedColumn>>,
}

/// A column that reads as NULL in one table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MaskedColumn {
    /// Schema: a dataset or a plain schema.
    pub schema: String,
    /// Table as SQL names it, such as `variants`.
    pub table: String,
    /// Column as SQL names it.
    pub column: String,
}

/// The samples a session may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SampleVisibility {
    /// Every sample of every dataset.
    All,
    /// Per dataset the visible sample names. A dataset that is not named shows none.
    Only(#[serde(with = "shared")] Arc<BTreeMap<String, BTreeSet<String>>>),
}

/// What stands behind an `Arc`, serialised as itself.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        T::serialize(value, serializer)
    }

    pub(super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(deserializer).map(Arc::new)
    }
}

impl AccessContext {
    /// A context that sees everything, for the lake's owner.
    pub fn all(principal: impl Into<String>) -> Self {
        Self {
            principal: principal.into(),
            visible: SampleVisibility::All,
            masked_columns: Arc::default(),
        }
    }

    /// A context that sees only the named samples of each dataset.
    pub fn only(
        principal: impl Into<String>,
        samples: impl IntoIterator<Item = (String, BTreeSet<String>)>,
    ) -> Self {
        Self {
            visible: SampleVisibility::Only(Arc::new(samples.into_iter().collect())),
            ..Self::all(principal)
        }
    }

    /// The same context with some columns read as NULL.
    pub fn with_masked(mut self, columns: impl IntoIterator<Item = MaskedColumn>) -> Self {
        self.masked_columns = Arc::new(columns.into_iter().collect());
        self
    }

    /// True when no sample of any dataset is hidden.
    pub fn sees_all_samples(&self) -> bool {
        self.visible == SampleVisibility::All
    }

    /// True when the session may see this sample of this dataset.
    pub fn sees(&self, dataset: &str, sample: &str) -> bool {
        match &self.visible {
            SampleVisibility::All => true,
            SampleVisibility::Only(sets) => {
                sets.get(dataset).is_some_and(|set| set.contains(sample))
            }
        }
    }

    /// The columns of a table that read as NULL.
    pub fn masked<'a>(
        &'a self,
        schema: &'a str,
        table: &'a str,
    ) -> impl Iterator<Item = &'a str> + 'a {
        self.masked_columns
            .iter()
            .filter(move |m| m.schema == schema && m.table == table)
            .map(|m| m.column.as_str())
    }
}

impl Default for AccessContext {
    /// The owner: sees everything.
    fn default() -> Self {
        Self::all("owner")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_that_is_not_named_shows_no_sample() {
        let access = AccessContext::only(
            "reader",
            [("cohort".to_owned(), BTreeSet::from(["S1".to_owned()]))],
        );
        assert!(access.sees("cohort", "S1"));
        assert!(!access.sees("cohort", "S2"));
        assert!(!access.sees("other", "S1"));
        assert!(!access.sees_all_samples());
        assert!(AccessContext::default().sees("other", "S1"));
    }
}
