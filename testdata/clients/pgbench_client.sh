#!/usr/bin/env bash
# pgbench: its own scripts by simple, extended and prepared protocol, several clients at once.
set -uo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/region.sql" <<'SQL'
\set at random(1, 1000000)
SELECT count(*) FROM cohort.variants WHERE contig = 'chr17' AND pos BETWEEN 43000000 + :at AND 43100000 + :at;
SQL
printf 'version\t%s\n' "$(pgbench --version | sed -E 's/.* ([0-9]+)\..*/\1/')"
for mode in simple extended prepared; do
  if out=$(pgbench -h 127.0.0.1 -p "$GENOKURA_PORT" -U owner -n -M "$mode" -c 4 -t 10 -f "$dir/region.sql" genokura 2>&1) &&
    grep -q 'number of failed transactions: 0 ' <<<"$out" && grep -q 'actually processed: 40/40' <<<"$out"; then
    printf 'ok\t%s\t4 clients\n' "$mode"
  else
    printf 'fail\t%s\t%s\n' "$mode" "${out//$'\n'/ }"
  fi
done
