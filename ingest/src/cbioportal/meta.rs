//! The `meta_*.txt` files of a study: which file holds what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use genokura_core::contig::Assembly;

use crate::error::{Error, NOT_UTF8, Result};

/// What a data file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A table with a name of its own; rows as in the file.
    Table(&'static str),
    /// Genes by samples, into the table of this name.
    Matrix(&'static str),
}

/// A data file that a meta file names.
#[derive(Debug)]
pub(super) struct DataFile {
    pub(super) kind: Kind,
    /// The profile: `stable_id`, else the name of the file.
    pub(super) profile: String,
    pub(super) path: PathBuf,
    /// The assembly of its positions, if it has any, and where a meta file says so.
    pub(super) assembly: Option<(Assembly, String)>,
}

/// The files of a study.
#[derive(Debug)]
pub(super) struct Study {
    /// `cancer_study_identifier`.
    pub(super) id: String,
    pub(super) files: Vec<DataFile>,
    /// Kinds of data that are not loaded.
    pub(super) others: Vec<String>,
}

fn request(message: String) -> Error {
    Error::Request(message)
}

/// Reads the meta files of a directory. Blocking.
///
/// # Errors
/// [`Error::Request`] for a directory without `meta_study.txt`, a line without a colon, another study's file.
pub(super) fn read(directory: &str) -> Result<Study> {
    let cannot =
        |e: std::io::Error| request(format!("the directory {directory:?} cannot be read: {e}"));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        paths.push(entry.map_err(cannot)?.path());
    }
    paths.sort();
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let is_meta = |path: &&PathBuf| {
        name(path).is_some_and(|name| name.starts_with("meta_") && name.ends_with(".txt"))
    };
    let (mut study, mut genome) = (None, None);
    let mut metas = Vec::new();
    for path in paths.iter().filter(is_meta) {
        let name = name(path).unwrap_or_default();
        let meta = pairs(path, &name)?;
        if name == "meta_study.txt" {
            study = meta.get("cancer_study_identifier").cloned();
            genome = meta.get("reference_genome").cloned();
        }
        metas.push((name, meta));
    }
    let id = study.ok_or_else(|| {
        request(format!(
            "{directory:?} is no study of cBioPortal: it has no meta_study.txt with a cancer_study_identifier"
        ))
    })?;
    let mut made = Study {
        id,
        files: Vec::new(),
        others: Vec::new(),
    };
    for (name, meta) in metas {
        let of = meta.get("cancer_study_identifier");
        if of.is_some_and(|of| *of != made.id) {
            let message = format!("{name} is of another study than meta_study.txt says");
            return Err(request(message));
        }
        let Some(file) = meta.get("data_filename") else {
            continue;
        };
        let of = |key: &str| meta.get(key).map_or("", String::as_str);
        let (alteration, datatype) = (of("genetic_alteration_type"), of("datatype"));
        let Some(kind) = kind(alteration, datatype) else {
            made.others
                .push(format!("not-loaded-{alteration}-{datatype}").to_lowercase());
            continue;
        };
        let path = Path::new(directory).join(file);
        if !path.is_file() {
            return Err(request(format!(
                "{name} names the file {file}, which is not there"
            )));
        }
        let profile = meta.get("stable_id").unwrap_or(file).clone();
        made.files.push(DataFile {
            kind,
            profile,
            path,
            assembly: assembly(kind, (&name, &meta), &genome),
        });
    }
    if made.files.is_empty() {
        return Err(request(
            "no meta file of the study names data that is loaded".to_owned(),
        ));
    }
    Ok(made)
}

/// What the meta file of a data file with positions, else that of the study, says of the assembly.
fn assembly(
    kind: Kind,
    (name, meta): (&str, &BTreeMap<String, String>),
    genome: &Option<String>,
) -> Option<(Assembly, String)> {
    if !matches!(kind, Kind::Table("mutation" | "segment")) {
        return None;
    }
    let own = meta
        .get("reference_genome_id")
        .map(|text| (text, "reference_genome_id", name));
    let of_study = genome
        .as_ref()
        .map(|text| (text, "reference_genome", "meta_study.txt"));
    let (text, key, file) = own.or(of_study)?;
    Some((
        Assembly::named_in(text)?,
        format!("{key} {text:?} of {file}"),
    ))
}

fn kind(alteration: &str, datatype: &str) -> Option<Kind> {
    Some(match (alteration, datatype) {
        ("CLINICAL", "PATIENT_ATTRIBUTES") => Kind::Table("patient"),
        ("CLINICAL", "SAMPLE_ATTRIBUTES") => Kind::Table("sample"),
        ("MUTATION_EXTENDED" | "MUTATION_UNCALLED", "MAF") => Kind::Table("mutation"),
        ("COPY_NUMBER_ALTERATION", "SEG") => Kind::Table("segment"),
        ("STRUCTURAL_VARIANT", "SV") => Kind::Table("structural_variant"),
        ("COPY_NUMBER_ALTERATION", "DISCRETE" | "LOG2-VALUE" | "CONTINUOUS") => {
            Kind::Matrix("copy_number")
        }
        ("MRNA_EXPRESSION", "CONTINUOUS" | "Z-SCORE" | "DISCRETE") => Kind::Matrix("expression"),
        ("METHYLATION", "CONTINUOUS") => Kind::Matrix("methylation"),
        ("PROTEIN_LEVEL", "LOG2-VALUE" | "CONTINUOUS" | "Z-SCORE") => Kind::Matrix("protein"),
        _ => return None,
    })
}

/// `key: value` by line.
fn pairs(path: &Path, name: &str) -> Result<BTreeMap<String, String>> {
    let bytes = std::fs::read(path).map_err(|e| request(format!("{name} cannot be read: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        request(format!("{name}, line {line}: {NOT_UTF8}"))
    })?;
    let mut pairs = BTreeMap::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once(':')
            .ok_or_else(|| request(format!("{name}, line {number}: expected \"key: value\"")))?;
        pairs.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(pairs)
}
