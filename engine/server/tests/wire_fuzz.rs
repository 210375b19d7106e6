//! A short run of the fuzz target on messages (`fuzz/fuzz_targets/messages.rs`): seeds are conversations as clients have
//! them, changed at random by a fixed seed. `GENOKURA_FUZZ_SECONDS` makes it longer, `GENOKURA_FUZZ_SEED` another.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Mutex;
use std::time::{Duration, Instant};

use genokura_server::pgwire::fuzzing::FuzzTarget;

/// Inputs of the test.
const ROUNDS: usize = 400;
/// Good start-up message, frames become messages.
const FRAMED: u8 = 3;

/// A frame of an input.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap();
    [&[kind][..], &length.to_le_bytes(), body].concat()
}

fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', format!("{sql}\0").as_bytes())
}

fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = format!("{name}\0{sql}\0").into_bytes();
    body.extend(u16::try_from(types.len()).unwrap().to_be_bytes());
    body.extend(types.iter().flat_map(|oid| oid.to_be_bytes()));
    frame(b'P', &body)
}

fn bind(portal: &str, name: &str, binary: bool, values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = format!("{portal}\0{name}\0").into_bytes();
    let format = u16::from(binary).to_be_bytes();
    body.extend([&1_u16.to_be_bytes()[..], &format].concat());
    body.extend(u16::try_from(values.len()).unwrap().to_be_bytes());
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(bytes) => {
                body.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
                body.extend(*bytes);
            }
        }
    }
    body.extend([&1_u16.to_be_bytes()[..], &format].concat());
    frame(b'B', &body)
}

fn of_portal(kind: u8, what: u8, name: &str) -> Vec<u8> {
    frame(kind, &[&[what][..], name.as_bytes(), b"\0"].concat())
}

fn execute(portal: &str, rows: u32) -> Vec<u8> {
    frame(
        b'E',
        &[portal.as_bytes(), b"\0", &rows.to_be_bytes()].concat(),
    )
}

fn plain(kind: u8) -> Vec<u8> {
    frame(kind, b"")
}

