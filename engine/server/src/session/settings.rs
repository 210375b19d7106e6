//! Session settings: what SET accepts, SHOW prints and clients are told of.
//!
//! The table [`KNOWN`] is an allow-list. A name with a dot is a client's own setting and is kept
//! without meaning, as in PostgreSQL.

mod date_style;
pub(crate) mod described;
mod milliseconds;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use described::Described;

use crate::clock::{Clock, DateOrder};
use crate::pgwire::encode::{DateStyle, IntervalStyle, TextStyle};
use crate::sqlstate::{ServerError, nearest, slip_of};
use crate::zone::Zone;

/// The PostgreSQL release whose behaviour clients may expect.
pub const SERVER_VERSION: &str = "16.4";

/// What values a setting takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Bool,
    Integer(i64, i64),
    Milliseconds,
    OneOf(&'static [&'static str]),
    TimeZone,
    Encoding,
    /// Only these values, in the sense that SET to another one is an error.
    Fixed,
}

struct Known {
    name: &'static str,
    display: &'static str,
    default: &'static str,
    kind: Kind,
    /// Sent as ParameterStatus at the start and on every change.
    report: bool,
}

const fn known(name: &'static str, default: &'static str, kind: Kind) -> Known {
    Known {
        name,
        display: name,
        default,
        kind,
        report: false,
    }
}

const fn reported(
    name: &'static str,
    display: &'static str,
    default: &'static str,
    kind: Kind,
) -> Known {
    Known {
        name,
        display,
        default,
        kind,
        report: true,
    }
}

const ISOLATION: &[&str] = &[
    "serializable",
    "repeatable read",
    "read committed",
    "read uncommitted",
];
const MESSAGE_LEVELS: &[&str] = &[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "info", "notice", "warning",
    "error", "fatal", "panic",
];

/// Every setting of the server, by name in lower case, sorted.
static KNOWN: &[Known] = &[
    reported("application_name", "application_name", "", Kind::Text),
    known("backslash_quote", "safe_encoding", Kind::Text),
    known("block_size", "8192", Kind::Fixed),
    known("bytea_output", "hex", Kind::OneOf(&["hex", "escape"])),
    known("check_function_bodies", "on", Kind::Bool),
    reported("client_encoding", "client_encoding", "UTF8", Kind::Encoding),
    known("client_min_messages", "notice", Kind::OneOf(MESSAGE_LEVELS)),
    reported("datestyle", "DateStyle", date_style::DEFAULT, Kind::Text),
    known("default_table_access_method", "heap", Kind::Text),
    known("default_tablespace", "", Kind::Text),
    known(
        "default_text_search_config",
        "pg_catalog.english",
        Kind::Text,
    ),
    known("default_transaction_deferrable", "off", Kind::Bool),
    known(
        "default_transaction_isolation",
        "repeatable read",
        Kind::OneOf(ISOLATION),
    ),
    reported(
        "default_transaction_read_only",
        "default_transaction_read_only",
        "on",
        Kind::Bool,
    ),
    known("escape_string_warning", "on", Kind::Bool),
    known("extra_float_digits", "1", Kind::Integer(-15, 3)),
    known("geqo", "on", Kind::Bool),
    known(
        "idle_in_transaction_session_timeout",
        "0",
        Kind::Milliseconds,
    ),
    known("idle_session_timeout", "0", Kind::Milliseconds),
    reported("in_hot_standby", "in_hot_standby", "off", Kind::Fixed),
    reported("integer_datetimes", "integer_datetimes", "on", Kind::Fixed),
    reported(
        "intervalstyle",
        "IntervalStyle",
        "postgres",
        Kind::OneOf(IntervalStyle::NAMES),
    ),
    reported("is_superuser", "is_superuser", "off", Kind::Fixed),
    known("jit", "off", Kind::Bool),
    known("lc_collate", "C", Kind::Fixed),
    known("lc_ctype", "C", Kind::Fixed),
    known("lc_messages", "C", Kind::Text),
    known("lc_monetary", "C", Kind::Text),
    known("lc_numeric", "C", Kind::Text),
    known("lc_time", "C", Kind::Text),
    known("lock_timeout", "0", Kind::Milliseconds),
    known("max_connections", "200", Kind::Fixed),
    known("max_identifier_length", "63", Kind::Fixed),
    known("max_index_keys", "32", Kind::Fixed),
    known(
        "max_parallel_workers_per_gather",
        "2",
        Kind::Integer(0, 1024),
    ),
    known("row_security", "on", Kind::Bool),
    known("role", "none", Kind::Text),
    known("search_path", "\"$user\", public", Kind::Text),
    reported("server_encoding", "server_encoding", "UTF8", Kind::Fixed),
    reported(
        "server_version",
        "server_version",
        SERVER_VERSION,
        Kind::Fixed,
    ),
    known("server_version_num", "160004", Kind::Fixed),
    reported(
        "session_authorization",
        "session_authorization",
        "",
        Kind::Text,
    ),
    known("ssl", "off", Kind::Fixed),
    reported(
        "standard_conforming_strings",
        "standard_conforming_strings",
        "on",
        Kind::Fixed,
    ),
    known("statement_timeout", "0", Kind::Milliseconds),
    known("synchronize_seqscans", "on", Kind::Bool),
    known("synchronous_commit", "on", Kind::Text),
    reported("timezone", "TimeZone", "UTC", Kind::TimeZone),
    known("transaction_deferrable", "off", Kind::Bool),
    known(
        "transaction_isolation",
        "repeatable read",
        Kind::OneOf(ISOLATION),
    ),
    known("transaction_read_only", "on", Kind::Bool),
    known("vacuum_freeze_table_age", "150000000", Kind::Text),
    known("work_mem", "4MB", Kind::Text),
    known(
        "xmloption",
        "content",
        Kind::OneOf(&["content", "document"]),
    ),
];

