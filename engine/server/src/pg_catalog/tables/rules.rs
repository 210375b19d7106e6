//! Rows that tell of constraints and indexes.

use super::{PG_CLASS, Table, builtin, int, letter, maybe, oid, size, text};
use crate::pg_catalog::acl;
use crate::pg_catalog::convert::vector;
use crate::pg_catalog::model::{CatalogModel, Relation};
use crate::pg_catalog::rules::IndexFacts;
use crate::pg_catalog::value::Value;

pub(super) const PG_CONSTRAINT: u32 = 2606;

fn numbers(columns: impl Iterator<Item = usize>) -> Value {
    let numbers = columns.map(|at| size(at + 1)).collect();
    Value::array(oid::INT2, numbers)
}

/// Rows of a relation of pg_catalog about rules; whether it is one.
pub(super) fn catalog(t: &mut Table<'_>, model: &CatalogModel) -> bool {
    let name = t.relation.name.clone();
    let rows: fn(&mut Table<'_>, &CatalogModel, &Relation) = match name.as_str() {
        "pg_index" => |t, _, r| {
            r.rules
                .indexes
                .iter()
                .for_each(|index| index_row(t, r, index))
        },
        "pg_indexes" => indexes,
        "pg_constraint" => constraints,
        "pg_sequence" => sequence,
        "pg_sequences" => sequences,
        "pg_depend" => depend,
        _ => return false,
    };
    for r in model.relations.iter().filter(|r| !r.system) {
        rows(t, model, r);
    }
    true
}

fn index_row(t: &mut Table<'_>, r: &Relation, index: &IndexFacts) {
    let keys = index
        .keys
        .iter()
        .map(|key| key.column.map_or(0, |at| at + 1));
    let all = keys.chain(index.include.iter().map(|at| at + 1));
    let expressions: Vec<&str> = index
        .keys
        .iter()
        .filter(|key| key.column.is_none())
        .map(|key| key.expression.0.as_str())
        .collect();
    let collation = |ty: u32| {
        let info = builtin().type_of(ty);
        int(info.map_or(0, |info| info.collation))
    };
    t.row(&[
        ("indexrelid", int(index.oid)),
        ("indrelid", int(r.oid)),
        ("indnatts", size(index.keys.len() + index.include.len())),
        ("indnkeyatts", size(index.keys.len())),
        ("indisunique", Value::Bool(index.unique)),
        ("indnullsnotdistinct", Value::Bool(index.nulls_equal)),
        ("indisprimary", Value::Bool(index.primary)),
        ("indimmediate", Value::Bool(true)),
        ("indisvalid", Value::Bool(true)),
        ("indisready", Value::Bool(true)),
        ("indislive", Value::Bool(true)),
        ("indkey", vector(oid::INT2, all.map(size).collect())),
        (
            "indcollation",
            vector(
                oid::OID,
                index.keys.iter().map(|key| collation(key.ty)).collect(),
            ),
        ),
        (
            "indclass",
            vector(
                oid::OID,
                index.keys.iter().map(|key| int(key.class_oid)).collect(),
            ),
        ),
        (
            "indoption",
            vector(oid::INT2, index.options().map(Value::Int).collect()),
        ),
        (
            "indexprs",
            match expressions.is_empty() {
                true => Value::Null,
                false => text(expressions.join(", ")),
            },
        ),
        (
            "indpred",
            maybe(index.condition.as_ref().map(|(full, _)| full)),
        ),
    ]);
}

fn indexes(t: &mut Table<'_>, _model: &CatalogModel, r: &Relation) {
    for index in &r.rules.indexes {
        t.row(&[
            ("schemaname", text(&r.schema)),
            ("tablename", text(&r.name)),
            ("indexname", text(&index.name)),
            ("indexdef", text(index.definition(r, false))),
        ]);
    }
}

