//! Binary forms, as PostgreSQL's send functions write them.

use bytes::{BufMut, BytesMut};

use super::cells::{Cells, FieldCells, Kind, ListCells};
use super::number::of_own_digits;
use super::{TextStyle, json, patch_length};
use crate::pg_input::Inet;
use crate::pg_types::PgType;
use crate::sqlstate::ServerError;

/// Days from 1970-01-01 to 2000-01-01, the zero of PostgreSQL dates.
const EPOCH_DAYS: i32 = 10_957;

impl Cells {
    /// Appends the binary form of the value in `row`, which is not NULL.
    pub(crate) fn binary(&self, row: usize, out: &mut BytesMut) -> Result<(), ServerError> {
        match &self.kind {
            Kind::Null => {}
            Kind::Bool(a) => out.put_u8(u8::from(a.value(row))),
            Kind::Int2(a) => out.put_i16(a.value(row)),
            Kind::Int4(a) => out.put_i32(a.value(row)),
            Kind::Int8(a) => out.put_i64(a.value(row)),
            Kind::Oid(a) => out.put_u32(a.value(row)),
            Kind::UInt8(a) => numeric(&a.value(row).to_string(), 0, out)?,
            Kind::Float4(a) => out.put_f32(a.value(row)),
            Kind::Float8(a) => out.put_f64(a.value(row)),
            Kind::Numeric128(a, scale) => numeric(&a.value(row).to_string(), *scale, out)?,
            Kind::Numeric256(a, scale) => numeric(&a.value(row).to_string(), *scale, out)?,
            Kind::Free(a, scale) => {
                let (unscaled, scale) = of_own_digits(&a.value(row).to_string(), *scale);
                numeric(&unscaled, scale, out)?;
            }
            Kind::Utf8(a) => out.put_slice(a.value(row).as_bytes()),
            Kind::TextOf(a, pg_type) => from_text(a.value(row), *pg_type, out)?,
            Kind::LargeUtf8(a) => out.put_slice(a.value(row).as_bytes()),
            Kind::Utf8View(a) => out.put_slice(a.value(row).as_bytes()),
            Kind::Binary(a) | Kind::Forms(_, a) => out.put_slice(a.value(row)),
            Kind::LargeBinary(a) => out.put_slice(a.value(row)),
            Kind::BinaryView(a) => out.put_slice(a.value(row)),
            Kind::FixedBinary(a) | Kind::Uuid(a) => out.put_slice(a.value(row)),
            Kind::Date(a) => out.put_i32(match a.value(row) {
                // Infinity is no day.
                edge @ (i32::MAX | i32::MIN) => edge,
                day => day.saturating_sub(EPOCH_DAYS),
            }),
            Kind::Time(a) => out.put_i64(a.value(row)),
            Kind::Timestamp(a) | Kind::TimestampTz(a) => {
                let epoch = i64::from(EPOCH_DAYS) * crate::calendar::DAY;
                out.put_i64(match a.value(row) {
                    // Infinity is no point in time.
                    edge @ (i64::MAX | i64::MIN) => edge,
                    micros => micros.saturating_sub(epoch),
                });
            }
            Kind::Interval(a) => {
                let value = a.value(row);
                out.put_i64(value.nanoseconds / 1_000);
                out.put_i32(value.days);
                out.put_i32(value.months);
            }
            Kind::Duration(a) => {
                out.put_i64(a.value(row));
                out.put_i64(0);
            }
            Kind::List(list) => array(list, row, out)?,
            Kind::Struct(fields) => record(fields, row, out)?,
            Kind::Map(_) => {
                out.put_u8(1);
                json::value(self, row, &TextStyle::default(), out)?;
            }
        }
        Ok(())
    }
}

/// Writes a numeric from an unscaled base-10 integer and its scale: groups of four digits
/// around the decimal point, leading and trailing zero groups left out.
fn numeric(unscaled: &str, scale: i8, out: &mut BytesMut) -> Result<(), ServerError> {
    let (negative, digits) = match unscaled.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, unscaled),
    };
    let fraction_len = usize::try_from(scale).unwrap_or(0);
    let mut all = digits.to_owned();
    if scale < 0 {
        all.push_str(&"0".repeat(usize::from(scale.unsigned_abs())));
    }
    if all.len() < fraction_len {
        all.insert_str(0, &"0".repeat(fraction_len - all.len()));
    }
    let (whole, fraction) = all.split_at(all.len() - fraction_len);
    let groups = groups(whole, fraction);
    let leading = groups.iter().take_while(|g| **g == 0).count();
    let trailing = groups.iter().rev().take_while(|g| **g == 0).count();
    let kept = groups
        .get(leading..groups.len().saturating_sub(trailing))
        .unwrap_or_default();
    let weight = count(whole.len().div_ceil(4))? - count(leading)? - 1;
    out.put_i16(count(kept.len())?);
    out.put_i16(if kept.is_empty() { 0 } else { weight });
    out.put_u16(if negative && !kept.is_empty() {
        0x4000
    } else {
        0
    });
    out.put_i16(count(fraction_len)?);
    for group in kept {
        out.put_i16(*group);
    }
    Ok(())
}

