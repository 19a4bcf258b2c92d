#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks that each requirement is named by a test's title.
#
# usage: scripts/check-requirements.sh [root]
#
# A title is a string that begins with requirement numbers, "S4.9 S4.13 splits
# and merges", in a test of any kind under tests/.  Numbers that are
# not in docs/requirements.md are errors too.
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/tap.sh"
cd "${1:-$scripts/..}" || exit 2

table=$scripts/../docs/requirements.md
known=$(sed -n 's/^| \([SX][0-9]*\.[0-9]*\) |.*/\1/p' "$table")

# FILE:LINE NUMBER for each number at the start of a string.
named=$(find tests -path tests/checks -prune -o -type f -print |
	sort | xargs awk '{
	line = $0
	while (match(line, /["'\''][SX][0-9]*\.[0-9]+[^"'\'']*/)) {
		n = split(substr(line, RSTART + 1, RLENGTH - 1), words, " ")
		line = substr(line, RSTART + RLENGTH)
		for (i = 1; i <= n; i++) {
			sub(/[,:;]$/, "", words[i])
			if (words[i] !~ /^[SX][0-9]*\.[0-9]+$/) {
				break
			}
			print FILENAME ":" FNR, words[i]
		}
	}
}')

# Of what is read first, the numbers; of what is read then, those not among them.
tap "every requirement is named by a test" "$(printf '%s\n' "$named" |
	awk 'NR == FNR { seen[$2]; next }
		/^\| [SX][0-9]*\.[0-9]* \|/ && !($2 in seen) {
			id = $2
			sub(/^\| [^|]* \| /, "")
			sub(/ \|$/, "")
			print "no test of " id ": " $0
		}' - "$table")"
tap "every number that a test names is a requirement" "$(
	printf '%s\n' "$named" |
		awk -v known="$(echo $known)" '
			BEGIN {
				for (n = split(known, ids, " "); n > 0; n--) {
					listed[ids[n]]
				}
			}
			NF == 2 && !($2 in listed) { print $1 ": " $2 }')"
tap_end