fn constraints(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    let schema = int(model.namespace_oid(&r.schema));
    let mut add = |own: u32, name: &str, kind: char, rest: &[(&str, Value)]| {
        let mut fields = vec![
            ("oid", int(own)),
            ("conname", text(name)),
            ("connamespace", schema.clone()),
            ("contype", letter(kind)),
            ("convalidated", Value::Bool(true)),
            ("conrelid", int(r.oid)),
            ("conislocal", Value::Bool(true)),
            ("confupdtype", letter(' ')),
            ("confdeltype", letter(' ')),
            ("confmatchtype", letter(' ')),
            ("connoinherit", Value::Bool(kind != 'c')),
        ];
        fields.extend(rest.iter().cloned());
        t.row(&fields);
    };
    for check in &r.rules.checks {
        let columns = numbers(check.columns.iter().copied());
        let keys = match check.columns.is_empty() {
            true => Value::Null,
            false => columns,
        };
        let rest = [("conkey", keys), ("conbin", text(&check.condition))];
        add(check.oid, &check.name, 'c', &rest);
    }
    for index in r.rules.indexes.iter().filter(|index| index.of_constraint) {
        let kind = if index.primary { 'p' } else { 'u' };
        let columns = index.keys.iter().filter_map(|key| key.column);
        let rest = [("conkey", numbers(columns)), ("conindid", int(index.oid))];
        add(index.constraint, &index.name, kind, &rest);
    }
}

fn sequence(t: &mut Table<'_>, _model: &CatalogModel, r: &Relation) {
    if let Some(of) = &r.rules.sequence {
        t.row(&[
            ("seqrelid", int(r.oid)),
            ("seqtypid", int(of.ty)),
            ("seqstart", int(of.start)),
            ("seqincrement", int(of.increment)),
            ("seqmax", int(of.max)),
            ("seqmin", int(of.min)),
            ("seqcache", int(1)),
            ("seqcycle", Value::Bool(of.cycle)),
        ]);
    }
}

fn sequences(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    if let Some(of) = &r.rules.sequence {
        t.row(&[
            ("schemaname", text(&r.schema)),
            ("sequencename", text(&r.name)),
            ("sequenceowner", text(acl::owner_of(model, r))),
            ("data_type", int(of.ty)),
            ("start_value", int(of.start)),
            ("min_value", int(of.min)),
            ("max_value", int(of.max)),
            ("increment_by", int(of.increment)),
            ("cycle", Value::Bool(of.cycle)),
            ("cache_size", int(1)),
            ("last_value", of.last.map_or(Value::Null, Value::Int)),
        ]);
    }
}

/// Sequences are of the columns that they fill.
fn depend(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    for (at, name) in &r.rules.sequences {
        let found = model.find_relation(Some(&r.schema), name, &[]);
        let identity = r.columns.get(*at).is_some_and(|c| c.identity.is_some());
        t.row(&[
            ("classid", int(PG_CLASS)),
            ("objid", int(found.map_or(0, |sequence| sequence.oid))),
            ("refclassid", int(PG_CLASS)),
            ("refobjid", int(r.oid)),
            ("refobjsubid", size(at + 1)),
            ("deptype", letter(if identity { 'i' } else { 'a' })),
        ]);
    }
}

/// Comments of indexes and constraints: object, its catalog, text.
pub(super) fn comments(r: &Relation) -> Vec<(u32, u32, &String)> {
    let mut all = Vec::new();
    for check in &r.rules.checks {
        all.extend(
            check
                .comment
                .as_ref()
                .map(|text| (check.oid, PG_CONSTRAINT, text)),
        );
    }
    for index in &r.rules.indexes {
        all.extend(
            index
                .comment
                .as_ref()
                .map(|text| (index.oid, PG_CLASS, text)),
        );
        let of_constraint = index.constraint_comment.as_ref();
        all.extend(of_constraint.map(|text| (index.constraint, PG_CONSTRAINT, text)));
    }
    all
}

/// Rows of a view of information_schema about rules; whether it is one.
pub(super) fn information(t: &mut Table<'_>, model: &CatalogModel) -> bool {
    let name = t.relation.name.clone();
    let rows: fn(&mut Table<'_>, &CatalogModel, &Relation) = match name.as_str() {
        "table_constraints" => table_constraints,
        "key_column_usage" => key_columns,
        "constraint_column_usage" => column_usage,
        "constraint_table_usage" => |t, model, r| {
            for index in r.rules.indexes.iter().filter(|index| index.of_constraint) {
                let named = named(model, r, &index.name);
                t.row(&named);
            }
        },
        "check_constraints" => check_constraints,
        "sequences" => sequences_of_schema,
        _ => return false,
    };
    for r in model.relations.iter().filter(|r| !r.system) {
        rows(t, model, r);
    }
    true
}

/// The columns that name a constraint and its table.
fn named(model: &CatalogModel, r: &Relation, name: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("constraint_catalog", text(&model.database)),
        ("constraint_schema", text(&r.schema)),
        ("constraint_name", text(name)),
        ("table_catalog", text(&model.database)),
        ("table_schema", text(&r.schema)),
        ("table_name", text(&r.name)),
    ]
}

