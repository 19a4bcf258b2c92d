/* SPDX-License-Identifier: MIT */
/* The best-fit heap: break, pages, ordered array, spilling, choice of block. */
#include "heap_fixture.h"

#define PAGES 1024u /* the document's 4 MiB */
#define CAPACITY LOAM_HEAP_ARRAY_ENTRIES

static struct owner owner;
static struct loam_heap_owner calls;
static struct loam_heap heap;
static const struct loam_heap_bestfit *const best = &heap.bestfit;

static void start(void)
{
	owner_init(&owner, PAGES);
	calls = owner_calls(&owner);
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = PAGES * LOAM_PAGE_SIZE,
		.owner = &calls,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_bestfit, &config), 0);
}

static void expect_sound(void)
{
	EXPECT_EQ(loam_heap_check(&heap), 0);
}

/* With nothing live, the break is where it was at first. */
static void finish(void)
{
	expect_sound();
	EXPECT(best->brk == owner.window + LOAM_PAGE_SIZE);
	EXPECT(best->last_page == owner.window + LOAM_PAGE_SIZE);
	EXPECT_EQ(best->count, 0);
	EXPECT_EQ(best->spilled, 0);
	EXPECT_EQ(owner.mapped_now, 2);
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

static size_t brk_offset(void)
{
	return (size_t)(best->brk - owner.window);
}

TEST(no_owner, "S0.1 refused without an owner, or with no page for blocks")
{
	owner_init(&owner, 16);
	calls = owner_calls(&owner);
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = 16 * LOAM_PAGE_SIZE,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_bestfit, &config),
		  -LOAM_EINVAL);
	owner_fini(&owner);
	owner_init(&owner, 1);
	config = (struct loam_heap_config){
		.start = owner.window,
		.size_bytes = LOAM_PAGE_SIZE,
		.owner = &calls,
	};
	EXPECT_EQ(loam_heap_create(&heap, &loam_heap_bestfit, &config),
		  -LOAM_EINVAL);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

TEST(creation, "S0.9 S0.15 tables, then the array's page, then the first page")
{
	start();
	EXPECT(strcmp(owner.trace, "pmm") == 0);
	EXPECT_EQ(owner.mapped[0], 1);
	EXPECT_EQ(owner.mapped[1], 1);
	EXPECT_EQ(owner.mapped_now, 2);
	EXPECT(best->brk == owner.window + 0x1000);
	EXPECT(best->last_page == owner.window + 0x1000);
	finish();
}

TEST(layout,
     "S0.3 S0.13 S0.14 the array is the first 4 KiB, blocks begin after")
{
	start();
	EXPECT((void *)best->array == owner.window);
	EXPECT_EQ(CAPACITY * sizeof(best->array[0]), 4096);
	unsigned char *first = must_alloc(10);
	EXPECT(first == owner.window + 0x1000 + 16);
	loam_heap_free(&heap, first);
	/* To the limit and no further. */
	size_t most = (PAGES - 1) * LOAM_PAGE_SIZE - 16;
	EXPECT(loam_heap_alloc(&heap, most + 1) == NULL);
	unsigned char *all = must_alloc(most);
	memset(all, 1, most);
	EXPECT(best->brk == owner.window + PAGES * LOAM_PAGE_SIZE);
	EXPECT(loam_heap_alloc(&heap, 1) == NULL);
	expect_sound();
	loam_heap_free(&heap, all);
	finish();
}

TEST(small_requests, "S0.2 a thousand requests of 4 bytes share pages")
{
	static void *blocks[1000];
	start();
	for (unsigned i = 0; i < 1000; i++) {
		blocks[i] = must_alloc(4);
	}
	size_t pages = loam_pages_of(1000 * (16 + 16));
	EXPECT(owner.mapped_now <= pages + 2);
	for (unsigned i = 0; i < 1000; i++) {
		loam_heap_free(&heap, blocks[i]);
	}
	finish();
}