/// Settings that can be shown by name, and that no list has.
const HIDDEN_FROM_LISTS: &[&str] = &["is_superuser", "role", "session_authorization"];

/// Whether there is a setting of this name, in lower case, that is not a client's own.
fn is_known(name: &str) -> bool {
    find(name).is_some() || described::planner(name).is_some()
}

fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// The settings of one session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Values that differ from the built-in default, by lower-case name.
    values: BTreeMap<String, String>,
    /// What RESET goes back to: values of the start-up message and of the server.
    session_defaults: BTreeMap<String, String>,
    /// SET LOCAL, until the transaction ends.
    local: BTreeMap<String, String>,
    /// Names of the client's own settings that were ever set: they are empty once they are taken back.
    own: BTreeSet<String>,
}

impl Settings {
    /// Settings with session defaults `defaults`; unknown names among them are refused.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub fn new<'a>(
        defaults: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Settings, ServerError> {
        let mut settings = Settings::default();
        for (name, value) in defaults {
            let name = name.to_ascii_lowercase();
            let value = settings.checked(&name, value)?;
            if !is_known(&name) {
                settings.own.insert(name.clone());
            }
            settings.session_defaults.insert(name, value);
        }
        Ok(settings)
    }

    /// Sets a default without the check that clients are under: for fixed settings.
    pub fn force(&mut self, name: &str, value: &str) {
        self.session_defaults
            .insert(name.to_owned(), value.to_owned());
    }