/// The name that a NOT NULL has there.
fn not_null_name(model: &CatalogModel, r: &Relation, at: usize) -> String {
    let schema = model.namespace_oid(&r.schema);
    format!("{schema}_{}_{}_not_null", r.oid, at + 1)
}

fn not_nulls(r: &Relation) -> impl Iterator<Item = usize> + '_ {
    let is_table = r.kind == 'r';
    let columns = r.columns.iter().enumerate();
    columns
        .filter(move |(_, c)| is_table && c.not_null)
        .map(|(at, _)| at)
}

fn table_constraints(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    let mut add = |name: &str, kind: &str, nulls: Value| {
        let mut fields = named(model, r, name);
        fields.extend([
            ("constraint_type", text(kind)),
            ("is_deferrable", text("NO")),
            ("initially_deferred", text("NO")),
            ("enforced", text("YES")),
            ("nulls_distinct", nulls),
        ]);
        t.row(&fields);
    };
    for check in &r.rules.checks {
        add(&check.name, "CHECK", Value::Null);
    }
    for index in r.rules.indexes.iter().filter(|index| index.of_constraint) {
        match index.primary {
            true => add(&index.name, "PRIMARY KEY", Value::Null),
            false => {
                let distinct = if index.nulls_equal { "NO" } else { "YES" };
                add(&index.name, "UNIQUE", text(distinct));
            }
        }
    }
    for at in not_nulls(r) {
        add(&not_null_name(model, r, at), "CHECK", Value::Null);
    }
}

fn key_columns(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    for index in r.rules.indexes.iter().filter(|index| index.of_constraint) {
        for (number, key) in index.keys.iter().enumerate() {
            let mut fields = named(model, r, &index.name);
            fields.extend([
                ("column_name", text(&key.name)),
                ("ordinal_position", size(number + 1)),
            ]);
            t.row(&fields);
        }
    }
}

fn column_usage(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    let checks = r
        .rules
        .checks
        .iter()
        .map(|check| (&check.name, check.columns.clone()));
    let indexes = r.rules.indexes.iter().filter(|index| index.of_constraint);
    let indexes = indexes.map(|index| {
        let columns = index.keys.iter().filter_map(|key| key.column);
        (&index.name, columns.collect())
    });
    for (name, columns) in checks.chain(indexes) {
        for column in columns.into_iter().filter_map(|at| r.columns.get(at)) {
            let mut fields = named(model, r, name);
            fields.push(("column_name", text(&column.name)));
            t.row(&fields);
        }
    }
}

fn check_constraints(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    let mut add = |name: &str, clause: String| {
        t.row(&[
            ("constraint_catalog", text(&model.database)),
            ("constraint_schema", text(&r.schema)),
            ("constraint_name", text(name)),
            ("check_clause", text(clause)),
        ]);
    };
    for check in &r.rules.checks {
        add(&check.name, format!("({})", check.condition));
    }
    for at in not_nulls(r) {
        let column = r.columns.get(at).map_or("", |column| column.name.as_str());
        add(
            &not_null_name(model, r, at),
            format!("{column} IS NOT NULL"),
        );
    }
}

fn sequences_of_schema(t: &mut Table<'_>, model: &CatalogModel, r: &Relation) {
    // Those of identity columns are parts of these.
    let owned = model
        .relations
        .iter()
        .filter(|table| table.schema == r.schema);
    let is_identity = owned.flat_map(|table| {
        let sequences = table.rules.sequences.iter();
        sequences.filter(|(at, name)| {
            *name == r.name && table.columns.get(*at).is_some_and(|c| c.identity.is_some())
        })
    });
    let Some(of) = r
        .rules
        .sequence
        .as_ref()
        .filter(|_| is_identity.count() == 0)
    else {
        return;
    };
    let bits = match of.ty {
        oid::INT2 => 16,
        oid::INT4 => 32,
        _ => 64,
    };
    t.row(&[
        ("sequence_catalog", text(&model.database)),
        ("sequence_schema", text(&r.schema)),
        ("sequence_name", text(&r.name)),
        ("data_type", text(model.format_type(of.ty, None, &[]))),
        ("numeric_precision", int(bits)),
        ("numeric_precision_radix", int(2)),
        ("numeric_scale", int(0)),
        ("start_value", text(of.start.to_string())),
        ("minimum_value", text(of.min.to_string())),
        ("maximum_value", text(of.max.to_string())),
        ("increment", text(of.increment.to_string())),
        ("cycle_option", text(if of.cycle { "YES" } else { "NO" })),
    ]);
}
