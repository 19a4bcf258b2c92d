# SPDX-License-Identifier: MIT
# A table of lines and branches out of an lcov file; see scripts/coverage.

function percent(hit, all)
{
	return all == 0 ? "     -" : sprintf("%5.1f%%", 100 * hit / all)
}

function row(name, lines_hit, lines, branches_hit, branches)
{
	printf "%-32s %5d %5d %s %7d %5d %s\n", name, lines, lines_hit,
		percent(lines_hit, lines), branches, branches_hit,
		percent(branches_hit, branches)
}

BEGIN {
	FS = "[:,]"
	printf "%-32s %5s %5s %6s %7s %5s %6s\n", "file", "lines", "hit", "",
		"branches", "hit", ""
	printf "" >list
}

$1 == "SF" {
	name = substr($0, 4)
	sub("^" root, "", name)
	split("", side)
	lines = lines_hit = branches = branches_hit = 0
}

$1 == "DA" {
	lines++
	lines_hit += $3 > 0
	if ($3 == 0) {
		print name ":" $2 ": line not reached" >>list
	}
}

# The four fields are line, block, branch, and how often it was taken, "-" for
# never decided. A line that was not reached is listed as such already.
$1 == "BRDA" {
	branches++
	if ($5 != "-" && $5 > 0) {
		branches_hit++
	} else if ($5 != "-") {
		side[$2]++
	}
}

$1 == "end_of_record" {
	for (line in side) {
		print name ":" line ": " side[line] " of its branches not taken" >>list
	}
	row(name, lines_hit, lines, branches_hit, branches)
	all_lines += lines
	all_lines_hit += lines_hit
	all_branches += branches
	all_branches_hit += branches_hit
}

END {
	row("all", all_lines_hit, all_lines, all_branches_hit, all_branches)
	close(list)
	system("sort -t: -k1,1 -k2,2n -o " list " " list)
}
