//! Typed values of BCF: a descriptor byte (`length << 4 | type`), then the items.
//!
//! Whole numbers take the narrowest width that holds all of them; a vector shorter than its column is
//! filled with end-of-vector codes.

/// Types of a descriptor.
pub(crate) const NULL: u8 = 0;
const INT8: u8 = 1;
const INT16: u8 = 2;
const INT32: u8 = 3;
const FLOAT: u8 = 5;
pub(crate) const CHAR: u8 = 7;

const MISSING: i32 = i32::MIN;
const END: i32 = i32::MIN + 1;
/// Smallest number that is no code: eight are reserved in each width.
const LEAST: i64 = i32::MIN as i64 + 8;
/// Bits of a missing float.
pub(crate) const FLOAT_MISSING: u32 = 0x7F80_0001;
const FLOAT_END: u32 = 0x7F80_0002;
const FLOAT_NAN: u32 = 0x7FC0_0000;

/// Appends a descriptor.
pub(crate) fn descriptor(length: usize, kind: u8, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(length) if length < 15 => out.push(length << 4 | kind),
        _ => {
            out.push(15 << 4 | kind);
            integers(&[i32::try_from(length).unwrap_or(i32::MAX)], 1, out);
        }
    }
}

/// Appends a text.
pub(crate) fn text(text: &[u8], out: &mut Vec<u8>) {
    descriptor(text.len(), CHAR, out);
    out.extend_from_slice(text);
}

/// Appends texts of equal length, each filled up with NUL.
pub(crate) fn padded_texts(texts: &[u8], lengths: &[usize], out: &mut Vec<u8>) {
    let longest = lengths.iter().copied().max().unwrap_or(0).max(1);
    descriptor(longest, CHAR, out);
    let mut at = 0;
    for &length in lengths {
        let end = out.len() + longest;
        out.extend_from_slice(&texts[at..at + length]);
        out.resize(end, 0);
        at += length;
    }
}

/// Appends whole numbers, `per_value` of them to a value, in the narrowest width.
pub(crate) fn integers(numbers: &[i32], per_value: usize, out: &mut Vec<u8>) {
    let known = numbers
        .iter()
        .copied()
        .filter(|n| *n != MISSING && *n != END);
    let (least, most) = known.fold((0, 0), |(least, most), n| (n.min(least), n.max(most)));
    if least >= -120 && most <= 127 {
        descriptor(per_value, INT8, out);
        out.extend(numbers.iter().map(|n| narrow(*n, -128)[0]));
    } else if least >= -32_760 && most <= 32_767 {
        descriptor(per_value, INT16, out);
        for n in numbers {
            out.extend_from_slice(&narrow(*n, -32_768)[..2]);
        }
    } else {
        descriptor(per_value, INT32, out);
        for n in numbers {
            out.extend_from_slice(&n.to_le_bytes());
        }
    }
}

/// The low bytes of a number or of its code in a width whose smallest number is `missing`.
#[inline]
fn narrow(n: i32, missing: i32) -> [u8; 4] {
    match n {
        MISSING => missing.to_le_bytes(),
        END => (missing + 1).to_le_bytes(),
        n => n.to_le_bytes(),
    }
}

/// Numbers of one value, or of a column: some for each sample.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    /// Whole numbers, or the bits of floats.
    items: Vec<i32>,
    /// Where the numbers of each value end.
    ends: Vec<usize>,
    longest: usize,
    laid: Vec<i32>,
}

