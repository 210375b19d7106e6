//! Tables that a subquery speaks of from outside, where one of its own has a column of their name.
//!
//! ```text
//! SELECT 1 FROM b WHERE EXISTS (SELECT 1 FROM a WHERE a.id = b.id)        and a has a column b
//!   ─►  SELECT 1 FROM b AS "b outside" WHERE EXISTS (SELECT 1 FROM a WHERE a.id = "b outside".id)
//! ```
//! The planner looks for a field `id` of the column, and not further outside. So the statement is planned again after
//! that, with names that no column has.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, TableAlias, TableFactor, TableWithJoins, Visit as _, VisitMut, Visitor, VisitorMut,
};

use super::named_alike::alias_of;
use super::rewrite::{folded, last_part};

/// The statement with such tables under other names; `None` when it has none.
pub(super) fn renamed(statement: &ast::Statement) -> Option<ast::Statement> {
    let mut asked = Asked::default();
    let _: ControlFlow<()> = statement.visit(&mut asked);
    if asked.outside.is_empty() {
        return None;
    }
    let mut renamed = statement.clone();
    let _: ControlFlow<()> = VisitMut::visit(&mut renamed, &mut Rename(asked.outside));
    Some(renamed)
}

/// What a relation is called by.
fn name_of(factor: &TableFactor) -> Option<String> {
    if let Some(alias) = alias_of(factor) {
        return Some(folded(&alias.name));
    }
    match factor {
        TableFactor::Table {
            name, args: None, ..
        } => Some(last_part(name)),
        _ => None,
    }
}

fn names_of(from: &[TableWithJoins], names: &mut BTreeSet<String>) {
    for tables in from {
        let joined = tables.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&tables.relation).chain(joined) {
            if let TableFactor::NestedJoin {
                table_with_joins, ..
            } = factor
            {
                names_of(std::slice::from_ref(table_with_joins), names);
            }
            names.extend(name_of(factor));
        }
    }
}

/// Names of relations that are asked for within a query of others.
#[derive(Default)]
struct Asked {
    scopes: Vec<BTreeSet<String>>,
    outside: BTreeSet<String>,
}

impl Visitor for Asked {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut names = BTreeSet::new();
        let mut bodies = vec![query.body.as_ref()];
        while let Some(body) = bodies.pop() {
            match body {
                SetExpr::Select(select) => names_of(&select.from, &mut names),
                SetExpr::SetOperation { left, right, .. } => {
                    bodies.extend([left.as_ref(), right.as_ref()]);
                }
                _ => {}
            }
        }
        self.scopes.push(names);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.scopes.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [relation, _] = parts.as_slice()
            && let Some((here, around)) = self.scopes.split_last()
        {
            let name = folded(relation);
            if !here.contains(&name) && around.iter().any(|names| names.contains(&name)) {
                self.outside.insert(name);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Calls relations of these names by others, wherever they stand.
struct Rename(BTreeSet<String>);

impl Rename {
    fn other(&self, name: &Ident) -> Option<Ident> {
        let folded = folded(name);
        let other = self.0.contains(&folded);
        other.then(|| Ident {
            value: format!("{folded} outside"),
            quote_style: Some('"'),
            span: name.span,
        })
    }

    fn relations(&self, from: &mut [TableWithJoins]) {
        for tables in from {
            let joined = tables.joins.iter_mut().map(|join| &mut join.relation);
            for factor in std::iter::once(&mut tables.relation).chain(joined) {
                if let TableFactor::NestedJoin {
                    table_with_joins, ..
                } = factor
                {
                    self.relations(std::slice::from_mut(table_with_joins.as_mut()));
                }
                self.relation(factor);
            }
        }
    }

    fn relation(&self, factor: &mut TableFactor) {
        match factor {
            TableFactor::Table {
                alias: alias @ None,
                name,
                args: None,
                ..
            } => {
                let own = name.0.last().and_then(|part| part.as_ident());
                *alias = own.and_then(|own| self.other(own)).map(|name| TableAlias {
                    explicit: true,
                    name,
                    columns: Vec::new(),
                    at: None,
                });
            }
            TableFactor::Table {
                alias: Some(alias), ..
            }
            | TableFactor::Derived {
                alias: Some(alias), ..
            }
            | TableFactor::Function {
                alias: Some(alias), ..
            }
            | TableFactor::UNNEST {
                alias: Some(alias), ..
            }
            | TableFactor::NestedJoin {
                alias: Some(alias), ..
            } => {
                if let Some(other) = self.other(&alias.name) {
                    alias.name = other;
                }
            }
            _ => {}
        }
    }
}

impl VisitorMut for Rename {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        self.relations(&mut select.from);
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) = item
                && let [part] = name.0.as_slice()
                && let Some(other) = part.as_ident().and_then(|name| self.other(name))
            {
                *name = ObjectName::from(vec![other]);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [relation, _] = parts.as_mut_slice()
            && let Some(other) = self.other(relation)
        {
            *relation = other;
        }
        ControlFlow::Continue(())
    }
}
