//! Parameters as arguments of the functions of FROM that want constants: what such a function makes is known before its
//! arguments are.
//!
//! ```text
//! SELECT count(*) FROM de_novo($1) d     Parse: $1 is a text; FROM (SELECT NULL::text AS contig, …) d tells the rest
//!                                        Bind:  planned with the value
//! ```

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, SelectItem, TableFactor, VisitMut as _, VisitorMut,
};

use super::{null_of, placeholder, unnested};
use crate::pg_types::PgType;
use crate::session::rewrite;
use crate::sqlstate::ServerError;

/// A statement whose functions of FROM do not wait for values any more.
pub(in crate::session) struct Described {
    /// Rows of NULL in their places.
    pub(in crate::session) statement: ast::Statement,
    /// The types of the parameters that they take.
    pub(in crate::session) types: BTreeMap<usize, PgType>,
}

/// What tells of a statement before its parameters have values; `None` where no function of FROM waits for one.
///
/// # Errors
/// Never; the signature follows that of what makes queries.
pub(in crate::session) fn described(
    statement: &ast::Statement,
) -> Result<Option<Described>, ServerError> {
    if !wait_for_values(statement) {
        return Ok(None);
    }
    let mut described = Described {
        statement: statement.clone(),
        types: BTreeMap::new(),
    };
    let mut tables = Tables(&mut described.types);
    match described.statement.visit(&mut tables) {
        ControlFlow::Continue(()) => Ok(Some(described)),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Whether a function of FROM has a parameter among its arguments.
pub(in crate::session) fn wait_for_values(statement: &ast::Statement) -> bool {
    struct Waits;
    impl ast::Visitor for Waits {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match call(factor) {
                Some((name, args))
                    if genokura_sql_ext::table_columns(&name).is_some() && has_parameter(args) =>
                {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            }
        }
    }
    ast::Visit::visit(statement, &mut Waits).is_break()
}

/// The name and the arguments of a function of FROM.
fn call(factor: &TableFactor) -> Option<(String, &[FunctionArg])> {
    let (name, args) = match factor {
        TableFactor::Table {
            name,
            args: Some(args),
            ..
        } => (name, &args.args),
        TableFactor::Function { name, args, .. } => (name, args),
        _ => return None,
    };
    Some((rewrite::last_part(name), args))
}

fn has_parameter(args: &[FunctionArg]) -> bool {
    let mut args = args.iter();
    args.any(|arg| {
        ast::visit_expressions(arg, |expr| match placeholder(expr) {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        })
        .is_break()
    })
}

struct Tables<'a>(&'a mut BTreeMap<usize, PgType>);

impl VisitorMut for Tables<'_> {
    type Break = ServerError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<ServerError> {
        let Some((name, args)) = call(factor).filter(|(_, args)| has_parameter(args)) else {
            return ControlFlow::Continue(());
        };
        let Some(columns) = genokura_sql_ext::table_columns(&name) else {
            return ControlFlow::Continue(());
        };
        for (place, arg) in args.iter().enumerate() {
            if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg
                && let Some(number) = placeholder(unnested(expr))
                && let Some(taken) = genokura_sql_ext::argument_type(&name, place)
                && let Some(pg_type) = PgType::named(taken)
            {
                self.0.entry(number).or_insert(pg_type);
            }
        }
        let rows = match rows_of(&columns) {
            Ok(rows) => rows,
            Err(error) => return ControlFlow::Break(error),
        };
        let (TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. }) = factor
        else {
            return ControlFlow::Continue(());
        };
        let alias = alias.take().unwrap_or_else(|| ast::TableAlias {
            explicit: true,
            name: Ident::with_quote('"', name),
            columns: Vec::new(),
            at: None,
        });
        *factor = TableFactor::Derived {
            lateral: false,
            subquery: Box::new(rows),
            alias: Some(alias),
            sample: None,
        };
        ControlFlow::Continue(())
    }
}

/// A row of NULLs of the types of these columns.
fn rows_of(columns: &Schema) -> Result<ast::Query, ServerError> {
    let mut query = rewrite::one_row()?;
    if let ast::SetExpr::Select(select) = query.body.as_mut() {
        let values = columns.fields().iter();
        let values = values.map(|field| SelectItem::ExprWithAlias {
            expr: null_of(PgType::of_field(field)),
            alias: Ident::with_quote('"', field.name()),
        });
        select.projection = values.collect();
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::session::statement::{Statement, parse};

    fn shown(sql: &str) -> Option<(String, BTreeMap<usize, PgType>)> {
        let Statement::Query(query) = parse(sql).unwrap().remove(0).statement else {
            return None;
        };
        let found = described(&query).unwrap()?;
        Some((found.statement.to_string(), found.types))
    }

    #[test]
    fn a_function_with_parameters_is_described_by_its_columns() {
        let (statement, types) = shown("SELECT * FROM windows($2, $1) w").unwrap();
        assert!(
            statement.starts_with("SELECT * FROM (SELECT "),
            "{statement}"
        );
        assert!(statement.ends_with(") w"), "{statement}");
        assert_eq!(types.get(&2), Some(&PgType::TEXT));
        assert!(types.contains_key(&1));
        assert!(shown("SELECT * FROM windows('cohort', 1000)").is_none());
        assert!(shown("SELECT * FROM generate_series(1, $1)").is_none());
        let (statement, types) = shown("SELECT 1 FROM sample_qc('a' || $1::text)").unwrap();
        assert!(statement.contains("AS \"sample_qc\""), "{statement}");
        assert!(types.is_empty());
    }
}
