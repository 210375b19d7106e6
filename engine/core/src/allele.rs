//! Allele: what kind of thing an ALT (or REF) text is.

/// The kind of an allele text, VCF 4.5 sections 1.6.1 and 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlleleKind {
    /// Letters only: `A`, `acgt`, IUPAC codes.
    Bases,
    /// `*`: this haplotype is deleted by a variant further to the left.
    SpanningDeletion,
    /// `<*>` or `<NON_REF>`: any allele not named, as reference blocks of gVCF have it.
    Unspecified,
    /// `<DEL>`, `<CNV:TR>` and the like.
    Symbolic,
    /// A breakend: `G]17:198982]`, `[2:5[T`, or single `.A`, `A.`.
    Breakend,
    /// `.` or nothing: no alternate allele.
    Missing,
}

impl AlleleKind {
    /// The kind of `allele`. A text that VCF does not know is [`AlleleKind::Symbolic`]: it is kept
    /// and never compared base by base.
    #[must_use]
    pub fn of(allele: &[u8]) -> Self {
        match allele {
            [] | [b'.'] => Self::Missing,
            [b'*'] => Self::SpanningDeletion,
            b"<*>" | b"<NON_REF>" => Self::Unspecified,
            [b'<', .., b'>'] if !allele.contains(&b'[') && !allele.contains(&b']') => {
                Self::Symbolic
            }
            _ if allele.iter().all(u8::is_ascii_alphabetic) => Self::Bases,
            _ if is_breakend(allele) => Self::Breakend,
            _ => Self::Symbolic,
        }
    }
}

/// What a change of one base is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Substitution {
    /// A purine for a purine or a pyrimidine for a pyrimidine: `A`-`G`, `C`-`T`.
    Transition,
    /// A purine for a pyrimidine or the other way round.
    Transversion,
    /// Not a change of one base `ACGT` to another.
    Other,
}

impl Substitution {
    /// The kind of `reference` to `alternate`, in any case.
    #[must_use]
    pub fn of(reference: &[u8], alternate: &[u8]) -> Self {
        let ([r], [a]) = (reference, alternate) else {
            return Self::Other;
        };
        match (r.to_ascii_uppercase(), a.to_ascii_uppercase()) {
            (b'A', b'G') | (b'G', b'A') | (b'C', b'T') | (b'T', b'C') => Self::Transition,
            (b'A' | b'G', b'C' | b'T') | (b'C' | b'T', b'A' | b'G') => Self::Transversion,
            _ => Self::Other,
        }
    }
}

/// True for letters of the IUPAC nucleotide code in either case.
#[must_use]
pub fn is_plain_bases(allele: &[u8]) -> bool {
    const IUPAC: &[u8] = b"ACGTUNRYSWKMBDHV";
    !allele.is_empty()
        && allele
            .iter()
            .all(|b| IUPAC.contains(&b.to_ascii_uppercase()))
}

fn is_breakend(allele: &[u8]) -> bool {
    allele.iter().any(|b| matches!(b, b'[' | b']'))
        || allele.starts_with(b".")
        || allele.ends_with(b".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (text, kind) in [
            ("A", AlleleKind::Bases),
            ("acgtn", AlleleKind::Bases),
            ("*", AlleleKind::SpanningDeletion),
            ("<*>", AlleleKind::Unspecified),
            ("<NON_REF>", AlleleKind::Unspecified),
            ("<DEL>", AlleleKind::Symbolic),
            ("<CNV:TR>", AlleleKind::Symbolic),
            ("G]17:198982]", AlleleKind::Breakend),
            ("]13:123456]T", AlleleKind::Breakend),
            ("C[<ctg1>:1[", AlleleKind::Breakend),
            (".A", AlleleKind::Breakend),
            ("G.", AlleleKind::Breakend),
            (".", AlleleKind::Missing),
            ("", AlleleKind::Missing),
            ("A!", AlleleKind::Symbolic),
        ] {
            assert_eq!(AlleleKind::of(text.as_bytes()), kind, "{text}");
        }
        assert!(is_plain_bases(b"ACGTNacgtnRY") && !is_plain_bases(b"AZ") && !is_plain_bases(b""));
    }
}
