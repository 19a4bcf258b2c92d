/* SPDX-License-Identifier: MIT */
/* The page list of xv6: order, two steps, junk, edges, and every misuse. */
#include <sys/mman.h>

#include <loam/bits.h>
#include <loam/heap_runs.h>
#include <loam/mem.h>

#include "test.h"

#define PAGES 64u

/* The stretch under test, a guard page on both sides. */
static unsigned char *stretch;
static uint32_t free_map[LOAM_RUNS_MAP_WORDS(PAGES) + 2];
static struct loam_runs runs;

#define MAP_CANARY 0xca9a71e5u

static void make_stretch(void)
{
	unsigned char *at = mmap(NULL, (PAGES + 2) * LOAM_PAGE_SIZE, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EXPECT(at != MAP_FAILED);
	stretch = at + LOAM_PAGE_SIZE;
	EXPECT_EQ(mprotect(stretch, PAGES * LOAM_PAGE_SIZE,
			   PROT_READ | PROT_WRITE),
		  0);
}

static unsigned char *page(size_t index)
{
	return stretch + index * LOAM_PAGE_SIZE;
}

/* A list without pages: in debug mode, or as in xv6. */
static void start(bool debug, bool fatal)
{
	make_stretch();
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(free_map); i++) {
		free_map[i] = MAP_CANARY;
	}
	struct loam_runs_config config = {
		.base = stretch,
		.size_bytes = PAGES * LOAM_PAGE_SIZE,
		.free_map = debug ? free_map + 1 : NULL,
		.fatal = fatal,
	};
	EXPECT_EQ(loam_runs_init(&runs, &config), 0);
	EXPECT_EQ(loam_runs_check(&runs), 0);
}

static void start_full(bool debug)
{
	start(debug, false);
	EXPECT_EQ(loam_runs_add(&runs, page(0), page(PAGES)), PAGES);
	EXPECT_EQ(loam_runs_check(&runs), 0);
}

static void finish(void)
{
	EXPECT_EQ(loam_runs_check(&runs), 0);
	EXPECT_EQ(free_map[0], MAP_CANARY);
	EXPECT_EQ(free_map[LOAM_ARRAY_SIZE(free_map) - 1], MAP_CANARY);
	munmap(stretch - LOAM_PAGE_SIZE, (PAGES + 2) * LOAM_PAGE_SIZE);
}

/* ------------------------------------------------------------- creation */

TEST(bad_stretch, "S2.17 a stretch that cannot be is refused")
{
	make_stretch();
	const size_t size = PAGES * LOAM_PAGE_SIZE;
	unsigned char *high = (unsigned char *)((uintptr_t)0 - LOAM_PAGE_SIZE);
	const struct loam_runs_config bad[] = {
		{ .base = NULL, .size_bytes = size },
		{ .base = stretch + 8, .size_bytes = size },
		{ .base = stretch, .size_bytes = size - 1 },
		{ .base = stretch, .size_bytes = 0 },
		{ .base = high, .size_bytes = 2 * LOAM_PAGE_SIZE },
		{ .base = stretch, .size_bytes = size, .junk_bytes = 63 },
		{ .base = stretch, .size_bytes = size, .junk_bytes = 4097 },
	};
	struct loam_runs before;
	memset(&runs, 0x5a, sizeof(runs));
	memcpy(&before, &runs, sizeof(runs));
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(loam_runs_init(&runs, &bad[i]), -LOAM_EINVAL);
		EXPECT_EQ(memcmp(&runs, &before, sizeof(runs)), 0);
	}
	/* The last page there is can be one of the stretch. */
	struct loam_runs_config top = { .base = high,
					.size_bytes = LOAM_PAGE_SIZE };
	EXPECT_EQ(loam_runs_init(&runs, &top), 0);
	EXPECT_EQ(loam_runs_check(&runs), 0);
	start(true, false);
	finish();
}

TEST(freeing_is_initialisation,
     "S2.7 S2.4 a range gives the pages it has whole, by freeing them")
{
	start(true, false);
	EXPECT(loam_runs_alloc(&runs) == NULL);
	EXPECT_EQ(runs.failed, 1);
	EXPECT_EQ(loam_runs_add(&runs, page(0) + 1, page(9) - 1), 7);
	EXPECT_EQ(runs.free_pages, 7);
	EXPECT_EQ(runs.total_pages, 7);
	for (size_t i = 0; i < PAGES; i++) {
		EXPECT_EQ(loam_runs_is_free(&runs, page(i)), i >= 1 && i < 8);
	}
	finish();
}

