//! Texts of dates, times of day and both, taken apart: ISO 8601, `January 8, 1999`, `1/8/1999 04:05 PM`, `yesterday`.

use crate::calendar::{SECOND, day_of, month_length};
use crate::clock::{Clock, DateOrder};
use crate::zone::Zone;

/// What a text says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Moment {
    /// Days since 1970.
    pub(super) day: Option<i64>,
    /// Microseconds since midnight.
    pub(super) micros: Option<i64>,
    pub(super) zone: Option<Zone>,
    pub(super) word: Option<Word>,
}

/// A word that stands for a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Word {
    Infinity,
    MinusInfinity,
    Epoch,
    Now,
}

/// Why a text is no time.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    Syntax,
    /// A month, a day or an hour that there is not.
    Field,
    /// A day that this month does not have.
    Calendar,
    Zone(String),
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

/// Digits of a date, and how many of them.
#[derive(Clone, Copy)]
struct Number {
    value: i64,
    digits: usize,
}

#[derive(Default)]
struct Reader {
    moment: Moment,
    year: Option<Number>,
    month: Option<i64>,
    day: Option<i64>,
    afternoon: Option<bool>,
    before_christ: bool,
    /// A day of the year instead of month and day.
    day_of_year: Option<i64>,
    /// A time of day is read, so that the first digits are hours.
    time_only: bool,
}

/// Reads a text.
pub(super) fn read(text: &str, clock: &Clock) -> Result<Moment, Fault> {
    parts(text, clock, Reader::default())
}

/// Reads the text of a time of day, where `040506` is one.
pub(super) fn read_time(text: &str, clock: &Clock) -> Result<Moment, Fault> {
    let reader = Reader {
        time_only: true,
        ..Reader::default()
    };
    parts(text, clock, reader)
}

fn parts(text: &str, clock: &Clock, mut reader: Reader) -> Result<Moment, Fault> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(Fault::Syntax);
    }
    while let Some(first) = rest.chars().next() {
        rest = match first {
            ' ' | '\t' | '\n' | ',' => rest.get(1..).unwrap_or_default(),
            '0'..='9' => reader.digits(rest, clock)?,
            '+' | '-' => reader.sign(rest)?,
            c if c.is_ascii_alphabetic() => reader.word(rest, clock)?,
            _ => return Err(Fault::Syntax),
        };
    }
    reader.finish()
}

fn leading(text: &str, take: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c: char| !take(c)).unwrap_or(text.len());
    text.split_at(end)
}

fn number(digits: &str) -> Result<i64, Fault> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain).ok_or(Fault::Syntax)
}

impl Reader {
    fn has_date(&self) -> bool {
        self.moment.day.is_some()
            || self.day_of_year.is_some()
            || (self.month.is_some() && self.day.is_some())
    }

    fn is_at_start(&self) -> bool {
        let dated = self.year.is_some() || self.month.is_some() || self.day.is_some();
        !dated && self.moment.micros.is_none() && self.moment.day.is_none()
    }

