//! Names as PostgreSQL writes them: types, quoted identifiers, quoted literals, sizes.

use super::builtin::builtin;
use crate::pg_types::oid;

/// Quotes an identifier when it needs quotes.
pub(crate) fn quote_ident(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !builtin()
            .keywords
            .iter()
            .any(|(word, kind, _)| word == name && *kind != 'U');
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Whether no column and no type is called so without quotes.
pub(crate) fn is_reserved(word: &str) -> bool {
    let mut words = builtin().keywords.iter();
    words.any(|(known, kind, _)| known == word && *kind == 'R')
}

/// Quotes a literal; a backslash switches to the `E''` form.
pub(crate) fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') {
        format!("E'{}'", doubled.replace('\\', "\\\\"))
    } else {
        format!("'{doubled}'")
    }
}

/// The SQL spelling of a built-in type without modifier: `integer`, `text[]`, `"char"`.
pub(crate) fn sql_name(ty: u32) -> String {
    let spelled = match ty {
        oid::BOOL => "boolean",
        oid::CHAR => "\"char\"",
        oid::INT2 => "smallint",
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        oid::FLOAT4 => "real",
        oid::FLOAT8 => "double precision",
        oid::NUMERIC => "numeric",
        oid::BPCHAR => "character",
        oid::VARCHAR => "character varying",
        oid::TIME => "time without time zone",
        oid::TIMETZ => "time with time zone",
        oid::TIMESTAMP => "timestamp without time zone",
        oid::TIMESTAMPTZ => "timestamp with time zone",
        oid::INTERVAL => "interval",
        1560 => "bit",
        1562 => "bit varying",
        _ => return array_or_plain(ty),
    };
    spelled.to_owned()
}

fn array_or_plain(ty: u32) -> String {
    match builtin().type_of(ty) {
        Some(t) if t.element != 0 && t.category == 'A' && t.name.starts_with('_') => {
            format!("{}[]", sql_name(t.element))
        }
        Some(t) if t.schema == "pg_catalog" => quote_ident(&t.name),
        Some(t) => format!("{}.{}", t.schema, quote_ident(&t.name)),
        None => "???".to_owned(),
    }
}

/// `format_type` of a built-in type with its modifier.
pub(crate) fn format_builtin(ty: u32, typmod: Option<i32>) -> String {
    if let Some(t) = builtin().type_of(ty)
        && t.name.starts_with('_')
        && t.element != 0
    {
        return format!("{}[]", format_builtin(t.element, typmod));
    }
    let name = sql_name(ty);
    match typmod {
        None => name,
        Some(m) if m < 0 => {
            // bpchar without a modifier is not character(1).
            if ty == oid::BPCHAR {
                "bpchar".to_owned()
            } else {
                name
            }
        }
        Some(m) => match ty {
            oid::BPCHAR | oid::VARCHAR => format!("{name}({})", m - 4),
            oid::NUMERIC => format!(
                "{name}({},{})",
                ((m - 4) >> 16) & 0xffff,
                (((m - 4) & 0x7ff) ^ 1024) - 1024
            ),
            oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TIME | oid::TIMETZ => {
                match name.split_once(' ') {
                    Some((first, rest)) => format!("{first}({m}) {rest}"),
                    None => name,
                }
            }
            1560 | 1562 => format!("{name}({m})"),
            _ => name,
        },
    }
}

/// `pg_size_pretty`: 8192 bytes, 10 kB, 1234 MB.
pub(crate) fn pretty_size(bytes: i64) -> String {
    let mut size = i128::from(bytes);
    if size.abs() < 10 * 1024 {
        return format!("{size} bytes");
    }
    let mut half = false;
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
        // One bit is kept for rounding.
        size >>= if half { 10 } else { 9 };
        half = true;
        if size.abs() < 20 * 1024 - 1 || unit == "PB" {
            let rounded = (size + size.signum()) / 2;
            return format!("{rounded} {unit}");
        }
    }
    format!("{bytes} bytes")
}
