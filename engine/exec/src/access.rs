//! Who asks and what they may see. The scan applies it before any other operator sees a row.
//!
//! A session that may not see every sample gets counts over the samples it may see, and genotype cells, calls and
//! sample rows without the others. A site where no sample is visible keeps its row with zero counts: which positions
//! vary is a property of the call set, who carries them is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genokura_storage::{COHORT_SCHEMA, CohortState};
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
    /// The tables and columns that exist for the session.
    pub readable: ReadGrants,
}

/// The tables and columns that exist for a session. What is not granted is absent from the catalog, so that no
/// name, no plan and no function can tell it from what was never there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadGrants {
    /// Every column of every table.
    #[default]
    All,
    /// What these grants together name, and nothing else.
    Only(#[serde(with = "shared")] Arc<BTreeSet<ReadGrant>>),
}

/// The right to read tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReadGrant {
    /// The schema; `None`: every schema.
    pub schema: Option<String>,
    /// The table; `None`: every table of the schema.
    pub table: Option<String>,
    /// The columns; `None`: every column.
    pub columns: Option<BTreeSet<String>>,
}

impl ReadGrant {
    fn is_on(&self, schema: &str, table: &str) -> bool {
        self.schema.as_deref().is_none_or(|name| name == schema)
            && self.table.as_deref().is_none_or(|name| name == table)
    }
}

/// The columns of one table that exist for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns<'a> {
    /// Every column.
    All,
    /// Only these.
    Only(BTreeSet<&'a str>),
}

impl Columns<'_> {
    /// True when the column exists for the session.
    pub fn contains(&self, column: &str) -> bool {
        match self {
            Columns::All => true,
            Columns::Only(names) => names.contains(column),
        }
    }
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
            readable: ReadGrants::All,
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

    /// The same context with only what these grants name.
    pub fn with_grants(mut self, grants: impl IntoIterator<Item = ReadGrant>) -> Self {
        self.readable = ReadGrants::Only(Arc::new(grants.into_iter().collect()));
        self
    }

    /// The same context with the right to read its own among these cohorts.
    pub fn owning<'a>(self, cohorts: impl Iterator<Item = (&'a str, &'a CohortState)>) -> Self {
        let ReadGrants::Only(grants) = &self.readable else {
            return self;
        };
        let own = cohorts.filter(|(_, state)| state.owner == self.principal);
        let own: Vec<ReadGrant> = own
            .map(|(name, _)| ReadGrant {
                schema: Some(COHORT_SCHEMA.to_owned()),
                table: Some(name.to_owned()),
                columns: None,
            })
            .collect();
        if own.is_empty() {
            return self;
        }
        let all = grants.iter().cloned().chain(own).collect::<Vec<_>>();
        self.with_grants(all)
    }

    /// The columns of a table that exist for the session; `None` when the table does not.
    pub fn columns(&self, schema: &str, table: &str) -> Option<Columns<'_>> {
        let ReadGrants::Only(grants) = &self.readable else {
            return Some(Columns::All);
        };
        let mut found = None;
        for grant in grants.iter().filter(|g| g.is_on(schema, table)) {
            let Some(columns) = &grant.columns else {
                return Some(Columns::All);
            };
            let names: &mut BTreeSet<&str> = found.get_or_insert_default();
            names.extend(columns.iter().map(String::as_str));
        }
        found.map(Columns::Only)
    }

    /// True when a grant names the column itself, not only its table. Where samples are hidden, such a grant vouches
    /// for a column that was computed by somebody else: it is shown although nobody knows whose genotypes went into it.
    pub fn vouches(&self, schema: &str, table: &str, column: &str) -> bool {
        let ReadGrants::Only(grants) = &self.readable else {
            return false;
        };
        grants.iter().any(|grant| {
            grant.is_on(schema, table) && grant.columns.as_ref().is_some_and(|c| c.contains(column))
        })
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
    #![allow(clippy::expect_used)]
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

    #[test]
    fn grants_add_up_and_what_they_do_not_name_is_absent() {
        let grant = |schema: Option<&str>, table: Option<&str>, columns: &[&str]| ReadGrant {
            schema: schema.map(str::to_owned),
            table: table.map(str::to_owned),
            columns: (!columns.is_empty())
                .then(|| columns.iter().map(|c| (*c).to_owned()).collect()),
        };
        let access = AccessContext::default().with_grants([
            grant(Some("c"), Some("t"), &["a"]),
            grant(Some("c"), None, &["b"]),
            grant(Some("k"), None, &[]),
        ]);
        let both = access.columns("c", "t").expect("granted");
        assert!(both.contains("a") && both.contains("b") && !both.contains("x"));
        assert!(!access.columns("c", "u").expect("granted").contains("a"));
        assert_eq!(access.columns("k", "any"), Some(Columns::All));
        assert_eq!(access.columns("z", "t"), None);
        assert!(access.vouches("c", "t", "a") && !access.vouches("k", "any", "a"));
        let none = AccessContext::default().with_grants([]);
        assert_eq!(none.columns("c", "t"), None);
    }
}
