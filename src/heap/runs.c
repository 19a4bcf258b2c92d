/* SPDX-License-Identifier: MIT */
/* The page list: free pages of 4 KiB, threaded through themselves. */
#include "runs_int.h"

/*
 * xv6's page allocator
 * ====================
 *
 *   base                                                    base + size
 *   | free  | live  | free  |  never given  | free  | free  |
 *   | next, |       | next, |               | next, | next, |<- free_list
 *   | junk  |       | junk  |               | junk  | junk  |
 *     |  ^____________|  ^____________________|  ^____|
 *     v
 *    NULL
 *
 * A free page holds, in its first word, the address of the next free one
 * (struct run), so that the list needs no memory and has no limit. A page that
 * is handed out carries nothing: its address is the page's. The page that was
 * freed last is handed out first. Initialisation is freeing: a range is given
 * page by page from its lowest address up, therefore handed out from its
 * highest one down, and what was given last comes first.
 *
 * A freed page is filled with junk, bytes of 1, so that who still reads it
 * finds no data, and who follows a pointer in it no memory. That costs more
 * than all the rest together, so a user who cannot afford it fills less: the
 * first 64 bytes, one line of the cache, which the link touches anyway.
 *
 * There are two steps, because locks, in its model, depend on paging and on the
 * other CPUs' being up: until loam_runs_start_locking() nothing is locked.
 *
 * Debug mode adds what the model does not have: a bit for each page of the
 * stretch, which says whether the page is free. A free of a free page is found
 * by it, exactly and at once; a page that is handed out is looked at for writes
 * by its former user; and check can compare map and list.
 *
 * Cost: alloc reads one line of the page, free writes junk_bytes of it. The
 * list wastes nothing but what a user does not need of its page, and pages are
 * all alike, so that there is no external fragmentation. Runs of adjacent pages
 * cannot be had: the list does not know about neighbours.
 *
 * Sources: kalloc.c of xv6, and the chapter on physical memory allocation of
 * its book (Cox, Kaashoek, Morris). The code is not xv6's.
 *
 * Invariants, all verified by check:
 *
 *   - the list has free_pages entries, each a page of the stretch, and ends;
 *   - in debug mode the map has exactly their bits set, so none is twice there;
 *   - free_pages <= total_pages, which are no more than the stretch has.
 */

static inline void runs_lock(struct loam_runs *runs)
{
	if (runs->locking) {
		loam_lock(&runs->lock);
		runs->lock_count++;
	}
}

static inline void runs_unlock(struct loam_runs *runs)
{
	if (runs->locking) {
		loam_unlock(&runs->lock);
	}
}

/* Reports a wrong free, or stops the machine, as the instance wants it. */
static void runs_misuse(const struct loam_runs *runs, const void *caller,
			const void *page, const char *what)
{
	if (runs->config.fatal) {
		loam_panic("page list: free of %p: %s, called from %p", page,
			   what, caller);
	}
	loam_misuse(caller, "page list: free of %p: %s", page, what);
}

/* What is wrong with an address that is to be freed, whatever the map says. */
static const char *runs_find_wrong(const struct loam_runs *runs,
				   const void *page)
{
	if (page == NULL) {
		return "no page";
	}
	if ((uintptr_t)page % LOAM_PAGE_SIZE != 0) {
		return "misaligned";
	}
	if ((uintptr_t)page < runs_base(runs)) {
		return "below the pages it has";
	}
	return runs_is_page(runs, page) ? NULL : "above the pages it has";
}

int loam_runs_init(struct loam_runs *runs,
		   const struct loam_runs_config *config)
{
	uintptr_t base = (uintptr_t)config->base;
	size_t size = config->size_bytes;
	size_t junk =
		config->junk_bytes == 0 ? LOAM_PAGE_SIZE : config->junk_bytes;
	if (base == 0 || base % LOAM_PAGE_SIZE != 0 || size == 0 ||
	    size % LOAM_PAGE_SIZE != 0 || size - 1 > (uintptr_t)-1 - base ||
	    junk < LOAM_RUNS_JUNK_MIN || junk > LOAM_PAGE_SIZE) {
		return -LOAM_EINVAL;
	}
	*runs = (struct loam_runs){ .config = *config };
	runs->config.junk_bytes = junk;
	if (config->free_map != NULL) {
		size_t words = LOAM_RUNS_MAP_WORDS(runs_stretch_pages(runs));
		memset(config->free_map, 0, words * sizeof(uint32_t));
	}
	return 0;
}

