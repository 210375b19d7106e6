//! Statements without a table that the engine computes, though they ask something that the catalog's evaluator has an
//! answer to: beside times, numerics of so many digits, patterns and windows, of which the evaluator knows less.
//!
//! ```text
//! SELECT current_user                                        the evaluator's: a name, as PostgreSQL has it
//! SELECT current_user, now() AT TIME ZONE 'Europe/Berlin'    the engine's: the session knows who it is
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, CharacterLength, DataType, ExactNumberInfo, Expr, Value, Visitor,
};

use crate::session::rewrite::last_part;

/// Functions that the engine has and the evaluator has not, or of fewer forms.
const OF_ENGINE: [&str; 31] = [
    "age",
    "avg",
    "ceil",
    "ceiling",
    "clock_timestamp",
    "date_bin",
    "date_part",
    "date_trunc",
    "exp",
    "initcap",
    "justify_days",
    "justify_hours",
    "justify_interval",
    "length",
    "ln",
    "log",
    "lower",
    "make_interval",
    "power",
    "regexp_count",
    "regexp_instr",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "sqrt",
    "statement_timestamp",
    "sum",
    "to_char",
    "to_timestamp",
    "transaction_timestamp",
    "upper",
];

/// Whether the engine is to compute a statement that both could.
pub(super) fn computes(statement: &ast::Statement) -> bool {
    ast::Visit::visit(statement, &mut Looks).is_break()
}

/// Stops at the first of these.
struct Looks;

impl Looks {
    fn found(is: bool) -> ControlFlow<()> {
        match is {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Looks {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        Self::found(match expr {
            Expr::AtTimeZone { .. }
            | Expr::Extract { .. }
            | Expr::Overlay { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Interval(_)
            | Expr::SimilarTo { .. }
            | Expr::Substring { .. } => true,
            Expr::Function(function) => {
                let name = last_part(&function.name);
                function.over.is_some() || OF_ENGINE.contains(&name.as_str())
            }
            Expr::Cast { data_type, .. } => has_form(data_type),
            Expr::TypedString(typed) => has_form(&typed.data_type),
            Expr::Value(value) => matches!(
                &value.value,
                Value::SingleQuotedString(text) if text.to_ascii_lowercase().contains("infinity")
            ),
            _ => false,
        })
    }
}

/// Whether values of a type are times, documents, or have so many digits, bits or characters.
fn has_form(data_type: &DataType) -> bool {
    match data_type {
        DataType::Date
        | DataType::Time(..)
        | DataType::Timestamp(..)
        | DataType::Interval { .. }
        | DataType::JSONB
        | DataType::Bit(_)
        | DataType::BitVarying(_) => true,
        DataType::Numeric(digits) | DataType::Decimal(digits) => {
            !matches!(digits, ExactNumberInfo::None)
        }
        DataType::Char(length) | DataType::Character(length) => {
            matches!(length, Some(CharacterLength::IntegerLength { .. }))
        }
        _ => false,
    }
}
