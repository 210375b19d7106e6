//! The tables of a dataset that scans answer: `variants`, `calls` and `carriers`.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::datasource::TableType;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use genokura_core::contig::{Assembly, common_spelling, usual_name};
use genokura_core::schema::{
    ASSEMBLY_KEY, CONTIG_LIKE_KEY, CONTIG_SPELLING_KEY, FieldDef, SYMBOLIC_KEY,
    UNUSUAL_CONTIGS_KEY, calls_schema, list_of, variants_schema,
};
use genokura_storage::{DatasetState, TableSnapshot};

use crate::access::Columns;
use crate::dataset::{BlockView, DatasetView};
use crate::directory::SampleDirectory;
use crate::effects::{EffectsTable, INPUT_COLUMNS};
use crate::error::{Error, Result};
use crate::predicate::Predicate;
use crate::pruning::{SiteFilters, plan};
use crate::scan::{DatasetScanExec, table_name};
use crate::spec::{CallKind, GtOf, ScanKind, ScanSpec};

/// Columns in which all rows of one variant agree.
pub(crate) const KEY_COLUMNS: [&str; 5] = ["contig", "pos", "end_pos", "ref", "alt"];
/// Columns counted over the visible samples, or made of genotypes.
const COUNTED_COLUMNS: [&str; 8] = [
    "ac",
    "an",
    "af",
    "n_het",
    "n_hom_alt",
    "n_missing",
    "gt",
    RECORDS_COLUMN,
];
/// Column of [`ScanKind::Records`]: the records that the rows of a variant stand in. No name of the
/// site table or of an INFO column is like it.
pub(crate) const RECORDS_COLUMN: &str = "record_ids";

/// The filters of a scan by when they can be judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stages {
    /// On the key of a variant: any row of it tells.
    pub(crate) key: Vec<Predicate>,
    /// On single rows: the row that gives the variant its identity tells.
    pub(crate) row: Vec<Predicate>,
    /// On counts, masked columns and everything else: after the access context.
    pub(crate) last: Vec<Predicate>,
}

impl Stages {
    /// Sorts the filters of a scan. Of `calls` only the key columns are the site's.
    pub(crate) fn of(kind: ScanKind, filters: &[Predicate], masked: &BTreeSet<String>) -> Self {
        let of_site = matches!(kind, ScanKind::Variants | ScanKind::Records);
        let row = |column: &str| of_site && !COUNTED_COLUMNS.contains(&column);
        Self::sort(filters, masked, row)
    }

    fn sort(filters: &[Predicate], masked: &BTreeSet<String>, row: impl Fn(&str) -> bool) -> Self {
        let mut stages = Self::default();
        for filter in filters {
            let stage = if filter.only_columns(|c| KEY_COLUMNS.contains(&c) && !masked.contains(c))
            {
                &mut stages.key
            } else if filter.only_columns(|c| row(c) && !masked.contains(c)) {
                &mut stages.row
            } else {
                &mut stages.last
            };
            stage.push(filter.clone());
        }
        stages
    }
}

/// The filters that a scan can apply itself, exactly as DataFusion would.
pub(crate) fn pushdown(filters: &[&Expr], schema: &Schema) -> Vec<TableProviderFilterPushDown> {
    let is_cell = |column: &str| {
        let made_last = |f: &Field| f.data_type() == &DataType::BinaryView;
        column == RECORDS_COLUMN || schema.field_with_name(column).is_ok_and(made_last)
    };
    let answer = |filter: &&Expr| match Predicate::of(filter, schema) {
        // Cells are made last: whether one is NULL is not known below.
        Some(predicate) if predicate.only_columns(|c| !is_cell(c)) => {
            TableProviderFilterPushDown::Exact
        }
        _ => TableProviderFilterPushDown::Unsupported,
    };
    filters.iter().map(answer).collect()
}

/// The names of projected columns.
pub(crate) fn projected(schema: &Schema, projection: Option<&Vec<usize>>) -> Vec<String> {
    let name = |i: usize| schema.fields().get(i).map(|f| f.name().clone());
    match projection {
        Some(places) => places.iter().filter_map(|&i| name(i)).collect(),
        None => schema.fields().iter().map(|f| f.name().clone()).collect(),
    }
}

