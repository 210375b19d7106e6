//! Functions that give a set of rows: in a SELECT list, and in FROM.
//!
//! ```text
//! SELECT sample_id, unnest(ids)                ─►  unnest, which the planner has
//! SELECT generate_series(1, 3)                 ─►  unnest(array_of_generate_series(1, 3))
//! FROM generate_series(1, 3) AS i              ─►  … AS i(i)
//! FROM t, unnest(t.ids) WITH ORDINALITY AS u
//!   ─►  FROM t, LATERAL (SELECT unnest(t.ids) AS u, unnest(…) AS ordinality) AS u
//! ```
//! What of the latter depends on rows of other tables becomes a plan without a join in [`crate::session::lateral`].

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor, Value, Visit as _, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::calls::{call_arguments, call_of};
use super::literals::{cast, number};
use super::names::{folded, last_part};
use super::output::item_name;
use crate::evaluated::{ARRAY_OF, is_set};
use crate::pg_catalog::gives_values;
use crate::pg_types::PgType;
use crate::session::params;
use crate::sqlstate::ServerError;

const SERIES: &str = "generate_series";
const UNNEST: &str = "unnest";

/// Makes a call of a function that gives a set an array that is unnested.
pub(super) fn call(expr: &mut Expr) {
    let Expr::Function(function) = expr else {
        return;
    };
    let [ast::ObjectNamePart::Identifier(name)] = function.name.0.as_mut_slice() else {
        return;
    };
    let lower = folded(name);
    if lower != SERIES && !is_set(&lower) {
        return;
    }
    name.value = format!("{ARRAY_OF}{lower}");
    let array = expr.clone();
    *expr = told(&lower, call_of(UNNEST, vec![array]));
}

/// What the rows of a set are, where they are more than text.
fn told(name: &str, rows: Expr) -> Expr {
    match name {
        "json_array_elements" => call_of("as_json", vec![rows]),
        "jsonb_array_elements" => call_of("as_jsonb", vec![rows]),
        _ => rows,
    }
}

fn is_set_call(expr: &Expr) -> bool {
    let mut found = false;
    own_calls(expr, |function| {
        let name = last_part(&function.name);
        found |= function.name.0.len() == 1 && (name == SERIES || name == UNNEST || is_set(&name));
    });
    found
}

/// Visits the functions that an expression calls, those of its subqueries left out.
fn own_calls(expr: &Expr, call: impl FnMut(&ast::Function)) {
    let mut own = OwnCalls { depth: 0, call };
    let _: ControlFlow<()> = expr.visit(&mut own);
}

struct OwnCalls<F> {
    /// Subqueries around.
    depth: usize,
    call: F,
}

impl<F: FnMut(&ast::Function)> Visitor for OwnCalls<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && self.depth == 0
        {
            (self.call)(function);
        }
        ControlFlow::Continue(())
    }
}

/// Puts a SELECT with sets into FROM where its ORDER BY asks for more than what is selected: the planner sorts by
/// columns of the result only, once sets are unnested.
pub(super) fn order_outside(query: &mut Query) -> Result<(), ServerError> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let Some(order) = query.order_by.as_mut() else {
        return Ok(());
    };
    let OrderByKind::Expressions(keys) = &mut order.kind else {
        return Ok(());
    };
    let of_item = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
            Some(is_set_call(expr))
        }
        _ => None,
    };
    let sets: Option<Vec<bool>> = select.projection.iter().map(of_item).collect();
    let Some(sets) = sets.filter(|sets| sets.contains(&true)) else {
        return Ok(());
    };
    let is_grouped =
        !matches!(&select.group_by, ast::GroupByExpr::Expressions(by, _) if by.is_empty());
    if select.distinct.is_some() || is_grouped || select.having.is_some() {
        return Ok(());
    }
    let names: Vec<Option<String>> = select.projection.iter().map(item_name).collect();
    let place_of = |key: &Expr| match key {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<usize>().ok()?.checked_sub(1),
            _ => None,
        },
        Expr::Identifier(name) => {
            let name = folded(name);
            names.iter().position(|known| known.as_ref() == Some(&name))
        }
        other => select.projection.iter().position(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr == other,
            _ => false,
        }),
    };
    let places: Vec<Option<usize>> = keys.iter().map(|key| place_of(&key.expr)).collect();
    let settled = |place: &Option<usize>| place.is_some_and(|place| sets.get(place) == Some(&true));
    if sets.len() == places.len() && places.iter().all(settled) {
        return Ok(());
    }
    let arrays: Vec<Expr> = select.projection.iter().flat_map(arrays_of).collect();
    let column = |number: usize| Ident::new(format!("c{number}"));
    let mut inner = select.as_ref().clone();
    let width = inner.projection.len();
    for (number, item) in inner.projection.iter_mut().enumerate() {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: column(number + 1),
            };
        }
    }
    for (key, place) in keys.iter_mut().zip(places) {
        let place = match place {
            Some(place) if place < width => place,
            Some(place) => {
                let text = format!("ORDER BY position {} is not in select list", place + 1);
                return Err(ServerError::new("42P10", text));
            }
            None => {
                let alias = column(inner.projection.len() + 1);
                inner.projection.push(SelectItem::ExprWithAlias {
                    expr: key.expr.clone(),
                    alias,
                });
                inner.projection.len() - 1
            }
        };
        key.expr = Expr::Identifier(column(place + 1));
    }
    // Rows of a set keep their order where the keys do not say another.
    let last = column(inner.projection.len() + 1);
    inner.projection.push(SelectItem::ExprWithAlias {
        expr: call_of(UNNEST, vec![numbers(&arrays)]),
        alias: last.clone(),
    });
    keys.push(ast::OrderByExpr {
        expr: Expr::Identifier(last),
        options: ast::OrderByOptions {
            asc: None,
            nulls_first: None,
        },
        with_fill: None,
    });
    let mut outer = derived(SetExpr::Select(Box::new(inner)), "sets")?;
    outer.projection = names
        .into_iter()
        .enumerate()
        .map(|(number, name)| {
            let name = name.unwrap_or_else(|| "?column?".to_owned());
            SelectItem::ExprWithAlias {
                expr: Expr::Identifier(column(number + 1)),
                alias: Ident::with_quote('"', name),
            }
        })
        .collect();
    *query.body = SetExpr::Select(Box::new(outer));
    Ok(())
}

