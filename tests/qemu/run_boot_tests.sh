#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots the kernel in QEMU in every way and size; speaks TAP.
#
# usage: tests/qemu/run_boot_tests.sh KERNEL BUILD [WORD]
#
# KERNEL is the kernel's ELF file, and beside it are those of the identity layout
# and of PAE; BUILD is where programs.tar, boot/stage1.bin, boot/stage2.bin and mkdisk are. With
# WORD only the jobs run that have it in their name. JOBS=2 guests run at a time. What
# each job's guests printed stays in BUILD/boot-tests.
#
# A guest counts as failed when it hangs, is reset, says that it failed, prints no
# plan or another number of tests than it planned.
set -u

if [ $# -lt 2 ]; then
	sed -n '/^# usage/,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
fi
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
KERNEL=$(realpath "$1")
BUILD=$(realpath "$2")
WORD=${3:-}
JOBS=${JOBS:-2}
WORK=$BUILD/boot-tests
rm -rf "$WORK"
mkdir -p "$WORK"

. "$ROOT/tests/qemu/pool.sh"
. "$ROOT/tests/qemu/kernel_jobs.sh"
. "$ROOT/tests/qemu/disk_jobs.sh"
. "$ROOT/tests/qemu/wide_jobs.sh"
. "$ROOT/tests/qemu/heap_jobs.sh"
. "$ROOT/tests/qemu/smp_jobs.sh"

PATHS="multiboot bios grub"
PROGRAMS=$BUILD/programs.tar

# add NAME COMMAND...: a job, unless another one was asked for.
add() {
	case $1 in
	*"$WORD"*) queue "$@" ;;
	esac
}

for file in "$(kernel_of identity)" "$(kernel_of higher-pae)" \
	"$(kernel_of identity-pae)" "$PROGRAMS"; do
	if ! [ -r "$file" ]; then
		echo "not ok 1 - $file is there (make test)"
		echo "1..1"
		exit 1
	fi
done
if ! command -v qemu-system-i386 >/dev/null; then
	echo "not ok 1 - qemu-system-i386 is not installed"
	echo "1..1"
	exit 1
fi

# Every pair of layout, path, heap and so on; the large machines, which take
# longest, first.
# add_rows MATRIX [NAME=VALUE]: a job for each row, with that value before the others.
add_rows() {
	local values name
	while read -r values; do
		values="${2:-} $values"
		name=$(printf '%s\n' $values | sed 's/^[a-z]*=//' | tr '\n' - | tr , _)
		# shellcheck disable=SC2086
		add "tests-${name%-}" job_row $values
	done < <(awk -f "$ROOT/tests/qemu/pairs.awk" "$ROOT/tests/qemu/$1")
}
add_rows matrix
add impossible job_impossible
add processes-higher job_processes higher multiboot 64M
add processes-identity job_processes identity bios 128M
add processes-grub job_processes higher grub 3000M
add processes-486 job_processes higher multiboot 48M CPU=486 \
	APPEND="quiet long malloc=lazy"
add shell-processes job_shell
add processes-pae job_processes higher-pae multiboot 5000M
add processes-pae-identity job_processes identity-pae grub 512M
add pae-none-higher job_no_pae higher 486
add pae-none-identity job_no_pae identity pentium
add pae-old job_pae_old
add pae-5000M job_pae_all 5000M 1214000
add pae-60G job_pae_all 60G 15660000
add_heap_jobs
add_smp_jobs
for size in 5M 32M 128M 3000M 3584M 5000M; do
	add "maps-$size" job_maps "$size"
done
for path in $PATHS; do
	add "modules-$path" job_modules "$path"
	add "modules-moved-$path" job_module_moved "$path"
	add "demonstration-$path" job_demonstration "$path"
done
add bad-magic job_bad_magic
add failing job_failing
for size in 2M 3M 4M; do
	add "small-multiboot-$size" job_small multiboot "$size"
	add "small-bios-$size" job_small bios "$size"
done
add none job_none

for size in 5M 64M 5000M; do
	add "disk-$size" job_disk_plain "$size"
done
add disk-floppy job_floppy
add disk-short job_short
add disk-no-room job_no_room
add mkdisk job_mkdisk
add launcher job_launcher
add a20-bios job_a20 1 "the BIOS"
add a20-keyboard job_a20 2 "the keyboard controller"
add a20-port92 job_a20 3 "port 92h"
add a20-never job_a20 4 ""