    /// `040506.789` and `0405`.
    fn run_of_digits<'t>(&mut self, text: &'t str) -> Result<&'t str, Fault> {
        let (digits, rest) = leading(text, |c| c.is_ascii_digit());
        let (fraction, rest) = fraction(rest)?;
        let two = |at: usize| match digits.get(at..at + 2) {
            Some(two) => number(two),
            None => Ok(0),
        };
        self.clock(two(0)?, two(2)?, two(4)?, fraction)?;
        Ok(rest)
    }

    /// The day of astronomers, counted from 4714 BC: `J2451187`.
    fn julian<'t>(&mut self, text: &'t str) -> Result<&'t str, Fault> {
        /// The first day of 1970.
        const EPOCH: i64 = 2_440_588;
        let (digits, rest) = leading(text.trim_start(), |c| c.is_ascii_digit());
        if self.has_date() {
            return Err(Fault::Syntax);
        }
        self.moment.day = Some(number(digits)? - EPOCH);
        Ok(rest)
    }

    fn digits<'t>(&mut self, text: &'t str, clock: &Clock) -> Result<&'t str, Fault> {
        let (digits, rest) = leading(text, |c| c.is_ascii_digit());
        let next = rest.chars().next();
        match next {
            Some(':') => return self.time(text),
            Some('-' | '/') => {}
            _ if self.time_only && matches!(digits.len(), 4 | 6) && self.is_at_start() => {
                return self.run_of_digits(text);
            }
            _ => {}
        }
        match next {
            Some(separator @ ('-' | '/' | '.')) if !self.has_date() && self.month.is_none() => {
                return self.date(text, separator, clock);
            }
            _ => {}
        }
        let (value, count) = (number(digits)?, digits.len());
        let two = |at: usize| number(digits.get(at..at + 2).unwrap_or_default());
        match count {
            // 19990108, 19990108T040506, 040506.
            8 if !self.has_date() => {
                self.ymd(
                    Number {
                        value: value / 10_000,
                        digits: 4,
                    },
                    two(4)?,
                    two(6)?,
                )?;
            }
            6 if self.has_date() && self.moment.micros.is_none() => {
                let (fraction, after) = fraction(rest)?;
                self.clock(two(0)?, two(2)?, two(4)?, fraction)?;
                return Ok(after);
            }
            4 if self.has_date() && self.year.is_some() && self.moment.micros.is_none() => {
                self.clock(two(0)?, two(2)?, 0, 0)?;
            }
            6 if self.month.is_none() => {
                self.ymd(
                    Number {
                        value: two(0)?,
                        digits: 2,
                    },
                    two(2)?,
                    two(4)?,
                )?;
            }
            1 | 2 if self.day.is_none() => self.day = Some(value),
            1..=6 if self.year.is_none() => {
                self.year = Some(Number {
                    value,
                    digits: count,
                })
            }
            _ => return Err(Fault::Syntax),
        }
        Ok(rest)
    }

    fn date<'t>(
        &mut self,
        text: &'t str,
        separator: char,
        clock: &Clock,
    ) -> Result<&'t str, Fault> {
        let (a, rest) = leading(text, |c| c.is_ascii_digit());
        let part = |rest: &'t str| {
            let rest = rest.strip_prefix(separator)?;
            let (part, rest) = leading(rest, |c| c.is_ascii_digit());
            let named = part.is_empty() && rest.starts_with(|c: char| c.is_ascii_alphabetic());
            match named {
                true => Some(leading(rest, |c| c.is_ascii_alphabetic())),
                false => (!part.is_empty()).then_some((part, rest)),
            }
        };
        let (b, rest) = part(rest).ok_or(Fault::Syntax)?;
        let first = Number {
            value: number(a)?,
            digits: a.len(),
        };
        let Some((c, rest)) = part(rest) else {
            // The day of a year: 1999.008.
            if separator == '.' && a.len() >= 4 && b.len() == 3 {
                self.year = Some(first);
                self.day_of_year = Some(number(b)?);
                return Ok(rest);
            }
            return Err(Fault::Syntax);
        };
        let third = Number {
            value: number(c)?,
            digits: c.len(),
        };
        if let Some(month) = month_named(b) {
            match first.digits >= 3 {
                true => self.ymd(first, month, third.value)?,
                false => self.ymd(third, month, first.value)?,
            }
            return Ok(rest);
        }
        let second = number(b)?;
        if b.len() > 2 {
            return Err(Fault::Syntax);
        }
        match (first.digits >= 3, clock.order) {
            (true, _) | (false, DateOrder::Ymd) if third.digits <= 2 => {
                self.ymd(first, second, third.value)?
            }
            (false, DateOrder::Mdy) => self.ymd(third, first.value, second)?,
            (false, DateOrder::Dmy) => self.ymd(third, second, first.value)?,
            _ => return Err(Fault::Syntax),
        }
        Ok(rest)
    }

    fn ymd(&mut self, year: Number, month: i64, day: i64) -> Result<(), Fault> {
        if self.year.is_some() || self.month.is_some() || self.day.is_some() {
            return Err(Fault::Syntax);
        }
        (self.year, self.month, self.day) = (Some(year), Some(month), Some(day));
        Ok(())
    }

    /// `hh:mm[:ss[.ffffff]]`.
    fn time<'t>(&mut self, text: &'t str) -> Result<&'t str, Fault> {
        let mut parts = [0i64; 3];
        let mut rest = text;
        let mut count = 0;
        for part in &mut parts {
            let (digits, after) = leading(rest, |c| c.is_ascii_digit());
            if digits.len() > 2 {
                return Err(Fault::Syntax);
            }
            *part = number(digits)?;
            count += 1;
            rest = after;
            match after.strip_prefix(':') {
                Some(after) if count < 3 => rest = after,
                _ => break,
            }
        }
        if count < 2 || rest.starts_with(':') {
            return Err(Fault::Syntax);
        }
        let micros = match count {
            3 => {
                let (micros, after) = fraction(rest)?;
                rest = after;
                micros
            }
            _ => 0,
        };
        let [hours, minutes, seconds] = parts;
        self.clock(hours, minutes, seconds, micros)?;
        Ok(rest)
    }

    fn clock(&mut self, hours: i64, minutes: i64, seconds: i64, micros: i64) -> Result<(), Fault> {
        if self.moment.micros.is_some() {
            return Err(Fault::Syntax);
        }
        let all = ((hours * 60 + minutes) * 60 + seconds) * SECOND + micros;
        if minutes > 59 || seconds > 60 || all > crate::calendar::DAY {
            return Err(Fault::Calendar);
        }
        self.moment.micros = Some(all);
        Ok(())
    }

    /// `+09`, `-8:00`, `+0530`; `-infinity`.
    fn sign<'t>(&mut self, text: &'t str) -> Result<&'t str, Fault> {
        let lower = text.to_ascii_lowercase();
        if lower == "-infinity" || lower == "+infinity" {
            let minus = lower.starts_with('-');
            self.moment.word = Some(if minus {
                Word::MinusInfinity
            } else {
                Word::Infinity
            });
            return Ok("");
        }
        let (all, rest) = leading(text.get(1..).unwrap_or_default(), |c| {
            c.is_ascii_digit() || c == ':'
        });
        let said = all.replace(':', "");
        let of = |range: std::ops::Range<usize>| match said.get(range) {
            None | Some("") => Ok(0),
            Some(digits) => number(digits),
        };
        let hours = match all.find(':') {
            Some(end) => end,
            None if said.len() <= 2 => said.len(),
            None => said.len() - 2,
        };
        let known = matches!(said.len(), 1..=6) && (1..=2).contains(&hours);
        if !known
            || self.moment.zone.is_some()
            || !(self.has_date() || self.moment.micros.is_some())
        {
            return Err(Fault::Syntax);
        }
        let end = said.len();
        let seconds = of(0..hours)? * 3_600
            + of(hours..end.min(hours + 2))? * 60
            + of(end.min(hours + 2)..end)?;
        if seconds > 15 * 3_600 + 59 * 60 + 59 {
            return Err(Fault::Field);
        }
        let east = if text.starts_with('-') {
            -seconds
        } else {
            seconds
        };
        self.moment.zone = Zone::east(east);
        Ok(rest)
    }

    fn word<'t>(&mut self, text: &'t str, clock: &Clock) -> Result<&'t str, Fault> {
        let (word, rest) = leading(text, |c| c.is_ascii_alphabetic());
        let lower = word.to_ascii_lowercase();
        if let Some(month) = month_named(&lower)
            && self.month.is_none()
        {
            self.month = Some(month);
            return Ok(rest.strip_prefix('.').unwrap_or(rest));
        }
        let today = || {
            clock
                .zone
                .local(clock.transaction)
                .div_euclid(crate::calendar::DAY)
        };
        match lower.as_str() {
            "am" | "pm" => self.afternoon = Some(lower == "pm"),
            "bc" | "ad" => self.before_christ = lower == "bc",
            "now" => self.moment.word = Some(Word::Now),
            "infinity" => self.moment.word = Some(Word::Infinity),
            "epoch" => self.moment.word = Some(Word::Epoch),
            "today" => self.moment.day = Some(today()),
            "yesterday" => self.moment.day = Some(today() - 1),
            "tomorrow" => self.moment.day = Some(today() + 1),
            "allballs" => self.clock(0, 0, 0, 0)?,
            // Between date and time.
            "t" if self.has_date() && rest.starts_with(|c: char| c.is_ascii_digit()) => {}
            "t" if self.time_only
                && self.is_at_start()
                && rest.starts_with(|c: char| c.is_ascii_digit()) => {}
            "j" | "jd" | "julian"
                if rest.trim_start().starts_with(|c: char| c.is_ascii_digit()) =>
            {
                return self.julian(rest);
            }
            "at" | "on" => {}
            _ if day_named(&lower) => {}
            _ => return self.zone(text),
        }
        Ok(rest)
    }

    fn zone<'t>(&mut self, text: &'t str) -> Result<&'t str, Fault> {
        let (name, rest) = leading(text, |c| c.is_ascii_alphanumeric() || "/_+-".contains(c));
        if self.moment.zone.is_some() || !(self.has_date() || self.moment.micros.is_some()) {
            return Err(Fault::Syntax);
        }
        match Zone::of_name(name) {
            Some(zone) => self.moment.zone = Some(zone),
            None if name.contains('/') => return Err(Fault::Zone(name.to_ascii_lowercase())),
            None => return Err(Fault::Syntax),
        }
        Ok(rest)
    }

    fn finish(mut self) -> Result<Moment, Fault> {
        if let (Some(after), Some(micros)) = (self.afternoon, self.moment.micros) {
            let hours = micros / (3_600 * SECOND);
            if hours > 12 {
                return Err(Fault::Calendar);
            }
            let half = 12 * 3_600 * SECOND;
            self.moment.micros = Some(match (after, hours == 12) {
                (true, false) => micros + half,
                (false, true) => micros - half,
                _ => micros,
            });
        } else if self.afternoon.is_some() {
            return Err(Fault::Syntax);
        }
        let some = self.year.is_some() || self.month.is_some() || self.day.is_some();
        let word = self.moment.word.is_some();
        if some {
            let (Some(year), true) = (self.year, self.moment.day.is_none() && !word) else {
                return Err(Fault::Syntax);
            };
            let mut number = year.value;
            if year.digits <= 2 && !self.before_christ {
                number += if number < 70 { 2_000 } else { 1_900 };
            }
            if number == 0 {
                return Err(Fault::Field);
            }
            if self.before_christ {
                number = 1 - number;
            }
            self.moment.day = Some(match self.day_of_year {
                Some(day) => {
                    let length = day_of(number + 1, 1, 1) - day_of(number, 1, 1);
                    if !(1..=length).contains(&day) {
                        return Err(Fault::Field);
                    }
                    day_of(number, 1, 1) + day - 1
                }
                None => {
                    let (Some(month), Some(day)) = (self.month, self.day) else {
                        return Err(Fault::Syntax);
                    };
                    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
                        return Err(Fault::Field);
                    }
                    if day > month_length(number, month) {
                        return Err(Fault::Calendar);
                    }
                    day_of(number, month, day)
                }
            });
        }
        if self.moment.day.is_none() && self.moment.micros.is_none() && !word {
            return Err(Fault::Syntax);
        }
        Ok(self.moment)
    }
}

/// Microseconds of what follows a point, halves to the even one; and what follows them.
pub(super) fn fraction(text: &str) -> Result<(i64, &str), Fault> {
    let Some(rest) = text.strip_prefix('.') else {
        return Ok((0, text));
    };
    let (digits, rest) = leading(rest, |c| c.is_ascii_digit());
    // Of a float, as PostgreSQL has it.
    let part: f64 = format!("0.{digits}").parse().map_err(|_| Fault::Syntax)?;
    #[expect(clippy::cast_possible_truncation, reason = "a million at most")]
    let micros = (part * 1e6).round_ties_even() as i64;
    Ok((micros, rest))
}

fn month_named(word: &str) -> Option<i64> {
    let lower = word.to_ascii_lowercase();
    let lower = if lower == "sept" { "sep" } else { &lower };
    let at = MONTHS
        .iter()
        .position(|month| *month == lower || month.get(..3) == Some(lower))?;
    i64::try_from(at + 1).ok()
}

fn day_named(lower: &str) -> bool {
    DAYS.iter()
        .any(|day| *day == lower || day.get(..3) == Some(lower))
        || matches!(lower, "tues" | "wednes" | "weds" | "thur" | "thurs")
}
