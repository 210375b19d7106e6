//! GRANT, REVOKE and the statements about roles and what they own: what an admin may do, and everybody with the own
//! password.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genokura_exec::AccessContext;
use genokura_storage::{COHORT_SCHEMA, CohortState};

use super::statement::rights::{Grantee, Object, RightsCommand, RoleOptions};
use super::{DATABASE, Outcome, Session, modes};
use crate::roles::grant::{Grant, grant, revoke, to_read};
use crate::roles::{Rights, Role, RoleStore, Roles, ScramKeys, Target, check_new_name};
use crate::sqlstate::{ServerError, Severity, undefined_table};

impl Session {
    /// Runs a statement about rights.
    ///
    /// # Errors
    /// 42501 for whoever may not, before anything is looked up.
    pub(super) async fn rights(&mut self, command: &RightsCommand) -> Result<Outcome, ServerError> {
        let who = self.authorise()?;
        let own = |name: &str, options: &RoleOptions| {
            let only_password = RoleOptions {
                password: options.password.clone(),
                ..RoleOptions::default()
            };
            name == self.options.user && *options == only_password
        };
        let permitted = match command {
            RightsCommand::Alter(name, options) => who.is_admin() || own(name, options),
            _ => who.is_admin(),
        };
        if !permitted {
            return Err(ServerError::new("42501", "permission denied")
                .detail("Only an admin gives rights and changes roles."));
        }
        // A role file knows no rollback: what looks undone must not have been done.
        self.must_be_last("a change of rights or roles")
            .map_err(|error| {
                error.hint(
                    "A role file takes no change back. Send it alone, or after everything else.",
                )
            })?;
        let store = self.roles.clone().ok_or_else(no_file)?;
        if store.path().is_none() {
            return Err(no_file());
        }
        match command {
            RightsCommand::Tables {
                give,
                columns,
                on,
                roles,
            } => {
                let targets = self.targets(on, columns.as_ref()).await?;
                let names = self.grantees(roles);
                change(&store, |all| {
                    for name in &names {
                        apply(rights_of(all, name)?, *give, &targets, columns.as_ref());
                    }
                    Ok(())
                })?;
                let told = match give {
                    true => unusable(&store.current(), &names, &targets),
                    false => still_read(&store.current(), &names, &targets, columns.as_ref()),
                };
                Ok(changed(*give, told))
            }
            RightsCommand::Schemas {
                give,
                usage,
                create,
                schemas,
                roles,
            } => {
                let on: Vec<Object> = schemas.iter().cloned().map(Object::Schema).collect();
                self.targets(&on, None).await?;
                let names = self.grantees(roles);
                change(&store, |all| {
                    for name in &names {
                        let rights = rights_of(all, name)?;
                        if *usage {
                            let said = schemas.iter().map(|schema| (schema.clone(), *give));
                            rights.usage.extend(said);
                        }
                        if *create && schemas.iter().any(|schema| schema == COHORT_SCHEMA) {
                            *rights.cohorts = *give;
                        }
                    }
                    Ok(())
                })?;
                let told = match !give && *usage {
                    true => still_used(&store.current(), &names, schemas),
                    false => Vec::new(),
                };
                Ok(changed(*give, told))
            }
            RightsCommand::Nothing => Ok(Outcome::done("REVOKE")),
            RightsCommand::Create(name, options) => {
                let mut made = Role {
                    name: name.clone(),
                    ..Role::default()
                };
                set_options(&mut made, options)?;
                change(&store, |all| {
                    if all.get(name).is_some() {
                        let text = format!("role \"{name}\" already exists");
                        return Err(ServerError::new("42710", text));
                    }
                    check_new_name(name)
                        .and_then(|()| all.add(made))
                        .map_err(|error| ServerError::new("42939", error.to_string()))
                })?;
                Ok(Outcome::done("CREATE ROLE"))
            }
            RightsCommand::Alter(name, options) => {
                change(&store, |all| set_options(role(all, name)?, options))?;
                Ok(Outcome::done("ALTER ROLE"))
            }
            RightsCommand::Drop { names, if_exists } => {
                let roles = store.current();
                let there = names.iter().filter(|name| roles.get(name).is_some());
                let there: Vec<String> = there.cloned().collect();
                self.must_own_nothing(&there).await?;
                change(&store, |all| {
                    for name in names {
                        if *if_exists && all.get(name).is_none() {
                            continue;
                        }
                        if *name == self.options.user {
                            return Err(ServerError::new(
                                "55006",
                                "current user cannot be dropped",
                            ));
                        }
                        role(all, name)?;
                        all.remove(name)
                            .map_err(|error| ServerError::internal(error.to_string()))?;
                    }
                    Ok(())
                })?;
                Ok(Outcome::done("DROP ROLE"))
            }
            RightsCommand::DropOwned(roles) => {
                let owned = self.owned_by(roles).await?;
                owners(&store, &owned, roles)?;
                self.drop_kept(owned.into_keys().collect()).await?;
                change(&store, |all| {
                    for name in roles {
                        if let Ok(role) = all.get_mut(name) {
                            role.grants.clear();
                            role.cohorts = false;
                            role.usage.retain(|_, given| !*given);
                        }
                    }
                    Ok(())
                })?;
                Ok(Outcome::done("DROP OWNED"))
            }
            RightsCommand::ReassignOwned { from, to } => {
                let owned = self.owned_by(from).await?;
                owners(&store, &owned, from)?;
                if store.current().get(to).is_none() {
                    return Err(undefined_role(to));
                }
                for (name, mut state) in owned {
                    state.owner.clone_from(to);
                    self.give_cohort(&name, state).await?;
                }
                Ok(Outcome::done("REASSIGN OWNED"))
            }
        }
    }

