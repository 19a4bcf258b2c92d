/* SPDX-License-Identifier: MIT */
/* Starts, copies, ends and buries processes. */

/*
 * A process is a task with an address space. It begins in the kernel, on its
 * own stack there, puts its arguments onto its user stack and goes to ring 3;
 * from then on the kernel runs on its stack only for calls, faults and
 * interrupts.
 *
 * It ends itself, always: who kills another only says so (`ending`), and the
 * victim finds it before it goes to ring 3 again, or when it is roused from a
 * sleep. So nothing is torn down under anybody's feet. What it leaves until its
 * parent has asked is its structure and its stack. Children of one that has
 * ended belong to the kernel, which buries them at once.
 *
 * All relations between processes change under task_lock(), interrupts off.
 */

#include <loam/mem.h>

#include "arch.h"
#include "console.h"
#include "cpus.h"
#include "fpu.h"
#include "kernel.h"
#include "mmu.h"
#include "process.h"
#include "programs.h"
#include "usercopy.h"

/* Fields: t under task_lock(). */
static struct {
	struct loam_list all; /* t */
	bool ready;
	int last_pid;               /* t */
	struct process_stats stats; /* t */
} processes;

/* -------- the list -------- */

static struct process *process_of(struct loam_list *link)
{
	return LOAM_CONTAINER(link, struct process, all);
}

/* Under task_lock(). */
static struct process *process_find(int pid)
{
	struct loam_list *link;

	if (!processes.ready) {
		return NULL;
	}
	LOAM_LIST_EACH(link, &processes.all)
	{
		if (process_of(link)->pid == pid) {
			return process_of(link);
		}
	}
	return NULL;
}

int process_each(int (*visit)(void *arg, struct process *process), void *arg)
{
	uintptr_t state = task_lock();
	struct loam_list *link;
	int result = 0;

	if (processes.ready) {
		LOAM_LIST_EACH(link, &processes.all)
		{
			result = visit(arg, process_of(link));
			if (result != 0) {
				break;
			}
		}
	}
	task_unlock(state);
	return result;
}

/* The first at or above the pid that has not ended, kept from that; or NULL. */
static struct process *process_hold(int pid, bool exactly)
{
	uintptr_t state = task_lock();
	struct process *found = NULL;
	struct loam_list *link;

	if (processes.ready) {
		LOAM_LIST_EACH(link, &processes.all)
		{
			struct process *process = process_of(link);
			if (!process->ended && process->pid >= pid &&
			    (!exactly || process->pid == pid) &&
			    (found == NULL || process->pid < found->pid)) {
				found = process;
			}
		}
	}
	if (found != NULL) {
		found->users++;
	}
	task_unlock(state);
	return found;
}

static void process_let_go(struct process *process)
{
	uintptr_t state = task_lock();

	if (--process->users == 0) {
		task_wake(&process->users);
	}
	task_unlock(state);
}

int process_use(int pid, int (*use)(void *arg, struct process *process),
		void *arg)
{
	struct process *process = process_hold(pid, true);

	if (process == NULL) {
		return -ABI_ESRCH;
	}
	int result = use(arg, process);
	process_let_go(process);
	return result;
}

static void process_count(uint64_t *counter)
{
	uintptr_t state = task_lock();
	(*counter)++;
	task_unlock(state);
}

void process_stats(struct process_stats *out)
{
	uintptr_t state = task_lock();
	*out = processes.stats;
	task_unlock(state);
}

/* -------- birth -------- */

/* The task is off its stack, and nobody knows the process any more. */
static void process_release(struct task *task)
{
	struct process *process = task->process;

	uintptr_t state = task_lock();
	loam_list_remove(&process->all);
	processes.stats.count--;
	task_unlock(state);
	kfree(process->arguments);
	kfree(process);
}

/* Numbers it and puts it on the list. False: there are too many. */
static bool process_enlist(struct process *process)
{
	uintptr_t state = task_lock();
	bool room = processes.stats.count < PROCESS_MOST;

	if (!processes.ready) {
		loam_list_init(&processes.all);
		processes.ready = true;
	}
	if (room) {
		do {
			processes.last_pid = processes.last_pid % 32767 + 1;
		} while (process_find(processes.last_pid) != NULL);
		process->pid = processes.last_pid;
		loam_list_insert_tail(&processes.all, &process->all);
		processes.stats.count++;
	}
	task_unlock(state);
	return room;
}

static struct process *process_make(const char *name, struct process *parent)
{
	struct process *process = kzalloc(sizeof(*process));

	if (process == NULL) {
		return NULL;
	}
	loam_snprintf(process->name, sizeof(process->name), "%s", name);
	process->parent = parent;
	process->task.name = process->name;
	process->task.process = process;
	process->task.release = process_release;
	return process;
}

