//! Values of settings, checked and made canonical, and what is wrong with others.

use super::known::{HIDDEN, KNOWN, Kind, Known, find};
use super::{NAME_BYTES_MAX, described, kilobytes, milliseconds};
use crate::session::statement::is_encoding;
use crate::sqlstate::{ServerError, nearest, slip_of};
use crate::zone::Zone;

pub(super) fn unknown(name: &str) -> ServerError {
    let error = ServerError::new(
        "42704",
        format!("unrecognized configuration parameter \"{name}\""),
    );
    let names = KNOWN.iter().map(|known| known.name);
    match slip_of(
        name,
        names.chain(described::of_planner().map(|planner| planner.name)),
    ) {
        Some(similar) => error.hint(format!("Perhaps you meant \"{similar}\".")),
        None => error,
    }
}

/// The name of an application as PostgreSQL keeps it: as long as names are, other than ASCII marked.
fn as_name(value: &str) -> String {
    let shown = value.bytes().map(|byte| match byte {
        b' '..=b'~' => char::from(byte),
        _ => '?',
    });
    shown.take(NAME_BYTES_MAX).collect()
}

/// The value in its canonical form, of any setting whose values do not depend on the one that it has.
pub(super) fn checked(name: &str, value: &str) -> Result<String, ServerError> {
    let Some(known) = find(name) else {
        if let Some(planner) = described::planner(name) {
            return planner.checked(value);
        }
        // The engine's own settings are no client's, and must not look as if they had been set.
        return if name.contains('.') && !name.starts_with("datafusion.") {
            Ok(value.to_owned())
        } else {
            Err(unknown(name))
        };
    };
    let invalid = || {
        ServerError::new(
            "22023",
            format!(
                "invalid value for parameter \"{}\": \"{value}\"",
                known.display
            ),
        )
    };
    // Of a value that has a form PostgreSQL names the setting as the statement does.
    let typed = || {
        let text = format!("invalid value for parameter \"{name}\": \"{value}\"");
        ServerError::new("22023", text)
    };
    changeable(known)?;
    match known.kind {
        Kind::Text if name == "application_name" => Ok(as_name(value)),
        Kind::Text => Ok(value.to_owned()),
        Kind::Bool => boolean(value)
            .map(|on| if on { "on" } else { "off" }.to_owned())
            .ok_or_else(|| {
                ServerError::new(
                    "22023",
                    format!("parameter \"{}\" requires a Boolean value", known.display),
                )
            }),
        Kind::Integer(low, high) => {
            let number = whole_number(value).ok_or_else(typed)?;
            if (low..=high).contains(&number) {
                Ok(number.to_string())
            } else {
                let text = format!(
                    "{number} is outside the valid range for parameter \"{}\" ({low} .. {high})",
                    known.display
                );
                Err(ServerError::new("22023", text))
            }
        }
        Kind::Milliseconds => match milliseconds::read(value) {
            Ok(length) => Ok(milliseconds::shown(length)),
            Err(milliseconds::Unread::Negative(length)) => {
                let text = format!(
                    "{length} ms is outside the valid range for parameter \"{}\" (0 .. {})",
                    known.display,
                    i32::MAX
                );
                Err(ServerError::new("22023", text))
            }
            Err(unread) => Err(match unread.hint() {
                Some(hint) => invalid().hint(hint),
                None => invalid(),
            }),
        },
        Kind::OneOf(values) => values
            .iter()
            .find(|one| one.eq_ignore_ascii_case(value))
            .map(|one| (*one).to_owned())
            .ok_or_else(|| {
                let told = values.iter().filter(|value| !HIDDEN.contains(value));
                let told: Vec<&str> = told.copied().collect();
                typed().hint(format!("Available values: {}.", told.join(", ")))
            }),
        Kind::Kilobytes(least) => match kilobytes::read(value) {
            Ok(amount) if amount >= least => Ok(kilobytes::shown(amount)),
            Ok(amount) => Err(out_of_range(amount.into(), " kB", name, least)),
            Err(kilobytes::Unread::Negative(amount)) => {
                Err(out_of_range(amount, " kB", name, least))
            }
            Err(unread) => Err(match unread.hint() {
                Some(hint) => typed().hint(hint),
                None => typed(),
            }),
        },
        Kind::TimeZone => {
            let zone = Zone::of_setting(value);
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            zone.map(|(_, shown)| shown)
                .ok_or_else(|| match nearest(value, names) {
                    Some(meant) => invalid().hint(format!("Did you mean \"{meant}\"?")),
                    None if value.trim().parse::<f64>().is_ok() => {
                        invalid().detail("UTC timezone offset is out of range.".to_owned())
                    }
                    None => invalid(),
                })
        }
        Kind::Encoding => {
            let plain = value.to_ascii_uppercase().replace(['-', '_', '\''], "");
            match plain.as_str() {
                "UTF8" | "UNICODE" => Ok("UTF8".to_owned()),
                _ => Err(match is_encoding(&plain.to_ascii_lowercase()) {
                    true => invalid().hint("This server speaks UTF8 only."),
                    false => invalid(),
                }),
            }
        }
        Kind::Internal | Kind::Postmaster => Ok(value.to_owned()),
        Kind::Fixed if value.eq_ignore_ascii_case(known.default) => Ok(known.default.to_owned()),
        Kind::Fixed if known.default == "on" && boolean(value).is_none() => {
            let text = format!("parameter \"{name}\" requires a Boolean value");
            Err(ServerError::new("22023", text))
        }
        Kind::Fixed => Err(cannot_change(known, "")),
    }
}

/// # Errors
/// 55P02 for a setting that no session changes.
pub(super) fn changeable(known: &Known) -> Result<(), ServerError> {
    match known.kind {
        Kind::Internal => Err(cannot_change(known, "")),
        Kind::Postmaster => Err(cannot_change(known, " without restarting the server")),
        _ => Ok(()),
    }
}

fn cannot_change(known: &Known, how: &str) -> ServerError {
    let text = format!("parameter \"{}\" cannot be changed{how}", known.name);
    ServerError::new("55P02", text)
}

fn out_of_range(number: i64, unit: &str, name: &str, least: u32) -> ServerError {
    let text = format!(
        "{number}{unit} is outside the valid range for parameter \"{name}\" ({least} .. {})",
        i32::MAX
    );
    ServerError::new("22023", text)
}

/// A whole number, of a text that may have a fraction to be rounded.
fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number = text.parse::<f64>().ok()?.round_ties_even();
    let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "a whole number in range")]
    fits.then_some(number as i64)
}

pub(super) fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some(true),
        "off" | "false" | "no" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}
