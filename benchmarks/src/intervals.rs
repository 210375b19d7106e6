//! Workload `intervals`: points and spans joined, counted and measured by genokura, polars-bio, DuckDB and bedtools.
//!
//! genokura, polars-bio and DuckDB are warm in a process of their own with both tables in memory, two threads each.
//! bedtools is a process that reads sorted BED files and writes text. It and DuckDB take minutes of the larger sizes:
//! `--once`. Before a task is timed, its numbers are equal.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::catalog::{CatalogProvider as _, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::datasource::MemTable;
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use futures::StreamExt as _;
use genokura_exec::{AccessContext, Engine, EngineConfig};
use genokura_storage::Lake;

use crate::RunArgs;
use crate::measure::{self, Row};

/// The schema of both tables.
const SCHEMA: &str = "bench";

/// Points, spans, the mean length of a span, and what is asked of them.
struct Size {
    name: &'static str,
    points: usize,
    spans: usize,
    mean_bp: usize,
    tasks: &'static [&'static str],
}

const SIZES: [Size; 4] = [
    Size {
        name: "1 million pairs",
        points: 1_000_000,
        spans: 30_000,
        mean_bp: 100_000,
        tasks: &["count", "pairs"],
    },
    Size {
        name: "10 million pairs",
        points: 1_000_000,
        spans: 300_000,
        mean_bp: 100_000,
        tasks: &["count", "pairs", "count_overlaps", "coverage"],
    },
    Size {
        name: "100 million pairs",
        points: 1_000_000,
        spans: 300_000,
        mean_bp: 1_000_000,
        tasks: &["count", "pairs"],
    },
    Size {
        name: "spans over a tenth of the genome",
        points: 1_000_000,
        spans: 30_000,
        mean_bp: 10_000,
        tasks: &["nearest"],
    },
];

/// What is asked: in SQL of the engine, and of bedtools.
struct Task {
    name: &'static str,
    sql: &'static str,
    /// Numbers that all peers agree on.
    answer: &'static str,
    /// Arguments of bedtools with both files as {a} and {b}.
    bedtools: &'static str,
    /// awk that makes the numbers of what bedtools writes.
    sums: &'static str,
}

const PAIRS_ANSWER: &str = "SELECT count(*), sum(a.pos), sum(b.pos), sum(b.end_pos) \
    FROM bench.points a JOIN bench.spans b \
    ON a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos";
const PAIRS_BEDTOOLS: &str = "intersect -sorted -wa -wb -a {points} -b {spans}";
const PAIRS_SUMS: &str = "{n++; a += $2 + 1; b += $5 + 1; c += $6} \
    END {printf \"%.0f %.0f %.0f %.0f\\n\", n, a, b, c}";

const TASKS: [Task; 5] = [
    Task {
        name: "count",
        sql: "SELECT count(*) FROM bench.points a JOIN bench.spans b \
              ON a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos",
        answer: PAIRS_ANSWER,
        bedtools: PAIRS_BEDTOOLS,
        sums: PAIRS_SUMS,
    },
    Task {
        name: "pairs",
        sql: "SELECT a.*, b.* FROM bench.points a JOIN bench.spans b \
              ON a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos",
        answer: PAIRS_ANSWER,
        bedtools: PAIRS_BEDTOOLS,
        sums: PAIRS_SUMS,
    },
    Task {
        name: "nearest",
        sql: "SELECT * FROM nearest('bench.points', 'bench.spans')",
        answer: "SELECT count(*), sum(d) FROM (SELECT DISTINCT contig, pos, end_pos, \
                 abs(distance)::bigint AS d FROM nearest('bench.points', 'bench.spans')) AS s",
        bedtools: "closest -d -a {points} -b {spans}",
        sums: "{k = $1 \":\" $2 \":\" $3; if (k != p) {n++; s += $7; p = k}} \
               END {printf \"%.0f %.0f\\n\", n, s}",
    },
    Task {
        name: "count_overlaps",
        sql: "SELECT * FROM count_overlaps('bench.points', 'bench.spans')",
        answer: "SELECT count(*), sum(n_overlaps) FROM count_overlaps('bench.points', 'bench.spans')",
        bedtools: "intersect -sorted -c -a {points} -b {spans}",
        sums: "{s += $4} END {printf \"%.0f %.0f\\n\", NR, s}",
    },
    Task {
        name: "coverage",
        sql: "SELECT * FROM coverage('bench.spans', 'bench.points')",
        answer: "SELECT count(*), sum(covered_bp) FROM coverage('bench.spans', 'bench.points')",
        bedtools: "coverage -sorted -a {spans} -b {points}",
        sums: "{s += $5} END {printf \"%.0f %.0f\\n\", NR, s}",
    },
];

