//! Patterns of `to_char`, `to_timestamp` and `to_date`, taken apart: `"YYYY-MM-DD HH24:MI"`.

/// A part of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// Text as it stands; whether it stood in quotes.
    Text(String, bool),
    Field {
        field: Field,
        /// `FM`: nothing is padded.
        bare: bool,
        /// `th` or `TH` behind it.
        ordinal: Option<bool>,
    },
}

/// How the letters of a name are written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Case {
    Upper,
    Capital,
    Lower,
}

/// What a pattern asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field {
    Hour12,
    Hour24,
    Minute,
    Second,
    /// Digits behind the second, so many.
    Fraction(u32),
    SecondOfDay,
    /// Before or after noon; whether with points, and in which letters.
    Noon(bool, Case),
    Era(bool, Case),
    YearWithComma,
    /// The last digits of the year, so many.
    Year(u32),
    IsoYear(u32),
    Month,
    MonthName(Case),
    MonthShort(Case),
    Roman(Case),
    Day,
    DayOfYear,
    IsoDayOfYear,
    DayOfWeek,
    IsoDayOfWeek,
    DayName(Case),
    DayShort(Case),
    WeekOfMonth,
    WeekOfYear,
    IsoWeek,
    Century,
    Julian,
    Quarter,
    ZoneName(Case),
    ZoneHour,
    ZoneMinute,
    Offset,
}

impl Field {
    /// The keyword of a number.
    pub(super) fn pattern(self) -> &'static str {
        let known = NUMBERS.iter().find(|(_, field)| *field == self);
        known.map_or("", |(keyword, _)| keyword)
    }
}

/// Keywords whose letters may be all large or all small.
const NUMBERS: [(&str, Field); 37] = [
    ("SSSSS", Field::SecondOfDay),
    ("SSSS", Field::SecondOfDay),
    ("Y,YYY", Field::YearWithComma),
    ("YYYY", Field::Year(4)),
    ("YYY", Field::Year(3)),
    ("YY", Field::Year(2)),
    ("Y", Field::Year(1)),
    ("IYYY", Field::IsoYear(4)),
    ("IYY", Field::IsoYear(3)),
    ("IY", Field::IsoYear(2)),
    ("IDDD", Field::IsoDayOfYear),
    ("ID", Field::IsoDayOfWeek),
    ("IW", Field::IsoWeek),
    ("I", Field::IsoYear(1)),
    ("HH24", Field::Hour24),
    ("HH12", Field::Hour12),
    ("HH", Field::Hour12),
    ("MI", Field::Minute),
    ("MM", Field::Month),
    ("MS", Field::Fraction(3)),
    ("SS", Field::Second),
    ("US", Field::Fraction(6)),
    ("FF1", Field::Fraction(1)),
    ("FF2", Field::Fraction(2)),
    ("FF3", Field::Fraction(3)),
    ("FF4", Field::Fraction(4)),
    ("FF5", Field::Fraction(5)),
    ("FF6", Field::Fraction(6)),
    ("DDD", Field::DayOfYear),
    ("DD", Field::Day),
    ("D", Field::DayOfWeek),
    ("WW", Field::WeekOfYear),
    ("W", Field::WeekOfMonth),
    ("CC", Field::Century),
    ("J", Field::Julian),
    ("Q", Field::Quarter),
    ("OF", Field::Offset),
];

/// Keywords whose letters tell how the result is written.
const NAMES: [(&str, Field); 29] = [
    ("MONTH", Field::MonthName(Case::Upper)),
    ("Month", Field::MonthName(Case::Capital)),
    ("month", Field::MonthName(Case::Lower)),
    ("MON", Field::MonthShort(Case::Upper)),
    ("Mon", Field::MonthShort(Case::Capital)),
    ("mon", Field::MonthShort(Case::Lower)),
    ("DAY", Field::DayName(Case::Upper)),
    ("Day", Field::DayName(Case::Capital)),
    ("day", Field::DayName(Case::Lower)),
    ("DY", Field::DayShort(Case::Upper)),
    ("Dy", Field::DayShort(Case::Capital)),
    ("dy", Field::DayShort(Case::Lower)),
    ("RM", Field::Roman(Case::Upper)),
    ("rm", Field::Roman(Case::Lower)),
    ("A.M.", Field::Noon(true, Case::Upper)),
    ("P.M.", Field::Noon(true, Case::Upper)),
    ("a.m.", Field::Noon(true, Case::Lower)),
    ("p.m.", Field::Noon(true, Case::Lower)),
    ("AM", Field::Noon(false, Case::Upper)),
    ("PM", Field::Noon(false, Case::Upper)),
    ("am", Field::Noon(false, Case::Lower)),
    ("pm", Field::Noon(false, Case::Lower)),
    ("BC", Field::Era(false, Case::Upper)),
    ("AD", Field::Era(false, Case::Upper)),
    ("bc", Field::Era(false, Case::Lower)),
    ("ad", Field::Era(false, Case::Lower)),
    ("TZH", Field::ZoneHour),
    ("TZM", Field::ZoneMinute),
    ("TZ", Field::ZoneName(Case::Upper)),
];

/// The parts of a pattern. What is no keyword is text.
pub(super) fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = pattern;
    let mut bare = false;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            flush(&mut plain, &mut pieces);
            let (text, behind) = quoted_text(quoted);
            pieces.push(Piece::Text(text, true));
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            bare = true;
            rest = behind;
        } else if let Some((field, behind)) = keyword(rest) {
            flush(&mut plain, &mut pieces);
            let (ordinal, behind) = match (behind.strip_prefix("TH"), behind.strip_prefix("th")) {
                (Some(behind), _) => (Some(true), behind),
                (_, Some(behind)) => (Some(false), behind),
                _ => (None, behind),
            };
            pieces.push(Piece::Field {
                field,
                bare,
                ordinal,
            });
            bare = false;
            rest = behind;
        } else {
            let escaped = rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
            let (shown, length) = match escaped {
                Some('"') => ('"', 2),
                _ => (first, first.len_utf8()),
            };
            plain.push(shown);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    flush(&mut plain, &mut pieces);
    pieces
}

fn flush(plain: &mut String, pieces: &mut Vec<Piece>) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(std::mem::take(plain), false));
    }
}

fn quoted_text(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (text, quoted.get(at + 1..).unwrap_or_default()),
            '\\' => text.extend(chars.next().map(|(_, next)| next)),
            c => text.push(c),
        }
    }
    (text, "")
}

fn keyword(text: &str) -> Option<(Field, &str)> {
    // Of keywords that begin alike the longest is meant.
    let mut found: Option<(usize, Field)> = None;
    let mut take = |length: usize, field: Field| {
        if found.is_none_or(|(longest, _)| length > longest) {
            found = Some((length, field));
        }
    };
    for (name, field) in NUMBERS {
        let here = text.get(..name.len());
        if here.is_some_and(|here| here == name || here == name.to_ascii_lowercase()) {
            take(name.len(), field);
        }
    }
    for (name, field) in NAMES {
        if text.starts_with(name) {
            take(name.len(), field);
        }
    }
    for (name, field) in [
        ("tzh", Field::ZoneHour),
        ("tzm", Field::ZoneMinute),
        ("tz", Field::ZoneName(Case::Lower)),
    ] {
        if text.starts_with(name) {
            take(name.len(), field);
        }
    }
    let (length, field) = found?;
    Some((field, text.get(length..).unwrap_or_default()))
}
