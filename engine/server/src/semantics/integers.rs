//! What PostgreSQL calls an integer where the planner has a bigint, as which it reads every whole constant: `x + 1`,
//! `CASE WHEN … THEN 1 END`, `(VALUES (1), (2))`, `array_agg(x * 2)`.
//!
//! ```text
//! SELECT pos + 1 …        ─►   Projection: CAST(pos + 1 AS Int32)      22003 past the end of integer
//!                                Projection: CAST(pos AS Int64) + 1    as scans and joins know it
//! ```
//! Inside of a plan such numbers stay bigint, so that interval joins, pruning and counting see what they know; they
//! become integers where rows leave ([`told`]) and where a type is asked for. Columns of subqueries, common table
//! expressions and VALUES are followed to their definitions.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::common::{DFSchema, NullEquality, Result, ScalarValue};
use datafusion::logical_expr::expr::{Cast, Placeholder};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable as _, JoinType, LogicalPlan,
    LogicalPlanBuilder, Operator, Values, cast,
};

use super::arrays::{SLICE, SUBSCRIPT, innermost};
use super::row_at::ROW_AT;

/// What numbers a value is made of, be it one or an array of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// NULL, which is whatever stands beside it.
    Null,
    /// Integers, or smaller ones.
    Integer,
    /// Bigints, and integers among them.
    Bigint,
    Other,
}

impl Kind {
    fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Kind::Null,
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::UInt8
            | DataType::UInt16 => Kind::Integer,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Kind::Bigint,
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                Self::of_type(item.data_type())
            }
            _ => Kind::Other,
        }
    }

    /// That of what may be either.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Kind::Null, kind) | (kind, Kind::Null) => kind,
            (Kind::Integer, Kind::Integer) => Kind::Integer,
            (Kind::Integer | Kind::Bigint, Kind::Integer | Kind::Bigint) => Kind::Bigint,
            _ => Kind::Other,
        }
    }
}

/// Whose the casts to bigint of a plan are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Casts {
    /// They were written.
    Written,
    /// They are the planner's, unless what they cast is a bigint already.
    Planned,
}

/// The kinds of the columns of a plan that stands as it was written.
pub(crate) fn of_columns(plan: &LogicalPlan) -> Vec<Kind> {
    columns(plan, Casts::Written)
}

/// The columns that expressions of a node are over.
pub(super) struct Inputs {
    schema: DFSchema,
    kinds: Vec<Kind>,
    casts: Casts,
}

impl Inputs {
    pub(super) fn of(node: &LogicalPlan, casts: Casts) -> Self {
        let mut schema = DFSchema::empty();
        let mut kinds = Vec::new();
        for input in node.inputs() {
            let known = schema.fields().len();
            schema.merge(input.schema());
            // Columns that are there already are left out; then the types alone tell.
            let all = columns(input, casts);
            match schema.fields().len() - known == all.len() {
                true => kinds.extend(all),
                false => kinds.extend(by_types(&schema).into_iter().skip(known)),
            }
        }
        Self {
            schema,
            kinds,
            casts,
        }
    }

