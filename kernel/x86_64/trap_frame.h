/* SPDX-License-Identifier: MIT */
/* What traps.asm saves of the interrupted code. */
#ifndef KERNEL_X86_64_TRAP_FRAME_H
#define KERNEL_X86_64_TRAP_FRAME_H

#include <loam/types.h>

/* The stack as traps.asm leaves it, lowest address first. */
struct trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector;
	uint64_t error; /* 0 where the CPU pushes none */
	uint64_t rip, cs, rflags, rsp, ss;
};

/* A place to come back to. traps.asm knows the order. */
struct trap_context {
	uint64_t rbx, rbp, r12, r13, r14, r15, rsp, rip, rflags;
};

#define TRAP_FRAME_PC(frame) ((frame)->rip)
#define TRAP_FRAME_FLAGS(frame) ((frame)->rflags)
#define TRAP_FRAME_FP(frame) ((frame)->rbp)

static inline bool trap_from_user(const struct trap_frame *frame)
{
	return (frame->cs & 3u) != 0;
}

/* A call of a program: its number, and where its result goes. */
static inline uintptr_t trap_call_number(const struct trap_frame *frame)
{
	return frame->rax;
}

static inline void trap_set_result(struct trap_frame *frame, long result)
{
	frame->rax = (uint64_t)result;
}

/* Its arguments, at most four, of which count are wanted. Always 0. */
int trap_call_arguments(const struct trap_frame *frame, uintptr_t *to,
			size_t count);

/* -------- between traps.asm, idt.c and user.c -------- */

extern const char trap_entry_syscall[];
extern const char trap_thread_entry[];

/* Entry points of vectors 0 to 63, in traps.asm. */
extern const uint64_t trap_vectors[];

/* Lets programs call by syscall on this CPU. */
void trap_init_syscall(void);

#endif
