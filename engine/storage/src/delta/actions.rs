//! Files of a table to and from the actions of a Delta log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, MapBuilder,
    MapFieldNames, RecordBatch, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Field, Fields, Int64Type};
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::{EngineData, FilteredEngineData};
use object_store::path::Path;
use serde_json::json;

use crate::error::{Error, Result};
use crate::manifest::{ColumnStats, DataFile, DeltaStats, FileStats, ScalarStat};

/// Add actions of `files` (by path relative to the table), in the shape the kernel asks for.
pub(super) fn add(
    files: &[(&String, &DataFile)],
    partition_columns: &[String],
) -> Result<Box<dyn EngineData>> {
    let columns: Vec<(&str, bool, ArrayRef)> = vec![
        (
            "path",
            false,
            Arc::new(StringArray::from_iter_values(
                files.iter().map(|(p, _)| encoded(p)),
            )),
        ),
        (
            "partitionValues",
            false,
            partition_values(files, partition_columns)?,
        ),
        (
            "size",
            false,
            int64(files.iter().map(|(_, f)| signed(f.size))),
        ),
        (
            "modificationTime",
            false,
            int64(files.iter().map(|(_, f)| Some(f.modified_ms))),
        ),
        ("stats", true, Arc::new(stats(files))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, nullable, array)| (name, array, nullable)),
    )?;
    Ok(Box::new(ArrowEngineData::new(batch)))
}

/// Rows of a scan as files; paths are made absolute below `root`.
pub(super) fn files(scanned: &FilteredEngineData, root: &Path) -> Result<Vec<DataFile>> {
    let batch = record_batch(scanned.data())?;
    let paths = paths(scanned.data())?;
    let sizes = column(batch, "size")?.as_primitive_opt::<Int64Type>();
    let times = column(batch, "modificationTime")?.as_primitive_opt::<Int64Type>();
    let stats = column(batch, "stats")?.as_string_opt::<i32>();
    let vectors = column(batch, "deletionVector")?;
    let constants = column(batch, "fileConstantValues")?.as_struct_opt();
    let partitions = constants
        .and_then(|c| c.column_by_name("partitionValues"))
        .and_then(|c| c.as_map_opt());
    let (Some(sizes), Some(times), Some(stats), Some(partitions)) =
        (sizes, times, stats, partitions)
    else {
        return Err(Error::Internal(
            "the scan of a Delta log has another shape".to_owned(),
        ));
    };
    let mut files = Vec::new();
    for (row, path) in paths.iter().enumerate() {
        if !scanned.selection_vector().get(row).copied().unwrap_or(true) {
            continue;
        }
        let path = absolute(root, path)?;
        let damaged = |reason: &str| Error::Damaged {
            path: path.to_string(),
            reason: reason.into(),
        };
        if vectors.is_valid(row) {
            return Err(damaged(
                "it has a deletion vector, which genokura does not read",
            ));
        }
        let text = if stats.is_valid(row) {
            stats.value(row)
        } else {
            "{}"
        };
        let parsed: DeltaStats = serde_json::from_str(text).map_err(|e| Error::json(&path, e))?;
        let (rows, stats) = parsed.into_parts();
        let rows = rows.ok_or_else(|| damaged("its Delta action does not tell the row count"))?;
        let size = u64::try_from(sizes.value(row)).map_err(|_| damaged("its size is negative"))?;
        let pos_bin = first_value(&partitions.value(row));
        files.push(DataFile {
            path,
            size,
            rows,
            pos_bin,
            modified_ms: times.value(row),
            stats,
        });
    }
    Ok(files)
}

/// Paths of the rows of a scan as they stand in the log; empty where there is none.
pub(super) fn paths(data: &dyn EngineData) -> Result<Vec<String>> {
    let paths = column(record_batch(data)?, "path")?.as_string_opt::<i32>();
    let paths = paths.ok_or_else(|| Error::Internal("paths of a scan are no text".to_owned()))?;
    Ok(paths
        .iter()
        .map(|path| path.unwrap_or_default().to_owned())
        .collect())
}

/// A path as the log has it: a URL, in which a colon would end a scheme. Nothing else in our
/// paths needs encoding.
fn encoded(path: &str) -> String {
    path.replace('%', "%25").replace(':', "%3A")
}

