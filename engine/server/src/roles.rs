//! Roles: who may connect, what each may read, and how much of the machine each may take.
//!
//! Roles live in one TOML file beside the server, never in the lake: the query server needs no right to write the
//! lake, and whoever may read a lake's files learns no key. `genokura role` and an admin's SQL write the file; a
//! running server sees a change with the next statement. Deny by default: a role without a grant sees no table.
//!
//! Invariants: the file is readable by its owner only; it holds no password and no salted password; once a server
//! has asked for passwords it never stops asking, whatever becomes of the file.

pub mod grant;
pub mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genokura_exec::access::{
    AccessContext, Granted, MaskedColumn, ReadGrant, ReadGrants, SampleVisibility,
};
use genokura_storage::COHORT_SCHEMA;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::sqlstate::{ServerError, Severity};
pub use grant::{Grant, GrantError, Target};
pub use secret::ScramKeys;

/// The longest name of a role, as PostgreSQL's.
const NAME_BYTES_MAX: usize = 63;

/// One role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// The user name that clients connect with.
    pub name: String,
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
    /// Columns (`schema.table.column`) that read as NULL.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub masks: BTreeSet<String>,
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
    fn is_default(&self) -> bool {
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
        let masked = self.masks.iter().filter_map(|text| masked_column(text));
        let access = access.with_masked(masked);
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

    fn check(&self) -> anyhow::Result<()> {
        check_name(&self.name)?;
        for mask in &self.masks {
            ensure!(
                masked_column(mask).is_some(),
                "role \"{}\": the mask \"{mask}\" must read schema.table.column",
                self.name
            );
        }
        Ok(())
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

/// `schema.table.column`.
#[must_use]
pub fn masked_column(text: &str) -> Option<MaskedColumn> {
    let mut parts = text.split('.').filter(|part| !part.is_empty());
    let (schema, table, column) = (parts.next()?, parts.next()?, parts.next()?);
    (parts.next().is_none() && text.matches('.').count() == 2).then(|| MaskedColumn {
        schema: schema.to_owned(),
        table: table.to_owned(),
        column: column.to_owned(),
    })
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

/// The text of a role file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    /// What unknown users are shown a made-up salt from (base64).
    mock_key: String,
    #[serde(default, skip_serializing_if = "Public::is_default")]
    public: Public,
    #[serde(default, rename = "role", skip_serializing_if = "Vec::is_empty")]
    roles: Vec<Role>,
}

/// All roles at one moment.
#[derive(Debug)]
pub struct Roles {
    /// Grows with every change of the file.
    pub epoch: u64,
    mock_key: [u8; secret::KEY_BYTES],
    roles: BTreeMap<String, Arc<Role>>,
    public: Arc<Public>,
    /// What each may see, made once: lists of samples are long.
    access: BTreeMap<String, AccessContext>,
}

impl Roles {
    /// No roles at all; unknown users are shown salts of a key that dies with the process.
    fn none() -> anyhow::Result<Self> {
        Ok(Self {
            epoch: 0,
            mock_key: secret::random()?,
            roles: BTreeMap::new(),
            public: Arc::default(),
            access: BTreeMap::new(),
        })
    }

    fn parse(text: &str, epoch: u64) -> anyhow::Result<Self> {
        let text: Text = toml::from_str(text)?;
        let mock_key = STANDARD.decode(&text.mock_key).ok();
        let mock_key = mock_key.and_then(|key| key.try_into().ok());
        let mut roles = BTreeMap::new();
        for role in text.roles {
            role.check()?;
            let name = role.name.clone();
            ensure!(
                roles.insert(name.clone(), Arc::new(role)).is_none(),
                "role \"{name}\" is there twice"
            );
        }
        let access = roles
            .iter()
            .map(|(name, role)| (name.clone(), role.access(&text.public)));
        Ok(Self {
            epoch,
            access: access.collect(),
            public: Arc::new(text.public),
            mock_key: mock_key.context("mock_key is not 32 bytes in base64")?,
            roles,
        })
    }

    fn print(&self) -> anyhow::Result<String> {
        let text = Text {
            mock_key: STANDARD.encode(self.mock_key),
            public: self.public.as_ref().clone(),
            roles: self.roles.values().map(|r| r.as_ref().clone()).collect(),
        };
        let toml = toml::to_string_pretty(&text)?;
        Ok(format!(
            "# Roles of a genokura server, written by \"genokura role\". No password is in here, but keys that pose\n\
             # as the server, and sample names: keep it to the server's own account.\n{toml}"
        ))
    }

    /// The role of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Role>> {
        self.roles.get(name)
    }

    /// What every role may do.
    #[must_use]
    pub fn public(&self) -> &Arc<Public> {
        &self.public
    }

    /// The rights of the role of this name, or of [`PUBLIC`], to be changed.
    ///
    /// # Errors
    /// As [`Roles::get_mut`].
    pub fn rights_mut(&mut self, grantee: &str) -> anyhow::Result<Rights<'_>> {
        if grantee == PUBLIC {
            let public = Arc::make_mut(&mut self.public);
            return Ok(Rights {
                grants: &mut public.grants,
                usage: &mut public.usage,
                cohorts: &mut public.cohorts,
            });
        }
        let role = self.get_mut(grantee)?;
        Ok(Rights {
            grants: &mut role.grants,
            usage: &mut role.usage,
            cohorts: &mut role.cohorts,
        })
    }

    /// Every role, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.values()
    }

    /// True when no role exists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roles.is_empty()
    }

    /// Keys that look like those of a role and that no password opens: the same in every conversation, so that a
    /// name without a role cannot be told from one with a password.
    #[must_use]
    pub fn mock_keys(&self, name: &str) -> ScramKeys {
        let made = |what: &str| {
            let mut message = what.as_bytes().to_vec();
            message.push(0);
            message.extend_from_slice(name.as_bytes());
            secret::hmac_sha256(&self.mock_key, &message)
        };
        let mut salt = made("salt").to_vec();
        salt.truncate(secret::SALT_BYTES);
        ScramKeys {
            iterations: secret::ITERATIONS,
            salt,
            stored_key: made("stored"),
            server_key: made("server"),
        }
    }

    /// The role of this name, to be changed.
    ///
    /// # Errors
    /// Names the nearest role.
    pub fn get_mut(&mut self, name: &str) -> anyhow::Result<&mut Role> {
        if !self.roles.contains_key(name) {
            let known = self.roles.keys().map(String::as_str);
            let hint = crate::sqlstate::nearest(name, known)
                .map(|near| format!("; perhaps you meant \"{near}\""))
                .unwrap_or_default();
            anyhow::bail!("role \"{name}\" does not exist{hint}");
        }
        let role = self.roles.get_mut(name).context("a role that was there")?;
        Ok(Arc::make_mut(role))
    }

    /// Adds a role.
    ///
    /// # Errors
    /// When the name is taken or reserved.
    pub fn add(&mut self, role: Role) -> anyhow::Result<()> {
        role.check()?;
        ensure!(
            !self.roles.contains_key(&role.name),
            "role \"{}\" already exists",
            role.name
        );
        self.roles.insert(role.name.clone(), Arc::new(role));
        Ok(())
    }

    /// Removes a role.
    ///
    /// # Errors
    /// As [`Roles::get_mut`].
    pub fn remove(&mut self, name: &str) -> anyhow::Result<()> {
        self.get_mut(name)?;
        self.roles.remove(name);
        Ok(())
    }
}

