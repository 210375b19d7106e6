//! One line of a regions file as a feature in the coordinates of the lake: 1-based, closed.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// Formats of regions files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegionsFormat {
    /// GFF3: 1-based, closed; attributes `key=value;…`, percent-encoded.
    Gff3,
    /// GTF and GFF2: 1-based, closed; attributes `key "value"; …`.
    Gtf,
    /// BED, 3 columns or more: 0-based, half-open.
    Bed,
}

/// One feature.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Feature<'a> {
    pub(super) contig: Cow<'a, str>,
    /// First base, 1-based.
    pub(super) pos: i32,
    /// Last base, 1-based; `pos - 1` for the empty span of a BED insertion point.
    pub(super) end_pos: i32,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) score: Option<&'a str>,
    pub(super) strand: Option<&'a str>,
    pub(super) feature: Option<Cow<'a, str>>,
    pub(super) source: Option<Cow<'a, str>>,
    pub(super) phase: Option<&'a str>,
    pub(super) attributes: Vec<Attribute>,
}

/// One attribute of a feature; a key occurs once, with all its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attribute {
    /// The key in lower case; for BED the number of the column.
    pub(super) key: String,
    /// Its values in order.
    pub(super) values: Vec<String>,
    /// Whether the column must be a list.
    pub(super) is_list: bool,
}

/// Attributes that the GFF3 specification lets have several values.
const GFF3_LISTS: [&str; 5] = ["parent", "alias", "note", "dbxref", "ontology_term"];

/// Attributes that name a feature, the best first.
const NAMES: [&str; 5] = ["name", "gene_name", "gene", "gene_id", "id"];

/// Reads one data line.
///
/// # Errors
/// [`Error::Line`] naming the rule.
pub(super) fn parse(format: RegionsFormat, line: &str, number: u64) -> Result<Feature<'_>> {
    match format {
        RegionsFormat::Bed => bed(line, number),
        _ => gff(format, line, number),
    }
}

fn gff(format: RegionsFormat, line: &str, number: u64) -> Result<Feature<'_>> {
    let mut columns = [""; 9];
    let mut n = 0;
    for cell in line.split('\t') {
        if let Some(slot) = columns.get_mut(n) {
            *slot = cell;
        }
        n += 1;
    }
    if n != 9 {
        let message = format!(
            "the line has {n} columns separated by tabs, {} has 9",
            name_of(format)
        );
        return Err(refuse(number, "column-count", message));
    }
    let [
        contig,
        source,
        feature,
        start,
        end,
        score,
        strand,
        phase,
        attributes,
    ] = columns;
    let pos = coordinate(start, number, "start")?;
    let end_pos = coordinate(end, number, "end")?;
    if pos < 1 {
        return Err(refuse(
            number,
            "position",
            format!(
                "start {pos} is before the first base; {} counts from 1",
                name_of(format)
            ),
        ));
    }
    if end_pos < pos {
        return Err(refuse(
            number,
            "span",
            format!("end {end_pos} is before start {pos}"),
        ));
    }
    let decode = |text| {
        if format == RegionsFormat::Gff3 {
            decoded(text)
        } else {
            Cow::Borrowed(text)
        }
    };
    let attributes = match format {
        RegionsFormat::Gff3 => gff3_attributes(attributes, number)?,
        _ => gtf_attributes(attributes, number)?,
    };
    let name = NAMES
        .iter()
        .find_map(|key| attributes.iter().find(|a| a.key == **key)?.values.first());
    Ok(Feature {
        contig: decode(present(contig).ok_or_else(|| {
            refuse(
                number,
                "contig",
                "the first column names no sequence".to_owned(),
            )
        })?),
        pos,
        end_pos,
        name: name.map(|name| Cow::Owned(name.clone())),
        score: score_of(score, number)?,
        strand: strand_of(strand, number)?,
        feature: present(feature).map(decode),
        source: present(source).map(decode),
        phase: phase_of(phase, number)?,
        attributes,
    })
}

fn gff3_attributes(text: &str, number: u64) -> Result<Vec<Attribute>> {
    let mut attributes = Vec::new();
    for part in text
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != ".")
    {
        let Some((key, value)) = part.split_once('=') else {
            return Err(refuse(
                number,
                "attributes",
                "an attribute is not key=value".to_owned(),
            ));
        };
        let key = decoded(key.trim()).to_lowercase();
        let is_list = GFF3_LISTS.contains(&key.as_str());
        let values: Vec<String> = match is_list {
            true => value.split(',').map(|v| decoded(v).into_owned()).collect(),
            false => vec![decoded(value).into_owned()],
        };
        put(&mut attributes, key, values, is_list);
    }
    Ok(attributes)
}

