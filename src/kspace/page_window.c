/* SPDX-License-Identifier: MIT */
/* Page windows: frames behind pages that their owner picks. */

/*
 * The owner of a window decides which of its pages are memory; this file puts
 * frames behind them and takes them away. Two things are easily got wrong.
 *
 * Growing must not need what is growing. All tables of the window are made when
 * it is, so mapping never asks for one; frames come straight from their floor,
 * without reclaim, which could come back here.
 *
 * A frame must not go to somebody else while a CPU may still reach it by an old
 * translation; but a CPU cannot wait for the others to flush while it holds a
 * lock that they may be waiting for with interrupts off. So taking away and
 * giving back are apart:
 *
 *   unmap   clears the entries, chains the frames through their owner's words,
 *           and widens the stale range          (under the owner's lock)
 *   settle  takes the chain, flushes the range on every CPU, frees the frames
 *           (under no lock)
 *
 * The buddy heap has its frames by the block and maps them itself; for it the
 * two halves of unmap are calls of their own, and the chain has blocks, whose
 * orders are in their tags.
 *
 * Until the last settle is done, `unsettled` is not 0, and then whoever enters
 * the window forgets the stale range on his own CPU first, and who maps a page
 * that was just taken away forgets it again. A pointer into such a page leaves
 * its owner only after his own settle, which flushes everywhere.
 */
#include <loam/page_window.h>

#include "kspace_int.h"

/* Frames taken and mapped at once. */
#define WINDOW_BATCH 16u

static loam_prot_t window_prot(const struct loam_page_window *window)
{
	loam_prot_t prot = LOAM_PROT_READ | LOAM_PROT_WRITE;
	return window->kspace->pt->geometry->global != 0
		       ? prot | LOAM_PROT_GLOBAL
		       : prot;
}

static bool window_overlaps(uintptr_t base, size_t size, uintptr_t other,
			    size_t other_size)
{
	return base - other < other_size || other - base < size;
}

int loam_page_window_init(struct loam_page_window *window,
			  struct loam_kspace *kspace, uintptr_t base,
			  size_t size)
{
	const struct loam_kspace_config *config = &kspace->config;
	if (size == 0 || ((base | size) & LOAM_PAGE_MASK) != 0 ||
	    base > UINTPTR_MAX - size ||
	    window_overlaps(base, size, config->window_base,
			    config->window_size) ||
	    window_overlaps(base, size, config->temp_base, config->temp_size)) {
		return -LOAM_EINVAL;
	}
	loam_kspace_top_up(kspace, 0);
	loam_lock(&kspace->lock);
	int error = loam_pt_populate(kspace->pt, base, size);
	loam_unlock(&kspace->lock);
	if (error == 0) {
		*window = (struct loam_page_window){
			.kspace = kspace,
			.base = base,
			.size = size,
			.stale = LOAM_PFN_NONE,
		};
	}
	return error;
}

static bool window_holds(const struct loam_page_window *window,
			 const void *start, size_t size_bytes)
{
	uintptr_t offset = (uintptr_t)start - window->base;
	return offset < window->size && size_bytes <= window->size - offset &&
	       ((offset | size_bytes) & LOAM_PAGE_MASK) == 0;
}

static int window_prepare(void *window_pointer, void *start, size_t size_bytes)
{
	return window_holds(window_pointer, start, size_bytes) ? 0
							       : -LOAM_EINVAL;
}

/* -------- mapping -------- */

/* One batch: all of it, or none. */
static bool window_map_batch(struct loam_page_window *window, uintptr_t at,
			     size_t count)
{
	struct loam_kspace *kspace = window->kspace;
	loam_pfn_t pfns[WINDOW_BATCH];
	if (loam_frame_alloc_bulk(kspace->frames, count, pfns,
				  LOAM_NOSLEEP | LOAM_HIGH |
					  LOAM_OWNED_BY(LOAM_OWNER_HEAP)) !=
	    0) {
		return false;
	}
	loam_lock(&kspace->lock);
	int error = loam_pt_map_frames(kspace->pt, at, pfns, count,
				       window_prot(window));
	/* The tables are there, and so nothing is left that could fail. */
	LOAM_VERIFY(error == 0);
	window->mapped_pages += count;
	if (window->unsettled != 0) {
		loam_pt_flush_local(kspace->pt, at, count << LOAM_PAGE_SHIFT);
	}
	loam_unlock(&kspace->lock);
	return true;
}

size_t loam_page_window_map(void *window_pointer, void *start,
			    size_t count_pages)
{
	struct loam_page_window *window = window_pointer;
	LOAM_VERIFY(
		count_pages <= window->size >> LOAM_PAGE_SHIFT &&
		window_holds(window, start, count_pages << LOAM_PAGE_SHIFT));
	size_t done = 0;
	while (done < count_pages) {
		size_t n = count_pages - done;
		n = n < WINDOW_BATCH ? n : WINDOW_BATCH;
		uintptr_t at = (uintptr_t)start + (done << LOAM_PAGE_SHIFT);
		if (!window_map_batch(window, at, n)) {
			break;
		}
		done += n;
	}
	return done;
}

