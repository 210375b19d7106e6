//! Rewrites of the syntax tree between PostgreSQL's SQL and DataFusion's.
//!
//! Names are resolved along `search_path`, functions that ask about the session become literals,
//! parameters become typed constants, and types that only PostgreSQL has become what they hold.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::execution::context::SessionContext;
use datafusion::sql::sqlparser::ast::{
    self, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, TableFactor,
    UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::arrays;
use super::spelling;
use super::statement::temp::is_temp_schema;
use super::temp::{Relation, TempState};
use super::{DATABASE, SessionInfo, kinds};
use crate::pg_input;
use crate::pg_types::PgType;
use crate::pgwire::encode::Format;
use crate::sqlstate::{ServerError, nearest, undefined_table};

/// What a statement reads, after its names are resolved.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Relations of `pg_catalog` and `information_schema`.
    pub(crate) catalog: BTreeSet<String>,
    /// Tables of the lake.
    pub(crate) lake: usize,
    /// Functions and casts that DataFusion does not have.
    pub(crate) foreign: bool,
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
    genokura_sql_ext::syntax::rewrite(statement)
        .map_err(|error| ServerError::new(error.sqlstate(), error.to_string()))?;
    let mut resolver = Resolver {
        context,
        search_path,
        temporary,
        ctes: Vec::new(),
        found: Relations::default(),
    };
    match statement.visit(&mut resolver) {
        ControlFlow::Continue(()) => Ok(resolver.found),
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
    ctes: Vec<Vec<String>>,
    found: Relations,
}

impl VisitorMut for Resolver<'_> {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.ctes
            .push(ctes.map(|cte| folded(&cte.alias.name)).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<ServerError> {
        self.ctes.pop();
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
                if let Err(error) = self.table(name) {
                    return ControlFlow::Break(error);
                }
                if let Some(view) = self.view(name, alias.as_ref()) {
                    *factor = view;
                }
                ControlFlow::Continue(())
            }
            TableFactor::Table {
                name,
                args: Some(_),
                ..
            }
            | TableFactor::Function { name, .. } => {
                strip_pg_catalog(name);
                self.found.foreign |= self.context.table_function(&last_part(name)).is_err();
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        match expr {
            Expr::Function(function) => {
                let name = last_part(&function.name);
                // What asks about the session is the catalog's to answer, with the types that PostgreSQL gives it,
                // unless the statement reads the lake.
                if is_session_function(&name) || !self.knows_function(&name) {
                    self.found.foreign = true;
                }
            }
            Expr::Cast { data_type, .. } if is_reg_type(data_type) => self.found.foreign = true,
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Resolver<'_> {
    /// Resolves a name; an error points at its first part, as PostgreSQL's do.
    fn table(&mut self, name: &mut ObjectName) -> Result<(), ServerError> {
        let first = name.0.first().and_then(ObjectNamePart::as_ident);
        let start = first.map(|ident| ident.span.start);
        self.table_named(name).map_err(|error| match start {
            Some(start) if start.line > 0 => error.at(start.line, start.column),
            _ => error,
        })
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
            _ => Err(ServerError::unsupported(format!(
                "cross-database references are not implemented: \"{name}\""
            ))),
        }
    }

    fn bare(&mut self, name: &mut ObjectName, table: &str) -> Result<(), ServerError> {
        if self.ctes.iter().flatten().any(|cte| cte == table) {
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
            None => Err(self.undefined(table, table, None)),
        }
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
    fn view(&self, name: &ObjectName, alias: Option<&ast::TableAlias>) -> Option<TableFactor> {
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
        Some(TableFactor::Derived {
            lateral: false,
            subquery: Box::new(view.query.clone()),
            alias: Some(ast::TableAlias {
                explicit: true,
                name,
                columns,
                at: None,
            }),
            sample: None,
        })
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
            return match nearest(schema, schemas.iter().map(String::as_str)) {
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
        match nearest(table, names.iter().map(String::as_str)) {
            Some(name) => error.hint(format!("Perhaps you meant the relation \"{name}\".")),
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

fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

fn name_parts(name: &ObjectName) -> Result<Vec<String>, ServerError> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(folded(ident)),
            ObjectNamePart::Function(_) => Err(ServerError::unsupported(format!(
                "the name {name} is not supported"
            ))),
        })
        .collect()
}

fn part_text(part: &ObjectNamePart) -> String {
    part.as_ident().map_or_else(|| part.to_string(), folded)
}

fn last_part(name: &ObjectName) -> String {
    name.0.last().map(part_text).unwrap_or_default()
}

fn object_name(parts: &[&str]) -> ObjectName {
    ObjectName::from(
        parts
            .iter()
            .map(|p| Ident::with_quote('"', *p))
            .collect::<Vec<_>>(),
    )
}

fn strip_pg_catalog(name: &mut ObjectName) {
    if name.0.len() == 2
        && name
            .0
            .first()
            .is_some_and(|part| part_text(part) == "pg_catalog")
    {
        name.0.remove(0);
    }
}

fn is_reg_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Regclass => true,
        DataType::Custom(name, _) => {
            let name = last_part(name);
            name.starts_with("reg") || matches!(name.as_str(), "oid" | "xid" | "aclitem")
        }
        _ => false,
    }
}

fn is_session_function(name: &str) -> bool {
    matches!(
        name,
        "version"
            | "current_database"
            | "current_catalog"
            | "current_schema"
            | "current_schemas"
            | "current_user"
            | "current_role"
            | "session_user"
            | "user"
            | "pg_backend_pid"
            | "current_setting"
            | "set_config"
            | "pg_is_in_recovery"
            | "pg_advisory_unlock_all"
    )
}

/// A setting that `set_config` changes, applied before the statement runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetConfig {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) local: bool,
}

/// Whether this is a call of `set_config`.
pub(crate) fn is_set_config(function: &Function) -> bool {
    last_part(&function.name) == "set_config"
}

/// The calls of `set_config` in a statement, with constant arguments.
///
/// # Errors
/// 0A000 for arguments that are no constants.
pub(crate) fn set_configs(statement: &mut ast::Statement) -> Result<Vec<SetConfig>, ServerError> {
    let mut found = Vec::new();
    let flow = ast::visit_expressions_mut(statement, |expr| {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        if !is_set_config(function) {
            return ControlFlow::Continue(());
        }
        match arguments(function).as_slice() {
            [Some(name), Some(value), local] => {
                found.push(SetConfig {
                    name: name.clone(),
                    value: value.clone(),
                    local: local.as_deref() == Some("true"),
                });
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(ServerError::unsupported("set_config takes constants only")),
        }
    });
    match flow {
        ControlFlow::Continue(()) => Ok(found),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Whether this is a call of the function of this name.
pub(super) fn is_call_of(function: &Function, name: &str) -> bool {
    function.name.0.len() == 1 && last_part(&function.name) == name
}

/// The arguments of a call; none when one has a name or is a wildcard.
pub(super) fn call_arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    let plain = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    plain.collect::<Option<_>>().unwrap_or_default()
}

/// One of the arguments of a call.
pub(super) fn call_argument_mut(function: &mut Function, place: usize) -> Option<&mut Expr> {
    let FunctionArguments::List(list) = &mut function.args else {
        return None;
    };
    match list.args.get_mut(place)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

/// The text of a string constant without a cast.
pub(super) fn string_literal(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// A call of a function with one argument.
pub(super) fn call(name: &str, argument: Expr) -> Expr {
    call_of(name, vec![argument])
}

fn call_of(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)));
    Expr::Function(Function {
        name: object_name(&[name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(ast::FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        null_treatment: None,
        filter: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The constant arguments of a call as text; None for one that is no constant or NULL.
fn arguments(function: &Function) -> Vec<Option<String>> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => constant(expr),
            _ => None,
        })
        .collect()
}

pub(super) fn constant(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Boolean(on) => Some(on.to_string()),
            Value::Number(digits, _) => Some(digits.clone()),
            other => other.clone().into_string(),
        },
        Expr::Cast { expr, .. } | Expr::Nested(expr) => constant(expr),
        _ => None,
    }
}

/// Makes `statement`, whose names are resolved, one that DataFusion plans as PostgreSQL would.
///
/// # Errors
/// 42704 for an unknown setting in `current_setting`.
pub(crate) fn to_datafusion(
    statement: &mut ast::Statement,
    info: &SessionInfo,
) -> Result<(), ServerError> {
    let mut rewriter = ToDataFusion { info, depth: 0 };
    match statement.visit(&mut rewriter) {
        ControlFlow::Continue(()) => {}
        ControlFlow::Break(error) => return Err(error),
    }
    if let ast::Statement::Query(query) = statement {
        top_level(&mut query.body);
    }
    Ok(())
}

/// The same for one expression.
///
/// # Errors
/// As [`to_datafusion`].
pub(super) fn expression_to_datafusion(
    expr: &mut Expr,
    info: &SessionInfo,
) -> Result<(), ServerError> {
    let mut rewriter = ToDataFusion { info, depth: 1 };
    match expr.visit(&mut rewriter) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Lets parameters of types that are kept as text be told as what they are.
pub(super) fn tell_kinds(statement: &mut ast::Statement, parameters: &[PgType]) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        let number = super::params::placeholder(expr);
        let pg_type = number.and_then(|number| parameters.get(number.checked_sub(1)?));
        if let Some(function) = pg_type.and_then(|pg_type| kinds::function_of(*pg_type)) {
            *expr = call(function, expr.clone());
        }
        ControlFlow::Continue(())
    });
}

struct ToDataFusion<'a> {
    info: &'a SessionInfo,
    depth: usize,
}

