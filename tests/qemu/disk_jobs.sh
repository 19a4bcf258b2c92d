# SPDX-License-Identifier: MIT
# The boot disk alone, on good and on bad firmware; to be sourced.
#
# Its kernel is handover.asm, which prints what it was given; bad firmware is
# badbios.asm, an option ROM with a fault.

SUM_4096_OF_A=41000 # 4096 times 0x41

# assemble OUTPUT SOURCE [-DNAME[=VALUE]...]
assemble() {
	nasm -w+error -f bin -i "$ROOT/kernel/bios/" -o "$1" "${@:3}" \
		"$ROOT/$2"
}

# handover OUTPUT [-D...]: the kernel of these tests. The plain one is assembled
# once, by handover_prepare, for it takes a second.
handover_prepare() {
	assemble "$WORK/handover.elf" tests/qemu/handover.asm
}
handover() {
	if [ $# -eq 1 ]; then
		cp "$WORK/handover.elf" "$1"
	else
		assemble "$1" tests/qemu/handover.asm "${@:2}"
	fi
}

# bad_bios OUTPUT -D...: an option ROM, the sum of whose bytes must be 0.
bad_bios() {
	local sum
	assemble "$1" tests/qemu/badbios.asm "${@:2}" || return
	sum=$(od -An -v -tu1 "$1" |
		awk '{ for (i = 1; i <= NF; i++) s += $i } END { print s % 256 }')
	put_byte "$1" 5 $(((256 - sum) % 256))
}

# put_byte FILE OFFSET VALUE
put_byte() {
	printf "\\x$(printf %02x "$3")" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# word FILE OFFSET: 32 bits, little endian.
word() {
	od -An -v -tu4 -j "$2" -N 4 "$1" | tr -d ' '
}

# make_disk OUTPUT KERNEL [OPTION...]
make_disk() {
	"$BUILD/mkdisk" -o "$1" --stage1 "$BUILD/boot/stage1.bin" \
		--stage2 "$BUILD/boot/stage2.bin" --kernel "$2" "${@:3}"
}

# boot_disk NAME=VALUE...: boots the handover kernel from a disk.
boot_disk() {
	boot BOOT=bios KERNEL="$WORK/$job.elf" MEM=64M TIMEOUT=30 "$@"
}

# arrived: nothing, or what is wrong with a kernel that should be loaded whole.
arrived() {
	ended_well
	holds "$guest_text" '^eax 4d414f4c$'
	holds "$guest_text" '^image whole$'
	holds "$guest_text" '^registers right$'
	holds "$guest_text" '^magic 4d414f4c$'
}

# gave_up PATTERN: nothing, or what is wrong with an end by this sentence.
gave_up() {
	[ "$guest_status" -eq 1 ] || echo "status $guest_status"
	holds "$guest_why" 'the boot loader gave up'
	holds "$guest_text" "^boot: $1"
}

# job_disk_plain MEM: with dirt where the bss goes, the longest command line and
# two modules.
job_disk_plain() {
	local text module start
	text=$(printf 'x%.0s' $(seq 511))
	module=$WORK/$job.module
	head -c 4096 /dev/zero | tr '\0' A >"$module"
	handover "$WORK/$job.elf" || return
	boot_disk MEM="$1" APPEND="$text" MODULES="$module:one two
$module" QEMU_ARGS="-device loader,addr=0x12a000,data=0xFFFFFFFF,data-len=4"
	verdict "boot disk, $1: kernel whole, bss clear, registers right" \
		"$(arrived)"
	verdict "boot disk, $1: a command line of 511 characters" \
		"$(holds "$guest_text" "^cmdline $text\$")"
	verdict "S1.31 boot disk, $1: the map is E820h's, 24 bytes an entry" "$(
		holds "$guest_text" '^method 1$'
		holds "$guest_text" '^truncated 0$'
		holds "$guest_text" '^entry 0_100000 0_[0-9a-f]+ 1 1 (18|14)$')"
	verdict "boot disk, $1: two modules whole, on pages above the kernel" "$(
		holds "$guest_text" \
			"^module 13a000 1000 $SUM_4096_OF_A $job.module one two\$"
		holds "$guest_text" \
			"^module 13b000 1000 $SUM_4096_OF_A $job.module\$")"
	verdict "X.2 boot disk, $1: nothing lies where the block table goes" "$(
		start=$(printf '%s\n' "$guest_text" |
			sed -n 's/^info_start \(.*\)/\1/p')
		[ "$((16#${start:-0}))" -ge $((0xE200)) ] ||
			echo "the information begins at 0x$start"
		holds "$guest_text" '^ebx 1[0-9a-f]{4}$'
		holds "$guest_text" '^stack 1[0-9a-f]{4}$')"
	rm -f "$module"
}

