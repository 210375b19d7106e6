//! What the lines of a regions file that are no features say of its assembly.
//!
//! ```text
//! ##sequence-region chr1 1 248956422            lengths, in GFF3
//! #!genome-build GRCh38.p14                     Ensembl
//! ##description: … human genome (GRCh38) …      GENCODE
//! track name=targets db=hg38                    BED
//! ```

use genokura_core::contig::{Assembly, canonical_key};

use crate::assembly::Said;

/// Lines whose text names an assembly.
const NAMING: [&str; 4] = [
    "##genome-build",
    "#!genome-build",
    "##description:",
    "#description:",
];

/// What has been said so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Human primaries with their lengths, and the line of the first.
    lengths: Vec<(String, u64)>,
    line: u64,
    named: Option<Said>,
}

impl Told {
    /// Looks at a line.
    pub(super) fn see(&mut self, number: u64, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else {
            return;
        };
        if let Some(rest) = line.strip_prefix("##sequence-region") {
            self.length(number, rest);
        } else if let Some(key) = NAMING.iter().find(|key| line.starts_with(**key)) {
            self.name(number, line, line.get(key.len()..).unwrap_or_default());
        } else if line.starts_with("track") {
            let mut words = line.split_ascii_whitespace();
            if let Some(name) = words.find_map(|word| word.strip_prefix("db=")) {
                self.name(number, line, name);
            }
        }
    }

    fn length(&mut self, number: u64, rest: &str) {
        let mut words = rest.split_ascii_whitespace();
        let (Some(name), Some("1"), Some(end)) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let tells = canonical_key(name).is_some_and(|key| key != "MT");
        if let (true, Ok(length)) = (tells, end.parse()) {
            if self.lengths.is_empty() {
                self.line = number;
            }
            self.lengths.push((name.to_owned(), length));
        }
    }

    fn name(&mut self, number: u64, line: &str, name: &str) {
        if let (None, Some(assembly)) = (&self.named, Assembly::named_in(name)) {
            let by = format!("{:?}", line.trim_end());
            self.named = Some(Said::by_name(assembly, 1, number, by));
        }
    }

    /// What they say: lengths before names.
    pub(super) fn said(&self) -> Option<Said> {
        let lengths = self.lengths.iter();
        let detected =
            Assembly::detect(lengths.map(|(name, length)| (name.as_str(), Some(*length))));
        match (detected, self.lengths.first()) {
            (Some(assembly), Some((name, length))) => Some(Said {
                assembly,
                input: 1,
                line: self.line,
                by: format!("the length {length} of contig {name:?}"),
                is_name: false,
            }),
            _ => self.named.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_features_tell() {
        use Assembly::{GRCh37, GRCh38};
        for (lines, expected) in [
            (
                &["##gff-version 3", "##sequence-region   1 1 249250621"][..],
                Some((GRCh37, 2)),
            ),
            (
                &["#!genome-build GRCh38.p14", "#!genome-version GRCh37"],
                Some((GRCh38, 1)),
            ),
            (
                &["##description: annotation of the human genome (GRCh38), version 44"],
                Some((GRCh38, 1)),
            ),
            (&["track name=\"a\" db=hg19"], Some((GRCh37, 1))),
            // Lengths go before names; a part of a contig is no length.
            (
                &["##genome-build hg19", "##sequence-region chr1 1 248956422"],
                Some((GRCh38, 2)),
            ),
            (
                &["##genome-build hg19", "##sequence-region chr1 1 1000"],
                Some((GRCh37, 1)),
            ),
            (
                &[
                    "##sequence-region chr1 5 248956422",
                    "# made for hg19",
                    "track name=hg19",
                ],
                None,
            ),
        ] {
            let mut told = Told::default();
            for (line, number) in lines.iter().zip(1..) {
                told.see(number, line.as_bytes());
            }
            let said = told.said().map(|said| (said.assembly, said.line));
            assert_eq!(said, expected, "{lines:?}");
        }
    }
}
