/* SPDX-License-Identifier: MIT */
/* What every heap must do, whatever its design: one suite for all of them. */
#include "heap_fixture.h"

#define PAGES 1024u /* the window: 4 MiB */

/* A design with the settings it is tested with. */
struct design {
	const char *name;
	const struct loam_heap_ops *ops;
	enum loam_heap_fit fit;
	size_t grain;  /* largest waste of the smallest request */
	size_t header; /* before each block; 0: state lies elsewhere */
};

static const struct design designs[] = {
	{ "bestfit", &loam_heap_bestfit, LOAM_HEAP_FIRST_FIT, 16, 16 },
	{ "block", &loam_heap_block, LOAM_HEAP_FIRST_FIT, 4096, 0 },
	{ "list first fit", &loam_heap_list, LOAM_HEAP_FIRST_FIT, 16, 16 },
	{ "list next fit", &loam_heap_list, LOAM_HEAP_NEXT_FIT, 16, 16 },
	{ "list best fit", &loam_heap_list, LOAM_HEAP_BEST_FIT, 16, 16 },
	{ "tlsf", &loam_heap_tlsf, LOAM_HEAP_FIRST_FIT, 32, 8 },
};
#define DESIGNS LOAM_ARRAY_SIZE(designs)

static const struct design *design; /* the one under test */
static struct owner owner;
static struct loam_heap_owner calls;
static struct loam_heap heap;

/* HEAP_TEST(name, title) { ... } is a test of each design. */
#define HEAP_TEST(test_name, test_title)                                       \
	static void each_##test_name(void);                                    \
	static void run_##test_name(size_t at)                                 \
	{                                                                      \
		design = &designs[at];                                         \
		each_##test_name();                                            \
	}                                                                      \
	RUNNERS(test_name)                                                     \
	__attribute__((constructor)) static void register_##test_name(void)    \
	{                                                                      \
		static void (*const runs[])(void) = RUNS(test_name);           \
		static struct test tests[DESIGNS];                             \
		static char titles[DESIGNS][128];                              \
		LOAM_STATIC_ASSERT(LOAM_ARRAY_SIZE(runs) == DESIGNS,           \
				   "a runner for each design");                \
		for (size_t i = 0; i < DESIGNS; i++) {                         \
			snprintf(titles[i], sizeof(titles[i]), "%s: %s",       \
				 test_title, designs[i].name);                 \
			tests[i].title = titles[i];                            \
			tests[i].run = runs[i];                                \
			test_register(&tests[i]);                              \
		}                                                              \
	}                                                                      \
	static void each_##test_name(void)

#define RUNNER(name, i)                                                        \
	static void run_##name##_##i(void)                                     \
	{                                                                      \
		run_##name(i);                                                 \
	}
#define RUNNERS(name)                                                          \
	RUNNER(name, 0)                                                        \
	RUNNER(name, 1)                                                        \
	RUNNER(name, 2)                                                        \
	RUNNER(name, 3)                                                        \
	RUNNER(name, 4)                                                        \
	RUNNER(name, 5)
#define RUNS(name)                                                             \
	{                                                                      \
		run_##name##_0, run_##name##_1, run_##name##_2,                \
			run_##name##_3, run_##name##_4, run_##name##_5,        \
	}

static void expect_sound(void)
{
	EXPECT_EQ(loam_heap_check(&heap), 0);
}

static void start_pages(size_t pages)
{
	owner_init(&owner, pages);
	calls = owner_calls(&owner);
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = pages * LOAM_PAGE_SIZE,
		.owner = &calls,
		.fit = design->fit,
	};
	EXPECT_EQ(loam_heap_create(&heap, design->ops, &config), 0);
	expect_sound();
}

static void start(void)
{
	start_pages(PAGES);
}

