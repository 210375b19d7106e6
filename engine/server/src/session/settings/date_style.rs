//! Values of `DateStyle`: how dates are shown, and in which order day and month are read.

use crate::sqlstate::ServerError;

/// What it is at first.
pub(super) const DEFAULT: &str = "ISO, MDY";

/// What a list of words says; `None` for what it does not say.
#[derive(Default)]
struct Said {
    style: Option<&'static str>,
    order: Option<&'static str>,
    is_conflicting: bool,
}

impl Said {
    fn style(&mut self, style: &'static str) {
        self.is_conflicting |= self.style.is_some_and(|said| said != style);
        self.style = Some(style);
    }

    fn order(&mut self, order: &'static str) {
        self.is_conflicting |= self.order.is_some_and(|said| said != order);
        self.order = Some(order);
    }
}

/// The value in its canonical form: what it leaves open stays as it is now, and `DEFAULT` leaves it as `reset` has it.
///
/// # Errors
/// 22023 for a word that says nothing, and for two that do not go together.
pub(super) fn read(
    value: &str,
    (style, order): (&str, &str),
    reset: &str,
) -> Result<String, ServerError> {
    let invalid = |detail: String| {
        let text = format!("invalid value for parameter \"DateStyle\": \"{value}\"");
        ServerError::new("22023", text).detail(detail)
    };
    let mut said = Said::default();
    let mut kept = (style, order);
    // Words in quotes are meant as well.
    let words = value.split(',').map(|word| word.trim().trim_matches('"'));
    for word in words.filter(|_| !value.trim().is_empty()) {
        let upper = word.to_ascii_uppercase();
        match upper.as_str() {
            "ISO" => said.style("ISO"),
            "SQL" => said.style("SQL"),
            "GERMAN" => said.style("German"),
            word if word.starts_with("POSTGRES") => said.style("Postgres"),
            "YMD" => said.order("YMD"),
            "DMY" => said.order("DMY"),
            word if word.starts_with("EURO") => said.order("DMY"),
            "MDY" | "US" => said.order("MDY"),
            word if word.starts_with("NONEURO") => said.order("MDY"),
            "DEFAULT" => kept = reset.split_once(", ").unwrap_or(kept),
            _ => {
                let word = word.to_ascii_lowercase();
                return Err(invalid(format!("Unrecognized key word: \"{word}\".")));
            }
        }
    }
    if said.is_conflicting {
        let detail = "Conflicting \"datestyle\" specifications.";
        return Err(invalid(detail.to_owned()));
    }
    let style = said.style.unwrap_or(kept.0);
    // Germans write the day first.
    let order = said.order.unwrap_or(match said.style {
        Some("German") => "DMY",
        _ => kept.1,
    });
    Ok(format!("{style}, {order}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_left_open_stays() {
        let now = ("SQL", "DMY");
        for (value, shown) in [
            ("iso, mdy", "ISO, MDY"),
            ("postgres", "Postgres, DMY"),
            ("YMD", "SQL, YMD"),
            ("German", "German, DMY"),
            ("German, US", "German, MDY"),
            ("European, Postgresql", "Postgres, DMY"),
            ("DEFAULT", "ISO, YMD"),
            ("default, sql", "SQL, YMD"),
            ("", "SQL, DMY"),
        ] {
            assert_eq!(read(value, now, "ISO, YMD").unwrap(), shown, "{value}");
        }
        let detail = |value| {
            read(value, now, DEFAULT)
                .unwrap_err()
                .detail_text()
                .map(str::to_owned)
        };
        assert_eq!(
            detail("ISO, Chinese").unwrap(),
            "Unrecognized key word: \"chinese\"."
        );
        let conflict = "Conflicting \"datestyle\" specifications.";
        assert_eq!(detail("ISO, SQL").unwrap(), conflict);
        assert_eq!(detail("MDY, DMY").unwrap(), conflict);
    }
}
