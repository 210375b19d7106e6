//! COPY over the wire: TO STDOUT, one row per CopyData message, and FROM STDIN.

use bytes::{BufMut, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyDone, CopyInResponse, CopyOutResponse};

use super::connection::Connection;
use super::encode::{Format, RowEncoder, patch_length};
use super::incoming::{Incoming, Message};
use super::stream::Framing;
use crate::session::statement::{CopyFormat, CopyHeader, CopyOptions};
use crate::session::{CopyIn, Rows};
use crate::sqlstate::{ServerError, Severity};

/// The signature of PGCOPY, flags and header extension length.
const BINARY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

impl Connection {
    /// Sends rows as a COPY; returns how many. An error in the middle is an ErrorResponse, after
    /// which the client knows the copy as failed.
    pub(super) async fn send_copy(
        &mut self,
        rows: Rows,
        options: CopyOptions,
    ) -> Result<u64, ServerError> {
        let format = match options.format {
            CopyFormat::Binary => Format::Binary,
            CopyFormat::Text | CopyFormat::Csv => Format::Text,
        };
        let width = rows.columns.len();
        let count =
            i16::try_from(width).map_err(|_| ServerError::internal("more than 32767 columns"))?;
        let code = i8::from(format == Format::Binary);
        let response = CopyOutResponse::new(code, count, vec![format.code(); width]);
        let names = rows
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        let framing = CopyRows::new(names, format, options)?;
        self.put(PgWireBackendMessage::CopyOutResponse(response))?;
        let sent = self.send_framed(rows, framing).await?;
        self.put(PgWireBackendMessage::CopyDone(CopyDone::new()))?;
        Ok(sent)
    }

    /// Takes the rows of a COPY FROM STDIN; returns how many. After an error what the client still sends of the copy
    /// is ignored.
    pub(super) async fn receive_copy(&mut self, mut copy: CopyIn) -> Result<u64, ServerError> {
        let format = match copy.is_binary() {
            true => Format::Binary,
            false => Format::Text,
        };
        let width = copy.width();
        let count =
            i16::try_from(width).map_err(|_| ServerError::internal("more than 32767 columns"))?;
        let code = i8::from(format == Format::Binary);
        let response = CopyInResponse::new(code, count, vec![format.code(); width]);
        self.put(PgWireBackendMessage::CopyInResponse(response))?;
        self.flush_statement().await?;
        loop {
            let Incoming {
                kind,
                message,
                memory: _held,
            } = self.next_of_copy().await?;
            match (kind, message) {
                // Drivers send them right after Execute, not knowing that it is a COPY.
                (b'H' | b'S', _) => {}
                (_, Ok(Message::CopyData(data))) => {
                    for part in data.chunks(COPY_PART) {
                        copy.push(part)?;
                        self.interrupts.race(pause()).await?;
                    }
                }
                (_, Ok(Message::CopyDone)) => return self.session.copied(copy).await,
                (_, Ok(Message::CopyFail(why))) => {
                    let text = format!("COPY from stdin failed: {why}");
                    return Err(copy.before_next_line(ServerError::new("57014", text)));
                }
                (b'd' | b'f', Err(error)) => return Err(copy.before_next_line(error)),
                (kind, _) => {
                    let text =
                        format!("unexpected message type 0x{kind:02X} during COPY from stdin");
                    let error = ServerError::protocol(text).severity(Severity::Fatal);
                    return Err(copy.before_next_line(error));
                }
            }
        }
    }
}

/// Bytes of a COPY that are read before the session looks whether it is to stop.
const COPY_PART: usize = 64 * 1024;

async fn pause() -> Result<(), ServerError> {
    tokio::task::yield_now().await;
    Ok(())
}

struct CopyRows {
    names: Vec<String>,
    formats: Vec<Format>,
    force_quote: Vec<bool>,
    /// Numbers are copied as they are printed.
    plain_numbers: bool,
    options: CopyOptions,
    /// The binary header travels with the first row, or with the trailer.
    header_due: bool,
    scratch: BytesMut,
}

