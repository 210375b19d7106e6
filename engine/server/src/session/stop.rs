//! Stopping statements inside joins, which do not yield between the batches they give.
//!
//! A join of every row with every row whose condition is never true computes for minutes inside one poll: its task
//! can neither be dropped nor let others run. The condition itself is the one thing of ours that such a join calls
//! again and again, so it looks whether the statement was stopped, and hands its thread over when it has held it
//! for a while.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use arrow::datatypes::{DataType, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use parking_lot::Mutex;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::work::Owner;

/// How long a condition may hold a thread of the query runtime.
const HOLD_MS: u64 = 50;

/// Tells the operators of one statement that nobody waits for it any more.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<State>);

#[derive(Debug, Default)]
struct State {
    is_set: AtomicBool,
    /// Steps of work that are being done, and whether they were left.
    steps: Mutex<(usize, bool)>,
    /// Who is told of work that is left.
    owner: Option<Owner>,
}

impl State {
    /// What is still being done is left from now on.
    fn set(&self) {
        self.is_set.store(true, Ordering::Relaxed);
        self.leave(&mut self.steps.lock());
    }

    fn begins(&self) {
        let mut steps = self.steps.lock();
        steps.0 += 1;
        if self.is_set.load(Ordering::Relaxed) {
            self.leave(&mut steps);
        }
    }

    fn leave(&self, (open, left): &mut (usize, bool)) {
        if let Some(owner) = self.owner.as_ref().filter(|_| *open > 0 && !*left) {
            owner.left.add(&owner.role);
            *left = true;
        }
    }

    fn ends(&self) {
        let mut steps = self.steps.lock();
        steps.0 = steps.0.saturating_sub(1);
        if let (Some(owner), (0, true)) = (&self.owner, *steps) {
            owner.left.remove(&owner.role);
            steps.1 = false;
        }
    }
}

/// A step of the statement's work, to its end.
pub(super) struct Working(Arc<State>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.ends();
    }
}

impl Stop {
    /// Stops a statement of this owner, who is told how much of its work goes on nevertheless.
    pub(super) fn of(owner: Owner) -> Stop {
        let owner = Some(owner);
        Stop(Arc::new(State {
            owner,
            ..State::default()
        }))
    }

    /// A step of its work begins.
    pub(super) fn working(&self) -> Working {
        self.0.begins();
        Working(Arc::clone(&self.0))
    }

    /// Stops the statement when it is dropped, unless it is disarmed before.
    #[must_use]
    pub fn guard(&self) -> StopGuard {
        StopGuard(Some(self.clone()))
    }

    /// Whether the statement was stopped.
    pub(super) fn is_set(&self) -> bool {
        self.0.is_set.load(Ordering::Relaxed)
    }
}

/// See [`Stop::guard`].
#[derive(Debug)]
pub struct StopGuard(Option<Stop>);

impl StopGuard {
    /// The statement, or this part of it, came to its end.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopGuard {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.0.set();
        }
    }
}

/// The plan, with conditions of joins that heed `stop`.
pub(super) fn stoppable(
    plan: Arc<dyn ExecutionPlan>,
    stop: &Stop,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let heeding = |filter: &JoinFilter| {
            let condition = Arc::new(Heeding::new(Arc::clone(filter.expression()), stop));
            let columns = filter.column_indices().to_vec();
            Some(JoinFilter::new(
                condition,
                columns,
                Arc::clone(filter.schema()),
            ))
        };
        if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
            && let Some(filter) = join.filter()
        {
            let builder = NestedLoopJoinExecBuilder::from(join).with_filter(heeding(filter));
            return Ok(Transformed::yes(Arc::new(builder.build()?) as _));
        }
        if let Some(join) = node.downcast_ref::<HashJoinExec>()
            && let Some(filter) = join.filter()
        {
            let builder = join.builder().with_filter(heeding(filter));
            return Ok(Transformed::yes(builder.build_exec()?));
        }
        Ok(Transformed::no(node))
    })
    .data()
}

/// A condition that fails once its statement was stopped.
#[derive(Debug)]
struct Heeding {
    condition: Arc<dyn PhysicalExpr>,
    stop: Stop,
    start: Instant,
    /// When a thread was last handed over, in milliseconds since `start`.
    handed_over: AtomicU64,
}

impl Heeding {
    fn new(condition: Arc<dyn PhysicalExpr>, stop: &Stop) -> Heeding {
        Heeding {
            condition,
            stop: stop.clone(),
            start: Instant::now(),
            handed_over: AtomicU64::new(0),
        }
    }

    /// Whether it is time to let other tasks of this thread go on.
    fn holds_too_long(&self) -> bool {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now.saturating_sub(self.handed_over.load(Ordering::Relaxed)) < HOLD_MS {
            return false;
        }
        self.handed_over.store(now, Ordering::Relaxed);
        let runtime = Handle::try_current();
        runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread)
    }
}

impl PhysicalExpr for Heeding {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.condition.data_type(input)
    }

    fn nullable(&self, input: &Schema) -> Result<bool> {
        self.condition.nullable(input)
    }

    fn return_field(&self, input: &Schema) -> Result<FieldRef> {
        self.condition.return_field(input)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        if self.stop.is_set() {
            return Err(DataFusionError::Execution(
                "the statement was stopped".to_owned(),
            ));
        }
        if self.holds_too_long() {
            return tokio::task::block_in_place(|| self.condition.evaluate(batch));
        }
        self.condition.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.condition]
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(condition) if children.is_empty() => {
                Ok(Arc::new(Heeding::new(condition, &self.stop)))
            }
            _ => datafusion::common::internal_err!("a condition has one expression"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt_sql(f)
    }
}

impl fmt::Display for Heeding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.condition.fmt(f)
    }
}

impl PartialEq for Heeding {
    fn eq(&self, other: &Heeding) -> bool {
        self.condition.eq(&other.condition)
    }
}

impl Eq for Heeding {}

impl Hash for Heeding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.condition.hash(state);
    }
}
