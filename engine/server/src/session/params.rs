//! Parameters `$1, $2, …`: their types, and their values as constants in the syntax tree.

mod binary;
mod bound;
mod called;
mod common;
mod equal;
mod made;
mod tables;
mod uses;
mod values;
pub(super) mod void;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DataType, ExactNumberInfo, Expr, TimezoneInfo,
    UnaryOperator, Value,
};

use super::placed::start;
use super::typed::Types;
use super::{arrays, rewrite};
use crate::pg_catalog;
use crate::pg_types::{PgType, oid};
use crate::sqlstate::ServerError;

pub(crate) use binary::no_binary;
pub(crate) use bound::Nth;
pub(super) use called::called;
pub(crate) use common::common_types;
pub(crate) use equal::any_as_equal;
pub(super) use made::bytes;
pub(crate) use made::{bytea_of_text, numeric};
pub(super) use tables::{described, wait_for_values};
pub(super) use uses::{are_computed_with, used};
pub(crate) use values::{constant, interval, null_of};

/// The number of parameters of a statement: the largest `n` of `$n`.
pub(crate) fn count(statement: &ast::Statement) -> usize {
    let mut most = 0;
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        most = most.max(placeholder(expr).unwrap_or(0));
        ControlFlow::Continue(())
    });
    most
}

/// `n` of the placeholder `$n`.
pub(super) fn placeholder(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => name.strip_prefix('$')?.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Types that the statement itself gives by `$n::type`, `CAST($n AS type)`, LIMIT or OFFSET, by standing where a truth
/// value does, and as arguments of PostgreSQL's functions.
pub(crate) fn cast_types(statement: &ast::Statement) -> BTreeMap<usize, PgType> {
    let mut bounds = Bounds(BTreeMap::new());
    let _: ControlFlow<()> = ast::Visit::visit(statement, &mut bounds);
    let mut types = bounds.0;
    let _: ControlFlow<()> = ast::visit_expressions(statement, |expr| {
        if let Expr::Cast {
            expr, data_type, ..
        } = expr
            && let Some(number) = placeholder(expr)
            && let Some(pg_type) = type_of_sql(data_type)
        {
            types.entry(number).or_insert(pg_type);
        }
        for (number, pg_type) in types_within(expr) {
            types.entry(number).or_insert(pg_type);
        }
        ControlFlow::Continue(())
    });
    types
}

/// The types that parameters right within an expression have by their place in it.
fn types_within(expr: &Expr) -> Vec<(usize, PgType)> {
    let truths: Vec<&Expr> = match expr {
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => vec![expr],
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And | BinaryOperator::Or,
            right,
        } => vec![left, right],
        Expr::Case {
            operand: None,
            conditions,
            ..
        } => conditions.iter().map(|case| &case.condition).collect(),
        Expr::Function(function) if function.name.0.len() == 1 => {
            return argument_types_of(function);
        }
        _ => return Vec::new(),
    };
    let numbers = truths.into_iter().filter_map(placeholder);
    numbers.map(|number| (number, PgType::BOOL)).collect()
}

fn argument_types_of(function: &ast::Function) -> Vec<(usize, PgType)> {
    let name = rewrite::function_name(function);
    let arguments = rewrite::call_arguments(function);
    common::argument_types(&name, &arguments, &BTreeMap::new())
}

/// Collects parameters of LIMIT, OFFSET and FETCH FIRST, of conditions, and of functions in FROM.
struct Bounds(BTreeMap<usize, PgType>);

impl ast::Visitor for Bounds {
    type Break = ();

