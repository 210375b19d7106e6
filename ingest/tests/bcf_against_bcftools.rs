//! Every BCF of the shared data decodes to the lines that `bcftools view -H` prints; floats are
//! compared as `f32`, since bcftools prints six digits.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::shared;
use genokura_ingest::bcf::{Decoder, file_header, records, split_records};
use genokura_ingest::header::Header;

fn find(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => find(&path, found),
            false if path.extension().is_some_and(|e| e == "bcf") => found.push(path),
            false => {}
        }
    }
}

fn ours(path: &Path) -> Vec<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_end(&mut bytes)
        .unwrap();
    let (text, first) = file_header(&bytes).unwrap().unwrap();
    let decoder = Decoder::new(&Header::parse(text).unwrap());
    let (whole, rest) = split_records(&bytes[first..]).unwrap();
    assert!(rest.is_empty());
    let decode = |record| {
        let mut line = Vec::new();
        decoder.decode(record, &mut line).unwrap();
        String::from_utf8(line).unwrap()
    };
    records(whole)
        .map(|record| decode(record.unwrap()))
        .collect()
}

/// Both texts are the same, or the same number to the six digits that bcftools prints.
fn same_value(ours: &str, theirs: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().ok().filter(|v| v.is_finite());
    ours == theirs
        || ours.eq_ignore_ascii_case(theirs)
        || match (number(ours), number(theirs)) {
            (Some(a), Some(b)) => (a - b).abs() <= a.abs().max(b.abs()) * 5.1e-6,
            _ => false,
        }
}

fn same_line(ours: &str, theirs: &str) -> bool {
    let split = |text: &str| {
        text.split(['\t', ';', ':', ',', '='])
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (ours, theirs) = (split(ours), split(theirs));
    ours.len() == theirs.len() && ours.iter().zip(&theirs).all(|(a, b)| same_value(a, b))
}

#[test]
fn every_bcf_decodes_as_bcftools_reads_it() {
    let Some(shared) = shared() else { return };
    let mut files = Vec::new();
    find(&shared, &mut files);
    assert!(files.len() >= 25, "{} BCF files", files.len());
    let mut lines = 0;
    for path in files {
        let view = Command::new("bcftools")
            .args(["view", "-H"])
            .arg(&path)
            .output();
        let view = match view {
            Ok(view) => view,
            Err(e) => {
                assert!(std::env::var_os("CI").is_none(), "CI needs bcftools: {e}");
                return eprintln!("NOT RUN: no bcftools ({e})");
            }
        };
        let theirs = String::from_utf8(view.stdout).unwrap();
        let ours = ours(&path);
        assert_eq!(ours.len(), theirs.lines().count(), "{}", path.display());
        for (ours, theirs) in ours.iter().zip(theirs.lines()) {
            assert!(
                same_line(ours, theirs),
                "{}\n ours   {ours:.300}\n theirs {theirs:.300}",
                path.display()
            );
        }
        lines += ours.len();
    }
    assert!(lines > 20_000, "{lines} lines");
}
