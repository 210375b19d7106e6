//! `genokura ingest`: variants, clinical tables and regions into a lake.

use anyhow::Context;
use chrono::NaiveDate;
use clap::{Args, Subcommand};
use genokura_core::contig::ContigNames;
use genokura_ingest::{
    CancelFlag, CbioportalJob, Error, IngestReport, OmopJob, OntologyJob, PedigreeJob,
    PhenopacketsJob, RegionsJob, SitesJob, TableJob, VcfJob,
};
use genokura_storage::TableId;

use super::{LakeArg, Outcome, progress};

/// Bound of the rows under way in one job; the process takes more for buffers and code.
pub(super) const MEMORY_BYTES: usize = 512 << 20;

/// Subcommands of `genokura ingest`.
#[derive(Debug, Subcommand)]
pub(super) enum IngestCommand {
    /// Load VCF (plain, bgzip, gzip) or BCF files into a dataset
    #[command(after_help = "Examples:\n  \
        genokura ingest vcf --lake lake --dataset cohort cohort.vcf.gz\n  \
        genokura ingest vcf --lake s3://bucket/lake --dataset cohort 'release/chr*.bcf'\n  \
        bcftools view -r chr22 big.bcf | genokura ingest vcf --lake lake --dataset chr22 -")]
    Vcf(VcfArgs),
    /// Load a csv, tsv, json or parquet file as a typed table
    #[command(after_help = "Example:\n  \
        genokura ingest table --lake lake --table clin.person --dictionary dictionary.csv \
        person.csv")]
    Table(TableArgs),
    /// Load a PED or FAM file: who is whose parent
    #[command(after_help = "Example:\n  \
        genokura ingest pedigree --lake lake families.ped")]
    Pedigree(PedigreeArgs),
    /// Load genes, targets or other spans from GFF3, GTF or BED
    #[command(after_help = "Example:\n  \
        genokura ingest regions --lake lake --table kb.genes gencode.gff3.gz\n  \
        genokura ingest regions --lake lake --table kb.exons --contigs chr ensembl.gtf.gz")]
    Regions(RegionsArgs),
    /// Load alleles without people (ClinVar, gnomAD, TogoVar) from VCF or BCF as one table, releases side by side
    #[command(after_help = "Examples:\n  \
        genokura ingest sites --lake lake --table kb.clinvar --release 2024-01-07 --contigs chr \
        clinvar_20240107.vcf.gz\n  \
        genokura ingest sites --lake lake --table kb.gnomad 'gnomad.exomes.v4.1.sites.chr*.vcf.bgz'")]
    Sites(SitesArgs),
    /// Load HPO, or another ontology in OBO form: its terms and who is an ancestor of whom
    #[command(after_help = "Examples:\n  \
        genokura ingest hpo --lake lake hp.obo\n  \
        genokura ingest hpo --lake lake --name mondo mondo.obo\n\n\
        Makes kb.hpo_terms and kb.hpo_closure, which hpo_is_a and hpo_present read.")]
    Hpo(HpoArgs),
    /// Load phenopackets (GA4GH, version 2, JSON): persons, phenotypes, diseases, specimens, variants, …
    #[command(after_help = "Examples:\n  \
        genokura ingest phenopackets --lake lake 'cases/*.json'\n  \
        genokura ingest phenopackets --lake lake --contigs chr family.json cohort.json.gz\n\n\
        A file is a phenopacket, a family or a cohort, an array of them, or one after the other. Makes clin.person, \
        clin.phenotype, clin.condition, clin.specimen, clin.measurement, clin.treatment, clin.interpretation, \
        clin.family and clin.phenopacket.")]
    Phenopackets(PhenopacketsArgs),
    /// Load a directory of OMOP CDM tables (version 5.3 or 5.4; csv, tsv, parquet)
    #[command(after_help = "Example:\n  \
        genokura ingest omop --lake lake synthea/\n\n\
        Files are told by their names (PERSON.csv, condition_occurrence.csv.gz, death.parquet); types are those of the CDM.")]
    Omop(OmopArgs),
    /// Load a study of cBioPortal: clinical attributes, mutations, segments, and matrices as long tables
    #[command(after_help = "Example:\n  \
        genokura ingest cbioportal --lake lake --contigs chr brca_tcga/\n\n\
        What is loaded is what the meta_*.txt files name. Tables patient, sample, mutation, segment and \
        structural_variant go to a schema of the study's name, matrices to omics (see omics_wide).")]
    Cbioportal(CbioportalArgs),
}

