//! Every VCF, gVCF and BCF of the shared data against its catalogue: records, samples, and for the
//! files counted in its README the genotypes; every invalid file against what must happen to it.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float32Type, Int8Type, Int16Type, Int32Type, Int64Type};
use common::{read_table, shared};
use futures::StreamExt as _;
use genokura_core::codec::{DefaultCall, GenotypeRow};
use genokura_ingest::{CancelFlag, Error, IngestReport, Silent, VcfJob};
use genokura_storage::{Lake, TableId};

/// Jobs that run at once.
const JOBS: usize = 2;

fn job(lake: &Lake, path: &Path, strict: bool) -> VcfJob {
    VcfJob {
        lake: Arc::new(lake.clone()),
        dataset: "ds".to_owned(),
        inputs: vec![path.to_str().unwrap().to_owned()],
        reference: None,
        assembly: None,
        strict,
        repeated_samples: false,
        threads: 1,
        memory_bytes: 256 << 20,
        progress: Arc::new(Silent),
        cancel: CancelFlag::new(),
    }
}

/// One row of the catalogue.
struct Entry {
    path: String,
    kind: String,
    variants: Option<u64>,
    samples: Option<u64>,
}

/// The VCF, gVCF and BCF files of the catalogue.
fn manifest(shared: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(shared.join("MANIFEST.tsv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let place = |name| header.iter().position(|h| *h == name).unwrap();
    let (path, kind, format) = (place("path"), place("kind"), place("fileformat"));
    let (variants, samples) = (place("variants"), place("samples"));
    let entry = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let is_call_set = !cells[format].is_empty()
            || [".vcf", ".vcf.gz", ".bcf", ".vcf.bgz"]
                .iter()
                .any(|e| cells[path].ends_with(e));
        is_call_set.then(|| Entry {
            path: cells[path].to_owned(),
            kind: cells[kind].to_owned(),
            variants: cells[variants].parse().ok(),
            samples: cells[samples].parse().ok(),
        })
    };
    lines.filter_map(entry).collect()
}

/// Files with records that are quarantined: stored and quarantined records, and why.
const QUARANTINED: &[(&str, u64, u64, &str)] = &[
    ("bcftools/view64bit.3.vcf", 0, 1, "a position beyond 2^31"),
    (
        "bioc-structuralvariantannotation/manta-1.1.1.vcf",
        6,
        5,
        "bcftools refuses it: sample columns are missing",
    ),
    (
        "bioc-variantannotation/unitTests/cases/fewer-FORMAT-than-GENO.vcf",
        2,
        1,
        "bcftools refuses it: more values than FORMAT keys",
    ),
    (
        "gatk/tools/mutect/dream/vcfs/sample_2.vcf",
        87,
        3,
        "bcftools refuses it: broken genotypes, a cut line",
    ),
];

/// Files that bcftools refuses as well, and why.
const REFUSED: &[(&str, &str)] = &[("pyvcf/example-4.1-bnd.vcf", "spaces in the #CHROM line")];

/// Valid files of the validators' own tests that `--strict` does not take, and the rule: it asks for
/// declared keys and ordered records, which the specification only recommends. The specification's
/// own example has a `<DUP>` without the SVCLAIM that its text asks for.
const STRICTER_THAN_VCF: &[(&str, &str)] = &[
    ("hts-specs/examples/vcf/sv44.vcf", "svclaim_missing"),
    (
        "hts-specs/test/vcf/4.5/passed/zero_length_LAA.vcf",
        "unsorted",
    ),
    (
        "vcf-validator/v4.3/passed/complexfile_passed_000.vcf",
        "unsorted",
    ),
    (
        "vcf-validator/v4.4/compressed_files/readable/passed/passed_compressed.vcf.gz",
        "undeclared_key",
    ),
    (
        "vcf-validator/v4.4/passed/passed_body_chrom.vcf",
        "undeclared_key",
    ),
    (
        "vcf-validator/v4.4/passed/passed_body_format.vcf",
        "undeclared_key",
    ),
    (
        "vcf-validator/v4.4/passed/passed_body_info.vcf",
        "undeclared_key",
    ),
    (
        "vcf-validator/v4.4/passed/passed_body_pos.vcf",
        "undeclared_key",
    ),
    (
        "vcf-validator/v4.4/passed/passed_body_ref.vcf",
        "undeclared_key",
    ),
    (
        "vcf-validator/v4.4/passed/passed_body_samples.vcf",
        "undeclared_key",
    ),
    (
        "vcf-validator/v4.4/passed/passed_symbolic_duplicates.vcf",
        "undeclared_key",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_readable_file_loads_with_its_records_and_samples() {
    let Some(shared) = shared() else { return };
    let entries = manifest(&shared);
    let counted: Vec<String> = counted(&shared).into_iter().map(|(file, _)| file).collect();
    let readable = entries
        .into_iter()
        .filter(|e| !matches!(e.kind.as_str(), "invalid" | "fuzz") && !counted.contains(&e.path));
    let results: Vec<_> = futures::stream::iter(readable)
        .map(|entry| {
            let path = shared.join(&entry.path);
            async move { (job(&Lake::memory(), &path, false).run().await, entry) }
        })
        .buffer_unordered(JOBS)
        .collect()
        .await;
    let count = results.len();
    let mut wrong: Vec<String> = Vec::new();
    for (result, entry) in results {
        wrong.extend(compare(&entry, result));
    }
    wrong.sort();
    assert!(count >= 600, "{count} files");
    assert!(
        wrong.is_empty(),
        "{} of {count} files:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What is wrong with the outcome for one file, if anything.
fn compare(entry: &Entry, result: Result<IngestReport, Error>) -> Option<String> {
    let report = match result {
        Ok(report) => report,
        Err(e) if REFUSED.iter().any(|(path, _)| *path == entry.path) && names_a_line(&e) => {
            return None;
        }
        Err(e) => return Some(format!("{}: {e}", entry.path)),
    };
    let known = QUARANTINED.iter().find(|(path, ..)| *path == entry.path);
    let (stored, quarantined) = match (known, entry.variants) {
        (Some(&(_, stored, quarantined, _)), _) => (stored, quarantined),
        (None, Some(variants)) => (variants, 0),
        (None, None) => (report.records_stored, 0),
    };
    let found = (
        report.records_stored,
        report.records_quarantined,
        report.samples,
    );
    let wanted = (stored, quarantined, entry.samples.unwrap_or(report.samples));
    (found != wanted || !report.is_conserved()).then(|| {
        format!(
            "{}: (stored, quarantined, samples) {found:?}, not {wanted:?}; {:?}",
            entry.path, report.quarantined
        )
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn fuzz_files_load_or_are_refused() {
    let Some(shared) = shared() else { return };
    for entry in manifest(&shared).into_iter().filter(|e| e.kind == "fuzz") {
        let result = job(&Lake::memory(), &shared.join(&entry.path), false)
            .run()
            .await;
        if let Ok(report) = result {
            assert!(report.is_conserved(), "{}", entry.path);
        }
    }
}

/// The table "Counted values" of the README: file and named numbers.
fn counted(shared: &Path) -> Vec<(String, BTreeMap<String, u64>)> {
    let text = std::fs::read_to_string(shared.join("README.md")).unwrap();
    let section = text.split("## Counted values").nth(1).unwrap();
    let mut rows = section.lines().filter(|l| l.starts_with('|')).map(|l| {
        l.trim_matches('|')
            .split(" | ")
            .map(|c| c.trim().to_owned())
            .collect::<Vec<_>>()
    });
    let header = rows.next().unwrap();
    rows.skip(1)
        .take_while(|row| row.len() == header.len())
        .map(|row| {
            let numbers = header.iter().zip(&row).skip(1);
            (
                row[0].clone(),
                numbers
                    .map(|(h, v)| (h.clone(), v.parse().unwrap()))
                    .collect(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn counted_values_are_found_again_in_the_lake() {
    let Some(shared) = shared() else { return };
    let table = counted(&shared);
    assert!(table.len() >= 18, "{}", table.len());
    let mut wrong = Vec::new();
    for (file, expected) in table {
        let lake = Lake::memory();
        job(&lake, &shared.join(&file), false)
            .run()
            .await
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        let found = count(&lake).await;
        for (name, value) in expected {
            if found.get(name.as_str()).is_some_and(|v| *v != value) {
                wrong.push(format!(
                    "{file}: {name} {} not {value}",
                    found[name.as_str()]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The README's numbers, counted from the rows of the lake.
async fn count(lake: &Lake) -> BTreeMap<&'static str, u64> {
    let snapshot = lake.snapshot().await.unwrap();
    let blocks = &snapshot.dataset("ds").unwrap().blocks;
    let sizes: HashMap<i32, u32> = blocks.iter().map(|b| (b.block, b.n_samples)).collect();
    let site = read_table(lake, &TableId::new("ds", "site")).await;
    let mut counts = BTreeMap::new();
    count_sites(&site, &mut counts);
    counts.insert(
        "samples",
        blocks.iter().map(|b| u64::from(b.n_samples)).sum(),
    );
    let tables = &snapshot.state.tables;
    let id = TableId::new("ds", "genotype");
    let genotype = match tables.contains_key(&id) {
        true => Some(read_table(lake, &id).await),
        false => None,
    };
    count_genotypes(&site, genotype.as_ref(), &sizes, &mut counts);
    counts
}

fn text_at<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let array = batch.column_by_name(column).unwrap().as_string::<i32>();
    array.is_valid(row).then(|| array.value(row))
}

fn list_at(batch: &RecordBatch, column: &str, row: usize) -> Vec<String> {
    let list = batch.column_by_name(column).unwrap().as_list::<i32>();
    if list.is_null(row) {
        return Vec::new();
    }
    list.value(row)
        .as_string::<i32>()
        .iter()
        .map(|v| v.unwrap_or(".").to_owned())
        .collect()
}

fn count_sites(site: &RecordBatch, counts: &mut BTreeMap<&'static str, u64>) {
    let index = site
        .column_by_name("alt_index")
        .unwrap()
        .as_primitive::<Int16Type>();
    let pos = site
        .column_by_name("vcf_pos")
        .unwrap()
        .as_primitive::<Int32Type>();
    let qual = site
        .column_by_name("qual")
        .unwrap()
        .as_primitive::<Float32Type>();
    let mut contigs = BTreeSet::new();
    for name in [
        "records",
        "ALTs",
        "multi",
        "*",
        "symbolic",
        "breakend",
        "snv",
        "FILTER=PASS",
        "QUAL \".\"",
        "sum of POS",
    ] {
        counts.insert(name, 0);
    }
    for row in (0..site.num_rows()).filter(|&row| index.value(row) <= 1) {
        let alts = list_at(site, "vcf_alts", row);
        let reference = text_at(site, "vcf_ref", row).unwrap_or("");
        let mut add = |name, n: u64| *counts.entry(name).or_default() += n;
        add("records", 1);
        add("ALTs", alts.len() as u64);
        add("multi", u64::from(alts.len() > 1));
        add("*", u64::from(alts.iter().any(|a| a == "*")));
        add(
            "symbolic",
            u64::from(alts.iter().any(|a| a.starts_with('<'))),
        );
        add(
            "breakend",
            u64::from(alts.iter().any(|a| a.contains(['[', ']']))),
        );
        let is_base = |a: &str| a.len() == 1 && a != "*" && a != ".";
        add(
            "snv",
            u64::from(is_base(reference) && !alts.is_empty() && alts.iter().all(|a| is_base(a))),
        );
        add(
            "FILTER=PASS",
            u64::from(list_at(site, "filters", row) == ["PASS"]),
        );
        add("QUAL \".\"", u64::from(qual.is_null(row)));
        add("sum of POS", u64::try_from(pos.value(row)).unwrap_or(0));
        contigs.insert(text_at(site, "contig", row).unwrap().to_owned());
    }
    counts.insert("contigs", contigs.len() as u64);
}

/// Counts genotypes from the stored blobs, one row per record and block: a missing row stands for the
/// record's default call.
fn count_genotypes(
    site: &RecordBatch,
    genotype: Option<&RecordBatch>,
    sizes: &HashMap<i32, u32>,
    counts: &mut BTreeMap<&'static str, u64>,
) {
    let mut rows: HashMap<(i64, i32), usize> = HashMap::new();
    if let Some(genotype) = genotype {
        let vid = genotype
            .column_by_name("vid")
            .unwrap()
            .as_primitive::<Int64Type>();
        let block = genotype
            .column_by_name("block")
            .unwrap()
            .as_primitive::<Int32Type>();
        rows.extend((0..genotype.num_rows()).map(|row| ((vid.value(row), block.value(row)), row)));
    }
    let column = |name: &str| site.column_by_name(name).unwrap();
    let (vid, index) = (
        column("vid").as_primitive::<Int64Type>(),
        column("alt_index").as_primitive::<Int16Type>(),
    );
    let (from, to) = (
        column("block_from").as_primitive::<Int32Type>(),
        column("block_to").as_primitive::<Int32Type>(),
    );
    let default = column("gt_default").as_primitive::<Int8Type>();
    for name in ["missing", "hom-ref", "het", "hom-alt", "haploid"] {
        counts.insert(name, 0);
    }
    for row in (0..site.num_rows()).filter(|&row| index.value(row) <= 1 && from.is_valid(row)) {
        for block in from.value(row)..=to.value(row) {
            let default = DefaultCall::from_u8(default.value(row).unsigned_abs()).unwrap();
            let stored = rows.get(&(vid.value(row), block));
            match (stored, genotype) {
                (Some(&at), Some(genotype)) => {
                    let blobs = genotype.column_by_name("gt").unwrap().as_binary::<i32>();
                    tally(&GenotypeRow::parse(blobs.value(at)).unwrap(), counts);
                }
                _ => tally(&GenotypeRow::of_default(sizes[&block], default), counts),
            }
        }
    }
}

fn tally(row: &GenotypeRow<'_>, counts: &mut BTreeMap<&'static str, u64>) {
    for sample in 0..row.n_samples() {
        let Some(genotype) = row.genotype(sample) else {
            continue;
        };
        let called: Option<Vec<u16>> = genotype.alleles.iter().copied().collect();
        let name = match called.as_deref() {
            None => "missing",
            Some(alleles) if alleles.iter().any(|a| *a != alleles[0]) => "het",
            Some([0, ..]) => "hom-ref",
            Some(_) => "hom-alt",
        };
        *counts.entry(name).or_default() += 1;
        *counts.entry("haploid").or_default() +=
            u64::from(genotype.alleles.len() == 1 && called.is_some());
    }
}

/// Invalid files by class: path, class, defect.
fn invalid(shared: &Path) -> Vec<(String, String, String)> {
    let text = std::fs::read_to_string(shared.join("invalid/EXPECT.tsv")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        (
            cells[0].to_owned(),
            cells[1].to_owned(),
            cells[2].to_owned(),
        )
    };
    text.lines().skip(1).map(row).collect()
}

/// Whether an error says where in the input the trouble is.
fn names_a_line(error: &Error) -> bool {
    match error {
        Error::Header { line, .. } => *line > 0,
        Error::Refused(refusal) => refusal.line > 0,
        Error::Format { .. } => true,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_any_reader_must_refuse_is_refused_by_line() {
    let Some(shared) = shared() else { return };
    let mut wrong = Vec::new();
    for (path, class, cause) in invalid(&shared) {
        if class != "reject" {
            continue;
        }
        let lake = Lake::memory();
        match job(&lake, &shared.join("invalid").join(&path), false)
            .run()
            .await
        {
            Err(e) if names_a_line(&e) && lake.snapshot().await.unwrap().version.is_none() => {}
            Ok(report) if report.records_quarantined > 0 && report.is_conserved() => {}
            other => wrong.push(format!("{path} ({cause}): {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn values_against_their_type_are_never_taken_silently() {
    let Some(shared) = shared() else { return };
    let mut wrong = Vec::new();
    for (path, class, cause) in invalid(&shared) {
        if class != "typed" {
            continue;
        }
        match job(&Lake::memory(), &shared.join("invalid").join(&path), false)
            .run()
            .await
        {
            Err(e) if names_a_line(&e) => {}
            Ok(report)
                if report.records_quarantined
                    + report.repairs.len() as u64
                    + report.typed_issues.len() as u64
                    > 0 => {}
            other => wrong.push(format!("{path} ({cause}): {other:?}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} files\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_refuses_every_invalid_file() {
    let Some(shared) = shared() else { return };
    let mut wrong = Vec::new();
    for (path, class, cause) in invalid(&shared) {
        let lake = Lake::memory();
        match job(&lake, &shared.join("invalid").join(&path), true)
            .run()
            .await
        {
            Err(e) if names_a_line(&e) && lake.snapshot().await.unwrap().version.is_none() => {}
            Err(e) => wrong.push(format!("{path} [{class}] ({cause}): {e}")),
            Ok(_) => wrong.push(format!("{path} [{class}] ({cause}): loaded")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} files\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_takes_the_valid_files_of_the_validators() {
    let Some(shared) = shared() else { return };
    let entries = manifest(&shared).into_iter();
    let valid = entries.filter(|e| {
        e.kind != "invalid" && (e.path.contains("/passed") || e.path.ends_with("sv44.vcf"))
    });
    let (mut count, mut wrong) = (0, Vec::new());
    for entry in valid {
        count += 1;
        let result = job(&Lake::memory(), &shared.join(&entry.path), true)
            .run()
            .await;
        let known = STRICTER_THAN_VCF.iter().find(|(p, _)| *p == entry.path);
        match (result, known) {
            (Ok(_), None) => {}
            (Err(Error::Refused(refusal)), Some((_, rule))) if refusal.rule == *rule => {}
            (other, _) => wrong.push(format!("{}: {other:?}", entry.path)),
        }
    }
    assert!(count >= 20, "{count} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