void loam_runs_widen(struct loam_runs *runs, size_t size_bytes)
{
	struct loam_runs_config *config = &runs->config;
	size_t had = LOAM_RUNS_MAP_WORDS(runs_stretch_pages(runs));
	LOAM_VERIFY(size_bytes >= config->size_bytes &&
		    size_bytes % LOAM_PAGE_SIZE == 0 &&
		    size_bytes - 1 <= (uintptr_t)-1 - runs_base(runs));
	runs_lock(runs);
	config->size_bytes = size_bytes;
	if (config->free_map != NULL) {
		size_t words = LOAM_RUNS_MAP_WORDS(runs_stretch_pages(runs));
		memset(config->free_map + had, 0,
		       (words - had) * sizeof(uint32_t));
	}
	runs_unlock(runs);
}

size_t loam_runs_add(struct loam_runs *runs, void *start, void *end)
{
	/* Everything in pages of the address space, so that nothing wraps. */
	uintptr_t first = ((uintptr_t)start >> LOAM_PAGE_SHIFT) +
			  ((uintptr_t)start % LOAM_PAGE_SIZE != 0);
	uintptr_t behind = ((uintptr_t)end - (end == NULL)) >> LOAM_PAGE_SHIFT;
	uintptr_t low = runs_base(runs) >> LOAM_PAGE_SHIFT;
	uintptr_t high = low + runs_stretch_pages(runs);
	size_t added = 0;
	behind += end == NULL;
	first = first > low ? first : low;
	behind = behind < high ? behind : high;
	for (; first < behind; first++) {
		void *page = (void *)(first << LOAM_PAGE_SHIFT);
		runs_lock(runs);
		bool fresh = runs_push(runs, page);
		runs->total_pages += fresh;
		runs_unlock(runs);
		if (!fresh) {
			runs_misuse(runs, LOAM_CALLER(), page, "already free");
		}
		added += fresh;
	}
	return added;
}

void loam_runs_start_locking(struct loam_runs *runs, const char *name,
			     enum loam_rank rank)
{
	loam_lock_init(&runs->lock, name, rank);
	runs->locking = true;
}

void loam_runs_report_written(const void *page, const void *caller)
{
	loam_misuse(caller, "page list: page %p was written after its free",
		    page);
}

void *loam_runs_alloc(struct loam_runs *runs)
{
	bool written;
	runs_lock(runs);
	struct loam_run *run = runs_pop(runs, &written);
	runs->failed += run == NULL;
	runs_unlock(runs);
	if (LOAM_UNLIKELY(written)) {
		loam_runs_report_written(run, LOAM_CALLER());
	}
	return run;
}

void loam_runs_free_by(struct loam_runs *runs, void *page, const void *caller)
{
	const char *wrong = NULL;
	if (LOAM_UNLIKELY(page == NULL || !runs_is_page(runs, page))) {
		wrong = runs_find_wrong(runs, page);
	} else {
		runs_lock(runs);
		if (!runs_push(runs, page)) {
			wrong = "already free";
		}
		runs_unlock(runs);
	}
	if (LOAM_UNLIKELY(wrong != NULL)) {
		runs_misuse(runs, caller, page, wrong);
	}
}

void loam_runs_free(struct loam_runs *runs, void *page)
{
	loam_runs_free_by(runs, page, LOAM_CALLER());
}

bool loam_runs_is_free(const struct loam_runs *runs, const void *page)
{
	return runs->config.free_map != NULL && runs_is_page(runs, page) &&
	       loam_bitmap_test(runs->config.free_map, runs_index(runs, page));
}

int loam_runs_check(const struct loam_runs *runs)
{
	const uint32_t *free_map = runs->config.free_map;
	size_t count = 0;
	LOAM_CHECK(runs->total_pages <= runs_stretch_pages(runs));
	LOAM_CHECK(runs->free_pages <= runs->total_pages);
	for (const struct loam_run *run = runs->free_list; run != NULL;
	     run = run->next) {
		LOAM_CHECK(runs_is_page(runs, run));
		LOAM_CHECK(free_map == NULL || loam_runs_is_free(runs, run));
		LOAM_CHECK(count < runs->free_pages);
		count++;
	}
	LOAM_CHECK(count == runs->free_pages);
	/* As many bits as entries, each with its bit: none is there twice. */
	LOAM_CHECK(free_map == NULL ||
		   loam_bitmap_count(free_map, runs_stretch_pages(runs)) ==
			   count);
	return 0;
}
