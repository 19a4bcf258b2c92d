/* SPDX-License-Identifier: MIT */
/* The heaps' suite: creation, requests, exhaustion, resize. */
#include "heap_suite_int.h"

/* ------------------------------------------------------------- creation */

SUITE_TEST(bad_ranges,
	   "S1.10 S1.11 S1.13 S1.15 a range that cannot be is refused")
{
	static struct loam_heap before;
	suite_own(&suite.owner, 0, 16);
	const struct loam_heap_owner *calls = &suite.owner.calls;
	unsigned char *at = suite.owner.window;
	unsigned char *high = (unsigned char *)((uintptr_t)0 - 4096 * 4);
	const struct loam_heap_config bad[] = {
		{ .start = NULL, .size_bytes = 65536, .owner = calls },
		{ .start = at + 1, .size_bytes = 61440, .owner = calls },
		{ .start = at + 16, .size_bytes = 61440, .owner = calls },
		{ .start = at, .size_bytes = 65535, .owner = calls },
		{ .start = at, .size_bytes = 65537, .owner = calls },
		{ .start = at, .size_bytes = 0, .owner = calls },
		{ .start = high, .size_bytes = 4096 * 5, .owner = calls },
		{ .start = at, .size_bytes = (size_t)0 - 4096, .owner = calls },
	};
	memset(&suite.heap, 0x5a, sizeof(suite.heap));
	memcpy(&before, &suite.heap, sizeof(before));
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(loam_heap_create(&suite.heap, suite.design->ops,
					   &bad[i]),
			  -LOAM_EINVAL);
		EXPECT_EQ(memcmp(&suite.heap, &before, sizeof(before)), 0);
	}
	EXPECT_EQ(suite.owner.map_calls, 0);
}

SUITE_TEST(prepare, "S0.1 an owner that is not ready refuses the heap")
{
	suite_own(&suite.owner, 0, 16);
	suite.owner.prepare_error = -LOAM_EAGAIN;
	struct loam_heap_config config = suite_config(&suite.owner);
	EXPECT(loam_heap_create(&suite.heap, suite.design->ops, &config) ==
	       -LOAM_EAGAIN);
	suite.owner.prepare_error = 0;
	suite.owner.calls.map_pages = NULL;
	EXPECT(loam_heap_create(&suite.heap, suite.design->ops, &config) ==
	       -LOAM_EINVAL);
	EXPECT_EQ(suite.owner.map_calls, 0);
}

SUITE_TEST(create_fails, "S0.25 creation with too few pages leaves none mapped")
{
	bool made = false;
	for (size_t pages = 0; !made; pages++) {
		suite_own(&suite.owner, 0, suite.host.window_pages);
		suite.owner.pages_left = pages;
		struct loam_heap_config config = suite_config(&suite.owner);
		int error = loam_heap_create(&suite.heap, suite.design->ops,
					     &config);
		made = error == 0;
		EXPECT(made || error == -LOAM_ENOMEM);
		EXPECT(made ? pages > 0 : suite.owner.mapped_now == 0);
		EXPECT(pages < 64);
	}
	suite_finish();
}

SUITE_TEST(no_owner, "S2.25 a range that is memory already needs no owner")
{
	const struct loam_heap_owner *real = suite.host.owner;
	suite_own(&suite.owner, 0, 64);
	struct loam_heap_config config = suite_config(&suite.owner);
	config.owner = NULL;
	if (suite.design->needs_owner) {
		EXPECT(loam_heap_create(&suite.heap, suite.design->ops,
					&config) == -LOAM_EINVAL);
		return;
	}
	EXPECT_EQ(real->map_pages(real->context, config.start, 64), 64);
	suite.owner.books_only = true; /* for the end, whichever it is */
	EXPECT_EQ(loam_heap_create(&suite.heap, suite.design->ops, &config), 0);
	size_t size = suite_size(3000);
	void *first = suite_alloc(size);
	suite_fill(first, size, 1);
	void *second = suite_alloc(size);
	suite_fill(second, size, 2);
	EXPECT(suite_holds(first, size, 1));
	loam_heap_free(&suite.heap, first);
	first = suite_alloc(size);
	EXPECT(suite_holds(second, size, 2));
	loam_heap_free(&suite.heap, first);
	loam_heap_free(&suite.heap, second);
	suite_expect_sound();
	loam_heap_destroy(&suite.heap);
	heap_suite_clean();
}

/* ------------------------------------------------------------- requests */

