//! What operators there are between values, by the classes of their types.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable as _, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::semantics::clock::compares;

/// What operators there are between values of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Number,
    Text,
    Bool,
    Bytes,
    Date,
    Stamp,
    Time,
    Span,
}

impl Class {
    /// `None` for what fits anything, as NULL and constants in quotes, and for arrays and rows.
    pub(super) fn of(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        match expr {
            Expr::Literal(value, _) if value.is_null() || is_text(&value.data_type()) => None,
            // A text may be that of anything: nothing may have told its type.
            Expr::Placeholder(parameter) => {
                let of = Self::of_type(parameter.field.as_ref()?.data_type());
                of.filter(|class| *class != Class::Text)
            }
            // What a parameter is whose type nothing tells.
            Expr::Cast(cast)
                if is_text(cast.field.data_type())
                    && matches!(cast.expr.as_ref(), Expr::Literal(value, _) if value.is_null()) =>
            {
                None
            }
            Expr::Alias(alias) => Self::of(&alias.expr, schema),
            // Its type is that of its first result until types are settled.
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                let mut results = results.chain(case.else_expr.as_deref());
                results.find_map(|result| Self::of(result, schema))
            }
            // What `= ANY` and chains of conditions are needs no look at their parts.
            Expr::BinaryExpr(BinaryExpr { op, .. }) if is_logical(*op) => Some(Class::Bool),
            _ => Self::of_type(&expr.get_type(schema).ok()?),
        }
    }

    pub(super) fn of_type(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Dictionary(_, value) => return Self::of_type(value),
            DataType::Boolean => Class::Bool,
            data_type if data_type.is_numeric() => Class::Number,
            data_type if is_text(data_type) => Class::Text,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Class::Bytes,
            DataType::Date32 | DataType::Date64 => Class::Date,
            DataType::Timestamp(..) => Class::Stamp,
            DataType::Time32(_) | DataType::Time64(_) => Class::Time,
            DataType::Interval(_) => Class::Span,
            _ => return None,
        })
    }

    fn is_time(self) -> bool {
        matches!(self, Class::Date | Class::Stamp | Class::Time | Class::Span)
    }

    /// Whether one is a time and the other a number or a truth value: neither becomes the other.
    pub(super) fn is_apart(self, other: Self) -> bool {
        let plain = |class: Self| matches!(class, Class::Number | Class::Bool);
        (self.is_time() && plain(other)) || (plain(self) && other.is_time())
    }

    /// Whether no operator compares the two.
    pub(super) fn unlike(self, other: Self) -> bool {
        match (self, other) {
            (Class::Date | Class::Stamp, Class::Date | Class::Stamp)
            | (Class::Time | Class::Span, Class::Time | Class::Span)
            // Bytes are read as text in many places.
            | (Class::Bytes | Class::Text, Class::Bytes | Class::Text) => false,
            (one, other) => one != other,
        }
    }

    /// Whether the two have no type in common.
    pub(super) fn is_foreign(self, other: Self) -> bool {
        self.unlike(other) || (self != other && matches!(self, Class::Time | Class::Span))
    }
}

fn is_logical(op: Operator) -> bool {
    matches!(op, Operator::And | Operator::Or) || compares(op)
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Whether some types are those of a time and of a number.
pub(in crate::semantics) fn unlike(types: &[DataType]) -> bool {
    let classes: Vec<Class> = types.iter().filter_map(Class::of_type).collect();
    let mut pairs = classes.iter().enumerate();
    pairs.any(|(at, one)| classes.iter().skip(at).any(|other| one.is_apart(*other)))
}

pub(super) fn arithmetic(l: Class, op: &BinaryOperator, r: Class) -> bool {
    use Class::{Bool, Bytes, Date, Number, Span, Stamp, Text, Time};
    let (plus, minus) = (
        matches!(op, BinaryOperator::Plus),
        matches!(op, BinaryOperator::Minus),
    );
    match (l, r) {
        (Number, Number) => true,
        (Text | Bool | Bytes, _) | (_, Text | Bool | Bytes) => false,
        (Date, Number) => plus || minus,
        (Number, Date) => plus,
        (Span, Number) => matches!(op, BinaryOperator::Multiply | BinaryOperator::Divide),
        (Number, Span) => matches!(op, BinaryOperator::Multiply),
        (Date | Stamp, Date | Stamp) | (Time, Time) => minus,
        (Date | Stamp | Time | Span, Span) => plus || minus,
        (Span, Date | Stamp | Time) | (Date, Time) | (Time, Date) => plus,
        _ => false,
    }
}
