#!/usr/bin/env bash
# Everything that benchmarks/README.md tells, in one quiet run: builds nothing, makes what is missing.
#
# usage: run-all.sh COHORTS OUT [BINARIES]
#   COHORTS   directory with c31078.vcf.gz, c2504.vcf.gz and c500.vcf.gz as `prepare` makes them; files of
#             the peers go to and are taken from COHORTS/peers
#   OUT       directory for the runs: raw.csv, summary.md and versions.txt of each
#   BINARIES  where genokura and genokura-benchmarks are; target/release
# environment: GENOKURA_PYTHON (numpy, pyarrow, duckdb), VCF2ZARR (the command of bio2zarr; left out when
# it is not there)
set -euo pipefail

cohorts=$1
out=$2
binaries=${3:-target/release}
python=${GENOKURA_PYTHON:-python3}
vcf2zarr=${VCF2ZARR:-vcf2zarr}

bench() {
    local cohort=$1 workloads=$2 name=$3
    shift 3
    # The lake is made anew: a file of an older build must not answer.
    rm -rf "$cohorts/peers/$cohort/lake" "$cohorts/peers/$cohort/part/lake"
    "$binaries/genokura-benchmarks" run --genokura "$binaries/genokura" --python "$python" \
        --vcf2zarr "$vcf2zarr" --cohort "$cohorts/$cohort.vcf.gz" --scratch "$cohorts/peers/$cohort" \
        --out "$out/$name" --workloads "$workloads" "$@"
}

skip_zarr=()
command -v "$vcf2zarr" >/dev/null || skip_zarr=(--skip vcf2zarr)

# bcftools and plink2 take minutes over the larger cohort: their files are kept between runs.
bench c31078 ingest,query,startup,sizes,questions,panel 31078-samples --once bcftools \
    --skip "plink2 --make-pgen,bcftools view -Ob" "${skip_zarr[@]}"
bench c2504 ingest,sizes 2504-samples --once "plink2,bcftools" \
    --skip "bcftools view -Ob" "${skip_zarr[@]}"
bench c500 formats,export 500-samples --repeat 1
# Their inputs are made from a seed; Python has polars-bio, psycopg, ADBC and connectorx too.
bench c500 intervals intervals --once DuckDB,bedtools
bench c500 effects annotations
bench c500 clients clients --repeat 2
