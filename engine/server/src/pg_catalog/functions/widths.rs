//! What `information_schema` tells of types and their modifiers, and the functions that its views and clients ask.

use super::super::value::Value;
use crate::pg_types::oid;

/// Most bytes of a value of any length.
const LONGEST: i64 = 1 << 30;
/// Most bytes of a character.
const WIDEST: i64 = 4;

/// The characters that a value may have; None: any number of them.
pub(in crate::pg_catalog) fn characters(ty: u32, typmod: i32) -> Option<i64> {
    match ty {
        oid::BPCHAR | oid::VARCHAR if typmod >= 0 => Some(i64::from(typmod - 4)),
        _ => None,
    }
}

/// The bytes that a text may have.
pub(in crate::pg_catalog) fn octets(ty: u32, typmod: i32) -> Option<i64> {
    match ty {
        oid::TEXT | oid::BPCHAR | oid::VARCHAR => Some(match characters(ty, typmod) {
            Some(characters) => characters * WIDEST,
            None => LONGEST,
        }),
        _ => None,
    }
}

/// The digits of a number, in its radix.
pub(in crate::pg_catalog) fn precision(ty: u32, typmod: i32) -> Option<i64> {
    match ty {
        oid::INT2 => Some(16),
        oid::INT4 => Some(32),
        oid::INT8 => Some(64),
        oid::FLOAT4 => Some(24),
        oid::FLOAT8 => Some(53),
        oid::NUMERIC if typmod >= 4 => Some(i64::from(((typmod - 4) >> 16) & 0xffff)),
        _ => None,
    }
}

/// What the digits of a number count.
pub(in crate::pg_catalog) fn radix(ty: u32) -> Option<i64> {
    match ty {
        oid::INT2 | oid::INT4 | oid::INT8 | oid::FLOAT4 | oid::FLOAT8 => Some(2),
        oid::NUMERIC => Some(10),
        _ => None,
    }
}

/// The digits behind the point.
pub(in crate::pg_catalog) fn scale(ty: u32, typmod: i32) -> Option<i64> {
    match ty {
        oid::INT2 | oid::INT4 | oid::INT8 => Some(0),
        oid::NUMERIC if typmod >= 4 => Some(i64::from((typmod - 4) & 0x7ff)),
        _ => None,
    }
}

/// The digits of a time's seconds.
pub(in crate::pg_catalog) fn seconds(ty: u32, typmod: i32) -> Option<i64> {
    match ty {
        oid::DATE => Some(0),
        oid::TIME | oid::TIMETZ | oid::TIMESTAMP | oid::TIMESTAMPTZ => {
            Some(i64::from(if typmod < 0 { 6 } else { typmod }))
        }
        oid::INTERVAL => Some(match typmod < 0 || typmod & 0xffff == 0xffff {
            true => 6,
            false => i64::from(typmod & 0xffff),
        }),
        _ => None,
    }
}

/// Calls a function of `information_schema` about types; None for any other.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Value> {
    let number = |value: Option<i64>| value.map_or(Value::Null, Value::Int);
    let ty = args.first().and_then(Value::as_oid);
    let typmod = args.get(1).and_then(Value::as_int);
    let typmod = typmod.and_then(|typmod| i32::try_from(typmod).ok());
    let of =
        |tell: fn(u32, i32) -> Option<i64>| number(ty.zip(typmod).and_then(|(t, m)| tell(t, m)));
    Some(match name {
        "_pg_truetypid" => of_column(args, "atttypid", "typbasetype"),
        "_pg_truetypmod" => of_column(args, "atttypmod", "typtypmod"),
        "_pg_char_max_length" => of(characters),
        "_pg_char_octet_length" => of(octets),
        "_pg_numeric_precision" => of(precision),
        "_pg_numeric_precision_radix" => of(|ty, _| radix(ty)),
        "_pg_numeric_scale" => of(scale),
        "_pg_datetime_precision" => of(seconds),
        // There are no indexes, and no intervals of some fields only.
        "_pg_index_position" | "_pg_interval_type" => Value::Null,
        _ => return None,
    })
}

/// What a row of `pg_attribute` says, or for a domain the row of `pg_type`.
fn of_column(args: &[Value], of_attribute: &str, of_domain: &str) -> Value {
    let field = |row: usize, name: &str| {
        let Some(Value::Record(record)) = args.get(row) else {
            return None;
        };
        let at = record.names.iter().position(|known| &**known == name)?;
        record.values.get(at).cloned()
    };
    let is_domain = field(1, "typtype").is_some_and(|kind| kind.as_str() == Some("d"));
    let found = match is_domain {
        true => field(1, of_domain),
        false => field(0, of_attribute),
    };
    found.unwrap_or(Value::Null)
}
