//! Plans that can be stopped: every scan and join lets its task go after a slice of time.
//!
//! A cancelled query is dropped, and a task is dropped only when it yields. DataFusion yields by
//! counting batches of leaves: a cross join makes thousands of batches from one of its leaf's,
//! and a costly function makes any count too long. A time slice bounds both. What an operator makes wide values of
//! ([`widths`]) comes in few rows at a time:
//!
//! ```text
//! Projection of repeat(x, 100000)     its input in as many rows as make some megabytes
//! string_agg over a window            its input in fewer rows the longer the values are that come out above it
//! ```
//! A window over a whole partition is computed in one step, which cannot be cut: it hands its thread over ([`in_place`]).

use std::any::type_name;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::execution::context::SessionContext;
use datafusion::execution::{
    RecordBatchStream, SendableRecordBatchStream, SessionStateBuilder, TaskContext,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{
    AggregateExec, AggregateInputMode, AggregateOutputMode,
};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::windows::WindowAggExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    replace_children_if_necessary,
};
use futures::Stream;

use super::stop::Stop;
use super::work::in_place;
use super::{unnested, widths};
use crate::made::Made;

/// How long a task may go on before it lets others run and can be stopped.
const SLICE: Duration = Duration::from_millis(20);

/// The same context, whose plans yield. Runs before the last filter pushdown, which must see the
/// plan as it is executed.
pub(super) fn yielding(context: &SessionContext) -> SessionContext {
    let state = context.state();
    let mut rules = state.physical_optimizers().to_vec();
    let cooperative = rules
        .iter()
        .rposition(|rule| rule.name() == "EnsureCooperative");
    let at = cooperative.map_or(rules.len(), |at| at + 1);
    rules.insert(at, Arc::new(YieldRule));
    let builder = SessionStateBuilder::new_from_existing(state);
    SessionContext::new_with_state(builder.with_physical_optimizer_rules(rules).build())
}

/// The plan as EXPLAIN shows it: without the nodes of this module.
pub(super) fn shown(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| match node.downcast_ref::<YieldExec>() {
        Some(yielding) => Ok(Transformed::yes(Arc::clone(&yielding.input))),
        None => Ok(Transformed::no(node)),
    })
    .data()
}

/// Whether a line of EXPLAIN ANALYZE is about a node of this module.
pub(super) fn own(line: &str) -> bool {
    line.trim_start().starts_with("YieldExec")
}

/// Wraps scans and joins.
#[derive(Debug)]
struct YieldRule;

impl PhysicalOptimizerRule for YieldRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let made = Made::within(config);
        plan.transform_up(|node| {
            if let Some(window) = node.downcast_ref::<WindowAggExec>() {
                for column in window.window_expr() {
                    made.is_made_whole(column.name());
                }
            }
            if let Some(slow) = dealt_out(&node).filter(is_slowed) {
                return Ok(Transformed::yes(slow));
            }
            if let Some(lists) = node.downcast_ref::<UnnestExec>().and_then(unnested::lists) {
                let node = fed(node, &Pace::Lists(lists))?.data;
                return Ok(Transformed::yes(Arc::new(YieldExec::of(node)) as _));
            }
            if let Some(narrow) = in_small_batches(&node, config, &made)? {
                return Ok(Transformed::yes(narrow));
            }
            let rows = widths::rows_of(node.as_ref())?;
            let node = match rows {
                Some(_) if !node.children().is_empty() => fed(node, &Pace::at_most(rows))?,
                _ => Transformed::no(node),
            };
            let node = match widths::is_growing(node.data.as_ref()) {
                true => slowed(node.data)?,
                false => node,
            };
            let name = node.data.name();
            let multiplies = name.contains("Join") || name.contains("Unnest");
            // A partition is computed in one step, or a batch against all rows that it may see.
            let in_place = name.contains("WindowAgg");
            if node.data.children().is_empty() || multiplies || in_place {
                let yielding = YieldExec {
                    in_place,
                    ..YieldExec::of(node.data)
                };
                return Ok(Transformed::yes(Arc::new(yielding) as _));
            }
            Ok(node)
        })
        .data()
    }

    fn name(&self) -> &str {
        type_name::<YieldRule>()
    }

    fn schema_check(&self) -> bool {
        true
    }
}

type Changed = Result<Transformed<Arc<dyn ExecutionPlan>>>;

