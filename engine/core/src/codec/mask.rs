//! Mask: a set of samples of one block, for counting among them.

/// A set of samples of one block, one bit each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleMask {
    words: Vec<u64>,
    n_samples: u32,
    ones: u32,
}

impl SampleMask {
    /// Every one of `n_samples`.
    #[must_use]
    pub fn all(n_samples: u32) -> Self {
        Self::from_indices(n_samples, 0..n_samples)
    }

    /// The samples of `indices` (0-based, any order, repeats count once); those outside of the
    /// block are left out.
    #[must_use]
    pub fn from_indices(n_samples: u32, indices: impl IntoIterator<Item = u32>) -> Self {
        let mut words = vec![0u64; (n_samples as usize).div_ceil(64)];
        for index in indices.into_iter().filter(|i| *i < n_samples) {
            words[index as usize / 64] |= 1 << (index % 64);
        }
        let ones = words.iter().map(|w| w.count_ones()).sum();
        Self {
            words,
            n_samples,
            ones,
        }
    }

    /// True when the sample is in the set.
    #[inline]
    #[must_use]
    pub fn contains(&self, sample: u32) -> bool {
        self.word(sample / 64) >> (sample % 64) & 1 == 1
    }

    /// How many samples are in the set.
    #[inline]
    #[must_use]
    pub fn count_ones(&self) -> u32 {
        self.ones
    }

    /// True when every sample of the block is in the set.
    #[inline]
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.ones == self.n_samples
    }

    /// Size of the block.
    #[inline]
    #[must_use]
    pub fn n_samples(&self) -> u32 {
        self.n_samples
    }

    /// The samples of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..)
            .step_by(64)
            .zip(&self.words)
            .flat_map(|(base, word)| {
                let mut left = *word;
                std::iter::from_fn(move || {
                    let bit = (left != 0).then(|| left.trailing_zeros())?;
                    left &= left - 1;
                    Some(base + bit)
                })
            })
    }

    /// The samples as bits, sample 0 in the lowest bit of the first word.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    #[inline]
    pub(crate) fn word(&self, index: u32) -> u64 {
        self.words.get(index as usize).copied().unwrap_or(0)
    }
}
