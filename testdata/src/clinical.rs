//! Clinical tables: persons, families, conditions, phenotypes, specimens.
//!
//! Conditions follow from the planted genotypes (with incomplete penetrance where the condition has it);
//! phenotypes follow from the conditions, and from chance. A phenotype that was looked for and not found is
//! a row with `excluded` = true, as in the GA4GH Phenopacket.

use std::io::{self, Write};

use crate::cohort::Cohort;
use crate::known::{Condition, DRAVET, Inheritance, KNOWN};
use crate::pedigree::{Person, Sex};
use crate::random::Random;

/// The year in which the tables were drawn up; nobody has an onset after it.
const TODAY: i32 = 2025;

/// An HPO term.
type Term = (&'static str, &'static str);

/// What a condition looks like: the terms with the probability of each, onset, penetrance.
struct Picture {
    condition: &'static str,
    onset: (usize, usize),
    penetrance: f64,
    women_only: bool,
    terms: &'static [(Term, f64)],
}

const PICTURES: &[Picture] = &[
    Picture {
        condition: "OMIM:219700",
        onset: (0, 3),
        penetrance: 1.0,
        women_only: false,
        terms: &[
            (("HP:0002110", "Bronchiectasis"), 0.8),
            (("HP:0001738", "Exocrine pancreatic insufficiency"), 0.85),
            (("HP:0001508", "Failure to thrive"), 0.6),
        ],
    },
    Picture {
        condition: "OMIM:604370",
        onset: (28, 50),
        penetrance: 0.75,
        women_only: true,
        terms: &[
            (("HP:0003002", "Breast carcinoma"), 0.8),
            (("HP:0100615", "Ovarian neoplasm"), 0.3),
        ],
    },
    Picture {
        condition: "OMIM:612555",
        onset: (30, 52),
        penetrance: 0.7,
        women_only: true,
        terms: &[
            (("HP:0003002", "Breast carcinoma"), 0.8),
            (("HP:0100615", "Ovarian neoplasm"), 0.15),
        ],
    },
    Picture {
        condition: "OMIM:143890",
        onset: (5, 40),
        penetrance: 0.95,
        women_only: false,
        terms: &[
            (("HP:0003124", "Hypercholesterolemia"), 1.0),
            (("HP:0001658", "Myocardial infarction"), 0.2),
        ],
    },
    Picture {
        condition: "OMIM:261600",
        onset: (0, 1),
        penetrance: 1.0,
        women_only: false,
        terms: &[
            (("HP:0004923", "Hyperphenylalaninemia"), 1.0),
            (("HP:0001249", "Intellectual disability"), 0.15),
        ],
    },
    Picture {
        condition: "OMIM:301500",
        onset: (6, 30),
        penetrance: 0.9,
        women_only: false,
        terms: &[
            (("HP:0003401", "Paresthesia"), 0.7),
            (("HP:0001014", "Angiokeratoma"), 0.5),
            (("HP:0000093", "Proteinuria"), 0.4),
        ],
    },
    Picture {
        condition: "OMIM:151623",
        onset: (5, 45),
        penetrance: 0.85,
        women_only: false,
        terms: &[
            (("HP:0002664", "Neoplasm"), 1.0),
            (("HP:0003002", "Breast carcinoma"), 0.3),
        ],
    },
    Picture {
        condition: "OMIM:603903",
        onset: (0, 2),
        penetrance: 1.0,
        women_only: false,
        terms: &[
            (("HP:0001903", "Anemia"), 1.0),
            (("HP:0002027", "Abdominal pain"), 0.5),
        ],
    },
    Picture {
        condition: "OMIM:220290",
        onset: (0, 2),
        penetrance: 1.0,
        women_only: false,
        terms: &[(("HP:0000407", "Sensorineural hearing impairment"), 1.0)],
    },
    Picture {
        condition: "OMIM:607208",
        onset: (0, 2),
        penetrance: 1.0,
        women_only: false,
        terms: &[
            (("HP:0001250", "Seizure"), 1.0),
            (("HP:0001263", "Global developmental delay"), 0.8),
        ],
    },
];

