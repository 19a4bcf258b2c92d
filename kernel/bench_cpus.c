/* SPDX-License-Identifier: MIT */
/* What allocators cost a CPU while all others use them as well. */

/*
 * Each row's work is done three ways: by CPU 0 while the others sleep, by all
 * CPUs at once, and both again with nothing but the loop around it, which is
 * subtracted. A worker is a task bound to its CPU, with interrupts off. The
 * window is from the last worker's arrival to the last one's end, and the clock
 * counts the instructions of all CPUs: shared out over all pairs it tells what
 * one costs, waiting included. Whoever is done early goes to sleep, which
 * counts as well.
 *
 * Under -icount the emulator runs one CPU at a time and changes to the next at
 * a pause. Workers pause after each allocation and each free, so all of them
 * have a block of their own at any moment, and their steps alternate. What does
 * not show is two CPUs within one lock: so the locks that were taken are
 * counted (spin.c). And what a shared cache line costs does not show: so
 * between bench_watch_begin() and bench_watch_end(), each called by every
 * worker, a plugin of the emulator notes who writes to which line
 * (tools/qemu/lines.c).
 */

#include <loam/bits.h>
#include <loam/mem.h>

#include "arch.h"
#include "bench.h"
#include "console.h"
#include "cpus.h"
#include "kernel.h"

#define BENCH_BATCH 64u                 /* objects that change hands at once */
#define BENCH_WARM (4u * BENCH_BATCH)   /* pairs before the window */
#define BENCH_PAIRS (50u * BENCH_BATCH) /* of each worker in it */
#define BENCH_HELD                                                             \
	(2u * LOAM_STACK_BATCH) /* frames aside during pairs of them */
#define BENCH_SIZE 64u
#define BENCH_LINE 64u

/* One producer's batch on its way to one consumer. */
struct bench_ring {
	uint32_t full; /* a: whose turn it is */
	unsigned char padding[BENCH_LINE - sizeof(uint32_t)];
	void *objects[BENCH_BATCH];
};

/* Does so many pairs. number: which of the workers it is. */
typedef void bench_work(unsigned number, unsigned count);

/* Fields: c constant while workers run, a atomic, o one worker's own. */
static struct {
	bench_work *work;         /* c */
	struct loam_cache *cache; /* c */
	unsigned count;           /* c: CPUs there are */
	unsigned workers;         /* c: of these: that work */
	bool watched;             /* c: by the emulator's plugin */
	uint32_t arrived;         /* a */
	uint32_t done;            /* a */
	uint32_t released;        /* a */
	uint32_t failed;          /* a */
	uint32_t locks;           /* a: that they took in the window */
	uint64_t start;           /* o: the last one's to arrive */
	uint64_t end;             /* o: the last one's to end */
	struct task tasks[CPUS_MOST];
	struct bench_ring rings[CPUS_MOST / 2];
} many;

/* -------- the work -------- */

static void bench_fail_if(bool failed)
{
	if (LOAM_UNLIKELY(failed)) {
		(void)__atomic_fetch_add(&many.failed, 1, __ATOMIC_RELAXED);
	}
}

static void bench_nothing(unsigned number, unsigned count)
{
	(void)number;
	for (unsigned i = 0; i < count; i++) {
		cpu_pause();
		cpu_pause();
	}
}

static void bench_kmalloc_pairs(unsigned number, unsigned count)
{
	(void)number;
	for (unsigned i = 0; i < count; i++) {
		void *block = kmalloc(BENCH_SIZE);
		cpu_pause();
		bench_fail_if(block == NULL);
		kfree(block);
		cpu_pause();
	}
}

static void bench_cache_pairs(unsigned number, unsigned count)
{
	(void)number;
	for (unsigned i = 0; i < count; i++) {
		void *object = loam_cache_alloc(&kernel.slabs, many.cache, 0);
		cpu_pause();
		bench_fail_if(object == NULL);
		loam_cache_free(&kernel.slabs, many.cache, object);
		cpu_pause();
	}
}

static void bench_frame_pairs(unsigned number, unsigned count)
{
	(void)number;
	for (unsigned i = 0; i < count; i++) {
		loam_pfn_t pfn = frame_alloc();
		cpu_pause();
		if (LOAM_LIKELY(pfn != LOAM_PFN_NONE)) {
			frame_free(pfn);
		} else {
			bench_fail_if(true);
		}
		cpu_pause();
	}
}

static void bench_wait_turn(const uint32_t *full, uint32_t wanted)
{
	while (__atomic_load_n(full, __ATOMIC_ACQUIRE) != wanted) {
		cpus_serve();
		cpu_pause();
	}
}

