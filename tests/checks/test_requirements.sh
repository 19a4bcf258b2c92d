#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check-requirements.sh misses no requirement and no wrong number.
. "$(dirname "$0")/lib.sh"
check=$top/scripts/check-requirements.sh
all=$(sed -n 's/^| \([SX][0-9]*\.[0-9]*\) |.*/\1/p' "$top/docs/requirements.md")

# every [SED]: a unit test whose titles name all requirements, edited by sed.
every() {
	printf '%s\n' $all | sed "s/.*/TEST(one, \"& is shown\")/; ${1:-}" |
		put tests/unit/test_all.c
}

every
passes "all of them, one a title, are accepted" "$check" "$tree"

printf 'TEST(one, "%s are shown")\n' "$(echo $all)" | put tests/unit/test_all.c
passes "all of them in one title are accepted" "$check" "$tree"

every 's/S4.9 is/is/'
rejects "a requirement without a test" "no test of S4.9:" "$check" "$tree"

every 's/"S4.1 is/"S4.10 is/'
rejects "a number is not found in a longer one" "no test of S4.1:" \
	"$check" "$tree"

every 's/"X.5 is/"checks X.5 is/'
rejects "a number elsewhere in a title does not count" "no test of X.5:" \
	"$check" "$tree"

every 's/"X.6 is shown"/"others" \/* X.6 *\//'
rejects "a number in a comment does not count" "no test of X.6:" \
	"$check" "$tree"

every 's/S3.35 is/S3.35 S9.1 is/'
rejects "a number that no requirement has" "S9.1" "$check" "$tree"
tap_end