/* The end of a test: with nothing live, all is one and can be given back. */
static void finish(void)
{
	expect_sound();
	EXPECT_EQ(heap.live_blocks, 0);
	struct loam_heap_stats stats;
	loam_heap_stats(&heap, &stats);
	EXPECT(stats.free_blocks <= 1);
	EXPECT_EQ(stats.mapped_bytes, owner.mapped_now * LOAM_PAGE_SIZE);
	loam_heap_destroy(&heap);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

/* Blocks with a pattern of their own, so that overlap and loss show. */
static void fill(void *address, size_t size, unsigned seed)
{
	unsigned char *at = address;
	for (size_t i = 0; i < size; i++) {
		at[i] = (unsigned char)(seed * 37 + i);
	}
}

static bool holds(const void *address, size_t size, unsigned seed)
{
	const unsigned char *at = address;
	for (size_t i = 0; i < size; i++) {
		if (at[i] != (unsigned char)(seed * 37 + i)) {
			return false;
		}
	}
	return true;
}

static void *must_alloc(size_t size)
{
	void *address = loam_heap_alloc(&heap, size);
	EXPECT(address != NULL);
	EXPECT_EQ((uintptr_t)address % LOAM_HEAP_ALIGN, 0);
	EXPECT(loam_heap_usable(&heap, address) >= size);
	return address;
}

/* ------------------------------------------------------------- creation */

HEAP_TEST(bad_ranges, "S1.10 S1.11 a range that cannot be is refused")
{
	owner_init(&owner, 16);
	calls = owner_calls(&owner);
	struct loam_heap before;
	memset(&heap, 0x5a, sizeof(heap));
	memcpy(&before, &heap, sizeof(heap));
	unsigned char *at = owner.window;
	unsigned char *high = (unsigned char *)((uintptr_t)0 - 4096 * 4);
	const struct loam_heap_config bad[] = {
		{ .start = NULL, .size_bytes = 65536, .owner = &calls },
		{ .start = at + 16, .size_bytes = 61440, .owner = &calls },
		{ .start = at, .size_bytes = 65535, .owner = &calls },
		{ .start = at, .size_bytes = 0, .owner = &calls },
		{ .start = high, .size_bytes = 4096 * 5, .owner = &calls },
		{ .start = at,
		  .size_bytes = (size_t)0 - 4096,
		  .owner = &calls },
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(loam_heap_create(&heap, design->ops, &bad[i]),
			  -LOAM_EINVAL);
		EXPECT_EQ(memcmp(&heap, &before, sizeof(heap)), 0);
	}
	EXPECT_EQ(owner.map_calls, 0);
	owner_fini(&owner);
}

HEAP_TEST(prepare, "S0.1 an owner that is not ready refuses the heap")
{
	owner_init(&owner, 16);
	calls = owner_calls(&owner);
	owner.prepare_error = -LOAM_EAGAIN;
	struct loam_heap_config config = {
		.start = owner.window,
		.size_bytes = 16 * LOAM_PAGE_SIZE,
		.owner = &calls,
		.fit = design->fit,
	};
	EXPECT_EQ(loam_heap_create(&heap, design->ops, &config), -LOAM_EAGAIN);
	EXPECT(strcmp(owner.trace, "p") == 0);
	owner.prepare_error = 0;
	calls.map_pages = NULL;
	EXPECT_EQ(loam_heap_create(&heap, design->ops, &config), -LOAM_EINVAL);
	EXPECT(strcmp(owner.trace, "p") == 0);
	owner_fini(&owner);
}

HEAP_TEST(create_fails, "S0.25 creation with too few pages leaves none mapped")
{
	bool made = false;
	for (size_t pages = 0; !made; pages++) {
		owner_init(&owner, PAGES);
		calls = owner_calls(&owner);
		owner.pages_left = pages;
		struct loam_heap_config config = {
			.start = owner.window,
			.size_bytes = PAGES * LOAM_PAGE_SIZE,
			.owner = &calls,
			.fit = design->fit,
		};
		int error = loam_heap_create(&heap, design->ops, &config);
		made = error == 0;
		EXPECT(made || error == -LOAM_ENOMEM);
		EXPECT(made ? pages > 0 : owner.mapped_now == 0);
		EXPECT(pages < 64);
		if (!made) {
			owner_fini(&owner);
		}
	}
	finish();
}

/* ------------------------------------------------------------- requests */

HEAP_TEST(alignment, "S0.22 every size is aligned, usable and not too large")
{
	start();
	for (size_t size = 1; size <= 1025; size++) {
		unsigned char *at = must_alloc(size);
		size_t usable = loam_heap_usable(&heap, at);
		EXPECT(usable < size + design->grain + 32);
		memset(at, 0x11, usable);
		void *other = must_alloc(size);
		memset(other, 0x22, loam_heap_usable(&heap, other));
		EXPECT_EQ(at[0], 0x11);
		EXPECT_EQ(at[usable - 1], 0x11);
		loam_heap_free(&heap, at);
		loam_heap_free(&heap, other);
	}
	finish();
}

HEAP_TEST(zero, "S0.21 S1.22 size 0 gives NULL, free of NULL does nothing")
{
	start();
	struct heap_picture before = heap_picture(&heap, &owner);
	EXPECT(loam_heap_alloc(&heap, 0) == NULL);
	EXPECT(loam_heap_zalloc(&heap, 0) == NULL);
	EXPECT(loam_heap_resize(&heap, NULL, 0) == NULL);
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&heap, NULL);
	EXPECT_EQ(loam_misuse_count(), reports);
	heap_expect_unchanged(&before, &heap, &owner);
	EXPECT_EQ(heap.failed, 0);
	finish();
}

