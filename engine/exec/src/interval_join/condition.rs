//! What makes two rows match: equal keys and overlapping spans, and how rows of either side are read for it.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, TimeUnit};
use arrow::row::{RowConverter, SortField};
use datafusion::common::{HashMap, JoinSide, ScalarValue, plan_err};
use datafusion::error::Result as DfResult;
use datafusion::physical_expr::PhysicalExpr;

use super::index::{NO_GROUP, SpanRows};
use crate::error::Result;

/// Values of the keys of groups are kept for the dynamic filter only while there are no more groups than this.
pub(super) const NAMED_GROUPS_MAX: usize = 64;
/// Bytes of memory of a group among the keys, beside its key.
const GROUP_BYTES: usize = 64;

/// First and last place of the span of a row, as integers, dates or timestamps.
#[derive(Clone, Debug)]
pub struct SpanExprs {
    /// First place.
    pub start: Arc<dyn PhysicalExpr>,
    /// Last place.
    pub end: Arc<dyn PhysicalExpr>,
}

/// When a row of the left side matches one of the right side:
///
/// `left.key = right.key` for each key, `left.start <= right.end` and `left.end >= right.start`.
///
/// # Coordinates
/// Closed spans, as everywhere: sharing one base is an overlap. With `start_open` the first comparison is `<`, with
/// `end_open` the second is `>`; half-open spans (BED) have both. A span that ends before it starts is compared as it
/// stands.
///
/// # NULL
/// A NULL key or bound matches nothing.
#[derive(Clone, Debug)]
pub struct IntervalCondition {
    /// Keys, of the left side and of the right.
    pub keys: Vec<(Arc<dyn PhysicalExpr>, Arc<dyn PhysicalExpr>)>,
    /// Span of a row of the left side.
    pub left: SpanExprs,
    /// Span of a row of the right side.
    pub right: SpanExprs,
    /// `left.start < right.end`, not `<=`.
    pub start_open: bool,
    /// `left.end > right.start`, not `>=`.
    pub end_open: bool,
}

impl IntervalCondition {
    /// Whether spans of such values can be compared as 64-bit integers with the same answers.
    #[must_use]
    pub fn supports(data_type: &DataType) -> bool {
        use DataType::{Date32, Int8, Int16, Int32, Int64, Timestamp, UInt8, UInt16, UInt32};
        matches!(
            data_type,
            Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | Date32 | Timestamp(_, _)
        )
    }

    /// Whether values of the two types can be compared with each other that way.
    #[must_use]
    pub fn comparable(one: &DataType, other: &DataType) -> bool {
        let unit = |data_type: &DataType| match data_type {
            DataType::Date32 => Some(None),
            DataType::Timestamp(unit, _) => Some(Some(*unit)),
            _ => None::<Option<TimeUnit>>,
        };
        Self::supports(one) && Self::supports(other) && unit(one) == unit(other)
    }

    /// Checks that the expressions fit the inputs.
    pub(super) fn check(&self, left: &Schema, right: &Schema) -> DfResult<()> {
        let (l, r) = (&self.left, &self.right);
        for (one, other) in [(&l.start, &r.end), (&l.end, &r.start)] {
            let (one, other) = (one.data_type(left)?, other.data_type(right)?);
            if !Self::comparable(&one, &other) {
                return plan_err!("spans of {one} and {other} cannot be joined");
            }
        }
        for (one, other) in &self.keys {
            let (one, other) = (one.data_type(left)?, other.data_type(right)?);
            if one != other {
                return plan_err!("keys of {one} and {other} cannot be joined");
            }
        }
        Ok(())
    }

    /// Every expression, for whoever looks through plans.
    pub(super) fn exprs(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        let keys = self.keys.iter().flat_map(|(left, right)| [left, right]);
        let spans = [&self.left, &self.right];
        keys.chain(spans.into_iter().flat_map(|span| [&span.start, &span.end]))
    }

