/* SPDX-License-Identifier: MIT */
/* process_malloc and process_free of seed 003, over regions. */
#include "proc_int.h"

/*
 * Seed 003 takes the memory from the kernel's heap and maps it into the
 * process. Here each allocation is a region of its own, which no other ever
 * joins, so that its start is known to be one; its frames are the process's
 * from the first moment, zeroed, with nobody else's bytes beside.
 */
uintptr_t loam_proc_malloc(struct loam_proc *proc, size_t size_bytes, bool lazy)
{
	if (size_bytes == 0 || size_bytes > SIZE_MAX - LOAM_PAGE_MASK) {
		return 0;
	}
	struct loam_map_request request = {
		.size = loam_size_round_up(size_bytes, LOAM_PAGE_SIZE),
		.prot = LOAM_PROT_READ | LOAM_PROT_WRITE,
		.flags = LOAM_REGION_MALLOC | (lazy ? 0 : LOAM_REGION_POPULATE),
		.kind = LOAM_REGION_ANONYMOUS,
		.name = "[malloc]",
	};
	uintptr_t start = 0;
	return loam_proc_map(proc, &request, &start) == 0 ? start : 0;
}

bool loam_proc_free(struct loam_proc *proc, uintptr_t address)
{
	struct proc_spares spares = { .procs = proc->procs, .head = NULL };
	bool freed = false;
	loam_lock(&proc->lock);
	struct loam_region *region = loam_region_holding(proc, address);
	if (region != NULL && region->start == address &&
	    (region->flags & LOAM_REGION_MALLOC) != 0) {
		uintptr_t end = region_end(region);
		freed = loam_proc_tables_prepare(proc, address, end) == 0;
		if (freed) {
			/* A whole region: nothing is split. */
			loam_proc_unmap_locked(proc, address, end, &spares);
		}
	}
	loam_unlock(&proc->lock);
	loam_proc_spares_release(&spares);
	return freed;
}
