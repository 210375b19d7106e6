//! What PostgreSQL says of its settings, and those that it has for its own planner: they are kept and have no effect
//! here, as a hint that a planner does not take.
//!
//! ```text
//! SET random_page_cost = 1.1   ─►   SHOW random_page_cost: 1.1
//! SET random_page_cost = -1    ─►   22023 -1 is outside the valid range for parameter "random_page_cost" (0 .. 1.79769e+308)
//! ```

use std::sync::OnceLock;

use crate::sqlstate::ServerError;

/// A setting as `pg_settings` describes it.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) name: &'static str,
    /// What its number counts.
    pub(crate) unit: Option<&'static str>,
    pub(crate) category: &'static str,
    pub(crate) description: &'static str,
    pub(crate) more: Option<&'static str>,
    /// Who may change it, and when.
    pub(crate) context: &'static str,
    /// `bool`, `enum`, `integer`, `real` or `string`.
    pub(crate) kind: &'static str,
    pub(crate) least: Option<&'static str>,
    pub(crate) most: Option<&'static str>,
    /// The values of an `enum`.
    pub(crate) values: Vec<&'static str>,
    /// As SHOW prints the default.
    shown: String,
}

/// Units of memory by their size in bytes, the largest first.
const MEMORY: &[(&str, f64)] = &[
    ("TB", 1_099_511_627_776.0),
    ("GB", 1_073_741_824.0),
    ("MB", 1_048_576.0),
    ("kB", 1_024.0),
    ("B", 1.0),
];
/// Units of time by their length in microseconds, the longest first.
const TIME: &[(&str, f64)] = &[
    ("d", 86_400_000_000.0),
    ("h", 3_600_000_000.0),
    ("min", 60_000_000.0),
    ("s", 1_000_000.0),
    ("ms", 1_000.0),
    ("us", 1.0),
];

/// The units that a setting of a unit may be given in, and what one of its own is of their smallest.
fn units(unit: &str) -> Option<(&'static [(&'static str, f64)], f64)> {
    Some(match unit {
        "B" => (MEMORY, 1.0),
        "kB" => (MEMORY, 1_024.0),
        "8kB" => (MEMORY, 8_192.0),
        "MB" => (MEMORY, 1_048_576.0),
        "ms" => (TIME, 1_000.0),
        "s" => (TIME, 1_000_000.0),
        "min" => (TIME, 60_000_000.0),
        _ => return None,
    })
}

fn all() -> &'static [Described] {
    static ALL: OnceLock<Vec<Described>> = OnceLock::new();
    ALL.get_or_init(|| {
        include_str!("described.tsv")
            .lines()
            .filter_map(described)
            .collect()
    })
}

fn described(line: &'static str) -> Option<Described> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let (name, unit, category) = (next()?, next()?, next()?);
    let (description, more) = (next()?, next()?);
    let (context, kind) = (next()?, next()?);
    let (least, most, values, default) = (next()?, next()?, next()?, next()?);
    let mut described = Described {
        name,
        unit: some(unit),
        category,
        description,
        more: some(more),
        context,
        kind,
        least: some(least),
        most: some(most),
        values: some(values).map_or_else(Vec::new, |values| values.split(',').collect()),
        shown: String::new(),
    };
    described.shown = match default.parse::<f64>() {
        Ok(number) if described.is_number() => described.number_shown(number),
        _ => default.to_owned(),
    };
    Some(described)
}

/// The setting of this name in lower case.
pub(crate) fn find(name: &str) -> Option<&'static Described> {
    let all = all();
    let place = all.binary_search_by(|known| known.name.cmp(name)).ok()?;
    all.get(place)
}

/// The settings of PostgreSQL's planner and of what it runs with.
pub(super) fn of_planner() -> impl Iterator<Item = &'static Described> {
    all().iter().filter(|known| known.is_of_planner())
}