SUITE_TEST(alignment, "S0.22 every size is aligned, usable and not too large")
{
	suite_start();
	size_t last = suite_size(2 * 4096 + 40);
	for (size_t size = 1; size <= last; size++) {
		unsigned char *at = suite_alloc(size);
		size_t usable = loam_heap_usable(&suite.heap, at);
		EXPECT(usable < size + suite.design->grain + 32);
		EXPECT_EQ((uintptr_t)at % suite.design->ops->align_bytes, 0);
		at[0] = 0x11;
		at[usable - 1] = 0x11;
		unsigned char *other = suite_alloc(size);
		memset(other, 0x22, loam_heap_usable(&suite.heap, other));
		EXPECT_EQ(at[0], 0x11);
		EXPECT_EQ(at[usable - 1], 0x11);
		loam_heap_free(&suite.heap, at);
		loam_heap_free(&suite.heap, other);
	}
	suite_finish();
}

SUITE_TEST(zero, "S0.21 S1.22 size 0 gives NULL, free of NULL does nothing")
{
	static struct suite_picture before;
	suite_start();
	suite_take_picture(&before);
	EXPECT(loam_heap_alloc(&suite.heap, 0) == NULL);
	EXPECT(loam_heap_zalloc(&suite.heap, 0) == NULL);
	EXPECT(loam_heap_resize(&suite.heap, NULL, 0) == NULL);
	loam_heap_free(&suite.heap, NULL);
	suite_expect_unchanged(&before);
	EXPECT_EQ(suite.heap.failed, 0);
	suite_finish();
}

SUITE_TEST(huge, "S0.23 S1.22 S3.18 S4.27 sizes that cannot be give NULL")
{
	static struct suite_picture before;
	suite_start();
	void *live = suite_alloc(100);
	const size_t max = (size_t)-1;
	const size_t sizes[] = { max,
				 max - 7,
				 max - 8,
				 max - 15,
				 max - 16,
				 max - 4094,
				 max - 4095,
				 max / 2,
				 max / 2 + 1,
				 0x80000000u,
				 0xfffff000u,
				 0xfffffff8u,
				 0xffffffffu,
				 0xfffff001u,
				 suite.owner.pages * LOAM_PAGE_SIZE,
				 suite.owner.pages * LOAM_PAGE_SIZE + 1 };
	suite_take_picture(&before);
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		EXPECT(loam_heap_alloc(&suite.heap, sizes[i]) == NULL);
		EXPECT(loam_heap_zalloc(&suite.heap, sizes[i]) == NULL);
		EXPECT(loam_heap_resize(&suite.heap, live, sizes[i]) == NULL);
		suite_expect_unchanged(&before);
		suite_expect_sound();
	}
	EXPECT_EQ(suite.heap.failed, 3 * LOAM_ARRAY_SIZE(sizes));
	loam_heap_free(&suite.heap, live);
	suite_finish();
}

SUITE_TEST(limit, "S2.13 a size above the design's largest is refused")
{
	static struct suite_picture before;
	size_t max = suite.design->ops->max_bytes;
	if (max == (size_t)-1) {
		suite.host.skip("serves any size");
	}
	suite_start();
	void *live = suite_alloc(max);
	suite_fill(live, max, 1);
	suite_take_picture(&before);
	EXPECT(loam_heap_alloc(&suite.heap, max + 1) == NULL);
	EXPECT(loam_heap_resize(&suite.heap, live, max + 1) == NULL);
	suite_expect_unchanged(&before);
	EXPECT_EQ(suite.heap.failed, 2);
	EXPECT(suite_holds(live, max, 1));
	EXPECT(loam_heap_resize(&suite.heap, live, 1) == live);
	EXPECT(loam_heap_resize(&suite.heap, live, max) == live);
	EXPECT(suite_holds(live, 1, 1));
	loam_heap_free(&suite.heap, live);
	suite_finish();
}

SUITE_TEST(zalloc, "S3.20 zalloc clears all of a block that was used before")
{
	suite_start();
	for (size_t size = 1; size <= suite_size(10000); size = size * 3 + 1) {
		void *at = suite_alloc(size);
		memset(at, 0xff, loam_heap_usable(&suite.heap, at));
		loam_heap_free(&suite.heap, at);
		unsigned char *zeros = loam_heap_zalloc(&suite.heap, size);
		EXPECT(zeros != NULL);
		for (size_t i = 0; i < size; i++) {
			EXPECT_EQ(zeros[i], 0);
		}
		loam_heap_free(&suite.heap, zeros);
	}
	suite_finish();
}

SUITE_TEST(reuse, "S0.18 S4.26 what is freed is handed out again")
{
	suite_start();
	size_t size = suite_size(5000);
	void *first = suite_alloc(size);
	void *second = suite_alloc(size);
	size_t mapped = 0;
	for (unsigned i = 0; i < 1000; i++) {
		loam_heap_free(&suite.heap, first);
		first = suite_alloc(size);
		mapped = i == 0 ? suite.owner.mapped_now : mapped;
		EXPECT_EQ(suite.owner.mapped_now, mapped);
	}
	loam_heap_free(&suite.heap, first);
	loam_heap_free(&suite.heap, second);
	suite_finish();
}

