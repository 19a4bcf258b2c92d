/* SPDX-License-Identifier: MIT */
/* The machine's CPUs: starts them, takes them offline, shows them. */

/*
 * CPU 0 is the one that came up. The others are started one after the other
 * (startup.h), each on a stack of its own with guard pages, and go straight to
 * their idle task, where they take work from the common queue.
 *
 * What a CPU has of its own lies in its struct cpu, its layer of the slab floor
 * too; its frames' layer is part of their instance. Frees that another CPU than
 * the allocating one does stay in that CPU's magazine and go home by the depot,
 * a magazine at a time (src/slab).
 *
 * Offline. A CPU that is to leave takes nothing from the common queue any more,
 * finishes what was preempted on it in the kernel, leaves the address space it
 * has loaded and sleeps. It is then asked nothing, and what its layers hold is
 * given back by the CPU that sent it away. Before it takes work again it
 * forgets all translations.
 */

#include <loam/mem.h>

#include "arch.h"
#include "console.h"
#include "cpus.h"
#include "fpu.h"
#include "kernel.h"
#include "lapic.h"
#include "mmu.h"
#include "startup.h"

#define CPUS_STACK_BYTES TASK_STACK_BYTES
#define CPUS_START_MS 1000u /* that one may take to arrive */

char cpu_local_changes;
struct cpu cpus[CPUS_MOST];
unsigned cpus_count = 1;
volatile uint32_t cpus_online_mask = 1;

void cpus_begin(void)
{
	struct cpu *cpu = &cpus[0];

	cpu->local = (struct cpu_local){
		.self = cpu,
		.slabs = &cpu->slabs,
		.frames = &kernel.frames.cpus[0],
		.running = task_first(),
	};
	cpu->state = CPU_ONLINE;
	trap_init();
}

/* Under task_lock(). */
static void cpus_set_state(struct cpu *cpu, enum cpu_state state)
{
	uint32_t bit = 1u << cpu->number;

	cpu->state = state;
	if (state == CPU_ONLINE || state == CPU_LEAVING) {
		(void)__atomic_fetch_or(&cpus_online_mask, bit,
					__ATOMIC_SEQ_CST);
	} else {
		(void)__atomic_fetch_and(&cpus_online_mask, ~bit,
					 __ATOMIC_SEQ_CST);
	}
}

/* -------- starting -------- */

/* What a CPU needs before it runs; false: no memory, and none is kept. */
static bool cpus_prepare(struct cpu *cpu, struct cpu_stacks *stacks)
{
	const loam_flags_t flags =
		LOAM_HIGH | LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_STACK);

	*stacks = (struct cpu_stacks){
		.main = loam_kspace_vmalloc(&kernel.kspace, CPUS_STACK_BYTES, 0,
					    flags),
		.fault = loam_kspace_vmalloc(&kernel.kspace,
					     GDT_FAULT_STACK_BYTES, 0, flags),
	};
	if (stacks->main == NULL || stacks->fault == NULL) {
		vfree(stacks->main);
		vfree(stacks->fault);
		return false;
	}
	cpu->local = (struct cpu_local){
		.self = cpu,
		.number = cpu->number,
		.slabs = &cpu->slabs,
		.frames = &kernel.frames.cpus[cpu->number],
	};
	loam_slab_cpu_start(&kernel.slabs, cpu->number, &cpu->slabs, 0);
	gdt_set_fault_stack(&cpu->gdt, stacks->fault);
	task_init_cpu(cpu, stacks->main, CPUS_STACK_BYTES);
	return true;
}

/* Of one that did not come. It may still do so: its stacks are not reused. */
static void cpus_give_up(struct cpu *cpu, const char *why)
{
	kprintf("cpu %u (APIC %u) left out: %s\n", cpu->number, cpu->apic_id,
		why);
	cpu->state = CPU_DEAD;
}

_Noreturn void cpus_arrive(struct cpu *cpu)
{
	trap_init_cpu(cpu);
	fpu_init_cpu();
	lapic_init_cpu();
	cpus_flush_all();
	uintptr_t state = task_lock();
	if (cpu->state == CPU_ABSENT) {
		cpus_set_state(cpu, CPU_ONLINE);
	}
	task_unlock(state);
	while (cpu->state == CPU_DEAD) {
		/* Too late: nobody counts on it any more. */
		cpu_cli();
		cpu_hlt();
	}
	task_idle();
}

