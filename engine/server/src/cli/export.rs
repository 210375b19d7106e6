//! `genokura export`: a dataset of a lake back as VCF, BCF or PLINK 1 files.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use anyhow::Context;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use clap::{Args, Subcommand};
use datafusion::catalog::TableProvider;
use datafusion::execution::context::SessionContext;
use futures::TryStreamExt;
use genokura_core::contig::suggest;
use genokura_core::interval::Interval;
use genokura_core::region::Region;
use genokura_exec::records::{RECORD_IDS, RecordSet, Records, Selection};
use genokura_exec::{AccessContext, Engine, EngineConfig};
use genokura_export::job::LEVEL_DEFAULT;
use genokura_export::{ExportJob, ExportReport, FamilyMember, Format};
use genokura_storage::LakeSnapshot;

use super::{LakeArg, Outcome, ingest, progress};
use crate::backend::EngineBackend;
use crate::session::{
    Backend, Session, SessionOptions, Settings, Snapshot, query_batches, statement,
};
use crate::sqlstate::{ServerError, nearest};

/// Name of the table that `--where` is a predicate over.
const TABLE: &str = "variants";
/// Who exports: the lake's owner.
const PRINCIPAL: &str = "owner";
/// Schema and table of the pedigree that is looked at when none is named.
const PEDIGREE: (&str, &str) = ("clin", "pedigree");

/// Subcommands of `genokura export`.
#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Write a dataset, or a part of it, as VCF
    #[command(
        after_help = "What was ingested comes back: header lines, ID, QUAL, FILTER, INFO and \
        every FORMAT value as `bcftools view` shows them, in the order of contigs and positions. The \
        end of the name says the form: .vcf is text, .vcf.gz (or .vcf.bgz) is BGZF with an index \
        beside it, .tbi or, beyond 2^29, .csi.\n\n\
        Examples:\n  \
        genokura export vcf --lake lake --dataset cohort -o cohort.vcf.gz\n  \
        genokura export vcf --lake lake --dataset cohort --samples NA12878,NA12891 \
        --region chr22:20,000,000-21,000,000 -o trio.vcf.gz\n  \
        genokura export vcf --lake lake --dataset cohort --where 'af < 0.01 AND qual > 30' -o - | \
        bcftools stats\n  \
        genokura export vcf --lake lake --dataset cohort \
        --samples-sql \"SELECT sample_id FROM clin.person WHERE sex = 'female'\" -o women.vcf.gz"
    )]
    Vcf(ExportArgs),
    /// Write a dataset, or a part of it, as BCF 2.2
    #[command(
        after_help = "The same records as `export vcf` writes, as `bcftools view -Ob` would \
        write them, with an index (.csi) beside them.\n\n\
        Example:\n  \
        genokura export bcf --lake lake --dataset cohort -o cohort.bcf"
    )]
    Bcf(ExportArgs),
    /// Write genotypes as a PLINK 1 file set (.bed .bim .fam)
    #[command(
        after_help = "Each ALT is a variant of its own: A1 the ALT, A2 REF; IDs are those of the \
        records, or CHROM:POS:REF:ALT. The .fam has family, parents and sex from the pedigree of the lake. PLINK 1 has \
        no place for phase, ploidy, QUAL, FILTER, INFO and \
        FORMAT: they are left out. A half call is missing, as is one of more than two alleles, which \
        the summary counts.\n\n\
        Example:\n  \
        genokura export bed --lake lake --dataset cohort -o cohort && plink2 --bfile cohort --freq"
    )]
    Bed(BedArgs),
}

/// Arguments of `export bed`.
#[derive(Debug, Args)]
pub(super) struct BedArgs {
    #[command(flatten)]
    export: ExportArgs,
    /// Table that names family, parents and sex of samples, or `none` [default: clin.pedigree, if it names any of
    /// these samples]
    #[arg(long, value_name = "TABLE")]
    pedigree: Option<String>,
}

/// Arguments of `export vcf`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The dataset
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Samples to write, in this order: names with commas between them, or @FILE with a name a line.
    /// INFO/AC and AN are then counted over them
    #[arg(long, value_name = "LIST|@FILE", conflicts_with = "samples_sql")]
    samples: Option<String>,
    /// A query whose first column names the samples to write
    #[arg(long, value_name = "SQL")]
    samples_sql: Option<String>,
    /// Records that overlap this region: chr22, chr22:100-200, chr22:100- (may be given again)
    #[arg(long = "region", value_name = "REGION")]
    regions: Vec<String>,
    /// Records of which some ALT satisfies this predicate over the columns of `variants`
    #[arg(long = "where", value_name = "PREDICATE")]
    predicate: Option<String>,
    /// Leave out FORMAT and the samples
    #[arg(long, conflicts_with_all = ["samples", "samples_sql"])]
    drop_genotypes: bool,
    /// Deflate level, 0 (fast) to 12 (small)
    #[arg(long, value_name = "N", default_value_t = LEVEL_DEFAULT,
          value_parser = clap::value_parser!(u8).range(0..=12))]
    compression_level: u8,
    /// Threads that write and compress [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Replace the output if it is there already
    #[arg(long)]
    force: bool,
    /// Path, object URL, or '-' for standard output (text)
    #[arg(short = 'o', long, value_name = "OUT")]
    output: String,
}

