/* SPDX-License-Identifier: MIT */
/* Arenas against a naive oracle: fit, merging, descriptors, exhaustion. */
#include <pthread.h>

#include <loam/bits.h>
#include <loam/kspace.h>

#include "test.h"

#define QUANTUM 4096u
#define BASE ((uintptr_t)0xE0000000u)

/* -------- a source of descriptor pages that can fail -------- */

struct page_source {
	unsigned given;
	unsigned live;
	unsigned limit; /* pages it still gives */
	struct loam_arena *arena;
};

static void *source_alloc(void *ctx)
{
	struct page_source *source = ctx;
	/* The contract: the arena's lock is not held. */
	/* Without assertions every lock counts as held. */
	EXPECT(LOAM_DEBUG == 0 || source->arena == NULL ||
	       !loam_lock_held(&source->arena->lock));
	if (source->limit == 0) {
		return NULL;
	}
	source->limit--;
	source->given++;
	source->live++;
	void *page = aligned_alloc(QUANTUM, QUANTUM);
	EXPECT(page != NULL);
	memset(page, 0xa5, QUANTUM);
	return page;
}

static void source_free(void *ctx, void *page)
{
	struct page_source *source = ctx;
	source->live--;
	free(page);
}

static const struct loam_arena_ops source_ops = { source_alloc, source_free };

static void start(struct loam_arena *arena, struct page_source *source,
		  uintptr_t base, size_t quanta)
{
	*source = (struct page_source){ .limit = 1000 };
	EXPECT_EQ(loam_arena_init(arena, "test", base, quanta * QUANTUM,
				  QUANTUM, &source_ops, source, NULL),
		  0);
	source->arena = arena;
	EXPECT_EQ(loam_arena_check(arena), 0);
}

static void finish(struct loam_arena *arena, struct page_source *source)
{
	EXPECT_EQ(loam_arena_check(arena), 0);
	loam_arena_fini(arena);
	EXPECT_EQ(source->live, 0);
}

static uintptr_t take(struct loam_arena *arena, size_t quanta, size_t align)
{
	uintptr_t at = 0;
	EXPECT_EQ(loam_arena_alloc(arena, quanta * QUANTUM, align, 7, &at), 0);
	return at;
}

static void give(struct loam_arena *arena, uintptr_t at)
{
	EXPECT_EQ(loam_arena_free(arena, at, NULL), 0);
}

static struct loam_arena_stats stats_of(struct loam_arena *arena)
{
	struct loam_arena_stats stats;
	loam_arena_stats(arena, &stats);
	return stats;
}

/* A number below n out of some random bits. */
static size_t below(uint64_t bits, size_t n)
{
	return (size_t)(bits % n);
}

/* -------- the model: one id a quantum -------- */

#define MODEL_QUANTA 192u

struct model {
	uintptr_t base;
	size_t quanta;
	uint16_t id[MODEL_QUANTA]; /* 0: free, else of the range */
	uint16_t next_id;
	uintptr_t tag[65536];
};

/* Length of the run of equal ids from `first`. */
static size_t model_run(const struct model *model, size_t first)
{
	size_t end = first;
	while (end < model->quanta && model->id[end] == model->id[first]) {
		end++;
	}
	return end - first;
}

/* Best fit, lowest address among equals; model->quanta if there is none. */
static size_t model_best(const struct model *model, size_t count, size_t align)
{
	size_t best = model->quanta;
	size_t best_run = SIZE_MAX;
	for (size_t i = 0; i < model->quanta; i += model_run(model, i)) {
		size_t run = model_run(model, i);
		if (model->id[i] != 0 || run >= best_run) {
			continue;
		}
		for (size_t at = i; at + count <= i + run; at++) {
			if ((model->base + at * QUANTUM) % align == 0) {
				best = at;
				best_run = run;
				break;
			}
		}
	}
	return best;
}

static void model_take(struct model *model, size_t at, size_t count,
		       uintptr_t tag)
{
	uint16_t id = ++model->next_id;
	EXPECT(id != 0);
	model->tag[id] = tag;
	for (size_t i = 0; i < count; i++) {
		EXPECT_EQ(model->id[at + i], 0);
		model->id[at + i] = id;
	}
}

static size_t model_start(const struct model *model, size_t at)
{
	while (at > 0 && model->id[at - 1] == model->id[at]) {
		at--;
	}
	return at;
}