/* Starts one and waits for it. */
static void cpus_start_one(struct cpu *cpu)
{
	struct cpu_stacks stacks;

	if (!cpus_prepare(cpu, &stacks)) {
		cpus_give_up(cpu, "no memory for its stacks");
		return;
	}
	startup_send(cpu, stacks.main + CPUS_STACK_BYTES);
	for (unsigned ms = 0; ms < CPUS_START_MS; ms++) {
		if (cpu->state != CPU_ABSENT) {
			return;
		}
		uintptr_t flags = cpu_read_eflags();
		cpu_cli();
		lapic_wait_us(1000);
		cpu_write_eflags(flags);
	}
	uintptr_t state = task_lock();
	bool late = cpu->state == CPU_ABSENT;
	if (late) {
		cpu->state = CPU_DEAD;
	}
	task_unlock(state);
	if (late) {
		cpus_give_up(cpu, "it did not start within a second");
	}
}

/*
 * Gives each CPU the memory of its node: this one, which nothing interrupts
 * meanwhile, and those that are not running yet.
 */
static void cpus_settle(unsigned count)
{
	uintptr_t flags = cpu_read_eflags();

	cpu_cli();
	for (unsigned i = 0; i < count; i++) {
		cpus[i].node = startup_node(cpus[i].apic_id);
		/* Of a node that has none the floor knows nothing: node 0. */
		(void)loam_frame_set_cpu_node(&kernel.frames, i, cpus[i].node);
	}
	cpu_write_eflags(flags);
}

void cpus_start(void)
{
	uint32_t ids[CPUS_MOST];
	unsigned count = startup_begin(ids, CPUS_MOST);

	if (lapic_is_used()) {
		lapic_timer(true);
	}
	if (count <= 1) {
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		cpus[i].number = i;
		cpus[i].apic_id = ids[i];
		loam_list_init(&cpus[i].ready);
	}
	uintptr_t state = task_lock();
	cpus_count = count;
	task_unlock(state);
	cpus_settle(count);
	for (unsigned i = 1; i < count; i++) {
		cpus_start_one(&cpus[i]);
	}
	startup_end();
	unsigned online = 0;
	for (unsigned i = 0; i < count; i++) {
		online += cpus[i].state == CPU_ONLINE;
	}
	kprintf("cpus: %u of %u online, timers of %u MHz\n", online, count,
		lapic_timer_hz() / 1000000u);
}

/* -------- interrupting each other -------- */

static void cpus_send(const struct cpu *cpu, enum lapic_interrupt interrupt)
{
	uintptr_t flags = cpu_read_eflags();

	cpu_cli();
	lapic_send(cpu->apic_id, interrupt);
	cpu_write_eflags(flags);
}

void cpus_kick(struct cpu *cpu)
{
	cpus_send(cpu, LAPIC_RESCHEDULE);
}

void cpus_answer(void)
{
	struct cpu *cpu = cpu_this();
	void (*fn)(void *) = __atomic_load_n(&cpu->call, __ATOMIC_ACQUIRE);

	if (fn != NULL) {
		fn(cpu->call_argument);
		__atomic_store_n(&cpu->call, NULL, __ATOMIC_RELEASE);
	}
}

/* One caller at a time, for whom the others wait with interrupts on. */
static bool cpus_calling;

void cpus_call(void (*fn)(void *argument), void *argument)
{
	while (__atomic_exchange_n(&cpus_calling, true, __ATOMIC_ACQUIRE)) {
		task_yield();
	}
	/* From here on this task stays on this CPU. */
	task_keep();
	uint32_t others = cpus_others();
	uint32_t rest = others;
	struct cpu *cpu;

	while (cpus_next(&rest, &cpu)) {
		cpu->call_argument = argument;
		__atomic_store_n(&cpu->call, fn, __ATOMIC_RELEASE);
		cpus_send(cpu, LAPIC_CALL);
	}
	while (cpus_next(&others, &cpu)) {
		while (__atomic_load_n(&cpu->call, __ATOMIC_ACQUIRE) != NULL) {
			cpu_pause();
		}
	}
	fn(argument);
	task_unkeep();
	__atomic_store_n(&cpus_calling, false, __ATOMIC_RELEASE);
}

