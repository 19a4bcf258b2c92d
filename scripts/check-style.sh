#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks what of the house style a formatter does not.
#
# usage: scripts/check-style.sh [root]
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/tap.sh"
cd "${1:-$scripts/..}" || exit 2

# sources PATTERN...: the project's files of these names.
sources() {
	for pattern; do
		find . -path ./build -prune -o -path ./.git -prune -o \
			-type f -name "$pattern" -print
	done | sed 's|^\./||' | sort
}

# Scripts are files that begin with #!, wherever they are.
scripts_of_project() {
	find . -path ./build -prune -o -path ./.git -prune -o -type f -print |
		sed 's|^\./||' | sort | xargs awk '
			FNR == 1 && /^#!/ { print FILENAME }'
}

c_files=$(sources '*.c' '*.h')
library=$(printf '%s\n' "$c_files" | grep -E '^(src|include)/')
other=$(sources '*.asm' '*.inc' '*.ld' '*.mk' '*.awk' Makefile)
shell=$(scripts_of_project)

# judge RULE FILE...: each violation of a rule, from check-style.awk.
judge() {
	rule=$1
	shift
	[ $# -eq 0 ] || awk -v rule="$rule" -f "$scripts/check-style.awk" "$@"
}

# columns MAX FILE...: lines that are longer, tabs being 8 wide.
columns() {
	max=$1
	shift
	for file; do
		expand -t 8 "$file" | awk -v max="$max" -v file="$file" \
			'length($0) > max { print file ":" NR ": " length($0) }'
	done
}

tap "every C file begins with its licence and a sentence of purpose" \
	"$(judge head_c $c_files)"
tap "so does every other source" \
	"$(judge head_other $other)$(judge head_script $shell)"
tap "lines of C have at most 80 columns" "$(columns 80 $c_files)"
tap "lines of anything else have at most 100" "$(columns 100 $other $shell)"
tap "no trailing blanks, no spaces where tabs belong" \
	"$(judge blanks $c_files $other $shell)"
tap "no goto" "$(judge goto $c_files)"
tap "#if in the library only where it adapts to compiler and machine" \
	"$(judge if $library)"
tap "the library does not allocate on the stack" \
	"$(judge alloca $library)"
tap "the library has no bit-fields" "$(judge bitfield $library)"
tap "every public prototype has its contract above it" \
	"$(judge contract $(sources '*.h' | grep '^include/loam/'))"
tap "the project speaks of itself alone" \
	"$(judge foreign $c_files $other $shell $(sources '*.md'))"
tap_end
