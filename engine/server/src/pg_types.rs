//! PostgreSQL types of Arrow columns: the one mapping that RowDescription, COPY and `pg_attribute` share.

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
    pub const INET: u32 = 869;
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

/// The first OID of what is not PostgreSQL's own.
pub(crate) const FIRST_USER_OID: u32 = 16_384;

/// A PostgreSQL type as RowDescription names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PgType {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `pg_type.typlen`: bytes of a fixed-width type, -1 for a varlena type, -2 for a C string.
    pub len: i16,
}

macro_rules! pg_types {
    ($($name:ident = ($oid:literal, $len:literal, $array:literal, $sql:literal)),+ $(,)?) => {
        impl PgType {
            $(#[doc = concat!("The type `", $sql, "`.")]
            pub const $name: PgType = PgType { oid: $oid, len: $len };)+

            /// The scalar type with this OID, `None` for array types and types we do not send.
            #[must_use]
            pub fn scalar(oid: u32) -> Option<PgType> {
                match oid { $($oid => Some(PgType::$name),)+ _ => None }
            }

            /// The type with this OID, of which nothing else may be known.
            #[must_use]
            pub fn of_oid(oid: u32) -> PgType {
                PgType::scalar(oid).unwrap_or(PgType { oid, len: -1 })
            }

            /// The array type over this element type; itself when it already is an array type.
            #[must_use]
            pub fn array(self) -> PgType {
                match self.oid { $($oid => PgType { oid: $array, len: -1 },)+ _ => self }
            }

            /// The element type of an array type, `None` for a scalar type.
            #[must_use]
            pub fn element(self) -> Option<PgType> {
                match self.oid { $($array => Some(PgType::$name),)+ _ => None }
            }

            /// The type that SQL calls `name` (lower case, no modifier), `None` when unknown.
            #[must_use]
            pub fn named(name: &str) -> Option<PgType> {
                match name { $($sql => Some(PgType::$name),)+ _ => PgType::alias(name) }
            }

            /// The name that SQL uses for this type (`format_type` without modifier).
            #[must_use]
            pub fn sql_name(self) -> &'static str {
                match self.oid { $($oid => $sql, $array => concat!($sql, "[]"),)+ _ => "unknown" }
            }
        }
    };
}

pg_types! {
    BOOL = (16, 1, 1000, "boolean"),
    BYTEA = (17, -1, 1001, "bytea"),
    CHAR = (18, 1, 1002, "\"char\""),
    NAME = (19, 64, 1003, "name"),
    INT8 = (20, 8, 1016, "bigint"),
    INT2 = (21, 2, 1005, "smallint"),
    INT4 = (23, 4, 1007, "integer"),
    REGPROC = (24, 4, 1008, "regproc"),
    TEXT = (25, -1, 1009, "text"),
    OID = (26, 4, 1028, "oid"),
    TID = (27, 6, 1010, "tid"),
    XID = (28, 4, 1011, "xid"),
    CID = (29, 4, 1012, "cid"),
    JSON = (114, -1, 199, "json"),
    XML = (142, -1, 143, "xml"),
    // No array type: an OID that no type has.
    PG_NODE_TREE = (194, -1, 4_294_967_294, "pg_node_tree"),
    FLOAT4 = (700, 4, 1021, "real"),
    FLOAT8 = (701, 8, 1022, "double precision"),
    UNKNOWN = (705, -2, 4_294_967_295, "unknown"),
    INET = (869, -1, 1041, "inet"),
    ACLITEM = (1033, 16, 1034, "aclitem"),
    BPCHAR = (1042, -1, 1014, "character"),
    VARCHAR = (1043, -1, 1015, "character varying"),
    BIT = (1560, -1, 1561, "bit"),
    DATE = (1082, 4, 1182, "date"),
    TIME = (1083, 8, 1183, "time without time zone"),
    TIMESTAMP = (1114, 8, 1115, "timestamp without time zone"),
    TIMESTAMPTZ = (1184, 8, 1185, "timestamp with time zone"),
    INTERVAL = (1186, 16, 1187, "interval"),
    NUMERIC = (1700, -1, 1231, "numeric"),
    RECORD = (2249, -1, 2287, "record"),
    REGPROCEDURE = (2202, 4, 2207, "regprocedure"),
    REGCLASS = (2205, 4, 2210, "regclass"),
    REGTYPE = (2206, 4, 2211, "regtype"),
    UUID = (2950, 16, 2951, "uuid"),
    JSONB = (3802, -1, 3807, "jsonb"),
    REGNAMESPACE = (4089, 4, 4090, "regnamespace"),
    REGROLE = (4096, 4, 4097, "regrole"),
}

impl PgType {
    fn alias(name: &str) -> Option<PgType> {
        Some(match name {
            "bool" => PgType::BOOL,
            "int2" => PgType::INT2,
            "int" | "int4" => PgType::INT4,
            "int8" => PgType::INT8,
            "float4" => PgType::FLOAT4,
            "float" | "float8" => PgType::FLOAT8,
            "decimal" => PgType::NUMERIC,
            "varchar" => PgType::VARCHAR,
            "char" | "bpchar" => PgType::BPCHAR,
            "string" => PgType::TEXT,
            "time" => PgType::TIME,
            "timestamp" => PgType::TIMESTAMP,
            "timestamptz" => PgType::TIMESTAMPTZ,
            _ => return None,
        })
    }

    /// Whether binary values of this type are a four-byte object identifier.
    #[must_use]
    pub fn is_oid_like(self) -> bool {
        matches!(
            self.oid,
            24 | 26 | 28 | 29 | 2202 | 2205 | 2206 | 4089 | 4096
        )
    }

