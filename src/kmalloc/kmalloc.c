/* SPDX-License-Identifier: MIT */
/* kmalloc: from a size to the floor that serves it best. */

/*
 * The front door has three rooms behind it, and a fourth, a classic heap, which
 * takes everything once it is picked (policy.c):
 *
 *   1 .. 8192 bytes      a slab cache of the size class
 *   above, contiguous    one block of the buddy, if a quarter of it or less
 *                        is waste
 *   above, otherwise     pages of the vmalloc window
 *
 * Size classes are 16, 32, 48, 64 and from there four per doubling (80, 96,
 * 112, 128, 160, ...; or more of them, config.h), so that from 64 bytes on at
 * most a quarter of the request is lost to rounding, an eighth on average.
 * From the size to the class is one look-up in a table of bytes, 1 KiB large.
 *
 * A free does not get a size: the shadow of the slab floor has the class where
 * a small block starts; the frame's tag says whether a large one does, and of
 * what order; an address outside the direct map is looked up in the kernel's
 * address space.  No block has a header, hence no header can be overwritten,
 * and a pointer that is no block's is found at once and reported.
 *
 * realloc stays in place while the size still fits and at least half of the
 * block is used, and where a block of the buddy can be made larger; it moves
 * otherwise, and keeps the old block when no memory is left for a new one.
 *
 * Where frames come one by one (pages=xv6), classes that need more than one for
 * a single object do not exist, and larger sizes are pages of the window.
 *
 * Locking: none here but for the statistics of large blocks. The fast path is
 * the slab floor's, inlined; fast_limit 0 sends every request past it.
 */
#include "kmalloc_int.h"

static size_t class_bytes(unsigned n)
{
	unsigned fine = LOAM_KMALLOC_FINE_MAX / 16;
	if (n < fine) {
		return (size_t)16 * (n + 1);
	}
	n -= fine;
	size_t doubling = LOAM_KMALLOC_FINE_MAX;
	unsigned steps = 8;
	unsigned eighths = LOAM_KMALLOC_EIGHTHS;
	if (n >= eighths) {
		n -= eighths;
		doubling = LOAM_KMALLOC_EIGHTHS_MAX;
		steps = 4;
	}
	doubling <<= n / steps;
	return doubling + (n % steps + 1) * (doubling / steps);
}

/* The largest power of two that divides the size, at most a page. */
static size_t class_align(size_t size_bytes)
{
	size_t align = size_bytes & (~size_bytes + 1);
	return align > LOAM_PAGE_SIZE ? LOAM_PAGE_SIZE : align;
}

int loam_kmalloc_init(struct loam_kmalloc *kmalloc, struct loam_slabs *slabs,
		      struct loam_kspace *kspace)
{
	memset(kmalloc, 0, sizeof(*kmalloc));
	loam_lock_init(&kmalloc->lock, "kmalloc", LOAM_RANK_KMALLOC);
	kmalloc->slabs = slabs;
	kmalloc->kspace = kspace;
	kmalloc->frames = slabs->frames;
	size_t covered = 1; /* class_of[0] leads to no cache: size 0 */
	for (unsigned n = 0; n < LOAM_KMALLOC_CLASSES; n++) {
		size_t size = class_bytes(n);
		if (!loam_slab_can_hold(slabs, size, class_align(size))) {
			break;
		}
		char *name = kmalloc->names[n];
		loam_snprintf(name, sizeof(kmalloc->names[n]), "kmalloc-%zu",
			      size);
		struct loam_cache *cache =
			loam_cache_create(slabs, name, size, class_align(size),
					  LOAM_CACHE_NO_MERGE, NULL);
		if (cache == NULL) {
			while (n-- > 0) {
				loam_cache_destroy(slabs, kmalloc->cache[n]);
			}
			return -LOAM_ENOMEM;
		}
		kmalloc->cache[n] = cache;
		for (; covered <= size / 16; covered++) {
			kmalloc->class_of[covered] =
				(uint8_t)loam_cache_index(cache);
		}
		kmalloc->slab_max = size;
	}
	kmalloc->fast_limit = kmalloc->slab_max;
	return 0;
}