static void step_alloc(struct loam_arena *arena, struct model *model,
		       uint64_t *random)
{
	uint64_t r = hosted_random(random);
	size_t count = 1 + below(r, 8) +
		       (below(r >> 8, 5) == 0 ? below(r >> 16, 60) : 0);
	size_t align = (size_t)QUANTUM
		       << ((r >> 24) % 3 == 0 ? (r >> 32) % 6 : 0);
	size_t size = count * QUANTUM - (r >> 40) % QUANTUM;
	uintptr_t at = 0x1234;
	int error = loam_arena_alloc(arena, size, (r >> 56) & 1 ? align : 0,
				     (uintptr_t)r, &at);
	size_t expected =
		model_best(model, count, (r >> 56) & 1 ? align : QUANTUM);
	if (expected == model->quanta) {
		EXPECT_EQ(error, -LOAM_ENOSPC);
		EXPECT_EQ(at, 0x1234);
		return;
	}
	EXPECT_EQ(error, 0);
	EXPECT_EQ(at, model->base + expected * QUANTUM);
	model_take(model, expected, count, (uintptr_t)r);
}

static void step_alloc_at(struct loam_arena *arena, struct model *model,
			  uint64_t *random)
{
	uint64_t r = hosted_random(random);
	size_t at = below(r, model->quanta);
	size_t count = 1 + below(r >> 16, 6);
	int expected = 0;
	if (at + count > model->quanta) {
		expected = -LOAM_EINVAL;
	} else {
		for (size_t i = 0; i < count; i++) {
			if (model->id[at + i] != 0) {
				expected = -LOAM_EBUSY;
			}
		}
	}
	EXPECT_EQ(loam_arena_alloc_at(arena, model->base + at * QUANTUM,
				      count * QUANTUM, (uintptr_t)r),
		  expected);
	if (expected == 0) {
		model_take(model, at, count, (uintptr_t)r);
	}
}

static void step_free(struct loam_arena *arena, struct model *model,
		      uint64_t *random)
{
	size_t at = below(hosted_random(random), model->quanta);
	uintptr_t address = model->base + at * QUANTUM;
	size_t size = 99;
	bool is_start = model->id[at] != 0 && model_start(model, at) == at;
	int error = loam_arena_free(arena, address, &size);
	if (!is_start) {
		EXPECT_EQ(error, -LOAM_ENOENT);
		EXPECT_EQ(size, 99);
		return;
	}
	EXPECT_EQ(error, 0);
	size_t count = model_run(model, at);
	EXPECT_EQ(size, count * QUANTUM);
	memset(&model->id[at], 0, count * sizeof(model->id[0]));
}

static void step_find(struct loam_arena *arena, struct model *model,
		      uint64_t *random)
{
	uint64_t r = hosted_random(random);
	size_t at = below(r, model->quanta);
	uintptr_t address = model->base + at * QUANTUM + (r >> 32) % QUANTUM;
	uintptr_t first = 0;
	uintptr_t tag = 0;
	size_t size = 0;
	int error = loam_arena_find(arena, address, &first, &size, &tag);
	uint16_t id = model->id[at];
	if (id == 0) {
		EXPECT_EQ(error, -LOAM_ENOENT);
		return;
	}
	size_t begin = model_start(model, at);
	EXPECT_EQ(error, 0);
	EXPECT_EQ(first, model->base + begin * QUANTUM);
	EXPECT_EQ(size, model_run(model, begin) * QUANTUM);
	EXPECT_EQ(tag, model->tag[id]);
	/* The same by its start, and with a new tag. */
	EXPECT_EQ(loam_arena_find_exact(arena, first, &size, &tag), 0);
	EXPECT_EQ(tag, model->tag[id]);
	uintptr_t old = 0;
	EXPECT_EQ(loam_arena_retag(arena, first, UINTPTR_MAX, tag + 1, 5, &size,
				   &old),
		  -LOAM_EBUSY);
	EXPECT_EQ(loam_arena_retag(arena, first, 15, tag & 15, tag ^ 3, &size,
				   &old),
		  0);
	EXPECT_EQ(old, tag);
	EXPECT_EQ(size, model_run(model, begin) * QUANTUM);
	model->tag[id] = tag ^ 3;
	if (begin != at) {
		EXPECT_EQ(loam_arena_find_exact(arena, first + QUANTUM, &size,
						&tag),
			  -LOAM_ENOENT);
	}
}

struct walk_state {
	const struct model *model;
	size_t at;
};

