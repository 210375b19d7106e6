//! A subquery beside each row of the outer query.

use std::sync::Arc;

use datafusion::common::tree_node::{
    Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion,
};
use datafusion::common::{Column, NullEquality, NullHandling, Result, ScalarValue, UnnestOptions};
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_nested::expr_fn::cardinality;
use datafusion::functions_window::row_number::row_number_udwf;
use datafusion::logical_expr::expr::{
    AggregateFunction, AggregateFunctionParams, InSubquery, SetComparison, SetQuantifier,
    WindowFunction,
};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, FetchType, Join, JoinType, LogicalPlan, LogicalPlanBuilder,
    Projection, SkipType, SortExpr, Unnest, Window, WindowFunctionDefinition, binary_expr, lit,
    when,
};

use super::flat::{Flat, Renamed, flat};
use super::left_alone::{is_key, speaks_of_outer, speaks_of_row};
use super::single_value::single_value;
use super::{is_subquery, projected, with_columns};

/// Names that nothing else in a statement has.
#[derive(Debug, Default)]
pub(super) struct Names {
    last: usize,
}

impl Names {
    pub(super) fn next(&mut self, what: &str) -> String {
        self.last += 1;
        format!("__{what}_{}", self.last)
    }
}

/// `outer` with the value of a subquery beside each of its rows, and the expression that is this value; `None` when the
/// subquery has no such form.
pub(super) fn with_value(
    outer: &LogicalPlan,
    subquery: &Expr,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    match subquery {
        Expr::ScalarSubquery(inner) if !speaks_of_outer(&inner.subquery)? => {
            constant(outer, &inner.subquery, names).map(Some)
        }
        Expr::ScalarSubquery(inner) => {
            let Some((rows, applied)) = numbered(outer, &inner.subquery, names)? else {
                return Ok(None);
            };
            scalar(outer, &rows, applied, names).map(Some)
        }
        Expr::Exists(exists) => {
            let found = found(outer, listed_only(&exists.subquery.subquery), names)?;
            Ok(found.map(|(plan, found)| (plan, not_if(exists.negated, found))))
        }
        Expr::InSubquery(within) => is_in(outer, within, names),
        Expr::SetComparison(compared) => is_any(outer, compared, names),
        _ => Ok(None),
    }
}

fn not_if(negated: bool, expr: Expr) -> Expr {
    match negated {
        true => !expr,
        false => expr,
    }
}

/// The outer rows, and what tells them apart.
pub(super) struct Rows {
    /// The number of a row.
    pub(super) number: Expr,
    columns: Vec<Expr>,
}

/// A subquery, or a part of one, beside the outer rows.
pub(super) struct Applied {
    pub(super) plan: LogicalPlan,
    /// True in a row of the subquery; false or NULL in one that only keeps the outer row.
    pub(super) mark: Expr,
    /// The columns of the subquery.
    pub(super) columns: Vec<Expr>,
    /// The order of its rows.
    pub(super) order: Vec<SortExpr>,
    /// Whether each outer row has one row here.
    pub(super) single: bool,
}

/// A subquery beside the numbered outer rows.
pub(super) fn numbered(
    outer: &LogicalPlan,
    subquery: &LogicalPlan,
    names: &mut Names,
) -> Result<Option<(Rows, Applied)>> {
    let number = Expr::from(WindowFunction::new(
        WindowFunctionDefinition::WindowUDF(row_number_udwf()),
        Vec::new(),
    ));
    // The plain number is known as a key, and then only columns that are used are grouped by.
    let plain = number.schema_name().to_string();
    let taken = outer.schema().has_column_with_unqualified_name(&plain);
    let (number, name) = match taken {
        true => {
            let name = names.next("row");
            (number.alias(&name), name)
        }
        false => (number, plain),
    };
    let plan = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(outer.clone()))?);
    let columns = outer.schema().columns();
    let rows = Rows {
        number: Expr::Column(Column::new_unqualified(name)),
        columns: columns.into_iter().map(Expr::Column).collect(),
    };
    let mut applying = Applying {
        outer,
        start: plan,
        rows,
        names,
    };
    let applied = applying.of(subquery)?;
    Ok(applied.map(|applied| (applying.rows, applied)))
}

/// What a subquery is applied to.
pub(super) struct Applying<'a> {
    pub(super) outer: &'a LogicalPlan,
    /// The numbered outer rows.
    start: LogicalPlan,
    rows: Rows,
    pub(super) names: &'a mut Names,
}

