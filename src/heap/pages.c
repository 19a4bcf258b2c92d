/* SPDX-License-Identifier: MIT */
/* The page heap: xv6's list of free pages behind the interface of heaps. */
#include "heap_int.h"
#include "runs_int.h"

/*
 * One page for each block
 * =======================
 *
 *   start        first                                       mapped
 *   |  map       | page | page | page | ...            | page |  unmapped
 *
 * A block is a page, whatever its size up to 4096 bytes; larger requests are
 * refused. Free pages are kept by a page list (loam/heap_runs.h, and runs.c for
 * the algorithm): threaded through themselves, last in first out. The map is
 * that of the list's debug mode, a bit a page, at the start of the range.
 *
 * The range is given to the list step by step, as xv6 gives it memory in two:
 * when no page is free, 16 more are mapped and freed, or one where there is
 * no memory for 16. The list does not know which of its pages are neighbours,
 * so it cannot give back the upper ones alone; when no block is live any more,
 * all but the first 16 pages are returned and the list is made anew.
 *
 * A freed page gets its first 64 bytes filled with junk, or as many as the
 * heap's configuration says; with 4096 it is xv6's kfree().
 *
 * Cost: alloc and free O(1), one line of the page and one of the map; 16 pages
 * are linked in one go once in 16 requests at most. A request of s bytes wastes
 * 4096 - s; there is no other fragmentation.
 *
 * Sources: kalloc.c of xv6 and its book; see runs.c.
 *
 * Invariants, all verified by check:
 *
 *   - the list is sound, and exactly its pages are not live;
 *   - the list was given the pages [0, mapped), which are the mapped ones, with
 *     those of the map before them.
 */

#define PAGES_SIZE ((size_t)LOAM_PAGE_SIZE)

static inline unsigned char *pages_at(const struct loam_heap *heap,
				      size_t index)
{
	return heap->pages.first + index * PAGES_SIZE;
}

/* True for the address of a page, live or free. */
static inline bool pages_is_page(const struct loam_heap *heap,
				 const void *address)
{
	const struct loam_heap_pages *pages = &heap->pages;
	uintptr_t offset = (uintptr_t)address - (uintptr_t)pages->first;
	return offset < pages->mapped * PAGES_SIZE && offset % PAGES_SIZE == 0;
}

/* True for the address of a page that is live. */
static inline bool pages_is_live(const struct loam_heap *heap,
				 const void *address)
{
	return pages_is_page(heap, address) &&
	       !loam_runs_is_free(&heap->pages.runs, address);
}

/* As above; if it is not, that is reported. */
static bool pages_find(const struct loam_heap *heap, const void *address,
		       const char *verb, const void *caller)
{
	if (LOAM_LIKELY(pages_is_live(heap, address))) {
		return true;
	}
	loam_heap_misuse(heap, caller, verb, address);
	return false;
}

/* Makes `count` more pages memory and gives them to the list. */
static bool pages_map(struct loam_heap *heap, size_t count)
{
	struct loam_heap_pages *pages = &heap->pages;
	unsigned char *from = pages_at(heap, pages->mapped);
	if (!loam_heap_map(heap, from, count)) {
		return false;
	}
	pages->mapped += count;
	(void)loam_runs_add(&pages->runs, from, pages_at(heap, pages->mapped));
	return true;
}

static bool pages_grow(struct loam_heap *heap)
{
	size_t left = heap->pages.total - heap->pages.mapped;
	size_t ask = left < HEAP_SLACK_PAGES ? left : HEAP_SLACK_PAGES;
	return left > 0 && (pages_map(heap, ask) || pages_map(heap, 1));
}

/* With nothing live: starts afresh with the first few pages. */
static void pages_shrink(struct loam_heap *heap)
{
	struct loam_heap_pages *pages = &heap->pages;
	if (pages->mapped <= HEAP_SLACK_PAGES) {
		return;
	}
	loam_heap_unmap(heap, pages_at(heap, HEAP_SLACK_PAGES),
			pages->mapped - HEAP_SLACK_PAGES);
	pages->mapped = HEAP_SLACK_PAGES;
	struct loam_runs_config config = pages->runs.config;
	(void)loam_runs_init(&pages->runs, &config);
	(void)loam_runs_add(&pages->runs, pages->first,
			    pages_at(heap, pages->mapped));
}

/* ------------------------------------------------------- operations */

