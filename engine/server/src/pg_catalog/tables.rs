//! Rows of the system relations, made from the model.

use std::collections::HashMap;
use std::sync::Arc;

use super::acl;
use super::builtin::{Function, TypeInfo, builtin};
use super::convert::vector;
use super::error::{CatalogError, Result};
use super::eval::Row;
use super::functions::{address, port, widths};
use super::model::{CatalogModel, OWNER, Relation, SessionInfo, is_temporary, oid_of};
use super::numeric::Numeric;
use super::rules::SequenceFacts;
use super::value::{Value, base_type, element_type};
use crate::pg_types::oid;

mod rules;
mod settings;
mod statistics;
mod zones;

/// Languages of functions.
pub(crate) const LANGUAGES: [(u32, &str); 3] = [(12, "internal"), (13, "c"), (14, "sql")];
/// Tablespaces.
pub(crate) const TABLESPACES: [(u32, &str); 2] = [(1663, "pg_default"), (1664, "pg_global")];

/// Stands for `pg_settings` where only an OID is at hand.
pub(crate) const SETTINGS: u32 = 0;

pub(crate) const PG_PROC: u32 = 1255;
const PG_CLASS: u32 = 1259;
const PG_NAMESPACE: u32 = 2615;

struct Table<'m> {
    relation: &'m Relation,
    columns: HashMap<&'m str, usize>,
    template: Vec<Value>,
    rows: Vec<Row>,
}

impl<'m> Table<'m> {
    fn new(relation: &'m Relation) -> Self {
        let columns = relation
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| (c.name.as_str(), i))
            .collect();
        let template = relation
            .columns
            .iter()
            .map(|c| {
                if c.not_null {
                    neutral(c.ty)
                } else {
                    Value::Null
                }
            })
            .collect();
        Self {
            relation,
            columns,
            template,
            rows: Vec::new(),
        }
    }

    /// Adds a row; columns not named are NULL, or neutral where NULL is not allowed.
    fn row(&mut self, fields: &[(&str, Value)]) {
        let mut row = self.template.clone();
        for (name, value) in fields {
            if let Some(i) = self.columns.get(name) {
                row[*i] = value.clone();
            }
        }
        self.rows.push(row.into());
    }

    /// Adds a row of counters: numbers that are not named are 0, but for those of what there is none of.
    fn counted(&mut self, fields: &[(&str, Value)], without: &[&str]) {
        let counters = self.relation.columns.iter().filter_map(|column| {
            let zero = match column.ty {
                oid::INT4 | oid::INT8 => Value::Int(0),
                oid::FLOAT8 => Value::Float(0.0),
                oid::NUMERIC => Value::Numeric(Numeric::from(0)),
                _ => return None,
            };
            let name = column.name.as_str();
            let counts = !without.iter().any(|prefix| name.starts_with(prefix));
            counts.then_some((name, zero))
        });
        let named = fields.iter().map(|(name, value)| (*name, value.clone()));
        let all: Vec<(&str, Value)> = counters.chain(named).collect();
        self.row(&all);
    }
}

fn neutral(ty: u32) -> Value {
    match base_type(ty) {
        oid::BOOL => Value::Bool(false),
        oid::TEXT | oid::NAME | oid::CHAR | oid::VARCHAR | oid::PG_NODE_TREE => Value::text(""),
        oid::FLOAT4 | oid::FLOAT8 => Value::Float(0.0),
        t => match element_type(t) {
            Some(element) if matches!(t, oid::INT2VECTOR | oid::OIDVECTOR) => {
                vector(element, Vec::new())
            }
            Some(element) => Value::array(element, Vec::new()),
            None => Value::Int(0),
        },
    }
}

fn text(text: impl AsRef<str>) -> Value {
    Value::text(text)
}

fn int(n: impl Into<i64>) -> Value {
    Value::Int(n.into())
}

fn letter(c: char) -> Value {
    Value::text(c.to_string())
}

fn maybe(text: Option<&String>) -> Value {
    Value::optional_text(text)
}

fn size(n: usize) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

fn maybe_time(micros: Option<i64>) -> Value {
    micros.map_or(Value::Null, Value::Timestamp)
}

/// What a session waits for when it runs nothing.
fn waits_for_client(state: &str, what: &str) -> Value {
    match state.starts_with("idle") {
        true => text(what),
        false => Value::Null,
    }
}

fn types_array(oids: &[u32]) -> Value {
    Value::array(oid::REGTYPE, oids.iter().map(|o| int(*o)).collect())
}

