//! Writes a simulated cohort into a directory.
//!
//! `make-cohort DIR [--seed N] [--families N | --samples N] [--sites M] [--phased]`

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use genokura_testdata::{Cohort, CohortSpec, Fields, People, write_cohort};

const USAGE: &str =
    "usage: make-cohort DIR [--seed N] [--families N | --samples N] [--sites M] [--phased]";

fn main() -> ExitCode {
    match parse(env::args().skip(1)).and_then(|(dir, spec)| run(&dir, spec)) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run(dir: &std::path::Path, spec: CohortSpec) -> Result<String, String> {
    let cohort = Cohort::generate(spec);
    let files = write_cohort(&cohort, dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(format!(
        "{}: {} samples, {} records, {} alleles",
        files.vcf.display(),
        files.samples,
        files.totals.records,
        files.totals.alleles
    ))
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(PathBuf, CohortSpec), String> {
    let mut spec = CohortSpec::quickstart();
    let mut dir = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seed" => spec.seed = number(&arg, args.next())?,
            "--families" => spec.people = People::Families(number(&arg, args.next())?),
            "--samples" => spec.people = People::Unrelated(number(&arg, args.next())?),
            "--sites" => spec.sites = number(&arg, args.next())?,
            "--phased" => spec.fields = Fields::PhasedGenotypes,
            _ if arg.starts_with('-') => return Err(format!("unknown option {arg}\n{USAGE}")),
            _ => dir = Some(PathBuf::from(arg)),
        }
    }
    Ok((dir.ok_or(USAGE)?, spec))
}

fn number<T: std::str::FromStr>(option: &str, value: Option<String>) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{option} takes a number\n{USAGE}"))?;
    value
        .parse()
        .map_err(|_| format!("{option} takes a number, not {value:?}\n{USAGE}"))
}
