//! Transmission: which founder haplotype a person carries where.
//!
//! Every parent who is not in the cohort stands for one founder haplotype. A child's haplotype is a mosaic of
//! the two of its parent, with crossovers at one per 100 Mb (1 cM/Mb) over the span from the first to the
//! last locus of the contig. Haplotype 0 of a person is the mother's, haplotype 1 the father's. On the X
//! (only loci outside the pseudoautosomal regions) a male has haplotype 0 alone.

use crate::genes::GENES;
use crate::pedigree::{Person, Sex};
use crate::random::Random;

/// No haplotype: the second X of a male.
pub(crate) const ABSENT: u32 = u32::MAX;

/// From `from` on, up to the next piece, the haplotype is the founder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) from: i32,
    pub(crate) founder: u32,
}

/// The mosaic of every person on one contig.
pub(crate) struct Inheritance {
    /// `mosaics[person][haplotype]`: pieces by ascending position; empty when the haplotype is absent.
    pub(crate) mosaics: Vec<[Vec<Piece>; 2]>,
}

/// A change at `from`: from there on this haplotype of this person is `founder`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switch {
    pub(crate) from: i32,
    pub(crate) person: usize,
    pub(crate) haplotype: usize,
    pub(crate) founder: u32,
}

impl Inheritance {
    pub(crate) fn simulate(people: &[Person], contig: &str, random: &mut Random) -> Self {
        let (start, end) = span(contig);
        let is_x = contig == "chrX";
        let mut mosaics: Vec<[Vec<Piece>; 2]> = Vec::with_capacity(people.len());
        let mut founders = 0..founder_haplotypes(people);
        for person in people {
            let mut own = |absent_parent: bool| match absent_parent {
                true => founders.next().unwrap_or(ABSENT),
                false => ABSENT,
            };
            let (own_maternal, own_paternal) =
                (own(person.mother.is_none()), own(person.father.is_none()));
            let maternal = match person.mother {
                Some(mother) => recombine(&mosaics[mother], start, end, random),
                None => whole(own_maternal, start),
            };
            let paternal = match (is_x, person.sex, person.father) {
                (true, Sex::Male, _) => Vec::new(),
                (true, Sex::Female, Some(father)) => mosaics[father][0].clone(),
                (false, _, Some(father)) => recombine(&mosaics[father], start, end, random),
                (_, _, None) => whole(own_paternal, start),
            };
            mosaics.push([maternal, paternal]);
        }
        Self { mosaics }
    }

    /// The founder haplotype at a position, or [`ABSENT`].
    pub(crate) fn founder_at(&self, person: usize, haplotype: usize, pos: i32) -> u32 {
        let pieces = &self.mosaics[person][haplotype];
        pieces
            .iter()
            .rev()
            .find(|piece| piece.from <= pos)
            .map_or(ABSENT, |piece| piece.founder)
    }

    /// Every change, by position: replayed by the writer while it walks along the contig.
    pub(crate) fn switches(&self) -> Vec<Switch> {
        let mut all = Vec::new();
        for (person, pair) in self.mosaics.iter().enumerate() {
            for (haplotype, pieces) in pair.iter().enumerate() {
                all.extend(pieces.iter().map(|piece| Switch {
                    from: piece.from,
                    person,
                    haplotype,
                    founder: piece.founder,
                }));
            }
        }
        all.sort_by_key(|switch| switch.from);
        all
    }
}

/// How many haplotypes come from outside the cohort: one for every parent that is not in it.
pub(crate) fn founder_haplotypes(people: &[Person]) -> u32 {
    let parents = people
        .iter()
        .flat_map(|person| [person.mother, person.father]);
    u32::try_from(parents.filter(Option::is_none).count()).unwrap_or(ABSENT)
}

fn span(contig: &str) -> (i32, i32) {
    let spans = || GENES.iter().filter(|gene| gene.contig == contig);
    let start = spans().map(|gene| gene.start).min().unwrap_or(1);
    let end = spans().map(|gene| gene.end).max().unwrap_or(1);
    (start, end)
}

fn whole(founder: u32, from: i32) -> Vec<Piece> {
    vec![Piece { from, founder }]
}

/// One gamete: the parent's two mosaics, switching at every crossover.
fn recombine(parent: &[Vec<Piece>; 2], start: i32, end: i32, random: &mut Random) -> Vec<Piece> {
    let mut side = random.below(2);
    if parent[1].is_empty() {
        side = 0;
    }
    let crossovers = random.poisson(f64::from(end - start) * 1e-8);
    let width = usize::try_from(end - start).unwrap_or(0);
    let mut cuts: Vec<i32> = (0..crossovers)
        .map(|_| start + i32::try_from(random.below(width)).unwrap_or(0))
        .collect();
    cuts.sort_unstable();
    let mut gamete = Vec::new();
    let mut from = start;
    for cut in cuts {
        copy_pieces(&parent[side], from, cut, &mut gamete);
        from = cut;
        side = 1 - side;
    }
    copy_pieces(&parent[side], from, i32::MAX, &mut gamete);
    gamete
}

/// Appends what `pieces` says about `[from, to)`.
fn copy_pieces(pieces: &[Piece], from: i32, to: i32, out: &mut Vec<Piece>) {
    for (index, piece) in pieces.iter().enumerate() {
        let next = pieces.get(index + 1).map_or(i32::MAX, |next| next.from);
        let start = piece.from.max(from);
        if start < next.min(to) {
            out.push(Piece {
                from: start,
                founder: piece.founder,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pedigree;

    #[test]
    fn a_child_carries_only_what_its_parents_carry() {
        let people = pedigree::families(3, 40);
        for contig in ["chr13", "chrX"] {
            let inheritance = Inheritance::simulate(&people, contig, &mut Random::new(3, 9));
            let pos = span(contig).1;
            for (child, person) in people.iter().enumerate() {
                let of = |p: usize| [0, 1].map(|h| inheritance.founder_at(p, h, pos));
                let [maternal, paternal] = of(child);
                assert!(
                    person
                        .mother
                        .is_none_or(|mother| of(mother).contains(&maternal))
                );
                if paternal != ABSENT {
                    assert!(
                        person
                            .father
                            .is_none_or(|father| of(father).contains(&paternal))
                    );
                }
            }
        }
    }

    #[test]
    fn a_male_has_one_x() {
        let people = pedigree::families(3, 10);
        let inheritance = Inheritance::simulate(&people, "chrX", &mut Random::new(3, 9));
        for (person, pair) in people.iter().zip(&inheritance.mosaics) {
            assert_eq!(pair[1].is_empty(), person.sex == Sex::Male);
        }
    }
}
