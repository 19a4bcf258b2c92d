#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Counts the boot matrix: every pair that can be is in a row, by another way.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/scripts/tap.sh"
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
pairs=$root/tests/qemu/pairs.awk

# missing MATRIX ROWS: each pair of MATRIX that is in no line of ROWS.
missing() {
	local lines=() i j a b
	mapfile -t lines < <(sed -n 's/^factor //p' "$1")
	for ((i = 0; i < ${#lines[@]}; i++)); do
		read -ra left <<<"${lines[i]}"
		for ((j = i + 1; j < ${#lines[@]}; j++)); do
			read -ra right <<<"${lines[j]}"
			for a in "${left[@]:1}"; do
				for b in "${right[@]:1}"; do
					echo "${left[0]}=$a ${right[0]}=$b"
				done
			done
		done
	done | awk -v rows="$2" '
		BEGIN { while ((getline line < rows) > 0) list[++n] = " " line " " }
		{
			for (i = 1; i <= n; i++)
				if (index(list[i], " " $1 " ") && index(list[i], " " $2 " "))
					next
			print
		}'
}

# forbidden MATRIX ROWS: each row that has all of an impossible combination.
forbidden() {
	sed -n 's/^impossible //p' "$1" | while read -r rule; do
		awk -v rule="$rule" '{
			n = split(rule, terms, " ")
			met = 0
			for (i = 1; i <= n; i++) met += index(" " $0 " ", " " terms[i] " ") > 0
			if (met == n) print
		}' "$2"
	done
}

# check_matrix MATRIX: its rows.
check_matrix() {
	local matrix=$1 name=${1##*/}
	awk -f "$pairs" "$matrix" >"$scratch/rows"
	# Two values that exclude each other are no pair; factors come in the file's order.
	sed -n 's/^impossible \([^ ]* [^ ]*\)$/\1/p' "$matrix" >"$scratch/exclusive"
	tap "$name: every pair that can be is in some row" \
		"$(missing "$matrix" "$scratch/rows" | grep -vxFf "$scratch/exclusive")"
	tap "$name: no row has what is impossible" "$(forbidden "$matrix" "$scratch/rows")"
	tap "$name: every row has one value of every factor" "$(
		factors=$(grep -c '^factor ' "$matrix")
		awk -v n="$factors" 'NF != n' "$scratch/rows")"
	tap "$name: the rows are few: at most a tenth more than the largest two factors" "$(
		most=$(sed -n 's/^factor //p' "$matrix" | awk '{ print NF - 1 }' | sort -rn |
			awk 'NR <= 2 { p = NR == 1 ? $1 : p * $1 } END { print int(p * 1.1) }')
		rows=$(wc -l <"$scratch/rows")
		[ "$rows" -le "$most" ] || echo "$rows rows, $most would do")"
	tap "$name: the rows are the same every time" "$(
		awk -f "$pairs" "$matrix" | cmp - "$scratch/rows")"
}
check_matrix "$root/tests/qemu/matrix"
check_matrix "$root/tests/qemu/matrix-x86_64"

# A small matrix, in which one pair cannot be and one combination steers.
cat >"$scratch/small" <<-'END'
	factor a 1 2 3
	factor b x y
	factor c p q
	impossible a=1 b=x
	impossible a=2 b=y c=q
END
awk -f "$pairs" "$scratch/small" >"$scratch/few"
tap "an impossible pair is the only one left out" "$(
	missing "$scratch/small" "$scratch/few" | grep -vx 'a=1 b=x'
	forbidden "$scratch/small" "$scratch/few")"
tap "the check itself misses a pair that is not there" "$(
	sed 1d "$scratch/few" >"$scratch/fewer"
	[ -n "$(missing "$scratch/small" "$scratch/fewer" | grep -vx 'a=1 b=x')" ] ||
		echo "a row less, and nothing is missing")"
printf 'factor a 1\nfactor b x\nfactor c p\nimpossible b=x c=p\n' >"$scratch/none"
tap "a matrix without any row is an error" "$(
	awk -f "$pairs" "$scratch/none" 2>/dev/null && echo "status 0")"
tap_end
