/* SPDX-License-Identifier: MIT */
/* Page frames: what an operation costs, ours and two simple ones. */

/*
 * Ours is called as a kernel calls it (kernel/alloc.c). Against it, in the same
 * run, an xv6-style list (a stack of frame numbers whose links lie beside the
 * frames, under one lock) and a bitmap (next fit, one bit a frame, one lock).
 * No frame is ever touched, so only the allocator's own memory is. `loop` is
 * the same loop around nothing: what all the others' figures have in them.
 *
 * One line for each figure: what, where, order, threads, GiB, nanoseconds.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <loam/bits.h>
#include <loam/frame_fast.h>

#include "platform.h"

static struct machine {
	struct loam_mem_range ranges[4];
	struct loam_memblock_region regions[8];
	struct loam_memmap map;
	struct loam_memblock memblock;
	struct loam_frames frames;
} machine;

/* -------- the three allocators behind one table -------- */

static LOAM_NOINLINE loam_pfn_t loam_get(unsigned order)
{
	if (order == 0) {
		loam_pfn_t pfn = loam_frame_pop(&machine.frames, 0);
		if (LOAM_LIKELY(pfn != LOAM_PFN_NONE)) {
			return pfn;
		}
	}
	return loam_frame_alloc(&machine.frames, order, 0);
}

static LOAM_NOINLINE void loam_put(loam_pfn_t pfn, unsigned order)
{
	if (order != 0 || (!loam_frame_push(&machine.frames, pfn) &&
			   !loam_frame_push_gathering(&machine.frames, pfn))) {
		loam_frame_free(&machine.frames, pfn, order);
	}
}

static char simple_lock;
static loam_pfn_t frame_count;
static loam_pfn_t metadata_frames; /* besides: see start_all() */

static void simple_enter(void)
{
	while (__atomic_test_and_set(&simple_lock, __ATOMIC_ACQUIRE)) {
		__builtin_ia32_pause();
	}
}

static void simple_leave(void)
{
	__atomic_clear(&simple_lock, __ATOMIC_RELEASE);
}

static loam_pfn_t *list_next;
static loam_pfn_t list_head;

static LOAM_NOINLINE loam_pfn_t list_get(unsigned order)
{
	(void)order;
	simple_enter();
	loam_pfn_t pfn = list_head;
	if (pfn != LOAM_PFN_NONE) {
		list_head = list_next[pfn];
	}
	simple_leave();
	return pfn;
}

static LOAM_NOINLINE void list_put(loam_pfn_t pfn, unsigned order)
{
	(void)order;
	simple_enter();
	list_next[pfn] = list_head;
	list_head = pfn;
	simple_leave();
}

static uint64_t *map_free;
static size_t map_at;
static bool map_first_fit;

static LOAM_NOINLINE loam_pfn_t map_get(unsigned order)
{
	(void)order;
	loam_pfn_t pfn = LOAM_PFN_NONE;
	size_t words = frame_count / 64;
	simple_enter();
	size_t at = map_at;
	for (size_t i = 0; i < words; i++) {
		if (map_free[at] != 0) {
			unsigned bit = (unsigned)__builtin_ctzll(map_free[at]);
			map_free[at] &= map_free[at] - 1;
			map_at = at;
			pfn = (loam_pfn_t)(at * 64 + bit);
			break;
		}
		at = at + 1 == words ? 0 : at + 1;
	}
	simple_leave();
	return pfn;
}

static LOAM_NOINLINE void map_put(loam_pfn_t pfn, unsigned order)
{
	(void)order;
	simple_enter();
	map_free[pfn / 64] |= (uint64_t)1 << (pfn % 64);
	if (map_first_fit && pfn / 64 < map_at) {
		map_at = pfn / 64;
	}
	simple_leave();
}

/* One block for ever: the loop alone. */
static LOAM_NOINLINE loam_pfn_t loop_get(unsigned order)
{
	return order;
}

static LOAM_NOINLINE void loop_put(loam_pfn_t pfn, unsigned order)
{
	(void)pfn;
	(void)order;
}

struct allocator {
	const char *name;
	loam_pfn_t (*get)(unsigned order);
	void (*put)(loam_pfn_t pfn, unsigned order);
};

static const struct allocator allocators[] = {
	{ "loam", loam_get, loam_put },
	{ "list", list_get, list_put },
	{ "bitmap", map_get, map_put },
	{ "loop", loop_get, loop_put },
};
#define ALLOCATORS (sizeof(allocators) / sizeof(allocators[0]))

static void start_simple(void)
{
	list_head = LOAM_PFN_NONE;
	for (loam_pfn_t pfn = frame_count; pfn-- > 0;) {
		list_next[pfn] = list_head;
		list_head = pfn;
	}
	memset(map_free, 0xff, frame_count / 8);
	map_at = 0;
}