static int pages_create(struct loam_heap *heap,
			const struct loam_heap_config *config)
{
	struct loam_heap_pages *pages = &heap->pages;
	size_t all = heap->size_bytes >> LOAM_PAGE_SHIFT;
	size_t map_pages =
		loam_pages_of(LOAM_RUNS_MAP_WORDS(all) * sizeof(uint32_t));
	struct loam_runs_config runs = {
		.base = heap->start + map_pages * PAGES_SIZE,
		.size_bytes = heap->size_bytes - map_pages * PAGES_SIZE,
		.free_map = (void *)heap->start,
		.junk_bytes = config->junk_bytes == 0 ? LOAM_RUNS_JUNK_MIN
						      : config->junk_bytes,
	};
	if (map_pages >= all || runs.junk_bytes < LOAM_RUNS_JUNK_MIN ||
	    runs.junk_bytes > LOAM_PAGE_SIZE) {
		return -LOAM_EINVAL;
	}
	if (!loam_heap_map(heap, heap->start, map_pages)) {
		return -LOAM_ENOMEM;
	}
	pages->first = runs.base;
	pages->total = all - map_pages;
	int error = loam_runs_init(&pages->runs, &runs);
	/* One page is had at once: who cannot give that cannot give any. */
	if (error != 0 || !pages_map(heap, 1)) {
		loam_heap_unmap(heap, heap->start, map_pages);
		return error != 0 ? error : -LOAM_ENOMEM;
	}
	return 0;
}

static void pages_destroy(struct loam_heap *heap)
{
	loam_heap_unmap(heap, heap->start, heap->mapped_pages);
}

/* Reports a page that was written while free; it is sound for all that. */
static LOAM_NOINLINE void *pages_written(void *page, const void *caller)
{
	loam_runs_report_written(page, caller);
	return page;
}

static void *pages_alloc(struct loam_heap *heap, size_t size_bytes)
{
	struct loam_heap_pages *pages = &heap->pages;
	if (size_bytes == 0) {
		return NULL;
	}
	if (size_bytes > PAGES_SIZE ||
	    (pages->runs.free_list == NULL && !pages_grow(heap))) {
		heap->failed++;
		return NULL;
	}
	heap_count_alloc(heap, PAGES_SIZE);
	bool written;
	void *page = runs_pop(&pages->runs, &written);
	return LOAM_LIKELY(!written) ? page
				     : pages_written(page, LOAM_CALLER());
}

static void pages_free(struct loam_heap *heap, void *address,
		       const void *caller)
{
	/* Far away in most cases: it is on its way while the map is read. */
	__builtin_prefetch(address, 1);
	if (address == NULL) {
		return;
	}
	/* What the list has already was not live. */
	if (LOAM_UNLIKELY(!pages_is_page(heap, address) ||
			  !runs_push(&heap->pages.runs, address))) {
		loam_heap_misuse(heap, caller, "free", address);
		return;
	}
	heap_count_free(heap, PAGES_SIZE);
	if (heap->live_blocks == 0) {
		pages_shrink(heap);
	}
}

static void *pages_resize(struct loam_heap *heap, void *address,
			  size_t size_bytes, const void *caller)
{
	if (address == NULL) {
		return pages_alloc(heap, size_bytes);
	}
	if (size_bytes == 0) {
		pages_free(heap, address, caller);
		return NULL;
	}
	if (!pages_find(heap, address, "resize", caller)) {
		return NULL;
	}
	if (size_bytes > PAGES_SIZE) {
		heap->failed++;
		return NULL;
	}
	return address;
}

static size_t pages_usable(const struct loam_heap *heap, const void *address,
			   const void *caller)
{
	return pages_find(heap, address, "usable", caller) ? PAGES_SIZE : 0;
}

static bool pages_walk(const struct loam_heap *heap,
		       struct loam_heap_block *out)
{
	const struct loam_heap_pages *pages = &heap->pages;
	unsigned char *at = pages->first;
	if (out->address != NULL) {
		at = out->address + PAGES_SIZE;
	}
	if (at == pages_at(heap, pages->mapped)) {
		return false;
	}
	*out = (struct loam_heap_block){
		.address = at,
		.size_bytes = PAGES_SIZE,
		.state = pages_is_live(heap, at) ? LOAM_HEAP_LIVE
						 : LOAM_HEAP_FREE,
	};
	return true;
}

static int pages_check(const struct loam_heap *heap)
{
	const struct loam_heap_pages *pages = &heap->pages;
	size_t own = (size_t)(pages->first - heap->start) >> LOAM_PAGE_SHIFT;
	LOAM_CHECK(pages->mapped <= pages->total);
	LOAM_CHECK(own + pages->mapped == heap->mapped_pages);
	LOAM_CHECK(pages->runs.total_pages == pages->mapped);
	int error = loam_runs_check(&pages->runs);
	return error != 0 ? error : loam_heap_check_counters(heap);
}

const struct loam_heap_ops loam_heap_pages = {
	.name = "pages",
	.max_bytes = LOAM_PAGE_SIZE,
	.align_bytes = LOAM_PAGE_SIZE,
	.create = pages_create,
	.alloc = pages_alloc,
	.free = pages_free,
	.resize = pages_resize,
	.usable = pages_usable,
	.walk = pages_walk,
	.check = pages_check,
	.destroy = pages_destroy,
};
