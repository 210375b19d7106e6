"""pandas: read_sql over SQLAlchemy and ADBC, in chunks, with parameters."""

import adbc_driver_postgresql.dbapi
import pandas as pd
import sqlalchemy as sa
from matrix import *

version(pd.__version__)
engine = sa.create_engine(URL.replace("postgresql", "postgresql+psycopg"))


@check("connect")
def _():
    same(pd.read_sql("SELECT current_database() AS db", engine)["db"].tolist(), [DATABASE])


@check("tables")
def _():
    assert pd.io.sql.has_table("samples", engine, schema="cohort")
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'cohort' ORDER BY 1"
    same(pd.read_sql(sql, engine)["table_name"].tolist(), FACTS["tables"])


@check("reflect")
def _():
    samples = pd.read_sql_table("samples", engine, schema="cohort")
    assert "sample_id" in samples.columns and len(samples) > 100, samples


@check("types")
def _():
    frame = pd.read_sql(TYPES, engine)
    same(frame["i8"].dtype.kind, "i")
    same(tuple(frame[n][0] for n in ("i4", "f8", "t")), tuple(values()[n] for n in ("i4", "f8", "t")))
    same(float(frame["n"][0]), 12345.6789)
    same(frame["ts"][0], pd.Timestamp(values()["ts"]))
    same(frame["tz"][0], pd.Timestamp(values()["tz"]))


@check("parameters")
def _():
    sql = sa.text(REGION.format(":contig", ":first", ":last"))
    arguments = {"contig": CONTIG, "first": FIRST, "last": LAST}
    same(pd.read_sql(sql, engine, params=arguments).iloc[0, 0], FACTS["region_rows"])


@check("chunks")
def _():
    rows = total = 0
    with engine.connect().execution_options(stream_results=True) as connection:
        for chunk in pd.read_sql(BIG, connection, chunksize=5000):
            rows += len(chunk)
            total += int(chunk["pos"].sum())
    same_big((rows, total))
    with adbc_driver_postgresql.dbapi.connect(URL) as connection:
        frame = pd.read_sql(BIG, connection)
    same_big((len(frame), int(frame["pos"].sum())))
    return "chunksize, ADBC"


@check("error")
def _():
    try:
        pd.read_sql(MISSPELT, engine)
    except pd.errors.DatabaseError as error:
        sqlstate("42P01", error.__cause__.orig)
    else:
        raise AssertionError("no error")


engine.dispose()
