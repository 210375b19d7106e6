#!/usr/bin/env bash
# Makes the Python environment that the tests use (a real S3 server, independent readers of our
# tables, PostgreSQL drivers, the cohort simulator) and prints the path of its interpreter.
#
# Safe to call from many tests at once: the first one builds, the others wait. An environment with
# the same list of packages is taken as it is. GENOKURA_PYTHON, when set, is printed and nothing is made.
set -euo pipefail

if [ -n "${GENOKURA_PYTHON:-}" ]; then
    echo "$GENOKURA_PYTHON"
    exit 0
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packages="$here/python-tools.txt"
home="${CARGO_TARGET_DIR:-$here/../../target}/python"
mkdir -p "$home"
home=$(cd "$home" && pwd)

exec 9>"$home/.lock"
flock 9
if ! cmp -s "$packages" "$home/.packages"; then
    rm -rf "$home/venv"
    python3 -m venv "$home/venv" >&2
    "$home/venv/bin/pip" install --quiet --disable-pip-version-check -r "$packages" >&2
    cp "$packages" "$home/.packages"
fi
echo "$home/venv/bin/python"
