//! Rewrites of the syntax tree between PostgreSQL's SQL and DataFusion's.
//!
//! Names are resolved along `search_path`, functions that ask about the session become literals,
//! parameters become typed constants, and types that only PostgreSQL has become what they hold.

mod aggregates;
mod alike;
mod calls;
mod chosen;
mod columns;
mod constants;
mod escapes;
mod grouping;
mod intervals;
mod listed;
mod literals;
mod names;
mod neighbours;
mod numbers;
mod operators;
mod order;
mod output;
mod quantified;
mod ranges;
mod relations;
mod rows;
mod session_functions;
mod set_columns;
mod sets;
mod subscripts;
mod type_calls;
mod types;
pub(super) mod untyped;
mod windows;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, Query, SetExpr, Value, VisitMut, VisitorMut,
};

pub(super) use alike::bare;
pub(super) use calls::{call, call_argument_mut, call_arguments, call_of, function_of, is_call_of};
pub(super) use chosen::told as tell_choices;
pub(super) use columns::told_apart as columns_told_apart;
use columns::{name_inner_columns, name_outer_columns, top_level};
pub(super) use escapes::of_parameters as escapes_of_parameters;
pub(super) use listed::wider;
pub(crate) use literals::cast;
pub(super) use literals::{constant, string_literal, text, text_array};
pub(super) use names::folded;
pub(super) use names::last_part;
use names::strip_pg_catalog;
pub(crate) use output::output_names;
pub(super) use output::{cast_to_digits, first_select, item_name, without_digits};
pub(super) use quantified::patterns;
pub(crate) use relations::{Relations, resolve, to_system_copies};
pub(super) use rows::{first_of_long, waits_for_values as rows_wait_for_values};
pub(super) use session_functions::is_session_function;
use session_functions::session_function;
pub(crate) use session_functions::{calls_set_config, set_configs};
pub(super) use types::is_reg_type as is_object_type;
use types::{
    LONG_DIGITS, bytea, collated, is_infinite, is_kind, is_text, plain_time, plain_type,
    typed_constant,
};

pub(super) use windows::{Named as NamedWindow, of_name as window_of_name, written_out};

use super::placed::of_constant;
use super::typed::Types;
use super::{SessionInfo, arrays, bit_strings, kinds, modified, spelling, ties};
use crate::clock::Clock;
use crate::pg_types::PgType;
use crate::sqlstate::ServerError;

/// Makes `statement`, whose names are resolved and whose constants are read, one that DataFusion plans as PostgreSQL would.
///
/// # Errors
/// 42704 for an unknown setting in `current_setting`.
pub(crate) fn to_datafusion(
    statement: &mut ast::Statement,
    info: &SessionInfo,
) -> Result<(), ServerError> {
    let clock = info.settings.clock();
    let mut rewriter = ToDataFusion {
        info,
        clock,
        is_query: matches!(statement, ast::Statement::Query(_)),
        depth: 0,
        collated: BTreeMap::new(),
    };
    match statement.visit(&mut rewriter) {
        ControlFlow::Continue(()) => {}
        ControlFlow::Break(error) => return Err(error),
    }
    if let ast::Statement::Query(query) = statement {
        top_level(&mut query.body);
    }
    sets::arrays_of_columns(statement);
    aggregates::told_apart(statement);
    types::free_numerics(statement);
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
    let read = untyped::read(expr, Types { parameters: None }, &BTreeMap::new())?;
    if let Some(error) = read.failed {
        return Err(error);
    }
    let clock = info.settings.clock();
    let mut rewriter = ToDataFusion {
        info,
        clock,
        is_query: false,
        depth: 1,
        collated: BTreeMap::new(),
    };
    match expr.visit(&mut rewriter) {
        ControlFlow::Continue(()) => {
            types::free_numerics(expr);
            Ok(())
        }
        ControlFlow::Break(error) => Err(error),
    }
}

/// The name of a function, folded.
pub(super) fn function_name(function: &ast::Function) -> String {
    last_part(&function.name)
}

/// `SELECT *` from a relation that is put in.
///
/// # Errors
/// Never; the signature follows the parser's.
pub(super) fn every_column() -> Result<Query, ServerError> {
    sets::query("SELECT * FROM relation")
}

/// One row, of which the columns may be set.
pub(super) fn one_row() -> Result<Query, ServerError> {
    sets::query("SELECT 1")
}

