//! Pedigrees: PED and FAM files into a plain table.
//!
//! A line is `family sample father mother sex affected`, apart by tabs where the line has one, else by white space;
//! further columns (genotypes of a PED file) are passed over, `#` begins a comment, and a first line that names the
//! columns (`FID IID PAT MAT SEX PHENOTYPE`) is a header. Samples `0`, `-9` and `.` are no
//! sample. Sex is 1 male, 2 female, anything else unknown; affected is 2 true, 1 false, anything else NULL. The words for them
//! are read as well; the report tells of anything that says neither these nor that nothing is known.
//!
//! The whole file is checked before anything lands: an id twice, a child that is its own parent or has one parent
//! twice, a father who is female or a mother who is male, and a circle of ancestors are errors that name the line.
//! A parent need not have a line.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use genokura_core::sex::Sex;
use genokura_storage::{Lake, TableId};

use crate::error::{Error, Result};
use crate::progress::{CancelFlag, Progress, Silent};
use crate::report::IngestReport;
use crate::table::{
    Column, ColumnType, Input, Landing, Sink, blocking, details, finish_report, new_report,
    schema_of,
};

/// Columns of the table.
const COLUMNS: [(&str, ColumnType, &str); 6] = [
    ("family_id", ColumnType::Text, "Family"),
    ("sample_id", ColumnType::Text, "Sample"),
    (
        "father_id",
        ColumnType::Text,
        "Sample of the father, NULL when not known",
    ),
    (
        "mother_id",
        ColumnType::Text,
        "Sample of the mother, NULL when not known",
    ),
    (
        "sex",
        ColumnType::Text,
        "male or female, NULL when not known",
    ),
    (
        "affected",
        ColumnType::Bool,
        "Whether the person is affected, NULL when not known",
    ),
];
/// Lines between two looks at the cancel flag.
const LINES_PER_CHECK: u64 = 4_096;

/// One PED or FAM file into one table.
pub struct PedigreeJob {
    /// The lake.
    pub lake: Arc<Lake>,
    /// The table; the functions on families read `clin/pedigree`.
    pub id: TableId,
    /// Path, URL or `-`; gzip is seen by itself.
    pub input: String,
    /// Take the place of the pedigree that is there. Otherwise there must be none.
    pub replace: bool,
    /// Where to report to.
    pub progress: Arc<dyn Progress>,
    /// Stops the job.
    pub cancel: CancelFlag,
}

impl PedigreeJob {
    /// A job for a table that is not there yet, silent.
    #[must_use]
    pub fn new(lake: Arc<Lake>, id: TableId, input: impl Into<String>) -> Self {
        Self {
            lake,
            id,
            input: input.into(),
            replace: false,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        }
    }

    /// Reads, checks and commits the file. The same file again (by digest) is a no-op.
    ///
    /// # Errors
    /// [`Error::Line`] for a line that is no pedigree line or contradicts another, [`Error::Request`] when the table
    /// holds another pedigree, and what reading and the lake report. The lake is then as it was.
    pub async fn run(self) -> Result<IngestReport> {
        let begun = Instant::now();
        let input = Arc::new(Input::open(&self.input).await?);
        let landing = Landing::begin(&self.lake, &self.id, self.replace, "ingest pedigree").await?;
        let (again, cancel) = (Arc::clone(&input), self.cancel.clone());
        let digest = blocking(move || again.digest(&cancel)).await?;
        let mut report = new_report(&input, &digest);
        if landing.has_landed(&digest).await? {
            report.already_done = true;
            report.lake_version = landing.version();
            return Ok(report);
        }
        if landing.existing().is_some() {
            let message =
                "the table holds a pedigree already; use --replace to put this one in its place";
            return Err(Error::Request(message.to_owned()));
        }
        let details = details(&digest, &input, &digest);
        let cancel = self.cancel.clone();
        let (members, notes) = blocking(move || {
            let members = read(&input, &cancel)?;
            check(&members)?;
            let notes = notes(&members);
            Ok((members, notes))
        })
        .await?;
        let schema = schema_of(&columns());
        let progress = Arc::clone(&self.progress);
        let produce = move |sink: &Sink| {
            progress.records(members.len() as u64);
            sink.send(batch(&members)?)
        };
        let landed = landing.write(schema, details, produce).await?;
        finish_report(&mut report, &landed, begun);
        report.notes.extend(notes);
        Ok(report)
    }
}