impl Applying<'_> {
    /// A subquery, or a part of one, beside the outer rows; `None` when it has no such form.
    pub(super) fn of(&mut self, plan: &LogicalPlan) -> Result<Option<Applied>> {
        if let Some(flat) = flat(plan, self.names)? {
            return self.joined(flat);
        }
        match plan {
            LogicalPlan::Subquery(inner) => self.of(&inner.subquery),
            LogicalPlan::SubqueryAlias(inner) => self.of(&inner.input),
            LogicalPlan::Projection(node) => self.projected(node),
            LogicalPlan::Filter(node) => {
                let Some(mut inner) = self.of(&node.input)? else {
                    return Ok(None);
                };
                let condition = self.answered(&node.predicate, &node.input, &mut inner)?;
                condition
                    .map(|condition| inner.marked(condition))
                    .transpose()
            }
            LogicalPlan::Aggregate(node) => self.aggregated(node),
            LogicalPlan::Window(node) => self.windowed(node),
            LogicalPlan::Join(node) => match node.join_type {
                JoinType::LeftSemi | JoinType::LeftAnti if !node.null_aware => self.halved(node),
                _ => self.joined_with(node),
            },
            LogicalPlan::Unnest(node) => self.unnested(node),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some(inner) = self.of(input)? else {
                    return Ok(None);
                };
                let columns = inner.columns.clone();
                self.grouped(inner, columns, Vec::new()).map(Some)
            }
            LogicalPlan::Sort(node) if node.fetch.is_none() => {
                let Some(mut inner) = self.of(&node.input)? else {
                    return Ok(None);
                };
                let keys: Vec<Expr> = node.expr.iter().map(|key| key.expr.clone()).collect();
                let Some(keys) = self.over(&keys, &node.input, &inner)? else {
                    return Ok(None);
                };
                let order = node.expr.iter().zip(keys);
                inner.order = order.map(|(key, expr)| key.with_expr(expr)).collect();
                Ok(Some(inner))
            }
            LogicalPlan::Limit(node) => {
                let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
                    (node.get_skip_type()?, node.get_fetch_type()?)
                else {
                    return Ok(None);
                };
                match self.of(&node.input)? {
                    Some(inner) => self.limited(inner, skip, fetch),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// Expressions over the columns of `plan`, of which `inner` are the rows; `None` when one of them cannot be.
    fn over(
        &self,
        exprs: &[Expr],
        plan: &LogicalPlan,
        inner: &Applied,
    ) -> Result<Option<Vec<Expr>>> {
        let schema = plan.schema();
        let mut over = Vec::with_capacity(exprs.len());
        for expr in exprs {
            if expr.is_volatile() || expr.exists(|part| Ok(is_subquery(part)))? {
                return Ok(None);
            }
            let column = |column: &_| {
                let place = schema.maybe_index_of_column(column)?;
                inner.columns.get(place).cloned()
            };
            let Some(expr) = with_columns(expr, column)? else {
                return Ok(None);
            };
            let Some(expr) = with_outer(&expr, self.outer)? else {
                return Ok(None);
            };
            over.push(expr.unalias_nested().data);
        }
        Ok(Some(over))
    }

    /// A condition over the columns of `plan`, of which `inner` are the rows, with what its subqueries give beside
    /// these; `None` when a part of it cannot be.
    fn answered(
        &mut self,
        condition: &Expr,
        plan: &LogicalPlan,
        inner: &mut Applied,
    ) -> Result<Option<Expr>> {
        if !condition.exists(|part| Ok(is_subquery(part)))? {
            let over = self.over(std::slice::from_ref(condition), plan, inner)?;
            return Ok(over.and_then(|mut all| all.pop()));
        }
        // Columns within a subquery are not named anew.
        let alone = !condition.exists(|part| Ok(speaks_of_row(part)))?;
        if condition.is_volatile() || !alone {
            return Ok(None);
        }
        let schema = plan.schema();
        let column = |column: &_| {
            let place = schema.maybe_index_of_column(column)?;
            inner.columns.get(place).cloned()
        };
        let Some(condition) = with_columns(condition, column)? else {
            return Ok(None);
        };
        let Some(condition) = with_outer(&condition, self.outer)? else {
            return Ok(None);
        };
        let Some((plan, condition)) = answered(&inner.plan, &condition, self.names)? else {
            return Ok(None);
        };
        inner.plan = plan;
        Ok(Some(condition.unalias_nested().data))
    }

    fn joined(&mut self, flat: Flat) -> Result<Option<Applied>> {
        let Some(flat) = flat.renamed(self.names)? else {
            return Ok(None);
        };
        let over = |exprs: &[Expr]| -> Result<Option<Vec<Expr>>> {
            exprs
                .iter()
                .map(|expr| with_outer(expr, self.outer))
                .collect()
        };
        let (Some(mut on), Some(columns)) = (over(&flat.conditions)?, over(&flat.columns)?) else {
            return Ok(None);
        };
        if on.is_empty() {
            on.push(lit(true));
        }
        let plan =
            LogicalPlanBuilder::from(self.start.clone()).join_on(flat.rows, JoinType::Left, on)?;
        Ok(Some(Applied {
            plan: plan.build()?,
            mark: flat.any,
            columns,
            order: Vec::new(),
            single: false,
        }))
    }

    /// A join with rows that are filtered and computed beside the outer row.
    fn joined_with(&mut self, join: &Join) -> Result<Option<Applied>> {
        let plain = join.null_equality == NullEquality::NullEqualsNothing && !join.null_aware;
        let kind = join.join_type;
        let known = matches!(
            kind,
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::LeftMark
        );
        if !plain || !known {
            return Ok(None);
        }
        // Either side of an inner join may be the one that does more; of an outer one it is the side that stays.
        let right = match kind {
            JoinType::Right => None,
            _ => flat(&join.right, self.names)?,
        };
        let (flat, swapped) = match right {
            Some(right) => (right, false),
            None if matches!(kind, JoinType::Left | JoinType::LeftMark) => return Ok(None),
            None => match flat(&join.left, self.names)? {
                Some(left) => (left, true),
                None => return Ok(None),
            },
        };
        let (applied, beside) = match swapped {
            false => (&join.left, &join.right),
            true => (&join.right, &join.left),
        };
        let Some(inner) = self.of(applied)? else {
            return Ok(None);
        };
        let Some(flat) = flat.renamed(self.names)? else {
            return Ok(None);
        };
        let over = |exprs: &[Expr]| -> Result<Option<Vec<Expr>>> {
            exprs
                .iter()
                .map(|expr| with_outer(expr, self.outer))
                .collect()
        };
        let (Some(mut conditions), Some(mut flat_columns)) =
            (over(&flat.conditions)?, over(&flat.columns)?)
        else {
            return Ok(None);
        };
        let asked = flat_columns.clone();
        if matches!(kind, JoinType::Left | JoinType::Right) {
            flat.null_without(&mut flat_columns)?;
        }
        let column = |column: &Column| match applied.schema().maybe_index_of_column(column) {
            Some(place) => inner.columns.get(place).cloned(),
            None => {
                let place = beside.schema().maybe_index_of_column(column)?;
                asked.get(place).cloned()
            }
        };
        let on = join.on.iter().map(|(l, r)| l.clone().eq(r.clone()));
        for part in on.chain(join.filter.clone()) {
            let holds_subquery = part.exists(|part| Ok(is_subquery(part)))?;
            if part.is_volatile() || holds_subquery {
                return Ok(None);
            }
            let part = match with_columns(&part, column)? {
                Some(part) => with_outer(&part, self.outer)?,
                None => None,
            };
            let Some(part) = part else {
                return Ok(None);
            };
            conditions.push(part);
        }
        if conditions.is_empty() {
            conditions.push(lit(true));
        }
        // Rows that only keep the outer row stay, whatever they meet.
        let join_type = match kind {
            JoinType::LeftMark => JoinType::LeftMark,
            _ => JoinType::Left,
        };
        let plan =
            LogicalPlanBuilder::from(inner.plan).join_on(flat.rows, join_type, conditions)?;
        let plan = plan.build()?;
        let mut columns = inner.columns;
        match kind {
            JoinType::LeftMark => {
                let mark = plan.schema().columns().pop();
                columns.extend(mark.map(Expr::Column));
            }
            _ if swapped => columns.splice(0..0, flat_columns).for_each(drop),
            _ => columns.extend(flat_columns),
        }
        let joined = Applied {
            plan,
            mark: inner.mark,
            columns,
            order: Vec::new(),
            single: false,
        };
        match kind {
            JoinType::Inner => joined.marked(flat.any).map(Some),
            _ => Ok(Some(joined)),
        }
    }

    /// Items of arrays: one row of nothing stays where there are none.
    fn unnested(&mut self, node: &Unnest) -> Result<Option<Applied>> {
        let deep = node
            .list_type_columns
            .iter()
            .any(|(_, list)| list.depth != 1);
        if deep || !node.struct_type_columns.is_empty() {
            return Ok(None);
        }
        let Some(inner) = self.of(&node.input)? else {
            return Ok(None);
        };
        let is_list = |place: usize| {
            node.list_type_columns
                .iter()
                .any(|(list, _)| *list == place)
        };
        let mut list = self.rows.columns.clone();
        let mut any = None;
        let (mut arrays, mut columns) = (Vec::new(), Vec::new());
        for (place, expr) in inner.columns.into_iter().enumerate() {
            let name = self.names.next("item");
            let column = Column::new_unqualified(&name);
            if is_list(place) {
                let items = cardinality(expr.clone()).gt(lit(0_u64)).is_true();
                any = Some(any.map_or(items.clone(), |any: Expr| any.or(items)));
                arrays.push(column.clone());
            }
            columns.push(Expr::Column(column));
            list.push(expr.alias(name));
        }
        let mark = when(any.unwrap_or_else(|| lit(true)), inner.mark).end()?;
        let names = ["mark", "row"].map(|what| self.names.next(what));
        let [mark_name, row_name] = &names;
        list.push(mark.alias(mark_name));
        // Under its own name the number would be taken for a key of these rows.
        let column = |name: &String| Expr::Column(Column::new_unqualified(name));
        let number = std::mem::replace(&mut self.rows.number, column(row_name));
        list.push(number.alias(row_name));
        let options = UnnestOptions {
            null_handling: NullHandling::PreserveAndExpandEmpty,
            recursions: Vec::new(),
        };
        let plan = LogicalPlanBuilder::from(projected(inner.plan, list)?);
        let plan = plan.unnest_columns_with_options(arrays, options)?.build()?;
        let out = node.dependency_indices.iter();
        let columns = out.map(|place| columns.get(*place).cloned());
        let mark = column(mark_name);
        Ok(columns.collect::<Option<Vec<_>>>().map(|columns| Applied {
            plan,
            mark,
            columns,
            order: Vec::new(),
            single: false,
        }))
    }

    /// Window functions within the rows of each outer row.
    fn windowed(&mut self, node: &Window) -> Result<Option<Applied>> {
        let Some(inner) = self.of(&node.input)? else {
            return Ok(None);
        };
        let Some(functions) = self.over(&node.window_expr, &node.input, &inner)? else {
            return Ok(None);
        };
        let mut columns = inner.columns.clone();
        let mut named = Vec::new();
        for function in functions {
            let Expr::WindowFunction(mut function) = function else {
                return Ok(None);
            };
            let own = [self.rows.number.clone(), inner.mark.clone()];
            function.params.partition_by.splice(0..0, own);
            let name = self.names.next("place");
            columns.push(Expr::Column(Column::new_unqualified(&name)));
            named.push(Expr::WindowFunction(function).alias(name));
        }
        let plan = LogicalPlan::Window(Window::try_new(named, Arc::new(inner.plan))?);
        Ok(Some(Applied {
            plan,
            columns,
            order: Vec::new(),
            ..inner
        }))
    }

    fn projected(&mut self, node: &Projection) -> Result<Option<Applied>> {
        let Some(inner) = self.of(&node.input)? else {
            return Ok(None);
        };
        let columns = self.over(&node.expr, &node.input, &inner)?;
        Ok(columns.map(|columns| Applied { columns, ..inner }))
    }

    fn aggregated(&mut self, node: &Aggregate) -> Result<Option<Applied>> {
        if node
            .group_expr
            .iter()
            .any(|e| matches!(e, Expr::GroupingSet(_)))
        {
            return Ok(None);
        }
        let Some(inner) = self.of(&node.input)? else {
            return Ok(None);
        };
        let Some(groups) = self.over(&node.group_expr, &node.input, &inner)? else {
            return Ok(None);
        };
        let mut sums = Vec::new();
        for expr in &node.aggr_expr {
            // An aggregate of outer columns alone is one of the outer query.
            if expr.contains_outer() && !expr.any_column_refs() {
                return Ok(None);
            }
            let over = self.over(std::slice::from_ref(expr), &node.input, &inner)?;
            let Some([Expr::AggregateFunction(function)]) = over.as_deref() else {
                return Ok(None);
            };
            sums.push(inner.of_marked(function.clone()));
        }
        if !groups.is_empty() {
            return self.grouped(inner, groups, sums).map(Some);
        }
        let (plan, columns) = self.summed(inner.plan, Vec::new(), sums)?;
        Ok(Some(Applied {
            plan,
            mark: lit(true),
            columns,
            order: Vec::new(),
            single: true,
        }))
    }

    /// Rows of each outer row put together by groups.
    fn grouped(&mut self, inner: Applied, groups: Vec<Expr>, sums: Vec<Expr>) -> Result<Applied> {
        let groups = std::iter::once(inner.mark).chain(groups).collect();
        let (plan, mut columns) = self.summed(inner.plan, groups, sums)?;
        // Under its own name the number would be taken for a key of these rows.
        let name = self.names.next("row");
        let number = std::mem::replace(
            &mut self.rows.number,
            Expr::Column(Column::new_unqualified(&name)),
        );
        let kept = self.rows.columns.iter().chain(&columns).cloned();
        let kept = std::iter::once(number.alias(&name)).chain(kept);
        let plan = projected(plan, kept.collect())?;
        let mark = columns.remove(0);
        Ok(Applied {
            plan,
            mark,
            columns,
            order: Vec::new(),
            single: false,
        })
    }

    /// An aggregate by outer row and these groups; its columns beside those of the outer row.
    fn summed(
        &mut self,
        plan: LogicalPlan,
        groups: Vec<Expr>,
        sums: Vec<Expr>,
    ) -> Result<(LogicalPlan, Vec<Expr>)> {
        summed(&self.rows, plan, groups, sums, self.names)
    }

    fn limited(
        &mut self,
        inner: Applied,
        skip: usize,
        fetch: Option<usize>,
    ) -> Result<Option<Applied>> {
        if inner.single && skip == 0 && fetch != Some(0) {
            return Ok(Some(inner));
        }
        let mut number = WindowFunction::new(
            WindowFunctionDefinition::WindowUDF(row_number_udwf()),
            Vec::new(),
        );
        number.params.partition_by = vec![self.rows.number.clone(), inner.mark.clone()];
        number.params.order_by.clone_from(&inner.order);
        let name = self.names.next("place");
        let number = Expr::from(number).alias(&name);
        let place = Expr::Column(Column::new_unqualified(name));
        let plan = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(inner.plan))?);
        let bound = |rows: usize| lit(u64::try_from(rows).unwrap_or(u64::MAX));
        let mut within = place.clone().gt(bound(skip));
        if let Some(fetch) = fetch {
            within = within.and(place.lt_eq(bound(skip.saturating_add(fetch))));
        }
        Applied { plan, ..inner }.marked(within).map(Some)
    }
}

