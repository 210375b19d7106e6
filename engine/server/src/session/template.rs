//! What Parse finds out about a query, and its plan, kept so that Bind need not plan again.
//!
//! ```text
//! Parse: names, parameter types, columns, logical plan with $n in it      a Template
//! Bind:  same snapshot, settings and user? the values go into the plan    else planned again
//! ```
//! A template holds for one pinned snapshot with one set of settings. A query is planned with its values as text
//! instead where its plan depends on them: numeric parameters (whose type has the digits of the value), arguments
//! that the planner wants as constants, copies of system relations, `set_config`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, ParamValues, ScalarValue};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast;

use super::catalog::{self, LazyModel};
use super::kinds;
use super::objects;
use super::params;
use super::plan::{self, PlanContext, Planned};
use super::rewrite::{self, Relations};
use crate::pg_types::PgType;
use crate::pgwire::column::Column;
use crate::sqlstate::{About, Construct, ServerError};

/// What is known of a statement before its parameters have values.
pub(super) struct Analysis {
    pub(super) parameters: Vec<PgType>,
    /// None for a statement without rows.
    pub(super) columns: Option<Vec<Column>>,
    pub(super) template: Option<Template>,
}

impl Analysis {
    pub(super) fn without_plan(parameters: Vec<PgType>, columns: Option<Vec<Column>>) -> Self {
        Analysis {
            parameters,
            columns,
            template: None,
        }
    }
}

