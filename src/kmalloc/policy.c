/* SPDX-License-Identifier: MIT */
/* A classic heap behind kmalloc: one lock, alignment, and pages that move. */

/*
 * A heap hands out blocks at multiples of what its design has (16, or a page
 * where its blocks are pages), and has no lock. What the front door's contract
 * asks beyond that is added here.
 *
 * Locking. heap_lock is held for one operation of the heap, interrupts of this
 * CPU out. It ranks above the floors that the heap's window takes pages from.
 * Frames that the heap gives up are flushed and freed after the lock is given
 * back: see src/kspace/page_window.c. Nothing is reclaimed to make room, since
 * reclaim must not run under a lock.
 *
 * Alignment. A request for more than the heap's own is made larger, and the
 * block handed out begins at the first place that fits. Right before it stands
 * a record of how far that is from the heap's block:
 *
 *	heap's block                 | what the caller has
 *	| unused ...  | shift, seal  | size_bytes ...
 *	              ^ two words
 *
 * A free looks for a record only while any such block is live, and only where
 * the page before can be read. The seal depends on the place and the shift and
 * is wiped when the block goes, so that neither stale nor copied records are
 * believed; a record in a live block's memory that is not one would have to be
 * forged. The heap then checks the block that it leads to like any other.
 *
 * Cost: the heap's, and the lock.
 */
#include "kmalloc_int.h"

struct shift_record {
	size_t shift; /* bytes from the heap's block */
	size_t seal;
};
static size_t shift_seal(const void *block, size_t shift)
{
	return ((uintptr_t)block ^ 0x5eed51deu) + shift * 0x9e3779b1u;
}

static struct shift_record *shift_record_of(const void *block)
{
	return (struct shift_record *)((uintptr_t)block -
				       sizeof(struct shift_record));
}

static void heap_enter(struct loam_kmalloc *kmalloc)
{
	loam_lock(&kmalloc->heap_lock);
	if (kmalloc->heap.window != NULL) {
		loam_page_window_enter(kmalloc->heap.window);
	}
}

static void heap_leave(struct loam_kmalloc *kmalloc)
{
	loam_unlock(&kmalloc->heap_lock);
	if (kmalloc->heap.window != NULL) {
		loam_page_window_settle(kmalloc->heap.window);
	}
}

/* How far the heap's block is before `block`: 0 if that is one itself. */
static size_t shift_of_locked(const struct loam_kmalloc *kmalloc,
			      const void *block)
{
	const struct loam_kmalloc_heap_config *config = &kmalloc->heap;
	size_t offset = (uintptr_t)block - (uintptr_t)config->heap->start;
	if (kmalloc->heap_shifted == 0 ||
	    ((uintptr_t)block & (2 * kmalloc->heap_align - 1)) != 0 ||
	    offset < sizeof(struct shift_record)) {
		return 0;
	}
	const struct shift_record *record = shift_record_of(block);
	if (config->window != NULL &&
	    !loam_page_window_has(config->window, record)) {
		return 0;
	}
	return record->shift <= offset &&
			       record->seal == shift_seal(block, record->shift)
		       ? record->shift
		       : 0;
}

/* Moves a heap's block's start up to a multiple of align. */
static unsigned char *shift_locked(struct loam_kmalloc *kmalloc,
				   unsigned char *raw, size_t align)
{
	size_t shift = (0 - (uintptr_t)raw) & (align - 1);
	unsigned char *block = raw + shift;
	if (shift != 0) {
		struct shift_record *record = shift_record_of(block);
		record->shift = shift;
		record->seal = shift_seal(block, shift);
		kmalloc->heap_shifted++;
	}
	return block;
}

/* Usable bytes, or 0, reported. */
static size_t size_locked(const struct loam_kmalloc *kmalloc, const void *block,
			  size_t shift, const void *caller)
{
	const struct loam_heap *heap = kmalloc->heap.heap;
	const unsigned char *raw = (const unsigned char *)block - shift;
	size_t size = heap->ops->usable(heap, raw, caller);
	return size != 0 ? size - shift : 0;
}