TEST(break_moves, "S0.4 the break grows by header and rounded size")
{
	start();
	const size_t sizes[] = { 1, 16, 17, 100, 4096, 5000, 4 };
	void *blocks[LOAM_ARRAY_SIZE(sizes)];
	for (unsigned i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		size_t before = brk_offset();
		blocks[i] = must_alloc(sizes[i]);
		EXPECT_EQ(brk_offset() - before,
			  16 + loam_size_round_up(sizes[i], 16));
	}
	for (unsigned i = LOAM_ARRAY_SIZE(sizes); i-- > 0;) {
		size_t before = brk_offset();
		loam_heap_free(&heap, blocks[i]);
		EXPECT_EQ(before - brk_offset(),
			  16 + loam_size_round_up(sizes[i], 16));
	}
	finish();
}

TEST(within_page, "S0.16 nothing is mapped up to the last byte of the page")
{
	start();
	void *a = must_alloc(2000);
	size_t left = 0x2000 - brk_offset();
	void *b = must_alloc(left - 16);
	EXPECT(best->brk == best->last_page + 0x1000);
	EXPECT_EQ(owner.map_calls, 2);
	void *c = must_alloc(1);
	EXPECT_EQ(owner.map_calls, 3);
	EXPECT_EQ(owner.mapped_now, 3);
	loam_heap_free(&heap, a);
	loam_heap_free(&heap, b);
	loam_heap_free(&heap, c);
	finish();
}

TEST(many_pages, "S0.17 a request over many pages maps all of them")
{
	start();
	void *first = must_alloc(4000);
	EXPECT_EQ(owner.mapped_now, 2);
	unsigned char *large = must_alloc(20000);
	memset(large, 0x77, 20000);
	EXPECT(best->last_page == owner.window + 0x1000 + 5 * 0x1000);
	EXPECT_EQ(owner.mapped_now, 7);
	loam_heap_free(&heap, first);
	loam_heap_free(&heap, large);
	finish();
}

TEST(contraction, "S0.28 a break that falls returns every page but the first")
{
	start();
	void *block = must_alloc(10 * LOAM_PAGE_SIZE - 16);
	EXPECT_EQ(owner.mapped_now, 11);
	loam_heap_free(&heap, block);
	EXPECT_EQ(owner.pages_unmapped, 9);
	EXPECT_EQ(owner.mapped_now, 2);
	/* Free memory in front of the last block falls with it. */
	void *blocks[5];
	for (unsigned i = 0; i < 5; i++) {
		blocks[i] = must_alloc(10000);
	}
	for (unsigned i = 0; i < 4; i++) {
		size_t mapped = owner.mapped_now;
		loam_heap_free(&heap, blocks[i]);
		EXPECT_EQ(owner.mapped_now, mapped);
	}
	loam_heap_free(&heap, blocks[4]);
	finish();
}

TEST(contraction_edge, "S0.28 a break on a page's edge keeps no page behind it")
{
	start();
	void *block = must_alloc(3 * LOAM_PAGE_SIZE - 16);
	void *small = must_alloc(1);
	EXPECT_EQ(owner.mapped_now, 5);
	loam_heap_free(&heap, small);
	EXPECT_EQ(owner.mapped_now, 4);
	EXPECT(best->brk == best->last_page + LOAM_PAGE_SIZE);
	expect_sound();
	loam_heap_free(&heap, block);
	finish();
}

TEST(failing_page, "S0.25 growth that fails at page n returns the others")
{
	start();
	for (size_t pages = 0; pages < 10; pages++) {
		owner.pages_left = pages;
		size_t brk = brk_offset();
		EXPECT(loam_heap_alloc(&heap, 11 * 4096 - 16) == NULL);
		EXPECT_EQ(owner.mapped_now, 2);
		EXPECT_EQ(owner.pages_left, pages);
		EXPECT_EQ(brk_offset(), brk);
		expect_sound();
	}
	owner.pages_left = 10;
	loam_heap_free(&heap, must_alloc(11 * 4096 - 16));
	finish();
}

/* Live walls around free blocks of the given sizes. */
static void holes(const size_t *sizes, void **at, void **walls, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		at[i] = must_alloc(sizes[i]);
		walls[i] = must_alloc(16);
	}
	for (unsigned i = 0; i < count; i++) {
		loam_heap_free(&heap, at[i]);
	}
	EXPECT_EQ(best->count, count);
	expect_sound();
}

