/* SPDX-License-Identifier: MIT */
/* Ranked locks: the order, the holder, and threads in the place of CPUs. */
#include <pthread.h>

#include <loam/lock.h>

#include "test.h"

static struct loam_lock zone = LOAM_LOCK_INIT("zone", LOAM_RANK_ZONE);
static struct loam_lock arena = LOAM_LOCK_INIT("arena", LOAM_RANK_ARENA);
static struct loam_lock depot = LOAM_LOCK_INIT("depot", LOAM_RANK_SLAB_DEPOT);

/* Each test with locks nobody holds, whatever a panic left behind. */
static void locks_init(void)
{
	loam_lock_init(&zone, "zone", LOAM_RANK_ZONE);
	loam_lock_init(&arena, "arena", LOAM_RANK_ARENA);
	loam_lock_init(&depot, "depot", LOAM_RANK_SLAB_DEPOT);
}

TEST(init, "X.8 a lock for static storage is as one that was initialised")
{
	static struct loam_lock at_rest = LOAM_LOCK_INIT("x", LOAM_RANK_HEAP);
	struct loam_lock fresh;
	memset(&fresh, 0xff, sizeof(fresh));
	loam_lock_init(&fresh, "x", LOAM_RANK_HEAP);
	EXPECT_EQ(fresh.host.word[0], at_rest.host.word[0]);
	EXPECT_EQ(fresh.host.word[1], at_rest.host.word[1]);
	EXPECT(strcmp(fresh.name, at_rest.name) == 0);
	EXPECT_EQ(fresh.rank, at_rest.rank);
	EXPECT_EQ(fresh.holder, at_rest.holder);
}

TEST(seam, "X.8 one call of the host's lock for each lock, none to ask")
{
	locks_init();
	unsigned long before = hosted_locks_taken;
	loam_lock(&zone);
	EXPECT_EQ(hosted_locks_taken, before + 1);
	EXPECT(zone.host.word[0] != 0);
	EXPECT(loam_lock_held(&zone));
	loam_unlock(&zone);
	EXPECT_EQ(hosted_locks_taken, before + 1);
	EXPECT_EQ(zone.host.word[0], 0);
}

TEST(held, "X.8 held says who: this CPU and no other")
{
	NEEDS_DEBUG();
	locks_init();
	EXPECT(!loam_lock_held(&zone));
	loam_lock(&zone);
	EXPECT(loam_lock_held(&zone));
	hosted_cpu = 3;
	EXPECT(!loam_lock_held(&zone));
	hosted_cpu = 0;
	loam_unlock(&zone);
	EXPECT(!loam_lock_held(&zone));
}

TEST(release, "X.8 a release build keeps no record and never fails on it")
{
	if (LOAM_DEBUG) {
		test_skip("needs a release build");
	}
	locks_init();
	EXPECT(loam_lock_held(&zone));
	loam_lock(&zone);
	loam_lock(&arena);
	EXPECT_EQ(loam_lock_ranks(), 0);
	EXPECT_EQ(zone.holder, 0);
	loam_unlock(&zone);
	loam_unlock(&arena);
	loam_lock_forget_except(0);
}

TEST(order, "X.8 locks may be taken downwards and given back in any order")
{
	NEEDS_DEBUG();
	locks_init();
	loam_lock(&depot);
	loam_lock(&arena);
	loam_lock(&zone);
	EXPECT_EQ(loam_lock_ranks(), 1u << LOAM_RANK_SLAB_DEPOT |
					     1u << LOAM_RANK_ARENA |
					     1u << LOAM_RANK_ZONE);
	loam_unlock(&arena);
	EXPECT(!loam_lock_held(&arena));
	EXPECT(loam_lock_held(&depot) && loam_lock_held(&zone));
	loam_unlock(&depot);
	loam_unlock(&zone);
	EXPECT_EQ(loam_lock_ranks(), 0);
	/* What counts is what is held now: from below again. */
	loam_lock(&zone);
	loam_unlock(&zone);
	loam_lock(&depot);
	loam_unlock(&depot);
}

