//! Bench of the genotype codec and the FORMAT arrays: encode, count, count in a mask, decode.
//!
//! One group for each shape of a row in a block of 4,096 phased diploid samples: `singleton` (one
//! carrier), `sparse` (20 carriers), `dense` (allele frequency 0.3), `x` (dense, half of the samples
//! haploid), `missing` (dense, 5 % missing). Input is seeded. Under `cargo test` each runs once.
#![expect(
    missing_docs,
    reason = "criterion_group makes public functions without doc comments"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use genokura_core::codec::array::{ArrayEncoder, ArrayKind, ArrayRow};
use genokura_core::codec::{DefaultCall, GenotypeRow, MISSING, RecordEncoder, SampleMask};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const N_SAMPLES: u32 = 4096;

#[derive(Clone, Copy)]
enum Call {
    Diploid(u32, u16, u16),
    Haploid(u32, u16),
}

struct Shape {
    name: &'static str,
    frequency: f64,
    missing: f64,
    haploid_every: u32,
}

const SHAPES: [Shape; 5] = [
    shape("singleton", 0.0, 0.0, 0),
    shape("sparse", 0.0025, 0.0, 0),
    shape("dense", 0.3, 0.0, 0),
    shape("x", 0.3, 0.0, 2),
    shape("missing", 0.3, 0.05, 0),
];

const fn shape(name: &'static str, frequency: f64, missing: f64, haploid_every: u32) -> Shape {
    Shape {
        name,
        frequency,
        missing,
        haploid_every,
    }
}

impl Shape {
    /// The calls that are not `0|0`.
    fn calls(&self) -> Vec<Call> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        if self.frequency == 0.0 {
            return vec![Call::Diploid(1234, 0, 1)];
        }
        let mut calls = Vec::new();
        for sample in 0..N_SAMPLES {
            let a = u16::from(rng.random_bool(self.frequency));
            let b = u16::from(rng.random_bool(self.frequency));
            if self.haploid_every > 0 && sample % self.haploid_every == 0 {
                calls.push(Call::Haploid(sample, a));
            } else if self.missing > 0.0 && rng.random_bool(self.missing) {
                calls.push(Call::Diploid(sample, MISSING, MISSING));
            } else if a + b > 0 {
                calls.push(Call::Diploid(sample, a, b));
            }
        }
        calls
    }
}

fn encode(encoder: &mut RecordEncoder, calls: &[Call], blob: &mut Vec<u8>) -> i32 {
    blob.clear();
    encoder.begin(N_SAMPLES, 1, DefaultCall::Phased);
    for call in calls {
        match *call {
            Call::Diploid(sample, a, b) => encoder.diploid(sample, a, b, true),
            Call::Haploid(sample, a) => encoder.haploid(sample, a),
        }
    }
    encoder.finish(1, blob).counts.ac
}

fn genotypes(criterion: &mut Criterion) {
    let mask = SampleMask::from_indices(N_SAMPLES, (0..N_SAMPLES).step_by(6));
    for shape in &SHAPES {
        let calls = shape.calls();
        let mut encoder = RecordEncoder::new();
        let mut blob = Vec::new();
        encode(&mut encoder, &calls, &mut blob);
        let mut group = criterion.benchmark_group(shape.name);
        group.throughput(Throughput::Elements(calls.len() as u64));
        let mut out = Vec::new();
        group.bench_function("encode", |b| {
            b.iter(|| encode(&mut encoder, &calls, &mut out))
        });
        group.bench_with_input(BenchmarkId::new("count", blob.len()), &blob, |b, blob| {
            b.iter(|| GenotypeRow::parse(blob).map(|row| row.counts().ac));
        });
        group.bench_with_input(
            BenchmarkId::new("count_in", blob.len()),
            &blob,
            |b, blob| {
                b.iter(|| GenotypeRow::parse(blob).map(|row| row.counts_in(&mask).ac));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("one_sample", blob.len()),
            &blob,
            |b, blob| {
                b.iter(|| GenotypeRow::parse(blob).map(|row| row.dosage(2048)));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("carriers", blob.len()),
            &blob,
            |b, blob| {
                b.iter(|| {
                    let mut sum = 0;
                    GenotypeRow::parse(blob)
                        .map(|row| row.for_each_carrier(|sample, d| sum += sample + u32::from(d)))
                        .map(|()| sum)
                });
            },
        );
        group.bench_with_input(BenchmarkId::new("texts", blob.len()), &blob, |b, blob| {
            let mut text = Vec::new();
            b.iter(|| {
                text.clear();
                GenotypeRow::parse(blob)
                    .map(|row| row.for_each_call(None, |_, call| call.write_text(&mut text)))
            });
        });
        group.finish();
    }
}

fn arrays(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let depths: Vec<String> = (0..N_SAMPLES)
        .map(|_| rng.random_range(0..80u32).to_string())
        .collect();
    let pairs: Vec<String> = depths.iter().map(|d| format!("{d},0")).collect();
    for (name, texts) in [("dp", &depths), ("ad", &pairs)] {
        let mut encoder = ArrayEncoder::new();
        let mut blob = Vec::new();
        let mut encode = |blob: &mut Vec<u8>| {
            blob.clear();
            encoder.begin(ArrayKind::Integer, N_SAMPLES);
            for (sample, text) in (0u32..).zip(texts) {
                encoder.push_text(sample, text.as_bytes());
            }
            encoder.finish(blob)
        };
        encode(&mut blob);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(u64::from(N_SAMPLES)));
        let mut out = Vec::new();
        group.bench_function("encode", |b| b.iter(|| encode(&mut out)));
        group.bench_with_input(BenchmarkId::new("read", blob.len()), &blob, |b, blob| {
            b.iter(|| {
                ArrayRow::parse(blob).map(|row| {
                    let mut sum = 0i64;
                    for sample in 0..N_SAMPLES {
                        row.for_each_integer(sample, |v| sum += i64::from(v.unwrap_or(0)));
                    }
                    sum
                })
            });
        });
        group.finish();
    }
}

criterion_group!(benches, genotypes, arrays);
criterion_main!(benches);
