/* SPDX-License-Identifier: MIT */
/* The page list's two steps, inline: for itself and for the page heap. */
#ifndef LOAM_RUNS_INT_H
#define LOAM_RUNS_INT_H

#include <loam/bits.h>
#include <loam/heap_runs.h>
#include <loam/mem.h>

static inline uintptr_t runs_base(const struct loam_runs *runs)
{
	return (uintptr_t)runs->config.base;
}

static inline size_t runs_stretch_pages(const struct loam_runs *runs)
{
	return runs->config.size_bytes >> LOAM_PAGE_SHIFT;
}

static inline size_t runs_index(const struct loam_runs *runs, const void *page)
{
	return ((uintptr_t)page - runs_base(runs)) >> LOAM_PAGE_SHIFT;
}

/* True for the address of a page of the stretch. */
static inline bool runs_is_page(const struct loam_runs *runs, const void *at)
{
	return (uintptr_t)at % LOAM_PAGE_SIZE == 0 &&
	       (uintptr_t)at - runs_base(runs) < runs->config.size_bytes;
}

/* The first bytes of a page that was freed, but for the link, as words. */
#define RUNS_JUNK_WORD (~0ul / 255 * LOAM_RUNS_JUNK)
#define RUNS_WORDS (LOAM_RUNS_JUNK_MIN / sizeof(unsigned long))
LOAM_STATIC_ASSERT(sizeof(struct loam_run) == sizeof(unsigned long),
		   "the link is the first of them");

/* True unless the start of a free page is other than free left it. */
static inline bool runs_is_junk(const struct loam_run *run)
{
	unsigned long differ = 0;
#pragma GCC unroll 16
	for (size_t i = 1; i < RUNS_WORDS; i++) {
		unsigned long word;
		__builtin_memcpy(&word, (const char *)run + i * sizeof(word),
				 sizeof(word));
		differ |= word ^ RUNS_JUNK_WORD;
	}
	return differ == 0;
}

static inline void runs_fill(void *page, size_t junk_bytes)
{
	if (LOAM_LIKELY(junk_bytes == LOAM_RUNS_JUNK_MIN)) {
		__builtin_memset(page, LOAM_RUNS_JUNK, LOAM_RUNS_JUNK_MIN);
	} else {
		memset(page, LOAM_RUNS_JUNK, junk_bytes);
	}
}

/* Puts a page into the list; false, and no change, if it is there already. */
static inline bool runs_push(struct loam_runs *runs, void *page)
{
	const struct loam_runs_config *config = &runs->config;
	struct loam_run *run = page;
	if (config->free_map != NULL) {
		size_t index = runs_index(runs, page);
		if (LOAM_UNLIKELY(loam_bitmap_test(config->free_map, index))) {
			return false;
		}
		loam_bitmap_set(config->free_map, index);
	}
	runs_fill(page, config->junk_bytes);
	run->next = runs->free_list;
	runs->free_list = run;
	runs->free_pages++;
	return true;
}

/*
 * Takes the first page off the list, or NULL. *written: it is not as its free
 * left it, as far as debug mode looks.
 */
static inline struct loam_run *runs_pop(struct loam_runs *runs, bool *written)
{
	uint32_t *free_map = runs->config.free_map;
	struct loam_run *run = runs->free_list;
	*written = false;
	if (LOAM_UNLIKELY(run == NULL)) {
		return NULL;
	}
	struct loam_run *next = run->next;
	/* Who wrote to a free page may have written over the link. */
	LOAM_VERIFY(next == NULL || runs_is_page(runs, next));
	/* The next request will read it, and it is as far away as any page. */
	__builtin_prefetch(next, 1);
	if (free_map != NULL) {
		*written = !runs_is_junk(run);
		loam_bitmap_clear(free_map, runs_index(runs, run));
	}
	runs->free_list = next;
	runs->free_pages--;
	size_t used = runs->total_pages - runs->free_pages;
	if (used > runs->peak_used_pages) {
		runs->peak_used_pages = used;
	}
	return run;
}

/* Reports what runs_pop() found. */
void loam_runs_report_written(const void *page, const void *caller);

#endif
