//! The reference sequence (`--reference FASTA`): bounded reads by index, for left-alignment and
//! the check of REF.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use genokura_core::contig::{Assembly, canonical_key};
use genokura_core::variant::ReferenceBases;
use genokura_storage::location::Location;
use parking_lot::Mutex;

use crate::error::{Error, Result};

/// Bases kept in memory around the last one asked for.
const WINDOW_BASES: u64 = 1 << 18;

/// Where the sequence of a contig lies in the file, as a `.fai` line says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    length: u64,
    offset: u64,
    line_bases: u64,
    line_bytes: u64,
}

/// The index of a FASTA file.
#[derive(Debug)]
pub(crate) struct Fasta {
    path: PathBuf,
    /// Keeps a downloaded copy alive.
    _copy: Option<tempfile::TempPath>,
    entries: HashMap<String, Entry>,
}

impl Fasta {
    /// Opens a FASTA by path or URL. Its index is `<path>.fai`, else it is made by reading the
    /// file.
    pub(crate) async fn open(text: &str) -> Result<Arc<Self>> {
        let location = Location::parse(text)?;
        let copy = match location.local_path() {
            Some(_) => None,
            None => Some(download(&location).await?),
        };
        let path = location
            .local_path()
            .or_else(|| copy.as_ref().map(|c| c.to_path_buf()));
        let path = path.ok_or_else(|| unreadable("it has no path"))?;
        let build = move || Self::index(path, copy);
        tokio::task::spawn_blocking(build)
            .await
            .map_err(|e| Error::Internal(e.to_string()))?
    }

    fn index(path: PathBuf, copy: Option<tempfile::TempPath>) -> Result<Arc<Self>> {
        let mut fai = path.clone().into_os_string();
        fai.push(".fai");
        let entries = match File::open(Path::new(&fai)) {
            Ok(file) => read_fai(BufReader::new(file))?,
            Err(_) => scan(File::open(&path).map_err(unreadable)?)?,
        };
        Ok(Arc::new(Self {
            path,
            _copy: copy,
            entries,
        }))
    }

    /// The assembly whose lengths its sequences have.
    pub(crate) fn assembly(&self) -> Option<Assembly> {
        let entries = self.entries.iter();
        Assembly::detect(entries.map(|(name, entry)| (name.as_str(), Some(entry.length))))
    }

    fn entry(&self, contig: &str) -> Option<&Entry> {
        if let Some(entry) = self.entries.get(contig) {
            return Some(entry);
        }
        let key = canonical_key(contig)?;
        let mut same = self
            .entries
            .iter()
            .filter(|(name, _)| canonical_key(name) == Some(key));
        same.next().map(|(_, entry)| entry)
    }
}

fn unreadable(reason: impl std::fmt::Display) -> Error {
    Error::Request(format!("the reference FASTA cannot be used: {reason}"))
}

async fn download(location: &Location) -> Result<tempfile::TempPath> {
    use futures::StreamExt;
    use std::io::Write;
    let found = object_store::ObjectStoreExt::get(&location.store, &location.path).await;
    let mut pieces = found.map_err(unreadable)?.into_stream();
    let mut file = tempfile::NamedTempFile::new().map_err(Error::Spill)?;
    while let Some(piece) = pieces.next().await {
        file.write_all(&piece.map_err(unreadable)?)
            .map_err(Error::Spill)?;
    }
    file.flush().map_err(Error::Spill)?;
    Ok(file.into_temp_path())
}

fn read_fai(fai: impl BufRead) -> Result<HashMap<String, Entry>> {
    let mut entries = HashMap::new();
    for (i, line) in fai.lines().enumerate() {
        let line = line.map_err(unreadable)?;
        let columns: Vec<&str> = line.split('\t').collect();
        let number = |i: usize| columns.get(i).and_then(|c| c.trim().parse::<u64>().ok());
        let (Some(length), Some(offset), Some(line_bases @ 1..), Some(line_bytes)) =
            (number(1), number(2), number(3), number(4))
        else {
            return Err(unreadable(format!(
                "line {} of its index is not a .fai line",
                i + 1
            )));
        };
        entries.insert(
            columns[0].to_owned(),
            Entry {
                length,
                offset,
                line_bases,
                line_bytes,
            },
        );
    }
    Ok(entries)
}

