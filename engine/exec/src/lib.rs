//! Execution: a lake's datasets as DataFusion tables, the scans that answer them, and the sessions they run in.
//!
//! Start with [`Engine`]: one per process and lake, shared by every session. [`Engine::session`] gives a
//! `SessionContext` over one lake snapshot as one [`AccessContext`] may see it.

pub mod access;
mod bare_rows;
mod blobs;
mod call_join;
mod calls;
mod carried;
mod catalog;
mod cells;
mod choice;
mod codec;
mod cohorts;
mod counted;
mod counting;
mod dataset;
pub mod directory;
mod dynamic;
pub mod effects;
mod error;
mod formats;
mod interval_join;
mod lake_files;
mod lanes;
mod members;
mod metrics;
mod nan;
mod plain;
pub mod predicate;
mod pruning;
pub mod records;
mod scan;
pub mod session;
mod source;
pub mod spec;
mod table;
mod variants;
mod visible_rows;

pub use access::{AccessContext, MaskedColumn, ReadGrant, ReadGrants, SampleVisibility};
pub use bare_rows::{BareRowsExec, Forgets};
pub use call_join::join_on_sites;
pub use codec::{decode_scan, encode_scan};
pub use counting::{CallCountExec, MEAN_OF_INTEGERS, count_on_packed};
pub use directory::{DirectoryBlock, SampleDirectory};
pub use error::{Error, Result};
pub use interval_join::{IntervalCondition, IntervalJoinExec, SpanExprs};
pub use scan::DatasetScanExec;
pub use session::{CATALOG, DEFAULT_SCHEMA, Engine, EngineConfig, MemoryPoolKind, engine_of};
pub use table::{DatasetInfo, dataset_info, is_of_calls};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
