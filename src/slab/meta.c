/* SPDX-License-Identifier: MIT */
/* Memory for slab descriptors and magazines, in units of 64 bytes. */
#include "slab_int.h"

/*
 * A page is 64 units; the first is the page's own header. Runs of units are
 * found in a 64-bit map of free units, kept as two words. Descriptors live
 * apart from objects, so an overrun of an object does not reach them.
 */
struct meta_page {
	struct loam_list link; /* on the instance's list while free != 0 */
	uint64_t free;         /* bit u: unit u is free */
};
LOAM_STATIC_ASSERT(sizeof(struct meta_page) <= LOAM_SLAB_UNIT,
		   "the header fits its unit");

#define META_UNITS (LOAM_PAGE_SIZE / LOAM_SLAB_UNIT)
#define META_ALL_FREE (~(uint64_t)1)

void loam_slab_meta_init(struct loam_slabs *slabs)
{
	loam_lock_init(&slabs->meta.lock, "slab descriptors",
		       LOAM_RANK_SLAB_META);
	loam_list_init(&slabs->meta.pages);
	slabs->meta.page_count = 0;
	slabs->meta.used_units = 0;
}

static unsigned meta_units(size_t size_bytes)
{
	return (unsigned)((size_bytes + LOAM_SLAB_UNIT - 1) / LOAM_SLAB_UNIT);
}

static uint64_t meta_mask(unsigned first, unsigned units)
{
	return (((uint64_t)1 << units) - 1) << first;
}

/* First unit of a free run, or 0 (the header's place) if there is none. */
static unsigned meta_find_run(uint64_t free, unsigned units)
{
	/* After each step bit u says that the `run` units from u are free. */
	unsigned run = 1;
	while (run < units && free != 0) {
		unsigned step = run < units - run ? run : units - run;
		free &= free >> step;
		run += step;
	}
	if (free == 0) {
		return 0;
	}
	uint32_t low = (uint32_t)free;
	return low != 0 ? loam_lowest_bit(low)
			: 32 + loam_lowest_bit((uint32_t)(free >> 32));
}

static struct meta_page *meta_page_of(void *memory)
{
	return (struct meta_page *)((uintptr_t)memory &
				    ~(uintptr_t)LOAM_PAGE_MASK);
}

/* Takes a run from any page that has one. */
static void *meta_take_locked(struct loam_slab_meta *meta, unsigned units)
{
	struct loam_list *link;
	LOAM_LIST_EACH(link, &meta->pages)
	{
		struct meta_page *page =
			LOAM_CONTAINER(link, struct meta_page, link);
		unsigned first = meta_find_run(page->free, units);
		if (first == 0) {
			continue;
		}
		page->free &= ~meta_mask(first, units);
		meta->used_units += units;
		if (page->free == 0) {
			loam_list_remove(&page->link);
		}
		return (char *)page + first * LOAM_SLAB_UNIT;
	}
	return NULL;
}

/* Farthest a tag's 31 bits of 64-byte units reach from physical 0. */
#define META_REACH ((loam_phys_t)1 << 37)

static struct meta_page *meta_new_page(struct loam_slabs *slabs,
				       loam_flags_t flags)
{
	loam_flags_t want = (flags & LOAM_NOSLEEP) | LOAM_ZERO |
			    LOAM_OWNED_BY(LOAM_OWNER_META);
	loam_pfn_t pfn = loam_frame_alloc(slabs->frames, 0, want);
	if (pfn != LOAM_PFN_NONE && loam_pfn_to_phys(pfn) >= META_REACH) {
		loam_frame_free(slabs->frames, pfn, 0);
		pfn = loam_frame_alloc_range(slabs->frames, 1, 1, META_REACH, 0,
					     want);
	}
	if (pfn == LOAM_PFN_NONE) {
		return NULL;
	}
	struct meta_page *page = loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	loam_list_init(&page->link);
	page->free = META_ALL_FREE;
	return page;
}

void *loam_slab_meta_alloc(struct loam_slabs *slabs, size_t size_bytes,
			   loam_flags_t flags)
{
	unsigned units = meta_units(size_bytes);
	LOAM_ASSERT(units > 0 && units < META_UNITS);
	struct loam_slab_meta *meta = &slabs->meta;
	loam_lock(&meta->lock);
	void *memory = meta_take_locked(meta, units);
	loam_unlock(&meta->lock);
	if (memory == NULL) {
		struct meta_page *page = meta_new_page(slabs, flags);
		if (page == NULL) {
			return NULL;
		}
		loam_lock(&meta->lock);
		loam_list_insert(&meta->pages, &page->link);
		meta->page_count++;
		memory = meta_take_locked(meta, units);
		loam_unlock(&meta->lock);
	}
	return memory == NULL ? NULL
			      : memset(memory, 0, units * LOAM_SLAB_UNIT);
}

void loam_slab_meta_free(struct loam_slabs *slabs, void *memory,
			 size_t size_bytes)
{
	struct loam_slab_meta *meta = &slabs->meta;
	struct meta_page *page = meta_page_of(memory);
	unsigned units = meta_units(size_bytes);
	unsigned first = (unsigned)(((uintptr_t)memory & LOAM_PAGE_MASK) /
				    LOAM_SLAB_UNIT);
	bool give_back = false;
	loam_lock(&meta->lock);
	LOAM_VERIFY((page->free & meta_mask(first, units)) == 0);
	if (page->free == 0) {
		loam_list_insert(&meta->pages, &page->link);
	}
	page->free |= meta_mask(first, units);
	meta->used_units -= units;
	if (page->free == META_ALL_FREE) {
		loam_list_remove(&page->link);
		meta->page_count--;
		give_back = true;
	}
	loam_unlock(&meta->lock);
	if (give_back) {
		loam_phys_t phys = (uintptr_t)page - slabs->direct;
		loam_frame_free(slabs->frames, loam_phys_to_pfn(phys), 0);
	}
}

int loam_slab_meta_check(struct loam_slabs *slabs)
{
	struct loam_slab_meta *meta = &slabs->meta;
	struct loam_list *link;
	size_t listed = 0;
	int error = 0;
	loam_lock(&meta->lock);
	LOAM_LIST_EACH(link, &meta->pages)
	{
		const struct meta_page *page =
			LOAM_CONTAINER(link, struct meta_page, link);
		bool sound = link->next->prev == link &&
			     ((uintptr_t)page & LOAM_PAGE_MASK) == 0 &&
			     (page->free & 1) == 0 && page->free != 0;
		if (!sound || ++listed > meta->page_count) {
			error = -LOAM_EFAULT;
			break;
		}
	}
	loam_unlock(&meta->lock);
	if (error != 0) {
		loam_log(LOAM_LOG_ERROR,
			 "check: slab descriptor page %zu is not sound",
			 listed);
	}
	return error;
}
