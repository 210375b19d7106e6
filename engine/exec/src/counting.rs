//! Counts of calls that are made on packed genotypes: the first phase of an aggregation over `calls` or `carriers`.
//!
//! `SELECT sample_id, count(*) FROM carriers GROUP BY sample_id` needs no row of `carriers`: carriers are bits and
//! lists, and adding those up is counting. [`count_on_packed`] takes an aggregation that only counts calls and adds
//! up dosages, and puts a node in its place that gives the same partial states:
//! ```text
//! before   AggregateExec: mode=Final                after   AggregateExec: mode=Final
//!            AggregateExec: mode=Partial                      CallCountExec
//!              CallScanExec
//! ```
//! Groups may be all calls together, samples, dosages, or variants (by any of `contig, pos, end_pos, ref, alt`).
//! Calls may be joined with tables of samples, and grouped and filtered by what these say: see [`beside`].
//! Everything else stays with DataFusion, and so do scans with filters that only finished rows can be judged by.

mod beside;
mod recognise;
mod rows;
mod tally;
mod weights;

use std::fmt;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DfResult;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::filter_pushdown::{
    ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream;
use serde::{Deserialize, Serialize};

use crate::choice::{Choice, Keep, Kept};
use crate::error::{Error, Result};
use crate::metrics::ScanMetrics;
use crate::scan::{DatasetScanExec, table_name};
use crate::table::sql_schema;
use weights::Rows;

pub use recognise::count_on_packed;

/// What calls are grouped by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Groups {
    /// All calls are one group.
    All,
    /// Each sample is a group: column `sample_id`, as often as it is asked for.
    Samples(usize),
    /// Each dosage is a group, and calls without one are: column `dosage`, as often as it is asked for.
    Dosages(usize),
    /// Each variant is a group: these of its columns.
    Variants(Vec<String>),
}

/// What integers are cast to where their average is numeric: the planner's average has four digits more behind the
/// point, and adds up in 128 bits what leaves it room for them and for 10^9 rows.
pub const MEAN_OF_INTEGERS: DataType = DataType::Decimal128(25, MEAN_SCALE);
/// Digits behind its point.
const MEAN_SCALE: i8 = 12;
/// Digits of the sums that it is made of.
const MEAN_SUM_DIGITS: u8 = 38;

/// What is counted in each group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Count {
    /// `count(*)`
    Calls,
    /// `count(dosage)`
    WithDosage,
    /// `sum(dosage)`
    Copies,
    /// `avg(dosage)` in floats
    MeanCopies,
    /// `avg(dosage)` of [`MEAN_OF_INTEGERS`]
    ExactMeanCopies,
    /// `sum(1)`, which is NULL where nothing is counted.
    SumOfOnes,
    /// `min(…)`
    Least(Extreme),
    /// `max(…)`
    Greatest(Extreme),
}

/// What the least or the greatest is asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Extreme {
    /// `dosage`
    Dosage,
    /// `pos`
    Pos,
    /// `end_pos`
    EndPos,
}

impl Extreme {
    const ALL: [Self; 3] = [Self::Dosage, Self::Pos, Self::EndPos];

    fn column(self) -> &'static str {
        match self {
            Self::Dosage => "dosage",
            Self::Pos => "pos",
            Self::EndPos => "end_pos",
        }
    }
}

/// One aggregate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Measure {
    pub(crate) count: Count,
    /// What `FILTER (WHERE …)` leaves of the calls.
    pub(crate) filter: Option<Dosages>,
    /// Which of the filters beside samples leaves them.
    #[serde(default)]
    pub(crate) of_samples: Option<usize>,
    /// A sum to which calls that are left out add 0: it is 0, not NULL, where there are such.
    #[serde(default)]
    pub(crate) or_zero: bool,
}

/// The dosages that a filter leaves, as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dosages {
    null: bool,
    copies: Vec<u8>,
}

impl Dosages {
    pub(crate) fn of(keep: &Keep) -> Self {
        Self {
            null: keep.keeps(None),
            copies: (0..=u8::MAX).filter(|d| keep.keeps(Some(*d))).collect(),
        }
    }

    fn keep(&self) -> Keep {
        let judged = [Some(self.null)]
            .into_iter()
            .chain((0..=u8::MAX).map(|dosage| Some(self.copies.contains(&dosage))));
        Keep::from_judged(&judged.collect::<BooleanArray>())
    }
}

/// Groups, counts and the names of the columns of the partial state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counting {
    pub(crate) groups: Groups,
    /// Columns that come from beside samples, by their places among those that calls are grouped by.
    #[serde(default)]
    pub(crate) keys: Vec<usize>,
    pub(crate) measures: Vec<Measure>,
    pub(crate) names: Vec<String>,
}

