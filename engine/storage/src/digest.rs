//! Content digests: SHA-256 of a stream of bytes, as text `sha256:<hex>`.

use ring::digest::{Context, SHA256};

/// Digest of a stream of bytes, fed piece by piece; how the pieces are cut does not matter.
#[derive(Clone)]
pub struct ContentDigest {
    hasher: Context,
    bytes: u64,
}

impl Default for ContentDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContentDigest")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl ContentDigest {
    /// A digest of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hasher: Context::new(&SHA256),
            bytes: 0,
        }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Number of bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The digest as `sha256:` and 64 hexadecimal digits in lower case.
    #[must_use]
    pub fn finish(self) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(71);
        text.push_str("sha256:");
        for byte in self.hasher.finish().as_ref() {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Digest of one piece of bytes.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let mut digest = ContentDigest::new();
    digest.update(bytes);
    digest.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_does_not_matter() {
        let mut pieces = ContentDigest::new();
        pieces.update(b"ab");
        pieces.update(b"c");
        assert_eq!(pieces.bytes(), 3);
        // FIPS 180-4 example.
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(pieces.finish(), expected);
        assert_eq!(digest(b"abc"), expected);
    }
}
