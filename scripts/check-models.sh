#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks the models of what runs without locks: every order of their steps.
#
# usage: scripts/check-models.sh [root]
#
# A model says in its head which BROKEN=n it knows: each of these must be found to
# be broken, or the check could not fail. SPIN=spin is the checker.
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/tap.sh"
cd "${1:-$scripts/..}" || exit 2

SPIN=${SPIN:-spin}
command -v "$SPIN" >/dev/null || {
	tap "the models are checked" "$SPIN is not installed (Debian: spin)"
	tap_end
}
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

# The checker is not optimised: that would take longer than it saves. (And of what
# Spin writes, gcc at -O2 makes a checker that finds errors where none are.)

# errors MODEL N: how many errors Spin finds in that variant, or what it says.
errors() {
	(
		cd "$scratch" || exit
		"$SPIN" -DBROKEN="$2" -a "$1" >out 2>&1 &&
			${GCC:-gcc} -w -DSAFETY -DCOLLAPSE -o pan pan.c >>out 2>&1 &&
			./pan -m100000 >>out 2>&1
		sed -n 's/.*errors: \([0-9]*\)$/\1/p; /search depth too small/p' out
	)
}

for model in models/*.pml; do
	[ -e "$model" ] || continue
	file=$(pwd)/$model
	found=$(errors "$file" 0)
	tap "$model: nothing goes wrong in any order" \
		"$([ "$found" = 0 ] || grep -iE '^pan|error|too small' "$scratch/out")"
	variants=$(sed -n 's/^ \* BROKEN=\([0-9]*\):.*/\1/p' "$model")
	tap "$model: says how it could be broken" \
		"$([ -n "$variants" ] || echo "no line begins with ' * BROKEN=1:'")"
	for n in $variants; do
		found=$(errors "$file" "$n")
		tap "$model: BROKEN=$n is found" \
			"$([ "${found:-0}" != 0 ] || echo "nothing is found")"
	done
done
tap_end
