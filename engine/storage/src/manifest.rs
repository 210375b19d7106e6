//! Files of one version of a table, with row counts and statistics from the Delta log.

use std::collections::BTreeMap;
use std::fmt;

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::layout;

/// Name of a physical table: `schema/table`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId {
    /// Schema: a dataset's name, or a plain schema such as `clin`.
    pub schema: String,
    /// Table: `site`, `genotype`, … or the user's name.
    pub table: String,
}

impl TableId {
    /// The table `schema/table`; the names are checked when something is written.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            table: table.into(),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        layout::check_name("schema", &self.schema)?;
        layout::check_name("table", &self.table)
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.schema, self.table)
    }
}

impl std::str::FromStr for TableId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((schema, table)) if !table.contains('/') => Ok(Self::new(schema, table)),
            _ => Err(format!("\"{text}\" is not of the form schema/table")),
        }
    }
}

impl Serialize for TableId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A minimum or maximum as the Delta log holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ScalarStat {
    /// Any integer column.
    Int(i64),
    /// A float column; never NaN.
    Float(f64),
    /// Text, date (`YYYY-MM-DD`) or timestamp as text. A maximum may be longer than any value.
    Text(String),
}

impl ScalarStat {
    /// The integer, if it is one.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(value) = self {
            Some(value)
        } else {
            None
        }
    }
}

/// What is known of one column of one file. Every part may be unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnStats {
    /// No non-null value is below this.
    pub min: Option<ScalarStat>,
    /// No non-null value is above this.
    pub max: Option<ScalarStat>,
    /// Number of NULLs, exactly.
    pub null_count: Option<u64>,
}

/// Statistics of one file by column. A column that is absent is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileStats {
    /// By column name.
    pub columns: BTreeMap<String, ColumnStats>,
}

impl FileStats {
    /// Statistics of `column`, if kept.
    #[must_use]
    pub fn column(&self, column: &str) -> Option<&ColumnStats> {
        self.columns.get(column)
    }

    /// Smallest and largest value of an integer column, if both are known.
    #[must_use]
    pub fn int_range(&self, column: &str) -> Option<(i64, i64)> {
        let stats = self.column(column)?;
        Some((stats.min.as_ref()?.as_i64()?, stats.max.as_ref()?.as_i64()?))
    }
}

/// One immutable file of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct DataFile {
    /// Path in the lake's object store.
    pub path: Path,
    /// Size in bytes.
    pub size: u64,
    /// Number of rows.
    pub rows: u64,
    /// The partition (`<contig>:<bin>` or `other`); `None` in a table without partitions.
    pub pos_bin: Option<String>,
    /// When it was written, milliseconds since 1970.
    pub modified_ms: i64,
    /// Statistics.
    pub stats: FileStats,
}

/// A file that is written and not yet committed: visible to nobody.
pub type NewFile = DataFile;

/// Statistics as the `stats` text of a Delta add action.
#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeltaStats {
    #[serde(skip_serializing_if = "Option::is_none")]
    num_records: Option<u64>,
    min_values: BTreeMap<String, serde_json::Value>,
    max_values: BTreeMap<String, serde_json::Value>,
    null_count: BTreeMap<String, serde_json::Value>,
}

impl DeltaStats {
    pub(crate) fn of(file: &DataFile) -> Self {
        let mut stats = Self {
            num_records: Some(file.rows),
            ..Self::default()
        };
        for (name, column) in &file.stats.columns {
            if let Some(min) = &column.min {
                stats.min_values.insert(name.clone(), min.to_json());
            }
            if let Some(max) = &column.max {
                stats.max_values.insert(name.clone(), max.to_json());
            }
            if let Some(nulls) = column.null_count {
                stats.null_count.insert(name.clone(), nulls.into());
            }
        }
        stats
    }

    /// Row count and the statistics of columns that are not nested.
    pub(crate) fn into_parts(self) -> (Option<u64>, FileStats) {
        let mut columns: BTreeMap<String, ColumnStats> = BTreeMap::new();
        for (name, value) in self.min_values {
            columns.entry(name).or_default().min = ScalarStat::from_json(&value);
        }
        for (name, value) in self.max_values {
            columns.entry(name).or_default().max = ScalarStat::from_json(&value);
        }
        for (name, value) in self.null_count {
            columns.entry(name).or_default().null_count = value.as_u64();
        }
        (self.num_records, FileStats { columns })
    }
}

impl ScalarStat {
    fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
        }
    }

    fn from_json(value: &serde_json::Value) -> Option<Self> {
        match value {
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) => Some(Self::Int(int)),
                None => number.as_f64().map(Self::Float),
            },
            serde_json::Value::String(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}
