#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tests that loam record writes exactly what a program of ours allocates.
# usage: tests/tools/test_record.sh LOAM (TAP on standard output)
set -u
loam=${1:?usage: test_record.sh path of the loam tool}
cd "$(dirname "$0")/../.." || exit 2
. scripts/tap.sh
probe=build/record-probe
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT

# record ARGUMENTS: records; leaves status, $tmp/trace and $tmp/err.
record()
{
	"$loam" record -o "$tmp/trace" -- "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
}

# expect CONDITION WORDS...: nothing if the test's words are true, or the words.
expect()
{
	[ "$@" ] || echo "not so: $* ($(tail -n 3 "$tmp/err"))"
}

# lines PATTERN: how many lines of the trace match.
lines()
{
	grep -cE "$1" "$tmp/trace"
}

record "$probe"
tap "the program runs as it would alone" "$(expect "$status" -eq 0)"

# The blocks of the threads, by their sizes: each once, resized where that is
# known, and freed, whichever thread did it.
tap "every block of four threads is there once, in order, and freed" "$(awk '
	$1 == "a" { size[$2] = $3; seen[$3]++; resized[$2] = 0 }
	$1 == "r" { resized[$2] = $3 }
	$1 == "f" {
		s = size[$2]
		if (seen[s] != "" && s >= 131072 && s % 64 == 0) {
			freed[s]++
			last[s] = resized[$2]
		}
		delete size[$2]
	}
	END {
		for (t = 1; t <= 4; t++) {
			for (i = 0; i < 500; i++) {
				s = t * 131072 + i * 64
				want = i % 4 == 0 ? s + 1 : 0
				if (seen[s] != 1 || freed[s] != 1 || last[s] != want)
					print s ": " seen[s], freed[s], last[s], want
			}
		}
	}' "$tmp/trace" | head -n 5)"
tap "small blocks, whose addresses go from thread to thread, add up" \
	"$(expect "$(lines '^a [0-9]+ 40$')" -ge 80000)$(
	expect "$(lines '^r [0-9]+ 56$')" -eq 40000)"
tap "no address was seen to be two live blocks'" \
	"$(grep 'did not see' "$tmp/err")"
tap "a block that was never seen is counted and left out" "$(
	expect "$(grep -c ': 1 frees of blocks that it had not seen' \
		"$tmp/err")" -eq 1)$(expect "$(lines 888888)" -eq 0)"
tap "a child's blocks are not the program's" \
	"$(expect "$(lines 999999)" -eq 0)"
tap "no bytes are one byte, and a resize that fails is none" "$(
	expect "$(lines '^a [0-9]+ 1$')" -ge 1)$(
	expect "$(lines '777777$')" -eq 1)"
tap "realloc of nothing allocates, reallocarray multiplies" "$(
	expect "$(lines '^a [0-9]+ 666666$')" -eq 1)$(
	expect "$(lines '^r [0-9]+ 666669$')" -eq 1)"

"$loam" lab "$tmp/trace" --heaps glibc --rounds 1 >"$tmp/table" 2>"$tmp/err"
status=$?
tap "the laboratory takes the trace without a complaint" \
	"$(expect "$status" -eq 0)$(cat "$tmp/err")"

record sh -c "exec '$probe'"
tap "a program that another one executes is recorded from its start" "$(
	expect "$(lines '^a [0-9]+ 131136$')" -eq 1)$(
	expect "$(grep -c '1 programs before this one' "$tmp/err")" -eq 1)"
record sh -c "'$probe'; exit 3"
tap "a program that a child executes is not" \
	"$(expect "$(lines '^a [0-9]+ 131136$')" -eq 0)$(expect "$status" -eq 3)"
record "$probe" kill
tap "of a program that is killed nothing is lost" "$(
	expect "$(lines '^a [0-9]+ 555555$')" -eq 1)$(expect "$status" -eq 137)"
record "$probe" status
tap "the exit status is the program's" "$(expect "$status" -eq 7)"
record "$tmp/none"
tap "a program that is not there" "$(expect "$status" -eq 127)$(
	expect "$(grep -c 'No such file' "$tmp/err")" -eq 1)"

# bad STATUS TEXT ARGUMENTS...: refused with this status and message.
bad()
{
	wanted=$1 text=$2
	shift 2
	"$loam" record "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
	tap "refused: record $*" "$(expect "$status" -eq "$wanted")$(
		expect "$(grep -cF -- "$text" "$tmp/err")" -eq 1)"
}
bad 2 'usage: loam record'
bad 2 'usage: loam record' -- true
bad 2 'unexpected "--frob"' --frob -- true
bad 1 'No such file or directory' -o build/none/file -- true
tap_end
