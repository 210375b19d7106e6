//! `variant_effects`: the annotations of a dataset's variants, one row per ALT and annotated feature.
//!
//! ```text
//! variants   chr1 100 A G    info_csq {G|missense_variant|…, G|intron_variant|…}
//!                              │ EffectsExec: entries apart, those of this ALT, subfields by the header's Format
//! effects    chr1 100 A G    CSQ 1 missense_variant …
//!            chr1 100 A G    CSQ 2 intron_variant   …
//! ```
//! It reads `variants` as the session sees it: filters on the key of a variant go there, a session that may not read an
//! annotation there has no rows of it here. Inputs may have different Formats: each row is read by that of its own input,
//! and the table has the columns of all ([`Annotation`]). An annotation without a Format in any header line has no rows here:
//! asked for by its name it is refused, and so is the table when there is no other or an input has a Format. It is told when
//! it is read: nobody knows what its subfields are.

mod rows;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, ident};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties as _, PlanProperties,
};
use futures::stream;
use genokura_core::annotation::{AnnotationFormat, Subfield, SubfieldType, is_annotation};
use genokura_core::schema::{COMMENT_KEY, FieldDef, Number, list_of};
use genokura_storage::DatasetState;

use crate::dataset::DatasetView;
use crate::error::{Error, Result};
use crate::plain::header_batches;
use crate::spec::ScanKind;
use crate::table::{DatasetTable, KEY_COLUMNS, nullable_where_masked, only_readable, projected};
use crate::visible_rows::{Sight, VisibleExec};
use rows::{EffectRows, Origin};

/// The name of the table.
pub(crate) const EFFECTS: &str = "variant_effects";

/// Whether a dataset has annotations.
pub(crate) fn has_annotations(state: &DatasetState) -> bool {
    state.info.iter().any(|field| is_annotation(&field.key))
}

/// One annotation of a dataset.
#[derive(Clone, Debug)]
pub(crate) struct Annotation {
    pub(crate) key: String,
    /// The column of `variants`.
    pub(crate) column: String,
    /// The Formats of its inputs, in their order, each once.
    pub(crate) formats: Vec<KnownFormat>,
    /// Which of them an input has, by batch and number.
    pub(crate) inputs: HashMap<(i32, i32), usize>,
    /// Every subfield of a Format by its column; of one whose type differs the text is kept.
    pub(crate) subfields: Vec<Subfield>,
    /// A row holds the entry of its own ALT and no others (Number=A).
    pub(crate) per_alt: bool,
}

/// A Format, and where in its entries the subfields of the annotation stand.
#[derive(Clone, Debug)]
pub(crate) struct KnownFormat {
    pub(crate) format: AnnotationFormat,
    pub(crate) places: Vec<Option<usize>>,
}

impl Annotation {
    /// Whether the input of a row must be known.
    fn differs(&self) -> bool {
        self.formats.len() > 1
    }