static int walk_compare(void *arg, uintptr_t first, size_t size, bool free,
			uintptr_t tag)
{
	struct walk_state *state = arg;
	const struct model *model = state->model;
	EXPECT_EQ(first, model->base + state->at * QUANTUM);
	EXPECT_EQ(size, model_run(model, state->at) * QUANTUM);
	EXPECT_EQ(free, model->id[state->at] == 0);
	EXPECT_EQ(tag, model->tag[model->id[state->at]]);
	state->at += size / QUANTUM;
	return 0;
}

/* Everything that can be asked has the model's answer. */
static void compare_all(struct loam_arena *arena, const struct model *model)
{
	struct walk_state state = { .model = model };
	EXPECT_EQ(loam_arena_walk(arena, walk_compare, &state), 0);
	EXPECT_EQ(state.at, model->quanta);
	size_t used = 0;
	size_t largest = 0;
	for (size_t i = 0; i < model->quanta; i += model_run(model, i)) {
		size_t run = model_run(model, i);
		used += model->id[i] != 0 ? run : 0;
		if (model->id[i] == 0 && run > largest) {
			largest = run;
		}
	}
	struct loam_arena_stats stats = stats_of(arena);
	EXPECT_EQ(stats.used, used * QUANTUM);
	EXPECT_EQ(stats.largest_free, largest * QUANTUM);
	EXPECT_EQ(stats.size, model->quanta * QUANTUM);
}

static void run_model(uintptr_t base, unsigned steps, uint64_t seed)
{
	static struct loam_arena arena;
	static struct model model;
	static struct page_source source;
	memset(&model, 0, sizeof(model));
	model.base = base;
	model.quanta = MODEL_QUANTA;
	start(&arena, &source, base, MODEL_QUANTA);
	uint64_t random = seed;
	for (unsigned i = 0; i < steps; i++) {
		/* Phases of growing and of shrinking. */
		unsigned want = (i / 500) % 2 == 0 ? 11 : 5;
		unsigned roll = hosted_random(&random) % 16;
		if (roll == 0) {
			step_alloc_at(&arena, &model, &random);
		} else if (roll < 3) {
			step_find(&arena, &model, &random);
		} else if (roll < want) {
			step_alloc(&arena, &model, &random);
		} else {
			step_free(&arena, &model, &random);
		}
		EXPECT_EQ(loam_arena_check(&arena), 0);
		if (i % 16 == 0) {
			compare_all(&arena, &model);
		}
	}
	compare_all(&arena, &model);
	for (size_t i = 0; i < MODEL_QUANTA; i += model_run(&model, i)) {
		if (model.id[i] != 0) {
			give(&arena, base + i * QUANTUM);
		}
	}
	EXPECT_EQ(stats_of(&arena).ranges_free, 1);
	finish(&arena, &source);
}

TEST(model, "arena: random operations against a byte per quantum")
{
	run_model(BASE, 6000, 42);
	run_model(BASE + 5 * QUANTUM, 3000, 43);
}

TEST(model_top, "arena: the model at the very top and bottom of the addresses")
{
	run_model((uintptr_t)0 - MODEL_QUANTA * QUANTUM, 3000, 44);
	run_model(0, 3000, 45);
}

/* -------- fit -------- */

/* A row of used ranges with holes of the given sizes between them. */
static void make_holes(struct loam_arena *arena, const size_t *quanta,
		       size_t count, uintptr_t *holes)
{
	for (size_t i = 0; i < count; i++) {
		holes[i] = take(arena, quanta[i], 0);
		take(arena, 1, 0);
	}
	for (size_t i = 0; i < count; i++) {
		give(arena, holes[i]);
	}
}

TEST(best_fit, "arena: the smallest hole that fits, the lowest among equals")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 1024);
	const size_t quanta[] = { 9, 3, 6, 3, 12 };
	uintptr_t holes[5];
	make_holes(&arena, quanta, 5, holes);
	EXPECT_EQ(take(&arena, 5, 0), holes[2]);
	EXPECT_EQ(take(&arena, 3, 0), holes[1]);
	EXPECT_EQ(take(&arena, 3, 0), holes[3]);
	EXPECT_EQ(take(&arena, 10, 0), holes[4]);
	EXPECT_EQ(take(&arena, 2, 0), holes[4] + 10 * QUANTUM);
	EXPECT_EQ(take(&arena, 1, 0), holes[2] + 5 * QUANTUM);
	source.arena = NULL;
	hosted_log_clear();
	finish(&arena, &source);
	EXPECT_LOG("arena test: given up with 11 ranges in use");
}

