//! What stands in FROM of UPDATE and USING of DELETE, kept for RETURNING.
//!
//! The query of the rows tells of each relation as a row; kept, it is a relation under the same name, whose rows have the
//! numbers of those that they were found with.
//!
//! ```text
//! SELECT …, number, whole_row(a), whole_row(b) FROM …
//! RETURNING *   ─►   SELECT t.id, a.x, b.y FROM "the rows" AS t JOIN "beside 0" AS a ON … JOIN "beside 1" AS b ON …
//! ```

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, Int64Array, RecordBatch, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, JoinConstraint, JoinOperator, ObjectName, SelectItem, TableFactor,
    TableWithJoins,
};

use super::assign;
use super::define::columns_of;
use super::found::{NUMBER, Wanted, numbered};
use super::over::{ROWS, quoted};
use super::{Piece, TempTable};
use crate::pg_types::PgType;
use crate::session::memory::SessionMemory;
use crate::session::plan::{PlanContext, Planned};
use crate::session::rewrite::folded;
use crate::session::{Session, statement};
use crate::sqlstate::ServerError;

/// A relation of FROM or USING.
pub(super) struct Beside {
    /// What the statement calls it.
    pub(super) called: String,
    /// Its columns.
    pub(super) schema: SchemaRef,
    /// Which column of the query has its rows.
    pub(super) column: usize,
    /// Its rows, with the numbers of those of the table.
    pub(super) pieces: Vec<Arc<Piece>>,
}

impl Beside {
    /// The column that has its rows, of a query.
    pub(super) fn field(&self, planned: &Planned) -> Field {
        Field::new(name_of(self.column), planned.data_type(self.column), true)
    }

    /// The relation with rows, which this column of the batches has.
    ///
    /// # Errors
    /// 53200.
    pub(super) fn filled(
        self,
        rows: &[RecordBatch],
        column: usize,
        memory: &SessionMemory,
        session: &assign::Session,
    ) -> Result<Beside, ServerError> {
        let schema = numbered(&self.schema);
        let mut pieces = Vec::with_capacity(rows.len());
        for (batch, numbers) in rows.iter().zip(numbers(rows)) {
            let of = batch.columns().get(column);
            let of = of.and_then(|column| column.as_struct_opt());
            let of = of.ok_or_else(|| ServerError::internal("a row that is none"))?;
            // A row that a join filled up has no values.
            let places = (0..of.len()).map(|row| match of.is_null(row) {
                true => None,
                false => u64::try_from(row).ok(),
            });
            let places: UInt64Array = places.collect();
            let values = of.columns().iter().zip(of.fields());
            let mut columns = Vec::with_capacity(self.schema.fields().len() + 1);
            for ((values, from), field) in values.zip(self.schema.fields()) {
                let values = take(values, &places, None)?;
                let from = PgType::of_field(from);
                columns.push(assign::assign(&values, from, field, session)?);
            }
            columns.push(Arc::new(numbers));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            pieces.push(Arc::new(Piece::held(batch, memory)?));
        }
        Ok(Beside { pieces, ..self })
    }

    /// As a table of the session.
    pub(super) fn table(&self, like: &TempTable) -> TempTable {
        let shape = TempTable {
            schema: numbered(&self.schema),
            ..like.clone()
        };
        shape.with_pieces(self.pieces.clone())
    }
}

/// The numbers of rows that follow each other.
pub(super) fn numbers(rows: &[RecordBatch]) -> Vec<Int64Array> {
    let mut first = 0_i64;
    let numbers = rows.iter().map(|batch| {
        let rows = i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        let numbers = Int64Array::from_iter_values(first..first.saturating_add(rows));
        first = first.saturating_add(rows);
        numbers
    });
    numbers.collect()
}

/// The name of the relation of this number.
pub(super) fn name_of(at: usize) -> String {
    format!("\u{1}beside {at}")
}

/// What RETURNING needs of the relations, for the list of columns: each as a row.
///
/// # Errors
/// 0A000 for a relation whose columns are not told by its name.
pub(super) fn items(beside: &[TableWithJoins]) -> Result<Vec<SelectItem>, ServerError> {
    let names = names(beside)?.into_iter().enumerate();
    let items = names.map(|(at, name)| SelectItem::ExprWithAlias {
        expr: Expr::QualifiedWildcard(ObjectName::from(vec![name]), AttachedToken::empty()),
        alias: Ident::with_quote('"', name_of(at)),
    });
    Ok(items.collect())
}

/// What the relations are called.
fn names(beside: &[TableWithJoins]) -> Result<Vec<Ident>, ServerError> {
    let mut found = Vec::new();
    for tables in beside {
        of_tables(tables, &mut found)?;
    }
    Ok(found)
}

fn of_tables(tables: &TableWithJoins, found: &mut Vec<Ident>) -> Result<(), ServerError> {
    of_factor(&tables.relation, found)?;
    for join in &tables.joins {
        let merges = |constraint: &JoinConstraint| {
            matches!(
                constraint,
                JoinConstraint::Using(_) | JoinConstraint::Natural
            )
        };
        let merged = match &join.join_operator {
            JoinOperator::Join(on)
            | JoinOperator::Inner(on)
            | JoinOperator::Left(on)
            | JoinOperator::LeftOuter(on)
            | JoinOperator::Right(on)
            | JoinOperator::RightOuter(on)
            | JoinOperator::FullOuter(on) => merges(on),
            _ => false,
        };
        if merged {
            let text = "RETURNING beside a join with USING is not supported";
            return Err(ServerError::unsupported(text).hint("Write the join with ON."));
        }
        of_factor(&join.relation, found)?;
    }
    Ok(())
}

