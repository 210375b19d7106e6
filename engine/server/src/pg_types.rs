//! Which PostgreSQL type a column of an Arrow type is shown as: the one mapping RowDescription, COPY and `pg_attribute` share.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};

/// OIDs of the built-in PostgreSQL types this server speaks of.
pub mod oid {
    #![allow(
        missing_docs,
        reason = "each constant is the type of its name in pg_type"
    )]
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT2VECTOR: u32 = 22;
    pub const INT4: u32 = 23;
    pub const REGPROC: u32 = 24;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const TID: u32 = 27;
    pub const XID: u32 = 28;
    pub const CID: u32 = 29;
    pub const OIDVECTOR: u32 = 30;
    pub const JSON: u32 = 114;
    pub const PG_NODE_TREE: u32 = 194;
    pub const JSON_ARRAY: u32 = 199;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const BOOL_ARRAY: u32 = 1000;
    pub const BYTEA_ARRAY: u32 = 1001;
    pub const CHAR_ARRAY: u32 = 1002;
    pub const NAME_ARRAY: u32 = 1003;
    pub const INT2_ARRAY: u32 = 1005;
    pub const INT4_ARRAY: u32 = 1007;
    pub const TEXT_ARRAY: u32 = 1009;
    pub const BPCHAR_ARRAY: u32 = 1014;
    pub const VARCHAR_ARRAY: u32 = 1015;
    pub const INT8_ARRAY: u32 = 1016;
    pub const FLOAT4_ARRAY: u32 = 1021;
    pub const FLOAT8_ARRAY: u32 = 1022;
    pub const OID_ARRAY: u32 = 1028;
    pub const ACLITEM: u32 = 1033;
    pub const ACLITEM_ARRAY: u32 = 1034;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMP_ARRAY: u32 = 1115;
    pub const DATE_ARRAY: u32 = 1182;
    pub const TIME_ARRAY: u32 = 1183;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const TIMESTAMPTZ_ARRAY: u32 = 1185;
    pub const INTERVAL: u32 = 1186;
    pub const INTERVAL_ARRAY: u32 = 1187;
    pub const NUMERIC_ARRAY: u32 = 1231;
    pub const TIMETZ: u32 = 1266;
    pub const NUMERIC: u32 = 1700;
    pub const REFCURSOR: u32 = 1790;
    pub const REGPROCEDURE: u32 = 2202;
    pub const REGOPER: u32 = 2203;
    pub const REGOPERATOR: u32 = 2204;
    pub const REGCLASS: u32 = 2205;
    pub const REGTYPE: u32 = 2206;
    pub const RECORD: u32 = 2249;
    pub const CSTRING: u32 = 2275;
    pub const ANY: u32 = 2276;
    pub const ANYARRAY: u32 = 2277;
    pub const VOID: u32 = 2278;
    pub const ANYELEMENT: u32 = 2283;
    pub const RECORD_ARRAY: u32 = 2287;
    pub const ANYNONARRAY: u32 = 2776;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
    pub const JSONB_ARRAY: u32 = 3807;
    pub const REGCONFIG: u32 = 3734;
    pub const REGNAMESPACE: u32 = 4089;
    pub const REGROLE: u32 = 4096;
    pub const REGCOLLATION: u32 = 4191;
}

/// How PostgreSQL describes a column: type OID, `typlen` (-1 = variable) and type modifier (-1 = none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PgType {
    /// OID of the type in `pg_type`.
    pub oid: u32,
    /// Size in bytes, -1 for variable length: `typlen`.
    pub len: i16,
    /// Type modifier, -1 for none: numeric(p,s) is `((p << 16) | s) + 4`, timestamp(n) is n.
    pub typmod: i32,
}

impl PgType {
    const fn new(oid: u32, len: i16) -> Self {
        Self {
            oid,
            len,
            typmod: -1,
        }
    }
}

/// The PostgreSQL type of a field. A field whose metadata holds `pg_type` (a name such as `jsonb`) is shown as that type.
#[must_use]
pub fn pg_type_of_field(field: &Field) -> PgType {
    match field
        .metadata()
        .get("pg_type")
        .and_then(|name| by_name(name))
    {
        Some(ty) => ty,
        None => pg_type_of(field.data_type()),
    }
}

/// The PostgreSQL type of an Arrow type. Total: what has no counterpart is text.
#[must_use]
pub fn pg_type_of(data_type: &DataType) -> PgType {
    match data_type {
        DataType::Boolean => PgType::new(oid::BOOL, 1),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::new(oid::INT2, 2),
        DataType::Int32 | DataType::UInt16 => PgType::new(oid::INT4, 4),
        DataType::Int64 | DataType::UInt32 => PgType::new(oid::INT8, 8),
        DataType::UInt64 => PgType::new(oid::NUMERIC, -1),
        DataType::Float16 | DataType::Float32 => PgType::new(oid::FLOAT4, 4),
        DataType::Float64 => PgType::new(oid::FLOAT8, 8),
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => PgType::new(oid::BYTEA, -1),
        DataType::Date32 | DataType::Date64 => PgType::new(oid::DATE, 4),
        DataType::Time32(_) | DataType::Time64(_) => PgType::new(oid::TIME, 8),
        DataType::Timestamp(unit, zone) => timestamp(*unit, zone.is_some()),
        DataType::Interval(_) | DataType::Duration(_) => PgType::new(oid::INTERVAL, 16),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => numeric(*p, *s),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => array(field),
        DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => {
            PgType::new(oid::JSONB, -1)
        }
        DataType::Dictionary(_, value) => pg_type_of(value),
        DataType::RunEndEncoded(_, values) => pg_type_of(values.data_type()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            PgType::new(oid::TEXT, -1)
        }
    }
}