HEAP_TEST(huge, "S0.23 S3.18 sizes that cannot be give NULL, nothing changes")
{
	start();
	void *live = must_alloc(100);
	const size_t max = (size_t)-1;
	const size_t sizes[] = { max,
				 max - 7,
				 max - 15,
				 max - 4094,
				 max - 4095,
				 max / 2,
				 max / 2 + 1,
				 0x80000000u,
				 0xfffff000u,
				 0xfffffff8u,
				 0xffffffffu,
				 0xfffff001u,
				 PAGES * LOAM_PAGE_SIZE,
				 PAGES * LOAM_PAGE_SIZE + 1 };
	struct heap_picture before = heap_picture(&heap, &owner);
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(sizes); i++) {
		EXPECT(loam_heap_alloc(&heap, sizes[i]) == NULL);
		EXPECT(loam_heap_resize(&heap, live, sizes[i]) == NULL);
		heap_expect_unchanged(&before, &heap, &owner);
		expect_sound();
	}
	EXPECT_EQ(heap.failed, 2 * LOAM_ARRAY_SIZE(sizes));
	loam_heap_free(&heap, live);
	finish();
}

HEAP_TEST(zalloc, "S3.20 zalloc clears all of a block that was used before")
{
	start();
	for (size_t size = 1; size < 10000; size = size * 3 + 1) {
		void *at = must_alloc(size);
		memset(at, 0xff, loam_heap_usable(&heap, at));
		loam_heap_free(&heap, at);
		unsigned char *zeros = loam_heap_zalloc(&heap, size);
		EXPECT(zeros != NULL);
		for (size_t i = 0; i < size; i++) {
			EXPECT_EQ(zeros[i], 0);
		}
		loam_heap_free(&heap, zeros);
	}
	finish();
}

HEAP_TEST(reuse, "S0.18 what is freed is handed out again")
{
	start();
	void *first = must_alloc(5000);
	void *second = must_alloc(5000);
	size_t mapped = 0;
	for (unsigned i = 0; i < 1000; i++) {
		loam_heap_free(&heap, first);
		first = must_alloc(5000);
		mapped = i == 0 ? owner.mapped_now : mapped;
		EXPECT_EQ(owner.mapped_now, mapped);
	}
	loam_heap_free(&heap, first);
	loam_heap_free(&heap, second);
	finish();
}

/* ------------------------------------------------------------- exhaustion */

static size_t fill_up(void **blocks, size_t room, size_t size)
{
	size_t count = 0;
	while (count < room) {
		blocks[count] = loam_heap_alloc(&heap, size);
		if (blocks[count] == NULL) {
			break;
		}
		memset(blocks[count], (int)count, 16);
		count++;
	}
	return count;
}

