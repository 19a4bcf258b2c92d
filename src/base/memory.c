/* SPDX-License-Identifier: MIT */
/* memset, memcpy, memmove and memcmp, word by word. */
#include <loam/mem.h>

#include "words.h"

/*
 * The compiler emits calls to these four for assignments and initialisers, so
 * they have to exist without a C library, and must not be compiled into calls
 * to themselves: a loop that looks like one of them has a barrier in its body.
 *
 * Most calls are for a few words, and for these the cost is in finding out how
 * many. So sizes are not taken apart into words and a rest: a size from k to
 * 2k bytes is covered by two runs of k bytes, one from each end, which overlap
 * where they are too long. That handles every alignment and every rest without
 * a loop. For sizes of more than eight words the first and the last word are
 * done the same way, and a string instruction does the aligned words between:
 *
 *	to                                                        to + size
 *	|  first   |                                   |   last   |
 *	      |  word  |  word  |  word  | ... |  word  |
 *	      ^ the first multiple of a word's size above to
 *
 * Overlapping runs are stored with what was there before the call: in a copy
 * all of a small one, and the first and the last word of a large one, are
 * loaded before anything is stored. That makes the small copy and the upward
 * copy right for memmove as well.
 *
 * Where LOAM_HAVE_LIBC leaves these names to a C library, the functions here
 * are loam_memset and so on, and only their tests call them.
 */

/* Above this, filling and copying run over aligned words. */
#define MEMORY_SMALL (8 * WORD_SIZE)

/* How far the first multiple of a word's size above p is from p. */
static LOAM_ALWAYS_INLINE size_t memory_to_next_word(const void *p)
{
	return WORD_SIZE - ((uintptr_t)p & (WORD_SIZE - 1));
}

/* Fewer bytes than a word, at least one. */
static LOAM_ALWAYS_INLINE void memory_fill_bytes(unsigned char *to, word_t word,
						 size_t size)
{
	unsigned char *end = to + size;
	if (size >= 4) {
		((struct four_anywhere *)to)->four = (uint32_t)word;
		((struct four_anywhere *)(end - 4))->four = (uint32_t)word;
		return;
	}
	to[0] = (unsigned char)word;
	to[size / 2] = (unsigned char)word;
	end[-1] = (unsigned char)word;
}

/* Up to MEMORY_SMALL bytes, at least a word. */
static LOAM_ALWAYS_INLINE void memory_fill_small(unsigned char *to, word_t word,
						 size_t size)
{
	unsigned char *end = to + size;
	word_store(to, word);
	word_store(end - WORD_SIZE, word);
	if (size <= 2 * WORD_SIZE) {
		return;
	}
	word_store(to + WORD_SIZE, word);
	word_store(end - 2 * WORD_SIZE, word);
	if (size <= 4 * WORD_SIZE) {
		return;
	}
	word_store(to + 2 * WORD_SIZE, word);
	word_store(to + 3 * WORD_SIZE, word);
	word_store(end - 4 * WORD_SIZE, word);
	word_store(end - 3 * WORD_SIZE, word);
}

/* Fewer bytes than a word, at least one; they may overlap. */
static LOAM_ALWAYS_INLINE void memory_copy_bytes(unsigned char *to,
						 const unsigned char *from,
						 size_t size)
{
	if (size >= 4) {
		const unsigned char *tail = from + size - 4;
		uint32_t first = ((const struct four_anywhere *)from)->four;
		uint32_t last = ((const struct four_anywhere *)tail)->four;
		((struct four_anywhere *)to)->four = first;
		((struct four_anywhere *)(to + size - 4))->four = last;
		return;
	}
	unsigned char first = from[0];
	unsigned char middle = from[size / 2];
	unsigned char last = from[size - 1];
	to[0] = first;
	to[size / 2] = middle;
	to[size - 1] = last;
}

