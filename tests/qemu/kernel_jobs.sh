# SPDX-License-Identifier: MIT
# The kernel on each boot path and with each amount of memory; to be sourced.

# boot NAME=VALUE...: runs the guest. Sets guest_text (what it printed),
# guest_why (how it ended, if not well) and guest_status; prints both.
boot() {
	guest_text=$(env BUILD="$BUILD" KERNEL="$KERNEL" TIMEOUT=90 ICOUNT=0 "$@" \
		"$ROOT/scripts/run" </dev/null 2>"$WORK/$job.why")
	guest_status=$?
	guest_why=$(cat "$WORK/$job.why")
	printf '%s\n%s\n' "$guest_text" "$guest_why"
}

# guest_tap PREFIX: the guest's tests as tests of ours.
guest_tap() {
	local plan count
	plan=$(printf '%s\n' "$guest_text" | sed -n 's/^1\.\.\([0-9]*\)$/\1/p')
	count=$(printf '%s\n' "$guest_text" | grep -Ec '^(not )?ok [0-9]+ ')
	printf '%s\n' "$guest_text" |
		sed -En "s/^(not ok|ok) [0-9]+ -? ?(.*)/\1 $1: \2/p" \
			>>"$WORK/$job.results"
	if [ -z "$plan" ]; then
		verdict "$1: the guest prints one plan" "there is none"
	elif [ "$plan" != "$count" ] || [ "$count" -eq 0 ]; then
		verdict "$1: the guest runs the tests it planned" \
			"planned: $(echo $plan), seen: $count"
	fi
}

# ended_well: nothing, or what is wrong.
ended_well() {
	[ "$guest_status" -eq 0 ] || printf '%s\n' "$guest_why"
}

# kernel_of LAYOUT, kernel_of LAYOUT-pae: the kernel's file.
kernel_of() {
	case $1 in
	identity) printf '%s\n' "${KERNEL/kernel-i386/kernel-i386-identity}" ;;
	higher-pae) printf '%s\n' "${KERNEL/kernel-i386/kernel-i386-pae}" ;;
	identity-pae)
		printf '%s\n' "${KERNEL/kernel-i386/kernel-i386-pae-identity}"
		;;
	*) printf '%s\n' "$KERNEL" ;;
	esac
}

# row NAME: the value of a factor in the row that the job runs.
row() {
	printf '%s\n' $job_row_values | sed -n "s/^$1=//p"
}

# heap_outcome: what is wrong with the line about the heap behind kmalloc. Where the
# block heap is to be, from 16 MiB on, small machines have no memory.
heap_outcome() {
	local heap mem
	heap=$(row heap)
	mem=$(row mem)
	case $heap:${mem%M} in
	slab:*) holds "$guest_text" '^\[7\] kmalloc: slab caches' ;;
	block:? | block:1?)
		holds "$guest_text" 'Failed to create heap: heap=block: no memory'
		holds "$guest_text" '^\[7\] kmalloc: slab caches'
		;;
	*)
		holds "$guest_text" "^\\[7\\] kmalloc: ${heap%:*} heap at"
		holds "$guest_text" "^kmalloc: ${heap/%list/list:first}\$"
		holds "$guest_text" '^heap check: every invariant holds$'
		;;
	esac
}

