//! Parts of a region text as expressions, for joins with a column of regions.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::{PhysicalExpr, PhysicalExprRef};
use genokura_core::contig::canonical_key;
use genokura_core::interval::Interval;
use genokura_core::position::Position;
use genokura_core::region::Region;

use crate::error::Error;

/// What is taken of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RegionPart {
    /// Of the name of a contig: the plain name of a human primary, any other name up to its first `:`. Names that
    /// `in_region` takes for one contig have one.
    Primary,
    /// Of a region: the same of the contigs that it can mean, which all begin alike.
    Contig,
    /// First base of a region, the least that it can mean.
    Start,
    /// Last base of a region, included, the greatest that it can mean.
    End,
}

/// A part of a text column; NULL of NULL. A text that is not a region is an error, as it is of `in_region`.
#[derive(Debug, Eq)]
struct RegionPartExpr {
    part: RegionPart,
    text: PhysicalExprRef,
}

impl PartialEq for RegionPartExpr {
    fn eq(&self, other: &Self) -> bool {
        self.part == other.part && self.text.eq(&other.text)
    }
}

impl Hash for RegionPartExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.part.hash(state);
        self.text.hash(state);
    }
}

/// A part of a text.
pub(super) fn part_of(part: RegionPart, text: PhysicalExprRef) -> PhysicalExprRef {
    Arc::new(RegionPartExpr { part, text })
}

fn primary(name: &str) -> &str {
    let front = name.split_once(':').map_or(name, |(front, _)| front);
    match front.len() == name.len() {
        true => canonical_key(name).unwrap_or(name),
        false => front,
    }
}

impl RegionPart {
    fn of(self, texts: &StringArray) -> Result<ArrayRef> {
        if self == Self::Primary {
            let names = texts.iter().map(|name| name.map(primary));
            return Ok(Arc::new(names.collect::<StringArray>()));
        }
        let parse = |text: Option<&str>| -> Result<Option<Vec<Region>>> {
            let readings = text.map(Region::readings).transpose();
            Ok(readings.map_err(Error::Region)?)
        };
        let regions = texts.iter().map(parse).collect::<Result<Vec<_>>>()?;
        let intervals = |readings: &Vec<Region>| -> Vec<Interval> {
            readings.iter().map(Region::interval_or_all).collect()
        };
        let intervals = regions
            .iter()
            .map(|readings| readings.as_ref().map(intervals));
        let place = |position: Option<Position>| position.map(|p| i64::from(p.get()));
        Ok(match self {
            Self::Start => {
                let first = |of: Vec<Interval>| place(of.into_iter().map(Interval::start).min());
                Arc::new(
                    intervals
                        .map(|of| of.and_then(first))
                        .collect::<Int64Array>(),
                )
            }
            Self::End => {
                let last = |of: Vec<Interval>| place(of.into_iter().map(Interval::end).max());
                Arc::new(
                    intervals
                        .map(|of| of.and_then(last))
                        .collect::<Int64Array>(),
                )
            }
            Self::Contig | Self::Primary => {
                let contig = |readings: &Option<Vec<Region>>| -> Option<String> {
                    let region = readings.as_ref()?.first()?;
                    Some(primary(&region.contig).to_owned())
                };
                Arc::new(regions.iter().map(contig).collect::<StringArray>())
            }
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Contig => "region_contig",
            Self::Start => "region_start",
            Self::End => "region_end",
        }
    }
}

impl fmt::Display for RegionPartExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.part.name(), self.text)
    }
}

impl PhysicalExpr for RegionPartExpr {
    fn data_type(&self, _schema: &Schema) -> Result<DataType> {
        Ok(match self.part {
            RegionPart::Primary | RegionPart::Contig => DataType::Utf8,
            RegionPart::Start | RegionPart::End => DataType::Int64,
        })
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.text.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let texts = self.text.evaluate(batch)?.into_array(batch.num_rows())?;
        let Some(texts) = texts.as_string_opt::<i32>() else {
            return internal_err!("{self} of {}", texts.data_type());
        };
        Ok(ColumnarValue::Array(self.part.of(texts)?))
    }

    fn children(&self) -> Vec<&PhysicalExprRef> {
        vec![&self.text]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<PhysicalExprRef>,
    ) -> Result<PhysicalExprRef> {
        let Ok([text]) = <[_; 1]>::try_from(children) else {
            return internal_err!("{self} has one child");
        };
        Ok(part_of(self.part, text))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.part.name())?;
        self.text.fmt_sql(f)?;
        f.write_str(")")
    }
}