/// The setting of this name in lower case, when it is one of the planner's.
pub(super) fn planner(name: &str) -> Option<&'static Described> {
    find(name).filter(|known| known.is_of_planner())
}

impl Described {
    fn is_of_planner(&self) -> bool {
        let of = |category: &str| self.category.starts_with(category);
        self.context == "user"
            && (of("Query Tuning")
                || of("Resource Usage")
                || of("Connections and Authentication")
                    && (self.name.starts_with("tcp_")
                        || self.name.starts_with("client_connection")))
    }

    /// As SHOW prints the default.
    pub(super) fn shown_default(&self) -> &str {
        &self.shown
    }

    fn is_number(&self) -> bool {
        matches!(self.kind, "integer" | "real")
    }

    /// A value that SHOW prints as `pg_settings` has it: a number counts the setting's unit.
    pub(crate) fn in_unit(&self, shown: &str) -> String {
        match self.number(shown) {
            Ok(number) if self.is_number() => general(number),
            _ => shown.to_owned(),
        }
    }

    /// The value in the form that SHOW prints.
    ///
    /// # Errors
    /// 22023 for a value that PostgreSQL does not take.
    pub(super) fn checked(&self, value: &str) -> Result<String, ServerError> {
        match self.kind {
            "bool" => match super::boolean(value) {
                Some(on) => Ok(if on { "on" } else { "off" }.to_owned()),
                None => {
                    let text = format!("parameter \"{}\" requires a Boolean value", self.name);
                    Err(ServerError::new("22023", text))
                }
            },
            "enum" => self.chosen(value),
            "integer" | "real" => {
                let number = self.number(value)?;
                self.in_range(number)?;
                Ok(self.number_shown(number))
            }
            _ => Ok(value.to_owned()),
        }
    }

    fn chosen(&self, value: &str) -> Result<String, ServerError> {
        let named = |wanted: &str| {
            let mut values = self.values.iter();
            values.find(|one| one.eq_ignore_ascii_case(wanted))
        };
        // Where there are `on` and `off`, all words for them are known.
        let truth = super::boolean(value).map(|on| if on { "on" } else { "off" });
        let found = named(value).or_else(|| named(truth?));
        found.map(|found| (*found).to_owned()).ok_or_else(|| {
            let values = self.values.join(", ");
            self.invalid(value)
                .hint(format!("Available values: {values}."))
        })
    }

    fn invalid(&self, value: &str) -> ServerError {
        let text = format!("invalid value for parameter \"{}\": \"{value}\"", self.name);
        ServerError::new("22023", text)
    }

    /// The number that a text says, in the setting's unit; a whole one where it has no fractions.
    fn number(&self, value: &str) -> Result<f64, ServerError> {
        let invalid = || self.invalid(value);
        let (number, unit) = leading_number(value.trim()).ok_or_else(invalid)?;
        let unit = unit.trim();
        let own = self.unit.and_then(units);
        let number = match (unit, own) {
            ("", _) => number,
            (_, None) => return Err(invalid()),
            (unit, Some((known, own))) => match known.iter().find(|(name, _)| *name == unit) {
                Some((_, size)) => number * size / own,
                None => {
                    let names: Vec<String> =
                        known.iter().rev().map(|k| format!("\"{}\"", k.0)).collect();
                    let (last, others) = names.split_last().ok_or_else(invalid)?;
                    let others = others.join(", ");
                    let hint = format!("Valid units for this parameter are {others}, and {last}.");
                    return Err(invalid().hint(hint));
                }
            },
        };
        if self.kind != "integer" {
            return Ok(number);
        }
        let number = number.round_ties_even();
        match (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
            true => Ok(number),
            false => Err(invalid().hint("Value exceeds integer range.")),
        }
    }

