//! Syntax that DataFusion's planner does not take: `ARRAY(SELECT …)` of PostgreSQL, and functions that read a table.
//!
//! ```text
//! before  ARRAY(SELECT sample_id FROM clin.person ORDER BY age)
//! after   (SELECT array_or_empty(array_agg(q.v ORDER BY q.k1))
//!          FROM (SELECT sample_id, age AS k1 FROM clin.person) AS q(v, k1))
//! ```
//! Beside `ANY` and `ALL` the rows of the subquery are compared with, and no array is made.
//!
//! A scalar subquery without references to the outer query is run once, before the first row; its value reaches
//! the functions as one constant, so that a cohort's names are resolved once. In this way `hpo_is_a` gets the ontology
//! that the lake holds, as the session may read it:
//!
//! ```text
//! before  hpo_is_a(hpo_id, 'HP:0000707')
//! after   hpo_is_a(hpo_id, 'HP:0000707', (SELECT ontology FROM hpo_ontology()))
//! ```

use std::ops::ControlFlow;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, Scalar, new_empty_array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{is_not_null, kernels::zip::zip};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Ident, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, TableFactor,
    Value, Visit as _, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::{Error, Result};

/// Name of the table function that reads HPO; not meant for users.
pub(crate) const HPO_ONTOLOGY: &str = "hpo_ontology";
/// Name of the function that makes an empty array of no array; not meant for users.
pub(crate) const ARRAY_OR_EMPTY: &str = "array_or_empty";

/// Rewrites a statement to what the planner takes: [`array_subqueries`], and [`ontologies`].
///
/// # Errors
/// [`Error::ArraySubquery`] for an array subquery of several columns; [`Error::Clause`] for what the planner would
/// read over, and answer as if it were not there.
pub fn rewrite(statement: &mut ast::Statement) -> Result<()> {
    if let ControlFlow::Break(clause) = statement.visit(&mut ReadOver) {
        return Err(Error::Clause(clause));
    }
    compared_arrays(statement);
    array_subqueries(statement)?;
    empty_cohorts(statement);
    ontologies(statement)
}

/// Makes comparisons with arrays of a subquery comparisons with its rows: `x = ANY (ARRAY(SELECT …))` is `x IN (SELECT …)`.
fn compared_arrays(statement: &mut ast::Statement) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        let (left, operator, right, all) = match expr {
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => (left, compare_op, right, false),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => (left, compare_op, right, true),
            _ => return ControlFlow::Continue(()),
        };
        let mut array = right.as_ref();
        while let Expr::Nested(inner) = array {
            array = inner;
        }
        if let Some(query) = array_subquery(array) {
            **right = Expr::Subquery(Box::new(query));
        }
        let is_membership = match all {
            false => *operator == BinaryOperator::Eq,
            true => *operator == BinaryOperator::NotEq,
        };
        if let Expr::Subquery(query) = right.as_ref()
            && is_membership
        {
            *expr = Expr::InSubquery {
                expr: left.clone(),
                subquery: query.clone(),
                negated: all,
            };
        }
        ControlFlow::Continue(())
    });
}

/// Gives every cohort that is the `array_agg` of a subquery the empty array where there was no row, instead of NULL:
/// nobody is counted, and that is a count.
///
/// ```text
/// before  gt_allele_count(gt, (SELECT array_agg(sample_id) FROM clin.person WHERE false))
/// after   gt_allele_count(gt, (SELECT array_or_empty(array_agg(sample_id)) FROM clin.person WHERE false))
/// ```
/// A subquery that finds no row at all (of a GROUP BY, or of a table of arrays) stays NULL: there is no cohort.
pub fn empty_cohorts(statement: &mut ast::Statement) {
    let flow: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let place = match function.name.0.as_slice() {
            [name] => name
                .as_ident()
                .and_then(|word| crate::cohort_argument(&word.value.to_ascii_lowercase())),
            _ => None,
        };
        if let (Some(place), FunctionArguments::List(list)) = (place, &mut function.args)
            && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(cohort))) =
                list.args.get_mut(place)
            && let Some(item) = aggregated_array(cohort)
        {
            let array = item.clone();
            *item = called(ARRAY_OR_EMPTY, array);
        }
        ControlFlow::Continue(())
    });
    debug_assert!(flow.is_continue(), "nothing in it fails");
}

