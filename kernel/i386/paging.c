/* SPDX-License-Identifier: MIT */
/* Which geometry this CPU's page tables have, and how they are loaded. */

/*
 * A kernel has two levels of tables, with large pages where the CPU has them,
 * or, built with PAE=1, three levels of entries that are twice as wide. Those
 * reach physical memory above 4 GiB, which is high memory like all that the
 * direct map does not hold, and know a no-execute bit where the CPU does.
 */

#include "cpu.h"
#include "gdt.h"
#include "layout.h"
#include "mmu.h"

#define PAGING_LARGE_ENTRY 0x83u /* present, writable, large */

static struct loam_pt_geometry paging_pae;

/* Must come before tables with the no-execute bit are loaded. */
static void paging_enable_nx(void)
{
	cpu_write_msr(CPU_MSR_EFER, cpu_read_msr(CPU_MSR_EFER) | CPU_EFER_NXE);
}

void mmu_prepare(const char *cmdline)
{
	(void)cmdline;
	if (!KERNEL_PAE) {
		return;
	}
	paging_pae = loam_pt_i386_pae;
	if (cpu_features.nx) {
		paging_enable_nx();
	} else {
		paging_pae.no_execute = 0;
	}
}

const char *mmu_early_pages(void)
{
	if (KERNEL_PAE) {
		return "2 MiB";
	}
	return cpu_features.pse ? "4 MiB" : "4 KiB";
}

/*
 * The first entry beyond what the temporary directory shows, 256 MiB above
 * KERNEL_BASE, is free: one large page of whatever is asked for.
 */
void *mmu_early_map(loam_phys_t phys, size_t *bytes)
{
	const unsigned shift = KERNEL_PAE ? 21 : 22;
	const uint32_t page = (uint32_t)1 << shift;
	uint32_t offset = (uint32_t)phys & (page - 1);
	uint64_t entry = (phys - offset) | PAGING_LARGE_ENTRY;

	if (!mmu_early_maps() || phys >= mmu_reach_end()) {
		return NULL;
	}
	if (KERNEL_PAE) {
		uint64_t *entries = (uint64_t *)(void *)boot_tables;
		entries[boot_early_end >> shift] = entry;
	} else {
		uint32_t *entries = (uint32_t *)(void *)boot_directory;
		entries[(KERNEL_BASE + boot_early_end) >> shift] =
			(uint32_t)entry;
	}
	cpu_write_cr3(cpu_read_cr3());
	*bytes = page - offset;
	return (void *)(KERNEL_BASE + boot_early_end + offset);
}

bool mmu_early_maps(void)
{
	return KERNEL_PAE || cpu_features.pse;
}

/* The tag of a vmalloc range holds a frame's number in 28 bits. */
#define PAGING_REACH_BITS 40u

loam_phys_t mmu_reach_end(void)
{
	unsigned bits = cpu_features.phys_bits;

	if (!KERNEL_PAE) {
		return LOAM_GIB(4);
	}
	return (loam_phys_t)1
	       << (bits < PAGING_REACH_BITS ? bits : PAGING_REACH_BITS);
}

const struct loam_pt_geometry *mmu_geometry(void)
{
	if (KERNEL_PAE) {
		return &paging_pae;
	}
	return cpu_features.pse ? &loam_pt_i386_pse : &loam_pt_i386;
}

void mmu_switch_root(void *ctx, loam_phys_t root)
{
	(void)ctx;
	gdt_set_directory((uint32_t)root);
	cpu_write_cr3((uint32_t)root);
	if (cpu_features.pge) {
		cpu_write_cr4(cpu_read_cr4() | CPU_CR4_PGE);
	}
}

void mmu_load_root(loam_phys_t root)
{
	gdt_set_kernel_directory((uint32_t)root);
	cpu_write_cr3((uint32_t)root);
}
