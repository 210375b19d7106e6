"""ADBC: COPY in binary to Arrow, catalog objects, table schema, parameters."""

import adbc_driver_postgresql
import adbc_driver_postgresql.dbapi
import pyarrow as pa
from matrix import *

version(adbc_driver_postgresql.__version__)
connection = adbc_driver_postgresql.dbapi.connect(URL, autocommit=True)
cursor = connection.cursor()


@check("connect")
def _():
    info = connection.adbc_get_info()
    same(info["vendor_name"], "PostgreSQL")
    return info["vendor_version"]


@check("tables")
def _():
    objects = connection.adbc_get_objects(depth="tables", db_schema_filter="cohort").read_all().to_pylist()
    found = [schema for catalog in objects for schema in catalog["catalog_db_schemas"] or []]
    same([schema["db_schema_name"] for schema in found], ["cohort"])
    same(sorted(table["table_name"] for table in found[0]["db_schema_tables"]), FACTS["tables"])


@check("reflect")
def _():
    schema = connection.adbc_get_table_schema("variants", db_schema_filter="cohort")
    kinds = [str(schema.field(name).type) for name in ("contig", "pos", "af", "qual", "gt")]
    same(kinds, ["string", "int32", "double", "float", "binary"])
    same(pa.types.is_list(schema.field("filters").type), True)
    columns = connection.adbc_get_objects(
        depth="all", db_schema_filter="cohort", table_name_filter="samples"
    ).read_all().to_pylist()
    table = [s for c in columns for s in c["catalog_db_schemas"] or []][0]["db_schema_tables"][0]
    assert "sample_id" in [column["column_name"] for column in table["table_columns"]]


@check("types")
def _():
    cursor.execute(TYPES)
    row = cursor.fetch_arrow_table().to_pylist()[0]
    # Numeric comes as its text, by the driver's own rule.
    same(row["n"], "12345.6789")
    row["tz"] = row["tz"].astimezone(values()["tz"].tzinfo)
    same_values(row, without=["n"])
    return "binary"


@check("parameters")
def _():
    cursor.execute(REGION.format("$1", "$2", "$3"), FACTS["region"])
    same(cursor.fetchall(), [(FACTS["region_rows"],)])


@check("chunks")
def _():
    cursor.execute(BIG)
    rows = total = 0
    for batch in cursor.fetch_record_batch():
        rows += batch.num_rows
        total += sum(batch.column("pos").to_pylist())
    same_big((rows, total))
    cursor.execute("SELECT 1 AS x WHERE false")
    same(cursor.fetch_arrow_table().num_rows, 0)
    return "COPY binary, no rows too"


@check("temporary")
def _():
    table = pa.table({"sample_id": ["A", "B"], "score": [1.5, None]})
    cursor.adbc_ingest("mine", table, mode="create", temporary=True)
    cursor.adbc_ingest("mine", table, mode="append", temporary=True)
    cursor.execute("SELECT sample_id, score FROM mine ORDER BY sample_id, score")
    same(cursor.fetchall(), [("A", 1.5), ("A", 1.5), ("B", None), ("B", None)])
    cursor.execute("DROP TABLE mine")
    return "adbc_ingest"


@check("cancel")
def _():
    is_cancel = lambda error: "57014" in str(getattr(error, "sqlstate", "")) or "cancel" in str(error).lower()

    def slow():
        cursor.execute(SLOW)
        cursor.fetchall()

    cancelled(slow, cursor.adbc_cancel, is_cancel)


@check("error")
def _():
    try:
        cursor.execute(MISSPELT)
        cursor.fetchall()
    except adbc_driver_postgresql.dbapi.Error as error:
        same(error.sqlstate, "42P01")
    else:
        raise AssertionError("no error")
    cursor.execute("SELECT 1")
    same(cursor.fetchall(), [(1,)])


cursor.close()
connection.close()
