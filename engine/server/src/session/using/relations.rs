//! The SELECT whose joins are by names, and what its relations are called by.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Query, SelectItem, SetExpr, TableFactor, TableWithJoins, VisitorMut,
};

use super::{has_names, selects};
use crate::pg_types::PgType;
use crate::session::plan::PlanContext;
use crate::session::rewrite::{self, folded};
use crate::session::whole_rows::{columns_of, every_column_of, relation, set_columns};
use crate::sqlstate::ServerError;

/// A relation, and the `WITH` around it.
pub(in crate::session) struct Asked {
    factor: TableFactor,
    withs: Vec<Option<ast::With>>,
}

impl Asked {
    /// A relation within these `WITH`.
    pub(in crate::session) fn new(factor: TableFactor, withs: Vec<Option<ast::With>>) -> Self {
        Self { factor, withs }
    }
}

/// A relation of a subquery.
pub(super) struct Within {
    pub(super) name: String,
    pub(super) asked: Asked,
}

/// Types of columns, by the names of their relation and of themselves.
pub(in crate::session) type Types = BTreeMap<(String, String), PgType>;

/// The columns of a relation; `None` when they are known only beside others. Types of those of tables are put among the
/// others.
pub(in crate::session) async fn columns(
    context: &PlanContext,
    name: &str,
    asked: Asked,
    types: &mut Types,
) -> Result<Option<Vec<String>>, ServerError> {
    if let TableFactor::Derived { lateral: true, .. } = &asked.factor {
        return Ok(listed(&asked.factor));
    }
    if let TableFactor::Table {
        name: table,
        alias,
        args: None,
        ..
    } = &asked.factor
        && alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
        && let [schema, table] = table.0.as_slice()
        && let (Some(schema), Some(table)) = (schema.as_ident(), table.as_ident())
    {
        let table = TableReference::partial(folded(schema), folded(table));
        let provider = context.context.table_provider(table).await?;
        let fields = provider.schema();
        let told = fields.fields().iter().map(|field| {
            let column = (name.to_owned(), field.name().clone());
            (column, PgType::of_field(field))
        });
        types.extend(told);
        let names = fields.fields().iter().map(|field| field.name().clone());
        return Ok(Some(names.collect()));
    }
    let query = every_column_of(&asked.withs, &asked.factor)?;
    match columns_of(context, query).await {
        Ok(columns) => Ok(Some(columns)),
        // A set of what is beside it.
        Err(error) => match set_columns(name, &asked.factor) {
            Some(columns) => Ok(Some(columns)),
            None => Err(error),
        },
    }
}

/// The columns of a query that reads those before it, as far as its list names them.
pub(super) fn listed(factor: &TableFactor) -> Option<Vec<String>> {
    let TableFactor::Derived {
        subquery, alias, ..
    } = factor
    else {
        return None;
    };
    let own = listed_by(&subquery.body)?;
    let given = alias.iter().flat_map(|alias| &alias.columns);
    let given: Vec<String> = given.map(|column| folded(&column.name)).collect();
    let rest = own.into_iter().skip(given.len());
    Some(given.iter().cloned().chain(rest).collect())
}

pub(super) fn listed_by(body: &SetExpr) -> Option<Vec<String>> {
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. } => {
            Some(rewrite::item_name(item).unwrap_or_else(|| "?column?".to_owned()))
        }
        _ => None,
    };
    match body {
        SetExpr::Select(select) => select.projection.iter().map(name).collect(),
        SetExpr::Values(values) => {
            let width = values.rows.first()?.content.len();
            Some((1..=width).map(|n| format!("column{n}")).collect())
        }
        SetExpr::SetOperation { left, .. } => listed_by(left),
        SetExpr::Query(query) => listed_by(&query.body),
        _ => None,
    }
}

/// Finds the first SELECT with such joins, the innermost first.
#[derive(Default)]
pub(super) struct First {
    withs: Vec<Option<ast::With>>,
    pub(super) asked: Option<Vec<(String, Asked)>>,
    /// Relations of subqueries among its expressions, by their text.
    pub(super) within: BTreeMap<String, Within>,
}

impl VisitorMut for First {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.withs.push(query.with.clone());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut here = Vec::new();
        selects(&mut query.body, &mut here);
        if let Some(select) = here.into_iter().find(|select| has_names(&select.from)) {
            let mut factors = Vec::new();
            for tables in &select.from {
                factors_of(tables, &mut factors);
            }
            let asked = factors.into_iter().filter_map(|factor| {
                let (name, factor) = named(factor)?;
                let withs = self.withs.clone();
                Some((name, Asked { factor, withs }))
            });
            self.asked = Some(asked.collect());
            let mut subqueries = Subqueries::default();
            let _: ControlFlow<()> = ast::Visit::visit(&*select, &mut subqueries);
            for factor in subqueries.factors {
                if let Some((name, factor)) = named(&factor) {
                    let text = factor.to_string();
                    let withs = self.withs.clone();
                    let asked = Asked { factor, withs };
                    self.within.insert(text, Within { name, asked });
                }
            }
            return ControlFlow::Break(());
        }
        self.withs.pop();
        ControlFlow::Continue(())
    }
}

/// The relations of subqueries of an expression.
#[derive(Default)]
pub(super) struct Subqueries {
    /// Expressions around.
    depth: usize,
    factors: Vec<TableFactor>,
}

impl ast::Visitor for Subqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _expr: &Expr) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if self.depth > 0 {
            self.factors.push(factor.clone());
        }
        ControlFlow::Continue(())
    }
}

pub(super) fn factors_of<'a>(tables: &'a TableWithJoins, found: &mut Vec<&'a TableFactor>) {
    let joined = tables.joins.iter().map(|join| &join.relation);
    for factor in std::iter::once(&tables.relation).chain(joined) {
        match factor {
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => factors_of(table_with_joins, found),
            factor => found.push(factor),
        }
    }
}

/// A relation by its name, a LATERAL one too.
pub(in crate::session) fn named(factor: &TableFactor) -> Option<(String, TableFactor)> {
    match factor {
        TableFactor::Derived {
            lateral: true,
            alias: Some(alias),
            ..
        } => Some((folded(&alias.name), factor.clone())),
        factor => relation(factor),
    }
}
