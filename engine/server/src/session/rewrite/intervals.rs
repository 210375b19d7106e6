//! Intervals with the fields that they are declared with: `interval '1 10' DAY TO HOUR`, `x::interval(2)`.

use datafusion::arrow::datatypes::IntervalMonthDayNano;
use datafusion::sql::sqlparser::ast::{self, DataType, DateTimeField, Expr, IntervalFields};

use super::literals::string_literal;
use crate::pg_input::{self, Fields, Unit};
use crate::session::params;
use crate::session::placed::start;
use crate::sqlstate::ServerError;

/// The most digits that seconds have behind the point.
const DIGITS_MAX: u64 = 6;

/// The constant of `interval '…'`, `None` for what is no constant.
///
/// # Errors
/// 22007 and 22015 for texts that are none, 42601 for fields that do not follow each other.
pub(super) fn constant(interval: &ast::Interval) -> Result<Option<Expr>, ServerError> {
    let Some(text) = string_literal(&interval.value) else {
        return Ok(None);
    };
    let fields = said(interval)?;
    let read = pg_input::interval_of_fields(text, fields);
    let span = read.map_err(|error| error.place(start(&interval.value)))?;
    Ok(Some(params::interval(span)))
}

/// The interval of such a constant; `None` also for a text that is none.
pub(super) fn span(interval: &ast::Interval) -> Option<IntervalMonthDayNano> {
    let text = string_literal(&interval.value)?;
    pg_input::interval_of_fields(text, said(interval).ok()?).ok()
}

/// The constant of a text that is cast to a type of intervals with fields.
///
/// # Errors
/// 22007 and 22015 for texts that are none.
pub(super) fn cast_constant(text: &str, data_type: &DataType) -> Result<Option<Expr>, ServerError> {
    let DataType::Interval { fields, precision } = data_type else {
        return Ok(None);
    };
    if fields.is_none() && precision.is_none() {
        return Ok(None);
    }
    let digits = fields_of(fields.as_ref(), *precision);
    // A cast reads all of the text and cuts then.
    pg_input::interval_of_fields(text, digits).map(|span| Some(params::interval(span)))
}

fn fields_of(fields: Option<&IntervalFields>, precision: Option<u64>) -> Fields {
    use IntervalFields as Of;
    let last = match fields {
        None => None,
        Some(Of::Year) => Some(Unit::Year),
        Some(Of::Month | Of::YearToMonth) => Some(Unit::Month),
        Some(Of::Day) => Some(Unit::Day),
        Some(Of::Hour | Of::DayToHour) => Some(Unit::Hour),
        Some(Of::Minute | Of::DayToMinute | Of::HourToMinute) => Some(Unit::Minute),
        Some(Of::Second | Of::DayToSecond | Of::HourToSecond | Of::MinuteToSecond) => {
            Some(Unit::Second)
        }
    };
    Fields {
        last,
        minutes: matches!(fields, Some(Of::MinuteToSecond)),
        digits: digits(precision),
    }
}

fn digits(precision: Option<u64>) -> Option<u32> {
    let digits = precision.map(|digits| digits.min(DIGITS_MAX));
    digits.and_then(|digits| u32::try_from(digits).ok())
}

fn said(interval: &ast::Interval) -> Result<Fields, ServerError> {
    let first = interval.leading_field.as_ref();
    let last = interval.last_field.as_ref();
    let unit = |field: &DateTimeField| {
        Some(match field {
            DateTimeField::Year => Unit::Year,
            DateTimeField::Month => Unit::Month,
            DateTimeField::Day => Unit::Day,
            DateTimeField::Hour => Unit::Hour,
            DateTimeField::Minute => Unit::Minute,
            DateTimeField::Second => Unit::Second,
            _ => return None,
        })
    };
    let refused = |word: &DateTimeField| {
        let word = word.to_string().to_ascii_lowercase();
        ServerError::new("42601", format!("syntax error at or near \"{word}\"")).near(&word)
    };
    let of = |field: Option<&DateTimeField>| match field {
        Some(field) => unit(field).ok_or_else(|| refused(field)).map(Some),
        None => Ok(None),
    };
    let (from, to) = (of(first)?, of(last)?);
    if let (Some(from), Some(to), Some(word)) = (from, to, last) {
        let joined = match from {
            Unit::Year => to == Unit::Month,
            Unit::Month | Unit::Second => false,
            from => from < to,
        };
        if !joined {
            return Err(refused(word));
        }
    }
    let precision = match (
        interval.fractional_seconds_precision,
        interval.leading_precision,
    ) {
        (Some(precision), _) => Some(precision),
        (None, precision) => precision,
    };
    Ok(Fields {
        last: to.or(from),
        minutes: from == Some(Unit::Minute) && to == Some(Unit::Second),
        digits: digits(precision),
    })
}