    /// The annotation of a field with these Formats.
    fn of(field: &FieldDef, found: Formats) -> Self {
        let mut subfields: Vec<Subfield> = Vec::new();
        for subfield in found.formats.iter().flat_map(|format| &format.subfields) {
            match subfields.iter_mut().find(|s| s.column == subfield.column) {
                None => subfields.push(subfield.clone()),
                Some(known) if known.ty == subfield.ty => {}
                Some(known) => known.ty = SubfieldType::Text,
            }
        }
        let known = |format: AnnotationFormat| {
            let place = |wanted: &Subfield| {
                let mut own = format.subfields.iter();
                own.position(|own| own.column == wanted.column)
            };
            let places = subfields.iter().map(place).collect();
            KnownFormat { format, places }
        };
        Self {
            key: field.key.clone(),
            column: field.column.clone(),
            formats: found.formats.into_iter().map(known).collect(),
            inputs: found.inputs,
            subfields,
            per_alt: field.number == Number::A,
        }
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct EffectsTable {
    view: Arc<DatasetView>,
    variants: DatasetTable,
    annotations: Vec<Annotation>,
    /// Why the table cannot be read.
    refused: Option<String>,
    /// Annotations without rows here, and why.
    nameless: Vec<(String, String)>,
    /// Every column.
    full: SchemaRef,
    /// Those that the session may read.
    schema: SchemaRef,
    masked: BTreeSet<String>,
}

impl EffectsTable {
    /// The dataset as the session sees it.
    pub(crate) fn view(&self) -> &Arc<DatasetView> {
        &self.view
    }

    /// The table of a dataset, by the headers of its inputs.
    pub(crate) async fn new(view: Arc<DatasetView>) -> Result<Self> {
        let mut annotations = Vec::new();
        let (mut refused, mut nameless) = (None, Vec::new());
        let headers = header_lines(&view).await?;
        for field in view
            .data
            .state
            .info
            .iter()
            .filter(|f| is_annotation(&f.key))
        {
            match formats_of(&view.data.name, field, &headers) {
                Ok(found) => annotations.push(Annotation::of(field, found)),
                Err(Refused { why, whole: true }) => {
                    nameless.push((field.key.clone(), why));
                }
                Err(Refused { why, .. }) => refused = refused.or(Some(why)),
            }
        }
        if let (true, Some((_, why))) = (annotations.is_empty(), nameless.first()) {
            refused = refused.or_else(|| Some(why.clone()));
        }
        let kind = match annotations.iter().any(Annotation::differs) {
            true => ScanKind::Records,
            false => ScanKind::Variants,
        };
        let variants = DatasetTable::new(Arc::clone(&view), kind);
        let full = effects_schema(&annotations, &variants.schema());
        let masked: BTreeSet<String> = view
            .access
            .masked(&view.data.name, EFFECTS)
            .map(str::to_owned)
            .collect();
        let schema = nullable_where_masked(&only_readable(&full, &view, EFFECTS), &masked);
        Ok(Self {
            view,
            variants,
            annotations,
            refused,
            nameless,
            full,
            schema,
            masked,
        })
    }

    /// The columns of `variants` that are read; an error when the session may not read one of them.
    fn read(&self, annotations: &[&Annotation]) -> Result<Vec<usize>> {
        let names = rows::RECORD_COLUMNS.iter().copied();
        let differ = annotations.iter().any(|annotation| annotation.differs());
        let inputs = INPUT_COLUMNS.into_iter().filter(|_| differ);
        let columns = annotations.iter().map(|a| a.column.as_str()).chain(inputs);
        let schema = self.variants.schema();
        let place = |name: &str| {
            schema.index_of(name).map_err(|_| {
                let table = &self.view.data.name;
                Error::Plan(format!("{table}.{EFFECTS} needs the columns contig, pos, end_pos, ref, alt, alt_index, \
                     vcf_pos, vcf_ref and vcf_alts of {table}.variants"))
            })
        };
        names.chain(columns).map(place).collect()
    }

    /// Why an annotation cannot be read that a filter asks for by its name.
    fn nameless(&self, filter: &Expr) -> Option<&str> {
        let mut nameless = self.nameless.iter();
        let found = nameless.find(|(key, _)| asks_for(filter, key));
        found.map(|(_, why)| why.as_str())
    }

    /// The filters that only speak of the key of a variant, which `variants` judges.
    fn is_of_key(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        let is_key = |name: &str| KEY_COLUMNS.contains(&name) && !self.masked.contains(name);
        !columns.is_empty() && columns.iter().all(|column| is_key(&column.name))
    }
}

/// Whether a condition names an annotation that rows may be of: a list of a few is a chain of `OR`.
fn asks_for(condition: &Expr, key: &str) -> bool {
    let names = |expr: &Expr| match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten() == Some(key),
        _ => false,
    };
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == ANNOTATION);
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::Eq => (is_column(left) && names(right)) || (is_column(right) && names(left)),
            Operator::And | Operator::Or => asks_for(left, key) || asks_for(right, key),
            _ => false,
        },
        Expr::InList(list) if !list.negated => is_column(&list.expr) && list.list.iter().any(names),
        _ => false,
    }
}

