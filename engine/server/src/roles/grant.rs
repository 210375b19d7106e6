//! Grants: which tables and columns a role may read, and how GRANT and REVOKE change that.

use std::collections::BTreeSet;

use genokura_exec::access::ReadGrant;
use serde::{Deserialize, Serialize};

/// The right to read tables, in the form that the role file has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `schema.table`, `schema.*` for every table of a schema, `*` for every table of the lake.
    pub on: Target,
    /// Only these columns; absent: every column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeSet<String>>,
}

/// What a grant is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// Every table of the lake, also of schemas to come.
    Lake,
    /// Every table of a schema, also those to come.
    Schema(String),
    /// One table.
    Table(String, String),
}

impl Target {
    /// The schema, when it is about one.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        match self {
            Target::Lake => None,
            Target::Schema(schema) | Target::Table(schema, _) => Some(schema),
        }
    }

    /// Whether everything that `other` is on lies in this one.
    fn covers(&self, other: &Target) -> bool {
        match (self, other) {
            (Target::Lake, _) => true,
            (Target::Schema(mine), Target::Schema(theirs) | Target::Table(theirs, _)) => {
                mine == theirs
            }
            (Target::Table(..), _) => self == other,
            (Target::Schema(_), Target::Lake) => false,
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        target.to_string()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Lake => f.write_str("*"),
            Target::Schema(schema) => write!(f, "{schema}.*"),
            Target::Table(schema, table) => write!(f, "{schema}.{table}"),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = GrantError;

    fn try_from(text: String) -> Result<Target, GrantError> {
        text.parse()
    }
}

impl std::str::FromStr for Target {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Target, GrantError> {
        match text.split_once('.') {
            None if text == "*" => Ok(Target::Lake),
            Some((schema, "*")) if !schema.is_empty() => Ok(Target::Schema(schema.to_owned())),
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {
                Ok(Target::Table(schema.to_owned(), table.to_owned()))
            }
            _ => Err(GrantError::Target(text.to_owned())),
        }
    }
}

/// Why a grant cannot be read or changed so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Not the name of tables.
    #[error("\"{0}\" names no table: write schema.table, schema.* or *")]
    Target(String),
    /// A wider grant would leave the right in place.
    #[error(
        "the right on {narrow} comes from a grant on {wide}: revoke that, then grant what is to stay"
    )]
    Wider {
        /// What was to be revoked.
        narrow: String,
        /// The grant it comes from.
        wide: String,
    },
}

/// Adds a right; one that is there already is not added twice.
pub fn grant(grants: &mut BTreeSet<Grant>, new: Grant) {
    let Some(columns) = new.columns else {
        // Every column: lists of columns of the same target say nothing any more, except which columns
        // were vouched for, and that is asked of table-wide grants too (see `vouched`).
        grants.insert(new);
        return;
    };
    let same = |g: &&Grant| g.on == new.on && g.columns.is_some();
    let known = grants.iter().find(same).cloned();
    let mut all = columns;
    if let Some(known) = known {
        grants.remove(&known);
        all.extend(known.columns.into_iter().flatten());
    }
    grants.insert(Grant {
        on: new.on,
        columns: Some(all),
    });
}

/// Takes a right away; `columns` of None takes all of it.
///
/// # Errors
/// [`GrantError::Wider`] when a wider grant would still give it: a REVOKE that changes nothing must not look done.
pub fn revoke(
    grants: &mut BTreeSet<Grant>,
    on: &Target,
    columns: Option<&BTreeSet<String>>,
) -> Result<(), GrantError> {
    let wider = |g: &&Grant| {
        let target_is_wider = g.on != *on && g.on.covers(on);
        let columns_are_wider = g.on == *on && columns.is_some() && g.columns.is_none();
        target_is_wider || columns_are_wider
    };
    if let Some(wide) = grants.iter().find(wider) {
        return Err(GrantError::Wider {
            narrow: on.to_string(),
            wide: wide.on.to_string(),
        });
    }
    let left = std::mem::take(grants).into_iter().filter_map(|grant| {
        if !on.covers(&grant.on) {
            return Some(grant);
        }
        let columns = columns?;
        let kept: BTreeSet<String> = grant.columns?.difference(columns).cloned().collect();
        (!kept.is_empty()).then_some(Grant {
            on: grant.on,
            columns: Some(kept),
        })
    });
    *grants = left.collect();
    Ok(())
}

/// The grant as scans ask for it.
pub(crate) fn to_read(grant: &Grant) -> ReadGrant {
    let (schema, table) = match &grant.on {
        Target::Lake => (None, None),
        Target::Schema(schema) => (Some(schema.clone()), None),
        Target::Table(schema, table) => (Some(schema.clone()), Some(table.clone())),
    };
    ReadGrant {
        schema,
        table,
        columns: grant.columns.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn on(target: &str, columns: &[&str]) -> Grant {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        Grant {
            on: target.parse().unwrap(),
            columns: Some(columns).filter(|c: &BTreeSet<_>| !c.is_empty()),
        }
    }

    fn of(grants: &[Grant]) -> BTreeSet<Grant> {
        grants.iter().cloned().collect()
    }

    #[test]
    fn columns_of_one_table_add_up() {
        let mut grants = BTreeSet::new();
        grant(&mut grants, on("c.t", &["a"]));
        grant(&mut grants, on("c.t", &["b"]));
        assert_eq!(grants, of(&[on("c.t", &["a", "b"])]));
    }

    #[test]
    fn what_is_revoked_is_gone_or_the_revoke_fails() {
        let (table, schema): (Target, Target) = ("c.t".parse().unwrap(), "c.*".parse().unwrap());
        let a = BTreeSet::from(["a".to_owned()]);
        let mut grants = of(&[on("c.t", &["a", "b"]), on("c.u", &[]), on("d.*", &[])]);
        revoke(&mut grants, &table, Some(&a)).unwrap();
        assert_eq!(
            grants,
            of(&[on("c.t", &["b"]), on("c.u", &[]), on("d.*", &[])])
        );
        revoke(&mut grants, &schema, None).unwrap();
        assert_eq!(grants, of(&[on("d.*", &[])]));

        let mut wide = of(&[on("c.*", &[])]);
        assert!(revoke(&mut wide, &table, None).is_err());
        let mut whole = of(&[on("c.t", &[])]);
        assert!(revoke(&mut whole, &table, Some(&a)).is_err());
        assert_eq!(whole.len(), 1);
    }

    #[test]
    fn targets_are_read_and_printed_alike() {
        for text in ["*", "c.*", "c.t"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["", "t", ".t", "c."] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
