//! What fuzzing drives: a server on a small lake, and clients that send it anything.
//!
//! ```text
//! input = how (1 byte), then frames: kind (1 byte), length (2 bytes, little-endian), body
//!         how & 1   a good start-up message goes first
//!         how & 2   the frames become messages with lengths that are right; else the bytes go as they are
//! ```
//! The client sends all of it and reads to the end. After whole messages it asks for a row and says good-bye; else it
//! hangs up, which stops what runs. Whatever it sent, the server answers with whole messages and ends the connection, and
//! the next client gets an answer. A client that sent whole messages gets its row, or one FATAL error and no more; what
//! is no text never comes back as U+FFFD.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use genokura_exec::EngineConfig;
use genokura_ingest::{CancelFlag, Silent, VcfJob};
use genokura_storage::Lake;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{ServerConfig, serve_on};
use crate::backend::EngineBackend;

/// A call set of three people.
const VCF: &str = "##fileformat=VCFv4.3
##contig=<ID=chr1,length=1000>
##INFO=<ID=DP,Number=1,Type=Integer,Description=\"Depth\">
##FORMAT=<ID=GT,Number=1,Type=String,Description=\"Genotype\">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2\tS3
chr1\t100\t.\tA\tG\t31\tPASS\tDP=4\tGT\t0/1\t0/0\t1/1
chr1\t200\t.\tC\tT,A\t32\tPASS\tDP=5\tGT\t1|2\t./.\t0/1
";
/// A statement may run so long, and an answer may take so long; longer is a server that hangs.
const STATEMENT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(120);
/// Bytes of an answer that are looked at; a COPY of a function that makes rows is cut off there.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// Kinds of messages that a server sends.
const BACKEND_KINDS: &[u8] = b"ACDEGHIKNRSTVWZcdnst123v";

/// A server that is sent things.
pub struct FuzzTarget {
    address: SocketAddr,
    // Serves until it is dropped.
    _runtime: Runtime,
}

impl FuzzTarget {
    /// A server on a lake in memory, on a free port of this machine.
    ///
    /// # Errors
    /// When the lake cannot be made or the server does not start.
    pub fn start() -> anyhow::Result<FuzzTarget> {
        let runtime = Runtime::new().context("a runtime")?;
        let lake = Arc::new(Lake::memory());
        let file = tempfile::Builder::new().suffix(".vcf").tempfile()?;
        std::fs::write(file.path(), VCF)?;
        let job = VcfJob {
            lake: Arc::clone(&lake),
            dataset: "demo".to_owned(),
            inputs: vec![file.path().to_string_lossy().into_owned()],
            reference: None,
            assembly: None,
            strict: true,
            repeated_samples: false,
            threads: 1,
            memory_bytes: 64 << 20,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        };
        runtime.block_on(job.run())?;
        let engine = EngineConfig {
            partitions: 2,
            memory_bytes: 64 << 20,
            spill_bytes_max: Some(1 << 20),
            ..EngineConfig::default()
        };
        let backend = EngineBackend::with_config(lake, engine)?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let config = ServerConfig {
            statement_timeout: Some(STATEMENT),
            startup_timeout: STATEMENT,
            query_threads: 2,
            ..ServerConfig::default()
        };
        let forever = CancellationToken::new();
        runtime.spawn(serve_on(listener, Arc::new(backend), config, forever));
        Ok(FuzzTarget {
            address,
            _runtime: runtime,
        })
    }

    /// Sends an input and reads what comes back.
    ///
    /// # Errors
    /// A connection that does not end in time, and an answer that is no sequence of messages.
    pub fn drive(&self, input: &[u8]) -> anyhow::Result<()> {
        let (how, rest) = input
            .split_first()
            .map_or((0, input), |(how, rest)| (*how, rest));
        let greets = how & 1 != 0;
        let mut sent = if greets { startup("fuzz") } else { Vec::new() };
        match how & 2 != 0 {
            true => split(rest).for_each(|(kind, body)| message(kind, body, &mut sent)),
            false => sent.extend_from_slice(rest),
        }
        let whole = greets && how & 2 != 0;
        if whole {
            // A COPY that takes data, and then a block that failed, ends before the row is asked for.
            for (kind, body) in [
                (b'S', &b""[..]),
                (b'f', b"enough\0"),
                (b'S', b""),
                (b'Q', b"ROLLBACK; RESET ALL\0"),
                (b'Q', ALIVE),
                (b'X', b""),
            ] {
                message(kind, body, &mut sent);
            }
        }
        let answer = self.talk(&sent, !whole)?;
        if !greets {
            return Ok(());
        }
        let messages = whole_messages(&answer.bytes)?;
        if !contains(&sent, REPLACED) {
            let mut rows = messages.iter().filter(|(kind, _)| *kind == b'D');
            ensure!(
                !rows.any(|(_, row)| contains(row, REPLACED)),
                "what is no text came back as another"
            );
        }
        match whole && answer.is_whole {
            true => goes_on_or_ends(&messages, says_good_bye(rest)),
            false => Ok(()),
        }
    }

