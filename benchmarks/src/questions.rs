//! Workload `questions`: what a geneticist asks of a whole cohort, of genokura and its peers.
//!
//! genokura is a warm server asked by psql (`\timing`: from the statement sent to the last row
//! received). DuckDB and stock DataFusion are warm in their process over the long-format Parquet of the
//! same calls and hand over Arrow. plink2 and bcftools are processes, as they are used, over their own
//! files. All answers are compared, as sets of lines, before anything is timed.

use std::path::PathBuf;

use anyhow::Context;

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};
use crate::peers::{bcftools, datafusion, duckdb, genokura, long_table, plink2};
use crate::startup::Server;

/// People of the cohort whose allele frequencies are asked for; a half of a smaller data set.
const COHORT: usize = 5_000;
/// Width of the region of rare carriers.
const WIDTH_BP: i64 = 50_000;
/// Repetitions of what takes milliseconds, for each that was asked for.
const WARM_FACTOR: usize = 5;

/// What the questions are about.
struct Subject {
    n_samples: usize,
    cohort_file: PathBuf,
    long: PathBuf,
    replacements: Vec<(&'static str, String)>,
    region: String,
    people: [String; 3],
    one: String,
    rare_below: f64,
    chosen: usize,
}

impl Subject {
    fn fill(&self, sql: &str) -> String {
        let filled = self
            .replacements
            .iter()
            .fold(sql.to_owned(), |sql, (name, value)| {
                sql.replace(&format!("{{{name}}}"), value)
            });
        filled
            .lines()
            .filter(|line| !line.starts_with("--"))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// The command that asks about a BCF.
type Command = fn(&Subject, &str) -> String;
/// An answer's text as lines.
type Read = fn(&Subject, &str) -> anyhow::Result<Vec<String>>;

/// How each peer is asked one question. Answers become lines that are equal when the answers are.
struct Question {
    name: &'static str,
    ours: &'static str,
    /// The answer of genokura as lines.
    read_ours: Read,
    long: Option<&'static str>,
    /// The answer over the long table as lines.
    read_long: Read,
    /// Command, and how its answer reads.
    bcftools: Option<(Command, Read)>,
}

const QUESTIONS: [Question; 8] = [
    Question {
        name: "allele frequencies in 5000 people",
        ours: include_str!("../workloads/cohort_af.genokura.sql"),
        read_ours: copies_of_frequencies,
        long: Some(include_str!("../workloads/cohort_af.long.sql")),
        read_long: as_it_stands,
        bcftools: Some((
            |s, bcf| bcftools::frequencies(bcf, &s.cohort_file.display().to_string()),
            |_, text| bcftools::copies(text),
        )),
    },
    Question {
        name: "one person",
        ours: include_str!("../workloads/one_person.genokura.sql"),
        read_ours: |_, text| text.lines().map(without_genotype).collect(),
        long: Some(include_str!("../workloads/one_person.long.sql")),
        read_long: as_it_stands,
        bcftools: Some((
            |s, bcf| bcftools::genotypes(bcf, &s.one),
            |_, text| bcftools::dosages(text),
        )),
    },
    Question {
        name: "new in a child",
        ours: include_str!("../workloads/trio.genokura.sql"),
        read_ours: as_it_stands,
        long: Some(include_str!("../workloads/trio.long.sql")),
        read_long: as_it_stands,
        bcftools: Some((
            |s, bcf| bcftools::genotypes(bcf, &s.people.join(",")),
            |_, text| bcftools::new_in_first(text),
        )),
    },
    Question {
        name: "rare carriers in 50 kb",
        ours: include_str!("../workloads/rare_carriers.genokura.sql"),
        read_ours: as_it_stands,
        long: Some(include_str!("../workloads/rare_carriers.long.sql")),
        read_long: with_name_at_end,
        bcftools: Some((
            |s, bcf| bcftools::carriers(bcf, &s.region),
            |s, text| bcftools::rare(text, s.rare_below),
        )),
    },
    Question {
        name: "rare carriers in 50 kb by gt_carriers",
        ours: include_str!("../workloads/rare_carriers_unnest.genokura.sql"),
        read_ours: as_it_stands,
        long: Some(include_str!("../workloads/rare_carriers.long.sql")),
        read_long: with_name_at_end,
        bcftools: None,
    },
    Question {
        name: "carriers per person",
        ours: include_str!("../workloads/carriers_per_person.genokura.sql"),
        read_ours: as_it_stands,
        long: Some(include_str!("../workloads/carriers_per_person.long.sql")),
        read_long: with_name_first,
        bcftools: None,
    },
    Question {
        name: "copies by diagnosis",
        ours: include_str!("../workloads/diagnosis.genokura.sql"),
        read_ours: as_it_stands,
        long: Some(include_str!("../workloads/diagnosis.long.sql")),
        read_long: as_it_stands,
        bcftools: None,
    },
    Question {
        name: "copies in cases and controls",
        ours: include_str!("../workloads/cases.genokura.sql"),
        read_ours: as_it_stands,
        long: Some(include_str!("../workloads/cases.long.sql")),
        read_long: as_it_stands,
        bcftools: None,
    },
];

/// Compares and measures question by question.
///
/// # Errors
/// When a command fails or an answer differs.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    genokura::lake(args)?;
    let mut server = Server::start(args)?;
    let subject = subject(args, &server)?;
    let cohort = answers::cohort_name(&args.cohort);
    let mut rows = Vec::new();
    for question in &QUESTIONS {
        let workload = format!("{} of {cohort}", question.name);
        let asked = ask(args, &server, &subject, question, &workload);
        rows.extend(asked.with_context(|| question.name)?);
        crate::report::write(&args.out, &rows)?;
    }
    rows.extend(stream(args, &server, &subject, &cohort)?);
    server.stop()?;
    Ok(rows)
}

fn ask(
    args: &RunArgs,
    server: &Server,
    subject: &Subject,
    question: &Question,
    workload: &str,
) -> anyhow::Result<Vec<Row>> {
    let sql = subject.fill(question.ours);
    let expected = sorted((question.read_ours)(
        subject,
        &genokura::answer(server, &sql)?,
    )?);
    eprintln!("{workload}: {} lines", expected.len());
    let same = |peer: &str, lines: Vec<String>| same(workload, &expected, peer, lines);
    let warm = args.repeat * WARM_FACTOR;
    let mut rows = Vec::new();
    let mut add = |peer: &str, seconds: Vec<f64>| {
        eprintln!("{workload} {peer}: {:.4} s", measure::median(&seconds));
        for (repetition, wall_s) in (1..).zip(seconds) {
            rows.push(Row::warm(workload, peer, repetition, wall_s));
        }
    };
    add(genokura::WARM, genokura::seconds(server, &sql, warm)?);
    if let Some(long) = question.long {
        let sql = subject.fill(long);
        if !args.skips(duckdb::LONG) {
            let answer = duckdb::answer(args, &subject.long, &sql)?;
            same(duckdb::LONG, (question.read_long)(subject, &answer)?)?;
            add(
                duckdb::LONG,
                duckdb::seconds(args, &subject.long, &sql, warm)?,
            );
        }
        if !args.skips(datafusion::LONG) {
            let answer = datafusion::answer(&subject.long, &sql)?;
            same(datafusion::LONG, (question.read_long)(subject, &answer)?)?;
            add(
                datafusion::LONG,
                datafusion::seconds(&subject.long, &sql, warm)?,
            );
        }
    }
    if question.name.starts_with("allele frequencies") && !args.skips("plink2") {
        rows.extend(frequencies_by_plink2(
            args, server, subject, workload, &sql, &expected,
        )?);
    }
    if let Some((command, read)) = question.bcftools
        && !args.skips("bcftools")
    {
        let bcf = bcftools::bcf(args)?;
        let line = command(subject, &bcf.display().to_string());
        let kept = args.scratch.join("bcftools-answer.txt");
        for repetition in 1..=args.repetitions("bcftools") {
            let to_file = format!("set -o pipefail; {line} > {}", kept.display());
            rows.push(measure::shell(workload, "bcftools", repetition, &to_file)?);
        }
        same("bcftools", read(subject, &std::fs::read_to_string(&kept)?)?)?;
        std::fs::remove_file(&kept)?;
    }
    Ok(rows)
}

/// plink2 is a whole process that writes a file, so psql is measured as one as well.
fn frequencies_by_plink2(
    args: &RunArgs,
    server: &Server,
    subject: &Subject,
    workload: &str,
    sql: &str,
    expected: &[String],
) -> anyhow::Result<Vec<Row>> {
    let pgen = plink2::pgen(args)?.display().to_string();
    let out = args.scratch.join("freq").display().to_string();
    let theirs = plink2::frequencies(&pgen, &subject.cohort_file.display().to_string(), &out);
    let statement = sql.trim().trim_end_matches(';');
    let copy = format!("COPY ({statement}) TO STDOUT;");
    let ours = genokura::process(server, &copy, &format!("> {out}.tsv"))?;
    let mut rows = Vec::new();
    for repetition in 1..=args.repeat * WARM_FACTOR {
        let peer = "genokura (whole psql process)";
        rows.push(measure::shell(workload, peer, repetition, &ours)?);
        let peer = "plink2 --freq --keep (whole process)";
        rows.push(measure::shell(workload, peer, repetition, &theirs)?);
    }
    let text = std::fs::read_to_string(format!("{out}.afreq"))?;
    same(workload, expected, "plink2", plink2::copies(&text)?)?;
    Ok(rows)
}

/// All calls as text: rows a second.
fn stream(
    args: &RunArgs,
    server: &Server,
    subject: &Subject,
    cohort: &str,
) -> anyhow::Result<Vec<Row>> {
    let workload = format!("carriers streamed as text of {cohort}");
    let ours = subject.fill(include_str!("../workloads/stream.genokura.sql"));
    let long = subject.fill(include_str!("../workloads/stream.long.sql"));
    let count = "SELECT count(*) FROM cohort.carriers";
    let n_rows: f64 = genokura::answer(server, count)?.trim().parse()?;
    let lines = measure::output(&genokura::process(server, &ours, "| wc -l")?)?;
    anyhow::ensure!(
        lines.trim().parse::<f64>()? == n_rows,
        "{workload}: {n_rows} rows, {lines} lines"
    );
    let mut rows = Vec::new();
    for repetition in 1..=args.repeat {
        let line = genokura::process(server, &ours, "> /dev/null")?;
        let row = measure::shell(&workload, "genokura (COPY by psql)", repetition, &line)?;
        eprintln!(
            "{workload}: {:.1} million rows/s",
            n_rows / row.wall_s / 1e6
        );
        rows.push(row);
        if args.skips(duckdb::LONG) {
            continue;
        }
        let line = duckdb::stream(args, &subject.long, &long)?;
        rows.push(measure::shell(
            &workload,
            "DuckDB (whole process)",
            repetition,
            &line,
        )?);
    }
    Ok(rows)
}

fn subject(args: &RunArgs, server: &Server) -> anyhow::Result<Subject> {
    let ask = |sql: &str| genokura::answer(server, sql);
    let names = ask("SELECT sample_id FROM cohort.samples ORDER BY sample_id")?;
    let names: Vec<String> = names.lines().map(str::to_owned).collect();
    let n = names.len();
    genokura::people(args, &people(&names))?;
    let chosen = chosen(n);
    let cohort: Vec<&str> = chosen.iter().map(|i| names[*i].as_str()).collect();
    let cohort_file = args.scratch.join("cohort.txt");
    std::fs::write(&cohort_file, cohort.join("\n") + "\n")?;
    let bounds = ask("SELECT contig, min(pos), max(pos) FROM cohort.variants GROUP BY contig")?;
    let fields: Vec<&str> = bounds.trim().split('\t').collect();
    let [contig, first, last] = fields.as_slice() else {
        anyhow::bail!("the cohort has not one contig: {bounds}");
    };
    let start = i64::midpoint(first.parse()?, last.parse()?);
    let end = start + WIDTH_BP - 1;
    let people = [n / 2 + 1, n / 10, n - 2];
    let one = n / 2;
    let quoted: Vec<String> = cohort.iter().map(|name| format!("'{name}'")).collect();
    let mut replacements = vec![
        ("cohort", quoted.join(", ")),
        ("contig", (*contig).to_owned()),
        ("start", start.to_string()),
        ("end", end.to_string()),
        ("one", one.to_string()),
        ("one_name", names[one].clone()),
        ("an", (2 * n).to_string()),
    ];
    for ((number, name), i) in [
        ("child", "child_name"),
        ("father", "father_name"),
        ("mother", "mother_name"),
    ]
    .into_iter()
    .zip(people)
    {
        replacements.push((number, i.to_string()));
        replacements.push((name, names[i].clone()));
    }
    Ok(Subject {
        n_samples: n,
        long: long_table::tables(args, &cohort_file)?,
        cohort_file,
        replacements,
        region: format!("{contig}:{start}-{end}"),
        people: people.map(|i| names[i].clone()),
        one: names[one].clone(),
        rare_below: measure::float(2 * n) * 0.001,
        chosen: chosen.len(),
    })
}

/// The table of people: a diagnosis in turn, as `workloads/*.long.sql` make it of their numbers.
fn people(names: &[String]) -> String {
    let diagnoses = ["cancer", "rare disease", "diabetes", "control"];
    let mut text = "sample_id,diagnosis,affected\n".to_owned();
    for (name, diagnosis) in names.iter().zip(diagnoses.iter().cycle()) {
        let affected = *diagnosis != "control";
        text += &format!("{name},{diagnosis},{affected}\n");
    }
    text
}

/// Numbers of the cohort's people, rising: those with the least values of a fixed hash.
fn chosen(n: usize) -> Vec<usize> {
    let hash = |i: usize| {
        // splitmix64
        let mut z = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut all: Vec<usize> = (0..n).collect();
    all.sort_by_key(|i| hash(*i));
    all.truncate(COHORT.min(n.div_ceil(2)));
    all.sort_unstable();
    all
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_unstable();
    lines
}

fn same(workload: &str, expected: &[String], peer: &str, lines: Vec<String>) -> anyhow::Result<()> {
    let lines = sorted(lines);
    let differs = lines
        .iter()
        .zip(expected)
        .find(|(theirs, ours)| theirs != ours);
    anyhow::ensure!(
        lines.len() == expected.len() && differs.is_none(),
        "{workload}: genokura has {} lines, {peer} {}; the first that differ: {differs:?}",
        expected.len(),
        lines.len()
    );
    Ok(())
}

fn as_it_stands(_: &Subject, text: &str) -> anyhow::Result<Vec<String>> {
    Ok(text.lines().map(str::to_owned).collect())
}

/// `pos, ref, alt, af` to `pos, ref, alt, copies` where there are any: nobody's call is missing.
fn copies_of_frequencies(subject: &Subject, text: &str) -> anyhow::Result<Vec<String>> {
    let alleles = measure::float(2 * subject.chosen);
    let mut lines = Vec::new();
    for line in text.lines() {
        let (allele, frequency) = line.rsplit_once('\t').context("no tab")?;
        let copies = (frequency.parse::<f64>()? * alleles).round();
        if copies > 0.0 {
            lines.push(format!("{allele}\t{copies}"));
        }
    }
    Ok(lines)
}

/// `pos, ref, alt, gt, dosage` without the fourth.
fn without_genotype(line: &str) -> anyhow::Result<String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [pos, reference, alternate, _, dosage] = fields.as_slice() else {
        anyhow::bail!("genokura wrote \"{line}\"");
    };
    Ok([*pos, *reference, *alternate, *dosage].join("\t"))
}

/// The simulator's name of a sample number.
fn name(subject: &Subject, number: &str) -> anyhow::Result<String> {
    let number: usize = number.parse()?;
    anyhow::ensure!(number < subject.n_samples, "no sample {number}");
    Ok(format!("S{number:06}"))
}

fn with_name_at_end(subject: &Subject, text: &str) -> anyhow::Result<Vec<String>> {
    let line = |line: &str| {
        let (rest, number) = line.rsplit_once('\t').context("no tab")?;
        Ok(format!("{rest}\t{}", name(subject, number)?))
    };
    text.lines().map(line).collect()
}

fn with_name_first(subject: &Subject, text: &str) -> anyhow::Result<Vec<String>> {
    let line = |line: &str| {
        let (number, rest) = line.split_once('\t').context("no tab")?;
        Ok(format!("{}\t{rest}", name(subject, number)?))
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cohort_is_seeded_and_rises() {
        let people = chosen(31_078);
        assert_eq!(people.len(), COHORT);
        assert!(people.is_sorted() && people == chosen(31_078));
        assert_eq!(chosen(9).len(), 5);
    }
}
