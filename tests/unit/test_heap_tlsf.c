/* SPDX-License-Identifier: MIT */
/* The TLSF heap: classes, good fit, boundary tags, pages. */
#include "heap_fixture.h"

#define PAGES 1024u

static struct owner owner;
static struct loam_heap_owner calls;
static struct loam_heap heap;

static void start_pages(size_t pages)
{
	owner_init(&owner, pages);
	calls = owner_calls(&owner);
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = pages * LOAM_PAGE_SIZE,
		.owner = &calls,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_tlsf, &config), 0);
}

static void start(void)
{
	start_pages(PAGES);
}

static void expect_sound(void)
{
	EXPECT_EQ(loam_heap_check(&heap), 0);
}

static void finish(void)
{
	expect_sound();
	EXPECT_EQ(heap.live_blocks, 0);
	struct loam_heap_stats stats;
	loam_heap_stats(&heap, &stats);
	EXPECT_EQ(stats.free_blocks, 1);
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

TEST(overhead, "a block costs 8 bytes beside what it holds, 32 bytes at least")
{
	const struct {
		size_t size;
		size_t usable;
	} cases[] = { { 1, 24 },    { 24, 24 },     { 25, 40 },
		      { 40, 40 },   { 41, 56 },     { 504, 504 },
		      { 505, 520 }, { 4088, 4088 }, { 4089, 4104 } };
	start();
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		unsigned char *a = must_alloc(cases[i].size);
		unsigned char *b = must_alloc(1);
		EXPECT_EQ(loam_heap_usable(&heap, a), cases[i].usable);
		EXPECT_EQ(b - a, (ptrdiff_t)cases[i].usable + 8);
		loam_heap_free(&heap, a);
		loam_heap_free(&heap, b);
	}
	finish();
}

TEST(small_window, "a window of one page holds the lists and a block")
{
	start_pages(1);
	struct loam_heap_stats stats;
	loam_heap_stats(&heap, &stats);
	EXPECT(stats.largest_free_bytes >= 512);
	void *all = must_alloc(stats.largest_free_bytes);
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	expect_sound();
	loam_heap_free(&heap, all);
	finish();
}

TEST(whole_window, "S0.24 one block can be as large as the window allows")
{
	start();
	size_t low = 0;
	size_t high = PAGES * LOAM_PAGE_SIZE;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		void *at = loam_heap_alloc(&heap, middle);
		*(at != NULL ? &low : &high) = middle;
		loam_heap_free(&heap, at);
		expect_sound();
	}
	EXPECT(low > PAGES * LOAM_PAGE_SIZE - 4096);
	unsigned char *all = must_alloc(low);
	memset(all, 7, low);
	expect_sound();
	loam_heap_free(&heap, all);
	finish();
}

/* Every size up to 64 KiB in units: a hole of that size serves its request. */
TEST(own_size, "S0.18 a freed block of any size serves a request of its size")
{
	start();
	for (size_t units = 2; units < 4096; units += 1 + units / 40) {
		size_t size = units * 16 - 8;
		void *hole = must_alloc(size);
		void *wall = must_alloc(1);
		/* Leave nothing else that could serve as well. */
		struct loam_heap_stats stats;
		loam_heap_stats(&heap, &stats);
		void *rest = loam_heap_alloc(&heap, stats.largest_free_bytes);
		loam_heap_free(&heap, hole);
		size_t mapped = owner.mapped_now;
		EXPECT(must_alloc(size) == hole);
		EXPECT_EQ(owner.mapped_now, mapped);
		expect_sound();
		loam_heap_free(&heap, hole);
		loam_heap_free(&heap, rest);
		loam_heap_free(&heap, wall);
	}
	finish();
}

/* 64 and 65 units share a list, and a request for 65 is rounded up to 66. */
TEST(last_block, "the last block serves a request that the lists pass over")
{
	start();
	loam_heap_free(&heap, must_alloc(60000));
	void *hole = must_alloc(64 * 16 - 8);
	void *wall = must_alloc(1);
	struct loam_heap_stats stats;
	loam_heap_stats(&heap, &stats);
	void *rest = must_alloc(stats.largest_free_bytes - 65 * 16);
	loam_heap_free(&heap, hole);
	loam_heap_stats(&heap, &stats);
	EXPECT_EQ(stats.free_blocks, 2);
	EXPECT_EQ(stats.largest_free_bytes, 65 * 16 - 8);
	size_t maps = owner.map_calls;
	void *last = must_alloc(65 * 16 - 8);
	EXPECT_EQ(owner.map_calls, maps);
	expect_sound();
	loam_heap_free(&heap, last);
	loam_heap_free(&heap, rest);
	loam_heap_free(&heap, wall);
	finish();
}

