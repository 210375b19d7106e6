//! One role, and what every role may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use genokura_exec::access::{
    AccessContext, Granted, MaskedColumn, ReadGrant, ReadGrants, SampleVisibility,
};
use genokura_storage::COHORT_SCHEMA;
use serde::{Deserialize, Serialize};

use super::names::{self, Quoted};
use super::{Grant, GrantError, ScramKeys, grant};
use crate::sqlstate::ServerError;

/// The longest name of a role, as PostgreSQL's.
const NAME_BYTES_MAX: usize = 63;

/// One role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// The user name that clients connect with.
    pub name: String,
    /// What tells this role from another that had its name before it; absent in files that were written by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// May read everything, give and take rights, and see and stop the sessions of others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// The stored keys; absent: no password opens this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<ScramKeys>,
    /// The common name of the client certificate that the role must show. With a password, both are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Tables and columns that the role may read.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub grants: BTreeSet<Grant>,
    /// Columns that read as NULL.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub masks: BTreeSet<Mask>,
    /// Per dataset the samples that the role may see; a dataset that is not named shows none. Absent: all samples of
    /// every granted table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Schemas whose use was given (true) or taken away (false): USAGE ON SCHEMA. Of the others, those are used in
    /// which something may be read.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, bool>,
    /// May keep cohorts in the lake: CREATE ON SCHEMA public.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cohorts: bool,
    /// What the role may take.
    #[serde(skip_serializing_if = "RoleLimits::is_none")]
    pub limits: RoleLimits,
}

/// What every role may do, also those to come: GRANT … TO PUBLIC. It widens what exists for a role, never which samples
/// the role sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Public {
    /// As [`Role::grants`].
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub grants: BTreeSet<Grant>,
    /// As [`Role::usage`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub usage: BTreeMap<String, bool>,
    /// As [`Role::cohorts`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cohorts: bool,
}

impl Public {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What was given to everybody, apart from what anybody has beside it.
    #[must_use]
    pub fn access(&self) -> AccessContext {
        let own = of_grantee(&self.grants, self.cohorts, true);
        let mut schemas = self.usage.clone();
        // As in PostgreSQL, everybody uses the schema public until that is taken away.
        schemas.entry(COHORT_SCHEMA.to_owned()).or_insert(true);
        with_granted(PUBLIC, own, schemas)
    }
}

/// The rights of a grantee, to be changed.
#[derive(Debug)]
pub struct Rights<'a> {
    /// [`Role::grants`].
    pub grants: &'a mut BTreeSet<Grant>,
    /// [`Role::usage`].
    pub usage: &'a mut BTreeMap<String, bool>,
    /// [`Role::cohorts`].
    pub cohorts: &'a mut bool,
}

/// What a role may take; absent: as much as the server itself may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleLimits {
    /// Connections at once; one more is told 53300.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// Bytes of memory of one statement; beyond it sorts and joins spill, and what cannot is told 53200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<usize>,
    /// Bytes of spill files of one statement; beyond it 53400. 0: no statement spills.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spill_bytes: Option<u64>,
    /// Longest run of a statement in milliseconds, which SET cannot exceed; beyond it 57014.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement_timeout_ms: Option<u64>,
    /// Rows that one statement may return; beyond it 54000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl RoleLimits {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The shorter of a timeout and the role's.
    #[must_use]
    pub fn timeout(&self, asked: Option<Duration>) -> Option<Duration> {
        let most = self.statement_timeout_ms.map(Duration::from_millis);
        [asked, most].into_iter().flatten().min()
    }

    /// 54000: a result that is longer than the role may have.
    pub(crate) fn too_many_rows(&self, most: u64) -> ServerError {
        let text = format!("the result has more than {most} rows, the limit of this role");
        ServerError::new("54000", text).hint("Ask for fewer rows: filter, count or LIMIT.")
    }

    /// An error of spilling in the role's terms: 53400.
    pub(crate) fn of_spilling(&self, error: ServerError) -> ServerError {
        match self.spill_bytes {
            Some(most) if error.code() == "53100" => {
                let text = format!(
                    "the statement needs more than {most} bytes of spill files, the limit of this role"
                );
                ServerError::new("53400", text)
                    .hint("Select fewer columns, samples or a smaller region.")
            }
            _ => error,
        }
    }
}

