/* SPDX-License-Identifier: MIT */
/* The scheduler: round robin, preemptive, for one CPU. */

/*
 * A task is a stack in the kernel and what was saved on it. Ready tasks queue;
 * the timer, ABI_HZ times a second, sends the running one to the end of the
 * queue. The timer runs only while there is more than one task.
 *
 * There is no idle task: whoever goes to sleep and finds the queue empty waits
 * for an interrupt, on its own stack, until somebody is ready, perhaps itself.
 *
 * Preemption. From ring 3 a tick always switches. In the kernel it does so too,
 * wherever interrupts are on, unless the library is in one of its per-CPU fast
 * paths: these keep interrupts out by a busy flag that assumes that whoever
 * interrupts is done before they go on. So the flags of slabs and frames, the
 * depth of the temporary maps and the count of task_keep() are looked at, and
 * if any is set the switch happens at the next occasion: the end of the next
 * interrupt, task_unkeep(), or the way back to ring 3. A task that was
 * preempted between its test of a flag and its setting it finds the flag as it
 * was, since whoever ran in between was not preempted with the flag set either.
 * Locks of the library keep interrupts out, so nobody is preempted who holds
 * one.
 *
 * Address spaces. A switch loads page tables only if the next task needs others
 * than are loaded; a kernel thread runs with whatever is there, for the
 * kernel's half is the same everywhere.
 */

#include <loam/mem.h>

#include "arch.h"
#include "fpu.h"
#include "kernel.h"
#include "mmu.h"
#include "task.h"

#define TASK_TIMER_LINE 0u

/* Fields: i with interrupts off. */
static struct {
	struct loam_list ready;  /* i */
	struct loam_list all;    /* i */
	struct task *previous;   /* i: during a switch: who was left */
	struct loam_proc *space; /* i: loaded; NULL: the kernel's tables */
	volatile uint64_t now;   /* i */
	volatile bool wanted;    /* somebody else should run */
	volatile unsigned kept;  /* the running task's own */
	bool timer;              /* i */
	struct task_stats stats; /* i */
	struct task first;
} tasks;

static struct task *task_running = &tasks.first;

struct task *task_current(void)
{
	return task_running;
}

uint64_t task_now(void)
{
	uintptr_t state = task_lock();
	uint64_t now = tasks.now;
	task_unlock(state);
	return now;
}

uintptr_t task_lock(void)
{
	uintptr_t state = cpu_read_eflags();
	cpu_cli();
	return state;
}

void task_unlock(uintptr_t state)
{
	if ((state & CPU_EFLAGS_IF) != 0) {
		cpu_sti();
	}
}

void task_stack(uintptr_t *bottom, uintptr_t *top)
{
	struct task *task = task_running;

	if (task->stack == NULL) {
		*bottom = (uintptr_t)boot_stack_bottom;
		*top = (uintptr_t)boot_stack_top;
		return;
	}
	*bottom = (uintptr_t)task->stack;
	*top = *bottom + task->stack_bytes;
}

void task_init(void)
{
	struct task *task = &tasks.first;

	loam_list_init(&tasks.ready);
	loam_list_init(&tasks.all);
	loam_list_init(&task->ready);
	loam_list_insert_tail(&tasks.all, &task->all);
	task->name = "shell";
	task->stack = (unsigned char *)boot_stack_bottom;
	task->stack_bytes = KERNEL_STACK_BYTES;
	tasks.stats.count = 1;
}

/* -------- the timer -------- */

/* Interrupts are off. */
static void task_timer(bool on)
{
	if (on == tasks.timer) {
		return;
	}
	tasks.timer = on;
	if (on) {
		irq_set_timer(TASK_HZ);
	}
	irq_set(TASK_TIMER_LINE, on ? task_tick : NULL);
}

/* Interrupts are off. */
static void task_make_ready(struct task *task, bool woken)
{
	task->state = TASK_READY;
	task->channel = NULL;
	task->woken = woken;
	loam_list_insert_tail(&tasks.ready, &task->ready);
	tasks.wanted = true;
}

void task_tick(void)
{
	struct loam_list *link;

	tasks.now++;
	task_running->ticks++;
	LOAM_LIST_EACH(link, &tasks.all)
	{
		struct task *task = LOAM_CONTAINER(link, struct task, all);
		if (task->state == TASK_SLEEPING &&
		    task->wake_tick <= tasks.now) {
			task_make_ready(task, false);
		}
	}
	if (!loam_list_empty(&tasks.ready)) {
		tasks.wanted = true;
	}
}

