#!/usr/bin/env bash
# Makes the clients of the matrix (engine/server/tests/clients.rs) ready and prints two lines: the Python interpreter
# that has the drivers, and the folder with the Node packages.
#
# Debian packages that are missing are installed; Python and Node packages go below the build cache, apart from the
# tools of the other tests, because DuckDB's scanner wants an older DuckDB. The first caller builds, others wait.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home="${CARGO_TARGET_DIR:-$here/../../target}/clients"
mkdir -p "$home"
home=$(cd "$home" && pwd)

exec 9>"$home/.lock"
flock 9

missing=()
need() { [ -e "$2" ] || missing+=("$1"); }
need postgresql-client-15 /usr/bin/psql
need postgresql-15 /usr/lib/postgresql/15/bin/pgbench
need libpostgresql-jdbc-java /usr/share/java/postgresql.jar
need unixodbc /usr/bin/isql
need odbc-postgresql "$(compgen -G '/usr/lib/*/odbc/psqlodbcw.so' || echo /none)"
need r-cran-rpostgresql /usr/lib/R/site-library/RPostgreSQL/DESCRIPTION
command -v java >/dev/null && command -v javac >/dev/null || missing+=(default-jdk-headless)
command -v node >/dev/null && command -v npm >/dev/null || missing+=(nodejs npm)
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
fi

if ! cmp -s "$here/client-tools.txt" "$home/.python"; then
    rm -rf "$home/venv"
    python3 -m venv "$home/venv" >&2
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/client-tools.txt" >&2
    cp "$here/client-tools.txt" "$home/.python"
fi
if ! cmp -s "$here/client-tools.npm" "$home/.node"; then
    rm -rf "$home/node"
    mkdir -p "$home/node"
    # A package.json of its own: npm would else look for one in the folders above.
    echo '{ "private": true }' >"$home/node/package.json"
    xargs npm install --prefix "$home/node" --silent --no-audit --no-fund <"$here/client-tools.npm" >&2
    cp "$here/client-tools.npm" "$home/.node"
fi
echo "$home/venv/bin/python"
echo "$home/node/node_modules"
