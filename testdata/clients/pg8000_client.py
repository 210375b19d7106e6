"""pg8000: pure Python, extended protocol in text."""

import pg8000
import pg8000.native
from matrix import *

version(pg8000.__version__)
connection = pg8000.native.Connection(USER, host=HOST, port=PORT, database=DATABASE)


@check("connect")
def _():
    same(connection.run("SELECT current_database()"), [[DATABASE]])


@check("tables")
def _():
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = :schema ORDER BY 1"
    same([row[0] for row in connection.run(sql, schema="cohort")], FACTS["tables"])


@check("reflect")
def _():
    connection.run("SELECT pos, filters, qual FROM cohort.variants LIMIT 0")
    same([column["type_oid"] for column in connection.columns], [23, 1009, 700])


@check("types")
def _():
    row = connection.run(TYPES)[0]
    same_values(dict(zip((column["name"] for column in connection.columns), row)))


@check("parameters")
def _():
    sql = REGION.format(":contig", ":first", ":last")
    found = connection.run(sql, contig=CONTIG, first=FIRST, last=LAST)
    same(found, [[FACTS["region_rows"]]])
    statement = connection.prepare("SELECT :a::int4 + 1, :b::text, :c::date")
    for n in range(3):
        same(statement.run(a=n, b="é", c=values()["d"]), [[n + 1, "é", values()["d"]]])


@check("chunks")
def _():
    plain = pg8000.connect(USER, host=HOST, port=PORT, database=DATABASE)
    cursor = plain.cursor()
    cursor.execute("BEGIN")
    cursor.execute(f"DECLARE big CURSOR FOR {BIG}")
    rows = total = 0
    while True:
        cursor.execute("FETCH 5000 FROM big")
        chunk = cursor.fetchall()
        if not chunk:
            break
        rows += len(chunk)
        total += sum(row[1] for row in chunk)
    plain.rollback()
    plain.close()
    same_big((rows, total))
    return "DECLARE, FETCH"


@check("cancel")
def _():
    # The driver has no cancel of its own: statement_timeout stops it.
    connection.run("SET statement_timeout = 400")
    is_cancel = lambda error: error.args[0]["C"] == "57014"
    cancelled(lambda: connection.run(SLOW), lambda: None, is_cancel)
    connection.run("RESET statement_timeout")
    same(connection.run("SELECT 1"), [[1]])
    return "by statement_timeout"


@check("error")
def _():
    try:
        connection.run(MISSPELT)
    except pg8000.exceptions.DatabaseError as error:
        same(error.args[0]["C"], "42P01")
        same(error.args[0]["H"], 'Perhaps you meant the relation "cohort.variants".')
    else:
        raise AssertionError("no error")
