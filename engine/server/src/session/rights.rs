//! GRANT, REVOKE and the statements about roles and what they own: what an admin may do, and everybody with the own
//! password.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use genokura_storage::CohortState;

use super::statement::rights::{Object, RightsCommand, RoleOptions};
use super::{DATABASE, Outcome, Session};
use crate::roles::grant::{grant, revoke};
use crate::roles::{Grant, GrantError, Role, RoleStore, Roles, ScramKeys, Target};
use crate::sqlstate::{ServerError, undefined_table};

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
        if self.transaction.is_some() {
            return Err(super::inside_block("a change of rights or roles"));
        }
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
                change(&store, |all| {
                    for name in roles {
                        let role = role(all, name)?;
                        apply(role, *give, &targets, columns.as_ref())?;
                    }
                    Ok(())
                })?;
                Ok(Outcome::done(if *give { "GRANT" } else { "REVOKE" }))
            }
            RightsCommand::Cohorts { give, roles } => {
                change(&store, |all| {
                    for name in roles {
                        role(all, name)?.cohorts = *give;
                    }
                    Ok(())
                })?;
                Ok(Outcome::done(if *give { "GRANT" } else { "REVOKE" }))
            }
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
                    all.add(made)
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

    /// The tables and schemas that are meant; each must exist, and so must the columns.
    async fn targets(
        &mut self,
        on: &[Object],
        columns: Option<&BTreeSet<String>>,
    ) -> Result<Vec<Target>, ServerError> {
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
                    targets.push(Target::Schema(schema.clone()));
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
            targets.push(Target::Table(schema, table.clone()));
        }
        Ok(targets)
    }

    /// Whether a setting may have this value: nobody takes another identity.
    ///
    /// # Errors
    /// 22023 for the name of any other role, whether it exists or not.
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
            _ => Ok(()),
        }
    }
}

fn apply(
    role: &mut Role,
    give: bool,
    targets: &[Target],
    columns: Option<&BTreeSet<String>>,
) -> Result<(), ServerError> {
    for on in targets {
        if give {
            let new = Grant {
                on: on.clone(),
                columns: columns.cloned(),
            };
            grant(&mut role.grants, new);
        } else {
            revoke(&mut role.grants, on, columns)
                .map_err(|error: GrantError| ServerError::new("0LP01", error.to_string()))?;
        }
    }
    Ok(())
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
