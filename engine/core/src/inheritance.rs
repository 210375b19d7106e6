//! Inheritance: whether the genotypes of a child and its parents can be.
//!
//! # Alleles of one record and of several
//! Numbers above the row's own ALT have a meaning only inside of one record. Where the three calls come from
//! different records (batches that were ingested apart), two such numbers may or may not be the same allele: they
//! are then taken to match, so that an error is told only when it is certain.

use crate::codec::CallRef;
use crate::sex::{Sex, Zone};

/// An allele that can be compared between the calls of one variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allele {
    Ref,
    /// The row's ALT.
    Alt,
    /// Another ALT, by its number in a record.
    Other {
        record: u32,
        number: u16,
    },
}

impl Allele {
    fn of(number: u16, alt_index: u16, record: u32) -> Self {
        match number {
            0 => Self::Ref,
            n if n == alt_index => Self::Alt,
            number => Self::Other { record, number },
        }
    }

    fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Other { record: a, .. }, Self::Other { record: b, .. }) if a != b => true,
            _ => self == other,
        }
    }
}

/// A haploid or diploid call with every allele called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeCall {
    alleles: [Allele; 2],
    is_haploid: bool,
}

impl WholeCall {
    /// The call, if it is whole: `None` for a (half) missing one, for more than two alleles and without GT.
    /// `record`: a number that calls of the same record have in common.
    #[must_use]
    pub fn of(call: &CallRef<'_>, record: u32) -> Option<Self> {
        let mut alleles = call.alleles();
        let allele = |number: Option<u16>| Some(Allele::of(number?, call.alt_index(), record));
        let first = allele(alleles.next()?)?;
        let second = match alleles.next() {
            None => None,
            Some(second) => Some(allele(second)?),
        };
        alleles.next().is_none().then_some(Self {
            alleles: [first, second.unwrap_or(first)],
            is_haploid: second.is_none(),
        })
    }

    /// True when there is one allele, in one copy or twice.
    fn is_uniform(&self) -> bool {
        self.alleles[0] == self.alleles[1]
    }

    fn has(&self, allele: Allele) -> bool {
        self.alleles.iter().any(|own| own.may_be(allele))
    }
}

/// Whether a child's genotype cannot come from its parents; `None` where that cannot be told.
///
/// # Rules
/// - Autosomal: one allele from each parent, of a diploid child. A haploid parent is a missing call.
/// - X: a son has his mother's allele; his father is not asked. A daughter has one from each. Sons, and fathers of
///   daughters, must be hemizygous: haploid, or two copies of one allele; a heterozygous one is no call to judge by.
///   Without a sex, a haploid child is a son, and a diploid one is not judged.
/// - Y: a son has his father's allele; nobody else is judged.
/// - Mitochondrial: every allele is one of the mother's.
///
/// # Missing calls
/// A (half) missing call can be anything: a child's gives `None`; with a parent's it is an error when the other parent
/// alone rules the child out (`1/1` of a `0/0`), as bcftools and PLINK have it, else `None`.
#[must_use]
pub fn mendel_error(
    zone: Zone,
    sex: Sex,
    child: Option<WholeCall>,
    father: Option<WholeCall>,
    mother: Option<WholeCall>,
) -> Option<bool> {
    let child = child?;
    match zone {
        Zone::Autosomal => (!child.is_haploid)
            .then(|| {
                let diploid = |parent: Option<WholeCall>| parent.filter(|p| !p.is_haploid);
                from_both(&child, diploid(father), diploid(mother))
            })
            .flatten(),
        Zone::X if is_son(sex, &child) => child
            .is_uniform()
            .then(|| Some(!mother?.has(child.alleles[0])))
            .flatten(),
        Zone::X => {
            let father = father.filter(WholeCall::is_uniform);
            let mother = mother.filter(|mother| !mother.is_haploid);
            let is_daughter = sex == Sex::Female && !child.is_haploid;
            is_daughter
                .then(|| from_both(&child, father, mother))
                .flatten()
        }
        Zone::Y => {
            let father = father.filter(WholeCall::is_uniform);
            (is_son(sex, &child) && child.is_uniform())
                .then(|| Some(!father?.has(child.alleles[0])))
                .flatten()
        }
        Zone::Mitochondrial => {
            let mother = mother?;
            Some(!child.alleles.iter().all(|allele| mother.has(*allele)))
        }
    }
}

fn is_son(sex: Sex, child: &WholeCall) -> bool {
    sex == Sex::Male || (sex == Sex::Unknown && child.is_haploid)
}

