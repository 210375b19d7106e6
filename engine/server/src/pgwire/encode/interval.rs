//! Intervals in the styles that `IntervalStyle` names.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};

use super::text;

/// How intervals are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06.7`
    #[default]
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs`
    Verbose,
    /// `+1-2 +3 +4:05:06.7`
    SqlStandard,
    /// `P1Y2M3DT4H5M6.7S`
    Iso,
}

impl IntervalStyle {
    /// The names that the setting takes.
    pub(crate) const NAMES: &[&str] = &["postgres", "postgres_verbose", "sql_standard", "iso_8601"];

    /// The style of a name of the setting.
    pub(crate) fn named(name: &str) -> IntervalStyle {
        match name {
            "postgres_verbose" => IntervalStyle::Verbose,
            "sql_standard" => IntervalStyle::SqlStandard,
            "iso_8601" => IntervalStyle::Iso,
            _ => IntervalStyle::Postgres,
        }
    }

    /// Appends an interval.
    pub(crate) fn put(self, months: i32, days: i32, micros: i64, out: &mut BytesMut) {
        let parts = Parts::of(months, days, micros);
        match self {
            IntervalStyle::Postgres => text::interval_parts(months, days, micros, out),
            IntervalStyle::Verbose => out.put_slice(parts.verbose().as_bytes()),
            IntervalStyle::SqlStandard => out.put_slice(parts.sql_standard().as_bytes()),
            IntervalStyle::Iso => out.put_slice(parts.iso().as_bytes()),
        }
    }
}

/// An interval by its fields, which all have a sign.
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    /// The seconds of a minute, in microseconds.
    micros: i64,
}

const SECOND: i64 = 1_000_000;

impl Parts {
    fn of(months: i32, days: i32, micros: i64) -> Parts {
        Parts {
            years: i64::from(months / 12),
            months: i64::from(months % 12),
            days: i64::from(days),
            hours: micros / (3_600 * SECOND),
            minutes: micros / (60 * SECOND) % 60,
            micros: micros % (60 * SECOND),
        }
    }

    fn all(&self) -> [i64; 6] {
        [
            self.years,
            self.months,
            self.days,
            self.hours,
            self.minutes,
            self.micros,
        ]
    }

    fn verbose(&self) -> String {
        let mut out = "@".to_owned();
        // The sign of the first field is that of all: later ones have a minus where they differ.
        let ago = self
            .all()
            .into_iter()
            .find(|part| *part != 0)
            .is_some_and(|part| part < 0);
        let turned = |part: i64| if ago { -part } else { part };
        let names = ["year", "mon", "day", "hour", "min"];
        for (part, name) in self.all().into_iter().zip(names) {
            let part = turned(part);
            if part != 0 {
                let plural = if part == 1 { "" } else { "s" };
                put(&mut out, format_args!(" {part} {name}{plural}"));
            }
        }
        let micros = turned(self.micros);
        if micros != 0 {
            let sign = if micros < 0 { "-" } else { "" };
            let plural = if micros.abs() == SECOND { "" } else { "s" };
            put(
                &mut out,
                format_args!(" {sign}{} sec{plural}", seconds(micros, 1)),
            );
        }
        if out.len() == 1 {
            out.push_str(" 0");
        }
        if ago {
            out.push_str(" ago");
        }
        out
    }

    fn iso(&self) -> String {
        let mut out = "P".to_owned();
        for (part, unit) in [(self.years, 'Y'), (self.months, 'M'), (self.days, 'D')] {
            if part != 0 {
                put(&mut out, format_args!("{part}{unit}"));
            }
        }
        if self.hours != 0 || self.minutes != 0 || self.micros != 0 {
            out.push('T');
        }
        for (part, unit) in [(self.hours, 'H'), (self.minutes, 'M')] {
            if part != 0 {
                put(&mut out, format_args!("{part}{unit}"));
            }
        }
        if self.micros != 0 {
            let sign = if self.micros < 0 { "-" } else { "" };
            put(&mut out, format_args!("{sign}{}S", seconds(self.micros, 1)));
        }
        match out.as_str() {
            "P" => "PT0S".to_owned(),
            _ => out,
        }
    }

    fn sql_standard(&self) -> String {
        let negative = self.all().into_iter().any(|part| part < 0);
        let positive = self.all().into_iter().any(|part| part > 0);
        let long = self.years != 0 || self.months != 0;
        let clock = self.hours != 0 || self.minutes != 0 || self.micros != 0;
        let plain = !(negative && positive) && !(long && (clock || self.days != 0));
        let [years, months, days, hours, minutes, _] = self.all().map(i64::abs);
        let time = format!("{hours}:{minutes:02}:{}", seconds(self.micros, 2));
        if !negative && !positive {
            return "0".to_owned();
        }
        if !plain {
            let sign = |negative: bool| if negative { '-' } else { '+' };
            let long = sign(self.years < 0 || self.months < 0);
            let clock = sign(self.hours < 0 || self.minutes < 0 || self.micros < 0);
            let day = sign(self.days < 0);
            return format!("{long}{years}-{months} {day}{days} {clock}{time}");
        }
        let sign = if negative { "-" } else { "" };
        match (long, self.days != 0) {
            (true, _) => format!("{sign}{years}-{months}"),
            (false, true) => format!("{sign}{days} {time}"),
            (false, false) => format!("{sign}{time}"),
        }
    }
}

/// Seconds without their sign, of so many digits at least before the point.
fn seconds(micros: i64, width: usize) -> String {
    let micros = micros.unsigned_abs();
    let whole = micros / 1_000_000;
    let rest = format!("{:06}", micros % 1_000_000);
    match rest.trim_end_matches('0') {
        "" => format!("{whole:0width$}"),
        rest => format!("{whole:0width$}.{rest}"),
    }
}

fn put(out: &mut String, part: std::fmt::Arguments<'_>) {
    // A String takes whatever is written.
    let _ = out.write_fmt(part);
}