impl Numbers {
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.ends.clear();
        self.longest = 0;
    }

    fn end(&mut self) {
        let start = self.ends.last().copied().unwrap_or(0);
        self.longest = self.longest.max(self.items.len() - start);
        self.ends.push(self.items.len());
    }

    pub(crate) fn push_missing(&mut self, is_float: bool) {
        self.items.push(if is_float {
            FLOAT_MISSING.cast_signed()
        } else {
            MISSING
        });
        self.end();
    }

    pub(crate) fn push_integer(&mut self, value: Option<i32>) {
        self.items.push(value.unwrap_or(MISSING));
    }

    pub(crate) fn push_float(&mut self, value: Option<f32>) {
        let bits = match value {
            None => FLOAT_MISSING,
            Some(value) if value.is_nan() => FLOAT_NAN,
            Some(value) => value.to_bits(),
        };
        self.items.push(bits.cast_signed());
    }

    /// Ends the `n` numbers of a sample; none stands for one that is missing.
    pub(crate) fn end_sample(&mut self, n: usize, is_float: bool) {
        match n {
            0 => self.push_missing(is_float),
            _ => self.end(),
        }
    }

    /// One value of whole numbers from its text; gives how many items are none.
    pub(crate) fn push_integers(&mut self, text: &[u8]) -> u64 {
        let mut misfits = 0;
        for item in text.split(|b| *b == b',') {
            let number = leading_integer(item);
            let whole = number.is_some_and(|(_, length)| length == item.len());
            let fits = number
                .map(|(n, _)| n)
                .filter(|n| (LEAST..=i64::from(i32::MAX)).contains(n));
            misfits += u64::from(item != b"." && (!whole || fits.is_none()));
            self.items
                .push(fits.and_then(|n| i32::try_from(n).ok()).unwrap_or(MISSING));
        }
        self.end();
        misfits
    }

    /// One value of floats from its text; gives how many items are none.
    pub(crate) fn push_floats(&mut self, text: &[u8]) -> u64 {
        let mut misfits = 0;
        for item in text.split(|b| *b == b',') {
            let number = leading_float(item);
            let whole = number.is_some_and(|(_, length)| length == item.len());
            misfits += u64::from(item != b"." && !whole);
            self.push_float(number.map(|(value, _)| value));
        }
        self.end();
        misfits
    }

    /// A genotype: for each allele `(number + 1) << 1`, the lowest bit set when it is phased with the
    /// one before it (the first one when the text says so).
    pub(crate) fn push_genotype(&mut self, text: &[u8]) {
        if let [a @ b'0'..=b'9', separator @ (b'|' | b'/'), b @ b'0'..=b'9'] = *text {
            let code = |digit: u8| i32::from(digit - b'0' + 1) << 1;
            self.items.push(code(a));
            self.items.push(code(b) | i32::from(separator == b'|'));
            return self.end();
        }
        let mut phased = 0;
        let mut rest = text;
        if let [separator @ (b'|' | b'/'), alleles @ ..] = text {
            phased = i32::from(*separator == b'|');
            rest = alleles;
        }
        loop {
            let length = rest.iter().position(|b| matches!(b, b'|' | b'/'));
            let allele = &rest[..length.unwrap_or(rest.len())];
            let number = crate::calls::allele_number(allele).and_then(|n| i32::try_from(n).ok());
            self.items
                .push(number.map_or(0, |n| n.saturating_add(1) << 1) | phased);
            let Some(length) = length else { break };
            phased = i32::from(rest[length] == b'|');
            rest = &rest[length + 1..];
        }
        self.end();
    }

    /// All values, each filled up to the longest.
    fn lay(&mut self, end: i32) -> usize {
        let longest = self.longest.max(1);
        if self.items.len() == longest * self.ends.len() {
            return longest;
        }
        self.laid.clear();
        let mut start = 0;
        for &stop in &self.ends {
            let filled = self.laid.len() + longest;
            self.laid.extend_from_slice(&self.items[start..stop]);
            self.laid.resize(filled, end);
            start = stop;
        }
        std::mem::swap(&mut self.items, &mut self.laid);
        longest
    }

    pub(crate) fn write_integers(&mut self, out: &mut Vec<u8>) {
        let longest = self.lay(END);
        integers(&self.items, longest, out);
    }

    pub(crate) fn write_floats(&mut self, out: &mut Vec<u8>) {
        let longest = self.lay(FLOAT_END.cast_signed());
        descriptor(longest, FLOAT, out);
        for bits in &self.items {
            out.extend_from_slice(&bits.to_le_bytes());
        }
    }
}

/// The whole number that a text begins with, and its length; saturated when it is very long.
fn leading_integer(text: &[u8]) -> Option<(i64, usize)> {
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = text[sign..].iter().take_while(|b| b.is_ascii_digit());
    let mut length = sign;
    let mut value = 0i64;
    for digit in digits {
        value = value
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'));
        length += 1;
    }
    let value = if text.first() == Some(&b'-') {
        -value
    } else {
        value
    };
    (length > sign).then_some((value, length))
}

/// The number that a text begins with, and its length.
fn leading_float(text: &[u8]) -> Option<(f32, usize)> {
    let text = std::str::from_utf8(text).ok()?;
    let parse = |text: &str| -> Option<f32> {
        let wide: f64 = text.parse().ok()?;
        // A finite number beyond 32 bits is infinite for htslib as well.
        #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest f32")]
        let narrow = wide as f32;
        Some(text.parse::<f32>().unwrap_or(narrow))
    };
    if let Some(value) = parse(text) {
        return Some((value, text.len()));
    }
    let ends = (1..text.len())
        .rev()
        .filter(|end| text.is_char_boundary(*end));
    ends.take(64)
        .find_map(|end| Some((parse(&text[..end])?, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genotypes_are_as_the_specification_has_them() {
        for (text, expected) in [
            ("0/1", vec![2, 4]),
            ("0|1", vec![2, 5]),
            ("./.", vec![0, 0]),
            (".|.", vec![0, 1]),
            ("1", vec![4]),
            (".", vec![0]),
            ("0/1|12", vec![2, 4, 27]),
            ("|0/1", vec![3, 4]),
        ] {
            let mut numbers = Numbers::default();
            numbers.push_genotype(text.as_bytes());
            assert_eq!(numbers.items, expected, "{text}");
        }
    }

    #[test]
    fn columns_are_filled_and_narrow() {
        let mut numbers = Numbers::default();
        assert_eq!(numbers.push_integers(b"1,."), 0);
        assert_eq!(numbers.push_integers(b"300"), 0);
        assert_eq!(numbers.push_integers(b"5x"), 1);
        let mut out = Vec::new();
        numbers.write_integers(&mut out);
        let expected = [0x22, 1, 0, 0, 0x80, 0x2c, 1, 1, 0x80, 5, 0, 1, 0x80];
        assert_eq!(out, expected);
        out.clear();
        numbers.clear();
        assert_eq!(numbers.push_floats(b"0.5,.") + numbers.push_floats(b"x"), 1);
        numbers.write_floats(&mut out);
        let bits = [0x3f00_0000u32, FLOAT_MISSING, FLOAT_MISSING, FLOAT_END];
        let mut expected = vec![0x25];
        bits.iter()
            .for_each(|b| expected.extend_from_slice(&b.to_le_bytes()));
        assert_eq!(out, expected);
        out.clear();
        text(&[b'A'; 20], &mut out);
        assert_eq!(out[..3], [0xf7, 0x11, 20]);
        out.clear();
        padded_texts(b"abc.", &[3, 1], &mut out);
        assert_eq!(out, *b"\x37abc.\0\0");
    }
}
