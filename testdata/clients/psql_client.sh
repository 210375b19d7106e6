#!/usr/bin/env bash
# psql: backslash commands, variables, \gset, FETCH_COUNT, \copy, Ctrl-C, errors.
set -uo pipefail
psql=(psql -X -h 127.0.0.1 -p "$GENOKURA_PORT" -U owner -d genokura -v ON_ERROR_STOP=1)
fact() { sed -E "s/.*\"$1\": *([0-9]+).*/\1/" <<<"$GENOKURA_FACTS"; }
big="SELECT contig, pos, ref, alt, sample_id, gt, dosage FROM cohort.carriers"

check() { # name, detail, function: prints what it finds wrong
  local reason
  if reason=$("$3" 2>&1); then printf 'ok\t%s\t%s\n' "$1" "$2"; else printf 'fail\t%s\t%s\n' "$1" "${reason//$'\n'/ }"; fi
}
same() { [ "$1" = "$2" ] || { echo "found $1, expected $2"; return 1; }; }
has() { grep -qF -- "$2" <<<"$1" || { echo "no $2 in: $1"; return 1; }; }

connect() { same "$("${psql[@]}" -At -c 'SELECT current_database()')" genokura; }
tables() {
  local found
  found=$("${psql[@]}" -At -c '\dt cohort.*' | cut -d'|' -f2 | paste -sd,)
  same "$found" calls,carriers,headers,samples,variants && has "$("${psql[@]}" -c '\dn+')" cohort && has "$("${psql[@]}" -c '\l+')" genokura
}
reflect() {
  local found
  found=$("${psql[@]}" -c '\d+ cohort.variants') || return 1
  has "$found" 'double precision' && has "$found" 'text[]' && has "$("${psql[@]}" -c '\df gt_*')" gt_dosage &&
    has "$("${psql[@]}" -c '\du')" owner && "${psql[@]}" -c '\dT+' -c '\dx' -c '\di' -c '\dv' -c '\dp cohort.*' -c '\do' -c '\dC' -c '\dD' >/dev/null
}
types() {
  local expected='-32768|-2147483648|9223372036854775807|1.5|-0.1|12345.6789|t|é "x"|\x00ff|2024-02-29|2024-02-29 12:34:56.789|2024-02-29 12:34:56+00|{1,NULL,3}|{a,"b,\"c",NULL}|'
  same "$("${psql[@]}" -At -c "$types_sql")" "$expected"
}
parameters() {
  local region contig first last
  region=$(sed -E 's/.*"region": *\[([^]]*)\].*/\1/; s/[" ]//g' <<<"$GENOKURA_FACTS")
  IFS=, read -r contig first last <<<"$region"
  same "$("${psql[@]}" -At -v contig="$contig" -v first="$first" -v last="$last" <<'SQL'
SELECT count(*) AS n FROM cohort.variants WHERE contig = :'contig' AND pos BETWEEN :first AND :last \gset
\echo :n
SQL
  )" "$(fact region_rows)"
}
chunks() {
  same "$("${psql[@]}" -At -v FETCH_COUNT=5000 -c "$big" | awk -F'|' '{ rows++; sum += $2 } END { printf "%d %.0f", rows, sum }')" \
    "$(fact carriers) $(fact carriers_pos_sum)"
}
copy_out() {
  same "$("${psql[@]}" -c "\\copy ($big) TO STDOUT WITH (FORMAT csv, HEADER)" | awk -F, 'NR > 1 { rows++; sum += $2 } END { printf "%d %.0f", rows, sum }')" \
    "$(fact carriers) $(fact carriers_pos_sum)"
}
temporary() {
  same "$("${psql[@]}" -At <<'SQL'
CREATE TEMP TABLE mine (id int, name text);
\copy mine FROM PROGRAM 'printf "1,a\n2,\n"' CSV
COPY mine FROM STDIN;
3	c
\.
SELECT count(*), count(name) FROM mine;
SQL
  )" $'CREATE TABLE\nCOPY 2\nCOPY 1\n3|2'
}
cancel() {
  local started=$SECONDS found
  found=$(timeout --foreground -s INT 1 "${psql[@]}" -c 'SELECT count(*) FROM cohort.calls a JOIN cohort.calls b ON a.pos + b.pos < 0' 2>&1)
  has "$found" 'canceling statement due to user request' && [ $((SECONDS - started)) -lt 5 ]
}
error() {
  local found
  found=$("${psql[@]}" -c 'SELECT * FROM cohort.variant' 2>&1)
  has "$found" 'relation "cohort.variant" does not exist' && has "$found" '              ^' && has "$found" 'Perhaps you meant the relation "cohort.variants"'
}

types_sql=$1
printf 'version\t%s\n' "$(psql --version | sed -E 's/.* ([0-9]+)\..*/\1/')"
check connect "" connect
check tables '\dt, \dn+, \l+' tables
check reflect '\d+, \df, \du, \dT and others' reflect
check types "" types
check parameters '\gset' parameters
check chunks FETCH_COUNT chunks
check 'copy out' '\copy' copy_out
check temporary '\copy, COPY FROM STDIN' temporary
check cancel Ctrl-C cancel
check error "position, hint" error
