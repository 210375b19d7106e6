//! Columns of a result as RowDescription describes them.

use arrow::datatypes::{Field, SchemaRef};

use crate::pg_types::{PgType, modifier_of_field};

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
    /// The type's modifier, as precision and scale of a numeric; -1 without one.
    pub typmod: i32,
}

impl Column {
    /// A computed column: no table, no attribute number.
    pub fn computed(name: impl Into<String>, pg_type: PgType) -> Column {
        Column {
            name: name.into(),
            pg_type,
            table_oid: 0,
            attnum: 0,
            typmod: -1,
        }
    }

    /// A computed column of the type and modifier that an Arrow field has.
    pub fn of_field(name: impl Into<String>, field: &Field) -> Column {
        Column {
            typmod: modifier_of_field(field),
            ..Column::computed(name, PgType::of_field(field))
        }
    }

    /// One computed column per field of an Arrow schema.
    #[must_use]
    pub fn of_schema(schema: &SchemaRef) -> Vec<Column> {
        schema
            .fields()
            .iter()
            .map(|field| Column::of_field(field.name().clone(), field))
            .collect()
    }
}