/// The operator, whose inputs come at this pace.
fn fed(node: Arc<dyn ExecutionPlan>, pace: &Pace) -> Changed {
    let children = node.children().into_iter().map(|child| {
        let yielding = match child.downcast_ref::<YieldExec>() {
            Some(yielding) => YieldExec {
                watches: None,
                ..yielding.over(Arc::clone(&yielding.input))
            },
            None => YieldExec::of(Arc::clone(child)),
        };
        Arc::new(YieldExec {
            pace: pace.clone(),
            ..yielding
        }) as _
    });
    let children = children.collect();
    Ok(Transformed::yes(replace_children_if_necessary(
        node, children,
    )?))
}

/// The operator, whose inputs come the slower the longer the values are that it makes.
fn slowed(node: Arc<dyn ExecutionPlan>) -> Changed {
    let felt = Arc::new(AtomicUsize::new(widths::FIRST_ROWS));
    let node = fed(node, &Pace::Felt(Arc::clone(&felt)))?.data;
    let watched = YieldExec {
        watches: Some(felt),
        in_place: true,
        ..YieldExec::of(node)
    };
    Ok(Transformed::yes(Arc::new(watched)))
}

/// What is dealt out in turns to make use of more threads; `None` for any other operator.
fn dealt_out(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let repartition = node.downcast_ref::<RepartitionExec>()?;
    let in_turns = matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_));
    in_turns.then(|| Arc::clone(repartition.input()))
}

/// Whether the rows come from an operator that is [`slowed`]. Dealt out they would be taken from it faster than they are
/// worked on, and kept in between.
fn is_slowed(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let mut plan = plan;
    loop {
        if let Some(yielding) = plan.downcast_ref::<YieldExec>() {
            if yielding.watches.is_some() {
                return true;
            }
        } else if !["ProjectionExec", "FilterExec"].contains(&plan.name()) {
            return false;
        }
        let Some(input) = plan.children().pop() else {
            return false;
        };
        plan = input;
    }
}

/// Rows that aggregates whose values grow give at a time, where there is much memory and where there is little.
const SMALL_BATCHES: [usize; 2] = [256, 64];
/// Little memory.
const LITTLE: usize = 512 << 20;

/// An aggregate by groups whose values grow, giving few rows at a time to what sorts them, deals them out and puts them
/// together, and taking as many as others; `None` for any other operator.
fn in_small_batches(
    node: &Arc<dyn ExecutionPlan>,
    config: &ConfigOptions,
    made: &Made,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else {
        return Ok(None);
    };
    if aggregate.group_expr().is_empty() || !widths::has_growing(aggregate)? {
        return Ok(None);
    }
    let [much, little] = SMALL_BATCHES;
    let rows = match made.most() {
        Some(most) if most > LITTLE => much,
        Some(_) => little,
        None => much,
    };
    let of = |input: &Arc<dyn ExecutionPlan>, rows| -> Arc<dyn ExecutionPlan> {
        Arc::new(YieldExec {
            batch: Some(rows),
            ..YieldExec::of(Arc::clone(input))
        })
    };
    let mut node = Arc::clone(node);
    if aggregate.mode().input_mode() == AggregateInputMode::Raw {
        let input = of(aggregate.input(), config.execution.batch_size.get());
        node = replace_children_if_necessary(node, vec![input])?;
    }
    if aggregate.mode().output_mode() == AggregateOutputMode::Final {
        node = of(&node, rows);
    }
    Ok(Some(node))
}

