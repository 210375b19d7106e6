//! Where an export goes: a file, an object, or standard output.
//!
//! A file is written under a temporary name beside its own and renamed at the end; an object is
//! uploaded in parts and completed at the end. What dies before leaves nothing under the final name.

use std::fs::File;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use genokura_storage::Location;
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt;

use crate::error::{Error, Result};

/// An output that can be opened.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Stdout,
    File(PathBuf),
    Object(Location),
}

impl Target {
    /// A path, an object URL, or `-`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text == "-" {
            return Ok(Self::Stdout);
        }
        if !text.contains("://") {
            return Ok(Self::File(PathBuf::from(text)));
        }
        let location = Location::parse(text)?;
        Ok(match location.local_path() {
            Some(path) => Self::File(path),
            None => Self::Object(location),
        })
    }

    /// The target of another file beside this one.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Result<Self> {
        Ok(match self {
            Self::Stdout => Self::Stdout,
            Self::File(path) => {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                Self::File(PathBuf::from(name))
            }
            Self::Object(location) => {
                Self::Object(Location::parse(&format!("{}{suffix}", location.url))?)
            }
        })
    }

    /// Refuses an output that is there already.
    pub(crate) async fn must_be_new(&self) -> Result<()> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(path) if is_plain(path) => Err(Error::Exists(path.clone())),
            Self::File(_) => Ok(()),
            Self::Object(location) => match location.store.head(&location.path).await {
                Ok(_) => Err(Error::Exists(PathBuf::from(location.url.as_str()))),
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(source) => Err(Error::Store {
                    place: location.url.to_string(),
                    source,
                }),
            },
        }
    }

    /// Refuses to write bytes that are no text to a terminal.
    pub(crate) fn must_not_be_terminal(&self) -> Result<()> {
        if matches!(self, Self::Stdout) && std::io::stdout().is_terminal() {
            let message = "the output is binary: send standard output to a file, or name one by -o";
            return Err(Error::Request(message.to_owned()));
        }
        Ok(())
    }

    pub(crate) async fn open(&self) -> Result<Sink> {
        Ok(match self {
            Self::Stdout => Sink::Stdout,
            Self::File(path) => Sink::File(FileSink::create(path)?),
            Self::Object(location) => {
                let (store, path) = (std::sync::Arc::clone(&location.store), &location.path);
                let writer = BufWriter::new(store, path.clone());
                let place = location.url.to_string();
                Sink::Object(Box::new(writer), place)
            }
        })
    }
}

/// True for a file that a rename would replace; a device or a pipe is written as it is.
fn is_plain(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file() || found.is_dir())
}

/// An output under way. Dropped before [`Sink::finish`], it leaves nothing behind.
pub(crate) enum Sink {
    Stdout,
    File(FileSink),
    Object(Box<BufWriter>, String),
}

/// A file under its temporary name.
pub(crate) struct FileSink {
    file: File,
    path: PathBuf,
    /// `None`: written in place.
    temporary: Option<PathBuf>,
}

impl FileSink {
    fn create(path: &Path) -> Result<Self> {
        let in_place = std::fs::metadata(path).is_ok_and(|found| !found.is_file());
        let temporary = (!in_place).then(|| {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".{}.part", std::process::id()));
            PathBuf::from(name)
        });
        let written = temporary.as_deref().unwrap_or(path);
        let file = match in_place {
            true => File::options().write(true).open(written),
            false => File::create(written),
        };
        let file = file.map_err(|source| failed(path, source))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            temporary,
        })
    }

    fn finish(mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|source| failed(&self.path, source))?;
        if let Some(temporary) = self.temporary.take() {
            let renamed = std::fs::rename(&temporary, &self.path);
            if renamed.is_err() {
                self.temporary = Some(temporary);
            }
            renamed.map_err(|source| failed(&self.path, source))?;
        }
        Ok(())
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary
            && let Err(error) = std::fs::remove_file(temporary)
        {
            tracing::warn!(%error, "a temporary file stays: {}", temporary.display());
        }
    }
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::Write {
        place: path.display().to_string(),
        source,
    }
}

impl Sink {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match self {
            Self::Stdout => {
                let written = std::io::stdout().lock().write_all(bytes);
                written.map_err(|source| failed(Path::new("standard output"), source))
            }
            Self::File(sink) => {
                let written = sink.file.write_all(bytes);
                written.map_err(|source| failed(&sink.path, source))
            }
            Self::Object(writer, place) => {
                writer
                    .write_all(bytes)
                    .await
                    .map_err(|source| Error::Write {
                        place: place.clone(),
                        source,
                    })
            }
        }
    }

    /// Gives the output its name.
    pub(crate) async fn finish(self) -> Result<()> {
        match self {
            Self::Stdout => {
                let flushed = std::io::stdout().lock().flush();
                flushed.map_err(|source| failed(Path::new("standard output"), source))
            }
            Self::File(sink) => sink.finish(),
            Self::Object(mut writer, place) => writer
                .shutdown()
                .await
                .map_err(|source| Error::Write { place, source }),
        }
    }

    /// Gives the output up. Dropping does it as well, but an upload may then linger in the store.
    pub(crate) async fn abort(self) {
        if let Self::Object(mut writer, place) = self
            && let Err(error) = writer.abort().await
        {
            tracing::warn!(%error, "an upload was not taken back: {place}");
        }
    }
}
