/* SPDX-License-Identifier: MIT */
/* A program's calls where the kernel is Linux, in the place of Loam's own. */
#ifndef BENCH_LINUX_MACHINE_H
#define BENCH_LINUX_MACHINE_H

#include <stdint.h>

#include "../../kernel/abi.h"

/* Of Linux's calls on x86-64, those that are made here. */
enum linux_call {
	LINUX_WRITE = 1,
	LINUX_OPEN = 2,
	LINUX_MMAP = 9,
	LINUX_MUNMAP = 11,
	LINUX_BRK = 12,
	LINUX_IOCTL = 16,
	LINUX_PAUSE = 34,
	LINUX_GETPID = 39,
	LINUX_FORK = 57,
	LINUX_EXECVE = 59,
	LINUX_EXIT = 60,
	LINUX_WAIT4 = 61,
	LINUX_KILL = 62,
	LINUX_UNAME = 63,
	LINUX_GETPPID = 110,
	LINUX_PRCTL = 157,
	LINUX_IOPERM = 173,
	LINUX_FINIT_MODULE = 313,
};

/* A call of the kernel; the result is its own, a negated errno included. */
static inline long linux_call(enum linux_call number, uintptr_t a, uintptr_t b,
			      uintptr_t c, uintptr_t d)
{
	register uintptr_t r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"((uintptr_t)number), "D"(a), "S"(b), "d"(c),
			   "r"(r10)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

/* The only one with six arguments; what is mapped is no file. */
static inline long linux_mmap(uintptr_t at, uintptr_t size, uintptr_t prot,
			      uintptr_t flags)
{
	register uintptr_t r10 __asm__("r10") = flags;
	register uintptr_t r8 __asm__("r8") = (uintptr_t)-1;
	register uintptr_t r9 __asm__("r9") = 0;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"((uintptr_t)LINUX_MMAP), "D"(at), "S"(size),
			   "d"(prot), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory", "cc");
	return result;
}

/*
 * As user/x86_64/machine.h has it, with Loam's number: the two calls that a
 * program makes this way to measure them. Only the call itself is left.
 */
static inline long machine_call_none(uint32_t number)
{
	uintptr_t own = number == ABI_GETPPID ? LINUX_GETPPID : LINUX_GETPID;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(own)
			 : "rcx", "r11", "memory");
	return result;
}

#endif
