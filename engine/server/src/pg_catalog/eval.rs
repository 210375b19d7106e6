//! Runs a bound catalog query: nested loops with index probes over rows in memory.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::error::{CatalogError, Result};
use super::functions;
use super::model::{CatalogModel, SessionInfo};
use super::plan::{Body, Cte, Distinct, Expr, Kind, Query, Select, SetOp, Subquery};
use super::value::{Key, Value, key};

mod aggregate;
mod expr;
mod memory;
mod order;
mod relations;

pub(crate) use expr::record;
use memory::bytes_of;
pub(crate) use order::compare_sorted;
use order::{compare_keys, compare_rows, row_key};

/// A row of a relation.
pub(crate) type Row = Arc<[Value]>;
/// Row numbers by the key of one column.
type ColumnIndex = HashMap<Key, Vec<usize>>;
/// One row per slot; `None` = not filled, or missing in an outer join.
type Tuple = Vec<Option<Row>>;

/// Most rows one statement may touch in its joins: some seconds of work.
const MAX_STEPS: u64 = 20_000_000;
/// What one round of a recursive CTE counts for: two hundred thousand rounds at most.
const ROUND_STEPS: u64 = 100;

struct Memo {
    rows: Vec<Row>,
    keys: std::cell::OnceCell<(HashSet<Key>, bool)>,
}

/// State of one execution.
pub(crate) struct Cx<'a> {
    pub(crate) model: &'a CatalogModel,
    pub(crate) session: &'a SessionInfo,
    params: &'a [Value],
    memo: RefCell<HashMap<usize, Rc<Memo>>>,
    tables: RefCell<HashMap<u32, Arc<Vec<Row>>>>,
    indexes: RefCell<HashMap<(u32, usize), Rc<ColumnIndex>>>,
    pub(crate) regexes: RefCell<HashMap<String, Rc<regex::Regex>>>,
    steps: Cell<u64>,
    /// What regular expressions took more than usual.
    pub(crate) excess: Cell<u64>,
    memory: memory::Memory,
    pub(crate) now: i64,
}

struct CteFrame<'e> {
    definitions: &'e [Cte],
    results: RefCell<Vec<Option<Rc<Vec<Row>>>>>,
}

/// One frame of an evaluation and those outside it.
#[derive(Clone, Copy)]
pub(crate) struct Env<'e> {
    tuple: &'e [Option<Row>],
    aggregates: &'e [Value],
    windows: &'e [Value],
    sets: &'e [Value],
    ctes: Option<&'e CteFrame<'e>>,
    outer: Option<&'e Env<'e>>,
}

impl<'e> Env<'e> {
    fn of_tuple(tuple: &'e [Option<Row>], outer: Option<&'e Env<'e>>) -> Self {
        Self {
            tuple,
            aggregates: &[],
            windows: &[],
            sets: &[],
            ctes: None,
            outer,
        }
    }

    fn up(&self, depth: usize) -> Option<&Env<'e>> {
        let mut env = self;
        for _ in 0..depth {
            env = env.outer?;
        }
        Some(env)
    }
}

/// A group of rows, or one row where there are none: its first row, its aggregates, and its row of the sets it is grouped by.
struct Group {
    tuple: Tuple,
    aggregates: Vec<Value>,
    sets: Vec<Value>,
}

impl Group {
    fn of_row(tuple: Tuple) -> Self {
        Self {
            tuple,
            aggregates: Vec::new(),
            sets: Vec::new(),
        }
    }

    fn env<'e>(&'e self, outer: &'e Env<'e>) -> Env<'e> {
        Env {
            aggregates: &self.aggregates,
            sets: &self.sets,
            ..Env::of_tuple(&self.tuple, Some(outer))
        }
    }
}

fn internal(what: &str) -> CatalogError {
    CatalogError::new("XX000", format!("catalog evaluator: {what}"))
}

impl<'a> Cx<'a> {
    pub(crate) fn new(
        model: &'a CatalogModel,
        session: &'a SessionInfo,
        params: &'a [Value],
    ) -> Self {
        Self {
            model,
            session,
            params,
            memo: RefCell::default(),
            tables: RefCell::default(),
            indexes: RefCell::default(),
            regexes: RefCell::default(),
            steps: Cell::new(0),
            excess: Cell::new(0),
            memory: memory::Memory::of(session),
            now: chrono::Utc::now().timestamp_micros(),
        }
    }

    /// Whether the statement is to end.
    pub(crate) fn is_cancelled(&self) -> bool {
        let cancelled = self.session.cancelled.as_ref();
        cancelled.is_some_and(|c| c.load(std::sync::atomic::Ordering::Relaxed))
    }

