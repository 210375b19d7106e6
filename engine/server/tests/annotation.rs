//! `variant_effects` holds what `bcftools +split-vep` takes apart, of the same files.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{genokura, run, stdout_of};

/// Files of other projects with annotations, and the INFO key; below `bcftools +split-vep` takes those apart that call
/// a subfield Consequence.
const VEP: &[(&str, &str)] = &[
    ("bcftools/split-vep.vcf", "CSQ"),
    ("bcftools/split-vep.2.vcf", "CSQ"),
    ("bcftools/split-vep.3.vcf", "CSQ"),
    ("bcftools/split-vep.gene-list.vcf", "CSQ"),
    ("bcftools/split-vep.filter-missing-bt2098.vcf", "CSQ"),
    ("vcfanno/example/exac.vcf.gz", "CSQ"),
    ("hail/sample.gnomad.exomes.r2.1.1.sites.chr1.vcf.gz", "vep"),
    ("opencga/exachead.vcf.gz", "CSQ"),
    ("gatk/tools/funcotator/test_exac.vcf", "CSQ"),
];
/// The others: their entries are compared as they stand.
const OTHERS: &[(&str, &str)] = &[
    // A subfield is called POS, for which +split-vep prints that of the record.
    ("bcftools/split-vep.9.vcf", "BCSQ"),
    ("slivar/ashk-trio.vcf.gz", "BCSQ"),
    // bcftools 1.16 crashes in +split-vep here: a contig is not declared.
    ("glow/vcf/loftee.vcf", "CSQ"),
    ("bcftools/split-vep.10.vcf", "CSQ"),
    ("bcftools/indel-stats.vcf", "CSQ"),
    ("glow/vcf/snpeff.vcf", "ANN"),
    ("bio2zarr/vcf/1kg_2020_chr20_annotations.bcf", "ANN"),
];

fn shared() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("GENOKURA_SHARED_DATA").map_or_else(default, PathBuf::from);
    dir.is_dir().then_some(dir)
}

/// Records with their entries, subfields by tabs, `.` for an empty one.
fn split_vep(file: &Path, key: &str) -> BTreeSet<String> {
    let format = format!("%CHROM\t%POS\t%REF\t%ALT\t%{key}\\n");
    let args = ["+split-vep", "-d", "-A", "tab", "-a", key, "-f", &format];
    let text = stdout_of(Command::new("bcftools").args(args).arg(file));
    let lines = text.lines().map(str::to_owned);
    let annotated = |line: &String| line.split('\t').skip(4).any(|field| field != ".");
    lines.filter(annotated).collect()
}

fn split(file: &Path, key: &str) -> BTreeSet<String> {
    let format = format!("%CHROM\t%POS\t%REF\t%ALT\t%INFO/{key}\\n");
    let text = stdout_of(
        Command::new("bcftools")
            .args(["query", "-f", &format])
            .arg(file),
    );
    let mut lines = BTreeSet::new();
    for line in text.lines() {
        let (record, entries) = line.rsplit_once('\t').unwrap();
        let entries = entries.split(',').filter(|entry| *entry != ".");
        lines.extend(entries.map(|entry| format!("{record}\t{entry}")));
    }
    lines
}

/// Rows of a statement as tab-separated lines.
fn rows(lake: &Path, sql: &str) -> Vec<String> {
    let mut command = genokura();
    command
        .args(["sql", "--format", "json", "-c", sql, "--lake"])
        .arg(lake);
    let text = stdout_of(&mut command);
    let rows: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_str(&text)
        .unwrap_or_else(|_| {
            let lines = text.lines().filter(|line| !line.is_empty());
            lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        });
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |row: &serde_json::Map<_, _>| row.values().map(text).collect::<Vec<_>>().join("\t");
    rows.iter().map(line).collect()
}

fn load(lake: &Path, file: &Path) {
    let mut command = genokura();
    command
        .args(["ingest", "vcf", "--dataset", "d", "--lake"])
        .arg(lake)
        .arg(file);
    let output = run(&mut command);
    // 3: some records broke a rule and were quarantined.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
}

