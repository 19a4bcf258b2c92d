/* SPDX-License-Identifier: MIT */
/* The machine's word, and its instructions that fill and copy runs of them. */
#ifndef LOAM_BASE_WORDS_H
#define LOAM_BASE_WORDS_H

#include <loam/compiler.h>
#include <loam/types.h>

/*
 * An architecture's part of memory.c, which holds for each version of it:
 *
 *   word_t                      what one instruction loads and stores
 *   words_fill(to, word, n)     stores n words from `to` upwards
 *   words_copy(to, from, n)     copies n words upwards, one after the other,
 *                               so that `to` may lie below `from` anywhere
 *
 * `to` is aligned to a word, `from` need not be.
 *
 * On x86 the string instructions are the shortest code there is for long
 * runs, one repetition a word, and the CPU moves whole cache lines at a time
 * (Intel, Optimization Reference Manual, "Enhanced REP MOVSB and STOSB").
 * The direction flag is clear by the calling convention.
 */

#if defined(__x86_64__) && defined(__LP64__)
typedef uint64_t word_t;
#define WORDS_STRING_SUFFIX "q"
#elif defined(__i386__) || defined(__x86_64__)
typedef uint32_t word_t;
#define WORDS_STRING_SUFFIX "l"
#else
typedef uintptr_t word_t;
#endif

#define WORD_SIZE sizeof(word_t)

/* A word, and four bytes, at any address and over memory of any type. */
struct word_anywhere {
	word_t word;
} __attribute__((packed, may_alias));

struct four_anywhere {
	uint32_t four;
} __attribute__((packed, may_alias));

static LOAM_ALWAYS_INLINE word_t word_load(const void *from)
{
	return ((const struct word_anywhere *)from)->word;
}

static LOAM_ALWAYS_INLINE void word_store(void *to, word_t word)
{
	((struct word_anywhere *)to)->word = word;
}

#ifdef WORDS_STRING_SUFFIX

static LOAM_ALWAYS_INLINE void words_fill(void *to, word_t word, size_t count)
{
	__asm__ volatile("rep stos" WORDS_STRING_SUFFIX
			 : "+D"(to), "+c"(count)
			 : "a"(word)
			 : "memory");
}

static LOAM_ALWAYS_INLINE void words_copy(void *to, const void *from,
					  size_t count)
{
	__asm__ volatile("rep movs" WORDS_STRING_SUFFIX
			 : "+D"(to), "+S"(from), "+c"(count)
			 :
			 : "memory");
}

#else

static inline void words_fill(unsigned char *to, word_t word, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		word_store(to + i * WORD_SIZE, word);
		LOAM_COMPILER_BARRIER();
	}
}

static inline void words_copy(unsigned char *to, const unsigned char *from,
			      size_t count)
{
	for (size_t i = 0; i < count; i++) {
		word_store(to + i * WORD_SIZE, word_load(from + i * WORD_SIZE));
		LOAM_COMPILER_BARRIER();
	}
}

#endif

#endif
