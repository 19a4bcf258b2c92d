/* SPDX-License-Identifier: MIT */
/* Threads as CPUs: the frame floor under real concurrency. */
#include <pthread.h>

#include <loam/frame_fast.h>

#include "frame_machine.h"

#define MIB(n) ((loam_phys_t)(n) << 20)
#define CPUS 4u
#define STEPS 20000u
#define SLOTS 64u

/*
 * Blocks travel between CPUs through shared slots, so that most are freed by
 * another CPU than the one that allocated them. A slot holds pfn + 1 and, in
 * the low bits, the order.
 */
static uint64_t slots[SLOTS];
static unsigned char shared_misuse;

/* Each frame of a live block carries its block's mark: nobody else may. */
static void mark(loam_pfn_t pfn, unsigned order, uint32_t value)
{
	for (loam_pfn_t i = 0; i < 1u << order; i++) {
		uint32_t *word =
			loam_host_phys_to_virt(loam_pfn_to_phys(pfn + i));
		uint32_t was =
			__atomic_exchange_n(word, value, __ATOMIC_RELAXED);
		if (value != 0 && was != 0) {
			__atomic_store_n(&shared_misuse, 1, __ATOMIC_RELAXED);
		}
	}
}

static void give(uint64_t slot)
{
	loam_pfn_t pfn = (loam_pfn_t)((slot >> 8) - 1);
	unsigned order = (unsigned)(slot & 0xff);
	mark(pfn, order, 0);
	if (pfn % 2 == 0) {
		loam_frame_free(&machine.frames, pfn, order);
	} else {
		loam_frame_put(&machine.frames, pfn);
	}
}

static void *run_slots(void *arg)
{
	hosted_cpu = (unsigned)(uintptr_t)arg;
	uint64_t seed = hosted_cpu * 7919u + 1;
	for (unsigned i = 0; i < STEPS; i++) {
		uint64_t random = hosted_random(&seed);
		unsigned order = (random >> 8) % 16 == 0
					 ? (unsigned)((random >> 16) % 10)
					 : 0;
		loam_flags_t flags = (random >> 32) % 3 == 0 ? LOAM_DMA : 0;
		loam_pfn_t pfn =
			loam_frame_alloc(&machine.frames, order, flags);
		uint64_t slot = 0;
		if (pfn != LOAM_PFN_NONE) {
			mark(pfn, order, hosted_cpu + 1);
			slot = ((uint64_t)pfn + 1) << 8 | order;
		}
		slot = __atomic_exchange_n(&slots[(random >> 48) % SLOTS], slot,
					   __ATOMIC_ACQ_REL);
		if (slot != 0) {
			give(slot);
		}
	}
	return NULL;
}

static void run_threads(void *(*run)(void *))
{
	pthread_t threads[CPUS];
	for (unsigned i = 0; i < CPUS; i++) {
		EXPECT_EQ(pthread_create(&threads[i], NULL, run,
					 (void *)(uintptr_t)i),
			  0);
	}
	for (unsigned i = 0; i < CPUS; i++) {
		EXPECT_EQ(pthread_join(threads[i], NULL), 0);
	}
}

static void expect_all_back(uint64_t total)
{
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
	EXPECT_EQ(loam_frame_free_count(&machine.frames), total);
	for (unsigned i = 0; i < CPUS; i++) {
		loam_frame_drain_cpu(&machine.frames, i);
	}
	machine_expect_free(total);
}

TEST(exchange, "X.8 blocks freed by other CPUs, no frame with two owners")
{
	machine_start_mib(64);
	uint64_t total = loam_frame_free_count(&machine.frames);
	memset(slots, 0, sizeof(slots));
	shared_misuse = 0;
	run_threads(run_slots);
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slots[i] != 0) {
			give(slots[i]);
		}
	}
	EXPECT(!shared_misuse);
	expect_all_back(total);
}