/* -------- allocating -------- */

/* What fast_limit is while no fault is to be injected. */
static size_t usual_limit(const struct loam_kmalloc *kmalloc)
{
	return kmalloc->heap.heap != NULL ? 0 : kmalloc->slab_max;
}

/* True if fault injection picks this call. */
static bool must_fail(struct loam_kmalloc *kmalloc)
{
	bool fail = false;
	if (kmalloc->fail_armed) {
		loam_lock(&kmalloc->lock);
		if (kmalloc->fail_countdown != 0) {
			kmalloc->fail_counted++;
			fail = --kmalloc->fail_countdown == 0;
		}
		if (fail) {
			kmalloc->fail_armed = false;
			kmalloc->fast_limit = usual_limit(kmalloc);
		}
		loam_unlock(&kmalloc->lock);
	}
	return fail;
}

static void count_failure(struct loam_kmalloc *kmalloc)
{
	loam_lock(&kmalloc->lock);
	kmalloc->stats.failed++;
	loam_unlock(&kmalloc->lock);
}

static LOAM_NOINLINE void *alloc_slow(struct loam_kmalloc *kmalloc,
				      size_t size_bytes, size_t align,
				      loam_flags_t flags, const void *caller)
{
	if (size_bytes == 0) {
		return NULL;
	}
	if (size_bytes > LOAM_KMALLOC_MAX || must_fail(kmalloc)) {
		count_failure(kmalloc);
		return NULL;
	}
	void *block;
	/* Past the heap, align is 1 or more than any class of slabs has. */
	if (kmalloc_heap_takes(kmalloc, size_bytes, align, flags)) {
		block = loam_kmalloc_heap_alloc(kmalloc, size_bytes, align,
						flags);
	} else if (size_bytes > kmalloc->slab_max || (flags & LOAM_DMA) != 0 ||
		   align > 1) {
		block = loam_kmalloc_large_alloc(kmalloc, size_bytes, align,
						 flags);
	} else {
		unsigned index = kmalloc->class_of[(size_bytes + 15) / 16];
		block = loam_slab_alloc_index(kmalloc->slabs, index, flags,
					      caller);
		if (block != NULL && (flags & LOAM_ZERO) != 0) {
			memset(block, 0, loam_slab_size(kmalloc->slabs, block));
		}
	}
	if (block == NULL) {
		count_failure(kmalloc);
	}
	return block;
}

/*
 * The tails of the public functions, called last with their arguments: the
 * compiler makes a jump of that, so that the fast paths save no registers and
 * the return address here is that of kmalloc's caller.
 */
static LOAM_NOINLINE void *kmalloc_tail(struct loam_kmalloc *kmalloc,
					size_t size_bytes, loam_flags_t flags)
{
	return alloc_slow(kmalloc, size_bytes, 1, flags, LOAM_CALLER());
}

void *loam_kmalloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
		   loam_flags_t flags)
{
	if (LOAM_LIKELY((flags & (LOAM_ZERO | LOAM_DMA)) == 0)) {
		void *block =
			loam_kmalloc_fast(kmalloc, kmalloc->slabs, size_bytes);
		if (LOAM_LIKELY(block != NULL)) {
			return block;
		}
	}
	return kmalloc_tail(kmalloc, size_bytes, flags);
}

/* As loam_kmalloc() on behalf of a caller; LOAM_ZERO is not asked for. */
static inline void *alloc_for(struct loam_kmalloc *kmalloc, size_t size_bytes,
			      loam_flags_t flags, const void *caller)
{
	void *block = NULL;
	if ((flags & LOAM_DMA) == 0) {
		block = loam_kmalloc_fast(kmalloc, kmalloc->slabs, size_bytes);
	}
	return block != NULL
		       ? block
		       : alloc_slow(kmalloc, size_bytes, 1, flags, caller);
}