impl VisitorMut for ToDataFusion<'_> {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        self.depth += 1;
        if !query.locks.is_empty() {
            let error = super::statement::read_only("SELECT FOR UPDATE");
            return ControlFlow::Break(error);
        }
        spelling::fetch_as_limit(query);
        if let SetExpr::Select(select) = query.body.as_mut()
            && let Err(error) = spelling::exists_as_count(select)
        {
            return ControlFlow::Break(error);
        }
        if self.depth > 1
            && let SetExpr::Select(select) = query.body.as_mut()
        {
            name_inner_columns(select);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<ServerError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        let typed = match &*expr {
            Expr::Cast {
                expr: value,
                data_type,
                ..
            } => typed_constant(value, data_type),
            _ => Ok(None),
        };
        let constant = match typed {
            Ok(Some(constant)) => Ok(Some(constant)),
            Ok(None) => arrays::constant(expr),
            Err(error) => Err(error),
        };
        match constant {
            Ok(Some(constant)) => *expr = constant,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        match expr {
            Expr::Function(function) => {
                strip_pg_catalog(&mut function.name);
                if let Err(error) = spelling::function(function) {
                    return ControlFlow::Break(error);
                }
                match session_function(function, self.info) {
                    Ok(Some(literal)) => *expr = literal,
                    Ok(None) => {}
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            Expr::Cast {
                expr: value,
                data_type: DataType::Bytea,
                ..
            } => {
                if let Expr::Value(value) = value.as_ref()
                    && let Value::SingleQuotedString(text) = &value.value
                {
                    match bytea(text) {
                        Ok(bytes) => *expr = bytes,
                        Err(error) => return ControlFlow::Break(error),
                    }
                }
            }
            Expr::TypedString(typed) if typed.data_type == DataType::Bytea => {
                match bytea(&typed.value.value.clone().into_string().unwrap_or_default()) {
                    Ok(bytes) => *expr = bytes,
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            Expr::TypedString(typed) if matches!(typed.data_type, DataType::Timestamp(..)) => {
                if let Value::SingleQuotedString(text) = &mut typed.value.value {
                    *text = spelling::with_seconds(text);
                }
            }
            Expr::Cast {
                expr: value,
                data_type: DataType::Timestamp(..),
                ..
            } => {
                if let Expr::Value(value) = value.as_mut()
                    && let Value::SingleQuotedString(text) = &mut value.value
                {
                    *text = spelling::with_seconds(text);
                }
            }
            Expr::Cast {
                expr: value,
                data_type,
                ..
            } => {
                if let Some(function) = kinds::function_of_sql(data_type) {
                    *expr = call(function, value.as_ref().clone());
                } else if is_kind(value) && is_text(data_type) {
                    *expr = call(kinds::AS_TEXT, value.as_ref().clone());
                } else if let Some(cut) = spelling::cut(value, data_type) {
                    *expr = cut;
                } else {
                    plain_type(data_type);
                }
            }
            Expr::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                let value = self::text(&text);
                match typed_constant(&value, &typed.data_type) {
                    Ok(Some(constant)) => *expr = constant,
                    Ok(None) => {
                        if let Some(function) = kinds::function_of_sql(&typed.data_type) {
                            *expr = call(function, value);
                        }
                    }
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            Expr::Interval(interval) if interval.leading_field.is_none() => {
                if let Some(text) = string_literal(&interval.value) {
                    match pg_input::interval(text) {
                        Ok(value) => *expr = super::params::interval(value),
                        Err(error) => return ControlFlow::Break(error),
                    }
                }
            }
            Expr::Array(array) => {
                // An array of calls of one of these functions is an array of their type.
                let kind = array.elem.iter().find_map(|item| match item {
                    Expr::Function(function) => kinds::named(&last_part(&function.name)),
                    _ => None,
                });
                if let Some(function) = kind {
                    *expr = call(function, expr.clone());
                }
            }
            Expr::Value(value) => {
                if let Value::Number(digits, _) = &value.value
                    && digits.len() > LONG_DIGITS
                    && let Err(error) = super::params::numeric(digits)
                {
                    return ControlFlow::Break(error);
                }
            }
            Expr::Collate {
                expr: inner,
                collation,
            } => match collated(inner, collation) {
                Ok(plain) => *expr = plain,
                Err(error) => return ControlFlow::Break(error),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether this is a call of a function that tells what a text is.
fn is_kind(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => kinds::named(&last_part(&function.name)).is_some(),
        Expr::Nested(inner) => is_kind(inner),
        _ => false,
    }
}

fn is_text(data_type: &DataType) -> bool {
    let pg_type = super::params::type_of_sql(data_type);
    matches!(pg_type, Some(PgType::TEXT | PgType::VARCHAR))
}

/// Numbers with fewer characters fit every type that they may be given.
const LONG_DIGITS: usize = 76;

/// A constant that PostgreSQL reads by the rules of its type, and the planner by its own; None for what stays a cast.
fn typed_constant(value: &Expr, data_type: &DataType) -> Result<Option<Expr>, ServerError> {
    let Some(pg_type) = super::params::type_of_sql(data_type) else {
        return Ok(None);
    };
    let mut data_type = data_type;
    while let DataType::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        data_type = element;
    }
    let bare = matches!(
        data_type,
        DataType::Numeric(ast::ExactNumberInfo::None)
            | DataType::Decimal(ast::ExactNumberInfo::None)
    );
    if let (Some(digits), true) = (constant_number(value), bare) {
        return super::params::numeric(digits).map(Some);
    }
    let Some(text) = string_literal(value) else {
        return Ok(None);
    };
    let read = |pg_type| {
        let text = bytes::Bytes::from(text.to_owned());
        super::params::constant(Some(&text), Format::Text, pg_type)
    };
    Ok(match pg_type.element().unwrap_or(pg_type) {
        // The digits that the type asks for are the planner's to keep.
        PgType::NUMERIC if !bare => {
            read(pg_type)?;
            None
        }
        PgType::INTERVAL | PgType::NUMERIC => Some(read(pg_type)?),
        _ if pg_type.element().is_some() => Some(read(pg_type)?),
        _ => None,
    })
}

/// An expression without its collation: text is compared by its bytes, which is what these collations do.
fn collated(expr: &Expr, collation: &ObjectName) -> Result<Expr, ServerError> {
    match last_part(collation).as_str() {
        "C" | "POSIX" | "default" | "ucs_basic" | "C.utf8" | "C.UTF-8" => Ok(expr.clone()),
        other => Err(ServerError::new(
            "42704",
            format!("collation \"{other}\" for encoding \"UTF8\" does not exist"),
        )
        .hint("Text is compared by its bytes: use the collation \"C\".")
        .near(other)),
    }
}

/// A bytea literal from its text.
fn bytea(text: &str) -> Result<Expr, ServerError> {
    super::params::bytea_of_text(text).map(|bytes| super::params::bytes(&bytes))
}

/// Digits of the widest decimal that sums are still made of.
const DECIMAL_DIGITS: u64 = 38;
/// Digits of the widest decimal.
const WIDEST_DIGITS: u64 = 76;

/// Types of PostgreSQL that are text to DataFusion, and numbers wider than its own.
fn plain_type(data_type: &mut DataType) {
    match data_type {
        DataType::Custom(name, _) => {
            strip_pg_catalog(name);
            let known = match last_part(name).as_str() {
                "name" | "char" | "citext" | "xml" | "cstring" | "unknown" => DataType::Text,
                "int2" => DataType::SmallInt(None),
                "int4" => DataType::Integer(None),
                "int8" => DataType::BigInt(None),
                "float4" => DataType::Real,
                "float8" => DataType::DoublePrecision,
                "bool" => DataType::Boolean,
                "bpchar" | "varchar" | "text" => DataType::Text,
                _ => return,
            };
            *data_type = known;
        }
        DataType::JSON | DataType::JSONB | DataType::Uuid => *data_type = DataType::Text,
        // Wider than any number here has digits: PostgreSQL's numeric(1000) asks for no more than "all of them".
        DataType::Numeric(ast::ExactNumberInfo::PrecisionAndScale(precision, _))
        | DataType::Numeric(ast::ExactNumberInfo::Precision(precision))
            if *precision > WIDEST_DIGITS =>
        {
            *precision = DECIMAL_DIGITS;
        }
        _ => {}
    }
}

fn session_function(function: &Function, info: &SessionInfo) -> Result<Option<Expr>, ServerError> {
    let name = last_part(&function.name);
    if function.name.0.len() != 1 || !is_session_function(&name) {
        return Ok(None);
    }
    Ok(Some(match name.as_str() {
        "version" => text(super::VERSION),
        "current_database" | "current_catalog" => text(DATABASE),
        "current_schema" => info
            .current_schema()
            .map_or_else(null_text, |schema| text(&schema)),
        "current_schemas" => {
            let mut schemas = info.schemas.clone();
            if arguments(function).first().cloned().flatten().as_deref() == Some("true") {
                schemas.insert(0, "pg_catalog".to_owned());
                if let Some(own) = &info.temporary_schema {
                    schemas.insert(0, own.clone());
                }
            }
            text_array(&schemas)
        }
        "current_user" | "current_role" | "session_user" | "user" => text(&info.user),
        "pg_backend_pid" => cast(number(i64::from(info.pid)), DataType::Integer(None)),
        "pg_is_in_recovery" => boolean(false),
        "pg_advisory_unlock_all" => null_text(),
        "current_setting" => {
            let arguments = arguments(function);
            let Some(Some(name)) = arguments.first() else {
                return Ok(None);
            };
            match info.settings.get(name) {
                Some(value) => text(value),
                None if arguments.get(1) == Some(&Some("true".to_owned())) => null_text(),
                None => text(info.settings.show(name)?),
            }
        }
        "set_config" => match arguments(function).get(1) {
            Some(Some(value)) => text(value),
            _ => null_text(),
        },
        _ => return Ok(None),
    }))
}

fn text(value: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(value.to_owned()))
}

fn number(value: i64) -> Expr {
    Expr::value(Value::Number(value.to_string(), false))
}

fn boolean(value: bool) -> Expr {
    Expr::value(Value::Boolean(value))
}

fn null_text() -> Expr {
    cast(Expr::value(Value::Null), DataType::Text)
}

pub(crate) fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type,
        array: false,
        format: None,
    }
}

pub(super) fn text_array(items: &[String]) -> Expr {
    let elem = items.iter().map(|item| text(item)).collect();
    Expr::Array(ast::Array { elem, named: true })
}

/// Gives unnamed expressions of a subquery the names PostgreSQL gives them, where unique.
fn name_inner_columns(select: &mut Select) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for item in &select.projection {
        if let Some(name) = item_name(item) {
            *taken.entry(name).or_default() += 1;
        }
    }
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        if matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)) {
            continue;
        }
        let name = column_name(expr);
        if name != "?column?" && taken.get(&name) == Some(&1) {
            let alias = Ident::with_quote('"', name);
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        }
    }
}