/// Runs `genokura export …`.
pub(super) async fn run(command: ExportCommand) -> anyhow::Result<Outcome> {
    let mut pedigree = None;
    let (args, format) = match command {
        ExportCommand::Vcf(args) => {
            let format = vcf_format(&args.output)?;
            (args, format)
        }
        ExportCommand::Bcf(args) => {
            let named = args.output.to_ascii_lowercase().ends_with(".bcf");
            anyhow::ensure!(
                named || args.output == "-" || args.output.starts_with("/dev/"),
                "-o {:?} does not end with .bcf",
                args.output
            );
            (args, Format::Bcf)
        }
        ExportCommand::Bed(args) => {
            pedigree = args.pedigree;
            (args.export, Format::Bed)
        }
    };
    let interrupted = async {
        // Without a handler Ctrl-C ends the process as it always does.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        done = Box::pin(export(args, format, pedigree.as_deref())) => {
            tell!("{}", summary(&done?, format).trim_end());
            Ok(Outcome::Done)
        }
        () = interrupted => {
            tell!("genokura: interrupted; nothing stands under the output's name");
            Ok(Outcome::Interrupted)
        }
    }
}

fn vcf_format(output: &str) -> anyhow::Result<Format> {
    let name = output.to_ascii_lowercase();
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| name.ends_with(suffix));
    if output == "-" || ends(&[".vcf"]) || output.starts_with("/dev/") {
        return Ok(Format::Vcf);
    }
    anyhow::ensure!(
        ends(&[".vcf.gz", ".vcf.bgz"]),
        "-o {output:?} does not say its form: a VCF ends with .vcf, .vcf.gz or .vcf.bgz"
    );
    Ok(Format::VcfGz)
}

async fn export(
    args: ExportArgs,
    format: Format,
    pedigree: Option<&str>,
) -> anyhow::Result<ExportReport> {
    let opened = Opened::new(&args).await?;
    let records = &opened.records;
    let mut wanted = match args.regions.is_empty() {
        true => None,
        false => Some(
            records
                .in_regions(&regions(&args.regions, records)?)
                .await?,
        ),
    };
    if let Some(predicate) = &args.predicate {
        let passing = opened.passing(predicate).await?;
        match &mut wanted {
            Some(set) => set.retain(&passing),
            None => wanted = Some(passing),
        }
    }
    let (selection, chosen) = opened.selection(&args).await?;
    let members = match format {
        Format::Bed => opened.members(pedigree, selection.names()).await?,
        Format::Vcf | Format::VcfGz | Format::Bcf => HashMap::new(),
    };
    let job = ExportJob {
        members,
        records: Arc::clone(records),
        wanted,
        selection,
        recount: chosen || !records.sees_all_samples(),
        genotypes: !args.drop_genotypes,
        format,
        output: args.output,
        force: args.force,
        level: args.compression_level,
        threads: args.threads.unwrap_or_else(ingest::cores),
        progress: progress::counter(&format!("export {}", args.dataset)),
    };
    Ok(Box::pin(job.run()).await?)
}

/// A dataset of a lake at one snapshot.
struct Opened {
    engine: Arc<Engine>,
    snapshot: Arc<LakeSnapshot>,
    records: Arc<Records>,
}

impl Opened {
    async fn new(args: &ExportArgs) -> anyhow::Result<Self> {
        let lake = args.lake.open().await?;
        let config = EngineConfig {
            partitions: args.threads.unwrap_or_else(ingest::cores),
            ..EngineConfig::default()
        };
        let engine = Engine::new(lake, config)?;
        let snapshot = engine.lake().snapshot().await?;
        let access = AccessContext::all(PRINCIPAL);
        let records = engine.records(&snapshot, &args.dataset, &access).await?;
        let names: Vec<&str> = snapshot.datasets().map(|(name, _)| name).collect();
        let records = records.with_context(|| unknown("dataset", &args.dataset, &names))?;
        Ok(Self {
            engine,
            snapshot,
            records,
        })
    }

