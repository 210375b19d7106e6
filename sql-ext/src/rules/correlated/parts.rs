//! Rows that are put together of parts which speak of the outer row: `VALUES` and `UNION ALL`.
//!
//! The parts become one table with a number of its part in each row, and what a part asks of the outer row is asked
//! where the number is its own. A condition that all parts have alike (`v.contig = g.contig` in each) stays a condition
//! on a column, so that it makes a hash or an interval join.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Column, DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{
    Case, Expr, ExprSchemable as _, LogicalPlan, LogicalPlanBuilder, Operator, Union, Values,
    binary_expr, cast, lit,
};

use super::apply::Names;
use super::flat::{Flat, Renamed, flat, holds_subquery};
use super::{projected, with_columns};

/// `VALUES` with columns of the outer row, as a table of their numbers.
pub(super) fn values(node: &Values, names: &mut Names) -> Result<Option<Flat>> {
    let mut cells = node.values.iter().flatten();
    if cells.any(|cell| cell.is_volatile() || holds_subquery(cell)) {
        return Ok(None);
    }
    let parts = (0_i64..).zip(&node.values);
    let numbers = parts.clone().map(|(number, _)| vec![lit(number)]).collect();
    let rows = LogicalPlanBuilder::values(numbers)?;
    let rows = rows.alias(names.next("values"))?.build()?;
    let Some(number) = rows.schema().columns().pop().map(Expr::Column) else {
        return Ok(None);
    };
    let mut columns = Vec::new();
    for (place, field) in node.schema.fields().iter().enumerate() {
        let cells = parts
            .clone()
            .filter_map(|(part, row)| Some((part, row.get(place)?)));
        let cells = cells.map(|(part, cell)| (part, cast(cell.clone(), field.data_type().clone())));
        columns.push(of_part(&number, cells));
    }
    Ok(Some(Flat {
        rows,
        conditions: Vec::new(),
        columns,
    }))
}

/// What is asked of each part, where the row is one of it.
fn of_part(number: &Expr, parts: impl Iterator<Item = (i64, Expr)>) -> Expr {
    let when_then = parts.map(|(part, expr)| (Box::new(lit(part)), Box::new(expr)));
    Expr::Case(Case {
        expr: Some(Box::new(number.clone())),
        when_then_expr: when_then.collect(),
        else_expr: None,
    })
}

/// `UNION ALL` of parts of which some speak of the outer row.
pub(super) fn union(node: &Union, names: &mut Names) -> Result<Option<Flat>> {
    let mut parts = Vec::with_capacity(node.inputs.len());
    for input in &node.inputs {
        let Some(flat) = flat(input, names)? else {
            return Ok(None);
        };
        let Some(part) = flat.renamed(names)? else {
            return Ok(None);
        };
        parts.push(part);
    }
    let mut table = Table {
        lists: vec![Vec::new(); parts.len()],
        names,
    };
    let tags = (0_i64..).take(parts.len()).map(lit).collect();
    let number = table.column(tags);
    let mut columns = Vec::new();
    for (place, field) in node.schema.fields().iter().enumerate() {
        let of_parts = parts.iter().map(|part| part.columns.get(place));
        let Some(of_parts) = of_parts.collect::<Option<Vec<&Expr>>>() else {
            return Ok(None);
        };
        let of_parts = of_parts
            .into_iter()
            .map(|column| cast(column.clone(), field.data_type().clone()));
        let of_parts: Vec<Expr> = of_parts.collect();
        columns.push(match of_parts.iter().any(Expr::contains_outer) {
            false => table.column(of_parts),
            true => {
                let Some(asked) = table.asked(&parts, &of_parts)? else {
                    return Ok(None);
                };
                of_part(&number, asked.into_iter())
            }
        });
    }
    let mut conditions = table.shared(&mut parts)?;
    if parts.iter().any(|part| !part.conditions.is_empty()) {
        let of_parts = parts.iter().map(|part| {
            let all = part.conditions.iter().cloned().reduce(Expr::and);
            all.unwrap_or_else(|| lit(true))
        });
        let of_parts: Vec<Expr> = of_parts.collect();
        let Some(asked) = table.asked(&parts, &of_parts)? else {
            return Ok(None);
        };
        conditions.push(of_part(&number, asked.into_iter()));
    }
    let lists = table.lists;
    let inputs = parts.into_iter().zip(lists);
    let inputs = inputs.map(|(part, list)| projected(part.rows, list).map(Arc::new));
    let rows = Union::try_new(inputs.collect::<Result<Vec<_>>>()?)?;
    Ok(Some(Flat {
        rows: LogicalPlan::Union(rows),
        conditions,
        columns,
    }))
}

