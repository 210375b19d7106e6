//! Functions that ask who may do what.

use genokura_exec::access::Columns;

use crate::pg_catalog::builtin::Function;
use crate::pg_catalog::convert;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::eval::Cx;
use crate::pg_catalog::model::{OWNER, Relation, Rights, is_temporary};
use crate::pg_catalog::tables::{LANGUAGES, TABLESPACES, database_oid};
use crate::pg_catalog::value::Value;
use crate::pg_types::oid;

/// Whether a role is another: nobody is a member of roles here, and an admin may do what all may.
pub(super) fn membership(cx: &Cx<'_>, args: &[Value]) -> Result<Value> {
    let (user, role) = match args {
        [user, role, _] => (Some(user), role),
        [role, _] => (None, role),
        _ => return Ok(Value::Null),
    };
    let found = |value: &Value| match value {
        Value::Text(name) => cx.model.role(name).map(Some),
        other => {
            let mut roles = cx.model.roles.iter();
            Ok(roles.find(|role| Some(role.oid) == other.as_oid()))
        }
    };
    let who = match user {
        Some(user) => found(user)?,
        None => Some(cx.model.role(&cx.session.user)?),
    };
    let Some(who) = who else {
        return Ok(Value::Null);
    };
    let all = who.superuser || who.oid == OWNER;
    // PostgreSQL's own roles, such as pg_read_all_stats, are an admin's.
    if role.as_str().is_some_and(|name| name.starts_with("pg_")) {
        return Ok(Value::Bool(all));
    }
    let role = found(role)?;
    Ok(role.map_or(Value::Null, |role| {
        Value::Bool(all || role.name == who.name)
    }))
}

/// Whose privileges are asked about.
enum Who<'m> {
    /// Who may do all that can be done.
    Owner,
    /// A role, or everybody.
    Limited(&'m Rights),
}

impl<'m> Who<'m> {
    /// The user that the first argument names, or the session's.
    fn of(cx: &Cx<'m>, named: Option<&Value>) -> Result<Option<Who<'m>>> {
        let model = cx.model;
        let role = match named {
            Some(Value::Text(name)) if &**name == "public" => {
                return Ok(Some(Who::Limited(&model.public)));
            }
            Some(Value::Text(name)) => Some(model.role(name)?),
            Some(Value::Int(0)) => return Ok(Some(Who::Limited(&model.public))),
            Some(oid) => model.roles.iter().find(|r| Some(r.oid) == oid.as_oid()),
            None => Some(model.role(&cx.session.user)?),
        };
        Ok(role.map(|role| role.access.as_ref().map_or(Who::Owner, Who::Limited)))
    }

    /// What of a relation may be read.
    fn columns(&self, relation: &Relation) -> Option<Columns<'_>> {
        match self {
            Who::Owner => Some(Columns::All),
            Who::Limited(rights) => rights.columns(relation),
        }
    }
}

/// What PostgreSQL knows rights on; a right beside them is an error.
fn rights_on(kind: &str) -> &'static [&'static str] {
    match kind {
        "table" => &[
            "SELECT",
            "INSERT",
            "UPDATE",
            "DELETE",
            "TRUNCATE",
            "REFERENCES",
            "TRIGGER",
            "RULE",
            "MAINTAIN",
        ],
        "column" => &["SELECT", "INSERT", "UPDATE", "REFERENCES"],
        "schema" => &["USAGE", "CREATE"],
        "database" => &["CREATE", "TEMPORARY", "TEMP", "CONNECT"],
        "function" => &["EXECUTE"],
        "sequence" => &["USAGE", "SELECT", "UPDATE"],
        "tablespace" => &["CREATE"],
        "parameter" => &["SET", "ALTER SYSTEM"],
        _ => &["USAGE"],
    }
}

/// `has_…_privilege`: what grants say, and nothing may be written through SQL. What the session may not see does not
/// exist: by name an error, by OID NULL.
pub(super) fn privilege(cx: &Cx<'_>, function: &Function, args: &[Value]) -> Result<Value> {
    let kind = function
        .name
        .trim_start_matches("has_")
        .trim_end_matches("_privilege");
    let of_column = kind == "column";
    let after_user = if of_column { 3 } else { 2 };
    let at = function.arguments.len().saturating_sub(after_user);
    let Some(who) = Who::of(cx, args.first().filter(|_| at > 0))? else {
        // Who is not there has no right.
        return Ok(Value::Bool(false));
    };
    // Whether the object may be read or used, whether something may be made in it, and whether it is the session's own.
    let (mut may, mut creates, mut owns) = (true, false, false);
    let is_own = match args.first().filter(|_| at > 0) {
        Some(Value::Text(name)) => **name == *cx.session.user,
        Some(oid) => cx.model.role(&cx.session.user)?.oid == oid.as_oid().unwrap_or(0),
        None => true,
    };
    match kind {
        "table" | "column" | "any_column" => {
            let oid = match &args[at] {
                Value::Text(name) => {
                    convert::input(cx.model, cx.session, name, oid::REGCLASS)?.as_oid()
                }
                other => other.as_oid(),
            };
            let Some(relation) = oid.and_then(|oid| cx.model.relation(oid)) else {
                return Ok(Value::Null);
            };
            let granted = who.columns(relation);
            owns = is_own && is_temporary(&relation.schema);
            may = match kind {
                "table" => granted == Some(Columns::All),
                "any_column" => granted.is_some(),
                _ => match column_of(relation, args.get(at + 1))? {
                    Some(column) => granted.is_some_and(|granted| granted.contains(column)),
                    None => return Ok(Value::Null),
                },
            };
        }
        "database" if !database(cx, args.get(at))? => return Ok(Value::Null),
        "function"
        | "type"
        | "language"
        | "tablespace"
        | "server"
        | "foreign_data_wrapper"
        | "sequence"
            if !exists(cx, kind, args.get(at))? =>
        {
            return Ok(Value::Null);
        }
        "schema" => {
            let schema = match &args[at] {
                Value::Text(name) => {
                    let schema = cx.model.namespaces.iter().find(|n| n.name == **name);
                    schema.ok_or_else(|| {
                        let text = format!("schema \"{name}\" does not exist");
                        CatalogError::new("3F000", text)
                    })?
                }
                other => {
                    let mut all = cx.model.namespaces.iter();
                    match all.find(|n| Some(n.oid) == other.as_oid()) {
                        Some(schema) => schema,
                        None => return Ok(Value::Null),
                    }
                }
            };
            let public = schema.name == genokura_storage::COHORT_SCHEMA;
            (may, creates) = match who {
                Who::Owner => (true, public),
                Who::Limited(rights) => (rights.uses(&schema.name), public && rights.cohorts),
            };
            creates |= is_own && is_temporary(&schema.name);
        }
        _ => {}
    }
    let wanted = args.last().and_then(Value::as_str).unwrap_or_default();
    let holds = Holds {
        may,
        creates,
        owns,
        grants: matches!(who, Who::Owner),
    };
    holds.any(if kind == "any_column" { "column" } else { kind }, wanted)
}