    fn pre_visit_query(&mut self, query: &ast::Query) -> ControlFlow<()> {
        let mut found = Vec::new();
        if let Some(ast::LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            found.extend(limit.as_ref());
            found.extend(offset.as_ref().map(|offset| &offset.value));
        }
        found.extend(
            query
                .fetch
                .as_ref()
                .and_then(|fetch| fetch.quantity.as_ref()),
        );
        let numbers = found.into_iter().filter_map(placeholder);
        self.0.extend(numbers.map(|number| (number, PgType::INT8)));
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &ast::Select) -> ControlFlow<()> {
        let conditions = select.selection.iter().chain(select.having.iter());
        let numbers = conditions.filter_map(placeholder);
        self.0.extend(numbers.map(|number| (number, PgType::BOOL)));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &ast::TableFactor) -> ControlFlow<()> {
        let ast::TableFactor::Table {
            name,
            args: Some(args),
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let function = rewrite::function_of(name.clone(), args.args.clone());
        self.0.extend(argument_types_of(&function));
        ControlFlow::Continue(())
    }
}

fn unnested(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// The PostgreSQL type of a type written in SQL.
pub(crate) fn type_of_sql(data_type: &DataType) -> Option<PgType> {
    if let DataType::Array(ArrayElemTypeDef::SquareBracket(element, _)) = data_type {
        return type_of_sql(element).map(PgType::array);
    }
    Some(match data_type {
        DataType::Timestamp(_, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz) => {
            PgType::TIMESTAMPTZ
        }
        DataType::Timestamp(..) => PgType::TIMESTAMP,
        DataType::Time(..) => PgType::TIME,
        DataType::Regclass => PgType::REGCLASS,
        other => {
            let text = other.to_string().to_ascii_lowercase();
            let plain = text.split('(').next().unwrap_or(&text).trim();
            PgType::named(plain.trim_start_matches("pg_catalog."))?
        }
    })
}

/// Replaces every placeholder by the expression of its number (1-based).
///
/// # Errors
/// 42P02 for a number that has no value.
pub(crate) fn substitute(
    statement: &mut ast::Statement,
    values: &BTreeMap<usize, Expr>,
    leave_unknown: bool,
) -> Result<(), ServerError> {
    let flow = ast::visit_expressions_mut(statement, |expr| {
        let Some(number) = placeholder(expr) else {
            return ControlFlow::Continue(());
        };
        match values.get(&number) {
            Some(value) => *expr = value.clone(),
            None if leave_unknown => {}
            None => {
                let text = format!("there is no parameter ${number}");
                let error = ServerError::new("42P02", text);
                return ControlFlow::Break(error.place(start(expr)));
            }
        }
        ControlFlow::Continue(())
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The SQL type of a PostgreSQL type; text for types DataFusion lacks.
pub(crate) fn sql_type(pg_type: PgType) -> DataType {
    if let Some(element) = pg_type.element() {
        let element = Box::new(sql_type(element));
        return DataType::Array(ArrayElemTypeDef::SquareBracket(element, None));
    }
    match pg_type {
        PgType::BOOL => DataType::Boolean,
        PgType::INT2 => DataType::SmallInt(None),
        PgType::INT4 => DataType::Integer(None),
        PgType::INT8 | PgType::OID => DataType::BigInt(None),
        PgType::FLOAT4 => DataType::Real,
        PgType::FLOAT8 => DataType::DoublePrecision,
        PgType::NUMERIC => DataType::Numeric(ExactNumberInfo::None),
        PgType::BYTEA => DataType::Bytea,
        PgType::DATE => DataType::Date,
        PgType::TIME => DataType::Time(None, TimezoneInfo::None),
        PgType::TIMESTAMP => DataType::Timestamp(Some(6), TimezoneInfo::None),
        PgType::TIMESTAMPTZ => DataType::Timestamp(Some(6), TimezoneInfo::Tz),
        PgType::INTERVAL => DataType::Interval {
            fields: None,
            precision: None,
        },
        _ => DataType::Text,
    }
}

/// As [`sql_type`], of a type that is kept as text as itself.
pub(super) fn told_type(pg_type: PgType) -> DataType {
    match (pg_type.element(), pg_type) {
        (Some(element), _) => {
            let element = Box::new(told_type(element));
            DataType::Array(ArrayElemTypeDef::SquareBracket(element, None))
        }
        (None, PgType::JSON) => DataType::JSON,
        (None, PgType::JSONB) => DataType::JSONB,
        (None, PgType::UUID) => DataType::Uuid,
        (None, other) => sql_type(other),
    }
}

/// What a type begins with that a client declared for a text parameter, in front of its name.
const DECLARED: &str = "declared";

/// The SQL type of a parameter that a client declared: of a text it says so.
pub(crate) fn declared_sql_type(pg_type: PgType) -> DataType {
    match pg_type {
        PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR => {
            let name = ast::Ident::with_quote('"', DECLARED).into();
            DataType::Custom(name, vec![pg_type.sql_name().to_owned()])
        }
        other => sql_type(other),
    }
}

/// The name of the type of such a parameter.
pub(crate) fn declared_name(data_type: &DataType) -> Option<&str> {
    match data_type {
        DataType::Custom(name, told) if rewrite::last_part(name) == DECLARED => {
            told.first().map(String::as_str)
        }
        _ => None,
    }
}

/// Arguments of EXECUTE, cast to the types of the parameters.
///
/// # Errors
/// 42601 for another number of them, 42804 for one that is of a type which the parameter's cannot be assigned.
pub(super) fn of_execute(
    name: &str,
    arguments: &[Expr],
    types: &[PgType],
) -> Result<Vec<Expr>, ServerError> {
    if arguments.len() != types.len() {
        let text = format!("wrong number of parameters for prepared statement \"{name}\"");
        let (expected, got) = (types.len(), arguments.len());
        let detail = format!("Expected {expected} parameters but got {got}.");
        return Err(ServerError::syntax(text, None).detail(detail));
    }
    let cast = |(number, (value, pg_type)): (usize, (&Expr, &PgType))| {
        let told = Types { parameters: None }.of(value);
        if let Some(from) = told
            && !pg_catalog::can_assign(from, pg_type.oid)
        {
            let text = format!(
                "parameter ${number} of type {} cannot be coerced to the expected type {}",
                PgType::of_oid(from).sql_name(),
                pg_type.sql_name()
            );
            let error = ServerError::new("42804", text).place(start(value));
            return Err(error.hint("You will need to rewrite or cast the expression."));
        }
        let is_plain = match *pg_type {
            PgType::INT8 => matches!(told, None | Some(oid::INT4 | oid::INT8)),
            PgType::TEXT => matches!(told, None | Some(oid::UNKNOWN | oid::TEXT)),
            _ => false,
        };
        if is_plain {
            return Ok(value.clone());
        }
        let cast = rewrite::cast(value.clone(), sql_type(*pg_type));
        Ok(arrays::constant(&cast)?.unwrap_or(cast))
    };
    (1..).zip(arguments.iter().zip(types)).map(cast).collect()
}