/// The arrays that an item of a SELECT unnests.
fn arrays_of(item: &SelectItem) -> Vec<Expr> {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return Vec::new();
    };
    let mut found = Vec::new();
    own_calls(expr, |function| {
        if let FunctionArguments::List(list) = &function.args {
            found.extend(calls(&function.name, &list.args).into_iter().flatten());
        }
    });
    found
}

/// The numbers from 1 to the length of the longest of some arrays.
fn numbers(arrays: &[Expr]) -> Expr {
    let lengths = arrays
        .iter()
        .map(|array| call_of("array_length", vec![array.clone(), number(1)]));
    let lengths: Vec<Expr> = lengths.collect();
    let most = match <[Expr; 1]>::try_from(lengths) {
        Ok([length]) => length,
        Err(lengths) => call_of("greatest", lengths),
    };
    call_of(&format!("{ARRAY_OF}{SERIES}"), vec![number(1), most])
}

fn internal() -> ServerError {
    ServerError::internal("the form of a set does not parse")
}

pub(super) fn query(sql: &str) -> Result<Query, ServerError> {
    let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(sql);
    let query = parsed.and_then(|mut parser| parser.parse_query());
    query.map(|query| *query).map_err(|_| internal())
}

/// A SELECT of one column from a body.
fn derived(body: SetExpr, alias: &str) -> Result<Select, ServerError> {
    let made = query(&format!("SELECT 1 FROM (SELECT 1) AS {alias}"))?;
    let SetExpr::Select(mut select) = *made.body else {
        return Err(internal());
    };
    match select.from.first_mut().map(|from| &mut from.relation) {
        Some(TableFactor::Derived { subquery, .. }) => *subquery.body = body,
        _ => return Err(internal()),
    }
    Ok(*select)
}

/// Takes the one series of constants in a list of columns, beside which no table is, into FROM: it is streamed there.
pub(super) fn series_into_from(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    if !select.from.is_empty() || select.selection.is_some() {
        return;
    }
    let mut sets = 0;
    let mut series = None;
    let _: ControlFlow<()> = ast::visit_expressions(&select.projection, |expr| {
        if let Expr::Function(function) = expr {
            let name = last_part(&function.name);
            if name == SERIES && call_arguments(function).iter().all(|arg| is_whole(arg)) {
                series = Some(function.clone());
            }
            sets += usize::from(name == SERIES || name == UNNEST || is_set(&name));
        }
        ControlFlow::Continue(())
    });
    let (Some(series), 1) = (series, sets) else {
        return;
    };
    let _: ControlFlow<()> = ast::visit_expressions_mut(&mut select.projection, |expr| {
        if matches!(expr, Expr::Function(function) if *function == series) {
            *expr = Expr::Identifier(Ident::new(SERIES));
        }
        ControlFlow::Continue(())
    });
    let FunctionArguments::List(list) = series.args else {
        return;
    };
    select.from = vec![ast::TableWithJoins {
        relation: TableFactor::Function {
            lateral: false,
            name: series.name,
            args: list.args,
            with_ordinality: false,
            alias: None,
        },
        joins: Vec::new(),
    }];
}

