//! Rows as they are, without what the planner would conclude of them.
//!
//! ```text
//!   HashJoinExec: join_type=Left           grp is 'a' in every row of the filter's, and NULL in rows of the join
//!     DataSourceExec: k                    that no row of p matches: above the join it is no constant
//!     BareRowsExec: forgets=[constants]
//!       FilterExec: grp = a
//!         DataSourceExec: p
//! ```
//! [`BareRowsExec`] passes the batches of its input on. Its partitions, statistics, filters and limits are those of the
//! input; its equivalence properties are those of the input without what is [forgotten](Forgets). Projections stay above
//! it: one above another would be handed down without an end. The rules that place it say where DataFusion concludes too
//! much (`sql-ext/src/rules/bare_rows.rs`).

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Statistics, internal_err};
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::CardinalityEffect;
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterDescription, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::statistics::{ChildStats, StatisticsArgs};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
};

/// What is forgotten of the rows of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgets {
    /// Nothing. The node only keeps limits from being planned below it.
    Nothing,
    /// Constant expressions, and equality to what is no column: both end where NULLs take the place of rows.
    Constants,
    /// The order of rows.
    Orders,
    /// Everything: constants, equal columns, orders and keys.
    Everything,
}

impl Forgets {
    /// Forgets what either does.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (one, same) if one == same => one,
            _ => Self::Everything,
        }
    }

    /// True when there is something in `known` to forget.
    fn changes(self, known: &EquivalenceProperties) -> bool {
        let group = known.eq_group();
        let orders = || known.oeq_class().iter().next().is_some();
        let computed = || {
            group
                .iter()
                .any(|class| class.iter().any(|e| !is_column(e)))
        };
        match self {
            Self::Nothing => false,
            Self::Constants => !known.constants().is_empty() || computed(),
            Self::Orders => orders(),
            Self::Everything => !group.is_empty() || orders() || !known.constraints().is_empty(),
        }
    }

    /// What is left of `known`.
    fn of(self, known: &EquivalenceProperties) -> DfResult<EquivalenceProperties> {
        let schema = Arc::clone(known.schema());
        match self {
            Self::Nothing => Ok(known.clone()),
            Self::Everything => Ok(EquivalenceProperties::new(schema)),
            Self::Orders => {
                let mut left = known.clone();
                left.clear_orderings();
                Ok(left)
            }
            Self::Constants => {
                let orders = known.oeq_class().iter().cloned();
                let mut left = EquivalenceProperties::new_with_orderings(schema, orders)
                    .with_constraints(known.constraints().clone());
                for class in known.eq_group().iter() {
                    let mut columns = class.iter().filter(|expr| is_column(expr));
                    let Some(first) = columns.next() else {
                        continue;
                    };
                    for other in columns {
                        left.add_equal_conditions(Arc::clone(first), Arc::clone(other))?;
                    }
                }
                Ok(left)
            }
        }
    }
}

fn is_column(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<Column>().is_some()
}

/// Passes rows on and tells less of them; see the module.
#[derive(Clone, Debug)]
pub struct BareRowsExec {
    input: Arc<dyn ExecutionPlan>,
    forgets: Forgets,
    properties: Arc<PlanProperties>,
}

impl BareRowsExec {
    /// The rows of `input`, without what `forgets` names.
    ///
    /// # Errors
    /// When the properties of the input contradict its schema.
    pub fn try_new(input: Arc<dyn ExecutionPlan>, forgets: Forgets) -> DfResult<Self> {
        let known = input.equivalence_properties();
        let properties = if forgets.changes(known) {
            let left = forgets.of(known)?;
            Arc::new(PlanProperties::clone(input.properties()).with_eq_properties(left))
        } else {
            Arc::clone(input.properties())
        };
        Ok(Self {
            input,
            forgets,
            properties,
        })
    }

    /// Whose rows they are.
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    /// True when the node tells as much as its input does.
    pub fn forgets_nothing(&self) -> bool {
        !self.forgets.changes(self.input.equivalence_properties())
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::try_new(input, self.forgets)?))
    }
}

impl DisplayAs for BareRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forgets = match self.forgets {
            Forgets::Nothing => "",
            Forgets::Constants => "constants",
            Forgets::Orders => "orders",
            Forgets::Everything => "constants, orders",
        };
        write!(f, "BareRowsExec: forgets=[{forgets}]")
    }
}

impl ExecutionPlan for BareRowsExec {
    fn name(&self) -> &'static str {
        "BareRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![!matches!(
            self.forgets,
            Forgets::Orders | Forgets::Everything
        )]
    }

    /// More partitions are of use above or below, not here.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[_; 1]>::try_from(children) else {
            return internal_err!("BareRowsExec has one child");
        };
        self.over(input)
    }

    fn repartitioned(
        &self,
        target_partitions: usize,
        config: &ConfigOptions,
    ) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
        let input = self.input.repartitioned(target_partitions, config)?;
        input.map(|input| self.over(input)).transpose()
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(
        &self,
        inputs: &[Arc<Statistics>],
        _args: &StatisticsArgs,
    ) -> DfResult<Arc<Statistics>> {
        match inputs {
            [input] => Ok(Arc::clone(input)),
            _ => internal_err!("BareRowsExec has one child"),
        }
    }

    fn supports_limit_pushdown(&self) -> bool {
        self.forgets != Forgets::Nothing
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> DfResult<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        child_pushdown_result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(child_pushdown_result))
    }
}
