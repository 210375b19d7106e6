//! The cohort: people, who inherited what, and the planted variants.

use crate::genes::{CONTIGS, GENES, Gene};
use crate::known::{Inheritance as Mode, KNOWN};
use crate::meiosis::{ABSENT, Inheritance, founder_haplotypes};
use crate::pedigree::{self, Person, Sex};
use crate::random::Random;
use crate::reference::base;
use crate::sites::other_base;

/// Who is in the cohort.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// So many families (trios, quads, singletons, pairs, three generations).
    Families(u32),
    /// So many people without relatives.
    Unrelated(u32),
}

/// What a genotype column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// `GT:AD:DP:GQ`, unphased, with missing calls: like a joint-called genome cohort.
    Full,
    /// `GT` only, phased and complete: like a statistically phased panel.
    PhasedGenotypes,
}

/// What to simulate. Equal specifications give equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CohortSpec {
    /// The seed of everything.
    pub seed: u64,
    /// Who.
    pub people: People,
    /// About how many simulated sites, spread over the loci by their length.
    pub sites: usize,
    /// What a genotype column holds.
    pub fields: Fields,
}

impl CohortSpec {
    /// The cohort of `genokura quickstart`: 100 families, 4,000 sites.
    pub fn quickstart() -> Self {
        Self {
            seed: 42,
            people: People::Families(100),
            sites: 4000,
            fields: Fields::Full,
        }
    }
}

/// A variant that a child carries and neither parent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeNovo {
    /// Index into [`Cohort::people`].
    pub person: usize,
    /// The haplotype it fell on: 0 maternal, 1 paternal.
    pub haplotype: usize,
    /// Contig with `chr` prefix.
    pub contig: &'static str,
    /// 1-based position.
    pub pos: i32,
    /// REF.
    pub reference: String,
    /// ALT.
    pub alternate: String,
    /// Gene symbol.
    pub gene: &'static str,
    /// Index into [`KNOWN`] when the allele is a published one.
    pub known: Option<usize>,
}

/// A simulated cohort. It holds the pedigree and the inheritance; genotypes are made while writing, so
/// its size does not grow with the number of sites.
pub struct Cohort {
    pub(crate) spec: CohortSpec,
    people: Vec<Person>,
    inheritances: Vec<Inheritance>,
    known_carriers: Vec<Vec<u32>>,
    de_novos: Vec<DeNovo>,
}

/// The quickstart cohort with another seed or size: `families` families, 4,000 sites, all fields.
pub fn cohort(seed: u64, families: u32) -> Cohort {
    let people = People::Families(families);
    Cohort::generate(CohortSpec {
        seed,
        people,
        ..CohortSpec::quickstart()
    })
}

impl Cohort {
    /// Simulates pedigree, inheritance and planted variants.
    pub fn generate(spec: CohortSpec) -> Self {
        let people = match spec.people {
            People::Families(n) => pedigree::families(spec.seed, n),
            People::Unrelated(n) => pedigree::unrelated(spec.seed, n),
        };
        let mut random = Random::new(spec.seed, 2);
        let inheritances = CONTIGS
            .iter()
            .map(|c| Inheritance::simulate(&people, c.name, &mut random))
            .collect();
        let mut cohort = Self {
            spec,
            people,
            inheritances,
            known_carriers: vec![Vec::new(); KNOWN.len()],
            de_novos: Vec::new(),
        };
        cohort.spread_background();
        cohort.plant_families();
        cohort.plant_de_novos();
        cohort
    }

    /// Everybody, parents before children; the order of the VCF's sample columns.
    pub fn people(&self) -> &[Person] {
        &self.people
    }

    /// The planted de novo variants: the truth that a query for de novo calls must find.
    pub fn de_novos(&self) -> &[DeNovo] {
        &self.de_novos
    }

    /// Copies of a published variant that a person carries, before missing calls.
    pub fn copies(&self, person: usize, known: usize) -> u8 {
        let variant = &KNOWN[known];
        let inheritance = self.inheritance(variant.contig);
        let carried = |haplotype: &usize| {
            let founder = inheritance.founder_at(person, *haplotype, variant.pos);
            self.known_carriers[known].contains(&founder)
                || self
                    .de_novos
                    .iter()
                    .any(|d| (d.person, d.haplotype, d.known) == (person, *haplotype, Some(known)))
        };
        u8::try_from([0, 1].iter().filter(|h| carried(h)).count()).unwrap_or(0)
    }

