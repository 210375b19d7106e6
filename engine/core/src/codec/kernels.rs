//! Kernels: counting on bit planes, a 64-bit word at a time.
//!
//! Planes are plain bytes, sample 0 in the lowest bit of byte 0; they need not be aligned. A word is
//! loaded with `from_le_bytes`, the last one filled up with zeros.

/// Word `index` of a plane; zeros past its end.
#[inline]
pub(crate) fn word(plane: &[u8], index: usize) -> u64 {
    let rest = plane.get(index * 8..).unwrap_or_default();
    match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => tail_word(rest),
    }
}

#[inline]
fn tail_word(rest: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_le_bytes(bytes)
}

/// Words of a plane in order.
#[inline]
pub(crate) fn words(plane: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let (chunks, rest) = plane.as_chunks::<8>();
    let full = chunks.iter().map(|bytes| u64::from_le_bytes(*bytes));
    full.chain((!rest.is_empty()).then(|| tail_word(rest)))
}

/// Set bits of a plane.
#[inline]
pub(crate) fn count(plane: &[u8]) -> u32 {
    words(plane).map(u64::count_ones).sum()
}

/// Bits set in both a plane and a mask.
#[inline]
pub(crate) fn count_in(plane: &[u8], mask: &[u64]) -> u32 {
    words(plane)
        .zip(mask)
        .map(|(w, m)| (w & m).count_ones())
        .sum()
}

/// Bits set in one or the other plane (copies) and in both (pairs).
#[inline]
pub(crate) fn count_pair(plane0: &[u8], plane1: &[u8]) -> (u32, u32) {
    let (mut copies, mut pairs) = (0, 0);
    for (a, b) in words(plane0).zip(words(plane1)) {
        copies += a.count_ones() + b.count_ones();
        pairs += (a & b).count_ones();
    }
    (copies, pairs)
}

/// [`count_pair`] among the samples of a mask.
#[inline]
pub(crate) fn count_pair_in(plane0: &[u8], plane1: &[u8], mask: &[u64]) -> (u32, u32) {
    let (mut copies, mut pairs) = (0, 0);
    for ((a, b), m) in words(plane0).zip(words(plane1)).zip(mask) {
        let (a, b) = (a & m, b & m);
        copies += a.count_ones() + b.count_ones();
        pairs += (a & b).count_ones();
    }
    (copies, pairs)
}

/// Calls `f` with the place of each set bit, ascending, counted from `base`.
#[inline]
pub(crate) fn for_each_bit(mut word: u64, base: u32, mut f: impl FnMut(u32)) {
    while word != 0 {
        f(base + word.trailing_zeros());
        word &= word - 1;
    }
}

/// True when bit `index` of a plane is set; false past its end.
#[inline]
pub(crate) fn bit(plane: &[u8], index: u32) -> bool {
    plane
        .get(index as usize / 8)
        .is_some_and(|byte| byte >> (index % 8) & 1 == 1)
}

/// Set bits of a plane before bit `index`.
pub(crate) fn rank(plane: &[u8], index: u32) -> u32 {
    let full = index as usize / 64;
    let before: u32 = words(plane).take(full).map(u64::count_ones).sum();
    let low = word(plane, full) & low_bits(index % 64);
    before + low.count_ones()
}

/// A word whose lowest `n` bits are set; all of them from 64 on.
#[inline]
pub(crate) fn low_bits(n: u32) -> u64 {
    if n >= 64 { u64::MAX } else { (1 << n) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_are_those_of_single_bits(a in prop::collection::vec(any::<u8>(), 0..40), mask in prop::collection::vec(any::<u64>(), 5)) {
            let b: Vec<u8> = a.iter().rev().copied().collect();
            let n = u32::try_from(a.len() * 8).unwrap_or(0);
            let kept = |i: &u32| mask[*i as usize / 64] >> (i % 64) & 1 == 1;
            let total = |f: &dyn Fn(&u32) -> bool| u32::try_from((0..n).filter(|i| f(i)).count()).unwrap_or(0);
            prop_assert_eq!(count(&a), total(&|i| bit(&a, *i)));
            prop_assert_eq!(count_in(&a, &mask), total(&|i| bit(&a, *i) && kept(i)));
            let copies = total(&|i| bit(&a, *i)) + total(&|i| bit(&b, *i));
            prop_assert_eq!(count_pair(&a, &b), (copies, total(&|i| bit(&a, *i) && bit(&b, *i))));
            let copies = total(&|i| bit(&a, *i) && kept(i)) + total(&|i| bit(&b, *i) && kept(i));
            prop_assert_eq!(count_pair_in(&a, &b, &mask), (copies, total(&|i| bit(&a, *i) && bit(&b, *i) && kept(i))));
            for i in 0..n {
                prop_assert_eq!(rank(&a, i), total(&|j| *j < i && bit(&a, *j)));
            }
            let mut seen = Vec::new();
            for (i, w) in (0u32..).zip(words(&a)) {
                prop_assert_eq!(w, word(&a, i as usize));
                for_each_bit(w, i * 64, |at| seen.push(at));
            }
            prop_assert_eq!(seen, (0..n).filter(|i| bit(&a, *i)).collect::<Vec<_>>());
        }
    }
}
