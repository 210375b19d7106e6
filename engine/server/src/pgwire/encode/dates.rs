//! Dates and times in the styles that `DateStyle` names.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};

use super::TextStyle;
use crate::calendar::{DAY, civil, weekday};
use crate::clock::DateOrder;

/// How dates and times are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateStyle {
    /// `1997-12-17 07:37:16-08`
    #[default]
    Iso,
    /// `12/17/1997 07:37:16.00 PST`
    Sql,
    /// `Wed Dec 17 07:37:16 1997 PST`
    Postgres,
    /// `17.12.1997 07:37:16.00 PST`
    German,
    /// `1997-12-17T07:37:16-08:00`, as JSON has it whatever the setting says.
    Json,
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Letters of the name of a zone that are shown.
const ZONE_NAME_MAX: usize = 10;

impl DateStyle {
    /// The style of a name of the setting.
    pub(crate) fn named(name: &str) -> DateStyle {
        match name {
            "SQL" => DateStyle::Sql,
            "Postgres" => DateStyle::Postgres,
            "German" => DateStyle::German,
            _ => DateStyle::Iso,
        }
    }
}

/// A day by the calendar, in the years that are counted from one on.
struct Day {
    year: i64,
    month: i64,
    day: i64,
    before_christ: bool,
}

impl Day {
    fn of(days: i64) -> Day {
        let (year, month, day) = civil(days);
        let before_christ = year <= 0;
        Day {
            year: if before_christ { 1 - year } else { year },
            month,
            day,
            before_christ,
        }
    }

    /// All but the era.
    fn put(&self, style: &TextStyle, out: &mut BytesMut) {
        let Day {
            year, month, day, ..
        } = self;
        let (first, second) = match style.clock.order {
            DateOrder::Dmy => (day, month),
            DateOrder::Mdy | DateOrder::Ymd => (month, day),
        };
        match style.dates {
            DateStyle::Iso | DateStyle::Json => {
                put(format_args!("{year:04}-{month:02}-{day:02}"), out);
            }
            DateStyle::Sql => put(format_args!("{first:02}/{second:02}/{year:04}"), out),
            DateStyle::Postgres => put(format_args!("{first:02}-{second:02}-{year:04}"), out),
            DateStyle::German => put(format_args!("{day:02}.{month:02}.{year:04}"), out),
        }
    }

    fn month_name(&self) -> &'static str {
        name(&MONTHS, self.month - 1)
    }

    fn era(&self, out: &mut BytesMut) {
        if self.before_christ {
            out.put_slice(b" BC");
        }
    }
}