fn gtf_attributes(text: &str, number: u64) -> Result<Vec<Attribute>> {
    let broken = |what: &str| {
        refuse(
            number,
            "attributes",
            format!("{what}; GTF has key \"value\"; pairs"),
        )
    };
    let mut attributes = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && rest != "." {
        let (key, after) = rest
            .split_once(char::is_whitespace)
            .ok_or_else(|| broken("an attribute has no value"))?;
        let after = after.trim_start();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted
                .split_once('"')
                .ok_or_else(|| broken("a quote is never closed"))?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        put(
            &mut attributes,
            key.to_lowercase(),
            vec![value.trim().to_owned()],
            false,
        );
        rest = tail.trim_start().trim_start_matches(';').trim_start();
    }
    Ok(attributes)
}

/// Adds values to a key; one that comes again becomes a list.
fn put(attributes: &mut Vec<Attribute>, key: String, values: Vec<String>, is_list: bool) {
    match attributes.iter_mut().find(|known| known.key == key) {
        Some(known) => {
            known.values.extend(values);
            known.is_list = true;
        }
        None => attributes.push(Attribute {
            key,
            values,
            is_list,
        }),
    }
}

/// BED: separated by tabs, or by any white space when tabs alone do not make three columns.
fn bed(line: &str, number: u64) -> Result<Feature<'_>> {
    let by_tab: Vec<&str> = line.trim_end().split('\t').map(str::trim).collect();
    let columns = if by_tab.len() >= 3 {
        by_tab
    } else {
        line.split_whitespace().collect()
    };
    let &[contig, start, end, ref more @ ..] = columns.as_slice() else {
        return Err(refuse(
            number,
            "column-count",
            format!("the line has {} columns, BED has at least 3", columns.len()),
        ));
    };
    let start = coordinate(start, number, "start")?;
    let end_pos = coordinate(end, number, "end")?;
    if start < 0 || start == i32::MAX {
        return Err(refuse(
            number,
            "position",
            format!("start {start} is outside of any sequence"),
        ));
    }
    if end_pos < start {
        return Err(refuse(
            number,
            "span",
            format!("end {end_pos} is before start {start}"),
        ));
    }
    if contig.is_empty() {
        return Err(refuse(
            number,
            "contig",
            "the first column names no sequence".to_owned(),
        ));
    }
    let cell = |i: usize| more.get(i).copied().and_then(present);
    let extra = |(i, text): (usize, &&str)| Attribute {
        key: (i + 4).to_string(),
        values: present(text).map(str::to_owned).into_iter().collect(),
        is_list: false,
    };
    Ok(Feature {
        contig: Cow::Borrowed(contig),
        pos: start + 1,
        end_pos,
        name: cell(0).map(Cow::Borrowed),
        score: bed_score(cell(1).unwrap_or("."), number)?,
        strand: strand_of(cell(2).unwrap_or("."), number)?,
        feature: None,
        source: None,
        phase: None,
        attributes: more.iter().enumerate().skip(3).map(extra).collect(),
    })
}

fn coordinate(text: &str, number: u64, which: &str) -> Result<i32> {
    text.trim().parse::<i32>().map_err(|_| {
        let shown: String = text.chars().take(20).collect();
        refuse(
            number,
            "position",
            format!("{which} {shown:?} is not a number of at most 2,147,483,647"),
        )
    })
}

fn score_of(text: &str, number: u64) -> Result<Option<&str>> {
    match present(text) {
        Some(score) if score.parse::<f64>().is_err() => Err(refuse(
            number,
            "score",
            "the score is neither a number nor \".\"".to_owned(),
        )),
        score => Ok(score),
    }
}

/// Column 5 of BED, where many a panel has something else.
fn bed_score(text: &str, number: u64) -> Result<Option<&str>> {
    score_of(text, number).map_err(|_| {
        let message = "column 5 of BED is the score, a number or \".\"; move what stands there behind column 6, cut it off \
                       (cut -f1-4), or load the file with ingest table";
        refuse(number, "score", message.to_owned())
    })
}

