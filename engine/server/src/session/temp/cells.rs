//! INSERT of several rows: each value is assigned to its column by itself, whatever stands in the other rows.
//!
//! ```text
//! INSERT INTO t (text) VALUES (1), (1.50), ('a')   ─►   VALUES (1::text), (1.50::text), ('a')
//! ```
//! To the planner a column of VALUES has one type, which these need not have in common. Where they are of one, or all of
//! them numbers for a column of numbers, they stay as they are.

use datafusion::sql::sqlparser::ast::{self, Expr, SelectItem, SetExpr};

use super::insert::as_of;
use super::{TempTable, assign};
use crate::pg_types::{PgType, oid};
use crate::session::placed::start;
use crate::session::typed::Types;
use crate::session::{Session, kinds, rewrite, statement};
use crate::sqlstate::ServerError;

impl Session {
    /// Gives the values of VALUES the types of the columns that they go to, where they have several.
    ///
    /// # Errors
    /// 42804 for a value that cannot be stored in its column.
    pub(super) async fn assign_cells(
        &mut self,
        source: &mut ast::Query,
        table: &TempTable,
        targets: &[usize],
    ) -> Result<(), ServerError> {
        let is_plain = source.with.is_none()
            && source.order_by.is_none()
            && source.limit_clause.is_none()
            && source.fetch.is_none();
        let SetExpr::Values(values) = source.body.as_mut() else {
            return Ok(());
        };
        if !is_plain || values.rows.len() < 2 {
            return Ok(());
        }
        let width = values.rows.iter().map(|row| row.content.len()).min();
        let mut columns = Vec::new();
        for (column, at) in (0..width.unwrap_or(0)).zip(targets) {
            let to = PgType::of_field(table.schema.field(*at));
            let cells = values.rows.iter().filter_map(|row| row.content.get(column));
            let types: Vec<Option<PgType>> = cells.map(|cell| type_of(cell, to)).collect();
            if !are_alike(&types, to) {
                columns.push((column, *at, types));
            }
        }
        let open: Vec<Expr> = columns
            .iter()
            .flat_map(|(column, _, types)| {
                let rows = values.rows.iter().zip(types);
                let open = rows.filter(|(_, known)| known.is_none());
                open.filter_map(|(row, _)| row.content.get(*column).cloned())
            })
            .collect();
        // What is wrong with them is told when the statement is planned.
        let Some(told) = self.types_of(open).await else {
            return Ok(());
        };
        let mut told = told.into_iter();
        for (column, at, types) in columns {
            let field = table.schema.field(at);
            let to = PgType::of_field(field);
            let types = types.into_iter().map(|known| known.or_else(|| told.next()));
            let types: Vec<Option<PgType>> = types.collect();
            if are_alike(&types, to) {
                continue;
            }
            for (row, from) in values.rows.iter_mut().zip(types) {
                let (Some(cell), Some(from)) = (row.content.get_mut(column), from) else {
                    continue;
                };
                if !assign::assignable(from, to) {
                    return Err(super::insert::of_other_type(from, to, field).place(start(cell)));
                }
                if from != to {
                    *cell = as_of(cell.clone(), field);
                }
            }
        }
        Ok(())
    }

    /// The types of expressions that name no column; `None` when one of them is wrong.
    async fn types_of(&mut self, exprs: Vec<Expr>) -> Option<Vec<PgType>> {
        if exprs.is_empty() {
            return Some(Vec::new());
        }
        let query = statement::query_with("SELECT NULL", |select| {
            select.projection = exprs.into_iter().map(SelectItem::UnnamedExpr).collect();
        });
        let query = query.ok()?;
        let planned = Box::pin(self.plan(&query, &[])).await.ok()?;
        let columns = planned.columns().iter();
        Some(columns.map(|column| column.pg_type).collect())
    }
}

/// The type of a value, as far as the statement tells it; that of its column for a text that has none.
fn type_of(cell: &Expr, to: PgType) -> Option<PgType> {
    let known = match cell {
        // Of an array it makes one of as many dimensions.
        Expr::Function(function) => kinds::type_of_call(&rewrite::function_name(function))
            .map(|kind| if to.element() == Some(kind) { to } else { kind }),
        _ => None,
    };
    let known = known.or_else(|| {
        let ty = Types { parameters: None }.of(cell)?;
        Some(if ty == oid::UNKNOWN {
            to
        } else {
            PgType::of_oid(ty)
        })
    })?;
    Some(if is_text(known) && is_text(to) {
        to
    } else {
        known
    })
}

fn is_text(pg_type: PgType) -> bool {
    matches!(
        pg_type,
        PgType::TEXT | PgType::VARCHAR | PgType::BPCHAR | PgType::NAME
    )
}

/// Whether the values of a column have one type that the planner finds, too.
fn are_alike(types: &[Option<PgType>], to: PgType) -> bool {
    let is_number = |pg_type: PgType| {
        matches!(
            pg_type,
            PgType::INT2
                | PgType::INT4
                | PgType::INT8
                | PgType::FLOAT4
                | PgType::FLOAT8
                | PgType::NUMERIC
        )
    };
    let known: Option<Vec<PgType>> = types.iter().copied().collect();
    known.is_some_and(|known| {
        let first = known.first().copied();
        known.iter().all(|pg_type| Some(*pg_type) == first)
            || (is_number(to) && known.iter().all(|pg_type| is_number(*pg_type)))
    })
}
