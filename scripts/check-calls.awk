# SPDX-License-Identifier: MIT
# Finds undefined symbols that a floor above defines. Reads `nm -A` of objects
# named FLOOR/FILE.o; runs after floors.awk.

{
	object = $1
	sub(/:.*/, "", object)
	floor = object
	sub(/\/.*/, "", floor)
	kind = $(NF - 1)
	sub(/.*:/, "", kind)
	symbol = $NF
}

kind ~ /^[TDBRVWC]$/ {
	definer[symbol] = floor
}

kind ~ /^[Uwv]$/ {
	user[++uses] = object
	used[uses] = symbol
}

END {
	for (i = 1; i <= uses; i++) {
		floor = user[i]
		sub(/\/.*/, "", floor)
		target = definer[used[i]]
		# The names compilers emit calls to belong to everyone.
		if (used[i] ~ /^mem(set|cpy|move|cmp)$/ || target == "") {
			continue
		}
		if (!floor_sees(floor, target)) {
			print user[i] " uses " used[i] " of floor " target
		}
	}
}