    pub(crate) fn inheritance(&self, contig: &str) -> &Inheritance {
        let index = CONTIGS.iter().position(|c| c.name == contig).unwrap_or(0);
        &self.inheritances[index]
    }

    pub(crate) fn known_carriers(&self, known: usize) -> &[u32] {
        &self.known_carriers[known]
    }

    pub(crate) fn founder_haplotypes(&self) -> u32 {
        founder_haplotypes(&self.people)
    }

    /// Carriers that occur in any population.
    fn spread_background(&mut self) {
        let mut random = Random::new(self.spec.seed, 3);
        for (index, known) in KNOWN.iter().enumerate() {
            let all = 0..self.founder_haplotypes();
            self.known_carriers[index] = all.filter(|_| random.chance(known.background)).collect();
        }
    }

    /// Families enrolled for a condition: the proband's haplotypes get the variants that explain it.
    fn plant_families(&mut self) {
        let probands: Vec<usize> = (0..self.people.len())
            .filter(|i| self.is_child(*i))
            .collect();
        let mut probands = probands.into_iter();
        for plant in PLANTS {
            let fits = |index: &usize| !plant.male || self.people[*index].sex == Sex::Male;
            let Some(child) = probands.find(fits) else {
                return;
            };
            for (haplotype, gene, hgvs) in plant.alleles {
                self.plant(child, *haplotype, gene, hgvs);
            }
        }
    }

    /// A proband with both parents in the cohort.
    fn is_child(&self, index: usize) -> bool {
        let person = &self.people[index];
        person.proband && person.father.is_some() && person.mother.is_some()
    }

    fn plant(&mut self, person: usize, haplotype: usize, gene: &str, hgvs: &str) {
        let found = KNOWN
            .iter()
            .position(|v| v.gene == gene && v.hgvs_c == hgvs);
        let Some(known) = found else { return };
        let variant = &KNOWN[known];
        let founder = self
            .inheritance(variant.contig)
            .founder_at(person, haplotype, variant.pos);
        if founder != ABSENT && !self.known_carriers[known].contains(&founder) {
            self.known_carriers[known].push(founder);
        }
    }

    /// One published TP53 variant, three in SCN1A, and some in any gene, in children without children.
    fn plant_de_novos(&mut self) {
        let mut random = Random::new(self.spec.seed, 4);
        let children: Vec<usize> = (0..self.people.len())
            .filter(|i| self.is_last_child(*i))
            .collect();
        let Some(last) = children.last() else { return };
        let tp53 = KNOWN
            .iter()
            .position(|v| v.gene == "TP53" && v.hgvs_c == "c.524G>A");
        self.de_novos
            .extend(tp53.map(|known| published_de_novo(*last, known)));
        let scn1a: Vec<&Gene> = GENES.iter().filter(|gene| gene.symbol == "SCN1A").collect();
        let all: Vec<&Gene> = GENES.iter().collect();
        let count = 3 + children.len() / 6;
        for number in 0..count {
            let genes = if number < 3 { &scn1a } else { &all };
            let child = random.pick(&children).copied().unwrap_or(*last);
            if let Some(gene) = random.pick(genes).copied() {
                self.de_novos
                    .extend(self.new_de_novo(child, gene, &mut random));
            }
        }
    }

    /// A child of two sequenced parents that has no child itself.
    fn is_last_child(&self, index: usize) -> bool {
        let person = &self.people[index];
        let parent_of_any = self
            .people
            .iter()
            .any(|p| p.father == Some(index) || p.mother == Some(index));
        person.father.is_some() && person.mother.is_some() && !parent_of_any
    }

    fn new_de_novo(&self, person: usize, gene: &Gene, random: &mut Random) -> Option<DeNovo> {
        let width = usize::try_from(gene.end - gene.start).ok()?;
        let pos = gene.start + i32::try_from(random.below(width)).ok()?;
        let male_x = gene.contig == "chrX" && self.people[person].sex == Sex::Male;
        let haplotype = if male_x { 0 } else { random.below(2) };
        let reference = base(gene.contig, pos);
        let alternate = other_base(reference, random).to_string();
        let near = |contig: &str, other: i32| contig == gene.contig && (other - pos).abs() < 200;
        let taken = KNOWN.iter().any(|v| near(v.contig, v.pos))
            || self.de_novos.iter().any(|d| near(d.contig, d.pos));
        (!taken).then(|| DeNovo {
            person,
            haplotype,
            contig: gene.contig,
            pos,
            reference: reference.to_string(),
            alternate,
            gene: gene.symbol,
            known: None,
        })
    }

