//! Whole numbers that do not read back from a float.
//!
//! Readers of a VCF show six digits of a float (htslib prints `%g`), a BCF holds 24 bits of one. A key
//! that one input defines as Integer and another as Float is a float in an export only while none of
//! its whole numbers has more than six digits.

use genokura_exec::records::{LoadedRecords, RecordView};

use crate::error::Result;
use crate::site::write_value_of;

/// Kind and ID of an INFO or FORMAT key.
type Key = (String, String);

/// The keys of which some record of a group holds such a number, and the others.
pub(crate) fn numbers(group: &LoadedRecords, keys: Vec<Key>) -> Result<(Vec<Key>, Vec<Key>)> {
    let mut scratch = Vec::new();
    let (mut long, mut rest) = (Vec::new(), Vec::new());
    for key in keys {
        let mut is_long = false;
        for record in (0..group.len()).filter_map(|i| group.get(i)) {
            is_long = holds(&record, &key, &mut scratch)?;
            if is_long {
                break;
            }
        }
        match is_long {
            true => long.push(key),
            false => rest.push(key),
        }
    }
    Ok((long, rest))
}

fn holds(record: &RecordView<'_>, (kind, id): &Key, scratch: &mut Vec<u8>) -> Result<bool> {
    if kind == "INFO" {
        scratch.clear();
        write_value_of(record, id, scratch);
        return Ok(has_long(scratch));
    }
    for part in record.parts() {
        let part = part?;
        let Some(row) = part.array(id)? else { continue };
        for sample in 0..part.n_samples {
            scratch.clear();
            row.write_text(sample, scratch);
            if has_long(scratch) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether an item of a value is a whole number of more than six digits.
fn has_long(value: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|item| {
        let digits = item.strip_prefix(b"-").or(item.strip_prefix(b"+"));
        let digits = digits.unwrap_or(item);
        digits.len() > 6 && digits.iter().all(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_digits_are_long() {
        for (value, expected) in [
            ("", false),
            ("999999", false),
            ("-999999,.", false),
            ("1000000", true),
            (".,-1000000", true),
            ("1.0000001", false),
            ("abcdefgh", false),
        ] {
            assert_eq!(has_long(value.as_bytes()), expected, "{value}");
        }
    }
}