/// Columns that tell the input of a row.
pub(crate) const INPUT_COLUMNS: [&str; 2] = ["record", "source"];

/// Lines `INFO` of annotations: batch, input, line, key, text.
struct HeaderLine {
    batch: i32,
    source: i32,
    line: i32,
    key: String,
    text: String,
}

async fn header_lines(view: &DatasetView) -> Result<Vec<HeaderLine>> {
    let mut lines = Vec::new();
    for batch in header_batches(view).await? {
        let text = |name: &str| {
            batch
                .column_by_name(name)
                .map(|c| c.as_string::<i32>().clone())
        };
        let number = |name: &str| {
            batch
                .column_by_name(name)
                .map(|c| c.as_primitive::<Int32Type>().clone())
        };
        let (Some(keys), Some(ids), Some(texts)) = (text("key"), text("id"), text("text")) else {
            return Err(Error::damaged("headers", "a column is absent".to_owned()));
        };
        let (Some(batches), Some(sources), Some(numbers)) =
            (number("batch"), number("source"), number("line"))
        else {
            return Err(Error::damaged("headers", "a column is absent".to_owned()));
        };
        for (row, id) in ids.iter().enumerate() {
            let Some(id) = id.filter(|id| is_annotation(id) && keys.value(row) == "INFO") else {
                continue;
            };
            lines.push(HeaderLine {
                batch: batches.value(row),
                source: sources.value(row),
                line: numbers.value(row),
                key: id.to_owned(),
                text: texts.value(row).to_owned(),
            });
        }
    }
    lines.sort_by_key(|line| (line.batch, line.source, line.line));
    Ok(lines)
}

/// The Formats of an annotation, each once, and which of them an input has.
struct Formats {
    formats: Vec<AnnotationFormat>,
    inputs: HashMap<(i32, i32), usize>,
}

/// Why an annotation cannot be taken apart.
struct Refused {
    why: String,
    /// No input has a Format, so that no row of the annotation can be told.
    whole: bool,
}

/// The Formats of an annotation; why there are none when an input has none.
fn formats_of(dataset: &str, field: &FieldDef, headers: &[HeaderLine]) -> Result<Formats, Refused> {
    let key = &field.key;
    let (mut formats, mut inputs) = (Vec::new(), HashMap::new());
    let has_format = |line: &HeaderLine| {
        line.key == *key && AnnotationFormat::parse(key, description(&line.text)).is_some()
    };
    let whole = !headers.iter().any(has_format);
    let refused = |why: String| Refused { why, whole };
    for line in headers.iter().filter(|line| line.key == *key) {
        // A key that is declared twice counts once, as everywhere.
        if inputs.contains_key(&(line.batch, line.source)) {
            continue;
        }
        let Some(format) = AnnotationFormat::parse(key, description(&line.text)) else {
            return Err(refused(format!(
                "INFO {key} of dataset \"{dataset}\" has no Format in its header (input {} of batch {}, line {}): its \
                 subfields have no names",
                line.source + 1,
                line.batch,
                line.line
            )));
        };
        let known = formats.iter().position(|known| *known == format);
        let place = known.unwrap_or(formats.len());
        if known.is_none() {
            formats.push(format);
        }
        inputs.insert((line.batch, line.source), place);
    }
    match formats.is_empty() {
        true => Err(refused(format!(
            "INFO {key} of dataset \"{dataset}\" is declared in no header: its subfields have no names"
        ))),
        false => Ok(Formats { formats, inputs }),
    }
}

/// What stands behind `Description=` in a header line, to its end.
fn description(line: &str) -> &str {
    line.split_once("Description=").map_or("", |(_, rest)| rest)
}

/// The column that names the annotation of a row.
const ANNOTATION: &str = "annotation";

