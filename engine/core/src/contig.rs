//! Contig: names and aliases of the human primaries, assemblies, position bins.

/// A human assembly that is recognised by the lengths of its primaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::upper_case_acronyms, reason = "the names of the assemblies")]
pub enum Assembly {
    /// GRCh37 (hg19).
    GRCh37,
    /// GRCh38 (hg38).
    GRCh38,
    /// T2T-CHM13v2.0.
    CHM13,
}

/// Contigs at least this long get position bins of their own.
pub const LONG_CONTIG_BP: u64 = 10_000_000;
/// A position bin spans 2^26 bases.
pub const POS_BIN_SHIFT: u32 = 26;
/// Bin of all contigs that are not long.
pub const OTHER_BIN: &str = "other";

/// The plain name (`1`…`22`, `X`, `Y`, `MT`) of a human primary from any of its aliases.
#[must_use]
pub fn canonical_key(name: &str) -> Option<&'static str> {
    const NAMES: [&str; 25] = [
        "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
        "17", "18", "19", "20", "21", "22", "X", "Y", "MT",
    ];
    let plain = name.strip_prefix("chr").unwrap_or(name);
    let plain = if plain == "M" { "MT" } else { plain };
    NAMES.iter().find(|n| **n == plain).copied()
}

/// True when the contig gets position bins of its own.
#[must_use]
pub fn is_long(name: &str, length: Option<u64>) -> bool {
    match length {
        Some(length) => length >= LONG_CONTIG_BP,
        None => canonical_key(name).is_some_and(|key| key != "MT"),
    }
}

/// Value of the partition column for a 1-based position: `<contig>:<pos / 2^26>`, or `other`.
#[must_use]
pub fn pos_bin(name: &str, length: Option<u64>, pos: i32) -> String {
    if is_long(name, length) {
        format!("{name}:{}", pos.max(0) >> POS_BIN_SHIFT)
    } else {
        OTHER_BIN.to_owned()
    }
}
