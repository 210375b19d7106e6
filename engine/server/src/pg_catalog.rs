//! PostgreSQL's system catalogs: a small, general SQL evaluator over tables in memory.
//!
//! Statements whose relations all lie in `pg_catalog` or `information_schema` (or that have none) run here, because clients ask
//! for them with correlated subqueries, LATERAL, ARRAY(SELECT …) and recursive CTEs. Names, types and messages are PostgreSQL 16's.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast;

mod acl;
mod array_text;
mod bind;
mod builtin;
mod convert;
mod error;
mod escapes;
mod eval;
mod format;
mod functions;
mod json;
mod jsonb;
mod model;
mod numeric;
mod operators;
mod plan;
mod resolve;
mod rules;
mod scalar;
mod similar;
mod tables;
mod value;

pub(crate) use array_text::parse_array;
pub use error::{CatalogError, Result};
pub(crate) use escapes::{BACKSLASH, escape_text, like_escape};
pub(crate) use format::{is_reserved, quote_ident};
pub use functions::VERSION;
pub(crate) use functions::{decimals_of, gives_values, is_of_numbers};
pub(crate) use model::RelationOids;
pub use model::{
    Activity, CatalogModel, Certificate, Column, Encryption, Ends, Namespace, OpenCursor,
    PreparedStatement, Relation, Rights, Role, SayWord, SessionInfo, SetConfig, Setting, Signal,
};
pub use numeric::Numeric;
pub(crate) use resolve::{Apart, apart, can_assign, can_cast, common_type};
pub use rules::{CheckFacts, IndexFacts, KeyFacts, RelationRules, SequenceFacts};
pub(crate) use rules::{OperatorClassOf, OwnFacts, operator_class};
pub(crate) use scalar::{
    Aggregated, Call, Taken, argument_types, has_operator, is_type_name, named_argument,
    operand_types, operator_result, result_of, taken, takes,
};
pub(crate) use similar::{escape_of, similar_to_escape};
pub(crate) use value::type_name;
pub use value::{ArrayValue, RecordValue, Value};

use crate::pg_types::oid;

/// A result column. Domains are shown as the type under them, as the wire protocol wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogColumn {
    /// Column name.
    pub name: String,
    /// OID of its type.
    pub type_oid: u32,
    /// Type modifier, -1 for none.
    pub typmod: i32,
    /// `typlen` of its type, -1 for variable length.
    pub type_len: i16,
    /// The relation and the column of it that this one shows: OID and number; None when it is computed.
    pub origin: Option<(u32, i16)>,
}

/// Rows of a catalog query.
#[derive(Clone, Debug)]
pub struct CatalogResult {
    /// Columns.
    pub columns: Vec<CatalogColumn>,
    /// Rows; [`Value::to_text`] and [`Value::to_binary`] encode them without a catalog.
    pub rows: Vec<Vec<Value>>,
}

/// Columns and parameters of a catalog query.
#[derive(Clone, Debug)]
pub struct Description {
    /// Columns.
    pub columns: Vec<CatalogColumn>,
    /// Types of the parameters `$1…`.
    pub parameters: Vec<u32>,
}

fn query_of(statement: &ast::Statement) -> Result<&ast::Query> {
    match statement {
        ast::Statement::Query(query) => Ok(query),
        _ => Err(CatalogError::unsupported("this statement")),
    }
}

/// Runs a catalog query. `params` have the types [`describe`] states; a text value is read as the parameter's type.
pub fn execute(
    model: &CatalogModel,
    session: &SessionInfo,
    statement: &ast::Statement,
    params: &[Value],
) -> Result<CatalogResult> {
    execute_typed(model, session, statement, &[], params)
}

/// As [`execute`], with the parameter types the client declared (0 = not declared).
pub fn execute_typed(
    model: &CatalogModel,
    session: &SessionInfo,
    statement: &ast::Statement,
    declared: &[u32],
    params: &[Value],
) -> Result<CatalogResult> {
    let mut binder = bind::Binder::new(model, session, declared);
    let query = binder.statement(query_of(statement)?)?;
    let mut values = Vec::new();
    for (i, ty) in binder.parameter_types().into_iter().enumerate() {
        let value = params.get(i).ok_or_else(|| {
            CatalogError::new("08P01", format!("no value for parameter ${}", i + 1))
        })?;
        values.push(match value {
            Value::Text(t) => convert::input(model, session, t, ty)?,
            other => other.clone(),
        });
    }
    let rows = eval::Cx::new(model, session, &values).query(&query, None)?;
    let types: Vec<u32> = query.columns.iter().map(|c| c.ty).collect();
    let rows = rows
        .iter()
        .map(|row| {
            row.iter()
                .zip(&types)
                .map(|(v, t)| convert::with_names(model, session, v, *t))
                .collect()
        })
        .collect();
    Ok(CatalogResult {
        columns: columns(&query.columns),
        rows,
    })
}

