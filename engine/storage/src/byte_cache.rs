//! A cache that is bounded by the bytes of what it holds; what was used least goes first.

use std::hash::Hash;

use lru::LruCache;
use parking_lot::Mutex;

/// Values by key, shared by all threads; see the module.
pub struct ByteCache<K: Hash + Eq, V> {
    entries: Mutex<Entries<K, V>>,
    most: usize,
}

struct Entries<K: Hash + Eq, V> {
    by_key: LruCache<K, (V, usize)>,
    bytes: usize,
}

impl<K: Hash + Eq, V: Clone> ByteCache<K, V> {
    /// An empty cache for values of `most` bytes together.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let entries = Entries {
            by_key: LruCache::unbounded(),
            bytes: 0,
        };
        Self {
            entries: Mutex::new(entries),
            most,
        }
    }

    /// The value of a key if it is still there, which counts as a use of it.
    pub fn get(&self, key: &K) -> Option<V> {
        let mut entries = self.entries.lock();
        entries.by_key.get(key).map(|(value, _)| value.clone())
    }

    /// Keeps a value of so many bytes instead of the one that the key had. A value larger than the
    /// whole cache is not kept.
    pub fn put(&self, key: K, value: V, bytes: usize) {
        let mut entries = self.entries.lock();
        entries.bytes += bytes;
        if let Some((_, old)) = entries.by_key.put(key, (value, bytes)) {
            entries.bytes -= old;
        }
        while entries.bytes > self.most
            && let Some((_, (_, old))) = entries.by_key.pop_lru()
        {
            entries.bytes -= old;
        }
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.entries.lock().bytes
    }
}

impl<K: Hash + Eq, V> std::fmt::Debug for ByteCache<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByteCache")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_least_goes_first_and_the_sum_is_bounded() {
        let cache = ByteCache::new(10);
        for key in 0..8 {
            cache.put(key, key * 10, 3);
            assert_eq!(cache.get(&0), Some(0), "used all the time");
        }
        assert_eq!(cache.get(&7), Some(70));
        assert_eq!(cache.get(&1), None);
        assert!(cache.bytes() <= 10);
    }

    #[test]
    fn a_value_takes_the_place_of_the_last() {
        let cache = ByteCache::new(10);
        cache.put("a", 1, 4);
        cache.put("a", 2, 6);
        assert_eq!(cache.get(&"a"), Some(2));
        assert_eq!(cache.bytes(), 6);
    }

    #[test]
    fn a_value_larger_than_the_cache_is_not_kept() {
        let cache = ByteCache::new(10);
        cache.put("a", 1, 4);
        cache.put("b", 2, 11);
        assert_eq!(cache.get(&"b"), None);
        assert!(cache.bytes() <= 10);
    }
}
