//! Planning and starting one query against one snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{TreeNode as _, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::execution::context::{SQLOptions, SessionContext, SessionState};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Statement as DfLogical};
use datafusion::physical_plan::{displayable, execute_stream};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast;
use futures::TryStreamExt;
use genokura_sql_ext::Warnings;

use super::explained::as_json;
use super::rewrite::untyped;
use super::rows::Rows;
use super::statement::Explaining;
use super::stop::{self, Stop};
use super::temp::TempState;
use super::typed::Types;
use super::{
    SessionInfo, aliased, ambiguous, arrays, asked, asking_values, chains, copies, grouping,
    lateral, lifted, miscalled, modifiers, named_alike, objects, once, orders, origins,
    outer_named, params, placed, rewrite, smaller, using, whole_rows, written,
};
use crate::limits::QueryPool;
use crate::pg_types::PgType;
use crate::pgwire::column::Column;
use crate::semantics::{self, innermost};
use crate::sqlstate::ServerError;

/// Everything that planning a query of one session needs: cheap to clone, owned by the task.
#[derive(Clone)]
pub(crate) struct PlanContext {
    pub(crate) context: SessionContext,
    /// The system catalog of the snapshot, built on demand.
    pub(super) model: super::catalog::LazyModel,
    /// The temporary relations of the session.
    pub(super) temporary: TempState,
    pub(crate) info: Arc<SessionInfo>,
    /// Bytes that one query may take from the memory pool.
    pub(crate) memory_limit: Option<usize>,
    /// Bytes of spill files that one query may write; 0: none.
    pub(crate) spill_limit: Option<u64>,
    /// Types of parameters that a client declared; `UNKNOWN` for others.
    pub(super) declared: Arc<[PgType]>,
    /// Stops what the statement runs.
    pub(super) stop: Stop,
    /// What is found of the statement while it is planned.
    pub(super) warnings: Warnings,
}