fn from_both(
    child: &WholeCall,
    father: Option<WholeCall>,
    mother: Option<WholeCall>,
) -> Option<bool> {
    let [a, b] = child.alleles;
    let may_give = |parent: &Option<WholeCall>, allele| parent.is_none_or(|p| p.has(allele));
    let possible = (may_give(&father, a) && may_give(&mother, b))
        || (may_give(&father, b) && may_give(&mother, a));
    if !possible {
        return Some(true);
    }
    (father.is_some() && mother.is_some()).then_some(false)
}

/// Whether a child carries the row's ALT and nobody handed it down; `None` where a missing call leaves it open.
///
/// # Rules
/// The parents who are asked are those that hand down the place: both on autosomes and for a daughter's X, the
/// mother for a son's X and for the mitochondrial genome, the father for Y. A child of unknown sex with a haploid
/// call on X is a son; with a diploid one both parents are asked.
///
/// # Missing calls
/// One called copy makes the child a carrier (`./1`); a parent is none when every allele is called and none is the
/// ALT. False as soon as one of them says no.
#[must_use]
pub fn de_novo(
    zone: Zone,
    sex: Sex,
    child: Option<CallRef<'_>>,
    father: Option<CallRef<'_>>,
    mother: Option<CallRef<'_>>,
) -> Option<bool> {
    let is_haploid = child.is_some_and(|call| call.tally().ploidy == 1);
    let is_son = sex == Sex::Male || (sex == Sex::Unknown && is_haploid);
    let (ask_father, ask_mother) = match zone {
        Zone::Autosomal => (true, true),
        Zone::X => (!is_son, true),
        Zone::Y => (true, false),
        Zone::Mitochondrial => (false, true),
    };
    let lacks = |asked: bool, call: Option<CallRef<'_>>| {
        if asked {
            call.and_then(carries).map(|carries| !carries)
        } else {
            Some(true)
        }
    };
    let parts = [
        child.and_then(carries),
        lacks(ask_father, father),
        lacks(ask_mother, mother),
    ];
    if parts.contains(&Some(false)) {
        return Some(false);
    }
    (!parts.contains(&None)).then_some(true)
}

