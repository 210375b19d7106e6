//! Families: who descends from whom.

use crate::random::Random;

/// Sex as recorded; it decides the ploidy of the X outside the pseudoautosomal regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sex {
    /// Two X chromosomes.
    Female,
    /// One X chromosome.
    Male,
}

impl Sex {
    /// `female` or `male`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Female => "female",
            Self::Male => "male",
        }
    }
}

/// A sequenced person. `father` and `mother` are indexes into the same list and lie before the child.
#[derive(Clone, Debug)]
pub struct Person {
    /// `P0001`; the key of the clinical tables.
    pub person_id: String,
    /// `GK0001`; the sample name in the VCF.
    pub sample_id: String,
    /// `F001`.
    pub family_id: String,
    /// Recorded sex.
    pub sex: Sex,
    /// Father, when he is in the cohort.
    pub father: Option<usize>,
    /// Mother, when she is in the cohort.
    pub mother: Option<usize>,
    /// The person for whom the family was enrolled.
    pub proband: bool,
    /// Year of birth.
    pub year_of_birth: i32,
}

/// The shapes a family can have, in the order in which 20 families repeat.
#[derive(Clone, Copy)]
enum Shape {
    Trio,
    Quad,
    Singleton,
    MotherAndChild,
    ThreeGenerations,
}

const SHAPES: [Shape; 20] = {
    use Shape::{MotherAndChild as M, Quad as Q, Singleton as S, ThreeGenerations as G, Trio as T};
    [T, Q, T, T, S, T, Q, G, T, Q, T, S, T, Q, M, T, T, Q, G, T]
};

/// `families` families: about half trios, a quarter quads, some singletons, mother-child pairs and
/// three-generation families; about 3.2 people each.
pub(crate) fn families(seed: u64, families: u32) -> Vec<Person> {
    let mut builder = Builder {
        random: Random::new(seed, 1),
        people: Vec::new(),
    };
    for number in 0..families {
        builder.family(number, SHAPES[number as usize % SHAPES.len()]);
    }
    builder.people
}

/// `count` people without relatives, each a family of one.
pub(crate) fn unrelated(seed: u64, count: u32) -> Vec<Person> {
    let mut builder = Builder {
        random: Random::new(seed, 1),
        people: Vec::new(),
    };
    for number in 0..count {
        builder.family(number, Shape::Singleton);
    }
    builder.people
}

struct Builder {
    random: Random,
    people: Vec<Person>,
}

impl Builder {
    fn family(&mut self, number: u32, shape: Shape) {
        let first = self.people.len();
        let born = 1972 + self.years(16);
        match shape {
            Shape::Singleton => {
                let sex = self.any_sex();
                let born = born - 20 + self.years(40);
                self.person(number, sex, None, None, born);
            }
            Shape::MotherAndChild => {
                let mother = self.person(number, Sex::Female, None, None, born);
                self.child(number, None, mother);
            }
            Shape::Trio => {
                let (father, mother) = self.parents(number, born);
                self.child(number, Some(father), mother);
            }
            Shape::Quad => {
                let (father, mother) = self.parents(number, born);
                self.child(number, Some(father), mother);
                self.child(number, Some(father), mother);
            }
            Shape::ThreeGenerations => {
                let (grandfather, grandmother) = self.parents(number, born - 28);
                let (parents, year) = ((Some(grandfather), Some(grandmother)), self.years(3));
                let mother =
                    self.person(number, Sex::Female, parents.0, parents.1, born - 1 + year);
                let father = self.person(number, Sex::Male, None, None, born - 2);
                self.child(number, Some(father), mother);
            }
        }
        self.mark_proband(first);
    }

    /// The proband is the first child of the last generation, or the only person.
    fn mark_proband(&mut self, first: usize) {
        let family = &self.people[first..];
        let parents: Vec<_> = family
            .iter()
            .flat_map(|p| [p.father, p.mother])
            .flatten()
            .collect();
        let proband = (first..self.people.len()).find(|i| {
            !parents.contains(i) && (self.people.len() == first + 1 || self.has_parent(*i))
        });
        if let Some(index) = proband {
            self.people[index].proband = true;
        }
    }

    fn has_parent(&self, index: usize) -> bool {
        self.people[index].mother.is_some()
    }

    fn parents(&mut self, number: u32, born: i32) -> (usize, usize) {
        let older_by = self.years(4);
        let father = self.person(number, Sex::Male, None, None, born - older_by);
        let mother = self.person(number, Sex::Female, None, None, born);
        (father, mother)
    }

    fn child(&mut self, number: u32, father: Option<usize>, mother: usize) -> usize {
        let sex = self.any_sex();
        let born = self.people[mother].year_of_birth + 24 + self.years(12);
        self.person(number, sex, father, Some(mother), born)
    }

    fn person(
        &mut self,
        family: u32,
        sex: Sex,
        father: Option<usize>,
        mother: Option<usize>,
        year_of_birth: i32,
    ) -> usize {
        let index = self.people.len();
        self.people.push(Person {
            person_id: format!("P{:04}", index + 1),
            sample_id: format!("GK{:04}", index + 1),
            family_id: format!("F{:03}", family + 1),
            sex,
            father,
            mother,
            proband: false,
            year_of_birth,
        });
        index
    }

    fn any_sex(&mut self) -> Sex {
        if self.random.chance(0.5) {
            Sex::Female
        } else {
            Sex::Male
        }
    }

    /// 0 to n - 1 years.
    fn years(&mut self, n: usize) -> i32 {
        i32::try_from(self.random.below(n)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_come_first_and_every_family_has_one_proband() {
        let people = families(1, 100);
        for (index, person) in people.iter().enumerate() {
            assert!(
                person
                    .father
                    .is_none_or(|f| f < index && people[f].sex == Sex::Male)
            );
            assert!(
                person
                    .mother
                    .is_none_or(|m| m < index && people[m].sex == Sex::Female)
            );
        }
        assert_eq!(people.iter().filter(|p| p.proband).count(), 100);
        assert!((300..360).contains(&people.len()), "{}", people.len());
    }
}