/// A logical plan that waits for the values of its parameters.
pub(super) struct Template {
    plan: Arc<LogicalPlan>,
    columns: Vec<Column>,
    /// The output names as the statement gives them.
    statement: ast::Statement,
    parameters: usize,
    /// Where it was planned: the catalog of a pinned snapshot is one object as long as the snapshot is.
    context: PlanContext,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template")
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Template {
    /// Whether a statement of `context` may run this plan.
    pub(super) fn holds_in(&self, context: &PlanContext) -> bool {
        let same = |a: &LazyModel, b: &LazyModel| Arc::ptr_eq(a, b);
        same(&self.context.model, &context.model)
            && self.context.info.user == context.info.user
            && self.context.info.settings == context.info.settings
    }

    /// The columns that a client was told of must stay: it reads rows by them.
    ///
    /// # Errors
    /// 0A000 in PostgreSQL's words, which drivers know as the sign to prepare again.
    pub(super) fn same_columns(&self, told: &Template) -> Result<(), ServerError> {
        let shape = |columns: &[Column]| -> Vec<(String, PgType)> {
            let shape = columns.iter().map(|c| (c.name.clone(), c.pg_type));
            shape.collect()
        };
        if shape(&self.columns) == shape(&told.columns) {
            return Ok(());
        }
        Err(ServerError::new(
            "0A000",
            "cached plan must not change result type",
        ))
    }

    /// The plan with these values in it, to run in `context`; None when a value is no constant.
    ///
    /// # Errors
    /// What the values fail with when they are cast to their types.
    pub(super) fn with_values(
        &self,
        context: &PlanContext,
        arguments: &[ast::Expr],
    ) -> Result<Option<Planned>, ServerError> {
        let context = context.clone();
        if self.parameters == 0 {
            return Ok(Some(Planned::Lake {
                plan: Arc::clone(&self.plan),
                columns: self.columns.clone(),
                context,
            }));
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            match value(&context, argument)? {
                // The plan was made for arrays of one dimension.
                Some(value) if is_nested(&value) => return Ok(None),
                Some(value) => values.push(value),
                None => return Ok(None),
            }
        }
        let values = ParamValues::from(values);
        let plan = LogicalPlan::clone(&self.plan).replace_params_with_values(&values)?;
        Ok(Some(Planned::Lake {
            columns: plan::columns(&context, &plan, &self.statement),
            plan: Arc::new(plan),
            context,
        }))
    }
}

fn is_nested(value: &ScalarValue) -> bool {
    matches!(value.data_type(), DataType::List(item) if matches!(item.data_type(), DataType::List(_)))
}

/// The value of a constant expression.
fn value(context: &PlanContext, constant: &ast::Expr) -> Result<Option<ScalarValue>, ServerError> {
    if let Some(value) = plain(constant) {
        return Ok(Some(value));
    }
    let state = context.context.state();
    let mut constant = constant.clone();
    rewrite::expression_to_datafusion(&mut constant, &context.info)?;
    let constant = ast::ExprWithAlias {
        expr: constant,
        alias: None,
    };
    let schema = DFSchema::empty();
    let expr = state.create_logical_expr_from_sql_expr(constant, &schema)?;
    let expr = crate::semantics::constant(expr)?;
    let info = SimplifyContext::builder()
        .with_config_options(Arc::clone(state.config().options()))
        .with_schema(Arc::new(schema))
        .build();
    Ok(match ExprSimplifier::new(info).simplify(expr)? {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    })
}

/// Items of an array that are put into a plan where sockets are served.
const LONG_ARRAY: usize = 1_000;

/// Whether a constant is an array of many items.
pub(super) fn is_long(constant: &ast::Expr) -> bool {
    match constant {
        ast::Expr::Array(array) => array.elem.len() > LONG_ARRAY || array.elem.iter().any(is_long),
        ast::Expr::Cast { expr, .. } => is_long(expr),
        _ => false,
    }
}

fn is_null(constant: &ast::Expr) -> bool {
    matches!(constant, ast::Expr::Value(value) if value.value == ast::Value::Null)
}

/// An array of one dimension whose items are plain and of its type. The planner takes milliseconds for a hundred.
fn plain_array(items: &[ast::Expr], of: &ast::DataType) -> Option<ScalarValue> {
    let of = match of {
        ast::DataType::SmallInt(None) => DataType::Int16,
        ast::DataType::Integer(None) => DataType::Int32,
        ast::DataType::BigInt(None) => DataType::Int64,
        ast::DataType::Text => DataType::Utf8,
        _ => return None,
    };
    let items = items.iter().map(|item| {
        let item = match item {
            ast::Expr::Cast { expr, .. } if is_null(expr) => ScalarValue::try_new_null(&of).ok()?,
            item => plain(item)?,
        };
        (item.data_type() == of).then_some(item)
    });
    let items = items.collect::<Option<Vec<_>>>()?;
    Some(ScalarValue::List(ScalarValue::new_list_nullable(
        &items, &of,
    )))
}

/// The value of what most parameters are, which the planner need not be asked for.
fn plain(constant: &ast::Expr) -> Option<ScalarValue> {
    if let ast::Expr::Value(value) = constant {
        return match &value.value {
            ast::Value::Boolean(value) => Some(ScalarValue::from(*value)),
            ast::Value::SingleQuotedString(text) => Some(ScalarValue::from(text.as_str())),
            _ => None,
        };
    }
    let ast::Expr::Cast {
        kind: ast::CastKind::Cast,
        expr,
        data_type,
        array: false,
        format: None,
    } = constant
    else {
        return None;
    };
    if let (ast::Expr::Array(array), ast::DataType::Array(of)) = (expr.as_ref(), data_type)
        && let ast::ArrayElemTypeDef::SquareBracket(of, None) = of
    {
        return plain_array(&array.elem, of);
    }
    let (sign, digits) = match expr.as_ref() {
        ast::Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => ("-", expr.as_ref()),
        other => ("", other),
    };
    let ast::Expr::Value(digits) = digits else {
        return None;
    };
    let ast::Value::Number(digits, _) = &digits.value else {
        return None;
    };
    let number: i64 = format!("{sign}{digits}").parse().ok()?;
    Some(match data_type {
        ast::DataType::SmallInt(None) => ScalarValue::from(i16::try_from(number).ok()?),
        ast::DataType::Integer(None) => ScalarValue::from(i32::try_from(number).ok()?),
        ast::DataType::BigInt(None) => ScalarValue::from(number),
        _ => return None,
    })
}

/// Analyses a query: parameter types (the client's, then those written as casts, then those the planner infers,
/// then text), columns, and a plan to keep.
///
/// # Errors
/// As [`plan::plan`].
pub(super) async fn analyse(
    context: &PlanContext,
    query: &ast::Statement,
    declared: &[PgType],
) -> Result<Analysis, ServerError> {
    let context = &PlanContext {
        declared: declared.into(),
        ..context.clone()
    };
    let count = params::count(query).max(declared.len());
    let described = params::described(query)?;
    let of_tables = described.as_ref().map(|described| &described.types);
    let (whole, query) = (query, described.as_ref().map_or(query, |of| &of.statement));
    let mut resolved = query.clone();
    let relations = plan::resolve(context, &mut resolved)?;
    if catalog::answers(context, &relations, query).await? {
        let (parameters, columns) = catalog::describe(context, query, declared).await?;
        return Ok(Analysis::without_plan(parameters, Some(columns)));
    }
    objects::read(context, &relations, &mut resolved).await?;
    untold(whole, declared, count)?;
    let known = known_types(whole, declared, count, of_tables);
    let inferred = if known.iter().any(Option::is_none) {
        Box::pin(inferred_types(context, query, &known)).await
    } else {
        Inferred::default()
    };
    // Of several uses the first tells, which the planner does not ask for.
    let used = match inferred.is_sure || known.iter().all(Option::is_some) {
        true => BTreeMap::new(),
        false => Box::pin(params::used(context, &resolved, &known)).await,
    };
    let mut known: Vec<Option<PgType>> = (1..)
        .zip(&known)
        .map(|(number, known)| {
            let used = || used.get(&number).or(inferred.types.get(&number));
            known.or_else(|| used().copied())
        })
        .collect();
    if known.iter().any(Option::is_none) {
        Box::pin(params::called(context, query, &mut known)).await?;
    }
    let parameters: Vec<PgType> = known
        .iter()
        .map(|known| known.unwrap_or(PgType::TEXT))
        .collect();
    let keeps = keeps(whole, &relations, &parameters);
    if let Some(plan) = inferred.plan
        && keeps
    {
        let template = template(context, query, plan, parameters.len());
        return Ok(Analysis {
            columns: Some(template.columns.clone()),
            parameters,
            template: Some(template),
        });
    }
    let mut refused = None;
    if keeps {
        match plan::logical(context, resolved, &parameters).await {
            Ok(plan) => {
                let template = template(context, query, Arc::new(plan), parameters.len());
                return Ok(Analysis {
                    columns: Some(template.columns.clone()),
                    parameters,
                    template: Some(template),
                });
            }
            Err(error) => refused = Some(error).filter(is_of_operator),
        }
    }
    // The planner wants constants, or the query has an error: NULLs of the right types show which.
    let nulls: BTreeMap<usize, ast::Expr> = (1..)
        .zip(&parameters)
        .map(|(number, pg_type)| (number, params::null_of(*pg_type)))
        .collect();
    let mut typed = query.clone();
    params::substitute(&mut typed, &nulls, false)?;
    let planned = plan::plan(context, &typed).await?;
    if let Some(error) = refused {
        return Err(plan::explained_error(context, query, error).await);
    }
    let columns = planned.columns().to_vec();
    Ok(Analysis::without_plan(parameters, Some(columns)))
}

/// Whether an error is about an operator that there is not for what the client declared: NULLs do not say that.
fn is_of_operator(error: &ServerError) -> bool {
    let operator = |about: &About| matches!(about.construct, Construct::Operator(_));
    error.code() == "42883" && error.what().is_some_and(operator)
}

/// Refuses a parameter that the statement skips: nothing tells its type.
///
/// # Errors
/// 42P18.
fn untold(query: &ast::Statement, declared: &[PgType], count: usize) -> Result<(), ServerError> {
    let mut named = std::collections::BTreeSet::new();
    let _: std::ops::ControlFlow<()> = ast::visit_expressions(query, |expr| {
        named.extend(params::placeholder(expr));
        std::ops::ControlFlow::Continue(())
    });
    let is_declared = |number: &usize| {
        let declared = number.checked_sub(1).and_then(|at| declared.get(at));
        declared.is_some_and(|declared| *declared != PgType::UNKNOWN)
    };
    let mut numbers = 1..=count;
    match numbers.find(|number| !named.contains(number) && !is_declared(number)) {
        None => Ok(()),
        Some(number) => {
            let text = format!("could not determine data type of parameter ${number}");
            Err(ServerError::new("42P18", text))
        }
    }
}

/// A template anew, for another snapshot or other settings; None when the query has to be planned with its values.
///
/// # Errors
/// As [`plan::plan`].
pub(super) async fn renew(
    context: &PlanContext,
    query: &ast::Statement,
    parameters: &[PgType],
) -> Result<Option<Template>, ServerError> {
    let mut resolved = query.clone();
    let relations = plan::resolve(context, &mut resolved)?;
    if !keeps(query, &relations, parameters) || catalog::answers(context, &relations, query).await?
    {
        return Ok(None);
    }
    objects::read(context, &relations, &mut resolved).await?;
    let plan = plan::logical(context, resolved, parameters).await;
    Ok(plan
        .ok()
        .map(|plan| template(context, query, Arc::new(plan), parameters.len())))
}

fn template(
    context: &PlanContext,
    query: &ast::Statement,
    plan: Arc<LogicalPlan>,
    parameters: usize,
) -> Template {
    Template {
        columns: plan::columns(context, &plan, query),
        plan,
        statement: query.clone(),
        parameters,
        context: context.clone(),
    }
}

/// Whether one plan serves all values of the parameters.
fn keeps(query: &ast::Statement, relations: &Relations, parameters: &[PgType]) -> bool {
    let numeric = |pg_type: &PgType| {
        *pg_type == PgType::NUMERIC || pg_type.element() == Some(PgType::NUMERIC)
    };
    relations.catalog.is_empty()
        && !parameters.iter().any(numeric)
        && !rewrite::calls_set_config(query)
        && !super::cohort::waits_for_values(query)
        && !params::wait_for_values(query)
        && !rewrite::rows_wait_for_values(query)
}

/// Types from the client, from casts in the statement, those of the cohorts of functions of `gt`, and of what stands
/// beside a parameter.
fn known_types(
    query: &ast::Statement,
    declared: &[PgType],
    count: usize,
    of_tables: Option<&BTreeMap<usize, PgType>>,
) -> Vec<Option<PgType>> {
    let mut written = params::cast_types(query);
    for (number, pg_type) in of_tables.into_iter().flatten() {
        written.entry(*number).or_insert(*pg_type);
    }
    for number in super::cohort::parameters(query) {
        written.entry(number).or_insert(PgType::TEXT.array());
    }
    let declared = (1..).zip(declared.iter().copied());
    written.extend(declared.filter(|(_, declared)| *declared != PgType::UNKNOWN));
    params::common_types(query, &mut written);
    (1..=count)
        .map(|number| written.get(&number).copied())
        .collect()
}

/// What the planner makes of parameters without a type.
#[derive(Default)]
struct Inferred {
    types: BTreeMap<usize, PgType>,
    /// It knows the types of all of them, and from the statement as it is.
    is_sure: bool,
    /// The plan, when every `$n` of the query stands in it with a type.
    plan: Option<Arc<LogicalPlan>>,
}

/// Whether a plan reads columns that are text to the planner and more to PostgreSQL.
fn has_kinds(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let is_kind = |field: &Arc<Field>| kinds::function_of(PgType::of_field(field)).is_some();
    // It only looks.
    let (Ok(_) | Err(_)) = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            found |= scan.projected_schema.fields().iter().any(is_kind);
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    });
    found
}