    /// Keys and spans of one side as they are evaluated.
    pub(super) fn side(&self, side: JoinSide) -> Side {
        let keys = self.keys.iter();
        let keys = keys.map(|(left, right)| match side {
            JoinSide::Left => Arc::clone(left),
            _ => Arc::clone(right),
        });
        // `a < b` is `a + 1 <= b` of integers. It is the left side that moves, in both comparisons.
        let is_left = side == JoinSide::Left;
        Side {
            keys: keys.collect(),
            span: if is_left { &self.left } else { &self.right }.clone(),
            start_shift: i64::from(is_left && self.start_open),
            end_shift: -i64::from(is_left && self.end_open),
        }
    }
}

impl fmt::Display for IntervalCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|(l, r)| format!("({l}, {r})"))
            .collect();
        write!(f, "on=[{}]", keys.join(", "))?;
        let before = if self.start_open { "<" } else { "<=" };
        let after = if self.end_open { ">" } else { ">=" };
        let (l, r) = (&self.left, &self.right);
        let overlap = format!(
            "{} {before} {}, {} {after} {}",
            l.start, r.end, l.end, r.start
        );
        write!(f, ", overlap=[{overlap}]")
    }
}

/// Keys and span of the rows of one side.
#[derive(Clone, Debug)]
pub(super) struct Side {
    keys: Vec<Arc<dyn PhysicalExpr>>,
    span: SpanExprs,
    start_shift: i64,
    end_shift: i64,
}

impl Side {
    /// The values of the keys of a batch.
    pub(super) fn keys(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let value = |expr: &Arc<dyn PhysicalExpr>| -> Result<ArrayRef> {
            Ok(expr.evaluate(batch)?.into_array(batch.num_rows())?)
        };
        self.keys.iter().map(value).collect()
    }

    /// Appends the rows of a batch, whose groups are known.
    pub(super) fn append(
        &self,
        batch: &RecordBatch,
        groups: Vec<u32>,
        into: &mut SpanRows,
    ) -> Result<()> {
        let first = into.len();
        append_values(&self.span.start, batch, &mut into.starts)?;
        append_values(&self.span.end, batch, &mut into.ends)?;
        into.groups.extend(groups);
        let no_groups = into.groups.get_mut(first..).unwrap_or_default();
        for span in [&self.span.start, &self.span.end] {
            let values = span.evaluate(batch)?.into_array(batch.num_rows())?;
            if let Some(nulls) = values.logical_nulls() {
                for (group, valid) in no_groups.iter_mut().zip(nulls.iter()) {
                    if !valid {
                        *group = NO_GROUP;
                    }
                }
            }
        }
        for row in first..into.len() {
            let start = into.starts[row].checked_add(self.start_shift);
            let end = into.ends[row].checked_add(self.end_shift);
            match (start, end) {
                (Some(start), Some(end)) => (into.starts[row], into.ends[row]) = (start, end),
                // Nothing lies beyond the last integer.
                _ => into.groups[row] = NO_GROUP,
            }
        }
        Ok(())
    }
}