# job_row NAME=VALUE...: every test of the kernel and of programs on one row of a
# matrix (tests/qemu/matrix, with arch=x86_64 matrix-x86_64), then every check.
job_row() {
	local job_row_values="$*" label cpu debug="" layout
	local KERNEL=$KERNEL PROGRAMS=$PROGRAMS
	if [ "$(row arch)" = x86_64 ]; then
		KERNEL=$WIDE_KERNEL
		PROGRAMS=$WIDE_PROGRAMS
	fi
	label=$(printf '%s\n' "$@" | sed 's/^[a-z]*=//' | tr '\n' ' ')
	label=${label% }
	cpu=$(row cpu)
	[ "$cpu" != default ] || cpu=
	[ "$(row slab)" != debug ] || debug=" slab=debug"
	[ -z "$(row levels)" ] || debug="$debug levels=$(row levels)"
	# Where each block is a page, the 4 MiB of old hold no process of 1024.
	case $(row heap):$(row mem) in
	pages:???M | pages:????M) debug="$debug heap_limit=16M" ;;
	esac
	layout=$(row layout)
	[ "$(row paging)" != pae ] || layout+=-pae
	boot KERNEL="$(kernel_of "$layout")" BOOT="$(row path)" \
		MEM="$(row mem)" CPU="$cpu" MODULES="$PROGRAMS" \
		HEAP="$(row heap)" PAGES="$(row pages)" TLB="$(row tlb)" \
		CMD="test; heap; heap check; check" APPEND="$debug"
	guest_tap "$label"
	verdict "S4.31 S4.20 X.1 X.5 $label: comes up, its checks pass, and says so" \
		"$(ended_well)"
	verdict "S4.1 $label: the eight steps, in order" "$(
		steps=$(printf '%s\n' "$guest_text" | sed '/^TAP version/,$d' |
			sed -n 's/^\[\([0-9]\)\] .*/\1/p' | tr -d '\n')
		[ "$steps" = 12345678 ] || echo "seen: $steps")"
	verdict "$label: no report is left without an answer" "$(
		printf '%s\n' "$guest_text" | grep -E 'FAILED|panic:' |
			grep -v '^#')"
	verdict "X.1 S3.36 $label: the heap that was asked for, or a sentence" \
		"$(heap_outcome)"
	[ "$(row layout)" != identity ] ||
		verdict "S3.1 $label: says where it is not identity-mapped" \
			"$(holds "$guest_text" '^identity: every address is')"
}

# job_impossible: the one row that cannot be (tests/qemu/matrix says why).
job_impossible() {
	boot KERNEL="$(kernel_of identity)" CPU=486,pse=off MEM=5M CMD=check \
		TIMEOUT=20
	verdict "S4.27 identity 5M without large pages: a sentence, and an end" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_why" 'the guest reported failure'
		holds "$guest_text" \
			'cannot bring memory up: too little memory for page tables')"
}

# job_processes LAYOUT BOOT MEM [NAME=VALUE...]: the tests of processes that take
# long, which fill memory and start programs by the thousand.
job_processes() {
	local layout=$1 path=$2 mem=$3
	shift 3
	boot KERNEL="$(kernel_of "$layout")" BOOT="$path" MEM="$mem" \
		CMD="test; check" APPEND="quiet long" MODULES="$PROGRAMS" \
		TIMEOUT=300 "$@"
	guest_tap "programs, $layout $path $mem"
	verdict "S3.29 programs, $layout $path $mem: every floor is well" \
		"$(ended_well)"
}

# job_shell [PREFIX]: the commands about processes, one after the other.
job_shell() {
	local prefix=${1:-}
	boot MEM=64M APPEND=quiet MODULES="$PROGRAMS" CMD="run hello one \
two &; run spin &; ps; maps 2; pt 2 0x400000; meminfo; faults; kill 2; kill 99"
	verdict "S3.8 ${prefix}run, ps, maps, pt, meminfo, faults and kill" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" '^ +2 +0 +ready +[0-9]+ +spin$'
		holds "$guest_text" \
			'^00400000-00401000 r-xp 00000000 00:00 0 +spin$'
		holds "$guest_text" '^003f[be]000-003ff000 rw-p .*\[stack\]$'
		holds "$guest_text" '^walk of 0x0*400000$'
		holds "$guest_text" '^MemTotal: +[0-9]+ kB$'
		holds "$guest_text" '^  zero fill +[0-9]+$'
		holds "$guest_text" '^there is no process 99$')"
	verdict "X.9 ${prefix}meminfo: the sum of its parts is the whole" "$(
		printf '%s\n' "$guest_text" | awk '
			/^MemTotal: +[0-9]+ kB$/ { total = $2; next }
			/^[A-Z][A-Za-z]*: +[0-9]+ kB$/ { sum += $2; parts++ }
			END {
				if (parts < 8 || total == 0 || sum != total)
					print total, "and", sum, "in", parts
			}')"
	boot MEM=64M APPEND=quiet MODULES="$PROGRAMS" \
		CMD="run nothing"
	verdict "X.7 ${prefix}a program that does not exist is a failed command" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" '^nothing: no such program$')"
}

