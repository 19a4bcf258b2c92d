/* SPDX-License-Identifier: MIT */
/* The list heap: the three policies against an oracle, its index, its pages. */
#include "heap_fixture.h"

#define PAGES 1024u

static struct owner owner;
static struct loam_heap_owner calls;
static struct loam_heap heap;
static const struct loam_heap_list *const list = &heap.list;

static void start_pages(size_t pages, enum loam_heap_fit fit)
{
	owner_init(&owner, pages);
	calls = owner_calls(&owner);
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = pages * LOAM_PAGE_SIZE,
		.owner = &calls,
		.fit = fit,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_list, &config), 0);
}

static void start(enum loam_heap_fit fit)
{
	start_pages(PAGES, fit);
}

static void expect_sound(void)
{
	EXPECT_EQ(loam_heap_check(&heap), 0);
}

static void finish(void)
{
	expect_sound();
	EXPECT_EQ(heap.live_blocks, 0);
	EXPECT_EQ(list->head, list->first);
	EXPECT_EQ(list->tail, list->first);
	loam_heap_destroy(&heap);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

static void *must_alloc(size_t size)
{
	void *at = loam_heap_alloc(&heap, size);
	EXPECT(at != NULL);
	return at;
}

TEST(bad_config, "a policy that does not exist is refused")
{
	owner_init(&owner, 16);
	calls = owner_calls(&owner);
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = 16 * LOAM_PAGE_SIZE,
		.owner = &calls,
		.fit = LOAM_HEAP_FIT_COUNT,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_list, &config),
		  -LOAM_EINVAL);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

TEST(header,
     "S2.21 n bytes take n and a header of 16, the largest is all but one")
{
	start(LOAM_HEAP_FIRST_FIT);
	/* Pages for all that follows: nothing is the last of what is mapped. */
	loam_heap_free(&heap, must_alloc(60000));
	unsigned char *before = must_alloc(32);
	for (size_t size = 16; size < 5000; size += 16) {
		unsigned char *a = must_alloc(size);
		unsigned char *b = must_alloc(16);
		EXPECT_EQ(a - before, 32 + 16);
		EXPECT_EQ(b - a, (ptrdiff_t)size + 16);
		loam_heap_free(&heap, a);
		loam_heap_free(&heap, b);
	}
	loam_heap_free(&heap, before);
	size_t region = PAGES * LOAM_PAGE_SIZE - (size_t)list->first * 16;
	EXPECT(loam_heap_alloc(&heap, region - 15) == NULL);
	unsigned char *all = must_alloc(region - 16);
	memset(all, 1, region - 16);
	expect_sound();
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	loam_heap_free(&heap, all);
	finish();
}

TEST(small_window, "a window of one page is a heap with one region")
{
	start_pages(1, LOAM_HEAP_FIRST_FIT);
	EXPECT_EQ(list->regions, 1);
	void *a = must_alloc(2000);
	void *b = must_alloc(1900);
	EXPECT(loam_heap_alloc(&heap, 2000) == NULL);
	expect_sound();
	loam_heap_free(&heap, a);
	loam_heap_free(&heap, b);
	finish();
}

/* Four holes of 400 bytes between walls, and nothing else that is free. */
static void start_holes(enum loam_heap_fit fit, void **hole, void **wall)
{
	start(fit);
	for (unsigned i = 0; i < 4; i++) {
		hole[i] = must_alloc(400);
		wall[i] = must_alloc(16);
	}
	struct loam_heap_stats stats;
	loam_heap_stats(&heap, &stats);
	wall[4] = must_alloc(stats.largest_free_bytes);
	for (unsigned i = 0; i < 4; i++) {
		loam_heap_free(&heap, hole[i]);
	}
	expect_sound();
}

static void finish_holes(void **wall)
{
	for (unsigned i = 0; i < 5; i++) {
		loam_heap_free(&heap, wall[i]);
	}
	finish();
}

