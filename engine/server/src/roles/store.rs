//! The file of a server's roles: read again when it changes, written whole or not at all.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use anyhow::{Context as _, ensure};
use genokura_exec::AccessContext;
use parking_lot::RwLock;

use super::{Public, Role, RoleLimits, Roles};
use crate::sqlstate::{ServerError, Severity};

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

    /// Who `name` is now, if it is still the role that logged in; the owner when there are no roles.
    ///
    /// # Errors
    /// 57P01, FATAL, when the role was removed, also when another one has its name now.
    pub fn authorise(&self, name: &str, login: Option<&Role>) -> Result<Authorised, ServerError> {
        let roles = self.current();
        if let (Some(role), Some(access)) = (roles.get(name), roles.access(name))
            && login.is_some_and(|login| login.id == role.id)
        {
            return Ok(Authorised {
                epoch: roles.epoch,
                role: Some(Arc::clone(role)),
                keeps_cohorts: role.admin || role.cohorts || roles.public().cohorts,
                public: Arc::clone(roles.public()),
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
    // Of what is no file, reading may never come to an end.
    let meta = std::fs::metadata(path).with_context(cannot)?;
    ensure!(meta.is_file(), "{shown} is no regular file");
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