impl Applied {
    /// The same rows, of which those that fail a condition are none of the subquery.
    pub(super) fn marked(self, condition: Expr) -> Result<Self> {
        let mark = when(condition, self.mark.clone()).end()?;
        Ok(Self { mark, ..self })
    }

    /// An aggregate of the rows of the subquery alone.
    fn of_marked(&self, mut function: AggregateFunction) -> Expr {
        let params = &mut function.params;
        let follows = matches!(
            function.func.name(),
            "array_agg" | "string_agg" | "first_value" | "last_value" | "nth_value"
        );
        if follows && params.order_by.is_empty() && !params.distinct {
            params.order_by.clone_from(&self.order);
        }
        let all = matches!(&params.args[..], [Expr::Literal(value, _)] if !value.is_null());
        let is_column = matches!(self.mark, Expr::Column(_));
        if all
            && is_column
            && function.func.name() == "count"
            && !params.distinct
            && params.filter.is_none()
        {
            params.args = vec![self.mark.clone()];
            return Expr::AggregateFunction(function);
        }
        let filter = params.filter.take();
        params.filter = match (filter, &self.mark) {
            (filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _)) => filter,
            (Some(filter), mark) => Some(Box::new(mark.clone().and(*filter))),
            (None, mark) => Some(Box::new(mark.clone())),
        };
        Expr::AggregateFunction(function)
    }
}