    /// 2BP01: a role that owns cohorts stays, or a later one of its name would own them.
    async fn must_own_nothing(&mut self, roles: &[String]) -> Result<(), ServerError> {
        let owned = self.owned_by(roles).await?;
        let Some(first) = owned.values().next() else {
            return Ok(());
        };
        let of_first = owned.iter().filter(|(_, state)| state.owner == first.owner);
        let of_first: Vec<String> = of_first
            .map(|(name, _)| format!("owner of cohort {name}"))
            .collect();
        let name = &first.owner;
        let text = format!("role \"{name}\" cannot be dropped because some objects depend on it");
        Err(ServerError::new("2BP01", text)
            .detail(of_first.join("\n"))
            .hint(format!(
                "REASSIGN OWNED BY {name} TO … gives them to another role, DROP OWNED BY {name} drops them."
            )))
    }

    /// The names of roles, and of everybody.
    fn grantees(&self, of: &[Grantee]) -> Vec<String> {
        let name = |grantee: &Grantee| match grantee {
            Grantee::Current => self.options.user.clone(),
            Grantee::Role(name) => name.clone(),
        };
        of.iter().map(name).collect()
    }

    /// The tables and schemas that are meant; each must exist, and so must the columns.
    async fn targets(
        &mut self,
        on: &[Object],
        columns: Option<&BTreeSet<String>>,
    ) -> Result<Vec<Meant>, ServerError> {
        let context = self.plan_context().await?;
        let catalog = context
            .context
            .catalog(DATABASE)
            .ok_or_else(|| ServerError::internal("a session without a catalog"))?;
        let mut targets = Vec::new();
        for object in on {
            let (schema, table) = match object {
                Object::Schema(schema) => {
                    if catalog.schema(schema).is_none() {
                        let text = format!("schema \"{schema}\" does not exist");
                        return Err(ServerError::new("3F000", text).near(schema));
                    }
                    targets.push(Meant {
                        on: Target::Schema(schema.clone()),
                        columns: BTreeSet::new(),
                    });
                    continue;
                }
                Object::Table(Some(schema), table) => (Some(schema.clone()), table),
                Object::Table(None, table) => {
                    let has = |schema: &&String| {
                        let schema = catalog.schema(schema);
                        schema.is_some_and(|schema| schema.table_exist(table))
                    };
                    (context.info.schemas.iter().find(has).cloned(), table)
                }
            };
            let found = match schema.as_ref().and_then(|name| catalog.schema(name)) {
                Some(found) => found.table(table).await?,
                None => None,
            };
            let (Some(schema), Some(found)) = (schema.clone(), found) else {
                let shown = match schema {
                    Some(schema) => format!("{schema}.{table}"),
                    None => table.clone(),
                };
                return Err(undefined_table(&shown).near(table));
            };
            let fields = found.schema();
            let unknown = |column: &&String| fields.index_of(column).is_err();
            if let Some(column) = columns.into_iter().flatten().find(unknown) {
                let text = format!("column \"{column}\" of relation \"{table}\" does not exist");
                return Err(ServerError::new("42703", text).near(column));
            }
            targets.push(Meant {
                on: Target::Table(schema, table.clone()),
                columns: fields.fields().iter().map(|f| f.name().clone()).collect(),
            });
        }
        Ok(targets)
    }

