//! Columns of a result as RowDescription describes them.

use arrow::datatypes::SchemaRef;

use crate::pg_types::PgType;

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