/// A value where a condition is true, and NULL elsewhere.
pub(super) fn where_true(condition: Expr, value: Expr) -> Expr {
    Expr::Case {
        case_token: ast::helpers::attached_token::AttachedToken::empty(),
        end_token: ast::helpers::attached_token::AttachedToken::empty(),
        operand: None,
        conditions: vec![ast::CaseWhen {
            condition,
            result: value,
        }],
        else_result: None,
    }
}

/// Tells `substring($1, $2)` of a pattern from that of a place, by the type that the parameter has.
pub(super) fn tell_patterns(statement: &mut ast::Statement, parameters: &[PgType]) {
    let is_pattern = |expr: &Expr| {
        let number = super::params::placeholder(expr);
        let pg_type = number.and_then(|number| parameters.get(number.checked_sub(1)?));
        matches!(pg_type, Some(&(PgType::TEXT | PgType::VARCHAR)))
    };
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        if let Expr::Substring {
            expr: whole,
            substring_from: Some(from),
            substring_for: None,
            ..
        } = expr
            && is_pattern(from)
        {
            *expr = call_of(
                "pg_substring",
                vec![whole.as_ref().clone(), from.as_ref().clone()],
            );
        }
        ControlFlow::Continue(())
    });
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
    /// What constants of times are read by.
    clock: Clock,
    /// The statement is a query, whose clients are told its names.
    is_query: bool,
    depth: usize,
    /// Where expressions with COLLATE end, by what they are: the same one stands in several clauses.
    collated: BTreeMap<String, [u64; 2]>,
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
        if let Err(error) = columns::none_in_sets(query) {
            return ControlFlow::Break(error);
        }
        windows::complete_all(query);
        if let SetExpr::Values(values) = query.body.as_mut() {
            listed::typed(values);
        }
        if let Err(error) = ties::as_ranks(query) {
            return ControlFlow::Break(error);
        }
        sets::series_into_from(query);
        sets::name_values(query);
        if let Err(error) = order::parts_as_queries(&mut query.body) {
            return ControlFlow::Break(error);
        }
        if let Err(error) = order::as_read(query, self.is_query && self.depth == 1) {
            return ControlFlow::Break(error);
        }
        if let Some(ast::LimitClause::LimitOffset { limit, offset, .. }) = &mut query.limit_clause {
            let counts = limit.iter_mut().map(|limit| ("LIMIT", limit));
            let offset = offset.as_mut().map(|offset| ("OFFSET", &mut offset.value));
            for (clause, count) in counts.chain(offset) {
                if let Err(error) = constants::count(clause, count) {
                    return ControlFlow::Break(error);
                }
            }
        }
        if let Some(ast::LimitClause::LimitOffset { limit, .. }) = &query.limit_clause
            && let Some(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) = limit
        {
            let text = "argument of LIMIT must not contain variables";
            return ControlFlow::Break(ServerError::new("42P10", text));
        }
        if self.depth > 1
            && let Some(select) = columns::naming(&mut query.body)
        {
            name_inner_columns(select);
        }
        match sets::order_outside(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<ServerError> {
        names::whole_tables(select);
        if let Err(error) = order::places_in_distinct(select) {
            return ControlFlow::Break(error);
        }
        order::places_in_sets(select);
        ranges::mark_named(select);
        if let Err(error) = grouping::flattened(select) {
            return ControlFlow::Break(error);
        }
        if let Err(error) = constants::conditions(select) {
            return ControlFlow::Break(error);
        }
        for item in &mut select.projection {
            let (ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) =
                item
            else {
                continue;
            };
            if let Some(told) = modified::told(expr) {
                *expr = told;
            }
            if self.is_query && self.depth == 1 {
                match bit_strings::told(expr) {
                    Ok(Some(told)) => *expr = told,
                    Ok(None) => {}
                    Err(error) => return ControlFlow::Break(error),
                }
            }
        }
        match rows::memberships(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<ServerError> {
        ranges::finish_named(select);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(
        &mut self,
        factor: &mut ast::TableFactor,
    ) -> ControlFlow<ServerError> {
        if let ast::TableFactor::Derived {
            lateral: true,
            subquery,
            ..
        } = factor
        {
            name_outer_columns(subquery);
        }
        if let ast::TableFactor::Derived { subquery, .. } = factor {
            columns::name_unnamed(subquery);
        }
        match sets::in_from(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        self.depth -= 1;
        if let SetExpr::Values(values) = query.body.as_mut() {
            modified::values_alike(values);
        }
        columns::groups_told_apart(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        if let Expr::Function(function) = expr {
            ranges::mark_own(function);
        }
        if let Err(error) = rows::overlaps(expr) {
            return ControlFlow::Break(error);
        }
        type_calls::respell(expr);
        aggregates::without_constants(expr);
        let checked = types::modifiers(expr)
            .and_then(|()| types::check_integer(expr))
            .and_then(|()| types::check_float(expr))
            .and_then(|()| constants::truths(expr))
            .and_then(|()| bit_strings::respell(expr));
        modified::respell(expr);
        match checked {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        if let Err(error) = rows::columnwise(expr) {
            return ControlFlow::Break(error);
        }
        rows::signed_power(expr);
        if let Expr::Function(function) = expr {
            numbers::of_floats(function);
        }
        numbers::listed(expr);
        sets::call(expr);
        if let Err(error) = operators::respell(expr) {
            return ControlFlow::Break(error);
        }
        aggregates::respell(expr);
        neighbours::respell(expr);
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
            Err(error) => return ControlFlow::Break(error.place(of_constant(expr))),
        }
        if let Err(error) = types::read_kind(expr) {
            return ControlFlow::Break(error.place(of_constant(expr)));
        }
        match expr {
            Expr::Function(function) => {
                ranges::finish_own(function);
                ranges::no_row(function);
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
                        Err(error) => return ControlFlow::Break(error.place(of_constant(expr))),
                    }
                }
            }
            Expr::TypedString(typed) if typed.data_type == DataType::Bytea => {
                match bytea(&typed.value.value.clone().into_string().unwrap_or_default()) {
                    Ok(bytes) => *expr = bytes,
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            Expr::Cast {
                expr: value,
                data_type,
                ..
            } => {
                if let Some(function) = kinds::function_of_sql(data_type) {
                    let value = types::for_kind(data_type, value.as_ref().clone());
                    *expr = call(function, value);
                } else if is_kind(value) && is_text(data_type) {
                    *expr = call(kinds::AS_TEXT, value.as_ref().clone());
                } else {
                    if let Expr::Value(value) = value.as_mut()
                        && let Err(error) = plain_time(&mut value.value, data_type, &self.clock)
                    {
                        return ControlFlow::Break(error);
                    }
                    plain_type(data_type);
                }
            }
            Expr::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                let value = literals::text(&text);
                match typed_constant(&value, &typed.data_type) {
                    Ok(Some(constant)) => *expr = constant,
                    Ok(None) => match kinds::function_of_sql(&typed.data_type) {
                        Some(function) => *expr = call(function, value),
                        None => {
                            let text = &mut typed.value.value;
                            if let Err(error) = plain_time(text, &typed.data_type, &self.clock) {
                                return ControlFlow::Break(error);
                            }
                            plain_type(&mut typed.data_type);
                        }
                    },
                    Err(error) => return ControlFlow::Break(error),
                }
            }
            Expr::Interval(interval) => match intervals::constant(interval) {
                Ok(Some(constant)) => *expr = constant,
                Ok(None) => {}
                Err(error) => return ControlFlow::Break(error),
            },
            Expr::Extract {
                field, expr: of, ..
            } => {
                let field = field.to_string().to_ascii_lowercase();
                let field = text(field.trim_matches(['\'', '"']));
                *expr = call_of("extract", vec![field, of.as_ref().clone()]);
            }
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                let arguments = vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()];
                *expr = call_of("timezone", arguments);
            }
            Expr::Identifier(name) if name.quote_style.is_none() => {
                // The parser takes them for columns.
                let lower = name.value.to_ascii_lowercase();
                if matches!(lower.as_str(), "localtime" | "localtimestamp") {
                    *expr = call_of(&lower, Vec::new());
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                match rows::column(root, access_chain) {
                    Ok(Some(item)) => {
                        *expr = item;
                        return ControlFlow::Continue(());
                    }
                    Ok(None) => {}
                    Err(error) => return ControlFlow::Break(error),
                }
                if let Some(call) = subscripts::respell(root, access_chain) {
                    *expr = call;
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
                    && (digits.len() > LONG_DIGITS || is_infinite(digits))
                    && let Err(error) = super::params::numeric(digits)
                {
                    return ControlFlow::Break(error);
                }
                numbers::without_exponent(expr);
            }
            Expr::Like { .. } | Expr::ILike { .. } | Expr::SimilarTo { .. } => {
                if let Err(error) = escapes::respell(expr) {
                    return ControlFlow::Break(error);
                }
            }
            Expr::Collate {
                expr: inner,
                collation,
            } => match collated(inner, collation, &mut self.collated) {
                Ok(plain) => *expr = plain,
                Err(error) => return ControlFlow::Break(error),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
