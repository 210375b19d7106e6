//! Text forms, as PostgreSQL's output functions print them.

use std::fmt::Write as _;

use arrow::datatypes::IntervalMonthDayNano;
use bytes::{BufMut, BytesMut};

use super::TextStyle;
use super::cells::{Cells, FieldCells, Kind, ListCells};
use super::dates::{date, time, timestamp};
use super::json;
use super::number::{FloatTexts, NumberText, integer, of_own_digits};
use crate::sqlstate::ServerError;

impl Cells {
    /// Appends the text form of the value in `row`, which is not NULL.
    pub(crate) fn text(
        &self,
        row: usize,
        style: &TextStyle,
        out: &mut BytesMut,
    ) -> Result<(), ServerError> {
        match &self.kind {
            Kind::Null => {}
            Kind::Bool(a) => out.put_u8(if a.value(row) { b't' } else { b'f' }),
            Kind::Int2(_) | Kind::Int4(_) | Kind::Int8(_) | Kind::Oid(_) => {
                self.number(row, style, out);
            }
            Kind::Float4(_) | Kind::Float8(_) => self.number(row, style, out),
            Kind::UInt8(a) => display(a.value(row), out),
            Kind::Numeric128(a, scale) => decimal(&a.value(row).to_string(), *scale, out),
            Kind::Numeric256(a, scale) => decimal(&a.value(row).to_string(), *scale, out),
            Kind::Free(a, scale) => {
                let (unscaled, scale) = of_own_digits(&a.value(row).to_string(), *scale);
                decimal(&unscaled, scale, out);
            }
            Kind::Utf8(a) | Kind::TextOf(a, _) | Kind::Forms(a, _) => {
                out.put_slice(a.value(row).as_bytes())
            }
            Kind::LargeUtf8(a) => out.put_slice(a.value(row).as_bytes()),
            Kind::Utf8View(a) => out.put_slice(a.value(row).as_bytes()),
            Kind::Binary(a) => bytea(a.value(row), style, out),
            Kind::LargeBinary(a) => bytea(a.value(row), style, out),
            Kind::BinaryView(a) => bytea(a.value(row), style, out),
            Kind::FixedBinary(a) => bytea(a.value(row), style, out),
            Kind::Uuid(a) => uuid(a.value(row), out),
            Kind::Date(a) => date(i64::from(a.value(row)), style, out),
            Kind::Time(a) => time(a.value(row), out),
            Kind::Timestamp(a) => timestamp(a.value(row), false, style, out),
            Kind::TimestampTz(a) => timestamp(a.value(row), true, style, out),
            Kind::Interval(a) => interval(a.value(row), style, out),
            Kind::Duration(a) => style.intervals.put(0, 0, a.value(row), out),
            Kind::List(list) => array(list, row, style, out)?,
            Kind::Struct(fields) => record(fields, row, style, out)?,
            Kind::Map(_) => json::value(self, row, style, out)?,
        }
        Ok(())
    }

    /// Appends the text form of an integer or floating-point number.
    fn number(&self, row: usize, style: &TextStyle, out: &mut BytesMut) {
        let mut floats = FloatTexts::forgetful(style.fewer_float_digits);
        if let Some(number) = self.number_text(row, &mut floats) {
            out.put_slice(number.as_bytes());
        }
    }

    /// The text form of the value in `row`, which is not NULL; None when the column is not of
    /// integers or floating-point numbers.
    #[inline]
    pub(super) fn number_text(&self, row: usize, floats: &mut FloatTexts) -> Option<NumberText> {
        Some(match &self.kind {
            Kind::Int2(a) => integer(i64::from(a.value(row))),
            Kind::Int4(a) => integer(i64::from(a.value(row))),
            Kind::Int8(a) => integer(a.value(row)),
            Kind::Oid(a) => integer(i64::from(a.value(row))),
            Kind::Float4(a) => floats.float4(a.value(row)),
            Kind::Float8(a) => floats.float8(a.value(row)),
            _ => return None,
        })
    }

    /// The bytes of the value in `row` when they are both its text and its binary form.
    #[inline]
    pub(super) fn same_bytes(&self, row: usize) -> Option<&[u8]> {
        Some(match &self.kind {
            Kind::Utf8(a) => a.value(row).as_bytes(),
            Kind::LargeUtf8(a) => a.value(row).as_bytes(),
            Kind::Utf8View(a) => a.value(row).as_bytes(),
            _ => return None,
        })
    }

    /// Whether the column holds floating-point numbers.
    pub(super) fn is_float(&self) -> bool {
        matches!(self.kind, Kind::Float4(_) | Kind::Float8(_))
    }
}

fn display(value: impl std::fmt::Display, out: &mut BytesMut) {
    // Writing to a BytesMut cannot fail: it grows.
    let _ = write!(out, "{value}");
}

/// Places the decimal point of an unscaled integer printed in base 10.
fn decimal(unscaled: &str, scale: i8, out: &mut BytesMut) {
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", unscaled),
    };
    out.put_slice(sign.as_bytes());
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.put_slice(digits.as_bytes());
        out.put_bytes(b'0', if digits == "0" { 0 } else { places });
    } else if digits.len() <= places {
        out.put_slice(b"0.");
        out.put_bytes(b'0', places - digits.len());
        out.put_slice(digits.as_bytes());
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - places);
        out.put_slice(whole.as_bytes());
        out.put_u8(b'.');
        out.put_slice(fraction.as_bytes());
    }
}

pub(crate) fn bytea(value: &[u8], style: &TextStyle, out: &mut BytesMut) {
    if style.bytea_escape {
        return bytea_escape(value, out);
    }
    out.reserve(2 + 2 * value.len());
    out.put_slice(b"\\x");
    hex(value, out);
}