/// The one column of a subquery, if it is an `array_agg`, through brackets and casts around either.
fn aggregated_array(expr: &mut Expr) -> Option<&mut Expr> {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => aggregated_array(inner),
        Expr::Subquery(query) => {
            let mut body = query.body.as_mut();
            while let SetExpr::Query(inner) = body {
                body = inner.body.as_mut();
            }
            let SetExpr::Select(select) = body else {
                return None;
            };
            let [item] = select.projection.as_mut_slice() else {
                return None;
            };
            match item {
                SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. } => {
                    is_array_agg(item).then_some(item)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_array_agg(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_array_agg(inner),
        Expr::Function(Function {
            name, over: None, ..
        }) => {
            let name = name.0.last().and_then(|part| part.as_ident());
            name.is_some_and(|word| word.value.eq_ignore_ascii_case("array_agg"))
        }
        _ => false,
    }
}

/// A call of a function of one argument.
fn called(name: &str, argument: Expr) -> Expr {
    let list = ast::FunctionArgumentList {
        duplicate_treatment: None,
        args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
        clauses: Vec::new(),
    };
    Expr::Function(Function {
        name: ast::ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Finds clauses that the parser knows and the planner does not look at.
struct ReadOver;

impl Visitor for ReadOver {
    type Break = &'static str;

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<&'static str> {
        match select.connect_by.as_slice() {
            [] => ControlFlow::Continue(()),
            _ => ControlFlow::Break("CONNECT BY"),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<&'static str> {
        match factor {
            TableFactor::Table {
                sample: Some(_), ..
            }
            | TableFactor::Derived {
                sample: Some(_), ..
            } => ControlFlow::Break("TABLESAMPLE"),
            TableFactor::Table { with_hints, .. } if !with_hints.is_empty() => {
                ControlFlow::Break("WITH behind a table")
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Functions that take an ontology behind the arguments that users write, and the number of those.
const OF_ONTOLOGY: [(&str, usize); 2] = [("hpo_is_a", 2), ("hpo_present", 3)];

/// Gives every call of a function on HPO the ontology as its last argument.
///
/// # Errors
/// [`Error::Internal`] when the form of that argument does not parse.
pub fn ontologies(statement: &mut ast::Statement) -> Result<()> {
    let flow = ast::visit_expressions_mut(statement, |expr| {
        let Expr::Function(Function { name, args, .. }) = expr else {
            return ControlFlow::Continue(());
        };
        let name = match name.0.as_slice() {
            [part] => part
                .as_ident()
                .map(|ident| ident.value.to_ascii_lowercase()),
            _ => None,
        };
        let takes = OF_ONTOLOGY
            .iter()
            .find(|(of, _)| name.as_deref() == Some(of));
        let (Some((_, n)), FunctionArguments::List(list)) = (takes, args) else {
            return ControlFlow::Continue(());
        };
        if list.args.len() == *n {
            match ontology() {
                Ok(read) => list
                    .args
                    .push(FunctionArg::Unnamed(FunctionArgExpr::Expr(read))),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn ontology() -> Result<Expr> {
    let sql = format!("(SELECT ontology FROM {HPO_ONTOLOGY}())");
    Parser::new(&PostgreSqlDialect {})
        .try_with_sql(&sql)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|_| Error::Internal("the form of an ontology does not parse"))
}

/// Rewrites every `ARRAY(SELECT …)` to a scalar subquery. Rows keep the order of the subquery's ORDER BY; no row
/// gives an empty array.
///
/// # Errors
/// [`Error::ArraySubquery`] for a subquery of several columns.
pub fn array_subqueries(statement: &mut ast::Statement) -> Result<()> {
    let flow = ast::visit_expressions_mut(statement, |expr| {
        let Some(query) = array_subquery(expr) else {
            return ControlFlow::Continue(());
        };
        match aggregated(query) {
            Ok(rewritten) => {
                *expr = rewritten;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

fn array_subquery(expr: &Expr) -> Option<Query> {
    let Expr::Function(Function { name, args, .. }) = expr else {
        return None;
    };
    let FunctionArguments::Subquery(query) = args else {
        return None;
    };
    let is_array = name.0.len() == 1
        && name.0[0]
            .as_ident()
            .is_some_and(|ident| ident.value.eq_ignore_ascii_case("array"));
    is_array.then(|| query.as_ref().clone())
}

/// How one key of the ORDER BY is reached from outside of the subquery.
struct Keys {
    /// Keys that became columns of their own.
    added: usize,
    order: Vec<OrderByExpr>,
}

fn aggregated(mut query: Query) -> Result<Expr> {
    let keys = keys(&mut query)?;
    let names: Vec<String> = (1..=keys.added).map(|k| format!(", k{k}")).collect();
    let template = format!(
        "(SELECT {ARRAY_OR_EMPTY}(array_agg(q.v ORDER BY 1)) FROM (SELECT 1) AS q(v{}))",
        names.concat()
    );
    let mut made = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(&template)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|_| Error::Internal("the form of an array subquery does not parse"))?;
    fill(&mut made, query, keys.order)
        .ok_or(Error::Internal("the form of an array subquery has changed"))?;
    Ok(made)
}

/// Puts the subquery and its order into the template.
fn fill(made: &mut Expr, query: Query, order: Vec<OrderByExpr>) -> Option<()> {
    let Expr::Subquery(outer) = made else {
        return None;
    };
    let SetExpr::Select(select) = outer.body.as_mut() else {
        return None;
    };
    let TableFactor::Derived { subquery, .. } = &mut select.from.first_mut()?.relation else {
        return None;
    };
    **subquery = query;
    let SelectItem::UnnamedExpr(Expr::Function(outer)) = select.projection.first_mut()? else {
        return None;
    };
    let FunctionArguments::List(list) = &mut outer.args else {
        return None;
    };
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(aggregate))) =
        list.args.first_mut()?
    else {
        return None;
    };
    let FunctionArguments::List(list) = &mut aggregate.args else {
        return None;
    };
    list.clauses.clear();
    if !order.is_empty() {
        list.clauses.push(FunctionArgumentClause::OrderBy(order));
    }
    Some(())
}

/// Takes the ORDER BY apart: keys that are not the value itself become columns behind it. The subquery keeps its
/// own ORDER BY only where LIMIT needs it.
fn keys(query: &mut Query) -> Result<Keys> {
    let order = match &query.order_by {
        Some(order) => match &order.kind {
            OrderByKind::Expressions(order) => order.clone(),
            OrderByKind::All(options) => vec![OrderByExpr {
                expr: Expr::value(Value::Number("1".to_owned(), false)),
                options: *options,
                with_fill: None,
            }],
        },
        None => Vec::new(),
    };
    let mut made = Keys {
        added: 0,
        order: Vec::new(),
    };
    let distinct = matches!(query.body.as_ref(), SetExpr::Select(s) if s.distinct.is_some());
    let mut columns = Vec::new();
    if let SetExpr::Select(select) = query.body.as_ref()
        && select.projection.len() != 1
    {
        return Err(Error::ArraySubquery);
    }
    for key in order {
        let outside = if is_value(&key.expr, &query.body) || distinct {
            "v".to_owned()
        } else if let SetExpr::Select(_) = query.body.as_ref() {
            made.added += 1;
            columns.push(key.expr.clone());
            format!("k{}", made.added)
        } else {
            "v".to_owned()
        };
        made.order.push(OrderByExpr {
            expr: Expr::CompoundIdentifier(vec![Ident::new("q"), Ident::new(outside)]),
            ..key
        });
    }
    if let SetExpr::Select(select) = query.body.as_mut() {
        for (number, expr) in columns.into_iter().enumerate() {
            let alias = Ident::new(format!("k{}", number + 1));
            select
                .projection
                .push(SelectItem::ExprWithAlias { expr, alias });
        }
    }
    if query.limit_clause.is_none() && query.fetch.is_none() {
        query.order_by = None;
    }
    Ok(made)
}

/// Whether a key of the ORDER BY is the value that is selected: its number, its alias or the expression itself.
fn is_value(key: &Expr, body: &SetExpr) -> bool {
    let is_first = matches!(key, Expr::Value(value) if matches!(&value.value, Value::Number(n, _) if n == "1"));
    let SetExpr::Select(select) = body else {
        return true;
    };
    is_first
        || match select.projection.first() {
            Some(SelectItem::UnnamedExpr(expr)) => expr == key,
            Some(SelectItem::ExprWithAlias { expr, alias }) => {
                expr == key || matches!(key, Expr::Identifier(name) if name.value == alias.value)
            }
            _ => false,
        }
}

/// `array_or_empty(array)`: the array, or an empty one of its type for NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ArrayOrEmpty {
    signature: Signature,
}

impl ArrayOrEmpty {
    pub(crate) fn new() -> Self {
        Self {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ArrayOrEmpty {
    fn name(&self) -> &str {
        ARRAY_OR_EMPTY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> DfResult<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let Some(value) = args.args.into_iter().next() else {
            return Err(Error::Internal("array_or_empty without an array").into());
        };
        match value {
            ColumnarValue::Scalar(ScalarValue::List(list)) if list.is_null(0) => {
                let empty = match list.data_type() {
                    DataType::List(field) => empty(field).into(),
                    _ => list,
                };
                Ok(ColumnarValue::Scalar(ScalarValue::List(empty)))
            }
            ColumnarValue::Array(array) if array.null_count() > 0 => {
                Ok(ColumnarValue::Array(without_nulls(&array)?))
            }
            other => Ok(other),
        }
    }
}

/// One empty list.
fn empty(field: &FieldRef) -> ListArray {
    let values = new_empty_array(field.data_type());
    ListArray::new(
        FieldRef::clone(field),
        OffsetBuffer::new_zeroed(1),
        values,
        None,
    )
}

fn without_nulls(array: &ArrayRef) -> DfResult<ArrayRef> {
    let Some(lists) = array.as_list_opt::<i32>() else {
        return Ok(ArrayRef::clone(array));
    };
    let DataType::List(field) = lists.data_type() else {
        return Ok(ArrayRef::clone(array));
    };
    Ok(zip(
        &is_not_null(lists)?,
        lists,
        &Scalar::new(empty(field)),
    )?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rewritten(sql: &str) -> Result<String> {
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        array_subqueries(&mut statements[0])?;
        Ok(statements[0].to_string())
    }

    #[test]
    fn functions_on_hpo_get_the_ontology() {
        let sql = "SELECT HPO_IS_A(a, 'x') FROM t WHERE hpo_present(a, b, c) OR hpo_is_a(a) OR k.hpo_is_a(a, b)";
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        ontologies(&mut statements[0]).unwrap();
        let read = "(SELECT ontology FROM hpo_ontology())";
        let expected = format!(
            "SELECT HPO_IS_A(a, 'x', {read}) FROM t WHERE hpo_present(a, b, c, {read}) OR hpo_is_a(a) OR k.hpo_is_a(a, b)"
        );
        assert_eq!(statements[0].to_string(), expected);
    }

    #[test]
    fn cohorts_of_nobody_are_empty() {
        for (from, to) in [
            (
                "(SELECT array_agg(s) FROM t)",
                "(SELECT array_or_empty(array_agg(s)) FROM t)",
            ),
            (
                "((SELECT array_agg(s ORDER BY s) FILTER (WHERE a)::text[] AS c FROM t WHERE b))",
                "((SELECT array_or_empty(array_agg(s ORDER BY s) FILTER (WHERE a)::TEXT[]) AS c FROM t WHERE b))",
            ),
            ("(SELECT c FROM t)", "(SELECT c FROM t)"),
            ("NULL", "NULL"),
            ("array_agg(s)", "array_agg(s)"),
        ] {
            let sql = |cohort: &str| format!("SELECT GT_allele_count(gt, {cohort}) FROM v");
            let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, &sql(from)).unwrap();
            empty_cohorts(&mut statements[0]);
            assert_eq!(statements[0].to_string(), sql(to));
        }
    }

    #[test]
    fn array_subqueries_become_aggregates() {
        for (from, to) in [
            ("SELECT x FROM t", "q.v)) FROM (SELECT x FROM t) AS q (v))"),
            (
                "SELECT x FROM t ORDER BY x DESC",
                "q.v ORDER BY q.v DESC)) FROM (SELECT x FROM t) AS q (v))",
            ),
            (
                "SELECT x AS y FROM t ORDER BY y, 1",
                "q.v ORDER BY q.v, q.v)) FROM (SELECT x AS y FROM t) AS q (v))",
            ),
            (
                "SELECT x FROM t ORDER BY z LIMIT 2",
                "q.v ORDER BY q.k1)) FROM (SELECT x, z AS k1 FROM t ORDER BY z LIMIT 2) AS q (v, k1))",
            ),
            (
                "SELECT x FROM t UNION SELECT y FROM u ORDER BY 1",
                "q.v ORDER BY q.v)) FROM (SELECT x FROM t UNION SELECT y FROM u) AS q (v))",
            ),
        ] {
            let got = rewritten(&format!("SELECT ARRAY({from})")).unwrap();
            let expected = format!("SELECT (SELECT array_or_empty(array_agg({to}");
            assert_eq!(got, expected);
        }
        assert_eq!(rewritten("SELECT ARRAY[1]").unwrap(), "SELECT ARRAY[1]");
        assert!(rewritten("SELECT ARRAY(SELECT a, b FROM t)").is_err());
    }
}