/// Whether the row's ALT is among the called alleles; `None` when a missing allele leaves it open.
#[must_use]
pub fn carries(call: CallRef<'_>) -> Option<bool> {
    let tally = call.tally();
    if tally.copies > 0 {
        return Some(true);
    }
    (!tally.is_missing()).then_some(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::codec::{DefaultCall, GenotypeRow, RecordEncoder};

    /// Calls of a trio (child, father, mother) in the row of ALT 1 of a record with three ALTs.
    fn trio<T>(texts: [&str; 3], read: impl Fn([Option<CallRef<'_>>; 3]) -> T) -> T {
        let mut encoder = RecordEncoder::new();
        encoder.begin(3, 3, DefaultCall::Unphased);
        for (sample, text) in (0u32..).zip(texts) {
            encoder.call(sample, text.as_bytes()).unwrap();
        }
        let mut blob = Vec::new();
        let default = encoder.finish(1, &mut blob).is_default;
        let row = if default {
            GenotypeRow::of_default(3, DefaultCall::Unphased)
        } else {
            GenotypeRow::parse(&blob).unwrap()
        };
        read([0, 1, 2].map(|sample| row.call(sample)))
    }

    fn error(zone: Zone, sex: Sex, texts: [&str; 3]) -> Option<bool> {
        trio(texts, |calls| {
            let [child, father, mother] =
                calls.map(|call| call.and_then(|call| WholeCall::of(&call, 0)));
            mendel_error(zone, sex, child, father, mother)
        })
    }

    #[test]
    fn autosomal_rules() {
        // child, father, mother
        for (texts, expected) in [
            (["0/0", "0/0", "0/0"], Some(false)),
            (["0/1", "0/0", "0/1"], Some(false)),
            (["0/1", "0/0", "0/0"], Some(true)),
            (["0/1", "1/1", "1/1"], Some(true)),
            (["1/1", "0/1", "0/0"], Some(true)),
            (["0/0", "1/1", "0/1"], Some(true)),
            // Other alleles of the record count: 2 must come from somebody.
            (["0/2", "0/0", "0/1"], Some(true)),
            (["0/2", "0/2", "0/1"], Some(false)),
            (["1/2", "0/1", "0/2"], Some(false)),
            (["1/2", "1/2", "0/0"], Some(true)),
            (["2/3", "2/2", "3/3"], Some(false)),
            (["2/3", "2/2", "2/2"], Some(true)),
            // A missing parent can be anything: what the other one alone rules out is an error.
            (["1/1", "./.", "0/0"], Some(true)),
            (["0/0", "1/1", "0/."], Some(true)),
            (["1/1", "./.", "0/1"], None),
            (["1/2", "./.", "0/0"], Some(true)),
            (["0/1", "./.", "./."], None),
            // Missing and half missing calls, other ploidies: no verdict.
            (["0/1", "./.", "0/0"], None),
            (["0/1", "0/.", "0/0"], None),
            (["./1", "0/0", "0/0"], None),
            (["1", "0/0", "0/0"], None),
            (["0/1/1", "0/0", "0/0"], None),
        ] {
            assert_eq!(
                error(Zone::Autosomal, Sex::Unknown, texts),
                expected,
                "{texts:?}"
            );
        }
    }

    #[test]
    fn rules_of_x() {
        use Sex::{Female, Male, Unknown};
        for (sex, texts, expected) in [
            (Male, ["1", "0", "0/1"], Some(false)),
            (Male, ["1/1", "0", "0/1"], Some(false)),
            (Male, ["1", "1", "0/0"], Some(true)),
            (Male, ["1", ".", "0/0"], Some(true)),
            (Male, ["0/1", "0", "0/1"], None),
            (Male, ["1", "0", "./."], None),
            (Female, ["0/1", "1", "0/0"], Some(false)),
            (Female, ["0/1", "0", "0/0"], Some(true)),
            (Female, ["0/0", "1", "0/1"], Some(true)),
            (Female, ["0/0", "1/1", "0/1"], Some(true)),
            (Female, ["0/1", "0/1", "0/0"], None),
            (Female, ["1", "1", "1/1"], None),
            (Unknown, ["1", "0", "0/0"], Some(true)),
            (Unknown, ["1/1", "0", "0/0"], None),
        ] {
            assert_eq!(error(Zone::X, sex, texts), expected, "{sex:?} {texts:?}");
        }
    }

    #[test]
    fn rules_of_y_and_of_mitochondria() {
        for (zone, sex, texts, expected) in [
            (Zone::Y, Sex::Male, ["1", "1", "./."], Some(false)),
            (Zone::Y, Sex::Male, ["1", "0", "."], Some(true)),
            (Zone::Y, Sex::Female, ["1", "0", "."], None),
            (Zone::Mitochondrial, Sex::Male, ["1", "0", "1"], Some(false)),
            (
                Zone::Mitochondrial,
                Sex::Female,
                ["1", "1", "0"],
                Some(true),
            ),
            (
                Zone::Mitochondrial,
                Sex::Female,
                ["0/1", ".", "0/1"],
                Some(false),
            ),
            (Zone::Mitochondrial, Sex::Female, ["1", "1", "."], None),
        ] {
            assert_eq!(
                error(zone, sex, texts),
                expected,
                "{zone:?} {sex:?} {texts:?}"
            );
        }
    }

    #[test]
    fn alleles_of_two_records_may_be_the_same() {
        let verdict = trio(["0/2", "0/2", "0/0"], |[child, father, mother]| {
            let whole = |call: Option<CallRef<'_>>, record| WholeCall::of(&call.unwrap(), record);
            let (child, mother) = (whole(child, 0), whole(mother, 0));
            [0, 1].map(|record| {
                let father = whole(father, record);
                mendel_error(Zone::Autosomal, Sex::Unknown, child, father, mother)
            })
        });
        assert_eq!(verdict, [Some(false), Some(false)]);
        let certain = trio(["0/2", "0/1", "0/0"], |[child, father, mother]| {
            let [child, father, mother] = [(child, 0), (father, 1), (mother, 1)]
                .map(|(call, record)| WholeCall::of(&call.unwrap(), record));
            mendel_error(Zone::Autosomal, Sex::Unknown, child, father, mother)
        });
        assert_eq!(certain, Some(true));
    }

    #[test]
    fn de_novo_asks_those_who_hand_it_down() {
        use Sex::{Female, Male, Unknown};
        for (zone, sex, texts, expected) in [
            (Zone::Autosomal, Male, ["0/1", "0/0", "0/0"], Some(true)),
            (Zone::Autosomal, Male, ["./1", "0/0", "0/0"], Some(true)),
            (Zone::Autosomal, Male, ["0/1", "./.", "0/0"], None),
            (Zone::Autosomal, Male, ["0/1", "./.", "0/1"], Some(false)),
            (Zone::X, Male, ["1", "1", "0/0"], Some(true)),
            (Zone::X, Female, ["0/1", "1", "0/0"], Some(false)),
            (Zone::X, Unknown, ["1", "1", "0/0"], Some(true)),
            (Zone::X, Unknown, ["0/1", "1", "0/0"], Some(false)),
            (Zone::Y, Male, ["1", "0", "."], Some(true)),
            (Zone::Mitochondrial, Female, ["1", "1", "0"], Some(true)),
        ] {
            let got = trio(texts, |[child, father, mother]| {
                de_novo(zone, sex, child, father, mother)
            });
            assert_eq!(got, expected, "{zone:?} {sex:?} {texts:?}");
        }
    }
}