/// Terms that anybody may have, and for which every proband was examined.
const COMMON: &[(Term, f64)] = &[
    (("HP:0000822", "Hypertension"), 0.12),
    (("HP:0002099", "Asthma"), 0.08),
    (("HP:0001250", "Seizure"), 0.02),
    (("HP:0000365", "Hearing impairment"), 0.03),
    (("HP:0003124", "Hypercholesterolemia"), 0.06),
];

/// One row of `conditions`.
struct Diagnosis {
    condition: Condition,
    gene: &'static str,
    age_at_onset: i32,
    picture: &'static Picture,
}

impl Cohort {
    /// `person_id, sample_id, family_id, father_id, mother_id, sex, year_of_birth, proband`
    pub fn write_persons(&self, out: &mut impl Write) -> io::Result<()> {
        let header = "person_id,sample_id,family_id,father_id,mother_id,sex,year_of_birth,proband";
        writeln!(out, "{header}")?;
        for person in self.people() {
            let id = |parent: Option<usize>| parent.map_or("", |p| &self.people()[p].person_id);
            let (father, mother) = (id(person.father), id(person.mother));
            let Person {
                person_id,
                sample_id,
                family_id,
                sex,
                year_of_birth,
                proband,
                ..
            } = person;
            let sex = sex.as_str();
            writeln!(
                out,
                "{person_id},{sample_id},{family_id},{father},{mother},{sex},{year_of_birth},{proband}"
            )?;
        }
        Ok(())
    }

