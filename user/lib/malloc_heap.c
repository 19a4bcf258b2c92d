/* SPDX-License-Identifier: MIT */
/* The owner of a classic heap in a program: its pages move the break. */

/*
 * The heap's range begins at the break and is larger than a heap will be; what
 * of it is memory is what lies below the break. A heap grows at its end, which
 * moves the break up; pages that it gives back at its end move it down, and
 * those from its middle, which no design gives back, would stay.
 */

#include <unistd.h>

#include "malloc_heap.h"

static struct loam_heap heap;

static size_t heap_map_pages(void *context, void *start, size_t count_pages)
{
	uintptr_t end = (uintptr_t)start + count_pages * LOAM_PAGE_SIZE;
	uintptr_t brk_now = (uintptr_t)sbrk(0);

	(void)context;
	return brk_now >= end || brk((void *)end) == 0 ? count_pages : 0;
}

static void heap_unmap_pages(void *context, void *start, size_t count_pages)
{
	uintptr_t end = (uintptr_t)start + count_pages * LOAM_PAGE_SIZE;

	(void)context;
	if ((uintptr_t)sbrk(0) == end) {
		brk(start);
	} else {
		madvise(start, count_pages * LOAM_PAGE_SIZE, MADV_DONTNEED);
	}
}

static const struct loam_heap_owner heap_owner = {
	.map_pages = heap_map_pages,
	.unmap_pages = heap_unmap_pages,
};

int malloc_heap_init(const struct loam_heap_ops *design)
{
	uintptr_t start = (uintptr_t)sbrk(0);

	start = (start + LOAM_PAGE_MASK) & ~(uintptr_t)LOAM_PAGE_MASK;
	if (brk((void *)start) != 0) {
		return -LOAM_ENOMEM;
	}
	return loam_heap_create(&heap, design,
				&(struct loam_heap_config){
					.start = (void *)start,
					.size_bytes = MALLOC_HEAP_BYTES,
					.owner = &heap_owner,
				});
}

void *malloc_heap_alloc(size_t size)
{
	return loam_heap_alloc(&heap, size);
}

void malloc_heap_free(void *block)
{
	loam_heap_free(&heap, block);
}

void *malloc_heap_resize(void *block, size_t size)
{
	return loam_heap_resize(&heap, block, size);
}

size_t malloc_heap_usable(const void *block)
{
	return loam_heap_usable(&heap, block);
}

int malloc_heap_check(void)
{
	return loam_heap_check(&heap);
}
