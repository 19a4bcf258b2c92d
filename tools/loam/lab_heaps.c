/* SPDX-License-Identifier: MIT */
/* The table of heaps, and how the laboratory owns the pages of the classics. */
#include "lab_heaps.h"

#include <stdlib.h>
#include <string.h>

/*
 * A heap of the heap floor, and its owner. The pages are always there (the
 * system gives them when they are touched for the first time, which the first
 * round does); the owner only keeps account of which ones the heap has.
 */
struct classic {
	struct loam_heap heap;
	struct loam_heap_owner owner;
	unsigned char *window;
	uint8_t *has; /* one for each page */
};

static size_t classic_page(const struct classic *classic, const void *start)
{
	const unsigned char *at = start;
	return (size_t)(at - classic->window) / LOAM_PAGE_SIZE;
}

/* Some heaps ask for each page: it must cost them nothing to speak of. */
static void classic_note(const struct classic *classic, const void *start,
			 size_t count, uint8_t has)
{
	size_t page = classic_page(classic, start);
	if (count == 1) {
		classic->has[page] = has;
	} else {
		memset(&classic->has[page], has, count);
	}
}

static size_t classic_map(void *context, void *start, size_t count)
{
	classic_note(context, start, count, 1);
	return count;
}

static void classic_unmap(void *context, void *start, size_t count)
{
	classic_note(context, start, count, 0);
}

static bool classic_setup(struct lab_heap *heap, size_t window_bytes,
			  const char **why)
{
	struct classic *classic = calloc(1, sizeof(*classic));
	*why = "there is no memory for its window";
	if (classic == NULL) {
		return false;
	}
	classic->window = lab_window(window_bytes);
	classic->has = calloc(window_bytes / LOAM_PAGE_SIZE, 1);
	if (classic->window == NULL || classic->has == NULL) {
		free(classic->has);
		free(classic);
		return false;
	}
	classic->owner = (struct loam_heap_owner){
		.map_pages = classic_map,
		.unmap_pages = classic_unmap,
		.context = classic,
	};
	heap->window = classic->window;
	heap->window_bytes = window_bytes;
	heap->state = classic;
	return true;
}

static bool classic_open(struct lab_heap *heap)
{
	struct classic *classic = heap->state;
	const struct loam_heap_config config = {
		.start = heap->window,
		.size_bytes = heap->window_bytes,
		.owner = &classic->owner,
		.fit = heap->design->fit,
	};
	return loam_heap_create(&classic->heap, heap->design->ops, &config) ==
	       0;
}

/*
 * What is timed calls the design through its table, which is one jump through
 * a pointer: as many as lead into the C library.
 */
static void *classic_alloc(void *state, size_t size_bytes)
{
	struct classic *classic = state;
	return classic->heap.ops->alloc(&classic->heap, size_bytes);
}

static void classic_free(void *state, void *block)
{
	struct classic *classic = state;
	classic->heap.ops->free(&classic->heap, block, LOAM_CALLER());
}

static void *classic_resize(void *state, void *block, size_t size_bytes)
{
	struct classic *classic = state;
	return classic->heap.ops->resize(&classic->heap, block, size_bytes,
					 LOAM_CALLER());
}

static size_t classic_usable(const struct lab_heap *heap, void *block)
{
	const struct classic *classic = heap->state;
	return loam_heap_usable(&classic->heap, block);
}

/* A design's headers are all alike, so any live block tells. */
static size_t classic_header(const struct lab_heap *heap, void *block)
{
	const struct classic *classic = heap->state;
	struct loam_heap_block at = { .address = NULL };
	(void)block;
	while (loam_heap_walk(&classic->heap, &at)) {
		if (at.state == LOAM_HEAP_LIVE) {
			return at.header_bytes;
		}
	}
	return 0;
}

static size_t classic_mapped(const struct lab_heap *heap)
{
	const struct classic *classic = heap->state;
	return classic->heap.mapped_pages * LOAM_PAGE_SIZE;
}

static size_t classic_peak(const struct lab_heap *heap)
{
	const struct classic *classic = heap->state;
	return classic->heap.peak_mapped_pages * LOAM_PAGE_SIZE;
}

