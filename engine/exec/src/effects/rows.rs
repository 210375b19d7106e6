//! Rows of `variant_effects`: entries of annotations, cut up and typed.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int32Array, Int32Builder, ListArray,
    ListBuilder, RecordBatch, RecordBatchOptions, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Int32Type, Int64Type, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt as _;
use genokura_core::annotation::{AltOf, AnnotatedRecord, AnnotationFormat, Role, SubfieldType};
use genokura_core::consequence::{impact, terms, worst};

use super::{Annotation, INPUT_COLUMNS, KnownFormat, subfield};
use crate::error::{Error, Result};
use crate::source::column;

/// What is read of a variant beside its annotations; the first are its key.
pub(super) const RECORD_COLUMNS: [&str; 9] = [
    "contig",
    "pos",
    "end_pos",
    "ref",
    "alt",
    "alt_index",
    "vcf_pos",
    "vcf_ref",
    "vcf_alts",
];
/// How far the batch stands to the left in an id.
const BATCH_SHIFT: u32 = 40;
/// How many of them are the key.
const KEY: usize = 5;

/// Where the values of a column come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A column of the variant.
    Variant(usize),
    Annotation,
    Entry,
    OfAlt,
    Consequences,
    Worst,
    Severity,
    Impact,
    Transcript,
    Hgvs(Role),
    Text(Role),
    EntryText,
    /// A subfield of one annotation.
    Subfield(usize, usize, SubfieldType),
}

impl Origin {
    pub(super) fn of(name: &str, annotations: &[Annotation]) -> Result<Self> {
        if let Some(place) = RECORD_COLUMNS[..KEY].iter().position(|key| *key == name) {
            return Ok(Self::Variant(place));
        }
        Ok(match name {
            "annotation" => Self::Annotation,
            "entry" => Self::Entry,
            "of_alt" => Self::OfAlt,
            "consequences" => Self::Consequences,
            "worst" => Self::Worst,
            "severity" => Self::Severity,
            "impact" => Self::Impact,
            "gene" => Self::Text(Role::Gene),
            "gene_id" => Self::Text(Role::GeneId),
            "transcript" => Self::Transcript,
            "biotype" => Self::Text(Role::Biotype),
            "hgvs_c" => Self::Hgvs(Role::HgvsC),
            "hgvs_p" => Self::Hgvs(Role::HgvsP),
            "entry_text" => Self::EntryText,
            _ => {
                let found = subfield(annotations, name);
                let (key, place, subfield) = found
                    .ok_or_else(|| Error::Internal(format!("column {name} of no annotation")))?;
                Self::Subfield(key, place, subfield.ty)
            }
        })
    }
}

/// Batches of one partition.
pub(super) struct EffectRows {
    variants: SendableRecordBatchStream,
    annotations: Arc<[Annotation]>,
    origins: Arc<[Origin]>,
    schema: SchemaRef,
    batch_size: usize,
    /// Variants, and which of them comes next.
    batch: Option<(Variants, usize)>,
}

impl EffectRows {
    pub(super) fn new(
        variants: SendableRecordBatchStream,
        annotations: Arc<[Annotation]>,
        origins: Arc<[Origin]>,
        schema: SchemaRef,
        batch_size: usize,
    ) -> Self {
        Self {
            variants,
            annotations,
            origins,
            schema,
            batch_size,
            batch: None,
        }
    }

    /// The next rows; a batch ends with all entries of a variant.
    pub(super) async fn next(&mut self) -> datafusion::error::Result<Option<RecordBatch>> {
        loop {
            if self.batch.is_none() {
                let Some(batch) = self.variants.next().await.transpose()? else {
                    return Ok(None);
                };
                self.batch = Some((Variants::of(&batch, &self.annotations)?, 0));
            }
            let rows = self.rows()?;
            // A long run of variants without annotation must not keep the thread.
            tokio::task::yield_now().await;
            if rows.num_rows() > 0 {
                return Ok(Some(rows));
            }
        }
    }

