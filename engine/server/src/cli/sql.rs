//! `genokura sql`: the embedded engine, no server.

use std::io::{self, BufWriter, IsTerminal, Read, Stdout, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;
use bytes::BytesMut;
use clap::{Args, ValueEnum};
use futures::{StreamExt as _, TryStreamExt};
use parquet::arrow::ArrowWriter;

mod json;

use super::table::{Heading, TablePrinter};
use super::{LakeArg, Outcome};
use crate::backend::EngineBackend;
use crate::config::Settings as ServerSettings;
use crate::pg_types::PgType;
use crate::pgwire::column::Column;
use crate::pgwire::encode::{Format as CellFormat, RowEncoder, TextStyle};
use crate::session::statement::{self, Parsed};
use crate::session::{
    BatchStream, Outcome as SessionOutcome, Session, SessionOptions, Settings, TransactionStatus,
    no_input,
};
use crate::sqlstate::ServerError;

/// Arguments of `sql`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    genokura sql --lake lake -c 'SELECT count(*) FROM cohort.variants'\n  \
    genokura sql --lake lake --format parquet -c 'SELECT …' > result.parquet\n  \
    genokura sql --lake lake                 (asks for statements)")]
pub(super) struct SqlArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// Statements to run
    #[arg(
        short = 'c',
        long = "command",
        value_name = "SQL",
        conflicts_with = "file"
    )]
    command: Option<String>,
    /// A file of statements; '-' for standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the rows
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

/// Forms of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// As psql prints it
    Table,
    /// Comma-separated with a heading, PostgreSQL's text forms
    Csv,
    /// One JSON object a line; NaN and infinities are the texts "NaN", "Infinity" and "-Infinity"
    Json,
    /// Arrow IPC stream
    Arrow,
    /// One Parquet file
    Parquet,
}

/// Runs `genokura sql`.
pub(super) async fn run(args: SqlArgs) -> anyhow::Result<Outcome> {
    let binary = matches!(args.format, Form::Arrow | Form::Parquet);
    anyhow::ensure!(
        !(binary && io::stdout().is_terminal()),
        "--format {:?} is binary: send standard output to a file",
        args.format
    );
    let text = match (&args.command, &args.file) {
        (Some(sql), _) => Some(sql.clone()),
        (None, Some(path)) => Some(read(path)?),
        (None, None) if !io::stdin().is_terminal() => Some(read_stdin()?),
        (None, None) => None,
    };
    let mut session = session(&args).await?;
    match text {
        Some(sql) => run_all(&mut session, &sql, args.format).await?,
        None => ask(&mut session, args.format).await?,
    }
    Ok(Outcome::Done)
}

async fn session(args: &SqlArgs) -> anyhow::Result<Session> {
    let lake = args.lake.open().await?;
    let settings = ServerSettings::load(None)?;
    let backend = EngineBackend::open(lake, &settings)?;
    let options = SessionOptions {
        user: "owner".to_owned(),
        pid: 1,
        runtime: tokio::runtime::Handle::current(),
        memory_limit: None,
    };
    let timeout = settings.statement_timeout_ms.to_string();
    let defaults = Settings::new([("statement_timeout", timeout.as_str())])?;
    Ok(Session::new(Arc::new(backend), options, defaults))
}

