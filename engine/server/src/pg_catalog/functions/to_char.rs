//! `to_char(timestamp, pattern)`: the patterns that tools use.

use chrono::NaiveDateTime;

/// Each pattern and how chrono writes it; longer ones come first where one begins another.
const PATTERNS: [(&str, &str); 19] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("Month", "%B"),
    ("Mon", "%b"),
    ("MM", "%m"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("Dy", "%a"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("MS", "%3f"),
    ("SS", "%S"),
    ("US", "%6f"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
];

/// The time in a pattern; `None` for a pattern with letters that are not known here. Of an instant `zone` is the name of
/// its time and how many seconds that is east of Greenwich.
pub(super) fn to_char(
    time: NaiveDateTime,
    pattern: &str,
    zone: Option<&(String, i32)>,
) -> Option<String> {
    let (name, east) = zone.map_or(("", 0), |(name, east)| (name.as_str(), *east));
    let zones = [
        ("TZ", name.to_owned()),
        ("tz", name.to_lowercase()),
        ("OF", crate::zone::signed(east)),
    ];
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            out.push_str(text);
            rest = after;
            continue;
        }
        let of_zone = zones
            .iter()
            .find_map(|(name, text)| Some((rest.strip_prefix(name)?, text)));
        if let Some((after, text)) = of_zone {
            out.push_str(text);
            rest = after;
            continue;
        }
        let known = PATTERNS
            .iter()
            .find_map(|(name, form)| Some((rest.strip_prefix(name)?, form)));
        match known {
            Some((after, form)) => {
                out.push_str(&time.format(form).to_string());
                rest = after;
            }
            // "T" between date and time is written as it stands.
            None if first.is_alphabetic() && first != 'T' => return None,
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_are_written_as_postgresql_writes_them() {
        let time = chrono::DateTime::from_timestamp_micros(1_795_712_523_045_006).unwrap();
        let time = time.naive_utc();
        let utc = ("UTC".to_owned(), 0);
        // As `SELECT to_char('2026-11-26 17:02:03.045006'::timestamptz, …)` of PostgreSQL 15 in UTC.
        for (pattern, text) in [
            ("YYYY-MM-DD HH24:MI:SS TZ", "2026-11-26 17:02:03 UTC"),
            ("YYYY-MM-DD\"T\"HH24:MI:SS.MS", "2026-11-26T17:02:03.045"),
            ("DD Mon YY HH12:MI am US", "26 Nov 26 05:02 pm 045006"),
            ("Dy DDD", "Thu 330"),
        ] {
            let shown = to_char(time, pattern, Some(&utc));
            assert_eq!(shown.as_deref(), Some(text), "{pattern}");
        }
        assert_eq!(to_char(time, "J", None), None);
    }
}
