#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check-models.sh finds a model that goes wrong, and one that cannot.
. "$(dirname "$0")/lib.sh"
check=$top/scripts/check-models.sh

# model WRONG BROKEN: a counter of two processes, without an atomic step if WRONG,
# or in a variant without one.
model() {
	sed "s/WRONG/$1/; s/VARIANT/$2/" <<'PROMELA' | put models/count.pml
	/*
	 * VARIANT
	 */
	byte count, done;

	active [2] proctype adds() {
		byte seen;

		if
		:: WRONG -> seen = count; count = seen + 1
		:: else -> atomic { seen = count; count = seen + 1 }
		fi;
		done++
	}

	init { done == 2; assert(count == 2) }
PROMELA
}

model "BROKEN == 1" "BROKEN=1: reading and writing are two steps."
passes "a model that is right, and wrong where it says so" "$check" "$tree"

model "BROKEN >= 0" "BROKEN=1: reading and writing are two steps."
rejects "a model that goes wrong in some order" "assertion violated" \
	"$check" "$tree"

model "BROKEN == 2" "BROKEN=1: nothing of the kind."
rejects "a broken variant in which nothing goes wrong" "nothing is found" \
	"$check" "$tree"

model "BROKEN == 1" "It has no broken variant."
rejects "a model that could not fail" "no line begins with" "$check" "$tree"

put models/count.pml <<'PROMELA'
	/*
	 * BROKEN=1: anything.
	 */
	active proctype counts( {
PROMELA
rejects "a model that Spin cannot read" "syntax error" "$check" "$tree"

rejects "a machine without Spin" "is not installed" \
	env SPIN=no-spin-here "$check" "$tree"

rm -r "$tree/models"
mkdir "$tree/models"
output=$("$check" "$tree" 2>&1) && bad="accepted: $output" || bad=
tap "no model at all" "$bad"
tap_end
