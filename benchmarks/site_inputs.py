"""A bgzipped VCF of sites without samples, from a seed: what a catalogue of a population's variants looks like.

Records are spread over the human autosomes by length, sorted, one ALT each: nine of ten are single bases, the others
short insertions and deletions. INFO has AC, AN and AF; most alleles are rare.

usage: site_inputs.py OUT.vcf.gz RECORDS
needs: numpy; bgzip on the path
"""

import subprocess
import sys

import numpy

from interval_inputs import LENGTHS

PEOPLE = 31_078
ROWS_AT_ONCE = 100_000
BASES = "ACGT"


def header(out):
    out.write("##fileformat=VCFv4.3\n")
    for number, length in enumerate(LENGTHS):
        out.write(f"##contig=<ID=chr{number + 1},length={length}>\n")
    out.write('##INFO=<ID=AC,Number=A,Type=Integer,Description="Copies of the allele">\n')
    out.write('##INFO=<ID=AN,Number=1,Type=Integer,Description="Called copies">\n')
    out.write('##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency of the allele">\n')
    out.write("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")


def alleles(generator, count):
    first, second = generator.integers(0, 4, count), generator.integers(1, 4, count)
    kind = generator.random(count)
    tails = ["".join(BASES[base] for base in generator.integers(0, 4, 3)) for _ in range(64)]
    tail = generator.integers(0, len(tails), count)
    for i in range(count):
        ref = BASES[first[i]]
        if kind[i] < 0.9:
            yield ref, BASES[(first[i] + second[i]) % 4]
        elif kind[i] < 0.95:
            yield ref, ref + tails[tail[i]]
        else:
            yield ref + tails[tail[i]], ref


def main():
    path, records = sys.argv[1], int(sys.argv[2])
    generator = numpy.random.default_rng(20260102)
    shares = numpy.array(LENGTHS) / sum(LENGTHS)
    counts = generator.multinomial(records, shares)
    with open(path, "wb") as file:
        bgzip = subprocess.Popen(["bgzip", "-c", "-@", "2"], stdin=subprocess.PIPE, stdout=file, text=True)
        out = bgzip.stdin
        header(out)
        for number, (length, count) in enumerate(zip(LENGTHS, counts)):
            positions = numpy.sort(generator.integers(10_000, length - 10_000, count))
            for start in range(0, count, ROWS_AT_ONCE):
                pos = positions[start : start + ROWS_AT_ONCE]
                copies = numpy.minimum(generator.zipf(1.4, len(pos)), 2 * PEOPLE - 1)
                called = 2 * PEOPLE - 2 * generator.integers(0, 50, len(pos))
                copies = numpy.minimum(copies, called)
                quality = generator.integers(30, 5000, len(pos))
                rows = zip(pos, alleles(generator, len(pos)), quality, copies, called)
                out.writelines(
                    f"chr{number + 1}\t{p}\t.\t{ref}\t{alt}\t{q}\tPASS\tAC={ac};AN={an};AF={ac / an:.6g}\n"
                    for p, (ref, alt), q, ac, an in rows
                )
        out.close()
        if bgzip.wait() != 0:
            sys.exit("bgzip failed")


if __name__ == "__main__":
    main()