    fn rows(&mut self) -> Result<RecordBatch> {
        let types = self
            .schema
            .fields()
            .iter()
            .map(|f| Values::of(f.data_type()));
        let mut columns = types.collect::<Result<Vec<_>>>()?;
        let mut count = 0;
        if let Some((variants, next)) = &mut self.batch {
            while count < self.batch_size && *next < variants.len() {
                count += variants.append(*next, &self.annotations, &self.origins, &mut columns)?;
                *next += 1;
            }
            if *next == variants.len() {
                self.batch = None;
            }
        }
        let columns = columns.iter_mut().map(Values::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        let schema = Arc::clone(&self.schema);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    }
}

/// The columns of some variants.
struct Variants {
    contig: StringArray,
    pos: Int32Array,
    end_pos: Int32Array,
    reference: StringArray,
    alt: StringArray,
    alt_index: Vec<usize>,
    vcf_pos: Int32Array,
    vcf_ref: StringArray,
    vcf_alts: ListArray,
    annotations: Vec<ArrayRef>,
    /// Batch and input of each row, where they are needed.
    inputs: Option<Vec<(i32, i32)>>,
}

impl Variants {
    fn of(batch: &RecordBatch, annotations: &[Annotation]) -> Result<Self> {
        let text = |name: &str| -> Result<StringArray> {
            Ok(arrow::compute::cast(column(batch, name)?, &DataType::Utf8)?
                .as_string::<i32>()
                .clone())
        };
        let number = |name: &str| -> Result<Int32Array> {
            Ok(
                arrow::compute::cast(column(batch, name)?, &DataType::Int32)?
                    .as_primitive::<Int32Type>()
                    .clone(),
            )
        };
        let lists = annotations.iter().map(|a| {
            let list = batch.column_by_name(&a.column).map(Arc::clone);
            list.ok_or_else(|| Error::Internal(format!("column {} was not read", a.column)))
        });
        let indexes = number("alt_index")?;
        let indexes = indexes
            .iter()
            .map(|index| index.and_then(|i| usize::try_from(i).ok()));
        Ok(Self {
            contig: text("contig")?,
            pos: number("pos")?,
            end_pos: number("end_pos")?,
            reference: text("ref")?,
            alt: text("alt")?,
            alt_index: indexes.map(Option::unwrap_or_default).collect(),
            vcf_pos: number("vcf_pos")?,
            vcf_ref: text("vcf_ref")?,
            vcf_alts: column(batch, "vcf_alts")?
                .as_list_opt::<i32>()
                .ok_or_else(|| Error::Internal("vcf_alts is no list".to_owned()))?
                .clone(),
            annotations: lists.collect::<Result<_>>()?,
            inputs: match annotations.iter().any(Annotation::differs) {
                true => Some(inputs(batch)?),
                false => None,
            },
        })
    }

    fn len(&self) -> usize {
        self.contig.len()
    }

    /// The Format of a row's input.
    fn format<'a>(&self, row: usize, annotation: &'a Annotation) -> Result<&'a KnownFormat> {
        let place = match &self.inputs {
            Some(inputs) if annotation.differs() => {
                let input = inputs.get(row).copied().unwrap_or_default();
                annotation.inputs.get(&input).copied().ok_or_else(|| {
                    let (batch, source) = input;
                    let source = source + 1;
                    Error::Annotation(format!(
                        "INFO {} stands in records of input {source} of batch {batch}, whose header does not declare it, \
                         and other inputs have different Formats: its subfields have no names",
                        annotation.key
                    ))
                })?
            }
            _ => 0,
        };
        let format = annotation.formats.get(place);
        format.ok_or_else(|| Error::Internal("an annotation without a Format".to_owned()))
    }

    /// Appends the entries of a variant and says how many.
    fn append(
        &self,
        row: usize,
        annotations: &[Annotation],
        origins: &[Origin],
        columns: &mut [Values],
    ) -> Result<usize> {
        let alts = self.vcf_alts.value(row);
        let alts = alts.as_string_opt::<i32>();
        let alts =
            alts.ok_or_else(|| Error::Internal("vcf_alts of other than texts".to_owned()))?;
        let alts: Vec<&str> = alts.iter().flatten().collect();
        let record = AnnotatedRecord {
            pos: self.vcf_pos.value(row),
            reference: self.vcf_ref.value(row),
            alts: &alts,
        };
        let own = self.alt_index[row].checked_sub(1);
        let mut count = 0;
        for (place, annotation) in annotations.iter().enumerate() {
            let entries = Entries::of(&self.annotations[place], row)?;
            if matches!(entries, Entries::None) {
                continue;
            }
            let known = self.format(row, annotation)?;
            let format = &known.format;
            let all = format.spoken(entries.iter().flatten(), &record);
            for (number, text) in (1_i32..).zip(entries.iter()) {
                let Some(text) = text else { continue };
                let cut: Vec<&str> = text.split('|').collect();
                let of = match (annotation.per_alt, own) {
                    (true, Some(own)) => AltOf::This(own),
                    (true, None) => AltOf::Any,
                    (false, _) => format.alt_of(&cut, &record, all),
                };
                match of {
                    AltOf::This(place) if own != Some(place) => continue,
                    AltOf::Another => continue,
                    AltOf::This(_) | AltOf::Any => {}
                }
                let entry = Entry {
                    place,
                    format,
                    places: &known.places,
                    number,
                    of_alt: of != AltOf::Any,
                    text,
                    cut: &cut,
                };
                for (origin, values) in origins.iter().zip(columns.iter_mut()) {
                    match origin {
                        Origin::Variant(column) => self.append_own(row, *column, values),
                        origin => entry.append(*origin, values),
                    }
                }
                count += 1;
            }
        }
        Ok(count)
    }

    fn append_own(&self, row: usize, column: usize, values: &mut Values) {
        let text = |array: &StringArray, values: &mut Values| {
            values.text(array.is_valid(row).then(|| array.value(row)));
        };
        match column {
            0 => text(&self.contig, values),
            1 => values.integer(self.pos.is_valid(row).then(|| self.pos.value(row))),
            2 => values.integer(self.end_pos.is_valid(row).then(|| self.end_pos.value(row))),
            3 => text(&self.reference, values),
            _ => text(&self.alt, values),
        }
    }
}

