/* SPDX-License-Identifier: MIT */
/* kmalloc with threads as CPUs: storms, cross-CPU frees, going offline. */
#include <loam/kmalloc.h>
#include <pthread.h>

#include "fixture.h"
#include "heap_fixture.h"

#define THREADS 4u
#define MAILBOX 64u

static struct fixture machine;
static struct loam_slabs slabs;
static struct loam_kmalloc km;
static unsigned rounds;

/* Blocks on their way from one thread to another. */
static void *mailbox[THREADS][MAILBOX];

struct stamp {
	uint32_t owner;
	uint32_t size;
};

/* Every byte of a block says whose it is, so that sharing one shows. */
static void stamp(void *block, uint32_t owner, uint32_t size)
{
	memset(block, (int)owner + 1, size);
	memcpy(block, &(struct stamp){ owner, size }, sizeof(struct stamp));
}

static bool stamped(const unsigned char *block)
{
	struct stamp mark;
	memcpy(&mark, block, sizeof(mark));
	for (uint32_t i = sizeof(mark); i < mark.size; i++) {
		if (block[i] != mark.owner + 1) {
			return false;
		}
	}
	return true;
}

static void *storm(void *arg)
{
	unsigned self = *(unsigned *)arg;
	hosted_cpu = self;
	uint64_t random = 1234567u + self;
	size_t bad = 0;
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t r = hosted_random(&random);
		uint32_t size =
			8u + (uint32_t)(r >> 8) % (i % 50 ? 600 : 20000);
		void *block = loam_kmalloc(&km, size, 0);
		if (block == NULL) {
			continue;
		}
		stamp(block, self, size);
		/* Hand it to somebody, and free what lies in its place. */
		void **place =
			&mailbox[(r >> 40) % THREADS][(r >> 48) % MAILBOX];
		block = __atomic_exchange_n(place, block, __ATOMIC_ACQ_REL);
		if (block != NULL) {
			bad += !stamped(block);
			loam_kfree(&km, block);
		}
		if (i % 4096 == 0) {
			loam_kmalloc_shrink(&km);
		}
	}
	return (void *)bad;
}

static void run_storm(void)
{
	pthread_t thread[THREADS];
	unsigned id[THREADS];
	for (unsigned i = 0; i < THREADS; i++) {
		id[i] = i;
		EXPECT_EQ(pthread_create(&thread[i], NULL, storm, &id[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *bad;
		EXPECT_EQ(pthread_join(thread[i], &bad), 0);
		EXPECT_EQ((uintptr_t)bad, 0);
	}
}

static void empty_mailboxes(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		for (unsigned j = 0; j < MAILBOX; j++) {
			if (mailbox[i][j] != NULL) {
				EXPECT(stamped(mailbox[i][j]));
				loam_kfree(&km, mailbox[i][j]);
				mailbox[i][j] = NULL;
			}
		}
	}
}

static void check_all_free(void)
{
	struct loam_kmalloc_stats stats;
	loam_kmalloc_stats(&km, &stats);
	EXPECT_EQ(stats.slab_bytes, 0);
	EXPECT_EQ(stats.large_bytes, 0);
	EXPECT_EQ(stats.heap_bytes, 0);
	EXPECT_EQ(loam_kmalloc_check(&km), 0);
	EXPECT_EQ(loam_slab_check(&slabs), 0);
	EXPECT_EQ(loam_frame_check(&machine.frames), 0);
}

TEST(storm, "S4.32 X.8 four CPUs exchange blocks and no byte is shared")
{
	fixture_frames(&machine, LOAM_MIB(64));
	EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
	EXPECT_EQ(loam_kmalloc_init(&km, &slabs, NULL), 0);
	rounds = 20000;
	run_storm();
	empty_mailboxes();
	check_all_free();
	/* The other CPUs go offline: what they hold comes back. */
	for (unsigned cpu = 1; cpu < THREADS; cpu++) {
		loam_slab_drain_cpu(&slabs, cpu);
	}
	loam_kmalloc_shrink(&km);
	for (unsigned n = 0; loam_slab_cache(&slabs, n) != NULL; n++) {
		struct loam_cache_stats stats;
		loam_cache_stats(&slabs, loam_slab_cache(&slabs, n), &stats);
		EXPECT_EQ(stats.slabs, 0);
	}
	EXPECT_EQ(loam_misuse_count(), 0);
}

TEST(scarce, "S4.32 the storm survives a machine with too little memory")
{
	fixture_frames(&machine, LOAM_MIB(2));
	EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
	EXPECT_EQ(loam_kmalloc_init(&km, &slabs, NULL), 0);
	rounds = 5000;
	run_storm();
	empty_mailboxes();
	check_all_free();
	EXPECT_EQ(loam_misuse_count(), 0);
}

/* The storm on a classic heap, whose lock is kmalloc's. */
static void storm_on(const struct loam_heap_ops *ops, size_t pages)
{
	static struct owner owner;
	static struct loam_heap heap;
	fixture_frames(&machine, LOAM_MIB(64));
	EXPECT_EQ(loam_slab_init(&slabs, &machine.frames, NULL), 0);
	EXPECT_EQ(loam_kmalloc_init(&km, &slabs, NULL), 0);
	owner_init(&owner, pages);
	const struct loam_heap_owner calls = owner_calls(&owner);
	const struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = pages * LOAM_PAGE_SIZE,
		.owner = &calls,
	};
	EXPECT_EQ(loam_heap_create(&heap, ops, &config), 0);
	const struct loam_kmalloc_heap_config use = { .heap = &heap };
	EXPECT_EQ(loam_kmalloc_use_heap(&km, &use), 0);
	rounds = 4000;
	run_storm();
	EXPECT_EQ(loam_kmalloc_check(&km), 0);
	empty_mailboxes();
	check_all_free();
	EXPECT_EQ(heap.live_blocks, 0);
	EXPECT_EQ(loam_misuse_count(), 0);
	loam_heap_destroy(&heap);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

TEST(storm_heaps, "S0.20 X.8 four CPUs exchange blocks of each classic heap")
{
	static const struct loam_heap_ops *const designs[] = {
		&loam_heap_bestfit, &loam_heap_block, &loam_heap_list,
		&loam_heap_tlsf,    &loam_heap_buddy,
	};
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(designs); i++) {
		storm_on(designs[i], 8192);
	}
}

TEST(scarce_heaps, "S0.24 the storm on a heap whose window is too small")
{
	storm_on(&loam_heap_bestfit, 20);
	storm_on(&loam_heap_tlsf, 20);
}
