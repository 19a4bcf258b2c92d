/* SPDX-License-Identifier: MIT */
/* What the files of the kmalloc floor share. */
#ifndef LOAM_KMALLOC_INT_H
#define LOAM_KMALLOC_INT_H

#include <loam/bits.h>
#include <loam/kmalloc.h>
#include <loam/mem.h>

/* -------- policy.c: a classic heap instead of slabs -------- */

/* True if a request goes to the heap. */
static inline bool kmalloc_heap_takes(const struct loam_kmalloc *kmalloc,
				      size_t size_bytes, size_t align,
				      loam_flags_t flags)
{
	size_t more =
		align > kmalloc->heap_align ? align - kmalloc->heap_align : 0;
	return kmalloc->heap.heap != NULL && (flags & LOAM_DMA) == 0 &&
	       more < kmalloc->heap_most &&
	       size_bytes <= kmalloc->heap_most - more;
}

/* True if the address lies in the heap's range. */
static inline bool kmalloc_heap_has(const struct loam_kmalloc *kmalloc,
				    const void *block)
{
	const struct loam_heap *heap = kmalloc->heap.heap;
	return heap != NULL &&
	       (uintptr_t)block - (uintptr_t)heap->start < heap->size_bytes;
}

/* The request must be one that the heap takes; align a power of two. */
void *loam_kmalloc_heap_alloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
			      size_t align, loam_flags_t flags);

/* For these the heap must have the address. They report what is no block. */
void loam_kmalloc_heap_free(struct loam_kmalloc *kmalloc, void *block,
			    const void *caller);
size_t loam_kmalloc_heap_size(struct loam_kmalloc *kmalloc, const void *block,
			      const void *caller);

/*
 * The block with another size, in place or moved within the heap, or NULL: the
 * old one is untouched. *old_size: what it was, 0 if it is no block (reported).
 * The heap must take the request.
 */
void *loam_kmalloc_heap_resize(struct loam_kmalloc *kmalloc, void *block,
			       size_t size_bytes, loam_flags_t flags,
			       const void *caller);

void loam_kmalloc_heap_describe(struct loam_kmalloc *kmalloc,
				const void *address, char *to,
				size_t size_bytes);
int loam_kmalloc_heap_check(struct loam_kmalloc *kmalloc);

/* -------- large.c: whole frames, and the vmalloc window -------- */

/* size > 0 and at most LOAM_KMALLOC_MAX; align a power of two. */
void *loam_kmalloc_large_alloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
			       size_t align, loam_flags_t flags);
/*
 * Makes a large block of old_size usable bytes one for size_bytes, which are
 * more, where it is. False: it cannot be; the block is as before.
 */
bool loam_kmalloc_large_extend(struct loam_kmalloc *kmalloc, void *block,
			       size_t old_size, size_t size_bytes,
			       loam_flags_t flags);
/* Usable bytes of a large block, or 0 if it is none. */
size_t loam_kmalloc_large_size(struct loam_kmalloc *kmalloc, const void *block);
/* Frees a large block, or reports what the address is. */
void loam_kmalloc_large_free(struct loam_kmalloc *kmalloc, void *block,
			     const void *caller);

#endif
