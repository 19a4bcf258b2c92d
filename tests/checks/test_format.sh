#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that check-format.sh finds a file that is not in the project's format.
. "$(dirname "$0")/lib.sh"
check=$top/scripts/check-format.sh

put src/base/a.c <<'C'
	int f(int n)
	{
		if (n > 0) {
			return 1;
		}
		return 0;
	}
C
passes "a file in format is accepted" "$check" "$tree"

put src/base/b.c <<'C'
	int f(int n) {
	    if (n>0) return 1;
	    return 0;
	}
C
rejects "a file in another format" "src/base/b.c:1" "$check" "$tree"
"$check" --fix "$tree"
passes "--fix puts it into format" "$check" "$tree"
tap_end
