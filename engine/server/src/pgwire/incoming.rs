//! Messages of a client, read as PostgreSQL reads them.
//!
//! ```text
//! frame = kind (1 byte), length of itself and the body (4 bytes), body
//! ```
//! Lengths inside of a body are the client's word: each is held against what there is. A body that is not laid out as
//! the protocol has it fails its message alone, for the next frame is known; a frame that is none ends the connection.

use bytes::{Buf as _, Bytes, BytesMut};
use datafusion::execution::memory_pool::MemoryReservation;

use crate::pg_input::utf8;
use crate::session::Nth;
use crate::sqlstate::{ServerError, Severity};

/// The largest message a client may send.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Kind and length.
const HEADER_BYTES: usize = 5;
/// Kinds of messages that are sent after start-up.
const KINDS: &[u8] = b"QPBDECHSXFdcf";

/// A frame in its turn.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) kind: u8,
    /// What it says, or why it cannot be read.
    pub(super) message: Result<Message, ServerError>,
    /// What a long message takes of the server's memory while it is worked on.
    pub(super) memory: Option<MemoryReservation>,
}

/// What a client says.
#[derive(Debug)]
pub(super) enum Message {
    /// A string of statements.
    Query(String),
    /// A statement to prepare.
    Parse {
        name: String,
        query: String,
        types: Vec<u32>,
    },
    /// Values for a statement.
    Bind(Bind),
    /// Asks for parameters and columns.
    Describe(Target),
    /// Drops a statement or a portal.
    Close(Target),
    /// Runs a portal; a limit of 0 is none.
    Execute { portal: String, limit: i32 },
    /// Calls a function by its OID.
    Call,
    /// Asks for what is buffered.
    Flush,
    /// Ends a series of extended messages.
    Sync,
    /// Good-bye.
    Terminate,
    /// Bytes of a COPY.
    CopyData(Bytes),
    /// The end of a COPY.
    CopyDone,
    /// Why the client gives up a COPY.
    CopyFail(String),
}

/// Makes a portal of a statement.
#[derive(Debug)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    pub(super) value_formats: Vec<i16>,
    pub(super) values: Vec<Option<Bytes>>,
    pub(super) result_formats: Vec<i16>,
}

/// What Describe and Close are about.
#[derive(Debug)]
pub(super) enum Target {
    /// A prepared statement.
    Statement(String),
    /// A portal.
    Portal(String),
}

impl Incoming {
    /// Whether an error of it lets the server ignore what comes before the next Sync.
    pub(super) fn is_extended(kind: u8) -> bool {
        matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
    }
}

/// Kind and bytes of the frame that `buffer` begins with; None: more bytes are needed.
///
/// # Errors
/// FATAL 08P01 for what is no frame: nobody knows where the next one begins.
pub(super) fn frame(buffer: &[u8]) -> Result<Option<(u8, usize)>, ServerError> {
    let Some(kind) = buffer.first().copied() else {
        return Ok(None);
    };
    let fatal = |text: String| ServerError::protocol(text).severity(Severity::Fatal);
    if !KINDS.contains(&kind) {
        return Err(fatal(format!("invalid frontend message type {kind}")));
    }
    let Some(mut header) = buffer.get(1..5) else {
        return Ok(None);
    };
    let length = usize::try_from(header.get_u32()).unwrap_or(usize::MAX);
    if !(4..=MESSAGE_BYTES_MAX).contains(&length) {
        return Err(fatal(format!("invalid message length {length}")));
    }
    Ok(Some((kind, length + 1)))
}

/// Takes the frame of so many bytes out of a `buffer` that has it whole.
pub(super) fn take(buffer: &mut BytesMut, bytes: usize) -> Result<Message, ServerError> {
    let mut frame = buffer.split_to(bytes.min(buffer.len())).freeze();
    match frame.first().copied() {
        Some(kind) => read(kind, Body(frame.split_off(frame.len().min(HEADER_BYTES)))),
        None => Err(insufficient()),
    }
}

/// What the body of a message of this kind says.
fn read(kind: u8, mut body: Body) -> Result<Message, ServerError> {
    let message = match kind {
        b'Q' => Message::Query(body.text()?),
        b'P' => Message::Parse {
            name: body.text()?,
            query: body.text()?,
            types: body.many(Body::word)?,
        },
        b'B' => Message::Bind(body.bind()?),
        b'D' => Message::Describe(body.target("DESCRIBE")?),
        b'C' => Message::Close(body.target("CLOSE")?),
        b'E' => Message::Execute {
            portal: body.text()?,
            limit: i32::from_ne_bytes(body.word()?.to_ne_bytes()),
        },
        b'F' => {
            body.word()?;
            return Ok(Message::Call);
        }
        b'H' => Message::Flush,
        b'S' => Message::Sync,
        // PostgreSQL does not look behind what these say.
        b'X' => return Ok(Message::Terminate),
        b'd' => return Ok(Message::CopyData(body.0)),
        b'c' => return Ok(Message::CopyDone),
        b'f' => return Ok(Message::CopyFail(body.text()?)),
        _ => {
            let text = format!("invalid frontend message type {kind}");
            return Err(ServerError::protocol(text).severity(Severity::Fatal));
        }
    };
    body.end()?;
    Ok(message)
}

/// What of a body was not read yet.
pub(super) struct Body(pub(super) Bytes);

