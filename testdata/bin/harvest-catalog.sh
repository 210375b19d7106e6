#!/usr/bin/env bash
# Writes the tables of built-in types, operators, casts, functions and system relations that the catalog evaluator reads.
# usage: harvest-catalog.sh HOST PORT OUTPUT_DIRECTORY   (a running PostgreSQL 15; differences of release 16 are applied by the reader)
set -euo pipefail
host=$1 port=$2 out=$3
query() { psql -h "$host" -p "$port" -U postgres -X -At -F $'\t' -v ON_ERROR_STOP=1 -c "$1"; }

query "select t.oid::int8, n.nspname, typname, typlen, typbyval, typtype, typcategory, typispreferred, typdelim,
       typelem::int8, typarray::int8, typinput, typoutput, typreceive, typsend, typalign, typstorage, typbasetype::int8, typtypmod, typcollation::int8
  from pg_type t join pg_namespace n on n.oid = typnamespace
  where nspname in ('pg_catalog', 'information_schema') and typtype <> 'c'
    and not exists (select 1 from pg_type e where e.oid = t.typelem and e.typtype = 'c') order by t.oid" > "$out/types.tsv"
query "select c.oid::int8, n.nspname, relname, relkind from pg_class c join pg_namespace n on n.oid = relnamespace
  where relkind in ('r', 'v') and nspname in ('pg_catalog', 'information_schema') order by nspname, relname" > "$out/relations.tsv"
query "select n.nspname, c.relname, attname, t.typname, attnotnull from pg_attribute a join pg_class c on c.oid = attrelid
  join pg_namespace n on n.oid = relnamespace join pg_type t on t.oid = atttypid
  where attnum > 0 and relkind in ('r', 'v') and nspname in ('pg_catalog', 'information_schema')
  order by nspname, relname, attnum" > "$out/columns.tsv"
query "select oid::int8, castsource::int8, casttarget::int8, castcontext, castmethod from pg_cast order by oid" > "$out/casts.tsv"
query "select o.oid::int8, oprname, oprkind, oprleft::int8, oprright::int8, oprresult::int8, oprcode from pg_operator o
  where not exists (select 1 from pg_type t where t.oid in (oprleft, oprright, oprresult) and
    (typcategory in ('G', 'I') or typtype in ('r', 'm') or typname in ('money', 'bit', 'varbit', 'tsvector', 'tsquery', 'macaddr', 'macaddr8', 'pg_lsn', 'xid8', 'jsonpath',
     'anyrange', 'anymultirange', 'anyenum', 'pg_brin_bloom_summary')))
  order by o.oid" > "$out/operators.tsv"
query "select p.oid::int8, n.nspname, proname, prokind, prorettype::int8, proretset, provariadic::int8, pronargdefaults, provolatile, proisstrict,
       array_to_string(proargtypes::int8[], ' '), coalesce(array_to_string(proallargtypes::int8[], ' '), ''),
       coalesce(array_to_string(proargmodes, ''), ''), coalesce(array_to_string(proargnames, ' '), '')
  from pg_proc p join pg_namespace n on n.oid = pronamespace
  where proname in (select unnest(string_to_array('$(cat "$out/functions.txt" "$out/listed.txt" | tr '\n' ' ')', ' ')))
     or p.oid in (select typinput from pg_type union select typoutput from pg_type union select typreceive from pg_type union select typsend from pg_type)
  order by p.oid" > "$out/functions.tsv"
query "select c.oid::int8, string_agg(a.attname, ' ' order by k.place)
  from pg_constraint p join pg_class c on c.oid = p.conrelid join pg_namespace n on n.oid = c.relnamespace
  cross join lateral unnest(p.conkey) with ordinality k(number, place) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.number
  where p.contype = 'p' and n.nspname = 'pg_catalog' group by c.oid order by c.oid" > "$out/primary_keys.tsv"
query "select abbrev from pg_timezone_abbrevs where is_dst order by 1" > "$out/summer_times.txt"
# The settings whose names stand in described.tsv, and those of the planner and of what it runs with.
settings="$out/../../session/settings/described.tsv"
known=$(cut -f 1 "$settings" | sed "s/.*/'&'/" | paste -sd ,)
query "select lower(name), coalesce(unit, ''), category, short_desc, coalesce(extra_desc, ''), context, vartype, coalesce(min_val, ''), coalesce(max_val, ''),
       coalesce(array_to_string(enumvals, ','), ''), coalesce(boot_val, '')
  from pg_settings where lower(name) in ($known) or context = 'user' and (category like 'Query Tuning%' or category like 'Resource Usage%' or name like 'tcp\_%')
  order by lower(name) collate \"C\"" > "$settings.new"
mv "$settings.new" "$settings"
list() { cut -f 1 "$out/$1.tsv" | paste -sd ,; }
query "select classoid::int8, objoid::int8, description from pg_description where objsubid = 0 and objoid < 16384
    and (classoid = 'pg_proc'::regclass and objoid in ($(list functions)) or classoid = 'pg_type'::regclass and objoid in ($(list types))
      or classoid = 'pg_operator'::regclass and objoid in ($(list operators)) or classoid in ('pg_language'::regclass, 'pg_am'::regclass) and objoid < 10000
      or classoid = 'pg_collation'::regclass and objoid in (100, 950, 951))
  order by classoid, objoid" > "$out/descriptions.tsv"
