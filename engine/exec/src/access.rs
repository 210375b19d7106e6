//! Who asks and what they may see. The scan applies it before any other operator sees a row.
//!
//! A session that may not see every sample gets counts over the samples it may see, and genotype cells, calls and
//! sample rows without the others. A site where no sample is visible keeps its row with zero counts: which positions
//! vary is a property of the call set, who carries them is not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genokura_storage::{COHORT_SCHEMA, CohortState};
use serde::{Deserialize, Serialize};

/// The columns of a dataset that name its samples. The raw lines of `headers` and `quarantine` do as well, for who may
/// read those.
const NAMING: [(&str, &str); 4] = [
    ("samples", "sample_id"),
    ("calls", "sample_id"),
    ("carriers", "sample_id"),
    ("variants", "gt"),
];

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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReadGrants {
    /// Every column of every table.
    #[default]
    All,
    /// What these grants together name, and nothing else.
    Only(#[serde(with = "shared")] Arc<Granted>),
}

/// Grants, and schemas whose use was given or taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Granted {
    /// What may be read.
    pub tables: BTreeSet<ReadGrant>,
    /// True: the schema exists though nothing in it may be read. False: nothing in it exists, whatever is granted. A
    /// schema that is not named exists as soon as one of its tables may be read.
    pub schemas: BTreeMap<String, bool>,
}

/// The right to read tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadGrant {
    /// The schema; `None`: every schema.
    pub schema: Option<String>,
    /// The table; `None`: every table of the schema.
    pub table: Option<String>,
    /// The columns; `None`: every column.
    pub columns: Option<BTreeSet<String>>,
    /// What was taken out of it again.
    pub except: BTreeSet<ReadExcept>,
    /// Given to everybody: it was not decided for this principal, so it vouches for no column.
    pub to_public: bool,
}

/// A part of a grant that it does not give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReadExcept {
    /// The schema; `None`: every schema.
    pub schema: Option<String>,
    /// The table; `None`: every table of the schema.
    pub table: Option<String>,
    /// The columns; `None`: every column.
    pub columns: Option<BTreeSet<String>>,
}

impl ReadExcept {
    fn is_on(&self, schema: &str, table: &str) -> bool {
        self.schema.as_deref().is_none_or(|name| name == schema)
            && self.table.as_deref().is_none_or(|name| name == table)
    }
}

impl ReadGrant {
    /// Whether it may give anything of a schema.
    fn reaches(&self, schema: &str) -> bool {
        let whole = |except: &ReadExcept| {
            except.schema.as_deref() == Some(schema)
                && except.table.is_none()
                && except.columns.is_none()
        };
        self.schema.as_deref().is_none_or(|name| name == schema) && !self.except.iter().any(whole)
    }

    /// What it gives of a table.
    fn gives(&self, schema: &str, table: &str) -> Option<Columns<'_>> {
        let is_on = self.schema.as_deref().is_none_or(|name| name == schema)
            && self.table.as_deref().is_none_or(|name| name == table);
        if !is_on {
            return None;
        }
        let mut taken: BTreeSet<&str> = BTreeSet::new();
        for except in self.except.iter().filter(|e| e.is_on(schema, table)) {
            taken.extend(except.columns.as_ref()?.iter().map(String::as_str));
        }
        match &self.columns {
            None if taken.is_empty() => Some(Columns::All),
            None => Some(Columns::AllBut(taken)),
            Some(columns) => {
                let columns = columns.iter().map(String::as_str);
                let left: BTreeSet<&str> = columns.filter(|c| !taken.contains(c)).collect();
                (!left.is_empty()).then_some(Columns::Only(left))
            }
        }
    }
}

