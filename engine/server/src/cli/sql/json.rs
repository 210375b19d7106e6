//! Rows as JSON, an object a line.
//!
//! JSON has no number for NaN and the infinities: they are the texts `"NaN"`, `"Infinity"` and `"-Infinity"`, as
//! `to_json` of PostgreSQL writes them, wherever in a row they stand. NULL is `null`: every row has every key.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float16Type, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder, Writer, WriterBuilder,
    make_encoder,
};

/// A writer of rows.
pub(super) type Lines<W> = Writer<W, LineDelimited>;

/// A writer of rows to `out`.
pub(super) fn lines<W: Write>(out: W) -> Lines<W> {
    let builder = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(Floats));
    builder.build(out)
}

/// Writes floats; leaves all else, and floats that are numbers, to Arrow.
#[derive(Debug)]
struct Floats;

/// How Arrow writes by itself.
static PLAIN: LazyLock<EncoderOptions> = LazyLock::new(EncoderOptions::default);

impl EncoderFactory for Floats {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let value: Box<dyn Fn(usize) -> f64 + 'a> = match array.data_type() {
            DataType::Float16 => {
                let values = array.as_primitive::<Float16Type>();
                Box::new(|row| values.value(row).to_f64())
            }
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>();
                Box::new(|row| f64::from(values.value(row)))
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>();
                Box::new(|row| values.value(row))
            }
            _ => return Ok(None),
        };
        if (0..array.len()).all(|row| value(row).is_finite()) {
            return Ok(None);
        }
        let numbers = make_encoder(field, array, &PLAIN)?;
        let floats = Box::new(WithNames { value, numbers });
        Ok(Some(NullableEncoder::new(floats, array.nulls().cloned())))
    }
}

/// Floats of which some are no numbers.
struct WithNames<'a> {
    value: Box<dyn Fn(usize) -> f64 + 'a>,
    numbers: NullableEncoder<'a>,
}

impl Encoder for WithNames<'_> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        match (self.value)(row) {
            value if value.is_finite() => self.numbers.encode(row, out),
            value if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
            value if value > 0.0 => out.extend_from_slice(b"\"Infinity\""),
            _ => out.extend_from_slice(b"\"-Infinity\""),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{
        ArrayRef, Float32Array, Float64Array, Int32Array, ListArray, RecordBatch, StructArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn floats_that_are_no_numbers_are_texts() {
        let wide = Float64Array::from(vec![Some(0.1), Some(f64::NAN), None, Some(1e300)]);
        let narrow = [1.5, f32::INFINITY, f32::NEG_INFINITY, -0.0];
        let narrow: ArrayRef = Arc::new(Float32Array::from(narrow.to_vec()));
        let field = Arc::new(Field::new("f", DataType::Float32, true));
        let inner = StructArray::from(vec![(Arc::clone(&field), Arc::clone(&narrow))]);
        let offsets = OffsetBuffer::from_lengths([1, 2, 0, 1]);
        let lists = ListArray::new(field, offsets, narrow, None);
        let columns: [(&str, ArrayRef); 4] = [
            ("d", Arc::new(wide)),
            ("s", Arc::new(inner)),
            ("l", Arc::new(lists)),
            ("i", Arc::new(Int32Array::from(vec![1, 2, 3, 4]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = lines(Vec::new());
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        let expected = "{\"d\":0.1,\"s\":{\"f\":1.5},\"l\":[1.5],\"i\":1}\n\
            {\"d\":\"NaN\",\"s\":{\"f\":\"Infinity\"},\"l\":[\"Infinity\",\"-Infinity\"],\"i\":2}\n\
            {\"d\":null,\"s\":{\"f\":\"-Infinity\"},\"l\":[],\"i\":3}\n\
            {\"d\":1.0e300,\"s\":{\"f\":-0.0},\"l\":[-0.0],\"i\":4}\n";
        assert_eq!(String::from_utf8(writer.into_inner()).unwrap(), expected);
    }
}
