//! Columns of a FROM with merged ones, and what stands in the place of their names.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, Query, SelectItem, SetExpr, VisitorMut};

use super::quoted;
use super::relations::{factors_of, named};
use crate::pg_types::PgType;
use crate::session::placed::start;
use crate::session::rewrite::{self, folded};
use crate::sqlstate::ServerError;

/// A column of FROM.
#[derive(Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) value: Expr,
    /// Its type, where that of its table is known.
    pub(super) of: Option<PgType>,
    /// Made of several, so that its name alone says it.
    pub(super) merged: bool,
    /// The name of the join that made it, under which alone it is known.
    pub(super) join: Option<String>,
}

impl Column {
    /// The column as an item of a list.
    pub(super) fn item(&self) -> SelectItem {
        let expr = self.value.clone();
        match &self.value {
            Expr::CompoundIdentifier(parts)
                if parts.last().is_some_and(|part| folded(part) == self.name) =>
            {
                SelectItem::UnnamedExpr(expr)
            }
            _ => SelectItem::ExprWithAlias {
                expr,
                alias: quoted(&self.name),
            },
        }
    }
}

/// The columns that a name alone or `*` may say.
pub(super) fn bare(columns: &[Column]) -> impl Iterator<Item = &Column> {
    columns.iter().filter(|column| column.join.is_none())
}

/// The merged column that an expression says: the one of its name, or one of a join by its name.
pub(super) fn merged_column<'a>(columns: &'a [Column], expr: &Expr) -> Option<&'a Column> {
    match expr {
        Expr::Identifier(name) => {
            let name = folded(name);
            let mut found = bare(columns).filter(|column| column.name == name);
            match (found.next(), found.next()) {
                (Some(column), None) if column.merged => Some(column),
                _ => None,
            }
        }
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [join, name] => of_join(columns, &folded(join)).find(|c| c.name == folded(name)),
            _ => None,
        },
        _ => None,
    }
}

/// The columns that a join by columns merged, by the name of the join.
pub(super) fn of_join<'a>(columns: &'a [Column], join: &str) -> impl Iterator<Item = &'a Column> {
    let of = move |column: &&Column| column.join.as_deref() == Some(join);
    columns.iter().filter(of)
}

/// The columns of a join by its name, where `*` behind it means others to the planner.
pub(super) fn whole<'a>(columns: &'a [Column], relation: &str) -> Option<Vec<&'a Column>> {
    let of_join: Vec<&Column> = of_join(columns, relation).collect();
    if !of_join.is_empty() {
        return Some(of_join);
    }
    let of = |column: &&Column| match &column.value {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [own, _] => !column.merged && folded(own) == relation,
            _ => false,
        },
        _ => false,
    };
    let own: Vec<&Column> = bare(columns).filter(of).collect();
    let renamed = own.iter().any(|column| match &column.value {
        Expr::CompoundIdentifier(parts) => {
            parts.last().is_some_and(|part| folded(part) != column.name)
        }
        _ => false,
    });
    renamed.then_some(own)
}

/// Puts what merged columns are in the place of their names.
pub(super) struct Replace<'a> {
    pub(super) columns: &'a [Column],
    /// Columns of relations of subqueries.
    pub(super) within: &'a BTreeMap<String, Vec<String>>,
    /// The names of the queries around, which come first; `None` for those that are not known.
    pub(super) own: Vec<Option<Vec<String>>>,
}

impl Replace<'_> {
    fn own_names(&self, query: &Query) -> Option<Vec<String>> {
        let SetExpr::Select(select) = query.body.as_ref() else {
            return None;
        };
        let listed = select.projection.iter().filter_map(rewrite::item_name);
        let mut names: Vec<String> = listed.collect();
        let mut factors = Vec::new();
        for tables in &select.from {
            factors_of(tables, &mut factors);
        }
        for factor in factors {
            let (_, factor) = named(factor)?;
            names.extend(self.within.get(&factor.to_string())?.iter().cloned());
        }
        Some(names)
    }

    /// Whether a name may be that of a column of the queries around.
    fn is_own(&self, name: &Ident) -> bool {
        let name = folded(name);
        let may_be = |own: &Option<Vec<String>>| match own {
            Some(own) => own.contains(&name),
            None => true,
        };
        self.own.iter().any(may_be)
    }
}

/// 42702 for a name that two columns of a join have, which are told apart by names of their own.
fn ambiguous(columns: &[Column], expr: &Expr) -> Option<ServerError> {
    let (relation, name) = match expr {
        Expr::Identifier(name) => (None, name),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [relation, name] => (Some(folded(relation)), name),
            _ => return None,
        },
        _ => return None,
    };
    let named = folded(name);
    let renamed = |column: &&Column| match &column.value {
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [own, unique] => {
                relation.as_ref().is_none_or(|known| folded(own) == *known)
                    && folded(unique) != column.name
            }
            _ => false,
        },
        _ => false,
    };
    let doubled = bare(columns).filter(|column| column.name == named && !column.merged);
    (doubled.filter(renamed).count() > 1).then(|| {
        let text = format!("column reference \"{named}\" is ambiguous");
        ServerError::new("42702", text).place(start(expr))
    })
}

impl VisitorMut for Replace<'_> {
    type Break = ServerError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<ServerError> {
        let own = self.own_names(query);
        self.own.push(own);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<ServerError> {
        self.own.pop();
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<ServerError> {
        if let Expr::Identifier(name) = expr
            && self.is_own(name)
        {
            return ControlFlow::Continue(());
        }
        if let Some(column) = merged_column(self.columns, expr) {
            *expr = column.value.clone();
        } else if self.own.is_empty()
            && let Some(error) = ambiguous(self.columns, expr)
        {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    }
}
