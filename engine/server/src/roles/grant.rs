//! Grants: which tables and columns a grantee may read, and how GRANT and REVOKE change that.

use std::collections::BTreeSet;

use genokura_exec::access::{ReadExcept, ReadGrant};
use serde::{Deserialize, Serialize};

use super::names::{self, Quoted};

/// The right to read tables, in the form that the role file has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// `schema.table`, `schema.*` for every table of a schema, `*` for every table of the lake.
    pub on: Target,
    /// Only these columns; absent: every column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeSet<String>>,
    /// What was revoked of it: a grant that also holds for tables to come is narrowed, not taken apart.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub except: BTreeSet<Part>,
}

/// A part of a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which tables of it.
    pub on: Target,
    /// Only these columns; absent: every column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<BTreeSet<String>>,
}

impl Grant {
    /// The right to read a target, whole or some columns of it.
    #[must_use]
    pub fn new(on: Target, columns: Option<BTreeSet<String>>) -> Self {
        Self {
            on,
            columns,
            except: BTreeSet::new(),
        }
    }

    /// The grant without a part that lies in it; `columns` of None takes every column.
    fn without(mut self, part: Target, columns: Option<&BTreeSet<String>>) -> Self {
        let known = |p: &Part| p.on.covers(&part) && p.columns.is_none();
        if self.except.iter().any(known) {
            return self;
        }
        let mut columns = columns.cloned();
        match &mut columns {
            None => self.except.retain(|p| !part.covers(&p.on)),
            Some(all) => {
                let same = |p: &&Part| p.on == part;
                let before = self.except.iter().find(same).cloned();
                if let Some(before) = before {
                    self.except.remove(&before);
                    all.extend(before.columns.into_iter().flatten());
                }
            }
        }
        self.except.insert(Part { on: part, columns });
        self
    }

    /// What is left of the grant when a right is revoked.
    fn revoked(mut self, on: &Target, columns: Option<&BTreeSet<String>>) -> Option<Self> {
        if on.covers(&self.on) {
            let columns = columns?;
            let Some(mine) = &mut self.columns else {
                let whole = self.on.clone();
                return Some(self.without(whole, Some(columns)));
            };
            mine.retain(|column| !columns.contains(column));
            return (!mine.is_empty()).then_some(self);
        }
        match self.on.covers(on) {
            true => Some(self.without(on.clone(), columns)),
            false => Some(self),
        }
    }
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
            Target::Schema(schema) => write!(f, "{}.*", Quoted(schema)),
            Target::Table(schema, table) => write!(f, "{}.{}", Quoted(schema), Quoted(table)),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = GrantError;

    /// As a role file has it. One from before there were quotes has a table `v2.calls` of schema `lab` as
    /// `lab.v2.calls`.
    fn try_from(text: String) -> Result<Target, GrantError> {
        text.parse().or_else(|error| match text.split_once('.') {
            Some((schema, table)) if !schema.is_empty() && !table.is_empty() => {
                Ok(Target::Table(schema.to_owned(), table.to_owned()))
            }
            _ => Err(error),
        })
    }
}

impl std::str::FromStr for Target {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Target, GrantError> {
        use names::Part::{Every, Name};
        let mut parts = names::parts(text).into_iter().flatten();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(Every), None, None) => Ok(Target::Lake),
            (Some(Name(schema)), Some(Every), None) => Ok(Target::Schema(schema)),
            (Some(Name(schema)), Some(Name(table)), None) => Ok(Target::Table(schema, table)),
            _ => Err(GrantError::Target(text.to_owned())),
        }
    }
}

/// Why a grant cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Not the name of tables.
    #[error(
        "\"{0}\" names no table: write schema.table, schema.* or *, and a name that holds a dot in double quotes, as in \
         '\"lab.v2\".*'"
    )]
    Target(String),
    /// Not the name of a column.
    #[error(
        "\"{0}\" must read schema.table.column, a name that holds a dot in double quotes, as in '\"lab.v2\".variants.gt'"
    )]
    Column(String),
}

/// Adds a right; one that is there already is not added twice.
pub fn grant(grants: &mut BTreeSet<Grant>, on: Target, columns: Option<BTreeSet<String>>) {
    let Some(mut all) = columns else {
        // Every column: lists of columns of the same target say nothing any more, except which columns were vouched
        // for, and that is asked of table-wide grants too (see `vouches`). What was revoked is given again.
        grants.retain(|grant| grant.on != on || grant.columns.is_some());
        grants.insert(Grant::new(on, None));
        return;
    };
    let same = |g: &&Grant| g.on == on && g.except.is_empty() && g.columns.is_some();
    let known = grants.iter().find(same).cloned();
    if let Some(known) = known {
        grants.remove(&known);
        all.extend(known.columns.into_iter().flatten());
    }
    grants.insert(Grant::new(on, Some(all)));
}

