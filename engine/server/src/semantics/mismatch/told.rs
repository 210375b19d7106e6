//! Types of values as PostgreSQL has them, where that is certain: what is kept as text here may be a uuid or jsonb, and what
//! is a float a numeric.
//!
//! ```text
//! (SELECT coalesce(u, NULL) AS v FROM t) … v   ─►   the column of the subquery, `coalesce`, t.u   ─►   uuid
//! ```
//! Columns are followed to what makes them. What cannot be followed has no type here, and is refused nothing.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, ExprSchema as _, ScalarValue};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, Join, JoinType, LogicalPlan, Operator, TableScan, Values,
};

use super::classes::is_text;
use crate::pg_catalog::{common_type, operator_result, result_of};
use crate::pg_types::{PgType, oid};
use crate::semantics::arrays::{SLICE, SUBSCRIPT};
use crate::session::told_by;

/// What the values of some expressions are made of.
pub(super) enum Told<'a> {
    /// Columns of these plans.
    Inputs(Vec<&'a LogicalPlan>),
    /// Columns of a table.
    Table(&'a TableScan),
    /// Columns of which nothing but this is known: what was lost on the way to them they do not tell.
    Schema(&'a DFSchema),
}

impl<'a> Told<'a> {
    pub(super) fn of(node: &'a LogicalPlan) -> Self {
        match node {
            LogicalPlan::TableScan(scan) => Told::Table(scan),
            node => Told::Inputs(node.inputs()),
        }
    }

    fn of_name(&self, column: &Column) -> Option<u32> {
        match self {
            Told::Table(scan) => {
                of_table(scan, scan.projected_schema.maybe_index_of_column(column)?)
            }
            Told::Schema(schema) => of_field(schema.field_from_column(column).ok()?),
            Told::Inputs(inputs) => {
                let mut found = inputs.iter().filter_map(|input| {
                    let at = input.schema().maybe_index_of_column(column)?;
                    Some((*input, at))
                });
                let (input, at) = found.next()?;
                match found.next() {
                    Some(_) => None,
                    None => of_column(input, at),
                }
            }
        }
    }

    /// The type of an expression, `UNKNOWN` for a constant that has none yet; `None` where it is not certain.
    pub(super) fn type_of(&self, expr: &Expr) -> Option<u32> {
        match expr {
            Expr::Literal(value, _) => of_constant(value),
            Expr::Alias(alias) => self.type_of(&alias.expr),
            Expr::Negative(value) => self.type_of(value).filter(|ty| *ty != oid::UNKNOWN),
            // What a parameter is whose type nothing tells.
            Expr::Cast(cast)
                if is_text(cast.field.data_type())
                    && cast.field.metadata().is_empty()
                    && matches!(cast.expr.as_ref(), Expr::Literal(value, _) if value.is_null()) =>
            {
                None
            }
            Expr::Cast(cast) => of_field(&cast.field),
            Expr::Placeholder(parameter) => {
                let field = parameter.field.as_ref()?;
                let told = !is_text(field.data_type()) || !field.metadata().is_empty();
                told.then(|| of_field(field))?
            }
            Expr::TryCast(cast) => of_field(&cast.field),
            Expr::Column(column) => self.of_name(column),
            Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Like(_)
            | Expr::Between(_)
            | Expr::InList(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_) => Some(oid::BOOL),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match sign(*op) {
                Some(sign) => operator_result(sign, self.type_of(left)?, self.type_of(right)?),
                None => matches!(op, Operator::And | Operator::Or).then_some(oid::BOOL),
            },
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                self.common(results.chain(case.else_expr.as_deref()))
            }
            Expr::ScalarFunction(call) => self.of_call(call.func.name(), &call.args),
            Expr::AggregateFunction(call) => self.of_result(call.func.name(), &call.params.args),
            Expr::WindowFunction(call) => self.of_result(call.fun.name(), &call.params.args),
            Expr::ScalarSubquery(query) => of_column(&query.subquery, 0),
            Expr::Unnest(unnest) => element(self.type_of(&unnest.expr)?),
            _ => None,
        }
    }

    /// The type of an argument of a function: a constant with a point may have been made a float for it.
    pub(super) fn argument(&self, expr: &Expr) -> Option<u32> {
        match expr {
            Expr::Cast(cast) if *cast.field.data_type() == DataType::Float64 => {
                match cast.expr.as_ref() {
                    Expr::Literal(value, _) if value.data_type().is_numeric() => of_constant(value),
                    _ => self.type_of(expr),
                }
            }
            other => self.type_of(other),
        }
    }

    fn of_call(&self, name: &str, args: &[Expr]) -> Option<u32> {
        let first = || self.type_of(args.first()?);
        match name {
            "coalesce" | "greatest" | "least" => self.common(args.iter()),
            "nullif" | "same_value" | SLICE => first(),
            SUBSCRIPT => element(first()?),
            "make_array" => {
                let item = self.common(args.iter())?;
                let item = PgType::of_oid(item);
                (item.oid != oid::UNKNOWN).then(|| item.array().oid)
            }
            _ => match told_by(name) {
                Some(kind) => match args.first()? {
                    Expr::Placeholder(parameter) => {
                        let field = parameter.field.as_ref()?;
                        is_text(field.data_type()).then_some(kind.oid)
                    }
                    arg => {
                        let known = self.type_of(arg)?;
                        let array = PgType::of_oid(known).element().is_some();
                        (!array).then_some(kind.oid)
                    }
                },
                None => self.of_result(name, args),
            },
        }
    }

    /// What a function of PostgreSQL gives.
    fn of_result(&self, name: &str, args: &[Expr]) -> Option<u32> {
        let given: Vec<Option<u32>> = args.iter().map(|arg| self.argument(arg)).collect();
        result_of(name, &given)
    }

    /// The type that several values have in common.
    fn common<'e>(&self, values: impl Iterator<Item = &'e Expr>) -> Option<u32> {
        let types: Option<Vec<u32>> = values.map(|value| self.type_of(value)).collect();
        common_type(&types?)
    }
}

