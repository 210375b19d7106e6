//! The cohort as a whole: bytes by seed, Mendel's rules, the planted truth.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::OnceLock;

use genokura_testdata::{Cohort, CohortSpec, Fields, KNOWN, People, cohort, write_quickstart};
use sha2::{Digest, Sha256};

fn vcf_of(cohort: &Cohort) -> String {
    let mut text = Vec::new();
    cohort.write_vcf(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// The quickstart's text, written once for all tests.
fn quickstart() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| vcf_of(&cohort(42, 100)))
}

/// Its records, split into columns once for all tests.
fn quickstart_records() -> &'static [Vec<&'static str>] {
    static RECORDS: OnceLock<Vec<Vec<&'static str>>> = OnceLock::new();
    RECORDS.get_or_init(|| records(quickstart()).collect())
}

fn records(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
}

/// Allele numbers of a column; None for a missing call.
fn alleles(column: &str) -> Option<Vec<u8>> {
    let gt = column.split(':').next()?;
    gt.split(['/', '|']).map(|a| a.parse().ok()).collect()
}

#[test]
fn a_seed_gives_the_same_bytes_again_and_another_seed_others() {
    let digest = |seed| Sha256::digest(vcf_of(&small(seed)));
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

fn small(seed: u64) -> Cohort {
    let people = People::Families(20);
    Cohort::generate(CohortSpec {
        seed,
        people,
        sites: 400,
        ..CohortSpec::quickstart()
    })
}

#[test]
fn the_quickstart_bytes_are_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let files = write_quickstart(dir.path()).unwrap();
    assert!(
        files.samples > 300 && files.totals.records > 3500,
        "{files:?}"
    );
    let mut all = Sha256::new();
    let mut paths = vec![
        files.vcf,
        files.dictionary,
        files.hpo,
        files.pedigree,
        files.de_novo_truth,
    ];
    paths.extend(
        files
            .tables
            .into_iter()
            .chain(files.regions)
            .map(|(_, path)| path),
    );
    for path in paths {
        all.update(std::fs::read(path).unwrap());
    }
    let hex: String = all
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, include_str!("quickstart.sha256").trim());
}

#[test]
fn lines_are_well_formed_and_sorted() {
    let cohort = small(3);
    let text = &vcf_of(&cohort);
    let mut last = HashMap::new();
    for record in records(text) {
        assert_eq!(record.len(), 9 + cohort.people().len());
        let pos: i32 = record[1].parse().unwrap();
        assert!(
            last.insert(record[0].to_owned(), pos)
                .is_none_or(|before| before <= pos)
        );
        let alts = record[4].split(',').count();
        let highest = record[9..]
            .iter()
            .filter_map(|c| alleles(c))
            .flatten()
            .max()
            .unwrap();
        assert!(usize::from(highest) <= alts);
        assert!(record[4].split(',').all(|alt| alt != record[3]));
    }
}

#[test]
fn children_carry_only_alleles_of_their_parents_except_the_planted_de_novos() {
    let cohort = cohort(42, 100);
    let mut found = Vec::new();
    for record in quickstart_records().iter() {
        for (index, person) in cohort.people().iter().enumerate() {
            let (Some(father), Some(mother)) = (person.father, person.mother) else {
                continue;
            };
            let call = |person: usize| alleles(record[9 + person]);
            let (Some(c), Some(f), Some(m)) = (call(index), call(father), call(mother)) else {
                continue;
            };
            let possible = match c[..] {
                [a, b] => (f.contains(&a) && m.contains(&b)) || (f.contains(&b) && m.contains(&a)),
                _ => m.contains(&c[0]),
            };
            if !possible {
                found.push((
                    index,
                    record[0].to_owned(),
                    record[1].parse::<i32>().unwrap(),
                ));
            }
        }
    }
    let mut planted: Vec<_> = cohort
        .de_novos()
        .iter()
        .map(|d| (d.person, d.contig.to_owned(), d.pos))
        .collect();
    found.sort();
    planted.sort();
    assert!(found.iter().all(|hit| planted.contains(hit)), "{found:?}");
    assert!(
        found.len() * 10 >= planted.len() * 9,
        "{} of {}",
        found.len(),
        planted.len()
    );
}

#[test]
fn published_variants_stand_in_the_file_with_their_published_alleles() {
    for known in KNOWN {
        let record = quickstart_records()
            .iter()
            .find(|r| r[2] == known.rsid)
            .unwrap();
        let as_written = (record[0], record[1].parse().unwrap(), record[3], record[4]);
        assert_eq!(
            as_written,
            (known.contig, known.pos, known.reference, known.alternate)
        );
    }
}

#[test]
fn the_file_has_the_awkward_shapes() {
    let has = |test: &dyn Fn(&Vec<&str>) -> bool| quickstart_records().iter().any(test);
    assert!(has(&|r| r[4].ends_with(",*")));
    assert!(has(&|r| r[4].contains(',') && !r[4].contains('*')));
    assert!(has(&|r| r[3].len() > 1 && r[4].contains(',')));
    assert!(has(&|r| r[4].len() > 1 && !r[4].contains(',')));
    assert!(has(&|r| r[6] == "LowQual"));
    assert!(has(&|r| r[9..].iter().any(|c| c.starts_with("./."))));
    assert!(has(
        &|r| r[0] == "chrX" && r[9..].iter().any(|c| c.starts_with("0:"))
    ));
}

#[test]
fn most_alleles_are_rare() {
    let counts: Vec<u32> = quickstart_records()
        .iter()
        .map(|r| {
            r[7].trim_start_matches("AC=")
                .split([',', ';'])
                .next()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    let rare = counts.iter().filter(|ac| **ac <= 3).count();
    let common = counts.iter().filter(|ac| **ac > 60).count();
    assert!(
        rare * 2 > counts.len() && common * 50 > counts.len(),
        "{rare} {common}"
    );
}

#[test]
fn a_panel_is_phased_and_complete() {
    let people = People::Unrelated(50);
    let fields = Fields::PhasedGenotypes;
    let spec = CohortSpec {
        seed: 5,
        people,
        sites: 300,
        fields,
    };
    let text = &vcf_of(&Cohort::generate(spec));
    assert!(records(text).all(|r| r[8] == "GT" && r[9..].iter().all(|c| !c.contains(['.', '/']))));
}

#[test]
fn an_empty_cohort_is_a_header() {
    let people = People::Unrelated(0);
    let spec = CohortSpec {
        people,
        ..CohortSpec::quickstart()
    };
    assert_eq!(records(&vcf_of(&Cohort::generate(spec))).count(), 0);
}