HEAP_TEST(exhaustion, "S0.24 S1.23 a full heap says NULL and recovers wholly")
{
	static void *blocks[1000];
	start_pages(64);
	size_t count = 0;
	for (unsigned round = 0; round < 4; round++) {
		size_t got = fill_up(blocks, 1000, 1000);
		EXPECT(got >= 32 && got < 1000);
		EXPECT(round == 0 || got == count);
		count = got;
		expect_sound();
		EXPECT(heap.failed == round * 2 + 1);
		struct heap_picture before = heap_picture(&heap, &owner);
		EXPECT(loam_heap_alloc(&heap, 1000) == NULL);
		heap_expect_unchanged(&before, &heap, &owner);
		loam_heap_free(&heap, blocks[count / 2]);
		blocks[count / 2] = must_alloc(1000);
		memset(blocks[count / 2], (int)(count / 2), 16);
		/* Forwards, backwards, evens then odds, from the middle. */
		for (size_t i = 0; i < count; i++) {
			size_t half = (count + 1) / 2;
			size_t at = i;
			at = round == 1 ? count - 1 - i : at;
			at = round == 2
				     ? (i < half ? 2 * i : 2 * (i - half) + 1)
				     : at;
			at = round == 3 ? (i + count / 2) % count : at;
			EXPECT_EQ(*(unsigned char *)blocks[at], at & 255);
			loam_heap_free(&heap, blocks[at]);
			expect_sound();
		}
	}
	finish();
}

HEAP_TEST(checkerboard, "S1.23 free memory in too small pieces is no memory")
{
	static void *blocks[1000];
	start_pages(64);
	size_t count = fill_up(blocks, 1000, 2000);
	for (size_t i = 0; i < count; i += 2) {
		loam_heap_free(&heap, blocks[i]);
	}
	expect_sound();
	EXPECT(loam_heap_alloc(&heap, 9000) == NULL);
	expect_sound();
	void *small = must_alloc(2000);
	loam_heap_free(&heap, small);
	for (size_t i = 1; i < count; i += 2) {
		loam_heap_free(&heap, blocks[i]);
	}
	void *large = must_alloc(9000);
	loam_heap_free(&heap, large);
	finish();
}

/*
 * The nth page fails, for every n: the request fails and nothing has changed,
 * or it succeeds. Ends when all succeed with pages to spare.
 */
HEAP_TEST(nth_page,
	  "S0.25 S4.27 the nth page fails: nothing is lost, for any n")
{
	start();
	void *first = must_alloc(3000);
	fill(first, 3000, 1);
	bool done = false;
	for (size_t pages = 0; !done; pages++) {
		struct heap_picture before = heap_picture(&heap, &owner);
		owner.pages_left = pages;
		void *large = loam_heap_alloc(&heap, 100000);
		if (large == NULL) {
			EXPECT_EQ(owner.pages_left, pages);
			heap_expect_unchanged(&before, &heap, &owner);
		}
		expect_sound();
		owner.pages_left = pages;
		void *grown = loam_heap_resize(&heap, first, 200000);
		if (grown == NULL) {
			EXPECT(holds(first, 3000, 1));
		} else {
			EXPECT(holds(grown, 3000, 1));
			first = loam_heap_resize(&heap, grown, 3000);
			EXPECT(first != NULL);
		}
		expect_sound();
		done = large != NULL && grown != NULL && owner.pages_left > 0;
		loam_heap_free(&heap, large);
		EXPECT(pages < 300);
	}
	EXPECT(holds(first, 3000, 1));
	loam_heap_free(&heap, first);
	finish();
}

/* ------------------------------------------------------------- resize */

HEAP_TEST(resize_small, "resize keeps what both sizes have, at every size")
{
	start();
	for (size_t from = 1; from < 300; from += 13) {
		for (size_t to = 1; to < 600; to += 29) {
			void *at = must_alloc(from);
			void *wall = to % 2 ? must_alloc(1) : NULL;
			fill(at, from, 3);
			void *moved = loam_heap_resize(&heap, at, to);
			EXPECT(moved != NULL);
			EXPECT_EQ((uintptr_t)moved % LOAM_HEAP_ALIGN, 0);
			EXPECT(loam_heap_usable(&heap, moved) >= to);
			EXPECT(holds(moved, from < to ? from : to, 3));
			memset(moved, 0xee, loam_heap_usable(&heap, moved));
			expect_sound();
			loam_heap_free(&heap, moved);
			loam_heap_free(&heap, wall);
		}
	}
	finish();
}

