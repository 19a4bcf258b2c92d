/* SPDX-License-Identifier: MIT */
/* What traps.asm saves of the interrupted code. */
#ifndef KERNEL_I386_TRAP_FRAME_H
#define KERNEL_I386_TRAP_FRAME_H

#include <loam/types.h>

/* The stack as traps.asm leaves it, lowest address first. */
struct trap_frame {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	uint32_t vector;
	uint32_t error; /* 0 where the CPU pushes none */
	uint32_t eip, cs, eflags;
	uint32_t user_esp, user_ss; /* only where it came from ring 3 */
};

/* A place to come back to. traps.asm knows the order. */
struct trap_context {
	uint32_t ebx, esi, edi, ebp, esp, eip, eflags;
};

#define TRAP_FRAME_PC(frame) ((frame)->eip)
#define TRAP_FRAME_FLAGS(frame) ((frame)->eflags)
#define TRAP_FRAME_FP(frame) ((frame)->ebp)

static inline bool trap_from_user(const struct trap_frame *frame)
{
	return (frame->cs & 3u) != 0;
}

/* A call of a program: its number, and where its result goes. */
static inline uintptr_t trap_call_number(const struct trap_frame *frame)
{
	return frame->eax;
}

static inline void trap_set_result(struct trap_frame *frame, long result)
{
	frame->eax = (uint32_t)result;
}

/*
 * Its arguments, at most four, of which count are wanted. -LOAM_EFAULT: there
 * is no stack to take them from.
 */
int trap_call_arguments(const struct trap_frame *frame, uintptr_t *to,
			size_t count);

/* -------- between traps.asm, idt.c, user.c and fault_task.c -------- */

extern const char trap_entry_syscall[];
extern const char trap_thread_entry[];

/* Entry points of vectors 0 to 63, and of the double-fault task. */
extern const uint32_t trap_vectors[];
void trap_fault_task(void);

/* Called by traps.asm; returns to have the kernel's task resume. */
void trap_double_fault(void);

#endif