fn groups(whole: &str, fraction: &str) -> Vec<i16> {
    let padded_whole = format!("{whole:0>width$}", width = whole.len().div_ceil(4) * 4);
    let padded_fraction = format!(
        "{fraction:0<width$}",
        width = fraction.len().div_ceil(4) * 4
    );
    [padded_whole, padded_fraction]
        .iter()
        .flat_map(|part| part.as_bytes().chunks(4))
        .map(|chunk| {
            chunk
                .iter()
                .fold(0_i16, |value, digit| value * 10 + i16::from(digit - b'0'))
        })
        .collect()
}

fn count(value: usize) -> Result<i16, ServerError> {
    i16::try_from(value).map_err(|_| ServerError::new("22003", "value overflows numeric format"))
}

/// Number of fields, then for each its type and its value.
fn record(fields: &[FieldCells], row: usize, out: &mut BytesMut) -> Result<(), ServerError> {
    out.put_i32(i32::from(count(fields.len())?));
    for field in fields {
        out.put_u32(field.pg_type.oid);
        if field.cells.is_null(row) {
            out.put_i32(-1);
            continue;
        }
        let start = out.len();
        out.put_i32(0);
        field.cells.binary(row, out)?;
        patch_length(out, start, start + 4)?;
    }
    Ok(())
}

/// The extent of each dimension of the array in `row`; empty for an empty array.
///
/// # Errors
/// A ragged list of lists: PostgreSQL arrays are rectangular.
pub(super) fn dimensions(list: &ListCells, row: usize) -> Result<Vec<usize>, ServerError> {
    let (from, to) = list.ranges.get(row).copied().unwrap_or_default();
    if from == to {
        return Ok(Vec::new());
    }
    let mut extents = vec![to - from];
    let Kind::List(inner) = &list.elements.kind else {
        return Ok(extents);
    };
    let mut first: Option<Vec<usize>> = None;
    for element in from..to {
        let null = list.elements.is_null(element);
        let extent = if null {
            Vec::new()
        } else {
            dimensions(inner, element)?
        };
        if extent.is_empty() || first.as_ref().is_some_and(|first| *first != extent) {
            return Err(ragged());
        }
        first = Some(extent);
    }
    extents.extend(first.unwrap_or_default());
    Ok(extents)
}

fn ragged() -> ServerError {
    ServerError::new(
        "2202E",
        "multidimensional arrays must have sub-arrays with matching dimensions",
    )
    .hint("Unnest the column, or cast it to text.")
}

fn array(list: &ListCells, row: usize, out: &mut BytesMut) -> Result<(), ServerError> {
    let extents = dimensions(list, row)?;
    out.put_i32(i32::from(count(extents.len())?));
    let flags_at = out.len();
    out.put_i32(0);
    out.put_u32(list.element_type.oid);
    for extent in &extents {
        let extent =
            i32::try_from(*extent).map_err(|_| ServerError::new("54000", "array too large"))?;
        out.put_i32(extent);
        out.put_i32(1);
    }
    if !extents.is_empty() && elements(list, row, out)? {
        out[flags_at + 3] = 1;
    }
    Ok(())
}

/// Appends the elements of one row depth first; true when one of them is NULL.
fn elements(list: &ListCells, row: usize, out: &mut BytesMut) -> Result<bool, ServerError> {
    let (from, to) = list.ranges.get(row).copied().unwrap_or_default();
    let mut has_null = false;
    for element in from..to {
        if let Kind::List(inner) = &list.elements.kind {
            has_null |= elements(inner, element, out)?;
        } else if list.elements.is_null(element) {
            has_null = true;
            out.put_i32(-1);
        } else {
            let start = out.len();
            out.put_i32(0);
            list.elements.binary(element, out)?;
            patch_length(out, start, start + 4)?;
        }
    }
    Ok(has_null)
}

