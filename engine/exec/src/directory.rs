//! The samples of a dataset as one session sees them, and the process-wide registry that packed genotype cells refer to.
//!
//! A `gt` cell carries the id of a directory and numbers blocks by their place in it. The id is a hash of the
//! content, so the same samples in the same blocks have the same id in every process. Whoever has seen a cell knows an id:
//! it opens the directory only for sessions that may see what those may see which it was made for ([`CellAccess`]).

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, LazyLock, Weak};

use arrow::array::{ArrayRef, StringArray};
use datafusion::common::config::ConfigOptions;
use parking_lot::RwLock;

use crate::access::AccessContext;

/// What a session may see, as far as the cells that it may open go: an extension of its options. Without it no cell
/// opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellAccess(u64);

impl CellAccess {
    /// That of sessions under an access context.
    pub fn of(access: &AccessContext) -> Self {
        // Keyed anew in each process: nobody can look for a context that has the mark of another.
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let seen = (&access.visible, &access.readable, &access.masked_columns);
        Self(KEY.hash_one(seen))
    }

    /// That of the session with these options.
    pub fn in_options(options: &ConfigOptions) -> Option<Self> {
        options.extensions.get::<Self>().copied()
    }
}

crate::carried_in_options!(CellAccess, "genokura_cells");

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
    /// Makes a directory and enters it in the registry, for sessions of this access, or for none to open; an equal one
    /// that is alive is returned instead.
    ///
    /// Names must be unique and the indexes in `blocks` must be below `samples.len()`; a later duplicate name is
    /// found by [`Self::index_of`] under its first index.
    pub fn register(
        samples: Vec<String>,
        blocks: Vec<DirectoryBlock>,
        access: impl Into<Option<CellAccess>>,
    ) -> Arc<Self> {
        let access = access.into();
        let mut id = content_id(&samples, &blocks);
        let mut registry = REGISTRY.write();
        registry.retain(|_, held| held.directory.strong_count() > 0);
        while let Some(held) = registry.get_mut(&id) {
            if let Some(found) = held.directory.upgrade()
                && found.samples == samples
                && found.blocks == blocks
            {
                held.readers.extend(access);
                return found;
            }
            // Other samples have this hash.
            id = id.wrapping_add(1);
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
        let held = Held {
            directory: Arc::downgrade(&directory),
            readers: access.into_iter().collect(),
        };
        registry.insert(id, held);
        directory
    }

    /// A directory of nobody.
    pub fn empty() -> Arc<Self> {
        Self::register(Vec::new(), Vec::new(), None)
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

/// A directory of the registry.
struct Held {
    directory: Weak<SampleDirectory>,
    /// The sessions that it was made for.
    readers: BTreeSet<CellAccess>,
}

static REGISTRY: LazyLock<RwLock<HashMap<u64, Held>>> = LazyLock::new(RwLock::default);

/// The directory with this id, as long as a snapshot, session or plan of this process holds it, for a session of this
/// access.
pub fn lookup(id: u64, access: CellAccess) -> Option<Arc<SampleDirectory>> {
    let registry = REGISTRY.read();
    let held = registry.get(&id)?;
    held.readers
        .contains(&access)
        .then(|| held.directory.upgrade())?
}

/// The directory with this id, whoever asks.
#[cfg(test)]
pub(crate) fn opened(id: u64) -> Option<Arc<SampleDirectory>> {
    REGISTRY.read().get(&id)?.directory.upgrade()
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
    use std::collections::BTreeMap;

    use super::*;
    use crate::access::{MaskedColumn, SampleVisibility};

    fn block(number: i32, samples: &[u32]) -> DirectoryBlock {
        DirectoryBlock {
            block: number,
            samples: samples.into(),
        }
    }

    fn everybody() -> CellAccess {
        CellAccess::of(&AccessContext::default())
    }

    #[test]
    fn equal_content_is_one_directory() {
        let names = || vec!["S1".to_owned(), "S2".to_owned()];
        let register =
            |order: &[u32]| SampleDirectory::register(names(), vec![block(0, order)], everybody());
        let (a, b, c) = (register(&[0, 1]), register(&[0, 1]), register(&[1, 0]));
        assert!(Arc::ptr_eq(&a, &b));
        assert_ne!(a.id, c.id);
        assert!(Arc::ptr_eq(&lookup(a.id, everybody()).unwrap(), &a));
    }

    #[test]
    fn an_id_opens_a_directory_for_those_alone_whom_it_was_made_for() {
        let names = || vec!["seen by all".to_owned()];
        let few = |name: &str| {
            let samples = BTreeSet::from([name.to_owned()]);
            let seen = BTreeMap::from([("cohort".to_owned(), samples)]);
            CellAccess::of(&AccessContext {
                visible: SampleVisibility::Only(Arc::new(seen)),
                ..AccessContext::default()
            })
        };
        let made = SampleDirectory::register(names(), vec![block(3, &[0])], everybody());
        assert!(lookup(made.id, few("S1")).is_none());
        // The same content under another context is no secret of the first.
        SampleDirectory::register(names(), vec![block(3, &[0])], few("S1"));
        assert!(lookup(made.id, few("S1")).is_some());
        assert!(lookup(made.id, few("S2")).is_none());
        let other = AccessContext {
            principal: "another name".to_owned(),
            ..AccessContext::default()
        };
        assert!(lookup(made.id, CellAccess::of(&other)).is_some());
        let masked = AccessContext::default().with_masked([MaskedColumn {
            schema: "cohort".to_owned(),
            table: "variants".to_owned(),
            column: "gt".to_owned(),
        }]);
        assert!(lookup(made.id, CellAccess::of(&masked)).is_none());
        let nothing = AccessContext::default().with_grants([]);
        assert!(lookup(made.id, CellAccess::of(&nothing)).is_none());
    }

    #[test]
    fn the_registry_does_not_keep_a_directory_alive() {
        let blocks = vec![block(7, &[0])];
        let made = SampleDirectory::register(vec!["only-here".into()], blocks, everybody());
        let id = made.id;
        assert_eq!(made.index_of("only-here"), Some(0));
        assert_eq!(made.ordinal_of(7), Some(0));
        drop(made);
        assert!(lookup(id, everybody()).is_none());
    }
}
