/* SPDX-License-Identifier: MIT */
/* Large kmalloc blocks: one block of the buddy, or a vmalloc range. */
#include "kmalloc_int.h"

/*
 * A block of the buddy is physically contiguous and directly mapped, and its
 * size is in the tag of its first frame, so it needs no record at all.  It is
 * taken where it wastes at most a quarter; else, or when memory is too
 * fragmented for it, pages of the vmalloc window serve.
 */

static unsigned large_order(size_t size_bytes)
{
	return loam_log2_ceil(loam_pages_of(size_bytes));
}

/* True if a block of the buddy wastes at most a quarter of itself. */
static bool large_fits_block(size_t size_bytes, unsigned order)
{
	size_t block = (size_t)LOAM_PAGE_SIZE << order;
	return block - loam_size_round_up(size_bytes, LOAM_PAGE_SIZE) <=
	       block / 4;
}

static void large_count(struct loam_kmalloc *kmalloc, size_t size_bytes)
{
	struct loam_kmalloc_stats *stats = &kmalloc->stats;
	loam_lock(&kmalloc->lock);
	stats->large_blocks++;
	stats->large_bytes += size_bytes;
	if (stats->large_bytes > stats->peak_large_bytes) {
		stats->peak_large_bytes = stats->large_bytes;
	}
	loam_unlock(&kmalloc->lock);
}

static void large_uncount(struct loam_kmalloc *kmalloc, size_t size_bytes)
{
	loam_lock(&kmalloc->lock);
	kmalloc->stats.large_blocks--;
	kmalloc->stats.large_bytes -= size_bytes;
	loam_unlock(&kmalloc->lock);
}

static void *large_alloc_block(struct loam_kmalloc *kmalloc, unsigned order,
			       loam_flags_t flags)
{
	/* High frames have no address, so that wish cannot be met here. */
	loam_flags_t want = (flags & (LOAM_ZERO | LOAM_NOSLEEP | LOAM_DMA)) |
			    LOAM_OWNED_BY(LOAM_OWNER_KMALLOC);
	loam_pfn_t pfn = loam_frame_alloc(kmalloc->frames, order, want);
	if (pfn == LOAM_PFN_NONE) {
		return NULL;
	}
	large_count(kmalloc, (size_t)LOAM_PAGE_SIZE << order);
	return loam_host_phys_to_virt(loam_pfn_to_phys(pfn));
}

static void *large_alloc_pages(struct loam_kmalloc *kmalloc, size_t size_bytes,
			       size_t align, loam_flags_t flags)
{
	if (kmalloc->kspace == NULL || (flags & LOAM_DMA) != 0) {
		return NULL;
	}
	loam_flags_t want = (flags & (LOAM_ZERO | LOAM_NOSLEEP)) | LOAM_HIGH |
			    LOAM_OWNED_BY(LOAM_OWNER_KMALLOC);
	void *block =
		loam_kspace_vmalloc(kmalloc->kspace, size_bytes, align, want);
	if (block != NULL) {
		large_count(kmalloc,
			    loam_size_round_up(size_bytes, LOAM_PAGE_SIZE));
	}
	return block;
}

void *loam_kmalloc_large_alloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
			       size_t align, loam_flags_t flags)
{
	size_t whole = size_bytes > align ? size_bytes : align;
	unsigned order = large_order(whole);
	bool can_block = order <= LOAM_ORDER_MAX;
	bool must_block = (flags & LOAM_DMA) != 0 || kmalloc->kspace == NULL;
	void *block = NULL;
	if (can_block && (must_block || large_fits_block(size_bytes, order))) {
		/* With another way open this one is not worth a reclaim. */
		loam_flags_t eager = must_block ? 0 : LOAM_NOSLEEP;
		block = large_alloc_block(kmalloc, order, flags | eager);
	}
	if (block == NULL) {
		block = large_alloc_pages(kmalloc, size_bytes, align, flags);
	}
	if (block == NULL && can_block && !must_block) {
		block = large_alloc_block(kmalloc, order, flags);
	}
	return block;
}

