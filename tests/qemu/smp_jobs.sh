# SPDX-License-Identifier: MIT
# The kernel on several CPUs, each a thread of the host; to be sourced.

# smp_boot ARCH CPUS NAME=VALUE...: as boot, with the programs.
smp_boot() {
	local kernel=$KERNEL programs=$PROGRAMS arch=$1 cpus=$2
	shift 2
	if [ "$arch" = x86_64 ]; then
		kernel=$BUILD/kernel-x86_64.elf
		programs=$BUILD/programs-x86_64.tar
	fi
	boot KERNEL="$kernel" SMP="$cpus" MODULES="$programs" "$@"
}

# job_smp_tests ARCH CPUS: every test of the kernel, then a storm, with a CPU taken
# away and brought back before it.
job_smp_tests() {
	smp_boot "$1" "$2" MEM=128M TIMEOUT=240 CMD="test; cpu offline 1; check;\
cpu online 1; stress 2; check"
	guest_tap "$1, $2 CPUs"
	verdict "X.8 $1, $2 CPUs: all come, and all they do is well" "$(
		ended_well
		holds "$guest_text" "^cpus: $2 of $2 online"
		holds "$guest_text" '^cpu 1: offline, its caches given back$'
		holds "$guest_text" '^cpu 1: online$'
		holds "$guest_text" '^stress: [1-9][0-9]* blocks .* 0 bytes wrong$'
		holds "$guest_text" \
			'^stress: [1-9].* [1-9][0-9]* of them refused, 0 wrongly'
		holds "$guest_text" \
			'^stress: [1-9][0-9]* programs forked, 0 of them failed$')"
}

# job_smp_dead ARCH: a CPU that does not start is left out, with a word.
job_smp_dead() {
	smp_boot "$1" 3 MEM=64M CMD="cpus; check" APPEND="quiet cpus_dead=1"
	verdict "X.8 $1: a CPU that does not start is left out" "$(
		ended_well
		holds "$guest_text" '^cpu 1 .* left out: it did not start'
		holds "$guest_text" '^cpus: 2 of 3 online')"
}

# job_smp_stop ARCH: a fault on one CPU stops the others and tells of them.
job_smp_stop() {
	smp_boot "$1" 3 MEM=64M CMD="crash panic" APPEND=quiet
	verdict "X.8 $1: a report says what every CPU was doing" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" '^panic: as was asked for'
		[ "$(printf '%s\n' "$guest_text" | grep -cE '^CPU [012]: ')" -eq 2 ] ||
			echo "not both of the others are told of")"
}

# job_smp_storm ARCH CPUS BOOT: a short storm on as many CPUs as there may be, or
# with the firmware's tables and map of another kind. Where there are many more of
# them than the host has, they wait for each other longer than they do anything,
# unless they take turns in one thread.
job_smp_storm() {
	local threads=many
	[ "$2" -le $((4 * $(nproc))) ] || threads=one
	smp_boot "$1" "$2" BOOT="$3" MEM=256M TIMEOUT=240 APPEND=quiet \
		THREADS="$threads" \
		CMD="cpu offline 1; cpu online 1; stress 1; check"
	verdict "X.8 $1, $3, $2 CPUs: all come, and storm" "$(
		ended_well
		holds "$guest_text" "^cpus: $2 of $2 online"
		holds "$guest_text" \
			'^stress: [1-9][0-9]* programs forked, 0 of them failed$')"
}

# job_smp_no_memory ARCH: a third node that has a CPU and no memory: the CPU takes
# that of the others, the nearest first.
job_smp_no_memory() {
	local far="-numa dist,src=0,dst=2,val=30 -numa dist,src=2,dst=0,val=30"
	local near="-numa dist,src=1,dst=2,val=20 -numa dist,src=2,dst=1,val=20"
	smp_boot "$1" 2 NUMA=2 MEM=128M CMD="zones; stress 1; check" \
		APPEND=quiet QEMU_ARGS="-smp 3 -numa node,nodeid=2,cpus=2 \
-numa dist,src=2,dst=2,val=10 $far $near"
	verdict "X.4 $1: the CPU of a node without memory has the nearest's" "$(
		ended_well
		holds "$guest_text" '^cpus: 3 of 3 online'
		holds "$guest_text" \
			'^  node 2: cpus 2; memory of nodes 1 0, in this order$')"
}

