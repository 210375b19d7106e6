"""psqlODBC with unixODBC, by pyodbc: catalog calls, parameters, declare/fetch, what Excel and older Tableau use."""

import pyodbc
from matrix import *

DRIVER = "DRIVER={PostgreSQL Unicode}"
LINE = f"{DRIVER};SERVER={HOST};PORT={PORT};DATABASE={DATABASE};UID={USER}"
connection = pyodbc.connect(LINE, autocommit=True)
cursor = connection.cursor()
version(f"{connection.getinfo(pyodbc.SQL_DRIVER_VER)[:5]}, pyodbc {pyodbc.version}")


@check("connect")
def _():
    same(connection.getinfo(pyodbc.SQL_DATABASE_NAME), DATABASE)
    return f"server {connection.getinfo(pyodbc.SQL_DBMS_VER)}"


@check("tables")
def _():
    same(sorted(row.table_name for row in cursor.tables(schema="cohort")), FACTS["tables"])
    assert cursor.tables(catalog="%", schema="", table="").fetchall()
    assert {"cohort", "clin"} <= {row.table_schem for row in cursor.tables(catalog="", schema="%", table="")}


@check("reflect")
def _():
    columns = {row.column_name: row.type_name for row in cursor.columns(table="variants", schema="cohort")}
    same((columns["pos"], columns["af"], columns["contig"]), ("int4", "float8", "text"))
    same(cursor.primaryKeys(table="variants", schema="cohort").fetchall(), [])
    same(cursor.statistics(table="variants", schema="cohort").fetchall()[1:], [])
    assert cursor.getTypeInfo().fetchall()


@check("types")
def _():
    row = cursor.execute(TYPES).fetchone()
    found = dict(zip((column[0] for column in row.cursor_description), row))
    # The driver has no arrays and drops the zone of timestamptz.
    same(found["ia"], "{1,NULL,3}")
    found["b"] = found["b"] in (True, "1")
    same_values(found, without=["ia", "ta", "tz"])


@check("parameters")
def _():
    sql = REGION.format("?", "?", "?")
    for _ in range(3):
        same(cursor.execute(sql, *FACTS["region"]).fetchone()[0], FACTS["region_rows"])
    back = values()
    row = cursor.execute("SELECT ?::int8, ?::text, ?::date, ?::float8", back["i8"], back["t"], back["d"], back["f8"]).fetchone()
    same(tuple(row), (back["i8"], back["t"], back["d"], back["f8"]))


@check("chunks")
def _():
    rows = total = 0
    fetching = pyodbc.connect(LINE + ";UseDeclareFetch=1;Fetch=5000", autocommit=False)
    for row in fetching.execute(BIG):
        rows += 1
        total += row[1]
    fetching.close()
    same_big((rows, total))
    return "declare/fetch"


@check("cancel")
def _():
    is_cancel = lambda error: "cancel" in str(error).lower()
    cancelled(lambda: cursor.execute(SLOW), cursor.cancel, is_cancel)


@check("error")
def _():
    try:
        cursor.execute(MISSPELT)
    except pyodbc.Error as error:
        same(error.args[0], "42P01")
    else:
        raise AssertionError("no error")
    same(cursor.execute("SELECT 1").fetchone()[0], 1)
    plain = pyodbc.connect(LINE, autocommit=False)
    try:
        plain.execute(MISSPELT)
    except pyodbc.Error:
        pass
    plain.rollback()
    same(plain.execute("SELECT 1").fetchone()[0], 1)
    plain.close()


connection.close()
