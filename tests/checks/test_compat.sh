#!/bin/sh
# SPDX-License-Identifier: MIT
# Shows that a program needs the compatibility header and the library alone.
. "$(dirname "$0")/lib.sh"
program=$top/tests/compat/program.c

# try ARCH COMPILER NAME FLAGS...: builds the program against the archive of the
# static checks and runs it.
try() {
	arch=$1 compiler=$2 name=$3
	shift 3
	archive=$top/build/check/$arch-$name/libloam.a
	title="$arch, $name: the header alone suffices"
	if ! output=$($compiler -std=c17 -ffreestanding -fno-builtin -O2 -Wall \
		-Wextra -Werror -fno-pie -no-pie "$@" -I"$top/include" "$program" "$archive" \
		-o "$tree/program" 2>&1); then
		tap "$title" "$output"
		return
	fi
	"$tree/program"
	status=$?
	[ $status -eq 0 ] && output="" ||
		output="status $status: line $((status - 1)) of $program"
	tap "$title" "$output"
}

if [ -n "$(grep '#include' "$program" | grep -v '<loam/compat.h>')" ]; then
	tap "the program includes nothing else" "$(grep '#include' "$program")"
fi
try i386 "${GCC:-gcc}" gcc -m32
try x86_64 "${GCC:-gcc}" gcc -m64
try i386 "${CLANG:-clang-14}" clang -m32
try x86_64 "${CLANG:-clang-14}" clang -m64
tap_end
