//! VCF text to a lake in memory: wide GT-only lines (the fast road) and FORMAT arrays.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench stops at the first failure"
)]

use std::fmt::Write as _;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use genokura_ingest::{CancelFlag, Silent, VcfJob};
use genokura_storage::Lake;
use rand::{Rng, SeedableRng};

fn header(n_samples: usize) -> String {
    let mut text = "##fileformat=VCFv4.3\n##contig=<ID=chr1,length=248956422>\n\
        ##FORMAT=<ID=GT,Number=1,Type=String,Description=\"\">\n\
        ##FORMAT=<ID=DP,Number=1,Type=Integer,Description=\"\">\n\
        ##FORMAT=<ID=AD,Number=R,Type=Integer,Description=\"\">\n\
        #CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
        .to_owned();
    for sample in 0..n_samples {
        write!(text, "\tS{sample}").unwrap();
    }
    text.push('\n');
    text
}

fn cohort(n_samples: usize, n_records: usize, with_arrays: bool) -> String {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut text = header(n_samples);
    for record in 0..n_records {
        let keys = if with_arrays { "GT:DP:AD" } else { "GT" };
        write!(text, "chr1\t{}\t.\tA\tC\t.\tPASS\t.\t{keys}", record + 1).unwrap();
        for _ in 0..n_samples {
            let gt = if random.random_ratio(1, 200) {
                "0|1"
            } else {
                "0|0"
            };
            let depth = random.random_range(20..40);
            if with_arrays {
                write!(text, "\t{gt}:{depth}:{depth},0").unwrap();
            } else {
                write!(text, "\t{gt}").unwrap();
            }
        }
        text.push('\n');
    }
    text
}

fn load(runtime: &tokio::runtime::Runtime, path: &str) {
    let job = VcfJob {
        lake: Arc::new(Lake::memory()),
        dataset: "bench".to_owned(),
        inputs: vec![path.to_owned()],
        reference: None,
        assembly: None,
        strict: false,
        repeated_samples: false,
        threads: 1,
        memory_bytes: 256 << 20,
        progress: Arc::new(Silent),
        cancel: CancelFlag::new(),
    };
    runtime.block_on(job.run()).unwrap();
}

fn vcf_job(c: &mut Criterion) {
    let is_test = std::env::args().any(|a| a == "--test");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut group = c.benchmark_group("vcf_job");
    group.sample_size(10);
    for (name, with_arrays, n_samples, n_records) in [
        ("gt_only", false, 10_000, 2_000),
        ("gt_dp_ad", true, 1_000, 2_000),
    ] {
        let n_records = if is_test { 3 } else { n_records };
        let text = cohort(n_samples, n_records, with_arrays);
        let path = dir.path().join(name);
        std::fs::write(&path, &text).unwrap();
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| load(&runtime, path.to_str().unwrap())));
    }
    group.finish();
}

criterion_group!(benches, vcf_job);
criterion_main!(benches);
