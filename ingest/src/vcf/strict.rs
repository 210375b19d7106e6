//! Rules between the fields of one record that only `--strict` checks: structural variants, copy
//! numbers, tandem repeats and phase sets (VCF 4.4, sections 1.6.2 and 3).

use super::{Bad, Fields};

/// INFO keys whose values come in groups of this many, though they are declared `Number=.`.
const GROUPED: &[(&str, usize)] = &[
    ("CICN", 2),
    ("CIEND", 2),
    ("CILEN", 2),
    ("CIPOS", 2),
    ("MEINFO", 4),
    ("METRANS", 4),
];

/// The first rule that the record breaks. `version`: of the file; unknown counts as the newest.
pub(super) fn check(
    fields: &Fields<'_>,
    samples: Option<&[u8]>,
    version: Option<(u32, u32)>,
) -> Result<(), Bad> {
    groups(fields)?;
    if version.is_some_and(|version| version < (4, 4)) {
        return Ok(());
    }
    claims(fields)?;
    lengths(fields)?;
    repeats(fields)?;
    copy_numbers(fields)?;
    match (fields.format, samples) {
        (Some(format), Some(samples)) => phase_sets(format, samples),
        _ => Ok(()),
    }
}

/// The values of an INFO key; none when it is absent or `.`.
fn values<'a>(fields: &Fields<'a>, key: &str) -> Vec<&'a str> {
    let mut entries = fields.info.split(';').filter_map(|e| e.split_once('='));
    match entries.find(|(k, _)| *k == key) {
        Some((_, value)) if value != "." => value.split(',').collect(),
        _ => Vec::new(),
    }
}

/// `DEL` for `<DEL>` and `<DEL:ME>`; nothing for an allele that is not symbolic.
fn symbol(alt: &str) -> Option<&str> {
    let name = alt.strip_prefix('<')?.strip_suffix('>')?;
    name.split(':').next()
}

fn is_repeat(alt: &str) -> bool {
    alt.strip_prefix("<CNV:TR")
        .is_some_and(|rest| rest.starts_with(['>', ':']))
}

fn is_given(values: &[&str], i: usize) -> bool {
    values.get(i).is_some_and(|value| *value != ".")
}

fn groups(fields: &Fields<'_>) -> Result<(), Bad> {
    for (key, size) in GROUPED {
        let n = values(fields, key).len();
        if !n.is_multiple_of(*size) {
            let message = format!("INFO/{key} has {n} values; they come in groups of {size}");
            return Err(Bad::new("number_mismatch", message));
        }
    }
    Ok(())
}

fn claims(fields: &Fields<'_>) -> Result<(), Bad> {
    let claims = values(fields, "SVCLAIM");
    if let Some(claim) = claims
        .iter()
        .find(|c| !matches!(**c, "D" | "J" | "DJ" | "."))
    {
        let message = format!("SVCLAIM {claim:?} is none of D, J and DJ");
        return Err(Bad::new("bad_svclaim", message));
    }
    for (i, alt) in fields.alts.iter().enumerate() {
        if matches!(symbol(alt), Some("DEL" | "DUP")) && !is_given(&claims, i) {
            return Err(Bad::new("svclaim_missing", format!("{alt} needs SVCLAIM")));
        }
    }
    Ok(())
}

fn lengths(fields: &Fields<'_>) -> Result<(), Bad> {
    let lengths = values(fields, "SVLEN");
    for (i, alt) in fields.alts.iter().enumerate() {
        if matches!(symbol(alt), Some("DEL" | "DUP" | "INV" | "CNV")) && !is_given(&lengths, i) {
            return Err(Bad::new("svlen_missing", format!("{alt} needs SVLEN")));
        }
    }
    Ok(())
}