/// Arguments of `ingest vcf`.
#[derive(Debug, Args)]
pub(super) struct VcfArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The dataset: a schema of its own in SQL, made when it is new
    #[arg(long, value_name = "NAME")]
    dataset: String,
    /// Left-align indels with this reference (FASTA, with .fai beside it)
    #[arg(long, value_name = "FASTA")]
    reference: Option<String>,
    /// The assembly, when the header does not tell (GRCh38, GRCh37, T2T-CHM13)
    #[arg(long, value_name = "NAME")]
    assembly: Option<String>,
    /// Refuse the job at the first record or header line that needs repair or quarantine
    #[arg(long)]
    strict: bool,
    /// Take a sample again at a variant at which the dataset has it, such as a normal that several tumours share: both
    /// calls stay, in rows of their own, and sums over rows count both
    #[arg(long)]
    repeated_samples: bool,
    /// Threads that inflate and parse [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// Paths, globs, object URLs, or '-' for standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

/// Arguments of `ingest table`.
#[derive(Debug, Args)]
pub(super) struct TableArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The table as schema.table
    #[arg(long, value_name = "SCHEMA.TABLE")]
    table: String,
    /// Types and comments of the columns: a csv with column, type, comment
    #[arg(long, value_name = "FILE")]
    dictionary: Option<String>,
    /// Put this input in the place of what the table holds
    #[arg(long)]
    replace: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// A csv, tsv, json or parquet file (path, object URL, or '-')
    #[arg(value_name = "INPUT")]
    input: String,
}

/// Arguments of `ingest pedigree`.
#[derive(Debug, Args)]
pub(super) struct PedigreeArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The table as schema.table; the functions on families read clin.pedigree
    #[arg(long, value_name = "SCHEMA.TABLE", default_value = "clin.pedigree")]
    table: String,
    /// Put this pedigree in the place of the one that is there
    #[arg(long)]
    replace: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// A PED or FAM file (path, object URL, or '-'), gzip accepted
    #[arg(value_name = "INPUT")]
    input: String,
}

/// Arguments of `ingest regions`.
#[derive(Debug, Args)]
pub(super) struct RegionsArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The table as schema.table
    #[arg(long, value_name = "SCHEMA.TABLE")]
    table: String,
    /// Name human chromosomes this way, whichever way the input does: chr (chr1, chrM) or plain (1, MT). Joins
    /// compare names, so name them as the datasets do [default: as the input]
    #[arg(long, value_name = "chr|plain", value_parser = contig_names)]
    contigs: Option<ContigNames>,
    /// The assembly, when the input does not tell or names another (GRCh38, GRCh37, T2T-CHM13)
    #[arg(long, value_name = "NAME")]
    assembly: Option<String>,
    /// Put this input in the place of what the table holds
    #[arg(long)]
    replace: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// A GFF3, GTF or BED file (path, object URL, or '-'), gzip accepted
    #[arg(value_name = "INPUT")]
    input: String,
}

/// Arguments of `ingest sites`.
#[derive(Debug, Args)]
pub(super) struct SitesArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The table as schema.table
    #[arg(long, value_name = "SCHEMA.TABLE")]
    table: String,
    /// Date of the release, the value of the column release
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date)]
    release: Option<NaiveDate>,
    /// Name human chromosomes this way, whichever way the input does: chr (chr1, chrM) or plain (1, MT). Joins
    /// compare names, so name them as the datasets do [default: as the input]
    #[arg(long, value_name = "chr|plain", value_parser = contig_names)]
    contigs: Option<ContigNames>,
    /// The assembly, when the header does not tell or names another (GRCh38, GRCh37, T2T-CHM13)
    #[arg(long, value_name = "NAME")]
    assembly: Option<String>,
    /// Left-align indels with this reference (FASTA, with .fai beside it); give it when the call set had it
    #[arg(long, value_name = "FASTA")]
    reference: Option<String>,
    /// Put this input in the place of what the table holds
    #[arg(long)]
    replace: bool,
    /// Threads that inflate and parse [default: all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// Paths, globs, object URLs, or '-' for standard input
    #[arg(required = true, value_name = "INPUT")]
    inputs: Vec<String>,
}

/// Arguments of `ingest hpo`.
#[derive(Debug, Args)]
pub(super) struct HpoArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The schema of the tables
    #[arg(long, value_name = "SCHEMA", default_value = "kb", value_parser = name)]
    schema: String,
    /// Name of the ontology: its tables are NAME_terms and NAME_closure. The functions hpo_… read kb.hpo_…
    #[arg(long, value_name = "NAME", default_value = "hpo", value_parser = name)]
    name: String,
    /// Put this release in the place of the one that is there
    #[arg(long)]
    replace: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// An OBO file, format 1.2 or 1.4 (path, object URL, or '-'), gzip accepted
    #[arg(value_name = "FILE.obo")]
    input: String,
}

