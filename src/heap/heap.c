/* SPDX-License-Identifier: MIT */
/* What all heaps have in common: the front, pages, counters, reports. */
#include "heap_int.h"

/*
 * The classic heaps
 * =================
 *
 * Each of the other files is one design, complete, with an essay of its own:
 *
 *   bestfit.c  a break, linked blocks, and free blocks in an ordered array
 *   block.c    one byte of state for each 4 KiB
 *   buddy.c    whole pages of physical blocks, at addresses of their own
 *   list.c     free blocks in one list by address: first, next or best fit
 *   pages.c    one page for each block, from xv6's list of free pages (runs.c)
 *   tlsf.c     two-level segregated fit: everything in constant time
 *
 *              owner (prepare, map_pages, unmap_pages; blocks of frames)
 *                ^  one run of pages at a time
 *   caller -> heap.c -> design's ops
 *
 * All but one know of addresses only: memory behind them is the owner's. The
 * buddy heap takes physical blocks from an owner that has them, and is itself
 * who says at which address they are mapped.
 *
 * Not every design can do everything: the page heap serves no more than a page,
 * and what the buddy heap serves can be aligned to 8 bytes only. It is said in
 * the design's ops (max_bytes, align_bytes), and nowhere else.
 *
 * What a design may rely on: the range is aligned, does not wrap, is at most
 * LOAM_HEAP_SIZE_MAX and at least one page; prepare has succeeded; the instance
 * is all zero but for the fields that describe the range.
 *
 * Wrong addresses. A design tells by relations that a caller is unlikely to
 * forge (a magic number that depends on the place, links that must point back)
 * whether an address is a live block's; that is its fast path and costs a few
 * comparisons. If it is not, nothing has been changed, time does not matter any
 * more, and loam_heap_misuse() below walks the heap to say what the address is.
 * The walk itself trusts no header that is not sound.
 *
 * What fails: map_pages, at any page. loam_heap_map() returns what it got of a
 * request that was not met in full, so that a design sees all or nothing.
 */

bool loam_heap_map(struct loam_heap *heap, unsigned char *at, size_t count)
{
	const struct loam_heap_owner *owner = heap->owner;
	if (count == 0) {
		return true;
	}
	if (owner != NULL) {
		size_t got = owner->map_pages(owner->context, at, count);
		LOAM_VERIFY(got <= count);
		if (got < count) {
			if (got > 0) {
				owner->unmap_pages(owner->context, at, got);
			}
			return false;
		}
	}
	heap_mapped(heap, count);
	return true;
}

void loam_heap_unmap(struct loam_heap *heap, unsigned char *at, size_t count)
{
	const struct loam_heap_owner *owner = heap->owner;
	if (count == 0) {
		return;
	}
	heap->mapped_pages -= count;
	if (owner != NULL) {
		owner->unmap_pages(owner->context, at, count);
	}
}

/*
 * The block that address lies in, or in whose header; false if there is none.
 * *broken is the header that ended the walk early, or NULL.
 */
static bool heap_find(const struct loam_heap *heap, const void *address,
		      struct loam_heap_block *block,
		      const unsigned char **broken)
{
	uintptr_t at = (uintptr_t)address;
	*broken = NULL;
	*block = (struct loam_heap_block){ .address = NULL };
	while (heap->ops->walk(heap, block)) {
		uintptr_t payload = (uintptr_t)block->address;
		if (block->state == LOAM_HEAP_BROKEN) {
			*broken = block->address - block->header_bytes;
			return at == payload;
		}
		if (at >= payload - block->header_bytes &&
		    at < payload + block->size_bytes) {
			return true;
		}
	}
	return false;
}

/* An address that is exactly a block's, of whatever state. */
static void heap_misuse_block(const struct loam_heap *heap, const void *caller,
			      const char *verb,
			      const struct loam_heap_block *block)
{
	const char *name = heap->ops->name;
	const void *address = block->address;
	if (block->state == LOAM_HEAP_BROKEN) {
		loam_misuse(caller, "heap %s: %s of %p: its header is corrupt",
			    name, verb, address);
		return;
	}
	if (block->state == LOAM_HEAP_FREE) {
		loam_misuse(caller, "heap %s: %s of %p: already free", name,
			    verb, address);
		return;
	}
	/* Nothing is wrong with the block, so it is its neighbour's header. */
	struct loam_heap_block next = *block;
	if (heap->ops->walk(heap, &next) && next.state == LOAM_HEAP_BROKEN) {
		loam_misuse(caller,
			    "heap %s: %s of %p: the header behind it, at %p, "
			    "is corrupt",
			    name, verb, address,
			    (void *)(next.address - next.header_bytes));
		return;
	}
	loam_misuse(caller, "heap %s: %s of %p: a neighbour is corrupt", name,
		    verb, address);
}

void loam_heap_misuse(const struct loam_heap *heap, const void *caller,
		      const char *verb, const void *address)
{
	const char *name = heap->ops->name;
	uintptr_t at = (uintptr_t)address;
	if (at - (uintptr_t)heap->start >= heap->size_bytes) {
		loam_misuse(caller, "heap %s: %s of %p: outside the heap", name,
			    verb, address);
		return;
	}
	struct loam_heap_block block;
	const unsigned char *broken;
	bool found = heap_find(heap, address, &block, &broken);
	if (at % LOAM_HEAP_ALIGN != 0 &&
	    !(found && at == (uintptr_t)block.address)) {
		loam_misuse(caller, "heap %s: %s of %p: misaligned", name, verb,
			    address);
		return;
	}
	if (!found) {
		loam_misuse(caller, "heap %s: %s of %p: in no block%s", name,
			    verb, address,
			    broken ? ", or behind a corrupt header" : "");
		return;
	}
	if (at == (uintptr_t)block.address) {
		heap_misuse_block(heap, caller, verb, &block);
		return;
	}
	if (at < (uintptr_t)block.address) {
		loam_misuse(caller,
			    "heap %s: %s of %p: the header of the block at %p",
			    name, verb, address, (void *)block.address);
		return;
	}
	loam_misuse(caller,
		    "heap %s: %s of %p: inside the %s block at %p of %zu bytes",
		    name, verb, address,
		    block.state == LOAM_HEAP_LIVE ? "live" : "free",
		    (void *)block.address, block.size_bytes);
}