/// Every entry of every record, whichever ALT it speaks of.
const ENTRIES: &str = "SELECT DISTINCT v.contig, v.vcf_pos, v.vcf_ref, array_to_string(v.vcf_alts, ',') AS alts, \
                       e.entry_text FROM d.variant_effects e JOIN d.variants v USING (contig, pos, end_pos, ref, alt)";

/// Whether an entry speaks of a base, or for `bcftools csq` of a change at this record, that is not the record's only ALT:
/// the record was split after it was annotated, and the entry stands with another one.
fn is_of_another(line: &str) -> bool {
    let fields: Vec<&str> = line.split(['\t', '|']).collect();
    let [_, pos, reference, alt, allele, ..] = fields.as_slice() else {
        return false;
    };
    let here = format!("{pos}{reference}>");
    let changes = fields.last().into_iter().flat_map(|last| last.split('+'));
    let here: Vec<&str> = changes
        .filter_map(|c| c.strip_prefix(here.as_str()))
        .collect();
    let bases = [reference, alt, allele].iter().all(|text| text.len() == 1);
    let of_base = bases && *allele != "." && alt != allele;
    let of_change = !alt.contains(',') && !here.is_empty() && !here.contains(alt);
    of_base || of_change
}

#[test]
fn entries_are_those_of_split_vep() {
    let Some(shared) = shared() else {
        eprintln!("no ../shared/data beside the checkout: nothing to compare");
        return;
    };
    let mut compared = 0;
    for (name, key) in VEP.iter().chain(OTHERS) {
        let file = shared.join(name);
        let lake = tempfile::tempdir().unwrap();
        load(lake.path(), &file);
        let of_key = format!("{ENTRIES} WHERE e.annotation = '{key}'");
        let entries = rows(lake.path(), &of_key);
        let is_vep = VEP.iter().any(|(vep, _)| vep == name);
        let expected = match is_vep {
            true => split_vep(&file, key),
            false => split(&file, key),
        };
        let width = expected
            .iter()
            .map(|line| line.split('\t').count())
            .max()
            .unwrap_or(0);
        let cut = |line: &String| match is_vep {
            false => line.clone(),
            true => {
                let fields = line.split('\t').flat_map(|field| field.split('|'));
                let mut fields: Vec<&str> =
                    fields.map(|f| if f.is_empty() { "." } else { f }).collect();
                fields.resize(width, ".");
                fields.join("\t")
            }
        };
        let found: BTreeSet<String> = entries.iter().map(cut).collect();
        let missing = expected.difference(&found);
        let missing: Vec<_> = missing
            .filter(|line| !is_of_another(line))
            .take(2)
            .collect();
        let strange: Vec<_> = found.difference(&expected).take(2).collect();
        assert!(
            missing.is_empty() && strange.is_empty(),
            "{name}: {missing:?} {strange:?}"
        );
        assert!(!found.is_empty(), "{name}");
        compared += found.len();
    }
    assert!(compared > 10_000, "{compared}");
}

/// Filters on the key of a variant, and what a join still wants, reach the scan of the variants.
#[test]
fn questions_prune_variants() {
    let lake = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/slt/lake/annotated.vcf");
    load(lake.path(), &file);
    let key = "EXPLAIN SELECT gene FROM d.variant_effects WHERE contig = 'chr2' AND pos > 450 AND impact = 'HIGH'";
    let told = rows(lake.path(), key).join("\n");
    for word in [
        "EffectsExec: CSQ, BCSQ",
        "files=1/2",
        "filters=[contig = chr2, pos > 450, info_csq IS NOT NULL",
    ] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let join = "EXPLAIN SELECT e.gene FROM d.variant_effects e JOIN d.variants v USING (contig, pos, ref, alt) \
                WHERE v.ac > 1";
    let told = rows(lake.path(), join).join("\n");
    assert!(told.contains("dynamic filters"), "{told}");
}

