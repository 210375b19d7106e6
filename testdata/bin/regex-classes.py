#!/usr/bin/env python3
"""Writes the classes of characters that PostgreSQL's regular expressions know, as ranges.

Asks a PostgreSQL of C.UTF-8 at 127.0.0.1:5499 (testdata/bin/start-postgres.sh). A line has the name of a class and its
ranges: how far each begins behind the one before it, and how many characters it has if there are more than one.

    testdata/bin/regex-classes.py > engine/regex/src/classes.txt
"""

import psycopg

NAMES = ["alpha", "lower", "punct", "space", "upper"]
QUERY = """
SELECT i FROM generate_series(1, 1114111) i
WHERE NOT i BETWEEN 55296 AND 57343 AND chr(i) ~ ('[[:' || %s || ':]]') ORDER BY i
"""


def ranges(codes):
    """Neighbours as one range."""
    made = []
    for code in codes:
        if made and made[-1][1] == code - 1:
            made[-1][1] = code
        else:
            made.append([code, code])
    return made


def main():
    with psycopg.connect("host=127.0.0.1 port=5499 user=postgres dbname=postgres") as server:
        for name in NAMES:
            last, words = 0, []
            for low, high in ranges(row[0] for row in server.execute(QUERY, (name,))):
                words.append(f"{low - last}" + (f"+{high - low}" if high > low else ""))
                last = high
            print(name, *words)


main()
