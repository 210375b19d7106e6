//! Values that have no operator, no cast and no common type in PostgreSQL, where the planner has one: to it a date is the
//! number of days since 1970, and a text beside a number is read as one.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::common::{
    Column, DFSchema, DataFusionError, JoinConstraint, JoinType, NullEquality, Result, ScalarValue,
    SchemaError, TableReference,
};
use datafusion::execution::context::SessionContext;
use datafusion::execution::{FunctionRegistry as _, SessionStateBuilder};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, ExprSchemable as _, Join, LogicalPlan, Operator,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::arrays::constants::ONE_OF;
use crate::pg_input::truth_of_text;
use crate::pg_types::PgType;
use crate::session::bytea_of_text;
use crate::sqlstate::{About, Construct, NO_FUNCTION, NO_OPERATOR, ServerError};

/// Refuses operators of values that have none, before the planner looks for a common type.
pub(super) fn install(context: &SessionContext) {
    let planner = context
        .state_ref()
        .write()
        .register_expr_planner(std::sync::Arc::new(Operands));
    if let Err(error) = planner {
        tracing::error!(%error, "a session that compares dates with numbers");
    }
    // Before the planner's own, which looks for a field.
    let state = context.state_ref();
    let mut state = state.write();
    let others = state.expr_planners().iter().cloned();
    let fields: std::sync::Arc<dyn ExprPlanner> = std::sync::Arc::new(Fields);
    let planners = std::iter::once(fields).chain(others).collect();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    *state = builder.with_expr_planners(planners).build();
}

#[derive(Debug)]
struct Operands;

/// Refuses a pattern, or what is looked at by one, that is no text.
///
/// # Errors
/// 42883.
fn matches_text(value: &Expr, op: &str, pattern: &Expr, schema: &DFSchema) -> Result<()> {
    let is_text = |side: &Expr| {
        matches!(
            Class::of(side, schema),
            None | Some(Class::Text | Class::Bytes)
        )
    };
    match is_text(value) && is_text(pattern) {
        true => Ok(()),
        false => Err(no_operator(value, op, pattern, schema)),
    }
}

/// Reads a constant in quotes beside bytes or a truth value, which the planner takes for a text.
///
/// # Errors
/// 22P02 and 22023 for a text that is none.
fn beside(known: Class, constant: &mut Expr) -> Result<()> {
    let Expr::Literal(ScalarValue::Utf8(Some(text)), _) = &*constant else {
        return Ok(());
    };
    let value = match known {
        Class::Bytes => ScalarValue::Binary(Some(bytea_of_text(text).map_err(refused)?)),
        Class::Bool => ScalarValue::Boolean(Some(truth_of_text(text).map_err(refused)?)),
        _ => return Ok(()),
    };
    *constant = Expr::Literal(value, None);
    Ok(())
}

/// Fields of what is no row.
#[derive(Debug)]
struct Fields;

impl ExprPlanner for Fields {
    /// `b.yy` beside a column `b` is a column of a table `b`, as there are no fields of what is no row.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        _qualifier: Option<&TableReference>,
        nested_names: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let has_fields = matches!(field.data_type(), DataType::Struct(_) | DataType::Map(..));
        match nested_names {
            [name] if !has_fields => {
                let table = TableReference::bare(field.name().as_str());
                let column = Column::new(Some(table), name);
                Ok(PlannerResult::Planned(Expr::Column(column)))
            }
            _ => Ok(PlannerResult::Original(Vec::new())),
        }
    }
}