/// An annotation without Format loads, is told of, and is refused when it is read; `--strict` refuses the file.
#[test]
fn an_annotation_without_format_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, vcf) = (dir.path().join("lake"), dir.path().join("a.vcf"));
    let text = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n\
                ##INFO=<ID=CSQ,Number=.,Type=String,Description=\"Consequences\">\n\
                #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t5\t.\tA\tG\t.\t.\tCSQ=G|missense_variant\n";
    std::fs::write(&vcf, text).unwrap();
    let mut command = genokura();
    command
        .args(["ingest", "vcf", "--dataset", "d", "--lake"])
        .arg(&lake)
        .arg(&vcf);
    assert!(stdout_of(&mut command).contains("annotation-without-format"));
    let mut command = genokura();
    command
        .args([
            "sql",
            "-c",
            "SELECT count(*) FROM d.variant_effects",
            "--lake",
        ])
        .arg(&lake);
    let output = run(&mut command);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    for word in [
        "INFO CSQ",
        "\"d\"",
        "no Format",
        "input 1 of batch 0, line 3",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert!(!told.contains("Plan the statement again"), "{told}");
    let mut command = genokura();
    command
        .args(["ingest", "vcf", "--strict", "--dataset", "s", "--lake"])
        .arg(&lake)
        .arg(&vcf);
    let output = run(&mut command);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("CSQ"), "{told}");
}

/// An annotation without a Format does not take the others with it: it has no rows, and is refused by its name alone.
#[test]
fn annotations_with_a_format_are_read_beside_one_without() {
    let dir = tempfile::tempdir().unwrap();
    let (lake, vcf) = (dir.path().join("lake"), dir.path().join("a.vcf"));
    let text = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n\
                ##INFO=<ID=CSQ,Number=.,Type=String,Description=\"Consequences\">\n\
                ##INFO=<ID=BCSQ,Number=.,Type=String,Description=\"Local. Format: Consequence|gene|transcript\">\n\
                #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n\
                chr1\t5\t.\tA\tG\t.\t.\tCSQ=G|missense_variant;BCSQ=missense|BRCA1|T1\n";
    std::fs::write(&vcf, text).unwrap();
    let mut command = genokura();
    command.args(["ingest", "vcf", "--dataset", "d", "--lake"]);
    stdout_of(command.arg(&lake).arg(&vcf));
    let asked = |condition: &str| {
        let sql = format!("SELECT annotation, bcsq_gene FROM d.variant_effects WHERE {condition}");
        let mut command = genokura();
        command.args(["sql", "--format", "csv", "-c", &sql, "--lake"]);
        run(command.arg(&lake))
    };
    for condition in ["true", "annotation = 'BCSQ'", "annotation <> 'CSQ'"] {
        let output = asked(condition);
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            told.trim(),
            "annotation,bcsq_gene\nBCSQ,BRCA1",
            "{condition}"
        );
    }
    for condition in [
        "annotation = 'CSQ'",
        "annotation IN ('BCSQ', 'CSQ') AND pos > 1",
    ] {
        let output = asked(condition);
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("INFO CSQ of dataset \"d\" has no Format"),
            "{told}"
        );
    }
}

