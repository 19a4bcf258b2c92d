/* SPDX-License-Identifier: MIT */
/* Which geometry this CPU's page tables have, and how they are loaded. */

#include "cpu.h"
#include "gdt.h"
#include "mmu.h"

void mmu_prepare(const char *cmdline)
{
	(void)cmdline;
}

const char *mmu_early_pages(void)
{
	return cpu_features.pse ? "4 MiB" : "4 KiB";
}

loam_phys_t mmu_reach_end(void)
{
	return LOAM_GIB(4);
}

const struct loam_pt_geometry *mmu_geometry(void)
{
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