/// Appends the values of a bound; whatever stands there where it is NULL.
fn append_values(
    expr: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
    into: &mut Vec<i64>,
) -> Result<()> {
    let values = expr.evaluate(batch)?.into_array(batch.num_rows())?;
    if let Some(values) = values.as_primitive_opt::<arrow::datatypes::Int32Type>() {
        into.extend(values.values().iter().map(|value| i64::from(*value)));
        return Ok(());
    }
    let values = match values.data_type() {
        DataType::Int64 => values,
        // A date is its number of days.
        DataType::Date32 => cast(&cast(&values, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(&values, &DataType::Int64)?,
    };
    let values: &Int64Array = values.as_primitive::<Int64Type>();
    into.extend_from_slice(values.values());
    Ok(())
}

/// The keys of the build side, numbered as groups.
#[derive(Debug)]
pub(super) struct Keys {
    groups: HashMap<Box<[u8]>, u32>,
    bytes: usize,
    /// `None` when the only key is text, whose bytes stand for it.
    rows: Option<RowConverter>,
    /// The values of each group while there are few.
    named: Vec<Vec<ScalarValue>>,
}

impl Keys {
    pub(super) fn new(side: &Side, schema: &Schema) -> Result<Self> {
        let types = side.keys.iter().map(|key| key.data_type(schema));
        let types = types.collect::<DfResult<Vec<_>>>()?;
        let rows = match types[..] {
            [] | [DataType::Utf8] => None,
            _ => {
                let fields = types.into_iter().map(SortField::new).collect();
                Some(RowConverter::new(fields)?)
            }
        };
        Ok(Self {
            groups: HashMap::default(),
            bytes: 0,
            rows,
            named: Vec::new(),
        })
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Bytes of memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.groups.len() * GROUP_BYTES
    }

    /// The values of the keys of each group; empty when there are too many groups.
    pub(super) fn named(&self) -> &[Vec<ScalarValue>] {
        if self.len() == self.named.len() {
            &self.named
        } else {
            &[]
        }
    }

    /// The groups of rows of the build side, which makes them.
    pub(super) fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let mut found = self.find(keys, rows)?;
        let nulls = any_null(keys);
        let is_new = |row: usize, group: u32| {
            group == NO_GROUP && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row))
        };
        if !(0..rows).any(|row| is_new(row, found[row])) {
            return Ok(found);
        }
        let bytes = self.key_bytes(keys, rows)?;
        for (row, found) in found.iter_mut().enumerate() {
            if !is_new(row, *found) {
                continue;
            }
            let key = bytes.get(row);
            *found = match self.groups.get(key) {
                Some(group) => *group,
                None => {
                    let group = u32::try_from(self.groups.len()).unwrap_or(NO_GROUP);
                    self.bytes += key.len();
                    self.groups.insert(key.into(), group);
                    if self.named.len() < NAMED_GROUPS_MAX {
                        let value = |key: &ArrayRef| ScalarValue::try_from_array(key, row);
                        self.named
                            .push(keys.iter().map(value).collect::<DfResult<_>>()?);
                    }
                    group
                }
            };
        }
        Ok(found)
    }

    /// The groups of rows of either side.
    pub(super) fn find(&self, keys: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let bytes = self.key_bytes(keys, rows)?;
        let nulls = any_null(keys);
        let mut found = Vec::with_capacity(rows);
        let mut last: Option<(&[u8], u32)> = None;
        for row in 0..rows {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                found.push(NO_GROUP);
                continue;
            }
            let key = bytes.get(row);
            // Rows of one contig stand together: one comparison instead of a lookup.
            let group = match last {
                Some((same, group)) if same == key => group,
                _ => self.groups.get(key).copied().unwrap_or(NO_GROUP),
            };
            last = Some((key, group));
            found.push(group);
        }
        Ok(found)
    }

    fn key_bytes<'a>(&self, keys: &'a [ArrayRef], rows: usize) -> Result<KeyBytes<'a>> {
        debug_assert!(keys.iter().all(|key| key.len() == rows));
        Ok(match (&self.rows, keys) {
            (Some(converter), _) => KeyBytes::Rows(converter.convert_columns(keys)?),
            (None, [text]) => KeyBytes::Text(text.as_string()),
            (None, _) => KeyBytes::None,
        })
    }
}

/// The rows that have no NULL among their keys; `None` when all have none.
fn any_null(keys: &[ArrayRef]) -> Option<arrow::buffer::NullBuffer> {
    keys.iter().fold(None, |nulls, key| {
        arrow::buffer::NullBuffer::union(nulls.as_ref(), key.logical_nulls().as_ref())
    })
}

/// Bytes that are equal when keys are.
enum KeyBytes<'a> {
    /// There are no keys: all rows are one group.
    None,
    Text(&'a arrow::array::StringArray),
    Rows(arrow::row::Rows),
}

impl KeyBytes<'_> {
    #[inline]
    fn get(&self, row: usize) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Text(text) => text.value(row).as_bytes(),
            Self::Rows(rows) => rows.row(row).data(),
        }
    }
}
