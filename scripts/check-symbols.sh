#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks what the library asks of its host, and what names it takes from it.
#
# usage: scripts/check-symbols.sh [archive...]
#
# For each archive, by default those of `make check-programs`: all its objects
# linked together leave loam_host_panic and loam_host_phys_to_virt undefined
# and nothing else; every global name begins with loam_, but for the four
# functions that compilers call; no object calls into a floor above its own;
# and there is no writable data but what the list below names.
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/tap.sh"
[ $# -gt 0 ] || set -- "$scripts"/../build/check/*/libloam.a

# The library's mutable globals: the counter behind loam_misuse_count() and
# debug builds' table of held locks. Everything else lies in instances.
MUTABLE='^(report_misuse_count|lock_records)$'

scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT

# undefined OBJECT: what it leaves to the host, beyond the two.
undefined() {
	nm "$1" | awk '$1 ~ /^[Uwv]$/ && $2 != "_GLOBAL_OFFSET_TABLE_" &&
		$2 !~ /^loam_host_(panic|phys_to_virt)$/ { print $2 }'
}

# foreign OBJECT: names it takes that are not its own to take.
foreign() {
	nm -g --defined-only "$1" | awk '$3 !~ /^loam_/ &&
		$3 !~ /^mem(set|cpy|move|cmp)$/ { print $3 }'
}

# strong OBJECT: what a host may have of its own and could not override.
strong() {
	nm -g --defined-only "$1" | awk '$2 != "W" && $2 != "V" &&
		($3 ~ /^loam_host_/ || $3 ~ /^mem(set|cpy|move|cmp)$/) {
			print $3 }'
}

mutable() {
	nm "$1" | awk -v allowed="$MUTABLE" \
		'$2 ~ /^[bBdDcC]$/ && $3 !~ allowed { print $2, $3 }'
}

# upward DIRECTORY: calls from an object into a floor above, in a tree of
# objects that lie as the sources do.
upward() {
	(cd "$1/src" && find . -name '*.o' | sed 's|^\./||' | sort |
		xargs nm -A) | awk -f "$scripts/floors.awk" \
		-f "$scripts/check-calls.awk"
}

for archive; do
	name=$(basename "$(dirname "$archive")")
	all="$scratch/all.o"
	if ! ld -r --whole-archive "$archive" -o "$all" 2>"$scratch/log" &&
		! ld -m elf_i386 -r --whole-archive "$archive" -o "$all" \
			2>"$scratch/log"; then
		tap "$name: all objects link together" "$(cat "$scratch/log")"
		continue
	fi
	tap "S3.35 $name: needs loam_host_panic and loam_host_phys_to_virt only" \
		"$(undefined "$all")"
	tap "$name: every global name begins with loam_" "$(foreign "$all")"
	tap "$name: a host can override what it may have itself" \
		"$(strong "$all")"
	tap "$name: no writable data outside instances" "$(mutable "$all")"
	[ ! -d "$(dirname "$archive")/src" ] ||
		tap "$name: no call into a floor above" \
			"$(upward "$(dirname "$archive")")"
done
tap_end