/* Cleared memory: the fast path, then a clearing of the whole class. */
static void *alloc_zeroed(struct loam_kmalloc *kmalloc, size_t size_bytes,
			  loam_flags_t flags, const void *caller)
{
	if (size_bytes - 1 >= kmalloc->fast_limit || (flags & LOAM_DMA) != 0) {
		return alloc_slow(kmalloc, size_bytes, 1, flags | LOAM_ZERO,
				  caller);
	}
	void *block = alloc_for(kmalloc, size_bytes,
				flags & ~(loam_flags_t)LOAM_ZERO, caller);
	if (block != NULL) {
		memset(block, 0, loam_slab_size(kmalloc->slabs, block));
	}
	return block;
}

void *loam_kzalloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
		   loam_flags_t flags)
{
	return alloc_zeroed(kmalloc, size_bytes, flags, LOAM_CALLER());
}

void *loam_kcalloc(struct loam_kmalloc *kmalloc, size_t count,
		   size_t size_bytes, loam_flags_t flags)
{
	size_t total;
	if (!loam_size_mul(count, size_bytes, &total)) {
		count_failure(kmalloc);
		return NULL;
	}
	return alloc_zeroed(kmalloc, total, flags, LOAM_CALLER());
}

/* The smallest class that holds size bytes at multiples of align, or 0. */
static size_t class_for_aligned(const struct loam_kmalloc *kmalloc,
				size_t size_bytes, size_t align)
{
	for (unsigned n = 0; n < LOAM_KMALLOC_CLASSES; n++) {
		size_t size = class_bytes(n);
		if (size > kmalloc->slab_max) {
			break;
		}
		if (size >= size_bytes && (size & (align - 1)) == 0) {
			return size;
		}
	}
	return 0;
}

void *loam_kmalloc_aligned(struct loam_kmalloc *kmalloc, size_t size_bytes,
			   size_t align, loam_flags_t flags)
{
	if (!loam_is_pow2(align) ||
	    align > ((size_t)LOAM_PAGE_SIZE << LOAM_ORDER_MAX) ||
	    size_bytes == 0) {
		return NULL;
	}
	size_t class = 0;
	if (align <= LOAM_PAGE_SIZE && (flags & LOAM_DMA) == 0 &&
	    !kmalloc_heap_takes(kmalloc, size_bytes, align, flags)) {
		class = class_for_aligned(kmalloc, size_bytes, align);
	}
	if (class == 0) {
		return alloc_slow(kmalloc, size_bytes, align, flags,
				  LOAM_CALLER());
	}
	if ((flags & LOAM_ZERO) != 0) {
		return alloc_zeroed(kmalloc, class, flags, LOAM_CALLER());
	}
	return alloc_for(kmalloc, class, flags, LOAM_CALLER());
}

/* -------- freeing and resizing -------- */

static void free_for(struct loam_kmalloc *kmalloc, void *block,
		     const void *caller)
{
	if (block == NULL) {
		return;
	}
	if (kmalloc_heap_has(kmalloc, block)) {
		loam_kmalloc_heap_free(kmalloc, block, caller);
	} else if (!loam_slab_free_from(kmalloc->slabs, block, caller)) {
		loam_kmalloc_large_free(kmalloc, block, caller);
	}
}

static LOAM_NOINLINE void kfree_tail(struct loam_kmalloc *kmalloc, void *block)
{
	free_for(kmalloc, block, LOAM_CALLER());
}

void loam_kfree(struct loam_kmalloc *kmalloc, void *block)
{
	if (LOAM_LIKELY(loam_slab_push(kmalloc->slabs, block))) {
		return;
	}
	kfree_tail(kmalloc, block);
}

/* Usable bytes, or 0: no block. */
static inline size_t block_size(struct loam_kmalloc *kmalloc, const void *block)
{
	size_t size = loam_slab_size(kmalloc->slabs, block);
	return size != 0 ? size : loam_kmalloc_large_size(kmalloc, block);
}

static void report_no_block(struct loam_kmalloc *kmalloc, const void *block,
			    const char *operation, const void *caller)
{
	char what[160];
	loam_kmalloc_describe(kmalloc, block, what, sizeof(what));
	loam_misuse(caller, "%s of %p, which is no block: %s", operation, block,
		    what);
}

