/* SPDX-License-Identifier: MIT */
/* Physical regions: addresses that the kernel gave, a device's say. */
#include "proc_int.h"

/*
 * The frames are somebody else's: entries hold no reference, a fork shows the
 * same memory, and a write is never turned into a copy.
 */
static enum proc_step physical_fault(struct proc_fault *fault)
{
	const struct loam_region *region = fault->region;
	loam_phys_t phys =
		region->offset + (loam_phys_t)(fault->page - region->start);
	fault->kind = LOAM_FAULT_SHARED;
	proc_fault_install(fault, loam_phys_to_pfn(phys), true);
	return PROC_DONE;
}

static void physical_nothing(struct loam_region *region)
{
	(void)region;
}

const struct loam_region_ops loam_region_physical = {
	.kind = LOAM_REGION_PHYSICAL,
	.counted = false,
	.copies = false,
	.fault = physical_fault,
	.get = physical_nothing,
	.put = physical_nothing,
};
