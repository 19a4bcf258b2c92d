/* SPDX-License-Identifier: MIT */
/* What the files of the heaps' suite share: the owner, the heap, EXPECT. */
#ifndef LOAM_HEAP_SUITE_INT_H
#define LOAM_HEAP_SUITE_INT_H

#include <loam/bits.h>
#include <loam/mem.h>

#include "heap_suite.h"

/* Every test of the suite, in its order. */
#define SUITE_TESTS(X)                                                         \
	X(bad_ranges)                                                          \
	X(prepare)                                                             \
	X(create_fails)                                                        \
	X(no_owner)                                                            \
	X(alignment)                                                           \
	X(zero)                                                                \
	X(huge)                                                                \
	X(limit)                                                               \
	X(zalloc)                                                              \
	X(reuse)                                                               \
	X(exhaustion)                                                          \
	X(checkerboard)                                                        \
	X(nth_page)                                                            \
	X(resize_small)                                                        \
	X(resize_large)                                                        \
	X(resize_in_place)                                                     \
	X(resize_neighbours)                                                   \
	X(all_orders)                                                          \
	X(model_roomy)                                                         \
	X(model_tight)                                                         \
	X(model_long)                                                          \
	X(side_by_side)                                                        \
	X(double_free)                                                         \
	X(last_freed)                                                          \
	X(interior)                                                            \
	X(misaligned)                                                          \
	X(foreign)                                                             \
	X(wild)                                                                \
	X(corrupt_own)                                                         \
	X(overrun)                                                             \
	X(statistics)

#define SUITE_DECLARE(name) extern const struct heap_suite_test suite_##name;
SUITE_TESTS(SUITE_DECLARE)

/* SUITE_TEST(name, "S0.22 what it shows") { ... } defines one of them. */
#define SUITE_TEST(name, test_title)                                           \
	static void run_##name(void);                                          \
	const struct heap_suite_test suite_##name = { test_title,              \
						      run_##name };            \
	static void run_##name(void)

#define EXPECT(condition)                                                      \
	do {                                                                   \
		if (!(condition)) {                                            \
			suite.host.fail(__FILE__, __LINE__, #condition);       \
		}                                                              \
	} while (0)

/* Both sides are printed. */
#define EXPECT_EQ(a, b)                                                        \
	suite_expect_eq(__FILE__, __LINE__, #a, #b, (uint64_t)(a),             \
			(uint64_t)(b))

#define EXPECT_LOG(text) EXPECT(suite_logged(text))

/*
 * The owner of the heap's window. It hands on to the host's, and knows what is
 * mapped; or it only keeps the books of a window that is mapped as a whole.
 */
struct suite_owner {
	unsigned char *window;
	size_t pages;
	uint32_t mapped[LOAM_BITMAP_WORDS(HEAP_SUITE_PAGES_MAX)];
	size_t mapped_now;
	size_t map_calls;
	size_t pages_left; /* that map_pages will still find */
	bool books_only;
	int prepare_error;
	struct loam_heap_owner calls;
};

struct suite {
	struct heap_suite_host host;
	const struct heap_suite_design *design; /* under test */
	struct suite_owner owner;
	struct suite_owner other; /* of a second heap, where there is one */
	struct loam_heap heap;
	unsigned long expected; /* reports of misuse so far */
	uint64_t random;
};
extern struct suite suite;

void suite_expect_eq(const char *file, int line, const char *a, const char *b,
		     uint64_t value_a, uint64_t value_b);

/* The log contains text; true as well where there is no log to look at. */
bool suite_logged(const char *text);
void suite_log_clear(void);

/* This many reports of misuse are about to come. */
void suite_expect_misuse(unsigned long count);

/* Makes the owner that of pages [first, first + count) of the window. */
void suite_own(struct suite_owner *owner, size_t first, size_t count);

/* What a heap of the design under test is made with. */
struct loam_heap_config suite_config(const struct suite_owner *owner);

/* suite.heap, over the first `pages` pages of the window, or over all. */
void suite_start_pages(size_t pages);
void suite_start(void);

/* As above; map_pages then only counts, all the memory is there. */
void suite_start_mapped(size_t pages);

/* The end of a test: nothing is live, and everything can be given back. */
void suite_finish(void);

void suite_expect_sound(void);

/* A size that the design can serve: at most as much as is asked. */
size_t suite_size(size_t size_bytes);

/* Aligned as a block of this size is, which the design may have a say in. */
bool suite_is_aligned(const void *address, size_t size_bytes);

/* A block that can be had, as it must be. */
void *suite_alloc(size_t size_bytes);

/* Blocks with a pattern of their own, so that overlap and loss show. */
void suite_fill(void *address, size_t size, unsigned seed);
bool suite_holds(const void *address, size_t size, unsigned seed);

uint32_t suite_random(void);

/* What a heap and its owner had; see suite_expect_unchanged(). */
struct suite_picture {
	struct loam_heap heap;
	size_t mapped_now;
	uint64_t sum; /* over the description of every block */
};
void suite_take_picture(struct suite_picture *picture);

/* Nothing has changed since but, perhaps, the number of failures. */
void suite_expect_unchanged(const struct suite_picture *before);

#endif
