/* SPDX-License-Identifier: MIT */
/* malloc and its kin, over the floors of the library. */

/*
 * A size up to LOAM_KMALLOC_SLAB_MAX goes to the slab floor's fast path, which
 * is inlined here. Up to MALLOC_CODES_MAX its class is a byte of the thread's
 * table, whatever the size: a program that mixes sizes mispredicts each branch
 * that depends on them, which costs more than all the rest. Above it is a
 * byte of kmalloc's table. Everything larger, and every alignment above a
 * page, is a range of the large window (large.c). A free learns from the
 * shadow what it has before it.
 *
 * A pointer that is no block's is reported on standard error with its caller
 * and left alone; LOAM_MALLOC=abort in the environment ends the program then.
 */
#include "heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <loam/bits.h>

/* -------- slow paths -------- */

/* size at most LOAM_KMALLOC_SLAB_MAX; 0 counts as 1. */
static void *small_slow(size_t size, const void *caller)
{
	unsigned granules = size == 0 ? 1 : (unsigned)((size + 15) / 16);
	return loam_slab_alloc_index(&malloc_heap.slabs,
				     malloc_heap.kmalloc.class_of[granules], 0,
				     caller);
}

static LOAM_NOINLINE void *alloc_slow(size_t size, size_t align, bool zero,
				      const void *caller)
{
	void *block = NULL;
	malloc_slow_begin();
	if (size <= LOAM_KMALLOC_SLAB_MAX && align <= LOAM_PAGE_SIZE) {
		block = small_slow(size, caller);
		if (block != NULL && zero) {
			memset(block, 0, size);
		}
	} else if (size <= PTRDIFF_MAX) {
		block = malloc_large_alloc(size, align, zero);
	}
	if (block == NULL) {
		errno = ENOMEM;
	}
	return block;
}

/* As alloc_slow(), in fewer steps for what is asked for most. */
static LOAM_NOINLINE void *malloc_tail(size_t size)
{
	const void *caller = LOAM_CALLER();
	if (LOAM_UNLIKELY(size > LOAM_KMALLOC_SLAB_MAX)) {
		return alloc_slow(size, 1, false, caller);
	}
	malloc_slow_begin();
	void *block = small_slow(size, caller);
	if (LOAM_UNLIKELY(block == NULL)) {
		errno = ENOMEM;
	}
	return block;
}

static LOAM_NOINLINE void report_bad_free(void *block, const void *caller)
{
	char what[160];
	malloc_large_describe(block, what, sizeof(what));
	loam_misuse(caller, "bad free of %p: %s", block, what);
}

/* What no slab has, or no magazine has room for. errno stays as it is. */
static LOAM_NOINLINE void free_tail(void *block)
{
	const void *caller = LOAM_CALLER();
	if (block == NULL) {
		return;
	}
	malloc_slow_begin();
	if (!loam_slab_free_from(&malloc_heap.slabs, block, caller) &&
	    !malloc_large_free(block)) {
		report_bad_free(block, caller);
	}
}

/* -------- the fast paths -------- */

MALLOC_EXPORT void *malloc(size_t size)
{
	void *block = malloc_fast(size);
	return LOAM_LIKELY(block != NULL) ? block : malloc_tail(size);
}

MALLOC_EXPORT void free(void *block)
{
	if (LOAM_UNLIKELY(!loam_slab_push(&malloc_heap.slabs, block))) {
		free_tail(block);
	}
}

/*
 * Every delete is free, and so are C23's free_sized() and free_aligned_sized():
 * what they are told of size and alignment is known. Each has more arguments
 * than are declared here; they stay in their registers.
 */
#define FREES(name)                                                            \
	MALLOC_EXPORT void name(void *block)                                   \
		__attribute__((alias("free"), leaf, nothrow))

FREES(free_sized);
FREES(free_aligned_sized);
FREES(_ZdlPv);
FREES(_ZdaPv);
FREES(_ZdlPvm);
FREES(_ZdaPvm);
FREES(_ZdlPvSt11align_val_t);
FREES(_ZdaPvSt11align_val_t);
FREES(_ZdlPvmSt11align_val_t);
FREES(_ZdaPvmSt11align_val_t);
FREES(_ZdlPvRKSt9nothrow_t);
FREES(_ZdaPvRKSt9nothrow_t);
FREES(_ZdlPvSt11align_val_tRKSt9nothrow_t);
FREES(_ZdaPvSt11align_val_tRKSt9nothrow_t);

/* -------- the rest of C's -------- */

static LOAM_NOINLINE void *calloc_tail(size_t size)
{
	return alloc_slow(size, 1, true, LOAM_CALLER());
}

MALLOC_EXPORT void *calloc(size_t count, size_t size)
{
	size_t total;
	if (LOAM_UNLIKELY(!loam_size_mul(count, size, &total))) {
		errno = ENOMEM;
		return NULL;
	}
	void *block = malloc_fast(total);
	if (LOAM_LIKELY(block != NULL)) {
		return memset(block, 0, total);
	}
	return calloc_tail(total);
}

/* Usable bytes of a block, 0: it is none. */
static size_t block_size(const void *block)
{
	size_t size = loam_slab_size(&malloc_heap.slabs, block);
	return size != 0 ? size : malloc_large_size(block);
}

static LOAM_NOINLINE size_t report_no_block(const void *block, const char *verb,
					    const void *caller)
{
	char what[160];
	malloc_large_describe(block, what, sizeof(what));
	loam_misuse(caller, "%s of %p, which is no block: %s", verb, block,
		    what);
	return 0;
}

