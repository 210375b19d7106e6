//! Builds the catalog a session sees from DataFusion's catalog: schemas, tables, columns, comments, estimates, functions.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::catalog::SchemaProvider;
use datafusion::common::stats::Precision;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::logical_expr::{Signature, TypeSignature};
use datafusion::prelude::SessionContext;
use genokura_sql_ext::FunctionDoc;

use crate::pg_catalog::{CatalogModel, Column, Relation, RelationOids, RelationRules};
use crate::pg_types::{PgType, dimensions, modifier_of_field, oid};

/// The metadata key of the schema of a sequence.
pub(crate) const SEQUENCE: &str = "sequence";

impl CatalogModel {
    /// The catalog of a session: every schema and table of DataFusion's catalog `database`, with comments from the metadata key
    /// `comment` of schemas and fields, and the functions `own` accepts (shown by `\df` in schema `public`).
    /// Tables that fail to load are left out. Objects are added in name order, so OIDs are the same in every session and process.
    pub async fn from_context(
        context: &SessionContext,
        database: &str,
        own: &(dyn Fn(&str) -> bool + Sync),
    ) -> Self {
        let mut model = Self::new(database);
        for (schema_name, schema) in schemas(context, database) {
            model.add_schema(&schema_name, None);
            for name in sorted(schema.table_names()) {
                if let Ok(Some(table)) = schema.table(&name).await {
                    model.add_relation(relation(&schema_name, &name, table.as_ref()));
                }
            }
        }
        add_functions(&mut model, context, own);
        model
    }
}

impl RelationOids {
    /// The OIDs that the relations of a session have in its catalog, without opening any.
    pub(crate) fn from_context(context: &SessionContext, database: &str) -> Self {
        let schemas = schemas(context, database).into_iter();
        Self::of(schemas.map(|(name, schema)| (name, sorted(schema.table_names()))))
    }
}