/* The registers of ring 3, at the end of the stack in the kernel. */
static struct trap_frame *process_frame(struct process *process)
{
	return (struct trap_frame *)(void *)(process->task.stack +
					     process->task.stack_bytes) -
	       1;
}

_Noreturn static void process_enter(struct process *process)
{
	cpu_cli();
	process_to_user();
	trap_leave(process_frame(process));
}

int process_add_argument(struct process_arguments *arguments, const char *text)
{
	size_t bytes = loam_strlen(text) + 1;

	if (arguments->count == ABI_ARGUMENTS_MOST ||
	    bytes > sizeof(arguments->text) - arguments->bytes) {
		return -ABI_E2BIG;
	}
	memcpy(arguments->text + arguments->bytes, text, bytes);
	arguments->bytes += (uint32_t)bytes;
	arguments->count++;
	return 0;
}

/*
 * The stack of a new program, from its end down: the strings, the pointers to
 * them with a NULL behind, no environment, and argc, argv, envp. Returns where
 * it begins, or 0.
 */
static uintptr_t process_push_arguments(const struct process_arguments *a)
{
	uintptr_t words[ABI_ARGUMENTS_MOST + 5];
	uintptr_t text = (ABI_STACK_END - a->bytes) & ~(uintptr_t)15;
	size_t used = (3 + a->count + 2) * sizeof(words[0]);
	uintptr_t start = (text - used) & ~(uintptr_t)15;
	uint32_t offset = 0;

	words[0] = a->count;
	words[1] = start + 3 * sizeof(words[0]);
	words[2] = words[1] + (a->count + 1) * sizeof(words[0]);
	for (uint32_t i = 0; i < a->count; i++) {
		words[3 + i] = text + offset;
		offset += (uint32_t)loam_strlen(a->text + offset) + 1;
	}
	words[3 + a->count] = 0;
	words[4 + a->count] = 0;
	if (usercopy_out(text, a->text, a->bytes) != 0 ||
	    usercopy_out(start, words, used) != 0) {
		return 0;
	}
	return start;
}

/* The first of a program, in its address space. */
static void process_begin(void *argument)
{
	struct process *process = argument;
	struct process_arguments *arguments = process->arguments;
	uintptr_t stack = process_push_arguments(arguments);
	uintptr_t entry = arguments->entry;

	process->arguments = NULL;
	kfree(arguments);
	if (stack == 0) {
		process_exit(ABI_END_MEMORY);
	}
	trap_user_start(process_frame(process), entry, stack);
	process_enter(process);
}

/* Fills the address space from the program's file. */
static int process_load(struct process *process,
			struct process_arguments *arguments)
{
	int error = loam_proc_create(&spaces, &process->space, process->name);

	if (error == 0) {
		process->space.owner = process;
		/* All the blocks of malloc there may be, twice. */
		process->space.limits.regions =
			2 * process->space.limits.allocations;
		error = program_map(process->name, &process->space,
				    &arguments->entry);
		if (error != 0) {
			loam_proc_destroy(&process->space);
		}
	}
	return error;
}

int process_spawn(const char *name, const struct process_arguments *arguments,
		  struct process *parent, bool joined)
{
	struct process *process = process_make(name, parent);

	if (process == NULL) {
		return -LOAM_ENOMEM;
	}
	int error = -LOAM_ENOMEM;
	process->joined = joined;
	process->arguments = kmalloc(sizeof(*arguments));
	if (process->arguments != NULL) {
		memcpy(process->arguments, arguments, sizeof(*arguments));
		error = process_load(process, process->arguments);
	}
	if (error != 0) {
		kfree(process->arguments);
		kfree(process);
		return error;
	}
	process->task.space = &process->space;
	error = task_prepare(&process->task, process_begin, process);
	if (error == 0 && !process_enlist(process)) {
		task_discard(&process->task);
		error = -LOAM_EAGAIN;
	}
	if (error != 0) {
		loam_proc_destroy(&process->space);
		kfree(process->arguments);
		kfree(process);
		return error;
	}
	int pid = process->pid;
	process_count(&processes.stats.started);
	task_ready(&process->task);
	return pid;
}

/* The first of a copy: back to where fork was called. */
static void process_resume(void *argument)
{
	process_enter(argument);
}

int process_fork(void)
{
	struct process *parent = process_current();
	struct process *child = process_make(parent->name, parent);

	if (child == NULL) {
		return -LOAM_ENOMEM;
	}
	int error = fpu_fork(&child->task);
	if (error == 0) {
		error = task_prepare(&child->task, process_resume, child);
	}
	if (error == 0) {
		error = loam_proc_fork(&parent->space, &child->space,
				       child->name);
		if (error == 0 && !process_enlist(child)) {
			loam_proc_destroy(&child->space);
			error = -LOAM_EAGAIN;
		}
		if (error != 0) {
			task_discard(&child->task);
		}
	}
	if (error != 0) {
		fpu_forget(&child->task);
		kfree(child);
		return error;
	}
	int pid = child->pid;
	child->space.owner = child;
	child->task.space = &child->space;
	*process_frame(child) = *process_frame(parent);
	trap_set_result(process_frame(child), 0);
	process_count(&processes.stats.forked);
	task_ready(&child->task);
	return pid;
}

