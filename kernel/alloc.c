/* SPDX-License-Identifier: MIT */
/* The reference kernel's kmalloc, kfree and frames, of its one instance. */

/*
 * Each is compiled once, with the addresses of `kernel` and of the shadow as
 * constants: a small block then costs fifteen instructions, and as many to
 * free, with every bad free still found. Everything else is the library's.
 */
#include <loam/frame_fast.h>

#include "kernel.h"

void *kmalloc(size_t size_bytes)
{
	void *block =
		loam_kmalloc_fast(&kernel.kmalloc, &kernel.slabs, size_bytes);
	if (LOAM_LIKELY(block != NULL)) {
		return block;
	}
	return loam_kmalloc(&kernel.kmalloc, size_bytes, 0);
}

void kfree(void *block)
{
	if (LOAM_UNLIKELY(!loam_slab_push(&kernel.slabs, block))) {
		loam_kfree(&kernel.kmalloc, block);
	}
}

loam_pfn_t frame_alloc(void)
{
	loam_pfn_t pfn = loam_frame_pop(&kernel.frames, 0);
	if (LOAM_LIKELY(pfn != LOAM_PFN_NONE)) {
		return pfn;
	}
	return loam_frame_alloc(&kernel.frames, 0, 0);
}

void frame_free(loam_pfn_t pfn)
{
	if (LOAM_UNLIKELY(!loam_frame_push(&kernel.frames, pfn))) {
		loam_frame_free(&kernel.frames, pfn, 0);
	}
}
