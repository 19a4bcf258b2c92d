/* SPDX-License-Identifier: MIT */
/* Sets of small integers, one bit each, in words of 32 bits. */
#ifndef LOAM_BITMAP_H
#define LOAM_BITMAP_H

#include <loam/types.h>

#define LOAM_BITMAP_WORDS(bits) (((bits) + 31u) / 32u)

/* No locking: the owner's lock protects the words. */
static inline bool loam_bitmap_test(const uint32_t *map, size_t bit)
{
	return (map[bit >> 5] >> (bit & 31u)) & 1u;
}

static inline void loam_bitmap_set(uint32_t *map, size_t bit)
{
	map[bit >> 5] |= 1u << (bit & 31u);
}

static inline void loam_bitmap_clear(uint32_t *map, size_t bit)
{
	map[bit >> 5] &= ~(1u << (bit & 31u));
}

/*
 * First set bit at or after `from`, or `bits` if there is none. O(bits / 32).
 */
size_t loam_bitmap_find(const uint32_t *map, size_t bits, size_t from);

/* Sets or clears `count` bits from `first`. O(count / 32). */
void loam_bitmap_set_range(uint32_t *map, size_t first, size_t count);
void loam_bitmap_clear_range(uint32_t *map, size_t first, size_t count);

/* How many of the first `bits` bits are set. O(bits / 32). */
size_t loam_bitmap_count(const uint32_t *map, size_t bits);

#endif
