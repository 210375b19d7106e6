//! Which joins are of calls with their own variants.

use std::sync::Arc;

use datafusion::common::{JoinType, NullEquality};
use datafusion::error::Result as DfResult;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::{JOIN_KEY, name_beside};
use crate::predicate::Predicate;
use crate::scan::{DatasetScanExec, table_name};
use crate::spec::{GtOf, ScanKind, ScanSpec, VariantSide};
use crate::table::RECORDS_COLUMN;
use crate::variants::VariantRows;

/// The plan that makes what `join` gives where site rows are read; `None` for a join of anything else than `calls` or
/// `carriers` with the `variants` of the same dataset on contig, pos, ref and alt.
///
/// # Errors
/// When DataFusion refuses the projection that puts columns in the order of the join.
pub fn join_on_sites(join: &HashJoinExec) -> DfResult<Option<Arc<dyn ExecutionPlan>>> {
    let Some(sides) = Sides::of(join) else {
        return Ok(None);
    };
    let Some(output) = sides.output(join) else {
        return Ok(None);
    };
    let (mut calls, mut variants): (Vec<String>, Vec<String>) = Default::default();
    for (side, name) in &output {
        let columns = match side {
            Side::Calls => &mut calls,
            Side::Variants => &mut variants,
        };
        if !columns.contains(name) {
            columns.push(name.clone());
        }
    }
    let spec = sides.spec(calls, variants, *join.join_type() != JoinType::Inner);
    let scan: Arc<dyn ExecutionPlan> = Arc::new(DatasetScanExec::new(
        spec,
        Arc::clone(&sides.calls.scan.view),
    )?);
    let given = scan.schema();
    let wanted = join.schema();
    let mut exprs = Vec::with_capacity(output.len());
    for ((side, name), field) in output.iter().zip(wanted.fields()) {
        let name = match side {
            Side::Calls => name.clone(),
            Side::Variants => name_beside(name),
        };
        let column = Column::new_with_schema(&name, &given)?;
        exprs.push(ProjectionExpr {
            expr: Arc::new(column) as Arc<dyn PhysicalExpr>,
            alias: field.name().clone(),
        });
    }
    let as_they_are = exprs.len() == given.fields().len()
        && (given.fields().iter().zip(&exprs))
            .enumerate()
            .all(|(at, (field, expr))| {
                let column = expr.expr.downcast_ref::<Column>();
                *field.name() == expr.alias && column.is_some_and(|column| column.index() == at)
            });
    if as_they_are {
        return Ok(Some(scan));
    }
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs, scan)?)))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Calls,
    Variants,
}

/// A scan whose rows a side of a join has as they are, and the columns that it has of them.
struct Given<'a> {
    scan: &'a DatasetScanExec,
    columns: Vec<String>,
}

impl<'a> Given<'a> {
    fn of(plan: &'a Arc<dyn ExecutionPlan>) -> Option<Self> {
        if let Some(scan) = plan.downcast_ref::<DatasetScanExec>() {
            let columns = scan.spec.columns.clone();
            return Some(Self { scan, columns });
        }
        let projection = plan.downcast_ref::<ProjectionExec>()?;
        let below = Self::of(projection.input())?;
        let column = |expr: &ProjectionExpr| below.column(&expr.expr);
        let columns = projection
            .expr()
            .iter()
            .map(column)
            .collect::<Option<_>>()?;
        Some(Self {
            scan: below.scan,
            columns,
        })
    }

    /// The column of the scan that an expression over these columns is.
    fn column(&self, expr: &Arc<dyn PhysicalExpr>) -> Option<String> {
        let column = expr.downcast_ref::<Column>()?;
        self.columns.get(column.index()).cloned()
    }
}

/// The two scans of a join.
struct Sides<'a> {
    calls: Given<'a>,
    variants: Given<'a>,
    /// The calls are the left side.
    calls_left: bool,
}

impl<'a> Sides<'a> {
    fn of(join: &'a HashJoinExec) -> Option<Self> {
        let (left, right) = (Given::of(join.left())?, Given::of(join.right())?);
        let calls_left = matches!(left.scan.spec.kind, ScanKind::Calls(_));
        let (calls, variants) = match calls_left {
            true => (left, right),
            false => (right, left),
        };
        let sides = Self {
            calls,
            variants,
            calls_left,
        };
        let is_ours = matches!(sides.calls.scan.spec.kind, ScanKind::Calls(_))
            && sides.variants.scan.spec.kind == ScanKind::Variants
            && join.filter().is_none()
            && join.fetch().is_none()
            && join.null_equality() == NullEquality::NullEqualsNothing
            && match join.join_type() {
                JoinType::Inner => true,
                JoinType::LeftSemi => calls_left,
                JoinType::RightSemi => !calls_left,
                _ => false,
            };
        (is_ours && sides.are_of_one_dataset() && sides.is_on_key(join) && sides.may_be_joined())
            .then_some(sides)
    }