fn read(path: &std::path::Path) -> anyhow::Result<String> {
    if path.as_os_str() == "-" {
        return read_stdin();
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .context("cannot read standard input")?;
    Ok(text)
}

async fn run_all(session: &mut Session, sql: &str, form: Form) -> anyhow::Result<()> {
    let statements = statement::parse(sql).map_err(|error| told(&error, sql))?;
    if statements.len() > 1 {
        session.begin_implicit_block();
    }
    for (number, parsed) in statements.iter().enumerate() {
        session.followed(number + 1 < statements.len());
        if let Err(error) = run_one(session, parsed, form).await {
            session.fail();
            return Err(error);
        }
    }
    session.sync();
    Ok(())
}

async fn run_one(session: &mut Session, parsed: &Parsed, form: Form) -> anyhow::Result<()> {
    let outcome = session
        .run(parsed, &[])
        .await
        .map_err(|error| told(&error, &parsed.text))?;
    for notice in session.take_notices() {
        tell!("genokura: {:#}", told(&notice, &parsed.text));
    }
    match outcome {
        SessionOutcome::Rows { rows, .. } | SessionOutcome::Copy { rows, .. } => {
            let columns = rows.columns.to_vec();
            let stream = session.stream(rows);
            print(&columns, stream, form, &session.settings().text_style())
                .await
                .map_err(|error| match error.downcast::<ServerError>() {
                    Ok(error) => told(&error, &parsed.text),
                    Err(error) => error,
                })
        }
        SessionOutcome::Skip { rows, .. } => {
            let mut stream = session.stream(rows);
            let mut passed = 0;
            while let Some(batch) = stream.next().await {
                passed += batch
                    .map_err(|error| told(&error, &parsed.text))?
                    .num_rows();
            }
            if form == Form::Table {
                println!("MOVE {passed}");
            }
            Ok(())
        }
        SessionOutcome::CopyIn(_) => Err(told(&no_input(), &parsed.text)),
        SessionOutcome::Done { tag, warning } => {
            if let Some(warning) = warning {
                tell!("genokura: {warning}");
            }
            if form == Form::Table {
                println!("{tag}");
            }
            Ok(())
        }
    }
}

/// An error as psql shows it: message, the line it points at, detail and hint.
fn told(error: &ServerError, sql: &str) -> anyhow::Error {
    let located = error.clone().in_full().locate(sql);
    let mut text = located.to_string();
    if let Some((number, line, column)) = located.position().and_then(|at| place(sql, at)) {
        let start = format!("LINE {number}: ");
        let indent = " ".repeat(start.chars().count() + column);
        text.push_str(&format!("\n{start}{line}\n{indent}^"));
    }
    for (label, part) in [
        ("DETAIL", located.detail_text()),
        ("HINT", located.hint_text()),
    ] {
        if let Some(part) = part.filter(|part| !text.contains(part)) {
            text.push_str(&format!("\n{label}:  {part}"));
        }
    }
    anyhow::Error::msg(text)
}

/// Line number, line and column (0-based, in characters) of a position (1-based, in characters).
fn place(sql: &str, position: usize) -> Option<(usize, &str, usize)> {
    let before: String = sql.chars().take(position.checked_sub(1)?).collect();
    let number = before.matches('\n').count();
    let column = before.rsplit('\n').next()?.chars().count();
    Some((number + 1, sql.lines().nth(number)?, column))
}

async fn print(
    columns: &[Column],
    stream: BatchStream,
    form: Form,
    style: &TextStyle,
) -> anyhow::Result<()> {
    match form {
        Form::Table => print_table(columns, stream, style).await,
        Form::Csv => print_csv(columns, stream, style).await,
        Form::Json | Form::Arrow | Form::Parquet => print_arrow(columns, stream, form).await,
    }
}

fn out() -> BufWriter<Stdout> {
    BufWriter::with_capacity(1 << 16, io::stdout())
}

async fn print_table(
    columns: &[Column],
    mut stream: BatchStream,
    style: &TextStyle,
) -> anyhow::Result<()> {
    let headings = columns
        .iter()
        .map(|c| Heading {
            name: c.name.clone(),
            numeric: is_numeric(c.pg_type),
        })
        .collect();
    let mut printer = TablePrinter::new(out(), headings);
    while let Some(batch) = stream.try_next().await? {
        let mut rows = RowText::new(&batch, columns, style)?;
        for row in 0..batch.num_rows() {
            let cells = (0..columns.len()).map(|i| Ok(rows.cell(i, row)?.unwrap_or_default()));
            printer.row(cells.collect::<anyhow::Result<_>>()?)?;
        }
    }
    Ok(printer.finish()?)
}

async fn print_csv(
    columns: &[Column],
    mut stream: BatchStream,
    style: &TextStyle,
) -> anyhow::Result<()> {
    let mut writer = csv::WriterBuilder::new().from_writer(out());
    writer.write_record(columns.iter().map(|c| c.name.as_str()))?;
    while let Some(batch) = stream.try_next().await? {
        let mut rows = RowText::new(&batch, columns, style)?;
        for row in 0..batch.num_rows() {
            for i in 0..columns.len() {
                writer.write_field(rows.cell(i, row)?.unwrap_or_default())?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
    }
    Ok(writer.flush()?)
}

/// Cells of one batch in PostgreSQL's text forms.
struct RowText {
    encoder: RowEncoder,
}

impl RowText {
    fn new(batch: &RecordBatch, columns: &[Column], style: &TextStyle) -> anyhow::Result<Self> {
        let formats = vec![CellFormat::Text; columns.len()];
        Ok(Self {
            encoder: RowEncoder::new(batch, columns, &formats, style)?,
        })
    }

    fn cell(&mut self, column: usize, row: usize) -> anyhow::Result<Option<String>> {
        if self.encoder.is_null(column, row) {
            return Ok(None);
        }
        let mut text = BytesMut::new();
        self.encoder.text(column, row, &mut text)?;
        Ok(Some(String::from_utf8(text.to_vec())?))
    }
}

fn is_numeric(pg_type: PgType) -> bool {
    [
        PgType::INT2,
        PgType::INT4,
        PgType::INT8,
        PgType::FLOAT4,
        PgType::FLOAT8,
        PgType::NUMERIC,
    ]
    .contains(&pg_type)
}

async fn print_arrow(
    columns: &[Column],
    mut stream: BatchStream,
    form: Form,
) -> anyhow::Result<()> {
    let mut sink: Option<Sink> = None;
    while let Some(batch) = stream.try_next().await? {
        let batch = named(&batch, columns)?;
        let sink = match &mut sink {
            Some(sink) => sink,
            None => sink.insert(Sink::new(form, &batch.schema())?),
        };
        sink.write(&batch)?;
    }
    match sink {
        Some(sink) => sink.finish(),
        None => Sink::new(form, &empty(columns))?.finish(),
    }
}

/// The batch under the names the client sees.
fn named(batch: &RecordBatch, columns: &[Column]) -> anyhow::Result<RecordBatch> {
    let fields: Vec<Field> = batch
        .schema()
        .fields()
        .iter()
        .zip(columns)
        .map(|(field, column)| field.as_ref().clone().with_name(&column.name))
        .collect();
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        batch.columns().to_vec(),
    )?)
}

/// The schema of a result without batches: every column as text.
fn empty(columns: &[Column]) -> SchemaRef {
    let field = |c: &Column| Field::new(&c.name, arrow::datatypes::DataType::Utf8, true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// A streaming writer of one of Arrow's forms.
enum Sink {
    Json(json::Lines<BufWriter<Stdout>>),
    Arrow(StreamWriter<BufWriter<Stdout>>),
    Parquet(Box<ArrowWriter<BufWriter<Stdout>>>),
}

impl Sink {
    fn new(form: Form, schema: &SchemaRef) -> anyhow::Result<Self> {
        Ok(match form {
            Form::Arrow => Self::Arrow(StreamWriter::try_new(out(), schema)?),
            Form::Parquet => {
                let writer = ArrowWriter::try_new(out(), Arc::clone(schema), None)?;
                Self::Parquet(Box::new(writer))
            }
            Form::Json | Form::Table | Form::Csv => Self::Json(json::lines(out())),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match self {
            Self::Json(writer) => writer.write(batch)?,
            Self::Arrow(writer) => writer.write(batch)?,
            Self::Parquet(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Json(mut writer) => {
                writer.finish()?;
                writer.into_inner().flush()?;
            }
            Self::Arrow(mut writer) => {
                writer.finish()?;
                writer.get_mut().flush()?;
            }
            Self::Parquet(writer) => {
                writer.into_inner()?.flush()?;
            }
        }
        Ok(())
    }
}

/// Reads statements from a terminal until \q or end of input.
async fn ask(session: &mut Session, form: Form) -> anyhow::Result<()> {
    let mut editor = rustyline::DefaultEditor::new()?;
    let mut waiting = String::new();
    println!(
        "genokura {}; end a statement with ;  leave with \\q",
        env!("CARGO_PKG_VERSION")
    );
    loop {
        let prompt = match (waiting.is_empty(), session.transaction_status()) {
            (false, _) => "genokura-> ",
            (true, TransactionStatus::Idle) => "genokura=> ",
            (true, TransactionStatus::Open) => "genokura=*> ",
            (true, TransactionStatus::Failed) => "genokura=!> ",
        };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(rustyline::error::ReadlineError::Interrupted) => {
                waiting.clear();
                continue;
            }
            Err(rustyline::error::ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if waiting.is_empty() && ["\\q", "exit", "quit"].contains(&line.trim()) {
            return Ok(());
        }
        waiting.push_str(&line);
        waiting.push('\n');
        if line.trim_end().ends_with(';') {
            let sql = std::mem::take(&mut waiting);
            editor.add_history_entry(sql.trim_end())?;
            if let Err(error) = run_all(session, &sql, form).await {
                tell!("{error}");
            }
        }
    }
}