/// Rows of a system relation.
pub(crate) fn rows(model: &CatalogModel, session: &SessionInfo, oid: u32) -> Result<Arc<Vec<Row>>> {
    let relation = if oid == SETTINGS {
        model.find_relation(Some("pg_catalog"), "pg_settings", &[])
    } else {
        model.relation(oid)
    };
    let relation = relation
        .filter(|r| r.system)
        .ok_or_else(|| CatalogError::unsupported("reading a user table in a catalog query"))?;
    if let Some(rows) = model.rows.lock().get(&relation.oid) {
        return Ok(Arc::clone(rows));
    }
    let mut table = Table::new(relation);
    if session_rows(&mut table, model, session) {
        return Ok(Arc::new(table.rows));
    }
    match relation.schema.as_str() {
        "information_schema" if rules::information(&mut table, model) => {}
        "information_schema" => information_schema(&mut table, model),
        _ if rules::catalog(&mut table, model) => {}
        _ => catalog_rows(&mut table, model),
    }
    let rows = Arc::new(table.rows);
    model.rows.lock().insert(relation.oid, Arc::clone(&rows));
    Ok(rows)
}

/// Relations whose rows differ from session to session; they are not kept.
fn session_rows(t: &mut Table<'_>, model: &CatalogModel, session: &SessionInfo) -> bool {
    match t.relation.name.as_str() {
        "pg_settings" => settings::rows(t, model, session),
        "pg_timezone_names" => zones::names(t),
        "pg_timezone_abbrevs" => zones::abbreviations(t),
        "pg_stat_database" => statistics::database(t, model, session),
        "pg_stat_activity" => {
            for a in &session.activity {
                t.row(&[
                    ("datid", int(database_oid(model))),
                    ("datname", text(&model.database)),
                    ("pid", int(a.pid)),
                    (
                        "usesysid",
                        model
                            .roles
                            .iter()
                            .find(|r| r.name == a.user)
                            .map_or(Value::Null, |r| int(r.oid)),
                    ),
                    ("usename", text(&a.user)),
                    ("application_name", text(&a.application)),
                    (
                        "client_addr",
                        address(a.ends.as_ref().map(|ends| ends.client)),
                    ),
                    ("client_port", port(a.ends.as_ref().map(|ends| ends.client))),
                    ("backend_start", Value::Timestamp(a.started)),
                    ("xact_start", maybe_time(a.transaction_started)),
                    ("query_start", maybe_time(a.query_started)),
                    ("state_change", Value::Timestamp(a.state_changed)),
                    ("wait_event_type", waits_for_client(&a.state, "Client")),
                    ("wait_event", waits_for_client(&a.state, "ClientRead")),
                    ("state", text(&a.state)),
                    ("query", text(&a.query)),
                    ("backend_type", text("client backend")),
                ]);
            }
        }
        "pg_stat_ssl" => {
            for a in &session.activity {
                let tls = a.ends.as_ref().and_then(|ends| ends.encryption.as_ref());
                let shown = tls.and_then(|tls| tls.certificate.as_ref());
                let said = |of: Option<&String>| Value::optional_text(of.map(String::as_str));
                // One of more digits than any number here is not told.
                let serial = shown.map(|shown| shown.serial.as_str());
                t.row(&[
                    ("pid", int(a.pid)),
                    ("ssl", Value::Bool(tls.is_some())),
                    ("version", said(tls.map(|tls| &tls.version))),
                    ("cipher", said(tls.map(|tls| &tls.cipher))),
                    ("bits", tls.map_or(Value::Null, |tls| int(tls.bits))),
                    ("client_dn", said(shown.map(|shown| &shown.subject))),
                    (
                        "client_serial",
                        serial
                            .and_then(Numeric::parse)
                            .map_or(Value::Null, Value::Numeric),
                    ),
                    ("issuer_dn", said(shown.map(|shown| &shown.issuer))),
                ]);
            }
        }
        "pg_prepared_statements" => {
            for p in &session.prepared {
                t.row(&[
                    ("name", text(&p.name)),
                    ("statement", text(&p.statement)),
                    ("prepare_time", Value::Timestamp(p.prepared)),
                    ("parameter_types", types_array(&p.parameters)),
                    (
                        "result_types",
                        p.results.as_deref().map_or(Value::Null, types_array),
                    ),
                    ("from_sql", Value::Bool(p.from_sql)),
                    ("generic_plans", int(p.generic_plans)),
                    ("custom_plans", int(p.custom_plans)),
                ]);
            }
        }
        "pg_cursors" => {
            for c in &session.cursors {
                t.row(&[
                    ("name", text(&c.name)),
                    ("statement", text(&c.statement)),
                    ("is_holdable", Value::Bool(c.holdable)),
                    ("is_binary", Value::Bool(c.binary)),
                    ("is_scrollable", Value::Bool(c.scrollable)),
                    ("creation_time", Value::Timestamp(c.created)),
                ]);
            }
        }
        "enabled_roles" | "applicable_roles" => t.row(&[
            ("role_name", text(&session.user)),
            ("grantee", text(&session.user)),
            ("is_grantable", text("NO")),
        ]),
        _ => return false,
    }
    true
}

