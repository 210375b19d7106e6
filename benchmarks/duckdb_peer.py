"""DuckDB over the long-format Parquet: one statement, warm, in one process, two threads.

Prints the version, then the seconds of each repetition, a line each; with `answer` the rows
themselves, tab separated. The statement is read from standard input.

usage: duckdb_peer.py DIRECTORY REPETITIONS < STATEMENT
       duckdb_peer.py DIRECTORY answer < STATEMENT
"""

import sys
import time

import duckdb


def main():
    directory, task = sys.argv[1:3]
    statement = sys.stdin.read().strip().rstrip(";")
    connection = duckdb.connect(config={"threads": 2})
    for name in ("carriers", "cohort", "samples"):
        connection.execute(f"CREATE VIEW {name} AS SELECT * FROM '{directory}/{name}.parquet'")
    if task == "answer":
        for row in connection.execute(statement).fetchall():
            print("\t".join(map(str, row)))
        return
    print(duckdb.__version__)
    for repetition in range(int(task) + 1):
        started = time.perf_counter()
        result = connection.sql(statement)
        if result is not None:
            result.to_arrow_table()
        if repetition > 0:
            print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
