//! Views of time zones: what their clocks show now.

use super::{Table, text};
use crate::pg_catalog::value::Value;
use crate::zone::{self, Now};

/// Abbreviations that mean a clock set forward for summer.
const SUMMER: &str = include_str!("../data/summer_times.txt");

/// `pg_timezone_names`.
pub(super) fn names(t: &mut Table<'_>) {
    for (name, now) in zone::names_now() {
        t.row(&[
            ("name", text(name)),
            ("abbrev", text(&now.abbreviation)),
            ("utc_offset", offset(&now)),
            ("is_dst", Value::Bool(now.summer)),
        ]);
    }
}

/// `pg_timezone_abbrevs`.
pub(super) fn abbreviations(t: &mut Table<'_>) {
    for (name, now) in zone::abbreviations_now() {
        t.row(&[
            ("abbrev", text(name)),
            ("utc_offset", offset(&now)),
            (
                "is_dst",
                Value::Bool(SUMMER.lines().any(|summer| summer == name)),
            ),
        ]);
    }
}

fn offset(now: &Now) -> Value {
    Value::Interval {
        months: 0,
        days: 0,
        micros: i64::from(now.offset) * 1_000_000,
    }
}