/// Arguments of `intervals`: genokura as its own peer, in a process of its own.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct IntervalArgs {
    /// Directory with points.parquet and spans.parquet
    directory: PathBuf,
    /// count, pairs, nearest, count_overlaps or coverage
    task: String,
    /// Repetitions after one to warm, or "answer"
    #[arg(default_value = "3")]
    repeat: String,
}

/// Measures.
///
/// # Errors
/// When a peer fails, or its answer is another.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for size in &SIZES {
        let directory = inputs(args, size)?;
        for name in size.tasks {
            let task = task(name)?;
            let peers = peers(args, task, &directory)?;
            compare(name, &peers)?;
            let workload = format!("{name} of {}", size.name);
            for peer in &peers {
                rows.extend(peer.measure(args, &workload)?);
            }
        }
    }
    Ok(rows)
}

/// The directory of points and spans, made when it is missing.
fn inputs(args: &RunArgs, size: &Size) -> anyhow::Result<PathBuf> {
    let Size {
        points,
        spans,
        mean_bp,
        ..
    } = size;
    let directory = args.scratch.join(format!("intervals-{spans}-{mean_bp}"));
    // It is written last.
    if !directory.join("genome.txt").exists() {
        std::fs::create_dir_all(&directory)?;
        let (python, script) = (args.python.display(), script("interval_inputs.py"));
        measure::output(&format!(
            "{python} {script} {} {points} {spans} {mean_bp}",
            directory.display()
        ))?;
    }
    Ok(directory)
}

fn script(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn task(name: &str) -> anyhow::Result<&'static Task> {
    let names = || TASKS.map(|task| task.name).join(", ");
    let task = TASKS.iter().find(|task| task.name == name);
    task.with_context(|| format!("no task \"{name}\": choose {}", names()))
}

/// Whoever answers.
struct Peer {
    name: &'static str,
    /// A command that writes the numbers of its answer in its last line.
    answer: String,
    timed: Timed,
}

enum Timed {
    /// The command, before the number of repetitions, of a process that writes their seconds.
    Warm(String),
    /// A process as a whole.
    Whole(String),
}

fn peers(args: &RunArgs, task: &Task, directory: &Path) -> anyhow::Result<Vec<Peer>> {
    let path = directory.display();
    let own = std::env::current_exe()?;
    let (python, script, name) = (
        args.python.display(),
        script("interval_peers.py"),
        task.name,
    );
    let warm = |peer, command: String| Peer {
        name: peer,
        answer: format!("{command} answer"),
        timed: Timed::Warm(command),
    };
    let mut all = vec![
        warm(
            "genokura (warm)",
            format!("{} intervals {path} {name}", own.display()),
        ),
        warm(
            "polars-bio (warm)",
            format!("{python} {script} {path} polars-bio {name}"),
        ),
    ];
    all.push(warm(
        "DuckDB (warm)",
        format!("{python} {script} {path} duckdb {name}"),
    ));
    let arguments = task
        .bedtools
        .replace("{points}", &format!("{path}/points.bed"))
        .replace("{spans}", &format!("{path}/spans.bed"));
    let bedtools = format!("bedtools {arguments} -g {path}/genome.txt");
    let write = if name == "count" {
        "wc -l"
    } else {
        "cat > /dev/null"
    };
    all.push(Peer {
        name: "bedtools",
        answer: format!("{bedtools} | awk '{}'", task.sums),
        timed: Timed::Whole(format!("{bedtools} | {write}")),
    });
    all.retain(|peer| !args.skips(peer.name));
    Ok(all)
}

