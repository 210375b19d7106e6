//! `genokura quickstart`: a demo lake from bundled, simulated data, served, with questions to ask.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use genokura_ingest::{
    CancelFlag, Error, IngestReport, OntologyJob, PedigreeJob, RegionsJob, TableJob, VcfJob,
};
use genokura_storage::{Lake, TableId};
use genokura_testdata::QuickstartFiles;

use super::{Outcome, ingest, progress, serve};
use crate::config::{DEFAULT_LISTEN, Settings};
use crate::roles::RoleStore;

/// The dataset of the demo lake.
const DATASET: &str = "cohort";

/// Three questions that a geneticist would ask, each one statement on the demo lake.
pub const QUESTIONS: [(&str, &str); 3] = [
    (
        "Who carries a known pathogenic variant, and what do they have?",
        "SELECT k.gene, k.hgvs_p, c.sample_id, c.gt, p.sex, d.condition\n\
         FROM cohort.carriers c\n\
         JOIN kb.known_variant k USING (contig, pos, ref, alt)\n\
         JOIN clin.person p USING (sample_id)\n\
         LEFT JOIN clin.condition d ON d.person_id = p.person_id AND d.gene = k.gene\n\
         WHERE k.significance = 'Pathogenic'\n\
         ORDER BY k.gene, k.hgvs_p, c.sample_id LIMIT 10;",
    ),
    (
        "Which genes have the most rare variants, and how many people carry one?",
        "SELECT g.name AS gene, count(DISTINCT (c.pos, c.ref, c.alt)) AS rare_variants,\n       \
         count(DISTINCT c.sample_id) AS carriers\n\
         FROM kb.genes g\n\
         JOIN cohort.variants v ON v.contig = g.contig AND v.pos <= g.end_pos AND v.end_pos >= g.pos\n\
         JOIN cohort.carriers c ON c.contig = v.contig AND c.pos = v.pos AND c.ref = v.ref AND c.alt = v.alt\n\
         WHERE g.feature = 'gene' AND v.af < 0.01\n\
         GROUP BY g.name ORDER BY rare_variants DESC, gene LIMIT 5;",
    ),
    (
        "Which variants are new in a child, seen in neither parent?",
        "SELECT child.family_id, child.sample_id, v.contig, v.pos, v.ref, v.alt,\n       \
         gt_text(v.gt, child.sample_id) AS gt\n\
         FROM cohort.variants v\n\
         CROSS JOIN clin.person child\n\
         JOIN clin.person father ON father.person_id = child.father_id\n\
         JOIN clin.person mother ON mother.person_id = child.mother_id\n\
         WHERE v.ac = 1 AND gt_is_de_novo(v.gt, child.sample_id, father.sample_id, mother.sample_id)\n\
         ORDER BY child.family_id, v.pos LIMIT 10;",
    ),
];

/// Arguments of `quickstart`.
#[derive(Debug, Args)]
pub(super) struct QuickstartArgs {
    /// Where the demo lake goes; a lake that is there already is served as it is
    #[arg(long, value_name = "DIR", default_value = "genokura-quickstart")]
    dir: PathBuf,
    /// Address and port
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Load the lake and stop
    #[arg(long)]
    no_serve: bool,
}

/// Runs `genokura quickstart`.
pub(super) async fn run(args: QuickstartArgs) -> anyhow::Result<Outcome> {
    let listener = match args.no_serve {
        true => None,
        false => Some(serve::bind(args.listen, &RoleStore::none()?).await?),
    };
    let lake = Arc::new(open(&args.dir.join("lake")).await?);
    let cancel = ingest::cancel_on_ctrl_c();
    if let Err(error) = load(&lake, &args.dir.join("source"), &cancel).await {
        return match error.downcast_ref::<Error>() {
            Some(Error::Cancelled) => Ok(Outcome::Interrupted),
            _ => Err(error),
        };
    }
    if let Some(listener) = listener {
        print_invitation(listener.local_addr()?);
        let settings = Settings::default();
        let doors = serve::Doors::open(&settings)?;
        serve::serve(lake, &settings, doors, listener).await?;
    }
    Ok(Outcome::Done)
}

async fn open(path: &Path) -> anyhow::Result<Lake> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("cannot make {}: choose another --dir", path.display()))?;
    let url = path.to_str().context("--dir is not valid UTF-8")?;
    Ok(Lake::open_or_create(url).await?)
}

/// Loads the bundled data; what is in the lake already is not loaded again.
async fn load(lake: &Arc<Lake>, source: &Path, cancel: &CancelFlag) -> anyhow::Result<()> {
    let files = write_source(source).await?;
    say(
        "simulated cohort",
        &format!("{} people in families", files.samples),
    );
    let vcf = VcfJob {
        lake: Arc::clone(lake),
        dataset: DATASET.to_owned(),
        inputs: vec![text(&files.vcf)?],
        reference: None,
        assembly: Some("GRCh38".to_owned()),
        strict: false,
        repeated_samples: false,
        threads: ingest::cores(),
        memory_bytes: ingest::MEMORY_BYTES,
        progress: progress::reporter("variants"),
        cancel: cancel.clone(),
    };
    report("variants", &vcf.run().await?);
    for (table, path) in &files.tables {
        let job = TableJob {
            dictionary: Some(text(&files.dictionary)?),
            cancel: cancel.clone(),
            ..TableJob::new(Arc::clone(lake), id(table)?, text(path)?)
        };
        report(table, &job.run().await?);
    }
    for (table, path) in &files.regions {
        let job = RegionsJob {
            cancel: cancel.clone(),
            ..RegionsJob::new(Arc::clone(lake), id(table)?, text(path)?)
        };
        report(table, &job.run().await?);
    }
    let job = OntologyJob {
        cancel: cancel.clone(),
        ..OntologyJob::new(Arc::clone(lake), text(&files.hpo)?)
    };
    report("kb.hpo_terms", &job.run().await?);
    let pedigree = id("clin.pedigree")?;
    let job = PedigreeJob {
        cancel: cancel.clone(),
        ..PedigreeJob::new(Arc::clone(lake), pedigree, text(&files.pedigree)?)
    };
    report("clin.pedigree", &job.run().await?);
    Ok(())
}

async fn write_source(source: &Path) -> anyhow::Result<QuickstartFiles> {
    let dir = source.to_owned();
    let written = tokio::task::spawn_blocking(move || genokura_testdata::write_quickstart(&dir));
    written
        .await?
        .with_context(|| format!("cannot write into {}", source.display()))
}

fn id(table: &str) -> anyhow::Result<TableId> {
    let (schema, table) = table.split_once('.').context("a table is schema.table")?;
    Ok(TableId::new(schema, table))
}

fn text(path: &Path) -> anyhow::Result<String> {
    Ok(path
        .to_str()
        .context("--dir is not valid UTF-8")?
        .to_owned())
}

fn report(what: &str, report: &IngestReport) {
    if report.already_done {
        say(what, "loaded before");
    } else {
        say(
            what,
            &format!("{} rows in {:.1} s", report.rows, report.seconds),
        );
    }
}

fn say(what: &str, text: &str) {
    tell!("  {what:<18} {text}");
}

fn print_invitation(address: SocketAddr) {
    println!("\nThe demo lake is served. In another terminal:\n");
    println!("  {}\n", serve::psql_line(address, None));
    println!("Three questions to ask (\\d cohort.variants shows the columns):\n");
    for (question, sql) in QUESTIONS {
        println!("-- {question}\n{sql}\n");
    }
    println!("Ctrl-C stops the server; the data is simulated and describes no real person.");
}
