//! Rows that are put together or compared: UNION, EXCEPT, INTERSECT, VALUES and the rounds of recursive queries, whose columns have one class of numbers.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, Schema};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::common::{DFSchema, DataFusionError, JoinType, NullEquality, Result};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::expr::{Alias, Cast};
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable as _, Join, LogicalPlan, LogicalPlanBuilder, Projection,
    RecursiveQuery, Union, Values, cast,
};

use super::{Class, settle, turned};
use crate::pg_types::{FREE_SCALE, PgType};
use crate::semantics::types::WIDEST;
use crate::sqlstate::ServerError;

/// The class that each column of some rows is to have, of the types that it has in them.
fn wanted<'a>(columns: impl Iterator<Item = &'a DataType> + Clone) -> Option<Class> {
    let classes = columns.filter_map(Class::of);
    let greatest = classes.clone().max()?;
    let mixed = classes.clone().any(|class| class == Class::Exact) && classes.min()? != greatest;
    mixed.then_some(greatest)
}

/// A UNION whose columns have one type in all of its parts, which it tells what reads it; `None` when they have. Whole numbers
/// stay what they are: the wider ones are all the same to what reads them.
pub(super) fn united(union: &Union) -> Result<Option<Union>> {
    let alike = of_one_class(union)?;
    let settled = typed(alike.as_ref().unwrap_or(union), |to| !to.is_integer())?;
    Ok(settled.or(alike))
}