    /// Whether the person has the condition's genotype in `gene`: two copies, or one where one is enough.
    pub(crate) fn has_causal_genotype(&self, person: usize, gene: &str) -> bool {
        let of_gene = || KNOWN.iter().enumerate().filter(|(_, v)| v.gene == gene);
        let copies: u8 = of_gene().map(|(index, _)| self.copies(person, index)).sum();
        let mode = of_gene().map(|(_, v)| v.inheritance).next();
        match mode {
            Some(Mode::Dominant) => copies >= 1,
            Some(Mode::Recessive) => copies >= 2,
            Some(Mode::XLinked) => copies >= 1,
            Some(Mode::Response) | None => false,
        }
    }
}

fn published_de_novo(person: usize, known: usize) -> DeNovo {
    let variant = &KNOWN[known];
    DeNovo {
        person,
        haplotype: 1,
        contig: variant.contig,
        pos: variant.pos,
        reference: variant.reference.to_owned(),
        alternate: variant.alternate.to_owned(),
        gene: variant.gene,
        known: Some(known),
    }
}

/// Alleles given to one proband: (haplotype, gene, coding change). Haplotype 0 is the mother's.
struct Plant {
    male: bool,
    alleles: &'static [(usize, &'static str, &'static str)],
}

const fn any(alleles: &'static [(usize, &'static str, &'static str)]) -> Plant {
    Plant {
        male: false,
        alleles,
    }
}

const PLANTS: &[Plant] = &[
    any(&[(0, "CFTR", "c.1521_1523del"), (1, "CFTR", "c.1521_1523del")]),
    any(&[(0, "BRCA1", "c.68_69del")]),
    any(&[(0, "PAH", "c.1222C>T"), (1, "PAH", "c.1222C>T")]),
    any(&[(1, "LDLR", "c.1246C>T")]),
    Plant {
        male: true,
        alleles: &[(0, "GLA", "c.644A>G")],
    },
    any(&[(0, "GJB2", "c.235del"), (1, "GJB2", "c.235del")]),
    any(&[(1, "BRCA2", "c.5946del")]),
    any(&[(0, "CFTR", "c.1521_1523del"), (1, "CFTR", "c.1652G>A")]),
    any(&[(0, "HBB", "c.20A>T"), (1, "HBB", "c.20A>T")]),
    any(&[(0, "BRCA1", "c.5266dup")]),
    any(&[(0, "TP53", "c.743G>A")]),
    any(&[(0, "LDLR", "c.1246C>T")]),
    any(&[(0, "GJB2", "c.35del"), (1, "GJB2", "c.235del")]),
    Plant {
        male: true,
        alleles: &[(0, "GLA", "c.644A>G")],
    },
    any(&[(0, "BRCA2", "c.5946del")]),
    any(&[(0, "CFTR", "c.3846G>A"), (1, "CFTR", "c.1521_1523del")]),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_planted_recessive_child_has_two_carrier_parents() {
        let cohort = cohort(42, 100);
        let delta_f508 = KNOWN
            .iter()
            .position(|v| v.hgvs_c == "c.1521_1523del")
            .unwrap();
        let affected: Vec<usize> = (0..cohort.people().len())
            .filter(|p| cohort.copies(*p, delta_f508) == 2)
            .collect();
        assert!(!affected.is_empty());
        for child in affected {
            for parent in [cohort.people()[child].father, cohort.people()[child].mother] {
                assert!(parent.is_none_or(|p| cohort.copies(p, delta_f508) >= 1));
            }
        }
    }

    #[test]
    fn an_x_linked_variant_comes_from_the_mother() {
        let cohort = cohort(42, 100);
        let gla = KNOWN.iter().position(|v| v.gene == "GLA").unwrap();
        let sons: Vec<&Person> = (0..cohort.people().len())
            .filter(|p| cohort.copies(*p, gla) == 1)
            .map(|p| &cohort.people()[p])
            .filter(|p| p.sex == Sex::Male && p.mother.is_some())
            .collect();
        assert!(!sons.is_empty());
        assert!(
            sons.iter()
                .all(|son| cohort.copies(son.mother.unwrap(), gla) >= 1)
        );
    }

    #[test]
    fn every_known_variant_is_carried() {
        let cohort = cohort(42, 100);
        for (index, known) in KNOWN.iter().enumerate() {
            let carriers = (0..cohort.people().len()).filter(|p| cohort.copies(*p, index) > 0);
            assert!(carriers.count() > 0, "{} {}", known.gene, known.hgvs_c);
        }
    }
}
