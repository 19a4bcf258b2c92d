/* SPDX-License-Identifier: MIT */
/* The scheduler: round robin, preemptive, on every CPU. */

/*
 * A task is a stack in the kernel and what was saved on it. Ready tasks wait in
 * one queue, from which every CPU takes the next; the timer, ABI_HZ times a
 * second, sends the running one to its end. A CPU with nothing to do runs its
 * idle task, which sleeps until an interrupt; who makes a task ready wakes an
 * idle CPU if there is one, by an interrupt, and else has it run where it is.
 *
 * Preemption. From ring 3 a tick always switches. In the kernel it does so too,
 * wherever interrupts are on, unless it has temporary maps, which are this
 * CPU's, or has called task_keep(): then the switch happens at the next
 * occasion, the end of the next interrupt, task_unkeep(), or the way back to
 * ring 3. A task that is preempted in one of the library's per-CPU fast paths
 * starts it again when it goes on (x86/restart.h). Their slow paths, and locks
 * of the library, keep interrupts out, so nobody is preempted in one of these.
 *
 * Which CPU. A task that was preempted in the kernel may have read the number
 * of its CPU and not used it yet: it goes on where it was, by a queue of that
 * CPU's own. So loam_cpu_enter() is one load, and nothing has to be counted. A
 * task that gives the CPU up itself, in task_sleep() or task_yield(), or that
 * was preempted on its way to ring 3, goes on anywhere.
 *
 * The lock. All of this, and all relations between tasks and processes, change
 * under one lock, task_lock(), with interrupts off. It is kept across a switch:
 * who is switched to gives it back. So nobody sees a task that sleeps or has
 * ended before the CPU has left its stack. What a tick would do under it waits
 * for the next tick while another CPU has it.
 *
 * Address spaces. A switch loads page tables only if the next task needs others
 * than are loaded; a kernel thread runs with whatever is there, for the
 * kernel's half is the same everywhere. Such a CPU is lazy: the first time that
 * another one changes the tables it leaves them, and is not asked again
 * (shootdown.c).
 */

#include <loam/mem.h>

#include "arch.h"
#include "cpus.h"
#include "fpu.h"
#include "kernel.h"
#include "lapic.h"
#include "mmu.h"
#include "spin.h"
#include "task.h"

#define TASK_TIMER_LINE 0u
#define TASK_PUT_OFF 8u /* times that a tick's work may wait */

/* Fields: t under the lock. */
static struct {
	struct loam_lock lock;
	struct loam_list ready;  /* t: those that any CPU may run */
	struct loam_list all;    /* t: idle tasks are not among them */
	struct loam_list dead;   /* t: those that have died and are to go */
	uint64_t now;            /* t */
	unsigned late;           /* CPU 0's: ticks that are not in `now` yet */
	uint32_t idle;           /* t: bit n: CPU n sleeps and was not woken */
	unsigned timed;          /* t: tasks that sleep until some time */
	bool timer;              /* t: of the machine, where CPUs have none */
	struct task_stats stats; /* t */
	struct task first;
	struct task idlers[CPUS_MOST];
} tasks = { .lock = LOAM_LOCK_INIT("tasks", LOAM_RANK_HOST) };

uintptr_t task_lock(void)
{
	uintptr_t state = cpu_read_eflags();

	cpu_cli();
	if (cpu_this()->lock_depth++ == 0) {
		loam_lock(&tasks.lock);
	}
	return state;
}

static void task_kick_told(struct cpu *here)
{
	uint32_t told = here->kicks;
	struct cpu *cpu;

	here->kicks = 0;
	while (cpus_next(&told, &cpu)) {
		cpus_kick(cpu);
	}
}

void task_unlock(uintptr_t state)
{
	struct cpu *cpu = cpu_this();

	if (--cpu->lock_depth == 0) {
		loam_unlock(&tasks.lock);
		if (LOAM_UNLIKELY(cpu->kicks != 0)) {
			task_kick_told(cpu);
		}
	}
	if ((state & CPU_EFLAGS_IF) != 0) {
		cpu_sti();
	}
}

uint64_t task_now(void)
{
	uintptr_t state = task_lock();
	uint64_t now = tasks.now;
	task_unlock(state);
	return now;
}