TEST(alignment, "arena: aligned ranges leave both rests free")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE + QUANTUM, 1023);
	for (size_t align = 1; align <= 512 * (size_t)QUANTUM; align *= 2) {
		uintptr_t at = take(&arena, 3, align);
		EXPECT(loam_is_aligned(at, align));
		EXPECT_EQ(loam_arena_check(&arena), 0);
		size_t free_ranges = stats_of(&arena).ranges_free;
		EXPECT_EQ(free_ranges, align > QUANTUM ? 2 : 1);
		give(&arena, at);
		EXPECT_EQ(stats_of(&arena).ranges_free, 1);
	}
	/* A hole that is large enough but nowhere aligned is passed over. */
	uintptr_t first = take(&arena, 4, 0);
	take(&arena, 1, 0);
	give(&arena, first);
	uintptr_t at = take(&arena, 4, 8 * QUANTUM);
	EXPECT_EQ(at, BASE + 8 * QUANTUM);
	EXPECT_EQ(take(&arena, 4, 0), first);
	hosted_log_clear();
	finish(&arena, &source);
}

TEST(alloc_at, "arena: exact ranges: every kind of overlap is refused")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 64);
	size_t q = QUANTUM;
	EXPECT_EQ(loam_arena_alloc_at(&arena, BASE + 8 * q, 8 * q, 1), 0);
	const struct {
		size_t at, count;
		int error;
	} cases[] = {
		{ 4, 5, -LOAM_EBUSY },
		{ 12, 8, -LOAM_EBUSY },
		{ 10, 2, -LOAM_EBUSY },
		{ 4, 20, -LOAM_EBUSY },
		{ 8, 8, -LOAM_EBUSY },
		{ 60, 5, -LOAM_EINVAL },
		{ 64, 1, -LOAM_EINVAL },
		{ 0, 65, -LOAM_EINVAL },
		{ 4, 4, 0 },
		{ 16, 1, 0 },
		{ 63, 1, 0 },
		{ 0, 4, 0 },
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		EXPECT_EQ(loam_arena_alloc_at(&arena, BASE + cases[i].at * q,
					      cases[i].count * q, 2),
			  cases[i].error);
		EXPECT_EQ(loam_arena_check(&arena), 0);
	}
	EXPECT_EQ(loam_arena_alloc_at(&arena, BASE + 20 * q + 1, q, 2),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_alloc_at(&arena, BASE + 20 * q, 0, 2),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_alloc_at(&arena, BASE - q, q, 2), -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_alloc_at(&arena, BASE + 20 * q, SIZE_MAX - q, 2),
		  -LOAM_EINVAL);
	EXPECT_EQ(stats_of(&arena).used, 18 * q);
	finish(&arena, &source);
}

/* -------- bad input -------- */

TEST(bad_sizes, "arena: sizes 0 and near SIZE_MAX, bad alignment")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 64);
	uintptr_t at = 5;
	EXPECT_EQ(loam_arena_alloc(&arena, 0, 0, 0, &at), -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_alloc(&arena, SIZE_MAX, 0, 0, &at), -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_alloc(&arena, SIZE_MAX - QUANTUM + 2, 0, 0, &at),
		  -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_alloc(&arena, SIZE_MAX - QUANTUM + 1, 0, 0, &at),
		  -LOAM_ENOSPC);
	EXPECT_EQ(loam_arena_alloc(&arena, SIZE_MAX / 2 + 1, 0, 0, &at),
		  -LOAM_ENOSPC);
	EXPECT_EQ(loam_arena_alloc(&arena, 65 * QUANTUM, 0, 0, &at),
		  -LOAM_ENOSPC);
	EXPECT_EQ(loam_arena_alloc(&arena, 1, 3, 0, &at), -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_alloc(&arena, 1, 3 * QUANTUM, 0, &at),
		  -LOAM_EINVAL);
	/* The largest alignment there is: only 0 and half way are multiples. */
	EXPECT_EQ(loam_arena_alloc(&arena, 1, SIZE_MAX / 2 + 1, 0, &at),
		  -LOAM_ENOSPC);
	EXPECT_EQ(at, 5);
	EXPECT_EQ(stats_of(&arena).used, 0);
	EXPECT_EQ(stats_of(&arena).failed, 4);
	EXPECT_EQ(loam_arena_alloc(&arena, 64 * QUANTUM, 0, 0, &at), 0);
	EXPECT_EQ(at, BASE);
	EXPECT_EQ(loam_arena_alloc(&arena, 1, 0, 0, &at), -LOAM_ENOSPC);
	give(&arena, BASE);
	finish(&arena, &source);
}