add firmware-20-bytes job_bios "S1.31 S1.2 replies of 20 bytes leave attributes 1" \
	"-DE820_20" '^method 1$' '^entries 2$' \
	'^entry 0_0 0_a0000 1 1 14$' '^entry 0_100000 0_3f00000 1 1 14$'
add firmware-24-bytes job_bios "S1.31 replies of 24 bytes, the end by EBX" \
	"-DE820_COUNT=5" '^entries 5$' '^entry 0_100000 0_3f00000 1 1 18$'
add firmware-no-kernel-memory job_bios_refused \
	"S1.31 a list of one entry, which leaves no room for the kernel" \
	"-DE820_COUNT=1" 'the kernel needs memory at 0x00100000-'
add firmware-carry-end job_bios "S1.31 the end by carry" \
	"-DE820_CARRY_END -DE820_COUNT=3" '^method 1$' '^entries 3$'
add firmware-smap job_bios "S1.31 a reply without signature: E801h instead" \
	"-DE820_SMAP=2" '^method 2$' '^entries 0$' '^e801_kib 3c00$' \
	'^e801_units 2fe$'
add firmware-circle job_bios "S1.31 a list that goes round in circles" \
	"-DE820_CIRCLE -DE820_COUNT=5" 'repeats its memory map' '^method 1$' \
	'^entry 0_40008000 0_1000 2 1 18$'
add firmware-stuck job_bios "S1.31 a list that repeats its last entry" \
	"-DE820_STUCK -DE820_COUNT=5" 'repeats its memory map' '^method 1$'
add firmware-many job_bios "S1.31 2000 entries: what fits, and a sentence" \
	"-DE820_COUNT=2000" 'more than 928 entries' '^entries 3a0$' \
	'^truncated 1$' '^entry 0_4073e000 0_1000 2 1 18$'
add firmware-exact job_bios "S1.31 as many entries as fit are not too many" \
	"-DE820_COUNT=928" '^entries 3a0$' '^truncated 0$'
add firmware-exact-carry job_bios "S1.31 nor with carry as the end" \
	"-DE820_COUNT=928 -DE820_CARRY_END" '^entries 3a0$' '^truncated 0$'
add firmware-clobber job_bios "S1.31 a BIOS that keeps no register" \
	"-DE820_CLOBBER -DE820_COUNT=4" '^method 1$' '^entries 4$'
add firmware-e801 job_bios "S1.31 no E820h: E801h" \
	"-DNO_E820" 'no INT 15h E820h' '^method 2$' '^entries 0$' \
	'^low_kib 27f$' '^e801_kib 3c00$' '^e801_units 2fe$'
add firmware-e801-ax job_bios "S1.31 E801h in AX and BX alone" \
	"-DNO_E820 -DE801_AX_BX" '^method 2$' '^e801_kib 3c00$' \
	'^e801_units 300$'
add firmware-88 job_bios "S1.31 neither: 88h" \
	"-DNO_E820 -DNO_E801" 'neither INT 15h E820h nor E801h' '^method 3$' \
	'^kib_88 fb80$'
add firmware-nothing job_bios_refused "S1.31 none of them: a sentence" \
	"-DNO_E820 -DNO_E801 -DNO_88" \
	'the BIOS does not tell how much memory there is$'
add firmware-chs job_bios "boot disk: no INT 13h extensions" "-DNO_EXTENSIONS"
add firmware-one-sector job_bios "boot disk: one sector at a time" "-DONE_SECTOR"
add firmware-bad-sector job_bios_refused \
	"boot disk: a bad sector in the kernel is named" "-DBAD_SECTOR=120" \
	'the disk cannot be read \(INT 13h error 04h at sector 120\)$'
add firmware-bad-label job_bios_refused \
	"boot disk: a bad sector in stage two is named by stage one" \
	"-DBAD_SECTOR=11" \
	'the disk cannot be read \(INT 13h error 04h at sector 11\)$'

add damaged-label job_damaged "boot disk: a damaged label" label 0x240 1 \
	"the disk's label is damaged\$"
add damaged-magic job_damaged "boot disk: no stage two" label 0 1 \
	'no stage two$'
add damaged-elf job_damaged "boot disk: a kernel that is no ELF file" \
	kernel 0 1 'the kernel is not an ELF file$'
add damaged-class job_damaged "boot disk: a kernel of 64 bits" \
	kernel 4 2 'the kernel is not a 32-bit x86 executable$'
add damaged-headers job_damaged "boot disk: program headers far away" \
	kernel 29 255 "the kernel's program headers are damaged"
add damaged-entry job_damaged "boot disk: an entry in no segment" \
	kernel 27 255 "the kernel's entry is in none of its segments\$"
