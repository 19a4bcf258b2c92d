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
#include "mmu.h"

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
