//! Queries of WITH that are named more than once and give other rows each time: they are computed once.
//!
//! ```text
//! WITH s AS (SELECT … ORDER BY random() LIMIT 10) SELECT … FROM s WHERE id IN (SELECT id FROM s)
//!   ─►  WITH s AS (SELECT * FROM (SELECT … ORDER BY random() LIMIT 10) AS "computed once 1") …
//! ```
//! The planner puts such a query wherever it is named. What stands under that name in a plan is run before the rest when
//! the plan is started, and its rows stand in its place.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Result as DfResult, TableReference};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, SubqueryAlias, Volatility};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, ObjectName, Query, SetExpr, TableAlias, TableFactor, VisitMut as _,
    VisitorMut,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _};

use super::rewrite::{self, folded};
use super::stop::{self, Stop};
use crate::sqlstate::ServerError;

/// What the name begins with that tells such a query in a plan.
const ONCE: &str = "computed once ";

/// Marks the queries of a statement that are to be computed once.
///
/// # Errors
/// Never; the signature follows the parser's.
pub(super) fn marked(
    context: &SessionContext,
    statement: &mut ast::Statement,
) -> Result<(), ServerError> {
    let mut mark = Mark { context, marks: 0 };
    match statement.visit(&mut mark) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Mark<'a> {
    context: &'a SessionContext,
    marks: usize,
}

impl VisitorMut for Mark<'_> {
    type Break = ServerError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        match self.query(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Mark<'_> {
    fn query(&mut self, query: &mut Query) -> Result<(), ServerError> {
        let Some(with) = &query.with else {
            return Ok(());
        };
        let mut changing = BTreeSet::new();
        for table in &with.cte_tables {
            let (name, of) = (folded(&table.alias.name), table.query.as_ref());
            // What is recursive is a plan of its own, which the planner makes of the query as it is.
            if names(of, &name) == 0 && self.changes(of, &changing) {
                changing.insert(name);
            }
        }
        changing.retain(|name| names(query, name) > 1);
        let tables = query.with.iter_mut().flat_map(|with| &mut with.cte_tables);
        for table in tables {
            if changing.contains(&folded(&table.alias.name)) {
                self.marks += 1;
                let inner = std::mem::replace(&mut *table.query, rewrite::every_column()?);
                put(&mut table.query, inner, format!("{ONCE}{}", self.marks));
            }
        }
        Ok(())
    }

    /// Whether a query may give other rows each time that it is run: it has some of the rows that there are, calls
    /// what is volatile, or names what does.
    fn changes(&self, query: &Query, changing: &BTreeSet<String>) -> bool {
        let some = query.fetch.is_some()
            || matches!(
                &query.limit_clause,
                Some(ast::LimitClause::LimitOffset { limit: Some(_), .. })
            );
        if some || changing.iter().any(|name| names(query, name) > 0) {
            return true;
        }
        let state = self.context.state_ref();
        let state = state.read();
        let found = ast::visit_expressions(query, |expr| {
            let Expr::Function(function) = expr else {
                return ControlFlow::Continue(());
            };
            let name = rewrite::last_part(&function.name);
            let known = state.scalar_functions().get(&name);
            match known.is_some_and(|known| known.signature().volatility == Volatility::Volatile) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        found.is_break()
    }
}

/// How often something names a table so, without a schema.
fn names(query: &Query, name: &str) -> usize {
    let mut found = 0;
    let _: ControlFlow<()> = ast::visit_relations(query, |relation: &ObjectName| {
        if let [part] = relation.0.as_slice()
            && part.as_ident().map(folded).as_deref() == Some(name)
        {
            found += 1;
        }
        ControlFlow::Continue(())
    });
    found
}

/// Puts a query where the relation of another stands.
fn put(outer: &mut Query, inner: Query, name: String) {
    if let SetExpr::Select(select) = outer.body.as_mut()
        && let Some(from) = select.from.first_mut()
    {
        from.relation = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(inner),
            alias: Some(TableAlias {
                explicit: true,
                name: Ident::with_quote('"', name),
                columns: Vec::new(),
                at: None,
            }),
            sample: None,
        };
    }
}

/// What such queries gave, and the memory that it takes.
pub(super) type Held = Vec<MemoryReservation>;

/// A plan in which such queries are the rows that they give.
///
/// # Errors
/// What running them fails with; 53200 for more rows than there is memory for.
pub(super) async fn computed(
    plan: Arc<LogicalPlan>,
    state: &SessionState,
    task: &Arc<TaskContext>,
    stop: &Stop,
) -> Result<(Arc<LogicalPlan>, Held), ServerError> {
    let (mut plan, mut held) = (plan, Vec::new());
    let mut left = BTreeSet::new();
    while let Some(node) = innermost(&plan, &left)? {
        let name = node.alias.table().to_owned();
        // What is of a row of an outer query is another query for each.
        if node.input.contains_outer_reference() {
            left.insert(name);
            continue;
        }
        let physical = state.create_physical_plan(&node.input).await?;
        let physical = stop::stoppable(physical, stop)?;
        let mut stream = execute_stream(physical, Arc::clone(task))?;
        let memory =
            MemoryConsumer::new("a query of WITH").register(&task.runtime_env().memory_pool);
        let schema = Arc::clone(node.input.schema().inner());
        let mut rows = Vec::new();
        while let Some(batch) = stream.try_next().await? {
            memory.try_grow(batch.get_array_memory_size())?;
            rows.push(of_schema(&batch, &schema)?);
        }
        held.push(memory);
        let table = Arc::new(MemTable::try_new(schema, vec![rows])?);
        plan = Arc::new(replaced(&plan, &name, &table)?);
        left.insert(name);
    }
    Ok((plan, held))
}

/// A stream that gives the memory back when it is dropped.
pub(super) fn holding(
    held: Held,
    stream: SendableRecordBatchStream,
) -> impl Stream<Item = DfResult<RecordBatch>> + Send + 'static {
    futures::stream::unfold((stream, held), |(mut stream, held)| async move {
        let next = stream.next().await?;
        Some((next, (stream, held)))
    })
}

