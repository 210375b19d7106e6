//! Searches among rising values that begin where the last one ended: regions most often come in order.

/// The place where the last search ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor(usize);

impl Cursor {
    /// How many values come before a place: `is_before` is true of them and of no other.
    ///
    /// # Cost
    /// The logarithm of the way from the last answer.
    pub(super) fn seek<T>(&mut self, values: &[T], is_before: impl Fn(&T) -> bool) -> usize {
        let at = self.0.min(values.len());
        let mut step = 1;
        self.0 = if values.get(at).is_some_and(&is_before) {
            let mut from = at + 1;
            while values.get(from + step - 1).is_some_and(&is_before) {
                from += step;
                step *= 2;
            }
            let to = values.len().min(from + step - 1);
            from + values[from..to].partition_point(is_before)
        } else {
            let mut to = at;
            while to >= step && !is_before(&values[to - step]) {
                to -= step;
                step *= 2;
            }
            let from = to.saturating_sub(step);
            from + values[from..to].partition_point(is_before)
        };
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_from_anywhere_finds_the_same_place() {
        let values: Vec<i64> = (0..50).map(|i| i / 3 * 2).collect();
        for at in 0..60 {
            for bound in -2..40 {
                let expected = values.partition_point(|value| *value < bound);
                let found = Cursor(at).seek(&values, |value| *value < bound);
                assert_eq!(found, expected, "{at} {bound}");
            }
        }
        assert_eq!(Cursor(3).seek(&[], |_: &i64| true), 0);
    }
}
