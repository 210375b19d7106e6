//! The closed list of comparisons that may be evaluated below the access seam.
//!
//! Each is infallible: a column against literals of the column's own type, `IS NULL`, `LIKE` with a literal pattern,
//! and AND, OR, NOT of those. Nothing here can divide, cast or call a function, so no error and no side effect can
//! tell a caller about a row that the scan hides afterwards. Everything else stays above the scan.
//!
//! One more is no comparison but its answer: a condition on a column of which all values are known while planning,
//! judged by each value that the session may see ([`Predicate::judged`]).

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{
    Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion,
};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList, Like};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, Operator, Volatility};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use datafusion::prelude::ident;
use serde::{Deserialize, Serialize};

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// A literal, exact in every bit when serialised (floats are kept as their bits).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Literal {
    Boolean(bool),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Float32Bits(u32),
    Float64Bits(u64),
    Text(String),
}

/// One filter on the columns of a scan's table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Predicate {
    Compare {
        column: String,
        op: Comparison,
        value: Literal,
    },
    In {
        column: String,
        values: Vec<Literal>,
        negated: bool,
    },
    Like {
        column: String,
        pattern: String,
        negated: bool,
    },
    IsNull {
        column: String,
        negated: bool,
    },
    /// A condition that was judged by all values of a column: those that it is true of.
    Judged {
        column: String,
        condition: String,
        values: BTreeSet<String>,
    },
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
}

impl Predicate {
    /// The filter as a predicate of this list; `None` when it is not on the list for this schema.
    pub fn of(filter: &Expr, schema: &Schema) -> Option<Self> {
        match filter {
            Expr::Alias(alias) => Self::of(&alias.expr, schema),
            Expr::Column(column) => boolean_column(&column.name, schema),
            Expr::Not(inner) => Some(Self::Not(Box::new(Self::of(inner, schema)?))),
            Expr::IsNull(inner) => null_test(inner, schema, false),
            Expr::IsNotNull(inner) => null_test(inner, schema, true),
            Expr::Between(between) => between_bounds(between, schema),
            Expr::InList(list) => in_list(list, schema),
            Expr::Like(like) => like_pattern(like, schema),
            Expr::BinaryExpr(binary) => binary_filter(binary, schema),
            _ => None,
        }
    }

    /// A deterministic condition on one column of texts, judged by all its values; `None` for any other condition,
    /// and for one that fails on a value: it fails on rows, if it comes to that, as it would have.
    pub(crate) fn judged(filter: &Expr, column: &str, values: &ArrayRef) -> Option<Self> {
        if !is_of_column(filter, column) {
            return None;
        }
        let bare = |expr| match expr {
            Expr::Column(_) => Ok(Transformed::yes(ident(column))),
            other => Ok(Transformed::no(other)),
        };
        let bare = filter.clone().transform(bare).data().ok()?;
        let field = Field::new(column, values.data_type().clone(), false);
        let schema = Arc::new(Schema::new(vec![field]));
        let physical = create_physical_expr(
            &bare,
            &DFSchema::try_from(Schema::clone(&schema)).ok()?,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        );
        let batch = RecordBatch::try_new(schema, vec![Arc::clone(values)]).ok()?;
        let judged = physical.ok()?.evaluate(&batch).ok()?;
        let judged = judged.into_array(values.len()).ok()?;
        let passing = judged.as_boolean_opt()?.iter();
        let passing = values.as_string_opt::<i32>()?.iter().zip(passing);
        let passing = passing.filter(|(_, passes)| *passes == Some(true));
        Some(Self::Judged {
            column: column.to_owned(),
            condition: bare.human_display().to_string(),
            values: passing.filter_map(|(v, _)| v.map(str::to_owned)).collect(),
        })
    }

