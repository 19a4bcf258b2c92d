#!/bin/sh
# SPDX-License-Identifier: MIT
# Boots the example in QEMU and checks what it prints; speaks TAP.
#
# usage: examples/minimal/run.sh minimal.elf
set -u
. "$(dirname "$0")/../../scripts/tap.sh"

status=0
output=$(timeout 30 qemu-system-i386 -m 32M -nic none -vga none -display none \
	-serial stdio -monitor none -no-reboot \
	-device isa-debug-exit,iobase=0xf4,iosize=1 -kernel "$1" 2>&1 \
	</dev/null) || status=$?
# The kernel says 0x10, which isa-debug-exit turns into 2 * 0x10 + 1.
wrong="exit status $status:
$output"
[ "$status" -ne 33 ] || wrong=
tap "the example brings memory up and its check finds nothing" "$wrong"

expect() {
	case $output in
	*"$2"*) tap "$1" "" ;;
	*) tap "$1" "not found: $2
$output" ;;
	esac
}
expect "the example prints what it put into a kmalloc block" \
	"hello from kmalloc"
expect "the example's double free is reported with its caller" "called from"
tap_end