# job_smp_bad_tables ARCH: an SRAT with an entry of no length, a SLIT shorter than
# it says: words, and one node.
job_smp_bad_tables() {
	local srat=$WORK/$job.srat slit=$WORK/$job.slit
	printf '\1\0\0\0\0\0\0\0\0\0\0\0\1\0' >"$srat"
	printf '\350\3\0\0\0\0\0\0\12' >"$slit"
	smp_boot "$1" 2 MEM=64M CMD="zones; check" APPEND=quiet QEMU_ARGS="\
-acpitable sig=SRAT,rev=3,data=$srat -acpitable sig=SLIT,rev=1,data=$slit"
	verdict "X.4 $1: a broken SRAT and SLIT are named, and not used" "$(
		ended_well
		holds "$guest_text" 'acpi: SRAT: the entry at offset 48 says it has 0 '
		holds "$guest_text" 'acpi: SRAT: not used, all memory is one node.s$'
		holds "$guest_text" 'acpi: SLIT for 1000 domains in 45 bytes: not used$'
		holds "$guest_text" '^cpus: 2 of 2 online')"
	rm -f "$srat" "$slit"
}

# job_smp_debug ARCH: the storms with assertions, and the order of locks watched.
job_smp_debug() {
	local programs=$PROGRAMS
	[ "$1" = i386 ] || programs=$BUILD/programs-x86_64.tar
	boot KERNEL="$BUILD/kernel-$1-debug.elf" SMP=4 MEM=128M TIMEOUT=240 \
		MODULES="$programs" CMD="stress 3; check" APPEND=quiet
	verdict "X.8 $1, 4 CPUs, assertions on: storms, and every check passes" "$(
		ended_well
		holds "$guest_text" \
			'^stress: [1-9][0-9]* programs forked, 0 of them failed$')"
}

# smp_crash ARCH CPUS KIND: a debug build that crashes.
smp_crash() {
	boot KERNEL="$BUILD/kernel-$1-debug.elf" SMP="$2" MEM=64M \
		CMD="crash $3" APPEND=quiet
}

# after PATTERN: what follows the first line that matches, up to the next line that
# is no trace's.
after() {
	printf '%s\n' "$guest_text" | awk -v pattern="$1" '
		found && !/^  [ ?] [0-9a-f]/ && !/^stack trace/ { exit }
		found
		$0 ~ pattern { found = 1 }'
}

# job_smp_deadlock ARCH CPUS: each CPU waits for the lock of the next one: which, on
# whom, and where it took its own, with the functions on both stacks.
job_smp_deadlock() {
	local cpu names=(north east south)
	smp_crash "$1" "$2" deadlock
	verdict "X.8 $1: a deadlock of $2 CPUs is found, with locks and stacks" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" '^panic: deadlock: CPU [0-9] waits for lock (north|east|south), which CPU [0-9] holds$'
		for ((cpu = 0; cpu < $2; cpu++)); do
			holds "$guest_text" "^CPU $cpu holds lock ${names[cpu]}, taken at\$"
			holds "$guest_text" "^CPU $cpu waits for lock ${names[(cpu + 1) % $2]}\$"
			holds "$(after "^CPU $cpu holds lock")" \
				'crash_circle_run \+ 0x[1-9a-f]'
		done
		[ "$(printf '%s\n' "$guest_text" |
			grep -c '^CPU [0-9]: in task "circle"$')" -eq $(($2 - 1)) ] ||
			echo "not all of the others are told of"
		[ "$(printf '%s\n' "$guest_text" | grep -cE \
			'^    [0-9a-f]+  loam_host_lock \+ 0x')" -eq "$2" ] ||
			echo "not every stack shows where it waits")"
}

