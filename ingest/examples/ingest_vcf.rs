//! Loads VCF files into a lake, as `genokura ingest vcf` does, without the rest of the program: small to
//! build, for profiles.
//!
//! ```sh
//! cargo build --release -p genokura-ingest --example ingest_vcf
//! perf record -g target/release/examples/ingest_vcf lake 2 cohort.vcf.gz
//! ```
//! Arguments: the lake (a path or URL), the number of threads, the inputs.

use std::sync::Arc;

use genokura_ingest::{CancelFlag, Silent, VcfJob};
use genokura_storage::Lake;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let lake = arguments.next().ok_or("name a lake")?;
    let threads: usize = arguments
        .next()
        .ok_or("name a number of threads")?
        .parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let job = VcfJob {
            lake: Arc::new(Lake::open_or_create(&lake).await?),
            dataset: "cohort".to_owned(),
            inputs: arguments.collect(),
            reference: None,
            assembly: None,
            strict: false,
            repeated_samples: false,
            threads,
            memory_bytes: 512 << 20,
            progress: Arc::new(Silent),
            cancel: CancelFlag::new(),
        };
        Ok::<_, Box<dyn std::error::Error>>(job.run().await?)
    })?;
    println!(
        "{} records, {} rows, {:.2} s",
        report.records_read, report.rows, report.seconds
    );
    Ok(())
}