fn strand_of(text: &str, number: u64) -> Result<Option<&str>> {
    match present(text) {
        None => Ok(None),
        Some(strand @ ("+" | "-" | "?")) => Ok(Some(strand)),
        Some(_) => Err(refuse(
            number,
            "strand",
            "the strand is not one of + - . ?".to_owned(),
        )),
    }
}

fn phase_of(text: &str, number: u64) -> Result<Option<&str>> {
    match present(text) {
        None => Ok(None),
        Some(phase @ ("0" | "1" | "2")) => Ok(Some(phase)),
        Some(_) => Err(refuse(
            number,
            "phase",
            "the phase is not one of 0 1 2 .".to_owned(),
        )),
    }
}

/// The text, unless it is `.` or empty, which mean that there is none.
fn present(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty() && *text != ".")
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn name_of(format: RegionsFormat) -> &'static str {
    match format {
        RegionsFormat::Gff3 => "GFF3",
        RegionsFormat::Gtf => "GTF",
        RegionsFormat::Bed => "BED",
    }
}

pub(super) fn refuse(line: u64, rule: &'static str, message: String) -> Error {
    Error::Line {
        input: 1,
        line,
        rule,
        message,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use RegionsFormat::{Bed, Gff3, Gtf};

    #[test]
    fn coordinates_become_one_based_and_closed() {
        let bed = parse(Bed, "chr1\t999\t2000\tx\t5\t-", 1).unwrap();
        assert_eq!(
            (bed.pos, bed.end_pos, bed.score, bed.strand),
            (1000, 2000, Some("5"), Some("-"))
        );
        let spaces = parse(Bed, "20    53025520\t 63025520", 1).unwrap();
        assert_eq!((spaces.pos, spaces.end_pos), (53_025_521, 63_025_520));
        let empty = parse(Bed, "chr1\t5\t5", 1).unwrap();
        assert_eq!((empty.pos, empty.end_pos), (6, 5));
        let gff = parse(
            Gff3,
            "c%20x\ts\tgene\t5\t9\t.\t+\t0\tID=g%3B1;Parent=a,b;Note=x%2Cy;tag=p,q",
            1,
        )
        .unwrap();
        assert_eq!((gff.contig.as_ref(), gff.pos, gff.end_pos), ("c x", 5, 9));
        let values = |key: &str| {
            gff.attributes
                .iter()
                .find(|a| a.key == key)
                .unwrap()
                .values
                .clone()
        };
        assert_eq!(values("id"), ["g;1"]);
        assert_eq!(values("parent"), ["a", "b"]);
        assert_eq!(values("note"), ["x,y"]);
        assert_eq!(values("tag"), ["p,q"]);
        let gtf = parse(
            Gtf,
            "1\th\texon\t5\t9\t.\t-\t.\tgene_id \"G;1\"; exon 3; tag \"a\"; tag \"b\";",
            1,
        )
        .unwrap();
        assert_eq!(gtf.name.as_deref(), Some("G;1"));
        assert_eq!(
            gtf.attributes[2],
            Attribute {
                key: "tag".into(),
                values: vec!["a".into(), "b".into()],
                is_list: true
            }
        );
    }

    #[test]
    fn broken_lines_are_named_by_rule() {
        let cases = [
            (Bed, "chr1\t10\t9", "span"),
            (Bed, "chr1\tx\t9", "position"),
            (Bed, "chr1\t-1\t9", "position"),
            (Bed, "chr1\t1", "column-count"),
            (Bed, "chr1\t1\t2\tn\thigh", "score"),
            (Gff3, "1\ts\tt\t0\t9\t.\t+\t.\tID=x", "position"),
            (Gff3, "1\ts\tt\t9\t8\t.\t+\t.\tID=x", "span"),
            (Gff3, "1\ts\tt\t9\t8\t.\t+", "column-count"),
            (Gff3, "1\ts\tt\t1\t8\t.\tx\t.\tID=x", "strand"),
            (Gff3, "1\ts\tt\t1\t8\t.\t+\t3\tID=x", "phase"),
            (Gff3, "1\ts\tt\t1\t8\t.\t+\t.\tjunk", "attributes"),
            (Gtf, "1\ts\tt\t1\t8\t.\t+\t.\tgene_id \"x", "attributes"),
            (
                Gtf,
                "1\ts\tt\t1\t99999999999\t.\t+\t.\tgene_id \"x\"",
                "position",
            ),
        ];
        for (format, line, expected) in cases {
            match parse(format, line, 7) {
                Err(Error::Line { line: 7, rule, .. }) => assert_eq!(rule, expected, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }
}
