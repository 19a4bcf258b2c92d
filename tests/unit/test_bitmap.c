/* SPDX-License-Identifier: MIT */
/* Bitmaps against arrays of bool, at every edge of a word. */
#include <loam/bitmap.h>

#include "test.h"

#define BITS 200u
#define WORDS LOAM_BITMAP_WORDS(BITS)

static uint32_t map[WORDS];
static bool model[BITS];

static void expect_equal(void)
{
	for (size_t bit = 0; bit < BITS; bit++) {
		EXPECT_EQ(loam_bitmap_test(map, bit), model[bit]);
	}
}

static void fill_random(uint64_t *seed)
{
	for (size_t bit = 0; bit < BITS; bit++) {
		model[bit] = (hosted_random(seed) >> 33) % 3 == 0;
		if (model[bit]) {
			loam_bitmap_set(map, bit);
		} else {
			loam_bitmap_clear(map, bit);
		}
	}
}

TEST(words, "bitmap: the words that a number of bits needs")
{
	EXPECT_EQ(LOAM_BITMAP_WORDS(0u), 0);
	EXPECT_EQ(LOAM_BITMAP_WORDS(1u), 1);
	EXPECT_EQ(LOAM_BITMAP_WORDS(32u), 1);
	EXPECT_EQ(LOAM_BITMAP_WORDS(33u), 2);
}

TEST(single, "bitmap: a bit is set and cleared alone, in its place")
{
	memset(map, 0, sizeof(map));
	for (size_t bit = 0; bit < BITS; bit++) {
		loam_bitmap_set(map, bit);
		EXPECT_EQ(map[bit / 32], (uint32_t)1 << bit % 32);
		EXPECT_EQ(loam_bitmap_count(map, BITS), 1);
		EXPECT_EQ(loam_bitmap_find(map, BITS, 0), bit);
		EXPECT_EQ(loam_bitmap_find(map, BITS, bit), bit);
		EXPECT_EQ(loam_bitmap_find(map, BITS, bit + 1), BITS);
		loam_bitmap_clear(map, bit);
		EXPECT_EQ(map[bit / 32], 0);
	}
}

TEST(ranges, "bitmap: every range, set and cleared, and nothing beside it")
{
	uint64_t seed = 0xb17;
	for (size_t first = 0; first < BITS; first += 3) {
		for (size_t count = 0; first + count <= BITS; count++) {
			bool value = (first + count) % 2;
			if (count % 16 == 0) {
				fill_random(&seed);
			}
			if (value) {
				loam_bitmap_set_range(map, first, count);
			} else {
				loam_bitmap_clear_range(map, first, count);
			}
			for (size_t i = 0; i < count; i++) {
				model[first + i] = value;
			}
			expect_equal();
		}
	}
}

TEST(find, "bitmap: find and count see the set and nothing behind it")
{
	uint64_t seed = 0xf1d;
	for (unsigned round = 0; round < 20; round++) {
		fill_random(&seed);
		for (size_t bits = 0; bits <= BITS; bits++) {
			size_t from = (size_t)(hosted_random(&seed) % 210);
			size_t found = from;
			size_t count = 0;
			while (found < bits && !model[found]) {
				found++;
			}
			found = found < bits ? found : bits;
			for (size_t bit = 0; bit < bits; bit++) {
				count += model[bit];
			}
			EXPECT_EQ(loam_bitmap_find(map, bits, from), found);
			EXPECT_EQ(loam_bitmap_count(map, bits), count);
		}
	}
}

TEST(exact, "bitmap: no word outside the set is read or written")
{
	/* On the heap, where the sanitizer guards both ends. */
	for (size_t bits = 1; bits <= 96; bits++) {
		size_t words = LOAM_BITMAP_WORDS(bits);
		uint32_t *exact = calloc(words, sizeof(*exact));
		EXPECT(exact != NULL);
		EXPECT_EQ(loam_bitmap_find(exact, bits, 0), bits);
		loam_bitmap_set_range(exact, 0, bits);
		EXPECT_EQ(loam_bitmap_count(exact, bits), bits);
		EXPECT_EQ(loam_bitmap_find(exact, bits, bits - 1), bits - 1);
		EXPECT_EQ(loam_bitmap_find(exact, bits, bits), bits);
		loam_bitmap_clear_range(exact, 0, bits);
		EXPECT_EQ(loam_bitmap_count(exact, bits), 0);
		free(exact);
	}
}

TEST(padding, "bitmap: bits behind the set in its last word stay")
{
	uint32_t word = 0x80000000u;
	EXPECT_EQ(loam_bitmap_find(&word, 31, 0), 31);
	EXPECT_EQ(loam_bitmap_count(&word, 31), 0);
	loam_bitmap_set_range(&word, 0, 31);
	EXPECT_EQ(word, 0xffffffffu);
	loam_bitmap_clear_range(&word, 0, 31);
	EXPECT_EQ(word, 0x80000000u);
}