impl Count {
    fn state_types(self) -> &'static [(DataType, bool)] {
        match self {
            Self::Calls | Self::WithDosage => &[(DataType::Int64, false)],
            Self::Copies | Self::SumOfOnes => &[(DataType::Int64, true)],
            Self::MeanCopies => &[(DataType::UInt64, true), (DataType::Float64, true)],
            Self::ExactMeanCopies => &[
                (DataType::UInt64, true),
                (DataType::Decimal128(MEAN_SUM_DIGITS, MEAN_SCALE), true),
            ],
            Self::Least(Extreme::Dosage) | Self::Greatest(Extreme::Dosage) => {
                &[(DataType::Int16, true)]
            }
            Self::Least(_) | Self::Greatest(_) => &[(DataType::Int32, true)],
        }
    }

    fn sql(self) -> String {
        match self {
            Self::Calls => "count(*)".to_owned(),
            Self::WithDosage => "count(dosage)".to_owned(),
            Self::Copies => "sum(dosage)".to_owned(),
            Self::MeanCopies | Self::ExactMeanCopies => "avg(dosage)".to_owned(),
            Self::SumOfOnes => "sum(1)".to_owned(),
            Self::Least(of) => format!("min({})", of.column()),
            Self::Greatest(of) => format!("max({})", of.column()),
        }
    }

    /// Positions are asked for.
    fn reads_place(self) -> bool {
        matches!(
            self,
            Self::Least(Extreme::Pos | Extreme::EndPos)
                | Self::Greatest(Extreme::Pos | Extreme::EndPos)
        )
    }

    /// The number of calls tells it, or their positions.
    fn is_of_calls(self) -> bool {
        matches!(self, Self::Calls | Self::SumOfOnes) || self.reads_place()
    }

    /// The counts of carriers and alleles of a site tell it.
    fn is_of_sites(self) -> bool {
        !matches!(
            self,
            Self::Least(Extreme::Dosage) | Self::Greatest(Extreme::Dosage)
        )
    }
}

impl Counting {
    /// The columns of calls that they are grouped by.
    fn group_columns(&self) -> Vec<&str> {
        match &self.groups {
            Groups::All => Vec::new(),
            Groups::Samples(n) => vec!["sample_id"; *n],
            Groups::Dosages(n) => vec!["dosage"; *n],
            Groups::Variants(columns) => columns.iter().map(String::as_str).collect(),
        }
    }

    /// Columns of the partial state: groups, then the state of each aggregate.
    fn schema(&self, table: &Schema, keys: &[FieldRef]) -> Result<SchemaRef> {
        let mut own = Vec::new();
        let mut names = self.names.iter();
        let mut name = || {
            names
                .next()
                .ok_or_else(|| Error::Plan("it counts more than it names".into()))
        };
        for column in self.group_columns() {
            own.push(Arc::new(table.field_with_name(column)?.clone()));
        }
        let mut fields = Vec::new();
        for field in self.in_order(own, keys.to_vec()) {
            fields.push(Field::clone(&field).with_name(name()?));
        }
        for measure in &self.measures {
            for (data_type, nullable) in measure.count.state_types() {
                fields.push(Field::new(name()?, data_type.clone(), *nullable));
            }
        }
        Ok(Arc::new(Schema::new(fields)))
    }

    /// The columns of groups in their order: those of calls, and between them those from beside samples.
    fn in_order<T>(&self, own: Vec<T>, keys: Vec<T>) -> Vec<T> {
        let n = own.len() + keys.len();
        let (mut own, mut keys) = (own.into_iter(), keys.into_iter());
        let column = |place| match self.keys.contains(&place) {
            true => keys.next(),
            false => own.next(),
        };
        (0..n).filter_map(column).collect()
    }

    /// Positions of variants are asked for.
    fn reads_places(&self) -> bool {
        self.measures.iter().any(|m| m.count.reads_place())
    }

    /// True when genotypes or the site's counts are needed, not only the number of samples.
    fn reads_dosage(&self) -> bool {
        let plain = |m: &Measure| m.count.is_of_calls() && m.filter.is_none();
        matches!(self.groups, Groups::Dosages(_)) || !self.measures.iter().all(plain)
    }
}

/// Counts calls of a dataset on packed genotypes; gives the partial states of an aggregation.
#[derive(Clone, Debug)]
pub struct CallCountExec {
    pub(crate) scan: DatasetScanExec,
    pub(crate) choice: Arc<Choice>,
    pub(crate) counting: Arc<Counting>,
    /// What stands beside samples.
    beside: Option<Rows>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CallCountExec {
    pub(crate) fn new(scan: &DatasetScanExec, counting: Counting) -> Result<Self> {
        Self::over(scan, counting, None)
    }

    /// Counts calls with what stands beside their samples.
    fn over(scan: &DatasetScanExec, counting: Counting, beside: Option<Rows>) -> Result<Self> {
        let choice = scan
            .choice()
            .ok_or_else(|| Error::Plan("only calls are counted".into()))?;
        let keys = beside.as_ref().map_or(&[][..], |rows| &rows.keys);
        let schema = counting.schema(&sql_schema(scan.spec.kind, &scan.view), keys)?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(scan.spec.partitions.len().max(1)),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self {
            choice: Arc::clone(choice),
            scan: scan.clone(),
            counting: Arc::new(counting),
            beside,
            properties: Arc::new(properties.with_scheduling_type(SchedulingType::Cooperative)),
            metrics: ExecutionPlanMetricsSet::new(),
        })
    }

