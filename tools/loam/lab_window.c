/* SPDX-License-Identifier: MIT */
/* Memory for the laboratory's heaps, of large pages where there are any. */
#include <sys/mman.h>

#include "lab_heaps.h"

#define LARGE_PAGE LOAM_MIB(2)
#define WINDOW_ALIGN LOAM_MIB(4)

/*
 * Pages of 4 KiB or 2 MiB
 * =======================
 *
 * Kernels map their memory by large pages, and with small ones a heap that
 * spreads its blocks is timed by how this machine walks page tables. So either
 * all heaps have large pages, the C library's too, or none has: the system can
 * make what is already in use large (Linux 6.1 and later), or it cannot.
 */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static unsigned char *window_map(size_t size_bytes)
{
	size_t all = size_bytes + WINDOW_ALIGN;
	unsigned char *at =
		mmap(NULL, all, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED) {
		return NULL;
	}
	size_t skip =
		(WINDOW_ALIGN - (uintptr_t)at % WINDOW_ALIGN) % WINDOW_ALIGN;
	if (skip > 0) {
		munmap(at, skip);
	}
	munmap(at + skip + size_bytes, WINDOW_ALIGN - skip);
	return at + skip;
}

/* True if memory that is in use can be given large pages. */
static bool can_collapse(void)
{
	static enum { UNKNOWN, YES, NO } known;
	if (known == UNKNOWN) {
		known = NO;
		unsigned char *at = window_map(LARGE_PAGE);
		if (at != NULL) {
			*at = 1;
			if (madvise(at, LARGE_PAGE, MADV_COLLAPSE) == 0) {
				known = YES;
			}
			munmap(at, LARGE_PAGE);
		}
	}
	return known == YES;
}

unsigned char *lab_window(size_t size_bytes)
{
	unsigned char *at = window_map(size_bytes);
	if (at != NULL && can_collapse()) {
		(void)madvise(at, size_bytes, MADV_HUGEPAGE);
	}
	return at;
}

void lab_make_large(void *start, void *end)
{
	uintptr_t from = (uintptr_t)start + LARGE_PAGE - 1;
	uintptr_t to = (uintptr_t)end & ~(uintptr_t)(LARGE_PAGE - 1);
	from &= ~(uintptr_t)(LARGE_PAGE - 1);
	for (; from < to && can_collapse(); from += LARGE_PAGE) {
		/* Fails where there is nothing, or what is not the heap's. */
		(void)madvise((void *)from, LARGE_PAGE, MADV_COLLAPSE);
	}
}