static void free_all(void **at, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		loam_heap_free(&heap, at[i]);
	}
}

/* The header of the free block that entry number `at` of the array is of. */
static char *entry(unsigned at)
{
	uint32_t unit = (uint32_t)best->array[best->begin + at];
	return (char *)owner.window + (size_t)unit * 16;
}

TEST(best_fit, "S0.7 S0.8 the smallest block that is large enough is taken")
{
	start();
	const size_t sizes[] = { 900, 300, 600 };
	void *at[3];
	void *walls[3];
	holes(sizes, at, walls, 3);
	EXPECT(entry(0) == (char *)at[1] - 16);
	EXPECT(entry(1) == (char *)at[2] - 16);
	EXPECT(entry(2) == (char *)at[0] - 16);
	void *b = must_alloc(500);
	EXPECT(b == at[2]);
	void *a = must_alloc(250);
	EXPECT(a == at[1]);
	void *c = must_alloc(700);
	EXPECT(c == at[0]);
	expect_sound();
	loam_heap_free(&heap, a);
	loam_heap_free(&heap, b);
	loam_heap_free(&heap, c);
	free_all(walls, 3);
	finish();
}

TEST(ties,
     "S0.31 of blocks of one size the lowest is taken, freed in any order")
{
	for (unsigned order = 0; order < 6; order++) {
		start();
		void *at[3];
		void *walls[3];
		for (unsigned i = 0; i < 3; i++) {
			at[i] = must_alloc(320);
			walls[i] = must_alloc(16);
		}
		unsigned a = order % 3;
		unsigned b = (a + 1 + order / 3) % 3;
		loam_heap_free(&heap, at[a]);
		loam_heap_free(&heap, at[b]);
		loam_heap_free(&heap, at[3 - a - b]);
		for (unsigned i = 0; i < 3; i++) {
			EXPECT(must_alloc(320) == at[i]);
		}
		free_all(at, 3);
		free_all(walls, 3);
		finish();
	}
}

TEST(split, "S0.26 a rest is split off when it can hold a header and 16 bytes")
{
	for (size_t rest = 0; rest <= 64; rest += 16) {
		start();
		const size_t size = 320;
		void *at;
		void *wall;
		holes(&size, &at, &wall, 1);
		void *block = must_alloc(size - rest);
		EXPECT(block == at);
		bool splits = rest >= 32;
		EXPECT_EQ(loam_heap_usable(&heap, block),
			  splits ? size - rest : size);
		EXPECT_EQ(best->count, splits ? 1 : 0);
		expect_sound();
		loam_heap_free(&heap, block);
		EXPECT_EQ(best->count, 1);
		loam_heap_free(&heap, wall);
		finish();
	}
}

TEST(merge_orders, "S0.27 three neighbours become one block in all 6 orders")
{
	for (unsigned order = 0; order < 6; order++) {
		start();
		void *at[3];
		for (unsigned i = 0; i < 3; i++) {
			at[i] = must_alloc(100);
		}
		void *wall = must_alloc(1);
		unsigned a = order % 3;
		unsigned b = (a + 1 + order / 3) % 3;
		loam_heap_free(&heap, at[a]);
		loam_heap_free(&heap, at[b]);
		loam_heap_free(&heap, at[3 - a - b]);
		EXPECT_EQ(best->count, 1);
		struct loam_heap_block block = { .address = NULL };
		EXPECT(loam_heap_walk(&heap, &block));
		EXPECT_EQ(block.size_bytes, 3 * 112 + 2 * 16);
		EXPECT(block.address == at[0]);
		loam_heap_free(&heap, wall);
		finish();
	}
}

/* ------------------------------------------------------- a full array */

#define MANY 1100u

static void *many[MANY];
static void *many_walls[MANY];

