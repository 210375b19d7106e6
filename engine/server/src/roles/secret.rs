//! What is kept of a password: the keys of SCRAM-SHA-256, from which it cannot be computed.
//!
//! `SaltedPassword = PBKDF2-HMAC-SHA-256(password, salt, iterations)`, `StoredKey = H(HMAC(SaltedPassword,
//! "Client Key"))`, `ServerKey = HMAC(SaltedPassword, "Server Key")` (RFC 5802 and 7677). The text form is
//! PostgreSQL's `pg_authid.rolpassword`: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Rounds of PBKDF2 for new passwords: PostgreSQL's.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(4095);
/// Bytes of a new salt, as PostgreSQL's.
pub const SALT_BYTES: usize = 16;
/// Bytes of SHA-256.
pub const KEY_BYTES: usize = 32;

const MECHANISM: &str = "SCRAM-SHA-256";

/// The stored keys of one password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Rounds of PBKDF2.
    pub iterations: NonZeroU32,
    /// The salt.
    pub salt: Vec<u8>,
    /// Proves that a client knows the password, without telling it.
    pub stored_key: [u8; KEY_BYTES],
    /// Proves to the client that the server knows the keys.
    pub server_key: [u8; KEY_BYTES],
}

impl ScramKeys {
    /// Keys of a password under a fresh random salt.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(password: &str) -> anyhow::Result<Self> {
        Ok(Self::derive(password, &random::<SALT_BYTES>()?, ITERATIONS))
    }

    /// Keys of a password under this salt. The password is normalised by SASLprep; one that SASLprep
    /// refuses is taken as it is, as in PostgreSQL.
    #[must_use]
    pub fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let normalised = stringprep::saslprep(password).unwrap_or(password.into());
        let mut salted = [0; KEY_BYTES];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            normalised.as_bytes(),
            &mut salted,
        );
        Self {
            iterations,
            salt: salt.to_vec(),
            stored_key: sha256(&hmac_sha256(&salted, b"Client Key")),
            server_key: hmac_sha256(&salted, b"Server Key"),
        }
    }
}

impl fmt::Display for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{MECHANISM}${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(self.stored_key),
            STANDARD.encode(self.server_key)
        )
    }
}

/// Tells that there are keys and nothing of them: whoever has them can pose as the server.
impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(…)")
    }
}

/// A text that is no stored key. It is not repeated: it may be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored password must read SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>; \
     plain passwords are not stored"
)]
pub struct NotStoredKeys;

impl FromStr for ScramKeys {
    type Err = NotStoredKeys;

    fn from_str(text: &str) -> Result<Self, NotStoredKeys> {
        let mut parts = text.split('$');
        let (Some(MECHANISM), Some(salted), Some(keys), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotStoredKeys);
        };
        let (iterations, salt) = salted.split_once(':').ok_or(NotStoredKeys)?;
        let (stored, server) = keys.split_once(':').ok_or(NotStoredKeys)?;
        let salt = STANDARD.decode(salt).map_err(|_| NotStoredKeys)?;
        if salt.is_empty() {
            return Err(NotStoredKeys);
        }
        Ok(Self {
            iterations: iterations.parse().map_err(|_| NotStoredKeys)?,
            salt,
            stored_key: key(stored)?,
            server_key: key(server)?,
        })
    }
}

fn key(text: &str) -> Result<[u8; KEY_BYTES], NotStoredKeys> {
    let bytes = STANDARD.decode(text).map_err(|_| NotStoredKeys)?;
    bytes.try_into().map_err(|_| NotStoredKeys)
}

impl Serialize for ScramKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ScramKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// HMAC-SHA-256.
pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; KEY_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    fixed(tag.as_ref())
}

/// SHA-256.
pub(crate) fn sha256(message: &[u8]) -> [u8; KEY_BYTES] {
    fixed(digest::digest(&digest::SHA256, message).as_ref())
}

fn fixed(bytes: &[u8]) -> [u8; KEY_BYTES] {
    let mut out = [0; KEY_BYTES];
    out.copy_from_slice(bytes);
    out
}

/// Bytes that nobody can guess.
///
/// # Errors
/// When the system gives none.
pub(crate) fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RFC 7677, section 3: user "user", password "pencil".
    #[test]
    fn keys_are_those_of_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = ScramKeys::derive("pencil", &salt, ITERATIONS);
        let text = keys.to_string();
        assert_eq!(
            text,
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
             WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
        assert_eq!(text.parse::<ScramKeys>().unwrap(), keys);
    }

    #[test]
    fn what_is_no_stored_key_is_refused_and_not_repeated() {
        for text in [
            "secret",
            "md5d41d8cd98f00b204e9800998ecf8427e",
            "SCRAM-SHA-256$0:c2FsdA==$a:b",
            "SCRAM-SHA-256$4096:c2FsdA==$c2hvcnQ=:c2hvcnQ=",
        ] {
            let error = text.parse::<ScramKeys>().unwrap_err().to_string();
            assert!(!error.contains(text), "{error}");
        }
    }

    #[test]
    fn two_salts_give_two_keys_and_debug_shows_neither() {
        let (one, two) = (
            ScramKeys::generate("x").unwrap(),
            ScramKeys::generate("x").unwrap(),
        );
        assert_ne!(one.stored_key, two.stored_key);
        assert_eq!(format!("{one:?}"), "ScramKeys(…)");
    }
}
