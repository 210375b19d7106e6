//! Views of statistics: this server counts neither scans nor blocks, as PostgreSQL does without `track_counts`.

use super::{Table, database_oid, int, text};
use crate::pg_catalog::model::{CatalogModel, Relation, SessionInfo};
use crate::pg_catalog::value::Value;

/// One row a table. There are no indexes and no TOAST tables to count of.
pub(super) fn tables(t: &mut Table<'_>, model: &CatalogModel, wanted: fn(&Relation) -> bool) {
    let tables = model
        .relations
        .iter()
        .filter(|r| r.kind == 'r' && wanted(r));
    for r in tables {
        #[expect(clippy::cast_possible_truncation, reason = "row counts fit 64 bits")]
        let live = r.rows.map_or(0, |n| n as i64);
        t.counted(
            &[
                ("relid", int(r.oid)),
                ("schemaname", text(&r.schema)),
                ("relname", text(&r.name)),
                ("n_live_tup", int(live)),
            ],
            &["idx_", "toast_", "tidx_"],
        );
    }
}

/// The row of the one database.
pub(super) fn database(t: &mut Table<'_>, model: &CatalogModel, session: &SessionInfo) {
    let backends = i64::try_from(session.activity.len()).unwrap_or(i64::MAX);
    t.counted(
        &[
            ("datid", int(database_oid(model))),
            ("datname", text(&model.database)),
            ("numbackends", Value::Int(backends)),
        ],
        &["checksum_"],
    );
}
