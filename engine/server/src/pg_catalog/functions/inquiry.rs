//! Functions that ask about the session and the objects of the catalog.

use std::net::SocketAddr;

use super::{VERSION, privileges};
use crate::pg_catalog::acl;
use crate::pg_catalog::builtin::{Function, builtin};
use crate::pg_catalog::convert;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::eval::Cx;

use crate::pg_catalog::model::{Ends, Relation, SessionInfo, is_temporary};
use crate::pg_catalog::tables::PG_PROC;
use crate::pg_catalog::value::Value;
use crate::pg_input::Inet;
use crate::pg_types::oid;

/// Schemas of the search path that exist.
pub(crate) fn schemas(cx: &Cx<'_>, implicit: bool) -> Vec<String> {
    let path = &cx.session.search_path;
    let exists = |s: &&String| cx.model.namespaces.iter().any(|n| n.name == **s);
    let (temporary, named): (Vec<&String>, Vec<&String>) = path
        .iter()
        .filter(exists)
        .partition(|name| is_temporary(name));
    let mut out: Vec<String> = Vec::new();
    if implicit {
        out.extend(temporary.into_iter().cloned());
        if !path.iter().any(|s| s == "pg_catalog") {
            out.push("pg_catalog".to_owned());
        }
    }
    out.extend(named.into_iter().cloned());
    out
}

/// The schema of the session's temporary relations; 0: it has none.
fn temporary_schema(cx: &Cx<'_>) -> u32 {
    let own = cx
        .session
        .search_path
        .iter()
        .find(|name| is_temporary(name));
    own.map_or(0, |name| cx.model.namespace_oid(name))
}

/// Where the connection of the session goes from and to.
fn own_ends<'c>(cx: &'c Cx<'_>) -> Option<&'c Ends> {
    let pid = cx.session.backend_pid;
    let own = cx.session.activity.iter().find(|other| other.pid == pid)?;
    own.ends.as_ref()
}

pub(in crate::pg_catalog) fn address(of: Option<SocketAddr>) -> Value {
    Value::optional_text(of.map(|of| Inet::host(of.ip()).to_string()))
}

pub(in crate::pg_catalog) fn port(of: Option<SocketAddr>) -> Value {
    of.map_or(Value::Null, |of| Value::Int(i64::from(of.port())))
}

/// The current value of a setting.
pub(crate) fn setting(cx: &Cx<'_>, name: &str) -> Option<String> {
    current(cx.session, name).or_else(|| {
        cx.model
            .settings
            .iter()
            .find(|s| s.name.eq_ignore_ascii_case(name))
            .map(|s| s.value.clone())
    })
}

fn current(session: &SessionInfo, name: &str) -> Option<String> {
    session.settings.get(&name.to_lowercase()).cloned()
}

const ENCODINGS: &[(i64, &str)] = &[
    (0, "SQL_ASCII"),
    (1, "EUC_JP"),
    (2, "EUC_CN"),
    (3, "EUC_KR"),
    (4, "EUC_TW"),
    (5, "EUC_JIS_2004"),
    (6, "UTF8"),
    (7, "MULE_INTERNAL"),
    (8, "LATIN1"),
];

