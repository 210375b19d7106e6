//! Records as a PLINK 1 file set: `.bed`, `.bim`, `.fam`.
//!
//! Each ALT is a variant of its own, `A1` the ALT and `A2` REF. A genotype is two bits: two copies of
//! the ALT, one, none, or missing; four samples to a byte, the first in the lowest bits.
//!
//! PLINK 1 has no place for phase, ploidy, QUAL, FILTER, INFO and other FORMAT keys, which are left
//! out. Another ALT counts as no copy of this one, a haploid call as two of its allele. A half call
//! and a call of more than two alleles are missing; the latter are counted.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use genokura_core::codec::array::write_integer;
use genokura_core::sex::Sex;
use genokura_exec::records::{LoadedRecords, RecordView, Selection};

use crate::calls::{CallColumn, allele_number};
use crate::error::Result;

/// Magic and mode (variant after variant) of a `.bed`.
pub(crate) const BED_MAGIC: [u8; 3] = [0x6c, 0x1b, 0x01];

/// Codes of a `.bed`.
const HOM_A1: u8 = 0b00;
const MISSING: u8 = 0b01;
const HET: u8 = 0b10;
const HOM_A2: u8 = 0b11;

/// Writes records; one per worker, its buffers are kept.
pub(crate) struct BedWriter {
    selection: Arc<Selection>,
    calls: CallColumn,
    /// The two alleles of each sample.
    pairs: Vec<Option<(usize, usize)>>,
    /// Calls that PLINK 1 cannot hold.
    pub(crate) n_lost: u64,
}

impl BedWriter {
    pub(crate) fn new(selection: Arc<Selection>) -> Self {
        Self {
            selection,
            calls: CallColumn::default(),
            pairs: Vec::new(),
            n_lost: 0,
        }
    }

    /// Appends the variants of some records: genotypes to `bed`, lines to `bim`. Gives the number of
    /// records.
    pub(crate) fn write(
        &mut self,
        group: &LoadedRecords,
        range: std::ops::Range<usize>,
        bed: &mut Vec<u8>,
        bim: &mut Vec<u8>,
    ) -> Result<u64> {
        let mut n_records = 0;
        for record in range.filter_map(|i| group.get(i)) {
            n_records += 1;
            self.calls.fill(&record, self.selection.names().len())?;
            self.pairs.clear();
            for call in self.calls.iter() {
                let pair = pair(call);
                self.n_lost += u64::from(pair.is_none() && is_polyploid(call));
                self.pairs.push(pair);
            }
            let mut alts: Vec<String> = Vec::new();
            record.for_each_alt(|alt| alts.push(alt.to_owned()));
            if alts.is_empty() {
                alts.push(".".to_owned());
            }
            for (i, alt) in alts.iter().enumerate() {
                write_bim(&record, alt, alts.len() == 1, bim);
                self.variant(i + 1, bed);
            }
        }
        Ok(n_records)
    }

    fn variant(&self, alt: usize, bed: &mut Vec<u8>) {
        let code = |pair: &Option<(usize, usize)>| match *pair {
            None => MISSING,
            Some((a, b)) => match (a == alt, b == alt) {
                (true, true) => HOM_A1,
                (false, false) => HOM_A2,
                _ => HET,
            },
        };
        for four in self.pairs.chunks(4) {
            let bits = four.iter().enumerate();
            bed.push(bits.fold(0, |byte, (i, pair)| byte | code(pair) << (2 * i)));
        }
    }
}

/// The two alleles of a call, a haploid one twice; `None` when any is missing or there are more.
fn pair(call: &[u8]) -> Option<(usize, usize)> {
    if let [a @ b'0'..=b'9', b'/' | b'|', b @ b'0'..=b'9'] = *call {
        return Some((usize::from(a - b'0'), usize::from(b - b'0')));
    }
    let call = call
        .strip_prefix(b"/")
        .or(call.strip_prefix(b"|"))
        .unwrap_or(call);
    let mut alleles = call.split(|b| matches!(b, b'/' | b'|')).map(allele_number);
    let first = alleles.next()??;
    let second = alleles.next().unwrap_or(Some(first))?;
    alleles.next().is_none().then_some((first, second))
}

fn is_polyploid(call: &[u8]) -> bool {
    call.iter()
        .skip(1)
        .filter(|b| matches!(b, b'/' | b'|'))
        .count()
        > 1
}

