//! Which of the two tumour alleles of a MAF line is the variant.
//!
//! A line has the reference allele and two alleles of the tumour, of which usually, but not always, the first is the
//! reference again. The variant is the one that differs from the reference. Where both do it is the second, which is
//! what the line's annotation is about; but bases go before `-`. An allele that is empty or `NA` is not there. A line
//! with alleles of which none differs names no variant and is refused; one without any has no alternative (NULL).
//! Bases are upper case as those of a call set are, whatever the file writes: `a` joins nothing.
//!
//! Source: the importer of cBioPortal (`MafUtil.resolveTumorSeqAllele`), which takes the first where both differ.

use std::borrow::Cow;

use genokura_core::contig::Assembly;
use genokura_core::variant::upper_case;

use super::meta::Kind;
use crate::table::{Cell, Column};

/// The columns of the tumour's alleles, as SQL names.
pub(super) const FIRST: &str = "tumor_seq_allele1";
pub(super) const SECOND: &str = "tumor_seq_allele2";

/// Places of the alleles in a row.
#[derive(Debug)]
pub(super) struct Alleles {
    reference: usize,
    /// The first allele where the file has both.
    first: Option<usize>,
    /// The second or only one, whose place the alternative takes.
    alt: usize,
}

impl Alleles {
    /// Where the alleles are among the columns of `mutation`.
    pub(super) fn of(columns: &[Column]) -> Option<Self> {
        let place = |name: &str| columns.iter().position(|column| column.name == name);
        Some(Self {
            reference: place("ref")?,
            first: place(FIRST),
            alt: place("alt")?,
        })
    }

    /// The variant of a row. Gives what is wrong with a row that names none.
    pub(super) fn variant(&self, cells: &[Cell<'_>]) -> Result<Variant, &'static str> {
        let first = self.first.and_then(|place| allele(&cells[place]));
        let (reference, second) = (allele(&cells[self.reference]), allele(&cells[self.alt]));
        let chosen = alternative(reference, first, second)?;
        Ok(Variant {
            reference: reference.map(upper),
            alternative: chosen.map(upper),
        })
    }

    /// The row with the variant in the places of reference and alternative.
    pub(super) fn put<'a>(&self, variant: &'a Variant, mut cells: Vec<Cell<'a>>) -> Vec<Cell<'a>> {
        let cell = |allele: &'a Option<String>| allele.as_deref().map_or(Cell::Null, Cell::Quoted);
        cells[self.reference] = cell(&variant.reference);
        cells[self.alt] = cell(&variant.alternative);
        cells
    }
}

/// Alleles as a call set writes them; `None` where the line has none.
#[derive(Debug, PartialEq)]
pub(super) struct Variant {
    reference: Option<String>,
    alternative: Option<String>,
}

/// The column NCBI_Build: the assembly of each line.
#[derive(Debug)]
pub(super) struct Builds {
    place: usize,
    last: String,
    said: bool,
}

impl Builds {
    /// Where it is among the columns of `mutation`.
    pub(super) fn of(columns: &[Column], kind: Kind) -> Option<Self> {
        let mut columns = columns.iter();
        let place = columns.position(|column| column.name == "ncbi_build")?;
        let last = String::new();
        let said = false;
        (kind == Kind::Table("mutation")).then_some(Self { place, last, said })
    }

    /// Whether a row has named one.
    pub(super) fn has_said(&self) -> bool {
        self.said
    }

    /// The assembly of a row, when it names another than the row before. Names that are not known are none.
    pub(super) fn next(&mut self, cells: &[Cell<'_>]) -> Option<(Assembly, &str)> {
        let (Cell::Bare(text) | Cell::Quoted(text)) = cells.get(self.place)? else {
            return None;
        };
        if *text == self.last {
            return None;
        }
        self.last = (*text).to_owned();
        let assembly = Assembly::named_in(text)?;
        self.said = true;
        Some((assembly, &self.last))
    }
}

fn upper(allele: &str) -> String {
    String::from_utf8_lossy(&upper_case(Cow::Borrowed(allele.as_bytes()))).into_owned()
}

/// An allele that is there.
fn allele<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    let (Cell::Bare(text) | Cell::Quoted(text)) = cell else {
        return None;
    };
    let text = text.trim();
    (!text.is_empty() && !text.eq_ignore_ascii_case("NA")).then_some(text)
}

fn alternative<'a>(
    reference: Option<&str>,
    first: Option<&'a str>,
    second: Option<&'a str>,
) -> Result<Option<&'a str>, &'static str> {
    let differs =
        |allele: &&str| reference.is_none_or(|reference| !allele.eq_ignore_ascii_case(reference));
    let any = first.is_some() || second.is_some();
    match (first.filter(differs), second.filter(differs)) {
        (Some(first), Some("-")) => Ok(Some(first)),
        (first, second) if any && first.is_none() && second.is_none() => {
            Err("no tumour allele differs from the reference, so that the line has no variant")
        }
        (first, second) => Ok(second.or(first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allele_that_differs_is_the_variant() {
        // Reference, first, second, alternative.
        for (reference, first, second, expected) in [
            ("C", "C", "T", Some("T")),
            ("A", "G", "A", Some("G")),
            ("A", "G", "G", Some("G")),
            ("A", "G", "T", Some("T")),
            ("A", "", "T", Some("T")),
            ("A", "G", "", Some("G")),
            ("A", "G", "NA", Some("G")),
            ("A", "na", "T", Some("T")),
            ("a", "A", "t", Some("T")),
            ("A", "A", "g", Some("G")),
            ("A", "g", "a", Some("G")),
            ("-", "-", "ag", Some("AG")),
            ("-", "-", "AG", Some("AG")),
            ("-", "AG", "-", Some("AG")),
            ("ACT", "ACT", "-", Some("-")),
            ("ACT", "-", "ACT", Some("-")),
            ("ACT", "-", "-", Some("-")),
            ("A", "G", "-", Some("G")),
            ("A", "-", "G", Some("G")),
            ("", "C", "T", Some("T")),
            ("NA", "", "T", Some("T")),
            ("A", "", "NA", None),
            ("", "", "", None),
        ] {
            let cells = [reference, first, second].map(Cell::Bare);
            let places = Alleles {
                reference: 0,
                first: Some(1),
                alt: 2,
            };
            let what = format!("{reference} {first} {second}");
            let variant = places.variant(&cells);
            let absent = matches!(reference, "" | "NA");
            let expected = Variant {
                reference: (!absent).then(|| reference.to_uppercase()),
                alternative: expected.map(str::to_owned),
            };
            assert_eq!(variant, Ok(expected), "{what}");
        }
        for (reference, first, second) in [
            ("A", "A", "A"),
            ("A", "", "A"),
            ("A", "A", "NA"),
            ("A", "a", "A"),
            ("-", "-", "-"),
        ] {
            let (reference, first, second) = (
                allele(&Cell::Bare(reference)),
                allele(&Cell::Bare(first)),
                allele(&Cell::Bare(second)),
            );
            let chosen = alternative(reference, first, second);
            assert!(chosen.is_err(), "{reference:?} {first:?} {second:?}");
        }
    }
}