/* -------- unmapping -------- */

/* Leaves something to do for the next settle. */
static void window_open_locked(struct loam_page_window *window)
{
	if (window->unsettled == 0) {
		window->stale_low = UINTPTR_MAX;
		window->stale_end = 0;
	}
	if (!window->stale_open) {
		window->stale_open = true;
		window->unsettled++;
	}
}

static void window_unmap_locked(struct loam_page_window *window, uintptr_t at,
				size_t count)
{
	uintptr_t end = at + (count << LOAM_PAGE_SHIFT);
	window_open_locked(window);
	window->stale_low = at < window->stale_low ? at : window->stale_low;
	window->stale_end = end > window->stale_end ? end : window->stale_end;
	long found = loam_pt_unmap_noflush(window->kspace->pt, at,
					   count << LOAM_PAGE_SHIFT);
	LOAM_VERIFY(found == (long)count);
	window->mapped_pages -= count;
}

static void window_chain_locked(struct loam_page_window *window, loam_pfn_t pfn)
{
	window_open_locked(window);
	*loam_frame_word(window->kspace->frames, pfn) = window->stale;
	window->stale = pfn;
	window->stale_count++;
}

static void window_unmap_batch(struct loam_page_window *window, uintptr_t at,
			       size_t count)
{
	struct loam_kspace *kspace = window->kspace;
	loam_lock(&kspace->lock);
	for (size_t i = 0; i < count; i++) {
		struct loam_pt_mapping mapping;
		int error = loam_pt_query(
			kspace->pt, at + (i << LOAM_PAGE_SHIFT), &mapping);
		LOAM_VERIFY(error == 0);
		window_chain_locked(window, loam_phys_to_pfn(mapping.phys));
	}
	window_unmap_locked(window, at, count);
	loam_unlock(&kspace->lock);
}

void loam_page_window_unmap(void *window_pointer, void *start,
			    size_t count_pages)
{
	struct loam_page_window *window = window_pointer;
	LOAM_VERIFY(
		count_pages <= window->size >> LOAM_PAGE_SHIFT &&
		window_holds(window, start, count_pages << LOAM_PAGE_SHIFT));
	for (size_t done = 0; done < count_pages;) {
		size_t n = count_pages - done;
		n = n < WINDOW_BATCH ? n : WINDOW_BATCH;
		window_unmap_batch(window,
				   (uintptr_t)start + (done << LOAM_PAGE_SHIFT),
				   n);
		done += n;
	}
}

void loam_page_window_enter_slow(struct loam_page_window *window)
{
	struct loam_kspace *kspace = window->kspace;
	loam_lock(&kspace->lock);
	if (window->unsettled != 0 && window->stale_low < window->stale_end) {
		loam_pt_flush_local(kspace->pt, window->stale_low,
				    window->stale_end - window->stale_low);
	}
	loam_unlock(&kspace->lock);
}

/*
 * Somebody else may have taken the chain and not be done: the range is flushed
 * all the same, since what this caller returns may lie in it.
 */
void loam_page_window_settle_slow(struct loam_page_window *window)
{
	struct loam_kspace *kspace = window->kspace;
	loam_lock(&kspace->lock);
	loam_pfn_t next = window->stale;
	size_t count = window->stale_count;
	bool mine = window->stale_open;
	bool unsettled = window->unsettled != 0;
	uintptr_t low = window->stale_low;
	uintptr_t end = window->stale_end;
	window->stale = LOAM_PFN_NONE;
	window->stale_count = 0;
	window->stale_open = false;
	loam_unlock(&kspace->lock);
	if (unsettled && low < end) {
		loam_pt_flush(kspace->pt, low, end - low);
	}
	if (!mine) {
		return;
	}
	for (; count != 0; count--) {
		struct loam_frame_info info;
		loam_pfn_t pfn = next;
		next = *loam_frame_word(kspace->frames, pfn);
		int error = loam_frame_info(kspace->frames, pfn, &info);
		LOAM_VERIFY(error == 0);
		loam_frame_free(kspace->frames, pfn, info.order);
	}
	LOAM_VERIFY(next == LOAM_PFN_NONE);
	loam_lock(&kspace->lock);
	window->unsettled--;
	loam_unlock(&kspace->lock);
}

/* -------- the physical side -------- */

static loam_phys_t window_take_block(void *window_pointer, unsigned order)
{
	struct loam_page_window *window = window_pointer;
	loam_pfn_t pfn = loam_frame_alloc(
		window->kspace->frames, order,
		LOAM_NOSLEEP | LOAM_HIGH | LOAM_OWNED_BY(LOAM_OWNER_HEAP));
	return pfn == LOAM_PFN_NONE ? LOAM_PHYS_NONE : loam_pfn_to_phys(pfn);
}

