/* SPDX-License-Identifier: MIT */
/* Tasks: kernel threads and the kernel side of processes, and who runs next. */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H

#include <loam/proc.h>

#include "abi.h"
#include "cpu_local.h"

#define TASK_STACK_BYTES 12288u
#define TASK_HZ ABI_HZ
#define TASK_FOREVER UINT64_MAX

enum task_state {
	TASK_READY,    /* in a queue, or runs */
	TASK_SLEEPING, /* until a wake of its channel, or its time */
	TASK_ENDED,    /* keeps its stack until somebody has asked for it */
	TASK_DEAD,     /* goes as soon as nobody runs on its stack */
};

struct cpu;
struct process;
struct trap_context;

/*
 * Fields: t under task_lock(), c constant, o the task's own.
 */
struct task {
	struct loam_list ready; /* t: in the queue, or empty */
	struct loam_list all;   /* t */
	enum task_state state;  /* t */
	const void *channel;    /* t: what it sleeps on */
	uint64_t wake_tick;     /* t: when it wakes by itself */
	bool woken;             /* t: by task_wake(), not by time */
	void *context;          /* t: its stack pointer while it does not run */
	unsigned char *stack;   /* c: TASK_STACK_BYTES, or the boot stack */
	size_t stack_bytes;     /* c */
	struct loam_proc *space; /* o: NULL: any will do */
	struct process *process; /* c: NULL for a kernel thread */
	struct cpu *bound;       /* c: the only CPU it runs on, or NULL: any */
	void *fpu;               /* o: saved registers, NULL: never used any */
	struct cpu *fpu_cpu;     /* o: whose registers were them last */
	struct trap_context *expecting; /* o: of trap_expect(), or NULL */
	const char *name;               /* c */
	uint64_t ticks;                 /* t: that found it running */
	/* Frees what task_create() did not make, once it is dead. */
	void (*release)(struct task *task); /* c */
};

/*
 * Makes the caller, on the boot stack, the first task, and CPU 0's idle one.
 * Before that the functions below that look at the current task may be called,
 * and see it. -LOAM_ENOMEM.
 */
int task_init(void);
struct task *task_first(void);

/* Makes the caller another CPU's idle task, on this stack, which then idles. */
void task_init_cpu(struct cpu *cpu, void *stack, size_t stack_bytes);
_Noreturn void task_idle(void);

/* The one that runs. */
static inline struct task *task_current(void)
{
	return cpu_running();
}

/*
 * Gives *task a guarded stack and lets it run entry(argument), which must
 * end by task_end() or task_leave(). The structure is the caller's, all zero
 * but for name, process, space and release. -LOAM_ENOMEM.
 */
int task_start(struct task *task, void (*entry)(void *argument),
	       void *argument);

/* The same without letting it run: task_ready() does. */
int task_prepare(struct task *task, void (*entry)(void *argument),
		 void *argument);
void task_ready(struct task *task);

/* It will run on this CPU alone. Before it is ready. */
void task_bind(struct task *task, struct cpu *cpu);

/* Takes a prepared task that was never ready apart again. */
void task_discard(struct task *task);

/* A kernel thread of its own. NULL: no memory. */
struct task *task_create(const char *name, void (*entry)(void *argument),
			 void *argument);

/* The same that runs on one CPU alone; NULL: on any. */
struct task *task_create_on(struct cpu *cpu, const char *name,
			    void (*entry)(void *argument), void *argument);

/* Ends the current task: it is TASK_DEAD and released, or waits as ENDED. */
_Noreturn void task_end(void);
_Noreturn void task_leave(void);

/* Releases a task that has ended and does not run. Without the lock. */
void task_bury(struct task *task);

/* Returns when all tasks that have died are gone. Context: as task_yield(). */
void task_settle(void);

/* Lets the others run first. */
void task_yield(void);

/*
 * Sleeps until task_wake() of this channel, or until the tick (TASK_FOREVER:
 * only that). True if it was woken. A wake between a condition's test and the
 * sleep is not lost if both are within task_lock() and task_unlock(), which the
 * sleep undoes and restores.
 */
bool task_sleep(const void *channel, uint64_t wake_tick);
void task_wake(const void *channel);

/* Wakes one task whatever it sleeps on. */
void task_rouse(struct task *task);

/*
 * The lock of all that tasks and processes are to each other, with interrupts
 * off; and as they were. Nests. Below the locks of address spaces, above all
 * others of the library.
 */
uintptr_t task_lock(void);
void task_unlock(uintptr_t state);

/* In between the current task is not preempted. Nests. */
void task_keep(void);
void task_unkeep(void);

/*
 * The current task goes on without a space, in the kernel's own tables, and no
 * CPU has its space loaded any more, if no other task has it.
 */
void task_leave_space(void);

/*
 * This CPU leaves a space that it has loaded for no task of its own. False: it
 * has none such. Interrupts are off.
 */
bool task_drop_lazy_space(void);

/* Ticks of the timer so far: they stand still while there is one task. */
uint64_t task_now(void);

/* From the machine's interrupts. */
void task_tick(void);
void task_interrupted(void); /* at the end of one that came to the kernel */
void task_to_user(void);     /* before going to ring 3, interrupts off */
void task_switched(void);    /* first thing on a new stack */

/* The bounds of the stack that the current task has in the kernel. */
void task_stack(uintptr_t *bottom, uintptr_t *top);
void task_stack_of(const struct task *task, uintptr_t *bottom, uintptr_t *top);

/* Calls visit for every task under task_lock(); stops at non-zero. */
int task_each(int (*visit)(void *arg, struct task *task), void *arg);

struct task_stats {
	uint64_t switches;
	uint64_t preemptions; /* of these: not the task's own wish */
	uint64_t in_kernel;   /* of those: while the task was in the kernel */
	uint64_t deferred;    /* ticks that found the kernel in a fast path */
	uint64_t root_loads;  /* switches that had to load page tables */
	unsigned count;       /* tasks there are */
	unsigned burying;     /* of these: that are just going */
};
void task_stats(struct task_stats *out);

/* 0, or -LOAM_EFAULT (logged): queue and states agree. */
int task_check(void);

#endif
