//! Every setting that the server heeds, with its default and the values that it takes.

use super::{SERVER_VERSION, date_style, described};
use crate::pgwire::encode::IntervalStyle;

/// What values a setting takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Bool,
    Integer(i64, i64),
    Milliseconds,
    OneOf(&'static [&'static str]),
    TimeZone,
    Encoding,
    /// An amount of memory, no less than so many kilobytes.
    Kilobytes(u32),
    /// Only this value, in the sense that SET to another one is an error.
    Fixed,
    /// What the server says of itself, which no SET changes, not even to what it is.
    Internal,
    /// What only a start of the server changes.
    Postmaster,
}

pub(super) struct Known {
    pub(super) name: &'static str,
    pub(super) display: &'static str,
    pub(super) default: &'static str,
    pub(super) kind: Kind,
    /// Sent as ParameterStatus at the start and on every change.
    pub(super) report: bool,
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
/// Values that are taken and not told of.
pub(super) const HIDDEN: &[&str] = &["debug", "info", "fatal", "panic"];

/// Every setting of the server, by name in lower case, sorted.
pub(super) static KNOWN: &[Known] = &[
    reported("application_name", "application_name", "", Kind::Text),
    known("backslash_quote", "safe_encoding", Kind::Text),
    known("block_size", "8192", Kind::Internal),
    known("bytea_output", "hex", Kind::OneOf(&["escape", "hex"])),
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
        "off",
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
    reported("in_hot_standby", "in_hot_standby", "off", Kind::Internal),
    reported(
        "integer_datetimes",
        "integer_datetimes",
        "on",
        Kind::Internal,
    ),
    reported(
        "intervalstyle",
        "IntervalStyle",
        "postgres",
        Kind::OneOf(IntervalStyle::NAMES),
    ),
    reported("is_superuser", "is_superuser", "off", Kind::Internal),
    known("jit", "off", Kind::Bool),
    known("lc_collate", "C", Kind::Internal),
    known("lc_ctype", "C", Kind::Internal),
    known("lc_messages", "C", Kind::Text),
    known("lc_monetary", "C", Kind::Text),
    known("lc_numeric", "C", Kind::Text),
    known("lc_time", "C", Kind::Text),
    known("lock_timeout", "0", Kind::Milliseconds),
    known("max_connections", "200", Kind::Postmaster),
    known("max_identifier_length", "63", Kind::Internal),
    known("max_index_keys", "32", Kind::Internal),
    known(
        "max_parallel_workers_per_gather",
        "2",
        Kind::Integer(0, 1024),
    ),
    known("row_security", "on", Kind::Bool),
    known("role", "none", Kind::Text),
    known("search_path", "\"$user\", public", Kind::Text),
    reported("server_encoding", "server_encoding", "UTF8", Kind::Internal),
    reported(
        "server_version",
        "server_version",
        SERVER_VERSION,
        Kind::Internal,
    ),
    known("server_version_num", "160004", Kind::Internal),
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
    known("transaction_read_only", "off", Kind::Bool),
    known("vacuum_freeze_table_age", "150000000", Kind::Text),
    known("work_mem", "4MB", Kind::Kilobytes(64)),
    known(
        "xmloption",
        "content",
        Kind::OneOf(&["content", "document"]),
    ),
];

/// Settings that can be shown by name, and that no list has.
pub(super) const HIDDEN_FROM_LISTS: &[&str] = &["is_superuser", "role", "session_authorization"];

/// Whether there is a setting of this name, in lower case, that is not a client's own.
pub(super) fn is_known(name: &str) -> bool {
    find(name).is_some() || described::planner(name).is_some()
}

pub(super) fn find(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}
