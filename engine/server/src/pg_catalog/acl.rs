//! Privileges as PostgreSQL's catalog tells them: lists of `grantee=rights/grantor`, their parts, and who has what.
//!
//! A list tells what was granted to each grantee itself, everybody (PUBLIC) being one of them; what a role may do is what
//! both together give. A session is told of itself, the owner and PUBLIC, and an admin's of all roles.

use genokura_exec::AccessContext;
use genokura_exec::access::Columns;

use super::error::{CatalogError, Result};
use super::model::{CatalogModel, Column, Namespace, Relation, is_temporary};
use super::value::Value;
use crate::pg_types::oid;

/// Letters of rights and their names, in PostgreSQL's order.
const RIGHTS: [(char, &str); 14] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('c', "CONNECT"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];

/// Who was granted something, and what.
pub(super) struct Grantee<'m> {
    /// The name of a role; None: everybody.
    pub name: Option<&'m str>,
    granted: &'m AccessContext,
    cohorts: bool,
}

impl Grantee<'_> {
    fn columns(&self, relation: &Relation) -> Option<Columns<'_>> {
        self.granted.granted(&relation.schema, &relation.name)
    }

    /// Whether the whole relation was granted.
    pub(super) fn reads_all(&self, relation: &Relation) -> bool {
        self.columns(relation) == Some(Columns::All)
    }

    pub(super) fn reads(&self, relation: &Relation, column: &Column) -> bool {
        let columns = self.columns(relation);
        columns.is_some_and(|columns| columns.contains(&column.name))
    }
}

/// Everybody, and the roles that something can be granted to: an admin may do all without.
pub(super) fn grantees(model: &CatalogModel) -> impl Iterator<Item = Grantee<'_>> {
    let everybody = Grantee {
        name: None,
        granted: &model.public.granted,
        cohorts: model.public.cohorts,
    };
    let roles = model.roles.iter().filter_map(|role| {
        Some(Grantee {
            name: Some(&role.name),
            granted: &role.rights.as_ref()?.granted,
            cohorts: role.rights.as_ref()?.cohorts,
        })
    });
    std::iter::once(everybody).chain(roles)
}

/// The name of the owner of what nobody made.
pub(super) fn owner(model: &CatalogModel) -> &str {
    model.roles.first().map_or("", |role| role.name.as_str())
}

/// Whose a relation is: what is temporary is the session's own.
pub(super) fn owner_of<'m>(model: &'m CatalogModel, relation: &Relation) -> &'m str {
    match is_temporary(&relation.schema) {
        true => model.roles.get(1).map_or(owner(model), |own| &own.name),
        false => owner(model),
    }
}

/// `pg_class.relacl`; NULL until something is granted.
pub(super) fn of_relation(model: &CatalogModel, relation: &Relation) -> Value {
    if relation.system {
        return list(model, "r", [(None, "r".to_owned())]);
    }
    let granted = grantees(model)
        .filter(|grantee| grantee.reads_all(relation))
        .map(|grantee| (grantee.name, "r".to_owned()));
    list(model, "r", granted)
}

/// `pg_attribute.attacl`: what was granted of single columns.
pub(super) fn of_column(model: &CatalogModel, relation: &Relation, column: &Column) -> Value {
    let granted = grantees(model)
        .filter(|grantee| !grantee.reads_all(relation) && grantee.reads(relation, column))
        .map(|grantee| (grantee.name, "r".to_owned()));
    list(model, "", granted)
}

/// `pg_namespace.nspacl`.
pub(super) fn of_schema(model: &CatalogModel, schema: &Namespace) -> Value {
    let public = schema.name == genokura_storage::COHORT_SCHEMA;
    let own = if public { "UC" } else { "U" };
    if matches!(schema.name.as_str(), "pg_catalog" | "information_schema") {
        return list(model, "UC", [(None, "U".to_owned())]);
    }
    let granted = grantees(model).filter_map(|grantee| {
        let mut rights = String::new();
        if grantee.granted.uses(&schema.name) {
            rights.push('U');
        }
        if public && grantee.cohorts {
            rights.push('C');
        }
        (!rights.is_empty()).then_some((grantee.name, rights))
    });
    list(model, own, granted)
}

