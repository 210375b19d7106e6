//! Region: a contig or a span of it as people write it, `chr22:20,000,000-20,100,000`.
//!
//! 1-based, both ends included. `chr22:100` is the one base 100 (as in bcftools), `chr22:100-` goes
//! to the end of the contig.
//!
//! A contig name may hold `:`, as those of the HLA alleles of GRCh38 do. In braces it is one, whatever there is:
//! `{HLA-A*01:01}:5-9`. Without braces the contigs there are decide ([`Region::parse_with`]), as in htslib:
//! ```text
//! text              known contigs               read as
//! HLA-A*01:01       HLA-A*01:01                 the contig
//! HLA-A*01:01:5-9   HLA-A*01:01                 bases 5 to 9 of it
//! a:1               a                           base 1 of a
//! a:1               a, a:1                      refused: braces tell which is meant
//! ```
//! Who does not know the contigs takes all that a text can mean ([`Region::readings`]).

use std::fmt;
use std::str::FromStr;

use crate::contig::canonical_key;
use crate::error::{Error, Result};
use crate::interval::Interval;
use crate::position::Position;

/// A contig, or a span of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Region {
    /// Contig name as the user wrote it.
    pub contig: String,
    /// The span; `None` is the whole contig. An open end is [`Position::MAX`].
    pub interval: Option<Interval>,
}

impl Region {
    /// Parses a region where `known` are the contig names there are: a text that is such a name as
    /// a whole is that contig, and a name that holds `:` needs no braces.
    ///
    /// A text that says no known contig is read by its last `:` or, where what follows is no span and
    /// the rest holds another `:`, as a name, so that who asks can tell the nearest one.
    ///
    /// # Errors
    /// [`Error::Region`] when the text is no region, and when both it and what stands before its last
    /// `:` are known names.
    pub fn parse_with<S: AsRef<str>>(text: &str, known: &[S]) -> Result<Self> {
        let is_known = |name: &str| known.iter().any(|known| known.as_ref() == name);
        if text.starts_with('{') {
            return text.parse();
        }
        let split = text.rsplit_once(':');
        match (is_known(text), split.filter(|(contig, _)| is_known(contig))) {
            (true, Some(_)) => Err(Error::Region {
                text: text.into(),
                reason: "is a contig, and a span of another one; braces tell which is meant, as \
                         {contig} or {contig}:start-end",
            }),
            (true, None) => Ok(Self::whole(text)),
            (false, Some((contig, span))) => Self::of(text, contig, span),
            (false, None) => match (text.parse(), split) {
                (Err(_), Some((contig, _))) if contig.contains(':') => Ok(Self::whole(text)),
                (parsed, _) => parsed,
            },
        }
    }

    /// What a text can mean where nobody knows the contigs: the contig of that name, if it holds `:`,
    /// and then the span of the contig before the last one. A human primary (`chr22:100`) and a name
    /// in braces have one reading.
    ///
    /// # Errors
    /// [`Error::Region`] when the text is no region.
    pub fn readings(text: &str) -> Result<Vec<Self>> {
        let span: Result<Self> = text.parse();
        let split = text.rsplit_once(':').filter(|_| !text.starts_with('{'));
        let Some((contig, _)) = split else {
            return Ok(vec![span?]);
        };
        let is_name = canonical_key(contig).is_none() && !contig.is_empty();
        match span {
            Ok(span) if is_name => Ok(vec![Self::whole(text), span]),
            Err(_) if contig.contains(':') => Ok(vec![Self::whole(text)]),
            span => Ok(vec![span?]),
        }
    }

    fn whole(contig: &str) -> Self {
        Self {
            contig: contig.to_owned(),
            interval: None,
        }
    }

    /// The span, or the whole of the contig.
    #[must_use]
    pub fn interval_or_all(&self) -> Interval {
        self.interval.unwrap_or(Interval::ALL)
    }