fn columns() -> Vec<Column> {
    let column = |(name, ty, comment): (&str, ColumnType, &str)| Column {
        name: name.to_owned(),
        source: name.to_owned(),
        ty,
        comment: comment.to_owned(),
    };
    COLUMNS.into_iter().map(column).collect()
}

/// One line.
#[derive(Clone, Debug)]
struct Member {
    line: u64,
    family: String,
    sample: String,
    father: Option<String>,
    mother: Option<String>,
    sex: Sex,
    affected: Option<bool>,
    /// The column of sex, and that of affection, says something that is not read.
    unread: [bool; 2],
}

fn fault(line: u64, rule: &'static str, message: impl Into<String>) -> Error {
    Error::Line {
        input: 1,
        line,
        message: message.into(),
        rule,
    }
}

fn read(input: &Input, cancel: &CancelFlag) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    let (mut number, mut begun) = (0, false);
    for line in BufReader::new(input.read()?).lines() {
        number += 1;
        let line = line.map_err(|e| fault(number, "text", format!("cannot be read: {e}")))?;
        let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
        if !line.trim().is_empty() && !line.starts_with('#') {
            if begun || !is_header(number, line)? {
                members.push(member(number, line)?);
            }
            begun = true;
        }
        if number.is_multiple_of(LINES_PER_CHECK) {
            cancel.check()?;
        }
    }
    if members.is_empty() {
        let reason = "no person in it; a pedigree has a line for each".to_owned();
        return Err(Error::Format { input: 1, reason });
    }
    Ok(members)
}

/// What headers call the columns, in lower case, letters and digits only.
const HEADERS: [&[&str]; 6] = [
    &[
        "fid",
        "family",
        "familyid",
        "pedigree",
        "pedigreeid",
        "ped",
        "kindred",
    ],
    &[
        "iid",
        "id",
        "individual",
        "individualid",
        "sample",
        "sampleid",
        "person",
        "personid",
    ],
    &[
        "pat",
        "patid",
        "father",
        "fatherid",
        "paternal",
        "paternalid",
        "dad",
    ],
    &[
        "mat",
        "matid",
        "mother",
        "motherid",
        "maternal",
        "maternalid",
        "mom",
    ],
    &["sex", "gender"],
    &[
        "phenotype",
        "pheno",
        "pheno1",
        "phen",
        "affected",
        "affectedstatus",
        "affection",
        "affectionstatus",
        "status",
        "aff",
    ],
];

/// Whether the first line names the columns. Their order must be the one that is read.
fn is_header(number: u64, line: &str) -> Result<bool> {
    let fields = fields(line);
    let is = |(field, names): (&&str, &&[&str])| {
        let bare = field.chars().filter(char::is_ascii_alphanumeric);
        let bare: String = bare.map(|c| c.to_ascii_lowercase()).collect();
        names.contains(&bare.as_str())
    };
    if !fields.iter().zip(&HEADERS).take(2).all(is) || fields.len() < 2 {
        return Ok(false);
    }
    match fields.iter().zip(&HEADERS).position(|pair| !is(pair)) {
        None => Ok(true),
        Some(place) => {
            let message = format!(
                "the header names column {} {:?}, and columns are read as family, sample, father, mother, sex, affected, in \
                 this order",
                place + 1,
                fields[place]
            );
            Err(fault(number, "pedigree-header", message))
        }
    }
}

fn fields(line: &str) -> Vec<&str> {
    if line.contains('\t') {
        line.split('\t').map(str::trim).collect()
    } else {
        line.split_whitespace().collect()
    }
}

fn member(number: u64, line: &str) -> Result<Member> {
    let fields = fields(line);
    let [family, sample, father, mother, sex, affected, ..] = &fields[..] else {
        let message = format!(
            "{} columns where family, sample, father, mother, sex and affected are expected",
            fields.len()
        );
        return Err(fault(number, "pedigree-columns", message));
    };
    let id = |text: &str| (!matches!(text, "" | "0" | "-9" | ".")).then(|| text.to_owned());
    let sample = id(sample).ok_or_else(|| {
        fault(
            number,
            "pedigree-sample",
            "the second column names no sample",
        )
    })?;
    Ok(Member {
        line: number,
        family: (*family).to_owned(),
        sample,
        father: id(father),
        mother: id(mother),
        sex: Sex::of_text(sex),
        affected: affection(affected),
        unread: [
            Sex::of_text(sex) == Sex::Unknown && !is_missing(sex),
            affection(affected).is_none() && !is_missing(affected),
        ],
    })
}

