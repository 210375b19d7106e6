//! The lake: Parquet files, Delta tables and lake commits on object storage.
//!
//! A [`Lake`] is one URL. A reader takes a [`LakeSnapshot`] and from it a [`TableSnapshot`] per
//! table, whose files it opens with a [`FileReader`]. A writer fills a [`PartWriter`] per table
//! and hands the files to [`Lake::commit`]. [`commit`] explains what is visible when.

pub mod byte_cache;
pub mod cohort;
pub mod commit;
mod delta;
pub mod digest;
pub mod error;
mod lake;
pub mod layout;
pub mod location;
pub mod manifest;
pub mod reader;
pub mod snapshot;
pub mod state;
pub mod verify;
pub mod writer;

pub use byte_cache::ByteCache;
pub use cohort::{COHORT_COLUMN, COHORT_SCHEMA};
pub use commit::{CommitOutcome, LakeChange, LakeCommit, TableChange};
pub use error::{Error, Result};
pub use lake::Lake;
pub use location::Location;
pub use manifest::{DataFile, FileStats, NewFile, ScalarStat, TableId};
pub use reader::{FileReader, ReadPlan, RowGroup};
pub use snapshot::{LakeSnapshot, TableSnapshot};
pub use state::{Batch, Block, CohortState, Contig, DatasetState, InputRecord, LakeState};
pub use verify::VerifyReport;
pub use writer::{PartWriter, WritePolicy};

/// What we call ourselves in logs.
pub(crate) const ENGINE: &str = concat!("genokura/", env!("CARGO_PKG_VERSION"));