impl CopyRows {
    fn new(
        names: Vec<String>,
        format: Format,
        options: CopyOptions,
    ) -> Result<CopyRows, ServerError> {
        let all = options.force_quote.iter().any(|name| name == "*");
        for name in &options.force_quote {
            if name != "*" && !names.contains(name) {
                let text = format!("column \"{name}\" does not exist");
                return Err(ServerError::new("42703", text).near(name.clone()));
            }
        }
        let force_quote = names
            .iter()
            .map(|name| all || options.force_quote.contains(name))
            .collect();
        Ok(CopyRows {
            formats: vec![format; names.len()],
            force_quote,
            header_due: options.format == CopyFormat::Binary,
            plain_numbers: numbers_are_plain(&options),
            options,
            names,
            scratch: BytesMut::new(),
        })
    }

    fn binary_header(&mut self, out: &mut BytesMut) {
        if std::mem::take(&mut self.header_due) {
            out.put_slice(BINARY_HEADER);
        }
    }

    fn header_row(&self, out: &mut BytesMut) {
        for (column, name) in self.names.iter().enumerate() {
            if column > 0 {
                out.put_u8(self.options.delimiter);
            }
            // FORCE QUOTE is about values.
            field(name.as_bytes(), &self.options, false, out);
        }
        out.put_u8(b'\n');
    }
}

/// A value of text or csv that is not NULL.
fn field(value: &[u8], options: &CopyOptions, forced: bool, out: &mut BytesMut) {
    if options.format == CopyFormat::Csv {
        csv_field(value, options, forced, out);
    } else {
        text_field(value, options.delimiter, out);
    }
}

/// Whether no number needs a quote or an escape: it holds nothing that the options give a meaning.
fn numbers_are_plain(options: &CopyOptions) -> bool {
    matches!(options.delimiter, b'\t' | b',' | b';' | b'|' | b':' | b' ')
        && matches!(options.null.as_str(), "" | "\\N" | "NULL")
        && matches!(
            (options.quote, options.escape),
            (b'"' | b'\'', b'"' | b'\'' | b'\\')
        )
}

/// Wraps what `write` appends in one CopyData message.
fn copy_data(
    out: &mut BytesMut,
    write: impl FnOnce(&mut BytesMut) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    out.put_u8(b'd');
    let start = out.len();
    out.put_i32(0);
    write(out)?;
    patch_length(out, start, start)
}

impl Framing for CopyRows {
    fn formats(&self) -> &[Format] {
        &self.formats
    }

    fn begin(&mut self, out: &mut BytesMut) -> Result<(), ServerError> {
        if self.options.header == CopyHeader::None {
            return Ok(());
        }
        copy_data(out, |out| {
            self.header_row(out);
            Ok(())
        })
    }

    fn row(
        &mut self,
        rows: &mut RowEncoder,
        row: usize,
        out: &mut BytesMut,
    ) -> Result<(), ServerError> {
        let start = out.len();
        let written = copy_data(out, |out| {
            if self.options.format == CopyFormat::Binary {
                self.binary_header(out);
                return rows.fields(row, out);
            }
            for column in 0..rows.width() {
                if column > 0 {
                    out.put_u8(self.options.delimiter);
                }
                if rows.is_null(column, row) {
                    out.put_slice(self.options.null.as_bytes());
                    continue;
                }
                let forced = self.force_quote.get(column).copied().unwrap_or(false);
                let plain = self.plain_numbers && !forced;
                let options = &self.options;
                rows.with_text(column, row, &mut self.scratch, |value, is_number| {
                    if plain && is_number {
                        out.put_slice(value);
                    } else {
                        field(value, options, forced, out);
                    }
                })?;
            }
            out.put_u8(b'\n');
            Ok(())
        });
        // Half a message must not reach the client before the error does.
        written.inspect_err(|_| out.truncate(start))
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), ServerError> {
        if self.options.format != CopyFormat::Binary {
            return Ok(());
        }
        copy_data(out, |out| {
            self.binary_header(out);
            out.put_i16(-1);
            Ok(())
        })
    }
}