/* ------------------------------------------------------------- exhaustion */

#define FILL_MAX 1000u

/* Blocks of one size until there is no more, each with its number in it. */
static size_t fill_up(void **blocks, size_t size)
{
	size_t count = 0;
	while (count < FILL_MAX) {
		blocks[count] = loam_heap_alloc(&suite.heap, size);
		if (blocks[count] == NULL) {
			break;
		}
		memset(blocks[count], (int)count, 16);
		count++;
	}
	return count;
}

/* Forwards, backwards, evens then odds, from the middle. */
static size_t order_of_frees(unsigned round, size_t i, size_t count)
{
	size_t half = (count + 1) / 2;
	switch (round) {
	case 1:
		return count - 1 - i;
	case 2:
		return i < half ? 2 * i : 2 * (i - half) + 1;
	case 3:
		return (i + count / 2) % count;
	default:
		return i;
	}
}

SUITE_TEST(exhaustion, "S0.24 S1.23 S2.14 a full heap says NULL and recovers")
{
	static struct suite_picture before;
	static void *blocks[FILL_MAX];
	suite_start_pages(64);
	size_t count = 0;
	for (unsigned round = 0; round < 4; round++) {
		size_t got = fill_up(blocks, 1000);
		EXPECT(got >= 32 && got < FILL_MAX);
		EXPECT(round == 0 || got == count);
		count = got;
		suite_expect_sound();
		EXPECT(suite.heap.failed == round * 2 + 1);
		suite_take_picture(&before);
		EXPECT(loam_heap_alloc(&suite.heap, 1000) == NULL);
		suite_expect_unchanged(&before);
		loam_heap_free(&suite.heap, blocks[count / 2]);
		blocks[count / 2] = suite_alloc(1000);
		memset(blocks[count / 2], (int)(count / 2), 16);
		for (size_t i = 0; i < count; i++) {
			size_t at = order_of_frees(round, i, count);
			EXPECT_EQ(*(unsigned char *)blocks[at], at & 255);
			loam_heap_free(&suite.heap, blocks[at]);
			suite_expect_sound();
		}
	}
	suite_finish();
}

SUITE_TEST(checkerboard, "S1.23 free memory in too small pieces is no memory")
{
	static void *blocks[FILL_MAX];
	suite_start_pages(64);
	size_t count = fill_up(blocks, 2000);
	for (size_t i = 0; i < count; i += 2) {
		loam_heap_free(&suite.heap, blocks[i]);
	}
	suite_expect_sound();
	EXPECT(loam_heap_alloc(&suite.heap, 9000) == NULL);
	suite_expect_sound();
	void *small = suite_alloc(2000);
	loam_heap_free(&suite.heap, small);
	for (size_t i = 1; i < count; i += 2) {
		loam_heap_free(&suite.heap, blocks[i]);
	}
	void *large = suite_alloc(suite_size(9000));
	loam_heap_free(&suite.heap, large);
	suite_finish();
}

/*
 * The nth page fails, for every n: the request fails and nothing has changed,
 * or it succeeds. Ends when all succeed with pages to spare.
 */
SUITE_TEST(nth_page, "S0.25 S4.27 the nth page fails: nothing is lost, any n")
{
	static struct suite_picture before;
	size_t wanted = suite_size(30 * LOAM_PAGE_SIZE - 100);
	size_t more = suite_size(50 * LOAM_PAGE_SIZE);
	suite_start();
	void *first = suite_alloc(3000);
	suite_fill(first, 3000, 1);
	bool done = false;
	for (size_t pages = 0; !done; pages++) {
		suite_take_picture(&before);
		suite.owner.pages_left = pages;
		void *large = loam_heap_alloc(&suite.heap, wanted);
		if (large == NULL) {
			EXPECT_EQ(suite.owner.pages_left, pages);
			suite_expect_unchanged(&before);
		}
		suite_expect_sound();
		suite.owner.pages_left = pages;
		void *grown = loam_heap_resize(&suite.heap, first, more);
		if (grown == NULL) {
			EXPECT_EQ(suite.owner.pages_left, pages);
			EXPECT(suite_holds(first, 3000, 1));
		} else {
			EXPECT(suite_holds(grown, 3000, 1));
			first = loam_heap_resize(&suite.heap, grown, 3000);
			EXPECT(first != NULL);
		}
		suite_expect_sound();
		done = large != NULL && grown != NULL &&
		       suite.owner.pages_left > 0;
		loam_heap_free(&suite.heap, large);
		EXPECT(pages < 160);
	}
	EXPECT(suite_holds(first, 3000, 1));
	loam_heap_free(&suite.heap, first);
	suite_finish();
}

/* ------------------------------------------------------------- resize */

