"""One client of workload clients: reads the rows of a statement from a server that speaks PostgreSQL's protocol.

Clients:
  psycopg-copy    psycopg 3, COPY … (FORMAT binary), blocks thrown away
  psycopg-select  psycopg 3, all rows as Python tuples, values in binary
  adbc            ADBC, an Arrow table
  connectorx      connectorx, an Arrow table
  first-row       psycopg 3, row by row: the time until the first is there
  stream          psycopg 3, row by row, without end until killed: a client of which the server's memory is measured
Prints the seconds of each repetition, a line each; with `answer` instead of their number the number of rows and sums
of pos, end_pos and info_ac over them (of psycopg-copy: the number of bytes).

usage: client_peer.py URI CLIENT REPETITIONS|answer STATEMENT
"""

import sys
import time


def psycopg_of(uri):
    import psycopg

    return psycopg.connect(uri, autocommit=True)


def psycopg_copy(uri, sql):
    connection = psycopg_of(uri)

    def run():
        size = 0
        with connection.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT binary)") as blocks:
            for block in blocks:
                size += len(block)
        return size

    return run, lambda size: [size]


def psycopg_select(uri, sql):
    connection = psycopg_of(uri)

    def run():
        with connection.cursor(binary=True) as cursor:
            cursor.execute(sql)
            names = [column.name for column in cursor.description]
            return names, cursor.fetchall()

    def answer(found):
        names, rows = found
        places = [names.index(name) for name in ("pos", "end_pos", "info_ac")]
        return [len(rows), *(sum(row[place] for row in rows) for place in places)]

    return run, answer


def sums(table):
    import pyarrow.compute

    numbers = (pyarrow.compute.sum(table[name].cast("int64")).as_py() for name in ("pos", "end_pos", "info_ac"))
    return [table.num_rows, *numbers]


def adbc(uri, sql):
    import adbc_driver_postgresql.dbapi

    connection = adbc_driver_postgresql.dbapi.connect(uri)

    def run():
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    return run, sums


def connectorx(uri, sql):
    import connectorx

    return lambda: connectorx.read_sql(uri, sql, return_type="arrow", protocol="binary"), sums


def first_row(uri, sql):
    connection = psycopg_of(uri)

    def run():
        with connection.cursor(binary=True) as cursor:
            rows = cursor.stream(sql)
            started = time.perf_counter()
            row = next(rows)
            run.seconds = time.perf_counter() - started
            connection.cancel_safe()
            try:
                for _ in rows:
                    pass
            except Exception as error:  # the rest was canceled
                if getattr(error, "sqlstate", None) != "57014":
                    raise
            return row

    return run, lambda row: [1]


def stream(uri, sql):
    connection = psycopg_of(uri)
    while True:
        with connection.cursor(binary=True) as cursor:
            for number, _ in enumerate(cursor.stream(sql)):
                if number == 0:
                    print("streams", flush=True)


def main():
    uri, client, repetitions, sql = sys.argv[1:5]
    if client == "stream":
        stream(uri, sql)
    clients = {
        "psycopg-copy": psycopg_copy,
        "psycopg-select": psycopg_select,
        "adbc": adbc,
        "connectorx": connectorx,
        "first-row": first_row,
    }
    run, answer = clients[client](uri, sql)
    if repetitions == "answer":
        print(" ".join(str(number) for number in answer(run())))
        return
    for _ in range(int(repetitions)):
        started = time.perf_counter()
        run()
        print(getattr(run, "seconds", time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    main()
