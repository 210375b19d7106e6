//! Time zones as SQL names them: `Asia/Tokyo`, `JST`, `<+09>-09`, and how their clocks and instants go together.
//!
//! Instants and local times are microseconds since 1970, the first in UTC, the second as a clock on the wall shows them.
//! Where a change of clocks leaves a local time out, it counts as if the clocks had not been changed yet; where one
//! comes twice, the later is meant. PostgreSQL decides so too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike as _, MappedLocalTime, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::{OffsetComponents as _, TZ_VARIANTS, Tz};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Farthest that a clock may be from Greenwich.
const OFFSET_MAX: i32 = 168 * 3_600 - 1;

/// Rules of clocks are known up to here; they go on in later years as in earlier ones with the same calendar.
const LAST_YEAR: i32 = 2_090;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zone {
    /// Seconds east of Greenwich, always.
    Fixed(i32),
    /// A zone of the IANA database.
    Named(Tz),
}

impl Default for Zone {
    fn default() -> Self {
        Zone::UTC
    }
}

impl Zone {
    /// Greenwich's.
    pub const UTC: Zone = Zone::Fixed(0);

    /// The zone that a value of the setting `TimeZone` means, and the value as it is shown.
    ///
    /// A number is hours east of Greenwich; every other offset has POSIX's sign, in which `UTC+9` is *west*.
    #[must_use]
    pub fn of_setting(text: &str) -> Option<(Zone, String)> {
        if let Ok(hours) = text.trim().parse::<f64>() {
            let zone = Zone::Fixed(whole_seconds(hours * 3_600.0)?);
            return Some((zone, zone.posix()));
        }
        if let Some(tz) = named(text) {
            let zone = match tz {
                Tz::UTC | Tz::GMT | Tz::Etc__UTC => Zone::UTC,
                tz => Zone::Named(tz),
            };
            return Some((zone, tz.name().to_owned()));
        }
        posix(text).map(|zone| (zone, text.to_owned()))
    }

    /// The zone of an expression or a literal: an abbreviation, or a name as the setting takes it.
    #[must_use]
    pub fn of_name(text: &str) -> Option<Zone> {
        let upper = text.to_ascii_uppercase();
        if let Some(zone) = ABBREVIATIONS.get(upper.as_str()) {
            return Some(*zone);
        }
        if let Some(tz) = named(text) {
            return Some(Zone::Named(tz));
        }
        posix(text)
    }

    /// The zone so many seconds east of Greenwich.
    #[must_use]
    pub fn east(seconds: i64) -> Option<Zone> {
        let seconds = i32::try_from(seconds).ok()?;
        (seconds.abs() <= OFFSET_MAX).then_some(Zone::Fixed(seconds))
    }

    /// Seconds that the clocks of the zone are ahead of Greenwich's at an instant.
    #[must_use]
    pub fn offset_at(self, instant: i64) -> i32 {
        match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(tz) => {
                let (time, _) = within_rules(instant);
                tz.offset_from_utc_datetime(&time).fix().local_minus_utc()
            }
        }
    }

    /// What the clocks of the zone show at an instant.
    #[must_use]
    pub fn local(self, instant: i64) -> i64 {
        if is_endless(instant) {
            return instant;
        }
        instant.saturating_add(i64::from(self.offset_at(instant)) * SECOND)
    }

    /// The instant at which the clocks of the zone show this.
    #[must_use]
    pub fn instant(self, local: i64) -> i64 {
        if is_endless(local) {
            return local;
        }
        let offset = match self {
            Zone::Fixed(seconds) => seconds,
            Zone::Named(tz) => {
                let (time, moved) = within_rules(local);
                let seconds =
                    |offset: <Tz as chrono::TimeZone>::Offset| offset.fix().local_minus_utc();
                match tz.offset_from_local_datetime(&time) {
                    MappedLocalTime::Single(offset) => seconds(offset),
                    // The later instant has the smaller offset.
                    MappedLocalTime::Ambiguous(one, other) => seconds(one).min(seconds(other)),
                    MappedLocalTime::None => {
                        let near = local.saturating_sub(moved);
                        let after = self.offset_at(near.saturating_add(DAY));
                        self.offset_at(near.saturating_sub(i64::from(after) * SECOND))
                    }
                }
            }
        };
        local.saturating_sub(i64::from(offset) * SECOND)
    }

    /// The name of the zone's time at an instant, as `CEST` or `+09`.
    #[must_use]
    pub fn abbreviation_at(self, instant: i64) -> String {
        match self {
            Zone::UTC => "UTC".to_owned(),
            Zone::Fixed(seconds) => signed(seconds),
            Zone::Named(tz) => {
                let (time, _) = within_rules(instant);
                tz.offset_from_utc_datetime(&time).to_string()
            }
        }
    }

    /// A fixed offset in POSIX's form.
    fn posix(self) -> String {
        let seconds = self.offset_at(0);
        format!("<{}>{}", signed(seconds), signed(-seconds))
    }
}

