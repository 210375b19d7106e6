//! Workload `query`: 100 kb regions from a warm server beside `bcftools view -r`; `tabix` tells the answers.

use std::time::Instant;

use anyhow::Context;
use tokio_postgres::NoTls;

use crate::RunArgs;
use crate::answers;
use crate::measure::{self, Row};
use crate::startup::Server;

/// A region that was asked for before.
const WARM: &str = "genokura (warm)";
/// Width of each region.
const WIDTH_BP: i64 = 100_000;
/// Longest REF that the simulator writes.
const LONGEST_REF_BP: i64 = 100;
/// Regions asked, spread evenly over the cohort.
const REGIONS: i64 = 20;

/// Measures both; the number of records of every region must be equal.
///
/// # Errors
/// When a command fails or an answer differs.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<Vec<Row>> {
    let mut server = Server::start(args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let rows = runtime.block_on(measure_regions(args, server.port));
    server.stop()?;
    rows
}

async fn measure_regions(args: &RunArgs, port: u16) -> anyhow::Result<Vec<Row>> {
    let line = format!("host=127.0.0.1 port={port} user=owner dbname=genokura");
    let (client, connection) = tokio_postgres::connect(&line, NoTls).await?;
    let task = tokio::spawn(connection);
    let workload = format!("region 100 kb {}", answers::cohort_name(&args.cohort));
    let regions = regions(&client).await?;
    let mut rows = Vec::new();
    for (i, (contig, start)) in regions.iter().enumerate() {
        let end = start + WIDTH_BP - 1;
        let sql = format!(
            "SELECT contig, pos, ref, alt, ac, an, af FROM cohort.variants \
             WHERE contig = '{contig}' AND pos BETWEEN {} AND {} \
             AND vcf_pos <= {end} AND vcf_pos + length(vcf_ref) - 1 >= {start}",
            start - LONGEST_REF_BP,
            end + LONGEST_REF_BP
        );
        // The second time the server keeps what it decodes; who looks at a gene asks more often than that.
        let mut found = 0;
        for time in ["genokura (first time)", "genokura (second time)", WARM] {
            let started = Instant::now();
            found = client.query(&sql, &[]).await?.len();
            let wall_s = started.elapsed().as_secs_f64();
            rows.push(Row::warm(&workload, time, i, wall_s));
        }
        let region = format!("{contig}:{start}-{end}");
        let cohort = args.cohort.display();
        // bcftools parses every call of a record, which takes half a minute in the largest cohort.
        if i < args.repetitions("bcftools view -r") && !args.skips("bcftools view -r") {
            let line = format!("bcftools view -H -r {region} {cohort}");
            rows.push(measure::shell(&workload, "bcftools view -r", i, &line)?);
        }
        let expected = measure::output(&format!(
            "tabix {cohort} {region} | cut -f 5 | tr ',' '\\n' | wc -l"
        ))?;
        anyhow::ensure!(
            expected.trim().parse::<usize>()? == found,
            "{region}: genokura {found} alleles, tabix {expected}"
        );
    }
    drop(client);
    task.await?.context("the connection failed")?;
    Ok(rows)
}

async fn regions(client: &tokio_postgres::Client) -> anyhow::Result<Vec<(String, i64)>> {
    let sql = "SELECT contig, min(pos), max(pos) FROM cohort.variants GROUP BY contig LIMIT 1";
    let row = client.query_one(sql, &[]).await?;
    let contig: String = row.get(0);
    let (first, last): (i32, i32) = (row.get(1), row.get(2));
    let step = (i64::from(last) - i64::from(first) - WIDTH_BP).max(REGIONS) / REGIONS;
    Ok((0..REGIONS)
        .map(|i| (contig.clone(), i64::from(first) + i * step))
        .collect())
}