    /// `family_id, proband_id, members, affected`
    pub fn write_families(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "family_id,proband_id,members,affected")?;
        for (index, proband) in self.people().iter().enumerate().filter(|(_, p)| p.proband) {
            let family = &proband.family_id;
            let members: Vec<usize> = self.family_of(index).collect();
            let affected = members
                .iter()
                .filter(|m| !self.diagnoses(**m).is_empty())
                .count();
            writeln!(
                out,
                "{family},{},{},{affected}",
                proband.person_id,
                members.len()
            )?;
        }
        Ok(())
    }

    /// The pedigree in PED form (tab-separated, sample names): family, sample, father, mother, sex
    /// (1 male, 2 female), affected (1 no, 2 yes).
    pub fn write_pedigree(&self, out: &mut impl Write) -> io::Result<()> {
        for (index, person) in self.people().iter().enumerate() {
            let name = |parent: Option<usize>| parent.map_or("0", |p| &self.people()[p].sample_id);
            let sex = if person.sex == Sex::Male { 1 } else { 2 };
            let affected = if self.diagnoses(index).is_empty() {
                1
            } else {
                2
            };
            let (father, mother) = (name(person.father), name(person.mother));
            let Person {
                family_id,
                sample_id,
                ..
            } = person;
            writeln!(
                out,
                "{family_id}\t{sample_id}\t{father}\t{mother}\t{sex}\t{affected}"
            )?;
        }
        Ok(())
    }

    /// `person_id, condition_id, condition, gene, age_at_onset, status`
    pub fn write_conditions(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "person_id,condition_id,condition,gene,age_at_onset,status"
        )?;
        for (index, person) in self.people().iter().enumerate() {
            for diagnosis in self.diagnoses(index) {
                let Condition { id, name } = diagnosis.condition;
                let (gene, age) = (diagnosis.gene, diagnosis.age_at_onset);
                let status = if person.proband {
                    "confirmed"
                } else {
                    "family history"
                };
                writeln!(
                    out,
                    "{},{id},\"{name}\",{gene},{age},{status}",
                    person.person_id
                )?;
            }
        }
        Ok(())
    }

    /// `person_id, hpo_id, hpo_label, excluded, age_at_onset`; `excluded` rows have no onset.
    pub fn write_phenotypes(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "person_id,hpo_id,hpo_label,excluded,age_at_onset")?;
        for (index, person) in self.people().iter().enumerate() {
            for ((id, label), onset) in self.phenotypes(index) {
                let excluded = onset.is_none();
                let age = onset.map_or(String::new(), |age| age.to_string());
                writeln!(out, "{},{id},{label},{excluded},{age}", person.person_id)?;
            }
        }
        Ok(())
    }

    /// `specimen_id, person_id, sample_id, material, collected_on`
    pub fn write_specimens(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "specimen_id,person_id,sample_id,material,collected_on")?;
        let mut random = Random::new(self.spec.seed, 6);
        for (index, person) in self.people().iter().enumerate() {
            let material = if random.chance(0.85) {
                "blood"
            } else {
                "saliva"
            };
            let (month, day) = (1 + random.below(12), 1 + random.below(28));
            let year = 2021 + random.below(4);
            let Person {
                person_id,
                sample_id,
                ..
            } = person;
            let number = index + 1;
            writeln!(
                out,
                "SP{number:04},{person_id},{sample_id},{material},{year}-{month:02}-{day:02}"
            )?;
        }
        Ok(())
    }

    /// `person_id, assay_id, assay, value, unit, observed_on`: LDL cholesterol of every adult, higher by far where the
    /// genotype of LDLR says so.
    pub fn write_measurements(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "person_id,assay_id,assay,value,unit,observed_on")?;
        for (index, person) in self.people().iter().enumerate() {
            let mut random = Random::new(self.spec.seed, 30_000_000 + index as u64);
            if TODAY - person.year_of_birth < 18 {
                continue;
            }
            let spread: usize = (0..4).map(|_| random.below(36)).sum();
            let raised = if self.has_causal_genotype(index, "LDLR") {
                80 + random.below(60)
            } else {
                0
            };
            let (month, day) = (1 + random.below(12), 1 + random.below(28));
            let (id, value) = (&person.person_id, 50 + spread + raised);
            let assay = "LOINC:13457-7,LDL cholesterol";
            writeln!(out, "{id},{assay},{value},mg/dL,2024-{month:02}-{day:02}")?;
        }
        Ok(())
    }

    fn family_of(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let family = &self.people()[index].family_id;
        (0..self.people().len()).filter(move |other| self.people()[*other].family_id == *family)
    }

    /// The conditions of a person; the same on every call.
    fn diagnoses(&self, person: usize) -> Vec<Diagnosis> {
        let mut random = Random::new(self.spec.seed, 10_000 + person as u64);
        let mut found: Vec<Diagnosis> = Vec::new();
        let mut genes: Vec<(&'static str, Condition)> = Vec::new();
        for known in KNOWN
            .iter()
            .filter(|v| v.inheritance != Inheritance::Response)
        {
            if !genes.iter().any(|(gene, _)| *gene == known.gene) {
                genes.push((known.gene, known.condition));
            }
        }
        for (gene, condition) in genes {
            let causal = self.has_causal_genotype(person, gene);
            let diagnosis = self.diagnosis(person, gene, condition, &mut random);
            found.extend(diagnosis.filter(|_| causal));
        }
        let scn1a = self
            .de_novos()
            .iter()
            .any(|d| d.person == person && d.gene == "SCN1A");
        let diagnosis = self.diagnosis(person, "SCN1A", DRAVET, &mut random);
        found.extend(diagnosis.filter(|_| scn1a));
        found
    }

    /// What the person would have, given the genotype; None when it did not show (yet).
    fn diagnosis(
        &self,
        person: usize,
        gene: &'static str,
        condition: Condition,
        random: &mut Random,
    ) -> Option<Diagnosis> {
        let picture = PICTURES
            .iter()
            .find(|picture| picture.condition == condition.id)?;
        let (from, to) = picture.onset;
        let age_at_onset = i32::try_from(from + random.below(to - from)).ok()?;
        let shows = random.chance(picture.penetrance);
        let person = &self.people()[person];
        let old_enough = TODAY - person.year_of_birth >= age_at_onset;
        let sex_fits = !picture.women_only || person.sex == Sex::Female;
        (shows && old_enough && sex_fits).then_some(Diagnosis {
            condition,
            gene,
            age_at_onset,
            picture,
        })
    }

    /// Observed terms with the age at onset, and excluded terms without one.
    fn phenotypes(&self, person: usize) -> Vec<(Term, Option<i32>)> {
        let mut random = Random::new(self.spec.seed, 20_000_000 + person as u64);
        let mut rows: Vec<(Term, Option<i32>)> = Vec::new();
        for diagnosis in self.diagnoses(person) {
            for (term, probability) in diagnosis.picture.terms {
                let observed = random
                    .chance(*probability)
                    .then_some(diagnosis.age_at_onset);
                add(&mut rows, *term, observed);
            }
        }
        let age = TODAY - self.people()[person].year_of_birth;
        for (term, probability) in COMMON {
            let onset = usize::try_from(age.max(1)).map_or(0, |years| random.below(years));
            let observed = random
                .chance(*probability)
                .then(|| i32::try_from(onset).unwrap_or(0));
            if self.people()[person].proband || observed.is_some() {
                add(&mut rows, *term, observed);
            }
        }
        rows
    }
}