/// An aggregate by outer row and groups, and its columns beside those of the outer row.
fn summed(
    rows: &Rows,
    plan: LogicalPlan,
    groups: Vec<Expr>,
    sums: Vec<Expr>,
    names: &mut Names,
) -> Result<(LogicalPlan, Vec<Expr>)> {
    let mut columns = Vec::new();
    let mut named = |expr: Expr| {
        let name = names.next("of");
        columns.push(Expr::Column(Column::new_unqualified(&name)));
        expr.alias(name)
    };
    let groups: Vec<Expr> = groups.into_iter().map(&mut named).collect();
    let sums: Vec<Expr> = sums.into_iter().map(&mut named).collect();
    let by = std::iter::once(&rows.number).chain(&rows.columns).cloned();
    let by = by.chain(groups).collect();
    let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(plan), by, sums)?);
    Ok((plan, columns))
}

/// `outer` with the one value of a subquery that depends on no outer row.
fn constant(
    outer: &LogicalPlan,
    subquery: &LogicalPlan,
    names: &mut Names,
) -> Result<(LogicalPlan, Expr)> {
    let columns = subquery.schema().columns();
    let value = columns.into_iter().next().map(Expr::Column);
    let value = value.unwrap_or_else(|| lit(ScalarValue::Null));
    let name = names.next("value");
    let params = vec![value];
    let one = AggregateFunction::new_udf(single_value(), params, false, None, Vec::new(), None);
    let one = Expr::AggregateFunction(one).alias(&name);
    let one = Aggregate::try_new(Arc::new(subquery.clone()), Vec::new(), vec![one])?;
    let rows = LogicalPlan::Aggregate(one);
    let plan = LogicalPlanBuilder::from(outer.clone());
    let plan = plan.join_on(rows, JoinType::Left, [lit(true)])?.build()?;
    Ok((plan, Expr::Column(Column::new_unqualified(name))))
}