/* MANY separated free blocks; sizes differ unless step is 0. */
static void many_holes(size_t size, size_t step)
{
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = must_alloc(size + i % 67 * step);
		memset(many[i], 0x3c, size);
		many_walls[i] = must_alloc(16);
	}
	unsigned char header[16];
	memcpy(header, owner.window + LOAM_PAGE_SIZE, 16);
	loam_heap_free(&heap, many[0]);
	memcpy(header, owner.window + LOAM_PAGE_SIZE, 16);
	for (unsigned i = 1; i < MANY; i++) {
		loam_heap_free(&heap, many[i]);
		EXPECT(i >= CAPACITY ||
		       memcmp(header, owner.window + LOAM_PAGE_SIZE, 16) == 0);
		if (i % 50 == 0 || i > MANY - 10) {
			expect_sound();
		}
	}
	EXPECT_EQ(best->count, CAPACITY);
	EXPECT_EQ(best->spilled, MANY - CAPACITY);
}

TEST(overflow, "S0.29 a full array loses no block and writes past no page")
{
	start();
	many_holes(48, 0);
	/* Every one of them is handed out again before the break moves. */
	size_t brk = brk_offset();
	for (unsigned i = 0; i < MANY; i++) {
		many[i] = must_alloc(48);
		EXPECT_EQ(brk_offset(), brk);
		if (i % 50 == 0) {
			expect_sound();
		}
	}
	EXPECT_EQ(best->count, 0);
	EXPECT_EQ(best->spilled, 0);
	EXPECT(must_alloc(48) != NULL);
	EXPECT_EQ(brk_offset(), brk + 64);
	loam_heap_free(&heap, owner.window + brk + 16);
	free_all(many, MANY);
	free_all(many_walls, MANY);
	finish();
}

TEST(reentry, "S0.29 a spilled block is entered when an entry leaves the array")
{
	start();
	many_holes(48, 0);
	for (unsigned i = 0; best->spilled > 0; i++) {
		loam_heap_free(&heap, many_walls[i]);
		many_walls[i] = NULL;
		if (i % 50 == 0) {
			expect_sound();
		}
		EXPECT(i < MANY);
	}
	expect_sound();
	free_all(many_walls, MANY);
	finish();
}

TEST(spilled_fit,
     "S0.8 S0.29 small spilled blocks are still chosen by best fit")
{
	start();
	many_holes(48, 16);
	/* 16 holes and more of each of 67 sizes, 48 to 1104. */
	size_t brk = brk_offset();
	for (unsigned i = 0; i < 67; i++) {
		size_t size = 48 + i * 16;
		void *block = must_alloc(size);
		EXPECT_EQ(loam_heap_usable(&heap, block), size);
		expect_sound();
		loam_heap_free(&heap, block);
		expect_sound();
	}
	EXPECT_EQ(brk_offset(), brk);
	free_all(many_walls, MANY);
	finish();
}

TEST(spilled_large,
     "S0.29 the break waits while a large spilled block would do")
{
	start();
	/* One hole a little larger than all others, spilled before them. */
	many_holes(1200, 0);
	void *rest[CAPACITY];
	for (unsigned i = 0; i < CAPACITY / 2; i++) {
		rest[i] = must_alloc(1100);
	}
	expect_sound();
	size_t brk = brk_offset();
	size_t served = CAPACITY / 2;
	while (served < MANY) {
		void *block = must_alloc(1190);
		EXPECT_EQ(brk_offset(), brk);
		many[served++] = block;
	}
	EXPECT_EQ(best->spilled, 0);
	expect_sound();
	free_all(rest, CAPACITY / 2);
	free_all(many + CAPACITY / 2, MANY - CAPACITY / 2);
	free_all(many_walls, MANY);
	finish();
}

/*
 * Spilled first, and so last in its list: behind more blocks than a search
 * looks at that has a choice.
 */