/// Batch and input of each row: an id begins with its batch.
fn inputs(batch: &RecordBatch) -> Result<Vec<(i32, i32)>> {
    let [records, sources] = INPUT_COLUMNS;
    let records = arrow::compute::cast(column(batch, records)?, &DataType::Int64)?;
    let sources = arrow::compute::cast(column(batch, sources)?, &DataType::Int32)?;
    let batches = records.as_primitive::<Int64Type>().values().iter();
    let batches = batches.map(|record| i32::try_from(record >> BATCH_SHIFT).unwrap_or(-1));
    let sources = sources.as_primitive::<Int32Type>().values().iter();
    Ok(batches.zip(sources.copied()).collect())
}

/// The entries of one annotation of one variant.
enum Entries {
    None,
    List(StringArray),
    /// One text; entries stand by commas.
    Text(StringArray),
}

impl Entries {
    fn of(array: &ArrayRef, row: usize) -> Result<Self> {
        if array.is_null(row) {
            return Ok(Self::None);
        }
        if let Some(lists) = array.as_list_opt::<i32>() {
            let values = lists.value(row);
            let texts = values.as_string_opt::<i32>();
            let texts = texts.ok_or_else(|| Error::Plan("annotations are no texts".to_owned()))?;
            return Ok(Self::List(texts.clone()));
        }
        match array.as_string_opt::<i32>() {
            Some(texts) => Ok(Self::Text(texts.slice(row, 1))),
            None => Err(Error::Plan("annotations are no texts".to_owned())),
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = Option<&str>> + '_> {
        match self {
            Self::None => Box::new(std::iter::empty()),
            Self::List(texts) => Box::new(texts.iter()),
            Self::Text(text) => Box::new(text.value(0).split(',').map(Some)),
        }
    }
}

/// An entry that is cut up.
struct Entry<'a> {
    place: usize,
    format: &'a AnnotationFormat,
    /// Where the subfields of the annotation stand in it.
    places: &'a [Option<usize>],
    number: i32,
    of_alt: bool,
    text: &'a str,
    cut: &'a [&'a str],
}

impl<'a> Entry<'a> {
    fn append(&self, origin: Origin, values: &mut Values) {
        match origin {
            // Written by the variant.
            Origin::Variant(_) => {}
            Origin::Annotation => values.text(Some(&self.format.key)),
            Origin::Entry => values.integer(Some(self.number)),
            Origin::OfAlt => values.flag(self.of_alt.then_some(true)),
            Origin::Consequences => {
                let terms: Vec<&str> = self.terms().collect();
                values.texts((!terms.is_empty()).then_some(terms));
            }
            Origin::Worst => values.text(worst(self.terms()).map(|(term, _)| term)),
            Origin::Severity => {
                let rank = worst(self.terms()).and_then(|(_, rank)| rank);
                values.integer(rank.map(i32::from));
            }
            Origin::Impact => {
                let told = self.role(Role::Impact);
                let by_worst = || Some(impact(worst(self.terms())?.0)?.as_str());
                values.text(told.or_else(by_worst));
            }
            Origin::Transcript => {
                let kind = self.role(Role::FeatureType);
                let is_transcript = kind.is_none_or(|kind| kind.eq_ignore_ascii_case("transcript"));
                values.text(self.role(Role::Feature).filter(|_| is_transcript));
            }
            Origin::Hgvs(role) => {
                // VEP writes what VCF forbids as %3D.
                let text = self.role(role).map(|text| text.replace("%3D", "="));
                values.text(text.as_deref());
            }
            Origin::Text(role) => values.text(self.role(role)),
            Origin::EntryText => values.text(Some(self.text)),
            Origin::Subfield(key, place, ty) => {
                let own = self.places.get(place).copied().flatten();
                let own = own.filter(|_| key == self.place);
                let text = own.and_then(|own| self.cut.get(own)).copied();
                let text = text.filter(|text| !text.is_empty());
                values.subfield(ty, text);
            }
        }
    }