    /// Whether a setting may have this value: nobody takes another identity, and modes of a transaction are set before
    /// its first query.
    ///
    /// # Errors
    /// 22023 for the name of any other role, whether it exists or not; 25001.
    pub(super) fn may_set(&self, name: &str, value: Option<&str>) -> Result<(), ServerError> {
        let identity = ["role", "session_authorization"]
            .iter()
            .any(|identity| name.eq_ignore_ascii_case(identity));
        let other = value.filter(|value| *value != "none" && *value != self.options.user);
        match other {
            Some(other) if identity && self.roles.is_some() => Err(ServerError::new(
                "22023",
                format!("role \"{other}\" does not exist"),
            )),
            _ => match value {
                Some(value) if modes::is_of_transaction(name) => self.may_set_mode(name, value),
                _ => Ok(()),
            },
        }
    }
}

/// What a right is on.
struct Meant {
    on: Target,
    /// The columns of a table.
    columns: BTreeSet<String>,
}

fn apply(rights: Rights<'_>, give: bool, targets: &[Meant], columns: Option<&BTreeSet<String>>) {
    for meant in targets {
        if give {
            grant(rights.grants, meant.on.clone(), columns.cloned());
            continue;
        }
        revoke(rights.grants, &meant.on, columns);
        // A table without a column that may be read still has rows to count.
        if let (Some(_), Target::Table(schema, table)) = (columns, &meant.on) {
            let left = granted_to(rights.grants);
            let left = left.granted(schema, table);
            let reads = |column: &String| left.as_ref().is_some_and(|left| left.contains(column));
            if !meant.columns.iter().any(reads) {
                revoke(rights.grants, &meant.on, None);
            }
        }
    }
}

/// What these grants alone give.
fn granted_to(grants: &BTreeSet<Grant>) -> AccessContext {
    let grants = grants.iter().map(|grant| to_read(grant, false));
    AccessContext::default().with_grants(grants)
}

fn changed(give: bool, told: Vec<String>) -> Outcome {
    let warning = (!told.is_empty())
        .then(|| ServerError::new("01000", told.join("; ")).severity(Severity::Warning));
    Outcome::Done {
        tag: if give { "GRANT" } else { "REVOKE" }.to_owned(),
        warning,
    }
}

/// Roles among these that everybody's rights are rights of, too.
fn others<'a>(names: &'a [String], roles: &'a Roles) -> impl Iterator<Item = &'a String> {
    let limited = |name: &&String| roles.get(name).is_some_and(|role| !role.admin);
    names.iter().filter(limited)
}