TEST(spilled_deep,
     "S0.29 the break waits for the last block of the spill lists")
{
	enum { SMALL = CAPACITY + 50 };
	static void *large[CAPACITY];
	static void *small[SMALL];
	static void *walls[CAPACITY + SMALL + 1];
	unsigned wall = 0;
	start();
	for (unsigned i = 0; i < CAPACITY; i++) {
		large[i] = must_alloc(1504);
		walls[wall++] = must_alloc(16);
	}
	void *wanted = must_alloc(1408);
	walls[wall++] = must_alloc(16);
	for (unsigned i = 0; i < SMALL; i++) {
		small[i] = must_alloc(1104);
		walls[wall++] = must_alloc(16);
	}
	free_all(large, CAPACITY);
	loam_heap_free(&heap, wanted);
	free_all(small, SMALL);
	EXPECT_EQ(best->spilled, SMALL + 1);
	for (unsigned i = 0; i < CAPACITY; i++) {
		EXPECT(must_alloc(1504) == large[i]);
	}
	EXPECT_EQ(best->spilled, 51);
	expect_sound();
	EXPECT(must_alloc(1400) == wanted);
	expect_sound();
	free_all(large, CAPACITY);
	loam_heap_free(&heap, wanted);
	free_all(walls, wall);
	finish();
}

/* ------------------------------------------------------- the model */

/* The same heap by the simplest means: blocks in an array, searched whole. */
struct oracle_block {
	uint32_t size; /* units of payload */
	bool is_free;
};

#define ORACLE_MAX 1024u
static struct oracle_block oracle[ORACLE_MAX];
static unsigned oracle_count;

static void oracle_delete(unsigned at)
{
	memmove(&oracle[at], &oracle[at + 1],
		(oracle_count - at - 1) * sizeof(oracle[0]));
	oracle_count--;
}

static void oracle_add(unsigned at, uint32_t size, bool is_free)
{
	EXPECT(oracle_count < ORACLE_MAX);
	memmove(&oracle[at + 1], &oracle[at],
		(oracle_count - at) * sizeof(oracle[0]));
	oracle[at] = (struct oracle_block){ size, is_free };
	oracle_count++;
}

/* The offset of the payload of block `at`; of the break for the count. */
static size_t oracle_offset(unsigned at)
{
	size_t units = 256 + 1;
	for (unsigned i = 0; i < at; i++) {
		units += oracle[i].size + 1;
	}
	return units * 16;
}

static size_t oracle_alloc(size_t size_bytes)
{
	uint32_t size = (uint32_t)((size_bytes + 15) / 16);
	unsigned found = oracle_count;
	for (unsigned i = 0; i < oracle_count; i++) {
		if (oracle[i].is_free && oracle[i].size >= size &&
		    (found == oracle_count ||
		     oracle[i].size < oracle[found].size)) {
			found = i;
		}
	}
	if (found == oracle_count) {
		oracle_add(found, size, false);
	} else if (oracle[found].size >= size + 2) {
		oracle_add(found + 1, oracle[found].size - size - 1, true);
		oracle[found].size = size;
	}
	oracle[found].is_free = false;
	return oracle_offset(found);
}

static void oracle_free(size_t offset)
{
	unsigned at = 0;
	while (oracle_offset(at) != offset) {
		at++;
		EXPECT(at < oracle_count);
	}
	oracle[at].is_free = true;
	if (at + 1 < oracle_count && oracle[at + 1].is_free) {
		oracle[at].size += oracle[at + 1].size + 1;
		oracle_delete(at + 1);
	}
	if (at > 0 && oracle[at - 1].is_free) {
		oracle[at - 1].size += oracle[at].size + 1;
		oracle_delete(at);
		at--;
	}
	if (at + 1 == oracle_count) {
		oracle_count--;
	}
}

static void expect_as_oracle(void)
{
	size_t brk = oracle_offset(oracle_count) - 16;
	EXPECT_EQ(brk_offset(), brk);
	size_t pages = loam_pages_of(brk);
	EXPECT_EQ(owner.mapped_now, pages < 2 ? 2 : pages);
	unsigned is_free = 0;
	for (unsigned i = 0; i < oracle_count; i++) {
		is_free += oracle[i].is_free;
	}
	EXPECT_EQ(best->count, is_free);
}

