/* SPDX-License-Identifier: MIT */
/* Searching, filling and counting bitmaps, a word at a time. */
#include <loam/bitmap.h>
#include <loam/bits.h>

/*
 * Bit n of a set is bit n % 32 of word n / 32. Words have 32 bits on every
 * machine, so that a bitmap's size and its bytes do not depend on it. The last
 * word may have bits beyond the set: no function here looks at or changes them.
 *
 * A range from one bit to another is a partial first word, whole words, and a
 * partial last word. The two masks below are these partial words, and where
 * the range lies within one word, their intersection.
 */

#define BITMAP_WORD_BITS 32u

/* The bits of a word at or above bit % 32. */
static uint32_t bitmap_from(size_t bit)
{
	return UINT32_MAX << (bit & (BITMAP_WORD_BITS - 1));
}

/* The bits of a word below `end`, where end - 1 lies in that word. */
static uint32_t bitmap_below(size_t end)
{
	return UINT32_MAX >> (-end & (BITMAP_WORD_BITS - 1));
}

/*
 * The bits that are set in a word, by adding neighbours in parallel: pairs,
 * fours, bytes, and the four bytes by a multiplication. The compiler's builtin
 * is a call into its library on CPUs without the instruction.
 */
static uint32_t bitmap_count_word(uint32_t word)
{
	word -= (word >> 1) & 0x55555555u;
	word = (word & 0x33333333u) + ((word >> 2) & 0x33333333u);
	word = (word + (word >> 4)) & 0x0f0f0f0fu;
	return (word * 0x01010101u) >> 24;
}

size_t loam_bitmap_find(const uint32_t *map, size_t bits, size_t from)
{
	if (from >= bits) {
		return bits;
	}
	size_t index = from / BITMAP_WORD_BITS;
	size_t last = (bits - 1) / BITMAP_WORD_BITS;
	uint32_t word = map[index] & bitmap_from(from);
	while (word == 0 && index < last) {
		index++;
		word = map[index];
	}
	if (word == 0) {
		return bits;
	}
	size_t found = index * BITMAP_WORD_BITS + loam_lowest_bit(word);
	return found < bits ? found : bits;
}

void loam_bitmap_set_range(uint32_t *map, size_t first, size_t count)
{
	if (count == 0) {
		return;
	}
	size_t end = first + count;
	size_t index = first / BITMAP_WORD_BITS;
	size_t last = (end - 1) / BITMAP_WORD_BITS;
	uint32_t mask = bitmap_from(first);
	while (index < last) {
		map[index] |= mask;
		mask = UINT32_MAX;
		index++;
	}
	map[last] |= mask & bitmap_below(end);
}

void loam_bitmap_clear_range(uint32_t *map, size_t first, size_t count)
{
	if (count == 0) {
		return;
	}
	size_t end = first + count;
	size_t index = first / BITMAP_WORD_BITS;
	size_t last = (end - 1) / BITMAP_WORD_BITS;
	uint32_t mask = bitmap_from(first);
	while (index < last) {
		map[index] &= ~mask;
		mask = UINT32_MAX;
		index++;
	}
	map[last] &= ~(mask & bitmap_below(end));
}

size_t loam_bitmap_count(const uint32_t *map, size_t bits)
{
	if (bits == 0) {
		return 0;
	}
	size_t last = (bits - 1) / BITMAP_WORD_BITS;
	size_t count = 0;
	for (size_t index = 0; index < last; index++) {
		count += bitmap_count_word(map[index]);
	}
	return count + bitmap_count_word(map[last] & bitmap_below(bits));
}