pub(crate) fn database_oid(model: &CatalogModel) -> u32 {
    oid_of("database", &model.database, "")
}

#[expect(clippy::too_many_lines, reason = "one arm per relation")]
fn catalog_rows(t: &mut Table<'_>, model: &CatalogModel) {
    match t.relation.name.as_str() {
        "pg_namespace" => model.namespaces.iter().for_each(|n| {
            t.row(&[
                ("oid", int(n.oid)),
                ("nspname", text(&n.name)),
                ("nspowner", int(OWNER)),
                ("nspacl", acl::of_schema(model, n)),
            ])
        }),
        "pg_class" => model.relations.iter().for_each(|r| class(t, model, r)),
        "pg_attribute" => model.relations.iter().for_each(|r| attributes(t, model, r)),
        "pg_attrdef" => model.relations.iter().for_each(|r| defaults(t, r)),
        "pg_type" => types(t, model),
        "pg_proc" => builtin()
            .functions
            .iter()
            .chain(model.functions.iter().map(AsRef::as_ref))
            .for_each(|f| procedure(t, model, f)),
        "pg_description" => descriptions(t, model),
        "pg_database" => {
            t.row(&[
                ("oid", int(database_oid(model))),
                ("datname", text(&model.database)),
                ("datdba", int(OWNER)),
                ("encoding", int(6)),
                ("datlocprovider", text("c")),
                ("datallowconn", Value::Bool(true)),
                ("datconnlimit", int(-1)),
                ("datfrozenxid", int(722)),
                ("datminmxid", int(1)),
                ("dattablespace", int(1663)),
                ("datcollate", text("C.UTF-8")),
                ("datctype", text("C.UTF-8")),
            ]);
        }
        "pg_roles" => {
            for r in &model.roles {
                t.row(&[
                    ("rolname", text(&r.name)),
                    ("rolsuper", Value::Bool(r.superuser)),
                    ("rolinherit", Value::Bool(true)),
                    ("rolcreaterole", Value::Bool(r.superuser)),
                    ("rolcreatedb", Value::Bool(r.superuser)),
                    ("rolcanlogin", Value::Bool(r.login)),
                    ("rolreplication", Value::Bool(false)),
                    ("rolconnlimit", int(-1)),
                    ("rolpassword", text("********")),
                    ("rolbypassrls", Value::Bool(r.superuser)),
                    ("oid", int(r.oid)),
                ]);
            }
        }
        "pg_user" => {
            for r in model.roles.iter().filter(|r| r.login) {
                t.row(&[
                    ("usename", text(&r.name)),
                    ("usesysid", int(r.oid)),
                    ("usecreatedb", Value::Bool(r.superuser)),
                    ("usesuper", Value::Bool(r.superuser)),
                    ("userepl", Value::Bool(false)),
                    ("usebypassrls", Value::Bool(r.superuser)),
                    ("passwd", text("********")),
                ]);
            }
        }
        "pg_am" => {
            for (o, name, kind) in [
                (2, "heap", 't'),
                (403, "btree", 'i'),
                (405, "hash", 'i'),
                (783, "gist", 'i'),
                (2742, "gin", 'i'),
                (3580, "brin", 'i'),
                (4000, "spgist", 'i'),
            ] {
                t.row(&[
                    ("oid", int(o)),
                    ("amname", text(name)),
                    ("amtype", letter(kind)),
                ]);
            }
        }
        "pg_language" => {
            for (o, name) in LANGUAGES {
                t.row(&[
                    ("oid", int(o)),
                    ("lanname", text(name)),
                    ("lanowner", int(OWNER)),
                    ("lanpltrusted", Value::Bool(o == 14)),
                ]);
            }
        }
        "pg_collation" => {
            for (o, name, provider) in [(100, "default", 'd'), (950, "C", 'c'), (951, "POSIX", 'c')]
            {
                let locale = if o == 100 { Value::Null } else { text(name) };
                t.row(&[
                    ("oid", int(o)),
                    ("collname", text(name)),
                    ("collnamespace", int(11)),
                    ("collowner", int(OWNER)),
                    ("collprovider", letter(provider)),
                    ("collisdeterministic", Value::Bool(true)),
                    ("collencoding", int(-1)),
                    ("collcollate", locale.clone()),
                    ("collctype", locale),
                ]);
            }
        }
        "pg_tablespace" => TABLESPACES.iter().for_each(|(o, name)| {
            t.row(&[
                ("oid", int(*o)),
                ("spcname", text(name)),
                ("spcowner", int(OWNER)),
            ])
        }),
        "pg_range" => {
            for (range, subtype, multirange) in [
                (3904, 23, 4451),
                (3906, 1700, 4532),
                (3908, 1114, 4533),
                (3910, 1184, 4534),
                (3912, 1082, 4535),
                (3926, 20, 4536),
            ] {
                t.row(&[
                    ("rngtypid", int(range)),
                    ("rngsubtype", int(subtype)),
                    ("rngmultitypid", int(multirange)),
                ]);
            }
        }
        "pg_cast" => {
            for c in &builtin().casts {
                t.row(&[
                    ("oid", int(c.oid)),
                    ("castsource", int(c.source)),
                    ("casttarget", int(c.target)),
                    ("castcontext", letter(c.context)),
                    ("castmethod", letter(c.method)),
                ]);
            }
        }
        "pg_opclass" => {
            for c in &builtin().operator_classes {
                t.row(&[
                    ("oid", int(c.oid)),
                    ("opcmethod", int(c.method)),
                    ("opcname", text(&c.name)),
                    ("opcnamespace", int(11)),
                    ("opcowner", int(OWNER)),
                    ("opcfamily", int(c.family)),
                    ("opcintype", int(c.ty)),
                    ("opcdefault", Value::Bool(c.default)),
                    ("opckeytype", int(c.key)),
                ]);
            }
        }
        "pg_operator" => {
            for o in &builtin().operators {
                let code = builtin()
                    .functions_named(&o.code)
                    .next()
                    .map_or(0, |f| f.oid);
                t.row(&[
                    ("oid", int(o.oid)),
                    ("oprname", text(&o.name)),
                    ("oprnamespace", int(11)),
                    ("oprowner", int(OWNER)),
                    ("oprkind", letter(o.kind)),
                    ("oprleft", int(o.left)),
                    ("oprright", int(o.right)),
                    ("oprresult", int(o.result)),
                    ("oprcode", int(code)),
                ]);
            }
        }
        "pg_aggregate" => builtin()
            .functions
            .iter()
            .filter(|f| f.kind == 'a')
            .for_each(|f| t.row(&[("aggfnoid", int(f.oid)), ("aggkind", text("n"))])),
        "pg_tables" => {
            for r in model.relations.iter().filter(|r| r.kind == 'r') {
                t.row(&[
                    ("schemaname", text(&r.schema)),
                    ("tablename", text(&r.name)),
                    ("tableowner", owner_name(model)),
                    ("hasindexes", Value::Bool(!r.rules.indexes.is_empty())),
                    ("hasrules", Value::Bool(false)),
                    ("hastriggers", Value::Bool(false)),
                    ("rowsecurity", Value::Bool(false)),
                ]);
            }
        }
        "pg_views" => {
            for r in model.relations.iter().filter(|r| r.kind == 'v') {
                t.row(&[
                    ("schemaname", text(&r.schema)),
                    ("viewname", text(&r.name)),
                    ("viewowner", owner_name(model)),
                    ("definition", maybe(r.definition.as_ref())),
                ]);
            }
        }
        "pg_stat_user_tables" | "pg_stat_xact_user_tables" | "pg_statio_user_tables" => {
            statistics::tables(t, model, |r| !r.system);
        }
        "pg_stat_all_tables" | "pg_stat_xact_all_tables" | "pg_statio_all_tables" => {
            statistics::tables(t, model, |_| true);
        }
        "pg_stat_sys_tables" | "pg_stat_xact_sys_tables" | "pg_statio_sys_tables" => {
            statistics::tables(t, model, |r| r.system);
        }
        "pg_stat_bgwriter" | "pg_stat_wal" | "pg_stat_archiver" => t.counted(&[], &[]),
        // Nothing of these kinds exists: their columns do, their rows do not.
        _ => {}
    }
}