/// Arguments of `ingest phenopackets`.
#[derive(Debug, Args)]
pub(super) struct PhenopacketsArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The schema of the tables
    #[arg(long, value_name = "SCHEMA", default_value = "clin", value_parser = name)]
    schema: String,
    /// Name human chromosomes this way, whichever way the files do: chr (chr1, chrM) or plain (1, MT). Joins
    /// compare names, so name them as the datasets do [default: as the files]
    #[arg(long, value_name = "chr|plain", value_parser = contig_names)]
    contigs: Option<ContigNames>,
    /// Put these files in the place of what the tables hold
    #[arg(long)]
    replace: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// JSON files (paths, globs, object URLs, or '-'), gzip accepted
    #[arg(required = true, value_name = "FILE")]
    inputs: Vec<String>,
}

/// Arguments of `ingest omop`.
#[derive(Debug, Args)]
pub(super) struct OmopArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The schema of the tables
    #[arg(long, value_name = "SCHEMA", default_value = "omop", value_parser = name)]
    schema: String,
    /// Put these files in the place of what the tables hold
    #[arg(long)]
    replace: bool,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// The directory of the csv, tsv and parquet files, gzip accepted
    #[arg(value_name = "DIRECTORY")]
    directory: String,
}

/// Arguments of `ingest cbioportal`.
#[derive(Debug, Args)]
pub(super) struct CbioportalArgs {
    #[command(flatten)]
    lake: LakeArg,
    /// The schema of the study's tables [default: the study's identifier]
    #[arg(long, value_name = "SCHEMA", value_parser = name)]
    schema: Option<String>,
    /// The schema of its matrices, which studies share
    #[arg(long, value_name = "SCHEMA", default_value = "omics", value_parser = name)]
    omics: String,
    /// Name human chromosomes this way, whichever way the files do: chr (chr1, chrM) or plain (1, MT). Joins
    /// compare names, so name them as the datasets do [default: as the files]
    #[arg(long, value_name = "chr|plain", value_parser = contig_names)]
    contigs: Option<ContigNames>,
    /// Print the report as one JSON object
    #[arg(long)]
    json: bool,
    /// The directory of the study
    #[arg(value_name = "STUDY_DIRECTORY")]
    directory: String,
}

/// Runs `genokura ingest …`.
pub(super) async fn run(command: IngestCommand) -> anyhow::Result<Outcome> {
    match command {
        IngestCommand::Vcf(args) => vcf(args).await,
        IngestCommand::Table(args) => table(args).await,
        IngestCommand::Pedigree(args) => pedigree(args).await,
        IngestCommand::Regions(args) => regions(args).await,
        IngestCommand::Sites(args) => sites(args).await,
        IngestCommand::Hpo(args) => hpo(args).await,
        IngestCommand::Phenopackets(args) => phenopackets(args).await,
        IngestCommand::Omop(args) => omop(args).await,
        IngestCommand::Cbioportal(args) => cbioportal(args).await,
    }
}

async fn vcf(args: VcfArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = VcfJob {
        lake,
        progress: progress::reporter(&format!("ingest {}", args.dataset)),
        dataset: args.dataset,
        inputs: args.inputs,
        reference: args.reference,
        assembly: args.assembly,
        strict: args.strict,
        repeated_samples: args.repeated_samples,
        threads: args.threads.unwrap_or_else(cores),
        memory_bytes: MEMORY_BYTES,
        cancel: cancel_on_ctrl_c(),
    };
    finish(job.run().await, args.json)
}

async fn table(args: TableArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = TableJob {
        dictionary: args.dictionary,
        replace: args.replace,
        progress: progress::reporter(&format!("ingest {}", args.table)),
        cancel: cancel_on_ctrl_c(),
        ..TableJob::new(lake, table_id(&args.table)?, args.input)
    };
    finish(job.run().await, args.json)
}

async fn pedigree(args: PedigreeArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = PedigreeJob {
        replace: args.replace,
        progress: progress::reporter(&format!("ingest {}", args.table)),
        cancel: cancel_on_ctrl_c(),
        ..PedigreeJob::new(lake, table_id(&args.table)?, args.input)
    };
    finish(job.run().await, args.json)
}

async fn regions(args: RegionsArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = RegionsJob {
        replace: args.replace,
        contigs: args.contigs,
        assembly: args.assembly,
        progress: progress::reporter(&format!("ingest {}", args.table)),
        cancel: cancel_on_ctrl_c(),
        ..RegionsJob::new(lake, table_id(&args.table)?, args.input)
    };
    finish(job.run().await, args.json)
}

async fn sites(args: SitesArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = SitesJob {
        lake,
        id: table_id(&args.table)?,
        inputs: args.inputs,
        release: args.release,
        contigs: args.contigs,
        assembly: args.assembly,
        reference: args.reference,
        replace: args.replace,
        threads: args.threads.unwrap_or_else(cores),
        memory_bytes: MEMORY_BYTES,
        progress: progress::reporter(&format!("ingest {}", args.table)),
        cancel: cancel_on_ctrl_c(),
    };
    finish(Box::pin(job.run()).await, args.json)
}