/// The one value of a subquery for each outer row.
fn scalar(
    outer: &LogicalPlan,
    rows: &Rows,
    applied: Applied,
    names: &mut Names,
) -> Result<(LogicalPlan, Expr)> {
    let value = applied.columns.first().cloned();
    let value = value.unwrap_or_else(|| lit(ScalarValue::Null));
    let (plan, value) = match (applied.single, &applied.mark) {
        (true, Expr::Literal(..)) => (applied.plan, value),
        (true, mark) => {
            let value = when(mark.clone(), value).end()?;
            (applied.plan, value)
        }
        (false, _) => {
            let one = AggregateFunction::new_udf(
                single_value(),
                vec![value],
                false,
                None,
                Vec::new(),
                None,
            );
            let one = applied.of_marked(one);
            let (plan, mut columns) = summed(rows, applied.plan, Vec::new(), vec![one], names)?;
            (plan, columns.remove(0))
        }
    };
    let name = names.next("value");
    let mut columns: Vec<Expr> = outer
        .schema()
        .columns()
        .into_iter()
        .map(Expr::Column)
        .collect();
    columns.push(value.alias(&name));
    let value = Expr::Column(Column::new_unqualified(name));
    Ok((projected(plan, columns)?, value))
}

/// A subquery without what matters only when its rows are looked at.
fn listed_only(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Subquery(inner) => listed_only(&inner.subquery),
        LogicalPlan::SubqueryAlias(inner) => listed_only(&inner.input),
        LogicalPlan::Projection(inner) => listed_only(&inner.input),
        LogicalPlan::Sort(inner) if inner.fetch.is_none() => listed_only(&inner.input),
        LogicalPlan::Distinct(Distinct::All(inner)) => listed_only(inner),
        LogicalPlan::Limit(inner) => match (inner.get_skip_type(), inner.get_fetch_type()) {
            (Ok(SkipType::Literal(0)), Ok(FetchType::Literal(rows))) if rows != Some(0) => {
                listed_only(&inner.input)
            }
            _ => plan,
        },
        plan => plan,
    }
}

