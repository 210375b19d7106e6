//! Locations: any URL or path to an object store and a path in it.
//!
//! | text | store |
//! |---|---|
//! | `dir/file`, `/dir/file`, `file:///dir/file` | the local file system |
//! | `memory://name/dir` | memory of this process; the same name is the same store |
//! | `s3://bucket/dir` (`s3a`) | S3, by the variables `AWS_*` (`AWS_ENDPOINT_URL` and `AWS_ALLOW_HTTP` too) |
//! | `gs://bucket/dir` | Google Cloud Storage, by `GOOGLE_*` |
//! | `az://container/dir`, `abfss://container@account.host/dir` | Azure, by `AZURE_*` |
//!
//! One bucket is one client in the process, shared by all who name it, so connections are pooled.
//! Paths are those within the bucket (the whole path on a local file system).

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use parking_lot::Mutex;
use url::Url;

use crate::error::{Error, Result};

/// A place in an object store.
#[derive(Clone, Debug)]
pub struct Location {
    /// The URL, absolute and without credentials; printing it is safe.
    pub url: Url,
    /// The store that holds the place: one per bucket, shared.
    pub store: Arc<dyn ObjectStore>,
    /// The path within the store.
    pub path: Path,
}

impl Location {
    /// Parses a URL or a path of the local file system (relative to the working directory).
    ///
    /// Nothing is opened or created; a place that does not exist is found out when it is read.
    ///
    /// # Errors
    /// [`Error::Location`] for a scheme we do not know or a store whose variables do not suffice.
    pub fn parse(text: &str) -> Result<Self> {
        let url = to_url(text)?;
        let store = store_of(&url, text)?;
        let path = Path::from_url_path(url.path()).map_err(|e| refuse(text, e))?;
        Ok(Self { url, store, path })
    }

    /// The place on the local file system, if it is there.
    #[must_use]
    pub fn local_path(&self) -> Option<std::path::PathBuf> {
        if self.url.scheme() == "file" {
            self.url.to_file_path().ok()
        } else {
            None
        }
    }
}

/// Makes `store` answer for every URL with the scheme and host of `base` in this process,
/// in place of a client made from environment variables.
///
/// # Errors
/// [`Error::Location`] when `base` is no URL.
pub fn register(base: &str, store: Arc<dyn ObjectStore>) -> Result<()> {
    let url = Url::parse(base).map_err(|e| refuse(base, e))?;
    STORES.lock().insert(store_key(&url), store);
    Ok(())
}

static STORES: LazyLock<Mutex<HashMap<String, Arc<dyn ObjectStore>>>> =
    LazyLock::new(|| Mutex::new(HashMap::new()));

fn store_key(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.authority())
}

fn store_of(url: &Url, text: &str) -> Result<Arc<dyn ObjectStore>> {
    let key = store_key(url);
    let mut stores = STORES.lock();
    if let Some(store) = stores.get(&key) {
        return Ok(Arc::clone(store));
    }
    let store = make_store(url, text)?;
    stores.insert(key, Arc::clone(&store));
    Ok(store)
}

fn make_store(url: &Url, text: &str) -> Result<Arc<dyn ObjectStore>> {
    let store: Arc<dyn ObjectStore> = match url.scheme() {
        "file" => Arc::new(LocalFileSystem::new()),
        "memory" => Arc::new(InMemory::new()),
        "s3" | "s3a" => Arc::new(
            AmazonS3Builder::from_env()
                .with_url(url.as_str())
                .build()
                .map_err(|e| refuse(text, e))?,
        ),
        "gs" => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(url.as_str())
                .build()
                .map_err(|e| refuse(text, e))?,
        ),
        "az" | "azure" | "abfs" | "abfss" | "adl" => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(url.as_str())
                .build()
                .map_err(|e| refuse(text, e))?,
        ),
        other => {
            return Err(refuse(
                text,
                format!("scheme \"{other}\" is not one of file, memory, s3, gs, az, abfss"),
            ));
        }
    };
    Ok(store)
}

fn to_url(text: &str) -> Result<Url> {
    if text.is_empty() {
        return Err(refuse(text, "it is empty"));
    }
    if text.contains("://") {
        let url = Url::parse(text).map_err(|e| refuse(text, e))?;
        if url.password().is_some() {
            return Err(refuse(
                "(hidden)",
                "a URL must not hold a password; use the environment",
            ));
        }
        return Ok(url);
    }
    let path = std::path::absolute(text).map_err(|e| refuse(text, e))?;
    Url::from_file_path(without_parents(&path))
        .map_err(|()| refuse(text, "it is no path of this file system"))
}

/// The same place without `..`, which object paths cannot hold. What exists is followed through symbolic links,
/// as the system would.
fn without_parents(path: &std::path::Path) -> std::path::PathBuf {
    let mut plain = std::path::PathBuf::new();
    for component in path.components() {
        if component == std::path::Component::ParentDir {
            plain = plain.canonicalize().unwrap_or(plain);
            plain.pop();
        } else {
            plain.push(component);
        }
    }
    plain
}

fn refuse(text: &str, reason: impl std::fmt::Display) -> Error {
    Error::Location {
        text: text.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn texts_become_urls_and_paths() {
        let cases = [
            ("/a/b c.vcf", "file:///a/b%20c.vcf", "a/b c.vcf"),
            ("file:///a/b", "file:///a/b", "a/b"),
            ("memory://one/x/y", "memory://one/x/y", "x/y"),
            ("/a/b/", "file:///a/b", "a/b"),
        ];
        for (text, url, path) in cases {
            let location = Location::parse(text).unwrap();
            assert_eq!(location.url.as_str(), url, "{text}");
            assert_eq!(location.path.as_ref(), path, "{text}");
        }
    }

    #[test]
    fn one_bucket_is_one_store() {
        let one = Location::parse("memory://shared/a").unwrap();
        let two = Location::parse("memory://shared/b").unwrap();
        let other = Location::parse("memory://not-shared/b").unwrap();
        assert!(Arc::ptr_eq(&one.store, &two.store));
        assert!(!Arc::ptr_eq(&one.store, &other.store));
    }

    #[test]
    fn what_is_no_location_is_refused_with_the_reason() {
        for text in ["", "ftp://host/x", "s3://user:secret@bucket/x"] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
            assert!(error.contains("no usable location"), "{error}");
        }
    }

    #[test]
    fn a_path_may_climb() {
        let here = Location::parse("src/../Cargo.toml")
            .unwrap()
            .local_path()
            .unwrap();
        let plain = Location::parse("Cargo.toml").unwrap().local_path().unwrap();
        assert_eq!(here, plain.canonicalize().unwrap());
        let absent = Location::parse("/no/such/../lake")
            .unwrap()
            .local_path()
            .unwrap();
        assert_eq!(absent, std::path::Path::new("/no/lake"));
    }
}
