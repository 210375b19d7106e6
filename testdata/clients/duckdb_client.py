"""DuckDB's postgres scanner: ATTACH, catalog, COPY by ctid ranges, pushed filters, postgres_query, joins with its own tables."""

import pathlib

import duckdb
import duckdb_extension_postgres_scanner
from matrix import *

version(duckdb.__version__)
connection = duckdb.connect()
# The extension comes as a Python package; DuckDB's own download is not asked for.
files = pathlib.Path(duckdb_extension_postgres_scanner.__file__).parent.rglob("*.duckdb_extension")
connection.execute(f"LOAD '{next(files)}'")


def rows_of(sql):
    return connection.execute(sql).fetchall()


@check("connect")
def _():
    connection.execute(f"ATTACH 'host={HOST} port={PORT} user={USER} dbname={DATABASE}' AS lake (TYPE postgres, READ_ONLY)")
    return rows_of("SELECT * FROM postgres_query('lake', 'SELECT version()')")[0][0].split(" (")[0]


@check("tables")
def _():
    sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'cohort' ORDER BY 1"
    same([name for (name,) in rows_of(sql)], FACTS["tables"])


@check("reflect")
def _():
    found = {row[0]: row[1] for row in rows_of("DESCRIBE lake.cohort.variants")}
    expected = {"contig": "VARCHAR", "pos": "INTEGER", "af": "DOUBLE", "qual": "FLOAT", "filters": "VARCHAR[]", "gt": "BLOB"}
    same({name: found[name] for name in expected}, expected)


@check("types")
def _():
    quoted = TYPES.replace("'", "''")
    result = connection.execute(f"SELECT * FROM postgres_query('lake', '{quoted}')")
    row = dict(zip((column[0] for column in result.description), result.fetchone()))
    row["tz"] = row["tz"].astimezone(values()["tz"].tzinfo)
    same_values(row)


@check("parameters")
def _():
    sql = REGION.format("?", "?", "?").replace("cohort.", "lake.cohort.")
    same(connection.execute(sql, FACTS["region"]).fetchone(), (FACTS["region_rows"],))
    return "pushed down"


@check("chunks")
def _():
    big = BIG.replace("cohort.", "lake.cohort.")
    same_big(rows_of(f"SELECT count(*), sum(pos)::bigint FROM ({big})")[0])
    joined = "SELECT count(*) FROM lake.cohort.variants v JOIN (SELECT DISTINCT contig FROM lake.cohort.samples, lake.cohort.carriers) USING (contig)"
    assert rows_of(joined)[0][0] > 0
    return "COPY binary"


@check("error")
def _():
    try:
        rows_of(f"SELECT * FROM postgres_query('lake', '{MISSPELT}')")
    except duckdb.Error as error:
        assert 'relation "cohort.variant" does not exist' in str(error), error
    else:
        raise AssertionError("no error")
