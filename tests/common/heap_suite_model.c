/* SPDX-License-Identifier: MIT */
/* The heaps' suite: orders of frees, random runs with a model, statistics. */
#include "heap_suite_int.h"

/* ------------------------------------------------------------- orders */

#define SET_MAX 5u

/*
 * Frees `count` neighbours in the order number `code` of all there are, and
 * expects what is left to hold, and one free block afterwards.
 */
static void free_in_order(unsigned count, unsigned code)
{
	unsigned char *blocks[SET_MAX] = { NULL };
	unsigned left[SET_MAX];
	size_t total = 0;
	void *wall_before = suite_alloc(64);
	for (unsigned i = 0; i < count; i++) {
		size_t size = suite_size(4096 + i * 512);
		blocks[i] = suite_alloc(size);
		suite_fill(blocks[i], size, i);
		total += size;
		left[i] = i;
	}
	void *wall_behind = suite_alloc(64);
	for (unsigned n = count; n > 0; n--) {
		unsigned pick = code % n;
		code /= n;
		loam_heap_free(&suite.heap, blocks[left[pick]]);
		left[pick] = left[n - 1];
		suite_expect_sound();
		for (unsigned i = 0; i + 1 < n; i++) {
			size_t size = suite_size(4096 + left[i] * 512);
			EXPECT(suite_holds(blocks[left[i]], size, left[i]));
		}
	}
	/* Where they merge, they are one block, large enough for all. */
	struct loam_heap_block it = { .address = NULL };
	size_t largest = 0;
	while (suite.design->merges && loam_heap_walk(&suite.heap, &it)) {
		if (it.address >= blocks[0] &&
		    it.address < (unsigned char *)wall_behind &&
		    it.state == LOAM_HEAP_FREE) {
			EXPECT_EQ(largest, 0);
			largest = it.size_bytes;
		}
	}
	EXPECT(largest >= total || !suite.design->merges);
	loam_heap_free(&suite.heap, wall_before);
	loam_heap_free(&suite.heap, wall_behind);
	suite_expect_sound();
}

SUITE_TEST(all_orders,
	   "S0.27 S4.29 one to five neighbours, in all orders of free")
{
	suite_start();
	unsigned orders = 1;
	for (unsigned count = 1; count <= SET_MAX; count++) {
		orders *= count;
		for (unsigned code = 0; code < orders; code++) {
			free_in_order(count, code);
		}
	}
	suite_finish();
}

/* ------------------------------------------------------------- the model */

#define SLOTS 512u

struct slot {
	unsigned char *at;
	size_t size;
	unsigned seed;
};

static struct slot slots[SLOTS];
static unsigned slot_count; /* in use */

/* Of a long run: only the ends of a block are written and looked at. */
static size_t model_edge;

/* Sizes of all magnitudes, small ones most often. */
static size_t random_size(void)
{
	uint32_t r = suite_random();
	unsigned bits = 1 + r % 13;
	return suite_size(1 + ((r >> 8) & ((1u << bits) - 1)));
}

static void model_fill(const struct slot *slot)
{
	size_t size = slot->size < model_edge ? slot->size : model_edge;
	suite_fill(slot->at, size, slot->seed);
	slot->at[slot->size - 1] = (unsigned char)slot->seed;
}

/* The first bytes of a slot, `size` at most, are what they should be. */
static bool model_holds(const struct slot *slot, const unsigned char *at,
			size_t size)
{
	size_t edge = slot->size < model_edge ? slot->size : model_edge;
	/* The last byte has its own meaning. */
	edge -= edge == slot->size;
	return suite_holds(at, size < edge ? size : edge, slot->seed) &&
	       (size < slot->size ||
		at[slot->size - 1] == (unsigned char)slot->seed);
}

/* Every live block of the heap is a slot, at most as often. */
static void expect_walk_matches(void)
{
	size_t live = 0;
	for (unsigned i = 0; i < slot_count; i++) {
		live += slots[i].at != NULL;
	}
	unsigned char *before = NULL;
	struct loam_heap_block block = { .address = NULL };
	while (loam_heap_walk(&suite.heap, &block)) {
		EXPECT(block.state != LOAM_HEAP_BROKEN);
		EXPECT(before == NULL || block.address > before);
		before = block.address + block.size_bytes - 1;
		bool found = block.state == LOAM_HEAP_FREE;
		for (unsigned i = 0; i < slot_count && !found; i++) {
			found = slots[i].at == block.address;
		}
		EXPECT(found);
		live -= block.state == LOAM_HEAP_LIVE;
	}
	EXPECT_EQ(live, 0);
}

static void model_free(struct slot *slot)
{
	if (slot->at != NULL) {
		EXPECT(model_holds(slot, slot->at, slot->size));
		loam_heap_free(&suite.heap, slot->at);
		slot->at = NULL;
	}
}

