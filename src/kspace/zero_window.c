/* SPDX-License-Identifier: MIT */
/* Zero windows: many pages, one frame of zeros, real frames where needed. */
#include <loam/bits.h>
#include <loam/zero_window.h>

#include "kspace_int.h"

/* From so many large pages on, a block of zeros is worth its memory. */
#define ZERO_LARGE_PAGES 32u

static loam_prot_t window_prot(const struct loam_zero_window *window,
			       loam_prot_t prot)
{
	return window->kspace->pt->geometry->global != 0
		       ? prot | LOAM_PROT_GLOBAL
		       : prot;
}

/* The order of the block that the window's pages are to share. */
static unsigned window_zero_order(const struct loam_kspace *kspace, size_t size)
{
	const struct loam_pt_geometry *geometry = kspace->pt->geometry;
	unsigned order = geometry->span_shift[1];
	bool large = kspace->config.table_level != 0 &&
		     (geometry->large_levels & 2u) != 0 &&
		     order < LOAM_ORDER_COUNT &&
		     size >> (LOAM_PAGE_SHIFT + order) >= ZERO_LARGE_PAGES;
	return large ? order : 0;
}

int loam_zero_window_init(struct loam_zero_window *window,
			  struct loam_kspace *kspace, uintptr_t base,
			  size_t size)
{
	if (size == 0 || ((base | size) & LOAM_PAGE_MASK) != 0) {
		return -LOAM_EINVAL;
	}
	unsigned order = window_zero_order(kspace, size);
	loam_pfn_t zero =
		loam_frame_alloc(kspace->frames, order,
				 LOAM_ZERO | LOAM_OWNED_BY(LOAM_OWNER_META));
	if (zero == LOAM_PFN_NONE) {
		return -LOAM_ENOMEM;
	}
	*window = (struct loam_zero_window){
		.kspace = kspace,
		.base = base,
		.size = size,
		.zero = zero,
		.zero_order = order,
	};
	loam_lock(&kspace->lock);
	int error = loam_pt_map_same(kspace->pt, base, loam_pfn_to_phys(zero),
				     order, size,
				     window_prot(window, LOAM_PROT_READ));
	loam_unlock(&kspace->lock);
	if (error != 0) {
		loam_frame_free(kspace->frames, zero, order);
	}
	return error;
}

/* True if the frame is the shared one, or of the shared block. */
static bool window_shares(const struct loam_zero_window *window,
			  loam_phys_t phys)
{
	return loam_phys_to_pfn(phys) - window->zero <
	       (loam_pfn_t)1 << window->zero_order;
}

/* True if the page is still the shared one. */
static bool window_is_zero_locked(const struct loam_zero_window *window,
				  uintptr_t page)
{
	struct loam_pt_mapping mapping;
	int error = loam_pt_query(window->kspace->pt, page, &mapping);
	LOAM_VERIFY(error == 0);
	return window_shares(window, mapping.phys);
}

/*
 * Puts the frame behind the page, if that is still the shared one. This CPU
 * forgets the old translation under the lock, so that its interrupts never
 * meet it; others are asked afterwards, and until they have answered
 * `flushing` tells whoever finds the page real that it may not be so for them.
 */
static int window_replace(struct loam_zero_window *window, uintptr_t page,
			  loam_pfn_t pfn, bool *replaced)
{
	struct loam_kspace *kspace = window->kspace;
	int error = 0;
	loam_lock(&kspace->lock);
	*replaced = window_is_zero_locked(window, page);
	if (*replaced) {
		error = loam_pt_remap_noflush(
			kspace->pt, page, loam_pfn_to_phys(pfn),
			window_prot(window, LOAM_PROT_READ | LOAM_PROT_WRITE));
		*replaced = error == 0;
	}
	if (*replaced) {
		loam_pt_flush_local(kspace->pt, page, LOAM_PAGE_SIZE);
		window->real_pages++;
		window->flushing++;
	}
	loam_unlock(&kspace->lock);
	return error;
}

/* Asks the other CPUs; no lock may be held. */
static void window_flush_others(struct loam_zero_window *window, uintptr_t page)
{
	struct loam_kspace *kspace = window->kspace;
	loam_pt_flush(kspace->pt, page, LOAM_PAGE_SIZE);
	loam_lock(&kspace->lock);
	window->flushing--;
	loam_unlock(&kspace->lock);
}