impl Role {
    /// What this role may see, as scans ask for it: what it was given and what everybody was.
    #[must_use]
    pub fn access(&self, public: &Public) -> AccessContext {
        if self.admin {
            return AccessContext::all(&self.name);
        }
        let (own, everybody) = (self.granted(), public.access());
        let mut tables = of_grantee(&self.grants, self.cohorts, false);
        tables.extend(of_grantee(&public.grants, public.cohorts, true));
        let mut schemas = BTreeMap::new();
        let said = self.usage.keys().chain(public.usage.keys());
        for schema in said.map(String::as_str).chain([COHORT_SCHEMA]) {
            if own.was_given(schema) || everybody.was_given(schema) {
                schemas.insert(schema.to_owned(), true);
            } else if !own.uses(schema) && !everybody.uses(schema) {
                schemas.insert(schema.to_owned(), false);
            }
        }
        let access = with_granted(&self.name, tables, schemas);
        let access = access.with_masked(self.masks.iter().map(|mask| mask.0.clone()));
        match &self.samples {
            None => access,
            Some(samples) => AccessContext {
                visible: SampleVisibility::Only(Arc::new(samples.clone())),
                ..access
            },
        }
    }

    /// What was given to this role itself.
    #[must_use]
    pub fn granted(&self) -> AccessContext {
        let tables = of_grantee(&self.grants, self.cohorts, false);
        with_granted(&self.name, tables, self.usage.clone())
    }

    pub(super) fn check(&self) -> anyhow::Result<()> {
        check_name(&self.name)
    }
}

/// The name of everybody in GRANT and REVOKE, which no role has.
pub const PUBLIC: &str = "public";

fn with_granted(
    name: &str,
    tables: BTreeSet<ReadGrant>,
    schemas: BTreeMap<String, bool>,
) -> AccessContext {
    AccessContext {
        readable: ReadGrants::Only(Arc::new(Granted { tables, schemas })),
        ..AccessContext::all(name)
    }
}

/// Who may keep cohorts may read the list of them.
fn of_grantee(grants: &BTreeSet<Grant>, cohorts: bool, to_public: bool) -> BTreeSet<ReadGrant> {
    let list = cohorts.then(|| ReadGrant {
        schema: Some("genokura".to_owned()),
        table: Some("cohorts".to_owned()),
        to_public,
        ..ReadGrant::default()
    });
    let given = grants.iter().map(|given| grant::to_read(given, to_public));
    given.chain(list).collect()
}

/// A column that reads as NULL, in the form that the role file has: `schema.table.column`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mask(MaskedColumn);

impl From<MaskedColumn> for Mask {
    fn from(column: MaskedColumn) -> Self {
        Self(column)
    }
}

impl From<Mask> for String {
    fn from(mask: Mask) -> String {
        mask.to_string()
    }
}

impl std::fmt::Display for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let MaskedColumn {
            schema,
            table,
            column,
        } = &self.0;
        let (schema, table, column) = (Quoted(schema), Quoted(table), Quoted(column));
        write!(f, "{schema}.{table}.{column}")
    }
}

impl TryFrom<String> for Mask {
    type Error = GrantError;

    /// As a role file has it, also one from before there were quotes.
    fn try_from(text: String) -> Result<Mask, GrantError> {
        text.parse().or_else(|error| {
            let mut parts = text.split('.').filter(|part| !part.is_empty());
            match (parts.next(), parts.next(), parts.next()) {
                (Some(schema), Some(table), Some(column)) if text.matches('.').count() == 2 => {
                    Ok(Mask(MaskedColumn {
                        schema: schema.to_owned(),
                        table: table.to_owned(),
                        column: column.to_owned(),
                    }))
                }
                _ => Err(error),
            }
        })
    }
}

impl std::str::FromStr for Mask {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Mask, GrantError> {
        use names::Part::Name;
        let mut parts = names::parts(text).into_iter().flatten();
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Name(schema)), Some(Name(table)), Some(Name(column)), None) => {
                Ok(Mask(MaskedColumn {
                    schema,
                    table,
                    column,
                }))
            }
            _ => Err(GrantError::Column(text.to_owned())),
        }
    }
}

/// # Errors
/// When no client could connect with this name.
pub fn check_name(name: &str) -> anyhow::Result<()> {
    ensure!(
        !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('\0'),
        "a role's name has 1 to {NAME_BYTES_MAX} bytes"
    );
    ensure!(
        !name.starts_with("pg_") && ![PUBLIC, "none", "default"].contains(&name),
        "the name \"{name}\" is reserved, as in PostgreSQL"
    );
    Ok(())
}

/// What the server calls the owner of everything in its catalogs.
const OWNER: &str = "genokura";

/// As [`check_name`], for a role that is made now: its name must not be that of the owner of everything, whom catalogs
/// and lists of privileges name.
///
/// # Errors
/// As [`check_name`].
pub fn check_new_name(name: &str) -> anyhow::Result<()> {
    check_name(name)?;
    ensure!(
        name != OWNER,
        "the name \"{name}\" is reserved: catalogs call the owner of the lake so"
    );
    Ok(())
}