int loam_heap_check_counters(const struct loam_heap *heap)
{
	size_t live_blocks = 0;
	size_t live_bytes = 0;
	/* Blocks that are free need no more than what any design gives. */
	size_t align = heap->ops->align_bytes < LOAM_HEAP_ALIGN
			       ? heap->ops->align_bytes
			       : LOAM_HEAP_ALIGN;
	struct loam_heap_block block = { .address = NULL };
	while (heap->ops->walk(heap, &block)) {
		LOAM_CHECK(block.state != LOAM_HEAP_BROKEN);
		LOAM_CHECK((uintptr_t)block.address % align == 0);
		if (block.state == LOAM_HEAP_LIVE) {
			live_blocks++;
			live_bytes += block.size_bytes;
		}
	}
	LOAM_CHECK(live_blocks == heap->live_blocks);
	LOAM_CHECK(live_bytes == heap->live_bytes);
	LOAM_CHECK(heap->peak_live_bytes >= heap->live_bytes);
	LOAM_CHECK(heap->peak_mapped_pages >= heap->mapped_pages);
	LOAM_CHECK(heap->allocs - heap->frees == heap->live_blocks);
	return 0;
}

/* True if [start, start + size_bytes) is a range that a heap can have. */
static bool heap_range_fits(const struct loam_heap_config *config)
{
	uintptr_t start = (uintptr_t)config->start;
	uint64_t size = config->size_bytes;
	return start != 0 && start % LOAM_PAGE_SIZE == 0 && size != 0 &&
	       size % LOAM_PAGE_SIZE == 0 && size <= LOAM_HEAP_SIZE_MAX &&
	       size - 1 <= (uintptr_t)-1 - start;
}

static bool heap_owner_fits(const struct loam_heap_owner *owner)
{
	return owner == NULL ||
	       (owner->map_pages != NULL && owner->unmap_pages != NULL);
}

int loam_heap_create(struct loam_heap *heap, const struct loam_heap_ops *ops,
		     const struct loam_heap_config *config)
{
	const struct loam_heap_owner *owner = config->owner;
	if (!heap_range_fits(config) || !heap_owner_fits(owner)) {
		return -LOAM_EINVAL;
	}
	struct loam_heap made = {
		.ops = ops,
		.start = config->start,
		.size_bytes = config->size_bytes,
		.owner = owner,
	};
	if (owner != NULL && owner->prepare != NULL) {
		int error = owner->prepare(owner->context, config->start,
					   config->size_bytes);
		if (error != 0) {
			return error;
		}
	}
	int error = ops->create(&made, config);
	if (error != 0) {
		return error;
	}
	*heap = made;
	return 0;
}

void loam_heap_destroy(struct loam_heap *heap)
{
	heap->ops->destroy(heap);
	LOAM_ASSERT(heap->mapped_pages == 0);
	heap->ops = NULL;
}

void *loam_heap_alloc(struct loam_heap *heap, size_t size_bytes)
{
	return heap->ops->alloc(heap, size_bytes);
}

void *loam_heap_zalloc(struct loam_heap *heap, size_t size_bytes)
{
	void *address = heap->ops->alloc(heap, size_bytes);
	return address == NULL ? NULL : memset(address, 0, size_bytes);
}

void loam_heap_free(struct loam_heap *heap, void *address)
{
	heap->ops->free(heap, address, LOAM_CALLER());
}

void *loam_heap_resize(struct loam_heap *heap, void *address, size_t size_bytes)
{
	return heap->ops->resize(heap, address, size_bytes, LOAM_CALLER());
}

size_t loam_heap_usable(const struct loam_heap *heap, const void *address)
{
	return heap->ops->usable(heap, address, LOAM_CALLER());
}

bool loam_heap_walk(const struct loam_heap *heap, struct loam_heap_block *block)
{
	return heap->ops->walk(heap, block);
}

int loam_heap_check(const struct loam_heap *heap)
{
	return heap->ops->check(heap);
}

void loam_heap_stats(const struct loam_heap *heap, struct loam_heap_stats *out)
{
	struct loam_heap_stats stats = {
		.live_blocks = heap->live_blocks,
		.live_bytes = heap->live_bytes,
		.peak_live_bytes = heap->peak_live_bytes,
		.mapped_bytes = heap->mapped_pages * LOAM_PAGE_SIZE,
		.peak_mapped_bytes = heap->peak_mapped_pages * LOAM_PAGE_SIZE,
		.allocs = heap->allocs,
		.frees = heap->frees,
		.failed = heap->failed,
	};
	struct loam_heap_block block = { .address = NULL };
	while (heap->ops->walk(heap, &block)) {
		if (block.state != LOAM_HEAP_FREE) {
			continue;
		}
		stats.free_blocks++;
		stats.free_bytes += block.size_bytes;
		if (block.size_bytes > stats.largest_free_bytes) {
			stats.largest_free_bytes = block.size_bytes;
		}
	}
	*out = stats;
}