/// Backslash escapes of the text format.
fn text_field(value: &[u8], delimiter: u8, out: &mut BytesMut) {
    let mut rest = value;
    // Whole runs at once: most values need no escape.
    while let Some(at) = rest
        .iter()
        .position(|byte| escape(*byte, delimiter).is_some())
    {
        let (run, found) = rest.split_at(at);
        out.put_slice(run);
        if let [byte, after @ ..] = found {
            out.put_u8(b'\\');
            out.put_u8(escape(*byte, delimiter).unwrap_or(*byte));
            rest = after;
        }
    }
    out.put_slice(rest);
}

/// What stands after the backslash for a byte that is escaped.
#[inline]
fn escape(byte: u8, delimiter: u8) -> Option<u8> {
    match byte {
        b'\\' => Some(b'\\'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x08 => Some(b'b'),
        0x0b => Some(b'v'),
        0x0c => Some(b'f'),
        other => (other == delimiter).then_some(other),
    }
}

fn csv_field(value: &[u8], options: &CopyOptions, forced: bool, out: &mut BytesMut) {
    let special = |byte: &u8| {
        matches!(byte, b'\n' | b'\r') || *byte == options.delimiter || *byte == options.quote
    };
    let quoted =
        forced || value == options.null.as_bytes() || value == b"\\." || value.iter().any(special);
    if !quoted {
        return out.put_slice(value);
    }
    out.put_u8(options.quote);
    for byte in value {
        if *byte == options.quote || *byte == options.escape {
            out.put_u8(options.escape);
        }
        out.put_u8(*byte);
    }
    out.put_u8(options.quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(format: CopyFormat) -> CopyOptions {
        CopyOptions {
            format,
            header: CopyHeader::None,
            delimiter: b',',
            null: String::new(),
            quote: b'"',
            escape: b'"',
            force_quote: Vec::new(),
            force_null: Vec::new(),
            force_not_null: Vec::new(),
        }
    }

    #[test]
    fn csv_quotes_what_would_be_read_differently() {
        for (value, written) in [
            ("a", "a"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("a\"b", "\"a\"\"b\""),
            ("x\ny", "\"x\ny\""),
        ] {
            let mut out = BytesMut::new();
            csv_field(value.as_bytes(), &options(CopyFormat::Csv), false, &mut out);
            assert_eq!(out, written.as_bytes());
        }
    }

    #[test]
    fn numbers_are_plain_where_options_do_not_touch_them() {
        assert!(numbers_are_plain(&options(CopyFormat::Csv)));
        for odd in [
            CopyOptions {
                delimiter: b'-',
                ..options(CopyFormat::Text)
            },
            CopyOptions {
                null: "0".to_owned(),
                ..options(CopyFormat::Csv)
            },
            CopyOptions {
                quote: b'1',
                ..options(CopyFormat::Csv)
            },
        ] {
            assert!(!numbers_are_plain(&odd));
        }
    }

    #[test]
    fn text_escapes_control_characters() {
        let mut out = BytesMut::new();
        text_field(b"a\tb\\c\n", b'\t', &mut out);
        assert_eq!(out, &b"a\\tb\\\\c\\n"[..]);
        out.clear();
        text_field(b"\x08plain|\x0b\x0c\r", b'|', &mut out);
        assert_eq!(out, &b"\\bplain\\|\\v\\f\\r"[..]);
    }

    #[test]
    fn binary_header_is_nineteen_bytes() {
        assert_eq!(BINARY_HEADER.len(), 19);
    }
}
