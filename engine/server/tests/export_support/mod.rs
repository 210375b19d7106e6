//! What the tests of exports share: the catalogue, an ingested and exported file, bcftools.

#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod made;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use datafusion::arrow::array::AsArray as _;
use datafusion::arrow::datatypes::Int64Type;
use genokura_exec::records::{RecordSet, Records, Selection};
use genokura_exec::{AccessContext, Engine, EngineConfig};
use genokura_export::{ExportJob, Format, Silent};
use genokura_ingest::{CancelFlag, VcfJob};
use genokura_storage::{Lake, LakeSnapshot};

/// The folder of the shared data, beside the workspace or where `GENOKURA_SHARED` says. Without it a
/// test says so and ends; under CI it fails.
pub fn shared() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("GENOKURA_SHARED").map_or_else(default, PathBuf::from);
    if path.is_dir() {
        return Some(path);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI needs the shared data; set GENOKURA_SHARED"
    );
    eprintln!("NOT RUN: no shared data (set GENOKURA_SHARED to its folder)");
    None
}

/// The valid VCF, gVCF and BCF files of the catalogue.
pub fn manifest(shared: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(shared.join("MANIFEST.tsv")).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let place = |name| header.iter().position(|h| *h == name).unwrap();
    let (path, kind, format) = (place("path"), place("kind"), place("fileformat"));
    let call_set = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let ends = [".vcf", ".vcf.gz", ".bcf", ".vcf.bgz"];
        let is_call_set =
            !cells[format].is_empty() || ends.iter().any(|e| cells[path].ends_with(e));
        let is_valid = !matches!(cells[kind], "invalid" | "fuzz");
        (is_call_set && is_valid).then(|| cells[path].to_owned())
    };
    lines.filter_map(call_set).collect()
}

/// Lines of what bcftools prints; `None` when it fails.
pub fn bcftools(arguments: &[&str], file: &Path) -> Option<Vec<String>> {
    let mut command = Command::new("bcftools");
    let output = command.args(arguments).arg(file).output();
    let output = output.expect("bcftools is installed (apt-get install bcftools)");
    let text = String::from_utf8_lossy(&output.stdout);
    output
        .status
        .success()
        .then(|| text.lines().map(str::to_owned).collect())
}

/// The records of a file as bcftools prints them.
pub fn lines_of(file: &Path) -> Option<Vec<String>> {
    bcftools(&["view", "--no-version", "-H"], file)
}

