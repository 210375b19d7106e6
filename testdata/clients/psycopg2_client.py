"""psycopg 2: client-side parameters, named cursor, COPY, savepoints."""

import io

import psycopg2
import psycopg2.extensions
import psycopg2.extras
from matrix import *

version(psycopg2.__version__.split()[0])
connection = psycopg2.connect(URL)
connection.autocommit = True
cursor = connection.cursor()


def rows_of(sql, arguments=None):
    cursor.execute(sql, arguments)
    return cursor.fetchall()


@check("connect")
def _():
    same(rows_of("SELECT current_database(), current_user"), [(DATABASE, USER)])
    return f"server {connection.server_version}"


@check("tables")
def _():
    sql = "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = %s ORDER BY 1"
    same([name for (name,) in rows_of(sql, ["cohort"])], FACTS["tables"])


@check("reflect")
def _():
    rows_of("SELECT * FROM cohort.variants LIMIT 0")
    codes = {column.name: column.type_code for column in cursor.description}
    same((codes["pos"], codes["filters"], codes["qual"]), (23, 1009, 700))


@check("types")
def _():
    with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as rows:
        rows.execute(TYPES)
        row = rows.fetchone()
    row["tz"] = row["tz"].astimezone(values()["tz"].tzinfo)
    same_values(row)


@check("parameters")
def _():
    same(rows_of(REGION.format("%s", "%s", "%s"), FACTS["region"]), [(FACTS["region_rows"],)])
    back = values()
    sql = "SELECT %(i8)s, %(t)s, %(d)s, %(n)s, %(b)s, %(y)s, %(ta)s, %(nul)s"
    row = list(rows_of(sql, back)[0])
    row[5] = bytes(row[5])
    same(row, [back[name] for name in ("i8", "t", "d", "n", "b", "y", "ta", "nul")])


@check("chunks")
def _():
    rows = total = 0
    connection.autocommit = False
    with connection.cursor("big") as named:
        named.itersize = 5000
        named.execute(BIG)
        for row in named:
            rows += 1
            total += row[1]
    connection.rollback()
    connection.autocommit = True
    same_big((rows, total))
    return "named cursor"


@check("copy out")
def _():
    out = io.StringIO()
    cursor.copy_expert(f"COPY ({BIG}) TO STDOUT WITH CSV HEADER", out)
    lines = out.getvalue().splitlines()
    same(lines[0], "contig,pos,ref,alt,sample_id,gt,dosage")
    same_big((len(lines) - 1, sum(int(line.split(",")[1]) for line in lines[1:])))
    return "csv"


@check("transaction")
def _():
    connection.autocommit = False
    cursor.execute("SAVEPOINT a")
    try:
        cursor.execute("SELECT 1/0")
    except psycopg2.errors.DivisionByZero:
        cursor.execute("ROLLBACK TO SAVEPOINT a")
    cursor.execute("SELECT 2")
    same(cursor.fetchone(), (2,))
    connection.commit()
    connection.autocommit = True
    return "savepoint"


@check("temporary")
def _():
    import io

    cursor.execute("CREATE TEMP TABLE mine AS SELECT sample_id FROM cohort.samples LIMIT 3")
    same(cursor.rowcount, 3)
    cursor.copy_expert("COPY mine FROM STDIN WITH CSV", io.StringIO('"S,1"\nS2\n'))
    cursor.executemany("INSERT INTO mine VALUES (%s)", [("S3",), (None,)])
    same(rows_of("SELECT count(*), count(sample_id) FROM mine"), [(7, 6)])
    cursor.execute("DROP TABLE mine")
    cursor.execute("CREATE TEMP TABLE scored (id int, score int)")
    cursor.execute("INSERT INTO scored SELECT g, 0 FROM generate_series(1, 5) g")
    update = "UPDATE scored SET score = v.score FROM (VALUES %s) AS v (id, score) WHERE v.id = scored.id RETURNING scored.id, v.score"
    told = psycopg2.extras.execute_values(cursor, update, [(n, n * 10) for n in range(1, 4)], fetch=True)
    same(sorted(told), [(1, 10), (2, 20), (3, 30)])
    same(rows_of("SELECT sum(score) FROM scored"), [(60,)])
    cursor.execute("DROP TABLE scored")
    return "COPY csv"


@check("cancel")
def _():
    is_cancel = lambda error: isinstance(error, psycopg2.extensions.QueryCanceledError)
    cancelled(lambda: rows_of(SLOW), connection.cancel, is_cancel)
    same(rows_of("SELECT 1"), [(1,)])


@check("error")
def _():
    try:
        rows_of(MISSPELT)
    except psycopg2.errors.UndefinedTable as error:
        same(error.pgcode, "42P01")
        same(error.diag.message_hint, 'Perhaps you meant the relation "cohort.variants".')
    else:
        raise AssertionError("no error")