/// In the outermost SELECTs, makes integer constants int4, decimal ones numeric, and repeated names unique to the
/// planner; [`output_names`] gives clients the names they asked for.
fn top_level(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                {
                    constant_type(expr);
                }
            }
            unique_columns(select);
        }
        SetExpr::Query(query) => top_level(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            top_level(left);
            top_level(right);
        }
        _ => {}
    }
}

fn constant_type(expr: &mut Expr) {
    match expr {
        Expr::Tuple(items) => {
            items.iter_mut().for_each(constant_type);
            *expr = call_of("row", std::mem::take(items));
            return;
        }
        Expr::Array(array) => return array.elem.iter_mut().for_each(constant_type),
        Expr::Nested(inner) => return constant_type(inner),
        Expr::Function(function) if is_call_of(function, "row") => {
            let mut place = 0;
            while let Some(argument) = call_argument_mut(function, place) {
                constant_type(argument);
                place += 1;
            }
            return;
        }
        _ => {}
    }
    let digits = match &*expr {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => constant_number(expr),
        other => constant_number(other),
    };
    let Some(digits) = digits else {
        return;
    };
    if digits.parse::<i32>().is_ok() {
        *expr = cast(expr.clone(), DataType::Integer(None));
    } else if digits.parse::<i64>().is_err() {
        let sign = if matches!(expr, Expr::UnaryOp { .. }) {
            "-"
        } else {
            ""
        };
        // One that is too long was refused before.
        if let Ok(exact) = super::params::numeric(&format!("{sign}{digits}")) {
            *expr = exact;
        }
    }
}