static void model_step(struct slot *slot, unsigned step)
{
	if (slot->at != NULL && suite_random() % 8 < 4) {
		model_free(slot);
		return;
	}
	size_t size = random_size();
	unsigned char *at =
		slot->at == NULL
			? loam_heap_alloc(&suite.heap, size)
			: loam_heap_resize(&suite.heap, slot->at, size);
	if (at == NULL) {
		EXPECT(slot->at == NULL ||
		       model_holds(slot, slot->at, slot->size));
		return;
	}
	EXPECT(loam_heap_usable(&suite.heap, at) >= size);
	if (slot->at != NULL) {
		EXPECT(model_holds(slot, at,
				   size < slot->size ? size : slot->size));
	}
	*slot = (struct slot){ at, size, step };
	model_fill(slot);
}

/*
 * Random operations on the heap that was started, up to `live` blocks at once,
 * while pages sometimes run out; a check every `period` steps.
 */
static void model_run(uint32_t steps, unsigned live, uint32_t period)
{
	size_t pages = suite.owner.pages;
	slot_count = live;
	memset(slots, 0, sizeof(slots));
	for (uint32_t step = 0; step < steps; step++) {
		if (step % 64 == 0) {
			suite.owner.pages_left = suite_random() % pages;
		}
		model_step(&slots[suite_random() % slot_count], step);
		if (step % period == 0) {
			suite_expect_sound();
		}
		if (step % (16 * period) == 0) {
			expect_walk_matches();
		}
	}
	suite.owner.pages_left = pages;
	for (unsigned i = 0; i < slot_count; i++) {
		model_free(&slots[i]);
		suite_expect_sound();
	}
	suite_finish();
}

SUITE_TEST(model_roomy, "S0.5 S0.7 random runs keep every invariant")
{
	model_edge = (size_t)-1;
	suite_start();
	model_run(suite.host.steps < 10000 ? suite.host.steps : 10000, 96, 1);
}

SUITE_TEST(model_tight, "S1.17 random runs in a window that is often full")
{
	model_edge = (size_t)-1;
	suite_start_pages(24);
	model_run(suite.host.steps < 10000 ? suite.host.steps : 10000, 96, 1);
}

SUITE_TEST(model_long, "S0.5 S1.17 S4.25 a long random run, nothing is lost")
{
	model_edge = 12;
	suite_start_mapped(suite.host.window_pages);
	model_run(suite.host.steps, SLOTS, 512);
}

/* ------------------------------------------------------------- instances */

SUITE_TEST(side_by_side, "X.1 instances side by side do not know each other")
{
	static struct loam_heap other;
	suite_start_pages(HEAP_SUITE_PAGES_MIN / 2);
	suite_own(&suite.other, HEAP_SUITE_PAGES_MIN / 2,
		  HEAP_SUITE_PAGES_MIN / 2);
	struct loam_heap_config config = suite_config(&suite.other);
	EXPECT_EQ(loam_heap_create(&other, suite.design->ops, &config), 0);
	void *mine = suite_alloc(500);
	void *theirs = loam_heap_alloc(&other, 500);
	EXPECT(theirs != NULL);
	suite_expect_misuse(2);
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&suite.heap, theirs);
	loam_heap_free(&other, mine);
	EXPECT_EQ(loam_misuse_count(), reports + 2);
	EXPECT_LOG("outside the heap");
	EXPECT_EQ(loam_heap_check(&other), 0);
	loam_heap_free(&other, theirs);
	loam_heap_free(&suite.heap, mine);
	EXPECT_EQ(loam_misuse_count(), reports + 2);
	loam_heap_destroy(&other);
	EXPECT_EQ(suite.other.mapped_now, 0);
	suite_finish();
}

/* ------------------------------------------------------------- statistics */

SUITE_TEST(statistics,
	   "S2.23 X.9 walk and statistics tell what is live and free")
{
	void *blocks[8];
	size_t bytes = 0;
	suite_start();
	for (unsigned i = 0; i < 8; i++) {
		blocks[i] = suite_alloc(suite_size(100 + i * 1000));
		bytes += loam_heap_usable(&suite.heap, blocks[i]);
	}
	struct loam_heap_stats stats;
	loam_heap_stats(&suite.heap, &stats);
	EXPECT_EQ(stats.live_blocks, 8);
	EXPECT_EQ(stats.live_bytes, bytes);
	EXPECT_EQ(stats.peak_live_bytes, bytes);
	EXPECT_EQ(stats.allocs, 8);
	EXPECT_EQ(stats.frees, 0);
	size_t hole = loam_heap_usable(&suite.heap, blocks[3]);
	loam_heap_free(&suite.heap, blocks[3]);
	loam_heap_stats(&suite.heap, &stats);
	EXPECT_EQ(stats.live_bytes, bytes - hole);
	EXPECT_EQ(stats.peak_live_bytes, bytes);
	EXPECT_EQ(stats.frees, 1);
	EXPECT(stats.free_blocks == 1 || stats.free_blocks == 2 ||
	       !suite.design->merges);
	EXPECT(stats.free_bytes >= hole);
	EXPECT(stats.largest_free_bytes >= hole);
	EXPECT_EQ(stats.mapped_bytes, suite.owner.mapped_now * LOAM_PAGE_SIZE);
	EXPECT(stats.peak_mapped_bytes >= stats.mapped_bytes);
	for (unsigned i = 0; i < 8; i++) {
		if (i != 3) {
			loam_heap_free(&suite.heap, blocks[i]);
		}
	}
	suite_finish();
}