    fn of(text: &str, contig: &str, span: &str) -> Result<Self> {
        let reason = |reason| Error::Region {
            text: text.into(),
            reason,
        };
        if contig.is_empty() {
            return Err(reason("has no contig"));
        }
        let number = |s: &str| {
            s.parse::<Position>()
                .map_err(|_| reason("has a position that is not a number up to 2147483647"))
        };
        let (start, end) = match span.split_once('-') {
            None => {
                let pos = number(span)?;
                (pos, pos)
            }
            Some((start, "")) => (number(start)?, Position::MAX),
            Some((start, end)) => (number(start)?, number(end)?),
        };
        let interval = Interval::new(start, end).map_err(|_| reason("ends before it starts"))?;
        Ok(Self {
            contig: contig.to_owned(),
            interval: Some(interval),
        })
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let reason = |reason| Error::Region {
            text: text.into(),
            reason,
        };
        if let Some(rest) = text.strip_prefix('{') {
            let (contig, rest) = rest
                .rsplit_once('}')
                .ok_or_else(|| reason("has no closing brace"))?;
            return match (contig, rest.strip_prefix(':')) {
                ("", _) => Err(reason("has no contig")),
                (_, Some(span)) => Self::of(text, contig, span),
                (_, None) if rest.is_empty() => Ok(Self {
                    contig: contig.to_owned(),
                    interval: None,
                }),
                _ => Err(reason("has text after the closing brace")),
            };
        }
        match text.rsplit_once(':') {
            Some((contig, span)) => Self::of(text, contig, span),
            None if text.is_empty() => Err(reason("is empty")),
            None => Ok(Self {
                contig: text.to_owned(),
                interval: None,
            }),
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.contig.contains(':') || self.contig.starts_with('{') {
            write!(f, "{{{}}}", self.contig)?;
        } else {
            f.write_str(&self.contig)?;
        }
        match self.interval {
            None => Ok(()),
            Some(i) if i.end() == Position::MAX && i.start() != i.end() => {
                write!(f, ":{}-", i.start())
            }
            Some(i) => write!(f, ":{}-{}", i.start(), i.end()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn region_texts() {
        let max = i32::MAX as u32;
        for (text, contig, span) in [
            ("chr22", "chr22", None),
            ("chr22:100", "chr22", Some((100, 100))),
            (
                "chr22:20,000,000-20,100,000",
                "chr22",
                Some((20_000_000, 20_100_000)),
            ),
            ("chr22:100-", "chr22", Some((100, max))),
            ("X:0-0", "X", Some((0, 0))),
            ("{HLA-A*01:01}", "HLA-A*01:01", None),
            ("{HLA-A*01:01}:5-9", "HLA-A*01:01", Some((5, 9))),
        ] {
            let region: Region = text.parse().unwrap();
            assert_eq!(region.contig, contig, "{text}");
            let parsed = region.interval.map(|i| (i.start().get(), i.end().get()));
            assert_eq!(parsed, span, "{text}");
        }
        for text in [
            "", ":1-2", "chr1:", "chr1:x", "chr1:9-5", "chr1:-5", "{a", "{}:1", "{a}b",
        ] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_known_contig_may_hold_a_colon() {
        let known = ["HLA-A*01:01", "chr1"];
        let whole = Region::parse_with("HLA-A*01:01", &known).unwrap();
        assert_eq!(
            (whole.contig.as_str(), whole.interval),
            ("HLA-A*01:01", None)
        );
        let span = Region::parse_with("HLA-A*01:01:5-9", &known).unwrap();
        assert_eq!(span.contig, "HLA-A*01:01");
        assert_eq!(span.to_string(), "{HLA-A*01:01}:5-9");
        assert_eq!(Region::parse_with("chr1:5", &known).unwrap().contig, "chr1");
    }

    /// As `samtools faidx` reads them, with the names of GRCh38.
    #[test]
    fn the_contigs_there_are_decide_what_a_colon_is() {
        let known = [
            "HLA-A*01:01:01:01",
            "HLA-A*02:259",
            "HLA-B",
            "HLA-B:7",
            "chr1",
        ];
        for (text, expected) in [
            ("HLA-A*01:01:01:01", Some("{HLA-A*01:01:01:01}")),
            ("HLA-A*01:01:01:01:5-9", Some("{HLA-A*01:01:01:01}:5-9")),
            ("HLA-A*01:01:01:01:5", Some("{HLA-A*01:01:01:01}:5-5")),
            (
                "HLA-A*01:01:01:01:1,000-",
                Some("{HLA-A*01:01:01:01}:1000-"),
            ),
            ("{HLA-A*01:01:01:01}:5-9", Some("{HLA-A*01:01:01:01}:5-9")),
            ("HLA-A*02:259", Some("{HLA-A*02:259}")),
            ("HLA-B:5", Some("HLA-B:5-5")),
            ("HLA-B:7", None),
            ("{HLA-B}:7", Some("HLA-B:7-7")),
            ("{HLA-B:7}", Some("{HLA-B:7}")),
            ("HLA-B:7:1-2", Some("{HLA-B:7}:1-2")),
            // Unknown names are told as they stand.
            ("HLA-A*24:02:01:02L", Some("{HLA-A*24:02:01:02L}")),
            ("chr2:5", Some("chr2:5-5")),
            ("chr1:x", None),
            ("chr2:x", None),
            ("chr1:9-5", None),
        ] {
            let region = Region::parse_with(text, &known).ok();
            let region = region.map(|region| region.to_string());
            assert_eq!(region.as_deref(), expected, "{text}");
        }
        let ambiguous = Region::parse_with("HLA-B:7", &known)
            .unwrap_err()
            .to_string();
        assert!(ambiguous.contains("braces tell which"), "{ambiguous}");
    }

    #[test]
    fn without_contigs_a_text_may_mean_two() {
        for (text, expected) in [
            ("chr22", vec!["chr22"]),
            ("chr22:100", vec!["chr22:100-100"]),
            ("MT:5-9", vec!["MT:5-9"]),
            ("HLA-A*02:259", vec!["{HLA-A*02:259}", "HLA-A*02:259-259"]),
            ("a:b:5-", vec!["{a:b:5-}", "{a:b}:5-"]),
            ("HLA-A*24:02:01:02L", vec!["{HLA-A*24:02:01:02L}"]),
            ("{a:b}:5-9", vec!["{a:b}:5-9"]),
        ] {
            let readings = Region::readings(text).unwrap();
            let readings: Vec<String> = readings.iter().map(Region::to_string).collect();
            assert_eq!(readings, expected, "{text}");
        }
        for text in ["", ":5", "chr1:", "chr1:x", "a:9-5", "{a"] {
            assert!(Region::readings(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn print_then_parse_is_the_same(contig in "[A-Za-z0-9{}:*._-]{1,12}", a in 0u32..=i32::MAX as u32, b in 0u32..=i32::MAX as u32, whole: bool) {
            let interval = Interval::new(Position::new(a.min(b)).unwrap(), Position::new(a.max(b)).unwrap()).unwrap();
            let region = Region { contig, interval: (!whole).then_some(interval) };
            prop_assert_eq!(region.to_string().parse::<Region>().unwrap(), region);
        }

        #[test]
        fn any_text_is_a_region_or_an_error(text in ".{0,40}") {
            let _ = text.parse::<Region>();
        }
    }
}