    /// The same node, of whose rows this is known.
    fn with_equivalences(mut self, known: EquivalenceProperties) -> DfResult<Self> {
        let known = known.with_new_schema(self.schema())?;
        let properties = PlanProperties::clone(&self.properties).with_eq_properties(known);
        self.properties = Arc::new(properties);
        Ok(self)
    }

    /// The node as plain data, see [`crate::decode_scan`]; `None` for one that stands on other nodes.
    pub(crate) fn to_bytes(&self) -> Result<Option<Vec<u8>>> {
        let alone = self.beside.is_none();
        alone
            .then(|| self.scan.spec.to_bytes_with(Some(&self.counting)))
            .transpose()
    }

    /// How much of the counting the site table answers.
    fn source(&self) -> Source {
        let filtered = self.counting.measures.iter().any(|m| m.filter.is_some());
        let finer = matches!(
            self.counting.groups,
            Groups::Samples(_) | Groups::Dosages(_)
        );
        if self.choice.keep().is_all() && !self.counting.reads_dosage() {
            Source::Samples
        } else if self.choice.keep().is_carriers()
            && self.choice.is_every_sample()
            && !finer
            && !filtered
            && self.counting.measures.iter().all(|m| m.count.is_of_sites())
            && self.beside.is_none()
        {
            Source::Sites
        } else {
            Source::Genotypes
        }
    }
}

/// What a count is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The number of samples of each variant's blocks.
    Samples,
    /// The counts of the site table; genotypes only where calls are missing.
    Sites,
    /// The packed genotypes.
    Genotypes,
}

impl DisplayAs for CallCountExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scan
            .write_spec(f, self.name(), self.source() != Source::Samples)?;
        write!(
            f,
            ", table={}, {}",
            table_name(self.scan.spec.kind),
            self.choice
        )?;
        self.scan.write_variants(f)?;
        let by = self.counting.group_columns().join(", ");
        let counts: Vec<String> = self
            .counting
            .measures
            .iter()
            .map(Measure::to_string)
            .collect();
        write!(f, ", by=[{by}], counts=[{}]", counts.join(", "))?;
        if let Some(rows) = &self.beside {
            let keys: Vec<&str> = rows.keys.iter().map(|key| key.name().as_str()).collect();
            write!(f, ", by samples=[{}]", keys.join(", "))?;
        }
        if !self.scan.dynamic.is_empty() {
            f.write_str(", dynamic filters")?;
        }
        f.write_str(match self.source() {
            Source::Samples => ", counted=samples of blocks",
            Source::Sites => ", counted=counts of sites",
            Source::Genotypes => ", counted=packed genotypes",
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.count.sql())?;
        if self.filter.is_some() {
            f.write_str(" of some dosages")?;
        }
        match self.of_samples {
            None => Ok(()),
            Some(_) => f.write_str(" of some samples"),
        }
    }
}

impl ExecutionPlan for CallCountExec {
    fn name(&self) -> &'static str {
        "CallCountExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.beside.iter().map(|rows| &rows.plan).collect()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.beside
            .iter()
            .map(|_| Distribution::SinglePartition)
            .collect()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        self.scan.apply_expressions(f)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let Some(plan) = children.into_iter().next() else {
            return Ok(self);
        };
        let mut node = Self::clone(&self);
        node.beside = self.beside.as_ref().map(|rows| rows.over(plan));
        Ok(Arc::new(node))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let metrics = ScanMetrics::new(&self.metrics, partition);
        let rows = rows::CountRows::new(self, partition, context, metrics)?;
        let stream = stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    /// Where samples are counted apart, those that no row of a join above can match are left out.
    fn handle_child_pushdown_result(
        &self,
        _phase: FilterPushdownPhase,
        result: ChildPushdownResult,
        _config: &ConfigOptions,
    ) -> DfResult<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        let of_samples = match self.counting.groups {
            Groups::Samples(columns) => columns,
            Groups::All | Groups::Dosages(_) | Groups::Variants(_) => 0,
        };
        let kind = self.scan.spec.kind;
        let masked = self.scan.view.masked(table_name(kind));
        let mut dynamic = self.scan.dynamic.clone();
        let mut taken = false;
        for filter in &result.parent_filters {
            let columns = collect_columns(&filter.filter);
            let of_group = columns.iter().all(|column| column.index() < of_samples);
            taken |= of_group && dynamic.take(&filter.filter, kind, |name| masked.contains(name));
        }
        // A hint only: whoever made the filter judges every row all the same.
        let answer = FilterPushdownPropagation::all_unsupported(result);
        Ok(match taken {
            true => {
                let mut node = self.clone();
                node.scan.dynamic = dynamic;
                answer.with_updated_node(Arc::new(node))
            }
            false => answer,
        })
    }
}

/// What a measure counts among the calls that the scan keeps.
fn kept_by(measure: &Measure, base: &Keep) -> Keep {
    match &measure.filter {
        None => base.clone(),
        Some(filter) => base.and(&filter.keep()),
    }
}

/// The counts of one group, one for each measure.
type GroupCounts = Vec<Kept>;

#[cfg(test)]
mod tests;
