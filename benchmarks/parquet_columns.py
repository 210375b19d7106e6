"""Compressed bytes of each column of all Parquet files below a directory: column, tab, bytes.

usage: parquet_columns.py DIRECTORY
"""

import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq


def main():
    sizes = Counter()
    for path in Path(sys.argv[1]).rglob("*.parquet"):
        if "_delta_log" in path.parts:
            continue
        metadata = pq.read_metadata(path)
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for column in range(row_group.num_columns):
                chunk = row_group.column(column)
                sizes[chunk.path_in_schema] += chunk.total_compressed_size
    for column, size in sorted(sizes.items()):
        print(f"{column}\t{size}")


if __name__ == "__main__":
    main()