HEAP_TEST(resize_in_place, "resize stays in place where there is room")
{
	start();
	void *at = must_alloc(20000);
	void *wall = must_alloc(100);
	fill(at, 20000, 5);
	EXPECT(loam_heap_resize(&heap, at, 5000) == at);
	EXPECT(loam_heap_usable(&heap, at) < 20000);
	expect_sound();
	EXPECT(loam_heap_resize(&heap, at, 20000) == at);
	expect_sound();
	EXPECT(holds(at, 5000, 5));
	EXPECT_EQ(heap.live_blocks, 2);
	void *moved = loam_heap_resize(&heap, at, 60000);
	EXPECT(moved != NULL && moved != at);
	EXPECT(holds(moved, 5000, 5));
	EXPECT_EQ(heap.live_blocks, 2);
	expect_sound();
	EXPECT(loam_heap_resize(&heap, NULL, 50) != NULL);
	EXPECT_EQ(heap.live_blocks, 3);
	EXPECT(loam_heap_resize(&heap, moved, 0) == NULL);
	EXPECT_EQ(heap.live_blocks, 2);
	loam_heap_free(&heap, wall);
	loam_heap_destroy(&heap);
	EXPECT_EQ(owner.mapped_now, 0);
	owner_fini(&owner);
}

/* ------------------------------------------------------------- merging */

HEAP_TEST(all_orders, "S0.27 four neighbours merge in all 24 orders of free")
{
	start();
	for (unsigned order = 0; order < 24; order++) {
		unsigned char *block[4];
		void *wall_before = must_alloc(64);
		for (unsigned i = 0; i < 4; i++) {
			block[i] = must_alloc(4096 + i * 512);
		}
		void *wall_behind = must_alloc(64);
		unsigned left[4] = { 0, 1, 2, 3 };
		unsigned code = order;
		for (unsigned n = 4; n > 0; n--) {
			unsigned pick = code % n;
			code /= n;
			loam_heap_free(&heap, block[left[pick]]);
			left[pick] = left[n - 1];
			expect_sound();
		}
		/* The four have become one block, large enough for all. */
		struct loam_heap_block it = { .address = NULL };
		size_t largest = 0;
		while (loam_heap_walk(&heap, &it)) {
			if (it.address >= block[0] &&
			    it.address < (unsigned char *)wall_behind &&
			    it.state == LOAM_HEAP_FREE) {
				EXPECT_EQ(largest, 0);
				largest = it.size_bytes;
			}
		}
		EXPECT(largest >= 4 * 4096 + 6 * 512);
		loam_heap_free(&heap, wall_before);
		loam_heap_free(&heap, wall_behind);
		expect_sound();
	}
	finish();
}

/* ------------------------------------------------------------- the model */

#define SLOTS 96u

struct slot {
	unsigned char *at;
	size_t size;
	unsigned seed;
};

/* Sizes of all magnitudes, small ones most often. */
static size_t random_size(uint64_t *random)
{
	uint64_t r = hosted_random(random);
	unsigned bits = 1 + (unsigned)(r % 13);
	return 1 + (size_t)((r >> 8) & ((1u << bits) - 1));
}

/* Every live block of the heap is a slot, at most as often. */
static void expect_walk_matches(const struct slot *slots)
{
	size_t live = 0;
	for (unsigned i = 0; i < SLOTS; i++) {
		live += slots[i].at != NULL;
	}
	unsigned char *before = NULL;
	struct loam_heap_block block = { .address = NULL };
	while (loam_heap_walk(&heap, &block)) {
		EXPECT(block.state != LOAM_HEAP_BROKEN);
		EXPECT(before == NULL || block.address > before);
		before = block.address + block.size_bytes - 1;
		bool found = block.state == LOAM_HEAP_FREE;
		for (unsigned i = 0; i < SLOTS && !found; i++) {
			found = slots[i].at == block.address;
		}
		EXPECT(found);
		live -= block.state == LOAM_HEAP_LIVE;
	}
	EXPECT_EQ(live, 0);
}