/// The schema with masked columns nullable: they read as NULL.
pub(crate) fn nullable_where_masked(schema: &SchemaRef, masked: &BTreeSet<String>) -> SchemaRef {
    if masked.is_empty() {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| {
        if masked.contains(field.name()) {
            Arc::new(field.as_ref().clone().with_nullable(true))
        } else {
            Arc::clone(field)
        }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// `variants` and the column [`RECORDS_COLUMN`].
fn records_schema(info: &[FieldDef]) -> SchemaRef {
    let variants = variants_schema(info);
    let mut fields: Vec<_> = variants.fields().iter().cloned().collect();
    let records = Field::new(RECORDS_COLUMN, list_of(DataType::Int64), true);
    fields.push(Arc::new(records));
    Arc::new(Schema::new(fields))
}

/// The schema and what tells the input of a row, which no statement sees.
fn with_inputs(schema: &SchemaRef) -> SchemaRef {
    let types = INPUT_COLUMNS
        .into_iter()
        .zip([DataType::Int64, DataType::Int32]);
    let inputs = types.map(|(name, data_type)| Arc::new(Field::new(name, data_type, false)));
    let fields: Vec<_> = schema.fields().iter().cloned().chain(inputs).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The columns of a table of a dataset as a session sees them.
pub(crate) fn sql_schema(kind: ScanKind, view: &DatasetView) -> SchemaRef {
    let full = match kind {
        ScanKind::Variants => variants_schema(&view.data.state.info),
        ScanKind::Records => records_schema(&view.data.state.info),
        ScanKind::Calls(_) => calls_schema(&view.data.state.format),
    };
    let readable = only_readable(&full, view, table_name(kind));
    let readable = match kind {
        ScanKind::Records => with_inputs(&readable),
        ScanKind::Variants | ScanKind::Calls(_) => readable,
    };
    let contigs = view.data.state.contigs.iter().map(|c| c.name.as_str());
    let masked = view.masked(table_name(kind));
    let spelling = common_spelling(contigs).filter(|_| !masked.contains("contig"));
    let spelled = with_spelling(&readable, |column| spelling.filter(|_| column == "contig"));
    let unusual = unusual_contigs(&view.data.state);
    let told = with_unusual(&spelled, |column| {
        let told = column == "contig" && !masked.contains(column);
        told.then_some(unusual.as_str())
    });
    let told = with_assembly(&told, assembly_of(&view.data.state));
    let site = view.data.site.as_ref();
    let symbolic = view.sees_all
        && !masked.contains("alt")
        && site.is_some_and(|site| site.has_symbolic_alleles());
    let told = with_symbolic(&told, symbolic.then_some(view.data.name.as_str()));
    nullable_where_masked(&told, &masked)
}

/// The schema whose column `alt` tells that the table of this name holds symbolic alleles.
pub(crate) fn with_symbolic(schema: &SchemaRef, table: Option<&str>) -> SchemaRef {
    with_told(schema, SYMBOLIC_KEY, |column| {
        table.filter(|_| column == "alt")
    })
}

/// The assembly of a dataset: the one given at ingest or said by the header, else the one whose lengths the contigs have.
fn assembly_of(state: &DatasetState) -> Option<Assembly> {
    let named = state.assembly.as_deref().and_then(Assembly::from_name);
    let lengths = state.contigs.iter().map(|c| (c.name.as_str(), c.length));
    named.or_else(|| Assembly::detect(lengths))
}

/// The schema whose column `contig` tells the assembly that it is on, as those of plain tables do.
fn with_assembly(schema: &SchemaRef, assembly: Option<Assembly>) -> SchemaRef {
    with_told(schema, ASSEMBLY_KEY, |column| {
        assembly
            .filter(|_| column == "contig")
            .map(Assembly::as_str)
    })
}

/// The schema with what is known of how its columns spell contigs, which comparisons are checked by.
pub(crate) fn with_spelling<'a>(
    schema: &SchemaRef,
    spelling: impl Fn(&str) -> Option<&'a str>,
) -> SchemaRef {
    with_told(schema, CONTIG_SPELLING_KEY, spelling)
}

/// The contigs of a dataset under names that other tables do not use for a human contig (`chrMT`), one a line. A contig
/// that stands beside one of the usual name is another.
fn unusual_contigs(state: &DatasetState) -> String {
    let names: BTreeSet<&str> = state.contigs.iter().map(|c| c.name.as_str()).collect();
    let is_unusual =
        |name: &&&str| usual_name(name).is_some_and(|usual| !names.contains(usual.as_str()));
    let unusual: Vec<&str> = names.iter().filter(is_unusual).copied().collect();
    unusual.join("\n")
}

/// The schema whose columns of contigs tell these unusual names, one a line, and no others.
pub(crate) fn with_unusual<'a>(
    schema: &SchemaRef,
    names: impl Fn(&str) -> Option<&'a str>,
) -> SchemaRef {
    with_told(schema, UNUSUAL_CONTIGS_KEY, names)
}

/// The schema with how columns spell contigs that are not called as contigs are.
pub(crate) fn with_contig_like<'a>(
    schema: &SchemaRef,
    spelling: impl Fn(&str) -> Option<&'a str>,
) -> SchemaRef {
    with_told(schema, CONTIG_LIKE_KEY, spelling)
}

/// The schema with what is known of columns in their metadata under a key, and nothing else there.
fn with_told<'a>(
    schema: &SchemaRef,
    key: &str,
    told: impl Fn(&str) -> Option<&'a str>,
) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let told = told(field.name());
        if told.is_none() && !field.metadata().contains_key(key) {
            return Arc::clone(field);
        }
        let mut metadata = field.metadata().clone();
        metadata.remove(key);
        if let Some(told) = told {
            metadata.insert(key.to_owned(), told.to_owned());
        }
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    let fields: Vec<_> = fields.collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The schema without the columns that the session may not read. Whatever scans, filters or functions want of a table
/// they find by its schema, so such a column is as absent as one that was never there.
pub(crate) fn only_readable(schema: &SchemaRef, view: &DatasetView, table: &str) -> SchemaRef {
    match view.access.columns(&view.data.name, table) {
        Some(Columns::All) => Arc::clone(schema),
        Some(only) => without(schema, |name| !only.contains(name)),
        None => Arc::new(Schema::empty()),
    }
}