/*
 * `whole`: the machine has memory for the metadata besides, in blocks of 2 MiB
 * of which nothing else is to be had. So as many frames are free, and as many
 * blocks of 2 MiB whole, as the others have.
 */
static void reserve_metadata(loam_phys_t at, loam_phys_t metadata_bytes)
{
	loam_phys_t runs = LOAM_PAGE_SIZE; /* what of it are runs, at most */
	loam_phys_t from =
		at + loam_round_up(metadata_bytes + runs, LOAM_PAGE_SIZE);
	loam_phys_t end = loam_round_up(from, LOAM_MIB(2));
	if (end > from &&
	    loam_memblock_reserve(&machine.memblock, from, end - from,
				  LOAM_RESERVED_METADATA) != 0) {
		exit(1);
	}
}

static void start_all(unsigned gib, bool whole)
{
	loam_phys_t size = LOAM_GIB(gib);
	frame_count = (loam_pfn_t)(size >> LOAM_PAGE_SHIFT);
	metadata_frames = 0;
	if (whole) {
		/* That of a GiB, and of a chunk more for itself. */
		loam_phys_t bytes = loam_round_up(
			loam_frame_metadata_bytes(frame_count + 2048) +
				LOAM_PAGE_SIZE,
			LOAM_MIB(2));
		size += bytes;
		metadata_frames = (loam_pfn_t)(bytes >> LOAM_PAGE_SHIFT);
	}
	hosted_memory_create(size, size);
	memset(&machine, 0, sizeof(machine));
	loam_memmap_init(&machine.map, machine.ranges, 4);
	loam_memblock_init(&machine.memblock, machine.regions, 8);
	bool ok =
		loam_memmap_add(&machine.map, 0, size, LOAM_MEM_USABLE) == 0 &&
		loam_memmap_normalise(&machine.map) == 0 &&
		loam_memblock_adopt(&machine.memblock, &machine.map) == 0;
	if (ok && whole) {
		reserve_metadata(LOAM_MIB(16),
				 loam_frame_metadata_bytes(
					 (uint64_t)(size >> LOAM_PAGE_SHIFT)));
	}
	ok = ok && loam_frame_adopt(&machine.frames, &machine.memblock,
				    LOAM_MIB(16), size, size) == 0;
	list_next = calloc(frame_count, sizeof(*list_next));
	map_free = calloc(frame_count / 64, 8);
	if (!ok || list_next == NULL || map_free == NULL) {
		exit(1);
	}
	start_simple();
}

/* -------- what a thread does -------- */

enum step { BULK, RANDOM_FREE, PAIR, CHURN_50, CHURN_90, STEPS };
static const char *const step_names[] = { "bulk", "random free", "pair",
					  "churn 50", "churn 90" };

struct worker {
	const struct allocator *allocator;
	unsigned number;
	unsigned order;
	size_t room; /* blocks that are this thread's share */
	loam_pfn_t *live;
	uint64_t seed;
	double ns[STEPS];
};

static double cpu_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static size_t pick(struct worker *worker, size_t below)
{
	worker->seed ^= worker->seed << 13;
	worker->seed ^= worker->seed >> 7;
	worker->seed ^= worker->seed << 17;
	return (size_t)((worker->seed >> 32) * below >> 32);
}

static loam_pfn_t must_get(struct worker *worker)
{
	loam_pfn_t pfn = worker->allocator->get(worker->order);
	if (pfn == LOAM_PFN_NONE) {
		fputs("frames: out of memory\n", stderr);
		exit(1);
	}
	return pfn;
}

static void shuffle(struct worker *worker, size_t count)
{
	for (size_t i = count; i > 1; i--) {
		size_t other = pick(worker, i);
		loam_pfn_t swap = worker->live[i - 1];
		worker->live[i - 1] = worker->live[other];
		worker->live[other] = swap;
	}
}

