//! PostgreSQL's names of the types that the engine's errors name.

/// The whole name of a type, where [`pg_name`] has the short one that messages about values have.
pub(super) fn type_name(arrow: &str) -> String {
    match arrow {
        stamp if stamp.starts_with("Timestamp") => {
            match stamp.contains("Some(") || stamp.contains(", \"") {
                true => "timestamp with time zone",
                false => "timestamp without time zone",
            }
            .to_owned()
        }
        time if time.starts_with("Time") => "time without time zone".to_owned(),
        other => pg_name(other),
    }
}

pub(super) fn pg_name(arrow: &str) -> String {
    let item = arrow
        .strip_prefix("List(")
        .and_then(|of| of.strip_suffix(')'));
    if let Some(item) = item {
        // `Field { data_type: Utf8, … }`, `non-null Utf8` or the type alone.
        let item = item.rsplit(' ').next().unwrap_or(item);
        return format!("{}[]", pg_name(item));
    }
    match arrow {
        "Utf8" | "LargeUtf8" | "Utf8View" => "text",
        "Null" => "unknown",
        "Binary" | "LargeBinary" | "BinaryView" => "bytea",
        "Int8" | "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "Float32" => "real",
        "Float64" => "double precision",
        "Boolean" => "boolean",
        "Date32" | "Date64" => "date",
        other if other.starts_with("Struct") => "record",
        other if other.starts_with("Timestamp") => "timestamp",
        other if other.starts_with("Decimal") => "numeric",
        other if other.starts_with("Interval") => "interval",
        other if other.starts_with("Time") => "time",
        other => return other.to_owned(),
    }
    .to_owned()
}