fn affection(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "2" | "affected" | "case" => Some(true),
        "1" | "unaffected" | "control" => Some(false),
        _ => None,
    }
}

/// Whether a column of sex or affection says that nothing is known.
fn is_missing(text: &str) -> bool {
    let words = [
        "", "0", "-9", ".", "na", "nan", "none", "null", "other", "u", "unknown",
    ];
    words.contains(&text.to_ascii_lowercase().as_str())
}

/// What the report tells of columns that say something that is not read.
fn notes(members: &[Member]) -> Vec<String> {
    let columns = [
        ("sex", "1, 2 or 0", "the sex is unknown"),
        ("phenotype", "1, 2, 0 or -9", "affected is NULL"),
    ];
    let told = columns
        .iter()
        .enumerate()
        .filter_map(|(at, (column, known, becomes))| {
            let is_unread = |member: &&Member| member.unread.get(at).copied().unwrap_or(false);
            let mut unread = members.iter().filter(is_unread);
            let first = unread.next()?.line;
            let lines = match unread.count() {
                0 => format!("line {first} has"),
                more => format!("{} lines, the first of them line {first}, have", more + 1),
            };
            Some(format!(
                "{lines} a {column} that is none of {known}: {becomes} there"
            ))
        });
    told.collect()
}

/// Checks the lines against each other.
fn check(members: &[Member]) -> Result<()> {
    let mut by_sample: HashMap<&str, &Member> = HashMap::new();
    for member in members {
        if let Some(first) = by_sample.insert(&member.sample, member) {
            let message = format!("the sample stands in line {} already", first.line);
            return Err(fault(member.line, "pedigree-twice", message));
        }
    }
    for member in members {
        check_parents(member, &by_sample)?;
    }
    check_circles(members, &by_sample)
}

fn check_parents(member: &Member, by_sample: &HashMap<&str, &Member>) -> Result<()> {
    let parents = [&member.father, &member.mother].map(Option::as_deref);
    if parents.contains(&Some(&member.sample)) {
        let message = "the child is its own parent";
        return Err(fault(member.line, "pedigree-own-parent", message));
    }
    if parents[0].is_some() && parents[0] == parents[1] {
        let message = "father and mother are the same sample";
        return Err(fault(member.line, "pedigree-one-parent", message));
    }
    for (parent, what, wrong) in [
        (parents[0], "father", Sex::Female),
        (parents[1], "mother", Sex::Male),
    ] {
        let known = parent.and_then(|parent| by_sample.get(parent));
        if let Some(known) = known.filter(|known| known.sex == wrong) {
            let message = format!("the {what} is {} in line {}", wrong.as_str(), known.line);
            return Err(fault(member.line, "pedigree-parent-sex", message));
        }
    }
    Ok(())
}

/// Follows the parents of everybody; who is met on the way up again is an ancestor of theirs.
fn check_circles(members: &[Member], by_sample: &HashMap<&str, &Member>) -> Result<()> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        OnTheWay,
        Done,
    }
    let mut seen: HashMap<&str, Seen> = HashMap::new();
    for member in members {
        let mut way: Vec<(&Member, usize)> = vec![(member, 0)];
        while let Some((at, next)) = way.pop() {
            if next == 0 {
                match seen.get(at.sample.as_str()) {
                    Some(Seen::Done) => continue,
                    Some(Seen::OnTheWay) => {
                        let message = "the person is an ancestor of their own";
                        return Err(fault(at.line, "pedigree-circle", message));
                    }
                    None => seen.insert(&at.sample, Seen::OnTheWay),
                };
            }
            match [&at.father, &at.mother].get(next) {
                Some(parent) => {
                    way.push((at, next + 1));
                    let known = parent.as_deref().and_then(|parent| by_sample.get(parent));
                    way.extend(known.map(|known| (*known, 0)));
                }
                None => {
                    seen.insert(&at.sample, Seen::Done);
                }
            }
        }
    }
    Ok(())
}

