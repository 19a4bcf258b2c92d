/* SPDX-License-Identifier: MIT */
/* A list of free pages threaded through the free pages themselves (xv6). */
#ifndef LOAM_HEAP_RUNS_H
#define LOAM_HEAP_RUNS_H

#include <loam/assert.h>
#include <loam/bitmap.h>
#include <loam/lock.h>

/*
 * Hands out pages of 4 KiB, one at a time, of any set of ranges within one
 * stretch of addresses that can be written: a part of a direct map, or a heap's
 * window. See src/heap/runs.c. It is what `loam_heap_pages` is made of, and can
 * be who hands out a kernel's frames.
 *
 * It starts in two steps, as its model does. Between loam_runs_init() and
 * loam_runs_start_locking() one CPU runs, and no lock is taken:
 *
 *	loam_runs_init(&runs, &config);
 *	loam_runs_add(&runs, kernel_end, 4 MiB);        kinit1: paging needs it
 *	...                                             paging is turned on
 *	loam_runs_add(&runs, 4 MiB, top);               kinit2: the rest
 *	loam_runs_start_locking(&runs, "pages", LOAM_RANK_ZONE);
 */

/* What a free page begins with. The rest of it is junk. */
struct loam_run {
	struct loam_run *next; /* or NULL */
};

#define LOAM_RUNS_JUNK 0x01    /* each byte of a page that was freed */
#define LOAM_RUNS_JUNK_MIN 64u /* of which there are at least so many */
#define LOAM_RUNS_MAP_WORDS(pages) LOAM_BITMAP_WORDS(pages)

struct loam_runs_config {
	/*
	 * The addresses that may ever be given to it: base is aligned to a page
	 * and not NULL, size_bytes are whole pages and do not wrap; they may
	 * end at the very top of the address space. All addresses outside are
	 * misuse, so base is where the kernel ends, and the end where RAM does.
	 */
	void *base;
	size_t size_bytes;
	/*
	 * Debug mode: LOAM_RUNS_MAP_WORDS(pages of the stretch) words of the
	 * caller's, contents undefined, for a bit a page that says it is free.
	 * With it a double free is found, a write to a free page is found when
	 * it is handed out, and loam_runs_is_free() knows the answer. NULL: as
	 * in xv6, none of this.
	 */
	uint32_t *free_map;
	/* How much of a freed page becomes junk; 0: all. LOAM_RUNS_JUNK_MIN */
	size_t junk_bytes; /* is the least, a page the most. */
	/* Misuse panics, as in xv6. Otherwise it is reported and ignored. */
	bool fatal;
};

/*
 * An instance. Open, so that its owner can embed it. Keys: c constant, l under
 * `lock` once there is locking. The counters may be read at any time.
 */
struct loam_runs {
	struct loam_run *free_list;     /* l */
	struct loam_runs_config config; /* c */
	size_t total_pages;             /* l: that it was given */
	size_t free_pages;              /* l: of these */
	size_t peak_used_pages;         /* l */
	uint64_t failed;                /* l: requests that found nothing */
	uint64_t lock_count;            /* l: times the lock was taken */
	bool locking;
	struct loam_lock lock;
};

/*
 * Makes it a list without pages, without locking. -LOAM_EINVAL, nothing
 * changed, for a stretch or junk_bytes that cannot be. O(free_map).
 */
int loam_runs_init(struct loam_runs *runs,
		   const struct loam_runs_config *config);

/*
 * Makes the stretch longer: size_bytes from its base on, whole pages, not fewer
 * than before, and not past the end of the address space (panics). In debug
 * mode, the map has room for them. The new ones are not free. O(free_map).
 */
void loam_runs_widen(struct loam_runs *runs, size_t size_bytes);

/*
 * Gives it the whole pages of [start, end), by freeing each, from the lowest
 * one up: so that the highest is the first to be handed out. What lies outside
 * the stretch is left out, and a range without a whole page (empty, reversed)
 * gives none; in debug mode, pages that are free already are reported and left
 * out. Returns how many it took. end NULL is the end of the address space.
 * O(bytes that become junk).
 */
size_t loam_runs_add(struct loam_runs *runs, void *start, void *end);

/*
 * From here on each call takes a lock of this name and rank. Before this, one
 * CPU at a time may call. The name is not copied.
 */
void loam_runs_start_locking(struct loam_runs *runs, const char *name,
			     enum loam_rank rank);

/*
 * The page that was freed last, or NULL. It has the junk of its last free, but
 * for the link in its first bytes. In debug mode, a page whose first
 * LOAM_RUNS_JUNK_MIN bytes were written since is reported, and handed out.
 * Panics if the list has been overwritten so that it leads out of the stretch.
 * Context: any, once locking. O(1).
 */
void *loam_runs_alloc(struct loam_runs *runs);

/*
 * Fills a page with junk and puts it before all others. Misuse, and ignored
 * (or a panic, see `fatal`): NULL, an address that is not a page's, one outside
 * the stretch, and in debug mode a page that is free. Without debug mode such a
 * double free is not found, and the page is handed out twice.
 * Context: any, once locking. O(junk_bytes).
 */
void loam_runs_free(struct loam_runs *runs, void *page);

/*
 * As loam_runs_free(), for those who free on behalf of `caller`, which reports
 * name.
 */
void loam_runs_free_by(struct loam_runs *runs, void *page, const void *caller);

/* True for a page of the stretch that is free; debug mode only. O(1). */
bool loam_runs_is_free(const struct loam_runs *runs, const void *page);

/*
 * 0, or -LOAM_EFAULT (logged) unless the list has as many pages as it should,
 * all of the stretch, and in debug mode exactly those that the map says. Takes
 * no lock: nobody may call meanwhile. O(free pages).
 */
int loam_runs_check(const struct loam_runs *runs);

#endif