impl Body {
    /// The bytes up to a zero, which is read, too.
    pub(super) fn string(&mut self) -> Result<Bytes, ServerError> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or_else(|| ServerError::protocol("invalid string in message"))?;
        let string = self.0.split_to(end);
        self.0.advance(1);
        Ok(string)
    }

    fn text(&mut self) -> Result<String, ServerError> {
        let string = self.string()?;
        utf8(&string).map(str::to_owned)
    }

    fn take(&mut self, bytes: usize) -> Result<Bytes, ServerError> {
        match bytes <= self.0.len() {
            true => Ok(self.0.split_to(bytes)),
            false => Err(insufficient()),
        }
    }

    fn word(&mut self) -> Result<u32, ServerError> {
        self.take(4).map(|mut bytes| bytes.get_u32())
    }

    fn half(&mut self) -> Result<u16, ServerError> {
        self.take(2).map(|mut bytes| bytes.get_u16())
    }

    /// A count, and so many of these.
    fn many<T>(
        &mut self,
        item: impl Fn(&mut Body) -> Result<T, ServerError>,
    ) -> Result<Vec<T>, ServerError> {
        let count = self.half()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn formats(&mut self) -> Result<Vec<i16>, ServerError> {
        self.many(|body| {
            body.half()
                .map(|code| i16::from_ne_bytes(code.to_ne_bytes()))
        })
    }

    fn bind(&mut self) -> Result<Bind, ServerError> {
        let (portal, statement) = (self.text()?, self.text()?);
        let value_formats = self.formats()?;
        let count = self.half()?;
        let values = (1..=usize::from(count)).map(|number| {
            let portal = portal.as_str();
            let nth = Nth { portal, number };
            self.value().map_err(|error| nth.of(error))
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        Ok(Bind {
            portal,
            statement,
            value_formats,
            values,
            result_formats: self.formats()?,
        })
    }

    /// A value behind its length, -1 for NULL.
    fn value(&mut self) -> Result<Option<Bytes>, ServerError> {
        let length = i32::from_ne_bytes(self.word()?.to_ne_bytes());
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| insufficient())?;
        self.take(length).map(Some)
    }

    /// A kind and a name.
    fn target(&mut self, command: &str) -> Result<Target, ServerError> {
        if self.0.is_empty() {
            return Err(ServerError::protocol("no data left in message"));
        }
        let kind = self.0.get_u8();
        let name = self.text()?;
        self.end()?;
        match kind {
            b'S' => Ok(Target::Statement(name)),
            b'P' => Ok(Target::Portal(name)),
            _ => {
                let text = format!("invalid {command} message subtype {kind}");
                Err(ServerError::protocol(text))
            }
        }
    }

    fn end(&self) -> Result<(), ServerError> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(ServerError::protocol("invalid message format")),
        }
    }
}

fn insufficient() -> ServerError {
    ServerError::protocol("insufficient data left in message")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn framed(kind: u8, body: &[u8]) -> BytesMut {
        let length = u32::try_from(body.len() + 4).unwrap();
        BytesMut::from(&[&[kind][..], &length.to_be_bytes(), body].concat()[..])
    }

    fn said(kind: u8, body: &[u8]) -> Result<Message, ServerError> {
        let mut buffer = framed(kind, body);
        let bytes = buffer.len();
        assert_eq!(frame(&buffer).unwrap(), Some((kind, bytes)));
        let message = take(&mut buffer, bytes);
        assert!(buffer.is_empty());
        message
    }

    #[test]
    fn what_is_cut_or_has_more_behind_is_refused() {
        let sound: [(u8, &[u8]); 6] = [
            (b'Q', b"select 1\0"),
            (b'P', b"\0select $1\0\0\x01\0\0\0\x17"),
            (
                b'B',
                b"\0\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0",
            ),
            (b'E', b"p\0\0\0\0\x01"),
            (b'D', b"Sname\0"),
            (b'C', b"P\0"),
        ];
        for (kind, body) in sound {
            assert!(said(kind, body).is_ok(), "{body:?}");
            for end in 0..body.len() {
                let error = said(kind, &body[..end]).unwrap_err();
                assert_eq!(error.code(), "08P01", "{body:?} cut at {end}");
                assert!(!error.is_fatal());
            }
            let error = said(kind, &[body, b"x"].concat()).unwrap_err();
            assert_eq!(error.to_string(), "invalid message format", "{body:?}");
        }
        for body in [
            &b"\0\0\0\0\0\x01\0\0\x0b\x01x\0\0"[..],
            b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0",
        ] {
            let error = said(b'B', body).unwrap_err();
            assert_eq!(error.to_string(), "insufficient data left in message");
        }
    }

    #[test]
    fn text_is_taken_as_it_is_or_not_at_all() {
        for (kind, body) in [
            (b'Q', &b"select '\xe9'\0"[..]),
            (b'P', b"\xe9\0select 1\0\0\0"),
            (b'P', b"\0select '\xc0\x80'\0\0\0"),
            (b'B', b"\xff\0\0\0\0\0\0\0\0"),
            (b'E', b"\xed\xa0\x80\0\0\0\0\0"),
            (b'D', b"S\xf0\x9f\0"),
        ] {
            assert_eq!(said(kind, body).unwrap_err().code(), "22021", "{body:?}");
        }
        let Ok(Message::Query(text)) = said(b'Q', "select 'é\u{10ffff}'\0".as_bytes()) else {
            unreachable!("a query")
        };
        assert_eq!(text, "select 'é\u{10ffff}'");
    }

    #[test]
    fn what_is_no_frame_is_fatal() {
        for bytes in [
            &b"z"[..],
            b"p\0\0\0\x04",
            b"S\0\0\0\x03",
            b"Q\x7f\xff\xff\xff",
        ] {
            let error = frame(bytes).unwrap_err();
            assert!(error.is_fatal(), "{bytes:?}");
        }
        assert_eq!(frame(b"Q\0\0").unwrap(), None);
    }
}
