#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that deps.sh knows every target that the Makefile gives it.
. "$(dirname "$0")/lib.sh"

# The words behind deps.sh in the Makefile; of a filter, what it lets through.
asked=$(sed -n 's/.*scripts\/deps\.sh //p' "$top/Makefile" |
	sed 's/\$(filter \([^,]*\),.*/\1/')
# The labels of its cases.
known=$(sed -n '/^	case $target in/,/^	esac/s/^	\([a-z |]*\)).*/\1/p' \
	"$top/scripts/deps.sh" | tr -d '|')

tap "the Makefile asks for something" "$(
	[ "$(echo $asked | wc -w)" -ge 8 ] || echo "only: $asked")"
tap "deps.sh knows all of it" "$(for target in $asked; do
	printf '%s\n' $known | grep -qxF "$target" || echo "$target"
done)"
tap_end
