//! Time elements as columns: ages, durations and moments.

use chrono::{DateTime, NaiveDate};

use super::node::{Fault, Node, Result};
use super::tables::{Held, Row};

/// Days of a mean year.
const DAYS_OF_YEAR: f64 = 365.25;

/// A time element.
pub(super) fn time(row: &mut Row, name: &str, node: Option<Node<'_>>) -> Result<()> {
    let Some(node) = node else { return Ok(()) };
    let node = node.only(&[
        "gestationalAge",
        "age",
        "ageRange",
        "ontologyClass",
        "timestamp",
        "interval",
    ])?;
    let column = |part: &str| format!("{name}_{part}");
    if let Some(age) = node.get("gestationalAge") {
        let age = age.only(&["weeks", "days"])?;
        let (weeks, days) = (age.integer("weeks")?, age.integer("days")?.unwrap_or(0));
        let weeks = weeks.unwrap_or(0).checked_mul(7);
        row.put(
            &column("gestation_days"),
            weeks.and_then(|weeks| weeks.checked_add(days)),
        );
    }
    if let Some(range) = node.get("ageRange") {
        let range = range.only(&["start", "end"])?;
        age(row, name, &range.need("start")?)?;
        row.put(&column("age_until"), duration(&range.need("end")?)?.0);
    }
    if let Some(found) = node.get("age") {
        age(row, name, &found)?;
    }
    row.put_term(&column("id"), &column("label"), node.term("ontologyClass")?);
    row.put(&column("time"), moment(&node, "timestamp")?);
    if let Some(interval) = node.get("interval") {
        let interval = interval.only(&["start", "end"])?;
        row.put(&column("time"), moment(&interval, "start")?);
        row.put(&column("time_until"), moment(&interval, "end")?);
    }
    Ok(())
}

fn age(row: &mut Row, name: &str, node: &Node<'_>) -> Result<()> {
    let (text, years) = duration(node)?;
    row.put(&format!("{name}_age"), text);
    row.put(&format!("{name}_age_years"), Held::Bare(years.to_string()));
    Ok(())
}

/// An age as text and in years.
pub(super) fn duration(node: &Node<'_>) -> Result<(String, f64)> {
    let node = node.clone().only(&["iso8601duration"])?;
    let text = node.need_text("iso8601duration")?;
    let years = years(&text)
        .ok_or_else(|| node.fault("\"iso8601duration\" is no ISO 8601 duration such as P3Y6M"))?;
    Ok((text, years))
}

/// `P3Y6M` in years: a month is a twelfth, a day 1/365.25 of one. `None` for what is no duration.
fn years(text: &str) -> Option<f64> {
    let body = text.strip_prefix('P')?;
    let (dates, times) = body.split_once('T').unwrap_or((body, ""));
    if body.is_empty() || body.ends_with('T') {
        return None;
    }
    let day = 1.0 / DAYS_OF_YEAR;
    let of_dates = [('Y', 1.0), ('M', 1.0 / 12.0), ('W', 7.0 * day), ('D', day)];
    let of_times = [
        ('H', day / 24.0),
        ('M', day / 1440.0),
        ('S', day / 86_400.0),
    ];
    Some(added(dates, &of_dates)? + added(times, &of_times)?)
}

/// Numbers, each with a letter behind it, in the order of the units.
fn added(text: &str, units: &[(char, f64)]) -> Option<f64> {
    let (mut total, mut rest, mut units) = (0.0, text, units.iter());
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..end)?.parse().ok()?;
        let letter = rest.get(end..)?.chars().next()?;
        total += number * units.find(|(unit, _)| *unit == letter)?.1;
        rest = rest.get(end + letter.len_utf8()..)?;
    }
    Some(total)
}

/// A moment as text for its column.
pub(super) fn moment(node: &Node<'_>, key: &str) -> Result<Held> {
    let found = instant(node, key)?;
    Ok(found.map_or(Held::Null, |at| Held::Bare(at.to_rfc3339())))
}

pub(super) fn instant(node: &Node<'_>, key: &str) -> Result<Option<DateTime<chrono::FixedOffset>>> {
    let Some(text) = node.text(key)? else {
        return Ok(None);
    };
    let of_date = || {
        let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?;
        Some(date.and_hms_opt(0, 0, 0)?.and_utc().fixed_offset())
    };
    let at = DateTime::parse_from_rfc3339(&text).ok().or_else(of_date);
    at.map(Some).ok_or_else(|| no_moment(node, key))
}

/// The day of a moment, as it is written there.
pub(super) fn date(node: &Node<'_>, key: &str) -> Result<Held> {
    let at = instant(node, key)?;
    Ok(at.map_or(Held::Null, |at| Held::Bare(at.date_naive().to_string())))
}

fn no_moment(node: &Node<'_>, key: &str) -> Fault {
    node.fault(&format!(
        "\"{key}\" is no moment such as 2021-03-04T00:00:00Z"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_in_years() {
        for (text, expected) in [
            ("P27Y", Some(27.0)),
            ("P1Y6M", Some(1.5)),
            ("P0D", Some(0.0)),
            ("P52W", Some(364.0 / 365.25)),
            ("PT36H", Some(1.5 / 365.25)),
            ("27Y", None),
            ("P", None),
            ("P1Y2", None),
            ("P6M1Y", None),
            ("P1YT", None),
        ] {
            let same = match (years(text), expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
                (found, expected) => found == expected,
            };
            assert!(same, "{text}: {:?}", years(text));
        }
    }
}
