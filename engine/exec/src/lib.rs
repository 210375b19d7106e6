//! Execution: a lake's datasets as DataFusion tables, the scans that answer them, and the sessions they run in.
//!
//! Start with [`Engine`]: one per process and lake, shared by every session. [`Engine::session`] gives a
//! `SessionContext` over one lake snapshot as one [`AccessContext`] may see it.

pub mod access;
pub mod directory;
pub mod error;
pub mod predicate;

pub use access::{AccessContext, MaskedColumn, SampleVisibility};
pub use directory::{DirectoryBlock, SampleDirectory};
pub use error::{Error, Result};