async fn hpo(args: HpoArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = OntologyJob {
        replace: args.replace,
        progress: progress::reporter(&format!("ingest {}.{}_terms", args.schema, args.name)),
        schema: args.schema,
        name: args.name,
        cancel: cancel_on_ctrl_c(),
        ..OntologyJob::new(lake, args.input)
    };
    finish(job.run().await, args.json)
}

async fn phenopackets(args: PhenopacketsArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = PhenopacketsJob {
        replace: args.replace,
        contigs: args.contigs,
        progress: progress::reporter(&format!("ingest {}", args.schema)),
        schema: args.schema,
        cancel: cancel_on_ctrl_c(),
        ..PhenopacketsJob::new(lake, args.inputs)
    };
    finish(job.run().await, args.json)
}

async fn omop(args: OmopArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = OmopJob {
        replace: args.replace,
        progress: progress::reporter(&format!("ingest {}", args.schema)),
        schema: args.schema,
        cancel: cancel_on_ctrl_c(),
        ..OmopJob::new(lake, args.directory)
    };
    finish(job.run().await, args.json)
}

async fn cbioportal(args: CbioportalArgs) -> anyhow::Result<Outcome> {
    let lake = args.lake.open_or_create().await?;
    let job = CbioportalJob {
        schema: args.schema,
        omics: args.omics,
        contigs: args.contigs,
        progress: progress::reporter("ingest cbioportal"),
        cancel: cancel_on_ctrl_c(),
        ..CbioportalJob::new(lake, args.directory)
    };
    finish(job.run().await, args.json)
}

fn name(text: &str) -> Result<String, String> {
    let expected = "expected a name of lower-case letters, digits and _";
    is_name(text)
        .then(|| text.to_owned())
        .ok_or_else(|| expected.to_owned())
}

fn date(text: &str) -> Result<NaiveDate, String> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| "expected YYYY-MM-DD".to_owned())
}

fn contig_names(text: &str) -> Result<ContigNames, String> {
    let all = [ContigNames::Chr, ContigNames::Plain];
    let named = all.into_iter().find(|names| names.as_str() == text);
    named.ok_or_else(|| "expected chr (chr1, chrX, chrM) or plain (1, X, MT)".to_owned())
}

/// All cores of this machine.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn table_id(text: &str) -> anyhow::Result<TableId> {
    let (schema, table) = text
        .split_once('.')
        .filter(|(schema, table)| is_name(schema) && is_name(table))
        .with_context(|| {
            format!(
                "--table \"{text}\" is not schema.table: two names of lower-case letters, digits \
                 and _, such as clin.person"
            )
        })?;
    Ok(TableId::new(schema, table))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The first Ctrl-C asks the job to stop; the job leaves the lake as it was.
pub(super) fn cancel_on_ctrl_c() -> CancelFlag {
    let cancel = CancelFlag::default();
    let flag = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.cancel();
        }
    });
    cancel
}

fn finish(result: genokura_ingest::Result<IngestReport>, json: bool) -> anyhow::Result<Outcome> {
    let report = match result {
        Ok(report) => report,
        Err(Error::Cancelled) => {
            tell!("genokura: interrupted; the lake is as it was");
            return Ok(Outcome::Interrupted);
        }
        Err(error @ Error::Conflict { .. }) => {
            tell!("genokura: {error}");
            return Ok(Outcome::Conflict);
        }
        Err(error) => return Err(error.into()),
    };
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{}", summary(&report));
    }
    if report.records_quarantined > 0 {
        Ok(Outcome::Quarantined)
    } else {
        Ok(Outcome::Done)
    }
}

/// The report for people: what was read, stored, repaired and refused.
pub(super) fn summary(report: &IngestReport) -> String {
    if report.already_done {
        return "these inputs are in the lake already; nothing was done\n".to_owned();
    }
    let mut text = format!(
        "{} records read, {} stored as {} rows, {} quarantined",
        report.records_read, report.records_stored, report.rows, report.records_quarantined
    );
    if report.samples > 0 {
        text.push_str(&format!("; {} samples", report.samples));
    }
    if let Some(version) = report.lake_version {
        text.push_str(&format!("; lake version {version}"));
    }
    text.push_str(&format!(" ({:.1} s)\n", report.seconds));
    for (rule, count) in &report.repairs {
        text.push_str(&format!("  repaired by rule {rule}: {count}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    for (key, rule, count) in &report.typed_issues {
        text.push_str(&format!(
            "  {key}: {count} values kept as text by rule {rule}\n"
        ));
    }
    for (rule, count) in &report.quarantined {
        text.push_str(&format!("  quarantined by rule {rule}: {count}\n"));
    }
    text
}