/// The same context, in which operators make so many rows at a time.
fn with_batches(context: &TaskContext, rows: usize) -> Arc<TaskContext> {
    let config = context.session_config().clone().with_batch_size(rows);
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        config,
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

/// How many rows are passed on at a time.
#[derive(Clone, Debug)]
enum Pace {
    AsTheyCome,
    AtMost(usize),
    /// What a node above has seen fit of late.
    Felt(Arc<AtomicUsize>),
    /// As many as these lists do not make too many rows of.
    Lists(Arc<[usize]>),
}

impl Pace {
    fn at_most(rows: Option<usize>) -> Self {
        rows.map_or(Self::AsTheyCome, Self::AtMost)
    }

    fn rows(&self) -> Option<usize> {
        match self {
            Self::AsTheyCome | Self::Lists(_) => None,
            Self::AtMost(rows) => Some(*rows),
            Self::Felt(rows) => Some(rows.load(Ordering::Relaxed)),
        }
    }
}

/// Passes its input on and yields after every [`SLICE`].
#[derive(Debug)]
struct YieldExec {
    input: Arc<dyn ExecutionPlan>,
    pace: Pace,
    /// Where the pace is told to that fits what passes.
    watches: Option<Arc<AtomicUsize>>,
    /// How many rows what is below makes at a time; `None`: as many as others.
    batch: Option<usize>,
    /// Its input computes for long in one step: it hands its thread over first.
    in_place: bool,
}

impl YieldExec {
    fn of(input: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            input,
            pace: Pace::AsTheyCome,
            watches: None,
            batch: None,
            in_place: false,
        }
    }

    /// What comes of another YieldExec's input.
    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            input,
            pace: self.pace.clone(),
            watches: self.watches.clone(),
            batch: self.batch,
            in_place: self.in_place,
        }
    }
}

impl DisplayAs for YieldExec {
    fn fmt_as(&self, _format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YieldExec")
    }
}

impl ExecutionPlan for YieldExec {
    fn name(&self) -> &str {
        "YieldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    /// It only passes rows on: a scan below it must not be dealt out again because of it.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) if children.is_empty() => Ok(Arc::new(self.over(input))),
            _ => datafusion::common::internal_err!("YieldExec has one child"),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let extensions = &context.session_config().options().extensions;
        let stop = extensions.get::<Stop>().cloned().unwrap_or_default();
        let context = match self.batch {
            Some(rows) => with_batches(&context, rows),
            None => context,
        };
        let input = self.input.execute(partition, context)?;
        Ok(Box::pin(YieldStream {
            input,
            pace: self.pace.clone(),
            watches: self.watches.clone(),
            in_place: self.in_place.then_some(stop),
            rest: VecDeque::new(),
            passed: 0,
            since: Instant::now(),
        }))
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> Result<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}

struct YieldStream {
    input: SendableRecordBatchStream,
    pace: Pace,
    watches: Option<Arc<AtomicUsize>>,
    /// What stops a statement that computes for long in one step; None: it does not.
    in_place: Option<Stop>,
    /// What of a batch was not passed on yet.
    rest: VecDeque<RecordBatch>,
    /// Rows that were passed on.
    passed: usize,
    since: Instant,
}

impl YieldStream {
    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        let input = self.input.as_mut();
        match &self.in_place {
            None => input.poll_next(cx),
            Some(stop) => {
                let _working = stop.working();
                in_place(|| input.poll_next(cx))
            }
        }
    }
}

impl Stream for YieldStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.since.elapsed() > SLICE {
            self.since = Instant::now();
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Pace::Lists(lists) = &self.pace {
            let lists = Arc::clone(lists);
            while self.rest.is_empty() {
                match ready!(self.next(cx)) {
                    Some(Ok(batch)) => self.rest.extend(unnested::parts(&batch, &lists)?),
                    end => return Poll::Ready(end),
                }
            }
            return Poll::Ready(self.rest.pop_front().map(Ok));
        }
        let Some(rows) = self.pace.rows() else {
            let next = ready!(self.next(cx));
            if let Some(Ok(batch)) = &next {
                self.passed = self.passed.saturating_add(batch.num_rows());
            }
            if let (Some(Ok(batch)), Some(watches)) = (&next, &self.watches) {
                // As many rows again make values that are twice as long.
                let rows = widths::rows_like(batch)?.min(self.passed);
                watches.store(rows.max(1), Ordering::Relaxed);
            }
            return Poll::Ready(next);
        };
        let batch = match self.rest.pop_front() {
            Some(rest) => rest,
            None => match ready!(self.next(cx)) {
                Some(Ok(batch)) => batch,
                end => return Poll::Ready(end),
            },
        };
        let first = batch.slice(0, rows.min(batch.num_rows()));
        if first.num_rows() < batch.num_rows() {
            let rest = batch.slice(rows, batch.num_rows() - rows);
            self.rest.push_front(rest);
        }
        Poll::Ready(Some(Ok(first)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.pace {
            Pace::AtMost(_) | Pace::Felt(_) | Pace::Lists(_) => (0, None),
            Pace::AsTheyCome => self.input.size_hint(),
        }
    }
}

impl RecordBatchStream for YieldStream {
    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }
}
