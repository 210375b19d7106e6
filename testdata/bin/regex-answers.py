#!/usr/bin/env python3
"""Asks PostgreSQL what regular expressions match, for the tests of engine/regex.

A line has a pattern, flags and a text, and then what a PostgreSQL 15 of C.UTF-8 at 127.0.0.1:5499
(testdata/bin/start-postgres.sh) says: either an error behind `!`, or all matches with their groups, a replacement, the
parts between matches, a count and a place. Fields are apart by tabs.

    testdata/bin/regex-answers.py SEED COUNT > testdata/golden/regex.tsv
"""

import random
import sys

import psycopg

PATTERNS = """
foo|foobar	foobar
(a|ab)(c|bcd)	abcd
(a|ab)(c|bcd)(d*)	abcd
Y*([0-9]{1,3})	XY1234Z
Y*?([0-9]{1,3})	XY1234Z
(.*)(\\d+)(.*)	abc01234xyz
(.*?)(\\d+)(.*)	abc01234xyz
(?:(.*?)(\\d+)(.*)){1,1}	abc01234xyz
(a)(b)?	a ab
(a)|(b)	ab
[[:alpha:]]+	aé1ß
\\w+	aé_1 x̄y‍z
[[:<:]]a	ab ba a
b[[:>:]]	ab ba b
[[.a.]]+	aab
[[=a=]]+	aab
[[.hyphen.]x]+	a-xb
[[.nosuch.]]	a
[[:nosuch:]]	a
[[:alpha:][:digit:]]+	a1é!
a|	abc
x*	abc
b*	abc
^	abc
$	abc
^|$	abc
\\y	ab cd
\\Y	ab cd
\\m	ab cd
\\M	ab cd
\\mc\\w*\\M	ab cd
(?=b)	abb
a(?=b)	aab
a(?!b)	aab
(?<=a)b	abb
(?<!a)b	abb
(?<=a*)b	aab
(?<=(a)(b))c	abc
(?=(a))a	aab
(a)\\1	aab
(a*)\\1	aaaaa
(a*)(\\1)	aaaaa
(.)\\1	abccd
(..)\\1*x	ababx abx
(\\w+) \\1	the the cat
(a|b)\\1\\1	aabbba
(?:(a)|b)\\1	bab aa
(a)(?:\\1)*	aaaa
((a)|b)*\\2	abaa
(a?)*\\1	aab
()\\1	ab
(a*)*	aab
(a*)+	aab
(a|b)*	abab
(a|b)+?c	abac
(a|ab)*?(c|b)	ababc
(?:a|b)*?c	abac
a{2}	aaaaa
a{2,}	aaaaa
a{2,3}	aaaaa
a{2,3}?	aaaaa
a{0}b	ab
(a){0}b	ab
(a){0}\\1	a
(a){2}	aaaa
(a){1,2}?b	aab
(a+?){2}	aaaa
(a{1,1}?b*)c	abbc
a{,2}	a{,2}
a{1	a
a{1,	a
a{2,1}	a
a{256}	a
a{1a}	a
{1}	a
*	a
+a	a
?	a
a**	a
a+*	a
a??	aa
a*?	aa
a+?	aa
^*	a
(	a
)	a
(a	a
a)	a
[	a
[a	a
[]a]+	]a
[^]a]+	]ab
[a-]+	a-b
[-a]+	a-b
[a-c-e]	a
[c-a]	a
[a\\]b]+	a]b
[\\w]+	aé b
[^\\w]+	aé b
[\\W]+	aé b
[\\d\\s]+	1 2a
[\\m]	a
[[a]	[
[a[]+	a[
\\	a
a\\	a
\\q	a
\\x41	A
\\x	A
\\u00e9	é
\\u00	é
\\U000000e9	é
\\101	A
\\0	a
\\1	a
(a)\\2	aa
(a\\1)	aa
\\e\\a\\cA	x
\\B	\\
\\n	a\\nb
\\s+	a \\t\\nb
\\S+	a \\t\\nb
\\D+	a1b
\\d+	a12b٣
\\A\\w+	ab cd
\\w+\\Z	ab cd
***=a.b	a.b axb
***:a.b	a.b axb
***?a	a
***a	a
***	a
(?i)aB	AbaB
(?iq)A.	a.
(?x)a b # c	ab
(?z)a	a
(?i	a
(?<n>a)	a
(?P<n>a)	a
(?#comment)a	a
a(?#comment)*	aa
\\pL	a
(?n)^a.b$	a\\nb
(?i)[[:upper:]]+	abC
(?i)[a-c]+	aBCd
(?i)[^a-c]+	aBCd
(?i)é+	Éé
(?i)(a)\\1	aA
(?i)ſ	sSſ
(?i)İ	iIİ
(?i)ǅ	ǄǅǆX
[[:space:]]+	a \u2003\u00a0b
[[:punct:]]+	a!é¿$
[[:print:]]+	a\\tb
[[:cntrl:]]+	a\\tb
[[:xdigit:]]+	fg0AF
[[:blank:]]+	a \\tb
[[:graph:]]+	a b
[[:word:]]+	a_b c
[[:ascii:]]+	aéb
[[:alnum:]]+	aé1!
(a(b(c)?)?)?d	abd ad abcd d
((a)(b)?)+	abaab
((a)|(b))+	ab
(a|(b))+	ab ba
(^|,)([^,]*)	a,b,,c
([^,]*)(,|$)	a,b,,c
(\\w+)@(\\w+)\\.com	x@y.com z@w.com
^(.+)\\.(.+)$	a.b.c
^(.+?)\\.(.+)$	a.b.c
^(.+?)\\.(.+?)$	a.b.c
(a+)(a+)	aaaa
(a+?)(a+)	aaaa
(a+)(a+?)	aaaa
(a+?)(a+?)	aaaa
(a+?)(a+?)$	aaaa
a+?b*	aabbb
(?:a+?)(?:b*)	aabbb
(a+?)(b*)	aabbb
(a+?|b*)	aabbb
(?:a+?|b)c*	aabccc
(?:xyz|xy)(z?)(a*?)	xyzaa
(a*?)(b*)(c*?)	aabbcc
(?:a*?b)*	aabab
(?:(a*?)b)*	aabab
((a*?)b){2}	aabab
((a*?)b){1,2}?	aabab
(week|wee)(night|knights)	weeknights
(wee|week)(knights|night)	weeknights
(ab|a)(bcd|c)(d|)	abcd
(Ab|cD)*	aBcD
c\\.([0-9]+)([ACGT])>([ACGT])	NM_1.2:c.35A>G
[!-/]+<>"'@`%;	ab-./<>"'@`%;
[&&~~--#]+	a&~-#b
a&b~c-d#e f/g=h,i:j	a&b~c-d#e f/g=h,i:j
[^<>]*<([^<>]+)>	a<b>c<d>
\\<\\>\\{\\}	<>{}
é+|[à-ü]{2}	éàü
[\\U0001F600-\\U0001F610]	x\U0001F605y
[\\ud7ff-\\ue000]	a\ud7ffb
[^\\u0001-\\uffff]	ab\U0001F605
""".strip("\n").split("\n")
FLAGGED = [
    ("(Ab|cD)*", "i", "aBcD"), ("^.", "n", "a\nb"), (".$", "n", "a\nb"), (".+", "n", "a\nb"),
    (".+", "p", "a\nb"), ("^b", "p", "a\nb"), ("^b", "w", "a\nb"), (".+", "w", "a\nb"),
    (".+", "s", "a\nb"), ("[^a]+", "n", "a\nb"), ("[^a]+", "s", "a\nb"), ("\\W+", "n", "a\nb"),
    ("\\D+", "n", "a\nb"), ("\\s+", "n", "a\nb"), ("a b#c\n d", "x", "abd"), ("a b", "t", "a b"),
    ("a.b", "q", "a.b axb"), ("a.b", "qi", "A.B axb"), ("a", "qx", "a"), ("a", "qn", "a"),
    ("a+", "b", "a+aa"), ("a\\{2\\}", "b", "aaa"), ("\\(a\\)\\1", "b", "aab"), ("*a", "b", "*a"),
    ("^*a", "b", "*a"), ("a^b$c", "b", "a^b$c"), ("\\(^a$\\)", "b", "a"), ("\\<a\\>", "b", "a ab"),
    ("a|b", "b", "a|b"), ("a\\", "b", "a"), ("\\(a", "b", "a"), ("a\\{1", "b", "a"),
    ("a\\d", "e", "ad a1"), ("a*?", "e", "aa"), ("a)", "e", "a)"), ("(?:a)", "e", "a"),
    ("\\(a\\)", "e", "(a)"), ("[\\d]+", "e", "\\d1"), ("a", "z", "a"), ("a", "ic", "aA"),
    ("a", "ci", "aA"), ("\\Aa", "n", "a\na"), ("a\\Z", "n", "a\na"), ("$", "n", "a\nb\n"),
    ("^", "n", "a\nb\n"), ("^$", "n", "a\n\nb"), ("(?s)^b", "n", "a\nb"), ("a{ 2 }", "x", "aa"),
    ("a {2}", "x", "aa"), ("\\ a", "x", " a"), ("[ a]", "x", " "), ("a(?#x)b", "x", "ab"),
]
ATOMS = ["a", "<", "[<-b]", "b", "c", "é", ".", "[ab]", "[^a]", "\\w", "^", "$", "\\y", "\\m", "\\M"]
QUANTIFIERS = ["", "", "", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}", "{1}"]