fn bytea_escape(value: &[u8], out: &mut BytesMut) {
    for byte in value {
        match byte {
            b'\\' => out.put_slice(b"\\\\"),
            0x20..=0x7e => out.put_u8(*byte),
            _ => display(format_args!("\\{byte:03o}"), out),
        }
    }
}

fn hex(value: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in value {
        out.put_u8(DIGITS[usize::from(byte >> 4)]);
        out.put_u8(DIGITS[usize::from(byte & 15)]);
    }
}

fn uuid(value: &[u8], out: &mut BytesMut) {
    for (number, cut) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if number > 0 {
            out.put_u8(b'-');
        }
        hex(value.get(cut).unwrap_or_default(), out);
    }
}

fn interval(value: IntervalMonthDayNano, style: &TextStyle, out: &mut BytesMut) {
    let micros = value.nanoseconds / 1_000;
    style.intervals.put(value.months, value.days, micros, out);
}

pub(super) fn interval_parts(months: i32, days: i32, micros: i64, out: &mut BytesMut) {
    let start = out.len();
    let mut negative_before = false;
    for (count, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if count == 0 {
            continue;
        }
        let space = if out.len() > start { " " } else { "" };
        let plus = if negative_before && count > 0 {
            "+"
        } else {
            ""
        };
        let plural = if count == 1 { "" } else { "s" };
        display(format_args!("{space}{plus}{count} {unit}{plural}"), out);
        negative_before = count < 0;
    }
    if micros != 0 || out.len() == start {
        let space = if out.len() > start { " " } else { "" };
        let sign = match (micros < 0, negative_before) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        display(format_args!("{space}{sign}"), out);
        time(
            i64::try_from(micros.unsigned_abs()).unwrap_or(i64::MAX),
            out,
        );
    }
}

/// `{1,2,NULL}`, quoted where PostgreSQL quotes; nested lists give nested braces.
fn array(
    list: &ListCells,
    row: usize,
    style: &TextStyle,
    out: &mut BytesMut,
) -> Result<(), ServerError> {
    super::binary::dimensions(list, row)?;
    braces(list, row, style, &mut BytesMut::new(), out)
}

fn braces(
    list: &ListCells,
    row: usize,
    style: &TextStyle,
    scratch: &mut BytesMut,
    out: &mut BytesMut,
) -> Result<(), ServerError> {
    let (from, to) = list.ranges.get(row).copied().unwrap_or_default();
    out.put_u8(b'{');
    for element in from..to {
        if element > from {
            out.put_u8(b',');
        }
        if list.elements.is_null(element) {
            out.put_slice(b"NULL");
        } else if let Kind::List(inner) = &list.elements.kind {
            braces(inner, element, style, scratch, out)?;
        } else {
            scratch.clear();
            list.elements.text(element, style, scratch)?;
            quoted_element(scratch, out);
        }
    }
    out.put_u8(b'}');
    Ok(())
}

/// `(1,"b c",)`: nothing for NULL, quoted where PostgreSQL quotes, quotes and backslashes twice.
fn record(
    fields: &[FieldCells],
    row: usize,
    style: &TextStyle,
    out: &mut BytesMut,
) -> Result<(), ServerError> {
    let mut scratch = BytesMut::new();
    out.put_u8(b'(');
    for (number, field) in fields.iter().enumerate() {
        if number > 0 {
            out.put_u8(b',');
        }
        if field.cells.is_null(row) {
            continue;
        }
        scratch.clear();
        field.cells.text(row, style, &mut scratch)?;
        let special = |byte: &u8| matches!(byte, b'(' | b')' | b',' | b'"' | b'\\' | 9..=13 | b' ');
        if !scratch.is_empty() && !scratch.iter().any(special) {
            out.put_slice(&scratch);
            continue;
        }
        out.put_u8(b'"');
        for byte in &scratch {
            if matches!(byte, b'"' | b'\\') {
                out.put_u8(*byte);
            }
            out.put_u8(*byte);
        }
        out.put_u8(b'"');
    }
    out.put_u8(b')');
    Ok(())
}

fn quoted_element(text: &[u8], out: &mut BytesMut) {
    if !needs_quotes(text) {
        return out.put_slice(text);
    }
    out.put_u8(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.put_u8(b'\\');
        }
        out.put_u8(*byte);
    }
    out.put_u8(b'"');
}

fn needs_quotes(text: &[u8]) -> bool {
    let special = |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\' | 9..=13 | b' ');
    text.is_empty() || text.eq_ignore_ascii_case(b"null") || text.iter().any(special)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn decimals_keep_their_scale() {
        let table = [
            ("12345", 2, "123.45"),
            ("-5", 3, "-0.005"),
            ("7", -2, "700"),
            ("0", 2, "0.00"),
        ];
        for (unscaled, scale, text) in table {
            assert_eq!(print(|out| decimal(unscaled, scale, out)), text);
        }
    }

    #[test]
    fn intervals_print_in_postgres_style() {
        let table = [
            (14, 3, 14_706_789_000, "1 year 2 mons 3 days 04:05:06.789"),
            (-1, 1, 0, "-1 mons +1 day"),
            (0, 0, 0, "00:00:00"),
            (0, -1, 1_000_000, "-1 days +00:00:01"),
        ];
        for (months, days, micros, text) in table {
            assert_eq!(print(|out| interval_parts(months, days, micros, out)), text);
        }
    }

    #[test]
    fn array_elements_are_quoted_when_ambiguous() {
        let table = [
            ("a", "a"),
            ("b c", "\"b c\""),
            ("", "\"\""),
            ("null", "\"null\""),
            ("x\"y", "\"x\\\"y\""),
        ];
        for (text, quoted) in table {
            assert_eq!(print(|out| quoted_element(text.as_bytes(), out)), quoted);
        }
    }
}