/// A second Format of an annotation is told when it is loaded, and rows are read by that of their input; `--strict` refuses
/// the file. A bar behind the last name of
/// a Format names nothing.
#[test]
fn another_format_of_an_annotation_is_told_when_it_is_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let file = |name: &str, pos: u32, format: &str, entry: &str| {
        let path = dir.path().join(name);
        let text = format!(
            "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n\
             ##INFO=<ID=CSQ,Number=.,Type=String,Description=\"Consequence annotations from Ensembl VEP. Format: {format}\">\n\
             #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\nchr1\t{pos}\t.\tA\tG\t.\t.\tCSQ={entry}\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let ingest = |more: &[&str], file: &Path| {
        let mut command = genokura();
        command.args(["ingest", "vcf", "--dataset", "d", "--lake"]);
        run(command.arg(&lake).args(more).arg(file))
    };
    let told = |output: &std::process::Output| {
        let (out, err) = (&output.stdout, &output.stderr);
        String::from_utf8_lossy(&[out.as_slice(), err].concat()).into_owned()
    };
    let first = file(
        "1.vcf",
        5,
        "Allele|Consequence|SYMBOL|",
        "G|missense_variant|A1|",
    );
    let same = file("2.vcf", 6, "Allele|Consequence|SYMBOL", "G|stop_gained|A2");
    for file in [&first, &same] {
        let output = ingest(&["--strict"], file);
        assert!(output.status.success(), "{}", told(&output));
    }
    let sql = "SELECT pos, worst, gene, csq_symbol, entry_text FROM d.variant_effects ORDER BY pos";
    let expected = [
        "5\tmissense_variant\tA1\tA1\tG|missense_variant|A1|",
        "6\tstop_gained\tA2\tA2\tG|stop_gained|A2",
    ];
    assert_eq!(rows(&lake, sql), expected);
    let other = file("3.vcf", 7, "Allele|SYMBOL|Consequence", "G|A3|stop_gained");
    let refused = ingest(&["--strict"], &other);
    for word in ["line 3", "\"CSQ\"", "annotation-format-differs"] {
        assert!(told(&refused).contains(word), "{}", told(&refused));
    }
    assert_eq!(rows(&lake, sql), expected);
    let loaded = ingest(&[], &other);
    assert!(loaded.status.success());
    let differ = "annotation-format-differs: 1";
    assert!(told(&loaded).contains(differ), "{}", told(&loaded));
    // Every input is read by its own Format; the columns are those of all.
    let more = "Consequence|Allele|PICK|SYMBOL";
    assert!(
        ingest(&[], &file("4.vcf", 8, more, "intron_variant|G|1|A4"))
            .status
            .success()
    );
    let sql = "SELECT pos, worst, gene, csq_symbol, csq_pick, entry_text FROM d.variant_effects ORDER BY pos";
    let expected = [
        "5\tmissense_variant\tA1\tA1\tnull\tG|missense_variant|A1|",
        "6\tstop_gained\tA2\tA2\tnull\tG|stop_gained|A2",
        "7\tstop_gained\tA3\tA3\tnull\tG|A3|stop_gained",
        "8\tintron_variant\tA4\tA4\ttrue\tintron_variant|G|1|A4",
    ];
    assert_eq!(rows(&lake, sql), expected);
    let worst = "SELECT pos FROM d.variant_effects WHERE worst = 'stop_gained' AND pos > 6";
    assert_eq!(rows(&lake, worst), ["7"]);
}

/// Bases are the same in either case; an export gives back the record as it stood.
#[test]
fn alleles_are_equal_whatever_the_case_of_their_bases() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let head = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n\
                ##ALT=<ID=DEL:me,Description=\"x\">\n\
                ##INFO=<ID=END,Number=1,Type=Integer,Description=\"End\">\n";
    let file = |name: &str, records: &str| {
        let path = dir.path().join(name);
        let chrom = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n";
        std::fs::write(&path, format!("{head}{chrom}{records}")).unwrap();
        path
    };
    let lower = "chr1\t10\t.\ta\tg,T\t.\t.\t.\nchr1\t20\t.\tcta\tca\t.\t.\t.\nchr1\t30\t.\tn\t<DEL:me>\t.\t.\tEND=40\n\
                 chr1\t50\t.\tg\tg]chr1:90]\t.\t.\t.\nchr1\t60\t.\tc\t.\t.\t.\t.\n";
    let calls = file("calls.vcf", lower);
    let known = file(
        "known.vcf",
        "chr1\t10\t.\tA\tG\t.\t.\t.\nchr1\t10\t.\tA\tt\t.\t.\t.\nchr1\t20\t.\tCT\tC\t.\t.\t.\n",
    );
    load_both(&lake, &calls, &known);
    let alleles = "SELECT pos, ref, alt, vcf_ref, vcf_alts[alt_index] AS vcf_alt FROM d.variants ORDER BY 1, 3";
    assert_eq!(
        rows(&lake, alleles),
        [
            "10\tA\tG\ta\tg",
            "10\tA\tT\ta\tT",
            "20\tCT\tC\tcta\tca",
            "30\tN\t<DEL:me>\tn\t<DEL:me>",
            "50\tG\tG]chr1:90]\tg\tg]chr1:90]",
            "60\tC\tnull\tc\tnull",
        ]
    );
    let join = "SELECT v.pos, v.alt FROM d.variants v JOIN kb.known k USING (contig, pos, ref, alt) ORDER BY 1, 2";
    assert_eq!(rows(&lake, join), ["10\tG", "10\tT", "20\tC"]);
    let back = dir.path().join("back.vcf");
    let mut command = genokura();
    command.args(["export", "vcf", "--dataset", "d", "--lake"]);
    stdout_of(command.arg(&lake).arg("-o").arg(&back));
    let back = std::fs::read_to_string(&back).unwrap();
    let records: Vec<&str> = back.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(records, lower.lines().collect::<Vec<_>>());
}

