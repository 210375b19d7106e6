//! Genotype: the alleles of one sample at one record and how they are phased.
//!
//! Text form (VCF 4.5 section 1.6.2): allele numbers or `.` separated by `/` (unphased) or `|`
//! (phased), since 4.4 with an optional separator before the first allele. Only the canonical form
//! parses (no empty alleles, no signs, no leading zeros), so that writing gives the same bytes.

use crate::error::{Error, Result};

/// Largest ploidy of a genotype.
pub const PLOIDY_MAX: usize = 255;
/// Largest allele number of a genotype.
pub const ALLELE_MAX: u16 = u16::MAX - 1;

/// One genotype call.
///
/// Invariant of a parsed value: `alleles` and `phase` have the same length, 1 to [`PLOIDY_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Genotype {
    /// Allele numbers in their written order; 0 is REF, `None` is `.`.
    pub alleles: Vec<Option<u16>>,
    /// `phase[i]`: allele `i` is phased. From 1 on it is the separator before the allele (`|`).
    /// `phase[0]` is the prefix when there is one, else what VCF 4.4 says of its absence: true when
    /// all other alleles are phased (so for a haploid call too).
    pub phase: Vec<bool>,
    /// True when the text begins with a separator (`/0|1`, `|0`).
    pub has_prefix: bool,
}

impl Genotype {
    /// Parses the text of one GT value.
    ///
    /// # Errors
    /// [`Error::Genotype`] naming the rule that the text breaks.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut alleles = Vec::with_capacity(2);
        let mut phase = Vec::with_capacity(2);
        let mut scan = Scan::new(text);
        while let Some((phased, allele)) = scan.next()? {
            alleles.push(allele);
            phase.push(phased);
        }
        if !scan.has_prefix {
            phase[0] = phase[1..].iter().all(|p| *p);
        }
        Ok(Self {
            alleles,
            phase,
            has_prefix: scan.has_prefix,
        })
    }

    /// Appends the text; the bytes that [`Genotype::parse`] read.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for (i, (allele, phased)) in self.alleles.iter().zip(&self.phase).enumerate() {
            if i > 0 || self.has_prefix {
                out.push(separator(*phased));
            }
            write_allele(*allele, out);
        }
    }

    /// Number of alleles, called or not.
    #[must_use]
    pub fn ploidy(&self) -> usize {
        self.alleles.len()
    }

    /// Copies of allele `alt` among the called alleles; `None` when no allele is called.
    #[must_use]
    pub fn dosage(&self, alt: u16) -> Option<u8> {
        self.tally(alt).dosage()
    }

    /// True when any allele is missing (`./.`, `./1`, `.`).
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.alleles.iter().any(Option::is_none)
    }

    /// True when every allele is called and some but not all of them are `alt`.
    #[must_use]
    pub fn is_het(&self, alt: u16) -> bool {
        self.tally(alt).is_het()
    }

    /// True when every allele is called and all of them are `alt`; haploid `1` included.
    #[must_use]
    pub fn is_hom_alt(&self, alt: u16) -> bool {
        self.tally(alt).is_hom_alt()
    }

    /// True when every allele is phased. A haploid call without prefix is.
    #[must_use]
    pub fn is_phased(&self) -> bool {
        self.phase.iter().all(|p| *p)
    }

    /// What this call adds to the counts of `alt`.
    #[must_use]
    pub fn tally(&self, alt: u16) -> Tally {
        let mut tally = Tally::default();
        for allele in &self.alleles {
            tally.add(*allele, alt);
        }
        tally
    }
}

impl std::fmt::Display for Genotype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        self.write_to(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// The alleles of one call counted against one ALT.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Called alleles that are the ALT.
    pub copies: u8,
    /// Called alleles.
    pub called: u8,
    /// All alleles.
    pub ploidy: u8,
}

impl Tally {
    pub(crate) fn add(&mut self, allele: Option<u16>, alt: u16) {
        self.ploidy = self.ploidy.saturating_add(1);
        if let Some(allele) = allele {
            self.called = self.called.saturating_add(1);
            if allele == alt && alt != 0 {
                self.copies = self.copies.saturating_add(1);
            }
        }
    }

    /// Copies of the ALT; `None` when no allele is called.
    #[must_use]
    pub fn dosage(self) -> Option<u8> {
        (self.called > 0).then_some(self.copies)
    }

    /// True when every allele is called and some but not all are the ALT.
    #[must_use]
    pub fn is_het(self) -> bool {
        self.called == self.ploidy && self.copies > 0 && self.copies < self.ploidy
    }

    /// True when every allele is called and all are the ALT.
    #[must_use]
    pub fn is_hom_alt(self) -> bool {
        self.called == self.ploidy && self.copies > 0 && self.copies == self.ploidy
    }

    /// True when any allele is missing.
    #[must_use]
    pub fn is_missing(self) -> bool {
        self.called < self.ploidy
    }
}

/// What a genotype is, whichever ALT is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallClass {
    /// Every allele is REF; haploid `0` included.
    HomRef = 0,
    /// Every allele is called and they are not all the same: `0/1`, `1/2`.
    Het = 1,
    /// Every allele is the same ALT; haploid `1` included.
    HomAlt = 2,
    /// Any allele is missing.
    Missing = 3,
}