    /// The kind of an expression.
    pub(super) fn kind(&self, expr: &Expr) -> Kind {
        let of = |part: &Expr| self.kind(part);
        let all = |parts: &[Expr]| parts.iter().map(of).fold(Kind::Null, Kind::or);
        match expr {
            Expr::Literal(ScalarValue::Int64(Some(value)), _) => {
                // The minus belongs to a constant: the least integer is one.
                let fits = i32::try_from(*value).is_ok();
                if fits { Kind::Integer } else { Kind::Bigint }
            }
            Expr::Column(column) => {
                let at = self.schema.maybe_index_of_column(column);
                let known = at.and_then(|at| self.kinds.get(at));
                known.copied().unwrap_or(Kind::Other)
            }
            Expr::Alias(alias) => of(&alias.expr),
            // Two signs before a constant are none.
            Expr::Negative(value) => match value.as_ref() {
                Expr::Literal(ScalarValue::Int64(Some(value)), _)
                    if *value == i64::from(i32::MIN) =>
                {
                    Kind::Bigint
                }
                value => of(value),
            },
            Expr::Unnest(unnest) => of(&unnest.expr),
            Expr::Cast(Cast { expr: value, field }) => match field.data_type() {
                DataType::Int64 if self.casts == Casts::Planned => {
                    match value.get_type(&self.schema) {
                        Ok(data_type) if Kind::of_type(&data_type) == Kind::Integer => {
                            Kind::Integer
                        }
                        _ => Kind::Bigint,
                    }
                }
                data_type => Kind::of_type(data_type),
            },
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then);
                let results = results.chain(&case.else_expr);
                results.map(|result| of(result)).fold(Kind::Null, Kind::or)
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
                Operator::Plus
                | Operator::Minus
                | Operator::Multiply
                | Operator::Divide
                | Operator::Modulo
                | Operator::BitwiseAnd
                | Operator::BitwiseOr
                | Operator::BitwiseXor
                | Operator::StringConcat => of(left).or(of(right)),
                Operator::BitwiseShiftLeft | Operator::BitwiseShiftRight => of(left),
                _ => Kind::Other,
            },
            Expr::ScalarFunction(call) => match Gives::of(call.func.name()) {
                Gives::Integers => Kind::Integer,
                Gives::First => call.args.first().map_or(Kind::Other, of),
                Gives::Any => all(&call.args),
                Gives::Typed => self.typed(expr),
            },
            Expr::AggregateFunction(aggregate) => match gives_argument(aggregate.func.name()) {
                true => aggregate.params.args.first().map_or(Kind::Other, of),
                false => self.typed(expr),
            },
            Expr::WindowFunction(window) => match (window.fun.name(), &*window.params.args) {
                ("ntile", _) => Kind::Integer,
                ("lag" | "lead", [value, _, default]) => of(value).or(of(default)),
                ("lag" | "lead" | ROW_AT, [value, ..]) => of(value),
                (name, [value, ..]) if gives_argument(name) => of(value),
                _ => self.typed(expr),
            },
            Expr::ScalarSubquery(query) => {
                let kinds = columns(&query.subquery, self.casts);
                kinds.first().copied().unwrap_or(Kind::Other)
            }
            _ => self.typed(expr),
        }
    }

    fn typed(&self, expr: &Expr) -> Kind {
        match expr.get_type(&self.schema) {
            Ok(data_type) => Kind::of_type(&data_type),
            Err(_) => Kind::Other,
        }
    }
}

/// What a function gives.
enum Gives {
    /// Integers to PostgreSQL, whatever they are here.
    Integers,
    /// Its first argument, or what that is made of.
    First,
    /// One of its arguments, or what is made of them.
    Any,
    /// What its type says.
    Typed,
}

impl Gives {
    fn of(function: &str) -> Self {
        match function {
            "array_length" | "array_ndims" | "array_position" | "array_positions"
            | "cardinality" | "regexp_count" | "regexp_instr" => Gives::Integers,
            SLICE | SUBSCRIPT => Gives::First,
            "array_distinct"
            | "array_element"
            | "array_reverse"
            | "array_slice"
            | "array_sort"
            | "mode_of_array"
            | "nullif"
            | "percentile_disc_of_array"
            | "trim_array" => Gives::First,
            "bits_apart" | "checked_add" | "checked_multiply" | "checked_subtract"
            | "float_add" | "float_multiply" | "float_subtract" => Gives::Any,
            "abs" | "array_append" | "array_concat" | "array_prepend" | "array_remove"
            | "array_remove_all" | "array_replace" | "array_replace_all" | "coalesce" | "gcd"
            | "generate_series" | "greatest" | "lcm" | "least" | "make_array" => Gives::Any,
            _ => Gives::Typed,
        }
    }
}

/// Whether an aggregate gives values of its argument, or what is made of their bits.
fn gives_argument(aggregate: &str) -> bool {
    matches!(
        aggregate,
        "array_agg"
            | "bit_and"
            | "bit_or"
            | "bit_xor"
            | "first_value"
            | "last_value"
            | "max"
            | "min"
            | "nth_value"
    )
}

fn by_types(schema: &DFSchema) -> Vec<Kind> {
    let fields = schema.fields().iter();
    fields
        .map(|field| Kind::of_type(field.data_type()))
        .collect()
}