    /// The records of which some ALT satisfies the predicate.
    async fn passing(&self, predicate: &str) -> anyhow::Result<RecordSet> {
        statement::condition(predicate).map_err(|e| told("--where", &e))?;
        let sql = format!("SELECT {RECORD_IDS} FROM {TABLE} WHERE (\n{predicate}\n)");
        let mut passing = RecordSet::default();
        let mut session = self.session();
        let rows = query_batches(&mut session, &sql).await;
        let (_, mut batches) = rows.map_err(|e| told("--where", &e))?;
        while let Some(batch) = batches.try_next().await.map_err(|e| told("--where", &e))? {
            let lists = batch.column(0).as_list::<i32>();
            for list in lists.iter().flatten() {
                list.as_primitive::<Int64Type>()
                    .values()
                    .iter()
                    .for_each(|id| passing.insert(*id));
            }
        }
        Ok(passing)
    }

    /// The samples to write, and whether the user chose them.
    async fn selection(&self, args: &ExportArgs) -> anyhow::Result<(Arc<Selection>, bool)> {
        let all = self.records.samples();
        let names = match (&args.samples, &args.samples_sql) {
            (Some(list), _) => listed(list)?,
            (None, Some(sql)) => self.queried(sql).await?,
            (None, None) => return Ok((self.records.select(0..all.len()), false)),
        };
        let place: HashMap<&str, usize> = all
            .iter()
            .enumerate()
            .map(|(i, name)| (name.as_str(), i))
            .collect();
        let mut chosen = Vec::new();
        for name in &names {
            let found = place.get(name.as_str()).copied();
            let known = || all.iter().map(String::as_str).collect::<Vec<_>>();
            let hint = match name.contains(',')
                || args.samples.as_ref().is_some_and(|l| l.contains(','))
            {
                true => "; a name with a comma stands in a file: --samples @FILE",
                false => "",
            };
            let absent = || format!("{}{hint}", unknown("sample", name, &known()));
            chosen.push(found.with_context(absent)?);
        }
        anyhow::ensure!(
            !chosen.is_empty(),
            "{} names no sample; --drop-genotypes writes the variants alone",
            match args.samples {
                Some(_) => "--samples",
                None => "--samples-sql",
            }
        );
        Ok((self.records.select(chosen), true))
    }

    /// What a pedigree says of these samples: the table that is named, else `clin.pedigree` where it names one of them.
    async fn members(
        &self,
        named: Option<&str>,
        samples: &[String],
    ) -> anyhow::Result<HashMap<String, FamilyMember>> {
        let (schema, table) = match named {
            None => PEDIGREE,
            Some("none") => return Ok(HashMap::new()),
            Some(name) => name.split_once('.').with_context(|| {
                format!("--pedigree {name}: a table is named schema.table, as clin.pedigree")
            })?,
        };
        let snapshot = self.backend().snapshot().await?;
        let context = self.backend().context(&snapshot, PRINCIPAL)?;
        let read = genokura_sql_ext::pedigree(&context.state(), schema, table).await;
        let members = read.map_err(|e| told("--pedigree", &ServerError::from(e)))?;
        let known = || {
            self.snapshot
                .tables()
                .map(|id| format!("{}.{}", id.schema, id.table))
        };
        let Some(members) = members else {
            let Some(name) = named else {
                return Ok(HashMap::new());
            };
            let known: Vec<String> = known().collect();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            anyhow::bail!("--pedigree: {}", unknown("table", name, &known));
        };
        let wanted: BTreeSet<&str> = samples.iter().map(String::as_str).collect();
        let members = members.into_iter();
        let members: HashMap<String, FamilyMember> = members
            .filter(|member| wanted.contains(member.sample.as_str()))
            .map(|member| {
                let of = FamilyMember {
                    family: member.family,
                    father: member.father,
                    mother: member.mother,
                    sex: member.sex,
                };
                (member.sample, of)
            })
            .collect();
        anyhow::ensure!(
            named.is_none() || !members.is_empty(),
            "--pedigree {schema}.{table}: its sample_id names none of the samples to write"
        );
        Ok(members)
    }

    /// The first column of a query.
    async fn queried(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        let mut session = self.session();
        let rows = query_batches(&mut session, sql).await;
        let (_, mut batches) = rows.map_err(|e| told("--samples-sql", &e))?;
        let mut names = Vec::new();
        while let Some(batch) = batches
            .try_next()
            .await
            .map_err(|e| told("--samples-sql", &e))?
        {
            let column = batch
                .columns()
                .first()
                .context("--samples-sql gives no column")?;
            let texts = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8)?;
            let texts = texts.as_string::<i32>().iter().flatten();
            names.extend(texts.map(str::to_owned));
        }
        Ok(names)
    }

    fn backend(&self) -> ExportBackend {
        ExportBackend {
            inner: EngineBackend::new(Arc::clone(&self.engine)),
            snapshot: Arc::clone(&self.snapshot),
            variants: self.records.variants_table(),
        }
    }

    /// A session that knows the dataset's variants, with their records, as `variants`.
    fn session(&self) -> Session {
        let options = SessionOptions {
            user: PRINCIPAL.to_owned(),
            pid: 1,
            runtime: tokio::runtime::Handle::current(),
            memory_limit: None,
        };
        let settings = Settings::default();
        Session::new(Arc::new(self.backend()), options, settings)
    }
}

