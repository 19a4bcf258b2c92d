/* SPDX-License-Identifier: MIT */
/* What the designs of heaps share: pages, counters, reports. */
#ifndef LOAM_HEAP_INT_H
#define LOAM_HEAP_INT_H

#include <loam/bits.h>
#include <loam/heap.h>
#include <loam/mem.h>

/*
 * Headers carry a magic number mixed with their own place, so that a header
 * copied elsewhere is none. The values only need to differ in many bits.
 */
#define HEAP_MAGIC_LIVE 0xb10c11feu
#define HEAP_MAGIC_FREE 0x0ddf4ee5u
#define HEAP_MAGIC_SPILLED 0x59111ed7u

/* Designs that grow by more than they must: pages at a time, and spared. */
#define HEAP_SLACK_PAGES 16u

/*
 * Asks the owner for count pages from `at` on, inside the range: all of them,
 * or false and none.
 */
bool loam_heap_map(struct loam_heap *heap, unsigned char *at, size_t count);

/* Returns count pages from `at` on to the owner. */
void loam_heap_unmap(struct loam_heap *heap, unsigned char *at, size_t count);

/*
 * Says what is wrong with an address that was given to `verb` and is not that
 * of a sound live block. Finds out by a walk. O(blocks).
 */
void loam_heap_misuse(const struct loam_heap *heap, const void *caller,
		      const char *verb, const void *address);

/* A check of the counters against a walk. O(blocks). */
int loam_heap_check_counters(const struct loam_heap *heap);

/* count pages more are mapped. */
static inline void heap_mapped(struct loam_heap *heap, size_t count)
{
	heap->mapped_pages += count;
	if (heap->mapped_pages > heap->peak_mapped_pages) {
		heap->peak_mapped_pages = heap->mapped_pages;
	}
}

static inline void heap_grew(struct loam_heap *heap, size_t bytes)
{
	size_t live = heap->live_bytes + bytes;
	size_t peak = heap->peak_live_bytes;
	heap->live_bytes = live;
	/* Written in any case: whether it is a new peak cannot be foretold. */
	heap->peak_live_bytes = live > peak ? live : peak;
}

static inline void heap_count_alloc(struct loam_heap *heap, size_t bytes)
{
	heap->allocs++;
	heap->live_blocks++;
	heap_grew(heap, bytes);
}

static inline void heap_count_free(struct loam_heap *heap, size_t bytes)
{
	heap->frees++;
	heap->live_blocks--;
	heap->live_bytes -= bytes;
}

/* True if size_bytes can be had at all; the caller counts the failure. */
static inline bool heap_can_hold(const struct loam_heap *heap,
				 size_t size_bytes)
{
	return size_bytes - 1 < heap->size_bytes;
}

/* True if address is in [from, to) and aligned as every block's is. */
static inline bool heap_is_candidate(const void *address,
				     const unsigned char *from,
				     const unsigned char *to)
{
	uintptr_t at = (uintptr_t)address;
	return at >= (uintptr_t)from && at < (uintptr_t)to &&
	       (at & (LOAM_HEAP_ALIGN - 1)) == 0;
}

#endif
