"""polars: read_database_uri by connectorx and ADBC, read_database over SQLAlchemy in batches."""

import polars as pl
import sqlalchemy as sa
from matrix import *

version(pl.__version__)


@check("connect")
def _():
    same(pl.read_database_uri("SELECT current_database() AS db", URL, engine="adbc")["db"].to_list(), [DATABASE])


@check("tables")
def _():
    sql = "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'cohort' ORDER BY 1"
    for engine in ("connectorx", "adbc"):
        same(pl.read_database_uri(sql, URL, engine=engine)["name"].to_list(), FACTS["tables"])


@check("reflect")
def _():
    sql = "SELECT contig, pos, af, filters, alt_index FROM cohort.variants LIMIT 5"
    for engine in ("connectorx", "adbc"):
        schema = pl.read_database_uri(sql, URL, engine=engine).schema
        same(list(schema.values())[:4], [pl.String, pl.Int32, pl.Float64, pl.List(pl.String)])


@check("parameters")
def _():
    engine = sa.create_engine(URL.replace("postgresql", "postgresql+psycopg"))
    sql = REGION.format(":contig", ":first", ":last")
    options = {"parameters": {"contig": CONTIG, "first": FIRST, "last": LAST}}
    frame = pl.read_database(sa.text(sql), engine.connect(), execute_options=options)
    same(frame.item(), FACTS["region_rows"])


@check("chunks")
def _():
    for engine in ("connectorx", "adbc"):
        frame = pl.read_database_uri(BIG, URL, engine=engine)
        same_big((len(frame), frame["pos"].cast(pl.Int64).sum()))
    engine = sa.create_engine(URL.replace("postgresql", "postgresql+psycopg"))
    rows = total = 0
    with engine.connect() as connection:
        for frame in pl.read_database(BIG, connection, iter_batches=True, batch_size=5000):
            rows += len(frame)
            total += frame["pos"].cast(pl.Int64).sum()
    same_big((rows, total))
    return "connectorx, ADBC, iter_batches"


@check("error")
def _():
    for engine in ("connectorx", "adbc"):
        try:
            pl.read_database_uri(MISSPELT, URL, engine=engine)
        except Exception as error:
            assert 'relation "cohort.variant" does not exist' in str(error), error
        else:
            raise AssertionError("no error")
