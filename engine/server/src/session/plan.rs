//! Planning and starting one query against one snapshot.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::execution::context::{SQLOptions, SessionContext, SessionState};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::{displayable, execute_stream};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;

use super::rows::Rows;
use super::{SessionInfo, params, rewrite};
use crate::limits::QueryPool;
use crate::pg_types::PgType;
use crate::pgwire::column::Column;
use crate::sqlstate::ServerError;

/// Everything that planning a query of one session needs: cheap to clone, owned by the task.
#[derive(Clone)]
pub(crate) struct PlanContext {
    pub(crate) context: SessionContext,
    /// The system catalog of the snapshot, built on demand.
    pub(super) model: super::catalog::LazyModel,
    pub(crate) info: Arc<SessionInfo>,
    /// Bytes that one query may take from the memory pool.
    pub(crate) memory_limit: Option<usize>,
}

/// A query that is planned and not started.
#[derive(Clone)]
pub(crate) enum Planned {
    /// For DataFusion.
    Lake {
        plan: LogicalPlan,
        columns: Vec<Column>,
    },
    /// Answered already: catalog queries, SHOW, EXPLAIN.
    Ready {
        columns: Vec<Column>,
        batch: RecordBatch,
    },
}

impl Planned {
    pub(crate) fn columns(&self) -> &[Column] {
        match self {
            Planned::Lake { columns, .. } | Planned::Ready { columns, .. } => columns,
        }
    }
}

/// Plans a query: names, rewrites, catalog routing, DataFusion's logical plan.
///
/// # Errors
/// As PostgreSQL reports them while parsing and analysing.
pub(crate) async fn plan(
    context: &PlanContext,
    statement: &ast::Statement,
) -> Result<Planned, ServerError> {
    let mut resolved = statement.clone();
    let relations = rewrite::resolve(&mut resolved, &context.context, &context.info.search_path)?;
    if super::catalog::answers(context, &relations, statement).await? {
        return super::catalog::execute(context, statement).await;
    }
    if !relations.catalog.is_empty() {
        super::catalog::materialise(context, &relations.catalog).await?;
        rewrite::to_system_copies(&mut resolved, super::catalog::SYSTEM);
    }
    rewrite::to_datafusion(&mut resolved, &context.info)?;
    let state = context.context.state();
    let plan = state
        .statement_to_plan(DfStatement::Statement(Box::new(resolved)))
        .await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    let columns = columns(&plan, statement);
    Ok(Planned::Lake { plan, columns })
}

fn columns(plan: &LogicalPlan, statement: &ast::Statement) -> Vec<Column> {
    let fields = plan.schema().fields();
    let names = rewrite::output_names(statement, fields.len());
    fields
        .iter()
        .zip(names)
        .map(|(field, name)| {
            let name = name.unwrap_or_else(|| field.name().clone());
            Column::computed(name, PgType::of_field(field))
        })
        .collect()
}

/// Starts a planned query.
///
/// # Errors
/// What physical planning fails with; errors of the execution come out of the rows.
pub(crate) async fn start(context: &PlanContext, planned: Planned) -> Result<Rows, ServerError> {
    match planned {
        Planned::Ready { columns, batch } => Ok(Rows::of_batches(columns, vec![batch])),
        Planned::Lake { plan, columns } => {
            let state = context.context.state();
            let physical = state.create_physical_plan(&plan).await?;
            let stream = execute_stream(physical, task_context(context, &state)?)?;
            Ok(Rows::new(columns, stream))
        }
    }
}

fn task_context(
    context: &PlanContext,
    state: &SessionState,
) -> Result<Arc<TaskContext>, ServerError> {
    let task = TaskContext::from(state);
    let Some(limit) = context.memory_limit else {
        return Ok(Arc::new(task));
    };
    let runtime = state.runtime_env();
    let pool = QueryPool::new(Arc::clone(&runtime.memory_pool), limit);
    let limited = RuntimeEnvBuilder::from_runtime_env(runtime)
        .with_memory_pool(Arc::new(pool))
        .build_arc()?;
    Ok(Arc::new(task.with_runtime(limited)))
}

/// The types of the parameters of a statement: the client's, then those written as casts, then
/// those the planner infers, then text.
///
/// # Errors
/// As [`plan`].
pub(crate) async fn parameter_types(
    context: &PlanContext,
    statement: &ast::Statement,
    declared: &[PgType],
) -> Result<Vec<PgType>, ServerError> {
    let count = params::count(statement).max(declared.len());
    if count > 0 {
        let mut resolved = statement.clone();
        let relations =
            rewrite::resolve(&mut resolved, &context.context, &context.info.search_path)?;
        if super::catalog::answers(context, &relations, statement).await? {
            return super::catalog::parameter_types(context, statement, declared).await;
        }
    }
    let written = params::cast_types(statement);
    let mut types: Vec<Option<PgType>> = (1..=count)
        .map(|number| {
            let declared = declared.get(number - 1).copied();
            declared
                .filter(|t| *t != PgType::UNKNOWN)
                .or_else(|| written.get(&number).copied())
        })
        .collect();
    if types.iter().any(Option::is_none) {
        let inferred = inferred_types(context, statement, &types).await;
        for (number, slot) in types
            .iter_mut()
            .enumerate()
            .filter(|(_, slot)| slot.is_none())
        {
            *slot = inferred.get(&(number + 1)).copied();
        }
    }
    Ok(types
        .into_iter()
        .map(|slot| slot.unwrap_or(PgType::TEXT))
        .collect())
}