/* The order is that of the block's tag, by which settle frees it. */
static void window_give_block(void *window_pointer, loam_phys_t block,
			      unsigned order)
{
	struct loam_page_window *window = window_pointer;
	(void)order;
	loam_lock(&window->kspace->lock);
	window_chain_locked(window, loam_phys_to_pfn(block));
	loam_unlock(&window->kspace->lock);
}

static bool window_map_block(void *window_pointer, void *start,
			     loam_phys_t block, size_t count_pages)
{
	struct loam_page_window *window = window_pointer;
	struct loam_kspace *kspace = window->kspace;
	size_t size = count_pages << LOAM_PAGE_SHIFT;
	LOAM_VERIFY(count_pages <= window->size >> LOAM_PAGE_SHIFT &&
		    window_holds(window, start, size));
	loam_lock(&kspace->lock);
	int error = loam_pt_map(kspace->pt, (uintptr_t)start, block, size,
				window_prot(window), false);
	LOAM_VERIFY(error == 0);
	window->mapped_pages += count_pages;
	if (window->unsettled != 0) {
		loam_pt_flush_local(kspace->pt, (uintptr_t)start, size);
	}
	loam_unlock(&kspace->lock);
	return true;
}

static void window_unmap_block(void *window_pointer, void *start,
			       size_t count_pages)
{
	struct loam_page_window *window = window_pointer;
	LOAM_VERIFY(
		count_pages <= window->size >> LOAM_PAGE_SHIFT &&
		window_holds(window, start, count_pages << LOAM_PAGE_SHIFT));
	loam_lock(&window->kspace->lock);
	window_unmap_locked(window, (uintptr_t)start, count_pages);
	loam_unlock(&window->kspace->lock);
}

void loam_page_window_owner(struct loam_page_window *window,
			    struct loam_heap_owner *out)
{
	*out = (struct loam_heap_owner){
		.prepare = window_prepare,
		.map_pages = loam_page_window_map,
		.unmap_pages = loam_page_window_unmap,
		.context = window,
		.take_block = window_take_block,
		.give_block = window_give_block,
		.map_block = window_map_block,
		.unmap_block = window_unmap_block,
	};
}

/* -------- looking -------- */

bool loam_page_window_has(struct loam_page_window *window, const void *address)
{
	struct loam_kspace *kspace = window->kspace;
	struct loam_pt_mapping mapping;
	if ((uintptr_t)address - window->base >= window->size) {
		return false;
	}
	loam_lock(&kspace->lock);
	int error = loam_pt_query(kspace->pt, (uintptr_t)address, &mapping);
	loam_unlock(&kspace->lock);
	return error == 0;
}

/* The first page at or after *at that is mapped, and how many follow it. */
static size_t window_next_run(struct loam_page_window *window, uintptr_t *at)
{
	uintptr_t end = window->base + window->size;
	while (*at < end && !loam_page_window_has(window, (void *)*at)) {
		*at += LOAM_PAGE_SIZE;
	}
	uintptr_t last = *at;
	while (last < end && loam_page_window_has(window, (void *)last)) {
		last += LOAM_PAGE_SIZE;
	}
	return (last - *at) >> LOAM_PAGE_SHIFT;
}

void loam_page_window_fini(struct loam_page_window *window)
{
	uintptr_t at = window->base;
	size_t count;
	while ((count = window_next_run(window, &at)) != 0) {
		loam_page_window_unmap(window, (void *)at, count);
	}
	loam_page_window_settle(window);
	LOAM_VERIFY(window->mapped_pages == 0);
	window->size = 0;
}

/* What check() counts. */
struct window_count {
	struct loam_page_window *window;
	size_t pages;
};

static int window_check_run(void *arg, uintptr_t virt, size_t size,
			    loam_phys_t phys, loam_prot_t prot,
			    size_t page_size)
{
	struct window_count *count = arg;
	(void)virt;
	LOAM_CHECK(page_size == LOAM_PAGE_SIZE);
	LOAM_CHECK((prot & LOAM_PROT_WRITE) != 0);
	LOAM_CHECK((prot & LOAM_PROT_USER) == 0);
	for (size_t at = 0; at < size; at += LOAM_PAGE_SIZE) {
		struct loam_frame_info info;
		LOAM_CHECK(loam_frame_info(count->window->kspace->frames,
					   loam_phys_to_pfn(phys + at),
					   &info) == 0);
		LOAM_CHECK(info.state == LOAM_TAG_USED &&
			   info.owner == LOAM_OWNER_HEAP);
		count->pages++;
	}
	return 0;
}

int loam_page_window_check(struct loam_page_window *window)
{
	struct loam_kspace *kspace = window->kspace;
	struct window_count count = { .window = window };
	loam_lock(&kspace->lock);
	int error = loam_pt_visit(kspace->pt, window->base,
				  window->base + window->size - 1,
				  window_check_run, &count);
	bool equal = count.pages == window->mapped_pages;
	loam_unlock(&kspace->lock);
	if (error == 0) {
		LOAM_CHECK(equal);
	}
	return error;
}