def pattern(chance, depth, groups):
    """A random pattern of few letters. `groups` has the number of groups so far."""
    branches = []
    for _ in range(chance.choice([1, 1, 1, 2, 2, 3])):
        parts = []
        for _ in range(chance.choice([0, 1, 1, 2, 2, 3])):
            pick = chance.random()
            if depth > 0 and pick < 0.35:
                opening = chance.choice(["(", "(", "(", "(?:"])
                groups[0] += opening == "("
                atom = opening + pattern(chance, depth - 1, groups) + ")"
            elif depth > 0 and pick < 0.40:
                atom = chance.choice(["(?=", "(?!", "(?<=", "(?<!"]) + pattern(chance, 0, [0]) + ")"
                parts.append(atom)
                continue
            elif groups[0] and pick < 0.48:
                atom = "\\" + str(chance.randint(1, groups[0]))
            else:
                atom = chance.choice(ATOMS)
            conditions = ("^", "$", "\\y", "\\m", "\\M")
            parts.append(atom if atom in conditions else atom + chance.choice(QUANTIFIERS))
        branches.append("".join(parts))
    return "|".join(branches)


def cases(seed, count):
    """Those that are written above, and random ones."""
    for line in PATTERNS:
        written, text = line.split("\t", 1)
        yield written, "", text.replace("\\n", "\n").replace("\\t", "\t")
    yield from FLAGGED
    chance = random.Random(seed)
    for _ in range(count):
        written = pattern(chance, 2, [0])
        text = "".join(chance.choice("aaabbbcé<> \n" if chance.random() < 0.1 else "aaabbbcé") for _ in range(chance.randint(0, 8)))
        yield written, chance.choice(["", "", "", "", "i", "n"]), text


