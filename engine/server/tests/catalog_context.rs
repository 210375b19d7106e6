//! The catalog of a DataFusion session: schemas, tables, types, comments.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::{CatalogProvider, SchemaProvider};
use datafusion::catalog::{MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use genokura_server::pg_catalog::CatalogModel;
use genokura_server::pg_types::oid;

#[tokio::test]
async fn tables_of_a_session_are_in_the_model() {
    let context = SessionContext::new();
    let catalog = Arc::new(MemoryCatalogProvider::new());
    let schema = Arc::new(MemorySchemaProvider::new());
    let comment = |text: &str| HashMap::from([("comment".to_owned(), text.to_owned())]);
    let fields = vec![
        Field::new("pos", DataType::Int32, false).with_metadata(comment("1-based position")),
        Field::new(
            "filters",
            DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
            true,
        ),
    ];
    let arrow = Arc::new(Schema::new_with_metadata(fields, comment("the variants")));
    schema
        .register_table(
            "variants".to_owned(),
            Arc::new(MemTable::try_new(arrow, vec![vec![]]).unwrap()),
        )
        .unwrap();
    catalog.register_schema("cohort", schema).unwrap();
    context.register_catalog("genokura", catalog);

    let model = CatalogModel::from_context(&context, "genokura", &|name| name == "upper").await;
    let table = model
        .find_relation(Some("cohort"), "variants", &[])
        .unwrap();
    assert_eq!(table.kind, 'r');
    assert_eq!(table.comment.as_deref(), Some("the variants"));
    let columns: Vec<_> = table
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.ty, c.not_null, c.comment.as_deref()))
        .collect();
    assert_eq!(
        columns,
        [
            ("pos", oid::INT4, true, Some("1-based position")),
            ("filters", oid::TEXT_ARRAY, false, None)
        ]
    );
    assert!(table.oid >= 16_384);
}