async fn inferred_types(
    context: &PlanContext,
    statement: &ast::Statement,
    known: &[Option<PgType>],
) -> std::collections::BTreeMap<usize, PgType> {
    let mut partial = statement.clone();
    let nulls = known
        .iter()
        .enumerate()
        .filter_map(|(number, slot)| slot.map(|t| (number + 1, params::null_of(t))))
        .collect();
    let Ok(()) = params::substitute(&mut partial, &nulls, true) else {
        return std::collections::BTreeMap::new();
    };
    let arrays = params::any_as_equal(&mut partial);
    // A statement that cannot be planned with its placeholders is planned again with text ones;
    // its errors are reported then.
    let Ok(Planned::Lake { plan, .. }) = plan(context, &partial).await else {
        return std::collections::BTreeMap::new();
    };
    let inferred = plan.get_parameter_types().unwrap_or_default();
    inferred
        .into_iter()
        .filter_map(|(name, data_type)| {
            let number = name.strip_prefix('$')?.parse().ok()?;
            let pg_type = PgType::of_arrow(&data_type?);
            Some((
                number,
                if arrays.contains(&number) {
                    pg_type.array()
                } else {
                    pg_type
                },
            ))
        })
        .collect()
}

/// EXPLAIN: the plan as lines of one text column.
///
/// # Errors
/// As [`plan`]; with `analyze` also what the query itself fails with.
pub(crate) async fn explain(
    context: &PlanContext,
    statement: &ast::Statement,
    analyze: bool,
    verbose: bool,
) -> Result<Planned, ServerError> {
    let lines = match plan(context, statement).await? {
        Planned::Ready { .. } => vec!["Catalog Scan".to_owned()],
        Planned::Lake { plan, .. } if analyze => analyzed(context, plan, verbose).await?,
        Planned::Lake { plan, .. } => explained(context, &plan, verbose).await?,
    };
    text_column("QUERY PLAN", lines)
}

async fn explained(
    context: &PlanContext,
    plan: &LogicalPlan,
    verbose: bool,
) -> Result<Vec<String>, ServerError> {
    let state = context.context.state();
    let mut lines = Vec::new();
    if verbose {
        let optimized = state.optimize(plan)?;
        lines.push("Logical plan:".to_owned());
        lines.extend(
            optimized
                .display_indent()
                .to_string()
                .lines()
                .map(|l| format!("  {l}")),
        );
        lines.push("Physical plan:".to_owned());
    }
    let physical = super::yielding::shown(state.create_physical_plan(plan).await?)?;
    let text = displayable(physical.as_ref()).indent(verbose).to_string();
    let indent = if verbose { "  " } else { "" };
    lines.extend(text.lines().map(|line| format!("{indent}{line}")));
    Ok(lines)
}

async fn analyzed(
    context: &PlanContext,
    plan: LogicalPlan,
    verbose: bool,
) -> Result<Vec<String>, ServerError> {
    let plan = LogicalPlanBuilder::from(plan)
        .explain(verbose, true)?
        .build()?;
    let state = context.context.state();
    let physical = state.create_physical_plan(&plan).await?;
    let stream = execute_stream(physical, task_context(context, &state)?)?;
    let batches: Vec<RecordBatch> = stream.try_collect().await?;
    let mut lines = Vec::new();
    for batch in &batches {
        let kinds = arrow::compute::cast(batch.column(0), &ArrowType::Utf8)?;
        let plans = arrow::compute::cast(batch.column(1), &ArrowType::Utf8)?;
        for (kind, plan) in kinds
            .as_string::<i32>()
            .iter()
            .zip(plans.as_string::<i32>())
        {
            if verbose && let Some(kind) = kind {
                lines.push(format!("{kind}:"));
            }
            let shown = plan
                .unwrap_or_default()
                .lines()
                .filter(|line| !super::yielding::own(line));
            lines.extend(shown.map(str::to_owned));
        }
    }
    Ok(lines)
}

/// A ready result of one text column.
///
/// # Errors
/// Never for well-formed input; the signature follows Arrow's.
pub(crate) fn text_column(name: &str, lines: Vec<String>) -> Result<Planned, ServerError> {
    text_table(
        &[name],
        lines.into_iter().map(|line| vec![Some(line)]).collect(),
    )
}

/// A ready result of text columns.
///
/// # Errors
/// Never for well-formed input; the signature follows Arrow's.
pub(crate) fn text_table(
    names: &[&str],
    rows: Vec<Vec<Option<String>>>,
) -> Result<Planned, ServerError> {
    let columns = names
        .iter()
        .map(|name| Column::computed(*name, PgType::TEXT))
        .collect();
    typed_table(columns, rows)
}

/// A ready result whose values are given in text form, whatever their types.
///
/// # Errors
/// Never for well-formed input; the signature follows Arrow's.
pub(crate) fn typed_table(
    columns: Vec<Column>,
    rows: Vec<Vec<Option<String>>>,
) -> Result<Planned, ServerError> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|c| Field::new(c.name.clone(), ArrowType::Utf8, true))
        .collect();
    let arrays: Vec<ArrayRef> = (0..columns.len())
        .map(|at| -> ArrayRef {
            let values = rows
                .iter()
                .map(|row| row.get(at).and_then(|value| value.as_deref()));
            Arc::new(values.collect::<StringArray>())
        })
        .collect();
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new_with_options(schema, arrays, &options)?;
    Ok(Planned::Ready { columns, batch })
}