/// Chromosome, ID, centimorgans (0), position, A1, A2. A record without an ID of its own, with one
/// that has a space, or of several ALTs, is named `CHROM:POS:REF:ALT`.
fn write_bim(record: &RecordView<'_>, alt: &str, is_only: bool, out: &mut Vec<u8>) {
    let mut id = None;
    record.for_each_id(|found| id = id.take().or_else(|| Some(found.to_owned())));
    out.extend_from_slice(record.contig().as_bytes());
    out.push(b'\t');
    match id.filter(|_| is_only) {
        // PLINK splits its files at white space.
        Some(id) if !id.contains(char::is_whitespace) => out.extend_from_slice(id.as_bytes()),
        _ => {
            out.extend_from_slice(record.contig().as_bytes());
            out.push(b':');
            write_integer(record.pos(), out);
            for allele in [record.reference(), alt] {
                out.push(b':');
                out.extend_from_slice(allele.as_bytes());
            }
        }
    }
    out.extend_from_slice(b"\t0\t");
    write_integer(record.pos(), out);
    for allele in [alt, record.reference()] {
        out.push(b'\t');
        out.extend_from_slice(allele.as_bytes());
    }
    out.push(b'\n');
}

/// What a pedigree says of a sample, for the `.fam`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyMember {
    /// Name of the family.
    pub family: Option<String>,
    /// Sample of the father.
    pub father: Option<String>,
    /// Sample of the mother.
    pub mother: Option<String>,
    /// Sex, by which PLINK counts the copies of X and Y.
    pub sex: Sex,
}

/// The first family of these samples that a `.fam` cannot hold.
pub(crate) fn unfit_family<'a>(
    samples: &[String],
    members: &'a HashMap<String, FamilyMember>,
) -> Option<&'a String> {
    let families = samples
        .iter()
        .filter_map(|sample| members.get(sample)?.family.as_ref());
    families
        .into_iter()
        .find(|name| name.contains(char::is_whitespace))
}

/// The first name that a `.fam` cannot hold: PLINK splits its files at white space, and would read the rest as a
/// parent.
pub(crate) fn unfit(samples: &[String]) -> Option<&String> {
    let fits = |name: &String| !name.is_empty() && !name.contains(char::is_whitespace);
    samples.iter().find(|name| !fits(name))
}

/// The `.fam`: family, sample, father, mother, sex, no phenotype. What is not known is 0, and so is a parent who is
/// not among the samples: PLINK would take the child for no founder all the same.
pub(crate) fn fam(samples: &[String], members: &HashMap<String, FamilyMember>) -> Vec<u8> {
    let there: HashSet<&str> = samples.iter().map(String::as_str).collect();
    let nobody = FamilyMember::default();
    let line = |sample: &String| {
        let member = members.get(sample).unwrap_or(&nobody);
        let family = member.family.as_deref().filter(|name| !name.is_empty());
        let parent = |name: &Option<String>| {
            let name = name.as_deref().filter(|name| there.contains(name));
            name.unwrap_or("0").to_owned()
        };
        let sex = match member.sex {
            Sex::Male => 1,
            Sex::Female => 2,
            Sex::Unknown => 0,
        };
        format!(
            "{}\t{sample}\t{}\t{}\t{sex}\t-9\n",
            family.unwrap_or("0"),
            parent(&member.father),
            parent(&member.mother),
        )
    };
    samples.iter().map(line).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_white_space_are_unfit() {
        let names = |names: [&str; 2]| names.map(str::to_owned);
        assert_eq!(unfit(&names(["A1", "né-3"])), None);
        for bad in ["a b", "a\tb", "", "a\u{a0}b"] {
            assert_eq!(unfit(&names(["A1", bad])).map(String::as_str), Some(bad));
        }
    }

    #[test]
    fn a_fam_names_parents_who_are_there() {
        let some = |text: &str| Some(text.to_owned());
        let child = FamilyMember {
            family: some("F1"),
            father: some("B"),
            mother: some("elsewhere"),
            sex: Sex::Male,
        };
        let mother = FamilyMember {
            sex: Sex::Female,
            ..FamilyMember::default()
        };
        let mut members = HashMap::from([("A".to_owned(), child), ("C".to_owned(), mother)]);
        let samples = ["A", "B", "C"].map(str::to_owned);
        let fam = String::from_utf8_lossy(&fam(&samples, &members)).into_owned();
        assert_eq!(
            fam,
            "F1\tA\tB\t0\t1\t-9\n0\tB\t0\t0\t0\t-9\n0\tC\t0\t0\t2\t-9\n"
        );
        assert_eq!(unfit_family(&samples, &members), None);
        let split = FamilyMember {
            family: some("F 1"),
            ..FamilyMember::default()
        };
        members.insert("B".to_owned(), split);
        assert_eq!(unfit_family(&samples, &members), some("F 1").as_ref());
    }

    #[test]
    fn calls_are_pairs_of_alleles() {
        for (call, expected) in [
            ("0/1", Some((0, 1))),
            ("1|12", Some((1, 12))),
            ("1", Some((1, 1))),
            ("|0/1", Some((0, 1))),
            (".", None),
            ("./1", None),
            ("0/1/1", None),
        ] {
            assert_eq!(pair(call.as_bytes()), expected, "{call}");
        }
        assert!(is_polyploid(b"0/1/1") && !is_polyploid(b"|0/1"));
    }
}