fn batch(members: &[Member]) -> Result<RecordBatch> {
    let texts = |value: fn(&Member) -> Option<&str>| -> ArrayRef {
        Arc::new(members.iter().map(value).collect::<StringArray>())
    };
    let known = |sex: Sex| (sex != Sex::Unknown).then(|| sex.as_str());
    let sexes: StringArray = members.iter().map(|m| known(m.sex)).collect();
    let affected: BooleanArray = members.iter().map(|m| m.affected).collect();
    let columns = vec![
        texts(|m| Some(&m.family)),
        texts(|m| Some(&m.sample)),
        texts(|m| m.father.as_deref()),
        texts(|m| m.mother.as_deref()),
        Arc::new(sexes),
        Arc::new(affected),
    ];
    Ok(RecordBatch::try_new(schema_of(&self::columns()), columns)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn checked(text: &str) -> Result<Vec<Member>> {
        let lines = text.lines().zip(1..);
        let members: Result<Vec<Member>> = lines.map(|(line, n)| member(n, line)).collect();
        let members = members?;
        check(&members)?;
        Ok(members)
    }

    #[test]
    fn lines_are_read_as_plink_reads_them() {
        let text = "F1 C D M 1 2\nF1\tD\t0\t-9\t1\t1\textra\nF1 M . 0 female -9\n0 X 0 0 0 3.5";
        let read = checked(text).unwrap();
        assert_eq!(read[0].father.as_deref(), Some("D"));
        assert_eq!(
            (read[1].father.as_deref(), read[1].mother.as_deref()),
            (None, None)
        );
        let sexes: Vec<Sex> = read.iter().map(|m| m.sex).collect();
        assert_eq!(sexes, [Sex::Male, Sex::Male, Sex::Female, Sex::Unknown]);
        let affected: Vec<_> = read.iter().map(|m| m.affected).collect();
        assert_eq!(affected, [Some(true), Some(false), None, None]);
        let words = checked("F A 0 0 X Affected\nF B 0 0 u control\nF C 0 0 0 unknown").unwrap();
        let affected: Vec<_> = words.iter().map(|m| m.affected).collect();
        assert_eq!(affected, [Some(true), Some(false), None]);
        assert_eq!(
            notes(&[read, words].concat()),
            [
                "line 1 has a sex that is none of 1, 2 or 0: the sex is unknown there",
                "line 4 has a phenotype that is none of 1, 2, 0 or -9: affected is NULL there",
            ]
        );
    }

    #[test]
    fn a_first_line_that_names_the_columns_is_a_header() {
        for (line, is) in [
            ("FID IID PAT MAT SEX PHENOTYPE", true),
            (
                "Family ID\tIndividual ID\tPaternal ID\tMaternal ID\tSex\tAffected Status\tmore",
                true,
            ),
            ("family_id sample_id father_id mother_id sex affected", true),
            ("FID1 IID1 0 0 1 2", false),
            ("family S1 0 0 1 2", false),
            ("F", false),
        ] {
            assert_eq!(is_header(1, line).unwrap(), is, "{line}");
        }
        let told = is_header(1, "FID IID SEX PAT MAT PHENO")
            .unwrap_err()
            .to_string();
        assert!(told.contains("column 3 \"SEX\""), "{told}");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_line() {
        for (text, line, rule) in [
            ("F C D M 1", 1, "pedigree-columns"),
            ("F 0 D M 1 1", 1, "pedigree-sample"),
            ("F A 0 0 1 1\nF B 0 0 1 1\nG A 0 0 1 1", 3, "pedigree-twice"),
            ("F A A 0 1 1", 1, "pedigree-own-parent"),
            ("F C P P 1 1", 1, "pedigree-one-parent"),
            ("F C D M 1 1\nF D 0 0 2 1", 1, "pedigree-parent-sex"),
            ("F C D M 1 1\nF M 0 0 1 1", 1, "pedigree-parent-sex"),
            (
                "F A B 0 1 1\nF B C 0 1 1\nF C A 0 1 1",
                1,
                "pedigree-circle",
            ),
            (
                "F X A 0 1 1\nF A B 0 1 1\nF B A 0 1 1",
                2,
                "pedigree-circle",
            ),
        ] {
            match checked(text).unwrap_err() {
                Error::Line {
                    line: at,
                    rule: broken,
                    ..
                } => {
                    assert_eq!((at, broken), (line, rule), "{text}");
                }
                other => unreachable!("{text}: {other}"),
            }
        }
    }

    #[test]
    fn cousins_who_marry_are_no_circle() {
        let text = "F E C D 1 1\nF C A B 1 1\nF D A B 2 1\nF A 0 0 1 1\nF B 0 0 2 1";
        assert_eq!(checked(text).unwrap().len(), 5);
    }
}
