//! The samples of a dataset as one session sees them, and the process-wide registry that packed genotype cells refer to.
//!
//! A `gt` cell carries the id of a directory and numbers blocks by their place in it. The id is a hash of the
//! content, so the same samples in the same blocks have the same id in every process.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use arrow::array::{ArrayRef, StringArray};
use parking_lot::RwLock;

/// One sample block: which samples its genotype rows hold, in row order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryBlock {
    /// The number of the block in the lake (`batch << 12 | k`).
    pub block: i32,
    /// For each position in the block the index of its sample in [`SampleDirectory::samples`].
    pub samples: Arc<[u32]>,
}

/// The visible samples of one dataset, each name once, and the blocks that hold them.
///
/// Samples that the session may not see do not occur: neither their names nor their positions.
#[derive(Debug)]
pub struct SampleDirectory {
    /// Hash of the content; what a genotype cell refers to.
    pub id: u64,
    /// Names in order of first appearance in the dataset.
    pub samples: Vec<String>,
    /// Blocks in ascending number. A cell numbers blocks by their index here.
    pub blocks: Vec<DirectoryBlock>,
    index: HashMap<String, u32>,
    names: ArrayRef,
}

impl SampleDirectory {
    /// Makes a directory and enters it in the registry; an equal one that is alive is returned instead.
    ///
    /// Names must be unique and the indexes in `blocks` must be below `samples.len()`; a later duplicate name is
    /// found by [`Self::index_of`] under its first index.
    pub fn register(samples: Vec<String>, blocks: Vec<DirectoryBlock>) -> Arc<Self> {
        let id = content_id(&samples, &blocks);
        let mut registry = REGISTRY.write();
        if let Some(found) = registry.get(&id).and_then(Weak::upgrade) {
            return found;
        }
        let mut index = HashMap::with_capacity(samples.len());
        for (i, name) in (0u32..).zip(&samples) {
            index.entry(name.clone()).or_insert(i);
        }
        let names = StringArray::from_iter_values(&samples);
        let directory = Arc::new(Self {
            id,
            names: Arc::new(names),
            samples,
            blocks,
            index,
        });
        registry.retain(|_, held| held.strong_count() > 0);
        registry.insert(id, Arc::downgrade(&directory));
        directory
    }

    /// [`Self::samples`] as a column.
    pub fn names(&self) -> &ArrayRef {
        &self.names
    }

    /// The index of a sample by its exact name; `None` when this directory does not hold it.
    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.index.get(name).copied()
    }

    /// The place of a lake block number in [`Self::blocks`].
    pub fn ordinal_of(&self, block: i32) -> Option<usize> {
        self.blocks.binary_search_by_key(&block, |b| b.block).ok()
    }
}

static REGISTRY: LazyLock<RwLock<HashMap<u64, Weak<SampleDirectory>>>> =
    LazyLock::new(RwLock::default);

/// The directory with this id, as long as a snapshot, session or plan of this process holds it.
pub fn lookup(id: u64) -> Option<Arc<SampleDirectory>> {
    REGISTRY.read().get(&id).and_then(Weak::upgrade)
}

/// FNV-1a over names and blocks, each closed by a byte that names cannot hold.
fn content_id(samples: &[String], blocks: &[DirectoryBlock]) -> u64 {
    let mut hash = Fnv::default();
    for name in samples {
        hash.write(name.as_bytes());
        hash.write(&[0xff]);
    }
    for block in blocks {
        hash.write(&block.block.to_le_bytes());
        hash.write(&(block.samples.len() as u64).to_le_bytes());
        for &sample in block.samples.iter() {
            hash.write(&sample.to_le_bytes());
        }
    }
    hash.0
}

struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn block(number: i32, samples: &[u32]) -> DirectoryBlock {
        DirectoryBlock {
            block: number,
            samples: samples.into(),
        }
    }

    #[test]
    fn equal_content_is_one_directory() {
        let names = || vec!["S1".to_owned(), "S2".to_owned()];
        let a = SampleDirectory::register(names(), vec![block(0, &[0, 1])]);
        let b = SampleDirectory::register(names(), vec![block(0, &[0, 1])]);
        let c = SampleDirectory::register(names(), vec![block(0, &[1, 0])]);
        assert!(Arc::ptr_eq(&a, &b));
        assert_ne!(a.id, c.id);
        assert!(Arc::ptr_eq(&lookup(a.id).unwrap(), &a));
    }

    #[test]
    fn the_registry_does_not_keep_a_directory_alive() {
        let made = SampleDirectory::register(vec!["only-here".into()], vec![block(7, &[0])]);
        let id = made.id;
        assert_eq!(made.index_of("only-here"), Some(0));
        assert_eq!(made.ordinal_of(7), Some(0));
        drop(made);
        assert!(lookup(id).is_none());
    }
}
