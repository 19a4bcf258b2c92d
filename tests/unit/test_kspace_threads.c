/* SPDX-License-Identifier: MIT */
/* Kernel addresses with threads as CPUs: ranges that other CPUs free. */
#include <pthread.h>

#include "kspace_fixture.h"

#define THREADS 4u
#define MAILBOX 16u
#define ROUNDS 400u
#define PAGES_MOST 12u

/* Ranges on their way from one thread to another. */
static uint32_t *mailbox[MAILBOX];
static unsigned got_no_memory;

/* The first word of each page says which range it is, and how large. */
static void stamp(uint32_t *range, uint32_t mark, uint32_t pages)
{
	for (uint32_t i = 0; i < pages; i++) {
		range[i * PAGE / sizeof(*range)] = mark << 8 | pages;
	}
}

static bool stamped(const uint32_t *range)
{
	uint32_t pages = range[0] & 0xff;
	for (uint32_t i = 0; i < pages; i++) {
		if (range[i * PAGE / sizeof(*range)] != range[0]) {
			return false;
		}
	}
	return loam_kspace_vsize(&machine.kspace, range) == pages * PAGE;
}

static size_t exchange(uint64_t random, uint32_t mark)
{
	uint32_t pages = 1 + (uint32_t)(random >> 8) % PAGES_MOST;
	size_t bad = 0;
	uint32_t *range = loam_kspace_vmalloc(&machine.kspace, pages * PAGE, 0,
					      LOAM_HIGH);
	if (range == NULL) {
		__atomic_fetch_add(&got_no_memory, 1, __ATOMIC_RELAXED);
	} else {
		stamp(range, mark, pages);
	}
	uint32_t **place = &mailbox[(random >> 32) % MAILBOX];
	range = __atomic_exchange_n(place, range, __ATOMIC_ACQ_REL);
	if (range != NULL) {
		bad = !stamped(range);
		loam_kspace_vfree(&machine.kspace, range);
	}
	return bad;
}

/* A frame of high memory, looked at through this CPU's own temporary map. */
static size_t look_at_frame(uint32_t mark)
{
	loam_pfn_t pfn = loam_frame_alloc(&machine.frames, 0, LOAM_HIGH);
	size_t bad = 0;
	if (pfn == LOAM_PFN_NONE) {
		return 0;
	}
	for (unsigned pass = 0; pass < 2; pass++) {
		uint32_t *word = loam_kspace_temp_map(&machine.kspace, pfn);
		bad += pass == 1 && *word != mark;
		*word = mark;
		loam_kspace_temp_unmap(&machine.kspace, word);
	}
	loam_frame_free(&machine.frames, pfn, 0);
	return bad;
}

static void *storm(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	uint64_t seed = 4711u + self;
	size_t bad = 0;
	hosted_cpu = self;
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t random = hosted_random(&seed);
		uint32_t mark = i * THREADS + self;
		bad += random % 4 != 0 ? exchange(random, mark)
				       : look_at_frame(mark);
	}
	return (void *)bad;
}

TEST(storm,
     "X.8 S0.20 four CPUs map, hand over and unmap, and no page is two's")
{
	pthread_t thread[THREADS];
	machine_start();
	/* What is grown for the first time stays. */
	void *first = loam_kspace_vmalloc(&machine.kspace, PAGE, 0, LOAM_HIGH);
	EXPECT(first != NULL);
	loam_kspace_vfree(&machine.kspace, first);
	unsigned long before = hosted_shootdowns;
	got_no_memory = 0;
	for (uintptr_t i = 0; i < THREADS; i++) {
		EXPECT_EQ(pthread_create(&thread[i], NULL, storm, (void *)i),
			  0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *bad;
		EXPECT_EQ(pthread_join(thread[i], &bad), 0);
		EXPECT_EQ((uintptr_t)bad, 0);
	}
	for (unsigned i = 0; i < MAILBOX; i++) {
		if (mailbox[i] != NULL) {
			EXPECT(stamped(mailbox[i]));
			loam_kspace_vfree(&machine.kspace, mailbox[i]);
			mailbox[i] = NULL;
		}
	}
	EXPECT_EQ(got_no_memory, 0);
	/* Translations that went had to be forgotten by the others. */
	EXPECT(hosted_shootdowns > before);
	EXPECT_EQ(machine_stats().own_pages, 0);
	EXPECT(read_faults(first) && write_faults(first));
	EXPECT_EQ(loam_misuse_count(), 0);
	machine_end();
}