/// One row per term: an observation wins over an exclusion.
fn add(rows: &mut Vec<(Term, Option<i32>)>, term: Term, onset: Option<i32>) {
    match rows.iter_mut().find(|(known, _)| *known == term) {
        Some(row) => row.1 = row.1.or(onset),
        None => rows.push((term, onset)),
    }
}

/// `contig, pos, ref, alt, gene, hgvs_c, hgvs_p, rsid, significance, condition_id, condition, inheritance`
pub fn write_known_variants(out: &mut impl Write) -> io::Result<()> {
    let header = "contig,pos,ref,alt,gene,hgvs_c,hgvs_p,rsid,significance,condition_id,condition";
    writeln!(out, "{header},inheritance")?;
    for v in KNOWN {
        let place = format!("{},{},{},{}", v.contig, v.pos, v.reference, v.alternate);
        let names = format!("{},{},{},{}", v.gene, v.hgvs_c, v.hgvs_p, v.rsid);
        let Condition { id, name } = v.condition;
        let mode = v.inheritance.as_str();
        writeln!(
            out,
            "{place},{names},{},{id},\"{name}\",{mode}",
            v.significance
        )?;
    }
    Ok(())
}

/// The data dictionary of all tables: `column, type, description`. A column means the same in every table.
pub fn write_dictionary(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "column,type,description")?;
    for (column, sql_type, description) in DICTIONARY {
        writeln!(out, "{column},{sql_type},\"{description}\"")?;
    }
    Ok(())
}

const DICTIONARY: &[(&str, &str, &str)] = &[
    (
        "person_id",
        "text",
        "Person; the key of the clinical tables",
    ),
    ("sample_id", "text", "Name of the sample in the call set"),
    ("family_id", "text", "Family"),
    (
        "father_id",
        "text",
        "Father's person_id; empty when not in the cohort",
    ),
    (
        "mother_id",
        "text",
        "Mother's person_id; empty when not in the cohort",
    ),
    ("sex", "text", "Recorded sex: female or male"),
    ("year_of_birth", "integer", "Year of birth"),
    (
        "proband",
        "boolean",
        "Whether the family was enrolled for this person",
    ),
    ("proband_id", "text", "The proband's person_id"),
    ("members", "integer", "Sequenced members of the family"),
    (
        "affected",
        "integer",
        "Members of the family with at least one condition",
    ),
    ("condition_id", "text", "OMIM phenotype number"),
    ("condition", "text", "Name of the condition"),
    ("gene", "text", "HGNC symbol"),
    (
        "age_at_onset",
        "integer",
        "Age at onset in years; empty for an excluded phenotype",
    ),
    ("status", "text", "confirmed, or family history"),
    ("hpo_id", "text", "Human Phenotype Ontology term"),
    ("hpo_label", "text", "Label of the term"),
    ("excluded", "boolean", "true: looked for and not found"),
    ("specimen_id", "text", "Specimen"),
    ("material", "text", "blood or saliva"),
    ("collected_on", "date", "Day of collection"),
    ("assay_id", "text", "What was measured, LOINC"),
    ("assay", "text", "Name of what was measured"),
    ("value", "float8", "Value, in the unit"),
    ("unit", "text", "Unit of the value"),
    ("observed_on", "date", "Day of the measurement"),
    ("contig", "text", "Contig"),
    ("pos", "integer", "1-based position, as in VCF"),
    ("ref", "text", "Reference allele, as in VCF"),
    ("alt", "text", "Alternate allele, as in VCF"),
    (
        "hgvs_c",
        "text",
        "Coding change on the MANE Select transcript",
    ),
    ("hgvs_p", "text", "Protein change"),
    ("rsid", "text", "dbSNP id"),
    ("significance", "text", "Clinical significance"),
    ("inheritance", "text", "AD, AR, XL or response"),
];