/// A query that is planned and not started.
#[derive(Clone)]
pub(crate) enum Planned {
    /// For DataFusion, in the context that it was planned in: one snapshot serves a statement from its plan to its
    /// last row.
    Lake {
        plan: Arc<LogicalPlan>,
        columns: Vec<Column>,
        context: PlanContext,
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

    /// What the planning that is left finds.
    pub(super) fn warnings(&self) -> Warnings {
        match self {
            Planned::Lake { context, .. } => context.warnings.clone(),
            Planned::Ready { .. } => Warnings::default(),
        }
    }

    /// Stops the planning that is left, and the plan.
    pub(super) fn stop(&self) -> Stop {
        match self {
            Planned::Lake { context, .. } => context.stop.clone(),
            Planned::Ready { .. } => Stop::default(),
        }
    }

    /// Whether the query may give other rows when it is run again on the same data, as with `random()`.
    ///
    /// # Errors
    /// Never for a plan that was made; the signature follows the planner's.
    pub(crate) fn is_volatile(&self) -> Result<bool, ServerError> {
        let Planned::Lake { plan, .. } = self else {
            return Ok(false);
        };
        let mut volatile = false;
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expr| {
                volatile |= expr.is_volatile();
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(volatile)
    }

    /// Whether a column may be NULL.
    pub(crate) fn is_nullable(&self, at: usize) -> bool {
        let found = match self {
            Planned::Lake { plan, .. } => plan.schema().fields().get(at),
            Planned::Ready { batch, .. } => batch.schema_ref().fields().get(at),
        };
        found.is_none_or(|field| field.is_nullable())
    }

    /// The Arrow type of a column.
    pub(crate) fn data_type(&self, at: usize) -> ArrowType {
        let found = match self {
            Planned::Lake { plan, .. } => plan.schema().fields().get(at),
            Planned::Ready { batch, .. } => batch.schema_ref().fields().get(at),
        };
        found.map_or(ArrowType::Null, |field| field.data_type().clone())
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
    match Box::pin(planned(context, statement)).await {
        Ok(planned) => Ok(planned),
        Err(error) => Err(explained_error(context, statement, error).await),
    }
}

/// The error of a plan with its place in the statement, and with what the statement tells of it.
pub(super) async fn explained_error(
    context: &PlanContext,
    statement: &ast::Statement,
    error: ServerError,
) -> ServerError {
    let error = placed::placed(error, statement, &context.context);
    let error = Box::pin(miscalled::told(context, statement, error)).await;
    Box::pin(smaller::told(context, statement, error)).await
}

async fn planned(
    context: &PlanContext,
    statement: &ast::Statement,
) -> Result<Planned, ServerError> {
    let mut resolved = statement.clone();
    let relations = resolve(context, &mut resolved)?;
    if super::catalog::answers(context, &relations, statement).await? {
        if relations.catalog.is_empty() {
            // Constants that are no values have a place in the statement.
            let types = Types { parameters: None };
            untyped::read(&mut statement.clone(), types, &BTreeMap::new())?;
        }
        return super::catalog::execute(context, statement).await;
    }
    if !relations.catalog.is_empty() {
        super::catalog::materialise(context, &relations.catalog).await?;
        rewrite::to_system_copies(&mut resolved, super::catalog::SYSTEM);
    }
    objects::read(context, &relations, &mut resolved).await?;
    let plan = logical(context, resolved, &[]).await?;
    Ok(Planned::Lake {
        columns: columns(context, &plan, statement),
        plan: Arc::new(plan),
        context: context.clone(),
    })
}

/// Resolves the names of a statement in place.
///
/// # Errors
/// As [`rewrite::resolve`].
pub(super) fn resolve(
    context: &PlanContext,
    statement: &mut ast::Statement,
) -> Result<rewrite::Relations, ServerError> {
    written::check_clauses(statement)?;
    super::temp::named_by_text(statement, &context.temporary)?;
    let path = context.info.relation_path();
    let relations = rewrite::resolve(statement, &context.context, &path, &context.temporary)?;
    written::check(&context.context, statement)?;
    Ok(relations)
}

/// How often calls may be asked for the types of their arguments: those within others come first.
const ROUNDS_MAX: usize = 8;

/// DataFusion's plan of a statement whose names are resolved; `$n` in it are parameters of these types.
///
/// # Errors
/// As [`plan`].
pub(super) async fn logical(
    context: &PlanContext,
    resolved: ast::Statement,
    parameters: &[PgType],
) -> Result<LogicalPlan, ServerError> {
    let known: BTreeMap<usize, PgType> = (1..).zip(parameters.iter().copied()).collect();
    let types = Types {
        parameters: (!known.is_empty()).then_some(&known),
    };
    let mut told = BTreeMap::new();
    for _ in 0..ROUNDS_MAX {
        let mut read = resolved.clone();
        let found = untyped::read(&mut read, types, &told)?;
        let asked = (!found.open.is_empty()).then(|| read.clone());
        let planned = Box::pin(of_read(context, read, parameters)).await;
        match (planned, asked) {
            (Err(error), Some(asked)) if error.code() == "42883" => {
                let more = Box::pin(asked::types(context, asked, &found.open)).await;
                let known = more
                    .iter()
                    .all(|(call, types)| told.get(call) == Some(types));
                if known {
                    return Err(error);
                }
                told.extend(more);
            }
            (Ok(plan), _) => {
                written::check_planned(&resolved)?;
                return found.failed.map_or(Ok(plan), Err);
            }
            (Err(error), _) => return Err(error),
        }
    }
    let text = "functions with constants of no type are nested too deep";
    Err(ServerError::new("54001", text))
}

async fn of_read(
    context: &PlanContext,
    read: ast::Statement,
    parameters: &[PgType],
) -> Result<LogicalPlan, ServerError> {
    let again = read.clone();
    match Box::pin(logical_of(context, read, parameters, false)).await {
        // What stands beside one another then has names of its own, which EXPLAIN would show everywhere else, too.
        Err(error) if error.is_of_names_alike() => {
            Box::pin(logical_of(context, again, parameters, true)).await
        }
        Err(error) if aliased::may_lack(&error) => {
            let Some(completed) = Box::pin(aliased::completed(context, &again)).await? else {
                return Err(error);
            };
            Box::pin(logical_of(context, completed, parameters, false)).await
        }
        Err(error) => match outer_named::renamed(&again) {
            Some(renamed) => {
                let planned = Box::pin(logical_of(context, renamed, parameters, false)).await;
                planned.map_err(|_| error)
            }
            None => Err(error),
        },
        Ok(plan) => Ok(plan),
    }
}

/// The plan of a statement whose constants are read.
///
/// # Errors
/// As [`plan`].
pub(super) async fn logical_of(
    context: &PlanContext,
    mut resolved: ast::Statement,
    parameters: &[PgType],
    tell_apart: bool,
) -> Result<LogicalPlan, ServerError> {
    super::cohort::substitute(context, &mut resolved).await?;
    once::marked(&context.context, &mut resolved)?;
    rewrite::patterns(&mut resolved)?;
    placed::fields_of_rows(&mut resolved);
    named_alike::told_apart(&mut resolved)?;
    Box::pin(using::merged(context, &mut resolved)).await?;
    Box::pin(whole_rows::replaced(context, &mut resolved)).await?;
    let written = ambiguous::may_be(&resolved).then(|| resolved.clone());
    rewrite::tell_patterns(&mut resolved, parameters);
    rewrite::to_datafusion(&mut resolved, &context.info)?;
    rewrite::tell_choices(&mut resolved);
    if tell_apart {
        rewrite::columns_told_apart(&mut resolved);
    }
    let sql_type = |(at, pg_type): (usize, &PgType)| match context.declared.get(at) {
        Some(declared) if declared == pg_type => params::declared_sql_type(*pg_type),
        _ => params::sql_type(*pg_type),
    };
    if !parameters.is_empty() {
        rewrite::tell_kinds(&mut resolved, parameters);
        resolved = ast::Statement::Prepare {
            name: ast::Ident::new("parameters"),
            data_types: (0..).zip(parameters).map(sql_type).collect(),
            statement: Box::new(resolved),
        };
    }
    let open = parameters.is_empty() && params::count(&resolved) > 0;
    let state = context.context.state();
    let plan = state
        .statement_to_plan(DfStatement::Statement(Box::new(resolved)))
        .await?;
    let plan = match plan {
        LogicalPlan::Statement(DfLogical::Prepare(prepare)) if !parameters.is_empty() => {
            Arc::unwrap_or_clone(prepare.input)
        }
        plan => plan,
    };
    if let Some(written) = written {
        Box::pin(ambiguous::check(context, &written, &plan)).await?;
    }
    let plan = semantics::told_alike(semantics::without_markers(plan)?)?;
    let plan = grouping::over_columns(plan)?;
    let plan = lifted::lifted(lateral::unnested(chains::as_trees(plan)?)?)?;
    let plan = copies::counted(orders::shown(plan)?)?;
    let plan = arrays::deepened(plan)?;
    arrays::check(&plan)?;
    let plan = asking_values::answered(plan)?;
    let mut plan = semantics::read(plan)?;
    if open {
        plan = semantics::parameters(plan)?;
    }
    let kinds = semantics::of_columns(&plan);
    let plan = semantics::told(typed(plan, &state)?, &kinds)?;
    let plan = semantics::without_rows(plan)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    Ok(plan)
}

/// The plan with the types that its rows will have.
fn typed(plan: LogicalPlan, state: &SessionState) -> Result<LogicalPlan, ServerError> {
    let later = is_typed_later(&plan)?;
    if !later {
        return Ok(semantics::settle(plan)?);
    }
    // Times of a CASE are told apart before they have a type in common.
    let plan = semantics::settle_early(plan)?;
    // Types are settled on what is known of them, and may then be others.
    let analyse = |plan| {
        let analyzer = state.analyzer();
        analyzer.execute_and_check(plan, state.config_options(), |_, _| {})
    };
    Ok(analyse(semantics::settle_analysed(analyse(plan)?)?)?)
}

/// Whether the planner does not know the types of a plan yet: it takes those of a UNION and of a CASE from their first
/// part, and finds the common one when it analyses the plan.
fn is_typed_later(plan: &LogicalPlan) -> Result<bool, ServerError> {
    let mut later = false;
    plan.apply_with_subqueries(|node| {
        later |= matches!(node, LogicalPlan::Union(_) | LogicalPlan::RecursiveQuery(_));
        node.apply_expressions(|expr| {
            later = later || expr.exists(|part| Ok(matches!(part, Expr::Case(_))))?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(match later {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(later)
}

pub(super) fn columns(
    context: &PlanContext,
    plan: &LogicalPlan,
    statement: &ast::Statement,
) -> Vec<Column> {
    let fields = plan.schema().fields();
    let names = rewrite::output_names(statement, fields.len());
    let bare = rewrite::without_digits(statement, fields.len());
    let cast = rewrite::cast_to_digits(statement, fields.len());
    let origins = origins::of(context, plan);
    fields
        .iter()
        .zip(origins)
        .zip(names.into_iter().zip(bare))
        .enumerate()
        .map(|(at, ((field, origin), (name, bare)))| {
            let name = name.unwrap_or_else(|| field.name().clone());
            let (table_oid, attnum) = origin.unwrap_or_default();
            let mut column = Column {
                table_oid,
                attnum,
                ..Column::of_field(name, field)
            };
            if column.pg_type == PgType::RECORD
                && let Some(oid) = origins::row_type(context, plan, at)
            {
                column.pg_type = PgType { oid, len: -1 };
            }
            let says = |at: usize| cast.get(at) == Some(&true) || modifiers::are_said(plan, at);
            match bare || (innermost(field.data_type()).is_decimal() && !says(at)) {
                true => Column {
                    typmod: -1,
                    ..column
                },
                false => column,
            }
        })
        .collect()
}

/// Starts a planned query.
///
/// # Errors
/// What physical planning fails with; errors of the execution come out of the rows.
pub(crate) async fn start(planned: Planned) -> Result<Rows, ServerError> {
    match planned {
        Planned::Ready { columns, batch } => Ok(Rows::of_batches(columns, vec![batch])),
        Planned::Lake {
            plan,
            columns,
            context,
        } => {
            let state = context.context.state();
            let task = task_context(&context, &state)?;
            let (plan, held) = Box::pin(once::computed(plan, &state, &task, &context.stop)).await?;
            let physical = state.create_physical_plan(&plan).await?;
            let physical = stop::stoppable(physical, &context.stop)?;
            let runtime = task.runtime_env();
            let stream = once::holding(held, execute_stream(physical, task)?);
            Ok(Rows::new(columns, stream, context.stop).made_in(runtime))
        }
    }
}

fn task_context(
    context: &PlanContext,
    state: &SessionState,
) -> Result<Arc<TaskContext>, ServerError> {
    let task = TaskContext::from(state);
    if context.memory_limit.is_none() && context.spill_limit.is_none() {
        return Ok(Arc::new(task));
    }
    let runtime = state.runtime_env();
    let mut limited = RuntimeEnvBuilder::from_runtime_env(runtime);
    if let Some(limit) = context.memory_limit {
        let pool = QueryPool::new(Arc::clone(&runtime.memory_pool), limit);
        limited = limited.with_memory_pool(Arc::new(pool));
    }
    if let Some(limit) = context.spill_limit {
        let paths = runtime.disk_manager.temp_dir_paths();
        let mode = match (limit, paths.is_empty()) {
            (0, _) => DiskManagerMode::Disabled,
            (_, true) => DiskManagerMode::OsTmpDirectory,
            (_, false) => DiskManagerMode::Directories(paths),
        };
        let disk = DiskManagerBuilder::default().with_mode(mode);
        limited =
            limited.with_disk_manager_builder(disk.with_max_temp_directory_size(limit.max(1)));
    }
    Ok(Arc::new(task.with_runtime(limited.build_arc()?)))
}

/// EXPLAIN: the plan as lines of one text column.
///
/// # Errors
/// As [`plan`]; with `analyze` also what the query itself fails with.
pub(crate) async fn explain(
    context: &PlanContext,
    statement: &ast::Statement,
    how: Explaining,
) -> Result<Planned, ServerError> {
    let verbose = how.verbose && !how.json;
    let started = Instant::now();
    let lines = match plan(context, statement).await? {
        Planned::Ready { .. } => vec!["Catalog Scan".to_owned()],
        Planned::Lake { plan, .. } if how.analyze => {
            analyzed(context, Arc::unwrap_or_clone(plan), verbose).await?
        }
        Planned::Lake { plan, .. } => explained(context, &plan, verbose).await?,
    };
    let lines = super::told::explained(lines, &context.info.authorised);
    if !how.json {
        return text_column("QUERY PLAN", lines);
    }
    let took = how.analyze.then(|| started.elapsed().as_secs_f64() * 1e3);
    let column = Column::computed("QUERY PLAN", PgType::JSON);
    typed_table(vec![column], vec![vec![Some(as_json(&lines, took))]])
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
    let physical = stop::stoppable(physical, &context.stop)?;
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