/// A schema without some columns; what it says of itself is kept.
pub(crate) fn without(schema: &SchemaRef, hidden: impl Fn(&str) -> bool) -> SchemaRef {
    let fields = schema.fields().iter().filter(|field| !hidden(field.name()));
    let fields: Vec<_> = fields.cloned().collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The table `variants`, `calls` or `carriers` of a dataset.
#[derive(Debug)]
pub(crate) struct DatasetTable {
    view: Arc<DatasetView>,
    kind: ScanKind,
    schema: SchemaRef,
}

impl DatasetTable {
    pub(crate) fn new(view: Arc<DatasetView>, kind: ScanKind) -> Self {
        let schema = sql_schema(kind, &view);
        Self { view, kind, schema }
    }

    /// A filter that was taken, as a predicate.
    fn predicate(&self, filter: &Expr) -> Result<Predicate> {
        Predicate::of(filter, &self.schema)
            .or_else(|| self.of_samples(filter))
            .ok_or_else(|| Error::Internal(format!("filter {filter} was never taken")))
    }

    /// Any condition on the sample of a call, judged by the names that the session sees: there are few of them.
    fn of_samples(&self, filter: &Expr) -> Option<Predicate> {
        const COLUMN: &str = "sample_id";
        let masked = self.view.masked(table_name(self.kind)).contains(COLUMN);
        let readable = self.schema.index_of(COLUMN).is_ok() && !masked;
        (matches!(self.kind, ScanKind::Calls(_)) && readable)
            .then(|| Predicate::judged(filter, COLUMN, self.view.directory.names()))?
    }

    /// The table without some of its columns.
    pub(crate) fn without(mut self, columns: &[&str]) -> Self {
        let fields = self.schema.fields().iter();
        let kept = fields.filter(|field| !columns.contains(&field.name().as_str()));
        let kept: Vec<_> = kept.cloned().collect();
        self.schema = Arc::new(Schema::new_with_metadata(
            kept,
            self.schema.metadata().clone(),
        ));
        self
    }

    async fn spec(
        &self,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
        partitions: usize,
    ) -> Result<ScanSpec> {
        let filters = filters.iter().map(|filter| self.predicate(filter));
        let filters = filters.collect::<Result<Vec<_>>>()?;
        let masked = self.view.masked(table_name(self.kind));
        let stages = Stages::of(self.kind, &filters, &masked);
        let judged = SiteFilters {
            key: &stages.key,
            row: &stages.row,
        };
        let work = plan(&self.view.data, &judged, partitions).await?;
        Ok(ScanSpec {
            version: self.view.data.snapshot.version,
            dataset: self.view.data.name.clone(),
            kind: self.kind,
            access: self.view.access.clone(),
            columns: projected(&self.schema, projection),
            gt: GtOf::All,
            filters,
            variants: None,
            limit,
            backward: false,
            partitions: work.partitions,
            pruned: work.report,
        })
    }
}

/// What is known of a dataset beside its rows.
#[derive(Clone, Debug)]
pub struct DatasetInfo {
    /// The assembly, where it is known.
    pub assembly: Option<Assembly>,
    /// Contig names in the order of the rows.
    pub contigs: Vec<String>,
    /// The length of each of them, where a header told it.
    pub contig_lengths: Vec<Option<u64>>,
    /// The samples that the session sees, when it is told their names; what the cells of `gt` refer to. Keep it while cells are read.
    pub directory: Arc<SampleDirectory>,
}

/// The dataset behind a table `variants`, `calls`, `carriers` or `variant_effects`; `None` for any other table.
pub fn dataset_info(table: &dyn TableProvider) -> Option<DatasetInfo> {
    let table: &dyn Any = table;
    let of_effects = || table.downcast_ref::<EffectsTable>().map(EffectsTable::view);
    let view = match table.downcast_ref::<DatasetTable>() {
        Some(table) => &table.view,
        None => of_effects()?,
    };
    let state = &view.data.state;
    Some(DatasetInfo {
        assembly: assembly_of(state),
        contigs: state.contigs.iter().map(|c| c.name.clone()).collect(),
        contig_lengths: state.contigs.iter().map(|c| c.length).collect(),
        directory: view.told_directory(),
    })
}

/// Whether a table has a row for each call: `calls` or `carriers`.
pub fn is_of_calls(table: &dyn TableProvider) -> bool {
    let table: &dyn Any = table;
    let table = table.downcast_ref::<DatasetTable>();
    table.is_some_and(|table| matches!(table.kind, ScanKind::Calls(_)))
}

#[async_trait]
impl TableProvider for DatasetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> DfResult<Vec<TableProviderFilterPushDown>> {
        let mut answers = pushdown(filters, &self.schema);
        for (answer, filter) in answers.iter_mut().zip(filters) {
            if *answer == TableProviderFilterPushDown::Unsupported
                && self.of_samples(filter).is_some()
            {
                *answer = TableProviderFilterPushDown::Exact;
            }
        }
        Ok(answers)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let partitions = state.config().target_partitions();
        let spec = self.spec(projection, filters, limit, partitions).await?;
        let view = Arc::clone(&self.view);
        Ok(Arc::new(DatasetScanExec::new(spec, view)?))
    }

    /// About how many rows there are and how large their files, for those who may see all samples.
    fn statistics(&self) -> Option<Statistics> {
        if !self.view.blocks.iter().all(BlockView::sees_all) {
            return None;
        }
        let data = &self.view.data;
        let sites = data.site.as_ref().map_or(0, |site| site.rows());
        let rows = match self.kind {
            ScanKind::Variants | ScanKind::Records => sites,
            ScanKind::Calls(CallKind::Calls) => self.view.called(sites),
            ScanKind::Calls(CallKind::Carriers) => self.view.carrying(),
        };
        // Each file belongs to one table: `carriers` and `variant_effects` are made of those of others.
        let bytes = |table: &Option<Arc<TableSnapshot>>| table.as_ref().map_or(0, |t| t.bytes());
        let bytes = match self.kind {
            ScanKind::Variants | ScanKind::Records => bytes(&data.site),
            ScanKind::Calls(CallKind::Calls) => bytes(&data.genotype) + bytes(&data.format),
            ScanKind::Calls(CallKind::Carriers) => 0,
        };
        Some(Statistics {
            num_rows: Precision::Inexact(usize::try_from(rows).unwrap_or(usize::MAX)),
            total_byte_size: self.view.told_bytes(table_name(self.kind), bytes),
            ..Statistics::new_unknown(&self.schema)
        })
    }
}