static void model_step(struct slot *slot, uint64_t *random, unsigned step)
{
	unsigned what = (unsigned)(hosted_random(random) % 8);
	if (slot->at != NULL && what < 4) {
		EXPECT(holds(slot->at, slot->size, slot->seed));
		loam_heap_free(&heap, slot->at);
		slot->at = NULL;
		return;
	}
	size_t size = random_size(random);
	unsigned char *at = slot->at == NULL
				    ? loam_heap_alloc(&heap, size)
				    : loam_heap_resize(&heap, slot->at, size);
	if (at == NULL) {
		EXPECT(slot->at == NULL ||
		       holds(slot->at, slot->size, slot->seed));
		return;
	}
	EXPECT(loam_heap_usable(&heap, at) >= size);
	if (slot->at != NULL) {
		size_t kept = size < slot->size ? size : slot->size;
		EXPECT(holds(at, kept, slot->seed));
	}
	*slot = (struct slot){ at, size, step };
	fill(at, size, step);
}

/* Random operations, in a window that is sometimes full, pages that run out. */
static void model_run(size_t pages, unsigned steps, uint64_t random)
{
	static struct slot slots[SLOTS];
	memset(slots, 0, sizeof(slots));
	start_pages(pages);
	for (unsigned step = 0; step < steps; step++) {
		if (step % 64 == 0) {
			owner.pages_left =
				(size_t)hosted_random(&random) % pages;
		}
		model_step(&slots[hosted_random(&random) % SLOTS], &random,
			   step);
		expect_sound();
		if (step % 16 == 0) {
			expect_walk_matches(slots);
		}
	}
	owner.pages_left = pages;
	for (unsigned i = 0; i < SLOTS; i++) {
		if (slots[i].at != NULL) {
			EXPECT(holds(slots[i].at, slots[i].size,
				     slots[i].seed));
		}
		loam_heap_free(&heap, slots[i].at);
		expect_sound();
	}
	finish();
}

HEAP_TEST(model_roomy, "S0.5 S0.7 random runs keep every invariant")
{
	model_run(PAGES, 20000, 0x5eed + design->fit);
}

HEAP_TEST(model_tight, "S1.17 random runs in a window that is often full")
{
	model_run(24, 20000, 0x7135 + design->fit);
}

HEAP_TEST(side_by_side, "instances side by side do not know each other")
{
	start();
	struct loam_heap other;
	static struct owner other_owner;
	owner_init(&other_owner, 64);
	struct loam_heap_owner other_calls = owner_calls(&other_owner);
	struct loam_heap_config config = {
		.start = other_owner.window,
		.size_bytes = 64 * LOAM_PAGE_SIZE,
		.owner = &other_calls,
		.fit = design->fit,
	};
	EXPECT_EQ(loam_heap_create(&other, design->ops, &config), 0);
	void *mine = must_alloc(500);
	void *theirs = loam_heap_alloc(&other, 500);
	EXPECT(theirs != NULL);
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&heap, theirs);
	loam_heap_free(&other, mine);
	EXPECT_EQ(loam_misuse_count(), reports + 2);
	EXPECT_LOG("outside the heap");
	EXPECT_EQ(loam_heap_check(&other), 0);
	loam_heap_free(&other, theirs);
	loam_heap_free(&heap, mine);
	EXPECT_EQ(reports + 2, loam_misuse_count());
	loam_heap_destroy(&other);
	EXPECT_EQ(other_owner.mapped_now, 0);
	owner_fini(&other_owner);
	finish();
}

/* ------------------------------------------------------------- misuse */

