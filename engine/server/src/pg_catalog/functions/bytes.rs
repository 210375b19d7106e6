//! Functions of bytes: `encode`, `decode`, `convert_from`, `convert_to`, single bytes and bits of them, and how many a value
//! has.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::number_read::number_read;
use crate::pg_catalog::builtin::Function;
use crate::pg_catalog::error::{CatalogError, Result};
use crate::pg_catalog::numeric::Numeric;
use crate::pg_catalog::value::Value;
use crate::pg_input::utf8;

/// Characters of a line of base64.
const LINE: usize = 76;

pub(super) fn call(function: &Function, args: &[Value]) -> Result<Option<Value>> {
    let text = |at: usize| args.get(at).and_then(Value::as_str).unwrap_or_default();
    let bytes = || match args.first() {
        Some(Value::Bytes(bytes)) => bytes.to_vec(),
        _ => text(0).as_bytes().to_vec(),
    };
    Ok(Some(match function.name.as_str() {
        "encode" => Value::text(encode(&bytes(), text(1))?),
        "decode" => Value::Bytes(decode(text(0), text(1))?.into()),
        "convert_from" => Value::text(from_encoding(&bytes(), text(1))?),
        "convert_to" => Value::Bytes(to_encoding(text(0), text(1))?.into()),
        "convert" => {
            let decoded = from_encoding(&bytes(), text(1))?;
            Value::Bytes(to_encoding(&decoded, text(2))?.into())
        }
        "bit_count" | "get_byte" | "get_bit" | "set_byte" | "set_bit"
            if !matches!(args.first(), Some(Value::Bytes(_))) =>
        {
            // Strings of bits.
            return Ok(None);
        }
        "bit_count" => {
            let ones = bytes().into_iter().map(|byte| i64::from(byte.count_ones()));
            Value::Int(ones.sum())
        }
        "get_byte" | "get_bit" | "set_byte" | "set_bit" => {
            let number = |at: usize| args.get(at).and_then(Value::as_int).unwrap_or_default();
            single(&function.name, bytes(), number(1), number(2))?
        }
        "to_number" if text(1).is_empty() => Value::Null,
        "to_number" => {
            let number = number_read(text(0), text(1))?;
            let message = format!("invalid input syntax for type numeric: \"{number}\"");
            let number = Numeric::parse(number.trim());
            Value::Numeric(number.ok_or_else(|| CatalogError::new("22P02", message))?)
        }
        _ => return Ok(None),
    }))
}

/// One byte or bit of a value, or the value with another in its place. The first bit of a byte is its lowest.
fn single(name: &str, mut bytes: Vec<u8>, index: i64, new: i64) -> Result<Value> {
    let of_bits = name.ends_with("bit");
    let count = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let count = if of_bits {
        count.saturating_mul(8)
    } else {
        count
    };
    let place = if of_bits { index / 8 } else { index };
    let place = usize::try_from(place).ok().filter(|_| index >= 0);
    let Some(byte) = place.and_then(|place| bytes.get_mut(place)) else {
        let text = format!("index {index} out of valid range, 0..{}", count - 1);
        return Err(CatalogError::new("2202E", text));
    };
    let bit = 1u8 << (index.rem_euclid(8));
    match name {
        "get_byte" => return Ok(Value::Int(i64::from(*byte))),
        "get_bit" => return Ok(Value::Int(i64::from(*byte & bit != 0))),
        "set_byte" => *byte = u8::try_from(new.rem_euclid(256)).unwrap_or_default(),
        _ => match new {
            0 => *byte &= !bit,
            1 => *byte |= bit,
            _ => return Err(CatalogError::new("22023", "new bit must be 0 or 1")),
        },
    }
    Ok(Value::Bytes(bytes.into()))
}

fn unrecognized(format: &str) -> CatalogError {
    CatalogError::new("22023", format!("unrecognized encoding: \"{format}\""))
}

fn encode(bytes: &[u8], format: &str) -> Result<String> {
    Ok(match format.to_ascii_lowercase().as_str() {
        "hex" => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        "escape" => {
            let shown = |byte: &u8| match byte {
                b'\\' => "\\\\".to_owned(),
                1..=0x7f => char::from(*byte).to_string(),
                byte => format!("\\{byte:03o}"),
            };
            bytes.iter().map(shown).collect()
        }
        "base64" => {
            let all = STANDARD.encode(bytes);
            let lines = all.as_bytes().chunks(LINE);
            let lines: Vec<String> = lines
                .map(|line| line.iter().map(|byte| char::from(*byte)).collect())
                .collect();
            lines.join("\n")
        }
        _ => return Err(unrecognized(format)),
    })
}

