/* SPDX-License-Identifier: MIT */
/* Processes: programs in address spaces of their own, from birth to burial. */
#ifndef KERNEL_PROCESS_H
#define KERNEL_PROCESS_H

#include "spaces.h"
#include "task.h"
#include "trap.h"

#define PROCESS_MOST 256u
#define PROCESS_NAME 32u

/*
 * Fields: c constant, t under task_lock(), o the process's own.
 */
struct process {
	struct task task;
	struct loam_proc space;   /* o, until it has ended */
	int pid;                  /* c */
	struct process *parent;   /* t: NULL: the kernel */
	struct loam_list all;     /* t */
	bool joined;              /* c: somebody in the kernel waits for it */
	volatile uint32_t ending; /* t: enum abi_end it is to end with, or 0 */
	uint32_t status;          /* t: what wait tells, once it has ended */
	bool ended;               /* t */
	unsigned users;           /* t: in process_use(): it cannot go */
	struct process_arguments *arguments; /* o: until it starts */
	char name[PROCESS_NAME];             /* c */
};

/* What a program is started with: its strings, one behind the other. */
struct process_arguments {
	uint32_t count;
	uint32_t bytes; /* of text in use, each string with its end */
	uintptr_t entry;
	char text[ABI_ARGUMENT_BYTES];
};

/* Adds one string. -ABI_E2BIG: too many, or too long. */
int process_add_argument(struct process_arguments *arguments, const char *text);

/*
 * Starts the program of that name with arguments, of which it takes a copy (the
 * first is the name, by custom). parent NULL: the kernel, and then `joined`
 * says whether it will process_join(). The pid, or a negative errno:
 * -LOAM_ENOENT (no such program), -LOAM_EINVAL (not a sound one, logged),
 * -LOAM_EAGAIN (PROCESS_MOST are there), -LOAM_ENOMEM.
 */
int process_spawn(const char *name, const struct process_arguments *arguments,
		  struct process *parent, bool joined);

/* Waits for one that was started with `joined`, and buries it. Its status. */
uint32_t process_join(int pid);

/* The current one, or NULL in a kernel thread. */
static inline struct process *process_current(void)
{
	return task_current()->process;
}

/* Ends the current one. status: as wait tells it. */
_Noreturn void process_exit(uint32_t status);

/* A copy of the current one: its pid, or -LOAM_EAGAIN, -LOAM_ENOMEM. */
int process_fork(void);

/*
 * Waits until a child (pid, or any for -1) has ended, buries it and tells its
 * pid and status. -ABI_ECHILD: there is no such child. -ABI_EINTR: the
 * process is to end itself.
 */
int process_wait(int pid, uint32_t *status);

/* Has a process end as soon as it can. -ABI_ESRCH: there is none. */
int process_kill(int pid, enum abi_end how);

/* The same for one that is known to be there. */
void process_end(struct process *process, enum abi_end how);

/* Calls visit for every process under task_lock(); stops at non-zero. */
int process_each(int (*visit)(void *arg, struct process *process), void *arg);

/*
 * Calls use with the process of this pid, which cannot end meanwhile; without
 * task_lock(), so that use may look at the address space.
 * -ABI_ESRCH: there is none, or it has ended; otherwise what use returned.
 */
int process_use(int pid, int (*use)(void *arg, struct process *process),
		void *arg);

struct process_stats {
	unsigned count;   /* there are, ended ones included */
	uint64_t started; /* by spawn */
	uint64_t forked;
	uint64_t ended[5]; /* by exit, kill, fault, trap, memory */
	uint64_t calls;    /* that programs made */
};
void process_stats(struct process_stats *out);

/* 0, or -LOAM_EFAULT (logged): every space, and the lists. */
int process_check(void);

/* -------- from the machine's handlers -------- */

/* int 0x80. Interrupts are on. */
void process_call(struct trap_frame *frame);

/* The last before ring 3, interrupts off: who runs, and whether it may. */
void process_to_user(void);

/*
 * A page fault of the current process or of a copy on its behalf. True: it was
 * resolved, and what faulted may be tried again.
 */
bool process_fault(uintptr_t address, uint32_t error);

/* Reports an exception of ring 3 and ends the process. */
_Noreturn void process_exception(const struct trap_frame *frame,
				 uintptr_t address);

#endif
