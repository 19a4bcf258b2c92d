# SPDX-License-Identifier: MIT
# Picks rows of values such that every pair of values is together in one of them.

# Input, one a line: `factor NAME VALUE...`, and `impossible NAME=VALUE...` for what
# no row may have all of; # begins a comment. Output: rows of NAME=VALUE, the same
# every time.
#
# Greedy: each row begins with the first pair that no row has yet, and is filled up,
# factor by factor, with the value that adds most new pairs to it; of several such
# the one that was used least. That comes near the least number of rows, which is
# that of the two largest factors multiplied. An impossible combination of three
# or more only steers; a pair that cannot be is not asked for.

/^factor / {
	names[++factors] = $2
	counts[factors] = NF - 2
	for (v = 1; v <= NF - 2; v++) {
		values[factors, v] = $(v + 2)
	}
}

/^impossible / {
	rules[++rule_count] = $0
	sub(/^impossible /, "", rules[rule_count])
	sub(/ *#.*/, "", rules[rule_count])
}

# True if the row, as far as it goes, has all of some impossible combination.
function impossible(row,    r, i, f, n, terms, met) {
	for (r = 1; r <= rule_count; r++) {
		n = split(rules[r], terms, " ")
		met = 0
		for (i = 1; i <= n; i++) {
			for (f = 1; f <= factors; f++) {
				met += row[f] > 0 &&
					terms[i] == names[f] "=" values[f, row[f]]
			}
		}
		if (met == n) {
			return 1
		}
	}
	return 0
}

# How many new pairs the value v of factor f makes with the rest of the row.
function gain(row, f, v,    g, sum) {
	for (g = 1; g <= factors; g++) {
		if (g != f && row[g] > 0) {
			sum += g < f ? !((g, row[g], f, v) in covered) \
				     : !((f, v, g, row[g]) in covered)
		}
	}
	return sum + 0
}

function fill(row,    f, v, new, most, best) {
	for (f = 1; f <= factors; f++) {
		if (row[f] > 0) {
			continue
		}
		best = 0
		for (v = 1; v <= counts[f]; v++) {
			row[f] = v
			if (!impossible(row)) {
				row[f] = 0
				new = gain(row, f, v)
				if (!best || new > most ||
				    (new == most && used[f, v] < used[f, best])) {
					most = new
					best = v
				}
			}
			row[f] = 0
		}
		if (!best) {
			print "pairs: no value of " names[f] " is possible" \
				>"/dev/stderr"
			failed = 1
			exit 1
		}
		row[f] = best
	}
}

function emit(row,    f, g, line) {
	for (f = 1; f <= factors; f++) {
		line = line (f > 1 ? " " : "") names[f] "=" values[f, row[f]]
		used[f, row[f]]++
		for (g = f + 1; g <= factors; g++) {
			covered[f, row[f], g, row[g]] = 1
		}
	}
	print line
}

END {
	for (f = 1; f < factors && !failed; f++) {
		for (v = 1; v <= counts[f]; v++) {
			for (g = f + 1; g <= factors; g++) {
				for (w = 1; w <= counts[g]; w++) {
					start(f, v, g, w)
				}
			}
		}
	}
	exit failed
}

# A row for the pair, if it can be and none has it.
function start(f, v, g, w,    row, i) {
	if (failed || (f, v, g, w) in covered) {
		return
	}
	for (i = 1; i <= factors; i++) {
		row[i] = 0
	}
	row[f] = v
	row[g] = w
	if (!impossible(row)) {
		fill(row)
		if (!failed) {
			emit(row)
		}
	}
}