TEST(order_all, "X.8 every pair of ranks: only the lower one may follow")
{
	NEEDS_DEBUG();
	for (unsigned first = 1; first < LOAM_RANK_COUNT; first++) {
		for (unsigned next = 1; next < LOAM_RANK_COUNT; next++) {
			struct loam_lock outer;
			struct loam_lock inner;
			loam_lock_init(&outer, "outer", (enum loam_rank)first);
			loam_lock_init(&inner, "inner", (enum loam_rank)next);
			loam_lock(&outer);
			EXPECT_EQ(HOSTED_PANICS(loam_lock(&inner)),
				  next >= first);
			EXPECT_EQ(inner.host.word[0], next < first);
			if (next < first) {
				loam_unlock(&inner);
			}
			loam_unlock(&outer);
		}
	}
}

TEST(broken_order, "X.8 a broken order panics with both names, lock untaken")
{
	NEEDS_DEBUG();
	locks_init();
	loam_lock(&depot);
	loam_lock(&zone);
	EXPECT_PANIC(loam_lock(&arena), "lock arena (rank 4) taken after "
					"zone (rank 2)");
	EXPECT_EQ(arena.host.word[0], 0);
	/* The panic was caught: what was held is held, and goes on working. */
	EXPECT(loam_lock_held(&depot) && loam_lock_held(&zone));
	loam_unlock(&zone);
	loam_lock(&arena);
	loam_unlock(&arena);
	loam_unlock(&depot);
}

TEST(equal_rank, "X.8 a second lock of the same rank panics with both names")
{
	NEEDS_DEBUG();
	locks_init();
	static struct loam_lock other = LOAM_LOCK_INIT("other", LOAM_RANK_ZONE);
	loam_lock(&zone);
	EXPECT_PANIC(loam_lock(&other),
		     "lock other (rank 2) taken after zone (rank 2)");
	loam_unlock(&zone);
}

TEST(recursion, "X.8 taking a lock again panics instead of hanging")
{
	NEEDS_DEBUG();
	locks_init();
	loam_lock(&zone);
	EXPECT_PANIC(loam_lock(&zone), "zone taken again by its holder, CPU 0");
	loam_unlock(&zone);
}

TEST(not_held, "X.8 giving back a lock that nobody holds panics")
{
	NEEDS_DEBUG();
	locks_init();
	EXPECT_PANIC(loam_unlock(&zone),
		     "zone given back by CPU 0, but nobody holds it");
	loam_lock(&zone);
	loam_unlock(&zone);
	EXPECT_PANIC(loam_unlock(&zone), "nobody holds it");
}

TEST(not_holder, "X.8 giving back another CPU's lock panics with both CPUs")
{
	NEEDS_DEBUG();
	locks_init();
	loam_lock(&zone);
	hosted_cpu = 5;
	EXPECT_PANIC(loam_unlock(&zone),
		     "zone given back by CPU 5, but CPU 0 holds it");
	hosted_cpu = 0;
	EXPECT(loam_lock_held(&zone));
	loam_unlock(&zone);
}

TEST(uninitialised, "X.8 a lock that was never initialised panics")
{
	NEEDS_DEBUG();
	static struct loam_lock zero;
	static struct loam_lock bad = LOAM_LOCK_INIT("bad", LOAM_RANK_COUNT);
	EXPECT_PANIC(loam_lock(&zero), "was never initialised");
	EXPECT_PANIC(loam_lock(&bad), "was never initialised");
	EXPECT_PANIC(loam_lock_init(&zero, NULL, LOAM_RANK_ZONE), "name");
	EXPECT_PANIC(loam_lock_init(&zero, "x", LOAM_RANK_COUNT), "rank");
	EXPECT_PANIC(loam_lock_init(&zero, "x", (enum loam_rank)0), "rank");
}

static void lock_as(unsigned cpu)
{
	hosted_cpu = cpu;
	loam_lock(&zone);
}

