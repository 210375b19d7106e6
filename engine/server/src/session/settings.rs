//! Session settings: what SET accepts, SHOW prints and clients are told of.
//!
//! The table [`known::KNOWN`] is an allow-list. A name with a dot is a client's own setting and is kept
//! without meaning, as in PostgreSQL.

mod checked;
mod date_style;
pub(crate) mod described;
mod kilobytes;
mod known;
mod milliseconds;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use checked::{boolean, changeable, checked, unknown};
use described::Described;
use known::{HIDDEN_FROM_LISTS, KNOWN, find, is_known};

use super::modes::next_of;
use crate::clock::{Clock, DateOrder};
use crate::pgwire::encode::{DateStyle, IntervalStyle, TextStyle};
use crate::sqlstate::ServerError;
use crate::zone::Zone;

/// The PostgreSQL release whose behaviour clients may expect.
pub const SERVER_VERSION: &str = "16.4";

/// Bytes of a name of PostgreSQL.
const NAME_BYTES_MAX: usize = 63;
/// Bytes that the names and values of all settings of a session may have.
const ALL_BYTES_MAX: usize = 256 << 10;

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

    /// Whether a client wants to hear nothing of the kind of a message.
    pub(crate) fn silences(&self, message: &ServerError) -> bool {
        match self.get("client_min_messages") {
            Some("warning") => message.is_notice(),
            Some("error") => message.is_notice() || message.is_warning(),
            _ => false,
        }
    }

    /// The value of a setting, None when there is none of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = name.to_ascii_lowercase();
        if let Some(next) = next_of(&name) {
            let own = self.local.get(&name).map(String::as_str);
            return own.or_else(|| self.get(next));
        }
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
        let local = local || next_of(&name).is_some();
        let Some(value) = value else {
            if !is_known(&name) && (!name.contains('.') || name.starts_with("datafusion.")) {
                return Err(unknown(&name));
            }
            if let Some(known) = find(&name) {
                changeable(known)?;
            }
            self.local.remove(&name);
            self.values.remove(&name);
            return Ok(());
        };
        let value = self.checked(&name, value)?;
        self.check_room(&name, &value)?;
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

    /// The bytes of names and values that were set.
    pub(crate) fn bytes(&self) -> usize {
        let all = self.values.iter().chain(&self.local);
        let own: usize = self.own.iter().map(String::len).sum();
        own + all
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>()
    }

    /// # Errors
    /// 53200 when the settings would take more than they may: each savepoint keeps them.
    fn check_room(&self, name: &str, value: &str) -> Result<(), ServerError> {
        let all = self.values.iter().chain(&self.local);
        let others = all.filter(|(other, _)| *other != name);
        let others = others.map(|(name, value)| name.len() + value.len());
        let own: usize = self.own.iter().map(String::len).sum();
        let bytes = others.sum::<usize>() + own + name.len() + value.len();
        match bytes <= ALL_BYTES_MAX {
            true => Ok(()),
            false => Err(ServerError::new("53200", "out of memory")
                .detail(format!(
                    "The settings of a session may have {ALL_BYTES_MAX} bytes."
                ))
                .hint("RESET those that are not needed any more.")),
        }
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

    /// Those that no list has and that `current_setting` knows, by name.
    pub(crate) fn unlisted(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = HIDDEN_FROM_LISTS.iter();
        names.filter_map(|name| Some((*name, self.get(name)?)))
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

    /// How long a statement may wait for an advisory lock.
    pub(super) fn lock_timeout(&self) -> Option<Duration> {
        self.milliseconds("lock_timeout")
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