static size_t classic_largest(const struct lab_heap *heap)
{
	const struct classic *classic = heap->state;
	struct loam_heap_stats stats;
	loam_heap_stats(&classic->heap, &stats);
	return stats.largest_free_bytes;
}

static void classic_runs(const struct lab_heap *heap, lab_run_fn run,
			 void *context)
{
	const struct classic *classic = heap->state;
	size_t pages = heap->window_bytes / LOAM_PAGE_SIZE;
	size_t start = 0;
	for (size_t i = 0; i <= pages; i++) {
		if (i < pages && classic->has[i] != 0) {
			continue;
		}
		if (i > start) {
			run(context, start * LOAM_PAGE_SIZE,
			    (i - start) * LOAM_PAGE_SIZE);
		}
		start = i + 1;
	}
}

static bool classic_check(const struct lab_heap *heap)
{
	const struct classic *classic = heap->state;
	return loam_heap_check(&classic->heap) == 0;
}

static void classic_close(struct lab_heap *heap)
{
	struct classic *classic = heap->state;
	loam_heap_destroy(&classic->heap);
	memset(classic->has, 0, heap->window_bytes / LOAM_PAGE_SIZE);
}

static const struct lab_kind_ops classic_kind = {
	.setup = classic_setup,
	.open = classic_open,
	.alloc = classic_alloc,
	.free = classic_free,
	.resize = classic_resize,
	.usable = classic_usable,
	.header = classic_header,
	.mapped = classic_mapped,
	.peak_mapped = classic_peak,
	.largest_free = classic_largest,
	.runs = classic_runs,
	.check = classic_check,
	.close = classic_close,
};

/* -------- nothing -------- */

static bool nothing_setup(struct lab_heap *heap, size_t window_bytes,
			  const char **why)
{
	(void)why;
	heap->window_bytes = window_bytes;
	heap->state = heap;
	return true;
}

static bool nothing_open(struct lab_heap *heap)
{
	(void)heap;
	return true;
}

static void *nothing_alloc(void *state, size_t size_bytes)
{
	(void)size_bytes;
	return state;
}

static void nothing_free(void *state, void *block)
{
	(void)state;
	(void)block;
}

static void *nothing_resize(void *state, void *block, size_t size_bytes)
{
	(void)state;
	(void)size_bytes;
	return block;
}

static void nothing_close(struct lab_heap *heap)
{
	(void)heap;
}

static const struct lab_kind_ops nothing_kind = {
	.setup = nothing_setup,
	.open = nothing_open,
	.alloc = nothing_alloc,
	.free = nothing_free,
	.resize = nothing_resize,
	.close = nothing_close,
};

const struct lab_design lab_nothing = {
	.name = "nothing",
	.kind = &nothing_kind,
};

/* -------- the table -------- */

const struct lab_design lab_designs[] = {
	{ "bestfit", "best fit over a break, free blocks in an ordered array",
	  &classic_kind, &loam_heap_bestfit, 0 },
	{ "block", "a byte of state for each 4 KiB, first fit", &classic_kind,
	  &loam_heap_block, 0 },
	{ "list:first", "free blocks in one list by address, first fit",
	  &classic_kind, &loam_heap_list, LOAM_HEAP_FIRST_FIT },
	{ "list:next", "the same, next fit", &classic_kind, &loam_heap_list,
	  LOAM_HEAP_NEXT_FIT },
	{ "list:best", "the same, best fit", &classic_kind, &loam_heap_list,
	  LOAM_HEAP_BEST_FIT },
	{ "buddy", "whole pages at fresh addresses behind a header",
	  &classic_kind, &loam_heap_buddy, 0 },
	{ "pages", "a list threaded through the free pages; one page a block",
	  &classic_kind, &loam_heap_pages, 0 },
	{ "tlsf", "two-level segregated fit; the others are measured by it",
	  &classic_kind, &loam_heap_tlsf, 0 },
	{ "slab", "Loam's kmalloc: slabs and buddy over simulated frames",
	  &lab_kind_kmalloc, NULL, 0 },
	{ "glibc", "the C library's malloc, for comparison", &lab_kind_malloc,
	  NULL, 0 },
	{ NULL, NULL, NULL, NULL, 0 },
};