TEST(first_fit, "S2.21 first fit takes the lowest, then the lowest again")
{
	void *hole[4];
	void *wall[5];
	start_holes(LOAM_HEAP_FIRST_FIT, hole, wall);
	for (unsigned i = 0; i < 9; i++) {
		void *at = must_alloc(390);
		EXPECT(at == hole[0]);
		loam_heap_free(&heap, at);
		expect_sound();
	}
	void *at = must_alloc(100);
	EXPECT(at == hole[0]);
	EXPECT(must_alloc(390) == hole[1]);
	EXPECT(must_alloc(100) == (char *)hole[0] + 128);
	loam_heap_free(&heap, (char *)hole[0] + 128);
	loam_heap_free(&heap, hole[1]);
	loam_heap_free(&heap, at);
	finish_holes(wall);
}

TEST(next_fit,
     "S2.24 next fit goes on where it was, and begins again at the end")
{
	void *hole[4];
	void *wall[5];
	start_holes(LOAM_HEAP_NEXT_FIT, hole, wall);
	for (unsigned i = 0; i < 9; i++) {
		void *at = must_alloc(390);
		EXPECT(at == hole[i % 4]);
		loam_heap_free(&heap, at);
		expect_sound();
	}
	finish_holes(wall);
}

TEST(bounds, "a search in vain lowers the bound that promised too much")
{
	void *hole[4];
	void *wall[5];
	start_holes(LOAM_HEAP_FIRST_FIT, hole, wall);
	uint32_t region = (list->first + 1) >> list->region_shift;
	const uint32_t *bound = &list->bounds[list->regions + region];
	uint32_t promised = *bound;
	EXPECT(promised >= 25);
	for (unsigned i = 0; i < 4; i++) {
		EXPECT(must_alloc(400) == hole[i]);
	}
	EXPECT_EQ(*bound, promised);
	void *more = must_alloc(400);
	EXPECT_EQ(*bound, 0);
	expect_sound();
	loam_heap_free(&heap, more);
	for (unsigned i = 0; i < 4; i++) {
		loam_heap_free(&heap, hole[i]);
	}
	EXPECT(*bound >= 25);
	finish_holes(wall);
}

TEST(best_fit, "S0.8 best fit takes the smallest that is large enough")
{
	start(LOAM_HEAP_BEST_FIT);
	const size_t sizes[] = { 900, 300, 600, 300 };
	void *hole[4];
	void *wall[4];
	for (unsigned i = 0; i < 4; i++) {
		hole[i] = must_alloc(sizes[i]);
		wall[i] = must_alloc(20000);
	}
	for (unsigned i = 4; i-- > 0;) {
		loam_heap_free(&heap, hole[i]);
	}
	EXPECT(must_alloc(500) == hole[2]);
	EXPECT(must_alloc(250) == hole[1]);
	EXPECT(must_alloc(300) == hole[3]);
	EXPECT(must_alloc(300) == hole[0]);
	expect_sound();
	for (unsigned i = 0; i < 4; i++) {
		loam_heap_free(&heap, hole[i]);
		loam_heap_free(&heap, wall[i]);
	}
	finish();
}

TEST(slack, "pages behind the last live block are returned, but for 16")
{
	start(LOAM_HEAP_FIRST_FIT);
	size_t at_first = owner.mapped_now;
	void *small = must_alloc(100);
	void *large = must_alloc(400 * LOAM_PAGE_SIZE);
	EXPECT(owner.mapped_now > 400);
	loam_heap_free(&heap, large);
	EXPECT(owner.mapped_now <= at_first + 17);
	expect_sound();
	size_t unmaps = owner.unmap_calls;
	size_t maps = owner.map_calls;
	for (unsigned i = 0; i < 100; i++) {
		loam_heap_free(&heap, must_alloc(40000));
	}
	EXPECT_EQ(owner.unmap_calls, unmaps);
	EXPECT_EQ(owner.map_calls, maps);
	loam_heap_free(&heap, small);
	finish();
}