add damaged-offset job_damaged "boot disk: a segment outside of the file" \
	kernel $((52 + 32 + 7)) 255 'a segment of the kernel is not within'
add damaged-low job_damaged "boot disk: a segment below 1 MiB" \
	kernel $((52 + 32 + 14)) 0 'the kernel wants 0x00000000-0x'
add damaged-wrap job_damaged "boot disk: a segment that wraps 4 GiB" \
	kernel "$((52 + 64 + 15)) $((52 + 64 + 23))" 255 \
	'the kernel wants 0xff110000-0xfe'
add damaged-far job_damaged "boot disk: a segment where no memory is" \
	kernel $((52 + 64 + 15)) 32 'the kernel needs memory at 0x20110000-'

# Memory of several nodes; of the third one, all is above 4 GiB, and no CPU.
add numa-2 job_numa "$KERNEL" 2 4 512M \
	'^  node 0: cpus 0 2; memory of nodes 0 1, in this order$
^  node 1: cpus 1 3; memory of nodes 1 0, in this order$'
add numa-pae job_numa "$(kernel_of higher-pae)" 3 2 5000M \
	'^  node 0: cpus 0; memory of nodes 0 1 2, in this order$
^  node 2: cpus; memory of nodes 2 1 0, in this order$'
add numa-identity job_numa "$(kernel_of identity)" 2 1 256M \
	'^  node 0: cpus 0; memory of nodes 0 1, in this order$'


# Nodes that the map has no memory of, and a firmware that errs.
add_srats() {
	add "srat-empty-$2" job_srat "$1" "test; check" \
		'^  node 0: cpus 0; memory of nodes 0, in this order$
^  node 1: cpus 1; memory of nodes 0, in this order$' \
		cpu:0:0 cpu:1:1 memory:0:0:0x8000000 memory:1:0x200000000:0x40000000
	add "srat-none-$2" job_srat "$1" check \
		'^  node 0: cpus 0; memory of nodes 0, in this order$
^  node 1: cpus 1; memory of nodes 0, in this order$' \
		cpu:0:0 cpu:1:1 memory:0:0:0x8000000
	add "srat-twice-$2" job_srat "$1" check \
		'SRAT: memory at 0x3000000 is claimed twice$
SRAT: not used, all memory is one node' \
		memory:0:0:0x4000000 memory:1:0x3000000:0x5000000
	add "srat-cut-$2" job_srat "$1" check \
		'SRAT: the entry at offset 128 says it has 40 of the 2 bytes left' \
		memory:0:0:0x4000000 memory:1:0x4000000:0x4000000 rest:2:0x2801
}
add_srats "$KERNEL" i386

# The kernel for x86-64, where it was built.
WIDE_KERNEL=$BUILD/kernel-x86_64.elf
WIDE_PROGRAMS=$BUILD/programs-x86_64.tar
if [ -r "$WIDE_KERNEL" ]; then
	add_rows matrix-x86_64 arch=x86_64
	# All memory is directly mapped: filling gigabytes would take too long.
	add wide-5000M job_wide multiboot 5000M max "" S4.19
	add wide-3000M job_wide grub 3000M qemu64 "" S4.19
	add wide-pages job_wide multiboot 5000M max levels=5 "direct map"
	add wide-pages-2M job_wide multiboot 5000M max,-pdpe1gb "" "direct map"
	add wide-levels-asked job_wide_levels
	add wide-bios job_wide bios 64M qemu64 ""
	add wide-8M job_wide multiboot 8M qemu64 ""
	add wide-processes job_wide multiboot 64M max long
	add wide-shell job_wide_shell
	add wide-other job_wide_other
	add wide-map job_wide_map
	add wide-large job_wide_large
	add wide-numa job_numa "$WIDE_KERNEL" 4 4 2G \
		'^  node 0: cpus 0; memory of nodes 0 1 2 3, in this order$
^  node 2: cpus 2; memory of nodes 2 1 3 0, in this order$'
	add_srats "$WIDE_KERNEL" x86-64
	add wide-refused job_wide_refused
	add wide-crash-write job_wide_crash write \
		'^writing 0xffffffff8[0-9a-f]{7}: no page there'
	add wide-crash-stack job_wide_crash stack \
		'^the boot stack .* overflowed into its guard page'
	add wide-crash-task job_wide_crash task \
		'^the kernel stack of deep .* overflowed into its guard page'
	add wide-crash-user job_wide_crash user \
		"^it is a program's, which the kernel may neither touch nor"
fi

handover_prepare
pool_run "$JOBS"
