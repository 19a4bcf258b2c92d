/* SPDX-License-Identifier: MIT */
/* Seed 003's paging functions on this kernel's own memory. */

#include <loam/compat_paging.h>

#include "../kernel.h"
#include "cpu.h"
#include "gdt.h"
#include "layout.h"
#include "mmu.h"
#include "seed_paging.h"

static void *seed_zalloc(void *ctx, size_t size_bytes)
{
	(void)ctx;
	return kzalloc(size_bytes);
}

static void seed_free(void *ctx, void *block)
{
	(void)ctx;
	kfree(block);
}

static loam_phys_t seed_phys(void *ctx, const void *block)
{
	(void)ctx;
	return VIRT_TO_PHYS((uintptr_t)block);
}

/*
 * Global pages of the kernel's own directory outlive a load of CR3, and the
 * new directory may have something else there: all of them are flushed.
 */
static void seed_load_directory(void *ctx, uint32_t directory_phys)
{
	gdt_set_directory(directory_phys);
	paging_load_directory((uint32_t *)(uintptr_t)directory_phys);
	if (cpu_features.pge) {
		mmu_tlb_ops.flush_all(ctx);
	}
}

static struct loam_tlb_ops seed_tlb;

static const struct loam_paging_ops seed_ops = {
	.zalloc = seed_zalloc,
	.free = seed_free,
	.phys = seed_phys,
	.load_directory = seed_load_directory,
	.tlb = &seed_tlb,
};

struct loam_paging loam_compat_paging = { .ops = &seed_ops };

struct paging_4gb_chunk seed_kernel_chunk;

void seed_paging_init(void)
{
	seed_tlb = cpu_features.invlpg ? mmu_tlb_ops : mmu_tlb_ops_386;
	seed_kernel_chunk.directory_entry =
		loam_host_phys_to_virt(kernel.pt.root);
	loam_compat_paging.current = seed_kernel_chunk.directory_entry;
}
