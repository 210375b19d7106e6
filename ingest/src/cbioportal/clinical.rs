//! The `#` lines of clinical files, which tell of their columns.

use std::io::{BufRead as _, BufReader, Read as _};

use crate::error::{Error, NOT_UTF8, Result};
use crate::table::ColumnType;

use super::file::File;

/// Header lines of a clinical file at most.
const CLINICAL_HEADERS: usize = 5;
/// Bytes of them at most.
const HEADER_BYTES_MAX: u64 = 64 << 20;
/// Header lines of a clinical file: names, descriptions, types of the columns.
#[derive(Default)]
pub(super) struct Told {
    pub(super) names: Vec<String>,
    pub(super) descriptions: Vec<String>,
    pub(super) types: Vec<Option<ColumnType>>,
}

impl File {
    /// The `#` lines of a clinical file: names, descriptions, types, priorities.
    pub(super) fn told(&self) -> Result<Told> {
        let mut told = Told::default();
        let read = |e: std::io::Error| Error::Read {
            input: 1,
            reason: e.to_string(),
        };
        let head = self.input.read()?.take(HEADER_BYTES_MAX);
        let mut lines = BufReader::new(head)
            .split(b'\n')
            .take(CLINICAL_HEADERS)
            .zip(1_u64..);
        let mut cells = || -> Result<Option<Vec<String>>> {
            let Some((line, number)) = lines.next() else {
                return Ok(None);
            };
            let line = line.map_err(read)?;
            let bare = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line);
            if !bare.starts_with(b"#") {
                return Ok(None);
            }
            let line = String::from_utf8(line).map_err(|_| Error::Line {
                input: 1,
                line: number,
                rule: "utf8",
                message: format!("{}: {NOT_UTF8}", self.name),
            })?;
            let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
            let cells = line.strip_prefix('#');
            Ok(cells.map(|line| {
                line.split('\t')
                    .map(|cell| cell.trim().to_owned())
                    .collect()
            }))
        };
        let (Some(names), Some(descriptions), Some(types)) = (cells()?, cells()?, cells()?) else {
            return Ok(told);
        };
        for (word, number) in types.iter().zip(1..) {
            told.types.push(match word.to_ascii_uppercase().as_str() {
                "STRING" => Some(ColumnType::Text),
                "NUMBER" => Some(ColumnType::Float8),
                "BOOLEAN" => Some(ColumnType::Bool),
                _ => {
                    let message = format!(
                        "{}: column {number}: {word:?} is no type; STRING, NUMBER and BOOLEAN are",
                        self.name
                    );
                    return Err(Error::Line {
                        input: 1,
                        line: 3,
                        rule: "cbioportal-type",
                        message,
                    });
                }
            });
        }
        (told.names, told.descriptions) = (names, descriptions);
        Ok(told)
    }
}
