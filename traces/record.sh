#!/bin/sh
# SPDX-License-Identifier: MIT
# Records the traces that are shipped here, anew.
#
# usage: traces/record.sh [DIRECTORY]   (after make build/loam; default: traces)
#
# Needs the Debian packages lua5.4, sqlite3, python3, jq, redis-server,
# redis-tools, clang-14 and xz-utils. What a program allocates depends on its
# version and its libraries, so the traces come out alike, not equal.
set -eu
cd "$(dirname "$0")/.."
to=${1:-traces}
inputs=traces/inputs
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Sizes of paths and the environment go into allocations: keep them few.
clean="env -i PATH=/usr/bin:/bin HOME=/nonexistent LC_ALL=C.UTF-8"

# pack NAME: the trace of that name, packed, into the directory.
pack() {
	sed "1s|$scratch/||g;1s|$scratch|.|g" "$scratch/$1.trace" | xz -9e -c >"$to/$1.trace.xz"
	rm "$scratch/$1.trace"
}

# record NAME PROGRAM...: one trace, packed.
record() {
	name=$1
	shift
	$clean build/loam record -o "$scratch/$name.trace" -- "$@" >/dev/null
	pack "$name"
}

record lua lua5.4 "$inputs/inventory.lua"
record sqlite3 sqlite3 -bail :memory: ".read $inputs/orders.sql"
# Each object by malloc, not from the interpreter's own pools.
record python3 env PYTHONMALLOC=malloc PYTHONHASHSEED=0 /usr/bin/python3 -S -s -B "$inputs/words.py"
record jq jq -n -f "$inputs/readings.jq"
record clang clang-14 -O2 -c -o "$scratch/tree.o" "$inputs/tree.c"

# A server and its client: the server ends when the client tells it to.
$clean build/loam record -o "$scratch/redis.trace" -- redis-server --port 0 \
	--unixsocket "$scratch/socket" --save '' --dir "$scratch" \
	--daemonize no --logfile "$scratch/log" >/dev/null &
server=$!
tries=100
until [ -S "$scratch/socket" ]; do
	tries=$((tries - 1))
	[ "$tries" -gt 0 ] || { cat "$scratch/log" >&2; exit 1; }
	sleep 0.1
done
redis-cli -s "$scratch/socket" <"$inputs/session.redis" >/dev/null || true
wait "$server"
pack redis
