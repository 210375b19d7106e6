//! Runs a bound catalog query: nested loops with index probes over rows in memory.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use super::error::{CatalogError, Result};
use super::model::{CatalogModel, SessionInfo};
use super::plan::{
    Body, Cte, Distinct, Expr, Index, Join, JoinKind, Kind, Query, Rel, Scan, Select, SetOp,
    SortKey, Source, Subquery,
};
use super::value::{ArrayValue, Key, RecordValue, Value, compare, key};
use super::{convert, functions, operators};

mod aggregate;

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
            now: chrono::Utc::now().timestamp_micros(),
        }
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
            for _ in &working {
                self.step()?;
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
        let mut groups: Vec<(Tuple, Vec<Value>)> = match &select.group_by {
            None => tuples.into_iter().map(|t| (t, Vec::new())).collect(),
            Some(keys) => self.group(select, keys, tuples, outer)?,
        };
        if let Some(having) = &select.having {
            let mut kept = Vec::new();
            for (tuple, aggregates) in groups {
                if self.holds(
                    having,
                    &Env {
                        aggregates: &aggregates,
                        ..Env::of_tuple(&tuple, Some(outer))
                    },
                )? {
                    kept.push((tuple, aggregates));
                }
            }
            groups = kept;
        }
        let windows = self.windows(select, &groups, outer)?;
        let mut out: Vec<(Row, Vec<Value>, Vec<Value>)> = Vec::with_capacity(groups.len());
        for (i, (tuple, aggregates)) in groups.iter().enumerate() {
            let window: Vec<Value> = windows.iter().map(|w| w[i].clone()).collect();
            let env = Env {
                aggregates,
                windows: &window,
                ..Env::of_tuple(tuple, Some(outer))
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
        let mut sets: Vec<Vec<Value>> = Vec::new();
        for (i, set) in select.set_returning.iter().enumerate() {
            // A set-returning function may take what one bound before it gives; its first row stands for it.
            let before: Vec<Value> = sets[..i]
                .iter()
                .map(|s| s.first().cloned().unwrap_or(Value::Null))
                .collect();
            sets.push(self.set(
                set,
                &Env {
                    sets: &before,
                    ..*env
                },
            )?);
        }
        let count = if sets.is_empty() {
            1
        } else {
            sets.iter().map(Vec::len).max().unwrap_or(0)
        };
        let on: &[Expr] = match &select.distinct {
            Distinct::On(exprs) => exprs,
            Distinct::No | Distinct::All => &[],
        };
        for n in 0..count {
            self.step()?;
            let current: Vec<Value> = sets
                .iter()
                .map(|s| s.get(n).cloned().unwrap_or(Value::Null))
                .collect();
            let env = Env {
                sets: &current,
                ..*env
            };
            let row: Vec<Value> = select
                .outputs
                .iter()
                .map(|e| self.eval(e, &env))
                .collect::<Result<_>>()?;
            let keys = select
                .order
                .iter()
                .map(|k| self.eval(&k.expr, &env))
                .collect::<Result<_>>()?;
            let on = on
                .iter()
                .map(|e| self.eval(e, &env))
                .collect::<Result<_>>()?;
            out.push((row.into(), keys, on));
        }
        Ok(())
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

    fn rel(&self, rel: &Rel, base: &Tuple, outer: &Env<'_>) -> Result<Vec<Tuple>> {
        match rel {
            Rel::Unit => Ok(vec![base.clone()]),
            Rel::Scan(scan) => self.scan(scan, base, outer),
            Rel::Join(join) => self.join(join, base, outer),
        }
    }

    fn scan(&self, scan: &Scan, base: &Tuple, outer: &Env<'_>) -> Result<Vec<Tuple>> {
        let mut out = Vec::new();
        let mut add = |row: &Row| -> Result<()> {
            self.step()?;
            let mut tuple = base.clone();
            tuple[scan.slot] = Some(Arc::clone(row));
            for filter in &scan.filters {
                if !self.holds(filter, &Env::of_tuple(&tuple, Some(outer)))? {
                    return Ok(());
                }
            }
            out.push(tuple);
            Ok(())
        };
        let env = Env::of_tuple(base, Some(outer));
        match &scan.source {
            Source::Table(oid) => {
                let rows = self.table(*oid)?;
                match &scan.probe {
                    Some((column, expr)) => {
                        let wanted = self.eval(expr, &env)?;
                        if !wanted.is_null() {
                            let index = self.index(*oid, *column)?;
                            for i in index.get(&key(&wanted)).into_iter().flatten() {
                                add(&rows[*i])?;
                            }
                        }
                    }
                    None => rows.iter().try_for_each(&mut add)?,
                }
            }
            Source::Query(query) => self
                .query(query, Some(&env))?
                .iter()
                .try_for_each(&mut add)?,
            Source::Cte { depth, index } => self
                .cte(*depth, *index, &env)?
                .iter()
                .try_for_each(&mut add)?,
            Source::Functions { calls, ordinality } => {
                let mut columns: Vec<(Vec<Value>, usize, bool)> = Vec::new();
                for call in calls {
                    columns.push((self.set(&call.expr, &env)?, call.width, call.spread));
                }
                let count = columns.iter().map(|c| c.0.len()).max().unwrap_or(0);
                for n in 0..count {
                    let mut row = Vec::new();
                    for (values, width, spread) in &columns {
                        match values.get(n) {
                            Some(Value::Record(record)) if *spread => {
                                row.extend(record.values.iter().take(*width).cloned())
                            }
                            Some(value) if !spread => row.push(value.clone()),
                            _ => row.extend(std::iter::repeat_n(Value::Null, *width)),
                        }
                    }
                    if *ordinality {
                        row.push(Value::Int(i64::try_from(n).unwrap_or(0) + 1));
                    }
                    add(&row.into())?;
                }
            }
        }
        Ok(out)
    }

    fn join(&self, join: &Join, base: &Tuple, outer: &Env<'_>) -> Result<Vec<Tuple>> {
        let lefts = self.rel(&join.left, base, outer)?;
        let mut out = Vec::new();
        if join.lateral {
            if join.kind == JoinKind::Full {
                return Err(CatalogError::new(
                    "0A000",
                    "FULL JOIN is only supported with conditions on both sides alone",
                ));
            }
            for left in lefts {
                let mut matched = false;
                for tuple in self.rel(&join.right, &left, outer)? {
                    if self.joins(join, &tuple, outer)? {
                        matched = true;
                        out.push(tuple);
                    }
                }
                if !matched && join.kind == JoinKind::Left {
                    out.push(left);
                }
            }
            return self.filtered(join, out, outer);
        }
        if lefts.is_empty() && join.kind != JoinKind::Full {
            return Ok(out);
        }
        let rights = self.rel(&join.right, base, outer)?;
        let mut slots = Vec::new();
        join.right.slots(&mut slots);
        let hashed = match &join.hash {
            None => None,
            Some((_, right_key)) => {
                let mut hashed: HashMap<Key, Vec<usize>> = HashMap::new();
                for (i, right) in rights.iter().enumerate() {
                    let value = self.eval(right_key, &Env::of_tuple(right, Some(outer)))?;
                    if !value.is_null() {
                        hashed.entry(key(&value)).or_default().push(i);
                    }
                }
                Some(hashed)
            }
        };
        let everything: Vec<usize> = if hashed.is_none() {
            (0..rights.len()).collect()
        } else {
            Vec::new()
        };
        let mut used = vec![false; rights.len()];
        for left in lefts {
            let candidates: &[usize] = match (&hashed, &join.hash) {
                (Some(hashed), Some((left_key, _))) => {
                    let value = self.eval(left_key, &Env::of_tuple(&left, Some(outer)))?;
                    if value.is_null() {
                        &[]
                    } else {
                        hashed.get(&key(&value)).map_or(&[], Vec::as_slice)
                    }
                }
                _ => &everything,
            };
            let mut matched = false;
            for i in candidates {
                self.step()?;
                let mut tuple = left.clone();
                for slot in &slots {
                    tuple[*slot] = rights[*i][*slot].clone();
                }
                if self.joins(join, &tuple, outer)? {
                    matched = true;
                    used[*i] = true;
                    out.push(tuple);
                }
            }
            if !matched && join.kind != JoinKind::Inner {
                out.push(left);
            }
        }
        if join.kind == JoinKind::Full {
            out.extend(
                rights
                    .into_iter()
                    .zip(used)
                    .filter(|(_, used)| !used)
                    .map(|(r, _)| r),
            );
        }
        self.filtered(join, out, outer)
    }

    fn joins(&self, join: &Join, tuple: &Tuple, outer: &Env<'_>) -> Result<bool> {
        for condition in &join.on {
            if !self.holds(condition, &Env::of_tuple(tuple, Some(outer)))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn filtered(&self, join: &Join, tuples: Vec<Tuple>, outer: &Env<'_>) -> Result<Vec<Tuple>> {
        if join.filters.is_empty() {
            return Ok(tuples);
        }
        let mut kept = Vec::with_capacity(tuples.len());
        'tuples: for tuple in tuples {
            for filter in &join.filters {
                if !self.holds(filter, &Env::of_tuple(&tuple, Some(outer)))? {
                    continue 'tuples;
                }
            }
            kept.push(tuple);
        }
        Ok(kept)
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

    /// Evaluates an expression in a frame.
    #[expect(clippy::too_many_lines, reason = "one arm per kind of expression")]
    pub(crate) fn eval(&self, expr: &Expr, env: &Env<'_>) -> Result<Value> {
        Ok(match &expr.kind {
            Kind::Const(value) => value.clone(),
            Kind::Param(i) => self.params.get(*i).cloned().ok_or_else(|| {
                CatalogError::new("08P01", format!("no value for parameter ${}", i + 1))
            })?,
            Kind::Column { depth, slot, col } => {
                let frame = env.up(*depth).ok_or_else(|| internal("frame is missing"))?;
                match frame.tuple.get(*slot).and_then(Option::as_ref) {
                    Some(row) => row.get(*col).cloned().unwrap_or(Value::Null),
                    None => Value::Null,
                }
            }
            Kind::WholeRow { depth, slot } => {
                let frame = env.up(*depth).ok_or_else(|| internal("frame is missing"))?;
                match frame.tuple.get(*slot).and_then(Option::as_ref) {
                    Some(row) => record(expr, row.to_vec()),
                    None => Value::Null,
                }
            }
            Kind::Aggregate(i) => env
                .aggregates
                .get(*i)
                .cloned()
                .ok_or_else(|| internal("aggregate is missing"))?,
            Kind::Window(i) => env
                .windows
                .get(*i)
                .cloned()
                .ok_or_else(|| internal("window is missing"))?,
            Kind::SetReturning(i) => env
                .sets
                .get(*i)
                .cloned()
                .ok_or_else(|| internal("set is missing"))?,
            Kind::And(a, b) => match self.eval(a, env)?.as_bool() {
                Some(false) => Value::Bool(false),
                a => match (a, self.eval(b, env)?.as_bool()) {
                    (_, Some(false)) => Value::Bool(false),
                    (Some(_), Some(_)) => Value::Bool(true),
                    _ => Value::Null,
                },
            },
            Kind::Or(a, b) => match self.eval(a, env)?.as_bool() {
                Some(true) => Value::Bool(true),
                a => match (a, self.eval(b, env)?.as_bool()) {
                    (_, Some(true)) => Value::Bool(true),
                    (Some(_), Some(_)) => Value::Bool(false),
                    _ => Value::Null,
                },
            },
            Kind::Not(e) => self
                .eval(e, env)?
                .as_bool()
                .map_or(Value::Null, |b| Value::Bool(!b)),
            Kind::IsNull(e, negated) => {
                let value = self.eval(e, env)?;
                let null = match &value {
                    // A row is null when all fields are, not null when none is.
                    Value::Record(r) if *negated => {
                        return Ok(Value::Bool(r.values.iter().all(|v| !v.is_null())));
                    }
                    Value::Record(r) => r.values.iter().all(Value::is_null),
                    other => other.is_null(),
                };
                Value::Bool(null != *negated)
            }
            Kind::IsTruth(e, wanted, negated) => {
                Value::Bool((self.eval(e, env)?.as_bool() == *wanted) != *negated)
            }
            Kind::IsDistinct(a, b, negated) => {
                let (a, b) = (self.eval(a, env)?, self.eval(b, env)?);
                let same = (a.is_null() && b.is_null())
                    || (!a.is_null() && !b.is_null() && compare(&a, &b).is_eq());
                Value::Bool(same == *negated)
            }
            Kind::Operator { name, args } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    values.push(self.eval(arg, env)?);
                }
                operators::apply(self, name, &values, args, expr.ty)?
            }
            Kind::Call { function, args } => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    let value = self.eval(arg, env)?;
                    if function.strict && value.is_null() {
                        return Ok(Value::Null);
                    }
                    values.push(value);
                }
                if function.set {
                    return Ok(functions::set_returning(self, function, &values, expr)?
                        .into_iter()
                        .next()
                        .unwrap_or(Value::Null));
                }
                functions::call(self, function, &values, args, expr)?
            }
            Kind::Cast { input, explicit } => {
                let value = self.eval(input, env)?;
                convert::cast(
                    self.model,
                    self.session,
                    value,
                    input.ty,
                    expr.ty,
                    expr.typmod,
                    *explicit,
                )?
            }
            Kind::Case { whens, otherwise } => {
                for (condition, result) in whens {
                    if self.holds(condition, env)? {
                        return self.eval(result, env);
                    }
                }
                match otherwise {
                    Some(otherwise) => self.eval(otherwise, env)?,
                    None => Value::Null,
                }
            }
            Kind::Coalesce(items) => {
                for item in items {
                    let value = self.eval(item, env)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Value::Null
            }
            Kind::NullIf(equal, value) => {
                if self.holds(equal, env)? {
                    Value::Null
                } else {
                    self.eval(value, env)?
                }
            }
            Kind::Extreme { items, greatest } => {
                let wanted = if *greatest {
                    Ordering::Greater
                } else {
                    Ordering::Less
                };
                let mut best = Value::Null;
                for item in items {
                    let value = self.eval(item, env)?;
                    if !value.is_null() && (best.is_null() || compare(&value, &best) == wanted) {
                        best = value;
                    }
                }
                best
            }
            Kind::InList {
                input,
                items,
                negated,
            } => {
                let value = self.eval(input, env)?;
                let mut unknown = value.is_null();
                let mut found = false;
                if !unknown {
                    for item in items {
                        let item = self.eval(item, env)?;
                        if item.is_null() {
                            unknown = true;
                        } else if compare(&value, &item).is_eq() {
                            found = true;
                            break;
                        }
                    }
                }
                match (found, unknown) {
                    (true, _) => Value::Bool(!negated),
                    (false, true) => Value::Null,
                    (false, false) => Value::Bool(*negated),
                }
            }
            Kind::Quantified {
                left,
                operator,
                right,
                all,
            } => {
                let (value, array) = (self.eval(left, env)?, self.eval(right, env)?);
                let Some(array) = array.as_array() else {
                    return Ok(Value::Null);
                };
                let element = Expr::constant(Value::Null, array.element);
                let args = [left.as_ref().clone(), element];
                let answers = array.items.iter().map(|item| {
                    if operator == "=" && !value.is_null() && !item.is_null() {
                        Ok(Value::Bool(compare(&value, item).is_eq()))
                    } else {
                        operators::apply(
                            self,
                            operator,
                            &[value.clone(), item.clone()],
                            &args,
                            expr.ty,
                        )
                    }
                });
                quantify(answers, *all)?
            }
            Kind::InSubquery {
                left,
                operator,
                subquery,
                all,
            } => self.in_subquery(left, operator, subquery, *all, env)?,
            Kind::Exists(subquery) => Value::Bool(!self.memo(subquery, env)?.rows.is_empty()),
            Kind::Scalar(subquery) => {
                let memo = self.memo(subquery, env)?;
                if memo.rows.len() > 1 {
                    return Err(CatalogError::new(
                        "21000",
                        "more than one row returned by a subquery used as an expression",
                    ));
                }
                memo.rows
                    .first()
                    .and_then(|r| r.first())
                    .cloned()
                    .unwrap_or(Value::Null)
            }
            Kind::ArraySubquery(subquery) => {
                let memo = self.memo(subquery, env)?;
                let items: Vec<Value> = memo
                    .rows
                    .iter()
                    .filter_map(|r| r.first())
                    .cloned()
                    .collect();
                let column = subquery.query.columns.first().map_or(0, |c| c.ty);
                if column == expr.ty {
                    nested_array(items)
                } else {
                    Value::array(column, items)
                }
            }
            Kind::Array { items, nested } => {
                let values = items
                    .iter()
                    .map(|e| self.eval(e, env))
                    .collect::<Result<Vec<_>>>()?;
                if *nested {
                    nested_array(values)
                } else {
                    Value::array(super::value::element_type(expr.ty).unwrap_or(0), values)
                }
            }
            Kind::Row(items) => {
                let values = items
                    .iter()
                    .map(|e| self.eval(e, env))
                    .collect::<Result<Vec<_>>>()?;
                record(expr, values)
            }
            Kind::Subscript { input, indexes } => {
                let input = self.eval(input, env)?;
                self.subscript(&input, indexes, env)?
            }
            Kind::Field { input, index } => match self.eval(input, env)? {
                Value::Record(record) => record.values.get(*index).cloned().unwrap_or(Value::Null),
                _ => Value::Null,
            },
            Kind::Like {
                input,
                pattern,
                escape,
                insensitive,
                similar,
            } => {
                let (input, pattern) = (self.eval(input, env)?, self.eval(pattern, env)?);
                match (input.as_str(), pattern.as_str()) {
                    (Some(input), Some(pattern)) => Value::Bool(operators::like(
                        self,
                        input,
                        pattern,
                        *escape,
                        *insensitive,
                        *similar,
                    )?),
                    _ => Value::Null,
                }
            }
        })
    }

    fn in_subquery(
        &self,
        left: &[Expr],
        operator: &str,
        subquery: &Subquery,
        all: bool,
        env: &Env<'_>,
    ) -> Result<Value> {
        let values = left
            .iter()
            .map(|e| self.eval(e, env))
            .collect::<Result<Vec<_>>>()?;
        let memo = self.memo(subquery, env)?;
        if let ([value], "=", false, false) =
            (values.as_slice(), operator, all, subquery.correlated)
        {
            if memo.rows.is_empty() {
                return Ok(Value::Bool(false));
            }
            let (keys, has_null) = memo.keys.get_or_init(|| {
                let keys: HashSet<Key> = memo
                    .rows
                    .iter()
                    .filter_map(|r| r.first())
                    .map(key)
                    .collect();
                let has_null = keys.contains(&Key::Null);
                (keys, has_null)
            });
            return Ok(
                match (value.is_null(), keys.contains(&key(value)), has_null) {
                    (true, _, _) => Value::Null,
                    (false, true, _) => Value::Bool(true),
                    (false, false, true) => Value::Null,
                    (false, false, false) => Value::Bool(false),
                },
            );
        }
        let answers = memo.rows.iter().map(|row| -> Result<Value> {
            let mut answer = Value::Bool(true);
            for ((value, item), expr) in values.iter().zip(row.iter()).zip(left) {
                let args = [expr.clone(), expr.clone()];
                match operators::apply(
                    self,
                    operator,
                    &[value.clone(), item.clone()],
                    &args,
                    crate::pg_types::oid::BOOL,
                )? {
                    Value::Bool(true) => {}
                    Value::Bool(false) => return Ok(Value::Bool(false)),
                    _ => answer = Value::Null,
                }
            }
            Ok(answer)
        });
        quantify(answers, all)
    }

    fn subscript(&self, input: &Value, indexes: &[Index], env: &Env<'_>) -> Result<Value> {
        let Some(array) = input.as_array() else {
            return Ok(Value::Null);
        };
        let slice = indexes.iter().any(|i| matches!(i, Index::Slice(..)));
        let mut bounds = Vec::new();
        for (i, index) in indexes.iter().enumerate() {
            let (len, lower) = array.dims.get(i).copied().unwrap_or((0, 1));
            let number = |e: &Expr| -> Result<Option<i64>> { Ok(self.eval(e, env)?.as_int()) };
            let (from, to) = match index {
                Index::At(e) => match number(e)? {
                    Some(n) if slice => (1, n),
                    Some(n) => (n, n),
                    None => return Ok(Value::Null),
                },
                Index::Slice(a, b) => {
                    let from = match a {
                        Some(e) => number(e)?,
                        None => Some(i64::from(lower)),
                    };
                    let to = match b {
                        Some(e) => number(e)?,
                        None => Some(i64::from(lower) + i64::from(len) - 1),
                    };
                    match (from, to) {
                        (Some(a), Some(b)) => (a, b),
                        _ => return Ok(Value::Null),
                    }
                }
            };
            bounds.push((from - i64::from(lower), to - i64::from(lower)));
        }
        Ok(take_slice(array, &bounds, slice))
    }
}

fn take_slice(array: &ArrayValue, bounds: &[(i64, i64)], slice: bool) -> Value {
    if !slice {
        if bounds.len() != array.dims.len() {
            return Value::Null;
        }
        let mut at = 0i64;
        for ((from, _), (len, _)) in bounds.iter().zip(&array.dims) {
            if *from < 0 || *from >= i64::from(*len) {
                return Value::Null;
            }
            at = at * i64::from(*len) + from;
        }
        return usize::try_from(at)
            .ok()
            .and_then(|i| array.items.get(i))
            .cloned()
            .unwrap_or(Value::Null);
    }
    let inner: i64 = array.dims.iter().skip(1).map(|d| i64::from(d.0)).product();
    let Some((len, _)) = array.dims.first() else {
        return Value::array(array.element, Vec::new());
    };
    let (from, to) = bounds.first().copied().unwrap_or((0, -1));
    let (from, to) = (from.max(0), to.min(i64::from(*len) - 1));
    if from > to {
        return Value::array(array.element, Vec::new());
    }
    let range = |n: i64| usize::try_from(n * inner).unwrap_or(0);
    let items = array.items[range(from)..range(to + 1).min(array.items.len())].to_vec();
    let mut dims = vec![(i32::try_from(to - from + 1).unwrap_or(0), 1)];
    dims.extend(array.dims.iter().skip(1).map(|d| (d.0, 1)));
    Value::Array(Arc::new(ArrayValue {
        element: array.element,
        dims,
        items,
    }))
}

/// An array of arrays.
fn nested_array(values: Vec<Value>) -> Value {
    let inner: Vec<Arc<ArrayValue>> = values
        .into_iter()
        .filter_map(|v| match v {
            Value::Array(a) => Some(a),
            _ => None,
        })
        .collect();
    let Some(first) = inner.first() else {
        return Value::array(0, Vec::new());
    };
    let mut dims = vec![(i32::try_from(inner.len()).unwrap_or(0), 1)];
    dims.extend(first.dims.iter().copied());
    let items = inner.iter().flat_map(|a| a.items.iter().cloned()).collect();
    Value::Array(Arc::new(ArrayValue {
        element: first.element,
        dims,
        items,
    }))
}

fn quantify(answers: impl Iterator<Item = Result<Value>>, all: bool) -> Result<Value> {
    let mut unknown = false;
    for answer in answers {
        match answer?.as_bool() {
            Some(b) if b != all => return Ok(Value::Bool(b)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown {
        Value::Null
    } else {
        Value::Bool(all)
    })
}

/// A record with the field names and types of an expression.
pub(crate) fn record(expr: &Expr, values: Vec<Value>) -> Value {
    let (names, types) = match &expr.fields {
        Some(fields) => fields
            .iter()
            .map(|(n, t)| (Arc::from(n.as_str()), *t))
            .unzip(),
        None => (Vec::new(), Vec::new()),
    };
    Value::Record(Arc::new(RecordValue {
        names,
        types,
        values,
    }))
}

fn row_key(row: &[Value]) -> Vec<Key> {
    row.iter().map(key).collect()
}

fn compare_rows(a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .map(|(a, b)| compare_keys(a, b, false, false))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn compare_keys(a: &Value, b: &Value, descending: bool, nulls_first: bool) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (true, true) => Ordering::Equal,
        (true, false) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (false, true) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        (false, false) => {
            if descending {
                compare(b, a)
            } else {
                compare(a, b)
            }
        }
    }
}

/// Orders two lists of sort key values.
pub(crate) fn compare_sorted(a: &[Value], b: &[Value], keys: &[SortKey]) -> Ordering {
    a.iter()
        .zip(b)
        .zip(keys)
        .map(|((a, b), k)| compare_keys(a, b, k.direction.descending, k.direction.nulls_first))
        .find(|o| o.is_ne())
        .unwrap_or(Ordering::Equal)
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