# job_bios TITLE FAULTS PATTERN...: the disk boots in spite of the faults (-D
# options in one word), and what is printed matches.
job_bios() {
	local title=$1 pattern
	handover "$WORK/$job.elf" || return
	# shellcheck disable=SC2086
	bad_bios "$WORK/$job.rom" $2 || return
	shift 2
	boot_disk QEMU_ARGS="-option-rom $WORK/$job.rom"
	verdict "$title" "$(
		arrived
		for pattern; do
			holds "$guest_text" "$pattern"
		done)"
}

# job_bios_refused TITLE FAULTS PATTERN: it cannot boot, and says so.
job_bios_refused() {
	handover "$WORK/$job.elf" || return
	# shellcheck disable=SC2086
	bad_bios "$WORK/$job.rom" $2 || return
	boot_disk QEMU_ARGS="-option-rom $WORK/$job.rom"
	verdict "$1" "$(gave_up "$3")"
}

# job_a20 WAY SENTENCE: with line 20 off, only from the nth way on.
job_a20() {
	local build=$WORK/$job.build
	mkdir -p "$build/boot"
	cp "$BUILD/mkdisk" "$build/"
	cp "$BUILD/boot/stage1.bin" "$build/boot/"
	handover "$WORK/$job.elf" || return
	assemble "$build/boot/stage2.bin" kernel/bios/stage2.asm \
		-DA20_TEST="$1" || return
	boot_disk BUILD="$build"
	if [ "$1" -lt 4 ]; then
		verdict "boot disk: address line 20 by $2" "$(
			holds "$guest_text" '^boot: test: .* is off$'
			arrived)"
	else
		verdict "boot disk: address line 20 cannot be enabled" \
			"$(gave_up 'address line 20 cannot be enabled$')"
	fi
}

# job_floppy: no extensions, another geometry, another drive number.
job_floppy() {
	handover "$WORK/$job.elf" || return
	make_disk "$WORK/$job.img" "$WORK/$job.elf" || return
	truncate -s 1474560 "$WORK/$job.img"
	boot_disk DISK="$WORK/$job.img" DISK_IF=floppy
	verdict "boot disk: as a floppy disk" "$(
		arrived
		holds "$guest_text" '^boot_drive 0$')"
}

# job_short: the medium ends before the kernel does.
job_short() {
	handover "$WORK/$job.elf" || return
	make_disk "$WORK/$job.img" "$WORK/$job.elf" || return
	truncate -s 65536 "$WORK/$job.img"
	boot_disk DISK="$WORK/$job.img"
	verdict "boot disk: a medium that ends too early" "$(
		gave_up 'the disk cannot be read \(INT 13h error [0-9a-f]{2}h at sector [0-9]+\)$')"
}

# job_damaged TITLE WHERE OFFSETS VALUE SENTENCE: bytes of the disk changed, in its
# label or in the kernel's file.
job_damaged() {
	local base=512 offset
	handover "$WORK/$job.elf" || return
	make_disk "$WORK/$job.img" "$WORK/$job.elf" || return
	[ "$2" = label ] ||
		base=$(($(word "$WORK/$job.img" $((512 + 0x1C))) * 512))
	for offset in $3; do
		put_byte "$WORK/$job.img" $((base + offset)) "$4"
	done
	boot_disk DISK="$WORK/$job.img"
	verdict "$1" "$(gave_up "$5")"
}

# job_no_room: modules, or the kernel itself, beyond the memory there is.
job_no_room() {
	head -c 6000000 /dev/zero >"$WORK/$job.module"
	handover "$WORK/$job.elf" || return
	boot_disk MEM=5M MODULES="$WORK/$job.module"
	verdict "boot disk: a module that does not fit" "$(
		gave_up 'no memory above the kernel for module 1 of 6000000 bytes$')"
	rm -f "$WORK/$job.module"
	handover "$WORK/$job.elf" -DLOAD=0x1000000 || return
	boot_disk MEM=8M
	verdict "boot disk: a kernel linked beyond the memory" "$(
		gave_up 'the kernel needs memory at 0x01000000-')"
}