/// A batch with the fields that the plan says.
fn of_schema(
    batch: &RecordBatch,
    schema: &arrow::datatypes::SchemaRef,
) -> Result<RecordBatch, ServerError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| arrow::compute::cast(column, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options =
        arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

/// A marked node within which there is none that is still to be computed.
fn innermost(plan: &LogicalPlan, left: &BTreeSet<String>) -> DfResult<Option<SubqueryAlias>> {
    let mut found: Vec<SubqueryAlias> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::SubqueryAlias(alias) = node
            && alias.alias.table().starts_with(ONCE)
            && !left.contains(alias.alias.table())
        {
            found.push(alias.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let is_within = |inner: &SubqueryAlias, outer: &SubqueryAlias| -> DfResult<bool> {
        let mut within = false;
        outer.input.apply_with_subqueries(|node| {
            within |= matches!(node, LogicalPlan::SubqueryAlias(of) if of.alias == inner.alias);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(within)
    };
    for outer in &found {
        let mut has_inner = false;
        for inner in &found {
            has_inner |= inner.alias != outer.alias && is_within(inner, outer)?;
        }
        if !has_inner {
            return Ok(Some(outer.clone()));
        }
    }
    Ok(None)
}

/// The plan with the rows of a table wherever the name stands.
fn replaced(plan: &LogicalPlan, name: &str, table: &Arc<MemTable>) -> DfResult<LogicalPlan> {
    let source = provider_as_source(Arc::clone(table) as _);
    let plan = plan
        .clone()
        .transform_down_with_subqueries(|node| match node {
            LogicalPlan::SubqueryAlias(alias) if alias.alias.table() == name => {
                let rows = LogicalPlanBuilder::scan("rows", Arc::clone(&source), None)?;
                let rows = rows.alias(TableReference::bare(name))?.build()?;
                Ok(Transformed::new(rows, true, TreeNodeRecursion::Jump))
            }
            node => Ok(Transformed::no(node)),
        })?;
    Ok(plan.data)
}