/// A contig of runs and repeats, where indels have many forms.
fn reference(length: usize) -> Vec<u8> {
    let mut state = 17_u64;
    let mut bases: Vec<u8> = Vec::new();
    while bases.len() < length {
        let draw = random(&mut state, 10);
        let base = match bases.last() {
            Some(last) if draw < 5 => *last,
            _ => b"ACGT"[usize::try_from(random(&mut state, 4)).unwrap()],
        };
        bases.push(base);
    }
    bases
}

fn random(state: &mut u64, below: u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Records at the same places with the same alleles in forms of their own: shifted in runs, padded, several ALTs together.
fn records(bases: &[u8], seed: u64) -> String {
    let mut state = seed;
    let mut records: Vec<(usize, String)> = Vec::new();
    for (locus, place) in (40..bases.len() - 40).step_by(25).enumerate() {
        if random(&mut state, 10) < 3 {
            continue;
        }
        let base = bases[place];
        let other = |n: usize| b"ACGTACGT"[b"ACGT".iter().position(|b| *b == base).unwrap() + n];
        let run = bases[place..].iter().take_while(|b| **b == base).count();
        let shift = usize::try_from(random(&mut state, 8)).unwrap() % run;
        let (start, reference, alts) = match locus % 4 {
            0 => (place, vec![base], vec![vec![other(1)]]),
            1 => {
                let anchor = bases[place + shift - 1];
                (place + shift - 1, vec![anchor, base], vec![vec![anchor]])
            }
            2 => {
                let anchor = bases[place + shift - 1];
                (place + shift - 1, vec![anchor], vec![vec![anchor, base]])
            }
            _ => (
                place,
                vec![base],
                vec![vec![other(1)], vec![other(2)], vec![base, other(3)]],
            ),
        };
        let kept = 1 + usize::try_from(random(&mut state, 3)).unwrap();
        let alts: Vec<_> = alts.into_iter().take(kept).collect();
        let end = start + reference.len();
        let pad = usize::try_from(random(&mut state, 3)).unwrap();
        let padded = |allele: &Vec<u8>| {
            let bytes = [allele.as_slice(), &bases[end..end + pad]].concat();
            String::from_utf8(bytes).unwrap()
        };
        let values: Vec<String> = alts
            .iter()
            .map(|_| random(&mut state, 1_000).to_string())
            .collect();
        let alts: Vec<String> = alts.iter().map(padded).collect();
        let line = format!(
            "chr1\t{}\t.\t{}\t{}\t.\t.\tN={}",
            start + 1,
            padded(&reference),
            alts.join(","),
            values.join(",")
        );
        records.push((start, line));
    }
    records.sort();
    let lines: Vec<String> = records.into_iter().map(|(_, line)| line).collect();
    format!(
        "##fileformat=VCFv4.2\n##contig=<ID=chr1,length={}>\n\
         ##INFO=<ID=N,Number=A,Type=Integer,Description=\"a number\">\n\
         #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{}\n",
        bases.len(),
        lines.join("\n")
    )
}

/// A join of equal alleles gives what `bcftools annotate` copies, whatever form the alleles have in either file.
#[test]
fn joins_of_sites_are_those_of_bcftools_annotate() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let bases = reference(20_000);
    let fasta = format!(">chr1\n{}\n", String::from_utf8(bases.clone()).unwrap());
    std::fs::write(path("ref.fa"), fasta).unwrap();
    for (name, seed) in [("calls", 3), ("known", 5)] {
        std::fs::write(path(&format!("{name}.vcf")), records(&bases, seed)).unwrap();
        let line = format!(
            "set -o pipefail; bcftools norm -f ref.fa -m- {name}.vcf | bcftools sort -Oz -o {name}.norm.vcf.gz && \
             bcftools index {name}.norm.vcf.gz"
        );
        stdout_of(
            Command::new("bash")
                .args(["-c", &line])
                .current_dir(dir.path()),
        );
    }
    let line = "set -o pipefail; bcftools annotate -a known.norm.vcf.gz -c INFO/K:=INFO/N calls.norm.vcf.gz | \
                bcftools query -i 'K!=\".\"' -f '%CHROM\\t%POS\\t%REF\\t%ALT\\t%N\\t%K\\n'";
    let expected = stdout_of(
        Command::new("bash")
            .args(["-c", line])
            .current_dir(dir.path()),
    );
    let mut expected: Vec<String> = expected.lines().map(str::to_owned).collect();
    expected.sort();
    let lake = path("lake");
    let load = |args: &[&str], file: &str| {
        let mut command = genokura();
        command
            .arg("ingest")
            .args(args)
            .arg("--reference")
            .arg(path("ref.fa"));
        stdout_of(command.arg("--lake").arg(&lake).arg(path(file)))
    };
    load(&["vcf", "--dataset", "d"], "calls.vcf");
    let told = load(
        &["sites", "--table", "kb.known", "--release", "2024-01-07"],
        "known.vcf",
    );
    assert!(told.contains("records read"), "{told}");
    let sql = "SELECT v.contig, v.pos, v.ref, v.alt, v.info_n AS n, k.info_n AS k FROM d.variants v \
               JOIN kb.known k USING (contig, pos, ref, alt) WHERE k.release = DATE '2024-01-07'";
    let mut found = rows(&lake, sql);
    found.sort();
    assert!(found.len() > 200, "{}", found.len());
    assert_eq!(found, expected);
}