    /// Calls `f` with every column named, once per mention.
    pub fn for_each_column(&self, f: &mut impl FnMut(&str)) {
        match self {
            Self::Compare { column, .. }
            | Self::In { column, .. }
            | Self::Like { column, .. }
            | Self::IsNull { column, .. }
            | Self::Judged { column, .. } => f(column),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|p| p.for_each_column(f));
            }
            Self::Not(inner) => inner.for_each_column(f),
        }
    }

    /// The contig whose rows alone this filter leaves, when it says nothing else.
    pub(crate) fn contig(&self) -> Option<&str> {
        match self {
            Self::Compare {
                column,
                op: Comparison::Eq,
                value: Literal::Text(contig),
            } if column == "contig" => Some(contig),
            _ => None,
        }
    }

    /// Adds every column named.
    pub(crate) fn collect_columns<'a>(&'a self, into: &mut BTreeSet<&'a str>) {
        match self {
            Self::Compare { column, .. }
            | Self::In { column, .. }
            | Self::Like { column, .. }
            | Self::IsNull { column, .. }
            | Self::Judged { column, .. } => {
                into.insert(column);
            }
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|p| p.collect_columns(into));
            }
            Self::Not(inner) => inner.collect_columns(into),
        }
    }

    /// True when every column named satisfies `test`.
    pub fn only_columns(&self, test: impl Fn(&str) -> bool) -> bool {
        let mut all = true;
        self.for_each_column(&mut |column| all &= test(column));
        all
    }

    /// The predicate as an expression of DataFusion, unqualified columns.
    pub fn to_expr(&self) -> Expr {
        match self {
            Self::Compare { column, op, value } => Expr::BinaryExpr(BinaryExpr::new(
                Box::new(ident(column)),
                op.operator(),
                Box::new(value.to_expr()),
            )),
            Self::In {
                column,
                values,
                negated,
            } => ident(column).in_list(values.iter().map(Literal::to_expr).collect(), *negated),
            Self::Like {
                column,
                pattern,
                negated,
            } => Expr::Like(Like::new(
                *negated,
                Box::new(ident(column)),
                Box::new(Literal::Text(pattern.clone()).to_expr()),
                None,
                false,
            )),
            Self::IsNull {
                column,
                negated: false,
            } => ident(column).is_null(),
            Self::IsNull {
                column,
                negated: true,
            } => ident(column).is_not_null(),
            Self::Judged { column, values, .. } => {
                let literal = |value: &String| Expr::Literal(value.as_str().into(), None);
                match values.is_empty() {
                    true => Literal::Boolean(false).to_expr(),
                    false => ident(column).in_list(values.iter().map(literal).collect(), false),
                }
            }
            Self::And(parts) => joined(parts, Expr::and, true),
            Self::Or(parts) => joined(parts, Expr::or, false),
            Self::Not(inner) => Expr::Not(Box::new(inner.to_expr())),
        }
    }

    /// The predicate bound to the columns of `schema`.
    pub fn to_physical(&self, schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
        let schema = DFSchema::try_from(schema.clone())?;
        create_physical_expr(
            &self.to_expr(),
            &schema,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Judged { condition, .. } => f.write_str(condition),
            _ => write!(f, "{}", self.to_expr().human_display()),
        }
    }
}

fn joined(parts: &[Predicate], join: fn(Expr, Expr) -> Expr, empty: bool) -> Expr {
    parts
        .iter()
        .map(Predicate::to_expr)
        .reduce(join)
        .unwrap_or_else(|| Literal::Boolean(empty).to_expr())
}

impl Comparison {
    fn of(op: Operator) -> Option<Self> {
        Some(match op {
            Operator::Eq => Self::Eq,
            Operator::NotEq => Self::NotEq,
            Operator::Lt => Self::Lt,
            Operator::LtEq => Self::LtEq,
            Operator::Gt => Self::Gt,
            Operator::GtEq => Self::GtEq,
            _ => return None,
        })
    }

    fn operator(self) -> Operator {
        match self {
            Self::Eq => Operator::Eq,
            Self::NotEq => Operator::NotEq,
            Self::Lt => Operator::Lt,
            Self::LtEq => Operator::LtEq,
            Self::Gt => Operator::Gt,
            Self::GtEq => Operator::GtEq,
        }
    }

    /// The operator that says the same with the sides exchanged.
    fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::LtEq => Self::GtEq,
            Self::Gt => Self::Lt,
            Self::GtEq => Self::LtEq,
            same => same,
        }
    }
}