fn columns(bound: &[plan::OutputColumn]) -> Vec<CatalogColumn> {
    bound
        .iter()
        .map(|c| {
            let type_oid = value::base_type(c.ty);
            let type_len = builtin::builtin().type_of(type_oid).map_or(-1, |t| t.len);
            CatalogColumn {
                name: c.name.clone(),
                type_oid,
                typmod: c.typmod,
                type_len,
                origin: c.origin,
            }
        })
        .collect()
}

/// Columns and parameter types of a catalog query, without running it. `declared` are the client's parameter types (0 = infer).
pub fn describe(
    model: &CatalogModel,
    session: &SessionInfo,
    statement: &ast::Statement,
    declared: &[u32],
) -> Result<Description> {
    let mut binder = bind::Binder::new(model, session, declared);
    let query = binder.statement(query_of(statement)?)?;
    Ok(Description {
        columns: columns(&query.columns),
        parameters: binder.parameter_types(),
    })
}

/// Whether a function asks the catalog, gives one value, and has no effect.
pub(crate) fn asks_catalog(name: &str) -> bool {
    let inquires = ["pg_", "has_", "to_reg"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || name.ends_with("_description")
        || matches!(name, "format_type" | "acldefault" | "row_security_active");
    inquires
        && functions::is_implemented(name)
        && builtin::builtin()
            .functions_named(name)
            .any(|f| f.kind == 'f' && !f.set && f.volatility != 'v' && f.schema == "pg_catalog")
}

/// The name of a function as long as the process lives.
pub(crate) fn function_named(name: &str) -> Option<&'static str> {
    let mut found = builtin::builtin().functions_named(name);
    found.next().map(|function| function.name.as_str())
}

/// Whether a statement is answered here: all its relations are PostgreSQL's own, or it has none and calls only functions known here.
#[must_use]
pub fn is_catalog_query(
    statement: &ast::Statement,
    search_path: &[String],
    model: &CatalogModel,
) -> bool {
    let ast::Statement::Query(query) = statement else {
        return false;
    };
    let mut visitor = Finder {
        ctes: HashSet::new(),
        relations: Vec::new(),
        foreign_function: false,
    };
    let _ = ast::Visit::visit(query.as_ref(), &mut visitor);
    if visitor.foreign_function {
        return false;
    }
    visitor.relations.iter().all(
        |relation| match bind::name_parts(relation, &model.database) {
            Ok(parts) => match parts.as_slice() {
                [name] if visitor.ctes.contains(name) => true,
                [name] => {
                    model
                        .find_relation(None, name, search_path)
                        .is_some_and(|r| r.system)
                        // A plain function in FROM is a table of one row.
                        || builtin::builtin().functions_named(name).next().is_some()
                }
                [schema, _] => matches!(schema.as_str(), "pg_catalog" | "information_schema"),
                _ => false,
            },
            Err(_) => false,
        },
    )
}

struct Finder {
    ctes: HashSet<String>,
    relations: Vec<ast::ObjectName>,
    foreign_function: bool,
}

impl ast::Visitor for Finder {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.ctes.insert(bind::fold(&cte.alias.name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ast::ObjectName) -> ControlFlow<()> {
        self.relations.push(relation.clone());
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &ast::Expr) -> ControlFlow<()> {
        if let ast::Expr::Function(function) = expr
            && let Some(ast::ObjectNamePart::Identifier(name)) = function.name.0.last()
        {
            let name = bind::fold(name);
            let qualified = function.name.0.len() > 1;
            let known = matches!(
                name.as_str(),
                "array"
                    | "coalesce"
                    | "greatest"
                    | "least"
                    | "nullif"
                    | "row"
                    | "current_catalog"
                    | "current_role"
                    | "user"
                    | "current_timestamp"
                    | "localtimestamp"
                    | "current_date"
                    | "trim"
            ) || functions::is_implemented(&name)
                || builtin::builtin().type_named(&name).is_some();
            if !known && !qualified {
                self.foreign_function = true;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Reads a text-format parameter of the given type.
pub fn parse_text(
    model: &CatalogModel,
    session: &SessionInfo,
    ty: u32,
    text: &str,
) -> Result<Value> {
    convert::input(model, session, text, if ty == 0 { oid::TEXT } else { ty })
}