/// `outer` with whether a subquery has rows.
fn found(
    outer: &LogicalPlan,
    subquery: &LogicalPlan,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    if let Some(flat) = flat(subquery, names)? {
        return match flat.renamed(names)? {
            Some(flat) => matched(outer, &flat, None, names),
            None => Ok(None),
        };
    }
    let Some((rows, applied)) = numbered(outer, subquery, names)? else {
        return Ok(None);
    };
    if applied.single {
        let any = applied.mark.clone().is_true();
        let applied = Applied {
            mark: lit(true),
            columns: vec![any],
            ..applied
        };
        return scalar(outer, &rows, applied, names).map(Some);
    }
    let count = counted(&applied, None);
    let (plan, columns) = summed(&rows, applied.plan, Vec::new(), vec![count], names)?;
    let any = columns.into_iter().map(|count| count.gt(lit(0_i64)));
    let applied = Applied {
        plan,
        mark: lit(true),
        columns: any.collect(),
        order: Vec::new(),
        single: true,
    };
    scalar(outer, &rows, applied, names).map(Some)
}

/// How many rows of a subquery meet a condition.
fn counted(applied: &Applied, condition: Option<Expr>) -> Expr {
    let one = vec![lit(1_i64)];
    let function = AggregateFunction {
        func: count_udaf(),
        params: AggregateFunctionParams {
            args: one,
            distinct: false,
            filter: condition.map(Box::new),
            order_by: Vec::new(),
            null_treatment: None,
        },
    };
    applied.of_marked(function)
}