/// Splits the alleles of two files as they stand, and gives what `bcftools annotate` copies from `known` to `calls`, whose
/// INFO is left out: bcftools breaks off at keys that the header does not declare.
fn annotated(dir: &Path, calls: &Path, known: &Path, key: &str) -> Vec<String> {
    let line = format!(
        "set -o pipefail; zcat -f \"$calls\" | awk -F'\\t' -v OFS='\\t' '!/^#/ {{ $8 = \".\" }} {{ print }}' > calls.bare.vcf; \
         calls=calls.bare.vcf; for f in calls known; do bcftools norm -m- \"${{!f}}\" | \
         bcftools sort -Oz -o $f.split.vcf.gz && bcftools index -f $f.split.vcf.gz || exit 1; done; \
         bcftools annotate -a known.split.vcf.gz -c INFO/K:=INFO/{key} calls.split.vcf.gz | \
         bcftools query -i 'K!=\".\"' -f '%CHROM\\t%POS\\t%REF\\t%ALT\\t%K\\n'"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &line]).current_dir(dir);
    let told = stdout_of(command.env("calls", calls).env("known", known));
    let mut rows: Vec<String> = told.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

/// Pairs of equal alleles by the records as they stood, which bcftools compares without a reference.
fn joined(key: &str) -> String {
    format!(
        "SELECT v.contig, v.vcf_pos, v.vcf_ref, v.vcf_alts[v.alt_index] AS vcf_alt, k.{key} AS k FROM d.variants v \
         JOIN kb.known k USING (contig, pos, ref, alt) \
         WHERE v.vcf_pos = k.vcf_pos AND v.vcf_ref = k.vcf_ref AND v.vcf_alts[v.alt_index] = k.vcf_alts[k.alt_index]"
    )
}

/// Published calls, and published frequencies of ExAC.
#[test]
fn joins_of_published_frequencies_are_those_of_bcftools_annotate() {
    let shared = shared().expect("the shared data");
    let files = ["query", "exac"].map(|name| shared.join(format!("vcfanno/example/{name}.vcf.gz")));
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    load_both(&lake, &files[0], &files[1]);
    let expected = annotated(dir.path(), &files[0], &files[1], "AC");
    let mut found = rows(&lake, &joined("info_ac"));
    found.sort();
    assert!(expected.len() > 5, "{expected:?}");
    assert_eq!(found, expected);
    // Trimmed alleles find more than those as they stand, and lose none.
    let all = "SELECT v.pos FROM d.variants v JOIN kb.known k USING (contig, pos, ref, alt)";
    assert!(rows(&lake, all).len() >= expected.len());
}