/// Whether an expression is a whole number.
fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::UnaryOp {
            op: ast::UnaryOperator::Minus,
            expr,
        } => is_whole(expr),
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(digits, _) if digits.parse::<i64>().is_ok())
        }
        _ => false,
    }
}

/// Writes `e` for the items of `FROM jsonb_array_elements(…) AS e` as `e.value`.
pub(super) fn name_values(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let mut called = Vec::new();
    for tables in &select.from {
        let joined = tables.joins.iter().map(|join| &join.relation);
        called.extend(
            std::iter::once(&tables.relation)
                .chain(joined)
                .filter_map(of_values),
        );
    }
    for name in called {
        let value = || Expr::CompoundIdentifier(vec![name.clone(), Ident::new("value")]);
        let is_named =
            |expr: &Expr| matches!(expr, Expr::Identifier(word) if folded(word) == folded(&name));
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && is_named(expr)
            {
                *item = SelectItem::ExprWithAlias {
                    expr: value(),
                    alias: name.clone(),
                };
            }
        }
        let put = |expr: &mut Expr| {
            if is_named(expr) {
                *expr = value();
            }
            ControlFlow::<()>::Continue(())
        };
        let _ = ast::visit_expressions_mut(&mut select.projection, put);
        let _ = ast::visit_expressions_mut(&mut select.selection, put);
        let _ = ast::visit_expressions_mut(&mut select.group_by, put);
        let _ = ast::visit_expressions_mut(&mut select.having, put);
        let _ = ast::visit_expressions_mut(&mut query.order_by, put);
    }
}

/// What a set of values is called.
fn of_values(factor: &TableFactor) -> Option<Ident> {
    let (name, alias) = match factor {
        TableFactor::Table {
            name,
            args: Some(_),
            alias,
            ..
        }
        | TableFactor::Function { name, alias, .. } => (name, alias),
        _ => return None,
    };
    let function = last_part(name);
    if !gives_values(&function) {
        return None;
    }
    match alias {
        Some(alias) => alias.columns.is_empty().then(|| alias.name.clone()),
        None => Some(Ident::new(function)),
    }
}

/// Names the columns of a set in FROM as PostgreSQL does, and makes it a subquery where the planner has no function
/// of tables for it.
///
/// # Errors
/// When the subquery cannot be made.
pub(super) fn in_from(factor: &mut TableFactor) -> Result<(), ServerError> {
    let (sets, name, alias, ordinality) = match factor {
        TableFactor::Table {
            name,
            args: Some(args),
            alias,
            with_ordinality,
            ..
        } => (
            calls(name, &args.args),
            last_part(name),
            alias,
            *with_ordinality,
        ),
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality,
            ..
        } => (calls(name, args), last_part(name), alias, *with_ordinality),
        TableFactor::UNNEST {
            alias,
            array_exprs,
            with_offset: false,
            with_ordinality,
            ..
        } => {
            let sets = array_exprs.iter().cloned();
            (
                Some(sets.collect::<Vec<_>>()),
                UNNEST.to_owned(),
                alias,
                *with_ordinality,
            )
        }
        _ => return Ok(()),
    };
    let Some(sets) = sets else {
        return Ok(());
    };
    // One function that gives scalars: its column is called as the function or its alias is.
    let known = alias.clone().unwrap_or_else(|| ast::TableAlias {
        explicit: true,
        name: Ident::with_quote('"', &name),
        columns: Vec::new(),
        at: None,
    });
    let mut names: Vec<Ident> = known
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    let unnamed = sets.len() - names.len().min(sets.len());
    for number in 0..unnamed {
        let taken = sets.len() > 1 && names.len() + number > 0;
        let name = match (sets.len(), taken) {
            (1, _) if gives_values(&name) => Ident::new("value"),
            (1, _) => known.name.clone(),
            (_, false) => Ident::with_quote('"', &name),
            (_, true) => Ident::with_quote('"', format!("{name} {}", names.len() + 1)),
        };
        names.push(name);
    }
    if ordinality && names.len() == sets.len() {
        names.push(Ident::new("ordinality"));
    }
    let plain = match factor {
        TableFactor::Table { .. } | TableFactor::Function { lateral: false, .. } => name == SERIES,
        TableFactor::UNNEST { .. } => true,
        _ => false,
    };
    if plain && !ordinality && !sets.iter().any(reads_columns) {
        if name == SERIES
            && let Some(column) = names.first()
            && let Some(integers) = integer_series(factor, &known, column)?
        {
            *factor = integers;
            return Ok(());
        }
        let columns = names.into_iter().map(|name| ast::TableAliasColumnDef {
            name,
            data_type: None,
        });
        let columns = columns.collect();
        if let TableFactor::Table { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. } = factor
        {
            *alias = Some(ast::TableAlias { columns, ..known });
        }
        return Ok(());
    }
    let mut made = query("SELECT 1")?;
    let SetExpr::Select(select) = made.body.as_mut() else {
        return Err(internal());
    };
    let mut arrays = sets;
    let last = arrays.len();
    if ordinality {
        arrays.push(numbers(&arrays));
    }
    select.projection = arrays
        .into_iter()
        .zip(names)
        .enumerate()
        .map(|(number, (array, alias))| {
            let rows = call_of(UNNEST, vec![array]);
            let expr = match number {
                0 => told(&name, rows),
                number if number == last => cast(rows, DataType::BigInt(None)),
                _ => rows,
            };
            SelectItem::ExprWithAlias { expr, alias }
        })
        .collect();
    *factor = TableFactor::Derived {
        lateral: true,
        subquery: Box::new(made),
        alias: Some(ast::TableAlias {
            columns: Vec::new(),
            ..known
        }),
        sample: None,
    };
    Ok(())
}

