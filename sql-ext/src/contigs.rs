//! The names of a contig.

use genokura_core::contig::canonical_key;

/// The name as given first, then the other usual names of the same human primary.
pub(crate) fn names(contig: String) -> Vec<String> {
    let aliases = match canonical_key(&contig) {
        Some("MT") => ["chrM", "M", "MT"].map(str::to_owned).to_vec(),
        Some(key) => vec![format!("chr{key}"), key.to_owned()],
        None => Vec::new(),
    };
    let mut names = vec![contig];
    for alias in aliases {
        if !names.contains(&alias) {
            names.push(alias);
        }
    }
    names
}
