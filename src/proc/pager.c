/* SPDX-License-Identifier: MIT */
/* Pager-backed regions: contents that somebody else brings, page by page. */
#include "proc_int.h"

/*
 * What a pager hands out stays its own; the process sees it read-only, and a
 * write makes a private copy by the same rule as after a fork: the frame has
 * more references than one. The pager may take long, so it is asked without the
 * lock, and the fault is then begun anew with the page in hand.
 *
 * Around a page that was brought, those that are at hand are mapped as well:
 * programs run on to the next page more often than not, and an entry costs a
 * hundredth of a fault.
 */
#define PAGER_AROUND 16u /* pages, aligned to as many */

static uint64_t pager_offset(const struct loam_region *region, uintptr_t page)
{
	return region->offset + (page - region->start);
}

/* Maps what the pager has at hand around the page that was touched. */
static void pager_around(struct proc_fault *fault)
{
	struct loam_proc *proc = fault->proc;
	struct loam_region *region = fault->region;
	struct loam_pager *pager = region->pager;
	uintptr_t first =
		fault->page & ~(uintptr_t)(PAGER_AROUND * LOAM_PAGE_SIZE - 1u);
	uintptr_t touched = fault->page;
	unsigned touched_index = fault->leaf.index;
	if (pager->ops->peek_page == NULL) {
		return;
	}
	for (unsigned i = 0; i < PAGER_AROUND && !proc_is_full(proc); i++) {
		uintptr_t page = first + i * LOAM_PAGE_SIZE;
		if (page == touched || page - region->start >= region->size) {
			continue;
		}
		/* They are in one table: its span is a multiple of theirs. */
		fault->page = page;
		fault->leaf.index = touched_index +
				    (unsigned)(page >> LOAM_PAGE_SHIFT) -
				    (unsigned)(touched >> LOAM_PAGE_SHIFT);
		if (loam_pt_leaf_load(&proc->pt, fault->leaf.entries,
				      fault->leaf.index) != 0) {
			continue;
		}
		loam_pfn_t pfn = pager->ops->peek_page(
			pager, pager_offset(region, page));
		if (pfn != LOAM_PFN_NONE) {
			proc_fault_install(fault, pfn, false);
			proc->faults[LOAM_FAULT_AROUND]++;
		}
	}
	fault->page = touched;
	fault->leaf.index = touched_index;
}

/*
 * A write to a page that is not there brings it first; the access then comes
 * back as one to a page that others have.
 */
static enum proc_step pager_fault(struct proc_fault *fault)
{
	if (fault->given == LOAM_PFN_NONE) {
		return PROC_PAGE;
	}
	loam_pfn_t pfn = fault->given;
	fault->given = LOAM_PFN_NONE;
	fault->kind = LOAM_FAULT_PAGER;
	proc_fault_install(fault, pfn, false);
	pager_around(fault);
	return PROC_DONE;
}

static void pager_get(struct loam_region *region)
{
	if (region->pager->ops->get != NULL) {
		region->pager->ops->get(region->pager);
	}
}

static void pager_put(struct loam_region *region)
{
	if (region->pager->ops->put != NULL) {
		region->pager->ops->put(region->pager);
	}
}

const struct loam_region_ops loam_region_pager = {
	.kind = LOAM_REGION_PAGER,
	.counted = true,
	.copies = true,
	.fault = pager_fault,
	.get = pager_get,
	.put = pager_put,
};
