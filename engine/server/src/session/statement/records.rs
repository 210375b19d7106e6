//! `jsonb_to_record` and its like, whose columns the statement declares, as a query of these columns.
//!
//! ```text
//! FROM jsonb_to_recordset(x) AS r (a int, b jsonb)
//!   ──►  FROM LATERAL (SELECT (jsonb_array_elements(x) ->> 'a')::int AS a, jsonb_array_elements(x) -> 'b' AS b) AS r
//! ```

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, Ident,
    ObjectName, Query, SelectItem, SetExpr, TableAlias, TableFactor, Value, VisitMut as _,
    VisitorMut,
};

use crate::session::placed::of_ident;
use crate::session::rewrite::{call_of, folded, last_part};
use crate::sqlstate::ServerError;

/// Makes calls of these functions in FROM queries.
///
/// # Errors
/// 42601 without types of the columns.
pub(super) fn selected(statement: &mut ast::Statement) -> Result<(), ServerError> {
    match statement.visit(&mut Records) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Records;

impl VisitorMut for Records {
    type Break = ServerError;

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<ServerError> {
        let made = match &*factor {
            TableFactor::Table {
                name,
                args: Some(args),
                alias,
                with_ordinality: false,
                ..
            } => query(name, &args.args, alias.as_ref()),
            TableFactor::Function {
                name,
                args,
                alias,
                with_ordinality: false,
                ..
            } => query(name, args, alias.as_ref()),
            _ => Ok(None),
        };
        match made {
            Ok(Some(made)) => *factor = made,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// Whether the function gives a set, and the type that it takes; `None` for any other function.
fn function(name: &ObjectName) -> Option<(bool, DataType)> {
    Some(match (name.0.len(), last_part(name).as_str()) {
        (1, "json_to_record") => (false, DataType::JSON),
        (1, "json_to_recordset") => (true, DataType::JSON),
        (1, "jsonb_to_record") => (false, DataType::JSONB),
        (1, "jsonb_to_recordset") => (true, DataType::JSONB),
        _ => return None,
    })
}

fn query(
    name: &ObjectName,
    args: &[FunctionArg],
    alias: Option<&TableAlias>,
) -> Result<Option<TableFactor>, ServerError> {
    let (Some((is_set, json)), [FunctionArg::Unnamed(FunctionArgExpr::Expr(value))]) =
        (function(name), args)
    else {
        return Ok(None);
    };
    let columns = alias.map_or(&[][..], |alias| alias.columns.as_slice());
    let typed = columns
        .iter()
        .map(|column| Some((&column.name, column.data_type.as_ref()?)));
    let typed: Option<Vec<(&Ident, &DataType)>> = typed.collect();
    let (Some(alias), Some(typed)) = (alias, typed.filter(|typed| !typed.is_empty())) else {
        let text = "a column definition list is required for functions returning \"record\"";
        let place = name.0.first().and_then(|part| part.as_ident());
        return Err(ServerError::syntax(text, None).place(place.and_then(of_ident)));
    };
    // An array of json is none of SQL.
    let is_array = |(_, data_type): &(&Ident, &DataType)| matches!(data_type, DataType::Array(_));
    let Some(mut made) = super::values::parsed("SELECT 1").filter(|_| !typed.iter().any(is_array))
    else {
        return Ok(None);
    };
    let value = match value {
        Expr::Value(_) => cast(value.clone(), &json),
        value => Expr::Nested(Box::new(value.clone())),
    };
    let row = match (is_set, &json) {
        (false, _) => value.clone(),
        (true, DataType::JSON) => call_of("json_array_elements", vec![value.clone()]),
        (true, _) => call_of("jsonb_array_elements", vec![value.clone()]),
    };
    let item = |(column, data_type): (&Ident, &DataType)| {
        let is_json = matches!(data_type, DataType::JSON | DataType::JSONB);
        let part = Expr::BinaryOp {
            left: Box::new(row.clone()),
            op: match is_json {
                true => BinaryOperator::Arrow,
                false => BinaryOperator::LongArrow,
            },
            right: Box::new(Expr::value(Value::SingleQuotedString(folded(column)))),
        };
        let same = is_json && *data_type == json;
        SelectItem::ExprWithAlias {
            expr: match same {
                true => part,
                false => cast(Expr::Nested(Box::new(part)), data_type),
            },
            alias: column.clone(),
        }
    };
    let items: Vec<SelectItem> = typed.into_iter().map(item).collect();
    put(&mut made, items);
    Ok(Some(TableFactor::Derived {
        lateral: reads_columns(&value),
        subquery: made,
        alias: Some(TableAlias {
            columns: Vec::new(),
            ..alias.clone()
        }),
        sample: None,
    }))
}

fn put(query: &mut Query, items: Vec<SelectItem>) {
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.projection = items;
    }
}

fn cast(expr: Expr, data_type: &DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::DoubleColon,
        expr: Box::new(expr),
        data_type: data_type.clone(),
        array: false,
        format: None,
    }
}

fn reads_columns(expr: &Expr) -> bool {
    let found = ast::visit_expressions(expr, |part| match part {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::super::{Statement, parse};

    #[test]
    fn declared_columns_are_selected() {
        let sql = "SELECT * FROM t, jsonb_to_recordset(t.j) AS r (a int, \"B\" jsonb)";
        match parse(sql).unwrap().remove(0).statement {
            Statement::Query(query) => assert_eq!(
                query.to_string(),
                "SELECT * FROM t, LATERAL (SELECT (\"jsonb_array_elements\"((t.j)) ->> 'a')::INT AS a, \"jsonb_array_elements\"((t.j)) -> 'B' AS \"B\") AS r"
            ),
            other => panic!("{other:?}"),
        }
        let error = parse("SELECT * FROM json_to_record('{}') AS r (a, b)").unwrap_err();
        assert_eq!((error.code(), error.position()), ("42601", Some(15)));
    }
}