/// `outer` with whether a row matches it that also meets a condition.
fn matched(
    outer: &LogicalPlan,
    flat: &Renamed,
    also: Option<Expr>,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let name = names.next("found");
    let mut on = Vec::new();
    for condition in flat.conditions.iter().cloned().chain(also) {
        match with_outer(&condition, outer)? {
            Some(condition) => on.push(condition),
            None => return Ok(None),
        }
    }
    let mut rows = LogicalPlanBuilder::from(flat.rows.clone());
    // What says nothing of the outer row is asked once.
    let schema = outer.schema();
    let columns = on.iter().flat_map(Expr::column_refs);
    if !columns.into_iter().any(|column| schema.has_column(column)) {
        if let Some(condition) = conjunction(on.iter().cloned()) {
            rows = rows.filter(condition)?;
        }
        on.clear();
    }
    if on.is_empty() {
        rows = rows.limit(0, Some(1))?;
        on.push(lit(true));
    }
    let on: Result<Vec<Expr>> = on.iter().map(|on| flat.under(on, &name)).collect();
    let on = on?;
    // The mark has the name of its side.
    let rows = rows.alias(name.clone())?.build()?;
    let plan = LogicalPlanBuilder::from(outer.clone()).join_on(rows, JoinType::LeftMark, on)?;
    let mark = Expr::Column(Column::new(Some(name), "mark"));
    Ok(Some((plan.build()?, mark)))
}

/// `outer` with whether a value is among those of a subquery: NULL where it is not and NULL is one of them or it.
fn is_in(
    outer: &LogicalPlan,
    within: &InSubquery,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let subquery = &within.subquery.subquery;
    let Some((outer, value)) = computed(outer, &within.expr, names)? else {
        return Ok(None);
    };
    let (outer, value) = (&outer, &value);
    let Some(flat) = flat(subquery, names)? else {
        let equal = |item: Expr| value.clone().eq(item);
        return any_of_numbered(outer, subquery, equal, within.negated, names);
    };
    let Some(flat) = flat.renamed(names)? else {
        return Ok(None);
    };
    let Some(item) = flat.columns.first().cloned() else {
        return Ok(None);
    };
    let equal = value.clone().eq(item.clone());
    let Some((plan, found)) = matched(outer, &flat, Some(equal), names)? else {
        return Ok(None);
    };
    let of_rows = flat.conditions.is_empty() && !item.contains_outer();
    let null = match of_rows {
        true => {
            let rows = LogicalPlanBuilder::from(flat.rows.clone()).filter(item.is_null())?;
            let rows = rows.build()?;
            matched(
                &plan,
                &Renamed {
                    rows,
                    ..flat.clone()
                },
                None,
                names,
            )?
        }
        false => matched(&plan, &flat, Some(item.is_null()), names)?,
    };
    let Some((plan, null)) = null else {
        return Ok(None);
    };
    let Some((plan, any)) = matched(&plan, &flat, None, names)? else {
        return Ok(None);
    };
    let unknown = null.or(value.clone().is_null().and(any));
    Ok(Some((plan, answer(found, unknown, within.negated))))
}