/// What was revoked of a role and what it may read all the same, because everybody may.
fn still_read(
    roles: &Roles,
    names: &[String],
    targets: &[Meant],
    columns: Option<&BTreeSet<String>>,
) -> Vec<String> {
    let everybody = roles.public().access();
    let read = |meant: &&Meant| match &meant.on {
        Target::Table(schema, table) => everybody.granted(schema, table).is_some_and(|granted| {
            let mut named = columns.unwrap_or(&meant.columns).iter();
            named.any(|column| granted.contains(column))
        }),
        Target::Schema(schema) => everybody.reaches(schema),
        Target::Lake => false,
    };
    let mut told = Vec::new();
    for name in others(names, roles) {
        for meant in targets.iter().filter(read) {
            let on = &meant.on;
            told.push(format!(
                "role \"{name}\" still reads in {on}, as PUBLIC does"
            ));
        }
    }
    told
}

fn still_used(roles: &Roles, names: &[String], schemas: &[String]) -> Vec<String> {
    let everybody = roles.public().access();
    let mut told = Vec::new();
    for name in others(names, roles) {
        for schema in schemas.iter().filter(|schema| everybody.uses(schema)) {
            told.push(format!(
                "role \"{name}\" still uses schema \"{schema}\", as PUBLIC does"
            ));
        }
    }
    told
}

/// What was granted and is of no use, since the schema may not be used.
fn unusable(roles: &Roles, names: &[String], targets: &[Meant]) -> Vec<String> {
    let mut told = Vec::new();
    for name in others(names, roles) {
        let access = roles.get(name).map(|role| role.access(roles.public()));
        let closed: BTreeSet<&str> = targets
            .iter()
            .filter_map(|meant| meant.on.schema())
            .filter(|schema| access.as_ref().is_some_and(|access| access.closes(schema)))
            .collect();
        for schema in closed {
            told.push(format!("role \"{name}\" may not use schema \"{schema}\""));
        }
    }
    told
}

fn set_options(role: &mut Role, options: &RoleOptions) -> Result<(), ServerError> {
    if let Some(password) = &options.password {
        role.password = match password {
            None => None,
            Some(text) => Some(text.parse::<ScramKeys>().map_err(|error| {
                ServerError::unsupported(error.to_string()).hint(
                    "Use psql's \\password or \"genokura role password\": both send no password.",
                )
            })?),
        };
    }
    if let Some(admin) = options.admin {
        role.admin = admin;
    }
    if let Some(connections) = options.connections {
        role.limits.connections = connections;
    }
    Ok(())
}

/// 42704 for a name that is no role and owns nothing: the cohorts of a role that "genokura role drop" removed stay.
fn owners(
    store: &RoleStore,
    owned: &BTreeMap<String, CohortState>,
    names: &[String],
) -> Result<(), ServerError> {
    let roles = store.current();
    let unknown = |name: &&String| {
        roles.get(name).is_none() && !owned.values().any(|state| state.owner == **name)
    };
    let unknown = names.iter().find(unknown);
    unknown.map_or(Ok(()), |name| Err(undefined_role(name)))
}

fn undefined_role(name: &str) -> ServerError {
    ServerError::new("42704", format!("role \"{name}\" does not exist")).near(name)
}

fn rights_of<'a>(all: &'a mut Roles, name: &str) -> Result<Rights<'a>, ServerError> {
    all.rights_mut(name).map_err(|_| undefined_role(name))
}

fn role<'a>(all: &'a mut Roles, name: &str) -> Result<&'a mut Role, ServerError> {
    all.get_mut(name).map_err(|_| undefined_role(name))
}

fn change(
    store: &Arc<RoleStore>,
    change: impl FnOnce(&mut Roles) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let changed = store.update(|roles| change(roles).map_err(anyhow::Error::new));
    changed.map_err(|error| match error.downcast::<ServerError>() {
        Ok(error) => error,
        Err(error) => ServerError::new("58030", format!("{error:#}")),
    })
}

fn no_file() -> ServerError {
    ServerError::new("55000", "this server has no role file")
        .hint("Make one with \"genokura role add NAME --roles FILE\" and start with --roles FILE.")
}