    /// Whether values of this type are rows: `record`, or the type of a table's rows.
    #[must_use]
    pub fn is_row(self) -> bool {
        self == PgType::RECORD
            || (FIRST_USER_OID..PgType::PG_NODE_TREE.array().oid).contains(&self.oid)
    }

    /// The PostgreSQL type that values of an Arrow type are sent as.
    ///
    /// Unsigned integers take the next wider signed type; nested lists become one
    /// multi-dimensional array type; a struct is `record`, a map or union `jsonb`.
    #[must_use]
    pub fn of_arrow(data_type: &DataType) -> PgType {
        match data_type {
            DataType::Boolean => PgType::BOOL,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => PgType::INT2,
            DataType::Int32 | DataType::UInt16 => PgType::INT4,
            DataType::Int64 | DataType::UInt32 => PgType::INT8,
            DataType::UInt64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => PgType::NUMERIC,
            DataType::Float16 | DataType::Float32 => PgType::FLOAT4,
            DataType::Float64 => PgType::FLOAT8,
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => PgType::BYTEA,
            DataType::Date32 | DataType::Date64 => PgType::DATE,
            DataType::Time32(_) | DataType::Time64(_) => PgType::TIME,
            DataType::Timestamp(_, None) => PgType::TIMESTAMP,
            DataType::Timestamp(_, Some(_)) => PgType::TIMESTAMPTZ,
            DataType::Interval(_) | DataType::Duration(_) => PgType::INTERVAL,
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::ListView(field)
            | DataType::LargeListView(field) => PgType::of_arrow(field.data_type()).array(),
            DataType::Dictionary(_, value) => PgType::of_arrow(value),
            DataType::RunEndEncoded(_, value) => PgType::of_arrow(value.data_type()),
            DataType::Struct(_) => PgType::RECORD,
            DataType::Map(..) | DataType::Union(..) => PgType::JSONB,
            _ => PgType::TEXT,
        }
    }

    /// The PostgreSQL type of an Arrow field; the field metadata key `pg_type` overrides the
    /// type that [`PgType::of_arrow`] gives when it names a type of the same text form.
    #[must_use]
    pub fn of_field(field: &Field) -> PgType {
        field
            .metadata()
            .get("pg_type")
            .and_then(|name| PgType::named(name))
            .map(|named| match field.data_type() {
                // The key names the type of the elements.
                DataType::List(_) | DataType::LargeList(_) => named.array(),
                _ => named,
            })
            .unwrap_or_else(|| PgType::of_arrow(field.data_type()))
    }
}

/// The type modifier of a column of this Arrow type, -1 for none: numeric(p,s) is `((p << 16) | s) + 4`,
/// timestamp(n) is n. That of an array is that of its elements.
#[must_use]
pub fn type_modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 0,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 3,
        DataType::Decimal128(p, s) | DataType::Decimal256(p, s) if is_free(*p, *s) => -1,
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => ((i32::from(*p) << 16) | (i32::from(*s) & 0x7ff)) + 4,
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _) => type_modifier(field.data_type()),
        DataType::Dictionary(_, value) => type_modifier(value),
        _ => -1,
    }
}

/// Dimensions of the arrays of a type, 0 for what is none.
pub(crate) fn dimensions(data_type: &DataType) -> usize {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => 1 + dimensions(item.data_type()),
        _ => 0,
    }
}

/// Metadata key of a field whose type has a modifier that Arrow's type does not say, as varchar(n).
pub(crate) const TYPMOD: &str = "pg_typmod";
/// The type of numerics that were made of floats and texts: `x::numeric`.
pub(crate) const FREE_NUMERIC: DataType = DataType::Decimal256(76, FREE_SCALE);
/// Digits behind the point that they have room for.
pub(crate) const FREE_SCALE: i8 = 21;

/// Whether a numeric of so many digits, so many of them behind the point, was made of such ones: each is shown with the
/// digits that it has. No other column has this scale with so many digits, or a greater one with all that there are.
pub(crate) fn is_free(digits: u8, scale: i8) -> bool {
    (digits >= 38 && scale == FREE_SCALE) || (digits == 76 && scale > FREE_SCALE)
}

/// Metadata key of a numeric field that says nothing of its digits.
pub(crate) const ANY_SCALE: &str = "pg_any_scale";

/// The type modifier of a column, -1 for none.
#[must_use]
pub fn modifier_of_field(field: &Field) -> i32 {
    let metadata = field.metadata();
    if metadata.contains_key(ANY_SCALE) {
        return -1;
    }
    let written = metadata.get(TYPMOD).and_then(|text| text.parse().ok());
    written.unwrap_or_else(|| type_modifier(field.data_type()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn arrow_types_have_the_expected_oids() {
        let list = |t: DataType| DataType::List(Arc::new(Field::new("item", t, true)));
        let table = [
            (DataType::Int8, 21),
            (DataType::UInt32, 20),
            (DataType::UInt64, 1700),
            (DataType::Utf8View, 25),
            (list(DataType::Int32), 1007),
            (list(list(DataType::Float32)), 1021),
            (
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
                25,
            ),
        ];
        for (arrow, oid) in table {
            assert_eq!(PgType::of_arrow(&arrow).oid, oid, "{arrow}");
        }
    }

    #[test]
    fn a_decimal_carries_precision_and_scale() {
        assert_eq!(type_modifier(&DataType::Decimal128(10, 2)), 655_366);
        assert_eq!(type_modifier(&DataType::Int32), -1);
    }

    #[test]
    fn metadata_names_the_type() {
        let field = Field::new("x", DataType::Utf8, true)
            .with_metadata([("pg_type".to_owned(), "jsonb".to_owned())].into());
        assert_eq!(PgType::of_field(&field), PgType::JSONB);
    }
}