fn owner_name(model: &CatalogModel) -> Value {
    Value::optional_text(model.roles.first().map(|r| r.name.as_str()))
}

fn class(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    let is_table = r.kind == 'r';
    let method = match r.kind {
        'r' => 2,
        'i' => model
            .index(r.oid)
            .map_or(0, |(_, index)| index.method_oid()),
        _ => 0,
    };
    t.row(&[
        ("oid", int(r.oid)),
        ("relname", text(&r.name)),
        ("relnamespace", int(model.namespace_oid(&r.schema))),
        ("reltype", int(r.row_type)),
        ("relowner", int(OWNER)),
        ("relam", int(method)),
        (
            "relfilenode",
            int(match r.kind {
                'v' => 0,
                _ => r.oid,
            }),
        ),
        ("relhasindex", Value::Bool(!r.rules.indexes.is_empty())),
        ("relchecks", size(r.rules.checks.len())),
        // There are none: a client that is told of pages reads them by ctid, as DuckDB does.
        ("relpages", int(0)),
        ("reltuples", Value::Float(r.rows.unwrap_or(-1.0))),
        (
            "relpersistence",
            text(if is_temporary(&r.schema) { "t" } else { "p" }),
        ),
        ("relkind", letter(r.kind)),
        ("relnatts", size(r.columns.len())),
        ("relispopulated", Value::Bool(true)),
        (
            "relreplident",
            text(if r.system || !is_table { "n" } else { "d" }),
        ),
        ("relacl", acl::of_relation(model, r)),
    ]);
}