# job_no_pae LAYOUT CPU: a kernel for PAE on a CPU that has none.
job_no_pae() {
	boot KERNEL="$(kernel_of "$1-pae")" MEM=64M CPU="$2" TIMEOUT=20
	verdict "S4.27 pae $1 on $2: a sentence, and an end" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" 'this CPU has no PAE'
		holds "$guest_why" 'the guest reported failure')"
}

# job_pae_old: PAE, but no no-execute bit, and by what QEMU believes no more than
# 32 bits of physical addresses.
job_pae_old() {
	boot KERNEL="$(kernel_of higher-pae)" MEM=5000M CPU=qemu32 \
		MODULES="$PROGRAMS" CMD="test; map; check" APPEND=quiet
	guest_tap "pae on qemu32"
	verdict "S4.31 pae on qemu32: comes up with what can be reached" "$(
		ended_well
		holds "$guest_text" '^not reachable: 1\.8 GiB$')"
}

# job_pae_all MEM FRAMES: all of a large machine is page frames.
job_pae_all() {
	boot KERNEL="$(kernel_of higher-pae)" MEM="$1" CMD="zones; map; check" \
		APPEND=quiet
	verdict "S4.31 pae $1: all of it is page frames, in the high zone" "$(
		ended_well
		printf '%s\n' "$guest_text" | grep -q 'not reachable' &&
			echo "some is not reachable"
		high=$(printf '%s\n' "$guest_text" |
			awk '$1 == "High" { print $4; exit }')
		[ "${high:-0}" -ge "$2" ] || echo "high frames: $high")"
}

# map_of TEXT: the normalised map the kernel printed.
map_of() {
	printf '%s\n' "$1" | sed -n '/^memory map: /,/^usable: /p'
}

# boot_same PATH MEM: the machine of job_maps, with the boot disk and the disc of
# GRUB in their drives, started in one of the three ways.
boot_same() {
	local disk="file=$WORK/$job.img,format=raw,if=ide"
	local disc=$WORK/$job.iso
	case $1 in
	multiboot)
		boot MEM="$2" CMD=map APPEND=quiet \
			QEMU_ARGS="-drive $disk -snapshot -cdrom $disc"
		;;
	bios)
		boot BOOT=bios MEM="$2" DISK="$WORK/$job.img" \
			QEMU_ARGS="-cdrom $disc -boot c"
		;;
	grub)
		boot BOOT=bios MEM="$2" DISK="$WORK/$job.img" \
			QEMU_ARGS="-cdrom $disc -boot d"
		;;
	esac
}

# job_maps MEM: one machine has one map, and it is the memory that it was given.
job_maps() {
	local path first="" map frames given listed
	make_disk "$WORK/$job.img" "$KERNEL" --cmdline "cmd=map quiet" &&
		"$ROOT/scripts/mkiso" -o "$WORK/$job.iso" --kernel "$KERNEL" \
			--cmdline "cmd=map quiet" || return
	for path in multiboot bios grub; do
		boot_same "$path" "$1"
		map=$(map_of "$guest_text")
		if [ -z "$map" ]; then
			verdict "S1.30 $path $1: prints its map" \
				"there is none; $guest_why"
			continue
		fi
		if [ -z "$first" ]; then
			first=$map
		else
			verdict "S1.30 $path $1: the map is that of multiboot" \
				"$(diff <(echo "$first") <(echo "$map"))"
		fi
		# The frames printed are those of the firmware's usable entries,
		# and all the memory there is but for holes of less than 1 MiB.
		frames=$(echo "$map" | sed -n 's/^usable: \([0-9]*\) .*/\1/p')
		given=$((${1%M} * 256))
		verdict "S1.3 S4.4 $path $1: usable memory is -m minus holes" "$(
			[ "$((given - frames))" -ge 0 ] &&
				[ "$((given - frames))" -lt 256 ] ||
				echo "$frames of $given frames")"
		listed=$(printf '%s\n' "$guest_text" | usable_entries)
		verdict "S1.3 $path $1: and what the firmware's entries say" "$(
			[ "$listed" = "$frames" ] ||
				echo "map: $frames, entries: $listed")"
	done
	rm -f "$WORK/$job.img" "$WORK/$job.iso"
}