/* Each of the three functions that take an address reports it, and no more. */
static void expect_refused(void *address, const char *text)
{
	struct heap_picture before = heap_picture(&heap, &owner);
	unsigned long reports = loam_misuse_count();
	char line[160];
	hosted_log_clear();
	loam_heap_free(&heap, address);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	snprintf(line, sizeof(line),
		 "loam: heap %s: free of %p: ", design->ops->name, address);
	/* Our %p has all digits; the C library's has not. */
	EXPECT_LOG("free of 0x");
	line[strchr(line + 6, ':') - line] = '\0';
	EXPECT_LOG(line);
	EXPECT_LOG(text);
	EXPECT_LOG(", called from 0x");
	hosted_log_clear();
	EXPECT(loam_heap_resize(&heap, address, 10) == NULL);
	EXPECT_EQ(loam_misuse_count(), reports + 2);
	EXPECT_LOG("resize of 0x");
	EXPECT_LOG(text);
	hosted_log_clear();
	EXPECT_EQ(loam_heap_usable(&heap, address), 0);
	EXPECT_EQ(loam_misuse_count(), reports + 3);
	EXPECT_LOG("usable of 0x");
	EXPECT_LOG(text);
	heap_expect_unchanged(&before, &heap, &owner);
}

HEAP_TEST(double_free, "S0.32 S1.25 S3.19 a double free is reported")
{
	start();
	void *before = must_alloc(100);
	void *block = must_alloc(100);
	void *behind = must_alloc(100);
	loam_heap_free(&heap, block);
	expect_refused(block, "already free");
	expect_sound();
	/* Merged into the one before, its address is inside a free block. */
	loam_heap_free(&heap, before);
	expect_refused(block, "inside the free block");
	expect_refused(before, "already free");
	expect_sound();
	loam_heap_free(&heap, behind);
	expect_sound();
	finish();
}

HEAP_TEST(last_freed, "S0.32 a double free of the last block is reported")
{
	start();
	void *block = must_alloc(200000);
	loam_heap_free(&heap, block);
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&heap, block);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	finish();
}

HEAP_TEST(interior, "S0.32 S1.25 S3.19 an interior address is reported")
{
	start();
	unsigned char *block = must_alloc(9000);
	/* Contents that look like headers do not deceive it. */
	memset(block, 0x41, 9000);
	if (design->header != 0) {
		memcpy(block + 64 - design->header, block - design->header,
		       design->header);
	}
	for (size_t at = 16; at < 9000; at += 16) {
		if (at < 100 || at > 8900 || at % 4096 == 0) {
			expect_refused(block + at, "inside the live block at ");
		}
	}
	expect_sound();
	loam_heap_free(&heap, block);
	finish();
}

HEAP_TEST(misaligned, "S0.32 S1.25 S3.19 a misaligned address is reported")
{
	start();
	unsigned char *block = must_alloc(100);
	for (size_t at = 1; at < 16; at++) {
		expect_refused(block + at, "misaligned");
		EXPECT((uintptr_t)(block - at) % 16 != 0);
	}
	loam_heap_free(&heap, block);
	finish();
}

HEAP_TEST(foreign, "S0.32 S1.25 S3.19 an address outside is reported")
{
	start();
	unsigned char *end = owner.window + PAGES * LOAM_PAGE_SIZE;
	int on_stack;
	void *block = must_alloc(100);
	expect_refused(owner.window - 16, "outside the heap");
	expect_refused(owner.window - LOAM_PAGE_SIZE, "outside the heap");
	expect_refused(end, "outside the heap");
	expect_refused(end + 16, "outside the heap");
	expect_refused(&on_stack, "outside the heap");
	expect_refused((void *)(uintptr_t)16, "outside the heap");
	expect_refused((void *)(uintptr_t)-16, "outside the heap");
	loam_heap_free(&heap, block);
	finish();
}

HEAP_TEST(wild, "S0.32 an address in the range but in no block is reported")
{
	start();
	void *block = must_alloc(100);
	unsigned long reports = loam_misuse_count();
	/* Its tables, the end of what is mapped, and what is not mapped. */
	for (size_t at = 0; at < PAGES; at++) {
		unsigned char *page = owner.window + at * LOAM_PAGE_SIZE;
		if (page != block) {
			loam_heap_free(&heap, page);
			reports++;
		}
		EXPECT_EQ(loam_misuse_count(), reports);
	}
	expect_refused(owner.window + (PAGES - 1) * LOAM_PAGE_SIZE, "heap ");
	expect_sound();
	loam_heap_free(&heap, block);
	finish();
}

