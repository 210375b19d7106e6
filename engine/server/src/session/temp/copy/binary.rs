//! The binary format of COPY: a signature, then tuples of fields with their lengths.

use bytes::Buf as _;

use super::{CopyIn, Place, malformed};
use crate::sqlstate::ServerError;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

impl CopyIn {
    /// Reads the tuples that are whole.
    pub(super) fn read_tuples(&mut self, last: bool) -> Result<(), ServerError> {
        if !self.splitter.begun && !self.signature(last)? {
            return Ok(());
        }
        while !self.ended {
            let Some(length) = self.tuple_length() else {
                // PostgreSQL takes the end of the data for the end marker too, between tuples.
                if last && self.buffer.len() >= 2 {
                    self.line += 1;
                    let at = self.whole_fields()?;
                    let error = malformed("unexpected EOF in COPY data");
                    return Err(self.located(error, Some(Place::Column(at))));
                }
                return Ok(());
            };
            self.line += 1;
            let mut tuple = self.buffer.split_to(length).freeze();
            let count = tuple.get_i16();
            if count == -1 {
                self.ended = true;
                if !self.buffer.is_empty() {
                    let error = malformed("received copy data after EOF marker");
                    return Err(self.located(error, None));
                }
                return Ok(());
            }
            if usize::try_from(count).ok() != Some(self.inputs.len()) {
                let expected = self.inputs.len();
                let text = format!("row field count is {count}, expected {expected}");
                return Err(self.located(malformed(&text), None));
            }
            for at in 0..self.inputs.len() {
                let size = usize::try_from(tuple.get_i32());
                let Some((_, _, column)) = self.inputs.get_mut(at) else {
                    continue;
                };
                let taken = match size {
                    Ok(size) => column.binary(tuple.split_to(size)),
                    Err(_) => {
                        column.null();
                        Ok(())
                    }
                };
                taken.map_err(|error| self.located(error, Some(Place::Column(at))))?;
            }
            self.end_row()?;
        }
        Ok(())
    }

    /// Reads signature, flags and header extension; false when they are not all there.
    fn signature(&mut self, last: bool) -> Result<bool, ServerError> {
        let known = SIGNATURE.len().min(self.buffer.len());
        if self.buffer[..known] != SIGNATURE[..known] || (last && known < SIGNATURE.len()) {
            return Err(malformed("COPY file signature not recognized"));
        }
        let Some(mut header) = self.buffer.get(SIGNATURE.len()..SIGNATURE.len() + 8) else {
            return match last {
                true => Err(malformed("invalid COPY file header (missing flags)")),
                false => Ok(false),
            };
        };
        let (flags, extension) = (header.get_u32(), header.get_i32());
        // Bits from the 16th on change the format.
        if flags >> 16 != 0 {
            let text = "unrecognized critical flags in COPY file header";
            return Err(malformed(text));
        }
        let extension = usize::try_from(extension)
            .map_err(|_| malformed("invalid COPY file header (wrong length)"))?;
        let whole = SIGNATURE.len() + 8 + extension;
        if self.buffer.len() < whole {
            return match last {
                true => Err(malformed("invalid COPY file header (wrong length)")),
                false => Ok(false),
            };
        }
        self.buffer.advance(whole);
        self.splitter.begun = true;
        Ok(true)
    }

    /// Reads the fields of a tuple that is not whole, up to the first that is not; returns how many those are. A
    /// wrong length makes the rest of a file look cut off: the field that has it is told of, as in PostgreSQL.
    fn whole_fields(&mut self) -> Result<usize, ServerError> {
        let mut rest = self.buffer.split_off(2).freeze();
        for at in 0..self.inputs.len() {
            if rest.len() < 4 {
                return Ok(at);
            }
            let size = usize::try_from(rest.get_i32()).unwrap_or(0);
            if rest.len() < size {
                return Ok(at);
            }
            let Some((_, _, column)) = self.inputs.get_mut(at) else {
                return Ok(at);
            };
            let taken = column.binary(rest.split_to(size));
            taken.map_err(|error| self.located(error, Some(Place::Column(at))))?;
        }
        Ok(self.inputs.len())
    }

    /// Bytes of the tuple at the front of the buffer; None when it is not whole.
    fn tuple_length(&self) -> Option<usize> {
        let mut rest = self.buffer.get(..2)?;
        let fields = rest.get_i16();
        let mut length = 2_usize;
        for _ in 0..fields.max(0) {
            let mut size = self.buffer.get(length..length + 4)?;
            length += 4;
            length += usize::try_from(size.get_i32()).unwrap_or(0);
        }
        (length <= self.buffer.len()).then_some(length)
    }
}