/*
 * An even worker allocates (or does not, for what the rings cost), the odd one
 * after it frees.
 */
static LOAM_ALWAYS_INLINE void bench_hand_over(unsigned number, unsigned count,
					       bool allocate)
{
	struct bench_ring *ring = &many.rings[number / 2];
	bool producer = number % 2 == 0;

	for (unsigned batch = 0; batch < count / BENCH_BATCH; batch++) {
		bench_wait_turn(&ring->full, !producer);
		for (unsigned i = 0; i < BENCH_BATCH; i++) {
			if (!producer && allocate) {
				kfree(ring->objects[i]);
			} else if (!producer) {
				bench_fail_if(ring->objects[i] == NULL);
			} else {
				ring->objects[i] =
					allocate ? kmalloc(BENCH_SIZE) : ring;
				bench_fail_if(ring->objects[i] == NULL);
			}
		}
		__atomic_store_n(&ring->full, producer, __ATOMIC_RELEASE);
		cpu_pause();
	}
}

static void bench_hand_objects(unsigned number, unsigned count)
{
	bench_hand_over(number, count, true);
}

static void bench_hand_nothing(unsigned number, unsigned count)
{
	bench_hand_over(number, count, false);
}

/* -------- the workers -------- */

/* Places for the plugin to look for; the comments keep them two. */
LOAM_NOINLINE static void bench_watch_begin(void)
{
	__asm__ volatile("/* begin */" : : : "memory");
}

LOAM_NOINLINE static void bench_watch_end(void)
{
	__asm__ volatile("/* end */" : : : "memory");
}

/* Returns when all are here; the last one to arrive starts the clock. */
static void bench_meet(void)
{
	if (__atomic_add_fetch(&many.arrived, 1, __ATOMIC_ACQ_REL) ==
	    many.workers) {
		many.start = cpu_rdtsc();
		__atomic_store_n(&many.arrived, many.workers + 1,
				 __ATOMIC_RELEASE);
	}
	bench_wait_turn(&many.arrived, many.workers + 1);
}

/*
 * What a CPU finds first when its stack is empty is left over from others, one
 * frame here and one there, and their tags may share a line with those of
 * another CPU's. Behind them it finds runs of its own. So what would be used up
 * soon anyway is set aside. Returns how many that were.
 */
static unsigned bench_hold_frames(loam_pfn_t *held)
{
	unsigned count = 0;

	while (count < BENCH_HELD) {
		loam_pfn_t pfn = frame_alloc();
		if (pfn == LOAM_PFN_NONE) {
			bench_fail_if(true);
			break;
		}
		held[count++] = pfn;
	}
	return count;
}

static void bench_worker(void *argument)
{
	unsigned number = (unsigned)(uintptr_t)argument;
	const struct cpu_local *local = &cpus[number].local;
	uintptr_t flags = cpu_read_eflags();
	loam_pfn_t held[BENCH_HELD];
	unsigned holds = 0;

	cpu_cli();
	if (many.work == bench_frame_pairs) {
		holds = bench_hold_frames(held);
	}
	many.work(number, BENCH_WARM);
	bench_meet();
	uintptr_t locks = local->locks;
	if (many.watched) {
		bench_watch_begin();
	}
	many.work(number, BENCH_PAIRS);
	if (many.watched) {
		bench_watch_end();
	}
	locks = local->locks - locks;
	(void)__atomic_fetch_add(&many.locks, (uint32_t)locks,
				 __ATOMIC_RELAXED);
	if (__atomic_add_fetch(&many.done, 1, __ATOMIC_ACQ_REL) ==
	    many.workers) {
		many.end = cpu_rdtsc();
		task_wake(&many);
	}
	while (holds > 0) {
		frame_free(held[--holds]);
	}
	cpu_write_eflags(flags);
	task_end();
}

/* Its place in `many` can be used again. */
static void bench_release(struct task *task)
{
	(void)task;
	(void)__atomic_fetch_add(&many.released, 1, __ATOMIC_RELEASE);
}

static int bench_prepare(unsigned workers)
{
	int error = 0;
	unsigned count = 0;

	memset(many.tasks, 0, sizeof(many.tasks));
	while (count < workers && error == 0) {
		struct task *task = &many.tasks[count];
		task->name = "bench";
		task->release = bench_release;
		error = task_prepare(task, bench_worker,
				     (void *)(uintptr_t)count);
		count += error == 0;
	}
	while (error != 0 && count > 0) {
		task_discard(&many.tasks[--count]);
	}
	return error;
}

/*
 * Has this many do the work. The instructions of all CPUs meanwhile, or 0:
 * there was no memory to begin it.
 */
