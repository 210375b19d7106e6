"""Inputs of workload intervals: points and spans from a seed, as Parquet and as BED, both sorted.

Points are single bases, spans have lengths around a mean, both spread over the human autosomes by length. The number
of pairs is about POINTS x SPANS x mean length / genome.

usage: interval_inputs.py DIRECTORY POINTS SPANS MEAN_BP
"""

import sys

import numpy
import pyarrow
import pyarrow.parquet

# Lengths of chr1 to chr22, GRCh38.
LENGTHS = [
    248956422, 242193529, 198295559, 190214555, 181538259, 170805979, 159345973, 145138636, 138394717, 133797422,
    135086622, 133275309, 114364328, 107043718, 101991189, 90338345, 83257441, 80373285, 58617616, 64444167,
    46709983, 50818468,
]


def table(generator, count, mean_bp):
    lengths = numpy.array(LENGTHS)
    contig = generator.choice(len(lengths), count, p=lengths / lengths.sum())
    pos = (generator.random(count) * (lengths[contig] - 1)).astype(numpy.int32) + 1
    size = generator.exponential(mean_bp, count).astype(numpy.int64) if mean_bp > 1 else numpy.zeros(count, "int64")
    end = numpy.minimum(pos + size, lengths[contig]).astype(numpy.int32)
    order = numpy.lexsort((end, pos, contig))
    names = numpy.array([f"chr{number + 1}" for number in range(len(lengths))])
    return names[contig[order]], pos[order], end[order]


def write(directory, name, contig, pos, end):
    columns = {"contig": pyarrow.array(contig, pyarrow.string()), "pos": pos, "end_pos": end}
    pyarrow.parquet.write_table(pyarrow.table(columns), f"{directory}/{name}.parquet", compression="zstd")
    # chr1, chr2, … as bedtools is told by a genome file in the same order.
    with open(f"{directory}/{name}.bed", "w", encoding="ascii") as bed:
        bed.writelines(f"{c}\t{p - 1}\t{e}\n" for c, p, e in zip(contig, pos, end))


def main():
    directory, points, spans, mean_bp = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    generator = numpy.random.default_rng(20260101)
    write(directory, "points", *table(generator, points, 1))
    write(directory, "spans", *table(generator, spans, mean_bp))
    with open(f"{directory}/genome.txt", "w", encoding="ascii") as genome:
        genome.writelines(f"chr{number + 1}\t{length}\n" for number, length in enumerate(LENGTHS))


if __name__ == "__main__":
    main()
