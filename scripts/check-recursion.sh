#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks that no function of the library can call itself, by whatever way.
#
# usage: scripts/check-recursion.sh [root]
#
# gcc writes the call graph of every source (-fcallgraph-info).  A call through
# a pointer may reach any function whose address is taken somewhere in the
# library, which the relocations tell; scripts/indirect-calls narrows that where
# it is known better.  What remains when functions without callees are taken
# away, again and again, is a cycle.
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/tap.sh"
cd "${1:-$scripts/..}" || exit 2
compiler=${GCC:-gcc}
# What ccache kept comes without the call graphs.
export CCACHE_DISABLE=1
claims=scripts/indirect-calls
[ -e "$claims" ] || claims=/dev/null

scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

sed -n 's/^[A-Za-z_]/claim &/p' "$claims" >"$scratch/graph"
broken=$(for source in src/*/*.c; do
	object="$scratch/$(printf '%s' "${source%.c}" | tr / -).o"
	# Without optimisation each function has its node and each call its
	# edge; without position independence a taken address is R_386_32,
	# while a call is R_386_PC32.
	$compiler -std=c17 -m32 -ffreestanding -fno-pie -O0 -Iinclude \
		-ffunction-sections -fcallgraph-info -c "$source" \
		-o "$object" 2>&1 || continue
	sed -n "s#^\(node\|edge\): #\1 $source #p" "${object%.o}.ci" \
		>>"$scratch/graph"
	objdump -rw "$object" | awk -v source="$source" '
		$2 == "R_386_32" { print "address", source, $3 }
	' >>"$scratch/graph"
done)
tap "the call graph of every source is to be had" "$broken"

awk -f "$scripts/check-recursion.awk" "$scratch/graph" | sort \
	>"$scratch/result"
finding() {
	sed -n "s/^$1 //p" "$scratch/result"
}

finding note | sed 's/^/# /'
tap "no function reaches itself, directly or through pointers" \
	"$(finding cycle)"
tap "claims about calls through pointers are about functions that exist" \
	"$(finding claim)"
tap_end