TEST(no_slack, "with too few pages for the slack, growth takes what it needs")
{
	start(LOAM_HEAP_FIRST_FIT);
	owner.pages_left = 3;
	void *at = must_alloc(2 * LOAM_PAGE_SIZE + 100);
	expect_sound();
	EXPECT(owner.pages_left < 2);
	loam_heap_free(&heap, at);
	finish();
}

/* ------------------------------------------------------- the oracle */

#define ORACLE_MAX 2048u

/* Blocks in order; sizes in units with the header. */
static struct oracle_block {
	uint32_t size;
	bool is_free;
} oracle[ORACLE_MAX];
static unsigned oracle_count;
static uint32_t oracle_rover;

static uint32_t oracle_place(unsigned at)
{
	uint32_t unit = list->first;
	for (unsigned i = 0; i < at; i++) {
		unit += oracle[i].size;
	}
	return unit;
}

/* The heap's end may have moved: the last block, free then, takes it up. */
static void oracle_follow_end(void)
{
	uint32_t end = oracle_place(oracle_count);
	if (end == list->end) {
		return;
	}
	if (oracle_count == 0 || !oracle[oracle_count - 1].is_free) {
		EXPECT(list->end > end);
		EXPECT(oracle_count < ORACLE_MAX);
		oracle[oracle_count++] =
			(struct oracle_block){ list->end - end, true };
		return;
	}
	oracle[oracle_count - 1].size += list->end - end;
}

static unsigned oracle_choose(enum loam_heap_fit fit, uint32_t size)
{
	unsigned found = ORACLE_MAX;
	uint32_t unit = list->first;
	bool behind = false; /* found lies behind the rover */
	for (unsigned i = 0; i < oracle_count; i++) {
		bool fits = oracle[i].is_free && oracle[i].size >= size;
		bool better = found == ORACLE_MAX;
		if (fits && fit == LOAM_HEAP_BEST_FIT) {
			better = better || oracle[i].size < oracle[found].size;
		}
		if (fits && fit == LOAM_HEAP_NEXT_FIT) {
			better = better || (unit >= oracle_rover && !behind);
		}
		if (fits && better) {
			found = i;
			behind = unit >= oracle_rover;
		}
		unit += oracle[i].size;
	}
	return found;
}

static uint32_t oracle_alloc(enum loam_heap_fit fit, size_t size_bytes)
{
	uint32_t size = (uint32_t)((size_bytes + 15) / 16) + 1;
	unsigned found = oracle_choose(fit, size);
	if (found == ORACLE_MAX) {
		oracle_follow_end();
		found = oracle_count - 1;
	}
	EXPECT(oracle[found].is_free && oracle[found].size >= size);
	if (oracle[found].size - size >= 2) {
		EXPECT(oracle_count < ORACLE_MAX);
		memmove(&oracle[found + 1], &oracle[found],
			(oracle_count - found) * sizeof(oracle[0]));
		oracle_count++;
		oracle[found + 1].size -= size;
		oracle[found].size = size;
	}
	oracle[found].is_free = false;
	oracle_rover = oracle_place(found + 1);
	return oracle_place(found);
}

static void oracle_merge(unsigned at)
{
	oracle[at].size += oracle[at + 1].size;
	memmove(&oracle[at + 1], &oracle[at + 2],
		(oracle_count - at - 2) * sizeof(oracle[0]));
	oracle_count--;
}

static void oracle_free(uint32_t unit)
{
	unsigned at = 0;
	for (uint32_t place = list->first; place != unit; at++) {
		EXPECT(at < oracle_count);
		place += oracle[at].size;
	}
	oracle[at].is_free = true;
	if (at + 1 < oracle_count && oracle[at + 1].is_free) {
		oracle_merge(at);
	}
	if (at > 0 && oracle[at - 1].is_free) {
		oracle_merge(at - 1);
	}
	oracle_follow_end();
}