pub(super) fn call(cx: &Cx<'_>, function: &Function, args: &[Value]) -> Result<Option<Value>> {
    let text = |i: usize| args.get(i).and_then(Value::as_str).unwrap_or_default();
    let number = |i: usize| args.get(i).and_then(Value::as_oid).unwrap_or(0);
    let relation = |i: usize| cx.model.relation(number(i));
    let name = function.name.as_str();
    Ok(Some(match name {
        "version" => Value::text(VERSION),
        "current_database" => Value::text(&cx.model.database),
        "current_user" | "session_user" => Value::text(&cx.session.user),
        "current_schema" => Value::optional_text(schemas(cx, false).first()),
        "current_schemas" => Value::array(
            oid::NAME,
            schemas(cx, args[0].as_bool() == Some(true))
                .into_iter()
                .map(Value::text)
                .collect(),
        ),
        "current_query" => {
            let pid = cx.session.backend_pid;
            let own = cx.session.activity.iter().find(|other| other.pid == pid);
            Value::optional_text(own.map(|own| own.query.as_str()))
        }
        "pg_backend_pid" => Value::Int(i64::from(cx.session.backend_pid)),
        "pg_my_temp_schema" => Value::Int(i64::from(temporary_schema(cx))),
        "pg_is_other_temp_schema"
        | "pg_is_in_recovery"
        | "pg_is_in_backup"
        | "pg_is_wal_replay_paused" => Value::Bool(false),
        "txid_current" | "txid_snapshot_xmin" | "pg_current_xact_id" => Value::Int(2),
        "txid_current_if_assigned" => Value::Null,
        "inet_client_addr" => address(own_ends(cx).map(|ends| ends.client)),
        "inet_client_port" => port(own_ends(cx).map(|ends| ends.client)),
        "inet_server_addr" => address(own_ends(cx).map(|ends| ends.server)),
        "inet_server_port" => port(own_ends(cx).map(|ends| ends.server)),
        "pg_client_encoding" | "getdatabaseencoding" => Value::text("UTF8"),
        "pg_encoding_to_char" => Value::text(
            args[0]
                .as_int()
                .and_then(|n| ENCODINGS.iter().find(|e| e.0 == n))
                .map_or("", |e| e.1),
        ),
        // Of the encodings of PostgreSQL only this one is spoken.
        "pg_encoding_max_length" => match args.first().and_then(Value::as_int) {
            Some(6) => Value::Int(4),
            _ => Value::Null,
        },
        "pg_char_to_encoding" => Value::Int(
            ENCODINGS
                .iter()
                .find(|e| e.1.eq_ignore_ascii_case(text(0)))
                .map_or(-1, |e| e.0),
        ),
        "current_setting" => match setting(cx, text(0)) {
            Some(value) => Value::text(value),
            None if args.get(1).and_then(Value::as_bool) == Some(true) => Value::Null,
            None => {
                return Err(CatalogError::new(
                    "42704",
                    format!("unrecognized configuration parameter \"{}\"", text(0)),
                ));
            }
        },
        "set_config" => match &cx.session.set_config {
            Some(hook) if !args[0].is_null() => Value::text(hook(
                text(0),
                text(1),
                args.get(2).and_then(Value::as_bool) == Some(true),
            )?),
            _ => return Err(CatalogError::unsupported("set_config here")),
        },
        "pg_notify" => match &cx.session.notify {
            Some(hook) => {
                hook(text(0), text(1))?;
                Value::text("")
            }
            None => return Err(CatalogError::unsupported("pg_notify here")),
        },
        "pg_cancel_backend" | "pg_terminate_backend" => match &cx.session.signal {
            Some(hook) => Value::Bool(hook(
                i32::try_from(args[0].as_int().unwrap_or(0)).unwrap_or(0),
                name == "pg_terminate_backend",
            )),
            None => return Err(CatalogError::unsupported(format!("{name} here"))),
        },
        // The session took the locks before.
        "pg_advisory_unlock_all"
        | "pg_advisory_lock"
        | "pg_advisory_lock_shared"
        | "pg_advisory_xact_lock"
        | "pg_advisory_xact_lock_shared" => Value::text(""),
        "format_type" => match args[0].as_oid() {
            None => Value::Null,
            Some(ty) => Value::text(cx.model.format_type(
                ty,
                args[1].as_int().and_then(|m| i32::try_from(m).ok()),
                &cx.session.search_path,
            )),
        },
        "pg_table_is_visible" => relation(0).map_or(Value::Null, |r| {
            Value::Bool(cx.model.is_visible(r, &schemas(cx, true)))
        }),
        "pg_type_is_visible" => match builtin().type_of(number(0)) {
            Some(t) => Value::Bool(t.schema == "pg_catalog"),
            None => cx.model.row_type(number(0)).map_or(Value::Null, |r| {
                Value::Bool(cx.model.is_visible(r, &cx.session.search_path))
            }),
        },
        "pg_function_is_visible" => cx.model.function(number(0)).map_or(Value::Null, |f| {
            Value::Bool(schemas(cx, true).contains(&f.schema))
        }),
        "pg_operator_is_visible" => {
            Value::Bool(builtin().operators.iter().any(|o| o.oid == number(0)))
        }
        "pg_collation_is_visible"
        | "pg_opclass_is_visible"
        | "pg_opfamily_is_visible"
        | "pg_conversion_is_visible"
        | "pg_statistics_obj_is_visible"
        | "pg_ts_config_is_visible"
        | "pg_ts_dict_is_visible"
        | "pg_ts_parser_is_visible"
        | "pg_ts_template_is_visible" => Value::Bool(true),
        "obj_description" => description(cx, number(0), args.get(1).and_then(Value::as_str)),
        "col_description" => relation(0)
            .and_then(|r| {
                args[1]
                    .as_int()
                    .and_then(|n| usize::try_from(n - 1).ok())
                    .and_then(|n| r.columns.get(n))
            })
            .map_or(Value::Null, |c| Value::optional_text(c.comment.as_ref())),
        "shobj_description" => Value::Null,
        "pg_get_userbyid" => Value::text(
            cx.model
                .roles
                .iter()
                .find(|r| r.oid == number(0))
                .map_or_else(
                    || format!("unknown (OID={})", number(0)),
                    |r| r.name.clone(),
                ),
        ),
        "pg_get_viewdef" => {
            let found = match &args[0] {
                Value::Text(t) => convert::input(cx.model, cx.session, t, oid::REGCLASS)?
                    .as_oid()
                    .and_then(|o| cx.model.relation(o)),
                _ => relation(0),
            };
            found.filter(|r| r.kind == 'v').map_or(Value::Null, |r| {
                Value::text(r.definition.clone().unwrap_or_default())
            })
        }
        "pg_get_function_result" => cx
            .model
            .function(number(0))
            .map_or(Value::Null, |f| Value::text(result_text(cx, f))),
        "pg_get_function_arguments" | "pg_get_function_identity_arguments" => cx
            .model
            .function(number(0))
            .map_or(Value::Null, |f| Value::text(arguments_text(cx, f))),
        "pg_get_functiondef" => match cx.model.function(number(0)) {
            Some(f) => Value::text(format!(
                "CREATE OR REPLACE FUNCTION {}.{}({})\n RETURNS {}\n LANGUAGE internal\nAS $function${}$function$\n",
                f.schema,
                f.name,
                arguments_text(cx, f),
                result_text(cx, f),
                f.name
            )),
            None => Value::Null,
        },
        // The node tree of a default is its text.
        "pg_get_expr" => args.first().cloned().unwrap_or(Value::Null),
        "pg_get_constraintdef" => {
            let pretty = args.get(1).and_then(Value::as_bool).unwrap_or(false);
            Value::optional_text(cx.model.constraint(number(0), pretty).as_deref())
        }
        "pg_get_indexdef" => {
            let pretty = args.get(2).and_then(Value::as_bool).unwrap_or(false);
            let part = args.get(1).and_then(Value::as_int).unwrap_or(0);
            let found =
                cx.model.index(number(0)).and_then(|(table, index)| {
                    match usize::try_from(part).ok()?.checked_sub(1) {
                        None => Some(index.definition(table, pretty)),
                        Some(part) => Some(index.part(table, part, pretty).unwrap_or_default()),
                    }
                });
            Value::optional_text(found.as_deref())
        }
        // Rules, triggers, partitions and statistics objects do not occur.
        "pg_get_ruledef"
        | "pg_get_triggerdef"
        | "pg_get_partkeydef"
        | "pg_get_partition_constraintdef"
        | "pg_get_statisticsobjdef"
        | "pg_get_statisticsobjdef_columns"
        | "pg_get_function_arg_default"
        | "pg_get_function_sqlbody"
        | "pg_sequence_last_value"
        | "pg_partition_root"
        | "pg_relation_filepath"
        | "pg_tablespace_location"
        | "pg_index_column_has_property"
        | "pg_index_has_property"
        | "pg_indexam_has_property"
        | "pg_last_wal_receive_lsn"
        | "pg_last_wal_replay_lsn"
        | "pg_last_xact_replay_timestamp"
        | "pg_current_wal_lsn"
        | "pg_export_snapshot"
        | "pg_column_compression" => Value::Null,
        "pg_get_serial_sequence" => {
            let found = convert::by_name(cx.model, cx.session, text(0), oid::REGCLASS)?;
            let relation = found.as_oid().and_then(|oid| cx.model.relation(oid));
            match relation {
                None => Value::Null,
                Some(relation) => {
                    let column = privileges::column_of(relation, args.get(1))?;
                    serial_sequence(relation, column)
                }
            }
        }
        "acldefault" => {
            let owner = cx.model.roles.iter().find(|role| role.oid == number(1));
            let name = owner.map_or_else(|| number(1).to_string(), |role| role.name.clone());
            acl::default(text(0), &name)?
        }
        "pg_blocking_pids" => Value::array(oid::INT4, Vec::new()),
        "pg_relation_filenode" => relation(0).map_or(Value::Null, |r| Value::oid(r.oid)),
        "pg_relation_is_publishable" => {
            relation(0).map_or(Value::Null, |r| Value::Bool(r.kind == 'r' && !r.system))
        }
        "pg_relation_is_updatable" | "pg_stat_get_numscans" => Value::Int(0),
        "pg_column_is_updatable" | "row_security_active" | "pg_jit_available" => Value::Bool(false),
        "pg_relation_size" | "pg_table_size" | "pg_total_relation_size" => {
            // Files have no forks but the main one.
            let fork = args.get(1).and_then(Value::as_str).unwrap_or("main");
            match (relation(0), fork) {
                (None, _) => Value::Null,
                (Some(r), "main") => Value::Int(r.bytes.unwrap_or(0)),
                (Some(_), "fsm" | "vm" | "init") => Value::Int(0),
                (Some(_), _) => {
                    return Err(CatalogError::new("22023", "invalid fork name"));
                }
            }
        }
        "pg_indexes_size" => relation(0).map_or(Value::Null, |_| Value::Int(0)),
        "pg_tablespace_size" => Value::Int(0),
        "pg_database_size" => match privileges::database(cx, args.first())? {
            true => Value::Int(cx.model.relations.iter().filter_map(|r| r.bytes).sum()),
            false => Value::Null,
        },
        "to_regclass" | "to_regtype" | "to_regproc" | "to_regprocedure" | "to_regnamespace"
        | "to_regrole" | "to_regoper" | "to_regoperator" | "to_regcollation" => {
            match convert::by_name(cx.model, cx.session, text(0), function.result) {
                Ok(value) => value,
                // A name of nothing, or of several.
                Err(error)
                    if matches!(
                        error.sqlstate,
                        "42P01" | "3F000" | "42704" | "42883" | "42725"
                    ) =>
                {
                    Value::Null
                }
                Err(error) => return Err(error),
            }
        }
        "pg_has_role" => privileges::membership(cx, args)?,
        _ if name.starts_with("has_") => privileges::privilege(cx, function, args)?,
        _ => return Ok(None),
    }))
}