/* -------- switching -------- */

void task_switched(void)
{
	struct task *previous = tasks.previous;

	tasks.previous = NULL;
	if (previous != NULL && previous->state == TASK_DEAD) {
		task_bury(previous);
	}
}

/* Interrupts are off. NULL: the kernel's own tables. */
static void task_load(struct loam_proc *space)
{
	struct loam_proc *from = tasks.space;

	if (space != NULL) {
		loam_proc_enter(space);
	}
	mmu_load_root(space != NULL ? loam_proc_root(space) : kernel.pt.root);
	tasks.space = space;
	if (from != NULL) {
		loam_proc_leave(from);
	}
}

/* Interrupts are off, next is not the running one. */
static void task_switch(struct task *next)
{
	struct task *from = task_running;

	tasks.stats.switches++;
	tasks.previous = from;
	task_running = next;
	trap_set_stack(next->stack + next->stack_bytes);
	if (next->space != NULL && next->space != tasks.space) {
		tasks.stats.root_loads++;
		task_load(next->space);
	}
	fpu_switch(from, next);
	trap_switch(&from->context, next->context);
	task_switched();
}

/*
 * Gives the CPU to the next in the queue, and waits for one if there is none
 * and the running task cannot go on. Interrupts are off.
 */
static void task_schedule(void)
{
	tasks.wanted = false;
	while (loam_list_empty(&tasks.ready)) {
		if (task_running->state == TASK_READY) {
			return;
		}
		cpu_wait_interrupt();
	}
	struct task *next =
		LOAM_CONTAINER(tasks.ready.next, struct task, ready);
	loam_list_remove(&next->ready);
	if (next != task_running) {
		task_switch(next);
	}
}

/* The running task goes to the end of the queue. Interrupts are off. */
static void task_requeue(void)
{
	loam_list_insert_tail(&tasks.ready, &task_running->ready);
	task_schedule();
}

void task_yield(void)
{
	uintptr_t state = task_lock();
	task_requeue();
	task_unlock(state);
}

/* True if the library, or the task itself, must not be left just now. */
static bool task_is_kept(void)
{
	return (tasks.kept | kernel.slabs.cpu[0].busy |
		kernel.frames.cpus[0].busy | kernel.kspace.temps[0].depth) != 0;
}

void task_interrupted(void)
{
	if (!tasks.wanted || task_running->state != TASK_READY ||
	    !loam_list_empty(&task_running->ready)) {
		return;
	}
	if (task_is_kept()) {
		tasks.stats.deferred++;
		return;
	}
	tasks.stats.preemptions++;
	tasks.stats.in_kernel++;
	task_requeue();
}

void task_to_user(void)
{
	while (tasks.wanted) {
		tasks.stats.preemptions++;
		task_requeue();
	}
}

void task_keep(void)
{
	tasks.kept++;
	LOAM_COMPILER_BARRIER();
}

void task_unkeep(void)
{
	LOAM_COMPILER_BARRIER();
	tasks.kept--;
	if (tasks.wanted && (cpu_read_eflags() & CPU_EFLAGS_IF) != 0) {
		uintptr_t state = task_lock();
		task_interrupted();
		task_unlock(state);
	}
}

bool task_sleep(const void *channel, uint64_t wake_tick)
{
	uintptr_t state = task_lock();
	struct task *task = task_running;

	task->state = TASK_SLEEPING;
	task->channel = channel;
	task->wake_tick = wake_tick;
	if (wake_tick != TASK_FOREVER) {
		task_timer(true);
	}
	task_schedule();
	task_timer(tasks.stats.count > 1);
	bool woken = task->woken;
	task_unlock(state);
	return woken;
}

void task_wake(const void *channel)
{
	uintptr_t state = task_lock();
	struct loam_list *link;

	LOAM_LIST_EACH(link, &tasks.all)
	{
		struct task *task = LOAM_CONTAINER(link, struct task, all);
		if (task->state == TASK_SLEEPING && task->channel == channel) {
			task_make_ready(task, true);
		}
	}
	task_unlock(state);
}

void task_rouse(struct task *task)
{
	uintptr_t state = task_lock();

	if (task->state == TASK_SLEEPING) {
		task_make_ready(task, true);
	}
	task_unlock(state);
}