/// The engine's backend at one snapshot, with one table more.
struct ExportBackend {
    inner: EngineBackend,
    snapshot: Arc<LakeSnapshot>,
    variants: Arc<dyn TableProvider>,
}

#[async_trait]
impl Backend for ExportBackend {
    async fn snapshot(&self) -> Result<Snapshot, ServerError> {
        let state = Arc::clone(&self.snapshot);
        Ok(Snapshot {
            version: state.version,
            state,
        })
    }

    fn context(&self, snapshot: &Snapshot, principal: &str) -> Result<SessionContext, ServerError> {
        let context = self.inner.context(snapshot, principal)?;
        context.register_table(TABLE, Arc::clone(&self.variants))?;
        Ok(context)
    }
}

fn told(option: &str, error: &ServerError) -> anyhow::Error {
    let error = error.clone().in_full();
    let mut text = format!("{option}: {error}");
    for part in [error.detail_text(), error.hint_text()]
        .into_iter()
        .flatten()
    {
        if !text.contains(part) {
            text.push_str(&format!(" {part}"));
        }
    }
    anyhow::Error::msg(text)
}

/// The regions by the contig names of the dataset.
fn regions(texts: &[String], records: &Records) -> anyhow::Result<Vec<(String, Interval)>> {
    let contigs = records.state().contigs.iter();
    let known: Vec<&str> = contigs.map(|contig| contig.name.as_str()).collect();
    let mut spans = Vec::new();
    for text in texts {
        let region = Region::parse_with(text, &known);
        let region = region.map_err(|e| anyhow::anyhow!("--region: {e}"))?;
        anyhow::ensure!(
            known.contains(&region.contig.as_str()),
            "--region {text}: {}",
            unknown("contig", &region.contig, &known)
        );
        let span = region.interval_or_all();
        spans.push((region.contig, span));
    }
    Ok(spans)
}

/// Names of `A,B,C` or of the lines of `@FILE`.
fn listed(list: &str) -> anyhow::Result<Vec<String>> {
    let Some(path) = list.strip_prefix('@') else {
        let names = list.split(',').filter(|name| !name.is_empty());
        return Ok(names.map(str::to_owned).collect());
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("--samples @{path}: cannot read the file"))?;
    let mut seen = BTreeSet::new();
    let names = text
        .lines()
        .map(str::trim_end)
        .filter(|name| !name.is_empty());
    Ok(names
        .filter(|name| seen.insert(*name))
        .map(str::to_owned)
        .collect())
}

/// Names a thing that there is not, and the one that was probably meant.
fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = suggest(name, known).or_else(|| nearest(name, known.iter().copied()));
    match near {
        Some(near) => format!("there is no {what} {name:?}; did you mean {near:?}?"),
        None if what == "dataset" && known.is_empty() => {
            format!("there is no {what} {name:?}: the lake has none")
        }
        None if what == "table" => format!("there is no {what} {name:?} in this lake"),
        None if what == "dataset" => {
            format!(
                "there is no {what} {name:?}; the lake has {}",
                known.join(", ")
            )
        }
        None => format!("there is no {what} {name:?} in this dataset"),
    }
}

fn summary(report: &ExportReport, format: Format) -> String {
    let index = report
        .index
        .map_or_else(String::new, |index| format!(", index .{index}"));
    let mut text = format!(
        "{} records of {} samples written, {} bytes{index} ({:.1} s)\n",
        report.records, report.samples, report.bytes, report.seconds
    );
    if report.misfits > 0 && format == Format::Bed {
        text.push_str(&format!(
            "  {} calls of more than two alleles are missing in the .bed: PLINK 1 cannot hold them\n",
            report.misfits
        ));
    } else if report.misfits > 0 {
        text.push_str(&format!(
            "  {} values do not fit the Type that the header declares; BCF holds what htslib reads of \
             them (export vcf keeps their text)\n",
            report.misfits
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_say_their_form() {
        assert_eq!(vcf_format("a.vcf").unwrap(), Format::Vcf);
        assert_eq!(vcf_format("-").unwrap(), Format::Vcf);
        assert_eq!(vcf_format("s3://b/a.VCF.gz").unwrap(), Format::VcfGz);
        assert!(vcf_format("a.txt").is_err());
    }

    #[test]
    fn lists_of_samples() {
        assert_eq!(listed("A,B,,A").unwrap(), ["A", "B", "A"]);
        assert!(listed("@/nowhere").is_err());
    }
}