/// The lists of `<CNV:TR>` alleles: one value (two of an interval) for each repeat sequence.
fn repeats(fields: &Fields<'_>) -> Result<(), Bad> {
    if !fields.alts.iter().any(|alt| is_repeat(alt)) {
        return Ok(());
    }
    if values(fields, "RUS").is_empty() && values(fields, "RUL").is_empty() {
        return Err(Bad::new("repeat_unit_missing", "<CNV:TR> needs RUS or RUL"));
    }
    let total = n_repeats(fields);
    for (key, of, per_repeat) in [
        ("RUS", "RUS", 1),
        ("RUL", "RUL", 1),
        ("RUC", "RUC", 1),
        ("RB", "RB", 1),
        ("CIRUC", "RUC", 2),
        ("CIRB", "RB", 2),
    ] {
        let n = values(fields, key).len();
        if n == 0 {
            continue;
        }
        if n != total.saturating_mul(per_repeat) {
            let message = format!("INFO/{key} has {n} values, RN asks for {per_repeat} x {total}");
            return Err(Bad::new("repeat_cardinality", message));
        }
        if values(fields, of).is_empty() {
            let message = format!("INFO/{key} stands without {of}");
            return Err(Bad::new("repeat_cardinality", message));
        }
    }
    unit_bases(fields)
}

/// Repeat sequences of all alleles; RN is 1 for a `<CNV:TR>` that does not say it.
fn n_repeats(fields: &Fields<'_>) -> usize {
    let given = values(fields, "RN");
    let of = |(i, alt): (usize, &&str)| {
        let number = given.get(i).and_then(|n| n.parse::<usize>().ok());
        number.unwrap_or_else(|| usize::from(is_repeat(alt)))
    };
    let numbers = fields.alts.iter().enumerate().map(of);
    numbers.fold(0, usize::saturating_add)
}

/// RUB has one value for each copy of a unit that RUC counts; a partial copy may be left out.
fn unit_bases(fields: &Fields<'_>) -> Result<(), Bad> {
    let n = values(fields, "RUB").len();
    if n == 0 {
        return Ok(());
    }
    let copies: Option<Vec<f64>> = values(fields, "RUC")
        .iter()
        .map(|copies| copies.parse().ok())
        .collect();
    let fits = copies.is_some_and(|copies| {
        let whole: f64 = copies.iter().map(|c| c.floor()).sum();
        let begun: f64 = copies.iter().map(|c| c.ceil()).sum();
        let n = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
        (whole..=begun).contains(&n)
    });
    if fits {
        return Ok(());
    }
    let message = format!("INFO/RUB has {n} values, not one for each copy in RUC");
    Err(Bad::new("repeat_cardinality", message))
}

/// FORMAT/CN is the copy number of one region, so all alleles it speaks of have one length.
fn copy_numbers(fields: &Fields<'_>) -> Result<(), Bad> {
    if !fields
        .format
        .is_some_and(|f| f.split(':').any(|k| k == "CN"))
    {
        return Ok(());
    }
    let lengths = values(fields, "SVLEN");
    let of_copies = fields
        .alts
        .iter()
        .zip(&lengths)
        .filter_map(|(alt, length)| {
            matches!(symbol(alt), Some("DEL" | "DUP" | "CNV")).then_some(length)
        });
    let mut known = of_copies.filter_map(|length| length.parse::<i64>().ok());
    let first = known.next().map(i64::unsigned_abs);
    if known.all(|length| Some(length.unsigned_abs()) == first) {
        return Ok(());
    }
    Err(Bad::new(
        "svlen_differs",
        "with FORMAT/CN, SVLEN must be the same for all DEL, DUP and CNV alleles",
    ))
}

