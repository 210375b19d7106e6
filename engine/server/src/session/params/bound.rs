//! Values of a Bind message: each error says which of them it is about.

use bytes::Bytes;
use datafusion::sql::sqlparser::ast::Expr;

use super::binary::of_binary;
use super::values::{null_of, of_text};
use crate::pg_input::{self, Received, bad_format};
use crate::pg_types::PgType;
use crate::pgwire::encode::Format;
use crate::sqlstate::ServerError;

/// A value by its place.
#[derive(Clone, Copy)]
pub(crate) struct Nth<'a> {
    /// The portal it is for.
    pub(crate) portal: &'a str,
    /// Counted from one.
    pub(crate) number: usize,
}

impl Nth<'_> {
    /// The value as a constant expression.
    ///
    /// # Errors
    /// As [`constant`](super::constant), with the parameter.
    pub(crate) fn constant(
        self,
        value: Option<&Bytes>,
        format: Format,
        pg_type: PgType,
    ) -> Result<Expr, ServerError> {
        let Some(value) = value else {
            return Ok(null_of(pg_type));
        };
        if format == Format::Text {
            let text = pg_input::utf8(value).map_err(|error| self.of(error))?;
            return of_text(text, pg_type).map_err(|error| self.of_text(error));
        }
        let mut received = Received(value.clone());
        let read = of_binary(&mut received, pg_type).map_err(|error| self.of(error))?;
        if received.0.is_empty() {
            return Ok(read);
        }
        let text = format!(
            "incorrect binary data format in bind parameter {}",
            self.number
        );
        Err(self.of(bad_format(&text)))
    }

    /// The error with the parameter as its context.
    pub(crate) fn of(self, error: ServerError) -> ServerError {
        error.within(self.told())
    }

    /// As [`Nth::of`], of a value in text. As in PostgreSQL without `log_parameter_max_length_on_error` the text itself
    /// is not repeated.
    fn of_text(self, error: ServerError) -> ServerError {
        error.within(format!("{} = '...'", self.told()))
    }

    fn told(self) -> String {
        let number = self.number;
        match self.portal {
            "" => format!("unnamed portal parameter ${number}"),
            named => format!("portal \"{named}\" parameter ${number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bad_values_are_refused_by_type() {
        let nth = Nth {
            portal: "",
            number: 2,
        };
        let of = |value: &'static [u8], format, pg_type| {
            let value = Bytes::from_static(value);
            nth.constant(Some(&value), format, pg_type).unwrap_err()
        };
        let table: [(&[u8], Format, PgType, &str, &str); 9] = [
            (b"x", Format::Text, PgType::INT4, "22P02", "invalid input"),
            (b"a\0", Format::Text, PgType::TEXT, "22021", ": 0x00"),
            (b"x", Format::Binary, PgType::INT4, "08P01", "insufficient"),
            (
                b"12345",
                Format::Binary,
                PgType::INT4,
                "22P03",
                "parameter 2",
            ),
            (b"", Format::Binary, PgType::BOOL, "08P01", "no data left"),
            (b"a\0", Format::Binary, PgType::TEXT, "22021", ": 0x00"),
            (b"\xe9", Format::Binary, PgType::VARCHAR, "22021", ": 0xe9"),
            (
                b"\x02{}",
                Format::Binary,
                PgType::JSONB,
                "XX000",
                "number 2",
            ),
            (b"ab", Format::Binary, PgType::CHAR, "22P03", "parameter 2"),
        ];
        for (value, format, pg_type, code, message) in table {
            let error = of(value, format, pg_type);
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(message), "{error}");
            let told = error.to_error_info().where_context.unwrap();
            assert!(told.starts_with("unnamed portal parameter $2"), "{told}");
        }
    }
}
