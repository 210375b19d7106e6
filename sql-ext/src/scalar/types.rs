//! The argument types of the functions, and the casts that lead to them.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;

use crate::error::{Error, Result};

/// `(gt, text)`
pub(super) fn gt_and_sample(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [gt, sample] if is_packed(gt) && is_text(sample) => {
            Ok(vec![DataType::BinaryView, DataType::Utf8])
        }
        _ => Err(wrong(
            function,
            "takes (gt, sample): column gt of variants and a text",
            types,
        )),
    }
}

/// `(gt [, text[]])`
pub(super) fn gt_and_cohort(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [gt] if is_packed(gt) => Ok(vec![DataType::BinaryView]),
        [gt, cohort] if is_packed(gt) && is_text_list(cohort) => {
            Ok(vec![DataType::BinaryView, text_list()])
        }
        // A list of names as a constant: see `constant_cohort`.
        [gt, DataType::Utf8] if is_packed(gt) => Ok(vec![DataType::BinaryView, DataType::Utf8]),
        _ => Err(no_cohort(function, types)),
    }
}

/// Refuses a text as a cohort unless it is a [list of names](crate::name_list) that stands in the statement.
pub(super) fn constant_cohort(
    function: &'static str,
    place: usize,
    fields: &[FieldRef],
    constants: &[Option<&ScalarValue>],
) -> Result<()> {
    let is_text = fields
        .get(place)
        .is_some_and(|field| field.data_type().is_string());
    match constants.get(place) {
        Some(None) if is_text => {
            let types = fields.iter().map(|field| field.data_type().clone());
            Err(no_cohort(function, &types.collect::<Vec<_>>()))
        }
        _ => Ok(()),
    }
}

fn no_cohort(function: &'static str, types: &[DataType]) -> Error {
    let expected = "takes (gt [, cohort]): column gt of variants and a text[]";
    wrong(function, expected, types)
}

/// `(gt, text, text, text [, text, integer, text, text])`
pub(super) fn gt_and_trio(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    use DataType::{BinaryView, Utf8};
    match types {
        [gt, trio @ ..] if trio.len() == 3 && is_packed(gt) && trio.iter().all(is_text) => {
            Ok(vec![BinaryView, Utf8, Utf8, Utf8])
        }
        [gt, child, father, mother, contig, pos, sex, assembly]
            if is_packed(gt)
                && [child, father, mother, contig, sex, assembly]
                    .into_iter()
                    .all(is_text)
                && is_integer(pos) =>
        {
            let trio = [BinaryView, Utf8, Utf8, Utf8];
            Ok([trio, [Utf8, widest(&[pos]), Utf8, Utf8]].concat())
        }
        _ => {
            let expected = "takes (gt, child, father, mother [, contig, pos, sex, assembly]): column gt \
                            of variants, three texts, and all four of text, integer, text, text";
            Err(wrong(function, expected, types))
        }
    }
}

/// `(text)`
pub(super) fn one_text(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [text] if is_text(text) => Ok(vec![DataType::Utf8]),
        _ => Err(wrong(function, "takes one text", types)),
    }
}

/// `(text)` or `(text[])`
pub(super) fn terms(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [text] if is_text(text) => Ok(vec![DataType::Utf8]),
        [list] if is_text_list(list) => Ok(vec![text_list()]),
        _ => Err(wrong(function, "takes terms: a text or a text[]", types)),
    }
}

/// `(text, text)`, and the ontology that the rewriting of the statement adds.
pub(super) fn two_terms(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [term, ancestor, ontology]
            if is_text(term) && is_text(ancestor) && is_integer(ontology) =>
        {
            Ok(vec![DataType::Utf8, DataType::Utf8, DataType::Int64])
        }
        _ => Err(wrong(
            function,
            "takes (term, ancestor): two texts",
            as_written(types),
        )),
    }
}