/// PSO has no value where PSL has none.
fn phase_sets(format: &str, samples: &[u8]) -> Result<(), Bad> {
    let place = |key: &str| format.split(':').position(|k| k == key);
    let (Some(names), Some(ordinals)) = (place("PSL"), place("PSO")) else {
        return Ok(());
    };
    for (column, sample) in (10_u64..).zip(samples.split(|b| *b == b'\t')) {
        let items = |key: usize| {
            let value = sample.split(|b| *b == b':').nth(key).unwrap_or(b".");
            value.split(|b| *b == b',')
        };
        if items(names)
            .zip(items(ordinals))
            .any(|(name, ordinal)| name == b"." && ordinal != b".")
        {
            let message = format!("PSO in column {column} has a value where PSL has none");
            return Err(Bad::new("phase_set_ordinal", message));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(alts: &str, info: &str, format: &str, sample: &str) -> Option<&'static str> {
        let fields = Fields {
            contig: "1",
            pos: 1,
            id: None,
            reference: "C",
            alts: alts.split(',').collect(),
            qual: None,
            filter: None,
            info,
            format: Some(format),
        };
        let outcome = check(&fields, Some(sample.as_bytes()), Some((4, 4)));
        outcome.err().map(|bad| bad.rule)
    }

    #[test]
    fn rules_between_fields() {
        for (alts, info, rule) in [
            ("<DEL>", "SVLEN=1;SVCLAIM=D", None),
            ("<DEL>,T,<DUP>", "SVLEN=1,.,2;SVCLAIM=D,.,DJ", None),
            ("<CNV>", "SVLEN=1", None),
            ("<INS>", ".", None),
            ("<CNV>", "SVLEN=1;SVCLAIM=JD", Some("bad_svclaim")),
            ("<DEL>", "SVLEN=1", Some("svclaim_missing")),
            (
                "<DUP>,<DEL>",
                "SVLEN=1,1;SVCLAIM=D,.",
                Some("svclaim_missing"),
            ),
            ("<DEL:ME>", "SVCLAIM=D", Some("svlen_missing")),
            ("<INV>", "SVLEN=.", Some("svlen_missing")),
            ("T", "CIPOS=-1,1", None),
            ("T", "CIPOS=.", None),
            ("T", "CIPOS=-1", Some("number_mismatch")),
            ("T", "MEINFO=1", Some("number_mismatch")),
            ("<CNV:TR>", "SVLEN=1", Some("repeat_unit_missing")),
            ("<CNV:TR>", "SVLEN=1;RUL=2", None),
            ("<CNV:TR>", "SVLEN=1;RN=2;RUL=2,10;RUC=3,.", None),
            ("<CNV:TR>", "SVLEN=1;RUS=T;RB=3;CIRB=-1,1", None),
            (
                "<CNV:TR>",
                "SVLEN=1;RUS=TT;RUC=2,2",
                Some("repeat_cardinality"),
            ),
            (
                "<CNV:TR>",
                "SVLEN=1;RUS=T;RB=3;CIRB=1",
                Some("repeat_cardinality"),
            ),
            (
                "<CNV:TR>",
                "SVLEN=1;RUS=T;CIRB=-1,1",
                Some("repeat_cardinality"),
            ),
            ("<CNV:TR>", "SVLEN=1;RUS=TT;RUC=2.3;RUB=2,2,1", None),
            (
                "<CNV:TR>",
                "SVLEN=1;RUS=TT;RUC=2.3;RUB=2",
                Some("repeat_cardinality"),
            ),
            (
                "<CNV:TR>",
                "SVLEN=1;RUS=TT;RUB=2",
                Some("repeat_cardinality"),
            ),
        ] {
            assert_eq!(broken(alts, info, "GT", "0/0"), rule, "{alts} {info}");
        }
    }

    #[test]
    fn rules_between_info_and_samples() {
        let dup = "SVCLAIM=D,D;SVLEN=";
        for (info, format, sample, rule) in [
            (format!("{dup}5,-5"), "GT:CN", "0/1:2", None),
            (format!("{dup}5,6"), "GT", "0/1", None),
            (format!("{dup}5,6"), "GT:CN", "0/1:2", Some("svlen_differs")),
            (format!("{dup}5,5"), "GT:PSL:PSO", "0|1:a,.:1,.\t0|1", None),
            (
                format!("{dup}5,5"),
                "GT:PSL:PSO",
                "0|1:a,a:1,1\t0|1:.,a:2,3",
                Some("phase_set_ordinal"),
            ),
        ] {
            let found = broken("<DEL>,<DUP>", &info, format, sample);
            assert_eq!(found, rule, "{info} {format} {sample}");
        }
    }
}