    /// Whether the next client gets its answer.
    ///
    /// # Errors
    /// When it does not.
    pub fn answers(&self) -> anyhow::Result<()> {
        let mut sent = startup("next");
        message(b'Q', b"SELECT count(*) FROM demo.carriers\0", &mut sent);
        message(b'X', b"", &mut sent);
        let answer = self.talk(&sent, false)?.bytes;
        whole_messages(&answer)?;
        ensure!(
            contains(&answer, b"\0\x01\0\0\0\x015"),
            "the next client gets no answer: {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }

    fn talk(&self, sent: &[u8], hangs_up: bool) -> anyhow::Result<Answer> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER))?;
        stream.set_write_timeout(Some(ANSWER))?;
        let mut reader = stream.try_clone()?;
        let read = std::thread::spawn(move || {
            let mut answer = Vec::new();
            let read = (&mut reader)
                .take(ANSWER_BYTES_MAX)
                .read_to_end(&mut answer);
            (answer, read)
        });
        // A server that has ended the connection takes no more.
        let _ = stream.write_all(sent);
        if hangs_up {
            let _ = stream.shutdown(Shutdown::Write);
        }
        let (answer, read) = read
            .join()
            .map_err(|_| anyhow::anyhow!("the reader ended"))?;
        match read {
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                anyhow::bail!(
                    "the server hangs: {} bytes came in {ANSWER:?}",
                    answer.len()
                )
            }
            // Reset: it ended while bytes were on their way to it.
            Err(_) => Ok(Answer {
                bytes: answer,
                is_whole: false,
            }),
            Ok(read) => Ok(Answer {
                bytes: answer,
                is_whole: u64::try_from(read)? < ANSWER_BYTES_MAX,
            }),
        }
    }
}

/// What came back.
struct Answer {
    bytes: Vec<u8>,
    /// Whether it was read to its end.
    is_whole: bool,
}

/// The query of a client that looks whether its connection goes on.
const ALIVE: &[u8] = b"SELECT 'alive'\0";
/// What decoders put in the place of bytes that are no text.
const REPLACED: &[u8] = "\u{fffd}".as_bytes();

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Whether one of the frames of an input ends the connection.
fn says_good_bye(frames: &[u8]) -> bool {
    split(frames).any(|(kind, _)| kind == b'X')
}

/// A connection goes on to its last query, or ends with one FATAL error.
fn goes_on_or_ends(messages: &[(u8, &[u8])], good_bye: bool) -> anyhow::Result<()> {
    let fatal = |(kind, body): &(u8, &[u8])| *kind == b'E' && body.starts_with(b"SFATAL\0");
    let shown = || {
        let kinds = messages.iter().map(|(kind, _)| char::from(*kind));
        kinds.collect::<String>()
    };
    let fatals = messages.iter().filter(|message| fatal(message)).count();
    let last = messages.last().context("no answer")?;
    if fatals > 0 {
        ensure!(
            fatals == 1 && fatal(last),
            "more than a FATAL error: {}",
            shown()
        );
        return Ok(());
    }
    if good_bye {
        return Ok(());
    }
    ensure!(last.0 == b'Z', "neither ready nor FATAL: {}", shown());
    let row = messages.iter().rev().nth(2).copied();
    ensure!(
        row == Some((b'D', &b"\0\x01\0\0\0\x05alive"[..])),
        "the last query gets no row: {}",
        shown()
    );
    Ok(())
}

/// Appends a message.
pub fn message(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

/// A start-up message.
fn startup(user: &str) -> Vec<u8> {
    let body = format!("user\0{user}\0database\0genokura\0\0");
    let mut out = Vec::new();
    let length = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&196_608_u32.to_be_bytes());
    out.extend_from_slice(body.as_bytes());
    out
}

/// Kinds and bodies of the frames of an input.
fn split(mut rest: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [kind, low, high, tail @ ..] = rest else {
            return None;
        };
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(tail.len());
        let (body, after) = tail.split_at(length);
        rest = after;
        Some((*kind, body))
    })
}

/// The messages of an answer; the last may be cut.
fn whole_messages(mut answer: &[u8]) -> anyhow::Result<Vec<(u8, &[u8])>> {
    let mut messages = Vec::new();
    while let [kind, a, b, c, d, rest @ ..] = answer {
        let shown = char::from(*kind);
        ensure!(BACKEND_KINDS.contains(kind), "a message of kind {shown:?}");
        let length = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d]))?;
        let body = length
            .checked_sub(4)
            .context("a message without room for its length")?;
        let end = body.min(rest.len());
        messages.push((*kind, rest.get(..end).unwrap_or_default()));
        answer = rest.get(end..).unwrap_or_default();
    }
    Ok(messages)
}

/// Sends an input to the server of this process.
///
/// # Panics
/// When the server hangs, answers nonsense, or does not answer the next client: that is what fuzzing looks for.
#[expect(clippy::panic, reason = "a finding of the fuzzer")]
pub fn drive_messages(input: &[u8]) {
    static TARGET: LazyLock<anyhow::Result<FuzzTarget>> = LazyLock::new(FuzzTarget::start);
    let driven = match &*TARGET {
        Ok(target) => target.drive(input).and_then(|()| target.answers()),
        Err(error) => panic!("{error:#}"),
    };
    if let Err(error) = driven {
        panic!("{error:#}");
    }
}
