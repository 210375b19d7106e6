"""A cohort as a bgzipped VCF of phased genotypes, simulated with msprime from a seed.

The demography is one East-Asian-like population: a bottleneck out of Africa, then faster and faster
growth, so that most sites are rare, as in a national programme. Positions that fall together are
kept once; one site in nine becomes a short insertion or deletion.

`--format full` writes unphased GT:AD:DP:GQ:PL instead, as a joint-called cohort of some 30 reads a
genome has them: depth varies by person and by site, reads miss and err, PL are the likelihoods of
those reads, GT is the most likely genotype and GQ the distance to the next one, at most 99. Calls of
almost no reads are missing. A site whose carriers were all lost to noise is not written.

usage: simulate.py OUT.vcf.gz --samples N --length BP [--seed S] [--contig chr22] [--format gt|full]
needs: msprime and numpy; bgzip and bcftools on the path
"""

import argparse
import subprocess

import msprime
import numpy as np

FIRST_POSITION = 20_000_000
FULL_FORMATS = (
    '##FORMAT=<ID=AD,Number=R,Type=Integer,Description="Reads of each allele">\n'
    '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Reads">\n'
    '##FORMAT=<ID=GQ,Number=1,Type=Integer,Description="Genotype quality">\n'
    '##FORMAT=<ID=PL,Number=G,Type=Integer,Description="Phred-scaled likelihoods">\n'
)
EPOCHS = [  # generations ago, size, growth from there on
    (0, 5_000_000, 0.0238),
    (250, 13_000, 0.0035),
    (920, 1_900, 0.0),
    (2_000, 14_500, 0.0),
    (5_900, 7_300, 0.0),
]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--samples", type=int, required=True)
    parser.add_argument("--length", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--contig", default="chr22")
    parser.add_argument("--format", choices=["gt", "full"], default="gt")
    return parser.parse_args()


def demography():
    (_, size, growth), *later = EPOCHS
    model = msprime.Demography()
    model.add_population(name="cohort", initial_size=size, growth_rate=growth)
    for time, size, growth in later:
        model.add_population_parameters_change(
            time=time, initial_size=size, growth_rate=growth, population="cohort"
        )
    return model


def trees(args):
    ancestry = msprime.sim_ancestry(
        samples=args.samples,
        demography=demography(),
        sequence_length=args.length,
        recombination_rate=1.2e-8,
        random_seed=args.seed,
    )
    return msprime.sim_mutations(ancestry, rate=1.5e-8, random_seed=args.seed)


def header(args):
    names = "\t".join(f"S{i:06d}" for i in range(args.samples))
    return (
        "##fileformat=VCFv4.3\n"
        '##FILTER=<ID=PASS,Description="All filters passed">\n'
        f"##contig=<ID={args.contig},length=50818468,assembly=GRCh38>\n"
        '##INFO=<ID=AC,Number=A,Type=Integer,Description="Allele count">\n'
        '##INFO=<ID=AN,Number=1,Type=Integer,Description="Allele number">\n'
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        f"{FULL_FORMATS if args.format == 'full' else ''}"
        f"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t{names}\n"
    )


def bases(rng, most):
    return "".join(rng.choice(list("ACGT"), rng.integers(1, most + 1)))


def alleles(site_alleles, rng):
    reference, *alternates = site_alleles
    kind = rng.random()
    if kind < 0.06 and len(alternates) == 1:
        return reference + bases(rng, 8), [reference]
    if kind < 0.11:
        return reference, [reference + bases(rng, 8), *alternates[1:]]
    return reference, alternates


def phased_only(args):
    """Gives a function from true calls to allele counts, allele number and the columns' text."""
    text = np.frombuffer(b"0|0\t" * args.samples, dtype=np.uint8).reshape(-1, 4).copy()

    def columns(calls, n_alleles):
        counts = np.bincount(calls.ravel(), minlength=n_alleles)[1:]
        text[:, 0] = calls[:, 0] + ord("0")
        text[:, 2] = calls[:, 1] + ord("0")
        return counts, 2 * args.samples, "GT", text.tobytes()[:-1]

    return columns


def sequenced(args, rng):
    """As `phased_only`, with reads: AD, DP, GQ and PL of each call."""
    depth_of_person = rng.normal(30, 3.5, args.samples).clip(15, 50)

    def columns(calls, n_alleles):
        depth = rng.poisson(depth_of_person * rng.gamma(60, 1 / 60))
        error = 10 ** -(rng.normal(32, 1.5, args.samples) / 10)
        reads = reads_of(rng, calls, depth, error, n_alleles)
        # A few reads speak for no allele: they count in DP and not in AD.
        total = reads.sum(1) + rng.binomial(2, 0.01, args.samples)
        genotypes, likelihoods = likelihoods_of(rng, reads, error)
        best = likelihoods.argmin(1)
        called = genotypes[best]
        quality = np.minimum(np.partition(likelihoods, 1, axis=1)[:, 1], 99)
        missing = (total < 4) | (rng.random(args.samples) < 0.002)
        counts = np.bincount(called[~missing].ravel(), minlength=n_alleles)[1:]
        text = text_of(called, reads, total, quality, likelihoods, missing)
        return counts, int(2 * (~missing).sum()), "GT:AD:DP:GQ:PL", text

    return columns


def reads_of(rng, calls, depth, error, n_alleles):
    """Reads of each allele: the reference a little more often in a het, others by error."""
    reads = np.zeros((len(calls), n_alleles), dtype=np.int64)
    wrong = rng.binomial(depth, error)
    low, high = calls.min(1), calls.max(1)
    of_high = rng.binomial(depth - wrong, np.where(low == high, 1.0, np.where(low == 0, 0.48, 0.5)))
    people = np.arange(len(calls))
    reads[people, high] += of_high
    reads[people, low] += depth - wrong - of_high
    reads[people, rng.integers(0, n_alleles, len(calls))] += wrong
    return reads


def likelihoods_of(rng, reads, error):
    """Genotypes in VCF's order, and -10 log10 of each one's likelihood, the least one 0."""
    n_alleles = reads.shape[1]
    genotypes = [(i, j) for j in range(n_alleles) for i in range(j + 1)]
    right, wrong = np.log10(1 - error), np.log10(error / 3)
    half = np.log10((1 - error + error / 3) / 2)
    columns = []
    for i, j in genotypes:
        of_i, of_j = reads[:, i], reads[:, j]
        other = reads.sum(1) - of_i - (of_j if i != j else 0)
        own = of_i * right if i == j else (of_i + of_j) * half
        columns.append(-10 * (own + other * wrong))
    likelihoods = np.stack(columns, axis=1)
    # Base and mapping qualities differ from read to read.
    likelihoods += np.abs(likelihoods) * rng.normal(0, 0.02, likelihoods.shape)
    likelihoods -= likelihoods.min(1, keepdims=True)
    return np.array(genotypes), np.rint(likelihoods).astype(np.int64)


def text_of(called, reads, total, quality, likelihoods, missing):
    columns = []
    rows = zip(
        called.tolist(), reads.tolist(), total.tolist(), quality.tolist(), likelihoods.tolist(),
        missing.tolist(),
    )
    for (first, second), depths, depth, gq, pl, is_missing in rows:
        ad = ",".join(map(str, depths))
        if is_missing:
            columns.append(f"./.:{ad}:{depth}:.:.")
        else:
            columns.append(f"{first}/{second}:{ad}:{depth}:{gq}:{','.join(map(str, pl))}")
    return "\t".join(columns).encode()


def write_sites(args, out):
    rng = np.random.default_rng(args.seed)
    columns = sequenced(args, rng) if args.format == "full" else phased_only(args)
    last = 0
    for variant in trees(args).variants():
        position = FIRST_POSITION + int(variant.site.position)
        calls = variant.genotypes.astype(np.uint8).reshape(-1, 2)
        if position <= last or not calls.any():
            continue
        reference, alternates = alleles(variant.alleles, rng)
        counts, number, keys, text = columns(calls, len(variant.alleles))
        if counts.sum() == 0:
            continue
        last = position
        info = f"AC={','.join(map(str, counts))};AN={number}"
        alts = ",".join(alternates)
        fixed = f"{args.contig}\t{position}\t.\t{reference}\t{alts}\t.\tPASS\t{info}\t{keys}\t"
        out.write(fixed.encode())
        out.write(text)
        out.write(b"\n")


def main():
    args = arguments()
    with open(args.out, "wb") as target:
        bgzip = subprocess.Popen(["bgzip", "-@2", "-c"], stdin=subprocess.PIPE, stdout=target)
        bgzip.stdin.write(header(args).encode())
        write_sites(args, bgzip.stdin)
        bgzip.stdin.close()
        if bgzip.wait() != 0:
            raise SystemExit("bgzip failed")
    subprocess.run(["bcftools", "index", "-f", "-t", args.out], check=True)


if __name__ == "__main__":
    main()