void task_stack_of(const struct task *task, uintptr_t *bottom, uintptr_t *top)
{
	if (task->stack == NULL) {
		*bottom = (uintptr_t)boot_stack_bottom;
		*top = (uintptr_t)boot_stack_top;
		return;
	}
	*bottom = (uintptr_t)task->stack;
	*top = *bottom + task->stack_bytes;
}

void task_stack(uintptr_t *bottom, uintptr_t *top)
{
	task_stack_of(cpu_running(), bottom, top);
}

struct task *task_first(void)
{
	return &tasks.first;
}

/* -------- the timer -------- */

/*
 * Under the lock. Without timers of the CPUs' own there is one CPU, and the
 * machine's timer runs only while there is more than one task, or one that
 * sleeps until some time.
 */
static bool task_timer_is_needed(void)
{
	return tasks.stats.count > 1 || tasks.timed > 0;
}

static void task_timer(void)
{
	bool on = task_timer_is_needed();

	if (lapic_is_used() || on == tasks.timer) {
		return;
	}
	tasks.timer = on;
	if (on) {
		irq_set_timer(TASK_HZ);
	}
	irq_set(TASK_TIMER_LINE, on ? task_tick : NULL);
}

/* Of a CPU's own, but for CPU 0's, which always runs: it keeps the time. */
static void task_timer_here(struct cpu *cpu, bool on)
{
	if (lapic_is_used() && cpu->number != 0 && cpu->timer != on) {
		cpu->timer = on;
		lapic_timer(on);
	}
}

/* -------- queues; all under the lock -------- */

/*
 * Has another CPU look at its queues, as soon as this one has given the lock
 * back: it would do nothing before but wait for it.
 */
static void task_tell(struct cpu *cpu)
{
	tasks.idle &= ~(1u << cpu->number);
	cpu->wanted = true;
	cpu_this()->kicks |= 1u << cpu->number;
}

/*
 * Puts it into a queue: of this CPU if it is to stay, of the one that it is
 * bound to, or of all. True: another CPU will take it, for it has been told.
 */
static bool task_queue(struct task *task, bool stay)
{
	struct cpu *here = cpu_this();
	struct cpu *cpu = task->bound != NULL ? task->bound : here;

	if (stay || task->bound != NULL) {
		loam_list_insert_tail(&cpu->ready, &task->ready);
	} else {
		loam_list_insert_tail(&tasks.ready, &task->ready);
		if ((tasks.idle & 1u << here->number) == 0 && tasks.idle != 0) {
			cpu = &cpus[__builtin_ctz(tasks.idle)];
		}
	}
	if (cpu == here) {
		tasks.idle &= ~(1u << here->number);
		return false;
	}
	task_tell(cpu);
	return true;
}

static void task_make_ready(struct task *task, bool woken)
{
	task->state = TASK_READY;
	task->channel = NULL;
	task->woken = woken;
	if (!task_queue(task, false)) {
		cpu_this()->wanted = true;
	}
}

/* The next for this CPU, taken off its queue; NULL: there is none. */
static struct task *task_pick(struct cpu *cpu)
{
	struct loam_list *queue = &tasks.ready;

	cpu->turn = !cpu->turn;
	if (cpu->state == CPU_LEAVING ||
	    (!loam_list_empty(&cpu->ready) &&
	     (cpu->turn || loam_list_empty(&tasks.ready)))) {
		queue = &cpu->ready;
	}
	if (loam_list_empty(queue)) {
		return NULL;
	}
	struct task *next = LOAM_CONTAINER(queue->next, struct task, ready);
	loam_list_remove(&next->ready);
	return next;
}

/* True if a tick should have the running task make way. Without the lock. */
static bool task_others_wait(const struct cpu *cpu)
{
	return !loam_list_empty(&cpu->ready) || !loam_list_empty(&tasks.ready);
}

static void task_wake_sleepers(void)
{
	struct loam_list *link;

	LOAM_LIST_EACH(link, &tasks.all)
	{
		struct task *task = LOAM_CONTAINER(link, struct task, all);
		if (task->state == TASK_SLEEPING &&
		    task->wake_tick <= tasks.now) {
			task_make_ready(task, false);
		}
	}
}

/*
 * True if what an interrupt would do under the lock is to wait for the next
 * one, because another CPU has the lock. When CPUs are threads of a host that
 * has fewer, the one whose turn it is may not run just now, and each tick that
 * queued for the lock would come before the last one's turn had.
 */
