//! The enumerations of version 2 of the schema: their names in the order of their numbers.

use super::node::{Node, Result};

pub(super) const SEX: &[&str] = &["UNKNOWN_SEX", "FEMALE", "MALE", "OTHER_SEX"];
pub(super) const KARYOTYPE: &[&str] = &[
    "UNKNOWN_KARYOTYPE",
    "XX",
    "XY",
    "XO",
    "XXY",
    "XXX",
    "XXYY",
    "XXXY",
    "XXXX",
    "XYY",
    "OTHER_KARYOTYPE",
];
pub(super) const VITAL: &[&str] = &["UNKNOWN_STATUS", "ALIVE", "DECEASED"];
pub(super) const AFFECTED: &[&str] = &["MISSING", "UNAFFECTED", "AFFECTED"];
pub(super) const REGIMEN: &[&str] = &["UNKNOWN_STATUS", "STARTED", "COMPLETED", "DISCONTINUED"];
pub(super) const PROGRESS: &[&str] = &[
    "UNKNOWN_PROGRESS",
    "IN_PROGRESS",
    "COMPLETED",
    "SOLVED",
    "UNSOLVED",
];
pub(super) const INTERPRETATION: &[&str] = &[
    "UNKNOWN_STATUS",
    "REJECTED",
    "CANDIDATE",
    "CONTRIBUTORY",
    "CAUSATIVE",
];
pub(super) const ACMG: &[&str] = &[
    "NOT_PROVIDED",
    "BENIGN",
    "LIKELY_BENIGN",
    "UNCERTAIN_SIGNIFICANCE",
    "LIKELY_PATHOGENIC",
    "PATHOGENIC",
];
pub(super) const ACTIONABILITY: &[&str] =
    &["UNKNOWN_ACTIONABILITY", "NOT_ACTIONABLE", "ACTIONABLE"];
pub(super) const MOLECULE: &[&str] = &[
    "unspecified_molecule_context",
    "genomic",
    "transcript",
    "protein",
];
pub(super) const DRUG: &[&str] = &[
    "UNKNOWN_DRUG_TYPE",
    "PRESCRIPTION",
    "EHR_MEDICATION_LIST",
    "ADMINISTRATION_RELATED_TO_PROCEDURE",
];

/// A word of an enumeration in lower case, without what the schema puts behind it.
pub(super) fn word(
    node: &Node<'_>,
    key: &str,
    words: &[&'static str],
    frill: &str,
) -> Result<Option<String>> {
    let Some(text) = node.word(key, words)? else {
        return Ok(None);
    };
    let text = text.to_ascii_lowercase();
    let bare = text.strip_suffix(&frill.to_ascii_lowercase());
    Ok(Some(bare.unwrap_or(&text).to_owned()))
}
