//! Interval: a span of one contig, 1-based, both ends included.
//!
//! Invariant: `start <= end`. Sharing one base is an overlap; an empty BED span (`start == end`
//! there) has no bases and is refused.

use crate::error::{Error, Result};
use crate::position::Position;

/// A closed, 1-based span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    start: Position,
    end: Position,
}

impl Interval {
    /// The whole of any contig, telomeres included.
    pub const ALL: Self = Self {
        start: Position::TELOMERE,
        end: Position::MAX,
    };

    /// The span from `start` to `end`, both included.
    ///
    /// # Errors
    /// [`Error::IntervalOrder`] when it ends before it starts.
    pub fn new(start: Position, end: Position) -> Result<Self> {
        if end < start {
            return Err(Error::IntervalOrder {
                start: start.get(),
                end: end.get(),
            });
        }
        Ok(Self { start, end })
    }

    /// The span of a BED line: `start` is 0-based, `end` is the 0-based end that is not included.
    ///
    /// # Errors
    /// [`Error::IntervalOrder`] for an empty or reversed span, [`Error::Position`] beyond `int4`.
    pub fn from_bed(start_0based: u32, end_0based: u32) -> Result<Self> {
        let start = Position::new(start_0based.saturating_add(1))?;
        Self::new(start, Position::new(end_0based)?)
    }

    /// First base, 1-based.
    #[must_use]
    pub fn start(self) -> Position {
        self.start
    }

    /// Last base, 1-based, included.
    #[must_use]
    pub fn end(self) -> Position {
        self.end
    }

    /// How many bases the span has; at least 1.
    #[must_use]
    pub fn len_bp(self) -> u32 {
        self.end.get() - self.start.get() + 1
    }

    /// True when both spans share at least one base.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The bases that both spans have, if any.
    #[must_use]
    pub fn intersect(self, other: Self) -> Option<Self> {
        let start = self.start.max(other.start);
        let end = self.end.min(other.end);
        Self::new(start, end).ok()
    }

    /// True when the base lies in the span.
    #[must_use]
    pub fn contains(self, position: Position) -> bool {
        self.start <= position && position <= self.end
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn interval(start: u32, end: u32) -> Interval {
        Interval::new(Position::new(start).unwrap(), Position::new(end).unwrap()).unwrap()
    }

    #[test]
    fn closed_intervals_overlap_when_they_share_one_base() {
        for (a, b, shared) in [
            ((5, 8), (8, 9), Some((8, 8))),
            ((5, 8), (9, 9), None),
            ((1, 100), (50, 60), Some((50, 60))),
            ((7, 7), (7, 7), Some((7, 7))),
        ] {
            let (a, b) = (interval(a.0, a.1), interval(b.0, b.1));
            let shared = shared.map(|(start, end)| interval(start, end));
            assert_eq!(a.intersect(b), shared);
            assert_eq!(b.intersect(a), shared);
            assert_eq!(a.overlaps(b), shared.is_some());
        }
    }

    #[test]
    fn bed_spans_are_half_open_and_0_based() {
        assert_eq!(Interval::from_bed(0, 1), Ok(interval(1, 1)));
        assert_eq!(Interval::from_bed(99, 200), Ok(interval(100, 200)));
        assert!(Interval::from_bed(5, 5).is_err());
        assert_eq!(interval(100, 200).len_bp(), 101);
    }
}