fn name(names: &[&'static str], at: i64) -> &'static str {
    let at = usize::try_from(at).unwrap_or(usize::MAX);
    names.get(at).copied().unwrap_or_default()
}

fn put(text: std::fmt::Arguments<'_>, out: &mut BytesMut) {
    // Writing to a BytesMut cannot fail: it grows.
    let _ = out.write_fmt(text);
}

pub(crate) fn date(days: i64, style: &TextStyle, out: &mut BytesMut) {
    // The greatest and the least date are the infinities.
    if days == i64::from(i32::MAX) {
        return out.put_slice(b"infinity");
    }
    if days == i64::from(i32::MIN) {
        return out.put_slice(b"-infinity");
    }
    let day = Day::of(days);
    day.put(style, out);
    day.era(out);
}

pub(crate) fn time(micros: i64, out: &mut BytesMut) {
    let seconds = micros.div_euclid(1_000_000);
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    put(format_args!("{hours:02}:{minutes:02}:{rest:02}"), out);
    let fraction = micros.rem_euclid(1_000_000);
    if fraction != 0 {
        let text = format!(".{fraction:06}");
        out.put_slice(text.trim_end_matches('0').as_bytes());
    }
}

/// A timestamp, or an instant by the clocks of the session.
pub(crate) fn timestamp(micros: i64, is_instant: bool, style: &TextStyle, out: &mut BytesMut) {
    match micros {
        i64::MAX => return out.put_slice(b"infinity"),
        i64::MIN => return out.put_slice(b"-infinity"),
        _ => {}
    }
    let east = match is_instant {
        true => style.clock.zone.offset_at(micros),
        false => 0,
    };
    let local = micros.saturating_add(i64::from(east) * 1_000_000);
    let (days, clock) = (local.div_euclid(DAY), local.rem_euclid(DAY));
    let day = Day::of(days);
    if style.dates == DateStyle::Postgres {
        let weekday = name(&WEEKDAYS, weekday(days));
        let (month, number) = (day.month_name(), day.day);
        match style.clock.order {
            DateOrder::Dmy => put(format_args!("{weekday} {number:02} {month} "), out),
            DateOrder::Mdy | DateOrder::Ymd => {
                put(format_args!("{weekday} {month} {number:02} "), out);
            }
        }
        time(clock, out);
        put(format_args!(" {:04}", day.year), out);
    } else {
        day.put(style, out);
        out.put_u8(match style.dates {
            DateStyle::Json => b'T',
            _ => b' ',
        });
        time(clock, out);
    }
    if is_instant {
        match style.dates {
            DateStyle::Iso => offset(east, false, out),
            DateStyle::Json => offset(east, true, out),
            DateStyle::Sql | DateStyle::Postgres | DateStyle::German => {
                let name = style.clock.zone.abbreviation_at(micros);
                let name = name.get(..ZONE_NAME_MAX).unwrap_or(&name);
                put(format_args!(" {name}"), out);
            }
        }
    }
    day.era(out);
}

/// `+09`, `-03:30`.
fn offset(seconds: i32, with_minutes: bool, out: &mut BytesMut) {
    let sign = if seconds < 0 { '-' } else { '+' };
    let seconds = seconds.unsigned_abs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    put(format_args!("{sign}{hours:02}"), out);
    if minutes != 0 || rest != 0 || with_minutes {
        put(format_args!(":{minutes:02}"), out);
    }
    if rest != 0 {
        put(format_args!(":{rest:02}"), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::zone::Zone;

    fn shown(
        dates: DateStyle,
        order: DateOrder,
        write: impl Fn(&TextStyle, &mut BytesMut),
    ) -> String {
        let zone = Zone::of_name("America/Los_Angeles").unwrap_or_default();
        let clock = Clock {
            zone,
            order,
            ..Clock::default()
        };
        let style = TextStyle {
            dates,
            clock,
            ..TextStyle::default()
        };
        let mut out = BytesMut::new();
        write(&style, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn dates_and_instants_in_every_style() {
        use DateOrder::{Dmy, Mdy, Ymd};
        use DateStyle::{German, Iso, Json, Postgres, Sql};
        // 1997-12-17 07:37:16 in Los Angeles.
        let (days, instant) = (10_212, 882_373_036_000_000);
        for (style, order, day, at) in [
            (Iso, Dmy, "1997-12-17", "1997-12-17 07:37:16-08"),
            (Json, Dmy, "1997-12-17", "1997-12-17T07:37:16-08:00"),
            (Sql, Mdy, "12/17/1997", "12/17/1997 07:37:16 PST"),
            (Sql, Dmy, "17/12/1997", "17/12/1997 07:37:16 PST"),
            (Sql, Ymd, "12/17/1997", "12/17/1997 07:37:16 PST"),
            (German, Mdy, "17.12.1997", "17.12.1997 07:37:16 PST"),
            (Postgres, Mdy, "12-17-1997", "Wed Dec 17 07:37:16 1997 PST"),
            (Postgres, Dmy, "17-12-1997", "Wed 17 Dec 07:37:16 1997 PST"),
        ] {
            assert_eq!(
                shown(style, order, |style, out| date(days, style, out)),
                day
            );
            let printed = shown(style, order, |style, out| {
                timestamp(instant, true, style, out)
            });
            assert_eq!(printed, at);
        }
    }

    #[test]
    fn years_before_christ_and_beyond_four_digits() {
        let of = |days| {
            shown(DateStyle::Iso, DateOrder::Mdy, |style, out| {
                date(days, style, out)
            })
        };
        assert_eq!(of(0), "1970-01-01");
        assert_eq!(of(-719_163), "0001-12-31 BC");
        assert_eq!(of(2_932_897), "10000-01-01");
        let of = |micros| {
            shown(DateStyle::Postgres, DateOrder::Mdy, |style, out| {
                timestamp(micros, false, style, out);
            })
        };
        assert_eq!(of(-1), "Wed Dec 31 23:59:59.999999 1969");
        assert_eq!(of(-719_163 * DAY), "Sun Dec 31 00:00:00 0001 BC");
    }
}
