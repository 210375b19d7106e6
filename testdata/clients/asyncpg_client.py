"""asyncpg: binary protocol, type introspection, cursors over portals, COPY, a pool and its reset."""

import asyncio
import datetime as dt
import io

import asyncpg
from matrix import *

version(asyncpg.__version__)
loop = asyncio.new_event_loop()
run = loop.run_until_complete
connection = run(asyncpg.connect(URL))


@check("connect")
def _():
    same(run(connection.fetchval("SELECT current_database()")), DATABASE)
    return f"server {connection.get_server_version().major}"


@check("tables")
def _():
    sql = "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = ANY($2) ORDER BY 1"
    rows = run(connection.fetch(sql, "cohort", [b"r", b"v"]))
    same([row[0] for row in rows], FACTS["tables"])


@check("reflect")
def _():
    statement = run(connection.prepare("SELECT pos, filters, qual, gt FROM cohort.variants"))
    same([a.type.name for a in statement.get_attributes()], ["int4", "text[]", "float4", "bytea"])


@check("types")
def _():
    same_values(dict(run(connection.fetchrow(TYPES))))


@check("parameters")
def _():
    sql = REGION.format("$1", "$2", "$3")
    same(run(connection.fetchval(sql, *FACTS["region"])), FACTS["region_rows"])
    back = values()
    casts = {
        "i2": "int2", "i4": "int4", "i8": "int8", "f4": "float4", "f8": "float8", "n": "numeric",
        "b": "bool", "t": "text", "y": "bytea", "d": "date", "ts": "timestamp", "tz": "timestamptz",
        "ia": "int4[]", "ta": "text[]",
    }
    names = list(casts)
    sql = "SELECT " + ", ".join(f"${i}::{casts[n]} AS {n}" for i, n in enumerate(names, 1))
    row = dict(run(connection.fetchrow(sql, *(back[name] for name in names))))
    row["nul"] = None
    same_values(row)
    return "binary"


@check("chunks")
def _():
    async def read():
        rows = total = 0
        async with connection.transaction():
            async for row in connection.cursor(BIG, prefetch=3000):
                rows += 1
                total += row["pos"]
        return rows, total

    same_big(run(read()))
    return "portal"


@check("copy out")
def _():
    out = io.BytesIO()
    run(connection.copy_from_query(BIG, output=out, format="csv"))
    lines = out.getvalue().decode().splitlines()
    same_big((len(lines), sum(int(line.split(",")[1]) for line in lines)))
    out = io.BytesIO()
    run(connection.copy_from_table("samples", schema_name="cohort", output=out, format="binary"))
    same(out.getvalue()[:11], b"PGCOPY\n\xff\r\n\0")
    return "csv, binary, table"


@check("temporary")
def _():
    async def use():
        await connection.execute("CREATE TEMP TABLE mine (id int, name text, born date, tags text[])")
        rows = [(1, "a", dt.date(2001, 2, 3), ["x", None]), (2, None, None, None)]
        same(await connection.copy_records_to_table("mine", records=rows), "COPY 2")
        await connection.executemany("INSERT INTO mine VALUES ($1, $2, $3, $4)", rows)
        same(await connection.fetchval("SELECT count(*) FROM mine WHERE id = any($1::int[])", [1, 5]), 2)
        same([tuple(row) for row in await connection.fetch("SELECT * FROM mine ORDER BY id LIMIT 1")], rows[:1])
        await connection.execute("DROP TABLE mine")

    run(use())
    return "COPY binary, executemany"


@check("pool")
def _():
    async def use():
        async with asyncpg.create_pool(URL, min_size=2, max_size=4) as pool:
            answers = await asyncio.gather(*(pool.fetchval("SELECT $1::int4", n) for n in range(40)))
            same(answers, list(range(40)))

    run(use())


@check("cancel")
def _():
    async def slow():
        started = loop.time()
        try:
            await connection.fetch(SLOW, timeout=0.4)
        except asyncio.TimeoutError:
            pass
        else:
            raise AssertionError("not cancelled")
        same(await connection.fetchval("SELECT 1"), 1)
        assert loop.time() - started < 4, "cancelled too late"

    run(slow())


@check("error")
def _():
    try:
        run(connection.fetch(MISSPELT))
    except asyncpg.UndefinedTableError as error:
        same(error.hint, 'Perhaps you meant the relation "cohort.variants".')
    else:
        raise AssertionError("no error")
    same(run(connection.fetchval("SELECT 1")), 1)


run(connection.close())
