"""What the Python clients of the matrix share: where the server is, what is true of the demo lake, how to report.

Each check prints one line, `ok NAME DETAIL` or `fail NAME REASON`, separated by tabs; `version` names the client.
The facts were read from the same server with psql's protocol by the test that starts these scripts.
"""

import json
import os
import threading
import time
import traceback

HOST = "127.0.0.1"
PORT = int(os.environ["GENOKURA_PORT"])
USER = "owner"
DATABASE = "genokura"
URL = f"postgresql://{USER}@{HOST}:{PORT}/{DATABASE}"
# tables: of schema cohort; variants, pos_sum, carriers, carriers_pos_sum: counts and sums;
# region: [contig, first, last] and region_rows.
FACTS = json.loads(os.environ["GENOKURA_FACTS"])
CONTIG, FIRST, LAST = FACTS["region"]
REGION = "SELECT count(*) FROM cohort.variants WHERE contig = {} AND pos BETWEEN {} AND {}"
BIG = "SELECT contig, pos, ref, alt, sample_id, gt, dosage FROM cohort.carriers"
# Runs for minutes and gives nothing before its end.
SLOW = "SELECT count(*) FROM cohort.calls a JOIN cohort.calls b ON a.pos + b.pos < 0"
MISSPELT = "SELECT * FROM cohort.variant"
# One row of every type; VALUES has what a client must read, as Python values.
TYPES = (
    "SELECT (-32768)::int2 AS i2, (-2147483648)::int4 AS i4, 9223372036854775807::int8 AS i8, "
    "1.5::float4 AS f4, (-0.1)::float8 AS f8, 12345.6789::numeric(12,4) AS n, true AS b, "
    "'é \"x\"' AS t, '\\x00ff'::bytea AS y, '2024-02-29'::date AS d, "
    "'2024-02-29 12:34:56.789'::timestamp AS ts, '2024-02-29 12:34:56+00'::timestamptz AS tz, "
    "ARRAY[1, NULL, 3]::int4[] AS ia, ARRAY['a', 'b,\"c', NULL]::text[] AS ta, NULL::text AS nul"
)


def values():
    """The row of TYPES."""
    import datetime as dt
    import decimal

    utc = dt.timezone.utc
    return {
        "i2": -32768,
        "i4": -2147483648,
        "i8": 9223372036854775807,
        "f4": 1.5,
        "f8": -0.1,
        "n": decimal.Decimal("12345.6789"),
        "b": True,
        "t": 'é "x"',
        "y": b"\x00\xff",
        "d": dt.date(2024, 2, 29),
        "ts": dt.datetime(2024, 2, 29, 12, 34, 56, 789000),
        "tz": dt.datetime(2024, 2, 29, 12, 34, 56, tzinfo=utc),
        "ia": [1, None, 3],
        "ta": ["a", 'b,"c', None],
        "nul": None,
    }


def version(text):
    print(f"version\t{text}", flush=True)


def check(name):
    """Runs the decorated function at once and reports how it went; what it returns is the detail."""

    def run(function):
        try:
            detail = function()
        except BaseException as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            reason = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"
            print("fail", name, " ".join(reason.split()), sep="\t", flush=True)
        else:
            print("ok", name, detail or "", sep="\t", flush=True)
        return function

    return run


def same(found, expected):
    """Fails unless both are equal."""
    if found != expected:
        raise AssertionError(f"found {found!r}, expected {expected!r}")


def same_values(found, without=()):
    """Compares a row of TYPES, as a mapping, with VALUES."""
    for name, expected in values().items():
        if name in without:
            continue
        value = found[name]
        if isinstance(value, memoryview):
            value = bytes(value)
        if value != expected or type(value) is not type(expected):
            raise AssertionError(f"{name}: found {value!r}, expected {expected!r}")


def same_big(rows):
    """Compares (number of rows, sum of positions) with the facts."""
    same(rows, (FACTS["carriers"], FACTS["carriers_pos_sum"]))


def sqlstate(code, error):
    """Fails unless a driver's error carries this SQLSTATE."""
    found = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    same(found, code)


def cancelled(run, cancel, is_cancel):
    """Runs `run`, calls `cancel` a little later; `run` must then fail, within seconds, as cancelled."""
    timer = threading.Timer(0.4, cancel)
    timer.start()
    started = time.monotonic()
    try:
        run()
    except BaseException as error:
        elapsed = time.monotonic() - started
        if not is_cancel(error):
            raise
    else:
        raise AssertionError("the statement was not cancelled")
    finally:
        timer.join()
    if elapsed > 4:
        raise AssertionError(f"cancelled only after {elapsed:.1f} s")