TEST(odd_ranges, "S2.17 empty, reversed and small ranges give no page")
{
	start(true, false);
	EXPECT_EQ(loam_runs_add(&runs, page(1), page(1)), 0);
	EXPECT_EQ(loam_runs_add(&runs, page(1), page(1) + 4095), 0);
	EXPECT_EQ(loam_runs_add(&runs, page(1) + 1, page(2) + 4095), 0);
	EXPECT_EQ(loam_runs_add(&runs, page(9), page(3)), 0);
	EXPECT_EQ(loam_runs_add(&runs, page(9), (void *)(uintptr_t)1), 0);
	/* Rounding up wraps, as the end of the address space does. */
	uintptr_t top = (uintptr_t)-1;
	EXPECT_EQ(loam_runs_add(&runs, (void *)top, (void *)top), 0);
	EXPECT_EQ(loam_runs_add(&runs, (void *)(top - 10), NULL), 0);
	EXPECT_EQ(loam_runs_add(&runs, (void *)top, page(3)), 0);
	EXPECT_EQ(loam_runs_check(&runs), 0);
	EXPECT_EQ(runs.total_pages, 0);
	/* What lies outside the stretch is left out on both sides. */
	EXPECT_EQ(loam_runs_add(&runs, NULL, page(2)), 2);
	EXPECT_EQ(loam_runs_add(&runs, page(PAGES - 1), NULL), 1);
	EXPECT_EQ(runs.free_pages, 3);
	finish();
}

TEST(top_of_addresses, "S2.17 the last page of the address space is one too")
{
	/* The page is not touched: it is only asked what would be added. */
	unsigned char *high =
		(unsigned char *)((uintptr_t)0 - 4 * LOAM_PAGE_SIZE);
	struct loam_runs_config config = { .base = high,
					   .size_bytes = 4 * LOAM_PAGE_SIZE };
	EXPECT_EQ(loam_runs_init(&runs, &config), 0);
	EXPECT_EQ(loam_runs_add(&runs, high, high), 0);
	EXPECT_EQ(loam_runs_add(&runs, NULL, high), 0);
	EXPECT_EQ(loam_runs_add(&runs, (void *)(uintptr_t)-1, NULL), 0);
	EXPECT_EQ(loam_runs_check(&runs), 0);
}

/* ------------------------------------------------------------- order */

TEST(threaded, "S2.5 S2.6 S2.13 pages carry the list while free, else nothing")
{
	start_full(true);
	for (size_t i = 0; i < PAGES; i++) {
		/* The first word leads to the page before it. */
		void *next = *(void **)page(i);
		EXPECT(next == (i == 0 ? NULL : page(i - 1)));
	}
	unsigned char *before = loam_runs_alloc(&runs);
	for (size_t i = 1; i < PAGES; i++) {
		unsigned char *at = loam_runs_alloc(&runs);
		EXPECT_EQ((uintptr_t)at % LOAM_PAGE_SIZE, 0);
		EXPECT_EQ(before - at, LOAM_PAGE_SIZE);
		memset(at, 0xff, LOAM_PAGE_SIZE);
		before = at;
		EXPECT_EQ(loam_runs_check(&runs), 0);
	}
	EXPECT(loam_runs_alloc(&runs) == NULL);
	finish();
}

TEST(order, "S2.8 S2.10 the highest first, and the second step's before that")
{
	start(true, false);
	/* kinit1's share, then kinit2's. */
	EXPECT_EQ(loam_runs_add(&runs, page(0), page(16)), 16);
	EXPECT_EQ(runs.free_pages, 16);
	EXPECT_EQ(loam_runs_add(&runs, page(16), page(PAGES)), PAGES - 16);
	EXPECT_EQ(runs.free_pages, PAGES);
	for (size_t i = PAGES; i > 0; i--) {
		EXPECT(loam_runs_alloc(&runs) == page(i - 1));
	}
	finish();
}

TEST(lifo, "S2.9 what was freed last is handed out first")
{
	start_full(true);
	void *taken[8];
	for (unsigned i = 0; i < 8; i++) {
		taken[i] = loam_runs_alloc(&runs);
	}
	static const unsigned order[8] = { 3, 1, 7, 0, 5, 2, 6, 4 };
	for (unsigned i = 0; i < 8; i++) {
		loam_runs_free(&runs, taken[order[i]]);
		EXPECT_EQ(loam_runs_check(&runs), 0);
	}
	for (unsigned i = 8; i > 0; i--) {
		EXPECT(loam_runs_alloc(&runs) == taken[order[i - 1]]);
	}
	finish();
}

TEST(exhausted, "S2.14 an empty list gives NULL, and frees bring it back")
{
	start_full(false);
	for (size_t i = 0; i < PAGES; i++) {
		EXPECT(loam_runs_alloc(&runs) != NULL);
	}
	EXPECT(loam_runs_alloc(&runs) == NULL);
	EXPECT(loam_runs_alloc(&runs) == NULL);
	EXPECT_EQ(runs.failed, 2);
	EXPECT_EQ(runs.peak_used_pages, PAGES);
	loam_runs_free(&runs, page(17));
	EXPECT(loam_runs_alloc(&runs) == page(17));
	EXPECT(loam_runs_alloc(&runs) == NULL);
	finish();
}