/// What tells that a file changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let meta = std::fs::metadata(path)?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&meta);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Self {
            modified: meta.modified().ok(),
            bytes: meta.len(),
            inode,
        })
    }
}

/// The roles of a server, read again when their file changes.
#[derive(Debug)]
pub struct RoleStore {
    path: Option<PathBuf>,
    state: RwLock<(Option<Stamp>, Arc<Roles>)>,
    /// Passwords were asked for once: from then on always.
    locked: AtomicBool,
}

impl RoleStore {
    /// No role file: whoever connects is the owner.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn none() -> anyhow::Result<Self> {
        Ok(Self {
            path: None,
            state: RwLock::new((None, Arc::new(Roles::none()?))),
            locked: AtomicBool::new(false),
        })
    }

    /// The roles of a file.
    ///
    /// # Errors
    /// When the file cannot be read, is open to others, or does not hold roles.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let (stamp, roles) = load(path, 1)?;
        let locked = AtomicBool::new(!roles.is_empty());
        Ok(Self {
            path: Some(path.to_owned()),
            state: RwLock::new((Some(stamp), Arc::new(roles))),
            locked,
        })
    }

    /// A new file without roles, or the one that is there.
    ///
    /// # Errors
    /// As [`RoleStore::open`], and when the file cannot be written.
    pub fn open_or_create(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            write(path, &Roles::none()?)?;
        }
        Self::open(path)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether every connection has to prove who it is.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        self.locked.load(Ordering::Acquire) || !self.current().is_empty()
    }

    /// The roles now. A file that cannot be read any more leaves them as they were, with an error in the log.
    #[must_use]
    pub fn current(&self) -> Arc<Roles> {
        let Some(path) = &self.path else {
            return Arc::clone(&self.state.read().1);
        };
        let stamp = Stamp::of(path).ok();
        {
            let state = self.state.read();
            if state.0 == stamp {
                return Arc::clone(&state.1);
            }
        }
        let mut state = self.state.write();
        if state.0 == stamp {
            return Arc::clone(&state.1);
        }
        match load(path, state.1.epoch + 1) {
            Ok((stamp, roles)) => {
                if !roles.is_empty() {
                    self.locked.store(true, Ordering::Release);
                }
                *state = (Some(stamp), Arc::new(roles));
            }
            Err(error) => {
                tracing::error!(%error, "the role file cannot be read: roles stay as they were");
                state.0 = stamp;
            }
        }
        Arc::clone(&state.1)
    }

    /// Changes the roles and writes the file; other writers wait.
    ///
    /// # Errors
    /// What `change` refuses, and when the file cannot be written. Nothing is changed then.
    pub fn update<T>(
        &self,
        change: impl FnOnce(&mut Roles) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let path = self.path.as_ref().context(
            "there is no role file: start the server with --roles FILE, and make roles with \"genokura role\"",
        )?;
        let lock = path.with_extension("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock)
            .with_context(|| format!("cannot open {}", lock.display()))?;
        lock.lock().context("cannot lock the role file")?;
        let (_, mut roles) = load(path, self.state.read().1.epoch)?;
        let result = change(&mut roles)?;
        write(path, &roles)?;
        drop(lock);
        let _now = self.current();
        Ok(result)
    }

    /// Who `name` is now; the owner when there are no roles.
    ///
    /// # Errors
    /// 57P01, FATAL, when the role was removed.
    pub fn authorise(&self, name: &str) -> Result<Authorised, ServerError> {
        let roles = self.current();
        if let (Some(role), Some(access)) = (roles.get(name), roles.access.get(name)) {
            return Ok(Authorised {
                epoch: roles.epoch,
                role: Some(Arc::clone(role)),
                keeps_cohorts: role.admin || role.cohorts || roles.public.cohorts,
                public: Arc::clone(&roles.public),
                access: access.clone(),
            });
        }
        if self.authenticates() {
            let text = "terminating connection because its role was removed";
            return Err(ServerError::new("57P01", text).severity(Severity::Fatal));
        }
        Ok(Authorised {
            epoch: roles.epoch,
            ..Authorised::owner(name)
        })
    }
}

