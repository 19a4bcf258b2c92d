/* SPDX-License-Identifier: MIT */
/* A window of kernel addresses whose pages come and go one run at a time. */
#ifndef LOAM_PAGE_WINDOW_H
#define LOAM_PAGE_WINDOW_H

#include <loam/heap.h>
#include <loam/kspace.h>

/*
 * Part of the kspace floor. Who manages a range of addresses himself (a
 * classic heap with a break) asks the window for frames behind some of its
 * pages, and gives them back. The page tables of all of it are there before the
 * first page is, so that neither needs memory for one (S0.10).
 *
 * A window has no lock: that of its owner protects map and unmap. Other CPUs
 * cannot be asked to flush under that lock, so an unmap only sets the frames
 * aside. The owner calls
 *   loam_page_window_enter()   first thing after taking his lock,
 *   loam_page_window_settle()  after giving it back, before he returns:
 * the latter flushes, and only then do the frames go to somebody else.
 *
 * Fields: c constant after init, k under kspace->lock.
 */
struct loam_page_window {
	struct loam_kspace *kspace; /* c */
	uintptr_t base;             /* c */
	size_t size;                /* c: bytes, whole pages */
	size_t mapped_pages;        /* k */
	/* Blocks given back, not flushed: a chain through the heads' words. */
	bool stale_open;     /* k: there is something for a settle to do */
	loam_pfn_t stale;    /* k */
	size_t stale_count;  /* k */
	uintptr_t stale_low; /* k: the addresses that were unmapped */
	uintptr_t stale_end; /* k */
	/* Settles that are due or not done; a hint without the lock. */
	volatile unsigned unsettled; /* k */
};

/*
 * Starts a window of [base, base + size), outside of kspace's own windows and
 * unmapped. Populates its page tables as far as they are not there yet.
 * -LOAM_EINVAL, -LOAM_ENOMEM with nothing changed. Cost: O(tables).
 */
int loam_page_window_init(struct loam_page_window *window,
			  struct loam_kspace *kspace, uintptr_t base,
			  size_t size);

/*
 * The window as the owner of a heap's pages, with a physical side. A range must
 * lie in the window, be whole pages, and have none (all) of its pages mapped:
 * panics otherwise. Frames of any kind serve, never by reclaim, labelled
 * LOAM_OWNER_HEAP. Cost: O(pages) for each call.
 */
void loam_page_window_owner(struct loam_page_window *window,
			    struct loam_heap_owner *out);

/* map_pages and unmap_pages of it, for owners of windows without a heap. */
size_t loam_page_window_map(void *window, void *start, size_t count_pages);
void loam_page_window_unmap(void *window, void *start, size_t count_pages);

/* Forgets, on this CPU, what other CPUs have taken away but not flushed. */
static inline void loam_page_window_enter(struct loam_page_window *window);

/*
 * Flushes what was unmapped, on every CPU, and gives the frames back. No lock
 * may be held. Cost: one test when there is nothing to do.
 */
static inline void loam_page_window_settle(struct loam_page_window *window);

/* True if the page that holds address is mapped. Takes kspace->lock. */
bool loam_page_window_has(struct loam_page_window *window, const void *address);

/*
 * Ends a window: unmaps what is mapped, flushes, and frees. The tables stay.
 */
void loam_page_window_fini(struct loam_page_window *window);

/*
 * 0, or -LOAM_EFAULT (logged): as many pages as were mapped, each writable,
 * none the user's, each on a frame of a heap's. O(pages).
 */
int loam_page_window_check(struct loam_page_window *window);

/* What the two do when there is something to do. */
void loam_page_window_enter_slow(struct loam_page_window *window);
/* See above. */
void loam_page_window_settle_slow(struct loam_page_window *window);

static inline void loam_page_window_enter(struct loam_page_window *window)
{
	if (window->unsettled != 0) {
		loam_page_window_enter_slow(window);
	}
}

static inline void loam_page_window_settle(struct loam_page_window *window)
{
	if (window->unsettled != 0) {
		loam_page_window_settle_slow(window);
	}
}

#endif