TEST(wild_cpu, "X.8 a CPU beyond LOAM_MAX_CPUS panics, nothing is written")
{
	NEEDS_DEBUG();
	locks_init();
	EXPECT_PANIC(lock_as(LOAM_MAX_CPUS), "cpu < LOAM_MAX_CPUS");
	EXPECT_EQ(zone.host.word[0], 0);
	EXPECT_EQ(hosted_cpu, 0);
}

static void take_and_panic(void)
{
	loam_lock(&arena);
	loam_lock(&zone);
	loam_panic("under two locks");
}

TEST(forget, "X.8 a caught panic leaves the record as it was before")
{
	NEEDS_DEBUG();
	locks_init();
	loam_lock(&depot);
	EXPECT_PANIC(take_and_panic(), "under two locks");
	EXPECT_EQ(loam_lock_ranks(), 1u << LOAM_RANK_SLAB_DEPOT);
	/* Those two are thrown away; new ones of their ranks can be taken. */
	loam_lock_init(&arena, "arena", LOAM_RANK_ARENA);
	loam_lock_init(&zone, "zone", LOAM_RANK_ZONE);
	loam_lock(&arena);
	loam_lock(&zone);
	loam_unlock(&zone);
	loam_unlock(&arena);
	loam_unlock(&depot);
	EXPECT_EQ(loam_lock_ranks(), 0);
}

#define THREADS 4u
#define ROUNDS 20000u

/* Written under the locks by every thread, without atomics of their own. */
static unsigned long under_zone;
static unsigned long under_both;
static unsigned long never_seen_by_others;

static void *contend(void *cpu)
{
	hosted_cpu = (unsigned)(uintptr_t)cpu;
	for (unsigned i = 0; i < ROUNDS; i++) {
		bool both = (i + hosted_cpu) % 3 == 0;
		if (both) {
			loam_lock(&arena);
			under_both++;
			EXPECT(loam_lock_held(&arena));
		}
		loam_lock(&zone);
		under_zone++;
		never_seen_by_others = hosted_cpu + 1;
		EXPECT(loam_lock_held(&zone));
		EXPECT_EQ(never_seen_by_others, hosted_cpu + 1);
		loam_unlock(&zone);
		if (both) {
			loam_unlock(&arena);
		}
	}
	return NULL;
}

TEST(threads, "X.8 threads as CPUs: exclusion, and a record for each CPU")
{
	pthread_t thread[THREADS];
	unsigned long both = 0;
	locks_init();
	under_zone = 0;
	under_both = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		EXPECT_EQ(pthread_create(&thread[i], NULL, contend,
					 (void *)(uintptr_t)i),
			  0);
		for (unsigned round = 0; round < ROUNDS; round++) {
			both += (round + i) % 3 == 0;
		}
	}
	for (unsigned i = 0; i < THREADS; i++) {
		EXPECT_EQ(pthread_join(thread[i], NULL), 0);
	}
	EXPECT_EQ(under_zone, THREADS * ROUNDS);
	EXPECT_EQ(under_both, both);
	EXPECT_EQ(loam_lock_ranks(), 0);
}

/* CPU 1's part: its own record lets it take what CPU 0 could not any more. */
static void *take_above(void *ranks)
{
	hosted_cpu = 1;
	loam_lock(&depot);
	*(uint32_t *)ranks = loam_lock_ranks();
	loam_unlock(&depot);
	return NULL;
}

TEST(other_cpu, "X.8 what one CPU holds does not bind another one's order")
{
	NEEDS_DEBUG();
	pthread_t thread;
	uint32_t ranks = 0;
	locks_init();
	loam_lock(&zone);
	EXPECT_EQ(pthread_create(&thread, NULL, take_above, &ranks), 0);
	EXPECT_EQ(pthread_join(thread, NULL), 0);
	EXPECT_EQ(ranks, 1u << LOAM_RANK_SLAB_DEPOT);
	EXPECT_EQ(loam_lock_ranks(), 1u << LOAM_RANK_ZONE);
	loam_unlock(&zone);
}