    /// The value of a setting, None when there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        [&self.local, &self.values, &self.session_defaults]
            .into_iter()
            .find_map(|layer| layer.get(&name).map(String::as_str))
            .or_else(|| find(&name).map(|known| known.default))
            .or_else(|| described::planner(&name).map(Described::shown_default))
            .or_else(|| self.own.contains(&name).then_some(""))
    }

    /// As [`Settings::get`], with 42704 for an unknown name.
    ///
    /// # Errors
    /// 42704.
    pub fn show(&self, name: &str) -> Result<&str, ServerError> {
        self.get(name).ok_or_else(|| unknown(name))
    }

    /// Sets a value; None resets it to the session's default.
    ///
    /// # Errors
    /// 42704 for an unknown name, 22023 for a value it does not take, 55P02 for a fixed one.
    pub fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<(), ServerError> {
        let name = name.to_ascii_lowercase();
        let Some(value) = value else {
            if !is_known(&name) && (!name.contains('.') || name.starts_with("datafusion.")) {
                return Err(unknown(&name));
            }
            self.local.remove(&name);
            self.values.remove(&name);
            return Ok(());
        };
        let value = self.checked(&name, value)?;
        if !is_known(&name) {
            self.own.insert(name.clone());
        }
        if local {
            self.local.insert(name, value);
        } else {
            self.local.remove(&name);
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// Goes back to earlier settings, as a transaction does that is rolled back.
    pub fn restore(&mut self, before: Settings) {
        let own = std::mem::replace(self, before);
        self.own.extend(own.own);
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) {
        self.values.clear();
        self.local.clear();
    }

    /// The end of a transaction: SET LOCAL ends.
    pub fn end_transaction(&mut self) {
        self.local.clear();
    }

    /// Settings that clients are told of, by the name the protocol uses.
    #[must_use]
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        KNOWN
            .iter()
            .filter(|known| known.report)
            .map(|known| {
                (
                    known.display,
                    self.get(known.name).unwrap_or_default().to_owned(),
                )
            })
            .collect()
    }

    /// Every setting with its value, for SHOW ALL and `pg_settings`.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, String)> {
        let known = KNOWN
            .iter()
            .filter(|known| !HIDDEN_FROM_LISTS.contains(&known.name))
            .map(|known| (known.display, known.name));
        let of_planner = described::of_planner().filter(|planner| find(planner.name).is_none());
        let mut names: Vec<_> = known
            .chain(of_planner.map(|planner| (planner.name, planner.name)))
            .collect();
        names.sort_by_key(|(_, name)| *name);
        let value = |name| self.get(name).unwrap_or_default().to_owned();
        let all = names.into_iter();
        all.map(|(display, name)| (display, value(name))).collect()
    }

    /// What a setting goes back to, and what it is where nobody says otherwise.
    #[must_use]
    pub(crate) fn reset_of(&self, name: &str) -> (String, &'static str) {
        let name = name.to_ascii_lowercase();
        let known = find(&name).map(|known| known.default);
        let default = known.or_else(|| described::planner(&name).map(Described::shown_default));
        let default = default.unwrap_or_default();
        let reset = self.session_defaults.get(&name);
        (
            reset.map_or_else(|| default.to_owned(), Clone::clone),
            default,
        )
    }

    /// The client's own settings with their values, which no list shows.
    pub fn own(&self) -> impl Iterator<Item = (&str, &str)> {
        let value = |name: &String| self.get(name).unwrap_or_default();
        self.own
            .iter()
            .map(move |name| (name.as_str(), value(name)))
    }

    /// The longest a statement may run; None without limit.
    #[must_use]
    pub fn statement_timeout(&self) -> Option<Duration> {
        self.milliseconds("statement_timeout")
    }

    /// How long a session may idle inside a transaction, or outside of one.
    #[must_use]
    pub fn idle_timeout(&self, in_transaction: bool) -> Option<Duration> {
        let name = match in_transaction {
            true => "idle_in_transaction_session_timeout",
            false => "idle_session_timeout",
        };
        self.milliseconds(name)
    }

    fn milliseconds(&self, name: &str) -> Option<Duration> {
        let length = self
            .get(name)
            .and_then(|text| milliseconds::read(text).ok());
        length
            .filter(|length| *length > 0)
            .map(|length| Duration::from_millis(length.into()))
    }

    /// The schemas of `search_path`, in order, `"$user"` replaced.
    #[must_use]
    pub fn search_path(&self, user: &str) -> Vec<String> {
        let path = self.get("search_path").unwrap_or_default();
        path.split(',')
            .map(|item| item.trim())
            .map(
                |item| match item.strip_prefix('"').and_then(|i| i.strip_suffix('"')) {
                    Some(quoted) => quoted.replace("\"\"", "\""),
                    None => item.trim_matches('\'').to_ascii_lowercase(),
                },
            )
            .filter(|item| !item.is_empty())
            .map(|item| {
                if item == "$user" {
                    user.to_owned()
                } else {
                    item
                }
            })
            .collect()
    }

    /// The zone of `timestamptz` output and of `now()`.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        self.get("timezone").unwrap_or("UTC")
    }

    /// The clock by which the session reads and shows times, with the time that it is now.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let zone = Zone::of_setting(self.time_zone());
        let (_, order) = self.date_style();
        let now = Clock::read();
        Clock {
            zone: zone.map_or(Zone::UTC, |(zone, _)| zone),
            order: match order {
                "DMY" => DateOrder::Dmy,
                "YMD" => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            },
            transaction: now,
            statement: now,
        }
    }

    /// The style of `DateStyle` and its order of day and month.
    fn date_style(&self) -> (&str, &str) {
        let value = self.get("datestyle").unwrap_or_default();
        value.split_once(", ").unwrap_or_default()
    }

    /// The value in its canonical form.
    fn checked(&self, name: &str, value: &str) -> Result<String, ServerError> {
        match name {
            "datestyle" => {
                let reset = self.session_defaults.get(name).map(String::as_str);
                let reset = reset.unwrap_or(date_style::DEFAULT);
                date_style::read(value, self.date_style(), reset)
            }
            _ => checked(name, value),
        }
    }

    /// The settings that change text output.
    #[must_use]
    pub fn text_style(&self) -> TextStyle {
        TextStyle {
            clock: self.clock(),
            dates: DateStyle::named(self.date_style().0),
            bytea_escape: self.get("bytea_output") == Some("escape"),
            intervals: IntervalStyle::named(self.get("intervalstyle").unwrap_or_default()),
            fewer_float_digits: self
                .get("extra_float_digits")
                .and_then(|digits| digits.parse().ok())
                .filter(|digits| *digits <= 0),
        }
    }
}