fn attributes(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    for (i, c) in r.columns.iter().enumerate() {
        let info = builtin().type_of(c.ty);
        t.row(&[
            ("attrelid", int(r.oid)),
            ("attname", text(&c.name)),
            ("atttypid", int(c.ty)),
            ("attlen", int(info.map_or(-1, |i| i.len))),
            ("attnum", size(i + 1)),
            ("attcacheoff", int(-1)),
            ("atttypmod", int(c.typmod)),
            ("attndims", size(c.dimensions)),
            ("attbyval", Value::Bool(info.is_some_and(|i| i.by_value))),
            ("attalign", letter(info.map_or('d', |i| i.align))),
            ("attstorage", letter(info.map_or('x', |i| i.storage))),
            ("attnotnull", Value::Bool(c.not_null)),
            ("atthasdef", Value::Bool(c.default.is_some())),
            (
                "attidentity",
                text(c.identity.map(String::from).unwrap_or_default()),
            ),
            ("attislocal", Value::Bool(true)),
            ("attstattarget", int(-1)),
            ("attcollation", int(info.map_or(0, |i| i.collation))),
            (
                "attacl",
                match r.system {
                    true => Value::Null,
                    false => acl::of_column(model, r, c),
                },
            ),
        ]);
    }
}

fn defaults(t: &mut Table<'_>, r: &Relation) {
    for (i, c) in r.columns.iter().enumerate() {
        let Some(default) = &c.default else { continue };
        t.row(&[
            (
                "oid",
                int(oid_of(
                    "default",
                    &format!("{}.{}", r.schema, r.name),
                    &c.name,
                )),
            ),
            ("adrelid", int(r.oid)),
            ("adnum", size(i + 1)),
            ("adbin", text(default)),
        ]);
    }
}

fn types(t: &mut Table<'_>, model: &CatalogModel) {
    for info in &builtin().types {
        type_row(t, model, info, 0, 0);
    }
    for r in model.relations.iter().filter(|r| r.row_type != 0) {
        let composite = composite(r.row_type, &r.schema, &r.name, 'c', 'C');
        type_row(
            t,
            model,
            &TypeInfo {
                array: r.array_type,
                ..composite
            },
            r.oid,
            0,
        );
        let procedures = ["array_in", "array_out", "array_recv", "array_send"].map(str::to_owned);
        let array = composite_array(r, procedures);
        type_row(t, model, &array, 0, r.row_type);
    }
}

fn composite(oid: u32, schema: &str, name: &str, kind: char, category: char) -> TypeInfo {
    TypeInfo {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        len: -1,
        by_value: false,
        kind,
        category,
        preferred: false,
        delimiter: ',',
        relation: 0,
        element: 0,
        array: 0,
        procedures: ["record_in", "record_out", "record_recv", "record_send"].map(str::to_owned),
        align: 'd',
        storage: 'x',
        base: 0,
        typmod: -1,
        collation: 0,
    }
}

fn composite_array(r: &Relation, procedures: [String; 4]) -> TypeInfo {
    TypeInfo {
        procedures,
        ..composite(r.array_type, &r.schema, &format!("_{}", r.name), 'b', 'A')
    }
}

fn type_row(t: &mut Table<'_>, model: &CatalogModel, info: &TypeInfo, relation: u32, element: u32) {
    let procedure = |i: usize| {
        int(builtin()
            .functions_named(&info.procedures[i])
            .next()
            .map_or(0, |f| f.oid))
    };
    let subscript = if info.category == 'A' {
        builtin()
            .functions_named("array_subscript_handler")
            .next()
            .map_or(0, |f| f.oid)
    } else {
        0
    };
    t.row(&[
        ("oid", int(info.oid)),
        ("typname", text(&info.name)),
        ("typnamespace", int(model.namespace_oid(&info.schema))),
        ("typowner", int(OWNER)),
        ("typlen", int(info.len)),
        ("typbyval", Value::Bool(info.by_value)),
        ("typtype", letter(info.kind)),
        ("typcategory", letter(info.category)),
        ("typispreferred", Value::Bool(info.preferred)),
        ("typisdefined", Value::Bool(true)),
        ("typdelim", letter(info.delimiter)),
        ("typrelid", int(relation.max(info.relation))),
        ("typsubscript", int(subscript)),
        ("typelem", int(info.element.max(element))),
        ("typarray", int(info.array)),
        ("typinput", procedure(0)),
        ("typoutput", procedure(1)),
        ("typreceive", procedure(2)),
        ("typsend", procedure(3)),
        ("typalign", letter(info.align)),
        ("typstorage", letter(info.storage)),
        ("typbasetype", int(info.base)),
        ("typtypmod", int(info.typmod)),
        ("typcollation", int(info.collation)),
    ]);
}

