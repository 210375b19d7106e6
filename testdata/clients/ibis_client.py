"""ibis: its PostgreSQL backend, tables as expressions, batches, temporary views for raw SQL."""

import ibis
from ibis import _ as this
from matrix import *

version(ibis.__version__)
connection = ibis.postgres.connect(user=USER, host=HOST, port=PORT, database=DATABASE, schema="cohort")


@check("connect")
def _():
    return f"server {connection.version}"


@check("tables")
def _():
    same(sorted(connection.list_tables()), FACTS["tables"])
    assert {"cohort", "clin", "kb"} <= set(connection.list_databases())


@check("reflect")
def _():
    schema = connection.table("variants").schema()
    kinds = [str(schema[name]) for name in ("contig", "pos", "af", "filters")]
    same(kinds, ["!string", "!int32", "float64", "array<string>"])


@check("parameters")
def _():
    variants = connection.table("variants")
    some = variants.filter(this.contig == CONTIG, this.pos.between(FIRST, LAST))
    same(some.count().execute(), FACTS["region_rows"])
    by = variants.group_by("contig").aggregate(n=this.count(), top=this.af.max()).order_by("contig")
    same(int(by.execute()["n"].sum()), FACTS["variants"])


@check("raw sql")
def _():
    table = connection.sql("SELECT contig, count(*) AS n FROM cohort.variants GROUP BY contig")
    same(int(table.n.sum().execute()), FACTS["variants"])
    return "sql()"


@check("temporary")
def _():
    import pandas as pd

    frame = pd.DataFrame({"sample_id": ["A", "B"], "score": [1.5, 2.5]})
    made = connection.create_table("mine", frame, temp=True)
    same(float(made.score.sum().execute()), 4.0)
    connection.drop_table("mine")
    return "create_table"


@check("chunks")
def _():
    rows = total = 0
    carriers = connection.table("carriers")
    for batch in carriers.select("contig", "pos").to_pyarrow_batches(chunk_size=5000):
        rows += batch.num_rows
        total += sum(batch.column("pos").to_pylist())
    same_big((rows, total))


@check("error")
def _():
    try:
        connection.table("variant")
    except ibis.common.exceptions.TableNotFound:
        pass
    else:
        raise AssertionError("no error")
