"""Peers of workload intervals: polars-bio and DuckDB, warm in one process, two threads.

Reads points.parquet and spans.parquet (contig, pos, end_pos; 1-based, both ends included) of DIRECTORY into memory,
then does one task:
  count           count the overlapping pairs
  pairs           make all of them, batch after batch, each dropped when the next comes
  nearest         the closest span of each point
  count_overlaps  the number of spans that hold each point
  coverage        the bases of each span that points cover
Prints the seconds of each repetition after one to warm, a line each; with `answer` instead of their number the
version, then numbers that all peers must agree on:
  count, pairs    the number of pairs and sums of the points' pos, the spans' pos and the spans' end_pos over them
  nearest         the number of different points and the sum of their distances, neighbours being 1 apart
  others          the number of rows and the sum of the counts or of the covered bases

usage: interval_peers.py DIRECTORY polars-bio|duckdb TASK REPETITIONS|answer
"""

import os
import sys
import time

os.environ.setdefault("POLARS_MAX_THREADS", "2")


def polars_bio(directory):
    import polars
    import polars_bio

    polars_bio.set_option("datafusion.execution.target_partitions", "2")

    # polars-bio reads spans as closed and 1-based when the frames say so.
    def frame(name):
        table = polars.read_parquet(f"{directory}/{name}.parquet")
        table = table.rename({"contig": "chrom", "pos": "start", "end_pos": "end"})
        table.config_meta.set(coordinate_system_zero_based=False)
        return table

    points, spans = frame("points"), frame("spans")

    def overlap(**how):
        return polars_bio.overlap(points, spans, **how)

    def count():
        return overlap().select(polars.len()).collect(engine="streaming").item()

    def pairs():
        return sum(batch.height for batch in overlap().collect_batches())

    def pairs_answer():
        numbers = ["start_1", "start_2", "end_2"]
        sums = [polars.col(column).cast(polars.Int64).sum() for column in numbers]
        return overlap().select(polars.len(), *sums).collect(engine="streaming").row(0)

    def rows(function, *tables):
        return lambda: function(*tables, output_type="polars.DataFrame")

    def nearest_answer():
        found = nearest().unique(["chrom_1", "start_1", "end_1"])
        # Its own distance is 0 of neighbours too.
        ways = (polars.col("start_2") - polars.col("end_1"), polars.col("start_1") - polars.col("end_2"))
        distance = polars.max_horizontal(0, *ways).cast(polars.Int64)
        return found.height, found.select(distance.sum()).item()

    def sum_of(column, task):
        found = task()
        return found.height, found[column].sum()

    nearest = rows(polars_bio.nearest, points, spans)
    count_overlaps = rows(polars_bio.count_overlaps, points, spans)
    coverage = rows(polars_bio.coverage, spans, points)
    return polars_bio.__version__, {
        "count": (count, pairs_answer),
        "pairs": (pairs, pairs_answer),
        "nearest": (nearest, nearest_answer),
        "count_overlaps": (count_overlaps, lambda: sum_of("count", count_overlaps)),
        "coverage": (coverage, lambda: sum_of("coverage", coverage)),
    }