static uint32_t bench_window(bench_work *work, unsigned workers)
{
	if (bench_prepare(workers) != 0) {
		bench_fail_if(true);
		return 0;
	}
	/* What tasks were given and gave back goes home: each begins afresh. */
	cpus_drain();
	many.work = work;
	many.workers = workers;
	many.arrived = 0;
	many.done = 0;
	many.released = 0;
	many.locks = 0;
	for (unsigned i = 0; i < workers; i++) {
		task_bind(&many.tasks[i], &cpus[i]);
		task_ready(&many.tasks[i]);
	}
	uintptr_t state = task_lock();
	while (__atomic_load_n(&many.done, __ATOMIC_ACQUIRE) != workers) {
		task_sleep(&many, TASK_FOREVER);
	}
	task_unlock(state);
	while (__atomic_load_n(&many.released, __ATOMIC_ACQUIRE) != workers) {
		task_settle();
		task_yield();
	}
	return (uint32_t)(many.end - many.start);
}

/*
 * What one of so many pairs costs above the loop around it, in hundredths of an
 * instruction. Sets many.locks to the locks taken in the real window.
 */
static uint32_t bench_net(bench_work *work, bench_work *loop, unsigned workers,
			  unsigned pairs)
{
	uint32_t around = bench_window(loop, workers);

	many.watched = workers > 1;
	uint32_t all = bench_window(work, workers);
	many.watched = false;
	return all > around ? (all - around) / (pairs / 100) : 0;
}

/* -------- rows -------- */

static void bench_row(const char *operation, const char *what, uint32_t value)
{
	kprintf("bench: %u CPUs, %s, %s | %u\n", many.count, operation, what,
		(unsigned)value);
}

/* Of hundredths. */
static void bench_row_cost(const char *operation, const char *what,
			   uint32_t cost)
{
	bench_row(operation, what, (cost + 50) / 100);
}

static void bench_row_shared(const char *operation, uint32_t cost,
			     uint32_t alone, unsigned pairs)
{
	bench_row(operation, "percent of a pair alone",
		  alone != 0 ? cost * 100 / alone : UINT32_MAX);
	bench_row(operation, "locks for 100,000",
		  (many.locks * 1000u + pairs / 100 - 1) / (pairs / 100));
	kprintf("bench-watched: %u CPUs, %s\n", many.count, operation);
}

/* Everybody does the same. Returns what a pair costs alone. */
static uint32_t bench_same(const char *operation, bench_work *work)
{
	unsigned pairs = many.count * BENCH_PAIRS;
	uint32_t alone = bench_net(work, bench_nothing, 1, BENCH_PAIRS);
	uint32_t all = bench_net(work, bench_nothing, many.count, pairs);

	bench_row_cost(operation, "alone", alone);
	bench_row_cost(operation, "all at once", all);
	bench_row_shared(operation, all, alone, pairs);
	return alone;
}

/* One makes what another one frees: two CPUs, then all of them in pairs. */
static void bench_handing(const char *operation, unsigned workers,
			  uint32_t alone)
{
	unsigned objects = workers / 2 * BENCH_PAIRS;
	uint32_t cost = bench_net(bench_hand_objects, bench_hand_nothing,
				  workers, objects);

	bench_row_cost(operation, "both", cost);
	bench_row_shared(operation, cost, alone, objects);
}

int bench_run_cpus(void)
{
	many.count = cpus_count;
	if (!cpu_features.tsc || many.count < 2 || many.count % 2 != 0 ||
	    cpus_online() != UINT32_MAX >> (32 - many.count)) {
		kprintf("this takes an even number of CPUs, all of them "
			"online, with time-stamp counters\n");
		return -LOAM_ENOENT;
	}
	many.failed = 0;
	many.cache = loam_cache_create(&kernel.slabs, "bench-64", BENCH_SIZE, 0,
				       LOAM_CACHE_NO_MERGE, NULL);
	if (many.cache == NULL) {
		kprintf("no memory\n");
		return -LOAM_ENOMEM;
	}
	uint32_t alone =
		bench_same("kmalloc pair, 64 bytes", bench_kmalloc_pairs);
	(void)bench_same("cache pair, 64 bytes", bench_cache_pairs);
	(void)bench_same("order-0 pair", bench_frame_pairs);
	bench_handing("1 makes, 1 frees", 2, alone);
	bench_handing("half make, half free", many.count, alone);
	loam_cache_destroy(&kernel.slabs, many.cache);
	if (many.failed > 0) {
		kprintf("%u operations got no memory: the rows above do not "
			"count\n",
			(unsigned)many.failed);
		return -LOAM_ENOMEM;
	}
	return 0;
}