static bool task_put_off(struct cpu *cpu)
{
	if (spin_is_held(&tasks.lock.host) && cpu->put_off < TASK_PUT_OFF) {
		cpu->put_off++;
		return true;
	}
	cpu->put_off = 0;
	return false;
}

void task_tick(void)
{
	struct cpu *cpu = cpu_this();

	cpu->counters.ticks++;
	cpu_running()->ticks++;
	if (cpu->number == 0) {
		tasks.late++;
		if (!task_put_off(cpu)) {
			uintptr_t state = task_lock();
			tasks.now += tasks.late;
			tasks.late = 0;
			task_wake_sleepers();
			task_unlock(state);
		}
	}
	if (task_others_wait(cpu)) {
		cpu->wanted = true;
	}
}

/* -------- switching; all under the lock -------- */

void task_switched(void)
{
	struct cpu *cpu = cpu_this();
	struct task *previous = cpu->previous;

	cpu->previous = NULL;
	if (previous != NULL && previous->state == TASK_DEAD) {
		loam_list_insert_tail(&tasks.dead, &previous->ready);
	}
}

/* Under the lock, or to have a look: somebody has died and is not gone. */
static bool task_any_dead(void)
{
	return !loam_list_empty(&tasks.dead);
}

/*
 * Releases those that have died, out of the lock, for that takes its time.
 * Where the caller has the lock or interrupts off it is left to somebody else:
 * an idle task at last.
 */
static void task_reap(void)
{
	while (task_any_dead() && cpu_this()->lock_depth == 0 &&
	       (cpu_read_eflags() & CPU_EFLAGS_IF) != 0) {
		struct task *dead = NULL;
		uintptr_t state = task_lock();
		if (task_any_dead()) {
			dead = LOAM_CONTAINER(tasks.dead.next, struct task,
					      ready);
			loam_list_remove(&dead->ready);
			tasks.stats.burying++;
		}
		task_unlock(state);
		if (dead != NULL) {
			task_bury(dead);
			state = task_lock();
			tasks.stats.burying--;
			task_unlock(state);
		}
	}
}

/*
 * Interrupts are off. NULL: the kernel's own tables. Others find the CPU by
 * `root` and `loading` when they change tables: by the new ones before they are
 * loaded, by the old ones until they are not any more.
 */
static void task_load(struct cpu *cpu, struct loam_proc *space)
{
	struct loam_proc *from = cpu->space;
	loam_phys_t root =
		space != NULL ? loam_proc_root(space) : kernel.pt.root;

	if (space != NULL) {
		loam_proc_enter(space);
	}
	cpu->loading = root;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	mmu_load_root(root);
	cpu->root = root;
	cpu->space = space;
	if (from != NULL) {
		loam_proc_leave(from);
	}
}

/* next is not the running one. */
static void task_switch(struct cpu *cpu, struct task *next)
{
	struct task *from = cpu->local.running;
	unsigned depth = cpu->lock_depth;

	tasks.stats.switches++;
	cpu->counters.switches++;
	cpu->previous = from;
	cpu->local.running = next;
	task_timer_here(cpu, next != cpu->idle);
	trap_set_stack(next->stack + next->stack_bytes);
	if (next->space != NULL && next->space != cpu->space) {
		tasks.stats.root_loads++;
		task_load(cpu, next->space);
	}
	fpu_switch(from, next);
	trap_switch(&from->context, next->context);
	/* Perhaps another CPU. */
	task_switched();
	cpu_this()->lock_depth = depth;
}

/* Gives the CPU to somebody else, for the running task cannot go on. */
static void task_schedule(void)
{
	struct cpu *cpu = cpu_this();

	cpu->wanted = false;
	struct task *next = task_pick(cpu);
	task_switch(cpu, next != NULL ? next : cpu->idle);
}

/* The running task goes to the end of the queue, if there is anybody in it. */
static void task_make_way(bool stay)
{
	struct cpu *cpu = cpu_this();
	struct task *task = cpu_running();

	cpu->wanted = false;
	struct task *next = task_pick(cpu);
	if (next == NULL && cpu->state == CPU_LEAVING && !stay &&
	    task->bound == NULL) {
		next = cpu->idle;
	}
	if (next == NULL) {
		return;
	}
	(void)task_queue(task, stay);
	task_switch(cpu, next);
}

