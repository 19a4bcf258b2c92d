/* SPDX-License-Identifier: MIT */
/* Address spaces with threads as CPUs: storms in one space, and of forks. */
#include <pthread.h>

#include "proc_fixture.h"

#define THREADS 4u
#define SLOTS 8u

static struct loam_proc space;
static unsigned rounds;

static uintptr_t slot_address(unsigned self, unsigned slot)
{
	/* Threads' slots interleave, so that they share page tables. */
	return MAP_BASE + (slot * THREADS + self) * 8 * PAGE;
}

static bool copy_word_out(struct loam_proc *proc, uintptr_t at, uint32_t value)
{
	return loam_proc_copy_out(proc, at, &value, sizeof(value)) == 0;
}

static bool word_is(struct loam_proc *proc, uintptr_t at, uint32_t value)
{
	uint32_t found = ~value;
	return loam_proc_copy_in(proc, &found, at, sizeof(found)) == 0 &&
	       found == value;
}

/* Maps, writes, forks, compares, unmaps; each thread in slots of its own. */
static void *storm(void *arg)
{
	unsigned self = *(unsigned *)arg;
	uint64_t random = 77u + self;
	size_t bad = 0;
	hosted_cpu = self;
	for (unsigned i = 0; i < rounds; i++) {
		unsigned slot = (unsigned)(hosted_random(&random) % SLOTS);
		uint32_t value = (uint32_t)hosted_random(&random);
		uintptr_t at = slot_address(self, slot);
		struct loam_map_request request = { .start = at,
						    .size = 4 * PAGE,
						    .prot = RW,
						    .flags = FIXED };
		uintptr_t start;
		struct loam_proc child;
		bad += loam_proc_map(&space, &request, &start) != 0;
		bad += !copy_word_out(&space, at + 4, value);
		bad += !copy_word_out(&space, at + 3 * PAGE, value + 1);
		bad += !word_is(&space, at, 0);
		if (i % 4 == 0) {
			bad += loam_proc_fork(&space, &child, "child") != 0;
			bad += !copy_word_out(&space, at + 4, value + 2);
			bad += !copy_word_out(&child, at + 3 * PAGE, value + 3);
			bad += !word_is(&child, at + 4, value);
			bad += !word_is(&space, at + 3 * PAGE, value + 1);
			loam_proc_destroy(&child);
			bad += !word_is(&space, at + 4, value + 2);
		} else {
			bad += loam_proc_protect(&space, at, PAGE,
						 LOAM_PROT_READ) != 0;
			bad += copy_word_out(&space, at + 4, 0);
			bad += !word_is(&space, at + 4, value);
		}
		if (i % 3 == 0) {
			bad += loam_proc_unmap(&space, at, 4 * PAGE) != 0;
			bad += word_is(&space, at, 0);
		}
	}
	return (void *)bad;
}

TEST(storm, "S0.20 S4.33 threads map, write, fork and unmap in one space")
{
	pthread_t thread[THREADS];
	unsigned id[THREADS];
	for (unsigned g = 0; g < PROC_GEOMETRIES; g++) {
		proc_start(proc_geometries[g], MEMORY);
		rounds = 1500;
		EXPECT_EQ(loam_proc_create(&machine.procs, &space, "space"), 0);
		for (unsigned i = 0; i < THREADS; i++) {
			id[i] = i;
			EXPECT_EQ(
				pthread_create(&thread[i], NULL, storm, &id[i]),
				0);
		}
		for (unsigned i = 0; i < THREADS; i++) {
			void *bad;
			EXPECT_EQ(pthread_join(thread[i], &bad), 0);
			EXPECT_EQ((uintptr_t)bad, 0);
		}
		proc_check_all();
		loam_proc_destroy(&space);
		for (unsigned i = 0; i < THREADS; i++) {
			loam_slab_drain_cpu(&machine.slabs, i);
		}
		proc_end();
	}
}