/// A UNION whose columns have one class in all of its parts; `None` when they have.
fn of_one_class(union: &Union) -> Result<Option<Union>> {
    let of_column = |at: usize| {
        let fields = union.inputs.iter();
        fields.filter_map(move |input| {
            input
                .schema()
                .fields()
                .get(at)
                .map(|field| field.data_type())
        })
    };
    let wanted: Vec<Option<Class>> = (0..union.schema.fields().len())
        .map(|at| wanted(of_column(at)))
        .collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(None);
    }
    let inputs = union.inputs.iter().map(|input| {
        let columns: Vec<Expr> = match input.as_ref() {
            LogicalPlan::Projection(projection) => projection.expr.clone(),
            other => other
                .schema()
                .columns()
                .into_iter()
                .map(Expr::Column)
                .collect(),
        };
        let below = match input.as_ref() {
            LogicalPlan::Projection(projection) => Arc::clone(&projection.input),
            _ => Arc::clone(input),
        };
        let fields = input.schema().fields().iter();
        let columns = columns.into_iter().zip(fields).zip(&wanted);
        let columns = columns.map(|((expr, field), wanted)| {
            let bare = match &expr {
                Expr::Alias(Alias { expr, .. }) => expr.as_ref(),
                other => other,
            };
            let made = wanted.and_then(|wanted| turned(bare, field.data_type(), wanted));
            match made {
                Some(made) => made.alias(field.name()),
                None => expr,
            }
        });
        let projection = Projection::try_new(columns.collect(), below)?;
        Ok(Arc::new(LogicalPlan::Projection(projection)))
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    Union::try_new_with_loose_types(inputs).map(Some)
}

/// EXCEPT or INTERSECT whose columns have the types of both sides; `None` when they have, and for any other join.
pub(super) fn of_sets(join: &Join) -> Result<Option<LogicalPlan>> {
    let of_sets = matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && join.left.schema().fields().len() == join.right.schema().fields().len();
    if !of_sets {
        return Ok(None);
    }
    let (settled, changed) = unions_settled(join)?;
    let join = &settled;
    let (left, right) = (join.left.schema().fields(), join.right.schema().fields());
    let columns = left.iter().zip(right.iter());
    let wanted: Vec<Option<DataType>> = columns
        .map(|(left, right)| in_common(left.data_type(), right.data_type()))
        .collect();
    if wanted.iter().all(Option::is_none) {
        return Ok(changed.then(|| LogicalPlan::Join(settled)));
    }
    let joined = Join::try_new(
        Arc::new(with_types(&join.left, &wanted)?),
        Arc::new(with_types(&join.right, &wanted)?),
        join.on.clone(),
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let joined = LogicalPlan::Join(joined);
    if join.join_type == JoinType::LeftSemi {
        return Ok(Some(joined));
    }
    // What EXCEPT leaves has the digits of the left side.
    let shown: Vec<Option<DataType>> = left
        .iter()
        .zip(&wanted)
        .map(|(field, wanted)| match (wanted, field.data_type()) {
            (Some(to), of) if to.is_decimal() => shape(of, to),
            _ => None,
        })
        .collect();
    match shown.iter().all(Option::is_none) {
        true => Ok(Some(joined)),
        false => with_types(&joined, &shown).map(Some),
    }
}

/// A join whose sides say the types of the unions in them, which the planner knows only later and takes from their first
/// parts until then; and whether they are others.
fn unions_settled(join: &Join) -> Result<(Join, bool)> {
    let side = |plan: &Arc<LogicalPlan>| -> Result<Transformed<LogicalPlan>> {
        let changed = Cell::new(false);
        let mut plan = plan.as_ref().clone().transform_up(|node| {
            let node = match &node {
                LogicalPlan::Union(union) => match typed(union, |_| true)? {
                    Some(union) => Transformed::yes(LogicalPlan::Union(union)),
                    None => Transformed::no(node),
                },
                _ => Transformed::no(node),
            };
            changed.set(changed.get() || node.transformed);
            match (changed.get(), &node.data) {
                (true, LogicalPlan::Union(union)) => {
                    let union = Union::try_new_with_loose_types(union.inputs.clone())?;
                    Ok(Transformed::yes(LogicalPlan::Union(union)))
                }
                (true, _) => node.map_data(LogicalPlan::recompute_schema),
                (false, _) => Ok(node),
            }
        })?;
        plan.transformed = changed.get();
        Ok(plan)
    };
    let (left, right) = (side(&join.left)?, side(&join.right)?);
    if !left.transformed && !right.transformed {
        return Ok((join.clone(), false));
    }
    let settled = Join::try_new(
        Arc::new(left.data),
        Arc::new(right.data),
        join.on.clone(),
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok((settled, true))
}

/// A union whose parts have one type in each column, where numbers or times have one in common that is `wanted`; `None`
/// when they have.
fn typed(union: &Union, is_wanted: impl Fn(&DataType) -> bool) -> Result<Option<Union>> {
    let of_column = |at: usize| -> Option<DataType> {
        let fields = union.inputs.iter();
        let mut types = fields.filter_map(|input| input.schema().fields().get(at));
        let first = types.next()?.data_type().clone();
        Some(types.fold(first, |known, field| {
            in_common(&known, field.data_type()).unwrap_or(known)
        }))
    };
    let of_column = |at: usize| of_column(at).filter(&is_wanted);
    let wanted: Vec<Option<DataType>> = (0..union.schema.fields().len()).map(of_column).collect();
    let mut changed = false;
    let inputs = union.inputs.iter().map(|input| {
        let fields = input.schema().fields().iter();
        let to = fields.zip(&wanted).map(|(field, wanted)| {
            let wanted = wanted.as_ref()?;
            in_common(field.data_type(), wanted).filter(|to| to == wanted)
        });
        let to: Vec<Option<DataType>> = to.collect();
        if to.iter().all(Option::is_none) {
            return Ok(Arc::clone(input));
        }
        changed = true;
        list_with_types(input, &to).map(Arc::new)
    });
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    match changed {
        true => Union::try_new_with_loose_types(inputs).map(Some),
        false => Ok(None),
    }
}

/// As [`with_types`], in the list of a SELECT itself where the plan is one: its constants are still seen there.
fn list_with_types(plan: &LogicalPlan, wanted: &[Option<DataType>]) -> Result<LogicalPlan> {
    let LogicalPlan::Projection(list) = plan else {
        return with_types(plan, wanted);
    };
    let fields = list.schema.iter().zip(wanted);
    let columns = list.expr.iter().zip(fields);
    let columns = columns.map(|(expr, ((qualifier, field), wanted))| match wanted {
        Some(to) => {
            let bare = match expr {
                Expr::Alias(Alias { expr, .. }) => expr.as_ref(),
                other => other,
            };
            cast(bare.clone(), to.clone()).alias_qualified(qualifier.cloned(), field.name())
        }
        None => expr.clone(),
    });
    let list = Projection::try_new(columns.collect(), Arc::clone(&list.input))?;
    Ok(LogicalPlan::Projection(list))
}

/// A decimal of so many digits as a number has, of one that has others.
fn shape(of: &DataType, to: &DataType) -> Option<DataType> {
    let (before, behind) = digits(of);
    let digits = u8::try_from(before + i16::from(behind)).ok()?;
    Some(match to {
        DataType::Decimal128(..) => DataType::Decimal128(digits, behind),
        _ => DataType::Decimal256(digits.min(WIDEST), behind),
    })
}

/// Digits of a number before the point and behind it.
fn digits(of: &DataType) -> (i16, i8) {
    match of {
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            (i16::from(*digits) - i16::from(*scale), *scale)
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 => (10, 0),
        _ => (20, 0),
    }
}

/// The type that numbers of two types, or a date and a timestamp, have in common; `None` when it is theirs.
fn in_common(left: &DataType, right: &DataType) -> Option<DataType> {
    if left == right {
        return None;
    }
    if let (DataType::Date32, stamp @ DataType::Timestamp(_, None))
    | (stamp @ DataType::Timestamp(_, None), DataType::Date32) = (left, right)
    {
        return Some(stamp.clone());
    }
    let is_list = |of: &DataType| matches!(of, DataType::List(_) | DataType::LargeList(_));
    if is_list(left) || is_list(right) {
        return None;
    }
    Some(match Class::of(left)?.max(Class::of(right)?) {
        // Of whole numbers the wider ones.
        Class::Whole => match right.primitive_width() > left.primitive_width() {
            true => right.clone(),
            false => left.clone(),
        },
        Class::Single => DataType::Float32,
        Class::Double => DataType::Float64,
        Class::Exact => {
            let (left, right) = (digits(left), digits(right));
            let scale = left.1.max(right.1);
            let digits = u8::try_from(left.0.max(right.0) + i16::from(scale)).ok()?;
            match digits {
                digits if digits <= DECIMAL128_MAX_PRECISION => DataType::Decimal128(digits, scale),
                digits => DataType::Decimal256(digits.min(WIDEST), scale),
            }
        }
    })
}

/// A plan with columns of these types.
fn with_types(plan: &LogicalPlan, wanted: &[Option<DataType>]) -> Result<LogicalPlan> {
    if let LogicalPlan::Distinct(Distinct::All(input)) = plan {
        let input = Arc::new(with_types(input, wanted)?);
        return Ok(LogicalPlan::Distinct(Distinct::All(input)));
    }
    let columns = plan.schema().iter().zip(wanted);
    let columns = columns.map(|((qualifier, field), wanted)| {
        let column = Expr::Column((qualifier, field).into());
        match wanted {
            Some(to) if to != field.data_type() => {
                cast(column, to.clone()).alias_qualified(qualifier.cloned(), field.name())
            }
            _ => column,
        }
    });
    let projection = Projection::try_new(columns.collect(), Arc::new(plan.clone()))?;
    Ok(LogicalPlan::Projection(projection))
}

/// VALUES whose columns have one class, as the planner casts each cell to a type of its own choice; `None` when they
/// have.
pub(super) fn listed(values: &Values) -> Result<Option<LogicalPlan>> {
    let none = DFSchema::empty();
    // What a cell was before the planner's cast.
    let written = |cell: &Expr, field: &Field| match cell {
        Expr::Cast(Cast {
            expr: value,
            field: to,
        }) if to.data_type() == field.data_type() => Expr::clone(value),
        cell => cell.clone(),
    };
    let mut rows = values.values.clone();
    let mut changed = false;
    for (at, field) in values.schema.fields().iter().enumerate() {
        if Class::of(field.data_type()) != Some(Class::Exact) {
            continue;
        }
        let cells = values.values.iter().filter_map(|row| row.get(at));
        let cells: Vec<Expr> = cells.map(|cell| written(cell, field)).collect();
        let types: Result<Vec<DataType>> = cells.iter().map(|cell| cell.get_type(&none)).collect();
        let Ok(types) = types else {
            return Ok(None);
        };
        let Some(wanted) = wanted(types.iter()).filter(|wanted| *wanted >= Class::Single) else {
            continue;
        };
        changed = true;
        for (row, (cell, of)) in rows.iter_mut().zip(cells.iter().zip(&types)) {
            if let Some(place) = row.get_mut(at) {
                *place = turned(cell, of, wanted).unwrap_or_else(|| cell.clone());
            }
        }
    }
    match changed {
        true => LogicalPlanBuilder::values(rows)?.build().map(Some),
        false => Ok(None),
    }
}

/// Numerics of a recursive query, to which every round may add digits.
const ROUNDS: DataType = DataType::Decimal256(WIDEST, FREE_SCALE + 1);

/// A recursive query whose numerics have room for more digits than those that it begins with; `None` when nothing in it
/// needs any.
///
/// # Errors
/// 42804 for a column that goes on as another type than it begins with.
pub(super) fn recursive(query: &RecursiveQuery) -> Result<Option<LogicalPlan>> {
    // The planner has cast what goes on to the types of what it begins with.
    let LogicalPlan::Projection(goes_on) = query.recursive_term.as_ref() else {
        return Ok(None);
    };
    let begins = query.static_term.schema();
    let mut wide = vec![false; begins.fields().len()];
    for (at, (expr, field)) in goes_on.expr.iter().zip(begins.fields()).enumerate() {
        let Some((value, _)) = cast_to(expr, field.data_type()) else {
            continue;
        };
        let Ok(of) = value.get_type(goes_on.input.schema()) else {
            continue;
        };
        let (Some(first), Some(next)) = (Class::of(field.data_type()), Class::of(&of)) else {
            continue;
        };
        if next > first {
            let name = |data_type: &DataType| PgType::of_arrow(data_type).sql_name();
            let text = format!(
                "recursive query \"{}\" column {} has type {} in non-recursive term but type {} overall",
                query.name,
                at + 1,
                match first {
                    Class::Whole => "integer",
                    _ => name(field.data_type()),
                },
                name(&of),
            );
            let error = ServerError::new("42804", text)
                .hint("Cast the output of the non-recursive term to the correct type.");
            return Err(DataFusionError::External(Box::new(error)));
        }
        if let Some(place) = wide.get_mut(at) {
            *place = first == Class::Exact;
        }
    }
    if !wide.contains(&true) {
        return Ok(None);
    }
    let columns = begins.columns().into_iter().zip(&wide);
    let columns = columns.map(|(column, wide)| {
        let name = column.name.clone();
        let column = Expr::Column(column);
        match wide {
            true => cast(column, ROUNDS).alias(name),
            false => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    let first = LogicalPlanBuilder::from(Arc::clone(&query.static_term)).project(columns)?;
    let first = first.build()?;
    let fields = first.schema().fields().iter();
    let fields: Vec<Field> = fields
        .map(|field| field.as_ref().clone().with_nullable(true))
        .collect();
    let rows = CteWorkTable::new(&query.name, Arc::new(Schema::new(fields)));
    let rows = provider_as_source(Arc::new(rows));
    let mut goes_on = goes_on.clone();
    for ((expr, field), wide) in goes_on.expr.iter_mut().zip(begins.fields()).zip(&wide) {
        if !wide {
            continue;
        }
        if let Some((value, name)) = cast_to(expr, field.data_type()) {
            *expr = cast(value.clone(), ROUNDS).alias(name);
        } else {
            let name = expr.schema_name().to_string();
            *expr = cast(expr.clone(), ROUNDS).alias(name);
        }
    }
    let next = LogicalPlan::Projection(goes_on).transform_up_with_subqueries(|node| {
        let node = match &node {
            LogicalPlan::TableScan(scan) if scan.table_name.table() == query.name => {
                let scan = LogicalPlanBuilder::scan(&query.name, Arc::clone(&rows), None)?;
                Transformed::yes(scan.build()?)
            }
            _ => Transformed::no(node),
        };
        node.map_data(LogicalPlan::recompute_schema)
    })?;
    let next = settle(next.data)?;
    let name = query.name.clone();
    let query = RecursiveQuery::try_new(name, Arc::new(first), Arc::new(next), query.is_distinct)?;
    Ok(Some(LogicalPlan::RecursiveQuery(query)))
}

/// What an expression casts to a type, and its name.
fn cast_to<'a>(expr: &'a Expr, to: &DataType) -> Option<(&'a Expr, String)> {
    let name = expr.schema_name().to_string();
    let bare = match expr {
        Expr::Alias(Alias { expr, .. }) => expr.as_ref(),
        other => other,
    };
    match bare {
        Expr::Cast(Cast { expr: value, field }) if field.data_type() == to => Some((value, name)),
        _ => None,
    }
}
