"""A bgzipped VCF of sites without samples, from a seed: what a catalogue of a population's variants looks like.

Records are spread over the human autosomes by length, sorted, one ALT each: nine of ten are single bases, the others
short insertions and deletions. INFO has AC, AN and AF; most alleles are rare. With TRANSCRIPTS it has CSQ too, so
many entries of VEP a record.

usage: site_inputs.py OUT.vcf.gz RECORDS [TRANSCRIPTS]
needs: numpy; bgzip on the path
"""

import subprocess
import sys

import numpy

from interval_inputs import LENGTHS

PEOPLE = 31_078
ROWS_AT_ONCE = 100_000
BASES = "ACGT"
# Consequence, IMPACT and how often.
CONSEQUENCES = [
    ("intron_variant", "MODIFIER", 0.55),
    ("upstream_gene_variant", "MODIFIER", 0.1),
    ("downstream_gene_variant", "MODIFIER", 0.1),
    ("non_coding_transcript_exon_variant", "MODIFIER", 0.08),
    ("synonymous_variant", "LOW", 0.05),
    ("missense_variant", "MODERATE", 0.08),
    ("missense_variant&splice_region_variant", "MODERATE", 0.01),
    ("splice_donor_variant", "HIGH", 0.005),
    ("frameshift_variant", "HIGH", 0.01),
    ("stop_gained", "HIGH", 0.015),
]
SUBFIELDS = "Allele|Consequence|IMPACT|SYMBOL|Gene|Feature_type|Feature|BIOTYPE|CANONICAL|gnomADe_AF|CADD_PHRED"


def header(out, transcripts):
    out.write("##fileformat=VCFv4.3\n")
    for number, length in enumerate(LENGTHS):
        out.write(f"##contig=<ID=chr{number + 1},length={length}>\n")
    out.write('##INFO=<ID=AC,Number=A,Type=Integer,Description="Copies of the allele">\n')
    out.write('##INFO=<ID=AN,Number=1,Type=Integer,Description="Called copies">\n')
    out.write('##INFO=<ID=AF,Number=A,Type=Float,Description="Frequency of the allele">\n')
    if transcripts:
        description = f"Consequence annotations from Ensembl VEP. Format: {SUBFIELDS}"
        out.write(f'##INFO=<ID=CSQ,Number=.,Type=String,Description="{description}">\n')
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


def annotations(generator, transcripts, pairs):
    """INFO of each allele's entries, with the semicolon before it; nothing without transcripts."""
    for ref, alt in pairs:
        if not transcripts:
            yield ref, alt, ""
            continue
        allele = alt if len(ref) == len(alt) else alt[1:] or "-"
        chosen = generator.choice(len(CONSEQUENCES), transcripts, p=[share for _, _, share in CONSEQUENCES])
        gene = int(generator.integers(1, 20_000))
        entries = []
        for place, kind in enumerate(chosen):
            consequence, impact, _ = CONSEQUENCES[kind]
            frequency = "" if generator.random() < 0.5 else f"{generator.random() ** 8:.4g}"
            canonical = "YES" if place == 0 else ""
            entries.append(
                f"{allele}|{consequence}|{impact}|GENE{gene}|ENSG{gene:011}|Transcript|ENST{gene * 20 + place:011}|"
                f"protein_coding|{canonical}|{frequency}|{generator.random() * 40:.1f}"
            )
        yield ref, alt, ";CSQ=" + ",".join(entries)


def main():
    path, records = sys.argv[1], int(sys.argv[2])
    transcripts = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    generator = numpy.random.default_rng(20260102)
    shares = numpy.array(LENGTHS) / sum(LENGTHS)
    counts = generator.multinomial(records, shares)
    with open(path, "wb") as file:
        bgzip = subprocess.Popen(["bgzip", "-c", "-@", "2"], stdin=subprocess.PIPE, stdout=file, text=True)
        out = bgzip.stdin
        header(out, transcripts)
        for number, (length, count) in enumerate(zip(LENGTHS, counts)):
            positions = numpy.sort(generator.integers(10_000, length - 10_000, count))
            for start in range(0, count, ROWS_AT_ONCE):
                pos = positions[start : start + ROWS_AT_ONCE]
                copies = numpy.minimum(generator.zipf(1.4, len(pos)), 2 * PEOPLE - 1)
                called = 2 * PEOPLE - 2 * generator.integers(0, 50, len(pos))
                copies = numpy.minimum(copies, called)
                quality = generator.integers(30, 5000, len(pos))
                pairs = annotations(generator, transcripts, alleles(generator, len(pos)))
                rows = zip(pos, pairs, quality, copies, called)
                out.writelines(
                    f"chr{number + 1}\t{p}\t.\t{ref}\t{alt}\t{q}\tPASS\tAC={ac};AN={an};AF={ac / an:.6g}{csq}\n"
                    for p, (ref, alt, csq), q, ac, an in rows
                )
        out.close()
        if bgzip.wait() != 0:
            sys.exit("bgzip failed")


if __name__ == "__main__":
    main()