# usable_entries: whole frames in the usable rows of the firmware map on standard
# input (rows: base, length, size with unit, type). QEMU's never overlap.
usable_entries() {
	local line base length total=0
	while IFS= read -r line; do
		read -r base length _ <<<"$line"
		total=$((total + (base + length) / 4096 - (base + 4095) / 4096))
	done < <(sed -n '/^firmware map: /,/^$/{/ 1 usable$/p;}')
	echo "$total"
}

# job_modules BOOT: modules reach the kernel and are reserved for it.
job_modules() {
	local file=$WORK/$job.module
	head -c 70001 /dev/zero >"$file"
	boot BOOT="$1" MEM=32M CMD="map" APPEND=quiet \
		MODULES="$file:some arguments"
	verdict "S4.8 $1: a module has an owner in the table" "$(
		ended_well
		holds "$guest_text" 'module')"
	rm -f "$file"
}

# job_module_moved BOOT: an archive that reaches into where programs lie in the
# identity layout: the kernel moves it before a program hides it.
job_module_moved() {
	local directory=$WORK/$job.files file=$WORK/$job.tar
	mkdir -p "$directory" && tar -xf "$PROGRAMS" -C "$directory" hello large &&
		head -c 6000000 /dev/zero >"$directory/filler" &&
		tar --format=ustar -cf "$file" -C "$directory" filler hello large
	boot BOOT="$1" KERNEL="$(kernel_of identity)" MEM=64M MODULES="$file" \
		CMD="map; run large; run hello; run large; check" APPEND=quiet
	verdict "S3.37 X.2 X.4 $1: a module where programs lie is moved away" "$(
		ended_well
		[ "$(printf '%s\n' "$guest_text" |
			grep -c '^large: .* 0 words wrong$')" -eq 2 ] ||
			echo "large did not run twice"
		holds "$guest_text" '^hello from process'
		holds "$guest_text" '^  0x0000400000  0x00007fffff .* user window$'
		holds "$guest_text" ' module$')"
	rm -rf "$directory" "$file"
}

# job_demonstration BOOT: without a terminal and without commands.
job_demonstration() {
	local table
	boot BOOT="$1" MEM=64M
	verdict "X.4 X.9 $1: shows what it brought up, and ends by itself" "$(
		ended_well
		for table in 'firmware map' 'memory map' 'owner' 'zone' \
			'slab' 'range|address map' 'check: every floor is well'; do
			holds "$guest_text" "$table"
		done)"
}

# job_bad_magic: EAX is not what any loader leaves.
job_bad_magic() {
	boot BOOT=bios MAGIC=0 TIMEOUT=20
	verdict "S4.5 another number in EAX: a sentence, and an end" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_why" 'the guest reported failure'
		holds "$guest_text" 'entered with 0x0+ in EAX'
		holds "$guest_text" 'cannot bring memory up: .')"
}

# job_small BOOT MEM: hardly any memory. The kernel may come up in it, or whoever
# finds that there is too little says so.
job_small() {
	boot BOOT="$1" MEM="$2" CMD="check" TIMEOUT=20
	if [ "$guest_status" -eq 0 ]; then
		verdict "$1 $2: comes up, or ends with a sentence" ""
		return
	fi
	verdict "$1 $2: comes up, or ends with a sentence" "$(
		holds "$guest_why" 'reported failure|boot loader gave up'
		holds "$guest_text" \
			'memory up: .|^boot: .*memory|^error: .*memory')"
}

# job_none: 1 MiB in all has no place for a kernel at 1 MiB.
job_none() {
	boot BOOT=bios MEM=1M TIMEOUT=20
	verdict "boot disk, 1M: no memory for the kernel is a sentence" \
		"$(gave_up 'the kernel needs memory at 0x00100000-')"
}

# job_failing: a failed command is a failed run.
job_failing() {
	boot MEM=16M CMD="nonsense; check"
	verdict "X.7 a command that fails makes the exit status 1" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_why" 'the guest reported failure'
		holds "$guest_text" 'no command "nonsense"')"
}
