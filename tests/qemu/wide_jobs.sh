# SPDX-License-Identifier: MIT
# The kernel for x86-64, on each boot path and on CPUs old and new; to be sourced.

# job_wide BOOT MEM CPU OPTIONS [WORD]: every test of the kernel and of programs, or
# those with a word in their title, then every check.
job_wide() {
	local KERNEL=$WIDE_KERNEL
	boot BOOT="$1" MEM="$2" CPU="$3" CMD="test ${5:-}; check" \
		APPEND="quiet $4" MODULES="$WIDE_PROGRAMS" TIMEOUT=300
	guest_tap "x86-64 $1 $2 $3 $4"
	verdict "x86-64 $1 $2 $3 $4: comes up, its checks pass, and says so" \
		"$(ended_well)"
}

# job_wide_shell: the commands about processes.
job_wide_shell() {
	local KERNEL=$WIDE_KERNEL PROGRAMS=$WIDE_PROGRAMS
	job_shell "x86-64: "
}

# job_wide_other: a program for a 386 is not taken for one of this CPU's.
job_wide_other() {
	local KERNEL=$WIDE_KERNEL
	boot MEM=64M CMD="run hello" APPEND=quiet MODULES="$PROGRAMS"
	verdict "S3.28 x86-64: a program of 32 bits is refused" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" \
			'^hello cannot be run: it is not for an x86-64$')"
}

# job_wide_map: on a UEFI machine the map is the firmware's, and a module has its
# place.
job_wide_map() {
	local KERNEL=$WIDE_KERNEL file=$WORK/$job.module
	head -c 70001 /dev/zero >"$file"
	boot BOOT=uefi MEM=256M CMD="map; check" APPEND=quiet \
		MODULES="$file:some arguments"
	verdict "x86-64 uefi: the map is UEFI's, with a module in it" "$(
		ended_well
		holds "$guest_text" 'firmware map: .*, UEFI map, by way of multiboot2'
		holds "$guest_text" ', 70001 bytes: ')"
	rm -f "$file"
}

# job_wide_levels: five levels are for a CPU that has them, and asked for in numbers.
job_wide_levels() {
	local KERNEL=$WIDE_KERNEL
	boot MEM=64M CPU=qemu64 CMD="check" APPEND="quiet levels=5"
	verdict "x86-64 levels=5 on a CPU that has four: a word, and four" "$(
		ended_well
		holds "$guest_text" '^warning: levels=5: this CPU has four')"
	boot MEM=64M CPU=max CMD="check" APPEND="quiet levels=6"
	verdict "x86-64 levels=6: a word, and four" "$(
		ended_well
		holds "$guest_text" '^warning: levels=6: not 4 or 5')"
	boot MEM=64M CPU=max CMD="pt 0x400000" APPEND="quiet levels=5"
	verdict "x86-64 levels=5: the walk has five" "$(
		ended_well
		holds "$guest_text" '^  level 4  table')"
}

# job_wide_large: memory that nobody uses is not touched, so it costs nothing.
job_wide_large() {
	local KERNEL=$WIDE_KERNEL small large
	boot MEM=1G CMD=cost APPEND=quiet ICOUNT=1
	small=$(printf '%s\n' "$guest_text" | sed -n 's/^ *all of them *//p')
	boot MEM=64G CMD="cost; check" APPEND=quiet ICOUNT=1
	large=$(printf '%s\n' "$guest_text" | sed -n 's/^ *all of them *//p')
	verdict "x86-64 64G: comes up in at most 1.25 times what 1G takes" "$(
		ended_well
		[ "${small:-0}" -gt 0 ] && [ "${large:-0}" -gt 0 ] &&
			[ "$((4 * large))" -le $((5 * small)) ] ||
			echo "instructions: $small, $large")"
}

# job_numa KERNEL NODES CPUS MEM LINES: every test on a machine of several nodes, and
# their zones, as extended regular expressions, one a line.
job_numa() {
	local line
	boot KERNEL="$1" NUMA="$2" SMP="$3" MEM="$4" CMD="zones; test; check" \
		APPEND=quiet
	guest_tap "$(basename "$1" .elf) of $2 nodes"
	verdict "X.4 $(basename "$1" .elf), $2 nodes, $4: zones of each, in order" "$(
		ended_well
		while read -r line; do
			holds "$guest_text" "$line"
		done <<<"$5")"
}

# bytes WIDTH:VALUE...: numbers of so many bytes each, the lowest first.
bytes() {
	local field value at
	for field; do
		value=$((${field#*:}))
		for ((at = 0; at < ${field%%:*}; at++)); do
			# shellcheck disable=SC2059
			printf "\\x$(printf %02x $((value >> (8 * at) & 255)))"
		done
	done
}

# srat ENTRY...: a SRAT of these entries on standard output. An ENTRY is cpu:NODE:ID,
# memory:NODE:BASE:SIZE or rest:FIELD (for bytes). The firmware makes its checksum.
srat() {
	local entry size=48 part
	for entry; do
		case $entry in
		cpu:*) size=$((size + 16)) ;;
		memory:*) size=$((size + 40)) ;;
		*) size=$((size + ${entry:5:1})) ;;
		esac
	done
	printf SRAT
	bytes 4:$size 1:3 1:0
	printf 'LOAM  LOAMTEST'
	bytes 4:1 4:1 4:1 4:1 8:0
	for entry; do
		IFS=: read -ra part <<<"$entry"
		case $entry in
		cpu:*) bytes 1:0 1:16 "1:${part[1]}" "1:${part[2]}" 4:1 8:0 ;;
		memory:*)
			bytes 1:1 1:40 "4:${part[1]}" 2:0 "8:${part[2]}" \
				"8:${part[3]}" 4:0 4:1 8:0
			;;
		*) bytes "${entry#rest:}" ;;
		esac
	done
}

# job_srat KERNEL COMMANDS LINES ENTRY...: two CPUs and 128 MiB, of which the firmware
# says this; what the commands test is well, and these lines are printed.
job_srat() {
	local file=$WORK/$job.srat line
	srat "${@:4}" >"$file"
	boot KERNEL="$1" SMP=2 CMD="zones; $2" APPEND=quiet \
		QEMU_ARGS="-acpitable file=$file"
	[ "${2#test}" = "$2" ] ||
		guest_tap "$(basename "$1" .elf) with a SRAT of ${*:4}"
	verdict "X.4 $(basename "$1" .elf): a SRAT of ${*:4}" "$(
		ended_well
		while read -r line; do
			holds "$guest_text" "$line"
		done <<<"$3")"
	rm -f "$file"
}

# job_wide_refused: a CPU of 32 bits is told, and the emulator ends.
job_wide_refused() {
	local KERNEL=$WIDE_KERNEL
	boot MEM=64M CPU=qemu32 TIMEOUT=20
	verdict "x86-64: a CPU without long mode is a sentence, and an end" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" 'this CPU has no long mode'
		holds "$guest_why" 'the guest reported failure')"
}

# job_wide_crash KIND PATTERN: what a bug of the kernel's own looks like.
job_wide_crash() {
	local KERNEL=$WIDE_KERNEL
	boot MEM=64M CMD="crash $1" APPEND=quiet TIMEOUT=20
	verdict "x86-64: crash $1 is reported with registers and a trace" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" "$2"
		holds "$guest_text" '^  rip [0-9a-f]{16}  rsp '
		holds "$guest_text" ' (kmain|trap_thread_begin) \+ 0x|^    \.\.\.$')"
}