/// PostgreSQL's sign of an operator of two values.
pub(super) fn sign(op: Operator) -> Option<&'static str> {
    Some(match op {
        Operator::Eq => "=",
        Operator::NotEq => "<>",
        Operator::Lt => "<",
        Operator::LtEq => "<=",
        Operator::Gt => ">",
        Operator::GtEq => ">=",
        Operator::Plus => "+",
        Operator::Minus => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Modulo => "%",
        Operator::BitwiseAnd => "&",
        Operator::BitwiseOr => "|",
        Operator::BitwiseXor => "#",
        Operator::BitwiseShiftLeft => "<<",
        Operator::BitwiseShiftRight => ">>",
        Operator::StringConcat => "||",
        Operator::RegexMatch => "~",
        Operator::RegexIMatch => "~*",
        Operator::RegexNotMatch => "!~",
        Operator::RegexNotIMatch => "!~*",
        Operator::LikeMatch => "~~",
        Operator::ILikeMatch => "~~*",
        Operator::NotLikeMatch => "!~~",
        Operator::NotILikeMatch => "!~~*",
        _ => return None,
    })
}

fn element(array: u32) -> Option<u32> {
    let array = PgType::of_oid(array);
    array.element().map(|item| item.oid)
}

fn of_constant(value: &ScalarValue) -> Option<u32> {
    Some(match value {
        value if value.is_null() || is_text(&value.data_type()) => oid::UNKNOWN,
        ScalarValue::Int64(Some(value)) if i32::try_from(*value).is_ok() => oid::INT4,
        ScalarValue::Float64(Some(_)) => oid::NUMERIC,
        ScalarValue::List(_) => return None,
        value => PgType::of_arrow(&value.data_type()).oid,
    })
}

/// The type that a cast names.
fn of_field(field: &Field) -> Option<u32> {
    let told = PgType::of_field(field);
    (told.oid != oid::RECORD).then_some(told.oid)
}

/// The type of a column of a table.
fn of_table(scan: &TableScan, at: usize) -> Option<u32> {
    if scan.source.get_logical_plan().is_some() {
        return None;
    }
    let (table, field) = scan.projected_schema.iter().nth(at)?;
    match (field.data_type(), table) {
        // What a function in FROM gives may be made of integers.
        (DataType::Int64, _) if scan.table_name.schema().is_none() => Some(oid::INT4),
        (DataType::Struct(_) | DataType::Null, _) => None,
        (DataType::List(_), _) if scan.table_name.schema().is_none() => None,
        _ => of_field(field),
    }
}

/// The type of a column of a plan.
pub(super) fn of_column(plan: &LogicalPlan, at: usize) -> Option<u32> {
    let same = |input: &LogicalPlan| of_column(input, at);
    match plan {
        LogicalPlan::Projection(node) => Told::of(plan).type_of(node.expr.get(at)?),
        LogicalPlan::SubqueryAlias(node) => same(&node.input),
        LogicalPlan::Filter(node) => same(&node.input),
        LogicalPlan::Sort(node) => same(&node.input),
        LogicalPlan::Limit(node) => same(&node.input),
        LogicalPlan::Subquery(node) => same(&node.subquery),
        LogicalPlan::Distinct(Distinct::All(input)) => same(input),
        LogicalPlan::Distinct(Distinct::On(on)) => Told::of(plan).type_of(on.select_expr.get(at)?),
        LogicalPlan::Aggregate(node) => aggregated(plan, node, at),
        LogicalPlan::Window(node) => {
            let below = node.input.schema().fields().len();
            match at.checked_sub(below) {
                None => same(&node.input),
                Some(made) => Told::of(plan).type_of(node.window_expr.get(made)?),
            }
        }
        LogicalPlan::Join(join) => joined(join, at),
        LogicalPlan::Union(node) => {
            let types: Option<Vec<u32>> = node.inputs.iter().map(|input| same(input)).collect();
            common_type(&types?)
        }
        LogicalPlan::RecursiveQuery(node) => same(&node.static_term),
        LogicalPlan::Values(values) => listed(plan, values, at),
        LogicalPlan::TableScan(scan) => of_table(scan, at),
        _ => None,
    }
}

fn aggregated(plan: &LogicalPlan, node: &Aggregate, at: usize) -> Option<u32> {
    if let [Expr::GroupingSet(_)] = node.group_expr.as_slice() {
        return None;
    }
    let told = Told::of(plan);
    match at.checked_sub(node.group_expr.len()) {
        None => told.type_of(node.group_expr.get(at)?),
        Some(made) => told.type_of(node.aggr_expr.get(made)?),
    }
}

fn joined(join: &Join, at: usize) -> Option<u32> {
    match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            match at.checked_sub(join.left.schema().fields().len()) {
                None => of_column(&join.left, at),
                Some(at) => of_column(&join.right, at),
            }
        }
        JoinType::LeftSemi | JoinType::LeftAnti => of_column(&join.left, at),
        JoinType::RightSemi | JoinType::RightAnti => of_column(&join.right, at),
        _ => None,
    }
}

fn listed(plan: &LogicalPlan, values: &Values, at: usize) -> Option<u32> {
    let told = Told::of(plan);
    let mut cells = values.values.iter().map(|row| row.get(at));
    let cells: Option<Vec<&Expr>> = cells.by_ref().collect();
    told.common(cells?.into_iter())
}
