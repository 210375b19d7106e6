# Expressions whose value, column name and type must be PostgreSQL's.
SELECT 1, 1.5, 'x', true, null, 3000000000, -5, 1.0/3, 7/2, 7%3, 2*3.5, 10::numeric/4
;
SELECT 1::int2, 1::bigint, '5'::int4, '1.50'::numeric(10,1), 1::text, true::text, 'a'::"char", 'abc'::varchar(2), 'abc'::name, 'x'::char(3)
;
SELECT 'pg_class'::regclass, 'int4'::regtype, 'pg_catalog.int4'::regtype::oid, 1259::regclass, 25::regtype, 'pg_catalog'::regnamespace, 'pg_class'::regclass::oid::int8, 'text[]'::regtype
;
SELECT 'array_in'::regproc, 'pg_catalog.array_in'::regproc::oid, 0::regproc
;
SELECT null and false, null or true, not null, null = null, 1 is distinct from null, null is not distinct from null, (null = 1) is unknown
;
SELECT 1 in (1,2), 3 in (1,null), 3 not in (1,null), 'a' = any(array['a','b']), 'a' <> all('{b,c}'), 5 = any('{1,2}')
;
SELECT 2 between 1 and 3, 'abc' like 'a%', 'abc' ilike 'A_C', 'abc' ~ '^a', 'abc' ~* 'B', 'abc' !~ 'z', 'abc' OPERATOR(pg_catalog.~) '^(abc)$' COLLATE pg_catalog.default
;
SELECT case when 1 = 2 then 'a' else 'b' end, case 3 when 3 then 'three' end, coalesce(null, 1), nullif(1, 1), greatest(1, 3, 2), least(2, null, 1)
;
SELECT array[1,2,3], array['a','b c','NULL',null,''], array[[1,2],[3,4]], '{1,2,3}'::int[], array[1,2,3]::text[], (array[10,20,30])[2], (array[1,2,3,4])[2:3], '{}'::text[], '1 2 3'::int2vector, ('1 2 3'::int2vector)[0]
;
SELECT array_upper(array[1,2,3],1), array_lower('1 2'::int2vector,1), array_length('{}'::int[],1), cardinality(array[1,2]), array_position(array['a','b'],'b'), array_append(array[1],2), array_prepend(1,array[2]), array_cat(array[1],array[2]), array[1] || 2, array[1,2] || array[3], array_remove(array[1,2,1],1)
;
SELECT array_to_string(array['a',null,'b'],','), array_to_string(array[1,null,2],'-','*'), string_to_array('a,b,c',','), string_to_array('a,,c',',',''), unnest(array[1,2])
;
SELECT 'a' || 'b', 'a' || 1, 1 || 'a', 'a'::name || 'b', concat('a', null, 1), concat_ws('-', 'a', null, 'b'), upper('aB'), lower('aB'), length('abc'), char_length('äb'), octet_length('äb'), initcap('hello world')
;
SELECT replace('abcabc','b','X'), substring('abcdef' from 2 for 3), substring('abcdef', 3), substr('abcdef', 2, 2), substring('foobar' from 'o(.)b'), position('b' in 'abc'), strpos('abc','c'), split_part('a.b.c','.',2), left('abc',2), right('abc',-1), lpad('7',3,'0'), rpad('a',3), repeat('ab',2), reverse('abc'), translate('abc','ab','x')
;
SELECT trim('  a '), trim(leading 'x' from 'xxa'), btrim('xax','x'), rtrim('a  '), ltrim('  a'), regexp_replace('foobar','o+','0'), regexp_replace('aXbX','x','-','gi'), regexp_replace('abc','(b)','<\1>'), regexp_match('abc','(a)(b)'), overlay('abcdef' placing 'XX' from 2 for 3), ascii('a'), chr(65)
;
SELECT quote_ident('a'), quote_ident('A b'), quote_ident('select'), quote_literal('it''s'), quote_literal(null), quote_nullable(null), format('%s %I %L %% %2$s', 'x', 'A b', 'c'), format('%-5s|%5s|', 'a', 'b')
;
SELECT count(*), count(x), sum(x), min(x), max(x), avg(x), array_agg(x order by x desc), string_agg(x::text, ',' order by x), bool_and(x > 0), bool_or(x > 2), json_agg(x order by x), count(distinct x) FROM (VALUES (3),(1),(2),(null),(1)) v(x)
;
SELECT x % 2 AS odd, count(*) FILTER (WHERE x > 2), sum(x) FROM generate_series(1, 5) x GROUP BY 1 HAVING count(*) > 1 ORDER BY odd DESC
;
SELECT row_number() over (order by x desc), rank() over (order by x/2), lag(x) over (order by x), sum(x) over (order by x), count(*) over (partition by x % 2) , x FROM generate_series(1, 4) x ORDER BY x
;
SELECT DISTINCT x % 2 FROM generate_series(1, 6) x ORDER BY 1
;
SELECT DISTINCT ON (x % 2) x FROM generate_series(1, 6) x ORDER BY x % 2, x DESC
;
SELECT 1 UNION SELECT 2 UNION ALL SELECT 2 ORDER BY 1 DESC
;
(SELECT 1 AS a EXCEPT SELECT 2) INTERSECT SELECT 1
;
SELECT null UNION SELECT 1 ORDER BY 1 NULLS FIRST
;
VALUES (1,'a'),(2,null) ORDER BY 1 DESC LIMIT 1
;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT sum(n), count(*) FROM t
;
WITH a AS (SELECT 1 x), b AS (SELECT x + 1 y FROM a) SELECT * FROM a, b
;
SELECT a.x, b.x FROM (VALUES (1),(2),(3)) a(x) FULL JOIN (VALUES (2),(3),(4)) b(x) ON a.x = b.x ORDER BY 1, 2
;
SELECT a.x, b.y FROM (VALUES (1),(2)) a(x) LEFT JOIN LATERAL (SELECT a.x * 10 AS y WHERE a.x > 1) b ON true ORDER BY 1
;
SELECT * FROM (VALUES (1,'a'),(2,'b')) l(id, v) JOIN (VALUES (2,'x'),(3,'y')) r(id, w) USING (id)
;
SELECT l.id, r.id FROM (VALUES (1),(2)) l(id) RIGHT JOIN (VALUES (2),(3)) r(id) ON l.id = r.id ORDER BY 2
;
SELECT x, (SELECT max(y) FROM generate_series(1, x) y) FROM generate_series(1, 3) x
;
SELECT ARRAY(SELECT x FROM generate_series(1, 3) x ORDER BY x DESC), EXISTS (SELECT 1 WHERE false), (SELECT 1 WHERE false), 2 IN (SELECT 1 UNION SELECT 2), 2 > ALL (SELECT 1), array_to_string(ARRAY(SELECT 'a'), ',')
;
SELECT generate_series(1, 3), unnest(array['a','b'])
;
SELECT * FROM unnest(array['a','b']) WITH ORDINALITY AS t(v, n)
;
SELECT (information_schema._pg_expandarray(array['x','y'])).n
;
SELECT (r).x, (r).n FROM (SELECT information_schema._pg_expandarray(array[7,8]) r) s
;
SELECT generate_subscripts('1 2'::int2vector, 1), * FROM (VALUES (1)) v
;
SELECT row(1,'a'), row(1,2) = row(1,2), (1,2) = (1,3)
;
SELECT pg_size_pretty(123::bigint), pg_size_pretty(123456::bigint), pg_size_pretty(9999999999::bigint), pg_encoding_to_char(6), format_type(1043, 14), format_type(1700, 655366), format_type(23, null), format_type(1007, -1), format_type(99999, null), format_type(1184, 3)
;
SELECT '2020-01-02'::date, '2020-01-02 03:04:05.5'::timestamp, '2020-01-02 03:04:05+02'::timestamptz, date '2020-01-02' + 1, '1 day 02:00'::interval, interval '1 month', extract(year from date '2020-05-06'), date_trunc('month', timestamp '2020-05-06 01:02:03'), timestamp '2020-01-02' - timestamp '2020-01-01', to_timestamp(0)
;
SELECT json_build_object('a', 1, 'b', 'x', 'c', null, 'd', true), json_build_array(1,'a',null), row_to_json(t), to_json('x'::text), '{"a":{"b":[1,2]}}'::json -> 'a' -> 'b' ->> 1, '{"a":1}'::jsonb FROM (VALUES (1,'y')) t(p,q)
;
SELECT 1 AS a, 2 AS "B c", upper('x'), 'x'::text, coalesce(1,2), 1 + 1, array[1], (SELECT 1), x.y FROM (SELECT 1 AS y) x
;
SELECT current_setting('no.such', true), current_database() = current_catalog, pg_typeof(1), pg_typeof('a'::text), pg_typeof(array[1])
;
SELECT 1 / 0
;
SELECT 'abc'::int
;
SELECT nosuch
;
SELECT nosuch(1)
;
SELECT 1 + 'x'::text
;
SELECT * FROM nosuch
;
SELECT x.y FROM (SELECT 1 AS z) x
;
SELECT (SELECT generate_series(1,2))
;
SELECT 1::int2 + 1::int2, 32767::int2 + 1, 5::oid, 1 < 2.5, 'a' < 'b', 'b' > 'a'::name, 1.0 = 1, round(2.567, 2), round(2.5), abs(-3), ceil(1.2), floor(-1.2), trunc(1.9), mod(7,3), power(2,3), sqrt(4.0), 2^3, 5 & 3, 1 << 4
;
SELECT 1e20, 1.5::float8, 1e-5::float8, 100000000000000000000::numeric, 0.1::float4, 1234567.0::float4, 'NaN'::float8
;
SELECT EXTRACT(EPOCH FROM '2020-01-01'::timestamptz), extract(dow from date '2020-01-01')
;
SELECT oid, typname, typlen, typtype, typcategory, typelem, typarray, typinput, typoutput, typreceive, typsend FROM pg_type WHERE oid < 3000 AND typrelid = 0 AND typtype = 'b' AND typname !~ '^_?pg_' ORDER BY oid LIMIT 100
;
SELECT count(*) FROM pg_cast
;
SELECT castsource::regtype, casttarget::regtype FROM pg_cast ORDER BY castsource, casttarget LIMIT 20
;
SELECT x FROM generate_series(1,3) x WHERE x = ANY (ARRAY(WITH RECURSIVE r(n) AS (SELECT x UNION ALL SELECT n + 1 FROM r WHERE n < 2) SELECT n FROM r)) OFFSET 1 FETCH FIRST 1 ROW ONLY
;
SELECT sqrt(2.0), sqrt(100), 1.0/7, 22/7.0, 1000000::numeric/3, 0.001/3, round(1234.567, -2), 12.3 % 5
;
SELECT * FROM (VALUES (1), (2)) v(x) WHERE x NOT IN (SELECT y FROM (VALUES (2), (null)) w(y))
;
SELECT x, count(*) OVER (), sum(x) OVER (ORDER BY x DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM generate_series(1,3) x ORDER BY 1
;
SELECT n, m FROM generate_series(1,3) n CROSS JOIN LATERAL generate_series(1, n) m WHERE m > 1 ORDER BY 1, 2
;
SELECT string_agg(DISTINCT x, '' ORDER BY x) FROM unnest('{b,a,b}'::text[]) x
;
SELECT typname::text || '!' AS t, typlen + 1, oid::int8 + 1 FROM pg_type WHERE typname IN ('bool', 'int4') ORDER BY 1
;
SELECT t.typname, e.typname FROM pg_type t LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' WHERE t.typname IN ('_int4', 'text') ORDER BY 1
;
SELECT 'a' SIMILAR TO '(a|b)%', 'x_y' LIKE 'x\_y', 'x%y' LIKE 'x#%y' ESCAPE '#', 'abc' ~ '[[:alpha:]]+', 'a{b' ~ 'a{b', 'foo bar' ~ '\mbar\M'
;
SELECT min(relname), max(relname) FROM pg_class WHERE relname IN ('pg_class', 'pg_type', 'pg_proc') GROUP BY relkind
;
SELECT array_agg(x) || array[9] FROM generate_series(1,2) x
;
SELECT ('{1,2,3}'::int[])[2:], ('{1,2,3}'::int[])[:2], (array[[1,2],[3,4]])[2][1], '[0:1]={5,6}'::int[], ('[0:1]={5,6}'::int[])[0]
;
SELECT CASE WHEN x > 1 THEN x END, x::text FROM (VALUES (1),(2)) v(x) UNION ALL SELECT 7, 'z' ORDER BY 1 NULLS FIRST
;
SELECT count(*) FROM pg_cast a JOIN pg_cast b ON b.castsource = a.casttarget AND b.casttarget = a.castsource
;
SELECT count(*), count(b.castsource) FROM pg_cast a LEFT JOIN pg_cast b ON b.castsource = a.casttarget AND b.casttarget = a.castsource AND b.castcontext = 'i'
;
SELECT count(*) FROM pg_cast a, pg_type s, pg_type t WHERE a.castsource = s.oid AND t.oid = a.casttarget AND s.typcategory = t.typcategory AND s.typlen = t.typlen AND s.oid < 3000 AND t.oid < 3000
;
SELECT count(*) FROM pg_cast a RIGHT JOIN pg_cast b ON b.castsource = a.casttarget AND b.casttarget = a.castsource WHERE a.castsource IS NULL
;
SELECT count(*) FROM (SELECT castsource s, casttarget t FROM pg_cast) a FULL JOIN (SELECT castsource s, casttarget t FROM pg_cast) b ON a.s = b.t AND a.t = b.s
;
SELECT count(*) FROM pg_cast a JOIN LATERAL (SELECT * FROM pg_cast c WHERE c.castsource = a.casttarget) b ON b.casttarget = a.castsource
