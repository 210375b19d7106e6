//! Columns of a result as clients see them: PostgreSQL's names, and whether numbers say their digits.

use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, Select, SelectItem, SetExpr, Value,
};

use super::names::{folded, last_part};

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
pub(in crate::session) fn without_digits(statement: &ast::Statement, width: usize) -> Vec<bool> {
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

/// Whether each column of the result is cast to a numeric of so many digits.
pub(in crate::session) fn cast_to_digits(statement: &ast::Statement, width: usize) -> Vec<bool> {
    let items = output_items(statement, width).into_iter();
    let is_cast = |item: Option<&SelectItem>| match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            matches!(
                expr,
                Expr::Cast {
                    data_type: DataType::Numeric(digits) | DataType::Decimal(digits),
                    ..
                } if *digits != ast::ExactNumberInfo::None
            )
        }
        _ => false,
    };
    items.map(is_cast).collect()
}

fn says_no_digits(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..) | Value::Placeholder(_)),
        Expr::Extract { .. } | Expr::Ceil { .. } | Expr::Floor { .. } => true,
        Expr::Nested(expr) => says_no_digits(expr),
        Expr::Array(array) => array.elem.iter().any(says_no_digits),
        Expr::BinaryOp { .. } | Expr::UnaryOp { .. } => true,
        Expr::Case {
            conditions,
            else_result,
            ..
        } => {
            let mut results = conditions.iter().map(|when| &when.result);
            let other = else_result.as_deref();
            results.any(says_no_digits) || other.is_none_or(says_no_digits)
        }
        Expr::Function(call) => match &call.args {
            FunctionArguments::List(args) if chooses(call) => args.args.iter().any(|arg| {
                matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) if says_no_digits(arg))
            }),
            _ => true,
        },
        Expr::Cast { data_type, .. } => matches!(
            data_type,
            DataType::Numeric(ast::ExactNumberInfo::None)
                | DataType::Decimal(ast::ExactNumberInfo::None)
        ),
        _ => false,
    }
}

/// Whether a function gives one of its arguments as it is.
fn chooses(call: &Function) -> bool {
    matches!(
        last_part(&call.name).as_str(),
        "coalesce" | "greatest" | "least" | "nullif"
    )
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

pub(in crate::session) fn first_select(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        _ => None,
    }
}

pub(in crate::session) fn item_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

/// The name PostgreSQL gives an unnamed expression (FigureColname).
pub(super) fn column_name(expr: &Expr) -> String {
    given_name(expr).unwrap_or_else(|| "?column?".to_owned())
}

fn given_name(expr: &Expr) -> Option<String> {
    Some(match expr {
        Expr::Identifier(ident) => folded(ident),
        Expr::CompoundIdentifier(idents) => folded(idents.last()?),
        Expr::Function(function) => last_part(&function.name),
        Expr::Nested(inner) => return given_name(inner),
        Expr::Collate { expr, .. } => return given_name(expr),
        // The name of a type that is cast to is as good as that of one that is cast.
        Expr::Cast {
            expr, data_type, ..
        } => {
            let given = (!is_weak(expr)).then(|| given_name(expr)).flatten();
            return given.or_else(|| type_name(data_type));
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
        Expr::Substring { shorthand, .. } => match shorthand {
            true => "substr".to_owned(),
            false => "substring".to_owned(),
        },
        Expr::Trim { trim_where, .. } => match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim".to_owned(),
            Some(ast::TrimWhereField::Trailing) => "rtrim".to_owned(),
            _ => "btrim".to_owned(),
        },
        Expr::Position { .. } => "position".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::Tuple(_) => "row".to_owned(),
        Expr::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                ast::AccessExpr::Dot(Expr::Identifier(name)) if name.value != "*" => Some(name),
                _ => None,
            });
            return match field {
                Some(name) => Some(folded(name)),
                None => given_name(root),
            };
        }
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

/// Whether an expression is named by a type alone.
fn is_weak(expr: &Expr) -> bool {
    match expr {
        Expr::TypedString(_) => true,
        Expr::Nested(inner) => is_weak(inner),
        Expr::Cast { expr, .. } => is_weak(expr) || given_name(expr).is_none(),
        Expr::Value(_) => true,
        _ => false,
    }
}

fn type_name(data_type: &DataType) -> Option<String> {
    Some(
        match data_type {
            DataType::Int(_) | DataType::Integer(_) | DataType::Int4(_) => "int4",
            DataType::BigInt(_) | DataType::Int8(_) => "int8",
            DataType::SmallInt(_) | DataType::Int2(_) => "int2",
            DataType::Text => "text",
            DataType::Varchar(_) | DataType::CharacterVarying(_) => "varchar",
            DataType::Char(_) | DataType::Character(_) => "bpchar",
            DataType::Boolean | DataType::Bool => "bool",
            DataType::Real | DataType::Float4 => "float4",
            // So many binary digits at most has a real.
            DataType::Float(ast::ExactNumberInfo::Precision(1..=24)) => "float4",
            DataType::DoublePrecision | DataType::Float8 | DataType::Float(_) => "float8",
            DataType::Numeric(_) | DataType::Decimal(_) => "numeric",
            DataType::Date => "date",
            DataType::Bytea => "bytea",
            DataType::Timestamp(_, ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz) => {
                "timestamptz"
            }
            DataType::Timestamp(..) => "timestamp",
            DataType::Time(_, ast::TimezoneInfo::WithTimeZone | ast::TimezoneInfo::Tz) => "timetz",
            DataType::Time(..) => "time",
            DataType::Interval { .. } => "interval",
            DataType::JSON => "json",
            DataType::JSONB => "jsonb",
            DataType::Uuid => "uuid",
            DataType::Dec(_) => "numeric",
            DataType::CharVarying(_) => "varchar",
            DataType::Bit(_) => "bit",
            DataType::BitVarying(_) | DataType::VarBit(_) => "varbit",
            DataType::Regclass => "regclass",
            // An array is called by its items.
            DataType::Array(
                ArrayElemTypeDef::SquareBracket(item, _)
                | ArrayElemTypeDef::AngleBracket(item)
                | ArrayElemTypeDef::Parenthesis(item),
            ) => return type_name(item),
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
                   version(), array[1], a + b, true, (select max(x) from t), \
                   1.5::float(3), 1.5::float(24), 1.5::float(25), 1.5::float, '{1}'::int[], \
                   '{a}'::varchar(3)[], '{}'::json, array[1]::text[]";
        let names: Vec<_> = output_names(&query(sql), 19)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(
            names,
            [
                "?column?", "count", "b", "text", "pos", "case", "version", "array", "?column?",
                "bool", "max", "float4", "float4", "float8", "float8", "int4", "varchar", "json",
                "array"
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
