/* SPDX-License-Identifier: MIT */
/* Bugs of the kernel's own, made to order, to see what they look like. */

#include <loam/lock.h>
#include <loam/mem.h>

#include "arch.h"
#include "console.h"
#include "cpus.h"
#include "crash.h"
#include "kernel.h"
#include "ktest.h"
#include "mmu.h"
#include "spaces.h"
#include "task.h"

/* A pointer that is wild: nothing is mapped there. */
static int crash_write(void)
{
	*(volatile uint32_t *)(uintptr_t)boot_stack_guard = 1;
	return 0;
}

static int crash_opcode(void)
{
	__asm__ volatile("ud2");
	return 0;
}

static int crash_stack(void)
{
	ktest_overflow_stack(NULL);
	return 0;
}

static void crash_task_run(void *argument)
{
	ktest_overflow_stack(argument);
	task_end();
}

/* The stack of another task than the one that began on the boot stack. */
static int crash_task(void)
{
	if (task_create("deep", crash_task_run, NULL) == NULL) {
		kprintf("no memory\n");
		return -LOAM_ENOMEM;
	}
	task_sleep(crash_task, TASK_FOREVER);
	return 0;
}

static int crash_panic(void)
{
	loam_panic("as was asked for");
}

/*
 * A pointer of a program's, used as it is: it leads to memory that is there,
 * and that the kernel is not to touch.
 */
static int crash_user(void)
{
	static struct loam_proc space;
	const struct loam_map_request request = {
		.start = KERNEL_USER_SPACE_BASE,
		.size = LOAM_PAGE_SIZE,
		.prot = LOAM_PROT_READ | LOAM_PROT_WRITE,
		.flags = LOAM_REGION_FIXED | LOAM_REGION_POPULATE,
		.kind = LOAM_REGION_ANONYMOUS,
	};
	uintptr_t start;
	int error = loam_proc_create(&spaces, &space, "crash");

	if (error != 0) {
		kprintf("no memory\n");
		return error;
	}
	error = loam_proc_map(&space, &request, &start);
	if (error == 0) {
		uintptr_t root = cpu_read_cr3();
		uintptr_t state = task_lock();
		task_current()->space = &space;
		mmu_load_root(loam_proc_root(&space));
		*(volatile uint32_t *)start = 1;
		mmu_load_root(root);
		task_current()->space = NULL;
		task_unlock(state);
		kprintf("this CPU lets the kernel touch programs' memory\n");
		error = -LOAM_EINVAL;
	}
	loam_proc_destroy(&space);
	return error;
}

/* -------- locks -------- */

#define CRASH_LOCKS 4u

static struct loam_lock crash_locks[CRASH_LOCKS] = {
	LOAM_LOCK_INIT("north", LOAM_RANK_ARENA),
	LOAM_LOCK_INIT("east", LOAM_RANK_ARENA),
	LOAM_LOCK_INIT("south", LOAM_RANK_ARENA),
	LOAM_LOCK_INIT("west", LOAM_RANK_ARENA),
};
static struct loam_lock crash_higher = LOAM_LOCK_INIT("up", LOAM_RANK_KSPACE);
static unsigned crash_count;   /* CPUs in the circle */
static unsigned crash_waiting; /* of these: that have not taken their own */

/* Only these builds record who holds what. */
static bool crash_has_records(void)
{
	if (!LOAM_DEBUG) {
		kprintf("locks are watched by debug builds alone (DEBUG=1)\n");
	}
	return LOAM_DEBUG;
}

/*
 * Takes its own lock, and when all have theirs, the next one's. As the host's
 * locks, for those of the library would be found out of order at once.
 */
static void crash_circle_run(void *argument)
{
	struct loam_lock *own = argument;
	size_t next = (size_t)(own - crash_locks + 1) % crash_count;

	loam_host_lock(&own->host);
	(void)__atomic_fetch_sub(&crash_waiting, 1, __ATOMIC_ACQ_REL);
	while (__atomic_load_n(&crash_waiting, __ATOMIC_ACQUIRE) != 0) {
		cpus_serve();
		cpu_pause();
	}
	loam_host_lock(&crash_locks[next].host);
	task_end();
}

/* As many CPUs as there are locks, each waiting for the next one. */
static int crash_deadlock(void)
{
	uint32_t online = cpus_online();
	struct cpu *chosen[CRASH_LOCKS];

	if (!crash_has_records()) {
		return -LOAM_EINVAL;
	}
	crash_count = 0;
	while (crash_count < CRASH_LOCKS &&
	       cpus_next(&online, &chosen[crash_count])) {
		crash_count++;
	}
	if (crash_count < 2) {
		kprintf("there is one CPU\n");
		return -LOAM_EINVAL;
	}
	/* Nobody is to wait for one that this task has yet to make. */
	task_keep();
	crash_waiting = crash_count;
	for (unsigned i = 0; i < crash_count; i++) {
		if (task_create_on(chosen[i], "circle", crash_circle_run,
				   &crash_locks[i]) == NULL) {
			loam_panic("no memory for a circle");
		}
	}
	task_unkeep();
	task_sleep(crash_deadlock, TASK_FOREVER);
	return 0;
}

LOAM_NOINLINE static void crash_take_first(void)
{
	loam_lock(&crash_locks[0]);
	LOAM_COMPILER_BARRIER();
}

/* Its rank is higher than that of the one before. */
static int crash_order(void)
{
	if (!crash_has_records()) {
		return -LOAM_EINVAL;
	}
	crash_take_first();
	loam_lock(&crash_higher);
	return 0;
}

int crash(const char *kind)
{
	static const struct {
		const char *name;
		int (*run)(void);
	} kinds[] = {
		{ "write", crash_write },       { "opcode", crash_opcode },
		{ "stack", crash_stack },       { "task", crash_task },
		{ "panic", crash_panic },       { "user", crash_user },
		{ "deadlock", crash_deadlock }, { "lock-order", crash_order },
	};

	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kinds); i++) {
		if (loam_streq(kinds[i].name, kind)) {
			return kinds[i].run();
		}
	}
	kprintf("crash");
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(kinds); i++) {
		kprintf("%s%s",
			i == 0                           ? " "
			: i + 1 < LOAM_ARRAY_SIZE(kinds) ? ", "
							 : " or ",
			kinds[i].name);
	}
	kprintf("\n");
	return -LOAM_EINVAL;
}
