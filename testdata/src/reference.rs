//! The bases of the cohort's reference: a hash of the position.
//!
//! GRCh38 itself is not bundled. A published variant keeps its published alleles; every other REF base is
//! this hash, the same for every record that touches the position.

/// The base at a position of a contig.
pub(crate) fn base(contig: &str, pos: i32) -> char {
    let mut hash = contig
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    hash ^= u64::from(pos.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    BASES[(hash >> 62) as usize]
}

/// The bases from `start` to `end`, both included.
pub(crate) fn bases(contig: &str, start: i32, end: i32) -> String {
    (start..=end).map(|pos| base(contig, pos)).collect()
}

pub(crate) const BASES: [char; 4] = ['A', 'C', 'G', 'T'];