/// What a session may do at one moment.
#[derive(Clone, Debug)]
pub struct Authorised {
    /// The state of the roles that this holds for.
    pub epoch: u64,
    /// The role; None: the owner of a lake without roles.
    pub role: Option<Arc<Role>>,
    /// Whether it may keep cohorts in the lake.
    pub keeps_cohorts: bool,
    /// What every role may do.
    pub public: Arc<Public>,
    /// What it may see.
    pub access: AccessContext,
}

impl Authorised {
    /// The owner of a lake without roles.
    #[must_use]
    pub fn owner(name: &str) -> Self {
        Self {
            epoch: 0,
            role: None,
            keeps_cohorts: true,
            public: Arc::default(),
            access: AccessContext::all(name),
        }
    }

    /// Whether a catalog made for one is right for the other: the same data, the same rights of everybody, and for an
    /// admin the same roles.
    #[must_use]
    pub fn sees_as(&self, other: &Authorised) -> bool {
        self.access == other.access
            && self.limits() == other.limits()
            && self.public == other.public
            && (self.epoch == other.epoch || !other.is_admin())
    }

    /// Whether the session may give rights and see the sessions of others.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.role.as_ref().is_none_or(|role| role.admin)
    }

    /// The role's limits.
    #[must_use]
    pub fn limits(&self) -> RoleLimits {
        self.role
            .as_ref()
            .map(|role| role.limits)
            .unwrap_or_default()
    }
}