fn timestamp(unit: TimeUnit, zoned: bool) -> PgType {
    let typmod = match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond | TimeUnit::Nanosecond => -1,
    };
    PgType {
        oid: if zoned {
            oid::TIMESTAMPTZ
        } else {
            oid::TIMESTAMP
        },
        len: 8,
        typmod,
    }
}

fn numeric(precision: u8, scale: i8) -> PgType {
    let typmod = ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4;
    PgType {
        oid: oid::NUMERIC,
        len: -1,
        typmod,
    }
}

/// Lists of lists are the same array type in PostgreSQL (dimensions are a property of the value).
fn array(field: &Field) -> PgType {
    let inner = pg_type_of_field(field);
    let oid = array_of(inner.oid).unwrap_or(inner.oid);
    PgType {
        oid,
        len: -1,
        typmod: inner.typmod,
    }
}

/// The array type over a type of this module; `None` when it has none (an array itself, for one).
#[must_use]
pub fn array_of(element: u32) -> Option<u32> {
    ARRAYS.iter().find(|(e, _)| *e == element).map(|(_, a)| *a)
}

/// The element type of an array type of this module.
#[must_use]
pub fn element_of(array: u32) -> Option<u32> {
    ARRAYS.iter().find(|(_, a)| *a == array).map(|(e, _)| *e)
}

const ARRAYS: &[(u32, u32)] = &[
    (oid::BOOL, oid::BOOL_ARRAY),
    (oid::BYTEA, oid::BYTEA_ARRAY),
    (oid::CHAR, oid::CHAR_ARRAY),
    (oid::NAME, oid::NAME_ARRAY),
    (oid::INT2, oid::INT2_ARRAY),
    (oid::INT4, oid::INT4_ARRAY),
    (oid::INT8, oid::INT8_ARRAY),
    (oid::TEXT, oid::TEXT_ARRAY),
    (oid::OID, oid::OID_ARRAY),
    (oid::FLOAT4, oid::FLOAT4_ARRAY),
    (oid::FLOAT8, oid::FLOAT8_ARRAY),
    (oid::BPCHAR, oid::BPCHAR_ARRAY),
    (oid::VARCHAR, oid::VARCHAR_ARRAY),
    (oid::DATE, oid::DATE_ARRAY),
    (oid::TIME, oid::TIME_ARRAY),
    (oid::TIMESTAMP, oid::TIMESTAMP_ARRAY),
    (oid::TIMESTAMPTZ, oid::TIMESTAMPTZ_ARRAY),
    (oid::INTERVAL, oid::INTERVAL_ARRAY),
    (oid::NUMERIC, oid::NUMERIC_ARRAY),
    (oid::JSON, oid::JSON_ARRAY),
    (oid::JSONB, oid::JSONB_ARRAY),
];

fn by_name(name: &str) -> Option<PgType> {
    Some(match name {
        "bool" | "boolean" => PgType::new(oid::BOOL, 1),
        "bytea" => PgType::new(oid::BYTEA, -1),
        "int2" | "smallint" => PgType::new(oid::INT2, 2),
        "int4" | "integer" => PgType::new(oid::INT4, 4),
        "int8" | "bigint" => PgType::new(oid::INT8, 8),
        "float4" | "real" => PgType::new(oid::FLOAT4, 4),
        "float8" | "double precision" => PgType::new(oid::FLOAT8, 8),
        "numeric" => PgType::new(oid::NUMERIC, -1),
        "text" => PgType::new(oid::TEXT, -1),
        "json" => PgType::new(oid::JSON, -1),
        "jsonb" => PgType::new(oid::JSONB, -1),
        "date" => PgType::new(oid::DATE, 4),
        "timestamp" => PgType::new(oid::TIMESTAMP, 8),
        "timestamptz" => PgType::new(oid::TIMESTAMPTZ, 8),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn lists_become_arrays_of_any_depth() {
        let inner = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
        assert_eq!(pg_type_of(&inner).oid, oid::INT4_ARRAY);
        let outer = DataType::List(Arc::new(Field::new("item", inner, true)));
        assert_eq!(pg_type_of(&outer).oid, oid::INT4_ARRAY);
    }

    #[test]
    fn a_decimal_carries_precision_and_scale() {
        assert_eq!(
            pg_type_of(&DataType::Decimal128(10, 2)),
            PgType {
                oid: oid::NUMERIC,
                len: -1,
                typmod: 655_366
            }
        );
    }

    #[test]
    fn metadata_names_the_type() {
        let field = Field::new("x", DataType::Utf8, true)
            .with_metadata([("pg_type".to_owned(), "jsonb".to_owned())].into());
        assert_eq!(pg_type_of_field(&field).oid, oid::JSONB);
    }
}
