/* SPDX-License-Identifier: MIT */
/* What the rest of the reference kernel uses of its memory. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <loam/boot.h>

/* The one instance of every floor. Usable once kernel.up. */
extern struct loam_kernel kernel;

/* As loam_kmalloc() and loam_kfree() with the one instance: alloc.c. */
void *kmalloc(size_t size_bytes);
void kfree(void *block);

/* As loam_cache_alloc() and loam_cache_free() with it, no flags. */
static inline void *cache_alloc(struct loam_cache *cache)
{
	return loam_cache_alloc_fast(&kernel.slabs, cache);
}

static inline void cache_free(struct loam_cache *cache, void *object)
{
	loam_cache_free_fast(&kernel.slabs, cache, object);
}

/* As loam_frame_alloc() and loam_frame_free() of order 0, directly mapped. */
loam_pfn_t frame_alloc(void);
void frame_free(loam_pfn_t pfn);

static inline void *kzalloc(size_t size_bytes)
{
	return loam_kzalloc(&kernel.kmalloc, size_bytes, 0);
}

static inline void *krealloc(void *block, size_t size_bytes)
{
	return loam_krealloc(&kernel.kmalloc, block, size_bytes, 0);
}

static inline size_t ksize(const void *block)
{
	return loam_ksize(&kernel.kmalloc, block);
}

/*
 * Seed 002's name for memblock: for what bring-up needs for good and nobody
 * frees. NULL, reported, once the frames are handed out. Not cleared.
 */
static inline void *kalloc_temp(size_t size_bytes)
{
	loam_phys_t phys = loam_memblock_alloc(
		&kernel.memblock, size_bytes, sizeof(uint64_t), 0,
		kernel.layout.direct_size, LOAM_BOTTOM_UP,
		LOAM_RESERVED_MEMBLOCK);
	return phys == LOAM_PHYS_NONE ? NULL : loam_host_phys_to_virt(phys);
}

static inline void *vmalloc(size_t size_bytes)
{
	return loam_kspace_vmalloc(&kernel.kspace, size_bytes, 0, LOAM_HIGH);
}

static inline void vfree(void *start)
{
	loam_kspace_vfree(&kernel.kspace, start);
}

#endif
