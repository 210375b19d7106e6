//! Values that are dates or numbers to people and stay text here: `31/12/2019`, `3,5`. A report tells of their columns.

use super::types::Inference;

/// The ways in which all values of a column are written.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    seen: bool,
    /// All are three numbers, with the year last or first.
    year_last: bool,
    year_first: bool,
    /// All are dates of some form.
    dates: bool,
    /// The first two numbers of those that end with the year go up to these.
    most: [u32; 2],
    commas: bool,
    has_comma: bool,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            seen: false,
            year_last: true,
            year_first: true,
            dates: true,
            most: [0; 2],
            commas: true,
            has_comma: false,
        }
    }
}

/// The parts of a date that is not written YYYY-MM-DD.
enum Parts {
    YearLast(u32, u32),
    YearFirst,
}

impl Written {
    /// Takes one more value into account.
    pub(crate) fn observe(&mut self, text: &str) {
        if !(self.dates || self.commas) {
            return;
        }
        self.seen = true;
        let text = text.trim();
        match parts(text) {
            Some(Parts::YearLast(a, b)) => {
                self.year_first = false;
                self.most = [self.most[0].max(a), self.most[1].max(b)];
            }
            Some(Parts::YearFirst) => self.year_last = false,
            None => {
                (self.year_last, self.year_first) = (false, false);
                self.dates &= is_usual_time(text);
            }
        }
        let (is_number, comma) = comma_number(text);
        self.commas &= is_number;
        self.has_comma |= comma;
    }

    /// What to say of a column that stays text, if its values are such.
    pub(crate) fn note(&self, column: &str) -> Option<String> {
        if !self.seen {
            return None;
        }
        if self.commas && self.has_comma {
            return Some(format!(
                "column \"{column}\" holds numbers with a decimal comma and is text: write a point, or read them in SQL with \
                 replace({column}, ',', '.')::float8"
            ));
        }
        if !self.dates {
            return None;
        }
        let pattern = match (self.most[0], self.most[1]) {
            _ if self.year_first => "YYYY/MM/DD",
            _ if !self.year_last => {
                return Some(format!(
                    "column \"{column}\" holds dates that are written in several ways and is text: write all as YYYY-MM-DD, or \
                     all as moments with the zone or without"
                ));
            }
            (13.., 13..) => return None,
            (13.., _) => "DD/MM/YYYY",
            (_, 13..) => "MM/DD/YYYY",
            _ => {
                return Some(format!(
                    "column \"{column}\" holds dates that do not tell day from month and is text: write them as YYYY-MM-DD, or \
                     read them in SQL with to_date({column}, 'DD/MM/YYYY') or to_date({column}, 'MM/DD/YYYY')"
                ));
            }
        };
        Some(format!(
            "column \"{column}\" holds dates and is text: write them as YYYY-MM-DD, or read them in SQL with \
             to_date({column}, '{pattern}')"
        ))
    }
}

fn parts(text: &str) -> Option<Parts> {
    let sign = text.chars().find(|c| matches!(c, '/' | '.' | '-'))?;
    let mut parts = text.split(sign);
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    let number = |text: &str, digits: &[usize]| -> Option<u32> {
        let plain = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| text.parse().ok())?
    };
    if parts.next().is_some() {
        return None;
    }
    let day = |text: &str| number(text, &[1, 2]).filter(|n| (1..=31).contains(n));
    match (number(a, &[4]), number(c, &[4])) {
        (None, Some(_)) => Some(Parts::YearLast(day(a)?, day(b)?)),
        // That with `-` is the usual one.
        (Some(_), None) if sign != '-' => day(b).zip(day(c)).map(|_| Parts::YearFirst),
        _ => None,
    }
}

/// A date or a moment as tables have them, or a date of eight digits.
fn is_usual_time(text: &str) -> bool {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    match digits {
        true => chrono::NaiveDate::parse_from_str(text, "%Y%m%d").is_ok(),
        false => Inference::is_time(text),
    }
}

/// Whether a text is a number as it is written with a decimal comma, and has one.
fn comma_number(text: &str) -> (bool, bool) {
    let body = text.strip_prefix('-').unwrap_or(text);
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match body.split_once(',') {
        Some((whole, rest)) => (is_digits(whole) && is_digits(rest), true),
        None => (is_digits(body), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_told_of_by_how_all_values_are_written() {
        for (values, word) in [
            (&["31/12/2019", "1/2/2020"][..], Some("'DD/MM/YYYY'")),
            (&["12/31/2019", "01/02/2020"], Some("'MM/DD/YYYY'")),
            (&["31.12.2019"], Some("'DD/MM/YYYY'")),
            (&["2019/12/31"], Some("'YYYY/MM/DD'")),
            (&["1/2/2019", "3/4/2020"], Some("day from month")),
            (&["2020-01-01", "20200102"], Some("several ways")),
            (&["2020-01-01", "31/12/2019"], Some("several ways")),
            (
                &["2020-01-01T12:00:00Z", "2020-01-01 23:59:59"],
                Some("several ways"),
            ),
            (&["3,5", "-1", "0,25"], Some("decimal comma")),
            (&["31/12/2019", "unknown"], None),
            (&["31/31/2019"], None),
            (&["1/2", "3/4"], None),
            (&["1,2,3"], None),
            (&["1.2.3"], None),
            (&["a"], None),
            (&[], None),
        ] {
            let mut written = Written::default();
            values.iter().for_each(|value| written.observe(value));
            let note = written.note("c");
            match word {
                Some(word) => assert!(
                    note.as_ref().is_some_and(|n| n.contains(word)),
                    "{values:?} {note:?}"
                ),
                None => assert_eq!(note, None, "{values:?}"),
            }
        }
    }
}