fn constant_number(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => Some(digits),
            _ => None,
        },
        _ => None,
    }
}

fn unique_columns(select: &mut Select) {
    let mut seen = BTreeSet::new();
    for (number, item) in select.projection.iter_mut().enumerate() {
        let key = match &*item {
            SelectItem::UnnamedExpr(expr) => planner_name(expr),
            SelectItem::ExprWithAlias { alias, .. } => folded(alias),
            _ => continue,
        };
        if seen.insert(key) {
            continue;
        }
        let unique = Ident::with_quote('"', format!("column {}", number + 1));
        match item {
            SelectItem::UnnamedExpr(expr) => {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: unique,
                };
            }
            SelectItem::ExprWithAlias { alias, .. } => *alias = unique,
            _ => {}
        }
    }
}

/// What the planner tells an unnamed expression by; it calls every scalar subquery the same.
fn planner_name(expr: &Expr) -> String {
    let mut named = expr.clone();
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut named, |part| {
        if matches!(part, Expr::Subquery(_)) {
            *part = Expr::Identifier(Ident::new("subquery"));
        }
        ControlFlow::Continue(())
    });
    named.to_string().to_ascii_lowercase()
}

/// The column names of the result as PostgreSQL would name them, for the columns that come
/// before and after a wildcard; None where the planner's name stands.
pub(crate) fn output_names(statement: &ast::Statement, width: usize) -> Vec<Option<String>> {
    if let ast::Statement::Query(query) = statement
        && let SetExpr::Values(_) = query.body.as_ref()
    {
        let numbers = 1..=width;
        return numbers
            .map(|number| Some(format!("column{number}")))
            .collect();
    }
    let items = output_items(statement, width).into_iter();
    items.map(|item| item.and_then(item_name)).collect()
}