def shown(value):
    """A value without tabs and new lines."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return "[" + " ".join(shown(item) for item in value) + "]"
    if isinstance(value, str):
        for plain, written in ("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), (" ", "\\s"), ("-", "\\m"), ("]", "\\b"):
            value = value.replace(plain, written)
        return "'" + value
    return str(value)


QUERY = """
SELECT (SELECT array_agg(array_to_json(m)::text ORDER BY n) FROM regexp_matches(%(t)s, %(p)s, %(f)s || 'g') WITH ORDINALITY x(m, n)),
  regexp_replace(%(t)s, %(p)s, '<\\1\\&>', %(f)s || 'g'), regexp_replace(%(t)s, %(p)s, '<\\2\\1>', 2, 1, %(f)s),
  regexp_split_to_array(%(t)s, %(p)s, %(f)s), regexp_count(%(t)s, %(p)s, 2, %(f)s),
  regexp_instr(%(t)s, %(p)s, 1, 2, 1, %(f)s, 0), regexp_substr(%(t)s, %(p)s, 1, 1, %(f)s, 1), regexp_like(%(t)s, %(p)s, %(f)s)
"""


def main():
    import json
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    with psycopg.connect("host=127.0.0.1 port=5499 user=postgres dbname=postgres", autocommit=True) as server:
        server.execute("SET statement_timeout = '3s'")
        for written, flags, text in cases(seed, count):
            given = [shown(written), shown(flags), shown(text)]
            try:
                row = list(server.execute(QUERY, {"t": text, "p": written, "f": flags}).fetchone())
            except psycopg.errors.QueryCanceled:
                continue
            except psycopg.Error as error:
                print(*given, "!" + error.diag.sqlstate + " " + error.diag.message_primary, sep="\t")
                continue
            row[0] = [json.loads(groups) for groups in row[0] or []]
            print(*given, *[shown(value) for value in row], sep="\t")


main()
