//! The first look at an input: its header, and the keys its records use without declaring them.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::header::{HEADER_BYTES_MAX, Header, HeaderEnd, find_header_end};
use crate::inflate::{CHUNK_BYTES, ChunkReader, Inflater};
use crate::progress::CancelFlag;
use crate::source::Source;

/// Text that is searched for undeclared keys before the schema is fixed. Keys that come later make
/// the job search its inputs whole and begin anew. One thread searches while the others have nothing to
/// do yet, so it is little.
pub(crate) const SCAN_BYTES: u64 = 16 << 20;
/// Undeclared keys of INFO and of FORMAT that get columns, per input. The rest of INFO stays text;
/// records with further FORMAT keys are quarantined.
pub(crate) const UNDECLARED_KEYS_MAX: usize = 1_000;

/// What the first look found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) header: Header,
    pub(crate) is_bcf: bool,
    /// Offset of the first record in the (inflated) input.
    pub(crate) records_from: u64,
    /// Lines before the first record; 0 for BCF, whose records are counted from 1.
    pub(crate) header_lines: u64,
    /// The input ends within the #CHROM line: it has no records and no newline at its end.
    pub(crate) lacks_newline: bool,
    /// INFO keys nobody declares, in order of appearance.
    pub(crate) info_keys: Vec<UndeclaredKey>,
    pub(crate) format_keys: Vec<String>,
}

/// An INFO key that no header line declares.
#[derive(Debug, Clone)]
pub(crate) struct UndeclaredKey {
    pub(crate) key: String,
    /// It had a value where it was first found.
    pub(crate) has_value: bool,
    /// The line where that was.
    pub(crate) line: u64,
}

/// Reads the header of `source`, and records up to `scan_bytes` of text (0: none).
pub(crate) fn open(
    source: &Source,
    handle: &tokio::runtime::Handle,
    scan_bytes: u64,
    cancel: &CancelFlag,
) -> Result<Opened> {
    let number = source.number;
    let mut reader = Text::new(source, handle)?;
    let mut head = Vec::new();
    let (mut scanned, mut eof) = (0, false);
    let records_from = loop {
        cancel.check()?;
        if let Some(from) = header_end(number, &head, scanned, eof)? {
            break from;
        }
        scanned = head.len();
        if head.len() > HEADER_BYTES_MAX {
            let reason = format!("there is no #CHROM line in the first {HEADER_BYTES_MAX} bytes");
            return Err(Error::Format {
                input: number,
                reason,
            });
        }
        eof = !reader.more(&mut head)?;
    };
    let is_bcf = head.starts_with(b"BCF");
    let text = if is_bcf {
        bcf_text(&head[9..records_from])
    } else {
        &head[..records_from]
    };
    let header = Header::parse(text).map_err(|e| e.in_input(number))?;
    let header_lines = if is_bcf {
        0
    } else {
        memchr::memchr_iter(b'\n', text).count() as u64
    };
    let lacks_newline = !is_bcf && !text.ends_with(b"\n");
    let mut scan = KeyScan::new(&header, header_lines);
    if !is_bcf && scan_bytes > 0 {
        let rest = head.split_off(records_from);
        scan_records(&mut reader, rest, scan_bytes, &mut scan, cancel)?;
    }
    Ok(Opened {
        is_bcf,
        records_from: records_from as u64,
        header_lines,
        lacks_newline,
        info_keys: scan.info,
        format_keys: scan.format,
        header,
    })
}

/// Where the records begin, once enough is read.
fn header_end(number: u32, head: &[u8], scanned: usize, eof: bool) -> Result<Option<usize>> {
    let refuse = |reason: &str| Error::Format {
        input: number,
        reason: reason.to_owned(),
    };
    let may_be_bcf = head.len() < 3 && b"BCF".starts_with(head) && !eof;
    if !head.starts_with(b"BCF") && !may_be_bcf {
        return Ok(match find_header_end(head, scanned, eof) {
            HeaderEnd::More => None,
            HeaderEnd::At(n) => Some(n),
        });
    }
    if let Some(version) = head.get(3..5)
        && version[0] != 2
    {
        return Err(refuse(
            "this is BCF1, which no current tool writes; convert it with bcftools 0.1",
        ));
    }
    let length = head.get(5..9).and_then(|bytes| bytes.first_chunk::<4>());
    let end = length.map(|bytes| 9 + u32::from_le_bytes(*bytes) as usize);
    match end {
        Some(end) if end > HEADER_BYTES_MAX => Err(refuse("the BCF header is longer than 256 MiB")),
        Some(end) if end <= head.len() => Ok(Some(end)),
        _ if eof => Err(refuse("the BCF header is cut off")),
        _ => Ok(None),
    }
}

