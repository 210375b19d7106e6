//! Bytes of a client as text.

use crate::sqlstate::ServerError;

/// Bytes as the text that they are.
///
/// # Errors
/// 22021 for bytes that are not UTF-8, and for a zero, which no text has.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, ServerError> {
    let text = std::str::from_utf8(bytes);
    let zero = match &text {
        Ok(text) => text.find('\0'),
        Err(error) => {
            let sound = bytes.iter().take(error.valid_up_to());
            let zero = sound.copied().position(|byte| byte == 0);
            zero.or(Some(error.valid_up_to()))
        }
    };
    match (zero, text) {
        (None, Ok(text)) => Ok(text),
        (bad, _) => {
            let bad = bad.and_then(|at| bytes.get(at..));
            Err(not_utf8(bad.unwrap_or_default()))
        }
    }
}

/// 22021 with the bytes of a character that is none: as many as its first byte announces.
fn not_utf8(bad: &[u8]) -> ServerError {
    let length = match bad.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf7) => 4,
        _ => 1,
    };
    let shown = bad.iter().take(length).map(|byte| format!("0x{byte:02x}"));
    let shown: Vec<String> = shown.collect();
    let message = format!(
        "invalid byte sequence for encoding \"UTF8\": {}",
        shown.join(" ")
    );
    ServerError::new("22021", message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_first_bad_character_is_told() {
        let table: [(&[u8], &str); 6] = [
            (b"\xe9')", "0xe9 0x27 0x29"),
            (b"a\xff", "0xff"),
            (b"a\0b\xff", "0x00"),
            (b"\xff\0", "0xff"),
            (b"\xc3\xa9\xf0\x9f\x98", "0xf0 0x9f 0x98"),
            (b"\xf5\x80\x80\x80 ", "0xf5 0x80 0x80 0x80"),
        ];
        for (bytes, shown) in table {
            let error = utf8(bytes).unwrap_err();
            assert_eq!(error.code(), "22021");
            assert!(
                error.to_string().ends_with(&format!(": {shown}")),
                "{error}"
            );
        }
        assert_eq!(utf8("é\u{10ffff}".as_bytes()).unwrap(), "é\u{10ffff}");
    }
}