/* The first frame of the block if the address is a large block's start. */
static bool large_head(struct loam_kmalloc *kmalloc, const void *block,
		       loam_pfn_t *pfn, struct loam_frame_info *info)
{
	uintptr_t offset = (uintptr_t)block - kmalloc->slabs->direct;
	size_t number = offset >> LOAM_PAGE_SHIFT;
	if (number >= LOAM_PFN_NONE ||
	    loam_host_phys_to_virt((loam_phys_t)offset) != block ||
	    loam_frame_info(kmalloc->frames, (loam_pfn_t)number, info) != 0) {
		return false;
	}
	*pfn = (loam_pfn_t)number;
	return true;
}

static bool large_is_block(const struct loam_frame_info *info, loam_pfn_t pfn,
			   const void *block)
{
	return ((uintptr_t)block & LOAM_PAGE_MASK) == 0 && info->head == pfn &&
	       info->state == LOAM_TAG_USED &&
	       info->owner == LOAM_OWNER_KMALLOC;
}

size_t loam_kmalloc_large_size(struct loam_kmalloc *kmalloc, const void *block)
{
	loam_pfn_t pfn;
	struct loam_frame_info info;
	if (large_head(kmalloc, block, &pfn, &info)) {
		return large_is_block(&info, pfn, block)
			       ? (size_t)LOAM_PAGE_SIZE << info.order
			       : 0;
	}
	return kmalloc->kspace == NULL
		       ? 0
		       : loam_kspace_size_kmalloc(kmalloc->kspace, block);
}

bool loam_kmalloc_large_extend(struct loam_kmalloc *kmalloc, void *block,
			       size_t old_size, size_t size_bytes,
			       loam_flags_t flags)
{
	loam_pfn_t pfn;
	struct loam_frame_info info;
	unsigned order = large_order(size_bytes);
	size_t size = (size_t)LOAM_PAGE_SIZE << order;
	/* Pages of the window stay where they are, and shared frames too. */
	if (order > LOAM_ORDER_MAX ||
	    !large_head(kmalloc, block, &pfn, &info) ||
	    !large_is_block(&info, pfn, block) || info.refs != 1 ||
	    (kmalloc->kspace != NULL && !large_fits_block(size_bytes, order)) ||
	    !loam_frame_extend(kmalloc->frames, pfn, info.order, order)) {
		return false;
	}
	large_uncount(kmalloc, old_size);
	large_count(kmalloc, size);
	if ((flags & LOAM_ZERO) != 0) {
		memset((unsigned char *)block + old_size, 0, size - old_size);
	}
	return true;
}

/* Says what the address is that is no block, or not to be freed now. */
static void large_report(struct loam_kmalloc *kmalloc, const char *kind,
			 const void *block, const void *caller)
{
	char what[160];
	loam_kmalloc_describe(kmalloc, block, what, sizeof(what));
	loam_misuse(caller, "%s free of %p: %s", kind, block, what);
}

/* An address of the direct map: the block of frames that it begins. */
static void large_free_block(struct loam_kmalloc *kmalloc, void *block,
			     loam_pfn_t pfn, const struct loam_frame_info *info,
			     const void *caller)
{
	const char *kind = NULL;
	if (info->untouched) {
		kind = "wild";
	} else if (info->state != LOAM_TAG_USED) {
		kind = "double";
	} else if (info->owner != LOAM_OWNER_KMALLOC) {
		kind = "foreign";
	} else if (!large_is_block(info, pfn, block)) {
		kind = "interior";
	} else if (info->refs != 1) {
		kind = "early"; /* somebody holds a reference to its frames */
	}
	if (kind != NULL) {
		large_report(kmalloc, kind, block, caller);
		return;
	}
	loam_frame_free(kmalloc->frames, pfn, info->order);
	large_uncount(kmalloc, (size_t)LOAM_PAGE_SIZE << info->order);
}

void loam_kmalloc_large_free(struct loam_kmalloc *kmalloc, void *block,
			     const void *caller)
{
	loam_pfn_t pfn;
	struct loam_frame_info info;
	if (large_head(kmalloc, block, &pfn, &info)) {
		large_free_block(kmalloc, block, pfn, &info, caller);
		return;
	}
	struct loam_kspace *kspace = kmalloc->kspace;
	size_t size = loam_kmalloc_large_size(kmalloc, block);
	if (size != 0 && loam_kspace_free_kmalloc(kspace, block)) {
		large_uncount(kmalloc, size);
		return;
	}
	bool inside = kspace != NULL && loam_kspace_in_kmalloc(kspace, block);
	large_report(kmalloc, inside ? "interior" : "wild", block, caller);
}
