"""SQLAlchemy over psycopg 3, psycopg 2 and asyncpg: inspector, reflected tables, parameters, stream_results."""

import asyncio

import sqlalchemy as sa
from matrix import *
from sqlalchemy.ext.asyncio import create_async_engine

version(sa.__version__)
DRIVERS = {"psycopg 3": "psycopg", "psycopg 2": "psycopg2", "asyncpg": "asyncpg"}
loop = asyncio.new_event_loop()


class Engine:
    """One face for the synchronous drivers and for asyncpg."""

    def __init__(self, driver):
        url = URL.replace("postgresql", f"postgresql+{driver}")
        self.asynchronous = driver == "asyncpg"
        make = create_async_engine if self.asynchronous else sa.create_engine
        self.engine = make(url)

    def run(self, work):
        """Calls work(connection)."""
        if not self.asynchronous:
            with self.engine.connect() as connection:
                return work(connection)

        async def call():
            async with self.engine.connect() as connection:
                return await connection.run_sync(work)

        return loop.run_until_complete(call())

    def close(self):
        if self.asynchronous:
            loop.run_until_complete(self.engine.dispose())
        else:
            self.engine.dispose()


engines = {name: Engine(driver) for name, driver in DRIVERS.items()}


def each(work):
    """Calls work(engine) for every driver; returns their names."""
    for name, engine in engines.items():
        try:
            work(engine)
        except BaseException as error:
            raise AssertionError(f"{name}: {type(error).__name__}: {error}") from error
    return ", ".join(engines)


@check("connect")
def _():
    sql = sa.text("SELECT current_database()")
    return each(lambda engine: same(engine.run(lambda c: c.scalar(sql)), DATABASE))


@check("tables")
def _():
    def tables(connection):
        inspector = sa.inspect(connection)
        assert "cohort" in inspector.get_schema_names()
        same(sorted(inspector.get_table_names("cohort")), FACTS["tables"])
        same(inspector.get_view_names("cohort"), [])
        assert inspector.has_table("variants", schema="cohort")
        assert not inspector.has_table("variant", schema="cohort")

    return each(lambda engine: engine.run(tables))


@check("reflect")
def _():
    def reflect(connection):
        metadata = sa.MetaData()
        metadata.reflect(connection, schema="cohort")
        columns = metadata.tables["cohort.variants"].columns
        kinds = {name: str(columns[name].type) for name in ("contig", "pos", "af", "gt")}
        expected = {"contig": "TEXT", "pos": "INTEGER", "af": "DOUBLE PRECISION", "gt": "BYTEA"}
        same(str(columns["filters"].type.item_type), "TEXT")
        same(kinds, expected)
        same((columns["pos"].nullable, columns["alt"].nullable), (False, True))
        inspector = sa.inspect(connection)
        same(inspector.get_pk_constraint("variants", "cohort")["constrained_columns"], [])
        same(inspector.get_foreign_keys("variants", "cohort"), [])
        same(inspector.get_indexes("variants", "cohort"), [])
        inspector.get_table_comment("variants", "cohort")

    each(lambda engine: engine.run(reflect))


@check("types")
def _():
    def types(engine):
        row = dict(engine.run(lambda c: c.execute(sa.text(TYPES.replace("::", "\\:\\:"))).mappings().one()))
        row["tz"] = row["tz"].astimezone(values()["tz"].tzinfo)
        same_values(row)

    each(types)


@check("parameters")
def _():
    def parameters(connection):
        variants = sa.Table("variants", sa.MetaData(), schema="cohort", autoload_with=connection)
        where = sa.and_(variants.c.contig == CONTIG, variants.c.pos.between(FIRST, LAST))
        same(connection.scalar(sa.select(sa.func.count()).select_from(variants).where(where)), FACTS["region_rows"])
        some = sa.select(variants.c.pos).where(variants.c.contig.in_([CONTIG, "chr99"]), variants.c.af < 0.5)
        rows = connection.execute(some.order_by(variants.c.pos.desc()).limit(3).offset(1)).all()
        same(len(rows), 3)

    each(lambda engine: engine.run(parameters))
    return "reflected table, IN, LIMIT"


@check("chunks")
def _():
    def chunks(connection):
        rows = total = 0
        result = connection.execution_options(stream_results=True, max_row_buffer=4000).execute(sa.text(BIG))
        for part in result.partitions(5000):
            rows += len(part)
            total += sum(row[1] for row in part)
        same_big((rows, total))

    for name in ("psycopg 3", "psycopg 2"):
        engines[name].run(chunks)

    async def stream():
        rows = total = 0
        async with engines["asyncpg"].engine.connect() as connection:
            async for part in (await connection.stream(sa.text(BIG))).partitions(5000):
                rows += len(part)
                total += sum(row[1] for row in part)
        same_big((rows, total))

    loop.run_until_complete(stream())
    return "stream_results"


@check("temporary")
def _():
    def temporary(connection):
        columns = [sa.Column("id", sa.Integer), sa.Column("name", sa.Text), sa.Column("score", sa.Numeric(8, 3))]
        mine = sa.Table("mine", sa.MetaData(), *columns, prefixes=["TEMPORARY"])
        mine.create(connection)
        connection.execute(sa.insert(mine), [{"id": n, "name": f"n{n}", "score": n / 8} for n in range(50)])
        same(connection.scalar(sa.select(sa.func.count()).select_from(mine).where(mine.c.score > 1)), 41)
        connection.execute(sa.delete(mine).where(mine.c.id < 10))
        same(connection.scalar(sa.select(sa.func.count()).select_from(mine)), 40)
        other = sa.Table("other", sa.MetaData(), sa.Column("id", sa.Integer), prefixes=["TEMPORARY"])
        other.create(connection)
        connection.execute(sa.insert(other), [{"id": n} for n in (10, 11)])
        beside = mine.c.id == other.c.id
        connection.execute(sa.update(mine).values(name="both").where(beside))
        same(connection.scalar(sa.select(sa.func.count()).select_from(mine).where(mine.c.name == "both")), 2)
        connection.execute(sa.delete(mine).where(beside))
        same(connection.scalar(sa.select(sa.func.count()).select_from(mine)), 38)
        connection.rollback()
        assert not sa.inspect(connection).has_table("mine")

    each(lambda engine: engine.run(temporary))
    return "Table(prefixes=TEMPORARY), rolled back"


@check("cancel")
def _():
    def cancel(connection):
        raw = connection.connection.driver_connection
        is_cancel = lambda error: getattr(error.orig, "sqlstate", getattr(error.orig, "pgcode", "")) == "57014"
        cancelled(lambda: connection.execute(sa.text(SLOW)), raw.cancel, is_cancel)

    for name in ("psycopg 3", "psycopg 2"):
        engines[name].run(cancel)
    return "psycopg"


@check("error")
def _():
    def error(connection):
        savepoint = connection.begin_nested()
        try:
            connection.execute(sa.text(MISSPELT))
        except sa.exc.ProgrammingError as error:
            sqlstate("42P01", error.orig)
            savepoint.rollback()
        else:
            raise AssertionError("no error")
        same(connection.scalar(sa.text("SELECT 1")), 1)

    each(lambda engine: engine.run(error))
    return "rolled back to a savepoint"


for engine in engines.values():
    engine.close()