TEST(bad_init, "arena: what init refuses")
{
	static struct loam_arena arena;
	struct page_source source = { .limit = 0 };
	_Alignas(16) static char page[QUANTUM];
	const struct {
		uintptr_t base;
		size_t size, quantum;
		const struct loam_arena_ops *ops;
		void *page;
		int error;
	} cases[] = {
		{ BASE, QUANTUM, 0, NULL, page, -LOAM_EINVAL },
		{ BASE, QUANTUM, 3, NULL, page, -LOAM_EINVAL },
		{ BASE, 0, QUANTUM, NULL, page, -LOAM_EINVAL },
		{ BASE, QUANTUM + 1, QUANTUM, NULL, page, -LOAM_EINVAL },
		{ BASE + 1, QUANTUM, QUANTUM, NULL, page, -LOAM_EINVAL },
		{ (uintptr_t)0 - QUANTUM, 2 * QUANTUM, QUANTUM, NULL, page,
		  -LOAM_EINVAL },
		{ BASE, QUANTUM, QUANTUM, NULL, NULL, -LOAM_EINVAL },
		{ BASE, QUANTUM, QUANTUM, NULL, page + 1, -LOAM_EINVAL },
		{ BASE, QUANTUM, QUANTUM, &source_ops, NULL, -LOAM_ENOMEM },
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(cases); i++) {
		memset(&arena, 0x77, sizeof(arena));
		EXPECT_EQ(loam_arena_init(&arena, "bad", cases[i].base,
					  cases[i].size, cases[i].quantum,
					  cases[i].ops, &source, cases[i].page),
			  cases[i].error);
		EXPECT_EQ(*(unsigned char *)&arena, 0x77);
	}
	/* One quantum up to the last address, and a quantum of one. */
	EXPECT_EQ(loam_arena_init(&arena, "top", (uintptr_t)0 - QUANTUM,
				  QUANTUM, QUANTUM, NULL, NULL, page),
		  0);
	EXPECT_EQ(take(&arena, 1, 0), (uintptr_t)0 - QUANTUM);
	EXPECT_EQ(loam_arena_init(&arena, "one", 1, 10, 1, NULL, NULL, page),
		  0);
	uintptr_t at = 0;
	EXPECT_EQ(loam_arena_alloc(&arena, 3, 4, 0, &at), 0);
	EXPECT_EQ(at, 4);
	EXPECT_EQ(loam_arena_check(&arena), 0);
}

TEST(bad_free, "arena: interior, foreign, double frees change nothing")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 64);
	uintptr_t at = take(&arena, 4, 0);
	size_t size = 0;
	const uintptr_t bad[] = { at + QUANTUM,   at + 1, at + 4 * QUANTUM,
				  BASE - QUANTUM, 0,      UINTPTR_MAX };
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(loam_arena_free(&arena, bad[i], &size), -LOAM_ENOENT);
		uintptr_t old;
		EXPECT_EQ(
			loam_arena_retag(&arena, bad[i], 0, 0, 8, &size, &old),
			-LOAM_ENOENT);
		EXPECT_EQ(stats_of(&arena).used, 4 * QUANTUM);
	}
	EXPECT_EQ(loam_arena_free(&arena, at, &size), 0);
	EXPECT_EQ(size, 4 * QUANTUM);
	EXPECT_EQ(loam_arena_free(&arena, at, &size), -LOAM_ENOENT);
	finish(&arena, &source);
}

/* -------- merging -------- */

TEST(merge_orders, "S4.29 three neighbours, freed in each of six orders")
{
	static const int orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
	};
	for (size_t i = 0; i < 6; i++) {
		struct loam_arena arena;
		struct page_source source;
		start(&arena, &source, BASE, 64);
		uintptr_t at[3];
		for (size_t j = 0; j < 3; j++) {
			at[j] = take(&arena, 5, 0);
		}
		for (size_t j = 0; j < 3; j++) {
			give(&arena, at[orders[i][j]]);
			EXPECT_EQ(loam_arena_check(&arena), 0);
		}
		EXPECT_EQ(stats_of(&arena).ranges_free, 1);
		EXPECT_EQ(stats_of(&arena).largest_free, 64 * QUANTUM);
		finish(&arena, &source);
	}
}

