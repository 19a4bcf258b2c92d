# SPDX-License-Identifier: MIT
# The floors, lowest first: which may be seen from which. For `awk -f` together
# with a program that calls floor_of() and floor_sees().

# Floors of one rank do not see each other. The public headers of a floor are
# loam/FLOOR.h, loam/FLOOR_*.h and what is named here.
BEGIN {
	split("host=0 base=1 heap=1.5 memmap=2 acpi=2 arch=2 memblock=3 pt=3 " \
	      "frame=4 kspace=5 slab=6 kmalloc=7 proc=8 boot=9 compat=9.5", pairs, " ")
	for (i in pairs) {
		split(pairs[i], pair, "=")
		floor_rank[pair[1]] = pair[2]
	}
	split("types=host config=host compiler=host assert=base list=base " \
	      "tree=base bitmap=base bits=base lock=base mem=base " \
	      "buddy=frame zero_window=kspace page_window=kspace", pairs, " ")
	for (i in pairs) {
		split(pairs[i], pair, "=")
		floor_header[pair[1]] = pair[2]
	}
}

# The floor of a public header's name without .h, or "".
function floor_of(header,    word)
{
	if (header in floor_header) {
		return floor_header[header]
	}
	word = header
	sub(/_.*/, "", word)
	return word in floor_rank ? word : ""
}

function floor_sees(from, to)
{
	return from == to || floor_rank[to] < floor_rank[from]
}