/// The columns of every annotation beside the subfields.
const FIXED: [(&str, &str); 13] = [
    (
        ANNOTATION,
        "INFO key of the annotation: CSQ, ANN, BCSQ or vep",
    ),
    ("entry", "Place of the entry in the annotation, from 1"),
    (
        "of_alt",
        "The entry is known to speak of this ALT; NULL: it may speak of any ALT of the record",
    ),
    ("consequences", "Sequence Ontology terms"),
    ("worst", "The worst of them in Ensembl's order"),
    (
        "severity",
        "Place of the worst in Ensembl's order, 1 is the worst",
    ),
    (
        "impact",
        "HIGH, MODERATE, LOW or MODIFIER: as annotated, else by the worst term",
    ),
    ("gene", "Name of the gene"),
    ("gene_id", "Accession of the gene"),
    (
        "transcript",
        "Accession of the transcript; NULL for other features",
    ),
    ("biotype", "Biotype of the transcript"),
    ("hgvs_c", "Change of the transcript in HGVS"),
    ("hgvs_p", "Change of the protein in HGVS"),
];

fn fixed_type(name: &str) -> DataType {
    match name {
        "entry" | "severity" => DataType::Int32,
        "of_alt" => DataType::Boolean,
        "consequences" => list_of(DataType::Utf8),
        _ => DataType::Utf8,
    }
}

fn subfield_type(ty: SubfieldType) -> DataType {
    match ty {
        SubfieldType::Text => DataType::Utf8,
        SubfieldType::Texts => list_of(DataType::Utf8),
        SubfieldType::Integer => DataType::Int32,
        SubfieldType::Frequency => DataType::Float64,
        SubfieldType::Numbers => list_of(DataType::Float64),
        SubfieldType::Flag => DataType::Boolean,
    }
}

/// The key of the variant, what every annotation tells, and the subfields of each.
fn effects_schema(annotations: &[Annotation], variants: &SchemaRef) -> SchemaRef {
    let commented = |name: &str, data_type: DataType, comment: &str| {
        let metadata = [(COMMENT_KEY.to_owned(), comment.to_owned())].into();
        Field::new(name, data_type, true).with_metadata(metadata)
    };
    let key = KEY_COLUMNS.iter().filter_map(|name| {
        let field = variants.field_with_name(name).ok()?;
        Some(field.clone().with_nullable(true))
    });
    let mut fields: Vec<Field> = key.collect();
    let fixed = FIXED.iter();
    fields.extend(fixed.map(|(name, comment)| commented(name, fixed_type(name), comment)));
    for annotation in annotations {
        let key = &annotation.key;
        fields.extend(annotation.subfields.iter().map(|subfield| {
            let comment = format!("{key} {}", subfield.name);
            commented(&subfield.column, subfield_type(subfield.ty), &comment)
        }));
    }
    fields.push(commented(
        "entry_text",
        DataType::Utf8,
        "The entry as it stands in the file",
    ));
    Arc::new(Schema::new(fields))
}

