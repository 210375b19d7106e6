//! `tableoid`: the column of every table that says which it is.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{self, Expr, VisitorMut};

use super::named;
use crate::pg_catalog::RelationOids;
use crate::session::rewrite;

/// The name of the column.
pub(in crate::session) const TABLE_OID: &str = "tableoid";

/// Puts the number of its table in place of `tableoid`.
pub(super) struct SystemColumns<'o>(pub(super) &'o RelationOids);

impl SystemColumns<'_> {
    /// The tables of a FROM clause that no outer join leaves out: alias and OID.
    fn tables(&self, select: &ast::Select) -> Vec<(String, u32)> {
        let mut found = Vec::new();
        for from in &select.from {
            let inner = from.joins.iter().all(|join| {
                matches!(
                    join.join_operator,
                    ast::JoinOperator::Join(_)
                        | ast::JoinOperator::Inner(_)
                        | ast::JoinOperator::CrossJoin(_)
                )
            });
            if !inner {
                return Vec::new();
            }
            let joined = from.joins.iter().map(|join| &join.relation);
            for factor in std::iter::once(&from.relation).chain(joined) {
                let ast::TableFactor::Table {
                    name,
                    alias,
                    args: None,
                    ..
                } = factor
                else {
                    continue;
                };
                let parts: Vec<String> = name
                    .0
                    .iter()
                    .filter_map(|part| part.as_ident().map(rewrite::folded))
                    .collect();
                if let [.., schema, table] = parts.as_slice()
                    && let Some(oid) = self.0.get(schema, table)
                {
                    let alias = alias.as_ref().map(|alias| rewrite::folded(&alias.name));
                    found.push((alias.unwrap_or_else(|| table.clone()), oid));
                }
            }
        }
        found
    }
}

impl VisitorMut for SystemColumns<'_> {
    type Break = std::convert::Infallible;

    // What stands in a subquery and names a table of its own is read by then.
    fn post_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<Self::Break> {
        let tables = self.tables(select);
        if tables.is_empty() {
            return ControlFlow::Continue(());
        }
        let only = select.from.len() == 1 && select.from.iter().all(|from| from.joins.is_empty());
        let numbers = |expr: &mut Expr| {
            let oid = match &*expr {
                Expr::Identifier(name) if only && rewrite::folded(name) == TABLE_OID => {
                    tables.first().map(|(_, oid)| *oid)
                }
                Expr::CompoundIdentifier(parts) => match parts.as_slice() {
                    [table, name] if rewrite::folded(name) == TABLE_OID => {
                        let wanted = rewrite::folded(table);
                        let table = tables.iter().find(|(alias, _)| *alias == wanted);
                        table.map(|(_, oid)| *oid)
                    }
                    _ => None,
                },
                _ => None,
            };
            if let Some(oid) = oid {
                let number = Expr::value(ast::Value::Number(oid.to_string(), false));
                let oid = ast::DataType::Custom(ast::Ident::new("oid").into(), Vec::new());
                *expr = rewrite::cast(number, oid);
            }
            ControlFlow::<std::convert::Infallible>::Continue(())
        };
        for item in &mut select.projection {
            let name = rewrite::item_name(item);
            let (ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) =
                item
            else {
                continue;
            };
            let before = expr.clone();
            let ControlFlow::Continue(()) = ast::visit_expressions_mut(expr, numbers);
            if *expr != before {
                *item = named(expr.clone(), name);
            }
        }
        if let Some(selection) = &mut select.selection {
            let ControlFlow::Continue(()) = ast::visit_expressions_mut(selection, numbers);
        }
        ControlFlow::Continue(())
    }
}