fn decode(text: &str, format: &str) -> Result<Vec<u8>> {
    match format.to_ascii_lowercase().as_str() {
        "hex" => of_hex(text),
        "escape" => of_escape(text),
        "base64" => {
            let space = |c: &char| !matches!(c, ' ' | '\t' | '\n' | '\r');
            let packed: String = text.chars().filter(space).collect();
            let of = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
            if let Some(other) = packed.chars().find(|c| !of(c)) {
                let text =
                    format!("invalid symbol \"{other}\" found while decoding base64 sequence");
                return Err(CatalogError::new("22023", text));
            }
            STANDARD.decode(packed).map_err(|_| {
                CatalogError::new("22023", "invalid base64 end sequence")
                    .hint("Input data is missing padding, is truncated, or is otherwise corrupted.")
            })
        }
        _ => Err(unrecognized(format)),
    }
}

fn of_hex(text: &str) -> Result<Vec<u8>> {
    let mut digits = text
        .chars()
        .filter(|c| !matches!(c, ' ' | '\t' | '\n' | '\r'));
    let digit = |c: char| {
        let value = c.to_digit(16).and_then(|value| u8::try_from(value).ok());
        let wrong = || CatalogError::new("22023", format!("invalid hexadecimal digit: \"{c}\""));
        value.ok_or_else(wrong)
    };
    let mut bytes = Vec::with_capacity(text.len() / 2);
    while let Some(first) = digits.next() {
        let high = digit(first)?;
        let odd = || CatalogError::new("22023", "invalid hexadecimal data: odd number of digits");
        bytes.push(high * 16 + digit(digits.next().ok_or_else(odd)?)?);
    }
    Ok(bytes)
}

fn of_escape(text: &str) -> Result<Vec<u8>> {
    let wrong = || CatalogError::new("22P02", "invalid input syntax for type bytea");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let octal = |byte: Option<u8>, most: u8| match byte {
            Some(digit @ b'0'..=b'7') if digit - b'0' <= most => Ok(digit - b'0'),
            _ => Err(wrong()),
        };
        match rest.next() {
            Some(b'\\') => bytes.push(b'\\'),
            first => {
                let high = octal(first, 3)?;
                let (middle, low) = (octal(rest.next(), 7)?, octal(rest.next(), 7)?);
                bytes.push(high * 64 + middle * 8 + low);
            }
        }
    }
    Ok(bytes)
}

/// An encoding that texts are read from and written in.
enum Encoding {
    Utf8,
    Latin1,
    Ascii,
}

/// The encoding of a name, in which only letters and digits count.
fn encoding(name: &str, role: &str) -> Result<Encoding> {
    let word: String = name
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    Ok(match word.as_str() {
        "utf8" | "unicode" => Encoding::Utf8,
        "latin1" | "iso88591" => Encoding::Latin1,
        "sqlascii" => Encoding::Ascii,
        "" => return Err(unknown(name, role)),
        known if KNOWN.contains(&known) => {
            let text = format!("the encoding \"{name}\" is not supported");
            return Err(CatalogError::new("0A000", text));
        }
        _ => return Err(unknown(name, role)),
    })
}

/// Encodings that PostgreSQL has and that are not read here.
const KNOWN: [&str; 14] = [
    "latin2", "latin3", "latin4", "latin5", "latin9", "win1250", "win1251", "win1252", "koi8r",
    "sjis", "euc_jp", "eucjp", "gbk", "big5",
];

fn unknown(name: &str, role: &str) -> CatalogError {
    CatalogError::new("22023", format!("invalid {role} encoding name \"{name}\""))
}

fn from_encoding(bytes: &[u8], name: &str) -> Result<String> {
    match encoding(name, "source")? {
        Encoding::Latin1 => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Encoding::Utf8 | Encoding::Ascii => {
            let text = utf8(bytes).map_err(|error| CatalogError::of(&error))?;
            Ok(text.to_owned())
        }
    }
}

fn to_encoding(text: &str, name: &str) -> Result<Vec<u8>> {
    match encoding(name, "destination")? {
        Encoding::Utf8 | Encoding::Ascii => Ok(text.as_bytes().to_vec()),
        Encoding::Latin1 => {
            let byte = |c: char| u8::try_from(u32::from(c)).map_err(|_| untranslatable(c));
            text.chars().map(byte).collect()
        }
    }
}

fn untranslatable(c: char) -> CatalogError {
    let mut room = [0; 4];
    let bytes = c.encode_utf8(&mut room).bytes();
    let shown: Vec<String> = bytes.map(|byte| format!("0x{byte:02x}")).collect();
    let text = format!(
        "character with byte sequence {} in encoding \"UTF8\" has no equivalent in encoding \"LATIN1\"",
        shown.join(" ")
    );
    CatalogError::new("22P05", text)
}

/// Bytes that a value takes in a row of PostgreSQL, uncompressed: those of its type, or of its text with their length.
pub(super) fn size(value: &Value, pg_type: crate::pg_types::PgType, text: Option<&str>) -> Value {
    if pg_type.len > 0 {
        return Value::Int(pg_type.len.into());
    }
    let length = match value {
        Value::Bytes(bytes) => bytes.len(),
        _ => text.map_or(0, str::len),
    };
    // Short ones have their length in one byte.
    let head = if length < 127 { 1 } else { 4 };
    Value::Int(i64::try_from(length + head).unwrap_or(i64::MAX))
}