static void churn(struct worker *worker, enum step step, size_t percent)
{
	size_t count = worker->room / 100 * percent;
	size_t steps = 3000000;
	for (size_t i = 0; i < count; i++) {
		worker->live[i] = must_get(worker);
	}
	double began = cpu_ns();
	for (size_t i = 0; i < steps; i++) {
		size_t n = pick(worker, count);
		worker->allocator->put(worker->live[n], worker->order);
		worker->live[n] = must_get(worker);
	}
	worker->ns[step] = (cpu_ns() - began) / (double)steps;
	for (size_t i = 0; i < count; i++) {
		worker->allocator->put(worker->live[i], worker->order);
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	size_t count = worker->room / 10 * 9;
	hosted_cpu = worker->number;
	for (size_t i = 0; i < count; i++) {
		worker->live[i] = 0; /* no page fault within the time taken */
	}
	double began = cpu_ns();
	for (size_t i = 0; i < count; i++) {
		worker->live[i] = must_get(worker);
	}
	worker->ns[BULK] = (cpu_ns() - began) / (double)count;
	shuffle(worker, count);
	began = cpu_ns();
	for (size_t i = 0; i < count; i++) {
		worker->allocator->put(worker->live[i], worker->order);
	}
	worker->ns[RANDOM_FREE] = (cpu_ns() - began) / (double)count;
	began = cpu_ns();
	for (size_t i = 0; i < 10000000; i++) {
		worker->allocator->put(must_get(worker), worker->order);
	}
	worker->ns[PAIR] = (cpu_ns() - began) / 1e7;
	churn(worker, CHURN_50, 50);
	churn(worker, CHURN_90, 90);
	return NULL;
}

static void run(const struct allocator *allocator, unsigned order,
		unsigned threads, unsigned gib)
{
	struct worker workers[2];
	pthread_t handles[2];
	for (unsigned t = 0; t < threads; t++) {
		size_t room = (frame_count >> order) / threads * 98 / 100;
		workers[t] = (struct worker){ .allocator = allocator,
					      .number = t,
					      .order = order,
					      .room = room,
					      .seed = 88172645463325252u + t };
		workers[t].live = calloc(room, sizeof(loam_pfn_t));
		if (workers[t].live == NULL ||
		    pthread_create(&handles[t], NULL, work, &workers[t]) != 0) {
			exit(1);
		}
	}
	for (unsigned t = 0; t < threads; t++) {
		pthread_join(handles[t], NULL);
	}
	for (unsigned step = 0; step < STEPS; step++) {
		double sum = 0;
		for (unsigned t = 0; t < threads; t++) {
			sum += workers[t].ns[step];
		}
		printf("%s|%s|%u|%u|%u|%.2f\n", allocator->name,
		       step_names[step], order, threads, gib, sum / threads);
	}
	fflush(stdout);
	for (unsigned t = 0; t < threads; t++) {
		free(workers[t].live);
	}
}

/* -------- fragmentation: free blocks of 2 MiB after long churn -------- */

/* Frames come and go in random numbers, until half of memory is in use. */
static void wander(const struct allocator *allocator, unsigned char *used)
{
	uint64_t seed = 4101842887655102017u;
	size_t live = 0;
	size_t room = frame_count / 2;
	static loam_pfn_t *blocks;
	blocks = calloc(frame_count, sizeof(*blocks));
	if (blocks == NULL) {
		exit(1);
	}
	struct worker worker = { .seed = seed };
	for (size_t round = 0; round < 60; round++) {
		/* Up to nine tenths, then down to half again, at random. */
		while (live < room / 5 * 9) {
			blocks[live++] = allocator->get(0);
		}
		while (live > room) {
			size_t n = pick(&worker, live);
			allocator->put(blocks[n], 0);
			blocks[n] = blocks[--live];
		}
	}
	while (live > frame_count / 20) {
		size_t n = pick(&worker, live);
		allocator->put(blocks[n], 0);
		blocks[n] = blocks[--live];
	}
	for (size_t i = 0; i < live * 20; i++) {
		size_t n = pick(&worker, live);
		allocator->put(blocks[n], 0);
		blocks[n] = allocator->get(0);
	}
	memset(used, 0, frame_count + metadata_frames);
	for (size_t i = 0; i < live; i++) {
		used[blocks[i]] = 1;
	}
	for (size_t i = 0; i < live; i++) {
		allocator->put(blocks[i], 0);
	}
	free(blocks);
}

static void fragmentation(const struct allocator *allocator)
{
	unsigned char *used = calloc(frame_count + metadata_frames, 1);
	size_t whole = 0;
	if (used == NULL) {
		exit(1);
	}
	wander(allocator, used);
	for (loam_pfn_t pfn = 0; pfn < frame_count + metadata_frames;
	     pfn += 512) {
		whole += memchr(used + pfn, 1, 512) == NULL;
	}
	printf("%s|free 2 MiB blocks after churn|9|1|1|%zu\n", allocator->name,
	       whole - metadata_frames / 512);
	free(used);
}

int main(void)
{
	static const unsigned sizes[] = { 1, 16 };
	for (unsigned s = 0; s < 2; s++) {
		start_all(sizes[s], false);
		for (unsigned threads = 1; threads <= 2; threads++) {
			for (unsigned a = 0; a < ALLOCATORS; a++) {
				start_simple();
				run(&allocators[a], 0, threads, sizes[s]);
			}
			hosted_cpu = 0;
			loam_frame_drain_cpu(&machine.frames, 0);
			loam_frame_drain_cpu(&machine.frames, 1);
			run(&allocators[0], 9, threads, sizes[s]);
		}
		printf("loam|metadata bytes a frame|0|1|%u|%.2f\n", sizes[s],
		       (double)machine.frames.metadata_bytes /
			       (double)frame_count);
		hosted_memory_destroy();
		free(list_next);
		free(map_free);
	}
	map_first_fit = true;
	start_all(1, true);
	fragmentation(&allocators[0]);
	fragmentation(&allocators[1]);
	fragmentation(&allocators[2]);
	return 0;
}