async fn inferred_types(
    context: &PlanContext,
    query: &ast::Statement,
    known: &[Option<PgType>],
) -> Inferred {
    let mut partial = query.clone();
    let nulls: BTreeMap<usize, ast::Expr> = (1..)
        .zip(known)
        .filter_map(|(number, slot)| slot.map(|known| (number, params::null_of(known))))
        .collect();
    let Ok(()) = params::substitute(&mut partial, &nulls, true) else {
        return Inferred::default();
    };
    let made = params::any_as_equal(&mut partial);
    // A statement that cannot be planned with its placeholders is planned again with text ones;
    // its errors are reported then.
    let Ok(Planned::Lake { plan, .. }) = plan::plan(context, &partial).await else {
        return Inferred::default();
    };
    let found = plan.get_parameter_types().unwrap_or_default();
    let mut types: BTreeMap<usize, PgType> = found
        .into_iter()
        .filter_map(|(name, data_type)| {
            let number = name.strip_prefix('$')?.parse().ok()?;
            let pg_type = PgType::of_arrow(&data_type?);
            let array = made.arrays.contains(&number);
            Some((number, if array { pg_type.array() } else { pg_type }))
        })
        .collect();
    for (first, other) in made.alike {
        if let Some(known) = types.get(&first).copied() {
            types.entry(other).or_insert(known);
        }
    }
    let open = known.len() - nulls.len();
    let is_sure = !made.changed
        && types.len() >= open
        && !params::are_computed_with(query)
        && (types.values().all(|known| *known != PgType::TEXT) || !has_kinds(&plan));
    let whole = nulls.is_empty() && is_sure;
    Inferred {
        types,
        is_sure,
        plan: whole.then_some(plan),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;
    use crate::pgwire::encode::Format;

    #[test]
    fn plain_values_are_those_of_their_types() {
        let of = |text: &'static str, pg_type| {
            let text = bytes::Bytes::from_static(text.as_bytes());
            let constant = params::constant(Some(&text), Format::Text, pg_type);
            plain(&constant.expect("a value of its type"))
        };
        let table = [
            ("-32768", PgType::INT2, Some(ScalarValue::from(i16::MIN))),
            (
                "2147483647",
                PgType::INT4,
                Some(ScalarValue::from(i32::MAX)),
            ),
            (
                "-9223372036854775808",
                PgType::INT8,
                Some(ScalarValue::from(i64::MIN)),
            ),
            ("yes", PgType::BOOL, Some(ScalarValue::from(true))),
            (
                "chr1 'x'",
                PgType::TEXT,
                Some(ScalarValue::from("chr1 'x'")),
            ),
            (
                "{1,NULL,-3}",
                PgType::INT4.array(),
                Some(ScalarValue::List(ScalarValue::new_list_nullable(
                    &[
                        ScalarValue::from(1_i32),
                        ScalarValue::Int32(None),
                        ScalarValue::from(-3_i32),
                    ],
                    &DataType::Int32,
                ))),
            ),
            (
                "{a,\"b c\"}",
                PgType::TEXT.array(),
                Some(ScalarValue::List(ScalarValue::new_list_nullable(
                    &[ScalarValue::from("a"), ScalarValue::from("b c")],
                    &DataType::Utf8,
                ))),
            ),
            ("{{1},{2}}", PgType::INT4.array(), None),
            ("1.5", PgType::NUMERIC, None),
            ("1.5", PgType::FLOAT8, None),
            ("2020-01-01", PgType::DATE, None),
        ];
        for (text, pg_type, expected) in table {
            assert_eq!(of(text, pg_type), expected, "{text}");
        }
    }
}