TEST(oracle,
     "S0.5 S0.6 S0.30 100,000 operations place blocks as the oracle does")
{
	enum { SLOTS = 200 };
	static void *slots[SLOTS];
	uint64_t random = 0x0dd5;
	start();
	memset(slots, 0, sizeof(slots));
	oracle_count = 0;
	for (unsigned step = 0; step < 100000; step++) {
		void **slot = &slots[hosted_random(&random) % SLOTS];
		if (*slot != NULL) {
			oracle_free((size_t)((unsigned char *)*slot -
					     owner.window));
			loam_heap_free(&heap, *slot);
			*slot = NULL;
		} else {
			size_t most = step % 512 < 256 ? 100 : 3000;
			size_t size = 1 + (size_t)hosted_random(&random) % most;
			*slot = must_alloc(size);
			EXPECT_EQ((unsigned char *)*slot - owner.window,
				  oracle_alloc(size));
		}
		expect_as_oracle();
		if (step % 16 == 0) {
			expect_sound();
		}
	}
	free_all(slots, SLOTS);
	finish();
}

/* Many more free blocks than the array holds, most of the time. */
TEST(spill_model, "S0.29 S0.30 random runs with a full array keep everything")
{
	enum { SLOTS = 10000 };
	static unsigned char *slots[SLOTS];
	static size_t sizes[SLOTS];
	uint64_t random = 0x5b111;
	unsigned full = 0;
	start();
	memset(slots, 0, sizeof(slots));
	for (unsigned step = 0; step < 60000; step++) {
		size_t at = (size_t)hosted_random(&random) % SLOTS;
		if (slots[at] != NULL) {
			EXPECT_EQ(slots[at][0], at & 255);
			EXPECT_EQ(slots[at][sizes[at] - 1], at >> 8);
			loam_heap_free(&heap, slots[at]);
			slots[at] = NULL;
		} else if (step % 16384 < 8192) {
			sizes[at] = 2 + (size_t)hosted_random(&random) % 400;
			slots[at] = loam_heap_alloc(&heap, sizes[at]);
			if (slots[at] != NULL) {
				slots[at][0] = (unsigned char)at;
				slots[at][sizes[at] - 1] =
					(unsigned char)(at >> 8);
			}
		}
		full += best->spilled > 0;
		if (step % 256 == 0) {
			expect_sound();
		}
	}
	EXPECT(full > 10000);
	for (unsigned i = 0; i < SLOTS; i++) {
		loam_heap_free(&heap, slots[i]);
	}
	finish();
}

/* ------------------------------------------------------- corruption */

TEST(checker, "S0.33 the checker says where a header is broken")
{
	start();
	void *blocks[3];
	for (unsigned i = 0; i < 3; i++) {
		blocks[i] = must_alloc(100);
	}
	uint32_t *header = (uint32_t *)((char *)blocks[1] - 16);
	char text[64];
	loam_snprintf(text, sizeof(text), "broken header at %p",
		      (void *)header);
	for (unsigned field = 0; field < 4; field++) {
		uint32_t was = header[field];
		header[field] += 2;
		hosted_log_clear();
		EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
		EXPECT_LOG(text);
		header[field] = was;
		expect_sound();
	}
	free_all(blocks, 3);
	finish();
}

TEST(written_after_free, "S0.33 a free header that was written to is fatal")
{
	start();
	const size_t size = 320;
	void *at;
	void *wall;
	holes(&size, &at, &wall, 1);
	uint32_t *header = (uint32_t *)((char *)at - 16);
	header[2] = 100; /* its size, by which the array is ordered */
	EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
	EXPECT_PANIC(loam_heap_alloc(&heap, 200), "bestfit_is_whole");
	/* Its neighbour cannot be freed either; that is only reported. */
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&heap, wall);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG("corrupt header");
	header[2] = 20;
	expect_sound();
	loam_heap_free(&heap, wall);
	finish();
}

static void take_all_holes(void)
{
	for (unsigned i = 0; i < MANY; i++) {
		must_alloc(48);
	}
}

TEST(written_spilled,
     "S0.33 links of a spilled block that were overwritten too")
{
	start();
	many_holes(48, 0);
	memset(many[MANY - 1], 0x11, 16);
	EXPECT_EQ(loam_heap_check(&heap), -LOAM_EFAULT);
	EXPECT_PANIC(take_all_holes(), "bestfit");
	owner_fini(&owner);
}