void task_leave_space(void)
{
	uintptr_t state = task_lock();

	if (tasks.space != NULL && tasks.space == task_running->space) {
		task_load(NULL);
	}
	task_running->space = NULL;
	task_unlock(state);
}

/* -------- beginning and end -------- */

int task_prepare(struct task *task, void (*entry)(void *argument),
		 void *argument)
{
	task->stack = loam_kspace_vmalloc(
		&kernel.kspace, TASK_STACK_BYTES, 0,
		LOAM_HIGH | LOAM_OWNED_BY(LOAM_OWNER_STACK));
	if (task->stack == NULL) {
		return -LOAM_ENOMEM;
	}
	task->stack_bytes = TASK_STACK_BYTES;
	/*
	 * Nothing of whoever had the frames is left: no secret, and no code.
	 * (An emulator that once translated code there takes each write beside
	 * it the slow way until the code itself is overwritten.)
	 */
	memset(task->stack, 0, TASK_STACK_BYTES);
	task->context =
		trap_prepare(task->stack + task->stack_bytes, entry, argument);
	loam_list_init(&task->ready);
	return 0;
}

void task_ready(struct task *task)
{
	uintptr_t state = task_lock();

	loam_list_insert_tail(&tasks.all, &task->all);
	tasks.stats.count++;
	task_timer(true);
	/* Who made it goes on until its time is over. */
	bool wanted = tasks.wanted;
	task_make_ready(task, false);
	tasks.wanted = wanted;
	task_unlock(state);
}

int task_start(struct task *task, void (*entry)(void *argument), void *argument)
{
	int error = task_prepare(task, entry, argument);

	if (error == 0) {
		task_ready(task);
	}
	return error;
}

void task_discard(struct task *task)
{
	vfree(task->stack);
	task->stack = NULL;
}

static void task_free(struct task *task)
{
	kfree(task);
}

struct task *task_create(const char *name, void (*entry)(void *argument),
			 void *argument)
{
	struct task *task = kzalloc(sizeof(*task));

	if (task == NULL) {
		return NULL;
	}
	task->name = name;
	task->release = task_free;
	if (task_start(task, entry, argument) != 0) {
		kfree(task);
		return NULL;
	}
	return task;
}

void task_bury(struct task *task)
{
	uintptr_t state = task_lock();

	LOAM_VERIFY(task != task_running && task->state >= TASK_ENDED);
	loam_list_remove(&task->all);
	tasks.stats.count--;
	task_timer(tasks.stats.count > 1);
	fpu_forget(task);
	task_unlock(state);
	vfree(task->stack);
	task->release(task);
}

_Noreturn static void task_finish(enum task_state end)
{
	task_lock();
	task_running->state = end;
	task_schedule();
	loam_panic("a task that has ended goes on");
}

_Noreturn void task_end(void)
{
	task_finish(TASK_DEAD);
}

_Noreturn void task_leave(void)
{
	task_finish(TASK_ENDED);
}

_Noreturn void trap_thread_begin(void (*entry)(void *argument), void *argument)
{
	task_switched();
	cpu_sti();
	entry(argument);
	task_end();
}

/* -------- looking -------- */

int task_each(int (*visit)(void *arg, struct task *task), void *arg)
{
	uintptr_t state = task_lock();
	struct loam_list *link;
	int result = 0;

	LOAM_LIST_EACH(link, &tasks.all)
	{
		result = visit(arg, LOAM_CONTAINER(link, struct task, all));
		if (result != 0) {
			break;
		}
	}
	task_unlock(state);
	return result;
}

void task_stats(struct task_stats *out)
{
	uintptr_t state = task_lock();
	*out = tasks.stats;
	task_unlock(state);
}

int task_check(void)
{
	struct loam_list *link;
	unsigned queued = 0;
	unsigned ready = 0;
	unsigned count = 0;

	LOAM_LIST_EACH(link, &tasks.ready)
	{
		LOAM_CHECK(LOAM_CONTAINER(link, struct task, ready)->state ==
			   TASK_READY);
		queued++;
	}
	LOAM_LIST_EACH(link, &tasks.all)
	{
		struct task *task = LOAM_CONTAINER(link, struct task, all);
		ready += task->state == TASK_READY && task != task_running;
		count++;
	}
	LOAM_CHECK(queued == ready);
	LOAM_CHECK(count == tasks.stats.count);
	LOAM_CHECK(tasks.timer == (count > 1));
	return 0;
}
