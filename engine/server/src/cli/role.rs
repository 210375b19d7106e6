//! `genokura role`: who may connect to a server, and what each may read and take.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal as _, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand, ValueEnum};

use genokura_storage::Lake;

use super::Outcome;
use crate::roles::grant::{grant, revoke};
use crate::roles::{
    Grant, Mask, PUBLIC, Public, Rights, Role, RoleStore, Roles, ScramKeys, Target,
};

/// Subcommands of `role`.
#[derive(Debug, Subcommand)]
pub(super) enum RoleCommand {
    /// List roles with their rights and limits
    List(FileArg),
    /// Make a role; the role file is made when it is not there
    Add(AddArgs),
    /// Give a role a new password
    Password(PasswordArgs),
    /// Remove a role; its sessions end with their next statement
    Drop(DropArgs),
    /// Let a role, or "public" for every role, read tables or columns
    Grant(GrantArgs),
    /// Take the right to read tables or columns away
    Revoke(GrantArgs),
    /// Say whether a role may use schemas: without that nothing in them exists, whatever is granted
    Usage(UsageArgs),
    /// Let columns read as NULL for a role
    Mask(MaskArgs),
    /// Show masked columns again
    Unmask(MaskArgs),
    /// Say which samples of a dataset a role may see
    Samples(SamplesArgs),
    /// Say whether a role may keep cohorts in the lake
    Cohorts(CohortsArgs),
    /// Say how much of the server a role may take
    Limit(LimitArgs),
    /// Say which client certificate a role must show
    Certificate(CertificateArgs),
}

/// Which role file.
#[derive(Debug, Args)]
pub(super) struct FileArg {
    /// The role file
    #[arg(long = "roles", env = "GENOKURA_ROLES", value_name = "FILE")]
    path: PathBuf,
}

/// A role of a file.
#[derive(Debug, Args)]
pub(super) struct NameArgs {
    #[command(flatten)]
    file: FileArg,
    /// The role
    name: String,
}

/// Arguments of `role drop`.
#[derive(Debug, Args)]
pub(super) struct DropArgs {
    #[command(flatten)]
    role: NameArgs,
    /// The lake that the server serves: a role that owns cohorts there is not dropped
    #[arg(long, env = "GENOKURA_LAKE", value_name = "URL")]
    lake: Option<String>,
    /// Drop the role whatever it owns: its cohorts stay, and are those of a later role of its name
    #[arg(long)]
    leave_cohorts: bool,
}

/// Arguments of `role add`.
#[derive(Debug, Args)]
pub(super) struct AddArgs {
    #[command(flatten)]
    role: NameArgs,
    /// May read everything, give rights, and see and stop the sessions of others
    #[arg(long)]
    admin: bool,
    /// No password opens the role: it shows a client certificate
    #[arg(long, conflicts_with = "password_stdin")]
    no_password: bool,
    /// Read the password from standard input, its first line
    #[arg(long)]
    password_stdin: bool,
}

/// Arguments of `role password`.
#[derive(Debug, Args)]
pub(super) struct PasswordArgs {
    #[command(flatten)]
    role: NameArgs,
    /// Read the password from standard input, its first line
    #[arg(long)]
    password_stdin: bool,
    /// Take the password away
    #[arg(long, conflicts_with = "password_stdin")]
    none: bool,
}

/// Arguments of `role grant` and `role revoke`.
#[derive(Debug, Args)]
pub(super) struct GrantArgs {
    #[command(flatten)]
    role: NameArgs,
    /// schema.table, schema.* for every table of a schema, or '*' for the whole lake; a name that holds a dot stands in
    /// double quotes: '"lab.v2".*'
    #[arg(required = true, value_name = "TABLE")]
    tables: Vec<Target>,
    /// Only these columns
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    columns: Vec<String>,
}

/// Arguments of `role usage`.
#[derive(Debug, Args)]
pub(super) struct UsageArgs {
    #[command(flatten)]
    role: NameArgs,
    /// Whether the role may; before it is said, whoever may read a table may use its schema
    may: YesNo,
    /// Schemas
    #[arg(required = true, value_name = "SCHEMA")]
    schemas: Vec<String>,
}

