#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that run-tests counts as failed whatever did not plainly pass.
. "$(dirname "$0")/lib.sh"
mkdir -p "$tree/scripts"
cp "$top/scripts/run-tests" "$tree/scripts"

# program NAME: a test program of the tree, from standard input.
program() {
	{
		echo "#!/bin/sh"
		cat
	} | put "scripts/check-$1.sh"
	chmod +x "$tree/scripts/check-$1.sh"
}

# counts TITLE "N passed, M failed" STATUS [TEXT]: runs the tree's tests; the
# last line and the status are these, and TEXT is in what is printed.
counts() {
	status=0
	output=$(JOBS=2 "$tree/scripts/run-tests" check 2>&1) || status=$?
	wrong=
	[ "$(printf '%s\n' "$output" | tail -n 1)" = "$2" ] ||
		wrong="last line is not '$2'"
	[ "$status" -eq "$3" ] || wrong="$wrong; exit status $status"
	printf '%s\n' "$output" | grep -qF -- "${4:-}" ||
		wrong="$wrong; '$4' is not said"
	[ -z "$wrong" ] || wrong="$wrong
$output"
	tap "$1" "$wrong"
}

program good <<'C'
	echo "ok 1 - one"
	echo "ok 2 - two"
	echo "1..2"
C
counts "passed tests are added up" "2 passed, 0 failed" 0

program other <<'C'
	echo "1..3"
	printf 'ok 1\r\nok 2 - x # SKIP not here\r\nok 3\r\n'
C
counts "serial lines count, skipped tests do not" "4 passed, 0 failed" 0 \
	"1 skipped"

program other <<'C'
	echo "ok 1 - fine"
	echo "# what went wrong"
	echo "not ok 2 - bad"
	echo "1..2"
	exit 1
C
counts "a failed test is counted and its output shown" "3 passed, 1 failed" 1 \
	"# what went wrong"

program other <<'C'
	echo "ok 1 - fine"
	kill -SEGV $$
C
counts "a program that dies before its plan fails" "3 passed, 1 failed" 1 \
	"no plan (exit status 139)"

program other <<'C'
	echo "ok 1 - fine"
	echo "1..1"
	exit 7
C
counts "a status that no line explains fails" "3 passed, 1 failed" 1 \
	"exit status 7"

program other <<'C'
	echo "ok 1 - fine"
	echo "1..2"
C
counts "fewer tests than planned fail" "3 passed, 1 failed" 1 \
	"1 tests where 2 were planned"

program other <<'C'
	echo "not ok 1 - bad"
	echo "1..1"
C
counts "a failed test with status 0 is a failure of both" \
	"2 passed, 2 failed" 1 "in spite of"

program other <<'C'
	echo "1..0"
C
counts "a program without a test fails" "2 passed, 1 failed" 1 "no test at all"

rm "$tree"/scripts/check-*.sh
counts "a suite with nothing to run fails" "0 passed, 1 failed" 1 \
	"nothing to run"
tap_end
