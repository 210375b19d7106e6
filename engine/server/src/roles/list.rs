//! All roles of a server at one moment, and the text of the file that holds them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genokura_exec::AccessContext;
use serde::{Deserialize, Serialize};

use super::role::{PUBLIC, Public, Rights, Role};
use super::secret::{self, ScramKeys};

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
    pub(super) fn none() -> anyhow::Result<Self> {
        Ok(Self {
            epoch: 0,
            mock_key: secret::random()?,
            roles: BTreeMap::new(),
            public: Arc::default(),
            access: BTreeMap::new(),
        })
    }

    pub(super) fn parse(text: &str, epoch: u64) -> anyhow::Result<Self> {
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

    pub(super) fn print(&self) -> anyhow::Result<String> {
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

    /// What the role of this name may see.
    pub(super) fn access(&self, name: &str) -> Option<&AccessContext> {
        self.access.get(name)
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

    /// Adds a role, which is another one than every role that had its name before.
    ///
    /// # Errors
    /// When the name is taken or reserved, or the system gives no random bytes.
    pub fn add(&mut self, mut role: Role) -> anyhow::Result<()> {
        role.check()?;
        role.id = Some(STANDARD.encode(secret::random::<12>()?));
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