impl Literal {
    /// The literal of a scalar that is not NULL and of a type in the list.
    fn of(value: &ScalarValue) -> Option<Self> {
        Some(match value {
            ScalarValue::Boolean(Some(v)) => Self::Boolean(*v),
            ScalarValue::Int16(Some(v)) => Self::Int16(*v),
            ScalarValue::Int32(Some(v)) => Self::Int32(*v),
            ScalarValue::Int64(Some(v)) => Self::Int64(*v),
            ScalarValue::Float32(Some(v)) => Self::Float32Bits(v.to_bits()),
            ScalarValue::Float64(Some(v)) => Self::Float64Bits(v.to_bits()),
            ScalarValue::Utf8(Some(v)) => Self::Text(v.clone()),
            _ => return None,
        })
    }

    /// The literal as a scalar of its type.
    pub fn to_scalar(&self) -> ScalarValue {
        match self {
            Self::Boolean(v) => ScalarValue::Boolean(Some(*v)),
            Self::Int16(v) => ScalarValue::Int16(Some(*v)),
            Self::Int32(v) => ScalarValue::Int32(Some(*v)),
            Self::Int64(v) => ScalarValue::Int64(Some(*v)),
            Self::Float32Bits(v) => ScalarValue::Float32(Some(f32::from_bits(*v))),
            Self::Float64Bits(v) => ScalarValue::Float64(Some(f64::from_bits(*v))),
            Self::Text(v) => ScalarValue::Utf8(Some(v.clone())),
        }
    }

    fn to_expr(&self) -> Expr {
        Expr::Literal(self.to_scalar(), None)
    }
}

/// Whether a condition looks at one column and has the same answer whenever it is judged by the same value.
fn is_of_column(filter: &Expr, column: &str) -> bool {
    let (mut named, mut known) = (false, true);
    let look = |expr: &Expr| {
        known &= match expr {
            Expr::Column(of) => {
                named = true;
                of.name == column
            }
            Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
            Expr::Alias(_)
            | Expr::Literal(..)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_) => true,
            _ => false,
        };
        Ok(match known {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    };
    filter.apply(look).is_ok() && known && named
}

fn column_type<'a>(expr: &Expr, schema: &'a Schema) -> Option<(String, &'a DataType)> {
    let Expr::Column(column) = expr else {
        return None;
    };
    let field = schema.field_with_name(&column.name).ok()?;
    Some((column.name.clone(), field.data_type()))
}

/// A literal of exactly the column's type.
fn literal_of_type(expr: &Expr, data_type: &DataType) -> Option<Literal> {
    let Expr::Literal(value, _) = expr else {
        return None;
    };
    if &value.data_type() == data_type {
        Literal::of(value)
    } else {
        None
    }
}

fn boolean_column(name: &str, schema: &Schema) -> Option<Predicate> {
    let field = schema.field_with_name(name).ok()?;
    (field.data_type() == &DataType::Boolean).then(|| Predicate::Compare {
        column: name.to_owned(),
        op: Comparison::Eq,
        value: Literal::Boolean(true),
    })
}

fn null_test(expr: &Expr, schema: &Schema, negated: bool) -> Option<Predicate> {
    let (column, _) = column_type(expr, schema)?;
    Some(Predicate::IsNull { column, negated })
}

fn between_bounds(between: &Between, schema: &Schema) -> Option<Predicate> {
    let (column, data_type) = column_type(&between.expr, schema)?;
    let bound = |op, expr: &Expr| {
        Some(Predicate::Compare {
            column: column.clone(),
            op,
            value: literal_of_type(expr, data_type)?,
        })
    };
    let inside = Predicate::And(vec![
        bound(Comparison::GtEq, &between.low)?,
        bound(Comparison::LtEq, &between.high)?,
    ]);
    Some(if between.negated {
        Predicate::Not(Box::new(inside))
    } else {
        inside
    })
}

