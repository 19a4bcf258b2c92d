/* SPDX-License-Identifier: MIT */
/* Anonymous regions: zeros until written, then the process's own frames. */
#include "proc_int.h"

/*
 * A read maps the one frame of zeros that all share, read-only, so that a
 * process which looks at a large empty array takes no memory; a write takes a
 * frame. Where the zero page is, fault.c makes a write replace it.
 */
static enum proc_step anonymous_fault(struct proc_fault *fault)
{
	struct loam_procs *procs = fault->proc->procs;
	if (!fault->write) {
		fault->kind = LOAM_FAULT_ZERO_PAGE;
		proc_fault_install(fault, procs->zero_pfn, false);
		return PROC_DONE;
	}
	loam_pfn_t pfn = loam_proc_page_alloc(procs);
	if (pfn == LOAM_PFN_NONE) {
		return PROC_NO_MEMORY;
	}
	fault->kind = LOAM_FAULT_ZERO_FILL;
	proc_fault_install(fault, pfn, true);
	return PROC_DONE;
}

static void anonymous_nothing(struct loam_region *region)
{
	(void)region;
}

const struct loam_region_ops loam_region_anonymous = {
	.kind = LOAM_REGION_ANONYMOUS,
	.counted = true,
	.copies = true,
	.fault = anonymous_fault,
	.get = anonymous_nothing,
	.put = anonymous_nothing,
};
