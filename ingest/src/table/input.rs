//! The one input of a table or regions job: read as often as it takes, decompressed.

use std::io::{BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::progress::CancelFlag;
use crate::source::{Container, Source, resolve};

/// An input that can be read several times.
#[derive(Debug)]
pub(crate) struct Input {
    source: Source,
}

impl Input {
    /// Opens the one input that `text` names; `-` is stdin, spooled to a temporary file.
    ///
    /// # Errors
    /// [`Error::Request`] for a pattern that matches several files, [`Error::Read`] for a missing one.
    pub(crate) async fn open(text: &str) -> Result<Self> {
        let mut sources = resolve(&[text.to_owned()]).await?;
        match (sources.pop(), sources.is_empty()) {
            (Some(source), true) => Ok(Self { source }),
            _ => Err(Error::Request(
                "one input makes one table; name a single file".to_owned(),
            )),
        }
    }

    /// Opens all inputs that texts name, globs among them.
    ///
    /// # Errors
    /// [`Error::Request`] for a pattern that matches nothing, [`Error::Read`] for a missing file.
    pub(crate) async fn open_all(texts: &[String]) -> Result<Vec<Self>> {
        let sources = resolve(texts).await?;
        Ok(sources.into_iter().map(|source| Self { source }).collect())
    }

    /// File name without folders.
    pub(crate) fn name(&self) -> &str {
        &self.source.name
    }

    /// Size in bytes as it lies in the store.
    pub(crate) fn size(&self) -> u64 {
        self.source.size
    }

    /// Digest of its bytes. Blocking.
    pub(crate) fn digest(&self, cancel: &CancelFlag) -> Result<String> {
        let handle = tokio::runtime::Handle::current();
        self.source.digest(&handle, &|| cancel.is_cancelled())
    }

    /// The bytes from the front, decompressed when they are gzip or BGZF. Blocking.
    ///
    /// # Errors
    /// [`Error::Format`] for a compression that is not read.
    pub(crate) fn read(&self) -> Result<Box<dyn Read + Send>> {
        let raw = self.source.read(&tokio::runtime::Handle::current())?;
        match raw.foreign() {
            Some(reason) if !reason.starts_with("Parquet") => {
                return Err(Error::Format {
                    input: 1,
                    reason: reason.to_owned(),
                });
            }
            _ => {}
        }
        Ok(match raw.container() {
            Container::Plain => Box::new(raw),
            Container::Bgzf | Container::Gzip => {
                Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 18, raw)))
            }
        })
    }

    /// The first bytes of the decompressed text. Blocking.
    pub(crate) fn head(&self) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let failed = |e: std::io::Error| Error::Read {
            input: 1,
            reason: e.to_string(),
        };
        self.read()?
            .take(64 << 10)
            .read_to_end(&mut head)
            .map_err(failed)?;
        Ok(head)
    }
}

/// Runs blocking work on a thread that may wait; a panic there is an internal error.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::Internal(e.to_string()))?
}
