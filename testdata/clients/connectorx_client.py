"""connectorx: COPY in binary and csv, cursor; a query split over several connections."""

import connectorx as cx
from matrix import *

version(cx.__version__)


@check("connect")
def _():
    same(cx.read_sql(URL, "SELECT current_database()::text AS db", return_type="arrow")["db"].to_pylist(), [DATABASE])


@check("tables")
def _():
    sql = "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'cohort' ORDER BY 1"
    for protocol in ("binary", "csv", "cursor", "simple"):
        found = cx.read_sql(URL, sql, return_type="arrow", protocol=protocol)["name"].to_pylist()
        same(found, FACTS["tables"])
    return "binary, csv, cursor, simple"


@check("reflect")
def _():
    meta = cx.get_meta(URL, "SELECT contig, pos, af FROM cohort.variants")
    same(list(meta.columns), ["contig", "pos", "af"])


@check("types")
def _():
    row = cx.read_sql(URL, TYPES, return_type="arrow").to_pylist()[0]
    row["tz"] = row["tz"].astimezone(values()["tz"].tzinfo)
    # connectorx turns numeric into a float or a decimal of its own scale.
    same(float(row["n"]), 12345.6789)
    same_values(row, without=["n"])


@check("chunks")
def _():
    for protocol in ("binary", "csv", "cursor"):
        table = cx.read_sql(URL, BIG, return_type="arrow", protocol=protocol)
        same_big((table.num_rows, sum(table["pos"].to_pylist())))
    table = cx.read_sql(URL, BIG, return_type="arrow", partition_on="pos", partition_num=4)
    same_big((table.num_rows, sum(table["pos"].to_pylist())))
    return "four connections by ranges of pos"


@check("error")
def _():
    try:
        cx.read_sql(URL, MISSPELT, return_type="arrow")
    except Exception as error:
        assert 'relation "cohort.variant" does not exist' in str(error), error
    else:
        raise AssertionError("no error")
