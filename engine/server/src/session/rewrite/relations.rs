//! Names of relations, resolved along `search_path`.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;

use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{
    self, Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query,
    TableFactor, VisitMut, VisitorMut,
};
use genokura_sql_ext::Error;
use genokura_sql_ext::{depth, repeated, span_sources};

use super::literals::{string_literal, text as text_literal};

use super::names::{folded, last_part, name_parts, object_name, part_text, strip_pg_catalog};
use super::session_functions::is_session_function;
use super::types::is_reg_type;
use crate::evaluated::is_evaluated;
use crate::session::DATABASE;
use crate::session::objects::TABLE_OID;
use crate::session::origins;
use crate::session::statement::temp::is_temp_schema;
use crate::session::temp::{Relation, TempState};
use crate::sqlstate::{ServerError, function_error, slip_of, undefined_table};

/// What a statement reads, after its names are resolved.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Relations of `pg_catalog` and `information_schema`.
    pub(crate) catalog: BTreeSet<String>,
    /// Tables of the lake.
    pub(crate) lake: usize,
    /// Functions and casts that DataFusion does not have.
    pub(crate) foreign: bool,
    /// Some of these have no answer but that of the catalog; the others the session knows, or the engine as well.
    pub(crate) of_catalog: bool,
}

/// Resolves every table name of `statement` in place: afterwards it is schema-qualified. `ARRAY(SELECT …)` becomes
/// what the planner takes.
///
/// # Errors
/// 42P01 with the nearest name as a hint; 42601 for an array subquery of several columns.
pub(crate) fn resolve(
    statement: &mut ast::Statement,
    context: &SessionContext,
    search_path: &[String],
    temporary: &TempState,
) -> Result<Relations, ServerError> {
    genokura_sql_ext::syntax::rewrite(statement).map_err(|error| function_error(&error))?;
    let mut resolver = Resolver {
        context,
        search_path,
        temporary,
        scopes: Vec::new(),
        renamed: 0,
        read_by_views: 0,
        found: Relations::default(),
    };
    match statement.visit(&mut resolver) {
        ControlFlow::Continue(()) => {
            let found = resolver.found;
            repeated::check(statement).map_err(|error| function_error(&error))?;
            Ok(found)
        }
        ControlFlow::Break(error) => Err(error),
    }
}