/// `outer` with whether a value compares so with any of a subquery, or with all: no, not otherwise with any.
fn is_any(
    outer: &LogicalPlan,
    compared: &SetComparison,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let subquery = &compared.subquery.subquery;
    let Some((outer, value)) = computed(outer, &compared.expr, names)? else {
        return Ok(None);
    };
    let (outer, value) = (&outer, &value);
    let all = compared.quantifier == SetQuantifier::All;
    let holds = |item: Expr| not_if(all, binary_expr(value.clone(), compared.op, item));
    let Some(flat) = flat(subquery, names)? else {
        return any_of_numbered(outer, subquery, holds, all, names);
    };
    let Some(flat) = flat.renamed(names)? else {
        return Ok(None);
    };
    let Some(item) = flat.columns.first().cloned() else {
        return Ok(None);
    };
    let holds = holds(item);
    let Some((plan, found)) = matched(outer, &flat, Some(holds.clone()), names)? else {
        return Ok(None);
    };
    let Some((plan, unknown)) = matched(&plan, &flat, Some(holds.is_null()), names)? else {
        return Ok(None);
    };
    Ok(Some((plan, answer(found, unknown, all))))
}

/// `outer` with a value of each of its rows that may be compared with many: what subqueries give and what may be
/// another each time is computed once. `None` when the value is of another row or has no such form.
fn computed(
    outer: &LogicalPlan,
    value: &Expr,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    if value.contains_outer() {
        return Ok(None);
    }
    let Some((plan, value)) = answered(outer, value, names)? else {
        return Ok(None);
    };
    // A column stays one whatever the planner makes of what it is computed from. One that became constant would be
    // asked of the subquery's own rows, even below an aggregate of them.
    if is_key(&value) || (!value.is_volatile() && !value.any_column_refs()) {
        return Ok(Some((plan, value)));
    }
    let name = names.next("value");
    let columns = plan.schema().columns().into_iter().map(Expr::Column);
    let columns = columns.chain([value.alias(&name)]).collect();
    let column = Expr::Column(Column::new_unqualified(name));
    Ok(Some((projected(plan, columns)?, column)))
}

/// `outer` with what the subqueries of an expression give, and the expression over that; `None` when one of them has no
/// such form.
pub(super) fn answered(
    outer: &LogicalPlan,
    expr: &Expr,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let mut plan = outer.clone();
    let mut all = true;
    let answered = expr.clone().transform_down(|part| {
        if !is_subquery(&part) {
            return Ok(Transformed::no(part));
        }
        Ok(match with_value(&plan, &part, names)? {
            Some((with_value, value)) => {
                plan = with_value;
                Transformed::new(value, true, TreeNodeRecursion::Jump)
            }
            None => {
                all = false;
                Transformed::new(part, false, TreeNodeRecursion::Jump)
            }
        })
    })?;
    Ok(all.then_some((plan, answered.data)))
}

/// Three-valued: found, unknown, neither. As a CASE the planner takes it for what is never NULL.
fn answer(found: Expr, unknown: Expr, negated: bool) -> Expr {
    let null = lit(ScalarValue::Boolean(None));
    not_if(negated, found.or(unknown.and(null)))
}

/// `outer` with whether a condition holds for any row of a subquery that does more than to filter.
fn any_of_numbered(
    outer: &LogicalPlan,
    subquery: &LogicalPlan,
    holds: impl FnOnce(Expr) -> Expr,
    negated: bool,
    names: &mut Names,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let Some((rows, applied)) = numbered(outer, subquery, names)? else {
        return Ok(None);
    };
    let Some(item) = applied.columns.first().cloned() else {
        return Ok(None);
    };
    let holds = holds(item);
    let counts = [holds.clone().is_true(), holds.is_null()];
    let counts = counts.map(|condition| counted(&applied, Some(condition)));
    let (plan, counts) = summed(&rows, applied.plan, Vec::new(), counts.to_vec(), names)?;
    let [found, unknown] = &counts[..] else {
        return Ok(None);
    };
    let any = |count: &Expr| count.clone().gt(lit(0_i64));
    let applied = Applied {
        plan,
        mark: lit(true),
        columns: vec![answer(any(found), any(unknown), negated)],
        order: Vec::new(),
        single: true,
    };
    scalar(outer, &rows, applied, names).map(Some)
}

/// An expression in which columns of the outer row are columns beside others; `None` when they are of another one.
pub(super) fn with_outer(expr: &Expr, outer: &LogicalPlan) -> Result<Option<Expr>> {
    let mut all = true;
    let changed = expr.clone().transform_up(|part| {
        let Expr::OuterReferenceColumn(_, column) = part else {
            return Ok(Transformed::no(part));
        };
        all &= outer.schema().has_column(&column);
        Ok(Transformed::yes(Expr::Column(column)))
    });
    Ok(Some(changed.data()?).filter(|_| all))
}
