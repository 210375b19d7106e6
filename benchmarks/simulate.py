"""A cohort as a bgzipped VCF of phased genotypes, simulated with msprime from a seed.

The demography is one East-Asian-like population: a bottleneck out of Africa, then faster and faster
growth, so that most sites are rare, as in a national programme. Positions that fall together are
kept once; one site in nine becomes a short insertion or deletion.

usage: simulate.py OUT.vcf.gz --samples N --length BP [--seed S] [--contig chr22]
needs: msprime and numpy; bgzip and bcftools on the path
"""

import argparse
import subprocess

import msprime
import numpy as np

FIRST_POSITION = 20_000_000
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


def write_sites(args, out):
    rng = np.random.default_rng(args.seed)
    text = np.frombuffer(b"0|0\t" * args.samples, dtype=np.uint8).reshape(-1, 4).copy()
    last = 0
    for variant in trees(args).variants():
        position = FIRST_POSITION + int(variant.site.position)
        calls = variant.genotypes.astype(np.uint8).reshape(-1, 2)
        counts = np.bincount(calls.ravel(), minlength=len(variant.alleles))[1:]
        if position <= last or counts.sum() == 0:
            continue
        last = position
        reference, alternates = alleles(variant.alleles, rng)
        text[:, 0] = calls[:, 0] + ord("0")
        text[:, 2] = calls[:, 1] + ord("0")
        info = f"AC={','.join(map(str, counts))};AN={2 * args.samples}"
        fixed = f"{args.contig}\t{position}\t.\t{reference}\t{','.join(alternates)}\t.\tPASS\t{info}\tGT\t"
        out.write(fixed.encode())
        out.write(text.tobytes()[:-1])
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
