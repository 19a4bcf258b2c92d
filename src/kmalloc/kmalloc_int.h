/* SPDX-License-Identifier: MIT */
/* What the files of the kmalloc floor share. */
#ifndef LOAM_KMALLOC_INT_H
#define LOAM_KMALLOC_INT_H

#include <loam/bits.h>
#include <loam/kmalloc.h>
#include <loam/mem.h>

/* -------- large.c: whole frames, and the vmalloc window -------- */

/* size > 0 and at most LOAM_KMALLOC_MAX; align a power of two. */
void *loam_kmalloc_large_alloc(struct loam_kmalloc *kmalloc, size_t size_bytes,
			       size_t align, loam_flags_t flags);
/* Usable bytes of a large block, or 0 if it is none. */
size_t loam_kmalloc_large_size(struct loam_kmalloc *kmalloc, const void *block);
/* Frees a large block, or reports what the address is. */
void loam_kmalloc_large_free(struct loam_kmalloc *kmalloc, void *block,
			     const void *caller);

#endif
