//! Columns of temporary tables: from their definitions, and from the columns of a query.

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion::sql::sqlparser::ast::{self, ExactNumberInfo};

use super::assign::{self, list_item, stored};
use super::fill::Origin;
use crate::pg_types::{ANY_SCALE, FREE_NUMERIC, FREE_SCALE, PgType, TYPMOD, modifier_of_field};
use crate::session::params;
use crate::session::plan::Planned;
use crate::session::statement::temp::ColumnDef;
use crate::sqlstate::ServerError;

/// Digits of the widest.
const WIDEST: u8 = 76;
const MICRO: TimeUnit = TimeUnit::Microsecond;
/// Digits after the point that times have at most.
const MICRO_DIGITS: u64 = 6;
/// The part of an interval's modifier that says that it has all fields.
const ALL_FIELDS: u64 = 0x7fff << 16;

/// 42701 for a name that comes twice.
pub(super) fn once_each(names: &[&str]) -> Result<(), ServerError> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(**name)) {
        None => Ok(()),
        Some(name) => Err(ServerError::new(
            "42701",
            format!("column \"{name}\" specified more than once"),
        )),
    }
}

/// The column that a definition makes.
pub(super) fn field_of(column: &ColumnDef) -> Result<Field, ServerError> {
    let pg_type = params::type_of_sql(&column.data_type).ok_or_else(|| {
        let name = column.data_type.to_string().to_lowercase();
        let text = format!("type \"{name}\" does not exist");
        ServerError::new("42704", text).near(name)
    })?;
    let (arrow, mut metadata) = arrow_of(&column.data_type, pg_type)?;
    if PgType::of_arrow(&arrow) != pg_type {
        // Of an array the key names the type of the elements.
        let element = pg_type.element().unwrap_or(pg_type);
        metadata.push(("pg_type", element.sql_name().to_owned()));
    }
    let metadata = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value));
    let field = Field::new(&column.name, arrow, column.not_null != Some(true));
    Ok(field.with_metadata(metadata.collect()))
}

