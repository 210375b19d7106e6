//! What the system catalog shows of temporary tables beside their columns: defaults, constraints, indexes, comments.

use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};

use super::comments::Comments;
use super::rules::{Check, Index, IndexKey, IndexKind, Part, columns_of};
use super::sequence::GeneratedKind;
use super::shown::expression;
use super::{Relation, Sequence, TempState, TempTable};
use crate::pg_catalog::{
    CheckFacts, IndexFacts, KeyFacts, OwnFacts, RelationRules, SequenceFacts, quote_ident,
};
use crate::pg_types::PgType;
use crate::session::rewrite::{call_arguments, function_name};
use crate::session::statement::temp::name_of_text;

impl TempState {
    /// The relations by name, each with what there is to show of it.
    pub(in crate::session) fn facts(&self) -> impl Iterator<Item = (&str, OwnFacts)> {
        self.relations.iter().map(|(name, relation)| {
            let facts = match relation {
                Relation::Table(table) => of_table(table),
                Relation::View(view) => commented(&view.comments, &view.schema),
                Relation::Sequence(sequence) => OwnFacts {
                    sequence: Some(of_sequence(sequence)),
                    ..OwnFacts::default()
                },
            };
            (name.as_str(), facts)
        })
    }
}

fn of_sequence(sequence: &Sequence) -> SequenceFacts {
    SequenceFacts {
        ty: sequence.pg_type.oid,
        start: sequence.start,
        increment: sequence.increment,
        min: sequence.min,
        max: sequence.max,
        cycle: sequence.cycle,
        last: sequence.last(),
    }
}

/// What is said of a relation and its columns.
fn commented(comments: &Comments, schema: &Schema) -> OwnFacts {
    let columns = 0..schema.fields().len();
    OwnFacts {
        comment: comments.relation.clone(),
        comments: columns
            .map(|at| comments.columns.get(&at).cloned())
            .collect(),
        ..OwnFacts::default()
    }
}

fn of_table(table: &TempTable) -> OwnFacts {
    let fields = table.schema.fields().iter().enumerate();
    let defaults = fields.zip(&table.defaults);
    let defaults = defaults.map(|((at, field), default)| {
        let generated = table.generated.get(&at);
        if generated.is_some_and(|of| of.kind != GeneratedKind::Serial) {
            return None;
        }
        default.as_ref().and_then(|default| shown(default, field))
    });
    let columns = 0..table.schema.fields().len();
    let identities = columns.map(|at| match table.generated.get(&at)?.kind {
        GeneratedKind::Serial => None,
        GeneratedKind::Always => Some('a'),
        GeneratedKind::ByDefault => Some('d'),
    });
    let checks = table.rules.checks.iter();
    let indexes = table.rules.indexes.iter();
    OwnFacts {
        defaults: defaults.collect(),
        identities: identities.collect(),
        sequences: table
            .generated
            .iter()
            .map(|(at, of)| (*at, of.sequence.clone()))
            .collect(),
        rules: RelationRules {
            checks: checks.map(|check| of_check(check, table)).collect(),
            indexes: indexes.map(|index| of_index(index, table)).collect(),
            ..RelationRules::default()
        },
        ..commented(&table.comments, &table.schema)
    }
}

fn of_check(check: &Check, table: &TempTable) -> CheckFacts {
    CheckFacts {
        oid: 0,
        name: check.name.clone(),
        condition: expression(&check.condition, &table.schema, false),
        pretty: expression(&check.condition, &table.schema, true),
        columns: columns_of(&check.condition, &table.schema),
        comment: table.comments.constraints.get(&check.name).cloned(),
    }
}

fn of_index(index: &Index, table: &TempTable) -> IndexFacts {
    let both = |expr: &Expr| {
        let full = expression(expr, &table.schema, false);
        (full, expression(expr, &table.schema, true))
    };
    let comments = &table.comments;
    IndexFacts {
        oid: 0,
        constraint: 0,
        name: index.name.clone(),
        primary: index.kind == IndexKind::Primary,
        of_constraint: index.is_constraint(),
        unique: index.is_unique(),
        nulls_equal: index.nulls_equal,
        method: index.method.clone(),
        keys: index.keys.iter().map(|key| of_key(key, table)).collect(),
        include: index.include.clone(),
        condition: index.condition.as_ref().map(both),
        comment: comments.indexes.get(&index.name).cloned(),
        constraint_comment: comments
            .constraints
            .get(&index.name)
            .filter(|_| index.is_constraint())
            .cloned(),
    }
}

fn of_key(key: &IndexKey, table: &TempTable) -> KeyFacts {
    let plain = KeyFacts {
        ty: key.pg_type.oid,
        descending: key.descending,
        nulls_first: key.nulls_first,
        class: key.class.clone(),
        class_oid: key.class_oid,
        ..KeyFacts::default()
    };
    match &key.part {
        Part::Column(at) => KeyFacts {
            column: Some(*at),
            name: table
                .schema
                .fields()
                .get(*at)
                .map_or_else(String::new, |field| field.name().clone()),
            ..plain
        },
        Part::Expression(expr) => KeyFacts {
            name: match expr.as_ref() {
                Expr::Function(function) => function_name(function),
                _ => "expr".to_owned(),
            },
            expression: (
                expression(expr, &table.schema, false),
                expression(expr, &table.schema, true),
            ),
            is_call: matches!(expr.as_ref(), Expr::Function(_)),
            ..plain
        },
    }
}

/// A default as PostgreSQL writes it: a constant in quotes tells its type. NULL is what there is without one.
fn shown(default: &Expr, field: &Field) -> Option<String> {
    let pg_type = PgType::of_field(field);
    let typed = |text: &str| format!("'{}'::{}", text.replace('\'', "''"), pg_type.sql_name());
    Some(match default {
        Expr::Nested(inner) => return shown(inner, field),
        Expr::Value(value) => match &value.value {
            Value::Null => return None,
            Value::SingleQuotedString(text) => match pg_type {
                PgType::INT4 | PgType::NUMERIC if is_number(text.trim()) => text.trim().to_owned(),
                _ => typed(text),
            },
            Value::Boolean(truth) => truth.to_string(),
            other => other.to_string(),
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } if matches!(expr.as_ref(), Expr::Value(_)) => typed(&format!("-{expr}")),
        Expr::Function(function) if function_name(function) == "nextval" => {
            let arguments = call_arguments(function);
            let name = arguments.first().and_then(|name| sequence_named(name));
            let name = name.map(|name| quote_ident(&name).replace('\'', "''"));
            format!("nextval('{}'::regclass)", name.unwrap_or_default())
        }
        other => other.to_string(),
    })
}

/// Whether a text is a number without a sign.
fn is_number(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > 0 && digits + usize::from(text.contains('.')) == text.len()
}

/// The sequence that a constant names.
fn sequence_named(constant: &Expr) -> Option<String> {
    let inner = match constant {
        Expr::Cast { expr, .. } => expr.as_ref(),
        other => other,
    };
    let Expr::Value(value) = inner else {
        return None;
    };
    match &value.value {
        Value::SingleQuotedString(text) => Some(name_of_text(text).ok()?.name),
        _ => None,
    }
}