# job_smp_order ARCH: a lock out of order, with where the other one was taken, and
# the other CPU stopped.
job_smp_order() {
	smp_crash "$1" 2 lock-order
	verdict "X.8 $1: a lock out of order is found, with both stacks" "$(
		[ "$guest_status" -eq 1 ] || echo "status $guest_status"
		holds "$guest_text" \
			'^panic: lock up \(rank [0-9]+\) taken after north \(rank [0-9]+\)$'
		holds "$(after '^panic: lock up')" 'crash_order \+ 0x[1-9a-f]'
		holds "$(after '^CPU [01] holds lock north, taken at$')" \
			'crash_take_first \+ 0x[1-9a-f]'
		holds "$guest_text" '^CPU [01]: idle, at ')"
}

# job_smp_bench ARCH: what a pair costs each of four CPUs, against one alone; no lock
# is taken meanwhile, and no cache line written by two of them.
job_smp_bench() {
	local kernel=$KERNEL lines=$WORK/$job.lines begin end
	[ "$1" = i386 ] || kernel=$BUILD/kernel-x86_64.elf
	begin=$(nm "$kernel" | sed -n 's/^\([0-9a-f]*\) . bench_watch_begin$/\1/p')
	end=$(nm "$kernel" | sed -n 's/^\([0-9a-f]*\) . bench_watch_end$/\1/p')
	smp_boot "$1" 4 MEM=128M CMD="bench cpus; check" APPEND=quiet ICOUNT=1 \
		TIMEOUT=240 QEMU_ARGS="-plugin $BUILD/qemu-lines.so,begin=0x\
$begin,end=0x$end,out=$lines"
	verdict "X.8 $1: a pair costs each of four CPUs what it costs one" "$(
		ended_well
		printf '%s\n' "$guest_text" | awk -F ' *[|] *' '
			/pair, .*percent of a pair alone/ { n++; bad += $2 > 110 }
			/frees?, percent of a pair alone/ { n++; bad += $2 > 300 }
			/pair, .*locks for 100,000/ { n++; bad += $2 != 0 }
			END { if (n != 8 || bad) print bad + 0 " bad rows of " n }')"
	verdict "X.8 $1: pairs on four CPUs write no line that two of them write" "$(
		[ "$(wc -l <"$lines")" -eq 5 ] || echo "not five windows"
		head -n 3 "$lines" | awk '$1 < 12 || $2 != 0')"
	verdict "X.8 $1: the plugin sees lines that two CPUs write, where they are" "$(
		tail -n 2 "$lines" | awk '$2 == 0')"
}

# job_smp_none: a CPU without an interrupt controller of its own is one alone.
job_smp_none() {
	smp_boot i386 2 MEM=64M CPU=486,-apic CMD="test process; check"
	guest_tap "486, no APIC"
	verdict "X.8 a 486 without an APIC runs on one CPU" "$(
		ended_well
		holds "$guest_text" 'cpus: one alone')"
}

add_smp_jobs() {
	local arch
	for arch in i386 x86_64; do
		add "smp-2-$arch" job_smp_tests "$arch" 2
		add "smp-4-$arch" job_smp_tests "$arch" 4
		add "smp-dead-$arch" job_smp_dead "$arch"
		add "smp-stop-$arch" job_smp_stop "$arch"
		add "smp-bench-$arch" job_smp_bench "$arch"
		add "smp-16-$arch" job_smp_storm "$arch" 16 multiboot
		add "smp-no-memory-$arch" job_smp_no_memory "$arch"
		add "smp-bad-tables-$arch" job_smp_bad_tables "$arch"
		add "smp-debug-$arch" job_smp_debug "$arch"
		add "smp-deadlock-2-$arch" job_smp_deadlock "$arch" 2
		add "smp-deadlock-3-$arch" job_smp_deadlock "$arch" 3
		add "smp-order-$arch" job_smp_order "$arch"
	done
	add smp-uefi job_smp_storm x86_64 4 uefi
	add smp-none job_smp_none
}
