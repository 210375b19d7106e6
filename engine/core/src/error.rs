//! Errors of the domain types, and the place in the input that any error can be wrapped with.

use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a value of the domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A position text or number outside of 0 to 2,147,483,647.
    #[error("position \"{text}\" is not a whole number from 0 to 2147483647")]
    Position {
        /// The text as it stood.
        text: Box<str>,
    },
    /// An interval whose end lies before its start.
    #[error("interval {start}-{end} ends before it starts; write the smaller position first")]
    IntervalOrder {
        /// First position, 1-based.
        start: u32,
        /// Last position, 1-based, inclusive.
        end: u32,
    },
    /// A region text that is not `contig`, `contig:pos`, `contig:start-end` or `contig:start-`.
    #[error(
        "region \"{text}\" {reason}; write contig, contig:pos, contig:start-end or contig:start-"
    )]
    Region {
        /// The text as it stood.
        text: Box<str>,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A genotype text that VCF does not allow.
    #[error("genotype \"{text}\" {reason}")]
    Genotype {
        /// The text as it stood, at most 64 bytes of it.
        text: Box<str>,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A sample index outside of the block.
    #[error("sample {sample} is out of order or outside of a block of {n_samples} samples")]
    SampleIndex {
        /// 0-based index in the block.
        sample: u32,
        /// Size of the block.
        n_samples: u32,
    },
    /// Bytes that are not a structure this version wrote: corrupted, or of a newer version.
    #[error("{structure} is damaged or of a newer version: {reason}")]
    Corrupt {
        /// The structure that was read.
        structure: &'static str,
        /// The rule that the bytes break.
        reason: &'static str,
    },
}

impl Error {
    pub(crate) fn genotype(text: &[u8], reason: &'static str) -> Self {
        let shown = &text[..text.len().min(64)];
        Self::Genotype {
            text: String::from_utf8_lossy(shown).into(),
            reason,
        }
    }

    pub(crate) fn corrupt(structure: &'static str, reason: &'static str) -> Self {
        Self::Corrupt { structure, reason }
    }
}

/// An error and the place in the input that it belongs to.
///
/// The input is named by its number in the job, never by its file name: file names often hold
/// sample names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<E> {
    /// Number of the input in the job, 0-based.
    pub input: Option<u32>,
    /// Line of a text input (1-based), or ordinal of the record in a binary one.
    pub line: Option<u64>,
    /// Contig as the record names it.
    pub contig: Option<Box<str>>,
    /// POS as the record has it, 1-based.
    pub pos: Option<i64>,
    /// INFO or FORMAT key, or the column name.
    pub key: Option<Box<str>>,
    /// What was wrong there.
    pub source: E,
}

impl<E> Located<E> {
    /// An error whose place is not known yet.
    pub fn new(source: E) -> Self {
        Self {
            input: None,
            line: None,
            contig: None,
            pos: None,
            key: None,
            source,
        }
    }

    /// Adds the number of the input in the job (0-based) and the line (1-based).
    #[must_use]
    pub fn at_line(mut self, input: u32, line: u64) -> Self {
        self.input = Some(input);
        self.line = Some(line);
        self
    }

    /// Adds the locus.
    #[must_use]
    pub fn at_locus(mut self, contig: &str, pos: i64) -> Self {
        self.contig = Some(contig.into());
        self.pos = Some(pos);
        self
    }

    /// Adds the INFO or FORMAT key or the column name.
    #[must_use]
    pub fn at_key(mut self, key: &str) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl<E: fmt::Display> fmt::Display for Located<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(input) = self.input {
            write!(f, "input {input}")?;
            separator = ", ";
        }
        if let Some(line) = self.line {
            write!(f, "{separator}line {line}")?;
            separator = ", ";
        }
        if let Some(contig) = &self.contig {
            write!(f, "{separator}{contig}")?;
            if let Some(pos) = self.pos {
                write!(f, ":{pos}")?;
            }
            separator = ", ";
        }
        if let Some(key) = &self.key {
            write!(f, "{separator}{key}")?;
            separator = ", ";
        }
        if !separator.is_empty() {
            f.write_str(": ")?;
        }
        self.source.fmt(f)
    }
}

impl<E: std::error::Error + 'static> std::error::Error for Located<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_stays_small() {
        assert!(size_of::<Error>() <= 40);
    }

    #[test]
    fn a_located_error_names_input_line_locus_and_key() {
        let error = Located::new(Error::genotype(b"0//1", "has an empty allele"))
            .at_line(0, 17)
            .at_locus("chr1", 5)
            .at_key("GT");
        assert_eq!(
            error.to_string(),
            "input 0, line 17, chr1:5, GT: genotype \"0//1\" has an empty allele"
        );
        assert_eq!(
            Located::new(Error::genotype(b"", "is empty")).to_string(),
            "genotype \"\" is empty"
        );
    }
}