fn compare(task: &str, peers: &[Peer]) -> anyhow::Result<()> {
    let mut first: Option<(&str, String)> = None;
    for peer in peers {
        let text = measure::output(&peer.answer)?;
        let answer = text.lines().last().unwrap_or_default().trim().to_owned();
        match &first {
            Some((name, expected)) => anyhow::ensure!(
                *expected == answer,
                "{task}: {name} answers {expected}, {} {answer}",
                peer.name
            ),
            None => first = Some((peer.name, answer)),
        }
    }
    Ok(())
}

impl Peer {
    fn measure(&self, args: &RunArgs, workload: &str) -> anyhow::Result<Vec<Row>> {
        let repeat = args.repetitions(self.name);
        let warm = match &self.timed {
            Timed::Warm(command) => command,
            Timed::Whole(line) => {
                return (1..=repeat)
                    .map(|i| measure::shell(workload, self.name, i, line))
                    .collect();
            }
        };
        let times =
            std::env::temp_dir().join(format!("genokura-bench-{}.times", std::process::id()));
        let line = format!("{warm} {repeat} > {}", times.display());
        // Memory is that of the process with both tables and all repetitions.
        let whole = measure::shell(workload, self.name, 1, &line)?;
        let text = std::fs::read_to_string(&times)?;
        std::fs::remove_file(&times)?;
        let row = |(i, line): (usize, &str)| {
            let wall_s = line
                .parse()
                .with_context(|| format!("{} wrote \"{line}\"", self.name))?;
            Ok(Row {
                peak_mib: whole.peak_mib,
                ..Row::warm(workload, self.name, i + 1, wall_s)
            })
        };
        text.lines().enumerate().map(row).collect()
    }
}

/// Answers as a peer does: the numbers of a task, or the seconds of each repetition.
///
/// # Errors
/// When the tables cannot be read or the task fails.
pub(crate) fn own(args: &IntervalArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let task = task(&args.task)?;
    runtime.block_on(async {
        let context = context(&args.directory).await?;
        if args.repeat == "answer" {
            println!("{}", answer(&context, task.answer).await?);
            return Ok(());
        }
        for repetition in 0..=args.repeat.parse()? {
            let started = Instant::now();
            let mut stream = context.sql(task.sql).await?.execute_stream().await?;
            while let Some(batch) = stream.next().await {
                std::hint::black_box(batch?);
            }
            if repetition > 0u32 {
                println!("{}", started.elapsed().as_secs_f64());
            }
        }
        Ok(())
    })
}

async fn answer(context: &SessionContext, sql: &str) -> anyhow::Result<String> {
    let batches = context.sql(sql).await?.collect().await?;
    let batch = batches.first().context("no answer")?;
    let number = |column: &Arc<dyn Array>| {
        let column = arrow::compute::cast(column, &DataType::Int64)?;
        Ok(column.as_primitive::<Int64Type>().value(0).to_string())
    };
    let numbers: anyhow::Result<Vec<String>> = batch.columns().iter().map(number).collect();
    Ok(numbers?.join(" "))
}

/// A session of the engine with both tables in memory, in two runs each.
async fn context(directory: &Path) -> anyhow::Result<SessionContext> {
    let lake = Arc::new(Lake::memory());
    let config = EngineConfig {
        partitions: 2,
        ..EngineConfig::default()
    };
    let engine = Engine::new(Arc::clone(&lake), config)?;
    let snapshot = lake.snapshot().await?;
    let access = AccessContext::all("benchmark");
    let context = engine.session(snapshot, access, &genokura_sql_ext::register_all)?;
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(MemorySchemaProvider::new()))?;
    let state = context.state();
    let name = &state.config_options().catalog.default_catalog;
    context.register_catalog(name, Arc::new(catalog));
    for name in ["points", "spans"] {
        let path = directory.join(format!("{name}.parquet"));
        let path = path.to_string_lossy().into_owned();
        let options = ParquetReadOptions::default();
        let batches = context.read_parquet(path, options).await?.collect().await?;
        let schema = batches.first().context("an empty table")?.schema();
        let (first, second) = batches.split_at(batches.len() / 2);
        let table = MemTable::try_new(schema, vec![first.to_vec(), second.to_vec()])?;
        context.register_table(format!("{SCHEMA}.{name}"), Arc::new(table))?;
    }
    Ok(context)
}
