/* SPDX-License-Identifier: MIT */
/* Looking at an address space: one address, a walk, all runs of a range. */

#include "pt_int.h"

/* Where virt is mapped, as loam_pt_descend(): false out of reach. */
static bool look_up(const struct loam_pt *pt, uintptr_t virt,
		    struct pt_range *range, struct pt_spot *spot)
{
	if (loam_pt_range(pt, loam_pt_align_down(virt), LOAM_PAGE_SIZE,
			  range) != 0) {
		return false;
	}
	loam_pt_descend(pt, range->page, spot);
	return true;
}

/*
 * The physical address of a page that a leaf of any level maps. Bits of the
 * entry below the size of a large page are not part of the address.
 */
static loam_phys_t look_phys(const struct loam_pt_geometry *geometry,
			     const struct pt_spot *spot, uintptr_t page)
{
	uintptr_t mask = pt_span(geometry, spot->level) - 1;
	loam_phys_t offset = (loam_phys_t)(page & mask) << LOAM_PAGE_SHIFT;
	loam_phys_t low =
		((loam_phys_t)mask << LOAM_PAGE_SHIFT) | LOAM_PAGE_MASK;
	return (spot->entry & geometry->phys_mask & ~low) | offset;
}

static size_t look_page_size(const struct loam_pt_geometry *geometry,
			     unsigned level)
{
	return (size_t)pt_span(geometry, level) << LOAM_PAGE_SHIFT;
}

int loam_pt_query(const struct loam_pt *pt, uintptr_t virt,
		  struct loam_pt_mapping *out)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	struct pt_range at;
	struct pt_spot spot;
	if (!look_up(pt, virt, &at, &spot) ||
	    !pt_is_set(geometry, spot.entry)) {
		return -LOAM_ENOENT;
	}
	*out = (struct loam_pt_mapping){
		.phys = look_phys(geometry, &spot, at.page) +
			((virt - pt->bias) & LOAM_PAGE_MASK),
		.prot = loam_pt_decode(geometry, spot.entry),
		.page_size = look_page_size(geometry, spot.level),
		.accessed = (spot.entry & geometry->accessed) != 0,
		.dirty = (spot.entry & geometry->dirty) != 0,
	};
	return 0;
}

unsigned loam_pt_walk(const struct loam_pt *pt, uintptr_t virt,
		      struct loam_pt_step steps[LOAM_PT_MAX_LEVELS])
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	struct pt_range at;
	if (loam_pt_range(pt, loam_pt_align_down(virt), LOAM_PAGE_SIZE, &at) !=
	    0) {
		return 0;
	}
	unsigned level = geometry->levels - 1u;
	loam_phys_t table = pt->root;
	for (unsigned n = 0;; n++) {
		unsigned index = pt_index(geometry, level, at.page);
		uint64_t entry = pt_load(geometry->entry_bytes,
					 pt_table_virt(pt, table), index);
		steps[n] = (struct loam_pt_step){
			.level = (uint8_t)level,
			.index = index,
			.table = table,
			.entry = entry,
		};
		if (!pt_is_table(geometry, level, entry)) {
			return n + 1;
		}
		table = entry & geometry->phys_mask;
		level--;
	}
}

/* Mapped pages that belong together, as visit is told of them. */
struct look_run {
	uintptr_t page;
	size_t count; /* 0: no run yet */
	loam_phys_t phys;
	loam_prot_t prot;
	size_t page_size;
};

/*
 * Adds a leaf's pages to the run if they continue it, or begins the run with
 * them if there is none. False: they belong to the next run.
 */
static bool look_join(struct look_run *run, const struct look_run *leaf)
{
	if (run->count == 0) {
		*run = *leaf;
		return true;
	}
	loam_phys_t length = (loam_phys_t)run->count << LOAM_PAGE_SHIFT;
	if (leaf->page != run->page + run->count ||
	    leaf->phys != run->phys + length || leaf->prot != run->prot ||
	    leaf->page_size != run->page_size) {
		return false;
	}
	run->count += leaf->count;
	return true;
}

/*
 * Takes the next run off the range. It is whole before visit is called,
 * because visit may itself look tables up. Its count is 0 at the end.
 */
static void look_next(const struct loam_pt *pt, struct pt_range *left,
		      struct look_run *run)
{
	const struct loam_pt_geometry *geometry = pt->geometry;
	*run = (struct look_run){ .count = 0 };
	while (left->count != 0) {
		struct pt_spot spot;
		loam_pt_descend(pt, left->page, &spot);
		bool large = spot.level > 0;
		size_t end =
			left->count -
			(large ? pt_rest(geometry, spot.level, left->page,
					 left->count)
			       : pt_run(geometry, left->page, left->count));
		while (left->count > end) {
			spot.entry = pt_load(geometry->entry_bytes,
					     spot.entries, spot.index);
			struct look_run leaf = {
				.page = left->page,
				.count = large ? left->count - end : 1,
				.phys = look_phys(geometry, &spot, left->page),
				.prot = loam_pt_decode(geometry, spot.entry),
				.page_size =
					look_page_size(geometry, spot.level),
			};
			bool absent = !pt_is_set(geometry, spot.entry);
			if (absent ? run->count != 0 : !look_join(run, &leaf)) {
				return;
			}
			left->page += leaf.count;
			left->count -= leaf.count;
			spot.index++;
		}
	}
}

int loam_pt_visit(const struct loam_pt *pt, uintptr_t virt, uintptr_t last,
		  int (*visit)(void *arg, uintptr_t virt, size_t size,
			       loam_phys_t phys, loam_prot_t prot,
			       size_t page_size),
		  void *arg)
{
	/* The size of a whole address space may not fit a size_t. */
	struct pt_range left;
	struct pt_range end;
	if (loam_pt_range(pt, virt, LOAM_PAGE_SIZE, &left) != 0 ||
	    loam_pt_range(pt, last - LOAM_PAGE_MASK, LOAM_PAGE_SIZE, &end) !=
		    0 ||
	    end.page < left.page) {
		return -LOAM_EINVAL;
	}
	left.count = end.page - left.page + 1;
	for (;;) {
		struct look_run run;
		look_next(pt, &left, &run);
		if (run.count == 0) {
			return 0;
		}
		int result = visit(arg, pt_virt(pt, run.page),
				   run.count << LOAM_PAGE_SHIFT, run.phys,
				   run.prot, run.page_size);
		if (result != 0) {
			return result;
		}
	}
}