/// Whether a time is an infinity.
#[must_use]
pub(crate) fn is_endless(micros: i64) -> bool {
    matches!(micros, i64::MAX | i64::MIN)
}

/// `+09`, `-03:30`.
pub(crate) fn signed(seconds: i32) -> String {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (minutes, rest) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast saturates, and what is out of range is refused"
)]
fn whole_seconds(seconds: f64) -> Option<i32> {
    let whole = seconds.round() as i32;
    (seconds.is_finite() && whole.abs() <= OFFSET_MAX).then_some(whole)
}

/// The same time in a year whose clocks are known, and how far it was moved.
fn within_rules(micros: i64) -> (NaiveDateTime, i64) {
    let edge = if micros < 0 {
        DateTime::<chrono::Utc>::MIN_UTC
    } else {
        DateTime::<chrono::Utc>::MAX_UTC
    };
    let time = DateTime::from_timestamp_micros(micros)
        .unwrap_or(edge)
        .naive_utc();
    if time.year() < LAST_YEAR {
        return (time, 0);
    }
    let same = |year: &i32| {
        let of = |year| chrono::NaiveDate::from_ymd_opt(year, 1, 1);
        let (Some(there), Some(here)) = (of(*year), of(time.year())) else {
            return false;
        };
        there.weekday() == here.weekday() && there.leap_year() == here.leap_year()
    };
    // Calendars of 28 years in a row are all that there are.
    let year = (LAST_YEAR - 28..LAST_YEAR).find(same);
    match year.and_then(|year| time.with_year(year)) {
        Some(moved) => (moved, micros - moved.and_utc().timestamp_micros()),
        None => (time, 0),
    }
}

/// What the clocks of a zone show now.
pub(crate) struct Now {
    /// Seconds east of Greenwich.
    pub(crate) offset: i32,
    pub(crate) abbreviation: String,
    /// They are set forward for summer.
    pub(crate) summer: bool,
}

/// Every zone of the database.
pub(crate) fn names_now() -> impl Iterator<Item = (&'static str, Now)> {
    let now = chrono::Utc::now();
    TZ_VARIANTS.iter().map(move |tz| {
        let offset = tz.offset_from_utc_datetime(&now.naive_utc());
        let shown = Now {
            offset: offset.fix().local_minus_utc(),
            abbreviation: Zone::Named(*tz).abbreviation_at(now.timestamp_micros()),
            summer: !offset.dst_offset().is_zero(),
        };
        (tz.name(), shown)
    })
}

/// Every abbreviation that stands for a zone.
pub(crate) fn abbreviations_now() -> impl Iterator<Item = (&'static str, Now)> {
    let now = chrono::Utc::now().timestamp_micros();
    ABBREVIATIONS.iter().map(move |(name, zone)| {
        let shown = Now {
            offset: zone.offset_at(now),
            abbreviation: (*name).to_owned(),
            summer: false,
        };
        (*name, shown)
    })
}

fn named(text: &str) -> Option<Tz> {
    static NAMES: LazyLock<BTreeMap<String, Tz>> = LazyLock::new(|| {
        let names = TZ_VARIANTS.iter();
        names
            .map(|tz| (tz.name().to_ascii_lowercase(), *tz))
            .collect()
    });
    NAMES.get(&text.to_ascii_lowercase()).copied()
}

static ABBREVIATIONS: LazyLock<BTreeMap<&'static str, Zone>> = LazyLock::new(|| {
    let lines = include_str!("zone/abbreviations.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    let known = lines.filter_map(|line| {
        let (name, meant) = line.split_once(' ')?;
        let zone = match meant.parse::<i32>() {
            Ok(seconds) => Zone::Fixed(seconds),
            Err(_) => Zone::Named(named(meant)?),
        };
        Some((name, zone))
    });
    let mut all: BTreeMap<_, _> = known.collect();
    all.insert("UTC", Zone::UTC);
    all
});