/* Up to MEMORY_SMALL bytes, at least a word; they may overlap. */
static LOAM_ALWAYS_INLINE void memory_copy_small(unsigned char *to,
						 const unsigned char *from,
						 size_t size)
{
	unsigned char *to_end = to + size;
	const unsigned char *from_end = from + size;
	word_t a = word_load(from);
	word_t z = word_load(from_end - WORD_SIZE);
	if (size > 2 * WORD_SIZE) {
		word_t b = word_load(from + WORD_SIZE);
		word_t y = word_load(from_end - 2 * WORD_SIZE);
		if (size > 4 * WORD_SIZE) {
			word_t c = word_load(from + 2 * WORD_SIZE);
			word_t d = word_load(from + 3 * WORD_SIZE);
			word_t w = word_load(from_end - 4 * WORD_SIZE);
			word_t x = word_load(from_end - 3 * WORD_SIZE);
			word_store(to + 2 * WORD_SIZE, c);
			word_store(to + 3 * WORD_SIZE, d);
			word_store(to_end - 4 * WORD_SIZE, w);
			word_store(to_end - 3 * WORD_SIZE, x);
		}
		word_store(to + WORD_SIZE, b);
		word_store(to_end - 2 * WORD_SIZE, y);
	}
	word_store(to, a);
	word_store(to_end - WORD_SIZE, z);
}

/* More than MEMORY_SMALL bytes; where they overlap, to lies below from. */
static LOAM_ALWAYS_INLINE void memory_copy_up(unsigned char *to,
					      const unsigned char *from,
					      size_t size)
{
	word_t first = word_load(from);
	word_t last = word_load(from + size - WORD_SIZE);
	size_t skip = memory_to_next_word(to);
	words_copy(to + skip, from + skip, (size - skip) / WORD_SIZE);
	word_store(to, first);
	word_store(to + size - WORD_SIZE, last);
}

/* More than MEMORY_SMALL bytes; where they overlap, to lies above from. */
static void memory_copy_down(unsigned char *to, const unsigned char *from,
			     size_t size)
{
	word_t first = word_load(from);
	size_t left = size;
	while (left >= WORD_SIZE) {
		left -= WORD_SIZE;
		word_store(to + left, word_load(from + left));
		LOAM_COMPILER_BARRIER();
	}
	word_store(to, first);
}

LOAM_WEAK void *LOAM_MEMORY_NAME(memset)(void *to, int value, size_t size_bytes)
{
	word_t word = (unsigned char)value * ((word_t)-1 / 255);
	if (size_bytes < WORD_SIZE) {
		if (size_bytes != 0) {
			memory_fill_bytes(to, word, size_bytes);
		}
		return to;
	}
	if (size_bytes <= MEMORY_SMALL) {
		memory_fill_small(to, word, size_bytes);
		return to;
	}
	unsigned char *first = to;
	size_t skip = memory_to_next_word(to);
	word_store(first, word);
	word_store(first + size_bytes - WORD_SIZE, word);
	words_fill(first + skip, word, (size_bytes - skip) / WORD_SIZE);
	return to;
}

LOAM_WEAK void *LOAM_MEMORY_NAME(memcpy)(void *restrict to,
					 const void *restrict from,
					 size_t size_bytes)
{
	if (size_bytes > MEMORY_SMALL) {
		memory_copy_up(to, from, size_bytes);
	} else if (size_bytes >= WORD_SIZE) {
		memory_copy_small(to, from, size_bytes);
	} else if (size_bytes != 0) {
		memory_copy_bytes(to, from, size_bytes);
	}
	return to;
}

LOAM_WEAK void *LOAM_MEMORY_NAME(memmove)(void *to, const void *from,
					  size_t size_bytes)
{
	if (size_bytes > MEMORY_SMALL) {
		/* Wraps to a large number where to lies below from. */
		if ((uintptr_t)to - (uintptr_t)from < size_bytes) {
			memory_copy_down(to, from, size_bytes);
		} else {
			memory_copy_up(to, from, size_bytes);
		}
	} else if (size_bytes >= WORD_SIZE) {
		memory_copy_small(to, from, size_bytes);
	} else if (size_bytes != 0) {
		memory_copy_bytes(to, from, size_bytes);
	}
	return to;
}

LOAM_WEAK int LOAM_MEMORY_NAME(memcmp)(const void *a, const void *b,
				       size_t size_bytes)
{
	const unsigned char *in_a = a;
	const unsigned char *in_b = b;
	size_t at = 0;
	while (size_bytes - at >= WORD_SIZE &&
	       word_load(in_a + at) == word_load(in_b + at)) {
		at += WORD_SIZE;
		LOAM_COMPILER_BARRIER();
	}
	while (at < size_bytes && in_a[at] == in_b[at]) {
		at++;
		LOAM_COMPILER_BARRIER();
	}
	return at == size_bytes ? 0 : (int)in_a[at] - (int)in_b[at];
}
