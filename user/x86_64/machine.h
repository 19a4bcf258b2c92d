/* SPDX-License-Identifier: MIT */
/* What a program for the x86-64 does in instructions of its own. */
#ifndef USER_X86_64_MACHINE_H
#define USER_X86_64_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

/* A call of the kernel: see kernel/abi.h. */
static inline long machine_call(uint32_t number, uintptr_t a, uintptr_t b,
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

/* One without arguments. */
static inline long machine_call_none(uint32_t number)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"((uintptr_t)number)
			 : "rcx", "r11", "memory");
	return result;
}

/* With a stack pointer that leads anywhere: a call has no need of one. */
static inline void machine_call_on(uint32_t number, uintptr_t stack)
{
	uintptr_t rax = number;

	__asm__ volatile("movq %%rsp, %%rbx\n\t"
			 "movq %1, %%rsp\n\t"
			 "syscall\n\t"
			 "movq %%rbx, %%rsp"
			 : "+a"(rax)
			 : "r"(stack), "D"(stack), "S"(stack), "d"(stack)
			 : "rbx", "rcx", "r11", "memory", "cc");
}

/* One step with the trap flag set. Keeps off the red zone. */
static inline void machine_single_step(void)
{
	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
			 "pushfq\n\t"
			 "orq $0x100, (%%rsp)\n\t"
			 "popfq\n\t"
			 "nop\n\t"
			 "leaq 128(%%rsp), %%rsp"
			 :
			 :
			 : "cc", "memory");
}

/* True if there are XMM registers of 128 bits. */
static inline bool machine_has_sse2(void)
{
	return true;
}

/* Addresses at the bounds of this machine's spaces, for calls to refuse. */
#define MACHINE_EDGES                                                          \
	0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x100000000, 0x7FFFFFFFE000,       \
		0x7FFFFFFFEFFF, 0x7FFFFFFFF000, 0x7FFFFFFFFFFF,                \
		0x800000000000, 0x8000000000000000, 0xFF00000000000000,        \
		0xFFFF7FFFFFFFFFFF, 0xFFFF800000000000, 0xFFFF800000100000,    \
		0xFFFFB00000001000, 0xFFFFC80000000000, 0xFFFFD00000000000,    \
		0xFFFFFFFF80100000, 0xFFFFFFFFFFFFF000, 0xFFFFFFFFFFFFF001,    \
		0xFFFFFFFFFFFFFFFC, 0xFFFFFFFFFFFFFFFF

#endif