/* ------------------------------------------------------------- corruption */

HEAP_TEST(corrupt_own,
	  "S0.33 S2.22 S4.23 a corrupt header is reported, by byte")
{
	if (design->header == 0) {
		test_skip("has no headers");
	}
	start();
	void *before = must_alloc(64);
	unsigned char *block = must_alloc(64);
	void *behind = must_alloc(64);
	for (size_t i = 1; i <= design->header; i++) {
		unsigned char was = block[-(ptrdiff_t)i];
		block[-(ptrdiff_t)i] = (unsigned char)(was ^ 0x50);
		unsigned long reports = loam_misuse_count();
		hosted_log_clear();
		loam_heap_free(&heap, block);
		EXPECT_EQ(loam_misuse_count(), reports + 1);
		EXPECT_LOG("corrupt");
		EXPECT(loam_heap_check(&heap) == -LOAM_EFAULT);
		block[-(ptrdiff_t)i] = was;
		expect_sound();
	}
	loam_heap_free(&heap, before);
	loam_heap_free(&heap, block);
	loam_heap_free(&heap, behind);
	finish();
}

HEAP_TEST(overrun, "S2.22 writing behind a block is found when it is freed")
{
	if (design->header == 0) {
		test_skip("has no headers");
	}
	start();
	unsigned char *block = must_alloc(64);
	size_t usable = loam_heap_usable(&heap, block);
	void *behind = must_alloc(64);
	unsigned char kept[16];
	memcpy(kept, block + usable, design->header);
	memset(block + usable, 0xcc, design->header);
	unsigned long reports = loam_misuse_count();
	loam_heap_free(&heap, block);
	EXPECT_EQ(loam_misuse_count(), reports + 1);
	EXPECT_LOG("the header behind it, at 0x");
	hosted_log_clear();
	loam_heap_free(&heap, behind);
	EXPECT_EQ(loam_misuse_count(), reports + 2);
	EXPECT_LOG("its header is corrupt");
	EXPECT(loam_heap_check(&heap) == -LOAM_EFAULT);
	EXPECT_EQ(heap.live_blocks, 2);
	memcpy(block + usable, kept, design->header);
	expect_sound();
	loam_heap_free(&heap, block);
	loam_heap_free(&heap, behind);
	finish();
}

/* ------------------------------------------------------------- statistics */

HEAP_TEST(statistics, "S2.23 walk and statistics tell what is live and free")
{
	start();
	void *blocks[8];
	size_t bytes = 0;
	for (unsigned i = 0; i < 8; i++) {
		blocks[i] = must_alloc(100 + i * 1000);
		bytes += loam_heap_usable(&heap, blocks[i]);
	}
	struct loam_heap_stats stats;
	loam_heap_stats(&heap, &stats);
	EXPECT_EQ(stats.live_blocks, 8);
	EXPECT_EQ(stats.live_bytes, bytes);
	EXPECT_EQ(stats.peak_live_bytes, bytes);
	EXPECT_EQ(stats.allocs, 8);
	EXPECT_EQ(stats.frees, 0);
	size_t hole = loam_heap_usable(&heap, blocks[3]);
	loam_heap_free(&heap, blocks[3]);
	loam_heap_stats(&heap, &stats);
	EXPECT_EQ(stats.live_bytes, bytes - hole);
	EXPECT_EQ(stats.peak_live_bytes, bytes);
	EXPECT_EQ(stats.frees, 1);
	EXPECT(stats.free_blocks == 1 || stats.free_blocks == 2);
	EXPECT(stats.free_bytes >= hole);
	EXPECT(stats.largest_free_bytes >= hole);
	EXPECT_EQ(stats.mapped_bytes, owner.mapped_now * LOAM_PAGE_SIZE);
	for (unsigned i = 0; i < 8; i++) {
		if (i != 3) {
			loam_heap_free(&heap, blocks[i]);
		}
	}
	finish();
}