    fn in_range(&self, number: f64) -> Result<(), ServerError> {
        let bound = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
        let below = bound(self.least).is_some_and(|least| number < least);
        // The largest of all is written with fewer digits than it has.
        let above = bound(self.most).is_some_and(|most| number > most && most < 1e300);
        if !below && !above {
            return Ok(());
        }
        let unit = self
            .unit
            .map_or_else(String::new, |unit| format!(" {unit}"));
        let text = format!(
            "{}{unit} is outside the valid range for parameter \"{}\" ({} .. {})",
            general(number),
            self.name,
            self.least.unwrap_or_default(),
            self.most.unwrap_or_default()
        );
        Err(ServerError::new("22023", text))
    }

    /// As SHOW prints a number: in the largest unit that divides it; what is not above 0 has none.
    fn number_shown(&self, number: f64) -> String {
        let Some((known, own)) = self.unit.and_then(units).filter(|_| number > 0.0) else {
            return general(number);
        };
        let whole = known.iter().find_map(|(name, size)| {
            let count = number * own / size;
            (count.fract() == 0.0).then(|| format!("{}{name}", general(count)))
        });
        whole.unwrap_or_else(|| general(number))
    }
}

/// The number that a text begins with, and what follows it.
fn leading_number(text: &str) -> Option<(f64, &str)> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    match number.parse::<f64>() {
        Ok(parsed) if !rest.starts_with(['x', 'X']) => Some((parsed, rest)),
        _ => super::milliseconds::number(text),
    }
}

/// A number as `%g` prints it, and a whole one in full.
fn general(number: f64) -> String {
    let size = number.abs();
    if number.fract() == 0.0 && size < 1e15 {
        return format!("{number:.0}");
    }
    let scientific = format!("{number:.5e}");
    let Some((digits, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |digits: &str| {
        let digits = match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.'),
            false => digits,
        };
        digits.to_owned()
    };
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trimmed(digits), exponent.abs());
    }
    let decimals = usize::try_from(5 - exponent).unwrap_or(0);
    trimmed(&format!("{number:.decimals$}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_of_the_planner_are_read_and_shown_as_postgresql_does() {
        for (name, value, shown) in [
            ("enable_seqscan", "f", "off"),
            ("random_page_cost", "1.1", "1.1"),
            ("random_page_cost", "1e3", "1000"),
            ("temp_buffers", "16MB", "16MB"),
            ("temp_buffers", "1000", "8000kB"),
            ("effective_cache_size", "3.5 GB", "3584MB"),
            ("maintenance_work_mem", "65536", "64MB"),
            (
                "plan_cache_mode",
                "FORCE_GENERIC_PLAN",
                "force_generic_plan",
            ),
            ("constraint_exclusion", "yes", "on"),
            ("join_collapse_limit", "1", "1"),
            ("vacuum_cost_delay", "1.5ms", "1500us"),
        ] {
            let known = planner(name).unwrap();
            assert_eq!(known.checked(value).unwrap(), shown, "{name}");
        }
        for (name, value, text) in [
            (
                "random_page_cost",
                "-1",
                "-1 is outside the valid range for parameter \"random_page_cost\" (0 .. 1.79769e+308)",
            ),
            (
                "geqo_seed",
                "1.5",
                "1.5 is outside the valid range for parameter \"geqo_seed\" (0 .. 1)",
            ),
            (
                "temp_buffers",
                "8kB",
                "1 8kB is outside the valid range for parameter \"temp_buffers\" (100 .. 1073741823)",
            ),
            (
                "join_collapse_limit",
                "x",
                "invalid value for parameter \"join_collapse_limit\": \"x\"",
            ),
            (
                "enable_seqscan",
                "maybe",
                "parameter \"enable_seqscan\" requires a Boolean value",
            ),
        ] {
            let error = planner(name).unwrap().checked(value).unwrap_err();
            assert_eq!((error.code(), error.to_string().as_str()), ("22023", text));
        }
        assert_eq!(find("work_mem").unwrap().in_unit("4MB"), "4096");
        assert_eq!(planner("temp_buffers").unwrap().shown_default(), "8MB");
    }
}