fn load_both(lake: &Path, calls: &Path, known: &Path) {
    for (args, file) in [
        (&["vcf", "--dataset", "d"][..], calls),
        (&["sites", "--table", "kb.known"][..], known),
    ] {
        let mut command = genokura();
        command.arg("ingest").args(args).arg("--lake").arg(lake);
        stdout_of(command.arg(file));
    }
}

/// Of alleles that stand twice, a join gives every pair; bcftools copies one of them.
#[test]
fn duplicates_are_joined_with_all_that_is_known_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, records: &str| {
        let path = dir.path().join(name);
        let text = format!(
            "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=1000>\n\
             ##INFO=<ID=N,Number=A,Type=Integer,Description=\"a number\">\n\
             #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{records}"
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let calls = file(
        "calls.vcf",
        "chr1\t10\ta\tA\tG\t.\t.\t.\nchr1\t10\tb\tA\tG,T\t.\t.\t.\nchr1\t20\tc\tC\tT\t.\t.\t.\n\
         chr1\t30\td\tC\tT\t.\t.\t.\nchr1\t40\te\tC\t*\t.\t.\t.\nchr1\t50\tf\tC\t<DEL>\t.\t.\t.\n",
    );
    let known = file(
        "known.vcf",
        "chr1\t10\t.\tA\tG\t.\t.\tN=1\nchr1\t20\t.\tC\tT\t.\t.\tN=2\nchr1\t20\t.\tC\tT,G\t.\t.\tN=3,4\n\
         chr1\t30\t.\tC\tA\t.\t.\tN=5\n",
    );
    let lake = dir.path().join("lake");
    load_both(&lake, &calls, &known);
    let mut found = rows(&lake, &joined("info_n"));
    found.sort();
    let all = [
        "chr1\t10\tA\tG\t1",
        "chr1\t10\tA\tG\t1",
        "chr1\t20\tC\tT\t2",
        "chr1\t20\tC\tT\t3",
    ];
    assert_eq!(found, all);
    let copied = annotated(dir.path(), &calls, &known, "N");
    assert!(
        !copied.is_empty() && copied.iter().all(|row| found.contains(row)),
        "{copied:?}"
    );
    for place in ["chr1\t10\t", "chr1\t20\t"] {
        assert!(
            copied.iter().any(|row| row.starts_with(place)),
            "{copied:?}"
        );
    }
}

/// Releases lie side by side, a new key is a new column, and what a table of sites cannot hold is refused.
#[test]
fn releases_lie_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let lake = dir.path().join("lake");
    let file = |name: &str, info: &str, record: &str| {
        let path = dir.path().join(name);
        let text =
            format!("##fileformat=VCFv4.2\n##contig=<ID=1,length=248956422>\n{info}\n{record}\n");
        std::fs::write(&path, text).unwrap();
        path
    };
    let chrom = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO";
    let sig = "##INFO=<ID=CLNSIG,Number=.,Type=String,Description=\"Significance\">";
    let load = |table: &str, release: &str, path: &Path| {
        let mut command = genokura();
        command
            .args([
                "ingest",
                "sites",
                "--contigs",
                "chr",
                "--table",
                table,
                "--lake",
            ])
            .arg(&lake);
        run(command.args(["--release", release]).arg(path))
    };
    let first = file(
        "1.vcf",
        sig,
        &format!("{chrom}\n1\t10\t7\tA\tG,T\t.\t.\tCLNSIG=Benign"),
    );
    let onc = "##INFO=<ID=ONC,Number=1,Type=String,Description=\"Oncogenicity\">";
    let second = file(
        "2.vcf",
        &format!("{sig}\n{onc}"),
        &format!("{chrom}\n1\t10\t7\tA\tG\t.\t.\tCLNSIG=Pathogenic;ONC=x"),
    );
    assert!(load("kb.clinvar", "2024-01-07", &first).status.success());
    assert!(load("kb.clinvar", "2024-02-06", &second).status.success());
    let again = load("kb.clinvar", "2024-02-06", &second);
    assert!(
        String::from_utf8_lossy(&again.stdout).contains("already"),
        "{again:?}"
    );
    let sql = "SELECT contig, pos, alt, release, array_to_string(info_clnsig, ',') AS sig, coalesce(info_onc, '-') AS onc \
               FROM kb.clinvar ORDER BY release, alt";
    assert_eq!(
        rows(&lake, sql),
        [
            "chr1\t10\tG\t2024-01-07\tBenign\t-",
            "chr1\t10\tT\t2024-01-07\tBenign\t-",
            "chr1\t10\tG\t2024-02-06\tPathogenic\tx",
        ]
    );
    // A corrected file of a release beside it would join each allele twice; contigs that the release lacks are added.
    let corrected = file(
        "corrected.vcf",
        sig,
        &format!("{chrom}\n1\t10\t7\tA\tG\t.\t.\tCLNSIG=Benign"),
    );
    let refused = load("kb.clinvar", "2024-02-06", &corrected);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success()
            && told.contains("release 2024-02-06 of kb.clinvar has alleles of chr1 already")
            && told.contains("--replace"),
        "{told}"
    );
    let loose = |path: &Path| {
        let mut command = genokura();
        command.args(["ingest", "sites", "--table", "kb.loose", "--lake"]);
        run(command.arg(&lake).arg(path))
    };
    let other = file(
        "other.vcf",
        sig,
        &format!("{chrom}\n2\t10\t7\tA\tG\t.\t.\t."),
    );
    for path in [&corrected, &other] {
        assert!(loose(path).status.success());
    }
    let told = String::from_utf8_lossy(&loose(&first).stderr).into_owned();
    assert!(told.contains("kb.loose has alleles of 1 already"), "{told}");
    assert_eq!(rows(&lake, "SELECT count(*) FROM kb.loose"), ["2"]);
    let float = "##INFO=<ID=CLNSIG,Number=1,Type=Float,Description=\"Significance\">";
    let people = format!("{chrom}\tFORMAT\tS1\n1\t10\t7\tA\tG\t.\t.\t.\tGT\t0/1");
    for (name, info, record, told) in [
        (
            "3.vcf",
            float,
            format!("{chrom}\n1\t10\t7\tA\tG\t.\t.\tCLNSIG=0.5"),
            "info_clnsig",
        ),
        ("4.vcf", sig, people, "1 samples"),
        (
            "5.vcf",
            sig,
            format!("{chrom}\n1\tx\t7\tA\tG\t.\t.\t."),
            "the first is input 1, line 5: ",
        ),
    ] {
        let refused = load("kb.clinvar", "2024-03-01", &file(name, info, &record));
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            !refused.status.success() && error.contains(told),
            "{name}: {error}"
        );
    }
    assert_eq!(rows(&lake, "SELECT count(*) FROM kb.clinvar"), ["3"]);
    // Without --contigs chr the table would name contigs both ways.
    let mut command = genokura();
    command.args(["ingest", "sites", "--table", "kb.clinvar", "--lake"]);
    let mixed = run(command.arg(&lake).arg(&first));
    let told = String::from_utf8_lossy(&mixed.stderr).into_owned();
    assert!(
        !mixed.status.success() && told.contains("--contigs chr"),
        "{told}"
    );
    assert_eq!(rows(&lake, "SELECT count(*) FROM kb.clinvar"), ["3"]);
    // Numbers of chromosomes in a table are names, so that comparing them with chr1 is refused and not empty.
    let panel = dir.path().join("panel.csv");
    std::fs::write(&panel, "chr,gene\n1,A\n2,B\n").unwrap();
    let mut command = genokura();
    command.args(["ingest", "table", "--table", "kb.panel", "--lake"]);
    stdout_of(command.arg(&lake).arg(&panel));
    std::fs::write(&panel, "chr,gene\n1,A\nchr2,B\n").unwrap();
    let mut command = genokura();
    command.args(["ingest", "table", "--table", "kb.mixed", "--lake"]);
    let mixed = run(command.arg(&lake).arg(&panel));
    let told = String::from_utf8_lossy(&mixed.stderr).into_owned();
    assert!(
        told.contains("names contigs like \"1\" and in row 2 \"chr2\""),
        "{told}"
    );
    let join = "SELECT count(*) FROM kb.panel p JOIN kb.clinvar c ON p.chr = c.contig";
    let refused = run(genokura().args(["sql", "-c", join, "--lake"]).arg(&lake));
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("chr1"), "{told}");
}