TEST(junk, "S2.16 a freed page is filled with bytes of 1")
{
	start_full(true);
	unsigned char *at = loam_runs_alloc(&runs);
	memset(at, 0xee, LOAM_PAGE_SIZE);
	loam_runs_free(&runs, at);
	EXPECT_EQ(at[8], 1);
	for (size_t i = sizeof(void *); i < LOAM_PAGE_SIZE; i++) {
		EXPECT_EQ(at[i], LOAM_RUNS_JUNK);
	}
	/* The neighbours are as they were. */
	EXPECT(*(void **)page(PAGES - 2) == page(PAGES - 3));
	finish();
}

TEST(junk_line, "S2.16 where less junk is asked for, it is exactly that much")
{
	start(true, false);
	struct loam_runs_config config = runs.config;
	config.junk_bytes = LOAM_RUNS_JUNK_MIN;
	EXPECT_EQ(loam_runs_init(&runs, &config), 0);
	memset(page(0), 0xee, LOAM_PAGE_SIZE);
	EXPECT_EQ(loam_runs_add(&runs, page(0), page(1)), 1);
	for (size_t i = sizeof(void *); i < LOAM_PAGE_SIZE; i++) {
		EXPECT_EQ(page(0)[i], i < LOAM_RUNS_JUNK_MIN ? 1 : 0xee);
	}
	unsigned long reports = loam_misuse_count();
	EXPECT(loam_runs_alloc(&runs) == page(0));
	EXPECT_EQ(loam_misuse_count(), reports);
	finish();
}

TEST(locking, "S2.11 no lock is taken before the second step, one each after")
{
	start(true, false);
	unsigned long before = hosted_locks_taken;
	EXPECT_EQ(loam_runs_add(&runs, page(0), page(16)), 16);
	loam_runs_free(&runs, loam_runs_alloc(&runs));
	EXPECT_EQ(hosted_locks_taken, before);
	EXPECT_EQ(runs.lock_count, 0);
	EXPECT_EQ(loam_runs_add(&runs, page(16), page(PAGES)), PAGES - 16);
	EXPECT_EQ(runs.lock_count, 0);
	loam_runs_start_locking(&runs, "pages", LOAM_RANK_ZONE);
	loam_runs_free(&runs, loam_runs_alloc(&runs));
	EXPECT_EQ(runs.lock_count, 2);
	EXPECT_EQ(hosted_locks_taken, before + 2);
	EXPECT_EQ(loam_lock_ranks(), 0);
	finish();
}

/* ------------------------------------------------------------- misuse */

/* A wrong free is reported, with this text, and changes nothing. */
static void expect_refused(void *address, const char *text)
{
	struct loam_runs before = runs;
	unsigned long reports = loam_misuse_count();
	hosted_log_clear();
	loam_runs_free(&runs, address);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG("loam: page list: free of 0x");
	EXPECT_LOG(text);
	EXPECT_LOG(", called from 0x");
	EXPECT_EQ(memcmp(&before, &runs, sizeof(runs)), 0);
	EXPECT_EQ(loam_runs_check(&runs), 0);
}

TEST(free_null, "S2.15 a free of NULL is reported")
{
	start_full(true);
	expect_refused(NULL, ": no page");
	finish();
}

TEST(free_misaligned, "S2.15 a free of no page's address is reported")
{
	start_full(true);
	unsigned char *at = loam_runs_alloc(&runs);
	for (size_t i = 1; i < LOAM_PAGE_SIZE; i += i < 16 ? 1 : 255) {
		expect_refused(at + i, ": misaligned");
	}
	finish();
}

TEST(free_below, "S2.15 a free of a page below is reported")
{
	start_full(false);
	expect_refused(stretch - LOAM_PAGE_SIZE, ": below the pages it has");
	expect_refused((void *)(uintptr_t)LOAM_PAGE_SIZE, ": below");
	finish();
}

TEST(free_above, "S2.15 a free of a page at the top or above is reported")
{
	start_full(false);
	expect_refused(page(PAGES), ": above the pages it has");
	expect_refused((void *)((uintptr_t)0 - LOAM_PAGE_SIZE), ": above");
	finish();
}

TEST(free_twice, "S2.20 a double free is reported in debug mode")
{
	start_full(true);
	void *at = loam_runs_alloc(&runs);
	loam_runs_free(&runs, at);
	expect_refused(at, ": already free");
	/* Deep in the list, and after others were freed. */
	expect_refused(page(0), ": already free");
	expect_refused(page(31), ": already free");
	EXPECT(loam_runs_alloc(&runs) == at);
	loam_runs_free(&runs, at);
	finish();
}