    fn left_and_right(&self) -> (&Given<'a>, &Given<'a>) {
        match self.calls_left {
            true => (&self.calls, &self.variants),
            false => (&self.variants, &self.calls),
        }
    }

    fn are_of_one_dataset(&self) -> bool {
        let (calls, variants) = (self.calls.scan, self.variants.scan);
        let (a, b) = (&calls.spec, &variants.spec);
        Arc::ptr_eq(&calls.view.data, &variants.view.data)
            && (&a.version, &a.dataset, &a.access) == (&b.version, &b.dataset, &b.access)
    }

    /// On the columns of the key, each with itself, and on nothing else.
    fn is_on_key(&self, join: &HashJoinExec) -> bool {
        let (of_left, of_right) = self.left_and_right();
        let mut named = Vec::new();
        for (left, right) in join.on() {
            let left = of_left.column(left);
            if left.is_none() || left != of_right.column(right) {
                return false;
            }
            named.extend(left);
        }
        named.sort_unstable();
        let mut key = JOIN_KEY.map(str::to_owned);
        key.sort_unstable();
        named == key
    }

    /// Nothing is asked of either side that is not known of site rows, nor hidden from one of them.
    fn may_be_joined(&self) -> bool {
        let (calls, variants) = (&self.calls.scan.spec, &self.variants.scan.spec);
        let view = &self.variants.scan.view;
        let plain = |scan: &DatasetScanExec| {
            scan.spec.limit.is_none() && scan.spec.gt == GtOf::All && scan.dynamic.is_empty()
        };
        let of_genotypes = ["gt", RECORDS_COLUMN];
        let masked = [calls, variants].map(|spec| view.masked(table_name(spec.kind)));
        let hidden = masked
            .iter()
            .any(|m| JOIN_KEY.iter().any(|key| m.contains(*key)));
        plain(self.calls.scan)
            && plain(self.variants.scan)
            && calls.variants.is_none()
            && !hidden
            && !variants.columns.iter().any(|c| of_genotypes.contains(&c.as_str()))
            && !VariantRows::recounts(variants, view)
            // Rows that are one allele may end elsewhere.
            && !calls.filters.iter().any(|f| names(f, "end_pos"))
    }

    /// The columns that the join gives, in its order.
    fn output(&self, join: &HashJoinExec) -> Option<Vec<(Side, String)>> {
        let own = |given: &Given<'_>| -> Vec<(Side, String)> {
            let side = match given.scan.spec.kind {
                ScanKind::Calls(_) => Side::Calls,
                _ => Side::Variants,
            };
            let names = given.columns.iter().map(|name| (side, name.clone()));
            names.collect()
        };
        let (left, right) = self.left_and_right();
        let mut all = match join.join_type() {
            JoinType::LeftSemi => own(left),
            JoinType::RightSemi => own(right),
            _ => [own(left), own(right)].concat(),
        };
        // The key is the same on both sides.
        let (calls, variants) = (self.calls.scan.schema(), self.variants.scan.schema());
        for (side, name) in &mut all {
            let own = calls.field_with_name(name);
            let same = match (own, variants.field_with_name(name)) {
                (Ok(own), Ok(other)) => {
                    own.data_type() == other.data_type() && own.is_nullable() == other.is_nullable()
                }
                _ => false,
            };
            if same && JOIN_KEY.contains(&name.as_str()) {
                *side = Side::Calls;
            }
        }
        match &join.projection {
            None => Some(all),
            Some(places) => places.iter().map(|&at| all.get(at).cloned()).collect(),
        }
    }

    fn spec(&self, calls: Vec<String>, variants: Vec<String>, once: bool) -> ScanSpec {
        let mut spec = ScanSpec::clone(&self.calls.scan.spec);
        let of_key = |filter: &Predicate| filter.only_columns(|c| JOIN_KEY.contains(&c));
        let filters = self.variants.scan.spec.filters.iter().cloned();
        let (shared, filters): (Vec<_>, Vec<_>) = filters.partition(of_key);
        // Both sides agree in the key: what one side asks of it holds for the other.
        for filter in shared {
            if !spec.filters.contains(&filter) {
                spec.filters.push(filter);
            }
        }
        spec.backward = false;
        spec.columns = calls;
        spec.variants = Some(VariantSide {
            columns: variants,
            filters,
            once,
        });
        spec
    }
}

fn names(filter: &Predicate, column: &str) -> bool {
    let mut found = false;
    filter.for_each_column(&mut |name| found |= name == column);
    found
}
