/* SPDX-License-Identifier: MIT */
/* memset and friends, and formatted text, without a C library. */
#ifndef LOAM_MEM_H
#define LOAM_MEM_H

#include <stdarg.h>

#include <loam/compiler.h>
#include <loam/types.h>

/*
 * With the meaning of the C standard: bytes compare unsigned, memmove allows
 * overlap, size 0 does nothing and reads no pointer. The library defines them
 * weakly, since the compiler emits calls to them, and a host that has its own
 * keeps its own. Context: any. Cost: on x86 one repetition of a string
 * instruction a word, and at most 35 instructions more; memcmp, and memmove
 * where to lies above from within the block, take 5 to 7 a word.
 */
void *memset(void *to, int value, size_t size_bytes);
void *memcpy(void *restrict to, const void *restrict from, size_t size_bytes);
void *memmove(void *to, const void *from, size_t size_bytes);
int memcmp(const void *a, const void *b, size_t size_bytes);

/*
 * The library's definitions of these four: the very same functions, or, where
 * LOAM_HAVE_LIBC leaves the names above to a C library, loam_memset and so on.
 */
void *LOAM_MEMORY_NAME(memset)(void *to, int value, size_t size_bytes);
void *LOAM_MEMORY_NAME(memcpy)(void *restrict to, const void *restrict from,
			       size_t size_bytes);
void *LOAM_MEMORY_NAME(memmove)(void *to, const void *from, size_t size_bytes);
int LOAM_MEMORY_NAME(memcmp)(const void *a, const void *b, size_t size_bytes);

/* The length of s without its end mark. O(length). */
size_t loam_strlen(const char *s);

/* True if both hold the same characters. O(length). */
bool loam_streq(const char *a, const char *b);

/*
 * Formats like snprintf: %d %i %u %x %X %p %s %c %%, with the flags 0, -,
 * space and +, width and precision as numbers or *, the lengths hh h l ll j z
 * t and the <inttypes.h> macros. %p prints 0x and all digits of a pointer; %s
 * prints NULL as (null), and with a precision reads no further than that.
 * Anything else is copied as it stands and takes no argument.
 * Always terminates when size_bytes > 0; to may be NULL when it is 0. Returns
 * the length the whole text has (INT_MAX if it is longer than that), so that
 * a result >= size_bytes says that it was cut. Context: any. O(length).
 */
int loam_snprintf(char *to, size_t size_bytes, const char *format, ...)
	LOAM_PRINTF(3, 4);
int loam_vsnprintf(char *to, size_t size_bytes, const char *format,
		   va_list args) LOAM_PRINTF(3, 0);

/*
 * Formats a size for people: "4 KiB", "1.5 MiB", "127 B"; binary units, at
 * most one decimal, cut rather than rounded. to has at least 16 bytes, and is
 * returned.
 */
const char *loam_format_size(char to[16], uint64_t size_bytes);

#endif
