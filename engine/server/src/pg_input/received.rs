//! Bytes of a value in binary, taken from the front as PostgreSQL's receive functions take them.

use bytes::{Buf as _, Bytes};

use super::utf8;
use crate::sqlstate::ServerError;

/// Digits of a numeric are of this base.
const BASE: u16 = 10_000;
/// The largest scale a numeric may show.
const SCALE_MAX: u16 = 0x3fff;

/// What of a value was not taken yet.
pub(crate) struct Received(pub(crate) Bytes);

impl Received {
    /// So many bytes.
    ///
    /// # Errors
    /// 08P01 when there are fewer.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<Bytes, ServerError> {
        match bytes <= self.0.len() {
            true => Ok(self.0.split_to(bytes)),
            false => Err(insufficient()),
        }
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> Result<u8, ServerError> {
        match self.0.is_empty() {
            true => Err(ServerError::protocol("no data left in message")),
            false => Ok(self.0.get_u8()),
        }
    }

    /// An integer of two bytes.
    pub(crate) fn i16(&mut self) -> Result<i16, ServerError> {
        self.take(2).map(|mut bytes| bytes.get_i16())
    }

    /// An integer of four bytes.
    pub(crate) fn i32(&mut self) -> Result<i32, ServerError> {
        self.take(4).map(|mut bytes| bytes.get_i32())
    }

    /// An integer of eight bytes.
    pub(crate) fn i64(&mut self) -> Result<i64, ServerError> {
        self.take(8).map(|mut bytes| bytes.get_i64())
    }

    /// An OID.
    pub(crate) fn oid(&mut self) -> Result<u32, ServerError> {
        self.take(4).map(|mut bytes| bytes.get_u32())
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }

    /// All that is left, as text.
    pub(crate) fn text(&mut self) -> Result<String, ServerError> {
        utf8(&self.rest()).map(str::to_owned)
    }

    /// The text of a jsonb, which a version stands before.
    pub(crate) fn jsonb(&mut self) -> Result<String, ServerError> {
        match self.take(1)?.get_u8() {
            1 => self.text(),
            version => {
                let text = format!("unsupported jsonb version number {version}");
                Err(ServerError::internal(text))
            }
        }
    }

    /// The 16 bytes of a UUID, as text.
    pub(crate) fn uuid(&mut self) -> Result<String, ServerError> {
        let bytes = self.take(16)?;
        let id = uuid::Uuid::from_slice(&bytes).map_err(|_| insufficient())?;
        Ok(id.hyphenated().to_string())
    }

    /// An item of an array behind its length; None for NULL.
    pub(crate) fn item(&mut self) -> Result<Option<Received>, ServerError> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok();
        match length.filter(|length| *length <= self.0.len()) {
            Some(length) => Ok(Some(Received(self.0.split_to(length)))),
            // PostgreSQL says the same under another code here.
            None => Err(format("insufficient data left in message")),
        }
    }

    /// A decimal number in text.
    ///
    /// # Errors
    /// 08P01 for too few bytes, 22P03 for a sign, a scale or a digit that is none.
    pub(crate) fn numeric(&mut self) -> Result<String, ServerError> {
        let invalid = |what: &str| format(&format!("invalid {what} in external \"numeric\" value"));
        let mut half = || self.take(2).map(|mut bytes| bytes.get_u16());
        let (groups, weight) = (half()?, half()?);
        let weight = i32::from(i16::from_ne_bytes(weight.to_ne_bytes()));
        let (sign, scale) = (half()?, half()?);
        if !matches!(sign, 0 | 0x4000 | 0xc000 | 0xd000 | 0xf000) {
            return Err(invalid("sign"));
        }
        if scale > SCALE_MAX {
            return Err(invalid("scale"));
        }
        let mut digits = Vec::with_capacity(usize::from(groups));
        for _ in 0..groups {
            let digit = half()?;
            if digit >= BASE {
                return Err(invalid("digit"));
            }
            digits.push(digit);
        }
        Ok(match sign {
            0xc000 => "NaN".to_owned(),
            0xd000 => "Infinity".to_owned(),
            0xf000 => "-Infinity".to_owned(),
            _ => decimal(&digits, weight, sign == 0x4000, usize::from(scale)),
        })
    }
}

/// The text of a number of base 10000, whose first digit is of this weight.
fn decimal(digits: &[u16], weight: i32, negative: bool, scale: usize) -> String {
    let group = |at: i32| {
        let digit = usize::try_from(at).ok().and_then(|at| digits.get(at));
        digit.copied().unwrap_or(0)
    };
    let mut text = String::new();
    for at in 0..=weight.max(0) {
        text.push_str(&format!("{:04}", if weight < 0 { 0 } else { group(at) }));
    }
    let mut fraction = String::new();
    let mut at = weight + 1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(at)));
        at += 1;
    }
    fraction.truncate(scale);
    let whole = text.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let minus = if negative { "-" } else { "" };
    let point = if scale > 0 { "." } else { "" };
    format!("{minus}{whole}{point}{fraction}")
}

fn insufficient() -> ServerError {
    ServerError::protocol("insufficient data left in message")
}

/// 22P03: no value of the type.
pub(crate) fn format(text: &str) -> ServerError {
    ServerError::new("22P03", text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn numeric(words: &[u16]) -> Result<String, ServerError> {
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_be_bytes()).collect();
        let mut received = Received(bytes.into());
        let text = received.numeric()?;
        assert!(received.0.is_empty());
        Ok(text)
    }

    #[test]
    fn binary_numerics_read_back() {
        let table: [(&[u16], &str); 9] = [
            (&[2, 0, 0, 2, 123, 4500], "123.45"),
            (&[1, 0xffff, 0, 4, 5], "0.0005"),
            (&[1, 1, 0x4000, 0, 1], "-10000"),
            (&[0, 0, 0, 0], "0"),
            // PostgreSQL cuts what the scale has no place for.
            (&[2, 0, 0, 1, 1, 9999], "1.9"),
            (&[1, 0, 0, 0, 9999], "9999"),
            (&[0, 0, 0xc000, 0], "NaN"),
            (&[0, 0, 0xd000, 0], "Infinity"),
            (&[0, 0, 0xf000, 0], "-Infinity"),
        ];
        for (words, text) in table {
            assert_eq!(numeric(words).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_numeric_is_refused() {
        let table: [(&[u16], &str, &str); 6] = [
            (&[1, 0, 0, 0, 10_000], "22P03", "digit"),
            (&[1, 0, 0, 0, 0xffff], "22P03", "digit"),
            (&[1, 0, 0x1234, 0, 1], "22P03", "sign"),
            (&[1, 0, 0, 0x4000, 1], "22P03", "scale"),
            (&[2, 0, 0, 0, 1], "08P01", "insufficient"),
            (&[1, 0], "08P01", "insufficient"),
        ];
        for (words, code, what) in table {
            let error = numeric(words).unwrap_err();
            assert_eq!(error.code(), code, "{words:?}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