/// `acldefault`: what holds where nothing was granted, in this database.
pub(in crate::pg_catalog) fn default(kind: &str, of: &str) -> Result<Value> {
    let (own, everybody) = match kind {
        "r" => ("r", ""),
        "n" => ("U", ""),
        "d" => ("CTc", "Tc"),
        "f" => ("X", "X"),
        "T" | "l" => ("U", "U"),
        "s" => ("rwU", ""),
        "L" => ("rw", ""),
        "t" => ("C", ""),
        "p" => ("sA", ""),
        "F" | "S" => ("U", ""),
        // Columns have none of their own.
        "c" => return Ok(Value::array(oid::ACLITEM, Vec::new())),
        _ => {
            let text = format!("unrecognized object type abbreviation: {kind}");
            return Err(CatalogError::new("XX000", text));
        }
    };
    let mut items = Vec::new();
    if !everybody.is_empty() {
        items.push(item(None, everybody, of));
    }
    items.push(item(Some(of), own, of));
    Ok(Value::array(oid::ACLITEM, items))
}

/// A list with the owner's rights first; NULL when nothing is granted to anybody else.
fn list<'m>(
    model: &'m CatalogModel,
    own: &str,
    granted: impl IntoIterator<Item = (Option<&'m str>, String)>,
) -> Value {
    let owner = owner(model);
    let granted = granted.into_iter();
    let mut items: Vec<Value> = granted
        .map(|(name, rights)| item(name, &rights, owner))
        .collect();
    if items.is_empty() {
        return Value::Null;
    }
    if !own.is_empty() {
        items.insert(0, item(Some(owner), own, owner));
    }
    Value::array(oid::ACLITEM, items)
}

fn item(grantee: Option<&str>, rights: &str, grantor: &str) -> Value {
    let grantee = grantee.map(quoted).unwrap_or_default();
    Value::text(format!("{grantee}={rights}/{}", quoted(grantor)))
}

/// A name as lists have it: quoted unless made of letters, digits and underscores.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || c == '_';
    match !name.is_empty() && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// One right of a list, as `aclexplode` tells it.
pub(super) struct Part {
    pub grantor: u32,
    /// 0: everybody.
    pub grantee: u32,
    pub right: &'static str,
    pub grantable: bool,
}

/// The rights in one item of a list.
///
/// # Errors
/// 22P02 for what is no item, 42704 for an unknown role.
pub(in crate::pg_catalog) fn parts(model: &CatalogModel, item: &str) -> Result<Vec<Part>> {
    let malformed = || {
        let text = format!("invalid input syntax for type aclitem: \"{item}\"");
        CatalogError::new("22P02", text)
    };
    let (grantee, rest) = name(item).ok_or_else(malformed)?;
    let rest = rest.strip_prefix('=').ok_or_else(malformed)?;
    let (rights, grantor) = rest.split_once('/').ok_or_else(malformed)?;
    let (grantor, rest) = name(grantor).ok_or_else(malformed)?;
    if !rest.is_empty() {
        return Err(malformed());
    }
    let grantor = model.role(&grantor)?.oid;
    let grantee = match grantee.as_str() {
        "" => 0,
        name => model.role(name)?.oid,
    };
    let mut parts: Vec<Part> = Vec::new();
    for letter in rights.chars() {
        if letter == '*' {
            parts.last_mut().ok_or_else(malformed)?.grantable = true;
            continue;
        }
        let known = RIGHTS.iter().find(|(known, _)| *known == letter);
        let (_, right) = known.ok_or_else(malformed)?;
        parts.push(Part {
            grantor,
            grantee,
            right,
            grantable: false,
        });
    }
    let place = |part: &Part| RIGHTS.iter().position(|(_, name)| *name == part.right);
    parts.sort_by_key(place);
    Ok(parts)
}

/// A name at the beginning of a text, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(['=', '/']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}
