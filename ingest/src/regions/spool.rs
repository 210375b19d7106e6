//! The lines of a regions file on disk and an index that sorts them: 24 bytes of memory a line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use crate::assembly::Said;
use crate::error::{Error, Result};

use super::assembly::Told;
use super::feature::{RegionsFormat, refuse};

/// Longest line, in bytes.
const LINE_BYTES_MAX: u32 = 64 << 20;

/// Where one line lies and where it sorts to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    contig: u32,
    pos: i32,
    offset: u64,
    bytes: u32,
}

/// Writes lines and remembers their places.
pub(super) struct Spool {
    file: BufWriter<File>,
    places: Vec<Place>,
    contigs: HashMap<String, u32>,
    offset: u64,
    sorted: bool,
}

impl Spool {
    pub(super) fn new() -> Result<Self> {
        let file = tempfile::tempfile().map_err(Error::Spill)?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, file),
            places: Vec::new(),
            contigs: HashMap::new(),
            offset: 0,
            sorted: true,
        })
    }

    /// Adds a line, which sorts by contig (in order of first appearance) and position.
    pub(super) fn push(&mut self, line: &str, contig: &str, pos: i32) -> Result<()> {
        let next = u32::try_from(self.contigs.len()).unwrap_or(u32::MAX);
        let contig = match self.contigs.get(contig) {
            Some(&known) => known,
            None => *self.contigs.entry(contig.to_owned()).or_insert(next),
        };
        let bytes = u32::try_from(line.len()).unwrap_or(u32::MAX);
        let place = Place {
            contig,
            pos,
            offset: self.offset,
            bytes,
        };
        self.sorted &= self
            .places
            .last()
            .is_none_or(|last| (last.contig, last.pos) <= (contig, pos));
        self.places.push(place);
        self.offset += line.len() as u64;
        self.file.write_all(line.as_bytes()).map_err(Error::Spill)
    }

    /// The lines in sort order; lines of one position in file order.
    pub(super) fn into_sorted(mut self) -> Result<SortedLines> {
        if !self.sorted {
            self.places.sort_by_key(|place| (place.contig, place.pos));
        }
        let mut file = self
            .file
            .into_inner()
            .map_err(|e| Error::Spill(e.into_error()))?;
        file.seek(SeekFrom::Start(0)).map_err(Error::Spill)?;
        let file = BufReader::with_capacity(1 << 16, file);
        Ok(SortedLines {
            file,
            places: self.places.into_iter(),
            offset: 0,
            line: Vec::new(),
        })
    }
}

/// Lines in sort order.
pub(super) struct SortedLines {
    file: BufReader<File>,
    places: std::vec::IntoIter<Place>,
    offset: u64,
    line: Vec<u8>,
}

impl SortedLines {
    /// The next line.
    pub(super) fn next_line(&mut self) -> Result<Option<&str>> {
        let Some(place) = self.places.next() else {
            return Ok(None);
        };
        let jump = place.offset.cast_signed() - self.offset.cast_signed();
        self.file.seek_relative(jump).map_err(Error::Spill)?;
        self.line.resize(place.bytes as usize, 0);
        self.file.read_exact(&mut self.line).map_err(Error::Spill)?;
        self.offset = place.offset + u64::from(place.bytes);
        std::str::from_utf8(&self.line)
            .map(Some)
            .map_err(|e| Error::Internal(e.to_string()))
    }
}

/// Data lines of a regions file: comments, directives and blank lines passed.
pub(super) struct DataLines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    is_gff3: bool,
    told: Told,
}

impl<R: Read> DataLines<R> {
    pub(super) fn new(input: R) -> Self {
        let input = BufReader::with_capacity(1 << 18, input);
        Self {
            input,
            line: Vec::new(),
            number: 0,
            is_gff3: false,
            told: Told::default(),
        }
    }

    /// Whether a `##gff-version 3` line has been passed.
    pub(super) fn is_gff3(&self) -> bool {
        self.is_gff3
    }

    /// What the lines that have been passed say of the assembly.
    pub(super) fn said(&self) -> Option<Said> {
        self.told.said()
    }

    /// The next data line and its number; `None` at the end or where sequences (`##FASTA`) begin.
    pub(super) fn next_line(&mut self) -> Result<Option<(u64, &str)>> {
        loop {
            self.line.clear();
            let failed = |e: std::io::Error| Error::Read {
                input: 1,
                reason: e.to_string(),
            };
            let mut limited = (&mut self.input).take(u64::from(LINE_BYTES_MAX));
            if limited.read_until(b'\n', &mut self.line).map_err(failed)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
                self.line.drain(..3);
            }
            while self.line.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                self.line.pop();
            }
            if self.line.starts_with(b"##FASTA") || self.line.starts_with(b">") {
                return Ok(None);
            }
            self.is_gff3 |= self.line.starts_with(b"##gff-version") && self.line.contains(&b'3');
            if is_data(&self.line) {
                break;
            }
            self.told.see(self.number, &self.line);
        }
        if self.line.len() as u64 >= u64::from(LINE_BYTES_MAX) - 2 {
            return Err(refuse(
                self.number,
                "line-length",
                "the line is longer than 64 MiB".to_owned(),
            ));
        }
        let text = std::str::from_utf8(&self.line);
        let text = text.map_err(|_| {
            refuse(
                self.number,
                "utf8",
                "the line is not UTF-8; convert the file with iconv".to_owned(),
            )
        })?;
        Ok(Some((self.number, text)))
    }
}

/// Whether a line holds a feature: no comment, no `track` or `browser` line of BED, not blank.
fn is_data(line: &[u8]) -> bool {
    let word = line
        .split(|b| b.is_ascii_whitespace())
        .next()
        .unwrap_or_default();
    !(line.trim_ascii().is_empty()
        || line.starts_with(b"#")
        || word == b"track"
        || word == b"browser")
}

/// The format by file name, directive, and the shape of the first data line.
pub(super) fn detect(name: &str, is_gff3: bool, line: &str) -> RegionsFormat {
    let name = name.to_ascii_lowercase();
    let stem = name.trim_end_matches(".gz").trim_end_matches(".bgz");
    if stem.ends_with(".bed") {
        return RegionsFormat::Bed;
    }
    let columns: Vec<&str> = line.split('\t').collect();
    let is_gff = |attributes: &str| {
        let separator = attributes
            .trim()
            .find(['=', ' ', '"'])
            .map(|i| attributes.trim().as_bytes()[i]);
        if separator == Some(b'=') || is_gff3 {
            RegionsFormat::Gff3
        } else {
            RegionsFormat::Gtf
        }
    };
    match columns.as_slice() {
        _ if stem.ends_with(".gtf") => RegionsFormat::Gtf,
        [_, a, b, ..] if a.parse::<u64>().is_ok() && b.parse::<u64>().is_ok() && !is_gff3 => {
            RegionsFormat::Bed
        }
        [.., attributes] if columns.len() == 9 => is_gff(attributes),
        _ if is_gff3 || stem.ends_with(".gff") || stem.ends_with(".gff3") => RegionsFormat::Gff3,
        _ => RegionsFormat::Bed,
    }
}
