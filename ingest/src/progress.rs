//! How a job tells the caller where it stands, and how the caller stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Receives the progress of a job. Calls come from several threads, a few per second and thread.
pub trait Progress: Send + Sync {
    /// Bytes of input taken so far, as they lie in the store (compressed), and their total if
    /// known.
    fn bytes(&self, done: u64, total: Option<u64>);
    /// Records read so far. Starts again from 0 when a job has to read its inputs once more.
    fn records(&self, n: u64);
    /// A sentence for the log.
    fn message(&self, text: &str);
}

/// Progress that nobody looks at.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn bytes(&self, _: u64, _: Option<u64>) {}
    fn records(&self, _: u64) {}
    fn message(&self, _: &str) {}
}

/// A flag shared by the caller and the job. Once set, the job stops at the next chunk and leaves
/// nothing visible in the lake.
#[derive(Debug, Default, Clone)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the job to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody asked the job to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// [`crate::Error::Cancelled`] once the flag is set.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`].
    pub fn check(&self) -> crate::Result<()> {
        if self.is_cancelled() {
            Err(crate::Error::Cancelled)
        } else {
            Ok(())
        }
    }
}