TEST(no_leak, "S4.29 ranges coalesce: 1e5 operations, back to one range")
{
	static uintptr_t live[700];
	static struct loam_arena arena;
	static struct page_source source;
	start(&arena, &source, BASE, 8192);
	uint64_t random = 99;
	size_t count = 0;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t r = hosted_random(&random);
		bool grow = count == 0 || (count < 700 && (r & 1) != 0);
		if (grow) {
			live[count++] = take(&arena, 1 + below(r >> 8, 9), 0);
		} else {
			size_t victim = (size_t)(r >> 8) % count;
			give(&arena, live[victim]);
			live[victim] = live[--count];
		}
		if (i % 1000 == 0) {
			EXPECT_EQ(loam_arena_check(&arena), 0);
			EXPECT_EQ(stats_of(&arena).ranges_used, count);
		}
	}
	while (count > 0) {
		give(&arena, live[--count]);
	}
	/* With hundreds of ranges the small table of buckets has given way. */
	EXPECT(arena.buckets != arena.first_buckets);
	struct loam_arena_stats stats = stats_of(&arena);
	EXPECT_EQ(stats.ranges_free, 1);
	EXPECT_EQ(stats.largest_free, 8192 * QUANTUM);
	EXPECT_EQ(stats.used, 0);
	EXPECT(stats.peak > 0);
	finish(&arena, &source);
}

/* -------- descriptors -------- */

/* Every second quantum used: each range costs a descriptor. */
static size_t fill_checkerboard(struct loam_arena *arena, size_t quanta)
{
	size_t count = 0;
	while (count < quanta / 2 &&
	       loam_arena_alloc_at(arena, BASE + 2 * count * QUANTUM, QUANTUM,
				   1) == 0) {
		count++;
	}
	return count;
}

TEST(first_page, "arena: without ops the first page is all there is")
{
	static struct loam_arena arena;
	_Alignas(QUANTUM) static char page[QUANTUM];
	EXPECT_EQ(loam_arena_init(&arena, "fixed", BASE, 2048 * QUANTUM,
				  QUANTUM, NULL, NULL, page),
		  0);
	size_t count = fill_checkerboard(&arena, 2048);
	EXPECT(count >= 20 && count < 100);
	EXPECT_EQ(loam_arena_check(&arena), 0);
	EXPECT_EQ(stats_of(&arena).failed, 1);
	/* What takes no descriptor still works, and frees give them back. */
	EXPECT_EQ(take(&arena, 1, 0), BASE + QUANTUM);
	for (size_t i = 0; i < count; i++) {
		give(&arena, BASE + 2 * i * QUANTUM);
		EXPECT_EQ(loam_arena_check(&arena), 0);
	}
	give(&arena, BASE + QUANTUM);
	EXPECT_EQ(stats_of(&arena).ranges_free, 1);
	EXPECT_EQ(fill_checkerboard(&arena, 2048), count);
}

TEST(nth_page, "arena: the nth descriptor page fails: as before, then goes on")
{
	for (unsigned n = 1; n < 12; n++) {
		struct loam_arena arena;
		struct page_source source;
		start(&arena, &source, BASE, 2048);
		source.limit = n - 1;
		size_t count = fill_checkerboard(&arena, 2048);
		EXPECT(count < 1024);
		struct loam_arena_stats before = stats_of(&arena);
		EXPECT_EQ(before.pages, n);
		EXPECT_EQ(before.ranges_used, count);
		EXPECT_EQ(loam_arena_check(&arena), 0);
		EXPECT_EQ(loam_arena_alloc_at(&arena,
					      BASE + 1500 * QUANTUM + QUANTUM,
					      QUANTUM, 1),
			  -LOAM_ENOMEM);
		uintptr_t at = 3;
		EXPECT_EQ(loam_arena_alloc(&arena, QUANTUM, 1024 * QUANTUM, 1,
					   &at),
			  -LOAM_ENOMEM);
		EXPECT_EQ(at, 3);
		EXPECT_EQ(stats_of(&arena).ranges_used, count);
		EXPECT_EQ(stats_of(&arena).failed, before.failed + 2);
		EXPECT_EQ(loam_arena_check(&arena), 0);
		/* A page that the user found elsewhere helps too. */
		loam_arena_donate(&arena, aligned_alloc(QUANTUM, QUANTUM));
		source.live++;
		give(&arena, take(&arena, 1, 1024 * QUANTUM));
		source.limit = 1000;
		for (size_t i = count; i < 1024; i++) {
			EXPECT_EQ(loam_arena_alloc_at(&arena,
						      BASE + 2 * i * QUANTUM,
						      QUANTUM, 1),
				  0);
		}
		EXPECT_EQ(loam_arena_check(&arena), 0);
		for (size_t i = 0; i < 1024; i++) {
			give(&arena, BASE + 2 * i * QUANTUM);
		}
		EXPECT_EQ(stats_of(&arena).ranges_free, 1);
		finish(&arena, &source);
	}
}

