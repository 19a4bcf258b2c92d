#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes sure that the programs a target needs are there.
#
# usage: scripts/deps.sh run|test|check|tools|fuzz|bench|linux|coverage|format [grub|uefi]
#
# When nothing is missing this does nothing and prints nothing.  Otherwise, on
# Debian and its derivatives, it installs the missing packages and no others;
# elsewhere it names what is missing and fails.
set -u

# have COMMAND: the command is in the path.
have() {
	command -v "$1" >/dev/null 2>&1
}

# have_library FILE: the dynamic linker knows the library.
have_library() {
	/sbin/ldconfig -p | grep -q "[ /]$1\$"
}

# links COMPILER FLAGS...: such programs can be built here.
links() {
	printf '#include <stdio.h>\nint main(void) { return puts("") < 0; }\n' |
		"$@" -x c - -o "$scratch/probe" >/dev/null 2>&1
}

# The clang that the Makefile chooses.
if have clang-14; then
	clang=clang-14
else
	clang=clang
fi

format_is_14() {
	have clang-format-14 || clang-format --version 2>/dev/null |
		grep -q 'version 14\.'
}

# need PACKAGE WHAT PROBE...: WHAT is there if the probe succeeds.
need() {
	package=$1
	what=$2
	shift 2
	"$@" || {
		packages="$packages $package"
		missing="$missing
  $what (Debian: $package)"
	}
}

need_run() {
	need libc6-dev "the C library for programs" links gcc
	need nasm nasm have nasm
	need qemu-system-x86 qemu-system-i386 have qemu-system-i386
}

need_grub() {
	need grub-common grub-mkrescue have grub-mkrescue
	need grub-pc-bin "GRUB for BIOS machines" \
		test -d /usr/lib/grub/i386-pc
	need grub-efi-amd64-bin "GRUB for UEFI machines" \
		test -d /usr/lib/grub/x86_64-efi
	need ovmf "UEFI firmware for QEMU" test -r /usr/share/OVMF/OVMF_CODE.fd
	need xorriso xorriso have xorriso
	need mtools mtools have mformat
}

need_sanitizers() {
	need gcc-multilib "gcc for 32-bit programs" links gcc -m32
	need clang-14 "clang 14 or later" have $clang
	need libclang-rt-14-dev "clang's sanitizers" \
		links $clang -m64 -fsanitize=address,undefined
}

# What the malloc replacement is tried on.
need_malloc() {
	need g++ g++ have g++
	need python3 python3 have python3
	need lua5.4 lua5.4 have lua5.4
	need sqlite3 sqlite3 have sqlite3
	need redis-server redis-server have redis-server
	need redis-tools redis-benchmark have redis-benchmark
	need stress-ng stress-ng have stress-ng
}

# What it is compared with.
need_bench() {
	need xz-utils xz have xz
	need libjemalloc2 jemalloc have_library libjemalloc.so.2
	need libmimalloc2.0 mimalloc have_library libmimalloc.so.2
	need libtcmalloc-minimal4 tcmalloc have_library libtcmalloc_minimal.so.4
	need valgrind valgrind have valgrind
}

# What puts Linux beside it: its module's build, and an archive to boot with. The
# packages of Linux itself are scripts/linux-packages' to fetch.
need_linux() {
	need libelf1 "the library for ELF files" have_library libelf.so.1
	need cpio cpio have cpio
	need python3 python3 have python3
}

need_check() {
	need_sanitizers
	need clang-format-14 "clang-format 14" format_is_14
	need spin "the model checker Spin" have spin
	need cpio cpio have cpio
	need python3 python3 have python3
}

# What the tests of the tool need: packed traces, and a browser for its page.
need_tools() {
	need xz-utils xz have xz
	need python3 python3 have python3
	need chromium chromium have chromium
	need chromium-driver chromedriver have chromedriver
}

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
packages=
missing=
for target; do
	case $target in
	run) need_run ;;
	grub | uefi) need_grub ;;
	test)
		need_run
		need_grub
		need_check
		need_malloc
		need_tools
		;;
	check) need_check ;;
	bench)
		need_malloc
		need_bench
		;;
	linux)
		need_run
		need_linux
		;;
	tools) need_tools ;;
	fuzz) need_sanitizers ;;
	coverage) need lcov lcov have lcov ;;
	format) need clang-format-14 "clang-format 14" format_is_14 ;;
	*)
		echo "deps.sh: no target '$target'" >&2
		exit 2
		;;
	esac
done
[ -n "$packages" ] || exit 0

packages=$(printf '%s\n' $packages | sort -u | tr '\n' ' ')
if ! grep -qE '^ID(_LIKE)?=.*debian' /etc/os-release 2>/dev/null ||
	! have apt-get; then
	echo "Loam needs these programs, which are not installed:$missing" >&2
	exit 1
fi

root=
if [ "$(id -u)" -ne 0 ]; then
	if ! have sudo; then
		echo "Loam needs packages that are not installed. As root:" >&2
		echo "  apt-get install --no-install-recommends $packages" >&2
		exit 1
	fi
	root="sudo"
fi
echo "Installing what is missing: $packages"
install() {
	$root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o Dpkg::Use-Pty=0 install --no-install-recommends $packages
}
# An update that fails in part, for some other archive, need not matter.
{ $root apt-get -q update; install; } >"$scratch/log" 2>&1 || {
	cat "$scratch/log" >&2
	echo "Loam needs these programs, and apt-get failed:$missing" >&2
	exit 1
}