/// The schemas of a database in name order.
fn schemas(context: &SessionContext, database: &str) -> Vec<(String, Arc<dyn SchemaProvider>)> {
    let Some(catalog) = context.catalog(database) else {
        return Vec::new();
    };
    sorted(catalog.schema_names())
        .into_iter()
        .filter(|name| name != "information_schema")
        .filter_map(|name| catalog.schema(&name).map(|schema| (name, schema)))
        .collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn relation(schema: &str, name: &str, table: &dyn TableProvider) -> Relation {
    let arrow = table.schema();
    let columns = arrow
        .fields()
        .iter()
        .map(|field| Column {
            name: field.name().clone(),
            ty: PgType::of_field(field).oid,
            typmod: modifier_of_field(field),
            dimensions: dimensions(field.data_type()),
            not_null: !field.is_nullable(),
            comment: field.metadata().get("comment").cloned(),
            default: None,
            identity: None,
        })
        .collect();
    let statistics = table.statistics();
    let known = |p: &Precision<usize>| p.get_value().copied();
    #[expect(clippy::cast_precision_loss, reason = "reltuples is an estimate")]
    let rows = statistics
        .as_ref()
        .and_then(|s| known(&s.num_rows))
        .map(|n| n as f64);
    let bytes = statistics
        .as_ref()
        .and_then(|s| known(&s.total_byte_size))
        .and_then(|n| i64::try_from(n).ok());
    let kind = match table.table_type() {
        _ if arrow.metadata().contains_key(SEQUENCE) => 'S',
        TableType::View => 'v',
        _ => 'r',
    };
    Relation {
        oid: 0,
        row_type: 0,
        array_type: 0,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind,
        columns,
        rows,
        bytes,
        comment: arrow.metadata().get("comment").cloned(),
        definition: table.get_table_definition().map(str::to_owned),
        system: false,
        rules: RelationRules::default(),
    }
}

/// Argument types of a signature that states them; otherwise any number of any type.
fn arguments(signature: &Signature) -> (Vec<u32>, Option<Vec<DataType>>, bool) {
    let first = match &signature.type_signature {
        TypeSignature::OneOf(choices) => choices.first().unwrap_or(&signature.type_signature),
        other => other,
    };
    match first {
        TypeSignature::Exact(types) => (
            types.iter().map(|t| PgType::of_arrow(t).oid).collect(),
            Some(types.clone()),
            false,
        ),
        TypeSignature::Nullary => (Vec::new(), Some(Vec::new()), false),
        TypeSignature::Any(n) => (vec![oid::ANY; *n], None, false),
        TypeSignature::Uniform(n, types) => match types.first() {
            Some(t) => (
                vec![PgType::of_arrow(t).oid; *n],
                Some(vec![t.clone(); *n]),
                false,
            ),
            None => (vec![oid::ANY; *n], None, false),
        },
        _ => (vec![oid::ANY], None, true),
    }
}

/// The type of a result, when the signature names the types of the arguments.
fn result_oid(
    arguments: Option<Vec<DataType>>,
    return_type: impl Fn(&[DataType]) -> datafusion::error::Result<DataType>,
) -> u32 {
    let found = arguments.and_then(|types| return_type(&types).ok());
    found.map_or(oid::TEXT, |found| PgType::of_arrow(&found).oid)
}

fn add_functions(
    model: &mut CatalogModel,
    context: &SessionContext,
    own: &(dyn Fn(&str) -> bool + Sync),
) {
    let state = context.state();
    let mut scalars: Vec<_> = state.scalar_functions().iter().collect();
    scalars.retain(|(name, _)| own(name));
    scalars.sort_by_key(|(name, _)| *name);
    let docs = genokura_sql_ext::functions();
    let documented = |name: &str| docs.iter().find(|doc| doc.name == name);
    for (name, function) in scalars {
        if let Some(doc) = documented(name) {
            add_documented(model, doc);
            continue;
        }
        let (types, arrow, variadic) = arguments(function.signature());
        let result = result_oid(arrow, |types| function.return_type(types));
        let description = function.documentation().map(|d| d.description.clone());
        model.add_function(
            "public",
            name,
            'f',
            types,
            variadic,
            result,
            false,
            description,
        );
    }
    let mut aggregates: Vec<_> = state.aggregate_functions().iter().collect();
    aggregates.retain(|(name, _)| own(name));
    aggregates.sort_by_key(|(name, _)| *name);
    for (name, function) in aggregates {
        let (types, arrow, variadic) = arguments(function.signature());
        let result = result_oid(arrow, |types| function.return_type(types));
        let description = function.documentation().map(|d| d.description.clone());
        model.add_function(
            "public",
            name,
            'a',
            types,
            variadic,
            result,
            false,
            description,
        );
    }
    let mut tables: Vec<_> = state
        .table_functions()
        .keys()
        .filter(|name| own(name))
        .collect();
    tables.sort();
    for name in tables {
        if let Some(doc) = documented(name) {
            add_documented(model, doc);
            continue;
        }
        model.add_function(
            "public",
            name,
            'f',
            vec![oid::ANY],
            true,
            oid::RECORD,
            true,
            None,
        );
    }
}

/// A genomic function with the arguments and the result that its reference tells.
fn add_documented(model: &mut CatalogModel, doc: &FunctionDoc) {
    let arguments: Vec<(&str, u32, bool)> = doc
        .arguments
        .iter()
        .map(|argument| {
            (
                argument.name,
                type_oid(argument.sql_type),
                argument.optional,
            )
        })
        .collect();
    let table = doc.returns.strip_prefix("TABLE (");
    let columns = table.and_then(|columns| columns.strip_suffix(')'));
    // A table whose columns are those of the data has `…` among them.
    let columns: Vec<(&str, u32)> = columns
        .into_iter()
        .flat_map(|columns| columns.split(", "))
        .filter_map(|column| column.split_once(' '))
        .filter(|(name, _)| *name != "…")
        .map(|(name, sql_type)| (name, type_oid(sql_type)))
        .collect();
    let result = match table {
        Some(_) => oid::RECORD,
        None => type_oid(doc.returns),
    };
    model.add_documented(doc.name, &arguments, result, &columns, doc.summary);
}

/// The type that a reference calls so; of several the first.
fn type_oid(name: &str) -> u32 {
    let name = name.split(" or ").next().unwrap_or(name);
    let (element, is_array) = match name.strip_suffix("[]") {
        Some(element) => (element, true),
        None => (name, false),
    };
    let element = match element {
        "gt" => PgType::BYTEA,
        "smallint" => PgType::INT2,
        "integer" => PgType::INT4,
        "bigint" => PgType::INT8,
        "real" => PgType::FLOAT4,
        "double precision" => PgType::FLOAT8,
        "boolean" => PgType::BOOL,
        _ => PgType::TEXT,
    };
    let found = match is_array {
        true => element.array(),
        false => element,
    };
    found.oid
}
