//! Defaults of the columns of temporary tables, as the system catalog shows them.

use arrow::datatypes::Field;
use datafusion::sql::sqlparser::ast::{Expr, UnaryOperator, Value};

use super::{Relation, TempState, TempTable};
use crate::pg_types::PgType;

impl TempState {
    /// The tables by name, each with the defaults of its columns as SQL.
    pub(in crate::session) fn defaults(&self) -> impl Iterator<Item = (&str, Vec<Option<String>>)> {
        self.relations.iter().filter_map(|(name, relation)| {
            let Relation::Table(table) = relation else {
                return None;
            };
            Some((name.as_str(), of_table(table)))
        })
    }
}

fn of_table(table: &TempTable) -> Vec<Option<String>> {
    let fields = table.schema.fields().iter();
    let defaults = fields.zip(&table.defaults);
    defaults
        .map(|(field, default)| default.as_ref().and_then(|default| shown(default, field)))
        .collect()
}

/// A default as PostgreSQL writes it: a constant in quotes tells its type. NULL is what there is without one.
fn shown(default: &Expr, field: &Field) -> Option<String> {
    let pg_type = PgType::of_field(field);
    let typed = |text: &str| format!("'{}'::{}", text.replace('\'', "''"), pg_type.sql_name());
    Some(match default {
        Expr::Nested(inner) => return shown(inner, field),
        Expr::Value(value) => match &value.value {
            Value::Null => return None,
            Value::SingleQuotedString(text) => typed(text),
            Value::Boolean(truth) => truth.to_string(),
            other => other.to_string(),
        },
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } if matches!(expr.as_ref(), Expr::Value(_)) => typed(&format!("-{expr}")),
        other => other.to_string(),
    })
}