void *loam_kmalloc_heap_alloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
			      size_t align, loam_flags_t flags)
{
	struct loam_heap *heap = kmalloc->heap.heap;
	size_t more =
		align > kmalloc->heap_align ? align - kmalloc->heap_align : 0;
	size_t clear = 0;
	heap_enter(kmalloc);
	unsigned char *raw = heap->ops->alloc(heap, size_bytes + more);
	unsigned char *block = raw;
	if (raw != NULL && more != 0) {
		block = shift_locked(kmalloc, raw, align);
	}
	if (raw != NULL && (flags & LOAM_ZERO) != 0) {
		clear = size_locked(kmalloc, raw, 0, NULL) -
			(size_t)(block - raw);
	}
	heap_leave(kmalloc);
	return clear != 0 ? memset(block, 0, clear) : block;
}

static void free_locked(struct loam_kmalloc *kmalloc, void *block,
			const void *caller)
{
	struct loam_heap *heap = kmalloc->heap.heap;
	size_t shift = shift_of_locked(kmalloc, block);
	if (shift != 0) {
		/* Wiped first: the page may be gone afterwards. */
		*shift_record_of(block) = (struct shift_record){ 0, 0 };
		kmalloc->heap_shifted--;
	}
	heap->ops->free(heap, (unsigned char *)block - shift, caller);
}

void loam_kmalloc_heap_free(struct loam_kmalloc *kmalloc, void *block,
			    const void *caller)
{
	heap_enter(kmalloc);
	free_locked(kmalloc, block, caller);
	heap_leave(kmalloc);
}

size_t loam_kmalloc_heap_size(struct loam_kmalloc *kmalloc, const void *block,
			      const void *caller)
{
	heap_enter(kmalloc);
	size_t size = size_locked(kmalloc, block,
				  shift_of_locked(kmalloc, block), caller);
	heap_leave(kmalloc);
	return size;
}

/* A shifted block moves: the heap does not know where in it the bytes are. */
static void *move_shifted_locked(struct loam_kmalloc *kmalloc, void *block,
				 size_t size_bytes, size_t old_size,
				 const void *caller)
{
	struct loam_heap *heap = kmalloc->heap.heap;
	void *moved = heap->ops->alloc(heap, size_bytes);
	if (moved == NULL) {
		/* Shrinking in place needs no memory. */
		return size_bytes <= old_size ? block : NULL;
	}
	memcpy(moved, block, size_bytes < old_size ? size_bytes : old_size);
	free_locked(kmalloc, block, caller);
	return moved;
}

void *loam_kmalloc_heap_resize(struct loam_kmalloc *kmalloc, void *block,
			       size_t size_bytes, loam_flags_t flags,
			       const void *caller)
{
	struct loam_heap *heap = kmalloc->heap.heap;
	unsigned char *resized = NULL;
	size_t new_size = 0;
	heap_enter(kmalloc);
	size_t shift = shift_of_locked(kmalloc, block);
	size_t old_size = size_locked(kmalloc, block, shift, caller);
	if (old_size != 0 && shift == 0) {
		resized = heap->ops->resize(heap, block, size_bytes, caller);
	} else if (old_size != 0 && size_bytes <= old_size &&
		   size_bytes > old_size / 2) {
		resized = block;
	} else if (old_size != 0) {
		resized = move_shifted_locked(kmalloc, block, size_bytes,
					      old_size, caller);
	}
	if (resized != NULL) {
		size_t now = shift_of_locked(kmalloc, resized);
		new_size = size_locked(kmalloc, resized, now, caller);
	}
	heap_leave(kmalloc);
	if (resized != NULL && (flags & LOAM_ZERO) != 0 &&
	    new_size > old_size) {
		memset(resized + old_size, 0, new_size - old_size);
	}
	return resized;
}

/* -------- setting up, and looking -------- */

