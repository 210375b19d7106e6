"""The non-reference calls of a cohort as long-format Parquet: what a stock SQL engine is given.

Three files in OUT: carriers.parquet (a row per call and ALT allele: pos, ref, alt, ac of the allele in
the whole cohort, sample as a number, dosage), cohort.parquet (the numbers of a list of samples) and
samples.parquet (number and name). zstd 3, row groups of a million rows, sorted by position: pos and
sample as small integers and alleles as a dictionary are as kind to the engine as the format allows.

It reads the VCF itself and takes only what `simulate.py` writes: phased calls of single digits.

usage: long_table.py COHORT.vcf.gz COHORT_NAMES.txt OUT
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP = 1 << 20
SCHEMA = pa.schema(
    [
        ("pos", pa.int32()),
        ("ref", pa.string()),
        ("alt", pa.string()),
        ("ac", pa.int32()),
        ("sample", pa.int32()),
        ("dosage", pa.int8()),
    ]
)


def carriers(line, n_samples):
    """Numbers of the samples with a call other than 0|0, and their two alleles."""
    at = len(line) - 4 * n_samples
    calls = np.frombuffer(line, dtype="<u4", offset=at, count=n_samples)
    reference = np.frombuffer(b"0|0\t", dtype="<u4")[0]
    differ = np.nonzero((calls ^ reference) & 0x00FFFFFF)[0]
    alleles = calls[differ].view(np.uint8).reshape(-1, 4)[:, [0, 2]] - ord("0")
    if (alleles > 9).any():
        raise SystemExit("a call is not two single digits")
    return differ.astype(np.int32), alleles


def rows(lines, n_samples):
    for line in lines:
        fixed = line[:4096].split(b"\t", 5)
        pos, reference, alternates = int(fixed[1]), fixed[3].decode(), fixed[4].decode().split(",")
        samples, alleles = carriers(line, n_samples)
        for number, alternate in enumerate(alternates, 1):
            dosage = (alleles == number).sum(1).astype(np.int8)
            has = dosage > 0
            yield pos, reference, alternate, samples[has], dosage[has]


def write(rows, path):
    options = {"pos": "DELTA_BINARY_PACKED", "ac": "DELTA_BINARY_PACKED"}
    with pq.ParquetWriter(
        path, SCHEMA, compression="zstd", compression_level=3, use_dictionary=["ref", "alt"],
        column_encoding=options,
    ) as writer:
        held, n_held = [], 0
        for row in rows:
            held.append(row)
            n_held += len(row[3])
            if n_held >= ROW_GROUP:
                writer.write_table(table(held), row_group_size=n_held)
                held, n_held = [], 0
        if n_held:
            writer.write_table(table(held), row_group_size=n_held)


def table(held):
    sizes = np.array([len(row[3]) for row in held])
    copies = np.array([row[4].sum() for row in held], dtype=np.int32)
    repeat = lambda values: pa.array(np.repeat(values, sizes))
    return pa.table(
        [
            repeat(np.array([row[0] for row in held], dtype=np.int32)),
            repeat(np.array([row[1] for row in held], dtype=object)).cast(pa.string()),
            repeat(np.array([row[2] for row in held], dtype=object)).cast(pa.string()),
            repeat(copies),
            pa.array(np.concatenate([row[3] for row in held])),
            pa.array(np.concatenate([row[4] for row in held])),
        ],
        schema=SCHEMA,
    )


def main():
    vcf, names, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    bgzip = subprocess.Popen(["bgzip", "-dc", "-@2", vcf], stdout=subprocess.PIPE, bufsize=1 << 20)
    for line in bgzip.stdout:
        if line.startswith(b"#CHROM"):
            samples = line.rstrip(b"\n").decode().split("\t")[9:]
            break
    numbers = {name: number for number, name in enumerate(samples)}
    everybody = {"sample": pa.array(range(len(samples)), pa.int32()), "sample_id": samples}
    pq.write_table(pa.table(everybody), out / "samples.parquet")
    chosen = [numbers[name] for name in Path(names).read_text().split()]
    pq.write_table(pa.table({"sample": pa.array(chosen, pa.int32())}), out / "cohort.parquet")
    part = out / "part.parquet"
    write(rows(bgzip.stdout, len(samples)), part)
    if bgzip.wait() != 0:
        raise SystemExit("bgzip failed")
    part.rename(out / "carriers.parquet")


if __name__ == "__main__":
    main()
