//! FROM: relations, index probes and joins.

use std::collections::HashMap;
use std::sync::Arc;

use super::memory::{bytes_of, of_tuple};
use super::{Cx, Env, Row, Tuple};
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::plan::{Join, JoinKind, Rel, Scan, Source};
use crate::pg_catalog::value::{Key, Value, key};

impl Cx<'_> {
    pub(super) fn rel(&self, rel: &Rel, base: &Tuple, outer: &Env<'_>) -> Result<Vec<Tuple>> {
        match rel {
            Rel::Unit => Ok(vec![base.clone()]),
            Rel::Scan(scan) => self.scan(scan, base, outer),
            Rel::Join(join) => self.join(join, base, outer),
        }
    }

    pub(super) fn scan(&self, scan: &Scan, base: &Tuple, outer: &Env<'_>) -> Result<Vec<Tuple>> {
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
            let shared = matches!(scan.source, Source::Table(_));
            let own = if shared { 0 } else { bytes_of(row) };
            self.keep(of_tuple(&tuple) + own)?;
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

    pub(super) fn join(&self, join: &Join, base: &Tuple, outer: &Env<'_>) -> Result<Vec<Tuple>> {
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
                        self.keep(of_tuple(&tuple))?;
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
                    self.keep(of_tuple(&tuple))?;
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

    pub(super) fn joins(&self, join: &Join, tuple: &Tuple, outer: &Env<'_>) -> Result<bool> {
        for condition in &join.on {
            if !self.holds(condition, &Env::of_tuple(tuple, Some(outer)))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn filtered(
        &self,
        join: &Join,
        tuples: Vec<Tuple>,
        outer: &Env<'_>,
    ) -> Result<Vec<Tuple>> {
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
}
