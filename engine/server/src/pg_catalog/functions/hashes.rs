//! `hashtext` and its like, by Bob Jenkins' function as PostgreSQL has it: advisory locks are often called by them.

use crate::pg_catalog::value::Value;

/// What the state begins with, beside the number of bytes.
const BEGIN: u32 = 0x9e37_79b9_u32.wrapping_add(3_923_095);

/// Calls such a function; `None` for any other name.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Value> {
    let text = || args.first().and_then(Value::as_str).unwrap_or_default();
    match name {
        "hashtext" => {
            let [.., hash] = hashed(text().as_bytes(), 0);
            Some(Value::Int(i64::from(hash.cast_signed())))
        }
        "hashtextextended" => {
            let seed = args.get(1).and_then(Value::as_int).unwrap_or_default();
            let [high, low] = hashed(text().as_bytes(), seed.cast_unsigned());
            let hash = u64::from(high) << 32 | u64::from(low);
            Some(Value::Int(hash.cast_signed()))
        }
        _ => None,
    }
}

/// The two halves of the hash of some bytes.
fn hashed(bytes: &[u8], seed: u64) -> [u32; 2] {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let begin = BEGIN.wrapping_add(length);
    let mut state = [begin; 3];
    if seed != 0 {
        let [high, low] = [seed >> 32, seed & u64::from(u32::MAX)];
        let [a, b, c] = state;
        let half = |half: u64| u32::try_from(half).unwrap_or_default();
        state = mixed([a.wrapping_add(half(high)), b.wrapping_add(half(low)), c]);
    }
    let (whole, rest) = bytes.as_chunks::<12>();
    for chunk in whole {
        state = mixed(added(state, *chunk));
    }
    let mut last = [0; 12];
    // The lowest byte of the third word is that of the length.
    let (front, back) = rest.split_at(rest.len().min(8));
    for (place, byte) in front.iter().enumerate() {
        if let Some(into) = last.get_mut(place) {
            *into = *byte;
        }
    }
    for (place, byte) in back.iter().enumerate() {
        if let Some(into) = last.get_mut(place + 9) {
            *into = *byte;
        }
    }
    let [_, b, c] = finished(added(state, last));
    [b, c]
}

fn added(state: [u32; 3], chunk: [u8; 12]) -> [u32; 3] {
    let (words, _) = chunk.as_chunks::<4>();
    let mut sums = state;
    for (sum, word) in sums.iter_mut().zip(words) {
        *sum = sum.wrapping_add(u32::from_le_bytes(*word));
    }
    sums
}

fn mixed([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    a = a.wrapping_sub(c) ^ c.rotate_left(4);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(6);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(8);
    b = b.wrapping_add(a);
    a = a.wrapping_sub(c) ^ c.rotate_left(16);
    c = c.wrapping_add(b);
    b = b.wrapping_sub(a) ^ a.rotate_left(19);
    a = a.wrapping_add(c);
    c = c.wrapping_sub(b) ^ b.rotate_left(4);
    b = b.wrapping_add(a);
    [a, b, c]
}

fn finished([mut a, mut b, mut c]: [u32; 3]) -> [u32; 3] {
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_postgres() {
        for (text, hash, extended) in HASHES {
            let args = [Value::text(text), Value::Int(42)];
            assert!(matches!(call("hashtext", &args), Some(Value::Int(found)) if found == hash));
            assert!(
                matches!(call("hashtextextended", &args), Some(Value::Int(found)) if found == extended)
            );
        }
    }

    /// What PostgreSQL gives, the second with the seed 42.
    const HASHES: [(&str, i64, i64); 5] = [
        ("", -1_477_818_771, 6_158_832_220_375_811_857),
        ("a", 1_075_015_857, 6_942_402_718_208_252_407),
        ("migrations", 331_260_518, 2_870_333_341_464_625_329),
        ("twelve bytes", 652_846_557, -3_214_413_002_113_393_671),
        (
            "a text longer than twelve bytes is",
            -765_835_024,
            8_774_440_343_304_737_912,
        ),
    ];
}