/// Makes the index of a plain FASTA by reading it once.
fn scan(file: File) -> Result<HashMap<String, Entry>> {
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut entries = HashMap::new();
    let mut current: Option<(String, Entry, bool)> = None;
    let (mut offset, mut line) = (0_u64, Vec::new());
    loop {
        line.clear();
        let taken = (&mut reader)
            .take(1 << 30)
            .read_until(b'\n', &mut line)
            .map_err(unreadable)? as u64;
        offset += taken;
        let text = line.trim_ascii_end();
        if taken == 0 || text.starts_with(b">") {
            if let Some((name, entry, _)) = current.take() {
                entries.insert(name, entry);
            }
            if taken == 0 {
                break;
            }
            let name = text[1..]
                .split(u8::is_ascii_whitespace)
                .next()
                .unwrap_or_default();
            let name = String::from_utf8_lossy(name).into_owned();
            let entry = Entry {
                length: 0,
                offset,
                line_bases: 0,
                line_bytes: 0,
            };
            current = Some((name, entry, false));
            continue;
        }
        let Some((_, entry, ended)) = &mut current else {
            if text.is_empty() {
                continue;
            }
            return Err(unreadable(
                "it does not begin with a \">\" line (compressed files are not read)",
            ));
        };
        if *ended && !text.is_empty() {
            return Err(unreadable("its lines have different lengths; wrap it anew"));
        }
        let bases = text.len() as u64;
        if entry.line_bases == 0 {
            (entry.line_bases, entry.line_bytes) = (bases.max(1), taken);
        }
        *ended = bases != entry.line_bases;
        entry.length += bases;
    }
    if entries.is_empty() {
        Err(unreadable("it holds no sequence"))
    } else {
        Ok(entries)
    }
}

/// The reference sequence as one worker reads it: an open file and a window of bases.
pub(crate) struct Genome {
    fasta: Arc<Fasta>,
    state: Mutex<Window>,
}

struct Window {
    file: File,
    contig: String,
    /// 0-based.
    start: u64,
    bases: Vec<u8>,
}

impl Genome {
    pub(crate) fn open(fasta: &Arc<Fasta>) -> Result<Self> {
        let file = File::open(&fasta.path).map_err(unreadable)?;
        let window = Window {
            file,
            contig: String::new(),
            start: 0,
            bases: Vec::new(),
        };
        Ok(Self {
            fasta: Arc::clone(fasta),
            state: Mutex::new(window),
        })
    }

    /// Whether the reference has `bases` at `pos` (1-based); `None` for an unknown contig.
    /// An `N` in the reference matches everything.
    pub(crate) fn matches(&self, contig: &str, pos: i32, bases: &[u8]) -> Option<bool> {
        self.fasta.entry(contig)?;
        let length = i32::try_from(bases.len()).ok()?;
        let found = self.bases(contig, pos, pos.saturating_add(length - 1));
        let Some(found) = found else {
            return Some(false);
        };
        let same = |(r, b): (&u8, &u8)| r.eq_ignore_ascii_case(b) || r.eq_ignore_ascii_case(&b'N');
        Some(found.len() == bases.len() && found.iter().zip(bases).all(same))
    }
}

impl ReferenceBases for Genome {
    fn bases(&self, contig: &str, start: i32, end: i32) -> Option<Vec<u8>> {
        let entry = self.fasta.entry(contig)?;
        let first = u64::try_from(start).ok()?.checked_sub(1)?;
        let last = u64::try_from(end).ok()?;
        if first >= last || last > entry.length {
            return None;
        }
        let mut window = self.state.lock();
        if window.contig != contig
            || first < window.start
            || last > window.start + window.bases.len() as u64
        {
            window.load(contig, entry, first, last)?;
        }
        let from = usize::try_from(first - window.start).ok()?;
        let to = usize::try_from(last - window.start).ok()?;
        window.bases.get(from..to).map(<[u8]>::to_vec)
    }
}

impl Window {
    /// Reads bases around `first..last` (0-based, half-open).
    fn load(&mut self, contig: &str, entry: &Entry, first: u64, last: u64) -> Option<()> {
        let start = first.saturating_sub(WINDOW_BASES / 2);
        let end = (last + WINDOW_BASES / 2).min(entry.length);
        let at = |base: u64| {
            entry.offset + base / entry.line_bases * entry.line_bytes + base % entry.line_bases
        };
        let n = usize::try_from(at(end - 1) + 1 - at(start)).ok()?;
        self.file.seek(SeekFrom::Start(at(start))).ok()?;
        self.bases.resize(n, 0);
        self.file.read_exact(&mut self.bases).ok()?;
        self.bases.retain(|b| !b.is_ascii_whitespace());
        contig.clone_into(&mut self.contig);
        self.start = start;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bases_by_scan_and_across_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.fa");
        std::fs::write(&path, ">chr1 first\nACGTA\nCGTAC\nGG\n>2\nTTTT\n").unwrap();
        let fasta = Fasta::index(path, None).unwrap();
        let genome = Genome::open(&fasta).unwrap();
        for (contig, start, end, expected) in [
            ("chr1", 1, 1, Some("A")),
            ("chr1", 5, 11, Some("ACGTACG")),
            ("1", 12, 12, Some("G")),
            ("chr1", 12, 13, None),
            ("2", 1, 4, Some("TTTT")),
            ("3", 1, 1, None),
            ("2", 0, 1, None),
        ] {
            let found = genome.bases(contig, start, end);
            assert_eq!(
                found.as_deref(),
                expected.map(str::as_bytes),
                "{contig}:{start}"
            );
        }
        assert_eq!(genome.matches("chr1", 5, b"ac"), Some(true));
        assert_eq!(genome.matches("chr1", 5, b"gg"), Some(false));
        assert_eq!(genome.matches("nope", 5, b"gg"), None);
    }
}
