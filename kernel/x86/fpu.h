/* SPDX-License-Identifier: MIT */
/* Floating-point and SSE registers of programs, and the loan of them. */
#ifndef KERNEL_X86_FPU_H
#define KERNEL_X86_FPU_H

#include <loam/types.h>

struct task;

/* Finds out what there is and makes the first use of it trap. */
void fpu_init(void);

/* The second on every other CPU. */
void fpu_init_cpu(void);

/* Called at every switch, interrupts off: next's first use traps. */
void fpu_switch(struct task *from, struct task *next);

/*
 * The trap of a first use: the current task's registers are loaded. False: this
 * CPU has none, or there is no memory to keep them in. Interrupts off.
 */
bool fpu_trap(void);

/* Gives child a copy of the current task's registers. -LOAM_ENOMEM. */
int fpu_fork(struct task *child);

/* Frees what is kept for a task, which runs nowhere. Under task_lock(). */
void fpu_forget(struct task *task);

/*
 * Fills a page, at a multiple of 16, with zeros; copies one. Through SSE2 where
 * there is, in 290 and 550 instructions. Context: any.
 */
void fpu_clear_page(void *page);
void fpu_copy_page(void *to, const void *from);

#endif
