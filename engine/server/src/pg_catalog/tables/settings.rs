//! `pg_settings`: the settings of the session, with what PostgreSQL says of them.

use super::{Table, text};
use crate::pg_catalog::model::{CatalogModel, SessionInfo};
use crate::pg_catalog::value::Value;
use crate::pg_types::oid;
use crate::session::described::{self, Described};

/// One row a setting. A client's own settings, which have a dot in their names, are not listed.
pub(super) fn rows(t: &mut Table<'_>, model: &CatalogModel, session: &SessionInfo) {
    let mut all: Vec<_> = model.settings.iter().collect();
    all.sort_by_key(|setting| setting.name.to_lowercase());
    for setting in all {
        let own = session.settings.get(&setting.name.to_lowercase());
        row(t, session, &setting.name, own.unwrap_or(&setting.value));
    }
}

/// A setting, with what PostgreSQL says of it: a number counts its unit.
fn row(t: &mut Table<'_>, session: &SessionInfo, name: &str, shown: &str) {
    let described = described::find(&name.to_lowercase());
    let in_unit = |value: &str| match described {
        Some(described) => text(described.in_unit(value)),
        None => text(value),
    };
    let said = |of: fn(&Described) -> &'static str| described.map_or(Value::Null, |d| text(of(d)));
    let maybe_said =
        |of: fn(&Described) -> Option<&'static str>| Value::optional_text(described.and_then(of));
    let resets = session.resets.get(&name.to_lowercase());
    let (reset, default) = match resets {
        Some((reset, default)) => (reset.as_str(), default.as_str()),
        None => (shown, shown),
    };
    let source = match (shown == reset, reset == default) {
        (true, true) => "default",
        (true, false) => "client",
        (false, _) => "session",
    };
    let values = described.filter(|d| !d.values.is_empty()).map(|d| {
        let values = d.values.iter().map(|value| text(*value)).collect();
        Value::array(oid::TEXT, values)
    });
    t.row(&[
        ("name", text(name)),
        ("setting", in_unit(shown)),
        ("unit", maybe_said(|d| d.unit)),
        ("category", said(|d| d.category)),
        ("short_desc", said(|d| d.description)),
        ("extra_desc", maybe_said(|d| d.more)),
        ("context", said(|d| d.context)),
        ("vartype", said(|d| d.kind)),
        ("source", text(source)),
        ("min_val", maybe_said(|d| d.least)),
        ("max_val", maybe_said(|d| d.most)),
        ("enumvals", values.unwrap_or(Value::Null)),
        ("boot_val", in_unit(default)),
        ("reset_val", in_unit(reset)),
        ("pending_restart", Value::Bool(false)),
    ]);
}