/// A zone in POSIX's form that changes no clocks: a name of letters or `<…>`, and hours *west* of Greenwich.
fn posix(text: &str) -> Option<Zone> {
    let rest = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?.1,
        None => text.trim_start_matches(|c: char| c.is_ascii_alphabetic()),
    };
    let letters = text.len() - rest.len();
    if letters > 0 && !text.starts_with('<') && letters < 3 {
        return None;
    }
    let east = rest.starts_with('-');
    let digits = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let mut seconds = 0;
    let mut unit = 3_600;
    for part in digits.split(':') {
        let number =
            !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
        let value: i32 = part.parse().ok().filter(|_| number && unit > 0)?;
        if unit < 3_600 && value > 59 {
            return None;
        }
        seconds += value * unit;
        unit /= 60;
    }
    (seconds <= OFFSET_MAX).then_some(Zone::Fixed(if east { seconds } else { -seconds }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: i64 = 3_600 * SECOND;

    fn micros(text: &str) -> i64 {
        let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        time.and_utc().timestamp_micros()
    }

    #[test]
    fn settings_are_read_and_shown_as_postgresql_does() {
        // SET TimeZone = …; SHOW TimeZone; to_char('2024-07-01 12:00+00'::timestamptz, 'OF') of PostgreSQL 15.
        for (text, shown, hours) in [
            ("UTC", "UTC", 0.0),
            ("asia/tokyo", "Asia/Tokyo", 9.0),
            ("9", "<+09>-09", 9.0),
            ("-5", "<-05>+05", -5.0),
            ("5.5", "<+05:30>-05:30", 5.5),
            ("+09:00", "+09:00", -9.0),
            ("UTC+9", "UTC+9", -9.0),
            ("<+09>-9", "<+09>-9", 9.0),
            ("EST5EDT", "EST5EDT", -4.0),
            ("Etc/GMT-9", "Etc/GMT-9", 9.0),
        ] {
            let (zone, canonical) = Zone::of_setting(text).unwrap();
            assert_eq!(canonical, shown, "{text}");
            let offset = f64::from(zone.offset_at(micros("2024-07-01 12:00")));
            assert_eq!(offset / 3_600.0, hours, "{text}");
        }
        for text in ["Mars/Olympus", "nonsense", "", "200", "ab5", "UTC+1:99"] {
            assert_eq!(Zone::of_setting(text), None, "{text}");
        }
        assert_eq!(Zone::of_name("jst"), Some(Zone::Fixed(9 * 3_600)));
        assert_eq!(Zone::of_name("CEST"), Some(Zone::Fixed(2 * 3_600)));
    }

    #[test]
    fn changes_of_clocks_are_taken_as_postgresql_does() {
        let berlin = Zone::of_name("Europe/Berlin").unwrap();
        for (local, utc) in [
            ("2024-03-31 01:59", "2024-03-31 00:59"),
            // Left out: as if it were still winter.
            ("2024-03-31 02:30", "2024-03-31 01:30"),
            ("2024-03-31 03:00", "2024-03-31 01:00"),
            ("2024-10-27 01:59", "2024-10-26 23:59"),
            // Twice: the second.
            ("2024-10-27 02:30", "2024-10-27 01:30"),
            ("2024-10-27 03:00", "2024-10-27 02:00"),
            // Summers go on.
            ("2600-07-01 12:00", "2600-07-01 10:00"),
            ("2600-01-01 12:00", "2600-01-01 11:00"),
        ] {
            assert_eq!(berlin.instant(micros(local)), micros(utc), "{local}");
        }
        assert_eq!(
            berlin.local(micros("2500-07-01 12:00")),
            micros("2500-07-01 14:00")
        );
        assert_eq!(berlin.local(i64::MAX), i64::MAX);
        assert_eq!(berlin.abbreviation_at(micros("2024-07-01 12:00")), "CEST");
        let tokyo = Zone::of_name("Asia/Tokyo").unwrap();
        assert_eq!(tokyo.local(0), 9 * HOUR);
    }
}