/// Whether each column of the result is a number that says nothing of its digits, as `1.5` and `x::numeric`: its type
/// has no modifier then.
pub(super) fn without_digits(statement: &ast::Statement, width: usize) -> Vec<bool> {
    let bare = |item: Option<&SelectItem>| match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            says_no_digits(expr)
        }
        _ => false,
    };
    output_items(statement, width)
        .into_iter()
        .map(bare)
        .collect()
}

fn says_no_digits(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..) | Value::Placeholder(_)),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => says_no_digits(expr),
        Expr::Array(array) => array.elem.iter().any(says_no_digits),
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            DataType::Numeric(ast::ExactNumberInfo::None)
                | DataType::Decimal(ast::ExactNumberInfo::None)
        ),
        _ => false,
    }
}

/// The items of the first SELECT that the columns before and after a wildcard are made by.
fn output_items(statement: &ast::Statement, width: usize) -> Vec<Option<&SelectItem>> {
    let mut found = vec![None; width];
    let ast::Statement::Query(query) = statement else {
        return found;
    };
    let Some(select) = first_select(&query.body) else {
        return found;
    };
    let items = &select.projection;
    let wild = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    };
    let front = items.iter().take_while(|item| !wild(item)).count();
    for (place, item) in found.iter_mut().zip(&items[..front]) {
        *place = Some(item);
    }
    if front < items.len() {
        let back = items.iter().rev().take_while(|item| !wild(item));
        for (place, item) in found.iter_mut().rev().zip(back) {
            *place = Some(item);
        }
    }
    found
}

fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

/// The name PostgreSQL gives an unnamed expression (FigureColname).
fn column_name(expr: &Expr) -> String {
    given_name(expr).unwrap_or_else(|| "?column?".to_owned())
}

fn given_name(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Identifier(ident) => folded(ident),
        Expr::CompoundIdentifier(idents) => folded(idents.last()?),
        Expr::Function(function) => last_part(&function.name),
        Expr::Nested(inner) => return given_name(inner),
        Expr::Collate { expr, .. } => return given_name(expr),
        Expr::Cast {
            expr, data_type, ..
        } => {
            return given_name(expr).or_else(|| type_name(data_type));
        }
        Expr::TypedString(typed) => return type_name(&typed.data_type),
        Expr::Case { else_result, .. } => match else_result.as_deref() {
            Some(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) => column_name(expr),
            _ => "case".to_owned(),
        },
        Expr::Array(_) => "array".to_owned(),
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::Tuple(_) => "row".to_owned(),
        Expr::CompoundFieldAccess { root, .. } => return given_name(root),
        Expr::Value(value) => match &value.value {
            Value::Boolean(_) => "bool".to_owned(),
            _ => return None,
        },
        Expr::Subquery(query) => {
            let select = first_select(&query.body)?;
            return item_name(select.projection.first()?).filter(|name| name != "?column?");
        }
        _ => return None,
    })
}