fn load(path: &Path, epoch: u64) -> anyhow::Result<(Stamp, Roles)> {
    let shown = path.display();
    let cannot = || format!("cannot read the role file {shown}");
    check_mode(path).with_context(cannot)?;
    let stamp = Stamp::of(path).with_context(cannot)?;
    let text = std::fs::read_to_string(path).with_context(cannot)?;
    let roles = Roles::parse(&text, epoch).map_err(|e| anyhow::anyhow!("in {shown}: {e}"))?;
    Ok((stamp, roles))
}

/// Keys are for the server alone.
#[cfg(unix)]
pub(crate) fn check_mode(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path)?.permissions().mode();
    ensure!(
        mode & 0o077 == 0,
        "{} can be read by others (mode {:03o}): chmod 600 it",
        path.display(),
        mode & 0o777
    );
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn check_mode(path: &Path) -> anyhow::Result<()> {
    std::fs::metadata(path)?;
    Ok(())
}

/// Writes a new file beside the old one and gives it the name; its mode is 600 from the first byte.
fn write(path: &Path, roles: &Roles) -> anyhow::Result<()> {
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => Path::new("."),
    };
    let cannot = || format!("cannot write the role file {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(cannot)?;
    file.write_all(roles.print()?.as_bytes())
        .with_context(cannot)?;
    file.as_file().sync_all().with_context(cannot)?;
    file.persist(path).with_context(cannot)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn role(name: &str) -> Role {
        Role {
            name: name.to_owned(),
            ..Role::default()
        }
    }

    #[test]
    fn a_role_file_is_written_read_and_seen_by_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("roles.toml");
        let (writer, reader) = (
            RoleStore::open_or_create(&path).unwrap(),
            RoleStore::open(&path).unwrap(),
        );
        assert!(!reader.authenticates());
        let mut ann = role("ann");
        ann.password = Some(ScramKeys::generate("hunter2").unwrap());
        let mut cohort = Grant::new("cohort.*".parse().unwrap(), None);
        cohort.except.insert(grant::Part {
            on: "cohort.calls".parse().unwrap(),
            columns: None,
        });
        ann.grants.insert(cohort);
        ann.usage.insert("clin".to_owned(), false);
        ann.samples = Some([("cohort".to_owned(), BTreeSet::from(["S1".to_owned()]))].into());
        ann.limits.rows = Some(7);
        writer.update(|roles| roles.add(ann.clone())).unwrap();
        assert_eq!(reader.current().get("ann").unwrap().as_ref(), &ann);
        let everybody = |roles: &mut Roles| {
            roles
                .rights_mut(PUBLIC)?
                .usage
                .insert("kb".to_owned(), true);
            Ok(())
        };
        writer.update(everybody).unwrap();
        assert_eq!(reader.current().public().usage.get("kb"), Some(&true));
        assert_eq!(reader.current().get("ann").unwrap().as_ref(), &ann);
        assert!(reader.authenticates());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
        let error = writer.update(|roles| roles.add(role("ann"))).unwrap_err();
        assert_eq!(error.to_string(), "role \"ann\" already exists");
    }

    #[test]
    fn a_server_that_asked_for_passwords_goes_on_asking() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("roles.toml");
        let store = RoleStore::open_or_create(&path).unwrap();
        store.update(|roles| roles.add(role("ann"))).unwrap();
        store.update(|roles| roles.remove("ann")).unwrap();
        assert!(store.current().is_empty() && store.authenticates());
        assert_eq!(store.authorise("ann").unwrap_err().code(), "57P01");
        std::fs::remove_file(&path).unwrap();
        assert!(store.authenticates());
        std::fs::write(&path, "nonsense").unwrap();
        assert!(store.authenticates());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("roles.toml");
        RoleStore::open_or_create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = format!("{:#}", RoleStore::open(&path).unwrap_err());
        assert!(error.contains("mode 644"), "{error}");
    }

    #[test]
    fn without_a_grant_nothing_is_readable() {
        let nothing = Public::default();
        let access = role("ann").access(&nothing);
        assert!(access.columns("cohort", "variants").is_none());
        let admin = Role {
            admin: true,
            ..role("root")
        };
        let access = admin.access(&nothing);
        assert!(access.columns("cohort", "variants").is_some());
    }

    #[test]
    fn a_role_may_do_what_it_was_given_and_what_everybody_was() {
        let all_of = |schema: &str| [Grant::new(Target::Schema(schema.to_owned()), None)].into();
        let said = |schema: &str, on| [(schema.to_owned(), on)].into();
        let ann = Role {
            grants: all_of("c"),
            ..role("ann")
        };
        let closed = Role {
            usage: said("c", false),
            ..ann.clone()
        };
        let reads = |role: &Role, public: &Public| role.access(public).columns("c", "t").is_some();
        let nobody = Public::default();
        assert!(reads(&ann, &nobody) && !reads(&closed, &nobody));
        // What everybody may use or read, a role may that was denied the use by itself.
        let usage = Public {
            usage: said("c", true),
            ..Public::default()
        };
        let tables = Public {
            grants: all_of("c"),
            ..Public::default()
        };
        let taken = Public {
            usage: said("c", false),
            ..tables.clone()
        };
        assert!(reads(&closed, &usage) && reads(&closed, &tables));
        assert!(!reads(&closed, &taken) && !reads(&role("bob"), &taken));
        assert!(reads(&role("bob"), &tables) && !reads(&role("bob"), &usage));
        assert!(role("bob").access(&usage).was_given("c"));
        // The schema public is everybody's until that is taken away.
        assert!(nobody.access().uses("public"));
        let no_public = Public {
            usage: said("public", false),
            ..Public::default()
        };
        assert!(!role("bob").access(&no_public).uses("public"));
    }

    #[test]
    fn what_everybody_was_given_vouches_for_nothing_and_shows_no_sample() {
        let columns = Some(BTreeSet::from(["qual".to_owned()]));
        let grants = BTreeSet::from([Grant::new("c.variants".parse().unwrap(), columns)]);
        let ann = Role {
            samples: Some([("c".to_owned(), BTreeSet::from(["S1".to_owned()]))].into()),
            ..role("ann")
        };
        let public = Public {
            grants: grants.clone(),
            ..Public::default()
        };
        let access = ann.access(&public);
        assert!(access.columns("c", "variants").is_some());
        assert!(!access.vouches("c", "variants", "qual"));
        assert!(access.sees("c", "S1") && !access.sees("c", "S2"));
        let own = Role { grants, ..ann };
        assert!(own.access(&public).vouches("c", "variants", "qual"));
    }

    #[test]
    fn unknown_names_get_the_same_salt_every_time() {
        let roles = Roles::none().unwrap();
        assert_eq!(roles.mock_keys("x"), roles.mock_keys("x"));
        assert_ne!(roles.mock_keys("x").salt, roles.mock_keys("y").salt);
    }
}
