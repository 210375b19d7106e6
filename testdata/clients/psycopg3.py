"""psycopg 3: text and binary, pipeline, server cursor, COPY in three formats, prepared statements."""

import psycopg
from matrix import *

version(psycopg.__version__)
connection = psycopg.connect(URL, autocommit=True)


@check("connect")
def _():
    same(connection.info.dbname, DATABASE)
    return f"server {connection.info.server_version}"


@check("tables")
def _():
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s ORDER BY 1"
    same([name for (name,) in connection.execute(sql, ["cohort"])], FACTS["tables"])


@check("reflect")
def _():
    cursor = connection.execute("SELECT * FROM cohort.variants LIMIT 0")
    columns = {column.name: column.type_code for column in cursor.description}
    types = connection.adapters.types
    same(types[columns["pos"]].name, "int4")
    same(types[columns["filters"]].name, "text")
    same(columns["filters"], types["text"].array_oid)
    info = psycopg.types.TypeInfo.fetch(connection, "jsonb")
    same(info.oid, 3802)
    # A plain column is told with its table; what is computed is not.
    cursor = connection.execute("SELECT v.pos + 1, v.pos AS place FROM cohort.variants v LIMIT 0")
    oid, number = connection.execute(
        "SELECT attrelid, attnum FROM pg_attribute"
        " WHERE attrelid = 'cohort.variants'::regclass AND attname = 'pos'"
    ).fetchone()
    result = cursor.pgresult
    same([(result.ftable(n), result.ftablecol(n)) for n in (0, 1)], [(0, 0), (oid, number)])


@check("types")
def _():
    for binary in (False, True):
        with connection.cursor(binary=binary, row_factory=psycopg.rows.dict_row) as cursor:
            row = cursor.execute(TYPES).fetchone()
            row["tz"] = row["tz"].astimezone(values()["tz"].tzinfo)
            same_values(row)


@check("parameters")
def _():
    sql = REGION.format("%s", "%s", "%b")
    for _ in range(7):  # prepared from the sixth on
        same(connection.execute(sql, FACTS["region"]).fetchone(), (FACTS["region_rows"],))
    back = values()
    del back["nul"]
    sql = "SELECT " + ", ".join(f"%({name})s AS {name}" for name in back)
    row = connection.cursor(row_factory=psycopg.rows.dict_row).execute(sql, back).fetchone()
    # A list of texts travels as an unknown literal, which is a text in a select list.
    for name in ("i2", "i4", "i8", "f8", "b", "t", "y", "d", "ts", "ia", "n"):
        same(row[name], back[name])
    return "text, binary, prepared"


@check("pipeline")
def _():
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int4 + 1", [n]) for n in range(50)]
        same([cursor.fetchone()[0] for cursor in cursors], list(range(1, 51)))


@check("chunks")
def _():
    rows = total = 0
    with connection.transaction(), connection.cursor("big", binary=True) as cursor:
        cursor.execute(BIG)
        while chunk := cursor.fetchmany(5000):
            rows += len(chunk)
            total += sum(row[1] for row in chunk)
    same_big((rows, total))
    rows = total = 0
    with connection.cursor() as cursor:
        for row in cursor.stream(BIG):
            rows += 1
            total += row[1]
    same_big((rows, total))
    return "server cursor, stream"


@check("copy out")
def _():
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY ({BIG}) TO STDOUT") as copy:
            rows = list(copy.rows())
        same_big((len(rows), sum(int(row[1]) for row in rows)))
        with cursor.copy(f"COPY ({BIG}) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["text", "int4", "text", "text", "text", "text", "int2"])
            rows = list(copy.rows())
        same_big((len(rows), sum(row[1] for row in rows)))
        with cursor.copy("COPY (SELECT 1 WHERE false) TO STDOUT (FORMAT binary)") as copy:
            copy.set_types(["int4"])
            same(list(copy.rows()), [])
    return "text, binary"


@check("temporary")
def _():
    rows = [(1, "a\tb", None), (2, None, 2.5)]
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE mine (id int4, name text, score float8)")
        with cursor.copy("COPY mine FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        with cursor.copy("COPY mine (id, name, score) FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "float8"])
            for row in rows:
                copy.write_row(row)
        cursor.executemany("INSERT INTO mine VALUES (%s, %s, %s)", rows)
        same(cursor.execute("SELECT * FROM mine ORDER BY id").fetchall(), [rows[0]] * 3 + [rows[1]] * 3)
        try:
            with cursor.copy("COPY mine FROM STDIN") as copy:
                copy.write("1\tx\ty\n")
        except psycopg.errors.InvalidTextRepresentation as error:
            same(error.diag.context, 'COPY mine, line 1, column score: "y"')
        else:
            raise AssertionError("no error")
        cursor.execute("DROP TABLE mine")
    return "COPY text and binary, executemany"


@check("cancel")
def _():
    is_cancel = lambda error: isinstance(error, psycopg.errors.QueryCanceled)
    cancelled(lambda: connection.execute(SLOW), connection.cancel_safe, is_cancel)
    same(connection.execute("SELECT 1").fetchone(), (1,))


@check("error")
def _():
    try:
        connection.execute(MISSPELT)
    except psycopg.errors.UndefinedTable as error:
        same(error.diag.sqlstate, "42P01")
        same(error.diag.message_hint, 'Perhaps you meant the relation "cohort.variants".')
        same(error.diag.statement_position, "15")
    else:
        raise AssertionError("no error")
    same(connection.execute("SELECT 1").fetchone(), (1,))