TEST(fail_nth, "arena: fault injection fails the nth request, once")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 64);
	loam_arena_fail_nth(&arena, 3);
	uintptr_t at = 0;
	take(&arena, 1, 0);
	take(&arena, 1, 0);
	EXPECT_EQ(loam_arena_alloc(&arena, 1, 0, 0, &at), -LOAM_ENOSPC);
	take(&arena, 1, 0);
	EXPECT_EQ(loam_arena_fail_nth(&arena, 0), 4);
	EXPECT_EQ(loam_arena_fail_nth(&arena, 0), 0);
	EXPECT_EQ(stats_of(&arena).ranges_used, 3);
	hosted_log_clear();
	finish(&arena, &source);
}

TEST(stats, "X.9 arena: used, peak, largest free, ranges, failed")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 64);
	uintptr_t a = take(&arena, 10, 0);
	uintptr_t b = take(&arena, 20, 0);
	give(&arena, a);
	uintptr_t at;
	EXPECT_EQ(loam_arena_alloc(&arena, 35 * QUANTUM, 0, 0, &at),
		  -LOAM_ENOSPC);
	struct loam_arena_stats stats = stats_of(&arena);
	EXPECT_EQ(stats.size, 64 * QUANTUM);
	EXPECT_EQ(stats.used, 20 * QUANTUM);
	EXPECT_EQ(stats.peak, 30 * QUANTUM);
	EXPECT_EQ(stats.largest_free, 34 * QUANTUM);
	EXPECT_EQ(stats.ranges_used, 1);
	EXPECT_EQ(stats.ranges_free, 2);
	EXPECT_EQ(stats.failed, 1);
	EXPECT_EQ(stats.pages, 1);
	give(&arena, b);
	finish(&arena, &source);
}

static int stop_at_third(void *arg, uintptr_t first, size_t size, bool free,
			 uintptr_t tag)
{
	unsigned *count = arg;
	(void)first;
	(void)size;
	(void)free;
	(void)tag;
	return ++*count == 3 ? 17 : 0;
}

TEST(walk_stops, "arena: a walk stops at the first non-zero answer")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 64);
	for (unsigned i = 0; i < 5; i++) {
		take(&arena, 1, 0);
	}
	unsigned count = 0;
	EXPECT_EQ(loam_arena_walk(&arena, stop_at_third, &count), 17);
	EXPECT_EQ(count, 3);
	hosted_log_clear();
	finish(&arena, &source);
}

/* -------- check finds what is broken -------- */

TEST(check_finds, "arena: check() finds counters and ranges that are off")
{
	struct loam_arena arena;
	struct page_source source;
	start(&arena, &source, BASE, 64);
	uintptr_t at = take(&arena, 4, 0);
	size_t *const fields[] = {
		&arena.used, &arena.ranges_used, &arena.spare_count,
		&arena.size, &arena.page_count,  &arena.free_ranges.count
	};
	for (size_t i = 0; i < LOAM_ARRAY_SIZE(fields); i++) {
		*fields[i] += 1;
		EXPECT_EQ(loam_arena_check(&arena), -LOAM_EFAULT);
		*fields[i] -= 1;
		EXPECT_EQ(loam_arena_check(&arena), 0);
	}
	arena.base += QUANTUM;
	hosted_log_clear();
	EXPECT_EQ(loam_arena_check(&arena), -LOAM_EFAULT);
	EXPECT_LOG("range->start == expected");
	arena.base -= QUANTUM;
	give(&arena, at);
	finish(&arena, &source);
}

/* -------- threads as CPUs -------- */

#define STORM_THREADS 4u
static struct loam_arena storm_arena;
static unsigned storm_errors;

/* Pages for descriptors, and nothing that is not safe between threads. */
static void *storm_page(void *ctx)
{
	(void)ctx;
	return aligned_alloc(QUANTUM, QUANTUM);
}