/// What somebody may do with an object.
struct Holds {
    /// It may be read or used.
    may: bool,
    /// Something may be made in it.
    creates: bool,
    /// It is the session's own.
    owns: bool,
    /// What one may do oneself may be given to others.
    grants: bool,
}

impl Holds {
    /// Whether one of the rights in a list is held.
    fn any(&self, kind: &str, wanted: &str) -> Result<Value> {
        let known = rights_on(kind);
        let mut any = false;
        for item in wanted.split(',') {
            let item = item.trim().to_uppercase();
            let right = item.trim_end_matches(" WITH GRANT OPTION");
            if !known.contains(&right) {
                let text = format!("unrecognized privilege type: \"{}\"", item.to_lowercase());
                return Err(CatalogError::new("22023", text));
            }
            // An admin gives every right that there is; nobody else gives any.
            let held = right == item || self.grants;
            any |= self.owns
                || held
                    && match right {
                        "SELECT" | "USAGE" | "EXECUTE" | "CONNECT" | "TEMPORARY" | "TEMP" => {
                            self.may
                        }
                        "CREATE" => self.creates,
                        _ => false,
                    };
        }
        Ok(Value::Bool(any))
    }
}

/// The column that a privilege is asked about: by name an error when there is none, by number None.
pub(super) fn column_of<'r>(
    relation: &'r Relation,
    named: Option<&Value>,
) -> Result<Option<&'r str>> {
    let columns = &relation.columns;
    match named {
        Some(Value::Text(name)) => {
            let found = columns.iter().find(|column| column.name == **name);
            found
                .map(|column| Some(column.name.as_str()))
                .ok_or_else(|| {
                    let relation = &relation.name;
                    let text =
                        format!("column \"{name}\" of relation \"{relation}\" does not exist");
                    CatalogError::new("42703", text)
                })
        }
        Some(Value::Int(number)) => {
            let place = usize::try_from(*number).ok().and_then(|n| n.checked_sub(1));
            let column = place.and_then(|place| columns.get(place));
            Ok(column.map(|column| column.name.as_str()))
        }
        _ => Ok(None),
    }
}

/// Whether a database is this one: by name an error when it is not.
pub(super) fn database(cx: &Cx<'_>, named: Option<&Value>) -> Result<bool> {
    match named {
        Some(Value::Text(name)) if **name == *cx.model.database => Ok(true),
        Some(Value::Text(name)) => {
            let text = format!("database \"{name}\" does not exist");
            Err(CatalogError::new("3D000", text))
        }
        Some(oid) => Ok(oid.as_oid() == Some(database_oid(cx.model))),
        None => Ok(false),
    }
}

/// Whether there is such an object: by name an error when there is not.
fn exists(cx: &Cx<'_>, kind: &str, named: Option<&Value>) -> Result<bool> {
    let (Some(Value::Text(name)), what) = (named, kind.replace("foreign_data", "foreign-data"))
    else {
        let oid = named.and_then(Value::as_oid).unwrap_or(0);
        return Ok(match kind {
            "function" => cx.model.function(oid).is_some(),
            "type" => cx.model.format_type(oid, None, &[]) != "???",
            "language" => LANGUAGES.iter().any(|(known, _)| *known == oid),
            "tablespace" => TABLESPACES.iter().any(|(known, _)| *known == oid),
            _ => false,
        });
    };
    let named = |list: &[(u32, &str)]| list.iter().any(|(_, known)| *known == &**name);
    let found = match kind {
        "function" => {
            convert::by_name(cx.model, cx.session, name, oid::REGPROCEDURE)?;
            true
        }
        "type" => {
            convert::by_name(cx.model, cx.session, name, oid::REGTYPE)?;
            true
        }
        "sequence" => {
            convert::by_name(cx.model, cx.session, name, oid::REGCLASS)?;
            let text = format!("\"{name}\" is not a sequence");
            return Err(CatalogError::new("42809", text));
        }
        "language" => named(&LANGUAGES),
        "tablespace" => named(&TABLESPACES),
        _ => false,
    };
    match found {
        true => Ok(true),
        false => {
            let what = what.replace('_', " ");
            let text = format!("{what} \"{name}\" does not exist");
            Err(CatalogError::new("42704", text))
        }
    }
}
