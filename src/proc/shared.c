/* SPDX-License-Identifier: MIT */
/* Shared regions: an object's pages, the same in every space that maps it. */
#include "proc_int.h"

/*
 * The object has a frame number for each of its pages, LOAM_PFN_NONE until one
 * is touched, and one reference to each frame; every entry of a page table has
 * another. Its lock is innermost here: it is taken under a space's, and no two
 * objects' are held at once.
 */
struct loam_shared {
	struct loam_procs *procs; /* c */
	struct loam_lock lock;
	uint32_t refs;     /* atomic */
	size_t pages;      /* c */
	loam_pfn_t pfns[]; /* under lock */
};

struct loam_shared *loam_shared_create(struct loam_procs *procs, size_t pages)
{
	size_t bytes;
	if (pages == 0 || !loam_size_mul(pages, sizeof(loam_pfn_t), &bytes) ||
	    !loam_size_add(bytes, sizeof(struct loam_shared), &bytes)) {
		return NULL;
	}
	struct loam_shared *shared =
		loam_kmalloc(procs->config.kmalloc, bytes, 0);
	if (shared == NULL) {
		return NULL;
	}
	shared->procs = procs;
	shared->refs = 1;
	shared->pages = pages;
	loam_lock_init(&shared->lock, "shared memory", LOAM_RANK_PROC_OBJECT);
	for (size_t i = 0; i < pages; i++) {
		shared->pfns[i] = LOAM_PFN_NONE;
	}
	return shared;
}

void loam_shared_get(struct loam_shared *shared)
{
	__atomic_fetch_add(&shared->refs, 1, __ATOMIC_RELAXED);
}

void loam_shared_put(struct loam_shared *shared)
{
	if (__atomic_fetch_sub(&shared->refs, 1, __ATOMIC_ACQ_REL) != 1) {
		return;
	}
	for (size_t i = 0; i < shared->pages; i++) {
		if (shared->pfns[i] != LOAM_PFN_NONE) {
			loam_proc_page_put(shared->procs, shared->pfns[i]);
		}
	}
	loam_kfree(shared->procs->config.kmalloc, shared);
}

size_t loam_shared_pages(const struct loam_shared *shared)
{
	return shared->pages;
}

/* The object's frame for a page, made if it has none yet. */
static loam_pfn_t shared_page(struct loam_shared *shared, size_t index)
{
	loam_lock(&shared->lock);
	loam_pfn_t pfn = shared->pfns[index];
	if (pfn == LOAM_PFN_NONE) {
		pfn = loam_proc_page_alloc(shared->procs);
		shared->pfns[index] = pfn;
	}
	if (pfn != LOAM_PFN_NONE) {
		loam_frame_get(shared->procs->config.frames, pfn);
	}
	loam_unlock(&shared->lock);
	return pfn;
}

static enum proc_step shared_fault(struct proc_fault *fault)
{
	const struct loam_region *region = fault->region;
	uint64_t offset = region->offset + (fault->page - region->start);
	loam_pfn_t pfn = shared_page(region->shared,
				     (size_t)(offset >> LOAM_PAGE_SHIFT));
	if (pfn == LOAM_PFN_NONE) {
		return PROC_NO_MEMORY;
	}
	fault->kind = LOAM_FAULT_SHARED;
	proc_fault_install(fault, pfn, true);
	return PROC_DONE;
}

static void shared_get(struct loam_region *region)
{
	loam_shared_get(region->shared);
}

static void shared_put(struct loam_region *region)
{
	loam_shared_put(region->shared);
}

const struct loam_region_ops loam_region_shared = {
	.kind = LOAM_REGION_SHARED,
	.counted = true,
	.copies = false,
	.fault = shared_fault,
	.get = shared_get,
	.put = shared_put,
};
