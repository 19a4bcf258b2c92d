#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks that each file of the library includes headers of lower floors only.
#
# usage: scripts/check-floors.sh [root]
#
# A file in src/FLOOR/ may include public headers of its own floor and of those
# below, private headers of its own directory, and the compiler's freestanding
# ones.  Public headers obey the same rule and see no private ones.  Calls are
# checked too, by check-symbols.sh.
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/tap.sh"
cd "${1:-$scripts/..}" || exit 2

# Every line `RULE TEXT` is one violation.
violations=$({
	find src -mindepth 1 -maxdepth 1 -type d | sort | sed 's/$/:0:directory/'
	find include/loam -name '*.h' | sort | sed 's/$/:0:header/'
	find src include/loam -name '*.[ch]' | sort |
		xargs grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null
} | awk -f "$scripts/floors.awk" -f "$scripts/check-floors.awk")

rule() {
	tap "$2" "$(printf '%s\n' "$violations" | sed -n "s/^$1 //p")"
}

rule place "every directory of src/ and public header belongs to a floor"
rule order "only public headers of the same or lower floors are included"
rule private "private headers are seen by their own floor alone"
rule system "nothing else is included but freestanding headers"
tap_end