    /// Counts work, so that a statement ends when cancelled or when it would never end.
    pub(crate) fn step(&self) -> Result<()> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps.is_multiple_of(1024)
            && self
                .session
                .cancelled
                .as_ref()
                .is_some_and(|c| c.load(std::sync::atomic::Ordering::Relaxed))
        {
            return Err(CatalogError::new(
                "57014",
                "canceling statement due to user request",
            ));
        }
        if steps > MAX_STEPS {
            return Err(CatalogError::new(
                "54000",
                format!("catalog query touches more than {MAX_STEPS} rows"),
            )
            .hint("Name the tables or columns you want to know about."));
        }
        Ok(())
    }

    fn table(&self, oid: u32) -> Result<Arc<Vec<Row>>> {
        if let Some(rows) = self.tables.borrow().get(&oid) {
            return Ok(Arc::clone(rows));
        }
        let rows = super::tables::rows(self.model, self.session, oid)?;
        self.tables.borrow_mut().insert(oid, Arc::clone(&rows));
        Ok(rows)
    }

    fn index(&self, oid: u32, column: usize) -> Result<Rc<ColumnIndex>> {
        if let Some(index) = self.indexes.borrow().get(&(oid, column)) {
            return Ok(Rc::clone(index));
        }
        let mut index = ColumnIndex::new();
        for (i, row) in self.table(oid)?.iter().enumerate() {
            index
                .entry(row.get(column).map_or(Key::Null, key))
                .or_default()
                .push(i);
        }
        let index = Rc::new(index);
        self.indexes
            .borrow_mut()
            .insert((oid, column), Rc::clone(&index));
        Ok(index)
    }

    /// Runs a query inside the frames of `outer`.
    pub(crate) fn query(&self, query: &Query, outer: Option<&Env<'_>>) -> Result<Vec<Row>> {
        self.keeping(|| self.rows_of(query, outer))
    }

    fn rows_of(&self, query: &Query, outer: Option<&Env<'_>>) -> Result<Vec<Row>> {
        let frame = CteFrame {
            definitions: &query.ctes,
            results: RefCell::new(vec![None; query.ctes.len()]),
        };
        let env = Env {
            tuple: &[],
            aggregates: &[],
            windows: &[],
            sets: &[],
            ctes: Some(&frame),
            outer,
        };
        let limit = self.bound(query.limit.as_ref(), &env, "LIMIT")?;
        let offset = self
            .bound(query.offset.as_ref(), &env, "OFFSET")?
            .unwrap_or(0);
        if limit == Some(0) {
            return Ok(Vec::new());
        }
        let mut rows = self.body(&query.body, &env)?;
        if !query.order.is_empty() {
            rows.sort_by(|a, b| {
                query
                    .order
                    .iter()
                    .map(|(i, d)| compare_keys(&a[*i], &b[*i], d.descending, d.nulls_first))
                    .find(|o| o.is_ne())
                    .unwrap_or(Ordering::Equal)
            });
        }
        if offset > 0 {
            rows.drain(..offset.min(rows.len()));
        }
        if let Some(limit) = limit {
            rows.truncate(limit);
        }
        Ok(rows)
    }

    fn bound(&self, expr: Option<&Expr>, env: &Env<'_>, what: &str) -> Result<Option<usize>> {
        let Some(expr) = expr else { return Ok(None) };
        match self.eval(expr, env)?.as_int() {
            None => Ok(None),
            Some(n) => usize::try_from(n).map(Some).map_err(|_| {
                CatalogError::new(
                    if what == "LIMIT" { "2201W" } else { "2201X" },
                    format!("{what} must not be negative"),
                )
            }),
        }
    }

    fn body(&self, body: &Body, env: &Env<'_>) -> Result<Vec<Row>> {
        match body {
            Body::Select(select) => self.select(select, env),
            Body::Query(query) => self.query(query, Some(env)),
            Body::Values(rows) => rows
                .iter()
                .map(|row| {
                    row.iter()
                        .map(|e| self.eval(e, env))
                        .collect::<Result<Vec<_>>>()
                        .map(Row::from)
                })
                .collect(),
            Body::Set {
                op,
                all,
                left,
                right,
            } => {
                let (left, right) = (self.body(left, env)?, self.body(right, env)?);
                Ok(combine(*op, *all, left, right))
            }
        }
    }

    fn cte(&self, depth: usize, index: usize, env: &Env<'_>) -> Result<Rc<Vec<Row>>> {
        let holder = env
            .up(depth)
            .ok_or_else(|| internal("frame of a CTE is missing"))?;
        let frame = holder.ctes.ok_or_else(|| internal("frame holds no CTE"))?;
        if let Some(rows) = frame.results.borrow().get(index).and_then(Option::as_ref) {
            return Ok(Rc::clone(rows));
        }
        let cte = frame
            .definitions
            .get(index)
            .ok_or_else(|| internal("CTE is missing"))?;
        let rows = if cte.recursive {
            self.recursive(&cte.query, index, frame, holder)?
        } else {
            self.query(&cte.query, Some(holder))?
        };
        let rows = Rc::new(rows);
        frame.results.borrow_mut()[index] = Some(Rc::clone(&rows));
        Ok(rows)
    }

    fn recursive(
        &self,
        query: &Query,
        index: usize,
        frame: &CteFrame<'_>,
        holder: &Env<'_>,
    ) -> Result<Vec<Row>> {
        let Body::Set {
            all, left, right, ..
        } = &query.body
        else {
            return Err(internal("recursive CTE without UNION"));
        };
        let empty = CteFrame {
            definitions: &[],
            results: RefCell::default(),
        };
        let env = Env {
            tuple: &[],
            aggregates: &[],
            windows: &[],
            sets: &[],
            ctes: Some(&empty),
            outer: Some(holder),
        };
        let mut seen = HashSet::new();
        let mut fresh = |rows: Vec<Row>| -> Vec<Row> {
            if *all {
                rows
            } else {
                rows.into_iter()
                    .filter(|r| seen.insert(row_key(r)))
                    .collect()
            }
        };
        let mut working = fresh(self.body(left, &env)?);
        let mut rows = Vec::new();
        while !working.is_empty() {
            rows.extend(working.iter().map(Arc::clone));
            self.steps.set(self.steps.get() + ROUND_STEPS);
            for row in &working {
                self.step()?;
                self.keep(bytes_of(row))?;
            }
            frame.results.borrow_mut()[index] = Some(Rc::new(std::mem::take(&mut working)));
            let next = self.body(right, &env);
            frame.results.borrow_mut()[index] = None;
            working = fresh(next?);
        }
        Ok(rows)
    }

    fn select(&self, select: &Select, outer: &Env<'_>) -> Result<Vec<Row>> {
        let base: Tuple = vec![None; select.slots];
        // Conditions that need nothing of FROM come first: they may make it unnecessary.
        let mut tuples = self.rel(&select.from, &base, outer)?;
        for filter in &select.filters {
            let mut kept = Vec::with_capacity(tuples.len());
            for tuple in tuples {
                if self.holds(filter, &Env::of_tuple(&tuple, Some(outer)))? {
                    kept.push(tuple);
                }
            }
            tuples = kept;
        }
        let mut groups: Vec<Group> = match &select.group_by {
            None => tuples.into_iter().map(Group::of_row).collect(),
            Some(keys) => self.group(select, keys, tuples, outer)?,
        };
        if let Some(having) = &select.having {
            let mut kept = Vec::new();
            for group in groups {
                if self.holds(having, &group.env(outer))? {
                    kept.push(group);
                }
            }
            groups = kept;
        }
        let windows = self.windows(select, &groups, outer)?;
        let mut out: Vec<(Row, Vec<Value>, Vec<Value>)> = Vec::with_capacity(groups.len());
        for (i, group) in groups.iter().enumerate() {
            let window: Vec<Value> = windows.iter().map(|w| w[i].clone()).collect();
            let env = Env {
                windows: &window,
                ..group.env(outer)
            };
            self.project(select, &env, &mut out)?;
        }
        Ok(self.finish(select, out))
    }

    /// Outputs of one input row: as many rows as its set-returning functions give.
    fn project(
        &self,
        select: &Select,
        env: &Env<'_>,
        out: &mut Vec<(Row, Vec<Value>, Vec<Value>)>,
    ) -> Result<()> {
        let others: Vec<usize> = (0..select.set_returning.len())
            .filter(|set| !select.grouped_sets.contains(set))
            .collect();
        let rows = self.rows_of_sets(select, &others, env)?;
        let on: &[Expr] = match &select.distinct {
            Distinct::On(exprs) => exprs,
            Distinct::No | Distinct::All => &[],
        };
        for current in rows {
            self.step()?;
            let env = Env {
                sets: &current,
                ..*env
            };
            let row: Vec<Value> = select
                .outputs
                .iter()
                .map(|e| self.eval(e, &env))
                .collect::<Result<_>>()?;
            let keys: Vec<Value> = select
                .order
                .iter()
                .map(|k| self.eval(&k.expr, &env))
                .collect::<Result<_>>()?;
            let on: Vec<Value> = on
                .iter()
                .map(|e| self.eval(e, &env))
                .collect::<Result<_>>()?;
            self.keep(bytes_of(&row) + bytes_of(&keys) + bytes_of(&on))?;
            out.push((row.into(), keys, on));
        }
        Ok(())
    }

    /// The rows that some of a SELECT's sets give side by side, the others as they are; without any it is one row.
    pub(super) fn rows_of_sets(
        &self,
        select: &Select,
        wanted: &[usize],
        env: &Env<'_>,
    ) -> Result<Vec<Vec<Value>>> {
        let mut current = env.sets.to_vec();
        current.resize(select.set_returning.len(), Value::Null);
        let mut sets: Vec<(usize, Vec<Value>)> = Vec::new();
        for at in wanted {
            let Some(set) = select.set_returning.get(*at) else {
                continue;
            };
            // A set-returning function may take what one bound before it gives; its first row stands for it.
            let before = Env {
                sets: &current,
                ..*env
            };
            let values = self.set(set, &before)?;
            if let Some(place) = current.get_mut(*at) {
                *place = values.first().cloned().unwrap_or(Value::Null);
            }
            sets.push((*at, values));
        }
        let count = sets.iter().map(|(_, values)| values.len()).max();
        let rows = (0..count.unwrap_or(1)).map(|n| {
            let mut row = current.clone();
            for (at, values) in &sets {
                if let Some(place) = row.get_mut(*at) {
                    *place = values.get(n).cloned().unwrap_or(Value::Null);
                }
            }
            row
        });
        Ok(rows.collect())
    }

    fn finish(&self, select: &Select, mut out: Vec<(Row, Vec<Value>, Vec<Value>)>) -> Vec<Row> {
        if matches!(select.distinct, Distinct::All) {
            let mut seen = HashSet::new();
            out.retain(|(row, _, _)| seen.insert(row_key(row)));
            if select.order.is_empty() {
                // PostgreSQL's DISTINCT usually sorts; do so always.
                out.sort_by(|a, b| compare_rows(&a.0, &b.0));
            }
        }
        if !select.order.is_empty() {
            out.sort_by(|a, b| compare_sorted(&a.1, &b.1, &select.order));
        }
        if matches!(select.distinct, Distinct::On(_)) {
            let mut seen = HashSet::new();
            out.retain(|(_, _, on)| seen.insert(row_key(on)));
        }
        out.into_iter().map(|(row, _, _)| row).collect()
    }

    fn holds(&self, expr: &Expr, env: &Env<'_>) -> Result<bool> {
        Ok(self.eval(expr, env)?.as_bool() == Some(true))
    }

    /// Rows of a function in FROM or of a set-returning function in the select list.
    fn set(&self, expr: &Expr, env: &Env<'_>) -> Result<Vec<Value>> {
        match &expr.kind {
            Kind::Call { function, args } if function.set => {
                let args = args
                    .iter()
                    .map(|a| self.eval(a, env))
                    .collect::<Result<Vec<_>>>()?;
                functions::set_returning(self, function, &args, expr)
            }
            _ => Ok(vec![self.eval(expr, env)?]),
        }
    }

    fn memo(&self, subquery: &Subquery, env: &Env<'_>) -> Result<Rc<Memo>> {
        if !subquery.correlated
            && let Some(memo) = self.memo.borrow().get(&subquery.id)
        {
            return Ok(Rc::clone(memo));
        }
        let memo = Rc::new(Memo {
            rows: self.query(&subquery.query, Some(env))?,
            keys: std::cell::OnceCell::new(),
        });
        if !subquery.correlated {
            self.memo.borrow_mut().insert(subquery.id, Rc::clone(&memo));
        }
        Ok(memo)
    }
}

fn combine(op: SetOp, all: bool, left: Vec<Row>, right: Vec<Row>) -> Vec<Row> {
    if op == SetOp::Union {
        let mut rows = left;
        rows.extend(right);
        if !all {
            let mut seen = HashSet::new();
            rows.retain(|r| seen.insert(row_key(r)));
        }
        return rows;
    }
    let mut counts: HashMap<Vec<Key>, usize> = HashMap::new();
    for row in &right {
        *counts.entry(row_key(row)).or_default() += 1;
    }
    let mut seen = HashSet::new();
    left.into_iter()
        .filter(|row| {
            let k = row_key(row);
            if !all && !seen.insert(k.clone()) {
                return false;
            }
            let count = counts.entry(k).or_default();
            let present = *count > 0;
            if all && present {
                *count -= 1;
            }
            present == (op == SetOp::Intersect)
        })
        .collect()
}