fn procedure(t: &mut Table<'_>, model: &CatalogModel, f: &Function) {
    let oids = |list: &[u32]| list.iter().map(|o| Value::oid(*o)).collect::<Vec<_>>();
    let all = if f.all_arguments.is_empty() {
        Value::Null
    } else {
        Value::array(oid::OID, oids(&f.all_arguments))
    };
    let modes = if f.modes.is_empty() {
        Value::Null
    } else {
        Value::array(oid::CHAR, f.modes.chars().map(letter).collect())
    };
    let names = if f.names.is_empty() {
        Value::Null
    } else {
        Value::array(oid::TEXT, f.names.iter().map(text).collect())
    };
    t.row(&[
        ("oid", int(f.oid)),
        ("proname", text(&f.name)),
        ("pronamespace", int(model.namespace_oid(&f.schema))),
        ("proowner", int(OWNER)),
        ("prolang", int(12)),
        ("procost", Value::Float(1.0)),
        ("prorows", Value::Float(if f.set { 1000.0 } else { 0.0 })),
        ("provariadic", int(f.variadic)),
        ("prokind", letter(f.kind)),
        ("proisstrict", Value::Bool(f.strict)),
        ("proretset", Value::Bool(f.set)),
        ("provolatile", letter(f.volatility)),
        ("proparallel", text("s")),
        ("pronargs", size(f.arguments.len())),
        ("pronargdefaults", size(f.defaults)),
        ("prorettype", int(f.result)),
        ("proargtypes", vector(oid::OID, oids(&f.arguments))),
        ("proallargtypes", all),
        ("proargmodes", modes),
        ("proargnames", names),
        ("prosrc", text(&f.name)),
    ]);
}

fn descriptions(t: &mut Table<'_>, model: &CatalogModel) {
    let mut add = |object: u32, class: u32, sub: usize, comment: Option<&String>| {
        if let Some(comment) = comment {
            t.row(&[
                ("objoid", int(object)),
                ("classoid", int(class)),
                ("objsubid", size(sub)),
                ("description", text(comment)),
            ]);
        }
    };
    for n in &model.namespaces {
        add(n.oid, PG_NAMESPACE, 0, n.comment.as_ref());
    }
    for r in &model.relations {
        add(r.oid, PG_CLASS, 0, r.comment.as_ref());
        for (i, c) in r.columns.iter().enumerate() {
            add(r.oid, PG_CLASS, i + 1, c.comment.as_ref());
        }
        for (object, class, comment) in rules::comments(r) {
            if class != PG_CLASS {
                add(object, class, 0, Some(comment));
            }
        }
    }
    for f in &model.functions {
        add(f.oid, PG_PROC, 0, f.description.as_ref());
    }
    for ((class, object), comment) in builtin().descriptions() {
        t.row(&[
            ("objoid", int(object)),
            ("classoid", int(class)),
            ("description", text(comment)),
        ]);
    }
}