/// Conversations, frame by frame.
fn seeds() -> Vec<Vec<Vec<u8>>> {
    let (sync, flush, end) = (plain(b'S'), plain(b'H'), plain(b'X'));
    let numeric: &[u8] = b"\0\x02\0\0\0\0\0\x02\0\x7b\x11\x94";
    let nested: &[u8] =
        b"\0\0\0\x02\0\0\0\0\0\0\0\x17\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0\x07";
    vec![
        vec![
            query("select 1; select 'x' as a, null::int; select * from demo.calls"),
            end.clone(),
        ],
        vec![
            parse("s", "select $1::int4 + 1, $2::text", &[23, 0]),
            of_portal(b'D', b'S', "s"),
            bind("", "s", true, &[Some(b"\0\0\0\x07"), Some(b"x")]),
            of_portal(b'D', b'P', ""),
            execute("", 0),
            sync.clone(),
            of_portal(b'C', b'S', "s"),
            sync.clone(),
        ],
        vec![
            query("begin"),
            parse(
                "",
                "select pos, sample_id, gt from demo.calls where dosage > $1",
                &[],
            ),
            bind("p", "", false, &[Some(b"0")]),
            execute("p", 1),
            flush.clone(),
            execute("p", 1),
            of_portal(b'C', b'P', "p"),
            sync.clone(),
            query(
                "declare c cursor for select * from demo.variants; fetch 1 from c; move all in c; close c",
            ),
            query("rollback"),
        ],
        vec![
            query("create temp table t (a int, b text[]); copy t from stdin (format csv)"),
            frame(b'd', b"1,\"{a,b}\"\n2,\n"),
            frame(b'd', b"\\.\n"),
            plain(b'c'),
            query(
                "update t set a = a + 1 where b is null; select * from t; copy t to stdout (format binary)",
            ),
        ],
        vec![
            query("create temp cohort c as select sample_id from demo.samples"),
            query("copy c from stdin"),
            frame(b'f', b"no more\0"),
            query(
                "select pos, gt_allele_count(gt, 'c'), cohort('c') from demo.variants; drop cohort c",
            ),
        ],
        vec![
            parse(
                "n",
                "select $1, $2, $3, $4, $5",
                &[1700, 1007, 3802, 1186, 2950],
            ),
            bind(
                "",
                "n",
                true,
                &[
                    Some(numeric),
                    Some(nested),
                    Some(b"\x01{\"a\": [1]}"),
                    Some(b"\0\0\0\0\0\0\0\x05\0\0\0\x01\0\0\0\x02"),
                    Some(b"0123456789abcdef"),
                ],
            ),
            execute("", 0),
            sync.clone(),
            bind(
                "",
                "n",
                false,
                &[
                    Some(b"1e5"),
                    Some(b"{{1,2},{3,4}}"),
                    Some(b"[]"),
                    Some(b"1 day"),
                    None,
                ],
            ),
            execute("", 0),
            sync.clone(),
        ],
        vec![
            query(
                "select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid",
            ),
            query(
                "select array(select oid from pg_type order by 1 limit 3), version(), current_setting('x', true)",
            ),
            query("set statement_timeout = 100; show all; reset all; discard all"),
        ],
        vec![
            query("prepare q (int) as select $1 + 1; execute q (1); deallocate q"),
            frame(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
            frame(b'p', b"secret\0"),
            query("select * from nowhere"),
            sync.clone(),
            flush,
            plain(b'c'),
            end,
        ],
        unsound(&sync),
        unsound_text(&sync),
    ]
}

/// Messages that are cut, have bytes behind them or are of a kind that there is not.
fn unsound(sync: &[u8]) -> Vec<Vec<u8>> {
    let sync = || sync.to_vec();
    vec![
        frame(b'Q', b"select 1"),
        frame(b'Q', b"select 1\0select 2"),
        frame(b'S', b"x"),
        frame(b'P', b"\0select 1\0\0\x02\0\0\0\x17"),
        sync(),
        frame(b'B', b"\0\0\0\x01"),
        sync(),
        frame(b'B', b"\0\0\0\0\0\x01\0\0\x01\0x"),
        query("select 3"),
        sync(),
        frame(b'E', b"\0\0\0\0"),
        sync(),
        frame(b'D', b"Xs\0"),
        sync(),
        frame(b'C', b"X\0"),
        sync(),
        frame(b'H', b"xx"),
        sync(),
        frame(b'F', b""),
        query("create temp table u (a text); copy u from stdin"),
        frame(b'f', b"no zero"),
        frame(b'z', b""),
    ]
}

/// Bytes that are no text wherever text goes.
fn unsound_text(sync: &[u8]) -> Vec<Vec<u8>> {
    let sync = || sync.to_vec();
    vec![
        query("create temp table v (a text, b text[])"),
        frame(b'Q', b"insert into v values ('\xe9')\0"),
        frame(b'Q', b"select '\xff', E'\\303\\251'\0"),
        query("select E'\\000', U&'\\0000'"),
        frame(b'P', b"n\xe9\0select '\xc3\xa9'\0\0\0"),
        sync(),
        parse("", "insert into v values ($1, $2)", &[25, 1009]),
        bind("", "", false, &[Some(b"a\0b"), Some(b"{\xed\xa0\x80}")]),
        execute("", 0),
        sync(),
        parse("", "insert into v values ($1, null)", &[25]),
        bind("", "", true, &[Some(b"a\xe9")]),
        execute("", 0),
        sync(),
        query("copy v from stdin"),
        frame(b'd', b"a\xe9\t{\\000}\n"),
        plain(b'c'),
        query("copy v from stdin"),
        frame(b'f', b"\xe9\0"),
        query("select * from v"),
    ]
}

/// A small generator of numbers that are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % 1_000_000_007).unwrap() % most.max(1)
    }

    fn byte(&mut self) -> u8 {
        // Edges come more often than the rest.
        let edges = [0, 1, 0x7f, 0x80, 0xff, b'\'', b'"', b'{'];
        match self.below(3) {
            0 => edges[self.below(edges.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }
}

/// A frame whose body is cut, longer, or no text in a place; its length is right.
fn spoilt(frame_bytes: &[u8], random: &mut Random) -> Vec<u8> {
    const NO_TEXT: [&[u8]; 6] = [
        b"\xe9",
        b"\xff",
        b"\0",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf0\x9f",
    ];
    let mut body = frame_bytes[3..].to_vec();
    let at = random.below(body.len() + 1);
    match random.below(4) {
        0 => body.truncate(at),
        1 => body.push(random.byte()),
        _ => {
            let no_text = NO_TEXT[random.below(NO_TEXT.len())];
            body.splice(at..at, no_text.iter().copied());
        }
    }
    frame(frame_bytes[0], &body)
}

/// A conversation that went wrong in some places.
fn changed(seeds: &[Vec<Vec<u8>>], random: &mut Random) -> Vec<u8> {
    let mut frames = seeds[random.below(seeds.len())].clone();
    for _ in 0..random.below(4) {
        let at = random.below(frames.len());
        match random.below(7) {
            5 | 6 => frames[at] = spoilt(&frames[at], random),
            0 if frames.len() > 1 => {
                frames.remove(at);
            }
            1 => frames.insert(at, frames[random.below(frames.len())].clone()),
            2 => {
                let other = &seeds[random.below(seeds.len())];
                frames.insert(at, other[random.below(other.len())].clone());
            }
            3 => {
                let other = random.below(frames.len());
                frames.swap(at, other);
            }
            _ => {
                let kind = b"QPBDECSHXdcfFp?\0"[random.below(16)];
                frames[at][0] = kind;
            }
        }
    }
    let mut bytes = frames.concat();
    // Half of them keep the lengths of their frames.
    let changes = random.below(6) * random.below(2);
    for _ in 0..changes {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.byte()),
            2 => bytes.extend_from_within(at..),
            3 => {
                bytes.remove(at);
            }
            _ => bytes[at] = random.byte(),
        }
    }
    let how = match random.below(20) {
        0 => 0,
        1 => 1,
        2 => 2,
        _ => FRAMED,
    };
    let mut input = vec![how];
    if how & 1 == 0 && random.below(2) == 0 {
        // Something like a start-up packet, or a request before one.
        let codes = [
            196_608_u32,
            80_877_103,
            80_877_102,
            80_877_104,
            196_610,
            131_072,
        ];
        let code = codes[random.below(codes.len())];
        input = vec![0];
        let length = u32::try_from(random.below(60)).unwrap();
        input.extend(length.to_be_bytes());
        input.extend(code.to_be_bytes());
    }
    input.extend(bytes);
    input
}