int loam_kmalloc_use_heap(struct loam_kmalloc *kmalloc,
			  const struct loam_kmalloc_heap_config *config)
{
	if (kmalloc->heap.heap != NULL || config->heap == NULL) {
		return -LOAM_EINVAL;
	}
	const struct loam_heap_ops *ops = config->heap->ops;
	LOAM_VERIFY(ops->align_bytes >= sizeof(struct shift_record));
	loam_lock_init(&kmalloc->heap_lock, ops->name, LOAM_RANK_HEAP);
	kmalloc->heap = *config;
	kmalloc->heap_align = ops->align_bytes;
	kmalloc->heap_most = ops->max_bytes;
	loam_lock(&kmalloc->lock);
	kmalloc->fast_limit = 0;
	loam_unlock(&kmalloc->lock);
	return 0;
}

bool loam_kmalloc_heap_stats(struct loam_kmalloc *kmalloc,
			     struct loam_heap_stats *out)
{
	if (kmalloc->heap.heap == NULL) {
		return false;
	}
	heap_enter(kmalloc);
	loam_heap_stats(kmalloc->heap.heap, out);
	heap_leave(kmalloc);
	return true;
}

int loam_kmalloc_heap_walk(struct loam_kmalloc *kmalloc,
			   int (*visit)(void *arg,
					const struct loam_heap_block *block),
			   void *arg)
{
	struct loam_heap_block block = { .address = NULL };
	int result = 0;
	if (kmalloc->heap.heap == NULL) {
		return 0;
	}
	heap_enter(kmalloc);
	while (result == 0 && loam_heap_walk(kmalloc->heap.heap, &block)) {
		result = visit(arg, &block);
	}
	heap_leave(kmalloc);
	return result;
}

/* The block that an address lies in, or in whose header. */
struct heap_search {
	uintptr_t address;
	struct loam_heap_block found;
};

static int heap_match(void *arg, const struct loam_heap_block *block)
{
	struct heap_search *search = arg;
	uintptr_t offset = search->address - (uintptr_t)block->address;
	if (offset + block->header_bytes >=
	    block->size_bytes + block->header_bytes) {
		return 0;
	}
	search->found = *block;
	return 1;
}

void loam_kmalloc_heap_describe(struct loam_kmalloc *kmalloc,
				const void *address, char *to,
				size_t size_bytes)
{
	static const char *const states[] = {
		[LOAM_HEAP_LIVE] = "live",
		[LOAM_HEAP_FREE] = "free",
		[LOAM_HEAP_BROKEN] = "broken",
	};
	struct heap_search search = { .address = (uintptr_t)address };
	const char *name = kmalloc->heap.heap->ops->name;
	if (loam_kmalloc_heap_walk(kmalloc, heap_match, &search) == 0) {
		loam_snprintf(to, size_bytes, "no block of the %s heap", name);
		return;
	}
	const struct loam_heap_block *block = &search.found;
	const char *place = "";
	if (address != block->address) {
		place = (uintptr_t)address < (uintptr_t)block->address
				? "header of "
				: "inside ";
	}
	loam_snprintf(to, size_bytes, "%s%s block of %zu bytes of the %s heap",
		      place, states[block->state], block->size_bytes, name);
}

int loam_kmalloc_heap_check(struct loam_kmalloc *kmalloc)
{
	const struct loam_kmalloc_heap_config *config = &kmalloc->heap;
	if (config->heap == NULL) {
		LOAM_CHECK(kmalloc->heap_shifted == 0);
		return 0;
	}
	heap_enter(kmalloc);
	int error = loam_heap_check(config->heap);
	bool right =
		kmalloc->heap_shifted <= config->heap->live_blocks &&
		(config->window == NULL ||
		 config->window->mapped_pages == config->heap->mapped_pages);
	if (error == 0 && config->window != NULL) {
		error = loam_page_window_check(config->window);
	}
	heap_leave(kmalloc);
	if (error == 0) {
		LOAM_CHECK(right);
		LOAM_CHECK(kmalloc->fast_limit == 0);
	}
	return error;
}
