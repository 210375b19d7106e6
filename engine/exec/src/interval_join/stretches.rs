//! Rows that lie in one of many stretches, by binary search: what the scan of the probe side judges every row by.
//!
//! A chain of comparisons says the same and costs their number for each row; statistics of row groups and pages are
//! judged by that chain, see [`Stretches::alternatives`].

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, BooleanBuilder, RecordBatch};
use arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, Literal};
use datafusion::physical_expr::utils::conjunction;

type Expr = Arc<dyn PhysicalExpr>;

/// Stretches of rows that satisfy a key.
#[derive(Clone, Debug, Eq)]
pub(super) struct Group {
    /// Judged first; every row without one.
    pub(super) key: Option<Expr>,
    /// Columns of the row's first and last base: integers of one type.
    pub(super) start: Expr,
    pub(super) end: Expr,
    /// (first, last), both rising: see [`joined`].
    pub(super) stretches: Vec<(i64, i64)>,
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
            && *self.start == *other.start
            && *self.end == *other.end
            && self.stretches == other.stretches
    }
}

impl Hash for Group {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.key, &self.start, &self.end, &self.stretches).hash(state);
    }
}

/// Stretches that hold all of `spans`, which come by rising start: those that touch as one, and none for a span that
/// lies behind the end of one before it. So the ends rise as the starts do, which a search by halves needs.
///
/// A span may end before it starts, as the ends of containment (`a.pos <= b.pos AND a.end_pos >= b.end_pos`) do; what
/// begins later and ends sooner than another matches no row that the other does not match.
pub(super) fn joined(spans: impl Iterator<Item = (i64, i64)>) -> Vec<(i64, i64)> {
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (start, end) in spans {
        match joined.last_mut() {
            Some((_, last)) if end <= *last => {}
            Some((_, last)) if start <= *last => *last = end,
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// True of rows that share a base with a stretch of any group; NULL columns share none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stretches {
    groups: Vec<Group>,
}

impl Stretches {
    pub(super) fn new(groups: Vec<Group>) -> Self {
        Self { groups }
    }

    /// Comparisons of columns with constants, of which a row must satisfy one.
    pub(crate) fn alternatives(&self, schema: &Schema) -> Result<Vec<Expr>> {
        let mut all = Vec::new();
        for group in &self.groups {
            let kind = group.start.data_type(schema)?;
            for (first, last) in &group.stretches {
                let start = compared(&group.start, Operator::LtEq, *last, &kind)?;
                let end = compared(&group.end, Operator::GtEq, *first, &kind)?;
                all.push(conjunction(group.key.iter().cloned().chain([start, end])));
            }
        }
        Ok(all)
    }
}

/// Of a bound beyond the type the nearest value of the type: the comparison is as true of every row, or the row is
/// judged again by the join.
fn compared(column: &Expr, op: Operator, value: i64, kind: &DataType) -> Result<Expr> {
    let literal = match kind {
        DataType::Int32 => {
            let value = value.clamp(i64::from(i32::MIN), i64::from(i32::MAX));
            ScalarValue::Int32(i32::try_from(value).ok())
        }
        DataType::Int64 => ScalarValue::Int64(Some(value)),
        other => {
            return Err(DataFusionError::Internal(format!("stretches of {other}")));
        }
    };
    let literal = Arc::new(Literal::new(literal));
    Ok(Arc::new(BinaryExpr::new(Arc::clone(column), op, literal)))
}

impl fmt::Display for Stretches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, group) in self.groups.iter().enumerate() {
            if place > 0 {
                f.write_str(" OR ")?;
            }
            if let Some(key) = &group.key {
                write!(f, "{key} AND ")?;
            }
            f.write_str("(")?;
            for (place, (first, last)) in group.stretches.iter().enumerate() {
                let or = if place > 0 { " OR " } else { "" };
                let (start, end) = (&group.start, &group.end);
                write!(f, "{or}{start} <= {last} AND {end} >= {first}")?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl PhysicalExpr for Stretches {
    fn data_type(&self, _input_schema: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _input_schema: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let mut any: Option<BooleanArray> = None;
        for group in &self.groups {
            let within = group.evaluate(batch)?;
            any = Some(match any {
                Some(any) => arrow::compute::or(&any, &within)?,
                None => within,
            });
        }
        let any = any.unwrap_or_else(|| BooleanArray::from(vec![false; rows]));
        Ok(ColumnarValue::Array(Arc::new(any)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        let mut children = Vec::new();
        for group in &self.groups {
            children.extend(group.key.iter());
            children.extend([&group.start, &group.end]);
        }
        children
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let mut children = children.into_iter();
        let mut next = || {
            let missing = || DataFusionError::Internal("stretches without a child".to_owned());
            children.next().ok_or_else(missing)
        };
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            groups.push(Group {
                key: group.key.as_ref().map(|_| next()).transpose()?,
                start: next()?,
                end: next()?,
                stretches: group.stretches.clone(),
            });
        }
        Ok(Arc::new(Self { groups }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Group {
    fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let rows = batch.num_rows();
        let integers = |column: &Expr| -> Result<ArrayRef> {
            let array = column.evaluate(batch)?.into_array(rows)?;
            Ok(arrow::compute::cast(&array, &DataType::Int64)?)
        };
        let (starts, ends) = (integers(&self.start)?, integers(&self.end)?);
        let (starts, ends) = (
            starts.as_primitive::<Int64Type>(),
            ends.as_primitive::<Int64Type>(),
        );
        let mut within = BooleanBuilder::with_capacity(rows);
        // Most often the next row lies where the last one did, or just behind.
        let mut at = 0usize;
        for row in 0..rows {
            let (start, end) = (starts.value(row), ends.value(row));
            let ended =
                |stretch: Option<&(i64, i64)>| stretch.is_some_and(|(_, last)| *last < start);
            let before = at
                .checked_sub(1)
                .and_then(|before| self.stretches.get(before));
            if ended(self.stretches.get(at)) || (at > 0 && !ended(before)) {
                at = self.stretches.partition_point(|(_, last)| *last < start);
            }
            let begun = self
                .stretches
                .get(at)
                .is_some_and(|(first, _)| *first <= end);
            within.append_value(begun && starts.is_valid(row) && ends.is_valid(row));
        }
        let within = within.finish();
        let Some(key) = &self.key else {
            return Ok(within);
        };
        let key = key.evaluate(batch)?.into_array(rows)?;
        let key = key.as_boolean();
        let key = match key.nulls() {
            Some(_) => arrow::compute::prep_null_mask_filter(key),
            None => key.clone(),
        };
        Ok(arrow::compute::and(&within, &key)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use arrow::array::{Int32Array, Int64Array, StringArray};
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{Column, col, lit};
    use rand::rngs::StdRng;
    use rand::{Rng as _, SeedableRng as _};

    /// Whatever way spans and rows lie, no row is left out that matches a span.
    #[test]
    fn no_row_that_matches_is_left_out() {
        let mut rng = StdRng::seed_from_u64(7);
        let mut found = 0;
        for _ in 0..2_000 {
            let mut any = |n: usize| -> Vec<(i64, i64)> {
                let reach = [3, 30, 120][rng.random_range(0..3)];
                let span = |_| {
                    let start = rng.random_range(0..200);
                    (start, start + rng.random_range(-reach..=reach))
                };
                (0..n).map(span).collect()
            };
            let (mut spans, rows) = (any(12), any(20));
            spans.sort_unstable();
            let column = |name: &str, place: usize| Arc::new(Column::new(name, place)) as Expr;
            let group = Group {
                key: None,
                start: column("start", 0),
                end: column("end", 1),
                stretches: joined(spans.iter().copied()),
            };
            let fields = ["start", "end"].map(|name| Field::new(name, DataType::Int64, false));
            let array = |of: fn(&(i64, i64)) -> i64| -> ArrayRef {
                Arc::new(rows.iter().map(of).collect::<Int64Array>())
            };
            let batch = RecordBatch::try_new(
                Arc::new(Schema::new(fields.to_vec())),
                vec![array(|row| row.0), array(|row| row.1)],
            )
            .unwrap();
            let within = group.evaluate(&batch).unwrap();
            for (place, row) in rows.iter().enumerate() {
                let matches = spans.iter().any(|span| span.0 <= row.1 && span.1 >= row.0);
                found += usize::from(matches);
                assert!(within.value(place) || !matches, "{row:?} of {spans:?}");
            }
        }
        assert!(found > 10_000, "{found} rows match");
    }

    /// Every row is judged as by the chain of comparisons, in any order of rows.
    #[test]
    fn rows_are_judged_as_by_comparisons() {
        let schema = Arc::new(Schema::new(vec![
            Field::new("contig", DataType::Utf8, true),
            Field::new("pos", DataType::Int32, true),
            Field::new("end_pos", DataType::Int32, true),
        ]));
        let mut contigs = Vec::new();
        let (mut starts, mut ends) = (Vec::new(), Vec::new());
        for i in 0..400i32 {
            let start = (i * 37) % 101;
            contigs.push(["chr1", "chr2", "chr3"][usize::try_from(i % 3).unwrap()]);
            starts.push((i % 17 != 0).then_some(start));
            ends.push((i % 19 != 0).then_some(start + i % 7 - 1));
        }
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![
                Arc::new(StringArray::from(contigs)),
                Arc::new(Int32Array::from(starts)),
                Arc::new(Int32Array::from(ends)),
            ],
        )
        .unwrap();
        let column = |name: &str| col(name, &schema).unwrap();
        let group = |contig: Option<&str>, stretches: &[(i64, i64)]| Group {
            key: contig.map(|contig| {
                Arc::new(BinaryExpr::new(column("contig"), Operator::Eq, lit(contig))) as Expr
            }),
            start: column("pos"),
            end: column("end_pos"),
            stretches: stretches.to_vec(),
        };
        let far = i64::from(i32::MAX) + 5;
        for groups in [
            vec![group(None, &[(3, 5), (20, 20), (60, 70)])],
            vec![
                group(Some("chr1"), &[(1, 10), (50, 51), (90, far)]),
                group(Some("chr3"), &[(-5, 2), (33, 40)]),
            ],
            vec![group(Some("chr2"), &[])],
            vec![],
        ] {
            let stretches = Stretches::new(groups);
            let plain = stretches.alternatives(&schema).unwrap();
            let judged = stretches.evaluate(&batch).unwrap().into_array(400).unwrap();
            let judged = judged.as_boolean();
            let each: Vec<BooleanArray> = plain
                .iter()
                .map(|e| {
                    e.evaluate(&batch)
                        .unwrap()
                        .into_array(400)
                        .unwrap()
                        .as_boolean()
                        .clone()
                })
                .collect();
            for row in 0..400 {
                let expected = each.iter().any(|e| e.is_valid(row) && e.value(row));
                assert_eq!(judged.value(row), expected, "row {row} of {stretches}");
            }
            let again = Arc::new(stretches.clone());
            let children = again.children().into_iter().cloned().collect();
            let again = Arc::clone(&again).with_new_children(children).unwrap();
            assert_eq!(again.downcast_ref::<Stretches>(), Some(&stretches));
        }
    }
}