/// What panicked since the last look.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn whatever_is_sent_the_server_answers_and_goes_on() {
    std::panic::set_hook(Box::new(|panic| {
        let trace = std::backtrace::Backtrace::force_capture();
        let mut told = PANICS.lock().unwrap();
        told.push(format!("{panic}\n{trace}"));
        eprintln!("{panic}");
    }));
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seconds: Option<u64> = number("GENOKURA_FUZZ_SECONDS");
    let mut random = Random(number("GENOKURA_FUZZ_SEED").unwrap_or(0x9e37_79b9_7f4a_7c15));
    let (target, seeds) = (FuzzTarget::start().unwrap(), seeds());
    let look = |input: &[u8]| {
        let driven = target.drive(input).and_then(|()| target.answers());
        let panics = std::mem::take(&mut *PANICS.lock().unwrap());
        let shown = String::from_utf8_lossy(input).into_owned();
        assert!(
            panics.is_empty(),
            "{shown:?} ({input:?}):\n{}",
            panics.join("\n")
        );
        driven.unwrap_or_else(|error| panic!("{shown:?} ({input:?}): {error:#}"));
    };
    for seed in &seeds {
        look(&[&[FRAMED][..], &seed.concat()].concat());
    }
    let started = Instant::now();
    let mut rounds = 0;
    while seconds.map_or(rounds < ROUNDS, |seconds| {
        started.elapsed() < Duration::from_secs(seconds)
    }) {
        look(&changed(&seeds, &mut random));
        rounds += 1;
    }
    println!("{rounds} inputs in {:?}", started.elapsed());
}