fn information_schema(t: &mut Table<'_>, model: &CatalogModel) {
    let db = || text(&model.database);
    let owner = owner_name(model);
    match t.relation.name.as_str() {
        "information_schema_catalog_name" => t.row(&[("catalog_name", db())]),
        "schemata" => model.namespaces.iter().for_each(|n| {
            t.row(&[
                ("catalog_name", db()),
                ("schema_name", text(&n.name)),
                ("schema_owner", owner.clone()),
            ])
        }),
        "tables" => {
            for r in readable(model) {
                let own = is_temporary(&r.schema) && r.kind == 'r';
                let kind = match r.kind {
                    'v' => "VIEW",
                    _ if own => "LOCAL TEMPORARY",
                    _ => "BASE TABLE",
                };
                t.row(&[
                    ("table_catalog", db()),
                    ("table_schema", text(&r.schema)),
                    ("table_name", text(&r.name)),
                    ("table_type", text(kind)),
                    ("is_insertable_into", text(if own { "YES" } else { "NO" })),
                    ("is_typed", text("NO")),
                ]);
            }
        }
        "views" => {
            for r in model.relations.iter().filter(|r| r.kind == 'v') {
                let no = || text("NO");
                t.row(&[
                    ("table_catalog", db()),
                    ("table_schema", text(&r.schema)),
                    ("table_name", text(&r.name)),
                    ("view_definition", maybe(r.definition.as_ref())),
                    ("check_option", text("NONE")),
                    ("is_updatable", no()),
                    ("is_insertable_into", no()),
                    ("is_trigger_updatable", no()),
                    ("is_trigger_deletable", no()),
                    ("is_trigger_insertable_into", no()),
                ]);
            }
        }
        "columns" => readable(model).for_each(|r| columns(t, model, r)),
        "character_sets" => t.row(&[
            ("character_set_name", text("UTF8")),
            ("character_repertoire", text("UCS")),
            ("form_of_use", text("UTF8")),
            ("default_collate_catalog", db()),
            ("default_collate_schema", text("pg_catalog")),
            ("default_collate_name", text("default")),
        ]),
        "role_table_grants" | "table_privileges" => {
            let everybody = t.relation.name == "table_privileges" || is_admin(model);
            for r in readable(model) {
                for grantee in readers(model, r).filter(|name| everybody || *name != EVERYBODY) {
                    t.row(&[
                        ("grantor", text(acl::owner_of(model, r))),
                        ("grantee", text(grantee)),
                        ("table_catalog", db()),
                        ("table_schema", text(&r.schema)),
                        ("table_name", text(&r.name)),
                        ("privilege_type", text("SELECT")),
                        ("is_grantable", grantable(model, r, grantee)),
                        ("with_hierarchy", text("YES")),
                    ]);
                }
            }
        }
        "role_column_grants" | "column_privileges" => {
            let everybody = t.relation.name == "column_privileges" || is_admin(model);
            for r in readable(model) {
                let whole: Vec<&str> = readers(model, r).collect();
                for c in &r.columns {
                    let single = acl::grantees(model)
                        .filter(|g| !r.system && !g.reads_all(r) && g.reads(r, c))
                        .map(|g| g.name.unwrap_or(EVERYBODY));
                    let all = whole.iter().copied().chain(single);
                    for grantee in all.filter(|name| everybody || *name != EVERYBODY) {
                        t.row(&[
                            ("grantor", text(acl::owner_of(model, r))),
                            ("grantee", text(grantee)),
                            ("table_catalog", db()),
                            ("table_schema", text(&r.schema)),
                            ("table_name", text(&r.name)),
                            ("column_name", text(&c.name)),
                            ("privilege_type", text("SELECT")),
                            ("is_grantable", grantable(model, r, grantee)),
                        ]);
                    }
                }
            }
        }
        // PostgreSQL tells of collations and domains here, and of no schema.
        "role_usage_grants" | "usage_privileges" => {
            let everybody = t.relation.name == "usage_privileges" || is_admin(model);
            let domains = builtin().types.iter().filter(|info| info.kind == 'd');
            let collations =
                ["default", "C", "POSIX"].map(|name| ("pg_catalog", name, "COLLATION"));
            let all = domains
                .map(|info| (info.schema.as_str(), info.name.as_str(), "DOMAIN"))
                .chain(collations);
            for (schema, name, kind) in all.filter(|_| everybody) {
                t.row(&[
                    ("grantor", owner.clone()),
                    ("grantee", text(EVERYBODY)),
                    ("object_catalog", db()),
                    ("object_schema", text(schema)),
                    ("object_name", text(name)),
                    ("object_type", text(kind)),
                    ("privilege_type", text("USAGE")),
                    ("is_grantable", text("NO")),
                ]);
            }
        }
        "routines" => {
            for f in builtin()
                .functions
                .iter()
                .chain(model.functions.iter().map(AsRef::as_ref))
            {
                let specific = format!("{}_{}", f.name, f.oid);
                let kind = if f.kind == 'a' {
                    Value::Null
                } else {
                    text("FUNCTION")
                };
                t.row(&[
                    ("specific_catalog", db()),
                    ("specific_schema", text(&f.schema)),
                    ("specific_name", text(specific)),
                    ("routine_catalog", db()),
                    ("routine_schema", text(&f.schema)),
                    ("routine_name", text(&f.name)),
                    ("routine_type", kind),
                    ("data_type", text(model.format_type(f.result, None, &[]))),
                    ("external_language", text("INTERNAL")),
                    (
                        "is_deterministic",
                        text(if f.volatility == 'i' { "YES" } else { "NO" }),
                    ),
                ]);
            }
        }
        _ => {}
    }
}

/// Tables and views.
fn readable(model: &CatalogModel) -> impl Iterator<Item = &Relation> {
    let all = model.relations.iter();
    all.filter(|r| matches!(r.kind, 'r' | 'v'))
}