static void oracle_run(enum loam_heap_fit fit, unsigned steps)
{
	enum { SLOTS = 300 };
	static void *slots[SLOTS];
	uint64_t random = 0x115f + fit;
	start(fit);
	memset(slots, 0, sizeof(slots));
	oracle_count = 0;
	oracle_rover = list->first;
	oracle_follow_end();
	for (unsigned step = 0; step < steps; step++) {
		void **slot = &slots[hosted_random(&random) % SLOTS];
		if (*slot != NULL) {
			uint32_t unit = (uint32_t)(((unsigned char *)*slot -
						    owner.window) /
						   16) -
					1;
			loam_heap_free(&heap, *slot);
			oracle_free(unit);
			*slot = NULL;
		} else {
			size_t most = step % 512 < 256 ? 200 : 6000;
			size_t size = 1 + (size_t)hosted_random(&random) % most;
			*slot = must_alloc(size);
			uint32_t unit = oracle_alloc(fit, size);
			EXPECT(*slot == owner.window + (size_t)unit * 16 + 16);
		}
		if (step % 16 == 0) {
			expect_sound();
		}
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		loam_heap_free(&heap, slots[i]);
		expect_sound();
	}
	finish();
}

TEST(first_oracle, "S2.21 first fit places blocks as the oracle does")
{
	oracle_run(LOAM_HEAP_FIRST_FIT, 20000);
}

TEST(next_oracle, "S2.24 next fit places blocks as the oracle does")
{
	oracle_run(LOAM_HEAP_NEXT_FIT, 20000);
}

TEST(best_oracle, "S0.31 best fit places blocks as the oracle does")
{
	oracle_run(LOAM_HEAP_BEST_FIT, 20000);
}

/* ------------------------------------------------------- corruption */

TEST(written_after_free, "S2.22 a free header that was written to is fatal")
{
	start(LOAM_HEAP_FIRST_FIT);
	void *hole = must_alloc(320);
	void *wall = must_alloc(16);
	loam_heap_free(&heap, hole);
	uint32_t *header = (uint32_t *)((char *)hole - 16);
	for (unsigned field = 0; field < 4; field++) {
		uint32_t was = header[field];
		header[field] ^= 0x4000;
		EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
		if (field < 2) {
			EXPECT_PANIC(loam_heap_alloc(&heap, 200), "list_is");
		}
		header[field] = was;
		expect_sound();
	}
	/* Its contents are nobody's: writing there harms nothing. */
	memset(hole, 0x5a, 320);
	expect_sound();
	loam_heap_free(&heap, wall);
	finish();
}

/* Blocks of one size, freed so that they are children and siblings in a bin. */
static void fill_bin(void *at[6], void *walls[6])
{
	static const unsigned order[6] = { 4, 2, 5, 0, 3, 1 };
	for (unsigned i = 0; i < 6; i++) {
		at[i] = must_alloc(320);
		walls[i] = must_alloc(16);
	}
	for (unsigned i = 0; i < 6; i++) {
		loam_heap_free(&heap, at[order[i]]);
		expect_sound();
	}
}

TEST(bins,
     "S0.31 blocks of one size come lowest first, however they were freed")
{
	void *at[6];
	void *walls[6];
	start(LOAM_HEAP_BEST_FIT);
	for (unsigned round = 0; round < 3; round++) {
		fill_bin(at, walls);
		for (unsigned i = 0; i < 6; i++) {
			EXPECT(must_alloc(305 + i) == at[i]);
			expect_sound();
		}
		for (unsigned i = 0; i < 6; i++) {
			loam_heap_free(&heap, at[i]);
			loam_heap_free(&heap, walls[i]);
			expect_sound();
		}
	}
	finish();
}

TEST(written_links,
     "S2.22 links of a free block that were overwritten are fatal")
{
	for (unsigned victim = 0; victim < 6; victim++) {
		for (unsigned link = 0; link < 3; link++) {
			void *at[6];
			void *walls[6];
			start(LOAM_HEAP_BEST_FIT);
			fill_bin(at, walls);
			((uint32_t *)at[victim])[link] ^= 0x01010101;
			EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
			bool seen = false;
			for (unsigned i = 0; i < 6 && !seen; i++) {
				seen = HOSTED_PANICS(must_alloc(320));
			}
			EXPECT(seen);
			owner_fini(&owner);
		}
	}
}