/* One block from a size to another, with or without a neighbour. */
static void resize_once(size_t from, size_t to, bool walled)
{
	void *at = suite_alloc(from);
	void *wall = walled ? suite_alloc(1) : NULL;
	suite_fill(at, from, 3);
	void *moved = loam_heap_resize(&suite.heap, at, to);
	EXPECT(moved != NULL);
	EXPECT_EQ((uintptr_t)moved % 8, 0);
	EXPECT(loam_heap_usable(&suite.heap, moved) >= to);
	EXPECT(suite_holds(moved, from < to ? from : to, 3));
	memset(moved, 0xee, loam_heap_usable(&suite.heap, moved));
	suite_expect_sound();
	EXPECT_EQ(suite.heap.live_blocks, walled ? 2 : 1);
	loam_heap_free(&suite.heap, moved);
	loam_heap_free(&suite.heap, wall);
}

SUITE_TEST(resize_small, "resize keeps what both sizes have, at every size")
{
	suite_start();
	for (size_t from = 1; from < 300; from += 13) {
		for (size_t to = 1; to < 600; to += 29) {
			resize_once(from, to, to % 2 != 0);
		}
	}
	suite_finish();
}

SUITE_TEST(resize_large, "resize keeps what both sizes have, over many pages")
{
	suite_start();
	for (size_t from = 1; from < 70000; from = from * 5 + 3) {
		for (size_t to = 1; to < 70000; to = to * 3 + 1) {
			resize_once(suite_size(from), suite_size(to), false);
			resize_once(suite_size(from), suite_size(to), true);
		}
	}
	suite_finish();
}

SUITE_TEST(resize_in_place, "resize stays in place where there is room")
{
	if (suite.design->ops->max_bytes < 60000) {
		suite.host.skip("cannot serve the sizes of this test");
	}
	suite_start();
	void *at = suite_alloc(20000);
	void *wall = suite_alloc(100);
	suite_fill(at, 20000, 5);
	EXPECT(loam_heap_resize(&suite.heap, at, 5000) == at);
	EXPECT(loam_heap_usable(&suite.heap, at) < 20000);
	suite_expect_sound();
	EXPECT(loam_heap_resize(&suite.heap, at, 20000) == at);
	suite_expect_sound();
	EXPECT(suite_holds(at, 5000, 5));
	EXPECT_EQ(suite.heap.live_blocks, 2);
	void *moved = loam_heap_resize(&suite.heap, at, 60000);
	EXPECT(moved != NULL && moved != at);
	EXPECT(suite_holds(moved, 5000, 5));
	EXPECT_EQ(suite.heap.live_blocks, 2);
	suite_expect_sound();
	void *fresh = loam_heap_resize(&suite.heap, NULL, 50);
	EXPECT(fresh != NULL);
	EXPECT_EQ(suite.heap.live_blocks, 3);
	EXPECT(loam_heap_resize(&suite.heap, moved, 0) == NULL);
	EXPECT_EQ(suite.heap.live_blocks, 2);
	loam_heap_free(&suite.heap, wall);
	loam_heap_free(&suite.heap, fresh);
	suite_finish();
}

/*
 * A block between two others, each of which is live or free, is made larger and
 * smaller. The neighbours that live keep what they have.
 */
SUITE_TEST(resize_neighbours, "resize between neighbours leaves them alone")
{
	static const size_t sizes[] = { 1, 16, 100, 2000, 4000, 9000 };
	suite_start();
	for (unsigned code = 0; code < 4 * LOAM_ARRAY_SIZE(sizes); code++) {
		size_t to = suite_size(sizes[code / 4]);
		size_t side = suite_size(3000);
		void *before = suite_alloc(side);
		void *at = suite_alloc(500);
		void *behind = suite_alloc(side);
		void *wall = suite_alloc(50);
		suite_fill(before, side, 1);
		suite_fill(at, 500, 2);
		suite_fill(behind, side, 3);
		suite_fill(wall, 50, 4);
		if ((code & 1u) != 0) {
			loam_heap_free(&suite.heap, before);
			before = NULL;
		}
		if ((code & 2u) != 0) {
			loam_heap_free(&suite.heap, behind);
			behind = NULL;
		}
		void *moved = loam_heap_resize(&suite.heap, at, to);
		EXPECT(moved != NULL);
		suite_expect_sound();
		EXPECT(suite_holds(moved, to < 500 ? to : 500, 2));
		memset(moved, 0xee, loam_heap_usable(&suite.heap, moved));
		EXPECT(before == NULL || suite_holds(before, side, 1));
		EXPECT(behind == NULL || suite_holds(behind, side, 3));
		EXPECT(suite_holds(wall, 50, 4));
		suite_expect_sound();
		loam_heap_free(&suite.heap, moved);
		loam_heap_free(&suite.heap, before);
		loam_heap_free(&suite.heap, behind);
		loam_heap_free(&suite.heap, wall);
	}
	suite_finish();
}