static void storm_page_free(void *ctx, void *page)
{
	(void)ctx;
	free(page);
}

static void *storm(void *arg)
{
	hosted_cpu = (unsigned)(uintptr_t)arg;
	uint64_t random = hosted_cpu + 1;
	uintptr_t live[100];
	size_t count = 0;
	for (unsigned i = 0; i < 20000; i++) {
		uint64_t r = hosted_random(&random);
		size_t quanta = 1 + below(r >> 8, 5);
		if (count < 100 && (r & 3) != 0) {
			if (loam_arena_alloc(&storm_arena, quanta * QUANTUM, 0,
					     hosted_cpu, &live[count]) == 0) {
				count++;
			}
		} else if (count > 0) {
			uintptr_t tag = 99;
			size_t size;
			count--;
			bool ok =
				loam_arena_find_exact(&storm_arena, live[count],
						      &size, &tag) == 0 &&
				tag == hosted_cpu &&
				loam_arena_free(&storm_arena, live[count],
						&size) == 0;
			__atomic_fetch_add(&storm_errors, !ok,
					   __ATOMIC_RELAXED);
		}
	}
	while (count > 0) {
		loam_arena_free(&storm_arena, live[--count], NULL);
	}
	return NULL;
}

TEST(resize, "arena: a range grows into what is free behind it, and shrinks")
{
	struct loam_arena arena;
	struct page_source source = { 0 };
	start(&arena, &source, BASE, 64);
	uintptr_t a = take(&arena, 4, 0);
	uintptr_t b = take(&arena, 4, 0);
	uintptr_t c = take(&arena, 8, 0);
	size_t size;
	EXPECT_EQ(loam_arena_resize(&arena, a, 8 * QUANTUM), -LOAM_ENOSPC);
	EXPECT_EQ(loam_arena_resize(&arena, a + QUANTUM, QUANTUM),
		  -LOAM_ENOENT);
	EXPECT_EQ(loam_arena_resize(&arena, a, 0), -LOAM_EINVAL);
	EXPECT_EQ(loam_arena_resize(&arena, a, SIZE_MAX), -LOAM_EINVAL);
	give(&arena, b);
	EXPECT_EQ(loam_arena_resize(&arena, a, 9 * QUANTUM), -LOAM_ENOSPC);
	EXPECT_EQ(loam_arena_resize(&arena, a, 6 * QUANTUM), 0);
	EXPECT_EQ(loam_arena_check(&arena), 0);
	EXPECT_EQ(loam_arena_resize(&arena, a, 8 * QUANTUM), 0);
	EXPECT_EQ(loam_arena_check(&arena), 0);
	EXPECT_EQ(stats_of(&arena).used, 16 * QUANTUM);
	/* Shrinking before a used range makes a free one of the end. */
	EXPECT_EQ(loam_arena_resize(&arena, a, 5 * QUANTUM), 0);
	EXPECT_EQ(take(&arena, 3, 0), a + 5 * QUANTUM);
	/* Before a free one it joins it. */
	EXPECT_EQ(loam_arena_resize(&arena, c, QUANTUM + 1), 0);
	EXPECT_EQ(loam_arena_check(&arena), 0);
	EXPECT_EQ(stats_of(&arena).used, 10 * QUANTUM);
	EXPECT_EQ(loam_arena_free(&arena, a, &size), 0);
	EXPECT_EQ(size, 5 * QUANTUM);
	give(&arena, a + 5 * QUANTUM);
	give(&arena, c);
	finish(&arena, &source);
}

TEST(storm, "X.8 arena: four CPUs at once, nobody gets another's range")
{
	static const struct loam_arena_ops ops = { storm_page,
						   storm_page_free };
	EXPECT_EQ(loam_arena_init(&storm_arena, "storm", BASE, 4096 * QUANTUM,
				  QUANTUM, &ops, NULL, NULL),
		  0);
	pthread_t threads[STORM_THREADS];
	for (uintptr_t i = 0; i < STORM_THREADS; i++) {
		EXPECT_EQ(pthread_create(&threads[i], NULL, storm, (void *)i),
			  0);
	}
	for (unsigned i = 0; i < STORM_THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	EXPECT_EQ(storm_errors, 0);
	EXPECT_EQ(loam_arena_check(&storm_arena), 0);
	EXPECT_EQ(stats_of(&storm_arena).ranges_free, 1);
	EXPECT_EQ(stats_of(&storm_arena).used, 0);
	loam_arena_fini(&storm_arena);
}