TEST(add_twice, "S2.20 a range with free pages gives only the others")
{
	start(true, false);
	unsigned long reports = loam_misuse_count();
	EXPECT_EQ(loam_runs_add(&runs, page(2), page(5)), 3);
	EXPECT_EQ(loam_runs_add(&runs, page(0), page(8)), 5);
	EXPECT_EQ(loam_misuse_count(), reports + 3);
	EXPECT_EQ(runs.total_pages, 8);
	EXPECT_EQ(runs.free_pages, 8);
	finish();
}

TEST(panics, "S2.15 S2.20 misuse panics where it is asked to")
{
	start(true, true);
	EXPECT_EQ(loam_runs_add(&runs, page(0), page(4)), 4);
	EXPECT_PANIC(loam_runs_free(&runs, NULL), "no page");
	EXPECT_PANIC(loam_runs_free(&runs, page(0) + 1), "misaligned");
	EXPECT_PANIC(loam_runs_free(&runs, stretch - LOAM_PAGE_SIZE), "below");
	EXPECT_PANIC(loam_runs_free(&runs, page(PAGES)), "above");
	EXPECT_PANIC(loam_runs_free(&runs, page(2)), "already free");
	EXPECT(strstr(hosted_panic_message, "page list: free of 0x") ==
	       hosted_panic_message);
	EXPECT(strstr(hosted_panic_message, ", called from 0x") != NULL);
	EXPECT_EQ(runs.free_pages, 4);
	finish();
}

TEST(dangling, "S2.16 a write to a free page is reported when it is handed out")
{
	start_full(true);
	unsigned char *at = loam_runs_alloc(&runs);
	for (size_t i = sizeof(void *); i < LOAM_RUNS_JUNK_MIN; i++) {
		loam_runs_free(&runs, at);
		at[i] ^= 0x40;
		unsigned long reports = loam_misuse_count();
		hosted_log_clear();
		EXPECT(loam_runs_alloc(&runs) == at);
		EXPECT_EQ(loam_misuse_count(), reports + 1);
		EXPECT_LOG("was written after its free");
	}
	finish();
}

TEST(bad_link, "S2.16 a list that leads astray is a panic, not a page")
{
	start_full(false);
	void **link = (void **)page(PAGES - 1);
	void *good = *link;
	static const uintptr_t bad[] = { 1, 8, 0x1000 };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		*link = (void *)bad[i];
		EXPECT_PANIC(loam_runs_alloc(&runs), "runs_is_page");
		EXPECT(loam_runs_check(&runs) == -LOAM_EFAULT);
	}
	*link = page(PAGES);
	EXPECT_PANIC(loam_runs_alloc(&runs), "runs_is_page");
	*link = page(PAGES - 1);
	EXPECT(loam_runs_check(&runs) == -LOAM_EFAULT);
	*link = page(4);
	EXPECT(loam_runs_check(&runs) == -LOAM_EFAULT);
	*link = good;
	finish();
}

/* ------------------------------------------------------------- the model */

/* A stack of page numbers is all that the list is. */
static void model_run(bool debug, uint64_t random)
{
	static size_t stack[PAGES];
	static bool live[PAGES];
	size_t depth = 0;
	start(debug, false);
	memset(live, 0, sizeof(live));
	EXPECT_EQ(loam_runs_add(&runs, page(0), page(PAGES)), PAGES);
	for (size_t i = 0; i < PAGES; i++) {
		stack[depth++] = i;
	}
	for (unsigned step = 0; step < 50000; step++) {
		uint64_t dice = hosted_random(&random);
		size_t pick = (size_t)(dice >> 8) % PAGES;
		/* Phases that fill and phases that drain. */
		if ((dice & 7) < (step / 500 % 2 != 0 ? 5u : 3u)) {
			unsigned char *at = loam_runs_alloc(&runs);
			EXPECT((at == NULL) == (depth == 0));
			if (at != NULL) {
				size_t index = stack[--depth];
				EXPECT(at == page(index));
				live[index] = true;
				memset(at, (int)index, 64);
			}
		} else if (live[pick]) {
			EXPECT_EQ(page(pick)[63], pick);
			loam_runs_free(&runs, page(pick));
			live[pick] = false;
			stack[depth++] = pick;
		}
		EXPECT_EQ(runs.free_pages, depth);
		EXPECT_EQ(loam_runs_check(&runs), 0);
	}
	finish();
}

TEST(model, "S2.4 S2.9 random runs follow the model, in debug mode")
{
	model_run(true, 0x9a6e5);
}

TEST(model_plain, "S2.4 S2.9 random runs follow the model, as in xv6")
{
	model_run(false, 0x6a6e5);
}