/// `(text, boolean, text)`, and the ontology that the rewriting of the statement adds.
pub(super) fn observed_term(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    let is_boolean = |t: &DataType| matches!(t, DataType::Boolean | DataType::Null);
    match types {
        [term, excluded, asked, ontology]
            if is_text(term) && is_boolean(excluded) && is_text(asked) && is_integer(ontology) =>
        {
            let text = || DataType::Utf8;
            Ok(vec![text(), DataType::Boolean, text(), DataType::Int64])
        }
        _ => {
            let expected = "takes (term, excluded, asked): text, boolean, text";
            Err(wrong(function, expected, as_written(types)))
        }
    }
}

/// The types of the arguments without an ontology.
fn as_written(types: &[DataType]) -> &[DataType] {
    match types {
        [written @ .., DataType::Int64] => written,
        _ => types,
    }
}

/// `(text, text)`
pub(super) fn two_alleles(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [r, a] if is_text(r) && is_text(a) => Ok(vec![DataType::Utf8, DataType::Utf8]),
        _ => Err(wrong(function, "takes (ref, alt): two texts", types)),
    }
}

/// `(text, integer, integer, text)`
pub(super) fn span_and_region(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [contig, pos, end_pos, region]
            if is_text(contig) && is_text(region) && is_integer(pos) && is_integer(end_pos) =>
        {
            let integer = widest(&[pos, end_pos]);
            Ok(vec![
                DataType::Utf8,
                integer.clone(),
                integer,
                DataType::Utf8,
            ])
        }
        _ => {
            let expected = "takes (contig, pos, end_pos, region): text, two integers, text";
            Err(wrong(function, expected, types))
        }
    }
}

/// `(text, integer, integer, text, integer, integer)`
pub(super) fn two_spans(function: &'static str, types: &[DataType]) -> Result<Vec<DataType>> {
    match types {
        [c1, s1, e1, c2, s2, e2]
            if [c1, c2].into_iter().all(is_text)
                && [s1, e1, s2, e2].into_iter().all(is_integer) =>
        {
            let integer = widest(&[s1, e1, s2, e2]);
            let span = [DataType::Utf8, integer.clone(), integer];
            Ok([span.clone(), span].concat())
        }
        _ => {
            let expected = "takes (contig1, start1, end1, contig2, start2, end2)";
            Err(wrong(function, expected, types))
        }
    }
}

/// `text[]`
pub(super) fn text_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn wrong(function: &'static str, expected: &'static str, types: &[DataType]) -> Error {
    let got: Vec<String> = types.iter().map(sql_name).collect();
    Error::Argument {
        function,
        expected,
        got: format!("({})", got.join(", ")),
    }
}

fn is_packed(data_type: &DataType) -> bool {
    use DataType::{Binary, BinaryView, LargeBinary, Null};
    matches!(data_type, Binary | BinaryView | LargeBinary | Null)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => other.is_string() || other.is_null(),
    }
}

fn is_integer(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_null()
}

fn is_text_list(data_type: &DataType) -> bool {
    use DataType::{FixedSizeList, LargeList, List, Null};
    match data_type {
        List(field) | LargeList(field) => is_text(field.data_type()) || is_empty_list(field),
        FixedSizeList(field, size) => is_text(field.data_type()) || *size == 0,
        Null => true,
        _ => false,
    }
}

/// `ARRAY[]` without a type is a list of 64-bit integers; a text cohort it is.
fn is_empty_list(field: &Field) -> bool {
    field.data_type() == &DataType::Int64
}

/// `integer` if every argument fits it, else `bigint`.
fn widest(types: &[&DataType]) -> DataType {
    use DataType::{Int8, Int16, Int32, Int64, Null};
    let small = |t: &&DataType| matches!(t, Int8 | Int16 | Int32 | Null);
    if types.iter().all(small) {
        Int32
    } else {
        Int64
    }
}

fn sql_name(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Boolean => "boolean".into(),
        T::Int8 | T::Int16 => "smallint".into(),
        T::Int32 => "integer".into(),
        T::Int64 => "bigint".into(),
        T::Float32 => "real".into(),
        T::Float64 => "double precision".into(),
        T::Binary | T::BinaryView | T::LargeBinary => "gt".into(),
        T::List(field) | T::LargeList(field) => format!("{}[]", sql_name(field.data_type())),
        T::Null => "unknown".into(),
        other if other.is_string() => "text".into(),
        other => other.to_string(),
    }
}
