/* SPDX-License-Identifier: MIT */
/* A window of kernel addresses that reads as zeros until pages become real. */
#ifndef LOAM_ZERO_WINDOW_H
#define LOAM_ZERO_WINDOW_H

#include <loam/kspace.h>

/*
 * Part of the kspace floor. A large, sparsely used table (the slab floor's
 * shadow) gets a window of addresses. All of its pages are mapped read-only to
 * one frame of zeros; a page gets a frame of its own when it is first needed.
 * So every address of the window can be read at any time, and memory is spent
 * only where something is written. Pages that became real stay so.
 *
 * Where tables come with what is mapped (config.table_level) and the window is
 * large, the zeros are a block as large as a large page, and the window is made
 * of large pages that all show it: one entry for 2 MiB, so that the shadow
 * of terabytes costs little. A page that becomes real splits its large page.
 * Fields: c constant after init, k under kspace->lock, a atomic.
 */
#define LOAM_ZERO_KNOWN 64u

struct loam_zero_window {
	struct loam_kspace *kspace; /* c */
	uintptr_t base;             /* c */
	size_t size;                /* c: bytes, whole pages */
	loam_pfn_t zero;            /* c: the block that all pages share */
	unsigned zero_order;        /* c: of that block, 2^order frames */
	size_t real_pages;          /* k */
	unsigned flushing;          /* k: pages that other CPUs may see stale */
	/*
	 * a: what was asked for last of the pages that are real for every CPU:
	 * each at its number modulo LOAM_ZERO_KNOWN, with bit 0 set.
	 */
	uintptr_t known[LOAM_ZERO_KNOWN];
};

/*
 * Maps the window, which must lie outside of kspace's own windows and be
 * unmapped. -LOAM_EINVAL, or -LOAM_ENOMEM with nothing left mapped.
 * Cost: O(pages), large ones where they are used, and no other memory.
 */
int loam_zero_window_init(struct loam_zero_window *window,
			  struct loam_kspace *kspace, uintptr_t base,
			  size_t size);

/*
 * Makes the page that holds `address` private, writable and zero, unless it
 * is already, for every CPU. window is a void pointer so that this can serve
 * as a callback. flags: LOAM_NOSLEEP.
 * -LOAM_EINVAL outside of the window, -LOAM_ENOMEM. Takes kspace->lock, and
 * asks other CPUs to flush without it: no lock may be held. Cost: O(levels), a
 * dozen instructions for a page that was asked for lately.
 */
int loam_zero_window_back(void *window, void *address, loam_flags_t flags);

/* 0, or -LOAM_EFAULT (logged): each page is shared and read-only, or real. */
int loam_zero_window_check(struct loam_zero_window *window);

#endif