/// Writes the binary form of a value that arrived as the text form of its type: the types that
/// catalog results have.
fn from_text(text: &str, pg_type: PgType, out: &mut BytesMut) -> Result<(), ServerError> {
    let bad = || ServerError::internal(format!("{text:?} is no {}", pg_type.sql_name()));
    if let Some(element) = pg_type.element() {
        return array_from_text(text, element, out);
    }
    if pg_type.is_oid_like() {
        // A reg* value that was printed as a name has no number here: 0, as for "-".
        out.put_u32(text.parse().unwrap_or(0));
        return Ok(());
    }
    match pg_type {
        PgType::BOOL => out.put_u8(u8::from(matches!(text, "t" | "true"))),
        // Always a byte, which no letter has when there is none.
        PgType::CHAR => out.put_u8(text.bytes().next().unwrap_or(0)),
        PgType::INT2 => out.put_i16(text.parse().map_err(|_| bad())?),
        PgType::INT4 => out.put_i32(text.parse().map_err(|_| bad())?),
        PgType::INT8 => out.put_i64(text.parse().map_err(|_| bad())?),
        PgType::FLOAT4 => out.put_f32(text.parse().map_err(|_| bad())?),
        PgType::FLOAT8 => out.put_f64(text.parse().map_err(|_| bad())?),
        PgType::NUMERIC => {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let scale = i8::try_from(fraction.len()).map_err(|_| bad())?;
            numeric(&format!("{whole}{fraction}"), scale, out)?;
        }
        PgType::JSONB => {
            out.put_u8(1);
            out.put_slice(text.as_bytes());
        }
        PgType::UUID => {
            let id = uuid::Uuid::parse_str(text).map_err(|_| bad())?;
            out.put_slice(id.as_bytes());
        }
        PgType::INET => Inet::parse(text).ok_or_else(bad)?.send(out),
        PgType::BIT => bits(text, out)?,
        _ => out.put_slice(text.as_bytes()),
    }
    Ok(())
}

/// How many bits, and they from the highest of the first byte on.
fn bits(text: &str, out: &mut BytesMut) -> Result<(), ServerError> {
    let many = i32::try_from(text.len());
    out.put_i32(many.map_err(|_| ServerError::new("54000", "too many bits"))?);
    for byte in text.as_bytes().chunks(8) {
        let of = |(at, bit): (usize, &u8)| u8::from(*bit == b'1') << (7 - at);
        out.put_u8(byte.iter().enumerate().map(of).sum());
    }
    Ok(())
}

fn array_from_text(text: &str, element: PgType, out: &mut BytesMut) -> Result<(), ServerError> {
    let items = split_array(text);
    out.put_i32(i32::from(!items.is_empty()));
    out.put_i32(i32::from(items.iter().any(Option::is_none)));
    out.put_u32(element.oid);
    if !items.is_empty() {
        out.put_i32(i32::from(count(items.len())?));
        out.put_i32(1);
    }
    for item in items {
        let Some(item) = item else {
            out.put_i32(-1);
            continue;
        };
        let start = out.len();
        out.put_i32(0);
        from_text(&item, element, out)?;
        patch_length(out, start, start + 4)?;
    }
    Ok(())
}

/// Splits `{a,"b c",NULL}` (one dimension) or a space-separated vector into its elements.
fn split_array(text: &str) -> Vec<Option<String>> {
    let Some(inner) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) else {
        return text
            .split_ascii_whitespace()
            .map(|item| Some(item.to_owned()))
            .collect();
    };
    let mut items = Vec::new();
    let (mut item, mut quoted, mut was_quoted) = (String::new(), false, false);
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => item.extend(chars.next()),
            '"' => {
                quoted = !quoted;
                was_quoted = true;
            }
            ',' if !quoted => items.push(finish(&mut item, &mut was_quoted)),
            // Spaces around an element are not of it.
            c if c.is_ascii_whitespace() && !quoted && (was_quoted || item.is_empty()) => {}
            _ => item.push(c),
        }
    }
    if !inner.is_empty() {
        items.push(finish(&mut item, &mut was_quoted));
    }
    items
}

fn finish(item: &mut String, was_quoted: &mut bool) -> Option<String> {
    let text = std::mem::take(item);
    let quoted = std::mem::take(was_quoted);
    match quoted {
        true => Some(text),
        false if text.trim_end().eq_ignore_ascii_case("null") => None,
        false => Some(text.trim_end().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numerics_are_groups_of_four_digits() {
        let table: [(&str, i8, &[i16]); 6] = [
            ("0", 0, &[0, 0, 0, 0]),
            ("1", 0, &[1, 0, 0, 0, 1]),
            ("12345678", 0, &[2, 1, 0, 0, 1234, 5678]),
            ("12345", 2, &[2, 0, 0, 2, 123, 4500]),
            ("5", 4, &[1, -1, 0, 4, 5]),
            ("-10000", 0, &[1, 1, 0x4000, 0, 1]),
        ];
        for (unscaled, scale, expected) in table {
            let mut out = BytesMut::new();
            numeric(unscaled, scale, &mut out).unwrap();
            let words: Vec<i16> = out
                .chunks(2)
                .map(|w| i16::from_be_bytes([w[0], w[1]]))
                .collect();
            assert_eq!(words, expected, "{unscaled} scale {scale}");
        }
    }

    #[test]
    fn array_text_splits_into_elements() {
        assert_eq!(
            split_array("{a,\"b c\",NULL,\"NULL\"}"),
            [
                Some("a".to_owned()),
                Some("b c".into()),
                None,
                Some("NULL".into())
            ]
        );
        assert_eq!(split_array("{}"), Vec::<Option<String>>::new());
        assert_eq!(split_array("1 2"), [Some("1".to_owned()), Some("2".into())]);
    }
}
