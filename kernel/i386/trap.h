/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts: what traps.asm saves, who handles it. */
#ifndef KERNEL_I386_TRAP_H
#define KERNEL_I386_TRAP_H

#include <loam/types.h>

#define TRAP_DOUBLE_FAULT 8u
#define TRAP_PAGE_FAULT 14u
#define TRAP_COUNT 32u /* exceptions; interrupt line n is vector 32 + n */
#define TRAP_LINES 16u

/* Bits of a page fault's error code. */
#define TRAP_PF_PRESENT 1u
#define TRAP_PF_WRITE 2u
#define TRAP_PF_USER 4u
#define TRAP_PF_RESERVED 8u
#define TRAP_PF_FETCH 16u

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

/* Returns 0, and again with the value given to trap_jump(). */
__attribute__((returns_twice)) int trap_save(struct trap_context *context);
_Noreturn void trap_jump(struct trap_context *context, int value);

/* What an expected fault was. */
struct trap_report {
	uint32_t vector;
	uint32_t error;
	uint32_t address; /* CR2, of a page fault */
	uint32_t eip;
};

/*
 * Runs fn(arg) and tells whether it ended in an exception, of which it fills
 * *out. For tests: what fn held at that moment stays held. Does not nest.
 */
bool trap_expect(void (*fn)(void *arg), void *arg, struct trap_report *out);

/* Loads the interrupt table and the handlers of exceptions. */
void trap_init(void);

/* Moves interrupt lines 0 to 15 to vectors 32 to 47, all of them masked. */
void irq_init(void);

/*
 * Calls handler, interrupts off, whenever the line is raised, and unmasks it;
 * NULL masks it again.
 */
void irq_set(unsigned line, void (*handler)(void));

/* Raises line 0 about hz times a second (19 to 1193182). */
void irq_set_timer(unsigned hz);

/* -------- between traps.asm, idt.c and exceptions.c -------- */

/* Entry points of vectors 0 to 47, and of the double-fault task. */
extern const uint32_t trap_vectors[TRAP_COUNT + TRAP_LINES];
void trap_fault_task(void);

/* Called by traps.asm. The second returns to have the kernel task resume. */
void trap_dispatch(struct trap_frame *frame);
void trap_double_fault(void);

/* Reports an exception nobody expects and stops, or goes where trap_expect()
 * waits. */
_Noreturn void exception_handle(struct trap_frame *frame);

/*
 * Prints return addresses found on the stack from esp up, with names. ebp is
 * the first link of a chain of frame pointers, or anything else.
 */
void exception_trace(uint32_t eip, uint32_t esp, uint32_t ebp);

#endif
