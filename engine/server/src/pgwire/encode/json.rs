//! JSON forms of structs, maps and what they hold.

use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};

use super::TextStyle;
use super::cells::{Cells, Kind};
use crate::sqlstate::ServerError;

/// Appends the JSON form of the value in `row`; `null` when it is NULL.
pub(super) fn value(
    cells: &Cells,
    row: usize,
    style: &TextStyle,
    out: &mut BytesMut,
) -> Result<(), ServerError> {
    if cells.is_null(row) {
        out.put_slice(b"null");
        return Ok(());
    }
    match &cells.kind {
        Kind::Bool(a) => out.put_slice(if a.value(row) { b"true" } else { b"false" }),
        Kind::Int2(_) | Kind::Int4(_) | Kind::Int8(_) | Kind::UInt8(_) | Kind::Oid(_) => {
            cells.text(row, style, out)?;
        }
        Kind::Numeric128(..) | Kind::Numeric256(..) | Kind::Free(..) => {
            cells.text(row, style, out)?
        }
        Kind::Float4(a) if a.value(row).is_finite() => cells.text(row, style, out)?,
        Kind::Float8(a) if a.value(row).is_finite() => cells.text(row, style, out)?,
        Kind::List(list) => {
            let (from, to) = list.ranges.get(row).copied().unwrap_or_default();
            out.put_u8(b'[');
            for element in from..to {
                comma(element > from, out);
                value(&list.elements, element, style, out)?;
            }
            out.put_u8(b']');
        }
        Kind::Struct(fields) => {
            out.put_u8(b'{');
            for (number, field) in fields.iter().enumerate() {
                comma(number > 0, out);
                string(&field.name, out);
                out.put_u8(b':');
                value(&field.cells, row, style, out)?;
            }
            out.put_u8(b'}');
        }
        Kind::Map(map) => {
            let (from, to) = map.ranges.get(row).copied().unwrap_or_default();
            out.put_u8(b'{');
            for entry in from..to {
                comma(entry > from, out);
                scalar(&map.keys, entry, style, out)?;
                out.put_u8(b':');
                value(&map.values, entry, style, out)?;
            }
            out.put_u8(b'}');
        }
        _ => scalar(cells, row, style, out)?,
    }
    Ok(())
}

fn comma(wanted: bool, out: &mut BytesMut) {
    if wanted {
        out.put_u8(b',');
    }
}

/// The text form of a value as a JSON string.
fn scalar(
    cells: &Cells,
    row: usize,
    style: &TextStyle,
    out: &mut BytesMut,
) -> Result<(), ServerError> {
    let mut text = BytesMut::new();
    cells.text(row, &style.in_json(), &mut text)?;
    string(&String::from_utf8_lossy(&text), out);
    Ok(())
}

fn string(text: &str, out: &mut BytesMut) {
    out.put_u8(b'"');
    for c in text.chars() {
        match c {
            '"' => out.put_slice(b"\\\""),
            '\\' => out.put_slice(b"\\\\"),
            '\n' => out.put_slice(b"\\n"),
            '\r' => out.put_slice(b"\\r"),
            '\t' => out.put_slice(b"\\t"),
            c if u32::from(c) < 0x20 => {
                // Writing to a BytesMut cannot fail: it grows.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.put_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.put_u8(b'"');
}