fn of_factor(factor: &TableFactor, found: &mut Vec<Ident>) -> Result<(), ServerError> {
    if let TableFactor::Derived { lateral: true, .. }
    | TableFactor::Function { lateral: true, .. } = factor
    {
        let text = "RETURNING beside LATERAL is not supported";
        return Err(ServerError::unsupported(text).hint("Write the query without RETURNING."));
    }
    let name = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).cloned();
    let called = match factor {
        TableFactor::NestedJoin {
            table_with_joins,
            alias: None,
        } => return of_tables(table_with_joins, found),
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
        } => Some(alias.name.clone()),
        TableFactor::Table { name: of, .. } | TableFactor::Function { name: of, .. } => name(of),
        _ => None,
    };
    let called = called.ok_or_else(|| {
        let text = "RETURNING beside a relation without a name is not supported";
        ServerError::unsupported(text).hint("Give the relation an alias.")
    })?;
    found.push(called);
    Ok(())
}

impl Session {
    /// The relations, whose rows are columns of the query behind `first` columns of its own. What their columns are is
    /// asked by queries for these alone: in a row an integer may be a bigint.
    ///
    /// # Errors
    /// 0A000 for names that are not told apart.
    pub(super) async fn beside(
        &mut self,
        wanted: Wanted<'_>,
        query: &ast::Statement,
        context: &PlanContext,
        arguments: &[Expr],
        first: usize,
    ) -> Result<Vec<Beside>, ServerError> {
        if !wanted.told {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for (column, name) in (first..).zip(names(wanted.beside)?) {
            let mut alone = query.clone();
            if let ast::Statement::Query(query) = &mut alone
                && let ast::SetExpr::Select(select) = query.body.as_mut()
            {
                let name = ObjectName::from(vec![name.clone()]);
                let all = ast::SelectItemQualifiedWildcardKind::ObjectName(name);
                let plain = ast::WildcardAdditionalOptions::default();
                select.projection = vec![SelectItem::QualifiedWildcard(all, plain)];
            }
            let planned = self.plan_over(context.clone(), &alone, arguments).await?;
            let (fields, _) = columns_of(&planned, &[]).map_err(|error| match error.code() {
                "42701" => ServerError::unsupported(
                    "RETURNING beside a relation with two columns of one name is not supported",
                ),
                _ => error,
            })?;
            found.push(Beside {
                called: folded(&name),
                schema: Arc::new(Schema::new(fields)),
                column,
                pieces: Vec::new(),
            });
        }
        Ok(found)
    }
}

/// Refuses a row of FROM or USING as a value: one that a join filled up would not be NULL.
///
/// # Errors
/// 0A000.
fn whole_rows<'a>(
    relations: impl Iterator<Item = (&'a str, &'a SchemaRef)> + Clone,
    items: &[SelectItem],
) -> Result<(), ServerError> {
    let is_row = |name: &str| {
        let is_column = |(_, schema): (&str, &SchemaRef)| schema.index_of(name).is_ok();
        let others = relations.clone().skip(1);
        others
            .map(|(called, _)| called)
            .any(|called| called == name)
            && !relations.clone().any(is_column)
    };
    let flow = ast::visit_expressions(&items.to_vec(), |expr| match expr {
        Expr::Identifier(name) if is_row(&folded(name)) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            let text = "RETURNING of a row of FROM or USING is not supported";
            Err(ServerError::unsupported(text).hint("Name its columns."))
        }
    }
}

/// The query of RETURNING over rows of a table, which it calls by this name, and what was found beside them.
///
/// # Errors
/// None that a client can make.
pub(super) fn told_query(
    own: &str,
    called: &str,
    table: &TempTable,
    beside: &[Beside],
    items: &[SelectItem],
) -> Result<Box<ast::Statement>, ServerError> {
    let (rows, number) = (quoted(called), quoted(NUMBER));
    let mut sql = format!("SELECT 1 FROM {own}.{} AS {rows}", quoted(ROWS));
    for (at, relation) in beside.iter().enumerate() {
        let (name, called) = (quoted(&name_of(at)), quoted(&relation.called));
        // Writing to a String cannot fail.
        let _ = write!(
            sql,
            " JOIN {own}.{name} AS {called} ON {called}.{number} = {rows}.{number}"
        );
    }
    let _ = write!(sql, " ORDER BY {rows}.{number}");
    let of = |called: &str, schema: &SchemaRef| {
        let names = schema.fields().iter().map(|field| field.name().clone());
        let names = names.filter(|name| name != NUMBER);
        let called = Ident::with_quote('"', called);
        let columns = names.map(|name| {
            let column = Ident::with_quote('"', name);
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(vec![called.clone(), column]))
        });
        columns.collect::<Vec<_>>()
    };
    let relations = || {
        let first = (called, &table.schema);
        let others = beside.iter();
        let others = others.map(|other| (other.called.as_str(), &other.schema));
        std::iter::once(first).chain(others)
    };
    whole_rows(relations(), items)?;
    let mut told = Vec::with_capacity(items.len());
    for item in items {
        match item {
            SelectItem::Wildcard(_) => {
                told.extend(relations().flat_map(|(called, schema)| of(called, schema)));
            }
            SelectItem::QualifiedWildcard(
                ast::SelectItemQualifiedWildcardKind::ObjectName(name),
                _,
            ) => {
                let wanted = name.0.last().and_then(|part| part.as_ident()).map(folded);
                let known = relations().find(|(called, _)| wanted.as_deref() == Some(*called));
                match known {
                    Some((called, schema)) => told.extend(of(called, schema)),
                    None => told.push(item.clone()),
                }
            }
            other => told.push(other.clone()),
        }
    }
    statement::query_with(&sql, |select| select.projection = told)
}