type Metadata = Vec<(&'static str, String)>;

/// How values of a type are kept.
fn arrow_of(written: &ast::DataType, pg_type: PgType) -> Result<(DataType, Metadata), ServerError> {
    use ast::DataType as Sql;
    if let Sql::Array(ast::ArrayElemTypeDef::SquareBracket(element, _)) = written {
        let element_type = params::type_of_sql(element).unwrap_or(PgType::TEXT);
        let (item, metadata) = arrow_of(element, element_type)?;
        // The modifier of an array is that of its elements.
        return Ok((DataType::List(list_item(item)), metadata));
    }
    Ok(match pg_type {
        PgType::NUMERIC => return numeric_of(written),
        PgType::VARCHAR | PgType::BPCHAR => {
            let is_varchar = pg_type == PgType::VARCHAR;
            let most = match written {
                Sql::Varchar(length)
                | Sql::CharacterVarying(length)
                | Sql::CharVarying(length)
                | Sql::Char(length)
                | Sql::Character(length)
                | Sql::Nvarchar(length) => match length {
                    Some(length) => {
                        characters(length, if is_varchar { "varchar" } else { "char" })?
                    }
                    None => None,
                },
                _ => None,
            };
            // char is char(1).
            let most = most.or((pg_type == PgType::BPCHAR).then_some(1));
            let modifier = most.map(|most| (TYPMOD, (most + 4).to_string()));
            (DataType::Utf8, modifier.into_iter().collect())
        }
        PgType::TEXT | PgType::NAME | PgType::UUID | PgType::JSON | PgType::JSONB => {
            (DataType::Utf8, Vec::new())
        }
        PgType::BOOL => (DataType::Boolean, Vec::new()),
        PgType::INT2 => (DataType::Int16, Vec::new()),
        PgType::INT4 => (DataType::Int32, Vec::new()),
        PgType::INT8 => (DataType::Int64, Vec::new()),
        PgType::FLOAT4 => (DataType::Float32, Vec::new()),
        PgType::FLOAT8 => (DataType::Float64, Vec::new()),
        PgType::BYTEA => (DataType::Binary, Vec::new()),
        PgType::DATE => (DataType::Date32, Vec::new()),
        PgType::TIME => (stored(&DataType::Time64(MICRO)), digits(written)),
        PgType::TIMESTAMP => (DataType::Timestamp(MICRO, None), digits(written)),
        PgType::TIMESTAMPTZ => {
            let zone = Some(assign::UTC.into());
            (DataType::Timestamp(MICRO, zone), digits(written))
        }
        PgType::INTERVAL => {
            let kept = DataType::Interval(IntervalUnit::MonthDayNano);
            (kept, digits(written))
        }
        other => {
            let name = other.sql_name();
            return Err(ServerError::unsupported(format!(
                "columns of type {name} are not supported in a temporary table"
            )));
        }
    })
}

/// The modifier of a type of time: its digits after the point, where they are written.
fn digits(written: &ast::DataType) -> Metadata {
    use ast::DataType as Sql;
    let (digits, base) = match written {
        Sql::Time(digits, _) | Sql::Timestamp(digits, _) => (*digits, 0),
        // Its fields are the upper half: all of them.
        Sql::Interval {
            fields: None,
            precision,
        } => (*precision, ALL_FIELDS),
        _ => (None, 0),
    };
    let modifier = digits.map(|digits| (TYPMOD, (base + digits.min(MICRO_DIGITS)).to_string()));
    modifier.into_iter().collect()
}

/// # Errors
/// 22023 for a length that no text has.
fn characters(length: &ast::CharacterLength, type_name: &str) -> Result<Option<u64>, ServerError> {
    match length {
        ast::CharacterLength::IntegerLength { length: 0, .. } => {
            let text = format!("length for type {type_name} must be at least 1");
            Err(ServerError::new("22023", text))
        }
        ast::CharacterLength::IntegerLength { length, .. } => Ok(Some(*length)),
        ast::CharacterLength::Max => Ok(None),
    }
}

fn numeric_of(written: &ast::DataType) -> Result<(DataType, Metadata), ServerError> {
    use ast::DataType as Sql;
    let info = match written {
        Sql::Numeric(info) | Sql::Decimal(info) | Sql::Dec(info) => *info,
        _ => ExactNumberInfo::None,
    };
    let (precision, scale) = match info {
        ExactNumberInfo::None => {
            let any = vec![(ANY_SCALE, "true".to_owned())];
            return Ok((FREE_NUMERIC, any));
        }
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    if !(1..=1000).contains(&precision) {
        let text = format!("NUMERIC precision {precision} must be between 1 and 1000");
        return Err(ServerError::new("22023", text));
    }
    let shape = u8::try_from(precision).ok().zip(i8::try_from(scale).ok());
    match shape {
        Some((precision @ 1..=38, scale)) if (0..=38).contains(&scale) => {
            Ok((DataType::Decimal128(precision, scale), Vec::new()))
        }
        Some((precision @ 39..=76, scale)) if (0..=76).contains(&scale) => {
            Ok((DataType::Decimal256(precision, scale), Vec::new()))
        }
        _ => Err(ServerError::unsupported(format!(
            "numeric({precision},{scale}): a numeric column has at most 76 digits here"
        ))),
    }
}

/// What a column of numerics that say nothing of their digits is kept as: with room for others than those that it begins
/// with.
fn open_numeric(data_type: &DataType) -> Option<DataType> {
    let (DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale)) = data_type else {
        return None;
    };
    Some(DataType::Decimal256(WIDEST, (*scale).max(FREE_SCALE)))
}

/// The columns of a table that holds the result of a query, and where their values come from.
pub(super) fn columns_of(
    planned: &Planned,
    names: &[String],
) -> Result<(Vec<Field>, Vec<Origin>), ServerError> {
    let columns = planned.columns();
    if names.len() > columns.len() {
        let text = "too many column names were specified";
        return Err(ServerError::syntax(text, None));
    }
    let names: Vec<&str> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| names.get(at).map_or(column.name.as_str(), String::as_str))
        .collect();
    once_each(&names)?;
    let record = columns
        .iter()
        .position(|column| column.pg_type == PgType::RECORD);
    if let Some(name) = record.and_then(|at| names.get(at)) {
        let text = format!("column \"{name}\" has pseudo-type record");
        return Err(ServerError::new("42P16", text));
    }
    if let Some(column) = columns
        .iter()
        .find(|column| column.pg_type.is_row() || column.pg_type == PgType::BIT)
    {
        let name = &column.name;
        let text = format!("column \"{name}\" is of a type that a temporary table has not");
        return Err(ServerError::unsupported(text));
    }
    let fields = columns.iter().zip(&names).enumerate();
    let fields = fields.map(|(at, (column, name))| {
        let mut arrow = stored(&planned.data_type(at));
        // Values of the system catalog that are no plain ones are kept as their text.
        if matches!(arrow, DataType::Struct(_)) {
            arrow = DataType::Utf8;
        }
        let mut metadata = HashMap::new();
        if let Some(wide) = open_numeric(&arrow).filter(|_| column.typmod < 0) {
            arrow = wide;
            metadata.insert(ANY_SCALE.to_owned(), "true".to_owned());
        }
        let field = Field::new(*name, arrow, true);
        if PgType::of_arrow(field.data_type()) != column.pg_type {
            let element = column.pg_type.element().unwrap_or(column.pg_type);
            metadata.insert("pg_type".to_owned(), element.sql_name().to_owned());
        }
        // As of numeric, which has it in the type that it is kept in.
        if column.typmod >= 0 && modifier_of_field(&field) != column.typmod {
            metadata.insert(TYPMOD.to_owned(), column.typmod.to_string());
        }
        field.with_metadata(metadata)
    });
    let origins = columns.iter().enumerate();
    let origins = origins.map(|(at, column)| Origin::Column(at, column.pg_type));
    Ok((fields.collect(), origins.collect()))
}