    fn role(&self, role: Role) -> Option<&'a str> {
        self.format.text(self.cut, role)
    }

    /// The terms; none where `bcftools csq` points to another record.
    fn terms(&self) -> impl Iterator<Item = &'a str> {
        let text = self.role(Role::Consequence);
        let text = text
            .filter(|text| !text.starts_with('@'))
            .unwrap_or_default();
        terms(text).map(|term| term.trim_start_matches('*'))
    }
}

/// A column in the making.
enum Values {
    Text(StringBuilder),
    Integer(Int32Builder),
    Number(Float64Builder),
    Flag(BooleanBuilder),
    Texts(ListBuilder<StringBuilder>),
    Numbers(ListBuilder<Float64Builder>),
}

impl Values {
    fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Int32 => Self::Integer(Int32Builder::new()),
            DataType::Float64 => Self::Number(Float64Builder::new()),
            DataType::Boolean => Self::Flag(BooleanBuilder::new()),
            DataType::List(item) if item.data_type() == &DataType::Utf8 => {
                Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item)))
            }
            DataType::List(item) if item.data_type() == &DataType::Float64 => {
                Self::Numbers(ListBuilder::new(Float64Builder::new()).with_field(Arc::clone(item)))
            }
            other => {
                return Err(Error::Internal(format!(
                    "effects have no column of {other}"
                )));
            }
        })
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(values.finish()),
            Self::Integer(values) => Arc::new(values.finish()),
            Self::Number(values) => Arc::new(values.finish()),
            Self::Flag(values) => Arc::new(values.finish()),
            Self::Texts(values) => Arc::new(values.finish()),
            Self::Numbers(values) => Arc::new(values.finish()),
        }
    }

    fn text(&mut self, value: Option<&str>) {
        if let Self::Text(values) = self {
            values.append_option(value);
        }
    }

    fn integer(&mut self, value: Option<i32>) {
        if let Self::Integer(values) = self {
            values.append_option(value);
        }
    }

    fn flag(&mut self, value: Option<bool>) {
        if let Self::Flag(values) = self {
            values.append_option(value);
        }
    }

    fn texts<'a>(&mut self, value: Option<impl IntoIterator<Item = &'a str>>) {
        if let Self::Texts(values) = self {
            values.append_option(value.map(|texts| texts.into_iter().map(Some)));
        }
    }

    /// The text of a subfield by its type; NULL when it is none.
    fn subfield(&mut self, ty: SubfieldType, text: Option<&str>) {
        match (ty, self) {
            (SubfieldType::Text, Self::Text(values)) => values.append_option(text),
            (SubfieldType::Integer, Self::Integer(values)) => {
                values.append_option(text.and_then(|text| text.parse().ok()));
            }
            (SubfieldType::Frequency, Self::Number(values)) => {
                let numbers = text.unwrap_or_default().split('&').filter_map(number);
                values.append_option(numbers.reduce(f64::max));
            }
            (SubfieldType::Flag, Self::Flag(values)) => {
                values.append_option(text.and_then(flag));
            }
            (SubfieldType::Texts, Self::Texts(values)) => {
                values.append_option(text.map(|text| text.split('&').map(Some)));
            }
            (SubfieldType::Numbers, Self::Numbers(values)) => {
                values.append_option(text.map(|text| text.split('&').map(number)));
            }
            _ => {}
        }
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| !number.is_nan())
}

fn flag(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
    if is(&["yes", "y", "1", "true"]) {
        return Some(true);
    }
    is(&["no", "n", "0", "false"]).then_some(false)
}
