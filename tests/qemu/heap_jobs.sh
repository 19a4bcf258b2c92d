# SPDX-License-Identifier: MIT
# What is special to the heaps behind kmalloc; to be sourced. Each of them runs all the
# tests in the matrix.

# job_heap_block MEM: what there is of 100 MiB at 16 MiB, with a word.
job_heap_block() {
	boot MEM="$1" HEAP=block APPEND=quiet CMD="alloc 5000; heap; heap check"
	verdict "S1.27 S3.36 heap=block, $1: a smaller heap, and a sentence" "$(
		ended_well
		holds "$guest_text" \
			'heap=block: there are .* MiB of memory at 0x01000000, not 100 MiB'
		holds "$guest_text" '^0x.1000000: 8192 bytes usable')"
}

# job_heap_none: no memory at 16 MiB at all.
job_heap_none() {
	boot MEM=16M HEAP=block APPEND=quiet CMD="alloc 5000; check"
	verdict "S1.27 heap=block, 16M: says that it failed, and goes on" "$(
		ended_well
		holds "$guest_text" 'Failed to create heap: heap=block: .*; using slab'
		holds "$guest_text" '8192 bytes usable|5120 bytes usable')"
}

# job_heap_all BOOT MEM HEAP PAGES: the suite on all designs, side by side.
job_heap_all() {
	boot BOOT="$1" MEM="$2" HEAP="$3" PAGES="$4" APPEND=quiet CMD="test heaps"
	guest_tap "heaps, $1 $2 on $3"
	verdict "X.1 heaps, $1 $2 on $3: every design in its own window" \
		"$(ended_well)"
}

# job_heap_options: what is unknown is said, and the default serves.
job_heap_options() {
	boot MEM=16M HEAP=heaviest PAGES=all APPEND="quiet heap_limit=3" CMD=heap
	verdict "X.7 heap=, pages=, heap_limit=: unknown values get a word" "$(
		ended_well
		holds "$guest_text" '^warning: heap=heaviest: not slab, .*using slab$'
		holds "$guest_text" '^warning: pages=all: not buddy or xv6'
		holds "$guest_text" '^warning: heap_limit=3: no size from 1M'
		holds "$guest_text" '^kmalloc: slab$')"
	boot MEM=64M HEAP=tlsf APPEND="quiet heap_limit=24M" \
		CMD="alloc 12M; heap; check"
	verdict "S0.3 heap_limit=24M: the window is that large" "$(
		ended_well
		holds "$guest_text" 'at most 24 MiB'
		holds "$guest_text" 'live block of .* of the tlsf heap')"
}

# job_heap_shell: what the shell tells about a heap, and a bad free in it.
job_heap_shell() {
	local at
	# Where the block is to be depends on what the kernel has; it is told.
	boot MEM=32M HEAP=list:next APPEND=quiet CMD="alloc 100"
	at=$(printf '%s\n' "$guest_text" |
		sed -n 's/^\(0xd[0-9a-f]*\): 112 bytes usable.*/\1/p')
	boot MEM=32M HEAP=list:next APPEND=quiet \
		CMD="alloc 100; heap; heap walk 3; owner $at; \
free $at; free $at; heap nonsense"
	verdict "S2.23 X.9 heap, heap walk, owner and free on a list" "$(
		holds "$guest_text" '^kmalloc: list:next$'
		holds "$guest_text" '^  0x[d0-9a-f]{8}  [#Oo.=]+$'
		holds "$guest_text" '^  0x[d0-9a-f]{8} +112 +16  live$'
		holds "$guest_text" 'live block of 112 bytes of the list heap'
		holds "$guest_text" "heap list: free of ${at:-it}: already free"
		holds "$guest_text" '^heap, heap walk \[ROWS\] or heap check$'
		[ "$guest_status" -eq 1 ] || echo "status $guest_status")"
}

add_heap_jobs() {
	add heap-all-32M job_heap_all multiboot 32M slab buddy
	add heap-all-8M job_heap_all bios 8M bestfit xv6
	add heap-block-32M job_heap_block 32M
	add heap-block-64M job_heap_block 64M
	add heap-none job_heap_none
	add heap-options job_heap_options
	add heap-shell job_heap_shell
}