/// The columns of one table that exist for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns<'a> {
    /// Every column.
    All,
    /// Every column but these.
    AllBut(BTreeSet<&'a str>),
    /// Only these.
    Only(BTreeSet<&'a str>),
}

impl<'a> Columns<'a> {
    /// True when the column exists for the session.
    pub fn contains(&self, column: &str) -> bool {
        match self {
            Columns::All => true,
            Columns::AllBut(names) => !names.contains(column),
            Columns::Only(names) => names.contains(column),
        }
    }

    /// The columns of either.
    fn or(self, other: Columns<'a>) -> Columns<'a> {
        match (self, other) {
            (Columns::All, _) | (_, Columns::All) => Columns::All,
            (Columns::Only(mut one), Columns::Only(two)) => {
                one.extend(two);
                Columns::Only(one)
            }
            (Columns::AllBut(out), other) | (other, Columns::AllBut(out)) => {
                let out: BTreeSet<&str> = out.into_iter().filter(|c| !other.contains(c)).collect();
                match out.is_empty() {
                    true => Columns::All,
                    false => Columns::AllBut(out),
                }
            }
        }
    }
}

/// A column that reads as NULL in one table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MaskedColumn {
    /// Schema: a dataset or a plain schema.
    pub schema: String,
    /// Table as SQL names it, such as `variants`.
    pub table: String,
    /// Column as SQL names it.
    pub column: String,
}

/// The samples a session may see.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

    /// True when the session is told what the samples of a dataset are called, those of them that it may see: it may
    /// read a column that names them, and the column is not masked. Whatever else tells of names asks this: hints,
    /// warnings, cohorts, functions that list samples, cells that refer to them.
    pub fn names_samples(&self, dataset: &str) -> bool {
        NAMING.iter().any(|(table, column)| {
            let readable = self.columns(dataset, table);
            readable.is_some_and(|columns| columns.contains(column))
                && !self.masked(dataset, table).any(|masked| masked == *column)
        })
    }

    /// The same context with only what these grants name.
    pub fn with_grants(mut self, grants: impl IntoIterator<Item = ReadGrant>) -> Self {
        let tables = grants.into_iter().collect();
        self.readable = ReadGrants::Only(Arc::new(Granted {
            tables,
            ..Granted::default()
        }));
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
                ..ReadGrant::default()
            })
            .collect();
        if own.is_empty() {
            return self;
        }
        let mut granted = Granted::clone(grants);
        granted.tables.extend(own);
        Self {
            readable: ReadGrants::Only(Arc::new(granted)),
            ..self
        }
    }

    /// The columns of a table that exist for the session; `None` when the table does not.
    pub fn columns(&self, schema: &str, table: &str) -> Option<Columns<'_>> {
        match self.closes(schema) {
            true => None,
            false => self.granted(schema, table),
        }
    }

    /// True when nothing of the schema exists for the session, whatever it was granted there.
    pub fn closes(&self, schema: &str) -> bool {
        match &self.readable {
            ReadGrants::All => false,
            ReadGrants::Only(granted) => granted.schemas.get(schema) == Some(&false),
        }
    }

    /// The columns of a table that grants name, whether its schema may be used or not.
    pub fn granted(&self, schema: &str, table: &str) -> Option<Columns<'_>> {
        let ReadGrants::Only(granted) = &self.readable else {
            return Some(Columns::All);
        };
        let given = granted.tables.iter().filter_map(|g| g.gives(schema, table));
        given.reduce(Columns::or)
    }

    /// True when names of the schema may be used: that was given, or goes with a right to read in it.
    pub fn uses(&self, schema: &str) -> bool {
        let ReadGrants::Only(granted) = &self.readable else {
            return true;
        };
        let said = granted.schemas.get(schema).copied();
        said.unwrap_or_else(|| self.reaches(schema))
    }

    /// True when grants name something of the schema, whether it may be used or not.
    pub fn reaches(&self, schema: &str) -> bool {
        match &self.readable {
            ReadGrants::All => true,
            ReadGrants::Only(granted) => granted.tables.iter().any(|grant| grant.reaches(schema)),
        }
    }

    /// True when the schema exists for the session though it may hold nothing that the session may read.
    pub fn was_given(&self, schema: &str) -> bool {
        match &self.readable {
            ReadGrants::All => false,
            ReadGrants::Only(granted) => granted.schemas.get(schema) == Some(&true),
        }
    }

    /// True when a grant names the column itself, not only its table. Where samples are hidden, such a grant vouches
    /// for a column that was computed by somebody else: it is shown although nobody knows whose genotypes went into it.
    /// What everybody was granted was not decided for whom samples are hidden from.
    pub fn vouches(&self, schema: &str, table: &str, column: &str) -> bool {
        let ReadGrants::Only(granted) = &self.readable else {
            return false;
        };
        let named = |grant: &ReadGrant| match grant.gives(schema, table) {
            Some(Columns::Only(names)) => names.contains(column),
            Some(Columns::All | Columns::AllBut(_)) | None => false,
        };
        let mut own = granted.tables.iter().filter(|grant| !grant.to_public);
        own.any(named)
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
    fn samples_are_named_to_who_may_read_a_column_that_names_them() {
        let grant = |table: &str, columns: &[&str]| ReadGrant {
            schema: Some("c".to_owned()),
            table: Some(table.to_owned()),
            columns: Some(columns.iter().map(|c| (*c).to_owned()).collect()),
            ..ReadGrant::default()
        };
        let with = |grants: &[ReadGrant]| AccessContext::default().with_grants(grants.to_vec());
        assert!(AccessContext::default().names_samples("c"));
        assert!(!with(&[]).names_samples("c"));
        assert!(!with(&[grant("variants", &["pos", "ac"])]).names_samples("c"));
        for (table, column) in NAMING {
            let named = with(&[grant(table, &["pos", column])]);
            assert!(named.names_samples("c") && !named.names_samples("d"));
            let masked = MaskedColumn {
                schema: "c".to_owned(),
                table: table.to_owned(),
                column: column.to_owned(),
            };
            assert!(!named.with_masked([masked]).names_samples("c"), "{table}");
        }
    }

    #[test]
    fn grants_add_up_and_what_they_do_not_name_is_absent() {
        let grant = |schema: Option<&str>, table: Option<&str>, columns: &[&str]| ReadGrant {
            schema: schema.map(str::to_owned),
            table: table.map(str::to_owned),
            columns: (!columns.is_empty())
                .then(|| columns.iter().map(|c| (*c).to_owned()).collect()),
            ..ReadGrant::default()
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

    #[test]
    fn what_was_taken_out_of_a_grant_is_absent_until_another_gives_it() {
        let names = |names: &[&str]| names.iter().map(|c| (*c).to_owned()).collect();
        let except = |table: &str, columns: &[&str]| ReadExcept {
            schema: Some("c".to_owned()),
            table: Some(table.to_owned()),
            columns: (!columns.is_empty()).then(|| names(columns)),
        };
        let wide = ReadGrant {
            schema: Some("c".to_owned()),
            except: [except("t", &["a", "b"]), except("u", &[])].into(),
            ..ReadGrant::default()
        };
        let access = AccessContext::default().with_grants([wide.clone()]);
        let t = access.columns("c", "t").expect("granted");
        assert!(!t.contains("a") && !t.contains("b") && t.contains("x"));
        assert_eq!(access.columns("c", "u"), None);
        assert_eq!(access.columns("c", "v"), Some(Columns::All));
        let back = |column: &str| ReadGrant {
            schema: Some("c".to_owned()),
            table: Some("t".to_owned()),
            columns: Some(names(&[column])),
            ..ReadGrant::default()
        };
        let one = access.clone().with_grants([wide.clone(), back("a")]);
        let t = one.columns("c", "t").expect("granted");
        assert!(t.contains("a") && !t.contains("b") && t.contains("x"));
        let both = access.with_grants([wide, back("a"), back("b")]);
        assert_eq!(both.columns("c", "t"), Some(Columns::All));
    }

    #[test]
    fn a_schema_is_used_by_who_reads_in_it_until_that_is_said() {
        let grant = ReadGrant {
            schema: Some("c".to_owned()),
            ..ReadGrant::default()
        };
        let with = |schemas: &[(&str, bool)]| AccessContext {
            readable: ReadGrants::Only(Arc::new(Granted {
                tables: [grant.clone()].into(),
                schemas: schemas
                    .iter()
                    .map(|(n, on)| ((*n).to_owned(), *on))
                    .collect(),
            })),
            ..AccessContext::default()
        };
        let implied = with(&[]);
        assert!(implied.uses("c") && !implied.uses("d") && !implied.was_given("c"));
        let closed = with(&[("c", false), ("d", true)]);
        assert!(!closed.uses("c") && closed.columns("c", "t").is_none());
        assert_eq!(closed.granted("c", "t"), Some(Columns::All));
        assert!(closed.uses("d") && closed.was_given("d") && closed.columns("d", "t").is_none());
    }
}
