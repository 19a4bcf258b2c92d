/* SPDX-License-Identifier: MIT */
/* What user programs and the kernel agree upon: calls, numbers, addresses. */
#ifndef KERNEL_ABI_H
#define KERNEL_ABI_H

#include <stdint.h>

/*
 * i386: a call is `int 0x80` with its number in EAX and its arguments as 32-bit
 * words on the user stack: the first at [ESP], the next at [ESP + 4], as they
 * lie after a caller has pushed them from the last to the first (seed 003). The
 * result comes back in EAX; every other register and all flags are kept.
 *
 * x86-64: a call is `syscall` with its number in RAX and its arguments in RDI,
 * RSI, RDX and R10; the two of the seed as all others. The result comes back in
 * RAX; RCX and R11 are what syscall leaves in them, the addresses and flags to
 * go on with; every other register and all flags are kept. The stack is not
 * looked at. int 0x80 is no call but an exception.
 *
 * A result in [-ABI_ERRNO_MOST, -1] is a negated errno with Linux's numbers,
 * but for ABI_MALLOC, which has 0 for failure, and ABI_FREE, which has nothing.
 *
 * Pointers are checked for every byte that they stand for. One that is not the
 * program's makes the call fail with -EFAULT, and so does a stack from which
 * the arguments cannot be read.
 */
#define ABI_VECTOR 0x80u
#define ABI_ERRNO_MOST 4095u

/* Of Linux's numbers, those that only calls have; the others are LOAM_E*. */
enum abi_errno {
	ABI_ESRCH = 3,
	ABI_EINTR = 4,
	ABI_E2BIG = 7,
	ABI_ECHILD = 10,
	ABI_ENOSYS = 38,
};

enum abi_call {
	ABI_EXIT = 1,      /* (code): does not return */
	ABI_WRITE = 2,     /* (text, length): to the console; length, or less */
	ABI_GETPID = 3,    /* () */
	ABI_MALLOC = 4,    /* (size): zeroed whole pages, or 0 */
	ABI_FREE = 5,      /* (address): anything but a block is ignored */
	ABI_SPAWN = 6,     /* (name, argv): the pid of a new process */
	ABI_FORK = 7,      /* (): the child's pid; 0 in the child */
	ABI_WAIT = 8,      /* (pid or -1, int *status): the pid that ended */
	ABI_BRK = 9,       /* (end or 0): the break afterwards */
	ABI_MMAP = 10,     /* (address, size, prot, flags): where */
	ABI_MUNMAP = 11,   /* (address, size) */
	ABI_MPROTECT = 12, /* (address, size, prot) */
	ABI_MREMAP = 13,   /* (address, size, new size, flags): where */
	ABI_SLEEP = 14,    /* (milliseconds) */
	ABI_MEMINFO = 15,  /* (struct abi_meminfo *) */
	ABI_KILL = 16,     /* (pid) */
	ABI_YIELD = 17,    /* () */
	ABI_MADVISE = 18,  /* (address, size, advice) */
	ABI_GETPPID = 19,  /* (): 0 for one the kernel started */
	ABI_TICKS = 20,    /* (): of the timer, ABI_HZ a second, since boot */
	ABI_CALL_COUNT
};

#define ABI_HZ 100u

/* prot of mmap and mprotect: any of these, or 0 for no access at all. */
#define ABI_PROT_READ 1u
#define ABI_PROT_WRITE 2u
#define ABI_PROT_EXEC 4u

/* flags of mmap. Without FIXED the address is a hint. All memory is zeroed. */
#define ABI_MAP_SHARED 1u   /* a child of fork sees the same memory */
#define ABI_MAP_FIXED 2u    /* exactly there, in place of what is there */
#define ABI_MAP_POPULATE 4u /* with all its frames, from the start */

/* flags of mremap. */
#define ABI_REMAP_MAYMOVE 1u

/* advice of madvise. */
#define ABI_ADVISE_WILLNEED 3u /* all frames now, as far as there are any */
#define ABI_ADVISE_DONTNEED 4u /* zeros from now on; the frames go back */

/* Most arguments of a program, and most characters of all of them. */
#define ABI_ARGUMENTS_MOST 32u
#define ABI_ARGUMENT_BYTES 2048u

/*
 * What wait tells: the low byte of exit's code, or how the process was ended.
 */
#define ABI_STATUS_KILLED 0x100u
enum abi_end {
	ABI_END_KILL = ABI_STATUS_KILLED, /* by kill */
	ABI_END_FAULT,  /* an address it may not use that way */
	ABI_END_TRAP,   /* an exception: division, opcode, privilege */
	ABI_END_MEMORY, /* memory ran out, and it had the most */
};

/*
 * A program's address space: the stack, the program above it, and the break and
 * all maps from ABI_SPACE_BASE on. argc is at the first ESP (RSP), the address
 * of argv behind it, then that of the environment, which is empty; each is as
 * wide as an address. ESP is then a multiple of 16.
 */
#define ABI_PROGRAM_BASE 0x00400000u
#define ABI_STACK_END 0x003FF000u
#define ABI_STACK_BYTES 16384u
#define ABI_STACK_BASE (ABI_STACK_END - ABI_STACK_BYTES)
#define ABI_SPACE_BASE 0x10000000u
#define ABI_SPACE_END                                                          \
	((uintptr_t)(UINTPTR_MAX > 0xFFFFFFFFu ? 0x00007FFFFFFFF000u           \
					       : 0xC0000000u))

struct abi_meminfo {
	uint32_t total_pages; /* all that the floor of page frames manages */
	uint32_t free_pages;
	uint32_t resident_pages; /* the caller's own */
	uint32_t mapped_pages;   /* of its regions, resident or not */
	uint32_t table_pages;    /* its page tables */
	uint32_t faults;         /* that it has had */
};

#endif