fn in_list(list: &InList, schema: &Schema) -> Option<Predicate> {
    let (column, data_type) = column_type(&list.expr, schema)?;
    let values = list
        .list
        .iter()
        .map(|e| literal_of_type(e, data_type))
        .collect::<Option<Vec<_>>>()?;
    Some(Predicate::In {
        column,
        values,
        negated: list.negated,
    })
}

fn like_pattern(like: &Like, schema: &Schema) -> Option<Predicate> {
    if like.case_insensitive || like.escape_char.is_some() {
        return None;
    }
    let (column, data_type) = column_type(&like.expr, schema)?;
    let Literal::Text(pattern) = literal_of_type(&like.pattern, data_type)? else {
        return None;
    };
    is_prefix_pattern(&pattern).then_some(Predicate::Like {
        column,
        pattern,
        negated: like.negated,
    })
}

/// `abc%`: text without wildcard or escape, then one `%`.
fn is_prefix_pattern(pattern: &str) -> bool {
    pattern
        .strip_suffix('%')
        .is_some_and(|prefix| !prefix.contains(['%', '_', '\\']))
}

fn binary_filter(binary: &BinaryExpr, schema: &Schema) -> Option<Predicate> {
    let both = || {
        Some(vec![
            Predicate::of(&binary.left, schema)?,
            Predicate::of(&binary.right, schema)?,
        ])
    };
    match binary.op {
        Operator::And => Some(Predicate::And(both()?)),
        Operator::Or => Some(Predicate::Or(both()?)),
        op => comparison(&binary.left, Comparison::of(op)?, &binary.right, schema),
    }
}

fn comparison(left: &Expr, op: Comparison, right: &Expr, schema: &Schema) -> Option<Predicate> {
    if let Some((column, data_type)) = column_type(left, schema) {
        return Some(Predicate::Compare {
            column,
            op,
            value: literal_of_type(right, data_type)?,
        });
    }
    let (column, data_type) = column_type(right, schema)?;
    Some(Predicate::Compare {
        column,
        op: op.mirrored(),
        value: literal_of_type(left, data_type)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use datafusion::prelude::{cast, col, lit};

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("contig", DataType::Utf8, false),
            Field::new("pos", DataType::Int32, false),
            Field::new("af", DataType::Float64, true),
            Field::new("info_db", DataType::Boolean, true),
        ])
    }

    #[test]
    fn listed_comparisons_are_taken_and_everything_else_is_not() {
        let taken = [
            col("pos").eq(lit(5i32)),
            lit(5i32).lt(col("pos")),
            col("pos").between(lit(1i32), lit(9i32)),
            col("contig").in_list(vec![lit("chr1"), lit("chr2")], true),
            col("contig").like(lit("chr%")),
            col("af").is_not_null(),
            col("info_db"),
            Expr::Not(Box::new(col("af").gt(lit(0.5f64)).or(col("info_db")))),
        ];
        for expr in taken {
            let predicate = Predicate::of(&expr, &schema());
            assert!(predicate.is_some(), "{expr}");
            predicate.unwrap().to_physical(&schema()).unwrap();
        }
        let refused = [
            col("pos").eq(lit(5i64)),
            (lit(1i32) / col("pos")).eq(lit(1i32)),
            cast(col("contig"), DataType::Int32).eq(lit(1i32)),
            col("contig").like(lit("%r1")),
            col("contig").ilike(lit("CHR%")),
            col("pos").eq(lit(ScalarValue::Int32(None))),
            col("pos").eq(col("pos")),
            col("pos")
                .eq(lit(5i32))
                .and((lit(1i32) / col("pos")).eq(lit(1i32))),
            col("contig"),
        ];
        for expr in refused {
            assert_eq!(Predicate::of(&expr, &schema()), None, "{expr}");
        }
    }

    #[test]
    fn a_literal_on_the_left_turns_the_operator() {
        let predicate = Predicate::of(&lit(5i32).lt_eq(col("pos")), &schema()).unwrap();
        assert_eq!(
            predicate,
            Predicate::Compare {
                column: "pos".into(),
                op: Comparison::GtEq,
                value: Literal::Int32(5)
            }
        );
    }
}
