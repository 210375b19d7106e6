//! The one source of chance: a SplitMix64 stream.
//!
//! Written here, and not taken from a crate, so that a seed means the same cohort for ever.

/// A seeded stream of pseudo-random numbers (SplitMix64; Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A stream of its own for every (seed, purpose) pair, so that one part does not shift another.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut random = Self(seed ^ purpose.wrapping_mul(0xd6e8_feb8_6659_fd93));
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..n`; 0 when `n` is 0. The bias of the multiply is below 2^-32 for our sizes.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the high half is below n, a usize"
    )]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.next()) * (n as u128);
        (wide >> 64) as usize
    }

    /// Uniform in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Exponential with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// Poisson by counting exponential gaps: exact, and our means are small.
    pub(crate) fn poisson(&mut self, mean: f64) -> usize {
        let mut left = mean - self.exponential();
        let mut events = 0;
        while left > 0.0 {
            events += 1;
            left -= self.exponential();
        }
        events
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn a_seed_is_a_stream_for_ever() {
        let mut random = Random::new(1, 0);
        assert_eq!(random.next(), 13_757_245_211_066_428_519);
    }

    #[test]
    fn below_stays_below() {
        let mut random = Random::new(7, 3);
        assert!((0..1000).all(|_| random.below(5) < 5));
        assert_eq!(random.below(0), 0);
    }
}