/* -------- end -------- */

static unsigned process_end_index(uint32_t status)
{
	return (status & ABI_STATUS_KILLED) != 0
		       ? 1 + (status - ABI_STATUS_KILLED) % 4
		       : 0;
}

/* Children become the kernel's. Those that have ended are buried. */
static void process_orphan(struct process *process)
{
	struct process *ended;

	do {
		uintptr_t state = task_lock();
		struct loam_list *link;
		ended = NULL;
		LOAM_LIST_EACH(link, &processes.all)
		{
			struct process *child = process_of(link);
			if (child->parent != process) {
				continue;
			}
			child->parent = NULL;
			if (child->task.state == TASK_ENDED) {
				ended = child;
				break;
			}
		}
		task_unlock(state);
		if (ended != NULL) {
			task_bury(&ended->task);
		}
	} while (ended != NULL);
}

_Noreturn void process_exit(uint32_t status)
{
	struct process *process = process_current();

	process_orphan(process);
	/* From here on whatever is loaded must not be this space. */
	task_leave_space();
	uintptr_t state = task_lock();
	process->ended = true;
	process->status = status;
	processes.stats.ended[process_end_index(status)]++;
	while (process->users != 0) {
		task_sleep(&process->users, TASK_FOREVER);
	}
	task_unlock(state);
	loam_proc_destroy(&process->space);
	kfree(process->arguments);
	process->arguments = NULL;
	task_lock();
	if (process->parent == NULL && !process->joined) {
		task_end();
	}
	task_wake(process->parent != NULL ? (const void *)process->parent
					  : (const void *)process);
	task_leave();
}

/* A child that has ended, or NULL, and whether there is any. Under the lock. */
static struct process *process_ended_child(struct process *parent, int pid,
					   bool *any)
{
	struct loam_list *link;

	*any = false;
	LOAM_LIST_EACH(link, &processes.all)
	{
		struct process *child = process_of(link);
		if (child->parent != parent ||
		    (pid != -1 && child->pid != pid)) {
			continue;
		}
		*any = true;
		if (child->task.state == TASK_ENDED) {
			return child;
		}
	}
	return NULL;
}

int process_wait(int pid, uint32_t *status)
{
	struct process *parent = process_current();
	struct process *child;
	bool any;

	uintptr_t state = task_lock();
	for (;;) {
		child = process_ended_child(parent, pid, &any);
		if (child != NULL || !any || parent->ending != 0) {
			break;
		}
		task_sleep(parent, TASK_FOREVER);
	}
	task_unlock(state);
	if (child == NULL) {
		return any ? -ABI_EINTR : -ABI_ECHILD;
	}
	int found = child->pid;
	*status = child->status;
	task_bury(&child->task);
	return found;
}

uint32_t process_join(int pid)
{
	uintptr_t state = task_lock();
	struct process *process = process_find(pid);

	LOAM_VERIFY(process != NULL && process->joined);
	while (process->task.state != TASK_ENDED) {
		task_sleep(process, TASK_FOREVER);
	}
	task_unlock(state);
	uint32_t status = process->status;
	task_bury(&process->task);
	return status;
}

void process_end(struct process *process, enum abi_end how)
{
	uintptr_t state = task_lock();

	if (process->ending == 0) {
		process->ending = (uint32_t)how;
	}
	task_rouse(&process->task);
	task_unlock(state);
}

int process_kill(int pid, enum abi_end how)
{
	uintptr_t state = task_lock();
	struct process *process = process_find(pid);
	int error = -ABI_ESRCH;

	if (process != NULL && !process->ended) {
		process_end(process, how);
		error = 0;
	}
	task_unlock(state);
	return error;
}

void process_to_user(void)
{
	struct process *process = process_current();

	if (LOAM_UNLIKELY(cpu_this()->wanted)) {
		task_to_user();
	}
	if (LOAM_UNLIKELY(process->ending != 0)) {
		cpu_sti();
		process_exit(process->ending);
	}
}

int process_check(void)
{
	struct process *process;
	int error = 0;

	for (int pid = 1; error == 0; pid++) {
		process = process_hold(pid, false);
		if (process == NULL) {
			break;
		}
		pid = process->pid;
		error = loam_proc_check(&process->space);
		process_let_go(process);
	}
	if (error == 0) {
		error = loam_procs_check(&spaces);
	}
	return error != 0 ? error : task_check();
}