/// The columns of the parts, put under one another.
struct Table<'a> {
    /// The columns of each part.
    lists: Vec<Vec<Expr>>,
    names: &'a mut Names,
}

impl Table<'_> {
    /// A column that is one of these in each part.
    fn column(&mut self, of_parts: Vec<Expr>) -> Expr {
        let name = self.names.next("part");
        for (list, expr) in self.lists.iter_mut().zip(of_parts) {
            list.push(expr.alias(&name));
        }
        Expr::Column(Column::new_unqualified(name))
    }

    /// A column of one part; NULL in the others.
    fn own(&mut self, place: usize, column: &Column, schema: &DFSchema) -> Result<Expr> {
        let data_type = Expr::Column(column.clone()).get_type(schema)?;
        let null = lit(ScalarValue::try_from(&data_type)?);
        let mut of_parts = vec![null; self.lists.len()];
        if let Some(part) = of_parts.get_mut(place) {
            *part = Expr::Column(column.clone());
        }
        Ok(self.column(of_parts))
    }

    /// What each part asks of its rows and the outer one, over the columns of all; `None` when it cannot be.
    fn asked(&mut self, parts: &[Renamed], exprs: &[Expr]) -> Result<Option<Vec<(i64, Expr)>>> {
        let mut asked = Vec::with_capacity(parts.len());
        for (number, (part, expr)) in (0_i64..).zip(parts.iter().zip(exprs)) {
            let schema = part.rows.schema();
            let place = asked.len();
            let mut columns: Vec<Column> = expr.column_refs().into_iter().cloned().collect();
            // Names of columns decide nothing, and their order must not vary.
            columns.sort();
            let mut moved = Vec::with_capacity(columns.len());
            for column in columns {
                let own = self.own(place, &column, schema)?;
                moved.push((column, own));
            }
            let over = with_columns(expr, |column| {
                let found = moved.iter().find(|(old, _)| old == column);
                found.map(|(_, own)| own.clone())
            })?;
            let Some(over) = over else {
                return Ok(None);
            };
            asked.push((number, over));
        }
        Ok(Some(asked))
    }

    /// Conditions that all parts have alike, each on a column of its own; they are taken from the parts.
    fn shared(&mut self, parts: &mut [Renamed]) -> Result<Vec<Expr>> {
        let mut shared = Vec::new();
        let Some(first) = parts.first() else {
            return Ok(shared);
        };
        let mut compared = Vec::new();
        for condition in &first.conditions {
            compared.extend(Compared::of(condition, first.rows.schema())?);
        }
        for alike in compared {
            let mut places = Vec::with_capacity(parts.len());
            for part in parts.iter() {
                let schema = part.rows.schema();
                for (place, condition) in part.conditions.iter().enumerate() {
                    let Some(other) = Compared::of(condition, schema)? else {
                        continue;
                    };
                    if other.op == alike.op
                        && other.outer == alike.outer
                        && other.data_type == alike.data_type
                    {
                        places.push((place, other.own));
                        break;
                    }
                }
            }
            if places.len() < parts.len() {
                continue;
            }
            let (places, own): (Vec<usize>, Vec<Expr>) = places.into_iter().unzip();
            for (part, place) in parts.iter_mut().zip(places) {
                part.conditions.remove(place);
            }
            let column = self.column(own);
            shared.push(binary_expr(column, alike.op, alike.outer));
        }
        Ok(shared)
    }
}

/// A comparison of something of a row with something of the outer one.
struct Compared {
    own: Expr,
    op: Operator,
    outer: Expr,
    data_type: DataType,
}

impl Compared {
    fn of(condition: &Expr, schema: &DFSchema) -> Result<Option<Self>> {
        let Expr::BinaryExpr(binary) = condition else {
            return Ok(None);
        };
        let is_own = |side: &Expr| side.any_column_refs() && !side.contains_outer();
        let (left, right) = (binary.left.as_ref(), binary.right.as_ref());
        let (own, op, outer) = match (is_own(left), is_own(right)) {
            (true, false) => (left, Some(binary.op), right),
            (false, true) => (right, binary.op.swap(), left),
            _ => return Ok(None),
        };
        let Some(op) = op.filter(|_| !outer.any_column_refs()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            data_type: own.get_type(schema)?,
            own: own.clone(),
            op,
            outer: outer.clone(),
        }))
    }
}