fn description(cx: &Cx<'_>, object: u32, class: Option<&str>) -> Value {
    let wanted = |name: &str| class.is_none_or(|c| c == name);
    if wanted("pg_class")
        && let Some(relation) = cx.model.relation(object)
    {
        return Value::optional_text(relation.comment.as_ref());
    }
    if wanted("pg_namespace")
        && let Some(namespace) = cx.model.namespaces.iter().find(|n| n.oid == object)
    {
        return Value::optional_text(namespace.comment.as_ref());
    }
    if wanted("pg_proc")
        && let Some(function) = cx.model.function(object)
    {
        let own = function.description.as_deref();
        return Value::optional_text(own.or_else(|| builtin().description(PG_PROC, object)));
    }
    if wanted("pg_constraint")
        && let Some(comment) = cx.model.constraint_comment(object)
    {
        return Value::text(comment);
    }
    let class = class.and_then(|class| cx.model.find_relation(Some("pg_catalog"), class, &[]));
    Value::optional_text(class.and_then(|class| builtin().description(class.oid, object)))
}

fn result_text(cx: &Cx<'_>, function: &Function) -> String {
    let name = |ty: u32| cx.model.format_type(ty, None, &cx.session.search_path);
    let outputs = function.outputs();
    if function.set && outputs.len() > 1 && function.modes.contains('t') {
        return format!(
            "TABLE({})",
            outputs
                .iter()
                .map(|(n, t)| format!("{} {}", super::quote(n), name(*t)))
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    format!(
        "{}{}",
        if function.set { "SETOF " } else { "" },
        name(function.result)
    )
}

fn arguments_text(cx: &Cx<'_>, function: &Function) -> String {
    let name = |ty: u32| cx.model.format_type(ty, None, &cx.session.search_path);
    let last = function.arguments.len().saturating_sub(1);
    function
        .arguments
        .iter()
        .enumerate()
        .map(|(i, ty)| {
            let mode = if function.variadic != 0 && i == last {
                "VARIADIC "
            } else {
                ""
            };
            match function.names.get(i).filter(|n| !n.is_empty()) {
                Some(argument) => format!("{mode}{} {}", super::quote(argument), name(*ty)),
                None => format!("{mode}{}", name(*ty)),
            }
        })
        .collect::<Vec<_>>()
        .join(", ")
}

/// The sequence that fills a column, as a name that is found whatever the search path.
fn serial_sequence(relation: &Relation, column: Option<&str>) -> Value {
    let mut sequences = relation.rules.sequences.iter();
    let found = sequences.find(|(at, _)| {
        let own = relation.columns.get(*at).map(|column| column.name.as_str());
        own.is_some() && own == column
    });
    match found {
        None => Value::Null,
        Some((_, name)) => {
            let schema = match is_temporary(&relation.schema) {
                true => "pg_temp".to_owned(),
                false => super::quote(&relation.schema),
            };
            Value::text(format!("{schema}.{}", super::quote(name)))
        }
    }
}
