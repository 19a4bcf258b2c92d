#!/bin/sh
# SPDX-License-Identifier: MIT
# Checks, or with --fix makes, the format of every C file by clang-format 14.
#
# usage: scripts/check-format.sh [--fix] [root]
set -u
scripts=$(cd "$(dirname "$0")" && pwd)
. "$scripts/tap.sh"
fix=
if [ "${1:-}" = --fix ]; then
	fix=1
	shift
fi
cd "${1:-$scripts/..}" || exit 2

# Versions disagree with each other, so it has to be this one.
format=clang-format-14
command -v $format >/dev/null || format=clang-format
if ! $format --version 2>/dev/null | grep -q 'version 14\.'; then
	tap "clang-format 14 is there" "$($format --version 2>&1)"
	tap_end
fi

files() {
	find . -path ./build -prune -o -path ./.git -prune -o \
		-name '*.[ch]' -print | sort
}

style="file:$scripts/../.clang-format"
if [ -n "$fix" ]; then
	files | xargs $format --style="$style" -i
	exit
fi
tap "every C file is as clang-format would write it (make format)" \
	"$(files | xargs $format --style="$style" --dry-run -Werror 2>&1)"
tap_end