impl CallClass {
    /// The class of a call of these alleles; `None` without any.
    #[must_use]
    pub fn of(alleles: impl IntoIterator<Item = Option<u16>>) -> Option<Self> {
        let mut alleles = alleles.into_iter();
        let first = alleles.next()?;
        let (mut same, mut called) = (true, first.is_some());
        for allele in alleles {
            same &= allele == first;
            called &= allele.is_some();
        }
        Some(match (called, same, first) {
            (false, ..) => Self::Missing,
            (true, false, _) => Self::Het,
            (true, true, Some(0)) => Self::HomRef,
            (true, true, _) => Self::HomAlt,
        })
    }
}

/// Reads the alleles of a genotype text one by one, without allocating.
pub(crate) struct Scan<'a> {
    text: &'a [u8],
    rest: &'a [u8],
    pub(crate) has_prefix: bool,
    n: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let has_prefix = matches!(text.first(), Some(b'/' | b'|'));
        Self {
            text,
            rest: text,
            has_prefix,
            n: 0,
        }
    }

    /// The next allele and whether `|` stands before it; `None` at the end. A text without alleles
    /// is an error.
    pub(crate) fn next(&mut self) -> Result<Option<(bool, Option<u16>)>> {
        if self.rest.is_empty() && self.n > 0 {
            return Ok(None);
        }
        let mut phased = false;
        if self.n > 0 || self.has_prefix {
            phased = match self.rest {
                [b'|', ..] => true,
                [b'/', ..] => false,
                _ => return Err(self.error("holds a character that is no allele and no / or |")),
            };
            self.rest = &self.rest[1..];
        }
        let allele = self.allele()?;
        self.n += 1;
        if self.n > PLOIDY_MAX {
            return Err(self.error("has more than 255 alleles"));
        }
        Ok(Some((phased, allele)))
    }

    fn allele(&mut self) -> Result<Option<u16>> {
        let digits = match self.rest {
            [b'.', ..] => {
                self.rest = &self.rest[1..];
                return Ok(None);
            }
            [b'0', ..] => 1,
            rest => rest.iter().take_while(|b| b.is_ascii_digit()).count(),
        };
        if digits == 0 {
            return Err(self.error("has an empty allele or one that is not a number"));
        }
        let mut value = 0u32;
        for byte in self.rest.iter().take(digits.min(6)) {
            value = value * 10 + u32::from(byte - b'0');
        }
        self.rest = &self.rest[digits..];
        match u16::try_from(value) {
            Ok(value) if digits <= 5 && value <= ALLELE_MAX => Ok(Some(value)),
            _ => Err(self.error("has an allele number above 65534")),
        }
    }

    fn error(&self, reason: &'static str) -> Error {
        Error::genotype(self.text, reason)
    }
}

pub(crate) fn separator(phased: bool) -> u8 {
    if phased { b'|' } else { b'/' }
}

pub(crate) fn write_allele(allele: Option<u16>, out: &mut Vec<u8>) {
    match allele {
        None => out.push(b'.'),
        Some(small @ 0..=9) => out.push(b'0' + small.to_le_bytes()[0]),
        Some(n) => out.extend_from_slice(n.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_and_what_they_mean() {
        // text, ploidy, dosage of ALT 1, het, hom, missing, phased
        for (text, ploidy, dosage, het, hom, missing, phased) in [
            ("0/0", 2, Some(0), false, false, false, false),
            ("0/1", 2, Some(1), true, false, false, false),
            ("1|0", 2, Some(1), true, false, false, true),
            ("1/1", 2, Some(2), false, true, false, false),
            ("1|2", 2, Some(1), true, false, false, true),
            ("0/2", 2, Some(0), false, false, false, false),
            ("./.", 2, None, false, false, true, false),
            (".|.", 2, None, false, false, true, true),
            ("./1", 2, Some(1), false, false, true, false),
            (".", 1, None, false, false, true, true),
            ("1", 1, Some(1), false, true, false, true),
            ("|1", 1, Some(1), false, true, false, true),
            ("/1", 1, Some(1), false, true, false, false),
            ("/0|1", 2, Some(1), true, false, false, false),
            ("|0/1", 2, Some(1), true, false, false, false),
            ("|0|1", 2, Some(1), true, false, false, true),
            ("0/1/1", 3, Some(2), true, false, false, false),
            ("1|1/1", 3, Some(3), false, true, false, false),
            ("65534/10", 2, Some(0), false, false, false, false),
        ] {
            let gt = Genotype::parse(text.as_bytes()).unwrap();
            assert_eq!(gt.to_string(), text);
            assert_eq!(gt.ploidy(), ploidy, "{text}");
            assert_eq!(gt.dosage(1), dosage, "{text}");
            assert_eq!(gt.is_het(1), het, "{text}");
            assert_eq!(gt.is_hom_alt(1), hom, "{text}");
            assert_eq!(gt.is_missing(), missing, "{text}");
            assert_eq!(gt.is_phased(), phased, "{text}");
        }
    }

    #[test]
    fn texts_that_are_refused() {
        let long = vec!["0"; 256].join("/");
        for text in [
            "", "/", "0/", "0//1", "a", "0/x", "00", "-1", "65535", "0,1", " 0/1", &long,
        ] {
            assert!(Genotype::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Genotype::parse(vec!["0"; 255].join("/").as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn what_parses_prints_the_same(text in "[/|]?[.0-9]{1,3}([/|][.0-9]{1,6}){0,4}") {
            if let Ok(gt) = Genotype::parse(text.as_bytes()) {
                prop_assert_eq!(gt.to_string(), text);
            }
        }

        #[test]
        fn any_bytes_parse_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = Genotype::parse(&bytes);
        }
    }
}