/// A series whose arguments are integers as a query that gives integers: the planner's is of bigint.
///
/// # Errors
/// When the query cannot be made.
fn integer_series(
    factor: &TableFactor,
    known: &ast::TableAlias,
    column: &Ident,
) -> Result<Option<TableFactor>, ServerError> {
    let mut series = factor.clone();
    let (args, alias) = match &mut series {
        TableFactor::Table {
            args: Some(args),
            alias,
            ..
        } => (&mut args.args, alias),
        TableFactor::Function { args, alias, .. } => (args, alias),
        _ => return Ok(None),
    };
    if !args.iter().all(is_integer) {
        return Ok(None);
    }
    for argument in args {
        if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument {
            *expr = cast(expr.clone(), DataType::BigInt(None));
        }
    }
    let columns = vec![ast::TableAliasColumnDef {
        name: column.clone(),
        data_type: None,
    }];
    *alias = Some(ast::TableAlias {
        columns,
        ..known.clone()
    });
    let mut made = query("SELECT 1 FROM relation")?;
    let SetExpr::Select(select) = made.body.as_mut() else {
        return Err(internal());
    };
    select.projection = vec![SelectItem::ExprWithAlias {
        expr: cast(Expr::Identifier(column.clone()), DataType::Integer(None)),
        alias: column.clone(),
    }];
    if let Some(from) = select.from.first_mut() {
        from.relation = series;
    }
    Ok(Some(TableFactor::Derived {
        lateral: false,
        subquery: Box::new(made),
        alias: Some(ast::TableAlias {
            columns: Vec::new(),
            ..known.clone()
        }),
        sample: None,
    }))
}

/// Whether an argument is an integer by what is written.
fn is_integer(argument: &FunctionArg) -> bool {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_integer_constant(expr),
        _ => false,
    }
}

fn is_integer_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse::<i32>().is_ok(),
            value => *value == Value::Null,
        },
        Expr::Nested(inner) => is_integer_constant(inner),
        Expr::UnaryOp {
            op: ast::UnaryOperator::Minus | ast::UnaryOperator::Plus,
            expr,
        } => is_integer_constant(expr),
        Expr::Cast { data_type, .. } => {
            let pg_type = params::type_of_sql(data_type);
            matches!(pg_type, Some(PgType::INT2 | PgType::INT4))
        }
        _ => false,
    }
}

/// The arrays of a call of a function that gives a set; `None` for any other function.
fn calls(name: &ObjectName, args: &[FunctionArg]) -> Option<Vec<Expr>> {
    let lower = last_part(name);
    if name.0.len() != 1 {
        return None;
    }
    let plain = args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let args: Vec<Expr> = plain.collect::<Option<_>>()?;
    if lower == UNNEST {
        return Some(args);
    }
    if lower != SERIES && !is_set(&lower) {
        return None;
    }
    let array = call_of(&format!("{ARRAY_OF}{lower}"), args);
    Some(vec![array])
}

/// Makes arrays of columns calls of the function that makes arrays: the planner looks for the columns of a list between
/// brackets in the innermost query alone.
pub(super) fn arrays_of_columns(statement: &mut ast::Statement) {
    let _: ControlFlow<()> = ast::visit_expressions_mut(statement, |expr| {
        let Expr::Array(array) = expr else {
            return ControlFlow::Continue(());
        };
        if array.elem.iter().any(reads_columns) {
            *expr = call_of("make_array", std::mem::take(&mut array.elem));
        }
        ControlFlow::Continue(())
    });
}

fn reads_columns(expr: &Expr) -> bool {
    let found = ast::visit_expressions(expr, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
