#!/usr/bin/env bash
# Starts a throwaway PostgreSQL 15 cluster for the oracle tests and prints: host port pid directory
# Stop it with: kill PID; rm -rf DIRECTORY
set -euo pipefail

bin=/usr/lib/postgresql/15/bin
if [ ! -x "$bin/initdb" ]; then
  { apt-get update && apt-get install -y --no-install-recommends postgresql-15 postgresql-client-15; } >&2
fi

dir=$(mktemp -d /tmp/genokura-postgres.XXXXXX)
run=()
if [ "$(id -u)" = 0 ]; then
  # PostgreSQL refuses to run as root.
  owner=postgres
  id "$owner" >/dev/null 2>&1 || owner=nobody
  chown "$owner" "$dir"
  run=(setpriv --reuid="$owner" --regid="$(id -g "$owner")" --clear-groups env HOME="$dir")
fi

"${run[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1 || {
  cat "$dir/initdb.log" >&2
  exit 1
}
for _ in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 20000))
  if "${run[@]}" "$bin/pg_ctl" -D "$dir/data" -w -t 60 -s -l "$dir/server.log" \
    -o "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c timezone=UTC" start >&2; then
    echo "127.0.0.1 $port $(head -n 1 "$dir/data/postmaster.pid") $dir"
    exit 0
  fi
done
cat "$dir/server.log" >&2
exit 1