/// The header text of a BCF without the NUL bytes at its end.
pub(crate) fn bcf_text(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|b| *b != 0).map_or(0, |i| i + 1);
    &text[..end]
}

/// The inflated text of an input, read on one thread.
struct Text {
    number: u32,
    chunks: ChunkReader,
    inflater: Inflater,
    buffer: Vec<u8>,
}

impl Text {
    fn new(source: &Source, handle: &tokio::runtime::Handle) -> Result<Self> {
        let chunks = ChunkReader::new(source.number, source.read(handle)?, CHUNK_BYTES / 4)?;
        Ok(Self {
            number: source.number,
            chunks,
            inflater: Inflater::new(),
            buffer: Vec::new(),
        })
    }

    /// Appends the next stretch; false at the end.
    fn more(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        let Some(chunk) = self.chunks.next(std::mem::take(&mut self.buffer))? else {
            return Ok(false);
        };
        let more = !chunk.is_last;
        out.extend_from_slice(self.inflater.text(self.number, &chunk)?);
        self.buffer = chunk.bytes;
        Ok(more)
    }
}

fn scan_records(
    reader: &mut Text,
    mut text: Vec<u8>,
    scan_bytes: u64,
    scan: &mut KeyScan,
    cancel: &CancelFlag,
) -> Result<()> {
    let mut left = scan_bytes;
    loop {
        cancel.check()?;
        let whole = memchr::memrchr(b'\n', &text).map_or(0, |i| i + 1);
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', &text[..whole]) {
            scan.line(&text[start..end]);
            start = end + 1;
        }
        text.drain(..whole);
        left = left.saturating_sub(whole as u64);
        if left == 0 {
            return Ok(());
        }
        if !reader.more(&mut text)? {
            scan.line(&text);
            return Ok(());
        }
    }
}

/// Collects keys that the header does not declare.
struct KeyScan {
    known_info: HashSet<String>,
    known_format: HashSet<String>,
    last_format: Vec<u8>,
    info: Vec<UndeclaredKey>,
    format: Vec<String>,
    /// The line that is looked at.
    at: u64,
}

impl KeyScan {
    fn new(header: &Header, header_lines: u64) -> Self {
        Self {
            at: header_lines,
            known_info: header.info.iter().map(|f| f.key.clone()).collect(),
            known_format: header
                .format
                .iter()
                .map(|f| f.key.clone())
                .chain(["GT".to_owned()])
                .collect(),
            last_format: Vec::new(),
            info: Vec::new(),
            format: Vec::new(),
        }
    }

    fn line(&mut self, line: &[u8]) {
        self.at += 1;
        // INFO and FORMAT lie in the first columns; the rest of a wide line is never looked at.
        let mut columns = line.splitn(10, |b| *b == b'\t').skip(7);
        if let Some(info) = columns.next() {
            self.info(info.trim_ascii_end());
        }
        if let Some(format) = columns.next()
            && format != self.last_format
        {
            self.last_format = format.to_vec();
            self.format(format.trim_ascii_end());
        }
    }

    fn info(&mut self, text: &[u8]) {
        let Ok(text) = std::str::from_utf8(text) else {
            return;
        };
        for entry in text.split(';').filter(|e| !e.is_empty() && *e != ".") {
            let (key, value) = entry
                .split_once('=')
                .map_or((entry, None), |(k, v)| (k, Some(v)));
            if self.info.len() < UNDECLARED_KEYS_MAX && !self.known_info.contains(key) {
                self.known_info.insert(key.to_owned());
                self.info.push(UndeclaredKey {
                    key: key.to_owned(),
                    has_value: value.is_some(),
                    line: self.at,
                });
            }
        }
    }

    fn format(&mut self, text: &[u8]) {
        let Ok(text) = std::str::from_utf8(text) else {
            return;
        };
        for key in text.split(':').filter(|k| !k.is_empty() && *k != ".") {
            if self.format.len() < UNDECLARED_KEYS_MAX && !self.known_format.contains(key) {
                self.known_format.insert(key.to_owned());
                self.format.push(key.to_owned());
            }
        }
    }
}
