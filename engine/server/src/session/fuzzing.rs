//! What fuzzing drives: everything a client sends that this crate reads by itself.

use bytes::Bytes;

use super::{params, statement};
use crate::pg_types::PgType;
use crate::pgwire::encode::Format;

/// Types of parameters, and arrays of them.
const TYPES: [PgType; 18] = [
    PgType::BOOL,
    PgType::INT2,
    PgType::INT4,
    PgType::INT8,
    PgType::OID,
    PgType::FLOAT4,
    PgType::FLOAT8,
    PgType::NUMERIC,
    PgType::TEXT,
    PgType::BYTEA,
    PgType::DATE,
    PgType::TIME,
    PgType::TIMESTAMP,
    PgType::TIMESTAMPTZ,
    PgType::INTERVAL,
    PgType::UUID,
    PgType::JSONB,
    PgType::UNKNOWN,
];

/// Reads `bytes` as a query string, and as a value of every type in both formats. Whatever they are, it ends
/// without a panic.
pub fn drive_incoming(bytes: &[u8]) {
    if let Ok(sql) = std::str::from_utf8(bytes) {
        // A refusal is as good as a statement.
        let _ = statement::parse(sql);
    }
    let value = Bytes::copy_from_slice(bytes);
    for pg_type in TYPES {
        for format in [Format::Text, Format::Binary] {
            let _ = params::constant(Some(&value), format, pg_type);
            let _ = params::constant(Some(&value), format, pg_type.array());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values and statements whose neighbours are worth a look.
    const SEEDS: [&[u8]; 10] = [
        b"select $1::int4, 'x' from t where a = any($2) -- \n",
        b"declare c cursor for select 1; fetch 10 from c; copy (select 1) to stdout (format csv, null 'x')",
        b"{1,2,{3,\"4\\\"\"},NULL}",
        b"-1234567890123456789012345678901234567890.123e-5",
        b"\\x00ff\\",
        b"2024-02-29 12:34:56.789+09",
        b"\0\x02\0\x01\x40\0\0\x02\0\x7b\x11\x94",
        b"\0\0\0\x01\0\0\0\0\0\0\0\x17\0\0\0\x02\0\0\0\x01\0\0\0\x04\0\0\0\x07\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\x80\0\0\0",
        b"\x01{\"a\": [1, null]}",
    ];

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| -> usize {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % 1_000_003).unwrap_or(0) % below.max(1)
        };
        for round in 0..4_000 {
            let mut bytes = SEEDS[round % SEEDS.len()].to_vec();
            for _ in 0..=next(6) {
                let at = next(bytes.len());
                match next(4) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, u8::try_from(next(256)).unwrap_or(0)),
                    2 if !bytes.is_empty() => bytes[at] = u8::try_from(next(256)).unwrap_or(0),
                    _ => bytes.extend_from_within(at..),
                }
            }
            drive_incoming(&bytes);
        }
    }
}