/// A path of the log without URL encoding.
pub(super) fn decoded(path: &str) -> Result<String> {
    let damaged = |e: object_store::path::Error| Error::Damaged {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    Ok(Path::from_url_path(path).map_err(damaged)?.to_string())
}

pub(super) fn add_json(
    path: &str,
    file: &DataFile,
    partition_columns: &[String],
) -> Result<serde_json::Value> {
    let stats = serde_json::to_string(&DeltaStats::of(file))
        .map_err(|e| Error::Internal(format!("statistics of {path}: {e}")))?;
    Ok(json!({"add": {
        "path": encoded(path), "partitionValues": partition_json(file, partition_columns),
        "size": file.size, "modificationTime": file.modified_ms, "dataChange": true,
        "stats": stats,
    }}))
}

pub(super) fn remove_json(
    path: &str,
    file: &DataFile,
    partition_columns: &[String],
    now: i64,
) -> serde_json::Value {
    json!({"remove": {
        "path": encoded(path), "deletionTimestamp": now, "dataChange": true,
        "extendedFileMetadata": true, "size": file.size,
        "partitionValues": partition_json(file, partition_columns),
    }})
}

fn partition_json(file: &DataFile, partition_columns: &[String]) -> serde_json::Value {
    let values: BTreeMap<&str, Option<&str>> = partition_columns
        .iter()
        .map(|name| (name.as_str(), file.pos_bin.as_deref()))
        .collect();
    json!(values)
}

fn absolute(root: &Path, path: &str) -> Result<Path> {
    if path.contains("://") {
        let reason = "it lies outside of its table".to_owned();
        return Err(Error::Damaged {
            path: path.to_owned(),
            reason,
        });
    }
    let relative = decoded(path)?;
    Ok(relative
        .split('/')
        .fold(root.clone(), |path, part| path.join(part)))
}

fn record_batch(data: &dyn EngineData) -> Result<&RecordBatch> {
    data.any_ref()
        .downcast_ref::<ArrowEngineData>()
        .map(ArrowEngineData::record_batch)
        .ok_or_else(|| Error::Internal("the Delta engine does not speak Arrow".to_owned()))
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch
        .column_by_name(name)
        .ok_or_else(|| Error::Internal(format!("the scan of a Delta log has no column {name}")))
}

fn first_value(entries: &StructArray) -> Option<String> {
    let values = entries.columns().get(1)?.as_string_opt::<i32>()?;
    if values.is_empty() || values.is_null(0) {
        None
    } else {
        Some(values.value(0).to_owned())
    }
}

fn partition_values(files: &[(&String, &DataFile)], columns: &[String]) -> Result<ArrayRef> {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for (_, file) in files {
        for name in columns {
            map.keys().append_value(name);
            map.values().append_option(file.pos_bin.as_deref());
        }
        map.append(true)?;
    }
    Ok(Arc::new(map.finish()))
}

fn stats(files: &[(&String, &DataFile)]) -> StructArray {
    let names: BTreeSet<&str> = files
        .iter()
        .flat_map(|(_, f)| f.stats.columns.keys().map(String::as_str))
        .collect();
    let bounds = |pick: fn(&ColumnStats) -> Option<&ScalarStat>| {
        let columns = names.iter().filter_map(|name| {
            let values: Vec<_> = files
                .iter()
                .map(|(_, f)| f.stats.column(name).and_then(pick))
                .collect();
            Some((*name, scalars(&values)?))
        });
        nested(columns.collect(), files.len())
    };
    let nulls = names.iter().map(|name| {
        let count = |stats: &FileStats| stats.column(name)?.null_count.and_then(signed);
        (*name, int64(files.iter().map(|(_, f)| count(&f.stats))))
    });
    let tight: ArrayRef = Arc::new(BooleanArray::from(vec![true; files.len()]));
    nested(
        vec![
            (
                "numRecords",
                int64(files.iter().map(|(_, f)| signed(f.rows))),
            ),
            ("nullCount", nested_ref(nulls.collect(), files.len())),
            ("minValues", Arc::new(bounds(|s| s.min.as_ref()))),
            ("maxValues", Arc::new(bounds(|s| s.max.as_ref()))),
            ("tightBounds", tight),
        ],
        files.len(),
    )
}

fn nested_ref(columns: Vec<(&str, ArrayRef)>, rows: usize) -> ArrayRef {
    Arc::new(nested(columns, rows))
}

fn nested(columns: Vec<(&str, ArrayRef)>, rows: usize) -> StructArray {
    if columns.is_empty() {
        return StructArray::new_empty_fields(rows, None::<NullBuffer>);
    }
    let fields: Fields = columns
        .iter()
        .map(|(name, a)| Field::new(*name, a.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    StructArray::new(fields, arrays, None)
}

/// Values of one column over all files in one type; `None` when no file has any.
fn scalars(values: &[Option<&ScalarStat>]) -> Option<ArrayRef> {
    let has = |kind: fn(&ScalarStat) -> bool| values.iter().flatten().any(|v| kind(v));
    if has(|v| matches!(v, ScalarStat::Text(_))) {
        let texts = values.iter().map(|v| v.and_then(ScalarStat::as_str));
        return Some(Arc::new(texts.collect::<StringArray>()));
    }
    if has(|v| matches!(v, ScalarStat::Float(_))) {
        let floats = values.iter().map(|v| match v {
            Some(ScalarStat::Float(value)) => Some(*value),
            #[expect(
                clippy::cast_precision_loss,
                reason = "integers in a float column came from one"
            )]
            Some(ScalarStat::Int(value)) => Some(*value as f64),
            _ => None,
        });
        return Some(Arc::new(floats.collect::<Float64Array>()));
    }
    has(|v| matches!(v, ScalarStat::Int(_)))
        .then(|| int64(values.iter().map(|v| v.and_then(ScalarStat::as_i64))))
}

fn int64(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn signed(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}