/// The kinds of the columns of a plan.
fn columns(plan: &LogicalPlan, casts: Casts) -> Vec<Kind> {
    let known = match plan {
        LogicalPlan::Projection(node) => {
            let inputs = Inputs::of(plan, casts);
            node.expr.iter().map(|expr| inputs.kind(expr)).collect()
        }
        LogicalPlan::Aggregate(node) => aggregated(node, &Inputs::of(plan, casts)),
        LogicalPlan::Window(node) => {
            let inputs = Inputs::of(plan, casts);
            let made = node.window_expr.iter().map(|expr| inputs.kind(expr));
            let made: Vec<Kind> = made.collect();
            [inputs.kinds, made].concat()
        }
        LogicalPlan::Distinct(Distinct::On(node)) => {
            let inputs = Inputs::of(plan, casts);
            let selected = node.select_expr.iter();
            selected.map(|expr| inputs.kind(expr)).collect()
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => match plan.inputs().as_slice() {
            [input] => columns(input, casts),
            _ => Vec::new(),
        },
        LogicalPlan::Join(node) => {
            let mark = vec![Kind::Other];
            let left = || columns(&node.left, casts);
            let right = || columns(&node.right, casts);
            match node.join_type {
                // EXCEPT and INTERSECT have the types of both sides.
                JoinType::LeftSemi | JoinType::LeftAnti
                    if node.null_equality == NullEquality::NullEqualsNull =>
                {
                    alike(left(), right())
                }
                JoinType::LeftSemi | JoinType::LeftAnti => left(),
                JoinType::RightSemi | JoinType::RightAnti => right(),
                JoinType::LeftMark => [left(), mark].concat(),
                JoinType::RightMark => [right(), mark].concat(),
                _ => [left(), right()].concat(),
            }
        }
        LogicalPlan::Union(node) => {
            let inputs = node.inputs.iter().map(|input| columns(input, casts));
            inputs.reduce(alike).unwrap_or_default()
        }
        LogicalPlan::Values(node) => listed(node),
        LogicalPlan::Unnest(node) => {
            let below = columns(&node.input, casts);
            let places = node.dependency_indices.iter();
            let kinds = places.map(|at| below.get(*at).copied().unwrap_or(Kind::Other));
            kinds.collect()
        }
        // The rows that are added have the types of the first ones.
        LogicalPlan::RecursiveQuery(node) => columns(&node.static_term, casts),
        _ => Vec::new(),
    };
    match known.len() == plan.schema().fields().len() {
        true => known,
        false => by_types(plan.schema()),
    }
}

fn alike(one: Vec<Kind>, other: Vec<Kind>) -> Vec<Kind> {
    one.into_iter()
        .zip(other)
        .map(|(one, other)| one.or(other))
        .collect()
}

fn aggregated(node: &Aggregate, inputs: &Inputs) -> Vec<Kind> {
    let keys: Vec<Expr> = match node.group_expr.as_slice() {
        [Expr::GroupingSet(sets)] => sets.distinct_expr().into_iter().cloned().collect(),
        keys => keys.to_vec(),
    };
    let mut kinds: Vec<Kind> = keys.iter().map(|key| inputs.kind(key)).collect();
    // Grouping sets have a column that tells them apart.
    let made = node.aggr_expr.len();
    let width = node.schema.fields().len();
    kinds.resize(width.saturating_sub(made), Kind::Other);
    kinds.extend(node.aggr_expr.iter().map(|expr| inputs.kind(expr)));
    kinds
}

/// The kinds of columns of VALUES, whose cells the planner has cast to a common type already.
fn listed(node: &Values) -> Vec<Kind> {
    let inputs = Inputs {
        schema: DFSchema::empty(),
        kinds: Vec::new(),
        casts: Casts::Written,
    };
    let of = |cell: &Expr| match cell {
        Expr::Literal(value, _) if value.is_null() => Kind::Null,
        Expr::Cast(Cast { expr: value, field })
            if *innermost(field.data_type()) == DataType::Int64 =>
        {
            match value.get_type(&inputs.schema) {
                Ok(of) if *innermost(&of) == DataType::Int64 && of == *field.data_type() => {
                    Kind::Bigint
                }
                Err(_) => Kind::Bigint,
                Ok(_) => match inputs.kind(value) {
                    kind @ (Kind::Integer | Kind::Null) => kind,
                    _ => Kind::Bigint,
                },
            }
        }
        cell => inputs.kind(cell),
    };
    let rows = node.values.iter();
    let rows = rows.map(|row| row.iter().map(of).collect::<Vec<_>>());
    rows.reduce(alike).unwrap_or_default()
}

/// The type that numbers of a kind are told as; `None` when they have it. What the planner counts without a sign is
/// bigint at the least.
pub(super) fn told_as(data_type: &DataType, kind: Kind) -> Option<DataType> {
    match (data_type, kind) {
        (DataType::Int64 | DataType::UInt64, Kind::Integer) => Some(DataType::Int32),
        (DataType::UInt64, _) => Some(DataType::Int64),
        (DataType::List(item), _) => {
            told_as(item.data_type(), kind).map(|item| DataType::new_list(item, true))
        }
        _ => None,
    }
}

/// The plan with its columns as PostgreSQL's integers where they are of this kind.
///
/// # Errors
/// What making a plan fails with.
pub(crate) fn told(plan: LogicalPlan, kinds: &[Kind]) -> Result<LogicalPlan> {
    let fields = plan.schema().fields().iter();
    let told: Vec<Option<DataType>> = fields
        .zip(kinds.iter().map(Some).chain(std::iter::repeat(None)))
        .map(|(field, kind)| told_as(field.data_type(), kind.copied().unwrap_or(Kind::Other)))
        .collect();
    if told.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().zip(told);
    let columns: Vec<Expr> = columns
        .map(|((qualifier, field), to)| {
            let column = Expr::Column((qualifier, field).into());
            match to {
                Some(to) => cast(column, to).alias_qualified(qualifier.cloned(), field.name()),
                None => column,
            }
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}

/// A plan whose parameters without a type are integers where they stand beside integers alone: the planner takes the
/// type of what it has there.
///
/// # Errors
/// What changing a plan fails with.
pub(crate) fn parameters(plan: LogicalPlan) -> Result<LogicalPlan> {
    let found: RefCell<BTreeMap<String, (usize, usize)>> = RefCell::default();
    plan.apply_with_subqueries(|node| {
        let inputs = Inputs::of(node, Casts::Written);
        let beside = |side: &Expr, others: &[&Expr]| {
            let integers = others.iter().any(|other| {
                !matches!(other, Expr::Placeholder(_)) && inputs.kind(other) == Kind::Integer
            });
            if let Some(place) = open(side).filter(|_| integers) {
                found.borrow_mut().entry(place.id.clone()).or_default().1 += 1;
            }
        };
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                match part {
                    Expr::Placeholder(_) => {
                        if let Some(place) = open(part) {
                            found.borrow_mut().entry(place.id.clone()).or_default().0 += 1;
                        }
                    }
                    Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
                        beside(left, &[right]);
                        beside(right, &[left]);
                    }
                    Expr::Between(between) => {
                        beside(&between.low, &[&between.expr]);
                        beside(&between.high, &[&between.expr]);
                    }
                    Expr::InList(list) => {
                        for item in &list.list {
                            beside(item, &[&list.expr]);
                        }
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    let mut found = found.into_inner();
    found.retain(|_, (all, integers)| all == integers);
    if found.is_empty() {
        return Ok(plan);
    }
    let narrowed = plan.transform_up_with_subqueries(|node| {
        let node = node.map_expressions(|expr| {
            expr.transform_up(|part| {
                Ok(match open(&part) {
                    Some(place) if found.contains_key(&place.id) => {
                        let field = Arc::new(Field::new("", DataType::Int32, true));
                        let id = place.id.clone();
                        Transformed::yes(Expr::Placeholder(Placeholder::new_with_field(
                            id,
                            Some(field),
                        )))
                    }
                    _ => Transformed::no(part),
                })
            })
        })?;
        node.map_data(LogicalPlan::recompute_schema)
    });
    narrowed.map(|plan| plan.data)
}

/// A parameter that the planner takes for a bigint.
fn open(expr: &Expr) -> Option<&Placeholder> {
    match expr {
        Expr::Placeholder(place) => {
            let field = place.field.as_ref()?;
            (*field.data_type() == DataType::Int64).then_some(place)
        }
        _ => None,
    }
}