static void *run_bulk(void *arg)
{
	hosted_cpu = (unsigned)(uintptr_t)arg;
	loam_pfn_t pfns[300];
	uint64_t seed = hosted_cpu + 5;
	for (unsigned i = 0; i < 300; i++) {
		size_t count = (size_t)(hosted_random(&seed) % 300);
		if (loam_frame_alloc_bulk(&machine.frames, count, pfns, 0) !=
		    0) {
			continue;
		}
		for (size_t k = 0; k < count; k++) {
			mark(pfns[k], 0, hosted_cpu + 1);
		}
		for (size_t k = 0; k < count; k++) {
			mark(pfns[k], 0, 0);
		}
		loam_frame_free_bulk(&machine.frames, count, pfns);
		loam_pfn_t pfn = loam_frame_alloc_range(
			&machine.frames, count % 50 + 1, 1, 0, 0, 0);
		if (pfn != LOAM_PFN_NONE) {
			mark(pfn, 0, hosted_cpu + 1);
			mark(pfn, 0, 0);
			loam_frame_free_range(&machine.frames, pfn,
					      count % 50 + 1);
		}
	}
	return NULL;
}

TEST(bulks, "X.8 bulks and ranges on several CPUs, on a nearly full machine")
{
	machine_start_mib(20);
	uint64_t total = loam_frame_free_count(&machine.frames);
	shared_misuse = 0;
	run_threads(run_bulk);
	EXPECT(!shared_misuse);
	expect_all_back(total);
}

static loam_pfn_t shared_frame;

/* Crosses the tag's field and back again and again, half the short way. */
static void *run_references(void *arg)
{
	hosted_cpu = (unsigned)(uintptr_t)arg;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 12000; i++) {
			loam_frame_get(&machine.frames, shared_frame);
		}
		for (unsigned i = 0; i < 12000; i++) {
			if (hosted_cpu % 2 == 0 ||
			    !loam_frame_put_shared(&machine.frames,
						   shared_frame)) {
				loam_frame_put(&machine.frames, shared_frame);
			}
		}
	}
	return NULL;
}

TEST(references, "X.8 references counted by several CPUs at once")
{
	machine_start_mib(32);
	uint64_t total = loam_frame_free_count(&machine.frames);
	shared_frame = loam_frame_alloc(&machine.frames, 0, 0);
	run_threads(run_references);
	EXPECT_EQ(loam_frame_refs(&machine.frames, shared_frame), 1);
	loam_frame_put(&machine.frames, shared_frame);
	expect_all_back(total);
}

static volatile bool readers_stop;

/* What the slab floor does: reads tags below the end, without a lock. */
static void *run_reader(void *arg)
{
	struct loam_frame_tags *tags = loam_frame_tags(&machine.frames);
	(void)arg;
	while (!__atomic_load_n(&readers_stop, __ATOMIC_RELAXED)) {
		loam_pfn_t end = __atomic_load_n(&tags->end, __ATOMIC_ACQUIRE);
		for (loam_pfn_t pfn = 0; pfn < end; pfn += 37) {
			uint32_t tag = loam_tag_load(&tags->tags[pfn]);
			if ((tag & LOAM_TAG_SLAB) != 0) {
				__atomic_store_n(&shared_misuse, 1,
						 __ATOMIC_RELAXED);
			}
		}
	}
	return NULL;
}

TEST(tag_readers, "X.8 below tags.end no tag is ever garbage")
{
	struct machine_range range = { 0, MIB(96) };
	machine_memory(&range, 1, MIB(96));
	/* Garbage that would read as slabs' tags. */
	memset(hosted_memory.direct, 0xff, (size_t)MIB(96));
	EXPECT_EQ(loam_frame_adopt(&machine.frames, &machine.memblock, MIB(16),
				   MIB(96), LOAM_PHYS_NONE),
		  0);
	uint64_t total = loam_frame_free_count(&machine.frames);
	pthread_t reader;
	shared_misuse = 0;
	readers_stop = false;
	EXPECT_EQ(pthread_create(&reader, NULL, run_reader, NULL), 0);
	static loam_pfn_t held[1u << 15];
	size_t count = 0;
	for (;;) {
		loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, 0);
		if (pfn == LOAM_PFN_NONE) {
			break;
		}
		held[count++] = pfn;
	}
	__atomic_store_n(&readers_stop, true, __ATOMIC_RELAXED);
	EXPECT_EQ(pthread_join(reader, NULL), 0);
	EXPECT(!shared_misuse);
	loam_frame_free_bulk(&machine.frames, count, held);
	expect_all_back(total);
}
