/* SPDX-License-Identifier: MIT */
/* Frames of user memory: had, cleared, copied, and dropped after a flush. */
#include <loam/frame_fast.h>

#include "proc_int.h"

void *loam_proc_page_open(struct loam_procs *procs, loam_pfn_t pfn)
{
	void *page = loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
	if (LOAM_LIKELY(page != NULL) || procs->config.kspace == NULL) {
		return page;
	}
	return loam_kspace_temp_map(procs->config.kspace, pfn);
}

void loam_proc_page_close(struct loam_procs *procs, void *page)
{
	struct loam_kspace *kspace = procs->config.kspace;
	/* The direct map is outside of the window of temporary maps. */
	if (kspace != NULL && (uintptr_t)page - kspace->config.temp_base <
				      kspace->config.temp_size) {
		loam_kspace_temp_unmap(kspace, page);
	}
}

static loam_pfn_t page_take(struct loam_procs *procs)
{
	struct loam_frames *frames = procs->config.frames;
	loam_flags_t flags = LOAM_NOSLEEP | LOAM_OWNED_BY(LOAM_OWNER_USER);
	/* Where no memory is high, a frame comes the shortest way. */
	if (procs->config.kspace != NULL && loam_frame_has_high(frames)) {
		flags |= LOAM_HIGH;
	}
	return loam_frame_alloc(frames, 0, flags);
}

loam_pfn_t loam_proc_page_alloc(struct loam_procs *procs)
{
	loam_pfn_t pfn = page_take(procs);
	if (pfn == LOAM_PFN_NONE) {
		return pfn;
	}
	void *page = loam_proc_page_open(procs, pfn);
	if (LOAM_UNLIKELY(page == NULL)) {
		loam_frame_put(procs->config.frames, pfn);
		return LOAM_PFN_NONE;
	}
	procs->config.clear_page(page);
	loam_proc_page_close(procs, page);
	return pfn;
}

loam_pfn_t loam_proc_page_copy(struct loam_procs *procs, loam_pfn_t from)
{
	loam_pfn_t pfn = page_take(procs);
	if (pfn == LOAM_PFN_NONE) {
		return pfn;
	}
	void *source = loam_proc_page_open(procs, from);
	void *page = source == NULL ? NULL : loam_proc_page_open(procs, pfn);
	if (LOAM_LIKELY(page != NULL)) {
		procs->config.copy_page(page, source);
		loam_proc_page_close(procs, page);
	} else {
		loam_frame_put(procs->config.frames, pfn);
		pfn = LOAM_PFN_NONE;
	}
	if (source != NULL) {
		loam_proc_page_close(procs, source);
	}
	return pfn;
}

void loam_proc_page_put(struct loam_procs *procs, loam_pfn_t pfn)
{
	/* Most have one reference, and the fast path sees that it is so. */
	if (!loam_frame_push(procs->config.frames, pfn) &&
	    !loam_frame_push_gathering(procs->config.frames, pfn)) {
		loam_frame_put(procs->config.frames, pfn);
	}
}

void loam_proc_batch_end(struct proc_batch *batch)
{
	struct loam_proc *proc = batch->proc;
	if (batch->stale) {
		loam_pt_flush(&proc->pt, batch->start,
			      batch->end - batch->start);
	}
	unsigned done = 0;
	while (done < batch->count) {
		done += (unsigned)loam_frame_push_run(
			proc->procs->config.frames, &batch->pfns[done],
			batch->count - done);
		/* This one is shared or high, or the CPU's stack is full. */
		if (done < batch->count) {
			loam_proc_page_put(proc->procs, batch->pfns[done]);
			done++;
		}
	}
	batch->count = 0;
	batch->stale = false;
}

/* -------- tables -------- */

static loam_phys_t proc_alloc_table(void *ctx)
{
	const struct loam_proc *proc = ctx;
	loam_pfn_t pfn = loam_frame_alloc(
		proc->procs->config.frames, 0,
		LOAM_ZERO | LOAM_NOSLEEP | LOAM_OWNED_BY(LOAM_OWNER_TABLE));
	if (pfn == LOAM_PFN_NONE) {
		return LOAM_PHYS_NONE;
	}
	/* How many other spaces have it: see table.c. */
	*loam_frame_word(proc->procs->config.frames, pfn) = 0;
	return loam_pfn_to_phys(pfn);
}

static void proc_free_table(void *ctx, loam_phys_t table)
{
	const struct loam_proc *proc = ctx;
	loam_frame_free(proc->procs->config.frames, loam_phys_to_pfn(table), 0);
}

static void *proc_table_virt(void *ctx, loam_phys_t table)
{
	(void)ctx;
	return loam_host_phys_to_virt(table);
}

const struct loam_pt_ops loam_proc_pt_ops = {
	.alloc_table = proc_alloc_table,
	.free_table = proc_free_table,
	.table_virt = proc_table_virt,
};