TEST(good_fit, "S0.8 the list of the next larger size is taken")
{
	start();
	const size_t sizes[] = { 904, 296, 600 };
	void *hole[3];
	void *wall[3];
	for (unsigned i = 0; i < 3; i++) {
		hole[i] = must_alloc(sizes[i]);
		wall[i] = must_alloc(1);
	}
	for (unsigned i = 0; i < 3; i++) {
		loam_heap_free(&heap, hole[i]);
	}
	EXPECT(must_alloc(500) == hole[2]);
	EXPECT(must_alloc(250) == hole[1]);
	EXPECT(must_alloc(700) == hole[0]);
	expect_sound();
	for (unsigned i = 0; i < 3; i++) {
		loam_heap_free(&heap, hole[i]);
		loam_heap_free(&heap, wall[i]);
	}
	finish();
}

/*
 * For any request, when some free block is large enough after rounding up to a
 * step of 1/32, the heap does not grow.
 */
TEST(bound, "rounding passes over no block that is 1/32 larger than asked")
{
	enum { SLOTS = 400 };
	static void *slots[SLOTS];
	uint64_t random = 0x715f;
	unsigned decided = 0;
	start();
	memset(slots, 0, sizeof(slots));
	for (unsigned step = 0; step < 20000; step++) {
		void **slot = &slots[hosted_random(&random) % SLOTS];
		if (*slot != NULL) {
			loam_heap_free(&heap, *slot);
			*slot = NULL;
			continue;
		}
		unsigned bits = 1 + (unsigned)hosted_random(&random) % 14;
		size_t size = 1 + ((size_t)hosted_random(&random) &
				   (((size_t)1 << bits) - 1));
		/* The smallest free block that is certainly large enough. */
		size_t enough = size + 32 + size / 31;
		size_t smallest = (size_t)-1;
		struct loam_heap_block block = { .address = NULL };
		while (loam_heap_walk(&heap, &block)) {
			if (block.state == LOAM_HEAP_FREE &&
			    block.size_bytes >= enough &&
			    block.size_bytes < smallest) {
				smallest = block.size_bytes;
			}
		}
		size_t maps = owner.map_calls;
		*slot = must_alloc(size);
		if (smallest != (size_t)-1) {
			EXPECT_EQ(owner.map_calls, maps);
			decided++;
		}
		EXPECT(loam_heap_usable(&heap, *slot) < size + 56);
		if (step % 16 == 0) {
			expect_sound();
		}
	}
	EXPECT(decided > 5000);
	for (unsigned i = 0; i < SLOTS; i++) {
		loam_heap_free(&heap, slots[i]);
	}
	finish();
}

TEST(slack, "pages behind the last live block are returned, but for 16")
{
	start();
	void *small = must_alloc(100);
	void *large = must_alloc(400 * LOAM_PAGE_SIZE);
	EXPECT(owner.mapped_now > 400);
	loam_heap_free(&heap, large);
	EXPECT(owner.mapped_now <= 18);
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
	start();
	owner.pages_left = 3;
	void *at = must_alloc(2 * LOAM_PAGE_SIZE + 100);
	expect_sound();
	EXPECT(owner.pages_left < 2);
	loam_heap_free(&heap, at);
	finish();
}

/* ------------------------------------------------------- corruption */

TEST(written_after_free, "S0.33 links of a free block that were overwritten")
{
	start();
	void *hole = must_alloc(312);
	void *wall = must_alloc(1);
	loam_heap_free(&heap, hole);
	memset(hole, 0x11, 8);
	EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
	EXPECT_PANIC(loam_heap_alloc(&heap, 312), "links");
	memset(hole, 0, 8);
	expect_sound();
	loam_heap_free(&heap, wall);
	finish();
}

TEST(written_footer, "S0.33 a footer that was overwritten is reported")
{
	start();
	unsigned char *hole = must_alloc(312);
	void *wall = must_alloc(1);
	loam_heap_free(&heap, hole);
	uint32_t *footer = (uint32_t *)(hole + 312 - 8);
	/* 20 units, free. */
	const uint32_t right = 20 * 4 + 1;
	EXPECT_EQ(*footer, right);
	const uint32_t wrong[] = {
		0,         1,         5,         20,     right - 1,
		right - 4, right + 1, right + 4, 0x4001, 0xffffffffu,
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(wrong); i++) {
		*footer = wrong[i];
		unsigned long reports = loam_misuse_count();
		loam_heap_free(&heap, wall);
		EXPECT_EQ(loam_misuse_count(), reports + 1);
		EXPECT_LOG("a neighbour is corrupt");
		EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
	}
	*footer = right;
	expect_sound();
	loam_heap_free(&heap, wall);
	finish();
}
