//! Aliases with fewer names than there are columns: the rest keep the names that they have.
//!
//! ```text
//! FROM t x(a)                     ─►   FROM t x(a, b, c)
//! WITH w(x) AS (SELECT 1, 2 AS y) ─►   WITH w(x, y) AS (SELECT 1, 2 AS y)
//! ```
//! The planner wants them all. It is asked for the others once it has refused a statement.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Ident, Query, TableAlias, TableAliasColumnDef, TableFactor, VisitMut as _, VisitorMut,
};

use super::plan::PlanContext;
use super::whole_rows::{columns_of, every_column_of};
use crate::sqlstate::ServerError;

/// Whether the planner may have refused a statement for that.
pub(super) fn may_lack(error: &ServerError) -> bool {
    error.code() == "42P10"
}

/// The statement with names for all columns; `None` when it has them.
///
/// # Errors
/// What planning a relation alone fails with.
pub(super) async fn completed(
    context: &PlanContext,
    statement: &ast::Statement,
) -> Result<Option<ast::Statement>, ServerError> {
    let mut made = statement.clone();
    let mut asking = Aliases::default();
    let _: ControlFlow<()> = made.visit(&mut asking);
    let mut columns = Vec::with_capacity(asking.asked.len());
    for asked in asking.asked {
        columns.push(match asked {
            // What it reads from beside has no columns alone.
            Some(query) => Box::pin(columns_of(context, query)).await.ok(),
            None => None,
        });
    }
    let mut made = statement.clone();
    let mut filling = Aliases {
        known: Some(columns.into_iter()),
        ..Aliases::default()
    };
    let _: ControlFlow<()> = made.visit(&mut filling);
    Ok(filling.changed.then_some(made))
}

/// Goes over a statement twice: to find what is asked for, and to fill it in.
#[derive(Default)]
struct Aliases {
    withs: Vec<Option<ast::With>>,
    /// The relations whose aliases have names of columns, in the order in which they are met.
    asked: Vec<Option<Query>>,
    /// Their columns, on the second way.
    known: Option<std::vec::IntoIter<Option<Vec<String>>>>,
    changed: bool,
}

impl Aliases {
    /// An alias with names of columns, of a relation that the query asks for.
    fn meet(&mut self, alias: &mut TableAlias, query: impl FnOnce(&Self) -> Option<Query>) {
        if alias.columns.is_empty() {
            return;
        }
        let Some(known) = &mut self.known else {
            let query = query(self);
            self.asked.push(query);
            return;
        };
        let Some(columns) = known.next().flatten() else {
            return;
        };
        for name in columns.into_iter().skip(alias.columns.len()) {
            alias.columns.push(TableAliasColumnDef {
                name: Ident::with_quote('"', name),
                data_type: None,
            });
            self.changed = true;
        }
    }
}

impl VisitorMut for Aliases {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.withs.push(None);
        let Some(with) = &mut query.with else {
            return ControlFlow::Continue(());
        };
        let mut before = with.clone();
        before.cte_tables.clear();
        let recursive = with.recursive;
        for cte in &mut with.cte_tables {
            let body = cte.query.as_ref().clone();
            if let Some(last) = self.withs.last_mut() {
                *last = (!before.cte_tables.is_empty()).then(|| before.clone());
            }
            // What reads itself has the columns of its first part, which are not asked for here.
            if !recursive {
                self.meet(&mut cte.alias, |aliases| {
                    let factor = TableFactor::Derived {
                        lateral: false,
                        subquery: Box::new(body),
                        alias: Some(TableAlias {
                            explicit: true,
                            name: Ident::with_quote('"', "q"),
                            columns: Vec::new(),
                            at: None,
                        }),
                        sample: None,
                    };
                    every_column_of(&aliases.withs, &factor).ok()
                });
            }
            before.cte_tables.push(cte.clone());
        }
        if let Some(last) = self.withs.last_mut() {
            *last = Some(with.clone());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.withs.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let mut bare = factor.clone();
        let (Some(of), Some(alias)) = (alias_of(&mut bare), alias_of(factor)) else {
            return ControlFlow::Continue(());
        };
        of.columns.clear();
        if let TableFactor::Derived { lateral, .. } = &mut bare {
            *lateral = false;
        }
        self.meet(alias, |aliases| every_column_of(&aliases.withs, &bare).ok());
        ControlFlow::Continue(())
    }
}

fn alias_of(factor: &mut TableFactor) -> Option<&mut TableAlias> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias.as_mut(),
        _ => None,
    }
}
