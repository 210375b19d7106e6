//! Column names of files as names that SQL takes without quotes.
//!
//! Rule: lower case; every run of characters other than `a-z 0-9 _` becomes one `_`; none at the
//! ends; a leading digit gets `_` before it; a word that PostgreSQL reserves gets `_` behind it; an
//! empty name is `column_<n>` (n from 1). Of names that become alike the first keeps it and the
//! others get `_2`, `_3`, …. `horTh` becomes `horth`, so that `SELECT horTh` finds it.

use std::collections::HashSet;

/// Longest name that PostgreSQL keeps, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// Words that PostgreSQL 16 does not take as a column name without quotes.
const RESERVED: &[&str] = &[
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// Names that mean people whatever stands before them, without signs between words.
const ENDS: [&str; 14] = [
    "sampleid",
    "samplename",
    "samplebarcode",
    "biosampleid",
    "specimenid",
    "personid",
    "individualid",
    "patientid",
    "subjectid",
    "participantid",
    "donorid",
    "familyid",
    "fatherid",
    "motherid",
];
/// Names that do so alone; the last two are those of PLINK.
const WHOLE_NAMES: [&str; 4] = ["sample", "probandid", "fid", "iid"];

/// The SQL name of one column, before collisions; `number` is its place in the file, from 1.
#[must_use]
pub(crate) fn sql_name(text: &str, number: usize) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.trim().chars() {
        let c = c.to_ascii_lowercase();
        let safe = c.is_ascii_lowercase() || c.is_ascii_digit();
        if safe {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    name.truncate(NAME_BYTES_MAX);
    let name = name.trim_end_matches('_');
    match name.bytes().next() {
        None => format!("column_{number}"),
        Some(b'0'..=b'9') => format!("_{name}"),
        Some(_) if RESERVED.contains(&name) => format!("{name}_"),
        Some(_) => name.to_owned(),
    }
}

/// Whether a column of this name holds ids of samples, persons or families, so that `1`, `01`, `1.0` and `1E5` in it are
/// four names and no numbers. Case and signs between words do not count: `sample_id`, `SampleID`, `tumor.sample.id`.
#[must_use]
pub(crate) fn names_people(column: &str) -> bool {
    let letters = column.chars().filter(char::is_ascii_alphanumeric);
    let name: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    WHOLE_NAMES.contains(&name.as_str()) || ENDS.iter().any(|end| name.ends_with(end))
}

/// Gives names one by one, no two alike.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    /// `name`, or the first free of `name_2`, `name_3`, ….
    pub(crate) fn take(&mut self, name: &str) -> String {
        let mut free = name.to_owned();
        let mut n = 1_u32;
        while !self.taken.insert(free.clone()) {
            n += 1;
            free = format!("{name}_{n}");
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_people() {
        for name in [
            "sample_id",
            "SAMPLE_ID",
            "SampleID",
            "Sample Id",
            "tumor.sample.id",
            "matched_normal_sample_id",
            "person_id",
            "PATIENT_ID",
            "family_id",
            "#IID",
            "sample",
        ] {
            assert!(names_people(name), "{name}");
        }
        for name in [
            "id",
            "samples",
            "sample_size",
            "person_years",
            "gene_id",
            "valid",
        ] {
            assert!(!names_people(name), "{name}");
        }
    }

    #[test]
    fn names_need_no_quotes() {
        let cases = [
            ("PERSON_ID", "person_id"),
            ("horTh", "horth"),
            ("ph.ecog", "ph_ecog"),
            ("  Age (years) ", "age_years"),
            ("1st", "_1st"),
            ("end", "end_"),
            ("", "column_4"),
            ("?", "column_4"),
            ("a__b", "a_b"),
        ];
        for (text, expected) in cases {
            assert_eq!(sql_name(text, 4), expected);
        }
        let mut names = Names::default();
        assert_eq!(
            [
                names.take("x"),
                names.take("x"),
                names.take("x_2"),
                names.take("x")
            ],
            ["x", "x_2", "x_2_2", "x_3"]
        );
    }
}