/// Everybody, in the words of information_schema.
const EVERYBODY: &str = "PUBLIC";

/// Who was granted a whole relation, its owner first.
fn readers<'m>(model: &'m CatalogModel, r: &'m Relation) -> impl Iterator<Item = &'m str> {
    let own = is_temporary(&r.schema);
    let everybody = r.system.then_some(EVERYBODY);
    let granted = acl::grantees(model)
        .filter(move |grantee| !r.system && !own && grantee.reads_all(r))
        .map(|grantee| grantee.name.unwrap_or(EVERYBODY));
    let owner = std::iter::once(acl::owner_of(model, r));
    owner.chain(everybody).chain(granted)
}

/// Owners may grant what they have.
fn grantable(model: &CatalogModel, r: &Relation, grantee: &str) -> Value {
    text(match grantee == acl::owner_of(model, r) {
        true => "YES",
        false => "NO",
    })
}

/// Whether the session is an admin's, to whom everybody's roles are told.
fn is_admin(model: &CatalogModel) -> bool {
    model.roles.get(1).is_none_or(|own| own.superuser)
}

/// The sequence of an identity column.
fn identity_sequence<'m>(
    model: &'m CatalogModel,
    r: &Relation,
    at: usize,
) -> Option<&'m SequenceFacts> {
    r.columns.get(at)?.identity?;
    let (_, name) = r.rules.sequences.iter().find(|(of, _)| *of == at)?;
    let sequence = model.find_relation(Some(&r.schema), name, &[])?;
    sequence.rules.sequence.as_ref()
}

fn columns(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    let db = || text(&model.database);
    let own = is_temporary(&r.schema) && r.kind == 'r';
    for (i, c) in r.columns.iter().enumerate() {
        let base = base_type(c.ty);
        let info = builtin().type_of(base);
        let data_type = if element_type(base).is_some() {
            "ARRAY".to_owned()
        } else {
            model.format_type(base, None, &[])
        };
        let number = |value: Option<i64>| value.map_or(Value::Null, Value::Int);
        let domain = builtin().type_of(c.ty).filter(|d| d.kind == 'd');
        let sequence = identity_sequence(model, r, i);
        let of_sequence = |said: &dyn Fn(&SequenceFacts) -> String| {
            sequence.map_or(Value::Null, |of| text(said(of)))
        };
        t.row(&[
            ("table_catalog", db()),
            ("table_schema", text(&r.schema)),
            ("table_name", text(&r.name)),
            ("column_name", text(&c.name)),
            ("ordinal_position", size(i + 1)),
            ("is_nullable", text(if c.not_null { "NO" } else { "YES" })),
            ("data_type", text(data_type)),
            ("column_default", maybe(c.default.as_ref())),
            (
                "character_maximum_length",
                number(widths::characters(base, c.typmod)),
            ),
            (
                "character_octet_length",
                number(widths::octets(base, c.typmod)),
            ),
            (
                "numeric_precision",
                number(widths::precision(base, c.typmod)),
            ),
            ("numeric_precision_radix", number(widths::radix(base))),
            ("numeric_scale", number(widths::scale(base, c.typmod))),
            (
                "datetime_precision",
                number(widths::seconds(base, c.typmod)),
            ),
            ("domain_catalog", domain.map_or(Value::Null, |_| db())),
            (
                "domain_schema",
                Value::optional_text(domain.map(|d| d.schema.as_str())),
            ),
            (
                "domain_name",
                Value::optional_text(domain.map(|d| d.name.as_str())),
            ),
            ("udt_catalog", db()),
            ("udt_schema", text("pg_catalog")),
            (
                "udt_name",
                Value::optional_text(info.map(|i| i.name.as_str())),
            ),
            ("dtd_identifier", text((i + 1).to_string())),
            ("is_self_referencing", text("NO")),
            (
                "is_identity",
                text(if c.identity.is_some() { "YES" } else { "NO" }),
            ),
            (
                "identity_generation",
                c.identity.map_or(Value::Null, |kind| {
                    text(if kind == 'a' { "ALWAYS" } else { "BY DEFAULT" })
                }),
            ),
            ("identity_start", of_sequence(&|of| of.start.to_string())),
            (
                "identity_increment",
                of_sequence(&|of| of.increment.to_string()),
            ),
            ("identity_maximum", of_sequence(&|of| of.max.to_string())),
            ("identity_minimum", of_sequence(&|of| of.min.to_string())),
            (
                "identity_cycle",
                text(if sequence.is_some_and(|of| of.cycle) {
                    "YES"
                } else {
                    "NO"
                }),
            ),
            ("is_generated", text("NEVER")),
            ("is_updatable", text(if own { "YES" } else { "NO" })),
        ]);
    }
}
