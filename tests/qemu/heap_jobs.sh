# SPDX-License-Identifier: MIT
# The kernel on each heap and either provider of frames; to be sourced.
#
# Not every heap on every path and size: each pair of them is somewhere.

# job_heap BOOT MEM HEAP PAGES TLB: every test of the kernel, and the heap's check.
job_heap() {
	local what="$3, pages=$4, $1 $2"
	boot BOOT="$1" MEM="$2" HEAP="$3" PAGES="$4" TLB="$5" APPEND=quiet \
		CMD="test; heap; heap check; check"
	guest_tap "$what"
	verdict "X.1 X.5 $what: comes up on it, and all checks pass" "$(
		ended_well
		holds "$guest_text" "^kmalloc: ${3/%list/list:first}\$"
		holds "$guest_text" '^heap check: every invariant holds$'
		holds "$guest_text" '^check: every floor is well$')"
}

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
	boot MEM=32M HEAP=list:next APPEND=quiet \
		CMD="alloc 100; heap; heap walk 3; owner 0xd0000c30; \
free 0xd0000c30; free 0xd0000c30; heap nonsense"
	verdict "S2.23 X.9 heap, heap walk, owner and free on a list" "$(
		holds "$guest_text" '^kmalloc: list:next$'
		holds "$guest_text" '^  0x[d0-9a-f]{8}  [#Oo.=]+$'
		holds "$guest_text" '^  0x[d0-9a-f]{8} +112 +16  live$'
		holds "$guest_text" 'live block of 112 bytes of the list heap'
		holds "$guest_text" 'heap list: free of 0x.0000c30: already free'
		holds "$guest_text" '^heap, heap walk \[ROWS\] or heap check$'
		[ "$guest_status" -eq 1 ] || echo "status $guest_status")"
}

add_heap_jobs() {
	add heap-1 job_heap multiboot 3000M list:best xv6 auto
	add heap-2 job_heap bios 3000M buddy buddy cr3
	add heap-3 job_heap grub 3000M slab xv6 auto
	add heap-4 job_heap multiboot 8M bestfit buddy cr3
	add heap-5 job_heap bios 8M tlsf xv6 auto
	add heap-6 job_heap grub 8M pages buddy invlpg
	add heap-7 job_heap bios 32M bestfit xv6 invlpg
	add heap-8 job_heap multiboot 32M buddy xv6 auto
	add heap-9 job_heap grub 64M bestfit buddy auto
	add heap-10 job_heap multiboot 64M pages xv6 cr3
	add heap-11 job_heap bios 64M list buddy auto
	add heap-12 job_heap multiboot 128M tlsf buddy invlpg
	add heap-13 job_heap grub 128M block buddy auto
	add heap-14 job_heap bios 300M block xv6 cr3
	add heap-15 job_heap grub 16M list:next xv6 auto
	add heap-all-32M job_heap_all multiboot 32M slab buddy
	add heap-all-8M job_heap_all bios 8M bestfit xv6
	add heap-block-32M job_heap_block 32M
	add heap-block-64M job_heap_block 64M
	add heap-none job_heap_none
	add heap-options job_heap_options
	add heap-shell job_heap_shell
}
