//! FORMAT columns of `calls`: typed values of single samples from array blobs.
//!
//! `Number=1` gives a scalar, every other Number a list of all values the sample has; a list element `.` is NULL and
//! a sample without values is NULL. Where a blob fell back to text because a value of its record did not fit, the
//! texts that do fit are typed and the others are NULL.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, Float32Builder, Int32Builder, ListBuilder, PrimitiveBuilder,
    StringBuilder,
};
use arrow::datatypes::{DataType, FieldRef, Float32Type, Int32Type};
use genokura_core::codec::array::{ArrayRow, ArrayValue, base_of, parse_float, parse_integer};
use genokura_core::schema::FieldDef;

use crate::blobs::Blobs;
use crate::dataset::DatasetView;
use crate::error::{Error, Result};

/// One FORMAT column.
#[derive(Debug)]
pub(crate) struct FormatColumn {
    name: String,
    physical: String,
    /// Column of the key that blobs may be relative to, if the dataset has it.
    base: Option<String>,
    data_type: DataType,
}

impl FormatColumn {
    /// Column `name` of the key `def`, one of `fields`.
    pub(crate) fn new(
        name: String,
        def: &FieldDef,
        fields: &[FieldDef],
        data_type: DataType,
    ) -> Self {
        let base = base_of(&def.key).and_then(|(key, _)| fields.iter().find(|f| f.key == key));
        Self {
            name,
            physical: def.column.clone(),
            base: base.map(|field| field.column.clone()),
            data_type,
        }
    }

    /// Columns of the format table that the blobs of some keys need: their own and their bases', each once.
    pub(crate) fn all_physical(columns: &[Self]) -> Vec<String> {
        let mut names: Vec<String> = columns.iter().map(|c| c.physical.clone()).collect();
        for base in columns.iter().filter_map(|c| c.base.as_ref()) {
            if !names.contains(base) {
                names.push(base.clone());
            }
        }
        names
    }

    /// The name in SQL.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The values of cells (record, block, sample in the block), each blob parsed once per run of cells.
    /// `read` names the columns of `blobs`, as [`FormatColumn::all_physical`] gives them.
    pub(crate) fn build(
        &self,
        cells: impl Iterator<Item = (usize, usize, u32)>,
        blobs: &Blobs,
        read: &[String],
        view: &DatasetView,
    ) -> Result<ArrayRef> {
        let place = |name: &String| read.iter().position(|r| r == name);
        let column = place(&self.physical)
            .ok_or_else(|| Error::Internal(format!("column {} was not read", self.physical)))?;
        let base = self.base.as_ref().and_then(place);
        let mut values = Values::of(&self.data_type)?;
        let mut open: Option<((usize, usize), Option<ArrayRow<'_>>)> = None;
        for (record, block, sample) in cells {
            let row = match &open {
                Some((place, row)) if *place == (record, block) => *row,
                _ => {
                    let base = base.and_then(|base| blobs.get(record, block, base));
                    let row = self.parse(blobs.get(record, block, column), base, block, view)?;
                    open = Some(((record, block), row));
                    row
                }
            };
            match row {
                Some(row) => values.push(&row, sample)?,
                None => values.push_null(),
            }
        }
        Ok(values.finish())
    }

    fn parse<'b>(
        &self,
        blob: Option<&'b [u8]>,
        base: Option<&'b [u8]>,
        block: usize,
        view: &DatasetView,
    ) -> Result<Option<ArrayRow<'b>>> {
        let Some(blob) = blob else { return Ok(None) };
        let number = view.blocks.get(block).map_or(0, |b| b.block);
        let damaged = |what: String| {
            let what = format!("column {}, block {number}: {what}", self.physical);
            Error::damaged(format!("{}/format", view.data.name), what)
        };
        let row = ArrayRow::parse_given(blob, base).map_err(|e| damaged(e.to_string()))?;
        let samples = view.blocks.get(block).map_or(0, |b| b.n_samples);
        if row.n_samples() != samples {
            return Err(damaged(format!(
                "{} samples instead of {samples}",
                row.n_samples()
            )));
        }
        Ok(Some(row))
    }
}

/// A column under construction.
enum Values {
    Int(Int32Builder),
    Float(Float32Builder),
    Text(StringBuilder, Vec<u8>),
    Ints(ListBuilder<Int32Builder>),
    Floats(ListBuilder<Float32Builder>),
    Texts(ListBuilder<StringBuilder>, Vec<u8>),
}