/* Where it is noted that the page is real. */
static uintptr_t *window_known(struct loam_zero_window *window, uintptr_t page)
{
	return &window->known[(page >> LOAM_PAGE_SHIFT) % LOAM_ZERO_KNOWN];
}

/* Makes the page real: loam_zero_window_back() of one that is not known. */
static int window_back(struct loam_zero_window *window, uintptr_t page,
		       loam_flags_t flags)
{
	struct loam_kspace *kspace = window->kspace;
	loam_lock(&kspace->lock);
	bool zero = window_is_zero_locked(window, page);
	bool flushing = window->flushing != 0;
	loam_unlock(&kspace->lock);
	if (!zero) {
		if (flushing) {
			loam_pt_flush(kspace->pt, page, LOAM_PAGE_SIZE);
		}
		return 0;
	}
	/* No lock is held while memory is looked for: look again after. */
	loam_kspace_top_up(kspace, flags);
	loam_pfn_t pfn =
		loam_frame_alloc(kspace->frames, 0,
				 LOAM_ZERO | (flags & LOAM_NOSLEEP) |
					 LOAM_OWNED_BY(LOAM_OWNER_META));
	if (pfn == LOAM_PFN_NONE) {
		return -LOAM_ENOMEM;
	}
	bool replaced;
	int error = window_replace(window, page, pfn, &replaced);
	if (replaced) {
		window_flush_others(window, page);
	} else {
		loam_frame_free(kspace->frames, pfn, 0);
		if (error == 0) {
			/* Somebody else was first, and may not be done yet. */
			loam_pt_flush(kspace->pt, page, LOAM_PAGE_SIZE);
		}
	}
	return error;
}

int loam_zero_window_back(void *window_pointer, void *address,
			  loam_flags_t flags)
{
	struct loam_zero_window *window = window_pointer;
	uintptr_t page = (uintptr_t)address & ~(uintptr_t)LOAM_PAGE_MASK;
	uintptr_t *known = window_known(window, page);
	if (__atomic_load_n(known, __ATOMIC_ACQUIRE) == (page | 1)) {
		return 0;
	}
	if (page - window->base >= window->size) {
		return -LOAM_EINVAL;
	}
	int error = window_back(window, page, flags);
	if (error == 0) {
		/* It is for every CPU from here on, and stays so. */
		__atomic_store_n(known, page | 1, __ATOMIC_RELEASE);
	}
	return error;
}

struct window_count {
	const struct loam_zero_window *window;
	size_t pages;
	size_t real;
};

/* A run of pages alike: all shared and read-only, or all real. */
static int window_check_run(void *arg, uintptr_t virt, size_t size,
			    loam_phys_t phys, loam_prot_t prot,
			    size_t page_size)
{
	struct window_count *count = arg;
	bool writable = (prot & LOAM_PROT_WRITE) != 0;
	bool shared = window_shares(count->window, phys);
	(void)virt;
	(void)page_size;
	LOAM_CHECK(writable != shared);
	LOAM_CHECK(!shared ||
		   window_shares(count->window, phys + size - LOAM_PAGE_SIZE));
	LOAM_CHECK((prot & LOAM_PROT_USER) == 0);
	count->pages += size >> LOAM_PAGE_SHIFT;
	count->real += shared ? 0 : size >> LOAM_PAGE_SHIFT;
	return 0;
}

static int window_check_locked(const struct loam_zero_window *window)
{
	struct window_count count = { .window = window };
	LOAM_CHECK(loam_pt_visit(window->kspace->pt, window->base,
				 window->base + (window->size - 1),
				 window_check_run, &count) == 0);
	LOAM_CHECK(count.pages == window->size >> LOAM_PAGE_SHIFT);
	LOAM_CHECK(count.real == window->real_pages);
	return 0;
}

int loam_zero_window_check(struct loam_zero_window *window)
{
	loam_lock(&window->kspace->lock);
	int error = window_check_locked(window);
	loam_unlock(&window->kspace->lock);
	return error;
}
