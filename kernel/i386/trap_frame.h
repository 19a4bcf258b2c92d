/* SPDX-License-Identifier: MIT */
/* What traps.asm saves of the interrupted code. */
#ifndef KERNEL_I386_TRAP_FRAME_H
#define KERNEL_I386_TRAP_FRAME_H

#include <loam/types.h>

/* The stack as traps.asm leaves it, lowest address first. */
struct trap_frame {
	uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	uint32_t vector;
	uint32_t error; /* 0 where the CPU pushes none */
	uint32_t eip, cs, eflags;
};

/* A place to come back to. traps.asm knows the order. */
struct trap_context {
	uint32_t ebx, esi, edi, ebp, esp, eip, eflags;
};

#define TRAP_FRAME_PC(frame) ((frame)->eip)
#define TRAP_FRAME_FP(frame) ((frame)->ebp)

/* -------- between traps.asm, idt.c and fault_task.c -------- */

/* Entry points of vectors 0 to 47, and of the double-fault task. */
extern const uint32_t trap_vectors[];
void trap_fault_task(void);

/* Called by traps.asm; returns to have the kernel's task resume. */
void trap_double_fault(void);

#endif