fn type_name(data_type: &DataType) -> Option<String> {
    Some(
        match data_type {
            DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4",
            DataType::BigInt(_) | DataType::Int8(_) => "int8",
            DataType::SmallInt(_) | DataType::Int2(_) => "int2",
            DataType::Text => "text",
            DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar",
            DataType::Boolean | DataType::Bool => "bool",
            DataType::Real | DataType::Float4 => "float4",
            DataType::DoublePrecision | DataType::Float8 | DataType::Float(_) => "float8",
            DataType::Numeric(_) | DataType::Decimal(_) => "numeric",
            DataType::Date => "date",
            DataType::Bytea => "bytea",
            DataType::Timestamp(_, ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz) => {
                "timestamptz"
            }
            DataType::Timestamp(..) => "timestamp",
            DataType::Time(..) => "time",
            DataType::Interval { .. } => "interval",
            DataType::Custom(name, _) => return Some(last_part(name)),
            _ => return None,
        }
        .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::session::statement::{Statement, parse};

    fn query(sql: &str) -> ast::Statement {
        match parse(sql).unwrap().remove(0).statement {
            Statement::Query(query) => *query,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unnamed_columns_are_named_as_in_postgresql() {
        let sql = "select 1, count(*), a.b, 'x'::text, pos::int8, case when true then 1 end, \
                   version(), array[1], a + b, true, (select max(x) from t)";
        let names: Vec<_> = output_names(&query(sql), 11)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(
            names,
            [
                "?column?", "count", "b", "text", "pos", "case", "version", "array", "?column?",
                "bool", "max"
            ]
        );
    }

    #[test]
    fn names_around_a_wildcard_count_from_both_ends() {
        let names = output_names(&query("select count(*), t.*, 1 as z from t"), 4);
        assert_eq!(
            names,
            [Some("count".to_owned()), None, None, Some("z".to_owned())]
        );
    }
}