def duckdb(directory):
    import duckdb

    connection = duckdb.connect(config={"threads": 2})
    for name in ("points", "spans"):
        connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{directory}/{name}.parquet'")
    overlap = "ON a.contig = b.contig AND a.pos <= b.end_pos AND a.end_pos >= b.pos"
    join = f"FROM points a JOIN spans b {overlap}"
    # What one who knows DuckDB would write: its joins by inequalities make every pair, its ASOF joins look one up.
    counted = (
        "WITH first AS (SELECT contig, pos, count(*) OVER (PARTITION BY contig ORDER BY pos) AS n FROM spans), "
        "last AS (SELECT contig, end_pos, count(*) OVER (PARTITION BY contig ORDER BY end_pos) AS n FROM spans) "
        "SELECT p.*, coalesce(first.n, 0) - coalesce(last.n, 0) AS n FROM points p "
        "ASOF LEFT JOIN first ON p.contig = first.contig AND p.end_pos >= first.pos "
        "ASOF LEFT JOIN last ON p.contig = last.contig AND p.pos > last.end_pos"
    )
    # The span that reaches furthest of those that begin before a point's end holds it, or is the nearest on its left.
    near = (
        "WITH furthest AS (SELECT contig, pos, max({'last': end_pos, 'first': pos}) OVER "
        "(PARTITION BY contig ORDER BY pos) AS span FROM spans), "
        "next AS (SELECT contig, pos, end_pos FROM spans), "
        "both_ways AS (SELECT p.*, furthest.span, next.pos AS next_pos, next.end_pos AS next_end, "
        "CASE WHEN furthest.pos IS NOT NULL THEN greatest(p.pos - furthest.span.last, 0) END AS back, "
        "next.pos - p.end_pos AS ahead FROM points p "
        "ASOF LEFT JOIN furthest ON p.contig = furthest.contig AND p.end_pos >= furthest.pos "
        "ASOF LEFT JOIN next ON p.contig = next.contig AND p.end_pos < next.pos) "
        "SELECT contig, pos, end_pos, if(back <= ahead OR ahead IS NULL, span.first, next_pos) AS span_pos, "
        "if(back <= ahead OR ahead IS NULL, span.last, next_end) AS span_end, "
        "least(back, ahead) AS distance FROM both_ways WHERE back IS NOT NULL OR ahead IS NOT NULL"
    )
    one_each = f"SELECT DISTINCT ON (contig, pos, end_pos) * FROM ({near})"
    # Bases covered from the beginning of the contig up to the end of a span, less those up to its beginning.
    covered = (
        "WITH ahead AS (SELECT contig, pos, end_pos, max(end_pos) OVER (PARTITION BY contig ORDER BY pos, end_pos "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached FROM points), "
        "islands AS (SELECT *, sum(CASE WHEN reached IS NULL OR pos > reached + 1 THEN 1 ELSE 0 END) OVER "
        "(PARTITION BY contig ORDER BY pos, end_pos ROWS UNBOUNDED PRECEDING) AS island FROM ahead), "
        "merged AS (SELECT contig, min(pos) AS first, max(end_pos) AS last FROM islands GROUP BY contig, island), "
        "summed AS (SELECT *, sum(last - first + 1) OVER (PARTITION BY contig ORDER BY first) - (last - first + 1) AS before "
        "FROM merged) "
        "SELECT s.*, coalesce(e.before + least(s.end_pos, e.last) - e.first + 1, 0) "
        "- coalesce(b.before + least(s.pos - 1, b.last) - b.first + 1, 0) AS covered FROM spans s "
        "ASOF LEFT JOIN summed e ON s.contig = e.contig AND s.end_pos >= e.first "
        "ASOF LEFT JOIN summed b ON s.contig = b.contig AND s.pos > b.first"
    )

    def table(statement):
        return lambda: connection.sql(statement).to_arrow_table()

    def sums(columns, statement):
        return lambda: connection.execute(f"SELECT {columns} FROM ({statement})").fetchall()[0]

    def count():
        return connection.execute(f"SELECT count(*) {join}").fetchone()[0]

    def pairs():
        return sum(batch.num_rows for batch in connection.sql(f"SELECT a.*, b.* {join}").to_arrow_reader())

    def pairs_answer():
        return connection.execute(f"SELECT count(*), sum(a.pos), sum(b.pos), sum(b.end_pos) {join}").fetchone()

    return duckdb.__version__, {
        "count": (count, pairs_answer),
        "pairs": (pairs, pairs_answer),
        "nearest": (table(near), sums("count(*), sum(distance)", one_each)),
        "count_overlaps": (table(counted), sums("count(*), sum(n)", counted)),
        "coverage": (table(covered), sums("count(*), sum(covered)", covered)),
    }


def main():
    directory, peer, task, repetitions = sys.argv[1:5]
    version, tasks = {"polars-bio": polars_bio, "duckdb": duckdb}[peer](directory)
    run, answer = tasks[task]
    if repetitions == "answer":
        print(version)
        print(" ".join(str(int(number)) for number in answer()))
        return
    for repetition in range(int(repetitions) + 1):
        started = time.perf_counter()
        run()
        if repetition > 0:
            print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