/// Takes a right away; `columns` of None takes all of it. It is gone afterwards, whichever grant it came from:
/// PostgreSQL leaves columns of a table that was granted whole, but a REVOKE that changes nothing must not look done.
pub fn revoke(grants: &mut BTreeSet<Grant>, on: &Target, columns: Option<&BTreeSet<String>>) {
    let all = std::mem::take(grants).into_iter();
    *grants = all.filter_map(|grant| grant.revoked(on, columns)).collect();
}

/// The grant as scans ask for it.
pub(crate) fn to_read(grant: &Grant, to_public: bool) -> ReadGrant {
    let (schema, table) = match &grant.on {
        Target::Lake => (None, None),
        Target::Schema(schema) => (Some(schema.clone()), None),
        Target::Table(schema, table) => (Some(schema.clone()), Some(table.clone())),
    };
    ReadGrant {
        schema,
        table,
        columns: grant.columns.clone(),
        except: grant.except.iter().map(to_except).collect(),
        to_public,
    }
}

fn to_except(part: &Part) -> ReadExcept {
    let (schema, table) = match &part.on {
        Target::Lake => (None, None),
        Target::Schema(schema) => (Some(schema.clone()), None),
        Target::Table(schema, table) => (Some(schema.clone()), Some(table.clone())),
    };
    ReadExcept {
        schema,
        table,
        columns: part.columns.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn on(target: &str, columns: &[&str]) -> Grant {
        Grant::new(target.parse().unwrap(), names(columns))
    }

    fn names(columns: &[&str]) -> Option<BTreeSet<String>> {
        let columns = columns.iter().map(|c| (*c).to_owned()).collect();
        Some(columns).filter(|c: &BTreeSet<_>| !c.is_empty())
    }

    fn of(grants: &[Grant]) -> BTreeSet<Grant> {
        grants.iter().cloned().collect()
    }

    fn give(grants: &mut BTreeSet<Grant>, target: &str, columns: &[&str]) {
        grant(grants, target.parse().unwrap(), names(columns));
    }

    fn take(grants: &mut BTreeSet<Grant>, target: &str, columns: &[&str]) {
        let columns = names(columns);
        revoke(grants, &target.parse().unwrap(), columns.as_ref());
    }

    fn without(target: &str, parts: &[(&str, &[&str])]) -> Grant {
        let part = |(on, columns): &(&str, &[&str])| Part {
            on: on.parse().unwrap(),
            columns: names(columns),
        };
        Grant {
            except: parts.iter().map(part).collect(),
            ..on(target, &[])
        }
    }

    #[test]
    fn columns_of_one_table_add_up() {
        let mut grants = BTreeSet::new();
        give(&mut grants, "c.t", &["a"]);
        give(&mut grants, "c.t", &["b"]);
        assert_eq!(grants, of(&[on("c.t", &["a", "b"])]));
    }

    #[test]
    fn what_is_revoked_is_gone() {
        let mut grants = of(&[on("c.t", &["a", "b"]), on("c.u", &[]), on("d.*", &[])]);
        take(&mut grants, "c.t", &["a"]);
        assert_eq!(
            grants,
            of(&[on("c.t", &["b"]), on("c.u", &[]), on("d.*", &[])])
        );
        take(&mut grants, "c.*", &[]);
        assert_eq!(grants, of(&[on("d.*", &[])]));
    }

    #[test]
    fn what_is_revoked_of_a_wider_grant_is_gone_until_it_is_given_again() {
        let mut grants = of(&[on("*", &[]), on("c.*", &[]), on("c.t", &[])]);
        take(&mut grants, "c.t", &["a"]);
        take(&mut grants, "c.t", &["b"]);
        take(&mut grants, "c.u", &[]);
        take(&mut grants, "c.u", &["a"]);
        let parts: &[(&str, &[&str])] = &[("c.t", &["a", "b"]), ("c.u", &[])];
        let expected = of(&[
            without("*", parts),
            without("c.*", parts),
            without("c.t", &parts[..1]),
        ]);
        assert_eq!(grants, expected);
        take(&mut grants, "c.*", &[]);
        assert_eq!(grants, of(&[without("*", &[("c.*", &[])])]));
        give(&mut grants, "*", &[]);
        assert_eq!(grants, of(&[on("*", &[])]));
    }

    #[test]
    fn columns_that_are_given_again_are_there() {
        let mut grants = of(&[on("c.*", &["a", "b"])]);
        take(&mut grants, "c.t", &["a"]);
        give(&mut grants, "c.*", &["a"]);
        assert!(grants.contains(&on("c.*", &["a"])) && grants.len() == 2);
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