size_t loam_ksize(struct loam_kmalloc *kmalloc, const void *block)
{
	if (block == NULL) {
		return 0;
	}
	if (kmalloc_heap_has(kmalloc, block)) {
		return loam_kmalloc_heap_size(kmalloc, block, LOAM_CALLER());
	}
	size_t size = block_size(kmalloc, block);
	if (size == 0) {
		report_no_block(kmalloc, block, "size", LOAM_CALLER());
	}
	return size;
}

/* True if the block lies where the flags want it: LOAM_DMA has a border. */
static bool block_has_kind(const struct loam_kmalloc *kmalloc,
			   const void *block, size_t size_bytes,
			   loam_flags_t flags)
{
	if ((flags & LOAM_DMA) == 0) {
		return true;
	}
	uintptr_t end = (uintptr_t)block - kmalloc->slabs->direct + size_bytes;
	return end <= loam_pfn_to_phys(kmalloc->frames->dma_end);
}

/* Memory of the right kind for what block holds: moved there, or NULL. */
static inline void *realloc_moved(struct loam_kmalloc *kmalloc, void *block,
				  size_t old_size, size_t size_bytes,
				  loam_flags_t flags, const void *caller)
{
	void *moved = (flags & LOAM_ZERO) != 0
			      ? alloc_zeroed(kmalloc, size_bytes, flags, caller)
			      : alloc_for(kmalloc, size_bytes, flags, caller);
	if (moved != NULL) {
		memcpy(moved, block,
		       size_bytes < old_size ? size_bytes : old_size);
		if (LOAM_UNLIKELY(!loam_slab_push(kmalloc->slabs, block))) {
			free_for(kmalloc, block, caller);
		}
	}
	return moved;
}

/* A block of the heap's: there, or out of it if the heap does not take it. */
static void *realloc_heap(struct loam_kmalloc *kmalloc, void *block,
			  size_t size_bytes, loam_flags_t flags,
			  const void *caller)
{
	size_t old_size = loam_kmalloc_heap_size(kmalloc, block, caller);
	if (old_size == 0) {
		return NULL;
	}
	if (!kmalloc_heap_takes(kmalloc, size_bytes, 1, flags)) {
		return realloc_moved(kmalloc, block, old_size, size_bytes,
				     flags, caller);
	}
	void *resized = NULL;
	if (size_bytes <= LOAM_KMALLOC_MAX && !must_fail(kmalloc)) {
		resized = loam_kmalloc_heap_resize(kmalloc, block, size_bytes,
						   flags, caller);
	}
	if (resized == NULL) {
		count_failure(kmalloc);
		/* Shrinking in place needs no memory. */
		return size_bytes <= old_size ? block : NULL;
	}
	return resized;
}

void *loam_krealloc(struct loam_kmalloc *kmalloc, void *block,
		    size_t size_bytes, loam_flags_t flags)
{
	const void *caller = LOAM_CALLER();
	if (block == NULL) {
		return (flags & LOAM_ZERO) != 0
			       ? alloc_zeroed(kmalloc, size_bytes, flags,
					      caller)
			       : alloc_for(kmalloc, size_bytes, flags, caller);
	}
	if (size_bytes == 0) {
		free_for(kmalloc, block, caller);
		return NULL;
	}
	if (kmalloc_heap_has(kmalloc, block)) {
		return realloc_heap(kmalloc, block, size_bytes, flags, caller);
	}
	size_t old_size = block_size(kmalloc, block);
	if (old_size == 0) {
		report_no_block(kmalloc, block, "resize", caller);
		return NULL;
	}
	bool fits = size_bytes <= old_size &&
		    block_has_kind(kmalloc, block, old_size, flags);
	if (fits && (size_bytes > old_size / 2 || old_size <= 64)) {
		return block;
	}
	if (size_bytes > old_size && old_size > kmalloc->slab_max &&
	    size_bytes <= LOAM_KMALLOC_MAX && !kmalloc->fail_armed &&
	    block_has_kind(kmalloc, block, old_size, flags) &&
	    loam_kmalloc_large_extend(kmalloc, block, old_size, size_bytes,
				      flags)) {
		return block;
	}
	void *moved = realloc_moved(kmalloc, block, old_size, size_bytes, flags,
				    caller);
	/* Shrinking in place needs no memory. */
	return moved == NULL && fits ? block : moved;
}

