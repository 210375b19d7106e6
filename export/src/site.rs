//! The fixed columns of a record as VCF text: CHROM to INFO.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Int32Type};
use genokura_core::codec::array::{write_float, write_integer};
use genokura_core::schema::{FieldDef, FieldType, Number};
use genokura_exec::records::{InfoRows, RecordView};

/// AC by ALT and AN of the selected samples, which take the place of what INFO says of all.
pub(crate) type Recount<'a> = (&'a [i32], i32);

/// Appends CHROM to INFO with tabs between them, as the record had them.
pub(crate) fn write_site(record: &RecordView<'_>, recount: Option<Recount<'_>>, out: &mut Vec<u8>) {
    out.extend_from_slice(record.contig().as_bytes());
    out.push(b'\t');
    write_integer(record.pos(), out);
    out.push(b'\t');
    let start = out.len();
    record.for_each_id(|id| joined(id, b';', start, out));
    or_missing(start, out);
    out.push(b'\t');
    out.extend_from_slice(record.reference().as_bytes());
    out.push(b'\t');
    let start = out.len();
    record.for_each_alt(|alt| joined(alt, b',', start, out));
    or_missing(start, out);
    out.push(b'\t');
    match record.qual() {
        Some(qual) => write_float(qual, out),
        None => out.push(b'.'),
    }
    out.push(b'\t');
    let start = out.len();
    record.for_each_filter(|filter| joined(filter, b';', start, out));
    or_missing(start, out);
    out.push(b'\t');
    write_info(record, recount, out);
}

fn joined(text: &str, separator: u8, start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(separator);
    }
    out.extend_from_slice(text.as_bytes());
}

fn or_missing(start: usize, out: &mut Vec<u8>) {
    if out.len() == start {
        out.push(b'.');
    }
}

fn key_of(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(key, _)| key)
}

/// INFO in the record's order. AC and AN of a recount stand where they stood, else at the end, as
/// `bcftools view --samples` has it.
fn write_info(record: &RecordView<'_>, recount: Option<Recount<'_>>, out: &mut Vec<u8>) {
    let start = out.len();
    let mut raw = record
        .info_raw()
        .into_iter()
        .flat_map(|raw| raw.split(';'))
        .peekable();
    let (mut has_ac, mut has_an) = (false, false);
    for key in record
        .info_order()
        .into_iter()
        .flat_map(|order| order.split(';'))
    {
        let kept = raw.next_if(|entry| key_of(entry) == key);
        let seen = match key {
            "AC" => Some(&mut has_ac),
            "AN" => Some(&mut has_an),
            _ => None,
        };
        if let (Some((ac, an)), Some(seen)) = (recount, seen) {
            if !std::mem::replace(seen, true) {
                write_count(key, ac, an, start, out);
            }
            continue;
        }
        if !record.shows_info(key) {
            continue;
        }
        match kept {
            Some(entry) => joined(entry, b';', start, out),
            None => write_entry(record, key, start, out),
        }
    }
    if let Some((ac, an)) = recount {
        for (key, seen) in [("AC", has_ac), ("AN", has_an)] {
            if !seen {
                write_count(key, ac, an, start, out);
            }
        }
    }
    or_missing(start, out);
}

fn write_count(key: &str, ac: &[i32], an: i32, start: usize, out: &mut Vec<u8>) {
    let values = match key {
        "AC" => ac,
        _ => &[an][..],
    };
    if values.is_empty() {
        return;
    }
    joined(key, b';', start, out);
    for (i, value) in values.iter().enumerate() {
        out.push(if i == 0 { b'=' } else { b',' });
        write_integer(*value, out);
    }
}

/// The text of a key's value; nothing where the record has none.
pub(crate) fn write_value_of(record: &RecordView<'_>, key: &str, out: &mut Vec<u8>) {
    let mut raw = record.info_raw().into_iter().flat_map(|raw| raw.split(';'));
    match raw.find(|entry| key_of(entry) == key) {
        Some(entry) => {
            let value = entry.split_once('=').map_or("", |(_, value)| value);
            out.extend_from_slice(value.as_bytes());
        }
        None => {
            if let Some((def, rows)) = record.info(key) {
                write_values(def, rows, out);
            }
        }
    }
}

fn write_entry(record: &RecordView<'_>, key: &str, start: usize, out: &mut Vec<u8>) {
    joined(key, b';', start, out);
    let Some((def, rows)) = record.info(key) else {
        return out.extend_from_slice(b"=.");
    };
    if def.ty == FieldType::Flag {
        return;
    }
    out.push(b'=');
    let value_start = out.len();
    write_values(def, rows, out);
    or_missing(value_start, out);
}

/// The values of all ALTs; nothing when there is none.
fn write_values(def: &FieldDef, rows: InfoRows<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    let Some((column, row)) = rows.get(0) else {
        return;
    };
    match def.number {
        Number::A => {
            if rows.iter().all(|(column, row)| column.is_null(row)) {
                return;
            }
            for (column, row) in rows.iter() {
                comma(start, out);
                write_scalar(column, row, out);
            }
        }
        Number::R => {
            if column.is_null(row) {
                return;
            }
            write_item(column, row, 0, out);
            for (column, row) in rows.iter().filter(|(c, r)| length(c, *r) > 1) {
                comma(start, out);
                write_item(column, row, 1, out);
            }
        }
        _ if column.is_null(row) => {}
        _ if matches!(column.data_type(), DataType::List(_)) => {
            for i in 0..length(column, row) {
                comma(start, out);
                write_item(column, row, i, out);
            }
        }
        _ => write_scalar(column, row, out),
    }
}

fn comma(start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b',');
    }
}

fn length(column: &ArrayRef, row: usize) -> usize {
    let lists = column.as_list::<i32>();
    match lists.is_valid(row) {
        true => usize::try_from(lists.value_length(row)).unwrap_or(0),
        false => 0,
    }
}

fn write_item(column: &ArrayRef, row: usize, item: usize, out: &mut Vec<u8>) {
    let lists = column.as_list::<i32>();
    let first = usize::try_from(lists.value_offsets()[row]).unwrap_or(usize::MAX);
    write_scalar(lists.values(), first.saturating_add(item), out);
}

fn write_scalar(column: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    if row >= column.len() || column.is_null(row) {
        return out.push(b'.');
    }
    match column.data_type() {
        DataType::Int32 => write_integer(column.as_primitive::<Int32Type>().value(row), out),
        DataType::Float32 => write_float(column.as_primitive::<Float32Type>().value(row), out),
        DataType::Utf8 => out.extend_from_slice(column.as_string::<i32>().value(row).as_bytes()),
        _ => out.push(b'.'),
    }
}