fn unknown(name: &str) -> ServerError {
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

/// The value in its canonical form, of any setting whose values do not depend on the one that it has.
fn checked(name: &str, value: &str) -> Result<String, ServerError> {
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
    match known.kind {
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
            let number: i64 = value.trim().parse().map_err(|_| invalid())?;
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
            .ok_or_else(|| invalid().hint(format!("Available values: {}.", values.join(", ")))),
        Kind::TimeZone => {
            let zone = Zone::of_setting(value);
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            zone.map(|(_, shown)| shown)
                .ok_or_else(|| match nearest(value, names) {
                    Some(meant) => invalid().hint(format!("Did you mean \"{meant}\"?")),
                    None => invalid(),
                })
        }
        Kind::Encoding => {
            let plain = value.to_ascii_uppercase().replace(['-', '_', '\''], "");
            match plain.as_str() {
                "UTF8" | "UNICODE" => Ok("UTF8".to_owned()),
                _ => Err(invalid().hint("This server speaks UTF8 only.")),
            }
        }
        Kind::Fixed if value.eq_ignore_ascii_case(known.default) => Ok(known.default.to_owned()),
        Kind::Fixed => Err(ServerError::new(
            "55P02",
            format!("parameter \"{}\" cannot be changed", known.display),
        )),
    }
}

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some(true),
        "off" | "false" | "no" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_are_checked_and_made_canonical() {
        let mut settings = Settings::default();
        for (name, value, shown) in [
            ("DateStyle", "iso, dmy", "ISO, DMY"),
            ("client_encoding", "utf-8", "UTF8"),
            ("statement_timeout", "5s", "5s"),
            ("default_transaction_read_only", "true", "on"),
            ("my.own", "x", "x"),
        ] {
            settings.set(name, Some(value), false).unwrap();
            assert_eq!(settings.show(name).unwrap(), shown);
        }
        assert_eq!(settings.statement_timeout(), Some(Duration::from_secs(5)));
        for (name, value, code) in [
            ("nope", "1", "42704"),
            ("client_encoding", "LATIN1", "22023"),
            ("server_version", "17", "55P02"),
            ("datafusion.x", "1", "42704"),
            ("timezone", "Mars/Olympus", "22023"),
        ] {
            let result = settings.set(name, Some(value), false);
            assert_eq!(result.err().map_or("", |e| e.code()), code, "{name}");
        }
    }

    #[test]
    fn a_zone_that_was_misspelt_is_named() {
        let mut settings = Settings::default();
        let error = settings
            .set("TimeZone", Some("Asia/Tokio"), false)
            .unwrap_err();
        assert_eq!(error.hint_text(), Some("Did you mean \"Asia/Tokyo\"?"));
    }

    #[test]
    fn local_values_end_with_the_transaction() {
        let mut settings = Settings::default();
        settings.set("timezone", Some("Asia/Tokyo"), true).unwrap();
        assert_eq!(settings.time_zone(), "Asia/Tokyo");
        settings.end_transaction();
        assert_eq!(settings.time_zone(), "UTC");
    }

    #[test]
    fn search_path_names_schemas() {
        let mut settings = Settings::default();
        assert_eq!(settings.search_path("ann"), ["ann", "public"]);
        settings
            .set("search_path", Some("Demo, \"B\""), false)
            .unwrap();
        assert_eq!(settings.search_path("ann"), ["demo", "B"]);
    }
}