#[async_trait]
impl TableProvider for EffectsTable {
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
        let answers = self.variants.supports_filters_pushdown(filters)?;
        let answers = answers.into_iter().zip(filters);
        let answer = |(answer, filter): (_, &&Expr)| match self.is_of_key(filter) {
            true => answer,
            // It reaches the scan, which refuses it.
            false if self.nameless(filter).is_some() => TableProviderFilterPushDown::Inexact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(answers.map(answer).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let asked = filters.iter().find_map(|filter| self.nameless(filter));
        if let Some(why) = self.refused.as_deref().or(asked) {
            return Err(Error::Annotation(why.to_owned()).into());
        }
        let names = projected(&self.schema, projection);
        let wanted: Vec<&Annotation> = self.annotations.iter().collect();
        let places = self.read(&wanted)?;
        // Variants without any annotation need not be read.
        let annotated = wanted.iter().map(|a| ident(&a.column).is_not_null());
        let annotated = annotated.reduce(Expr::or).filter(|expr| {
            let answers = self.variants.supports_filters_pushdown(&[expr]);
            answers.is_ok_and(|a| a == [TableProviderFilterPushDown::Exact])
        });
        let filters: Vec<Expr> = filters.iter().cloned().chain(annotated).collect();
        let variants = self
            .variants
            .scan(state, Some(&places), &filters, None)
            .await?;
        let fields = names
            .iter()
            .map(|name| self.full.field_with_name(name).cloned());
        let schema = Arc::new(Schema::new(fields.collect::<Result<Vec<_>, _>>()?));
        let effects = EffectsExec::new(variants, Arc::from(self.annotations.clone()), schema)?;
        if !names.iter().any(|name| self.masked.contains(name)) {
            return Ok(Arc::new(effects));
        }
        let sight = Sight {
            visible: None,
            columns: (0..names.len()).collect(),
            masked: self.masked.clone(),
        };
        Ok(Arc::new(VisibleExec::new(Arc::new(effects), sight)?))
    }
}

/// Takes annotations apart.
#[derive(Debug)]
struct EffectsExec {
    variants: Arc<dyn ExecutionPlan>,
    annotations: Arc<[Annotation]>,
    origins: Arc<[Origin]>,
    properties: Arc<PlanProperties>,
}

impl EffectsExec {
    fn new(
        variants: Arc<dyn ExecutionPlan>,
        annotations: Arc<[Annotation]>,
        schema: SchemaRef,
    ) -> Result<Self> {
        let origins = schema
            .fields()
            .iter()
            .map(|f| Origin::of(f.name(), &annotations));
        let origins = origins.collect::<Result<Vec<_>>>()?;
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            datafusion::physical_plan::Partitioning::UnknownPartitioning(
                variants.output_partitioning().partition_count(),
            ),
            variants.pipeline_behavior(),
            variants.boundedness(),
        );
        Ok(Self {
            variants,
            annotations,
            origins: origins.into(),
            properties: Arc::new(properties),
        })
    }
}

impl DisplayAs for EffectsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.annotations.iter().map(|a| a.key.as_str());
        write!(f, "EffectsExec: {}", keys.collect::<Vec<_>>().join(", "))
    }
}

impl ExecutionPlan for EffectsExec {
    fn name(&self) -> &'static str {
        "EffectsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.variants]
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
        let mut children = children.into_iter();
        let (Some(variants), None) = (children.next(), children.next()) else {
            return Err(DataFusionError::Internal(
                "EffectsExec has one input".into(),
            ));
        };
        let annotations = Arc::clone(&self.annotations);
        Ok(Arc::new(Self::new(variants, annotations, self.schema())?))
    }

    /// What a join still wants is wanted of the variants; columns of one name are one here and there.
    fn gather_filters_for_pushdown(
        &self,
        _phase: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _config: &ConfigOptions,
    ) -> DfResult<FilterDescription> {
        FilterDescription::from_children(parent_filters, &self.children())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> DfResult<SendableRecordBatchStream> {
        let batch_size = context.session_config().batch_size().max(1);
        let variants = self.variants.execute(partition, context)?;
        let rows = EffectRows::new(
            variants,
            Arc::clone(&self.annotations),
            Arc::clone(&self.origins),
            self.schema(),
            batch_size,
        );
        let stream = stream::try_unfold(rows, |mut rows| async move {
            Ok(rows.next().await?.map(|batch| (batch, rows)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            stream,
        )))
    }
}

/// The subfield behind a column.
fn subfield<'a>(
    annotations: &'a [Annotation],
    column: &str,
) -> Option<(usize, usize, &'a Subfield)> {
    annotations
        .iter()
        .enumerate()
        .find_map(|(key, annotation)| {
            let mut subfields = annotation.subfields.iter().enumerate();
            let (place, found) = subfields.find(|(_, subfield)| subfield.column == column)?;
            Some((key, place, found))
        })
}