/// Arguments of `role mask` and `role unmask`.
#[derive(Debug, Args)]
pub(super) struct MaskArgs {
    #[command(flatten)]
    role: NameArgs,
    /// schema.table.column; a name that holds a dot stands in double quotes: '"lab.v2".variants.gt'
    #[arg(required = true, value_name = "COLUMN")]
    columns: Vec<Mask>,
}

/// Arguments of `role samples`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "which")]
pub(super) struct Which {
    /// Only these: a list, or @FILE with one name a line
    #[arg(long, value_name = "LIST|@FILE")]
    only: Option<String>,
    /// No sample of the dataset
    #[arg(long)]
    none: bool,
    /// Every sample of every dataset: no list at all
    #[arg(long)]
    all: bool,
}

/// Arguments of `role samples`.
#[derive(Debug, Args)]
pub(super) struct SamplesArgs {
    #[command(flatten)]
    role: NameArgs,
    /// The dataset; datasets without a list show no sample once another has one
    #[arg(long, required_unless_present = "all")]
    dataset: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Arguments of `role cohorts`.
#[derive(Debug, Args)]
pub(super) struct CohortsArgs {
    #[command(flatten)]
    role: NameArgs,
    /// Whether CREATE COHORT may write the lake; cohorts of the session need no right
    keep: YesNo,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum YesNo {
    /// It may.
    Yes,
    /// It may not.
    No,
}

/// Arguments of `role limit`: what is not given stays as it is; "none" takes a limit away.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    #[command(flatten)]
    role: NameArgs,
    /// Connections at once (SQLSTATE 53300)
    #[arg(long, value_name = "N|none")]
    connections: Option<String>,
    /// Bytes of memory of one statement (53200)
    #[arg(long, value_name = "N|none")]
    memory_bytes: Option<String>,
    /// Bytes of spill files of one statement (53400)
    #[arg(long, value_name = "N|none")]
    spill_bytes: Option<String>,
    /// Longest run of one statement in milliseconds (57014)
    #[arg(long, value_name = "N|none")]
    statement_timeout_ms: Option<String>,
    /// Rows that one statement may return (54000)
    #[arg(long, value_name = "N|none")]
    rows: Option<String>,
}

/// Arguments of `role certificate`.
#[derive(Debug, Args)]
pub(super) struct CertificateArgs {
    #[command(flatten)]
    role: NameArgs,
    /// Common name (CN) of the certificate; "none": none is asked for
    common_name: String,
}

/// Runs `genokura role`.
pub(super) async fn run(command: RoleCommand) -> anyhow::Result<Outcome> {
    match command {
        RoleCommand::List(file) => list(&RoleStore::open(&file.path)?.current())?,
        RoleCommand::Add(args) => add(args)?,
        RoleCommand::Password(args) => {
            let keys = match args.none {
                true => None,
                false => Some(ScramKeys::generate(&ask_password(args.password_stdin)?)?),
            };
            change(&args.role, |role| {
                role.password = keys;
                Ok(())
            })?;
        }
        RoleCommand::Drop(args) => drop(args).await?,
        RoleCommand::Grant(args) => {
            let columns = columns(&args);
            change_rights(&args.role, |rights| {
                for on in args.tables.iter().cloned() {
                    grant(rights.grants, on, columns.clone());
                }
            })?;
        }
        RoleCommand::Revoke(args) => {
            let columns = columns(&args);
            change_rights(&args.role, |rights| {
                for on in &args.tables {
                    revoke(rights.grants, on, columns.as_ref());
                }
            })?;
        }
        RoleCommand::Usage(args) => change_rights(&args.role, |rights| {
            let may = args.may == YesNo::Yes;
            rights
                .usage
                .extend(args.schemas.into_iter().map(|schema| (schema, may)));
        })?,
        RoleCommand::Mask(args) => change(&args.role, |role| {
            role.masks.extend(args.columns);
            Ok(())
        })?,
        RoleCommand::Unmask(args) => change(&args.role, |role| {
            for column in &args.columns {
                ensure!(role.masks.remove(column), "{column} is not masked");
            }
            Ok(())
        })?,
        RoleCommand::Samples(args) => samples(args)?,
        RoleCommand::Cohorts(args) => change_rights(&args.role, |rights| {
            *rights.cohorts = args.keep == YesNo::Yes;
        })?,
        RoleCommand::Limit(args) => limit(&args)?,
        RoleCommand::Certificate(args) => change(&args.role, |role| {
            role.certificate = (args.common_name != "none").then_some(args.common_name);
            Ok(())
        })?,
    }
    Ok(Outcome::Done)
}

fn change(
    args: &NameArgs,
    change: impl FnOnce(&mut Role) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let store = RoleStore::open(&args.file.path)?;
    store.update(|roles| change(roles.get_mut(&args.name)?))
}

/// Changes what a role or [`PUBLIC`] was granted.
fn change_rights(args: &NameArgs, change: impl FnOnce(Rights<'_>)) -> anyhow::Result<()> {
    let store = RoleStore::open(&args.file.path)?;
    store.update(|roles| {
        change(roles.rights_mut(&args.name)?);
        Ok(())
    })
}

fn add(args: AddArgs) -> anyhow::Result<()> {
    crate::roles::check_new_name(&args.role.name)?;
    let store = RoleStore::open_or_create(&args.role.file.path)?;
    ensure!(
        store.current().get(&args.role.name).is_none(),
        "role \"{}\" already exists",
        args.role.name
    );
    let password = match args.no_password {
        true => None,
        false => Some(ScramKeys::generate(&ask_password(args.password_stdin)?)?),
    };
    let role = Role {
        name: args.role.name,
        admin: args.admin,
        password,
        ..Role::default()
    };
    store.update(|roles| roles.add(role))
}

/// Drops a role that owns no cohort, as SQL does: a later role of its name would own them.
async fn drop(args: DropArgs) -> anyhow::Result<()> {
    let name = &args.role.name;
    let store = RoleStore::open(&args.role.file.path)?;
    let roles = store.current();
    let said = format!(
        "REASSIGN OWNED BY {name} TO … in SQL gives them to another role, DROP OWNED BY {name} drops them, and \
         --leave-cohorts leaves them to a later role of this name"
    );
    match (&args.lake, roles.get(name)) {
        (Some(url), Some(_)) if !args.leave_cohorts => {
            let snapshot = Lake::open(url).await?.snapshot().await?;
            let owned = snapshot.cohorts().filter(|(_, state)| state.owner == *name);
            let owned: Vec<&str> = owned.map(|(cohort, _)| cohort).collect();
            ensure!(
                owned.is_empty(),
                "role \"{name}\" owns cohorts: {}. {said}",
                owned.join(", ")
            );
        }
        // The file is not of one lake: what the role owns there is not known here.
        (None, Some(role)) if !args.leave_cohorts => ensure!(
            !(role.admin || role.cohorts || roles.public().cohorts),
            "role \"{name}\" may own cohorts: name the lake with --lake URL to look. {said}"
        ),
        _ => {}
    }
    store.update(|roles| roles.remove(name))?;
    if args.lake.is_none() || args.leave_cohorts {
        tell!(
            "Cohorts that \"{name}\" keeps in a lake stay: REASSIGN OWNED BY {name} TO …, or DROP OWNED BY {name}, in SQL."
        );
    }
    Ok(())
}

fn columns(args: &GrantArgs) -> Option<BTreeSet<String>> {
    (!args.columns.is_empty()).then(|| args.columns.iter().cloned().collect())
}

fn samples(args: SamplesArgs) -> anyhow::Result<()> {
    let names = match &args.which.only {
        None => BTreeSet::new(),
        Some(list) => match list.strip_prefix('@') {
            Some(path) => lines_of(Path::new(path))?,
            None => list.split(',').map(|name| name.trim().to_owned()).collect(),
        },
    };
    change(&args.role, |role| {
        match args.dataset {
            Some(dataset) if !args.which.all => {
                role.samples.get_or_insert_default().insert(dataset, names);
            }
            Some(dataset) => anyhow::bail!(
                "--all is for every dataset at once; list the samples of {dataset} with --only @FILE"
            ),
            None => role.samples = None,
        }
        Ok(())
    })
}

fn lines_of(path: &Path) -> anyhow::Result<BTreeSet<String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the list {}", path.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

fn limit(args: &LimitArgs) -> anyhow::Result<()> {
    change(&args.role, |role| {
        let limits = &mut role.limits;
        set(&mut limits.connections, "connections", &args.connections)?;
        set(&mut limits.memory_bytes, "memory-bytes", &args.memory_bytes)?;
        set(&mut limits.spill_bytes, "spill-bytes", &args.spill_bytes)?;
        let timeout = &args.statement_timeout_ms;
        set(
            &mut limits.statement_timeout_ms,
            "statement-timeout-ms",
            timeout,
        )?;
        set(&mut limits.rows, "rows", &args.rows)
    })
}

fn set<T: std::str::FromStr<Err = std::num::ParseIntError>>(
    limit: &mut Option<T>,
    name: &str,
    text: &Option<String>,
) -> anyhow::Result<()> {
    match text.as_deref() {
        None => {}
        Some("none") => *limit = None,
        Some(text) => {
            let number = text.parse();
            *limit = Some(number.map_err(|e| anyhow::anyhow!("--{name} \"{text}\": {e}"))?);
        }
    }
    Ok(())
}

/// A password from standard input or the terminal, where it is not shown.
fn ask_password(from_stdin: bool) -> anyhow::Result<String> {
    let password = if from_stdin {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("cannot read the password from standard input")?;
        text.lines().next().unwrap_or_default().to_owned()
    } else {
        ensure!(
            std::io::stdin().is_terminal(),
            "there is no terminal to ask for the password: give it with --password-stdin"
        );
        let first = rpassword::prompt_password("Password: ")?;
        ensure!(
            rpassword::prompt_password("Again: ")? == first,
            "the two passwords differ"
        );
        first
    };
    ensure!(!password.is_empty(), "an empty password opens nothing");
    Ok(password)
}

fn list(roles: &Roles) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let everybody = roles.public();
    if **everybody != Public::default() {
        writeln!(out, "{PUBLIC} (every role)")?;
        list_rights(&mut out, &everybody.grants, &everybody.usage)?;
        if everybody.cohorts {
            writeln!(out, "  keeps cohorts in the lake")?;
        }
    }
    for role in roles.iter() {
        let login = match (&role.password, &role.certificate) {
            (Some(_), None) => "password".to_owned(),
            (Some(_), Some(cn)) => format!("password and certificate {cn}"),
            (None, Some(cn)) => format!("certificate {cn}"),
            (None, None) => "cannot log in".to_owned(),
        };
        let admin = if role.admin { ", admin" } else { "" };
        writeln!(out, "{} ({login}{admin})", role.name)?;
        list_rights(&mut out, &role.grants, &role.usage)?;
        for mask in &role.masks {
            writeln!(out, "  sees NULL in {mask}")?;
        }
        for (dataset, samples) in role.samples.iter().flatten() {
            writeln!(out, "  sees {} sample(s) of {dataset}", samples.len())?;
        }
        if role.cohorts {
            writeln!(out, "  keeps cohorts in the lake")?;
        }
        let limits = toml::to_string(&role.limits)?;
        for limit in limits.lines() {
            writeln!(out, "  limit {limit}")?;
        }
    }
    Ok(())
}

fn list_rights(
    out: &mut impl Write,
    grants: &BTreeSet<Grant>,
    usage: &BTreeMap<String, bool>,
) -> anyhow::Result<()> {
    let names = |columns: &Option<BTreeSet<String>>| match columns {
        None => String::new(),
        Some(columns) => {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            format!(" ({})", columns.join(", "))
        }
    };
    for grant in grants {
        writeln!(out, "  reads {}{}", grant.on, names(&grant.columns))?;
        for part in &grant.except {
            writeln!(out, "    but {}{}", part.on, names(&part.columns))?;
        }
    }
    for (schema, may) in usage {
        let may = if *may { "uses" } else { "does not use" };
        writeln!(out, "  {may} schema {schema}")?;
    }
    Ok(())
}
