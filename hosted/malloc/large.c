/* SPDX-License-Identifier: MIT */
/* Large blocks: ranges of pages in a window of addresses. */

/*
 * A block above LOAM_KMALLOC_SLAB_MAX is a range of the arena, whole pages,
 * best fit, merged with free neighbours when it is freed. Its pages stay: the
 * next block that comes to lie there has them without a fault. Memory that
 * never had pages reads as zeros, which calloc makes use of.
 *
 * A block that grows moves by its pages, not by its bytes: the system hangs
 * them elsewhere (mremap), which costs a page table entry for each, or one for
 * 512. It gets an eighth more addresses than asked, so that the next growth of
 * a buffer that grows by little needs no call at all; pages that are not
 * touched cost nothing.
 */
#include "heap.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/single_threaded.h>

#include <loam/bits.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* Fewer bytes are copied. */
#define MOVE_LEAST ((size_t)128 * 1024)

static size_t large_used;

/* Adds to large_used; modulo the word, to take off too. */
static void large_count(size_t bytes)
{
	if (__libc_single_threaded) {
		large_used += bytes;
	} else {
		__atomic_fetch_add(&large_used, bytes, __ATOMIC_RELAXED);
	}
}

static void *descriptor_page(void *ctx)
{
	(void)ctx;
	loam_pfn_t pfn = loam_frame_alloc(&malloc_heap.frames, 0,
					  LOAM_OWNED_BY(LOAM_OWNER_META));
	return pfn == LOAM_PFN_NONE
		       ? NULL
		       : loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
}

bool malloc_large_init(uintptr_t base, size_t size)
{
	static const struct loam_arena_ops ops = { .alloc_page =
							   descriptor_page };
	void *first = descriptor_page(NULL);
	return first != NULL &&
	       loam_arena_init(&malloc_heap.large, "large blocks", base, size,
			       LOAM_PAGE_SIZE, &ops, NULL, first) == 0;
}

bool malloc_large_owns(const void *address)
{
	return (size_t)((const unsigned char *)address - malloc_heap.base) -
		       malloc_heap.frames_size <
	       malloc_heap.size - malloc_heap.frames_size;
}

size_t malloc_large_used(void)
{
	return __atomic_load_n(&large_used, __ATOMIC_RELAXED);
}

/* A range, and whether it reads as zeros. */
static void *range_take(size_t size, size_t align, bool *zeros)
{
	uintptr_t start;
	if (size > malloc_heap.most ||
	    loam_arena_alloc(&malloc_heap.large, size,
			     align > LOAM_PAGE_SIZE ? align : 0,
			     LOAM_RANGE_KMALLOC, &start) != 0) {
		return NULL;
	}
	size = loam_size_round_up(size, LOAM_PAGE_SIZE);
	large_count(size);
	unsigned char *block =
		malloc_heap.base + (start - (uintptr_t)malloc_heap.base);
	*zeros = malloc_memory_use(block, size);
	return block;
}

void *malloc_large_alloc(size_t size, size_t align, bool zero)
{
	bool zeros;
	void *block = range_take(size, align, &zeros);
	if (block != NULL && zero && !zeros) {
		memset(block, 0, size);
	}
	return block;
}

bool malloc_large_free(void *block)
{
	size_t size;
	if (loam_arena_free(&malloc_heap.large, (uintptr_t)block, &size) != 0) {
		return false;
	}
	large_count((size_t)0 - size);
	return true;
}

size_t malloc_large_size(const void *block)
{
	size_t size;
	uintptr_t tag;
	return malloc_large_owns(block) &&
			       loam_arena_find_exact(&malloc_heap.large,
						     (uintptr_t)block, &size,
						     &tag) == 0
		       ? size
		       : 0;
}

/* Moves contents by pages if that works, else by bytes. */
static void move_pages(void *to, void *from, size_t size)
{
	if (size >= MOVE_LEAST &&
	    mremap(from, size, size,
		   MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		   to) == to) {
		return;
	}
	memcpy(to, from, size);
}

/* Another size in place, if what lies behind is free. */
static bool resize_here(void *block, size_t old_size, size_t size)
{
	size = loam_size_round_up(size, LOAM_PAGE_SIZE);
	if (size > malloc_heap.most ||
	    loam_arena_resize(&malloc_heap.large, (uintptr_t)block, size) !=
		    0) {
		return false;
	}
	large_count(size - old_size);
	if (size > old_size) {
		(void)malloc_memory_use((unsigned char *)block + old_size,
					size - old_size);
	}
	return true;
}

void *malloc_large_resize(void *block, size_t old_size, size_t size)
{
	bool zeros;
	if (size > PTRDIFF_MAX) {
		return NULL;
	}
	if (resize_here(block, old_size, size)) {
		return block;
	}
	if (size <= old_size) {
		return block;
	}
	void *moved = range_take(size + size / 8, 1, &zeros);
	if (moved == NULL) {
		moved = range_take(size, 1, &zeros);
	}
	if (moved == NULL) {
		return NULL;
	}
	move_pages(moved, block, old_size);
	malloc_large_free(block);
	return moved;
}

void malloc_large_describe(const void *address, char *to, size_t size)
{
	uintptr_t start;
	uintptr_t tag;
	size_t whole;
	if (!malloc_heap.ready) {
		loam_snprintf(to, size, "nothing was allocated yet");
	} else if (!malloc_large_owns(address)) {
		loam_kmalloc_describe(&malloc_heap.kmalloc, address, to, size);
	} else if (loam_arena_find(&malloc_heap.large, (uintptr_t)address,
				   &start, &whole, &tag) == 0) {
		loam_snprintf(to, size, "byte %zu of a large block at 0x%zx",
			      (size_t)((uintptr_t)address - start),
			      (size_t)start);
	} else {
		loam_snprintf(to, size, "no large block is there, any more");
	}
}
