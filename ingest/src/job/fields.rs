//! What the headers of a job's inputs declare beside the dataset: INFO and FORMAT, keys that are declared in several ways,
//! annotations of other Formats.

use genokura_core::annotation::{ANNOTATION_KEYS, AnnotationFormat, is_annotation};
use genokura_core::schema::{FieldDef, FieldType, Number, widest};
use genokura_storage::DatasetState;

use crate::error::Error;
use crate::header::{Clash, FieldKind, merge_fields, repair as header_repair, undeclared_field};
use crate::open::Opened;
use crate::tally::{Counts, repair};

/// INFO and FORMAT of a dataset with those of the job's inputs.
pub(super) struct Fields {
    pub(super) info: Vec<FieldDef>,
    pub(super) format: Vec<FieldDef>,
    pub(super) redefined: Vec<Redefined>,
}

/// A key that some inputs declare otherwise than the dataset, or than the inputs before them.
pub(super) struct Redefined {
    kind: FieldKind,
    clash: Clash,
    /// The first of these inputs, and how many they are.
    input: u32,
    inputs: u32,
}

impl Redefined {
    fn note(all: &mut Vec<Self>, kind: FieldKind, input: u32, clashes: Vec<Clash>) {
        for clash in clashes {
            let same = |known: &&mut Self| known.kind == kind && known.clash == clash;
            match all.iter_mut().find(same) {
                Some(known) => known.inputs += 1,
                None => all.push(Self {
                    kind,
                    clash,
                    input,
                    inputs: 1,
                }),
            }
        }
    }

    /// A sentence for the log.
    pub(super) fn message(&self) -> String {
        let described =
            |(number, ty): (Number, FieldType)| format!("{}, Number {number}", ty.as_str());
        let Clash {
            key,
            dataset,
            input,
        } = &self.clash;
        let more = match self.inputs {
            1 => String::new(),
            n => format!(" (and {} inputs more)", n - 1),
        };
        format!(
            "input {}{more} declares {} {key} as {}, the dataset as {}: values that do not fit the dataset's are kept as \
             text; exports declare it as {}",
            self.input,
            self.kind.as_str(),
            described(*input),
            described(*dataset),
            described(widest(*dataset, *input)),
        )
    }
}

impl Fields {
    pub(super) fn merge(known: &DatasetState, opened: &[Opened], counts: &mut Counts) -> Self {
        let mut fields = Self {
            info: known.info.clone(),
            format: known.format.clone(),
            redefined: Vec::new(),
        };
        for (number, input) in (1..).zip(opened) {
            let info = merge_fields(FieldKind::Info, &fields.info, &input.header.info);
            let format = merge_fields(FieldKind::Format, &fields.format, &input.header.format);
            counts.repair(
                "field-redefined",
                (info.clashes.len() + format.clashes.len()) as u64,
            );
            Redefined::note(&mut fields.redefined, FieldKind::Info, number, info.clashes);
            Redefined::note(
                &mut fields.redefined,
                FieldKind::Format,
                number,
                format.clashes,
            );
            (fields.info, fields.format) = (info.fields, format.fields);
        }
        for input in opened {
            for found in &input.info_keys {
                let (key, has_value) = (&found.key, found.has_value);
                add(FieldKind::Info, key, has_value, &mut fields.info, counts);
            }
            for key in &input.format_keys {
                add(FieldKind::Format, key, true, &mut fields.format, counts);
            }
        }
        fields
    }
}

fn add(
    kind: FieldKind,
    key: &str,
    has_value: bool,
    fields: &mut Vec<FieldDef>,
    counts: &mut Counts,
) {
    counts.repair(repair::UNDECLARED_KEY, 1);
    if !fields.iter().any(|f| f.key == key) {
        fields.push(undeclared_field(kind, key, has_value, fields));
    }
}

/// Annotations that some inputs of the dataset have and others have not: an allele that both have is one row, with the
/// INFO of the first.
pub(super) fn partly_annotated(known: &DatasetState, opened: &[Opened]) -> Vec<String> {
    let partly = |key: &&&str| {
        let declares = |input: &&Opened| {
            let mut declared = input.header.info.iter().map(|field| &field.key);
            let mut found = input.info_keys.iter().map(|found| &found.key);
            declared.any(|own| own == **key) || found.any(|own| own == **key)
        };
        let new = opened.iter().filter(declares).count();
        let before = known.info.iter().any(|field| field.key == ***key);
        let differ = new > 0 && new < opened.len();
        let lacks = before && new < opened.len();
        let adds = !known.batches.is_empty() && !before && new > 0;
        differ || lacks || adds
    };
    let keys = ANNOTATION_KEYS.iter().filter(partly);
    let note = |key: &&str| {
        format!(
            "annotation {key} stands in some inputs of this dataset and not in others: an allele that several have shows what \
             the first of them says; annotate all, or load the annotated sites with \"genokura ingest sites\""
        )
    };
    keys.map(note).collect()
}

/// An annotation whose Format is another one than that of the inputs before it.
pub(super) struct DifferingAnnotation {
    pub(super) input: u32,
    line: u32,
    pub(super) key: String,
}

impl DifferingAnnotation {
    pub(super) fn refused(&self) -> Error {
        Error::Header {
            input: self.input,
            line: u64::from(self.line),
            rule: header_repair::ANNOTATION_FORMAT_DIFFERS,
            message: format!(
                "the Format of INFO {:?} is another one than that of the dataset; annotate the file as the others are, or load \
                 it without --strict: each input is then read by its own Format",
                self.key
            ),
        }
    }
}

/// The annotations of the inputs that the subfields of the dataset's do not name.
pub(super) fn differing_annotations(
    known: &DatasetState,
    opened: &[Opened],
) -> Vec<DifferingAnnotation> {
    let format = |field: &FieldDef| AnnotationFormat::parse(&field.key, &field.description);
    let annotations = known.info.iter().filter(|field| is_annotation(&field.key));
    let mut formats: Vec<AnnotationFormat> = annotations.filter_map(format).collect();
    let mut differing = Vec::new();
    for (input, opened) in (1..).zip(opened) {
        let header = &opened.header;
        for field in header.info.iter().filter(|field| is_annotation(&field.key)) {
            let Some(found) = format(field) else { continue };
            match formats.iter().find(|known| known.key == found.key) {
                None => formats.push(found),
                Some(known) if *known == found => {}
                Some(_) => {
                    let mut lines = header.lines.iter();
                    let line = lines.find(|line| {
                        line.key == "INFO" && line.id.as_deref() == Some(field.key.as_str())
                    });
                    differing.push(DifferingAnnotation {
                        input,
                        line: line.map_or(0, |line| line.line),
                        key: field.key.clone(),
                    });
                }
            }
        }
    }
    differing
}