impl ExprPlanner for Operands {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        // The type of a chain of conditions is asked of every link: long ones would be looked at again for each.
        let there: fn(Class, &BinaryOperator, Class) -> bool = match expr.op {
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => |l, _, r| !l.unlike(r),
            BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo => arithmetic,
            BinaryOperator::StringConcat => |l, _, r| {
                l == Class::Text || r == Class::Text || l == Class::Bytes && r == Class::Bytes
            },
            BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch => {
                matches_text(&expr.left, &expr.op.to_string(), &expr.right, schema)?;
                return Ok(PlannerResult::Original(expr));
            }
            BinaryOperator::And | BinaryOperator::Or => {
                let op = expr.op.to_string();
                boolean(&op, &expr.left, schema)?;
                boolean(&op, &expr.right, schema)?;
                return Ok(PlannerResult::Original(expr));
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (left, right) = (
            Class::of(&expr.left, schema),
            Class::of(&expr.right, schema),
        );
        let mut expr = expr;
        let (l, r) = match (left, right) {
            (Some(l), Some(r)) => (l, r),
            (Some(known), None) => {
                beside(known, &mut expr.right)?;
                return Ok(PlannerResult::Original(expr));
            }
            (None, Some(known)) => {
                beside(known, &mut expr.left)?;
                return Ok(PlannerResult::Original(expr));
            }
            (None, None) => return Ok(PlannerResult::Original(expr)),
        };
        let whole = |side: &Expr| side.get_type(schema).is_ok_and(|of| of.is_integer());
        let days = match (l, r) {
            (Class::Date, Class::Number) => whole(&expr.right),
            (Class::Number, Class::Date) => whole(&expr.left),
            _ => true,
        };
        match days && there(l, &expr.op, r) {
            true => Ok(PlannerResult::Original(expr)),
            false => Err(no_operator(
                &expr.left,
                &expr.op.to_string(),
                &expr.right,
                schema,
            )),
        }
    }
}

/// What operators there are between values of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
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
    fn of(expr: &Expr, schema: &DFSchema) -> Option<Self> {
        match expr {
            Expr::Literal(value, _) if value.is_null() || is_text(&value.data_type()) => None,
            Expr::Placeholder(_) => None,
            // NULL of any type, as a parameter is whose type nothing tells.
            Expr::Cast(cast) if matches!(cast.expr.as_ref(), Expr::Literal(value, _) if value.is_null()) => {
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

    fn of_type(data_type: &DataType) -> Option<Self> {
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
    fn is_apart(self, other: Self) -> bool {
        let plain = |class: Self| matches!(class, Class::Number | Class::Bool);
        (self.is_time() && plain(other)) || (plain(self) && other.is_time())
    }

    /// Whether no operator compares the two.
    fn unlike(self, other: Self) -> bool {
        match (self, other) {
            (Class::Date | Class::Stamp, Class::Date | Class::Stamp)
            | (Class::Time | Class::Span, Class::Time | Class::Span)
            // Bytes are read as text in many places.
            | (Class::Bytes | Class::Text, Class::Bytes | Class::Text) => false,
            (one, other) => one != other,
        }
    }

    /// Whether the two have no type in common.
    fn is_foreign(self, other: Self) -> bool {
        self.unlike(other) || (self != other && matches!(self, Class::Time | Class::Span))
    }
}

fn is_logical(op: Operator) -> bool {
    matches!(
        op,
        Operator::And
            | Operator::Or
            | Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Whether some types are those of a time and of a number.
pub(super) fn unlike(types: &[DataType]) -> bool {
    let classes: Vec<Class> = types.iter().filter_map(Class::of_type).collect();
    let mut pairs = classes.iter().enumerate();
    pairs.any(|(at, one)| classes.iter().skip(at).any(|other| one.is_apart(*other)))
}

fn arithmetic(l: Class, op: &BinaryOperator, r: Class) -> bool {
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

/// Refuses casts, comparisons and alternatives of values that have none.
///
/// # Errors
/// 42846, 42883, 42804.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    let looked = plan.apply_with_subqueries(|node| {
        let schema = super::input_schema(node);
        match node {
            LogicalPlan::Union(union) => {
                let queries: Vec<&LogicalPlan> = union.inputs.iter().map(AsRef::as_ref).collect();
                for at in 0..union.schema.fields().len() {
                    side_by_side("UNION", &queries, at)?;
                }
            }
            LogicalPlan::Join(join) => match join.join_type {
                JoinType::LeftSemi if join.null_equality == NullEquality::NullEqualsNull => {
                    of_join("INTERSECT", join)?;
                }
                JoinType::LeftAnti if join.null_equality == NullEquality::NullEqualsNull => {
                    of_join("EXCEPT", join)?;
                }
                _ => {
                    for (left, right) in &join.on {
                        let of = |expr: &Expr, plan: &LogicalPlan| Class::of(expr, plan.schema());
                        if let (Some(l), Some(r)) = (of(left, &join.left), of(right, &join.right))
                            && l.unlike(r)
                        {
                            let left = name(left, join.left.schema());
                            let right = name(right, join.right.schema());
                            if join.join_constraint == JoinConstraint::Using {
                                let text = format!(
                                    "JOIN/USING types {left} and {right} cannot be matched"
                                );
                                return Err(refused(ServerError::new("42804", text)));
                            }
                            return Err(refused(missing(&format!("{left} = {right}"))));
                        }
                    }
                }
            },
            _ => {}
        }
        // The planner looks for these columns later, when a statement is prepared already.
        let is_condition = matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if is_condition
                    && let Expr::Column(column) = part
                    && !schema.has_column(column)
                {
                    let error = SchemaError::FieldNotFound {
                        field: Box::new(column.clone()),
                        valid_fields: schema.columns(),
                    };
                    return Err(DataFusionError::SchemaError(
                        Box::new(error),
                        Box::new(None),
                    ));
                }
                checked(part, &schema)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    looked.map(|_| ())
}

/// Refuses columns of queries side by side that have no type in common.
///
/// # Errors
/// 42804.
fn side_by_side(place: &str, queries: &[&LogicalPlan], at: usize) -> Result<()> {
    let types = queries.iter().map(|query| {
        let field = query.schema().fields().get(at)?;
        let class = Class::of_type(field.data_type()).filter(|_| !is_unknown(query, at))?;
        Some((class, PgType::of_field(field).sql_name().to_owned()))
    });
    matched(place, types).map_err(|(wrong, error)| {
        let column = queries.get(wrong).and_then(|query| column(query, at));
        let about = About::new(Construct::SetColumn(at), column);
        refused(error.about(about))
    })
}

fn of_join(place: &str, join: &Join) -> Result<()> {
    (0..join.on.len()).try_for_each(|at| side_by_side(place, &[&join.left, &join.right], at))
}

/// What a query shows as its column at this place, where it says so itself.
fn column(query: &LogicalPlan, at: usize) -> Option<&Expr> {
    match query {
        LogicalPlan::Projection(projection) => match projection.expr.get(at)? {
            Expr::Alias(alias) => Some(&alias.expr),
            other => Some(other),
        },
        LogicalPlan::Distinct(Distinct::All(input)) => column(input, at),
        LogicalPlan::Sort(sort) => column(&sort.input, at),
        LogicalPlan::Limit(limit) => column(&limit.input, at),
        LogicalPlan::Union(union) => column(union.inputs.first()?, at),
        _ => None,
    }
}

/// Whether a column of a query is a constant that has no type of its own.
fn is_unknown(query: &LogicalPlan, at: usize) -> bool {
    match query {
        LogicalPlan::Projection(projection) => match projection.expr.get(at) {
            Some(Expr::Alias(alias)) => is_untyped(&alias.expr),
            Some(other) => is_untyped(other),
            None => false,
        },
        LogicalPlan::Distinct(Distinct::All(input)) => is_unknown(input, at),
        LogicalPlan::Sort(sort) => is_unknown(&sort.input, at),
        LogicalPlan::Limit(limit) => is_unknown(&limit.input, at),
        LogicalPlan::SubqueryAlias(alias) => matches!(alias.input.as_ref(), LogicalPlan::Values(_)),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| is_unknown(input, at)),
        LogicalPlan::Values(_) => true,
        _ => false,
    }
}

fn is_untyped(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => value.is_null() || is_text(&value.data_type()),
        Expr::Placeholder(_) => true,
        _ => false,
    }
}

fn checked(expr: &Expr, schema: &DFSchema) -> Result<()> {
    let class = |expr: &Expr| Class::of(expr, schema);
    let told = |expr: &Expr| Some((class(expr)?, name(expr, schema)));
    let about = |construct: Construct, part: &Expr| About::new(construct, [part]);
    match expr {
        Expr::Cast(cast) => {
            let Some(from) = class(&cast.expr) else {
                return Ok(());
            };
            let apart = match Class::of_type(cast.field.data_type()) {
                Some(to) => from.is_apart(to),
                // A text may be that of an array.
                None => {
                    from != Class::Text && super::arrays::dimensions(cast.field.data_type()) > 0
                }
            };
            match apart {
                false => Ok(()),
                true => {
                    let from = name(&cast.expr, schema);
                    let to = PgType::of_field(&cast.field).sql_name();
                    let text = format!("cannot cast type {from} to {to}");
                    Err(refused(ServerError::new("42846", text)))
                }
            }
        }
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom,
            right,
        }) => compared(left, "=", right, schema),
        Expr::Between(between) => {
            compared(&between.expr, ">=", &between.low, schema)?;
            compared(&between.expr, "<=", &between.high, schema)
        }
        Expr::InList(list) => {
            // Thousands of items are compared with one value.
            let Some(value) = class(&list.expr) else {
                return Ok(());
            };
            let op = if list.negated { "<>" } else { "=" };
            let unlike = |item: &&Expr| class(item).is_some_and(|item| value.unlike(item));
            match list.list.iter().find(unlike) {
                Some(item) => Err(no_operator(&list.expr, op, item, schema)),
                None => Ok(()),
            }
        }
        Expr::InSubquery(within) => among(&within.expr, "=", &within.subquery.subquery, schema),
        Expr::SetComparison(compared) => {
            let op = compared.op.to_string();
            among(&compared.expr, &op, &compared.subquery.subquery, schema)
        }
        Expr::AggregateFunction(aggregate) => {
            if let Some(filter) = &aggregate.params.filter {
                boolean("FILTER", filter, schema)?;
            }
            let args = &aggregate.params.args;
            let takes = match (aggregate.func.name(), args.as_slice()) {
                ("min" | "max", [arg]) => class(arg) != Some(Class::Bool),
                ("count", args) => args.len() < 2,
                ("string_agg", [value, between]) => [value, between]
                    .into_iter()
                    .all(|arg| matches!(class(arg), None | Some(Class::Text | Class::Bytes))),
                _ => true,
            };
            match takes {
                true => Ok(()),
                false => Err(no_function(aggregate.func.name(), args, schema)),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "character_length" => {
            match call.args.first().and_then(class) {
                None | Some(Class::Text | Class::Bytes) => Ok(()),
                Some(_) => Err(no_function("length", &call.args, schema)),
            }
        }
        // The planner would read any text as a time.
        Expr::ScalarFunction(call)
            if matches!(call.func.name(), "date_trunc" | "date_part" | "extract") =>
        {
            match call.args.get(1).and_then(class) {
                Some(Class::Text) => Err(no_function(call.func.name(), &call.args, schema)),
                _ => Ok(()),
            }
        }
        Expr::Like(like) => {
            let op = match (like.negated, like.case_insensitive) {
                (false, false) => "~~",
                (true, false) => "!~~",
                (false, true) => "~~*",
                (true, true) => "!~~*",
            };
            matches_text(&like.expr, op, &like.pattern, schema)
        }
        // What the planner makes of `= ANY`.
        Expr::ScalarFunction(call) if call.func.name() == "array_has" => {
            let [array, value] = call.args.as_slice() else {
                return Ok(());
            };
            any_of(array, value, schema)
        }
        Expr::ScalarFunction(call) if ONE_OF.contains(&call.func.name()) => {
            let args = call.args.as_slice();
            if let ("nullif", [left, right]) = (call.func.name(), args) {
                compared(left, "=", right, schema)?;
                return match array_beside(args, schema) {
                    Some(_) => Err(no_operator(left, "=", right, schema)),
                    None => Ok(()),
                };
            }
            let function = ONE_OF.iter().find(|name| **name == call.func.name());
            let function = function.copied().unwrap_or_default();
            let argument = |at: usize| {
                args.get(at)
                    .map(|arg| (Construct::Argument(function, at), arg))
            };
            let place = function.to_ascii_uppercase();
            matched(&place, args.iter().map(told))
                .map_err(|(at, error)| refused(placed(error, argument(at))))?;
            match array_beside(args, schema) {
                Some((first, other)) => {
                    let of = |at: usize| args.get(at).map(|arg| name(arg, schema));
                    let (one, two) = (of(first).unwrap_or_default(), of(other).unwrap_or_default());
                    let text = format!("{place} types {one} and {two} cannot be matched");
                    let error = ServerError::new("42804", text);
                    Err(refused(placed(error, argument(other))))
                }
                None => Ok(()),
            }
        }
        Expr::ScalarFunction(call) if call.func.name() == "make_array" => {
            let item = |at: usize| call.args.get(at).map(|arg| (Construct::Item(at), arg));
            matched("ARRAY", call.args.iter().map(told))
                .map_err(|(at, error)| refused(placed(error, item(at))))
        }
        // PostgreSQL begins with ELSE.
        Expr::Case(case) => {
            let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
            let results = case.else_expr.as_deref().into_iter().chain(results);
            let types = results.clone().map(told);
            matched("CASE", types).map_err(|(at, error)| {
                let result = results.clone().nth(at);
                let result = result.map(|result| (Construct::CaseResult(at), result));
                refused(placed(error, result))
            })?;
            let mut conditions = case.when_then_expr.iter();
            let Some(value) = &case.expr else {
                return conditions.try_for_each(|(when, _)| boolean("CASE/WHEN", when, schema));
            };
            conditions.try_for_each(|(when, _)| compared(value, "=", when, schema))
        }
        Expr::Not(condition) => match class(condition) {
            None | Some(Class::Bool) => Ok(()),
            Some(_) => {
                let found = name(condition, schema);
                let text = format!("argument of NOT must be type boolean, not type {found}");
                let about = about(Construct::Condition, condition);
                Err(refused(ServerError::new("42804", text).about(about)))
            }
        },
        _ => Ok(()),
    }
}

/// Refuses a value among those of a subquery that none of them is compared with.
fn among(value: &Expr, op: &str, query: &LogicalPlan, schema: &DFSchema) -> Result<()> {
    let field = query.schema().fields().first();
    let other = field.and_then(|field| {
        let of = Class::of_type(field.data_type())?;
        Some((of, PgType::of_field(field).sql_name()))
    });
    match (Class::of(value, schema), other) {
        (Some(l), Some((r, right))) if l.unlike(r) => {
            let left = name(value, schema);
            let about = About::new(Construct::Operator(op.to_owned()), [value]);
            Err(refused(
                missing(&format!("{left} {op} {right}")).about(about),
            ))
        }
        _ => Ok(()),
    }
}

/// Refuses a value that no item of an array is compared with.
fn any_of(array: &Expr, value: &Expr, schema: &DFSchema) -> Result<()> {
    let Ok((_, field)) = array.to_field(schema) else {
        return Ok(());
    };
    let DataType::List(item) = field.data_type() else {
        return Ok(());
    };
    match (Class::of(value, schema), Class::of_type(item.data_type())) {
        (Some(l), Some(r)) if l.unlike(r) => {
            let of_array = PgType::of_field(&field);
            let right = of_array.element().unwrap_or(of_array).sql_name();
            let left = name(value, schema);
            let about = About::new(Construct::Operator("=".to_owned()), [value, array]);
            Err(refused(missing(&format!("{left} = {right}")).about(about)))
        }
        _ => Ok(()),
    }
}

fn placed(error: ServerError, part: Option<(Construct, &Expr)>) -> ServerError {
    match part {
        Some((construct, part)) => error.about(About::new(construct, [part])),
        None => error,
    }
}

/// The first two of some values of which one is an array and the other none.
fn array_beside(args: &[Expr], schema: &DFSchema) -> Option<(usize, usize)> {
    let kind = |arg: &Expr| match Class::of(arg, schema) {
        Some(_) => Some(false),
        None if is_untyped(arg) => None,
        None => {
            let data_type = arg.get_type(schema).ok()?;
            (super::arrays::dimensions(&data_type) > 0).then_some(true)
        }
    };
    let mut kinds = args.iter().enumerate();
    let (first, known) = kinds.find_map(|(at, arg)| Some((at, kind(arg)?)))?;
    let other = kinds.find(|(_, arg)| kind(arg).is_some_and(|kind| kind != known))?;
    Some((first, other.0))
}

/// # Errors
/// 42804 for a condition that is none.
fn boolean(place: &str, condition: &Expr, schema: &DFSchema) -> Result<()> {
    match Class::of(condition, schema) {
        None | Some(Class::Bool) => Ok(()),
        Some(_) => {
            let found = name(condition, schema);
            let text = format!("argument of {place} must be type boolean, not type {found}");
            let about = About::new(Construct::Condition, [condition]);
            Err(refused(ServerError::new("42804", text).about(about)))
        }
    }
}

fn no_function(function: &str, args: &[Expr], schema: &DFSchema) -> DataFusionError {
    let types: Vec<String> = args.iter().map(|arg| name(arg, schema)).collect();
    let text = format!("function {function}({}) does not exist", types.join(", "));
    refused(ServerError::new("42883", text).hint(NO_FUNCTION))
}

/// # Errors
/// 42804 when two of the types, which have to become one, have none in common; with the place of the second of them.
fn matched(
    place: &str,
    types: impl Iterator<Item = Option<(Class, String)>>,
) -> std::result::Result<(), (usize, ServerError)> {
    let mut types = types
        .enumerate()
        .filter_map(|(at, known)| Some((at, known?)));
    let Some((_, (first, known))) = types.next() else {
        return Ok(());
    };
    match types.find(|(_, (class, _))| first.is_foreign(*class)) {
        Some((at, (_, other))) => {
            let text = format!("{place} types {known} and {other} cannot be matched");
            Err((at, ServerError::new("42804", text)))
        }
        None => Ok(()),
    }
}

/// # Errors
/// 42883 when no operator compares the two.
fn compared(left: &Expr, op: &str, right: &Expr, schema: &DFSchema) -> Result<()> {
    match (Class::of(left, schema), Class::of(right, schema)) {
        (Some(l), Some(r)) if l.unlike(r) => Err(no_operator(left, op, right, schema)),
        _ => Ok(()),
    }
}

fn no_operator(left: &Expr, op: &str, right: &Expr, schema: &DFSchema) -> DataFusionError {
    let operation = format!("{} {op} {}", name(left, schema), name(right, schema));
    let about = About::new(Construct::Operator(op.to_owned()), [left, right]);
    refused(missing(&operation).about(about))
}

fn missing(operation: &str) -> ServerError {
    let text = format!("operator does not exist: {operation}");
    ServerError::new("42883", text).hint(NO_OPERATOR)
}

/// What PostgreSQL calls the type of an expression: a small whole constant is an integer, one with a point numeric.
fn name(expr: &Expr, schema: &DFSchema) -> String {
    let expr = match expr {
        Expr::Alias(alias) => alias.expr.as_ref(),
        other => other,
    };
    let value = match expr {
        Expr::Negative(inner) => inner.as_ref(),
        other => other,
    };
    let pg_type = match value {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) if i32::try_from(*value).is_ok() => {
            PgType::INT4
        }
        Expr::Literal(ScalarValue::Float64(Some(_)), _) => PgType::NUMERIC,
        Expr::Literal(value, _) if value.is_null() || is_text(&value.data_type()) => {
            PgType::UNKNOWN
        }
        _ => match expr.to_field(schema) {
            Ok((_, field)) => PgType::of_field(&field),
            Err(_) => PgType::UNKNOWN,
        },
    };
    pg_type.sql_name().to_owned()
}

fn refused(error: ServerError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
