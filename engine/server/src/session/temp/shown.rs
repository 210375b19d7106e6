//! Expressions of constraints and indexes as PostgreSQL shows them: constants tell their types, and each part stands in
//! parentheses, or with `pretty` only where it must.

use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use crate::pg_catalog::quote_ident;
use crate::pg_types::PgType;
use crate::session::params;
use crate::session::rewrite::{call_arguments, folded, function_name};

/// The text of an expression over the columns of a schema.
pub(super) fn expression(expr: &Expr, schema: &Schema, pretty: bool) -> String {
    Shown { schema, pretty }.of(expr)
}

struct Shown<'a> {
    schema: &'a Schema,
    pretty: bool,
}

impl Shown<'_> {
    fn of(&self, expr: &Expr) -> String {
        match expr {
            Expr::Nested(inner) => self.of(inner),
            Expr::Identifier(name) => quote_ident(&folded(name)),
            Expr::CompoundIdentifier(names) => {
                let last = names.last().map(folded).unwrap_or_default();
                quote_ident(&last)
            }
            Expr::BinaryOp {
                op: op @ (BinaryOperator::And | BinaryOperator::Or),
                ..
            } => {
                let mut parts = Vec::new();
                flatten(expr, op, &mut parts);
                let inner = parts.iter().map(|part| self.within(part, op));
                let inner: Vec<String> = inner.collect();
                self.grouped(inner.join(&format!(" {op} ")))
            }
            Expr::BinaryOp { left, op, right } => self.compared(left, &sign(op), right),
            Expr::Like {
                negated,
                expr,
                pattern,
                ..
            } => self.compared(expr, if *negated { "!~~" } else { "~~" }, pattern),
            Expr::ILike {
                negated,
                expr,
                pattern,
                ..
            } => self.compared(expr, if *negated { "!~~*" } else { "~~*" }, pattern),
            Expr::IsNull(inner) => self.grouped(format!("{} IS NULL", self.operand(inner))),
            Expr::IsNotNull(inner) => self.grouped(format!("{} IS NOT NULL", self.operand(inner))),
            Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr,
            } => self.grouped(format!("NOT {}", self.operand(expr))),
            Expr::Between {
                expr,
                negated,
                low,
                high,
            } => {
                let (below, above, word) = match negated {
                    true => ("<", ">", "OR"),
                    false => (">=", "<=", "AND"),
                };
                let (low, high) = (
                    self.compared(expr, below, low),
                    self.compared(expr, above, high),
                );
                self.grouped(format!("{low} {word} {high}"))
            }
            Expr::InList {
                expr,
                list,
                negated,
            } => self.in_list(expr, list, *negated),
            Expr::Function(function) => {
                let arguments = call_arguments(function);
                let arguments: Vec<String> = arguments.iter().map(|part| self.of(part)).collect();
                format!("{}({})", function_name(function), arguments.join(", "))
            }
            Expr::Cast {
                expr, data_type, ..
            } => {
                let name = params::type_of_sql(data_type).map(PgType::sql_name);
                let name = name.map_or_else(|| data_type.to_string().to_lowercase(), str::to_owned);
                match expr.as_ref() {
                    Expr::Value(value) if is_text(&value.value) => format!("{expr}::{name}"),
                    inner if self.pretty && is_plain(inner) => {
                        format!("{}::{name}", self.of(inner))
                    }
                    inner => format!("({})::{name}", self.of(inner)),
                }
            }
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(_) => format!("{value}::text"),
                Value::Boolean(truth) => truth.to_string(),
                _ => value.to_string(),
            },
            other => other.to_string(),
        }
    }

    /// With parentheses around, where every part has some.
    fn grouped(&self, text: String) -> String {
        match self.pretty {
            true => text,
            false => format!("({text})"),
        }
    }

    /// A part of AND or OR.
    fn within(&self, part: &Expr, around: &BinaryOperator) -> String {
        let text = self.of(part);
        let part = bare(part);
        let looser = matches!(
            part,
            Expr::BinaryOp {
                op: BinaryOperator::Or,
                ..
            }
        ) && *around == BinaryOperator::And;
        match self.pretty && looser {
            true => format!("({text})"),
            false => text,
        }
    }

    /// A part of another operator.
    fn operand(&self, part: &Expr) -> String {
        let text = self.of(part);
        let composed = matches!(
            bare(part),
            Expr::BinaryOp { .. } | Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::InList { .. }
        );
        match self.pretty && composed {
            true => format!("({text})"),
            false => text,
        }
    }

    fn type_of(&self, expr: &Expr) -> Option<PgType> {
        let name = match bare(expr) {
            Expr::Identifier(name) => name,
            Expr::CompoundIdentifier(names) => names.last()?,
            Expr::Function(function) => {
                let name = function_name(function);
                let text = [
                    "lower", "upper", "trim", "btrim", "substr", "replace", "concat",
                ];
                return text.contains(&name.as_str()).then_some(PgType::TEXT);
            }
            _ => return None,
        };
        let at = self.schema.index_of(&folded(name)).ok()?;
        self.schema
            .fields()
            .get(at)
            .map(|field| PgType::of_field(field))
    }

    fn cast(&self, text: &str, to: PgType) -> String {
        match self.pretty {
            true => format!("{text}::{}", to.sql_name()),
            false => format!("({text})::{}", to.sql_name()),
        }
    }

    /// One side of an operator, whose other side has this type.
    fn side(&self, expr: &Expr, other: Option<PgType>, is_text: bool) -> String {
        let number = |text: &str| match other {
            Some(PgType::NUMERIC) if !text.contains('.') => self.cast(text, PgType::NUMERIC),
            Some(of @ (PgType::FLOAT4 | PgType::FLOAT8)) => {
                let to = if of == PgType::FLOAT4 {
                    PgType::FLOAT8
                } else {
                    of
                };
                self.cast(text, to)
            }
            _ => text.to_owned(),
        };
        match bare(expr) {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(_) => {
                    let to = match other {
                        None | Some(PgType::VARCHAR) => PgType::TEXT,
                        Some(other) => other,
                    };
                    format!("{value}::{}", to.sql_name())
                }
                Value::Number(text, _) => number(text),
                _ => self.of(expr),
            },
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: inner,
            } if matches!(inner.as_ref(), Expr::Value(_)) => match other {
                Some(PgType::NUMERIC | PgType::FLOAT4 | PgType::FLOAT8) => {
                    number(&format!("'-{inner}'"))
                }
                _ => format!("'-{inner}'::integer"),
            },
            _ if is_text && self.type_of(expr) == Some(PgType::VARCHAR) => {
                self.cast(&self.of(expr), PgType::TEXT)
            }
            _ => self.operand(expr),
        }
    }

    fn compared(&self, left: &Expr, op: &str, right: &Expr) -> String {
        let (of_left, of_right) = (self.type_of(left), self.type_of(right));
        let text = [of_left, of_right].contains(&Some(PgType::VARCHAR));
        let left = self.side(left, of_right, text);
        let right = self.side(right, of_left, text);
        self.grouped(format!("{left} {op} {right}"))
    }

    fn in_list(&self, expr: &Expr, list: &[Expr], negated: bool) -> String {
        let of = self.type_of(expr);
        if let [one] = list {
            return self.compared(expr, if negated { "<>" } else { "=" }, one);
        }
        let (op, word) = if negated { ("<>", "ALL") } else { ("=", "ANY") };
        let is_varchar = of == Some(PgType::VARCHAR);
        let items = list.iter().map(|item| match bare(item) {
            Expr::Value(value) if is_text(&value.value) && is_varchar => {
                format!("{value}::{}", PgType::VARCHAR.sql_name())
            }
            item => self.side(item, of, false),
        });
        let items: Vec<String> = items.collect();
        let array = format!("ARRAY[{}]", items.join(", "));
        let (left, array) = match (is_varchar, self.pretty) {
            (false, _) => (self.operand(expr), array),
            (true, true) => (self.side(expr, of, true), format!("{array}::text[]")),
            (true, false) => (self.side(expr, of, true), format!("({array})::text[]")),
        };
        let array = match (is_varchar, self.pretty) {
            (true, false) => format!("({array})"),
            _ => array,
        };
        self.grouped(format!("{left} {op} {word} ({array})"))
    }
}

/// An expression without the parentheses around it.
fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => bare(inner),
        other => other,
    }
}

/// The parts of `a AND b AND c`.
fn flatten<'a>(expr: &'a Expr, around: &BinaryOperator, parts: &mut Vec<&'a Expr>) {
    match expr {
        Expr::BinaryOp { left, op, right } if op == around => {
            flatten(left, around, parts);
            flatten(right, around, parts);
        }
        other => parts.push(other),
    }
}

fn sign(op: &BinaryOperator) -> String {
    match op {
        BinaryOperator::NotEq => "<>".to_owned(),
        other => other.to_string(),
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::SingleQuotedString(_))
}

/// Whether a cast needs no parentheses around it.
fn is_plain(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Function(_)
    )
}