void task_yield(void)
{
	uintptr_t state = task_lock();
	task_make_way(false);
	task_unlock(state);
	task_reap();
}

/* True if the library, or the task itself, must not be left just now. */
static bool task_is_kept(const struct cpu *cpu)
{
	return (cpu->kept | kernel.kspace.temps[cpu->number].depth) != 0;
}

void task_interrupted(void)
{
	struct cpu *cpu = cpu_this();

	if (!cpu->wanted || cpu_running() == cpu->idle) {
		return;
	}
	if (task_is_kept(cpu)) {
		tasks.stats.deferred++;
		return;
	}
	if (task_put_off(cpu)) {
		return;
	}
	uintptr_t state = task_lock();
	tasks.stats.preemptions++;
	tasks.stats.in_kernel++;
	task_make_way(true);
	task_unlock(state);
}

void task_to_user(void)
{
	while (cpu_this()->wanted && !task_put_off(cpu_this())) {
		uintptr_t state = task_lock();
		tasks.stats.preemptions++;
		task_make_way(false);
		task_unlock(state);
	}
}

void task_keep(void)
{
	cpu_this()->kept++;
	LOAM_COMPILER_BARRIER();
}

void task_unkeep(void)
{
	struct cpu *cpu = cpu_this();

	LOAM_COMPILER_BARRIER();
	cpu->kept--;
	if (cpu->wanted && (cpu_read_eflags() & CPU_EFLAGS_IF) != 0) {
		cpu_cli();
		task_interrupted();
		cpu_sti();
	}
}

void task_settle(void)
{
	struct task_stats stats;

	task_reap();
	while (task_stats(&stats), stats.burying != 0) {
		task_yield();
	}
}

bool task_sleep(const void *channel, uint64_t wake_tick)
{
	uintptr_t state = task_lock();
	struct task *task = cpu_running();

	task->state = TASK_SLEEPING;
	task->channel = channel;
	task->wake_tick = wake_tick;
	tasks.timed += wake_tick != TASK_FOREVER;
	task_timer();
	task_schedule();
	tasks.timed -= wake_tick != TASK_FOREVER;
	task_timer();
	bool woken = task->woken;
	task_unlock(state);
	task_reap();
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
	uintptr_t state = cpu_read_eflags();
	struct task *task = cpu_running();
	struct loam_proc *space = task->space;

	cpu_cli();
	struct cpu *cpu = cpu_this();
	if (space != NULL && cpu->space == space) {
		task_load(cpu, NULL);
	}
	task->space = NULL;
	cpu_write_eflags(state);
	if (space != NULL) {
		cpus_forget_root(loam_proc_root(space));
	}
}

bool task_drop_lazy_space(void)
{
	struct cpu *cpu = cpu_this();

	if (cpu->space == NULL || cpu_running()->space == cpu->space) {
		return false;
	}
	task_load(cpu, NULL);
	return true;
}

/* -------- idle CPUs -------- */

_Noreturn void task_idle(void)
{
	for (;;) {
		task_lock();
		struct cpu *cpu = cpu_this();
		tasks.idle &= ~(1u << cpu->number);
		cpu->wanted = false;
		struct task *next = task_pick(cpu);
		if (next != NULL) {
			task_switch(cpu, next);
		} else if (cpu->state != CPU_LEAVING) {
			tasks.idle |= 1u << cpu->number;
		}
		bool leave = next == NULL && cpu->state == CPU_LEAVING;
		bool dead = task_any_dead();
		task_unlock(0);
		if (dead) {
			cpu_sti();
			task_reap();
		} else if (leave) {
			cpus_park();
		} else if (next == NULL) {
			cpus_sleep();
		}
	}
}

static void task_idle_begin(void *argument)
{
	(void)argument;
	task_idle();
}

static struct task *task_idler(struct cpu *cpu, unsigned char *stack,
			       size_t stack_bytes)
{
	struct task *idle = &tasks.idlers[cpu->number];

	idle->name = "idle";
	idle->state = TASK_READY;
	idle->stack = stack;
	idle->stack_bytes = stack_bytes;
	loam_list_init(&idle->ready);
	loam_list_init(&cpu->ready);
	cpu->root = kernel.pt.root;
	cpu->loading = kernel.pt.root;
	cpu->idle = idle;
	return idle;
}