static void cpus_drain_one(void *argument)
{
	(void)argument;
	loam_slab_shrink_all(&kernel.slabs);
	loam_frame_drain(&kernel.frames);
}

void cpus_drain(void)
{
	cpus_call(cpus_drain_one, NULL);
}

/* -------- offline and back -------- */

void cpus_park(void)
{
	struct cpu *cpu = cpu_this();

	cpu_cli();
	(void)task_drop_lazy_space();
	uintptr_t state = task_lock();
	if (cpu->state == CPU_LEAVING) {
		cpus_set_state(cpu, CPU_OFFLINE);
	}
	task_unlock(state);
	/* Whoever took it for online may still wait for an answer. */
	while (cpu->state == CPU_OFFLINE) {
		cpu_cli();
		cpus_serve();
		if (cpu->state == CPU_OFFLINE) {
			cpus_sleep();
		}
	}
	cpu_cli();
	cpus_flush_all();
}

static int cpus_may_leave(struct cpu *cpu)
{
	if (cpu->number == 0 || cpu->bound != 0) {
		return -LOAM_EBUSY;
	}
	return cpu->state == CPU_ONLINE ? 0 : -LOAM_EINVAL;
}

int cpus_offline(unsigned number)
{
	if (number >= cpus_count || cpus[number].state == CPU_DEAD) {
		return -LOAM_ENOENT;
	}
	struct cpu *cpu = &cpus[number];
	uintptr_t state = task_lock();
	int error = cpus_may_leave(cpu);
	if (error == 0) {
		cpus_set_state(cpu, CPU_LEAVING);
	}
	task_unlock(state);
	if (error != 0) {
		return error;
	}
	while (cpu->state == CPU_LEAVING) {
		/* The caller may run on it: then this takes it elsewhere. */
		cpus_kick(cpu);
		task_yield();
	}
	loam_slab_cpu_stop(&kernel.slabs, number);
	loam_frame_drain_cpu(&kernel.frames, number);
	return 0;
}

int cpus_bring_online(unsigned number)
{
	if (number >= cpus_count || cpus[number].state == CPU_DEAD) {
		return -LOAM_ENOENT;
	}
	struct cpu *cpu = &cpus[number];
	if (cpu->state != CPU_OFFLINE) {
		return -LOAM_EINVAL;
	}
	loam_slab_cpu_start(&kernel.slabs, number, &cpu->slabs, 0);
	uintptr_t state = task_lock();
	cpus_set_state(cpu, CPU_ONLINE);
	task_unlock(state);
	cpus_kick(cpu);
	return 0;
}

/* -------- looking -------- */

static const char *cpus_state_name(enum cpu_state state)
{
	static const char *const names[] = { "absent", "online", "leaving",
					     "offline", "dead" };

	return names[state];
}

void cpus_report(void)
{
	kprintf("cpu apic  state     ticks  switches  told  asked  sent joined "
		"spared  served  pages   full  left     locks  waited  runs\n");
	for (unsigned i = 0; i < cpus_count; i++) {
		const struct cpu *cpu = &cpus[i];
		const struct cpu_counters *c = &cpu->counters;
		uintptr_t state = task_lock();
		const char *runs = cpu->state == CPU_ONLINE
					   ? cpu->local.running->name
					   : "";
		task_unlock(state);
		kprintf("%3u %4u  %-7s %7llu %9llu %5llu %6llu %5llu %6llu "
			"%6llu %7llu %6llu %6llu %5llu %9zu %7llu  %s\n",
			i, cpu->apic_id, cpus_state_name(cpu->state),
			(unsigned long long)c->ticks,
			(unsigned long long)c->switches,
			(unsigned long long)c->reschedules,
			(unsigned long long)c->requests,
			(unsigned long long)c->interrupts,
			(unsigned long long)c->joined,
			(unsigned long long)c->spared,
			(unsigned long long)c->served,
			(unsigned long long)c->pages,
			(unsigned long long)c->full,
			(unsigned long long)c->left, cpu->local.locks,
			(unsigned long long)c->waited, runs);
	}
}