/// Points relations of `pg_catalog` and `information_schema` at their copies in the catalog
/// `system`.
pub(crate) fn to_system_copies(statement: &mut ast::Statement, system: &str) {
    let _: ControlFlow<()> = ast::visit_relations_mut(statement, |name| {
        let parts: Vec<String> = name.0.iter().map(part_text).collect();
        match parts
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .as_slice()
        {
            [schema @ ("pg_catalog" | "information_schema"), table] => {
                *name = object_name(&[system, schema, table]);
            }
            [table] if table.starts_with("pg_") => {
                *name = object_name(&[system, "pg_catalog", table]);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
}

struct Resolver<'a> {
    context: &'a SessionContext,
    search_path: &'a [String],
    temporary: &'a TempState,
    scopes: Vec<Scope>,
    /// Queries of WITH that have other names.
    renamed: usize,
    /// Tables that are read by views which were put in.
    read_by_views: u64,
    found: Relations,
}

/// The queries of one WITH, by their names; those whose names stand around it already have others.
#[derive(Default)]
struct Scope {
    /// Those that may be read where we are: of a WITH that is not RECURSIVE, those that are behind us.
    known: Vec<(String, Option<Ident>)>,
    /// The others, in order.
    coming: VecDeque<(String, Option<Ident>)>,
}

impl VisitorMut for Resolver<'_> {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        let mut scope = Scope::default();
        if let Some(with) = &mut query.with {
            for cte in &mut with.cte_tables {
                let name = folded(&cte.alias.name);
                let around = |scope: &Scope| {
                    let mut all = scope.known.iter().chain(&scope.coming);
                    all.any(|(other, _)| *other == name)
                };
                // The planner knows one query of a name.
                let other = self.scopes.iter().any(around).then(|| {
                    self.renamed += 1;
                    Ident::with_quote('"', format!("\u{1}{} {name}", self.renamed))
                });
                if let Some(other) = &other {
                    cte.alias.name = other.clone();
                }
                scope.coming.push_back((name, other));
            }
            if with.recursive {
                scope.known.extend(scope.coming.drain(..));
            }
        }
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<ServerError> {
        self.scopes.pop();
        // The queries of WITH come before all others of theirs.
        if let Some(around) = self.scopes.last_mut()
            && let Some(cte) = around.coming.pop_front()
        {
            around.known.push(cte);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<ServerError> {
        match factor {
            TableFactor::Table {
                name,
                args: None,
                alias,
                ..
            } => {
                if let Some(other) = self.other_name(name) {
                    if alias.is_none() {
                        let called = name.0.last().and_then(ObjectNamePart::as_ident).cloned();
                        *alias = called.map(|name| ast::TableAlias {
                            explicit: true,
                            name,
                            columns: Vec::new(),
                            at: None,
                        });
                    }
                    *name = ObjectName::from(vec![other]);
                    return ControlFlow::Continue(());
                }
                if let Err(error) = self.table(name) {
                    return ControlFlow::Break(error);
                }
                match self.view(name, alias.as_ref()) {
                    None => {}
                    Some(Ok(view)) => {
                        // What views it reads stands in it.
                        let _: ControlFlow<()> = ast::visit_relations(&view, |_| {
                            self.read_by_views += 1;
                            ControlFlow::Continue(())
                        });
                        *factor = view;
                        if self.read_by_views > repeated::REPEATED_MAX {
                            return ControlFlow::Break(function_error(&Error::Repeated));
                        }
                    }
                    Some(Err(error)) => return ControlFlow::Break(error),
                }
                ControlFlow::Continue(())
            }
            TableFactor::Table {
                name,
                args: Some(ast::TableFunctionArgs { args, .. }),
                ..
            }
            | TableFactor::Function { name, args, .. } => {
                strip_pg_catalog(name);
                let foreign = self.context.table_function(&last_part(name)).is_err();
                self.found.foreign |= foreign;
                self.found.of_catalog |= foreign;
                for place in span_sources(&last_part(name)) {
                    let argument = args.get_mut(place);
                    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))) = argument
                    else {
                        continue;
                    };
                    if let Err(error) = self.source(argument) {
                        return ControlFlow::Break(error);
                    }
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        match expr {
            Expr::Function(function) => {
                let name = last_part(&function.name);
                // What asks about the session, and what is computed a row at a time, is the catalog's to answer, with the types that PostgreSQL gives it,
                // unless the statement reads the lake.
                let known = is_session_function(&name) || is_evaluated(&name);
                if known || !self.knows_function(&name) {
                    self.found.foreign = true;
                    self.found.of_catalog |= !known;
                }
            }
            Expr::Cast { data_type, .. } if is_reg_type(data_type) => {
                (self.found.foreign, self.found.of_catalog) = (true, true);
            }
            Expr::Identifier(name) if is_table_oid(Some(name)) => {
                (self.found.foreign, self.found.of_catalog) = (true, true);
            }
            Expr::CompoundIdentifier(parts) if is_table_oid(parts.last()) => {
                (self.found.foreign, self.found.of_catalog) = (true, true);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a name is that of the column of every table that says which it is.
fn is_table_oid(name: Option<&Ident>) -> bool {
    name.is_some_and(|name| name.value.eq_ignore_ascii_case(TABLE_OID))
}

impl Resolver<'_> {
    /// The query of WITH that a name is of, from the innermost on.
    fn cte(&self, name: &str) -> Option<&(String, Option<Ident>)> {
        let scopes = self.scopes.iter().rev();
        let mut known = scopes.flat_map(|scope| scope.known.iter().rev());
        known.find(|(known, _)| known == name)
    }

    /// The other name of a query of WITH.
    fn other_name(&self, name: &ObjectName) -> Option<Ident> {
        let [part] = name.0.as_slice() else {
            return None;
        };
        self.cte(&folded(part.as_ident()?))?.1.clone()
    }

    /// Resolves a name; an error points at its first part, as PostgreSQL's do.
    fn table(&mut self, name: &mut ObjectName) -> Result<(), ServerError> {
        let first = name.0.first().and_then(ObjectNamePart::as_ident);
        let start = first.map(|ident| ident.span.start);
        self.table_named(name).map_err(|error| match start {
            Some(start) if start.line > 0 => error.at(start.line, start.column),
            _ => error,
        })
    }

    /// Where a function on spans reads: a table or a query, as a text, whose names are those of FROM. What is neither is
    /// left for the function to refuse.
    fn source(&mut self, argument: &mut Expr) -> Result<(), ServerError> {
        let text = match &*argument {
            Expr::Identifier(ident) => ident.to_string(),
            Expr::CompoundIdentifier(idents) => {
                let parts: Vec<String> = idents.iter().map(ToString::to_string).collect();
                parts.join(".")
            }
            other => match written_text(other) {
                Some(text) => text.to_owned(),
                None => return Ok(()),
            },
        };
        let parts = genokura_sql_ext::name_parts(&text);
        let query = match &parts {
            Some(parts) => {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                format!("SELECT * FROM {}", object_name(&parts))
            }
            None => text,
        };
        let parsed = depth::statements(&query).map_err(|error| function_error(&error))?;
        let Some(mut statements) = parsed else {
            return Ok(());
        };
        let [statement @ ast::Statement::Query(_)] = statements.as_mut_slice() else {
            return Ok(());
        };
        // It knows nothing of the statement around it, and PostgreSQL's own tables are not for it.
        let around = std::mem::take(&mut self.scopes);
        let before = std::mem::take(&mut self.found);
        let visited = statement.visit(self);
        self.scopes = around;
        let found = std::mem::replace(&mut self.found, before);
        if let ControlFlow::Break(error) = visited {
            return Err(error.without_place());
        }
        if !found.catalog.is_empty() {
            return Ok(());
        }
        self.found.lake += found.lake;
        *argument = text_literal(&match &parts {
            Some(_) => plain_name(statement).unwrap_or_else(|| statement.to_string()),
            None => statement.to_string(),
        });
        Ok(())
    }

    fn table_named(&mut self, name: &mut ObjectName) -> Result<(), ServerError> {
        let parts = name_parts(name)?;
        match parts.as_slice() {
            [table] => self.bare(name, table),
            [schema, table] => self.qualified(name, schema, table),
            [database, schema, table] if database == DATABASE => {
                *name = object_name(&[schema, table]);
                self.qualified(name, schema, table)
            }
            [_, _, _, _, ..] => {
                let text = format!("improper qualified name (too many dotted names): {name}");
                Err(ServerError::syntax(text, None))
            }
            _ => Err(ServerError::unsupported(format!(
                "cross-database references are not implemented: \"{name}\""
            ))),
        }
    }

    fn bare(&mut self, name: &mut ObjectName, table: &str) -> Result<(), ServerError> {
        if self.cte(table).is_some() {
            return Ok(());
        }
        // Temporary relations come first, PostgreSQL's own second.
        let temporary = |schema: &&String| is_temp_schema(schema) && self.exists(schema, table);
        if table.starts_with("pg_") && !self.search_path.iter().any(|name| temporary(&name)) {
            self.found.catalog.insert(format!("pg_catalog.{table}"));
            return Ok(());
        }
        match self
            .search_path
            .iter()
            .find(|schema| self.exists(schema, table))
        {
            Some(schema) => {
                *name = object_name(&[schema, table]);
                self.found.lake += 1;
                Ok(())
            }
            None => Err(match self.comes(table) {
                true => undefined_table(table)
                    .detail(format!(
                        "There is a WITH item named \"{table}\", but it cannot be referenced from this part of the query."
                    ))
                    .hint("Use WITH RECURSIVE, or re-order the WITH items to remove forward references."),
                false => self.undefined(table, table, None),
            }),
        }
    }

    /// Whether a query of WITH has this name that may not be read yet.
    fn comes(&self, table: &str) -> bool {
        let mut coming = self.scopes.iter().flat_map(|scope| &scope.coming);
        coming.any(|(name, _)| name == table)
    }

    fn qualified(
        &mut self,
        name: &mut ObjectName,
        schema: &str,
        table: &str,
    ) -> Result<(), ServerError> {
        // pg_temp is the session's own, whatever its number.
        let own = || self.search_path.iter().find(|name| is_temp_schema(name));
        let schema = match own().filter(|_| schema == "pg_temp") {
            Some(own) => own.as_str(),
            None => schema,
        };
        if matches!(schema, "pg_catalog" | "information_schema") {
            self.found.catalog.insert(format!("{schema}.{table}"));
            return Ok(());
        }
        if self.exists(schema, table) {
            *name = object_name(&[schema, table]);
            self.found.lake += 1;
            return Ok(());
        }
        let shown = name.0.iter().map(part_text).collect::<Vec<_>>().join(".");
        Err(self.undefined(&shown, table, Some(schema)))
    }

    /// What stands for a temporary view: its query, whose names are resolved in their turn.
    ///
    /// # Errors
    /// As [`super::every_column`].
    fn view(
        &self,
        name: &ObjectName,
        alias: Option<&ast::TableAlias>,
    ) -> Option<Result<TableFactor, ServerError>> {
        let parts: Vec<String> = name.0.iter().map(part_text).collect();
        let [schema, table] = parts.as_slice() else {
            return None;
        };
        let Relation::View(view) = self
            .temporary
            .get(table)
            .filter(|_| is_temp_schema(schema))?
        else {
            return None;
        };
        let mut columns: Vec<ast::TableAliasColumnDef> = view
            .schema
            .fields()
            .iter()
            .map(|field| ast::TableAliasColumnDef {
                name: Ident::with_quote('"', field.name()),
                data_type: None,
            })
            .collect();
        for (own, given) in columns
            .iter_mut()
            .zip(alias.iter().flat_map(|a| &a.columns))
        {
            own.clone_from(given);
        }
        let name = alias.map_or_else(|| Ident::with_quote('"', table), |alias| alias.name.clone());
        let marked = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(view.query.clone()),
            alias: Some(ast::TableAlias {
                explicit: true,
                name: Ident::with_quote('"', origins::of_view(table)),
                columns: Vec::new(),
                at: None,
            }),
            sample: None,
        };
        Some(
            every_column_of(marked).map(|subquery| TableFactor::Derived {
                lateral: false,
                subquery: Box::new(subquery),
                alias: Some(ast::TableAlias {
                    explicit: true,
                    name,
                    columns,
                    at: None,
                }),
                sample: None,
            }),
        )
    }

    fn exists(&self, schema: &str, table: &str) -> bool {
        self.context
            .catalog(DATABASE)
            .and_then(|catalog| catalog.schema(schema))
            .is_some_and(|schema| schema.table_exist(table))
    }

    /// 42P01; the hint names a table of the same name in another schema, or one spelled alike.
    fn undefined(&self, shown: &str, table: &str, schema: Option<&str>) -> ServerError {
        let error = undefined_table(shown);
        let Some(catalog) = self.context.catalog(DATABASE) else {
            return error;
        };
        let schemas = catalog.schema_names();
        if let Some(schema) = schema
            && !schemas.iter().any(|known| known == schema)
        {
            return match slip_of(schema, schemas.iter().map(String::as_str)) {
                Some(known) => error.hint(format!("Perhaps you meant the schema \"{known}\".")),
                None => error.detail(format!("There is no schema \"{schema}\".")),
            };
        }
        if schema.is_none()
            && let Some(home) = schemas.iter().find(|home| self.exists(home, table))
        {
            return error.hint(format!(
                "There is a relation \"{home}.{table}\"; qualify the name or add the schema to search_path."
            ));
        }
        let wanted = schema.map_or_else(|| self.search_path.to_vec(), |s| vec![s.to_owned()]);
        let names: Vec<String> = wanted
            .iter()
            .filter_map(|schema| catalog.schema(schema))
            .flat_map(|schema| schema.table_names())
            .collect();
        match slip_of(table, names.iter().map(String::as_str)) {
            Some(name) => {
                // As it has to be written.
                let name = match schema {
                    Some(schema) => format!("{schema}.{name}"),
                    None => name.to_owned(),
                };
                error.hint(format!("Perhaps you meant the relation \"{name}\"."))
            }
            None => error,
        }
    }

    fn knows_function(&self, name: &str) -> bool {
        let state = self.context.state_ref();
        let state = state.read();
        state.scalar_functions().contains_key(name)
            || state.aggregate_functions().contains_key(name)
            || state.window_functions().contains_key(name)
            || state.higher_order_functions().contains_key(name)
    }
}

/// `SELECT *` from what stands in FROM.
fn every_column_of(factor: TableFactor) -> Result<Query, ServerError> {
    let mut query = super::every_column()?;
    if let ast::SetExpr::Select(select) = query.body.as_mut()
        && let Some(from) = select.from.first_mut()
    {
        from.relation = factor;
    }
    Ok(query)
}

/// The text of a constant, also in brackets and with a cast to text.
fn written_text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(expr)
        | Expr::Cast {
            expr,
            data_type: ast::DataType::Text | ast::DataType::Varchar(None),
            array: false,
            format: None,
            ..
        } => written_text(expr),
        other => string_literal(other),
    }
}

/// The name behind `SELECT * FROM`, unless a view's query stands there.
fn plain_name(statement: &ast::Statement) -> Option<String> {
    let ast::Statement::Query(query) = statement else {
        return None;
    };
    let ast::SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    match &select.from.first()?.relation {
        TableFactor::Table { name, .. } => Some(name.to_string()),
        _ => None,
    }
}