impl Values {
    fn of(data_type: &DataType) -> Result<Self> {
        let item = |field: &FieldRef| Arc::clone(field);
        Ok(match data_type {
            DataType::Int32 => Self::Int(Int32Builder::new()),
            DataType::Float32 => Self::Float(Float32Builder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new(), Vec::new()),
            DataType::List(field) => match field.data_type() {
                DataType::Int32 => {
                    Self::Ints(ListBuilder::new(Int32Builder::new()).with_field(item(field)))
                }
                DataType::Float32 => {
                    Self::Floats(ListBuilder::new(Float32Builder::new()).with_field(item(field)))
                }
                DataType::Utf8 => Self::Texts(
                    ListBuilder::new(StringBuilder::new()).with_field(item(field)),
                    Vec::new(),
                ),
                other => return Err(Error::Internal(format!("no FORMAT list of {other}"))),
            },
            other => return Err(Error::Internal(format!("no FORMAT column of {other}"))),
        })
    }

    fn push(&mut self, row: &ArrayRow<'_>, sample: u32) -> Result<()> {
        match self {
            Self::Int(values) => values.append_option(int_scalar(row, sample)),
            Self::Float(values) => values.append_option(float_scalar(row, sample)),
            Self::Text(values, scratch) => match text_of(row, sample, scratch)? {
                Some(text) => values.append_value(text),
                None => values.append_null(),
            },
            Self::Ints(values) => match ints(row, sample) {
                Some(list) => append_list(values, list),
                None => values.append_null(),
            },
            Self::Floats(values) => match floats(row, sample) {
                Some(list) => append_list(values, list),
                None => values.append_null(),
            },
            Self::Texts(values, scratch) => match text_of(row, sample, scratch)? {
                Some(text) => {
                    let items = text.split(',').map(|t| (t != ".").then_some(t));
                    values.append_value(items);
                }
                None => values.append_null(),
            },
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Int(values) => values.append_null(),
            Self::Float(values) => values.append_null(),
            Self::Text(values, _) => values.append_null(),
            Self::Ints(values) => values.append_null(),
            Self::Floats(values) => values.append_null(),
            Self::Texts(values, _) => values.append_null(),
        }
    }

    fn finish(mut self) -> ArrayRef {
        match &mut self {
            Self::Int(values) => Arc::new(values.finish()),
            Self::Float(values) => Arc::new(values.finish()),
            Self::Text(values, _) => Arc::new(values.finish()),
            Self::Ints(values) => Arc::new(values.finish()),
            Self::Floats(values) => Arc::new(values.finish()),
            Self::Texts(values, _) => Arc::new(values.finish()),
        }
    }
}

fn append_list<T: ArrowPrimitiveType>(
    builder: &mut ListBuilder<PrimitiveBuilder<T>>,
    items: Vec<Option<T::Native>>,
) {
    builder.append_value(items);
}

fn int_scalar(row: &ArrayRow<'_>, sample: u32) -> Option<i32> {
    if let Some(value) = row.integer_scalar(sample) {
        return Some(value);
    }
    match row.values(sample) {
        ArrayValue::Text(text) => parse_integer(text),
        _ => None,
    }
}

fn float_scalar(row: &ArrayRow<'_>, sample: u32) -> Option<f32> {
    if let Some(value) = row.float_scalar(sample) {
        return Some(value);
    }
    match row.values(sample) {
        ArrayValue::Text(text) => parse_float(text),
        _ => None,
    }
}

fn ints(
    row: &ArrayRow<'_>,
    sample: u32,
) -> Option<Vec<Option<<Int32Type as ArrowPrimitiveType>::Native>>> {
    match row.values(sample) {
        ArrayValue::Integers(values) => Some(values),
        ArrayValue::Text(text) => parsed(text, parse_integer),
        _ => None,
    }
}

fn floats(
    row: &ArrayRow<'_>,
    sample: u32,
) -> Option<Vec<Option<<Float32Type as ArrowPrimitiveType>::Native>>> {
    match row.values(sample) {
        ArrayValue::Floats(values) => Some(values),
        ArrayValue::Text(text) => parsed(text, parse_float),
        _ => None,
    }
}

/// Values of a text that all fit; `None` when one does not.
fn parsed<T>(text: &[u8], parse: impl Fn(&[u8]) -> Option<T>) -> Option<Vec<Option<T>>> {
    let item = |text: &[u8]| {
        if text == b"." {
            Some(None)
        } else {
            parse(text).map(Some)
        }
    };
    text.split(|&b| b == b',').map(item).collect()
}

/// The text of a sample; `None` when it has no value.
fn text_of<'s>(
    row: &ArrayRow<'_>,
    sample: u32,
    scratch: &'s mut Vec<u8>,
) -> Result<Option<&'s str>> {
    if row.values(sample) == ArrayValue::Absent {
        return Ok(None);
    }
    scratch.clear();
    row.write_text(sample, scratch);
    match std::str::from_utf8(scratch) {
        Ok(".") => Ok(None),
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Error::damaged("format", "a text value is not UTF-8")),
    }
}
