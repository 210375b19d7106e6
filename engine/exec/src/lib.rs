//! Execution: a lake's datasets as DataFusion tables, the scans that answer them, and the sessions they run in.
//!
//! Start with [`Engine`]: one per process and lake, shared by every session. [`Engine::session`] gives a
//! `SessionContext` over one lake snapshot as one [`AccessContext`] may see it.

pub mod access;
mod calls;
mod catalog;
mod dataset;
pub mod directory;
pub mod error;
mod plain;
pub mod predicate;
pub mod session;
pub mod spec;
mod table;

pub use access::{AccessContext, MaskedColumn, SampleVisibility};
pub use directory::{DirectoryBlock, SampleDirectory};
pub use error::{Error, Result};
pub use session::{CATALOG, DEFAULT_SCHEMA, Engine, EngineConfig, MemoryPoolKind, engine_of};
