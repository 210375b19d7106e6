//! The layout of a client's messages, looked at before they are decoded: every length lies within its message.
//!
//! The decoder trusts the lengths inside of a message; what a client says there is the client's.

/// Whether the body of a message of this kind is laid out as the protocol has it; kinds without lengths inside are.
pub(super) fn is_sound(kind: u8, body: &[u8]) -> bool {
    let mut rest = Rest(body);
    let sound = match kind {
        b'Q' | b'f' => rest.text(),
        b'P' => rest.text() && rest.text() && rest.many(4),
        b'B' => rest.text() && rest.text() && rest.many(2) && rest.values() && rest.many(2),
        b'D' | b'C' => rest.take(1) && rest.text(),
        b'E' => rest.text() && rest.take(4),
        b'F' => rest.take(4) && rest.many(2) && rest.values() && rest.take(2),
        b'S' | b'H' | b'X' | b'c' => true,
        _ => return true,
    };
    sound && rest.0.is_empty()
}

/// What of a body was not looked at yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take(&mut self, bytes: usize) -> bool {
        match self.0.get(bytes..) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// A text and the zero that ends it.
    fn text(&mut self) -> bool {
        match self.0.iter().position(|byte| *byte == 0) {
            Some(end) => self.take(end + 1),
            None => false,
        }
    }

    fn count(&mut self) -> Option<usize> {
        let [high, low, ..] = self.0 else {
            return None;
        };
        let count = u16::from_be_bytes([*high, *low]);
        self.take(2).then_some(usize::from(count))
    }

    /// A count, and so many things of this size.
    fn many(&mut self, bytes: usize) -> bool {
        self.count().is_some_and(|count| self.take(count * bytes))
    }

    /// A count, and so many values after their lengths, -1 for NULL.
    fn values(&mut self) -> bool {
        let Some(count) = self.count() else {
            return false;
        };
        (0..count).all(|_| {
            let [a, b, c, d, ..] = self.0 else {
                return false;
            };
            let length = i32::from_be_bytes([*a, *b, *c, *d]);
            self.take(4) && (length == -1 || usize::try_from(length).is_ok_and(|n| self.take(n)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lie_within_their_message() {
        let sound: [(u8, &[u8]); 6] = [
            (b'Q', b"select 1\0"),
            (b'P', b"\0select $1\0\0\x01\0\0\0\x17"),
            (
                b'B',
                b"\0\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0",
            ),
            (b'E', b"p\0\0\0\0\x01"),
            (b'd', b"anything"),
            (b'S', b""),
        ];
        for (kind, body) in sound {
            assert!(is_sound(kind, body), "{body:?}");
            if kind != b'd' && !body.is_empty() {
                assert!(!is_sound(kind, &body[..body.len() - 1]), "{body:?} cut");
                assert!(!is_sound(kind, &[body, b"x"].concat()), "{body:?} and more");
            }
        }
        assert!(!is_sound(b'B', b"\0\0\0\0\0\x01\0\0\x0b\x01x\0\0"));
        assert!(!is_sound(b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe\0\0"));
    }
}
