//! PostgreSQL types of Arrow columns: OID, length and the array type of each element type.

use arrow::datatypes::{DataType, Field, SchemaRef};

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
    ACLITEM = (1033, 16, 1034, "aclitem"),
    BPCHAR = (1042, -1, 1014, "character"),
    VARCHAR = (1043, -1, 1015, "character varying"),
    DATE = (1082, 4, 1182, "date"),
    TIME = (1083, 8, 1183, "time without time zone"),
    TIMESTAMP = (1114, 8, 1115, "timestamp without time zone"),
    TIMESTAMPTZ = (1184, 8, 1185, "timestamp with time zone"),
    INTERVAL = (1186, 16, 1187, "interval"),
    NUMERIC = (1700, -1, 1231, "numeric"),
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

    /// The PostgreSQL type that values of an Arrow type are sent as.
    ///
    /// Unsigned integers take the next wider signed type; nested lists become one
    /// multi-dimensional array type; a struct is `json`, a map or union `jsonb`.
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
            DataType::Struct(_) => PgType::JSON,
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
            .unwrap_or_else(|| PgType::of_arrow(field.data_type()))
    }
}

/// One column of a result, as RowDescription describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name the client sees.
    pub name: String,
    /// The type the client sees.
    pub pg_type: PgType,
    /// `pg_class.oid` of the table the column comes from, 0 when it is computed.
    pub table_oid: u32,
    /// `pg_attribute.attnum` (1-based) in that table, 0 when it is computed.
    pub attnum: i16,
}

impl Column {
    /// A computed column: no table, no attribute number.
    pub fn computed(name: impl Into<String>, pg_type: PgType) -> Column {
        Column {
            name: name.into(),
            pg_type,
            table_oid: 0,
            attnum: 0,
        }
    }

    /// One computed column per field of an Arrow schema.
    #[must_use]
    pub fn of_schema(schema: &SchemaRef) -> Vec<Column> {
        schema
            .fields()
            .iter()
            .map(|field| Column::computed(field.name().clone(), PgType::of_field(field)))
            .collect()
    }
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
}
