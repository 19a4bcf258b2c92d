/* SPDX-License-Identifier: MIT */
/* Exceptions and interrupts: who handles them, and tests that expect them. */
#ifndef KERNEL_TRAP_H
#define KERNEL_TRAP_H

#include <loam/types.h>

#include "trap_frame.h"

#define TRAP_DEBUG 1u
#define TRAP_NMI 2u
#define TRAP_NO_COPROCESSOR 7u
#define TRAP_DOUBLE_FAULT 8u
#define TRAP_PAGE_FAULT 14u
#define TRAP_MACHINE_CHECK 18u
#define TRAP_COUNT 32u /* exceptions; interrupt line n is vector 32 + n */
#define TRAP_LINES 16u
#define TRAP_LOCALS 16u /* of the CPUs themselves: from vector 48 on */
#define TRAP_VECTORS (TRAP_COUNT + TRAP_LINES + TRAP_LOCALS)

/* Bits of a page fault's error code, as the x86 has them. */
#define TRAP_PF_PRESENT 1u
#define TRAP_PF_WRITE 2u
#define TRAP_PF_USER 4u
#define TRAP_PF_RESERVED 8u
#define TRAP_PF_FETCH 16u

/* Returns 0, and again with the value given to trap_jump(). */
__attribute__((returns_twice)) int trap_save(struct trap_context *context);
_Noreturn void trap_jump(struct trap_context *context, int value);

/* What an expected fault was. */
struct trap_report {
	uint32_t vector;
	uint32_t error;
	uintptr_t address; /* of a page fault */
	uintptr_t pc;      /* of the instruction */
};

/*
 * Runs fn(arg) and tells whether it ended in an exception, of which it fills
 * *out. For tests: what fn held at that moment stays held. Does not nest.
 */
bool trap_expect(void (*fn)(void *arg), void *arg, struct trap_report *out);

/*
 * For tests: what runs after each instruction of the kernel's that was executed
 * with EFLAGS.TF set, interrupts off, in the place of an interrupt. NULL: none
 * is expected.
 */
extern void (*trap_stepper)(struct trap_frame *frame);

struct cpu;

/* Makes the interrupt table, and prepares the CPU that runs this. */
void trap_init(void);

/* Loads the tables of a CPU, the one that runs this, and finds it by them. */
void trap_init_cpu(struct cpu *cpu);

/* Moves interrupt lines 0 to 15 to vectors 32 to 47, all of them masked. */
void irq_init(void);

/*
 * Calls handler, interrupts off, whenever the line is raised, and unmasks it;
 * NULL masks it again.
 */
void irq_set(unsigned line, void (*handler)(void));

/* Raises line 0 about hz times a second (19 to 1193182). */
void irq_set_timer(unsigned hz);

/* -------- stacks, and ring 3 -------- */

/*
 * Lays a stack that ends at stack_end out so that the first trap_switch() to
 * what this returns calls entry(argument), once trap_thread_begin() has done
 * what is to be done there. entry does not return.
 */
void *trap_prepare(void *stack_end, void (*entry)(void *argument),
		   void *argument);

/*
 * Saves what a call keeps of the registers, and the stack pointer in *from, and
 * goes on where `to` was saved. Interrupts are off.
 */
void trap_switch(void **from, void *to);

/* Where the kernel's stack begins at the next entry from ring 3. */
void trap_set_stack(void *stack_end);

/* A program's first registers: all zero but for where it starts. */
void trap_user_start(struct trap_frame *frame, uintptr_t entry,
		     uintptr_t stack);

/* Goes to ring 3 with these registers. *frame lies where a stack ends. */
_Noreturn void trap_leave(struct trap_frame *frame);

/* Prints a program's registers. */
void trap_print_user(const struct trap_frame *frame);

/* -------- between the machine's entry code and its handlers -------- */

/* A call of ring 3, interrupts off; returns to have the program resume. */
void trap_syscall(struct trap_frame *frame);

/* First on a new stack, interrupts off. */
_Noreturn void trap_thread_begin(void (*entry)(void *argument), void *argument);

/* Called with interrupts off; returns to have the interrupted code resume. */
void trap_dispatch(struct trap_frame *frame);

/* Calls the handler of an interrupt line and tells the controllers. */
void irq_dispatch(unsigned line);

/* An interrupt of the CPU's own, by its number from 0 on (lapic.h). */
void local_dispatch(unsigned number);

/* A non-maskable interrupt: another CPU has reported a fault (stop.c). */
void trap_nmi(const struct trap_frame *frame);

/*
 * Reports an exception nobody expects and stops, or goes where trap_expect()
 * waits.
 */
_Noreturn void exception_handle(const struct trap_frame *frame);

/*
 * Where trap_expect() waits for an exception, which the caller then must end
 * there, or NULL. Given a context, *out of trap_expect() is filled.
 */
struct trap_context *exception_expected(uint32_t vector, uint32_t error,
					uintptr_t pc);

/* "page fault" and the like. */
const char *exception_name(uint32_t vector);

/* What a page fault's error code says, in a line. */
void exception_print_access(uintptr_t address, uint32_t error);

/* What the CPU says of the page fault, and the walk for its address. */
void exception_print_page_fault(uint32_t error);

/* Says so if the current stack overflowed, to go by the stack pointer. */
void exception_print_overflow(uintptr_t sp);

/*
 * Prints return addresses found on the stack from sp up, with names. fp is
 * the first link of a chain of frame pointers, or anything else.
 */
void exception_trace(uintptr_t pc, uintptr_t sp, uintptr_t fp);

/* The same on another task's stack. */
struct task;
void exception_trace_of(const struct task *task, uintptr_t pc, uintptr_t sp,
			uintptr_t fp);

/* The machine's part: prints all registers, sp as it was at that moment. */
void exception_print_registers(const struct trap_frame *frame, uintptr_t sp);

/* The stack pointer of the interrupted code. */
uintptr_t exception_stack_of(const struct trap_frame *frame);

#endif