/// The header of a file as bcftools prints it. It reads a pipe: beside a file with an index it would
/// add the contigs of the index.
pub fn header_of(file: &Path) -> Vec<String> {
    let input = std::fs::File::open(file).unwrap();
    let mut command = Command::new("bcftools");
    let output = command
        .args(["view", "--no-version", "-h", "-"])
        .stdin(input)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

/// The text of a file, inflated when it is compressed.
pub fn text_of(file: &Path) -> Result<String, String> {
    let output = Command::new("bgzip").args(["-dc"]).arg(file).output();
    let bytes = match output {
        Ok(output) if output.status.success() => output.stdout,
        _ => std::fs::read(file).map_err(|e| e.to_string())?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Lines by contig and position, equal ones in their order.
pub fn sorted(mut lines: Vec<String>, contigs: &BTreeMap<String, usize>) -> Vec<String> {
    let key = |line: &String| {
        let mut columns = line.split('\t');
        let rank = columns
            .next()
            .and_then(|contig| contigs.get(contig))
            .copied();
        let pos = columns.next().and_then(|pos| pos.parse::<i64>().ok());
        (rank.unwrap_or(usize::MAX), pos.unwrap_or(0))
    };
    lines.sort_by_key(key);
    lines
}

/// True when two lines say the same: numbers may be written in two ways, missing values at the end
/// of a sample may be left out.
pub fn reads_alike(a: &str, b: &str) -> bool {
    let cells = |line: &str| -> Vec<String> {
        let line = line.trim_end_matches('\r').split('\t').enumerate();
        let cell = |(i, cell): (usize, &str)| match i {
            9.. => {
                let mut cell = cell;
                while let Some(shorter) = cell.strip_suffix(":.").or(cell.strip_suffix(':')) {
                    cell = shorter;
                }
                cell.strip_prefix('.')
                    .filter(|rest| rest.is_empty())
                    .unwrap_or(cell)
                    .to_owned()
            }
            _ => cell.to_owned(),
        };
        line.map(cell).collect()
    };
    let (a, b) = (cells(a), cells(b));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| cell_alike(a, b))
}

fn cell_alike(a: &str, b: &str) -> bool {
    let separators = [';', ':', ',', '=', '/', '|'];
    let tokens = |cell: &str| -> Vec<String> {
        cell.split(separators)
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (a, b) = (tokens(a), tokens(b));
    let alike = |(a, b): (&String, &String)| {
        a == b || matches!((a.parse::<f32>(), b.parse::<f32>()), (Ok(a), Ok(b)) if a == b)
    };
    a.len() == b.len() && a.iter().zip(&b).all(alike)
}

/// A lake in memory with one dataset, and a folder for its exports.
pub struct Exported {
    pub folder: tempfile::TempDir,
    pub engine: Arc<Engine>,
    pub snapshot: Arc<LakeSnapshot>,
    pub records: Arc<Records>,
}

/// Ingests inputs as one batch.
pub async fn load(lake: &Arc<Lake>, inputs: &[&Path]) -> Result<(), String> {
    let job = VcfJob {
        lake: Arc::clone(lake),
        dataset: "ds".to_owned(),
        inputs: inputs
            .iter()
            .map(|path| path.to_str().unwrap().to_owned())
            .collect(),
        reference: None,
        assembly: None,
        strict: false,
        repeated_samples: false,
        threads: 1,
        memory_bytes: 256 << 20,
        progress: Arc::new(genokura_ingest::Silent),
        cancel: CancelFlag::new(),
    };
    Box::pin(job.run())
        .await
        .map_err(|e| format!("ingest: {e}"))?;
    Ok(())
}

impl Exported {
    /// A dataset of one batch.
    pub async fn of(inputs: &[&Path]) -> Result<Self, String> {
        let lake = Arc::new(Lake::memory());
        load(&lake, inputs).await?;
        Self::open(lake, AccessContext::default()).await
    }

    /// The dataset of a lake as somebody may see it.
    pub async fn open(lake: Arc<Lake>, access: AccessContext) -> Result<Self, String> {
        let engine = Engine::new(lake, EngineConfig::default()).map_err(|e| e.to_string())?;
        let snapshot = engine.lake().snapshot().await.map_err(|e| e.to_string())?;
        let records = engine.records(&snapshot, "ds", &access).await;
        let records = records.map_err(|e| e.to_string())?.ok_or("no dataset")?;
        Ok(Self {
            folder: tempfile::tempdir().map_err(|e| e.to_string())?,
            engine,
            snapshot,
            records,
        })
    }

    /// The whole dataset.
    pub async fn write(&self, name: &str) -> Result<PathBuf, String> {
        let all = self.records.select(0..self.records.samples().len());
        self.part(name, None, all, false).await
    }

    /// A part of the dataset.
    pub async fn part(
        &self,
        name: &str,
        wanted: Option<RecordSet>,
        selection: Arc<Selection>,
        recount: bool,
    ) -> Result<PathBuf, String> {
        let path = self.folder.path().join(name);
        let job = ExportJob {
            members: HashMap::default(),
            records: Arc::clone(&self.records),
            wanted,
            selection,
            recount,
            genotypes: true,
            format: format_of(name),
            output: path.to_str().unwrap().to_owned(),
            force: false,
            level: 1,
            threads: 2,
            progress: Arc::new(Silent),
        };
        Box::pin(job.run())
            .await
            .map_err(|e| format!("export: {e}"))?;
        Ok(path)
    }

    /// Numbers of the lines that ingest refused.
    pub async fn quarantined_lines(&self) -> Result<BTreeSet<usize>, String> {
        let (snapshot, access) = (Arc::clone(&self.snapshot), AccessContext::default());
        let context = self.engine.session(snapshot, access, &|builder| builder);
        let context = context.map_err(|e| e.to_string())?;
        let rows = match context.sql("SELECT line FROM ds.quarantine").await {
            Ok(rows) => rows.collect().await.map_err(|e| e.to_string())?,
            Err(_) => return Ok(BTreeSet::new()),
        };
        let mut lines = BTreeSet::new();
        for batch in rows {
            let column = batch.column(0).as_primitive::<Int64Type>();
            let numbers = column
                .values()
                .iter()
                .map(|line| usize::try_from(*line).unwrap());
            lines.extend(numbers);
        }
        Ok(lines)
    }
}

fn format_of(name: &str) -> Format {
    match name.rsplit('.').next() {
        Some("vcf") => Format::Vcf,
        Some("bcf") => Format::Bcf,
        _ => Format::VcfGz,
    }
}