/* True if a block of old_size is kept for this size. */
static bool fits(size_t size, size_t old_size)
{
	return size <= old_size && (size > old_size / 2 || old_size <= 64);
}

/*
 * What to ask for when a block of old_size is to have more: a buffer that
 * grows by little, again and again, is copied once for each quarter.
 */
static size_t growth(size_t size, size_t old_size)
{
	size_t more = old_size + old_size / 4;
	return size > old_size && size < more ? more : size;
}

static void *resize(void *block, size_t size, const void *caller)
{
	size_t old_size = block_size(block);
	if (old_size == 0) {
		(void)report_no_block(block, "realloc", caller);
		errno = EINVAL;
		return NULL;
	}
	if (fits(size, old_size)) {
		return block;
	}
	if (size > LOAM_KMALLOC_SLAB_MAX && old_size > LOAM_KMALLOC_SLAB_MAX) {
		void *moved = malloc_large_resize(block, old_size, size);
		if (moved == NULL) {
			errno = ENOMEM;
		}
		return moved;
	}
	void *moved = malloc(growth(size, old_size));
	if (moved == NULL) {
		moved = malloc(size);
	}
	if (moved == NULL) {
		return size <= old_size ? block : NULL;
	}
	memcpy(moved, block, size < old_size ? size : old_size);
	free(block);
	return moved;
}

MALLOC_EXPORT void *realloc(void *block, size_t size)
{
	if (block == NULL) {
		return malloc(size);
	}
	if (size == 0) {
		free(block);
		return NULL;
	}
	return resize(block, size, LOAM_CALLER());
}

MALLOC_EXPORT void *reallocarray(void *block, size_t count, size_t size)
{
	size_t total;
	if (!loam_size_mul(count, size, &total)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, total);
}

MALLOC_EXPORT size_t malloc_usable_size(void *block)
{
	if (block == NULL) {
		return 0;
	}
	size_t size = block_size(block);
	return size != 0 ? size
			 : report_no_block(block, "malloc_usable_size",
					   LOAM_CALLER());
}

/* -------- alignments -------- */

/*
 * align is a power of two. Up to a page, the class of a size that is a
 * multiple of it is a multiple of it too: from a power of two to the next,
 * classes are multiples of a quarter or an eighth of it, so what is a multiple
 * of more is a class itself; and a slab lies at a multiple of its size.
 */
void *malloc_aligned(size_t size, size_t align, const void *caller)
{
	if (align <= 16) {
		align = 16;
	}
	if (size > PTRDIFF_MAX - align) {
		errno = ENOMEM;
		return NULL;
	}
	if (align <= LOAM_PAGE_SIZE) {
		size = size == 0 ? align : loam_size_round_up(size, align);
		void *block = malloc_fast(size);
		if (block != NULL) {
			return block;
		}
	}
	return alloc_slow(size == 0 ? 1 : size, align, false, caller);
}

MALLOC_EXPORT void *memalign(size_t align, size_t size)
{
	size_t power = 16;
	if (align > PTRDIFF_MAX) {
		errno = EINVAL;
		return NULL;
	}
	while (power < align) {
		power *= 2;
	}
	return malloc_aligned(size, power, LOAM_CALLER());
}

MALLOC_EXPORT void *aligned_alloc(size_t align, size_t size)
{
	if (!loam_is_pow2(align)) {
		errno = EINVAL;
		return NULL;
	}
	return malloc_aligned(size, align, LOAM_CALLER());
}

/* Does not touch errno, as POSIX has it. */
MALLOC_EXPORT int posix_memalign(void **out, size_t align, size_t size)
{
	if (!loam_is_pow2(align) || align % sizeof(void *) != 0) {
		return EINVAL;
	}
	int saved = errno;
	void *block = malloc_aligned(size, align, LOAM_CALLER());
	errno = saved;
	if (block == NULL) {
		return ENOMEM;
	}
	*out = block;
	return 0;
}

MALLOC_EXPORT void *valloc(size_t size)
{
	return malloc_aligned(size, LOAM_PAGE_SIZE, LOAM_CALLER());
}

MALLOC_EXPORT void *pvalloc(size_t size)
{
	if (size > PTRDIFF_MAX) {
		errno = ENOMEM;
		return NULL;
	}
	return malloc_aligned(loam_size_round_up(size, LOAM_PAGE_SIZE),
			      LOAM_PAGE_SIZE, LOAM_CALLER());
}

/* -------- looking and giving back -------- */

MALLOC_EXPORT int malloc_trim(size_t pad)
{
	(void)pad;
	malloc_slow_begin();
	size_t freed = loam_slab_shrink_all(&malloc_heap.slabs);
	loam_frame_drain(&malloc_heap.frames);
	return malloc_memory_purge(false) != 0 || freed != 0;
}

MALLOC_EXPORT struct mallinfo2 mallinfo2(void)
{
	struct mallinfo2 info = { 0 };
	struct loam_kmalloc_stats stats;
	malloc_slow_begin();
	loam_kmalloc_stats(&malloc_heap.kmalloc, &stats);
	info.hblkhd = malloc_large_used();
	info.uordblks = stats.slab_bytes + info.hblkhd;
	info.arena = malloc_memory_resident();
	info.arena = info.arena > info.uordblks ? info.arena : info.uordblks;
	info.fordblks = info.arena - info.uordblks;
	return info;
}

MALLOC_EXPORT struct mallinfo mallinfo(void)
{
	struct mallinfo2 wide = mallinfo2();
	return (struct mallinfo){
		.arena = (int)wide.arena,
		.hblkhd = (int)wide.hblkhd,
		.uordblks = (int)wide.uordblks,
		.fordblks = (int)wide.fordblks,
	};
}