# refused TITLE PATTERN OPTION...: mkdisk does not make this disk.
refused() {
	local text status
	rm -f "$WORK/$job.img"
	text=$("$BUILD/mkdisk" -o "$WORK/$job.img" "${@:3}" 2>&1)
	status=$?
	echo "$text"
	verdict "mkdisk: $1" "$(
		[ "$status" -eq 1 ] || echo "status $status"
		holds "$text" "^mkdisk: .*$2"
		[ ! -e "$WORK/$job.img" ] || echo "the disk was written")"
}

job_mkdisk() {
	local elf=$WORK/$job.elf bad=$WORK/$job.bad
	local s1=$BUILD/boot/stage1.bin s2=$BUILD/boot/stage2.bin
	local stages=(--stage1 "$s1" --stage2 "$s2")
	handover "$elf" || return
	refused "a missing kernel" 'No such file' "${stages[@]}" \
		--kernel "$WORK/none"
	refused "no kernel named" 'are needed' "${stages[@]}"
	refused "an option without value" 'needs a value' --kernel
	refused "an unknown option" 'no option --foo' --foo bar
	refused "a stage two for stage one" '512 bytes, not' \
		--stage1 "$s2" --stage2 "$s2" --kernel "$elf"
	refused "a stage one for stage two" 'not stage two' \
		--stage1 "$s1" --stage2 "$s1" --kernel "$elf"
	refused "a kernel that is no ELF file" 'not an ELF file' \
		"${stages[@]}" --kernel "$s1"
	refused "a command line of 512 characters" '512 characters, 511' \
		"${stages[@]}" --kernel "$elf" \
		--cmdline "$(printf 'x%.0s' $(seq 512))"
	# shellcheck disable=SC2046
	refused "a 33rd module" 'more than 32 modules' "${stages[@]}" \
		--kernel "$elf" $(printf -- '--module x %.0s' $(seq 33))
	: >"$bad"
	refused "an empty module" 'the file is empty' "${stages[@]}" \
		--kernel "$elf" --module "$bad:arguments"
	refused "a magic that is no number" 'not a number' "${stages[@]}" \
		--kernel "$elf" --magic 1x
	handover "$bad" -DENTRY_OFF=0x8000 || return
	refused "an entry outside of every segment" 'entry.*in none' \
		"${stages[@]}" --kernel "$bad"
	handover "$bad" -DLOAD=0x80000 || return
	refused "a kernel below 1 MiB" 'not between 1 MiB' "${stages[@]}" \
		--kernel "$bad"
	head -c 5000 "$elf" >"$bad"
	refused "a kernel cut short" 'of a file of 5000' "${stages[@]}" \
		--kernel "$bad"
	cp "$elf" "$bad"
	put_byte "$bad" 4 2
	refused "a kernel of 64 bits" 'not a 32-bit x86' "${stages[@]}" \
		--kernel "$bad"

	make_disk "$WORK/$job.img" "$elf"
	verdict "mkdisk: whole cylinders, at least 1 MiB, bootable" "$(
		size=$(wc -c <"$WORK/$job.img")
		[ $((size % (16 * 63 * 512))) -eq 0 ] &&
			[ "$size" -ge 1048576 ] || echo "$size bytes"
		[ "$(word "$WORK/$job.img" 446)" = 131200 ] ||
			echo "no active partition at head 0, sector 2")"
}

# job_launcher: what scripts/run says of each way to end.
job_launcher() {
	handover "$WORK/$job.elf" -DFATE=1 || return
	boot_disk
	verdict "run: a guest that reports failure" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_why" '^run: the guest reported failure; last line was: registers right$')"
	handover "$WORK/$job.elf" -DFATE=2 || return
	boot_disk TIMEOUT=5
	verdict "run: a guest that hangs" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_why" '^run: the guest hung: no end within 5 seconds; last line was: registers right$')"
	handover "$WORK/$job.elf" -DFATE=3 || return
	boot_disk
	verdict "run: a guest that faults for good" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_why" '^run: the guest faulted and was reset; last line was: registers right$')"
	boot KERNEL="$WORK/none"
	verdict "run: a kernel that is not there" "$(
		[ "$guest_status" -eq 2 ] || echo "status $guest_status"
		holds "$guest_why" 'none: no such kernel')"
	boot BOOT=tape
	verdict "run: an unknown boot path" "$(
		[ "$guest_status" -eq 2 ] || echo "status $guest_status"
		holds "$guest_why" 'BOOT=tape is none of')"
}
