/* SPDX-License-Identifier: MIT */
/* What a program for the i386 does in instructions of its own. */
#ifndef USER_I386_MACHINE_H
#define USER_I386_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* A call of the kernel: see kernel/abi.h. */
static inline long machine_call(uint32_t number, uintptr_t a, uintptr_t b,
				uintptr_t c, uintptr_t d)
{
	long result;

	__asm__ volatile("pushl %5\n\t"
			 "pushl %4\n\t"
			 "pushl %3\n\t"
			 "pushl %2\n\t"
			 "int $0x80\n\t"
			 "addl $16, %%esp"
			 : "=a"(result)
			 : "0"(number), "r"(a), "r"(b), "r"(c), "r"(d)
			 : "memory", "cc");
	return result;
}

/* One without arguments. */
static inline long machine_call_none(uint32_t number)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "0"(number) : "memory");
	return result;
}

/* With a stack pointer from which no arguments can be read, or all can. */
static inline void machine_call_on(uint32_t number, uintptr_t stack)
{
	__asm__ volatile("movl %%esp, %%esi\n\t"
			 "movl %1, %%esp\n\t"
			 "int $0x80\n\t"
			 "movl %%esi, %%esp"
			 : "+a"(number)
			 : "r"(stack)
			 : "esi", "memory", "cc");
}

/* One step with the trap flag set. */
static inline void machine_single_step(void)
{
	__asm__ volatile("pushfl\n\t"
			 "orl $0x100, (%%esp)\n\t"
			 "popfl\n\t"
			 "nop"
			 :
			 :
			 : "cc", "memory");
}

/* True if there are XMM registers of 128 bits. */
static inline bool machine_has_sse2(void)
{
	uint32_t before;
	uint32_t after;
	uint32_t edx = 0;

	__asm__ volatile("pushfl\n\t"
			 "popl %0\n\t"
			 "movl %0, %1\n\t"
			 "xorl $0x200000, %1\n\t"
			 "pushl %1\n\t"
			 "popfl\n\t"
			 "pushfl\n\t"
			 "popl %1"
			 : "=&r"(before), "=&r"(after)
			 :
			 : "cc");
	if (((before ^ after) & 0x200000u) == 0) {
		return false;
	}
	uint32_t eax = 1;
	__asm__ volatile("cpuid" : "+a"(eax), "=d"(edx) : : "ebx", "ecx");
	return ((edx >> 26) & 1) != 0;
}

/* Addresses at the bounds of this machine's spaces, for calls to refuse. */
#define MACHINE_EDGES                                                          \
	0x7FFFFFFF, 0x80000000, 0x80000001, 0xBFFFF000, 0xBFFFFFFC,            \
		0xBFFFFFFF, 0xC0000000, 0xC0100000, 0xD0001000, 0xE0001000,    \
		0xFF800000, 0xFFFFF000, 0xFFFFF001, 0xFFFFFFFC, 0xFFFFFFFE,    \
		0xFFFFFFFF

#endif