/* -------- looking -------- */

void loam_kmalloc_describe(struct loam_kmalloc *kmalloc, const void *address,
			   char *to, size_t size_bytes)
{
	if (kmalloc_heap_has(kmalloc, address)) {
		loam_kmalloc_heap_describe(kmalloc, address, to, size_bytes);
		return;
	}
	if (loam_slab_describe(kmalloc->slabs, address, to, size_bytes)) {
		return;
	}
	uintptr_t offset = (uintptr_t)address - kmalloc->slabs->direct;
	struct loam_frame_info info;
	if (loam_host_phys_to_virt((loam_phys_t)offset) == address &&
	    loam_frame_info(kmalloc->frames,
			    loam_phys_to_pfn((loam_phys_t)offset),
			    &info) == 0) {
		if (info.state == LOAM_TAG_USED) {
			loam_snprintf(
				to, size_bytes,
				"%s, in a block of %u frames at frame 0x%x",
				loam_owner_name(info.owner), 1u << info.order,
				info.head);
		} else {
			loam_snprintf(to, size_bytes, "in a free frame");
		}
		return;
	}
	if (kmalloc->kspace != NULL) {
		loam_kspace_describe(kmalloc->kspace, (uintptr_t)address, to,
				     size_bytes);
		return;
	}
	loam_snprintf(to, size_bytes, "no memory of ours");
}

static void add_live(struct loam_kmalloc *kmalloc,
		     struct loam_kmalloc_stats *out)
{
	for (unsigned n = 0; n < LOAM_KMALLOC_CLASSES; n++) {
		struct loam_cache_stats stats;
		if (kmalloc->cache[n] == NULL) {
			continue;
		}
		loam_cache_stats(kmalloc->slabs, kmalloc->cache[n], &stats);
		out->slab_bytes += stats.live * stats.object_bytes;
	}
	struct loam_heap_stats heap;
	if (loam_kmalloc_heap_stats(kmalloc, &heap)) {
		out->heap_bytes = heap.live_bytes;
	}
}

void loam_kmalloc_stats(struct loam_kmalloc *kmalloc,
			struct loam_kmalloc_stats *out)
{
	loam_lock(&kmalloc->lock);
	*out = kmalloc->stats;
	loam_unlock(&kmalloc->lock);
	add_live(kmalloc, out);
}

size_t loam_kmalloc_shrink(struct loam_kmalloc *kmalloc)
{
	return loam_slab_shrink_all(kmalloc->slabs);
}

uint64_t loam_kmalloc_fail_nth(struct loam_kmalloc *kmalloc, uint64_t nth)
{
	loam_lock(&kmalloc->lock);
	uint64_t counted = kmalloc->fail_counted;
	kmalloc->fail_counted = 0;
	kmalloc->fail_countdown = nth;
	kmalloc->fail_armed = nth != 0;
	kmalloc->fast_limit = nth != 0 ? 0 : usual_limit(kmalloc);
	loam_unlock(&kmalloc->lock);
	return counted;
}

int loam_kmalloc_check(struct loam_kmalloc *kmalloc)
{
	for (size_t size = 1; size <= kmalloc->slab_max; size++) {
		unsigned index = kmalloc->class_of[(size + 15) / 16];
		LOAM_CHECK(index < LOAM_CACHE_MAX);
		const struct loam_cache *cache = kmalloc->slabs->cache[index];
		LOAM_CHECK(cache != NULL && loam_cache_index(cache) == index);
		LOAM_CHECK(loam_cache_object_bytes(cache) >= size);
	}
	LOAM_CHECK(kmalloc->fast_limit == 0 ||
		   kmalloc->fast_limit == kmalloc->slab_max);
	return loam_kmalloc_heap_check(kmalloc);
}