void task_init_cpu(struct cpu *cpu, void *stack, size_t stack_bytes)
{
	cpu->local.running = task_idler(cpu, stack, stack_bytes);
}

int task_init(void)
{
	struct task *task = &tasks.first;
	struct cpu *cpu = cpu_this();

	loam_list_init(&tasks.ready);
	loam_list_init(&tasks.all);
	loam_list_init(&tasks.dead);
	loam_list_init(&task->ready);
	loam_list_insert_tail(&tasks.all, &task->all);
	task->name = "shell";
	task->stack = (unsigned char *)boot_stack_bottom;
	task->stack_bytes = KERNEL_STACK_BYTES;
	tasks.stats.count = 1;
	return task_prepare(task_idler(cpu, NULL, 0), task_idle_begin, NULL);
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

void task_bind(struct task *task, struct cpu *cpu)
{
	uintptr_t state = task_lock();

	task->bound = cpu;
	cpu->bound++;
	task_unlock(state);
}

void task_ready(struct task *task)
{
	uintptr_t state = task_lock();

	loam_list_insert_tail(&tasks.all, &task->all);
	tasks.stats.count++;
	task_timer();
	/* Who made it goes on until its time is over. */
	bool wanted = cpu_this()->wanted;
	task_make_ready(task, false);
	cpu_this()->wanted = wanted;
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

struct task *task_create_on(struct cpu *cpu, const char *name,
			    void (*entry)(void *argument), void *argument)
{
	struct task *task = kzalloc(sizeof(*task));

	if (task == NULL) {
		return NULL;
	}
	task->name = name;
	task->release = task_free;
	if (task_prepare(task, entry, argument) != 0) {
		kfree(task);
		return NULL;
	}
	if (cpu != NULL) {
		task_bind(task, cpu);
	}
	task_ready(task);
	return task;
}

struct task *task_create(const char *name, void (*entry)(void *argument),
			 void *argument)
{
	return task_create_on(NULL, name, entry, argument);
}

void task_bury(struct task *task)
{
	LOAM_VERIFY(task != cpu_running() && task->state >= TASK_ENDED);
	vfree(task->stack);
	uintptr_t state = task_lock();
	loam_list_remove(&task->all);
	if (task->bound != NULL) {
		task->bound->bound--;
	}
	fpu_forget(task);
	task_unlock(state);
	task->release(task);
	/* Who counts tasks finds that all of it is gone. */
	state = task_lock();
	tasks.stats.count--;
	task_timer();
	task_unlock(state);
}

_Noreturn static void task_finish(enum task_state end)
{
	task_lock();
	cpu_running()->state = end;
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
	cpu_this()->lock_depth = 1;
	task_unlock(CPU_EFLAGS_IF);
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

/* How many are in a queue; -1 if one of them should not be. */
static int task_check_queue(const struct loam_list *queue)
{
	struct loam_list *link;
	int count = 0;

	LOAM_LIST_EACH(link, queue)
	{
		if (LOAM_CONTAINER(link, struct task, ready)->state !=
		    TASK_READY) {
			return -1;
		}
		count++;
	}
	return count;
}

static int task_check_locked(void)
{
	struct loam_list *link;
	int queued = task_check_queue(&tasks.ready);
	int ready = 0;
	unsigned count = 0;

	LOAM_CHECK(queued >= 0);
	for (unsigned i = 0; i < cpus_count; i++) {
		int own = task_check_queue(&cpus[i].ready);
		const struct task *running = cpus[i].local.running;
		if (running == NULL) {
			continue; /* it was never started */
		}
		LOAM_CHECK(own >= 0 && running->state == TASK_READY);
		queued += own;
		ready -= running != cpus[i].idle;
	}
	LOAM_LIST_EACH(link, &tasks.all)
	{
		ready += LOAM_CONTAINER(link, struct task, all)->state ==
			 TASK_READY;
		count++;
	}
	LOAM_CHECK(queued == ready);
	/* One that is just being buried is counted to the end. */
	LOAM_CHECK(count <= tasks.stats.count);
	LOAM_CHECK(lapic_is_used() || tasks.timer == task_timer_is_needed());
	return 0;
}

int task_check(void)
{
	uintptr_t state = task_lock();
	int error = task_check_locked();
	task_unlock(state);
	return error;
}
